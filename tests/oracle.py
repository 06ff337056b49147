"""The cohort language read by a person: plain Python over lists of rows, no SQL, no cleverness.

The second implementation against which the SQL is held. It is slow and obvious on purpose.
"""

from datetime import date, timedelta

from tasks.core.domains import domains
from tasks.core.spec.cohorts import EraEnd, EventEnd, FixedEnd, Nth
from tasks.core.spec.conditions import AgeRule, Counted, Group, ObservedRule, SexRule

SEX = {"female": 8532, "male": 8507}


class World:
    """Rows of every table by name, and the code lists by id."""

    def __init__(self, tables, lists, codes=()):
        self.tables, self.lists, self.codes = tables, lists, codes

    def rows(self, table, person):
        return [row for row in self.tables.get(table, ()) if row["person_id"] == person]

    def person(self, person):
        return next(row for row in self.tables["person"] if row["person_id"] == person)


def day_of(value):
    return value.date() if hasattr(value, "hour") else value


def plus(day, days):
    return day + timedelta(days=days)


def born(person):
    month, day = person.get("month_of_birth"), person.get("day_of_birth")
    if person.get("birth_datetime") is not None:
        month = month or person["birth_datetime"].month
        day = day or person["birth_datetime"].day
    if month is None:
        return date(person["year_of_birth"], 7, 1)
    day = day or 15
    while True:
        try:
            return date(person["year_of_birth"], month, day)
        except ValueError:
            day -= 1


def has_age(age, person, day):
    years = day.year - person["year_of_birth"]
    if age.method == "exact":
        birth = born(person)
        years -= (day.month, day.day) < (birth.month, birth.day)
    return (
        (age.at_least is None or years >= age.at_least)
        and (age.at_most is None or years <= age.at_most)
        and (age.more_than is None or years > age.more_than)
        and (age.less_than is None or years < age.less_than)
    )


def in_period(day, period):
    return (period.start is None or day >= period.start) and (
        period.end is None or day <= period.end
    )


def in_list(world, row, domain, code_list, by):
    column = domain.concept if by == "concept" else domain.source_concept
    if row.get(column) in world.lists.get(code_list, ()):
        return True
    text = row.get(domain.source_value) if domain.source_value else None
    if text is None:
        return False
    plain = text.strip().replace(".", "").upper()
    day = day_of(row[domain.start])
    return any(
        (plain.startswith(code) if is_prefix else plain == code)
        and (start is None or day >= start)
        and (end is None or day <= end)
        for name, code, is_prefix, start, end in world.codes
        if name == code_list
    )


def fulfils(row, where):
    value = row.get(where.column)
    value = day_of(value) if value is not None else None
    if where.is_missing is not None and where.is_missing != (value is None):
        return False
    if not where.values and not where.more_than_column and not where.less_than_column:
        return True
    if value is None:
        return False
    others = [row.get(where.more_than_column), row.get(where.less_than_column)]
    return (
        (where.equals is None or value == where.equals)
        and (not where.is_in or value in where.is_in)
        and (not where.not_in or value not in where.not_in)
        and (where.at_least is None or value >= where.at_least)
        and (where.at_most is None or value <= where.at_most)
        and (where.more_than is None or value > where.more_than)
        and (where.less_than is None or value < where.less_than)
        and (not where.more_than_column or (others[0] is not None and value > others[0]))
        and (not where.less_than_column or (others[1] is not None and value < others[1]))
    )


def order_of_records(event):
    """The first of a person: by day, then the longest, then by visit and concept, none before some."""
    numbers = [-1 if event[key] is None else event[key] for key in ("visit", "concept")]
    return (event["start"], -event["end"].toordinal(), *numbers)


def events_of(world, events, person):
    """Events of one person as dicts: start, end, visit, concept."""
    domain, found = domains()[events.domain], []
    for row in world.rows(events.domain, person):
        if row.get(domain.start) is None:
            continue
        if events.code_list and not in_list(world, row, domain, events.code_list, events.by):
            continue
        if not all(fulfils(row, where) for where in events.where):
            continue
        visit = row.get(domain.visit) if domain.visit else None
        if events.visit and not any(
            v["visit_occurrence_id"] == visit
            and v["visit_concept_id"] in world.lists.get(events.visit, ())
            for v in world.rows("visit_occurrence", person)
        ):
            continue
        start = day_of(row[domain.start])
        end = day_of(row[domain.end]) if domain.end and row.get(domain.end) else start
        concept = row.get(domain.concept) if domain.concept else None
        found.append({"start": start, "end": max(start, end), "visit": visit, "concept": concept})
    if events.first_ever and found:
        found = [min(found, key=order_of_records)]
    if events.calendar:
        found = [e for e in found if in_period(e["start"], events.calendar)]
    if events.age:
        found = [e for e in found if has_age(events.age, world.person(person), e["start"])]
    if events.having is not None:
        found = [e for e in found if holds(world, events.having, observed(world, person, e))]
    return found


def observed(world, person, event):
    """The event as an index: with its person and the observation period around its start."""
    stretches = merged(
        [
            (row["observation_period_start_date"], row["observation_period_end_date"])
            for row in world.rows("observation_period", person)
        ],
        0,
    )
    periods = [(start, end) for start, end in stretches if start <= event["start"] <= end]
    return {
        **event,
        "person": person,
        "from": min((p[0] for p in periods), default=None),
        "to": max((p[1] for p in periods), default=None),
    }


