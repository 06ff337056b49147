"""Templates of studies, one a kind: commented, valid as they stand, to be filled in."""

import re
from pathlib import Path

from tasks.core.errors import UsageError
from tasks.core.paths import PROJECT_ROOT

TEMPLATES_DIR = PROJECT_ROOT / "data" / "templates" / "studies"
_ID = re.compile(r"[a-z][a-z0-9_]{1,47}")


def template_kinds() -> tuple[str, ...]:
    """Return the kinds of studies that there is a template of."""
    return tuple(sorted(file.stem for file in TEMPLATES_DIR.glob("*.yaml")))


def study_template(kind: str, study_id: str = "my_study") -> str:
    """Return the template of a kind of study under a name.

    Raises:
        UsageError: There is no such kind, or the id is none.
    """
    if kind not in template_kinds():
        known = ", ".join(template_kinds())
        raise UsageError(kind, f"no such kind of study; kinds: {known}", "name one of them.")
    if not _ID.fullmatch(study_id):
        fix = "use 2 to 48 lower-case letters, digits and _, beginning with a letter."
        raise UsageError("--id", "is no id of a study", fix)
    text = (TEMPLATES_DIR / f"{kind}.yaml").read_text(encoding="utf-8")
    return text.replace("id: my_study ", f"id: {study_id} ", 1)


def write_template(kind: str, study_id: str, target: Path) -> Path:
    """Write a template; a file that is there is never written over.

    Raises:
        UsageError: There is no such kind, or the file exists.
    """
    text = study_template(kind, study_id)
    if target.exists():
        raise UsageError(str(target), "exists already", "choose another name.")
    target.write_text(text, encoding="utf-8", newline="\n")
    return target
