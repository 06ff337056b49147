"""Table 1: covariates of cohorts, or of the arms in every population, and how much they differ."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np

from tasks.analysis.covariates import (
    BoolArray,
    Covariate,
    CovariateMatrix,
    FloatArray,
    IntArray,
    load_covariates,
)
from tasks.analysis.populations import Population
from tasks.core.labels import joined
from tasks.core.results import result_row
from tasks.core.spec import Covariate as CovariateSpec
from tasks.core.spec import StudySpec
from tasks.core.spec.characterisation import TableOne

Row = dict[str, object]
_ALIKE = 1e-12  # what weights leave of a covariate that everybody has


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """Persons of one column of the table: their rows of a matrix, and weights; None counts all.

    `among_measured` marks covariates that are described among those who have a value: a cell that
    is stored, be it 0.
    """

    name: str
    size: int
    matrix: Any
    weights: FloatArray | None
    among_measured: BoolArray

    @property
    def mean(self) -> FloatArray:
        """Weighted mean of every covariate."""
        return self._total(self.matrix, 1) / self._weight(1)

    @property
    def variance(self) -> FloatArray:
        """Weighted variance of every covariate, with Bessel's correction."""
        squares = self.matrix.multiply(self.matrix)
        spread = self._total(squares, 1) / self._weight(1) - self.mean**2
        rest = self._weight(1) ** 2 - self._weight(2)
        with np.errstate(divide="ignore", invalid="ignore"):
            bessel = np.where(rest > 0, self._weight(1) ** 2 / rest, np.nan)
        return np.asarray(np.maximum(spread, 0.0) * bessel)

    @property
    def having(self) -> IntArray:
        """Number of persons who do not have 0, of every covariate."""
        return np.asarray((self.matrix != 0).sum(axis=0), dtype=np.int64).ravel()

    @property
    def described(self) -> IntArray:
        """Number of persons whom each covariate describes."""
        return np.where(self.among_measured, self._stored(np.ones(self.size)), self.size).astype(
            np.int64
        )

    def _weight(self, power: int) -> FloatArray:
        w = self._w**power
        total = np.where(self.among_measured, self._stored(w), w.sum())
        return np.where(total > 0, total, np.nan)

    def _stored(self, w: FloatArray) -> FloatArray:
        there = self.matrix.copy()
        there.data = np.ones_like(there.data)
        return self._dot(there, w)

    def _total(self, matrix: Any, power: int) -> FloatArray:
        return self._dot(matrix, self._w**power)

    def _dot(self, matrix: Any, w: FloatArray) -> FloatArray:
        return np.asarray(matrix.T @ w, dtype=np.float64)

    @property
    def _w(self) -> FloatArray:
        return np.ones(self.size) if self.weights is None else self.weights


def table_one_of_cohorts(
    con: duckdb.DuckDBPyConnection, spec: StudySpec, item: TableOne
) -> list[Row]:
    """Return means and shares of each cohort, and the differences of the first two."""
    numbers = _numbers(spec)
    made = [
        load_covariates(con, spec, _chosen(spec, item), numbers[name], with_reference=True)
        for name in item.cohorts
    ]
    covariates, matrices = _aligned(made)
    groups = [
        _Group(name, one.person_id.size, matrix, None, _among_measured(covariates))
        for name, one, matrix in zip(item.cohorts, made, matrices, strict=True)
    ]
    common = {"population": "cohort"}
    rows = _rows(item.id, covariates, groups, common)
    if len(groups) > 1:
        rows += _smd(item.id, covariates, groups[:2], groups[:2], common)
    return rows


def table_one_of_arms(
    con: duckdb.DuckDBPyConnection,
    spec: StudySpec,
    item: TableOne,
    populations: Mapping[str, Population],
) -> list[Row]:
    """Return means and shares of both arms in each population; differences in units of the crude.

    The denominator of a difference is that before any adjustment, so that weights cannot hide it.
    """
    made = load_covariates(con, spec, _chosen(spec, item), with_reference=True)
    crude = _arms(spec, made, populations["crude"])
    rows: list[Row] = []
    for name, population in populations.items():
        groups = _arms(spec, made, population)
        common = {"population": name, "estimand": population.estimand}
        rows += _rows(item.id, made.covariates, groups, common)
        rows += _smd(item.id, made.covariates, groups, crude, common)
    return rows


def _chosen(spec: StudySpec, item: TableOne) -> list[CovariateSpec]:
    by_id = {covariate.id: covariate for covariate in spec.covariates}
    return [by_id[name] for name in item.covariates]


