"""Meta-analysis against R 4.2.2 with metafor 3.8-1, on the trials of a vaccine (dat.bcg).

Tau squared is found with metafor's own starts, steps and stops, so that its digits are met; with
`tight` it goes on to the last ones, as metafor does with
    control = list(threshold = 1e-14, tol = 1e-14, maxiter = 1000)
Other calls, beside ../shared/reference/stats_reference.json:
    e <- escalc("RR", ai = tpos, bi = tneg, ci = cpos, di = cneg, data = dat.bcg)
    rma(yi, vi, mods = ~ ablat + alloc, data = e); rma(yi, vi, data = e, test = "adhoc")
    rma.peto(ai = tpos, bi = tneg, ci = cpos, di = cneg, data = dat.bcg)
    z <- dat.bcg; z$tpos[1] <- 0; z$tpos[3] <- z$cpos[3] <- 0           # with empty cells
    ranktest(rma(yi, vi, data = e)); trimfill(., estimator = "R0"); influence(.); cumul(., order = year)
"""

import itertools

import numpy as np
import pytest

from tasks.core.errors import EstimationError
from tasks.stats.brent import find_root
from tasks.stats.meta_analysis import pool
from tasks.stats.meta_analysis_checks import (
    begg,
    cumulative,
    egger,
    influence,
    leave_one_out,
    trim_and_fill,
)
from tasks.stats.meta_analysis_counts import (
    effects_of,
    mantel_haenszel,
    peto,
    peto_effects,
    proportion_from,
    proportions_of,
    tables,
)
from tests.reference.bcg import ABLAT, ALLOCATION, CNEG, CPOS, TNEG, TPOS, YEAR
from tests.reference.shared import r_values, reference

METHODS = ("fixed", "dl", "pm", "reml", "ml", "sj", "he", "eb")
EXACT = 1e-10


def counts_of(tpos=TPOS, cpos=CPOS):
    return tables(tpos, np.add(tpos, TNEG), cpos, np.add(cpos, CNEG))


BCG = effects_of(counts_of(), "risk_ratio")
Y, V = BCG.effects, BCG.variances
EMPTY = counts_of([0, 6, 0, *TPOS[3:]], [11, 29, 0, *CPOS[3:]])


def within(got, want, rel=EXACT):
    assert got == pytest.approx(want, rel=rel)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_that_of_metafor(method):
    want = r_values(f"bcg_{'FE' if method == 'fixed' else method.upper()}")
    found = pool(Y, V, method)
    h = found.heterogeneity
    got = {
        "b": found.estimate, "se": found.std_error, "z": found.statistics[0],
        "p": found.p_values[0], "lo": found.ci_low[0], "hi": found.ci_high[0], "tau2": h.tau2,
        "se_tau2": h.tau2_std_error, "I2": h.i2, "H2": h.h2, "Q": h.q, "Qp": h.p_value,
        "pi_lo": found.prediction_low, "pi_hi": found.prediction_high,
    }  # fmt: skip
    for name, value in got.items():
        assert value == want[name] if want[name] is None else value == pytest.approx(want[name], rel=1e-9)  # fmt: skip
    if method == "fixed":
        return
    limits = want["tau2_ci_Qprofile"]
    within((h.tau2_low, h.tau2_high), (limits["ci.lb"], limits["ci.ub"]))
    scaled = pool(Y, V, method, knapp_hartung="plain")
    within(
        (scaled.std_error, scaled.statistics[0], scaled.p_values[0], scaled.ci_low[0],
         scaled.ci_high[0], scaled.df, scaled.prediction_low, scaled.prediction_high),
        tuple(want["hksj"][name] for name in ("se", "t", "p", "lo", "hi", "df", "pi_lo", "pi_hi")),
    )  # fmt: skip


def test_published_tau_squared():
    want = next(e for e in reference("stats_reference.json")["results"] if e["id"] == "pub_bcg_reml_tau2")  # fmt: skip
    within(pool(Y, V).heterogeneity.tau2, want["estimate"])


def test_reference_of_asymmetry_and_leaving_out():
    found, want = egger(Y, V), r_values("bcg_egger")
    within((found.statistic, found.p_value), (want["z"], want["p"]))
    filled, want = trim_and_fill(Y, V, "dl"), r_values("bcg_trimfill_DL")
    assert (filled.missing, filled.side) == (want["k0"], "right")
    pooled = filled.pooled
    within(
        (pooled.estimate, pooled.ci_low[0], pooled.ci_high[0]), (want["b"], want["lo"], want["hi"])
    )
    without, want = leave_one_out(Y, V, "reml"), r_values("bcg_leave1out_REML")
    within([one.estimate for one in without], want["b"])
    within([one.heterogeneity.tau2 for one in without], want["tau2"])
    within([one.heterogeneity.i2 for one in without], want["I2"])


