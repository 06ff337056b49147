"""Analyses of registry tables in which covariates are missing: imputed, or told by an indicator."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace

import duckdb
import numpy as np
import polars as pl

from tasks.analysis.people import FloatArray, IntArray
from tasks.analysis.table_asked import EFFECTS, AskedOfTable, Row, events_of, ratio_of
from tasks.analysis.table_rows import TableRows, attrition_of, attrition_results, read_rows
from tasks.core.errors import EstimationError
from tasks.core.spec import Analysis
from tasks.core.spec.columns import Category
from tasks.core.spec.missing import MultipleImputation
from tasks.core.spec.sources import TableSource
from tasks.core.spec.table_fields import follows_persons
from tasks.core.spec.terms import columns_in
from tasks.stats.imputation import Variable, cumulative_hazard_at, impute
from tasks.stats.rubin import Pooled, pool

Estimated = Callable[[AskedOfTable], list[Row]]
LACKING = "__missing"
"""After the name of a field: whether each row lacks it."""
_KEY = (
    "estimate_name method population estimand target comparator arm term stratum_name "
    "stratum_level scenario at unit se_method ci_method"
).split()


def analyse_with_missing(
    con: duckdb.DuckDBPyConnection, source: TableSource, analysis: Analysis, estimated: Estimated
) -> tuple[pl.DataFrame, list[Row]]:
    """Return the attrition and the results of an analysis that says `missing_data`.

    Rows that lack a covariate of the terms are kept, and rows with any other fault are lost as
    always. The complete cases are analysed beside it.

    Args:
        con: The workspace.
        source: The table.
        analysis: The analysis.
        estimated: Makes the rows of results of usable rows.
    """
    fields = imputed_fields(analysis)
    rows = read_rows(con, source, analysis, keep_missing=fields)
    attrition = attrition_of(rows)
    found = attrition_results(rows, attrition) + _what_is_missing(con, rows, fields)
    if isinstance(analysis.missing_data, MultipleImputation):
        found += _pooled(con, rows, analysis.missing_data, estimated)
    else:
        made = estimated(AskedOfTable(con, with_indicators(rows)))
        found += [row | {"scenario": "missing_indicator"} for row in made]
    complete = estimated(AskedOfTable(con, read_rows(con, source, analysis)))
    beside = {"scenario": "complete_case", "role": "sensitivity"}
    return attrition, found + [row | beside for row in complete]


def imputed_fields(analysis: Analysis) -> tuple[str, ...]:
    """Return the fields that may be missing: the columns of the terms, each once."""
    return tuple(dict.fromkeys(f"x_{name}" for name in columns_in(analysis.parsed_terms)))


def _what_is_missing(
    con: duckdb.DuckDBPyConnection, rows: TableRows, fields: tuple[str, ...]
) -> list[Row]:
    """Return the share of rows that lack each column."""
    asked = AskedOfTable(con, rows)
    return [
        asked.row(
            "missing_fraction",
            method="missing_data",
            term=field.removeprefix("x_"),
            stratum_name="missing_column",
            stratum_level=field.removeprefix("x_"),
            estimate=float(lacks.mean()),
            n_events=int(lacks.sum()),
        )
        | {"role": "descriptive"}
        for field in fields
        for lacks in (rows.values[field + LACKING],)
        if rows.n
    ]


def _pooled(
    con: duckdb.DuckDBPyConnection,
    rows: TableRows,
    asked: MultipleImputation,
    estimated: Estimated,
) -> list[Row]:
    """Return each effect of the analysis, pooled over the imputed data sets."""
    base = AskedOfTable(con, rows)
    try:
        parts = [estimated(AskedOfTable(con, filled)) for filled in imputed(rows, asked)]
        return _pool_all(base, parts)
    except EstimationError as exc:
        name, note = rows.analysis.rule.estimate, f"{exc.where}: {exc.what}"
        return [base.row(name, status="not_estimable", note=note)]


def imputed(rows: TableRows, asked: MultipleImputation) -> Iterator[TableRows]:
    """Yield the rows with everything missing filled in, once for each imputation."""
    variables = list(_variables(rows))
    rng = np.random.default_rng(asked.seed)
    how = {"imputations": asked.imputations, "iterations": asked.iterations}
    for donors in impute(variables, rng=rng, **how):
        values = dict(rows.values)
        for field, taken in donors.items():
            values[field] = _filled(rows, field, taken)
        yield replace(rows, values=values)


def _filled(rows: TableRows, field: str, taken: IntArray) -> np.ndarray:
    column = rows.values[field].copy()
    column[rows.values[field + LACKING]] = column[taken]
    return column


def _variables(rows: TableRows) -> Iterator[Variable]:
    """Yield the columns of the terms, and what is known of the outcome."""
    whole = np.zeros(rows.n, dtype=bool)
    for field in imputed_fields(rows.analysis):
        yield Variable(field, _columns(rows, field), rows.values[field + LACKING])
    for name, column in _outcome(rows):
        yield Variable(name, column[:, None], whole)


def _columns(rows: TableRows, field: str) -> FloatArray:
    kind = rows.source.columns[field.removeprefix("x_")]
    values = rows.values[field]
    if isinstance(kind, Category):
        levels = [(values == level).astype(np.float64) for level in kind.category[1:]]
        return np.column_stack(levels)
    return np.asarray(values, dtype=np.float64)[:, None]


def _outcome(rows: TableRows) -> Iterator[tuple[str, FloatArray]]:
    if "event" in rows.values:
        yield "event", rows.has_event.astype(np.float64)
        yield "competing", (rows.event == 2).astype(np.float64)
        yield "hazard", cumulative_hazard_at(rows.time, rows.has_event, rows.entry)
    if "outcome" in rows.values:
        yield "outcome", rows.numbers("outcome")


def _pool_all(asked: AskedOfTable, parts: list[list[Row]]) -> list[Row]:
    groups: dict[tuple[object, ...], list[Row]] = defaultdict(list)
    for part in parts:
        for row in part:
            if _is_effect(row):
                groups[tuple(row.get(name) for name in _KEY)].append(row)
    whole = [group for group in groups.values() if len(group) == len(parts)]
    if not whole:
        reasons = {str(row["note"]) for part in parts for row in part if row["note"]}
        what = (
            f"no effect could be estimated in all imputed data sets ({'; '.join(sorted(reasons))})"
        )
        raise EstimationError(asked.analysis.id, what[:300], "simplify the terms.")
    df = _complete_df(asked, sum(group[0].get("term") is not None for group in whole))
    return [row for group in whole for row in _pool_one(group, df)]


def _is_effect(row: Row) -> bool:
    return (
        row["estimate_name"] in EFFECTS
        and row["status"] == "ok"
        and row.get("std_error") is not None
        and row.get("se_method") != "profile_likelihood"
    )


def _complete_df(asked: AskedOfTable, parameters: int) -> float:
    """Degrees of freedom had nothing been missing: of events for a time, else of rows."""
    is_time = follows_persons(asked.rows.source, asked.analysis)
    size = events_of(asked.rows) if is_time else asked.rows.n
    return float(max((size or 0) - max(parameters, 1), 1))


def _pool_one(group: list[Row], df: float) -> list[Row]:
    is_log = group[0].get("se_scale") == "log"
    read, write = (math.log, ratio_of) if is_log else (float, float)
    errors = [float(str(row["std_error"])) for row in group]
    found = pool([read(float(str(row["estimate"]))) for row in group], errors, df)
    shown: Row = {
        "estimate": write(found.estimate),
        "std_error": found.std_error,
        "se_method": "rubin",
        "ci_low": write(found.ci_low),
        "ci_high": write(found.ci_high),
        "ci_level": found.level,
        "ci_method": "t_barnard_rubin",
        "statistic_name": "t",
        "statistic": found.statistic,
        "df1": found.df if math.isfinite(found.df) else None,
        "p_value": found.p_value,
        "mcse": found.mcse,
        "scenario": "multiple_imputation",
        "note": f"{found.m} imputations",
    }
    return [group[0] | shown, _lost_information(group[0], found)]


def _lost_information(row: Row, found: Pooled) -> Row:
    empty = dict.fromkeys(
        "std_error se_scale se_method ci_low ci_high ci_level ci_method statistic_name statistic "
        "p_value estimate_scale".split()
    )
    return row | empty | {
        "estimate_name": "missing_fraction",
        "role": "descriptive",
        "estimate": found.fraction_missing,
        "scenario": "information",
        "statistic_name": str(row["estimate_name"]),
        "note": "fraction of missing information",
    }  # fmt: skip


def with_indicators(rows: TableRows) -> TableRows:
    """Return the rows with a level, or a column of its own, for what is missing.

    A number or yes/no that is missing becomes 0 and its indicator 1.
    """
    columns, values, terms = dict(rows.source.columns), dict(rows.values), [rows.analysis.terms]
    for field in imputed_fields(rows.analysis):
        name, lacks = field.removeprefix("x_"), rows.values[field + LACKING]
        if not lacks.any():
            continue
        kind = columns[name]
        if isinstance(kind, Category):
            level = _unused(kind.category)
            columns[name] = Category(category=(*kind.category, level))
            values[field] = np.where(lacks, level, rows.values[field])
        else:
            label = _unused(tuple(columns), f"{name}.missing")
            columns[label] = "boolean"
            values[field] = np.where(lacks, 0, rows.values[field])
            values[f"x_{label}"] = lacks.astype(np.int64)
            terms.append(f"`{label}`")
    text = " + ".join(str(term) for term in terms)
    analysis = rows.analysis.model_copy(update={"terms": text})
    source = rows.source.model_copy(update={"columns": columns})
    return replace(rows, values=values, source=source, analysis=analysis)


def _unused(taken: tuple[str, ...], name: str = "missing") -> str:
    while name in taken:
        name += "_"
    return name
