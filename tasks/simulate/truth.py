"""The planted truth: what a trial without faults would find in the same people.

Every value is computed from potential outcomes of new persons of the same hospitals, drawn in
batches; `mcse` is its Monte Carlo standard error, from the spread of the batches.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import product

import numpy as np
from scipy.stats import rankdata

from tasks.core.errors import UsageError
from tasks.simulate import outcomes as fate_of
from tasks.simulate.codes import NEGATIVE_CONTROLS
from tasks.simulate.estimands import (
    AFTER_GO_LIVE,
    ELIGIBLE,
    ESTIMANDS,
    OVERLAP,
    POPULATIONS,
    STRATEGY,
)
from tasks.simulate.outcomes import HORIZON_DAYS, Fate, PotentialOutcomes, draw_outcomes
from tasks.simulate.people import (
    AID_DOWN,
    AID_UP,
    READER_SEPARATION,
    Bools,
    Floats,
    Ints,
    People,
    draw_people,
    reader_latent,
)
from tasks.simulate.readers import AID_SD, SEPARATION_SD
from tasks.simulate.scenario import Scenario
from tasks.simulate.world import (
    DAYS_A_MONTH,
    ENROLMENT_START,
    POTENTIAL,
    VERSIONS,
    Hospital,
    random_stream,
)

N_POTENTIAL = 1_000_000
BATCHES = 20
FEWEST_A_SITE, FEWEST_POTENTIAL = 60_000, 20_000
READERS_A_BATCH = 50
MONTHS = 24
RISK_DAYS = (180, 365)
SHOWN, NOT_SHOWN = "ai_shown", "ai_not_shown"
POOLED, WHOLE = "pooled", "whole"
FAILURE, FAILURE_OR_DEATH = "respiratory_failure", "respiratory_failure_or_death"

Key = tuple[str, ...]
Cells = dict[Key, Floats]


@dataclass(frozen=True, slots=True)
class TruthValue:
    """One planted number: what it is, of whom, and how surely it was computed."""

    name: str
    value: float
    mcse: float
    unit: str
    estimand: str
    arm: str | None = None
    outcome: str | None = None
    at: int | None = None
    site_id: str = POOLED
    population: str | None = None
    period: str | None = None
    model_version: str | None = None
    modality: str | None = None
    month: int | None = None

    def as_dict(self) -> dict[str, object]:
        """Return the value with what applies to it; `at` is in days, `month` from enrolment."""
        found = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: item for name, item in found.items() if item is not None}


@dataclass(frozen=True, slots=True)
class Truth:
    """All planted values, and how many potential outcomes they come from."""

    values: tuple[TruthValue, ...]
    hospitals: tuple[Hospital, ...]
    n_potential: int
    n_batches: int

    def as_json(self, scenario: Scenario, seed: int, persons: int) -> dict[str, object]:
        """Return the document that is written as truth.json."""
        return {
            "kind": "causeway-simulation-truth",
            "version": 1,
            "data": "simulated; no clinical meaning",
            "scenario": scenario.scenario,
            "title": scenario.title.model_dump(),
            "planted": [text.model_dump() for text in scenario.planted],
            "seed": seed,
            "persons": persons,
            "n_potential_outcomes": self.n_potential,
            "n_batches": self.n_batches,
            "hospitals": [_described(hospital) for hospital in self.hospitals],
            "strategy": STRATEGY,
            "populations": {name: dict(text) for name, text in POPULATIONS.items()},
            "estimands": {name: dict(text) for name, text in ESTIMANDS.items()},
            "values": [value.as_dict() for value in self.values],
        }

    def value(self, name: str, population: str = ELIGIBLE, **what: object) -> TruthValue:
        """Return the one value of this name that fits."""
        [found] = [
            v
            for v in self.values
            if v.name == name
            and v.population in (None, population)
            and all(getattr(v, key) == item for key, item in what.items())
        ]
        return found


def truth_of(
    scenario: Scenario, hospitals: tuple[Hospital, ...], seed: int, n_potential: int
) -> Truth:
    """Compute every planted value.

    Args:
        scenario: What is planted.
        hospitals: The consortium; each counts by its share of persons.
        seed: Of the simulation; the persons of the truth are others than those delivered.
        n_potential: How many persons at least, each with both potential outcomes.

    Raises:
        UsageError: `n_potential` is too small for every value to have persons in every batch.
    """
    if n_potential < FEWEST_POTENTIAL:
        what = f"{n_potential:,} potential outcomes are too few"
        raise UsageError("truth", what, f"draw {FEWEST_POTENTIAL:,} or more.")
    sizes = {h.site_id: _persons_a_batch(h, hospitals, n_potential) for h in hospitals}
    batches = [_batch(scenario, hospitals, sizes, seed, number) for number in range(BATCHES)]
    overall = list(_values(hospitals, _sum(batches)))
    parts = [list(_values(hospitals, batch)) for batch in batches]
    spread = np.std([[v.value for v in part] for part in parts], axis=0, ddof=1) / BATCHES**0.5
    values = tuple(_with_mcse(v, float(s)) for v, s in zip(overall, spread, strict=True))
    n_drawn = sum(sizes.values()) * BATCHES
    return Truth(values + _negative_controls(scenario), hospitals, n_drawn, BATCHES)


def potential_people(
    scenario: Scenario, hospital: Hospital, n: int, seed: int, batch: int
) -> tuple[People, PotentialOutcomes]:
    """Draw persons of a hospital with both potential outcomes."""
    rng = random_stream(seed, POTENTIAL, hospital.place, batch)
    people = draw_people(scenario, hospital, n, rng)
    return people, draw_outcomes(people, rng)


def marginal_hazard_ratio(at_risk: Floats, events: Floats) -> float:
    """Return the hazard ratio of Cox's model with the arm alone, from daily counts.

    Args:
        at_risk: Weighted persons at risk on each day, shape (2, days): not shown, shown.
        events: Weighted events on each day, of the same shape.

    Source: Cox's partial likelihood with Breslow's ties; days are short against the follow-up.
    """
    both = events.sum(axis=0)
    beta = 0.0
    for _ in range(50):
        share = at_risk[1] * np.exp(beta)
        share = np.divide(share, share + at_risk[0], out=np.zeros_like(share), where=both > 0)
        step = (events[1] - both * share).sum() / (both * share * (1 - share)).sum()
        beta += float(step)
        if abs(step) < 1e-10:
            break
    return float(np.exp(beta))


def _persons_a_batch(hospital: Hospital, hospitals: tuple[Hospital, ...], n_potential: int) -> int:
    total = sum(item.n_persons for item in hospitals)
    fewest = min(FEWEST_A_SITE, n_potential)
    return -(-max(round(n_potential * hospital.n_persons / total), fewest) // BATCHES)


def _batch(
    scenario: Scenario,
    hospitals: tuple[Hospital, ...],
    sizes: Mapping[str, int],
    seed: int,
    number: int,
) -> Cells:
    """Return sums over one batch; persons of a hospital weigh as much as it is large."""
    cells: Cells = defaultdict(lambda: np.zeros(1))
    total = sum(h.n_persons for h in hospitals)
    for hospital in hospitals:
        n = sizes[hospital.site_id]
        weight = hospital.n_persons / total / n
        people, both = potential_people(scenario, hospital, n, seed, number)
        rng = random_stream(seed, POTENTIAL, hospital.place, number, 1)
        for population, persons in _populations(hospital, people).items():
            _add_effects(cells, population, weight * persons, people, both)
        _add_risks(cells, hospital.site_id, np.full(n, 1 / n), both)
        _add_device(cells, hospital, people)
        _add_adoption(cells, hospital, people)
        _add_readers(cells, weight, hospital, people, rng)
    return cells


def _populations(hospital: Hospital, people: People) -> dict[str, Floats]:
    """Return the weight of each person in each population."""
    return {
        ELIGIBLE: np.ones(people.size),
        AFTER_GO_LIVE: (people.image_day >= hospital.go_live_day).astype(float),
        OVERLAP: people.p_shown * (1 - people.p_shown),
    }


def _add_effects(
    cells: Cells, group: str, weights: Floats, people: People, both: PotentialOutcomes
) -> None:
    _add_risks(cells, group, weights, both)
    for arm, fate in ((SHOWN, both.shown), (NOT_SHOWN, both.not_shown)):
        _add(cells, ("death", group, arm), weights, fate.death_day <= HORIZON_DAYS)
        free = np.minimum(fate.event_free_days, HORIZON_DAYS)
        _add(cells, ("rmst", group, arm), weights, free)
        cost = fate_of.expected_cost_krw(people, fate, shown=arm == SHOWN)
        _add(cells, ("cost", group, arm), weights, cost)
        _add(cells, ("qaly", group, arm), weights, fate_of.qaly(people, fate))
        _add_days(cells, ("failure", group, arm), weights, fate, fate.failure_day)
        _add_days(cells, ("failure_or_death", group, arm), weights, fate, fate.event_free_days)


def _add_risks(cells: Cells, group: str, weights: Floats, both: PotentialOutcomes) -> None:
    cells["weight", group] = cells["weight", group] + weights.sum()
    for arm, fate in ((SHOWN, both.shown), (NOT_SHOWN, both.not_shown)):
        for day in RISK_DAYS:
            _add(cells, ("risk", group, arm, str(day)), weights, fate.failure_day <= day)


def _add_days(cells: Cells, key: Key, weights: Floats, fate: Fate, event_day: Ints) -> None:
    """Add persons at risk and events by day, follow-up ending at the horizon."""
    end = np.minimum(fate.event_free_days, HORIZON_DAYS)
    happened = (event_day <= HORIZON_DAYS) & (event_day == fate.event_free_days)
    left = np.bincount(end, weights, HORIZON_DAYS + 1)
    events = np.bincount(end[happened], weights[happened], HORIZON_DAYS + 1)
    at_risk = left[::-1].cumsum()[::-1]
    cells[("at_risk", *key)] = cells[("at_risk", *key)] + at_risk
    cells[("events", *key)] = cells[("events", *key)] + events


def _add_device(cells: Cells, hospital: Hospital, people: People) -> None:
    """Accuracy of the device among images of which it gave a result, by site and version."""
    site = hospital.site_id
    _add(cells, ("failed", site), 1, people.is_failed)
    _add(cells, ("sick", site), 1, people.has_disease)
    cells["n", site] = cells["n", site] + people.size
    runs = (people.image_day >= hospital.silent_day) & ~people.is_failed
    for place, version in enumerate(VERSIONS):
        for period, within in _periods(hospital, people).items():
            usable = runs & within & (people.version == place)
            _add_accuracy(cells, (site, version.name, period), usable, people)


def _periods(hospital: Hospital, people: People) -> dict[str, Bools]:
    """Return who was imaged in which period: the whole, and before and after a drift."""
    periods = {WHOLE: np.full(people.size, True)}
    if hospital.drift_day is not None:
        drifted = people.image_day >= hospital.drift_day
        periods |= {"before_drift": ~drifted, "after_drift": drifted}
    return periods


def _add_accuracy(cells: Cells, key: Key, usable: Bools, people: People) -> None:
    sick, healthy = usable & people.has_disease, usable & ~people.has_disease
    if not sick.any() or not healthy.any():
        return
    _add(cells, ("true_positive", *key), 1, people.is_positive[sick])
    _add(cells, ("true_negative", *key), 1, ~people.is_positive[healthy])
    cells["n_sick", *key] = cells["n_sick", *key] + sick.sum()
    cells["n_healthy", *key] = cells["n_healthy", *key] + healthy.sum()
    cells["auc", *key] = cells["auc", *key] + _auc(people.score, sick, healthy)
    cells["n_auc", *key] = cells["n_auc", *key] + 1


def _add_adoption(cells: Cells, hospital: Hospital, people: People) -> None:
    month = np.minimum(people.image_day // DAYS_A_MONTH, MONTHS - 1).astype(int)
    for name, weights in (("shown", people.p_shown), ("images", np.ones(people.size))):
        key = (name, hospital.site_id)
        cells[key] = cells[key] + np.bincount(month, weights=weights, minlength=MONTHS)


def _add_readers(
    cells: Cells, weight: float, hospital: Hospital, people: People, rng: np.random.Generator
) -> None:
    """First readers of all images, and readers of a study of images that the device read."""
    sick, healthy = people.has_disease, ~people.has_disease
    cells["w_sick",] = cells["w_sick",] + weight * sick.sum()
    cells["w_healthy",] = cells["w_healthy",] + weight * healthy.sum()
    for modality, sees in (("unaided", people.sees_unaided), ("aided", people.sees_aided)):
        _add(cells, ("reader_tp", modality), weight, sees[sick])
        _add(cells, ("reader_tn", modality), weight, ~sees[healthy])
    read = np.flatnonzero((people.image_day >= hospital.silent_day) & ~people.is_failed)
    for cases in np.array_split(read, READERS_A_BATCH):
        _add_one_reader(cells, weight * people.size / READERS_A_BATCH, people, cases, rng)


def _add_one_reader(
    cells: Cells, weight: float, people: People, cases: Ints, rng: np.random.Generator
) -> None:
    """Add the AUC of one reader, drawn from all readers, without and with the device."""
    sick, healthy = people.has_disease[cases], ~people.has_disease[cases]
    if not sick.any() or not healthy.any():
        return
    separation = rng.normal(READER_SEPARATION, SEPARATION_SD)
    latent = reader_latent(sick, people.conspicuity[cases], rng, separation)
    aid = np.where(people.is_positive[cases], rng.normal(AID_UP, AID_SD), AID_DOWN)
    cells["w_readers",] = cells["w_readers",] + weight
    for modality, seen in (("unaided", latent), ("aided", latent + aid)):
        auc = weight * _auc(seen, sick, healthy)
        cells["reader_auc", modality] = cells["reader_auc", modality] + auc


def _values(hospitals: tuple[Hospital, ...], cells: Cells) -> Iterator[TruthValue]:
    for population in POPULATIONS:
        yield from _effects(cells, population)
        yield from _economics(cells, population)
    for hospital in hospitals:
        for day in RISK_DAYS:
            yield from _risks(cells, hospital.site_id, day, hospital.site_id, ELIGIBLE)
    yield from _device(hospitals, cells)
    yield from _readers(cells)
    yield from _adoption(hospitals, cells)


def _effects(cells: Cells, population: str) -> Iterator[TruthValue]:
    for day in RISK_DAYS:
        yield from _risks(cells, population, day, POOLED, population)
    yield from _days_free(cells, population)
    for event, outcome in (("failure", FAILURE), ("failure_or_death", FAILURE_OR_DEATH)):
        at_risk, events = (
            np.array([cells[(what, event, population, arm)] for arm in (NOT_SHOWN, SHOWN)])
            for what in ("at_risk", "events")
        )
        ratio = marginal_hazard_ratio(at_risk, events)
        yield TruthValue(
            "hazard_ratio", ratio, 0, "ratio", "hazard_ratio", None, outcome, HORIZON_DAYS,
            population=population,
        )  # fmt: skip


def _risks(cells: Cells, group: str, day: int, site: str, population: str) -> Iterator[TruthValue]:
    """Risk under each strategy, their difference and their ratio, of one group by one day."""
    shown, not_shown = (
        _mean(cells, ("risk", group, arm, str(day)), group) for arm in (SHOWN, NOT_SHOWN)
    )
    ratio = shown / not_shown if not_shown else float("nan")
    for name, value, unit, arm in (
        ("risk", shown, "share", SHOWN),
        ("risk", not_shown, "share", NOT_SHOWN),
        ("risk_difference", shown - not_shown, "share", None),
        ("risk_ratio", ratio, "ratio", None),
    ):
        yield TruthValue(name, value, 0, unit, name, arm, FAILURE, day, site, population)


def _days_free(cells: Cells, population: str) -> Iterator[TruthValue]:
    """Mean days alive and free of the outcome, and risk of death."""
    days = [_mean(cells, ("rmst", population, arm), population) for arm in (SHOWN, NOT_SHOWN)]
    either, horizon, group = FAILURE_OR_DEATH, HORIZON_DAYS, (POOLED, population)
    for arm, value in zip((SHOWN, NOT_SHOWN), days, strict=True):
        yield TruthValue("rmst", value, 0, "days", "rmst", arm, either, horizon, *group)
        death = _mean(cells, ("death", population, arm), population)
        yield TruthValue("risk", death, 0, "share", "risk_of_death", arm, "death", horizon, *group)
    name, gain = "rmst_difference", days[0] - days[1]
    yield TruthValue(name, gain, 0, "days", name, None, either, horizon, *group)


def _economics(cells: Cells, population: str) -> Iterator[TruthValue]:
    horizon, group = HORIZON_DAYS, (POOLED, population)
    for what, unit in (("cost", "KRW"), ("qaly", "QALY")):
        mean = [_mean(cells, (what, population, arm), population) for arm in (SHOWN, NOT_SHOWN)]
        for arm, value in zip((SHOWN, NOT_SHOWN), mean, strict=True):
            name = f"mean_{what}"
            yield TruthValue(name, value, 0, unit, name, arm, None, horizon, *group)
        name, gain = f"incremental_{what}", mean[0] - mean[1]
        yield TruthValue(name, gain, 0, unit, name, None, None, horizon, *group)


def _device(hospitals: tuple[Hospital, ...], cells: Cells) -> Iterator[TruthValue]:
    for hospital in hospitals:
        site = hospital.site_id
        for name, what in (("failure_rate", "failed"), ("prevalence", "sick")):
            value = float(cells[what, site][0] / cells["n", site][0])
            yield TruthValue(name, value, 0, "share", name, site_id=site)
        for version, period in product(VERSIONS, (WHOLE, "before_drift", "after_drift")):
            if ("n_auc", site, version.name, period) in cells:
                yield from _accuracy(cells, site, version.name, period)


def _accuracy(cells: Cells, site: str, version: str, period: str) -> Iterator[TruthValue]:
    key = (site, version, period)
    for name, hit, of in (
        ("sensitivity", "true_positive", "n_sick"),
        ("specificity", "true_negative", "n_healthy"),
        ("auc", "auc", "n_auc"),
    ):
        value = float(cells[(hit, *key)][0] / cells[(of, *key)][0])
        yield TruthValue(
            name, value, 0, "share", name, site_id=site, period=period, model_version=version
        )


def _readers(cells: Cells) -> Iterator[TruthValue]:
    auc = dict[str, float]()
    for modality in ("unaided", "aided"):
        for name, hits, of in (
            ("sensitivity", "reader_tp", "w_sick"),
            ("specificity", "reader_tn", "w_healthy"),
        ):
            value = float(cells[hits, modality][0] / cells[of,][0])
            yield TruthValue(name, value, 0, "share", f"reader_{name}", modality=modality)
        auc[modality] = float(cells["reader_auc", modality][0] / cells["w_readers",][0])
        yield TruthValue("auc", auc[modality], 0, "share", "reader_auc", modality=modality)
    gain = auc["aided"] - auc["unaided"]
    yield TruthValue("auc_difference", gain, 0, "share", "reader_auc_difference")


def _adoption(hospitals: tuple[Hospital, ...], cells: Cells) -> Iterator[TruthValue]:
    for hospital in hospitals:
        share = cells["shown", hospital.site_id] / cells["images", hospital.site_id]
        for month, value in enumerate(share):
            yield TruthValue(
                "uptake", float(value), 0, "share", "uptake", site_id=hospital.site_id, month=month
            )


def _negative_controls(scenario: Scenario) -> tuple[TruthValue, ...]:
    controls = NEGATIVE_CONTROLS[: scenario.negative_controls]
    return tuple(
        TruthValue("hazard_ratio", 1.0, 0.0, "ratio", "negative_control", None, code.source)
        for code in controls
    )


def _add(cells: Cells, key: Key, weight: float | Floats, values: Bools | Floats | Ints) -> None:
    cells[key] = cells[key] + float(np.sum(weight * values))


def _mean(cells: Cells, key: Key, group: str) -> float:
    return float(cells[key][0] / cells["weight", group][0])


def _described(hospital: Hospital) -> dict[str, object]:
    """Return what is true of a hospital; dates as its deliveries tell them."""
    return {
        "site_id": hospital.site_id,
        "persons": hospital.n_persons,
        "form": hospital.form,
        "silent_from": _date(hospital.silent_day),
        "go_live_date": _date(hospital.go_live_day),
        "update_date": _date(hospital.update_day),
        "drift_date": _date(hospital.drift_day),
    }


def _date(day: int | None) -> str | None:
    return None if day is None else str(ENROLMENT_START + timedelta(days=day))


def _auc(score: Floats, sick: Bools, healthy: Bools) -> float:
    """Return the probability that a sick image scores above a healthy one, ties counting half."""
    ranks = rankdata(np.concatenate([score[sick], score[healthy]]))
    n_sick, n_healthy = int(sick.sum()), int(healthy.sum())
    above = ranks[:n_sick].sum() - n_sick * (n_sick + 1) / 2
    return float(above / (n_sick * n_healthy))


def _sum(batches: list[Cells]) -> Cells:
    total: Cells = defaultdict(lambda: np.zeros(1))
    for batch in batches:
        for key, value in batch.items():
            total[key] = total[key] + value
    return total


def _with_mcse(value: TruthValue, mcse: float) -> TruthValue:
    return replace(value, mcse=mcse)
