"""Blocks that would have no effect: what they ask for needs another block that is not there."""

from collections.abc import Iterator

from tasks.core.spec.checks_design import arms_by_cohort
from tasks.core.spec.cohorts import NativeCohort
from tasks.core.spec.conditions import Condition, Counted, Group
from tasks.core.spec.covariates import MeasurementCovariates
from tasks.core.spec.faults import Check, Fault, KeyPath
from tasks.core.spec.whole import StudySpec

_REMOVE = "add the comparison (design, target, comparator, outcome), or remove this."


def _needs_a_comparison(spec: StudySpec) -> Iterator[Fault]:
    if spec.has_trial:
        return
    for place, analysis in enumerate(spec.analyses):
        if analysis.source is None:
            what = f"analysis {analysis.id} compares arms, and the study has none"
            yield Fault(("analyses", place), what, _REMOVE)
    for place, gate in enumerate(spec.gates):
        if not spec.bound_by(gate):
            yield Fault(("gates", place), f"gate {gate.name} has no arms to judge", _REMOVE)
    if spec.device is not None:
        yield Fault(("device",), "the device is part of no comparison", _REMOVE)


def _missing_rules_need_arms(spec: StudySpec) -> Iterator[Fault]:
    if spec.has_trial:
        return
    for place, covariate in enumerate(spec.covariates):
        if isinstance(covariate, MeasurementCovariates) and covariate.missing in {
            "refuse",
            "complete_case",
        }:
            what = f"missing: {covariate.missing} acts on the persons of a comparison only"
            yield Fault(("covariates", place, "missing"), what, "write missing: indicator.")


def _same_visit_needs_a_visit(spec: StudySpec) -> Iterator[Fault]:
    if spec.design is None:
        return
    for number, rule in enumerate(spec.design.eligibility):
        yield from _same_visits(rule.condition, ("design", "eligibility", number))
    for number, population in enumerate(spec.design.populations):
        yield from _same_visits(population.require, ("design", "populations", number))


def _same_visits(condition: Condition, path: KeyPath) -> Iterator[Fault]:
    if isinstance(condition, Group):
        for part in condition.parts:
            yield from _same_visits(part, path)
    elif isinstance(condition, Counted) and condition.same_visit:
        what = "same_visit can never hold: the entry into an arm is of no visit"
        yield Fault(path, what, "count the events of that day: within {from_days: 0, to_days: 0}.")


def _exclusions_see_nothing_unobserved(spec: StudySpec) -> Iterator[Fault]:
    for place, cohort in enumerate(spec.cohorts):
        if not isinstance(cohort, NativeCohort) or cohort.entry.observation != "not_required":
            continue
        for number, rule in enumerate(cohort.rules):
            if any(counted.observed_only for counted in _counts(rule.condition)):
                what = (
                    f"rule {rule.id} counts observed events only, and the entry asks for no "
                    "observation: who is not observed has none"
                )
                fix = "write observed_only: false, or ask for observation at entry."
                path = ("cohorts", place, "rules", number)
                yield Fault(path, what, fix, "W_UNSEEN", is_warning=True)


def _counts(condition: Condition) -> Iterator[Counted]:
    if isinstance(condition, Group):
        for part in condition.parts:
            yield from _counts(part)
    elif isinstance(condition, Counted):
        yield condition


def _time_zero_is_the_entry(spec: StudySpec) -> Iterator[Fault]:
    for _, place, cohort in arms_by_cohort(spec):
        if not isinstance(cohort, NativeCohort) or not cohort.clip:
            continue
        if cohort.clip.start is not None:
            what = (
                "clip.start moves time zero of an arm after its entry: persons would be followed "
                "from a day on which nothing was judged"
            )
            fix = "write the days into entry.calendar instead."
            path = ("cohorts", place, "clip", "start")
            yield Fault(path, what, fix, "E_SPEC_IMMORTAL_TIME")


WHOLE_CHECKS: tuple[Check, ...] = (
    Check(("design", "analyses", "gates", "device"), _needs_a_comparison),
    Check(("design", "covariates"), _missing_rules_need_arms),
    Check(("design",), _same_visit_needs_a_visit),
    Check(("cohorts",), _exclusions_see_nothing_unobserved),
    Check(("design", "cohorts", "target", "comparator"), _time_zero_is_the_entry),
)
