"""Studies of R's data sets, written as specifications, against R 4.2.2 with survival 3.5-3.

Numbers are those of ../shared/reference/stats_reference.json, such as
    coxph(Surv(time, status) ~ age + sex + ph.ecog + cluster(inst), data = lung)
    survdiff(Surv(time, status) ~ sex + strata(inst), data = lung)
Rossi's recidivism data come with lifelines; the coefficients are those that Fox (2002), "Cox
Proportional-Hazards Regression for Survival Data", prints from R's coxph.
"""

import math

import lifelines.datasets
import pytest

from tasks.analysis.tables import analyse_tables
from tasks.cohort.tables import load_tables
from tasks.core.duck import duck
from tasks.core.spec import StudySpec
from tests.reference.shared import r_values, shared_table

FOLLOW_UP = {"column": "time", "unit": "days"}
LUNG = {
    "roles": {"follow_up": FOLLOW_UP, "event": {"column": "status", "codes": {"1": 0, "2": 1}}},
    "columns": {
        "age": "number",
        "sex": {"category": ["1", "2"]},
        "ph.ecog": "number",
    },
}
VETERAN = {
    "roles": {"follow_up": FOLLOW_UP, "event": "status"},
    "columns": {
        "trt": {"category": ["1", "2"]},
        "celltype": {"category": ["squamous", "smallcell", "adeno", "large"]},
        **dict.fromkeys(("karno", "diagtime", "age", "prior"), "number"),
    },
}
PBC = {
    "roles": {
        "follow_up": FOLLOW_UP,
        "event": {"column": "status", "codes": {"0": 0, "1": 0, "2": 1}},
    },
    "columns": {
        **dict.fromkeys(("age", "edema", "bili", "protime", "albumin"), "number"),
        "trt": {"category": ["1", "2"]},
    },
}


def results(frame, source, **analysis):
    """The rows of one analysis of a table as it would lie in the lake: all text."""
    text = {"en": "x", "ko": "x"}
    spec = StudySpec.model_validate(
        {
            "spec_version": 1,
            "study": {"id": "reference", "title": text},
            "sources": [
                {"id": "t", "kind": "analysis_table", "site_id": "S", "table": "r", "missing": "complete_case", "na": ["NA"]}
                | source
            ],
            "analyses": [{"id": "a1", "role": "primary", "source": "t"} | analysis],
        }
    )  # fmt: skip
    with duck() as con:
        con.execute("attach ':memory:' as lake; create schema lake.tables")
        delivered = frame.astype(object).where(frame.notna(), None)
        delivered = delivered.map(lambda v: None if v is None else str(v))
        con.register("delivered", delivered)
        con.execute('create table lake.tables."S__r" as select columns(*)::varchar from delivered')
        load_tables(con, spec)
        return analyse_tables(con, spec).rows


def some(rows, name, **where):
    return [
        row
        for row in rows
        if row["estimate_name"] == name and all(row.get(k) == v for k, v in where.items())
    ]


def assert_model(rows, values, terms):
    """`terms` maps the names of ours to those of R."""
    for ours, theirs in terms.items():
        [row] = some(rows, "hazard_ratio", term=ours)
        assert row["estimate"] == pytest.approx(values["HR"][theirs], rel=1e-7)
        error = (values.get("robust_se") or values["se"])[theirs]
        assert row["std_error"] == pytest.approx(error, rel=1e-7)
        limits = (values["ci_lower"][theirs], values["ci_upper"][theirs])
        assert (row["ci_low"], row["ci_high"]) == pytest.approx(limits, rel=1e-7)
        assert (row["n"], row["n_events"]) == (values["n"], values["nevent"])
    assert len(some(rows, "hazard_ratio")) == len(terms)
    [model] = some(rows, "log_likelihood", term="model")
    assert model["estimate"] == pytest.approx(values["loglik"], rel=1e-9)
    for concordance in some(rows, "concordance"):
        assert concordance["estimate"] == pytest.approx(values["concordance"]["C"], rel=1e-9)
    [together] = some(rows, "test", statistic_name="proportional_hazards", term=None)
    assert together["statistic"] == pytest.approx(values["zph"]["GLOBAL"][0], rel=1e-6)


