"""Populations within a study, and counts before anyone enters, tell about nobody by subtraction."""

import polars as pl
import pytest

from tasks.analysis.attrition import ATTRITION_SCHEMA
from tasks.analysis.balance import BALANCE_SCHEMA
from tasks.core.disclosure import release
from tasks.core.results import result_row

K = 11
ARMS = ("new", "old")
NO_BALANCE = pl.DataFrame(schema=BALANCE_SCHEMA)
NO_ATTRITION = pl.DataFrame(schema=ATTRITION_SCHEMA)


def within(name):
    return {} if name is None else {"stratum_name": "population", "stratum_level": name}


def sizes(name, *counts, population="crude"):
    """People and outcomes of both arms, as (n, events) each."""
    return [
        result_row(
            "follow_up", "descriptive", "count", arm=arm, population=population, outcome="bleed",
            estimate=float(n), n=n, n_events=events, **within(name),
        )
        for arm, (n, events) in zip(ARMS, counts, strict=True)
    ]  # fmt: skip


def effect(name, estimate_name="hazard_ratio", **values):
    return result_row(
        "main", "sensitivity", estimate_name, population="overlap", outcome="bleed", estimate=1.2,
        n=300, n_events=60, **(within(name) | values),
    )  # fmt: skip


def shown(rows, attrition=NO_ATTRITION):
    """Names of the populations of which an effect is shown."""
    released = release(rows, attrition, NO_BALANCE, [], K).rows
    return [r.get("stratum_level") for r in released
            if r["analysis_id"] == "main" and r["status"] == "ok"]  # fmt: skip


EVERYBODY = sizes(None, (300, 60), (300, 50))


@pytest.mark.parametrize(
    ("counts", "is_shown"),
    [
        (((200, 40), (200, 30)), True),
        (((300, 60), (300, 50)), True),
        (((295, 40), (200, 30)), False),
        (((200, 55), (200, 30)), False),
        (((200, 3), (200, 30)), False),
        (((200, 195), (200, 30)), False),
        (((8, 0), (200, 30)), False),
        (((200, 40), (200, 0)), True),
    ],
    ids=["large", "everybody", "few left out", "few outcomes left out", "few outcomes",
         "few without", "few people", "no outcomes"],
)  # fmt: skip
def test_a_population_is_shown_only_where_neither_it_nor_the_rest_is_few(counts, is_shown):
    rows = [*EVERYBODY, *sizes("loyal", *counts), effect(None), effect("loyal")]
    assert shown(rows) == ([None, "loyal"] if is_shown else [None])


def test_few_people_of_a_population_do_not_stop_the_study():
    rows = [*EVERYBODY, *sizes("loyal", (3, 0), (200, 30))]
    released = release(rows, NO_ATTRITION, NO_BALANCE, [], K).rows
    assert [row["status"] for row in released] == ["ok", "ok", "suppressed", "suppressed"]
    assert {row["n"] for row in released[2:]} == {None}


def test_two_populations_that_differ_by_few_are_not_both_shown():
    rows = [
        *EVERYBODY,
        *sizes("loyal", (200, 40), (200, 30)),
        *sizes("very_loyal", (195, 40), (200, 30)),
        *sizes("old", (150, 20), (150, 15)),
        *(effect(name) for name in (None, "loyal", "very_loyal", "old")),
    ]
    assert shown(rows) == [None, "loyal", "old"]


def test_matching_within_a_population_leaves_out_nobody_or_many():
    loyal = sizes("loyal", (200, 40), (200, 30))
    few = sizes("loyal", (195, 40), (195, 30), population="matched")
    many = sizes("loyal", (150, 25), (150, 15), population="matched")
    assert shown([*EVERYBODY, *loyal, *few, effect("loyal")]) == []
    assert shown([*EVERYBODY, *loyal, *many, effect("loyal")]) == ["loyal"]


def test_a_hidden_study_hides_its_populations():
    rows = [*sizes(None, (300, 4), (300, 50)), *sizes("loyal", (200, 0), (200, 30))]
    assert shown([*rows, effect(None), effect("loyal")]) == []


def test_a_population_without_sizes_is_not_shown():
    assert shown([*EVERYBODY, effect("loyal")]) == []


