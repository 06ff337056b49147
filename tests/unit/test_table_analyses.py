"""What a study asks of a registry table is estimated from the rows that can be used, or refused."""

import numpy as np
import pytest

from tasks.analysis.tables import METHODS, analyse_tables
from tasks.cohort.tables import load_tables
from tasks.core.duck import duck
from tasks.core.results import LEVELS
from tasks.core.spec.methods import ALL_KINDS, methods_of_kind
from tests.unit.test_source_tables import (
    COX,
    INTERVALS,
    LUNG,
    RATE,
    deliver,
    of_kind,
    study,
    with_roles,
)


@pytest.fixture
def con():
    with duck() as con:
        con.execute("attach ':memory:' as lake")
        con.execute("create schema lake.tables")
        yield con


def found(con, spec, **where):
    load_tables(con, spec)
    rows = analyse_tables(con, spec).rows
    return [row for row in rows if all(row.get(key) == value for key, value in where.items())]


def one(con, spec, **where):
    [row] = found(con, spec, **where)
    return row


def test_the_methods_of_the_study_are_those_that_exist():
    assert {kind: set(methods) for kind, methods in METHODS.items()} == {
        kind: set(methods_of_kind(kind)) for kind in ALL_KINDS
    }


DRAWN = """
    id | time | status | age | sex
    a  | 6    | 2      | 74  | 1
    b  | 4    | 2      | 68  | 2
    c  | 9    | 1      | 60  | 2
    d  | 8    | 2      | 62  | 1
    e  | 2    | 2      | 55  | 1
    f  | 7    | 2      | 50  | 2
    g  | x    | 1      | 60  | 1
    h  | 5    | 1      | NA  | 1
    i  | 5    | 1      | 60  | 7
    j  | 5    | 9      | NA  | 1
"""


def test_every_row_is_used_or_left_out_for_its_first_reason(con):
    deliver(con, DRAWN)
    load_tables(con, study())
    steps = analyse_tables(con, study()).attrition.to_dicts()
    assert [(s["step_id"], s["excluded"], s["remaining"]) for s in steps] == [
        ("rows", 0, 10),
        ("not_a_number:follow_up_days", 1, 9),
        ("unknown_code:event", 1, 8),
        ("missing:x_age", 1, 7),
        ("unknown_level:x_sex", 1, 6),
        ("used", 0, 6),
    ]
    assert steps[3]["label_en"] == "age: missing"
    assert steps[3]["label_ko"] == "age: 결측"


def test_an_analysis_leaves_out_only_what_it_needs_and_lacks(con):
    deliver(con, DRAWN)
    overall = {"id": "km", "role": "secondary", "source": "t", "method": "kaplan_meier"}
    medians = found(con, study(LUNG, COX, overall), estimate_name="median_survival")
    assert [(row["n"], row["n_events"]) for row in medians] == [(8, 5)]


def test_terms_name_the_rows_of_results(con):
    deliver(con, DRAWN)
    rows = found(con, study(LUNG, COX | {"terms": "log(age) + sex"}), estimate_name="hazard_ratio")
    assert [(row["term"], row["n"], row["n_events"]) for row in rows] == [
        ("log(age)", 6, 5),
        ("sex=2", 6, 5),
    ]


def test_what_cannot_be_estimated_says_why_and_names_the_column(con):
    deliver(con, DRAWN.replace("74", "-1"))
    for terms, said in (
        ("log(age)", "term log(age): 1 rows have no log: they are not above 0"),
        ("age + sex + age:sex + age^2 + age^3 + age^4", "cox: "),
    ):
        row = one(con, study(LUNG, COX | {"terms": terms}), analysis_id="a1")
        assert (row["status"], row["estimate_name"]) == ("not_estimable", "hazard_ratio")
        assert row["note"].startswith(said)
    assert "0 = age, 1 = sex=2" in row["note"]


def test_no_usable_row_is_said_not_guessed(con):
    deliver(con, "id|time|status|age|sex\n a|x|1|1|1")
    row = one(con, study(), analysis_id="a1")
    assert row["note"] == "t: no row of the table can be used"


def test_the_treatment_is_the_group_unless_another_is_named(con):
    deliver(con, DRAWN.replace("id |", "id |").replace("age", "arm").replace("NA", "60"))
    source = with_roles(LUNG, treatment="arm") | {
        "columns": {"arm": {"category": ["60", "74"]}, "sex": {"category": ["2", "1"]}}
    }
    rate = {"id": "r", "role": "primary", "source": "t", "method": "incidence_rate"}
    got = found(con, study(source, rate), estimate_name="incidence_rate")
    assert [(row["stratum_name"], row["arm"]) for row in got] == [("arm", "60"), ("arm", "74")]
    got = found(con, study(source, rate | {"by": "sex"}), estimate_name="rate_ratio")
    assert [(row["target"], row["comparator"]) for row in got] == [("1", "2")]


