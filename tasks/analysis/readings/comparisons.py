"""Modalities held against each other, or against a goal: differences, tests and margins."""

from collections.abc import Callable, Mapping

import numpy as np

from tasks.analysis.people import BoolArray
from tasks.analysis.readings.rows import Readings
from tasks.analysis.table_asked import AskedOfTable, Row
from tasks.core.errors import EstimationError
from tasks.core.spec.index_tests import Hypothesis
from tasks.stats.diagnostic.margins import Statistic, Verdict, judge, wald
from tasks.stats.diagnostic.measures import (
    MEASURES,
    OF_PREVALENCE,
    RATIOS,
    Cells,
    Gap,
    cells_of,
    gap,
    measure,
)
from tasks.stats.diagnostic.paired_shares import (
    Discordance,
    discordance,
    generalised_score,
    mcnemar,
)

Result = Callable[[Readings, str], tuple[BoolArray, BoolArray]]
_OF_TRUTH = {"sensitivity": True, "specificity": False}
_SHOWN = {
    ("superiority", True): "superiority is shown",
    ("superiority", False): "superiority is not shown",
    ("non_inferiority", True): "non-inferiority is shown against this margin",
    ("non_inferiority", False): "non-inferiority is not shown against this margin",
    ("equivalence", True): "equivalence is shown within this margin",
    ("equivalence", False): "equivalence is not shown within this margin",
}


def compared(asked: AskedOfTable, readings: Readings, result: Result) -> list[Row]:
    """Return each modality held against the first, and each against the goal of the study."""
    is_positive, used = result(readings, readings.index_test.without_result)
    part, positive = readings.only(used), is_positive[used]
    modality, levels = part.modality
    units = part.cases if part.persons is None else part.persons
    cells = cells_of(positive, part.truth, units, modality, part.weights)
    made: list[Row] = []
    for new in range(1, len(levels)):
        named = {
            "target": levels[new],
            "comparator": levels[0],
            "stratum_level": f"{levels[new]} - {levels[0]}",
            "unit_of_analysis": "case",
        }
        pair = _Pair(asked, part, positive, cells, new, named)
        made += [row for name in MEASURES if name != "prevalence" for row in pair.rows(name)]
    return made + _against_goal(asked, cells, levels)


class _Pair:
    """Two modalities of the same readings: the new one, and the first."""

    def __init__(
        self,
        asked: AskedOfTable,
        readings: Readings,
        positive: BoolArray,
        cells: Cells,
        new: int,
        named: Mapping[str, object],
    ) -> None:
        self.asked, self.readings, self.positive = asked, readings, positive
        self.cells, self.new, self.named = cells, new, named
        self.modality = readings.modality[0]
        claim = asked.analysis.hypothesis
        self.level = 1 - 2 * claim.alpha if claim else 0.95

    def rows(self, name: str) -> list[Row]:
        """Return the difference or ratio of one measure, its tests, and what they show."""
        if name in OF_PREVALENCE and self.readings.source.sampling == "case_control":
            return []
        try:
            found = gap(name, self.cells, self.new, 0, self.level)
        except EstimationError as exc:
            return [self._failed(name, exc.what)]
        pairs = self._discordance(name)
        return [self._gap(found, pairs), *self._tests(name, pairs)]

    def _failed(self, name: str, why: str) -> Row:
        named = {**self.named, "n_events": None}
        return self.asked.row(gap_name(name), status="not_estimable", note=why, **named)

    def _discordance(self, name: str) -> Discordance | None:
        """Return the discordant pairs of a share of the same independent cases; else nothing."""
        if name not in ("sensitivity", "specificity", "accuracy") or not self.cells.is_simple:
            return None
        right = np.asarray(self.positive == self.readings.truth)
        truth = self.readings.truth
        chosen = truth == _OF_TRUTH[name] if name in _OF_TRUTH else np.ones_like(truth)
        new, old = (np.flatnonzero(chosen & (self.modality == place)) for place in (self.new, 0))
        cases = self.readings.cases
        new, old = new[np.argsort(cases[new])], old[np.argsort(cases[old])]
        if not np.array_equal(cases[new], cases[old]):
            return None
        return discordance(right[new], right[old])

    def _gap(self, found: Gap, pairs: Discordance | None) -> Row:
        low, high = (found.ci_low, found.ci_high) if pairs is None else pairs.interval(found.level)
        made = self.asked.row(
            gap_name(found.name),
            estimate=found.estimate,
            estimate_scale="ratio" if found.is_ratio else "difference",
            std_error=found.std_error,
            se_scale="log" if found.is_ratio else "identity",
            se_method=self._design(pairs),
            ci_low=low,
            ci_high=high,
            ci_level=found.level,
            ci_method="wald" if pairs is None else "tango",
            **self._sizes(pairs, found),
            **self.named,
        )
        statistic: Statistic = wald(found.estimate, found.std_error)
        if found.is_ratio or self.asked.analysis.hypothesis is None:
            return made
        return made | judged(self.asked.analysis.hypothesis, pairs.tango if pairs else statistic)

    def _design(self, pairs: Discordance | None) -> str:
        if pairs is not None:
            return "paired"
        return "unpaired" if self._is_unpaired() else "paired, clustered"

    def _is_unpaired(self) -> bool:
        units = self.readings.cases if self.readings.persons is None else self.readings.persons
        first, second = (units[self.modality == place] for place in (self.new, 0))
        return not np.isin(first, second).any()

    def _sizes(self, pairs: Discordance | None, found: Gap) -> dict[str, object]:
        """Return how many cases, and in how many of them the two differ."""
        if pairs is None:
            return {"n": found.n, "n_events": None, "n_clusters": found.units}
        return {"n": pairs.n, "n_events": pairs.only_new + pairs.only_old}

    def _tests(self, name: str, pairs: Discordance | None) -> list[Row]:
        if name in ("ppv", "npv"):
            return self._of_predictive_value(name)
        if pairs is None:
            return []
        found = mcnemar(pairs)
        tests = (
            ("mcnemar", found.statistic, found.p_value),
            ("mcnemar_corrected", found.corrected, found.corrected_p_value),
            ("mcnemar_exact", None, found.exact_p_value),
            ("mcnemar_mid_p", None, found.mid_p_value),
        )
        sizes = self._sizes(pairs, gap(name, self.cells, self.new, 0))
        return [self._test(name, test, sizes) for test in tests]

    def _of_predictive_value(self, name: str) -> list[Row]:
        both = (self.modality == 0) | (self.modality == self.new)
        counted = both & (self.positive if name == "ppv" else ~self.positive)
        right = self.positive == self.readings.truth
        units = self.readings.cases if self.readings.persons is None else self.readings.persons
        try:
            found = generalised_score(
                np.asarray(counted), np.asarray(self.modality == self.new), np.asarray(right), units
            )
        except EstimationError:
            return []
        sizes: dict[str, object] = {"n": int(counted.sum()), "n_events": None}
        return [self._test(name, ("generalised_score", *found), sizes)]

    def _test(
        self, name: str, test: tuple[str, float | None, float], sizes: Mapping[str, object]
    ) -> Row:
        statistic_name, statistic, p_value = test
        return self.asked.row(
            "test",
            statistic_name=statistic_name,
            statistic=statistic,
            df1=None if statistic is None else 1.0,
            p_value=p_value,
            term=name,
            **sizes,
            **self.named,
        )


