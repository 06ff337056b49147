"""The sites of a meta-analysis: effects, variances, counts, and how a value is written."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tasks.analysis.people import FloatArray, IntArray
from tasks.analysis.table_asked import AskedOfTable, Row, finite, ratio_of
from tasks.core.results import BEHIND, LEVELS
from tasks.core.spec.sources import EffectTable
from tasks.stats.inference import z_quantile
from tasks.stats.meta_analysis_counts import (
    Effects,
    Tables,
    Transformation,
    effects_of,
    peto_effects,
    proportion_from,
    proportions_of,
    tables,
)

LEVEL = 0.95
_SCALES = {"logit": "logit", "freeman_tukey": "arcsine", "raw": "identity"}


@dataclass(frozen=True, slots=True, eq=False)
class Sites:
    """What is pooled, in the order of the names of the sites.

    `cells` are the counts of a site by column, `tables` those of two arms; None where estimates
    are delivered. `order` puts the rows of the table into the order of names.
    """

    asked: AskedOfTable
    label: str
    names: tuple[str, ...]
    order: IntArray
    y: FloatArray
    v: FloatArray
    cells: FloatArray | None
    tables: Tables | None
    totals: FloatArray | None
    events: FloatArray | None

    @property
    def measure(self) -> str:
        """Estimate name of the effects."""
        return self.asked.analysis.measure or "coefficient"

    @property
    def scale(self) -> str:
        """Scale on which effects are pooled: log, logit, arcsine or identity."""
        if self.measure == "proportion":
            return _SCALES[how_of(self.asked)]
        return "log" if self._is_log else "identity"

    @property
    def _is_log(self) -> bool:
        if self.tables is not None:
            return self.measure != "risk_difference"
        source = self.asked.rows.source
        return isinstance(source, EffectTable) and source.roles.scale == "log"

    def write(self, place: int | None = None) -> Callable[[float], float | None]:
        """Return how a pooled value, or that of one site, is turned back from its scale."""
        if self.measure == "proportion" and self.totals is not None:
            totals = self.totals if place is None else self.totals[place : place + 1]
            how = how_of(self.asked)
            return lambda value: proportion_from(float(value), how, totals)
        return ratio_of if self.scale == "log" else float

    def row(self, name: str, place: int | None = None, /, **values: object) -> Row:
        """Return a row of results; of one site, or of all."""
        places = slice(None) if place is None else slice(place, place + 1)
        sizes: Row = {"n": None, "n_events": None, "unit_of_analysis": self.label}
        if self.totals is not None and self.events is not None:
            sizes["n"] = int(self.totals[places].sum())
            sizes["n_events"] = int(self.events[places].sum())
        if place is not None:
            sizes |= {"stratum_name": self.label, "stratum_level": self.names[place]}
        made = self.asked.row(name, **sizes | {"n_sites": len(self.names)} | values)
        made.pop(LEVELS, None)  # levels of moderators are counts of sites, not of persons
        if place is not None and self.cells is not None:
            made[BEHIND] = tuple(int(count) for count in self.cells[place])
        return made

    def effect(
        self,
        value: float,
        std_error: float,
        limits: tuple[float, float],
        place: int | None = None,
        /,
        **values: object,
    ) -> Row:
        """Return the row of an effect, turned back from the scale on which it is pooled."""
        write = self.write(place)
        shown: Row = {
            "estimate": write(value),
            "estimate_scale": "ratio" if self.scale == "log" else "identity",
            "std_error": finite(std_error),
            "se_scale": self.scale,
            "ci_low": write(limits[0]),
            "ci_high": write(limits[1]),
            "ci_level": LEVEL,
        }
        return self.row(self.measure, place, **shown | values)

    def site_rows(self, weights: FloatArray | None) -> list[Row]:
        """Return the effect of each site, and its weight in the pooled one, in per cent."""
        rows = [self._site(place) for place in range(len(self.names))]
        if weights is not None:
            rows += [
                self.row("weight", place, estimate=float(weight), unit="percent")
                for place, weight in enumerate(weights)
            ]
        return rows

    def _site(self, place: int) -> Row:
        y, v = float(self.y[place]), float(self.v[place])
        if not (math.isfinite(y) and math.isfinite(v) and v > 0):
            note = "nobody has the event, or everybody: the site tells nothing by itself"
            return self.row(self.measure, place, scenario="site", status="not_estimable", note=note)
        error = math.sqrt(v)
        margin = z_quantile(LEVEL) * error
        how = {"scenario": "site", "ci_method": "wald", "se_method": self._error_of_site()}
        return self.effect(y, error, (y - margin, y + margin), place, **how)

    def _error_of_site(self) -> str:
        return "as_given" if self.totals is None else "delta"


def how_of(asked: AskedOfTable) -> Transformation:
    """Return the scale on which proportions are pooled."""
    return asked.analysis.transformation or "logit"


def sites_of(asked: AskedOfTable) -> Sites:
    """Return the sites of a table of effects.

    Raises:
        EstimationError: Counts that cannot be.
    """
    values = asked.rows.values
    label = "study" if "study" in values else "site"
    names = values[label].astype(str)
    order = _order(names)
    shown = tuple(str(names[i]) for i in order)
    if "estimate" in values:
        y, error = asked.rows.numbers("estimate")[order], asked.rows.numbers("std_error")[order]
        return Sites(asked, label, shown, order, y, error**2, None, None, None, None)
    a, n1 = _arm(asked, "target", order)
    if "comparator_events" not in values:
        found = proportions_of(a, n1, how_of(asked))
        cells = np.column_stack([a, n1 - a])
        return Sites(asked, label, shown, order, found.effects, found.variances, cells, None, n1, a)
    counts = tables(a, n1, *_arm(asked, "comparator", order))
    found = _effects(asked, counts)
    cells = np.column_stack([counts.a, counts.b, counts.c, counts.d])
    return Sites(
        asked, label, shown, order, found.effects, found.variances, cells, counts,
        counts.n1 + counts.n2, counts.a + counts.c,
    )  # fmt: skip


def _effects(asked: AskedOfTable, counts: Tables) -> Effects:
    if asked.analysis.pooling == "peto":
        return peto_effects(counts)
    match asked.analysis.measure:
        case "odds_ratio" | "risk_ratio" | "risk_difference" as measure:
            return effects_of(counts, measure)
        case other:
            raise AssertionError(f"{other}: the checks of the study refuse it")


def _arm(asked: AskedOfTable, arm: str, order: IntArray) -> tuple[FloatArray, FloatArray]:
    events = asked.rows.numbers(f"{arm}_events")
    has_total = f"{arm}_total" in asked.rows.values
    rest = asked.rows.numbers(f"{arm}_total" if has_total else f"{arm}_non_events")
    return events[order], (rest if has_total else rest + events)[order]


def _order(names: np.ndarray[tuple[int, ...], np.dtype[np.str_]]) -> IntArray:
    """Return the places of names in their order: by number where all are whole numbers."""
    if all(name.isdecimal() for name in names):
        return np.argsort(names.astype(np.int64), kind="stable").astype(np.int64)
    return np.argsort(names, kind="stable").astype(np.int64)
