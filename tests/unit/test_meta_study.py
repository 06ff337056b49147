"""Meta-analysis as a study asks for it: rows, refusals, disclosure, plots."""

import math

import pandas as pd
import polars as pl
import pytest

from tasks.analysis.attrition import ATTRITION_SCHEMA
from tasks.core.disclosure_tables import release_tables
from tasks.report.charts_meta import PoolText, forest_of_sites, funnel_chart, funnel_limits
from tasks.stats.meta_analysis import pool
from tests.reference.bcg import ABLAT, ALLOCATION, CNEG, CPOS, TNEG, TPOS, YEAR
from tests.reference.test_registry_tables import results, some
from tests.unit.test_spec_sensitivity import faults_of_table

FRAME = pd.DataFrame({
    "trial": range(1, 14), "tpos": TPOS, "tneg": TNEG, "cpos": CPOS, "cneg": CNEG, "year": YEAR,
    "ablat": ABLAT, "alloc": ALLOCATION,
})  # fmt: skip
ROLES = {
    "study": "trial", "target_events": "tpos", "target_non_events": "tneg",
    "comparator_events": "cpos", "comparator_non_events": "cneg",
}  # fmt: skip
COLUMNS = {
    "year": "number", "ablat": "number",
    "alloc": {"category": ["alternate", "random", "systematic"]},
}  # fmt: skip
COUNTS = {"kind": "effect_table", "roles": ROLES, "columns": COLUMNS}
ESTIMATES = {
    "kind": "effect_table", "columns": {},
    "roles": {"site": "site", "estimate": "y", "std_error": "se", "scale": "log"},
}  # fmt: skip
HOSPITALS = pd.DataFrame(
    {"site": ["C", "A", "D", "B"], "y": [0.3, -0.1, 0.2, 0.6], "se": [0.2, 0.1, 0.3, 0.25]}
)


def made(frame=FRAME, source=COUNTS, **more):
    return results(frame, source, **{"method": "meta_analysis", "pooling": "reml"} | more)


def pooled(rows, name):
    [row] = some(rows, name, scenario=None, stratum_level=None)
    return row


def test_counts_are_pooled_as_metafor_does():
    rows = made(measure="risk_ratio", cumulative="year")
    row = pooled(rows, "risk_ratio")
    assert math.log(row["estimate"]) == pytest.approx(-0.7145323483651, rel=1e-10)
    assert row["std_error"] == pytest.approx(0.1797815317804, rel=1e-10)
    assert (row["estimate_scale"], row["se_scale"], row["n_sites"]) == ("ratio", "log", 13)
    assert (row["n"], row["n_events"]) == (357347, 2575)
    low, high = pooled(rows, "prediction_low"), pooled(rows, "prediction_high")
    assert math.log(low["estimate"]) == pytest.approx(-1.866692346607, rel=1e-10)
    assert math.log(high["estimate"]) == pytest.approx(0.4376276498769, rel=1e-10)
    assert pooled(rows, "i2")["estimate"] == pytest.approx(92.221386074966, rel=1e-10)
    assert pooled(rows, "q")["df1"] == 12
    [first] = some(rows, "risk_ratio", scenario="site", stratum_level="1")
    assert math.log(first["estimate"]) == pytest.approx(-0.889311333920205, rel=1e-10)
    assert (first["n"], first["n_events"]) == (262, 15)
    assert sum(r["estimate"] for r in some(rows, "weight")) == pytest.approx(100)
    for scenario, count in (("leave_one_out", 13), ("cumulative", 13), ("trim_and_fill_l0", 1)):
        assert len(some(rows, "risk_ratio", scenario=scenario)) == count
    [missing] = some(rows, "count", term="missing_sites", scenario="trim_and_fill_l0")
    assert (missing["estimate"], missing["note"]) == (1, "on the right of the funnel")
    last = max(some(rows, "risk_ratio", scenario="cumulative"), key=lambda r: r["n_sites"])
    assert (last["at"], last["at_kind"], last["estimate"]) == (1980, "year", row["estimate"])


