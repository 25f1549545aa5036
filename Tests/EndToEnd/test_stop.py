"""The stop: how long what may take, what is said of it, and what the exit status tells."""

import os
import re
import signal
import subprocess
import time

import pytest

from apus import BIN, background, environment, pid_namespace, run, wait_for
from services import children, lay, lines, process_state, supervisor, svstat, wait_up

INIT = BIN / "init"

# Takes so many seconds to end, and notes what it got.
SLOW = """
trap 'echo TERM >> got; sleep {seconds}; echo done >> got; exit {code}' TERM
trap 'echo CONT >> got' CONT
echo up >> got
while :; do sleep 0.05; done
"""
STUBBORN = "trap '' TERM\ntouch ready\nwhile :; do sleep 0.05; done"


def slow(seconds, code=0):
    return SLOW.format(seconds=seconds, code=code)


@pytest.fixture
def empty(tmp_path):
    """A service directory without services."""
    path = tmp_path / "empty"
    path.mkdir()
    return path


@pytest.fixture
def started():
    """Runs init as process 1; the test ends it."""
    def start(*words, **options):
        return pid_namespace(INIT, *words, stderr=subprocess.PIPE, **options)
    return start


def stop(process, first, number=signal.SIGTERM, seconds=30):
    """Exit code, seconds taken, and what init said; shells too tell of children that were killed."""
    start = time.monotonic()
    os.kill(first, number)
    code = process.wait(seconds)
    took = time.monotonic() - start
    return code, took, re.findall(r"^init: .*", process.stderr.read().decode(), re.M)


class TestTime:
    """With -t 4 services have 3 of the 4 seconds, and with the 9 of the default 8."""

    def test_a_service_gets_nearly_all_of_the_limit(self, scan, started):
        path = lay(scan / "a", slow(2.2))
        with started("-s", scan, "-t", 4) as (process, first):
            wait_for(lambda: "up" in lines(path / "got"), "the service")
            code, took, told = stop(process, first)
        assert (code, told) == (0, [])
        assert lines(path / "got")[-1] == "done"
        assert 2.1 < took < 3

    def test_the_main_command_gets_nearly_all_of_the_limit(self, empty, tmp_path, started):
        with started("-s", empty, "-t", 4, "--", "sh", "-c", slow(2.2, 7), cwd=tmp_path) as (
                process, first):
            wait_for(lambda: "up" in lines(tmp_path / "got"), "the command")
            code, took, told = stop(process, first)
        assert (code, told) == (7, [])
        assert lines(tmp_path / "got")[-1] == "done"
        assert 2.1 < took < 3

    def test_the_default_is_nearly_the_ten_seconds_of_an_engine(self, scan, started):
        path = lay(scan / "a", slow(7))
        with started("-s", scan) as (process, first):
            wait_for(lambda: "up" in lines(path / "got"), "the service")
            code, took, told = stop(process, first)
        assert (code, told) == (0, [])
        assert lines(path / "got")[-1] == "done"
        assert took < 8.5

    def test_the_default_kills_before_an_engine_would(self, scan, started):
        path = lay(scan / "a", STUBBORN)
        with started("-s", scan) as (process, first):
            wait_for((path / "ready").exists, "the service")
            code, took, told = stop(process, first)
        assert code == 128 + signal.SIGKILL
        assert 7.8 < took < 9.5
        assert len(told) == 1 and told[0].startswith(
            "init: warning: still up after 8.0 seconds, killing: a (pid ")

    def test_services_that_stop_one_after_another_have_it_together(self, scan, started):
        paths = [lay(scan / f"s{number}", slow(0.5 + number / 2)) for number in range(4)]
        with started("-s", scan, "-t", 4) as (process, first):
            for path in paths:
                wait_for(lambda: "up" in lines(path / "got"), "the service")
            code, took, told = stop(process, first)
        assert (code, told) == (0, []) and took < 3
        assert all(lines(path / "got")[-1] == "done" for path in paths)

    def test_a_stray_and_a_logger_that_do_not_end_are_killed_in_what_is_left(self, scan, started):
        path = lay(scan / "a", f"(trap '' TERM; touch stray; while :; do sleep 0.05; done) &\n{slow(0.1)}",
                   log="trap '' TERM; touch ready; while :; do sleep 0.05; done")
        with started("-s", scan, "-t", 3) as (process, first):
            for place in (path / "stray", path / "got", path / "log/ready"):
                wait_for(place.exists, "all of them")
            code, took, told = stop(process, first)
        assert took < 4
        assert told[0].startswith("init: warning: killing processes that are no services: ")
        assert "run (pid " in told[0]
        assert told[1] == "init: warning: the time to stop is over, killing all that is left"


