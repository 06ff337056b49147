"""Scores that are probabilities: how calibration and decision curves are told."""

from typing import Annotated

from pydantic import Field

from tasks.core.spec.base import AS_TUPLE, Frozen


class CalibrationOf(Frozen):
    """How the calibration of a probability is looked at."""

    groups: Annotated[
        int,
        Field(
            ge=2, le=50, description="Groups between quantiles of the probability; 10 if absent."
        ),
    ] = 10
    span: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            description="Share of the readings that each local line of the curve is fitted to; "
            "2/3 if absent.",
        ),
    ] = 2 / 3


class DecisionCurve(Frozen):
    """At which thresholds acting on a probability is judged, and where."""

    thresholds: Annotated[
        tuple[Annotated[float, Field(gt=0, lt=1)], ...],
        AS_TUPLE,
        Field(
            min_length=1,
            max_length=99,
            description="Probabilities at which acting is worth it; 0.01 to 0.99 if absent.",
        ),
    ] = tuple(place / 100 for place in range(1, 100))
    prevalence: Annotated[
        float | None,
        Field(
            gt=0,
            lt=1,
            description="How common the condition is where the test is used; needed where cases "
            "were drawn by their truth.",
        ),
    ] = None
    as_probability: Annotated[
        bool,
        Field(description="Make the score a probability first, by logistic regression on it."),
    ] = False
