"""A study asks for parametric laws in one way, and is told what cannot be done."""

import pytest

from tasks.core.disclosure_tables import release_tables
from tasks.core.errors import SpecError
from tasks.core.spec import load_study
from tasks.core.spec.load import check_study
from tests.reference.test_registry_tables import results, some
from tests.unit.test_disclosure_tables import K, steps
from tests.unit.test_spec_tables import COX, ROLES, changed

LAW = "source: t, method: parametric_survival, distribution: weibull"
ENTRY = "      entry: {column: e, unit: days}\n"


@pytest.mark.parametrize(
    "asked",
    [
        LAW,
        f"{LAW}, by: sex, horizon_days: 3652, table_days: [365]",
        f'{LAW}, by: sex, terms: "age", cluster: center',
        "source: t, method: parametric_survival, distributions: [weibull, gompertz, generalised_gamma]",
    ],
)
def test_what_can_be_asked(tmp_path, asked):
    for more in ("", ENTRY):
        spec, messages = check_study(changed(tmp_path, (COX, asked), (ROLES, ROLES + more)))
        assert (spec.analyses[0].method, messages) == ("parametric_survival", [])


@pytest.mark.parametrize(
    ("asked", "roles", "told"),
    [
        (LAW.replace(", distribution: weibull", ""), "", "needs distribution, or distributions"),
        (f"{LAW}, distributions: [gompertz]", "", "distribution and distributions exclude"),
        (LAW.replace("distribution: weibull", "distributions: [weibull, weibull]"), "", "stands twice"),
        (LAW.replace("weibull", "normal"), "", "weibull"),
        (f"{LAW}, by: sex, terms: sex", "", "sex makes the groups that are fitted apart"),
        (f"{LAW}, std_error: profile_likelihood", "", "no standard errors of kind profile"),
        (f"{LAW}, ties: efron", "", "does not use ties"),
        (f"{LAW}, terms: bmi", "", "term bmi is not among the columns"),
        (f"{LAW}, by: age", "", "column age is not declared as category or boolean"),
        (LAW, "      weight: w\n", "source t has weights: say how standard errors are made"),
        ("source: two, method: parametric_survival, distribution: weibull", "", "does not exist for a two_by_two_table"),
        ("method: parametric_survival, adjustment: none, distribution: weibull", "", "say which table is analysed"),
        (f"{COX}, distribution: weibull", "", "does not use distribution"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_with_a_fix(tmp_path, asked, roles, told):
    with pytest.raises(SpecError) as refused:
        load_study(changed(tmp_path, (COX, asked), (ROLES, ROLES + roles)))
    assert told in str(refused.value)
    assert refused.value.exit_code == 11
    assert all(message.fix for message in refused.value.messages)


def test_intervals_are_refused(tmp_path):
    follow_up = "      follow_up: {column: time, unit: days}\n"
    intervals = "      start: {column: a, unit: days}\n      stop: {column: b, unit: days}\n"
    with pytest.raises(SpecError, match="takes one row a person"):
        load_study(changed(tmp_path, (COX, LAW), (follow_up, intervals)))


SOURCE = {
    "roles": {"follow_up": {"column": "t", "unit": "days"}, "event": "e", "treatment": "arm"},
    "columns": {"arm": {"category": ["a", "b"]}, "z": "number"},
}


def table(counts=(60, 60)):
    pandas = pytest.importorskip("pandas")
    rows = [
        {"t": 3 + 7 * i + (3 * i) % 5, "e": int(i % 2), "arm": arm, "z": (11 * i) % 17}
        for arm, n in zip("ab", counts, strict=True)
        for i in range(n)
    ]
    return pandas.DataFrame(rows)


ASKED = {"method": "parametric_survival", "distribution": "weibull", "table_days": [100, 5000], "horizon_days": 6000}  # fmt: skip


def test_the_treatment_makes_groups_unless_there_are_terms():
    apart = results(table(), SOURCE, **ASKED)
    assert {r.get("arm") for r in some(apart, "coefficient")} == {"a", "b"}
    together = results(table(), SOURCE, terms="arm + z", **ASKED)
    assert [r["term"] for r in some(together, "coefficient")] == ["intercept", "arm=b", "z", "log_scale", "scale"]  # fmt: skip
    assert {r.get("arm") for r in together if r["analysis_id"] == "a1"} == {None}
    [of_model] = some(together, "test")
    assert (of_model["statistic_name"], of_model["df1"]) == ("likelihood_ratio", 2)


def test_a_missing_treatment_costs_no_row_of_a_model_without_it():
    frame = table()
    frame.loc[:4, "arm"] = "NA"
    assert some(results(frame, SOURCE, terms="z", **ASKED), "aic")[0]["n"] == 120
    assert sum(r["n"] for r in some(results(frame, SOURCE, **ASKED), "aic")) == 115


def released(counts):
    rows = [row for row in results(table(counts), SOURCE, **ASKED) if row["analysis_id"] == "a1"]
    n = sum(counts)
    kept, _, messages = release_tables(rows, steps(a1=[n, n]), K)
    return rows, [r for r in kept if r["status"] == "ok"], kept, messages


def test_steps_are_thinned_and_fitted_curves_stay_whole():
    rows, ok, _, messages = released((60, 60))
    fitted = [r for r in rows if r.get("term") in ("fitted", "extrapolated")]
    assert [r for r in ok if r.get("term") in ("fitted", "extrapolated")] == fitted
    events = [r["n_events"] for r in some(ok, "survival", term="curve", arm="a")]
    assert events == [0, 11, 30]  # of 30: the end of the curve is told elsewhere
    assert len(some(rows, "survival", term="curve", arm="a")) > 30
    assert [m.code for m in messages] == ["P_SMALL_CELL"]


def test_of_a_small_group_nothing_is_told_not_even_its_days():
    _, ok, kept, _ = released((60, 16))
    assert ok == []
    assert {r.get("term") for r in kept if r["estimate_name"] == "survival"} == {"table"}
