"""Multiple imputation: Rubin's rules by hand, imputation by what is known to be true.

Rubin's rules with the degrees of freedom of Barnard and Rubin (1999), as mice:::pool.scalar(Q, U,
n, k) gives them: for Q = 1, 2, 3, U = 1, 1, 1, n = 11, k = 1
    qbar 2, ubar 1, b 1, t = 1 + 4/3 = 7/3, lambda = 4/7, dfcom = 10,
    dfold = 2 * 49/16 = 6.125, dfobs = 13 * 10/(10 + 3) * 11/10... written out below in fractions.
"""

from fractions import Fraction
from inspect import signature

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.imputation import mice

from tasks.core.errors import EstimationError
from tasks.stats.imputation import Variable, cumulative_hazard_at, impute
from tasks.stats.rubin import pool
from tests.reference.test_registry_tables import results, some


def barnard_rubin(share, m, df):
    """The degrees of freedom as the paper writes them, in fractions."""
    old = (m - 1) / share**2
    observed = Fraction(df + 1, df + 3) * df * (1 - share)
    return old * observed / (old + observed)


def test_pooling_by_hand():
    found = pool([1.0, 2.0, 3.0], [1.0, 1.0, 1.0], 10)
    total, share = Fraction(7, 3), Fraction(4, 7)
    df = barnard_rubin(share, 3, 10)
    assert found.estimate == 2
    assert (found.within, found.between) == (1, 1)
    assert found.std_error == pytest.approx(float(total) ** 0.5, rel=1e-12)
    assert found.df == pytest.approx(float(df), rel=1e-12)
    t = stats.t(float(df))
    assert found.ci_high == pytest.approx(2 + t.ppf(0.975) * float(total) ** 0.5, rel=1e-10)
    assert found.p_value == pytest.approx(2 * t.sf(found.statistic), rel=1e-10)
    r = share / (1 - share)
    assert found.fraction_missing == pytest.approx(float((r + 2 / (df + 3)) / (r + 1)), rel=1e-12)


def test_large_samples_have_rubins_own_degrees_of_freedom():
    found = pool([0.1, 0.3, 0.2, 0.25], [0.1, 0.12, 0.11, 0.1])
    share = 1.25 * found.between / found.std_error**2
    assert found.df == pytest.approx(3 / share**2, rel=1e-12)


def test_estimates_that_agree_are_those_of_complete_data():
    found = pool([0.5, 0.5], [0.1, 0.1])
    assert (found.estimate, found.fraction_missing, found.mcse) == (0.5, 0, 0)
    assert found.std_error == pytest.approx(0.1)
    assert found.ci_high == pytest.approx(0.5 + 0.1 * stats.norm.ppf(0.975))
    limited = pool([0.5, 0.5], [0.1, 0.1], 10)
    assert limited.df == pytest.approx(11 / 13 * 10)


@pytest.mark.parametrize(
    ("q", "s", "df"),
    [([1.0], [1.0], 10), ([1.0, np.nan], [1.0, 1.0], 10), ([1.0, 2.0], [1.0, 0.0], 10),
     ([1.0, 2.0], [1.0, 1.0], 0)],
)  # fmt: skip
def test_what_cannot_be_pooled_is_refused(q, s, df):
    with pytest.raises(EstimationError):
        pool(q, s, df)


def linear(x, y):
    inverse = np.linalg.inv(x.T @ x)
    coef = inverse @ (x.T @ y)
    df = y.size - x.shape[1]
    return coef, np.sqrt(np.diag(inverse) * ((y - x @ coef) ** 2).sum() / df), df


def drawn(rng, n):
    x = rng.normal(size=n)
    z = 0.6 * x + 0.8 * rng.normal(size=n)
    y = 1 + x + z + rng.normal(size=n)
    return x, z, y, rng.random(n) < 0.7 / (1 + np.exp(1 - y))


def variables(x, z, y, missing):
    whole = np.zeros(y.size, dtype=bool)
    return [Variable("x", x[:, None], missing), Variable("z", z[:, None], whole),
            Variable("y", y[:, None], whole)]  # fmt: skip


