"""A supervisor meets a fault before and after each system call that it makes, and goes on."""

import contextlib
import itertools
import os
import platform
import signal
import subprocess

import pytest

from apus import BIN, background, wait_for
from faults import settle
from services import lay, lines, supervisor, wait_down, wait_up
from statuses import STATES
from stepping import Stepper

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="it knows the registers of x86-64 only")


def command(path, letters):
    with open(path / "supervise/control", "wb", buffering=0) as control:
        control.write(letters)


PARTS = 4
# So that the calls of a scenario are spread over those that run tests side by side.
parts = pytest.mark.parametrize("part", range(PARTS))
# Restarted at once: what is tested is not the wait.
PROMPT = "restart-delay 10ms\n"


def state(path):
    """The process of a service, its state and whether it is ready, without a program for it."""
    with contextlib.suppress(OSError, IndexError):
        record = (path / "supervise/status").read_bytes()
        return int.from_bytes(record[12:16], "little"), STATES[record[21]], bool(record[22] & 1)
    return 0, None, False


def supervised(path):
    with contextlib.suppress(OSError):
        os.close(os.open(path / "supervise/ok", os.O_WRONLY | os.O_NONBLOCK))
        return True
    return False


def is_up(path, ready=False):
    pid, name, is_ready = state(path)
    return pid if name in ("starting", "up") and (is_ready or not ready) else None


def each_call(pid, stimulus, is_done, check, part=0, of=PARTS):
    """Gives the stimulus again and again, with a fault at one call later each time, until all have had one; of the calls,
    only every fourth, say, from the one of that number. Returns how many faults there were."""
    faults = 0
    for count in itertools.count(part, of):
        found = False
        for before in (True, False):
            settle(pid)
            stepper = Stepper(pid)
            context = stimulus()
            number = stepper.fault_at(count, before, lambda: is_done(context))
            wait_for(lambda: is_done(context), f"the state after a fault at call {count} ({number}, before: {before})")
            check(context, (count, number, before))
            found = found or number is not None
            faults += number is not None
        if not found:
            return faults


@parts
def test_restart_with_finish_readiness_and_logger(tmp_path, part):
    """A service is told to end: it ends, its finish runs, it starts again and says that it is ready."""
    path = lay(tmp_path / "a", "echo start >> ../count; echo line; echo >&5; exec sleep 1000",
               log="exec cat >> ../../out", notification_fd="5\n", settings=PROMPT,
               finish="#!/bin/sh\necho finish $1 $2 >> ../count\n")
    count = tmp_path / "count"
    with supervisor("svscan", tmp_path) as process:
        wait_up(path)
        logger = wait_up(path / "log")
        wait_for(lambda: is_up(path, ready=True))

        def stimulus():
            before = (is_up(path), len(lines(count)))
            command(path, b"t")
            return before

        def is_done(before):
            pid, told = before
            now = is_up(path, ready=True)
            return (now and now != pid and len(lines(count)) >= told + 2
                    and len(lines(tmp_path / "out")) == lines(count).count("start"))

        def check(before, where):
            # It ended once, its finish ran once and knew how, it started once.
            assert lines(count)[before[1]:] == ["finish 256 15", "start"], where
            assert is_up(path / "log") == logger, where

        assert each_call(process.pid, stimulus, is_done, check, part) > 5
        command(path, b"d")
        wait_down(path)


@parts
@pytest.mark.parametrize("letter", ["d", "u"])
def test_down_and_up(tmp_path, part, letter):
    """One service after another, so that none is started again within a second, which would have it wait."""
    paths = [lay(tmp_path / f"s{number}", "echo >> count; exec sleep 1000", down=letter == "u") for number in range(30)]
    turns, starts = itertools.cycle(paths), dict.fromkeys(paths, 0)
    with supervisor("svscan", tmp_path) as process:
        wait_for(lambda: all(supervised(path) and bool(is_up(path)) == (letter == "d") for path in paths))

        def stimulus():
            path = next(turns)
            if letter == "d":
                # Its line has been written.
                starts[path] += 1
                wait_for(lambda: len(lines(path / "count")) == starts[path])
            command(path, letter.encode())
            return path, len(lines(path / "count"))

        def is_done(context):
            path, starts = context
            return bool(is_up(path)) == (letter == "u") and len(lines(path / "count")) == starts + (letter == "u")

        def check(context, where):
            path, _ = context
            assert process.poll() is None, where
            # As it was, without a fault.
            command(path, b"d" if letter == "u" else b"u")
            wait_for(lambda: bool(is_up(path)) == (letter == "d"))

        assert each_call(process.pid, stimulus, is_done, check, part) > 1


