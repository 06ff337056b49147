"""Commands that do the work: demo, ingest, run, refresh, serve."""

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from flows.commands.app import HomeOption, JsonOption, StudyArgument, app
from flows.commands.screen import (
    err,
    message_json,
    out,
    print_json,
    progress,
    show_delivery,
    show_messages,
    show_run,
)
from tasks.core.errors import CausewayError
from tasks.core.parts import Part
from tasks.core.paths import home_from


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
def serve(
    home: HomeOption = None,
    port: Annotated[int, typer.Option(help="Port of the Prefect server.")] = 4200,
    report_port: Annotated[int, typer.Option(help="Port of the report site.")] = 4280,
) -> None:
    """Start server, worker, deployments and report site on this machine; Ctrl-C ends them."""
    from flows.serve import serve as start

    start(home_from(home).prepare(), port, report_port)
