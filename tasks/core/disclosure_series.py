"""Series of periods and sites: what few persons or events stand behind.

- A number of a period or a site is withheld where few persons or events of it are behind it.
- Of a roll-out the effects by time of adoption, and by time since, are shown all or none: one that
  is withheld could be worked out from the others and their average.
"""

from tasks.core.disclosure_cells import is_small
from tasks.core.results import CELLS, withheld

Row = dict[str, object]


def hide_small_periods(rows: list[Row], k: int) -> list[Row]:
    """Withhold what would tell of few persons or events of a period or a site."""
    open_ = {row["analysis_id"] for row in rows if _is_part_of_roll_out(row) and _is_of_few(row, k)}
    return [
        withheld(row)
        if _is_of_few(row, k) or (row["analysis_id"] in open_ and _is_part_of_roll_out(row))
        else row
        for row in rows
    ]


def _is_of_few(row: Row, k: int) -> bool:
    cells = row.get(CELLS)
    return isinstance(cells, tuple) and any(is_small(abs(count), k) for count in cells)


def _is_part_of_roll_out(row: Row) -> bool:
    """Whether a row is of sites that adopt at one time, or of one time since adoption."""
    if row.get("method") != "difference_in_differences":
        return False
    return row.get("at") is not None or str(row.get("term")).startswith("adopted")
