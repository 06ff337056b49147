"""The truth that the simulator plants, recomputed by other means.

Three witnesses: closed forms of the generating model (binormal: sensitivity = Phi((separation +
shift - cut) / sqrt(1 + 0.8^2)), AUC = Phi(separation / sqrt(2 + 0.8^2))); fresh potential outcomes
(another seed) summed by plain numpy, with Cox's model by lifelines on daily counts; and a large
sample without planted faults (scenario `clean`: a coin decides, nobody is lost) read from the rows
that a hospital delivers.
"""

import json
from functools import cache

import lifelines
import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.stats import norm

from tasks.simulate import outcomes as fate_of
from tasks.simulate.consortium import CHUNK_PERSONS, simulate_consortium
from tasks.simulate.observed import Numbering, observe
from tasks.simulate.outcomes import draw_outcomes, eq5d_index
from tasks.simulate.people import draw_people
from tasks.simulate.records import make_records
from tasks.simulate.scenario import load_scenario
from tasks.simulate.truth import potential_people, truth_of
from tasks.simulate.world import VERSIONS, make_hospitals, random_stream
from tests.reference.shared import reference

SEED, OTHER_SEED, PERSONS, SITES = 1, 20_261_124, 200_000, 4
pytestmark = pytest.mark.xdist_group("simulated_truth")
SIGMAS = 4.5  # about a hundred values are compared
SHOWN, NOT_SHOWN = "ai_shown", "ai_not_shown"
POPULATIONS = ("eligible", "after_go_live", "overlap")


def hospitals_of(scenario):
    return make_hospitals(load_scenario(scenario), PERSONS, SITES, SEED)


@cache
def truth(scenario):
    return truth_of(load_scenario(scenario), hospitals_of(scenario), SEED, 1_000_000)


@cache
def potential(scenario):
    """A million persons of other random numbers: one table a hospital, with its share."""
    plan, hospitals = load_scenario(scenario), hospitals_of(scenario)
    total = sum(h.n_persons for h in hospitals)
    drawn = [(h, *potential_people(plan, h, 250_000, OTHER_SEED, 99)) for h in hospitals]
    return [(h, people, both, h.n_persons / total) for h, people, both in drawn]


def weights_of(population, hospital, people):
    """Weights of the three populations, from their definitions."""
    if population == "eligible":
        return np.ones(people.size)
    if population == "after_go_live":
        return (people.image_day >= hospital.go_live_day) * 1.0
    return people.p_shown * (1 - people.p_shown)


def pooled(scenario, of, population="eligible"):
    """Weighted mean over all persons, hospitals by their size, and its Monte Carlo error."""
    parts = [
        (np.asarray(of(people, both), float), share / people.size
         * weights_of(population, hospital, people))
        for hospital, people, both, share in potential(scenario)
    ]  # fmt: skip
    total = sum(w.sum() for _, w in parts)
    mean = sum((w * values).sum() for values, w in parts) / total
    variance = sum((w**2 * (values - mean) ** 2).sum() for values, w in parts) / total**2
    return mean, variance**0.5


def agrees(value, estimate, error):
    spread = (value.mcse**2 + error**2) ** 0.5
    assert abs(value.value - estimate) <= SIGMAS * spread, (value, estimate, error)


def fate(both, arm):
    return both.shown if arm == SHOWN else both.not_shown


@pytest.mark.parametrize("population", POPULATIONS)
@pytest.mark.parametrize("day", [180, 365])
def test_risks(day, population):
    found = truth("consortium")
    which = {"at": day, "site_id": "pooled", "population": population}
    for arm in (SHOWN, NOT_SHOWN):
        risk = pooled("consortium", lambda p, b, a=arm: fate(b, a).failure_day <= day, population)
        agrees(found.value("risk", arm=arm, outcome="respiratory_failure", **which), *risk)
    difference = pooled(
        "consortium",
        lambda p, b: (b.shown.failure_day <= day) * 1.0 - (b.not_shown.failure_day <= day),
        population,
    )
    value = found.value("risk_difference", **which)
    agrees(value, *difference)
    assert value.value < -10 * value.mcse


def test_risk_differences_of_each_hospital():
    found = truth("consortium")
    for hospital, _, both, _ in potential("consortium"):
        mine = (both.shown.failure_day <= 365) * 1.0 - (both.not_shown.failure_day <= 365)
        site = found.value("risk_difference", at=365, site_id=hospital.site_id)
        agrees(site, mine.mean(), mine.std() / mine.size**0.5)