class TestExitStatus:
    def test_a_killed_service_is_137(self, scan, started):
        path = lay(scan / "a", STUBBORN)
        good = lay(scan / "good")
        with started("-s", scan, "-t", 2) as (process, first):
            wait_for((path / "ready").exists, "the service")
            wait_up(good)
            pid = wait_up(path)
            code, took, told = stop(process, first)
        assert code == 137 and took < 2.5
        assert len(told) == 1 and told[0].startswith(
            "init: warning: still up after 1.5 seconds, killing: a (pid ")
        assert "good" not in told[0]

    def test_every_one_that_did_not_stop_is_named(self, scan, started):
        for name in ("one", "two", "three"):
            lay(scan / name, STUBBORN)
        with started("-s", scan, "-t", 1, "--", "sh", "-c", f"cd {scan}; {STUBBORN}") as (process, first):
            for place in (*(scan / name / "ready" for name in ("one", "two", "three")), scan / "ready"):
                wait_for(place.exists, "all of them")
            code, took, told = stop(process, first)
        assert code == 137
        line = told[0]
        assert all(f"{name} (pid " in line for name in ("one", "two", "three", "sh")), line

    def test_the_commands_own_status_comes_first(self, scan, started):
        """A command that ends by itself in time is what the caller asked for."""
        path = lay(scan / "a", STUBBORN)
        script = "trap 'exit 5' TERM; touch up; while :; do sleep 0.05; done"
        with started("-s", scan, "-t", 2, "--", "sh", "-c", script, cwd=scan) as (process, first):
            wait_for((path / "ready").exists, "the service")
            wait_for((scan / "up").exists, "the command")
            code, took, told = stop(process, first)
        assert code == 5
        assert "killing: a (pid " in told[0]

    def test_svscan_tells_too(self, scan):
        path = lay(scan / "a", STUBBORN)
        with supervisor(BIN / "svscan", scan) as process:
            wait_for((path / "ready").exists, "the service")
            process.terminate()
            wait_for(lambda: "want down" in svstat(path), "the command")
            process.terminate()
            assert process.wait(10) == 137


class TestLimit:
    def kill_time(self, scan, started, *words, variables):
        path = lay(scan / "a", STUBBORN)
        with started("-s", scan, *words, env=environment(**variables)) as (process, first):
            wait_for((path / "ready").exists, "the service")
            return stop(process, first)

    def test_from_the_environment(self, scan, started):
        code, took, told = self.kill_time(scan, started, variables={"INIT_STOP_TIMEOUT": "2"})
        assert code == 137 and 1.4 < took < 2.6
        assert "after 1.5 seconds" in told[0]

    def test_an_option_comes_first(self, scan, started):
        code, took, told = self.kill_time(scan, started, "-t", 2, variables={"INIT_STOP_TIMEOUT": "60"})
        assert code == 137 and 1.4 < took < 2.6

    def test_nothing_at_all(self, scan, started):
        code, took, told = self.kill_time(scan, started, variables={"INIT_STOP_TIMEOUT": "0"})
        assert code == 137 and took < 1

    @pytest.mark.parametrize("value", ["", "x", "-1", "10s", "86401", "99999999999999999999", "1.5"])
    def test_one_that_is_no_number_is_said_and_ignored(self, empty, value):
        result = run(INIT, "-s", empty, "--", "true", env=environment(INIT_STOP_TIMEOUT=value))
        assert result.returncode == 0
        assert result.stderr.startswith(b"init: warning: ignoring INIT_STOP_TIMEOUT=" + value.encode() + b": ")
        assert result.stderr.count(b"\n") == 1

    def test_one_with_a_line_end_forges_no_line(self, empty):
        result = run(INIT, "-s", empty, "--", "true",
                     env=environment(INIT_STOP_TIMEOUT="1\ninit: fatal: \x1b[31mred"))
        assert result.returncode == 0
        assert result.stderr.count(b"\n") == 1 and b"\x1b" not in result.stderr


