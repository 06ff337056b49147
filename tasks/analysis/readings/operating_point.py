"""A threshold that is chosen on one set of cases, and judged on another."""

from collections.abc import Iterator, Mapping

import numpy as np

from tasks.analysis.people import BoolArray, FloatArray
from tasks.analysis.readings.accuracy import measures_of
from tasks.analysis.readings.comparisons import compared
from tasks.analysis.readings.ranked import Ranked, counts_behind, ranked_as
from tasks.analysis.readings.reader_design import has_one_truth
from tasks.analysis.readings.roc_areas import behind
from tasks.analysis.readings.rows import Readings, readings_of
from tasks.analysis.table_asked import AskedOfTable, Row
from tasks.analysis.table_bootstrap import plan_of
from tasks.core.errors import EstimationError
from tasks.core.results import ROC_COUNTS
from tasks.core.spec.roc import OperatingPoint
from tasks.stats.bootstrap import Resampled
from tasks.stats.diagnostic.measures import cells_of
from tasks.stats.diagnostic.roc_bootstrap import resampled_choice
from tasks.stats.diagnostic.roc_curve import Choice, Chosen, choose, curve_of

_UNIT: Mapping[str, object] = {"unit_of_analysis": "case", "inference_space": "cases_only"}
_LIMITS = (0.025, 0.975)


def operating_point(asked: AskedOfTable) -> list[Row]:
    """Return the threshold of each modality with its interval, and what it gives in both sets.

    The accuracy in the cases that it was chosen on is told beside, since it flatters; what counts
    is the accuracy in the other cases, whose interval takes the threshold as it is.
    """
    chosen = asked.analysis.operating_point
    assert chosen is not None  # noqa: S101 - table_needs of the method
    readings = readings_of(asked)
    readings = readings.only(readings.is_verified)
    has_one_truth(readings)
    sets = [
        _of_set(readings, chosen.set, level) for level in (chosen.development, chosen.validation)
    ]
    _are_apart(*sets)
    developed = _developed(sets[0], chosen)
    here = {**_UNIT, "stratum_name": chosen.set, "stratum_level": chosen.development}
    made = [row for level, one in developed.items() for row in one.rows(asked, level, here)]
    thresholds = {level: one.chosen.threshold for level, one in developed.items() if one.chosen}
    if not thresholds:
        return made
    for part, level in zip(sets, (chosen.development, chosen.validation), strict=True):
        named = {**_UNIT, "stratum_name": chosen.set, "stratum_level": level}
        made += _accuracy(asked, _of_modalities(part, thresholds), thresholds, named)
    return made + _comparisons(asked, _of_modalities(sets[1], thresholds), thresholds)


def _of_set(readings: Readings, column: str, level: str) -> Readings:
    found = readings.only(np.asarray(readings.rows.values[f"x_{column}"].astype(str) == level))
    if not found.n:
        what = f"no verified case is in set {level}"
        raise EstimationError(readings.source.id, what, "look at the column that tells the sets.")
    return found


def _are_apart(development: Readings, validation: Readings) -> None:
    """Refuse sets that share cases, or persons: a threshold judged on its own cases flatters."""
    for fields in (("site", "case_id"), ("site", "person_id")):
        if development.has(fields[-1]) and _keys(development, fields) & _keys(validation, fields):
            what = f"development and validation share a {fields[-1].removesuffix('_id')}"
            fix = "put all readings of a person into one of the sets."
            raise EstimationError(development.source.id, what, fix)


def _keys(readings: Readings, fields: tuple[str, ...]) -> set[tuple[str, ...]]:
    there = [readings.rows.values[field].astype(str) for field in fields if readings.has(field)]
    return set(zip(*there, strict=True))


