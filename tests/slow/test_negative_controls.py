"""Forty simulated negative controls from delivery to report: the naive bias is found and taken out.

In scenario `negative-controls` every control depends on the severity of the person and never on the
device (true hazard ratio 1, planted in truth.json); severity also decides who is shown a result.
"""

import math

import numpy as np
import polars as pl
import pytest

from tasks.core.paths import STUDIES_DIR, Home
from tasks.stats.calibration import calibrate, fit_systematic_error
from tests.homes import causeway, published

pytestmark = pytest.mark.slow
NAME = "simulated_negative_controls"
STUDY = STUDIES_DIR / "examples" / f"{NAME}.yaml"


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("controls")
    out, home = folder / "out", folder / "home"
    words = ("--scenario", "negative-controls", "--persons", 8000, "--sites", 4, "--seed", 1)
    for step in (
        ("simulate", "consortium", *words, "--format", "csv", "--out", out),
        ("ingest", out, "--home", home),
        ("run", STUDY, "--home", home),
    ):
        paths = sorted(p for p in out.iterdir() if p.is_dir()) if step[0] == "ingest" else [step[1]]
        ran = causeway(step[0], *paths, *step[2:])
        assert ran.returncode == 0, ran.stderr
    return pl.read_parquet(published(Home(home), NAME) / "results.parquet")


def of_error(results, analysis):
    rows = results.filter(pl.col("analysis_id") == "negative_controls", pl.col("term") == analysis)
    named = {(r["estimate_name"], r["scenario"]): r["estimate"] for r in rows.iter_rows(named=True)}
    return named["coefficient", "error_mean"], named["ease", None]


def ratio(results, analysis, term):
    is_term = pl.col("term").is_null() if term is None else pl.col("term") == term
    found = results.filter(
        pl.col("estimate_name") == "hazard_ratio", pl.col("analysis_id") == analysis, is_term
    )
    return found.row(0, named=True)


def test_the_naive_comparison_is_biased_and_the_adjusted_one_less(results):
    naive, naive_ease = of_error(results, "cox_crude")
    _, ease = of_error(results, "primary")
    assert naive > 0.1
    assert ease < naive_ease - 0.05


def test_calibration_takes_the_error_out_of_the_ratio(results):
    mean, _ = of_error(results, "cox_crude")
    before, after = (ratio(results, "cox_crude", term) for term in (None, "calibrated"))
    assert math.log(before["estimate"] / after["estimate"]) == pytest.approx(mean, rel=1e-9)
    assert after["std_error"] >= before["std_error"]


def test_every_control_has_its_ratio_and_its_events(results):
    controls = results.filter(pl.col("stratum_name") == "negative_control")
    assert controls.filter(pl.col("estimate_name") == "count").height == 80
    ratios = controls.filter(pl.col("estimate_name") == "hazard_ratio")
    assert ratios.group_by("term").len().sort("term").rows() == [("cox_crude", 40), ("primary", 40)]
    naive = ratios.filter(pl.col("term") == "cox_crude")["estimate"]
    assert (naive > 1).mean() > 0.7  # without bias 0.5, SE 0.08


def test_calibrated_differences_cover_the_truth():
    """1,000 studies of 50 controls: differences in days with an error of mean 6 and SD 4; seed 3.

    Intervals that know nothing of the error cover far less. Mean and SD are themselves estimated,
    which asymptotic calibration does not count: 93 to 97 % all the same.
    """
    rng, truth = np.random.default_rng(3), -12.0
    covered, before = [], []
    for _ in range(1_000):
        spread = rng.uniform(2, 8, 51)
        found = rng.normal(6.0, np.hypot(4.0, spread))
        error = fit_systematic_error(found[1:], spread[1:])
        own = calibrate(truth + found[0], spread[0], error)
        covered.append(own.ci_low <= truth <= own.ci_high)
        before.append(abs(found[0]) <= 1.959963984540054 * spread[0])
    assert 0.93 <= np.mean(covered) <= 0.97
    assert np.mean(before) < 0.8
