import pytest

from tests.flows.served import serve_once, stop_served


@pytest.fixture(scope="session")
def served():
    yield serve_once()
    stop_served()
