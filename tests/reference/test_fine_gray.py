"""Fine and Gray's model against R: cmprsk's `crr`, and survival's `finegray` with `coxph`.

The printed numbers are those of cmprsk 2.2-9, tests/test.Rout.save:
    crr(ss, cc, cv); crr(ss, cc, cv[, 1])
R's `finegray` is written out by its definition in brute_hazards.py, and the rows that it makes
are fitted by `cox` with late entry, weights and clusters, which agrees with R's coxph.
"""

import numpy as np
import pytest

from tasks.core.errors import EstimationError
from tasks.stats.cox import cox
from tasks.stats.fine_gray import fine_gray
from tests.reference import brute_hazards
from tests.reference.crr_data import CAUSE, COVARIATES, TIME
from tests.reference.drawn_hazards import simulate
from tests.reference.test_registry_tables import results, some


def drawn(seed, n=70):
    rng = np.random.default_rng(seed)
    time, cause = np.ceil(rng.exponential(8, n)), rng.integers(0, 3, n)
    x = np.column_stack([rng.normal(size=n), rng.integers(0, 2, n)])
    return time, cause, x, rng


@pytest.mark.parametrize(
    ("columns", "coef", "std_error"),
    [
        ([0, 1, 2], [-0.29130, -0.06346, -0.47510], [0.3698, 0.3566, 0.3544]),
        ([0], [-0.1753], [0.354]),
    ],
)
def test_crr_as_the_tests_of_cmprsk_print_it(columns, coef, std_error):
    fit = fine_gray(TIME, CAUSE, COVARIATES[:, columns], "crr")
    assert fit.coef == pytest.approx(coef, rel=2e-4)
    assert fit.std_error == pytest.approx(std_error, rel=2e-4)
    assert (fit.n, fit.events) == (97, int((CAUSE == 1).sum()))


@pytest.mark.parametrize("seed", [1, 2])
def test_crr_by_its_formulas_with_ties(seed):
    time, cause, x, _ = drawn(seed, 50)
    fit = fine_gray(time, cause, x, "crr")
    score, std_error = brute_hazards.crr(time, cause, x, fit.coef)
    assert score == pytest.approx([0, 0], abs=1e-6)
    assert fit.std_error == pytest.approx(std_error, rel=1e-8)


def test_the_weights_that_survival_tests_by_hand():
    """fdata of survival's tests/finegray.R: weights 11/12, ... at 4, 5 and 10 are written there."""
    time = np.array([1, 2, 3, 4, 4, 4, 5, 5, 6, 8, 8, 9, 10, 12.0])
    cause = np.array([1, 2, 0, 1, 0, 0, 2, 1, 0, 0, 2, 0, 1, 0])
    person, _, _, _, weight = brute_hazards.finegray(time, cause)
    curve = np.cumprod([1, 11 / 12, 8 / 10, 5 / 6, 3 / 4, 2 / 3])
    assert weight[person == 1] == pytest.approx(curve)
    assert weight[person == 6][-1] == pytest.approx(5 / 12)
    assert weight[person == 10][-1] == pytest.approx(1 / 2)


@pytest.mark.parametrize("given", [(), ("weights",), ("strata",), ("weights", "strata", "cluster")])
def test_finegray_is_coxph_of_the_rows_that_finegray_makes(given):
    """f <- finegray(Surv(time, factor(cause)) ~ . + strata(s), d, weights = w)
    coxph(Surv(fgstart, fgstop, fgstatus) ~ x1 + x2 + strata(s), f, weights = fgwt, cluster = g)
    """
    time, cause, x, rng = drawn(3)
    n = time.size
    parts = {
        "weights": rng.uniform(0.5, 2, n), "strata": rng.integers(0, 2, n),
        "cluster": rng.integers(0, 25, n),
    }  # fmt: skip
    chosen = {name: parts[name] for name in given}
    fit = fine_gray(time, cause, x, "finegray_cluster", **chosen)
    strata = chosen.get("strata", np.zeros(n))
    rows = brute_hazards.finegray(time, cause, chosen.get("weights"), strata)
    person, start, stop, event, weight = rows
    cluster = chosen.get("cluster", np.arange(n))
    theirs = cox(
        stop, event, x[person],
        weights=weight, cluster=cluster[person], strata=strata[person], entry=start,
    )  # fmt: skip
    assert fit.coef == pytest.approx(theirs.coef, rel=1e-10)
    assert fit.std_error == pytest.approx(theirs.std_error, rel=1e-10)
    assert fit.log_likelihood == pytest.approx(theirs.log_likelihood, rel=1e-12)


def test_without_competing_events_it_is_cox():
    time, cause, x, _ = drawn(4)
    cause = np.minimum(cause, 1)
    crr, other = (fine_gray(time, cause, x, v) for v in ("crr", "finegray_cluster"))
    breslow, efron = (cox(time, cause, x, ties, robust=True) for ties in ("breslow", "efron"))
    for fit, plain in ((crr, breslow), (other, efron)):
        assert fit.coef == pytest.approx(plain.coef, rel=1e-10)
        assert fit.std_error == pytest.approx(plain.std_error, rel=1e-10)


def test_without_censoring_a_competing_event_is_follow_up_without_end():
    time, cause, x, _ = drawn(5)
    cause = np.maximum(cause, 1)
    longer = np.where(cause == 2, time.max() + 1, time)
    for variant, ties in (("crr", "breslow"), ("finegray_cluster", "efron")):
        fit, plain = (
            fine_gray(time, cause, x, variant),
            cox(longer, cause == 1, x, ties, robust=True),
        )
        assert fit.coef == pytest.approx(plain.coef, rel=1e-10)
        assert fit.std_error == pytest.approx(plain.std_error, rel=1e-10)


