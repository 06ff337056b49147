"""Registry tables become typed tables in which every row, and every reason, is accounted for."""

import pytest
import yaml

from tasks.cohort.tables import load_tables
from tasks.core.duck import duck
from tasks.core.errors import NoDataError, SpecError, TableError
from tasks.core.spec import StudySpec
from tests.tables import rows_of

LUNG = {
    "id": "t", "kind": "analysis_table", "site_id": "S", "table": "lung",
    "missing": "complete_case", "na": ["NA", ""],
    "roles": {
        "person_id": "id",
        "follow_up": {"column": "time", "unit": "days"},
        "event": {"column": "status", "codes": {"1": 0, "2": 1}},
    },
    "columns": {"age": "number", "sex": {"category": ["1", "2"]}},
}  # fmt: skip
COX = {
    "id": "a1",
    "role": "primary",
    "source": "t",
    "method": "cox",
    "terms": "age + sex",
    "ties": "efron",
}


def study(source=LUNG, *analyses, **changes):
    text = {"en": "Lung", "ko": "폐"}
    return StudySpec.model_validate(
        {
            "spec_version": 1,
            "study": {"id": "drawn", "title": text},
            "sources": [source | changes],
            "analyses": list(analyses or (COX,)),
        }
    )


def with_roles(source, **roles):
    return source | {"roles": {k: v for k, v in (source["roles"] | roles).items() if v is not None}}


@pytest.fixture
def con():
    with duck() as con:
        con.execute("attach ':memory:' as lake")
        con.execute("create schema lake.tables")
        yield con


def deliver(con, drawing, name="S__lung"):
    """A registry table as it lies in the lake: text, empty cells are null."""
    header, *rows = [[c.strip() for c in line.split("|")] for line in drawing.strip().splitlines()]
    columns = ", ".join(f'"{column}" varchar' for column in header)
    con.execute(f'create or replace table lake.tables."{name}" (site_id varchar, {columns})')
    marks = ", ".join("?" * (len(header) + 1))
    for row in rows:
        con.execute(
            f'insert into lake.tables."{name}" values ({marks})', ["S", *(c or None for c in row)]
        )


DRAWN = """
    id | time | status | age | sex
    a  | 306  | 2      | 74  | 1
    b  | 455  | 2.0    | 68  | 2.0
    c  | 0    | 1      | 60  | 2
    d  | -5   | 1      | 60  | 1
    e  | ten  | 3      | NA  | 3
    f  |      | 2      | inf | NA
"""


def test_every_value_is_typed_or_has_its_reason(con):
    deliver(con, DRAWN)
    assert load_tables(con, study()) == {"t": 6}
    assert rows_of(con, "select person_id, follow_up_days, event, x_age, x_sex from cohort.source_t") == [
        ("a", 306.0, 1, 74.0, "1"),
        ("b", 455.0, 1, 68.0, "2"),
        ("c", 0.0, 0, 60.0, "2"),
        ("d", -5.0, 0, 60.0, "1"),
        ("e", None, None, None, None),
        ("f", None, 1, None, None),
    ]  # fmt: skip
    faults = "follow_up_days__fault, event__fault, x_age__fault, x_sex__fault"
    assert rows_of(con, f"select {faults} from cohort.source_t where person_id > 'b'") == [
        ("not_positive", None, None, None),
        ("not_positive", None, None, None),
        ("not_a_number", "unknown_code", "missing", "unknown_level"),
        ("missing", None, "not_a_number", "missing"),
    ]


def test_rows_in_another_order_make_the_same_table(con):
    deliver(con, DRAWN)
    load_tables(con, study())
    first = rows_of(con, "from cohort.source_t")
    header, *rows = DRAWN.strip().splitlines()
    deliver(con, "\n".join([header, *reversed(rows)]))
    load_tables(con, study())
    assert rows_of(con, "from cohort.source_t") == first


@pytest.mark.parametrize(
    ("unit", "days"), [("days", 2.0), ("weeks", 14.0), ("months", 60.875), ("years", 730.5)]
)
def test_times_are_in_days(con, unit, days):
    deliver(con, "id | time | status | age | sex\n a | 2 | 1 | 1 | 1")
    load_tables(con, study(with_roles(LUNG, follow_up={"column": "time", "unit": unit})))
    assert rows_of(con, "select follow_up_days from cohort.source_t") == [(days,)]


def test_names_of_any_script_and_sign_are_only_names(con):
    odd = "x; drop table t.--"
    deliver(con, f"환자 번호 | {odd} | ph.ecog | 나이\n a | 5 | 1 | 61")
    source = LUNG | {
        "roles": {
            "person_id": "환자 번호",
            "follow_up": {"column": odd, "unit": "days"},
            "event": "ph.ecog",
        },
        "columns": {"나이": "number"},
    }
    load_tables(con, study(source, COX | {"terms": "나이 + 나이^2"}))
    found = rows_of(con, 'select person_id, follow_up_days, event, "x_나이" from cohort.source_t')
    assert found == [("a", 5.0, 1, 61.0)]


def test_columns_that_are_not_there_are_all_named(con):
    deliver(con, "id | time | Sex\n a | 5 | 1")
    with pytest.raises(SpecError) as refused:
        load_tables(con, study())
    assert [m.code for m in refused.value.messages] == ["E_TABLE_COLUMN"] * 2
    assert [m.what.split()[-1] for m in refused.value.messages] == ["status", "age"]
    assert refused.value.exit_code == 11


