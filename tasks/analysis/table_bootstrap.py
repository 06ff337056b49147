"""Bootstraps of registry tables: what is drawn, from which seed, and the limits they give."""

import math

from tasks.analysis.design_columns import DesignColumns
from tasks.analysis.people import IntArray
from tasks.analysis.table_asked import AskedOfTable, Row
from tasks.core.spec import Analysis
from tasks.stats.bootstrap import BootstrapInterval, Plan, interval
from tasks.stats.cox_bootstrap import CoxBootstrap, cox_bootstrap, cox_jackknife

_REPLICATES = 500


def plan_of(analysis: Analysis, group: str | None = None) -> Plan:
    """Return how an analysis, or a group of it, is resampled; ids keep their draws apart."""
    name = analysis.id if group is None else f"{analysis.id}:{group}"
    return Plan(analysis.replicates or _REPLICATES, analysis.seed or 0, name)


def numbers(made: BootstrapInterval) -> Row:
    """Return the columns of a row that hold an estimate with its bootstrap interval."""
    return {
        "estimate": made.estimate,
        "estimate_scale": "identity",
        "std_error": made.std_error,
        "se_scale": "identity",
        "se_method": "bootstrap",
        "ci_low": made.ci_low,
        "ci_high": made.ci_high,
        "ci_level": made.level,
        "ci_method": "wald" if made.ci_method == "normal" else made.ci_method,
        "note": f"{made.replicates} resamples; the weights are fitted anew in each",
    }


def bootstrapped_cox(
    asked: AskedOfTable, design: DesignColumns, strata: IntArray | None
) -> CoxBootstrap:
    """Return Cox's model with standard errors from resamples of clusters, or of persons."""
    rows = asked.rows
    return cox_bootstrap(
        rows.time,
        rows.has_event,
        design.x,
        plan_of(asked.analysis),
        ties=asked.analysis.ties or "efron",
        weights=rows.weights,
        cluster=_units(asked),
        strata=strata,
        entry=rows.entry,
    )


def with_limits(analysis: Analysis, drawn: CoxBootstrap, row: Row, index: int) -> Row:
    """Return a row of a hazard ratio with the limits that the analysis asks of its resamples."""
    values = drawn.resampled.values[:, index]
    note = f"{values.size} resamples of {'clusters' if drawn.n_clusters else 'rows'}"
    row = row | {"note": note, "n_clusters": drawn.n_clusters}
    method = analysis.bootstrap_interval or "normal"
    if method == "normal":
        return row
    without = cox_jackknife(drawn)[:, index] if method == "bca" else None
    made = interval(float(drawn.fit.coef[index]), values, method, drawn.fit.level, without)
    limits = {"ci_low": math.exp(made.ci_low), "ci_high": math.exp(made.ci_high)}
    return row | limits | {"ci_method": method}


def _units(asked: AskedOfTable) -> IntArray | None:
    """Return what is drawn: the clusters named, or persons where they have several rows."""
    rows = asked.rows
    if asked.analysis.cluster:
        return rows.labels(f"label_{asked.analysis.cluster}")
    return rows.labels("person_id") if "start_days" in rows.values else None
