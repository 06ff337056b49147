"""A whole study: its blocks, each optional but the first, and the identity that they make up."""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import Field, PrivateAttr

from tasks.core.errors import UsageError
from tasks.core.parts import Part
from tasks.core.spec.analyses import Analysis, Gate
from tasks.core.spec.base import AS_TUPLE, Frozen
from tasks.core.spec.characterisation import Characterisation
from tasks.core.spec.code_lists import CodeList
from tasks.core.spec.cohorts import Cohort
from tasks.core.spec.covariates import Covariate
from tasks.core.spec.design import Arm, ControlExposures, Design, Device, Outcome
from tasks.core.spec.estimands import Estimand
from tasks.core.spec.gates import Waiver
from tasks.core.spec.methods import ADJUSTMENT_OPTIONS, INITIATION
from tasks.core.spec.sources import LakeSource, Source, TableSource
from tasks.core.spec.study import Privacy, Report, Study

_ADJUSTMENTS = tuple(name for name in ADJUSTMENT_OPTIONS if name not in ("none", INITIATION))


@dataclass(frozen=True, slots=True)
class Trial:
    """The blocks of a comparison of two arms; a study has all of them or none."""

    design: Design
    target: Arm
    comparator: Arm
    outcome: Outcome


class StudySpec(Frozen):
    """A study, complete enough to run without asking anyone anything."""

    spec_version: Literal[1]
    study: Study
    sources: Annotated[tuple[Source, ...], AS_TUPLE, Field(min_length=1, max_length=20)]
    device: Device | None = None
    code_lists: Annotated[tuple[CodeList, ...], AS_TUPLE] = ()
    cohorts: Annotated[tuple[Cohort, ...], AS_TUPLE, Field(max_length=500)] = ()
    design: Design | None = None
    target: Arm | None = None
    comparator: Arm | None = None
    outcome: Outcome | None = None
    negative_controls: Annotated[
        tuple[Outcome, ...],
        AS_TUPLE,
        Field(
            max_length=500,
            description="Outcomes that neither strategy can change; analyses that say "
            "`calibrate: true` are run on each.",
        ),
    ] = ()
    negative_control_exposures: Annotated[
        tuple[ControlExposures, ...],
        AS_TUPLE,
        Field(
            max_length=100,
            description="Pairs of arms between which the outcome cannot differ; analyses that say "
            "`calibrate: true` are run on each, under the design of the study.",
        ),
    ] = ()
    covariates: Annotated[tuple[Covariate, ...], AS_TUPLE] = ()
    characterisation: Characterisation | None = None
    analyses: Annotated[tuple[Analysis, ...], AS_TUPLE] = ()
    gates: Annotated[tuple[Gate, ...], AS_TUPLE] = ()
    waivers: Annotated[tuple[Waiver, ...], AS_TUPLE] = ()
    privacy: Privacy | None = None
    report: Report = Report()

    _files: Mapping[str, str] = PrivateAttr(default_factory=dict)

    def with_files(self, files: Mapping[str, str]) -> Self:
        """Return the study together with the text of every file that it names."""
        made = self.model_copy()
        made._files = dict(files)
        return made

    @property
    def files(self) -> Mapping[str, str]:
        """Text of every file that the study names, by its name in the study."""
        return self._files

    @property
    def spec_hash(self) -> str:
        """Identity of this version of the study; key order, comments and layout do not count.

        A key left out and its default written out are the same, now and when keys are added.
        Files that the study names count with what is in them.
        """
        said = self.model_dump(mode="json", exclude_defaults=True)
        if self.files:
            said["files"] = dict(self.files)
        text = json.dumps(said, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def with_codes(self) -> frozenset[str]:
        """Ids of the code lists that hold codes of source vocabularies."""
        return frozenset(item.id for item in self.code_lists if item.codes or item.file)

    @property
    def has_trial(self) -> bool:
        """Whether the study compares two arms."""
        return self.design is not None

    @property
    def trial(self) -> Trial:
        """The comparison of two arms.

        Raises:
            ValueError: The study has none; ask `has_trial` first.
        """
        parts = (self.design, self.target, self.comparator, self.outcome)
        design, target, comparator, outcome = parts
        if design is None or target is None or comparator is None or outcome is None:
            raise ValueError(f"study {self.study.id} compares no arms")
        return Trial(design, target, comparator, outcome)

    @property
    def lake(self) -> LakeSource | None:
        """The source whose tables are those of the lake, if the study has one."""
        return next((s for s in self.sources if isinstance(s, LakeSource)), None)

    @property
    def tables(self) -> tuple[TableSource, ...]:
        """The sources that are registry tables, in their order."""
        return tuple(s for s in self.sources if not isinstance(s, LakeSource))

    @property
    def lake_analyses(self) -> tuple[Analysis, ...]:
        """The analyses of cohorts of the lake."""
        tables = {source.id for source in self.tables}
        return tuple(a for a in self.analyses if a.source not in tables)

    @property
    def table_analyses(self) -> tuple[tuple[Analysis, TableSource], ...]:
        """The analyses of registry tables, each with its source."""
        tables = {source.id: source for source in self.tables}
        return tuple((a, tables[a.source]) for a in self.analyses if a.source in tables)

    @property
    def arms(self) -> tuple[Arm, Arm]:
        """Both arms, target first."""
        return self.trial.target, self.trial.comparator

    @property
    def adjustments(self) -> tuple[str, ...]:
        """Adjustments that some analysis or gate uses, each once, in a fixed order."""
        of_all = self.adjustments_in(None)
        used = {*of_all, *(g.adjustment for g in self.gates)}
        return tuple(name for name in _ADJUSTMENTS if name in used)

    def only(self, part: Part) -> Self:
        """Return one part of the study as a study.

        Raises:
            UsageError: The study has no such part.
        """
        if not self.has_trial:
            fix = "name a study with a design, or leave the part out."
            raise UsageError(self.study.id, f"has no part {part}", fix)
        kept = {"sources": (self.lake,), "analyses": self.lake_analyses, "characterisation": None}
        return self.model_copy(update=kept)

    @property
    def exposed(self) -> tuple[tuple[str, ControlExposures, Self], ...]:
        """Each pair of arms that is a negative control: schema of its people, pair, its study."""
        pairs = enumerate(self.negative_control_exposures)
        return tuple((f"control_exposure_{n}", pair, self.exposed_as(pair)) for n, pair in pairs)

    def exposed_as(self, pair: ControlExposures) -> Self:
        """Return the study with the arms of a negative control in place of its own."""
        changed = {"target": pair.target, "comparator": pair.comparator, "characterisation": None}
        alone = {"negative_controls": (), "negative_control_exposures": ()}
        return self.model_copy(update=changed | alone)

    def adjustments_in(self, population: str | None) -> tuple[str, ...]:
        """Adjustments that some analysis of a population uses; None stands for everybody."""
        used = {a.adjustment for a in self.lake_analyses if a.population == population}
        return tuple(name for name in _ADJUSTMENTS if name in used)

    def adjusting(self, population: str | None) -> dict[str, Analysis]:
        """Return the analysis whose options each adjustment of a population follows, by name."""
        alike = [a for a in self.lake_analyses if a.population == population]
        return {a.adjustment: a for a in reversed(alike) if a.adjustment != "none"}

    def bound_by(self, gate: Gate) -> tuple[Analysis, ...]:
        """Return the analyses that have to pass a gate, in their order."""
        return tuple(a for a in self.analyses if gate.is_declared_by(a))

    def waiver_of(self, gate: Gate, analyses: Collection[str]) -> Waiver | None:
        """Return the waiver of a gate for these analyses (all of the study when empty)."""
        named = (w for w in self.waivers if w.gate == gate.name)
        return next((w for w in named if w.analysis is None or {w.analysis} == set(analyses)), None)

    def estimand_of(self, analysis: Analysis) -> Estimand | None:
        """Return the estimand that an analysis serves, if it serves one."""
        if self.design is None or analysis not in self.lake_analyses:
            return None
        estimands = self.design.estimands
        if analysis.estimand is None and len(estimands) == 1:
            return None if analysis.role == "replication" else estimands[0]
        return next((e for e in estimands if e.id == analysis.estimand), None)

    def concepts_of(self, code_list: str) -> CodeList:
        """Return the code list of this id."""
        return next(item for item in self.code_lists if item.id == code_list)
