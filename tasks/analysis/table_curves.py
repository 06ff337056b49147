"""Cumulative hazards and Gray's test of an analysis table."""

from tasks.analysis.table_asked import AskedOfTable, Row
from tasks.analysis.table_survival import curve_rows, rows_of_test
from tasks.stats.gray_test import gray_test
from tasks.stats.nelson_aalen import hazard_at, nelson_aalen


def hazard_curves(asked: AskedOfTable) -> list[Row]:
    """Return the cumulative hazard of each group, and its values on the days asked for."""
    analysis = asked.analysis
    made: list[Row] = []
    for level, rows in asked.groups():
        curve = nelson_aalen(
            rows.time,
            rows.has_event,
            rows.weights_of_curve,
            conf_type="plain" if analysis.conf_type == "plain" else "log",
            variance="greenwood" if analysis.variance == "greenwood" else "poisson",
            ctype=analysis.ctype or 1,
            entry=rows.entry,
            cluster=rows.clusters,
        )
        made += curve_rows(asked, level, rows, curve, "cumulative_hazard", hazard_at)
    return made


def gray_tests(asked: AskedOfTable) -> list[Row]:
    """Return Gray's test, and the observed and expected events of each group."""
    rows = asked.rows
    group = rows.labels(f"x_{asked.group_column}")
    assert group is not None  # noqa: S101 - a check of the study asks for groups
    strata = rows.labels(*(f"label_{name}" for name in asked.analysis.strata))
    found = gray_test(rows.time, rows.event, group, strata=strata, rho=asked.analysis.rho or 0.0)
    return rows_of_test(asked, "gray", found, group)
