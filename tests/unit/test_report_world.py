"""The world of the report tests: inputs as a run of the GiBleed study would hand them over."""

from math import exp, sin, sqrt

import polars as pl

from tasks.core.results import SCHEMA, result_row, results_frame, withheld
from tasks.core.spec import StudySpec, load_study
from tasks.report.model import ReportInputs

TARGET, COMPARATOR, OUTCOME = "celecoxib", "diclofenac", "gi_bleed"
IDENTITY = {
    "study_id": "gibleed_celecoxib_diclofenac",
    "spec_hash": "9f" * 32,
    "run_id": "0a1b2c3d4e5f",
    "snapshot_id": 3,
    "data_cutoff": "2019-07-03",
}
PAIR = {"target": TARGET, "comparator": COMPARATOR, "outcome": OUTCOME}
SIZE = {TARGET: (1797, 113, 53_510.0), COMPARATOR: (830, 46, 24_801.0)}
POPULATIONS = {"crude": "unadjusted", "iptw_ate": "ate", "overlap": "ato", "matched": "att"}


def study() -> StudySpec:
    return load_study("gibleed_celecoxib_diclofenac")


def hazard(
    analysis: str, role: str, population: str, method: str, se: str, hr: float, low: float,
    high: float, p: float, n: int = 2627, events: int = 159,
) -> dict[str, object]:  # fmt: skip
    return result_row(
        analysis, role, "hazard_ratio", population=population, estimand=POPULATIONS[population],
        method=method, estimate=hr, estimate_scale="ratio", std_error=0.1755, se_scale="log",
        se_method=se, ci_low=low, ci_high=high, ci_level=0.95, ci_method=se, p_value=p, n=n,
        n_events=events, **PAIR,
    )  # fmt: skip


def hazards() -> list[dict[str, object]]:
    rows = [
        hazard("replication", "replication", "crude", "cox_breslow", "profile_likelihood",
               1.13431, 0.8093, 1.6172, 0.4712),
        hazard("replication", "replication", "crude", "cox_breslow", "model",
               1.13431, 0.80411, 1.60011, 0.4729),
        hazard("primary", "primary", "overlap", "cox_efron", "robust",
               1.08123, 0.7611, 1.5361, 0.6628),
        hazard("cox_crude_efron", "sensitivity", "crude", "cox_efron", "model",
               1.13502, 0.8046, 1.6011, 0.4706),
        hazard("cox_iptw", "sensitivity", "iptw_ate", "cox_efron", "robust",
               1.0921, 0.7702, 1.5485, 0.6211),
        hazard("cox_matched", "sensitivity", "matched", "cox_efron", "robust",
               1.0611, 0.7001, 1.6083, 0.7793, 1622, 93),
    ]  # fmt: skip
    tests = [
        result_row(str(row["analysis_id"]), str(row["role"]), "test", population=row["population"],
                   method=row["method"], statistic_name="proportional_hazards", statistic=0.314,
                   df1=1, p_value=0.5752, **PAIR)
        for row in rows if row["se_method"] != "profile_likelihood"
    ]  # fmt: skip
    return [*rows, *tests]


def curve(analysis: str, name: str, population: str, days: list[int]) -> list[dict[str, object]]:
    rows = []
    for arm, (n, events, _) in SIZE.items():
        for term, at_days in (("curve", range(32)), ("table", days)):
            rows += [
                _step(analysis, name, population, arm, n, events, term, day) for day in at_days
            ]
        if name == "survival":
            rows += [
                result_row(analysis, "secondary", "n_at_risk", population=population, arm=arm,
                           term="table", at=float(day), at_kind="time_days", method="kaplan_meier",
                           estimate=float(round(n * (1 - 0.002 * day))) + (population != "crude") * 0.4,
                           unit="persons", **PAIR)
                for day in days
            ]  # fmt: skip
            rows.append(result_row(analysis, "secondary", "median_survival", population=population,
                                   arm=arm, unit="days", status="not_estimable", **PAIR))  # fmt: skip
    return rows


def _step(
    analysis: str, name: str, population: str, arm: str, n: int, events: int, term: str, day: int
) -> dict[str, object]:
    risk = events / n * (1 - exp(-day / 12)) / (1 - exp(-31 / 12))
    se = sqrt(risk * (1 - risk) / n)
    value = 1 - risk if name == "survival" else risk
    bounds = (max(0.0, value - 1.96 * se), min(1.0, value + 1.96 * se)) if day else (None, None)
    return result_row(
        analysis, "secondary", name, population=population, arm=arm, term=term, at=float(day),
        at_kind="time_days", estimate=value, std_error=se, ci_low=bounds[0], ci_high=bounds[1],
        ci_level=0.95, se_method="greenwood", method="kaplan_meier", **PAIR,
    )  # fmt: skip


