"""What is known of a person before time zero: one entry a covariate, or a family of them."""

from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from tasks.core.charlson import COMPONENTS
from tasks.core.spec.base import AS_TUPLE, ConceptId, Frozen, Id

EventTable = Literal[
    "condition_occurrence",
    "condition_era",
    "drug_exposure",
    "drug_era",
    "procedure_occurrence",
    "observation",
    "device_exposure",
    "measurement",
    "visit_occurrence",
]
EVENT_TABLES: tuple[str, ...] = get_args(EventTable)
_TABLE_OF_KIND = {
    "conditions": "condition_occurrence",
    "drugs": "drug_exposure",
    "procedures": "procedure_occurrence",
    "observations": "observation",
    "devices": "device_exposure",
}
_Day = Annotated[int, Field(ge=-36_500, le=-1, description="Days relative to time zero.")]
Ids = Annotated[tuple[Id, ...], AS_TUPLE]


class _Covariate(Frozen):
    """What every covariate says."""

    id: Id

    @property
    def lists_named(self) -> tuple[str, ...]:
        """Code lists that the covariate names."""
        return ()


class AgeCovariate(_Covariate):
    """Age at time zero, in years or in bands of them."""

    kind: Literal["age"]
    method: Annotated[
        Literal["calendar_year", "exact"],
        Field(
            description="calendar_year: year of time zero less year of birth. exact: completed "
            "years; an unknown month of birth counts as July, an unknown day as the 15th."
        ),
    ]
    bands: Annotated[
        tuple[Annotated[int, Field(ge=1, le=150)], ...],
        AS_TUPLE,
        Field(description="Ages at which a new band begins; in years when empty."),
    ] = ()

    @model_validator(mode="after")
    def _bands_rise(self) -> Self:
        if list(self.bands) != sorted(set(self.bands)):
            raise ValueError("bands must rise")
        return self


class SexCovariate(_Covariate):
    """Sex as recorded."""

    kind: Literal["sex"]


class CalendarCovariate(_Covariate):
    """Calendar time of time zero: one covariate a year, quarter or month, or years as a line."""

    kind: Literal["calendar"]
    unit: Literal["year", "quarter", "month", "linear"]


class SiteCovariate(_Covariate):
    """The site where the person was seen."""

    kind: Literal["site"]


class DeviceImageCovariate(_Covariate):
    """What the device log says of the image of time zero, known before any output was shown."""

    kind: Literal["device_image"]
    column: Literal["scanner", "body_part"]


class _Window(_Covariate):
    """A window of days, all of them before time zero."""

    window_start_days: _Day
    window_end_days: _Day

    @model_validator(mode="after")
    def _window_runs_forward(self) -> Self:
        if self.window_end_days < self.window_start_days:
            raise ValueError("window_end_days lies before window_start_days")
        return self


class _History(_Window):
    """What is taken from the records before time zero."""

    min_share: Annotated[
        float, Field(gt=0, lt=0.5, description="Leave out what fewer, or all but fewer, have.")
    ]


class ConceptCovariates(_History):
    """Any record of a domain before time zero, one covariate a concept."""

    kind: Literal["conditions", "drugs", "procedures", "observations", "devices"]
    exclude: Annotated[Ids, Field(description="Code lists whose concepts are left out.")] = ()

    @property
    def table(self) -> str:
        """The table of events."""
        return _TABLE_OF_KIND[self.kind]

    @property
    def lists_named(self) -> tuple[str, ...]:
        """Code lists that are left out."""
        return self.exclude


class NamedCovariates(_History):
    """Records that the study names before time zero, one covariate a code list."""

    kind: Literal["named", "named_conditions"]
    domain: Annotated[
        EventTable | None, Field(description="Table of the records; conditions are understood.")
    ] = None
    code_lists: Annotated[Ids, Field(min_length=1)]

    @model_validator(mode="after")
    def _has_one_domain(self) -> Self:
        if (self.kind == "named") == (self.domain is None):
            raise ValueError("kind named needs domain, named_conditions has none")
        return self

    @property
    def table(self) -> str:
        """The table of events."""
        return self.domain or "condition_occurrence"

    @property
    def lists_named(self) -> tuple[str, ...]:
        """One code list a covariate."""
        return self.code_lists


class VisitCovariate(_History):
    """The number of visits before time zero, of some kinds or of all."""

    kind: Literal["visits"]
    code_lists: Annotated[Ids, Field(description="One covariate each; all visits when empty.")] = ()

    @property
    def lists_named(self) -> tuple[str, ...]:
        """One code list a covariate."""
        return self.code_lists


class MeasurementCovariates(_History):
    """Measurements before time zero: whether there is one, its value, or whether it is abnormal."""

    kind: Literal["measurements"]
    code_lists: Annotated[
        Ids, Field(description="One covariate each; one a measurement concept when empty.")
    ] = ()
    value: Annotated[
        Literal["any", "last", "mean", "abnormal"],
        Field(description="abnormal: some value lies outside the range that its record gives."),
    ]
    unit: Annotated[
        ConceptId | None,
        Field(description="Only values in this unit; all must have one unit when left out."),
    ] = None
    missing: Annotated[
        Literal["complete_case", "indicator", "refuse"] | None,
        Field(
            description="What happens to persons without a value: left out and counted, marked by "
            "a covariate of their own, or the study stops."
        ),
    ] = None

    @model_validator(mode="after")
    def _says_what_is_missing(self) -> Self:
        if (self.value == "any") != (self.missing is None):
            raise ValueError(
                "value last, mean and abnormal need missing: complete_case, indicator or refuse; "
                "value any has none"
            )
        if self.unit is not None and self.value not in {"last", "mean"}:
            raise ValueError(f"value {self.value} uses no unit")
        if self.missing in {"complete_case", "refuse"} and not self.code_lists:
            raise ValueError(f"missing: {self.missing} needs code_lists; nobody has every concept")
        return self

    @property
    def lists_named(self) -> tuple[str, ...]:
        """One code list a covariate."""
        return self.code_lists


class CharlsonCovariate(_Window):
    """Charlson comorbidity index, from source codes of ICD-10 and KCD or from code lists."""

    kind: Literal["charlson"]
    weights: Literal["charlson_1987", "quan_2011"]
    components: Annotated[
        dict[str, Id],
        Field(
            max_length=20,
            description="Code list of each component; the published codes when empty.",
        ),
    ] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names_every_component(self) -> Self:
        given = set(self.components)
        if given and given != set(COMPONENTS):
            wrong = sorted(given ^ set(COMPONENTS))
            raise ValueError(f"components: {', '.join(wrong)} missing or unknown")
        return self

    @property
    def lists_named(self) -> tuple[str, ...]:
        """Code lists of the components."""
        return tuple(self.components.values())


class CohortCovariate(_History):
    """Members of a cohort on some day of the window, one covariate a cohort."""

    kind: Literal["cohort"]
    cohorts: Annotated[Ids, Field(min_length=1)]


ConditionCovariates = ConceptCovariates
NamedConditionCovariates = NamedCovariates
Covariate = Annotated[
    AgeCovariate
    | SexCovariate
    | CalendarCovariate
    | SiteCovariate
    | DeviceImageCovariate
    | ConceptCovariates
    | NamedCovariates
    | VisitCovariate
    | MeasurementCovariates
    | CharlsonCovariate
    | CohortCovariate,
    Field(discriminator="kind"),
]
