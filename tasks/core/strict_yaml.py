"""YAML without its traps: what a file says is what is read, and every value knows its line."""

import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import yaml

from tasks.core.errors import Message, SpecError

MAX_BYTES, MAX_DEPTH, MAX_NODES, MAX_DIGITS = 1_000_000, 40, 50_000, 18

_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(0|[1-9][0-9]*)\.[0-9]+")
_LOOKS_LIKE_NUMBER = re.compile(r"[-+]?[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?|\.[0-9]+")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

_TAGS = {
    f"tag:yaml.org,2002:{kind}"
    for kind in ("map", "seq", "str", "int", "float", "bool", "null", "timestamp", "value", "merge")
}

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file: its value, and the line (from 1) on which each key path stands."""

    name: str
    value: object
    lines: dict[KeyPath, int]

    def line_of(self, path: KeyPath) -> int:
        """Line of `path`, or of its nearest ancestor that is in the file."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read_yaml(path: Path) -> Document:
    """Read a strict YAML file.

    Raises:
        SpecError: The file is too large, is not YAML, or uses what YAML readers disagree on:
            duplicate keys, anchors, tags, `NO` as a truth value, octal or sexagesimal numbers.
    """
    try:
        raw = path.read_bytes()
    except OSError as exc:
        what = f"cannot be read ({exc.strerror})"
        raise SpecError([_fault(path.name, 1, what, "check the path.")]) from None
    return parse_yaml(raw, path.name)


def parse_yaml(raw: bytes, name: str) -> Document:
    """Parse the bytes of a strict YAML file; `name` stands in the messages."""
    if len(raw) > MAX_BYTES:
        what = f"is {len(raw):,} bytes; the limit is {MAX_BYTES:,}"
        raise SpecError([_fault(name, 1, what, "split the file.", "E_SPEC_LIMIT")])
    try:
        text = raw.decode("utf-8-sig")
        _check_events(text, name)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except UnicodeDecodeError:
        raise SpecError([_fault(name, 1, "is not UTF-8", "save the file as UTF-8.")]) from None
    except yaml.MarkedYAMLError as exc:
        line = exc.problem_mark.line + 1 if exc.problem_mark else 1
        what = f"is not valid YAML: {exc.problem}"
        raise SpecError([_fault(name, line, what, "correct the line.")]) from None
    except yaml.YAMLError as exc:
        what = f"is not valid YAML: {type(exc).__name__}"
        raise SpecError([_fault(name, 1, what, "remove unprintable characters.")]) from None
    reader = _Reader(name)
    value = reader.build(node, ()) if node is not None else None
    if reader.faults:
        raise SpecError(reader.faults)
    return Document(name, value, reader.lines)


def _fault(name: str, line: int, what: str, fix: str, code: str = "E_SPEC_PARSE") -> Message:
    return Message(code, f"{name}:{line}", what, fix)


def _check_events(text: str, name: str) -> None:
    """Refuse anchors, depth and size before anything is built from them."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=yaml.SafeLoader)):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            what = "anchors and aliases (& and *) are not allowed"
            raise SpecError([_fault(name, line, what, "write the value out.")])
        if isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            depth += 1
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            depth -= 1
        if depth > MAX_DEPTH or count > MAX_NODES:
            what = f"nests deeper than {MAX_DEPTH} levels or holds over {MAX_NODES:,} values"
            raise SpecError([_fault(name, line, what, "make the file smaller.", "E_SPEC_LIMIT")])


class _Reader:
    """Builds plain values from nodes and collects every fault on the way."""

    def __init__(self, name: str) -> None:
        self.name, self.faults, self.lines = name, list[Message](), dict[KeyPath, int]()

    def build(self, node: yaml.Node, path: KeyPath) -> object:
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        if node.tag not in _TAGS:
            self._refuse(line, path, f"tag {node.tag[:40]} is not allowed", "remove the tag.")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*path, i)) for i, item in enumerate(node.value)]
        return self._scalar(node, path, line) if isinstance(node, yaml.ScalarNode) else None

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, object]:
        out: dict[str, object] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag.endswith(":merge"):
                self._refuse(line, path, "a key must be one word", "write the key as text.")
                continue
            key = key_node.value
            if key in out:
                self._refuse(line, (*path, key), "the key stands twice", "keep one of them.")
            self.lines[(*path, key)] = line
            out[key] = self.build(value_node, (*path, key))
        return out

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath, line: int) -> object:
        text = str(node.value)
        if node.style is not None:
            return text
        if text in {"", "~", "null"}:
            return None
        if text in {"true", "false"}:
            return text == "true"
        return self._plain(node.tag, text, path, line)

    def _plain(self, tag: str, text: str, path: KeyPath, line: int) -> object:
        if _INT.fullmatch(text) and len(text) <= MAX_DIGITS:
            return int(text)
        if _FLOAT.fullmatch(text):
            return float(text)
        if _DATE.fullmatch(text):
            try:
                return date.fromisoformat(text)
            except ValueError:
                self._refuse(line, path, "is not a day of the calendar", "correct the date.")
                return None
        if not tag.endswith(":str") or _LOOKS_LIKE_NUMBER.fullmatch(text):
            kind = tag.rsplit(":", 1)[-1]
            what = f"YAML readers disagree on this value (read as {kind} by some)"
            self._refuse(line, path, what, "quote it if it is text, else write it plainly.")
            return None
        return text

    def _refuse(self, line: int, path: KeyPath, what: str, fix: str) -> None:
        where = ".".join(map(str, path))
        self.faults.append(_fault(self.name, line, f"{where}: {what}" if where else what, fix))
