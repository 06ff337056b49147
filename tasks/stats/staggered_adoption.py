"""Difference-in-differences where sites adopt at different times: group-time effects."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from tasks.core.errors import EstimationError
from tasks.stats.inputs import BoolArray, FloatArray, IntArray

Controls = Literal["never_treated", "not_yet_treated"]


@dataclass(frozen=True)
class Panel:
    """Values of sites at times, shape (sites, times), and when each site adopted.

    `adopted` holds the place of the first time with the intervention, `times` where never.
    """

    values: FloatArray
    adopted: IntArray
    left_out: int = 0  # sites treated from the first time on

    @property
    def times(self) -> int:
        """How many times there are."""
        return int(self.values.shape[1])

    @cached_property
    def cohorts(self) -> IntArray:
        """Distinct times of adoption, never excluded."""
        return np.unique(self.adopted[self.adopted < self.times])

    @cached_property
    def cells(self) -> tuple[tuple[int, int], ...]:
        """Every time of adoption with every time but the first."""
        return tuple((int(g), t) for g in self.cohorts for t in range(1, self.times))


@dataclass(frozen=True, slots=True, eq=False)
class Effect:
    """An average effect; `influence` of each site, shape (sites,), sums to zero."""

    name: str
    estimate: float
    influence: FloatArray
    at: int | None = None
    cohort: int | None = None
    sites: int = 0

    @property
    def std_error(self) -> float:
        """Standard error from the influence of sites, which takes sites as a sample."""
        return float(np.sqrt(self.influence @ self.influence)) / self.influence.size


def panel(site: ArrayLike, time: ArrayLike, value: ArrayLike, treated: ArrayLike) -> Panel:
    """Arrange rows as a balanced panel; sites treated from the first time on are left out.

    Args:
        site: Number of the site of each row, 0 to sites - 1, shape (n,).
        time: Place of the time of each row, 0 to times - 1, shape (n,).
        value: Outcome, shape (n,), finite.
        treated: Whether the intervention is on, shape (n,).

    Raises:
        EstimationError: A site lacks a time or has it twice, an intervention is switched off,
            nobody adopts after the first time, or nothing is left to compare with.
    """
    place, when = (np.asarray(a, dtype=np.int64) for a in (site, time))
    sites, times = int(place.max(initial=-1)) + 1, int(when.max(initial=-1)) + 1
    if np.unique(place * max(times, 1) + when).size != sites * times or place.size != sites * times:
        what = f"{place.size} rows of {sites} sites at {times} times: one a site and time is needed"
        raise _refused(what, "fill the series of every site, or leave the site out.")
    values, on = np.empty((sites, times)), np.zeros((sites, times), dtype=np.bool_)
    values[place, when] = np.asarray(value, dtype=np.float64)
    on[place, when] = np.asarray(treated) == 1
    if off := int((on[:, :-1] & ~on[:, 1:]).any(axis=1).sum()):
        what = f"{off} site(s) switch the intervention off again"
        raise _refused(what, "end their series before, or leave these sites out.")
    adopted = times - on.sum(axis=1)
    return _of_later_adopters(Panel(values, adopted.astype(np.int64)))


def _of_later_adopters(whole: Panel) -> Panel:
    later = whole.adopted > 0
    found = Panel(whole.values[later], whole.adopted[later], int((~later).sum()))
    if not np.isfinite(found.values).all():
        raise _refused("values are not finite", "mend the series.")
    if not found.cohorts.size:
        raise _refused("no site adopts after the first time", "start the series earlier.")
    return found


def group_time_effects(data: Panel, controls: Controls) -> list[Effect]:
    """Average effect on each cohort of adopters at each time (Callaway and Sant'Anna).

    Before adoption, the change from the time before (a test of parallel trends); from adoption
    on, the change since the last time without. Sites count alike.

    Args:
        data: The panel.
        controls: `never_treated`, or also sites that adopt later.

    Returns:
        Effects, those of times without any control left out.

    Raises:
        EstimationError: Nothing is left to compare with.

    Source:
        Callaway & Sant'Anna (2021) J Econometrics 225:200. Agrees with R `did::att_gt(...,
        base_period = "varying")` without covariates.
    """
    found = []
    for cohort, time in data.cells:
        mine, base = data.adopted == cohort, min(cohort, time) - 1
        others = _controls(data, controls, cohort, max(time, base))
        if others.any():
            change = data.values[:, time] - data.values[:, base]
            found.append(_cell(change, mine, others, cohort, time))
    if not any(effect.at is not None and effect.at >= 0 for effect in found):
        what = f"no site is left as a control ({controls})"
        raise _refused(what, "use controls: not_yet_treated, or add sites that never adopt.")
    return found


def _controls(data: Panel, controls: Controls, cohort: int, time: int) -> BoolArray:
    if controls == "never_treated":
        return np.asarray(data.adopted == data.times)
    return np.asarray((data.adopted > time) & (data.adopted != cohort))


def _cell(change: FloatArray, mine: BoolArray, others: BoolArray, cohort: int, time: int) -> Effect:
    influence = np.zeros(change.size)
    means = []
    for members, sign in ((mine, 1), (others, -1)):
        mean = float(change[members].mean())
        influence[members] += sign * (change[members] - mean) * change.size / members.sum()
        means.append(mean)
    sites = int(mine.sum())
    return Effect("group_time", means[0] - means[1], influence, time - cohort, cohort, sites)


def aggregated(data: Panel, cells: list[Effect]) -> list[Effect]:
    """Average group-time effects: over all, by time since adoption, and by cohort.

    Weights are the numbers of sites of each cohort, as R `did::aggte` has them; the influence
    takes them as estimated.
    """
    after = [cell for cell in cells if cell.at is not None and cell.at >= 0]
    found = [_averaged(data, "simple", after)]
    by_time = [
        replace(_averaged(data, "dynamic", [c for c in cells if c.at == at]), at=at)
        for at in sorted({cell.at for cell in cells if cell.at is not None})
    ]
    by_cohort = [
        replace(_mean("group", [c for c in after if c.cohort == g]), cohort=g)
        for g in sorted({cell.cohort for cell in after if cell.cohort is not None})
    ]
    overall = _mean("dynamic", [effect for effect in by_time if (effect.at or 0) >= 0])
    return [*found, overall, *by_time, _averaged(data, "group", by_cohort), *by_cohort]


def _mean(name: str, cells: list[Effect]) -> Effect:
    estimate = float(np.mean([cell.estimate for cell in cells]))
    influence = np.mean([cell.influence for cell in cells], axis=0)
    return Effect(name, estimate, influence, sites=max(cell.sites for cell in cells))


def _averaged(data: Panel, name: str, cells: list[Effect]) -> Effect:
    """Weigh by the share of sites in each cell's cohort, and let the shares vary."""
    shares = np.array([(data.adopted == cell.cohort).mean() for cell in cells])
    estimates = np.array([cell.estimate for cell in cells])
    weight = shares / shares.sum()
    estimate = float(weight @ estimates)
    member = np.column_stack([data.adopted == cell.cohort for cell in cells]) - shares
    of_shares = member @ (estimates - estimate) / shares.sum()
    influence = np.column_stack([cell.influence for cell in cells]) @ weight + of_shares
    sites = int(sum((data.adopted == g).sum() for g in {cell.cohort for cell in cells}))
    return Effect(name, estimate, influence, sites=sites)


def simple_weights(data: Panel, controls: Controls) -> FloatArray:
    """Weight of a site's value at each time in the simple average, by cohort.

    Returns:
        Shape (cohorts + 1, times); the last row is of sites that never adopt. The simple
        average is the sum, over sites, of their values times the row of their cohort.
    """
    labels = np.append(data.cohorts, data.times)
    sizes = np.array([(data.adopted == g).sum() for g in labels], dtype=np.float64)
    result = np.zeros((labels.size, data.times))
    total = 0.0
    for place, cohort in enumerate(data.cohorts):
        for time in range(int(cohort), data.times):
            member = labels == data.times
            if controls == "not_yet_treated":
                member = labels > time
            count = float(sizes[member].sum())
            if count:
                total += sizes[place]
                for rows, size in ((labels == cohort, sizes[place]), (member, -count)):
                    result[rows, time] += sizes[place] / size
                    result[rows, int(cohort) - 1] -= sizes[place] / size
    return result / total


@dataclass(frozen=True, slots=True)
class TwoWay:
    """Two-way fixed effects, as a diagnostic: its estimate, and how it weighs treated cells."""

    estimate: float
    std_error: float
    negative_share: float  # sum of the negative weights on treated cells
    n_clusters: int


def two_way_fixed_effects(data: Panel) -> TwoWay:
    """Regress on sites, times and the intervention, errors clustered by site (CR1S).

    Source:
        de Chaisemartin & D'Haultfoeuille (2020) Am Econ Rev 110 for the weights.
    """
    on = (np.arange(data.times) >= data.adopted[:, None]).astype(np.float64)
    left = _within(on)
    whole = float((left**2).sum())
    if whole <= 1e-12:
        what = "the intervention does not vary beside sites and times"
        raise _refused(what, "add sites that adopt at another time.")
    estimate = float((left * data.values).sum()) / whole
    residual = _within(data.values) - estimate * left
    sites, n = data.values.shape[0], data.values.size
    scores = (left * residual).sum(axis=1)
    parameters = sites + data.times
    factor = sites / max(sites - 1, 1) * (n - 1) / max(n - parameters, 1)
    weight = left[on == 1] / left[on == 1].sum()
    return TwoWay(
        estimate, float(np.sqrt(factor * scores @ scores)) / whole,
        float(-weight[weight < 0].sum()), sites,
    )  # fmt: skip


def _within(values: FloatArray) -> FloatArray:
    return np.asarray(
        values - values.mean(axis=0) - values.mean(axis=1)[:, None] + values.mean(), np.float64
    )


def _refused(what: str, fix: str) -> EstimationError:
    return EstimationError("difference_in_differences", what, fix)
