"""Studies for tests: the ones of the repository, and changed copies of them."""

from pathlib import Path

from tasks.core.paths import STUDIES_DIR
from tasks.core.spec import load_study

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
