"""Estimating equations against statsmodels 0.15 at our correlation, and a dense solution.

geepack's alpha is the mean product of pairs over the scale, without correction for coefficients;
that of statsmodels has one, so it is given ours and told to keep it. geepack stops at steps of
1e-4, and so do we: where others are the witness, the tolerance is theirs.
"""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from statsmodels.genmod.cov_struct import Exchangeable, Independence

from tasks.core.errors import EstimationError
from tasks.stats.gee import gee
from tests.reference.outcome_data import ohio, repeated
from tests.reference.test_registry_tables import results, some

FAMILIES = {
    "gaussian": ("number", sm.families.Gaussian()),
    "binomial": ("yes", sm.families.Binomial()),
    "poisson": ("count", sm.families.Poisson()),
}


def errors(matrix):
    return np.sqrt(np.diag(matrix))


def asked(family, **more):
    data = repeated()
    name, _ = FAMILIES[family]
    return gee(
        data[["x", "arm"]], data[name], data.person, family,
        time=data.visit, tolerance=1e-12, **more,
    )  # fmt: skip


def theirs(family, fit, **more):
    data = repeated()
    name, kind = FAMILIES[family]
    structure = Independence()
    if fit.alpha is not None:
        structure = Exchangeable()
        structure.dep_params = fit.alpha
    x = sm.add_constant(data[["x", "arm"]])
    model = sm.GEE(
        data[name], x, groups=data.person, family=kind, cov_struct=structure, update_dep=False
    )
    return model.fit(ctol=1e-12, maxiter=200, **more)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("correlation", ["independence", "exchangeable"])
def test_coefficients_and_errors(family, correlation):
    fit = asked(family, correlation=correlation)
    want = theirs(family, fit)
    assert fit.coef == pytest.approx(want.params.to_numpy(), rel=1e-8)
    assert errors(fit.covariance) == pytest.approx(want.bse.to_numpy(), rel=1e-8)
    small = asked(family, correlation=correlation, small_sample="mancl_derouen")
    want = theirs(family, fit, cov_type="bias_reduced", scaling_factor=1)
    assert errors(small.covariance) == pytest.approx(want.bse.to_numpy(), rel=1e-8)


def power(distance, alpha):
    return alpha ** abs(distance)


def constant(distance, alpha):
    return np.where(distance == 0, 1.0, alpha)


def matrix_power(symmetric, exponent):
    values, vectors = np.linalg.eig(symmetric)
    return ((vectors * values**exponent) @ np.linalg.inv(vectors)).real


@pytest.mark.parametrize(("correlation", "shape"), [("ar1", power), ("exchangeable", constant)])
@pytest.mark.parametrize(("small_sample", "exponent"), [("none", 0), ("kauermann_carroll", -0.5), ("mancl_derouen", -1)])  # fmt: skip
def test_a_dense_solution_with_gaps_in_time(correlation, shape, small_sample, exponent):
    """Cluster by cluster with whole matrices, as the papers write it; visits lack at random."""
    data = repeated(seed=2, clusters=25)
    x, y, w = sm.add_constant(data[["x", "arm"]].to_numpy(float)), data["count"], data.weight
    fit = gee(
        x[:, 1:], y, data.person, "poisson",
        correlation=correlation, small_sample=small_sample, weights=w, time=data.visit,
        tolerance=1e-12,
    )  # fmt: skip
    mean = np.exp(x @ fit.coef)
    pearson = (y - mean) / np.sqrt(mean)
    assert fit.scale == pytest.approx((w * pearson**2).sum() / w.sum(), rel=1e-8)
    information, score, moment, parts = np.zeros((3, 3)), np.zeros(3), 0.0, []
    for person in np.unique(data.person):
        at = np.flatnonzero(data.person == person)
        time = data.visit.to_numpy()[at]
        distance = time[:, None] - time
        root = np.diag(np.sqrt(mean[at] / w.to_numpy()[at]))
        inverse = np.linalg.inv(root @ shape(distance, fit.alpha) @ root)
        slope = mean[at, None] * x[at]
        information += slope.T @ inverse @ slope
        parts.append((slope, inverse, (y.to_numpy() - mean)[at]))
        score += slope.T @ inverse @ parts[-1][2]
        i, j = np.triu_indices(at.size, 1)
        apart = abs(distance[i, j]) if correlation == "ar1" else np.ones(i.size)
        product = pearson.to_numpy()[at[i]] * pearson.to_numpy()[at[j]] / fit.scale
        both = w.to_numpy()[at[i]] * w.to_numpy()[at[j]]
        moment += (both * apart * fit.alpha ** (apart - 1) * (product - fit.alpha**apart)).sum()
    assert abs(score).max() < 1e-6
    assert abs(moment) < 1e-6
    bread, meat = np.linalg.inv(information), np.zeros((3, 3))
    for slope, inverse, left in parts:
        pull = np.eye(left.size) - slope @ bread @ slope.T @ inverse
        one = slope.T @ inverse @ matrix_power(pull, exponent) @ left
        meat += np.outer(one, one)
    assert errors(fit.covariance) == pytest.approx(errors(bread @ meat @ bread), rel=1e-6)


