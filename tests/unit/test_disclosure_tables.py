"""Nothing that leaves of a registry table tells about fewer than k rows, alone or by subtraction."""

import random
from itertools import combinations, pairwise

import polars as pl
import pytest

from tasks.analysis.attrition import ATTRITION_SCHEMA
from tasks.core.disclosure_curves import spaced
from tasks.core.disclosure_tables import hide_table_sizes, release_tables
from tasks.core.results import AT_RISK, result_row

K = 11


def row(analysis, n, events, name="hazard_ratio", **more):
    return result_row(
        analysis, "secondary", name, population="t", n=n, n_events=events, estimate=1.0, **more
    )


def group(analysis, level, n, events, name="incidence_rate", by="sex", **more):
    return row(analysis, n, events, name, stratum_name=by, stratum_level=level, arm=level, **more)


def steps(**counts):
    rows = [
        {"arm": arm, "step": i, "step_id": f"s{i}", "label_en": "", "label_ko": "", "remaining": c,
         "excluded": 0, "status": "ok"}
        for arm, remaining in counts.items()
        for i, c in enumerate(remaining)
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=ATTRITION_SCHEMA)


def shown(rows, k=K, **counts):
    attrition = steps(**(counts or {r["analysis_id"]: [500, r["n"]] for r in rows}))
    kept, _, messages = release_tables(rows, attrition, k)
    return [r for r in kept if r["status"] == "ok" and r["analysis_id"] != "attrition"], messages


def test_public_data_pass_untouched():
    rows = [row("a", 3, 1)]
    attrition = steps(a=[4, 3])
    kept, same, messages = release_tables(rows, attrition, None)
    assert (kept, messages) == (rows, [])
    assert same.equals(attrition)


@pytest.mark.parametrize(("n", "events"), [(10, 0), (100, 5), (100, 95)])
def test_few_rows_events_or_others_are_withheld(n, events):
    rows, messages = shown([row("a", n, events)])
    assert rows == []
    assert [(m.code, m.where) for m in messages] == [("P_SMALL_CELL", "a")]


def test_nothing_is_withheld_of_many():
    rows, messages = shown([row("a", 100, 50), row("b", 100, 50), row("c", 70, 35)])
    assert len(rows) == 3
    assert messages == []


def test_one_small_group_hides_all_groups_of_the_column_in_every_analysis():
    rows, _ = shown(
        [
            row("model", 200, 80), group("rates", "F", 95, 5), group("rates", "M", 105, 75),
            group("means", "F", 95, 5, "rmst"), group("means", "M", 105, 75, "rmst"),
            group("other", "x", 100, 40, by="site"), group("other", "y", 100, 40, by="site"),
        ],
        model=[200], rates=[200], means=[200], other=[200],
    )  # fmt: skip
    assert [r["analysis_id"] for r in rows] == ["model", "other", "other"]


def test_analyses_that_differ_by_few_rows_are_not_shown_together():
    rows, _ = shown([row("first", 300, 100), row("second", 297, 100), row("third", 280, 80)])
    assert [r["analysis_id"] for r in rows] == ["first", "third"]


def test_analyses_that_differ_by_few_events_are_not_shown_together():
    rows, _ = shown([row("first", 300, 100), row("second", 280, 95)])
    assert [r["analysis_id"] for r in rows] == ["first"]


def test_groups_that_differ_by_few_are_not_shown_together():
    """Twenty rows less in all, but only three less of one group."""
    one = [group("a", "F", 150, 60), group("a", "M", 150, 60)]
    other = [group("b", "F", 147, 60, "rmst"), group("b", "M", 133, 60, "rmst")]
    rows, _ = shown([*one, *other], a=[300], b=[280])
    assert {r["analysis_id"] for r in rows} == {"a"}


def test_curves_are_thinned_until_k_events_lie_between_their_steps():
    curve = [row("km", 100, e, "survival", at=float(e), term="curve") for e in range(60)]
    rows, _ = shown([*curve, row("km", 100, 59, "median_survival")], km=[100])
    totals = sorted({r["n_events"] for r in rows if r["estimate_name"] == "survival"})
    assert totals[0] == 0
    assert totals == [0, 11, 22, 33, 44, 59]  # after 55 there would be four
    assert all(b - a >= K for a, b in pairwise(totals))


