"""Resources as a whole: what repeats, what is held back, and the balance of their files.

A resource with a fault in any row that it would fill is held back from every table.
"""

# ruff: noqa: S608 - only names of the model and quoted names are formatted into SQL

from collections.abc import Sequence

import duckdb

from tasks.core.duck import identifier, quoted, single
from tasks.core.errors import LakeError
from tasks.ingest.fhir import LINE_BITS, SHAPES, ResourceFile, fhir_table
from tasks.ingest.inspection import Inspected
from tasks.ingest.lines import BadRows, quarantine_lines
from tasks.ingest.model import FileOutcome
from tasks.ingest.row_rules import StagedTable
from tasks.ingest.stage_file import balanced

Connection = duckdb.DuckDBPyConnection


def note_faults(con: Connection, table: StagedTable) -> None:
    """Make the faults of staged.<table> verdicts, so that its siblings see them."""
    con.execute(f"""
        insert into delivery.verdict
        select {quoted(table.name)}, _row, split_part(_fault, '/', 1), split_part(_fault, '/', 2)
        from staged.{table.name} where _fault is not null
    """)


def find_repeated_resources(con: Connection, resource: str, tables: Sequence[StagedTable]) -> None:
    """Judge resources of one id: the first of identical ones stays; others conflict, all of them.

    Only what is read of a resource counts, so that one which was sent again stays the same.
    """
    fields = ", ".join(map(identifier, ("id", *SHAPES[resource])))
    rows = " union all ".join(
        f"select _row, {quoted(table.name)} as table_name, {quoted(_key(table))} as column_name "
        f"from {table.sound}"
        for table in tables
    )
    con.execute(f"""
        insert into delivery.verdict
        with filled as ({rows}),
        repeated as (select id from {fhir_table(resource)} group by id having count(*) > 1),
        candidate as (
            select _row, id, to_json(row({fields}))::varchar as content
            from {fhir_table(resource)}
            semi join repeated using (id)
            semi join filled using (_row)
        ),
        judged as (
            select
                _row,
                case
                    when min(content) over same_id <> max(content) over same_id
                    then 'E_KEY_CONFLICT'
                    when _row > min(_row) over same_id then 'W_DUPLICATE_ROW'
                end as code,
            from candidate window same_id as (partition by id)
        )
        select distinct table_name, _row, code, column_name
        from judged join filled using (_row) where code is not null
    """)


def settle_resources(
    con: Connection, item: Inspected, file: ResourceFile, tables: Sequence[StagedTable]
) -> tuple[FileOutcome, BadRows]:
    """List the resources of one file that are not loaded, write its balance, and return both.

    Raises:
        LakeError: Some resource is neither loaded nor listed.
    """
    first, last = file.rows
    loaded = " union ".join(
        f"select _row from delivered.{table.name} "
        f"where _code is null and _row between {first} and {last}"
        for table in tables
    )
    names = ", ".join(quoted(table.name) for table in tables)
    con.execute(f"""
        create or replace temp table fault as
        with found as (
            select row, {{'place': 0, 'code': code, 'column_name': column_name}} as what
            from delivery.broken
            union all
            select row, {{
                'place': list_position([{names}], table_name)
                    + case when starts_with(code, 'E') then 0 else {len(tables)} end,
                'code': code,
                'column_name': nullif(column_name, '')
            }} from delivery.verdict where table_name in ({names})
        ),
        worst as (
            select row, min(what) as what from found
            where row between {first} and {last} group by row
        )
        select row - (row >> {LINE_BITS} << {LINE_BITS}) as line, what.code, what.column_name
        from worst anti join (select _row from ({loaded})) as kept on kept._row = row
    """)
    bad = quarantine_lines(con, file.text)
    n_loaded = int(str(single(con, f"select count(distinct _row) from ({loaded})")))
    if item.rows != n_loaded + bad.total:
        what = f"{item.rows:,} resources, {n_loaded:,} loaded, {bad.total:,} held back"
        raise LakeError(item.listed.name, what, "nothing was committed; report this as a fault.")
    return balanced(con, item, tables[0].name, bad), bad


def warnings_of_resources(
    con: Connection, file: ResourceFile, tables: Sequence[StagedTable]
) -> list[tuple[str, int]]:
    """Return how many values each 'CODE/column' of a tolerated spelling has, in good rows."""
    first, last = file.rows
    notes = " union all ".join(
        f"select unnest(string_split(_warned, ' ')) as note from staged.{table.name} "
        f"where _fault is null and _warned is not null and _row between {first} and {last}"
        for table in tables
    )
    return con.execute(
        f"select note, count(*) from ({notes}) group by note order by note"
    ).fetchall()


def _key(table: StagedTable) -> str:
    assert table.model is not None  # noqa: S101 - resources fill tables of the model
    return table.model.key[0]
