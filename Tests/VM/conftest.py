"""One image for all tests of virtual machines."""

import pytest

import machines


@pytest.fixture(scope="session", autouse=True)
def image():
    machines.image()
