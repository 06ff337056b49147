"""Commands that make data whose truth is known."""

import time
from pathlib import Path
from typing import Annotated

import typer

from flows.commands.app import JsonOption, simulate_app
from flows.commands.screen import out, print_json, progress, show_rows


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
