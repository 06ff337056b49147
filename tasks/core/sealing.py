"""Which numbers of a run stay sealed: all that tell an outcome by arm, until its gates are passed.

What is sealed is more than the analysis that waits. Events, rates and curves of the same persons
and the same outcome would tell what it found, so that they wait with it, whatever they declare
themselves; so do contrasts that are adjusted otherwise, replications too. A replication goes on
that holds no arms of the sealed outcome against one another, with what it says of both together;
any other only by a waiver of `sealing`, with name, day and reason.

In place of the sealed rows stands one row an analysis with status `blinded`, made from the study
alone: even that a number could not be estimated, or on how many days a curve steps, would tell.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tasks.core.results import result_row
from tasks.core.spec import Analysis, StudySpec
from tasks.core.spec.gates import SEALING
from tasks.core.spec.sources import TableSource
from tasks.core.spec.table_fields import arm_columns, columns_compared, outcome_columns

Row = dict[str, object]
_POPULATION_OF_NONE = "crude"
_WITHOUT_OUTCOME = ("attrition", "balance", "cohorts", "mapping", "propensity")
"""Ids of descriptions that tell of nobody's outcome."""
_BASELINE = ("table_one", "missingness")
_DIAGNOSTICS = (
    "smd", "max_smd", "variance_ratio", "ks_statistic", "ess", "equipoise", "ease", "mdrr",
)  # fmt: skip
_CONTROLS = "negative_controls"
_OF_COVARIATES = ("missing_fraction",)
"""Estimate names whose `n_events` are no events of the outcome."""
_IDENTITY = (
    "analysis_id",
    "role",
    "estimate_name",
    "method",
    "population",
    "target",
    "comparator",
    "arm",
    "outcome",
)
LAKE = ""
"""The source of analyses of cohorts; a registry table goes by its id."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """What stays sealed, and why.

    Args:
        why: The reason, by the id of each analysis that waits.
        fractions: Share of the planned events that is seen, by the id of the analysis.
    """

    why: Mapping[str, str] = field(default_factory=dict)
    fractions: Mapping[str, float] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether anything is sealed."""
        return bool(self.why)

    def as_list(self) -> list[dict[str, str]]:
        """Return what waits and why, for manifests."""
        return [{"analysis_id": name, "why": why} for name, why in sorted(self.why.items())]


def sealed_by(
    spec: StudySpec, gates: Iterable[Mapping[str, object]], data_cutoff: str, rows: Sequence[Row]
) -> Sealed:
    """Return which analyses may not be told yet.

    Args:
        spec: The study.
        gates: Verdicts, each with the `analyses` that it binds.
        data_cutoff: Day to which the data reach.
        rows: All rows of results, for the events of looks that are planned.
    """
    why: dict[str, str] = {}
    for gate in gates:
        if gate["verdict"] not in {"pass", "waived"}:
            said = f"gate {gate['name']} ({gate['adjustment']}): {gate['verdict']}"
            for name in _names(gate.get("analyses")):
                why[name] = "; ".join(filter(None, (why.get(name), said)))
    fractions = {}
    for analysis in spec.analyses:
        if analysis.planned is None:
            continue
        events = _events(rows, analysis)
        if (fraction := analysis.planned.fraction_of(events)) is not None:
            fractions[analysis.id] = fraction
        if not analysis.planned.is_reached(data_cutoff, events):
            said = "the planned look is not reached"
            why[analysis.id] = "; ".join(filter(None, (why.get(analysis.id), said)))
    return Sealed(why, fractions)


def split(spec: StudySpec, rows: Sequence[Row], sealed: Sealed) -> tuple[list[Row], list[Row]]:
    """Return the rows that may be told, with blinded ones for the others; and the sealed ones."""
    told_rows = [_with_fraction(row, sealed) for row in rows]
    if not sealed:
        return told_rows, []
    scopes = _scopes(spec, sealed)
    hidden = [_is_sealed(spec, row, sealed, scopes) for row in told_rows]
    shown = [row for row, is_hidden in zip(told_rows, hidden, strict=True) if not is_hidden]
    kept = [row for row, is_hidden in zip(told_rows, hidden, strict=True) if is_hidden]
    told = {str(r["analysis_id"]) for r in shown if r["estimate_name"] not in _DIAGNOSTICS}
    return [*shown, *_blinded(spec, kept, sealed, told)], kept


def _scopes(spec: StudySpec, sealed: Sealed) -> set[str]:
    return {_scope(spec, a) for a in spec.analyses if a.id in sealed.why}


def _scope(spec: StudySpec, analysis: Analysis) -> str:
    """Return the table that an analysis reads: two sources may read the same one."""
    for source in spec.tables:
        if source.id == analysis.source:
            return f"{source.site_id}/{source.table.lower()}"
    return LAKE


def _source(spec: StudySpec, analysis: Analysis) -> str:
    tables = {source.id for source in spec.tables}
    return analysis.source if analysis.source and analysis.source in tables else LAKE


def _goes_on(spec: StudySpec, analysis: Analysis, sealed: Sealed) -> bool:
    """Whether a replication is told: it contrasts no arms of the outcome of one that waits."""
    if analysis.role != "replication":
        return False
    waiting = [a for a in spec.analyses if a.id in sealed.why]
    return not any(_tells_the_same(spec, analysis, other) for other in waiting)


