"""Section 3: which data, how fresh, what was wrong with them and what was done about it."""

from tasks.report import numbers
from tasks.report.blocks import (
    Block,
    Column,
    Details,
    Heading,
    Paragraph,
    Run,
    Runs,
    Section,
    Table,
    Tone,
    runs,
)
from tasks.report.context import Context, place
from tasks.report.model import Record
from tasks.report.sections import mapping

VERDICT_TONE: dict[str, Tone] = {"pass": "good", "pass_with_warnings": "warn", "blocked": "bad"}
SEVERITIES = ("critical", "error", "warning", "info")
SEVERITY_TONE: dict[str, Tone] = {"error": "bad", "critical": "bad", "warning": "warn"}


def section(context: Context) -> Section:
    """Return deliveries, row balance, and every failed check with its reason."""
    words = context.words
    blocks: list[Block] = [
        Paragraph(_summary(context)),
        deliveries(context),
        Heading(words("data.balance_heading")),
        Paragraph(words.line("data.balance_intro")),
        *row_balance(context),
        Heading(words("data.checks_heading")),
        *checks(context),
        *mapping.blocks(context),
    ]
    return Section("data", words("section.data"), tuple(blocks))


def _summary(context: Context) -> Runs:
    inputs = context.inputs
    sites = {delivery["site_id"] for delivery in inputs.deliveries}
    return context.words.line(
        "data.summary",
        deliveries=context.words.counted("count.deliveries", len(inputs.deliveries), "deliveries"),
        sites=context.words.counted("count.sites", len(sites), "deliveries"),
        cutoff=Run(inputs.document_date.isoformat(), "provenance/data_cutoff"),
        snapshot=Run(str(inputs.provenance.get("snapshot_id", "–")), "provenance/snapshot_id"),
    )


def deliveries(context: Context) -> Table:
    """Return the deliveries behind this report."""
    words = context.words
    verdicts = {_ids(record): record["verdict"] for record in context.inputs.quality}
    labels = "delivery site kind class cutoff vocabulary status verdict".split()
    widths = (1.2, 0.9, 0.9, 1.2, 1.1, 1.4, 1.1, 1.2)
    columns = tuple(
        Column(words(f"data.col_{label}"), width=width)
        for label, width in zip(labels, widths, strict=True)
    )
    rows = tuple(_delivery(context, record, verdicts) for record in context.inputs.deliveries)
    return Table("deliveries", words("data.deliveries"), columns, rows, small=True)


Ids = tuple[str, str]


def _ids(record: Record) -> Ids:
    """Name a delivery: two sites may use the same delivery id."""
    return str(record["site_id"]), str(record["delivery_id"])


def _has_many_sites(context: Context) -> bool:
    return len({quality["site_id"] for quality in context.inputs.quality}) > 1


def _delivery(context: Context, record: Record, verdicts: dict[Ids, str]) -> tuple[Runs, ...]:
    words = context.words
    verdict = verdicts.get(_ids(record), "")
    kind = f"{words.term('delivery_kind', record['kind'])}, {str(record['format']).upper()}"
    return (
        (Run(str(record["delivery_id"]), tone="code"),),
        runs(str(record["site_id"])),
        runs(kind),
        runs(words.term("data_class", record["data_class"])),
        (Run(str(record["data_cutoff"]), tone="date"),),
        runs(str(record.get("vocabulary_version") or numbers.DASH)),
        runs(words.term("delivery_status", record["status"])),
        (Run(words.term("verdict", verdict), tone=VERDICT_TONE.get(verdict, "")),),
    )


def row_balance(context: Context) -> list[Block]:
    """Return, for every file, where each of its rows went; of many sites, a line a site first."""
    words = context.words
    records = [
        (_ids(quality), file) for quality in context.inputs.quality for file in quality["files"]
    ]
    if not records:
        return [Paragraph(words.line("data.no_files"))]
    by_file = _file_table(context, records)
    if not _has_many_sites(context):
        return [by_file]
    opened = Details(words("data.open_balance", n=str(len(records))), (by_file,))
    return [_site_table(context, records), opened]


_BALANCE = ("rows_in", "rows_loaded", "rows_quarantined", "rows_deduplicated")
_BALANCE_LABELS = ("in", "loaded", "quarantined", "deduplicated")


def _file_table(context: Context, records: list[tuple[Ids, Record]]) -> Table:
    words, many = context.words, _has_many_sites(context)
    columns = (
        *((Column(words("data.col_site"), width=0.8),) if many else ()),
        Column(words("data.col_file"), width=2.2),
        *(
            Column(words(f"data.col_{name}"), "right", width=width)
            for name, width in zip(_BALANCE_LABELS, (1.0, 1.0, 1.1, 1.1), strict=True)
        ),
        Column(words("data.col_file_status"), width=1.6),
    )
    rows = tuple(
        (*((runs(ids[0]),) if many else ()), *_file(context, ids, file)) for ids, file in records
    )
    note = words.line("data.balance_note")
    return Table("row_balance", words("data.balance"), columns, rows, note, small=True)


def _file(context: Context, ids: Ids, file: Record) -> tuple[Runs, ...]:
    source = f"quality/{_path(ids)}/files/{file['file']}"
    counts = tuple(
        (context.cell(file[name], _state(file[name]), numbers.whole, place(source, column=name)),)
        for name in _BALANCE
    )
    status = context.words.term("file_status", file["status"])
    code = runs(" ", Run(str(file["code"]), tone="code")) if file.get("code") else ()
    name = runs(Run(str(file["file"]), tone="code"))
    return (name, *counts, runs(status, code))


def _path(ids: Ids) -> str:
    """Name a delivery as its file in the folder `quality` is named."""
    return ".".join(ids)


