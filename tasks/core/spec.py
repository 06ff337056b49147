"""What a study is: one YAML file, one frozen, validated value, one canonical hash."""

import hashlib
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from tasks.core.errors import Message, SpecError, UsageError
from tasks.core.paths import STUDIES_DIR
from tasks.core.strict_yaml import read_yaml
from tasks.core.validate import validated

Id = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,47}$")]
ConceptId = Annotated[int, Field(ge=0, le=2_147_483_647)]
Days = Annotated[int, Field(ge=0, le=36_500)]


SHOWN, NOT_SHOWN = "ai_shown", "ai_not_shown"


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Text(_Frozen):
    """One text in both languages of the report."""

    en: Annotated[str, Field(min_length=1, max_length=2000)]
    ko: Annotated[str, Field(min_length=1, max_length=2000)]

    def in_language(self, language: str) -> str:
        """Return the text in `en` or `ko`."""
        return self.ko if language == "ko" else self.en


class Study(_Frozen):
    """What is asked, and under which name."""

    id: Id
    version: Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]+$")]
    title: Text
    question: Text
    registration: str | None = None
    notice: Annotated[Text | None, Field(description="Shown on every page of the report.")] = None
    limits: Annotated[tuple[Text, ...], BeforeValidator(_as_tuple)] = ()


class LakeSource(_Frozen):
    """Cohorts are built from the OMOP tables of the lake."""

    id: Id
    kind: Literal["lake"]
    sites: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$")], ...],
        BeforeValidator(_as_tuple),
        Field(description="Sites to use; all sites of the lake when empty."),
    ] = ()
    site_prefix: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$",
            description="Use the sites whose id starts so, and no other; instead of `sites`.",
        ),
    ] = None

    @model_validator(mode="after")
    def _chooses_sites_in_one_way(self) -> Self:
        if self.sites and self.site_prefix:
            raise ValueError("sites and site_prefix stand together; keep one of them")
        return self

    def takes(self, site_id: object) -> bool:
        """Whether rows of this site belong to the study."""
        if self.site_prefix:
            return str(site_id).startswith(self.site_prefix)
        return not self.sites or site_id in self.sites


class CodeList(_Frozen):
    """A set of standard concepts."""

    id: Id
    name: Annotated[Text | None, Field(description="What the report calls it.")] = None
    concepts: Annotated[tuple[ConceptId, ...], BeforeValidator(_as_tuple), Field(min_length=1)]
    include_descendants: bool
    source: Annotated[str, Field(min_length=1)]


class Device(_Frozen):
    """The device whose use is studied, as it is registered."""

    udi_di: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9+/._-]{5,39}$",
            description="UDI device identifier, without production identifiers.",
        ),
    ]
    name: Text
    versions: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=40)], ...],
        BeforeValidator(_as_tuple),
        Field(description="Model versions that count; all versions when empty."),
    ] = ()
    approval_number: Annotated[str, Field(min_length=1, max_length=80)] | None = None
    intended_use: Text


class DrugArm(_Frozen):
    """One arm: persons enter at their first drug era of the code list."""

    name: Text
    code_list: Id

    @property
    def id(self) -> str:
        """Name of the arm in every table: its code list."""
        return self.code_list


class DeviceArm(_Frozen):
    """One arm: persons whose image was first read with the device's output, or without."""

    name: Text
    shown: Annotated[bool, Field(description="The output stood before the reader at first read.")]

    @property
    def id(self) -> str:
        """Name of the arm in every table."""
        return SHOWN if self.shown else NOT_SHOWN


def _kind_of_arm(value: object) -> str:
    if isinstance(value, dict):
        return "device_arm" if "shown" in value else "drug_arm"
    return "device_arm" if isinstance(value, DeviceArm) else "drug_arm"


Arm = Annotated[
    Annotated[DrugArm, Tag("drug_arm")] | Annotated[DeviceArm, Tag("device_arm")],
    Discriminator(_kind_of_arm),
]


class Outcome(_Frozen):
    """The event of interest, from condition_occurrence."""

    name: Text
    code_list: Id


class EraAnchor(_Frozen):
    """A day relative to the exposure era."""

    anchor: Literal["era_start", "era_end"]
    offset_days: Annotated[int, Field(ge=-36_500, le=36_500)]


class ZeroAnchor(_Frozen):
    """A day relative to time zero."""

    anchor: Literal["time_zero"]
    offset_days: Annotated[int, Field(ge=-36_500, le=36_500)]


