"""Why a person is in a cohort or not, and who misses it by a single rule. For restricted eyes only.

Everything here names persons, days and codes: it is written to the restricted store, never to a
log, a report or an artifact.
"""

from collections.abc import Iterator
from typing import Any

import duckdb

from tasks.cohort.language.conditions import Query, events_step
from tasks.cohort.language.statements import statements_of
from tasks.core.spec import StudySpec
from tasks.core.spec.cohorts import Cohort, Events, NativeCohort, events_of, with_nested

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
        "comparison": _in_comparison(con, person_id) if spec.has_trial else [],
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
    found = _records(
        con,
        "select start_date, mask from cohort.rule_mask "
        "where cohort_id = $cohort and person_id = $person order by start_date, index_id",
        cohort=cohort.id,
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
    query = Query(spec.with_codes)
    step = events_step(query, events)
    select = query.ending(
        f"select {step}.*, concept.concept_name\n\nfrom {step}\n\n"
        f"left join clean.concept\n    on {step}.concept_id = concept.concept_id\n\n"
        f"where {step}.person_id = {person_id:d}\n\norder by start_date, end_date, concept_id"
    )
    for row in _records(con, select):
        yield {
            "rule": rule,
            "domain": events.domain,
            "code_list": events.code_list,
            "start_date": row["start_date"],
            "end_date": row["end_date"],
            "concept_id": row["concept_id"],
            "concept_name": row["concept_name"],
        }


def _in_comparison(con: Connection, person_id: int) -> list[Record]:
    """Return each arm that a person could enter, with the rules of the design."""
    found = _records(
        con,
        "select * from cohort.candidate where person_id = $person order by arm",
        person=person_id,
    )
    return [
        {
            "arm": row["arm"],
            "time_zero_date": row["time_zero_date"],
            "rules": {name: value for name, value in row.items() if isinstance(value, bool)},
        }
        for row in found
    ]


def near_misses(con: Connection, cohort: NativeCohort, rule: str) -> list[Record]:
    """Return who fails only this rule: persons outside the cohort whom it alone keeps out.

    Returns:
        One record a person: site_id, source_person_id, start_date of the opening.
    """
    place = [r.id for r in cohort.rules].index(rule)
    others = (1 << len(cohort.rules)) - 1 - (1 << place)
    return _records(
        con,
        "select person_key.site_id, person_key.source_person_id, "
        "min(rule_mask.start_date) as start_date "
        "from cohort.rule_mask "
        "inner join clean.person_key on rule_mask.person_id = person_key.person_id "
        "where rule_mask.cohort_id = $cohort and rule_mask.mask = $others "
        "and rule_mask.person_id not in "
        "(select person_id from cohort.cohort where cohort_id = $cohort) "
        "group by all order by all",
        cohort=cohort.id,
        others=others,
    )


def _records(con: Connection, query: str, **params: object) -> list[Record]:
    found = con.execute(query, params or None)
    names = [column[0] for column in found.description or []]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
