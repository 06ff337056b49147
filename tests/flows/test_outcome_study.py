"""A study of outcomes other than time, from a delivery to a report in both languages."""

import pandas as pd
import pytest

from tests.reference.outcome_data import repeated, roll_out
from tests.reference.test_series import one_series
from tests.table_world import csv_with_id, home_with, run, written

pytestmark = pytest.mark.xdist_group("outcome_study")


def source(name, kind, roles, columns):
    common = {"site_id": "S", "missing": "complete_case", "na": ["NA"]}
    return {
        "id": name,
        "kind": kind,
        "table": name,
        "roles": {**roles},
        "columns": {**columns},
    } | common


def columns():
    return {"x": "number", "arm": {"category": ["0", "1"]}, "number": "number"}


SERIES = {"time": "time", "value": "value", "intervention": "active"}
STUDY = {
    "spec_version": 1,
    "study": {"id": "outcomes", "title": {"en": "Outcomes", "ko": "결과"}},
    "sources": [
        source("visits", "analysis_table", {"outcome": "yes"}, columns()),
        source("values", "analysis_table", {"outcome": "number"}, columns()),
        source("months", "series_table", SERIES, {"time": "number"}),
        source("sites", "series_table", SERIES | {"site": "site"}, {"time": "number"}),
    ],
    "analyses": [
        {"id": "risk", "role": "primary", "source": "visits", "method": "risk", "by": "arm"},
        {"id": "lm", "role": "secondary", "source": "values", "method": "linear", "terms": "x + arm", "std_error": "robust", "hc": "HC3"},
        {"id": "gee", "role": "secondary", "source": "visits", "method": "gee", "family": "binomial", "terms": "x", "cluster": "person", "correlation": "exchangeable"},
        {"id": "its", "role": "secondary", "source": "months", "method": "interrupted_time_series", "family": "gaussian", "season_terms": 1},
        {"id": "did", "role": "secondary", "source": "sites", "method": "difference_in_differences", "controls": "never_treated", "inference": "permutation"},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    time, value, on = one_series()
    months = pd.DataFrame({"time": time, "value": value, "active": on.astype(int)})
    visits = csv_with_id(repeated())
    sites = csv_with_id(roll_out().rename(columns={"on": "active"}))
    home = home_with(
        tmp_path_factory.mktemp("outcomes"),
        visits=visits, values=visits, months=csv_with_id(months), sites=sites,
    )  # fmt: skip
    return run(home, written(tmp_path_factory.mktemp("study"), STUDY))


def test_it_is_published_with_every_estimate(published):
    outcome, rows = published
    assert (outcome.status, outcome.messages) == ("published", [])
    found = {(row["analysis_id"], row["estimate_name"]) for row in rows if row["status"] == "ok"}
    assert found >= {
        ("risk", "risk_difference"), ("risk", "nnt"), ("lm", "coefficient"), ("gee", "odds_ratio"),
        ("its", "level_change"), ("its", "mean"), ("did", "att"), ("did", "att_group_time"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ("Miettinen-Nurminen", "Without the interruption", "Change of level", "sensitivity: Prais-Winsten", "1 periods since adoption")),
        ("ko", ("중재가 없었을 경우", "수준 변화", "도입 후 1시점", "도입 순서 순열", "사건 1건")),
    ],
)  # fmt: skip
def test_the_report_says_it_in_both_languages(published, language, words):
    page = (published[0].folder / f"report.{language}.html").read_text(encoding="utf-8")
    assert [word for word in words if word not in page] == []
    assert "series_its" in page
