"""Diagnostics with a threshold: what has to hold before an outcome is told by arm."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

import numpy as np
import polars as pl

from tasks.analysis.balance import max_smd
from tasks.analysis.people import FloatArray, People
from tasks.analysis.populations import Population, PropensityModel
from tasks.core.spec import Analysis, Gate, StudySpec
from tasks.core.spec.gates import OF_ANALYSIS, OF_STUDY, Waiver
from tasks.core.spec.methods import INITIATION
from tasks.stats.propensity import effective_sample_size, equipoise

Row = Mapping[str, object]
Verdict = Literal["pass", "miss", "not_evaluated", "waived"]
SCORES_WITH_BOTH = (0.05, 0.95)
"""Propensity scores between which both arms are taken to be possible."""
_BESIDE = ("proportional_hazards",)
"""Tests that stand beside an estimate: without one the model has converged all the same."""


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """What a gate found. A gate that could not be evaluated is missed, never passed.

    Args:
        name: The gate.
        adjustment: The adjustment it looks at.
        verdict: `waived` where it was not passed and the study says why that may be.
        value: What was found; None where it could not be evaluated.
        threshold: What it is held against.
        on_miss: What happens when it is missed.
        analyses: Those that declare it and are sealed without it; none where it binds the study.
        population: Population of the design that it looks at; everybody when None.
        n: Persons it looks at.
        waiver: Who waived it, when and why.
    """

    name: str
    adjustment: str
    verdict: Verdict
    value: float | None
    threshold: float
    on_miss: Literal["block", "report"]
    analyses: tuple[str, ...] = ()
    population: str | None = None
    n: int | None = None
    waiver: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """Whether it keeps nothing back."""
        return self.verdict in {"pass", "waived"}

    @property
    def blocks(self) -> bool:
        """Whether this verdict forbids publication."""
        return self.on_miss == "block" and not self.is_open

    def as_dict(self) -> dict[str, object]:
        """Return the verdict as plain values, for manifests and reports."""
        said = asdict(self) | {"analyses": list(self.analyses), "waiver": dict(self.waiver)}
        return {key: value for key, value in said.items() if value or key not in _WHERE_SAID}


_WHERE_SAID = ("analyses", "population", "waiver")


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What the gates of a comparison of cohorts look at: some people, and what was made of them."""

    people: People
    balance: pl.DataFrame
    populations: Mapping[str, Population]
    model: PropensityModel | None


def judge_gates(
    spec: StudySpec, groups: Mapping[str | None, Judged], rows: Sequence[Row]
) -> list[GateVerdict]:
    """Evaluate the gates of the analyses of cohorts, in the study's order.

    A gate that no analysis declares is judged for everybody and binds the study.

    Args:
        spec: The study.
        groups: What to look at, by population of the design; None is everybody.
        rows: Results of the analyses of cohorts.
    """
    of_lake = spec.lake_analyses
    verdicts = []
    for gate in spec.gates:
        bound = spec.bound_by(gate)
        for population, waiver, analyses in _subjects(spec, gate, bound, of_lake):
            judged = groups[population]
            looked_at = analyses or [a for a in of_lake if a.role != "replication"]
            value = _value(gate, judged, looked_at, rows)
            ids, n = tuple(a.id for a in analyses), int(judged.people.is_target.size)
            verdicts.append(_judge(gate, value, ids, waiver, population, n))
    return verdicts


Subject = tuple[str | None, Waiver | None, list[Analysis]]


def _subjects(
    spec: StudySpec, gate: Gate, bound: Iterable[Analysis], of_lake: Sequence[Analysis]
) -> Iterator[Subject]:
    """Yield whom a gate looks at: one verdict a population, a model or a waiver."""
    if not (bound := tuple(bound)):
        yield None, spec.waiver_of(gate, ()), []
        return
    found: dict[tuple[object, ...], Subject] = {}
    for analysis in bound:
        if analysis in of_lake:
            waiver = spec.waiver_of(gate, (analysis.id,))
            alone = analysis.id if gate.name in OF_ANALYSIS else None
            key = (analysis.population, waiver, alone)
            found.setdefault(key, (analysis.population, waiver, []))[2].append(analysis)
    yield from found.values()