def test_steps_of_attrition_are_shown_only_apart_from_all_that_is_shown():
    rows = [row("a", 280, 100), row("b", 250, 81)]
    attrition = steps(a=[300, 291, 280], b=[300, 270, 250])
    kept, out, _ = release_tables(rows, attrition, K)
    assert out["remaining"].to_list() == [300, None, 280, 300, None, 250]
    assert out["excluded"].to_list()[2] is None
    assert {r["status"] for r in kept} == {"ok"}


def test_the_size_of_a_table_is_hidden_beside_its_rows_used():
    quality = [
        {
            "files": [{"table_name": "Lung", **dict.fromkeys(("rows_in", "rows_loaded", "rows_quarantined", "rows_deduplicated"), 9)},
                      {"table_name": "person", "rows_in": 9}],
            "checks": [{"table": "tables.lung", "n_rows": 9, "n_unexpected": 1, "share": 0.1}],
        }
    ]  # fmt: skip
    [entry] = hide_table_sizes(quality, ["lung"])
    assert entry["files"][0]["rows_in"] is None
    assert entry["files"][1]["rows_in"] == 9
    assert entry["checks"][0]["n_rows"] is None


def test_no_two_counts_that_are_shown_differ_by_few():
    rng = random.Random(5)
    some = 0
    for _ in range(300):
        sizes = {f"a{i}": rng.randint(20, 90) for i in range(4)}
        rows = [row(name, n, rng.randint(0, n)) for name, n in sizes.items()]
        attrition = steps(**{name: [100, rng.randint(n, 100), n] for name, n in sizes.items()})
        kept, out, _ = release_tables(rows, attrition, K)
        told = {r["n"] for r in kept if r["status"] == "ok"} | set(out["remaining"].drop_nulls())
        assert all(abs(a - b) >= K for a, b in combinations(told, 2))
        events = [
            (r["n"], r["n_events"])
            for r in kept
            if r["status"] == "ok" and r["analysis_id"] != "attrition"
        ]
        for n, e in events:
            assert not 0 < e < K
            assert not 0 < n - e < K
        assert all(abs(e - f) == 0 or abs(e - f) >= K for (_, e), (_, f) in combinations(events, 2))
        some += len(events)
    assert some > 300


def test_a_model_with_nearly_as_many_parameters_as_rows_is_withheld():
    def model(name, n, parameters):
        return [row(name, n, n // 2, term=f"x{i}") for i in range(parameters)]

    rows, messages = shown([*model("a", 40, 30), *model("b", 80, 30)])
    assert {r["analysis_id"] for r in rows} == {"b"}
    assert [message.where for message in messages] == ["a"]


def test_the_curve_of_a_table_ends_where_few_are_at_risk():
    curve = [
        row("km", 100, e, "survival", at=float(e), term="curve") | {AT_RISK: 100 - 3 * e}
        for e in (0, 12, 24, 30)
    ]
    rows, _ = shown([*curve, row("km", 100, 59, "median_survival")], km=[100])
    assert [r["at"] for r in rows if r["estimate_name"] == "survival"] == [0.0, 12.0, 24.0]


def test_spaced_keeps_its_distance_from_the_end():
    assert spaced({3, 12, 20, 95}, 100, K) == {12}
    assert spaced({0, 12, 100}, 100, K) == {0, 12, 100}


def test_steps_of_a_predicted_hazard_are_thinned_as_a_curve_is():
    days = [
        row("a", 200, events, name, at=float(events), term="predicted")
        for events in (20, 25, 60)
        for name in ("survival", "cumulative_hazard")
    ]
    rows, _ = shown([row("a", 200, 80), *days], a=[200])
    assert [r["n_events"] for r in rows if r["estimate_name"] != "hazard_ratio"] == [20, 20, 60, 60]


def test_spans_of_time_are_withheld_together_and_without_the_rest():
    spans = [
        row("a", 200, events, "coefficient", term="age", at=float(day), statistic_name="scaled_schoenfeld")
        for day, events in enumerate((30, 8, 42))
    ]  # fmt: skip
    rows, _ = shown([row("a", 200, 80), *spans], a=[200])
    assert [r["n_events"] for r in rows] == [80]
    rows, _ = shown([row("a", 200, 80), spans[0], spans[2]], a=[200])
    assert [r["n_events"] for r in rows] == [80, 30, 42]
