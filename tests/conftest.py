import os

import pytest

import flows  # noqa: F401 - switches off everything that calls out, before any library starts
from tasks.core.duck import duck
from tests.homes import made_once

os.environ.setdefault("CAUSEWAY_THREADS", "2")


@pytest.fixture
def con():
    with duck() as connection:
        yield connection


@pytest.fixture(scope="session")
def demo_home(tmp_path_factory):
    """A home in which the demonstration has run; shared by all workers, so never write to it."""
    shared = tmp_path_factory.getbasetemp().parent if "PYTEST_XDIST_WORKER" in os.environ else None
    return made_once(shared or tmp_path_factory.getbasetemp())
