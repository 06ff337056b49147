"""The planted truth: what a trial without faults would find in the same people.

Every value is computed from potential outcomes of new persons of the same hospitals, drawn in
batches; `mcse` is its Monte Carlo standard error, from the spread of the batches.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import rankdata

from tasks.simulate import outcomes as fate_of
from tasks.simulate.codes import NEGATIVE_CONTROLS
from tasks.simulate.estimands import ESTIMANDS, STRATEGY
from tasks.simulate.outcomes import HORIZON_DAYS, Fate, PotentialOutcomes, draw_outcomes
from tasks.simulate.people import (
    AID_DOWN,
    AID_UP,
    Bools,
    Floats,
    Ints,
    People,
    draw_people,
    reader_latent,
)
from tasks.simulate.scenario import Scenario
from tasks.simulate.world import DAYS_A_MONTH, POTENTIAL, VERSIONS, Hospital, random_stream

N_POTENTIAL = 1_000_000
BATCHES = 20
FEWEST_A_SITE = 60_000
MONTHS = 24
RISK_DAYS = (180, 365)
SHOWN, NOT_SHOWN = "ai_shown", "ai_not_shown"
POOLED = "pooled"
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
            "strategy": STRATEGY,
            "estimands": {name: dict(text) for name, text in ESTIMANDS.items()},
            "values": [value.as_dict() for value in self.values],
        }

    def value(self, name: str, **what: object) -> TruthValue:
        """Return the one value of this name that fits."""
        [found] = [
            v
            for v in self.values
            if v.name == name and all(getattr(v, key) == item for key, item in what.items())
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
    """
    sizes = {h.site_id: _persons_a_batch(h, hospitals, n_potential) for h in hospitals}
    batches = [_batch(scenario, hospitals, sizes, seed, number) for number in range(BATCHES)]
    overall = list(_values(hospitals, _sum(batches)))
    parts = [list(_values(hospitals, batch)) for batch in batches]
    spread = np.std([[v.value for v in part] for part in parts], axis=0, ddof=1) / BATCHES**0.5
    values = tuple(_with_mcse(v, float(s)) for v, s in zip(overall, spread, strict=True))
    return Truth(values + _negative_controls(scenario), sum(sizes.values()) * BATCHES, BATCHES)


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
        for site, w in ((POOLED, weight), (hospital.site_id, 1 / n)):
            _add_effects(cells, site, w, people, both)
        _add_device(cells, hospital, people)
        _add_adoption(cells, hospital, people)
        _add_readers(cells, weight, people, rng)
    return cells


def _add_effects(
    cells: Cells, site: str, weight: float, people: People, both: PotentialOutcomes
) -> None:
    cells["weight", site] = cells["weight", site] + weight * people.size
    for arm, fate in ((SHOWN, both.shown), (NOT_SHOWN, both.not_shown)):
        for day in RISK_DAYS:
            _add(cells, ("risk", site, arm, str(day)), weight, fate.failure_day <= day)
        if site != POOLED:
            continue
        _add(cells, ("death", site, arm), weight, fate.death_day <= HORIZON_DAYS)
        free = np.minimum(fate.event_free_days, HORIZON_DAYS)
        _add(cells, ("rmst", site, arm), weight, free)
        cost = fate_of.expected_cost_krw(people, fate, shown=arm == SHOWN)
        _add(cells, ("cost", site, arm), weight, cost)
        _add(cells, ("qaly", site, arm), weight, fate_of.qaly(people, fate))
        _add_days(cells, ("failure", arm), weight, fate, fate.failure_day)
        _add_days(cells, ("failure_or_death", arm), weight, fate, fate.event_free_days)


def _add_days(cells: Cells, key: Key, weight: float, fate: Fate, event_day: Ints) -> None:
    """Add persons at risk and events by day, follow-up ending at the horizon."""
    end = np.minimum(fate.event_free_days, HORIZON_DAYS)
    happened = (event_day <= HORIZON_DAYS) & (event_day == fate.event_free_days)
    left = np.bincount(end, minlength=HORIZON_DAYS + 1)[: HORIZON_DAYS + 1]
    events = np.bincount(end[happened], minlength=HORIZON_DAYS + 1)[: HORIZON_DAYS + 1]
    at_risk = left[::-1].cumsum()[::-1]
    cells[("at_risk", *key)] = cells[("at_risk", *key)] + weight * at_risk
    cells[("events", *key)] = cells[("events", *key)] + weight * events


def _add_device(cells: Cells, hospital: Hospital, people: People) -> None:
    """Accuracy of the device among images of which it gave a result, by site and version."""
    site = hospital.site_id
    runs = people.image_day >= hospital.silent_day
    _add(cells, ("failed", site), 1, people.is_failed)
    _add(cells, ("sick", site), 1, people.has_disease)
    cells["n", site] = cells["n", site] + people.size
    for place, version in enumerate(VERSIONS):
        usable = runs & (people.version == place) & ~people.is_failed
        sick, healthy = usable & people.has_disease, usable & ~people.has_disease
        if not sick.any() or not healthy.any():
            continue
        key = (site, version.name)
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


