"""What a model says of a file, in words of its author: one fault a place, with its remedy."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, Tag
from pydantic_core import PydanticCustomError

from tasks.core.strict_yaml import Document, KeyPath

SCHEMA_FIX = "correct the value; the schema stands in docs/study.schema.json."
WIDTH = 40
_TYPES = {
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
    "string_type": "text (in quotes if need be)",
    "date_type": "a day such as 2024-01-31",
    "datetime_type": "a time",
    "model_type": "a mapping of keys",
    "model_attributes_type": "a mapping of keys",
    "dict_type": "a mapping of keys",
    "tuple_type": "a list",
    "list_type": "a list",
    "is_instance_of": "another kind of value",
}
_SHAPES = {*_TYPES, "literal_error", "float_parsing", "date_from_datetime_inexact"}


@dataclass(frozen=True, slots=True)
class Said:
    """One fault at a key path of the file."""

    path: KeyPath
    what: str
    fix: str = SCHEMA_FIX
    code: str = "E_SPEC_PARSE"


def misfit(*faults: Said) -> PydanticCustomError:
    """Return an error for a validator to raise that names keys below its own, and remedies."""
    told = [{"path": f.path, "what": f.what, "fix": f.fix, "code": f.code} for f in faults]
    what = "; ".join(fault.what for fault in faults)
    return PydanticCustomError("misfit", "{what}", {"what": what, "faults": told})


def nearest(word: object, known: Sequence[str]) -> str | None:
    """Return the known word that was probably meant."""
    return next(iter(get_close_matches(str(word), known, 1, 0.6)), None)


def choose(word: object, known: Sequence[str]) -> str:
    """Return the remedy for a word that is none of the known ones."""
    if meant := nearest(word, known):
        return f"write `{meant}`; the choices are {', '.join(known)}."
    return f"choose one of {', '.join(known)}."


def cut(value: object, width: int = WIDTH) -> str:
    """Return a value of the file as a message may show it: short, on one line."""
    text = " ".join(str(value).split())
    return text if len(text) <= width else f"{text[: width - 1]}…"


def explained(
    model: type[BaseModel], document: Document, errors: Iterable[Mapping[str, Any]]
) -> list[Said]:
    """Return what pydantic found, one fault a place; what the YAML reader refused is left out.

    Args:
        model: The model that the document does not fit.
        document: The file.
        errors: `errors()` of the ValidationError.
    """
    found = _one_a_place([_located(model, error) for error in errors])
    wrong = {f.path for f in found}
    said = [s for f in found if not _follows(f, wrong) for s in _said(model, f)]
    told = [replace(s, path=_in_file(document, s.path)) for s in said]
    return [said for said in dict.fromkeys(told) if not document.is_refused(said.path)]


@dataclass(frozen=True, slots=True)
class _Found:
    """An error of pydantic: its path in the file, and which member of each union it speaks of.

    `own` are the models of which the last key could be one; `others` are errors of the other
    shapes that the same place could have.
    """

    path: KeyPath
    error: Mapping[str, Any]
    members: tuple[tuple[KeyPath, object], ...]
    own: tuple[type[BaseModel], ...]
    others: tuple[Mapping[str, Any], ...] = ()

    @property
    def kind(self) -> str:
        return str(self.error["type"])

    def is_deep(self, place: KeyPath) -> bool:
        """Whether the value at a place had the right shape, and something in it is wrong."""
        return len(self.path) > len(place) or self.kind not in _SHAPES


def _in_file(document: Document, path: KeyPath) -> KeyPath:
    """Drop places of a list where the file has its one entry without a list around it."""
    kept: KeyPath = ()
    for part in path:
        if isinstance(part, str) or (*kept, part) in document.lines:
            kept = (*kept, part)
    return kept


def _follows(found: _Found, wrong: set[KeyPath]) -> bool:
    """Whether a list is only short of the entries that are wrong themselves."""
    size = len(found.path)
    return found.kind == "too_short" and any(
        len(path) > size and path[:size] == found.path for path in wrong
    )


def _located(model: type[BaseModel], error: Mapping[str, Any]) -> _Found:
    """Tell the keys of a location from the names of union members, by walking the model."""
    kinds: list[Any] = [model]
    path: KeyPath = ()
    members: list[tuple[KeyPath, object]] = []
    own: list[Any] = []
    for part in error["loc"]:
        choices = _members(kinds)
        if len(kinds) == 1 and len(choices) > 1:
            members.append((path, part))
            kinds = [kind for kind in choices if _is_named(kind, part)] or choices
        else:
            own, path = choices, (*path, part)
            kinds = [inner for kind in choices for inner in _inside(kind, part)]
    models = tuple(_bare(kind) for kind in own if _is_model(_bare(kind)))
    return _Found(path, error, tuple(members), models)


def _one_a_place(found: list[_Found]) -> list[_Found]:
    """Keep, of each union, the member that the author meant: the one that fits the furthest."""
    while place := _first_ambiguous(found):
        [at] = place
        rivals = [f for f in found if at in dict(f.members)]
        by_member: dict[object, list[_Found]] = {}
        for rival in rivals:
            by_member.setdefault(dict(rival.members)[at], []).append(rival)
        deep = [group for group in by_member.values() if any(f.is_deep(at) for f in group)]
        if deep:
            kept = max(deep, key=lambda group: max(len(f.path) for f in group))
        else:
            told = tuple(rival.error for rival in rivals[1:])
            kept = [replace(rivals[0], others=told, members=())]
        found = [f for f in found if f not in rivals] + kept
    return found


def _first_ambiguous(found: list[_Found]) -> tuple[KeyPath] | None:
    """Return the outermost place at which errors of several members of a union stand."""
    seen: dict[KeyPath, object] = {}
    for place, member in sorted(
        (pair for f in found for pair in f.members), key=lambda pair: len(pair[0])
    ):
        if seen.setdefault(place, member) != member:
            return (place,)
    return None


def _said(model: type[BaseModel], found: _Found) -> Iterator[Said]:
    path, context = found.path, found.error.get("ctx", {})
    if found.kind == "misfit":
        for fault in context["faults"]:
            yield Said((*path, *fault["path"]), fault["what"], fault["fix"], fault["code"])
    elif found.kind == "missing":
        yield _missing(found)
    elif found.kind == "extra_forbidden":
        yield _extra(model, found)
    elif found.kind in {"union_tag_invalid", "union_tag_not_found"}:
        yield _untagged(model, path, context)
    elif found.kind in _SHAPES:
        yield _misshapen(path, found.error, found.others)
    else:
        yield _wrong(path, found.error)


def _missing(found: _Found) -> Said:
    key = str(found.path[-1])
    fields = [m.model_fields[key] for m in found.own if key in m.model_fields]
    about = next((f.description for f in fields if f.description), None)
    what = f"the key is missing: {about.rstrip('.')}" if about else "the key is missing"
    return Said(found.path, what, f"add `{key}`.")


def _extra(model: type[BaseModel], found: _Found) -> Said:
    key, path = str(found.path[-1]), found.path
    own = sorted({name for member in found.own for name in member.model_fields})
    every = sorted({n for m in _models_at(model, path[:-1]) for n in m.model_fields})
    if key in every:
        what = f"{cut(key)} does not go together with the other keys here"
        return Said(path, what, "keep one kind of entry; the others become entries of their own.")
    what = f"{cut(key)} is no key that may stand here"
    if meant := nearest(key, own) or nearest(key, every):
        return Said(path, what, f"write `{meant}`, or remove the key.")
    if found.error.get("input") is None and " " in key:
        fix = (
            "put the whole text in quotes if this is a part of it, behind a comma; else remove it."
        )
        return Said(path, what, fix)
    known = every if len(found.own) == 1 and found.own[0].__name__ == "Group" else own
    return Said(path, what, f"remove it; the keys are {', '.join(known) or 'none'}.")


def _untagged(model: type[BaseModel], path: KeyPath, context: Mapping[str, Any]) -> Said:
    key = str(context.get("discriminator", "type")).strip("'")
    known = sorted({tag for m in _models_at(model, path) for tag in _literals(m, key)})
    at = (*path, key)
    if "tag" not in context:
        what = "the key is missing: it says which kind this is"
        return Said(at, what, f"add `{key}`: {_or(known)}.")
    what = f"is {cut(context['tag'])!r}, which is none of the kinds"
    return Said(at, what, choose(context["tag"], known))


def _misshapen(
    path: KeyPath, error: Mapping[str, Any], others: tuple[Mapping[str, Any], ...]
) -> Said:
    every = (error, *others)
    words = [word for e in every if e["type"] == "literal_error" for word in _expected(e)]
    shapes = list(dict.fromkeys(_TYPES[e["type"]] for e in every if e["type"] in _TYPES))
    value = error.get("input")
    is_short = isinstance(value, bool | int | float | str)
    shown = f"is {cut(repr(value))}, not" if is_short else "must be"
    what = f"{shown} {_or([*words, *shapes])}"
    fix = choose(value, words) if words and not shapes else f"write {_or([*words, *shapes])}."
    return Said(path, what, fix)


def _expected(error: Mapping[str, Any]) -> list[str]:
    said = str(error.get("ctx", {}).get("expected", ""))
    return [word.strip().strip("'") for word in said.replace(" or ", ", ").split(",") if word]


def _wrong(path: KeyPath, error: Mapping[str, Any]) -> Said:
    kind = str(error["type"])
    text = str(error["msg"]).removeprefix("Value error, ")
    if kind == "string_pattern_mismatch":
        pattern = error["ctx"]["pattern"]
        what = f"{cut(error['input'])!r} is not written as a name here may be"
        return Said(path, what, f"write it so that it fits {pattern}.", "E_SPEC_IDENTIFIER")
    if kind in {"too_long", "string_too_long"}:
        return Said(path, f"is too long: {text}", "make it shorter.", "E_SPEC_LIMIT")
    if kind == "too_short":
        return Said(path, "is empty, or too short a list", "add an entry, or remove the key.")
    return Said(path, text, SCHEMA_FIX)


def _or(words: Sequence[str]) -> str:
    *most, last = words or ["another kind of value"]
    return f"{', '.join(most)} or {last}" if most else last


def _literals(model: type[BaseModel], key: str) -> tuple[str, ...]:
    field = model.model_fields.get(key)
    is_literal = field is not None and get_origin(field.annotation) is Literal
    return tuple(map(str, get_args(field.annotation))) if field and is_literal else ()


def _models_at(model: type[BaseModel], path: KeyPath) -> list[type[BaseModel]]:
    """Every model that may stand at a path of the file, whatever kind the file chose."""
    found: list[Any] = [model]
    for part in path:
        found = [inner for kind in _members(found) for inner in _inside(kind, part)]
    return [_bare(kind) for kind in _members(found) if _is_model(_bare(kind))]


def _inside(kind: Any, part: str | int) -> Iterator[Any]:
    """Kinds of value that may stand under a key, or at a place of a list."""
    bare = _bare(kind)
    if _is_model(bare):
        if not bare.__pydantic_fields_complete__:
            bare.model_rebuild()  # names of kinds that were defined later
        if part in bare.model_fields:
            yield bare.model_fields[str(part)].annotation
    elif isinstance(part, int) and get_origin(bare) in {tuple, list}:
        yield from (arg for arg in get_args(bare) if arg is not Ellipsis)
    elif get_origin(bare) in {dict, Mapping}:
        yield get_args(bare)[1]


def _members(kinds: list[Any]) -> list[Any]:
    """Return kinds with unions taken apart, and nothing of what may be left out."""
    out: list[Any] = []
    for kind in kinds:
        bare = _bare(kind)
        is_union = get_origin(bare) in {Union, UnionType}
        out += _members(list(get_args(bare))) if is_union else [kind]
    return [kind for kind in out if kind is not type(None)]


def _bare(kind: Any) -> Any:
    return _bare(get_args(kind)[0]) if get_origin(kind) is Annotated else kind


def _is_named(kind: Any, label: object) -> bool:
    """Whether a label that pydantic gave to a member of a union is that of this kind."""
    if get_origin(kind) is Annotated:
        tags = [item.tag for item in kind.__metadata__ if isinstance(item, Tag)]
        return label in tags or (not tags and _is_named(_bare(kind), label))
    if not _is_model(kind):
        return False
    tags = [tag for name in ("type", "kind") for tag in _literals(kind, name)]
    of_class = label == kind.__name__ or str(label).endswith(f" {kind.__name__}]")
    return of_class or label in tags


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
