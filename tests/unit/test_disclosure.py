"""Nothing that is released tells about fewer than k people, by itself or by subtraction."""

from itertools import combinations, pairwise

import polars as pl
import pytest

from tasks.analysis.attrition import ATTRITION_SCHEMA
from tasks.analysis.balance import BALANCE_SCHEMA
from tasks.core.disclosure import release, threshold
from tasks.core.disclosure_quality import release_quality
from tasks.core.errors import DisclosureError
from tasks.core.results import AT_RISK, result_row

K = 11


def follow_up(arm, n, events, population="crude"):
    return result_row(
        "follow_up", "descriptive", "count", arm=arm, population=population, outcome="bleed",
        estimate=float(n), n=n, n_events=events,
    )  # fmt: skip


def hazard_ratio(population, n=400, events=60):
    return result_row(
        "main", "primary", "hazard_ratio", population=population, outcome="bleed",
        estimate=1.2, std_error=0.1, n=n, n_events=events,
    )  # fmt: skip


def curve(arm, events, n=200, name="survival"):
    return [
        result_row(
            "km", "secondary", name, arm=arm, population="crude", outcome="bleed", at=float(day),
            term="curve", estimate=1 - e / n, n=n, n_events=e,
        )
        for day, e in enumerate(events)
    ]  # fmt: skip


def attrition(*counts):
    rows = [
        ("new", i, f"s{i}", "", "", c, (counts[i - 1] - c) if i else 0, "ok", None)
        for i, c in enumerate(counts)
    ]
    return pl.DataFrame(rows, schema=ATTRITION_SCHEMA, orient="row")


NO_BALANCE = pl.DataFrame(schema=BALANCE_SCHEMA)
BIG = [follow_up("new", 200, 40), follow_up("old", 200, 20)]


def released(rows, k=K, steps=(300, 200), balance=NO_BALANCE, gates=()):
    return release(rows, attrition(*steps), balance, gates, k)


def test_only_synthetic_public_data_pass_untouched():
    assert threshold(11, None, ["synthetic_public", "synthetic_public"]) is None
    assert threshold(11, None, ["synthetic_public", "patient"]) == 11
    assert threshold(11, None, []) == 11
    assert threshold(11, 20, ["patient"]) == 20
    assert threshold(11, 5, ["patient"]) == 11


def test_large_counts_are_shown():
    got = released([*BIG, hazard_ratio("crude")])
    assert [row["status"] for row in got.rows] == ["ok"] * 3
    assert got.messages == []


def site(site_id, arm, n, events):
    return result_row(
        "sites", "descriptive", "count", site_id=site_id, arm=arm, population="crude",
        outcome="bleed", estimate=float(n), n=n, n_events=events, person_time=9.0 * n,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("n", "events", "status"),
    [(100, 20, "ok"), (100, 0, "ok"), (0, 0, "ok"), (100, 3, "suppressed"), (5, 0, "suppressed"),
     (30, 25, "suppressed")],
)  # fmt: skip
def test_numbers_of_sites_are_shown_all_or_none(n, events, status):
    rows = [site("A", "new", n, events), site("B", "new", 100, 20), site("B", "old", 200, 20)]
    got = released([*BIG, *rows])
    assert [row["status"] for row in got.rows] == ["ok"] * 2 + [status] * 3
    if status == "suppressed":
        assert {row["person_time"] for row in got.rows[2:]} == {None}
        assert [message.where for message in got.messages] == ["sites"]


def test_numbers_of_sites_are_hidden_with_those_of_the_whole():
    rows = [follow_up("new", 200, 40), follow_up("old", 200, 4), site("A", "old", 100, 0)]
    assert [row["status"] for row in released(rows).rows] == ["suppressed"] * 3


def test_few_outcomes_in_one_arm_hide_everything_about_the_outcome():
    rows = [
        follow_up("new", 200, 40),
        follow_up("old", 200, 4),
        hazard_ratio("crude"),
        hazard_ratio("overlap"),
    ]
    got = released(rows)
    assert [row["status"] for row in got.rows] == ["suppressed"] * 4
    assert {row["estimate"] for row in got.rows} == {None}
    assert got.messages[0].code == "P_SMALL_CELL"


def test_nearly_everybody_with_the_outcome_is_hidden_too():
    got = released([follow_up("new", 200, 195), follow_up("old", 200, 60), hazard_ratio("crude")])
    assert {row["status"] for row in got.rows} == {"suppressed"}


def test_a_matched_population_that_differs_by_few_is_hidden():
    rows = [*BIG, follow_up("new", 195, 40, "matched"), follow_up("old", 195, 20, "matched"),
            hazard_ratio("matched"), hazard_ratio("crude")]  # fmt: skip
    got = released(rows)
    assert [row["status"] for row in got.rows] == [
        "ok", "ok", "suppressed", "suppressed", "suppressed", "ok",
    ]  # fmt: skip


