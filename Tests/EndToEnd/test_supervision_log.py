"""The pipe between a service and its logger: whoever of the two restarts, no line is lost."""

import fcntl
import os
import signal
import sys
import termios
import time

import pytest

from apus import BIN, run, wait_for
from services import (children, lay, lines, messages, troubles, pid_of, supervised, supervisor, svc, wait_down,
                      wait_run, wait_up)

# Writes numbered lines, each start its own series.
COUNT = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); echo $$ $i; sleep 0.001; done"

# Moves the pipe's pages to the end of the file within the kernel, so that a kill at any moment
# leaves each byte in the one or the other.
SPLICE = """
import os
out = os.open("out", os.O_WRONLY | os.O_CREAT, 0o644)
os.lseek(out, 0, os.SEEK_END)
while os.splice(0, out, 65536):
    pass
"""


def series(path):
    """The last number of each start's series, by its complete lines; fails if one has a gap."""
    last = {}
    for line in path.read_text().rpartition("\n")[0].splitlines():
        pid, number = line.split()
        assert int(number) == last.get(pid, 0) + 1, f"a gap before {line}"
        last[pid] = int(number)
    return last


def test_no_line_is_lost_when_the_logger_is_killed(scan):
    path = lay(scan / "a", COUNT)
    lay(path / "log", SPLICE, interpreter="/usr/bin/python3 -S")
    with supervisor(BIN / "svscan", scan) as process:
        logger = None
        for _ in range(5):
            logger = wait_up(path / "log", logger)
            size = len(lines(path / "log/out"))
            wait_for(lambda: len(lines(path / "log/out")) > size + 100, "more lines")
            os.kill(logger, signal.SIGKILL)
        process.terminate()
        assert process.wait(10) == 0
        last = series(path / "log/out")
        assert len(last) == 1 and max(last.values()) > 500
        assert troubles(process) == []


def test_no_line_is_lost_when_the_service_is_killed(scan):
    path = lay(scan / "a", COUNT, log="exec cat >> out")
    with supervisor(BIN / "svscan", scan) as process:
        logger = wait_up(path / "log")
        service = None
        for _ in range(4):
            service = wait_up(path, service)
            wait_for(lambda: any(line.startswith(f"{service} 1")
                                 for line in lines(path / "log/out")[-2:]), "its lines")
            os.kill(service, signal.SIGKILL)
        assert pid_of(path / "log") == logger
        process.terminate()
        assert process.wait(10) == 0
        assert len(series(path / "log/out")) >= 4


def test_what_is_written_while_the_logger_is_down_waits_in_the_pipe(scan):
    path = lay(scan / "a", COUNT, log="exec cat >> out")
    (path / "log/down").touch()
    with supervisor(BIN / "svscan", scan):
        wait_up(path)
        wait_down(path / "log")
        time.sleep(0.5)
        assert lines(path / "log/out") == []
        svc("-u", path / "log")
        wait_for(lambda: len(lines(path / "log/out")) > 50, "the lines")
        assert min(series(path / "log/out").values()) > 0


def test_the_logger_reads_only_the_pipe_and_the_service_writes_only_to_it(scan):
    path = lay(scan / "a", "readlink /proc/self/fd/1; ls /proc/self/fd | tr '\\n' ' '; "
               "echo; exec sleep 1000",
               log="readlink /proc/self/fd/0 > in; ls /proc/self/fd | tr '\\n' ' ' > fds; cat > out")
    with supervisor(BIN / "svscan", scan):
        wait_for(lambda: len(lines(path / "log/out")) >= 2, "the lines")
        assert lines(path / "log/out")[0] == lines(path / "log/in")[0]
        # Standard descriptors, and the one with which ls reads the directory.
        assert lines(path / "log/out")[1].split() == ["0", "1", "2", "3"]
        assert lines(path / "log/fds")[0].split() == ["0", "1", "2", "3"]


def test_a_logger_that_is_told_to_end_comes_back(scan):
    """As with daemontools: the directory is still there."""
    path = lay(scan / "a", COUNT)
    lay(path / "log", SPLICE, interpreter="/usr/bin/python3 -S")
    with supervisor(BIN / "svscan", scan):
        logger = wait_up(path / "log")
        service = wait_up(path)
        svc("-dx", path / "log")
        assert wait_up(path / "log", logger)
        assert pid_of(path) == service
        size = len(lines(path / "log/out"))
        wait_for(lambda: len(lines(path / "log/out")) > size + 200, "more lines")
        series(path / "log/out")


def unread(pid):
    """How many bytes wait on a process's standard input, a pipe."""
    pipe = os.open(f"/proc/{pid}/fd/0", os.O_RDONLY | os.O_NONBLOCK)
    try:
        return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)
    finally:
        os.close(pipe)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_logger_of_a_removed_service_ends_in_mid_line(scan, tmp_path, when):
    path = lay(tmp_path / "a", "printf 'part of a line'; exec sleep 1000",
               log=f"exec {BIN}/multilog ./main")
    (scan / "a").symlink_to(path)
    with supervisor(BIN / "svscan", scan) as process:
        wait_run(path)
        wait_for(lambda: not unread(wait_up(path / "log")), "the part read")
        if when == "before":
            (scan / "a").unlink()
        run("svc", "-dx", ".", "log", cwd=path)
        wait_for(lambda: not supervised(path), "the end of the service")
        if when == "after":
            (scan / "a").unlink()
        wait_for(lambda: not supervised(path / "log"), "the end of the logger")
        assert (path / "log/main/current").read_text() == "part of a line\n"
        assert children(process.pid) == []
        assert troubles(process) == []


def test_a_service_linked_again_while_its_logger_still_reads(scan, tmp_path):
    """What a removed service left in the background may still write: its logger stays as long."""
    path = lay(tmp_path / "a", "sleep 1000 & echo $! > left; echo first; exec sleep 1000",
               log="trap '' TERM; cat >> out")
    (scan / "a").symlink_to(path)
    with supervisor(BIN / "svscan", scan) as process:
        first = wait_up(path)
        wait_for(lambda: lines(path / "log/out") == ["first"], "the first line")
        (scan / "a").unlink()
        svc("-dx", path, path / "log")
        wait_for(lambda: not supervised(path), "the end of the service")
        (scan / "a").symlink_to(path)
        os.kill(process.pid, signal.SIGHUP)
        assert supervised(path / "log")
        os.kill(int((path / "left").read_text()), signal.SIGKILL)
        wait_up(path, first)
        wait_for(lambda: lines(path / "log/out") == ["first", "first"], "its line in the new pipe")
        assert troubles(process) == []
        os.kill(int((path / "left").read_text()), signal.SIGKILL)
