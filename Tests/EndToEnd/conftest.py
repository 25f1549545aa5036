"""Fixtures of more than one file."""

import os

import pytest

from apus import BIN


@pytest.fixture
def scan(tmp_path):
    """The scan directory; services may be laid beside it and linked."""
    path = tmp_path / "service"
    path.mkdir()
    return path


@pytest.fixture
def path_directory():
    """svscanboot looks for svscan and readproctitle in fixed directories: one of them gets ours, in a
    mount namespace. Returns the command that goes in front."""
    if os.geteuid() != 0:
        pytest.skip("needs a mount namespace")
    return ["unshare", "--mount", "sh", "-c", f'mount --bind {BIN} /usr/local/bin && exec "$0" "$@"']
