"""A small world for the cohort queries: a drawing of drug eras, periods, conditions and deaths."""

from tasks.cohort.build import ENTERING
from tasks.core.sql import build_table
from tests.tables import given

NEW_USER = ENTERING["new_user_active_comparator"]

PARAMS = {
    "code_list_ids": ["new", "old", "bleed"],
    "concept_ids": [1, 2, 10],
    "include_descendants": [False, False, True],
    "target": "new",
    "comparator": "old",
    "outcome": "bleed",
    "common_period": False,
    "keep_first": False,
    "prior_observation_days": 183,
    "prior_outcome_days": 30,
    "risk_start_anchor": "entry_start",
    "risk_start_offset_days": 0,
    "risk_end_anchor": "entry_end",
    "risk_end_offset_days": 30,
    "competing": "none",
    "raw_steps": NEW_USER.raw_steps,
    "steps": NEW_USER.steps(()),
    "is_split_by_entry": False,
}

ERAS = "person_id:int | drug_concept_id:int | drug_era_start_date:date | drug_era_end_date:date\n"
PERIODS = "person_id:int | observation_period_start_date:date | observation_period_end_date:date\n"
CONDITIONS = "person_id:int | condition_concept_id:int | condition_start_date:date\n"
DEATHS = "person_id:int | death_date:date\n"
PEOPLE = "person_id:int | site_id:text | gender_concept_id:int | year_of_birth:int\n"
RELATIONSHIPS = "concept_id_1:int | concept_id_2:int | relationship_id:text"
ANCESTORS = "ancestor_concept_id:int | descendant_concept_id:int\n10|10\n10|11"


def build(con, eras, periods, conditions="", deaths="", **params):
    """Build every cohort table from drawings of the clean ones."""
    given(con, "clean.drug_era", ERAS + eras)
    given(con, "clean.observation_period", PERIODS + periods)
    given(con, "clean.condition_occurrence", CONDITIONS + conditions)
    given(con, "clean.death", DEATHS + deaths)
    given(con, "clean.concept_ancestor", ANCESTORS)
    ids = sorted({line.split("|")[0].strip() for line in eras.strip().splitlines()})
    given(con, "clean.person", PEOPLE + "\n".join(f"{i}|A|8507|1950" for i in ids))
    build_tables(con, "new_user_active_comparator", PARAMS | params)


def build_tables(con, design, params, *, outcome="conditions"):
    """Build the cohort tables of a design from clean ones."""
    nothing_else = dict.fromkeys(
        ("include_mapped", "is_excluded"), [False] * len(params["concept_ids"])
    )
    given(con, "clean.concept_relationship", RELATIONSHIPS)
    build_table(con, "cohort.code_list", {**nothing_else, **params})
    if ENTERING[design].first:
        build_table(con, ENTERING[design].first, params)
    for table, variant in (("raw_count", design), ("entry", design), ("outcome_event", outcome)):
        build_table(con, f"cohort.{table}", params, variant=variant)
    for table in ("observed", "common_period", "entry_index"):
        build_table(con, f"cohort.{table}", params)
    con.execute("create or replace table cohort.rule_met (rule_id varchar, index_id bigint)")
    con.execute("create or replace table cohort.censor_event (person_id bigint, event_date date)")
    build_table(con, "cohort.failed_rule", {"rule_ids": [], "is_required": []})
    for table in ("candidate", "attrition", "arm_rule_mask", "subject"):
        build_table(con, f"cohort.{table}", params)
