"""Who is compared with whom, from when, until when, and what is counted."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Literal, Self, TypeVar

from pydantic import Discriminator, Field, Tag, model_validator

from tasks.core.spec.base import AS_TUPLE, Days, Frozen, Id, Text
from tasks.core.spec.cohorts import Rule
from tasks.core.spec.conditions import Events
from tasks.core.spec.estimands import Estimand, Observability, Strategies, StudyPopulation

SHOWN, NOT_SHOWN = "ai_shown", "ai_not_shown"
STARTS, DOES_NOT_START = "start", "do_not_start"


class Device(Frozen):
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
        AS_TUPLE,
        Field(description="Model versions that count; all versions when empty."),
    ] = ()
    approval_number: Annotated[str, Field(min_length=1, max_length=80)] | None = None
    intended_use: Text


class DrugArm(Frozen):
    """One arm: persons enter at their first drug era of the code list."""

    name: Text
    code_list: Id

    @property
    def id(self) -> str:
        """Name of the arm in every table: its code list."""
        return self.code_list


class DeviceArm(Frozen):
    """One arm: persons whose image was first read with the device's output, or without."""

    name: Text
    shown: Annotated[bool, Field(description="The output stood before the reader at first read.")]

    @property
    def id(self) -> str:
        """Name of the arm in every table."""
        return SHOWN if self.shown else NOT_SHOWN


class CohortArm(Frozen):
    """One arm: persons enter at the start of their first span of a cohort of the study."""

    name: Text
    cohort: Id

    @property
    def id(self) -> str:
        """Name of the arm in every table; the cohort itself keeps its own."""
        return f"arm_{self.cohort}"


class StrategyArm(Frozen):
    """One strategy of a grace period; everybody follows both until they depart from one."""

    name: Text
    starts: Annotated[bool, Field(description="Treatment starts within the grace period.")]

    @property
    def id(self) -> str:
        """Name of the strategy in every table."""
        return STARTS if self.starts else DOES_NOT_START


_ARMS = {"shown": "device_arm", "cohort": "cohort_arm", "starts": "strategy_arm"}
_MADE = {"DeviceArm": "device_arm", "CohortArm": "cohort_arm", "StrategyArm": "strategy_arm"}


def _kind_of_arm(value: object) -> str:
    if isinstance(value, Mapping):
        return next((tag for key, tag in _ARMS.items() if key in value), "drug_arm")
    return _MADE.get(type(value).__name__, "drug_arm")


Arm = Annotated[
    Annotated[DrugArm, Tag("drug_arm")]
    | Annotated[DeviceArm, Tag("device_arm")]
    | Annotated[CohortArm, Tag("cohort_arm")]
    | Annotated[StrategyArm, Tag("strategy_arm")],
    Discriminator(_kind_of_arm),
]


class ConditionOutcome(Frozen):
    """The event of interest: any record of condition_occurrence with a code of the list."""

    name: Text
    code_list: Id

    @property
    def id(self) -> str:
        """Name of the outcome in every table."""
        return self.code_list


class CohortOutcome(Frozen):
    """The event of interest: the start of a person's first span of a cohort of the study."""

    name: Text
    cohort: Id

    @property
    def id(self) -> str:
        """Name of the outcome in every table."""
        return self.cohort


def _kind_of_outcome(value: object) -> str:
    by_cohort = "cohort" in value if isinstance(value, Mapping) else False
    return "cohort" if by_cohort or isinstance(value, CohortOutcome) else "conditions"


Outcome = Annotated[
    Annotated[ConditionOutcome, Tag("conditions")] | Annotated[CohortOutcome, Tag("cohort")],
    Discriminator(_kind_of_outcome),
]


class ControlExposures(Frozen):
    """Two arms between which the outcome of the study cannot differ."""

    id: Id
    name: Text
    target: Arm
    comparator: Arm


class EraAnchor(Frozen):
    """A day relative to the exposure era."""

    anchor: Literal["era_start", "era_end"]
    offset_days: Annotated[int, Field(ge=-36_500, le=36_500)]


class SpanAnchor(Frozen):
    """A day relative to the span of the cohort that is the arm."""

    anchor: Literal["cohort_start", "cohort_end", "time_zero"]
    offset_days: Annotated[int, Field(ge=-36_500, le=36_500)]


class ZeroAnchor(Frozen):
    """A day relative to time zero."""

    anchor: Literal["time_zero"]
    offset_days: Annotated[int, Field(ge=-36_500, le=36_500)]


