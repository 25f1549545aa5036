"""Fixtures of more than one file."""

import pytest


@pytest.fixture
def scan(tmp_path):
    """The scan directory; services may be laid beside it and linked."""
    path = tmp_path / "service"
    path.mkdir()
    return path