def test_versions_that_change_make_the_populations_differ():
    """Where a version follows another, who is imaged after go-live gains more than everybody."""
    found = truth("consortium")
    everybody = found.value("hazard_ratio", outcome="respiratory_failure")
    live = found.value("hazard_ratio", population="after_go_live", outcome="respiratory_failure")
    assert live.value < everybody.value - 3 * everybody.mcse


def test_ratio_of_risks_is_that_of_its_parts():
    found = truth("consortium")
    risk = {
        arm: found.value(
            "risk", arm=arm, at=365, site_id="pooled", outcome="respiratory_failure"
        ).value
        for arm in (SHOWN, NOT_SHOWN)
    }
    ratio = found.value("risk_ratio", at=365, site_id="pooled").value
    assert ratio == pytest.approx(risk[SHOWN] / risk[NOT_SHOWN], rel=1e-12)


@pytest.mark.parametrize("population", POPULATIONS)
def test_deaths_and_restricted_mean_time(population):
    found = truth("consortium")
    gain = 0.0
    for arm, sign in ((SHOWN, 1), (NOT_SHOWN, -1)):
        dead = pooled("consortium", lambda p, b, a=arm: fate(b, a).death_day <= 365, population)
        agrees(found.value("risk", population, arm=arm, outcome="death"), *dead)
        free = pooled(
            "consortium",
            lambda p, b, a=arm: np.minimum(
                np.minimum(fate(b, a).failure_day, fate(b, a).death_day), 365
            ),
            population,
        )
        agrees(found.value("rmst", population, arm=arm), *free)
        gain += sign * free[0]
    value = found.value("rmst_difference", population)
    assert value.value == pytest.approx(gain, abs=SIGMAS * 2 * value.mcse)


@pytest.mark.parametrize("population", POPULATIONS)
def test_costs_from_bills_that_are_drawn(population):
    """Visits as Poisson counts at 2.6 a year times exp(0.25 severity), twice that once ill; 62,000
    won each, 85,000 for the first, 140,000 a CT, 5.2 million an admission, 310 a reading.
    """
    found, rng, means = truth("consortium"), np.random.default_rng(5), {}

    def bill(people, both, arm):
        mine = fate(both, arm)
        sees = people.sees_aided if arm == SHOWN else people.sees_unaided
        dead = np.minimum(mine.death_day, 365)
        well = np.minimum(mine.failure_day, dead)
        rate = 2.6 / 365.25 * np.exp(0.25 * people.severity)
        visits = rng.poisson(rate * well) + rng.poisson(2 * rate * (dead - well))
        fee = 310 if arm == SHOWN else 0
        return 85e3 + fee + 140e3 * sees + 62e3 * visits + 5.2e6 * (mine.failure_day <= 365)

    for arm in (SHOWN, NOT_SHOWN):
        means[arm] = pooled("consortium", lambda p, b, a=arm: bill(p, b, a), population)
        agrees(found.value("mean_cost", population, arm=arm), *means[arm])
    difference = means[SHOWN][0] - means[NOT_SHOWN][0]
    error = sum(error**2 for _, error in means.values()) ** 0.5
    agrees(found.value("incremental_cost", population), difference, error)


