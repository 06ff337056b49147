"""Designs that use what was known only later, or speak of days that nobody is followed."""

from collections.abc import Iterator

from tasks.core.spec.analyses import Analysis
from tasks.core.spec.checks_design import (
    CODE,
    IMMORTAL,
    arms_by_cohort,
    conditions_at_time_zero,
    future_of,
)
from tasks.core.spec.cohorts import Cohort, NativeCohort
from tasks.core.spec.covariates import CohortCovariate
from tasks.core.spec.design import ENDS, CohortDesign, Design, NewUserDesign
from tasks.core.spec.faults import Check, Fault, KeyPath
from tasks.core.spec.looking_ahead import TIME_ZERO, Index, known_later, known_later_of_event
from tasks.core.spec.whole import StudySpec

OBSERVED_UNTIL = "observation_period_end_date"


def _nothing_is_known_later(spec: StudySpec) -> Iterator[Fault]:
    """Of persons who enter: eligibility, populations, and the cohorts of the arms."""
    for place, condition in conditions_at_time_zero(spec):
        for at, column in known_later(condition):
            yield _later((*place, *at), column)
    for _, number, cohort in arms_by_cohort(spec):
        for at, column in _columns_of(cohort, TIME_ZERO):
            yield _later(("cohorts", number, *at), column)


def _later(place: KeyPath, column: str) -> Fault:
    if column == OBSERVED_UNTIL:
        what = f"{column} lies after time zero: who is let in would depend on the future"
        return Fault(place, what, "remove it; observation that ends censors.", IMMORTAL)
    return _doubt_later(place, column, "time zero")


def _doubt_later(place: KeyPath, column: str, day: str) -> Fault:
    what = f"{column} is written when the event is over, which may be after {day}"
    fix = "ask for what is known when it starts, or for events that end before (event: end)."
    return Fault(place, what, fix, "W_KNOWN_LATER", is_warning=True)


def _columns_of(cohort: Cohort, index: Index) -> Iterator[tuple[KeyPath, str]]:
    """Yield the columns that a cohort asks for and that are written after its entry."""
    if not isinstance(cohort, NativeCohort):
        return
    for number, events in enumerate(cohort.entry.any):
        found = known_later_of_event(events, index)
        yield from ((("entry", "any", number, *at), name) for at, name in found)
    for number, rule in enumerate(cohort.rules):
        key = "require" if rule.require is not None else "exclude"
        found = known_later(rule.condition, index)
        yield from ((("rules", number, key, *at), name) for at, name in found)


def _covariates_look_back(spec: StudySpec) -> Iterator[Fault]:
    """A member of a cohort entered it in the window; its rules may look on until time zero."""
    for place, number, cohort, index in _cohorts_of_covariates(spec):
        for _, what in future_of(cohort, index):
            said = f"cohort {cohort.id}: {what}; seen from time zero, that may be the future"
            fix = "use a cohort that is known on its first day, or end the window earlier."
            yield Fault(place, said, fix, "W_COVARIATE_LOOKS_AHEAD", is_warning=True)
        for at, column in _columns_of(cohort, index):
            yield _doubt_later(("cohorts", number, *at), column, "time zero of a covariate")


def _cohorts_of_covariates(
    spec: StudySpec,
) -> Iterator[tuple[KeyPath, int, NativeCohort, Index]]:
    native = [(n, c) for n, c in enumerate(spec.cohorts) if isinstance(c, NativeCohort)]
    for place, covariate in enumerate(spec.covariates):
        if isinstance(covariate, CohortCovariate):
            index = Index(start=covariate.window_end_days)
            named = [(n, cohort) for n, cohort in native if cohort.id in covariate.cohorts]
            yield from ((("covariates", place, "cohorts"), n, cohort, index) for n, cohort in named)


def _both_arms_are_kept(spec: StudySpec) -> Iterator[Fault]:
    design = spec.design
    if isinstance(design, NewUserDesign | CohortDesign) and design.in_both_arms == "drop":
        what = "who goes over to the other arm later is left out: selected by the future"
        fix = "set keep_first, and add the start of the other drug to censor_events."
        yield Fault(("design", "in_both_arms"), what, fix, "W_BOTH_ARMS", is_warning=True)


def _risk_starts_at_time_zero(spec: StudySpec) -> Iterator[Fault]:
    if spec.design is None:
        return
    start = spec.design.risk_start
    if start.anchor not in ENDS and start.offset_days <= 1:
        return
    day = f"day {start.offset_days}" if start.anchor not in ENDS else "the end of the entry"
    what = (
        f"risk starts at {day}: who has the outcome, dies or is lost before is left out, so the "
        "effect is one among those who come so far free of it (a landmark)"
    )
    fix = "start risk on day 1, or state the population of the estimand in these words."
    yield Fault(("design", "risk_start"), what, fix, "W_LANDMARK", is_warning=True)


def _days_lie_in_the_window(spec: StudySpec) -> Iterator[Fault]:
    days = _days_at_risk(spec.design) if spec.design else None
    if days is None:
        return
    for place, analysis in enumerate(spec.analyses):
        if analysis in spec.lake_analyses:
            yield from _beyond(analysis, ("analyses", place), days)


def _beyond(analysis: Analysis, place: KeyPath, days: int) -> Iterator[Fault]:
    late = [day for day in analysis.table_days if day > days]
    fix = f"name days up to {days}, or let risk_end be later."
    if late:
        what = f"days {late} lie beyond the {days} days of the risk window"
        none_left = len(late) == len(analysis.table_days)
        code = CODE if none_left else "W_BEYOND_WINDOW"
        yield Fault((*place, "table_days"), what, fix, code, is_warning=not none_left)
    if analysis.horizon_days is not None and analysis.horizon_days > days:
        what = f"day {analysis.horizon_days} lies beyond the {days} days of the risk window"
        where = (*place, "horizon_days")
        yield Fault(where, what, fix, "W_BEYOND_WINDOW", is_warning=True)


def _days_at_risk(design: Design) -> int | None:
    """Return the length of the risk window, if it is the same for everybody; both ends count."""
    start, end = design.risk_start, design.risk_end
    if start.anchor in ENDS or end.anchor in ENDS:
        return None
    return end.offset_days - start.offset_days + 1


HINDSIGHT_CHECKS: tuple[Check, ...] = (
    Check(("design", "target", "comparator", "cohorts"), _nothing_is_known_later, ("cohorts",)),
    Check(("covariates", "cohorts"), _covariates_look_back),
    Check(("design",), _both_arms_are_kept),
    Check(("design",), _risk_starts_at_time_zero),
    Check(("design", "analyses", "sources"), _days_lie_in_the_window),
)
