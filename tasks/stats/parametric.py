"""Parametric survival by maximum likelihood: accelerated failure times and proportional hazards."""

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from tasks.core.errors import EstimationError
from tasks.stats.inference import z_quantile
from tasks.stats.inputs import (
    FloatArray,
    IntArray,
    case_weights,
    codes,
    design_matrix,
    follow_up,
    row_order,
    same_shape,
)
from tasks.stats.newton import Bounds, check_estimable
from tasks.stats.parametric_curves import Mixture, mixture
from tasks.stats.parametric_fit import WHERE, Found, Rows, first_guess, fit_law, influence
from tasks.stats.parametric_laws import LAWS, Law

__all__ = ["DISTRIBUTIONS", "Distribution", "ParametricFit", "parametric_survival"]

Distribution = Literal[
    "exponential",
    "weibull",
    "weibull_ph",
    "log_normal",
    "log_logistic",
    "gompertz",
    "generalised_gamma",
]
DISTRIBUTIONS: tuple[Distribution, ...] = get_args(Distribution)
_CONSTANT = 1e-12
_AS_GIVEN = "weibull_ph"  # its parameters change with the unit of time in no linear way


@dataclass(frozen=True, slots=True, eq=False)
class ParametricFit:
    """A fitted law of times to an event, in the unit of the durations.

    `parameters` names p of them: `intercept` and the covariates (of log time, or of the log
    hazard where `is_hazard`), then `log_scale`, `log_shape`, `shape` or `q`; arrays follow that
    order. Curves are means over `patterns` (m, 1 + covariates, with intercept), each with its
    `share` of the rows fitted: with covariates, standardised to them.
    """

    distribution: Distribution
    parameters: tuple[str, ...]
    coef: FloatArray
    std_error: FloatArray
    covariance: FloatArray
    se_method: Literal["model", "robust"]
    log_likelihood: float
    log_likelihood_null: float
    n: int
    events: int
    n_clusters: int | None
    level: float
    iterations: int
    patterns: FloatArray
    share: FloatArray

    @property
    def law(self) -> Law:
        """The distribution, as functions."""
        return LAWS[self.distribution]

    @property
    def is_hazard(self) -> bool:
        """Whether coefficients are of the log hazard, not of log time."""
        return self.law.direction < 0

    @property
    def aic(self) -> float:
        """Akaike's criterion."""
        return 2 * len(self.coef) - 2 * self.log_likelihood

    @property
    def bic(self) -> float:
        """Schwarz's criterion, of the number of rows."""
        return float(np.log(self.n) * len(self.coef) - 2 * self.log_likelihood)

    @property
    def interval(self) -> tuple[FloatArray, FloatArray]:
        """Wald limits of the parameters."""
        margin = z_quantile(self.level) * self.std_error
        return self.coef - margin, self.coef + margin

    def at(self, covariates: ArrayLike) -> "ParametricFit":
        """Return the same fit for a person with these covariates, shape (covariates,)."""
        row = np.append(1.0, np.asarray(covariates, dtype=np.float64))
        same_shape(row, (self.patterns.shape[1],), "covariates")
        return replace(self, patterns=row[None], share=np.ones(1))

    def draw(self, standard_normals: ArrayLike) -> FloatArray:
        """Return parameters drawn from their normal distribution.

        Args:
            standard_normals: Independent standard normal numbers, shape (draws, p).

        Returns:
            Parameters, shape (draws, p).
        """
        root = np.linalg.cholesky(self.covariance)
        return np.asarray(self.coef + np.asarray(standard_normals, dtype=np.float64) @ root.T)

    def with_coef(self, coef: ArrayLike) -> "ParametricFit":
        """Return the same law with other parameters, such as one draw."""
        return replace(self, coef=np.asarray(coef, dtype=np.float64))

    @property
    def curve(self) -> Mixture:
        """The fitted law, averaged over the patterns."""
        return mixture(self.law, self.coef, self.patterns, self.share)

    def survival(self, times: ArrayLike) -> FloatArray:
        """Probability of no event by times >= 0, shape (t,)."""
        return self.curve.survival(_times(times))

    def hazard(self, times: ArrayLike) -> FloatArray:
        """Hazard at times > 0, shape (t,), per unit of time."""
        at, curve = _times(times), self.curve
        return np.asarray(curve.density(at) / curve.survival(at))

    def restricted_mean(self, horizon: float) -> float:
        """Mean time free of the event up to a horizon: the area under the survival curve."""
        return self.curve.area_and_gradient(horizon)[0]


def _times(times: ArrayLike) -> FloatArray:
    at = np.atleast_1d(np.asarray(times, dtype=np.float64))
    if not (np.isfinite(at) & (at >= 0)).all():
        raise EstimationError("times", "a time is negative or missing", "give times from 0 on.")
    return at


