"""Commands that look at a study: check, codes, explain, schema; and import of cohorts."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from flows.commands.app import HomeOption, JsonOption, StudyArgument, import_app, study_app
from flows.commands.screen import (
    message_json,
    out,
    print_json,
    progress,
    show_messages,
    show_table,
)
from tasks.core.paths import home_from

LOCKS = {
    "unlocked": "Not locked.",
    "locked": "Locked as it stands.",
    "changed": "Changed after its lock: runs are refused until it is locked anew.",
}


@study_app.command("check")
def study_check(study: StudyArgument, as_json: JsonOption = False) -> None:
    """Check a study file; every fault is shown with line, key and what to do."""
    from flows.orders.check import check
    from tasks.core.spec import study_file
    from tasks.core.spec.locks import read_locks, state_of

    checked = check(study)
    spec = checked.spec
    lock = state_of(spec, read_locks(study_file(study)))
    if as_json:
        messages = [message_json(message) for message in checked.warnings]
        found = {"study_id": spec.study.id, "spec_hash": spec.spec_hash, "lock": lock}
        print_json({**found, "messages": messages})
        return
    show_messages(tuple(checked.warnings))
    drawn = f", {checked.persons} drawn persons as expected" if checked.persons else ""
    out.print(f"{spec.study.id} is a valid study{drawn}. spec_hash {spec.spec_hash}. {LOCKS[lock]}")


@study_app.command("codes")
def study_codes(study: StudyArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show what each code list holds and catches in the lake; few persons are not told apart."""
    from flows.orders.codes import codes

    found = codes(home_from(home), study)
    if as_json:
        messages = [message_json(message) for message in found.messages]
        print_json({"lists": found.lists, "members": found.members, "messages": messages})
        return
    show_table("Code lists", found.lists)
    show_table("Caught", found.members)
    show_messages(tuple(found.messages))


@study_app.command("explain")
def study_explain(
    study: StudyArgument,
    person: Annotated[
        str | None, typer.Option(help="SITE:PERSON_ID as delivered: why in, or out.")
    ] = None,
    rule: Annotated[str | None, typer.Option(help="Id of a rule: who fails only this one.")] = None,
    home: HomeOption = None,
    snapshot: Annotated[int | None, typer.Option(min=1, help="Snapshot of the lake.")] = None,
    show: Annotated[
        bool, typer.Option("--show", help="Print the verdicts on a person here too.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Say why a person is in or out, or how many miss by one rule.

    What tells of a person (verdicts, days, codes) goes into a file of the restricted store; the
    verdicts are printed only when --show asks for them.
    """
    from flows.orders.explain import explain

    with progress(f"explain {study}"):
        explained = explain(home_from(home).prepare(), study, person, rule, snapshot)
    explained = explained if show or rule else replace(explained, lines=[])
    if as_json:
        print_json(explained.as_json())
        return
    for line in explained.lines:
        out.print(line, markup=False)
    out.print(f"Evidence (restricted): {explained.file}", markup=False)


@study_app.command("schema")
def study_schema_command() -> None:
    """Print the JSON Schema of a study."""
    from tasks.core.spec import study_schema

    sys.stdout.write(study_schema())


@import_app.command("circe")
def import_circe_command(
    file: Annotated[Path, typer.Argument(help="Cohort definition of ATLAS, as JSON.")],
    target: Annotated[
        Path | None, typer.Option("--out", help="New study file; printed when absent.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a study file from a cohort definition of ATLAS, in our own language where it can be."""
    from flows.orders.import_circe import import_circe

    imported = import_circe(file, target)
    if as_json:
        print_json(imported.as_json())
        return
    if target is None:
        sys.stdout.write(imported.text)
        return
    how = "in our own language, and as it is" if imported.is_native else "as it is"
    out.print(f"{target}: the cohort stands in it {how}.", markup=False)
    for reason in imported.kept:
        out.print(f"  no equal in our own language: {reason}", markup=False)
