"""The engine, made once, and containers that are removed with the test that started them."""

import subprocess

import pytest

import containers


def pytest_report_header():
    works = containers.podman_works()
    return "containers by " + ("podman" if works is True else f"namespaces and chroot: {works}")


@pytest.fixture(scope="session")
def engine(tmp_path_factory):
    return containers.engine(tmp_path_factory.mktemp("engine"))


@pytest.fixture(scope="session")
def key(tmp_path_factory):
    """A key made for the occasion; its public half lets in whoever holds it."""
    path = tmp_path_factory.mktemp("key") / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


def _starter(engine):
    started = []

    def start(*arguments, **options):
        container = engine.start(*arguments, **options)
        started.append(container)
        return container

    return start, lambda: [container.remove() for container in started]


@pytest.fixture
def start(engine):
    """Starts containers for one test."""
    function, remove = _starter(engine)
    yield function
    remove()


@pytest.fixture(scope="module")
def start_for_module(engine):
    """Starts containers for the tests of one file."""
    function, remove = _starter(engine)
    yield function
    remove()


@pytest.fixture
def services(tmp_path):
    """A service directory of root's, on a file system of this machine."""
    directory = tmp_path / "service"
    place = directory / "web"
    place.mkdir(parents=True)
    (place / "run").write_text("#!/bin/sh\nexec sleep 1000\n")
    (place / "run").chmod(0o755)
    for parent in [directory, *list(directory.parents)[:-2]]:
        parent.chmod(parent.stat().st_mode | 0o055)
    return directory
