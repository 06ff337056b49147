"""The graphical framework of a study: what is looked at when, in days around time zero."""

from collections.abc import Iterator
from typing import Any

from tasks.core.spec.cohorts import End, EraEnd, EventEnd, FixedEnd, NativeCohort, Rule
from tasks.core.spec.conditions import (
    AgeRule,
    Counted,
    Group,
    Observed,
    ObservedRule,
    SexRule,
    Window,
)
from tasks.core.spec.design import DeviceShownDesign, GraceDesign, NewUserDesign
from tasks.report.diagrams import Bar, Lane, Timeline
from tasks.report.voice import Voice

LONG_AGO = -36_500
ENDS = ("era_end", "cohort_end")
_AT_ZERO = (Bar(0, 0),)


def timelines(voice: Voice) -> list[tuple[str, Timeline]]:
    """Return every timeline of a study with the id of its picture: the trial's, and each cohort's.

    A cohort that stands in a file of another language has none.
    """
    trial = [("design", trial_timeline(voice))] if voice.spec.has_trial else []
    return trial + [
        (f"cohort_{cohort.id}", cohort_timeline(voice, cohort))
        for cohort in voice.spec.cohorts
        if isinstance(cohort, NativeCohort)
    ]


def trial_timeline(voice: Voice) -> Timeline:
    """Return the timeline of a comparison."""
    lanes = (*eligibility(voice), *assignment(voice), *covariates(voice), *follow_up(voice))
    return Timeline(
        title=voice("time.zero"),
        below=time_zero(voice),
        lanes=lanes,
        axis=voice("time.axis"),
        axis_note=voice("time.axis_note"),
        description=_described(lanes),
    )


def time_zero(voice: Voice) -> str:
    """Say what day time zero is."""
    design, (target, comparator) = voice.spec.trial.design, voice.arms
    if isinstance(design, NewUserDesign):
        return voice("time.zero_new_user", target=target, comparator=comparator)
    if isinstance(design, DeviceShownDesign):
        return voice("time.zero_image", image=voice.zero.code_list(design.image))
    if isinstance(design, GraceDesign):
        return voice("time.zero_grace", cohort=voice.cohort_name(design.entry_cohort))
    return voice("time.zero_cohorts", target=target, comparator=comparator)


def eligibility(voice: Voice) -> Iterator[Lane]:
    """Yield what a person must fulfil at time zero."""
    design, group, (target, comparator) = (
        voice.spec.trial.design,
        voice("group.eligible"),
        voice.arms,
    )
    if isinstance(design, DeviceShownDesign):
        dates = f"{design.enrolment.start} – {design.enrolment.end}"
        yield Lane(group, voice("lane.calendar"), dates, (), "calendar")
    if isinstance(design, NewUserDesign):
        detail = voice("lane.new_user_detail", target=target, comparator=comparator)
        yield Lane(group, voice("lane.new_user"), detail, (Bar(None, -1),), "observe")
    if days := getattr(design, "prior_observation_days", 0):
        detail = voice("lane.observation_detail", days=voice.zero.days(days))
        yield Lane(group, voice("lane.observation"), detail, (Bar(-days, 0),), "observe")
    if washout := outcome_washout(design):
        detail = voice("lane.washout_detail", outcome=voice.outcome)
        yield Lane(group, voice("lane.washout"), detail, (Bar(*washout),), "washout")
    for rule in rules_of(design):
        yield _rule_lane(voice, rule, group, "zero")


def rules_of(design: Any) -> tuple[Rule, ...]:
    """Return the eligibility rules of a design; none where it has no such key."""
    return tuple(getattr(design, "eligibility", None) or ())


def outcome_washout(design: Any) -> tuple[int, int] | None:
    """Return first and last day on which an outcome excludes, as far as they are fixed days."""
    start = getattr(design, "risk_start", None)
    prior = getattr(design, "prior_outcome_days", None)
    if start is None or prior is None:
        return None
    last = start.offset_days - 1 if start.anchor not in ENDS else -1
    return (-prior, last) if -prior <= last else None


def assignment(voice: Voice) -> Iterator[Lane]:
    """Yield when the arm of a person is decided, and how long it may take to begin."""
    group, design = voice("group.exposure"), voice.spec.trial.design
    detail = " / ".join(voice.arms)
    yield Lane(group, voice("lane.assignment"), detail, _AT_ZERO, "zero")
    if days := getattr(design, "grace_period_days", None):
        bars = (Bar(0, days),)
        yield Lane(group, voice("lane.grace"), voice.zero.days(days), bars, "observe")


