"""Aalen-Johansen estimates against R 4.2.2, survival 3.5-3 (multi-state survfit)."""

import numpy as np
import pytest

from tasks.core.errors import EstimationError
from tasks.stats.survival import (
    cumulative_incidence,
    incidence_at,
    kaplan_meier,
    risk_difference,
    survival_at,
)
from tests.reference.data import age_weight, rossi
from tests.reference.shared import shared_table


def test_rossi_with_ties_between_causes():
    """r$cause <- with(r, ifelse(arrest == 0, 0, ifelse(paro == 1, 1, 2)))
    a <- summary(survfit(Surv(week, factor(cause)) ~ 1, r), times = c(10, 26, 52))
    list(a$pstate[, 2], a$std.err[, 2]); and with weights = w
    """
    r = rossi()
    cause = np.where(r.arrest == 0, 0, np.where(r.paro == 1, 1, 2))
    got = incidence_at(cumulative_incidence(r.week, cause), [10, 26, 52])
    assert got.estimate == pytest.approx([0.018518518518519, 0.078703703703704, 0.15740740740741])
    assert got.std_error == pytest.approx(
        [0.006486378710349, 0.012955535668613, 0.017521832644291], rel=1e-11
    )
    weighted = cumulative_incidence(r.week, cause, weights=age_weight(r.age))
    got = incidence_at(weighted, [10, 26, 52])
    assert got.estimate == pytest.approx(
        [0.017551755175518, 0.083258325832583, 0.16741674167417], rel=1e-12
    )
    assert got.std_error == pytest.approx(
        [0.0068091534647955, 0.014765793713155, 0.019840913205597], rel=1e-12
    )


@pytest.mark.parametrize(
    ("weighted", "estimate", "std_error"),
    [
        (False, [0.182397071043787, 0.301982101292251, 0.415213546671927],
         [0.0189234957649223, 0.0236128424671994, 0.0289583166703768]),
        (True, [0.185905644407501, 0.299627963045881, 0.416065019669722],
         [0.0202642314232254, 0.0251147374511671, 0.0311006818339499]),
    ],
)  # fmt: skip
def test_pbc_death_against_transplant(weighted, estimate, std_error):
    """a <- survfit(Surv(time, factor(status, 0:2)) ~ 1, pbc, weights = 0.5 + (age %% 7) / 4)
    s <- summary(a, times = c(1000, 2000, 3000)); s$pstate[, 3]; s$std.err[, 3]
    """
    table = shared_table("data/survival/pbc.csv")
    weights = age_weight(table.age) if weighted else None
    curve = cumulative_incidence(table.time, table.status, 2, weights=weights)
    got = incidence_at(curve, [1000, 2000, 3000])
    assert got.estimate == pytest.approx(estimate, rel=1e-12)
    assert got.std_error == pytest.approx(std_error, rel=1e-12)
    assert curve.events == 161
    assert curve.n_competing.sum() == 25


def test_one_cause_is_kaplan_meier_with_greenwood():
    r = rossi()
    curve, km = cumulative_incidence(r.week, r.arrest), kaplan_meier(r.week, r.arrest)
    assert curve.cumulative_incidence == pytest.approx(1 - km.survival, abs=1e-14)
    assert curve.std_error == pytest.approx(km.std_error, rel=1e-12)
    assert curve.ci_low == pytest.approx(1 - km.ci_high, rel=1e-10)
    got, want = incidence_at(curve, 26), survival_at(km, 26)
    assert got.ci_high[0] == pytest.approx(1 - want.ci_low[0], rel=1e-10)
    assert got.n_at_risk == want.n_at_risk


def test_everyone_followed_to_some_event():
    curve = cumulative_incidence([1, 2, 2, 3], [1, 2, 1, 2])
    assert curve.complete
    assert incidence_at(curve, 9).estimate.tolist() == [0.5]
    assert incidence_at(curve, 9).std_error == pytest.approx([0.25])  # binomial, 2 of 4


def test_risk_difference_of_cumulative_incidences():
    r = rossi()
    a, b = (cumulative_incidence(r.week[r.fin == f], r.arrest[r.fin == f]) for f in (1, 0))
    ka, kb = (kaplan_meier(r.week[r.fin == f], r.arrest[r.fin == f]) for f in (1, 0))
    one, two = risk_difference(a, b, 30), risk_difference(ka, kb, 30)
    assert one.estimate == pytest.approx(two.estimate, rel=1e-12)
    assert one.std_error == pytest.approx(two.std_error, rel=1e-10)


@pytest.mark.parametrize("cause", [[0, 1, -1], [0, 1, 1.5], [0, 1]])
def test_unusable_causes_are_refused(cause):
    with pytest.raises(EstimationError, match="To fix"):
        cumulative_incidence([1, 2, 3], cause)
