"""The page on designs: its example is a valid study, and its codes are those of the checks."""

import re

import yaml

from tasks.core.paths import PROJECT_ROOT
from tasks.core.spec.load import check_study
from tests.design_world import write

PAGE = (PROJECT_ROOT / "docs" / "design.md").read_text(encoding="utf-8")
CHECKS = PROJECT_ROOT / "tasks" / "core" / "spec"


def test_the_example_is_a_study_without_doubts(tmp_path):
    [text] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    example = yaml.safe_load(text)
    spec, doubts = check_study(write(tmp_path, "cohort", example))
    assert (spec.trial.design.type, doubts) == ("comparative_cohort", [])


def test_every_code_of_the_checks_is_explained_and_no_other():
    files = ("checks_design.py", "checks_estimands.py", "checks_hindsight.py")
    code = "".join((CHECKS / name).read_text(encoding="utf-8") for name in files)
    used = set(re.findall(r'"((?:W|E_SPEC)_[A-Z_]+)"', code))
    assert set(re.findall(r"^\| `((?:W|E)_[A-Z_]+)`", PAGE, re.MULTILINE)) == used


def test_every_table_of_the_trial_exists():
    named = set(re.findall(r"`cohort\.([a-z_]+)`", PAGE))
    made = {file.name.split(".")[0] for file in (PROJECT_ROOT / "sql" / "cohort").iterdir()}
    assert named - {"censor_event"} <= made
