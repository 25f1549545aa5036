"""What tini, dumb-init and catatonit have here beyond the originals: nothing that they wait for but signals, nothing that
is lost, no zombie. Tests/Differential/test_inits.py compares the rest with them."""

import fcntl
import os
import pathlib
import signal
import subprocess
import time

import pytest

from apus import BIN, background, pid_namespace, run, wait_for
from services import switches, wait_idle

INITS = {"tini": ["-s", "--"], "tini-static": ["-s", "--"], "docker-init": ["-s", "--"], "dumb-init": [], "catatonit": ["--"]}
each = pytest.mark.parametrize("name", INITS)


def line(name, *options):
    return [BIN / name, *options, *INITS[name]]


@each
def test_idle_means_no_wake_ups(name):
    with background(*line(name), "sleep", "1000") as process:
        wait_for(lambda: pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text())
        wait_idle(process.pid)
        before = switches(process.pid)
        time.sleep(2.5)
        assert switches(process.pid) == before


@each
def test_a_thousand_orphans_leave_no_zombie(name, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    script = (f"i=0; while [ $i -lt 1000 ]; do (read x < {gate} &) ; i=$((i+1)); done; touch {tmp_path}/started;"
              "exec sleep 1000")
    with pid_namespace(*line(name), "sh", "-c", script) as (process, first):
        wait_for((tmp_path / "started").exists, "a thousand orphans", 60)
        children = pathlib.Path(f"/proc/{first}/task/{first}/children")
        assert len(children.read_text().split()) == 1001
        with open(gate, "w"):
            pass  # every reader's open returns, and finds end of file
        wait_for(lambda: len(children.read_text().split()) == 1, "all orphans reaped", 30)
        os.kill(first, signal.SIGTERM)
        assert process.wait(15) == 128 + 15


@pytest.mark.parametrize("name, option", [("tini", "-vvv"), ("dumb-init", "-v"), ("catatonit", "-g")])
def test_nobody_who_reads_is_waited_for(name, option, tmp_path):
    """Standard output and error are a full pipe. The command does not write to it: a shell tells of each child's death."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writer, bytes(4096))
    script = f"exec 2> /dev/null; trap 'exit 9' TERM; trap : USR1; echo > {tmp_path}/up; while :; do sleep 0.02; done"
    environment = {**os.environ, "CATATONIT_DEBUG": "1"}
    with background(*line(name, option), "sh", "-c", script, stdout=writer, stderr=writer, env=environment) as process:
        wait_for((tmp_path / "up").exists)
        for _ in range(20):
            process.send_signal(signal.SIGUSR1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 9
    os.close(writer)
    os.close(reader)


@each
@pytest.mark.parametrize("group", [[], ["-g"]])
def test_no_signal_at_the_start_is_lost(name, group):
    """Whatever the init has come to, TERM ends it or its command; the command never goes on without it."""
    options = group if name != "dumb-init" else []
    for pause in range(12):
        with background(*line(name, *options), "sleep", "20") as process:
            # Any moment will do.
            time.sleep(pause / 1000)
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) in (-15, 143)


@each
def test_works_where_children_are_left_alone(name):
    result = run("sh", "-c", "trap '' CHLD; exec \"$@\"", "sh", *line(name), "sh", "-c", "exit 7", timeout=10)
    assert result.returncode == 7


@each
def test_needs_no_descriptor(name):
    result = run("sh", "-c", "ulimit -n 3; exec \"$@\"", "sh", *line(name), "/bin/true")
    # The command needs some to be loaded; what counts is that it was started.
    assert result.returncode in (0, 127) and b"fatal" not in result.stderr.lower()


@pytest.mark.parametrize("name", ["tini", "catatonit"])
def test_the_command_can_be_suspended_by_a_terminal(name):
    mask = run(*line(name), "grep", "SigBlk", "/proc/self/status").stdout
    own = run("grep", "SigBlk", "/proc/self/status").stdout
    assert mask == own


@each
def test_the_binary_calls_them_by_name(name):
    assert run(BIN / "apus", name, *INITS[name], "sh", "-c", "exit 6").returncode == 6


def test_what_docker_asks_for():
    """The engine wants `tini version`, and the version before ` - `."""
    words = subprocess.check_output([BIN / "docker-init", "--version"], text=True)
    assert words.split(" - ")[0] == "tini version 0.19.0"


def test_odd_bytes_in_a_name_reach_no_terminal():
    result = run(BIN / "tini", "--", b"no\x1b[31m\n")
    assert result.returncode == 127 and b"exec no\\x1b[31m\\n failed" in result.stderr