def parametric_survival(
    durations: ArrayLike,
    observed: ArrayLike,
    distribution: Distribution,
    covariates: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    robust: bool = False,
    cluster: ArrayLike | None = None,
    entry: ArrayLike | None = None,
    names: tuple[str, ...] = (),
    level: float = 0.95,
) -> ParametricFit:
    """Fit a parametric law of times to an event by maximum likelihood.

    Args:
        durations: Follow-up of each person, shape (n,), any one unit, all > 0.
        observed: True where follow-up ended in the event, shape (n,).
        distribution: The law.
        covariates: Covariates without intercept, shape (n, p); None for none.
        weights: Case weights, shape (n,), all > 0. With sampling weights ask for `robust`.
        robust: Whether standard errors come from the influence of rows, or clusters.
        cluster: Label of the cluster of each row, shape (n,); makes the fit robust.
        entry: Time from which each person is observed, shape (n,), from 0 and before its
            duration: the likelihood is that given no event before it (left truncation).
        names: Names of the covariates, for the parameters and for errors.
        level: Confidence level.

    Returns:
        The fit; rows in another order give the same bits. Covariances are of the observed
        information; the log-likelihood is of times, as R `survreg` and `flexsurvreg` print it.

    Raises:
        EstimationError: No events, a constant or collinear covariate, a likelihood without a
            finite maximum, or an input that is not usable.

    Source:
        Kalbfleisch & Prentice (2002) ch. 3; Prentice (1974) for the generalised gamma. Agrees
        with R survival `survreg` (exponential, weibull, lognormal, loglogistic) and flexsurv
        `flexsurvreg` (weibullPH, gompertz, gengamma).
    """
    rows, order = _sorted_rows(durations, observed, covariates, weights, entry)
    called = names or tuple(f"covariate {i}" for i in range(rows.x.shape[1] - 1))
    _check(rows, called)
    law, unit = LAWS[distribution], _Unit.of(distribution, rows)
    parameters = ("intercept", *called, *law.further)
    inner = unit.applied(rows)
    null, found = _both_fits(distribution, inner, parameters)
    model = np.asarray(np.linalg.inv(found.information), dtype=np.float64)
    members = None if cluster is None else codes(cluster, rows.time.size, "cluster")[1][order]
    is_robust = robust or members is not None
    inside = _sandwich(law, inner, found, model, members) if is_robust else model
    back, shift = unit.back(law)
    covariance = back @ inside @ back.T
    loss = unit.log_time * float(rows.weight @ rows.event)
    patterns, share = _patterns(rows)
    return ParametricFit(
        distribution, parameters, back @ found.parameters + shift,
        np.sqrt(np.diag(covariance)), covariance, "robust" if is_robust else "model",
        found.log_likelihood - loss, null.log_likelihood - loss,
        rows.time.size, int(rows.event.sum()),
        None if members is None else int(members.max()) + 1, level, found.iterations,
        patterns, share,
    )  # fmt: skip


def _sorted_rows(
    durations: ArrayLike,
    observed: ArrayLike,
    covariates: ArrayLike | None,
    weights: ArrayLike | None,
    entry: ArrayLike | None,
) -> tuple[Rows, IntArray]:
    time, event = follow_up(durations, observed)
    n = time.size
    x = np.empty((n, 0)) if covariates is None else design_matrix(covariates, n)
    weight = np.ones(n) if weights is None else case_weights(weights, n)
    start = np.zeros(n) if entry is None else _entries(entry, time)
    order = row_order((event, time, start, weight), x)
    x = np.column_stack([np.ones(n), x])
    return Rows(x[order], time[order], event[order], start[order], weight[order]), order


def _entries(entry: ArrayLike, time: FloatArray) -> FloatArray:
    start = np.asarray(entry, dtype=np.float64)
    same_shape(start, time.shape, "entry")
    if bad := int((~np.isfinite(start) | (start < 0) | (start >= time)).sum()):
        raise EstimationError(
            "entry",
            f"{bad} of {time.size} rows do not enter from 0 on and before they end",
            "drop or repair them, where attrition is counted.",
        )
    return start


def _check(rows: Rows, names: tuple[str, ...]) -> None:
    if not rows.event.any():
        fix = "choose an outcome that occurs, or a longer follow-up."
        raise EstimationError(WHERE, "no event occurred", fix)
    if np.unique(rows.time[rows.event]).size == 1 and rows.event.all():
        fix = "record times more finely; a distribution needs times that differ."
        raise EstimationError(WHERE, "all events happen at one time", fix)
    x = rows.x[:, 1:]
    centre, scale = _centre_and_scale(x, rows.weight)
    standard = (x - centre) / scale
    size = float(rows.weight.sum())
    bounds = Bounds(WHERE, size, np.ones(len(names)), 0.0)
    try:
        check_estimable(standard.T @ (rows.weight[:, None] * standard), bounds)
    except EstimationError as exc:
        listed = ", ".join(f"{i} = {name}" for i, name in enumerate(names))
        raise EstimationError(WHERE, f"{exc.what}: {listed}", exc.fix) from None
    _check_events_everywhere(rows, x, names)