def covariates(voice: Voice) -> Iterator[Lane]:
    """Yield when each covariate is assessed; those of the same day share a lane."""
    group, fixed = voice("group.covariates"), []
    for covariate in voice.spec.covariates:
        window = window_of(covariate)
        if window is None:
            fixed.append(covariate)
            continue
        name = voice.term("covariate", getattr(covariate, "kind", covariate.id))
        bars = (bar_of_window(window),)
        yield Lane(group, name, _names_in(voice, covariate), bars, "covariate")
    if fixed:
        names = ", ".join(_told_apart(voice, fixed))
        yield Lane(group, voice("lane.at_zero"), names, _AT_ZERO, "covariate")


def _told_apart(voice: Voice, covariates: list[Any]) -> Iterator[str]:
    """Yield what covariates are called; those of the same kind with their ids."""
    names = [voice.term("covariate", getattr(item, "kind", item.id)) for item in covariates]
    for name, item in zip(names, covariates, strict=True):
        yield f"{name} ({item.id})" if names.count(name) > 1 else name


def bar_of_window(window: tuple[int | None, int | None]) -> Bar:
    """Return the days of a window; one that begins in all eternity is open."""
    return Bar(_or_open(window[0]), window[1])


def window_of(covariate: Any) -> tuple[int | None, int | None] | None:
    """Return the days in which a covariate is assessed; None for one of time zero alone."""
    start = getattr(covariate, "window_start_days", None)
    end = getattr(covariate, "window_end_days", None)
    if start is not None or end is not None:
        return start, end
    window = getattr(covariate, "window", None)
    return (window.from_days, window.to_days) if isinstance(window, Window) else None


def _or_open(day: int | None) -> int | None:
    """A window of a hundred years is all that is recorded."""
    return None if day is not None and day <= LONG_AGO else day


def _names_in(voice: Voice, covariate: Any) -> str:
    """Name what a covariate looks for, or leaves out; its id where it says neither."""
    if excluded := getattr(covariate, "exclude", ()):
        listed = ", ".join(voice.zero.code_list(name) for name in excluded)
        return voice("lane.except", lists=listed)
    named = getattr(covariate, "code_lists", None) or getattr(covariate, "code_list", None)
    lists = (named,) if isinstance(named, str) else tuple(named or ())
    return ", ".join(voice.zero.code_list(name) for name in lists) or str(covariate.id)


def follow_up(voice: Voice) -> Iterator[Lane]:
    """Yield when outcomes count, and what ends follow-up before that."""
    group, design = voice("group.follow_up"), voice.spec.trial.design
    yield Lane(group, voice("lane.risk"), voice.outcome, (_risk(voice, design),), "risk")
    detail, last = " · ".join(endings(voice)), _last_day(design.risk_end)
    yield Lane(group, voice("lane.ends"), detail, (_until(last),), "censor")


def _last_day(anchor: Any) -> int | None:
    """Return the last day of a window; None where it hangs on the exposure."""
    return None if anchor.anchor in ENDS else int(anchor.offset_days)


def _until(last: int | None) -> Bar:
    """Return the days from time zero on which something may end, at the latest on `last`."""
    return Bar(0, last, "" if last is None else f"[0,\N{NO-BREAK SPACE}≤ {last}]")


def _risk(voice: Voice, design: Any) -> Bar:
    """Return the bar of the risk window; an end that hangs on the exposure is left open."""
    start, end = design.risk_start, design.risk_end
    low = anchor_day(voice, start) if start.anchor in ENDS else str(start.offset_days)
    high = anchor_day(voice, end) if end.anchor in ENDS else str(end.offset_days)
    first = max(start.offset_days, 0)
    return Bar(first, _last_day(end), f"[{low},\N{NO-BREAK SPACE}{high}]")


def anchor_day(voice: Voice, anchor: Any) -> str:
    """Write a day that counts from its anchor: `end of exposure + 30`."""
    days = int(anchor.offset_days)
    shift = "" if days == 0 else f" + {days}" if days > 0 else f" − {-days}"
    return voice.term("anchor", anchor.anchor) + shift


def endings(voice: Voice) -> list[str]:
    """Return everything that ends follow-up."""
    design = voice.spec.trial.design
    ends = [voice("ends.risk"), voice("ends.observation")]
    if design.competing == "death":
        ends.append(voice("ends.death"))
    return [
        *ends,
        *(_ending(voice, event) for event in getattr(design, "censor_events", None) or ()),
    ]


def _ending(voice: Voice, event: Any) -> str:
    """Name an event that censors: an event, a code list, or a block that names one."""
    if isinstance(event, str):
        return voice.zero.code_list(event)
    if hasattr(event, "domain"):
        return voice.zero.events(event)
    return str(getattr(event, "id", event))


