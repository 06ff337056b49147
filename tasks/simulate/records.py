"""From persons and their fate to the rows that a hospital would export, one frame a table."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.core.omop import omop_tables
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
    Code,
)
from tasks.simulate.outcomes import DAYS_A_YEAR, NEVER, Fate
from tasks.simulate.people import Bools, Ints, People
from tasks.simulate.scenario import Scenario
from tasks.simulate.world import (
    DATA_CUTOFF,
    ENROLMENT_START,
    NEW_SCANNER,
    UDI_DI,
    VERSIONS,
    Hospital,
)

Tables = dict[str, pl.DataFrame]

EHR, PRESCRIPTION = 32817, 32838
MALE, FEMALE = 8507, 8532
_FIRST_DAY = (ENROLMENT_START - date(1970, 1, 1)).days
_LAST_DAY = (DATA_CUTOFF - ENROLMENT_START).days
_MICROSECONDS = 1_000_000
_DAY_SECONDS = 86_400

BASELINE, INDEX, FOLLOW_UP, ADMISSION = range(4)
_VISIT_CONCEPTS = {"AMB": 9202, "EMER": 9203, "IMP": 9201}
_STAY_DAYS = 10
_SIGS = ("1일 3회 식후", "1일 2회 식후", "1일 1회 취침 전", "필요시 복용", "1일 2회 (펲톡정 병용)")
_SMOKING = ("비흡연", "과거흡연", "현재흡연")
_STATUS = ("확진", "의증")
_VISIT_CODES = ("AA157", "AA257", "AB400")
_CONTROL_YEARLY, _CONTROL_LOG_HAZARDS = 0.03, (0.3, 0.7)
_EQ5D_SHARE, _EQ5D_DAYS = 0.5, (0, 90, 180, 365)
_PAID_BY_PATIENT = 0.3
_FIRST_OBSERVATION = 5_000_000_000
"""Observations and measurements share one id space, as FHIR's Observation does."""


@dataclass(slots=True)
class Numbering:
    """The next free id of each table of one hospital."""

    used: dict[str, int] = field(default_factory=dict)

    def take(self, table: str, n: int) -> Ints:
        """Return `n` new ids of a table, shape (n,)."""
        start = self.used.get(table, 0)
        self.used[table] = start + n
        return np.arange(start + 1, start + n + 1)


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """One chunk of a hospital as its records will show it, one entry a person.

    `look_back_days` of observation lie before the image; `end_day` is the last day under
    observation; `acquired_second` is the second of the day of the image,
    `read_second` that of its first read.
    """

    hospital: Hospital
    people: People
    fate: Fate
    person_id: Ints
    look_back_days: Ints
    end_day: Ints
    acquired_second: Ints
    read_second: Ints

    @property
    def study_id(self) -> pl.Series:
        """Imaging study of each index image, as a pseudonymous UID."""
        return _texts(f"1.2.410.999.{self.hospital.place + 1}.", self.person_id)

    def days(self, rows: Ints, day: Ints) -> pl.Series:
        """Return dates: `day` after the image of the persons in `rows`."""
        return _dates(self.people.image_day[rows] + day)

    def times(self, rows: Ints, day: Ints, second: Ints) -> pl.Series:
        """Return times: `second` of the day that lies `day` after the image."""
        return _times(self.people.image_day[rows] + day, second)


def observe(
    scenario: Scenario,
    hospital: Hospital,
    people: People,
    outcomes: fate_of.PotentialOutcomes,
    numbering: Numbering,
    rng: np.random.Generator,
) -> Observed:
    """Decide how long each person is seen, before and after the image."""
    n = people.size
    fate = fate_of.observed(people, outcomes)
    short = rng.random(n) < 0.03
    back = np.where(short, rng.integers(30, 300, n), 366 + rng.exponential(500, n).astype(np.int64))
    lost = fate_of.loss_days(scenario, people, rng)
    end = np.minimum(np.minimum(lost, _LAST_DAY - people.image_day), fate.death_day)
    acquired = rng.integers(8 * 3600, 20 * 3600, n)
    return Observed(
        hospital=hospital,
        people=people,
        fate=fate,
        person_id=numbering.take("person", n),
        look_back_days=back,
        end_day=end,
        acquired_second=acquired,
        read_second=acquired + rng.integers(300, 7200, n),
    )


