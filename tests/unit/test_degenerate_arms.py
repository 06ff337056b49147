"""Degenerate arms: every method of the lake gives finite numbers or says why it cannot.

No NaN, no infinite number and no traceback: people without outcome, with nothing but outcomes, all
on one day, alone in their arm, or told apart by one covariate.
"""

import math

import numpy as np
import pytest
from scipy import sparse

from tasks.analysis.analyse import failed_primary
from tasks.analysis.covariates import Covariate
from tasks.analysis.estimates import METHODS, estimate
from tasks.analysis.people import People
from tasks.analysis.populations import make_populations
from tasks.core.spec import Analysis, load_study
from tests.study_files import NEW_USER

SPEC = load_study(NEW_USER)
MORE = [
    {"method": "fine_gray", "variant": "crr"},
    {"method": "nelson_aalen", "table_days": [30]},
    {"method": "gray_test"},
    {"method": "g_computation", "table_days": [30], "horizon_days": 20},
    {"method": "aipw", "table_days": [30]},
    {"method": "aipw", "horizon_days": 20, "model_per_arm": True},
]
SPEC = SPEC.model_copy(
    update={
        "analyses": SPEC.analyses
        + tuple(
            Analysis(id=f"more_{i}", role="exploratory", adjustment="none", **more)
            for i, more in enumerate(MORE)
        )
    }
)
N = 60
TARGET = np.arange(N) < N // 2
DAYS = np.arange(1, N + 1, dtype=float)
SOME = np.arange(N) % 3 == 0
AGE = np.sin(np.arange(N))


def people(is_target=TARGET, days=DAYS, cause=SOME, covariate=AGE):
    names = tuple(f for f in Covariate.__dataclass_fields__)
    made = Covariate(**{name: _value(name) for name in names})
    return People(
        np.arange(1, is_target.size + 1),
        np.asarray(is_target),
        np.asarray(days, float),
        np.asarray(cause).astype(int),
        (made,),
        sparse.csr_array(np.asarray(covariate, float)[:, None]),
    )


def _value(name):
    return {"id": "age", "is_binary": False, "is_sparse": False}.get(name, "")


WORLDS = {
    "nobody has the outcome": people(cause=np.zeros(N)),
    "everybody has it": people(cause=np.ones(N)),
    "everybody has it on one day": people(cause=np.ones(N), days=np.full(N, 7.0)),
    "nobody has it in one arm": people(cause=SOME & TARGET),
    "everybody has it in one arm": people(cause=TARGET),
    "all end on the first day": people(days=np.ones(N)),
    "only deaths": people(cause=np.full(N, 2)),
    "one person in an arm": people(is_target=np.arange(N) < 1),
    "a covariate tells the arms apart": people(covariate=TARGET * 9.0),
    "a covariate is constant": people(covariate=np.ones(N)),
    "two persons": people(TARGET[[0, -1]], DAYS[[0, -1]], SOME[[0, -1]], AGE[[0, -1]]),
}


def rows_of(world):
    populations, _ = make_populations(WORLDS[world], SPEC.adjustments)
    found = {}
    for analysis in SPEC.analyses:
        name = "crude" if analysis.adjustment == "none" else analysis.adjustment
        found[analysis.id] = estimate(SPEC, analysis, populations.get(name), "no model")
    return found


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("world", WORLDS)
def test_a_number_is_finite_or_it_is_said_why_there_is_none(world):
    for analysis_id, rows in rows_of(world).items():
        assert rows, analysis_id
        for row in rows:
            numbers = [v for v in row.values() if isinstance(v, float)]
            assert all(math.isfinite(v) for v in numbers), (analysis_id, row)
            if row["status"] == "ok":
                assert row.get("estimate") is not None or row.get("statistic") is not None
            else:
                assert row["status"] == "not_estimable"
                assert row["note"], (analysis_id, row)
                assert row.get("estimate") is None


@pytest.mark.parametrize(
    ("world", "lost"),
    [
        ("nobody has the outcome", {"primary", "replication", "log_rank"}),
        ("nobody has it in one arm", {"primary", "replication"}),
        ("a covariate tells the arms apart", {"primary", "cox_iptw", "cox_matched"}),
    ],
)
def test_what_cannot_be_estimated_is_not(world, lost):
    found = rows_of(world)
    for analysis_id in lost:
        [row] = [r for r in found[analysis_id] if r.get("statistic_name") != "proportional_hazards"]
        assert row["status"] == "not_estimable", row
    [failed] = failed_primary(found["primary"])
    assert failed["note"]


def test_a_ratio_to_an_arm_without_events_is_none():
    by_name = {row["estimate_name"]: row for row in rows_of("nobody has it in one arm")["rates"]}
    assert by_name["rate_ratio"]["status"] == "not_estimable"
    assert "no event" in by_name["rate_ratio"]["note"]
    assert by_name["rate_difference"]["status"] == "ok"


def test_every_method_of_the_lake_is_tried():
    assert {analysis.method for analysis in SPEC.lake_analyses} <= set(METHODS)
    others = set(METHODS) - {analysis.method for analysis in SPEC.lake_analyses}
    assert others == {"clone_censor_weight"}  # of another design: tests/unit/test_grace.py
