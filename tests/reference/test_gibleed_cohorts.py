"""Published sizes of cohorts of OHDSI's GiBleed data, out of a study file.

OHDSI/Eunomia createCohorts: celecoxib 1844, diclofenac 850, GI bleed 479, NSAIDs 2694.
OHDSI/CohortGenerator vignette on the same data: celecoxib inside observation 1800; of these older
than 40 by calendar years (year of index less year of birth) 569; of these male 266. By completed
years it is 480.
"""

import json
from pathlib import Path

import polars as pl
import pytest

from tasks.core.paths import STUDIES_DIR
from tests.homes import called, copy_of, published

STUDY = STUDIES_DIR / "examples" / "gibleed_cohorts.yaml"
PUBLISHED = {
    "celecoxib": 1844,
    "diclofenac": 850,
    "gi_bleed": 479,
    "nsaids": 2694,
    "celecoxib_observed": 1800,
    "celecoxib_men_over_40": 266,
    "celecoxib_over_40_exact": 480,
}

pytestmark = pytest.mark.xdist_group("gibleed_cohorts")


@pytest.fixture(scope="module")
def home(demo_home, tmp_path_factory):
    home = copy_of(demo_home, tmp_path_factory.mktemp("cohorts") / "home")
    ran = called("run", STUDY, home=home.root)
    assert ran.returncode == 0, ran.stderr
    return home


def test_the_published_sizes(home):
    results = pl.read_parquet(published(home, "gibleed_cohorts") / "results.parquet")
    sizes = results.filter(pl.col("analysis_id") == "cohorts", pl.col("unit") == "persons")
    assert dict(sizes.select("population", "estimate").iter_rows()) == PUBLISHED


def test_the_published_steps(home):
    steps = pl.read_parquet(published(home, "gibleed_cohorts") / "attrition.parquet")
    men = steps.filter(pl.col("arm") == "celecoxib_men_over_40")
    left = dict(men.select("step_id", "remaining").iter_rows())
    assert (left["in_observation"], left["over_40"], left["male"]) == (1800, 569, 266)
    assert left["entry_events"] == 1844
    assert men["step_id"][0] == "records_delivered"


def test_the_sql_of_each_rule_stands_in_the_run_folder(home):
    folder = published(home, "gibleed_cohorts") / "sql" / "celecoxib_men_over_40"
    names = [file.name.split("_", 1)[1] for file in sorted(folder.iterdir())]
    assert "rule_over_40.sql" in names
    assert names[-1] == "spans.sql"
    manifest = json.loads((published(home, "gibleed_cohorts") / "manifest.json").read_text())
    assert any(name.endswith("rule_male.sql") for name in manifest["files"])


def test_near_misses_are_counted_and_named_only_on_the_secure_side(home):
    asked = called("study", "explain", STUDY, "--rule", "male", home=home.root)
    assert "303 persons fail only male" in asked.stdout  # 569 - 266
    [file] = home.restricted.glob("explain/*rule*.json")
    who = json.loads(file.read_text())["near_misses"]["celecoxib_men_over_40"]["persons"]
    assert len(who) == 303
    assert not any(str(w["source_person_id"]) in asked.stdout.split() for w in who[:50])


def test_a_person_is_explained_rule_by_rule(home):
    words = ("study", "explain", STUDY, "--person", "eunomia:6", "--json")
    assert json.loads(called(*words, home=home.root).stdout)["answer"] == []
    asked = called(*words, "--show", home=home.root)
    answer = json.loads(asked.stdout)
    assert "celecoxib_men_over_40: out, lost at male" in answer["answer"]
    evidence = json.loads(Path(answer["evidence"]).read_text())
    men = next(c for c in evidence["cohorts"] if c["cohort_id"] == "celecoxib_men_over_40")
    assert men["openings"] == [
        {"start_date": "2005-07-13", "rules": {"over_40": True, "male": False}}
    ]
    assert men["evidence"][0]["concept_name"] == "celecoxib"
    assert "2005-07-13" not in asked.stdout
    log = (home.audit / "log.jsonl").read_text()
    assert "study-explained" in log
    assert "eunomia:6" not in log
