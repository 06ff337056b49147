"""Unstructured working correlations: geepack where every wave is there, dense algebra with gaps.

library(geepack)  # 1.3.9, R 4.2.2; with gaps in `waves` its geeglm ends in a segfault
geeglm(resp ~ age * smoke, binomial, ohio, id = id, waves = age + 3, corstr = "unstructured")
d <- warpbreaks; d$id <- (0:53) %/% 4; d$wave <- (0:53) %% 4 + 1; d$w <- 1 + (0:53) %% 3
geeglm(breaks ~ wool + tension, poisson, d, id = id, waves = wave, weights = w,
       corstr = "unstructured")
"""

import numpy as np
import pytest

from tasks.core.disclosure_tables import release_tables
from tasks.core.errors import EstimationError
from tasks.stats.gee import gee
from tests.reference.outcome_data import ohio, repeated
from tests.reference.test_gee import ASKED, SOURCE, warped
from tests.reference.test_registry_tables import results
from tests.unit.test_disclosure_tables import steps


def errors(matrix):
    return np.sqrt(np.diag(matrix))


def test_wheeze_as_geepack_has_it():
    d = ohio()
    x = np.column_stack([d.age, d.smoke, d.age * d.smoke])
    fit = gee(x, d.resp, d.id, "binomial", correlation="unstructured", time=d.age)
    coef = [-1.90836712557, -0.14183359516, 0.30162697468, 0.06845199674]
    assert fit.coef == pytest.approx(coef, rel=1e-9)
    error = [0.11913049177, 0.05851084806, 0.18847982732, 0.08918065538]
    assert errors(fit.covariance) == pytest.approx(error, rel=1e-9)
    alpha = [0.3500719691, 0.3084259476, 0.3035914233, 0.4693634209, 0.3185007587, 0.3779746797]
    assert [pair.alpha for pair in fit.pairs] == pytest.approx(alpha, rel=1e-9)
    assert [pair.name for pair in fit.pairs] == ["1:2", "1:3", "1:4", "2:3", "2:4", "3:4"]
    assert (fit.scale, fit.alpha) == (pytest.approx(1.007279272, rel=1e-9), None)


def test_a_study_with_weights_and_unequal_clusters_as_geepack_has_it():
    levels = {"wool": {"category": ["A", "B"]}, "tension": {"category": ["L", "M", "H"]}}
    source = {
        "roles": {"outcome": "breaks", "weight": "w"},
        "columns": {"breaks": "number", "wave": "number", **levels},
    }
    rows = results(
        warped(), source, method="gee", family="poisson", cluster="id", terms="wool + tension",
        correlation="unstructured", wave="wave",
    )  # fmt: skip
    got = {row["term"]: row for row in rows}
    for term, coef, error in (
        ("wool=B", -0.273934241446, 0.0886942470919),
        ("tension=M", -0.357675549461, 0.1345065534144),
        ("tension=H", -0.476636688257, 0.0866049795654),
    ):
        assert np.log(got[term]["estimate"]) == pytest.approx(coef, rel=1e-9)
        assert got[term]["std_error"] == pytest.approx(error, rel=1e-9)
    alpha = [0.35452684855064, -0.01964096930994, -0.00900844883874, 0.30107102298961,
             0.00266934951171, -0.61029594027229]  # fmt: skip
    names = [f"correlation {pair}" for pair in ("1:2", "1:3", "1:4", "2:3", "2:4", "3:4")]
    assert [got[name]["estimate"] for name in names] == pytest.approx(alpha, rel=1e-9)
    assert got["scale"]["estimate"] == pytest.approx(3.78701874942, rel=1e-9)


