"""What is described without comparing: who they are, how often, when, with what, how complete."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tasks.core.omop import omop_tables
from tasks.core.spec.base import AS_TUPLE, Days, Frozen, Id, Offset
from tasks.core.spec.conditions import Period

EVERYBODY = "everybody_observed"
Interval = Literal["overall", "year", "quarter", "month"]
Ids = Annotated[tuple[Id, ...], AS_TUPLE]


class TableOne(Frozen):
    """Covariates of some cohorts, on the first day of each member, or of the two arms."""

    id: Id
    cohorts: Ids = ()
    of: Literal["arms"] | None = None
    covariates: Annotated[Ids, Field(min_length=1)]

    @model_validator(mode="after")
    def _describes_one_thing(self) -> Self:
        if bool(self.cohorts) == (self.of is not None):
            raise ValueError("needs exactly one of cohorts and of: arms")
        if len(set(self.cohorts)) < len(self.cohorts):
            raise ValueError("a cohort stands twice")
        return self


class _Strata(Frozen):
    """Some days only, and results of some persons beside those of all."""

    id: Id
    calendar: Annotated[
        Period | None, Field(description="Only these days count; earlier events are still seen.")
    ] = None
    by_sex: bool = False
    age_bands: Annotated[
        tuple[Annotated[int, Field(ge=1, le=150)], ...],
        AS_TUPLE,
        Field(description="Ages (calendar year less year of birth) at which a band begins."),
    ] = ()

    @model_validator(mode="after")
    def _bands_rise(self) -> Self:
        if list(self.age_bands) != sorted(set(self.age_bands)):
            raise ValueError("age_bands must rise")
        return self


class Incidence(_Strata):
    """New events by person-time at risk.

    A day is at risk when it lies in a span of `at_risk` and in observation, and no earlier event
    is still going on or ended less than `clean_window_days` before; an event counts when it begins
    on a day at risk.
    """

    at_risk: Annotated[Id, Field(description=f"A cohort, or {EVERYBODY}.")]
    outcome: Annotated[
        Id, Field(description="A cohort whose starts count, or a code list of conditions.")
    ]
    interval: Interval
    clean_window_days: Annotated[
        Days | Literal["ever"],
        Field(description="Days after the end of an event without risk; `ever`: for good."),
    ]
    repeated: Annotated[
        bool, Field(description="Count a person's later events too, after the clean window.")
    ]

    @model_validator(mode="after")
    def _may_repeat(self) -> Self:
        if self.repeated and self.clean_window_days == "ever":
            raise ValueError("repeated events need clean_window_days in days")
        return self


class Prevalence(_Strata):
    """Share of a population that is in a cohort."""

    population: Annotated[Id, Field(description=f"A cohort, or {EVERYBODY}.")]
    condition: Annotated[Id, Field(description="A cohort; its spans are the time of disease.")]
    interval: Literal["year", "quarter", "month"]
    type: Annotated[
        Literal["point", "period"],
        Field(
            description="point: on the first day of each interval. period: on any day of it, of "
            "those who are in the population on some day of it."
        ),
    ]


class TimeToEvent(Frozen):
    """When an event happens around an index day."""

    id: Id
    index: Annotated[Id, Field(description="Cohort; the first start of each person.")]
    event: Annotated[Id, Field(description="Cohort; every start counts.")]
    bins_days: Annotated[
        tuple[Offset, ...],
        AS_TUPLE,
        Field(min_length=2, max_length=60, description="A bin holds its first bound only."),
    ]

    @model_validator(mode="after")
    def _bins_rise(self) -> Self:
        if list(self.bins_days) != sorted(set(self.bins_days)):
            raise ValueError("bins_days must rise")
        return self


class TreatmentPatterns(Frozen):
    """The order in which treatments begin after an index day."""

    id: Id
    index: Annotated[Id, Field(description="Cohort; the first start of each person.")]
    treatments: Annotated[Ids, Field(min_length=1, max_length=20)]
    days: Annotated[int, Field(ge=1, le=36_500, description="Days from the index day on.")]
    max_steps: Annotated[int, Field(ge=1, le=10)]
    combine_days: Annotated[
        int,
        Field(ge=0, le=365, description="Treatments begun so close together are one step, A + B."),
    ] = 0

    @model_validator(mode="after")
    def _names_each_once(self) -> Self:
        if len(set(self.treatments)) < len(self.treatments):
            raise ValueError("a treatment stands twice")
        return self


class Missingness(Frozen):
    """How complete the tables are, of the persons of the study's sites."""

    id: Id
    tables: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[a-z][a-z_]{1,47}$")], ...],
        AS_TUPLE,
        Field(min_length=1, max_length=40),
    ]

    @model_validator(mode="after")
    def _tables_hold_persons(self) -> Self:
        known = {name for name, table in omop_tables().items() if table.has("person_id")}
        if unknown := sorted(set(self.tables) - known):
            raise ValueError(f"tables without persons, or unknown: {', '.join(unknown)}")
        return self


class Characterisation(Frozen):
    """Descriptions that a study asks for, each under its own id."""

    table_one: Annotated[tuple[TableOne, ...], AS_TUPLE] = ()
    incidence: Annotated[tuple[Incidence, ...], AS_TUPLE] = ()
    prevalence: Annotated[tuple[Prevalence, ...], AS_TUPLE] = ()
    time_to_event: Annotated[tuple[TimeToEvent, ...], AS_TUPLE] = ()
    treatment_patterns: Annotated[tuple[TreatmentPatterns, ...], AS_TUPLE] = ()
    missingness: Annotated[tuple[Missingness, ...], AS_TUPLE] = ()

    @property
    def ids(self) -> tuple[tuple[str, int, str], ...]:
        """Kind, place and id of every description, in the order of the study."""
        return tuple(
            (kind, place, item.id)
            for kind in type(self).model_fields
            for place, item in enumerate(getattr(self, kind))
        )
