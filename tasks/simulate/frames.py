"""Columns and frames of simulated records: what each table is put together from."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.core.omop import omop_tables
from tasks.simulate.codes import Code
from tasks.simulate.people import Bools, Ints
from tasks.simulate.world import ENROLMENT_START

Tables = dict[str, pl.DataFrame]

_FIRST_DAY = (ENROLMENT_START - date(1970, 1, 1)).days
_MICROSECONDS = 1_000_000
_DAY_SECONDS = 86_400


def within(days: Ints, rng: np.random.Generator) -> Ints:
    """Return a day from 0 to days - 1, evenly; 0 where there is none."""
    return np.floor(rng.random(days.size) * np.maximum(days, 1)).astype(np.int64)


def frame(table: str, **columns: object) -> pl.DataFrame:
    """Return the rows of a table, with the columns in the order of the model."""
    model = omop_tables()[table]
    return pl.DataFrame({name: columns[name] for name in model.names if name in columns})


def concepts(codes: Sequence[Code]) -> Ints:
    """Return the concept of each code."""
    return np.array([code.concept_id for code in codes])


def chosen(values: Sequence[str], which: Ints) -> pl.Series:
    """Return the texts at these places, without making one Python object a row."""
    return pl.Series(values, dtype=pl.String).gather(pl.Series(which))


def texts(prefix: str, numbers: Ints) -> pl.Series:
    """Return numbers as texts after a prefix."""
    return prefix + pl.Series(numbers).cast(pl.String)


def missing(values: pl.Series | NDArray[Any], is_missing: Bools) -> pl.Series:
    """Return `values` with nulls where `is_missing`."""
    series = values if isinstance(values, pl.Series) else pl.Series(values)
    return series.set(pl.Series(is_missing), None)


def empty(n: int, kind: type[pl.DataType]) -> pl.Series:
    """Return a column that hospitals send and leave empty."""
    return pl.Series([None], dtype=kind).new_from_index(0, n)


def dates(day: Ints) -> pl.Series:
    """Return days since the first of enrolment as dates."""
    return pl.Series((day + _FIRST_DAY).astype(np.int32)).cast(pl.Date)


def times(day: Ints, second: Ints) -> pl.Series:
    """Return seconds of days since the first of enrolment as times."""
    seconds = (day + _FIRST_DAY) * _DAY_SECONDS + second
    return pl.Series(seconds * _MICROSECONDS).cast(pl.Datetime("us"))


def pseudonyms(n: int, rng: np.random.Generator) -> NDArray[np.str_]:
    """Return keyed-hash-like pseudonyms of 32 hex digits, shape (n,)."""
    return np.frombuffer(rng.bytes(16 * n).hex().encode(), "S32").astype("U32")
