"""Something runs out, or the clock is set by years: services run on, and the supervisor does what it could not do as soon
as it can. Faults meanwhile change nothing."""

import os
import pathlib
import platform
import re
import resource
import signal
import subprocess
import time

import pytest

from apus import BIN, pid_namespace, run, wait_for
from clocks import Clocked
from faults import init, said, table, trap, wait_over
from services import (children, descriptor_count, lay, lines, pid_of, supervised, supervisor, svc, svstat, wait_down,
                      wait_up)
from shortages import group

YEAR = 365 * 86400


@pytest.mark.parametrize("program", ["svscan", "init"])
def test_no_descriptors(tmp_path, program):
    """It may open no more than it has. A fault then finds no room for what the next image waits with."""
    path = lay(tmp_path / "a", log="exec cat > /dev/null")
    command = [BIN / "svscan", tmp_path] if program == "svscan" else [BIN / "init", "-s", tmp_path]
    with pid_namespace(*command, stderr=subprocess.PIPE) as (process, first):
        os.set_blocking(process.stderr.fileno(), False)
        pids = wait_up(path), wait_up(path / "log")
        soft, hard = resource.prlimit(first, resource.RLIMIT_NOFILE)
        resource.prlimit(first, resource.RLIMIT_NOFILE, (descriptor_count(first), hard))
        lay(tmp_path / "b")
        said(process, b"cannot open more files")
        assert (pid_of(path), pid_of(path / "log")) == pids
        # There are more again.
        resource.prlimit(first, resource.RLIMIT_NOFILE, (soft, hard))
        wait_up(tmp_path / "b")
        svc("-t", path)
        pids = wait_up(path, other_than=pids[0]), pids[1]
        # Not even root can give back what is taken now, but with a capability that containers lack.
        met = table(first)[0]
        resource.prlimit(first, resource.RLIMIT_NOFILE, (descriptor_count(first),) * 2)
        os.kill(first, signal.SIGSEGV)
        # It tries, and tries again.
        wait_for(lambda: table(first)[0] > met + 1, "one more image")
        said(process, b"unable to go on yet: unable to set up signalfd: process cannot open more files")
        assert process.poll() is None
        assert (pid_of(path), pid_of(path / "log")) == pids
        try:
            resource.prlimit(first, resource.RLIMIT_NOFILE, (soft, hard))
        except PermissionError:
            return
        wait_for(lambda: len(set(table(first))) == 1, "the next image")
        svc("-t", path)
        wait_up(path, other_than=pids[0])


def test_the_directory_is_gone(tmp_path):
    """A fault finds no service directory any more."""
    scan = tmp_path / "scan"
    path = lay(scan / "a")
    with supervisor("svscan", scan) as process:
        pid = wait_up(path)
        gone = scan.rename(tmp_path / "gone") / "a"
        trap(process.pid)
        assert pid_of(gone) == pid
        svc("-d", gone)
        wait_down(gone)


def test_no_processes(tmp_path):
    """A service takes all that the control group may have."""
    path = lay(tmp_path / "a", log="exec cat > /dev/null")
    other = lay(tmp_path / "b", down=True)
    with group("pids") as limits:
        with pid_namespace(*limits.enter(), BIN / "init", "-s", tmp_path, stderr=subprocess.PIPE) as (process, first):
            os.set_blocking(process.stderr.fileno(), False)
            pids = wait_up(path), wait_up(path / "log")
            limits.limit(limits.used())
            svc("-u", other)
            said(process, b"unable to fork for b")
            svc("-t", path)
            trap(first)
            assert pid_of(path / "log") == pids[1] and process.poll() is None
            limits.limit("max")
            wait_up(other)
            wait_up(path, other_than=pids[0])
            os.kill(first, signal.SIGTERM)
            assert process.wait(15) == 0


def test_no_memory(tmp_path):
    """A service takes all that the control group may have, again and again."""
    path = lay(tmp_path / "a", "exec sleep 1000", log="exec cat > /dev/null")
    hog = lay(tmp_path / "hog", "echo >> starts; exec perl -e '$x = \"x\" x 1e6; push @a, $x . $_ while ++$_; sleep 1000'",
              down=True)
    with group("memory") as limits:
        with pid_namespace(*limits.enter(), BIN / "init", "-s", tmp_path, stderr=subprocess.PIPE) as (process, first):
            os.set_blocking(process.stderr.fileno(), False)
            pids = wait_up(path), wait_up(path / "log")
            limits.limit(64 << 20)
            svc("-u", hog)
            wait_for(lambda: len(lines(hog / "starts")) >= 2, "its end and its restart")
            trap(first)
            wait_for(lambda: len(lines(hog / "starts")) >= 4, "more of them")
            assert (pid_of(path), pid_of(path / "log")) == pids and process.poll() is None
            svc("-d", hog)
            wait_down(hog)
            os.kill(first, signal.SIGTERM)
            assert process.wait(15) == 0


