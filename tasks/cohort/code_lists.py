"""Code lists on the data of a study: what each holds, what it misses, and what it catches."""

from collections.abc import Iterable, Iterator
from functools import cache

import duckdb

from tasks.cohort.language.render import PLAIN_CODE
from tasks.core.domains import Domain, domains
from tasks.core.duck import quoted, single
from tasks.core.errors import Message
from tasks.core.spec import StudySpec
from tasks.core.spec.code_list_files import Members, members_of
from tasks.core.sql import build_table

SHOWN_IDS = 5


def resolve_code_lists(con: duckdb.DuckDBPyConnection, spec: StudySpec) -> None:
    """Make the tables of the concepts and codes that each list of a study stands for.

    Args:
        con: A workspace with the vocabulary tables of schema clean.
        spec: The study, with the text of its files.
    """
    held = held_by_lists(spec)
    concepts = [(name, item) for name, members in held for item in members.concepts]
    codes = [(name, code) for name, members in held for code in members.codes]
    named = {
        "code_list_ids": [name for name, _ in concepts],
        "concept_ids": [item.concept for _, item in concepts],
        "include_descendants": [bool(item.include_descendants) for _, item in concepts],
        "include_mapped": [item.include_mapped for _, item in concepts],
        "is_excluded": [item.exclude for _, item in concepts],
    }
    build_table(con, "cohort.code_list", named)
    build_table(con, "cohort.named_concept", named)
    build_table(
        con,
        "cohort.source_code",
        {
            "code_list_ids": [name for name, _ in codes],
            "vocabulary_ids": [code.vocabulary for _, code in codes],
            "codes": [code.code for _, code in codes],
            "are_prefixes": [code.is_prefix for _, code in codes],
            "valid_from": [code.valid_from for _, code in codes],
            "valid_to": [code.valid_to for _, code in codes],
        },
    )


def held_by_lists(spec: StudySpec) -> list[tuple[str, Members]]:
    """Return the members of every code list of a study, by its id."""
    return [(item.id, members_of(item, spec.files)) for item in spec.code_lists]


def vocabulary_warnings(con: duckdb.DuckDBPyConnection, spec: StudySpec) -> list[Message]:
    """Return what is doubtful about the code lists of a study on the vocabulary that is there.

    Args:
        con: A workspace in which the lists are resolved.
        spec: The study.
    """
    return [
        *_without_vocabulary(con, spec),
        *_odd_concepts(con, spec),
        *_empty_lists(con, spec),
    ]


def _without_vocabulary(con: duckdb.DuckDBPyConnection, spec: StudySpec) -> Iterator[Message]:
    held = held_by_lists(spec)
    wants = {
        "concept_ancestor": ("below", "include_descendants"),
        "concept_relationship": ("mapped to", "include_mapped"),
    }
    for table, (word, key) in wants.items():
        lists = [name for name, m in held if any(getattr(item, key) for item in m.concepts)]
        if lists and not _rows(con, f"clean.{table}"):
            what = f"no {table} was delivered: concepts {word} those listed are not found"
            fix = f"deliver {table} of the vocabulary, or list every concept."
            yield Message("W_NO_VOCABULARY", _place(spec, *lists), what, fix)


def _odd_concepts(con: duckdb.DuckDBPyConnection, spec: StudySpec) -> Iterator[Message]:
    if not _rows(con, "clean.concept"):
        return
    unknown = "not is_known and concept_id <> 0"
    for code, which, what, fix in (
        (
            "W_CONCEPT_UNKNOWN",
            unknown,
            "not in the vocabulary that was delivered",
            "correct the ids, or deliver the vocabulary that has them.",
        ),
        (
            "W_CONCEPT_NOT_STANDARD",
            "is_known and not is_standard",
            "no standard concepts: records are coded with the concepts that these map to",
            "list the standard concepts, or ask for `by: source_concept`.",
        ),
    ):
        query = (
            "select code_list_id, list(concept_id order by concept_id) from cohort.named_concept "  # noqa: S608 - conditions of our own
            f"where {which} group by code_list_id order by code_list_id"
        )
        for name, ids in con.execute(query).fetchall():
            yield Message(code, _place(spec, name), f"{_some(ids)}: {what}", fix)


