"""The scores of readings as ranks see them: higher is more suspicious, whatever had no score."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tasks.analysis.people import BoolArray, FloatArray, IntArray
from tasks.analysis.readings.rows import Readings
from tasks.core.errors import EstimationError
from tasks.stats.diagnostic.roc_curve import Curve

_LOW_SIDE = ("at_or_below", "below")


@dataclass(frozen=True, slots=True, eq=False)
class Ranked:
    """Readings by score, shape (n,) each; `units` are cases, or persons who have several.

    Args:
        readings: The readings.
        score: Higher is more suspicious; infinite where an output without a result counts so.
        truth: Whether the case has the condition.
        units: Number of the unit, from 0.
        modality: Number of the modality, from 0.
        levels: Names of the modalities.
        weights: Weights of the readings, if the table has any.
        sign: -1 where low scores are the suspicious ones, else 1.
    """

    readings: Readings
    score: FloatArray
    truth: BoolArray
    units: IntArray
    modality: IntArray
    levels: tuple[str | None, ...]
    weights: FloatArray | None
    sign: float

    @property
    def is_clustered(self) -> bool:
        """Whether a unit has several readings with one modality."""
        key = self.units * len(self.levels) + self.modality
        return int(np.bincount(key).max(initial=0)) > 1

    def only(self, keep: BoolArray) -> "Ranked":
        """Return the readings where `keep` is True, shape (n,)."""
        return ranked(self.readings.only(keep), self.score[keep], self.sign)

    def of(self, place: int) -> "Ranked":
        """Return the readings of one modality."""
        return self.only(np.asarray(self.modality == place))

    def estimable(self) -> tuple["Ranked", dict[str | None, str]]:
        """Return the readings of modalities with units of both truths, and why others have none."""
        lacking = {
            level: why
            for place, level in enumerate(self.levels)
            if (why := _lacks(self, np.asarray(self.modality == place)))
        }
        if not lacking:
            return self, {}
        keep = [level not in lacking for level in self.levels]
        return self.only(np.array(keep)[self.modality]), lacking


def _lacks(whole: Ranked, mine: BoolArray) -> str:
    for truth, what in ((True, "with"), (False, "without")):
        units = np.unique(whole.units[mine & (whole.truth == truth)]).size
        if units < 2:
            return f"{units} unit(s) {what} the condition; 2 are needed"
    return ""


def ranked(readings: Readings, score: FloatArray, sign: float = 1.0) -> Ranked:
    """Return readings with their ranks' scores, shape (n,)."""
    modality, levels = readings.modality
    units = readings.cases if readings.persons is None else readings.persons
    return Ranked(readings, score, readings.truth, units, modality, levels, readings.weights, sign)


def ranked_as(readings: Readings, counts_as: str) -> Ranked:
    """Return verified readings, those without a result as the study counts them.

    Args:
        readings: Verified readings.
        counts_as: `positive` (above all scores), `negative` (below all), `wrong` or `right`
            (above or below by the truth), or `left_out`.
    """
    sign = -1.0 if readings.index_test.positive in _LOW_SIDE else 1.0
    truth = readings.truth
    is_high = {
        "positive": np.ones_like(truth),
        "negative": np.zeros_like(truth),
        "wrong": ~truth,
        "right": truth,
        "left_out": truth,
    }[counts_as]
    instead = np.where(is_high, np.inf, -np.inf)
    score = np.where(readings.has_score, sign * readings.score, instead)
    used = readings.has_score if counts_as == "left_out" else np.ones_like(truth)
    found = readings.only(np.asarray(used))
    if not found.n:
        raise EstimationError(readings.source.id, "no reading has a score", "look at output.")
    return ranked(found, score[used], sign)


def scenarios_of(readings: Readings) -> Iterator[tuple[str | None, str]]:
    """Yield the name of each way to count outputs without a result, the study's own first."""
    chosen = readings.index_test.without_result
    if readings.has_score.all():
        yield None, chosen
        return
    yield f"without a result: {chosen}", chosen
    others = ("wrong", "right", "left_out")
    yield from ((f"without a result: {other}", other) for other in others if other != chosen)


def counts_behind(curve: Curve, place: int) -> tuple[int, int, int, int]:
    """Return the diseased and healthy cases at or above a corner of a curve, and all of them."""
    ill, well = int(curve.diseased[place]), int(curve.healthy[place])
    return ill, well, curve.n_diseased, curve.n_healthy
