"""Accuracy where only some cases were verified, and which were may hang on the result.

Every estimate is a share A / (A + B) of two means over all cases; each case has an influence on
both. So the errors of all of them are made in one way: from the sums of influences of each unit
(a case, or a person with several), which count that shares of cells or models are fitted.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

from tasks.core.errors import EstimationError
from tasks.stats.diagnostic.measures import cells_of, measure
from tasks.stats.inference import z_quantile
from tasks.stats.inputs import BoolArray, FloatArray, IntArray
from tasks.stats.logistic import logistic
from tasks.stats.rubin import pool

MEASURES = ("sensitivity", "specificity", "ppv", "npv", "prevalence")
_PARTS = {
    "sensitivity": ((1, 0, 0, 0), (1, 0, 1, 0)),
    "specificity": ((0, 0, 0, 1), (0, 1, 0, 1)),
    "ppv": ((1, 0, 0, 0), (1, 1, 0, 0)),
    "npv": ((0, 0, 0, 1), (0, 0, 1, 1)),
    "prevalence": ((1, 0, 1, 0), (1, 1, 1, 1)),
}
"""Cells (true and false positive, false and true negative) that are counted, and of which."""
_FIX = "verify some of these cases, or condition on fewer or coarser covariates."


@dataclass(frozen=True, slots=True, eq=False)
class PartlyVerified:
    """Cases with a result, some of them verified; all arrays have shape (n,).

    Args:
        positive: Whether the result is positive.
        truth: Whether the condition is there; ignored where not verified.
        verified: Whether the reference standard was done.
        units: Number of the unit of each case.
        cell: Number of the combination of categories of covariates, from 0.
        covariates: Columns of the models, shape (n, p), without results and a constant.
        others: Results of other tests of the same case, shape (n, k); None without any.
    """

    positive: BoolArray
    truth: BoolArray
    verified: BoolArray
    units: IntArray
    cell: IntArray
    covariates: FloatArray
    others: BoolArray | None = None

    @property
    def n(self) -> int:
        """How many cases there are."""
        return self.positive.size

    @property
    def diseased(self) -> FloatArray:
        """1 where a case is verified and has the condition, shape (n,)."""
        return (self.verified & self.truth).astype(np.float64)

    @property
    def design(self) -> FloatArray:
        """The results and the covariates, shape (n, 1 + k + p), those that vary."""
        results = [self.positive] if self.others is None else [self.positive, self.others]
        both = np.column_stack([np.column_stack(results).astype(np.float64), self.covariates])
        return both[:, np.ptp(both, axis=0) > 0]

    @property
    def pattern(self) -> IntArray:
        """Number of the combination of results, from 0, shape (n,)."""
        results = [self.positive] if self.others is None else [self.positive, self.others]
        code = np.column_stack(results)
        _, found = np.unique(code, axis=0, return_inverse=True)
        return np.asarray(found, dtype=np.int64).reshape(-1)


@dataclass(frozen=True, slots=True)
class Corrected:
    """A corrected share with its interval on the logit scale."""

    name: str
    estimate: float
    std_error: float
    ci_low: float
    ci_high: float
    level: float
    n: int
    units: int


@dataclass(frozen=True, slots=True, eq=False)
class Means:
    """Means of the four cells over all cases, shape (4,), and their influences, shape (n, 4)."""

    cells: FloatArray
    influence: FloatArray
    units: IntArray

    def share(self, name: str, level: float = 0.95) -> Corrected:
        """Return one of MEASURES.

        Raises:
            EstimationError: Its denominator is 0, or it is 0 or 1, where it has no error.
        """
        counted, of = (np.array(cells, dtype=np.float64) for cells in _PARTS[name])
        above, below = float(counted @ self.cells), float(of @ self.cells)
        if not 0 < above < below * (1 - 1e-12):
            what = f"{name} is 0 or 1, or no case is counted for it"
            raise EstimationError("verification", what, "verify more cases.")
        value = above / below
        error = _error(self.influence @ (counted - value * of) / below, self.units)
        if not error > 0:
            raise EstimationError("verification", f"{name} has no error", "verify more cases.")
        low, high = _on_logit(value, error / (value * (1 - value)), level)
        size = int(np.unique(self.units).size)
        return Corrected(name, value, error, low, high, level, self.units.size, size)


def _error(influence: FloatArray, units: IntArray) -> float:
    """Return the standard error of a mean from influences, summed within units."""
    _, unit = np.unique(units, return_inverse=True)
    sums = np.bincount(unit, influence)
    more = 1.0 if sums.size == units.size else sums.size / max(sums.size - 1, 1)
    return float(np.sqrt(more * (sums**2).sum()) / units.size)


def _on_logit(value: float, error: float, level: float) -> tuple[float, float]:
    middle, reach = special.logit(value), z_quantile(level) * error
    return float(special.expit(middle - reach)), float(special.expit(middle + reach))


def begg_greenes(cases: PartlyVerified, odds_ratio: float = 1.0) -> Means:
    r"""Begg and Greenes: the share with the condition in a cell is that of its verified cases.

    A cell is a result and a combination of categories; with one category it is the estimator of
    Begg and Greenes, with more the extended one. With an odds ratio other than 1 the unverified of
    each cell have that times the odds of the verified: verification is then not at random.

    Args:
        cases: The cases.
        odds_ratio: Odds of the condition in the unverified over those in the verified.

    Raises:
        EstimationError: A cell has cases and none of them is verified.

    Source:
        Begg & Greenes (1983) Biometrics 39:207; Kosinski & Barnhart (2003) Stat Med 22:2711 for
        the odds ratio. Agrees with R PVBcorrect `acc_bg`, `acc_ebg`.
    """
    cell = 2 * cases.cell + cases.positive
    size = int(cell.max(initial=0)) + 1
    seen = np.bincount(cell, cases.verified, size)
    if ((seen == 0) & (np.bincount(cell, minlength=size) > 0)).any():
        what = "of some combination of result and covariates no case was verified"
        raise EstimationError("verification", what, _FIX)
    share = np.divide(np.bincount(cell, cases.diseased, size), seen, where=seen > 0, out=seen * 0)
    fitted = share[cell]
    below = 1 - fitted + odds_ratio * fitted
    guess, slope = odds_ratio * fitted / below, odds_ratio / below**2
    rest = cases.diseased - np.where(cases.verified, fitted, 0.0)
    unseen = np.bincount(cell, ~cases.verified, size)[cell]
    drawn = rest * slope * unseen / np.maximum(seen[cell], 1)
    return _imputed(cases, guess, drawn)


def _imputed(cases: PartlyVerified, guess: FloatArray, drawn: FloatArray) -> Means:
    """Return the means where the unverified have a probability instead of a truth.

    Args:
        cases: The cases.
        guess: Probability of the condition, shape (n,); used where not verified.
        drawn: Influence of a case through the fit of these, on the share with the condition among
            cases with its result, shape (n,).
    """
    sick = np.where(cases.verified, cases.diseased, guess)
    cells = _four(cases.positive, sick)
    mean = cells.mean(axis=0)
    return Means(mean, cells - mean + _moved(cases.positive, drawn), cases.units)


def _four(positive: BoolArray, sick: FloatArray) -> FloatArray:
    """Return how much of a case is in each of the four cells, shape (n, 4)."""
    yes = positive.astype(np.float64)
    return np.column_stack([yes * sick, yes * (1 - sick), (1 - yes) * sick, (1 - yes) * (1 - sick)])


def _moved(positive: BoolArray, drawn: FloatArray) -> FloatArray:
    """Return influences that move cases from without to with the condition, shape (n, 4)."""
    yes = positive.astype(np.float64)
    return np.column_stack([yes * drawn, -yes * drawn, (1 - yes) * drawn, -(1 - yes) * drawn])


def begg_greenes_by_model(cases: PartlyVerified, odds_ratio: float = 1.0) -> Means:
    """Begg and Greenes with a logistic model of the truth given result and covariates.

    Args:
        cases: The cases.
        odds_ratio: Odds of the condition in the unverified over those in the verified.

    Raises:
        EstimationError: The model cannot be fitted to the verified cases.

    Source:
        Alonzo & Pepe (2005) Appl Stat 54:173: mean-score imputation.
    """
    x, seen = cases.design, cases.verified
    fit = logistic(x[seen], cases.truth[seen])
    with_one = np.column_stack([np.ones(cases.n), x])
    eta = with_one @ fit.coef
    guess = special.expit(eta + np.log(odds_ratio))
    slopes = np.where(seen, 0.0, guess * (1 - guess))
    scores = with_one * np.where(seen, cases.diseased - special.expit(eta), 0.0)[:, None]
    drawn = scores @ (fit.covariance * cases.n)
    yes = cases.positive.astype(np.float64)
    means = _imputed(cases, guess, np.zeros(cases.n))
    through = [drawn @ (with_one.T @ (slopes * part)) / cases.n for part in (yes, 1 - yes)]
    moved = np.column_stack([through[0], -through[0], through[1], -through[1]])
    return Means(means.cells, means.influence + moved, cases.units)


@dataclass(frozen=True, slots=True, eq=False)
class Weighted:
    """Weights of the verified (0 elsewhere), shape (n,), and the model that they come from."""

    weight: FloatArray
    fitted: FloatArray
    design: FloatArray
    through: FloatArray

    def adjusted(self, each: FloatArray) -> FloatArray:
        """Take from influences, shape (n, k), what the fit of the weights takes off."""
        return each - self.through @ (self.design.T @ ((1 - self.fitted)[:, None] * each) / self.n)

    @property
    def n(self) -> int:
        """How many cases there are."""
        return self.weight.size


def verification_weights(cases: PartlyVerified) -> Weighted:
    """Inverse probability of being verified, by a logistic model of results and covariates.

    Every pattern of results has a constant of its own. A pattern of which all cases were verified
    has probability 1 and is not in the model.

    Raises:
        EstimationError: The model cannot be fitted, or of some pattern nobody was verified.
    """
    pattern, seen = cases.pattern, cases.verified
    share = np.bincount(pattern, seen) / np.maximum(np.bincount(pattern), 1)
    if (share[pattern] == 0).any():
        what = "of some pattern of results no case was verified"
        raise EstimationError("verification", what, _FIX)
    open_ = share[pattern] < 1
    fitted, through = np.ones(cases.n), np.zeros((cases.n, 1))
    design = np.zeros((cases.n, 1))
    if open_.any():
        flags = pattern[open_, None] == np.unique(pattern[open_])[1:]
        x = np.column_stack([flags.astype(np.float64), cases.covariates[open_]])
        x = x[:, np.ptp(x, axis=0) > 0]
        fitted[open_], covariance = _chances(x, seen[open_])
        design = np.zeros((cases.n, x.shape[1] + 1))
        design[open_] = np.column_stack([np.ones(x.shape[0]), x])
        through = design * (seen - fitted)[:, None] @ (covariance * cases.n)
    return Weighted(np.where(seen, 1 / fitted, 0.0), fitted, design, through)


def _chances(x: FloatArray, seen: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Return the probability of verification, and the covariance of the model's coefficients."""
    if x.shape[1]:
        fit = logistic(x, seen)
        return fit.fitted, fit.covariance
    share = float(seen.mean())
    return np.full(seen.size, share), np.array([[1 / (seen.size * share * (1 - share))]])