def judge_table_gates(
    spec: StudySpec,
    analysis: Analysis,
    sizes: Sequence[int],
    events: int | None,
    rows: Sequence[Row],
    others: Sequence[Row] = (),
) -> list[GateVerdict]:
    """Evaluate the gates that one analysis of a registry table declares.

    Args:
        spec: The study.
        analysis: The analysis.
        sizes: Rows of each group that it compares.
        events: Events in all of them.
        rows: Its rows of results; balance, scores and sizes are read from them.
        others: All rows of the tables: systematic error is estimated by analyses of its own.
    """
    if len(sizes) > 1 and min(sizes) == 0:
        events = None  # the events of both groups would be those of one
    counted = {
        "persons_per_arm": float(min(sizes)) if len(sizes) > 1 else None,
        "events": None if events is None else float(events),
        "events_per_parameter": _per_parameter(rows, events, sum(sizes)),
        "convergence": _converged(rows),
    }
    verdicts = []
    for gate in spec.gates:
        if gate.is_declared_by(analysis):
            named = counted[gate.name] if gate.name in counted else _told(gate, rows, others)
            waiver = spec.waiver_of(gate, (analysis.id,))
            verdicts.append(_judge(gate, named, (analysis.id,), waiver, None, sum(sizes)))
    return verdicts


def _value(
    gate: Gate, judged: Judged, analyses: Sequence[Analysis], rows: Sequence[Row]
) -> float | None:
    if gate.name in OF_ANALYSIS:
        return _worst(_of_analysis(gate, judged, analysis, rows) for analysis in analyses)
    return _OF_PEOPLE[gate.name](gate, judged, rows)


def _persons_per_arm(_gate: Gate, judged: Judged, _rows: Sequence[Row]) -> float:
    is_target = judged.people.is_target
    return float(min(is_target.sum(), (~is_target).sum()))


def _events(_gate: Gate, judged: Judged, _rows: Sequence[Row]) -> float | None:
    """Return the events of both arms; nothing where one has nobody, for they are the other's."""
    is_target = judged.people.is_target
    if is_target.all() or not is_target.any():
        return None
    return float(judged.people.has_outcome.sum())


def _max_smd(gate: Gate, judged: Judged, _rows: Sequence[Row]) -> float | None:
    return max_smd(judged.balance, gate.adjustment)


def _equipoise(_gate: Gate, judged: Judged, _rows: Sequence[Row]) -> float | None:
    model = judged.model
    return None if model is None else float(equipoise(model.score, judged.people.is_target))


def _positivity(_gate: Gate, judged: Judged, _rows: Sequence[Row]) -> float | None:
    return None if judged.model is None else share_with_both(judged.model.score)


def share_with_both(score: FloatArray) -> float:
    """Return the share of persons for whom both arms are possible, judged by their score."""
    low, high = SCORES_WITH_BOTH
    return float(np.mean((score >= low) & (score <= high)))


def _ess(gate: Gate, judged: Judged, rows: Sequence[Row]) -> float | None:
    """Effective sample size of the arm that loses most: as a share where the threshold is one."""
    if gate.adjustment == INITIATION:
        return _told(gate, rows)
    population = judged.populations.get("crude" if gate.adjustment == "none" else gate.adjustment)
    if population is None:
        return None
    arms = [population.arm(True), population.arm(False)]
    sizes = [
        (float(arm.rows.size if arm.weights is None else effective_sample_size(arm.weights)), arm)
        for arm in arms
        if arm.rows.size
    ]
    if len(sizes) < 2:
        return None
    is_share = gate.limit <= 1
    return min(size / arm.rows.size if is_share else size for size, arm in sizes)


def _from_rows(gate: Gate, _judged: Judged, rows: Sequence[Row]) -> float | None:
    return _told(gate, rows)


_OF_PEOPLE: Mapping[str, Callable[[Gate, Judged, Sequence[Row]], float | None]] = {
    "persons_per_arm": _persons_per_arm,
    "events": _events,
    "max_smd": _max_smd,
    "ess": _ess,
    "equipoise": _equipoise,
    "positivity": _positivity,
    "ease": _from_rows,
    "mdrr": _from_rows,
}