class _Trial(Frozen):
    """What every target trial says.

    Eligibility, assignment and the start of follow-up fall on time zero. Follow-up ends with the
    risk window, the outcome, death, the end of observation, or the first of `censor_events` on a
    day after time zero, whichever comes first; an outcome on the day of a censoring event counts
    as the outcome.
    """

    eligibility: Annotated[
        tuple[Rule, ...],
        AS_TUPLE,
        Field(
            max_length=60,
            description="Judged at time zero in both arms; each is a step of the attrition.",
        ),
    ]
    strategies: Strategies
    assignment: Annotated[
        Text,
        Field(description="How persons came to a strategy, and what makes the comparison fair."),
    ]
    grace_period_days: Annotated[
        Days,
        Field(description="Above 0 in the design start_within_grace, and in no other."),
    ] = 0
    prior_observation_days: Days
    prior_outcome_days: Annotated[
        Days, Field(description="Drop persons with the outcome in so many days before time zero.")
    ]
    censor_at: Annotated[
        tuple[Literal["observation_end"], ...],
        AS_TUPLE,
        Field(min_length=1, max_length=1, description="What always ends follow-up."),
    ]
    censor_events: Annotated[
        tuple[Events, ...],
        AS_TUPLE,
        Field(max_length=20, description="The first of these after time zero ends follow-up."),
    ] = ()
    competing: Annotated[
        Literal["none", "death"],
        Field(description="What ends follow-up and rules out the outcome."),
    ]
    observability: Observability
    estimands: Annotated[
        tuple[Estimand, ...],
        AS_TUPLE,
        Field(
            max_length=20,
            description="Each has exactly one primary analysis. Empty: the study only replicates "
            "or explores.",
        ),
    ]
    populations: Annotated[
        tuple[StudyPopulation, ...],
        AS_TUPLE,
        Field(
            max_length=20, description="Judged at time zero; analyses may be restricted to them."
        ),
    ] = ()


class _TwoEntries(_Trial):
    """A target trial of arms that persons enter on their own, so that some may enter both."""

    common_period: Annotated[
        bool, Field(description="Keep the calendar period in which both arms have entries.")
    ]
    in_both_arms: Literal["keep_first", "drop"]


class NewUserDesign(_TwoEntries):
    """A new-user, active-comparator target trial.

    Time zero, eligibility and assignment all fall on the start of the first exposure era.
    """

    type: Literal["new_user_active_comparator"]
    time_zero: Literal["first_drug_era_start"]
    risk_start: EraAnchor
    risk_end: EraAnchor

    @model_validator(mode="after")
    def _risk_follows_time_zero(self) -> Self:
        return _with_risk_in_order(self, self.risk_start, self.risk_end)


class CohortDesign(_TwoEntries):
    """A target trial whose arms are cohorts of the study.

    Time zero, eligibility and assignment all fall on the start of a person's first span.
    """

    type: Literal["comparative_cohort"]
    time_zero: Literal["cohort_start"]
    risk_start: SpanAnchor
    risk_end: SpanAnchor

    @model_validator(mode="after")
    def _risk_follows_time_zero(self) -> Self:
        return _with_risk_in_order(self, self.risk_start, self.risk_end)


class Enrolment(Frozen):
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


class GraceDesign(_Trial):
    """A target trial of starting a treatment within a grace period, or not starting within it.

    Time zero is the start of a person's first span of `entry_cohort`, on which everybody who has
    not started before is eligible for both strategies. The treatment starts with the first span
    of `treatment_cohort` on or after time zero.
    """

    type: Literal["start_within_grace"]
    time_zero: Literal["cohort_start"]
    entry_cohort: Annotated[Id, Field(description="Cohort by whose first span persons enter.")]
    treatment_cohort: Annotated[
        Id, Field(description="Cohort whose first span from time zero on starts the treatment.")
    ]
    risk_start: ZeroAnchor
    risk_end: ZeroAnchor

    @model_validator(mode="after")
    def _risk_follows_time_zero(self) -> Self:
        return _with_risk_in_order(self, self.risk_start, self.risk_end)


Anchor = EraAnchor | SpanAnchor | ZeroAnchor
Trial = TypeVar("Trial", bound=_Trial)
ENDS = ("era_end", "cohort_end")
"""Anchors at the end of the entry; all others are time zero."""


def _with_risk_in_order(design: Trial, start: Anchor, end: Anchor) -> Trial:
    if start.anchor not in ENDS and start.offset_days < 0:
        raise ValueError("risk_start lies before time zero")
    if (start.anchor in ENDS) == (end.anchor in ENDS) and end.offset_days < start.offset_days:
        raise ValueError("risk_end lies before risk_start")
    return design


Design = Annotated[
    NewUserDesign | DeviceShownDesign | CohortDesign | GraceDesign, Field(discriminator="type")
]
