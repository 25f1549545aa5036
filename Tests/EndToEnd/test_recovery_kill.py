"""A supervisor that was killed outright is followed by one that takes over what still runs."""

import contextlib
import os
import signal
import subprocess
import time

import pytest

from apus import background, run, wait_for
from faults import COUNTER, init, said, table, trap, wait_over
from services import (boot_time, children, is_gone, lay, lines, pid_of, process_state, started, supervisor, svc, svstat,
                      wait_down, wait_up)


def kill_outright(process):
    """Kills a supervisor, and only that."""
    process.send_signal(signal.SIGKILL)
    process.wait()


def damage(pid):
    """Changes a byte in both areas of the table of a supervisor."""
    for entry in os.listdir(f"/proc/{pid}/fd"):
        if os.readlink(f"/proc/{pid}/fd/{entry}").startswith("/memfd:apus"):
            with open(f"/proc/{pid}/fd/{entry}", "r+b") as content:
                for area in (65536, 65536 + (32 * 2**20 - 65536) // 2):
                    content.seek(area + 30)
                    content.write(b"\xa5")


def test_service_and_logger_are_taken_over(tmp_path):
    path = lay(tmp_path / "a", COUNTER, log="exec cat >> out")
    with supervisor("svscan", tmp_path) as first:
        pid, logger = wait_up(path), wait_up(path / "log")
        wait_for(lambda: len(lines(path / "log/out")) > 5, "lines")
        kill_outright(first)
        with supervisor("svscan", tmp_path) as second:
            wait_for(lambda: "up (pid" in svstat(path) and run("svok", path).returncode == 0)
            wait_for(lambda: run("svok", path / "log").returncode == 0)
            assert (pid_of(path), pid_of(path / "log")) == (pid, logger)
            count = len(lines(path / "log/out"))
            wait_for(lambda: len(lines(path / "log/out")) > count + 5, "more lines")
            # Its end is noticed, and the next one writes to the logger that there is.
            svc("-t", path)
            now = wait_up(path, other_than=pid)
            wait_for(lambda: any(line.startswith(f"{now} ") for line in lines(path / "log/out")), "its lines")
            assert pid_of(path / "log") == logger
            # A new logger reads what the one before did not.
            os.kill(logger, signal.SIGKILL)
            wait_up(path / "log", other_than=logger)
            assert pid_of(path) == now
            second.send_signal(signal.SIGTERM)
            assert second.wait(15) == 0
    numbers = {}
    for line in lines(path / "log/out"):
        word, number = line.split()
        assert int(number) == numbers.get(word, -1) + 1, line
        numbers[word] = int(number)
    assert list(numbers) == [str(pid), str(now)]


def test_the_time_up_is_kept(tmp_path):
    path = lay(tmp_path / "a")
    with supervisor("supervise", path) as first:
        pid = wait_up(path)
        wait_for(lambda: " 1 seconds" in svstat(path) or " 2 seconds" in svstat(path), "a second")
        kill_outright(first)
        with supervisor("supervise", path):
            wait_for(lambda: run("svok", path).returncode == 0)
            assert pid_of(path) == pid
            assert " 0 seconds" not in svstat(path)
            svc("-d", path)
            wait_down(path)
            assert is_gone(pid)


def test_another_process_is_not_taken_for_it(tmp_path):
    """A process that has the id by now is left alone."""
    path = lay(tmp_path / "a")
    with background("sleep", "1000") as other, supervisor("svscan", tmp_path) as first:
        stranger = other.pid
        wait_for(lambda: boot_time() - started(stranger) > 2, "some time")
        old = wait_up(path)
        svc("-t", path)
        pid = wait_up(path, other_than=old)
        kill_outright(first)
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: is_gone(pid))
        status = bytearray((path / "supervise/status").read_bytes())
        status[12:16] = stranger.to_bytes(4, "little")
        (path / "supervise/status").write_bytes(status)
        with supervisor("svscan", tmp_path):
            assert wait_up(path, other_than=stranger) != stranger
            assert other.poll() is None


def forge(path, pid):
    """Has the status file tell of a process that is none of the service's, with the time of its start."""
    status = bytearray((path / "supervise/status").read_bytes())
    start = time.time() - (boot_time() - started(pid))
    status[0:8] = (2**62 + 10 + int(start)).to_bytes(8, "big")
    status[8:12] = int(start % 1 * 1e9).to_bytes(4, "big")
    status[12:16] = pid.to_bytes(4, "little")
    (path / "supervise/status").write_bytes(status)


