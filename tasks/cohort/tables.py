"""Registry tables of the lake as typed workspace tables: `cohort.source_<id>`, a row a row.

Nothing is dropped here. Beside each field stands `<field>__fault`, null where the value is usable
and else the reason: `missing`, `not_a_number`, `unknown_level` and so on. An analysis leaves out
the rows that have a fault in a field that it uses, and counts them by reason. What makes a table
unusable as a whole is an error: columns that are not there, two rows of one key, intervals of a
person that overlap, no rows, or any fault where the study says `missing: refuse`.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence

import duckdb

from tasks.core.duck import identifier, quoted, single
from tasks.core.errors import Message, NoDataError, SpecError, TableError
from tasks.core.spec import StudySpec
from tasks.core.spec.sources import AnalysisTable, TableSource
from tasks.core.spec.table_fields import TableField, all_fields, key_of

Connection = duckdb.DuckDBPyConnection

_TRUTH = {"1": 1, "true": 1, "t": 1, "yes": 1, "y": 1, "0": 0, "false": 0, "f": 0, "no": 0, "n": 0}
_WHOLE = r"([-+]?[0-9]+)\.0+"
_SHOWN = 30


def load_tables(con: Connection, spec: StudySpec) -> dict[str, int]:
    """Build `cohort.source_<id>` for every registry table of a study; return the rows of each.

    Args:
        con: The workspace, with the lake attached as `lake`.
        spec: The study.

    Raises:
        NoDataError: A table has not been delivered.
        SpecError: The study names columns that a table does not have; all are told.
        TableError: The rows of a table cannot be used as the study says.
    """
    con.execute("create schema if not exists cohort")
    return {source.id: _load(con, spec, source) for source in spec.tables}


def _load(con: Connection, spec: StudySpec, source: TableSource) -> int:
    fields = all_fields(source, tuple(a for a, table in spec.table_analyses if table is source))
    columns = _columns(con, source)
    _check_columns(spec, source, fields, columns)
    con.execute(table_query(source, fields, columns), {"na": list(source.na)})
    faults = [*_structure(con, source, fields), *_refused(con, source, fields)]
    if faults:
        raise TableError(faults)
    return int(str(single(con, f"select count(*) from {workspace_table(source)}")))  # noqa: S608


def workspace_table(source: TableSource) -> str:
    """Return the name of a source's workspace table."""
    return f"cohort.{identifier(f'source_{source.id}')}"


def _columns(con: Connection, source: TableSource) -> dict[str, str]:
    """Return the delivered columns by the form in which names are compared."""
    found = con.execute(
        "select column_name from information_schema.columns where table_catalog = 'lake' "
        "and table_schema = 'tables' and lower(table_name) = lower($table) "
        "order by ordinal_position",
        {"table": source.lake_table},
    ).fetchall()
    if not found:
        what = f"no delivery of table {source.table} of site {source.site_id} is in force"
        raise NoDataError(
            f"source {source.id}", what, "ingest one with `format: table`: `causeway ingest PATH`."
        )
    return {_folded(name): name for (name,) in found}


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).lower()


def _check_columns(
    spec: StudySpec, source: TableSource, fields: Iterable[TableField], columns: Mapping[str, str]
) -> None:
    wanted = dict.fromkeys(field.column for field in fields)
    absent = [name for name in wanted if _folded(name) not in columns]
    if absent:
        there = ", ".join(list(columns.values())[:_SHOWN])
        more = " …" if len(columns) > _SHOWN else ""
        where = f"{spec.study.id}: source {source.id}"
        raise SpecError(
            [
                Message(
                    "E_TABLE_COLUMN",
                    where,
                    f"table {source.table} of {source.site_id} has no column {name}",
                    f"name one of its columns: {there}{more}.",
                )
                for name in absent
            ]
        )


def table_query(
    source: TableSource, fields: Sequence[TableField], columns: Mapping[str, str]
) -> str:
    """Return the statement that makes the workspace table; takes the list `$na`."""
    names = list(dict.fromkeys(field.column for field in fields))
    places = {name: f"d{place}" for place, name in enumerate(names)}
    texts = ",\n        ".join(
        f"{_text(columns[_folded(name)])} as {places[name]}" for name in names
    )
    order = ", ".join(places.values())
    typed = ",\n        ".join(
        f"{_value(field, places[field.column])} as {identifier(field.name)},\n        "
        f"{places[field.column]} as {identifier(f'{field.name}__text')}"
        for field in fields
    )
    judged = ",\n    ".join(
        f"{identifier(field.name)},\n    {_fault(field)} as {identifier(f'{field.name}__fault')}"
        for field in fields
    )
    return (
        f"create or replace table {workspace_table(source)} as\n"
        f"with delivered as (\n    select\n        {texts},\n"
        f"    from lake.tables.{identifier(source.lake_table)}\n),\n"
        f"typed as (\n    select\n        row_number() over (order by {order}) as row_id,\n"
        f"        {typed},\n    from delivered\n)\n"
        f"select\n    row_id,\n    {judged},\nfrom typed\norder by row_id"
    )


def _text(column: str) -> str:
    """Return a value as trimmed text, null where it means `missing`; 1.0 and 1 are the same."""
    value = f"trim({identifier(column)}::varchar)"
    whole = f"regexp_replace({value}, '^{_WHOLE}$', '\\1')"
    is_na = f"list_contains($na, {value}) or list_contains($na, {whole})"
    return f"case when {is_na} then null else {whole} end"


