"""An unforeseen error shows no text of its own, not even when that text cannot be kept."""

import traceback

import pytest

from flows.orders.steps import directly, guarded
from tasks.core.errors import CausewayError
from tasks.core.paths import Home

SECRET = "880101-1234567"


def broken():
    raise ValueError(f"line 3: {SECRET}")


@pytest.mark.parametrize("store_works", [True, False])
def test_the_text_of_an_error_stays_on_the_restricted_side(tmp_path, store_works):
    home = Home(tmp_path / "home").prepare()
    if not store_works:
        (home.restricted / "errors").write_text("a file where the folder should be")
    with pytest.raises(CausewayError, match="stopped by ValueError") as caught:
        guarded(home, directly)("load", broken)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    kept = list(home.restricted.rglob("*load.txt"))
    assert [SECRET in file.read_text() for file in kept] == ([True] if store_works else [])