COX = {"method": "cox", "ties": "efron"}
SEX_ECOG = {"age": "age", "sex=2": "sex", "ph.ecog": "ph.ecog"}


@pytest.mark.parametrize(
    ("entry", "more", "terms"),
    [
        ("lung_cox_age_sex_ecog_efron", {}, "age + sex + ph.ecog"),
        ("lung_cox_age_sex_ecog_breslow", {"ties": "breslow"}, "age + sex + ph.ecog"),
        ("lung_cox_cluster_inst", {"cluster": "inst"}, "age + sex + ph.ecog"),
        ("lung_cox_strata_inst", {"strata": ["inst"]}, "age + sex"),
    ],
)
def test_lung(entry, more, terms):
    rows = results(shared_table("data/survival/lung.csv"), LUNG, terms=terms, **(COX | more))
    names = {ours: theirs for ours, theirs in SEX_ECOG.items() if theirs in terms}
    assert_model(rows, r_values(entry), names)


def test_veteran():
    terms = "trt + celltype + karno + diagtime + age + prior"
    rows = results(shared_table("data/survival/veteran.csv"), VETERAN, terms=terms, **COX)
    cells = {f"celltype={cell}": f"celltype{cell}" for cell in ("smallcell", "adeno", "large")}
    same = {name: name for name in ("karno", "diagtime", "age", "prior")}
    assert_model(rows, r_values("veteran_cox"), {"trt=2": "trt", **cells, **same})
    zph = r_values("veteran_cox")["zph"]["celltype"]
    [of_cells] = some(rows, "test", statistic_name="proportional_hazards", term="celltype")
    assert [of_cells["statistic"], of_cells["df1"]] == pytest.approx(zph[:2], rel=1e-6)


def test_pbc_with_logarithms():
    terms = "age + edema + log(bili) + log(protime) + log(albumin)"
    rows = results(shared_table("data/survival/pbc.csv"), PBC, terms=terms, **COX)
    assert len(some(rows, "concordance")) == 1
    names = ["age", "edema", "log(bili)", "log(protime)", "log(albumin)"]
    assert_model(rows, r_values("pbc_cox"), dict(zip(names, names, strict=True)))


def test_heart_in_intervals():
    """Several rows a person, and a formula with parentheses, as R has it."""
    days = {name: {"column": name, "unit": "days"} for name in ("start", "stop")}
    source = {
        "roles": {"person_id": "id", "event": "event", "time_varying": ["transplant"], **days},
        "columns": {"age": "number", "surgery": "number", "transplant": {"category": ["0", "1"]}},
    }
    heart = shared_table("data/survival/heart.csv")
    rows = results(heart, source, terms="(age + surgery) * transplant", **COX)
    names = {
        "age": "age", "surgery": "surgery", "transplant=1": "transplant1",
        "age:transplant=1": "age:transplant1", "surgery:transplant=1": "surgery:transplant1",
    }  # fmt: skip
    assert_model(rows, r_values("heart_td"), names)


def test_persons_without_treatment_are_left_out():
    rows = results(shared_table("data/survival/pbc.csv"), PBC, terms="trt", **COX)
    [row] = some(rows, "hazard_ratio")
    assert row["estimate"] == pytest.approx(r_values("pbc_trt")["HR"]["trt"], rel=1e-7)
    assert row["n"] == 312


@pytest.mark.parametrize(
    ("data", "source", "by", "entry", "more"),
    [
        ("lung", LUNG, "sex", "lung_logrank_sex", {}),
        ("lung", LUNG, "sex", "lung_logrank_strat_inst", {"strata": ["inst"]}),
        ("veteran", VETERAN, "celltype", "veteran_logrank_cell", {}),
    ],
)
def test_log_rank(data, source, by, entry, more):
    rows = results(
        shared_table(f"data/survival/{data}.csv"), source, method="log_rank", by=by, **more
    )
    values, [row] = r_values(entry), some(rows, "test")
    assert (row["statistic"], row["df1"]) == pytest.approx(
        (values["chisq"], values["df"]), rel=1e-9
    )
    for term, key in (("observed", "obs"), ("expected", "exp")):
        levels = source["columns"][by]["category"]
        got = {r["stratum_level"]: r["estimate"] for r in some(rows, "count", term=term)}
        assert [got[level] for level in levels] == pytest.approx(values[key], rel=1e-9)