def make_records(
    scenario: Scenario, seen: Observed, numbering: Numbering, rng: np.random.Generator
) -> Tables:
    """Return the rows of one chunk by table; ids run on from the chunk before."""
    visits = _Visits.draw(seen, numbering, rng)
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
        "device_inference": _inferences(seen, visits, rng),
        "device_reading": _first_reads(seen, rng),
        "reference_standard": _references(scenario, seen, rng),
        "consent": _consents(seen, rng),
    }


@dataclass(frozen=True, slots=True, eq=False)
class _Visits:
    """Visits in the order of persons and days; `person` is the row of the person in the chunk."""

    visit_id: Ints
    person: Ints
    day: Ints
    kind: Ints
    second: Ints
    is_emergency: Bools

    @classmethod
    def draw(cls, seen: Observed, numbering: Numbering, rng: np.random.Generator) -> "_Visits":
        people, fate = seen.people, seen.fate
        rate = fate_of.visit_rate(people)
        free = np.minimum(fate.event_free_days, seen.end_day)
        ill = np.minimum(fate.death_day, seen.end_day) - free
        failed = np.flatnonzero(fate.failure_day <= seen.end_day)
        rows = np.arange(people.size)
        before = np.repeat(rows, rng.poisson(3.0, people.size))
        first = np.repeat(rows, rng.poisson(rate * free))
        later = np.repeat(rows, rng.poisson(fate_of.VISITS_AFTER * rate * ill))
        parts = [
            (before, -1 - _within(seen.look_back_days[before] - 1, rng), BASELINE),
            (rows, np.zeros(people.size, np.int64), INDEX),
            (first, 1 + _within(free[first], rng), FOLLOW_UP),
            (later, free[later] + 1 + _within(ill[later], rng), FOLLOW_UP),
            (failed, fate.failure_day[failed], ADMISSION),
        ]
        person = np.concatenate([part[0] for part in parts])
        day = np.concatenate([part[1] for part in parts])
        kind = np.repeat([part[2] for part in parts], [part[0].size for part in parts])
        order = np.lexsort((kind, day, person))
        person, day, kind = person[order], day[order], kind[order]
        emergency = (kind == INDEX) & (rng.random(person.size) < 0.4)
        second = rng.integers(8 * 3600, 18 * 3600, person.size)
        second = np.where(kind == INDEX, seen.acquired_second[person] - 1800, second)
        ids = numbering.take("visit_occurrence", person.size)
        return cls(ids, person, day, kind, second, emergency)

    @property
    def index_id(self) -> Ints:
        """Visit of each person's image."""
        return np.asarray(self.visit_id[self.kind == INDEX])

    def table(self, seen: Observed) -> pl.DataFrame:
        stay = np.minimum(seen.end_day[self.person] - self.day, _STAY_DAYS)
        end = self.day + np.where(self.kind == ADMISSION, stay, 0)
        # A visit ends three hours after it began, or at noon of the last day of a stay.
        last_second = np.where(end > self.day, 12 * 3600, self.second + 3 * 3600)
        code = np.where(self.kind == ADMISSION, "IMP", np.where(self.is_emergency, "EMER", "AMB"))
        concepts = np.array([_VISIT_CONCEPTS[c] for c in ("IMP", "EMER", "AMB")])
        concept = concepts[np.select([code == "IMP", code == "EMER"], [0, 1], 2)]
        return _frame(
            "visit_occurrence",
            visit_occurrence_id=self.visit_id,
            person_id=seen.person_id[self.person],
            visit_concept_id=concept,
            visit_start_date=seen.days(self.person, self.day),
            visit_start_datetime=seen.times(self.person, self.day, self.second),
            visit_end_date=seen.days(self.person, end),
            visit_end_datetime=seen.times(self.person, end, last_second),
            visit_type_concept_id=np.full(code.size, EHR),
            visit_source_value=code,
            admitted_from_source_value=np.where(self.is_emergency, "응급실", "외래"),
            preceding_visit_occurrence_id=_empty(code.size, pl.Int64),
        )


def _person(seen: Observed, rng: np.random.Generator) -> pl.DataFrame:
    people = seen.people
    year = ENROLMENT_START.year + (people.image_day >= 366) - people.age_years
    return _frame(
        "person",
        person_id=seen.person_id,
        gender_concept_id=np.where(people.is_female, FEMALE, MALE),
        year_of_birth=year,
        race_concept_id=np.zeros(people.size, np.int64),
        ethnicity_concept_id=np.zeros(people.size, np.int64),
        person_source_value=_pseudonyms(people.size, rng),
        gender_source_value=np.where(people.is_female, "female", "male"),
    )