def _check_events_everywhere(rows: Rows, x: FloatArray, names: tuple[str, ...]) -> None:
    """Refuse a category of which no row, or no other row, has the event."""
    for name, column in zip(names, x.T, strict=True):
        if np.isin(column, (0.0, 1.0)).all() and np.unique(column[rows.event]).size == 1:
            raise EstimationError(
                WHERE,
                f"events occur on one side of {name} only: its coefficient runs to infinity",
                "merge or drop the category in which nothing happens.",
            )


def _centre_and_scale(x: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
    share = weight / weight.sum()
    centre = share @ x
    scale = np.sqrt(share @ (x - centre) ** 2)
    return centre, np.where(scale <= _CONSTANT * np.maximum(abs(centre), 1.0), 1.0, scale)


@dataclass(frozen=True, slots=True, eq=False)
class _Unit:
    """Units in which a fit is well conditioned: of time (as a log), and of each covariate."""

    log_time: float
    centre: FloatArray
    scale: FloatArray

    @classmethod
    def of(cls, distribution: Distribution, rows: Rows) -> "_Unit":
        centre, scale = _centre_and_scale(rows.x[:, 1:], rows.weight)
        middle = float(rows.weight @ np.log(rows.time) / rows.weight.sum())
        return cls(0.0 if distribution == _AS_GIVEN else middle, centre, scale)

    def applied(self, rows: Rows) -> Rows:
        x = rows.x.copy()
        x[:, 1:] = (x[:, 1:] - self.centre) / self.scale
        per = np.exp(-self.log_time)
        return replace(rows, x=x, time=rows.time * per, entry=rows.entry * per)

    def back(self, law: Law) -> tuple[FloatArray, FloatArray]:
        """Matrix and shift from parameters in these units to those in the units given."""
        p = self.scale.size
        matrix = np.eye(1 + p + len(law.further))
        matrix[1 : 1 + p, 1 : 1 + p] = np.diag(1 / self.scale)
        matrix[0, 1 : 1 + p] = -self.centre / self.scale
        if law.further == ("shape",):
            matrix[-1, -1] = np.exp(-self.log_time)
        shift = np.zeros(matrix.shape[0])
        shift[0] = law.direction * self.log_time
        return matrix, shift


def _both_fits(
    distribution: Distribution, rows: Rows, parameters: tuple[str, ...]
) -> tuple[Found, Found]:
    """Fit the law without covariates, and from there with them."""
    p, law = rows.x.shape[1] - 1, LAWS[distribution]
    bare = replace(rows, x=rows.x[:, :1])
    null = _best_start(distribution, bare, ("intercept", *law.further))
    if not p:
        return null, null
    start = np.concatenate([null.parameters[:1], np.zeros(p), null.parameters[1:]])
    return null, fit_law(law, rows, start, parameters)


def _best_start(distribution: Distribution, rows: Rows, names: tuple[str, ...]) -> Found:
    """Fit a law without covariates from each of its starts; keep the highest maximum."""
    found: list[Found] = []
    failed: list[EstimationError] = []
    for start in _starts(distribution, rows):
        try:
            found.append(fit_law(LAWS[distribution], rows, start, names))
        except EstimationError as exc:
            failed.append(exc)
    if not found:
        raise failed[0]
    return max(found, key=lambda fit: fit.log_likelihood)


def _starts(distribution: Distribution, rows: Rows) -> list[FloatArray]:
    """Where to begin: the generalised gamma at its special cases, log-normal and Weibull."""
    if distribution != "generalised_gamma":
        return [first_guess(distribution, rows)]
    names = ("intercept", "log_scale")
    cases: tuple[tuple[Distribution, float], ...] = (("log_normal", 0.0), ("weibull", 1.0))
    return [
        np.append(fit_law(LAWS[case], rows, first_guess(case, rows), names).parameters, q)
        for case, q in cases
    ]


def _sandwich(
    law: Law, rows: Rows, found: Found, model: FloatArray, members: IntArray | None
) -> FloatArray:
    """Sum over rows, or clusters, of squared weighted influence, shape (p, p)."""
    scores = influence(law, rows, found)
    if members is not None:
        if members.max() == 0:
            fix = "name a cluster with several labels, or leave it out."
            raise EstimationError(WHERE, "all rows are of one cluster", fix)
        scores = np.stack([np.bincount(members, column) for column in scores.T], axis=1)
    moved = scores @ model
    return np.asarray(moved.T @ moved)


def _patterns(rows: Rows) -> tuple[FloatArray, FloatArray]:
    """Distinct rows of the design, and the share of the weight that each has."""
    if rows.x.shape[1] == 1:
        return np.ones((1, 1)), np.ones(1)
    distinct, member = np.unique(rows.x, axis=0, return_inverse=True)
    weight = np.bincount(member.reshape(-1), rows.weight)
    return distinct, np.asarray(weight / weight.sum())
