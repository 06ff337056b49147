"""Strategies with a grace period over the lake: which design they need, and which method.

Until the grace period ends a person may still follow both strategies. To sort persons by what they
then do, and count from time zero, makes those who start later immortal until their start: only
clones that are censored and weighted may be counted from time zero on.
"""

from collections.abc import Iterator

from tasks.core.spec.analyses import Analysis
from tasks.core.spec.checks_design import CODE, ENTRY, IMMORTAL, TREATMENT
from tasks.core.spec.checks_estimands import CODE as ESTIMAND
from tasks.core.spec.design import CohortOutcome, GraceDesign, StrategyArm
from tasks.core.spec.estimands import MEASURES_OF_STRATEGIES
from tasks.core.spec.faults import Check, Fault, KeyPath
from tasks.core.spec.gates import GateName
from tasks.core.spec.methods import INITIATION
from tasks.core.spec.whole import StudySpec

_TYPE = "start_within_grace"
_OF_ARMS: tuple[GateName, ...] = ("max_smd", "equipoise", "positivity", "ease", "mdrr")


def _of_lake(spec: StudySpec) -> Iterator[tuple[KeyPath, Analysis]]:
    for place, analysis in enumerate(spec.analyses):
        if analysis in spec.lake_analyses:
            yield ("analyses", place), analysis


def _grace_has_its_design(spec: StudySpec) -> Iterator[Fault]:
    if spec.design is None:
        return
    path, days = ("design", "grace_period_days"), spec.design.grace_period_days
    if isinstance(spec.design, GraceDesign) and days == 0:
        what = "without a grace period each person follows one strategy from time zero on"
        fix = f"give its days, or use another type of design than {_TYPE}."
        yield Fault(path, what, fix, CODE)
    if not isinstance(spec.design, GraceDesign) and days > 0:
        what = (
            "a grace period leaves persons compatible with both strategies for some days; "
            "that needs clone-censor-weight"
        )
        fix = (
            f"set it to 0, and let assignment fall on time zero; or write type: {_TYPE}, and "
            "analyse it by method: clone_censor_weight."
        )
        yield Fault(path, what, fix, CODE)


def _strategies_start_with_the_target(spec: StudySpec) -> Iterator[Fault]:
    for role, starts in (("target", True), ("comparator", False)):
        arm = getattr(spec, role)
        if isinstance(arm, StrategyArm) and arm.starts != starts:
            what = f"the {role} of {_TYPE} is the strategy to {'' if starts else 'not '}start"
            yield Fault((role, "starts"), what, f"write starts: {str(starts).lower()}.", CODE)


def _cohorts_are_told_apart(spec: StudySpec) -> Iterator[Fault]:
    design = spec.design
    if not isinstance(design, GraceDesign):
        return
    known = sorted(cohort.id for cohort in spec.cohorts)
    named = {ENTRY: design.entry_cohort, TREATMENT: design.treatment_cohort}
    for key, name in named.items():
        if name not in known:
            what = f"cohort {name!r} is used but not defined"
            fix = f"define it under cohorts, or name one of {known}."
            yield Fault(("design", key), what, fix)
        if isinstance(spec.outcome, CohortOutcome) and spec.outcome.cohort == name:
            what = f"the outcome is the {key} of the design"
            yield Fault(("outcome", "cohort"), what, "name another cohort.", CODE)
    if design.entry_cohort == design.treatment_cohort:
        what = "persons enter by the treatment itself: nobody could follow the other strategy"
        fix = "enter by what makes persons eligible, such as the diagnosis."
        yield Fault(("design", ENTRY), what, fix, CODE)


def _follow_up_begins_at_time_zero(spec: StudySpec) -> Iterator[Fault]:
    design = spec.design
    if not isinstance(design, GraceDesign):
        return
    if design.risk_start.offset_days != 1:
        what = "strategies begin at time zero, and so does the count of outcomes: on day 1"
        fix = "write risk_start: {anchor: time_zero, offset_days: 1}."
        yield Fault(("design", "risk_start", "offset_days"), what, fix, CODE)
    if design.risk_end.offset_days <= design.grace_period_days:
        what = "risk ends before the grace period does"
        yield Fault(("design", "risk_end"), what, "end it later.", CODE)


