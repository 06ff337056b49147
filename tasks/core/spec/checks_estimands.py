"""Estimands, populations and analyses must fit: one primary analysis answers one question."""

from collections.abc import Iterator

from tasks.core.spec.analyses import Analysis
from tasks.core.spec.design import GraceDesign
from tasks.core.spec.estimands import KEYS_OF_MEASURES, METHODS_OF_MEASURES, Estimand
from tasks.core.spec.faults import Check, Fault
from tasks.core.spec.whole import StudySpec

CODE = "E_SPEC_ESTIMAND"
_BLOCKS = ("design", "analyses", "sources")
_ABSOLUTE = ("cumulative_incidence", "risk", "risk_difference", "rmst", "rmst_difference")
"""Estimates that tell how many persons, or how much time, an effect amounts to."""


def _names_are_known(spec: StudySpec) -> Iterator[Fault]:
    """Estimands and populations that analyses name stand in the design."""
    design = spec.design
    known = {
        "estimand": [e.id for e in design.estimands] if design else [],
        "population": [p.id for p in design.populations] if design else [],
    }
    for place, analysis in enumerate(spec.analyses):
        for key, names in known.items():
            name = getattr(analysis, key, None)
            if name is not None and name not in names:
                what = f"no {key} {name!r} stands in the design"
                fix = f"name one of {names}, or leave it out." if names else "leave it out."
                yield Fault(("analyses", place, key), what, fix, CODE)


def _ids_are_unique(spec: StudySpec) -> Iterator[Fault]:
    if spec.design is None:
        return
    for block in ("eligibility", "estimands", "populations"):
        ids = [item.id for item in getattr(spec.design, block)]
        for place, name in enumerate(ids):
            if name in ids[:place]:
                what = f"two entries of design.{block} have the same id"
                yield Fault(("design", block, place, "id"), what, "rename one of them.", CODE)


def _each_estimand_has_one_primary(spec: StudySpec) -> Iterator[Fault]:
    if spec.design is None:
        return
    for place, estimand in enumerate(spec.design.estimands):
        primaries = [a.id for a in _serving(spec, estimand) if a.role == "primary"]
        if len(primaries) != 1:
            found = (
                f"analyses {primaries} are all primary" if primaries else "no analysis is primary"
            )
            what = f"{found}; estimand {estimand.id} needs exactly one"
            fix = "give exactly one analysis of this estimand the role primary."
            yield Fault(("design", "estimands", place), what, fix, CODE)


def _each_analysis_serves_one_estimand(spec: StudySpec) -> Iterator[Fault]:
    """Where there are several estimands, all but replications say which; where none, none may."""
    if spec.design is None or len(spec.design.estimands) == 1:
        return
    free = ("replication",) if spec.design.estimands else ("replication", "exploratory")
    for place, analysis in _of_the_lake(spec):
        if analysis.estimand is None and analysis.role not in free:
            if spec.design.estimands:
                what, fix = "several estimands, and this analysis names none", "add estimand."
            else:
                what = f"role {analysis.role}, but the design has no estimand"
                fix = "state an estimand; without one analyses only replicate or explore."
            yield Fault(("analyses", place), what, fix, CODE)


def _primary_estimates_its_measure(spec: StudySpec) -> Iterator[Fault]:
    if spec.design is None:
        return
    for estimand in spec.design.estimands:
        measure = estimand.summary_measure
        methods, key = _methods_of(spec, estimand), KEYS_OF_MEASURES.get(measure)
        for place, analysis in _of_the_lake(spec):
            is_primary = analysis.role == "primary" and analysis in _serving(spec, estimand)
            asks = key is None or analysis.method == methods[0] or bool(getattr(analysis, key))
            if is_primary and (analysis.method not in methods or not asks):
                said = f"does not estimate the {measure} of its estimand"
                what = f"method {analysis.method} {said}"
                need = f"method {methods[0]}" if asks else f"{key} with {analysis.method}"
                fix = f"use {need}, or change summary_measure of {estimand.id}."
                yield Fault(("analyses", place, "method"), what, fix, CODE)


def _methods_of(spec: StudySpec, estimand: Estimand) -> tuple[str, ...]:
    if isinstance(spec.design, GraceDesign):
        return ("clone_censor_weight",)
    return METHODS_OF_MEASURES[estimand.summary_measure]


def _hazard_ratio_has_an_absolute_companion(spec: StudySpec) -> Iterator[Fault]:
    if spec.design is None:
        return
    for place, estimand in enumerate(spec.design.estimands):
        serving = _serving(spec, estimand)
        adjusted = {a.adjustment for a in serving if a.role == "primary"}
        has_one = any(
            a.rule.lake_estimate in _ABSOLUTE and a.adjustment in adjusted for a in serving
        )
        if estimand.summary_measure == "hazard_ratio" and not has_one:
            what = "a hazard ratio alone tells neither how many persons nor how much time"
            fix = "add an analysis by cumulative_incidence or rmst with the primary's adjustment."
            where = ("design", "estimands", place, "summary_measure")
            yield Fault(where, what, fix, CODE)


def _loyal_persons_are_looked_at(spec: StudySpec) -> Iterator[Fault]:
    design = spec.design
    if design is None or design.observability.outcome.source != "hospital":
        return
    if not any(a.population and a.role == "sensitivity" for a in spec.lake_analyses):
        what = "outcomes outside the hospital are missed, and no analysis asks what that changes"
        fix = (
            "add a population of persons loyal to the hospital (say, two visits in the year "
            "before), and a sensitivity analysis in it."
        )
        where = ("design", "observability", "outcome", "source")
        yield Fault(where, what, fix, "W_LOYAL", is_warning=True)


def _of_the_lake(spec: StudySpec) -> Iterator[tuple[int, Analysis]]:
    """Yield the analyses of cohorts of the lake with their places; others serve no estimand."""
    for place, analysis in enumerate(spec.analyses):
        if analysis in spec.lake_analyses:
            yield place, analysis


def _serving(spec: StudySpec, estimand: Estimand) -> list[Analysis]:
    """Return the analyses of an estimand; where it is the only one, those that name none too."""
    only = spec.design is not None and len(spec.design.estimands) == 1
    return [
        a
        for a in spec.lake_analyses
        if a.estimand == estimand.id or (only and a.estimand is None and a.role != "replication")
    ]


ESTIMAND_CHECKS: tuple[Check, ...] = (
    Check(_BLOCKS, _names_are_known, ("analyses",)),
    Check(("design",), _ids_are_unique),
    Check(_BLOCKS, _each_estimand_has_one_primary),
    Check(_BLOCKS, _each_analysis_serves_one_estimand),
    Check(_BLOCKS, _primary_estimates_its_measure),
    Check(_BLOCKS, _hazard_ratio_has_an_absolute_companion),
    Check(_BLOCKS, _loyal_persons_are_looked_at),
)
