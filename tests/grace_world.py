"""A drawn lake in which a treatment may start within a grace period, with a planted truth."""

import numpy as np
import polars as pl

from tasks.cohort.build import build_subjects
from tasks.cohort.covariates import build_covariates
from tests.reference.test_clone_censor_weight import drawn
from tests.tables import given
from tests.worlds import events

BLEED, WOMAN, MAN = 192671, 8532, 8507


def registry(n=400, seed=3):
    """The persons of the world as a table of one row each, in whole days."""
    time, event, start, z = drawn(n, seed)
    start = np.where(start < np.inf, np.floor(start), np.inf)
    return np.ceil(time), event, start, z[:, 0] == 1, z[:, 1] == 1


def draw(con, time, event, start, woman, sick):
    """Draw the clean tables and the cohorts of such persons; nobody else is in the lake."""
    ids = np.arange(1, time.size + 1)
    zero = np.datetime64("2020-01-01") + ids % 97
    begun, had = np.flatnonzero(start < np.inf), np.flatnonzero(event == 1)
    # Observation of who has the outcome goes on after it.
    ends = zero + np.where(event == 1, 2000, time).astype(int)
    starts = zero[begun] + start[begun].astype(int)
    days = np.concatenate([zero, starts, zero[sick] - 10])
    n = (ids.size, begun.size, int(sick.sum()))

    def table(name, **columns):
        con.register("drawn_frame", pl.DataFrame(columns))
        con.execute(f"create schema if not exists {name.split('.')[0]}")
        con.execute(f"create or replace table {name} as select * from drawn_frame")

    events(con)
    table(
        "cohort.cohort",
        cohort_id=np.repeat(["ill", "treated", "sick"], n),
        person_id=np.concatenate([ids, ids[begun], ids[sick]]),
        start_date=days,
        end_date=days,
    )
    table(
        "drawn.person",
        person_id=ids,
        gender_concept_id=np.where(woman, WOMAN, MAN),
        observation_period_start_date=zero - 400,
        observation_period_end_date=ends,
    )
    con.execute(
        "create or replace table clean.person as select person_id, 'A' as site_id, "
        "gender_concept_id, 1950 as year_of_birth, 1 as month_of_birth, 1 as day_of_birth, "
        "null::timestamp as birth_datetime from drawn.person"
    )
    con.execute(
        "create or replace table clean.observation_period as select person_id, "
        "observation_period_start_date, observation_period_end_date from drawn.person"
    )
    table("drawn.bleed", person_id=ids[had], day=zero[had] + time[had].astype(int))
    con.execute(
        "insert into clean.condition_occurrence (person_id, condition_start_date, "
        f"condition_concept_id) select person_id, day, {BLEED} from drawn.bleed"
    )
    given(con, "clean.death", "person_id:int | death_date:date")
    given(con, "clean.concept_ancestor", "ancestor_concept_id:int | descendant_concept_id:int")
    given(con, "cohort.code_list", f"code_list_id:text | concept_id:int\ngi_bleed | {BLEED}")


def people_of(con, spec):
    """Build the people of a study in a drawn lake, with their covariates."""
    build_subjects(con, spec)
    build_covariates(con, spec)
