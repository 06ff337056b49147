"""What is taken to be wrong with a two-by-two table, and how sure one is of it."""

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tasks.core.spec.base import Frozen

Number = Annotated[float, Field(ge=0, le=1000)]


class Uniform(Frozen):
    """Any value between two is as likely as any other."""

    distribution: Literal["uniform"]
    low: Number
    high: Number

    @property
    def corners(self) -> tuple[float, float, float, float]:
        """Where the density starts, is at its height, leaves it, and ends."""
        return self.low, self.low, self.high, self.high


class Triangular(Frozen):
    """One value is likeliest."""

    distribution: Literal["triangular"]
    low: Number
    mode: Number
    high: Number

    @property
    def corners(self) -> tuple[float, float, float, float]:
        """Where the density starts, is at its height, leaves it, and ends."""
        return self.low, self.mode, self.mode, self.high


class Trapezoidal(Frozen):
    """A range of values is likeliest."""

    distribution: Literal["trapezoidal"]
    low: Number
    mode_low: Number
    mode_high: Number
    high: Number

    @property
    def corners(self) -> tuple[float, float, float, float]:
        """Where the density starts, is at its height, leaves it, and ends."""
        return self.low, self.mode_low, self.mode_high, self.high


class Beta(Frozen):
    """As after `a` successes and `b` failures of a validation study; of a share only."""

    distribution: Literal["beta"]
    a: Annotated[float, Field(gt=0, le=1e6)]
    b: Annotated[float, Field(gt=0, le=1e6)]


Spread = Annotated[Uniform | Triangular | Trapezoidal | Beta, Field(discriminator="distribution")]
Parameter = Number | Spread


class _Bias(Frozen):
    """Every kind of bias: its parameters are numbers, or distributions of them."""

    @property
    def parameters(self) -> dict[str, float | Spread | None]:
        """Its parameters by name; one left out is that of the other group."""
        return {name: value for name, value in self if name != "kind"}

    @property
    def is_drawn(self) -> bool:
        """Whether any parameter has a distribution."""
        return any(isinstance(value, Frozen) for value in self.parameters.values())

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        for name, value in self.parameters.items():
            if value is not None:
                _check(name, value)
        return self


def _check(name: str, value: float | Spread) -> None:
    corners = list(_corners(value))
    if corners != sorted(corners) or (len(corners) > 1 and corners[0] == corners[-1]):
        raise ValueError(f"{name}: its values do not rise from low to high")
    if name == "ratio":
        if isinstance(value, Beta) or corners[0] <= 0:
            raise ValueError("ratio is a number above 0, without a beta distribution")
    elif any(corner > 1 for corner in corners):
        raise ValueError(f"{name} is a share: at most 1")


def _corners(value: float | Spread) -> Iterator[float]:
    if isinstance(value, Beta):
        yield 0.0
    elif isinstance(value, Frozen):
        yield from value.corners
    else:
        yield value


class OutcomeMisclassified(_Bias):
    """The outcome is told with error; alike in both arms where the comparator's is left out."""

    kind: Literal["outcome_misclassification"]
    sensitivity: Parameter
    specificity: Parameter
    sensitivity_comparator: Parameter | None = None
    specificity_comparator: Parameter | None = None


class ExposureMisclassified(_Bias):
    """Treatment is told with error; alike with and without outcome where the latter is left out."""

    kind: Literal["exposure_misclassification"]
    sensitivity: Parameter
    specificity: Parameter
    sensitivity_non_events: Parameter | None = None
    specificity_non_events: Parameter | None = None


class UnmeasuredConfounder(_Bias):
    """A binary confounder that nobody measured."""

    kind: Literal["unmeasured_confounder"]
    prevalence_target: Parameter
    prevalence_comparator: Parameter
    ratio: Annotated[Parameter, Field(description="Its ratio with the outcome.")]


Bias = Annotated[
    OutcomeMisclassified | ExposureMisclassified | UnmeasuredConfounder,
    Field(discriminator="kind"),
]
