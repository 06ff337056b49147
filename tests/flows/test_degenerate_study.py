"""A study of the lake on degenerate data ends with a reason and its exit code, never a number."""

import numpy as np
import polars as pl
import pytest

from flows.orders.study import study_run
from tasks.core.errors import EstimationError
from tests.device_world import NEVER, UDI_DI, persons, tables
from tests.ingest_world import a_home, ingest, write_delivery
from tests.study_files import DEVICE, changed

pytestmark = pytest.mark.xdist_group("degenerate_study")
CUTOFF = "2026-06-30"
OTHER_DEVICE = "08801234567893"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """One hospital, in which nobody ever has the outcome."""
    drawn = persons(np.random.default_rng(3), 150).with_columns(failure_day=pl.lit(NEVER))
    written = {name: frame.write_csv().encode() for name, frame in tables(drawn).items()}
    made = a_home(tmp_path_factory.mktemp("degenerate"))
    said = {"site_id": "sim-01", "data_class": "synthetic_public", "data_cutoff": CUTOFF}
    outcome = ingest(made, write_delivery(made.inbox / "sim-01" / "D-1", written, **said))
    assert outcome.exit_code == 0, outcome.messages
    return made


def study(folder, *changes):
    """The bundled study; its gates only report, so that the estimates themselves have to say it."""
    text = (
        ("on_miss: block", "on_miss: report"),
        ("std_error: robust,\n     gates: all}", "std_error: robust}"),
    )
    return changed(folder, DEVICE, *text, *changes, name=DEVICE)


def test_without_an_outcome_the_primary_fails_with_14(home, tmp_path):
    outcome = study_run(home, study(tmp_path))
    assert (outcome.status, outcome.exit_code) == ("failed", 14)
    assert "event" in outcome.messages[0].what
    assert [file.name for file in outcome.folder.rglob("*")] == ["manifest.json"]


def test_an_empty_arm_is_named_with_14(home, tmp_path):
    with pytest.raises(EstimationError, match="nobody is left in it") as caught:
        study_run(home, study(tmp_path, (UDI_DI, OTHER_DEVICE)))
    assert caught.value.exit_code == 14
