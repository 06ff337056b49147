"""Area under the ROC curve of a centre or subgroup, and the difference of two, by its influence."""

from dataclasses import dataclass

import numpy as np

from tasks.core.errors import EstimationError
from tasks.stats.inputs import BoolArray, FloatArray, IntArray

_WHERE = "auc"


@dataclass(frozen=True, slots=True, eq=False)
class Area:
    """The area, and how each unit moves it: `influence` by `units`, sorted, shape (g,)."""

    estimate: float
    units: IntArray
    influence: FloatArray
    is_simple: bool
    n: int
    diseased: int

    @property
    def std_error(self) -> float:
        """DeLong's standard error; clustered by unit where a unit has several cases."""
        return _error(self.influence, self.is_simple)


def area_under(score: FloatArray, truth: BoolArray, units: IntArray) -> Area:
    """Estimate the area under the ROC curve; ties count half.

    Args:
        score: Higher is more suspicious, shape (n,).
        truth: Whether the case has the condition, shape (n,).
        units: Who a case is of, shape (n,).

    Raises:
        EstimationError: Fewer than 2 diseased or 2 healthy.

    Source:
        DeLong et al. (1988) Biometrics 44:837; clustered: Obuchowski (1997) Biometrics 53:567.
    """
    sick, well = score[truth], score[~truth]
    if min(sick.size, well.size) < 2:
        what = f"{sick.size} diseased and {well.size} healthy are too few"
        raise EstimationError(_WHERE, what, "analyse more cases.")
    of_sick, of_well = _placed(sick, well), 1 - _placed(well, sick)
    estimate = float(of_sick.mean())
    unit, member = np.unique(units, return_inverse=True)
    is_simple = unit.size == units.size
    moved = np.empty(score.size)
    for part, placed in ((truth, of_sick), (~truth, of_well)):
        m = placed.size
        by = np.sqrt(m / (m - 1)) if is_simple else 1.0
        moved[part] = (placed - estimate) / m * by
    influence = np.bincount(member, moved).astype(np.float64)
    return Area(estimate, unit, influence, is_simple, score.size, sick.size)


def area_gap(new: Area, old: Area) -> tuple[float, float]:
    """Return the difference of two areas and its standard error; shared units count as shared."""
    units = np.union1d(new.units, old.units)
    moved = np.zeros(units.size)
    moved[np.searchsorted(units, new.units)] += new.influence
    moved[np.searchsorted(units, old.units)] -= old.influence
    return new.estimate - old.estimate, _error(moved, new.is_simple and old.is_simple)


def _error(influence: FloatArray, is_simple: bool) -> float:
    by = 1.0 if is_simple else influence.size / max(influence.size - 1, 1)
    return float(np.sqrt(by * (influence**2).sum()))


def _placed(these: FloatArray, among: FloatArray) -> FloatArray:
    """Return the share of `among` below each of `these`; ties count half."""
    ranked = np.sort(among)
    below = np.searchsorted(ranked, these, "left") + np.searchsorted(ranked, these, "right")
    return np.asarray(below / (2 * among.size), np.float64)