OHIO = {  # geese(resp ~ age + smoke + age:smoke, id, binomial, "exch", scale.fix = TRUE), geepack
    "age": (-0.14123592, 0.05820089), "smoke": (0.31382583, None), "age:smoke": (0.07083184, None),
    "intercept": (-1.90049529, 0.11908698),
}  # fmt: skip


def test_wheeze_as_geepack_prints_it():
    source = {"roles": {"outcome": "resp"}, "columns": {"age": "number", "smoke": "number"}}
    asked = {"method": "gee", "family": "binomial", "cluster": "id", "terms": "age * smoke"}
    rows = results(ohio(), source, correlation="exchangeable", **asked)
    for term, (coef, error) in OHIO.items():
        name = "coefficient" if term == "intercept" else "odds_ratio"
        [row] = some(rows, name, term=term)
        found = row["estimate"] if term == "intercept" else np.log(row["estimate"])
        assert found == pytest.approx(coef, rel=1e-6)
        assert error is None or row["std_error"] == pytest.approx(error, rel=1e-6)


def warped():
    """54 looms, 9 of each wool and tension, as datasets::warpbreaks; clusters of 4 in order."""
    breaks = (
        "26 30 54 25 70 52 51 26 67 18 21 29 17 12 18 35 30 36 36 21 24 18 10 43 28 15 26 "
        "27 14 29 19 29 31 41 20 44 42 26 19 16 39 28 21 39 29 20 21 24 17 13 15 15 16 28"
    ).split()
    row = np.arange(54)
    return pd.DataFrame(
        {
            "breaks": breaks, "wool": np.repeat(["A", "B"], 27),
            "tension": np.tile(np.repeat(["L", "M", "H"], 9), 2),
            "id": row // 4, "wave": row % 4, "w": 1 + row % 3,
        }
    )  # fmt: skip


# d <- warpbreaks; d$id <- (0:53) %/% 4; d$w <- 1 + (0:53) %% 3; f <- breaks ~ wool + tension
# geeglm(f, poisson, d, id = id, corstr = k, weights = w), geepack 1.3.9: coef, san.se, alpha, scale
WARPED = {
    "exchangeable": (
        [3.77510482149, -0.240912695049, -0.380161719816, -0.552689527673],
        [0.0965840949363, 0.106525185679, 0.160605594382, 0.104852198336],
        0.010679051118,
        3.71527257856,
    ),
    "ar1": (
        [3.77465349382, -0.240817966314, -0.377224686313, -0.550481368569],
        [0.0966603778551, 0.106365458358, 0.160554938574, 0.104805949156],
        0.0231352302057,
        3.71145146467,
    ),
}


@pytest.mark.parametrize("correlation", WARPED)
def test_weights_within_clusters_as_geepack_takes_them(correlation):
    levels = {"wool": {"category": ["A", "B"]}, "tension": {"category": ["L", "M", "H"]}}
    source = {
        "roles": {"outcome": "breaks", "weight": "w"},
        "columns": {"breaks": "number", "wave": "number", **levels},
    }
    wave = {"wave": "wave"} if correlation == "ar1" else {}
    rows = results(
        warped(), source, method="gee", family="poisson", cluster="id", terms="wool + tension",
        correlation=correlation, **wave,
    )  # fmt: skip
    got = {row["term"]: row for row in rows}
    coef, error, alpha, scale = WARPED[correlation]
    terms = ("wool=B", "tension=M", "tension=H")
    found = [got["intercept"]["estimate"], *(np.log(got[term]["estimate"]) for term in terms)]
    assert found == pytest.approx(coef, rel=1e-9)
    assert [got[term]["std_error"] for term in ("intercept", *terms)] == pytest.approx(
        error, rel=1e-9
    )
    assert got[f"correlation {correlation}"]["estimate"] == pytest.approx(alpha, rel=1e-9)
    assert got["scale"]["estimate"] == pytest.approx(scale, rel=1e-9)


