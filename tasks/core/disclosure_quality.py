"""Quality verdicts and balances of files: counts of few rows, and names of files."""

from tasks.core.disclosure_cells import is_small, whole

Row = dict[str, object]
_BALANCE_OF_FILE = ("rows_in", "rows_loaded", "rows_quarantined", "rows_deduplicated")


def release_quality(quality: list[Row], k: int | None) -> list[Row]:
    """Withhold counts of few rows in quality verdicts and row balances, and names of files.

    Where a part of a file's balance is withheld, every count of that table is: the size of a table
    before and after tells the part between. A file is named by its table, for a site may write
    anything into a file name.

    Args:
        quality: One entry a delivery, with `checks` (n_rows, n_unexpected, share) and `files`
            (rows_in, rows_loaded, rows_quarantined, rows_deduplicated).
        k: Smallest count that may be shown; None when nothing need be withheld.
    """
    return quality if k is None else [_mask_quality(entry, k) for entry in quality]


def _mask_quality(entry: Row, k: int) -> Row:
    files = [mask_file(file, k) for file in _entries(entry["files"])]
    hidden = {file["table_name"] for file in files if file["rows_in"] is None}
    return {
        **entry,
        "checks": [_mask_check(check, hidden, k) for check in _entries(entry["checks"])],
        "files": [{**file, "file": file["table_name"] or "-"} for file in files],
    }


def mask_file(file: Row, k: int) -> Row:
    """Withhold the balance of a file in which any part is of few rows."""
    if any(is_small(file[name], k) for name in _BALANCE_OF_FILE):
        return {**file, **dict.fromkeys(_BALANCE_OF_FILE)}
    return file


def _mask_check(check: Row, hidden: set[object], k: int) -> Row:
    failed, rows = check["n_unexpected"], check["n_rows"]
    table = str(check["table"]).rsplit(".", 1)[-1]
    few = is_small(rows, k) or is_small(failed, k)
    if few or is_small(whole(rows) - whole(failed), k) or table in hidden:
        return {**check, "n_rows": None, "n_unexpected": None, "share": None}
    return check


def _entries(value: object) -> list[Row]:
    return list(value) if isinstance(value, list) else []
