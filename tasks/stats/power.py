"""The smallest effect that a study of so many events would have found."""

import math

from scipy import special

from tasks.core.errors import EstimationError


def minimal_detectable_ratio(
    events: int, share_target: float, alpha: float = 0.05, power: float = 0.8
) -> float:
    r"""Minimum detectable relative risk (MDRR) of a comparison of hazards.

    .. math:: \exp \sqrt{(z_{1-\alpha/2} + z_{power})^2 / (d\,p\,(1 - p))}

    Args:
        events: Events in both arms, d.
        share_target: Share of the people who are in the target arm, p, in (0, 1).
        alpha: Two-sided error of the first kind.
        power: One less the error of the second kind.

    Returns:
        The ratio above 1; its inverse is detectable as well.

    Raises:
        EstimationError: There is no event, or only one arm.

    Source:
        Schoenfeld (1983) Biometrics 39:499. The formula of R CohortMethod `computeMdrr`.
    """
    if events <= 0 or not 0 < share_target < 1:
        what = "no event occurred, or only one arm has people"
        raise EstimationError("MDRR", what, "follow more people, or for longer.")
    z = float(special.ndtri(1 - alpha / 2) + special.ndtri(power))
    return math.exp(math.sqrt(z**2 / (events * share_target * (1 - share_target))))
