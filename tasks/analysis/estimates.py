"""From populations to rows of the results table: one function a method of the study."""

import math
from collections.abc import Callable, Mapping

import numpy as np

from tasks.analysis import fitted_curves
from tasks.analysis.arms_adjusted import by_strata, fitted_weights
from tasks.analysis.arms_bootstrap import (
    bootstrapped_arms_cox,
    bootstrapped_rows,
    is_bootstrapped,
    with_limits_of_arms,
)
from tasks.analysis.arms_curves import (
    arms_gray,
    arms_hazard,
    arms_log_rank,
    arms_quantiles,
    arms_rmst,
    survival_scale,
)
from tasks.analysis.arms_effects import arms_doubly_robust, arms_standardised
from tasks.analysis.arms_hazards import arms_fine_gray
from tasks.analysis.arms_strategies import arms_strategies
from tasks.analysis.day_counts import of_quantile, on_days
from tasks.analysis.people import FloatArray
from tasks.analysis.populations import Population
from tasks.analysis.table_asked import TIME
from tasks.core.errors import EstimationError
from tasks.core.results import AT_RISK, UNBOUNDED, result_row
from tasks.core.spec import Analysis, StudySpec
from tasks.stats.competing_risks import cumulative_incidence, incidence_at
from tasks.stats.cox import cox, profile_likelihood_interval
from tasks.stats.inference import Contrast
from tasks.stats.proportional_hazards import proportional_hazards_test
from tasks.stats.rates import incidence_rate, rate_difference, rate_ratio
from tasks.stats.risks import risk_difference, risk_ratio
from tasks.stats.step_curves import StepValues
from tasks.stats.survival import (
    kaplan_meier,
    median_survival,
    survival_at,
)
from tasks.stats.weighted_curves import WeightedArms

DAYS_PER_1000_PERSON_YEARS = 365_250

Row = dict[str, object]
Estimate = Callable[["Asked", Population], list[Row]]


class Asked:
    """One analysis of the study, and what all of its rows have in common."""

    def __init__(self, spec: StudySpec, analysis: Analysis) -> None:
        self.analysis = analysis
        self.grace_days = spec.trial.design.grace_period_days
        self.arms = (spec.trial.target.id, spec.trial.comparator.id)
        self._common = {
            "target": spec.trial.target.id,
            "comparator": spec.trial.comparator.id,
            "outcome": spec.trial.outcome.id,
            "unit_of_analysis": "person",
            "ci_level": 0.95,
            "n_sites": None,
            **stratum(analysis.population),
        }
        serves = spec.estimand_of(analysis)
        self._note = f"estimand {serves.id}" if serves else None

    def row(self, people: Population, estimate_name: str, **values: object) -> Row:
        """Return a row of this analysis in this population."""
        default = {
            "method": self.analysis.method,
            "population": people.name,
            "estimand": people.estimand,
            "n": int(people.rows.size),
            "n_events": int(people.has_outcome.sum()),
            "note": self._note,
        }
        merged = self._common | default | values
        return result_row(self.analysis.id, self.analysis.role, estimate_name, **merged)

    def each_arm(self, people: Population) -> list[tuple[str, Population]]:
        """Return both arms with their names, target first."""
        return [(self.arms[0], people.arm(True)), (self.arms[1], people.arm(False))]

    def contrast(self, people: Population, name: str, found: Contrast, **values: object) -> Row:
        """Return a row for a contrast of the arms."""
        if not math.isfinite(found.estimate):
            return self.row(people, name, ci_level=None, **{**values, **UNBOUNDED})
        return self.row(
            people,
            name,
            estimate=found.estimate,
            estimate_scale=found.estimate_scale,
            std_error=found.std_error,
            se_scale=found.se_scale,
            ci_low=_finite(found.ci_low),
            ci_high=_finite(found.ci_high),
            ci_method=found.ci_method,
            p_value=found.p_value,
            statistic_name=None if found.z is None else "z",
            statistic=found.z,
            **values,
        )


