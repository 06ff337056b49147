"""Incidence rates against R 4.2.2 `poisson.test`."""

import numpy as np
import pytest

from tasks.core.errors import EstimationError
from tasks.stats.survival import incidence_rate, rate_difference, rate_ratio
from tests.reference.shared import r_values


def test_reference_rates():
    values = r_values("rates_exact")
    rate = incidence_rate(30, 123.4)
    assert [rate.ci_low, rate.ci_high] == pytest.approx(values["one"], rel=1e-10)
    ratio = rate_ratio(incidence_rate(15, 100), incidence_rate(30, 110))
    assert ratio.estimate == pytest.approx(values["two"]["est"], rel=1e-12)
    assert [ratio.ci_low, ratio.ci_high] == pytest.approx(values["two"]["ci"], rel=1e-10)


def test_exact_p_value_and_no_events():
    """poisson.test(c(15, 30), c(100, 110))$p.value; poisson.test(0, 50)$conf.int"""
    ratio = rate_ratio(incidence_rate(15, 100), incidence_rate(30, 110))
    assert ratio.p_value == pytest.approx(0.0721820439915497, rel=1e-10)
    none = incidence_rate(0, 50)
    assert (none.estimate, none.ci_low) == (0, 0)
    assert none.ci_high == pytest.approx(0.0737775890822787, rel=1e-12)
    one_sided = rate_ratio(none, incidence_rate(5, 50))
    assert (one_sided.estimate, one_sided.ci_low, one_sided.std_error) == (0, 0, None)


def test_rate_difference_by_hand():
    got = rate_difference(incidence_rate(15, 100), incidence_rate(30, 110))
    assert got.estimate == pytest.approx(0.15 - 30 / 110)
    assert got.std_error == pytest.approx((15 / 100**2 + 30 / 110**2) ** 0.5)


@pytest.mark.parametrize(("events", "person_time"), [(-1, 10), (1.5, 10), (1, 0), (1, np.inf)])
def test_unusable_counts_are_refused(events, person_time):
    with pytest.raises(EstimationError, match="To fix"):
        incidence_rate(events, person_time)


def test_ratio_needs_an_event():
    with pytest.raises(EstimationError, match="0 events"):
        rate_ratio(incidence_rate(0, 10), incidence_rate(0, 10))
