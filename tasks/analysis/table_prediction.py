"""Rows of results of what a Cox model predicts at given covariates."""

from dataclasses import replace

import numpy as np

from tasks.analysis.design_columns import DesignColumns, design_columns
from tasks.analysis.people import BoolArray, FloatArray
from tasks.analysis.table_asked import AskedOfTable, Row
from tasks.analysis.table_rows import TableRows
from tasks.core.errors import EstimationError
from tasks.core.results import BEHIND
from tasks.core.spec.analyses import Analysis
from tasks.core.spec.columns import Category
from tasks.core.spec.keys_of_models import Prediction
from tasks.core.spec.terms import columns_in
from tasks.stats.cox import CoxFit
from tasks.stats.cox_prediction import predicted_survival
from tasks.stats.inference import z_quantile
from tasks.stats.proportional_hazards import coefficients_in_time

_LEAST_EVENTS, _MOST_SPANS, _MOST_COLUMNS, _LEVEL = 20, 6, 12, 0.95
_TIME = {"at_kind": "time_days", "term": "predicted"}


def predicted_rows(
    asked: AskedOfTable, method: str, fit: CoxFit, design: DesignColumns
) -> list[Row]:
    """Return survival and cumulative hazard at the covariates and days that are asked for.

    `n_events` counts the events of all up to the day, as the rows of a curve do.
    """
    predict = asked.analysis.predict
    if predict is None:
        return []
    rows, chosen = asked.rows, _stratum(asked.rows, predict)
    where = ", ".join(f"{name} = {_text(value)}" for name, value in sorted(predict.at.items()))
    if not chosen.any():
        why = f"at {where}: no row of this stratum can be used"
        return [_not_estimable(asked, method, float(day), why) for day in sorted(predict.days)]
    last = float(rows.time[chosen].max())
    days = np.array(sorted({day for day in predict.days if day <= last}), dtype=np.float64)
    made: list[Row] = []
    try:
        made = _within(asked, method, fit, design, days, where, chosen) if days.size else []
    except EstimationError as exc:  # the hazard ratios stand without it
        made = [
            _not_estimable(asked, method, float(day), f"at {where}: {exc.what}") for day in days
        ]
    late = sorted({day for day in predict.days if day > last})
    why = f"at {where}: beyond the longest follow-up"
    return made + [_not_estimable(asked, method, float(day), why) for day in late]


def coefficient_rows(asked: AskedOfTable, method: str, design: DesignColumns) -> list[Row]:
    """Return coefficients in spans of time, each of many events: the plot of scaled residuals.

    None where rows are weighted, or there are too few events, or many columns.
    """
    rows = asked.rows
    if rows.weights is not None or len(design.names) > _MOST_COLUMNS:
        return []
    try:
        found = coefficients_in_time(
            rows.time, rows.has_event, design.x, _LEAST_EVENTS, _MOST_SPANS,
            ties=asked.analysis.ties or "efron",
            strata=rows.labels(*(f"label_{name}" for name in asked.analysis.strata)),
            entry=rows.entry,
        )  # fmt: skip
    except EstimationError:
        return []  # the test says what can be said
    z = z_quantile(_LEVEL)
    return [
        asked.row(
            "coefficient",
            method=method,
            term=name,
            at=float(found.time[span]),
            at_kind="time_days",
            estimate=float(found.coef[span, i]),
            estimate_scale="identity",
            std_error=float(found.std_error[span, i]),
            se_scale="identity",
            se_method="model",
            ci_low=float(found.coef[span, i] - z * found.std_error[span, i]),
            ci_high=float(found.coef[span, i] + z * found.std_error[span, i]),
            ci_level=_LEVEL,
            ci_method="wald",
            statistic_name="scaled_schoenfeld",
            n_events=int(found.events[span]),
            note="mean of the scaled Schoenfeld residuals of the events of a span of time",
        )
        for i, name in enumerate(design.names)
        for span in range(found.time.size)
    ]


def _within(
    asked: AskedOfTable,
    method: str,
    fit: CoxFit,
    design: DesignColumns,
    days: FloatArray,
    where: str,
    chosen: BoolArray,
) -> list[Row]:
    """Return predictions by the baseline of the rows chosen: all, or those of one stratum."""
    values = {name: column[chosen] for name, column in asked.rows.values.items()}
    rows = replace(asked.rows, values=values, delivered=int(chosen.sum()), losses=())
    found = predicted_survival(
        fit,
        rows.time,
        rows.has_event,
        design.x[chosen],
        _place(asked),
        days,
        weights=rows.weights,
        entry=rows.entry,
    )
    made = []
    for i, day in enumerate(found.time):
        common = _TIME | {
            "method": method, "at": float(day), "estimate_scale": "identity",
            "se_scale": "identity", "se_method": fit.se_method, "n_events": int(found.events[i]),
            "note": f"at {where}", **_named_stratum(asked.analysis),
        }  # fmt: skip
        made.append(
            asked.row(
                "survival",
                rows,
                unit="probability",
                estimate=float(found.survival[i]),
                std_error=float(found.std_error[i]),
                ci_low=float(found.ci_low[i]),
                ci_high=float(found.ci_high[i]),
                ci_level=found.level,
                ci_method="log",
                **common,
            )
        )
        made.append(
            asked.row(
                "cumulative_hazard",
                rows,
                estimate=float(found.cumulative_hazard[i]),
                std_error=float(found.std_error_hazard[i]),
                **common,
            )
        )
    return [_with_others(asked, row, chosen) for row in made] if asked.analysis.strata else made


def _with_others(asked: AskedOfTable, row: Row, chosen: BoolArray) -> Row:
    """Return a row with the counts of all other strata behind it, for disclosure control."""
    others, behind = asked.rows.has_event[~chosen], row.get(BEHIND)
    before = behind if isinstance(behind, tuple) else ()
    return row | {BEHIND: (*before, others.size, int(others.sum()), int((~others).sum()))}


def _named_stratum(analysis: Analysis) -> Row:
    """Return the columns of a row that name the stratum of a prediction."""
    if not analysis.strata or analysis.predict is None:
        return {}
    level = ", ".join(str(analysis.predict.at[name]) for name in analysis.strata)
    return {"stratum_name": ", ".join(analysis.strata), "stratum_level": level}


def _not_estimable(asked: AskedOfTable, method: str, day: float, note: str) -> Row:
    return asked.row(
        "survival",
        method=method,
        at=day,
        n_events=None,
        status="not_estimable",
        note=note,
        **_TIME,
    )


def _stratum(rows: TableRows, predict: Prediction) -> BoolArray:
    """Return which rows are of the stratum that is named, shape (n,); all where none is."""
    chosen = np.ones(rows.n, dtype=bool)
    for name in rows.analysis.strata:
        chosen &= rows.values[f"label_{name}"].astype(str) == str(predict.at[name])
    return chosen


def _place(asked: AskedOfTable) -> FloatArray:
    """Return the columns of the design at the given covariates, shape (p,)."""
    rows, given = asked.rows, _given(asked.analysis.predict)
    named = columns_in(asked.analysis.parsed_terms)
    at = {name: value for name, value in given.items() if name in named}
    kinds = rows.source.columns
    values = {
        f"x_{name}": np.array([value if isinstance(kinds[name], Category) else float(value)])
        for name, value in at.items()
    }
    one = replace(rows, values=values, delivered=1, losses=())
    return np.asarray(design_columns(one).x[0])


def _given(predict: Prediction | None) -> dict[str, bool | float | str]:
    return dict(predict.at) if predict else {}


def _text(value: bool | float | str) -> str:
    return value if isinstance(value, str) else f"{float(value):g}"