def _told(gate: Gate, rows: Sequence[Row], others: Sequence[Row] = ()) -> float | None:
    """Return the worst value that the results of the run tell; None where one is not estimable.

    Rows of another adjustment than that of the gate do not count where some are of its own; EASE is
    that of ratios, on the scale of their logarithm.
    """
    rows = [row for row in rows if row.get("se_scale") != "identity" or gate.name != "ease"]
    told = [row for row in rows if row["estimate_name"] == gate.name]
    if not told and gate.name in OF_STUDY:
        told = [row for row in others if row["estimate_name"] == gate.name]
    own = "crude" if gate.adjustment == "none" else gate.adjustment
    told = [row for row in told if row.get("population") == own] or told
    if not told or any(row["status"] != "ok" or row.get("estimate") is None for row in told):
        return None
    values = [_number(row["estimate"]) for row in told]
    if gate.name == "ess" and gate.limit <= 1:
        values = [_number(row["estimate"]) / max(_number(row.get("n")), 1) for row in told]
    return max(values) if gate.is_ceiling else min(values)


def _of_analysis(
    gate: Gate, judged: Judged, analysis: Analysis, rows: Sequence[Row]
) -> float | None:
    own = [row for row in rows if row["analysis_id"] == analysis.id]
    is_adjusted, model = analysis.adjustment != "none", judged.model
    is_cloned = analysis.adjustment == INITIATION  # its models stand in no propensity score
    if gate.name == "convergence":
        is_lost = is_adjusted and model is None and not is_cloned
        return 0.0 if is_lost else _converged(own)
    people = judged.people
    n = int(people.is_target.size)
    events = _events(gate, judged, own)
    found = [_per_parameter(own, None if events is None else int(events), n)]
    if is_adjusted:
        smaller = min(people.is_target.sum(), (~people.is_target).sum())
        used = people.matrix.shape[1] if is_cloned else None if model is None else model.used.size
        found.append(None if used is None else float(smaller / max(used, 1)))
    return _worst(found)


def _per_parameter(rows: Sequence[Row], events: int | None, n: int) -> float | None:
    """Return events a parameter of the outcome model; those of the rarer answer if it is 0 or 1."""
    if events is None or not rows:
        return None
    terms = {row.get("term") for row in rows if row["estimate_name"] == _main(rows)}
    is_binary = any(row["estimate_name"] == "odds_ratio" for row in rows)
    return (min(events, n - events) if is_binary else events) / max(len(terms), 1)


def _main(rows: Sequence[Row]) -> object:
    """Return what the model of an analysis estimates, a row for each of its terms."""
    ratios = ("hazard_ratio", "subdistribution_hazard_ratio", "odds_ratio", "rate_ratio")
    names = [row["estimate_name"] for row in rows if row["estimate_name"] in ratios]
    return names[0] if names else None


def _converged(rows: Sequence[Row]) -> float | None:
    """Return 1 where the analysis has its estimate, 0 where it did not converge or separated."""
    own = [r for r in rows if r.get("statistic_name") not in _BESIDE and r.get("at") is None]
    if not own:
        return 1.0 if rows else None
    estimates = [row for row in own if row["estimate_name"] == _main(own)] or own
    is_model = _main(own) is not None
    lost = [row["status"] == "not_estimable" for row in estimates]
    return 0.0 if (any(lost) if is_model else all(lost)) else 1.0


def _worst(values: Iterable[float | None]) -> float | None:
    found = list(values)
    return None if not found or None in found else min(v for v in found if v is not None)


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _judge(
    gate: Gate,
    value: float | None,
    analyses: tuple[str, ...],
    waiver: Waiver | None,
    population: str | None,
    n: int,
) -> GateVerdict:
    verdict: Verdict = "not_evaluated"
    if value is not None:
        within = value <= gate.limit if gate.is_ceiling else value >= gate.limit
        verdict = "pass" if within else "miss"
    said = {} if waiver is None or verdict == "pass" else waiver.as_dict()
    return GateVerdict(
        gate.name,
        gate.adjustment,
        "waived" if said else verdict,
        value,
        gate.limit,
        gate.on_miss,
        analyses,
        population,
        n,
        said,
    )
