"""From persons and their fate to the rows that a hospital would export, one frame a table."""

import numpy as np
import polars as pl

from tasks.simulate import outcomes as fate_of
from tasks.simulate.codes import (
    AI_REVIEW_FEE,
    CHEST_CT,
    CHEST_X_RAY,
    COMORBIDITIES,
    DRUGS,
    EQ5D_DIMENSIONS,
    LABORATORIES,
    NEGATIVE_CONTROLS,
    OTHER_CONDITIONS,
    RESPIRATORY_FAILURE,
    SMOKING,
)
from tasks.simulate.device_records import consents, first_reads, inferences, references, sees
from tasks.simulate.frames import (
    Tables,
    chosen,
    concepts,
    empty,
    frame,
    missing,
    pseudonyms,
    within,
)
from tasks.simulate.observed import Numbering, Observed
from tasks.simulate.outcomes import DAYS_A_YEAR, NEVER
from tasks.simulate.people import Ints
from tasks.simulate.scenario import Scenario
from tasks.simulate.visits import ADMISSION, EHR, INDEX, Visits
from tasks.simulate.world import ENROLMENT_START

PRESCRIPTION = 32838
MALE, FEMALE = 8507, 8532
_SIGS = ("1일 3회 식후", "1일 2회 식후", "1일 1회 취침 전", "필요시 복용", "1일 2회 (펲톡정 병용)")
_SMOKING = ("비흡연", "과거흡연", "현재흡연")
_STATUS = ("확진", "의증")
_VISIT_CODES = ("AA157", "AA257", "AB400")
_CONTROL_YEARLY, _CONTROL_LOG_HAZARDS = 0.03, (0.3, 0.7)
_EQ5D_SHARE, _EQ5D_DAYS = 0.5, (0, 90, 180, 365)
_PAID_BY_PATIENT = 0.3
_FIRST_OBSERVATION = 5_000_000_000
"""Observations and measurements share one id space, as FHIR's Observation does."""


def make_records(
    scenario: Scenario, seen: Observed, numbering: Numbering, rng: np.random.Generator
) -> Tables:
    """Return the rows of one chunk by table; ids run on from the chunk before."""
    visits = Visits.draw(seen, numbering, rng)
    return {
        "person": _person(seen, rng),
        "observation_period": _observation_period(seen),
        "death": _death(seen),
        "visit_occurrence": visits.table(seen),
        "condition_occurrence": _conditions(scenario, seen, visits, numbering, rng),
        "drug_exposure": _drugs(seen, visits, numbering, rng),
        "measurement": _measurements(seen, visits, numbering, rng),
        "observation": _observations(seen, numbering, rng),
        "procedure_occurrence": _procedures(seen, visits, numbering),
        "cost": _costs(seen, visits, numbering, rng),
        "device_inference": inferences(seen, visits, rng),
        "device_reading": first_reads(seen, rng),
        "reference_standard": references(scenario, seen, rng),
        "consent": consents(seen, rng),
    }


def _person(seen: Observed, rng: np.random.Generator) -> pl.DataFrame:
    people = seen.people
    year = ENROLMENT_START.year + (people.image_day >= 366) - people.age_years
    return frame(
        "person",
        person_id=seen.person_id,
        gender_concept_id=np.where(people.is_female, FEMALE, MALE),
        year_of_birth=year,
        race_concept_id=np.zeros(people.size, np.int64),
        ethnicity_concept_id=np.zeros(people.size, np.int64),
        person_source_value=pseudonyms(people.size, rng),
        gender_source_value=np.where(people.is_female, "female", "male"),
    )


def _observation_period(seen: Observed) -> pl.DataFrame:
    rows = np.arange(seen.people.size)
    return frame(
        "observation_period",
        observation_period_id=seen.person_id,
        person_id=seen.person_id,
        observation_period_start_date=seen.days(rows, -seen.look_back_days),
        observation_period_end_date=seen.days(rows, seen.end_day),
        period_type_concept_id=np.full(rows.size, EHR),
    )


