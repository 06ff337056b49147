"""Accuracy of each modality against the truth, in all cases and in each part of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from tasks.analysis.people import BoolArray, IntArray
from tasks.analysis.readings.comparisons import compared
from tasks.analysis.readings.conduct import conduct_rows, is_clean
from tasks.analysis.readings.rows import FAILED, INDETERMINATE, Readings, readings_of
from tasks.analysis.table_asked import AskedOfTable, Row
from tasks.core.errors import EstimationError
from tasks.stats.diagnostic.measures import (
    MEASURES,
    OF_PREVALENCE,
    SHARES,
    Cells,
    Measure,
    at_prevalence,
    cells_of,
    cells_of_table,
    measure,
)
from tasks.stats.proportions import IntervalMethod, proportion

_INTERVALS: tuple[IntervalMethod, ...] = ("wilson", "exact")
_BY_TRUTH = "cases were drawn by their truth: how common the condition is says nothing here"


@dataclass(frozen=True, slots=True)
class Counted:
    """The cells of some readings, and what their rows of results have in common."""

    cells: Cells
    modalities: tuple[str | None, ...]
    named: Mapping[str, object]


def accuracy(asked: AskedOfTable) -> list[Row]:
    """Return every measure of every modality, the comparisons of modalities, and what is flagged.

    All readings first, then those of each reader, centre and subgroup. Outputs without a result
    count as the study says; beside stand the best and the worst that they could have been.
    """
    readings = readings_of(asked)
    readings = readings.only(readings.is_verified)
    unit = {"unit_of_analysis": "case"}
    made = _measured(asked, readings, unit)
    for name, level, part in parts_of(asked, readings):
        made += _measured(asked, part, {**unit, "stratum_name": name, "stratum_level": level})
    made += compared(asked, readings, result_of)
    clean = is_clean(readings)
    if not clean.all():
        made += _measured(asked, readings.only(clean), {**unit, "scenario": "without flagged"}, 1)
    return made + rates_without_result(asked, readings) + conduct_rows(asked, readings)


def accuracy_of_tables(asked: AskedOfTable) -> list[Row]:
    """Return every measure of two-by-two tables: of all rows summed, then of each row."""
    values = asked.rows.values
    counts = np.column_stack([values[name] for name in ("tp", "fp", "fn", "tn")]).astype(np.int64)
    unit: dict[str, object] = {"unit_of_analysis": "case"}
    made = measures_of(asked, _table(counts.sum(axis=0)), unit)
    label = next((name for name in ("site", "study") if name in values), None)
    for place in range(asked.rows.n if label else 0):
        named = {"stratum_name": label, "stratum_level": str(values[str(label)][place])}
        made += measures_of(asked, _table(counts[place]), unit | named)
    return made


def _table(counts: IntArray) -> Cells:
    return cells_of_table(*(int(count) for count in counts))


def parts_of(asked: AskedOfTable, readings: Readings) -> Iterator[tuple[str, str, Readings]]:
    """Yield the readings of each reader, each centre, and each level of each subgroup."""
    for field in ("reader", "site"):
        levels = readings.by(field) if readings.has(field) else ()
        yield from ((field, str(level), part) for level, part in levels)
    for column in asked.analysis.subgroups:
        member = readings.rows.values[f"x_{column}"].astype(str)
        for level in sorted(set(member)):
            yield column, str(level), readings.only(np.asarray(member == level))


def result_of(readings: Readings, counts_as: str) -> tuple[BoolArray, BoolArray]:
    """Return whether each reading counts as positive, and whether it is used, shape (n,) each.

    Args:
        readings: Verified readings.
        counts_as: What an output without a result counts as: `positive`, `negative`, `wrong`,
            `right` or `left_out`.
    """
    scored = readings.has_score
    used = scored if counts_as == "left_out" else np.ones_like(scored)
    instead = without_result(readings.truth, counts_as)
    return np.where(scored, readings.is_positive, instead), np.asarray(used)


def without_result(truth: BoolArray, counts_as: str) -> BoolArray:
    """Return as what an output without a result counts in cases of this truth, shape (n,)."""
    return np.asarray(
        {
            "positive": np.ones_like(truth),
            "negative": np.zeros_like(truth),
            "wrong": ~truth,
            "right": truth,
            "left_out": np.zeros_like(truth),
        }[counts_as]
    )


def _scenarios(readings: Readings) -> Iterator[tuple[str | None, str]]:
    """Yield the name of each way to count outputs without a result, the study's own first."""
    chosen = readings.index_test.without_result
    if readings.has_score.all():
        yield None, chosen
        return
    yield f"without a result: {chosen}", chosen
    yield from (
        (f"without a result: {other}", other)
        for other in ("wrong", "right", "left_out")
        if other != chosen
    )