def _site_table(context: Context, records: list[tuple[Ids, Record]]) -> Table:
    """Return the sums of each site; withheld where any part of a sum is."""
    words = context.words
    columns = (
        Column(words("data.col_site"), width=1.4),
        Column(words("data.col_files"), "right"),
        *(Column(words(f"data.col_{name}"), "right") for name in _BALANCE_LABELS),
    )
    by_site: dict[str, list[Record]] = {}
    for (site_id, _), file in records:
        by_site.setdefault(site_id, []).append(file)
    rows = tuple(
        (
            runs(site_id),
            (Run(str(len(files)), place("quality", site=site_id, of="files")),),
            *(_sum(context, site_id, files, name) for name in _BALANCE),
        )
        for site_id, files in by_site.items()
    )
    note = words.line("data.balance_note")
    return Table("row_balance_sites", words("data.balance_by_site"), columns, rows, note)


def _sum(context: Context, site_id: str, files: list[Record], name: str) -> Runs:
    counts = [file[name] for file in files]
    total = None if None in counts else sum(counts)
    at = place("quality", site=site_id, of=name)
    return (context.cell(total, _state(total), numbers.whole, at),)


def _state(count: object) -> str:
    """A count that is not there was withheld; disclosure control takes nothing else away."""
    return "suppressed" if count is None else "ok"


def checks(context: Context) -> list[Block]:
    """Return how many checks ran, every one that failed, and all of them to open."""
    words = context.words
    records = [
        {**check, "delivery": _path(_ids(quality)), "site_id": quality["site_id"]}
        for quality in context.inputs.quality
        for check in quality["checks"]
    ]
    failed = [check for check in records if check["status"] in {"fail", "error"}]
    blocks: list[Block] = [Paragraph(_counts(context, records))]
    if failed:
        blocks.append(_failed_table(context, failed))
    if records:
        table = _all_table(context, records)
        blocks.append(Details(words("data.all_checks", n=str(len(records))), (table,)))
    return blocks


def _counts(context: Context, records: list[Record]) -> Runs:
    def count(*statuses: str) -> Run:
        return Run(numbers.whole(sum(r["status"] in statuses for r in records)), "quality")

    return context.words.line(
        "data.check_counts",
        total=Run(numbers.whole(len(records)), "quality"),
        passed=count("pass"),
        failed=count("fail", "error"),
        skipped=count("not_applicable"),
    )


def _gravest_first(check: Record) -> tuple[int, float, str]:
    severity, share = str(check["severity"]), check.get("share") or 0.0
    rank = SEVERITIES.index(severity) if severity in SEVERITIES else len(SEVERITIES)
    return rank, -share, str(check["check_id"])


def _failed_table(context: Context, failed: list[Record]) -> Table:
    words = context.words
    failed = sorted(failed, key=_gravest_first)
    columns = (
        Column(words("data.col_where"), width=2.0),
        Column(words("data.col_finding"), width=3.2),
        Column(words("data.col_affected"), "right", width=1.7),
        Column(words("data.col_severity"), width=1.5),
    )
    rows = tuple(
        (
            _where(context, check),
            _reason(context, check),
            affected(context, check),
            _severity(context, check),
        )
        for check in failed
    )
    return Table("failed_checks", words("data.failed"), columns, rows, small=True)


def _where(context: Context, check: Record) -> Runs:
    """Return table and column as a person would look for them, and the site where it is not one."""
    column = f".{check['column']}" if check.get("column") else ""
    name = Run(f"{str(check['table']).removeprefix('loadable.')}{column}", tone="code")
    return runs(f"{check['site_id']} · ", name) if _has_many_sites(context) else (name,)


def _reason(context: Context, check: Record) -> Runs:
    return runs(str(check.get(f"reason_{context.language}") or check["expectation"]))


def affected(context: Context, check: Record) -> Runs:
    """Return `2,649 of 5,343 (49.6%)`, each number with its source."""
    source = f"quality/{check['delivery']}/checks/{check['check_id']}"
    if check["status"] == "error":
        return (Run(context.words("data.check_error"), source, "bad"),)
    if check["status"] == "fail" and check.get("n_unexpected") is None:
        return (context.cell(None, "suppressed", numbers.whole, source),)
    if check.get("n_unexpected") is None or not check.get("n_rows"):
        return (Run(numbers.DASH, source, "muted"),)

    def number(column: str) -> Run:
        return context.cell(check[column], "ok", numbers.whole, place(source, column=column))

    share = check["n_unexpected"] / check["n_rows"]
    line = context.words.line("data.affected", part=number("n_unexpected"), whole=number("n_rows"))
    written = numbers.share(check["n_unexpected"], check["n_rows"])
    percent = Run(written, place(source, column="share"), exact=repr(share))
    return runs(line, " (", percent, ")")


def _severity(context: Context, check: Record) -> Runs:
    severity = str(check["severity"])
    word = Run(context.words.term("severity", severity), tone=SEVERITY_TONE.get(severity, ""))
    delivered = check.get("on") == "delivered"
    return runs(word, " · ", context.words("data.as_delivered")) if delivered else (word,)


def _all_table(context: Context, records: list[Record]) -> Table:
    words = context.words
    columns = (
        Column(words("data.col_check"), width=1.5),
        Column(words("data.col_where"), width=1.5),
        Column(words("data.col_expectation"), width=2),
        Column(words("data.col_affected"), "right", width=1.5),
        Column(words("data.col_result"), width=1),
    )
    rows = tuple(
        (
            (Run(str(check["check_id"]), tone="code"),),
            _where(context, check),
            runs(str(check["expectation"])),
            affected(context, check),
            runs(words.term("check_status", check["status"])),
        )
        for check in records
    )
    return Table("all_checks", words("data.all_checks_caption"), columns, rows, small=True)
