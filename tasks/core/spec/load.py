"""From the name of a study to its validated value."""

import json
import re
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError, create_model

from tasks.core.errors import Message, SpecError, UsageError
from tasks.core.explain import Said, cut, explained, nearest
from tasks.core.paths import STUDIES_DIR
from tasks.core.spec.base import Frozen
from tasks.core.spec.checks import Fault, faults_of
from tasks.core.spec.checks_code_lists import roles_without_concepts
from tasks.core.spec.code_list_files import faults_in_files
from tasks.core.spec.cohorts import CirceCohort, SqlCohort
from tasks.core.spec.unread import BLOCKS_IN_PART, unread
from tasks.core.spec.whole import StudySpec
from tasks.core.strict_yaml import Document, KeyPath, in_file_order, scan_file
from tasks.core.validate import placed

BLOCKS = tuple(StudySpec.model_fields)
MAX_FILE_BYTES = 4_000_000
_NAMES = ("id", "table", "column", "domain", "filter", "code_list", "sql")
_FOUL = re.compile(r"[;\"'`\\]|--")


def study_ids(folder: Path = STUDIES_DIR) -> tuple[str, ...]:
    """Return the ids of all studies in a folder, sorted."""
    return tuple(sorted(file.stem for file in folder.glob("*.yaml")))


def study_file(study: str, folder: Path = STUDIES_DIR) -> Path:
    """Return the file of a study named by id or by path.

    Raises:
        UsageError: There is no such study.
    """
    for candidate in (folder / f"{study}.yaml", Path(study)):
        if candidate.suffix in {".yaml", ".yml"} and candidate.is_file():
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
    document = scan_file(file)
    spec, invalid, in_part, faults = _valid_blocks(document)
    found = faults_of(spec, invalid=invalid, in_part=in_part)
    named, lost = attached_files(spec, file, invalid)
    faults += [_said(fault) for fault in found if not fault.is_warning] + lost
    if "study" not in invalid:
        faults += _misnamed(spec, file)
    messages = [*document.refused.values(), *(placed(document, fault) for fault in faults)]
    if "code_lists" not in invalid:
        messages += faults_in_files(spec.code_lists, named)
    if messages:
        raise SpecError(in_file_order(messages))
    whole = spec.with_files(named)
    if empty := [placed(document, _said(fault)) for fault in roles_without_concepts(whole)]:
        raise SpecError(in_file_order(empty))
    doubts = in_file_order(placed(document, _said(fault)) for fault in found)
    return whole, doubts


def _valid_blocks(document: Document) -> tuple[StudySpec, set[str], set[str], list[Said]]:
    """Return what is valid, the names of blocks that are not, or only in part, and why."""
    try:
        return StudySpec.model_validate(document.value), set(), set(), []
    except ValidationError as exc:
        errors = exc.errors()
    faults = explained(StudySpec, document, errors)
    for error in errors:
        if error["type"] == "extra_forbidden":
            faults += _foul_names(error["loc"], error["input"])
    invalid = {str(place[0]) for place in document.refused if place}
    invalid |= {str(error["loc"][0]) for error in errors if error["loc"]}
    # A block whose name is misspelt is not absent.
    meant = {name: str(nearest(name, BLOCKS)) for name in invalid - set(BLOCKS)}
    invalid |= set(meant.values())
    value = document.value if isinstance(document.value, dict) else {}
    valid = {name: value[name] for name in BLOCKS if name in value and name not in invalid}
    made: dict[str, Any] = {name: _block(name, block) for name, block in valid.items()}
    wrong = [path for path in (*document.refused, *(error["loc"] for error in errors)) if path]
    cut = {
        name: block
        for name in sorted(invalid & set(BLOCKS_IN_PART))
        if (
            block := _in_part(
                document, name, [p for p in wrong if name in {p[0], meant.get(str(p[0]))}]
            )
        )
    }
    needed = {name for name, info in StudySpec.model_fields.items() if info.is_required()}
    lost = (invalid | (needed - made.keys())) - cut.keys()
    return StudySpec.model_construct(**(made | cut)), lost, set(cut), faults


