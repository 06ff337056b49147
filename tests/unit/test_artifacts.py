"""What the Prefect UI is told of a delivery; artifacts leave the restricted store."""

from dataclasses import replace

import pytest

from flows.artifacts import delivery_page
from tasks.core.site import SiteSettings
from tasks.ingest.model import DeliveryOutcome, FileOutcome
from tasks.ingest.rules import finding

OUTCOME = DeliveryOutcome(
    delivery_id="D-1",
    site_id="siteA",
    status="accepted_with_warnings",
    snapshot_id=3,
    codes=("E_TYPE", "W_LINK_ORPHANS"),
    files=(FileOutcome("measurement.csv", "measurement", "loaded", 500, 497, 3, 0, ("E_TYPE",)),),
    messages=(
        finding("E_TYPE", "measurement.csv", 4711, "value_as_number", expected="a number"),
        finding("E_TYPE", "measurement.csv", 4712, "value_as_number", expected="a number"),
        finding("W_LINK_ORPHANS", table="device_inference", count="7"),
    ),
)


def test_patient_data_show_no_small_count_and_no_line():
    page = delivery_page(OUTCOME, SiteSettings())
    assert "4711" not in page
    assert "7 row" not in page
    assert "| 3 |" not in page
    assert "withheld" in page
    assert page.count("**E_TYPE** measurement.csv") == 1


@pytest.mark.parametrize("told", ["line 4711", "7 row(s)", "| 3 |"])
def test_synthetic_public_data_show_all(told):
    page = delivery_page(replace(OUTCOME, is_patient_data=False), SiteSettings())
    assert told in page