def counts(world, counted, index):
    chosen = []
    for event in events_of(world, counted.events, index["person"]):
        if counted.observed_only and (
            index["from"] is None or not index["from"] <= event["start"] <= index["to"]
        ):
            continue
        if counted.same_visit and (event["visit"] is None or event["visit"] != index["visit"]):
            continue
        if all(in_window(window, event, index) for window in counted.within):
            chosen.append(event)
    if counted.distinct is None:
        return len(chosen)
    key = {"day": "start", "concept": "concept", "visit": "visit"}[counted.distinct]
    return len({event[key] for event in chosen} - {None})


def in_window(window, event, index):
    day, zero = event[window.event], index[window.index]
    return (window.from_days is None or day >= plus(zero, window.from_days)) and (
        window.to_days is None or day <= plus(zero, window.to_days)
    )


def holds(world, condition, index):
    match condition:
        case Counted():
            n = counts(world, condition, index)
            if condition.at_least is not None:
                return n >= condition.at_least
            return (
                n <= condition.at_most if condition.at_most is not None else n == condition.exactly
            )
        case AgeRule():
            return has_age(condition.age, world.person(index["person"]), index["start"])
        case SexRule():
            wanted = {SEX.get(s, s) for s in condition.sex}
            return world.person(index["person"])["gender_concept_id"] in wanted
        case ObservedRule():
            around = condition.observation
            return index["from"] is not None and (
                plus(index["from"], around.prior_days)
                <= index["start"]
                <= plus(index["to"], -around.post_days)
            )
        case Group():
            truths = [holds(world, part, index) for part in condition.parts]
            if condition.all:
                return all(truths)
            if condition.any:
                return any(truths)
            if condition.none:
                return not any(truths)
            if condition.at_least is not None:
                return sum(truths) >= condition.at_least
            return sum(truths) <= condition.at_most


def chosen_by(limit, openings):
    if limit == "all" or not openings:
        return openings
    days = sorted({o["start"] for o in openings}, reverse=limit == "last")
    place = limit.nth - 1 if isinstance(limit, Nth) else 0
    if place >= len(days):
        return []
    of_day = [o for o in openings if o["start"] == days[place]]
    return [max(of_day, key=lambda o: o["end"])]


def opened(world, cohort, person):
    entry = cohort.entry
    events = {
        (e["start"], e["end"], e["visit"]): e
        for events in entry.any
        for e in events_of(world, events, person)
    }
    found = sorted(events.values(), key=lambda e: (e["start"], e["end"], e["visit"] or -1))
    all_days = [e["start"] for e in found]
    if entry.calendar:
        found = [e for e in found if in_period(e["start"], entry.calendar)]
    if entry.washout_days:
        found = [
            e
            for e in found
            if not any(plus(e["start"], -entry.washout_days) <= d < e["start"] for d in all_days)
        ]
    found = [observed(world, person, e) for e in found]
    if entry.observation != "not_required":
        rule = ObservedRule(observation=entry.observation)
        found = [e for e in found if holds(world, rule, e)]
    return chosen_by(entry.limit, found)


def eras(world, end, person):
    spans = []
    for row in world.rows("drug_exposure", person):
        if in_list(world, row, domains()["drug_exposure"], end.code_list, "concept"):
            start = row["drug_exposure_start_date"]
            last = row["drug_exposure_end_date"] or start
            last = plus(start, end.days_supply) if end.days_supply else max(start, last)
            spans.append((start, last))
    return merged(spans, end.gap_days)


def merged(spans, gap):
    out = []
    for start, end in sorted(spans):
        if out and start <= plus(out[-1][1], gap):
            out[-1] = (out[-1][0], max(out[-1][1], end))
        else:
            out.append((start, end))
    return out


def end_of(world, cohort, person, index):
    end = cohort.end
    match end:
        case FixedEnd():
            day = plus(index[end.anchor], end.offset_days)
        case EventEnd():
            day = index["end"]
        case EraEnd():
            around = [e for s, e in eras(world, end, person) if s <= index["start"] <= e]
            day = plus(around[0], end.surveillance_days) if around else index["start"]
        case _:
            day = index["to"]
    days = [day] + ([index["to"]] if index["to"] is not None else [])
    for events in cohort.censor_at:
        days += [
            e["start"] for e in events_of(world, events, person) if e["start"] >= index["start"]
        ]
    return max(index["start"], min(days))


def spans_of(world, cohort):
    """Return the spans of a cohort as a sorted list of (person, start, end)."""
    out = []
    for person in sorted(row["person_id"] for row in world.tables["person"]):
        kept = [
            index
            for index in opened(world, cohort, person)
            if all(
                holds(world, rule.condition, index) == (rule.require is not None)
                for rule in cohort.rules
            )
        ]
        kept = chosen_by(cohort.keep, kept)
        spans = [(index["start"], end_of(world, cohort, person, index)) for index in kept]
        for start, end in merged(spans, cohort.collapse_gap_days):
            if cohort.clip:
                start = max(start, cohort.clip.start or start)
                end = min(end, cohort.clip.end or end)
            if start <= end:
                out.append((person, start, end))
    return out