def cohort_timeline(voice: Voice, cohort: NativeCohort) -> Timeline:
    """Return the timeline of one cohort around its entry."""
    lanes = (*_entry_lanes(voice, cohort), *_rule_lanes(voice, cohort), *_end_lanes(voice, cohort))
    name = voice.text(cohort.name) or cohort.id
    return Timeline(
        title=voice("time.entry", cohort=name),
        below=voice.cohort.any_of(cohort.entry.any),
        lanes=lanes,
        axis=voice("time.axis_entry"),
        axis_note=voice("time.axis_note"),
        description=_described(lanes),
    )


def _entry_lanes(voice: Voice, cohort: NativeCohort) -> Iterator[Lane]:
    entry, group, phrases = cohort.entry, voice("group.entry"), voice.cohort
    if entry.calendar:
        yield Lane(group, voice("lane.calendar"), phrases.period(entry.calendar), (), "calendar")
    if isinstance(entry.observation, Observed):
        bars = (Bar(-entry.observation.prior_days, entry.observation.post_days),)
        detail = phrases.observed(entry.observation)
        yield Lane(group, voice("lane.observed"), detail, bars, "observe")
    if days := entry.washout_days:
        detail = phrases.say("entry.washout", days=phrases.days(days))
        yield Lane(group, voice("lane.entry_washout"), detail, (Bar(-days, -1),), "washout")
    yield Lane(group, voice("lane.limit"), phrases.limit(entry), _AT_ZERO, "zero")


def _rule_lanes(voice: Voice, cohort: NativeCohort) -> Iterator[Lane]:
    return (_rule_lane(voice, rule, voice("group.rules"), "cohort") for rule in cohort.rules)


def _rule_lane(voice: Voice, rule: Rule, group: str, index: str) -> Lane:
    phrases = voice.zero if index == "zero" else voice.cohort
    name = f"{phrases.part_of(rule)}: {voice.text(rule.name) or rule.id}"
    look = "covariate" if rule.require is not None else "washout"
    return Lane(
        group, name, phrases.condition(rule.condition), tuple(bars_of(rule.condition)), look
    )


def bars_of(condition: Any) -> Iterator[Bar]:
    """Yield where around the index a condition looks, each place once and in its order."""
    yield from dict.fromkeys(_bars_of(condition))


def _bars_of(condition: Any) -> Iterator[Bar]:
    match condition:
        case Counted():
            yield _bar_of(condition.within)
        case AgeRule() | SexRule():
            yield Bar(0, 0)
        case ObservedRule(observation=observed):
            yield Bar(-observed.prior_days, observed.post_days)
        case Group():
            for part in condition.parts:
                yield from _bars_of(part)


def _bar_of(windows: tuple[Window, ...]) -> Bar:
    """Return the days of a count: where all of its windows from the start of the index meet."""
    near = [window for window in windows if window.index == "start"]
    lows = [day for w in near if (day := _or_open(w.from_days)) is not None]
    highs = [w.to_days for w in near if w.to_days is not None]
    low, high = max(lows, default=None), min(highs, default=None)
    return Bar(low, high) if low is None or high is None or low <= high else Bar(None, None)


def _end_lanes(voice: Voice, cohort: NativeCohort) -> Iterator[Lane]:
    group, phrases = voice("group.end"), voice.cohort
    bar = span_bar(voice, cohort.end)
    yield Lane(group, voice("lane.span"), phrases.end(cohort.end), (bar,), "risk")
    further = " ".join(phrases.ends(cohort)[1:])
    if cohort.censor_at or cohort.collapse_gap_days or cohort.clip:
        bar = _until(bar.end) if bar.end is not None else bar
        yield Lane(group, voice("lane.censoring"), further, (bar,), "censor")


def span_bar(voice: Voice, end: End) -> Bar:
    """Return the days of a span: to a fixed day, to the end of a record, or open."""
    match end:
        case FixedEnd(anchor="start"):
            return Bar(0, end.offset_days)
        case FixedEnd() | EventEnd():
            days = getattr(end, "offset_days", 0)
            last = voice("lane.record_end") + (f" + {days}" if days else "")
            return Bar(0, None, f"[0,\N{NO-BREAK SPACE}{last}]", brief=True)
        case EraEnd():
            return Bar(0, None, f"[0,\N{NO-BREAK SPACE}{voice('lane.era_end')}]")
        case _:
            return Bar(0, None)


def _described(lanes: tuple[Lane, ...]) -> str:
    return "; ".join(f"{lane.group}: {lane.name}: {lane.detail}" for lane in lanes)
