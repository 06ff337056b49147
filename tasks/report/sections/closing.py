"""Sections 10 to 12: diagnostics and gates, limits, and where every number comes from."""

from tasks.core.spec.gates import CEILINGS, SEALING
from tasks.report import numbers
from tasks.report.blocks import (
    Block,
    Bullets,
    Column,
    Facts,
    Heading,
    Paragraph,
    Run,
    Runs,
    Section,
    Table,
    Tone,
    runs,
)
from tasks.report.context import Context
from tasks.report.model import POPULATION_OF, Record

GATE_TONE: dict[str, Tone] = {
    "pass": "good",
    "miss": "bad",
    "not_evaluated": "warn",
    "waived": "warn",
}
IDENTITY = (
    "run_id spec_hash content_hash snapshot_id data_cutoff code_hash lock_hash python".split()
)


def diagnostics(context: Context) -> Section:
    """Return the verdicts of the gates, then the diagnostics behind them."""
    words = context.words
    blocks: list[Block] = []
    if context.inputs.gates:
        blocks += [Paragraph(words.line("gates.intro")), _gate_table(context), *_waivers(context)]
    else:
        blocks.append(Paragraph(words.line("gates.none")))
    blocks += _propensity(context)
    tests = context.find("test")
    if tests:
        blocks += [Heading(words("tests.heading")), _test_table(context, tests)]
    return Section("diagnostics", words("section.diagnostics"), tuple(blocks))


def _gate_table(context: Context) -> Table:
    words = context.words
    columns = (
        Column(words("gates.col_name"), width=3),
        Column(words("gates.col_value"), "right"),
        Column(words("gates.col_threshold"), "right"),
        Column(words("gates.col_verdict"), width=1.4),
        Column(words("gates.col_on_miss"), width=1.6),
    )
    rows = tuple(_gate(context, gate) for gate in context.inputs.gates)
    return Table("gates", words("gates.caption"), columns, rows)


def _gate(context: Context, gate: Record) -> tuple[Runs, ...]:
    words, name = context.words, str(gate["name"])
    verdict = str(gate["verdict"])
    is_floor = name not in CEILINGS
    threshold = f"{'≥' if is_floor else '≤'} {gate['threshold']:g}"
    value = Run(numbers.DASH, f"gates/{name}", "muted")
    if gate["value"] is not None:
        value = Run(_gate_number(gate["value"]), f"gates/{name}", exact=repr(gate["value"]))
    return (
        runs(_gate_name(context, gate)),
        (value,),
        runs(threshold),
        (Run(words.term("gate_verdict", verdict), tone=GATE_TONE.get(verdict, "")),),
        runs(words.term("on_miss", gate["on_miss"])),
    )


def _gate_name(context: Context, gate: Record) -> str:
    words, adjustment = context.words, gate.get("adjustment") or "none"
    name = words.term("gate", gate["name"])
    if gate.get("analyses"):
        name = f"{name} [{', '.join(gate['analyses'])}]"
    if adjustment == "none":
        return name
    return words("gate.with_adjustment", name=name, adjustment=words.term("adjustment", adjustment))


def _waivers(context: Context) -> list[Block]:
    """Say who waived a gate, when and why."""
    words = context.words
    waived = [
        Paragraph(
            words.line(
                "gates.waiver",
                gate=_gate_name(context, gate),
                by=gate["waiver"]["by"],
                date=gate["waiver"]["date"],
                reason=gate["waiver"]["reason"],
            )
        )
        for gate in context.inputs.gates
        if gate.get("waiver")
    ]
    return [*waived, *_told_all_the_same(context)]


def _told_all_the_same(context: Context) -> list[Block]:
    """Say which analyses may be told while others wait, and who decided that."""
    words = context.words
    return [
        Paragraph(
            words.line(
                "gates.waiver",
                gate=f"{words.term('gate', SEALING)} [{waiver.analysis}]",
                by=waiver.by,
                date=waiver.date.isoformat(),
                reason=waiver.reason,
            )
        )
        for waiver in context.inputs.spec.waivers
        if waiver.gate == SEALING
    ]


def _gate_number(value: float) -> str:
    return numbers.whole(value) if float(value).is_integer() else numbers.decimals(value, 3)


def _propensity(context: Context) -> list[Block]:
    words = context.words
    scores = [
        (words.term("diagnostic", name), context.with_interval(row, _three_places))
        for name in ("auc", "equipoise")
        for row in context.find(name)
    ]
    table = _population_table(context)
    if not scores and table is None:
        return []
    blocks: list[Block] = [Heading(words("diagnostics.heading"))]
    if scores:
        blocks.append(Facts(tuple(scores)))
    return [*blocks, table] if table is not None else blocks


def _population_table(context: Context) -> Table | None:
    """Return balance and effective sample size, one row a population."""
    words = context.words
    found = {row["population"] for row in context.find(("max_smd", "ess"))}
    used = [name for name in POPULATION_OF.values() if name in found]
    if not used:
        return None
    group = words("diagnostics.ess")
    columns = (
        Column(words("diagnostics.col_population"), width=2),
        Column(words("diagnostics.col_smd"), "right"),
        *(Column(name, "right", group) for name in context.arms.values()),
    )
    body = tuple(_population_row(context, name) for name in used)
    note = words.line("diagnostics.note")
    return Table("diagnostics_table", words("diagnostics.caption"), columns, body, note)


