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

from flows.work.refresh import RefreshOutcome
from flows.work.study import RunOutcome
from tasks.core.errors import CausewayError, Message
from tasks.core.results import read_results
from tasks.core.site import SiteSettings
from tasks.ingest.model import DeliveryOutcome

_SHOWN = ("hazard_ratio", "rmst_difference", "risk_difference", "rate_ratio")
_LANGUAGES = {"en": "English", "ko": "한국어"}
_FILES = {
    "report.en.html": "Report in English",
    "report.ko.html": "한국어 보고서",
    "report.en.pdf": "PDF in English",
    "report.ko.pdf": "한국어 PDF",
}
_MOST_FINDINGS = 40


def show_run(outcome: RunOutcome, site: SiteSettings) -> None:
    """Create the artifacts of one study run."""
    key = _key(outcome.study_id)
    if outcome.status == "published":
        for file in (f for f in outcome.reports if f.suffix == ".html"):
            language = file.suffixes[0].removeprefix(".")
            create_link_artifact(
                f"{_address(outcome, site)}/{file.name}",
                link_text=_FILES.get(file.name, file.name),
                key=f"{key}-report-{language}",
                description=f"Report of {outcome.study_id}, {_LANGUAGES.get(language, language)}",
            )
        estimates = key_estimates(outcome)
        create_table_artifact(estimates, key=f"{key}-estimates", description="Key estimates")
    gates = [
        {name: _rounded(gate[name]) for name in ("name", "verdict", "value", "threshold")}
        for gate in outcome.gates
    ]
    create_table_artifact(gates, key=f"{key}-gates", description="Gates and their verdicts")
    create_markdown_artifact(
        _summary(outcome, site), key=f"{key}-summary", description=_in_a_word(outcome)
    )


def show_delivery(outcome: DeliveryOutcome) -> None:
    """Create the artifact of one delivery: the row balance, what was found, what to do."""
    name = f"{outcome.site_id or 'unknown site'}/{outcome.delivery_id or 'unknown delivery'}"
    status = outcome.status.replace("_", " ")
    findings = [f"- `{m.code}` {_cell(m.message)}" for m in outcome.messages]
    more = len(findings) - _MOST_FINDINGS
    lines = [
        f"# Delivery {name}: {status}",
        f"Snapshot {outcome.snapshot_id}." if outcome.snapshot_id else "The lake is unchanged.",
        _files_table(outcome),
        "## Findings" if findings else "",
        "\n".join(findings[:_MOST_FINDINGS]),
        f"… and {more} more: `causeway quarantine` lists every row." if more > 0 else "",
        _next_step(outcome),
    ]
    create_markdown_artifact(
        "\n\n".join(line for line in lines if line),
        key=_key(f"delivery-{name}"),
        description=f"{name}: {status}",
    )


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
    lines = [
        "# Nightly refresh: " + ("needs attention" if failed_parts(outcome) else "all well"),
        "## Deliveries",
        _table(("delivery", "outcome", "codes"), came) if came else nothing,
        "## Studies",
        _table(("study", "outcome", "run"), ran) if ran else "_No study was run._",
        "## Data in force",
        _table(("site", "delivery", "data cut-off", "days since"), fresh)
        if fresh
        else "_The lake holds no data yet._",
        *([_told("## What failed", outcome.failures)] if outcome.failures else []),
    ]
    create_markdown_artifact("\n\n".join(lines), key="nightly-refresh", description="Last refresh")


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
    lines = [f"# {outcome.study_id}: {outcome.status}"]
    if outcome.status == "published":
        files = [file.name for file in outcome.reports]
        base = _address(outcome, site)
        links = [
            f"- [{_FILES.get(name, name)}]({base}/{name})" for name in sorted(files, key=_order)
        ]
        lines += ["## Read the report", "\n".join(links)]
    lines.append(f"Run `{outcome.run_id}` on snapshot {outcome.snapshot_id}.{known}")
    if outcome.messages:
        lines.append(_told("## Messages", outcome.messages))
    return "\n\n".join(lines)


def _in_a_word(outcome: RunOutcome) -> str:
    return "published before, unchanged" if outcome.was_known else outcome.status


def _told(title: str, messages: Iterable[Message]) -> str:
    """Markdown of messages: code, place, what was found and how to mend it."""
    lines = [f"- **{m.code}** {m.where}: {m.what}  \n  To fix: {m.fix}" for m in messages]
    return "\n\n".join([title, "\n".join(lines)])


def _files_table(outcome: DeliveryOutcome) -> str:
    head = ("file", "status", "rows in", "loaded", "quarantined", "deduplicated", "codes")
    rows = [
        (
            f.file,
            f.status,
            f"{f.rows_in:,}",
            f"{f.rows_loaded:,}",
            f"{f.rows_quarantined:,}",
            f"{f.rows_deduplicated:,}",
            ", ".join(f.codes),
        )
        for f in outcome.files
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


def _order(name: str) -> int:
    names = list(_FILES)
    return names.index(name) if name in names else len(names)


def _rounded(value: object) -> object:
    return float(f"{value:.6g}") if isinstance(value, float) else value
