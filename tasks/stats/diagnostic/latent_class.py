"""Accuracy without a reference standard that is right: latent classes, and known errors.

Tests of the same cases, in one or several populations, are taken as independent given the true
condition, which nobody has seen. So the prevalence of each population and the sensitivity and
specificity of each test explain how often each pattern of results occurs.
"""

from dataclasses import dataclass

import numpy as np
from scipy import special

from tasks.core.errors import EstimationError
from tasks.stats.diagnostic.measures import FN, FP, TN, TP, Cells
from tasks.stats.inference import chi_square_p, z_quantile
from tasks.stats.inputs import BoolArray, FloatArray, IntArray

_MOST_STEPS = 20_000
_TOLERANCE = 1e-12
_STARTS = (0.6, 0.75, 0.9)
_EDGE = 1e-6
_SINGULAR = 1e-10
_MOST_TESTS = 12
_LOOK = "take more tests or populations with other prevalences, or give the accuracy of the "
_FIX = _LOOK + "reference as known."


@dataclass(frozen=True, slots=True)
class Latent:
    """One parameter, with Wald's interval on the logit scale."""

    estimate: float
    std_error: float
    ci_low: float
    ci_high: float
    level: float


@dataclass(frozen=True, slots=True, eq=False)
class LatentClasses:
    """A fit of two classes: m tests and p populations.

    `fit_statistic` is the deviance against any frequencies of the patterns, with `fit_df` degrees
    of freedom; with none the model fits whatever is seen, and tests nothing.
    """

    sensitivity: tuple[Latent, ...]
    specificity: tuple[Latent, ...]
    prevalence: tuple[Latent, ...]
    log_likelihood: float
    fit_statistic: float
    fit_df: int
    fit_p_value: float | None
    n: int
    units: int
    iterations: int


