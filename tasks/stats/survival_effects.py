"""Risks by a day under both treatments, by models of hazards: standardised, or doubly robust.

Survival of a person is S(t) = exp(-r L(t)), from Cox's model of the outcome. Standardisation
averages it over persons. The augmented estimator adds to each person of an arm, weighted by the
inverse of the chance to be in it, the martingale residual of the outcome over S(u) G(u-), with
G the probability of not being lost; it is right when the outcome's model is, or when those of
the treatment and of the loss both are.

Both are sum_i (o_i S_i(t) - w_i S_i(t) K_i(t)), K_i(t) the integrated residual, and w = 0 in
standardisation. Errors count every model by stacked estimating equations: with the gradient of
that sum in the steps and coefficients of each hazard and of the score.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from tasks.core.errors import EstimationError
from tasks.stats.estimated_weights import EstimatedScore, EstimatedWeights, score_weights
from tasks.stats.hazard_influence import Hazard, fit_hazard
from tasks.stats.inputs import (
    BoolArray,
    FloatArray,
    IntArray,
    design_matrix,
    flags,
    follow_up,
    linear_predictor,
    row_order,
)
from tasks.stats.outcome_models import Effect, OutcomeDesign
from tasks.stats.partial_likelihood import Ties
from tasks.stats.weighted_effects import ArmMeans

_WHERE = "survival by arm"
_CELLS = 2_000_000  # of one block of persons and times
_LARGEST = 30.0  # logarithm of a weight that is no longer one


@dataclass(frozen=True, slots=True, eq=False)
class SurvivalEffects:
    """Risks by each day, and restricted means up to the horizon, under both treatments."""

    days: FloatArray
    risks: tuple[ArmMeans, ...]
    horizon: float | None
    rmst: ArmMeans | None
    lost: int


@dataclass(frozen=True, slots=True, eq=False)
class _People:
    """Follow-up of n persons, and the q things that are read: days, then the horizon."""

    time: FloatArray
    event: BoolArray
    arm: BoolArray
    days: FloatArray
    horizon: float | None

    @property
    def until(self) -> float:
        """The last day that is looked at."""
        return max(float(self.days.max(initial=0.0)), self.horizon or 0.0)

    def reads(self, grid: FloatArray) -> FloatArray:
        """Weight of survival at 0 and at each time of the grid in each read, shape (q, k + 1)."""
        at = np.zeros((self.days.size, grid.size + 1))
        at[np.arange(self.days.size), np.searchsorted(grid, self.days, side="right")] = 1.0
        if self.horizon is None:
            return at
        ends = np.minimum(np.concatenate([[0.0], grid, [np.inf]]), self.horizon)
        return np.vstack([at, np.diff(ends)])


@dataclass(frozen=True, slots=True, eq=False)
class _Models:
    """What one arm is made of: hazards of the outcome and of loss, and weights of persons."""

    outcome: Hazard
    x: FloatArray
    loss: Hazard | None
    z: FloatArray
    over: FloatArray
    weight: FloatArray
    gradient: FloatArray
    of_score: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    """Each person's part, (n, q), and gradients of the whole in what was fitted."""

    part: FloatArray
    steps: FloatArray  # (q, k)
    coef: FloatArray  # (q, p)
    loss_steps: FloatArray  # (q, k + 1), after so many times of the outcome
    loss_coef: FloatArray  # (q, p of loss)
    score: FloatArray  # (q, p of score)


def g_computation_survival(
    durations: ArrayLike,
    observed: ArrayLike,
    treated: ArrayLike,
    design: OutcomeDesign,
    days: ArrayLike,
    horizon: float | None = None,
    effect: Effect = "ate",
    ties: Ties = "efron",
    per_arm: bool = False,
) -> SurvivalEffects:
    """Risks and restricted means if all were treated, and if none were, by standardisation.

    Args:
        durations: Follow-up of each person, shape (n,), all > 0.
        observed: True where it ended in the event, shape (n,).
        treated: True for the treated, shape (n,).
        design: Covariates of Cox's model, with the treatment unless `per_arm`; without columns
            and `per_arm` the curves are those of Kaplan and Meier.
        days: Days by which risks are read, shape (d,).
        horizon: Up to where restricted means are taken.
        effect: Over everybody, or over the treated.
        ties: Ties of Cox's model.
        per_arm: Whether each arm has a model, and a baseline, of its own.

    Returns:
        Risks and means, with the influence of stacked estimating equations.

    Raises:
        EstimationError: An arm is empty, without events, or not followed so far; or as `cox`.

    Source:
        Makuch (1982) J Chronic Dis 35; Ozenne et al. (2020) Biometrical Journal 62.
    """
    people = _people(durations, observed, treated, days, horizon)
    hazards = _outcome_hazards(people, design, ties, per_arm)
    over = people.arm.astype(np.float64) if effect == "att" else np.ones(people.arm.size)
    nothing = np.zeros((over.size, 0))
    arms = [
        _Models(hazard, x, None, nothing, over / over.sum(), np.zeros(over.size), nothing, nothing)
        for hazard, x in zip(hazards, (design.if_treated, design.if_not), strict=True)
    ]
    return _both(people, arms, 0)


