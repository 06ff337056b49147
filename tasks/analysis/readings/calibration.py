"""Whether the scores of readings are the probabilities that they claim to be."""

import zlib
from collections.abc import Mapping
from contextlib import suppress

import numpy as np

from tasks.analysis.readings.accuracy import parts_of, rates_without_result
from tasks.analysis.readings.rows import Readings, readings_of
from tasks.analysis.table_asked import AskedOfTable, Row
from tasks.core.errors import EstimationError
from tasks.core.results import PART, POINT
from tasks.core.spec.probabilities import CalibrationOf
from tasks.stats.diagnostic.measures import wilson
from tasks.stats.diagnostic.recalibration import (
    OF_CURVE,
    Found,
    Group,
    Predictions,
    Smooth,
    calibration_numbers,
    decomposition,
    groups_of,
    hosmer_lemeshow,
    smooth,
    spiegelhalter,
)
from tasks.stats.inference import z_quantile

_GRID = np.linspace(0.0, 1.0, 51)
_BINS = 20
_REPLICATES = 500
_OLD_HABIT = "told for old habits only: it hangs on the groups and on how many cases there are"
Named = Mapping[str, object]


def calibration(asked: AskedOfTable) -> list[Row]:
    """Return the calibration of each modality, then that of each reader, centre and subgroup.

    Outputs without a score are left out, and counted beside. Several cases of a person count
    together: errors are clustered and persons are resampled.
    """
    everything = readings_of(asked)
    everything = everything.only(everything.is_verified)
    readings = everything.only(everything.has_score)
    refuse_other_scores(readings)
    made: list[Row] = []
    for level, part in readings.by("modality"):
        made += _of_modality(asked, part, {"arm": level})
    for name, stratum, part in parts_of(asked, readings):
        for level, of_arm in part.by("modality"):
            named = {"arm": level, "stratum_name": name, "stratum_level": stratum}
            made += _numbers(asked, of_arm, named)
    return made + rates_without_result(asked, everything)


def refuse_other_scores(readings: Readings) -> None:
    """Refuse scores that are no probabilities.

    Raises:
        EstimationError: Scores lie outside 0 to 1.
    """
    score = readings.score
    outside = int(((score < 0) | (score > 1)).sum())
    if outside:
        what = f"score: {outside} of {score.size} lie outside 0 to 1 and are no probabilities"
        raise EstimationError(readings.source.id, what, "give the source a score from 0 to 1.")


def generator(asked: AskedOfTable, named: Named) -> np.random.Generator:
    """Return what draws the resamples of some readings: told by the seed and whose they are."""
    name = repr([asked.analysis.id, *(str(value) for value in named.values())])
    return np.random.default_rng([asked.analysis.seed or 0, zlib.crc32(name.encode())])


def beside(row: Row) -> Row:
    """Return a row as one that stands beside the others: without a number it stops no study."""
    return row | {"role": "exploratory"}


def replicates_of(asked: AskedOfTable) -> int:
    """Return how many resamples are drawn."""
    return asked.analysis.replicates or _REPLICATES


def _predictions(readings: Readings) -> Predictions:
    units = readings.cases if readings.persons is None else readings.persons
    return Predictions(readings.score, readings.truth, units)


def _of_modality(asked: AskedOfTable, readings: Readings, named: Named) -> list[Row]:
    made = _numbers(asked, readings, named)
    try:
        of = _predictions(readings)
    except EstimationError:
        return made
    told = asked.analysis.calibration or CalibrationOf()
    groups = groups_of(of, told.groups)
    made += _tests(asked, of, groups, named)
    made += [
        _row(asked, of, "brier", named, estimate=value, term=term, estimate_scale="identity")
        for term, value in decomposition(of, groups).items()
    ]
    made += [_group(asked, of, group, named) for group in groups]
    return made + _bins(asked, of, named)


def _numbers(asked: AskedOfTable, readings: Readings, named: Named) -> list[Row]:
    """Return the numbers of some readings, and where they are of a modality its curve."""
    try:
        of = _predictions(readings)
    except EstimationError as exc:
        failed = _failed(asked, readings, "calibration_slope", exc.what, named)
        return [beside(failed) if named.get("stratum_name") else failed]
    made = []
    for name, find in calibration_numbers(of):
        try:
            made.append(_of_found(asked, of, find(), named))
        except EstimationError as exc:
            made.append(beside(_failed(asked, readings, name, exc.what, named)))
    return made + _of_curve(asked, of, readings, named)


def _of_curve(asked: AskedOfTable, of: Predictions, readings: Readings, named: Named) -> list[Row]:
    told = asked.analysis.calibration or CalibrationOf()
    at = _GRID[(of.p[0] <= _GRID) & (of.p[-1] >= _GRID)]
    drawn, rng = replicates_of(asked), generator(asked, named)
    try:
        found = smooth(of, at, replicates=drawn, rng=rng, span=told.span)
    except EstimationError as exc:
        return [beside(_failed(asked, readings, "ici", exc.what, named))]
    made = [_distance(asked, of, found, name, named) for name in OF_CURVE]
    if named.get("stratum_name") is not None:
        return made
    return made + [_point(asked, of, found, place, float(x), named) for place, x in enumerate(at)]