def _plain(text: str) -> str:
    """Return a text of the study as `_text` would have it."""
    stripped = text.strip()
    match = re.fullmatch(_WHOLE, stripped)
    return match[1] if match else stripped


def _value(field: TableField, text: str) -> str:
    match field.type:
        case "label":
            return text
        case "number":
            number = f"try_cast({text} as double)"
            value = _scaled(field, number)
            read = f"case when isfinite({number}) then {value} end"
            never = f"when {text} is null then 'infinity'::double"
            return f"case {never} else {read} end" if field.never else read
        case "date":
            return f"try_cast({text} as date)"
        case "code":
            return _cases(text, [(_plain(given), str(code)) for given, code in field.codes])
        case "category":
            levels = [(_plain(level), quoted(level)) for level in field.levels]
            return _cases(text, levels)
        case "boolean":
            return _cases(f"lower({text})", [(word, str(value)) for word, value in _TRUTH.items()])


_FIRST_MOMENT = "1e-9"


def _scaled(field: TableField, number: str) -> str:
    """Return a number in the unit of its field; a time in billionths of a day."""
    value = number if field.factor == 1 else f"{number} * {field.factor!r}"
    value = f"round({value}, 9)" if field.is_time else value
    return (
        f"case when {value} = 0 then {_FIRST_MOMENT} else {value} end"
        if field.keeps_zero
        else value
    )


def _cases(text: str, meanings: Iterable[tuple[str, str]]) -> str:
    whens = " ".join(f"when {quoted(given)} then {meant}" for given, meant in meanings)
    return f"case {text} {whens} end"


_UNREADABLE = {
    "number": "not_a_number",
    "date": "not_a_date",
    "code": "unknown_code",
    "category": "unknown_level",
    "boolean": "not_boolean",
    "label": "missing",
}
_RULES = {
    "": (),
    "positive": (("not_positive", "{v} <= 0"),),
    "not_negative": (("negative", "{v} < 0"),),
    "count": (("negative", "{v} < 0"), ("not_whole", "{v} <> floor({v})")),
}


def _fault(field: TableField) -> str:
    value, text = identifier(field.name), identifier(f"{field.name}__text")
    cases = [] if field.never else [("missing", f"{text} is null")]
    cases.append((_UNREADABLE[field.type], f"{value} is null"))
    cases += [(reason, test.format(v=value)) for reason, test in _RULES[field.rule]]
    if field.after:
        cases.append(("not_after_start", f"{value} <= {identifier(field.after)}"))
    whens = " ".join(f"when {test} then {quoted(reason)}" for reason, test in cases)
    return f"case {whens} end"


def _structure(
    con: Connection, source: TableSource, fields: Sequence[TableField]
) -> Iterator[Message]:
    """Yield what is wrong with a table as a whole."""
    if not single(con, f"select count(*) from {workspace_table(source)}"):  # noqa: S608
        yield _about(source, "E_TABLE_EMPTY", "holds no rows", "deliver the table with its rows.")
    column_of = {field.name: field.column for field in fields}
    if (key := key_of(source)) and (rows := _rows_of_one_key(con, source, key)):
        named = ", ".join(column_of[name] for name in key)
        what = f"{rows:,} rows agree in {named}; one row each is needed"
        fix = "deliver one row for each, or give the roles start and stop, or another key."
        yield _about(source, "E_TABLE_DUPLICATE", what, fix)
    is_overlapped = isinstance(source, AnalysisTable) and source.has_intervals
    if is_overlapped and (rows := _overlapping(con, source)):
        named = f"{column_of['start_days']}, {column_of['stop_days']}"
        what = f"{rows:,} rows of columns {named} start before an earlier one of the person ends"
        fix = "deliver intervals of a person that do not overlap."
        yield _about(source, "E_TABLE_OVERLAP", what, fix)


def _rows_of_one_key(con: Connection, source: TableSource, key: Sequence[str]) -> int:
    names = ", ".join(map(identifier, key))
    filled = " and ".join(f"{identifier(name)} is not null" for name in key)
    query = (
        f"select coalesce(sum(n), 0) from (select count(*) as n from {workspace_table(source)} "  # noqa: S608
        f"where {filled} group by {names} having count(*) > 1)"
    )
    return int(str(single(con, query)))


def _overlapping(con: Connection, source: TableSource) -> int:
    person = "person_id, site" if getattr(source.roles, "site", None) else "person_id"
    query = (
        f"select count(*) from (select start_days, max(stop_days) over (partition by {person} "  # noqa: S608
        "order by start_days, stop_days, row_id rows between unbounded preceding and 1 preceding) "
        f"as before from {workspace_table(source)} where person_id is not null "
        "and start_days__fault is null and stop_days__fault is null) where start_days < before"
    )
    return int(str(single(con, query)))


def _refused(
    con: Connection, source: TableSource, fields: Sequence[TableField]
) -> Iterator[Message]:
    """Yield every fault of a value, where the study refuses tables that have any."""
    if source.missing != "refuse":
        return
    for field in fields:
        fault = identifier(f"{field.name}__fault")
        found = con.execute(
            f"select {fault}, count(*) from {workspace_table(source)} "  # noqa: S608
            f"where {fault} is not null group by 1 order by 1"
        ).fetchall()
        for reason, rows in found:
            what = f"column {field.column}: {rows:,} rows are {reason.replace('_', ' ')}"
            fix = "deliver the table complete, or write missing: complete_case."
            yield _about(source, "E_TABLE_ROWS", what, fix)


def _about(source: TableSource, code: str, what: str, fix: str) -> Message:
    return Message(code, f"source {source.id}: table {source.table} of {source.site_id}", what, fix)