@parts
def test_services_come_and_go(tmp_path, part):
    """A directory with a logger appears; then svc -dx makes it go."""
    scan = tmp_path / "scan"
    scan.mkdir()
    with supervisor("svscan", scan) as process:
        wait_for((scan / ".svscan/control").exists)
        numbers = itertools.count()

        def stimulus():
            # Complete from the start, by a rename.
            return lay(scan / f"s{next(numbers)}", "echo line; exec sleep 1000", log="exec cat > out")

        def is_done(path):
            return is_up(path) and is_up(path / "log") and lines(path / "log/out")

        def check(path, where):
            assert lines(path / "log/out") == ["line"], where
            remove(path, tmp_path)

        assert each_call(process.pid, stimulus, is_done, check, part) > 7


def remove(path, place):
    """Has a service go with its logger, by svc -dx and by taking it out of the scan directory."""
    command(path, b"dx")
    if (path / "log").exists():
        command(path / "log", b"x")
    gone = place / f"gone-{path.name}"
    path.rename(gone)
    wait_for(lambda: not supervised(gone) and not supervised(gone / "log"), f"the end of {path}")


@parts
def test_services_that_need_others_come(tmp_path, part):
    """By one rescan, a one-shot, a service that needs it, tells that it is ready and has a logger and a finish, and one
    that needs that come up in their order, each once."""
    scan = tmp_path / "scan"
    scan.mkdir()
    with supervisor("svscan", scan) as process:
        wait_for((scan / ".svscan/control").exists)
        numbers = itertools.count()

        def stimulus():
            number = next(numbers)
            told = tmp_path / f"told{number}"
            # Nobody sees them before the last: their names are those of no service.
            laid = [
                lay(scan / f".one{number}", f"echo one >> {told}", settings="type oneshot\n"),
                lay(scan / f".two{number}", f"echo two >> {told}; echo line; echo >&5; exec sleep 1000",
                    log="exec cat > out", notification_fd="5\n", finish=f"#!/bin/sh\necho finish >> {told}\n",
                    settings=f"needs one{number}\n{PROMPT}"),
                lay(scan / f".three{number}", f"echo three >> {told}; exec sleep 1000",
                    settings=f"needs two{number}\n")]
            # While it is stopped, so that it sees them all in one look.
            for path in laid:
                path.rename(scan / path.name[1:])
            return told, [scan / path.name[1:] for path in laid]

        def is_done(context):
            told, (one, two, three) = context
            return (state(one)[1] == "done" and is_up(two, ready=True) and is_up(three) and is_up(two / "log")
                    and len(lines(told)) == 3 and lines(two / "log/out"))

        def check(context, where):
            told, (one, two, three) = context
            assert lines(told) == ["one", "two", "three"], where
            assert lines(two / "log/out") == ["line"], where
            for path in (three, two, one):
                remove(path, tmp_path)
            assert lines(told) == ["one", "two", "three", "finish"], where

        assert each_call(process.pid, stimulus, is_done, check, part) > 12


@parts
def test_stop(tmp_path, part):
    """A stop is under way; each fault needs a supervisor of its own."""
    faults = 0
    for count, before in ((count, before) for count in itertools.count(part, PARTS) for before in (True, False)):
        place = tmp_path / f"{count}{before}"
        told = place / "told"
        lay(place / "scan/one", f"echo start >> {told}", settings="type oneshot\n")
        path = lay(place / "scan/two", f"trap 'echo got >> {told}; exit' TERM; echo >&5; echo line; while :; do sleep 0.01; done",
                   log="exec cat > out", notification_fd="5\n", settings="needs one\n",
                   finish=f"#!/bin/sh\necho finish $1 $2 >> {told}\n")
        last = lay(place / "scan/three", f"trap 'echo last >> {told}; exit' TERM; echo > up; while :; do sleep 0.01; done",
                   settings="needs two\n")
        with supervisor("svscan", place / "scan") as process:
            wait_for(lambda: is_up(path, ready=True) and is_up(path / "log") and lines(last / "up"))
            stepper = Stepper(process.pid)
            os.kill(process.pid, signal.SIGTERM)
            number = stepper.fault_at(count, before, lambda: False, ends=True)
            code = process.wait(20)
            assert code == 0, (count, number)
        words = lines(told)
        # A signal that was being sent may be sent twice. What needs another ends before it.
        assert words[0] == "start" and words[1] == "last" and words[-1] == "finish 0 0", (count, before, number, words)
        assert set(words[1:-1]) == {"last", "got"} and len(words) <= 5, (count, before, number, words)
        assert lines(path / "log/out") == ["line"], (count, before, number)
        faults += number is not None
        if number is None:
            break
    assert faults > 8


def test_a_fault_of_another_program_is_one_line(tmp_path):
    with background(BIN / "multilog", tmp_path / "main", stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        wait_for((tmp_path / "main/current").exists)
        stepper = Stepper(process.pid)
        stepper.own_fault()
        assert process.wait(10) == 111
        assert process.stderr.read() == b"multilog: fatal: stopped by a fault of its own: bad memory access\n"