def aipw_survival(
    durations: ArrayLike,
    observed: ArrayLike,
    treated: ArrayLike,
    design: OutcomeDesign,
    score: EstimatedScore,
    days: ArrayLike,
    horizon: float | None = None,
    censoring: ArrayLike | None = None,
    effect: Effect = "ate",
    ties: Ties = "efron",
    per_arm: bool = False,
) -> SurvivalEffects:
    r"""Risks and restricted means under both treatments, doubly robust.

    .. math:: \hat S_a(t) = \frac1n \sum_i \hat S(t|a,x_i) \Big\{1 - \frac{1(A_i=a)}{\hat\pi_a(x_i)}
              \int_0^t \frac{dN_i(u) - Y_i(u)\, d\hat\Lambda(u|a,x_i)}
              {\hat S(u|a,x_i)\, \hat G(u-|a,z_i)}\Big\}

    Args:
        durations: As `g_computation_survival`.
        observed: As `g_computation_survival`; else the person was lost, or followed to the end.
        treated: As `g_computation_survival`.
        design: As `g_computation_survival`.
        score: The fitted propensity score.
        days: As `g_computation_survival`.
        horizon: As `g_computation_survival`.
        censoring: Covariates of Cox's model of loss, one in each arm, shape (n, p); None for
            the Kaplan-Meier curve of loss in each arm.
        effect: Over everybody, or over the treated.
        ties: As `g_computation_survival`.
        per_arm: As `g_computation_survival`.

    Raises:
        EstimationError: As `g_computation_survival`, or weights are without bound.

    Source:
        Hubbard, van der Laan & Robins (2000); Bai, Tsiatis & O'Brien (2013) Biometrics 69;
        Ozenne et al. (2020) Biometrical Journal 62, riskRegression `ate`.
    """
    people = _people(durations, observed, treated, days, horizon)
    hazards = _outcome_hazards(people, design, ties, per_arm)
    given = None if censoring is None else design_matrix(censoring, people.time.size)
    z = np.zeros((people.time.size, 0)) if given is None else given
    kind = score_weights(score, people.arm, "iptw_att" if effect == "att" else "iptw_ate")
    over = people.arm.astype(np.float64) if effect == "att" else np.ones(people.arm.size)
    arms = [
        _weighted(_Models(hazard, x, _loss(people, given, mine), z, over / over.sum(),
                          np.zeros(0), np.zeros((0, 0)), kind.influence), kind, mine, over.sum())
        for hazard, x, mine in (
            (hazards[0], design.if_treated, people.arm),
            (hazards[1], design.if_not, ~people.arm),
        )
    ]  # fmt: skip
    return _both(people, arms, int((~people.event & (people.time < people.until)).sum()))


def _weighted(models: _Models, weights: EstimatedWeights, mine: BoolArray, size: float) -> _Models:
    """Add the weights of those who are in the arm."""
    return _Models(
        models.outcome, models.x, models.loss, models.z, models.over,
        weights.weight * mine / size, weights.gradient * mine[:, None] / size, models.of_score,
    )  # fmt: skip


def _people(
    durations: ArrayLike,
    observed: ArrayLike,
    treated: ArrayLike,
    days: ArrayLike,
    horizon: float | None,
) -> _People:
    time, event = follow_up(durations, observed)
    arm = flags(treated, time.shape, "treated")
    people = _People(time, event, arm, np.atleast_1d(np.asarray(days, np.float64)), horizon)
    if not 0 < arm.sum() < arm.size:
        what = f"{int(arm.sum())} of {arm.size} rows are treated"
        raise EstimationError(_WHERE, what, "compare two arms that have members.")
    if people.until <= 0:
        raise EstimationError(_WHERE, "no day is asked for", "give table_days or horizon_days.")
    for mine, name in ((arm, "treated"), (~arm, "others")):
        _check_arm(people, mine, name)
    return people


