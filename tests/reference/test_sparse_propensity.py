"""The L1 logistic score against scikit-learn's saga, on the same objective."""

import numpy as np
import pytest
from scipy import sparse, special
from sklearn.linear_model import LogisticRegression

from tasks.analysis.people import Covariate, People
from tasks.analysis.populations import make_populations
from tasks.core.errors import EstimationError
from tasks.core.spec import Analysis
from tasks.stats.sparse_propensity import objective, sparse_score


def drawn(n=400, p=60):
    rng = np.random.default_rng(4)
    x = sparse.random(n, p, density=0.08, format="csc", random_state=7, data_rvs=np.ones)
    logit = np.asarray(x @ np.r_[[1.5, -1.2, 1.0, -0.9], np.zeros(p - 4)]) - 0.3
    return x, rng.random(n) < special.expit(logit)


@pytest.mark.slow  # skglm compiles for ten seconds
def test_the_lasso_is_at_the_objective_of_scikit_learn_and_is_seeded():
    x, arm = drawn()
    found = sparse_score(x, arm, "minimum", n_folds=5, n_penalties=15)
    scale = np.sqrt(np.asarray(x.multiply(x).mean(axis=0) - np.square(x.mean(axis=0))).ravel())
    theirs = LogisticRegression(
        l1_ratio=1.0, solver="saga", C=1 / (len(arm) * found.penalty), tol=1e-10, max_iter=20_000
    ).fit((x @ sparse.diags(1 / scale)).tocsr(), arm)
    at = objective(x, arm, float(theirs.intercept_[0]), theirs.coef_[0] / scale, found.penalty)
    ours = objective(x, arm, found.intercept, found.coef, found.penalty)
    assert ours == pytest.approx(at, rel=1e-5)
    assert ours <= at + 1e-9
    assert found.fitted == pytest.approx(
        theirs.predict_proba((x @ sparse.diags(1 / scale)).tocsr())[:, 1], abs=1e-4
    )
    again = sparse_score(x, arm, "minimum", n_folds=5, n_penalties=15)
    assert (again.coef == found.coef).all()
    assert (again.loss == found.loss).all()
    small = sparse_score(x, arm, "one_standard_error", n_folds=5, n_penalties=15)
    assert small.penalty >= found.penalty
    assert small.n_used <= found.n_used < 60
    assert {0, 1} <= set(np.flatnonzero(found.coef).tolist())
    # Unpenalised intercept: fitted shares add up to those treated.
    assert found.fitted.sum() == pytest.approx(arm.sum(), rel=1e-5)
    with pytest.raises(EstimationError, match="0 rows for 5 folds"):
        sparse_score(x, arm & False, n_folds=5)
    # Cohorts: weights follow the penalised score, and no error counts its fit.
    covariates = tuple(Covariate(f"c{i}", "", "", True) for i in range(60))
    time = np.ones(len(arm))
    people = People(np.arange(len(arm)), arm, time, time.astype(int), covariates, x.tocsr())
    asked = Analysis(
        id="a", role="primary", method="kaplan_meier", adjustment="overlap", score_penalty="minimum"
    )
    populations, model = make_populations(people, ["overlap"], {"overlap": asked})
    assert model.is_penalised
    assert 0 < model.used.size < 60
    assert populations["overlap"].estimated is None
    assert populations["overlap"].weights[arm] == pytest.approx(1 - model.score[arm])
