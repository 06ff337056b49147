"""Members of code lists, from the study and from the files that it names, in one form."""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from pydantic import ValidationError

from tasks.core.errors import Message
from tasks.core.spec.code_lists import MAX_MEMBERS, CodeList, ConceptItem, SourceCodes

_FLAGS = ("include_descendants", "include_mapped", "exclude")
_DAYS = ("valid_from", "valid_to")
COLUMNS = ("concept_id", *_FLAGS, "vocabulary", "code", *_DAYS, "name")
_TRUTH = {"true": True, "1": True, "false": False, "0": False}
# Characters of codes in plain form; a prefix with exceptions is written out over them.
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-_/+ "


@dataclass(frozen=True, slots=True)
class SourceCode:
    """A code in plain form, or (`is_prefix`) all codes that start so, and when it counts."""

    vocabulary: str
    code: str
    is_prefix: bool
    valid_from: date | None
    valid_to: date | None


@dataclass(frozen=True, slots=True)
class Members:
    """All that a code list holds; every item says whether it takes descendants."""

    concepts: tuple[ConceptItem, ...]
    codes: tuple[SourceCode, ...]


class ListFileError(ValueError):
    """A file of a code list is not written as it should be; carries line, fault and remedy."""

    def __init__(self, line: int, what: str, fix: str) -> None:
        super().__init__(what)
        self.line, self.what, self.fix = line, what, fix


def members_of(code_list: CodeList, files: Mapping[str, str]) -> Members:
    """Return what a code list holds, with what its files hold.

    Raises:
        ListFileError: A file is not written as it should be.
    """
    items, blocks = list(code_list.items), list(code_list.codes)
    if code_list.file:
        more, coded = read_list_csv(files[code_list.file])
        items, blocks = items + more, blocks + coded
    if code_list.concept_set:
        items += read_concept_set(files[code_list.concept_set])
    below = bool(code_list.include_descendants)
    concepts = [
        item.model_copy(update={"include_descendants": below})
        if item.include_descendants is None
        else item
        for item in items
    ]
    return Members(tuple(concepts), tuple(code for block in blocks for code in _resolved(block)))


def faults_in_files(code_lists: Iterable[CodeList], files: Mapping[str, str]) -> Iterator[Message]:
    """Yield the first fault of every file of a code list that was found."""
    for code_list in code_lists:
        for key, name in code_list.files:
            try:
                if name in files:
                    (read_list_csv if key == "file" else read_concept_set)(files[name])
            except ListFileError as fault:
                yield Message("E_SPEC_PARSE", f"{name}:{fault.line}", fault.what, fault.fix)


def read_list_csv(text: str) -> tuple[list[ConceptItem], list[SourceCodes]]:
    """Read a code list as CSV: rows with `concept_id`, rows with `vocabulary` and `code`.

    Raises:
        ListFileError: A column is unknown, a row names no member, or a value does not fit.
    """
    reader = csv.reader(text.splitlines(), strict=True)
    try:
        header = _header(next(reader, []))
        rows = [
            (reader.line_num, _record(header, cells, reader.line_num)) for cells in reader if cells
        ]
    except csv.Error:
        fix = "export it as CSV with commas, and quotes doubled."
        raise ListFileError(reader.line_num, "is not a line of CSV", fix) from None
    if not rows or len(rows) > MAX_MEMBERS:
        what = f"holds {len(rows):,} rows; a list has 1 to {MAX_MEMBERS:,}"
        raise ListFileError(1, what, "write the members, one a row.")
    items = [_item(row, line) for line, row in rows if "concept_id" in row]
    return items, _blocks([(line, row) for line, row in rows if "concept_id" not in row])


def read_concept_set(text: str) -> list[ConceptItem]:
    """Read a concept set as ATLAS exports it, with or without its name around it.

    Raises:
        ListFileError: It is not JSON, or not a concept set.
    """
    fix = "export the concept set from ATLAS (Export, Expression) again."
    try:
        said: Any = json.loads(text)
        said = said.get("expression", said)
        items = list(said["items"])
        if len(items) > MAX_MEMBERS:
            what = f"holds {len(items):,} concepts; a list has at most {MAX_MEMBERS:,}"
            raise ListFileError(1, what, "split the list.")
        return [_atlas(item) for item in items]
    except ListFileError:
        raise
    except (ValueError, RecursionError):
        raise ListFileError(1, "is not JSON, or names no concepts by number", fix) from None
    except (AttributeError, KeyError, TypeError):
        raise ListFileError(1, "is not a concept set of ATLAS", fix) from None


def plain(code: str) -> str:
    """Return a source code in the form in which codes are compared."""
    return code.upper().replace(".", "").strip()


