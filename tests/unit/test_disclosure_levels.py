"""Coefficients and balance of columns of which a level has few rows tell how many: they stay."""

import pytest

from tasks.core.disclosure_levels import hide_contrasts, hide_rare_levels
from tasks.core.results import LEVELS, result_row

K = 11


def row(name, term=None, levels=None, **more):
    made = result_row("a", "secondary", name, population="t", term=term, estimate=1.0, **more)
    return made | ({LEVELS: levels} if levels else {})


def shown(rows):
    return [
        (r["estimate_name"], r.get("term"))
        for r in hide_rare_levels(rows, K)
        if r["status"] == "ok"
    ]


RARE = {"terms": {"arm": (60, 60), "sex": (110, 10)}, "balance": {}}
MODEL = [
    row("odds_ratio", "arm=1", RARE),
    row("odds_ratio", "sex=1", RARE),
    row("odds_ratio", "arm=1:sex=1", RARE),
    row("e_value", "sex=1", scenario="estimate"),
    row("coefficient", "intercept", RARE),
    row("log_likelihood", "model", RARE),
    row("test", None, RARE),
    row("survival", "predicted", RARE, arm="1"),
    row("risk_difference", None, RARE, target="1", comparator="0"),
]


def test_a_rare_level_goes_with_all_that_would_give_it_back():
    assert shown(MODEL) == [("odds_ratio", "arm=1"), ("risk_difference", None)]


def test_a_model_of_frequent_levels_stays_whole():
    often = {"terms": {"arm": (60, 60), "sex": (109, 11)}, "balance": {}}
    assert len(shown([r | {LEVELS: often} if LEVELS in r else r for r in MODEL])) == len(MODEL)


def test_the_balance_of_a_rare_level_goes_and_the_estimate_stays():
    rare = {"terms": {}, "balance": {"grp": (20, 5, 15, 40, 3, 37), "age": ()}}
    rows = [row(name, f"{c}") for name in ("smd", "variance_ratio", "ks_statistic")
            for c in ("grp=a", "grp=b", "age")]  # fmt: skip
    rows += [row("max_smd"), row("hazard_ratio", "arm=1", rare),
             row("coefficient", "grp=a", method="propensity")]  # fmt: skip
    kept = [("smd", "age"), ("variance_ratio", "age"), ("ks_statistic", "age")]
    assert shown(rows) == [*kept, ("hazard_ratio", "arm=1")]


def test_rare_levels_of_a_subgroup_do_not_hide_those_of_all():
    rows = [row("hazard_ratio", "arm=1", {"terms": {"arm": (60, 60)}}),
            row("hazard_ratio", "arm=1", {"terms": {"arm": (40, 5)}}, scenario="subgroup",
                stratum_name="sex", stratum_level="1")]  # fmt: skip
    assert [r["status"] for r in hide_rare_levels(rows, K)] == ["ok", "suppressed"]


@pytest.mark.parametrize("lost", ["0", "1"])
def test_a_contrast_does_not_give_back_a_risk_that_is_withheld(lost):
    risks = [
        row("cumulative_incidence", "table", arm=arm, at=90.0)
        | {"status": "suppressed" if arm == lost else "ok"}
        for arm in ("0", "1")
    ]
    compared = [row(name, target="1", comparator="0", at=day) for day in (90.0, 365.0)
                for name in ("risk_difference", "risk_ratio")]  # fmt: skip
    status = [r["status"] for r in hide_contrasts([*risks, *compared])[2:]]
    assert status == ["suppressed", "suppressed", "ok", "ok"]