def test_reference_of_moderators():
    found, want = pool(Y, V, moderators=ABLAT), r_values("bcg_metareg_ablat")
    within(found.coefficients.tolist(), list(want["coef"].values()))
    within(found.std_errors.tolist(), want["se"])
    test = found.moderators
    within(
        (found.heterogeneity.tau2, test.r2, test.statistic, test.p_value),
        (want["tau2"], want["R2"], want["QM"], want["QMp"]),
    )
    scaled = pool(Y, V, moderators=ABLAT, knapp_hartung="plain")
    within(scaled.std_errors.tolist(), r_values("bcg_metareg_ablat_knha")["se"])


def test_reference_of_mantel_haenszel():
    found, want = mantel_haenszel(counts_of(), "risk_ratio"), r_values("bcg_MH_RR")
    within((found.estimate, found.std_error, found.q), (want["b"], want["se"], want["Q"]))
    found, want = mantel_haenszel(counts_of(), "odds_ratio"), r_values("bcg_MH_OR")
    within(
        (found.estimate, found.std_error, found.cmh, found.cmh_p, found.tarone),
        (want["b"], want["se"], want["MH"], want["MHp"], want["TA"]),
    )


def test_several_moderators():
    """QE(9) 26.203436491649, QM 11.060533995178, R2 53.839190266371 and the interval of tau2."""
    x = np.column_stack([ABLAT, *(np.array(ALLOCATION) == a for a in ("random", "systematic"))])
    found = pool(Y, V, moderators=x.astype(float))
    coefficients = (0.29319369372161, -0.027275739102072, -0.26749166655053, 0.058461973815871)
    within(found.coefficients.tolist(), coefficients)
    errors = (0.40499610914236, 0.0091993536203935, 0.35042986210992, 0.37951203195555)
    within(found.std_errors.tolist(), errors)
    h, test = found.heterogeneity, found.moderators
    within((h.q, h.tau2, h.i2), (26.203436491649, 0.14459565570933, 70.110445712402))
    within((h.tau2_low, h.tau2_high), (0.022876814503228, 0.91948196255408))
    within((test.statistic, test.r2), (11.060533995178, 53.839190266371))
    f = pool(Y, V, "dl", moderators=ABLAT, knapp_hartung="plain").moderators
    within((f.statistic, f.df2, f.p_value), (13.558907086849, 11, 0.0036116738342736))


@pytest.mark.parametrize(
    ("method", "stops", "tight"),
    [
        ("pm", 0.3180937118630, 0.3180684522050),
        ("eb", 0.3180685157713, 0.3180684522050),
        ("reml", 0.3132433259809, 0.3132432581365),
        ("ml", 0.2800281710496, 0.2800281372686),
    ],
)
def test_tau_squared_where_r_stops_and_to_the_last_digit(method, stops, tight):
    within(pool(Y, V, method).heterogeneity.tau2, stops)
    within(pool(Y, V, method, tight=True).heterogeneity.tau2, tight)


def test_the_interval_of_tau_squared_to_the_last_digit():
    """confint(r, control = list(tol = 1e-14))."""
    found = pool(Y, V, tight=True).heterogeneity
    within((found.tau2_low, found.tau2_high), (0.1197183611413, 1.111479084061))


def test_likelihoods_are_the_highest_on_a_grid():
    """A second way: no tau squared of a fine grid is likelier than the one that is found."""
    from tasks.stats.meta_analysis_tau2 import log_likelihood

    ones = np.ones((13, 1))
    for method, restricted in (("ml", False), ("reml", True)):
        best = pool(Y, V, method, tight=True).heterogeneity.tau2
        top = log_likelihood(Y, V, ones, best, restricted=restricted)
        grid = [
            log_likelihood(Y, V, ones, t, restricted=restricted) for t in np.linspace(0, 2, 401)
        ]
        assert top >= max(grid)


def test_modified_errors_and_higgins_prediction():
    """rma(test = "adhoc"); Higgins: mean and t(11) times the root of tau2 + se2, by hand."""
    modified = pool(Y, V, knapp_hartung="modified")
    within((modified.std_error, modified.ci_low[0]), (0.1807917455191, -1.1084437230001))
    found = pool(Y, V, prediction="higgins")
    margin = 2.2009851600829 * np.sqrt(0.3132433259809 + 0.1797815317804**2)
    assert found.prediction_df == 11
    within(found.prediction_high, -0.7145323483651 + margin, 1e-9)