class _Trial(_Frozen):
    """What every target trial says."""

    prior_observation_days: Days
    prior_outcome_days: Annotated[
        Days, Field(description="Drop persons with the outcome in so many days before time zero.")
    ]
    censor_at: Literal["observation_end"]
    competing: Annotated[
        Literal["none", "death"],
        Field(description="What ends follow-up and rules out the outcome."),
    ]
    estimand: Text


class NewUserDesign(_Trial):
    """A new-user, active-comparator target trial.

    Time zero, eligibility and assignment all fall on the start of the first exposure era.
    """

    type: Literal["new_user_active_comparator"]
    time_zero: Literal["first_drug_era_start"]
    common_period: Annotated[
        bool, Field(description="Keep the calendar period in which both arms have first eras.")
    ]
    in_both_arms: Literal["keep_first", "drop"]
    risk_start: EraAnchor
    risk_end: EraAnchor

    @model_validator(mode="after")
    def _risk_follows_time_zero(self) -> Self:
        return _with_risk_in_order(self, self.risk_start, self.risk_end)


class Enrolment(_Frozen):
    """Calendar days in which persons enter; both belong to it."""

    start: date
    end: date

    @model_validator(mode="after")
    def _runs_forward(self) -> Self:
        if self.end < self.start:
            raise ValueError(f"ends on {self.end}, before it starts on {self.start}")
        return self


class DeviceShownDesign(_Trial):
    """A target trial of showing a device's output to the reader of an image, or not.

    Time zero is the acquisition of the person's first image in the enrolment period, whether or
    not the device then gave an output; the arm is what stood before the reader of that image.
    """

    type: Literal["device_shown_or_not"]
    time_zero: Literal["image_acquisition"]
    image: Annotated[Id, Field(description="Code list of the imaging procedure.")]
    enrolment: Enrolment
    risk_start: ZeroAnchor
    risk_end: ZeroAnchor

    @model_validator(mode="after")
    def _risk_follows_time_zero(self) -> Self:
        return _with_risk_in_order(self, self.risk_start, self.risk_end)


Trial = TypeVar("Trial", bound=_Trial)


def _with_risk_in_order(
    design: Trial, start: EraAnchor | ZeroAnchor, end: EraAnchor | ZeroAnchor
) -> Trial:
    if start.anchor != "era_end" and start.offset_days < 0:
        raise ValueError("risk_start lies before time zero")
    if start.anchor == end.anchor and end.offset_days < start.offset_days:
        raise ValueError("risk_end lies before risk_start")
    return design


Design = Annotated[NewUserDesign | DeviceShownDesign, Field(discriminator="type")]


class AgeCovariate(_Frozen):
    """Age at time zero, in years."""

    id: Id
    kind: Literal["age"]
    method: Literal["calendar_year"]


class SexCovariate(_Frozen):
    """Sex as recorded."""

    id: Id
    kind: Literal["sex"]


class _History(_Frozen):
    """What is taken from the records before time zero."""

    id: Id
    window_start_days: Annotated[int, Field(ge=-36_500, le=-1)]
    window_end_days: Annotated[int, Field(ge=-36_500, le=-1)]
    min_share: Annotated[
        float, Field(gt=0, lt=0.5, description="Leave out what fewer, or all but fewer, have.")
    ]

    @model_validator(mode="after")
    def _window_runs_forward(self) -> Self:
        if self.window_end_days < self.window_start_days:
            raise ValueError("window_end_days lies before window_start_days")
        return self


class ConditionCovariates(_History):
    """Any record of a condition before time zero, one covariate a condition concept."""

    kind: Literal["conditions"]
    exclude: Annotated[tuple[Id, ...], BeforeValidator(_as_tuple)] = ()


class NamedConditionCovariates(_History):
    """Conditions that the study names before time zero, one covariate a code list."""

    kind: Literal["named_conditions"]
    code_lists: Annotated[tuple[Id, ...], BeforeValidator(_as_tuple), Field(min_length=1)]


Covariate = Annotated[
    AgeCovariate | SexCovariate | ConditionCovariates | NamedConditionCovariates,
    Field(discriminator="kind"),
]
Adjustment = Literal["none", "iptw_ate", "overlap", "matched"]


_UNWEIGHTED = ("log_rank", "incidence_rate")
_RESERVED = ("attrition", "balance", "follow_up", "propensity", "sites")
_KEYS_OF_METHODS = {
    "ties": ("cox",),
    "std_error": ("cox",),
    "horizon_days": ("rmst",),
    "table_days": ("kaplan_meier", "cumulative_incidence"),
}


