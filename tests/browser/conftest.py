import pytest

from tests.flows.served import running, stop_served


@pytest.fixture(scope="session")
def serving():
    yield
    stop_served()


@pytest.fixture
def served(serving):
    return running()
