"""What the design asks of persons at time zero, and what ends their follow-up early.

Each condition is judged by the cohort language on the entries into the arms; the verdicts of all
rules meet in one table, so that adding a rule adds no column anywhere.
"""

from collections.abc import Iterator

import duckdb

from tasks.cohort.language.conditions import judge
from tasks.core.domains import domains
from tasks.core.spec import Design, GraceDesign, StudySpec
from tasks.core.spec.conditions import Counted, Events, Window, events_of, with_nested
from tasks.core.sql import build_table

INDEX = "cohort.entry_index"
NOT_STARTED = "not_started_before"


def tables_of_design(design: Design) -> set[str]:
    """Return the tables of the lake in which the conditions of a design look."""
    events = list(_events(design))
    visits = {"visit_occurrence"} if any(e.visit for e in events) else set()
    return {e.domain for e in events} | visits


def _events(design: Design) -> Iterator[Events]:
    for rule in design.eligibility:
        yield from events_of(rule.condition)
    for population in design.populations:
        yield from events_of(population.require)
    for censoring in design.censor_events:
        yield from with_nested(censoring)


def judge_rules(con: duckdb.DuckDBPyConnection, spec: StudySpec) -> None:
    """Build cohort.failed_rule: which entry fails which rule of eligibility."""
    _start(con, "rule_met (rule_id varchar, index_id bigint)")
    design = spec.trial.design
    for rule in design.eligibility:
        met = f"judged_rule_{rule.id}"
        judge(con, INDEX, rule.condition, met, spec.with_codes)
        _collect(con, "rule_met", rule.id, met)
    required = {rule.id: rule.require is not None for rule in design.eligibility}
    if isinstance(design, GraceDesign):
        build_table(con, "cohort.started_before")
        _collect(con, "rule_met", NOT_STARTED, "started_before")
        required[NOT_STARTED] = False
    params = {"rule_ids": list(required), "is_required": list(required.values())}
    build_table(con, "cohort.failed_rule", params)


def judge_populations(con: duckdb.DuckDBPyConnection, spec: StudySpec) -> None:
    """Build cohort.population: who of the people of the study belongs to which population."""
    _start(con, "population_met (population_id varchar, index_id bigint)")
    for population in spec.trial.design.populations:
        met = f"judged_population_{population.id}"
        judge(con, INDEX, population.require, met, spec.with_codes)
        _collect(con, "population_met", population.id, met)
    build_table(con, "cohort.population")


def find_censoring(con: duckdb.DuckDBPyConnection, spec: StudySpec) -> None:
    """Build cohort.censor_event: the days after time zero on which an event ends follow-up."""
    _start(con, "censor_event (person_id bigint, event_date date)")
    for number, events in enumerate(spec.trial.design.censor_events):
        index, met = f"judged_days_{number}", f"judged_censoring_{number}"
        con.execute(_days_of(events.domain, index))
        on_that_day = Window(from_days=0, to_days=0)
        judge(
            con,
            f"cohort.{index}",
            Counted(events=events, at_least=1, within=(on_that_day,), observed_only=False),
            met,
            spec.with_codes,
        )
        con.execute(
            "insert into cohort.censor_event select judged.person_id, days.start_date "  # noqa: S608
            f"from cohort.{met} as judged inner join cohort.{index} as days using (index_id)"
        )


def _days_of(domain: str, index: str) -> str:
    """Return the query of an index: every day after time zero with any record of a domain."""
    start = domains()[domain].start
    return (
        f"create or replace table cohort.{index} as "  # noqa: S608 - names of our own tables
        "select row_number() over (order by person_id, start_date) as index_id, person_id, "
        "start_date, start_date as end_date, null::bigint as visit_occurrence_id, "
        "null::date as observed_from, null::date as observed_to "
        f"from (select distinct events.person_id, events.{start}::date as start_date "
        f"from clean.{domain} as events "
        f"inner join {INDEX} as entered on events.person_id = entered.person_id "
        f"and events.{start}::date > entered.start_date)"
    )


def _start(con: duckdb.DuckDBPyConnection, table: str) -> None:
    con.execute(f"create or replace table cohort.{table}")


def _collect(con: duckdb.DuckDBPyConnection, table: str, name: str, met: str) -> None:
    query = f"insert into cohort.{table} select $name, index_id from cohort.{met}"  # noqa: S608
    con.execute(query, {"name": name})
