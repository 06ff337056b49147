"""ROC curves of each modality: areas, their differences, values at fixed ones, and the curve."""

from collections.abc import Iterator, Mapping

import numpy as np

from tasks.analysis.readings.accuracy import result_of
from tasks.analysis.readings.ranked import Ranked, counts_behind, ranked_as, scenarios_of
from tasks.analysis.readings.reader_design import has_one_truth
from tasks.analysis.readings.roc_areas import AreaRows, behind, parts_of
from tasks.analysis.readings.roc_drawn import Drawn
from tasks.analysis.readings.roc_gaps import gaps_of_levels
from tasks.analysis.readings.rows import Readings, readings_of
from tasks.analysis.table_asked import AskedOfTable, Row
from tasks.core.errors import EstimationError
from tasks.core.results import ASIDE, ROC_COUNTS
from tasks.stats.diagnostic.measures import cells_of, measure
from tasks.stats.diagnostic.roc import WHOLE
from tasks.stats.diagnostic.roc_curve import curve_of, thinned

Named = Mapping[str, object]
Lacking = Mapping[str | None, str]
_UNIT: Named = {"unit_of_analysis": "case", "inference_space": "cases_only"}


def roc(asked: AskedOfTable) -> list[Row]:
    """Return areas under the curve, whole and in part, their differences, and the curves.

    All readings first, then those of each reader, centre and subgroup with the gaps between the
    levels. Outputs without a result count as the study says, and as they could have been, beside.
    """
    readings = readings_of(asked)
    readings = readings.only(readings.is_verified)
    has_one_truth(readings)
    made: list[Row] = []
    for place, (scenario, counts_as) in enumerate(scenarios_of(readings)):
        named = {**_UNIT, "scenario": scenario}
        try:
            whole, lacking = ranked_as(readings, counts_as).estimable()
        except EstimationError as exc:
            made += _not_estimable(asked, {None: exc.what}, named)
            continue
        made += _not_estimable(asked, lacking, named)
        found = _of_areas(asked, whole, named) if whole.levels else []
        made += [row | {ASIDE: _unscored(readings)} for row in found] if place else found
        if not place and whole.levels:
            made += _of_curves(asked, whole, named)
            made += _of_parts(asked, readings, named, counts_as)
    return made


def _unscored(readings: Readings) -> tuple[int, ...]:
    """Return the outputs without a result of each modality, of diseased and of healthy cases."""
    modality, levels = readings.modality
    lacks = ~readings.has_score
    m = len(levels)
    kinds = [lacks & readings.truth, lacks & ~readings.truth]
    counts = [np.bincount(modality[kind], minlength=m) for kind in kinds]
    return tuple(int(count) for count in np.concatenate(counts))


def _not_estimable(asked: AskedOfTable, lacking: Lacking, named: Named) -> list[Row]:
    return [
        asked.row("auc", status="not_estimable", note=why, arm=level, n_events=None, **named)
        for level, why in lacking.items()
    ]


def _of_areas(asked: AskedOfTable, whole: Ranked, named: Named) -> list[Row]:
    claim = asked.analysis.hypothesis
    return [
        row
        for part in parts_of(asked.analysis)
        for row in AreaRows(asked, whole, part, named, claim).rows()
    ]


def _of_curves(asked: AskedOfTable, whole: Ranked, named: Named) -> list[Row]:
    """Return what the bootstrap says, the operating point of the study, and the curves."""
    drawn, made = None, list[Row]()
    if asked.analysis.seed is not None:
        try:
            drawn = Drawn(asked, whole, named)
            made += drawn.rows()
        except EstimationError as exc:
            here = {**named, "se_method": "bootstrap"}
            made += _not_estimable(asked, {None: exc.what}, here)
    made += _at_threshold(asked, whole, named)
    for place, level in enumerate(whole.levels):
        made += _curve_rows(asked, whole, place, {**named, "arm": level}, drawn)
    return made


