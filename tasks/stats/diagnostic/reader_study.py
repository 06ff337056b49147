"""Reader studies: modalities compared over readers and cases, by Obuchowski and Rockette.

The figure of merit of reader j in modality i is a mean, a fixed effect of the modality, random
effects of the reader and of both, and an error that is correlated by the cases: `cov1` same
reader, other modality; `cov2` same modality, other reader; `cov3` both other. What readers share
no case with another has covariance 0 there, so that cases nested in readers, in groups of readers
or in modalities are the same computation. Readers nested in modalities have no interaction.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Literal

import numpy as np
from scipy import special, stats

from tasks.core.errors import EstimationError
from tasks.stats.inputs import BoolArray, FloatArray

Space = Literal["random_readers_random_cases", "fixed_readers", "fixed_cases"]
SPACES: tuple[Space, ...] = ("random_readers_random_cases", "fixed_readers", "fixed_cases")


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean of a modality, or a difference of two; `df` is infinite where it is normal."""

    estimate: float
    std_error: float
    df: float
    ci_low: float
    ci_high: float
    level: float

    @property
    def statistic(self) -> float:
        """The estimate over its standard error."""
        return self.estimate / self.std_error

    @property
    def p_value(self) -> float:
        """Two-sided, that it is 0."""
        return 2 * upper_tail(abs(self.statistic), self.df)


@dataclass(frozen=True, slots=True)
class Equality:
    """The test that all modalities are alike: F, or F times df1 as chi-squared."""

    statistic: float
    df1: float
    df2: float
    p_value: float


@dataclass(frozen=True, slots=True)
class Components:
    """Components of variance; those of an effect that the design does not have are None."""

    var_reader: float | None
    var_reader_modality: float | None
    var_error: float
    cov1: float | None
    cov2: float | None
    cov3: float | None


def upper_tail(statistic: float, df: float) -> float:
    """Return the upper tail of Student's t, of the normal distribution where df is infinite."""
    tail = special.ndtr(-statistic) if np.isinf(df) else special.stdtr(df, -statistic)
    return float(tail)


def estimate_of(value: float, variance: float, df: float, level: float) -> Estimate:
    """Return an estimate with its interval of Student's t.

    Raises:
        EstimationError: The variance is not above 0.
    """
    if not variance > 0:
        what = "the variance is 0 or below: readers and cases never differ, or are too few"
        raise EstimationError("reader study", what, "read more cases, or with more readers.")
    error = float(np.sqrt(variance))
    tail = (1 - level) / 2
    reach = float(stats.norm.isf(tail) if np.isinf(df) else stats.t.isf(tail, df))
    return Estimate(value, error, df, value - reach * error, value + reach * error, level)


