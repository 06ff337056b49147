"""Studies for tests: the ones of the repository, and changed copies of them."""

from pathlib import Path

import pytest
import yaml

from tasks.core.errors import SpecError
from tasks.core.paths import STUDIES_DIR
from tasks.core.spec import load_study
from tasks.core.spec.load import check_study

NEW_USER, DEVICE = "gibleed_celecoxib_diclofenac", "ai_cxr_triage"
GRACE = str(STUDIES_DIR / "examples" / "gibleed_grace_period.yaml")
COHORTS = str(STUDIES_DIR / "examples" / "gibleed_cohorts.yaml")
DESCRIPTION = str(STUDIES_DIR / "examples" / "gibleed_description.yaml")
REGISTRY = str(STUDIES_DIR / "examples" / "registry_survival.yaml")


def source(study: str) -> str:
    file = Path(study)
    return (file if file.suffix else STUDIES_DIR / f"{study}.yaml").read_text(encoding="utf-8")


def changed(folder: Path, study: str, *changes: tuple[str, str], name: str = "mine") -> str:
    """Write a changed copy of a study; return its path."""
    text = source(study)
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    file = folder / f"{name}.yaml"
    file.write_text(text, encoding="utf-8")
    return str(file)


def changed_spec(folder, study, *changes):
    return load_study(changed(folder, study, *changes))


def check_refuses(folder: Path, source: dict, analysis: dict, said: str) -> None:
    """Check that a study of one registry table and one analysis is refused, and what is said."""
    table = {"id": "t", "kind": "analysis_table", "site_id": "S", "table": "r", "missing": "refuse"}
    first = {"id": "a1", "role": "primary", "source": "t"}
    study = {
        "spec_version": 1,
        "study": {"id": "mine", "title": {"en": "x", "ko": "x"}},
        "sources": [table | source | {"roles": given(source["roles"])}],
        "analyses": [first | given(analysis)],
    }
    file = folder / "mine.yaml"
    file.write_text(yaml.safe_dump(study, sort_keys=False), encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        check_study(str(file))
    assert said in str(caught.value)
    assert caught.value.exit_code == 11


def given(keys: dict) -> dict:
    """Leave out the keys that are None."""
    return {key: value for key, value in keys.items() if value is not None}
