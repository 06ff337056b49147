import os

import pytest

import flows  # noqa: F401 - switches off everything that calls out, before any library starts
from tasks.core.duck import duck

os.environ.setdefault("CAUSEWAY_THREADS", "2")


@pytest.fixture
def con():
    with duck() as connection:
        yield connection