def test_an_arm_of_few_publishes_nothing():
    with pytest.raises(DisclosureError) as caught:
        released([follow_up("new", 200, 40), follow_up("old", 7, 0)])
    assert caught.value.exit_code == 15


def test_curves_step_only_where_k_outcomes_lie_between():
    rows = BIG + curve("new", [0, 3, 9, 12, 12, 20, 23, 31, 39, 40])
    shown = [r["n_events"] for r in released(rows).rows[2:] if r["status"] == "ok"]
    assert shown == [0, 12, 12, 23, 40]  # 39 would tell of the one between it and all 40
    assert all(b - a in (0,) or b - a >= K for a, b in combinations(shown, 2))


@pytest.mark.parametrize("k", [5, 11, 20])
@pytest.mark.parametrize(
    "steps",
    [(300, 250, 247, 200), (300, 299, 298, 297), (50, 45, 12), (900, 900, 889, 880, 880)],
)
def test_no_two_counts_of_the_attrition_differ_by_few(k, steps):
    got = release(BIG, attrition(*steps), NO_BALANCE, [], k).attrition
    shown = got.filter(pl.col("status") == "ok")["remaining"].to_list()
    assert shown[-1] == steps[-1] or 0 < steps[-1] < k
    assert all(a - b == 0 or a - b >= k for a, b in combinations(shown, 2))
    hidden = got.filter(pl.col("status") == "suppressed")
    assert hidden["remaining"].null_count() == hidden.height
    losses = got.filter(pl.col("status") == "ok")["excluded"].to_list()
    assert sum(losses) == shown[0] - shown[-1]


def test_numbers_at_risk_fall_by_nothing_or_by_k():
    at_risk = [
        result_row("km", "secondary", "n_at_risk", arm="new", population="crude", outcome="bleed",
                   at=float(i), estimate=float(v), n=200)
        for i, v in enumerate([200, 195, 180, 175, 160, 8])
    ]  # fmt: skip
    shown = [r["estimate"] for r in released(BIG + at_risk).rows[2:] if r["status"] == "ok"]
    assert shown == [200.0, 180.0, 160.0]


def balance_row(covariate, target, comparator, adjustment="none"):
    counted = adjustment == "none"
    return (
        covariate, "", "", "binary", adjustment, target / 200, 0.1, comparator / 200, 0.1,
        target if counted else None, comparator if counted else None, comparator / 100, "ok",
    )  # fmt: skip


def test_a_covariate_that_few_have_or_few_lack_is_hidden_in_every_population():
    rows = [
        balance_row(name, *counts, adjustment)
        for adjustment in ("none", "overlap")
        for name, counts in {"common": (50, 60), "rare": (50, 3), "usual": (195, 60)}.items()
    ]
    table = pl.DataFrame(rows, schema=BALANCE_SCHEMA, orient="row")
    got = released(BIG, balance=table).balance
    assert got["status"].to_list() == ["ok", "suppressed", "suppressed"] * 2
    hidden = got.filter(pl.col("status") == "suppressed")
    assert hidden.select("smd", "target_mean", "target_count").null_count().row(0) == (4, 4, 4)


def test_matched_arms_hide_what_few_of_them_have():
    rows = [*BIG, follow_up("new", 100, 20, "matched"), follow_up("old", 100, 20, "matched")]
    table = pl.DataFrame(
        [balance_row("c", 60, 60), balance_row("c", 60, 6, "matched")],
        schema=BALANCE_SCHEMA,
        orient="row",
    )
    assert set(released(rows, balance=table).balance["status"]) == {"suppressed"}


def test_a_withheld_point_of_a_curve_does_not_tell_its_day():
    rows = released(BIG + curve("new", [0, 3, 9, 12])).rows
    assert [row["at"] for row in rows if row["estimate_name"] == "survival"] == [0.0, 3.0]


def test_the_largest_difference_is_over_what_is_shown():
    table = pl.DataFrame(
        [balance_row("common", 50, 60), balance_row("rare", 50, 3)],
        schema=BALANCE_SCHEMA,
        orient="row",
    ).with_columns(smd=pl.Series([0.1, 0.7]))
    top = result_row("balance", "descriptive", "max_smd", population="crude", estimate=0.7, n=400)
    gates = [{"name": "max_smd", "adjustment": "none", "value": 0.7}]
    got = released([*BIG, top], balance=table, gates=gates)
    assert (got.rows[-1]["estimate"], got.gates[0]["value"]) == (0.1, 0.1)


def test_gates_do_not_tell_what_is_withheld():
    rows = [follow_up("new", 200, 40), follow_up("old", 200, 4)]
    gates = [{"name": "events", "adjustment": "none", "value": 44.0}]
    assert released(rows, gates=gates).gates[0]["value"] is None