def test_the_same_bits_for_any_order_of_rows():
    data = repeated()
    mixed = data.sample(frac=1, random_state=3)
    for correlation in ("independence", "exchangeable", "ar1"):
        one, other = (
            gee(d[["x", "arm"]], d.yes, d.person, "binomial", correlation=correlation, time=d.visit)
            for d in (data, mixed)
        )
        assert (one.coef == other.coef).all()
        assert (one.covariance == other.covariance).all()


def test_an_effect_of_nothing_at_all_is_found():
    """Every cluster alike in both arms: the coefficient is 0 and the steps are rounding."""
    y = np.tile([1.0, 2.0, 4.0], 20)
    fit = gee(np.repeat(np.arange(20) % 2, 3), y, np.repeat(np.arange(20), 3), "gaussian")
    assert fit.coef == pytest.approx([7 / 3, 0], abs=1e-12)


def test_degenerate_data_are_refused_with_the_reason():
    data = repeated()
    x, y = data[["x"]], data.yes
    refused = [
        (lambda: gee(x, y, data.person % 9, "binomial"), "9 cluster"),
        (lambda: gee(x, y, np.zeros(len(data)), "binomial"), "1 cluster"),
        (lambda: gee(x, 0 * y, data.person, "binomial"), "one value"),
        (lambda: gee(x, y, data.person, "binomial", correlation="ar1"), "time"),
        (lambda: gee(x, y, np.arange(len(data)), "binomial", correlation="exchangeable"), "no cluster"),
        (lambda: gee(data[["yes"]], y, data.person, "binomial"), "infinity"),
        (lambda: gee(x, y - 1, data.person, "poisson"), "negative"),
        (lambda: gee(x, data.number, data.person, weights=0 * y), "not finite and positive"),
    ]  # fmt: skip
    for make, told in refused:
        with pytest.raises(EstimationError, match=told):
            make()


COLUMNS = {"x": "number", "visit": "number", "years": "number"}
SOURCE = {"roles": {"outcome": "yes"}, "columns": COLUMNS}
ASKED = {"method": "gee", "terms": "x", "cluster": "person", "family": "binomial"}


def test_a_study_gets_ratios_the_correlation_and_the_number_of_clusters():
    data = repeated()
    fit = gee(data[["x"]], data.yes, data.person, "binomial", correlation="exchangeable")
    rows = results(data, SOURCE, correlation="exchangeable", **ASKED)
    [row] = some(rows, "odds_ratio")
    assert row["estimate"] == pytest.approx(np.exp(fit.coef[1]))
    assert (row["se_method"], row["n_clusters"], row["ci_method"]) == ("robust", 50, "wald")
    [alpha] = some(rows, "coefficient", term="correlation exchangeable")
    assert alpha["estimate"] == pytest.approx(fit.alpha)


def test_few_clusters_get_students_t_and_fewer_than_10_nothing():
    data = repeated(clusters=20)
    rows = results(data, SOURCE, correlation="ar1", wave="visit", **ASKED)
    [row] = some(rows, "odds_ratio")
    assert (row["ci_method"], row["df2"]) == ("wald t", 18)
    assert "small_sample" in row["note"]
    corrected = results(
        data, SOURCE, correlation="independence", small_sample="mancl_derouen", **ASKED
    )
    assert some(corrected, "odds_ratio")[0]["note"] is None
    [row] = some(
        results(repeated(clusters=9), SOURCE, correlation="independence", **ASKED), "coefficient"
    )
    assert (row["status"], "9 cluster" in row["note"]) == ("not_estimable", True)


def test_a_study_of_counts_takes_an_exposure():
    data = repeated()
    source = {"roles": {"outcome": "count"}, "columns": COLUMNS | {"count": "number"}}
    more = {"family": "poisson", "exposure": "years", "correlation": "independence"}
    [row] = some(results(data, source, **(ASKED | more)), "rate_ratio")
    fit = gee(data[["x"]], data["count"], data.person, "poisson", offset=np.log(data.years))
    assert row["estimate"] == pytest.approx(np.exp(fit.coef[1]))


@pytest.mark.parametrize("correlation", ["exchangeable", "ar1"])
def test_nothing_left_unexplained_has_no_correlation(correlation):
    cluster = np.repeat(np.arange(12), 3)
    x = np.arange(36)[:, None] % 5.0
    with pytest.raises(EstimationError, match="nothing unexplained"):
        gee(x, np.ones(36), cluster, "poisson", correlation=correlation, time=np.arange(36) % 3)
