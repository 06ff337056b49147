"""Coverage of clone-censor-weight: 1,000 drawn worlds, 400 persons each, 200 resamples.

The truth is computed from 4,000,000 potential outcomes under each imposed strategy.
"""

import numpy as np
import pytest

from tests.methods.pages import DOCS
from tests.reference.test_clone_censor_weight import DAY, GRACE, drawn, planted_truth
from tests.reference.time_coverage import covered, table

PAGE = DOCS / "coverage_time.md"


@pytest.mark.slow
def test_intervals_cover_the_planted_truth():
    truth = planted_truth(4_000_000)
    found = covered(1000, 400, truth, drawn, GRACE, DAY)
    if not PAGE.exists():
        PAGE.write_text(table(found), "utf-8")
    assert PAGE.read_text("utf-8") == table(found), "remove the page and run again"
    for _, truth_, estimate, error in found:
        share = (abs(estimate - truth_) < 1.959964 * error).mean()
        assert 0.93 <= share <= 0.97
        assert abs(estimate.mean() - truth_) < 4 * estimate.std() / np.sqrt(estimate.size)