def _observation_period(seen: Observed) -> pl.DataFrame:
    rows = np.arange(seen.people.size)
    return _frame(
        "observation_period",
        observation_period_id=seen.person_id,
        person_id=seen.person_id,
        observation_period_start_date=seen.days(rows, -seen.look_back_days),
        observation_period_end_date=seen.days(rows, seen.end_day),
        period_type_concept_id=np.full(rows.size, EHR),
    )


def _death(seen: Observed) -> pl.DataFrame:
    rows = np.flatnonzero(seen.fate.death_day <= seen.end_day)
    return _frame(
        "death",
        person_id=seen.person_id[rows],
        death_date=seen.days(rows, seen.fate.death_day[rows]),
        death_type_concept_id=np.full(rows.size, EHR),
    )


def _conditions(
    scenario: Scenario,
    seen: Observed,
    visits: _Visits,
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
        (baseline, -1 - _within(seen.look_back_days[baseline] - 1, rng), which, none(which.size)),
        (visits.person[admissions], visits.day[admissions],
         np.full(admissions.size, len(COMORBIDITIES)), visits.visit_id[admissions]),
        (earlier, -1 - _within(seen.look_back_days[earlier] - 1, rng),
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
    return _frame(
        "condition_occurrence",
        condition_occurrence_id=numbering.take("condition_occurrence", person.size),
        person_id=seen.person_id[person],
        condition_concept_id=_concepts(codes)[code],
        condition_start_date=seen.days(person, day),
        condition_end_date=seen.days(person, day + length),
        condition_type_concept_id=np.full(person.size, EHR),
        visit_occurrence_id=_missing(visit, visit == 0),
        condition_source_value=_chosen([c.source for c in codes], code),
        condition_status_source_value=_chosen(_STATUS, (rng.random(person.size) < 0.1).astype(int)),
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
    seen: Observed, visits: _Visits, numbering: Numbering, rng: np.random.Generator
) -> pl.DataFrame:
    at = np.repeat(np.arange(visits.person.size), rng.poisson(1.3, visits.person.size))
    person, day = visits.person[at], visits.day[at]
    supply = rng.choice([3, 7, 14, 30, 90], at.size)
    supply = np.minimum(supply, seen.end_day[person] - day + 1)
    drug = rng.integers(0, len(DRUGS), at.size)
    return _frame(
        "drug_exposure",
        drug_exposure_id=numbering.take("drug_exposure", at.size),
        person_id=seen.person_id[person],
        drug_concept_id=_concepts(DRUGS)[drug],
        drug_exposure_start_date=seen.days(person, day),
        drug_exposure_end_date=seen.days(person, day + supply - 1),
        drug_type_concept_id=np.full(at.size, PRESCRIPTION),
        quantity=(supply * rng.integers(1, 4, at.size)).astype(float),
        days_supply=supply,
        sig=_chosen(_SIGS, rng.choice(len(_SIGS), at.size, p=[0.4, 0.3, 0.2, 0.09, 0.01])),
        visit_occurrence_id=visits.visit_id[at],
        drug_source_value=_chosen([d.source for d in DRUGS], drug),
    )


def _measurements(
    seen: Observed, visits: _Visits, numbering: Numbering, rng: np.random.Generator
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
    return _frame(
        "measurement",
        measurement_id=numbering.take("measurement", at.size),
        person_id=seen.person_id[person],
        measurement_concept_id=_concepts([item.code for item in LABORATORIES])[lab],
        measurement_date=seen.days(person, visits.day[at]),
        measurement_datetime=seen.times(person, visits.day[at], visits.second[at] + 600),
        measurement_type_concept_id=np.full(at.size, EHR),
        value_as_number=value,
        unit_concept_id=numbers["unit_concept_id"],
        range_low=numbers["low"],
        range_high=numbers["high"],
        visit_occurrence_id=visits.visit_id[at],
        measurement_source_value=_chosen([item.code.source for item in LABORATORIES], lab),
        unit_source_value=_chosen([item.unit for item in LABORATORIES], lab),
        value_source_value=_empty(at.size, pl.String),
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
    answers = _chosen(_SMOKING, rng.choice(3, n_eq5d + n, p=[0.55, 0.25, 0.2]))
    codes = (*EQ5D_DIMENSIONS, SMOKING)
    return _frame(
        "observation",
        observation_id=_FIRST_OBSERVATION + numbering.take("observation", rows.size),
        person_id=seen.person_id[rows],
        observation_concept_id=_concepts(codes)[code],
        observation_date=seen.days(rows, days),
        observation_type_concept_id=np.full(rows.size, EHR),
        value_as_number=_missing(np.concatenate([levels.ravel(), np.zeros(n)]), is_smoking),
        value_as_string=_missing(answers, ~is_smoking),
        observation_source_value=_chosen([c.source for c in codes], code),
    )


def _procedures(seen: Observed, visits: _Visits, numbering: Numbering) -> pl.DataFrame:
    """The index image of everybody, and the CT that a positive first read leads to."""
    rows = np.arange(seen.people.size)
    scanned = np.flatnonzero(_sees(seen))
    person = np.concatenate([rows, scanned])
    is_ct = np.arange(person.size) >= rows.size
    second = np.where(is_ct, seen.read_second[person] + 1800, seen.acquired_second[person])
    codes = (CHEST_X_RAY, CHEST_CT)
    return _frame(
        "procedure_occurrence",
        procedure_occurrence_id=numbering.take("procedure_occurrence", person.size),
        person_id=seen.person_id[person],
        procedure_concept_id=_concepts(codes)[is_ct.astype(int)],
        procedure_date=seen.days(person, np.zeros_like(person)),
        procedure_datetime=seen.times(person, np.zeros_like(person), second),
        procedure_type_concept_id=np.full(person.size, EHR),
        visit_occurrence_id=visits.index_id[person],
        procedure_source_value=_chosen([c.source for c in codes], is_ct.astype(int)),
    )


def _costs(
    seen: Observed, visits: _Visits, numbering: Numbering, rng: np.random.Generator
) -> pl.DataFrame:
    """One row a visit, one a CT, one a reading with the device shown; in whole won."""
    price = np.array([fate_of.VISIT_KRW, fate_of.INDEX_VISIT_KRW, fate_of.ADMISSION_KRW])
    spread = np.array([fate_of.VISIT_LOG_SD, fate_of.VISIT_LOG_SD, fate_of.ADMISSION_LOG_SD])
    group = np.select([visits.kind == INDEX, visits.kind == ADMISSION], [1, 2], 0)
    noise = np.exp(spread[group] * rng.normal(size=group.size) - spread[group] ** 2 / 2)
    scanned, read = np.flatnonzero(_sees(seen)), np.flatnonzero(seen.people.is_shown)
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
    return _frame(
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
        revenue_code_source_value=_chosen((*_VISIT_CODES, CHEST_CT.source, AI_REVIEW_FEE), what),
    )


def _inferences(seen: Observed, visits: _Visits, rng: np.random.Generator) -> pl.DataFrame:
    people = seen.people
    rows = np.flatnonzero(people.is_run)
    failed = people.is_failed[rows]
    latency = np.round(np.exp(rng.normal(2.0, 0.5, rows.size)), 2)
    day, second = np.zeros_like(rows), seen.acquired_second[rows]
    why = np.where(people.is_poor[rows], "image_quality", "timeout")
    called = np.where(people.is_positive[rows], "positive", "negative")
    study = seen.study_id.gather(rows)
    drift_day = seen.hospital.drift_day
    is_new = people.image_day[rows] >= (NEVER if drift_day is None else drift_day)
    return _frame(
        "device_inference",
        device_inference_id=_texts(f"{seen.hospital.site_id}-I", seen.person_id[rows]),
        person_id=seen.person_id[rows],
        visit_occurrence_id=visits.index_id[rows],
        study_id=study,
        image_id=study + ".1",
        body_part=np.full(rows.size, "CHEST"),
        scanner=np.where(is_new, NEW_SCANNER, seen.hospital.scanner),
        udi_di=np.full(rows.size, UDI_DI),
        model_version=_chosen([v.name for v in VERSIONS], people.version[rows]),
        acquisition_datetime=seen.times(rows, day, second),
        inference_datetime=seen.times(rows, day, second + np.ceil(latency).astype(np.int64)),
        score=_missing(people.score[rows], failed),
        decision=_missing(called, failed),
        shown=people.is_shown[rows],
        latency_seconds=latency,
        input_quality=np.where(people.is_poor[rows], "poor", "good"),
        failure=_missing(why, ~failed),
    )


def _first_reads(seen: Observed, rng: np.random.Generator) -> pl.DataFrame:
    """The first read of every index image, with the device where its output was shown."""
    people = seen.people
    rows = np.arange(people.size)
    aided = people.is_shown
    seconds = np.round(np.exp(rng.normal(np.where(aided, 3.9, 4.1), 0.4)), 1)
    return _frame(
        "device_reading",
        case_id=seen.study_id,
        reader_id=_texts(f"{seen.hospital.site_id}-R", people.reader + 1),
        modality=np.where(aided, "aided", "unaided"),
        person_id=seen.person_id,
        study_id=seen.study_id,
        udi_di=_missing(np.full(people.size, UDI_DI), ~aided),
        model_version=_missing(_chosen([v.name for v in VERSIONS], people.version), ~aided),
        score=_empty(people.size, pl.Float64),
        decision=np.where(_sees(seen), "positive", "negative"),
        reading_seconds=seconds,
        reading_datetime=seen.times(rows, np.zeros_like(rows), seen.read_second),
    )


def _references(scenario: Scenario, seen: Observed, rng: np.random.Generator) -> pl.DataFrame:
    """Whether each index image was reviewed by a committee, which samples by what the device said.

    Where the device did not run or failed, the committee goes by the first read.
    """
    people = seen.people
    said = np.where(people.is_run & ~people.is_failed, people.is_positive, _sees(seen))
    rule = scenario.verification
    verified = rng.random(people.size) < np.where(said, rule.positive, rule.negative)
    rows = np.arange(people.size)
    truth = np.where(people.has_disease, "positive", "negative")
    return _frame(
        "reference_standard",
        case_id=seen.study_id,
        person_id=seen.person_id,
        study_id=seen.study_id,
        truth=_missing(truth, ~verified),
        source=np.full(people.size, "case_review"),
        verified=verified,
        reference_date=_missing(seen.days(rows, np.zeros_like(rows)), ~verified),
    )


def _consents(seen: Observed, rng: np.random.Generator) -> pl.DataFrame:
    rows = np.flatnonzero(seen.people.is_shown & (rng.random(seen.people.size) < 0.6))
    return _frame(
        "consent",
        consent_id=_texts(f"{seen.hospital.site_id}-C", seen.person_id[rows]),
        person_id=seen.person_id[rows],
        scope=np.full(rows.size, "innovative_technology"),
        status=np.where(rng.random(rows.size) < 0.95, "given", "waived"),
        consent_date=seen.days(rows, np.zeros_like(rows)),
        form_version=np.full(rows.size, "2024-12"),
    )


def _sees(seen: Observed) -> Bools:
    """Whether the first read, as it was done, is positive."""
    people = seen.people
    return np.where(people.is_shown, people.sees_aided, people.sees_unaided)


def _within(days: Ints, rng: np.random.Generator) -> Ints:
    """Return a day from 0 to days - 1, evenly; 0 where there is none."""
    return np.floor(rng.random(days.size) * np.maximum(days, 1)).astype(np.int64)


def _frame(table: str, **columns: object) -> pl.DataFrame:
    """Return the rows of a table, with the columns in the order of the model."""
    model = omop_tables()[table]
    return pl.DataFrame({name: columns[name] for name in model.names if name in columns})


def _concepts(codes: Sequence[Code]) -> Ints:
    return np.array([code.concept_id for code in codes])


def _chosen(values: Sequence[str], which: Ints) -> pl.Series:
    """Return the texts at these places, without making one Python object a row."""
    return pl.Series(values, dtype=pl.String).gather(pl.Series(which))


def _texts(prefix: str, numbers: Ints) -> pl.Series:
    return prefix + pl.Series(numbers).cast(pl.String)


def _missing(values: pl.Series | NDArray[Any], is_missing: Bools) -> pl.Series:
    """Return `values` with nulls where `is_missing`."""
    series = values if isinstance(values, pl.Series) else pl.Series(values)
    return series.set(pl.Series(is_missing), None)


def _empty(n: int, kind: type[pl.DataType]) -> pl.Series:
    """Return a column that hospitals send and leave empty."""
    return pl.Series([None], dtype=kind).new_from_index(0, n)


def _dates(day: Ints) -> pl.Series:
    return pl.Series((day + _FIRST_DAY).astype(np.int32)).cast(pl.Date)


def _times(day: Ints, second: Ints) -> pl.Series:
    seconds = (day + _FIRST_DAY) * _DAY_SECONDS + second
    return pl.Series(seconds * _MICROSECONDS).cast(pl.Datetime("us"))


def _pseudonyms(n: int, rng: np.random.Generator) -> NDArray[np.str_]:
    """Return keyed-hash-like pseudonyms of 32 hex digits, shape (n,)."""
    return np.frombuffer(rng.bytes(16 * n).hex().encode(), "S32").astype("U32")


def _levels(profiles: tuple[str, ...]) -> Ints:
    return np.array([[int(level) for level in profile] for profile in profiles])
