"""Whether rules keep those out who had an event before: what makes a person a new user."""

from collections.abc import Iterable, Iterator

from tasks.core.spec.cohorts import NativeCohort, Rule
from tasks.core.spec.conditions import Condition, Counted, Events, Group, ObservedRule, Window

LONG_DAYS = 180
"""A window that reaches back so far, or is open, holds a last prescription."""
_NARROWED = ("calendar", "where", "age", "visit", "having")


def is_new(cohort: NativeCohort, rules: Iterable[Rule] = ()) -> bool:
    """Whether persons enter a cohort at their first event, or after a time without one.

    Args:
        cohort: The cohort of an arm.
        rules: What else is judged on the day of entry, beside the cohort's own rules.
    """
    if cohort.entry.washout_days is not None:
        return True
    absent = [e for rule in (*cohort.rules, *rules) for e in _absent_by(rule)]
    return all(e.first_ever or any(_covers(a, e) for a in absent) for e in cohort.entry.any)


def asks_for_observation(rules: Iterable[Rule]) -> bool:
    """Whether some rule requires days of observation before time zero, whatever else it does."""
    return any(rule.require is not None and _is_observed(rule.require) for rule in rules)


def _is_observed(condition: Condition) -> bool:
    if isinstance(condition, Group):
        return any(_is_observed(part) for part in condition.all)
    return isinstance(condition, ObservedRule) and condition.observation.prior_days > 0


def _absent_by(rule: Rule) -> Iterator[Events]:
    if rule.require is not None:
        yield from _absent_if_true(rule.require)
    elif rule.exclude is not None:
        yield from _absent_if_false(rule.exclude)


def _absent_if_true(condition: Condition) -> Iterator[Events]:
    """Yield the events of which nobody has any who fulfils a condition."""
    if isinstance(condition, Counted) and 0 in (condition.at_most, condition.exactly):
        yield from _looked_for_long(condition)
    elif isinstance(condition, Group):
        for part in condition.all:
            yield from _absent_if_true(part)
        for part in condition.none:
            yield from _absent_if_false(part)


def _absent_if_false(condition: Condition) -> Iterator[Events]:
    """Yield the events of which nobody has any who fails a condition."""
    if isinstance(condition, Counted) and condition.at_least == 1:
        yield from _looked_for_long(condition)
    elif isinstance(condition, Group):
        for part in condition.any:
            yield from _absent_if_false(part)
        for part in condition.none:
            yield from _absent_if_true(part)


def _looked_for_long(counted: Counted) -> Iterator[Events]:
    narrowed = any(getattr(counted.events, key) for key in _NARROWED) or counted.same_visit
    if counted.within and not narrowed and all(_is_long(window) for window in counted.within):
        yield counted.events


def _is_long(window: Window) -> bool:
    """Whether a window holds all of a long time until the day before the index."""
    of_starts = window.index == window.event == "start"
    is_far = window.from_days is None or window.from_days <= -LONG_DAYS
    return of_starts and is_far and (window.to_days is None or window.to_days >= -1)


def _covers(absent: Events, entry: Events) -> bool:
    """Whether events that are absent are of the kind that opens a span."""
    drugs = all(e.domain in {"drug_exposure", "drug_era"} for e in (absent, entry))
    same_table = absent.domain == entry.domain or drugs
    first = not absent.first_ever or entry.first_ever
    return same_table and first and absent.by == entry.by and absent.code_list == entry.code_list
