"""Designs that mislead: what is refused, and what a reviewer should be told.

A comparison is fair when time zero, eligibility and assignment fall on one day, and nothing after
that day decides who is in it. Each check names the bias, the key and the way out.
"""

from collections.abc import Iterator

from tasks.core.spec.cohorts import CirceCohort, Cohort, NativeCohort, SqlCohort
from tasks.core.spec.conditions import Condition, Counted, Events, Group, events_of, with_nested
from tasks.core.spec.design import (
    ENDS,
    CohortArm,
    CohortOutcome,
    ConditionOutcome,
    DeviceShownDesign,
    DrugArm,
    GraceDesign,
    NewUserDesign,
)
from tasks.core.spec.earlier_use import asks_for_observation, is_new
from tasks.core.spec.faults import Check, Fault, KeyPath
from tasks.core.spec.looking_ahead import TIME_ZERO, Index, ahead, ahead_of_event, last_day
from tasks.core.spec.whole import StudySpec

CODE, IMMORTAL = "E_SPEC_DESIGN", "E_SPEC_IMMORTAL_TIME"
STEPS_OF_DESIGN = frozenset(
    "records with_code in_cohort first_era first_image first_span in_observation in_one_arm "
    "in_common_period has_prior_observation has_no_prior_outcome has_time_at_risk "
    "not_started_before".split()
)
"""Names of the attrition's own steps; a rule of eligibility has another."""
ENTRY, TREATMENT = "entry_cohort", "treatment_cohort"
_OF_THE_DEVICE = ("device_inference", "device_reading", "reference_standard")


def lists_of_design(spec: StudySpec) -> Iterator[tuple[KeyPath, str]]:
    """Yield the code lists that eligibility, populations and censoring name, with their places."""
    if spec.design is None:
        return
    for place, condition in conditions_at_time_zero(spec):
        yield from ((place, name) for events in events_of(condition) for name in _lists(events))
    for number, censoring in enumerate(spec.design.censor_events):
        for events in with_nested(censoring):
            yield from ((("design", "censor_events", number), name) for name in _lists(events))


def _lists(events: Events) -> tuple[str, ...]:
    return tuple(name for name in (events.code_list, events.visit) if name)


def conditions_at_time_zero(spec: StudySpec) -> Iterator[tuple[KeyPath, Condition]]:
    """Yield every condition of the design that is judged at time zero, with its place."""
    design = spec.design
    if design is None:
        return
    for number, rule in enumerate(design.eligibility):
        key = "require" if rule.require is not None else "exclude"
        yield ("design", "eligibility", number, key), rule.condition
    for number, population in enumerate(design.populations):
        yield ("design", "populations", number, "require"), population.require


def _nothing_looks_after_time_zero(spec: StudySpec) -> Iterator[Fault]:
    for place, condition in conditions_at_time_zero(spec):
        for item in ahead(condition):
            what = f"{item.what}, after time zero: who is let in would depend on the future"
            yield _immortal((*place, *item.place), what)
    for number, covariate in enumerate(spec.covariates):
        days = getattr(covariate, "window_end_days", None)
        if isinstance(days, int) and days > 0:
            what = f"the window reaches to day {days}: a covariate from after time zero"
            yield _immortal(("covariates", number, "window_end_days"), what)


def _immortal(place: KeyPath, what: str) -> Fault:
    fix = "end every window at or before time zero (to_days: 0 or less, index: start)."
    return Fault(place, what, fix, IMMORTAL)


def _rules_have_names_of_their_own(spec: StudySpec) -> Iterator[Fault]:
    for number, rule in enumerate(spec.design.eligibility if spec.design else ()):
        if rule.id in STEPS_OF_DESIGN:
            what = f"rule id {rule.id} is a step that every attrition has"
            where = ("design", "eligibility", number, "id")
            yield Fault(where, what, "rename the rule.", CODE)


def _cohorts_are_known(spec: StudySpec) -> Iterator[Fault]:
    known = sorted(cohort.id for cohort in spec.cohorts)
    for role in ("target", "comparator", "outcome"):
        item = getattr(spec, role)
        if isinstance(item, CohortArm | CohortOutcome) and item.cohort not in known:
            what = f"cohort {item.cohort!r} is used but not defined"
            fix = f"define it under cohorts, or name one of {known}."
            yield Fault((role, "cohort"), what, fix)


def _cohorts_are_no_arms(spec: StudySpec) -> Iterator[Fault]:
    """Both stand in the attrition under their names."""
    arms = {arm.id for arm in (spec.target, spec.comparator) if arm is not None}
    for number, cohort in enumerate(spec.cohorts):
        if cohort.id in arms:
            what = f"cohort {cohort.id} has the name of an arm"
            yield Fault(("cohorts", number, "id"), what, "rename the cohort.", CODE)


def arms_by_cohort(spec: StudySpec) -> Iterator[tuple[str, int, Cohort]]:
    """Yield the cohorts that decide who enters which arm: role, place among the cohorts, cohort."""
    arms = {role: getattr(spec, role) for role in ("target", "comparator")}
    named = {role: arm.cohort for role, arm in arms.items() if isinstance(arm, CohortArm)}
    if isinstance(spec.design, GraceDesign):
        named = {ENTRY: spec.design.entry_cohort, TREATMENT: spec.design.treatment_cohort}
    for role, name in named.items():
        yield from ((role, n, cohort) for n, cohort in enumerate(spec.cohorts) if cohort.id == name)