def inverse_probability(cases: PartlyVerified) -> Means:
    """Weights of one over the probability of being verified; errors count that it is fitted.

    Raises:
        EstimationError: The model of verification cannot be fitted.

    Source:
        Alonzo & Pepe (2005) Appl Stat 54:173; errors by the stacked scores of the two models.
    """
    weighted = verification_weights(cases)
    each = weighted.weight[:, None] * _four(cases.positive, cases.diseased)
    mean = each.mean(axis=0)
    centred = weighted.adjusted(each) - mean
    return Means(mean, centred, cases.units)


def corrected_auc(cases: PartlyVerified, score: FloatArray, level: float = 0.95) -> Corrected:
    """Area under the ROC curve with the weights of `inverse_probability`.

    Args:
        cases: The cases.
        score: Their score, higher is more suspicious, shape (n,).
        level: Confidence level.

    Raises:
        EstimationError: There is no weight, only one truth, or the area is 0 or 1.

    Source:
        Alonzo & Pepe (2005) Appl Stat 54:173; He, Lyness & McDermott (2009) Stat Med 28:361.
    """
    weighted = verification_weights(cases)
    sick = weighted.weight * cases.diseased
    well = weighted.weight * (cases.verified & ~cases.truth)
    if not (sick.sum() > 0 and well.sum() > 0):
        what = "all that were verified have, or all lack, the condition"
        raise EstimationError("verification", what, "verify cases of both kinds.")
    above = _below(score, well) / well.sum()
    area = float(sick @ above / sick.sum())
    over = _below(-score, sick) / sick.sum()
    if not 0 < area < 1:
        raise EstimationError("verification", "the area is 0 or 1", "verify more cases.")
    each = cases.n * (sick * (above - area) / sick.sum() + well * (over - area) / well.sum())
    error = _error(weighted.adjusted(each[:, None])[:, 0], cases.units)
    low, high = _on_logit(area, error / (area * (1 - area)), level)
    size = int(np.unique(cases.units).size)
    return Corrected("auc", area, error, low, high, level, cases.n, size)


