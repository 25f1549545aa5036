"""Where one fault comes after another, process 1 pauses, and in the end only reaps: services are left running, and what
ends a container still does."""

import os
import platform
import signal
import time

import pytest

from apus import wait_for
from faults import init, wait_over
from services import children, is_gone, lay, lines, pid_of, wait_up
from stepping import Stepper

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="it knows the registers of x86-64 only")
CAUSES = {
    # Each next image meets one as soon as it can.
    "one after another": lambda first: Stepper(first).own_faults(6),
    # Each next image meets one before it has come to anything.
    "early": lambda first: Stepper(first).own_faults(12, early=True),
    "no exec": lambda first: Stepper(first).fault_without_exec(),
}
WORDS = {
    "one after another": b"stopped by one fault after another; services are left running",
    "early": b"unable to start again after a fault",
    "no exec": b"unable to start again after a fault",
}


@pytest.mark.parametrize("cause", CAUSES)
def test_it_only_reaps_then(tmp_path, cause):
    polite = lay(tmp_path / "polite", "trap 'echo TERM >> got; exit' TERM; echo > up; while :; do sleep 0.01; done",
                 log="exec cat > out")
    deaf = lay(tmp_path / "deaf", "trap '' TERM; echo > up; while :; do sleep 0.01; done")
    gate = tmp_path / "gate"
    brief = lay(tmp_path / "brief", f"echo > up; while [ ! -e {gate} ]; do sleep 0.01; done")
    with init("-s", tmp_path) as (process, first):
        for path in polite, deaf, brief:
            wait_for((path / "up").exists)
        pids = [wait_up(path) for path in (polite, polite / "log", deaf, brief)]
        outside = children(first)
        text = b""

        def said(words):
            nonlocal text
            text += process.stderr.read() or b""
            return words in text
        CAUSES[cause](first)
        wait_for(lambda: said(WORDS[cause]), "word of it")
        wait_for(lambda: said(b"only reaping from here on"), "word of it")
        assert [pid_of(path) for path in (polite, polite / "log", deaf, brief)] == pids and process.poll() is None
        assert not any(is_gone(pid) for pid in outside)
        # What ends is reaped, and not started again.
        gate.touch()
        wait_for(lambda: len(children(first)) == 3, "no zombie")
        start = time.monotonic()
        os.kill(first, signal.SIGTERM)
        wait_for(lambda: lines(polite / "got"), "SIGTERM")
        assert process.wait(20) == 111
        # One that does not listen has some seconds, and is killed then.
        assert 4 < time.monotonic() - start < 9
        assert lines(polite / "got") == ["TERM"]


def test_it_ends_as_soon_as_all_have(tmp_path):
    path = lay(tmp_path / "a")
    with init("-s", tmp_path) as (process, first):
        wait_up(path)
        Stepper(first).fault_without_exec()
        wait_for(lambda: b"only reaping" in (process.stderr.read() or b""), "word of it")
        start = time.monotonic()
        os.kill(first, signal.SIGINT)
        assert process.wait(10) == 111 and time.monotonic() - start < 3


def test_many_within_a_minute_make_it_pause(tmp_path):
    """However well each was got over."""
    path = lay(tmp_path / "a")
    with init("-s", tmp_path) as (process, first):
        pid, times = wait_up(path), []
        for number in range(22):
            start = time.monotonic()
            Stepper(first).own_fault()
            wait_over(first, number + 1)
            times.append(time.monotonic() - start)
        assert max(times[:20]) < 1 < min(times[20:])
        assert pid_of(path) == pid


def test_a_fault_of_its_own_is_told(tmp_path):
    path = lay(tmp_path / "a")
    with init("-s", tmp_path) as (process, first):
        pid = wait_up(path)
        Stepper(first).own_faults(2)
        wait_over(first, 2)
        assert pid_of(path) == pid
        wait_for(lambda: b"recovered from a fault of its own (signal 11" in (process.stderr.read() or b""), "word of it")
