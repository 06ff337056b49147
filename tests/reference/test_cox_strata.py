"""Predictions of a Cox model with strata, against R 4.2.2 with survival 3.5-3.

Rossi's data come with lifelines; in R they are `r`:
    f <- coxph(Surv(week, arrest) ~ age + prio + strata(wexp), r)
    summary(survfit(f, newdata = data.frame(age = 25, prio = 3, wexp = 0)), times = c(20, 40))
    coxph(Surv(week, arrest) ~ age + prio + strata(wexp), r, ties = "breslow", robust = TRUE,
          cluster = 1:nrow(r))
"""

import pytest

from tasks.core.disclosure_tables import release_tables
from tests.reference.test_cox_more import rossi
from tests.reference.test_registry_tables import ROSSI, results, some
from tests.unit.test_disclosure_tables import K, steps

SURVIVAL, ERROR, LOW, HIGH, HAZARD, EVENTS = range(6)
EFRON, BRESLOW = {"ties": "efron"}, {"ties": "breslow", "std_error": "robust"}
R = {
    "0": (EFRON, [
        [0.887589261364, 0.784815810549], [0.0225670655490, 0.0321603921088],
        [0.844442603109, 0.724247457303], [0.932940491145, 0.850449456572],
        [0.119246186506, 0.242306224974], [28, 52],
    ]),
    "1": (EFRON, [
        [0.949109393812, 0.858904356699], [0.0143371923807, 0.0228582105008],
        [0.921420923390, 0.815251472366], [0.977629895910, 0.904894647801],
        [0.0522312142945, 0.1520977058062], [12, 33],
    ]),
    "1, breslow": (BRESLOW, [
        [0.949183215580, 0.859198709173], [0.0143227485353, 0.0228278851299],
        [0.921522197452, 0.815601856986], [0.977674525074, 0.905125969884],
        [0.0521534372778, 0.1517550575881], [12, 33],
    ]),
}  # fmt: skip


def predicted(stratum, **how):
    asked = {"at": {"age": 25, "prio": 3, "wexp": stratum}, "days": [140, 280]}  # 20 and 40 weeks
    model = {"method": "cox", "terms": "age + prio", "strata": ["wexp"], "predict": asked}
    return results(rossi(), ROSSI, **model, **how)


@pytest.mark.parametrize("case", R)
def test_the_baseline_is_that_of_the_stratum(case):
    how, theirs = R[case]
    rows = predicted(case[0], **how)
    found = some(rows, "survival", term="predicted")
    columns = ("estimate", "std_error", "ci_low", "ci_high")
    for column, place in zip(columns, (SURVIVAL, ERROR, LOW, HIGH), strict=True):
        assert [row[column] for row in found] == pytest.approx(theirs[place], rel=1e-7)
    hazards = some(rows, "cumulative_hazard")
    assert [row["estimate"] for row in hazards] == pytest.approx(theirs[HAZARD], rel=1e-7)
    assert [row["n_events"] for row in found] == theirs[EVENTS]
    of_stratum = int((rossi().wexp == int(case[0])).sum())
    assert {row["n"] for row in found} == {of_stratum}
    assert {row["note"] for row in found} == {f"at age = 25, prio = 3, wexp = {case[0]}"}


def test_a_stratum_without_rows_is_said_and_the_ratios_stand():
    rows = predicted("7", **EFRON)
    assert {row["status"] for row in some(rows, "survival")} == {"not_estimable"}
    assert "no row of this stratum" in some(rows, "survival")[0]["note"]
    assert [row["status"] for row in some(rows, "hazard_ratio")] == ["ok", "ok"]


@pytest.mark.parametrize(("stratum", "few"), [("0", 8), ("1", 8), ("0", 0)])
def test_a_small_stratum_is_told_neither_itself_nor_by_the_other(stratum, few):
    frame = rossi()
    frame["wexp"] = (frame.index >= few).astype(int) if few else frame.wexp
    asked = {"at": {"age": 25, "prio": 3, "wexp": stratum}, "days": [140, 280]}
    model = {"method": "cox", "terms": "age + prio", "strata": ["wexp"], "predict": asked}
    rows = [r for r in results(frame, ROSSI, **model, **EFRON) if r["analysis_id"] == "a1"]
    kept, _, _ = release_tables(rows, steps(a1=[432, 432]), K)
    told = {row["status"] for row in some(kept, "survival")}
    assert told == ({"suppressed"} if few else {"ok"})
    assert {row["status"] for row in some(kept, "hazard_ratio")} == {"ok"}
