"""Why a person is in a cohort or not, and who misses it by a single rule. For restricted eyes only.

Everything here names persons, days and codes: it is written to the restricted store, never to a
log, a report or an artifact.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import duckdb

from tasks.cohort.build import steps_of_arms
from tasks.cohort.language.conditions import Query, events_step
from tasks.cohort.language.statements import statements_of
from tasks.core.duck import quoted
from tasks.core.spec import StudySpec
from tasks.core.spec.cohorts import Cohort, NativeCohort
from tasks.core.spec.conditions import Events, events_of, with_nested

Connection = duckdb.DuckDBPyConnection
Record = dict[str, Any]


def person_number(con: Connection, site_id: str, source_person_id: int) -> int | None:
    """Return the study's own number of a person of a site; None where there is no such person."""
    found = con.execute(
        "select person_id from clean.person_key "
        "where site_id = $site and source_person_id = $person",
        {"site": site_id, "person": source_person_id},
    ).fetchone()
    return int(found[0]) if found else None


def explain_person(con: Connection, spec: StudySpec, person_id: int) -> Record:
    """Return, for every cohort and for the comparison, where a person stands and why.

    Args:
        con: The workspace of the study, its cohorts built.
        spec: The study.
        person_id: The study's own number of the person.
    """
    return {
        "cohorts": [_in_cohort(con, spec, cohort, person_id) for cohort in spec.cohorts],
        "comparison": _in_comparison(con, spec, person_id) if spec.has_trial else [],
    }


def _in_cohort(con: Connection, spec: StudySpec, cohort: Cohort, person_id: int) -> Record:
    spans = _records(
        con,
        "select start_date, end_date from cohort.cohort "
        "where cohort_id = $cohort and person_id = $person order by start_date",
        cohort=cohort.id,
        person=person_id,
    )
    out: Record = {"cohort_id": cohort.id, "is_member": bool(spans), "spans": spans}
    if isinstance(cohort, NativeCohort):
        out |= {
            "lost_at": None if spans else _lost_at(con, spec, cohort, person_id),
            "openings": _openings(con, cohort, person_id),
            "evidence": list(_evidence(con, spec, cohort, person_id)),
        }
    return out


def _lost_at(con: Connection, spec: StudySpec, cohort: NativeCohort, person_id: int) -> str:
    """Return the first step after which nothing of the person is left."""
    for statement in statements_of(cohort, spec.with_codes):
        query = f"select 1 from cohort.{statement.table} where person_id = $person limit 1"  # noqa: S608 - own name
        if statement.step_id == "rules":
            continue
        if not con.execute(query, {"person": person_id}).fetchone():
            return statement.step_id
    return "spans"


def _openings(con: Connection, cohort: NativeCohort, person_id: int) -> list[Record]:
    """Return each moment that could open a span, with the rules that it passes."""
    if not cohort.rules:
        return []
    found = _records(
        con,
        f"select start_date, mask from cohort.{cohort.id}__mask "  # noqa: S608 - name of our own
        "where person_id = $person order by start_date, index_id",
        person=person_id,
    )
    return [
        {
            "start_date": row["start_date"],
            "rules": {
                rule.id: bool(row["mask"] >> place & 1) for place, rule in enumerate(cohort.rules)
            },
        }
        for row in found
    ]


def _evidence(
    con: Connection, spec: StudySpec, cohort: NativeCohort, person_id: int
) -> Iterator[Record]:
    """Yield the person's records that entry and rules look at, within their windows or not."""
    for events in cohort.entry.any:
        yield from _matching(con, spec, "entry", events, person_id)
    for rule in cohort.rules:
        for events in events_of(rule.condition):
            yield from _matching(con, spec, rule.id, events, person_id)
    for events in cohort.censor_at:
        for each in with_nested(events):
            yield from _matching(con, spec, "censor_at", each, person_id)