@pytest.mark.parametrize("variant", ["crr", "finegray_cluster"])
def test_a_shuffle_gives_the_same_bits(variant):
    time, cause, x, rng = drawn(6)
    order = rng.permutation(time.size)
    one = fine_gray(time, cause, x, variant)
    other = fine_gray(time[order], cause[order], x[order], variant)
    assert np.array_equal(one.coef, other.coef)
    assert np.array_equal(one.covariance, other.covariance)


@pytest.mark.parametrize("variant", ["crr", "finegray_cluster"])
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda t, c, x: (t, np.where(c == 1, 0, c), x), "there is no event"),
        (lambda t, c, x: (t, c, np.ones_like(x)), "do not vary"),
        (lambda t, c, x: (t, c, (c == 1).astype(float)), "monotone"),
        (lambda t, c, x: (np.zeros_like(t), c, x), "not positive"),
        (lambda t, c, x: (np.ones_like(t), c, np.column_stack([x, x])), "collinear"),
        (lambda t, c, x: (t, c - 1.0, x), "are no cause"),
        (lambda t, c, x: (t, c[:-1], x), "shape"),
        (lambda t, c, x: (t, c, np.where(x == x.max(), np.nan, x)), "missing"),
    ],
)
def test_what_cannot_be_fitted_is_refused(variant, change, reason):
    time, cause, x, _ = drawn(7)
    with pytest.raises(EstimationError, match=reason):
        fine_gray(*change(time, cause, x[:, 0]), variant)


def test_ties_everywhere_are_a_two_by_two_table():
    """All at one time: the score is that of the share with the event; only a slope can be found."""
    _, cause, x, _ = drawn(8)
    fit = fine_gray(np.ones(cause.size), cause, x[:, 1], "crr")
    assert np.isfinite([*fit.coef, *fit.std_error]).all()


def test_clusters_and_weights_that_say_nothing_are_refused():
    time, cause, x, _ = drawn(9)
    with pytest.raises(EstimationError, match="1 cluster"):
        fine_gray(time, cause, x, "finegray_cluster", cluster=np.zeros(time.size))
    with pytest.raises(EstimationError, match="weights are not finite and positive"):
        fine_gray(time, cause, x, "finegray_cluster", weights=np.zeros(time.size))
    with pytest.raises(EstimationError, match="takes no weights and no strata"):
        fine_gray(time, cause, x, "crr", weights=np.ones(time.size), strata=np.ones(time.size))
    with pytest.raises(EstimationError, match="choose one of crr, finegray_cluster"):
        fine_gray(time, cause, x, "sas")


def table():
    import pandas as pd

    frame = pd.DataFrame(COVARIATES.astype(int), columns=["x1", "x2", "x3"])
    return frame.assign(time=TIME, cause=CAUSE, centre=np.arange(TIME.size) % 20, w=1.5)


SOURCE = {
    "roles": {"follow_up": {"column": "time", "unit": "days"}, "event": "cause"},
    "columns": {"x1": "number", "x2": "boolean", "x3": {"category": ["0", "1"]}},
}


def test_crr_through_a_specification():
    rows = results(table(), SOURCE, method="fine_gray", variant="crr", terms="x1 + x2 + x3")
    found = some(rows, "subdistribution_hazard_ratio")
    assert [row["term"] for row in found] == ["x1", "x2", "x3=1"]
    assert np.log([row["estimate"] for row in found]) == pytest.approx(
        [-0.29130, -0.06346, -0.47510], rel=2e-4
    )
    assert [row["std_error"] for row in found] == pytest.approx([0.3698, 0.3566, 0.3544], rel=2e-4)
    assert {row["se_method"] for row in found} == {"sandwich with estimated censoring"}
    assert {(row["n"], row["n_events"]) for row in found} == {(97, int((CAUSE == 1).sum()))}


def test_finegray_with_weights_strata_and_clusters_through_a_specification():
    source = SOURCE | {"roles": SOURCE["roles"] | {"weight": "w"}}
    more = {"variant": "finegray_cluster", "strata": ["x3"], "cluster": "centre"}
    rows = results(table(), source, method="fine_gray", terms="x1 + x2", **more)
    fit = fine_gray(
        TIME, CAUSE, COVARIATES[:, :2], "finegray_cluster",
        weights=np.full(TIME.size, 1.5), strata=COVARIATES[:, 2], cluster=np.arange(TIME.size) % 20,
    )  # fmt: skip
    found = some(rows, "subdistribution_hazard_ratio")
    assert np.log([row["estimate"] for row in found]) == pytest.approx(fit.coef)
    assert [row["std_error"] for row in found] == pytest.approx(fit.std_error)
    assert {row["n_clusters"] for row in found} == {20}
    [wald] = some(rows, "test", statistic_name="wald")
    assert wald["statistic"] == pytest.approx(fit.wald_statistic)


def test_no_event_is_said_in_a_row():
    frame = table().assign(cause=0)
    rows = results(frame, SOURCE, method="fine_gray", variant="crr", terms="x1")
    [row] = some(rows, "subdistribution_hazard_ratio")
    assert (row["status"], row["note"]) == ("not_estimable", "cox: there is no event")


@pytest.mark.parametrize("variant", ["crr", "finegray_cluster"])
def test_few_draws_from_a_subdistribution_model(variant):
    """150 of the 2,000 replicates of docs/methods/coverage_hazards.md, in other seeds."""
    for found in simulate(variant, 300, 150, 7):
        assert abs(found.bias) < 4 * found.bias_mcse + 0.02
        assert found.mean_se == pytest.approx(found.sd, rel=0.2)
        assert 0.90 <= found.coverage <= 0.99