def _check_arm(people: _People, mine: BoolArray, name: str) -> None:
    longest, until = float(people.time[mine].max()), people.until
    if longest < until:
        what = f"{until:g} is beyond the longest follow-up {longest:g} of the {name}"
        raise EstimationError(_WHERE, what, "choose earlier table_days or horizon_days.")
    if not (people.event & mine & (people.time <= until)).any():
        what = f"nobody of the {name} has the event by {until:g}"
        raise EstimationError(_WHERE, what, "look further, or compare another outcome.")
    if (people.event[mine] & (people.time[mine] == until))[people.time[mine] >= until].all():
        what = f"all of the {name} who are followed to {until:g} have the event then"
        raise EstimationError(_WHERE, what, "choose earlier table_days or horizon_days.")


def _outcome_hazards(
    people: _People, design: OutcomeDesign, ties: Ties, per_arm: bool
) -> tuple[Hazard, Hazard]:
    """Hazards of the outcome that the treated have, and the others."""
    x = design.observed if design.observed.size else None
    if not per_arm:
        everybody = np.ones(people.arm.size, dtype=np.bool_)
        both = fit_hazard(people.time, people.event, x, everybody, ties)
        return both, both
    first, second = (
        fit_hazard(people.time, people.event, x, mine, ties) for mine in (people.arm, ~people.arm)
    )
    return first, second


