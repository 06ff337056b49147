"""Section 1: the answer in plain words, no stronger than the interval allows."""

from tasks.report import numbers
from tasks.report.blocks import Finding, Run, Runs, Section, Tile, runs
from tasks.report.context import Context, counted_first, locator, place
from tasks.report.model import Record
from tasks.report.sections.estimates import hazard_rows

RATIOS = ("hazard_ratio", "subdistribution_hazard_ratio", "rate_ratio", "risk_ratio", "odds_ratio")
DIFFERENCES = ("rmst_difference", "risk_difference", "rate_difference")


def section(context: Context) -> Section:
    """Return the key finding."""
    rows = primary_rows(context)
    primary = rows[0] if rows else None
    statements = tuple(line for row in rows for line in statement(context, row))
    statements = statements or (context.words.line("key.none"),)
    finding = Finding(statements, cautions(context, primary), tiles(context, primary))
    return Section("key-finding", context.words("section.key"), (finding,))


def primary_rows(context: Context) -> list[Record]:
    """Return the estimate of each pre-specified primary analysis, in the order of the study."""
    found = []
    for analysis in context.spec.analyses:
        estimand = context.spec.estimand_of(analysis) if analysis.role == "primary" else None
        if estimand is None:
            continue
        here = {"analysis_id": analysis.id, "role": "primary"}
        measure = estimand.summary_measure
        rows = context.find(measure, **here) or context.find((*RATIOS, *DIFFERENCES), **here)
        found += counted_first(rows)[:1]
    return found


def statement(context: Context, row: Record) -> tuple[Runs, ...]:
    """Say what the interval allows: nothing when it holds the null."""
    words = context.words
    if row["status"] != "ok" or row["ci_low"] is None or row["ci_high"] is None:
        state = words(f"state_sentence.{row['status']}")
        return (words.line("key.not_shown", state=state),)
    if row["estimate_name"] != "hazard_ratio":
        return (_plain_statement(context, row),)
    return (_hazard_statement(context, row), runs(_population(context, row), _before(context, row)))


def _hazard_statement(context: Context, row: Record) -> Runs:
    low, high = row["ci_low"], row["ci_high"]
    key = "key.open" if low <= 1 <= high else "key.higher" if low > 1 else "key.lower"
    return context.words.line(
        key,
        **context.names,
        hr=context.number(row, "estimate", numbers.decimals, "strong"),
        level=context.level(row),
        ci=context.interval(row, numbers.decimals),
        low_pct=_away_from_one(row, "ci_low"),
        high_pct=_away_from_one(row, "ci_high"),
    )


def _away_from_one(row: Record, column: str) -> Run:
    """Write a bound of a ratio as its distance from 1, e.g. 0.81 as 19%."""
    text = numbers.percent(abs(row[column] - 1), 0)
    return Run(text, locator(row, column), exact=f"|{row[column]!r} - 1|")


def _plain_statement(context: Context, row: Record) -> Runs:
    null = 1 if row["estimate_name"] in RATIOS else 0
    key = "key.other_open" if row["ci_low"] <= null <= row["ci_high"] else "key.other_excludes"
    return context.words.line(
        key,
        **context.names,
        name=context.words.term("estimate", row["estimate_name"]),
        value=context.with_interval(row, numbers.decimals),
        null=str(null),
    )


def _population(context: Context, row: Record) -> Runs:
    return context.words.line(
        "key.population",
        population=context.words.term("population", row["population"]),
        n=context.number(row, "n", numbers.whole),
        events=context.number(row, "n_events", numbers.whole),
    )


def _before(context: Context, row: Record) -> Runs:
    """Name the estimate before adjustment: it shows what the adjustment did."""
    crude = [r for r in hazard_rows(context) if r["population"] == "crude" and r["status"] == "ok"]
    if row["population"] == "crude" or not crude:
        return ()
    value = context.with_interval(crude[0], numbers.decimals)
    return runs(" ", context.words.line("key.before", hr=value))


def cautions(context: Context, row: Record | None) -> tuple[Runs, ...]:
    """Return what a reader must know before using the finding."""
    words, out = context.words, []
    if context.inputs.is_synthetic:
        out.append(words.line("key.synthetic"))
    if row is not None and row["status"] == "ok" and row["ci_low"] is not None:
        null = 1 if row["estimate_name"] in RATIOS else 0
        is_open = row["ci_low"] <= null <= row["ci_high"]
        out.append(words.line("key.open_caution" if is_open else "key.causal_caution"))
    if context.inputs.gates:
        out.append(_gates(context))
    return tuple(out)


def _gates(context: Context) -> Runs:
    gates = context.inputs.gates
    missed = sum(gate["verdict"] not in {"pass", "waived"} for gate in gates)
    waived = sum(gate["verdict"] == "waived" for gate in gates)
    total = Run(numbers.whole(len(gates)), "gates")
    if waived and not missed:
        some = Run(str(waived), "gates")
        return context.words.line("key.gates_waived", waived=some, total=total)
    if not missed:
        return context.words.line("key.gates_passed", total=total)
    return context.words.line("key.gates_missed", missed=Run(str(missed), "gates"), total=total)


def tiles(context: Context, row: Record | None) -> tuple[Tile, ...]:
    """Return the few numbers that a reader takes away."""
    out = [_effect_tile(context, row)] if row is not None else []
    out += [tile for arm in context.arms if (tile := _arm_tile(context, arm))]
    words = context.words
    cutoff = Run(context.inputs.document_date.isoformat(), place("provenance/data_cutoff"))
    below = words.line("tile.snapshot", snapshot=context.inputs.provenance.get("snapshot_id", "–"))
    return (*out, Tile(words("tile.cutoff"), (cutoff,), below))


def _effect_tile(context: Context, row: Record) -> Tile:
    name = context.words.term("estimate", row["estimate_name"])
    interval = context.interval(row, numbers.decimals)
    below = runs(context.level(row), " ", context.words("ci.short"), " ", interval)
    value = context.number(row, "estimate", numbers.decimals)
    return Tile(name, (value,), below if interval else ())


def _arm_tile(context: Context, arm: str) -> Tile | None:
    row = context.first("count", analysis_id="follow_up", arm=arm, population="crude")
    if row is None:
        return None
    events = context.number(row, "n_events", numbers.whole)
    below = context.words.line("tile.events", events=events)
    return Tile(context.arm_name(arm), (context.number(row, "n", numbers.whole),), below)
