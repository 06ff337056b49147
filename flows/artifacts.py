"""What people find in the Prefect UI after a run: verdicts, key numbers, links."""

import polars as pl
from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_table_artifact,
)

from flows.work.study import RunOutcome
from tasks.core.results import read_results
from tasks.core.site import SiteSettings
from tasks.ingest.model import DeliveryOutcome

_SHOWN = ("hazard_ratio", "rmst_difference", "risk_difference", "rate_ratio")


def show_run(outcome: RunOutcome, site: SiteSettings) -> None:
    """Create the artifacts of one study run."""
    key = outcome.study_id.replace("_", "-")
    gates: list[dict[str, object]] = [dict(gate) for gate in outcome.gates]
    create_table_artifact(gates, key=f"{key}-gates", description="Gates and their verdicts")
    if outcome.status == "published":
        base = f"{site.report_url}/published/{outcome.study_id}"
        for file in (f for f in outcome.reports if f.suffix == ".html"):
            language = file.suffixes[0].removeprefix(".")
            create_link_artifact(
                f"{base}/{file.name}", link_text=f"Report ({language})", key=f"{key}-{language}"
            )
        create_table_artifact(
            key_estimates(outcome), key=f"{key}-estimates", description="Key estimates"
        )
    create_markdown_artifact(_summary(outcome, site), key=f"{key}-summary")


def show_delivery(outcome: DeliveryOutcome) -> None:
    """Create the artifact of one delivery: the row balance and what was found."""
    lines = [
        f"# Delivery {outcome.delivery_id} of {outcome.site_id}: {outcome.status}",
        "",
        "| file | status | rows in | loaded | quarantined | deduplicated | codes |",
        "|---|---|---:|---:|---:|---:|---|",
        *(
            f"| {f.file} | {f.status} | {f.rows_in:,} | {f.rows_loaded:,} | "
            f"{f.rows_quarantined:,} | {f.rows_deduplicated:,} | {', '.join(f.codes)} |"
            for f in outcome.files
        ),
        "",
        *(f"- `{m.code}` {m.message}" for m in outcome.messages[:40]),
    ]
    key = f"delivery-{outcome.site_id or 'unknown'}".lower().replace("_", "-")
    create_markdown_artifact("\n".join(lines), key=key)


def key_estimates(outcome: RunOutcome) -> list[dict[str, object]]:
    """Return the contrasts of a published run, with interval, people and events."""
    shown = read_results(outcome.folder).filter(pl.col("estimate_name").is_in(_SHOWN))
    columns = (
        "analysis_id role population estimate_name estimate ci_low ci_high se_method n n_events "
        "status"
    ).split()
    return [
        {name: _rounded(value) for name, value in row.items()}
        for row in shown.select(columns).iter_rows(named=True)
    ]


def _summary(outcome: RunOutcome, site: SiteSettings) -> str:
    known = " It was published before; nothing was computed again." if outcome.was_known else ""
    lines = [
        f"# {outcome.study_id}: {outcome.status}",
        f"Run `{outcome.run_id}` on snapshot {outcome.snapshot_id}.{known}",
        *(f"- **{m.code}** {m.where}: {m.what}  \n  To fix: {m.fix}" for m in outcome.messages),
    ]
    if outcome.status == "published":
        base = f"{site.report_url}/published/{outcome.study_id}"
        links = [f"[{file.name}]({base}/{file.name})" for file in outcome.reports]
        lines.append(f"Next: read {', '.join(links)}.")
    return "\n\n".join(lines)


def _rounded(value: object) -> object:
    return float(f"{value:.6g}") if isinstance(value, float) else value
