import os
import tempfile

import pytest

import flows  # noqa: F401 - switches off everything that calls out, before any library starts
from tasks.core.duck import duck
from tests.homes import made_once

os.environ.setdefault("CAUSEWAY_THREADS", "2")
# A key of the tests' own: they must not make one in the folder of whoever runs them.
_KEYS = f"{tempfile.gettempdir()}/causeway-test-keys-{os.getuid()}"
os.environ.setdefault("CAUSEWAY_KEYS", _KEYS)


@pytest.fixture
def con():
    with duck() as connection:
        yield connection


@pytest.fixture(scope="session")
def demo_home(tmp_path_factory):
    """A home in which the demonstration has run; shared by all workers, so never write to it."""
    shared = tmp_path_factory.getbasetemp().parent if "PYTEST_XDIST_WORKER" in os.environ else None
    return made_once(shared or tmp_path_factory.getbasetemp())