def test_rows_in_another_order_give_the_same():
    shuffled = FRAME.sample(frac=1, random_state=3)
    for more in ({"pooling": "reml", "terms": "ablat + alloc"}, {"pooling": "mantel_haenszel"}):
        assert made(measure="risk_ratio", **more) == made(shuffled, measure="risk_ratio", **more)


def test_moderators_are_terms_of_the_model():
    rows = made(measure="risk_ratio", terms="ablat", knapp_hartung=True)
    found = {row["term"]: row for row in some(rows, "coefficient")}
    assert found["ablat"]["estimate"] == pytest.approx(-0.02910166092801, rel=1e-9)
    assert found["ablat"]["std_error"] == pytest.approx(0.008201541796008, rel=1e-9)
    assert (found["ablat"]["df2"], found["ablat"]["ci_method"]) == (11, "knapp_hartung")
    assert pooled(rows, "r2")["estimate"] == pytest.approx(75.624478361491, rel=1e-9)
    [test] = some(rows, "test", statistic_name="moderators")
    assert (test["df1"], test["df2"]) == (1, 11)
    assert not some(rows, "prediction_low")


def test_estimates_of_sites_are_pooled_without_persons():
    rows = made(HOSPITALS, ESTIMATES, pooling="dl", measure="hazard_ratio", prediction="higgins")
    want = pool([-0.1, 0.6, 0.3, 0.2], [0.01, 0.0625, 0.04, 0.09], "dl", prediction="higgins")
    row = pooled(rows, "hazard_ratio")
    assert math.log(row["estimate"]) == pytest.approx(want.estimate, rel=1e-12)
    assert (row["n"], row["n_events"], row["n_sites"]) == (None, None, 4)
    low = pooled(rows, "prediction_low")
    assert (low["df2"], low["ci_method"]) == (2, "students_t")
    assert math.log(low["estimate"]) == pytest.approx(want.prediction_low, rel=1e-12)
    assert {r["stratum_level"] for r in some(rows, "hazard_ratio", scenario="site")} == set("ABCD")


def test_two_sites_are_shown_and_not_pooled():
    rows = made(HOSPITALS.iloc[:2], ESTIMATES)
    assert len(some(rows, "coefficient", scenario="site", status="ok")) == 2
    [row] = some(rows, "coefficient", status="not_estimable")
    assert "2 sites are too few to pool; 3 are needed" in row["note"]


def test_proportions_of_one_arm():
    roles = {"study": "trial", "target_events": "tpos", "target_non_events": "tneg"}
    rows = made(source=COUNTS | {"roles": roles}, measure="proportion")
    row = pooled(rows, "proportion")
    assert 0 < row["ci_low"] < row["estimate"] < row["ci_high"] < 0.05
    assert (row["se_scale"], row["estimate_scale"]) == ("logit", "identity")
    turned = made(
        source=COUNTS | {"roles": roles}, measure="proportion", transformation="freeman_tukey"
    )
    assert pooled(turned, "proportion")["se_scale"] == "arcsine"
    [site] = some(turned, "proportion", scenario="site", stratum_level="4")
    assert site["estimate"] == pytest.approx(62 / 13598, rel=1e-2)


def test_a_site_where_nobody_has_the_event_has_no_odds_ratio_by_peto():
    frame = FRAME.assign(tpos=[0, *TPOS[1:]], cpos=[0, *CPOS[1:]])
    rows = made(frame, pooling="peto", measure="odds_ratio")
    [row] = some(rows, "odds_ratio", scenario="site", stratum_level="1")
    assert row["status"] == "not_estimable"
    assert pooled(rows, "q")["df1"] == 11


