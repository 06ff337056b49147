"""Effects of the lake's arms by models of follow-up: those of a table with the same rows."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse

from tasks.analysis.covariates import Covariate
from tasks.analysis.estimates import estimate
from tasks.analysis.people import People
from tasks.analysis.populations import make_populations
from tasks.core.errors import SpecError
from tasks.core.spec import Analysis, load_study
from tasks.report.context import Context
from tasks.report.protocol.adjusting import adjustment_text
from tasks.report.texts import Words
from tasks.report.voice import Voice
from tests.reference.data import rossi
from tests.reference.test_registry_tables import results, some
from tests.study_files import NEW_USER, changed

TARGET, COMPARATOR = "celecoxib", "diclofenac"
X = ["age", "wexp", "prio"]
TERMS = " + ".join(X)
TABLE = {
    "roles": {
        "follow_up": {"column": "week", "unit": "days"},
        "event": "kind",
        "treatment": "arm",
        "person_id": "id",
    },
    "columns": {"arm": {"category": [COMPARATOR, TARGET]}, **dict.fromkeys(X, "number")},
}
SAME = ("estimate", "std_error", "ci_low", "ci_high", "n", "n_events", "at", "p_value", "se_method")


def world():
    """Arrested people of two arms; some of them died instead, whom a table codes 2."""
    d = rossi()
    kind = np.where(d.arrest == 0, 0, np.where(d.prio > 9, 2, 1))
    return d.assign(kind=kind, arm=np.where(d.fin == 1, TARGET, COMPARATOR), id=np.arange(len(d)))


def people(d=None):
    d = world() if d is None else d
    covariates = tuple(Covariate(name, name, name, False) for name in [*X, "twice"])
    matrix = np.column_stack([d[X].to_numpy(float), 2 * d.age.to_numpy(float)])
    return People(
        d.id.to_numpy(np.int64), (d.arm == TARGET).to_numpy(), d.week.to_numpy(float),
        d.kind.to_numpy(np.int64), covariates, sparse.csr_array(matrix),
    )  # fmt: skip


def of_lake(method, everybody=None, adjustment="none", **more):
    spec = load_study(NEW_USER)
    asked = Analysis(id="a1", role="secondary", method=method, adjustment=adjustment, **more)
    names = [] if adjustment == "none" else [adjustment]
    found, _ = make_populations(everybody or people(), names, {adjustment: asked})
    return estimate(spec, asked, found["crude" if adjustment == "none" else adjustment], "")


def same(lake, table, name):
    mine, theirs = some(lake, name), some(table, name)
    assert mine
    by = lambda row: (row["at"], row.get("arm") or "")  # noqa: E731
    for ours, other in zip(sorted(mine, key=by), sorted(theirs, key=by), strict=True):
        for key in SAME:
            assert ours.get(key) == pytest.approx(other.get(key), rel=1e-7), (name, key)


@pytest.mark.parametrize(
    ("method", "more"),
    [
        ("g_computation", {}),
        ("g_computation", {"effect": "att", "ties": "breslow", "model_per_arm": True}),
        ("aipw", {"effect": "att"}),
        ("aipw", {"model_per_arm": True}),
    ],
)
def test_effects_of_arms_are_those_of_a_table_of_the_same_rows(method, more):
    asked = {"table_days": [20, 45], "horizon_days": 50, **more}
    lake = of_lake(method, **asked)
    terms = TERMS if more.get("model_per_arm") else f"arm + {TERMS}"
    score = {"propensity": TERMS} if method == "aipw" else {}
    table = results(world(), TABLE, method=method, terms=terms, **score, **asked)
    for name in ("cumulative_incidence", "risk_difference", "risk_ratio", "rmst_difference"):
        same(lake, table, name)
    assert {row["estimand"] for row in lake} == {more.get("effect", "ate")}
    assert {(row["target"], row["comparator"]) for row in lake} == {(TARGET, COMPARATOR)}
    assert {row["population"] for row in lake} == {"crude"}


def test_what_cannot_be_estimated_says_why():
    d = world()
    for method in ("g_computation", "aipw"):
        nobody = d.assign(kind=np.where(d.arm == TARGET, 0, d.kind))
        [row] = of_lake(method, people(nobody), table_days=[45])
        assert (row["status"], row["estimate_name"]) == ("not_estimable", "risk_difference")
        assert row["ci_level"] is None
        [row] = of_lake(method, horizon_days=4000)
        assert row["estimate_name"] == "rmst_difference"
        assert "beyond the longest follow-up" in row["note"]
    separated = d.assign(wexp=d.fin)
    [row] = of_lake("aipw", people(separated), table_days=[45])
    assert row["status"] == "not_estimable"
    constant = people(d.assign(age=1, wexp=1, prio=1))
    [row] = of_lake("g_computation", constant, table_days=[45])
    assert "no covariate is left" in row["note"]


def test_matched_arms_are_not_adjusted_again(tmp_path):
    line = ("method: rmst, adjustment: overlap", "method: aipw, adjustment: matched")
    with pytest.raises(SpecError, match="aipw adjusts by its models, and matched as well"):
        load_study(changed(tmp_path, NEW_USER, line))


def test_a_model_may_serve_an_estimand_that_it_estimates(tmp_path):
    hazard = ("summary_measure: hazard_ratio", "summary_measure: risk_difference")
    cox = "method: cox, adjustment: overlap, ties: efron, std_error: robust,\n     "
    cox += "calibrate: true, e_value: true, gates: all"
    right = ("aipw, adjustment: none, table_days: [30]", "aipw, adjustment: none, horizon_days: 30")
    for text, is_right in zip(right, (True, False), strict=True):
        study = changed(tmp_path, NEW_USER, hazard, (cox, f"method: {text}"))
        if is_right:
            assert load_study(study).analyses[1].method == "aipw"
        else:
            with pytest.raises(SpecError, match="use table_days with aipw"):
                load_study(study)


def test_effects_by_models_are_not_called_unadjusted(tmp_path):
    text = "method: aipw, table_days: [9], adjustment: none"
    study = changed(tmp_path, NEW_USER, ("method: log_rank, adjustment: none", text))
    spec = load_study(study)
    [asked] = [a for a in spec.analyses if a.method == "aipw"]
    said = adjustment_text(Voice(spec, "en"), asked)
    assert said == (
        "model of the treatment with age, sex, prior_condition; "
        "covariates in the model: age, sex, prior_condition"
    )
    context = SimpleNamespace(words=Words("en"))
    names = {
        method: Context.population_of(context, {"population": "crude", "method": method})
        for method in ("aipw", "g_computation", "rmst")
    }
    assert list(names.values()) == ["Doubly robust (AIPW)", "Standardised", "Unadjusted"]


LOG_RANK = "method: log_rank"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("method: g_computation", "reads risks on days, and none are given"),
        ("method: aipw, table_days: [0]", "nothing has happened by day 0"),
        ("method: aipw, table_days: [9], propensity: age", "propensity is of registry tables"),
        ("method: aipw, table_days: [9], censoring_terms: age", "the analysis of a table"),
        ("method: g_computation, table_days: [9], ties: exact", "no baseline of exact ties"),
        ("method: tmle", "tmle is of registry tables"),
    ],
)
def test_what_models_of_the_lake_cannot_do_is_refused(tmp_path, text, said):
    with pytest.raises(SpecError) as refused:
        load_study(changed(tmp_path, NEW_USER, (LOG_RANK, text)))
    assert said in str(refused.value)
