"""The examples of docs/covariates.md and docs/characterisation.md are what the schema takes."""

import re

import pytest
import yaml
from pydantic import TypeAdapter

from flows.documents import DOCS
from tasks.core.spec import Characterisation, Covariate

KINDS = {
    "covariates": TypeAdapter(tuple[Covariate, ...]).validate_python,
    "characterisation": Characterisation.model_validate,
}


@pytest.mark.parametrize("page", ["covariates", "characterisation"])
def test_the_example_is_valid(page):
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    [example] = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    block = yaml.safe_load(example)[page]
    made = KINDS[page](tuple(block) if isinstance(block, list) else block)
    assert made


def test_every_kind_of_covariate_stands_in_the_table():
    text = (DOCS / "covariates.md").read_text(encoding="utf-8")
    schema = TypeAdapter(Covariate).json_schema()
    kinds = set(schema["discriminator"]["mapping"])
    assert {kind for kind in kinds if f"`{kind}`" not in text} == set()