@pytest.mark.parametrize(
    ("source", "analysis", "words"),
    [
        (COUNTS, {}, "has counts of two arms, and measure is None"),
        (COUNTS, {"measure": "hazard_ratio"}, "measure is hazard_ratio"),
        (COUNTS, {"measure": "risk_ratio", "pooling": "peto"}, "peto pools odds ratios"),
        (COUNTS, {"measure": "risk_ratio", "pooling": "fixed", "knapp_hartung": True}, "pooling fixed takes no knapp_hartung"),
        (COUNTS, {"measure": "risk_ratio", "pooling": "mantel_haenszel", "terms": "ablat"}, "takes no terms"),
        (COUNTS, {"measure": "risk_ratio", "terms": "dose"}, "term dose is not among the columns"),
        (COUNTS, {"measure": "risk_ratio", "terms": "log(alloc)"}, "it has no log"),
        (COUNTS, {"measure": "risk_ratio", "terms": "ablat", "prediction": "higgins"}, "with moderators there is no prediction"),
        (COUNTS, {"measure": "risk_ratio", "cumulative": "alloc"}, "not declared as number"),
        (COUNTS, {"measure": "risk_ratio", "transformation": "logit"}, "transformation is of proportions"),
        (COUNTS, {"measure": "risk_ratio", "e_value": True}, "meta_analysis has no e_value"),
        (COUNTS, {"measure": "risk_ratio", "pooling": None}, "meta_analysis needs pooling"),
        (ESTIMATES, {"pooling": "peto"}, "peto needs counts"),
        (ESTIMATES, {"measure": "risk_difference"}, "does not go with scale log"),
    ],
)  # fmt: skip
def test_what_cannot_be_pooled_is_refused(source, analysis, words):
    assert words in " ".join(refused(source, analysis))


def refused(source, analysis):
    found = {"method": "meta_analysis", "pooling": "reml"} | analysis
    return faults_of_table(source | {"id": "t"}, {k: v for k, v in found.items() if v is not None})


def test_small_cells_of_a_site_hide_all_that_tells_of_sites():
    """Four vaccinated have the event at the first trial: no row by trial may be shown."""
    rows = made(measure="risk_ratio", cumulative="year")
    of_method = [row for row in rows if row["analysis_id"] != "attrition"]
    kept, _, messages = release_tables(of_method, pl.DataFrame(schema=ATTRITION_SCHEMA), 11)
    assert messages
    assert all(row["status"] == "suppressed" for row in kept if row.get("stratum_level"))
    assert pooled(kept, "risk_ratio")["status"] == "ok"


def test_estimates_of_few_sites_are_no_small_cells():
    rows = made(HOSPITALS, ESTIMATES)
    of_method = [row for row in rows if row["analysis_id"] != "attrition"]
    kept, _, _ = release_tables(of_method, pl.DataFrame(schema=ATTRITION_SCHEMA), 11)
    assert all(row["status"] == "ok" for row in kept)


TEXT = PoolText("Risk ratio", "Risk ratio", "Weight", "Standard error")


def _points(low, high):
    base = {"label": "A", "value_text": "", "weight": 40.0, "weight_text": "", "std_error": 0.2}
    return [base | {"estimate": (low * high) ** 0.5, "low": low, "high": high, "kind": "site"}]


def test_axes_hold_every_interval():
    chart = forest_of_sites(_points(0.07, 6.5), TEXT, "ratio")
    scale = chart["layer"][1]["encoding"]["x"]["scale"]
    assert scale["domain"] == [0.05, 10.0]
    assert (
        len(forest_of_sites(_points(0.2, 0.3), TEXT, "share")["layer"]) == len(chart["layer"]) - 1
    )
    low, high = funnel_limits(0.0, 1.0)
    lines = {"middle": 1.0, "low": math.exp(low), "high": math.exp(high), "widest": 1.0}
    funnel = funnel_chart(_points(0.5, 2.0), lines, TEXT, "ratio")
    assert funnel["layer"][0]["encoding"]["y"]["scale"]["reverse"]
    assert funnel["layer"][0]["data"]["values"][1]["x"] == pytest.approx(0.1408635, rel=1e-6)