@pytest.mark.parametrize("way", ["plain", "another name", "anybody may write"])
def test_a_status_file_that_somebody_else_may_have_written(tmp_path, way):
    path = lay(tmp_path / "a")
    with background("sleep", "1000") as other, supervisor("svscan", tmp_path) as first:
        pid = wait_up(path)
        kill_outright(first)
        os.kill(pid, signal.SIGKILL)
        forge(path, other.pid)
        if way == "another name":
            os.link(path / "supervise/status", path / "other")
        if way == "anybody may write":
            os.chmod(path / "supervise/status", 0o666)
        with supervisor("svscan", tmp_path):
            wait_for(lambda: run("svok", path).returncode == 0 and pid_of(path))
            assert (pid_of(path) == other.pid) == (way == "plain")


def test_no_file_that_a_service_chose_becomes_its_pipe(tmp_path):
    """A service may have any FIFO as its standard output when it is taken over; the next one gets a pipe all the same."""
    os.mkfifo(tmp_path / "fifo", 0o622)
    path = lay(tmp_path / "a", f"exec 3>&1 1<> {tmp_path}/fifo; while :; do sleep 1000; done", log="exec cat >> out")
    os.chmod(tmp_path / "fifo", 0o622)
    with supervisor("svscan", tmp_path) as first:
        pid, logger = wait_up(path), wait_up(path / "log")
        wait_for(lambda: os.readlink(f"/proc/{pid}/fd/1") == f"{tmp_path}/fifo")
        pipe = os.readlink(f"/proc/{logger}/fd/0")
        kill_outright(first)
        with supervisor("svscan", tmp_path):
            wait_for(lambda: run("svok", path / "log").returncode == 0 and pid_of(path / "log") == logger)
            os.kill(logger, signal.SIGKILL)
            now = wait_up(path / "log", other_than=logger)
            assert os.readlink(f"/proc/{now}/fd/0") == pipe


def test_the_pipe_of_a_pipeline_is_kept(tmp_path):
    source = lay(tmp_path / "a", COUNTER, type="longrun", producer_for="b")
    sink = lay(tmp_path / "b", "exec cat >> out", type="longrun", consumer_for="a")
    with supervisor("svscan", tmp_path) as first:
        pids = wait_up(source), wait_up(sink)
        wait_for(lambda: len(lines(sink / "out")) > 3)
        kill_outright(first)
        with supervisor("svscan", tmp_path):
            wait_for(lambda: [run("svok", path).returncode for path in (source, sink)] == [0, 0])
            assert (pid_of(source), pid_of(sink)) == pids
            svc("-t", sink)
            wait_up(sink, other_than=pids[1])
            count = len(lines(sink / "out"))
            wait_for(lambda: len(lines(sink / "out")) > count + 5, "more lines")
            assert pid_of(source) == pids[0]
    numbers = [int(line.split()[1]) for line in lines(sink / "out")]
    assert numbers == list(range(len(numbers)))


def test_a_service_that_was_taken_over_ends_after_a_fault(tmp_path):
    path = lay(tmp_path / "a")
    with supervisor("svscan", tmp_path) as first:
        pid = wait_up(path)
        kill_outright(first)
        with supervisor("svscan", tmp_path) as second:
            wait_for(lambda: run("svok", path).returncode == 0)
            assert pid_of(path) == pid
            trap(second.pid)
            os.kill(pid, signal.SIGKILL)
            assert wait_up(path, other_than=pid)


@pytest.mark.parametrize("way", ["fault", "kill"])
def test_a_service_that_waits_to_be_taken_over(tmp_path, way):
    """It is not forgotten while what it depends on is not ready."""
    before = lay(tmp_path / "a", "while [ ! -e go ]; do sleep 0.01; done; echo >&5; exec sleep 1000",
                 type="longrun", notification_fd="5\n")
    path = lay(tmp_path / "b", "echo $$ >> started; exec sleep 1000", type="longrun", dependencies="a\n")
    (before / "go").touch()
    with contextlib.ExitStack() as stack:
        process = stack.enter_context(supervisor("svscan", tmp_path))
        pid, first = wait_up(path), pid_of(before)
        kill_outright(process)
        os.kill(first, signal.SIGKILL)
        (before / "go").unlink()
        process = stack.enter_context(supervisor("svscan", tmp_path))
        wait_for(lambda: [run("svok", place).returncode for place in (before, path)] == [0, 0])
        if way == "fault":
            trap(process.pid)
        else:
            kill_outright(process)
            process = stack.enter_context(supervisor("svscan", tmp_path))
            wait_for(lambda: [run("svok", place).returncode for place in (before, path)] == [0, 0])
        (before / "go").touch()
        assert run("svwait", "-U", before).returncode == 0
        svc("-t", path)
        assert wait_up(path, other_than=pid)
        wait_for(lambda: is_gone(pid))
        assert len(lines(path / "started")) == 2


