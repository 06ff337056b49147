"""Every example of the page on cohorts is a valid cohort, and its drawn persons come out."""

import re

import pytest

from tasks.cohort.expected import surprises
from tasks.core.paths import PROJECT_ROOT
from tasks.core.spec import load_study
from tasks.core.spec.cohorts import NativeCohort
from tasks.core.strict_yaml import parse_yaml

PAGE = (PROJECT_ROOT / "docs" / "cohorts.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("text", EXAMPLES, ids=[e.split("\n")[0] for e in EXAMPLES])
def test_examples_are_cohorts(text):
    NativeCohort.model_validate(parse_yaml(text.encode(), "cohorts.md").value)


def test_the_drawn_persons_of_the_page_come_out():
    cohort = NativeCohort.model_validate(parse_yaml(EXAMPLES[-1].encode(), "cohorts.md").value)
    study = load_study("gibleed_celecoxib_diclofenac")
    spec = study.model_copy(update={"cohorts": (cohort,)})
    assert list(surprises(spec)) == []
    changed = cohort.model_copy(update={"rules": ()})
    found = list(surprises(study.model_copy(update={"cohorts": (changed,)})))
    assert [s.what for s in found] == [
        "adults: person eighteen_tomorrow is in (2018-06-15 to 2020-12-31), expected out"
    ]
