"""YAML without its traps: what a file says is what is read, and every value knows its line."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import yaml

from tasks.core.errors import Message, SpecError

MAX_BYTES, MAX_DEPTH, MAX_NODES, MAX_DIGITS = 1_000_000, 40, 50_000, 18
MAX_KEY, MAX_FAULTS = 100, 100

_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(0|[1-9][0-9]*)\.[0-9]+")
_LOOKS_LIKE_NUMBER = re.compile(r"[-+]?[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?|\.[0-9]+")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
# Control characters, line breaks that editors do not count, marks that turn or hide text.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u200b-\u200f\u202a-\u202e\u2060-\u2069"
    "\ufeff\ufffe\uffff\ud800-\udfff]"
)
_TAGS = {
    f"tag:yaml.org,2002:{kind}"
    for kind in ("map", "seq", "str", "int", "float", "bool", "null", "timestamp", "value", "merge")
}
_ALIAS = "!alias"
# What the parser says, in words that help: (part of its text, what is wrong, how to mend it).
_PROBLEMS = (
    ("'\\t'", "a tab stands where YAML wants spaces", "indent with spaces."),
    (
        "another document",
        "a second document starts here",
        "remove the --- line.",
    ),
    ("mapping values", "a colon stands where none can be", "quote text that holds a colon."),
    ("'<stream end>'", "a bracket or quote is never closed", "close it."),
    ("end of stream", "a bracket or quote is never closed", "close it."),
)

_IN_BRACES = (
    "what stands between { } or [ ] cannot be read",
    "put the text in quotes (there it needs them if it holds ? : , [ ] { } #); close brackets.",
)

KeyPath = tuple[str | int, ...]


class Refused:
    """Stands in the tree for a value that the reader refused; fits no model."""

    def __repr__(self) -> str:
        return "a refused value"


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file: its value, the line (from 1) of each key path, and what was refused where."""

    name: str
    value: object
    lines: dict[KeyPath, int]
    refused: Mapping[KeyPath, Message] = field(default_factory=dict)

    def line_of(self, path: KeyPath) -> int:
        """Line of `path`, or of its nearest ancestor that is in the file."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def is_refused(self, path: KeyPath) -> bool:
        """Whether the value at `path`, or one that holds it, was refused."""
        return any(path[:size] in self.refused for size in range(len(path) + 1))


def read_yaml(path: Path) -> Document:
    """Read a strict YAML file.

    Raises:
        SpecError: The file is too large, is not YAML, or uses what YAML readers disagree on:
            duplicate keys, anchors, tags, `NO` as a truth value, octal or sexagesimal numbers.
    """
    return _whole(scan_file(path))


def parse_yaml(raw: bytes, name: str) -> Document:
    """Parse the bytes of a strict YAML file; `name` stands in the messages."""
    return _whole(scan_yaml(raw, name))


def scan_file(path: Path) -> Document:
    """Read a YAML file; values that are refused stand in the document with their messages.

    Raises:
        SpecError: There is no tree to read: the file is too large, or is not YAML.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as exc:
        what = f"cannot be read ({exc.strerror})"
        raise SpecError([_fault(path.name, 1, what, "check the path.")]) from None
    return scan_yaml(raw, path.name)


def scan_yaml(raw: bytes, name: str) -> Document:
    """Parse the bytes of a YAML file; values that are refused stand in it with their messages.

    Raises:
        SpecError: There is no tree to read: the bytes are too many, or are not YAML.
    """
    text = _text(raw, name)
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as exc:
        raise SpecError([_syntax(exc, name)]) from None
    except (yaml.YAMLError, ValueError, OverflowError):
        what = "is not valid YAML: an escape stands for no character"
        raise SpecError([_fault(name, loader.line + 1, what, "correct the line.")]) from None
    finally:
        loader.dispose()
    if node is None:
        raise SpecError([_fault(name, 1, "is empty", "write the file, or name another.")])
    reader = _Reader(name, loader.anchored)
    value = reader.build(node, ())
    return Document(name, value, reader.lines, reader.refused)


def in_file_order(faults: Iterable[Message]) -> list[Message]:
    """Return messages by file and line, each once, and no more than a person can read."""
    found = sorted(dict.fromkeys(faults), key=_place)
    if len(found) <= MAX_FAULTS:
        return found
    what = f"{len(found) - MAX_FAULTS} further faults are not listed"
    last = found[MAX_FAULTS]
    more = Message(last.code, last.where, what, "correct the others, then look again.")
    return [*found[:MAX_FAULTS], more]


def _place(message: Message) -> tuple[str, int, str]:
    name, _, line = message.where.rpartition(":")
    return name, int(line) if line.isdigit() else 0, message.what


def _whole(document: Document) -> Document:
    if document.refused:
        raise SpecError(in_file_order(document.refused.values()))
    return document


def _text(raw: bytes, name: str) -> str:
    """Return the text of a file in which a person sees every character."""
    if len(raw) > MAX_BYTES:
        what = f"is larger than {MAX_BYTES:,} bytes"
        raise SpecError([_fault(name, 1, what, "split the file.", "E_SPEC_LIMIT")])
    try:
        text = raw.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as exc:
        line = raw[: exc.start].count(b"\n") + 1
        what, fix = "is not UTF-8", "save the file as UTF-8."
        raise SpecError([_fault(name, line, what, fix)]) from None
    lines = [n for n, line in enumerate(text.split("\n"), 1) if _UNSEEN.search(line)]
    if lines:
        what = "holds a character that cannot be seen (control or direction mark)"
        fix = "remove it; if there are many, save the file as UTF-8."
        raise SpecError([_fault(name, line, what, fix) for line in lines[:MAX_FAULTS]])
    return text


