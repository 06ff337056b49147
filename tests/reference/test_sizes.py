"""Planned sizes against R, published tables and brute force.

    power.prop.test(p1 = .5, p2 = .75, power = .9, tol = 1e-10)$n        # R 4.2.2
    power.prop.test(n = 50, p1 = .5, p2 = .75)$power
    epi.ssdxsesp(test = .9, type = "se", Py = .2, epsilon = .1, error = "absolute",
                 nfractional = TRUE)                                     # epiR 2.0.57
    epi.ssninfb(treat = .85, control = .8, delta = .05, n = NA, r = 1, power = .8,
                nfractional = TRUE, alpha = .05)$n.treat
    epi.sscomps(treat = .7, control = .5, n = NA, power = .8, r = 1, nfractional = TRUE)$n.total
    power.roc.test(auc = .8, power = .9)$ncases                          # pROC 1.18.0
    power.roc.test(auc = .7, power = .8, kappa = 2)$ncases
    pw <- function(n, p0, p1, a) {r <- qbinom(1 - a, n, p0) + 1; 1 - pbinom(r - 1, n, p1)}
    ok <- sapply(1:2000, function(n) pw(n, .05, .2, .05) >= .8)
    c(which(ok)[1], max(which(!ok)) + 1)                                 # 27 33
Readers and cases: what RJafroc prints in its documentation and its own tests for Van Dyke's data
(`SsSampleSizeKGivenJ(dataset02)`, `SsPowerGivenJK(dataset02, J = 6, K = 111)`).
"""

import json

import numpy as np
import pytest

from flows.cli import app
from tasks.core.errors import EstimationError
from tasks.stats.sizes.auc import auc_by_width, one_auc, two_aucs, variance_of_auc
from tasks.stats.sizes.proportions import (
    against_goal,
    against_goal_exactly,
    by_width,
    discordant_of,
    two_paired_shares,
    two_shares,
    with_prevalence,
)
from tasks.stats.sizes.readers import SPACES, Components, cases_of_readers, reader_study_power
from tasks.stats.sizes.solve import design_effect, inflated
from tasks.stats.sizes.survival import events_of, persons_of, share_with_event

VAN_DYKE = Components(
    0.00020040252358145843,
    0.0008022882655720671,
    0.00034661370944073214,
    0.0003440748288608891,
    0.0002390283708921537,
    114,
)
"""Jackknife components of Van Dyke's data, as Obuchowski and Rockette define them."""
GAP = 0.0438003220612


def test_two_shares_are_those_of_power_prop_test():
    assert two_shares(0.75, 0.5, power=0.9).exact == pytest.approx(76.70692845, rel=1e-8)
    assert two_shares(0.75, 0.5, n=50).power == pytest.approx(0.740165901331, rel=1e-9)
    assert two_shares(0.5, 0.75, power=0.9).sizes["persons"] == 154


def test_non_inferiority_of_two_shares_is_that_of_epi_ssninfb():
    found = two_shares(0.85, 0.8, margin=0.05, alpha=0.05, sides=1)
    assert found.exact == pytest.approx(177.748520421, rel=1e-9)


@pytest.mark.parametrize(
    ("share", "has_it", "enrolled"), [(0.9, True, 172.865646931), (0.85, False, 61.2232499548)]
)
def test_a_width_is_that_of_buderer(share, has_it, enrolled):
    """Buderer (1996): 173 persons for sensitivity at a prevalence of 20 %, half-width 10 %."""
    found = by_width(share, 0.2, interval="wald")
    assert found.exact / (0.2 if has_it else 0.8) == pytest.approx(enrolled, rel=1e-9)
    assert with_prevalence(35, 0.2, True) == 175


