"""Accuracy where no reference standard is right: latent classes, and references of known errors."""

from collections.abc import Mapping

import numpy as np

from tasks.analysis.people import BoolArray, IntArray
from tasks.analysis.readings.rows import Readings, readings_of
from tasks.analysis.table_asked import AskedOfTable, Row
from tasks.core.errors import EstimationError
from tasks.core.results import BEHIND
from tasks.core.spec.verification import ImperfectReference
from tasks.stats.diagnostic.latent_class import (
    Latent,
    LatentClasses,
    identifies,
    known_reference,
    latent_classes,
)
from tasks.stats.diagnostic.measures import Cells, cells_of, measure

_CAVEAT = "sensitivity analysis: tests are taken as independent given the true condition"
_REFERENCE = "reference standard"
_OF_TESTS = ("sensitivity", "specificity")
_MEASURES = (*_OF_TESTS, "prevalence")


def latent_class(asked: AskedOfTable) -> list[Row]:
    """Return accuracy by latent classes, and by each reference that is taken as known."""
    readings = readings_of(asked)
    readings = readings.only(readings.has_score)
    settings = asked.analysis.imperfect_reference or ImperfectReference()
    return _by_classes(asked, readings, settings) + _by_reference(asked, readings, settings)


def _by_classes(asked: AskedOfTable, readings: Readings, settings: ImperfectReference) -> list[Row]:
    try:
        table = _Wide(readings, settings)
        if settings.known and not identifies(len(table.tests), len(table.populations)):
            return []  # known references are all that is asked for
        found = latent_classes(table.results, table.population, table.units)
    except EstimationError as exc:
        named = {"scenario": "latent_class", "unit_of_analysis": "case"}
        return [
            asked.row(name, status="not_estimable", note=exc.what, n_events=None, **named)
            for name in _OF_TESTS
        ]
    return _rows_of_classes(asked, table, found)


def _rows_of_classes(asked: AskedOfTable, table: "_Wide", found: LatentClasses) -> list[Row]:
    made = []
    for name, values in (("sensitivity", found.sensitivity), ("specificity", found.specificity)):
        for place, value in enumerate(values):
            counts = table.behind(place)
            here = {"arm": table.tests[place], "n": found.n, "n_events": None}
            made.append(_row(asked, name, "latent_class", value, found, here) | {BEHIND: counts})
    for place, value in enumerate(found.prevalence):
        level = table.populations[place]
        stratum = "site" if level is not None else None
        n = int((table.population == place).sum())
        here = {"stratum_name": stratum, "stratum_level": level, "n": n, "n_events": None}
        made.append(_row(asked, "prevalence", "latent_class", value, found, here))
    if found.fit_df and found.fit_p_value is not None:
        named = {"n": found.n, "n_events": None, "scenario": "latent_class", "note": _CAVEAT}
        made.append(
            asked.test("deviance", found.fit_statistic, found.fit_df, found.fit_p_value, **named)
        )
    return made


def _row(
    asked: AskedOfTable,
    name: str,
    scenario: str,
    value: Latent,
    found: LatentClasses | None,
    here: Mapping[str, object],
) -> Row:
    is_clustered = found is not None and found.units < found.n
    clustered = found.units if found is not None and is_clustered else None
    return asked.row(
        name,
        estimate=value.estimate,
        estimate_scale="identity",
        std_error=value.std_error,
        se_scale="identity",
        ci_low=value.ci_low,
        ci_high=value.ci_high,
        ci_level=value.level,
        ci_method="wald_logit",
        scenario=scenario,
        unit_of_analysis="case",
        n_clusters=clustered,
        **{
            "note": _CAVEAT,
            "se_method": "cluster_robust" if is_clustered else "information",
            **here,
        },
    )


