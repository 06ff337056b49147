"""Curves and restricted means of an analysis table, weighted for informative loss to follow-up."""

from collections.abc import Iterator

import numpy as np

from tasks.analysis.day_counts import until
from tasks.analysis.design_columns import design_columns
from tasks.analysis.table_asked import TIME, AskedOfTable, Row
from tasks.analysis.table_bootstrap import numbers, plan_of
from tasks.analysis.table_models import with_names
from tasks.analysis.table_rows import TableRows
from tasks.core.errors import EstimationError
from tasks.stats.bootstrap import BootstrapInterval, interval
from tasks.stats.inference import difference
from tasks.stats.ipcw import CensoringWeighted, survival_weighted_for_loss


def curves_weighted_for_loss(asked: AskedOfTable) -> list[Row]:
    """Return the survival of each group on the days asked for, with those then at risk."""
    made: list[Row] = []
    for level, rows in asked.groups():
        found = _weighted(asked, level, rows)
        made += _on_days(asked, level, rows, found)
    return made


def means_weighted_for_loss(asked: AskedOfTable) -> list[Row]:
    """Return the restricted mean of each group, and its difference from the first."""
    where: Row = {"at": float(asked.analysis.horizon_days or 0), "unit": "days", **TIME}
    made: list[Row] = []
    means: dict[str | None, BootstrapInterval] = {}
    for level, rows in asked.groups():
        found = _weighted(asked, level, rows)
        means[level] = _interval(asked, found, found.days.size)
        note = f"{_note(found)}; {means[level].replicates} resamples"
        values = numbers(means[level]) | {"note": note} | where | asked.of_group(level)
        horizon = float(asked.analysis.horizon_days or 0)
        made.append(asked.row("rmst", rows, **values) | until(horizon, rows))
    (reference, base), *others = means.items()
    for level, mean in others:
        error = float(np.hypot(mean.std_error, base.std_error))
        contrast = difference(mean.estimate - base.estimate, error, mean.level)
        named = asked.of_contrast(level, reference)
        made.append(
            asked.contrast("rmst_difference", contrast, se_method="bootstrap", **where, **named)
        )
    return made


def _weighted(asked: AskedOfTable, level: str | None, rows: TableRows) -> CensoringWeighted:
    analysis = asked.analysis
    design = design_columns(rows, analysis.parsed_censoring_terms)
    try:
        return survival_weighted_for_loss(
            rows.time,
            rows.has_event,
            design.x,
            np.asarray(analysis.table_days, dtype=np.float64),
            plan_of(analysis, level),
            horizon=float(analysis.horizon_days) if analysis.horizon_days else None,
            weights=rows.weights,
            with_jackknife=analysis.bootstrap_interval == "bca",
        )
    except EstimationError as exc:
        raise with_names(exc, design) from None


def _on_days(
    asked: AskedOfTable, level: str | None, rows: TableRows, found: CensoringWeighted
) -> Iterator[Row]:
    for place, day in enumerate(found.days):
        made = _interval(asked, found, place)
        events = int((rows.has_event & (rows.time <= day)).sum())
        where: Row = {"at": float(day), "term": "table", **TIME, **asked.of_group(level)}
        values = numbers(made) | {"unit": "probability", "n_events": events} | where
        values |= {"note": f"{_note(found)}; {made.replicates} resamples"}
        yield asked.row("survival", rows, **values)
        at_risk = {"estimate": float(found.n_at_risk[place]), "unit": "rows", "n_events": None}
        yield asked.row("n_at_risk", rows, **(at_risk | where))


def _note(found: CensoringWeighted) -> str:
    return f"weighted for loss, weights up to {found.largest_weight:.4g}"


def _interval(asked: AskedOfTable, found: CensoringWeighted, place: int) -> BootstrapInterval:
    method = asked.analysis.bootstrap_interval or "normal"
    without = None if found.without_each is None else found.without_each[:, place]
    whole, drawn = float(found.statistics[place]), found.resampled.values[:, place]
    return interval(whole, drawn, method, without_each=without)