def carved(codes: Iterable[str], exclude: Iterable[str]) -> list[tuple[str, bool]]:
    """Return codes and prefixes that take in `codes` and nothing of `exclude`.

    A trailing star makes a prefix. A prefix with exceptions becomes the prefixes one character
    longer, so that what is left is a plain list again.
    """
    excluded = [_starred(code) for code in exclude]
    kept = {part for code in codes for part in _without(*_starred(code), excluded)}
    return sorted(kept)


def _starred(code: str) -> tuple[str, bool]:
    return plain(code.rstrip("*")), code.endswith("*")


def _without(
    code: str, is_prefix: bool, excluded: list[tuple[str, bool]]
) -> Iterator[tuple[str, bool]]:
    if any(code.startswith(out) for out, is_wide in excluded if is_wide):
        return
    inner = [(out, wide) for out, wide in excluded if out.startswith(code)]
    if not is_prefix or not inner:
        if (code, False) not in excluded:
            yield code, is_prefix
        return
    if (code, False) not in excluded:
        yield code, False
    for character in _ALPHABET:
        yield from _without(code + character, True, inner)


def _resolved(block: SourceCodes) -> Iterator[SourceCode]:
    first, last = block.in_force
    for code, is_prefix in carved(block.codes, block.exclude):
        yield SourceCode(block.vocabulary, code, is_prefix, first, last)


def _header(cells: list[str]) -> list[str]:
    header = [cell.strip().lower() for cell in cells]
    unknown = [name for name in header if name not in COLUMNS]
    if unknown or not header or len(set(header)) < len(header):
        fix = f"name columns once, of {', '.join(COLUMNS)}."
        raise ListFileError(1, "the first line does not name the columns of a code list", fix)
    return header


def _record(header: list[str], cells: list[str], line: int) -> dict[str, str]:
    if len(cells) != len(header):
        what = f"has {len(cells)} cells, the first line {len(header)}"
        raise ListFileError(line, what, "write a cell for every column.")
    row = {name: cell.strip() for name, cell in zip(header, cells, strict=True) if cell.strip()}
    if ("concept_id" in row) == ("code" in row) or ("code" in row) != ("vocabulary" in row):
        fix = "write concept_id, or vocabulary and code."
        raise ListFileError(line, "names no member of the list, or two", fix)
    return row


def _item(row: dict[str, str], line: int) -> ConceptItem:
    try:
        flags = {name: _TRUTH[row[name].lower()] for name in _FLAGS if name in row}
        return ConceptItem(concept=int(row["concept_id"]), **flags)
    except (KeyError, ValueError):
        fix = "write concept_id as a whole number, and true or false."
        raise ListFileError(line, "a value is not of its column's kind", fix) from None


def _blocks(rows: list[tuple[int, dict[str, str]]]) -> list[SourceCodes]:
    """Gather rows of one code system and the same days; rows to exclude hold for all of them."""
    excluded: dict[str, list[str]] = {}
    groups: dict[tuple[str, ...], list[tuple[int, str]]] = {}
    for line, row in rows:
        if _is_true(row, line):
            excluded.setdefault(row["vocabulary"], []).append(row["code"])
        else:
            key = (row["vocabulary"], *(row.get(name, "") for name in _DAYS))
            groups.setdefault(key, []).append((line, row["code"]))
    return [_block(key, found, excluded.get(key[0], [])) for key, found in groups.items()]


def _is_true(row: dict[str, str], line: int) -> bool:
    try:
        return _TRUTH[row.get("exclude", "false").lower()]
    except KeyError:
        raise ListFileError(line, "exclude is not true or false", "write true or false.") from None


def _block(key: tuple[str, ...], found: list[tuple[int, str]], excluded: list[str]) -> SourceCodes:
    vocabulary, *days = key
    try:
        first, last = (date.fromisoformat(day) if day else None for day in days)
        return SourceCodes(
            vocabulary=vocabulary,
            codes=tuple(code for _, code in found),
            exclude=tuple(excluded),
            valid_from=first,
            valid_to=last,
        )
    except (ValidationError, ValueError):
        what = "vocabulary, code or day is not written as such"
        fix = "write codes of letters and digits, and days as 2025-12-31."
        raise ListFileError(found[0][0], what, fix) from None


def _atlas(item: Mapping[str, Any]) -> ConceptItem:
    return ConceptItem(
        concept=item["concept"]["CONCEPT_ID"],
        include_descendants=bool(item.get("includeDescendants", False)),
        include_mapped=bool(item.get("includeMapped", False)),
        exclude=bool(item.get("isExcluded", False)),
    )
