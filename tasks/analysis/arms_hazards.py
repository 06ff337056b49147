"""Fine and Gray's model of the two arms of a study of the lake."""

from typing import TYPE_CHECKING

from tasks.analysis.populations import Population
from tasks.analysis.table_hazards import ratio_values
from tasks.stats.fine_gray import fine_gray

if TYPE_CHECKING:
    from tasks.analysis.estimates import Asked

Row = dict[str, object]


def arms_fine_gray(asked: "Asked", people: Population) -> list[Row]:
    """Return the subdistribution hazard ratio of the arms, death the competing event.

    Weights are taken as known; matched pairs are clusters.
    """
    variant = asked.analysis.variant or "finegray_cluster"
    fit = fine_gray(
        people.follow_up_days,
        people.cause,
        people.is_target.astype(float)[:, None],
        variant,
        weights=people.weights,
        cluster=people.cluster,
    )
    method = f"fine_gray_{variant}"
    name = "subdistribution_hazard_ratio"
    return [asked.row(people, name, method=method, **ratio_values(fit, 0))]
