"""The partial likelihood of tied deaths taken as one choice of d among those at risk.

Its denominator is the elementary symmetric polynomial of degree d of the relative hazards at
risk: the coefficient of z^d in the product of 1 + r z. The product is taken pair by pair, all
pairs of a level at once, and carries its first and second derivatives along, cut at degree d.
Moments with one death are those of Breslow's likelihood.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from tasks.core.errors import EstimationError
from tasks.stats import partial_likelihood as likelihood
from tasks.stats.inputs import FloatArray, IntArray
from tasks.stats.newton import Point
from tasks.stats.partial_likelihood import RiskSets

_MOST_WORK = 1e9
_MOST_CELLS = 2e7
_MOST_TIED = 500


@dataclass(frozen=True, slots=True, eq=False)
class _Polynomials:
    """m polynomials of z, shape (m, degree + 1), with their derivatives by the coefficients."""

    value: FloatArray  # (m, c)
    first: FloatArray  # (m, c, p)
    second: FloatArray  # (m, c, p, p)


def check_size(sets: RiskSets) -> None:
    """Refuse ties whose exact likelihood would take too long or too much memory.

    Raises:
        EstimationError: Tied deaths times risk sets are too many.
    """
    moments, deaths = _tied(sets)
    if not moments.size:
        return
    n, squares = sets.weight.size, (sets.x.shape[1] + 1) ** 2
    at_risk = sets.edges[sets.end[moments]] - sets.edges[sets.first[moments]]
    rows = n if sets.late is None else 20 * float(at_risk.sum())
    work = (rows * float(deaths.max()) + float((deaths**2).sum())) * squares
    if work > _MOST_WORK or n * squares > _MOST_CELLS or deaths.max() > _MOST_TIED:
        what = f"{n} rows with up to {deaths.max()} deaths at one time are too many"
        fix = "use ties: efron, which is near the exact likelihood of ties in large risk sets."
        raise EstimationError("ties: exact", what, fix)


def log_likelihood(sets: RiskSets, beta: FloatArray) -> float:
    """Exact log partial likelihood at scaled coefficients, shape (p,)."""
    at = likelihood.moments(_untied(sets), beta)
    parts = [part.log_likelihood for part in _denominators(sets, at.risk, sets.x[:, :0])]
    return at.log_likelihood - float(np.sum(parts))


def point_at(sets: RiskSets, beta: FloatArray) -> Point:
    """Exact log partial likelihood, score and information at scaled coefficients."""
    untied = _untied(sets)
    at = likelihood.moments(untied, beta)
    value, information = at.log_likelihood, likelihood.information(untied, at)
    score = likelihood.score_by_moment(untied, at).sum(axis=0)
    for part in _denominators(sets, at.risk, sets.x):
        value -= part.log_likelihood
        score, information = score - part.score, information + part.information
    return Point(value, score, information)


def _untied(sets: RiskSets) -> RiskSets:
    """The same risk sets; the denominators of tied deaths do not count."""
    alone = np.bincount(sets.death)[sets.term] == 1
    return replace(sets, term_weight=np.where(alone, sets.term_weight, 0.0))


def _tied(sets: RiskSets) -> tuple[IntArray, IntArray]:
    """Moments of several deaths, and how many."""
    count = np.bincount(sets.death)
    return np.flatnonzero(count > 1), count[count > 1]


def _denominators(sets: RiskSets, risk: FloatArray, x: FloatArray) -> Iterator[Point]:
    """Log of the denominator of each tie, its gradient, and its second derivative."""
    yield from (_nested if sets.late is None else _one_by_one)(sets, risk, x)


def _one_by_one(sets: RiskSets, risk: FloatArray, x: FloatArray) -> Iterator[Point]:
    """Each risk set by itself: with late entry none holds the next."""
    moments, deaths = _tied(sets)
    for moment, count in zip(moments, deaths, strict=True):
        rows = np.arange(sets.edges[sets.first[moment]], sets.edges[sets.end[moment]])
        rows = rows[sets.base[rows] <= moment]
        size = count / risk[rows].sum()
        product = _product(size * risk[rows], x[rows], count + 1)
        yield _denominator(product, count, size)


def _nested(sets: RiskSets, risk: FloatArray, x: FloatArray) -> Iterator[Point]:
    """From the last tie back: each risk set is the next one and the rows between.

    Relative hazards are kept at a size at which no coefficient under- or overflows.
    """
    moments, deaths = _tied(sets)
    most = np.maximum.accumulate(deaths)
    product, size, below, total = None, 1.0, -1, 0.0
    for place in range(moments.size - 1, -1, -1):
        moment, count = moments[place], deaths[place]
        begin, end = sets.edges[sets.first[moment]], sets.edges[sets.end[moment]]
        if product is None or end != below:
            product, below, total, until = None, end, 0.0, end
        rows = slice(begin, until)
        total, until = total + risk[rows].sum(), begin
        before, size = size, most[place] / total
        added = _product(size * risk[rows], x[rows], most[place] + 1)
        if product is not None:
            added = _times(_resized(product, size / before), added, most[place] + 1)
        product = added
        yield _denominator(product, count, size)


def _denominator(product: _Polynomials, deaths: int, size: float) -> Point:
    total = product.value[0, deaths]
    mean = product.first[0, deaths] / total
    spread = product.second[0, deaths] / total - np.outer(mean, mean)
    return Point(float(np.log(total) - deaths * np.log(size)), mean, spread)


def _product(risk: FloatArray, x: FloatArray, most: int) -> _Polynomials:
    """Product of 1 + r z over rows, cut at `most` coefficients; m is 1."""
    first = risk[:, None] * x
    second = first[:, :, None] * x[:, None, :]
    found = _Polynomials(
        np.column_stack([np.ones_like(risk), risk]),
        np.stack([np.zeros_like(first), first], axis=1),
        np.stack([np.zeros_like(second), second], axis=1),
    )
    while (m := found.value.shape[0]) > 1:
        paired = _times(_taken(found, 0, m - m % 2), _taken(found, 1, m - m % 2), most)
        found = _joined(paired, _taken(found, m - 1, m)) if m % 2 else paired
    return found


def _taken(given: _Polynomials, begin: int, end: int) -> _Polynomials:
    """Every second polynomial from `begin` to before `end`."""
    chosen = slice(begin, end, 2)
    return _Polynomials(given.value[chosen], given.first[chosen], given.second[chosen])


def _joined(many: _Polynomials, one: _Polynomials) -> _Polynomials:
    """The polynomials and one more, which has no more coefficients than they."""
    missing = many.value.shape[1] - one.value.shape[1]

    def widened(values: FloatArray) -> FloatArray:
        return np.pad(values, [(0, 0), (0, missing), *[(0, 0)] * (values.ndim - 2)])

    return _Polynomials(
        np.concatenate([many.value, widened(one.value)]),
        np.concatenate([many.first, widened(one.first)]),
        np.concatenate([many.second, widened(one.second)]),
    )


def _resized(given: _Polynomials, factor: float) -> _Polynomials:
    """The same polynomials of `factor` times z."""
    powers = factor ** np.arange(given.value.shape[1], dtype=np.float64)
    return _Polynomials(
        given.value * powers,
        given.first * powers[:, None],
        given.second * powers[:, None, None],
    )


def _times(a: _Polynomials, b: _Polynomials, most: int) -> _Polynomials:
    """Products of polynomials at the same place, cut at `most` coefficients."""
    if a.value.shape[1] > b.value.shape[1]:
        a, b = b, a
    (m, narrow), wide, p = a.value.shape, b.value.shape[1], a.first.shape[2]
    size = min(narrow + wide - 1, most)
    out = _Polynomials(np.zeros((m, size)), np.zeros((m, size, p)), np.zeros((m, size, p, p)))
    for power in range(min(narrow, size)):
        _add_product(out, a, b, power, min(wide, size - power))
    return out


def _add_product(
    out: _Polynomials, a: _Polynomials, b: _Polynomials, power: int, width: int
) -> None:
    """Add the product of one coefficient of `a` with the first `width` coefficients of `b`."""
    into = slice(power, power + width)
    value, first = a.value[:, power, None], a.first[:, power, None, :]
    b_value, b_first = b.value[:, :width], b.first[:, :width]
    out.value[:, into] += value * b_value
    out.first[:, into] += first * b_value[..., None] + value[..., None] * b_first
    across = first[..., :, None] * b_first[..., None, :]
    out.second[:, into] += (
        a.second[:, power, None] * b_value[..., None, None]
        + value[..., None, None] * b.second[:, :width]
        + across
        + across.swapaxes(-1, -2)
    )
