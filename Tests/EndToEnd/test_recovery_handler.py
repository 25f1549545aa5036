"""A supervisor meets another fault while it goes on from one: in the handler, or in the next image of it."""

import itertools
import os
import platform
import signal

import pytest

from apus import wait_for
from faults import init, table
from services import children, lay, lines, pid_of, supervisor, svc, wait_up
from stepping import Stepper

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="it knows the registers of x86-64 only")


def over(pid, faults):
    """Waits until so many faults have been met and got over, however many a signal more or less makes."""
    def found():
        met, overcome = table(pid)
        return met >= faults and met == overcome
    wait_for(found, "the next image")


@pytest.mark.parametrize("part", range(2))
def test_a_signal_at_each_call(tmp_path, part):
    path = lay(tmp_path / "a", "echo >> started; exec sleep 1000", log="exec cat > /dev/null")
    with supervisor("svscan", tmp_path) as process:
        pids = wait_up(path), wait_up(path / "log")
        for count in itertools.count(part, 2):
            before = table(process.pid)[0]
            met = Stepper(process.pid).second_fault_at(count, False)
            over(process.pid, before + 1)
            assert (pid_of(path), pid_of(path / "log")) == pids, (count, met)
            if met is None:
                break
        assert count > 40
        assert process.poll() is None and len(children(process.pid)) == 2
        svc("-t", path)
        wait_up(path, other_than=pids[0])
        assert len(lines(path / "started")) == 2


@pytest.mark.parametrize("part", range(2))
def test_a_fault_of_its_own_at_each_call(tmp_path, part):
    """It jumps to nowhere. So many of them would make it pause: each few meet a new process 1."""
    path = lay(tmp_path / "a", "echo >> started; exec sleep 1000", log="exec cat > /dev/null")
    counts, is_over, left_out = itertools.count(part, 2), False, []
    while not is_over:
        with init("-s", tmp_path) as (process, first):
            pids = wait_up(path), wait_up(path / "log")
            for count in itertools.islice(counts, 15):
                before = table(first)[0]
                met = Stepper(first).second_fault_at(count, True)
                is_over = met is None
                if not is_over and not met[1]:
                    left_out.append(met[0])
                # One within the handler is not counted.
                over(first, before + 1)
                assert (pid_of(path), pid_of(path / "log")) == pids, (count, met)
                if is_over:
                    break
            os.kill(first, signal.SIGTERM)
            assert process.wait(15) == 0
    assert count > 40
    # The exec, the start of the C library and of libcap, finding the table, and a handler for each signal.
    assert len(left_out) < 40 / 2, left_out
