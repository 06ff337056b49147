"""Commands that look at a home and take out of it: ledger, quarantine, export, status, doctor."""

from pathlib import Path
from typing import Annotated, Any

import typer

from flows.commands.app import HomeOption, JsonOption, app
from flows.commands.screen import out, print_json, show_rows, show_table
from tasks.core.paths import Home, home_from


@app.command()
def ledger(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List every file of every delivery: what came in, what was loaded, what was not and why."""
    from tasks.ingest.ledger import ledger_rows

    place = home_from(home)
    show_rows(ledger_rows(place, _site(place)), as_json, "Ledger")


@app.command()
def quarantine(
    delivery: Annotated[str | None, typer.Option(help="Only this delivery.")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List quarantined rows by place and code; their values stay in the restricted store."""
    from tasks.ingest.ledger import quarantine_rows

    show_rows(quarantine_rows(home_from(home), delivery), as_json, "Quarantine")


@app.command()
def export(
    table: Annotated[
        str,
        typer.Argument(
            help="A table of the lake, such as `person`; `omop-device` for inferences as OMOP."
        ),
    ],
    target: Annotated[
        Path, typer.Option("--out", help="Parquet file to write; a folder for `omop-device`.")
    ],
    snapshot: Annotated[int | None, typer.Option(min=1, help="Snapshot of the lake.")] = None,
    home: HomeOption = None,
) -> None:
    """Write one table of the lake to a Parquet file. It holds person rows: keep it restricted.

    `omop-device` writes device_exposure and measurement, made from device_inference.
    """
    from tasks.ingest.ledger import export_table
    from tasks.ingest.omop_device import export_omop_device

    place = home_from(home)
    if table == "omop-device":
        written = export_omop_device(place, _site(place), snapshot, target)
    else:
        written = {table: export_table(place, _site(place), table, snapshot, target)}
    for name, rows in written.items():
        out.print(f"{rows:,} rows of {name} written to {target}")


@app.command()
def status(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show the home: lake, deliveries in force and how fresh they are, published runs."""
    from flows.orders.status import status_of

    found = status_of(home_from(home))
    if as_json:
        print_json(found)
        return
    lake, deliveries = found["lake"], found["deliveries"]
    out.print(f"Home {found['home']}; lake at snapshot {lake['newest_snapshot']}")
    show_table("Deliveries in force", deliveries)
    show_table("Published", found["published"])
    show_table("Running", found["running"])


@app.command()
def doctor(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Check that this installation can work: packages, extensions, fonts, disk, settings."""
    from flows.orders.doctor import examine

    checks = examine(home_from(home))
    if as_json:
        print_json({"checks": checks})
    else:
        show_table("Doctor", checks)
    raise typer.Exit(10 if any(check["state"] == "fail" for check in checks) else 0)


def _site(home: Home) -> Any:
    from tasks.core.site import load_site

    return load_site(home)
