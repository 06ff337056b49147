"""Commands that the audit log answers for: what is opened, and whether the log is whole."""

from typing import Annotated

import typer

from flows.commands.app import HomeOption, JsonOption, StudyArgument, app, audit_app
from flows.commands.screen import out, print_json
from tasks.core.audit import first_broken_line
from tasks.core.errors import CausewayError
from tasks.core.paths import home_from


class AuditError(CausewayError):
    """The audit log is not what was written."""

    default_code = "E_AUDIT"


@app.command()
def unseal(
    study: StudyArgument,
    by: Annotated[str, typer.Option("--by", help="Who opens it; goes into the audit log.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; goes into the audit log.")],
    run: Annotated[
        str | None, typer.Option("--run", help="Run to open; the published one when absent.")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Open what a run has sealed, into the restricted store; the audit log notes who and why."""
    from flows.orders.sealing import open_sealed

    opened = open_sealed(home_from(home).prepare(), study, run, by, reason)
    if as_json:
        print_json(opened.as_json())
        return
    out.print(
        f"{opened.rows} rows of run {opened.run_id} (restricted): {opened.folder}", markup=False
    )


@audit_app.command("verify")
def audit_verify(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Check that no line of the audit log was changed, taken out or put in."""
    place = home_from(home)
    broken = first_broken_line(place)
    if broken is not None:
        what = f"line {broken} is not what was written"
        raise AuditError(str(place.audit), what, "bring the log back from a backup, and ask who.")
    file = place.audit / "log.jsonl"
    lines = file.read_text(encoding="utf-8").count("\n") if file.exists() else 0
    if as_json:
        print_json({"lines": lines, "whole": True})
    else:
        out.print(f"Audit log: {lines} lines, whole.")
