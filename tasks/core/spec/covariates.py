"""What is known of a person before time zero."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tasks.core.spec.base import AS_TUPLE, Frozen, Id


class AgeCovariate(Frozen):
    """Age at time zero, in years."""

    id: Id
    kind: Literal["age"]
    method: Literal["calendar_year"]


class SexCovariate(Frozen):
    """Sex as recorded."""

    id: Id
    kind: Literal["sex"]


class _History(Frozen):
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
    exclude: Annotated[tuple[Id, ...], AS_TUPLE] = ()


class NamedConditionCovariates(_History):
    """Conditions that the study names before time zero, one covariate a code list."""

    kind: Literal["named_conditions"]
    code_lists: Annotated[tuple[Id, ...], AS_TUPLE, Field(min_length=1)]


Covariate = Annotated[
    AgeCovariate | SexCovariate | ConditionCovariates | NamedConditionCovariates,
    Field(discriminator="kind"),
]
