"""No small cell of a description can be worked out from those that are shown."""

import random

import polars as pl
import pytest

from tasks.analysis.attrition import ATTRITION_SCHEMA
from tasks.analysis.balance import BALANCE_SCHEMA
from tasks.core.disclosure import release
from tasks.core.disclosure_cells import OTHER, protect_cells, small_covariates
from tasks.core.results import result_row

K = 11


def cell(method, name, **values):
    return result_row(values.pop("id", "mine"), "descriptive", name, method=method, **values)


def rate(term, n, events, stratum=None, level=None, repeats=None, analysis="mine"):
    return cell(
        "incidence", "incidence_rate", id=analysis, population="all", outcome="ill", term=term,
        stratum_name=stratum, stratum_level=level, estimate=events / n, n=n, n_events=events,
        n_clusters=repeats, person_time=9.0 * n,
    )  # fmt: skip


def shown(rows):
    return [row["status"] == "ok" for row in protect_cells(rows, K)]


def test_a_series_without_small_cells_is_shown():
    assert shown([rate("2019", 300, 20), rate("2020", 300, 0), rate("2021", 300, 40)]) == [True] * 3


def test_a_small_cell_takes_another_with_it():
    rows = [rate("2019", 300, 20), rate("2020", 300, 3), rate("2021", 300, 40)]
    assert shown(rows) == [False, False, True]
    assert protect_cells(rows, K)[0]["person_time"] is None


def test_events_of_few_persons_are_few_however_many_events():
    rows = [rate("2019", 300, 60, repeats=3), rate("2020", 300, 60, repeats=50)]
    assert shown(rows) == [False, False]


def test_strata_are_shown_all_or_none():
    rows = [
        rate("2019", 300, 40), rate("2019", 150, 38, "sex", "male"),
        rate("2019", 150, 2, "sex", "female"), rate("2019", 200, 20, "age", "<40"),
        rate("2019", 100, 20, "age", "40+"),
    ]  # fmt: skip
    assert shown(rows) == [True, False, False, True, True]


def test_strata_do_not_fill_the_gap_of_a_series():
    rows = [rate("2019", 300, 4), rate("2020", 300, 50), rate("2021", 300, 50),
            rate("2021", 150, 25, "sex", "male"), rate("2021", 150, 25, "sex", "female")]  # fmt: skip
    assert shown(rows) == [False, False, True, False, False]


def test_a_total_beside_the_series_hides_a_series_with_a_gap():
    rows = [rate("overall", 500, 90, analysis="whole"), rate("2019", 300, 4), rate("2020", 300, 50),
            rate("2021", 300, 36)]  # fmt: skip
    assert shown(rows) == [True, False, False, False]


def test_descriptions_that_differ_by_few_are_not_both_shown():
    rows = [rate("2019", 300, 50, analysis="one"), rate("2019", 300, 47, analysis="two")]
    assert shown(rows) == [True, False]


@pytest.mark.parametrize("seed", range(40))
def test_what_is_withheld_of_a_series_adds_up_to_nothing_or_k(seed):
    rng = random.Random(seed)
    counts = [rng.choice([0, rng.randrange(30), rng.randrange(200)]) for _ in range(8)]
    rows = [rate(f"20{i:02d}", 400, count) for i, count in enumerate(counts)]
    hidden = [count for count, is_shown in zip(counts, shown(rows), strict=True) if not is_shown]
    assert not hidden or (len(hidden) > 1 and sum(hidden) >= K) or len(hidden) == len(counts)
    assert all(not 0 < count < K for count, ok in zip(counts, shown(rows), strict=True) if ok)


def path(term, count, n=100):
    return cell("treatment_patterns", "count", population="ix", term=term, estimate=float(count),
                n=n, n_events=count)  # fmt: skip


def test_rare_orders_of_treatment_are_one():
    total = cell("treatment_patterns", "count", population="ix", estimate=100.0, n=100)
    rows = [total, path("a > b", 40), path("b", 35), path("c", 3), path("c > a", 2), path("none", 20),
            path(OTHER, 0)]  # fmt: skip
    out = protect_cells(rows, K)
    assert [row["status"] for row in out] == ["ok", "ok", "ok", "suppressed", "suppressed",
                                              "suppressed", "ok"]  # fmt: skip
    assert (out[-1]["estimate"], out[-1]["n_events"]) == (25.0, 25)
    kept = released(rows).rows
    assert [row.get("term") for row in kept] == [None, "a > b", "b", OTHER]


