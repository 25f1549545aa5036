"""Every signal sent to init as process 1, as init(8) has it: passed on, rewritten, dropped, or a stop."""

import contextlib
import ctypes
import fcntl
import os
import pathlib
import pty
import signal
import struct
import subprocess
import sys
import termios

import pytest

from apus import BIN, background, environment, pid_namespace, wait_for
from services import lay, lines, process_state

INIT = BIN / "init"
STOPS = {2, 15, 30, 37, 38, 39, 40, 47, 48, 49, 50}
TAKEN = {13, 21, 22}
# By these init tells of a fault of its own, and the kernel keeps the other two to itself: process 1 does not get them.
NOT_GIVEN = {4, 5, 6, 7, 8, 9, 11, 17, 19, 31}
PASSED_ON = sorted(set(range(1, 65)) - STOPS - TAKEN - NOT_GIVEN - {32, 33})

# Writes the number of each signal that it gets, one a line, the C library's own two apart. Ends by TERM with 5.
LISTENER = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
mask = (ctypes.c_ulong * 16)()
libc.sigfillset(mask)
libc.sigprocmask(0, mask, None)
number = ctypes.c_int()
out = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
os.write(out, b"up\\n")
while True:
    libc.sigwait(mask, ctypes.byref(number))
    os.write(out, b"%d\\n" % number.value)
    if number.value in (15, 3) and len(sys.argv) > 2:
        os._exit(5)
"""


@contextlib.contextmanager
def listening(tmp_path, *options, ends=False, variables=None, services="/nonexistent"):
    """init with a main command that writes what it gets into the file it yields."""
    got = tmp_path / "got"
    words = [sys.executable, "-c", LISTENER, got, *(["ends"] if ends else [])]
    with pid_namespace(INIT, "-s", services, *options, "--", *words, env=environment(**variables or {}),
                       stderr=subprocess.PIPE) as (process, first):
        wait_for(lambda: lines(got) == ["up"], "the command")
        yield process, first, got


def send(pid, number):
    # os.kill refuses numbers that the C library keeps to itself.
    assert ctypes.CDLL(None, use_errno=True).syscall(62, pid, number) == 0


def test_every_signal_that_is_not_init_s_own_is_passed_on(tmp_path):
    with listening(tmp_path) as (process, first, got):
        for count, number in enumerate(PASSED_ON, 2):
            send(first, number)
            wait_for(lambda: len(lines(got)) >= count, f"signal {number}")
        assert lines(got)[1:] == [str(number) for number in PASSED_ON]
        assert process.poll() is None


@pytest.mark.parametrize("number", [32, 33])
def test_those_of_the_c_library_are_passed_on_too(number, tmp_path):
    """Which a program of that library cannot wait for, and ends by."""
    with pid_namespace(INIT, "-s", "/nonexistent", "--", "sleep", "1000") as (process, first):
        wait_for(lambda: pathlib.Path(f"/proc/{first}/task/{first}/children").read_text().split(), "the command")
        send(first, number)
        assert process.wait(10) == 128 + number


def test_what_process_1_takes_or_never_gets_changes_nothing(tmp_path):
    with listening(tmp_path) as (process, first, got):
        # From outside of the namespace, KILL and STOP do reach it; a namespace's own process cannot send them.
        for number in sorted((TAKEN | NOT_GIVEN) - {9, 19}):
            send(first, number)
        inside = ["nsenter", f"--target={first}", "--pid", "--mount"]
        subprocess.run([*inside, "sh", "-c", "kill -9 1; kill -19 1"], check=True)
        send(first, signal.SIGUSR1)
        wait_for(lambda: lines(got)[1:] == ["10"], "only what came after")
        assert process.poll() is None and process_state(first) == "S"


@pytest.mark.parametrize("number", sorted(STOPS - {47, 48, 49, 50}))
def test_a_stop_is_one_with_a_command_and_without(number, tmp_path):
    with listening(tmp_path, ends=True) as (process, first, got):
        send(first, number)
        expected = 2 if number == 2 else 15
        wait_for(lambda: str(expected) in lines(got), "TERM or INT")
        if number == 2:
            send(first, signal.SIGTERM)
        assert process.wait(10) in (5, 137)
    scan = tmp_path / "scan"
    scan.mkdir()
    path = lay(scan / "a", "echo up > up; exec sleep 1000")
    with pid_namespace(INIT, "-s", scan) as (process, first):
        wait_for((path / "up").exists)
        send(first, number)
        assert process.wait(10) == 0


@pytest.mark.parametrize("number", [47, 48, 49, 50])
def test_a_stop_at_once_leaves_services_no_time(number, tmp_path):
    scan = tmp_path / "scan"
    scan.mkdir()
    path = lay(scan / "a", "trap '' TERM; echo up > up; while :; do sleep 0.05; done")
    with pid_namespace(INIT, "-s", scan, "-t", 60) as (process, first):
        wait_for((path / "up").exists)
        send(first, number)
        assert process.wait(5) == 137


class TestRewriting:
    def test_the_command_gets_another_signal_at_a_stop(self, tmp_path):
        with listening(tmp_path, "--rewrite", "15:3", ends=True) as (process, first, got):
            send(first, signal.SIGTERM)
            assert process.wait(10) == 5
            assert lines(got) == ["up", "3"]

    def test_what_is_to_mean_a_stop_stops(self, tmp_path):
        with listening(tmp_path, "-r", "QUIT:TERM", ends=True) as (process, first, got):
            send(first, signal.SIGQUIT)
            assert process.wait(10) == 5
            assert lines(got)[:2] == ["up", "15"]

    def test_several_and_none(self, tmp_path):
        with listening(tmp_path, "-r", "28:0", "-r10:12", "--rewrite=15:0", "-r", "34:64") as (process, first, got):
            for number in (28, 15, 10, 34):
                send(first, number)
            wait_for(lambda: len(lines(got)) == 3, "two signals")
            assert sorted(lines(got)[1:]) == ["12", "64"]
            assert process.poll() is None

    def test_from_the_environment(self, tmp_path):
        variables = {"INIT_REWRITE": "10:12 TERM:QUIT"}
        with listening(tmp_path, ends=True, variables=variables) as (process, first, got):
            send(first, 10)
            wait_for(lambda: lines(got) == ["up", "12"], "the other signal")
            send(first, 15)
            assert process.wait(10) == 5
            assert lines(got) == ["up", "12", "3"]

    @pytest.mark.parametrize("word", [
        "", "15", "15:", "15:3:1", "0:1", "65:1", "9:15", "KILL:TERM", "STOP:0", "17:1", "x:1"])
    def test_a_pair_that_is_none(self, word, tmp_path):
        result = subprocess.run([INIT, "-r", word, "--", "true"], capture_output=True)
        assert result.returncode == 100 and b"usage" in result.stderr


@contextlib.contextmanager
def on_terminal(*command):
    """init as process 1 on a terminal, as an engine starts it for -it; yields its parent and the number of the
    terminal's other end."""
    leader, follower = pty.openpty()
    with background("unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "setsid", "--ctty", INIT, *command,
                    stdin=follower, stdout=follower, stderr=follower) as process:
        os.close(follower)
        try:
            yield process, leader
        finally:
            os.close(leader)


