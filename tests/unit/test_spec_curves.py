"""What curves and their tests cannot be asked for is refused by name, with a fix."""

import pytest

from tasks.core.errors import SpecError
from tasks.core.paths import STUDIES_DIR
from tasks.core.spec import load_study
from tests.unit.test_spec_tables import COX, ROLES, changed

WEIGHT = (ROLES, ROLES + "      weight: w\n")
ENTRY = (ROLES, ROLES + "      entry: {column: e, unit: days}\n")
REFUSALS = [
    ("method: cumulative_incidence, variance: poisson", (), "choose ij or aalen"),
    ("method: nelson_aalen, variance: ij", (), "choose poisson or greenwood"),
    ("method: nelson_aalen, conf_type: logit", (), "choose log or plain"),
    ("method: nelson_aalen, ctype: 2, variance: greenwood", (), "ctype 2 takes tied events"),
    ("method: nelson_aalen, ctype: 2", (WEIGHT,), "robust variance and ctype 1 only"),
    ("method: nelson_aalen, variance: poisson", (WEIGHT,), "robust variance and ctype 1 only"),
    ("method: cumulative_incidence, variance: aalen", (WEIGHT,), "neither weights nor late"),
    ("method: cumulative_incidence, variance: aalen", (ENTRY,), "neither weights nor late"),
    ("method: log_rank, by: sex, weighting: gehan, rho: 1", (), "two weightings"),
    ("method: log_rank, by: sex, weighting: wilcoxon", (), "weighting"),
    ("method: log_rank, by: sex, rho: -1", (), "rho"),
    ("method: log_rank, by: sex", (WEIGHT,), "no weighted form"),
    ("method: gray_test", (), "gray_test compares groups"),
    ("method: gray_test, by: sex, gamma: 1", (), "does not use gamma"),
    ("method: gray_test, by: sex", (ENTRY,), "does not take rows with entry"),
    ("method: gray_test, by: sex", (WEIGHT,), "no weighted form"),
    ("method: rmst, horizon_days: 90, terms: age", (), "no groups are named"),
    ("method: rmst, horizon_days: 90, by: sex, terms: age", (WEIGHT,), "neither weights nor late"),
    ("method: rmst, horizon_days: 90, by: sex, terms: age", (ENTRY,), "neither weights nor late"),
    ("method: rmst, horizon_days: 90, quantiles: [0.5]", (), "does not use quantiles"),
    ("method: kaplan_meier, quantiles: [1.5]", (), "quantiles"),
    ("method: kaplan_meier, conf_type: loglog", (), "conf_type"),
    ("method: kaplan_meier, conf_type: cloglog", (), "write log-log"),
    ("method: kaplan_meier, landmark_days: 0", (), "landmark_days"),
    ("method: incidence_rate, landmark_days: 30", (), "does not use landmark_days"),
]


@pytest.mark.parametrize(("analysis", "changes", "told"), REFUSALS)
def test_what_curves_do_not_have_is_refused(tmp_path, analysis, changes, told):
    with pytest.raises(SpecError) as refused:
        load_study(changed(tmp_path, *changes, (COX, f"source: t, {analysis}")))
    assert told in str(refused.value)
    assert refused.value.exit_code == 11


@pytest.mark.parametrize(
    "analysis",
    [
        "method: kaplan_meier, by: sex, conf_type: arcsin, quantiles: [0.25, 0.5], landmark_days: 9",
        "method: nelson_aalen, variance: greenwood, table_days: [30]",
        "method: log_rank, by: sex, rho: 1, gamma: 1",
        "method: rmst, horizon_days: 90, by: sex, terms: age + day2",
    ],
)
def test_what_curves_have_is_taken(tmp_path, analysis):
    columns = ("columns: {age: number,", "columns: {age: number, day2: number,")
    load_study(changed(tmp_path, columns, (COX, f"source: t, {analysis}")))
    if "rmst" not in analysis:
        load_study(changed(tmp_path, columns, ENTRY, (COX, f"source: t, {analysis}")))


def test_keys_of_tables_and_variances_of_weights_in_a_study_of_the_lake(tmp_path):
    text = (STUDIES_DIR / "gibleed_celecoxib_diclofenac.yaml").read_text(encoding="utf-8")
    old = "{id: log_rank, role: secondary, method: log_rank, adjustment: none}"
    file = tmp_path / "mine.yaml"
    for new, told in (
        ("method: kaplan_meier, adjustment: none, landmark_days: 9", "belong to the analysis"),
        ("method: cumulative_incidence, adjustment: overlap, variance: aalen", "neither weights"),
        ("method: nelson_aalen, adjustment: iptw_ate, variance: poisson", "robust variance"),
        ("method: gray_test, adjustment: overlap", "no weighted form"),
    ):
        file.write_text(text.replace(old, f"{{id: log_rank, role: secondary, {new}}}"))
        with pytest.raises(SpecError, match=told):
            load_study(str(file))
