"""What is read from a registry table: typed fields, each with the column that it comes from.

The cohort room makes a workspace table of these fields; the analysis room asks for them by name.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from tasks.core.spec.analyses import Analysis
from tasks.core.spec.columns import DAYS_IN, Category, CodedColumn, Columns, TimeColumn
from tasks.core.spec.methods import METHODS_OF_TREATMENT
from tasks.core.spec.sources import (
    AnalysisTable,
    CostHistoryTable,
    EffectTable,
    PsaTable,
    ReadingRoles,
    ReadingTable,
    SeriesTable,
    TableSource,
    TwoByTwoTable,
)
from tasks.core.spec.terms import columns_in

FieldType = Literal["label", "number", "code", "category", "boolean", "date"]
Rule = Literal["", "positive", "not_negative", "count"]


@dataclass(frozen=True, slots=True)
class TableField:
    """One typed field of a workspace table.

    Args:
        name: Column of the workspace table.
        column: Column of the delivered table.
        type: How a text becomes a value.
        rule: What a number must be besides.
        factor: By what a number is multiplied, such as days in its unit.
        codes: For `code`, what each text stands for.
        levels: For `category`, the texts that may stand.
        after: For a time, the field of the same row that must be smaller.
        never: For a time, whether an empty cell means never: it is infinite, and no fault.
        is_time: It is a time; parts of a day smaller than a billionth are rounded off, so that
            times that were computed, such as age plus follow-up, are tied where they should be.
        keeps_zero: For a time, whether 0 is no fault; it is read as the first moment after 0.
    """

    name: str
    column: str
    type: FieldType
    rule: Rule = ""
    factor: float = 1.0
    codes: tuple[tuple[str, int], ...] = ()
    levels: tuple[str, ...] = ()
    after: str = ""
    never: bool = False
    is_time: bool = False
    keeps_zero: bool = False


def column_field(name: str, columns: Columns) -> TableField:
    """Return the field of a declared column; it is named `x_` and the column."""
    kind = columns[name]
    if isinstance(kind, Category):
        return TableField(f"x_{name}", name, "category", levels=kind.category)
    return TableField(f"x_{name}", name, kind)


def label_field(name: str) -> TableField:
    """Return the field of a column that only tells rows apart; it is named `label_…`."""
    return TableField(f"label_{name}", name, "label")


def exposure_field(name: str) -> TableField:
    """Return the field of what counts are of, such as person-time; named `exposure_…`."""
    return TableField(f"exposure_{name}", name, "number", "positive")


def reads_time(source: TableSource, analysis: Analysis) -> bool:
    """Return whether an analysis reads events and time, not the role outcome."""
    wanted = analysis.rule.outcome
    if not wanted.endswith("or time") or not isinstance(source, AnalysisTable):
        return wanted == "time"
    asks_days = bool(analysis.table_days or analysis.horizon_days)
    return source.roles.outcome is None or (wanted == "outcome or time" and asks_days)


def follows_persons(source: TableSource, analysis: Analysis) -> bool:
    """Return whether an analysis holds groups or terms against follow-up of persons."""
    return analysis.rule.outcome != "count or time" and reads_time(source, analysis)


def time_field(
    role: str, time: TimeColumn, rule: Rule = "not_negative", after: str = ""
) -> TableField:
    """Return the field of a time in days; it is named by its role, such as `start_days`."""
    factor = DAYS_IN[time.unit]
    return TableField(
        f"{role}_days", time.column, "number", rule, factor, after=after, is_time=True
    )


def code_field(role: str, coded: CodedColumn, highest: int = 1) -> TableField:
    """Return the field of a coded column, named by its role.

    Where the study gives no codes, a logical column as R and Python write it is read as well.
    """
    meanings = {**({} if coded.codes else _LOGICAL), **coded.meanings}
    codes = tuple((text, code) for text, code in meanings.items() if code <= highest)
    return TableField(role, coded.column, "code", codes=tuple(sorted(codes)))


_LOGICAL = {"FALSE": 0, "TRUE": 1, "False": 0, "True": 1}


def role_fields(source: TableSource) -> tuple[TableField, ...]:
    """Return the fields that the roles of a table make, in the order of the roles."""
    return tuple(_ROLE_FIELDS[source.kind](source))


def all_fields(source: TableSource, analyses: tuple[Analysis, ...] = ()) -> tuple[TableField, ...]:
    """Return every field of a table: of its roles, its declared columns, and of its analyses."""
    found = list(role_fields(source))
    found += [column_field(name, source.columns) for name in source.columns]
    for analysis in analyses:
        named = (*analysis.strata, *((analysis.cluster,) if analysis.cluster else ()))
        named = (*named, *analysis.exact)
        found += [label_field(name) for name in named]
        found += [exposure_field(analysis.exposure)] if analysis.exposure else []
    return tuple({field.name: field for field in found}.values())


def group_column(source: TableSource, analysis: Analysis) -> str | None:
    """Return the column whose levels an analysis compares, if any."""
    if analysis.by is not None or not isinstance(source, AnalysisTable):
        return analysis.by
    if analysis.rule.models_groups and analysis.terms is not None:
        return None
    name = source.roles.treatment
    return None if name is None or source.columns[name] == "number" else name


def columns_compared(source: TableSource, analysis: Analysis) -> set[str]:
    """Return every column whose levels an analysis may hold against one another."""
    found = {analysis.by, *columns_in(analysis.parsed_terms), *analysis.strata}
    if isinstance(source, AnalysisTable) and not _is_of_terms_alone(analysis):
        found |= {group_column(source, analysis), source.roles.treatment}
        found |= {start.column for start in (source.roles.treatment_start,) if start}
    return {name for name in found if name}


def _is_of_terms_alone(analysis: Analysis) -> bool:
    """Whether a model says nothing of a treatment that is not among its terms."""
    by_terms = analysis.rule.models_groups or "terms" in analysis.rule.table_needs
    return by_terms and analysis.terms is not None and analysis.adjustment == "none"


def arm_columns(source: TableSource, analysis: Analysis) -> set[str]:
    """Return the columns of the arms of an analysis: the treatment if it has it, or all columns."""
    compared = columns_compared(source, analysis)
    if not isinstance(source, AnalysisTable):
        return compared
    return compared & {source.roles.treatment} or compared


def outcome_columns(source: TableSource) -> set[str]:
    """Return the columns that tell the outcome of a table; its name where no role does."""
    if not isinstance(source, AnalysisTable):
        return {source.table}
    coded = (source.roles.event, source.roles.outcome)
    return {one.column for one in coded if one is not None}


def reads_treatment_path(source: AnalysisTable, analysis: Analysis) -> bool:
    """Whether an analysis reads from intervals when treatment starts and stops."""
    is_of_time = analysis.rule.takes_start or analysis.method == "sequential_trials"
    return is_of_time and source.has_intervals


def fields_used(source: TableSource, analysis: Analysis) -> tuple[TableField, ...]:
    """Return the fields that a row must have filled to be in an analysis."""
    by_name = {field.name: field for field in all_fields(source, (analysis,))}
    return tuple(by_name[name] for name in dict.fromkeys(_names_used(source, analysis)))


def may_lack(source: TableSource, analysis: Analysis) -> tuple[str, ...]:
    """Return the fields that a row of readings may lack: another field says why it does."""
    if not isinstance(source, ReadingTable):
        return ()
    unscored = ("score",) if source.roles.output else ()
    return (*unscored, *analysis.rule.may_lack)


def _names_of_readings(source: ReadingTable, analysis: Analysis) -> Iterator[str]:
    wanted = {"case_id", "truth", *analysis.rule.reads}
    # Net benefit is of follow-up where days are named, else of the truth.
    is_followed = analysis.horizon_days is not None
    wanted -= {"truth", "verified"} if is_followed else {"event", "time_days"}
    yield from (field.name for field in role_fields(source) if field.name in wanted)
    named = (*analysis.subgroups, *((analysis.by,) if analysis.by else ()))
    if analysis.operating_point is not None:
        named = (*named, analysis.operating_point.set)
    if "verification_covariates" in wanted:
        named = (*named, *source.roles.verification_covariates)
    yield from (f"x_{name}" for name in (*named, *columns_in(analysis.parsed_terms)))


def _names_used(source: TableSource, analysis: Analysis) -> Iterator[str]:
    if isinstance(source, ReadingTable) and analysis.method != "describe":
        yield from _names_of_readings(source, analysis)
        return
    if not isinstance(source, AnalysisTable) or analysis.method == "describe":
        if analysis.method != "describe":
            yield from (field.name for field in role_fields(source))
        yield from (f"x_{name}" for name in _named_of_effects(analysis))
        return
    wanted = {"person_id", "weight"}
    wanted |= _TIMED if reads_time(source, analysis) else {"outcome"}
    wanted |= {"treatment_start_days"} if analysis.rule.takes_start else set()
    yield from (field.name for field in role_fields(source) if field.name in wanted)
    if (analysis.rule.is_grouped or reads_treatment_path(source, analysis)) and (
        by := group_column(source, analysis)
    ):
        yield f"x_{by}"
    yield from (f"label_{name}" for name in analysis.strata)
    if analysis.cluster:
        yield f"label_{analysis.cluster}"
    if analysis.exposure:
        yield f"exposure_{analysis.exposure}"
    named = (*columns_in(analysis.parsed_terms), *((analysis.wave,) if analysis.wave else ()))
    yield from (f"x_{name}" for name in (*named, *analysis.subgroups))
    yield from (f"x_{name}" for name in columns_in(analysis.parsed_censoring_terms))
    yield from (f"x_{name}" for name in _names_of_treatment(source, analysis))
    yield from (f"label_{name}" for name in analysis.exact)


def _named_of_effects(analysis: Analysis) -> Iterator[str]:
    """Yield the columns that an analysis names beside the roles of a table of effects."""
    yield from (name for name in (analysis.control, analysis.cumulative) if name)
    yield from columns_in(analysis.parsed_terms)


def _names_of_treatment(source: AnalysisTable, analysis: Analysis) -> Iterator[str]:
    """Yield the treatment, its instrument and the columns of its model, where they are used."""
    yield from columns_in(analysis.propensity_terms)
    yield from columns_in(analysis.instrument_terms)
    is_used = analysis.adjustment != "none" or analysis.method in METHODS_OF_TREATMENT
    if is_used and source.roles.treatment:
        yield source.roles.treatment


_TIMED = {"event", "follow_up_days", "entry_days", "start_days", "stop_days"}


def _analysis_fields(source: AnalysisTable) -> Iterator[TableField]:
    roles = source.roles
    yield from _labels(roles, "person_id", "site")
    yield from _early_times(source)
    if roles.follow_up:
        after = "entry_days" if roles.entry else ""
        keeps_zero = roles.follow_up.zero == "keep"
        made = time_field("follow_up", roles.follow_up, "positive", after)
        yield replace(made, keeps_zero=keeps_zero)
    if roles.start and roles.stop:
        yield time_field("start", roles.start)
        yield time_field("stop", roles.stop, "positive", "start_days")
    if roles.event:
        yield code_field("event", roles.event, highest=2)
    if roles.outcome:
        is_number = source.outcome_is_number
        number = TableField("outcome", roles.outcome.column, "number")
        yield number if is_number else code_field("outcome", roles.outcome)
    if roles.weight:
        yield TableField("weight", roles.weight, "number", "positive")
    yield from (label_field(name) for name in roles.strata)
    if roles.cluster:
        yield label_field(roles.cluster)


def _early_times(source: AnalysisTable) -> Iterator[TableField]:
    if entry := source.roles.entry:
        yield time_field("entry", entry)
    if treatment_start := source.roles.treatment_start:
        yield replace(time_field("treatment_start", treatment_start), never=True)


def _reading_fields(source: ReadingTable) -> Iterator[TableField]:
    roles = source.roles
    yield from _labels(
        roles, "case_id", "person_id", "reader", "modality", "site", "reference_standard"
    )
    if roles.truth:
        yield code_field("truth", roles.truth)
    if roles.score:
        yield TableField("score", roles.score, "number")
    if roles.output:
        yield code_field("output", roles.output, highest=2)
    if roles.weight:
        yield TableField("weight", roles.weight, "number", "positive")
    if roles.event:
        yield code_field("event", roles.event, highest=2)
    if roles.reading_seconds:
        yield TableField("reading_seconds", roles.reading_seconds, "number", "not_negative")
    yield from _fields_of_conduct(roles)


def _fields_of_conduct(roles: ReadingRoles) -> Iterator[TableField]:
    """Yield what tells how a case was verified, and when."""
    for name in ("verified", "reference_uses_index", "treated_between"):
        if coded := getattr(roles, name):
            yield code_field(name, coded)
    for name in ("time", "reference_delay"):
        if time := getattr(roles, name):
            yield time_field(name, time)


def _two_by_two_fields(source: TwoByTwoTable) -> Iterator[TableField]:
    yield from _labels(source.roles, "study", "site")
    for name in ("tp", "fp", "fn", "tn"):
        yield TableField(name, getattr(source.roles, name), "number", "count")


def _effect_fields(source: EffectTable) -> Iterator[TableField]:
    roles = source.roles
    yield from _labels(roles, "study", "site")
    if roles.estimate and roles.std_error:
        yield TableField("estimate", roles.estimate, "number")
        yield TableField("std_error", roles.std_error, "number", "positive")
    for arm in ("target", "comparator"):
        for part in ("events", "non_events", "total"):
            if column := getattr(roles, f"{arm}_{part}"):
                yield TableField(f"{arm}_{part}", column, "number", "count")


def _cost_fields(source: CostHistoryTable) -> Iterator[TableField]:
    roles = source.roles
    yield from _labels(roles, "person_id", "site")
    yield time_field("start", roles.start)
    # A cost of one moment starts and stops at once.
    yield time_field("stop", roles.stop)
    yield TableField("cost", roles.cost, "number", "not_negative")
    yield time_field("survival", roles.survival, "positive")
    yield code_field("event", roles.event)


def _psa_fields(source: PsaTable) -> Iterator[TableField]:
    roles = source.roles
    yield from _labels(roles, "draw", "strategy")
    for role in ("cost", "effect"):
        if column := getattr(roles, role):
            yield TableField(role, column, "number")
    for name, columns in sorted(roles.strategies.items()):
        yield TableField(f"cost_{name}", columns.cost, "number")
        yield TableField(f"effect_{name}", columns.effect, "number")


def _series_fields(source: SeriesTable) -> Iterator[TableField]:
    roles = source.roles
    yield from _labels(roles, "site")
    kind = source.columns[roles.time]
    yield TableField("time", roles.time, "date" if kind == "date" else "number")
    yield TableField("value", roles.value, "number")
    if roles.denominator:
        yield TableField("denominator", roles.denominator, "number", "positive")
    if roles.intervention:
        yield code_field("intervention", roles.intervention)


def _labels(roles: object, *names: str) -> Iterator[TableField]:
    for name in names:
        if column := getattr(roles, name):
            yield TableField(name, column, "label")


_ROLE_FIELDS: Mapping[str, Callable[[Any], Iterator[TableField]]] = {
    "analysis_table": _analysis_fields,
    "reading_table": _reading_fields,
    "two_by_two_table": _two_by_two_fields,
    "effect_table": _effect_fields,
    "cost_history_table": _cost_fields,
    "psa_table": _psa_fields,
    "series_table": _series_fields,
}

KEYS: Mapping[str, tuple[str, ...]] = {
    "analysis_table": ("site", "person_id"),
    "reading_table": ("site", "case_id", "reader", "modality"),
    "two_by_two_table": ("study", "site"),
    "effect_table": ("study", "site"),
    "psa_table": ("draw", "strategy"),
    "series_table": ("site", "time"),
}
"""Fields that tell the rows of a table apart: no two rows may agree in all of them."""


def key_of(source: TableSource) -> tuple[str, ...]:
    """Return the fields in which no two rows may agree; none where several rows are meant."""
    if isinstance(source, AnalysisTable) and (source.has_intervals or not source.roles.person_id):
        return ()
    there = {field.name for field in role_fields(source)}
    return tuple(name for name in KEYS.get(source.kind, ()) if name in there)