@pytest.mark.parametrize("interval", ["wilson", "exact"])
def test_a_width_is_the_first_that_the_interval_has(interval):
    """The hits are whole here, so the interval of the counts themselves is compared."""
    from tasks.stats.proportions import proportion

    n = by_width(0.9, 0.1, interval=interval).exact
    tens = [10 * int(n // 10), 10 * int(n // 10 + 1)]
    found = [proportion(int(0.9 * k), k, interval) for k in tens]
    wide, narrow = (p.ci_high - p.ci_low for p in found)
    assert narrow <= 0.1 < wide


def test_a_goal_by_the_exact_test_is_found_by_enumeration():
    """Every n to 2,000 in R: the first that reaches the power, the first from which all do."""
    found = against_goal_exactly(0.2, 0.05, alpha=0.05)
    assert (found.values["first"], found.sizes["cases"]) == (27, 33)
    assert against_goal_exactly(0.2, 0.05, alpha=0.05, n=27).values["at_least"] == 4
    found = against_goal_exactly(0.9, 0.8)
    assert (found.values["first"], found.sizes["cases"]) == (107, 113)
    assert against_goal_exactly(0.9, 0.8, n=137).power == pytest.approx(0.910009477951)


def test_a_goal_by_the_score_test_has_the_power_that_drawing_gives():
    found = against_goal(0.9, 0.8)
    hits = np.random.default_rng(1).binomial(found.sizes["cases"], 0.9, 200_000)
    z = (hits / found.sizes["cases"] - 0.8) / np.sqrt(0.16 / found.sizes["cases"])
    assert (z > 1.959964).mean() == pytest.approx(0.8, abs=0.04)


def test_pairs_have_the_power_that_drawing_gives():
    found = two_paired_shares(0.2, 0.1)
    assert found.exact == pytest.approx((1.959964 * 0.3**0.5 + 0.8416212 * 0.29**0.5) ** 2 / 0.01, rel=1e-6)  # fmt: skip
    only = np.random.default_rng(2).multinomial(found.sizes["cases"], [0.2, 0.1, 0.7], 200_000)
    chi = (only[:, 0] - only[:, 1]) ** 2 / (only[:, 0] + only[:, 1])
    assert (chi > 3.841459).mean() == pytest.approx(0.8, abs=0.015)


def test_non_inferior_pairs_have_the_power_that_drawing_gives():
    only = discordant_of(0.85, 0.85, 0.5)
    assert only == pytest.approx((0.06375, 0.06375))
    found = two_paired_shares(*only, margin=0.05, alpha=0.025, sides=1)
    n = found.sizes["cases"]
    drawn = np.random.default_rng(3).multinomial(n, [*only, 1 - sum(only)], 200_000)
    gap = (drawn[:, 0] - drawn[:, 1]) / n
    error = np.sqrt(((drawn[:, 0] + drawn[:, 1]) / n - gap**2) / n)
    assert ((gap + 0.05) / error > 1.959964).mean() == pytest.approx(0.8, abs=0.015)


def test_one_area_is_that_of_power_roc_test():
    assert one_auc(0.8, power=0.9).exact == pytest.approx(16.6191992021, rel=1e-9)
    assert one_auc(0.7, ratio=2).exact == pytest.approx(22.9655138941, rel=1e-9)


def test_a_variance_of_an_area_is_that_of_hanley_and_mcneil():
    """Their table of 1982: 58 normal, 51 abnormal, area 0.893, standard error 0.032."""
    assert np.sqrt(variance_of_auc(0.893, 51, 58)) == pytest.approx(0.032, abs=1e-3)
    found = auc_by_width(0.893, 2 * 1.959964 * 0.032, ratio=58 / 51)
    assert found.exact == pytest.approx(51, abs=2)


def test_two_areas_need_fewer_cases_the_more_they_agree():
    sizes = [two_aucs(0.9, 0.85, correlation=r).exact for r in (0.0, 0.3, 0.6)]
    assert sizes == sorted(sizes, reverse=True)
    found = two_aucs(0.9, 0.85, correlation=0.4, variance="hanley_mcneil", n=200)
    new, old = (variance_of_auc(a, 200, 200) for a in (0.9, 0.85))
    z = (0.05 - 1.959964 * np.sqrt(1.2 * old)) / np.sqrt(new + old - 0.8 * np.sqrt(new * old))
    from scipy import stats

    assert found.power == pytest.approx(stats.norm.cdf(z), rel=1e-6)


@pytest.mark.parametrize(
    ("readers", "cases"),
    [(4, 1089), (5, 344), (6, 251), (7, 211), (8, 188), (10, 163), (20, 126), (50, 109)],
)
def test_readers_and_cases_are_those_of_rjafroc(readers, cases):
    found = cases_of_readers(VAN_DYKE, difference=GAP, readers=readers)
    assert found.sizes == {"readers": readers, "cases": cases}


def test_power_of_readers_is_that_of_rjafroc():
    found = [reader_study_power(VAN_DYKE, difference=GAP, readers=6, cases=k) for k in (111, 112)]
    assert found == pytest.approx([0.5526116, 0.5555789], abs=5e-8)
    more = cases_of_readers(VAN_DYKE, difference=GAP, readers=10, power=0.9)
    assert (more.sizes["cases"], more.power) == (236, pytest.approx(0.9003501, abs=5e-8))
    fixed = cases_of_readers(VAN_DYKE, difference=GAP, readers=10, space="fixed cases")
    assert (fixed.sizes["cases"], fixed.power) == (53, pytest.approx(0.8049666, abs=5e-8))


def test_fixed_readers_have_a_test_with_infinite_degrees_of_freedom():
    """RJafroc has K - 1 instead, and 133 cases; of so many the two differ by two cases."""
    found = cases_of_readers(VAN_DYKE, difference=GAP, readers=10, space=SPACES[1])
    assert found.sizes["cases"] == 131


def test_events_are_those_of_schoenfeld_and_freedman():
    """Schoenfeld: epi.sscomps calls its events n; Freedman: the closed form written out."""
    ratio = np.log(0.7) / np.log(0.5)
    assert events_of(ratio).exact == pytest.approx(71.1189807678, rel=1e-9)
    z = (1.9599639845 + 0.8416212336) ** 2
    assert events_of(0.7, formula="freedman").exact == pytest.approx(z * (1.7 / 0.3) ** 2, rel=1e-8)


def test_non_inferiority_of_hazards_has_the_power_that_drawing_gives():
    """Log hazard ratios of exponential times are normal with variance 4 over the events."""
    found = events_of(1.0, margin=1.3, alpha=0.025, sides=1)
    assert found.sizes["events"] == 457
    events = np.random.default_rng(4).gamma(228, size=(2, 200_000))
    estimate = np.log(events[0] / events[1])
    assert (estimate + 1.959964 * np.sqrt(2 / 228) < np.log(1.3)).mean() == pytest.approx(0.8, abs=0.01)  # fmt: skip


def test_a_share_with_the_event_is_the_integral_over_entries():
    """integrate(function(u) g(u) / 2, 3, 5), g the integral of .1 exp(-.13 x) to u; R 4.2.2."""
    found = share_with_event(0.1, follow_up=3, accrual=2, loss_hazard=0.03)
    assert found == pytest.approx(0.310618054032, rel=1e-10)
    assert share_with_event(0.1, follow_up=3) == pytest.approx(1 - np.exp(-0.3))


def test_persons_have_the_events_that_are_expected():
    events = events_of(0.7)
    found = persons_of(events, 0.5, (0.2, 0.3))
    assert found.exact * 0.25 == pytest.approx(events.exact)
    assert found.sizes["persons"] == 2 * np.ceil(found.exact / 2)


def test_clusters_and_loss_make_a_sample_larger():
    """100 in a cluster, correlation 0.05, variation of sizes 0.65."""
    assert design_effect(100, 0.05, 0.65) == pytest.approx(1 + (1.4225 * 100 - 1) * 0.05)
    assert inflated(100, 1.5, 0.1) == 167


@pytest.mark.parametrize(
    "asked",
    [
        lambda: two_shares(0.8, 0.8),
        lambda: two_shares(0.7, 0.8, margin=0.05),
        lambda: by_width(1.0, 0.1),
        lambda: against_goal(0.8, 0.8),
        lambda: against_goal_exactly(0.7, 0.8),
        lambda: two_paired_shares(0.0, 0.0),
        lambda: one_auc(0.5),
        lambda: two_aucs(0.8, 0.8),
        lambda: events_of(1.0),
        lambda: events_of(1.4, margin=1.3),
        lambda: share_with_event(0.0, follow_up=1),
        lambda: cases_of_readers(VAN_DYKE, difference=0.001, readers=2),
        lambda: cases_of_readers(VAN_DYKE, difference=0.0, readers=5),
        lambda: design_effect(0.5, 0.1),
        lambda: inflated(10, 1.0, 1.0),
    ],
)
def test_what_cannot_be_planned_is_refused(asked):
    with pytest.raises(EstimationError):
        asked()


@pytest.mark.parametrize(
    ("asked", "of", "size", "needed"),
    [
        ("accuracy --sensitivity .9 --prevalence .2 --width .2 --interval wald", "sensitivity", "to_enrol", 175),
        ("accuracy --specificity .9 --goal .8 --test exact", "specificity", "without_condition", 113),
        ("proportions --target .75 --comparator .5 --power .9", "proportions", "persons", 154),
        ("paired --only-target .2 --only-comparator .1 --cluster-size 2 --icc .5", "paired", "cases", 351),
        ("auc --auc .8 --power .9", "auc", "cases", 17),
        ("survival --hazard-ratio .7 --power .9 --alpha .025 --sides 1", "survival", "events", 331),
    ],
)  # fmt: skip
def test_the_command_line_prints_one_document(capsys, asked, of, size, needed):
    with pytest.raises(SystemExit) as ended:
        app(["power", *asked.split(), "--json"])
    assert ended.value.code in (0, None)
    (plan,) = json.loads(capsys.readouterr().out)["plans"]
    assert (plan["of"], plan["needed"][size]) == (of, needed)


def test_the_command_line_shows_readers(capsys):
    components = "--var-reader-modality .0002004 --var-error .0008023 --cov1 .0003466"
    asked = f"mrmc --difference .0438 --readers 10 {components} --cov2 .0003441 --cov3 .000239"
    with pytest.raises(SystemExit):
        app(["power", *asked.split(), "--pilot-cases", "114"])
    assert "163" in capsys.readouterr().out


def test_what_was_planned_is_counted_beside():
    """Verified cases alone tell the condition; a case read twice is one case."""
    from tests.reference.test_registry_tables import results, some
    from tests.reference.test_verification import BY_X, WITH_X, frame

    planned = {"persons": 500, "cases": 400, "with_condition": 150, "without_condition": 200}
    rows = results(frame(BY_X), WITH_X, method="verification_bias", sample_size=planned)
    found = {r["term"]: (r["at"], r["estimate"]) for r in some(rows, "count", at_kind="planned")}
    assert found == {
        "persons": (500, 452),
        "cases": (400, 452),
        "with_condition": (150, 172),
        "without_condition": (200, 105),
    }


@pytest.mark.parametrize(
    ("sizes", "said"), [({"events": 5}, "no events"), ({"readers": 5}, "no role reader")]
)
def test_what_cannot_be_counted_is_refused(sizes, said):
    from tasks.core.spec.checks import faults_of
    from tasks.core.spec.checks_verification import VERIFICATION_CHECKS
    from tests.reference.test_latent_class import SOURCE, study

    asked = study(SOURCE, method="verification_bias", sample_size=sizes)
    assert any(said in fault.what for fault in faults_of(asked, VERIFICATION_CHECKS))
