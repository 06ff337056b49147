"""Sizes for hazards: events by Schoenfeld or Freedman, and the persons who have so many."""

from math import exp, expm1, log, sqrt

from tasks.core.errors import EstimationError
from tasks.stats.sizes.solve import Plan, check_shares, phi, smallest, tail, whole


def events_of(
    hazard_ratio: float,
    *,
    margin: float = 1.0,
    share_target: float = 0.5,
    alpha: float = 0.05,
    sides: int = 2,
    power: float = 0.8,
    n_events: int | None = None,
    formula: str = "schoenfeld",
) -> Plan:
    r"""Events in both groups that show a hazard ratio, or that it lies below a margin.

    .. math:: d = \frac{(z_\alpha + z_{power})^2}{p (1 - p) (\log HR - \log m)^2}

    Args:
        hazard_ratio: The ratio that is expected.
        margin: The ratio that it is held against: 1, or the margin of non-inferiority.
        share_target: Share of the persons who are in the group that is judged.
        alpha: Level of the test.
        sides: 1 or 2; non-inferiority is a one-sided claim.
        power: Power that is asked for.
        n_events: Events, to be told their power instead.
        formula: `schoenfeld`, or `freedman` (against 1 only).

    Raises:
        EstimationError: A ratio is not above 0, or equals the margin.

    Source:
        Schoenfeld (1983) Biometrics 39:499; Freedman (1982) Stat Med 1:121; Chow, Shao & Wang
        (2008) sec. 7.2 with a margin.
    """
    check_shares(share_of_the_target=share_target)
    _check_ratios(hazard_ratio, margin, formula)
    z = tail(alpha, sides)
    if formula == "freedman":
        ratio = share_target / (1 - share_target)
        signal = sqrt(ratio) * abs(1 - hazard_ratio) / (1 + ratio * hazard_ratio)
    else:
        signal = sqrt(share_target * (1 - share_target)) * abs(log(hazard_ratio / margin))

    def power_of(events: float) -> float:
        return phi(signal * sqrt(events) - z)

    exact = float(n_events) if n_events else smallest(power_of, power)
    return Plan(power_of(whole(exact)), {"events": whole(exact)}, exact, formula)


def _check_ratios(hazard_ratio: float, margin: float, formula: str) -> None:
    if min(hazard_ratio, margin) <= 0 or hazard_ratio == margin:
        what = f"a hazard ratio of {hazard_ratio:g} against {margin:g}"
        raise EstimationError("power", what, "give two ratios above 0 that differ.")
    if margin > 1 and hazard_ratio > margin:
        what = f"a hazard ratio of {hazard_ratio:g} is not below the margin of {margin:g}"
        raise EstimationError("power", what, "expect a lower ratio, or set a wider margin.")
    if formula == "freedman" and margin != 1:
        what = "Freedman's formula has no margin"
        raise EstimationError("power", what, "take Schoenfeld's formula.")


def share_with_event(
    hazard: float, *, follow_up: float, accrual: float = 0.0, loss_hazard: float = 0.0
) -> float:
    r"""Share of persons whose event is seen, with constant hazards and uniform accrual.

    .. math:: \frac{\lambda}{\lambda + \eta}
              \Big(1 - \frac{e^{-(\lambda+\eta) f} - e^{-(\lambda+\eta)(a + f)}}
              {(\lambda + \eta) a}\Big)

    Args:
        hazard: Events a person and unit of time, :math:`\lambda`.
        follow_up: Time from the last entry to the end, f.
        accrual: Time over which persons enter, a; 0 where each is followed for `follow_up`.
        loss_hazard: Losses a person and unit of time, :math:`\eta`.

    Raises:
        EstimationError: A rate or a time is not usable.

    Source:
        Lachin & Foulkes (1986) Biometrics 42:507.
    """
    usable = hazard > 0 and loss_hazard >= 0 and min(accrual, follow_up) >= 0
    if not usable or accrual + follow_up <= 0:
        what = "a hazard or the time of follow-up is 0, or a number is negative"
        raise EstimationError("power", what, "give a hazard and a follow-up above 0.")
    both = hazard + loss_hazard
    stays = exp(-both * follow_up)
    if accrual > 0:
        stays *= -expm1(-both * accrual) / (both * accrual)
    return hazard / both * (1 - stays)


def persons_of(events: Plan, share_target: float, seen: tuple[float, float]) -> Plan:
    """Return the persons who are expected to have the events of a plan.

    Args:
        events: Events that are needed.
        share_target: Share of the persons who are in the judged group.
        seen: Share of the judged group, and of the other, whose event is seen.

    Raises:
        EstimationError: A share is not above 0 and at most 1.
    """
    check_shares(share_of_the_target=share_target)
    if not all(0 < share <= 1 for share in seen):
        what = f"shares with the event are {seen[0]:g} and {seen[1]:g}"
        raise EstimationError("power", what, "give shares above 0, at most 1.")
    mean = share_target * seen[0] + (1 - share_target) * seen[1]
    exact = events.exact / mean
    sizes = {
        **events.sizes,
        "target": whole(share_target * exact),
        "comparator": whole((1 - share_target) * exact),
    }
    sizes["persons"] = sizes["target"] + sizes["comparator"]
    values = {"share_with_event_target": seen[0], "share_with_event_comparator": seen[1]}
    return Plan(events.power, sizes, exact, events.formula, values)