class TestSignals:
    def test_quit_stops_when_there_is_no_command(self, scan, started):
        path = lay(scan / "a", slow(0.1))
        with started("-s", scan) as (process, first):
            wait_for(lambda: "up" in lines(path / "got"), "the service")
            code, took, told = stop(process, first, signal.SIGQUIT)
        assert (code, told) == (0, []) and took < 3
        assert "TERM" in lines(path / "got") and lines(path / "got")[-1] == "done"

    def test_quit_is_the_commands_when_there_is_one(self, empty, tmp_path, started):
        script = "trap 'exit 9' QUIT; touch up; while :; do sleep 0.05; done"
        with started("-s", empty, "--", "sh", "-c", script, cwd=tmp_path) as (process, first):
            wait_for((tmp_path / "up").exists, "the command")
            assert stop(process, first, signal.SIGQUIT)[0] == 9

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGPWR, 37])
    def test_a_stopped_command_is_continued(self, empty, tmp_path, started, number):
        """Else it would never see what it is asked."""
        script = "trap 'exit 4' TERM INT; touch up; while :; do sleep 0.05; done"
        with started("-s", empty, "--", "sh", "-c", script, cwd=tmp_path) as (process, first):
            wait_for((tmp_path / "up").exists, "the command")
            command, = children(first)
            os.kill(command, signal.SIGSTOP)
            wait_for(lambda: process_state(command) == "T", "the stop")
            code, took, told = stop(process, first, number)
        assert (code, told) == (4, []) and took < 3

    def test_a_second_signal_kills_the_command_now(self, empty, tmp_path, started):
        with started("-s", empty, "--", "sh", "-c", STUBBORN, cwd=tmp_path) as (process, first):
            wait_for((tmp_path / "ready").exists, "the command")
            os.kill(first, signal.SIGTERM)
            time.sleep(0.2)
            assert process.poll() is None
            code, took, told = stop(process, first)
        assert code == 137 and took < 2
        assert "killing: sh (pid " in told[0]


class TestWords:
    @pytest.mark.parametrize("words", [["-t", "20"], ["-s", "/x"], ["--services=/x"]])
    def test_options_after_the_dashes_say_what_to_do(self, empty, words):
        """docker run image -t 20, where the image's entry point ends in `--`."""
        result = run(INIT, "-s", empty, "--", *words)
        assert result.returncode == 127
        assert result.stderr.decode().splitlines() == [
            f"init: warning: the command is {words[0]}: options of init come before --, "
            "as in: init -t 20 -- command",
            f"init: fatal: unable to run {words[0]}: file does not exist"]

    def test_a_command_that_is_not_there_ends_services_that_were_started(self, scan):
        path = lay(scan / "a", slow(0.1))
        with background(INIT, "-s", scan, "--", "/nonexistent/command", stderr=subprocess.PIPE) as process:
            assert process.wait(20) == 127
            assert process.stderr.read() == (
                b"init: fatal: unable to run /nonexistent/command: file does not exist\n")
        assert "not running" in svstat(path) or not (path / "supervise").exists()


def test_a_stop_while_services_are_being_started(scan, started):
    """Two hundred at once, stopped at several moments: none is left, none is started after."""
    for number in range(200):
        lay(scan / f"s{number}", "exec sleep 1000", log="exec cat > /dev/null")
    for delay in (0.0, 0.01, 0.05, 0.1, 0.2):
        with started("-s", scan) as (process, first):
            wait_for((scan / "s0/supervise").exists, "the beginning")
            time.sleep(delay)
            code, took, told = stop(process, first)
            assert (code, told) == (0, []) and took < 5
        run("find", scan, "-name", "supervise", "-exec", "rm", "-r", "{}", "+")


def test_processes_that_multiply_do_not_outlive_the_limit(scan, started):
    """Each that ends has made another before."""
    script = ("#!/usr/bin/python3\nimport os, signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
              "open('ready', 'w')\n"
              "while True:\n    time.sleep(0.005)\n    if os.fork():\n        os._exit(0)\n")
    path = lay(scan / "a")
    (path / "run").write_text("#!/bin/sh\n./fork &\nexec sleep 1000\n")
    (path / "fork").write_text(script)
    (path / "fork").chmod(0o755)
    with started("-s", scan, "-t", 2) as (process, first):
        wait_for((path / "ready").exists, "the process that multiplies")
        code, took, told = stop(process, first)
    assert took < 3.5
    assert code == 0
