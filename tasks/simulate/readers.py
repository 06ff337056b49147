"""A reader study inside each hospital: the same cases read by the same readers, in both ways."""

import numpy as np
import polars as pl
from scipy.special import ndtr

from tasks.simulate.frames import Tables
from tasks.simulate.observed import Observed
from tasks.simulate.people import (
    AID_DOWN,
    AID_UP,
    CONSPICUITY,
    READER_CUT,
    READER_SEPARATION,
    Floats,
    Ints,
)
from tasks.simulate.world import READER_SPREAD, UDI_DI, VERSIONS

CASES, READERS = 120, 4
SEPARATION_SD, AID_SD = 0.2, 0.3
"""How readers differ in skill, and in how far they follow the device."""
MODALITIES = ("unaided", "aided", "device_alone")


def reader_study(seen: Observed, rng: np.random.Generator) -> Tables:
    """Return readings and reference standard of a study on the first cases of a chunk.

    Half the cases have the disease where there are enough. Readers are correlated: they share how
    conspicuous a case is and what the device says; each has a leaning, a skill and a trust in the
    device of their own. Cases of this study have ids and a reference standard of their own.
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
    sick, shape = people.has_disease[cases][:, None], (cases.size, READERS)
    separation = rng.normal(READER_SEPARATION, SEPARATION_SD, READERS)
    aid_up = rng.normal(AID_UP, AID_SD, READERS)
    leaning = rng.normal(0, READER_SPREAD, READERS)
    signal = np.where(sick, separation + CONSPICUITY * people.conspicuity[cases][:, None], 0.0)
    aid = np.where(people.is_positive[cases][:, None], aid_up, AID_DOWN)
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
        study_id=pl.lit(None, pl.String),  # the panel's truth must not meet the image's own
        truth=pl.Series(truth),
        source=pl.lit("expert_panel"),
        verified=pl.lit(True),
        reference_date=seen.days(cases, np.zeros_like(cases)),
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