def _only_clones_are_compared(spec: StudySpec) -> Iterator[Fault]:
    for path, analysis in _of_lake(spec):
        is_grace, is_cloned = isinstance(spec.design, GraceDesign), analysis.rule.takes_start
        if is_grace and not is_cloned and analysis.rule.of_lake:
            what = (
                f"{analysis.method} would compare persons by what they do in the grace period, "
                "counted from time zero: who starts late has to live until then"
            )
            fix = "use method: clone_censor_weight, or a grace period of 0 in another design."
            yield Fault((*path, "method"), what, fix, IMMORTAL)
        if is_cloned and spec.design is not None and not is_grace:
            what = f"{analysis.method} compares strategies with a grace period, and there is none"
            fix = f"write design type: {_TYPE} with grace_period_days."
            yield Fault((*path, "method"), what, fix, CODE)


def _clones_have_what_they_need(spec: StudySpec) -> Iterator[Fault]:
    if not isinstance(spec.design, GraceDesign):
        return
    grace = spec.design.grace_period_days
    for path, analysis in _of_lake(spec):
        if not analysis.rule.takes_start:
            continue
        days = [*analysis.table_days, *filter(None, [analysis.horizon_days])]
        if not days or max(days) <= grace:
            what = "no risk or mean beyond the grace period is asked for"
            fix = "give table_days, or horizon_days, later than grace_period_days."
            yield Fault((*path, "table_days"), what, fix)
        if (analysis.interval_days or 0) > grace:
            what = "interval_days is longer than the grace period whose last part it is"
            yield Fault((*path, "interval_days"), what, "give the days of one interval.")
        if analysis.calibrate:
            what = "clones are not calibrated by negative controls yet"
            yield Fault((*path, "calibrate"), what, "remove it; counts of controls are shown.")


def _estimands_are_of_strategies(spec: StudySpec) -> Iterator[Fault]:
    if not isinstance(spec.design, GraceDesign):
        return
    for place, estimand in enumerate(spec.design.estimands):
        if estimand.summary_measure not in MEASURES_OF_STRATEGIES:
            what = f"{estimand.summary_measure} is not estimated of strategies with a grace period"
            fix = f"use one of {', '.join(MEASURES_OF_STRATEGIES)}."
            where = ("design", "estimands", place, "summary_measure")
            yield Fault(where, what, fix, ESTIMAND)
        key = "horizon_days" if estimand.summary_measure == "rmst_difference" else "table_days"
        for path, analysis in _of_lake(spec):
            is_primary = analysis.role == "primary" and spec.estimand_of(analysis) is estimand
            if is_primary and analysis.rule.takes_start and not getattr(analysis, key):
                what = f"the {estimand.summary_measure} of its estimand is read on {key}"
                yield Fault((*path, key), what, f"add {key}.", ESTIMAND)


def _gates_have_something_to_judge(spec: StudySpec) -> Iterator[Fault]:
    """A gate of arms is never evaluated here, and what is not evaluated is not passed."""
    if not isinstance(spec.design, GraceDesign):
        return
    for place, gate in enumerate(spec.gates):
        if gate.name in _OF_ARMS and spec.bound_by(gate):
            what = (
                f"gate {gate.name} judges arms that are known at time zero, and clones are of none"
            )
            fix = f"use ess with adjustment: {INITIATION}, convergence, events, persons_per_arm."
            yield Fault(("gates", place, "name"), what, fix, "E_SPEC_GATE")


_ROLES = ("design", "target", "comparator")
GRACE_CHECKS: tuple[Check, ...] = (
    Check(("design",), _grace_has_its_design),
    Check(("target", "comparator"), _strategies_start_with_the_target),
    Check(("design", "outcome", "cohorts"), _cohorts_are_told_apart, ("cohorts",)),
    Check(("design",), _follow_up_begins_at_time_zero),
    Check(("design", "analyses", "sources"), _only_clones_are_compared),
    Check(("design", "analyses", "sources"), _clones_have_what_they_need),
    Check(("design", "analyses", "sources"), _estimands_are_of_strategies),
    Check(("design", "analyses", "gates"), _gates_have_something_to_judge),
)