def _death(seen: Observed) -> pl.DataFrame:
    rows = np.flatnonzero(seen.fate.death_day <= seen.end_day)
    return frame(
        "death",
        person_id=seen.person_id[rows],
        death_date=seen.days(rows, seen.fate.death_day[rows]),
        death_type_concept_id=np.full(rows.size, EHR),
    )


def _conditions(
    scenario: Scenario,
    seen: Observed,
    visits: Visits,
    numbering: Numbering,
    rng: np.random.Generator,
) -> pl.DataFrame:
    """Baseline conditions, the outcome, what each visit was for, and the negative controls."""
    codes = [c.code for c in COMORBIDITIES]
    codes += [RESPIRATORY_FAILURE, *OTHER_CONDITIONS]
    controls = NEGATIVE_CONTROLS[: scenario.negative_controls]
    codes += controls
    baseline, which = np.nonzero(seen.people.comorbid)
    admissions = np.flatnonzero(visits.kind == ADMISSION)
    earlier = np.flatnonzero(rng.random(seen.people.size) < 0.01)
    at_visits = np.repeat(np.arange(visits.person.size), rng.poisson(1.2, visits.person.size))
    later, control, day = _control_events(scenario, seen, rng)
    first_other = len(COMORBIDITIES) + 1
    none = np.zeros
    parts = [
        (baseline, -1 - within(seen.look_back_days[baseline] - 1, rng), which, none(which.size)),
        (visits.person[admissions], visits.day[admissions],
         np.full(admissions.size, len(COMORBIDITIES)), visits.visit_id[admissions]),
        (earlier, -1 - within(seen.look_back_days[earlier] - 1, rng),
         np.full(earlier.size, len(COMORBIDITIES)), none(earlier.size)),
        (visits.person[at_visits], visits.day[at_visits],
         rng.integers(first_other, first_other + len(OTHER_CONDITIONS), at_visits.size),
         visits.visit_id[at_visits]),
        (later, day, first_other + len(OTHER_CONDITIONS) + control, none(later.size)),
    ]  # fmt: skip
    person, day, code, visit = (
        np.concatenate([p[i] for p in parts]).astype(np.int64) for i in range(4)
    )
    length = np.minimum(rng.integers(0, 15, person.size), seen.end_day[person] - day)
    return frame(
        "condition_occurrence",
        condition_occurrence_id=numbering.take("condition_occurrence", person.size),
        person_id=seen.person_id[person],
        condition_concept_id=concepts(codes)[code],
        condition_start_date=seen.days(person, day),
        condition_end_date=seen.days(person, day + length),
        condition_type_concept_id=np.full(person.size, EHR),
        visit_occurrence_id=missing(visit, visit == 0),
        condition_source_value=chosen([c.source for c in codes], code),
        condition_status_source_value=chosen(_STATUS, (rng.random(person.size) < 0.1).astype(int)),
    )


def _control_events(
    scenario: Scenario, seen: Observed, rng: np.random.Generator
) -> tuple[Ints, Ints, Ints]:
    """Return person, control and day of events that only the severity index moves."""
    controls = scenario.negative_controls
    slopes = np.linspace(*_CONTROL_LOG_HAZARDS, controls)
    rate = _CONTROL_YEARLY / DAYS_A_YEAR * np.exp(slopes * seen.people.severity[:, None])
    wait = rng.exponential(size=(seen.people.size, controls)) / rate
    day = np.minimum(np.floor(wait) + 1, NEVER).astype(np.int64)
    person, control = np.nonzero(day <= seen.end_day[:, None])
    return person, control, day[person, control]


