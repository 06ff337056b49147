"""Where the data of a study come from: the lake's own tables, or one delivered registry table.

Each kind of table maps columns to roles; docs/sources.md tells what each role means.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tasks.core.spec.base import AS_TUPLE, Frozen, Id, SiteId
from tasks.core.spec.columns import (
    Category,
    Cell,
    Coded,
    ColumnName,
    Columns,
    FollowUpColumn,
    Names,
    TableName,
    TimeColumn,
)


class LakeSource(Frozen):
    """Cohorts are built from the OMOP tables of the lake."""

    id: Id
    kind: Literal["lake"]
    sites: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$")], ...],
        AS_TUPLE,
        Field(description="Sites to use; all sites of the lake when empty."),
    ] = ()
    site_prefix: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$",
            description="Use the sites whose id starts so, and no other; instead of `sites`.",
        ),
    ] = None

    @model_validator(mode="after")
    def _chooses_sites_in_one_way(self) -> Self:
        if self.sites and self.site_prefix:
            raise ValueError("sites and site_prefix stand together; keep one of them")
        return self

    def takes(self, site_id: object) -> bool:
        """Whether rows of this site belong to the study."""
        if self.site_prefix:
            return str(site_id).startswith(self.site_prefix)
        return not self.sites or site_id in self.sites


class _Table(Frozen):
    """One delivered table (`format: table`) of one site."""

    id: Id
    site_id: SiteId
    table: TableName
    missing: Annotated[
        Literal["complete_case", "refuse"],
        Field(description="Leave rows out that lack what an analysis needs, or refuse the table."),
    ]
    na: Annotated[
        tuple[Cell, ...], AS_TUPLE, Field(description="Texts that mean `missing`.", max_length=50)
    ] = ()
    columns: Columns = Field(default_factory=dict)

    @model_validator(mode="after")
    def _typed_columns_are_declared(self) -> Self:
        roles: Frozen = getattr(self, "roles")  # noqa: B009 - each kind has its own
        for role, allowed in _TYPED.items():
            for name in _names(getattr(roles, role, None)):
                _check_declared(role, name, self.columns, allowed)
        return self

    @property
    def lake_table(self) -> str:
        """Name of the table in the lake's schema `tables`."""
        return f"{self.site_id}__{self.table}"


_TYPED: Mapping[str, tuple[str, ...]] = {
    "treatment": ("category", "boolean", "number"),
    "covariates": ("number", "boolean", "category"),
    "time_varying": ("number", "boolean", "category"),
    "verification_covariates": ("number", "boolean", "category"),
    "moderators": ("number", "boolean", "category"),
    "parameters": ("number",),
}


