"""Two-by-two tables: how well a test agrees with the truth, in each row and summed."""

from collections.abc import Iterator, Mapping

import numpy as np

from tasks.analysis.table_asked import AskedOfTable, Row
from tasks.stats.proportions import IntervalMethod, proportion

Counts = Mapping[str, int]
# What is counted, and of what: the sums of these cells.
_MEASURES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "sensitivity": (("tp",), ("tp", "fn")),
    "specificity": (("tn",), ("tn", "fp")),
    "ppv": (("tp",), ("tp", "fp")),
    "npv": (("tn",), ("tn", "fn")),
    "prevalence": (("tp", "fn"), ("tp", "fp", "fn", "tn")),
    "accuracy": (("tp", "tn"), ("tp", "fp", "fn", "tn")),
}
_INTERVALS: tuple[IntervalMethod, ...] = ("wilson", "exact")


def accuracy(asked: AskedOfTable) -> list[Row]:
    """Return every measure with both intervals, for all rows summed and for each row."""
    return [
        _measured(asked, measure, counts, method, named)
        for named, counts in _tables(asked)
        for measure in _MEASURES
        for method in _INTERVALS
    ]


def _tables(asked: AskedOfTable) -> Iterator[tuple[dict[str, object], Counts]]:
    """Yield the sum of all rows, then each row under the name of its study or site."""
    values = asked.rows.values
    cells = {name: np.asarray(values[name], np.int64) for name in ("tp", "fp", "fn", "tn")}
    yield {}, {name: int(column.sum()) for name, column in cells.items()}
    label = next((name for name in ("site", "study") if name in values), None)
    for place in range(asked.rows.n if label else 0):
        level = str(values[str(label)][place])
        named: dict[str, object] = {"stratum_name": label, "stratum_level": level}
        yield named, {name: int(column[place]) for name, column in cells.items()}


def _measured(
    asked: AskedOfTable,
    measure: str,
    counts: Counts,
    method: IntervalMethod,
    named: dict[str, object],
) -> Row:
    part, whole = (sum(counts[name] for name in cells) for cells in _MEASURES[measure])
    sizes = {"n": whole, "n_events": part, "unit_of_analysis": "case", **named}
    if not whole:
        note = "no case is counted in the denominator"
        return asked.row(measure, status="not_estimable", ci_method=method, note=note, **sizes)
    found = proportion(part, whole, method)
    return asked.row(
        measure,
        estimate=found.estimate,
        estimate_scale="identity",
        std_error=found.std_error,
        se_scale="identity",
        se_method="binomial",
        ci_low=found.ci_low,
        ci_high=found.ci_high,
        ci_level=found.level,
        ci_method=method,
        **sizes,
    )
