"""Rows of outcomes other than time pass the same gate: nothing tells about fewer than k persons."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from tasks.analysis.attrition import ATTRITION_SCHEMA
from tasks.core.disclosure_tables import release_tables
from tests.reference.outcome_data import repeated
from tests.reference.test_registry_tables import results

K = 11
NUMBERS = (
    "estimate",
    "std_error",
    "ci_low",
    "ci_high",
    "statistic",
    "df2",
    "p_value",
    "n",
    "n_events",
)


def cells(events, others, n=100):
    ill = [1] * events + [0] * (n - events) + [1] * others + [0] * (n - others)
    return pd.DataFrame({"arm": ["new"] * n + ["old"] * n, "ill": ill})


RISK = {"roles": {"outcome": "ill"}, "columns": {"arm": {"category": ["old", "new"]}}}
COUNTS = {"roles": {"outcome": "count"}, "columns": {"count": "number", "x": "number"}}


def released(rows):
    found = [row for row in rows if row["analysis_id"] != "attrition"]
    kept, _, _ = release_tables(found, pl.DataFrame(schema=ATTRITION_SCHEMA), K)
    return kept


@pytest.mark.parametrize(("events", "others"), [(4, 40), (40, 4), (96, 40)])
def test_risks_of_few_withhold_every_contrast_and_its_words(events, others):
    rows = released(results(cells(events, others), RISK, method="risk", by="arm"))
    assert {row["status"] for row in rows} == {"suppressed"}
    assert all(row.get(name) is None for row in rows for name in NUMBERS)
    assert not any(
        char.isdigit() for row in rows for char in (row.get("note") or "").replace("0,", "")
    )


def test_risks_of_many_are_shown():
    rows = released(results(cells(40, 50), RISK, method="risk", by="arm"))
    assert {row["status"] for row in rows} == {"ok"}


def test_counts_of_few_persons_with_any_event_are_withheld():
    frame = repeated()
    frame["count"] = np.where(np.arange(len(frame)) < 6, 9, 0)
    rows = released(results(frame, COUNTS, method="poisson", terms="x"))
    assert {row["status"] for row in rows} == {"suppressed"}
    assert all(row.get(name) is None for row in rows for name in NUMBERS)


@pytest.mark.parametrize(("fewest", "shown"), [(3, False), (40, True)])
def test_observed_periods_are_shown_where_none_counts_few(fewest, shown):
    time = np.arange(24)
    counts = 60 + time % 5
    counts[7] = fewest
    frame = pd.DataFrame({"time": time, "value": counts, "on": (time >= 12).astype(int)})
    roles = {"time": "time", "value": "value", "intervention": "on"}
    source = {"kind": "series_table", "roles": roles, "columns": {"time": "number"}}
    asked = {"method": "interrupted_time_series", "family": "poisson"}
    rows = released(results(frame, source, **asked))
    observed = [row for row in rows if row.get("term") == "observed"]
    assert {row["status"] for row in observed} == {"ok" if shown else "suppressed"}
    fitted = [row for row in rows if row.get("term") == "fitted"]
    assert (len(observed), {row["status"] for row in fitted}) == (24, {"ok"})