def _population_row(context: Context, population: str) -> tuple[Runs, ...]:
    smd = context.first("max_smd", population=population)
    sizes = [context.first("ess", population=population, arm=arm) for arm in context.arms]
    return (
        runs(context.words.term("population", population)),
        context.with_interval(smd, _three_places) if smd else runs(numbers.DASH),
        *(context.with_interval(row, _one_place) if row else runs(numbers.DASH) for row in sizes),
    )


def _one_place(value: float) -> str:
    return numbers.decimals(value, 1)


def _three_places(value: float) -> str:
    return numbers.decimals(value, 3)


def _test_table(context: Context, rows: list[Record]) -> Table:
    """Return tests beside the estimate they belong to: no p-value stands alone."""
    words = context.words
    columns = (
        Column(words("tests.col_test"), width=2.6),
        Column(words("tests.col_analysis"), width=1.5),
        Column(words("tests.col_population"), width=1.7),
        Column(words("tests.col_statistic"), "right", width=1.5),
        Column(words("tests.col_p"), "right", width=0.8),
        Column(words("tests.col_estimate"), "right", width=2),
    )
    body = tuple(_test(context, row) for row in rows)
    return Table(
        "tests", words("tests.caption"), columns, body, words.line("tests.note"), small=True
    )


def _test(context: Context, row: Record) -> tuple[Runs, ...]:
    words = context.words
    df = f" ({words('tests.df')} {numbers.days(row['df1'])})" if row["df1"] is not None else ""
    statistic = context.number(row, "statistic", numbers.decimals)
    return (
        runs(words.term("statistic", row["statistic_name"])),
        (Run(str(row["analysis_id"]), tone="code"),),
        runs(context.population_of(row)),
        runs(statistic, df if row["status"] == "ok" else ""),
        (context.number(row, "p_value", numbers.p_value),),
        _companion(context, row),
    )


def _companion(context: Context, row: Record) -> Runs:
    """Return the hazard ratio of the same analysis, else of the same population."""
    same = context.first("hazard_ratio", analysis_id=row["analysis_id"], status="ok")
    near = context.first(
        "hazard_ratio",
        population=row["population"],
        stratum_level=row.get("stratum_level"),
        status="ok",
    )
    estimate = same or near
    return context.with_interval(estimate, numbers.decimals) if estimate else runs(numbers.DASH)


def limits(context: Context) -> Section:
    """Return what the study itself says about its limits, then what this run adds."""
    words = context.words
    own = [runs(text.in_language(context.language)) for text in context.spec.study.limits]
    said = (*own, *_found(context)) or (words.line("limits.none"),)
    return Section("limits", words("section.limits"), (Bullets(said),))


def _found(context: Context) -> list[Runs]:
    words, out = context.words, []
    if any(a.adjustment != "none" for a in context.spec.analyses):
        out.append(words.line("limits.unmeasured"))
    checks = [check for q in context.inputs.quality for check in q["checks"]]
    failed = sum(check["status"] in {"fail", "error"} for check in checks)
    if failed:
        n = words.counted("count.checks", failed, "quality")
        out.append(words.line("limits.checks", checks=n))
    rows = [*context.rows, *context.table_rows]
    withheld = sum(row["status"] == "suppressed" for row in rows)
    if withheld:
        n = words.counted("count.estimates", withheld, "results")
        out.append(words.line("limits.withheld", estimates=n))
    if any(row["status"] == "blinded" for row in rows):
        out.append(words.line("limits.blinded"))
    missed = [g for g in context.inputs.gates if g["verdict"] not in {"pass", "waived"}]
    if missed:
        names = ", ".join(words.term("gate", gate["name"]) for gate in missed)
        out.append(words.line("limits.gates", names=names))
    return out


def provenance(context: Context) -> Section:
    """Return what is needed to make this report again, byte for byte."""
    words, known = context.words, context.inputs.provenance
    facts: list[tuple[str, Runs]] = [
        (words(f"provenance.{name}"), (Run(str(known[name]), f"provenance/{name}", "code"),))
        for name in IDENTITY
        if name in known
    ]
    deliveries = ", ".join(f"{d['site_id']}/{d['delivery_id']}" for d in context.inputs.deliveries)
    facts.append((words("provenance.deliveries"), (Run(deliveries or "–", tone="code"),)))
    packages = [
        f"{name.removeprefix('package ')} {version}"
        for name, version in sorted(known.items())
        if name.startswith("package ")
    ]
    if packages:
        facts.append((words("provenance.packages"), runs(", ".join(packages))))
    blocks: tuple[Block, ...] = (
        Paragraph(words.line("provenance.intro", run=Run(known.get("run_id", "–"), tone="code"))),
        Facts(tuple(facts)),
    )
    return Section("provenance", words("section.provenance"), blocks)
