"""What the device, its readers and the committee leave of each index image."""

import numpy as np
import polars as pl

from tasks.simulate.frames import chosen, empty, frame, missing, texts
from tasks.simulate.observed import Observed
from tasks.simulate.outcomes import NEVER
from tasks.simulate.people import Bools
from tasks.simulate.scenario import Scenario
from tasks.simulate.visits import Visits
from tasks.simulate.world import NEW_SCANNER, UDI_DI, VERSIONS


def inferences(seen: Observed, visits: Visits, rng: np.random.Generator) -> pl.DataFrame:
    """Every run of the device on an index image, the failed ones too."""
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
    return frame(
        "device_inference",
        device_inference_id=texts(f"{seen.hospital.site_id}-I", seen.person_id[rows]),
        person_id=seen.person_id[rows],
        visit_occurrence_id=visits.index_id[rows],
        study_id=study,
        image_id=study + ".1",
        body_part=np.full(rows.size, "CHEST"),
        scanner=np.where(is_new, NEW_SCANNER, seen.hospital.scanner),
        udi_di=np.full(rows.size, UDI_DI),
        model_version=chosen([v.name for v in VERSIONS], people.version[rows]),
        acquisition_datetime=seen.times(rows, day, second),
        inference_datetime=seen.times(rows, day, second + np.ceil(latency).astype(np.int64)),
        score=missing(people.score[rows], failed),
        decision=missing(called, failed),
        shown=people.is_shown[rows],
        latency_seconds=latency,
        input_quality=np.where(people.is_poor[rows], "poor", "good"),
        failure=missing(why, ~failed),
    )


def first_reads(seen: Observed, rng: np.random.Generator) -> pl.DataFrame:
    """The first read of every index image, with the device where its output was shown."""
    people = seen.people
    rows = np.arange(people.size)
    aided = people.is_shown
    seconds = np.round(np.exp(rng.normal(np.where(aided, 3.9, 4.1), 0.4)), 1)
    return frame(
        "device_reading",
        case_id=seen.study_id,
        reader_id=texts(f"{seen.hospital.site_id}-R", people.reader + 1),
        modality=np.where(aided, "aided", "unaided"),
        person_id=seen.person_id,
        study_id=seen.study_id,
        udi_di=missing(np.full(people.size, UDI_DI), ~aided),
        model_version=missing(chosen([v.name for v in VERSIONS], people.version), ~aided),
        score=empty(people.size, pl.Float64),
        decision=np.where(sees(seen), "positive", "negative"),
        reading_seconds=seconds,
        reading_datetime=seen.times(rows, np.zeros_like(rows), seen.read_second),
    )


def references(scenario: Scenario, seen: Observed, rng: np.random.Generator) -> pl.DataFrame:
    """Whether each index image was reviewed by a committee, which samples by what the device said.

    Where the device did not run or failed, the committee goes by the first read.
    """
    people = seen.people
    said = np.where(people.is_run & ~people.is_failed, people.is_positive, sees(seen))
    rule = scenario.verification
    verified = rng.random(people.size) < np.where(said, rule.positive, rule.negative)
    rows = np.arange(people.size)
    truth = np.where(people.has_disease, "positive", "negative")
    return frame(
        "reference_standard",
        case_id=seen.study_id,
        person_id=seen.person_id,
        study_id=seen.study_id,
        truth=missing(truth, ~verified),
        source=np.full(people.size, "case_review"),
        verified=verified,
        reference_date=missing(seen.days(rows, np.zeros_like(rows)), ~verified),
    )


def consents(seen: Observed, rng: np.random.Generator) -> pl.DataFrame:
    """Consent of some of those whose output was shown."""
    rows = np.flatnonzero(seen.people.is_shown & (rng.random(seen.people.size) < 0.6))
    return frame(
        "consent",
        consent_id=texts(f"{seen.hospital.site_id}-C", seen.person_id[rows]),
        person_id=seen.person_id[rows],
        scope=np.full(rows.size, "innovative_technology"),
        status=np.where(rng.random(rows.size) < 0.95, "given", "waived"),
        consent_date=seen.days(rows, np.zeros_like(rows)),
        form_version=np.full(rows.size, "2024-12"),
    )


def sees(seen: Observed) -> Bools:
    """Whether the first read, as it was done, is positive."""
    people = seen.people
    return np.where(people.is_shown, people.sees_aided, people.sees_unaided)
