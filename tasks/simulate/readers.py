"""A reader study inside each hospital: the same cases read by the same readers, in both ways."""

import numpy as np
import polars as pl
from scipy.special import ndtr

from tasks.simulate.people import (
    AID_DOWN,
    AID_UP,
    CONSPICUITY,
    READER_CUT,
    READER_SEPARATION,
    READER_SPREAD,
    Floats,
    Ints,
)
from tasks.simulate.records import Observed, Tables
from tasks.simulate.world import UDI_DI, VERSIONS

CASES, READERS = 120, 4
MODALITIES = ("unaided", "aided", "device_alone")


def reader_study(seen: Observed, rng: np.random.Generator) -> Tables:
    """Return readings and reference standard of a study on the first cases of a chunk.

    Half the cases have the disease where there are enough. Readers are correlated: they share how
    conspicuous a case is and what the device says, and each has a leaning of their own.
    """
    people = seen.people
    usable = people.is_run & ~people.is_failed
    sick = np.flatnonzero(usable & people.has_disease)[: CASES // 2]
    healthy = np.flatnonzero(usable & ~people.has_disease)[: CASES - sick.size]
    cases = np.sort(np.concatenate([sick, healthy]))
    unaided, aided = _latents(seen, cases, rng)
    return {
        "device_reading": pl.concat([_readings(seen, cases, unaided, aided), _alone(seen, cases)]),
        "reference_standard": _panel(seen, cases),
    }


def _latents(seen: Observed, cases: Ints, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return latent scores without and with the device, shape (cases, readers)."""
    people = seen.people
    signal = READER_SEPARATION + CONSPICUITY * people.conspicuity[cases]
    signal = np.where(people.has_disease[cases], signal, 0.0)[:, None]
    leaning = rng.normal(0, READER_SPREAD, READERS)
    aid = np.where(people.is_positive[cases], AID_UP, AID_DOWN)[:, None]
    shape = (cases.size, READERS)
    return (
        signal + leaning + rng.normal(size=shape),
        signal + leaning + aid + rng.normal(size=shape),
    )


def _readings(seen: Observed, cases: Ints, unaided: Floats, aided: Floats) -> pl.DataFrame:
    latent = np.concatenate([unaided.ravel(), aided.ravel()])
    case = np.tile(np.repeat(cases, READERS), 2)
    reader = np.tile(np.arange(READERS), 2 * cases.size)
    is_aided = np.arange(latent.size) >= unaided.size
    frame = _cases(seen, case).with_columns(
        reader_id=pl.Series([f"{seen.hospital.site_id}-S{r + 1}" for r in range(READERS)]).gather(
            pl.Series(reader)
        ),
        modality=pl.Series(MODALITIES).gather(pl.Series(is_aided.astype(int))),
        score=pl.Series(np.round(100 * ndtr((latent - 1) / 1.5), 1)),
        decision=pl.Series(np.where(latent >= READER_CUT, "positive", "negative")),
    )
    return _ordered(frame)


def _alone(seen: Observed, cases: Ints) -> pl.DataFrame:
    people = seen.people
    frame = _cases(seen, cases).with_columns(
        reader_id=pl.lit("device"),
        modality=pl.lit(MODALITIES[2]),
        score=pl.Series(people.score[cases] * 100).round(2),
        decision=pl.Series(np.where(people.is_positive[cases], "positive", "negative")),
    )
    return _ordered(frame)


def _panel(seen: Observed, cases: Ints) -> pl.DataFrame:
    truth = np.where(seen.people.has_disease[cases], "positive", "negative")
    frame = _cases(seen, cases).with_columns(
        truth=pl.Series(truth),
        source=pl.lit("expert_panel"),
        verified=pl.lit(True),
        reference_date=seen.days(cases, np.full(cases.size, 30)),
    )
    return frame.select(
        "case_id", "person_id", "study_id", "truth", "source", "verified", "reference_date"
    )


def _cases(seen: Observed, rows: Ints) -> pl.DataFrame:
    study = seen.study_id.gather(rows)
    version = pl.Series([v.name for v in VERSIONS]).gather(pl.Series(seen.people.version[rows]))
    return pl.DataFrame(
        {
            "case_id": "RS-" + study,
            "person_id": seen.person_id[rows],
            "study_id": study,
            "udi_di": pl.Series([UDI_DI]).new_from_index(0, rows.size),
            "model_version": version,
        }
    )


def _ordered(frame: pl.DataFrame) -> pl.DataFrame:
    """Leave the device out of unaided readings, and give the columns their order."""
    unaided = pl.col("modality") == MODALITIES[0]
    return frame.with_columns(
        pl.when(~unaided).then(pl.col("udi_di")).alias("udi_di"),
        pl.when(~unaided).then(pl.col("model_version")).alias("model_version"),
    ).select(
        "case_id", "reader_id", "modality", "person_id", "study_id", "udi_di", "model_version",
        "score", "decision",
    )  # fmt: skip