def _matching(
    con: Connection, spec: StudySpec, rule: str, events: Events, person_id: int
) -> Iterator[Record]:
    for row in _found(con, spec, rule, events, f"values ({person_id:d})"):
        yield {name: value for name, value in row.items() if name != "person_id"}


def _found(
    con: Connection, spec: StudySpec, rule: str, events: Events, persons: str
) -> list[Record]:
    """Return the records of some persons that a kind of event finds."""
    query = Query(spec.with_codes)
    step = events_step(query, events)
    select = query.ending(
        f"select\n    {step}.person_id,\n    {quoted(rule)} as rule,\n"
        f"    {quoted(events.domain)} as domain,\n    {step}.start_date,\n    {step}.end_date,\n"
        f"    {step}.concept_id,\n    concept.concept_name,\n\nfrom {step}\n\n"
        f"left join clean.concept\n    on {step}.concept_id = concept.concept_id\n\n"
        f"where {step}.person_id in ({persons})\n\norder by all"
    )
    return _records(con, select)


def _in_comparison(con: Connection, spec: StudySpec, person_id: int) -> list[Record]:
    """Return each arm that a person could enter, with every step of the design."""
    found = _records(
        con,
        "select arm, time_zero_date, failed, lost_at from cohort.candidate "
        "where person_id = $person order by arm",
        person=person_id,
    )
    steps = steps_of_arms(spec)
    return [
        {
            "arm": row["arm"],
            "time_zero_date": row["time_zero_date"],
            "lost_at": row["lost_at"],
            "rules": {step: step not in (row["failed"] or ()) for step in steps},
            "evidence": [
                record
                for rule in spec.trial.design.eligibility
                for events in events_of(rule.condition)
                for record in _matching(con, spec, rule.id, events, person_id)
            ],
        }
        for row in found
    ]


def near_misses(con: Connection, spec: StudySpec, cohort: NativeCohort, rule: str) -> Record:
    """Return who fails only this rule: persons outside the cohort whom it alone keeps out.

    Returns:
        `persons` (site_id, source_person_id, start_date of the opening) and `evidence`, their
        records that the rule looks at.
    """
    place = [r.id for r in cohort.rules].index(rule)
    others = (1 << len(cohort.rules)) - 1 - (1 << place)
    con.execute(
        "create or replace temp table missing as "  # noqa: S608 - name of our own
        "select person_id, min(start_date) as start_date "
        f"from cohort.{cohort.id}__mask where mask = $others and person_id not in "
        "(select person_id from cohort.cohort where cohort_id = $cohort) group by person_id",
        {"cohort": cohort.id, "others": others},
    )
    return _missing(con, spec, rule, events_of(cohort.rules[place].condition))


def near_misses_of_arm(con: Connection, spec: StudySpec, arm: str, step: str) -> Record:
    """Return who fails only this step of the comparison in an arm, as `near_misses` does."""
    con.execute(
        "create or replace temp table missing as select person_id, time_zero_date as start_date "
        "from cohort.candidate where arm = $arm and failed = [$step]",
        {"arm": arm, "step": step},
    )
    rules = [rule for rule in spec.trial.design.eligibility if rule.id == step]
    return _missing(con, spec, step, (e for rule in rules for e in events_of(rule.condition)))


def _missing(con: Connection, spec: StudySpec, rule: str, looked_at: Iterable[Events]) -> Record:
    persons = _records(
        con,
        "select person_key.site_id, person_key.source_person_id, missing.start_date, "
        "missing.person_id from missing "
        "inner join clean.person_key on missing.person_id = person_key.person_id order by all",
    )
    who = "select person_id from missing"
    evidence = [row for e in looked_at for row in _found(con, spec, rule, e, who)]
    return {"persons": persons, "evidence": evidence}


def _records(con: Connection, query: str, **params: object) -> list[Record]:
    found = con.execute(query, params or None)
    names = [column[0] for column in found.description or []]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