def test_no_room_for_files(tmp_path):
    """The file system with the service directories is full."""
    command = f'mount -t tmpfs -o size=400k,mode=755 none {tmp_path} && mkdir {tmp_path}/scan && exec "$0" "$@"'
    with pid_namespace("sh", "-c", command, BIN / "init", "-s", tmp_path / "scan", stderr=subprocess.PIPE) as (
            process, first):
        os.set_blocking(process.stderr.fileno(), False)
        wait_for(lambda: os.readlink(f"/proc/{first}/exe").endswith("/apus"), "init")
        place = pathlib.Path(f"/proc/{first}/root{tmp_path}")
        path = lay(place / "scan/a", log="exec cat > /dev/null")
        pids = wait_up(path), wait_up(path / "log")
        with open(place / "filling", "wb", buffering=0) as filling, pytest.raises(OSError):
            while True:
                filling.write(b"x" * 4096)
        # The status that there is, is overwritten.
        svc("-t", path)
        pid = wait_up(path, other_than=pids[0])
        trap(first)
        svc("-t", path)
        last = wait_up(path, other_than=pid)
        assert pid_of(path / "log") == pids[1]
        (place / "filling").unlink()
        svc("-t", path)
        wait_up(path, other_than=last)
        os.kill(first, signal.SIGTERM)
        assert process.wait(15) == 0


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the tracer knows the registers of x86-64 only")
@pytest.mark.parametrize("offset", [10 * YEAR, -20 * YEAR], ids=["forward", "back"])
def test_the_clock_is_set(tmp_path, offset):
    scan = tmp_path / "scan"
    path = lay(scan / "a", log="exec cat > /dev/null")
    brief = lay(scan / "b", "echo >> starts; exit 1")
    with open(tmp_path / "errors", "wb") as errors, Clocked(BIN / "svscan", scan, stderr=errors) as process:
        pids = wait_up(path), wait_up(path / "log")
        wait_for(lambda: lines(brief / "starts"))
        process.offset = offset
        # It still goes at the pace that it should: once a second.
        count, start = len(lines(brief / "starts")), time.monotonic()
        wait_for(lambda: len(lines(brief / "starts")) == count + 3, "restarts")
        assert 1.5 < time.monotonic() - start < 6
        svc("-t", path)
        pid = wait_up(path, other_than=pids[0])
        # Its time is that of the clock, so no fault was lost: svstat tells the difference.
        assert bool(re.search(r"\) \d{1,2} seconds", svstat(path))) == (offset > 0)
        trap(process.pid)
        assert (pid_of(path), pid_of(path / "log")) == (pid, pids[1])
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        # The next one has the right time again.
        with supervisor("svscan", scan) as after:
            wait_for(lambda: supervised(path) and supervised(path / "log"))
            assert (pid_of(path), pid_of(path / "log")) == (pid, pids[1])
            after.terminate()
            assert after.wait(15) == 0


class TestMemoryScore:
    """How soon the kernel kills process 1 when memory runs out, and its services."""

    def score(self, pid):
        return int(pathlib.Path(f"/proc/{pid}/oom_score_adj").read_text())

    def test_process_1_comes_last_and_services_as_before(self, tmp_path):
        if not int(re.search(r"CapBnd:\s*(\w+)", pathlib.Path("/proc/self/status").read_text())[1], 16) >> 24 & 1:
            pytest.skip("needs CAP_SYS_RESOURCE")
        path = lay(tmp_path / "a", "exec sleep 1000", log="exec cat > /dev/null")
        with pid_namespace("choom", "-n", "100", "--", BIN / "init", "-s", tmp_path, "--", "sleep", "1000") as (
                process, first):
            wait_up(path), wait_up(path / "log")
            wait_for(lambda: self.score(first) == -998, "its score")
            assert [self.score(pid) for pid in children(first)] == [100] * 3
            trap(first)
            wait_for(lambda: self.score(first) == -998, "its score")
            pid = pid_of(path)
            svc("-t", path)
            wait_up(path, other_than=pid)
            assert [self.score(pid) for pid in children(first)] == [100] * 3
            wait_for(lambda: self.score(first) == -998, "its score")

    def test_it_is_as_before_whenever_one_is_started(self, tmp_path):
        """What would be written, in a file of the same name: one after another."""
        file = tmp_path / "score"
        file.write_text("100\n")
        path = lay(tmp_path / "scan/a")
        with pid_namespace("sh", "-c", f'mount --bind {file} /proc/1/oom_score_adj && exec "$0" "$@"',
                           BIN / "init", "-s", tmp_path / "scan") as (_, first):
            pid = wait_up(path)
            # It finds out whether it may; then it waits, and nobody is on his way.
            wait_for(lambda: file.read_text() == "-998100-998", "its score")
            svc("-t", path)
            wait_up(path, other_than=pid)
            wait_for(lambda: file.read_text() == "-998100-998100-998", "its score")
            file.write_text("-998\n")
            trap(first)
            # The next image knows what it was.
            wait_for(lambda: file.read_text() == "-998100-998", "its score")

    def test_what_it_may_not_do_it_does_not_speak_of(self, tmp_path):
        path = lay(tmp_path / "a")
        with pid_namespace("setpriv", "--bounding-set", "-sys_resource", BIN / "init", "-s", tmp_path,
                           stderr=subprocess.PIPE) as (process, first):
            os.set_blocking(process.stderr.fileno(), False)
            wait_up(path)
            assert self.score(first) == self.score(os.getpid()) == self.score(children(first)[0])
            assert not process.stderr.read()
