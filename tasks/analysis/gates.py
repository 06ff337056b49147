"""Diagnostics with a threshold: a study whose gate is missed is not published."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import polars as pl

from tasks.analysis.balance import max_smd
from tasks.analysis.people import People
from tasks.analysis.populations import PropensityModel
from tasks.core.spec import Gate
from tasks.stats.propensity import equipoise


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """What a gate found. A gate that could not be evaluated is missed, never passed."""

    name: str
    adjustment: str
    verdict: Literal["pass", "miss", "not_evaluated"]
    value: float | None
    threshold: float
    on_miss: Literal["block", "report"]

    @property
    def blocks(self) -> bool:
        """Whether this verdict forbids publication."""
        return self.on_miss == "block" and self.verdict != "pass"

    def as_dict(self) -> dict[str, object]:
        """Return the verdict as plain values, for manifests and reports."""
        return asdict(self)


def judge_gates(
    gates: Sequence[Gate], people: People, balance: pl.DataFrame, model: PropensityModel | None
) -> list[GateVerdict]:
    """Evaluate every gate of a study, in the study's order."""
    return [_judge(gate, _value(gate, people, balance, model)) for gate in gates]


def _value(
    gate: Gate, people: People, balance: pl.DataFrame, model: PropensityModel | None
) -> float | None:
    match gate.name:
        case "persons_per_arm":
            return float(min(people.is_target.sum(), (~people.is_target).sum()))
        case "events":
            return float(people.has_outcome.sum())
        case "max_smd":
            return max_smd(balance, gate.adjustment)
        case "equipoise":
            return None if model is None else float(equipoise(model.score, people.is_target))


def _judge(gate: Gate, value: float | None) -> GateVerdict:
    if value is None:
        verdict: Literal["pass", "miss", "not_evaluated"] = "not_evaluated"
    else:
        within = value <= gate.threshold if gate.name == "max_smd" else value >= gate.threshold
        verdict = "pass" if within else "miss"
    return GateVerdict(gate.name, gate.adjustment, verdict, value, gate.threshold, gate.on_miss)
