"""What the code lists of a study hold and catch on the lake that is here."""

from dataclasses import dataclass

import duckdb

from flows.orders.pinned import serving
from tasks.cohort.code_lists import (
    coded_domains,
    open_coded_records,
    resolve_code_lists,
    vocabulary_warnings,
)
from tasks.cohort.workspace import open_workspace
from tasks.core.disclosure import is_small, threshold
from tasks.core.duck import single
from tasks.core.errors import Message, UsageError
from tasks.core.lake import open_lake
from tasks.core.paths import Home
from tasks.core.site import load_site
from tasks.core.spec import StudySpec, load_study
from tasks.core.sql import build_table

Row = dict[str, object]
_COLUMNS = ("code_list", "table", "vocabulary", "member", "name", "records", "persons")


@dataclass(frozen=True, slots=True)
class Caught:
    """Records and persons by code list, table and member, and what is doubtful about the lists."""

    lists: list[Row]
    members: list[Row]
    messages: list[Message]


def codes(home: Home, study: str) -> Caught:
    """Resolve the code lists of a study on the newest snapshot and count what they catch.

    Of patients, counts of few persons are shown as `<k` and the others rounded to k, for lists and
    members overlap.

    Raises:
        UsageError: The study has no code lists, or no lake.
        CausewayError: The study is refused, or has no data.
    """
    spec, site = load_study(study), load_site(home)
    if spec.lake is None or not spec.code_lists:
        fix = "name a study with code lists and a source of kind lake."
        raise UsageError(spec.study.id, "has no code lists to look at", fix)
    with open_lake(home, site) as con:
        classes = [delivery["data_class"] for delivery in serving(con, spec)]
        tighter = spec.privacy.disclosure_threshold if spec.privacy else None
        k = threshold(site.disclosure_threshold, tighter, classes)
        open_workspace(con, spec.lake, coded_domains())
        resolve_code_lists(con, spec)
        open_coded_records(con, coded_domains())
        build_table(con, "cohort.caught")
        members = _members(con)
        return Caught(
            [_list(con, spec, item.id, k) for item in spec.code_lists],
            [_shown(row, k) for row in members],
            vocabulary_warnings(con, spec),
        )


def _members(con: duckdb.DuckDBPyConnection) -> list[Row]:
    found = con.execute(
        "select code_list_id, table_name, vocabulary_id, member, member_name, records, persons "
        "from cohort.caught order by code_list_id, records desc, table_name, member, vocabulary_id"
    ).fetchall()
    return [dict(zip(_COLUMNS, values, strict=True)) for values in found]


def _list(con: duckdb.DuckDBPyConnection, spec: StudySpec, name: str, k: int | None) -> Row:
    persons = _of(con, "cohort.caught", "coalesce(max(list_persons), 0)", name)
    shown: int | str = persons
    if k is not None and is_small(persons, k):
        shown = f"<{k}"
    elif k is not None:
        shown = _about(persons, k)
    text = spec.concepts_of(name).name
    return {
        "code_list": name,
        "name": text.en if text else name,
        "concepts": _of(con, "cohort.code_list", "count(*)", name),
        "source_codes": _of(con, "cohort.source_code", "count(*)", name),
        "persons": shown,
    }


def _of(con: duckdb.DuckDBPyConnection, table: str, what: str, name: str) -> int:
    query = f"select {what} from {table} where code_list_id = $name"  # noqa: S608 - our own names
    return int(str(single(con, query, {"name": name})))


def _about(persons: object, k: int) -> str:
    """Round a number of persons: lists and members overlap, and differences would tell."""
    return f"about {round(int(str(persons)) / k) * k}"


def _shown(row: Row, k: int | None) -> Row:
    if k is not None and is_small(row["persons"], k):
        return {**row, "records": "withheld", "persons": f"<{k}"}
    if k is not None:
        return {**row, "records": "withheld", "persons": _about(row["persons"], k)}
    return row