def test_curves_of_a_population_are_never_shown():
    rows = [
        *EVERYBODY,
        *sizes("loyal", (200, 40), (200, 30)),
        *(effect(None, name, arm="new", term="table", at=9.0) for name in ("survival", "n_at_risk")),
        *(effect("loyal", name, arm="new", term="table", at=9.0) for name in ("survival", "n_at_risk")),
        effect("loyal"),
    ]  # fmt: skip
    # n_at_risk of everybody is thinned by a rule of its own
    assert shown(rows) == [None, "loyal"]


def test_the_largest_difference_within_a_population_is_withheld():
    top = {"population": "overlap", "estimate": 0.01, "n": 400}
    rows = [
        *EVERYBODY,
        *sizes("loyal", (200, 40), (200, 30)),
        result_row("balance", "descriptive", "max_smd", **top, **within("loyal")),
    ]
    assert release(rows, NO_ATTRITION, NO_BALANCE, [], K).rows[-1]["status"] == "suppressed"


def attrition(*arms):
    """Steps of each arm as (records, remaining, excluded)."""
    rows = [
        (arm, place, f"s{place}", "", "", *step[1:], "ok", step[0])
        for arm, steps in zip(ARMS, arms, strict=False)
        for place, step in enumerate(steps)
    ]
    return pl.DataFrame(rows, schema=ATTRITION_SCHEMA, orient="row")


def thinned(*arms):
    got = release(EVERYBODY, attrition(*arms), NO_BALANCE, [], K).attrition
    return [
        got.filter(pl.col("arm") == arm).select("records", "remaining", "excluded").rows()
        for arm in got["arm"].unique(maintain_order=True)
    ]


@pytest.mark.parametrize(("total", "is_shown"), [(600, True), (605, False), (640, True)])
def test_persons_before_the_arms_are_not_a_few_more_than_the_arms(total, is_shown):
    split = [(9000, total, 0), (None, 300, None), (None, 300, 0)]
    got = thinned(split, split)
    first = (9000, total, 0) if is_shown else (None, None, None)
    assert got == [[first, (None, 300, None), (None, 300, 0)]] * 2


@pytest.mark.parametrize(
    ("records", "shown_records"),
    [
        ((9000, 700), (9000, 700)),
        ((9000, 600), (9000, 600)),
        ((9000, 605), (9000, None)),
        ((705, 700), (None, 700)),
    ],
    ids=["many more", "one each", "few repeats", "few others"],
)
def test_records_are_shown_only_where_no_difference_of_theirs_is_few(records, shown_records):
    steps = [(records[0], 650, 0), (records[1], 600, 50), (None, 300, 300)]
    [got] = thinned(steps)
    assert tuple(row[0] for row in got[:2]) == shown_records
    assert [row[1] for row in got] == [650, 600, 300]


def test_what_is_lost_at_the_entry_into_the_arms_is_never_told():
    # the entry is withheld, so that the step after it would tell it with the images together
    steps = [(9000, 640, 0), (None, 305, None), (None, 300, 5)]
    got = thinned(steps, [(9000, 640, 0), (None, 200, None), (None, 200, 0)])
    assert got[0] == [(9000, 640, 0), (None, None, None), (None, 300, None)]


@pytest.mark.parametrize(("last", "is_shown"), [(300, True), (297, False), (280, True)])
def test_a_cohort_and_the_arm_that_it_is_are_one_flow(last, is_shown):
    rows = [
        ("all", 0, "lake", "", "", 900, 0, "ok", 9000),
        ("all", 1, "spans", "", "", 300, 600, "ok", 300),
        ("arm_all", 0, "in_cohort", "", "", 300, 0, "ok", 300),
        ("arm_all", 1, "has_time_at_risk", "", "", last, 300 - last, "ok", None),
    ]
    table = pl.DataFrame(rows, schema=ATTRITION_SCHEMA, orient="row")
    size = result_row("cohorts", "descriptive", "count", population="all", estimate=300.0, n=300)
    got = release([*EVERYBODY, size], table, NO_BALANCE, [], K)
    told = [300, 300] if is_shown else [None, None]
    assert got.attrition["remaining"].to_list() == [900, *told, last]
    assert got.attrition["arm"].to_list() == ["all", "all", "arm_all", "arm_all"]
    assert got.rows[-1]["n"] == (300 if is_shown else None)