def contrasts() -> list[dict[str, object]]:
    rows = []
    for analysis, population in (("rmst_crude", "crude"), ("rmst_overlap", "overlap")):
        at = {"at": 30.0, "at_kind": "time_days", "unit": "days", "method": "rmst", **PAIR}
        for arm, value in ((TARGET, 28.912), (COMPARATOR, 29.104)):
            rows.append(result_row(analysis, "secondary", "rmst", population=population, arm=arm,
                                   estimate=value, ci_low=value - 0.21, ci_high=value + 0.21,
                                   ci_level=0.95, **at))  # fmt: skip
        rows.append(result_row(analysis, "secondary", "rmst_difference", population=population,
                               estimate=-0.192, ci_low=-0.511, ci_high=0.127, ci_level=0.95,
                               p_value=0.2381, **at))  # fmt: skip
    cif = {"population": "crude", "at": 30.0, "at_kind": "time_days", "ci_level": 0.95, **PAIR}
    rows.append(result_row("cif", "secondary", "risk_difference", estimate=0.00746,
                           ci_low=-0.0118, ci_high=0.0267, p_value=0.4471, **cif))  # fmt: skip
    rows.append(result_row("cif", "secondary", "risk_ratio", estimate=1.1346, ci_low=0.813,
                           ci_high=1.5834, p_value=0.4581, **cif))  # fmt: skip
    return [*rows, *rates()]


def rates() -> list[dict[str, object]]:
    rows = []
    for arm, (n, events, time) in SIZE.items():
        rate = events / time * 365_250
        rows.append(result_row("rates", "secondary", "incidence_rate", population="crude", arm=arm,
                               estimate=rate, ci_low=rate * 0.82, ci_high=rate * 1.21,
                               ci_level=0.95, unit="per 1000 person-years", n=n, n_events=events,
                               person_time=time, note="person_time in days", **PAIR))  # fmt: skip
    rows.append(result_row("rates", "secondary", "rate_ratio", population="crude", estimate=1.1386,
                           ci_low=0.808, ci_high=1.6043, ci_level=0.95, p_value=0.4581, **PAIR))  # fmt: skip
    rows.append(result_row("log_rank", "secondary", "test", population="crude", method="log_rank",
                           statistic_name="log_rank", statistic=0.5213, df1=1, p_value=0.4703,
                           **PAIR))  # fmt: skip
    return rows


def described() -> list[dict[str, object]]:
    rows = [
        result_row("follow_up", "descriptive", "count", arm=arm, estimate=float(n), n=n,
                   n_events=events, person_time=time, population="crude", **PAIR)
        for arm, (n, events, time) in SIZE.items()
    ]  # fmt: skip
    rows.append(result_row("propensity", "descriptive", "auc", estimate=0.5781, **PAIR))
    rows.append(result_row("propensity", "descriptive", "equipoise", estimate=0.9632, **PAIR))
    smd = {"crude": 0.187, "iptw_ate": 0.021, "overlap": 0.0003, "matched": 0.048}
    for population, value in smd.items():
        rows.append(result_row("balance", "descriptive", "max_smd", population=population,
                               estimate=value, **PAIR))  # fmt: skip
        for arm, (n, _, _) in SIZE.items():
            rows.append(result_row("propensity", "descriptive", "ess", population=population,
                                   arm=arm, estimate=n * (0.97 - value), **PAIR))  # fmt: skip
    return rows


def results(*, suppress: str = "") -> pl.DataFrame:
    rows = [
        *hazards(),
        *curve("km_crude", "survival", "crude", [0, 7, 14, 21, 28, 30]),
        *curve("km_overlap", "survival", "overlap", [0, 7, 14, 21, 28, 30]),
        *curve("cif", "cumulative_incidence", "crude", [7, 14, 21, 30]),
        *contrasts(),
        *described(),
    ]
    rows = [withheld(row) if suppress and row["analysis_id"] == suppress else row for row in rows]
    frame = results_frame(rows, IDENTITY)
    assert dict(frame.schema) == SCHEMA
    return frame


