"""What people find in the Prefect UI after a run: verdicts, key numbers, links, the next step."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import polars as pl
from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_table_artifact,
)
from prefect.logging import get_run_logger

from flows.orders.outcome import RunOutcome
from flows.orders.refresh import RefreshOutcome
from tasks.core.disclosure_quality import mask_file
from tasks.core.errors import CausewayError, Message
from tasks.core.results import read_results
from tasks.core.site import SiteSettings
from tasks.core.spec import load_study
from tasks.ingest.model import DeliveryOutcome

_SHOWN = {
    "hazard_ratio": "hazard ratio",
    "rate_ratio": "rate ratio",
    "risk_difference": "risk difference",
    "rmst_difference": "RMST difference",
}
_ROLES = ("primary", "secondary", "sensitivity", "exploratory", "replication", "descriptive")
_FILES = {
    "report.en.html": "Report in English",
    "report.ko.html": "한국어 보고서",
    "report.en.pdf": "PDF in English",
    "report.ko.pdf": "한국어 PDF",
}
_MOST_FINDINGS = 40


def show_run(outcome: RunOutcome, site: SiteSettings) -> None:
    """Create the artifacts of one study run: a summary, its tables, a link to each report."""
    key = _key(outcome.study_id)
    gates, estimates = gate_table(outcome), key_estimates(outcome)
    for file in (f for f in outcome.reports if f.suffix == ".html"):
        address = f"{_address(outcome, site)}/{file.name}"
        text, language = _FILES.get(file.name, file.name), file.suffixes[0].removeprefix(".")
        create_link_artifact(
            address, link_text=text, key=f"{key}-report-{language}", description=text
        )
        get_run_logger().info("%s: %s", text, address)
    if estimates:
        create_table_artifact(estimates, key=f"{key}-estimates", description="Key estimates")
    create_table_artifact(gates, key=f"{key}-gates", description="Gates and their verdicts")
    create_markdown_artifact(
        _summary(outcome, site, estimates, gates),
        key=f"{key}-summary",
        description=f"{_in_a_word(outcome)}: start here",
    )


def show_delivery(outcome: DeliveryOutcome, site: SiteSettings) -> None:
    """Create the artifact of one delivery: the row balance, what was found, what to do."""
    name = f"{outcome.site_id}/{outcome.delivery_id}"
    create_markdown_artifact(
        delivery_page(outcome, site),
        key=_key(f"delivery-{name}"),
        description=f"{name}: {outcome.status.replace('_', ' ')}",
    )


def delivery_page(outcome: DeliveryOutcome, site: SiteSettings) -> str:
    """Return what is shown of one delivery.

    Of patient data, counts of few rows are withheld and findings are named without their counts
    and lines: artifacts leave the restricted store.
    """
    k = site.disclosure_threshold if outcome.is_patient_data else None
    name = f"{outcome.site_id}/{outcome.delivery_id}"
    status = outcome.status.replace("_", " ")
    findings = _findings(outcome, k)
    more = len(findings) - _MOST_FINDINGS
    lines = [
        f"# Delivery {name}: {status}",
        f"Snapshot {outcome.snapshot_id}." if outcome.snapshot_id else "The lake is unchanged.",
        _files_table(outcome, k),
        "## Findings" if findings else "",
        "\n".join(findings[:_MOST_FINDINGS]),
        f"… and {more} more: `causeway quarantine` lists every row." if more > 0 else "",
        _next_step(outcome),
    ]
    return "\n\n".join(line for line in lines if line)


def show_refresh(outcome: RefreshOutcome, deliveries: Sequence[Mapping[str, object]]) -> None:
    """Create the summary of a nightly refresh: what came in, what was run, how fresh the data are.

    Args:
        outcome: What the refresh did.
        deliveries: The deliveries in force, as `causeway status` shows them.
    """
    came = [
        (f"{d.site_id}/{d.delivery_id}", d.status.replace("_", " "), ", ".join(d.codes))
        for d in outcome.deliveries
    ]
    ran = [(r.study_id, _in_a_word(r), r.run_id) for r in outcome.runs]
    fresh = [
        (d["site_id"], d["delivery_id"], d["data_cutoff"], d["days_since_cutoff"])
        for d in deliveries
    ]
    nothing = "_Nothing was waiting in the inbox._"
    verdict = "needs attention" if failed_parts(outcome) else "all well"
    lines = [
        f"# Nightly refresh: {verdict}",
        "## Deliveries",
        _table(("delivery", "outcome", "codes"), came) if came else nothing,
        "## Studies",
        _table(("study", "outcome", "run"), ran) if ran else "_No study was run._",
        *(f"- {m.where} waits: {m.what}" for m in outcome.waiting),
        "## Data in force",
        _table(("site", "delivery", "data cut-off", "days since"), fresh)
        if fresh
        else "_The lake holds no data yet._",
        *([_told("## What failed", outcome.failures)] if outcome.failures else []),
    ]
    create_markdown_artifact(
        "\n\n".join(lines), key="nightly-refresh", description=f"{verdict}: start here"
    )


def failed_parts(outcome: RefreshOutcome) -> list[str]:
    """Return one line for each delivery and study of a refresh that did not go well."""
    deliveries = [
        f"delivery {d.site_id}/{d.delivery_id} {d.status} ({', '.join(d.codes)})"
        for d in outcome.deliveries
        if d.exit_code
    ]
    studies = [
        f"study {r.study_id} {r.status} ({', '.join(m.what for m in r.messages)})"
        for r in outcome.runs
        if r.exit_code
    ]
    return [*deliveries, *studies, *(f"{m.where}: {m.what}" for m in outcome.failures)]


@contextmanager
def failure_shown(name: str) -> Iterator[None]:
    """Show what stopped a run and what to do as an artifact; the error goes on."""
    try:
        yield
    except CausewayError as exc:
        text = _told(f"# {name}: not run", exc.messages)
        create_markdown_artifact(text, key=f"{_key(name)}-summary", description="Not run")
        raise


def key_estimates(outcome: RunOutcome) -> list[dict[str, object]]:
    """Return the contrasts of a published run for reading, the primary analysis first."""
    if outcome.status != "published":
        return []
    shown = read_results(outcome.folder).filter(pl.col("estimate_name").is_in(list(_SHOWN)))
    rows = sorted(shown.iter_rows(named=True), key=lambda row: _ROLES.index(row["role"]))
    return [
        {
            "analysis": _analysis(row),
            "estimate": _estimate(row),
            "measure": _measure(row),
            "people": row["n"],
            "events": row["n_events"],
        }
        for row in rows
    ]


def gate_table(outcome: RunOutcome) -> list[dict[str, object]]:
    """Return the gates of a run for reading."""
    return [
        {
            "gate": gate["name"],
            "verdict": gate["verdict"],
            "value": _number(gate["value"]),
            "threshold": _number(gate["threshold"]),
        }
        for gate in outcome.gates
    ]


def _analysis(row: Mapping[str, object]) -> str:
    name, role = str(row["analysis_id"]), str(row["role"])
    return name if name == role else f"{name} ({role})"


def _measure(row: Mapping[str, object]) -> str:
    """What an estimate is: measure, time, population and kind of standard error."""
    at = f" at {_number(row['at'])} days" if row["at_kind"] == "time_days" else ""
    method = f", {row['se_method']}" if row["se_method"] else ""
    text = f"{_SHOWN[str(row['estimate_name'])]}{at}, {row['population']}{method}"
    return text.replace("_", " ")


def _estimate(row: Mapping[str, object]) -> str:
    """An estimate with its interval, or why there is none."""
    if row["estimate"] is None:
        return str(row["status"]).replace("_", " ")
    bounds = ""
    if isinstance(level := row["ci_level"], float) and row["ci_low"] is not None:
        bounds = f" ({level:.0%} CI {_number(row['ci_low'])} to {_number(row['ci_high'])})"
    return _number(row["estimate"]) + bounds


def _summary(
    outcome: RunOutcome,
    site: SiteSettings,
    estimates: list[dict[str, object]],
    gates: list[dict[str, object]],
) -> str:
    known = " It was published before; nothing was computed again." if outcome.was_known else ""
    base = _address(outcome, site)
    names = [name for name in _FILES if outcome.folder / name in outcome.reports]
    lines = [
        f"# {load_study(outcome.study_id).study.title.en}: {outcome.status}",
        " · ".join(f"[{_FILES[name]}]({base}/{name})" for name in names),
        f"`{outcome.study_id}`, run `{outcome.run_id}`, snapshot {outcome.snapshot_id}.{known}",
        _told("## Messages", outcome.messages) if outcome.messages else "",
        _rows("## Key estimates", estimates),
        _rows("## Gates", gates),
    ]
    return "\n\n".join(line for line in lines if line)


def _rows(title: str, rows: list[dict[str, object]]) -> str:
    """Markdown of a titled table; nothing without rows."""
    return f"{title}\n\n{_table(list(rows[0]), [list(r.values()) for r in rows])}" if rows else ""


def _in_a_word(outcome: RunOutcome) -> str:
    return "published before, unchanged" if outcome.was_known else outcome.status


def _told(title: str, messages: Iterable[Message]) -> str:
    """Markdown of messages: code, place, what was found and how to mend it."""
    lines = [f"- **{m.code}** {m.where}: {m.what}  \n  To fix: {m.fix}" for m in messages]
    return "\n\n".join([title, "\n".join(lines)])


def _findings(outcome: DeliveryOutcome, k: int | None) -> list[str]:
    """One line a finding; without places and counts where few rows could show."""
    if k is None:
        return [
            f"- **{m.code}** {_cell(m.message.removeprefix(m.code).strip())}"
            for m in outcome.messages
        ]
    places = {(m.code, m.file or "", m.column or "") for m in outcome.messages}
    return [
        f"- **{code}** {_cell(file)} {_cell(column)}".rstrip()
        for code, file, column in sorted(places)
    ]


def _files_table(outcome: DeliveryOutcome, k: int | None) -> str:
    head = ("file", "status", "rows in", "loaded", "quarantined", "deduplicated", "codes")
    counts = ("rows_in", "rows_loaded", "rows_quarantined", "rows_deduplicated")
    files = [file.as_json() for file in outcome.files]
    shown = files if k is None else [mask_file(file, k) for file in files]
    rows = [
        (
            file["file"],
            file["status"],
            *("withheld" if file[name] is None else f"{file[name]:,}" for name in counts),
            ", ".join(of.codes),
        )
        for file, of in zip(shown, outcome.files, strict=True)
    ]
    return _table(head, rows) if rows else ""


def _next_step(outcome: DeliveryOutcome) -> str:
    if outcome.exit_code:
        return "**Next:** mend what is found above at the source, then send the delivery again."
    if outcome.status == "noop":
        return "**Next:** nothing to do; this delivery is in the lake already."
    return "**Next:** start `run-study`, or wait for the nightly refresh."


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(word) for word in line) + " |" for line in lines)


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def _address(outcome: RunOutcome, site: SiteSettings) -> str:
    """Address of the run's own folder: a link stays true when a later run is published."""
    base = os.environ.get("CAUSEWAY_REPORT_URL") or site.report_url
    return f"{base}/runs/{outcome.study_id}/{outcome.run_id}"


def _key(text: str) -> str:
    """A key that Prefect accepts: lower-case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _number(value: object) -> str:
    """A number for reading: four significant digits, and what is 0 to six decimals is 0."""
    if not isinstance(value, int | float):
        return "–"
    return f"{round(value, 6):.4g}" if abs(value) < 1000 else f"{value:,.0f}"