class _Developed:
    """The choice of one modality on the development set; why there is none where there is none."""

    def __init__(self, ranked: Ranked, choice: Choice) -> None:
        self.ranked, self.choice = ranked, choice
        self.chosen: Chosen | None = None
        self.why = ""
        try:
            self.curve = curve_of(ranked.score, ranked.truth, ranked.weights)
            self.chosen = choose(self.curve, choice)
        except EstimationError as exc:
            self.why = exc.what

    def rows(
        self, asked: AskedOfTable, level: str | None, named: Mapping[str, object]
    ) -> Iterator[Row]:
        """Yield the threshold, in the unit of the score, with the limits of its resamples."""
        ranked, ill = self.ranked, int(self.ranked.truth.sum())
        named = {**named, "arm": level, "n": ranked.truth.size, "n_events": ill}
        named |= {"term": self.choice.rule}
        if self.chosen is None:
            yield asked.row("operating_threshold", status="not_estimable", note=self.why, **named)
            return
        limits = self._limits(asked, level)
        made = asked.row(
            "operating_threshold",
            estimate=ranked.sign * self.chosen.threshold,
            estimate_scale="identity",
            unit="score",
            **limits,
            **named,
        )
        counts = counts_behind(self.curve, self.chosen.place)
        yield made | behind(ranked) | {ROC_COUNTS: (counts,)}

    def _limits(self, asked: AskedOfTable, level: str | None) -> Row:
        ranked = self.ranked
        plan = plan_of(asked.analysis, f"threshold:{level}")
        try:
            drawn = resampled_choice(
                ranked.score, ranked.truth, ranked.units, self.choice, plan, ranked.weights
            )
        except EstimationError as exc:
            return {"note": exc.what}
        return _limits_of(ranked.sign, drawn)


def _limits_of(sign: float, drawn: Resampled) -> Row:
    values = sign * drawn.values[:, 0]
    low, high = (float(limit) for limit in np.quantile(values, _LIMITS))
    return {
        "std_error": float(values.std(ddof=1)),
        "se_scale": "identity",
        "se_method": "bootstrap",
        "ci_low": low,
        "ci_high": high,
        "ci_level": 0.95,
        "ci_method": "percentile",
        "note": f"{values.size} resamples, in each of which the threshold is chosen anew",
    }


def _developed(readings: Readings, asked: OperatingPoint) -> dict[str | None, _Developed]:
    ranked = ranked_as(readings, readings.index_test.without_result)
    choice = Choice(
        asked.chosen_by, asked.at_least or 0.0, asked.cost_ratio or 1.0, asked.prevalence
    )
    return {
        level: _Developed(ranked.of(place), choice) for place, level in enumerate(ranked.levels)
    }


def _of_modalities(readings: Readings, thresholds: Mapping[str | None, float]) -> Readings:
    """Return the readings of the modalities that have a threshold."""
    modality, levels = readings.modality
    return readings.only(np.array([level in thresholds for level in levels])[modality])


def _positive(
    readings: Readings, thresholds: Mapping[str | None, float], counts_as: str
) -> tuple[BoolArray, BoolArray]:
    """Return whether each reading is positive at the threshold of its modality, and is used."""
    ranked = ranked_as(readings, counts_as)
    modality, levels = ranked.modality, ranked.levels
    limit: FloatArray = np.array([thresholds[level] for level in levels])[modality]
    used = readings.has_score if counts_as == "left_out" else np.ones(readings.n, dtype=bool)
    positive = np.zeros(readings.n, dtype=bool)
    positive[used] = ranked.score >= limit
    return positive, np.asarray(used)


def _accuracy(
    asked: AskedOfTable,
    readings: Readings,
    thresholds: Mapping[str | None, float],
    named: Mapping[str, object],
) -> list[Row]:
    """Return every measure of each modality at its threshold in one set."""
    positive, used = _positive(readings, thresholds, readings.index_test.without_result)
    part = readings.only(used)
    modality, levels = part.modality
    units = part.cases if part.persons is None else part.persons
    cells = cells_of(positive[used], part.truth, units, modality, part.weights)
    made = []
    is_by_truth = part.source.sampling == "case_control"
    for place, level in enumerate(levels):
        here = {**named, "arm": level}
        made += measures_of(asked, cells, here, place, is_by_truth)
    return made


def _comparisons(
    asked: AskedOfTable, readings: Readings, thresholds: Mapping[str | None, float]
) -> list[Row]:
    """Return the modalities held against each other in the validation set."""
    rows = compared(asked, readings, lambda part, as_: _positive(part, thresholds, as_))
    return [row | {"inference_space": "cases_only"} for row in rows]
