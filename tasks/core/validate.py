"""From a parsed file to a validated value: all faults at once, each with file, line and key."""

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from tasks.core.errors import Message, SpecError
from tasks.core.strict_yaml import Document

Model = TypeVar("Model", bound=BaseModel)

_FIX = {
    "extra_forbidden": "remove the key or correct its spelling.",
    "missing": "add the key.",
}


def validated(model: type[Model], document: Document) -> Model:
    """Return `document` as a `model`.

    Raises:
        SpecError: The document does not fit the model; one message a fault.
    """
    try:
        return model.model_validate(document.value)
    except ValidationError as exc:
        raise SpecError([_message(document, fault) for fault in exc.errors()]) from None


def _message(document: Document, fault: object) -> Message:
    assert isinstance(fault, dict)  # noqa: S101 - shape of pydantic's own record
    path = _in_file(document, fault["loc"])
    key = ".".join(map(str, path)) or "file"
    fix = _FIX.get(fault["type"], "correct the value; the schema stands in docs/study.schema.json.")
    code = "E_SPEC_IDENTIFIER" if fault["type"] == "string_pattern_mismatch" else "E_SPEC_PARSE"
    return Message(
        code, f"{document.name}:{document.line_of(path)}", f"{key}: {_sentence(fault)}", fix
    )


def _sentence(fault: dict[str, object]) -> str:
    return str(fault["msg"]).removeprefix("Value error, ")


def _in_file(document: Document, loc: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """Drop what pydantic adds to a place (names of union members) and keep the file's own keys."""
    path: tuple[str | int, ...] = ()
    for part in loc[:-1]:
        if (*path, part) in document.lines:
            path = (*path, part)
    last = loc[-1] if loc else ()
    return (*path, last) if isinstance(last, str | int) else path
