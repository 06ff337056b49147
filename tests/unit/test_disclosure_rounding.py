"""Rounded counts: multiples of the base, and nothing beside them that tells the exact one."""

import polars as pl
import pytest

from tasks.analysis.attrition import ATTRITION_SCHEMA
from tasks.analysis.balance import BALANCE_SCHEMA
from tasks.core.disclosure import Released
from tasks.core.disclosure_rounding import bases, rounded, to_base
from tasks.core.results import result_row

BASE = 5


def of(rows=(), attrition=(), balance=(), gates=()):
    return Released(
        list(rows),
        pl.DataFrame(list(attrition), schema=ATTRITION_SCHEMA),
        pl.DataFrame(list(balance), schema=BALANCE_SCHEMA),
        list(gates),
        [],
    )


def row(name, estimate, n, events, **more):
    values = {"estimate": estimate, "n": n, "n_events": events} | more
    return result_row("a", "secondary", name, **values)


def test_the_middle_is_rounded_up():
    assert [to_base(n, 5) for n in (0, 2, 3, 7, 8, 12.5, 1002)] == [0, 0, 5, 5, 10, 15, 1000]


def test_the_coarsest_base_counts():
    assert bases([None, None]) == 0
    assert bases([5, None]) == bases([2, 5]) == 5


def test_nothing_changes_without_a_base():
    given = of([row("count", 203.0, 203, 41)])
    assert rounded(given, 0) is given


def test_counts_and_what_is_made_of_them_are_rounded():
    rows = [
        row("count", 203.0, 203, 41, person_time=12345.6),
        row("proportion", 41 / 203, 203, 41, ci_low=0.1, ci_high=0.3),
        row("incidence_rate", 41 / 5.0, 203, 41, ci_low=4.1, ci_high=12.3),
        row("hazard_ratio", 1.234, 203, 41),
    ]
    count, share, rate, ratio = rounded(of(rows), BASE).rows
    assert (count["estimate"], count["n"], count["n_events"]) == (205.0, 205, 40)
    assert count["person_time"] == 12300.0
    assert (share["estimate"], share["ci_low"]) == (40 / 205, None)
    assert rate["estimate"] == pytest.approx(8.0)
    assert rate["ci_low"] == pytest.approx(4.0)
    assert (ratio["estimate"], ratio["n"]) == (1.234, 205)


def test_a_curve_steps_by_multiples_of_the_base():
    curve = [row("survival", 1 - e / 203, 203, e, at=float(e)) for e in range(0, 204, 7)]
    steps = [r["estimate"] * 203 / BASE for r in rounded(of(curve), BASE).rows]
    assert all(abs(step - round(step)) < 1e-9 or step * BASE == 203 for step in steps)


def test_what_is_withheld_stays_withheld():
    hidden = row("count", None, None, None, status="suppressed")
    assert rounded(of([hidden]), BASE).rows == [hidden]


def test_steps_of_the_attrition_add_up():
    steps = [
        {
            "arm": "x",
            "step": i,
            "step_id": f"s{i}",
            "remaining": n,
            "excluded": gone,
            "status": "ok",
        }
        for i, (n, gone) in enumerate([(1003, 0), (803, 200), (791, 12), (None, None), (703, 50)])
    ]
    out = rounded(of(attrition=steps), BASE).attrition
    assert out["remaining"].to_list() == [1005, 805, 790, None, 705]
    assert out["excluded"].to_list() == [0, 200, 15, None, 50]


def test_balance_and_gates_tell_no_exact_count():
    has = {"kind": "binary", "target_mean": 0.12345, "target_count": 27, "smd": 0.1}
    age = {"kind": "continuous", "target_mean": 61.2345}
    gates = [
        {"name": "events", "value": 159.0},
        {"name": "events_per_parameter", "value": 15.9},
        {"name": "max_smd", "value": 0.123},
        {"name": "positivity", "value": 0.98765},
    ]
    out = rounded(of(balance=[has, age], gates=gates), BASE)
    assert out.balance["target_count"].to_list() == [25, None]
    assert out.balance["target_mean"].to_list() == [0.12, 61.2345]
    assert [gate["value"] for gate in out.gates] == [160.0, 16.0, 0.123, 0.99]
