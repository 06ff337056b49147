"""Whether a line has the shape that is read of its resource: objects, lists and single values.

The parser makes null of what has another shape. A cheap query finds every line in which it may
have done so, and some that are sound; those alone are read again, exactly.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

Shape = Mapping[str, Any]

_KINDS: dict[type, str] = {str: "a single value", list: "a list", dict: "an object"}
_COMMA_AT_END = r"',[ \t\r]*[}\]]'"


def may_misfit(resource: str, body: str, shape: Shape) -> str:
    """Return SQL that is true wherever the parsed `resource` may not say what `body` says."""
    parts = [f"regexp_matches({body}, {_COMMA_AT_END})"]
    if lists := list(_lists(shape, "$")):
        kinds = f"json_type({body}, {lists!r})"
        parts.append(_any(kinds, "kind", "kind not in ('ARRAY', 'NULL')"))
    parts += [s for key, part in shape.items() for s in _suspect(f'{resource}."{key}"', part, 0)]
    return " or ".join(f"coalesce({part}, false)" for part in parts)


def misfit_of(shapes: Mapping[str, Shape]) -> Callable[[str, str], str]:
    """Return the function of (type, line) that gives 'CODE/element' of a line; '' where it fits."""

    def misfit(resource: str, line: str) -> str:
        try:
            value = json.loads(line, object_pairs_hook=_first_of_each, parse_int=str)
        except (ValueError, RecursionError):
            return "E_JSON/"
        path = next(_misfits(shapes[resource], value, ""), None)
        return "" if path is None else f"E_TYPE/{path}"

    return misfit


def expected_shapes(shape: Shape) -> dict[str, str]:
    """Return what each element that is read is to be, by its path."""
    return {path: _KINDS[type(part)] for path, part in _elements(shape, "")}


def _first_of_each(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Of a key that stands twice the first counts, as in the parser."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        found.setdefault(key, value)
    return found


def _misfits(shape: Any, value: Any, path: str) -> Iterator[str]:
    """Yield the paths of what is not of its shape; null is of any."""
    if value is None:
        return
    if isinstance(shape, str):
        fits = not isinstance(value, list | dict)
    else:
        fits = isinstance(value, type(shape))
    if not fits:
        yield path
        return
    for key, part, inner in _children(shape, value):
        yield from _misfits(part, inner, _joined(path, key))


def _children(shape: Any, value: Any) -> Iterable[tuple[str, Any, Any]]:
    if isinstance(shape, list):
        return (("", shape[0], item) for item in value)
    if isinstance(shape, dict):
        return ((key, part, value.get(key)) for key, part in shape.items())
    return ()


def _elements(shape: Any, path: str) -> Iterator[tuple[str, Any]]:
    if path:
        yield path, shape
    inner = shape[0] if isinstance(shape, list) else shape
    if isinstance(inner, Mapping):
        for key, part in inner.items():
            yield from _elements(part, _joined(path, key))


def _joined(path: str, key: str) -> str:
    return f"{path}.{key}" if path and key else path or key


def _lists(shape: Any, path: str) -> Iterator[str]:
    """Yield the JSON paths of lists that lie in no other list."""
    if isinstance(shape, list):
        yield path
    elif isinstance(shape, Mapping):
        for key, part in shape.items():
            yield from _lists(part, f"{path}.{key}")


def _suspect(value: str, shape: Any, depth: int) -> list[str]:
    """Return SQL conditions under which a parsed value may stand for another shape."""
    if isinstance(shape, str):
        return [f"left({value}, 1) in ('{{', '[')"]
    if isinstance(shape, list):
        item = f"item{depth}"
        inner = " or ".join(f"coalesce({s}, false)" for s in _suspect(item, shape[0], depth + 1))
        return [*([f"{value} is null"] if depth else []), _any(value, item, inner)]
    fields = [(f'{value}."{key}"', part) for key, part in shape.items()]
    empty = " and ".join(f"{field} is null" for field, _ in fields)
    deeper = [s for field, part in fields for s in _suspect(field, part, depth)]
    return [f"({value} is not null and {empty})", *deeper]


def _any(values: str, name: str, condition: str) -> str:
    return f"list_bool_or(list_transform({values}, lambda {name}: {condition}))"