def _syntax(exc: yaml.MarkedYAMLError, name: str) -> Message:
    line = exc.problem_mark.line + 1 if exc.problem_mark else 1
    if isinstance(exc, _LimitError):
        return _fault(name, line, str(exc.problem), "make the file smaller.", "E_SPEC_LIMIT")
    said = str(exc.problem)
    for part, what, fix in _PROBLEMS:
        if part in said:
            return _fault(name, line, f"is not valid YAML: {what}", fix)
    if "flow " in str(exc.context):
        return _fault(name, line, f"is not valid YAML: {_IN_BRACES[0]}", _IN_BRACES[1])
    return _fault(name, line, f"is not valid YAML: {said[:80]}", "correct the line.")


def _fault(name: str, line: int, what: str, fix: str, code: str = "E_SPEC_PARSE") -> Message:
    return Message(code, f"{name}:{line}", what, fix)


class _LimitError(yaml.MarkedYAMLError):
    """The tree is deeper or larger than any study."""


class _Loader(yaml.SafeLoader):
    """Composes nodes without ever following an alias, and stops at the limits."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.anchored, self._depth, self._count = set[int](), 0, 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose one node; an alias becomes a node of its own that says so."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        self._count += 1
        if self._depth > MAX_DEPTH or self._count > MAX_NODES:
            what = f"nests deeper than {MAX_DEPTH} levels or holds over {MAX_NODES:,} values"
            raise _LimitError(problem=what, problem_mark=event.start_mark)
        if self.check_event(yaml.AliasEvent):
            self.get_event()  # type: ignore[no-untyped-call]
            return yaml.ScalarNode(_ALIAS, "", event.start_mark, event.end_mark)
        if getattr(event, "anchor", None):
            self.anchored.add(event.start_mark.index)
            event.anchor = None
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


class _Reader:
    """Builds plain values from nodes and collects every fault on the way."""

    def __init__(self, name: str, anchored: set[int]) -> None:
        self.name, self.anchored = name, anchored
        self.refused, self.lines = dict[KeyPath, Message](), dict[KeyPath, int]()

    def build(self, node: yaml.Node, path: KeyPath) -> object:
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        if node.tag == _ALIAS or node.start_mark.index in self.anchored:
            what = "anchors and aliases (& and *) are not allowed"
            return self._refuse(line, path, what, "write the value out.")
        if node.tag not in _TAGS:
            return self._refuse(line, path, f"tag {_cut(node.tag)} is not allowed", "remove it.")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*path, i)) for i, item in enumerate(node.value)]
        return self._scalar(node, path, line)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, object]:
        out: dict[str, object] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not _is_word(key_node) or key_node.start_mark.index in self.anchored:
                self._refuse(line, (*path, "(key)", line), *_NO_WORD)
                continue
            key = key_node.value
            at = (*path, key)
            if key in out:
                self._refuse(line, at, "the key stands twice", "keep one of them.")
                continue
            self.lines[at] = line
            out[key] = self.build(value_node, at)
        return out

    def _scalar(self, node: yaml.Node, path: KeyPath, line: int) -> object:
        text = str(node.value)
        if _UNSEEN.search(text):
            what = "holds an escaped character that cannot be seen"
            return self._refuse(line, path, what, "remove the escape.")
        if getattr(node, "style", None) is not None:
            return text
        if text in {"", "~", "null"}:
            return None
        if text in {"true", "false"}:
            return text == "true"
        return self._plain(node.tag, text, path, line)

    def _plain(self, tag: str, text: str, path: KeyPath, line: int) -> object:
        is_short = len(text) <= MAX_DIGITS
        if _INT.fullmatch(text) and is_short:
            return int(text)
        if _FLOAT.fullmatch(text) and is_short:
            return float(text)
        if _DATE.fullmatch(text):
            try:
                return date.fromisoformat(text)
            except ValueError:
                what = "is not a day of the calendar"
                return self._refuse(line, path, what, "correct the date.")
        if not tag.endswith(":str") or _LOOKS_LIKE_NUMBER.fullmatch(text):
            kind = tag.rsplit(":", 1)[-1]
            what = f"YAML readers disagree on this value (read as {kind} by some)"
            fix = "quote it if it is text, else write it plainly."
            return self._refuse(line, path, what, fix)
        return text

    def _refuse(self, line: int, path: KeyPath, what: str, fix: str) -> Refused:
        where = ".".join(map(str, path))
        self.refused[path] = _fault(self.name, line, f"{where}: {what}" if where else what, fix)
        return Refused()


_NO_WORD = ("a key must be one short word", "write the key as plain text, and no merge (<<).")


def _is_word(key: yaml.Node) -> bool:
    """Whether a key of a mapping is a short text, and neither a merge nor a list."""
    if not isinstance(key, yaml.ScalarNode) or key.tag not in _TAGS or key.tag.endswith(":merge"):
        return False
    return len(key.value) <= MAX_KEY and not _UNSEEN.search(key.value)


def _cut(text: str, width: int = 40) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