def test_kaplan_meier_of_all_and_by_sex():
    lung = shared_table("data/survival/lung.csv")
    values = r_values("lung_km_all_log-log")
    rows = results(lung, LUNG, method="kaplan_meier", table_days=[90])
    [median] = some(rows, "median_survival")
    table = values["table"]
    assert (median["estimate"], median["ci_low"], median["ci_high"]) == (
        table["median"], table["0.95LCL"], table["0.95UCL"],
    )  # fmt: skip
    [day] = some(rows, "survival", term="table")
    want = next(row for row in values["at_times"] if row["time"] == 90)
    assert day["estimate"] == pytest.approx(want["surv"], rel=1e-9)
    [at_risk] = some(rows, "n_at_risk")
    assert at_risk["estimate"] == want["n.risk"]
    by_sex = results(lung, LUNG, method="kaplan_meier", by="sex")
    table = r_values("lung_km_sex")["table"]
    for row in some(by_sex, "median_survival"):
        want = table[f"sex={row['stratum_level']}"]
        assert (row["estimate"], row["n"], row["n_events"]) == (
            want["median"], want["records"], want["events"],
        )  # fmt: skip


ROSSI = {
    "roles": {"follow_up": {"column": "week", "unit": "weeks"}, "event": "arrest"},
    "columns": {
        "fin": "boolean",
        "race": {"category": ["0", "1"]},
        **dict.fromkeys(("age", "wexp", "mar", "paro", "prio"), "number"),
    },
}
FOX = {  # coef and se as printed
    "fin": (-0.3794, 0.1914), "age": (-0.0574, 0.0220), "race=1": (0.3139, 0.3080),
    "wexp": (-0.1498, 0.2122), "mar": (-0.4337, 0.3819), "paro": (-0.0849, 0.1958),
    "prio": (0.0915, 0.0286),
}  # fmt: skip


def test_rossi_as_fox_prints_it():
    rows = results(
        lifelines.datasets.load_rossi(), ROSSI, terms="fin + age + race + wexp + mar + paro + prio", **COX
    )  # fmt: skip
    for term, (coef, error) in FOX.items():
        [row] = some(rows, "hazard_ratio", term=term)
        assert math.log(row["estimate"]) == pytest.approx(coef, abs=5.1e-5)
        assert row["std_error"] == pytest.approx(error, abs=5.1e-5)
        assert (row["n"], row["n_events"]) == (432, 114)


def test_a_logistic_model_is_that_of_a_two_by_two_table():
    """With one binary term the odds ratio and Woolf's error are closed forms of the four cells."""
    rossi = lifelines.datasets.load_rossi()
    source = {"roles": {"outcome": "arrest"}, "columns": {"wexp": {"category": ["0", "1"]}}}
    rows = results(rossi, source, method="logistic", terms="wexp")
    a, b, c, d = (
        int(((rossi.wexp == x) & (rossi.arrest == y)).sum()) for x, y in ((1, 1), (1, 0), (0, 1), (0, 0))
    )  # fmt: skip
    [row] = some(rows, "odds_ratio")
    assert row["term"] == "wexp=1"
    assert row["estimate"] == pytest.approx(a * d / (b * c), rel=1e-6)
    assert row["std_error"] == pytest.approx(math.sqrt(1 / a + 1 / b + 1 / c + 1 / d), rel=1e-4)


def test_rmst_and_rates_by_group_are_those_of_each_group_alone():
    rossi = lifelines.datasets.load_rossi()
    source = ROSSI | {"columns": {"fin": {"category": ["0", "1"]}}}
    by_fin = results(rossi, source, method="rmst", by="fin", horizon_days=360)
    means = {row["arm"]: row for row in some(by_fin, "rmst")}
    for level in ("0", "1"):
        alone = results(rossi[rossi.fin == int(level)], source, method="rmst", horizon_days=360)
        assert means[level]["estimate"] == some(alone, "rmst")[0]["estimate"]
    [difference] = some(by_fin, "rmst_difference")
    assert (difference["target"], difference["comparator"]) == ("1", "0")
    gap = means["1"]["estimate"] - means["0"]["estimate"]
    assert difference["estimate"] == pytest.approx(gap, rel=1e-12)
