"""Rules that need more than one row: duplicates, key conflicts, persons that are not there.

They work on the staged tables of one delivery and write what they find into
`delivery.verdict (table_name, row, code, column_name)`; of a row, an error counts first.
"""

# ruff: noqa: S608 - only names of the model and quoted names are formatted into SQL

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from tasks.core.duck import identifier, quoted, single
from tasks.core.omop import Table

Connection = duckdb.DuckDBPyConnection


@dataclass(frozen=True, slots=True)
class StagedTable:
    """A table of the stage.

    `model` is None for a registry table. `columns` were delivered. `siblings` are the tables that
    the same resources fill: a resource with a fault in one of them is held back from all.
    """

    name: str
    model: Table | None
    columns: tuple[str, ...]
    siblings: tuple[str, ...] = ()

    @property
    def verdicts(self) -> str:
        """SQL of the verdicts on its rows, one a row: an error of a sibling is one of the row."""
        names = ", ".join(map(quoted, self.siblings or (self.name,)))
        return (
            "(select row, min(code) as code from delivery.verdict "
            f"where table_name = {quoted(self.name)} "
            f"or (table_name in ({names}) and starts_with(code, 'E')) group by row)"
        )

    @property
    def sound(self) -> str:
        """SQL of its rows that have no error so far."""
        return (
            f"(select * from staged.{identifier(self.name)} "
            f"anti join (from {self.verdicts} where starts_with(code, 'E')) as v on v.row = _row "
            "where _fault is null)"
        )


def find_repeats(con: Connection, table: StagedTable) -> None:
    """Judge rows of staged.<table> that share a key, or all their content where it has no key.

    Identical rows: the first stays, the others are W_DUPLICATE_ROW. Other content under one key:
    every row of the key is E_KEY_CONFLICT; so are two rows that one resource has under one key.
    """
    assert table.model is not None  # noqa: S101 - a registry table has no rules
    key = table.model.key if set(table.model.key) <= set(table.columns) else ()
    same = _same(key, table.columns)
    con.execute(f"""
        create or replace temp table repeated as
        select {same} as same from {table.sound} group by all having count(*) > 1
    """)
    if single(con, "select count(*) from repeated"):
        conflict = "min(content) over same_key <> max(content) over same_key" if key else "false"
        con.execute(_REPEATS.format(
            table=table.name, sound=table.sound, same=same, content=_content(table.columns),
            conflict=conflict, column=quoted((key or table.columns)[0]),
        ))  # fmt: skip


_REPEATS = """
    insert into delivery.verdict
    with candidate as (
        select *, {same} as same from {sound}
    ),
    shared as (
        select same, _row, {content} as content from candidate semi join repeated using (same)
    ),
    judged as (
        select
            _row,
            case
                when {conflict} or count(*) over same_row > 1 then 'E_KEY_CONFLICT'
                when _row > min(_row) over same_content then 'W_DUPLICATE_ROW'
            end as code,
        from shared
        window
            same_key as (partition by same),
            same_row as (partition by same, _row),
            same_content as (partition by same, content)
    )
    select '{table}', _row, code, {column} from judged where code is not null
"""


def find_orphans(con: Connection, table: StagedTable) -> None:
    """Judge rows of staged.<table> whose person is not in `delivery.person` as E_ORPHAN."""
    con.execute(f"""
        insert into delivery.verdict
        select {quoted(table.name)}, _row, 'E_ORPHAN', 'person_id'
        from staged.{table.name} as rows_
        anti join delivery.person on person.person_id = rows_.person_id
        anti join {table.verdicts} as v on v.row = _row
        where _fault is null and rows_.person_id is not null
    """)


def _same(key: Sequence[str], loaded: Sequence[str]) -> str:
    """What two rows must share to be looked at: the key, else a hash of all their content."""
    if len(key) == 1:
        return identifier(key[0])
    if key:  # named fields, because a table cannot hold others
        return f"struct_pack({', '.join(f'{identifier(k)} := {identifier(k)}' for k in key)})"
    return f"hash(row({', '.join(map(identifier, loaded))}))"


def _content(loaded: Sequence[str]) -> str:
    """One text that is the same for two rows exactly when their loaded values are."""
    return f"to_json(row({', '.join(identifier(name) for name in loaded)}))::varchar"