def test_imputed_data_give_the_truth_and_complete_cases_do_not():
    """x lacks values where y is high: 100 draws of 500, true coefficient of x is 1; seed 1.

    Means are compared with those of the data before anything was taken out.
    """
    rng, found, complete, whole = np.random.default_rng(1), [], [], []
    for draw in range(100):
        x, z, y, missing = drawn(rng, 500)
        whole.append(linear(np.column_stack([np.ones(500), x, z]), y)[0][1])
        made = []
        for donors in impute(variables(x, z, y, missing), imputations=5, iterations=1,
                             rng=np.random.default_rng(draw)):  # fmt: skip
            filled = x.copy()
            filled[missing] = x[donors["x"]]
            made.append(linear(np.column_stack([np.ones(500), filled, z]), y))
        pooled = pool([c[1] for c, _, _ in made], [e[1] for _, e, _ in made], made[0][2])
        found.append((pooled.estimate, pooled.ci_low <= 1 <= pooled.ci_high))
        kept = ~missing
        complete.append(
            linear(np.column_stack([np.ones(kept.sum()), x[kept], z[kept]]), y[kept])[0][1]
        )
    estimates, covered = np.array(found).T
    assert estimates.mean() == pytest.approx(np.mean(whole), abs=0.015)
    assert np.mean(complete) < np.mean(whole) - 0.025
    assert covered.mean() >= 0.9


def test_only_observed_values_are_given_and_the_seed_decides():
    x, z, y, missing = drawn(np.random.default_rng(3), 200)

    def run(seed):
        how = {"imputations": 3, "iterations": 2, "rng": np.random.default_rng(seed)}
        return [d["x"].tolist() for d in impute(variables(x, z, y, missing), **how)]

    assert run(1) == run(1) != run(2)
    assert not missing[np.array(run(1))].any()
    assert run(1)[0] != run(1)[1]


def test_a_category_is_matched_in_all_of_its_columns():
    """Levels that the outcome tells apart for certain are found again."""
    rng = np.random.default_rng(0)
    level = rng.integers(0, 3, 300)
    y = np.array([0.0, 5.0, 10.0])[level] + 0.01 * rng.normal(size=300)
    missing = rng.random(300) < 0.3
    columns = np.column_stack([level == 1, level == 2]).astype(float)
    dummies = np.column_stack([y, y**2])
    made = [Variable("level", columns, missing), Variable("y", dummies, np.zeros(300, dtype=bool))]
    for donors in impute(made, imputations=2, iterations=1, rng=rng):
        assert (level[donors["level"]] == level[missing]).mean() > 0.98


def test_too_few_values_to_draw_from_are_refused():
    missing = np.ones(20, dtype=bool)
    missing[:4] = False
    made = [Variable("x", np.zeros((20, 1)), missing)]
    with pytest.raises(EstimationError, match="4 rows have a value; 5 are needed"):
        next(impute(made, imputations=2, iterations=1, rng=np.random.default_rng(0)))


def test_the_cumulative_hazard_is_nelson_aalen():
    time = np.array([2.0, 3, 3, 5, 8])
    event = np.array([True, True, False, True, False])
    want = np.cumsum([1 / 5, 1 / 4, 0, 1 / 2, 0])
    assert cumulative_hazard_at(time, event) == pytest.approx(
        [want[0], want[1], want[1], want[3], want[4]]
    )
    entry = np.array([0.0, 2, 0, 4, 0])
    late = cumulative_hazard_at(time, event, entry)
    assert late == pytest.approx([1 / 3, 1 / 3 + 1 / 3, 2 / 3, 2 / 3 + 1 / 2, 2 / 3 + 1 / 2])


# ---- from a study
SOURCE = {
    "roles": {"follow_up": {"column": "time", "unit": "days"}, "event": "status"},
    "columns": {"age": "number", "sex": {"category": ["m", "f"]}, "smoker": "boolean"},
}
HOW = {"method": "multiple_imputation", "imputations": 8, "iterations": 3, "seed": 5}
COX = {"method": "cox", "ties": "efron", "terms": "age + sex + smoker"}


