"""Rows of areas under curves: of each modality, of two held against each other, against a goal."""

from collections.abc import Iterator, Mapping
from itertools import combinations

import numpy as np

from tasks.analysis.readings.comparisons import judged
from tasks.analysis.readings.ranked import Ranked
from tasks.analysis.table_asked import AskedOfTable, Row
from tasks.core.errors import EstimationError
from tasks.core.results import BEHIND
from tasks.core.spec import Analysis
from tasks.core.spec.index_tests import Hypothesis
from tasks.stats.diagnostic.margins import wald
from tasks.stats.diagnostic.roc import (
    WHOLE,
    Area,
    AreaGap,
    AreaInterval,
    Areas,
    Part,
    area,
    area_gap,
    areas,
)

_INTERVALS: tuple[AreaInterval, ...] = ("wald", "wald_logit")
_BELOW = "the area is below 0.5: if low scores are suspicious, say so in index_test.positive"
Named = Mapping[str, object]


def parts_of(analysis: Analysis) -> list[Part]:
    """Return the whole curve, and each part that is asked for: as it is, and on McClish's scale."""
    asked = analysis.roc.parts if analysis.roc else ()
    ranges = [(one.of, one.low, one.high) for one in asked]
    return [WHOLE, *(Part(*one, scaled) for one in ranges for scaled in (False, True))]


def named_by(part: Part) -> dict[str, object]:
    """Return the columns of a row that say which part of the curve it is of."""
    if part == WHOLE:
        return {}
    return {
        "at": part.low,
        "at_kind": part.axis,
        "at2": part.high,
        "at2_kind": part.axis,
        "term": "mcclish" if part.is_corrected else None,
    }


def area_name(part: Part) -> str:
    """Return the estimate name of an area."""
    return "auc" if part == WHOLE else "partial_auc"


def level_of(claim: Hypothesis | None) -> float:
    """Return the level of intervals of differences: that of the one-sided claim, twice."""
    return 1 - 2 * claim.alpha if claim else 0.95


def may_be_judged(part: Part, claim: Hypothesis) -> bool:
    """Whether a margin, which is of whole areas, means something for the area of a part."""
    return part == WHOLE or (not part.is_corrected and not claim.margin)


def behind(ranked: Ranked) -> Row:
    """Return how many persons are behind a row, where a person may have several cases."""
    if ranked.readings.persons is None:
        return {}
    return {BEHIND: (int(np.unique(ranked.units).size),)}