def _below(score: FloatArray, weight: FloatArray) -> FloatArray:
    """Return the weight of what lies below each score, and half of what ties, shape (n,)."""
    levels, place = np.unique(score, return_inverse=True)
    held = np.bincount(place, weight, levels.size)
    upto = np.cumsum(held)
    return np.asarray((upto - held / 2)[place])


def multiple_imputation(
    cases: PartlyVerified, *, imputations: int, rng: np.random.Generator, level: float = 0.95
) -> Callable[[str], Corrected]:
    """Draw the truth of the unverified many times from a logistic model, and pool by Rubin.

    Coefficients are drawn from their normal approximation, then truths. Shares are pooled on the
    logit scale.

    Args:
        cases: The cases.
        imputations: How often, 2 or more.
        rng: Source of randomness.
        level: Confidence level.

    Returns:
        A function of the name of a measure.

    Raises:
        EstimationError: The model cannot be fitted, or in some draw a measure is 0 or 1.

    Source:
        Rubin (1987); Harel & Zhou (2006) Stat Med 25:3769.
    """
    x, seen = cases.design, cases.verified
    fit = logistic(x[seen], cases.truth[seen])
    root = np.linalg.cholesky((fit.covariance + fit.covariance.T) / 2)
    with_one = np.column_stack([np.ones(cases.n), x])[~seen]
    nothing = np.zeros(cases.n, dtype=np.int64)
    made = []
    for _ in range(imputations):
        drawn = special.expit(with_one @ (fit.coef + root @ rng.standard_normal(fit.coef.size)))
        truth = cases.truth & seen
        truth[~seen] = rng.random(drawn.size) < drawn
        made.append(cells_of(cases.positive, truth, cases.units, nothing))

    def pooled(name: str) -> Corrected:
        found = [measure(name, cells, level=level) for cells in made]
        spread = [one.estimate * (1 - one.estimate) for one in found]
        if min(spread) <= 0 or min(one.std_error for one in found) <= 0:
            raise EstimationError("verification", f"{name} is 0 or 1", "verify more cases.")
        rubin = pool(
            special.logit([one.estimate for one in found]),
            [one.std_error / by for one, by in zip(found, spread, strict=True)],
            level=level,
        )
        middle, low, high = special.expit([rubin.estimate, rubin.ci_low, rubin.ci_high])
        error = float(rubin.std_error * middle * (1 - middle))
        return Corrected(
            name, float(middle), error, float(low), float(high), level, cases.n, made[0].units
        )

    return pooled


