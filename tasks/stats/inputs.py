"""What every estimator asks of its inputs, checked once and refused with a remedy."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tasks.core.errors import EstimationError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

_SAME_TABLE = "pass columns of one table, one row a person."


def follow_up(durations: ArrayLike, observed: ArrayLike) -> tuple[FloatArray, BoolArray]:
    """Follow-up and its event indicator as arrays of one shape.

    Args:
        durations: Follow-up of each person, shape (n,), any one unit, all > 0 and finite.
        observed: True (or 1) where follow-up ended in the event, shape (n,).

    Returns:
        Durations as float, shape (n,), and events as bool, shape (n,).

    Raises:
        EstimationError: No rows, shapes differ, or a value is not usable.
    """
    time = np.asarray(durations, dtype=np.float64)
    event = flags(observed, time.shape, "events")
    _check_durations(time)
    return time, event


def entries(entry: ArrayLike | None, time: FloatArray) -> FloatArray | None:
    """Times after which rows are at risk, shape (n,); None where all are from 0 on.

    Raises:
        EstimationError: Shape differs, or a row does not enter in [0, its time).
    """
    if entry is None:
        return None
    result = np.asarray(entry, dtype=np.float64)
    same_shape(result, time.shape, "entry")
    if bad := int((~((result >= 0) & (result < time))).sum()):
        raise EstimationError(
            "entry",
            f"{bad} of {time.size} rows do not enter before their follow-up ends",
            "drop or repair them, where attrition is counted.",
        )
    return result if result.any() else None


def flags(values: ArrayLike, shape: tuple[int, ...], name: str) -> BoolArray:
    """Booleans, or numbers that are all 0 or 1, as a boolean array of `shape`.

    Raises:
        EstimationError: The shape differs, or a value is neither 0 nor 1.
    """
    given = np.asarray(values)
    same_shape(given, shape, name)
    if given.dtype == np.bool_:
        return given
    result = given == 1
    if bad := int((~result & (given != 0)).sum()):
        raise EstimationError(name, f"{bad} of {given.size} values are not 0 or 1", "recode them.")
    return np.asarray(result, dtype=np.bool_)


def same_shape(array: NDArray[np.generic], shape: tuple[int, ...], name: str) -> None:
    """Refuse `array` unless it is one-dimensional and has `shape`.

    Raises:
        EstimationError: It does not.
    """
    if array.ndim != 1 or array.shape != shape:
        raise EstimationError(name, f"shape is {array.shape}, expected {shape}", _SAME_TABLE)


def case_weights(weights: ArrayLike, n: int, *, zero_allowed: bool = False) -> FloatArray:
    """Case weights as floats, shape (n,), all finite and > 0 (0 too when `zero_allowed`).

    Raises:
        EstimationError: Shape differs, or a weight is not finite and positive.
    """
    result = np.asarray(weights, dtype=np.float64)
    same_shape(result, (n,), "weights")
    wrong = result < 0 if zero_allowed else result <= 0
    if bad := int((~np.isfinite(result) | wrong).sum()):
        raise EstimationError(
            "weights",
            f"{bad} of {n} weights are not finite and positive",
            "drop the persons of weight zero, and trim extreme propensity scores, first.",
        )
    return result


def entry_times(entry: ArrayLike, time: FloatArray) -> FloatArray:
    """Times of entry as floats, shape (n,), all before the time of the same row.

    Raises:
        EstimationError: Shapes differ, or a row enters no earlier than its follow-up ends.
    """
    result = np.asarray(entry, dtype=np.float64)
    same_shape(result, time.shape, "entry")
    if bad := int((~(result < time)).sum()):
        what = f"{bad} of {time.size} rows do not enter before their follow-up ends"
        raise EstimationError("entry", what, "drop or repair them, where attrition is counted.")
    return result


def codes(labels: ArrayLike, n: int, name: str) -> tuple[NDArray[np.generic], IntArray]:
    """Distinct labels in ascending order, and the number of its label for each row, shape (n,).

    Raises:
        EstimationError: Shape differs.
    """
    given = np.asarray(labels)
    same_shape(given, (n,), name)
    distinct, index = np.unique(given, return_inverse=True)
    return distinct, index.astype(np.int64)


def design_matrix(covariates: ArrayLike, n: int) -> FloatArray:
    """Covariates as a finite float matrix, shape (n, p) with p >= 1.

    Raises:
        EstimationError: It has other rows than `n`, no columns, or missing values.
    """
    x = np.asarray(covariates, dtype=np.float64)
    x = x[:, None] if x.ndim == 1 else x
    if x.ndim != 2 or x.shape[0] != n or x.shape[1] == 0:
        raise EstimationError(
            "covariates", f"shape is {x.shape}, expected ({n}, p) with p of 1 or more", _SAME_TABLE
        )
    if bad := int((~np.isfinite(x)).any(axis=1).sum()):
        raise EstimationError(
            "covariates",
            f"{bad} of {n} rows hold a missing or infinite value",
            "impute or drop these rows, where attrition is counted.",
        )
    return x


def check_level(level: float) -> None:
    """Refuse a confidence level outside (0, 1).

    Raises:
        EstimationError: `level` is not a share, such as 0.95.
    """
    if not 0 < level < 1:
        raise EstimationError("level", f"{level:g} is not in (0, 1)", "give a share, such as 0.95.")


def row_order(keys: tuple[NDArray[np.generic], ...], values: FloatArray) -> IntArray:
    """An order of rows that does not depend on the order they came in.

    Rows are sorted by the keys, first key first, then by a hash of their `values`: sums
    over sorted rows are then bit-identical for any shuffle of the same rows.

    Args:
        keys: Sort keys, each of shape (n,).
        values: Further values of each row, shape (n, p).

    Returns:
        Row numbers, shape (n,).
    """
    mixer = np.sqrt(np.arange(2, values.shape[1] + 2, dtype=np.float64))
    return np.lexsort((linear_predictor(mixer, values), *keys[::-1]))


def linear_predictor(coef: FloatArray, covariates: FloatArray) -> FloatArray:
    """Sum of coefficient times covariate for each row, equal for equal rows to the last bit.

    A matrix product may round equal rows differently by their position, which breaks ties.

    Args:
        coef: Coefficients, shape (p,).
        covariates: Covariates, shape (n, p).

    Returns:
        Linear predictor, shape (n,).
    """
    result = np.zeros(covariates.shape[0])
    for weight, column in zip(coef, covariates.T, strict=True):
        result += weight * column
    return result


def _check_durations(time: FloatArray) -> None:
    if time.ndim != 1 or time.size == 0:
        raise EstimationError("follow-up", f"durations have shape {time.shape}", _SAME_TABLE)
    if bad := int((~np.isfinite(time) | (time <= 0)).sum()):
        raise EstimationError(
            "follow-up",
            f"{bad} of {time.size} durations are not positive and finite",
            "drop or repair them in sql/cohort, where attrition is counted.",
        )
