"""Incidence: which days are at risk, which events count, against drawings and a day-by-day oracle."""

import random
from collections import defaultdict
from datetime import date, timedelta

import pytest

from tasks.analysis.characterise.frequency import incidence
from tasks.core.spec import load_study
from tasks.core.spec.characterisation import EVERYBODY, Incidence
from tests.sql.result.world import world

STUDY = load_study("gibleed_celecoxib_diclofenac")
COHORT_STUDY = STUDY.model_copy(
    update={"cohorts": tuple(type("C", (), {"id": n})() for n in ("ill", "risky"))}
)


def rates(con, **keys):
    given = {"id": "rate", "at_risk": EVERYBODY, "outcome": "ill", "interval": "overall",
             "clean_window_days": "ever", "repeated": False, **keys}  # fmt: skip
    rows = incidence(con, COHORT_STUDY, Incidence(**given))
    return {
        (r["term"], r["stratum_name"], r["stratum_level"]):
        (r["n"], r["n_events"], r["person_time"])
        for r in rows
    }  # fmt: skip


def test_time_ends_with_the_first_event(con):
    world(con, "1 | 2019-01-01 | 2020-12-31\n2 | 2019-07-01 | 2019-12-31",
          "ill | 1 | 2019-01-10 | 2019-01-20\nill | 1 | 2020-01-10 | 2020-01-20")  # fmt: skip
    # person 1: 1 to 10 January; person 2: half a year
    assert rates(con) == {("overall", None, None): (2, 1, 10 + 184)}


def test_an_event_before_the_time_at_risk_ends_it_or_delays_it(con):
    world(con, "1 | 2019-01-01 | 2019-12-31", "ill | 1 | 2018-12-01 | 2018-12-30")
    assert rates(con) == {}
    # the clean window is over on 9 January: at risk from the 10th
    assert rates(con, clean_window_days=10) == {("overall", None, None): (1, 0, 356)}


def test_repeated_events_count_after_the_clean_window(con):
    world(con, "1 | 2019-01-01 | 2019-01-31",
          "ill | 1 | 2019-01-05 | 2019-01-06\nill | 1 | 2019-01-08 | 2019-01-08\n"
          "ill | 1 | 2019-01-20 | 2019-01-20")  # fmt: skip
    # blocked: 6 to 9 (the event of the 8th does not count) and, prolonged by it, to 11; 21 to 23
    got = rates(con, clean_window_days=3, repeated=True)
    assert got == {("overall", None, None): (1, 2, 31 - 6 - 3)}


def test_periods_that_touch_are_one_and_time_is_split_by_calendar(con):
    world(con, "1 | 2018-12-30 | 2019-03-31\n1 | 2019-04-01 | 2019-06-30\n1 | 2019-05-01 | 2019-07-02",
          "ill | 1 | 2019-04-01 | 2019-04-01")  # fmt: skip
    assert rates(con, interval="quarter", clean_window_days=0, repeated=True) == {
        ("2018-Q4", None, None): (1, 0, 2), ("2019-Q1", None, None): (1, 0, 90),
        ("2019-Q2", None, None): (1, 1, 91), ("2019-Q3", None, None): (1, 0, 2),
    }  # fmt: skip
    months = rates(con, interval="month", clean_window_days=0, repeated=True)
    assert [key[0] for key in months][:2] == ["2018-12", "2019-01"]


def test_time_at_risk_of_a_cohort_lies_in_observation(con):
    world(con, "1 | 2019-01-01 | 2019-01-31", "risky | 1 | 2018-12-01 | 2019-01-10\n"
          "risky | 1 | 2019-01-05 | 2019-01-12\nrisky | 2 | 2019-01-01 | 2019-01-12")  # fmt: skip
    assert rates(con, at_risk="risky") == {("overall", None, None): (1, 0, 12)}


def test_only_days_of_the_calendar_count_but_earlier_events_are_seen(con):
    world(con, "1 | 2018-01-01 | 2019-12-31\n2 | 2018-01-01 | 2018-12-31\n3 | 2018-01-01 | 2019-12-31",
          "ill | 1 | 2018-06-01 | 2018-06-01\nill | 3 | 2019-01-31 | 2019-01-31")  # fmt: skip
    calendar = {"start": date(2019, 1, 1), "end": date(2019, 6, 30)}
    assert rates(con, calendar=calendar) == {("overall", None, None): (1, 1, 31)}


