"""Points of ROC curves: the curve itself, one value at another, and the choice of a threshold."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from tasks.core.errors import EstimationError
from tasks.stats.diagnostic.roc import Axis
from tasks.stats.diagnostic.roc_steps import Polyline, polyline, steps_of
from tasks.stats.inputs import BoolArray, FloatArray, IntArray

Rule = Literal["youden", "sensitivity", "specificity", "cost"]
_SAME = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """The corners of one curve: what a threshold at or above which a case is positive gives.

    Thresholds lie half-way between two scores, so that none is the score of a case; above the
    highest and below the lowest they are infinite.

    Args:
        thresholds: Falling, shape (g + 1,).
        sensitivity: Rising, shape (g + 1,).
        specificity: Falling, shape (g + 1,).
        diseased: Diseased rows at or above each threshold, shape (g + 1,).
        healthy: Healthy rows at or above each threshold, shape (g + 1,).
        n_diseased: Diseased rows.
        n_healthy: Healthy rows.
    """

    thresholds: FloatArray
    sensitivity: FloatArray
    specificity: FloatArray
    diseased: IntArray
    healthy: IntArray
    n_diseased: int
    n_healthy: int

    @property
    def line(self) -> Polyline:
        """The corners as shares of false and of true positives."""
        return Polyline(1 - self.specificity, self.sensitivity)

    def place(self, axis: Axis, at: float) -> int:
        """Return the corner whose specificity (or sensitivity) is the least that reaches `at`."""
        if axis == "specificity":
            return int(np.flatnonzero(self.specificity >= at - _SAME)[-1])
        return int(np.flatnonzero(self.sensitivity >= at - _SAME)[0])


def curve_of(score: FloatArray, truth: BoolArray, weights: FloatArray | None = None) -> Curve:
    """Return the empirical curve of one modality.

    Args:
        score: Higher is more suspicious, shape (n,).
        truth: Whether the case has the condition, shape (n,).
        weights: Weights of the rows, shape (n,).

    Raises:
        EstimationError: There is no case with the condition, or none without.
    """
    steps = steps_of(score, truth, weights)
    counts = steps.counts()
    return _curve(steps.scores, counts, counts if weights is None else steps.masses(weights))


def curve_of_masses(scores: FloatArray, up: FloatArray, across: FloatArray) -> Curve:
    """Return the curve of groups of rows with one score, such as those of a resample.

    Args:
        scores: Score of each group, falling, shape (g,).
        up: Weight of its diseased rows, shape (g,).
        across: Weight of its healthy rows, shape (g,).
    """
    there = up + across > 0
    masses = up[there], across[there]
    return _curve(scores[there], masses, masses)


def _curve(
    scores: FloatArray, counts: tuple[FloatArray, ...], masses: tuple[FloatArray, FloatArray]
) -> Curve:
    line = polyline(*masses)
    ill, well = (np.append(0, np.rint(np.cumsum(part))).astype(np.int64) for part in counts)
    return Curve(_between(scores), line.up, 1 - line.across, ill, well, int(ill[-1]), int(well[-1]))


def _between(scores: FloatArray) -> FloatArray:
    """Return thresholds between falling scores, which may begin and end with an infinite one."""
    finite = scores[np.isfinite(scores)]
    ends = (finite.max() + 1, finite.min() - 1) if finite.size else (1.0, -1.0)
    high, low = scores[:-1], scores[1:]
    with np.errstate(invalid="ignore"):
        middle = low + (high - low) / 2
    middle = np.where(np.isposinf(high), ends[0], np.where(np.isneginf(low), ends[1], middle))
    middle = np.where(middle <= low, high, middle)
    return np.concatenate([[np.inf], middle, [-np.inf]])


def at_fixed(line: Polyline, axis: Axis, at: float) -> FloatArray:
    """Return the sensitivity at a specificity, or the reverse, on the line between corners.

    Args:
        line: Corners of one curve, or of a column of them each.
        axis: What is fixed.
        at: Its value.

    Source:
        Agrees with R pROC `coords(input = "specificity")`.
    """
    if axis == "specificity":
        return line.height(1 - at)
    turned = Polyline(1 - line.up[::-1], 1 - line.across[::-1])
    return turned.height(1 - at)


@dataclass(frozen=True, slots=True)
class Choice:
    """How a threshold is chosen.

    Args:
        rule: `youden` (sensitivity plus specificity), `cost` (the same, weighted), or the
            `sensitivity` or `specificity` that has to be reached.
        at_least: What has to be reached.
        cost_ratio: Cost of a false negative over that of a false positive.
        prevalence: Share with the condition where the threshold is used; `cost` needs it.
    """

    rule: Rule
    at_least: float = 0.0
    cost_ratio: float = 1.0
    prevalence: float | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """A threshold, and what it gives on the rows that it was chosen on."""

    threshold: float
    sensitivity: float
    specificity: float
    place: int


def choose(curve: Curve, choice: Choice) -> Chosen:
    """Choose the threshold of a curve; of thresholds that are as good, the one more sensitive.

    A sensitivity that has to be reached leaves the highest specificity, and the reverse.

    Raises:
        EstimationError: Only a threshold that calls all cases alike does what is asked.

    Source:
        Youden (1950) Cancer 3:32; Perkins & Schisterman (2006) Am J Epidemiol 163:670, for costs.
        Agrees with R pROC `coords("best", best.weights = )`.
    """
    place = _place(curve, choice)
    threshold = float(curve.thresholds[place])
    if not np.isfinite(threshold):
        what = f"the rule {choice.rule} is met only where all cases are called alike"
        fix = "ask for less, or develop the threshold on more cases."
        raise EstimationError("operating point", what, fix)
    return Chosen(
        threshold, float(curve.sensitivity[place]), float(curve.specificity[place]), place
    )


def _place(curve: Curve, choice: Choice) -> int:
    if choice.rule == "sensitivity" or choice.rule == "specificity":
        return curve.place(choice.rule, choice.at_least)
    weight = 1.0 if choice.rule == "youden" else _weight_of_specificity(choice)
    worth = curve.sensitivity + weight * curve.specificity
    best = np.flatnonzero(worth >= worth.max() - _SAME)
    return int(best[-1])


def _weight_of_specificity(choice: Choice) -> float:
    share = choice.prevalence
    if share is None:
        what, fix = "costs need the prevalence where the threshold is used", "give prevalence."
        raise EstimationError("operating point", what, fix)
    return (1 - share) / (choice.cost_ratio * share)


def thinned(curve: Curve, most: int = 200) -> IntArray:
    """Return corners that are evenly far along the curve, both ends among them, at most `most`."""
    along = curve.diseased / curve.n_diseased + curve.healthy / curve.n_healthy
    wanted = np.linspace(0, 2, most)
    places = np.clip(np.searchsorted(along, wanted - _SAME), 0, along.size - 1)
    return np.unique(np.append(places, [0, along.size - 1])).astype(np.int64)
