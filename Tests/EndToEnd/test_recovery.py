"""A supervisor that a fault stops goes on where it was: nothing is restarted, nothing is lost."""

import os
import pathlib
import random
import re
import signal
import time

import pytest

from apus import run, wait_for
from faults import COUNTER, FAULTS, init, resident, table, trap, wait_over, zombies
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
        assert f"init: warning: went on after a signal {int(number)} that was sent" in text, text
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


def test_many_faults_under_load(tmp_path):
    """200 faults while 20 services write, restart and are commanded."""
    chance = random.Random(4711)
    paths = [lay(tmp_path / f"s{number}", COUNTER, log="exec multilog n500 s999999 ./main") for number in range(20)]
    with init("-s", tmp_path) as (process, first):
        pids = {path: wait_up(path) for path in paths}
        loggers = {path: wait_up(path / "log") for path in paths}
        seen = {path: {pid} for path, pid in pids.items()}
        trap(first)
        count = descriptor_count(first)
        before = resident(first)
        done = 0
        while done < 200:
            path = chance.choice(paths[10:])
            if chance.random() < 0.3:
                svc("-t", path)
            elif chance.random() < 0.3:
                svc("-h", path)
            time.sleep(chance.random() / 100)
            os.kill(first, chance.choice(FAULTS))
            time.sleep(chance.random() / 50)
            done = max(done, table(first)[0])
            pid = pid_of(path)
            if pid:
                seen[path].add(pid)
        wait_over(first, done)
        wait_for(lambda: all(pid_of(path) for path in paths), "all services up")
        assert {path: pid_of(path) for path in paths[:10]} == {path: pids[path] for path in paths[:10]}
        assert {path: pid_of(path / "log") for path in paths} == loggers
        wait_for(lambda: not zombies(first), "no zombie")
        wait_for(lambda: descriptor_count(first) == count, "the descriptors that there were")
        assert resident(first) < before + 256
        os.kill(first, signal.SIGTERM)
        assert process.wait(30) == 0
    for path in paths:
        text = b"".join(file.read_bytes() for file in sorted((path / "log/main").glob("@*")))
        text += (path / "log/main/current").read_bytes()
        numbers = {}
        for line in text.decode().splitlines():
            pid, number = line.split()
            # No line is lost, doubled or torn.
            assert numbers.get(pid, -1) + 1 == int(number), (path, line)
            numbers[pid] = int(number)
        if path in paths[:10]:
            assert len(numbers) == 1


def test_a_flood_of_signals(tmp_path):
    """Services that send it nothing but faults cannot end process 1, and it goes on when they stop."""
    for name in "ab":
        lay(tmp_path / name, "i=0; while [ $i -lt 20000 ]; do kill -SEGV 1; i=$((i+1)); done; echo >> ../done; exec sleep 1000")
    path = lay(tmp_path / "c", "echo >> starts")
    with init("-s", tmp_path) as (process, first):
        wait_for(lambda: len(lines(tmp_path / "done")) == 2, "the end of the flood", 60)
        count = len(lines(path / "starts"))
        wait_for(lambda: len(lines(path / "starts")) > count + 2, "its work")
        assert process.poll() is None and table(first)[0] > 5
        assert len(lines(tmp_path / "done")) == 2
