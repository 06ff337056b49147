"""What is done about covariates that a row of a registry table lacks."""

from typing import Annotated, Literal

from pydantic import Field

from tasks.core.spec.base import Frozen


class MultipleImputation(Frozen):
    """Chained equations with predictive mean matching, pooled by Rubin's rules.

    The outcome, and for a time the cumulative hazard, help to predict; they are never imputed.
    """

    method: Literal["multiple_imputation"]
    imputations: Annotated[int, Field(ge=2, le=1000, description="Data sets that are made.")]
    iterations: Annotated[
        int, Field(ge=1, le=200, description="How often all columns are visited for each.")
    ]
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)]


class MissingIndicator(Frozen):
    """A value of its own for what is missing, as columns of the model; biased in general."""

    method: Literal["missing_indicator"]


MissingData = Annotated[MultipleImputation | MissingIndicator, Field(discriminator="method")]
