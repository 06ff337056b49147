"""Reader studies: each reader, each modality over readers, and what their differences show."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from tasks.analysis.people import FloatArray
from tasks.analysis.readings.accuracy import result_of
from tasks.analysis.readings.comparisons import words
from tasks.analysis.readings.reader_design import ReaderDesign, design_of, has_one_truth
from tasks.analysis.readings.rows import Readings, readings_of
from tasks.analysis.table_asked import AskedOfTable, Row, finite
from tasks.core.errors import EstimationError
from tasks.core.results import BEHIND
from tasks.core.spec.index_tests import Hypothesis
from tasks.core.spec.reader_studies import ReaderStudy as Asked
from tasks.stats.diagnostic.margins import judge, wald
from tasks.stats.diagnostic.reader_figures import Figures, figures_of
from tasks.stats.diagnostic.reader_study import (
    SPACES,
    Estimate,
    ReaderStudy,
    Space,
    estimate_of,
)
from tasks.stats.inputs import BoolArray
from tasks.stats.proportions import proportion

_OF_TRUTH = {"sensitivity": True, "specificity": False}
_CASES_ONLY = "cases_only"
_LOW_SIDE = ("at_or_below", "below")


def reader_study(asked: AskedOfTable) -> list[Row]:
    """Return the readers and modalities of a study, for each figure of merit that it asks for."""
    readings = readings_of(asked)
    readings = readings.only(readings.is_verified)
    made: list[Row] = []
    for figure in (asked.analysis.reader_study or Asked()).figures:
        try:
            made += _of_figure(asked, readings, figure)
        except EstimationError as exc:
            note = f"{exc.what}; {exc.fix}" if exc.fix else exc.what
            made.append(asked.row(figure, status="not_estimable", note=note, n_events=None))
    return made


def _of_figure(asked: AskedOfTable, readings: Readings, figure: str) -> list[Row]:
    chosen = asked.analysis.reader_study or Asked()
    has_one_truth(readings)
    value, used = _values(readings, figure)
    design = design_of(readings.only(used), value[used], chosen.incomplete)
    figures = figures_of(design.cells, figure == "auc", chosen.covariance)
    return FigureRows(asked, design, figures, figure, f"{figure}_difference", figure).rows()


def _values(readings: Readings, figure: str) -> tuple[FloatArray, BoolArray]:
    """Return what a figure is made of, and which readings it uses, shape (n,) each.

    An output without a result has a score below or above all others, as it counts.
    """
    counts_as = readings.index_test.without_result
    if figure == "auc":
        is_low = readings.index_test.positive in _LOW_SIDE
        score = -readings.score if is_low else readings.score
        instead = _extreme(readings, counts_as)
        used = readings.has_score | (counts_as != "left_out")
        return np.where(readings.has_score, score, instead), np.asarray(used)
    is_positive, used = result_of(readings, counts_as)
    truth = _OF_TRUTH[figure]
    right = np.asarray(is_positive == truth, dtype=np.float64)
    return right, np.asarray(used & (readings.truth == truth))


def _extreme(readings: Readings, counts_as: str) -> FloatArray:
    high = {"positive": True, "negative": False}.get(counts_as, ~readings.truth)
    return np.where(high, np.inf, -np.inf)


@dataclass(frozen=True, slots=True, eq=False)
class FigureRows:
    """The rows of results of a figure of merit of all cells, and how they are named.

    A figure on the log scale (`is_log`) is told as itself, its differences as ratios, and less
    of it is better. Where `takes_claim` is False the margin of the study is not of this figure.
    """

    asked: AskedOfTable
    design: ReaderDesign
    figures: Figures
    name: str
    gap_name: str
    term: str
    is_log: bool = False
    takes_claim: bool = True

    def rows(self) -> list[Row]:
        """Return readers, then each inference space (the chosen one as the analysis' own)."""
        made = [*self._readers(), *self._gaps_of_readers(), *self._components()]
        for space in SPACES:
            made += self._in_space(space)
        return made + self._incomplete()

    def _study(self, level: float = 0.95) -> ReaderStudy:
        t, r = self.design.shape
        values = self.figures.value.reshape(t, r)
        return ReaderStudy(values, self.figures.covariance, self.design.is_nested, level)

    @property
    def _claim(self) -> Hypothesis | None:
        return self.asked.analysis.hypothesis if self.takes_claim else None

    @property
    def _gap_level(self) -> float:
        return 1 - 2 * self._claim.alpha if self._claim else 0.95

    @property
    def _method(self) -> str:
        covariance = (self.asked.analysis.reader_study or Asked()).covariance
        return f"{covariance}_of_persons" if self.design.has_clusters() else covariance

    def _sizes(self, *places: int) -> dict[str, object]:
        """Return the cases of modalities, and the persons where these have several."""
        cells = [cell for place in places for cell in self.design.of(place)]
        case = np.unique(np.concatenate([cell.case for cell in cells]))
        sick = np.unique(np.concatenate([cell.case[cell.truth] for cell in cells]))
        units = np.unique(np.concatenate([cell.unit for cell in cells])).size
        clusters = units if self.design.has_clusters() else None
        is_mixed = self.name == "auc"
        events = int(sick.size) if is_mixed else None
        return {"n": int(case.size), "n_events": events, "n_clusters": clusters}

    def _behind(self, *places: int) -> tuple[int, ...]:
        """Return right and wrong readings of all readers; of numbers there are none to tell."""
        if self.name not in _OF_TRUTH:
            return ()
        cells = [cell for place in places for cell in self.design.of(place)]
        right = int(sum(cell.value.sum() for cell in cells))
        return right, sum(cell.value.size for cell in cells) - right

    def _row(self, name: str, places: tuple[int, ...], /, **values: object) -> Row:
        common = {
            "scenario": self.design.name,
            "unit_of_analysis": "case",
            "se_method": self._method,
        }
        made = self.asked.row(name, **{**common, **self._sizes(*places), **values})
        told = made.get(BEHIND)
        persons = told if isinstance(told, tuple) else ()
        return made | {BEHIND: (*persons, *self._behind(*places))}

    def _readers(self) -> Iterator[Row]:
        t, r = self.design.shape
        for place in range(t * r):
            modality, reader = divmod(place, r)
            cell = self.design.cells[place]
            count = int(cell.truth.sum() if self.name == "auc" else cell.value.sum())
            values: dict[str, object] = {
                "arm": self.design.modalities[modality],
                "stratum_name": "reader",
                "stratum_level": self.design.readers[modality][reader],
                "n": int(cell.case.size),
                "n_events": count if self.name in ("auc", *_OF_TRUTH) else None,
                "inference_space": _CASES_ONLY,
            }
            variance = float(self.figures.covariance[place, place])
            values |= self._of_cell(float(self.figures.value[place]), variance)
            if self.name in _OF_TRUTH and not self.design.has_clusters():
                share = proportion(count, cell.case.size, "wilson")
                values |= {"ci_low": share.ci_low, "ci_high": share.ci_high, "ci_level": 0.95}
                values["ci_method"] = "wilson"
            yield self._row(self.name, (modality,), **values)

    def _of_cell(self, value: float, variance: float) -> dict[str, object]:
        """Return a figure of one cell; one that does not vary has no interval."""
        try:
            return self._told(estimate_of(value, variance, float("inf"), 0.95))
        except EstimationError:
            told = float(np.exp(value)) if self.is_log else value
            return {"estimate": told, "estimate_scale": "identity", "term": self.term}

    def _told(self, found: Estimate) -> dict[str, object]:
        """Return the columns of a mean, a share within 0 and 1."""
        numbers = (found.estimate, found.ci_low, found.ci_high)
        if self.is_log:
            told = tuple(float(np.exp(number)) for number in numbers)
        elif self.name in ("auc", *_OF_TRUTH):
            told = tuple(min(max(number, 0.0), 1.0) for number in numbers)
        else:
            told = numbers
        return {
            "estimate": told[0],
            "estimate_scale": "identity",
            "unit": "seconds" if self.name == "reading_time" else None,
            "std_error": found.std_error,
            "se_scale": "log" if self.is_log else "identity",
            "ci_low": told[1],
            "ci_high": told[2],
            "ci_level": found.level,
            "ci_method": "wald" if np.isinf(found.df) else "t",
            "df2": finite(found.df),
            "term": self.term,
        }

    def _gaps_of_readers(self) -> Iterator[Row]:
        """Yield the difference of each reader, where readers have read in several modalities."""
        study = self._study(self._gap_level)
        if self.design.is_nested:
            return
        for new, old in study.pairs():
            for place, reader in enumerate(self.design.readers[0]):
                named = {**self._pair(new, old), "stratum_name": "reader", "stratum_level": reader}
                named["inference_space"] = _CASES_ONLY
                try:
                    found = study.of_reader(new, old, place)
                except EstimationError:
                    gap = float(study.figures[new, place] - study.figures[old, place])
                    note = "the two never differ in their cases"
                    told = float(np.exp(gap)) if self.is_log else gap
                    yield self._row(self.gap_name, (new, old), estimate=told, note=note, **named)
                    continue
                yield self._row(self.gap_name, (new, old), **self._gap(found), **named)

    def _pair(self, new: int, old: int) -> dict[str, object]:
        target, comparator = self.design.modalities[new], self.design.modalities[old]
        return {
            "target": target,
            "comparator": comparator,
            "stratum_level": f"{target} - {comparator}",
        }

    def _gap(self, found: Estimate) -> dict[str, object]:
        """Return the columns of a difference or ratio, two-sided unless a claim is tested."""
        told = self._told_gap(found)
        claim = self._claim
        statistic = {"statistic_name": "z" if np.isinf(found.df) else "t"}
        if claim is None:
            more = {"statistic": found.statistic, "p_value": found.p_value}
            return told | statistic | more | {"alternative": "two_sided"}
        margin = float(-np.log1p(-claim.margin)) if self.is_log else claim.margin
        better = -found.estimate if self.is_log else found.estimate
        held = judge(claim.claim, margin, wald(better, found.std_error), claim.alpha, found.df)
        return told | statistic | {
            "statistic": held.statistic,
            "p_value": held.p_value,
            "margin": claim.margin,
            "alternative": claim.claim,
            "note": words(held, claim),
        }  # fmt: skip

    def _told_gap(self, found: Estimate) -> dict[str, object]:
        told = self._told(found)
        if not self.is_log:
            told |= {"estimate": found.estimate, "ci_low": found.ci_low, "ci_high": found.ci_high}
            return told | {"estimate_scale": "difference"}
        return told | {"estimate_scale": "ratio", "unit": None}

    def _components(self) -> Iterator[Row]:
        found = self._study().components()
        everyone = tuple(range(self.design.shape[0]))
        for name in ("var_reader", "var_reader_modality", "var_error", "cov1", "cov2", "cov3"):
            value = getattr(found, name)
            if value is not None:
                yield self._row(
                    name, everyone, estimate=value, estimate_scale="identity", term=self.term
                )

    def _in_space(self, space: Space) -> Iterator[Row]:
        chosen = (self.asked.analysis.reader_study or Asked()).inference
        role = self.asked.analysis.role if space == chosen else "sensitivity"
        for row in (*self._means(space), *self._gaps(space), *self._equality(space)):
            yield row | {"role": role, "inference_space": space}

    def _means(self, space: Space) -> Iterator[Row]:
        study = self._study()
        for place, level in enumerate(self.design.modalities):
            try:
                told = self._told(study.mean(place, space))
            except EstimationError as exc:
                told = {"status": "not_estimable", "note": exc.what, "term": self.term}
            yield self._row(self.name, (place,), arm=level, **told)

    def _gaps(self, space: Space) -> Iterator[Row]:
        study = self._study(self._gap_level)
        for new, old in study.pairs():
            try:
                told = self._gap(study.difference(new, old, space))
            except EstimationError as exc:
                told = {"status": "not_estimable", "note": exc.what, "term": self.term}
            yield self._row(self.gap_name, (new, old), **{**self._pair(new, old), **told})

    def _equality(self, space: Space) -> Iterator[Row]:
        everyone = tuple(range(self.design.shape[0]))
        if len(everyone) < 2:
            return
        try:
            found = self._study().equality(space)
        except EstimationError as exc:
            yield self._row("test", everyone, status="not_estimable", note=exc.what, term=self.term)
            return
        is_normal = np.isinf(found.df2)
        told: Mapping[str, object] = {
            "statistic_name": f"obuchowski_rockette_{'chi2' if is_normal else 'f'}",
            "statistic": found.statistic,
            "df1": found.df1,
            "df2": finite(found.df2),
            "p_value": found.p_value,
        }
        yield self._row("test", everyone, term=self.term, **told)

    def _incomplete(self) -> list[Row]:
        """Return how many cases are left out since not all who share cases have read them."""
        if not self.design.left_out:
            return []
        row = self.asked.row(
            "count",
            estimate=float(self.design.left_out),
            estimate_scale="identity",
            n=self.design.cases,
            n_events=self.design.left_out,
            term=self.term,
            stratum_name="incomplete_cases",
            scenario=self.design.name,
            unit_of_analysis="case",
        )
        return [row]
