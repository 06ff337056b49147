"""Coverage where verification hangs on the result and a covariate: 1,000 worlds of 800 cases.

The truth is that of 2,000,000 cases; 300 of the worlds are imputed 20 times.
"""

import numpy as np
import pytest

from tasks.stats.diagnostic.verification import (
    PartlyVerified,
    begg_greenes,
    begg_greenes_by_model,
    inverse_probability,
    multiple_imputation,
)
from tests.methods.pages import DOCS
from tests.reference.test_verification import world

PAGE = DOCS / "coverage_verification.md"
NAMES = ("sensitivity", "specificity", "ppv", "npv")
HEAD = """# Coverage under partial verification
Verification hangs on the result and on a covariate that changes the risk as well; about half of the cases are verified. 1,000 worlds of 800 cases, seeds 0 to 999 (multiple imputation: 300 worlds, 20 imputations); the truth is that of 2,000,000 cases. Run by `tests/slow/test_coverage_verification.py`.

| how | measure | truth | bias | SD of estimates | mean SE / SD | coverage of 95 % | mcse |
|---|---|---:|---:|---:|---:|---:|---:|
"""


def verified_only(cases):
    seen = cases.verified
    return PartlyVerified(
        *(getattr(cases, name)[seen] for name in ("positive", "truth", "verified", "units", "cell", "covariates"))
    )  # fmt: skip


def found_in(seed):
    cases, _ = world(800, seed)
    ways = {
        "naive": begg_greenes(verified_only(cases)).share,
        "model of the truth": begg_greenes_by_model(cases).share,
        "inverse probability": inverse_probability(cases).share,
    }
    if seed < 300:
        rng = np.random.default_rng(seed)
        ways["multiple imputation"] = multiple_imputation(cases, imputations=20, rng=rng)
    return {(way, name): make(name) for way, make in ways.items() for name in NAMES}


def planted():
    cases, _ = world(2_000_000, 999_999)
    positive, truth = cases.positive, cases.truth
    values = (positive[truth], ~positive[~truth], truth[positive], ~truth[~positive])
    return {name: float(value.mean()) for name, value in zip(NAMES, values, strict=True)}


@pytest.mark.slow
def test_intervals_cover_the_planted_accuracy():
    truth, made = planted(), {}
    for seed in range(1000):
        for key, value in found_in(seed).items():
            made.setdefault(key, []).append(value)
    lines = []
    for (way, name), values in made.items():
        estimates = np.array([value.estimate for value in values])
        errors = np.array([value.std_error for value in values])
        covers = np.array([value.ci_low <= truth[name] <= value.ci_high for value in values])
        bias, spread, share = estimates.mean() - truth[name], estimates.std(ddof=1), covers.mean()
        mcse = np.sqrt(share * (1 - share) / covers.size)
        lines.append(
            f"| {way} | {name} | {truth[name]:.4f} | {bias:.4f} | {spread:.4f} "
            f"| {errors.mean() / spread:.3f} | {share:.3f} | {mcse:.3f} |"
        )
        if way == "naive":
            assert abs(bias) > 10 * spread / np.sqrt(covers.size)
        else:
            assert 0.93 <= share <= 0.97
    page = HEAD + "\n".join(lines) + "\n"
    if not PAGE.exists():
        PAGE.write_text(page, "utf-8")
    assert PAGE.read_text("utf-8") == page, "remove the page and run again"