def _arms_demand_no_future(spec: StudySpec) -> Iterator[Fault]:
    for role, number, cohort in arms_by_cohort(spec):
        if isinstance(cohort, NativeCohort):
            for place, what in future_of(cohort):
                said = f"{what}; as {role} it makes its persons immortal until then"
                fix = (
                    "let nothing after the entry decide who enters; follow-up deals with the rest."
                )
                yield Fault(("cohorts", number, *place), said, fix, IMMORTAL)


def future_of(cohort: NativeCohort, index: Index = TIME_ZERO) -> Iterator[tuple[KeyPath, str]]:
    """Yield what in a cohort is known only after time zero.

    Args:
        cohort: The cohort.
        index: When, relative to time zero, its members enter at the latest.
    """
    entry = cohort.entry
    days = 0 if entry.observation == "not_required" else entry.observation.post_days
    if days > 0 and days + index.start > 0:
        yield (
            ("entry", "observation", "post_days"),
            f"entry demands {days} days of later observation",
        )
    if entry.limit == "last":
        yield ("entry", "limit"), "the last event is known only when no other follows"
    if cohort.keep == "last":
        yield ("keep",), "the last span is known only when no other follows"
    for place, events in enumerate(entry.any):
        for item in ahead_of_event(events, index):
            yield ("entry", "any", place, *item.place), f"entry {item.what}"
    for place, rule in enumerate(cohort.rules):
        key = "require" if rule.require is not None else "exclude"
        for item in ahead(rule.condition, index):
            yield ("rules", place, key, *item.place), f"rule {rule.id} {item.what}"


def _outcome_is_no_entry(spec: StudySpec) -> Iterator[Fault]:
    """The outcome may not be what brings persons into an arm."""
    concepts, place = _outcome_concepts(spec)
    for role, name in _entry_lists(spec):
        if concepts & _concepts(spec, name):
            what = (
                f"code list {name}, by which persons enter, holds concepts of the outcome ({role})"
            )
            yield Fault(place, what, "give the outcome codes of its own.", CODE)
    if isinstance(spec.outcome, CohortOutcome):
        for role in ("target", "comparator"):
            arm = getattr(spec, role)
            if isinstance(arm, CohortArm) and arm.cohort == spec.outcome.cohort:
                what = f"the outcome is the cohort of the {role}"
                yield Fault(("outcome", "cohort"), what, "name another cohort.", CODE)


def _entry_lists(spec: StudySpec) -> Iterator[tuple[str, str]]:
    """Yield the code lists by which persons enter, with the block that names them."""
    if isinstance(spec.design, DeviceShownDesign):
        yield "image", spec.design.image
    for role in ("target", "comparator"):
        if isinstance(arm := getattr(spec, role), DrugArm):
            yield role, arm.code_list
    for role, _, cohort in arms_by_cohort(spec):
        if isinstance(cohort, NativeCohort):
            yield from ((role, e.code_list) for e in cohort.entry.any if e.code_list)


def _outcome_concepts(spec: StudySpec) -> tuple[set[int], KeyPath]:
    outcome = spec.outcome
    if isinstance(outcome, ConditionOutcome):
        return _concepts(spec, outcome.code_list), ("outcome", "code_list")
    by_id = {cohort.id: cohort for cohort in spec.cohorts}
    cohort = by_id.get(outcome.cohort) if outcome else None
    if not isinstance(cohort, NativeCohort):
        return set(), ("outcome",)
    lists = [events.code_list for events in cohort.entry.any if events.code_list]
    return {c for name in lists for c in _concepts(spec, name)}, ("outcome", "cohort")


def _concepts(spec: StudySpec, code_list: str) -> set[int]:
    lists = [item for item in spec.code_lists if item.id == code_list]
    return {item.concept for named in lists for item in named.items if not item.exclude}


def _nothing_of_the_device_selects(spec: StudySpec) -> Iterator[Fault]:
    """Whether the inference succeeded, and what it gave, is known only after assignment."""
    if not isinstance(spec.design, DeviceShownDesign):
        return
    for place, condition in conditions_at_time_zero(spec):
        for domain in sorted(set(_at_time_zero(condition))):
            what = f"selects by {domain} on the day of the image, which follows assignment"
            fix = "let in every eligible person, whether or not the inference succeeded."
            yield Fault(place, what, fix, CODE)


def _at_time_zero(condition: Condition) -> Iterator[str]:
    """Yield the tables of the device that a condition looks at on the day of the image or later."""
    if isinstance(condition, Group):
        for part in condition.parts:
            yield from _at_time_zero(part)
    elif isinstance(condition, Counted):
        last = last_day(condition)
        if last is None or last >= 0:
            found = with_nested(condition.events)
            yield from (e.domain for e in found if e.domain in _OF_THE_DEVICE)


