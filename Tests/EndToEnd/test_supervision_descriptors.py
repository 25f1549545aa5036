"""What descriptors services are given: their own, those that the supervisor was started with, and none
of the supervisor's, however many that has."""

import contextlib
import fcntl
import os
import subprocess

import pytest

from apus import BIN, run, wait_for
from services import children, lay, messages, pid_of, supervisor, svc, wait_run, wait_up

# On a kernel without close_range(2), or in a container that forbids it, and unshare(2) with it, a child
# copies all descriptors, and exec closes them.
WAYS = pytest.mark.parametrize("wrapper", [[], [BIN / "seccomp", "~close_range unshare"]],
                               ids=["close_range", "old kernel"])


def descriptors(pid):
    """Number -> what it is open as."""
    place = f"/proc/{pid}/fd"
    found = {}
    for name in os.listdir(place):
        # A supervisor that is at work opens and closes some.
        with contextlib.suppress(FileNotFoundError):
            found[int(name)] = os.readlink(f"{place}/{name}")
    return found


@WAYS
def test_only_its_own_among_thousands(scan, wrapper):
    for number in range(200):
        lay(scan / f"s{number}", log="exec cat")
    with supervisor(*wrapper, BIN / "svscan", scan, stdin=subprocess.DEVNULL) as process:
        for number in range(200):
            wait_up(scan / f"s{number}/log")
        assert len(descriptors(process.pid)) > 2000
        alone, logged = lay(scan / "alone"), lay(scan / "logged", log="exec cat")
        assert descriptors(wait_run(alone)) == {
            number: descriptors(process.pid)[number] for number in range(3)}
        service, logger = (descriptors(wait_run(path)) for path in (logged, logged / "log"))
        assert service.keys() == logger.keys() == {0, 1, 2}
        assert service[1] == logger[0] != logger[1]
        assert (service[0], service[2]) == ("/dev/null", logger[2])
        assert logger[1] == descriptors(process.pid)[1]
        # Its two ends of the pipe, and no third that would keep a logger from its end of file.
        assert list(descriptors(process.pid).values()).count(service[1]) == 2
        assert messages(process) == []


@WAYS
def test_those_the_supervisor_was_started_with(scan, wrapper):
    lay(scan / "a", log="exec cat")
    reader, writer = os.pipe()
    high = fcntl.fcntl(reader, fcntl.F_DUPFD, 90)
    try:
        with supervisor(*wrapper, BIN / "svscan", scan, pass_fds=[writer, high]):
            for path in (scan / "a", scan / "a/log"):
                found = descriptors(wait_run(path))
                assert found.keys() == {0, 1, 2, writer, high}
                assert found[writer] == found[high] == os.readlink(f"/proc/self/fd/{reader}")
    finally:
        for descriptor in (reader, writer, high):
            os.close(descriptor)


def test_without_proc(scan):
    """What it was started with is not known then: children copy all."""
    path = lay(scan / "a", log="exec cat")
    script = 'umount -l /proc && exec "$0" "$@"'
    if run("unshare", "--mount", "sh", "-c", 'umount -l /proc').returncode:
        pytest.skip("needs a mount namespace")
    with supervisor("unshare", "--mount", "sh", "-c", script, BIN / "svscan", scan) as process:
        for where in (path, path / "log"):
            assert descriptors(wait_run(where)).keys() == {0, 1, 2}
        assert messages(process) == []


@WAYS
def test_a_start_that_fails_leaves_the_supervisors_as_they_were(scan, wrapper):
    path = lay(scan / "a", log="exec cat")
    with supervisor(*wrapper, BIN / "svscan", scan) as process:
        wait_run(path), wait_run(path / "log")
        before = descriptors(process.pid)
        (path / "run").chmod(0)
        svc("-k", path)
        wait_for(lambda: messages(process), "the trouble")
        assert descriptors(process.pid) == before
        assert pid_of(path) is None and len(children(process.pid)) == 1
