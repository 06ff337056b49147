"""What is estimated, for whom, and where it can be seen: the words that a reviewer signs."""

from typing import Annotated, Literal

from pydantic import Field

from tasks.core.spec.base import AS_TUPLE, Frozen, Id, Text
from tasks.core.spec.conditions import Condition
from tasks.core.spec.methods import BY_MODELS

SummaryMeasure = Literal[
    "hazard_ratio",
    "risk_difference",
    "risk_ratio",
    "rmst_difference",
    "rate_ratio",
    "rate_difference",
]
METHODS_OF_MEASURES: dict[str, tuple[str, ...]] = {
    "hazard_ratio": ("cox",),
    "risk_difference": ("cumulative_incidence", *BY_MODELS),
    "risk_ratio": ("cumulative_incidence", *BY_MODELS),
    "rmst_difference": ("rmst", *BY_MODELS),
    "rate_ratio": ("incidence_rate",),
    "rate_difference": ("incidence_rate",),
}
"""The methods of an analysis that estimate a summary measure, the plain one first."""
KEYS_OF_MEASURES = {"risk_difference": "table_days", "risk_ratio": "table_days"}
KEYS_OF_MEASURES |= {"rmst_difference": "horizon_days"}
"""The key that has one of several measures of a method estimated."""
MEASURES_OF_STRATEGIES = ("risk_difference", "risk_ratio", "rmst_difference")
"""Those that clone_censor_weight estimates, of strategies with a grace period."""


class Strategies(Frozen):
    """What is done in each arm, precisely enough to do it again."""

    target: Text
    comparator: Text


class IntercurrentEvent(Frozen):
    """Something after time zero that changes what the outcome means, and what is done about it."""

    event: Text
    strategy: Literal[
        "treatment_policy",
        "composite",
        "hypothetical",
        "while_on_treatment",
        "principal_stratum",
    ]
    how: Text


class Estimand(Frozen):
    """One quantity of interest, in the five attributes of ICH E9(R1); strategies stand apart."""

    id: Id
    statement: Text
    population: Text
    variable: Text
    summary_measure: SummaryMeasure
    intercurrent_events: Annotated[tuple[IntercurrentEvent, ...], AS_TUPLE]


class Seen(Frozen):
    """Where a kind of event can be seen; what happens elsewhere is missed."""

    source: Annotated[
        Literal[
            "hospital",
            "linked_claims",
            "registry",
            "national_death_register",
            "simulated",
            "not_observed",
        ],
        Field(description="not_observed: such events are in no data of the study."),
    ]
    linkage: Annotated[Text | None, Field(description="How records are joined; null: not joined.")]
    catchment: Annotated[Text, Field(description="Of whom events are seen, and of whom not.")]


class Observability(Frozen):
    """Where the outcome and death can be seen."""

    outcome: Seen
    death: Seen


class StudyPopulation(Frozen):
    """Some of the people, as known at time zero; an analysis may be restricted to them."""

    id: Id
    name: Text
    require: Condition