def _death_is_seen_where_it_competes(spec: StudySpec) -> Iterator[Fault]:
    design = spec.design
    if design is None:
        return
    source = design.observability.death.source
    if design.competing == "death" and source == "not_observed":
        what = "death competes, but is not observed"
        yield Fault(("design", "competing"), what, "set competing: none, or link deaths.", CODE)
    if design.competing == "none" and source != "not_observed":
        what = "death is observed but does not compete: the dead count as if lost to follow-up"
        fix = "set competing: death, and read cumulative incidences."
        yield _doubt(("design", "competing"), what, fix, "W_COMPETING")


def _outcome_is_observed(spec: StudySpec) -> Iterator[Fault]:
    if spec.design is not None and spec.design.observability.outcome.source == "not_observed":
        where = ("design", "observability", "outcome", "source")
        yield Fault(where, "the outcome is not observed", "say where it is seen.", CODE)


def _new_users_are_new(spec: StudySpec) -> Iterator[Fault]:
    design = spec.design
    eligibility = design.eligibility if design else ()
    is_observed = asks_for_observation(eligibility)
    if isinstance(design, NewUserDesign) and not (design.prior_observation_days or is_observed):
        what = "no observation before the first era: persons may have used the drug before"
        fix = "ask for as many days as a prescription may last, and more."
        yield _doubt(("design", "prior_observation_days"), what, fix, "W_PREVALENT_USERS")
    for role, number, cohort in arms_by_cohort(spec):
        if role == TREATMENT:  # who started before time zero is left out
            continue
        if isinstance(cohort, NativeCohort) and not is_new(cohort, eligibility):
            what = f"nothing keeps those out who had the event of the {role} before"
            fix = (
                "add washout_days to its entry, first_ever to its events, or a rule that excludes "
                "earlier use."
            )
            yield _doubt(("cohorts", number, "entry"), what, fix, "W_PREVALENT_USERS")


def _rules_of_arms_can_be_read(spec: StudySpec) -> Iterator[Fault]:
    for role, number, cohort in arms_by_cohort(spec):
        if isinstance(cohort, CirceCohort | SqlCohort):
            what = f"the rules of the {role} are not ours to read: nobody checked for later events"
            fix = "make sure that nothing after the entry decides who enters."
            yield _doubt(("cohorts", number), what, fix, "W_UNREAD_RULES")


def _prior_outcomes_are_dropped(spec: StudySpec) -> Iterator[Fault]:
    if spec.design is not None and spec.design.prior_outcome_days == 0:
        what = "persons who had the outcome before time zero stay in"
        fix = "set so many days that a record after time zero is a new event."
        yield _doubt(("design", "prior_outcome_days"), what, fix, "W_PRIOR_OUTCOME")


def _risk_does_not_start_at_once(spec: StudySpec) -> Iterator[Fault]:
    if spec.design is None:
        return
    start = spec.design.risk_start
    if start.anchor not in ENDS and start.offset_days == 0:
        what = "an outcome on the day of time zero counts, though it may be why that day came"
        fix = "start risk on day 1, unless the order within the day is known."
        yield _doubt(("design", "risk_start"), what, fix, "W_REVERSE_CAUSATION")


def _device_is_the_approved_one(spec: StudySpec) -> Iterator[Fault]:
    if not isinstance(spec.design, DeviceShownDesign) or spec.device is None:
        return
    if spec.device.approval_number is None:
        what = "the device has no approval number"
        yield _doubt(("device",), what, "add approval_number.", "W_APPROVAL")
    said = spec.design.strategies.target.en.lower()
    if "threshold" not in said and "operating point" not in said:
        what = "the strategy does not say at which threshold the device ran"
        fix = "state the approved version and threshold."
        yield _doubt(("design", "strategies", "target"), what, fix, "W_APPROVAL")


def _doubt(place: KeyPath, what: str, fix: str, code: str) -> Fault:
    return Fault(place, what, fix, code, is_warning=True)


_ROLES = ("design", "target", "comparator", "outcome")
DESIGN_CHECKS: tuple[Check, ...] = (
    Check(("design", "covariates"), _nothing_looks_after_time_zero, ("covariates",)),
    Check(("design",), _rules_have_names_of_their_own),
    Check((*_ROLES[1:], "cohorts"), _cohorts_are_known, ("cohorts",)),
    Check(("target", "comparator", "cohorts"), _cohorts_are_no_arms, ("cohorts",)),
    Check((*_ROLES[:3], "cohorts"), _arms_demand_no_future, ("cohorts",)),
    Check((*_ROLES, "cohorts", "code_lists"), _outcome_is_no_entry, ("cohorts",)),
    Check(("design",), _nothing_of_the_device_selects),
    Check(("design",), _outcome_is_observed),
    Check(("design",), _death_is_seen_where_it_competes),
    Check((*_ROLES[:3], "cohorts"), _new_users_are_new),
    Check((*_ROLES[:3], "cohorts"), _rules_of_arms_can_be_read),
    Check(("design",), _prior_outcomes_are_dropped),
    Check(("design",), _risk_does_not_start_at_once),
    Check(("design", "device"), _device_is_the_approved_one),
)