def _names(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return value if isinstance(value, tuple) else ()


def _check_declared(role: str, name: str, columns: Columns, allowed: tuple[str, ...]) -> None:
    kind = type_of(columns, name)
    if kind not in allowed:
        found = f"it is {kind}" if kind else "it is missing there"
        what = f"role {role} needs column {name} under `columns` as {' or '.join(allowed)}"
        raise ValueError(f"{what}; {found}")


def type_of(columns: Columns, name: str) -> str:
    """Return `number`, `boolean`, `date`, `category`, or nothing for a column not declared."""
    kind = columns.get(name, "")
    return "category" if isinstance(kind, Category) else str(kind)


class AnalysisRoles(Frozen):
    """Persons with follow-up or an outcome: a row a person, or intervals `start` to `stop`."""

    person_id: ColumnName | None = None
    site: ColumnName | None = None
    treatment: ColumnName | None = None
    outcome: Coded | None = None
    follow_up: FollowUpColumn | None = None
    event: Coded | None = None
    entry: TimeColumn | None = None
    start: TimeColumn | None = None
    stop: TimeColumn | None = None
    strata: Names = ()
    cluster: ColumnName | None = None
    weight: ColumnName | None = None
    covariates: Names = ()
    time_varying: Names = ()
    treatment_start: Annotated[
        TimeColumn | None,
        Field(description="When treatment began, from time zero; empty where it never did."),
    ] = None

    @model_validator(mode="after")
    def _tells_time_in_one_way(self) -> Self:
        if (self.start is None) != (self.stop is None):
            raise ValueError("start and stop belong together; give both")
        if self.start and (self.follow_up or self.entry):
            raise ValueError("rows have start and stop, or follow_up (with entry); keep one way")
        if self.start and self.person_id is None:
            raise ValueError("intervals need person_id: several rows are of one person")
        if self.entry and not self.follow_up:
            raise ValueError("entry needs follow_up: the time at which a person leaves")
        if self.entry and self.follow_up and self.follow_up.zero == "keep":
            raise ValueError("zero: keep needs rows that all start at 0; remove it, or entry")
        if self.treatment_start and not self.follow_up:
            raise ValueError("treatment_start needs follow_up: both count from time zero")
        if self.time_varying and not self.start:
            raise ValueError("time_varying columns need start and stop")
        return self

    @model_validator(mode="after")
    def _has_something_to_analyse(self) -> Self:
        timed = self.follow_up or self.start
        if bool(timed) != bool(self.event):
            raise ValueError("time (follow_up, or start and stop) and event belong together")
        if not timed and not self.outcome:
            raise ValueError("give follow_up and event, start, stop and event, or outcome")
        if self.outcome and 2 in self.outcome.meanings.values() and self.outcome.codes:
            raise ValueError("outcome is 0 or 1; a competing event (2) belongs to `event`")
        return self


class AnalysisTable(_Table):
    """An analysis-ready table of persons."""

    kind: Literal["analysis_table"]
    roles: AnalysisRoles

    @property
    def outcome_is_number(self) -> bool:
        """Whether the outcome is a number: declared so under `columns`, and without codes."""
        outcome = self.roles.outcome
        return (
            outcome is not None
            and outcome.codes is None
            and type_of(self.columns, outcome.column) == "number"
        )

    @property
    def has_intervals(self) -> bool:
        """Whether a person may have several rows, one an interval."""
        return self.roles.start is not None


class ReadingRoles(Frozen):
    """One row a case, reader and modality."""

    case_id: ColumnName
    truth: Coded | None = None
    person_id: ColumnName | None = None
    reader: ColumnName | None = None
    modality: ColumnName | None = None
    score: ColumnName | None = None
    output: Annotated[
        Coded | None,
        Field(description="0 a score was given, 1 indeterminate, 2 failed: then it is empty."),
    ] = None
    verified: Coded | None = None
    verification_covariates: Names = ()
    weight: ColumnName | None = None
    site: ColumnName | None = None
    time: TimeColumn | None = None
    event: Coded | None = None
    reference_standard: Annotated[
        ColumnName | None, Field(description="Which reference standard gave the truth of a case.")
    ] = None
    reference_uses_index: Annotated[
        Coded | None, Field(description="1 where the reference standard knew the index test.")
    ] = None
    reference_delay: Annotated[
        TimeColumn | None, Field(description="Time from the index test to the reference standard.")
    ] = None
    treated_between: Annotated[
        Coded | None, Field(description="1 where treatment began between test and reference.")
    ] = None
    reading_seconds: Annotated[
        ColumnName | None, Field(description="Seconds that a reading took.")
    ] = None

    @model_validator(mode="after")
    def _tells_what_became_of_cases(self) -> Self:
        if self.truth is None and (self.time is None or self.event is None):
            raise ValueError("name the column of truth, or those of time and event")
        return self


class ReadingTable(_Table):
    """Readings of cases, for the validation of a device."""

    kind: Literal["reading_table"]
    roles: ReadingRoles
    sampling: Annotated[
        Literal["cohort", "case_control"],
        Field(description="Whether cases came as they come, or were drawn by their truth."),
    ] = "cohort"


class TwoByTwoRoles(Frozen):
    """Counts of true and false results; one row a study or site."""

    tp: ColumnName
    fp: ColumnName
    fn: ColumnName
    tn: ColumnName
    study: ColumnName | None = None
    site: ColumnName | None = None

    @model_validator(mode="after")
    def _is_of_studies_or_sites(self) -> Self:
        if self.study and self.site:
            raise ValueError("a row is of a study or of a site; keep one of them")
        return self


class TwoByTwoTable(_Table):
    """Two-by-two tables of a test against the truth."""

    kind: Literal["two_by_two_table"]
    roles: TwoByTwoRoles


class EffectRoles(Frozen):
    """An effect a study or site: an estimate with its standard error, or counts of two arms."""

    study: ColumnName | None = None
    site: ColumnName | None = None
    estimate: ColumnName | None = None
    std_error: ColumnName | None = None
    scale: Annotated[
        Literal["identity", "log"] | None,
        Field(description="Whether `estimate` is a difference, or the log of a ratio."),
    ] = None
    target_events: ColumnName | None = None
    target_non_events: ColumnName | None = None
    target_total: ColumnName | None = None
    comparator_events: ColumnName | None = None
    comparator_non_events: ColumnName | None = None
    comparator_total: ColumnName | None = None
    moderators: Names = ()

    @model_validator(mode="after")
    def _is_of_studies_or_sites(self) -> Self:
        if (self.study is None) == (self.site is None):
            raise ValueError("name the column of the study, or that of the site")
        return self

    @model_validator(mode="after")
    def _gives_effects_in_one_way(self) -> Self:
        estimates = [self.estimate, self.std_error, self.scale]
        counts = [bool(self._counts(arm)) for arm in ("target", "comparator")]
        if any(estimates) == any(counts):
            raise ValueError("give estimate, std_error and scale, or counts of the arms; not both")
        if any(estimates) and not all(estimates):
            raise ValueError("estimate, std_error and scale belong together")
        if any(counts) and not (self._is_counted("target") and self._second_arm_is_whole()):
            raise ValueError("each arm needs events, and either non_events or total")
        return self

    def _second_arm_is_whole(self) -> bool:
        """Whether the comparator is counted, or not there at all: then rows are proportions."""
        return not self._counts("comparator") or self._is_counted("comparator")

    def _counts(self, arm: str) -> list[str]:
        parts = ("events", "non_events", "total")
        return [part for part in parts if getattr(self, f"{arm}_{part}")]

    def _is_counted(self, arm: str) -> bool:
        return self._counts(arm) in (["events", "non_events"], ["events", "total"])


class EffectTable(_Table):
    """Effects of studies or sites, to be pooled."""

    kind: Literal["effect_table"]
    roles: EffectRoles


class CostHistoryRoles(Frozen):
    """Costs of intervals of time within a person's follow-up."""

    person_id: ColumnName
    cost: ColumnName
    start: TimeColumn
    stop: TimeColumn
    survival: TimeColumn
    event: Coded
    treatment: ColumnName | None = None
    site: ColumnName | None = None


class CostHistoryTable(_Table):
    """Cost histories of persons whose follow-up may be censored."""

    kind: Literal["cost_history_table"]
    roles: CostHistoryRoles


StrategyName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,47}$")]


