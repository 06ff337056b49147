"""What keeps an estimate sealed: names of gates, waivers that open one, looks that are planned."""

import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tasks.core.spec.base import AS_TUPLE, Frozen, Id

GateName = Literal[
    "persons_per_arm",
    "events",
    "events_per_parameter",
    "convergence",
    "max_smd",
    "ess",
    "equipoise",
    "positivity",
    "ease",
    "mdrr",
]
SEALING = "sealing"
"""What a waiver names in place of a gate, to let an analysis be told while others wait."""
OF_ADJUSTMENT = ("max_smd", "ess")
"""Gates that look at one adjustment; the others look at the people, the scores or the model."""
OF_ANALYSIS = ("events_per_parameter", "convergence")
"""Gates that look at the model of an analysis."""
OF_STUDY = ("ease", "mdrr")
"""Gates whose value other analyses of the study may tell."""
CEILINGS = ("max_smd", "ease", "mdrr")
"""Gates whose value may not exceed the threshold; that of the others may not fall below it."""
Named = Annotated[str, Field(min_length=2, max_length=80)]
Reason = Annotated[str, Field(min_length=10, max_length=500)]
DeclaredGates = Annotated[
    Literal["all"] | Annotated[tuple[GateName, ...], AS_TUPLE],
    Field(
        description="Gates that this analysis must pass before its outcome is told by arm; `all` "
        "for every gate of the study that judges it."
    ),
]


class Waiver(Frozen):
    """A gate that need not pass, or an analysis told while others wait: who, when and why."""

    gate: Annotated[
        GateName | Literal["sealing"],
        Field(
            description="The gate; `sealing` lets `analysis`, which declares no gates, be told "
            "while an analysis of the same outcome waits."
        ),
    ]
    analysis: Annotated[
        Id | None, Field(description="Only for this analysis; for all when left out.")
    ] = None
    by: Annotated[Named, Field(description="The person who decided it.")]
    date: Annotated[datetime.date, Field(description="The day of the decision.")]
    reason: Reason

    def as_dict(self) -> dict[str, str]:
        """Return who, when and why, for manifests and reports."""
        return {"by": self.by, "date": self.date.isoformat(), "reason": self.reason}


class Planned(Frozen):
    """When a primary analysis may be looked at: at a cut-off, or at a share of its events."""

    data_cutoff: Annotated[
        datetime.date | None, Field(description="Sealed until the data reach to this day.")
    ] = None
    information_fraction: Annotated[
        float | None,
        Field(gt=0, le=1, description="Sealed until this share of the events is seen."),
    ] = None
    events: Annotated[
        int | None, Field(ge=1, description="Events at which the information is complete.")
    ] = None

    @model_validator(mode="after")
    def _says_one_look(self) -> Self:
        by_events = (self.information_fraction, self.events)
        is_partial = (by_events[0] is None) != (by_events[1] is None)
        if is_partial or (self.data_cutoff is None) == (by_events[0] is None):
            what = "planned needs data_cutoff, or information_fraction with events"
            raise ValueError(what)
        return self

    def fraction_of(self, events: int) -> float | None:
        """Return the share of the planned events that is seen; None for a look at a cut-off."""
        return None if self.events is None else events / self.events

    def is_reached(self, data_cutoff: str, events: int) -> bool:
        """Whether the look may be taken.

        Args:
            data_cutoff: Day to which the data reach, in ISO form.
            events: Events seen in both arms.
        """
        if self.data_cutoff is not None:
            return data_cutoff[:10] >= self.data_cutoff.isoformat()
        return (self.fraction_of(events) or 0.0) >= (self.information_fraction or 1.0)
