"""Periods and sites of a series tell of persons: few behind one withhold what is told of it."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from tasks.analysis.attrition import ATTRITION_SCHEMA
from tasks.core.disclosure_tables import release_tables
from tests.reference.outcome_data import roll_out
from tests.reference.test_registry_tables import results, some
from tests.reference.test_series import DID, SITES, SOURCE

COUNTS = SOURCE | {"roles": SOURCE["roles"] | {"denominator": "persons"}}
ITS = {"method": "interrupted_time_series", "family": "poisson"}


def series(counts, persons=400, **more):
    time = np.arange(len(counts))
    frame = {"time": time, "value": counts, "on": (time >= 24).astype(int), "persons": persons}
    return pd.DataFrame(frame | more)


def released(frame, source, **asked):
    rows = [r for r in results(frame, source, **asked) if r["analysis_id"] != "attrition"]
    return rows, release_tables(rows, pl.DataFrame(schema=ATTRITION_SCHEMA), 11)[0]


def told(rows, name, **where):
    return [row for row in some(rows, name, **where) if row["status"] == "ok"]


STEADY = [40 + 3 * (t % 4) for t in range(48)]


def test_a_period_of_few_events_or_persons_is_not_told():
    few = [4 if t in (3, 30) else n for t, n in enumerate(STEADY)]
    rows, kept = released(series(few), COUNTS, **ITS)
    assert len(some(rows, "mean", term="fitted")) == 48
    shown = {row["at"] for row in told(kept, "mean", term="fitted")}
    assert shown == set(map(float, range(48))) - {3.0, 30.0}
    assert told(kept, "level_change")
    persons = np.where(np.arange(48) == 7, 9, 400)
    _, kept = released(series(np.minimum(STEADY, persons), persons), COUNTS, **ITS)
    assert 7.0 not in {row["at"] for row in told(kept, "mean", term="fitted")}


def test_few_events_after_the_interruption_withhold_the_changes():
    few = [n if t < 24 else int(t in (25, 40)) for t, n in enumerate(STEADY)]
    _, kept = released(series(few), COUNTS, **ITS)
    assert [row["status"] for row in some(kept, "level_change")] == ["suppressed"] * 2
    assert told(kept, "mean") == []


def of_sites(without_counts):
    frames = [series([n + 5 * s for n in STEADY], site=f"s{s}") for s in range(3)]
    frames[1]["value"] = np.where(np.arange(48) % 24 == 0, 3, 0)
    roles = (SITES if without_counts else COUNTS)["roles"] | {"site": "site"}
    return pd.concat(frames), SOURCE | {"roles": roles}


def test_a_site_of_few_has_no_line_and_the_others_have():
    frame, source = of_sites(without_counts=False)
    _, kept = released(frame, source, **ITS)
    assert {row["stratum_level"] for row in told(kept, "mean")} == {"s0", "s2"}


def test_a_series_that_counts_nobody_tells_of_no_single_site():
    frame, source = of_sites(without_counts=True)
    _, kept = released(frame, source, **(ITS | {"family": "gaussian"}))
    assert told(kept, "mean") == []
    assert told(kept, "level_change")


@pytest.mark.parametrize("persons", [None, 300, 8])
def test_effects_of_a_roll_out_rest_on_many(persons):
    frame = roll_out().assign(persons=persons or 1)
    first = frame.site == frame.site[frame.on == 1].iloc[0]
    adopted = frame[first & (frame.on == 1)].time.min()
    when = frame[frame.on == 1].groupby("site").time.min()
    alone = frame[~frame.site.isin(when[when == adopted].index) | first]
    if persons is None:
        source = SITES
    else:
        source = SITES | {"roles": SITES["roles"] | {"denominator": "persons"}}
        some_persons = np.where(alone.site == frame.site[first].iloc[0], persons, 300)
        alone = alone.assign(persons=some_persons, value=(alone.value.abs() * 4 + 30).round())
        alone["value"] = np.minimum(alone.value, alone.persons)
    _, kept = released(alone, source, **DID)
    cells = {row["term"].partition(",")[0] for row in told(kept, "att_group_time")}
    # All or none: one that is withheld is the average less the others.
    assert (len(cells) > 1 and f"adopted {adopted}" in cells) if persons == 300 else not cells
    by_time = [row for row in told(kept, "att") if row["at"] is not None]
    assert bool(by_time) == (persons == 300)
    assert told(kept, "att", term="simple")
