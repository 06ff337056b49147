"""The whole demonstration, as the README tells it: both studies, and nothing to do the second time."""

import pytest

from tests.homes import causeway

pytestmark = pytest.mark.slow


def test_both_demonstrations_are_published_and_a_second_call_changes_nothing(tmp_path):
    home = tmp_path / "home"
    first = causeway("demo", home=home)
    assert first.returncode == 0, first.stderr
    assert first.stdout.count(": published") == 2
    assert (home / "restricted" / "simulated" / "truth.json").exists()
    again = causeway("demo", home=home)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("nothing to do") == 2
    assert again.stdout.count("in the lake already") == 2
