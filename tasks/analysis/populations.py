"""Populations that make two arms comparable: as they are, weighted, or matched."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from tasks.analysis.people import BoolArray, FloatArray, IntArray, People
from tasks.core.errors import EstimationError
from tasks.core.spec import Analysis
from tasks.stats.entropy_balancing import entropy_balanced
from tasks.stats.estimated_weights import (
    EstimatedScore,
    EstimatedWeights,
    Weighting,
    estimated_score,
    score_weights,
    truncated,
)
from tasks.stats.logistic import logistic
from tasks.stats.matching import match_sets
from tasks.stats.propensity import within_bounds
from tasks.stats.sparse_propensity import Rule, sparse_score
from tasks.stats.stratified_effects import score_strata

CALIPER_SD, N_STRATA = 0.2, 5

ESTIMAND = {
    "crude": "unadjusted",
    "iptw_ate": "ate",
    "iptw_att": "att",
    "overlap": "ato",
    "matched": "atm",
    "stratified": "ate",
    "entropy_balanced": "att",
    "initiation_weights": "ate",
}


@dataclass(frozen=True, slots=True, eq=False)
class Initiation:
    """When treatment started, in days of follow-up (infinite: never), and what may drive it."""

    start_days: FloatArray
    x: FloatArray
    names: tuple[str, ...]

    def named(self, exc: EstimationError) -> EstimationError:
        """Return an error of the models of starting with the covariates that it counts named."""
        if "counted from 0" not in exc.what:
            return exc
        listed = ", ".join(f"{place} = {name}" for place, name in enumerate(self.names))
        return EstimationError(exc.where, f"{exc.what}: {listed}", exc.fix)


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """Some of the people, with the weights under which the arms are compared.

    `rows` are places in the arrays of `People`; `weights` is None where everybody counts once;
    `cluster` groups people whose follow-up is not independent (matched pairs); `stratum` those
    of like scores; `estimated` are the weights with what their fit adds to a variance;
    `initiation` is when treatment started, where strategies have a grace period;
    `people` is everybody, with the covariates.
    """

    name: str
    is_target: BoolArray
    follow_up_days: FloatArray
    cause: IntArray
    rows: IntArray
    weights: FloatArray | None
    cluster: IntArray | None
    stratum: IntArray | None = None
    estimated: EstimatedWeights | None = None
    initiation: Initiation | None = None
    people: People | None = None

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
            None if self.stratum is None else self.stratum[chosen],
        )


@dataclass(frozen=True, slots=True, eq=False)
class PropensityModel:
    """Estimated probability of the target treatment, and the covariates that could be used."""

    score: FloatArray
    logit: FloatArray
    used: IntArray
    dropped: tuple[str, ...]
    is_penalised: bool = False


def fit_propensity(people: People, penalty: Rule | None = None) -> PropensityModel:
    """Fit the probability of target treatment on all covariates that carry information.

    Columns that are a combination of earlier ones are left out and named; with a penalty, those
    whose coefficient it makes 0.

    Args:
        people: Everybody.
        penalty: How cross-validation chooses an L1 penalty; none without.

    Raises:
        EstimationError: The model does not converge, or a covariate separates the arms.
    """
    if penalty is not None:
        found = sparse_score(people.matrix, people.is_target, penalty)
        unused = tuple(people.covariates[i].id for i in np.flatnonzero(found.coef == 0))
        kept = np.flatnonzero(found.coef)
        return PropensityModel(found.fitted, found.logit, kept, unused, is_penalised=True)
    matrix = people.dense()
    used = independent_columns(matrix)
    fit = logistic(matrix[:, used], people.is_target)
    dropped = sorted(set(range(matrix.shape[1])) - set(used.tolist()))
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
    people: People,
    adjustments: Iterable[str],
    options: Mapping[str, Analysis] = MappingProxyType({}),
) -> tuple[dict[str, Population], PropensityModel | None]:
    """Return the crude population and one for each adjustment, by name.

    An adjustment that cannot be made is left out: the analyses that need it are then reported
    as not estimable.

    Args:
        people: Everybody.
        adjustments: Names of adjustments.
        options: The analysis that says how each is made; each as by default without.
    """
    made = {"crude": _some(people, "crude", np.arange(people.is_target.size))}
    wanted = tuple(adjustments)
    if not wanted:
        return made, None
    try:
        model = fit_propensity(people, _penalty(options))
    except EstimationError:
        model = None
    for name in wanted:
        asked = options.get(name)
        try:
            made |= _made(people, model, name, asked)
        except EstimationError:
            continue
    return made, model


def _made(
    people: People, model: PropensityModel | None, name: str, asked: Analysis | None
) -> dict[str, Population]:
    if name == "entropy_balanced":
        return {name: _balanced(people)}
    return {} if model is None else {name: _adjusted(people, model, name, asked)}


def _penalty(options: Mapping[str, Analysis]) -> Rule | None:
    return next((a.score_penalty for a in options.values() if a.score_penalty), None)


def _score(people: People, model: PropensityModel, rows: IntArray) -> EstimatedScore:
    """Return the score with what its fit adds; of a penalised one nothing of the kind is known."""
    if not model.is_penalised:
        return estimated_score(people.dense(model.used)[rows], people.is_target[rows])
    nothing = np.zeros((rows.size, 1))
    return EstimatedScore(model.score, model.logit, nothing, nothing, nothing[0], nothing[0])


def _some(
    people: People,
    name: str,
    rows: IntArray,
    weights: EstimatedWeights | None = None,
    **more: IntArray,
) -> Population:
    given = None if weights is None else weights.weight
    return Population(
        name,
        people.is_target[rows],
        people.follow_up_days[rows],
        people.cause[rows],
        rows,
        given,
        more.get("cluster"),
        more.get("stratum"),
        weights,
        people=people,
    )


def _balanced(people: People) -> Population:
    matrix = people.dense()
    used = independent_columns(matrix)
    weights = entropy_balanced(matrix[:, used], people.is_target)
    return _some(people, "entropy_balanced", np.arange(people.is_target.size), weights)


def _adjusted(
    people: People, model: PropensityModel, name: str, asked: Analysis | None
) -> Population:
    rows = np.arange(people.is_target.size)
    if asked is not None and asked.trim is not None:
        rows = np.flatnonzero(within_bounds(model.score, *asked.trim))
        model = fit_propensity(people.at(rows), asked.score_penalty)
    if name == "matched":
        return _matched(people, model, rows, asked)
    if name == "stratified":
        n_strata = (asked.n_strata if asked else None) or N_STRATA
        stratum = score_strata(model.score, people.is_target[rows], n_strata)
        return _some(people, name, rows, stratum=stratum)
    found = _some(people, name, rows, _weights(people, model, rows, name, asked))
    return replace(found, estimated=None) if model.is_penalised else found


def _weights(
    people: People, model: PropensityModel, rows: IntArray, name: str, asked: Analysis | None
) -> EstimatedWeights:
    score = _score(people, model, rows)
    given = asked.stabilised if asked else None
    stabilised = name == "iptw_ate" if given is None else given
    kind: Weighting = name  # type: ignore[assignment]
    weights = score_weights(score, people.is_target[rows], kind, stabilised)
    return truncated(weights, *asked.truncate) if asked and asked.truncate else weights


def _matched(
    people: People, model: PropensityModel, rows: IntArray, asked: Analysis | None
) -> Population:
    """Sets of one, or of up to `ratio` others who then share the weight of one."""
    ratio = (asked.ratio if asked else None) or 1
    caliper = asked.caliper_sd if asked and asked.caliper_sd is not None else CALIPER_SD
    exact = _exact(people, asked.exact if asked else ())
    order = people.person_id[rows]
    sets = match_sets(
        model.logit, people.is_target[rows], caliper, ratio,
        None if exact is None else exact[rows], order,
    )  # fmt: skip
    tidy = np.argsort(sets.row, kind="stable")
    kept = rows[sets.row[tidy]]
    found = _some(people, "matched", kept, cluster=sets.set_id[tidy])
    return found if ratio == 1 else replace(found, weights=sets.weight[tidy])


def _exact(people: People, names: tuple[str, ...]) -> IntArray | None:
    """One number for each combination of values of covariates; None without names."""
    chosen = [
        place
        for place, covariate in enumerate(people.covariates)
        if covariate.id.partition("=")[0] in names
    ]
    if not chosen:
        return None
    return np.unique(people.dense(np.array(chosen)), axis=0, return_inverse=True)[1].reshape(-1)
