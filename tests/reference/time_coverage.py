"""Drawn worlds of clone-censor-weight, how often their intervals hold the truth, and the table."""

import numpy as np

from tasks.stats.bootstrap import Plan
from tasks.stats.clone_censor_weight import clone_censor_weight

HEAD = """# Coverage of clone, censor, weight
Persons have two binary confounders that change both when treatment starts and the hazard; treatment halves the hazard; follow-up is lost at random. {worlds} worlds of {n} persons, 200 resamples each, seeds 0 to {last}; strategies `start` and `do_not_start` within 30 days, outcome by day 150, normal intervals. The truth is from 4,000,000 potential outcomes under each strategy. Run by `tests/slow/test_coverage_time.py`.

| estimand | truth | bias | SD of estimates | mean SE / SD | coverage of 95 % | mcse |
|---|---:|---:|---:|---:|---:|---:|
"""


def covered(worlds, n, truth, drawn, grace, day):
    """Name, truth, estimates and standard errors of both differences in each world."""
    made = np.array([_world(drawn(n, seed), seed, grace, day) for seed in range(worlds)])
    risk, mean = truth[0] - truth[2], truth[1] - truth[3]
    return [
        ("risk difference", risk, made[:, 0], made[:, 1]),
        ("RMST difference", mean, made[:, 2], made[:, 3]),
    ]


def _world(drawn, seed, grace, day):
    time, event, start, z = drawn
    plan = Plan(200, seed, "coverage", 2)
    found = clone_censor_weight(time, event, start, z, grace, [day], plan, horizon=day)
    whole, draws = found.statistics, found.resampled.values
    risk, mean = draws[:, 0] - draws[:, 2], draws[:, 1] - draws[:, 3]
    errors = risk.std(ddof=1), mean.std(ddof=1)
    return whole[0] - whole[2], errors[0], whole[1] - whole[3], errors[1]


def table(found):
    """The page: one row an estimand."""
    worlds = found[0][2].size
    text = HEAD.format(worlds=f"{worlds:,}", n=400, last=worlds - 1)
    for name, truth, estimate, error in found:
        share = (abs(estimate - truth) < 1.959964 * error).mean()
        mcse = np.sqrt(share * (1 - share) / worlds)
        text += (
            f"| {name} | {truth:.4f} | {estimate.mean() - truth:.4f} | {estimate.std(ddof=1):.4f} "
            f"| {error.mean() / estimate.std(ddof=1):.3f} | {share:.3f} | {mcse:.3f} |\n"
        )
    return text
