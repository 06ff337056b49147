"""Gaps between the levels of a subgroup, or centres: areas, sensitivity, specificity, the largest.

A gap between two levels chosen because they differ most looks larger than it is. So the largest
has limits that hold for all pairs at once (Bonferroni).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import combinations

import numpy as np

from tasks.analysis.people import IntArray
from tasks.analysis.readings.accuracy import result_of
from tasks.analysis.readings.ranked import Ranked
from tasks.analysis.readings.roc_areas import behind
from tasks.analysis.table_asked import AskedOfTable, Row
from tasks.core.errors import EstimationError
from tasks.core.spec.columns import Category
from tasks.stats.binary_contrasts import TwoRisks, risk_difference_of
from tasks.stats.diagnostic.measures import Cells, cells_of, gap
from tasks.stats.diagnostic.roc import area_gap, areas

_LEVEL = 0.95
_SHARES = ("sensitivity", "specificity")
_PLACES = {"sensitivity": (0, 2), "specificity": (3, 1)}
"""Of each share, the cells (tp, fp, fn, tn) of what is right, and of what is not."""


@dataclass(frozen=True, slots=True)
class _Between:
    """A gap between two levels."""

    estimate: float
    std_error: float
    ci_low: float
    ci_high: float
    ci_method: str
    design: str
    n: int
    events: int | None


Between = Callable[[int, int, float], _Between]
"""From two levels and a confidence level to the gap between them."""


def gaps_of_levels(
    asked: AskedOfTable, ranked: Ranked, column: str, named: Mapping[str, object], counts_as: str
) -> Iterator[Row]:
    """Yield, for each modality, the gap of each level to the first, and the largest of all."""
    for place, level in enumerate(ranked.levels):
        made = _Levels(asked, ranked.of(place), column, {**named, "arm": level})
        yield from made.of_areas()
        test = asked.analysis.index_test
        if test is not None and test.threshold is not None:
            yield from made.of_shares(counts_as)


class _Levels:
    """The levels of a column within one modality."""

    def __init__(
        self, asked: AskedOfTable, ranked: Ranked, column: str, named: Mapping[str, object]
    ) -> None:
        self.asked, self.column = asked, column
        self.named = {**named, "stratum_name": column}
        values = _values(ranked, column)
        enough = [level for level in _levels(ranked, column) if _has_both(ranked, values == level)]
        keep = np.isin(values, enough)
        self.ranked, self.levels = ranked.only(np.asarray(keep)), tuple(enough)
        place = {level: number for number, level in enumerate(enough)}
        self.group: IntArray = np.array([place[v] for v in values[keep]], dtype=np.int64)

    def of_areas(self) -> Iterator[Row]:
        """Yield gaps of areas under the curve."""
        if len(self.levels) < 2:
            return
        ranked = self.ranked
        found = areas(ranked.score, ranked.truth, ranked.units, self.group, ranked.weights)

        def between(new: int, old: int, level: float) -> _Between:
            made = area_gap(found, new, old, level)
            how = "wald" if made.df is None else "t"
            return _Between(
                made.estimate, made.std_error, made.ci_low, made.ci_high, how, made.design,
                made.n, made.events,
            )  # fmt: skip

        yield from self._rows("auc_difference", between)

    def of_shares(self, counts_as: str) -> Iterator[Row]:
        """Yield gaps of sensitivity and specificity at the threshold of the study."""
        if len(self.levels) < 2:
            return
        ranked = self.ranked
        positive, _ = result_of(ranked.readings, counts_as)
        cells = cells_of(positive, ranked.truth, ranked.units, self.group, ranked.weights)
        shares_units = np.unique(ranked.units).size < sum(
            np.unique(ranked.units[self.group == place]).size for place in range(len(self.levels))
        )
        is_apart = cells.is_simple and not shares_units
        for name in _SHARES:
            yield from self._rows(f"{name}_difference", _between_shares(name, cells, is_apart))

    def _rows(self, name: str, between: Between) -> Iterator[Row]:
        for new in range(1, len(self.levels)):
            yield self._row(name, new, 0, partial(between, new, 0, _LEVEL))
        if len(self.levels) > 2:
            yield self._largest(name, between)

    def _row(self, name: str, new: int, old: int, make: Callable[[], _Between]) -> Row:
        levels = self.levels
        named: Row = {
            **self.named,
            "target": levels[new],
            "comparator": levels[old],
            "stratum_level": f"{levels[new]} - {levels[old]}",
        }
        try:
            found = make()
        except EstimationError as exc:
            named |= {"n": self.ranked.truth.size, "n_events": int(self.ranked.truth.sum())}
            return self.asked.row(name, status="not_estimable", note=exc.what, **named)
        made = self.asked.row(
            name,
            estimate=found.estimate,
            estimate_scale="difference",
            std_error=found.std_error,
            se_scale="identity",
            se_method=found.design,
            ci_low=found.ci_low,
            ci_high=found.ci_high,
            ci_level=_LEVEL,
            ci_method=found.ci_method,
            n=found.n,
            n_events=found.events,
            **named,
        )
        return made | behind(self.ranked)

    def _largest(self, name: str, between: Between) -> Row:
        """Return the largest gap, with limits that hold for all pairs of levels at once."""
        pairs = list(combinations(range(len(self.levels)), 2))
        level = 1 - (1 - _LEVEL) / len(pairs)
        try:
            found = {pair: _upward(between(*pair, level)) for pair in pairs}
        except EstimationError as exc:
            return self._row(name, 1, 0, partial(_refuse, exc)) | {"scenario": "largest gap"}
        new, old = max(found, key=lambda pair: found[pair][0].estimate)
        made, is_turned = found[new, old]
        if is_turned:
            new, old = old, new
        low = max(one.ci_low for one, _ in found.values())
        high = max(one.ci_high for one, _ in found.values())
        row = self._row(name, new, old, lambda: made)
        said = f"largest of {len(pairs)} gaps between {len(self.levels)} levels"
        return row | {
            "scenario": "largest gap",
            "ci_low": max(low, 0.0),
            "ci_high": high,
            "ci_method": "bonferroni",
            "note": said,
        }


def _refuse(why: EstimationError) -> _Between:
    raise why


def _upward(found: _Between) -> tuple[_Between, bool]:
    """Return a gap turned so that it is not negative, and whether it was turned."""
    if found.estimate >= 0:
        return found, False
    return _Between(
        -found.estimate, found.std_error, -found.ci_high, -found.ci_low, found.ci_method,
        found.design, found.n, found.events,
    ), True  # fmt: skip


def _between_shares(name: str, cells: Cells, is_apart: bool) -> Between:
    right, wrong = _PLACES[name]

    def counts(place: int) -> tuple[int, int]:
        read = cells.readings[4 * place : 4 * place + 4]
        return int(read[right]), int(read[right] + read[wrong])

    def between(new: int, old: int, level: float) -> _Between:
        n = counts(new)[1] + counts(old)[1]
        if is_apart:
            two = TwoRisks(*counts(new), *counts(old))
            made = risk_difference_of(two, "newcombe", level)
            error = float(made.std_error or 0.0)
            return _Between(
                made.estimate, error, made.ci_low, made.ci_high, "newcombe", "unpaired", n, None
            )
        found = gap(name, cells, new, old, level)
        return _Between(
            found.estimate, found.std_error, found.ci_low, found.ci_high, "wald",
            "cluster_robust", n, None,
        )  # fmt: skip

    return between


def _values(ranked: Ranked, column: str) -> np.ndarray:
    rows = ranked.readings.rows.values
    return np.asarray(rows[column] if column == "site" else rows[f"x_{column}"]).astype(str)


def _levels(ranked: Ranked, column: str) -> list[str]:
    """Return the levels of a column that occur, in the order of its category, else sorted."""
    there = set(_values(ranked, column))
    kind = ranked.readings.source.columns.get(column)
    named = kind.category if isinstance(kind, Category) else tuple(sorted(there))
    return [level for level in named if level in there]


def _has_both(ranked: Ranked, mine: np.ndarray) -> bool:
    return all(
        np.unique(ranked.units[mine & (ranked.truth == truth)]).size > 1 for truth in (True, False)
    )
