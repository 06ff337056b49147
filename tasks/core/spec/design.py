"""Who is compared with whom, from when, until when, and what is counted."""

from datetime import date
from typing import Annotated, Literal, Self, TypeVar

from pydantic import Discriminator, Field, Tag, model_validator

from tasks.core.spec.base import AS_TUPLE, Days, Frozen, Id, Text

SHOWN, NOT_SHOWN = "ai_shown", "ai_not_shown"


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


def _kind_of_arm(value: object) -> str:
    if isinstance(value, dict):
        return "device_arm" if "shown" in value else "drug_arm"
    return "device_arm" if isinstance(value, DeviceArm) else "drug_arm"


Arm = Annotated[
    Annotated[DrugArm, Tag("drug_arm")] | Annotated[DeviceArm, Tag("device_arm")],
    Discriminator(_kind_of_arm),
]


class Outcome(Frozen):
    """The event of interest, from condition_occurrence."""

    name: Text
    code_list: Id


class EraAnchor(Frozen):
    """A day relative to the exposure era."""

    anchor: Literal["era_start", "era_end"]
    offset_days: Annotated[int, Field(ge=-36_500, le=36_500)]


class ZeroAnchor(Frozen):
    """A day relative to time zero."""

    anchor: Literal["time_zero"]
    offset_days: Annotated[int, Field(ge=-36_500, le=36_500)]


class _Trial(Frozen):
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
