"""Would the accuracy hold in a new centre? Pooled without each, and gaps between subgroups."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import special

from tasks.analysis.people import FloatArray, IntArray
from tasks.analysis.readings.centres import Centres, cells_of_readings, centres_of, units_of
from tasks.analysis.readings.comparisons import judged
from tasks.analysis.readings.rows import Readings, readings_of
from tasks.analysis.table_asked import AskedOfTable, Row
from tasks.core.errors import EstimationError
from tasks.core.spec.columns import Category
from tasks.core.spec.sources import ReadingTable
from tasks.stats.diagnostic.centre_auc import Area, area_gap, area_under
from tasks.stats.diagnostic.margins import wald
from tasks.stats.diagnostic.measures import Cells, gap, measure
from tasks.stats.inference import z_quantile
from tasks.stats.meta_analysis import MIN_SITES, Pooled, pool
from tasks.stats.meta_analysis_counts import proportions_of

LEVEL = 0.95
_SHARES = ("sensitivity", "specificity")
_LOGIT: Row = {"estimate_scale": "identity", "se_scale": "logit", "ci_level": LEVEL}
_FEW = "centres are too few to pool without one; 4 are needed"


@dataclass(frozen=True, slots=True, eq=False)
class Logits:
    """A measure of the centres as logits with variances; `places` are those that have one."""

    name: str
    y: FloatArray
    v: FloatArray
    places: IntArray


def leave_one_centre_out(asked: AskedOfTable) -> list[Row]:
    """Return each centre, the pooled value with its limits in a new one, and that without each.

    Sensitivity, specificity and, of readings with scores, the area under the ROC curve are pooled
    by random effects on the logit scale. Each subgroup is held against the first of its column.
    """
    made: list[Row] = []
    for centres in centres_of(asked):
        areas = _areas(centres)
        made += [*centres.site_rows(), *_area_rows(centres, areas)]
        for logits in _logits(centres, areas):
            made += _validated(centres, logits)
    if isinstance(asked.rows.source, ReadingTable):
        readings = readings_of(asked)
        verified = readings.only(readings.is_verified)
        for level, part in verified.by("modality"):
            for column in asked.analysis.subgroups:
                made += _Subgroups(asked, part, column, level).rows()
    return made


def _areas(centres: Centres) -> list[Area | str]:
    """Return the area of each centre, or why there is none; nothing where there are no scores."""
    return [_area(part, units_of(part)) for part in centres.readings if part.has("score")]


def _area(readings: Readings, units: IntArray) -> Area | str:
    scored = readings.only(readings.has_score)
    side = -1.0 if readings.index_test.positive in ("at_or_below", "below") else 1.0
    try:
        return area_under(side * scored.score, scored.truth, units[readings.has_score])
    except EstimationError as exc:
        return exc.what


def _area_rows(centres: Centres, areas: list[Area | str]) -> Iterator[Row]:
    for place, area in enumerate(areas):
        if isinstance(area, str):
            why: Row = {"status": "not_estimable", "note": area}
            yield centres.row("auc", place, scenario="site", **why)
            continue
        yield centres.row("auc", place, scenario="site", **_of_area(area))


def _of_area(area: Area) -> Row:
    error, value = area.std_error, area.estimate
    found: Row = {
        "estimate": value,
        "estimate_scale": "identity",
        "std_error": error,
        "se_scale": "identity",
        "se_method": "delong" if area.is_simple else "cluster_robust",
        "n": area.n,
        "n_events": area.diseased,
        "n_clusters": None if area.is_simple else area.units.size,
    }
    if not 0 < value < 1:
        return found | {"note": "the scores separate the cases completely: no interval"}
    reach = z_quantile(LEVEL) * error / (value * (1 - value))
    low, high = special.expit(special.logit(value) + np.array([-reach, reach]))
    limits: Row = {"ci_low": float(low), "ci_high": float(high), "ci_level": LEVEL}
    return found | limits | {"ci_method": "wald_logit"}


def _logits(centres: Centres, areas: list[Area | str]) -> Iterator[Logits]:
    if not centres.no_result:
        yield from (_of_shares(centres, name) for name in _SHARES)
    if not areas:
        return
    known = [
        (place, special.logit(a.estimate), (a.std_error / (a.estimate * (1 - a.estimate))) ** 2)
        for place, a in enumerate(areas)
        if not isinstance(a, str) and 0 < a.estimate < 1
    ]
    places, y, v = np.array(known, np.float64).reshape(-1, 3).T
    yield Logits("auc", y, v, places.astype(np.int64))


def _of_shares(centres: Centres, name: str) -> Logits:
    """Return logits of a share; clustered where cases are, and with a half where none differs."""
    counts = centres.counts
    right = counts.tp if name == "sensitivity" else counts.tn
    total = counts.tp + counts.fn if name == "sensitivity" else counts.fp + counts.tn
    places = np.flatnonzero(total > 0)
    found = proportions_of(right[places], total[places], "logit")
    y, v = found.effects.copy(), found.variances.copy()
    for at, place in enumerate(places):
        cells = centres.cells[place]
        if not cells.is_simple and 0 < right[place] < total[place]:
            one = measure(name, cells)
            y[at] = special.logit(one.estimate)
            v[at] = (one.std_error / (one.estimate * (1 - one.estimate))) ** 2
    return Logits(name, y, v, places.astype(np.int64))


def _validated(centres: Centres, logits: Logits) -> Iterator[Row]:
    try:
        whole = _pool(centres, logits.y, logits.v)
    except EstimationError as exc:
        yield centres.row(logits.name, status="not_estimable", note=exc.what)
        return
    yield from _of_pool(centres, logits.name, whole)
    yield from _spread(centres, logits.name, whole)
    yield from _by_prevalence(centres, logits)
    for at, place in enumerate(logits.places):
        yield from _without(centres, logits, at, int(place))


def _pool(centres: Centres, y: FloatArray, v: FloatArray) -> Pooled:
    asked = centres.asked.analysis.knapp_hartung
    errors = "modified" if asked == "modified" else "plain" if asked else "none"
    return pool(y, v, "reml", knapp_hartung=errors, level=LEVEL, tight=True)  # type: ignore[arg-type]


def _of_pool(
    centres: Centres, name: str, found: Pooled, place: int | None = None, /, **values: object
) -> Iterator[Row]:
    """Yield a pooled value and the limits that hold the truth of a new centre."""
    limits = (float(found.ci_low[0]), found.estimate, float(found.ci_high[0]))
    low, value, high = (float(share) for share in special.expit(limits))
    common: Row = {**_LOGIT, "n_sites": found.k, "df2": found.df, **values}
    yield centres.row(
        name, place, estimate=value, std_error=found.std_error, ci_low=low, ci_high=high,
        se_method="reml", ci_method="wald_logit" if found.df is None else "knapp_hartung",
        inference_space="random_centres_random_cases", **common,
    )  # fmt: skip
    ends = {"prediction_low": found.prediction_low, "prediction_high": found.prediction_high}
    for end, limit in ends.items():
        if limit is not None:
            share = float(special.expit(limit))
            yield centres.row(end, place, estimate=share, term=name, **common)


def _spread(centres: Centres, name: str, found: Pooled) -> Iterator[Row]:
    h = found.heterogeneity
    yield centres.row(
        "q", term=name, estimate=h.q, statistic_name="chi_squared", statistic=h.q,
        df1=float(h.df), p_value=h.p_value,
    )  # fmt: skip
    yield centres.row("i2", term=name, estimate=h.i2, unit="percent")
    yield centres.row("tau2", term=name, estimate=h.tau2, se_method="reml")


def _by_prevalence(centres: Centres, logits: Logits) -> Iterator[Row]:
    """Yield how the logit of a measure changes with the share of diseased in a centre."""
    source = centres.asked.rows.source
    if isinstance(source, ReadingTable) and source.sampling == "case_control":
        return
    trials = centres.counts.trials[logits.places]
    share = trials[:, 0] / np.maximum(trials.sum(axis=1), 1)
    try:
        found = pool(logits.y, logits.v, "reml", moderators=share, level=LEVEL, tight=True)
    except EstimationError:
        return
    yield centres.row(
        "coefficient", term=f"{logits.name}: prevalence", estimate=float(found.coefficients[1]),
        estimate_scale="logit", std_error=float(found.std_errors[1]), se_scale="logit",
        ci_low=float(found.ci_low[1]), ci_high=float(found.ci_high[1]), ci_level=LEVEL,
        ci_method="wald", se_method="reml", p_value=float(found.p_values[1]),
        statistic_name="z", statistic=float(found.statistics[1]),
    )  # fmt: skip


def _without(centres: Centres, logits: Logits, at: int, place: int) -> Iterator[Row]:
    """Yield the value pooled over all other centres, and whether this one lies in its limits."""
    named: Row = {"scenario": "leave_one_out"}
    if logits.y.size <= MIN_SITES:
        why: Row = {"status": "not_estimable", "note": f"{logits.y.size} {_FEW}"}
        yield centres.row(logits.name, place, **named | why)
        return
    found = _pool(centres, np.delete(logits.y, at), np.delete(logits.v, at))
    low, high = found.prediction_low, found.prediction_high
    if low is not None and high is not None:
        is_within = low <= logits.y[at] <= high
        named["note"] = "within the prediction interval" if is_within else _OUTSIDE
    yield from _of_pool(centres, logits.name, found, place, **named)


_OUTSIDE = "outside the prediction interval of the other centres"


class _Subgroups:
    """The levels of one column, in one modality, each held against the first."""

    def __init__(
        self, asked: AskedOfTable, readings: Readings, column: str, arm: str | None
    ) -> None:
        self.asked, self.readings, self.column, self.arm = asked, readings, column, arm
        member = readings.rows.values[f"x_{column}"]
        kind = readings.source.columns[column]
        levels = kind.category if isinstance(kind, Category) else (0, 1)
        there = [level for level in levels if (member == level).any()]
        self.levels = tuple(str(level) for level in there)
        self.group = np.argmax([member == level for level in there], axis=0).astype(np.int64)
        claim = asked.analysis.hypothesis
        self.level = 1 - 2 * claim.alpha if claim else LEVEL

    def rows(self) -> list[Row]:
        """Return each level by itself, and the gap between it and the first."""
        made: list[Row] = []
        try:
            cells = cells_of_readings(self.readings, self.group)
            made += [row for name in _SHARES for row in self._of_share(name, cells)]
        except EstimationError as exc:
            why: Row = {"status": "not_estimable", "note": exc.what}
            made += [self._row(name, 0, **why) for name in _SHARES]
        return made + self._of_areas() if self.readings.has("score") else made

    def _row(self, name: str, place: int, **values: object) -> Row:
        part = self.readings.only(np.asarray(self.group == place))
        named = {
            "stratum_name": self.column,
            "stratum_level": self.levels[place],
            "arm": self.arm,
            "unit_of_analysis": "case",
            "n": part.n,
            "n_events": int(part.truth.sum()),
        }
        return self.asked.row(name, **named | values)

    def _of_share(self, name: str, cells: Cells) -> Iterator[Row]:
        for place in range(len(self.levels)):
            made = _or_why(_of_measure, name, cells, place)
            yield self._row(name, place, **made)
        for place in range(1, len(self.levels)):
            made = _or_why(self._share_gap, name, cells, place)
            yield self._gap_row(name, place, made)

    def _share_gap(self, name: str, cells: Cells, place: int) -> Row:
        found = gap(name, cells, place, 0, self.level)
        return self._of_gap(found.estimate, found.std_error)

    def _of_areas(self) -> list[Row]:
        units = units_of(self.readings)
        chosen = [np.asarray(self.group == place) for place in range(len(self.levels))]
        parts = [_area(self.readings.only(keep), units[keep]) for keep in chosen]
        made = []
        for place, area in enumerate(parts):
            no: Row = {"status": "not_estimable", "note": area}
            of = no if isinstance(area, str) else _of_area(area)
            made.append(self._row("auc", place, **of))
        first = parts[0]
        for place, area in enumerate(parts[1:], start=1):
            if not isinstance(area, str) and not isinstance(first, str):
                made.append(self._gap_row("auc", place, self._of_gap(*area_gap(area, first))))
        return made

    def _of_gap(self, value: float, error: float) -> Row:
        if not error > 0:
            return {"status": "not_estimable", "note": "the gap has no variance"}
        reach = z_quantile(self.level) * error
        found: Row = {
            "estimate": value,
            "estimate_scale": "difference",
            "std_error": error,
            "se_scale": "identity",
            "se_method": "paired" if self._is_shared() else "unpaired",
            "ci_low": value - reach,
            "ci_high": value + reach,
            "ci_level": self.level,
            "ci_method": "wald",
        }
        claim = self.asked.analysis.hypothesis
        return found | (judged(claim, wald(value, error)) if claim else {})

    def _is_shared(self) -> bool:
        units = units_of(self.readings)
        return bool(np.unique(units).size < sum(
            np.unique(units[self.group == place]).size for place in range(len(self.levels))
        ))  # fmt: skip

    def _gap_row(self, name: str, place: int, made: Mapping[str, object]) -> Row:
        old, new = self.levels[0], self.levels[place]
        named = {"target": new, "comparator": old, "stratum_level": f"{new} - {old}"}
        return self._row(f"{name}_difference", place, **named | dict(made))


def _or_why(make: Callable[..., Row], *args: object) -> Row:
    """Return what a row says, or why there is nothing to say."""
    try:
        return make(*args)
    except EstimationError as exc:
        return {"status": "not_estimable", "note": exc.what}


def _of_measure(name: str, cells: Cells, place: int) -> Row:
    found = measure(name, cells, place)
    return {
        "estimate": found.estimate,
        "estimate_scale": "identity",
        "std_error": found.std_error,
        "se_scale": "identity",
        "se_method": found.se_method,
        "ci_low": found.ci_low,
        "ci_high": found.ci_high,
        "ci_level": found.level,
        "ci_method": found.ci_method,
        "n": found.n,
        "n_events": found.count,
    }