def test_prevalence_and_aided_readers_from_draws():
    """AUC aided: readers drawn one for 2,500 cases, pairs counted by rank in a sorted list."""
    found, rng = truth("consortium"), np.random.default_rng(6)
    auc, weights = [], []
    for hospital, people, _, share in potential("consortium"):
        sick = people.has_disease
        value = found.value("prevalence", site_id=hospital.site_id)
        agrees(value, sick.mean(), sick.std() / sick.size**0.5)
        read = np.flatnonzero((people.image_day >= hospital.silent_day) & ~people.is_failed)
        for cases in np.array_split(read, read.size // 2500):
            skill, trust = rng.normal(1.30, 0.2), rng.normal(1.5, 0.3)
            look = np.where(sick[cases], skill + 0.8 * people.conspicuity[cases], 0)
            look = look + rng.normal(size=cases.size)
            look = look + np.where(people.is_positive[cases], trust, -0.2)
            healthy = np.sort(look[~sick[cases]])
            auc.append((np.searchsorted(healthy, look[sick[cases]]) / healthy.size).mean())
            weights.append(share / (read.size // 2500))
    mean = np.average(auc, weights=weights)
    agrees(found.value("auc", modality="aided"), mean, np.std(auc) / len(auc) ** 0.5)


@pytest.mark.filterwarnings("ignore:It appears your weights are not integers")
@pytest.mark.parametrize("population", POPULATIONS)
@pytest.mark.parametrize("outcome", ["respiratory_failure", "respiratory_failure_or_death"])
def test_marginal_hazard_ratio_against_lifelines(outcome, population):
    """lifelines.CoxPHFitter on (day, event, arm) with the sum of weights as weight."""
    counts = []
    for hospital, people, both, share in potential("consortium"):
        weights = share * weights_of(population, hospital, people)
        for arm in (SHOWN, NOT_SHOWN):
            mine = fate(both, arm)
            first = np.minimum(mine.failure_day, mine.death_day)
            day = np.minimum(first, 365)
            event = (mine.failure_day == first) if outcome == "respiratory_failure" else True
            frame = pl.DataFrame({"day": day, "event": (first <= 365) & event, "w": weights})
            counted = frame.group_by("day", "event").agg(pl.col("w").sum()).sort("day", "event")
            counts.append(counted.with_columns(shown=pl.lit(int(arm == SHOWN))))
    rows = pd.DataFrame(pl.concat(counts).filter(pl.col("w") > 0).to_dict(as_series=False))
    rows = rows.groupby(["day", "event", "shown"], as_index=False)["w"].sum()
    fit = lifelines.CoxPHFitter().fit(rows, "day", "event", weights_col="w", robust=False)
    value = truth("consortium").value("hazard_ratio", population=population, outcome=outcome)
    # One population of a million is as uncertain as the one that made the truth.
    agrees(value, float(fit.hazard_ratios_["shown"]), value.mcse)


def test_sensitivity_specificity_and_auc_in_closed_form():
    found = truth("update")
    for hospital in hospitals_of("update"):
        for version in VERSIONS:
            ran = [v for v in found.values if v.name == "auc" and v.model_version == version.name
                   and v.site_id == hospital.site_id]  # fmt: skip
            for name, expected in (
                ("sensitivity", norm.cdf((version.separation + hospital.scanner_shift - version.cut) / 1.64**0.5)),
                ("specificity", norm.cdf(version.cut - hospital.scanner_shift)),
                ("auc", norm.cdf(version.separation / 2.64**0.5)),
            ):  # fmt: skip
                if ran:
                    value = found.value(
                        name, site_id=hospital.site_id, model_version=version.name, period="whole"
                    )
                    # Scores are reported to four decimals, which moves a threshold by that much.
                    assert value.value == pytest.approx(expected, abs=SIGMAS * value.mcse + 2e-4)
        assert found.value("failure_rate", site_id=hospital.site_id).value == pytest.approx(
            hospital.failure_share * (0.92 + 4 * 0.08),
            abs=SIGMAS * found.value("failure_rate", site_id=hospital.site_id).mcse,
        )


def test_accuracy_from_fresh_scores():
    """Raw scores of other persons, in the scenario with drift, where no closed form holds."""
    found = truth("drift")
    for hospital, people, _, _ in potential("drift"):
        read = (people.image_day >= hospital.silent_day) & ~people.is_failed
        for name, of, hit in (
            ("sensitivity", people.has_disease, people.is_positive),
            ("specificity", ~people.has_disease, ~people.is_positive),
        ):
            values = hit[read & of]
            value = found.value(name, site_id=hospital.site_id, model_version="1.0", period="whole")
            agrees(value, values.mean(), values.std() / values.size**0.5)
        sick = people.score[read & people.has_disease]
        healthy = np.sort(people.score[read & ~people.has_disease])
        below = np.searchsorted(healthy, sick, "left") + np.searchsorted(healthy, sick, "right")
        auc = (below / 2 / healthy.size).mean()
        value = found.value("auc", site_id=hospital.site_id, model_version="1.0", period="whole")
        agrees(value, auc, value.mcse)


def test_drift_lowers_specificity_where_it_is_planted_only():
    """Before: Phi(cut - shift); after: Phi(cut - shift - 0.6)."""
    found = truth("drift")
    for hospital in hospitals_of("drift"):
        mine = [
            v for v in found.values if v.name == "specificity" and v.site_id == hospital.site_id
        ]
        periods = {v.period: v for v in mine}
        if hospital.drift_day is None:
            assert set(periods) == {"whole"}
            continue
        for period, shift in (("before_drift", 0.0), ("after_drift", 0.6)):
            expected = norm.cdf(VERSIONS[0].cut - hospital.scanner_shift - shift)
            assert periods[period].value == pytest.approx(
                expected, abs=SIGMAS * periods[period].mcse + 2e-4
            )
        whole = periods["whole"].value
        assert periods["after_drift"].value < whole < periods["before_drift"].value


def test_readers_in_closed_form():
    """First readers of a hospital lean by b: Phi((1.30 + b - 1.40) / sqrt(1 + 0.8^2)) of the sick,
    Phi(1.40 - b) of the others. Readers of a study differ in skill by 0.2:
    AUC = Phi(1.30 / sqrt(2 + 0.8^2 + 0.2^2)) on average.
    """
    found, hospitals = truth("consortium"), hospitals_of("consortium")
    size = np.array([h.n_persons for h in hospitals]) * 1.0
    sick = np.array([found.value("prevalence", site_id=h.site_id).value for h in hospitals])
    leaning = np.array([h.reader_leanings for h in hospitals])
    sensitivity = norm.cdf((1.30 + leaning - 1.40) / 1.64**0.5).mean(axis=1)
    specificity = norm.cdf(1.40 - leaning).mean(axis=1)
    for name, expected in (
        ("sensitivity", np.average(sensitivity, weights=size * sick)),
        ("specificity", np.average(specificity, weights=size * (1 - sick))),
        ("auc", norm.cdf(1.30 / 2.68**0.5)),
    ):
        value = found.value(name, modality="unaided")
        assert value.value == pytest.approx(expected, abs=SIGMAS * value.mcse)
    aided = pooled("consortium", lambda p, b: p.sees_aided * 1.0)
    sick = pooled("consortium", lambda p, b: p.has_disease * 1.0)[0]
    from_parts = found.value("sensitivity", modality="aided").value * sick + (
        1 - found.value("specificity", modality="aided").value
    ) * (1 - sick)
    assert from_parts == pytest.approx(aided[0], abs=SIGMAS * 3 * aided[1])
    assert found.value("auc_difference").value > 0.03


def test_uptake_from_draws():
    found = truth("consortium")
    for hospital, people, _, _ in potential("consortium"):
        month = np.minimum(people.image_day // (731 / 24), 23).astype(int)
        for place in range(24):
            shown = people.is_shown[month == place]
            value = found.value("uptake", site_id=hospital.site_id, month=place)
            agrees(value, shown.mean(), max(shown.std() / shown.size**0.5, 1 / shown.size))
        curve = [
            v.value for v in found.values if v.name == "uptake" and v.site_id == hospital.site_id
        ]
        assert curve[0] == 0
        assert curve[-1] > 0.3


ONE_AND_SLOW = [
    p if p == "overlap" else pytest.param(p, marks=pytest.mark.slow) for p in POPULATIONS
]


@pytest.mark.parametrize("population", ONE_AND_SLOW)
def test_quality_of_life(population):
    """The area under each person's index, summed day by day instead of by stretches."""
    found = truth("consortium")
    index = {
        "before": np.array([eq5d_index(p) for p in fate_of.PROFILES_BEFORE]),
        "after": np.array([eq5d_index(p) for p in fate_of.PROFILES_AFTER]),
    }
    for arm in (SHOWN, NOT_SHOWN):

        def area(people, both, arm=arm):
            mine, step = fate(both, arm), fate_of.profile_step(people)
            total = np.zeros(people.size)
            for day in range(365):
                ill = day >= mine.failure_day
                alive = day < mine.death_day
                total += alive * np.where(ill, index["after"][step], index["before"][step])
            return total / 365.25

        qaly = pooled("consortium", area, population)
        agrees(found.value("mean_qaly", population, arm=arm), *qaly)
    gain = found.value("incremental_qaly", population)
    parts = [found.value("mean_qaly", population, arm=a).value for a in (SHOWN, NOT_SHOWN)]
    assert gain.value == pytest.approx(parts[0] - parts[1], abs=1e-12)
    assert gain.value > 10 * gain.mcse


def test_eq5d_index_is_that_of_kim_2016():
    """Published vectors (fragla/eq5d tests, EQ-5D-5L VT SouthKorea): ../shared/reference."""
    korea = reference("economics_reference.json")["eq5d_korea"]
    for profile, value in korea["tests_5L"].items():
        assert eq5d_index(profile) == pytest.approx(value, abs=1e-9)


@cache
def complete_rows():
    """Rows of the scenario without faults: persons whose first year is wholly seen."""
    plan, hospitals = load_scenario("clean"), hospitals_of("clean")
    parts = []
    for hospital in hospitals:
        numbering = Numbering()
        for chunk in range(-(-hospital.n_persons // CHUNK_PERSONS)):
            n = min(CHUNK_PERSONS, hospital.n_persons - chunk * CHUNK_PERSONS)
            people = draw_people(
                plan, hospital, n, random_stream(OTHER_SEED, 1, hospital.place, chunk)
            )
            both = draw_outcomes(people, random_stream(OTHER_SEED, 2, hospital.place, chunk))
            rng = random_stream(OTHER_SEED, 3, hospital.place, chunk)
            seen = observe(plan, hospital, people, both, numbering, rng)
            tables = make_records(plan, seen, numbering, rng)
            parts.append(first_year(tables))
    rows = pl.concat(parts)
    return rows.filter(pl.col("image") <= pl.date(2025, 6, 30))


def first_year(tables):
    """One row a person of what the delivered rows say of the year after the image."""
    image = (
        tables["procedure_occurrence"]
        .filter(pl.col("procedure_source_value") == "G2101")
        .select("person_id", image="procedure_date")
    )
    shown = tables["device_inference"].select("person_id", "shown")
    visit = tables["visit_occurrence"].select(
        cost_event_id="visit_occurrence_id", day="visit_start_date"
    )
    cost = (
        tables["cost"].join(visit, on="cost_event_id").join(image, on="person_id")
        .filter(pl.col("day").is_between(pl.col("image"), pl.col("image").dt.offset_by("365d")))
        .group_by("person_id").agg(cost=pl.col("total_cost").sum())
    )  # fmt: skip
    failed = (
        tables["condition_occurrence"].filter(pl.col("condition_source_value") == "J96.0")
        .join(image, on="person_id")
        .filter(pl.col("condition_start_date") > pl.col("image"))
        .group_by("person_id").agg(failed=pl.col("condition_start_date").min())
    )  # fmt: skip
    return (
        image.join(shown, on="person_id", how="left")
        .join(cost, on="person_id", how="left")
        .join(failed, on="person_id", how="left")
        .with_columns(
            shown=pl.col("shown").fill_null(False),
            event=((pl.col("failed") - pl.col("image")).dt.total_days() <= 365).fill_null(False),
        )
    )


def test_a_large_sample_without_faults_finds_the_truth():
    found, rows = truth("clean"), complete_rows()
    arms = {arm: rows.filter(pl.col("shown") == (arm == SHOWN)) for arm in (SHOWN, NOT_SHOWN)}
    for arm, mine in arms.items():
        assert mine.height > 60_000
        event = mine["event"].cast(float)
        risk = found.value("risk", arm=arm, at=365, site_id="pooled", outcome="respiratory_failure")
        agrees(risk, event.mean(), event.std() / mine.height**0.5)
        cost = mine["cost"]
        agrees(found.value("mean_cost", arm=arm), cost.mean(), cost.std() / mine.height**0.5)
    difference = arms[SHOWN]["event"].mean() - arms[NOT_SHOWN]["event"].mean()
    assert difference < 0
    money = {arm: mine["cost"] for arm, mine in arms.items()}
    error = sum(m.var() / m.len() for m in money.values()) ** 0.5
    agrees(found.value("incremental_cost"), money[SHOWN].mean() - money[NOT_SHOWN].mean(), error)


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    """Deliveries with every bias planted, as Parquet: table by table, all hospitals together."""
    out = tmp_path_factory.mktemp("faulty") / "out"
    simulate_consortium(
        out, 60_000, 3, SEED, "negative-controls", form="parquet", potential=200_000
    )
    known = json.loads((out / "truth.json").read_text(encoding="utf-8"))

    def table(name):
        files = sorted(out.glob(f"*/{name}.parquet"))
        return pl.concat(
            [pl.read_parquet(f).with_columns(site=pl.lit(f.parent.name)) for f in files]
        )

    return table, known["values"]


def planted(values, name, **what):
    [found] = [
        v
        for v in values
        if v["name"] == name
        and v.get("population", "eligible") == "eligible"
        and v.get("period", "whole") == "whole"
        and what.items() <= v.items()
    ]
    return found["value"]


KEYS = ["site", "person_id"]


def with_shown(table):
    return (
        table("procedure_occurrence").filter(pl.col("procedure_source_value") == "G2101")
        .select(*KEYS, image="procedure_date")
        .join(table("device_inference").select(*KEYS, "shown"), on=KEYS, how="left")
        .with_columns(pl.col("shown").fill_null(False))
        .join(table("observation_period").select(*KEYS, end="observation_period_end_date"), on=KEYS)
    )  # fmt: skip


def first_after(table, people, code):
    """Days from the image to the first record of a code, and whether it came within a year."""
    first = (
        table("condition_occurrence").filter(pl.col("condition_source_value") == code)
        .join(people.select(*KEYS, "image"), on=KEYS)
        .filter(pl.col("condition_start_date") > pl.col("image"))
        .group_by(KEYS).agg(day=pl.col("condition_start_date").min())
    )  # fmt: skip
    return people.join(first, on=KEYS, how="left").with_columns(
        time=(pl.min_horizontal("day", "end") - pl.col("image")).dt.total_days().clip(0.5, 365),
        event=(pl.col("day") <= pl.min_horizontal("end", pl.col("image").dt.offset_by("365d")))
        .fill_null(False),
    )  # fmt: skip


def naive_rate_ratio(rows):
    rate = {
        shown: mine["event"].sum() / mine["time"].sum()
        for shown in (True, False)
        for mine in [rows.filter(pl.col("shown") == shown)]
    }
    return rate[True] / rate[False]


def test_the_naive_effect_is_wrong_in_the_planted_direction(faulty):
    table, values = faulty
    ratio = naive_rate_ratio(first_after(table, with_shown(table), "J96.0"))
    true = planted(values, "hazard_ratio", outcome="respiratory_failure")
    assert true < 0.9 < 1.0 < ratio


def test_negative_controls_have_no_effect_and_a_naive_one(faulty):
    table, values = faulty
    controls = [v["outcome"] for v in values if v["estimand"] == "negative_control"]
    assert len(controls) >= 30
    people = with_shown(table)
    naive = [naive_rate_ratio(first_after(table, people, code)) for code in controls]
    assert np.mean(naive) > 1.1
    assert np.mean(np.array(naive) > 1) > 0.8


def test_uncorrected_accuracy_is_wrong_in_the_planted_direction(faulty):
    """Only verified images: sensitivity too high, specificity too low; all verified: right."""
    table, values = faulty
    read = (
        table("device_inference").filter(pl.col("failure").is_null())
        .join(table("reference_standard").filter(pl.col("source") == "case_review"),
              on=["site", "study_id"])
        .filter(pl.col("verified"))
    )  # fmt: skip
    for site in ("sim-01", "sim-02", "sim-03"):
        mine = read.filter(pl.col("site") == site)
        sick, healthy = (mine.filter(pl.col("truth") == t) for t in ("positive", "negative"))
        sensitivity = (sick["decision"] == "positive").mean()
        specificity = (healthy["decision"] == "negative").mean()
        assert sensitivity > planted(values, "sensitivity", site_id=site) + 0.1
        assert specificity < planted(values, "specificity", site_id=site) - 0.1


def test_cost_without_regard_to_loss_is_wrong_in_the_planted_direction(faulty):
    table, values = faulty
    visit = table("visit_occurrence").select(
        "site", "person_id", cost_event_id="visit_occurrence_id", day="visit_start_date"
    )
    people = with_shown(table)
    cost = (
        table("cost").join(visit, on=["site", "person_id", "cost_event_id"])
        .join(people, on=KEYS)
        .filter(pl.col("day").is_between(pl.col("image"), pl.col("image").dt.offset_by("365d")))
        .group_by(KEYS).agg(cost=pl.col("total_cost").sum())
    )  # fmt: skip
    rows = people.join(cost, on=KEYS).filter(pl.col("image") <= pl.date(2025, 6, 30))
    both = [planted(values, "mean_cost", arm=arm) for arm in (SHOWN, NOT_SHOWN)]
    # The mean over everybody lies between the arms where nobody is lost; here it is below both.
    assert rows["cost"].mean() < 0.95 * min(both)
