"""The harness itself."""

import os
import pathlib

import pytest

from apus import BIN
from differences import DIFFERENCES
from harness import Case, ending_all, outcome


def test_a_case_that_takes_too_long_is_named_and_leaves_no_process(tmp_path):
    """Whether they are in its session, in one of their own, or orphans."""
    pids = tmp_path / "pids"
    case = Case("never over", "svc", script=f"""
        sleep 1000 & echo $! >> {pids}
        setsid sh -c 'echo $$ >> {pids}; cd /; exec env -i sleep 1000' &
        (sh -c 'trap "" TERM; echo $$ >> {pids}; sleep 1000; sleep 1000' > /dev/null 2>&1 &)
        echo $$ >> {pids}; wait""")
    with pytest.raises(AssertionError, match=f"^never over: not over after 2 s with {BIN}$"):
        outcome(case, BIN, 2)
    started = pids.read_text().split()
    assert len(started) == 4
    assert not any(os.path.exists(f"/proc/{pid}") for pid in started)


def test_processes_from_before_are_left_alone():
    pid = os.spawnlp(os.P_NOWAIT, "sleep", "sleep", "1000")
    with ending_all():
        outcome(Case("at once", "svok", ["."]), BIN)
    assert os.waitpid(pid, os.WNOHANG) == (0, 0)
    os.kill(pid, 9)
    os.waitpid(pid, 0)


def test_every_difference_is_of_a_case():
    here = pathlib.Path(__file__).parent
    cases = "".join(path.read_text() for path in here.glob("test_*.py"))
    for name in [name for names in DIFFERENCES.values() for name in names]:
        # Some tests put a word in front of the names they are given.
        parts = [name, name.partition(": ")[2], name.partition("-")[2]]
        assert any(f'"{part}"' in cases for part in parts if part), name