class ReaderStudy:
    """Figures of merit of readers in modalities.

    Args:
        figures: A row a modality and a column a reader, shape (t, r); of readers nested in
            modalities the columns are the first, second, … reader of each.
        covariance: Covariance of the figures, in the order of `figures.ravel()`, (t r, t r).
        is_nested: Whether readers are nested in modalities.
        level: Confidence level.

    Source:
        Obuchowski & Rockette (1995) Commun Stat Simul 24:285; Hillis (2007) Stat Med 26:596, for
        the degrees of freedom; Hillis (2014) Stat Med 33:330, for nested designs.
    """

    def __init__(
        self,
        figures: FloatArray,
        covariance: FloatArray,
        is_nested: bool = False,
        level: float = 0.95,
    ) -> None:
        self.figures, self.covariance, self.level = figures, covariance, level
        self.modalities, self.readers = figures.shape
        self.is_nested = is_nested
        self.means: FloatArray = figures.mean(axis=1)

    @cached_property
    def _same(self) -> tuple[BoolArray, BoolArray]:
        """Whether each pair of cells is of one modality, and of one reader."""
        t, r = self.figures.shape
        modality, reader = np.repeat(np.arange(t), r), np.tile(np.arange(r), t)
        same = modality[:, None] == modality
        same_reader = reader[:, None] == reader
        return same, same_reader & same if self.is_nested else same_reader

    def _average(self, where: BoolArray) -> float:
        return float(self.covariance[where].mean()) if where.any() else 0.0

    @cached_property
    def averages(self) -> tuple[float, float, float, float]:
        """Mean variance of the error, cov1, cov2 and cov3; 0 where the design has no such pair."""
        same, reader = self._same
        return (
            self._average(same & reader),
            self._average(~same & reader),
            self._average(same & ~reader),
            self._average(~same & ~reader),
        )

    @cached_property
    def between(self) -> float:
        """Mean square of modalities."""
        return float(self.readers * self.means.var(ddof=1)) if self.modalities > 1 else 0.0

    @cached_property
    def of_readers(self) -> FloatArray:
        """Mean square of readers within each modality, shape (t,)."""
        self._needs_readers()
        return np.asarray(self.figures.var(axis=1, ddof=1))

    @cached_property
    def residual(self) -> tuple[float, float]:
        """Mean square that modalities are held against, and its degrees of freedom."""
        t, r = self.figures.shape
        if self.is_nested:
            return float(self.of_readers.mean()), float(t * (r - 1))
        self._needs_readers()
        left = self.figures - self.figures.mean(axis=0) - self.means[:, None] + self.figures.mean()
        df = float((t - 1) * (r - 1))
        return float((left**2).sum() / df), df

    def _needs_readers(self) -> None:
        if self.readers < 2:
            what = "one reader cannot stand for others"
            raise EstimationError("reader study", what, "read the fixed-reader analysis alone.")

    def components(self) -> Components:
        """Return the components of variance; estimates of the method of moments, as they fall."""
        error, cov1, cov2, cov3 = self.averages
        if self.is_nested:
            mean_square = self.residual[0] if self.readers > 1 else None
            within = None if mean_square is None else mean_square - error + cov2
            return Components(within, None, error, None, cov2, cov3)
        if self.readers < 2 or self.modalities < 2:
            return Components(None, None, error, cov1, None, None)
        between = float(self.modalities * self.figures.mean(axis=0).var(ddof=1))
        mean_square, _ = self.residual
        reader = (between - mean_square) / self.modalities - cov1 + cov3
        both = mean_square - error + cov1 + cov2 - cov3
        return Components(reader, both, error, cov1, cov2, cov3)

    def denominator(self, space: Space) -> tuple[float, float]:
        """Return what the mean square of modalities is held against, and its df."""
        error, cov1, cov2, cov3 = self.averages
        if space == "fixed_readers":
            fixed = error + (self.readers - 1) * cov2
            apart = self.readers * cov3 if self.is_nested else cov1 + (self.readers - 1) * cov3
            return fixed - apart, float("inf")
        mean_square, df = self.residual
        if space == "fixed_cases":
            return mean_square, df
        return _hillis(mean_square, df, self.readers * max(cov2 - cov3, 0.0))

    def equality(self, space: Space) -> Equality:
        """Test that all modalities are alike.

        Raises:
            EstimationError: One modality, too few readers, or no variance.
        """
        below, df2 = self.denominator(space)
        df1 = float(self.modalities - 1)
        if not below > 0 or not df1:
            what = "modalities cannot be compared: there is one, or nothing varies"
            raise EstimationError("reader study", what, "read more cases, or with more readers.")
        value = self.between / below
        if np.isinf(df2):
            return Equality(df1 * value, df1, df2, float(stats.chi2.sf(df1 * value, df1)))
        return Equality(value, df1, df2, float(stats.f.sf(value, df1, df2)))

    def mean(self, place: int, space: Space) -> Estimate:
        """Return the mean of a modality over readers, from its own readings alone."""
        r, own = self.readers, self.covariance[self._block(place), self._block(place)]
        error = float(np.trace(own)) / r
        cov2 = max(float(own.sum() - np.trace(own)) / (r * (r - 1)), 0.0) if r > 1 else 0.0
        if space == "fixed_readers":
            variance, df = (error + (r - 1) * cov2) / r, float("inf")
            return estimate_of(float(self.means[place]), variance, df, self.level)
        square = float(self.of_readers[place])
        extra = r * cov2 if space == "random_readers_random_cases" else 0.0
        whole, df = _hillis(square, r - 1.0, extra)
        return estimate_of(float(self.means[place]), whole / r, df, self.level)

    def _block(self, place: int) -> slice:
        return slice(place * self.readers, (place + 1) * self.readers)

    def difference(self, new: int, old: int, space: Space) -> Estimate:
        """Return the mean of a modality less that of another, with the error of all of them."""
        below, df = self.denominator(space)
        gap = float(self.means[new] - self.means[old])
        return estimate_of(gap, 2 * below / self.readers, df, self.level)

    def of_reader(self, new: int, old: int, reader: int) -> Estimate:
        """Return the difference of one reader alone, over cases."""
        a, b = new * self.readers + reader, old * self.readers + reader
        c = self.covariance
        gap = float(self.figures[new, reader] - self.figures[old, reader])
        return estimate_of(gap, float(c[a, a] + c[b, b] - 2 * c[a, b]), float("inf"), self.level)

    def pairs(self) -> Iterator[tuple[int, int]]:
        """Yield each pair of modalities: the later one, and the earlier that it is held against."""
        yield from ((new, old) for old, new in combinations(range(self.modalities), 2))


def _hillis(mean_square: float, df: float, extra: float) -> tuple[float, float]:
    """Return a mean square with what cases add, and Hillis' degrees of freedom."""
    whole = mean_square + extra
    return whole, df * (whole / mean_square) ** 2 if mean_square > 0 else float("inf")