def stratum(population: str | None) -> Row:
    """Return the columns that name a population of the design; none for everybody."""
    if population is None:
        return {}
    return {"stratum_name": "population", "stratum_level": population}


def estimate(
    spec: StudySpec, analysis: Analysis, population: Population | None, why: str
) -> list[Row]:
    """Return the rows of one analysis; a row that says why where it cannot be estimated.

    Args:
        spec: The study.
        analysis: The analysis.
        population: Where to estimate; None when its adjustment could not be made.
        why: Why it could not be made.
    """
    asked = Asked(spec, analysis)
    try:
        if population is None:
            fix = "look at the balance table for a covariate that separates the arms."
            raise EstimationError(analysis.adjustment, why, fix)
        made = METHODS[analysis.method](asked, by_strata(analysis.method, population))
        return made + _fitted_curves(asked, population, made)
    except EstimationError as exc:
        return [_not_estimable(asked, population, exc)]


def _fitted_curves(asked: Asked, people: Population, made: list[Row]) -> list[Row]:
    """Return rows of curves and means again, with errors that count the fit of the weights.

    None where resamples have fitted the weights anew already.
    """
    is_curve = asked.analysis.method in fitted_curves.METHODS
    if people.estimated is None or not is_curve or is_bootstrapped(asked.analysis):
        return []
    competes = asked.analysis.method == "cumulative_incidence"
    cause = people.cause if competes else people.has_outcome.astype(np.int64)
    arms = WeightedArms(people.follow_up_days, cause, people.is_target, people.estimated)
    target = asked.arms[0]
    return fitted_curves.fitted_rows(
        made, asked.analysis, arms, lambda row: row.get("arm") == target
    )


def _not_estimable(asked: Asked, population: Population | None, exc: EstimationError) -> Row:
    name = asked.analysis.rule.lake_estimate
    what = {"status": "not_estimable", "note": f"{exc.where}: {exc.what}", "ci_level": None}
    if population is not None:
        return asked.row(population, name, **what)
    adjustment = asked.analysis.adjustment
    where = stratum(asked.analysis.population)
    common = {"method": asked.analysis.method, "population": adjustment, **where, **what}
    return result_row(asked.analysis.id, asked.analysis.role, name, **common)


def _cox(asked: Asked, people: Population) -> list[Row]:
    analysis, x = asked.analysis, people.is_target.astype(float)[:, None]
    ties = analysis.ties or "efron"
    method = f"cox_{ties}"
    drawn = bootstrapped_arms_cox(asked, people, x) if is_bootstrapped(analysis) else None
    fit = (
        drawn.fit
        if drawn is not None
        else cox(
            people.follow_up_days,
            people.has_outcome,
            x,
            ties=ties,
            weights=people.weights,
            robust=analysis.std_error == "robust",
            cluster=people.cluster,
            strata=people.stratum,
        )
    )
    rows = [
        asked.row(
            people,
            "hazard_ratio",
            method=method,
            estimate=math.exp(fit.coef[0]),
            estimate_scale="ratio",
            std_error=float(fit.std_error[0]),
            se_scale="log",
            se_method=fit.se_method,
            ci_low=math.exp(fit.ci_low[0]),
            ci_high=math.exp(fit.ci_high[0]),
            ci_method="wald",
            statistic_name="z",
            statistic=float(fit.z[0]),
            p_value=float(fit.p_value[0]),
            n_clusters=fit.n_clusters,
        )
    ]
    if drawn is None:
        rows += fitted_weights(people, rows[0], ties)
    else:
        rows = [with_limits_of_arms(asked, drawn, rows[0])]
    if analysis.std_error == "profile_likelihood":
        rows.append(_profile(asked, people, rows[0], x))
    rows.append(_proportional_hazards(asked, people, x, method))
    return rows


