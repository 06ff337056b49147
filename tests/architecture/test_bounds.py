"""Nothing in a study may grow without end: every text and every list has a bound."""

import re
from collections.abc import Iterator

from tasks.core.spec.whole import StudySpec

ALLOWED: frozenset[str] = frozenset()


def places(node: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict]]:
    if isinstance(node, dict):
        yield path, node
        for key, inner in node.items():
            yield from places(inner, (*path, str(key)))
    elif isinstance(node, list):
        for place, inner in enumerate(node):
            yield from places(inner, (*path, str(place)))


def is_bounded_text(schema: dict) -> bool:
    if {"maxLength", "enum", "const", "format"} & schema.keys():
        return True
    pattern = re.sub(r"\[[^]]*\]|\\.", "x", schema.get("pattern", ""))
    is_whole = pattern.startswith("^") and pattern.endswith("$")
    return is_whole and not re.search(r"[*+]|\{\d*,\}", pattern)


def is_bounded_mapping(schema: dict) -> bool:
    return schema.get("additionalProperties") is False or "maxProperties" in schema


def unbounded(schema: dict) -> list[str]:
    return [
        "/".join(path)
        for path, node in places(schema)
        if path[-1:] != ("properties",)
        and (
            (node.get("type") == "string" and not is_bounded_text(node))
            or (node.get("type") == "array" and "maxItems" not in node)
            or (node.get("type") == "object" and not is_bounded_mapping(node))
        )
    ]


def test_every_text_and_list_of_a_study_has_a_bound():
    assert set(unbounded(StudySpec.model_json_schema())) - ALLOWED == set()


def test_the_walk_finds_what_has_no_bound():
    text, names = {"type": "string"}, {"type": "string", "pattern": "^[a-z]+$"}
    listed = {"type": "array", "items": {"type": "string", "pattern": "^[a-z+]{1,9}$"}}
    tree = {"$defs": {"a": {"properties": {"type": text, "n": names, "l": listed}}}}
    at = "$defs/a/properties"
    assert unbounded(tree) == [f"{at}/type", f"{at}/n", f"{at}/l"]
