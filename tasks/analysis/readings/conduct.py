"""What may be wrong with the truth of cases: counted, and the accuracy without them beside."""

from collections.abc import Iterator

import numpy as np

from tasks.analysis.people import BoolArray
from tasks.analysis.readings.rows import Readings
from tasks.analysis.table_asked import AskedOfTable, Row

_QUANTILES = (0.25, 0.5, 0.75)


def conduct_rows(asked: AskedOfTable, readings: Readings) -> list[Row]:
    """Return how many readings are flagged and why, and how long the reference came after.

    Flags: the reference standard knew the index test (incorporation), treatment began between
    the two, and cases were verified by different standards (differential verification).
    """
    made = [_count(asked, readings, name, flag) for name, flag in flags_of(readings)]
    return made + _standards(asked, readings) + _delay(asked, readings)


def flags_of(readings: Readings) -> Iterator[tuple[str, BoolArray]]:
    """Yield each flag that the table has, and where it stands, shape (n,)."""
    for name in ("reference_uses_index", "treated_between"):
        if readings.has(name):
            yield name, np.asarray(readings.rows.values[name] == 1)


def is_clean(readings: Readings) -> BoolArray:
    """Return where no flag stands, shape (n,)."""
    flags = [flag for _, flag in flags_of(readings)]
    return ~np.any(flags, axis=0) if flags else np.ones(readings.n, dtype=bool)


def _count(asked: AskedOfTable, readings: Readings, name: str, flag: BoolArray) -> Row:
    count = int(flag.sum())
    return asked.row(
        "proportion",
        estimate=count / readings.n if readings.n else None,
        estimate_scale="identity",
        n=readings.n,
        n_events=count,
        term=name,
        unit_of_analysis="case",
        status="ok" if readings.n else "not_estimable",
    )


def _standards(asked: AskedOfTable, readings: Readings) -> list[Row]:
    if not readings.has("reference_standard"):
        return []
    label = readings.rows.values["reference_standard"].astype(str)
    return [
        _count(asked, readings, f"reference_standard={level}", np.asarray(label == level))
        for level in readings.levels("reference_standard")
    ]


def _delay(asked: AskedOfTable, readings: Readings) -> list[Row]:
    if not readings.has("reference_delay_days") or not readings.n:
        return []
    days = readings.rows.numbers("reference_delay_days")
    return [
        asked.row(
            "quantile",
            estimate=float(np.quantile(days, share)),
            estimate_scale="identity",
            unit="days",
            at=share,
            at_kind="probability",
            term="reference_delay",
            n=readings.n,
            n_events=None,
            unit_of_analysis="case",
        )
        for share in _QUANTILES
    ]