STEPS = [
    ("entry", "First era of the drug", "해당 약물의 첫 투여", 1844, 850),
    ("prior_observation", "183 days or more of prior observation", "사전 관찰 기간 183일 이상", 1832, 843),
    ("common_period", "Entry while both drugs are in use", "두 약물이 모두 사용되는 기간에 진입", 1830, 840),
    ("both_arms", "Not in both arms", "두 군에 동시에 해당하지 않음", 1830, 838),
    ("prior_outcome", "No gastrointestinal bleeding in the 30 days before time zero",
     "시작점 이전 30일 동안 위장관 출혈 없음", 1800, 832),
    ("time_at_risk", "At least one day at risk", "위험 기간 1일 이상", 1797, 830),
]  # fmt: skip


def attrition() -> pl.DataFrame:
    rows = []
    for position, arm in enumerate((TARGET, COMPARATOR)):
        before = STEPS[0][3 + position]
        for step, (step_id, en, ko, *remaining) in enumerate(STEPS):
            left = remaining[position]
            rows.append(
                {"arm": arm, "step": step, "step_id": step_id, "label_en": en, "label_ko": ko,
                 "remaining": left, "excluded": before - left, "status": "ok"}
            )  # fmt: skip
            before = left
    return pl.DataFrame(rows)


CONDITIONS = [
    ("Acute bronchitis", "급성 기관지염"), ("Viral sinusitis", "바이러스 부비동염"),
    ("Osteoarthritis", "골관절염"), ("Otitis media", "중이염"), ("Sprain of ankle", "발목 염좌"),
    ("Coronary arteriosclerosis", "관상동맥 경화증"), ("Streptococcal sore throat", "연쇄구균 인두염"),
    ("Concussion with no loss of consciousness", "의식 소실이 없는 뇌진탕"),
    ("Chronic sinusitis", "만성 부비동염"), ("Pneumonia", "폐렴"),
    ("Acute viral pharyngitis", "급성 바이러스 인두염"), ("Polyp of colon", "결장 용종"),
    ("Laceration of forearm", "아래팔 열상"), ("Sprain of wrist", "손목 염좌"),
    ("Whiplash injury to neck", "목의 편타성 손상"), ("Fracture of ankle", "발목 골절"),
    ("Atrial fibrillation", "심방세동"), ("Cystitis", "방광염"), ("Asthma", "천식"),
    ("Fracture of rib", "갈비뼈 골절"), ("Contusion of elbow", "팔꿈치 타박상"),
    ("First degree burn", "1도 화상"), ("Hypertensive disorder", "고혈압성 질환"),
    ("Diabetes mellitus type 2", "제2형 당뇨병"), ("Alzheimer's disease", "알츠하이머병"),
    ("Appendicitis", "충수염"), ("Epilepsy", "뇌전증"), ("Gout", "통풍"),
    ("Rheumatoid arthritis", "류마티스 관절염"), ("Emphysema of lung", "폐기종"),
    ("Laceration of the hand, not otherwise specified, initial encounter", "달리 분류되지 않은 손의 열상, 초회 방문"),
    ("Seasonal allergic rhinitis", "계절성 알레르기 비염"),
]  # fmt: skip


def balance() -> pl.DataFrame:
    names = [
        ("age", "Age at time zero (years)", "시작점 연령(세)"),
        ("sex=female", "Female", "여성"),
    ]
    names += [(f"condition_{i}", en, ko) for i, (en, ko) in enumerate(CONDITIONS)]
    shrink = {"none": 1.0, "iptw_ate": 0.12, "overlap": 0.002, "matched": 0.3}
    rows = []
    for index, (key, en, ko) in enumerate(names):
        for adjustment, factor in shrink.items():
            smd = 0.19 * sin(index * 1.7 + 0.4) * factor
            rows.append(_covariate(key, en, ko, adjustment, index, smd))
    return pl.DataFrame(rows, infer_schema_length=None)


def _covariate(
    key: str, en: str, ko: str, adjustment: str, index: int, smd: float
) -> dict[str, object]:
    continuous = key == "age"
    share = 0.03 + 0.5 * abs(sin(index))
    means = (38.8 + smd, 38.8) if continuous else (share + smd * 0.1, share)
    crude = adjustment == "none" and not continuous
    return {
        "covariate": key, "label_en": en, "label_ko": ko,
        "kind": "continuous" if continuous else "binary", "adjustment": adjustment,
        "target_mean": means[0], "target_sd": 3.2 if continuous else None,
        "comparator_mean": means[1], "comparator_sd": 3.4 if continuous else None,
        "target_count": round(means[0] * 1797) if crude else None,
        "comparator_count": round(means[1] * 830) if crude else None,
        "smd": smd, "status": "ok",
    }  # fmt: skip