def _profile(asked: Asked, people: Population, wald: Row, x: FloatArray) -> Row:
    found = profile_likelihood_interval(
        people.follow_up_days, people.has_outcome, x, 0, ties=asked.analysis.ties or "efron"
    )
    z = found.estimate / found.implied_std_error
    return wald | {
        "std_error": found.implied_std_error,
        "se_method": "profile_likelihood",
        "ci_low": math.exp(found.ci_low),
        "ci_high": math.exp(found.ci_high),
        "ci_method": "profile_likelihood",
        "statistic": z,
        "p_value": math.erfc(abs(z) / math.sqrt(2)),
    }


def _proportional_hazards(asked: Asked, people: Population, x: FloatArray, method: str) -> Row:
    what = {"method": method, "ci_level": None, "statistic_name": "proportional_hazards"}
    try:
        found = proportional_hazards_test(
            people.follow_up_days,
            people.has_outcome,
            x,
            ties=asked.analysis.ties or "efron",
            weights=people.weights,
        )
    except EstimationError as exc:  # the hazard ratio stands without it
        return asked.row(people, "test", status="not_estimable", note=exc.what, **what)
    return asked.row(
        people,
        "test",
        **what,
        statistic=found.global_statistic,
        df1=float(found.global_df),
        p_value=found.global_p_value,
    )


def _kaplan_meier(asked: Asked, people: Population) -> list[Row]:
    rows: list[Row] = []
    for arm, members in asked.each_arm(people):
        curve = kaplan_meier(
            members.follow_up_days,
            members.has_outcome,
            members.weights,
            conf_type=survival_scale(asked.analysis),
        )
        how = {"arm": arm, "se_method": curve.se_method, "ci_method": curve.ci_method}
        steps = np.union1d([0.0], curve.time[curve.n_events > 0])
        table = np.asarray(asked.analysis.table_days, float)
        for term, days in (("curve", np.union1d(steps, curve.time[-1:])), ("table", table)):
            kept = days[days <= curve.time[-1]]
            if kept.size:
                found = survival_at(curve, kept)
                rows += _steps(asked, members, "survival", found, term, how)
                rows += _at_risk(asked, members, found, arm) if term == "table" else []
        rows += _beyond(asked, members, "survival", arm, table[table > curve.time[-1]])
        rows.append(_median(asked, members, arm, median_survival(curve)))
        rows += arms_quantiles(asked, members, arm, curve)
    return bootstrapped_rows(asked, people, rows)


def _steps(
    asked: Asked,
    members: Population,
    name: str,
    found: StepValues,
    term: str,
    how: Mapping[str, object],
) -> list[Row]:
    """One row a time; `n_events` counts the outcomes of the arm up to it."""
    so_far = np.sort(members.follow_up_days[members.has_outcome])
    ends = np.sort(members.follow_up_days)
    return [
        asked.row(
            members,
            name,
            at=float(found.time[i]),
            term=term,
            unit="probability",
            estimate=float(found.estimate[i]),
            estimate_scale="identity",
            std_error=_finite(found.std_error[i]),
            se_scale="identity",
            ci_low=_finite(found.ci_low[i]),
            ci_high=_finite(found.ci_high[i]),
            n_events=int(np.searchsorted(so_far, found.time[i], side="right")),
            **TIME,
            **how,
        )
        | {AT_RISK: int(ends.size - np.searchsorted(ends, found.time[i]))}
        for i in range(found.time.size)
    ]


def _beyond(asked: Asked, members: Population, name: str, arm: str, days: FloatArray) -> list[Row]:
    """One row a day that the arm is not followed to: asked for, and not estimable."""
    return [
        asked.row(
            members,
            name,
            arm=arm,
            at=float(day),
            term="table",
            n_events=None,
            ci_level=None,
            status="not_estimable",
            note="beyond the follow-up of this arm",
            **TIME,
        )
        for day in days
    ]