def _empty_lists(con: duckdb.DuckDBPyConnection, spec: StudySpec) -> Iterator[Message]:
    query = (
        "select code_list_id from cohort.code_list union select code_list_id from "
        "cohort.source_code"
    )
    full = {name for (name,) in con.execute(query).fetchall()}
    for item in spec.code_lists:
        if item.id not in full:
            what = "nothing is left in the list: all that it names is excluded"
            fix = "exclude less, or remove the list."
            yield Message("W_LIST_EMPTY", _place(spec, item.id), what, fix)


def uncaught_lists(
    con: duckdb.DuckDBPyConnection, spec: StudySpec, tables: Iterable[str]
) -> list[Message]:
    """Return the lists of a study that no record of the tables it reads belongs to.

    Args:
        con: A workspace in which the lists are resolved.
        spec: The study.
        tables: Tables of schema clean that the study reads.
    """
    chosen = [domains()[name] for name in sorted(tables) if name in domains()]
    parts = [_caught(domain) for domain in chosen if domain.concept]
    caught = set[str]()
    if parts:
        caught = {name for (name,) in con.execute("\nunion\n".join(parts)).fetchall()}
    what = "no record belongs to the list: what looks for it finds nothing"
    fix = "look at `causeway study codes`; correct the list, or read its absence with care."
    return [
        Message("W_LIST_CATCHES_NOTHING", _place(spec, item.id), what, fix)
        for item in spec.code_lists
        if item.id not in caught
    ]


def _caught(domain: Domain) -> str:
    """Return the query of the lists that some record of a domain belongs to."""
    concepts = [c for c in (domain.concept, domain.source_concept) if c]
    parts = [
        "select distinct code_list.code_list_id "  # noqa: S608 - names of our own model
        f"from (select distinct {column} as concept_id from clean.{domain.name}) as recorded "
        "inner join cohort.code_list on recorded.concept_id = code_list.concept_id"
        for column in concepts
    ]
    if domain.source_value:
        code = f"upper(replace(trim({domain.source_value}), '.', ''))"
        parts.append(
            "select distinct source_code.code_list_id "  # noqa: S608 - names of our own model
            f"from (select distinct {code} as code from clean.{domain.name}) as recorded "
            "inner join cohort.source_code on starts_with(recorded.code, source_code.code) "
            "and (source_code.is_prefix or recorded.code = source_code.code)"
        )
    return "\nunion\n".join(parts)


def _place(spec: StudySpec, *lists: str) -> str:
    return f"{spec.study.id}: code list {_some(lists)}"


def _some(values: Iterable[object]) -> str:
    known = [str(value) for value in values]
    more = f" and {len(known) - SHOWN_IDS} more" if len(known) > SHOWN_IDS else ""
    return ", ".join(known[:SHOWN_IDS]) + more


def _rows(con: duckdb.DuckDBPyConnection, table: str) -> int:
    return int(str(single(con, f"select count(*) from (from {table} limit 1)")))  # noqa: S608 - our own name


@cache
def coded_domains() -> dict[str, Domain]:
    """Return the domains whose records carry both a concept and the code of the source."""
    return {n: d for n, d in domains().items() if d.concept and d.source_value}


def open_coded_records(con: duckdb.DuckDBPyConnection, tables: Iterable[str]) -> None:
    """Show the coded records of tables of schema clean as one view, `clean.coded_record`."""
    parts = [_coded(domain) for name, domain in coded_domains().items() if name in set(tables)]
    con.execute(
        "create or replace view clean.coded_record as " + "\nunion all\n".join(parts or [_NONE])
    )


_NONE = (
    "select null::varchar as site_id, null::bigint as person_id, null::varchar as table_name, "
    "null::varchar as record_number, null::date as start_date, null::bigint as concept_id, "
    "null::varchar as source_code where false"
)


def _coded(domain: Domain) -> str:
    """Return the select of the coded records of one table; ids of records repeat between sites."""
    row = domain.name
    key = f"{row}.person_id || '.' || {row}.{domain.key}"
    code = f"nullif({PLAIN_CODE.format(f'{row}.{domain.source_value}')}, '')"
    return (
        f"select {row}.site_id, {row}.person_id, {quoted(row)} as table_name, "  # noqa: S608 - names of our own
        f"{quoted(row)} || '.' || {key} as record_number, "
        f"{row}.{domain.start}::date as start_date, "
        f"{row}.{domain.concept} as concept_id, {code} as source_code from clean.{row}"
    )
