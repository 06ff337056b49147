"""What negative controls say about an analysis, and its effects with that error taken out."""

import math
from collections.abc import Callable, Iterable, Mapping

from tasks.analysis.controls import CONTROLS, EFFECTS, RATIOS, Comparison, Row, outcome_effects
from tasks.analysis.estimates import stratum
from tasks.core.errors import EstimationError
from tasks.core.results import result_row
from tasks.core.spec import Analysis, StudySpec
from tasks.stats.calibration import SystematicError, calibrate, fit_systematic_error

_ALIKE = ("estimate_name", "at", "unit")


def calibrated(
    spec: StudySpec,
    analysis: Analysis,
    comparison: Comparison,
    rows: Iterable[Row],
    of_exposures: Iterable[Row] = (),
) -> list[Row]:
    """Return what the negative controls say about one analysis, and its calibrated effects.

    Each effect has an error of its own: of ratios on the scale of their logarithm, of differences
    on their own scale.

    Args:
        spec: The study.
        analysis: An analysis that says `calibrate: true`.
        comparison: The populations that it is made in, and the outcomes that are controls.
        rows: Its own rows of results.
        of_exposures: What it finds between the arms that are controls.
    """
    name = "crude" if analysis.adjustment == "none" else analysis.adjustment
    found = outcome_effects(spec, analysis, comparison, comparison.populations.get(name))
    of_controls = [*found, *of_exposures]
    where = {
        "method": "empirical_calibration",
        "population": name,
        "target": spec.trial.target.id,
        "comparator": spec.trial.comparator.id,
        "term": analysis.id,
        **stratum(analysis.population),
    }
    out = list(of_controls)
    for effect, own in _own(analysis, rows, of_controls).items():
        told, error = _systematic_error(effect, own, of_controls, where)
        out += told
        if error is not None and _is_usable(own):
            out.append(_calibrated(own, error))
    return out


def _own(analysis: Analysis, rows: Iterable[Row], of_controls: list[Row]) -> dict[str, Row]:
    """Return each effect of the analysis with its own first row; without one, with a control's."""
    first: dict[str, Row] = {}
    usable = [row for row in rows if _is_usable(row)]
    for row in (*usable, *of_controls):
        if row["estimate_name"] in EFFECTS:
            is_own = row["analysis_id"] == analysis.id
            first.setdefault(str(row["estimate_name"]), row if is_own else _nameless(row))
    return first or {analysis.rule.lake_estimate: {}}


def _nameless(row: Row) -> Row:
    return {name: row.get(name) for name in (*_ALIKE, "at_kind")}


def _is_usable(row: Row) -> bool:
    error = row.get("std_error")
    scale = "log" if row.get("estimate_name") in RATIOS else "identity"
    return (
        row.get("estimate_name") in EFFECTS
        and row.get("status") == "ok"
        and error is not None
        and float(str(error)) > 0
        and row.get("se_scale") == scale
        and row.get("se_method") != "profile_likelihood"
    )


def _systematic_error(
    effect: str, own: Row, of_controls: list[Row], where: Mapping[str, object]
) -> tuple[list[Row], SystematicError | None]:
    usable = [
        row
        for row in of_controls
        if _is_usable(row) and all(row.get(name) == own.get(name) for name in _ALIKE)
    ]
    read, _ = _scale(effect)
    is_ratio = effect in RATIOS
    common = {
        **where,
        "statistic_name": effect,
        "se_scale": "log" if is_ratio else "identity",
        **{name: own.get(name) for name in ("at", "at_kind", "unit")},
    }
    try:
        error = fit_systematic_error(
            [read(float(str(row["estimate"]))) for row in usable],
            [float(str(row["std_error"])) for row in usable],
        )
    except EstimationError as exc:
        why = {"status": "not_estimable", "note": exc.what}
        return [result_row(CONTROLS, "descriptive", "ease", **common, **why)], None
    common["note"] = _said(usable, of_controls)
    values = (("error_mean", error.mean), ("error_sd", error.sd))
    told = [
        result_row(
            CONTROLS, "descriptive", "coefficient", scenario=scenario, estimate=value,
            estimate_scale="identity", **common,
        )
        for scenario, value in values
    ]  # fmt: skip
    return [
        result_row(CONTROLS, "descriptive", "ease", estimate=error.ease, **common),
        *told,
    ], error


def _said(usable: list[Row], of_controls: list[Row]) -> str:
    """Say how many controls could be estimated, of outcomes and of exposures."""
    kinds = [
        {(row["stratum_name"], row["stratum_level"]) for row in r} for r in (usable, of_controls)
    ]
    said = f"{len(kinds[0])} of {len(kinds[1])} negative controls could be estimated"
    n_exposures = sum(kind == "negative_control_exposure" for kind, _ in kinds[0])
    return f"{said}, {n_exposures} of them exposures" if n_exposures else said


def _scale(effect: object) -> tuple[Callable[[float], float], Callable[[float], float]]:
    """Return how an effect is read for its error, and how it is written."""
    return (math.log, math.exp) if effect in RATIOS else (float, float)


def _calibrated(row: Row, error: SystematicError) -> Row:
    """Return an effect of the study with the systematic error taken out of it."""
    read, write = _scale(row["estimate_name"])
    level = float(str(row.get("ci_level") or 0.95))
    estimate, std_error = float(str(row["estimate"])), float(str(row["std_error"]))
    found = calibrate(read(estimate), std_error, error, level)
    return row | {
        "term": "calibrated",
        "estimate": write(found.estimate),
        "std_error": found.std_error,
        "se_method": "empirical_calibration",
        "ci_low": write(found.ci_low),
        "ci_high": write(found.ci_high),
        "ci_method": "empirical_calibration",
        "statistic_name": "z",
        "statistic": found.z,
        "p_value": found.p_value,
    }