def _add_readers(cells: Cells, weight: float, people: People, rng: np.random.Generator) -> None:
    """First readers of all images, with and without the device."""
    sick, healthy = people.has_disease, ~people.has_disease
    cells["w_sick",] = cells["w_sick",] + weight * sick.sum()
    cells["w_healthy",] = cells["w_healthy",] + weight * healthy.sum()
    for modality, sees in (("unaided", people.sees_unaided), ("aided", people.sees_aided)):
        _add(cells, ("reader_tp", modality), weight, sees[sick])
        _add(cells, ("reader_tn", modality), weight, ~sees[healthy])
    unaided, aided = _one_reader(people, rng)
    for modality, latent in (("unaided", unaided), ("aided", aided)):
        auc = _auc(latent, sick, healthy) * weight * people.size
        cells["reader_auc", modality] = cells["reader_auc", modality] + auc


def _one_reader(people: People, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return latent scores of readings without and with a device that always gives a result."""
    latent = reader_latent(people.has_disease, people.conspicuity, rng, spread=0.0)
    aid = np.where(people.is_positive, AID_UP, AID_DOWN)
    return latent, latent + aid


def _values(hospitals: tuple[Hospital, ...], cells: Cells) -> Iterator[TruthValue]:
    yield from _effects(hospitals, cells)
    yield from _economics(cells)
    yield from _device(hospitals, cells)
    yield from _readers(cells)
    yield from _adoption(hospitals, cells)


def _effects(hospitals: tuple[Hospital, ...], cells: Cells) -> Iterator[TruthValue]:
    for site in (POOLED, *(h.site_id for h in hospitals)):
        for day in RISK_DAYS:
            yield from _risks(cells, site, day)
    yield from _days_free(cells)
    for event, outcome in (("failure", FAILURE), ("failure_or_death", FAILURE_OR_DEATH)):
        at_risk, events = (
            np.array([cells[(what, event, arm)] for arm in (NOT_SHOWN, SHOWN)])
            for what in ("at_risk", "events")
        )
        ratio = marginal_hazard_ratio(at_risk, events)
        yield TruthValue(
            "hazard_ratio", ratio, 0, "ratio", "hazard_ratio", None, outcome, HORIZON_DAYS
        )


def _risks(cells: Cells, site: str, day: int) -> Iterator[TruthValue]:
    """Risk under each strategy, their difference and their ratio, of one site by one day."""
    shown, not_shown = (
        _mean(cells, ("risk", site, arm, str(day)), site) for arm in (SHOWN, NOT_SHOWN)
    )
    ratio = shown / not_shown if not_shown else float("nan")
    for name, value, unit, arm in (
        ("risk", shown, "share", SHOWN),
        ("risk", not_shown, "share", NOT_SHOWN),
        ("risk_difference", shown - not_shown, "share", None),
        ("risk_ratio", ratio, "ratio", None),
    ):
        yield TruthValue(name, value, 0, unit, name, arm, FAILURE, day, site)


def _days_free(cells: Cells) -> Iterator[TruthValue]:
    """Mean days alive and free of the outcome, and risk of death."""
    days = [_mean(cells, ("rmst", POOLED, arm), POOLED) for arm in (SHOWN, NOT_SHOWN)]
    for arm, value in zip((SHOWN, NOT_SHOWN), days, strict=True):
        yield TruthValue("rmst", value, 0, "days", "rmst", arm, FAILURE_OR_DEATH, HORIZON_DAYS)
        death = _mean(cells, ("death", POOLED, arm), POOLED)
        yield TruthValue("risk", death, 0, "share", "risk_of_death", arm, "death", HORIZON_DAYS)
    name = "rmst_difference"
    gain = days[0] - days[1]
    yield TruthValue(name, gain, 0, "days", name, None, FAILURE_OR_DEATH, HORIZON_DAYS)


def _economics(cells: Cells) -> Iterator[TruthValue]:
    for what, unit in (("cost", "KRW"), ("qaly", "QALY")):
        mean = {a: _mean(cells, (what, POOLED, a), POOLED) for a in (SHOWN, NOT_SHOWN)}
        for arm, value in mean.items():
            yield TruthValue(
                f"mean_{what}", value, 0, unit, f"mean_{what}", arm, None, HORIZON_DAYS
            )
        gain = mean[SHOWN] - mean[NOT_SHOWN]
        name = f"incremental_{what}"
        yield TruthValue(name, gain, 0, unit, name, None, None, HORIZON_DAYS)


def _device(hospitals: tuple[Hospital, ...], cells: Cells) -> Iterator[TruthValue]:
    for hospital in hospitals:
        site = hospital.site_id
        for name, what in (("failure_rate", "failed"), ("prevalence", "sick")):
            value = float(cells[what, site][0] / cells["n", site][0])
            yield TruthValue(name, value, 0, "share", name, site_id=site)
        for version in VERSIONS:
            key = (site, version.name)
            if ("n_auc", *key) not in cells:
                continue
            for name, hit, of in (
                ("sensitivity", "true_positive", "n_sick"),
                ("specificity", "true_negative", "n_healthy"),
                ("auc", "auc", "n_auc"),
            ):
                value = float(cells[(hit, *key)][0] / cells[(of, *key)][0])
                yield TruthValue(
                    name, value, 0, "share", name, site_id=site, model_version=version.name
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
        auc[modality] = float(cells["reader_auc", modality][0] / cells["weight", POOLED][0])
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


def _add(cells: Cells, key: Key, weight: float, values: Bools | Floats | Ints) -> None:
    cells[key] = cells[key] + weight * float(np.sum(values))


def _mean(cells: Cells, key: Key, site: str) -> float:
    return float(cells[key][0] / cells["weight", site][0])


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
