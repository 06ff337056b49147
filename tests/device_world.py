"""Two simulated hospitals with a chest X-ray AI, small and quick; the truth is known.

Who is old or has COPD is read with the AI more often and fails more often: crude comparisons mislead.
"""

from datetime import date, datetime, timedelta

import numpy as np
import polars as pl

from tests.ingest_world import ingest, write_delivery

TRUE_HAZARD_RATIO = 0.5
ENROLMENT, CUTOFF = date(2024, 1, 1), date(2026, 6, 30)
XRAY, FAILURE, COPD, DIABETES, NOISE = 4163872, 319049, 255573, 201826, 4000000
UDI_DI = "08800000000017"
NEVER = 10_000


def a_consortium(home, n=900, **manifest):
    """Ingest one delivery of each of two hospitals, without a quality gate."""
    for seed, site_id in enumerate(("sim-01", "sim-02")):
        folder = home.inbox / site_id / "D-1"
        said = {"site_id": site_id, "data_class": "synthetic_public", "data_cutoff": str(CUTOFF)}
        outcome = ingest(home, write_delivery(folder, hospital(n, seed), **(said | manifest)))
        assert outcome.exit_code == 0, outcome.messages
    return home


def hospital(n, seed):
    """Return the tables of one hospital as CSV, by name."""
    drawn = persons(np.random.default_rng(seed), n)
    return {name: frame.write_csv().encode() for name, frame in tables(drawn).items()}


def persons(rng, n):
    """Draw one record a person; days count from the image."""
    age, female = rng.integers(20, 90, n), rng.random(n) < 0.5
    copd, diabetes = rng.random(n) < 0.1 + (age > 60) * 0.15, rng.random(n) < 0.2
    risk = 0.03 * (age - 55) + 0.9 * copd
    is_live = rng.random(n) < 0.7
    is_read = rng.random(n) < 1 / (1 + np.exp(-(0.6 + risk)))
    shown = is_live & is_read
    hazard = 0.0008 * np.exp(risk + np.log(TRUE_HAZARD_RATIO) * shown)
    day = rng.integers(0, 731, n)
    return pl.DataFrame(
        {
            "person_id": np.arange(1, n + 1),
            "age": age,
            "female": female,
            "copd": copd,
            "diabetes": diabetes,
            "late": rng.random(n) < 0.05,
            "noise": rng.random(n) < 0.3,
            "image_date": [ENROLMENT + timedelta(int(d)) for d in day],
            "is_read": is_read,
            "shown": shown,
            "failed_inference": rng.random(n) < 0.02,
            "failure_day": rng.exponential(1 / hazard).astype(int).clip(0, NEVER),
            "death_day": rng.exponential(2500, n).astype(int).clip(1, NEVER),
            "lost_day": rng.exponential(2000, n).astype(int).clip(1, NEVER),
        }
    )


def tables(drawn):
    """Return what is delivered of these persons."""
    rows = drawn.to_dicts()
    for row in rows:
        lost = row["image_date"] + timedelta(row["lost_day"])
        row["end"] = min(CUTOFF, lost, on(row, "death_day"))
    found = [condition for row in rows for condition in conditions(row)]
    found = [{"condition_occurrence_id": i, **record} for i, record in enumerate(found, start=1)]
    return {
        "person": frame(person(row) for row in rows),
        "observation_period": frame(period(row) for row in rows),
        "visit_occurrence": frame(found for row in rows for found in visits(row)),
        "procedure_occurrence": frame(image(row) for row in rows),
        "condition_occurrence": frame(found),
        "death": frame(death(row) for row in rows if on(row, "death_day") <= row["end"]),
        "device_inference": frame(inference(row) for row in rows if row["is_read"]),
    }


def frame(records):
    return pl.DataFrame(list(records), infer_schema_length=None)


def on(row, name):
    """Return the calendar day of a day since the image."""
    return row["image_date"] + timedelta(row[name])


def _type(table):
    return {f"{table}_type_concept_id": 32817}


def person(row):
    return {
        "person_id": row["person_id"],
        "gender_concept_id": 8532 if row["female"] else 8507,
        "year_of_birth": row["image_date"].year - row["age"],
        "race_concept_id": 0,
        "ethnicity_concept_id": 0,
    }


def period(row):
    return {
        "observation_period_id": row["person_id"],
        "person_id": row["person_id"],
        "observation_period_start_date": row["image_date"] - timedelta(300 if row["late"] else 400),
        "observation_period_end_date": row["end"],
        "period_type_concept_id": 32817,
    }


def death(row):
    return {"person_id": row["person_id"], "death_date": on(row, "death_day"), **_type("death")}


def visits(row):
    """Yield the visit of the image and, for the loyal, two earlier ones."""
    yield visit(row, row["person_id"], 0)
    if is_loyal(row["person_id"]):
        yield visit(row, row["person_id"] + 1_000_000, 50)
        yield visit(row, row["person_id"] + 2_000_000, 200)


def is_loyal(person_id):
    return person_id % 3 != 0


def visit(row, visit_id, days_before):
    day = row["image_date"] - timedelta(days_before)
    return {
        "visit_occurrence_id": visit_id,
        "person_id": row["person_id"],
        "visit_concept_id": 9202,
        "visit_start_date": day,
        "visit_end_date": day,
        **_type("visit"),
    }


def image(row):
    return {
        "procedure_occurrence_id": row["person_id"],
        "person_id": row["person_id"],
        "procedure_concept_id": XRAY,
        "procedure_date": row["image_date"],
        "visit_occurrence_id": row["person_id"],
        **_type("procedure"),
    }


def conditions(row):
    """Yield the conditions before the image, and the outcome where it was seen."""
    before = row["image_date"] - timedelta(100)
    for name, concept in (("copd", COPD), ("diabetes", DIABETES), ("noise", NOISE)):
        if row[name]:
            yield condition(row, concept, before)
    if (day := on(row, "failure_day")) <= row["end"]:
        yield condition(row, FAILURE, day)


def condition(row, concept, day):
    return {
        "person_id": row["person_id"],
        "condition_concept_id": concept,
        "condition_start_date": day,
        **_type("condition"),
    }


def inference(row):
    at = datetime.combine(row["image_date"], datetime.min.time()) + timedelta(hours=10)
    return {
        "device_inference_id": f"i{row['person_id']}",
        "person_id": row["person_id"],
        "visit_occurrence_id": row["person_id"],
        "study_id": f"s{row['person_id']}",
        "udi_di": UDI_DI,
        "model_version": "1.0" if row["image_date"].year == 2024 else "2.0",
        "acquisition_datetime": at,
        "inference_datetime": at + timedelta(seconds=30),
        "score": None if row["failed_inference"] else 0.5,
        "shown": row["shown"],
        "failure": "timeout" if row["failed_inference"] else None,
    }