def released(rows):
    empty = pl.DataFrame(schema=ATTRITION_SCHEMA), pl.DataFrame(schema=BALANCE_SCHEMA)
    return release(rows, *empty, [], K)


def one(term, arm, n, having, group=None, name="proportion"):
    return cell("table_one", name, population="cohort", arm=arm, term=term, stratum_name=group,
                estimate=having / n, n=n, n_events=having)  # fmt: skip


def difference(term, group=None):
    return cell("table_one", "smd", population="cohort", term=term, stratum_name=group,
                estimate=0.1, n=400)  # fmt: skip


def size(arm, n):
    return cell("table_one", "count", population="cohort", arm=arm, estimate=float(n), n=n)


def test_a_covariate_of_table_one_is_shown_for_all_cohorts_or_none():
    rows = [size("a", 200), size("b", 200), one("x", "a", 200, 50), one("x", "b", 200, 60),
            difference("x"), one("y", "a", 200, 50), one("y", "b", 200, 3), difference("y")]  # fmt: skip
    assert shown(rows) == [True] * 5 + [False] * 3


def test_all_levels_of_a_category_go_together():
    rows = [size("a", 200), *(one(f"site={s}", "a", 200, c, "site") for s, c in
            {"A": 120, "B": 75, "C": 5}.items()), difference("site=A", "site")]  # fmt: skip
    assert shown(rows) == [True, False, False, False, False]


def test_a_measurement_that_all_but_few_have_is_hidden():
    rows = [
        size("a", 200),
        one("crp", "a", 195, 150, name="mean"),
        one("bmi", "a", 150, 130, name="mean"),
    ]
    assert shown(rows) == [True, False, True]


def test_a_cohort_of_few_has_no_table_one():
    assert shown([size("a", 200), size("b", 7), one("x", "a", 200, 50)]) == [False] * 3


def bin_of(day, n, having):
    return cell("time_to_event", "count", population="ix", outcome="ill", at=float(day), n=n,
                n_events=having, estimate=float(having))  # fmt: skip


def test_bins_of_days_do_not_tell_who_was_lost_between_them():
    total = cell("time_to_event", "count", population="ix", estimate=200.0, n=200)
    rows = [
        total,
        bin_of(0, 200, 40),
        bin_of(30, 197, 30),
        bin_of(60, 180, 30),
        bin_of(90, 180, 30),
    ]
    # 3 persons left between the first two bins; one gap alone would be filled from a total
    got = shown(rows)
    assert got[0]
    assert not got[2]
    assert len([ok for ok in got[1:] if not ok]) == 2


def missing(rows, empty):
    return cell("missingness", "missing_fraction", term="t.c", n=rows, n_events=empty)


def test_few_empty_or_few_filled_cells_are_withheld():
    rows = [missing(100, 0), missing(100, 5), missing(100, 95), missing(100, 50), missing(100, 100)]
    assert shown(rows) == [True, False, False, True, True]


def balance(covariate, kind, target, comparator, counts=(None, None)):
    return (covariate, "", "", kind, "none", target, 0.1, comparator, 0.1, *counts, 0.1, "ok")


def test_the_level_that_a_category_leaves_out_counts_too():
    sizes = {("crude", "new"): 200, ("crude", "old"): 200}
    rows = [
        balance("site=B", "category", 0.5, 0.5),
        balance("site=C", "category", 0.485, 0.25),  # leaves 3 of 200 for the first site
        balance("year=2020", "category", 0.5, 0.5),
        balance("visits", "continuous", 1.2, 1.4, (180, 150)),
        balance("crp", "continuous", 9.0, 7.0, (5, 150)),
        balance("age", "continuous", 60.0, 61.0),
    ]
    table = pl.DataFrame(rows, schema=BALANCE_SCHEMA, orient="row")
    assert small_covariates(table, sizes, K) == {"site=B", "site=C", "crp"}


def test_every_kind_passes_the_whole_release():
    rows = [rate("2019", 300, 3), path("a", 3), path(OTHER, 0), missing(100, 5), size("a", 200),
            one("x", "a", 200, 3), difference("x"), bin_of(0, 200, 3)]  # fmt: skip
    out = released(rows)
    assert [row["status"] for row in out.rows if row["estimate_name"] != "count"] == [
        "suppressed"
    ] * 4
    assert {message.code for message in out.messages} == {"P_SMALL_CELL"}
