"""Covariates and descriptions that cannot be are refused, with the key and what to do."""

import pytest

from tasks.core.errors import SpecError
from tasks.core.paths import STUDIES_DIR
from tasks.core.spec import load_study

TEXT = (STUDIES_DIR / "examples" / "gibleed_description.yaml").read_text(encoding="utf-8")


def load(tmp_path, *changes):
    text = TEXT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file = tmp_path / "mine.yaml"
    file.write_text(text, encoding="utf-8")
    return load_study(str(file))


VISITS = "{id: visits, kind: visits, window_start_days: -365, window_end_days: -1, min_share: 0.01}"
WINDOW = "window_start_days: -365, window_end_days: -1, min_share: 0.01"


def covariate(text):
    return (VISITS, VISITS + "\n  - {" + text + "}")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("window_end_days: -1,", "window_end_days: 0,"), "less than or equal to -1"),
        (("window_start_days: -365, window_end_days: -1,", "window_start_days: -1, window_end_days: -365,"),
         "window_end_days lies before window_start_days"),
        (("bands: [30, 40, 50, 60]", "bands: [30, 30]"), "bands must rise"),
        (covariate(f"id: more, kind: visits, {WINDOW}"), "stand twice and say the same"),
        (covariate("id: image, kind: device_image, column: scanner"), "device_shown_or_not"),
        (covariate("id: image, kind: device_image, column: score"), "not scanner or body_part"),
        (covariate(f"id: crp, kind: measurements, value: last, {WINDOW}"),
         "need missing: complete_case, indicator or refuse"),
        (covariate(f"id: crp, kind: measurements, value: any, missing: refuse, {WINDOW}"), "any has none"),
        (covariate(f"id: crp, kind: measurements, value: last, missing: refuse, {WINDOW}"),
         "missing: refuse needs code_lists"),
        (covariate(f"id: crp, kind: measurements, value: abnormal, missing: indicator, unit: 1, {WINDOW}"),
         "value abnormal uses no unit"),
        (covariate(f"id: ill, kind: named, code_lists: [gi_bleed], {WINDOW}"), "kind named needs domain"),
        (covariate(f"id: ill, kind: named, domain: drug_era, code_lists: [nothing], {WINDOW}"),
         "['nothing'] are used but not defined"),
        (covariate(f"id: ill, kind: cohort, cohorts: [nobody], {WINDOW}"),
         "cohort nobody is used but not defined"),
        (covariate("id: cci, kind: charlson, weights: quan_2011, window_start_days: -365, "
                   "window_end_days: -1, components: {aids: gi_bleed}"), "myocardial_infarction"),
        (("outcome: bleeding,", "outcome: nothing,"), "neither a cohort nor a code list"),
        (("at_risk: celecoxib", "at_risk: nobody"), "cohort nobody is used but not defined"),
        (("condition: celecoxib", "condition: gi_bleed"), "cohort gi_bleed is used but not defined"),
        (("clean_window_days: 365, repeated: true", "clean_window_days: ever, repeated: true"),
         "repeated events need clean_window_days in days"),
        (("cohorts: [celecoxib, diclofenac], covariates", "of: arms, covariates"), "of: arms needs a comparison"),
        (("covariates: [age, age_band", "covariates: [weight, age_band"), "covariate weight is not defined"),
        (("[-365, -90,", "[-90, -365,"), "bins_days must rise"),
        (("tables: [condition_occurrence,", "tables: [concept,"), "tables without persons, or unknown: concept"),
        (("id: use_of_celecoxib", "id: bleeding_rate"), "id bleeding_rate is taken"),
        (("id: use_of_celecoxib", "id: attrition"), "id attrition is taken"),
        (("{id: users, cohorts", "{id: users, of: arms, cohorts"), "exactly one of cohorts and of: arms"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(tmp_path, change, told):
    with pytest.raises(SpecError) as caught:
        load(tmp_path, change)
    said = "\n".join(str(message) for message in caught.value.messages)
    assert told in said
    assert "To fix: " in said
    assert caught.value.exit_code == 11


def test_the_example_is_valid_and_reads_back():
    spec = load_study(str(STUDIES_DIR / "examples" / "gibleed_description.yaml"))
    assert [name for _, _, name in spec.characterisation.ids][:2] == ["users", "bleeding_rate"]
