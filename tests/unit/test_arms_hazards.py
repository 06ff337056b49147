"""Fine and Gray's model of two arms, crude, weighted and matched."""

import math

import numpy as np
import pytest

from tasks.analysis.estimates import estimate
from tasks.analysis.populations import Population
from tasks.core.spec import load_study
from tasks.core.spec.analyses import Analysis
from tasks.stats.fine_gray import fine_gray

RNG = np.random.default_rng(5)
N = 120
ARM = np.arange(N) % 2 == 0
DAYS = np.ceil(RNG.exponential(100, N))
CAUSE = RNG.integers(0, 3, N)
WEIGHT = RNG.uniform(0.5, 2, N)
PAIR = np.arange(N) // 2


def rows(variant, people, adjustment="none"):
    asked = {"id": "fg", "role": "secondary", "method": "fine_gray"}
    analysis = Analysis.model_validate(asked | {"variant": variant, "adjustment": adjustment})
    return estimate(load_study("gibleed_celecoxib_diclofenac"), analysis, people, "")


def people(name="crude", cause=CAUSE, weights=None, cluster=None, arm=ARM):
    return Population(name, arm, DAYS, cause, np.arange(N), weights, cluster)


@pytest.mark.parametrize(
    ("variant", "name", "more"),
    [
        ("crr", "crude", {}),
        ("finegray_cluster", "crude", {}),
        ("finegray_cluster", "iptw_ate", {"weights": WEIGHT}),
        ("finegray_cluster", "matched", {"cluster": PAIR}),
    ],
)
def test_the_row_is_the_fit_of_the_arms(variant, name, more):
    [row] = rows(variant, people(name, **more))
    fit = fine_gray(DAYS, CAUSE, ARM.astype(float), variant, **more)
    assert row["estimate_name"] == "subdistribution_hazard_ratio"
    assert math.log(row["estimate"]) == pytest.approx(fit.coef[0])
    assert row["std_error"] == pytest.approx(fit.std_error[0])
    assert (row["n"], row["n_events"]) == (N, int((CAUSE == 1).sum()))
    assert row["method"] == f"fine_gray_{variant}"
    assert row["n_clusters"] == fit.n_clusters


@pytest.mark.parametrize("given", [{"cause": np.zeros(N, int)}, {"arm": np.ones(N, bool)}])
@pytest.mark.parametrize("variant", ["crr", "finegray_cluster"])
def test_no_event_and_one_arm_are_not_estimable(variant, given):
    [row] = rows(variant, people(**given))
    assert (row["status"], row.get("estimate")) == ("not_estimable", None)
    assert row["note"]