def test_modified_errors_are_never_smaller():
    y, v = [0.1, 0.11, 0.09, 0.1], [0.04, 0.05, 0.06, 0.05]
    plain, modified = (pool(y, v, "dl", knapp_hartung=kind) for kind in ("plain", "modified"))
    assert plain.std_error < pool(y, v, "dl").std_error == modified.std_error


@pytest.mark.parametrize(
    ("measure", "counts", "effects", "pooled"),
    [
        ("odds_ratio", counts_of(), (-10.031154156701, 2.0625797909953),
         (-0.47341098838859, 0.041007778404231, 163.94257956919, 92.680364044818)),
        ("odds_ratio", EMPTY, (-10.855859808648, 7.3842982216396),
         (-0.47325992019586, 0.041153040536177, 164.59496774327, 93.316928123126)),
        ("risk_ratio", EMPTY, (-10.459028482461, 7.307819108002),
         (-0.45360660434888, 0.039484725074811, 153.13986258769, 92.817023723199)),
        ("risk_difference", counts_of(), (-0.36052340526549, 0.0016603572991),
         (-0.003288181832613, 0.00028665674852737, 386.77594183656, 96.897428536268)),
        ("risk_difference", EMPTY, (-0.35506778955188, 0.0012028296049772),
         (-0.0032638525942357, 0.00028564677732409, 387.66016646248, 97.162463169642)),
    ],
)  # fmt: skip
def test_counts_with_and_without_empty_cells(measure, counts, effects, pooled):
    """sum(e$yi), sum(e$vi) of escalc; beta, se, QE, I2 of rma.mh."""
    found = effects_of(counts, measure)
    within((found.effects.sum(), found.variances.sum()), effects)
    got = mantel_haenszel(counts, measure)
    within((got.estimate, got.std_error, got.q, got.i2), pooled)


def test_peto():
    found = peto(counts_of())
    want = (-0.47444631094064, 0.040659080744648, 167.73016751149, 1.3897543471843e-29)
    within((found.estimate, found.std_error, found.q, found.p_value), want)
    found = peto(EMPTY)
    within(
        (found.estimate, found.q, found.i2), (-0.47428579270884, 170.85112997076, 93.561646328074)
    )
    sites = peto_effects(counts_of())
    within((sites.effects[0], sites.variances[0]), (-0.86038334731642, 0.28283618192836))


@pytest.mark.parametrize(
    ("how", "sums", "pooled", "shares"),
    [
        ("logit", (-67.277650412388, 4.7000474161977), (-5.1060120040442, 0.34921874149238),
         (0.0060236980289979, 0.0030472368517579, 0.011872864722465)),
        ("freeman_tukey", (1.1683948299795, 0.0046314814971603), (0.090476934371401, 0.023375450835397),
         (0.0074764266144504, 0.0013455316996313, 0.017779440091181)),
        ("raw", (0.18373687721237, 0.00018395956405225), (0.01357436717357, 0.008218700705286), None),
    ],
)  # fmt: skip
def test_proportions(how, sums, pooled, shares):
    """escalc("PLO", "PFT", "PR") of the vaccinated with empty cells; predict(transf = ...)."""
    events, totals = [0, 6, 0, *TPOS[3:]], np.add([0, 6, 0, *TPOS[3:]], TNEG)
    sites = proportions_of(events, totals, how)
    within((sites.effects.sum(), sites.variances.sum()), sums)
    found = pool(sites.effects, sites.variances)
    within((found.estimate, found.std_error), pooled)
    if shares:
        values = (found.estimate, found.ci_low[0], found.ci_high[0])
        within([proportion_from(value, how, totals) for value in values], shares)


def test_begg_without_and_with_ties():
    found = begg(Y, V)
    within((found.estimate, found.p_value), (0.025641025641026, 0.95236190796087))
    place = np.arange(1, 61)  # ranktest(sin(i), 1 / (10 + (7 * i) %% 61)): exact however many
    found = begg(np.sin(place), 1 / (10 + 7 * place % 61))
    within((found.estimate, found.p_value), (-0.06666666666667, 0.45719163895020))
    tied = V.copy()
    tied[1] = tied[2]
    found = begg(Y, tied)
    within((found.estimate, found.p_value), (-0.012903494352313, 0.95126145459625))


