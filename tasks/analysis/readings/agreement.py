"""How far readers agree: pairs of them, all of a modality, and each with the truth."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from tasks.analysis.people import FloatArray, IntArray
from tasks.analysis.readings.rows import Readings, readings_of
from tasks.analysis.table_asked import AskedOfTable, Row, finite
from tasks.core.errors import EstimationError
from tasks.core.results import BEHIND
from tasks.core.spec.reader_studies import AgreementOf
from tasks.stats.diagnostic.agreement import (
    Agreement,
    Coefficient,
    Weighting,
    agreement,
)
from tasks.stats.diagnostic.reliability import intraclass, limits_of_agreement

_NAMES: Mapping[str, str] = {"percent_agreement": "percent_agreement", "ac1": "ac1"}
_OF_PAIR: tuple[Coefficient, ...] = ("percent_agreement", "conger", "ac1")
_OF_ALL: tuple[Coefficient, ...] = ("percent_agreement", "fleiss", "conger", "light", "ac1")
_WEIGHTINGS: tuple[Weighting, ...] = ("linear", "quadratic")
_DEPENDENT = "the interval takes cases of one person as independent"


def reader_agreement(asked: AskedOfTable) -> list[Row]:
    """Return agreement of readers in each modality: kappa and its family, or of numbers."""
    readings = readings_of(asked)
    readings = readings.only(readings.has_score)
    chosen = asked.analysis.agreement or AgreementOf()
    values, categories = _values(readings, chosen.of)
    made: list[Row] = []
    modality, levels = readings.modality
    for place, level in enumerate(levels):
        here = np.asarray(modality == place)
        part = _Part(asked, readings.only(here), values[here], categories, level)
        made += part.of_numbers() if chosen.of == "numbers" else part.of_categories()
        made += part.against_truth() if chosen.against_truth else ()
    if not made:
        what = "no two readers have read the same cases with a modality"
        raise EstimationError(asked.rows.source.id, what, "let readers read the same cases.")
    return made


def _values(readings: Readings, of: str) -> tuple[FloatArray, int]:
    """Return what is compared, shape (n,), and how many categories there are."""
    if of == "results":
        return readings.is_positive.astype(np.float64), 2
    levels, member = np.unique(readings.score, return_inverse=True)
    return (readings.score, 0) if of == "numbers" else (member.astype(np.float64), levels.size)


@dataclass(frozen=True, slots=True, eq=False)
class _Shared:
    """The values of some readers on the cases that all of them read, shape (n, r)."""

    values: FloatArray
    units: IntArray

    @property
    def ratings(self) -> IntArray:
        return self.values.astype(np.int64)

    @property
    def has_clusters(self) -> bool:
        return np.unique(self.units).size < self.units.size


class _Part:
    """The readings of one modality."""

    def __init__(
        self,
        asked: AskedOfTable,
        readings: Readings,
        values: FloatArray,
        categories: int,
        level: str | None,
    ) -> None:
        self.asked, self.readings, self.values = asked, readings, values
        self.categories, self.level = categories, level
        self.readers = readings.levels("reader")
        label = readings.rows.values["reader"].astype(str)
        units = readings.cases if readings.persons is None else readings.persons
        self._of: dict[str, tuple[IntArray, FloatArray, IntArray]] = {}
        for reader in self.readers:
            rows = np.flatnonzero(label == reader)
            rows = rows[np.argsort(readings.cases[rows], kind="stable")]
            self._of[reader] = (readings.cases[rows], values[rows], units[rows])

    def _shared(self, readers: tuple[str, ...]) -> _Shared:
        cases = self._of[readers[0]][0]
        for reader in readers[1:]:
            cases = np.intersect1d(cases, self._of[reader][0])
        places = [np.searchsorted(self._of[reader][0], cases) for reader in readers]
        columns = [self._of[r][1][place] for r, place in zip(readers, places, strict=True)]
        return _Shared(np.column_stack(columns), self._of[readers[0]][2][places[0]])

    def _pairs(self) -> Iterator[tuple[Mapping[str, object], _Shared]]:
        for one, other in combinations(self.readers, 2):
            named = {
                "target": one,
                "comparator": other,
                "stratum_name": "reader_pair",
                "stratum_level": f"{one} - {other}",
            }
            shared = self._shared((one, other))
            if shared.units.size:
                yield named, shared

    def of_categories(self) -> list[Row]:
        """Return coefficients of each pair, and of all readers together."""
        made: list[Row] = []
        for named, shared in self._pairs():
            made += [self._coefficient(name, shared, named) for name in _OF_PAIR]
            made += self._weighted(shared, named)
        if len(self.readers) > 1:
            everyone = self._shared(tuple(self.readers))
            made += [self._coefficient(name, everyone, {}) for name in _OF_ALL]
            made += self._weighted(everyone, {})
        return made

    def _weighted(self, shared: _Shared, named: Mapping[str, object]) -> Iterator[Row]:
        for weighting in _WEIGHTINGS if self.categories > 2 else ():
            yield self._coefficient("conger", shared, named, weighting)

    def _coefficient(
        self,
        name: Coefficient,
        shared: _Shared,
        named: Mapping[str, object],
        weighting: Weighting = "none",
    ) -> Row:
        word = "kappa" if weighting == "none" else "weighted_kappa"
        is_cohen = shared.values.shape[1] == 2 and name == "conger"
        term = "cohen" if is_cohen else str(name)
        term = term if weighting == "none" else f"{term}_{weighting}"
        try:
            found = agreement(
                name,
                shared.ratings,
                shared.units,
                weighting=weighting,
                categories=self.categories,
            )
            told = _told(found)
        except EstimationError as exc:
            told = {"status": "not_estimable", "note": exc.what}
        return self._row(_NAMES.get(name, word), shared, {"term": term, **told, **named})

    def _row(self, name: str, shared: _Shared, values: Mapping[str, object]) -> Row:
        has_clusters = shared.has_clusters
        common: dict[str, object] = {
            "arm": self.level,
            "n": shared.units.size,
            "n_events": None,
            "n_clusters": int(np.unique(shared.units).size) if has_clusters else None,
            "unit_of_analysis": "case",
            "inference_space": "cases_only",
        }
        made = self.asked.row(name, **{**common, **values})
        told = made.get(BEHIND)
        persons = told if isinstance(told, tuple) else ()
        return made | {BEHIND: (*persons, *self._cells(shared))}

    def _cells(self, shared: _Shared) -> tuple[int, ...]:
        """Return the counts behind coefficients: of results each cell, else agreed or not."""
        if not self.categories or not shared.units.size:
            return ()
        if self.categories == 2 and shared.values.shape[1] == 2:
            cell = 2 * shared.ratings[:, 0] + shared.ratings[:, 1]
            return tuple(int(count) for count in np.bincount(cell, minlength=4))
        agreed = int((shared.values == shared.values[:, :1]).all(axis=1).sum())
        return agreed, shared.units.size - agreed

    def against_truth(self) -> Iterator[Row]:
        """Yield how far the results of each reader agree with the truth."""
        for reader, part in self.readings.by("reader"):
            part = part.only(part.is_verified)
            if not part.n:
                continue
            both = np.column_stack([part.is_positive, part.truth]).astype(np.float64)
            shared = _Shared(both, part.cases if part.persons is None else part.persons)
            named = {
                "target": reader,
                "comparator": "truth",
                "stratum_name": "reader",
                "stratum_level": reader,
            }
            yield from (self._coefficient(name, shared, named) for name in _OF_PAIR)

    def of_numbers(self) -> list[Row]:
        """Return intraclass correlations of all readers, and limits of agreement of pairs."""
        made: list[Row] = []
        for named, shared in self._pairs():
            made += self._limits(shared, named)
        if len(self.readers) > 1:
            made += self._correlations(self._shared(tuple(self.readers)))
        return made

    def _limits(self, shared: _Shared, named: Mapping[str, object]) -> Iterator[Row]:
        told: dict[str, object]
        try:
            found = limits_of_agreement(shared.values[:, 0] - shared.values[:, 1])
        except EstimationError as exc:
            told = {"status": "not_estimable", "note": exc.what, "term": "bias"}
            yield self._row("agreement_limit", shared, {**named, **told})
            return
        for limit in found:
            told = {
                "estimate": limit.estimate,
                "estimate_scale": "difference",
                "std_error": limit.std_error,
                "se_scale": "identity",
                "ci_low": limit.ci_low,
                "ci_high": limit.ci_high,
                "ci_level": limit.level,
                "ci_method": "t",
                "term": limit.name,
                "note": _DEPENDENT if shared.has_clusters else None,
            }
            yield self._row("agreement_limit", shared, {**named, **told})

    def _correlations(self, shared: _Shared) -> Iterator[Row]:
        told: dict[str, object]
        try:
            found = intraclass(shared.values)
        except EstimationError as exc:
            told = {"status": "not_estimable", "note": exc.what, "term": "ICC(2,1)"}
            yield self._row("icc", shared, told)
            return
        for one in found:
            told = {
                "estimate": one.estimate,
                "estimate_scale": "identity",
                "ci_low": one.ci_low,
                "ci_high": one.ci_high,
                "ci_level": one.level,
                "ci_method": "f",
                "statistic_name": "f",
                "statistic": finite(one.statistic),
                "df1": one.df1,
                "df2": one.df2,
                "p_value": one.p_value,
                "term": one.name,
                "note": _DEPENDENT if shared.has_clusters else None,
            }
            yield self._row("icc", shared, told)


def _told(found: Agreement) -> dict[str, object]:
    return {
        "estimate": found.estimate,
        "estimate_scale": "identity",
        "std_error": found.std_error,
        "se_scale": "identity",
        "se_method": "delta" if found.units == found.cases else "cluster_robust",
        "ci_low": found.ci_low,
        "ci_high": found.ci_high,
        "ci_level": found.level,
        "ci_method": "wald",
    }
