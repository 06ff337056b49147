"""Whether gates, waivers and planned looks bind what they name, and bind it before it is known."""

from collections.abc import Iterator

from tasks.core.spec.analyses import Analysis
from tasks.core.spec.faults import Check, Fault, KeyPath
from tasks.core.spec.gates import SEALING, Waiver
from tasks.core.spec.whole import StudySpec

CODE = "E_SPEC_GATE"
_BLOCKS = ("analyses", "gates")


def _declared_gates_exist(spec: StudySpec) -> Iterator[Fault]:
    for place, analysis in enumerate(spec.analyses):
        path: KeyPath = ("analyses", place, "gates")
        if analysis.gates == "all":
            if not any(gate.judges(analysis) for gate in spec.gates):
                what = f"analysis {analysis.id} declares all gates, and none judges it"
                yield Fault(path, what, "add the gates under `gates`, or remove the key.", CODE)
            continue
        for name in analysis.gates:
            if not any(g.name == name and g.judges(analysis) for g in spec.gates):
                yield Fault(path, *_lacking(spec, analysis, name), CODE)


def _lacking(spec: StudySpec, analysis: Analysis, name: str) -> tuple[str, str]:
    others = [gate.adjustment for gate in spec.gates if gate.name == name]
    if not others:
        return f"gate {name} is not among the gates of the study", f"add {name} under `gates`."
    what = f"gate {name} judges adjustment {', '.join(others)}, not {analysis.adjustment}"
    return what, f"add a gate {name} with adjustment: {analysis.adjustment}."


def _only_comparisons_declare(spec: StudySpec) -> Iterator[Fault]:
    for place, analysis in enumerate(spec.analyses):
        if not analysis.gates:
            continue
        path: KeyPath = ("analyses", place, "gates")
        if analysis.role == "replication":
            what = f"{analysis.id} replicates a number that is known; no gate binds it"
            yield Fault(path, what, "remove gates from it.", CODE)
        elif analysis.method == "describe":
            what = f"{analysis.id} describes; gates bind analyses that compare"
            yield Fault(path, what, "remove gates from it.", CODE)


def _waivers_open_something(spec: StudySpec) -> Iterator[Fault]:
    for place, waiver in enumerate(spec.waivers):
        if waiver.gate == SEALING:
            yield from _tells_an_analysis(spec, waiver, place)
            continue
        gates = [gate for gate in spec.gates if gate.name == waiver.gate]
        bound = {a.id for gate in gates for a in spec.bound_by(gate)}
        if not gates:
            what, fix = f"gate {waiver.gate} is not among the gates", "remove it, or add the gate."
            yield Fault(("waivers", place, "gate"), what, fix, CODE)
        elif waiver.analysis is not None and waiver.analysis not in bound:
            what = f"analysis {waiver.analysis} does not declare gate {waiver.gate}"
            fix = f"name one of {', '.join(sorted(bound)) or 'those that declare it'}."
            yield Fault(("waivers", place, "analysis"), what, fix, CODE)


def _tells_an_analysis(spec: StudySpec, waiver: Waiver, place: int) -> Iterator[Fault]:
    """Yield the faults of a waiver of sealing: it names one analysis that waits for nothing."""
    free = [a.id for a in spec.analyses if not a.gates and a.planned is None]
    if waiver.analysis not in free:
        what = f"{waiver.analysis or 'every analysis'} cannot be told while others wait"
        named = ", ".join(free) or "none here"
        fix = f"name one that declares no gates and no planned look: {named}."
        yield Fault(("waivers", place, "analysis"), what, fix, CODE)


def _looks_are_of_the_primary(spec: StudySpec) -> Iterator[Fault]:
    for place, analysis in enumerate(spec.analyses):
        if analysis.planned is not None and analysis.role != "primary":
            what = f"{analysis.id} is {analysis.role}; looks are planned for a primary analysis"
            fix = "move planned to the primary analysis; the others wait with it."
            yield Fault(("analyses", place, "planned"), what, fix, CODE)


GATE_CHECKS: tuple[Check, ...] = (
    Check(_BLOCKS, _declared_gates_exist),
    Check(("analyses",), _only_comparisons_declare),
    Check((*_BLOCKS, "waivers"), _waivers_open_something),
    Check(("analyses",), _looks_are_of_the_primary),
)
