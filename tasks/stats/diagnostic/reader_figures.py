"""Figures of merit of every reader in every modality, and how they vary with the cases.

A cell is a reader in a modality. Each figure is estimated in each cell; the covariance matrix of
the cells comes from leaving out one unit (a case, or a person with several) after another, from
DeLong's placement values, or from the unbiased estimate of Gallas.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from tasks.core.errors import EstimationError
from tasks.stats.inputs import BoolArray, FloatArray, IntArray

Covariance = Literal["jackknife", "delong", "unbiased"]
_BLOCK = 256


@dataclass(frozen=True, slots=True, eq=False)
class CellReadings:
    """What one reader read in one modality; arrays of shape (n,), in the order of the cases.

    Args:
        case: Number of the case.
        unit: Number of the unit that is left out at once, from 0: the case or its person.
        truth: Whether the case has the condition.
        value: The score (larger is more suspicious), whether it is right (0, 1), or a number.
    """

    case: IntArray
    unit: IntArray
    truth: BoolArray
    value: FloatArray

    def of_truth(self, truth: bool) -> "CellReadings":
        """Return the readings of the cases with the condition, or of those without."""
        return self.only(np.asarray(self.truth == truth))

    def only(self, keep: BoolArray) -> "CellReadings":
        """Return the readings where `keep` is True, shape (n,)."""
        return CellReadings(self.case[keep], self.unit[keep], self.truth[keep], self.value[keep])

    def with_value(self, value: FloatArray) -> "CellReadings":
        """Return the readings with other values, shape (n,)."""
        return CellReadings(self.case, self.unit, self.truth, value)


@dataclass(frozen=True, slots=True, eq=False)
class Figures:
    """A figure of merit of each cell, shape (c,), and its covariance, shape (c, c)."""

    value: FloatArray
    covariance: FloatArray
    units: int


def area(score: FloatArray, truth: BoolArray) -> float:
    """Return the area under the empirical ROC curve: ties count half."""
    ranks = stats.rankdata(score)
    m, n = int(truth.sum()), int((~truth).sum())
    return float((ranks[truth].sum() - m * (m + 1) / 2) / (m * n))


def _wins(cell: CellReadings) -> tuple[FloatArray, FloatArray]:
    """Return, for each case with the condition, how many without it lie below; and the reverse."""
    sick, well = cell.value[cell.truth], cell.value[~cell.truth]
    below, above = np.sort(well), np.sort(sick)
    of_sick = (np.searchsorted(below, sick) + np.searchsorted(below, sick, "right")) / 2
    lower = (np.searchsorted(above, well) + np.searchsorted(above, well, "right")) / 2
    return of_sick, sick.size - lower


def _inside(cell: CellReadings, units: int) -> FloatArray:
    """Return the wins between cases of one and the same unit, summed, shape (units,)."""
    sick, well = cell.of_truth(True), cell.of_truth(False)
    order = np.argsort(well.unit, kind="stable")
    starts = np.searchsorted(well.unit[order], sick.unit)
    many = np.searchsorted(well.unit[order], sick.unit, "right") - starts
    one = np.repeat(np.arange(sick.unit.size), many)
    step = np.arange(one.size) - np.repeat(np.cumsum(many) - many, many)
    other = order[np.repeat(starts, many) + step]
    won = (1 + _gap(sick.value[one], well.value[other])) / 2
    return np.bincount(sick.unit[one], won, units).astype(np.float64)


def _gap(one: FloatArray, other: FloatArray) -> FloatArray:
    """Return -1, 0 or 1: infinite scores tie with their like."""
    return (one > other).astype(np.float64) - (one < other)


def _area_without(cell: CellReadings, units: int) -> tuple[float, FloatArray]:
    """Return the area, and the area without each unit in turn, shape (units,)."""
    of_sick, of_well = _wins(cell)
    m, n = of_sick.size, of_well.size
    if not m or not n:
        raise _too_few("a cell has no case with the condition, or none without it")
    sick, well = cell.unit[cell.truth], cell.unit[~cell.truth]
    lost = np.bincount(sick, of_sick, units) + np.bincount(well, of_well, units)
    left = of_sick.sum() - lost + _inside(cell, units)
    pairs = (m - np.bincount(sick, minlength=units)) * (n - np.bincount(well, minlength=units))
    if not (pairs > 0).all():
        raise _too_few("one unit has all cases with the condition, or all without it")
    return float(of_sick.sum() / (m * n)), left / pairs


def _mean_without(cell: CellReadings, units: int) -> tuple[float, FloatArray]:
    """Return the mean, and the mean without each unit in turn, shape (units,)."""
    n = cell.value.size
    left = n - np.bincount(cell.unit, minlength=units)
    if n < 2 or not (left > 0).all():
        raise _too_few("a cell has fewer than two units")
    total = cell.value.sum()
    lost = np.bincount(cell.unit, cell.value, units)
    return float(total / n), (total - lost) / left


def jackknife(cells: list[CellReadings], units: int, is_area: bool) -> Figures:
    """Estimate a figure of each cell and its covariance by leaving out units.

    Args:
        cells: The readings of each cell; units are numbered alike in all.
        units: How many units there are.
        is_area: Area under the ROC curve; else the mean of the values.

    Raises:
        EstimationError: A cell cannot be estimated without one of the units.

    Source:
        Miller (1974) Biometrika 61:1; Dorfman, Berbaum & Metz (1992) Invest Radiol 27:723.
    """
    without = _area_without if is_area else _mean_without
    found = [without(cell, units) for cell in cells]
    left = np.column_stack([values for _, values in found])
    moved = left - left.mean(axis=0)
    covariance = (units - 1) / units * (moved.T @ moved)
    return Figures(np.array([value for value, _ in found]), _apart(cells, covariance), units)


def _apart(cells: list[CellReadings], covariance: FloatArray) -> FloatArray:
    """Return the matrix with exact zeros where two cells share no unit."""
    shares = [[np.isin(a.unit, b.unit).any() for b in cells] for a in cells]
    return np.where(np.array(shares), covariance, 0.0)


def sampled(cells: list[CellReadings], units: int) -> Figures:
    """Estimate the mean of each cell, with the sample covariance over the units that it shares."""
    means = np.array([cell.value.mean() for cell in cells])

    def shared(a: CellReadings, b: CellReadings) -> float:
        return float((a.value - a.value.mean()) @ (b.value - b.value.mean()))

    if min(cell.value.size for cell in cells) < 2:
        raise _too_few("a cell has fewer than two cases")
    return Figures(means, _pairwise(cells, shared, lambda n: n * (n - 1)), units)


def delong(cells: list[CellReadings], units: int) -> Figures:
    """Estimate the area of each cell, and the covariance by DeLong's placement values.

    Source:
        DeLong, DeLong & Clarke-Pearson (1988) Biometrics 44:837.
    """
    placed = []
    for cell in cells:
        of_sick, of_well = _wins(cell)
        if min(of_sick.size, of_well.size) < 2:
            raise _too_few("a cell has fewer than two cases of a kind")
        values = np.empty(cell.value.size)
        values[cell.truth] = of_sick / of_well.size
        values[~cell.truth] = of_well / of_sick.size
        placed.append(cell.with_value(values))
    kinds = [sampled([cell.of_truth(kind) for cell in placed], units) for kind in (True, False)]
    return Figures(kinds[0].value, kinds[0].covariance + kinds[1].covariance, units)


def _pairwise(
    cells: list[CellReadings],
    shared: Callable[[CellReadings, CellReadings], float],
    divisor: Callable[[int], float],
) -> FloatArray:
    """Return a symmetric matrix over pairs of cells of the same cases; 0 of other pairs."""
    made = np.zeros((len(cells), len(cells)))
    for i, a in enumerate(cells):
        for j, b in enumerate(cells[: i + 1]):
            if np.array_equal(a.case, b.case):
                made[i, j] = made[j, i] = shared(a, b) / divisor(a.case.size)
    return made


def unbiased(cells: list[CellReadings], units: int) -> Figures:
    """Estimate the area of each cell, and the covariance without bias by one-shot moments.

    The product of two areas less its estimate from pairs that share no case.

    Source:
        Gallas (2006) Acad Radiol 13:353; Gallas, Pennello & Myers (2007) J Opt Soc Am A 24:B70.
    """
    wins = [_wins(cell) for cell in cells]
    if min(min(a.size, b.size) for a, b in wins) < 2:
        raise _too_few("a cell has fewer than two cases of a kind")
    values = np.array([a.sum() / (a.size * b.size) for a, b in wins])
    made = np.zeros((len(cells), len(cells)))
    for i in range(len(cells)):
        for j in range(i + 1):
            if np.array_equal(cells[i].case, cells[j].case):
                found = _apart_product(cells[i], cells[j], wins[i], wins[j])
                made[i, j] = made[j, i] = values[i] * values[j] - found
    return Figures(values, made, units)


def _apart_product(
    a: CellReadings,
    b: CellReadings,
    of_a: tuple[FloatArray, FloatArray],
    of_b: tuple[FloatArray, FloatArray],
) -> float:
    """Return the mean product of wins over pairs that have neither case in common."""
    m, n = of_a[0].size, of_a[1].size
    both = 0.0
    for start in range(0, m, _BLOCK):
        rows = slice(start, start + _BLOCK)
        both += float((_won(a, rows) * _won(b, rows)).sum())
    total = of_a[0].sum() * of_b[0].sum() - of_a[0] @ of_b[0] - of_a[1] @ of_b[1] + both
    return float(total / (m * (m - 1) * n * (n - 1)))


def _won(cell: CellReadings, rows: slice) -> FloatArray:
    sick, well = cell.value[cell.truth][rows, None], cell.value[~cell.truth][None, :]
    return (1 + _gap(sick, well)) / 2


_OF_AREA: Mapping[Covariance, Callable[[list[CellReadings], int], Figures]] = {
    "delong": delong,
    "unbiased": unbiased,
}


def figures_of(
    cells: list[CellReadings], is_area: bool, covariance: Covariance = "jackknife"
) -> Figures:
    """Estimate a figure of merit of each cell and its covariance.

    Args:
        cells: The readings of each cell.
        is_area: Area under the ROC curve; else the mean of the values.
        covariance: How the covariance is estimated; of means DeLong's and the unbiased one are
            the sample covariance. Both are of units that are single cases.

    Raises:
        EstimationError: Too few cases, or several cases of a unit where it must be one.
    """
    _, unit = np.unique(np.concatenate([cell.unit for cell in cells]), return_inverse=True)
    ends = np.cumsum([cell.unit.size for cell in cells])[:-1]
    numbered = [
        CellReadings(cell.case, part.astype(np.int64), cell.truth, cell.value)
        for cell, part in zip(cells, np.split(unit, ends), strict=True)
    ]
    units = int(unit.max(initial=-1)) + 1
    if units < 2:
        raise _too_few("there are fewer than two cases")
    if covariance == "jackknife":
        return jackknife(numbered, units, is_area)
    if any(np.unique(cell.unit).size < cell.unit.size for cell in numbered):
        what = f"covariance {covariance} is of persons with one case each; some have several"
        raise EstimationError("reader study", what, "take covariance: jackknife.")
    return _OF_AREA[covariance](numbered, units) if is_area else sampled(numbered, units)


def _too_few(what: str) -> EstimationError:
    return EstimationError("reader study", what, "analyse more cases.")
