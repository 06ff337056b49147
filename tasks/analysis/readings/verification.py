"""Accuracy corrected for partial verification, beside the naive values and the bounds."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from tasks.analysis.people import BoolArray, FloatArray, IntArray
from tasks.analysis.readings.rows import Readings, readings_of
from tasks.analysis.table_asked import AskedOfTable, Row
from tasks.core.errors import EstimationError
from tasks.core.results import BEHIND
from tasks.core.spec.columns import Category
from tasks.core.spec.verification import Verification
from tasks.stats.diagnostic.verification import (
    MEASURES,
    Corrected,
    Means,
    PartlyVerified,
    begg_greenes,
    begg_greenes_by_model,
    bounds,
    corrected_auc,
    inverse_probability,
    multiple_imputation,
)
from tasks.stats.proportions import proportion

Estimator = Callable[[str], Corrected]
Group = tuple[str | None, str | None, BoolArray]
_NOT_AT_RANDOM = "if cases not verified have these odds over verified ones like them"
_AT_RANDOM = "if verification hangs on results and the covariates of the source alone"
_ALONE = "; results of other modalities are not used: some case has several readings of one"


def verification_bias(asked: AskedOfTable) -> list[Row]:
    """Return, for each modality, naive and corrected accuracy, bounds, and who was verified."""
    readings = _with_result(readings_of(asked))
    made: list[Row] = []
    others = _other_results(readings)
    for place, (level, part) in enumerate(readings.by("modality")):
        made += _OfModality(asked, part, level, others[place]).rows()
    return made


def _result(readings: Readings) -> BoolArray:
    instead = readings.index_test.without_result == "positive"
    return np.where(readings.has_score, readings.is_positive, instead)


def _other_results(readings: Readings) -> list[BoolArray]:
    """Return, for the readings of each modality, the results of the others of the same case.

    A column a modality, and one more where some case was not read with it, shape (n, columns);
    none where a case has several readings of a modality.
    """
    modality, levels = readings.modality
    cases, case = np.unique(readings.cases, return_inverse=True)
    read = np.zeros((cases.size, len(levels)), dtype=np.int64)
    np.add.at(read, (case, modality), 1)
    results = np.zeros(read.shape, dtype=bool)
    results[case, modality] = _result(readings)
    made = []
    for place in range(len(levels)):
        mine = case[modality == place]
        others = [k for k in range(len(levels)) if k != place and read.max() == 1]
        columns = [results[mine, k] for k in others]
        columns += [read[mine, k] == 0 for k in others if (read[mine, k] == 0).any()]
        made.append(np.column_stack([np.zeros((mine.size, 0), dtype=bool), *columns]))
    return made


def _with_result(readings: Readings) -> Readings:
    """Return the readings with a result, or with an output that counts as one."""
    counts_as = readings.index_test.without_result
    is_counted = counts_as in ("positive", "negative")
    return readings if is_counted else readings.only(readings.has_score)


class _OfModality:
    """One modality: its cases, and the rows of results about them."""

    def __init__(
        self, asked: AskedOfTable, readings: Readings, level: str | None, others: BoolArray
    ) -> None:
        self.asked, self.readings = asked, readings
        self.settings = asked.analysis.verification or Verification()
        self.named: dict[str, object] = {"arm": level, "unit_of_analysis": "case"}
        self.cases = self._cases(others)
        uses_others = others.size > 0 or level is None
        self.at_random = _AT_RANDOM if uses_others else _AT_RANDOM + _ALONE
        self.has_covariates = bool(others.size or readings.source.roles.verification_covariates)
        seen, yes, sick = self.cases.verified, self.cases.positive, self.cases.truth
        self.behind = tuple(
            int(part.sum())
            for part in (
                *(seen & (yes == y) & (sick == s) for y in (True, False) for s in (True, False)),
                ~seen & yes,
                ~seen & ~yes,
            )
        )

    def _cases(self, others: BoolArray) -> PartlyVerified:
        part = self.readings
        units = part.cases if part.persons is None else part.persons
        cell, columns = _covariates(part, others)
        return PartlyVerified(
            _result(part), part.truth, part.is_verified, units, cell, columns, others
        )

    def rows(self) -> list[Row]:
        """Return every row about the modality."""
        if not self.cases.n or not self.cases.verified.any():
            return [self._refused("sensitivity", "naive", "no case was verified")]
        made = self._verified()
        for scenario, how, make in self._ways():
            made += self._shares(scenario, how, make)
        for ratio in self.settings.odds_ratios:
            made += self._not_at_random(ratio)
        return made + self._areas() + self._bounds()

    def _ways(self) -> Iterator[tuple[str, str, Callable[[], Estimator]]]:
        cases, settings = self.cases, self.settings
        yield "naive", "binomial", lambda: _of(begg_greenes(_verified_only(cases)))
        yield "begg_greenes", "delta", lambda: _of(begg_greenes(_without_covariates(cases)))
        if self.has_covariates:
            yield "extended_begg_greenes", "delta", lambda: _of(begg_greenes(self._categorical()))
            yield "begg_greenes_by_model", "sandwich", lambda: _of(begg_greenes_by_model(cases))
        yield "inverse_probability", "sandwich", lambda: _of(inverse_probability(cases))
        yield (
            "multiple_imputation",
            "rubin",
            lambda: multiple_imputation(
                cases,
                imputations=settings.imputations,
                rng=np.random.default_rng(settings.seed),
            ),
        )

    def _categorical(self) -> PartlyVerified:
        """Return the cases, if all covariates have categories.

        Raises:
            EstimationError: A covariate is a number.
        """
        kinds = self.readings.source.columns
        for name in self.readings.source.roles.verification_covariates:
            if kinds[name] == "number":
                what = f"covariate {name} is a number: there are no cells of it"
                raise EstimationError("verification", what, "see the model, or declare levels.")
        return self.cases

    def _shares(self, scenario: str, how: str, make: Callable[[], Estimator]) -> list[Row]:
        try:
            estimator = make()
        except EstimationError as exc:
            return [self._refused(name, scenario, exc.what) for name in MEASURES]
        return [self._share(name, scenario, how, estimator) for name in MEASURES]

    def _share(self, name: str, scenario: str, how: str, make: Estimator, **more: object) -> Row:
        try:
            found = make(name)
        except EstimationError as exc:
            return self._refused(name, scenario, exc.what, **more)
        return self._row(name, scenario, how, found, **more)

    def _row(self, name: str, scenario: str, how: str, found: Corrected, **more: object) -> Row:
        is_clustered = found.units < found.n
        note = None if scenario == "naive" else self.at_random
        row = self.asked.row(
            name,
            estimate=found.estimate,
            estimate_scale="identity",
            std_error=found.std_error,
            se_scale="identity",
            se_method=how if not is_clustered or how == "rubin" else "cluster_robust",
            ci_low=found.ci_low,
            ci_high=found.ci_high,
            ci_level=found.level,
            ci_method="wald_logit",
            n=found.n,
            n_events=None,
            n_clusters=found.units if is_clustered else None,
            scenario=scenario,
            **{"note": note, **self.named, **more},
        )
        return self._with_behind(row)

    def _with_behind(self, row: Row) -> Row:
        before = row.get(BEHIND)
        return row | {BEHIND: (*(before if isinstance(before, tuple) else ()), *self.behind)}

    def _refused(self, name: str, scenario: str, why: str, **more: object) -> Row:
        named = {"scenario": scenario, **self.named, **more, "note": why, "n_events": None}
        return self.asked.row(name, status="not_estimable", n=self.cases.n, **named)

    def _not_at_random(self, ratio: float) -> list[Row]:
        """Return what would be if the unverified had other odds than verified ones like them."""
        make = begg_greenes_by_model if self.has_covariates else begg_greenes
        here: dict[str, object] = {"at": ratio, "at_kind": "odds_ratio"}
        here["note"] = _NOT_AT_RANDOM
        scenario = "not_at_random"
        try:
            means = make(self.cases, ratio)
        except EstimationError as exc:
            return [self._refused(name, scenario, exc.what, **here) for name in MEASURES]
        how = "sandwich" if self.has_covariates else "delta"
        return [self._share(name, scenario, how, means.share, **here) for name in MEASURES]

    def _areas(self) -> list[Row]:
        """Return the area under the ROC curve of a score that is more than a result."""
        part = self.readings
        if part.index_test.threshold is None or not part.has_score.all():
            return []
        sign = 1.0 if part.index_test.positive.endswith("above") else -1.0
        score = sign * part.score
        made = []
        for scenario, cases, of, how in (
            ("naive", _verified_only(self.cases), score[self.cases.verified], "influence"),
            ("inverse_probability", self.cases, score, "sandwich"),
        ):
            try:
                made.append(self._row("auc", scenario, how, corrected_auc(cases, of)))
            except EstimationError as exc:
                made.append(self._refused("auc", scenario, exc.what))
        return made

    def _bounds(self) -> list[Row]:
        """Return the worst and the best that each measure could be."""
        return [
            self._proportion(
                found.name,
                found.count,
                found.n,
                scenario="upper_bound" if found.is_upper else "lower_bound",
                note="whatever the cases are that were not verified",
            )
            for found in bounds(self.cases)
        ]

    def _proportion(self, name: str, count: int, n: int, **more: object) -> Row:
        found = proportion(count, n, "wilson")
        row = self.asked.row(
            name,
            estimate=found.estimate,
            estimate_scale="identity",
            std_error=found.std_error,
            se_scale="identity",
            se_method="binomial",
            ci_low=found.ci_low,
            ci_high=found.ci_high,
            ci_level=found.level,
            ci_method="wilson",
            n=n,
            n_events=count,
            **{**self.named, **more},
        )
        return self._with_behind(row)

    def _verified(self) -> list[Row]:
        """Return the share verified: of all, by result, and in each level of the covariates."""
        whole: Group = (None, None, np.ones(self.cases.n, dtype=bool))
        parts = [whole, *_groups(self.readings, self.cases.positive)]
        return [
            self._proportion(
                "verified_fraction",
                int((self.cases.verified & chosen).sum()),
                int(chosen.sum()),
                stratum_name=name,
                stratum_level=level,
            )
            for name, level, chosen in parts
            if chosen.any()
        ]


def _of(means: Means) -> Estimator:
    return means.share


def _groups(readings: Readings, positive: BoolArray) -> Iterator[Group]:
    """Yield the cases with each result, and of each level of each covariate of categories."""
    yield "result", "positive", positive
    yield "result", "negative", np.asarray(~positive)
    for name in readings.source.roles.verification_covariates:
        kind = readings.source.columns[name]
        values = readings.rows.values[f"x_{name}"]
        if isinstance(kind, Category):
            yield from ((name, level, np.asarray(values == level)) for level in kind.category)
        elif kind == "boolean":
            yield from ((name, str(v), np.asarray(values == v)) for v in (0, 1))


def _covariates(readings: Readings, others: BoolArray) -> tuple[IntArray, FloatArray]:
    """Return the cell of each case among the categories, and the columns of the models."""
    cell = (others @ (1 << np.arange(others.shape[1]))).astype(np.int64)
    columns = [np.empty((readings.n, 0))]
    for name in readings.source.roles.verification_covariates:
        kind, values = readings.source.columns[name], readings.rows.values[f"x_{name}"]
        if isinstance(kind, Category):
            flags = np.column_stack([values == level for level in kind.category[1:]])
            columns.append(flags.astype(np.float64))
            place = flags @ np.arange(1, flags.shape[1] + 1)
            cell = cell * len(kind.category) + place
        else:
            columns.append(readings.rows.numbers(f"x_{name}")[:, None])
            is_number = kind == "number"
            cell = cell if is_number else 2 * cell + (values == 1)
    return np.unique(cell, return_inverse=True)[1].astype(np.int64), np.column_stack(columns)


def _verified_only(cases: PartlyVerified) -> PartlyVerified:
    seen = cases.verified
    kept: Mapping[str, np.ndarray] = {
        name: getattr(cases, name)[seen]
        for name in ("positive", "truth", "verified", "units", "covariates")
    }
    return PartlyVerified(cell=np.zeros(int(seen.sum()), dtype=np.int64), **kept)


def _without_covariates(cases: PartlyVerified) -> PartlyVerified:
    return PartlyVerified(
        cases.positive,
        cases.truth,
        cases.verified,
        cases.units,
        np.zeros(cases.n, dtype=np.int64),
        np.empty((cases.n, 0)),
    )