def _in_part(document: Document, name: str, wrong: Iterable[KeyPath]) -> tuple[Any, ...] | None:
    """Return the entries of a block, with `Unread` for those that are not valid.

    `wrong` are the places at fault within the block. None when the block as a whole is at fault,
    or an entry has no name by which others know it.
    """
    block = document.value.get(name) if isinstance(document.value, dict) else None
    places = [path[1:2] for path in wrong]
    if not isinstance(block, list) or () in places:
        return None
    lost = {place[0] for place in places}
    made = tuple(
        unread(raw) if place in lost else _block(name, [raw])[0] for place, raw in enumerate(block)
    )
    return made if lost and None not in made else None


def _foul_names(path: KeyPath, value: object) -> Iterator[Said]:
    """Yield names of tables, columns and the like, under a key that is unknown, that hold SQL."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _foul_names((*path, key), inner)
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _foul_names((*path, place), inner)
    elif isinstance(value, str) and path[-1] in _NAMES and _FOUL.search(value):
        what = f"{cut(repr(value))} is not written as a name here may be"
        yield Said(path, what, "write names of letters, digits and _ only.", "E_SPEC_IDENTIFIER")


def _block(name: str, value: object) -> Any:
    return getattr(_block_model(name).model_validate({name: value}), name)


@cache
def _block_model(name: str) -> type[Frozen]:
    """Return a model of one block of the study alone."""
    info = StudySpec.model_fields[name]
    field: dict[str, Any] = {name: (info.annotation, info)}
    return create_model(f"Only_{name}", __base__=Frozen, **field)


def _misnamed(spec: StudySpec, file: Path) -> list[Said]:
    if file.parent != STUDIES_DIR or file.stem == spec.study.id:
        return []
    what = f"is {spec.study.id!r}, the file is {file.name}"
    return [Said(("study", "id"), what, "give both the same name.")]


def attached_files(
    spec: StudySpec, study: Path, invalid: Collection[str] = ()
) -> tuple[dict[str, str], list[Said]]:
    """Return the text of every file that a study names, and which cannot be read, and why.

    Files lie beside the study or below it.

    Args:
        spec: The study.
        study: Its file.
        invalid: Names of blocks that are not valid and not looked at.
    """
    texts: dict[str, str] = {}
    lost: list[Said] = []
    for path, name in sorted(files_named(spec), key=str):
        if path[0] in invalid:
            continue
        try:
            texts[name] = _attached(study, name)
        except (OSError, UnicodeDecodeError) as exc:
            why = exc.strerror if isinstance(exc, OSError) else "is not UTF-8"
            fix = "put the file beside the study, or correct its name."
            lost.append(Said(path, f"{cut(name)}: {why}", fix, "E_SPEC_PATH"))
    return texts, lost


def files_named(spec: StudySpec) -> Iterator[tuple[KeyPath, str]]:
    """Yield the place and the name of every file that a study names."""
    for place, cohort in enumerate(spec.cohorts):
        if isinstance(cohort, CirceCohort):
            yield ("cohorts", place, "circe"), cohort.circe
        elif isinstance(cohort, SqlCohort):
            yield ("cohorts", place, "sql"), cohort.sql
    for place, code_list in enumerate(spec.code_lists):
        yield from ((("code_lists", place, key), name) for key, name in code_list.files)


def _attached(study: Path, name: str) -> str:
    file, home = (study.parent / name).resolve(), study.parent.resolve()
    if not file.is_relative_to(home):
        raise OSError(0, "leaves the folder of the study")
    if file.exists() and not file.is_file():
        raise OSError(0, "is not a file")
    with file.open("rb") as opened:
        raw = opened.read(MAX_FILE_BYTES + 1)
    if len(raw) > MAX_FILE_BYTES:
        raise OSError(0, f"is larger than {MAX_FILE_BYTES:,} bytes")
    return raw.decode("utf-8-sig").replace("\r\n", "\n")


def _said(fault: Fault) -> Said:
    return Said(fault.path, fault.what, fault.fix, fault.code)


def study_schema() -> str:
    """Return the JSON Schema of a study, as published in docs/study.schema.json."""
    schema = StudySpec.model_json_schema()
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
