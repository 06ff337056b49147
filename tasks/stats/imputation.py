"""Multiple imputation by chained equations with predictive mean matching."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from tasks.core.errors import EstimationError
from tasks.stats.inputs import BoolArray, FloatArray, IntArray

DONORS = 5
_RIDGE = 1e-5
_JITTER = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Variable:
    """One variable of the imputation: its columns in the matrix, shape (n, k), and what lacks.

    A number or a yes/no has one column; a category has one column of 0 and 1 for each level but
    the first. Where `is_missing` is True the values are ignored.
    """

    name: str
    columns: FloatArray
    is_missing: BoolArray


def impute(
    variables: Sequence[Variable],
    *,
    imputations: int,
    iterations: int,
    rng: np.random.Generator,
    donors: int = DONORS,
) -> Iterator[dict[str, IntArray]]:
    """Yield, for each imputation, the donor of every missing value.

    Variables are visited in the order of how much they lack, least first. Each is regressed on all
    others among the rows that have it (least squares with a little ridge); coefficients are drawn
    from their posterior; a missing value is taken from one of the `donors` observed rows whose
    fitted value is nearest to the predicted one, drawn at random. So only values occur that were
    observed. A category is matched in all of its columns at once.

    Args:
        variables: All variables, shape (n, k) each; those that lack nothing only predict.
        imputations: How many data sets to make, 2 or more.
        iterations: How often all variables are visited for each of them, 1 or more.
        rng: Source of randomness.
        donors: How many observed rows a value is drawn from.

    Yields:
        By name of each variable that lacks values: for each row that lacks it, in order, the row
        that it is taken from, shape (n_missing,).

    Raises:
        EstimationError: A variable lacks values and fewer rows than donors have it.

    Source:
        van Buuren & Groothuis-Oudshoorn (2011) J Stat Softw 45(3); Little (1988). As R mice `pmm`
        with donors drawn after matching fitted against drawn predictions (type 1 matching).
    """
    lacking = _in_order(variables, donors)
    for _ in range(imputations):
        filled = {v.name: v.columns.copy() for v in variables}
        chosen = {v.name: _start(v, filled, rng) for v in lacking}
        for _ in range(iterations):
            for variable in lacking:
                others = [filled[v.name] for v in variables if v is not variable]
                found = _matched(variable, others, rng, donors)
                filled[variable.name][variable.is_missing] = variable.columns[found]
                chosen[variable.name] = found
        yield chosen


def _in_order(variables: Sequence[Variable], donors: int) -> list[Variable]:
    lacking = [v for v in variables if v.is_missing.any()]
    for variable in lacking:
        have = int((~variable.is_missing).sum())
        if have < donors:
            what = f"{have} rows have a value; {donors} are needed to draw from"
            fix = "leave the column out of the terms."
            raise EstimationError(f"imputation of {variable.name}", what, fix)
    return sorted(lacking, key=lambda v: (int(v.is_missing.sum()), v.name))


def _start(variable: Variable, filled: dict[str, FloatArray], rng: np.random.Generator) -> IntArray:
    """Fill what is missing by values drawn at random from those that are there."""
    have = np.flatnonzero(~variable.is_missing)
    found = rng.choice(have, int(variable.is_missing.sum()))
    filled[variable.name][variable.is_missing] = variable.columns[found]
    return np.asarray(found, dtype=np.int64)


def _matched(
    variable: Variable, others: Sequence[FloatArray], rng: np.random.Generator, donors: int
) -> IntArray:
    """Return a row to take each missing value from."""
    x = _standardised(
        np.column_stack(others) if others else np.empty((variable.is_missing.size, 0))
    )
    has = ~variable.is_missing
    fitted, drawn = _coefficients(x[has], variable.columns[has], rng)
    near = _nearest(x[has] @ fitted, x[~has] @ drawn, rng, donors)
    pick = rng.integers(0, near.shape[1], near.shape[0])
    rows = near[np.arange(near.shape[0]), pick]
    return np.asarray(np.flatnonzero(has)[rows], dtype=np.int64)


def _standardised(x: FloatArray) -> FloatArray:
    """Return columns of mean 0 and deviation 1 that vary, after a constant."""
    spread = x.std(axis=0)
    varies = spread > 0
    made = (x[:, varies] - x[:, varies].mean(axis=0)) / spread[varies]
    return np.column_stack([np.ones(x.shape[0]), made])


def _coefficients(
    x: FloatArray, y: FloatArray, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Return least-squares coefficients, and a draw from their posterior, shape (p, k) each."""
    cross = x.T @ x
    cross += _RIDGE * np.diag(np.diag(cross))
    inverse = np.linalg.inv(cross)
    fitted = inverse @ (x.T @ y)
    rest = y - x @ fitted
    df = max(x.shape[0] - x.shape[1], 1)
    scale = np.sqrt((rest**2).sum(axis=0) / rng.chisquare(df, y.shape[1]))
    root = np.linalg.cholesky((inverse + inverse.T) / 2)
    noise = root @ rng.standard_normal((x.shape[1], y.shape[1]))
    return fitted, fitted + noise * scale


def _nearest(
    observed: FloatArray, wanted: FloatArray, rng: np.random.Generator, donors: int
) -> IntArray:
    """Return the nearest observed rows of each wanted one, shape (n_wanted, donors).

    Equal predictions are told apart by a little noise, so that ties are broken at random.
    """
    scale = _JITTER * max(float(np.abs(observed).max(initial=0.0)), 1.0)
    apart = observed + scale * rng.standard_normal(observed.shape)
    found = cKDTree(apart).query(wanted, k=donors)[1]
    return np.asarray(found, dtype=np.int64).reshape(wanted.shape[0], donors)


def cumulative_hazard_at(
    time: FloatArray, event: BoolArray, entry: FloatArray | None = None
) -> FloatArray:
    """Nelson-Aalen estimate at each row's own time, shape (n,): what predicts a covariate best.

    Args:
        time: Time at which each row ends, shape (n,).
        event: Whether it ends in the event, shape (n,).
        entry: Time after which each row is at risk, shape (n,); all from the start when left out.

    Source:
        White & Royston (2009) Stat Med 28:1982.
    """
    moments, place = np.unique(time, return_inverse=True)
    events = np.bincount(place, event.astype(np.float64), moments.size)
    at_risk = time.size - np.searchsorted(np.sort(time), moments, side="left")
    if entry is not None:
        at_risk = at_risk - (time.size - np.searchsorted(np.sort(entry), moments, side="left"))
    steps = np.divide(events, at_risk, out=np.zeros(moments.size), where=at_risk > 0)
    return np.asarray(np.cumsum(steps)[place])
