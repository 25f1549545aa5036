"""A supervisor meets a fault before and after each system call that it makes, and goes on."""

import itertools
import os
import platform
import signal
import subprocess

import pytest

from apus import BIN, background, run, wait_for
from faults import init, wait_over
from services import lay, lines, pid_of, supervised, supervisor, wait_down, wait_up
from stepping import Stepper

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="it knows the registers of x86-64 only")


def command(path, letters):
    with open(path / "supervise/control", "wb", buffering=0) as control:
        control.write(letters)


def each_call(pid, stimulus, is_done, check):
    """Gives the stimulus again and again, with a fault at one call later each time, until all have had one. Returns how
    many faults there were."""
    faults = 0
    for count in itertools.count():
        found = False
        for before in (True, False):
            number = None
            stepper = Stepper(pid)
            context = stimulus()
            number = stepper.fault_at(count, before, lambda: is_done(context))
            wait_for(lambda: is_done(context), f"the state after a fault at call {count} ({number}, before: {before})")
            check(context, (count, number, before))
            found = found or number is not None
            faults += number is not None
        if not found:
            return faults


def test_restart_with_finish_readiness_and_logger(tmp_path):
    """A service is told to end: it ends, its finish runs, it starts again and says that it is ready."""
    path = lay(tmp_path / "a", "echo start >> ../count; echo line; echo >&5; exec sleep 1000",
               log="exec cat >> ../../out", notification_fd="5\n",
               finish="#!/bin/sh\necho finish $1 $2 >> ../count\n")
    count = tmp_path / "count"
    with supervisor("svscan", tmp_path) as process:
        wait_up(path)
        logger = wait_up(path / "log")
        wait_for(lambda: run("svwait", "-U", "-t", "1", path).returncode == 0)

        def stimulus():
            before = (pid_of(path), len(lines(count)))
            command(path, b"t")
            return before

        def is_done(before):
            pid, told = before
            now = pid_of(path)
            return (now and now != pid and len(lines(count)) >= told + 2
                    and len(lines(tmp_path / "out")) == lines(count).count("start")
                    and run("svwait", "-U", "-t", "1ms", path).returncode == 0)

        def check(before, where):
            # It ended once, its finish ran once and knew how, it started once.
            assert lines(count)[before[1]:] == ["finish 256 15", "start"], where
            assert pid_of(path / "log") == logger, where

        faults = each_call(process.pid, stimulus, is_done, check)
        assert faults > 20
        command(path, b"d")
        wait_down(path)


def test_down_and_up(tmp_path):
    path = lay(tmp_path / "a", "echo >> count; exec sleep 1000")
    with supervisor("svscan", tmp_path) as process:
        wait_up(path)
        wait_for(lambda: lines(path / "count"))

        def stimulus():
            is_up = pid_of(path) is not None
            command(path, b"d" if is_up else b"u")
            return not is_up, len(lines(path / "count"))

        def is_done(context):
            goal, starts = context
            return (pid_of(path) is not None) == goal and len(lines(path / "count")) == starts + goal

        def check(context, where):
            assert process.poll() is None

        assert each_call(process.pid, stimulus, is_done, check) > 8


def test_services_come_and_go(tmp_path):
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
            return supervised(path) and pid_of(path) and lines(path / "log/out")

        def check(path, where):
            assert lines(path / "log/out") == ["line"], where
            command(path, b"dx")
            command(path / "log", b"x")
            path.rename(tmp_path / f"gone-{path.name}")
            gone = tmp_path / f"gone-{path.name}"
            wait_for(lambda: not supervised(gone) and not supervised(gone / "log"), f"its end, {where}")

        assert each_call(process.pid, stimulus, is_done, check) > 30


def test_stop(tmp_path):
    """A stop is under way; each fault needs a supervisor of its own."""
    faults = 0
    for count in itertools.count():
        place = tmp_path / str(count)
        path = lay(place / "a", "trap 'echo >> got; exit' TERM; echo > up; while :; do sleep 0.01; done",
                   log="exec cat > out")
        with supervisor("svscan", place) as process:
            wait_for((path / "up").exists)
            wait_up(path / "log")
            stepper = Stepper(process.pid)
            os.kill(process.pid, signal.SIGTERM)
            number = None
            try:
                number = stepper.fault_at(count, count % 2 == 0, lambda: False)
            except AssertionError:
                pass
            code = process.wait(20)
            assert code == 0, (count, number)
            assert len(lines(path / "got")) in (1, 2)
        if number is None:
            break
        faults += 1
    assert faults > 8


def test_one_fault_after_another_leaves_the_services_running(tmp_path):
    """Where nothing helps, process 1 only reaps, says so, and still ends the container when it is told to."""
    path = lay(tmp_path / "a")
    with init("-s", tmp_path) as (process, first):
        pid = wait_up(path)
        Stepper(first).own_faults(6)
        text = b""

        def said():
            nonlocal text
            text += process.stderr.read() or b""
            return b"only reaping from here on" in text
        wait_for(said, "word of it")
        assert b"stopped by one fault after another; services are left running" in text, text
        assert pid_of(path) == pid and process.poll() is None
        os.kill(first, signal.SIGTERM)
        assert process.wait(20) == 111


def test_a_fault_of_its_own_is_told(tmp_path):
    path = lay(tmp_path / "a")
    with init("-s", tmp_path) as (process, first):
        pid = wait_up(path)
        Stepper(first).own_faults(2)
        wait_over(first)
        assert pid_of(path) == pid
        wait_for(lambda: b"recovered from a fault of its own (signal 11" in (process.stderr.read() or b""), "word of it")


def test_a_fault_of_another_program_is_one_line(tmp_path):
    with background(BIN / "multilog", tmp_path / "main", stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        wait_for((tmp_path / "main/current").exists)
        stepper = Stepper(process.pid)
        stepper.own_fault()
        assert process.wait(10) == 111
        assert process.stderr.read() == b"multilog: fatal: stopped by a fault of its own: bad memory access\n"
