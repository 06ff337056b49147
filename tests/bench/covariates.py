"""The covariate matrix of 100,000 persons against a statement by hand that finds the same cells."""

import numpy as np
from scipy import sparse

from tasks.analysis.covariates import load_covariates
from tasks.cohort.covariates import build_covariates
from tasks.core.duck import duck
from tasks.core.spec import ConceptCovariates, load_study
from tasks.core.spec.covariates import EVENT_TABLES
from tests.bench.timing import timed
from tests.tables import given
from tests.worlds import EMPTY_EVENTS

CONDITIONS, DRUGS, PROCEDURES = 20, 30, 10  # records a person
BY_HAND = """
create or replace table hand as
with a as (
    select distinct s.person_id, 1 as d, condition_concept_id as c
    from cohort.subject s join clean.condition_occurrence e on e.person_id = s.person_id
    where condition_start_date between time_zero_date - 365 and time_zero_date - 1
        and condition_concept_id <> 0
    union all
    select distinct s.person_id, 2, drug_concept_id
    from cohort.subject s join clean.drug_exposure e on e.person_id = s.person_id
    where drug_exposure_start_date between time_zero_date - 365 and time_zero_date - 1
        and drug_concept_id <> 0
    union all
    select distinct s.person_id, 3, procedure_concept_id
    from cohort.subject s join clean.procedure_occurrence e on e.person_id = s.person_id
    where procedure_date between time_zero_date - 365 and time_zero_date - 1
        and procedure_concept_id <> 0
)
select a.* from a join (
    select d, c from a group by d, c
    having count(*) / (select count(*) from cohort.subject) between 0.001 and 0.999
) using (d, c)
"""


def covariates_of_study():
    made = load_study("gibleed_celecoxib_diclofenac")
    asked = tuple(
        ConceptCovariates(
            id=kind, kind=kind, window_start_days=-365, window_end_days=-1, min_share=0.001
        )
        for kind in ("conditions", "drugs", "procedures")
    )
    return made.model_copy(update={"covariates": asked})


def world(con, persons):
    """Persons with records all around time zero; values are arithmetic in the row number."""
    for table in EVENT_TABLES:
        given(con, f"clean.{table}", EMPTY_EVENTS[table])
    con.execute("create schema cohort")
    given(con, "clean.concept", "concept_id:bigint | concept_name:text")
    con.execute(
        "create table clean.person as select i as person_id, 'A' as site_id, "
        "8507 + 25 * (i % 2) as gender_concept_id, 1930 + i % 70 as year_of_birth, "
        f"1 + i % 12 as month_of_birth, 1 + i % 28 as day_of_birth from range({persons}) as r (i)"
    )
    con.execute(
        "create table cohort.subject as select person_id, site_id, 'a' as arm, "
        "person_id % 2 = 0 as is_target, date '2015-01-01' + (hash(person_id) % 700)::integer "
        "as time_zero_date from clean.person"
    )
    for table, (many, concepts) in {
        "condition_occurrence": (CONDITIONS, 2000),
        "drug_exposure": (DRUGS, 1500),
        "procedure_occurrence": (PROCEDURES, 800),
    }.items():
        names = [part.split(":")[0].strip() for part in EMPTY_EVENTS[table].split("|")]
        values = {
            names[0]: f"i // {many}",
            names[1]: "i",
            names[2]: "date '2014-01-01' + (hash(i) % 1100)::integer",
            names[3]: f"(sqrt(hash(i + 7) % {concepts**2}))::bigint + 1",
        }
        listed = ", ".join(f"{values[name]} as {name}" for name in names if name in values)
        con.execute(
            f"insert into clean.{table} by name select {listed} from range({many * persons}) as r (i)"
        )


def bench_covariates(persons):
    spec = covariates_of_study()
    with duck() as con:
        world(con, persons)
        by_hand(con), by_study(con, spec)  # warm
        rounds = [
            (timed(lambda: by_study(con, spec)), timed(lambda: by_hand(con))) for _ in range(5)
        ]
    ours, hand = (min(seconds for seconds, _ in side) for side in zip(*rounds, strict=True))
    made, expected = (done for _, done in rounds[0])
    assert made.sparse.nnz == expected.nnz > 0, (made.sparse.nnz, expected.nnz)
    assert made.sparse.shape[1] == expected.shape[1]
    assert np.array_equal(np.sort(made.sparse.sum(axis=0)), np.sort(expected.sum(axis=0)))
    name = f"covariate matrix, {persons:,} × {made.sparse.shape[1]:,}"
    yield name, ours, "one statement by hand", hand


def by_hand(con):
    con.execute(BY_HAND)
    got = con.execute("select person_id, d * 100000 + c as c from hand order by c, person_id")
    cells = got.fetchnumpy()
    _, columns = np.unique(cells["c"], return_inverse=True)
    ones = np.ones(columns.size)
    return sparse.csr_array((ones, (cells["person_id"].astype(np.int64), columns)))


def by_study(con, spec):
    build_covariates(con, spec)
    return load_covariates(con, spec, spec.covariates)
