"""What may be shown of negative controls that few people have."""

import polars as pl
import pytest

from tasks.analysis.attrition import ATTRITION_SCHEMA
from tasks.analysis.balance import BALANCE_SCHEMA
from tasks.core.disclosure import release
from tasks.core.results import result_row

K = 11
ARMS = ("new", "old")
EMPTY = (pl.DataFrame(schema=ATTRITION_SCHEMA), pl.DataFrame(schema=BALANCE_SCHEMA), [])


def control(name, events, sizes=(500, 500), of="main", ratio_events=None):
    """Counts of both arms of a control, and its ratio."""
    named = {"outcome": name, "stratum_name": "negative_control", "stratum_level": name}
    counts = [
        result_row("negative_controls", "descriptive", "count", population="crude", arm=arm,
                   estimate=float(d), n=n, n_events=d, **named)
        for arm, n, d in zip(ARMS, sizes, events, strict=True)
    ]  # fmt: skip
    ratio = result_row(
        "negative_controls", "descriptive", "hazard_ratio", population="crude", term=of, estimate=1.1,
        std_error=0.2, n=sum(sizes), n_events=sum(events) if ratio_events is None else ratio_events,
        note="cox: one arm has no event", **named,
    )  # fmt: skip
    return [*counts, ratio]


def shown(*parts):
    """Controls of which something, and of which the ratio, is shown."""
    sizes = [
        result_row("follow_up", "descriptive", "count", arm=arm, population="crude", outcome="bleed",
                   estimate=500.0, n=500, n_events=60)
        for arm in ARMS
    ]  # fmt: skip
    rows = release([*sizes, *(row for part in parts for row in part)], *EMPTY, K).rows
    mine = [r for r in rows if r["analysis_id"] == "negative_controls"]
    some = {r["outcome"] for r in mine if r["status"] == "ok"}
    ratios = {r["outcome"] for r in mine if r["status"] == "ok" and r["estimate_name"] != "count"}
    for row in mine:
        if row["status"] == "suppressed":
            assert row["n"] is row["n_events"] is row["estimate"] is row["note"] is None
    return some, ratios


COMMON = [control(name, (60, 60)) for name in ("a", "b", "c", "d", "e")]


@pytest.mark.parametrize(
    ("events", "sizes", "is_shown"),
    [
        ((60, 60), (500, 500), True),
        ((0, 60), (500, 500), True),
        ((5, 60), (500, 500), False),
        ((60, 10), (500, 500), False),
        ((60, 60), (495, 500), False),
        ((60, 60), (489, 500), True),
        ((495, 60), (500, 500), False),
    ],
)
def test_a_control_is_withheld_where_few_have_it_or_lack_it(events, sizes, is_shown):
    some, _ = shown(control("x", events, sizes), *COMMON)
    assert ("x" in some) is is_shown


def test_the_sum_of_error_tells_no_single_control():
    some, ratios = shown(control("x", (5, 60)), *COMMON)
    assert "x" not in some
    assert ratios == {"c", "d", "e"}  # two more are withheld: three unknowns, two sums
    assert {"a", "b"} <= some  # their counts are still told
    rare = [control(name, (5, 60)) for name in ("x", "y", "z")]
    assert shown(*rare, *COMMON)[1] == {"a", "b", "c", "d", "e"}


def test_a_ratio_of_matched_people_may_not_tell_of_the_others():
    assert "m" in shown(control("m", (60, 60), ratio_events=100), *COMMON)[1]
    assert "m" not in shown(control("m", (60, 60), ratio_events=115), *COMMON)[1]


def test_a_pair_of_arms_is_withheld_as_an_outcome_is():
    """Few events in an arm of a pair: its counts and its effects go; two more controls with it."""
    kind = {"stratum_name": "negative_control_exposure", "outcome": "bleed"}
    few = [row | kind for row in control("pair", (5, 60))]
    plain = [row | kind for row in control("wide", (60, 60))]
    rows = release([*few, *plain, *(row for part in COMMON for row in part)], *EMPTY, K).rows
    told = {r["stratum_level"] for r in rows if r["status"] == "ok"}
    ratios = {
        r["stratum_level"] for r in rows if r["status"] == "ok" and r["estimate_name"] != "count"
    }
    assert "pair" not in told
    assert {"wide", "a", "b"} <= told
    assert ratios == {"c", "d", "e", "wide"}


def test_a_control_is_withheld_in_every_effect():
    """What one sum of error hides, another may not tell."""
    of_risk = [
        row | {"estimate_name": "risk_difference"}
        for name in ("x", "a", "b", "c", "d", "e")
        for row in control(name, (5, 60) if name == "x" else (60, 60))[2:]
    ]
    rows = [*control("x", (5, 60)), *(row for part in COMMON for row in part), *of_risk]
    shown_rows = [r for r in release(rows, *EMPTY, K).rows if r["status"] == "ok"]
    for effect in ("hazard_ratio", "risk_difference"):
        assert {r["outcome"] for r in shown_rows if r["estimate_name"] == effect} == {"c", "d", "e"}