class Analysis(_Frozen):
    """One named estimate: a method, an adjustment, and the part it plays."""

    id: Id
    role: Literal["primary", "secondary", "sensitivity", "exploratory", "replication"]
    method: Literal[
        "cox",
        "kaplan_meier",
        "log_rank",
        "rmst",
        "cumulative_incidence",
        "incidence_rate",
    ]
    adjustment: Adjustment
    ties: Literal["breslow", "efron"] | None = None
    std_error: Literal["model", "robust", "profile_likelihood"] | None = None
    horizon_days: Annotated[int, Field(gt=0, le=36_500)] | None = None
    table_days: Annotated[tuple[Days, ...], BeforeValidator(_as_tuple)] = ()

    @model_validator(mode="after")
    def _says_what_its_method_needs(self) -> Self:
        needed = {"cox": ("ties", "std_error"), "rmst": ("horizon_days",)}.get(self.method, ())
        if missing := [name for name in needed if getattr(self, name) is None]:
            raise ValueError(f"method {self.method} needs {' and '.join(missing)}")
        if self.method == "cox" and self.adjustment != "none" and self.std_error != "robust":
            raise ValueError("weighted and matched Cox models need std_error: robust")
        if self.method in _UNWEIGHTED and self.adjustment in {"iptw_ate", "overlap"}:
            raise ValueError(f"method {self.method} has no weighted form; use none or matched")
        return self

    @model_validator(mode="after")
    def _says_nothing_that_its_method_ignores(self) -> Self:
        given = {name for name in _KEYS_OF_METHODS if getattr(self, name)}
        if idle := sorted(name for name in given if self.method not in _KEYS_OF_METHODS[name]):
            raise ValueError(f"method {self.method} does not use {' and '.join(idle)}")
        return self


class Gate(_Frozen):
    """A diagnostic with a threshold, and what happens when it is missed."""

    name: Literal["persons_per_arm", "events", "max_smd", "equipoise"]
    threshold: Annotated[float, Field(ge=0)]
    adjustment: Adjustment = "none"
    on_miss: Literal["block", "report"]


class Privacy(_Frozen):
    """May only tighten what the site demands."""

    disclosure_threshold: Annotated[int, Field(ge=5, le=1000)]


class Report(_Frozen):
    """What the pages show beyond the numbers."""

    languages: Annotated[
        tuple[Literal["en", "ko"], ...], BeforeValidator(_as_tuple), Field(min_length=1)
    ] = ("en", "ko")


class StudySpec(_Frozen):
    """A study, complete enough to run without asking anyone anything."""

    spec_version: Literal[1]
    study: Study
    sources: Annotated[
        tuple[LakeSource, ...], BeforeValidator(_as_tuple), Field(min_length=1, max_length=1)
    ]
    device: Device | None = None
    code_lists: Annotated[tuple[CodeList, ...], BeforeValidator(_as_tuple)]
    design: Design
    target: Arm
    comparator: Arm
    outcome: Outcome
    covariates: Annotated[tuple[Covariate, ...], BeforeValidator(_as_tuple)] = ()
    analyses: Annotated[tuple[Analysis, ...], BeforeValidator(_as_tuple), Field(min_length=1)]
    gates: Annotated[tuple[Gate, ...], BeforeValidator(_as_tuple)] = ()
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


def study_ids(folder: Path = STUDIES_DIR) -> tuple[str, ...]:
    """Return the ids of all studies in a folder, sorted."""
    return tuple(sorted(file.stem for file in folder.glob("*.yaml")))


def study_file(study: str, folder: Path = STUDIES_DIR) -> Path:
    """Return the file of a study named by id or by path.

    Raises:
        UsageError: There is no such study.
    """
    for candidate in (folder / f"{study}.yaml", Path(study)):
        if candidate.suffix == ".yaml" and candidate.is_file():
            return candidate
    known = ", ".join(study_ids(folder)) or "none"
    raise UsageError(
        study, f"no such study; known studies: {known}", "name one of them, or a file."
    )


def load_study(study: str) -> StudySpec:
    """Read the study named by id or path and return it validated.

    Raises:
        UsageError: There is no such study.
        SpecError: The file is refused; every fault is named with line and key.
    """
    file = study_file(study)
    spec = validated(StudySpec, read_yaml(file))
    if file.parent == STUDIES_DIR and file.stem != spec.study.id:
        what = f"study.id is {spec.study.id!r}, the file is {file.name}"
        raise SpecError([Message("E_SPEC_PARSE", file.name, what, "give both the same name.")])
    return spec


def study_schema() -> str:
    """Return the JSON Schema of a study, as published in docs/study.schema.json."""
    schema = StudySpec.model_json_schema()
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