def test_the_outcome_may_be_a_code_list_of_conditions(con):
    world(con, "1 | 2019-01-01 | 2019-01-31", conditions="1 | 5 | 2019-01-02", lists="gi_bleed | 5")
    assert rates(con, outcome="gi_bleed") == {("overall", None, None): (1, 1, 2)}


def test_strata_of_age_change_with_the_year(con):
    people = "1 | A | 8507 | 1980 | 1 | 1\n2 | A | 8532 | 1960 | 1 | 1"
    world(con, "1 | 2019-12-01 | 2020-01-31\n2 | 2020-01-01 | 2020-01-31", people=people)
    got = rates(con, age_bands=[40], by_sex=True)
    assert got == {
        ("overall", None, None): (2, 0, 93),
        ("overall", "age", "<40"): (1, 0, 31), ("overall", "age", "40+"): (2, 0, 62),
        ("overall", "sex", "male"): (1, 0, 62), ("overall", "sex", "female"): (1, 0, 31),
    }  # fmt: skip


def test_the_rate_is_per_1000_person_years_with_the_exact_interval(con):
    """R: poisson.test(4, 0.3652977, r = 1)$conf.int * 1000 / 365.25 * ... is Garwood's, as in
    tests/reference/test_rates.py; by hand 2 events in 730.5 person-days are 1000 a 1000 years."""
    periods = "1 | 2019-01-01 | 2019-12-31\n2 | 2019-01-01 | 2019-12-31"
    world(con, periods, "ill | 1 | 2019-12-31 | 2019-12-31\nill | 2 | 2019-12-31 | 2019-12-31")
    [row] = incidence(con, COHORT_STUDY, Incidence(
        id="rate", at_risk=EVERYBODY, outcome="ill", interval="overall",
        clean_window_days="ever", repeated=False))  # fmt: skip
    assert row["estimate"] == pytest.approx(1000 * 2 / (730 / 365.25))
    # exact limits of 2 events: 0.2422093 and 7.2246878 (Garwood 1936, table)
    assert row["ci_low"] / row["estimate"] * 2 == pytest.approx(0.2422093, abs=1e-6)
    assert row["ci_high"] / row["estimate"] * 2 == pytest.approx(7.2246878, abs=1e-6)


def oracle(periods, onsets, window, repeated, unit):
    """Day by day: what `Incidence` says in words."""
    out = defaultdict(lambda: [set(), 0, 0])
    for person, days in periods.items():
        blocked = set()
        for start, end in onsets[person]:
            last = end + timedelta(window) if window is not None else date(2021, 1, 1)
            blocked |= {start + timedelta(i) for i in range(1, (last - start).days + 1)}
        starts = {start for start, _ in onsets[person]}
        for day in sorted(days - blocked):
            key = {"year": f"{day.year}", "month": f"{day:%Y-%m}", "overall": "overall",
                   "quarter": f"{day.year}-Q{(day.month + 2) // 3}"}[unit]  # fmt: skip
            out[key][0].add(person)
            out[key][2] += 1
            if day in starts:
                out[key][1] += 1
                if not repeated:
                    break
    return {(key, None, None): (len(p), e, d) for key, (p, e, d) in out.items()}


@pytest.mark.parametrize("seed", range(25))
def test_random_people_against_an_oracle(con, seed):
    rng = random.Random(seed)
    zero = date(2019, 10, 1)
    periods, days, cohorts, onsets = [], defaultdict(set), [], defaultdict(list)
    for person in range(1, 7):
        for _ in range(rng.randrange(1, 4)):
            low = rng.randrange(200)
            high = low + rng.randrange(60)
            periods.append(f"{person} | {zero + timedelta(low)} | {zero + timedelta(high)}")
            days[person] |= {zero + timedelta(i) for i in range(low, high + 1)}
        for _ in range(rng.randrange(5)):
            start = zero + timedelta(rng.randrange(-30, 250))
            end = start + timedelta(rng.choice([0, 0, 3, 20]))
            cohorts.append(f"ill | {person} | {start} | {end}")
            onsets[person].append((start, end))
    world(con, "\n".join(periods), "\n".join(cohorts))
    window = rng.choice([None, 0, 1, 14, 60])
    repeated = window is not None and rng.random() < 0.5
    unit = rng.choice(["overall", "year", "quarter", "month"])
    got = rates(con, interval=unit, repeated=repeated,
                clean_window_days="ever" if window is None else window)  # fmt: skip
    assert got == oracle(days, onsets, window, repeated, unit), seed
