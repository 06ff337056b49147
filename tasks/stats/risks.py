"""Cumulative risks of two arms at one horizon, compared."""

import numpy as np

from tasks.core.errors import EstimationError
from tasks.stats.competing_risks import CumulativeIncidence
from tasks.stats.inference import Contrast, difference, ratio
from tasks.stats.step_curves import SurvivalCurve, places_on_curve

Curve = SurvivalCurve | CumulativeIncidence


def risk_difference(a: Curve, b: Curve, horizon: float) -> Contrast:
    """Risk of arm `a` less risk of arm `b` by `horizon`, Wald interval.

    Args:
        a: Curve of the first arm; risk is 1 - survival, or the cumulative incidence.
        b: Curve of the other arm, independent of the first.
        horizon: Time in the unit of the curves.

    Returns:
        Difference of probabilities.

    Raises:
        EstimationError: `horizon` is beyond an arm's follow-up, levels differ, or the
            standard error is zero or undefined.
    """
    (risk_a, se_a), (risk_b, se_b) = _risks(a, b, horizon)
    return difference(risk_a - risk_b, float(np.hypot(se_a, se_b)), a.level)


def risk_ratio(a: Curve, b: Curve, horizon: float) -> Contrast:
    """Risk of arm `a` over risk of arm `b` by `horizon`, Wald interval on the log scale.

    Args:
        a: Curve of the first arm.
        b: Curve of the other arm, independent of the first.
        horizon: Time in the unit of the curves.

    Returns:
        Ratio of probabilities; its standard error is of the log.

    Raises:
        EstimationError: As `risk_difference`; and an arm has no event by `horizon`.
    """
    (risk_a, se_a), (risk_b, se_b) = _risks(a, b, horizon)
    if min(risk_a, risk_b) <= 0:
        raise EstimationError(
            "risk_ratio",
            f"an arm has no event by {horizon:g}",
            "report the risk difference, or a later horizon.",
        )
    log_error = float(np.hypot(se_a / risk_a, se_b / risk_b))
    return ratio(float(np.log(risk_a / risk_b)), log_error, a.level)


def _risks(a: Curve, b: Curve, horizon: float) -> list[tuple[float, float]]:
    if a.level != b.level:
        raise EstimationError("risks", "levels of the curves differ", "use one level for both.")
    return [_risk_by(curve, horizon) for curve in (a, b)]


def _risk_by(curve: Curve, horizon: float) -> tuple[float, float]:
    if isinstance(curve, SurvivalCurve):
        risk, complete = 1 - curve.survival, bool(curve.survival[-1] == 0)
    else:
        risk, complete = curve.cumulative_incidence, curve.complete
    place = places_on_curve(curve.time, np.array([horizon], dtype=np.float64), complete)[0]
    return float(np.append(0.0, risk)[place]), float(np.append(0.0, curve.std_error)[place])
