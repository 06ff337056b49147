"""The rows that were not loaded: where they stand and why, never what they hold."""

# ruff: noqa: S608 - only names of the model and quoted names are formatted into SQL

import os
from pathlib import Path

from tasks.core.duck import duck, quoted
from tasks.core.paths import Home
from tasks.ingest.stage import Staged
from tasks.ingest.turn import private_folder

COLUMNS = ("delivery_id", "site_id", "file", "line", "column", "code", "row_sha256")


def quarantine_file(home: Home, site_id: str, delivery_id: str) -> Path:
    """Return where the bad rows of a delivery are listed."""
    return home.restricted / "quarantine" / site_id / f"{delivery_id}.parquet"


def write_quarantine(home: Home, staged: Staged) -> None:
    """List the rows of a staged delivery that will not be loaded; none: no list."""
    assert staged.manifest is not None  # noqa: S101 - whatever was staged has one
    assert staged.stage_file is not None  # noqa: S101
    target = quarantine_file(home, staged.manifest.site_id, staged.manifest.delivery_id)
    private_folder(target.parent)
    draft = staged.work / "quarantine.parquet"
    with duck(staged.stage_file, read_only=True) as con:
        found = con.execute(
            f"""
            copy (
                select {quoted(staged.manifest.delivery_id)} as delivery_id,
                    {quoted(staged.manifest.site_id)} as site_id, *
                from delivery.quarantine order by all
            ) to {quoted(draft)} (format parquet)
            """
        ).fetchone()
    if found and found[0]:
        os.replace(draft, target)  # noqa: PTH105 - atomic
    else:
        target.unlink(missing_ok=True)