def _numbers(spec: StudySpec) -> dict[str, int]:
    """Number of each cohort in cohort.covariate_index: in the order in which tables name them."""
    tables = spec.characterisation.table_one if spec.characterisation else ()
    named = dict.fromkeys(name for item in tables for name in item.cohorts)
    return {name: number for number, name in enumerate(named, start=1)}


def _arms(spec: StudySpec, made: CovariateMatrix, population: Population) -> list[_Group]:
    names = {True: spec.trial.target.id, False: spec.trial.comparator.id}
    return [
        _Group(
            names[side],
            arm.rows.size,
            made.sparse[arm.rows],
            arm.weights,
            _among_measured(made.covariates),
        )
        for side in (True, False)
        for arm in (population.arm(side),)
    ]


def _among_measured(covariates: Sequence[Covariate]) -> BoolArray:
    return np.array([c.among_measured for c in covariates], dtype=bool)


def _aligned(made: Sequence[CovariateMatrix]) -> tuple[tuple[Covariate, ...], list[Any]]:
    """Covariates that any cohort has, with a column in each: who has none has 0."""
    order: dict[str, Covariate] = {}
    for one in made:
        order |= {c.id: c for c in one.covariates if c.id not in order}
    wanted = list(order.values())
    matrices = []
    for one in made:
        places = {c.id: i for i, c in enumerate(one.covariates)}
        columns = [places.get(c.id, len(places)) for c in wanted]
        empty = one.sparse[:, :0] if not places else one.sparse
        matrices.append(_with_empty(empty)[:, columns])
    return tuple(wanted), matrices


def _with_empty(matrix: Any) -> Any:
    """The matrix with one more column, of zeros."""
    wider = matrix.copy()
    wider.resize((matrix.shape[0], matrix.shape[1] + 1))
    return wider


def _rows(
    analysis_id: str,
    covariates: Sequence[Covariate],
    groups: Sequence[_Group],
    common: Mapping[str, object],
) -> list[Row]:
    rows: list[Row] = []
    for group in groups:
        about = {"arm": group.name, "n": group.size, **common}
        rows.append(_row(analysis_id, "count", float(group.size), unit="persons", **about))
        rows += _levels(analysis_id, covariates, group, about)
    return rows


def _levels(
    analysis_id: str, covariates: Sequence[Covariate], group: _Group, about: Mapping[str, object]
) -> Iterator[Row]:
    if not group.size:
        return
    mean, deviation = group.mean, np.sqrt(group.variance)
    having, described = group.having, group.described
    for i, covariate in enumerate(covariates):
        counted = group.weights is None and (covariate.is_binary or covariate.is_sparse)
        yield _row(
            analysis_id,
            "proportion" if covariate.is_binary else "mean",
            _finite(mean[i]),
            statistic_name="sd",
            statistic=_finite(deviation[i]),
            n_events=int(having[i]) if counted else None,
            status="ok" if np.isfinite(mean[i]) else "not_estimable",
            **_about(covariate),
            **{**about, "n": int(described[i])},
        )


def _smd(
    analysis_id: str,
    covariates: Sequence[Covariate],
    groups: Sequence[_Group],
    before: Sequence[_Group],
    common: Mapping[str, object],
) -> Iterator[Row]:
    """Difference of means over the root of the mean variance of the groups before adjustment."""
    if not all(group.size > 1 for group in (*groups, *before)):
        return
    target, comparator = groups
    gap = target.mean - comparator.mean
    pooled = np.sqrt((before[0].variance + before[1].variance) / 2)
    for i, covariate in enumerate(covariates):
        same = abs(gap[i]) < _ALIKE and not pooled[i] > 0
        value = 0.0 if same else _finite(gap[i] / pooled[i]) if pooled[i] > 0 else None
        yield _row(
            analysis_id,
            "smd",
            value,
            target=target.name,
            comparator=comparator.name,
            n=target.size + comparator.size,
            status="ok" if value is not None else "not_estimable",
            **_about(covariate),
            **common,
        )


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _about(covariate: Covariate) -> dict[str, object]:
    return {
        "term": covariate.id,
        "stratum_name": covariate.group or None,
        "note": joined(covariate.label_en, covariate.label_ko),
    }


def _row(analysis_id: str, name: str, value: float | None, **values: object) -> Row:
    return result_row(
        analysis_id,
        "descriptive",
        name,
        method="table_one",
        estimate=value,
        unit_of_analysis="person",
        **values,
    )
