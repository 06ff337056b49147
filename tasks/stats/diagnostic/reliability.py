"""How far readers agree on numbers: intraclass correlations, and limits of agreement."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from tasks.core.errors import EstimationError
from tasks.stats.inputs import FloatArray

FORMS = ("ICC(1,1)", "ICC(2,1)", "ICC(3,1)", "ICC(1,k)", "ICC(2,k)", "ICC(3,k)")
_MORE = "let several readers read the same cases, of different kinds."


@dataclass(frozen=True, slots=True)
class Reliability:
    """An intraclass correlation, its F test against 0, and its interval of F."""

    name: str
    estimate: float
    ci_low: float
    ci_high: float
    level: float
    statistic: float
    df1: float
    df2: float
    p_value: float
    cases: int
    readers: int


@dataclass(frozen=True, slots=True)
class _Squares:
    """Mean squares of cases, readers, what is left, and within cases."""

    cases: float
    readers: float
    left: float
    within: float
    n: int
    k: int


def _squares(scores: FloatArray) -> _Squares:
    n, k = scores.shape
    if n < 2 or k < 2:
        raise EstimationError("agreement", "fewer than two cases or readers", _MORE)
    rows, columns, whole = scores.mean(axis=1), scores.mean(axis=0), scores.mean()
    residual = scores - rows[:, None] - columns + whole
    found = _Squares(
        cases=float(k * rows.var(ddof=1)),
        readers=float(n * columns.var(ddof=1)),
        left=float((residual**2).sum() / ((n - 1) * (k - 1))),
        within=float(((scores - rows[:, None]) ** 2).sum() / (n * (k - 1))),
        n=n,
        k=k,
    )
    if not (found.cases > 0 and found.left > 1e-12 * found.cases):
        what = "cases do not differ, or readers agree but for a constant"
        raise EstimationError("agreement", what, _MORE)
    return found


def intraclass(scores: FloatArray, level: float = 0.95) -> tuple[Reliability, ...]:
    """Estimate the six intraclass correlations of Shrout and Fleiss.

    1: each case has readers of its own; 2: readers stand for others, agreement; 3: these readers,
    consistency. `1` is of one reading, `k` of the mean of all readers.

    Args:
        scores: Score of each case by each reader, shape (n, k).
        level: Confidence level.

    Raises:
        EstimationError: Fewer than two cases or readers, or nothing varies.

    Source:
        Shrout & Fleiss (1979) Psychol Bull 86:420; McGraw & Wong (1996) Psychol Methods 1:30.
    """
    s = _squares(scores)
    n, k, half = s.n, s.k, (1 - level) / 2
    one = _of_ratio(s.cases / s.within, n - 1.0, n * (k - 1.0), k, half)
    three = _of_ratio(s.cases / s.left, n - 1.0, (n - 1.0) * (k - 1), k, half)
    two = _two(s, half)
    tests = {
        "1": (s.cases / s.within, n - 1.0, n * (k - 1.0)),
        "2": (s.cases / s.left, n - 1.0, (n - 1.0) * (k - 1)),
    }
    tests["3"] = tests["2"]
    made = []
    for name in FORMS:
        single = {"1": one, "2": two, "3": three}[name[4]]
        value, low, high = single if name[6] == "1" else _of_mean(single, k)
        f, df1, df2 = tests[name[4]]
        p = float(stats.f.sf(f, df1, df2))
        made.append(Reliability(name, value, low, high, level, f, df1, df2, p, n, k))
    return tuple(made)


def _of_ratio(f: float, df1: float, df2: float, k: int, half: float) -> tuple[float, float, float]:
    """Return the correlation of one reading from an F ratio, and its limits."""
    low = f / float(stats.f.isf(half, df1, df2))
    high = f * float(stats.f.isf(half, df2, df1))
    estimate, lower, upper = ((value - 1) / (value + k - 1) for value in (f, low, high))
    return estimate, lower, upper


def _two(s: _Squares, half: float) -> tuple[float, float, float]:
    """Return ICC(2,1), and its limits with Satterthwaite's degrees of freedom."""
    n, k = s.n, s.k
    value = (s.cases - s.left) / (s.cases + (k - 1) * s.left + k * (s.readers - s.left) / n)
    a, b = k * value * s.readers, (n * (1 + (k - 1) * value) - k * value) * s.left
    df = (k - 1) * (n - 1) * (a + b) ** 2 / ((n - 1) * a**2 + b**2)
    below, above = (float(stats.f.isf(half, *dfs)) for dfs in ((n - 1, df), (df, n - 1)))
    rest = k * s.readers + (k * n - k - n) * s.left
    low = n * (s.cases - below * s.left) / (below * rest + n * s.cases)
    high = n * (above * s.cases - s.left) / (rest + n * above * s.cases)
    return value, low, high


def _of_mean(single: tuple[float, float, float], k: int) -> tuple[float, float, float]:
    """Return the correlation of a mean of k readings and its limits: Spearman and Brown."""
    value, low, high = (k * of / (1 + (k - 1) * of) for of in single)
    return value, low, high


@dataclass(frozen=True, slots=True)
class Limit:
    """The mean difference of two readers, or a limit that holds most differences."""

    name: str
    estimate: float
    std_error: float
    ci_low: float
    ci_high: float
    level: float
    n: int


def limits_of_agreement(difference: FloatArray, level: float = 0.95) -> tuple[Limit, Limit, Limit]:
    """Return the mean difference and the limits that hold 95 % of differences of two readers.

    Args:
        difference: Score of one reader less that of the other, shape (n,), one a case.
        level: Confidence level of the three; the limits are of 95 % of cases.

    Raises:
        EstimationError: Fewer than three cases, or differences that do not vary.

    Source:
        Bland & Altman (1999) Stat Methods Med Res 8:135, sec. 2.1.
    """
    n, z = difference.size, float(stats.norm.isf(0.025))
    spread = float(difference.std(ddof=1)) if n > 2 else 0.0
    if not spread > 0:
        what = "two readers differ by a constant, or share fewer than three cases"
        raise EstimationError("agreement", what, _MORE)
    middle, t = float(difference.mean()), float(stats.t.isf((1 - level) / 2, n - 1))
    error = spread / np.sqrt(n)
    wider = spread * np.sqrt(1 / n + z**2 / (2 * (n - 1)))
    parts = (
        ("bias", middle, error),
        ("lower", middle - z * spread, wider),
        ("upper", middle + z * spread, wider),
    )
    low, mid, high = (
        Limit(name, value, float(e), float(value - t * e), float(value + t * e), level, n)
        for name, value, e in (parts[1], parts[0], parts[2])
    )
    return low, mid, high