class _Wide:
    """A row a case, a column a test: the modalities, and the reference where it is one of them.

    Cases that lack the result of a test are left out.

    Raises:
        EstimationError: A case has several readings of a modality, or no case has all.
    """

    def __init__(self, readings: Readings, settings: ImperfectReference) -> None:
        if settings.reference_is_a_test:
            readings = readings.only(readings.is_verified)
        modality, levels = readings.modality
        _, first, case = np.unique(readings.cases, return_index=True, return_inverse=True)
        read = np.zeros((first.size, len(levels)), dtype=np.int64)
        np.add.at(read, (case, modality), 1)
        if read.max(initial=0) > 1:
            what = "a case has several readings of a modality, such as those of several readers"
            raise EstimationError("latent classes", what, "name one reading a case and modality.")
        results = np.zeros(read.shape, dtype=bool)
        results[case, modality] = readings.is_positive
        if settings.reference_is_a_test:
            results = np.column_stack([results, readings.truth[first]])
        whole = (read == 1).all(axis=1)
        if not whole.any():
            what = "no case has a result of every test"
            raise EstimationError("latent classes", what, "compare tests of the same cases.")
        tests: list[str | None] = list(levels)
        self.tests = [*tests, _REFERENCE] if settings.reference_is_a_test else tests
        self.results: BoolArray = results[whole]
        self.units = None if readings.persons is None else readings.persons[first][whole]
        self.population, self.populations = _populations(readings, settings, first[whole])

    def behind(self, test: int) -> tuple[int, ...]:
        """Return the counts of positive and of negative results of a test in each population."""
        yes = self.results[:, test]
        return tuple(
            int(count)
            for part in (yes, ~yes)
            for count in np.bincount(self.population[part], minlength=len(self.populations))
        )


def _populations(
    readings: Readings, settings: ImperfectReference, cases: IntArray
) -> tuple[IntArray, list[str | None]]:
    if settings.populations == "one" or not readings.has("site"):
        return np.zeros(cases.size, dtype=np.int64), [None]
    labels = readings.rows.values["site"].astype(str)[cases]
    levels, place = np.unique(labels, return_inverse=True)
    return place.astype(np.int64), [str(level) for level in levels]


def _by_reference(
    asked: AskedOfTable, readings: Readings, settings: ImperfectReference
) -> list[Row]:
    """Return accuracy against the truth, beside that against the reference as it stands."""
    readings = readings.only(readings.is_verified)
    if not settings.known or not readings.n:
        return []
    modality, levels = readings.modality
    units = readings.cases if readings.persons is None else readings.persons
    cells = cells_of(readings.is_positive, readings.truth, units, modality)
    made = []
    for place, level in enumerate(levels):
        made += [_as_it_stands(asked, name, cells, place, level) for name in _MEASURES]
        for known in settings.known:
            pair = (known.sensitivity, known.specificity)
            made += [_corrected(asked, name, cells, (place, level), pair) for name in _MEASURES]
    return made


def _as_it_stands(
    asked: AskedOfTable, name: str, cells: Cells, place: int, level: str | None
) -> Row:
    here: dict[str, object] = {"arm": level, "scenario": "as_observed", "unit_of_analysis": "case"}
    try:
        found = measure(name, cells, place)
    except EstimationError as exc:
        here["n_events"] = None
        return asked.row(name, status="not_estimable", note=exc.what, **here)
    return asked.row(
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
        n=found.n,
        n_events=found.count,
        n_clusters=None if cells.is_simple else cells.units,
        **here,
    )


def _corrected(
    asked: AskedOfTable,
    name: str,
    cells: Cells,
    of: tuple[int, str | None],
    pair: tuple[float, float],
) -> Row:
    place, level = of
    counts = tuple(int(count) for count in cells.readings[4 * place : 4 * place + 4])
    here: dict[str, object] = {
        "arm": level,
        "n": sum(counts),
        "n_events": None,
        "at": pair[0],
        "at_kind": "reference_sensitivity",
        "at2": pair[1],
        "at2_kind": "reference_specificity",
    }
    try:
        found = known_reference(name, cells, *pair, place)
    except EstimationError as exc:
        note = {"note": exc.what, "scenario": "known_reference", "unit_of_analysis": "case"}
        return asked.row(name, status="not_estimable", **note, **here)
    here["se_method"] = "delta" if cells.is_simple else "cluster_robust"
    here["note"] = (
        "sensitivity analysis: errors of the reference are taken as known, and as independent of "
        "those of the test"
    )
    row = _row(asked, name, "known_reference", found, None, here)
    return row | {BEHIND: counts}
