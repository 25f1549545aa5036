"""A supervisor that a fault stops goes on where it was: nothing is restarted, nothing is lost."""

import os
import pathlib
import re
import signal

import pytest

from apus import run, wait_for
from faults import FAULTS, init, table, trap
from services import (children, descriptor_count, lay, lines, pid_of, supervisor, svc, svstat, wait_down, wait_up)

@pytest.mark.parametrize("number", FAULTS, ids=[number.name for number in FAULTS])
def test_a_fault_restarts_nothing(tmp_path, number):
    path = lay(tmp_path / "a", log="exec multilog ./main")
    with init("-s", tmp_path) as (process, first):
        pid, logger = wait_up(path), wait_up(path / "log")
        trap(first, number)
        assert pid_of(path) == pid and pid_of(path / "log") == logger
        assert process.poll() is None
        text = process.stderr.read().decode()
        assert f"init: warning: recovered from signal {int(number)} from another process, processes of services still running: 2" in text, text
        svc("-t", path)
        assert wait_up(path, other_than=pid)
        assert pid_of(path / "log") == logger


def test_the_time_up_goes_on(tmp_path):
    path = lay(tmp_path / "a")
    with init("-s", tmp_path) as (_, first):
        wait_up(path)
        wait_for(lambda: re.search(r"\) [1-9]\d* seconds", svstat(path)), "a second")
        trap(first)
        assert re.search(r"\) [1-9]\d* seconds", svstat(path)), svstat(path)


def test_the_exit_status_is_seen(tmp_path):
    path = lay(tmp_path / "a", "while [ ! -e go ]; do sleep 0.01; done; exit 7",
               finish="#!/bin/sh\necho $1 >> told; exec sleep 1000\n")
    with init("-s", tmp_path) as (_, first):
        wait_up(path)
        os.kill(first, signal.SIGSTOP)
        (path / "go").touch()
        # It ends while nobody can reap it, and the fault comes before.
        os.kill(first, signal.SIGSEGV)
        os.kill(first, signal.SIGCONT)
        wait_for(lambda: lines(path / "told"), "finish")
        trap(first)
        assert lines(path / "told") == ["7"]


def test_readiness_is_kept(tmp_path):
    path = lay(tmp_path / "a", "echo > /dev/fd/5; exec sleep 1000", notification_fd="5\n")
    late = lay(tmp_path / "b", "while [ ! -e go ]; do sleep 0.01; done; echo >&5; exec sleep 1000",
               notification_fd="5\n")
    with init("-s", tmp_path) as (_, first):
        wait_up(path)
        wait_up(late)
        assert run("svwait", "-U", path).returncode == 0
        trap(first)
        assert run("svwait", "-U", path).returncode == 0
        (late / "go").touch()
        assert run("svwait", "-U", late).returncode == 0


def test_the_main_command_goes_on(tmp_path):
    gate = tmp_path / "gate"
    with init("-s", "/nonexistent", "--", "sh", "-c", f"while [ ! -e {gate} ]; do sleep 0.01; done; exit 42") as (
            process, first):
        wait_for(lambda: children(first), "the main command")
        command = children(first)
        for number in FAULTS:
            trap(first, number)
        assert children(first) == command
        gate.touch()
        assert process.wait(10) == 42


def test_a_stop_goes_on(tmp_path):
    path = lay(tmp_path / "a", "trap 'echo >> got' TERM; echo > up; while [ ! -e go ]; do sleep 0.01; done")
    with init("-s", tmp_path) as (process, first):
        wait_for((path / "up").exists)
        os.kill(first, signal.SIGTERM)
        wait_for(lambda: lines(path / "got"), "SIGTERM")
        trap(first)
        assert process.poll() is None
        (path / "go").touch()
        assert process.wait(15) == 0
        assert len(lines(path / "got")) == 1


def test_services_see_nothing_of_it(tmp_path):
    script = ("env | grep -c APUS > env; ls -l /proc/self/fd > fds; grep ^Sig[^Q] /proc/self/status > signals;"
              "exec sleep 1000")
    path = lay(tmp_path / "a", script)
    with init("-s", tmp_path) as (_, first):
        pid = wait_up(path)
        wait_for(lambda: len(lines(path / "signals")) == 4)
        before = (lines(path / "signals"), len(lines(path / "fds")))
        trap(first)
        for name in ("env", "fds", "signals"):
            (path / name).unlink()
        svc("-t", path)
        wait_up(path, other_than=pid)
        wait_for(lambda: len(lines(path / "signals")) == 4)
        assert (lines(path / "signals"), len(lines(path / "fds"))) == before
        assert lines(path / "env") == ["0"]


def test_descriptors_and_name_stay(tmp_path):
    for name in "abc":
        lay(tmp_path / name, log="exec cat")
    with init("-s", tmp_path) as (_, first):
        for name in "abc":
            wait_up(tmp_path / name)
        trap(first)
        count, comm = descriptor_count(first), pathlib.Path(f"/proc/{first}/comm").read_text()
        command = pathlib.Path(f"/proc/{first}/cmdline").read_bytes()
        for _ in range(20):
            trap(first)
        assert descriptor_count(first) == count
        assert comm == pathlib.Path(f"/proc/{first}/comm").read_text() == "init\n"
        assert command == pathlib.Path(f"/proc/{first}/cmdline").read_bytes()


def test_svscan_goes_on_too(tmp_path):
    path = lay(tmp_path / "a")
    with supervisor("svscan", tmp_path) as process:
        pid = wait_up(path)
        trap(process.pid)
        assert pid_of(path) == pid
        svc("-d", path)
        wait_down(path)
        assert run("svscanctl", "-t", tmp_path).returncode == 0
        assert process.wait(10) == 0


def test_a_flood_of_signals(tmp_path):
    """Services that send it nothing but faults can neither end process 1 nor keep it from its work."""
    for name in "ab":
        lay(tmp_path / name, "while :; do kill -SEGV 1; done")
    path = lay(tmp_path / "c", "echo >> starts")
    with init("-s", tmp_path) as (process, first):
        count = len(lines(path / "starts"))
        wait_for(lambda: len(lines(path / "starts")) > count + 4, "its work")
        assert process.poll() is None and table(first)[0] > 5