def test_few_rows_in_a_quality_verdict_are_withheld():
    def check(table, rows, failed):
        return {"table": table, "n_rows": rows, "n_unexpected": failed, "share": failed / rows}

    def file(table, rows, quarantined):
        return {
            "file": "kim.csv", "table_name": table, "rows_in": rows,
            "rows_loaded": rows - quarantined, "rows_quarantined": quarantined,
            "rows_deduplicated": 0,
        }  # fmt: skip

    checks = [
        check("loadable.person", 500, 0),
        check("loadable.person", 500, 3),
        check("loadable.person", 500, 495),
        check("loadable.death", 45, 0),
        check("loadable.visit", 3, 0),
    ]
    files = [file("person", 500, 100), file("death", 47, 2)]
    quality = [{"site_id": "A", "checks": checks, "files": files}]
    [got] = release_quality(quality, K)
    assert [c["n_rows"] for c in got["checks"]] == [500, None, None, None, None]
    assert [c["n_unexpected"] for c in got["checks"]] == [0, None, None, None, None]
    assert [f["rows_in"] for f in got["files"]] == [500, None]
    assert [f["file"] for f in got["files"]] == ["person", "death"]
    assert release_quality(quality, None) == quality


def of_cohort(cohort, n, *, analysis="cohorts"):
    return result_row(
        analysis, "descriptive", "count", method="cohort", population=cohort, arm=None, n=n,
        estimate=float(n),
    )  # fmt: skip


def steps_of(cohort, *counts):
    rows = [
        (cohort, i, f"s{i}", "", "", c, (counts[i - 1] - c) if i else 0, "ok", None)
        for i, c in enumerate(counts)
    ]
    return pl.DataFrame(rows, schema=ATTRITION_SCHEMA, orient="row")


def test_two_cohorts_that_differ_by_few_are_not_both_told_of_anywhere():
    """1800 and 1794 of one entry: the six between them are told by no size, step or description."""
    rows = [
        of_cohort("over_30", 1800),
        of_cohort("over_31", 1794),
        of_cohort("over_30", 1800, analysis="users"),
        of_cohort("over_31", 1794, analysis="users"),
    ]
    flows = pl.concat([steps_of("over_30", 2600, 1800), steps_of("over_31", 2600, 1800, 1794)])
    got = release(rows, flows, NO_BALANCE, [], K)
    sizes = {row["n"] for row in got.rows if row["status"] == "ok"}
    sizes |= set(got.attrition.filter(pl.col("status") == "ok")["remaining"].to_list())
    told = sorted(sizes)
    assert 1794 in told
    assert all(b - a >= K for a, b in pairwise(told))
    assert {r["population"] for r in got.rows if r["status"] == "ok"} == {"over_31"}


def test_steps_of_cohorts_stand_apart_from_one_another():
    flows = pl.concat([steps_of("a", 500, 300), steps_of("b", 496, 100)])
    got = release([of_cohort("a", 300), of_cohort("b", 100)], flows, NO_BALANCE, [], K).attrition
    shown = got.filter(pl.col("status") == "ok")
    assert sorted(set(shown["remaining"].to_list())) in ([100, 300, 496], [100, 300, 500])


def test_a_curve_ends_where_few_are_at_risk():
    """Neither the longest follow-up of a person nor a step of few is told."""
    rows = [
        {**row, AT_RISK: left}
        for row, left in zip(curve("new", [0, 12, 24, 24]), [200, 150, 11, 10], strict=True)
    ]
    shown = [r["at"] for r in released(BIG + rows).rows[2:] if r["status"] == "ok"]
    assert shown == [0.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("share", "status"), [(0.5, "ok"), (0.99, "suppressed"), (0.02, "suppressed"), (1.0, "ok")]
)
def test_a_share_of_few_is_withheld(share, status):
    of_scores = result_row(
        "propensity", "descriptive", "equipoise", population="crude", estimate=share, n=400
    )
    gate = {"name": "positivity", "adjustment": "none", "value": share, "n": 400}
    got = released([*BIG, of_scores], gates=[gate])
    assert got.rows[-1]["status"] == status
    assert (got.gates[0]["value"] is None) == (status == "suppressed")


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [("ess", 8.0, None), ("ess", 80.5, 80.5), ("events", 60.0, 60.0), ("events", 395.0, None),
     ("events_per_parameter", 9.5, None), ("events_per_parameter", 30.0, 30.0)],
)  # fmt: skip
def test_gates_tell_no_count_of_few(name, value, shown):
    gate = {"name": name, "adjustment": "none", "value": value, "n": 400}
    assert released(BIG, gates=[gate]).gates[0]["value"] == shown
