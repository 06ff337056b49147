"""When the truth is known of some cases only, or from a reference that errs: blocks of analyses."""

from typing import Annotated, Literal

from pydantic import Field

from tasks.core.spec.base import AS_TUPLE, Frozen

_Odds = Annotated[float, Field(gt=0, le=1_000)]
_Accuracy = Annotated[float, Field(gt=0, le=1)]


class Verification(Frozen):
    """How the truth of cases that were not verified is made up for."""

    imputations: Annotated[
        int, Field(ge=2, le=1_000, description="Data sets of multiple imputation; 50 if absent.")
    ] = 50
    seed: Annotated[
        int, Field(ge=0, lt=2**31, description="Seed of the imputations: same seed, same numbers.")
    ] = 1
    odds_ratios: Annotated[
        tuple[_Odds, ...],
        AS_TUPLE,
        Field(
            max_length=20,
            description="Odds of the condition in cases not verified over those in verified ones "
            "with the same result and covariates; 1 is verification at random.",
        ),
    ] = (0.5, 2.0)


class KnownReference(Frozen):
    """Sensitivity and specificity of the reference standard, taken as known."""

    sensitivity: Annotated[
        _Accuracy, Field(description="Of the reference standard against the true condition.")
    ]
    specificity: Annotated[
        _Accuracy, Field(description="Of the reference standard against the true condition.")
    ]


class ImperfectReference(Frozen):
    """What is taken to be so where no reference standard is right."""

    reference_is_a_test: Annotated[
        bool, Field(description="Whether the truth of the table is one more test that may err.")
    ] = False
    populations: Annotated[
        Literal["one", "sites"],
        Field(description="Whether sites are populations of other prevalences, or all are one."),
    ] = "one"
    known: Annotated[
        tuple[KnownReference, ...],
        AS_TUPLE,
        Field(max_length=20, description="Accuracies of the reference to correct for."),
    ] = ()