def test_a_rate_of_intervals_counts_their_days(con):
    deliver(
        con, "id|from|to|status|age|sex\n a|0|5|1|1|1\n a|5|9|2|1|1\n b|2|9|1|1|1\n c|0|4|2|1|1"
    )
    row = one(con, study(INTERVALS, RATE), estimate_name="incidence_rate")
    assert (row["person_time"], row["n_events"], row["n"]) == (20.0, 2, 4)
    assert row["estimate"] == pytest.approx(2 / 20 * 365_250)


def test_describe_counts_rows_persons_events_and_gaps(con):
    deliver(con, DRAWN)
    spec = study(LUNG, {"id": "d", "role": "exploratory", "source": "t", "method": "describe"})
    counts = {row["term"]: row["estimate"] for row in found(con, spec, analysis_id="d")}
    assert counts == {
        "rows": 10, "distinct person_id": 10, "event = 1": 5, "person_id: missing": 0,
        "follow_up_days: missing": 0, "follow_up_days: not_a_number": 1, "event: missing": 0,
        "event: unknown_code": 1, "x_age: missing": 2, "x_sex: missing": 0, "x_sex: unknown_level": 1,
    }  # fmt: skip


ACCURACY = {"id": "acc", "role": "primary", "source": "t", "method": "accuracy"}


def test_accuracy_of_each_study_and_of_all(con):
    spec, _ = of_kind("two_by_two_table", ACCURACY)
    source = spec.sources[0].model_dump()
    source["roles"]["study"] = "name"
    deliver(con, "name|TP|FP|FN|TN\n a|670|202|74|640\n b|10|5|0|0")
    rows = found(con, study(source, ACCURACY), ci_method="exact", estimate_name="specificity")
    assert [(r.get("stratum_level"), r["n"], r["n_events"]) for r in rows] == [
        (None, 847, 640), ("a", 842, 640), ("b", 5, 0),
    ]  # fmt: skip
    assert rows[0]["estimate"] == pytest.approx(640 / 847)


def test_a_measure_without_a_denominator_is_not_estimable(con):
    spec, _ = of_kind("two_by_two_table", ACCURACY)
    deliver(con, "TP|FP|FN|TN\n 5|0|1|0")
    rows = found(con, spec, estimate_name="specificity")
    assert {row["status"] for row in rows} == {"not_estimable"}


def test_strata_and_clusters_may_be_any_column(con):
    rng = np.random.default_rng(3)
    lines = [
        f"p{i}|{1 + rng.integers(60)}|{1 + rng.integers(2)}|{rng.integers(30, 80)}|{1 + i % 2}|c{i % 9}"
        for i in range(90)
    ]
    deliver(con, "id|time|status|age|sex|center no\n" + "\n".join(lines))
    plain = one(con, study(LUNG, COX), estimate_name="hazard_ratio", term="age")
    robust = one(
        con, study(LUNG, COX | {"cluster": "center no", "strata": ["sex"], "terms": "age"}),
        estimate_name="hazard_ratio",
    )  # fmt: skip
    assert (plain["se_method"], plain["n_clusters"]) == ("model", None)
    assert (robust["se_method"], robust["n_clusters"]) == ("robust", 9)


def test_rows_carry_how_many_have_each_level_of_their_terms(con):
    deliver(con, DRAWN)
    row = found(con, study(LUNG, COX | {"terms": "age + sex"}), estimate_name="hazard_ratio")[0]
    assert row[LEVELS]["terms"] == {"age": (), "sex": (3, 3, 3, 2, 0, 1)}
    row = found(con, study(LUNG, COX | {"terms": "sex + age:sex"}))[-1]
    assert row[LEVELS]["terms"]["sex"][:6] == (3, 3, 3, 2, 0, 1)


def test_numbers_beyond_computing_are_said_not_raised(con):
    source = {
        "id": "t", "kind": "effect_table", "site_id": "S", "table": "lung",
        "missing": "complete_case", "na": [],
        "roles": {"study": "id", "estimate": "y", "std_error": "s", "scale": "log"},
        "columns": {"is_control": "boolean"},
    }  # fmt: skip
    deliver(con, "id|y|s|is_control\n" + "\n".join(f"{c}|900|1e-300|1" for c in "abcdef"))
    for analysis in (
        {"method": "e_value", "measure": "hazard_ratio"},
        {"method": "empirical_calibration", "control": "is_control", "measure": "hazard_ratio"},
    ):
        row = one(con, study(source, {"id": "a", "role": "primary", "source": "t", **analysis}),
                  analysis_id="a")  # fmt: skip
        assert row["status"] == "not_estimable"
        assert row["note"]
