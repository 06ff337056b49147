"""How few changed outcomes would end the significance of a two-by-two table."""

import numpy as np
from scipy.stats import fisher_exact

from tasks.core.errors import EstimationError


def fragility_index(
    target_events: int,
    target_total: int,
    comparator_events: int,
    comparator_total: int,
    alpha: float = 0.05,
) -> int:
    """Fewest people of the arm with fewer events who, given the event, make p at least alpha.

    Args:
        target_events: People with the event in the target arm.
        target_total: People of the target arm.
        comparator_events: People with the event in the comparator arm.
        comparator_total: People of the comparator arm.
        alpha: Level of Fisher's exact test, two-sided.

    Returns:
        The number; 0 where the table is not significant as it stands.

    Raises:
        EstimationError: An arm is empty, or has more events than people.

    Source:
        Walsh et al. (2014) J Clin Epidemiol 67:622.
    """
    arms = ((target_events, target_total), (comparator_events, comparator_total))
    if any(not 0 <= events <= total or total <= 0 for events, total in arms):
        what = "an arm is empty, or has more events than people"
        raise EstimationError("fragility", what, "correct the counts.")
    (few, of_few), (many, of_many) = sorted(arms)
    changed = 0
    while few + changed <= of_few and _p(few + changed, of_few, many, of_many) < alpha:
        changed += 1
    return changed


def _p(a: int, n1: int, b: int, n0: int) -> float:
    return float(fisher_exact(np.array([[a, n1 - a], [b, n0 - b]]))[1])
