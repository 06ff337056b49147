"""What is asked of ROC curves, and how a threshold is chosen: blocks of analyses of readings."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tasks.core.spec.base import AS_TUPLE, Frozen
from tasks.core.spec.columns import ColumnName

Share = Annotated[float, Field(gt=0, lt=1)]


class CurvePart(Frozen):
    """A part of the curve: the specificities, or the sensitivities, between two values."""

    of: Literal["specificity", "sensitivity"]
    low: Annotated[float, Field(ge=0, lt=1)]
    high: Annotated[float, Field(gt=0, le=1)] = 1.0

    @model_validator(mode="after")
    def _has_a_width(self) -> Self:
        if not self.low < self.high:
            raise ValueError("low has to lie below high")
        if (self.low, self.high) == (0.0, 1.0):
            raise ValueError("this is the whole curve, whose area is there anyway")
        return self


class Roc(Frozen):
    """Areas of parts, and values at fixed ones, beside the area under the whole curve."""

    parts: Annotated[
        tuple[CurvePart, ...],
        AS_TUPLE,
        Field(max_length=6, description="Parts of the curve whose areas are told as well."),
    ] = ()
    at_specificity: Annotated[
        tuple[Share, ...],
        AS_TUPLE,
        Field(max_length=10, description="Specificities at which the sensitivity is told."),
    ] = ()
    at_sensitivity: Annotated[
        tuple[Share, ...],
        AS_TUPLE,
        Field(max_length=10, description="Sensitivities at which the specificity is told."),
    ] = ()


class OperatingPoint(Frozen):
    """How a threshold is chosen on one set of cases, and on which other it is judged."""

    chosen_by: Annotated[
        Literal["youden", "sensitivity", "specificity", "cost"],
        Field(description="Largest sum of both, what is reached at least, or the lowest cost."),
    ]
    at_least: Annotated[
        Share | None, Field(description="The sensitivity or specificity that has to be reached.")
    ] = None
    cost_ratio: Annotated[
        float | None,
        Field(gt=0, le=1e6, description="Cost of a missed case over that of a false alarm."),
    ] = None
    prevalence: Annotated[
        Share | None, Field(description="Share with the condition where the device is used.")
    ] = None
    set: Annotated[ColumnName, Field(description="The column that tells the sets apart.")]
    development: Annotated[
        str, Field(min_length=1, max_length=80, description="Its level on which it is chosen.")
    ]
    validation: Annotated[
        str, Field(min_length=1, max_length=80, description="Its level on which it is judged.")
    ]

    @model_validator(mode="after")
    def _is_judged_elsewhere(self) -> Self:
        if self.development == self.validation:
            raise ValueError("development and validation are the same cases: name another level")
        return self

    @model_validator(mode="after")
    def _has_what_its_rule_needs(self) -> Self:
        reaches = self.chosen_by in ("sensitivity", "specificity")
        if reaches != (self.at_least is not None):
            need = "needs" if reaches else "takes no"
            raise ValueError(f"chosen_by {self.chosen_by} {need} at_least")
        for name in ("cost_ratio", "prevalence"):
            if (self.chosen_by == "cost") != (getattr(self, name) is not None):
                need = "needs" if self.chosen_by == "cost" else "takes no"
                raise ValueError(f"chosen_by {self.chosen_by} {need} {name}")
        return self