class StrategyColumns(Frozen):
    """Where the cost and the effect of one strategy stand."""

    cost: ColumnName
    effect: ColumnName


class PsaRoles(Frozen):
    """Draws of a probabilistic analysis: a row a draw, or a row a draw and strategy."""

    draw: ColumnName
    strategies: Annotated[Mapping[StrategyName, StrategyColumns], Field(max_length=50)] = {}
    strategy: ColumnName | None = None
    cost: ColumnName | None = None
    effect: ColumnName | None = None
    parameters: Names = ()

    @model_validator(mode="after")
    def _names_strategies_in_one_way(self) -> Self:
        tall = (self.strategy, self.cost, self.effect)
        if bool(self.strategies) == any(tall) or (any(tall) and not all(tall)):
            raise ValueError("give strategies, or the columns strategy, cost and effect; not both")
        return self


class PsaTable(_Table):
    """Costs and effects of strategies, draw by draw."""

    kind: Literal["psa_table"]
    roles: PsaRoles


class SeriesRoles(Frozen):
    """A value at each time, of one series or one a site."""

    time: ColumnName
    value: ColumnName
    denominator: ColumnName | None = None
    intervention: Coded | None = None
    site: ColumnName | None = None
    covariates: Names = ()


class SeriesTable(_Table):
    """A time series, for interrupted time series; `time` is declared as number or date."""

    kind: Literal["series_table"]
    roles: SeriesRoles

    @model_validator(mode="after")
    def _time_is_typed(self) -> Self:
        _check_declared("time", self.roles.time, self.columns, ("number", "date"))
        return self


TableSource = (
    AnalysisTable
    | ReadingTable
    | TwoByTwoTable
    | EffectTable
    | CostHistoryTable
    | PsaTable
    | SeriesTable
)
Source = Annotated[LakeSource | TableSource, Field(discriminator="kind")]


def role_columns(source: TableSource) -> Iterator[tuple[str, str]]:
    """Yield each role of a table and the column that fills it."""
    for role, value in source.roles:
        if isinstance(value, Frozen):
            value = getattr(value, "column", None)
        yield from ((role, name) for name in _names(value) if role != "scale")
