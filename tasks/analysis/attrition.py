"""Who was left after each step, with the true reason of each loss, in both languages."""

import duckdb
import polars as pl

from tasks.core.results import TEXT, WHOLE, result_row
from tasks.core.spec import (
    CohortDesign,
    DeviceShownDesign,
    GraceDesign,
    NewUserDesign,
    StudySpec,
)
from tasks.core.spec.design import ENDS, Design

ATTRITION_SCHEMA: dict[str, pl.DataType] = {
    "arm": TEXT,
    "step": WHOLE,
    "step_id": TEXT,
    "label_en": TEXT,
    "label_ko": TEXT,
    "remaining": WHOLE,
    "excluded": WHOLE,
    "status": TEXT,
    "records": WHOLE,
}

_DEVICE_LABELS = {
    "records": ("Procedures of the study's sites", "연구 대상 기관의 시술 기록"),
    "with_code": ("Images of the code list, at any time", "코드 목록의 영상검사(전 기간)"),
    "first_image": ("First image within enrolment", "등록 기간 중 첫 영상검사"),
}
_NEW_USER_LABELS = {
    "records": ("Drug eras of the study's sites", "연구 대상 기관의 약물 에라"),
    "with_code": ("Drug eras of the arm", "해당 군의 약물 에라"),
    "first_era": ("First drug era of the arm", "해당 군의 첫 약물 에라"),
}
_COHORT_LABELS = {
    "in_cohort": ("Spans of the cohort", "코호트의 구간"),
    "first_span": ("First span of the person", "대상자별 첫 구간"),
}
_NOT_STARTED = (
    "Had not started the treatment before time zero",
    "기준일 전에 치료를 시작하지 않음",
)


def attrition_table(con: duckdb.DuckDBPyConnection, spec: StudySpec) -> pl.DataFrame:
    """Return cohort.attrition of a workspace, with a reason in words for each step."""
    labels = _labels(spec)
    found = con.execute(
        "select arm, step, step_id, records, remaining, excluded "
        "from cohort.attrition order by arm_order, step"
    ).fetchall()
    rows = [
        (arm, step, step_id, *labels[step_id], remaining, excluded, "ok", records)
        for arm, step, step_id, records, remaining, excluded in found
    ]
    return pl.DataFrame(rows, schema=ATTRITION_SCHEMA, orient="row")


def attrition_rows(attrition: pl.DataFrame, spec: StudySpec) -> list[dict[str, object]]:
    """Return the same counts as rows of the results table."""
    return [
        result_row(
            "attrition",
            "descriptive",
            "count",
            method="attrition",
            target=spec.trial.target.id,
            comparator=spec.trial.comparator.id,
            arm=row["arm"],
            population="crude",
            unit="persons",
            unit_of_analysis="person",
            term=f"{row['step']:02d}_{row['step_id']}",
            estimate=row["remaining"],
            n=row["remaining"],
            status=row["status"],
        )
        for row in attrition.iter_rows(named=True)
    ]


def _labels(spec: StudySpec) -> dict[str, tuple[str, str]]:
    design = spec.trial.design
    prior = design.prior_observation_days
    rules = {rule.id: (rule.name.en, rule.name.ko) for rule in design.eligibility if rule.name}
    return {
        **_of_the_entry(spec),
        **{rule.id: (rule.id, rule.id) for rule in design.eligibility},
        **rules,
        "in_observation": (
            "Time zero lies inside an observation period",
            "기준일이 관찰 기간 안에 있음",
        ),
        "has_prior_observation": (
            f"At least {prior} days of observation before time zero",
            f"기준일 이전 관찰 기간 {prior}일 이상",
        ),
        "has_no_prior_outcome": _of_the_washout(design),
        "has_time_at_risk": ("At least one day at risk", "위험 기간 1일 이상"),
        "missing_covariates": ("Every covariate has a value", "모든 공변량에 값이 있음"),
    }


def _of_the_washout(design: Design) -> tuple[str, str]:
    """Say which earlier outcomes exclude; without a washout only those before the risk window."""
    if days := design.prior_outcome_days:
        return (
            f"No outcome in the {days} days before time zero",
            f"기준일 이전 {days}일 동안 결과 사건 없음",
        )
    start = design.risk_start
    if start.anchor in ENDS or start.offset_days > 0:
        return (
            "No outcome from time zero to the risk window; prior outcomes are not excluded",
            "기준일부터 위험 기간 전까지 결과 사건 없음(이전 결과 사건은 제외하지 않음)",
        )
    return "Prior outcomes are not excluded", "이전 결과 사건은 제외하지 않음"


def _of_the_entry(spec: StudySpec) -> dict[str, tuple[str, str]]:
    design = spec.trial.design
    match design:
        case DeviceShownDesign():
            return _DEVICE_LABELS
        case NewUserDesign():
            is_drop = design.in_both_arms == "drop"
            return {
                **_NEW_USER_LABELS,
                "in_one_arm": (
                    f"Did not start the other arm {'as well' if is_drop else 'first'}",
                    f"다른 군의 약을 {'' if is_drop else '먼저 '}시작하지 않음",
                ),
                "in_common_period": (
                    "Started while both arms were in use",
                    "두 약이 모두 사용된 기간에 시작",
                ),
            }
        case GraceDesign():
            return {**_COHORT_LABELS, "not_started_before": _NOT_STARTED}
        case CohortDesign():
            is_drop = design.in_both_arms == "drop"
            return {
                **_COHORT_LABELS,
                "in_one_arm": (
                    f"Did not enter the other arm {'as well' if is_drop else 'first'}",
                    f"다른 군에 {'' if is_drop else '먼저 '}진입하지 않음",
                ),
                "in_common_period": (
                    "Entered while both arms had entries",
                    "두 군 모두에 진입한 사람이 있는 기간에 진입",
                ),
            }