def _loss(people: _People, z: FloatArray | None, mine: BoolArray) -> Hazard | None:
    """Hazard of loss before the last day in one arm, or None where nobody is lost.

    Its times are ranks: an event on the day of a loss comes before it.
    """
    lost = ~people.event & (people.time < people.until)
    if not (lost & mine).any():
        return None
    moments, rank = np.unique(people.time, return_inverse=True)
    late = np.searchsorted(moments, people.until)
    key = np.where(rank < late, 2 * rank + ~people.event, 2 * late) + 2.0
    found = fit_hazard(key, lost, z, mine, "breslow")
    return replace(found, time=moments[((found.time - 3) // 2).astype(np.int64)])


def _both(people: _People, arms: list[_Models], lost: int) -> SurvivalEffects:
    values, influence = zip(*(_one_arm(people, models) for models in arms), strict=True)
    d = people.days.size

    def means(place: int, sign: float) -> ArmMeans:
        pair = [float(v[place]) if sign > 0 else 1 - float(v[place]) for v in values]
        moved = np.column_stack([sign * part[:, place] for part in influence])
        return ArmMeans(pair[0], pair[1], moved, "m_estimation")

    risks = tuple(means(place, -1.0) for place in range(d))
    rmst = means(d, 1.0) if people.horizon is not None else None
    return SurvivalEffects(people.days, risks, people.horizon, rmst, lost)


def _one_arm(people: _People, models: _Models) -> tuple[FloatArray, FloatArray]:
    """What is read in one arm, shape (q,), and the influence of each person on it, (n, q)."""
    k = int(np.searchsorted(models.outcome.time, people.until, side="right"))
    reads = people.reads(models.outcome.time[:k])
    sums = _summed(people, models, reads, k)
    value = np.sort(sums.part, axis=0).sum(axis=0)
    influence = sums.part - models.over[:, None] * value
    for q in range(reads.shape[0]):
        full = np.zeros(models.outcome.time.size)
        full[:k] = sums.steps[q]
        influence[:, q] += models.outcome.influence(full, sums.coef[q])
        if (loss := models.loss) is not None:
            after = np.searchsorted(models.outcome.time[:k], loss.time, side="right")
            moved = sums.loss_steps[q, after] * loss.slope
            influence[:, q] += loss.influence(moved, sums.loss_coef[q])
        influence[:, q] += linear_predictor(sums.score[q], models.of_score)
    return value, influence


def _summed(people: _People, models: _Models, reads: FloatArray, k: int) -> _Sums:
    """Go through all persons in blocks, in an order that their rows alone decide."""
    n, q = people.time.size, reads.shape[0]
    sums = _Sums(
        np.zeros((n, q)),
        np.zeros((q, k)),
        np.zeros((q, models.outcome.coef.size)),
        np.zeros((q, k + 1)),
        np.zeros((q, 0 if models.loss is None else models.loss.coef.size)),
        np.zeros((q, models.of_score.shape[1])),
    )
    for rows in _blocks(people, models, k):
        if models.weight[rows].any():
            _add_augmented(sums, people, models, reads, rows, k)
        else:
            _add_standardised(sums, models, reads, rows, k)
    return sums


def _blocks(people: _People, models: _Models, k: int) -> Iterator[IntArray]:
    """Yield rows of a size that fits into memory; those with weight first."""
    light = models.weight == 0
    order = row_order((light, people.time, people.event, people.arm), models.x)
    heavy = int((~light).sum())
    size = max(1, _CELLS // k)
    for part in (order[:heavy], order[heavy:]):
        for begin in range(0, part.size, size):
            yield part[begin : begin + size]


def _add_standardised(
    sums: _Sums, models: _Models, reads: FloatArray, rows: IntArray, k: int
) -> None:
    """Add what survival of some persons gives, without residuals."""
    hazard, over = models.outcome, models.over[rows]
    r = hazard.relative(models.x[rows])
    survival = np.exp(-r[:, None] * hazard.level[:k])
    scaled = hazard.scaled(models.x[rows])
    for q, read in enumerate(reads):
        left = _from_here(read[1:] * survival)
        sums.part[rows, q] = over * (read[0] + left[:, 0])
        sums.steps[q] -= hazard.slope[:k] * ((over * r) @ left)
        sums.coef[q] -= (over * r * (left @ hazard.step[:k])) @ scaled


def _add_augmented(
    sums: _Sums, people: _People, models: _Models, reads: FloatArray, rows: IntArray, k: int
) -> None:
    """Add what survival and residuals of some persons of the arm give."""
    hazard, over, weight = models.outcome, models.over[rows], models.weight[rows]
    r = hazard.relative(models.x[rows])
    survival = np.exp(-r[:, None] * hazard.level[:k])
    at_risk = people.time[rows, None] >= hazard.time[:k]
    dies = people.event[rows, None] & (people.time[rows, None] == hazard.time[:k])
    level, relative = _of_loss(models, rows, k)
    inverse = _inverse(r[:, None] * hazard.level[:k] + relative[:, None] * level, at_risk)
    residual = (dies - at_risk * (r[:, None] * hazard.step[:k])) * inverse
    total = residual.cumsum(axis=1)
    own = over[:, None] * hazard.slope[:k] - weight[:, None] * (
        inverse + hazard.slope[:k] * (total - residual)
    )
    scaled = hazard.scaled(models.x[rows])
    for q, read in enumerate(reads):
        left = _from_here(read[1:] * survival)
        lean = _from_here(read[1:] * survival * total)
        moved = left * own
        sums.part[rows, q] = over * (read[0] + left[:, 0]) - weight * lean[:, 0]
        sums.steps[q] -= r @ moved
        sums.coef[q] -= (r * (moved @ hazard.step[:k])) @ scaled
        sums.score[q] -= lean[:, 0] @ models.gradient[rows]
        if models.loss is None:
            continue
        by_loss = weight * relative
        sums.loss_steps[q, 0] -= by_loss @ lean[:, 0]
        sums.loss_steps[q, 1:-1] -= by_loss @ (lean[:, 1:] - total[:, :-1] * left[:, 1:])
        drift = (residual * left) @ level
        sums.loss_coef[q] -= (by_loss * drift) @ models.loss.scaled(models.z[rows])


def _of_loss(models: _Models, rows: IntArray, k: int) -> tuple[FloatArray, FloatArray]:
    """Level of the hazard of loss before each event, (k,), and that of persons against it."""
    if models.loss is None:
        return np.zeros(k), np.zeros(rows.size)
    before = np.searchsorted(models.loss.time, models.outcome.time[:k], side="left")
    return np.append(0.0, models.loss.level)[before], models.loss.relative(models.z[rows])


def _inverse(exponent: FloatArray, at_risk: BoolArray) -> FloatArray:
    """Inverse chance to be still followed, 0 for those who are not.

    Raises:
        EstimationError: One person stands for more than any number of persons.
    """
    if (exponent[at_risk] > _LARGEST).any():
        what = "some persons were sure to have left, and are still followed"
        raise EstimationError(_WHERE, what, "use fewer terms, or choose earlier days.")
    return np.where(at_risk, np.exp(np.where(at_risk, exponent, 0.0)), 0.0)


def _from_here(values: FloatArray) -> FloatArray:
    """Sums of each row from each place to the end."""
    return np.asarray(values[:, ::-1].cumsum(axis=1)[:, ::-1])
