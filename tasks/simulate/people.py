"""Persons with an index image: who they are, what the device says, and who sees it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtr

from tasks.simulate.codes import COMORBIDITIES
from tasks.simulate.scenario import Scenario
from tasks.simulate.world import DAYS_A_MONTH, ENROLMENT_DAYS, VERSIONS, Hospital

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

CONSPICUITY = 0.8
"""How much a finding's visibility, which device and readers share, moves a latent score."""
READER_SEPARATION, READER_CUT = 1.30, 1.40
AID_UP, AID_DOWN = 1.5, -0.2
"""What a positive and a negative output of the device add to the reader's latent score."""
_LOGIT_FLOOR = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class People:
    """Persons of one chunk, one entry a person, shape (n,).

    `severity` is a weighted sum of age and comorbidities, mean about 0 and SD about 1. Within a
    hospital and a day since go-live it is all that confounds: the logit of `p_shown` is linear in
    it, and outcome and loss depend on it. `reader` is who reads the image first. `version` is the
    place in VERSIONS of the model in force on the day of the image. `sees_unaided` and `sees_aided`
    say whether the first reader calls the image positive without and with the device (without it
    where the device fails). `p_shown` is the probability of the output being shown, of which
    `is_shown` is one draw.
    """

    age_years: Ints
    is_female: Bools
    comorbid: Bools
    severity: Floats
    reader: Ints
    has_disease: Bools
    image_day: Ints
    version: Ints
    is_run: Bools
    is_failed: Bools
    is_poor: Bools
    score: Floats
    is_positive: Bools
    conspicuity: Floats
    sees_unaided: Bools
    sees_aided: Bools
    p_shown: Floats
    is_shown: Bools

    @property
    def size(self) -> int:
        """How many persons."""
        return int(self.age_years.size)


def draw_people(scenario: Scenario, hospital: Hospital, n: int, rng: np.random.Generator) -> People:
    """Draw `n` persons of a hospital with their index image, read with and without the device."""
    age = np.clip(np.round(rng.normal(hospital.age_mean, 15, n)), 20, 95).astype(np.int64)
    female = rng.random(n) < 0.48
    comorbid = _comorbidities(hospital, age, rng)
    severity = severity_index(age, comorbid)
    sick = rng.random(n) < expit(hospital.disease_intercept + 0.45 * severity)
    day = rng.integers(0, ENROLMENT_DAYS, n)
    version = version_on(hospital, day)
    conspicuity = rng.normal(size=n)
    poor = rng.random(n) < 0.08
    failed = rng.random(n) < hospital.failure_share * np.where(poor, 4.0, 1.0)
    score = _score(scenario, hospital, sick, day, version, conspicuity, rng)
    positive = score >= THRESHOLDS[version]
    reader = rng.integers(0, len(hospital.reader_leanings), n)
    latent = reader_latent(sick, conspicuity, rng) + np.array(hospital.reader_leanings)[reader]
    aid = np.where(failed, 0.0, np.where(positive, AID_UP, AID_DOWN))
    p_shown = probability_shown(scenario, hospital, day, severity)
    shown = rng.random(n) < p_shown
    return People(
        age_years=age,
        is_female=female,
        comorbid=comorbid,
        severity=severity,
        reader=reader,
        has_disease=sick,
        image_day=day,
        version=version,
        is_run=shown | (day >= hospital.silent_day),
        is_failed=failed,
        is_poor=poor,
        score=score,
        is_positive=positive,
        conspicuity=conspicuity,
        sees_unaided=latent >= READER_CUT,
        sees_aided=latent + aid >= READER_CUT,
        p_shown=p_shown,
        is_shown=shown,
    )


def severity_index(age_years: Ints, comorbid: Bools) -> Floats:
    """Return the index through which age and comorbidities act on assignment, outcome and loss."""
    weights = np.array([item.weight for item in COMORBIDITIES])
    return np.asarray((0.45 * (age_years - 61) / 15 + comorbid @ weights - 0.85) / 0.85)


def version_on(hospital: Hospital, day: Ints) -> Ints:
    """Return the place in VERSIONS of the model that runs on each day."""
    if hospital.update_day is None:
        return np.zeros(day.size, np.int64)
    return (day >= hospital.update_day).astype(np.int64)


def probability_shown(
    scenario: Scenario, hospital: Hospital, day: Ints, severity: Floats
) -> Floats:
    """Return the probability that the output is shown at first read.

    After go-live the odds grow towards those of the plateau and with the severity index.
    """
    rule = scenario.assignment
    if rule.randomised:
        return np.full(day.size, rule.plateau)
    months = np.maximum(day - hospital.go_live_day + 1, 1) / DAYS_A_MONTH
    uptake = np.clip(
        rule.plateau * (1 - np.exp(-months / rule.ramp_months)), _LOGIT_FLOOR, 1 - _LOGIT_FLOOR
    )
    shown = expit(logit(uptake) + rule.severity_log_odds * severity)
    return np.where(day >= hospital.go_live_day, shown, 0.0)


def reader_latent(
    sick: Bools,
    conspicuity: Floats,
    rng: np.random.Generator,
    separation: Floats | float = READER_SEPARATION,
) -> Floats:
    """Return how suspicious each image looks to a reader without a leaning.

    Args:
        sick: Whether the finding is there, shape (n,).
        conspicuity: How visible it is, shape (n,).
        rng: Of the reading.
        separation: How far the reader tells sick from healthy, one for all or shape (n,).
    """
    signal = np.where(sick, separation + CONSPICUITY * conspicuity, 0.0)
    return np.asarray(signal + rng.normal(size=sick.size))


def reported(latent: Floats) -> Floats:
    """Turn a latent score into the 0 to 1 score that the device reports, to 4 decimals."""
    return np.round(ndtr((latent - 1) / 1.5), 4)


THRESHOLDS: Floats = reported(np.array([version.cut for version in VERSIONS]))
"""Threshold of each version on the reported scale."""


def _comorbidities(hospital: Hospital, age: Ints, rng: np.random.Generator) -> Bools:
    """Return who has which baseline condition, shape (n, 10)."""
    base = np.array([item.log_odds for item in COMORBIDITIES])
    slope = np.array([item.per_decade for item in COMORBIDITIES])
    decades = (age - 61) / 10
    odds = base + slope * decades[:, None] + hospital.comorbidity_shift
    return np.asarray(rng.random(odds.shape) < expit(odds))


def _score(
    scenario: Scenario,
    hospital: Hospital,
    sick: Bools,
    day: Ints,
    version: Ints,
    conspicuity: Floats,
    rng: np.random.Generator,
) -> Floats:
    separation = np.array([v.separation for v in VERSIONS])[version]
    signal = np.where(sick, separation + CONSPICUITY * conspicuity, 0.0)
    drifted = hospital.drift_day is not None and ~sick & (day >= hospital.drift_day)
    drift = np.where(drifted, scenario.drift.score_shift, 0.0)
    return reported(signal + hospital.scanner_shift + drift + rng.normal(size=sick.size))
