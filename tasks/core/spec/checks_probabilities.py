"""Whether readings have what calibration and decision curves need, and nothing more is asked."""

from collections.abc import Iterator

from tasks.core.spec.analyses import Analysis
from tasks.core.spec.faults import Check, Fault, KeyPath
from tasks.core.spec.probabilities import DecisionCurve
from tasks.core.spec.sources import ReadingTable
from tasks.core.spec.whole import StudySpec

_METHODS = ("calibration", "decision_curve")
_REFUSED = ("e_value", "missing_data")


def _probabilities_can_be_judged(spec: StudySpec) -> Iterator[Fault]:
    tables = {source.id: source for source in spec.tables}
    for place, analysis in enumerate(spec.analyses):
        source, path = tables.get(analysis.source or ""), ("analyses", place)
        if not isinstance(source, ReadingTable):
            continue
        yield from _has_truth(source, analysis, path)
        if analysis.method not in _METHODS:
            continue
        yield from _has_score(source, analysis, path)
        if analysis.method == "calibration":
            yield from _is_of_a_cohort(source, path)
        else:
            yield from _can_be_a_curve(source, analysis, path)


def _has_truth(source: ReadingTable, analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    needs_none = analysis.method == "describe" or analysis.horizon_days is not None
    if source.roles.truth is None and not needs_none:
        what = f"{analysis.method} needs the role truth of source {source.id}"
        fix = "add the role; only a decision_curve with horizon_days reads follow-up instead."
        yield Fault((*path, "method"), what, fix)


def _has_score(source: ReadingTable, analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    if source.roles.score is None:
        what = f"{analysis.method} needs the role score of source {source.id}"
        yield Fault((*path, "method"), what, "name the column of score under its roles.")
    if source.roles.weight is not None:
        what = f"method {analysis.method} has no weighted form, and source {source.id} has weights"
        yield Fault((*path, "method"), what, "name a source without the role weight.")
    for key in (key for key in _REFUSED if getattr(analysis, key)):
        yield Fault((*path, key), f"method {analysis.method} has no {key}", "remove it.")


def _is_of_a_cohort(source: ReadingTable, path: KeyPath) -> Iterator[Fault]:
    if source.sampling == "case_control":
        what = "cases were drawn by their truth: how common it is says nothing of probabilities"
        yield Fault((*path, "method"), what, "take decision_curve with a prevalence, or a cohort.")


def _can_be_a_curve(source: ReadingTable, analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    curve = analysis.decision_curve or DecisionCurve()
    at = (*path, "decision_curve")
    if len(set(curve.thresholds)) < len(curve.thresholds):
        yield Fault((*at, "thresholds"), "a threshold stands twice", "name each once.")
    if analysis.hypothesis is not None and analysis.hypothesis.goal is not None:
        what = "decision_curve compares modalities, not one of them with a goal"
        yield Fault((*path, "hypothesis", "goal"), what, "remove goal; accuracy has one.")
    test = analysis.index_test
    if test is not None and test.model_fields_set - {"without_result"}:
        what = "of index_test decision_curve reads without_result alone"
        fix = "name thresholds and the prevalence under decision_curve."
        yield Fault((*path, "index_test"), what, fix)
    if analysis.horizon_days is not None:
        yield from _follows_cases(source, analysis, path)
    elif source.sampling == "case_control" and curve.prevalence is None:
        what = "cases were drawn by their truth: how common the condition is has to be told"
        yield Fault((*at, "prevalence"), what, "give decision_curve: {prevalence: …}.")


def _follows_cases(source: ReadingTable, analysis: Analysis, path: KeyPath) -> Iterator[Fault]:
    curve = analysis.decision_curve or DecisionCurve()
    if source.roles.time is None or source.roles.event is None:
        what = f"horizon_days needs the roles time and event of source {source.id}"
        yield Fault((*path, "horizon_days"), what, "add the roles, or remove it.")
    if source.sampling == "case_control" or curve.prevalence is not None:
        what = "follow-up tells how common the event is; cases are not drawn by their truth"
        yield Fault((*path, "horizon_days"), what, "remove prevalence, or horizon_days.")
    if curve.as_probability:
        what = "as_probability is of a truth, not of follow-up"
        fix = "remove it, and give a score that is the probability by the horizon."
        yield Fault((*path, "decision_curve", "as_probability"), what, fix)
    if analysis.sample_size is not None:
        what = "planned numbers are of the truth, and this analysis reads follow-up"
        yield Fault((*path, "sample_size"), what, "remove it.")


PROBABILITY_CHECKS: tuple[Check, ...] = (
    Check(("sources", "analyses"), _probabilities_can_be_judged),
)