@pytest.fixture(scope="module")
def cohort():
    """400 persons; age lacks values where follow-up is short, two rows have no time at all."""
    rng = np.random.default_rng(11)
    n = 400
    age, sex, smoker = rng.normal(60, 10, n), rng.random(n) < 0.5, rng.random(n) < 0.3
    time = np.ceil(rng.exponential(400 / np.exp(0.04 * (age - 60) + 0.5 * smoker)))
    status = (time < 500).astype(int)
    time = np.minimum(time, 500)
    frame = pd.DataFrame({
        "time": [str(int(t)) for t in time], "status": [str(s) for s in status],
        "age": [f"{a:.1f}" for a in age], "sex": np.where(sex, "f", "m"),
        "smoker": np.where(smoker, "true", "false"),
    })  # fmt: skip
    frame.loc[(rng.random(n) < 0.5) & (time < 300), "age"] = "NA"
    frame.loc[rng.random(n) < 0.1, "sex"] = "NA"
    frame.loc[[0, 1], "time"] = "NA"
    return frame


@pytest.fixture(scope="module")
def found(cohort):
    return results(cohort, SOURCE, **COX, missing_data=HOW)


def test_the_accounting_keeps_rows_that_lack_covariates(cohort, found):
    steps = {r["term"]: r["n"] for r in found if r["method"] == "attrition"}
    assert steps == {"00_rows": 400, "01_missing:follow_up_days": 398, "02_used": 398}
    lacking = {
        r["term"]: r["n_events"] for r in some(found, "missing_fraction", method="missing_data")
    }
    left = cohort.iloc[2:]
    assert lacking == {
        "age": (left["age"] == "NA").sum(),
        "sex": (left["sex"] == "NA").sum(),
        "smoker": 0,
    }
    pooled = some(found, "hazard_ratio", scenario="multiple_imputation")
    assert {r["n"] for r in pooled} == {398}
    complete = some(found, "hazard_ratio", scenario="complete_case")
    assert {r["n"] for r in complete} == {((left["age"] != "NA") & (left["sex"] != "NA")).sum()}


def test_the_pooled_rows_say_how_they_were_made(found):
    pooled = some(found, "hazard_ratio", scenario="multiple_imputation")
    assert [r["term"] for r in pooled] == ["age", "sex=f", "smoker"]
    assert {(r["se_method"], r["ci_method"], r["statistic_name"], r["role"]) for r in pooled} == {
        ("rubin", "t_barnard_rubin", "t", "primary")
    }
    for row in pooled:
        assert row["ci_low"] < row["estimate"] < row["ci_high"]
        assert row["df1"] < row["n_events"]
    roles = {r["role"] for r in some(found, "hazard_ratio", scenario="complete_case")}
    assert roles == {"sensitivity"}
    shares = {
        r["term"]: r["estimate"] for r in some(found, "missing_fraction", scenario="information")
    }
    assert shares["age"] > shares["smoker"]


def test_complete_cases_are_the_analysis_without_the_key(cohort, found):
    plain = some(results(cohort, SOURCE, **COX), "hazard_ratio")
    beside = some(found, "hazard_ratio", scenario="complete_case")
    numbers = ("estimate", "std_error", "ci_low", "p_value", "n")
    assert [[r[c] for c in numbers] for r in plain] == [[r[c] for c in numbers] for r in beside]


def test_shuffled_rows_give_the_same_numbers(cohort, found):
    again = results(cohort.sample(frac=1, random_state=2), SOURCE, **COX, missing_data=HOW)
    assert again == found


def test_an_indicator_is_a_column_or_a_level_of_its_own(cohort):
    rows = results(cohort, SOURCE, **COX, missing_data={"method": "missing_indicator"})
    made = some(rows, "hazard_ratio", scenario="missing_indicator")
    assert [r["term"] for r in made] == ["age", "sex=f", "sex=missing", "smoker", "age.missing"]
    assert {r["n"] for r in made} == {398}


