"""Conditions relative to an index: each becomes steps of one query and one expression of truth.

The index is a relation with one row a moment that is judged: index_id, person_id, start_date,
end_date, visit_occurrence_id, and observed_from and observed_to, the observation period that holds
start_date (empty where none does).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import duckdb

from tasks.cohort.language.render import (
    AND,
    SEX,
    age_on,
    block,
    conditions,
    domain_of,
    holds,
    in_list,
    shifted,
    within,
)
from tasks.core.duck import quoted
from tasks.core.spec.conditions import (
    AgeRule,
    Condition,
    Counted,
    Events,
    Group,
    ObservedRule,
    SexRule,
    Window,
)

_ANY = ("count(*) >= 1", "count(*) > 0")  # every row of the join is one already


@dataclass(slots=True)
class Query:
    """A query that is being written: its steps so far, and the lists that hold source codes."""

    with_codes: frozenset[str] = frozenset()
    steps: list[tuple[str, str]] = field(default_factory=list)

    def step(self, kind: str, select: str) -> str:
        """Add a step and return its name."""
        name = f"{kind}_{len(self.steps) + 1}"
        self.steps.append((name, select.rstrip("\n")))
        return name

    def ending(self, select: str) -> str:
        """Return the whole query, which ends in `select`."""
        steps = [(name, body) for name, body in [*self.steps, ("found", select.rstrip("\n"))]]
        written = ",\n\n".join(f"{name} as (\n\n{block(body)}\n\n)" for name, body in steps)
        return f"with\n\n{written}\n\nselect * from found\n"


def events_step(query: Query, events: Events) -> str:
    """Add the steps that select events; return the name of the last.

    It has the columns person_id, start_date, end_date, visit_occurrence_id, concept_id.
    """
    name = query.step("records", _records(query, events))
    if events.calendar or events.age:
        name = query.step("events", _on_their_day(events, name))
    if events.having is not None:
        name = _having(query, events.having, name)
    return name


def _records(query: Query, events: Events) -> str:
    """Records of the domain by code, columns and visit; the first of each person where asked."""
    domain = domain_of(events.domain)
    row, start = events.domain, f"{events.domain}.{domain.start}::date"
    end = f"coalesce({row}.{domain.end}::date, {start})" if domain.end else start
    parts = [f"{row}.{domain.start} is not null"]
    if events.code_list:
        has_codes = events.code_list in query.with_codes
        parts.append(in_list(domain, events.code_list, events.by, row, has_codes=has_codes))
    parts += [part for where in events.where for part in holds(domain, where, row)]
    if events.visit:
        parts.append(_in_visit(events.visit, row))
    select = (
        "select\n"
        f"    {row}.person_id,\n"
        f"    {start} as start_date,\n"
        f"    {f'greatest({end}, {start})' if domain.end else start} as end_date,\n"
        f"    {f'{row}.{domain.visit}' if domain.visit else 'null::bigint'}"
        " as visit_occurrence_id,\n"
        f"    {f'{row}.{domain.concept}' if domain.concept else 'null::bigint'} as concept_id,\n"
        f"\nfrom clean.{row}\n\n"
    )
    select += conditions(parts)
    if events.first_ever:
        select += (
            "\n\nqualify row_number() over (\n"
            f"    partition by {row}.person_id order by start_date, end_date desc,\n"
            "    visit_occurrence_id nulls first, concept_id nulls first\n) = 1\n"
        )
    return select


def _in_visit(code_list: str, row: str) -> str:
    listed = f"select concept_id from cohort.code_list where code_list_id = {quoted(code_list)}"
    return f"""exists (
    select 1
    from clean.visit_occurrence as visit
    where visit.person_id = {row}.person_id
        and visit.visit_occurrence_id = {row}.visit_occurrence_id
        and visit.visit_concept_id in ({listed})
)"""


def _on_their_day(events: Events, records: str) -> str:
    """Records that fall into the calendar, at an age."""
    parts: list[str] = []
    join = ""
    if events.calendar:
        parts += within(f"{records}.start_date", events.calendar)
    if events.age:
        parts += age_on(f"{records}.start_date", events.age)
        join = f"inner join cohort.born\n    on {records}.person_id = born.person_id\n\n"
    return f"select {records}.*\n\nfrom {records}\n\n{join}{conditions(parts)}"


def _having(query: Query, condition: Condition, records: str) -> str:
    """Records around which a condition holds; each record is the index of its own condition."""
    index = query.step(
        "around",
        observed_index(f"(select *, row_number() over () as index_id from {records})", "records"),
    )
    truth = truth_of(query, condition, index)
    columns = "person_id, start_date, end_date, visit_occurrence_id, concept_id"
    return query.step("events", f"select {columns}\n\nfrom {index}\n\nwhere {truth}")


def observed_index(relation: str, alias: str) -> str:
    """Return a select of `relation` with the stretch of observation that holds its start."""
    return (
        f"select\n    {alias}.*,\n    observed.observed_from,\n    observed.observed_to,\n\n"
        f"from {relation} as {alias}\n\n"
        "left join cohort.observed\n"
        f"    on {alias}.person_id = observed.person_id\n"
        f"    and {alias}.start_date between observed.observed_from and observed.observed_to"
    )


def truth_of(query: Query, condition: Condition, index: str) -> str:
    """Add the steps of a condition; return an expression that is true where it holds."""
    match condition:
        case Counted():
            return _counted(query, condition, index)
        case AgeRule() | SexRule():
            return _is_in(index, query.step("persons", _of_person(condition, index)))
        case ObservedRule():
            around = condition.observation
            low = shifted(f"{index}.observed_from", around.prior_days)
            high = shifted(f"{index}.observed_to", -around.post_days)
            return f"coalesce({index}.start_date between {low} and {high}, false)"
        case Group():
            return _group(query, condition, index)


def _group(query: Query, group: Group, index: str) -> str:
    parts = [truth_of(query, part, index) for part in group.parts]
    joined = [f"({part})" for part in parts]
    if group.all:
        return " and ".join(joined)
    if group.any:
        return " or ".join(joined)
    if group.none:
        return f"not ({' or '.join(joined)})"
    total = " + ".join(f"{part}::integer" for part in joined)
    sign, bound = (">=", group.at_least) if group.at_least is not None else ("<=", group.at_most)
    return f"{total} {sign} {bound}"


def _of_person(condition: AgeRule | SexRule, index: str) -> str:
    """Return the select of the moments at which the person has the age or the sex."""
    if isinstance(condition, AgeRule):
        parts = list(age_on("moment.start_date", condition.age))
    else:
        concepts = ", ".join(str(SEX.get(str(s), s)) for s in condition.sex)
        parts = [f"born.gender_concept_id in ({concepts})"]
    return (
        f"select moment.person_id, moment.index_id\n\nfrom {index} as moment\n\n"
        f"inner join cohort.born\n    on moment.person_id = born.person_id\n\n{conditions(parts)}"
    )


def _is_in(index: str, step: str) -> str:
    return f"{index}.index_id in (select {step}.index_id from {step})"


def _counted(query: Query, counted: Counted, index: str) -> str:
    """Moments with so many events around them; none is the absence of one."""
    events = events_step(query, counted.events)
    number = {
        None: "count(*)",
        "day": f"count(distinct {events}.start_date)",
        "concept": f"count(distinct {events}.concept_id)",
        "visit": f"count(distinct {events}.visit_occurrence_id)",
    }[counted.distinct]
    having, is_absence = _bound(counted, number)
    grouped = f"\n\ngroup by moment.index_id\n\nhaving {having}"
    joined = AND.join(_around(counted, events))
    step = query.step(
        "counted",
        f"select moment.index_id\n\nfrom {index} as moment\n\n"
        f"inner join {events}\n    on {joined}"
        f"{'' if having in _ANY else grouped}",
    )
    return f"not {_is_in(index, step)}" if is_absence else _is_in(index, step)


def _bound(counted: Counted, number: str) -> tuple[str, bool]:
    """Return the condition on the number, and whether it is the absence of it that is asked."""
    if counted.at_least is not None:
        return f"{number} >= {counted.at_least}", False
    if counted.at_most is not None:
        return f"{number} > {counted.at_most}", True
    exactly = counted.exactly or 0
    return (f"{number} = {exactly}", False) if exactly else (f"{number} > 0", True)


def _around(counted: Counted, events: str) -> Iterator[str]:
    """Yield what joins an event to the moment around which it counts."""
    yield f"moment.person_id = {events}.person_id"
    if counted.observed_only:
        yield f"{events}.start_date between moment.observed_from and moment.observed_to"
    if counted.same_visit:
        yield f"{events}.visit_occurrence_id = moment.visit_occurrence_id"
    for window in counted.within:
        yield from _in_window(window, events)


def _in_window(window: Window, events: str) -> Iterator[str]:
    day, zero = f"{events}.{window.event}_date", f"moment.{window.index}_date"
    if window.from_days is not None:
        yield f"{day} >= {shifted(zero, window.from_days)}"
    if window.to_days is not None:
        yield f"{day} <= {shifted(zero, window.to_days)}"


def judging(index: str, condition: Condition, with_codes: frozenset[str] = frozenset()) -> str:
    """Return the query for the rows of an index (`schema.table`) that satisfy a condition."""
    query = Query(with_codes)
    if isinstance(condition, AgeRule | SexRule):
        return query.ending(_of_person(condition, index))
    moment = query.step("moment", f"select *\n\nfrom {index}")
    truth = truth_of(query, condition, moment)
    return query.ending(
        f"select {moment}.person_id, {moment}.index_id\n\nfrom {moment}\n\nwhere {truth}"
    )


def judge(
    con: duckdb.DuckDBPyConnection,
    index: str,
    condition: Condition,
    name: str,
    with_codes: frozenset[str] = frozenset(),
) -> int:
    """Make table cohort.<name> of the moments of an index that satisfy a condition.

    Args:
        con: A workspace with schemas clean and cohort (code lists resolved).
        index: `schema.table` with index_id, person_id, start_date, end_date, visit_occurrence_id,
            observed_from, observed_to.
        condition: What must hold.
        name: Name of the table, with columns person_id and index_id.
        with_codes: Ids of the code lists that hold source codes.

    Returns:
        The number of moments.
    """
    con.execute(f"create or replace table cohort.{name} as {judging(index, condition, with_codes)}")
    found = con.execute(f"select count(*) from cohort.{name}").fetchone()
    return int(found[0]) if found else 0
