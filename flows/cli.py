"""The command line: the same orders of work as the flows, with exit codes that programs can use."""

import json
import logging
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, NoReturn

import duckdb
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from typer._click.exceptions import UsageError

from tasks.core.errors import CausewayError, Message
from tasks.core.parts import Part
from tasks.core.paths import Home, home_from

app = typer.Typer(
    help="Real-world evidence for medical devices: from hospital extracts to a report.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
study_app = typer.Typer(help="Look at study files.", no_args_is_help=True)
app.add_typer(study_app, name="study")
simulate_app = typer.Typer(help="Make data whose truth is known.", no_args_is_help=True)
app.add_typer(simulate_app, name="simulate")
import_app = typer.Typer(help="Take over what other tools wrote.", no_args_is_help=True)
app.add_typer(import_app, name="import")

WIDTH = None if sys.stdout.isatty() else 160
out = Console(highlight=False, width=WIDTH)
err = Console(stderr=True, highlight=False, soft_wrap=True)

HomeOption = Annotated[
    Path | None, typer.Option("--home", help="Working home; $CAUSEWAY_HOME or data/home if absent.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document, nothing else.")]
LOCKS = {
    "unlocked": "Not locked.",
    "locked": "Locked as it stands.",
    "changed": "Changed after its lock: runs are refused until it is locked anew.",
}
StudyArgument = Annotated[str, typer.Argument(help="Id of a study, or the path of its file.")]


def main() -> None:
    """Run the command line; every error that was foreseen is shown without a traceback."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except CausewayError as exc:
        _fail(exc.messages, exc.exit_code)
    except UsageError as exc:
        exc.show()
        _fail((Message("E_USAGE", "command line", exc.format_message(), "see --help."),), 2, False)
    except (KeyboardInterrupt, typer.Abort):
        _fail((Message("E_INTERRUPTED", "command line", "interrupted", "start it again."),), 130)
    except OSError as exc:
        fix = "check that the folder exists, that you may write it, and that the disk has room."
        _fail((Message("E_FAILED", str(exc.filename), str(exc.strerror), fix),), 10)
    except duckdb.Error as exc:  # its text may hold a row
        what = f"the database stopped with {type(exc).__name__}"
        _fail((Message("E_FAILED", "database", what, "see `causeway doctor`."),), 10)


def _fail(messages: tuple[Message, ...], code: int, told: bool = True) -> NoReturn:
    """Say what went wrong, in JSON too when that was asked for, and end."""
    if "--json" in sys.argv:
        print_json({"status": "failed", "messages": [message_json(m) for m in messages]})
    if told:
        show_messages(messages)
    sys.exit(code)


@app.command()
def demo(
    home: HomeOption = None,
    study: Annotated[
        list[str] | None, typer.Option(help="Only the demonstration of this study.")
    ] = None,
) -> None:
    """Run the demonstrations, from delivery to report: OHDSI's GiBleed, a simulated consortium."""
    from flows.orders.demo import demo as run_demo

    started, place = time.monotonic(), home_from(home)
    with progress("demonstration"):
        outcome = run_demo(place, study or ())
    for taken in outcome.taken:
        for delivery in taken.deliveries:
            show_delivery(delivery)
        if taken.deliveries:
            out.print(f"Note: {taken.note}", markup=False)
        else:
            out.print("The deliveries of this demonstration are in the lake already.")
    for run in outcome.runs:
        show_run(run)
    out.print(f"Done in {time.monotonic() - started:.1f} seconds. Home: {place.root}")
    raise typer.Exit(outcome.exit_code)


@app.command()
def ingest(
    paths: Annotated[list[Path], typer.Argument(help="Delivery folders, or archives of them.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check, read and commit deliveries; bad rows are quarantined, bad deliveries rejected."""
    from flows.orders.delivery import deliver, named
    from flows.orders.simulate import deliveries_among

    place = home_from(home).prepare()
    outcomes, failures = [], []
    deliveries = deliveries_among(paths)
    for path in (path for path in paths if path not in deliveries):
        err.print(f"{path} is no delivery: passed over", markup=False)
    for path in deliveries:
        try:
            with progress(f"ingest {path.name}"):
                outcomes.append((path, deliver(place, path)))
        except CausewayError as exc:
            failures.append(exc)
    messages = [message for failure in failures for message in failure.messages]
    if as_json:
        document: dict[str, object] = {"deliveries": [outcome.as_json() for _, outcome in outcomes]}
        if messages:
            document["messages"] = [message_json(message) for message in messages]
        print_json(document)
    else:
        for path, outcome in outcomes:
            show_delivery(named(outcome, path))
    show_messages(tuple(messages))
    codes = [outcome.exit_code for _, outcome in outcomes] + [fault.exit_code for fault in failures]
    raise typer.Exit(max(codes))


@app.command()
def run(
    study: StudyArgument,
    home: HomeOption = None,
    snapshot: Annotated[
        int | None, typer.Option(min=1, help="Snapshot of the lake; the newest when absent.")
    ] = None,
    part: Annotated[
        Part | None,
        typer.Option(help="Run this part alone, beside what is published of the study."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run one study and publish its report; a run that is published already is left as it is."""
    place = home_from(home).prepare()
    if os.environ.get("PREFECT_API_URL"):
        from flows.remote import run_through_prefect as run_it
    else:
        from flows.orders.study import run_here as run_it
    with progress(f"run {study}"):
        outcome = run_it(place, study, snapshot, part)
    if as_json:
        print_json(outcome.as_json())
    else:
        show_run(outcome)
    raise typer.Exit(outcome.exit_code)


@app.command()
def refresh(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Do what the nightly flow does: ingest what waits, then run every study."""
    from flows.orders.refresh import refresh as run_refresh

    with progress("refresh"):
        outcome = run_refresh(home_from(home).prepare())
    if as_json:
        document = {
            "deliveries": [delivery.as_json() for delivery in outcome.deliveries],
            "runs": [study.as_json() for study in outcome.runs],
            "messages": [message_json(message) for message in outcome.failures],
        }
        print_json(document)
    else:
        for delivery in outcome.deliveries:
            show_delivery(delivery)
        for study in outcome.runs:
            show_run(study)
        for message in outcome.waiting:
            out.print(f"Study {message.where} waits: {message.what}", markup=False)
        show_messages(tuple(outcome.failures))
    raise typer.Exit(outcome.exit_code)


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
    _table("Deliveries in force", deliveries)
    _table("Published", found["published"])
    _table("Running", found["running"])


@app.command()
def doctor(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Check that this installation can work: packages, extensions, fonts, disk, settings."""
    from flows.orders.doctor import examine

    checks = examine(home_from(home))
    if as_json:
        print_json({"checks": checks})
    else:
        _table("Doctor", checks)
    raise typer.Exit(10 if any(check["state"] == "fail" for check in checks) else 0)


@app.command()
def serve(
    home: HomeOption = None,
    port: Annotated[int, typer.Option(help="Port of the Prefect server.")] = 4200,
    report_port: Annotated[int, typer.Option(help="Port of the report site.")] = 4280,
) -> None:
    """Start server, worker, deployments and report site on this machine; Ctrl-C ends them."""
    from flows.serve import serve as start

    start(home_from(home).prepare(), port, report_port)


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
    _table("Code lists", found.lists)
    _table("Caught", found.members)
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


@simulate_app.command("consortium")
def simulate_consortium(
    target: Annotated[Path, typer.Option("--out", help="New folder for the deliveries.")],
    persons: Annotated[int, typer.Option(min=1, help="Persons of all hospitals.")] = 20_000,
    sites: Annotated[int, typer.Option(min=1, help="Number of hospitals.")] = 6,
    seed: Annotated[int, typer.Option(min=0, help="The same seed, the same bytes.")] = 1,
    scenario: Annotated[str, typer.Option(help="What is planted; see `scenarios`.")] = "consortium",
    form: Annotated[
        str | None,
        typer.Option("--format", help="csv, cp949, parquet or fhir for all; else one each."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write the deliveries of hospitals that do not exist, and the planted truth beside them."""
    from flows.orders.simulate import simulate

    started = time.monotonic()
    with progress("simulate"):
        made = simulate(target, persons, sites, seed, scenario, form)
    if as_json:
        print_json(made.as_json())
        return
    out.print(
        f"{made.rows:,} rows of {made.persons:,} simulated persons in {len(made.deliveries)} "
        f"deliveries, {made.defects:,} planted defects, in "
        f"{time.monotonic() - started:.1f} seconds."
    )
    for folder in made.deliveries:
        out.print(f"  {folder}", markup=False)
    out.print(f"Truth: {made.truth}. Defects: {made.defects_file}", markup=False)
    out.print(f"Next: causeway ingest {target}/*; causeway run ai_cxr_triage", markup=False)


@simulate_app.command("scenarios")
def simulate_scenarios(as_json: JsonOption = False) -> None:
    """List the scenarios and what each plants."""
    from tasks.simulate.scenario import load_scenario, scenario_names

    plans = [load_scenario(name) for name in scenario_names()]
    rows: list[dict[str, object]] = [
        {
            "scenario": plan.scenario,
            "title": plan.title.en,
            "planted": " ".join(text.en for text in plan.planted),
        }
        for plan in plans
    ]
    show_rows(rows, as_json, "Scenarios")


@contextmanager
def progress(title: str) -> Iterator[None]:
    """Name each step on standard error while it runs."""
    log = logging.getLogger("causeway")
    handler = _Steps(title)
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    try:
        with handler.display:
            yield
    finally:
        log.removeHandler(handler)


class _Steps(logging.Handler):
    """Turns the log of steps into one line with a spinner."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self.title, self.display = title, err.status(title)

    def emit(self, record: logging.LogRecord) -> None:
        self.display.update(f"{self.title}: {record.getMessage()}")


def print_json(document: object) -> None:
    """Print one JSON document on standard output."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2, default=str) + "\n")


def message_json(message: Message) -> dict[str, str]:
    """Return a message as the contract of `--json` shows it."""
    return {
        "code": message.code,
        "where": message.where,
        "what": message.what,
        "fix": message.fix,
    }


def show_messages(messages: tuple[Message, ...]) -> None:
    """Print messages on standard error."""
    for message in messages:
        err.print(str(message), markup=False)


def show_delivery(outcome: Any) -> None:
    """Print what became of a delivery."""
    out.print(
        f"Delivery {outcome.delivery_id} of {outcome.site_id}: {outcome.status}"
        + (f", snapshot {outcome.snapshot_id}" if outcome.snapshot_id else ""),
        markup=False,
    )
    _table(
        "Files",
        [
            {
                "file": file.file,
                "status": file.status,
                "rows in": f"{file.rows_in:,}",
                "loaded": f"{file.rows_loaded:,}",
                "quarantined": f"{file.rows_quarantined:,}",
                "deduplicated": f"{file.rows_deduplicated:,}",
                "codes": ", ".join(file.codes),
            }
            for file in outcome.files
        ],
    )
    for line in _in_brief(outcome.messages):
        err.print(line, markup=False)


def _in_brief(findings: Sequence[Any]) -> list[str]:
    """One line for each code and file: where many rows are named, the line that counts them."""
    groups: dict[object, list[Any]] = {}
    for finding in findings:
        groups.setdefault((finding.code, finding.file) if finding.file else finding, []).append(
            finding
        )
    return [
        next((f.message for f in group if len(group) > 1 and f.line is None), None)
        or group[0].message + (f" [and {len(group) - 1} more rows]" if len(group) > 1 else "")
        for group in groups.values()
    ]


def show_run(outcome: Any) -> None:
    """Print how a run ended and where its report is."""
    known = " (published before; nothing to do)" if outcome.was_known else ""
    out.print(f"Study {outcome.study_id}: {outcome.status}{known}, run {outcome.run_id}")
    for gate in outcome.gates:
        out.print(
            f"  gate {gate['name']} ({gate.get('adjustment', 'none')}): {gate['verdict']} "
            f"(value {_number(gate['value'])}, threshold {_number(gate['threshold'])})"
        )
    if outcome.status == "published":
        for file in outcome.reports:
            out.print(f"  {file}", markup=False)
    show_messages(tuple(outcome.messages))


def show_rows(rows: list[dict[str, object]], as_json: bool, title: str) -> None:
    """Print rows as JSON or as a table."""
    if as_json:
        print_json(rows)
    else:
        _table(title, rows)


def _table(title: str, rows: list[dict[str, Any]]) -> None:
    if not rows:
        out.print(f"{title}: none")
        return
    table = Table(title=title, title_justify="left")
    for name in rows[0]:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(_cell(name, value) for name, value in row.items()))
    out.print(table)


def _cell(name: str, value: object) -> str:
    """Show a value; a checksum by its first 12 digits."""
    text = "" if value is None else escape(str(value))
    return text[:12] if name.endswith("sha256") else text


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else "-"


def _site(home: Home) -> Any:
    from tasks.core.site import load_site

    return load_site(home)


from flows import audit_commands, study_commands  # noqa: E402, F401 - their commands join