def _at_risk(asked: Asked, members: Population, found: StepValues, arm: str) -> list[Row]:
    return [
        asked.row(
            members,
            "n_at_risk",
            arm=arm,
            at=float(found.time[i]),
            term="table",
            unit="persons",
            estimate=float(found.n_at_risk[i]),
            ci_level=None,
            n_events=None,
            **TIME,
        )
        for i in range(found.time.size)
    ]


def _median(asked: Asked, members: Population, arm: str, found: object) -> Row:
    reached = getattr(found, "estimate", None)
    return asked.row(
        members,
        "median_survival",
        arm=arm,
        unit="days",
        estimate=reached,
        ci_low=getattr(found, "ci_low", None),
        ci_high=getattr(found, "ci_high", None),
        status="ok" if reached is not None else "not_estimable",
        note=None if reached is not None else "survival stays above one half",
    ) | on_days(of_quantile(found), members.follow_up_days, members.has_outcome)


def _cumulative_incidence(asked: Asked, people: Population) -> list[Row]:
    rows: list[Row] = []
    curves = []
    for arm, members in asked.each_arm(people):
        curve = cumulative_incidence(
            members.follow_up_days,
            members.cause,
            weights=members.weights,
            conf_type=asked.analysis.conf_type or "cloglog",
            variance="aalen" if asked.analysis.variance == "aalen" else "ij",
        )
        curves.append(curve)
        how = {"arm": arm, "se_method": curve.se_method, "ci_method": curve.ci_method}
        steps = np.union1d([0.0], curve.time[curve.n_events > 0])
        table = np.asarray(asked.analysis.table_days, float)
        for term, days in (("curve", np.union1d(steps, curve.time[-1:])), ("table", table)):
            kept = days[days <= curve.time[-1]]
            if kept.size:
                found = incidence_at(curve, kept)
                rows += _steps(asked, members, "cumulative_incidence", found, term, how)
        late = table[table > curve.time[-1]]
        rows += _beyond(asked, members, "cumulative_incidence", arm, late)
    followed = min(float(curve.time[-1]) for curve in curves)
    if reached := [day for day in asked.analysis.table_days if day <= followed]:
        day = float(max(reached))
        for name, contrast in (("risk_difference", risk_difference), ("risk_ratio", risk_ratio)):
            found_contrast = contrast(curves[0], curves[1], day)
            method = curves[0].se_method
            rows.append(
                asked.contrast(people, name, found_contrast, at=day, se_method=method, **TIME)
            )
    return bootstrapped_rows(asked, people, rows)


def _incidence_rate(asked: Asked, people: Population) -> list[Row]:
    rows, rates = [], []
    unit = {"unit": "per 1000 person-years"}
    for arm, members in asked.each_arm(people):
        days = float(members.follow_up_days.sum())
        found = incidence_rate(int(members.has_outcome.sum()), days / DAYS_PER_1000_PERSON_YEARS)
        rates.append(found)
        rows.append(
            asked.row(
                members,
                "incidence_rate",
                arm=arm,
                estimate=found.estimate,
                estimate_scale="identity",
                std_error=found.std_error,
                se_scale="identity",
                se_method="poisson",
                ci_low=found.ci_low,
                ci_high=found.ci_high,
                ci_method=found.ci_method,
                person_time=days,
                note="person_time in days",
                **unit,
            )
        )
    rows.append(asked.contrast(people, "rate_ratio", rate_ratio(*rates)))
    rows.append(asked.contrast(people, "rate_difference", rate_difference(*rates), **unit))
    return rows


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


METHODS: dict[str, Estimate] = {
    "cox": _cox,
    "fine_gray": arms_fine_gray,
    "kaplan_meier": _kaplan_meier,
    "nelson_aalen": arms_hazard,
    "log_rank": arms_log_rank,
    "gray_test": arms_gray,
    "rmst": arms_rmst,
    "cumulative_incidence": _cumulative_incidence,
    "incidence_rate": _incidence_rate,
    "clone_censor_weight": arms_strategies,
    "g_computation": arms_standardised,
    "aipw": arms_doubly_robust,
}
