"""Incidence and prevalence by calendar time, age and sex."""

from collections.abc import Sequence
from datetime import date

import duckdb

from tasks.analysis.covariates import band_names, interval_name
from tasks.core.results import result_row
from tasks.core.spec import StudySpec
from tasks.core.spec.characterisation import Incidence, Prevalence
from tasks.core.spec.conditions import Period
from tasks.core.sql import build_table
from tasks.stats.proportions import proportion
from tasks.stats.rates import incidence_rate

Row = dict[str, object]
_PER = 1000 * 365.25  # person-days of the unit in which rates are given
_SEXES = {8507: "male", 8532: "female"}


def incidence(con: duckdb.DuckDBPyConnection, spec: StudySpec, item: Incidence) -> list[Row]:
    """Return rates per 1000 person-years with exact Poisson intervals."""
    is_cohort = item.outcome in {cohort.id for cohort in spec.cohorts}
    build_spans(con, item.at_risk, item.calendar)
    params = {
        "outcome": item.outcome if is_cohort else None,
        "outcome_list": None if is_cohort else item.outcome,
        "clean_window_days": None if item.clean_window_days == "ever" else item.clean_window_days,
        "repeated": item.repeated,
        "unit": item.interval,
        "age_bands": list(item.age_bands),
        "by_sex": item.by_sex,
    }
    build_table(con, "result.incidence", params)
    found = con.execute(
        "select interval_start, stratum_name, stratum_level, persons, person_days, events, "
        "persons_with_event from result.incidence "
        "order by stratum_name, stratum_level, interval_start"
    ).fetchall()
    return [_rate(item, *row) for row in found]


def build_spans(
    con: duckdb.DuckDBPyConnection, population: str, calendar: Period | None = None
) -> None:
    """Build the time of a population that is looked at, within observation."""
    days = (calendar.start, calendar.end) if calendar else (None, None)
    params = {"population": population, "first_date": days[0], "last_date": days[1]}
    build_table(con, "result.population_span", params)


def _rate(
    item: Incidence,
    start: date | None,
    stratum: str,
    level: int,
    persons: int,
    days: int,
    events: int,
    with_event: int,
) -> Row:
    rate = incidence_rate(events, float(days))
    return result_row(
        item.id,
        "descriptive",
        "incidence_rate",
        method="incidence",
        population=item.at_risk,
        outcome=item.outcome,
        **_cell(item.interval, start, stratum, level, item.age_bands),
        unit="per 1000 person-years",
        estimate=rate.estimate * _PER,
        std_error=rate.std_error * _PER,
        ci_low=rate.ci_low * _PER,
        ci_high=rate.ci_high * _PER,
        ci_level=rate.level,
        ci_method=rate.ci_method,
        n=persons,
        n_events=events,
        n_clusters=with_event if item.repeated else None,
        person_time=float(days),
        unit_of_analysis="person",
        note="person_time in days",
    )


def prevalence(con: duckdb.DuckDBPyConnection, item: Prevalence) -> list[Row]:
    """Return shares with the interval of Wilson."""
    build_spans(con, item.population, item.calendar)
    params = {
        "condition": item.condition,
        "is_point": item.type == "point",
        "unit": item.interval,
        "age_bands": list(item.age_bands),
        "by_sex": item.by_sex,
    }
    build_table(con, "result.prevalence", params)
    found = con.execute(
        "select interval_start, stratum_name, stratum_level, persons, ill from result.prevalence "
        "order by stratum_name, stratum_level, interval_start"
    ).fetchall()
    return [_share(item, *row) for row in found]


def _share(
    item: Prevalence, start: date, stratum: str, level: int, persons: int, ill: int
) -> Row:  # fmt: skip
    share = proportion(ill, persons)
    return result_row(
        item.id,
        "descriptive",
        "prevalence",
        method="prevalence",
        population=item.population,
        outcome=item.condition,
        **_cell(item.interval, start, stratum, level, item.age_bands),
        scenario=item.type,
        unit="proportion",
        estimate=share.estimate,
        std_error=share.std_error,
        ci_low=share.ci_low,
        ci_high=share.ci_high,
        ci_level=share.level,
        ci_method=share.ci_method,
        n=persons,
        n_events=ill,
        unit_of_analysis="person",
    )


def _cell(
    unit: str, start: date | None, stratum: str, level: int, bands: Sequence[int]
) -> dict[str, object]:
    """Which interval and which persons a row is about."""
    months = None if start is None else start.year * 12 + start.month - 1
    return {
        "term": "overall" if months is None else interval_name(months, unit),
        "stratum_name": stratum or None,
        "stratum_level": _level(stratum, level, bands),
    }


def _level(stratum: str, level: int, bands: Sequence[int]) -> str | None:
    if stratum == "sex":
        return _SEXES.get(level, f"concept {level}")
    return band_names(bands)[level] if stratum == "age" else None