def quality() -> list[dict[str, object]]:
    checks = [
        _check("observation_period.person_exists", "observation_period", "person_id", "warning",
               "fail", 5343, 2649, "2,649 observation periods belong to no person of the delivery",
               "관찰 기간 2,649건의 사람이 인도 자료에 없음", "delivered"),
        _check("drug_exposure.days_supply", "drug_exposure", "days_supply", "warning", "fail",
               67_707, 67_707, "days of supply are missing, so eras may be too short",
               "처방 일수가 없어 투여 기간이 짧게 계산될 수 있음", "loadable"),
        _check("death.rows", "death", None, "warning", "not_applicable", 0, None, "no deaths",
               "사망 기록 없음", "loadable"),
    ]  # fmt: skip
    checks += [
        _check(f"person.{name}", "person", name, "critical", "pass", 2694, 0, "", "", "loadable")
        for name in ("person_id", "gender_concept_id", "year_of_birth")
    ]
    files = [
        {"file": "person.csv", "table_name": "person", "rows_in": 2694, "rows_loaded": 2694,
         "rows_quarantined": 0, "rows_deduplicated": 0, "status": "loaded", "code": None},
        {"file": "observation_period.csv", "table_name": "observation_period", "rows_in": 5343,
         "rows_loaded": 2694, "rows_quarantined": 2649, "rows_deduplicated": 0, "status": "loaded",
         "code": "Q_ORPHAN"},
    ]  # fmt: skip
    return [{"delivery_id": "D-0001", "site_id": "eunomia", "verdict": "pass_with_warnings",
             "checks": checks, "files": files}]  # fmt: skip


def _check(
    check_id: str, table: str, column: str | None, severity: str, status: str, rows: int,
    unexpected: int | None, en: str, ko: str, on: str,
) -> dict[str, object]:  # fmt: skip
    share = unexpected / rows if rows and unexpected is not None else None
    return {"check_id": check_id, "table": table, "column": column,
            "expectation": "expect_column_values_to_not_be_null", "severity": severity, "on": on,
            "status": status, "n_rows": rows, "n_unexpected": unexpected, "share": share,
            "reason_en": en, "reason_ko": ko}  # fmt: skip


def gates() -> list[dict[str, object]]:
    return [
        {"name": "persons_per_arm", "verdict": "pass", "value": 830.0, "threshold": 100.0, "on_miss": "block"},
        {"name": "events", "verdict": "pass", "value": 159.0, "threshold": 20.0, "on_miss": "block"},
        {"name": "max_smd", "verdict": "pass", "value": 0.0003, "threshold": 0.1, "on_miss": "block"},
        {"name": "equipoise", "verdict": "pass", "value": 0.9632, "threshold": 0.2, "on_miss": "report"},
    ]  # fmt: skip


def provenance() -> dict[str, str]:
    return {
        "run_id": "0a1b2c3d4e5f", "spec_hash": "9f" * 32, "content_hash": "3c" * 32,
        "snapshot_id": "3", "data_cutoff": "2019-07-03", "code_hash": "77" * 32,
        "lock_hash": "e1" * 32, "python": "3.11.7", "disclosure_threshold": "11",
        "package duckdb": "1.5.5", "package lifelines": "0.30.3", "package polars": "2.1.0",
        "package prefect": "3.8.8", "package great-expectations": "1.24.1",
    }  # fmt: skip


def world(**changes: object) -> ReportInputs:
    """Inputs as of a good run; any of them may be replaced."""
    deliveries = [
        {"delivery_id": "D-0001", "site_id": "eunomia", "kind": "full", "format": "omop",
         "data_cutoff": "2019-07-03", "data_class": "synthetic_public",
         "vocabulary_version": "v5.0 18-JAN-19", "status": "accepted_with_warnings"}
    ]  # fmt: skip
    values: dict[str, object] = {
        "spec": study(), "results": results(), "attrition": attrition(), "balance": balance(),
        "quality": quality(), "deliveries": deliveries, "gates": gates(),
        "provenance": provenance(),
    }  # fmt: skip
    return ReportInputs(**{**values, **changes})  # type: ignore[arg-type]
