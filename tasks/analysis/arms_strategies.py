"""Strategies with a grace period in a study of the lake: everybody cloned, censored, weighted."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from tasks.analysis.people import FloatArray, People
from tasks.analysis.populations import Initiation, Population, independent_columns
from tasks.analysis.strategies import Course, Told, means, risk_row, risks, sizes
from tasks.analysis.table_bootstrap import plan_of
from tasks.core.errors import EstimationError
from tasks.core.results import AT_RISK, BEHIND
from tasks.core.spec.methods import INITIATION
from tasks.stats.clone_censor_weight import STRATEGIES, CloneCensorWeight, clone_censor_weight

if TYPE_CHECKING:
    from tasks.analysis.estimates import Asked

Row = dict[str, object]


def cloned(people: People, adjustment: str) -> Population:
    """Return everybody as a population of clones; with covariates where they are adjusted for.

    Args:
        people: Everybody, with the days on which treatment started.
        adjustment: `initiation_weights`, or `none` to weight by time alone.
    """
    assert people.start_days is not None  # noqa: S101 - the design has a grace period
    matrix, used = people.dense(), np.zeros(0, dtype=np.int64)
    if adjustment == INITIATION:
        used = independent_columns(matrix)
    names = tuple(people.covariates[place].id for place in used)
    initiation = Initiation(people.start_days, matrix[:, used], names)
    rows = np.arange(people.is_target.size)
    name = "crude" if adjustment == "none" else adjustment
    return Population(
        name, people.is_target, people.follow_up_days, people.cause, rows, None, None,
        initiation=initiation,
    )  # fmt: skip


def arms_strategies(asked: Asked, people: Population) -> list[Row]:
    """Return risks and restricted means of both strategies, their curves, contrasts and weights."""
    initiation, analysis = people.initiation, asked.analysis
    assert initiation is not None  # noqa: S101 - checks of the study see to it
    course = Course(
        people.follow_up_days, people.cause, initiation.start_days, float(asked.grace_days)
    )
    found = _estimated(asked, people, initiation, course)
    told = Told(analysis, course, found, partial(asked.row, people), _named, {})
    table = [_guarded(row, course) for row in (*risks(told), *means(told))]
    followers = [_of_followers(row, people) for row in sizes(told)]
    return [*_curves(told), *table, *followers]


def _estimated(
    asked: Asked, people: Population, initiation: Initiation, course: Course
) -> CloneCensorWeight:
    analysis = asked.analysis
    try:
        return clone_censor_weight(
            people.follow_up_days,
            people.cause,
            initiation.start_days,
            initiation.x if initiation.names else None,
            course.grace,
            _days(asked, people),
            plan_of(analysis),
            horizon=float(analysis.horizon_days) if analysis.horizon_days else None,
            truncate=analysis.truncate_weights,
            window=float(analysis.interval_days) if analysis.interval_days else None,
            with_jackknife=analysis.bootstrap_interval == "bca",
        )
    except EstimationError as exc:
        raise initiation.named(exc) from None


def _days(asked: Asked, people: Population) -> FloatArray:
    """Return the days asked for, and those on which a curve up to the last of them steps."""
    analysis = asked.analysis
    asked_for = np.asarray(analysis.table_days, dtype=np.float64)
    last = max(float(asked_for.max(initial=0.0)), float(analysis.horizon_days or 0))
    steps = people.follow_up_days[people.has_outcome & (people.follow_up_days <= last)]
    return np.unique(np.concatenate([[0.0, last], asked_for, steps]))


def _named(strategy: str) -> Row:
    return {"strategy": strategy, "arm": strategy}


def _curves(told: Told) -> Iterator[Row]:
    """Yield the curve of each strategy: a row a step, with the clones at risk for disclosure."""
    for number, strategy in enumerate(STRATEGIES):
        last = told.found.days[-1]
        days = told.course.time[told.course.has_outcome(strategy)]
        steps = np.unique(np.concatenate([[0.0, last], days[days <= last]]))
        reached = told.course.at_risk(strategy, steps)
        for day, at_risk in zip(steps, reached, strict=True):
            row = risk_row(told, number, float(day), "curve")
            yield _guarded(row, told.course) | {AT_RISK: int(at_risk)}


def _guarded(row: Row, course: Course) -> Row:
    """Add the outcomes of one strategy alone, and of both: differences of clones tell them.

    A risk counts the outcomes by its day; a mean, and what compares strategies, counts all.
    """
    is_risk = row["estimate_name"] == "cumulative_incidence"
    day = float(str(row["at"])) if is_risk else np.inf
    of_start, of_other = (course.has_outcome(name) & (course.time <= day) for name in STRATEGIES)
    cells = (of_start & of_other, of_start & ~of_other, of_other & ~of_start)
    return row | {BEHIND: tuple(int(cell.sum()) for cell in cells)}


def _of_followers(row: Row, people: Population) -> Row:
    """Add how many of an arm as seen follow its strategy no longer after the grace period."""
    is_start = row["strategy"] == STRATEGIES[0]
    seen = int((people.is_target == is_start).sum())
    followed = int(str(row["n"]))
    return row | {BEHIND: (followed, abs(seen - followed))}