@dataclass(frozen=True, slots=True)
class Bound:
    """The lowest or highest that a measure can be, whatever the unverified are."""

    name: str
    is_upper: bool
    count: int
    n: int


def bounds(cases: PartlyVerified) -> list[Bound]:
    """Return the worst and best case of each measure: all unverified chosen to lower or raise it.

    Source:
        Zhou (1993) Commun Stat 22:3177; the bounds without assumptions.
    """
    seen, yes = cases.verified, cases.positive
    tp, fp = (int((seen & yes & (cases.truth == t)).sum()) for t in (True, False))
    fn, tn = (int((seen & ~yes & (cases.truth == t)).sum()) for t in (True, False))
    up, un = int((~seen & yes).sum()), int((~seen & ~yes).sum())
    ends = {
        "sensitivity": ((tp, tp + fn + un), (tp + up, tp + up + fn)),
        "specificity": ((tn, tn + fp + up), (tn + un, tn + un + fp)),
        "ppv": ((tp, tp + fp + up), (tp + up, tp + fp + up)),
        "npv": ((tn, tn + fn + un), (tn + un, tn + fn + un)),
        "prevalence": ((tp + fn, cases.n), (tp + fn + up + un, cases.n)),
    }
    return [
        Bound(name, is_upper, *pair)
        for name, both in ends.items()
        for is_upper, pair in zip((False, True), both, strict=True)
        if pair[1] > 0
    ]