def test_an_odds_ratio_is_pooled_on_the_log_scale(cohort):
    source = {"roles": {"outcome": "status"}, "columns": SOURCE["columns"]}
    rows = results(cohort, source, method="logistic", terms="age + sex", missing_data=HOW)
    [age] = some(rows, "odds_ratio", term="age", scenario="multiple_imputation")
    low, high = np.log([age["ci_low"], age["ci_high"]])
    assert np.log(age["estimate"]) == pytest.approx((low + high) / 2)
    assert some(rows, "coefficient", term="intercept", scenario="multiple_imputation")


def test_a_column_that_nobody_has_is_not_imputed(cohort):
    empty = cohort.assign(age="NA")
    [row] = some(
        results(empty, SOURCE, **COX, missing_data=HOW),
        "hazard_ratio",
        se_method=None,
        scenario=None,
    )
    assert row["status"] == "not_estimable"
    assert "0 rows have a value" in row["note"]


def ours_pooled(x, z, y, missing, m, seed):
    made = []
    how = {"imputations": m, "iterations": 1, "rng": np.random.default_rng(seed)}
    for donors in impute(variables(x, z, y, missing), **how):
        filled = x.copy()
        filled[missing] = x[donors["x"]]
        made.append(linear(np.column_stack([np.ones(x.size), filled, z]), y))
    return [pool([c[k] for c, _, _ in made], [e[k] for _, e, _ in made]) for k in range(3)]


def theirs_pooled(x, z, y, missing, m, seed):
    """MICE("y ~ x + z", OLS, MICEData(d, k_pmm=5, rng=Generator)).fit(0, m) of statsmodels 0.15.

    Earlier versions draw from numpy's global state: it is seeded, and put back as it was.
    """
    frame = pd.DataFrame({"x": np.where(missing, np.nan, x), "z": z, "y": y})
    is_local = "rng" in signature(mice.MICEData).parameters
    how = {"rng": np.random.default_rng(seed)} if is_local else {}
    before = np.random.get_state()  # noqa: NPY002 - theirs
    try:
        np.random.seed(seed)  # noqa: NPY002 - theirs
        return mice.MICE("y ~ x + z", sm.OLS, mice.MICEData(frame, k_pmm=5, **how)).fit(0, m)
    finally:
        np.random.set_state(before)  # noqa: NPY002 - theirs


def test_pooled_estimates_are_those_of_statsmodels_within_monte_carlo_error():
    """20 imputations by each of one drawn data set, 500 rows, a third without x; seeds fixed.

    Each pooled coefficient has a Monte Carlo error of its own; the gap is held against both, at 3.5
    of them. Their standard errors are 0 to 9 % smaller: they match fitted and predicted values by the
    same drawn coefficients, so that part of what is drawn cancels; R mice and we do not (below).
    """
    x, z, y, missing = drawn(np.random.default_rng(1), 500)
    ours = ours_pooled(x, z, y, missing, 20, seed=5)
    theirs = theirs_pooled(x, z, y, missing, 20, seed=6)
    for k, mine in enumerate(ours):
        assert abs(mine.estimate - theirs.params[k]) < 3.5 * np.sqrt(2) * mine.mcse
        assert 0.85 < theirs.bse[k] / mine.std_error < 1.05
    complete = linear(np.column_stack([np.ones((~missing).sum()), x[~missing], z[~missing]]),
                      y[~missing])[0]  # fmt: skip
    assert abs(complete[0] - theirs.params[0]) > 3.5 * np.sqrt(2) * ours[0].mcse


R_MICE = ((0.9920651, 0.05372931), (0.9826623, 0.06398475), (1.1250381, 0.06165249))


def test_pooled_estimates_and_errors_are_those_of_r_mice():
    """The same data written to a file, 1,000 imputations; R 4.2.2, mice 3.15.0, numbers above.

    i <- mice(d, m = 1000, maxit = 1, method = "pmm", donors = 5, seed = 1)
    summary(pool(with(i, lm(y ~ x + z))))
    """
    x, z, y, missing = drawn(np.random.default_rng(1), 500)
    for mine, (estimate, error) in zip(
        ours_pooled(x, z, y, missing, 1000, seed=1), R_MICE, strict=True
    ):
        assert abs(mine.estimate - estimate) < 4 * np.sqrt(2) * mine.mcse
        assert mine.std_error == pytest.approx(error, rel=0.015)
