"""Tables of published effects: calibrated by those that are negative controls, and E-values."""

import math
from collections.abc import Callable, Iterator

import numpy as np

from tasks.analysis.sensitivity import MEASURES
from tasks.analysis.table_asked import AskedOfTable, Row
from tasks.core.errors import EstimationError
from tasks.core.spec.sources import EffectTable
from tasks.stats.calibration import SystematicError, calibrate, fit_systematic_error
from tasks.stats.evalue import e_value
from tasks.stats.inference import two_sided_p, z_quantile

LEVEL = 0.95


def calibrated_effects(asked: AskedOfTable) -> list[Row]:
    """Return the systematic error of the controls, and each other effect with it taken out."""
    is_control = asked.rows.values[f"x_{asked.analysis.control}"].astype(bool)
    y, s = asked.rows.numbers("estimate"), asked.rows.numbers("std_error")
    error = fit_systematic_error(y[is_control], s[is_control])
    rows = _error_rows(asked, error, int(is_control.size))
    for place, named in _labels(asked):
        estimate, std_error = float(y[place]), float(s[place])
        term = "control" if is_control[place] else None
        rows.append(_effect(asked, estimate, std_error, term=term, **named))
        if not is_control[place]:
            rows.append(_calibrated(asked, estimate, std_error, error, named))
    return rows


def _error_rows(asked: AskedOfTable, error: SystematicError, n: int) -> list[Row]:
    note = f"from {error.n} negative controls of {n} effects"
    values = {"error_mean": error.mean, "error_sd": error.sd}
    return [
        asked.row("ease", estimate=error.ease, note=note),
        *(
            asked.row("coefficient", scenario=name, estimate=value, note=note)
            for name, value in values.items()
        ),
    ]


def _effect(asked: AskedOfTable, estimate: float, std_error: float, **values: object) -> Row:
    margin, z = z_quantile(LEVEL) * std_error, estimate / std_error
    write = _writer(asked)
    shown: Row = {
        "estimate": write(estimate),
        "estimate_scale": "ratio" if write is math.exp else "identity",
        "std_error": std_error,
        "se_scale": "log" if write is math.exp else "identity",
        "se_method": "as_given",
        "ci_low": write(estimate - margin),
        "ci_high": write(estimate + margin),
        "ci_level": LEVEL,
        "ci_method": "wald",
        "statistic_name": "z",
        "statistic": z,
        "p_value": two_sided_p(z),
    }
    return asked.row(asked.analysis.measure or "coefficient", **shown | values)


def _calibrated(
    asked: AskedOfTable, estimate: float, std_error: float, error: SystematicError, named: Row
) -> Row:
    found, write = calibrate(estimate, std_error, error, LEVEL), _writer(asked)
    return _effect(asked, found.estimate, found.std_error) | {
        "term": "calibrated",
        "se_method": "empirical_calibration",
        "ci_method": "empirical_calibration",
        "ci_low": write(found.ci_low),
        "ci_high": write(found.ci_high),
        **named,
    }


def e_values(asked: AskedOfTable) -> list[Row]:
    """Return the E-values of each effect of the table, and of its limit nearer to no effect."""
    measure = MEASURES[str(asked.analysis.measure)]
    is_common = bool(asked.analysis.outcome_is_common)
    y, s = asked.rows.numbers("estimate"), asked.rows.numbers("std_error")
    rows: list[Row] = []
    for place, named in _labels(asked):
        margin = z_quantile(LEVEL) * float(s[place])
        limits = [math.exp(float(y[place]) + sign * margin) for sign in (-1, 1)]
        ratio = math.exp(float(y[place]))
        found = e_value(ratio, *limits, measure=measure, is_common=is_common)
        parts = (("estimate", found.estimate), ("limit", found.limit))
        for scenario, value in parts:
            what = {"scenario": scenario, "estimate": value, "estimate_scale": "ratio"}
            rows.append(
                asked.row("e_value", statistic_name=asked.analysis.measure, **what, **named)
            )
    return rows


def _labels(asked: AskedOfTable) -> Iterator[tuple[int, Row]]:
    """Yield the place of each effect, in the order of its study or site, and its name."""
    label = next((name for name in ("study", "site") if name in asked.rows.values), None)
    if label is None:
        raise EstimationError(asked.rows.source.id, "effects have no names", "add the role study.")
    names = asked.rows.values[label].astype(str)
    for place in np.argsort(names, kind="stable"):
        named: Row = {"stratum_name": label, "stratum_level": str(names[place])}
        yield int(place), named


def _writer(asked: AskedOfTable) -> Callable[[float], float]:
    source = asked.rows.source
    is_log = isinstance(source, EffectTable) and source.roles.scale == "log"
    return math.exp if is_log else float
