"""Rules that need more than one row: duplicates, key conflicts, persons that are not there.

They work on the staged tables of one delivery and write what they find into
`delivery.verdict (table_name, row, code, column_name)`; a row gets one code.
"""

# ruff: noqa: S608 - only names of the model and quoted names are formatted into SQL

from collections.abc import Sequence

import duckdb

from tasks.core.duck import identifier, quoted, single
from tasks.core.omop import Table

Connection = duckdb.DuckDBPyConnection


def find_repeats(con: Connection, table: Table, loaded: Sequence[str]) -> None:
    """Judge rows of staged.<table> that share a key, or all their content where it has no key.

    Identical rows: the first stays, the others are W_DUPLICATE_ROW. Other content under one key:
    every row of the key is E_KEY_CONFLICT.

    Args:
        con: The stage, open for writing.
        table: The table of the model.
        loaded: Its columns that were delivered.
    """
    key = table.key if set(table.key) <= set(loaded) else ()
    same = _same(key, loaded)
    con.execute(f"""
        create or replace temp table repeated as
        select {same} as same from staged.{table.name} where _fault is null
        group by all having count(*) > 1
    """)
    if single(con, "select count(*) from repeated"):
        conflict = "min(content) over same_key <> max(content) over same_key" if key else "false"
        con.execute(_REPEATS.format(
            table=table.name, same=same, content=_content(loaded), conflict=conflict,
            column=quoted((key or tuple(loaded))[0]),
        ))  # fmt: skip


_REPEATS = """
    insert into delivery.verdict
    with candidate as (
        select *, {same} as same from staged.{table} where _fault is null
    ),
    shared as (
        select same, _row, {content} as content from candidate semi join repeated using (same)
    ),
    judged as (
        select
            _row,
            case
                when {conflict} then 'E_KEY_CONFLICT'
                when _row > min(_row) over same_content then 'W_DUPLICATE_ROW'
            end as code,
        from shared
        window
            same_key as (partition by same),
            same_content as (partition by same, content)
    )
    select '{table}', _row, code, {column} from judged where code is not null
"""


def find_orphans(con: Connection, table: Table) -> None:
    """Judge rows of staged.<table> whose person is not in `delivery.person` as E_ORPHAN."""
    con.execute(f"""
        insert into delivery.verdict
        select {quoted(table.name)}, _row, 'E_ORPHAN', 'person_id'
        from staged.{table.name} as rows_
        anti join delivery.person on person.person_id = rows_.person_id
        anti join delivery.verdict as v on v.table_name = {quoted(table.name)} and v.row = _row
        where _fault is null and rows_.person_id is not null
    """)


def _same(key: Sequence[str], loaded: Sequence[str]) -> str:
    """What two rows must share to be looked at: the key, else a hash of all their content."""
    if len(key) == 1:
        return identifier(key[0])
    fields = ", ".join(identifier(name) for name in key or loaded)
    return f"row({fields})" if key else f"hash(row({fields}))"


def _content(loaded: Sequence[str]) -> str:
    """One text that is the same for two rows exactly when their loaded values are."""
    return f"to_json(row({', '.join(identifier(name) for name in loaded)}))::varchar"
