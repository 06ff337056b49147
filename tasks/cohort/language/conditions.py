"""Judge one condition of the cohort language on a table of indexes."""

from collections.abc import Iterator

import duckdb

from tasks.core.domains import Domain, domains
from tasks.core.duck import quoted
from tasks.core.errors import UsageError
from tasks.core.spec.cohorts import (
    AgeRule,
    Condition,
    Counted,
    Events,
    Group,
    ObservedRule,
    SexRule,
    Window,
)

_SEX = {"male": 8507, "female": 8532}
_SIGNS = {"at_least": ">=", "at_most": "<=", "more_than": ">", "less_than": "<", "exactly": "="}


def judge(
    con: duckdb.DuckDBPyConnection, index_table: str, condition: Condition, name: str
) -> None:
    """Make cohort.<name>(person_id, index_id): the index rows that satisfy a condition.

    Args:
        con: The workspace.
        index_table: Has index_id, person_id, start_date, end_date, observed_from, observed_to.
        condition: What is asked.
        name: Of the table that is made.
    """
    con.execute("create schema if not exists cohort")
    con.execute(
        f"create or replace table cohort.{name} as select i.person_id, i.index_id "  # noqa: S608
        f"from {index_table} as i where {_holds(condition)} order by i.index_id"
    )


def _holds(condition: Condition) -> str:
    match condition:
        case Counted():
            return _counted(condition)
        case AgeRule():
            if condition.age.method != "calendar_year":
                raise UsageError("age", "only calendar_year is judged here", "use it.")
            years = (
                "(select year(i.start_date) - p.year_of_birth from clean.person as p "
                "where p.person_id = i.person_id)"
            )
            return " and ".join(f"{years} {said}" for said in _bounds(condition.age)) or "true"
        case SexRule():
            wanted = ", ".join(str(_SEX.get(str(s), s)) for s in condition.sex)
            found = f"p.person_id = i.person_id and p.gender_concept_id in ({wanted})"
            return f"exists (select 1 from clean.person as p where {found})"  # noqa: S608
        case ObservedRule():
            asked = condition.observation
            return (
                f"coalesce(i.start_date - i.observed_from >= {asked.prior_days} "
                f"and i.observed_to - i.start_date >= {asked.post_days}, false)"
            )
        case Group():
            return _group(condition)


def _group(group: Group) -> str:
    parts = [f"({_holds(part)})" for part in group.parts]
    if group.of:
        n = " + ".join(f"{part}::integer" for part in parts)
        return " and ".join(f"({n}) {said}" for said in _bounds(group))
    if group.none:
        return f"not ({' or '.join(parts)})"
    return (" and " if group.all else " or ").join(parts)


def _bounds(value: object) -> Iterator[str]:
    for key, sign in _SIGNS.items():
        if (bound := getattr(value, key, None)) is not None:
            yield f"{sign} {bound}"


def _counted(condition: Counted) -> str:
    events, domain = condition.events, domains()[condition.events.domain]
    where = ["e.person_id = i.person_id", *(_window(w, domain) for w in condition.within)]
    where += _described(events)
    if condition.observed_only:
        where.append(f"e.{domain.start}::date between i.observed_from and i.observed_to")
    n = f"count(distinct e.{domain.start}::date)" if condition.distinct == "day" else "count(*)"
    counted = f"(select {n} from clean.{domain.name} as e where {' and '.join(where)})"  # noqa: S608
    return " and ".join(f"{counted} {said}" for said in _bounds(condition))


def _window(window: Window, domain: Domain) -> str:
    start = f"e.{domain.start}::date"
    if window.event == "end" and domain.end:
        start = f"coalesce(e.{domain.end}::date, {start})"
    zero, said = f"i.{window.index}_date", ["true"]
    if window.from_days is not None:
        said.append(f"{start} >= {zero} + ({window.from_days})")
    if window.to_days is not None:
        said.append(f"{start} <= {zero} + ({window.to_days})")
    return " and ".join(said)


def _described(events: Events) -> Iterator[str]:
    if events.having or events.where or events.age or events.visit or events.calendar:
        raise UsageError("condition", "is not judged here", "ask for code lists in windows.")
    if events.code_list:
        concept = getattr(domains()[events.domain], events.by)
        wanted = f"code_list_id = {quoted(events.code_list)}"
        yield f"e.{concept} in (select concept_id from cohort.code_list where {wanted})"  # noqa: S608
