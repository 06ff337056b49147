from tasks.core.sql import build_table
from tests.tables import given, rows_of


def test_periods_that_overlap_are_one_and_neighbours_stay_two(con):
    given(
        con,
        "clean.observation_period",
        """
        person_id:bigint | observation_period_id:bigint | observation_period_start_date:date | observation_period_end_date:date | period_type_concept_id:bigint
        1 | 1 | 2010-01-01 | 2012-06-30 | 7
        1 | 2 | 2011-01-01 | 2011-12-31 | 7
        1 | 3 | 2012-06-30 | 2013-12-31 | 7
        2 | 4 | 2010-01-01 | 2010-12-31 | 7
        2 | 5 | 2011-01-01 | 2011-12-31 | 7
        """,
    )
    build_table(con, "cohort.observed")
    build_table(con, "cohort.observed_stretch")
    assert rows_of(con, "select * exclude (period_type_concept_id) from cohort.observed_stretch order by all") == [
        (1, 1, "2010-01-01", "2013-12-31"),
        (2, 4, "2010-01-01", "2010-12-31"),
        (2, 5, "2011-01-01", "2011-12-31"),
    ]  # fmt: skip