class AreaRows:
    """The rows of one part of the curve, for all modalities of some readings."""

    def __init__(
        self,
        asked: AskedOfTable,
        ranked: Ranked,
        part: Part,
        named: Named,
        claim: Hypothesis | None = None,
    ) -> None:
        self.asked, self.ranked, self.part, self.claim = asked, ranked, part, claim
        self.named = {**named, **named_by(part)}
        self.name = area_name(part)

    def rows(self) -> list[Row]:
        """Return areas, differences and their tests; a row that says why where there are none."""
        ranked = self.ranked
        try:
            found = areas(
                ranked.score, ranked.truth, ranked.units, ranked.modality, ranked.weights, self.part
            )
        except EstimationError as exc:
            return [self._failed(self.name, exc.what)]
        made = [row for place in range(len(ranked.levels)) for row in self._areas(found, place)]
        for old, new in combinations(range(len(ranked.levels)), 2):
            made += self._compared(found, new, old)
        return made + list(self._against_goal(found))

    def _row(self, name: str, **values: object) -> Row:
        return self.asked.row(name, **self.named | values) | behind(self.ranked)

    def _failed(self, name: str, why: str, **values: object) -> Row:
        sizes: Row = {"n": self.ranked.truth.size, "n_events": int(self.ranked.truth.sum())}
        return self._row(name, status="not_estimable", note=why, **sizes | values)

    def _areas(self, found: Areas, place: int) -> Iterator[Row]:
        level, why = self.ranked.levels[place], ""
        for interval in _INTERVALS:
            try:
                yield self._area(found, area(found, place, interval), level)
            except EstimationError as exc:
                why = exc.what
                break
        if why and self.part == WHOLE:
            made = self._area(found, area(found, place, "newcombe"), level)
            yield made | {"note": why, "std_error": None, "se_scale": None, "se_method": None}
        elif why:
            yield self._failed(self.name, why, arm=level)

    def _area(self, found: Areas, of: Area, level: str | None) -> Row:
        is_odd = self.part == WHOLE and of.estimate < 0.5
        return self._row(
            self.name,
            estimate=of.estimate,
            estimate_scale="identity",
            std_error=of.std_error,
            se_scale="identity",
            se_method=self._se_method(found),
            ci_low=of.ci_low,
            ci_high=of.ci_high,
            ci_level=of.level,
            ci_method=of.ci_method,
            n=of.n,
            n_events=of.events,
            n_clusters=None if found.is_simple else of.units,
            arm=level,
            note=_BELOW if is_odd else None,
        )

    def _se_method(self, found: Areas) -> str:
        how = "delong" if self.part == WHOLE else "pseudo_values"
        return how if found.is_simple else f"{how}_clustered"

    def _compared(self, found: Areas, new: int, old: int) -> list[Row]:
        levels = self.ranked.levels
        named: Row = {
            "target": levels[new],
            "comparator": levels[old],
            "stratum_level": self.named.get("stratum_level") or f"{levels[new]} - {levels[old]}",
        }
        if self.part.is_corrected and min(found.estimates[[new, old]]) < 0.5:
            return []
        try:
            gap = area_gap(found, new, old, level_of(self.claim))
        except EstimationError as exc:
            return [self._failed(f"{self.name}_difference", exc.what, **named)]
        return [self._gap(gap, named, None if old else self.claim), *self._test(gap, named)]

    def _gap(self, gap: AreaGap, named: Row, claim: Hypothesis | None) -> Row:
        made = self._row(
            f"{self.name}_difference",
            estimate=gap.estimate,
            estimate_scale="difference",
            std_error=gap.std_error,
            se_scale="identity",
            se_method=gap.design,
            ci_low=gap.ci_low,
            ci_high=gap.ci_high,
            ci_level=gap.level,
            ci_method="wald" if gap.df is None else "t",
            statistic_name="z" if gap.df is None else "t",
            statistic=gap.statistic,
            df2=gap.df,
            p_value=gap.p_value,
            **_sizes(gap),
            **named,
        )
        if claim is None or not may_be_judged(self.part, claim):
            return made
        return made | judged(claim, gap.against) | {"df2": None}

    def _test(self, gap: AreaGap, named: Row) -> Iterator[Row]:
        if self.part.is_corrected:
            return
        term = {"term": self.name}
        yield self._row(
            "test",
            statistic_name="delong" if self.part == WHOLE else "pseudo_values",
            statistic=gap.statistic,
            df1=gap.df,
            p_value=gap.p_value,
            se_method=gap.design,
            **_sizes(gap),
            **named | term,
        )

    def _against_goal(self, found: Areas) -> Iterator[Row]:
        """Yield each modality held against a fixed goal."""
        claim = self.claim
        if claim is None or claim.goal is None or self.part != WHOLE:
            return
        for place, level in enumerate(self.ranked.levels):
            try:
                of = area(found, place, "wald", level_of(claim))
            except EstimationError:
                continue
            value = of.estimate - claim.goal
            yield (
                self._area(found, of, level)
                | {
                    "estimate_name": "auc_difference",
                    "estimate": value,
                    "estimate_scale": "difference",
                    "ci_low": of.ci_low - claim.goal,
                    "ci_high": of.ci_high - claim.goal,
                    "target": level,
                    "comparator": f"{claim.goal:g}",
                    "stratum_level": "goal",
                    "arm": None,
                }
                | judged(claim, wald(value, of.std_error))
            )


def _sizes(gap: AreaGap) -> Row:
    is_clustered = gap.design.endswith("clustered")
    return {
        "n": gap.n,
        "n_events": gap.events,
        "n_clusters": gap.units if is_clustered else None,
    }