def test_a_dense_solution_where_waves_lack_at_random():
    data = repeated(seed=4, clusters=150)
    x, y = data[["x", "arm"]].to_numpy(float), data["count"].to_numpy(float)
    fit = gee(
        x, y, data.person, "poisson", correlation="unstructured", time=data.visit,
        weights=data.weight, tolerance=1e-12,
    )  # fmt: skip
    x, w = np.column_stack([np.ones(y.size), x]), data.weight.to_numpy(float)
    mean = np.exp(x @ fit.coef)
    pearson = (y - mean) / np.sqrt(mean)
    waves, wave = np.unique(data.visit, return_inverse=True)
    whole = np.eye(waves.size)
    for pair in fit.pairs:
        i, j = (int(part) - 1 for part in pair.name.split(":"))
        both = [
            (np.flatnonzero((data.person == p) & (wave == i)),
             np.flatnonzero((data.person == p) & (wave == j)))
            for p in data.person.unique()
        ]  # fmt: skip
        both = np.array([(a[0], b[0]) for a, b in both if a.size and b.size])
        weight = w[both[:, 0]] * w[both[:, 1]]
        product = pearson[both[:, 0]] * pearson[both[:, 1]] / fit.scale
        assert pair.alpha == pytest.approx(weight @ product / weight.sum(), rel=1e-8)
        assert pair.n_clusters == len(both)
        whole[i, j] = whole[j, i] = pair.alpha
    bread, meat, total = np.zeros((3, 3)), np.zeros((3, 3)), np.zeros(3)
    for person in data.person.unique():
        at = np.flatnonzero(data.person == person)
        root = np.diag(np.sqrt(mean[at] / w[at]))
        inverse = np.linalg.inv(root @ whole[np.ix_(wave[at], wave[at])] @ root)
        slope = mean[at, None] * x[at]
        one = slope.T @ inverse @ (y - mean)[at]
        total, meat = total + one, meat + np.outer(one, one)
        bread += slope.T @ inverse @ slope
    assert abs(total).max() < 1e-6
    bread = np.linalg.inv(bread)
    assert errors(fit.covariance) == pytest.approx(errors(bread @ meat @ bread), rel=1e-6)


def test_too_few_clusters_or_waves_are_refused():
    data = repeated()
    x, y = data[["x"]], data.yes

    def told(match, rows, **more):
        with pytest.raises(EstimationError, match=match):
            gee(x[rows], y[rows], data.person[rows], "binomial", correlation="unstructured", **more)

    everybody = np.full(len(data), True)
    told("time", everybody)
    told("1 waves", everybody & (data.visit == 1), time=data.visit[data.visit == 1])
    few = everybody & (data.person < data.person.unique()[11])
    told("11 clusters", few, time=np.arange(len(data))[few] % 97 + 0.5)
    gone = everybody & ~((data.visit == data.visit.max()) & (data.person % 2 == 0))
    gone &= ~((data.visit == data.visit.min()) & (data.person % 2 == 1))
    told("fewer than two clusters", gone, time=data.visit[gone])


def test_the_same_bits_for_any_order_of_rows():
    data = repeated()
    one, other = (
        gee(d[["x"]], d.yes, d.person, "binomial", correlation="unstructured", time=d.visit)
        for d in (data, data.sample(frac=1, random_state=3))
    )
    assert (one.coef == other.coef).all()
    assert one.pairs == other.pairs


def test_an_analysis_with_a_correlation_of_few_clusters_does_not_leave():
    data = repeated()
    last = data.visit.max()
    lost = (data.visit == last) & (data.person > data.person.unique()[20])
    rows = results(data[~lost], SOURCE, correlation="unstructured", wave="visit", **ASKED)
    pairs = [row for row in rows if ":" in str(row["term"])]
    fewest = min(row["behind"][0] for row in pairs)
    assert 0 < fewest < 40
    for k, status in ((fewest, "ok"), (fewest + 1, "suppressed")):
        shown, _, _ = release_tables(rows, steps(a1=[250, rows[0]["n"]]), k)
        assert {row["status"] for row in shown if row["analysis_id"] == "a1"} == {status}
