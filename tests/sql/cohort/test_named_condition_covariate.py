"""Which of the conditions that a study names become covariates."""

from tasks.core.sql import build_table
from tests.sql.cohort.world import build
from tests.tables import given, rows_of

PARAMS = {
    "window_start_days": -365,
    "window_end_days": -1,
    "covariate_lists": ["lung", "heart", "rare"],
    "min_share": 0.25,
}
LISTS = (
    "code_list_id:text | concept_id:int\nlung | 50\nlung | 51\nheart | 51\nother | 52\nrare | 53"
)


def test_a_covariate_is_any_concept_of_its_list_in_the_window(con):
    eras = "\n".join(f"{i} | 1 | 2020-07-01 | 2020-07-01" for i in range(1, 6))
    periods = "\n".join(f"{i} | 2000-01-01 | 2030-01-01" for i in range(1, 6))
    conditions = """\
1 | 50 | 2020-06-30
1 | 51 | 2020-05-30
2 | 50 | 2020-07-01
3 | 51 | 2019-07-01
4 | 51 | 2019-07-02
4 | 52 | 2020-01-01
5 | 53 | 2020-01-01"""
    build(con, eras, periods, conditions)
    given(con, "cohort.code_list", LISTS)
    build_table(con, "cohort.named_condition_covariate", PARAMS)
    # person 2 too late, person 3 too early; `other` is not asked for, `rare` too rare
    query = "select person_id, code_list_id from cohort.named_condition_covariate order by all"
    assert rows_of(con, query) == [(1, "heart"), (1, "lung"), (4, "heart"), (4, "lung")]