def _measured(
    asked: AskedOfTable, readings: Readings, named: Mapping[str, object], most: int | None = None
) -> list[Row]:
    """Return the measures in each scenario; in the first `most` of them, where that is told."""
    made: list[Row] = []
    for scenario, counts_as in list(_scenarios(readings))[:most]:
        is_positive, used = result_of(readings, counts_as)
        part = readings.only(used)
        modality, levels = part.modality
        units = part.cases if part.persons is None else part.persons
        cells = cells_of(is_positive[used], part.truth, units, modality, part.weights)
        for place, level in enumerate(levels):
            here = {"scenario": scenario, **named, "arm": level}
            made += measures_of(asked, cells, here, place, part.source.sampling == "case_control")
    return made


def measures_of(
    asked: AskedOfTable,
    cells: Cells,
    named: Mapping[str, object],
    modality: int = 0,
    is_by_truth: bool = False,
) -> list[Row]:
    """Return every measure of one modality.

    Args:
        asked: The analysis.
        cells: Counts of all modalities.
        named: Columns that all rows have.
        modality: Which of them.
        is_by_truth: Cases were drawn by their truth: measures of prevalence mean nothing.
    """
    made = []
    for name in MEASURES:
        if is_by_truth and name in OF_PREVALENCE:
            made.append(_not_estimable(asked, name, cells, modality, named, _BY_TRUTH))
            continue
        is_share = name in SHARES and name != "f1" and cells.is_simple
        for interval in _INTERVALS if is_share else _INTERVALS[:1]:
            try:
                found = measure(name, cells, modality, interval=interval)
            except EstimationError as exc:
                made.append(_not_estimable(asked, name, cells, modality, named, exc.what))
                break
            made.append(_row(asked, found, named))
    return made + _at_prevalences(asked, cells, modality, named)


def _at_prevalences(
    asked: AskedOfTable, cells: Cells, modality: int, named: Mapping[str, object]
) -> list[Row]:
    test = asked.analysis.index_test
    made = []
    for share in test.prevalences if test else ():
        for name in ("ppv", "npv"):
            here = {**named, "at": share, "at_kind": "prevalence"}
            try:
                made.append(_row(asked, at_prevalence(name, cells, share, modality), here))
            except EstimationError as exc:
                made.append(_not_estimable(asked, name, cells, modality, here, exc.what))
    return made


def _row(asked: AskedOfTable, found: Measure, named: Mapping[str, object]) -> Row:
    """Return a row of results; a share says what it counts and of how many."""
    is_counted = found.name in SHARES and found.name != "f1"
    return asked.row(
        found.name,
        estimate=found.estimate,
        estimate_scale="ratio" if found.is_ratio else "identity",
        std_error=found.std_error,
        se_scale="log" if found.is_ratio else "identity",
        se_method=found.se_method,
        ci_low=found.ci_low,
        ci_high=found.ci_high,
        ci_level=found.level,
        ci_method=found.ci_method,
        n=found.n,
        n_events=found.count if is_counted else None,
        n_clusters=None if found.se_method == "binomial" else found.units,
        **named,
    )


def _not_estimable(
    asked: AskedOfTable,
    name: str,
    cells: Cells,
    modality: int,
    named: Mapping[str, object],
    why: str,
) -> Row:
    n = int(cells.readings[4 * modality : 4 * modality + 4].sum())
    return asked.row(name, status="not_estimable", note=why, n=n, n_events=None, **named)


def rates_without_result(asked: AskedOfTable, readings: Readings) -> list[Row]:
    """Return how often an output failed or was indeterminate, for each modality."""
    if not readings.has("output"):
        return []
    made = []
    for level, part in readings.by("modality"):
        for name, kind in (("indeterminate_rate", INDETERMINATE), ("failure_rate", FAILED)):
            count = int((part.output == kind).sum())
            found = proportion(count, part.n, "wilson")
            made.append(
                asked.row(
                    name,
                    estimate=found.estimate,
                    estimate_scale="identity",
                    std_error=found.std_error,
                    se_scale="identity",
                    se_method="binomial",
                    ci_low=found.ci_low,
                    ci_high=found.ci_high,
                    ci_level=found.level,
                    ci_method="wilson",
                    n=part.n,
                    n_events=count,
                    arm=level,
                    unit_of_analysis="case",
                )
            )
    return made