def _tells_the_same(spec: StudySpec, analysis: Analysis, waiting: Analysis) -> bool:
    """Whether an analysis tells of the outcome by the arms of one that waits, however adjusted."""
    if _scope(spec, analysis) != _scope(spec, waiting):
        return False
    source, other = (_table(spec, a) for a in (analysis, waiting))
    if source is None or other is None:
        return True  # the lake has one comparison and one outcome
    if outcome_columns(source).isdisjoint(outcome_columns(other)):
        return False
    arms = arm_columns(other, waiting)
    return not arms or not arms.isdisjoint(columns_compared(source, analysis))


def _table(spec: StudySpec, analysis: Analysis) -> TableSource | None:
    return next((source for source in spec.tables if source.id == analysis.source), None)


def _shown_all_the_same(spec: StudySpec) -> set[str | None]:
    """Return the analyses that somebody decided may be told while others wait."""
    return {waiver.analysis for waiver in spec.waivers if waiver.gate == SEALING}


def _is_sealed(spec: StudySpec, row: Row, sealed: Sealed, scopes: set[str]) -> bool:
    if row["analysis_id"] in _WITHOUT_OUTCOME or row["estimate_name"] in _DIAGNOSTICS:
        return False
    if row["analysis_id"] == _CONTROLS:  # other arms tell of the study's own outcome
        return LAKE in scopes and row.get("stratum_name") == "negative_control_exposure"
    analysis = next((a for a in spec.analyses if a.id == row["analysis_id"]), None)
    if analysis is not None:
        if analysis.id in _shown_all_the_same(spec):
            return False
        is_of_both = row.get("arm") is None and row.get("person_time") is None
        if _goes_on(spec, analysis, sealed) and is_of_both:
            return False
        return _scope(spec, analysis) in scopes
    return LAKE in scopes and _tells_the_outcome(spec, row)


def _tells_the_outcome(spec: StudySpec, row: Row) -> bool:
    """Whether a row that belongs to no analysis tells the outcome of the comparison, or may.

    Another outcome is that of a negative control; whatever names none is taken to tell.
    """
    if row.get("method") in _BASELINE:
        return False
    is_of_control = row["role"] != "descriptive" and spec.outcome is not None
    return not (is_of_control and row.get("outcome") not in {None, spec.trial.outcome.id})


def _blinded(
    spec: StudySpec, kept: Sequence[Row], sealed: Sealed, told: Collection[str]
) -> list[Row]:
    """Return one row an analysis from the study alone, and one for each sealed description.

    A replication of which something is told (`told`) has none.
    """
    made = []
    touched = {str(row["analysis_id"]) for row in kept}
    for analysis in spec.analyses:
        if analysis.id in touched - set(told):
            made.append(_row_of(spec, analysis, sealed))
    named = {analysis.id for analysis in spec.analyses}
    others: dict[tuple[object, ...], Row] = {}
    for row in kept:
        if row["analysis_id"] not in named:
            identity = {name: row[name] for name in _IDENTITY if row.get(name) is not None}
            others.setdefault(tuple(identity.items()), identity)
    return [*made, *(_plain(identity, "sealed with the analyses") for identity in others.values())]


def _row_of(spec: StudySpec, analysis: Analysis, sealed: Sealed) -> Row:
    rule, source = analysis.rule, _source(spec, analysis)
    identity: Row = {
        "analysis_id": analysis.id,
        "role": analysis.role,
        "estimate_name": rule.estimate if source else rule.lake_estimate,
        "method": analysis.method,
    }
    if source:
        identity |= {"population": source}
    else:
        adjustment = analysis.adjustment
        identity |= {
            "population": _POPULATION_OF_NONE if adjustment == "none" else adjustment,
            "target": spec.trial.target.id,
            "comparator": spec.trial.comparator.id,
            "outcome": spec.trial.outcome.id,
        }
        if analysis.population is not None:
            identity |= {"stratum_name": "population", "stratum_level": analysis.population}
    why = sealed.why.get(analysis.id) or f"waits with {', '.join(sorted(sealed.why))}"
    return _with_fraction(_plain(identity, f"sealed: {why}"), sealed)


def _plain(identity: Row, note: str) -> Row:
    values = dict(identity)
    head = [str(values.pop(name)) for name in ("analysis_id", "role", "estimate_name")]
    return result_row(head[0], head[1], head[2], **values, status="blinded", note=note)


def _with_fraction(row: Row, sealed: Sealed) -> Row:
    fraction = sealed.fractions.get(str(row["analysis_id"]))
    if fraction is None or row["status"] == "suppressed":
        return row
    return {**row, "information_fraction": fraction}


def _events(rows: Sequence[Row], analysis: Analysis) -> int:
    """Return the events of an analysis: the most that a row of all says, else those of its arms."""
    own = [
        row
        for row in rows
        if row["analysis_id"] == analysis.id and row["estimate_name"] not in _OF_COVARIATES
    ]
    whole = [_whole(row) for row in own if row.get("arm") is None]
    arms: dict[object, int] = {}
    for row in own:  # outcomes of clones belong to both strategies: they are not added up
        if row.get("arm") is not None and row.get("strategy") is None:
            arms[row["arm"]] = max(arms.get(row["arm"], 0), _whole(row))
    return max([*whole, sum(arms.values())], default=0)


def _whole(row: Row) -> int:
    value = row.get("n_events")
    return int(value) if isinstance(value, int | float) else 0


def _names(value: object) -> list[str]:
    return [str(name) for name in value] if isinstance(value, list | tuple) else []
