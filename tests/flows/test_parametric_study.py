"""The example of extrapolation, from a delivery of patients to a report."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from tasks.core.paths import STUDIES_DIR
from tests.ingest_world import a_home, ingest, write_delivery
from tests.table_world import run, written

pytestmark = pytest.mark.xdist_group("table_study")
KOREAN = {"languages": ["ko"]}
EXAMPLE = STUDIES_DIR / "examples" / "registry_extrapolation.yaml"


def implants(n=500):
    rng = np.random.default_rng(7)
    device, age, sex = rng.integers(0, 2, n), rng.normal(68, 9, n).round(), rng.integers(0, 2, n)
    time = np.exp(1.4 + 0.35 * device - 0.02 * (age - 68)) * rng.weibull(1.5, n)
    seen = rng.uniform(0.5, 6, n)
    return pd.DataFrame(
        {
            "patient_no": np.arange(n), "device": np.where(device, "with", "without"),
            "follow_up_years": np.minimum(time, seen).round(4).clip(1e-4),
            "outcome": np.where(time <= seen, "dead", "alive"), "age": age,
            "sex": np.where(sex, "M", "F"),
        }
    )  # fmt: skip


def test_the_example_is_published_with_pictures_that_say_what_is_extrapolated(tmp_path):
    home = a_home(tmp_path)
    folder = home.inbox / "hospital" / "D-1"
    table = {"implants": implants().to_csv(index=False).encode()}
    write_delivery(folder, table, format="table", site_id="hospital", data_class="patient")
    assert ingest(home, folder).status.startswith("accepted")
    outcome, rows = run(home, written(tmp_path, EXAMPLE.read_text("utf-8"), report=KOREAN))
    assert outcome.status == "published"
    steps = [r for r in rows if r["analysis_id"] == "chosen" and r["term"] == "curve"]
    totals = {(r["arm"], r["n_events"]) for r in steps if r["n_events"] is not None}
    assert len(totals) > 2
    assert all(abs(x - y) >= 11 for a, x in totals for b, y in totals if a == b and x != y)  # fmt: skip
    curve = [r for r in rows if r["analysis_id"] == "chosen" and r["term"] == "extrapolated"]
    assert {r["arm"] for r in curve} == {"with", "without"}
    assert all(r["status"] == "ok" for r in curve)
    ranks = sorted(r["statistic"] for r in rows if r["analysis_id"] == "laws" and r["estimate_name"] == "aic" and r["arm"] == "with")  # fmt: skip
    assert ranks == [1, 2, 3, 4, 5, 6]
    page = re.sub("<[^>]*>", " ", (outcome.folder / "report.ko.html").read_text("utf-8"))
    words = ("곰페르츠분포", "추적 기간 이후(연장)", "순위 1", "표준화한 평균")
    assert all(word in page for word in words)
    assert "parametric_gompertz" not in page.split("{", 1)[0]
    drawing = next(outcome.folder.glob("figures/*law_chosen*.svg")).read_text("utf-8")
    assert 'stroke-dasharray="5,4"' in drawing
    assert json.loads((outcome.folder / "manifest.json").read_text("utf-8"))["status"] == "published"  # fmt: skip
