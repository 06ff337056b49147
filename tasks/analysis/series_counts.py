"""How many persons or events stand behind a period or a site of a series, for disclosure control.

A series counts where it has a denominator, or where its family is of counts. A value without
counts may be of one person: what is told of a single site of such a series is taken to be.
"""

from collections.abc import Callable

import numpy as np

from tasks.analysis.people import BoolArray, FloatArray, IntArray
from tasks.analysis.table_asked import AskedOfTable, Row
from tasks.core.results import CELLS

_OF_ONE_SITE: Row = {CELLS: (1,)}
_COUNTED = ("poisson", "quasi_poisson")

Counts = Callable[[BoolArray], tuple[int, ...]]


def counts_of(asked: AskedOfTable) -> Counts | None:
    """Return what counts persons and events of some rows; None where the series counts nobody."""
    rows = asked.rows
    value = rows.numbers("value")
    if "denominator" in rows.values:
        below = rows.numbers("denominator")
        return lambda chosen: _whole(below[chosen], value[chosen], (below - value)[chosen])
    if asked.analysis.family in _COUNTED:
        return lambda chosen: _whole(value[chosen])
    return None


def behind_periods(asked: AskedOfTable) -> list[Row]:
    """Return, for each row of a series, its own counts and those of its site before and after."""
    count, site = counts_of(asked), _sites(asked)
    is_on = np.asarray(asked.rows.values["intervention"] == 1)
    several = np.unique(site).size > 1
    if count is None:
        return [_OF_ONE_SITE if several else {}] * site.size
    segments = {
        s: count((site == s) & is_on) + count((site == s) & ~is_on) for s in np.unique(site)
    }
    each = np.arange(site.size)
    return [{CELLS: count(each == place) + segments[site[place]]} for place in each]


def behind_changes(asked: AskedOfTable) -> Row:
    """Return the counts of a series before and after the interruption, all sites together."""
    count = counts_of(asked)
    is_on = np.asarray(asked.rows.values["intervention"] == 1)
    return {} if count is None else {CELLS: count(is_on) + count(~is_on)}


def behind_adoption(asked: AskedOfTable, cohort: int | None, times: tuple[int, ...]) -> Row:
    """Return the counts of sites that adopt at a time, and of those that never do, at some times.

    Args:
        asked: The analysis of a roll-out.
        cohort: Place of the time of adoption; all that adopt later than the first when None.
        times: Places of times; all times before and all from adoption on when empty.
    """
    count, site = counts_of(asked), _sites(asked)
    _, when = np.unique(asked.rows.values["time"], return_inverse=True)
    is_on = np.asarray(asked.rows.values["intervention"] == 1)
    last = int(when.max()) + 1
    adopted = np.array([last - is_on[site == s].sum() for s in range(int(site.max()) + 1)])[site]
    mine = (adopted > 0) & (adopted < last) if cohort is None else adopted == cohort
    if count is None:
        return _OF_ONE_SITE if np.unique(site[mine]).size == 1 else {}
    never = adopted == last
    parts = [when == time for time in times] or [is_on, ~is_on]
    found = [count(group & part) for group in (mine, never) for part in parts]
    return {CELLS: tuple(one for part in found for one in part)}


def _sites(asked: AskedOfTable) -> IntArray:
    rows = asked.rows
    found = rows.labels("site") if "site" in rows.values else None
    return np.zeros(rows.n, dtype=np.int64) if found is None else np.asarray(found, np.int64)


def _whole(*parts: FloatArray) -> tuple[int, ...]:
    return tuple(round(float(part.sum())) for part in parts)