def _row(asked: AskedOfTable, of: Predictions, name: str, named: Named, **values: object) -> Row:
    common = {
        "n": of.n,
        "n_events": of.events,
        "n_clusters": int(of.units.max()) + 1 if of.is_clustered else None,
        "unit_of_analysis": "case",
    }
    return asked.row(name, **{**common, **named, **values})


def _failed(asked: AskedOfTable, readings: Readings, name: str, why: str, named: Named) -> Row:
    sizes = {"n": readings.n, "n_events": int(readings.truth.sum()), "unit_of_analysis": "case"}
    return asked.row(name, **{**sizes, **named}, status="not_estimable", note=why)


def _of_found(asked: AskedOfTable, of: Predictions, found: Found, named: Named) -> Row:
    return _row(
        asked,
        of,
        found.name,
        named,
        estimate=found.estimate,
        estimate_scale="ratio" if found.is_ratio else "identity",
        std_error=found.std_error,
        se_scale="log" if found.is_ratio else "identity",
        se_method=found.se_method,
        ci_low=found.ci_low,
        ci_high=found.ci_high,
        ci_level=0.95,
        ci_method="wald_log" if found.is_ratio else "wald",
        term=found.term,
    )


def _distance(asked: AskedOfTable, of: Predictions, found: Smooth, name: str, named: Named) -> Row:
    low, high = found.limits[name]
    return _row(
        asked,
        of,
        name,
        named,
        estimate=found.distances[name],
        estimate_scale="identity",
        std_error=found.errors[name],
        se_scale="identity",
        se_method="bootstrap",
        ci_low=low,
        ci_high=high,
        ci_level=0.95,
        ci_method="percentile",
    )


def _point(
    asked: AskedOfTable, of: Predictions, found: Smooth, place: int, x: float, named: Named
) -> Row:
    """Return a point of the curve, with how many cases lie on either side of it."""
    beyond = (int((of.p <= x).sum()), int((of.p >= x).sum()))
    return _row(
        asked,
        of,
        "calibration_curve",
        named,
        term="smooth",
        at=x,
        at_kind="score",
        estimate=float(found.height[place]),
        estimate_scale="identity",
        ci_low=float(found.band[0, place]),
        ci_high=float(found.band[1, place]),
        ci_level=0.95,
        ci_method="percentile",
    ) | {POINT: beyond}


def _group(asked: AskedOfTable, of: Predictions, group: Group, named: Named) -> Row:
    """Return how many of a group have the condition, and the mean of its probabilities."""
    share = group.events / group.n
    low, high = wilson(share, group.n, z_quantile(0.95))
    return _row(
        asked,
        of,
        "proportion",
        named,
        term="score_group",
        at=group.mean,
        at_kind="score",
        estimate=share,
        estimate_scale="identity",
        ci_low=low,
        ci_high=high,
        ci_level=0.95,
        ci_method="wilson",
        n=group.n,
        n_events=group.events,
        n_clusters=None,
    ) | {PART: True}


def _bins(asked: AskedOfTable, of: Predictions, named: Named) -> list[Row]:
    """Return how many scores lie in each twentieth from 0 to 1."""
    edges = np.linspace(0.0, 1.0, _BINS + 1)
    counts, _ = np.histogram(of.p, edges)
    return [
        _row(
            asked,
            of,
            "count",
            named,
            term="score_bin",
            at=float(low),
            at_kind="score",
            at2=float(high),
            at2_kind="score",
            estimate=float(count),
            estimate_scale="identity",
            n=int(count),
            n_events=None,
            n_clusters=None,
        )
        | {PART: True}
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
        if count
    ]


def _tests(asked: AskedOfTable, of: Predictions, groups: list[Group], named: Named) -> list[Row]:
    """Return Spiegelhalter's z, and Hosmer and Lemeshow's statistic for old habits.

    None where persons have several cases: both take cases as independent.
    """
    if of.is_clustered:
        return []
    made: list[Row] = []
    with suppress(EstimationError):
        z, p = spiegelhalter(of)
        named_z = {"statistic_name": "spiegelhalter_z", "statistic": z, "p_value": p}
        made.append(_row(asked, of, "test", named, term="calibration", **named_z))
    try:
        value, df, p = hosmer_lemeshow(groups)
    except EstimationError:
        return made
    old = {"statistic_name": "hosmer_lemeshow", "statistic": value, "df1": float(df), "p_value": p}
    row = _row(asked, of, "test", named, term="calibration", note=_OLD_HABIT, **old)
    return [*made, beside(row)]
