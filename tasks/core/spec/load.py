"""From the name of a study to its validated value."""

import json
from pathlib import Path

from tasks.core.errors import Message, SpecError, UsageError
from tasks.core.paths import STUDIES_DIR
from tasks.core.spec.checks import Fault, faults_of
from tasks.core.spec.cohorts import CirceCohort, SqlCohort
from tasks.core.spec.whole import StudySpec
from tasks.core.strict_yaml import Document, read_yaml
from tasks.core.validate import validated

MAX_FILE_BYTES = 4_000_000


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
    return check_study(study)[0]


def check_study(study: str) -> tuple[StudySpec, list[Message]]:
    """Read the study named by id or path; return it with what is doubtful about it.

    Raises:
        UsageError: There is no such study.
        SpecError: The file is refused; every fault is named with line and key.
    """
    file = study_file(study)
    document = read_yaml(file)
    spec = validated(StudySpec, document)
    if file.parent == STUDIES_DIR and file.stem != spec.study.id:
        what = f"study.id is {spec.study.id!r}, the file is {file.name}"
        raise SpecError([Message("E_SPEC_PARSE", file.name, what, "give both the same name.")])
    found = faults_of(spec)
    if faults := [_message(document, fault) for fault in found if not fault.is_warning]:
        raise SpecError(faults)
    named = attached_files(spec, file)
    return spec.with_files(named), [_message(document, fault) for fault in found]


def attached_files(spec: StudySpec, study: Path) -> dict[str, str]:
    """Return the text of every file that a study names; they lie beside it or below.

    Raises:
        SpecError: A file is missing, too large, leaves the folder of the study, or is not UTF-8.
    """
    names = [c.circe for c in spec.cohorts if isinstance(c, CirceCohort)]
    names += [c.sql for c in spec.cohorts if isinstance(c, SqlCohort)]
    return {name: _attached(study, name) for name in sorted(names)}


def _attached(study: Path, name: str) -> str:
    file, home = (study.parent / name).resolve(), study.parent.resolve()
    try:
        if not file.is_relative_to(home):
            raise OSError(0, "leaves the folder of the study")
        if file.stat().st_size > MAX_FILE_BYTES:
            raise OSError(0, f"is larger than {MAX_FILE_BYTES:,} bytes")
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "is not UTF-8"
        fix = "put the file beside the study, or correct its name."
        raise SpecError([Message("E_SPEC_PATH", study.name, f"{name}: {why}", fix)]) from None


def _message(document: Document, fault: Fault) -> Message:
    key = ".".join(map(str, fault.path))
    where = f"{document.name}:{document.line_of(fault.path)}"
    return Message(fault.code, where, f"{key}: {fault.what}" if key else fault.what, fault.fix)


def study_schema() -> str:
    """Return the JSON Schema of a study, as published in docs/study.schema.json."""
    schema = StudySpec.model_json_schema()
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
