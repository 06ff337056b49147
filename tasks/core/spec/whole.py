"""A whole study: its blocks, and whether they fit each other."""

import hashlib
import json
from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tasks.core.spec.analyses import Analysis, Gate
from tasks.core.spec.base import AS_TUPLE, Frozen
from tasks.core.spec.code_lists import CodeList
from tasks.core.spec.covariates import ConditionCovariates, Covariate, NamedConditionCovariates
from tasks.core.spec.design import (
    Arm,
    Design,
    Device,
    DeviceArm,
    DeviceShownDesign,
    DrugArm,
    Outcome,
)
from tasks.core.spec.sources import LakeSource
from tasks.core.spec.study import Privacy, Report, Study

_RESERVED = ("attrition", "balance", "follow_up", "propensity", "sites")


class StudySpec(Frozen):
    """A study, complete enough to run without asking anyone anything."""

    spec_version: Literal[1]
    study: Study
    sources: Annotated[tuple[LakeSource, ...], AS_TUPLE, Field(min_length=1, max_length=1)]
    device: Device | None = None
    code_lists: Annotated[tuple[CodeList, ...], AS_TUPLE]
    design: Design
    target: Arm
    comparator: Arm
    outcome: Outcome
    covariates: Annotated[tuple[Covariate, ...], AS_TUPLE] = ()
    analyses: Annotated[tuple[Analysis, ...], AS_TUPLE, Field(min_length=1)]
    gates: Annotated[tuple[Gate, ...], AS_TUPLE] = ()
    privacy: Privacy | None = None
    report: Report = Report()

    @model_validator(mode="after")
    def _fits_its_design(self) -> Self:
        faults = list(_misfits(self))
        if faults:
            raise ValueError(f"design {self.design.type}: {'; '.join(faults)}")
        return self

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        lists = [item.id for item in self.code_lists]
        roles = [*_entry_lists(self), self.outcome.code_list]
        used = {*roles, *(name for c in self.covariates for name in _lists_of(c))}
        if len(set(roles)) < len(roles):
            raise ValueError("arms, image and outcome need a code list each of their own")
        if unknown := sorted(used - set(lists)):
            raise ValueError(f"code lists {unknown} are used but not defined")
        groups = {
            "code_lists": lists,
            "analyses": [analysis.id for analysis in self.analyses],
            "covariates": [covariate.id for covariate in self.covariates],
        }
        for what, ids in groups.items():
            if len(set(ids)) < len(ids):
                raise ValueError(f"two entries of {what} have the same id")
        return self

    @model_validator(mode="after")
    def _has_one_primary_analysis_at_most(self) -> Self:
        if taken := sorted({a.id for a in self.analyses} & set(_RESERVED)):
            raise ValueError(f"analysis ids {taken} are taken by descriptive results")
        if len(primaries := [a.id for a in self.analyses if a.role == "primary"]) > 1:
            raise ValueError(f"analyses {primaries} are all primary; the estimand has one")
        return self

    @model_validator(mode="after")
    def _takes_each_kind_of_covariate_once(self) -> Self:
        kinds = [covariate.kind for covariate in self.covariates]
        if twice := sorted({kind for kind in kinds if kinds.count(kind) > 1}):
            raise ValueError(f"covariates of kind {twice} stand twice")
        return self

    @model_validator(mode="after")
    def _adjusts_with_something(self) -> Self:
        adjusted = [a.id for a in self.analyses if a.adjustment != "none"]
        if adjusted and not self.covariates:
            raise ValueError(f"analyses {adjusted} adjust, but covariates are empty")
        return self

    @property
    def spec_hash(self) -> str:
        """Identity of this version of the study; key order, comments and layout do not count.

        A key left out and its default written out are the same, now and when keys are added.
        """
        said = self.model_dump(mode="json", exclude_defaults=True)
        text = json.dumps(said, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def arms(self) -> tuple[DrugArm | DeviceArm, DrugArm | DeviceArm]:
        """Both arms, target first."""
        return self.target, self.comparator

    @property
    def adjustments(self) -> tuple[str, ...]:
        """Adjustments that some analysis or gate uses, each once, in a fixed order."""
        used = {a.adjustment for a in self.analyses} | {g.adjustment for g in self.gates}
        return tuple(name for name in ("iptw_ate", "overlap", "matched") if name in used)

    def concepts_of(self, code_list: str) -> CodeList:
        """Return the code list of this id."""
        return next(item for item in self.code_lists if item.id == code_list)


def _misfits(spec: StudySpec) -> Iterator[str]:
    """What in a study does not fit its type of design."""
    is_device = isinstance(spec.design, DeviceShownDesign)
    kind, key = (DeviceArm, "shown") if is_device else (DrugArm, "code_list")
    for name, arm in zip(("target", "comparator"), spec.arms, strict=True):
        if not isinstance(arm, kind):
            yield f"{name} needs {key}"
    if is_device and spec.target.id == spec.comparator.id:
        yield "target and comparator need shown: true and shown: false"
    if is_device and spec.device is None:
        yield "the device is missing"
    if not is_device and spec.device is not None:
        yield "no device belongs here"


def _entry_lists(spec: StudySpec) -> list[str]:
    """Code lists by which persons enter the study."""
    if isinstance(spec.design, DeviceShownDesign):
        return [spec.design.image]
    return [arm.id for arm in spec.arms]


def _lists_of(covariate: Covariate) -> tuple[str, ...]:
    match covariate:
        case ConditionCovariates():
            return covariate.exclude
        case NamedConditionCovariates():
            return covariate.code_lists
        case _:
            return ()