def read_until(leader, wanted):
    text = b""
    while wanted not in text:
        text += os.read(leader, 4096)
    return text


class TestTerminal:
    def test_a_shell_has_job_control(self, tmp_path):
        """It stops and continues its own jobs, and has no complaint about the terminal."""
        with on_terminal(
                "-s", "/nonexistent", "--", "bash", "--norc", "--noprofile", "-i") as (process, leader):
            os.write(leader, b"PS1=; stty noflsh; echo mark''er; sleep 1000; echo status $?\n")
            read_until(leader, b"marker")
            os.set_blocking(leader, False)
            text = b""

            # Ctrl-Z reaches the job and neither the shell nor init.
            def stopped():
                nonlocal text
                os.write(leader, b"\x1a")
                with contextlib.suppress(BlockingIOError):
                    text += os.read(leader, 4096)
                return b"status 148" in text
            wait_for(stopped, "the stopped job")
            assert b"no job control" not in text and b"cannot set terminal" not in text
            # A shell with stopped jobs wants to be told twice.
            os.write(leader, b"kill -9 %1\nexit 7\nexit 7\n")

            def ended():
                with contextlib.suppress(OSError):
                    os.read(leader, 4096)
                return process.poll() is not None
            wait_for(ended, "the end")
            assert process.returncode == 7

    def test_a_change_of_the_window_reaches_the_command(self, tmp_path):
        with on_terminal(
                "-s", "/nonexistent", "--", "bash", "-c",
                "trap 'echo changed; exit 4' WINCH; echo ready; while :; do sleep 0.05; done") as (process, leader):
            read_until(leader, b"ready")
            fcntl.ioctl(leader, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 99, 0, 0))
            read_until(leader, b"changed")
            assert process.wait(10) == 4

    def test_a_terminal_that_goes_away_ends_nothing(self, tmp_path):
        """As when a client detaches: the command gets HUP, and services stay."""
        scan = tmp_path / "scan"
        scan.mkdir()
        path = lay(scan / "a", "echo up > up; exec sleep 1000")
        with on_terminal(
                "-s", scan, "--", "bash", "-c",
                f"trap 'echo HUP > {tmp_path}/got' HUP; echo ready; while :; do sleep 0.05; done") as (process, leader):
            read_until(leader, b"ready")
            wait_for((path / "up").exists)
            with open(os.devnull) as null:
                os.dup2(null.fileno(), leader)
            wait_for((tmp_path / "got").exists, "HUP")
            assert process.poll() is None
