"""Data of published prints on outcomes other than time, typed in."""

import numpy as np
import pandas as pd

# Quine (1975), in Venables & Ripley (2002) as MASS::quine: days absent from school of 146
# children by ethnic group, sex, age group and learner group (slow, average).
_DAYS_ABSENT = """
A M F0 SL: 2 11 14
A M F0 AL: 5 5 13 20 22
A M F1 SL: 6 6 15
A M F1 AL: 7 14
A M F2 SL: 6 32 53 57
A M F2 AL: 14 16 16 17 40 43 46
A M F3 AL: 8 23 23 28 34 36 38
A F F0 SL: 3
A F F0 AL: 5 11 24 45
A F F1 SL: 5 6 6 9 13 23 25 32 53 54
A F F1 AL: 5 5 11 17 19
A F F2 SL: 8 13 14 20 47 48 60 81
A F F2 AL: 2
A F F3 AL: 0 2 3 5 10 14 21 36 40
N M F0 SL: 6 17 67
N M F0 AL: 0 0 2 7 11 12
N M F1 SL: 0 0 5 5 5 11 17
N M F1 AL: 3 4
N M F2 SL: 22 30 36
N M F2 AL: 8 0 1 5 7 16 27
N M F3 AL: 0 30 10 14 27 41 69
N F F0 SL: 25
N F F0 AL: 10 11 20 33
N F F1 SL: 5 7 0 1 5 5 5 5 7 11 15
N F F1 AL: 5 14 6 6 7 28
N F F2 SL: 0 5 14 2 2 3 8 10 12
N F F2 AL: 1
N F F3 AL: 1 9 22 3 3 5 15 18 22 37
"""


def quine() -> pd.DataFrame:
    """Columns Eth, Sex, Age, Lrn and Days."""
    rows = []
    for line in _DAYS_ABSENT.split("\n")[1:-1]:
        cell, _, days = line.partition(":")
        rows += [(*cell.split(), int(day)) for day in days.split()]
    return pd.DataFrame(rows, columns=["Eth", "Sex", "Age", "Lrn", "Days"])


def quine_design() -> tuple[np.ndarray, np.ndarray]:
    """Design of Days ~ Eth + Sex + Age + Lrn with R's contrasts, and the days."""
    data = quine()
    levels = [("Eth", "N"), ("Sex", "M"), *(("Age", f"F{k}") for k in (1, 2, 3)), ("Lrn", "SL")]
    x = np.column_stack([(data[name] == level).astype(float) for name, level in levels])
    return x, data.Days.to_numpy(dtype=float)


def repeated(seed: int = 1, clusters: int = 50) -> pd.DataFrame:
    """Drawn visits of persons: up to 5 a person, some lacking; a number, a yes, a count."""
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(clusters), 5)
    visit = np.tile(np.arange(5), clusters)
    kept = rng.uniform(size=person.size) > 0.15
    person, visit = person[kept], visit[kept]
    n, x = person.size, rng.normal(size=person.size)
    own = rng.normal(size=clusters)[person]
    arm = person % 2
    eta = 0.4 * x - 0.5 * arm + own
    return pd.DataFrame(
        {
            "person": person, "visit": visit, "x": x, "arm": arm,
            "number": eta + rng.normal(size=n),
            "yes": (rng.uniform(size=n) < 1 / (1 + np.exp(-eta))).astype(int),
            "count": rng.poisson(np.exp(0.3 * x + 0.5 * own)),
            "years": rng.uniform(0.5, 3, n), "weight": rng.uniform(0.5, 2, n),
        }
    )  # fmt: skip


ADOPTED = np.repeat([2, 3, 4, 6], [6, 6, 6, 8])


def roll_out() -> pd.DataFrame:
    """26 sites at 6 times; three cohorts adopt, eight sites never; all values by formula."""
    site, time = np.indices((26, 6))
    since = time - ADOPTED[:, None]
    noise = np.sin(7.0 * site + 3.0 * time * time)
    value = 5 + site / 2 + 0.3 * time + (since >= 0) * (1 + 0.5 * since) + noise
    return pd.DataFrame(
        {
            "site": site.ravel(), "time": time.ravel() + 1, "value": value.ravel(),
            "on": (since >= 0).ravel().astype(int), "g": np.where(ADOPTED < 6, ADOPTED + 1, 0)[site].ravel(),
        }
    )  # fmt: skip


# Ware et al., in Fitzmaurice & Laird (1993) and geepack::ohio: wheeze at ages 7 to 10 of 537
# children, by smoking of the mother; counts of the patterns 0000, 0001, 0010, ... 1111.
_WHEEZE = {
    0: (237, 10, 15, 4, 16, 2, 7, 3, 24, 3, 3, 2, 6, 2, 5, 11),
    1: (118, 6, 8, 2, 11, 1, 6, 4, 7, 3, 3, 1, 4, 2, 4, 7),
}


def ohio() -> pd.DataFrame:
    """Columns id, age (from 9), smoke and resp, four rows a child."""
    patterns = [
        (smoke, pattern)
        for smoke, counts in _WHEEZE.items()
        for pattern, count in enumerate(counts)
        for _ in range(count)
    ]
    rows = [
        (child, age, smoke, pattern >> (1 - age) & 1)
        for child, (smoke, pattern) in enumerate(patterns)
        for age in (-2, -1, 0, 1)
    ]
    return pd.DataFrame(rows, columns=["id", "age", "smoke", "resp"])
