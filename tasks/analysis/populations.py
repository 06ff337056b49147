"""Populations that make two arms comparable: as they are, weighted, or matched."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from tasks.analysis.people import BoolArray, FloatArray, IntArray, People
from tasks.core.errors import EstimationError
from tasks.stats.logistic import logistic
from tasks.stats.matching import match_nearest
from tasks.stats.propensity import ate_weights, overlap_weights

ESTIMAND = {"crude": "unadjusted", "iptw_ate": "ate", "overlap": "ato", "matched": "atm"}


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """Some of the people, with the weights under which the arms are compared.

    `rows` are places in the arrays of `People`; `weights` is None where everybody counts once;
    `cluster` groups people whose follow-up is not independent (matched pairs).
    """

    name: str
    is_target: BoolArray
    follow_up_days: FloatArray
    cause: IntArray
    rows: IntArray
    weights: FloatArray | None
    cluster: IntArray | None

    @property
    def estimand(self) -> str:
        """What a contrast in this population estimates."""
        return ESTIMAND[self.name]

    @property
    def has_outcome(self) -> BoolArray:
        """True where follow-up ended in the outcome."""
        return np.asarray(self.cause == 1)

    def arm(self, is_target: bool) -> "Population":
        """Return the people of one arm."""
        chosen = self.is_target == is_target
        return Population(
            self.name,
            self.is_target[chosen],
            self.follow_up_days[chosen],
            self.cause[chosen],
            self.rows[chosen],
            None if self.weights is None else self.weights[chosen],
            None if self.cluster is None else self.cluster[chosen],
        )


@dataclass(frozen=True, slots=True, eq=False)
class PropensityModel:
    """Estimated probability of the target treatment, and the covariates that could be used."""

    score: FloatArray
    logit: FloatArray
    used: IntArray
    dropped: tuple[str, ...]


def fit_propensity(people: People) -> PropensityModel:
    """Fit the probability of target treatment on all covariates that carry information.

    Columns that are a combination of earlier ones are left out and named.

    Raises:
        EstimationError: The model does not converge, or a covariate separates the arms.
    """
    used = independent_columns(people.matrix)
    fit = logistic(people.matrix[:, used], people.is_target)
    dropped = sorted(set(range(people.matrix.shape[1])) - set(used.tolist()))
    names = tuple(people.covariates[i].id for i in dropped)
    return PropensityModel(fit.fitted, fit.linear_predictor, used, names)


def independent_columns(matrix: FloatArray, tolerance: float = 1e-7) -> IntArray:
    """Return the columns, in order, that are no combination of a constant and earlier columns.

    Args:
        matrix: Covariates, shape (n, p).
        tolerance: Share of a column's length that must remain after taking out the others.
    """
    basis = [np.full(matrix.shape[0], 1 / np.sqrt(max(matrix.shape[0], 1)))]
    kept = []
    for place in range(matrix.shape[1]):
        column = matrix[:, place]
        rest = column - sum(((b @ column) * b for b in basis), np.zeros_like(column))
        size = float(np.linalg.norm(rest))
        if size > tolerance * max(float(np.linalg.norm(column)), 1e-300):
            basis.append(rest / size)
            kept.append(place)
    return np.asarray(kept, dtype=np.int64)


def make_populations(
    people: People, adjustments: Iterable[str]
) -> tuple[dict[str, Population], PropensityModel | None]:
    """Return the crude population and one for each adjustment, by name.

    An adjustment that cannot be made is left out: the analyses that need it are then reported
    as not estimable.
    """
    made = {"crude": _all(people, "crude", None)}
    wanted = tuple(adjustments)
    if not wanted:
        return made, None
    try:
        model = fit_propensity(people)
    except EstimationError:
        return made, None
    for name in wanted:
        made[name] = _adjusted(people, model, name)
    return made, model


def _all(people: People, name: str, weights: FloatArray | None) -> Population:
    rows = np.arange(people.is_target.size)
    return Population(
        name, people.is_target, people.follow_up_days, people.cause, rows, weights, None
    )


def _adjusted(people: People, model: PropensityModel, name: str) -> Population:
    if name == "iptw_ate":
        return _all(people, name, ate_weights(model.score, people.is_target))
    if name == "overlap":
        return _all(people, name, overlap_weights(model.score, people.is_target))
    return _matched(people, model)


def _matched(people: People, model: PropensityModel) -> Population:
    pairs = match_nearest(model.logit, people.is_target, order=people.person_id)
    rows = np.concatenate([pairs.treated, pairs.control])
    pair = np.tile(np.arange(pairs.treated.size), 2)
    order = np.argsort(rows, kind="stable")
    rows, pair = rows[order], pair[order]
    return Population(
        "matched",
        people.is_target[rows],
        people.follow_up_days[rows],
        people.cause[rows],
        rows,
        None,
        pair,
    )