def _drugs(
    seen: Observed, visits: Visits, numbering: Numbering, rng: np.random.Generator
) -> pl.DataFrame:
    at = np.repeat(np.arange(visits.person.size), rng.poisson(1.3, visits.person.size))
    person, day = visits.person[at], visits.day[at]
    supply = rng.choice([3, 7, 14, 30, 90], at.size)
    supply = np.minimum(supply, seen.end_day[person] - day + 1)
    drug = rng.integers(0, len(DRUGS), at.size)
    return frame(
        "drug_exposure",
        drug_exposure_id=numbering.take("drug_exposure", at.size),
        person_id=seen.person_id[person],
        drug_concept_id=concepts(DRUGS)[drug],
        drug_exposure_start_date=seen.days(person, day),
        drug_exposure_end_date=seen.days(person, day + supply - 1),
        drug_type_concept_id=np.full(at.size, PRESCRIPTION),
        quantity=(supply * rng.integers(1, 4, at.size)).astype(float),
        days_supply=supply,
        sig=chosen(_SIGS, rng.choice(len(_SIGS), at.size, p=[0.4, 0.3, 0.2, 0.09, 0.01])),
        visit_occurrence_id=visits.visit_id[at],
        drug_source_value=chosen([d.source for d in DRUGS], drug),
    )


def _measurements(
    seen: Observed, visits: Visits, numbering: Numbering, rng: np.random.Generator
) -> pl.DataFrame:
    """All laboratory tests on the day of the image, some at every other visit."""
    n_labs = len(LABORATORIES)
    taken = rng.random((visits.person.size, n_labs)) < 0.27
    taken |= (visits.kind == INDEX)[:, None]
    at, lab = np.nonzero(taken)
    person = visits.person[at]
    numbers = {
        name: np.array([getattr(item, name) for item in LABORATORIES])[lab]
        for name in ("mean", "sd", "per_severity", "low", "high", "unit_concept_id")
    }
    value = numbers["mean"] + numbers["per_severity"] * seen.people.severity[person]
    value += numbers["sd"] * rng.normal(size=at.size)
    value = np.asarray(np.round(np.clip(value, 0.1, np.where(lab == 0, 100.0, 1e4)), 1), float)
    return frame(
        "measurement",
        measurement_id=numbering.take("measurement", at.size),
        person_id=seen.person_id[person],
        measurement_concept_id=concepts([item.code for item in LABORATORIES])[lab],
        measurement_date=seen.days(person, visits.day[at]),
        measurement_datetime=seen.times(person, visits.day[at], visits.second[at] + 600),
        measurement_type_concept_id=np.full(at.size, EHR),
        value_as_number=value,
        unit_concept_id=numbers["unit_concept_id"],
        range_low=numbers["low"],
        range_high=numbers["high"],
        visit_occurrence_id=visits.visit_id[at],
        measurement_source_value=chosen([item.code.source for item in LABORATORIES], lab),
        unit_source_value=chosen([item.unit for item in LABORATORIES], lab),
        value_source_value=empty(at.size, pl.String),
    )


def _observations(seen: Observed, numbering: Numbering, rng: np.random.Generator) -> pl.DataFrame:
    """EQ-5D-5L of some persons at fixed days, and everybody's smoking status."""
    people = seen.people
    asked = np.flatnonzero(rng.random(people.size) < _EQ5D_SHARE)
    person = np.repeat(asked, len(_EQ5D_DAYS))
    day = np.tile(_EQ5D_DAYS, asked.size)
    alive = (day <= seen.end_day[person]) & (day < seen.fate.death_day[person])
    person, day = person[alive], day[alive]
    step = fate_of.profile_step(people)[person]
    failed = seen.fate.failure_day[person] <= day
    levels = np.where(
        failed[:, None],
        _levels(fate_of.PROFILES_AFTER)[step],
        _levels(fate_of.PROFILES_BEFORE)[step],
    )
    n_eq5d, n = person.size * len(EQ5D_DIMENSIONS), people.size
    rows = np.concatenate([np.repeat(person, len(EQ5D_DIMENSIONS)), np.arange(n)])
    days = np.concatenate([np.repeat(day, len(EQ5D_DIMENSIONS)), np.zeros(n, np.int64)])
    dimension = np.tile(np.arange(len(EQ5D_DIMENSIONS)), person.size)
    code = np.concatenate([dimension, np.full(n, len(EQ5D_DIMENSIONS))])
    is_smoking = np.arange(n_eq5d + n) >= n_eq5d
    answers = chosen(_SMOKING, rng.choice(3, n_eq5d + n, p=[0.55, 0.25, 0.2]))
    codes = (*EQ5D_DIMENSIONS, SMOKING)
    return frame(
        "observation",
        observation_id=_FIRST_OBSERVATION + numbering.take("observation", rows.size),
        person_id=seen.person_id[rows],
        observation_concept_id=concepts(codes)[code],
        observation_date=seen.days(rows, days),
        observation_type_concept_id=np.full(rows.size, EHR),
        value_as_number=missing(np.concatenate([levels.ravel(), np.zeros(n)]), is_smoking),
        value_as_string=missing(answers, ~is_smoking),
        observation_source_value=chosen([c.source for c in codes], code),
    )


