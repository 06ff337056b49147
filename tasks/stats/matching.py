"""One-to-one greedy nearest-neighbour matching inside a caliper, closest pairs first."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tasks.core.errors import EstimationError
from tasks.stats.inputs import BoolArray, FloatArray, IntArray, flags, same_shape

_GRID = 2.0**-30  # logits closer than this, about 1e-9, count as equal
_FAR = 2**62


@dataclass(frozen=True, slots=True, eq=False)
class MatchedPairs:
    """Row numbers of m matched pairs, in the `order` of the treated; arrays have shape (m,).

    `distance` and `caliper` are in units of the logit.
    """

    treated: IntArray
    control: IntArray
    distance: FloatArray
    caliper: float
    n_treated: int
    n_control: int


@dataclass(frozen=True, slots=True, eq=False)
class _Nodes:
    """Distinct values on the line, each with unmatched persons of one arm; shape (m,)."""

    value: IntArray
    is_treated: BoolArray
    head: IntArray  # place of the next person to be matched in the list of all
    count: IntArray


def match_nearest(
    logit_ps: ArrayLike,
    treated: ArrayLike,
    caliper_sd: float = 0.2,
    order: ArrayLike | None = None,
) -> MatchedPairs:
    """Match each treated person to at most one other, always the closest pair still free.

    Pairs are taken in ascending distance; among equal distances by the `order` of the
    treated, then of the control. This is exact greedy matching: the result is that of sorting
    all pairs, found by repeatedly joining, all at once, neighbours that are each other's best.

    Args:
        logit_ps: Logit of the propensity score, shape (n,), finite; compared on a grid of 2^-30.
        treated: True for the treated, shape (n,).
        caliper_sd: Largest distance, in standard deviations of the logit (root of the mean of
            the arms' variances).
        order: Distinct whole number of each person, shape (n,), that settles ties: give a
            stable key, so that a shuffle of the rows matches the same persons. Row numbers
            when None.

    Returns:
        The pairs, all inside the caliper.

    Raises:
        EstimationError: An arm is empty, `order` repeats, or an input is not usable.

    Source:
        Austin (2011) Pharm Stat 10 for the caliper; Rosenbaum & Rubin (1985).
    """
    logit = np.asarray(logit_ps, dtype=np.float64)
    arm = flags(treated, logit.shape, "treated")
    rank = np.arange(logit.size) if order is None else np.asarray(order)
    _check(logit, arm, rank)
    caliper = caliper_sd * _pooled_sd(logit, arm)
    grid = np.rint(logit / _GRID).astype(np.int64)
    people = np.lexsort((rank, ~arm, grid))
    pairs = _pair(grid[people], arm[people], rank[people], int(caliper / _GRID))
    a, b = people[pairs[:, np.argsort(rank[people[pairs[0]]])]]
    n_treated = int(arm.sum())
    return MatchedPairs(a, b, abs(logit[a] - logit[b]), caliper, n_treated, arm.size - n_treated)


@dataclass(frozen=True, slots=True, eq=False)
class MatchedSets:
    """Rows of m matched sets: `row` and the number of its set, both of shape (k,), k >= 2m.

    `weight` is 1 for the treated; the controls of a set share 1 among them.
    """

    row: IntArray
    set_id: IntArray
    weight: FloatArray
    caliper: float
    n_treated: int
    n_control: int
    n_sets: int


def match_sets(
    logit_ps: ArrayLike,
    treated: ArrayLike,
    caliper_sd: float = 0.2,
    ratio: int = 1,
    exact: ArrayLike | None = None,
    order: ArrayLike | None = None,
) -> MatchedSets:
    """Match each treated person to up to `ratio` others that are equal in `exact`, closest first.

    Rounds of one-to-one matching: in each, those of the treated who were matched in the round
    before look for one more control, among those still free, without replacement.

    Args:
        logit_ps: Logit of the propensity score, shape (n,), finite.
        treated: True for the treated, shape (n,).
        caliper_sd: Largest distance, in standard deviations of the logit.
        ratio: Most controls of a treated person.
        exact: Label in which pairs must agree, shape (n,).
        order: Distinct whole number of each person, shape (n,), that settles ties.

    Raises:
        EstimationError: As `match_nearest`; or nobody has a match inside the caliper.

    Source:
        Austin (2011) Pharm Stat 10; Rosenbaum & Rubin (1985).
    """
    logit = np.asarray(logit_ps, dtype=np.float64)
    arm = flags(treated, logit.shape, "treated")
    rank = np.arange(logit.size) if order is None else np.asarray(order)
    _check(logit, arm, rank)
    if ratio < 1:
        raise EstimationError("match_sets", f"ratio is {ratio}", "match 1 control or more.")
    caliper = caliper_sd * _pooled_sd(logit, arm)
    grid = _apart(np.rint(logit / _GRID).astype(np.int64), exact, int(caliper / _GRID))
    seeking, free, rounds = arm.copy(), ~arm, []
    for _ in range(ratio):
        if not (seeking.any() and free.any()):
            break
        chosen = np.flatnonzero(seeking | free)
        people = chosen[np.lexsort((rank[chosen], ~arm[chosen], grid[chosen]))]
        pairs = people[_pair(grid[people], arm[people], rank[people], int(caliper / _GRID))]
        seeking = np.zeros_like(arm)
        seeking[pairs[0]] = True
        free[pairs[1]] = False
        rounds.append(pairs)
    return _as_sets(np.concatenate(rounds, axis=1), rank, caliper, arm)


def _apart(grid: IntArray, exact: ArrayLike | None, caliper: int) -> IntArray:
    """Move strata so far apart on the line that no pair inside the caliper joins two."""
    if exact is None:
        return grid
    _, stratum = np.unique(np.asarray(exact), return_inverse=True)
    width = int(np.ptp(grid)) + caliper + 2
    if width * (int(stratum.max()) + 2) >= _FAR:
        raise EstimationError("match_sets", "too many strata", "match on fewer exact columns.")
    return np.asarray(grid - grid.min() + stratum.astype(np.int64) * width)


def _as_sets(pairs: IntArray, rank: IntArray, caliper: float, arm: BoolArray) -> MatchedSets:
    if not pairs.size:
        raise EstimationError(
            "match_sets", "nobody has a match inside the caliper", "widen caliper_sd."
        )
    treated = np.unique(pairs[0])
    treated = treated[np.argsort(rank[treated])]
    place = np.empty(arm.size, dtype=np.int64)
    place[treated] = np.arange(treated.size)
    of_pair = place[pairs[0]]
    row = np.concatenate([treated, pairs[1]])
    set_id = np.concatenate([np.arange(treated.size), of_pair])
    share = 1 / np.bincount(of_pair)[of_pair]
    weight = np.concatenate([np.ones(treated.size), share])
    tidy = np.lexsort((rank[row], ~arm[row], set_id))
    return MatchedSets(
        row[tidy], set_id[tidy], weight[tidy], caliper,
        int(arm.sum()), int((~arm).sum()), treated.size,
    )  # fmt: skip


def _check(logit: FloatArray, arm: BoolArray, rank: IntArray) -> None:
    same_shape(rank, logit.shape, "order")
    if not np.isfinite(logit).all() or not 0 < arm.sum() < arm.size:
        raise EstimationError(
            "match_nearest",
            f"{int((~np.isfinite(logit)).sum())} logits not finite, {int(arm.sum())} treated",
            "fit a propensity score inside (0, 1) to two arms that both have members.",
        )
    if np.unique(rank).size < rank.size:
        raise EstimationError("order", "numbers repeat", "give each person a number of their own.")


def _pooled_sd(logit: FloatArray, arm: BoolArray) -> float:
    return float(np.sqrt(sum(_sample_variance(np.sort(logit[a])) for a in (arm, ~arm)) / 2))


def _sample_variance(x: FloatArray) -> float:
    return float(x.var(ddof=1)) if x.size > 1 else 0.0


def _pair(value: IntArray, arm: BoolArray, rank: IntArray, caliper: int) -> IntArray:
    """Places of the treated and of the controls of all pairs, shape (2, m)."""
    found, nodes = _pair_equals(value, arm)
    taken = [found]
    while (nodes := _prune(nodes, caliper)).value.size:
        edge, amount = _best_edges(nodes, rank, caliper)
        taken.append(_join(nodes, edge, amount))
        nodes = _without(nodes, edge, amount)
    return np.concatenate(taken, axis=1)


def _pair_equals(value: IntArray, arm: BoolArray) -> tuple[IntArray, _Nodes]:
    """Pair off those of equal value, first with first; what is left of each value is a node."""
    new = np.append(True, np.diff(value) != 0)
    start = np.flatnonzero(new)
    size = np.diff(np.append(start, value.size))
    treated = np.add.reduceat(arm.astype(np.int64), start)
    pairs = np.minimum(treated, size - treated)
    first, second = _spread(start, pairs), _spread(start + treated, pairs)
    more = treated > size - treated
    head = np.where(more, start, start + treated) + pairs
    count = np.abs(2 * treated - size)
    left = count > 0
    nodes = _Nodes(value[start[left]], more[left], head[left], count[left])
    return np.stack([first, second]), nodes


def _spread(start: IntArray, count: IntArray) -> IntArray:
    """start, start + 1, ... for `count` places, one run after the other."""
    before = np.cumsum(count) - count
    return np.asarray(np.arange(count.sum()) + np.repeat(start - before, count))


def _best_edges(nodes: _Nodes, rank: IntArray, caliper: int) -> tuple[IntArray, IntArray]:
    """Neighbours that come before all other pairs of either, and how many persons to pair.

    Strictly closest neighbours pair all they can; on a tie in distance one pair is taken.
    """
    below, above = _nearest_others(nodes)
    distance = np.diff(nodes.value)
    usable = (nodes.is_treated[1:] != nodes.is_treated[:-1]) & (distance <= caliper)
    rivals = _distance(nodes, below)[:-1], _distance(nodes, above)[1:]
    edge = np.flatnonzero(usable & (distance <= rivals[0]) & (distance <= rivals[1]))
    ties = [distance[edge] == rival[edge] for rival in rivals]
    best = _precedes(nodes, rank, edge, (below[edge], edge), ties[0])
    best &= _precedes(nodes, rank, edge, (edge + 1, above[edge + 1]), ties[1])
    edge, tied = edge[best], (ties[0] | ties[1])[best]
    return edge, np.where(tied, 1, np.minimum(nodes.count[edge], nodes.count[edge + 1]))


def _nearest_others(nodes: _Nodes) -> tuple[IntArray, IntArray]:
    """Nearest node of the other arm below and above each node; -1 where there is none."""
    turn = np.flatnonzero(nodes.is_treated[1:] != nodes.is_treated[:-1])
    run = np.searchsorted(turn, np.arange(nodes.value.size), side="left")
    return np.append(-1, turn)[run], np.append(turn + 1, -1)[run]


def _distance(nodes: _Nodes, other: IntArray) -> IntArray:
    return np.where(other < 0, _FAR, abs(nodes.value - nodes.value[other]))


def _precedes(
    nodes: _Nodes, rank: IntArray, edge: IntArray, rival: tuple[IntArray, IntArray], tied: BoolArray
) -> BoolArray:
    """Whether each edge comes before an equally long rival pair by order of the persons."""
    treated, control = _person_ranks(nodes, rank, edge, edge + 1)
    rival_treated, rival_control = _person_ranks(nodes, rank, *rival)
    same = treated == rival_treated
    return np.asarray(~tied | (treated < rival_treated) | (same & (control < rival_control)))


def _person_ranks(
    nodes: _Nodes, rank: IntArray, low: IntArray, high: IntArray
) -> tuple[IntArray, IntArray]:
    """Order of the next treated and of the next control in pairs of nodes."""
    of_low, of_high = rank[nodes.head[low]], rank[nodes.head[high]]
    forward = nodes.is_treated[low]
    return np.where(forward, of_low, of_high), np.where(forward, of_high, of_low)


def _join(nodes: _Nodes, edge: IntArray, amount: IntArray) -> IntArray:
    low, high = _spread(nodes.head[edge], amount), _spread(nodes.head[edge + 1], amount)
    forward = np.repeat(nodes.is_treated[edge], amount)
    return np.stack([np.where(forward, low, high), np.where(forward, high, low)])


def _without(nodes: _Nodes, edge: IntArray, amount: IntArray) -> _Nodes:
    """The nodes less the persons just paired."""
    used = np.zeros_like(nodes.count)
    used[edge] = amount
    used[edge + 1] = amount
    left = nodes.count > used
    return _Nodes(
        nodes.value[left], nodes.is_treated[left], (nodes.head + used)[left],
        (nodes.count - used)[left],
    )  # fmt: skip


def _prune(nodes: _Nodes, caliper: int) -> _Nodes:
    """Drop nodes from which the nearest of the other arm is beyond the caliper."""
    if not nodes.value.size:
        return nodes
    nearest = np.minimum(*(_distance(nodes, other) for other in _nearest_others(nodes)))
    near = nearest <= caliper
    return _Nodes(nodes.value[near], nodes.is_treated[near], nodes.head[near], nodes.count[near])