def gap_name(name: str) -> str:
    """Return the estimate name of a measure of two modalities."""
    return f"{name}_ratio" if name in RATIOS else f"{name}_difference"


def judged(hypothesis: Hypothesis, statistic: Statistic) -> Row:
    """Return what a row says of a claim: the margin, the one-sided test, and the words."""
    found = judge(hypothesis.claim, hypothesis.margin, statistic, hypothesis.alpha)
    return {
        "margin": hypothesis.margin,
        "alternative": hypothesis.claim,
        "statistic_name": "z",
        "statistic": found.statistic if np.isfinite(found.statistic) else None,
        "p_value": found.p_value,
        "note": words(found, hypothesis),
    }


def words(found: Verdict, hypothesis: Hypothesis) -> str:
    """Return in words what a test against a margin has shown."""
    level = f"one-sided {hypothesis.alpha:g}"
    return f"{_SHOWN[found.claim, found.is_shown]} ({level}, margin {found.margin:g})"


def _against_goal(asked: AskedOfTable, cells: Cells, levels: tuple[str | None, ...]) -> list[Row]:
    """Return sensitivity and specificity of each modality held against a fixed goal."""
    hypothesis = asked.analysis.hypothesis
    if hypothesis is None or hypothesis.goal is None:
        return []
    made = []
    for place, level in enumerate(levels):
        for name in ("sensitivity", "specificity"):
            try:
                found = measure(name, cells, place)
            except EstimationError:
                continue
            size = found.n if cells.is_simple else _effective(found.estimate, found.std_error)
            made.append(
                asked.row(
                    f"{name}_difference",
                    estimate=found.estimate - hypothesis.goal,
                    estimate_scale="difference",
                    std_error=found.std_error,
                    se_scale="identity",
                    se_method=found.se_method,
                    ci_low=found.ci_low - hypothesis.goal,
                    ci_high=found.ci_high - hypothesis.goal,
                    ci_level=found.level,
                    ci_method=found.ci_method,
                    n=found.n,
                    n_events=found.count,
                    target=level,
                    comparator=f"{hypothesis.goal:g}",
                    stratum_level="goal",
                    unit_of_analysis="case",
                )
                | judged(hypothesis, _score(found.estimate, size, hypothesis.goal))
            )
    return made


def _effective(share: float, std_error: float) -> float:
    return share * (1 - share) / std_error**2 if std_error > 0 else 1.0


def _score(share: float, size: float, goal: float) -> Statistic:
    """Return the score statistic of a share against the goal shifted by a value."""

    def at(shift: float) -> float:
        held = min(max(goal + shift, 1e-12), 1 - 1e-12)
        return float((share - held) / np.sqrt(held * (1 - held) / size))

    return at