def _curve_rows(
    asked: AskedOfTable, whole: Ranked, place: int, named: Named, drawn: Drawn | None
) -> Iterator[Row]:
    """Yield corners of a curve, with the limits of the sensitivity where there are resamples."""
    mine = whole.of(place)
    curve = curve_of(mine.score, mine.truth, mine.weights)
    corners = thinned(curve)
    across = 1 - curve.specificity[corners]
    band = None if drawn is None else drawn.band(place, across)
    for number, corner in enumerate(corners):
        limits: Row = {}
        if band is not None:
            limits = {
                "ci_low": float(band[0, number]),
                "ci_high": float(band[1, number]),
                "ci_level": 0.95,
                "ci_method": "percentile",
                "se_method": "bootstrap",
            }
        made = asked.row(
            "sensitivity",
            estimate=float(curve.sensitivity[corner]),
            estimate_scale="identity",
            at=float(across[number]),
            at_kind="fpr",
            term="curve",
            n=mine.truth.size,
            n_events=int(mine.truth.sum()),
            **named,
            **limits,
        )
        yield made | behind(mine) | {ROC_COUNTS: (counts_behind(curve, int(corner)),)}


def _at_threshold(asked: AskedOfTable, whole: Ranked, named: Named) -> Iterator[Row]:
    """Yield sensitivity and specificity of each modality at the threshold of the study."""
    test = asked.analysis.index_test
    if test is None or test.threshold is None:
        return
    positive, _ = result_of(whole.readings, test.without_result)
    cells = cells_of(positive, whole.truth, whole.units, whole.modality, whole.weights)
    for place, level in enumerate(whole.levels):
        mine = whole.modality == place
        counts = _counts(positive[mine], whole.truth[mine])
        for name in ("sensitivity", "specificity"):
            found = measure(name, cells, place)
            made = asked.row(
                name,
                estimate=found.estimate,
                estimate_scale="identity",
                std_error=found.std_error,
                se_scale="identity",
                se_method=found.se_method,
                ci_low=found.ci_low,
                ci_high=found.ci_high,
                ci_level=found.level,
                ci_method=found.ci_method,
                at=test.threshold,
                at_kind="threshold",
                term="operating_point",
                n=found.n,
                n_events=None,
                arm=level,
                **named,
            )
            yield made | behind(whole) | {ROC_COUNTS: (counts,)}


def _counts(positive: np.ndarray, truth: np.ndarray) -> tuple[int, ...]:
    above = int((positive & truth).sum()), int((positive & ~truth).sum())
    return *above, int(truth.sum()), int((~truth).sum())


def _of_parts(
    asked: AskedOfTable, readings: Readings, named: Named, counts_as: str
) -> Iterator[Row]:
    """Yield areas of each reader, centre and level of a subgroup, and the gaps between levels."""
    for name, level, part in _parts(asked, readings):
        here = {**named, "stratum_name": name, "stratum_level": level}
        whole, lacking = ranked_as(part, counts_as).estimable()
        yield from _not_estimable(asked, lacking, here)
        if whole.levels:
            yield from AreaRows(asked, whole, WHOLE, here).rows()
    whole, _ = ranked_as(readings, counts_as).estimable()
    columns = (*(("site",) if readings.has("site") else ()), *asked.analysis.subgroups)
    for column in columns:
        yield from gaps_of_levels(asked, whole, column, named, counts_as)


def _parts(asked: AskedOfTable, readings: Readings) -> Iterator[tuple[str, str, Readings]]:
    for field in ("reader", "site"):
        levels = readings.by(field) if readings.has(field) else ()
        yield from ((field, str(level), part) for level, part in levels)
    for column in asked.analysis.subgroups:
        member = readings.rows.values[f"x_{column}"].astype(str)
        for level in sorted(set(member)):
            yield column, str(level), readings.only(np.asarray(member == level))
