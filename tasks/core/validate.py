"""From a parsed file to a validated value: all faults at once, each with file, line and key."""

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from tasks.core.errors import Message, SpecError
from tasks.core.explain import Said, explained
from tasks.core.strict_yaml import Document, in_file_order

Model = TypeVar("Model", bound=BaseModel)


def validated(model: type[Model], document: Document) -> Model:
    """Return `document` as a `model`.

    Raises:
        SpecError: The document does not fit the model; one message a fault.
    """
    try:
        return model.model_validate(document.value)
    except ValidationError as exc:
        faults = explained(model, document, exc.errors())
        raise SpecError(in_file_order(placed(document, fault) for fault in faults)) from None


def placed(document: Document, fault: Said) -> Message:
    """Return a fault with its file, line and key."""
    key = ".".join(map(str, fault.path))
    where = f"{document.name}:{document.line_of(fault.path)}"
    return Message(fault.code, where, f"{key}: {fault.what}" if key else fault.what, fault.fix)
