"""From the name of a study to its validated value."""

import json
from pathlib import Path

from tasks.core.errors import Message, SpecError, UsageError
from tasks.core.paths import STUDIES_DIR
from tasks.core.spec.whole import StudySpec
from tasks.core.strict_yaml import read_yaml
from tasks.core.validate import validated


def study_ids(folder: Path = STUDIES_DIR) -> tuple[str, ...]:
    """Return the ids of all studies in a folder, sorted."""
    return tuple(sorted(file.stem for file in folder.glob("*.yaml")))


def study_file(study: str, folder: Path = STUDIES_DIR) -> Path:
    """Return the file of a study named by id or by path.

    Raises:
        UsageError: There is no such study.
    """
    for candidate in (folder / f"{study}.yaml", Path(study)):
        if candidate.suffix == ".yaml" and candidate.is_file():
            return candidate
    known = ", ".join(study_ids(folder)) or "none"
    raise UsageError(
        study, f"no such study; known studies: {known}", "name one of them, or a file."
    )


def load_study(study: str) -> StudySpec:
    """Read the study named by id or path and return it validated.

    Raises:
        UsageError: There is no such study.
        SpecError: The file is refused; every fault is named with line and key.
    """
    file = study_file(study)
    spec = validated(StudySpec, read_yaml(file))
    if file.parent == STUDIES_DIR and file.stem != spec.study.id:
        what = f"study.id is {spec.study.id!r}, the file is {file.name}"
        raise SpecError([Message("E_SPEC_PARSE", file.name, what, "give both the same name.")])
    return spec


def study_schema() -> str:
    """Return the JSON Schema of a study, as published in docs/study.schema.json."""
    schema = StudySpec.model_json_schema()
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