# Starts svscan and adopts its orphans, which it reaps or not.
PARENT = """
import ctypes, os, sys, time
ctypes.CDLL(None).prctl(36, 1)
os.spawnvp(os.P_NOWAIT, "svscan", ["svscan", "."])
while True:
    if sys.argv[1] == "reaped":
        os.waitpid(-1, os.WNOHANG)
    time.sleep(0.01)
"""


@pytest.mark.parametrize("way", ["reaped", "zombie"])
def test_a_service_that_was_taken_over_ends_during_a_fault(tmp_path, way):
    path = lay(tmp_path / "a")
    with background("python3", "-c", PARENT, way, cwd=tmp_path, stderr=subprocess.DEVNULL) as parent:
        pid = wait_up(path)
        first = children(parent.pid)[0]
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: is_gone(first))
        with supervisor("svscan", tmp_path) as second:
            wait_for(lambda: run("svok", path).returncode == 0)
            assert pid_of(path) == pid
            os.kill(second.pid, signal.SIGSTOP)
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda: process_state(pid) == (None if way == "reaped" else "Z"))
            os.kill(second.pid, signal.SIGSEGV)
            os.kill(second.pid, signal.SIGCONT)
            assert wait_up(path, other_than=pid)


def test_a_damaged_table(tmp_path):
    """What is left is of no use; the services are taken over all the same."""
    paths = [lay(tmp_path / name, COUNTER, log="exec cat >> out") for name in "ab"]
    with init("-s", tmp_path) as (process, first):
        pids = [(wait_up(path), wait_up(path / "log")) for path in paths]
        damage(first)
        os.kill(first, signal.SIGILL)
        said(process, b"taking over running services by their status files")
        wait_for(lambda: [run("svok", path).returncode for path in paths] == [0, 0])
        wait_for(lambda: [(pid_of(path), pid_of(path / "log")) for path in paths] == pids, "the same processes")
        counts = [len(lines(path / "log/out")) for path in paths]
        wait_for(lambda: all(len(lines(path / "log/out")) > count + 5 for path, count in zip(paths, counts)), "lines")
        # And the next fault is survived in the usual way.
        wait_over(first)
        met = table(first)[0]
        os.kill(first, signal.SIGILL)
        wait_over(first, met + 1)
        assert [(pid_of(path), pid_of(path / "log")) for path in paths] == pids
        os.kill(first, signal.SIGTERM)
        assert process.wait(15) == 0


def test_there_is_never_a_second_copy(tmp_path):
    path = lay(tmp_path / "a", "echo $$ >> started; exec sleep 1000")
    with contextlib.ExitStack() as stack:
        pid = None
        for _ in range(8):
            process = stack.enter_context(supervisor("svscan", tmp_path))
            wait_for(lambda: run("svok", path).returncode == 0 and pid_of(path))
            pid = pid or pid_of(path)
            assert pid_of(path) == pid
            kill_outright(process)
    assert len(lines(path / "started")) == 1


def test_a_damaged_table_and_the_main_command(tmp_path):
    """The main command has no status file; it is not started twice either."""
    script = f"echo $$ >> {tmp_path}/started; while [ ! -e {tmp_path}/go ]; do sleep 0.01; done; exit 42"
    with init("-s", "/nonexistent", "--", "sh", "-c", script) as (process, first):
        wait_for(lambda: lines(tmp_path / "started"))
        damage(first)
        os.kill(first, signal.SIGSEGV)
        wait_over(first, 0)
        wait_for(lambda: b"taking over" in (process.stderr.read() or b""), "word of it")
        (tmp_path / "go").touch()
        assert process.wait(15) == 42
        assert len(lines(tmp_path / "started")) == 1
