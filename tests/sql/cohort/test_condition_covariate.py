"""Which conditions become covariates."""

from tasks.core.sql import build_table
from tests.sql.cohort.world import build
from tests.tables import rows_of

PARAMS = {
    "window_start_days": -365,
    "window_end_days": -1,
    "excluded": ["bleed"],
    "min_share": 0.25,
}


def test_window_shares_and_exclusions(con):
    eras = "\n".join(f"{i} | 1 | 2020-07-01 | 2020-07-01" for i in range(1, 5))
    periods = "\n".join(f"{i} | 2000-01-01 | 2030-01-01" for i in range(1, 5))
    conditions = """\
1 | 50 | 2020-06-30
1 | 50 | 2020-05-30
2 | 50 | 2020-07-01
3 | 51 | 2019-07-01
4 | 51 | 2019-07-02
1 | 52 | 2020-01-01
2 | 52 | 2020-01-01
3 | 52 | 2020-01-01
4 | 52 | 2020-01-01
1 | 0  | 2020-01-01
1 | 11 | 2020-01-01"""
    build(con, eras, periods, conditions)
    build_table(con, "cohort.condition_covariate", PARAMS)
    # 50 on the index day is too late; 51 366 days before is too early; everybody has 52;
    # 0 is no concept; 11 belongs to the outcome
    assert rows_of(con, "select person_id, concept_id from cohort.condition_covariate") == [
        (1, 50),
        (4, 51),
    ]
