"""The stratified bootstrap of ROC curves: paired by case, or by person who has several."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tasks.core.errors import EstimationError
from tasks.stats.bootstrap import Plan, Progress, Resampled, resample
from tasks.stats.diagnostic.roc import Axis, Part
from tasks.stats.diagnostic.roc_curve import Choice, at_fixed, choose, curve_of_masses
from tasks.stats.diagnostic.roc_steps import Polyline, Steps, area_between, polyline, steps_of
from tasks.stats.inputs import BoolArray, FloatArray, IntArray

OfCurve = Callable[[Polyline], FloatArray]
"""A number of each curve: from corners, shape (g + 1, b), to shape (b,)."""


def area_of(part: Part) -> OfCurve:
    """Return what takes the area of a part from curves."""
    return lambda line: _area(part, line)


def _area(part: Part, line: Polyline) -> FloatArray:
    if part.axis == "sensitivity":
        line = Polyline(1 - line.up[::-1], 1 - line.across[::-1])
    found = area_between(line, *part.across)
    return part.scaled(found) if part.is_corrected else found


def value_at(axis: Axis, at: float) -> OfCurve:
    """Return what takes the sensitivity at a specificity from curves, or the reverse."""
    return lambda line: at_fixed(line, axis, at)


@dataclass(frozen=True, slots=True, eq=False)
class _Modality:
    steps: Steps
    units: IntArray
    weights: FloatArray | None

    def lines(self, drawn: FloatArray) -> Polyline:
        """Return the curve of each resample, from weights of the units, shape (units, b)."""
        weights = drawn[self.units]
        if self.weights is not None:
            weights = weights * self.weights[:, None]
        return polyline(*self.steps.masses(weights))


def resampled_curves(
    score: FloatArray,
    truth: BoolArray,
    units: IntArray,
    modality: IntArray,
    wanted: Sequence[OfCurve],
    plan: Plan,
    weights: FloatArray | None = None,
    progress: Progress | None = None,
) -> Resampled:
    """Draw units anew, within those who are diseased, healthy, or have cases of both.

    Args:
        score: Higher is more suspicious, shape (n,).
        truth: Whether the case has the condition, shape (n,).
        units: Number of the unit of each row, from 0, shape (n,).
        modality: Number of the modality of each row, from 0, shape (n,).
        wanted: What is taken of each curve.
        plan: Replicates, seed and name.
        weights: Weights of the rows, shape (n,).
        progress: Called after each block of resamples.

    Returns:
        Values of each modality in turn, shape (b, modalities * wanted).

    Raises:
        EstimationError: A modality has no case of one truth, or the bootstrap cannot be made.

    Source:
        Carpenter & Bithell (2000) Stat Med 19:1141; strata as R pROC `boot.stratified = TRUE`;
        clusters as Rutter (2000) Acad Radiol 7:413.
    """
    found = []
    for place in range(int(modality.max(initial=0)) + 1):
        mine = modality == place
        own = None if weights is None else weights[mine]
        found.append(_modality(score[mine], truth[mine], units[mine], own))

    def statistic(drawn: FloatArray) -> FloatArray:
        lines = [one.lines(drawn) for one in found]
        return np.column_stack([take(line) for line in lines for take in wanted])

    size = int(units.max(initial=-1)) + 1
    return resample(statistic, size, plan, progress, _strata(truth, units, size))


def _modality(
    score: FloatArray, truth: BoolArray, units: IntArray, weights: FloatArray | None
) -> _Modality:
    ones = np.ones(score.size) if weights is None else weights
    return _Modality(steps_of(score, truth, ones), units, weights)


def _strata(truth: BoolArray, units: IntArray, size: int) -> IntArray:
    ill = np.bincount(units[truth], minlength=size) > 0
    well = np.bincount(units[~truth], minlength=size) > 0
    strata = ill.astype(np.int64) + 2 * well
    for stratum in np.unique(strata):
        if int((strata == stratum).sum()) < 2:
            what = "one stratum of cases (diseased, healthy, persons with both) has one unit alone"
            raise EstimationError("bootstrap", what, "analyse more cases, or remove the seed.")
    return strata


def resampled_choice(
    score: FloatArray,
    truth: BoolArray,
    units: IntArray,
    choice: Choice,
    plan: Plan,
    weights: FloatArray | None = None,
) -> Resampled:
    """Choose a threshold anew in each resample of the units of one modality.

    Args:
        score: Higher is more suspicious, shape (n,).
        truth: Whether the case has the condition, shape (n,).
        units: Number of the unit of each row, from 0, shape (n,).
        choice: How the threshold is chosen.
        plan: Replicates, seed and name.
        weights: Weights of the rows, shape (n,).

    Returns:
        Thresholds, shape (b, 1).

    Raises:
        EstimationError: The rule cannot be met in more than 5 of 100 resamples.
    """
    one = _modality(score, truth, units, weights)

    def statistic(drawn: FloatArray) -> FloatArray:
        rows = drawn[one.units] if weights is None else drawn[one.units] * weights[:, None]
        up, across = one.steps.masses(rows)
        columns = zip(up.T, across.T, strict=True)
        return np.array([[_threshold(one.steps.scores, *of, choice)] for of in columns])

    size = int(units.max(initial=-1)) + 1
    return resample(statistic, size, plan, None, _strata(truth, units, size))


def _threshold(scores: FloatArray, up: FloatArray, across: FloatArray, choice: Choice) -> float:
    try:
        return choose(curve_of_masses(scores, up, across), choice).threshold
    except EstimationError:
        return float("nan")
