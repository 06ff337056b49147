"""E-values and the smallest detectable ratio against what is published.

VanderWeele & Ding (2017) Ann Intern Med 167:268, R EValue 4.1.3:
    evalues.RR(3.9, 1.8, 8.7)       # 7.263034, limit 3.0
    evalues.RR(0.80, 0.71, 0.91)    # 1.809017, limit 1.428571
    evalues.RR(10.73, 8.02, 14.36)  # 20.94777, limit 15.52336 (smoking and lung cancer, 1958)
MDRR: Schoenfeld's number of events, solved for the ratio.
"""

import math

import pandas as pd
import pytest

from tasks.core.errors import EstimationError
from tasks.stats.evalue import e_value, e_value_of_difference
from tasks.stats.power import minimal_detectable_ratio
from tests.reference.shared import r_values
from tests.reference.test_registry_tables import results, some


@pytest.mark.parametrize(
    ("ratio", "low", "high", "value", "limit"),
    [
        (3.9, 1.8, 8.7, 7.263034, 3.0),
        (0.80, 0.71, 0.91, 1.809017, 1.428571),
        (10.73, 8.02, 14.36, 20.94777, 15.52336),
        (1.2, 0.9, 1.6, 1.2 + math.sqrt(1.2 * 0.2), 1.0),
        (0.9, 0.7, 1.1, 1 / 0.9 + math.sqrt(1 / 0.9 * (1 / 0.9 - 1)), 1.0),
    ],
)
def test_published_e_values(ratio, low, high, value, limit):
    found = e_value(ratio, low, high)
    assert found.estimate == pytest.approx(value, rel=1e-6)
    assert found.limit == pytest.approx(limit, rel=1e-6)


def test_the_formula_of_r():
    values = r_values("evalue_formula")
    found = e_value(3.9, 1.8, 8.7)
    assert found.estimate == pytest.approx(values["rr"], rel=1e-6)
    assert found.limit == pytest.approx(values["ci"], rel=1e-6)


def test_a_ratio_and_its_inverse_have_the_same():
    assert e_value(0.4, 0.3, 0.5).estimate == pytest.approx(e_value(2.5, 2.0, 1 / 0.3).estimate)
    assert e_value(0.4, 0.3, 0.5).limit == pytest.approx(e_value(2.5, 2.0, 1 / 0.3).limit)
    assert e_value(1.0).estimate == 1
    assert e_value(2.0).limit is None


def test_a_common_outcome_brings_odds_and_hazard_ratios_nearer_to_one():
    odds = e_value(0.86, 0.75, 0.99, measure="odds_ratio", is_common=True)
    assert odds.risk_ratio == pytest.approx(math.sqrt(0.86))
    hazard = e_value(0.56, 0.46, 0.69, measure="hazard_ratio", is_common=True)
    want = (1 - 0.5 ** math.sqrt(0.56)) / (1 - 0.5 ** math.sqrt(1 / 0.56))
    assert hazard.risk_ratio == pytest.approx(want, rel=1e-12)
    assert hazard.estimate == pytest.approx(1 / want + math.sqrt(1 / want * (1 / want - 1)))
    assert hazard.is_converted
    assert not e_value(0.56, measure="rate_ratio", is_common=True).is_converted


def test_a_difference_goes_by_its_standardised_size():
    found = e_value_of_difference(2.0, 0.5, 4.0)
    middle, margin = 0.91 * 0.5, 1.78 * 0.125
    assert found.estimate == pytest.approx(e_value(math.exp(middle)).estimate)
    assert found.limit == pytest.approx(e_value(math.exp(middle - margin)).estimate)
    down = e_value_of_difference(-2.0, 0.5, 4.0)
    assert (down.estimate, down.limit) == pytest.approx((found.estimate, found.limit))


@pytest.mark.parametrize(
    "bad", [(0.0, None, None), (2.0, 0.0, 3.0), (math.nan, None, None), (-1.0, None, None)]
)
def test_what_is_no_ratio_is_refused(bad):
    with pytest.raises(EstimationError, match="not above 0"):
        e_value(*bad)
    with pytest.raises(EstimationError, match="does not vary"):
        e_value_of_difference(1.0, 0.1, 0.0)


def test_the_detectable_ratio_needs_schoenfelds_events():
    found = minimal_detectable_ratio(159, 1797 / 2627)
    share = 1797 / 2627
    z = 1.959963984540054 + 0.8416212335729143
    assert z**2 / (share * (1 - share) * math.log(found) ** 2) == pytest.approx(159, rel=1e-12)
    assert minimal_detectable_ratio(159, 1 - share) == found
    assert (
        minimal_detectable_ratio(159, share, power=0.9)
        > found
        > minimal_detectable_ratio(500, share)
    )
    for events, arm in ((0, 0.5), (10, 0.0), (10, 1.0)):
        with pytest.raises(EstimationError, match="no event occurred"):
            minimal_detectable_ratio(events, arm)


def test_an_analysis_of_a_table_has_e_values_when_it_asks():
    people = pd.DataFrame({
        "time": [6, 4, 9, 8, 2, 7, 3, 5] * 10, "status": ["1", "0"] * 40, "arm": (["a"] * 3 + ["b"] * 5) * 10,
    })  # fmt: skip
    source = {
        "roles": {"follow_up": {"column": "time", "unit": "days"}, "event": "status"},
        "columns": {"arm": {"category": ["a", "b"]}},
    }
    cox = {"method": "cox", "ties": "efron", "terms": "arm"}
    rows = results(people, source, **cox, e_value=True)
    [ratio] = some(rows, "hazard_ratio")
    value, limit = some(rows, "e_value")
    want = e_value(
        ratio["estimate"], ratio["ci_low"], ratio["ci_high"], measure="hazard_ratio", is_common=True
    )
    assert (value["estimate"], limit["estimate"]) == (want.estimate, want.limit)
    assert (value["term"], value["role"], value["scenario"]) == ("arm=b", "sensitivity", "estimate")
    assert value["note"].endswith("the outcome is common")
    assert some(results(people, source, **cox), "e_value") == []