def _procedures(seen: Observed, visits: Visits, numbering: Numbering) -> pl.DataFrame:
    """The index image of everybody, and the CT that a positive first read leads to."""
    rows = np.arange(seen.people.size)
    scanned = np.flatnonzero(sees(seen))
    person = np.concatenate([rows, scanned])
    is_ct = np.arange(person.size) >= rows.size
    second = np.where(is_ct, seen.read_second[person] + 1800, seen.acquired_second[person])
    codes = (CHEST_X_RAY, CHEST_CT)
    return frame(
        "procedure_occurrence",
        procedure_occurrence_id=numbering.take("procedure_occurrence", person.size),
        person_id=seen.person_id[person],
        procedure_concept_id=concepts(codes)[is_ct.astype(int)],
        procedure_date=seen.days(person, np.zeros_like(person)),
        procedure_datetime=seen.times(person, np.zeros_like(person), second),
        procedure_type_concept_id=np.full(person.size, EHR),
        visit_occurrence_id=visits.index_id[person],
        procedure_source_value=chosen([c.source for c in codes], is_ct.astype(int)),
    )


def _costs(
    seen: Observed, visits: Visits, numbering: Numbering, rng: np.random.Generator
) -> pl.DataFrame:
    """One row a visit, one a CT, one a reading with the device shown; in whole won."""
    price = np.array([fate_of.VISIT_KRW, fate_of.INDEX_VISIT_KRW, fate_of.ADMISSION_KRW])
    spread = np.array([fate_of.VISIT_LOG_SD, fate_of.VISIT_LOG_SD, fate_of.ADMISSION_LOG_SD])
    group = np.select([visits.kind == INDEX, visits.kind == ADMISSION], [1, 2], 0)
    noise = np.exp(spread[group] * rng.normal(size=group.size) - spread[group] ** 2 / 2)
    scanned, read = np.flatnonzero(sees(seen)), np.flatnonzero(seen.people.is_shown)
    event = np.concatenate([visits.visit_id, visits.index_id[scanned], visits.index_id[read]])
    person = np.concatenate([visits.person, scanned, read])
    total = np.concatenate([
        price[group] * noise,
        np.full(scanned.size, fate_of.CT_KRW),
        np.full(read.size, fate_of.AI_FEE_KRW),
    ])  # fmt: skip
    total = np.round(total)
    by_patient = np.round(total * _PAID_BY_PATIENT)
    what = np.concatenate([group, np.full(scanned.size, 3), np.full(read.size, 4)])
    return frame(
        "cost",
        cost_id=numbering.take("cost", event.size),
        person_id=seen.person_id[person],
        cost_event_id=event,
        cost_domain_id=np.full(event.size, "Visit"),
        cost_type_concept_id=np.full(event.size, EHR),
        currency_concept_id=np.zeros(event.size, np.int64),
        total_cost=total,
        paid_by_payer=total - by_patient,
        paid_by_patient=by_patient,
        revenue_code_source_value=chosen((*_VISIT_CODES, CHEST_CT.source, AI_REVIEW_FEE), what),
    )


def _levels(profiles: tuple[str, ...]) -> Ints:
    return np.array([[int(level) for level in profile] for profile in profiles])
