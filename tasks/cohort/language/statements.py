"""A native cohort as statements: what opens spans, each rule, what closes them. Pure text."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tasks.cohort.language.conditions import (
    Query,
    events_step,
    judging,
    observed_index,
    truth_of,
)
from tasks.cohort.language.render import (
    conditions,
    domain_of,
    in_list,
    literal,
    shifted,
    within,
)
from tasks.core.spec.cohorts import Entry, EraEnd, EventEnd, FixedEnd, NativeCohort, Nth, Rule

_SPAN = "index_id, person_id, start_date, end_date, visit_occurrence_id"


@dataclass(frozen=True, slots=True)
class Statement:
    """One step: the table of schema `cohort` that it makes, and the SELECT that fills it.

    `counts`: the table's rows and persons are a step of the attrition, under `step_id`.
    """

    step_id: str
    table: str
    about: str
    sql: str
    counts: bool = True
    is_view: bool = False

    @property
    def create(self) -> str:
        """The statement as it is run: a view where one other statement reads it, else a table."""
        kind = "view" if self.is_view else "table"
        return f"create or replace {kind} cohort.{self.table} as {self.sql}"

    @property
    def text(self) -> str:
        """The statement as a file shows it."""
        return f"-- cohort.{self.table}\n-- {self.about}\n{self.sql}"


def statements_of(
    cohort: NativeCohort, with_codes: frozenset[str] = frozenset()
) -> tuple[Statement, ...]:
    """Return the statements that build a cohort, in order; the last table holds its spans."""
    first, *between = _entry(cohort, with_codes)
    entry = (first, *(replace(step, is_view=True) for step in between[:-1]), between[-1])
    opened = entry[-1].table
    rules = tuple(_rules(cohort, opened, with_codes))
    return (*entry, *rules, *_spans(cohort, opened, with_codes))


def _name(cohort: NativeCohort, step: str) -> str:
    return f"{cohort.id}__{step}"


def _entry(cohort: NativeCohort, with_codes: frozenset[str]) -> Iterator[Statement]:
    entry, table = cohort.entry, _name(cohort, "events")
    yield Statement(
        "entry_events", table, "Events that can open a span.", _entry_events(entry, with_codes)
    )
    if entry.calendar or entry.washout_days:
        before, table = table, _name(cohort, "in_time")
        about = "Those in the calendar window, without an earlier one in the washout."
        yield Statement("in_time", table, about, _in_time(entry, before))
    before, table = table, _name(cohort, "opened" if entry.limit == "all" else "observed")
    yield Statement(
        "in_observation",
        table,
        "Those with the observation that is asked for around them.",
        _observed(entry, before),
        counts=entry.observation != "not_required",
    )
    if entry.limit != "all":
        before, table = table, _name(cohort, "opened")
        about = f"Of each person: {_limit_in_words(entry.limit)}."
        yield Statement("limit", table, about, _limited(f"cohort.{before}", entry.limit))


def _limit_in_words(limit: str | Nth) -> str:
    return f"number {limit.nth}" if isinstance(limit, Nth) else f"the {limit}"


def _entry_events(entry: Entry, with_codes: frozenset[str]) -> str:
    query = Query(with_codes)
    columns = "person_id, start_date, end_date, visit_occurrence_id"
    parts = [f"select {columns} from {events_step(query, events)}" for events in entry.any]
    union = query.step("entries", "\n\nunion\n\n".join(parts))
    return query.ending(
        f"select\n    row_number() over () as index_id,\n    {union}.*,\n\nfrom {union}"
    )


def _in_time(entry: Entry, before: str) -> str:
    """Events in the calendar; an earlier event counts wherever in calendar or observation it is."""
    query, parts = Query(), list[str]()
    source = f"cohort.{before}"
    if entry.calendar:
        parts += within("start_date", entry.calendar)
    if entry.washout_days:
        source = query.step("dated", _with_earlier(before))
        free = f"earlier_date < {shifted('start_date', -entry.washout_days)}"
        parts.append(f"(earlier_date is null or {free})")
    return query.ending(f"select {_SPAN}\n\nfrom {source}\n\n{conditions(parts)}")


def _with_earlier(before: str) -> str:
    return (
        f"select\n    {before}.*,\n    max({before}.start_date) over (\n"
        "        partition by person_id order by start_date\n"
        "        range between unbounded preceding and interval 1 day preceding\n"
        f"    ) as earlier_date,\n\nfrom cohort.{before}"
    )


def _observed(entry: Entry, before: str) -> str:
    query = Query()
    found = query.step("observed", observed_index(f"cohort.{before}", "opening"))
    if entry.observation == "not_required":
        return query.ending(f"select *\n\nfrom {found}")
    low = shifted("observed_from", entry.observation.prior_days)
    high = shifted("observed_to", -entry.observation.post_days)
    return query.ending(f"select *\n\nfrom {found}\n\nwhere start_date between {low} and {high}")


def _limited(table: str, limit: str | Nth) -> str:
    """The first, last or nth by day; of several on that day the one that ends last."""
    if isinstance(limit, Nth):
        query = Query()
        ranked = query.step(
            "ranked",
            "select\n    *,\n    dense_rank() over (\n"
            "        partition by person_id order by start_date\n    ) as day_number,\n\n"
            f"from {table}",
        )
        return query.ending(
            f"select * exclude (day_number)\n\nfrom {ranked}\n\nwhere day_number = {limit.nth}\n\n"
            f"{_one_each('start_date')}"
        )
    order = "start_date desc" if limit == "last" else "start_date"
    return Query().ending(f"select *\n\nfrom {table}\n\n{_one_each(order)}")


def _one_each(order: str) -> str:
    return (
        "qualify row_number() over (\n"
        f"    partition by person_id order by {order}, end_date desc, "
        "visit_occurrence_id nulls first\n) = 1"
    )


def _rules(cohort: NativeCohort, opened: str, with_codes: frozenset[str]) -> Iterator[Statement]:
    for rule in cohort.rules:
        table = _name(cohort, f"rule_{rule.id}")
        query = _rule(rule, opened, with_codes)
        yield Statement(rule.id, table, _rule_in_words(rule), query, counts=False, is_view=True)
    if cohort.rules:
        about = "Which rules each opening passes: bit 1 for the first rule, 2 for the second, 4 …"
        yield Statement("rules", _name(cohort, "mask"), about, _mask(cohort, opened), counts=False)


def _rule_in_words(rule: Rule) -> str:
    word = "Openings that pass rule" if rule.require is not None else "Openings that rule"
    return f"{word} {rule.id}{'' if rule.require is not None else ' does not exclude'}."


def _rule(rule: Rule, opened: str, with_codes: frozenset[str]) -> str:
    if rule.exclude is None:
        return judging(f"cohort.{opened}", rule.condition, with_codes)
    query = Query(with_codes)
    moment = query.step("moment", f"select *\n\nfrom cohort.{opened}")
    truth = truth_of(query, rule.condition, moment)
    return query.ending(
        f"select {moment}.person_id, {moment}.index_id\n\nfrom {moment}\n\nwhere not ({truth})"
    )


def _mask(cohort: NativeCohort, opened: str) -> str:
    bits = [
        f"if(opened.index_id in (select index_id from cohort.{_name(cohort, f'rule_{rule.id}')}),"
        f" {1 << place}::bigint, 0)"
        for place, rule in enumerate(cohort.rules)
    ]
    return Query().ending(
        "select\n    opened.index_id,\n    opened.person_id,\n    opened.start_date,\n    "
        + "\n    + ".join(bits)
        + f" as mask,\n\nfrom cohort.{opened} as opened"
    )


def _spans(cohort: NativeCohort, opened: str, with_codes: frozenset[str]) -> Iterator[Statement]:
    table, about = _name(cohort, "kept"), "Openings that pass every rule, as many as are kept."
    yield Statement("kept", table, about, _kept(cohort, opened), counts=False, is_view=True)
    before, table = table, _name(cohort, "ended")
    about = "Each with the day on which it ends."
    query = _ended(cohort, before, with_codes)
    yield Statement("ended", table, about, query, counts=False, is_view=True)
    before, table = table, _name(cohort, "spans")
    about = "The spans of the cohort."
    yield Statement("spans", table, about, _collapsed(cohort, before), is_view=True)


def _kept(cohort: NativeCohort, opened: str) -> str:
    source = f"cohort.{opened}"
    if cohort.rules:
        passed = (1 << len(cohort.rules)) - 1
        source = (
            f"(\n    select opened.*\n    from cohort.{opened} as opened\n"
            f"    inner join cohort.{_name(cohort, 'mask')} as judged\n"
            "        on opened.index_id = judged.index_id\n"
            f"    where judged.mask = {passed}\n)"
        )
    is_one = cohort.entry.limit != "all" and not isinstance(cohort.keep, Nth)
    if cohort.keep == "all" or is_one:
        return Query().ending(f"select *\n\nfrom {source}")
    return _limited(source, cohort.keep)


def _ended(cohort: NativeCohort, before: str, with_codes: frozenset[str]) -> str:
    query = Query(with_codes)
    planned = query.step("planned", _planned(query, cohort, before))
    ends = [f"{planned}.planned_date", f"coalesce({planned}.observed_to, {planned}.planned_date)"]
    join = ""
    if cohort.censor_at:
        censored = _censored(query, cohort, planned)
        ends.append(f"coalesce({censored}.censor_date, {planned}.planned_date)")
        join = f"\n\nleft join {censored}\n    on {planned}.index_id = {censored}.index_id"
    return query.ending(
        f"select\n    {planned}.index_id,\n    {planned}.person_id,\n    {planned}.start_date,\n"
        f"    greatest(least({', '.join(ends)}), {planned}.start_date) as end_date,\n\n"
        f"from {planned}{join}"
    )


def _planned(query: Query, cohort: NativeCohort, before: str) -> str:
    end, kept = cohort.end, f"cohort.{before} as kept"
    match end:
        case FixedEnd():
            day = shifted(f"kept.{end.anchor}_date", end.offset_days)
        case EventEnd():
            day = "kept.end_date"
        case EraEnd():
            era = query.step("eras", _eras(query, end))
            reached = shifted(f"max({era}.era_end_date)", end.surveillance_days)
            return (
                "select\n    kept.* exclude (end_date),\n"
                f"    coalesce({reached}, max(kept.start_date)) as planned_date,\n\n"
                f"from {kept}\n\nleft join {era}\n    on kept.person_id = {era}.person_id\n"
                f"    and kept.start_date between {era}.era_start_date and {era}.era_end_date\n\n"
                "group by all"
            )
        case _:
            day = "kept.observed_to"
    return f"select\n    kept.*,\n    {day} as planned_date,\n\nfrom {kept}"


def _eras(query: Query, end: EraEnd) -> str:
    """Stretches of exposure: one goes on while the next exposure starts within the gap."""
    domain = domain_of("drug_exposure")
    has_codes = end.code_list in query.with_codes
    member = in_list(domain, end.code_list, "concept", "drug_exposure", has_codes=has_codes)
    start = "drug_exposure.drug_exposure_start_date"
    last = (
        f"{start} + {end.days_supply}"
        if end.days_supply
        else f"greatest(coalesce(drug_exposure.drug_exposure_end_date, {start}), {start})"
    )
    exposed = query.step(
        "exposed",
        f"select\n    drug_exposure.person_id,\n    {start} as start_date,\n"
        f"    {last} as end_date,\n\nfrom clean.drug_exposure\n\nwhere {member}",
    )
    return _joined(query, exposed, end.gap_days, "era_start_date", "era_end_date")


def _joined(query: Query, spans: str, gap: int, start: str, end: str) -> str:
    """Spans of a person that lie no more than `gap` days apart, as one."""
    reached = query.step(
        "reached",
        f"select\n    {spans}.*,\n    max({spans}.end_date) over (\n"
        f"        partition by {spans}.person_id order by {spans}.start_date, {spans}.end_date\n"
        "        rows between unbounded preceding and 1 preceding\n"
        f"    ) as reached_date,\n\nfrom {spans}",
    )
    numbered = query.step(
        "numbered",
        "select\n    person_id,\n    start_date,\n    end_date,\n"
        f"    sum(if(reached_date is null or start_date > {shifted('reached_date', gap)}, 1, 0))"
        " over (\n        partition by person_id order by start_date, end_date\n"
        f"        rows unbounded preceding\n    ) as stretch,\n\nfrom {reached}",
    )
    return (
        f"select\n    person_id,\n    min(start_date) as {start},\n    max(end_date) as {end},\n\n"
        f"from {numbered}\n\ngroup by person_id, stretch"
    )


def _censored(query: Query, cohort: NativeCohort, planned: str) -> str:
    """The first censoring event of each opening, on its first day or later."""
    parts = [
        f"select person_id, start_date from {events_step(query, events)}"
        for events in cohort.censor_at
    ]
    events = query.step("censoring", "\n\nunion\n\n".join(parts))
    return query.step(
        "censored",
        f"select\n    {planned}.index_id,\n    min({events}.start_date) as censor_date,\n\n"
        f"from {planned}\n\ninner join {events}\n    on {planned}.person_id = {events}.person_id\n"
        f"    and {events}.start_date >= {planned}.start_date\n\ngroup by {planned}.index_id",
    )


def _collapsed(cohort: NativeCohort, before: str) -> str:
    """Spans joined and cut; where a person has one opening at most there is nothing to join."""
    query, joined = Query(), f"cohort.{before}"
    if cohort.keep == "all" and cohort.entry.limit == "all":
        spans = query.step("ended", f"select *\n\nfrom cohort.{before}")
        union = _joined(query, spans, cohort.collapse_gap_days, "start_date", "end_date")
        joined = query.step("joined", union)
    start, end = (cohort.clip.start, cohort.clip.end) if cohort.clip else (None, None)
    first = f"greatest(start_date, {literal(start)})" if start else "start_date"
    last = f"least(end_date, {literal(end)})" if end else "end_date"
    return query.ending(
        f"select\n    person_id,\n    {first} as start_date,\n    {last} as end_date,\n\n"
        f"from {joined}\n\nwhere {first} <= {last}"
    )