@dataclass(frozen=True, slots=True, eq=False)
class _Patterns:
    """Results of each pattern, shape (k, m), and how often it occurs, shape (p, k)."""

    results: FloatArray
    counts: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    """Positive rates with and without the condition, shape (m,), prevalences, shape (p,)."""

    yes: FloatArray
    no: FloatArray
    share: FloatArray

    def classes(self, results: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the probability of each pattern with, and without, the condition, (p, k)."""
        with_it, without = (
            np.exp(special.xlogy(results, r).sum(1) + special.xlog1py(1 - results, -r).sum(1))
            for r in (self.yes, self.no)
        )
        return self.share[:, None] * with_it, (1 - self.share)[:, None] * without


def latent_classes(
    results: BoolArray,
    population: IntArray,
    units: IntArray | None = None,
    level: float = 0.95,
) -> LatentClasses:
    """Fit two latent classes by the EM algorithm, with standard errors from the information.

    Sensitivities and specificities are the same in all populations; prevalences are not. The
    classes are named so that a positive result speaks for the condition, on the whole. With units
    of several cases errors are robust: sums of scores within them.

    Args:
        results: Whether each test is positive, shape (n, m).
        population: Number of the population of each case, from 0, shape (n,).
        units: Number of the unit of each case; None where each is one.
        level: Confidence level.

    Raises:
        EstimationError: The design does not identify the parameters (fewer than three tests in
            one population, fewer than two populations with two), the data do not (equal
            prevalences), or an estimate lies at 0 or 1.

    Source:
        Hui & Walter (1980) Biometrics 36:167; Dawid & Skene (1979) Appl Stat 28:20, for EM.
    """
    _check_design(results, population)
    patterns = _patterns(results, population)
    fits = [_maximised(patterns, start) for start in _STARTS]
    state, steps = max(fits, key=lambda fit: (_log_likelihood(patterns, fit[0]), -fit[1]))
    state = _named(state)
    values = np.concatenate([state.yes, 1 - state.no, state.share])
    if min(values.min(), 1 - values.max()) < _EDGE:
        what = "an estimate lies at 0 or 1, where it has no standard error"
        raise EstimationError("latent classes", what, _FIX)
    covariance, size = _covariance(results, population, units, state, patterns)
    found = [_interval(v, c, level) for v, c in zip(values, np.diag(covariance), strict=True)]
    m = results.shape[1]
    statistic, df = _fit_of(patterns, state)
    p_value = chi_square_p(statistic, df) if df else None
    return LatentClasses(
        tuple(found[:m]), tuple(found[m : 2 * m]), tuple(found[2 * m :]),
        _log_likelihood(patterns, state), statistic, df, p_value, results.shape[0], size, steps,
    )  # fmt: skip


def identifies(tests: int, populations: int) -> bool:
    """Whether so many tests in so many populations have as many frequencies as parameters."""
    return tests > 1 and populations * (2**tests - 1) >= 2 * tests + populations


def _check_design(results: BoolArray, population: IntArray) -> None:
    m, p = results.shape[1], int(np.unique(population).size)
    if m > _MOST_TESTS or not identifies(m, p):
        what = f"not identified by tests: {m}, populations: {p} (three tests, or two in two)"
        raise EstimationError("latent classes", what, _FIX)
    if results.all(axis=0).any() or (~results).all(axis=0).any():
        what = "not identified: a test is always positive, or never"
        raise EstimationError("latent classes", what, "leave this test out.")


def _patterns(results: BoolArray, population: IntArray) -> _Patterns:
    m = results.shape[1]
    code = results @ (1 << np.arange(m))
    _, place = np.unique(population, return_inverse=True)
    counts = np.bincount(place * 2**m + code, minlength=(int(place.max()) + 1) * 2**m)
    every = (np.arange(2**m)[:, None] >> np.arange(m)) & 1
    return _Patterns(every.astype(np.float64), counts.reshape(-1, 2**m).astype(np.float64))


def _maximised(patterns: _Patterns, start: float) -> tuple[_State, int]:
    """Return the state in which EM ends, and its steps, from one start."""
    m, p = patterns.results.shape[1], patterns.counts.shape[0]
    positives = patterns.counts @ patterns.results.mean(axis=1) / patterns.counts.sum(axis=1)
    share = np.clip(positives, 0.05, 0.95)
    state = _State(np.full(m, start), np.full(m, 1 - start), share)
    for step in range(1, _MOST_STEPS + 1):
        following = _em_step(patterns, state)
        moved = max(
            float(np.abs(a - b).max())
            for a, b in (
                (following.yes, state.yes),
                (following.no, state.no),
                (following.share, state.share),
            )
        )
        state = following
        if moved < _TOLERANCE:
            return state, step
    what = "the EM algorithm has not ended: the data hardly tell the parameters apart"
    raise EstimationError("latent classes", f"not identified for p = {p}: {what}", _FIX)


def _em_step(patterns: _Patterns, state: _State) -> _State:
    sick, well = state.classes(patterns.results)
    weight = np.divide(sick, sick + well, where=sick + well > 0, out=np.zeros_like(sick))
    with_it, without = patterns.counts * weight, patterns.counts * (1 - weight)
    return _State(
        with_it.sum(axis=0) @ patterns.results / max(with_it.sum(), 1e-300),
        without.sum(axis=0) @ patterns.results / max(without.sum(), 1e-300),
        with_it.sum(axis=1) / patterns.counts.sum(axis=1),
    )


def _named(state: _State) -> _State:
    """Return the same model with the classes exchanged, if positive speaks against the first."""
    if state.yes.sum() >= state.no.sum():
        return state
    return _State(state.no, state.yes, 1 - state.share)


def _log_likelihood(patterns: _Patterns, state: _State) -> float:
    sick, well = state.classes(patterns.results)
    return float(special.xlogy(patterns.counts, sick + well).sum())


def _fit_of(patterns: _Patterns, state: _State) -> tuple[float, int]:
    totals = patterns.counts.sum(axis=1, keepdims=True)
    full = float(special.xlogy(patterns.counts, patterns.counts / totals).sum())
    p, k = patterns.counts.shape
    df = p * (k - 1) - 2 * patterns.results.shape[1] - p
    return max(2 * (full - _log_likelihood(patterns, state)), 0.0), df


def _scores(patterns: _Patterns, state: _State) -> FloatArray:
    """Return the score of each pattern of each population in the logits, shape (p, k, 2 m + p).

    Order: sensitivities, specificities, prevalences.
    """
    sick, well = state.classes(patterns.results)
    weight = (sick / (sick + well))[:, :, None]
    right = weight * (patterns.results - state.yes)
    wrong = (1 - weight) * (state.no - patterns.results)
    p = state.share.size
    own = (weight[:, :, 0] - state.share[:, None])[:, :, None] * np.eye(p)[:, None, :]
    return np.concatenate([right, wrong, own], axis=2)


def _covariance(
    results: BoolArray,
    population: IntArray,
    units: IntArray | None,
    state: _State,
    patterns: _Patterns,
) -> tuple[FloatArray, int]:
    """Return the covariance of the logits, from the expected information, and the units."""
    scores = _scores(patterns, state)
    sick, well = state.classes(patterns.results)
    expected = patterns.counts.sum(axis=1, keepdims=True) * (sick + well)
    information = np.einsum("pk,pki,pkj->ij", expected, scores, scores)
    values = np.linalg.eigvalsh(information)
    if values[0] <= _SINGULAR * values[-1]:
        what = "not identified: the populations hardly differ in prevalence, or tests do not agree"
        raise EstimationError("latent classes", what, _FIX)
    inverse = np.linalg.inv(information)
    if units is None:
        return inverse, results.shape[0]
    _, place = np.unique(population, return_inverse=True)
    each = scores[place, results @ (1 << np.arange(results.shape[1]))]
    _, unit = np.unique(units, return_inverse=True)
    size = int(unit.max()) + 1
    sums = np.zeros((size, each.shape[1]))
    np.add.at(sums, unit, each)
    return inverse @ (sums.T @ sums * (size / max(size - 1, 1))) @ inverse, size


def _interval(value: float, variance: float, level: float) -> Latent:
    middle, error = special.logit(value), float(np.sqrt(variance))
    reach = z_quantile(level) * error
    low, high = special.expit([middle - reach, middle + reach])
    return Latent(float(value), error * value * (1 - value), float(low), float(high), level)


_CORRECTED = ("sensitivity", "specificity", "prevalence")


def known_reference(
    name: str,
    cells: Cells,
    sensitivity: float,
    specificity: float,
    modality: int = 0,
    level: float = 0.95,
) -> Latent:
    r"""Accuracy against the truth, from a reference whose sensitivity and specificity are known.

    With errors of the reference that do not hang on the index test, of the counts against it

    .. math:: Se = \frac{sp_r (tp + fp) - fp}{n (sp_r - 1) + tp + fn}, \quad
              Sp = \frac{se_r (fn + tn) - fn}{n\,se_r - (tp + fn)}

    Args:
        name: `sensitivity`, `specificity` or `prevalence`.
        cells: Counts against the reference.
        sensitivity: Of the reference, taken as known.
        specificity: Of the reference, taken as known.
        modality: Which modality of the counts.
        level: Confidence level; the interval is made on the logit scale.

    Raises:
        EstimationError: The reference tells nothing, or such a reference cannot have given these
            counts: the estimate would not lie between 0 and 1.

    Source:
        Staquet et al. (1981) J Chronic Dis 34:599; delta method for the error.
    """
    if sensitivity + specificity <= 1 or name not in _CORRECTED:
        what = "sensitivity and specificity of the reference add up to 1 or less"
        raise EstimationError("known reference", what, "give a reference that tells something.")
    every = TP + FP + FN + TN
    has_it = TP + FN - (1 - specificity) * every
    lacks_it = sensitivity * every - (TP + FN)
    part, whole = {
        "sensitivity": (specificity * (TP + FP) - FP, has_it),
        "specificity": (sensitivity * (FN + TN) - FN, lacks_it),
        "prevalence": (has_it, (sensitivity + specificity - 1) * every),
    }[name]
    totals = cells.of(modality)
    above, below = float(part @ totals), float(whole @ totals)
    if not 0 < above < below:
        what = f"{name} would not lie between 0 and 1: no such reference gives these counts"
        raise EstimationError("known reference", what, "assume other errors of the reference.")
    value = above / below
    gradient = np.zeros(cells.totals.size)
    gradient[4 * modality : 4 * modality + 4] = (part - value * whole) / below
    variance = cells.variance(gradient) / (value * (1 - value)) ** 2
    if not variance > 0:
        raise EstimationError("known reference", f"{name} has no error", "analyse more cases.")
    return _interval(value, variance, level)