def test_a_table_that_was_not_delivered_is_waited_for(con):
    with pytest.raises(NoDataError, match="table lung of site S"):
        load_tables(con, study())


@pytest.mark.parametrize(
    ("rows", "changes", "told"),
    [
        ("a|5|1|1|1\n a|6|1|1|1\n b|6|1|1|1", {}, ["E_TABLE_DUPLICATE 2 rows agree in id"]),
        ("", {}, ["E_TABLE_EMPTY holds no rows"]),
        (
            "a|5|1||1\n b|x|1||1",
            {"missing": "refuse"},
            ["E_TABLE_ROWS column time: 1 rows are not a number", "E_TABLE_ROWS column age: 2 rows are missing"],
        ),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_used_is_refused_without_a_value(con, rows, changes, told):
    deliver(con, f"id|time|status|age|sex\n{rows}")
    with pytest.raises(TableError) as refused:
        load_tables(con, study(**changes))
    assert [f"{m.code} {m.what}".split(";")[0] for m in refused.value.messages] == told
    assert all("table lung of S" in m.where for m in refused.value.messages)


INTERVALS = with_roles(
    LUNG,
    follow_up=None,
    start={"column": "from", "unit": "days"},
    stop={"column": "to", "unit": "days"},
)
RATE = {"id": "a1", "role": "primary", "source": "t", "method": "incidence_rate"}


def test_intervals_of_a_person_may_touch_and_not_overlap(con):
    drawn = "id|from|to|status|age|sex\n a|0|5|1|1|1\n a|5|9|2|1|1\n b|0|9|1|1|1\n b|9|9|1|1|1"
    deliver(con, drawn)
    load_tables(con, study(INTERVALS, RATE))
    found = rows_of(con, "select person_id, stop_days__fault from cohort.source_t order by row_id")
    assert found == [("a", None), ("a", None), ("b", None), ("b", "not_after_start")]
    deliver(con, drawn.replace("a|5|9", "a|4|9"))
    with pytest.raises(TableError, match="1 rows of columns from, to"):
        load_tables(con, study(INTERVALS, RATE))


def test_the_same_id_at_two_sites_is_two_persons(con):
    deliver(con, "id|center|time|status|age|sex\n 1|x|5|1|1|1\n 1|y|5|1|1|1")
    load_tables(con, study(with_roles(LUNG, site="center")))


KINDS = {
    "reading_table": (
        {"case_id": "case", "reader": "r", "modality": "m", "truth": "truth", "score": "s"},
        "case|r|m|truth|s\n 1|a|x|0|0.2\n 1|b|x|0|0.4",
    ),
    "two_by_two_table": ({"tp": "TP", "fp": "FP", "fn": "FN", "tn": "TN"}, "TP|FP|FN|TN\n 1|2|3|4\n 1|2.5|-3|x"),
    "effect_table": (
        {"study": "trial", "estimate": "yi", "std_error": "se", "scale": "log"},
        "trial|yi|se\n a|-0.5|0.1\n b|0.1|0",
    ),
    "cost_history_table": (
        {
            "person_id": "id", "cost": "cost", "event": "delta",
            **{k: {"column": k, "unit": "days"} for k in ("start", "stop", "survival")},
        },
        "id|start|stop|cost|delta|survival\n 1|1|1|3694|0|575\n 1|1|9|1|0|575",
    ),
    "psa_table": (
        {"draw": "sim", "strategies": {"SoC": {"cost": "c0", "effect": "e0"}, "A": {"cost": "c1", "effect": "e1"}}},
        "sim|c0|e0|c1|e1\n 1|10|1|20|2\n 2|11|1|21|2",
    ),
    "series_table": ({"time": "month", "value": "n", "intervention": "after"}, "month|n|after\n 2024-01-01|5|0\n 2024-02-01|6|1"),
}  # fmt: skip
DESCRIBE = {"id": "d", "role": "exploratory", "source": "t", "method": "describe"}


def of_kind(kind, *analyses):
    roles, drawn = KINDS[kind]
    columns = {"month": "date"} if kind == "series_table" else {}
    return study(
        LUNG | {"kind": kind, "roles": roles, "columns": columns}, *(analyses or (DESCRIBE,))
    ), drawn


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_table_is_read(con, kind):
    spec, drawn = of_kind(kind)
    deliver(con, drawn)
    assert load_tables(con, spec) == {"t": 2}


def test_counts_are_whole_and_not_negative(con):
    spec, drawn = of_kind("two_by_two_table")
    deliver(con, drawn)
    load_tables(con, spec)
    found = rows_of(
        con, "select fp__fault, fn__fault, tn__fault from cohort.source_t order by row_id"
    )
    assert (None, None, None) in found
    assert ("not_whole", "negative", "not_a_number") in found


def test_the_example_of_the_contract_is_a_study_as_it_stands():
    written = """
spec_version: 1
study: {id: lung_survival, title: {en: "Lung", ko: "폐"}}
sources: [{id: t, kind: analysis_table, site_id: S, table: lung, missing: complete_case, na: ["NA", ""],
           roles: {person_id: id, follow_up: {column: time, unit: days}, event: {column: status, codes: {"1": 0, "2": 1}}},
           columns: {age: number, sex: {category: ["1", "2"]}}}]        # first level = reference
analyses: [{id: a1, role: primary, source: t, method: cox, terms: "age + sex + log(age)", ties: efron, strata: [], cluster: null}]
"""
    spec = StudySpec.model_validate(yaml.safe_load(written))
    assert spec.study.question == spec.study.title
    assert [analysis.id for analysis, _ in spec.table_analyses] == ["a1"]
