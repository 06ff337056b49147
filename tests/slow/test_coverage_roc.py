"""Coverage of areas under ROC curves, whole and in part, of independent and clustered cases.

Scores are normal, so that the truth is known: the area is Phi(d / sqrt 2); that of a part is by
quadrature of the curve Phi(d + Phi^-1(u)). Clustered: two to four cases of a person share a part
of the score with variance one half, in both modalities; the area stays the same.
"""

import numpy as np
import pytest
from scipy import integrate, special

from tasks.core.errors import EstimationError
from tasks.stats.diagnostic.roc import WHOLE, Part, area, area_gap, areas
from tests.methods.pages import DOCS

PAGE = DOCS / "coverage_roc.md"
SHIFTS = (1.2, 1.6)
PARTS = {
    "area": WHOLE,
    "area, specificity 0.8 to 1": Part("specificity", 0.8, 1.0),
    "area, sensitivity 0.8 to 1": Part("sensitivity", 0.8, 1.0),
}
REPEATS = 2000
HEAD = """# Coverage of areas under ROC curves
2,000 worlds of each kind, seeds 0 to 1999: 200 cases of which about 40 % have the condition, read by two modalities whose scores are normal and correlated (0.5). Clustered: persons with two to four cases, which share a part of the score. The smaller kind has 40 cases and an area of 0.95; where no case is ranked wrongly, both lines take Newcombe's interval. Run by `tests/slow/test_coverage_roc.py`.

| world | number | interval | truth | bias | SD of estimates | mean SE / SD | coverage of 95 % | mcse |
|---|---|---|---:|---:|---:|---:|---:|---:|
"""


def truth_of(part, shift):
    """The area of a normal curve, by quadrature."""
    low, high = part.across
    if part.axis == "specificity":
        return integrate.quad(lambda u: special.ndtr(shift + special.ndtri(u)), low, high)[0]
    return integrate.quad(lambda u: special.ndtr(shift - special.ndtri(1 - u)), low, high)[0]


def world(seed, n, shifts, clustered):
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(n), rng.integers(2, 5, n))[:n] if clustered else np.arange(n)
    truth = rng.random(n) < 0.4
    shared = rng.normal(size=n)
    of_person = rng.normal(size=n)[person] if clustered else rng.normal(size=n)
    scores = [
        np.sqrt(0.5) * (of_person if clustered else shared) + np.sqrt(0.5) * rng.normal(size=n) + shift * truth
        for shift in shifts
    ]  # fmt: skip
    return np.concatenate(scores), np.tile(truth, 2), np.tile(person, 2), np.repeat([0, 1], n)


KINDS = {
    "independent": (200, SHIFTS, False),
    "clustered": (200, SHIFTS, True),
    "small, 0.95": (40, (2.33, 2.33), False),
}


def numbers(kind, seed):
    n, shifts, clustered = KINDS[kind]
    rows = world(seed, n, shifts, clustered)
    for name, part in PARTS.items():
        if part != WHOLE and kind.startswith("small"):
            continue
        found = areas(*rows, part=part)
        for interval in ("wald", "wald_logit"):
            try:
                yield (name, interval), area(found, 0, interval)
            except EstimationError:  # no error at all: the table shows Newcombe's interval then
                yield (name, interval), area(found, 0, "newcombe")
        if part == WHOLE and kind != "small, 0.95":
            yield ("difference", "wald"), area_gap(found, 1, 0)


def true_value(name, shifts):
    if name == "difference":
        return truth_of(WHOLE, shifts[1]) - truth_of(WHOLE, shifts[0])
    return truth_of(PARTS[name], shifts[0])


@pytest.mark.slow
def test_intervals_cover_the_areas():
    lines = []
    for kind, (_, shifts, _) in KINDS.items():
        found = {}
        for seed in range(REPEATS):
            for key, value in numbers(kind, seed):
                found.setdefault(key, []).append(value)
        for (name, interval), values in found.items():
            aim = true_value(name, shifts)
            estimates = np.array([v.estimate for v in values])
            errors = np.array([v.std_error for v in values])
            share = np.mean([v.ci_low <= aim <= v.ci_high for v in values])
            mcse = np.sqrt(share * (1 - share) / len(values))
            spread = estimates.std(ddof=1)
            lines.append(
                f"| {kind} | {name} | {interval} | {aim:.4f} | {estimates.mean() - aim:.4f} | {spread:.4f} "
                f"| {errors.mean() / spread:.3f} | {share:.3f} | {mcse:.3f} |"
            )
            if kind != "small, 0.95":
                assert 0.93 <= share <= 0.97, lines[-1]
                assert abs(estimates.mean() - aim) < 4 * spread / np.sqrt(REPEATS) + 0.002
    page = HEAD + "\n".join(lines) + "\n"
    if not PAGE.exists():
        PAGE.write_text(page, "utf-8")
    assert PAGE.read_text("utf-8") == page, "remove the page and run again"