@pytest.mark.parametrize(
    ("estimator", "side", "missing", "estimate"),
    [
        ("l0", "left", 0, -0.7145323483651),
        ("l0", "right", 1, -0.65708280076036),
        ("r0", "left", 0, -0.7145323483651),
        ("r0", "right", 0, -0.7145323483651),
    ],
)
def test_trim_and_fill(estimator, side, missing, estimate):
    found = trim_and_fill(Y, V, "reml", estimator=estimator, side=side)
    assert found.missing == missing == len(found.filled_effects)
    within(found.pooled.estimate, estimate)


def test_influence_and_cumulative():
    found = influence(Y, V, "reml")
    within(found.rstudent[:2], (-0.21814247434444, -1.29179018325719), 1e-9)
    within(found.dffits[3], -0.520050612341681)
    within(found.cook[3], 0.2294814293763742)
    within(found.hat[0], 0.050594830793155)
    assert not any(found.is_influential)
    scaled = influence(Y, V, "reml", knapp_hartung="plain")
    within((scaled.rstudent[0], scaled.cook[1]), (-0.21359784947687, 0.111987625079082))
    order = np.argsort(YEAR, kind="stable")
    steps = cumulative(Y[order], V[order], "reml")
    within(
        [s.estimate for s in steps[:3]], (-0.88931133392021, -1.3250034422449, -0.97207955778119)
    )
    within(steps[3].heterogeneity.tau2, 0.076260066393182)
    scaled = cumulative(Y[order], V[order], "reml", knapp_hartung="plain")
    within(scaled[1].std_error, 0.33682010522086)


def test_weights_are_those_of_the_pooled_effect():
    found = pool(Y, V)
    assert found.weights.sum() == pytest.approx(100)
    assert float((found.weights * Y).sum() / 100) == pytest.approx(found.estimate, rel=1e-12)


def test_sites_that_agree_have_no_variance_between_them():
    for method in ("dl", "pm", "reml", "ml", "he", "eb"):
        h = pool([0.3, 0.31, 0.29, 0.3], [0.04, 0.05, 0.06, 0.05], method).heterogeneity
        assert (h.tau2, h.i2, h.h2, h.tau2_low) == (0, 0, 1, 0)


def test_an_interval_of_tau_squared_may_have_no_upper_limit():
    found = pool([0.0, 9.0, -9.0], [0.01, 0.01, 0.01], "dl").heterogeneity
    assert found.tau2_low is not None
    assert found.tau2_high is None


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: pool([0.1, 0.2], [1, 1]), "2 sites are too few to pool; 3 are needed"),
        (lambda: pool([0.1, np.nan, 0.2], [1, 1, 1]), "1 of 3 sites have no finite effect"),
        (lambda: pool([0.1, 0.3, 0.2], [1, 0, 1]), "no variance above 0"),
        (lambda: pool([0.1, 0.3, 0.2], [1, 1]), "effects have shape"),
        (lambda: pool([0.2] * 3, [1] * 3, knapp_hartung="plain"), "all effects are the same"),
        (lambda: pool([0.2] * 3, [1] * 3, "sj"), "all effects are the same"),
        (lambda: pool([0.1, 0.3, 0.2], [1] * 3, moderators=np.eye(3)[:, :2]), "too few for 3"),
        (lambda: pool(Y, V, moderators=np.ones(13)), "a moderator is constant"),
        (lambda: pool([0, 0, 0, 400, -400], [1] * 5, "pm"), "it is above"),
        (lambda: egger(Y, np.ones(13)), "same standard error"),
        (lambda: trim_and_fill(Y[:2], V[:2], "dl"), "too few"),
        (lambda: tables([3], [2], [1], [5]), "more events"),
        (lambda: mantel_haenszel(tables([0] * 3, [5] * 3, [1] * 3, [5] * 3), "odds_ratio"), "no event"),
        (lambda: peto(tables([0] * 3, [5] * 3, [0] * 3, [5] * 3)), "no event"),
        (lambda: mantel_haenszel(tables([1, 2], [5, 5], [1, 2], [5, 5]), "risk_ratio"), "2 sites"),
        (lambda: proportions_of([3], [2], "raw"), "more events than persons"),
    ],
)  # fmt: skip
def test_what_cannot_be_pooled_is_refused(call, words):
    with pytest.raises(EstimationError, match=words):
        call()


def test_a_root_is_found():
    for power, tolerance in itertools.product((1, 3, 5), (1e-4, 1e-12)):
        root = find_root(lambda x, power=power: x**power - 0.3, 0.0, 100.0, tolerance)
        assert root == pytest.approx(0.3 ** (1 / power), abs=tolerance)
