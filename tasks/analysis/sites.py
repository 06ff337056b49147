"""People and outcomes of each site, where a study has several."""

import duckdb

from tasks.core.results import result_row
from tasks.core.spec import StudySpec


def site_rows(con: duckdb.DuckDBPyConnection, spec: StudySpec) -> list[dict[str, object]]:
    """Return one row a site and arm, target first; none where there is a single site.

    An arm that has nobody at a site has a row of zeros.
    """
    arms = [arm.id for arm in spec.arms]
    found = con.execute(
        "select site_id, arm, count(*), count(*) filter (where cause = 1), sum(follow_up_days) "
        "from cohort.subject group by all"
    ).fetchall()
    by_place = {(site_id, arm): tuple(counts) for site_id, arm, *counts in found}
    sites = sorted({site_id for site_id, _ in by_place})
    if len(sites) < 2:
        return []
    return [
        _row(spec, site_id, arm, by_place.get((site_id, arm), (0, 0, 0)))
        for site_id in sites
        for arm in arms
    ]


def _row(
    spec: StudySpec, site_id: str, arm: str, counts: tuple[int, int, int]
) -> dict[str, object]:
    n, events, days = counts
    return result_row(
        "sites",
        "descriptive",
        "count",
        method="count",
        site_id=site_id,
        target=spec.trial.target.id,
        comparator=spec.trial.comparator.id,
        arm=arm,
        outcome=spec.trial.outcome.id,
        population="crude",
        estimand="unadjusted",
        unit_of_analysis="person",
        unit="persons",
        estimate=float(n),
        n=n,
        n_events=events,
        person_time=float(days),
        note="person_time in days",
    )
