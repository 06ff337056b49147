"""A small world for descriptions: persons, observation periods, cohorts."""

from tests.tables import given
from tests.worlds import PERSONS

COHORTS = "cohort_id:text | person_id:bigint | start_date:date | end_date:date\n"
PERIODS = (
    "person_id:bigint | observation_period_start_date:date | observation_period_end_date:date\n"
)
CONDITIONS = "person_id:bigint | condition_concept_id:bigint | condition_start_date:date\n"
LISTS = "code_list_id:text | concept_id:bigint\n"


def world(con, periods, cohorts="", people="", conditions="", lists=""):
    ids = sorted({int(line.split("|")[0]) for line in periods.strip().splitlines()})
    drawn = people or "\n".join(f"{i} | A | {8507 + 25 * (i % 2)} | 1980 | 1 | 1" for i in ids)
    given(con, "clean.person", PERSONS + drawn)
    given(con, "clean.observation_period", PERIODS + periods)
    given(con, "clean.condition_occurrence", CONDITIONS + conditions)
    given(con, "cohort.cohort", COHORTS + cohorts)
    given(con, "cohort.code_list", LISTS + lists)
