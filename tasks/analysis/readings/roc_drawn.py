"""What the bootstrap says of ROC curves: areas, values at fixed ones, differences, the band."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from tasks.analysis.people import FloatArray
from tasks.analysis.readings.comparisons import judged
from tasks.analysis.readings.ranked import Ranked, counts_behind
from tasks.analysis.readings.roc_areas import (
    area_name,
    behind,
    level_of,
    may_be_judged,
    named_by,
    parts_of,
)
from tasks.analysis.table_asked import AskedOfTable, Row
from tasks.analysis.table_bootstrap import plan_of
from tasks.core.errors import EstimationError
from tasks.core.results import ROC_COUNTS
from tasks.core.spec.index_tests import Hypothesis
from tasks.stats.bootstrap import BootstrapInterval, Interval, interval
from tasks.stats.diagnostic.margins import wald
from tasks.stats.diagnostic.roc import WHOLE, Axis, Part
from tasks.stats.diagnostic.roc_bootstrap import OfCurve, area_of, resampled_curves, value_at
from tasks.stats.diagnostic.roc_curve import Curve, curve_of

GRID = np.unique(np.concatenate([np.geomspace(0.001, 0.1, 15), np.linspace(0, 1, 41)]))
"""Shares of false positives at which the band of a curve is made."""
_OTHER: Mapping[Axis, str] = {"specificity": "sensitivity", "sensitivity": "specificity"}


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One number of a curve: its name, the columns that say what it is, how it is taken."""

    name: str
    columns: Mapping[str, object]
    take: OfCurve
    axis: Axis | None = None
    at: float = 0.0
    part: Part = WHOLE

    def takes_margin(self, claim: Hypothesis) -> bool:
        """Whether a difference of it is held against the margin of the study."""
        return may_be_judged(self.part, claim)


def _wanted(asked: AskedOfTable) -> Iterator[_Wanted]:
    for part in parts_of(asked.analysis):
        yield _of_area(part)
    if roc := asked.analysis.roc:
        yield from (_of_fixed("specificity", at) for at in roc.at_specificity)
        yield from (_of_fixed("sensitivity", at) for at in roc.at_sensitivity)


def _of_area(part: Part) -> _Wanted:
    return _Wanted(area_name(part), named_by(part), area_of(part), part=part)


def _of_fixed(axis: Axis, at: float) -> _Wanted:
    return _Wanted(_OTHER[axis], {"at": at, "at_kind": axis}, value_at(axis, at), axis, at)


class Drawn:
    """The resamples of the curves of all modalities, and the rows that they make."""

    def __init__(self, asked: AskedOfTable, ranked: Ranked, named: Mapping[str, object]) -> None:
        self.asked, self.ranked, self.named = asked, ranked, named
        self.wanted = list(_wanted(asked))
        self.curves = [_curve(ranked.of(place)) for place in range(len(ranked.levels))]
        takes = [one.take for one in self.wanted]
        takes += [value_at("specificity", 1 - float(at)) for at in GRID]
        found = resampled_curves(
            ranked.score, ranked.truth, ranked.units, ranked.modality, takes,
            plan_of(asked.analysis), ranked.weights,
        )  # fmt: skip
        self.values = found.values.reshape(-1, len(ranked.levels), len(takes))
        self.claim = asked.analysis.hypothesis

    def rows(self) -> Iterator[Row]:
        """Yield each number of each modality, and the differences of modalities."""
        for number, one in enumerate(self.wanted):
            for place, level in enumerate(self.ranked.levels):
                yield self._value(one, number, place, level)
            for old, new in combinations(range(len(self.ranked.levels)), 2):
                yield self._gap(one, number, new, old)

    def band(self, place: int, across: FloatArray, level: float = 0.95) -> FloatArray:
        """Return the limits of the sensitivity at shares of false positives, shape (2, g)."""
        drawn = self.values[:, place, len(self.wanted) :]
        limits = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
        return np.array([np.interp(across, GRID, limit) for limit in limits])

    def _point(self, one: _Wanted, place: int) -> float:
        return float(one.take(self.curves[place].line))

    def _limits(
        self, one: _Wanted, value: float, drawn: FloatArray, level: float
    ) -> BootstrapInterval:
        fallback: Interval = "normal" if one.axis is None else "percentile"
        method = self.asked.analysis.bootstrap_interval or fallback
        return interval(value, drawn, method, level)

    def _sizes(self, place: int) -> tuple[int, int]:
        mine = self.ranked.modality == place
        return int(mine.sum()), int(self.ranked.truth[mine].sum())

    def _value(self, one: _Wanted, number: int, place: int, level: str | None) -> Row:
        n, ill = self._sizes(place)
        sizes: Row = {"n": n, "n_events": ill, "arm": level}
        if one.axis is not None:
            n = ill if one.axis == "specificity" else n - ill
            sizes |= {"n": n, "n_events": None}
        value, drawn = self._point(one, place), self.values[:, place, number]
        made = self._made(one.name, one, value, drawn, sizes, 0.95)
        if one.axis is None:
            return made
        return made | {ROC_COUNTS: (self._behind(one, place),)}

    def _behind(self, one: _Wanted, place: int) -> tuple[int, ...]:
        curve = self.curves[place]
        return counts_behind(curve, curve.place(one.axis or "specificity", one.at))

    def _gap(self, one: _Wanted, number: int, new: int, old: int) -> Row:
        levels = self.ranked.levels
        value = self._point(one, new) - self._point(one, old)
        drawn = self.values[:, new, number] - self.values[:, old, number]
        (n, ill) = min(self._sizes(new), self._sizes(old))
        named: Row = {
            "target": levels[new],
            "comparator": levels[old],
            "stratum_level": f"{levels[new]} - {levels[old]}",
            "n": n,
            "n_events": ill if one.axis is None else None,
        }
        made = self._made(f"{one.name}_difference", one, value, drawn, named, level_of(self.claim))
        if made["status"] == "ok":
            made |= {"estimate_scale": "difference"}
            if self.claim is not None and not old and one.takes_margin(self.claim):
                made |= judged(self.claim, wald(value, float(drawn.std(ddof=1))))
        if one.axis is None:
            return made
        return made | {ROC_COUNTS: (self._behind(one, new), self._behind(one, old))}

    def _made(
        self, name: str, one: _Wanted, value: float, drawn: FloatArray, more: Row, level: float
    ) -> Row:
        columns = {**self.named, **one.columns, **more}
        try:
            found = self._limits(one, value, drawn, level)
        except EstimationError as exc:
            made = self.asked.row(name, status="not_estimable", note=exc.what, **columns)
            return made | behind(self.ranked)
        is_gap = "target" in more
        units = "persons" if self.ranked.readings.persons is not None else "cases"
        made = self.asked.row(
            name,
            estimate=found.estimate,
            estimate_scale="identity",
            std_error=found.std_error,
            se_scale="identity",
            se_method="bootstrap",
            ci_low=found.ci_low,
            ci_high=found.ci_high,
            ci_level=found.level,
            ci_method="wald" if found.ci_method == "normal" else found.ci_method,
            statistic_name="z" if is_gap else None,
            statistic=found.estimate / found.std_error if is_gap else None,
            p_value=found.p_value if is_gap else None,
            note=f"{found.replicates} resamples of {units}",
            **columns,
        )
        return made | behind(self.ranked)


def _curve(ranked: Ranked) -> Curve:
    return curve_of(ranked.score, ranked.truth, ranked.weights)
