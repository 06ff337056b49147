"""Studies of outcomes other than time that do not fit their tables are refused, with a fix."""

import pytest

from tasks.core.errors import SpecError
from tasks.core.spec import load_study

HEAD = """
spec_version: 1
study: {id: mine, title: {en: x, ko: x}}
sources:
  - id: s
    kind: SERIES
    site_id: S
    table: t
    missing: complete_case
    roles: {ROLES}
    columns: {COLUMNS}
analyses:
  - {id: a, role: primary, source: s, ANALYSIS}
"""
SERIES = ("series_table", "time: month, value: v, intervention: exposed, site: h", "month: number")
COUNTS = ("analysis_table", "outcome: n", "n: number, x: number")
CODED = ("analysis_table", "outcome: n", "x: number")
DOSE = ("analysis_table", "outcome: n, treatment: x", "x: number, z: number")
WEIGHED = ("analysis_table", "outcome: n, weight: w", "x: boolean")
IV = "method: instrumental_variable, instrument: z"
ITS = "method: interrupted_time_series, family: poisson"
DID = "method: difference_in_differences, controls: never_treated, inference: permutation"
GEE = "method: gee, terms: x, cluster: h, correlation: independence"


def study(tmp_path, source, analysis):
    text = HEAD
    names = ("SERIES", "ROLES", "COLUMNS", "ANALYSIS")
    for name, value in zip(names, (*source, analysis), strict=True):
        braces = name in ("ROLES", "COLUMNS")
        text = text.replace(f"{{{name}}}" if braces else name, f"{{{value}}}" if braces else value)
    file = tmp_path / "mine.yaml"
    file.write_text(text, encoding="utf-8")
    return str(file)


@pytest.mark.parametrize(
    ("source", "analysis"),
    [
        (SERIES, ITS),
        (SERIES, DID),
        (COUNTS, "method: negative_binomial, terms: x, exposure: days"),
        (CODED, f"{GEE}, family: binomial"),
        (COUNTS, f"{GEE}, family: poisson, exposure: days, small_sample: mancl_derouen"),
        (DOSE, IV),
        (DOSE, "method: instrumental_variable, instrument: z + z^2"),
    ],
)
def test_these_are_studies(tmp_path, source, analysis):
    load_study(study(tmp_path, source, analysis))


REFUSED = [
    (SERIES, "method: interrupted_time_series, family: binomial", "has no family binomial"),
    (SERIES, "method: interrupted_time_series", "needs family"),
    (SERIES, f"{ITS}, season_period: 12", "without season_terms"),
    (SERIES, f"{ITS}, draws: 999", "does not use draws"),
    (SERIES, "method: difference_in_differences, inference: permutation", "needs controls"),
    (SERIES, f"{DID}, draws: 99", "greater than or equal to 999"),
    (("series_table", "time: m, value: v, site: h", "m: number"), ITS, "role intervention"),
    (("series_table", "time: m, value: v, intervention: exposed", "m: number"), DID, "role site"),
    (
        ("series_table", "time: m, value: v, intervention: exposed, covariates: [x]", "m: number, x: number"),
        ITS,
        "takes no covariates yet",
    ),
    (CODED, "method: negative_binomial, terms: x", "needs a count"),
    (COUNTS, f"{GEE}, family: binomial", "does not fit an outcome that is a number"),
    (CODED, f"{GEE}, family: poisson", "does not fit an outcome that is coded 0 and 1"),
    (CODED, f"{GEE}, family: binomial, exposure: d", "exposure is of counts"),
    (CODED, f"{GEE}, family: binomial, wave: x", "wave orders rows for ar1"),
    (COUNTS, "method: risk", "needs an outcome of 0 and 1"),
    (CODED, "method: linear, terms: x", "needs an outcome that is a number"),
    (DOSE, "method: risk", "risk compares levels of the treatment, and x is a number"),
    (DOSE, "method: mean_difference", "compares levels of the treatment, and x is a number"),
    (DOSE, "method: instrumental_variable, instrument: z + q", "instrument q is not among"),
    (WEIGHED, "method: risk, by: x, strata: [h]", "takes no weights and no clusters"),
    (CODED, "method: risk, cluster: h, strata: [x]", "takes no weights and no clusters"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "analysis", "told"), REFUSED)
def test_what_does_not_fit_is_refused_with_a_fix(tmp_path, source, analysis, told):
    with pytest.raises(SpecError) as refused:
        load_study(study(tmp_path, source, analysis))
    assert told in str(refused.value)
    assert refused.value.exit_code == 11
    assert all(message.fix for message in refused.value.messages)
