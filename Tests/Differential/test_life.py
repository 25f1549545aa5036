"""The life of a service by ours, runsv and s6-supervise: the same scripts, and what they see."""

import contextlib
import os
import re
import time

import pytest

from apus import BIN, run, wait_for
from details import details
from services import SIGNALS, lay, lines, supervisor

ENDS = ["exit 0", "exit 1", "exit 2", "exit 99", "exit 100", "exit 111", "exit 125", "exit 126", "exit 127", "exit 255",
        "kill -TERM $$", "kill -KILL $$", "kill -HUP $$", "kill -INT $$", "kill -USR1 $$", "kill -ALRM $$",
        "ulimit -c 0; kill -SEGV $$", "ulimit -c 0; kill -ABRT $$", "kill -34 $$"]
FINISH = '#!/bin/sh\necho "finish $*" >> out\n'


class Supervise:
    """Ours."""
    name = "ours"

    @contextlib.contextmanager
    def __call__(self, service):
        with supervisor(BIN / "supervise", service.name, cwd=service.parent):
            yield

    def tell(self, letters, service):
        wait_for(lambda: run(BIN / "svok", service).returncode == 0, "supervision")
        assert run(BIN / "svc", f"-{letters}", service).returncode == 0

    def is_ready(self, service):
        return details(service).ready


class Runsv(Supervise):
    """runit's, whose control FIFO takes the same letters."""
    name = "runit"

    @contextlib.contextmanager
    def __call__(self, service):
        with supervisor("/usr/bin/runsv", service.name, cwd=service.parent):
            yield

    def tell(self, letters, service):
        def send():
            with contextlib.suppress(OSError):
                control = os.open(service / "supervise/control", os.O_WRONLY | os.O_NONBLOCK)
                os.write(control, letters.encode())
                os.close(control)
                return True
            return False
        wait_for(send, "the control FIFO")


class S6(Supervise):
    """s6's."""
    name = "s6"

    @contextlib.contextmanager
    def __call__(self, service):
        with supervisor("/usr/bin/s6-supervise", service.name, cwd=service.parent):
            yield

    def tell(self, letters, service):
        wait_for(lambda: run("s6-svok", service).returncode == 0, "supervision")
        assert run("s6-svc", f"-{letters}", service).returncode == 0

    def is_ready(self, service):
        return run("s6-svstat", "-o", "ready", service).stdout == b"true\n"


def compare(tmp_path, theirs, observe):
    """What `observe` sees is the same with ours and with theirs."""
    seen = {}
    for programs in Supervise(), theirs:
        (tmp_path / programs.name).mkdir()
        seen[programs.name] = observe(programs, tmp_path / programs.name / "s")
    assert seen["ours"] == seen[theirs.name]
    assert seen["ours"]


def first(service, count):
    """The first lines of `out`, without the group that s6 tells finish from 2.12 on: Debian's is older."""
    wait_for(lambda: len(lines(service / "out")) >= count, f"{count} lines")
    return [re.sub(r"^(finish \d+ \d+ s) \d+$", r"\1", line) for line in lines(service / "out")[:count]]


class TestRunit:
    def compare(self, tmp_path, count, script, letters="", after="run", seconds=0, **files):
        def observe(programs, service):
            lay(service, script, **files)
            with programs(service):
                if letters:
                    wait_for(lambda: [line for line in lines(service / "out") if line.startswith(after)], after)
                    for part in letters.split():
                        programs.tell(part, service)
                        time.sleep(seconds / 4)
                found = first(service, count)
                time.sleep(seconds)
                return found + lines(service / "out")[count:] if seconds else found
        compare(tmp_path, Runsv(), observe)

    @pytest.mark.parametrize("end", ENDS)
    def test_arguments(self, tmp_path, end):
        self.compare(tmp_path, 4, f'echo "run $*" >> out; {end}', finish=FINISH)

    @pytest.mark.parametrize("letters", ["d", "t", "k", "dx"])
    def test_commands(self, tmp_path, letters):
        self.compare(tmp_path, 2, "echo run >> out; exec sleep 1000", letters, finish=FINISH)

    @pytest.mark.parametrize("letters", ["d u", "d o", "o d", "du"])
    def test_sequences(self, tmp_path, letters):
        self.compare(tmp_path, 2, "echo run >> out; exec sleep 1000", letters, seconds=2, finish=FINISH)

    @pytest.mark.parametrize("end", ["exit 0", "exit 1", "exit 100", "exit 125", "kill -9 $$"])
    def test_how_finish_ends_makes_no_difference(self, tmp_path, end):
        if end == "exit 125":
            pytest.skip("125 is for good with ours, in each dialect")
        self.compare(tmp_path, 4, "echo run >> out", finish=f"#!/bin/sh\necho finish >> out; {end}\n")

    def test_what_finish_is_given(self, tmp_path):
        self.compare(tmp_path, 2, "echo run >> out", finish="#!/bin/sh\necho $0 $(basename $PWD) >> out\n")

    @pytest.mark.parametrize("code", [0, 1, 255])
    @pytest.mark.parametrize("letter", list("hait12q"))
    def test_control_is_asked_before_a_signal(self, tmp_path, letter, code):
        def observe(programs, service):
            lay(service, SIGNALS)
            for name in letter, "k":
                lay(service, None, **{f"control/{name}": f"#!/bin/sh\necho asked $0 >> got; exit {code}\n"})
            with programs(service):
                wait_for(lambda: lines(service / "got") == ["UP"], "the service")
                # Nobody knows when it is up again after TERM.
                for one in [letter] + ["k"] * (letter != "t"):
                    programs.tell(one, service)
                    wait_for(lambda: len([line for line in lines(service / "got") if "asked" in line]) == 1 + (
                        one == "k"), "the program")
                    time.sleep(0.3)
                # It may be up again by now, or not.
                return [line.replace("./", "") for line in lines(service / "got")[1:] if line != "UP"]
        compare(tmp_path, Runsv(), observe)

    @pytest.mark.parametrize("code", [0, 1])
    def test_control_of_a_stop_and_a_start(self, tmp_path, code):
        """`t` and then `d`; and `u` before each start."""
        def observe(programs, service):
            programs_of_control = {f"control/{name}": f"#!/bin/sh\necho {name} >> out; exit {code}\n" for name in "tdu"}
            # The signal comes before, and the shell has time to say so.
            programs_of_control["control/d"] = f"#!/bin/sh\nsleep 0.4; echo d >> out; exit {code}\n"
            lay(service, "echo run >> out; trap 'echo TERM >> out; exit' TERM; while :; do sleep 0.05; done",
                **programs_of_control)
            with programs(service):
                wait_for(lambda: lines(service / "out") == ["u", "run"], "run")
                programs.tell("d", service)
                time.sleep(1.5)
                programs.tell("u", service)
                time.sleep(1.5)
                return lines(service / "out")
        compare(tmp_path, Runsv(), observe)

    def test_no_interpreter(self, tmp_path):
        def observe(programs, service):
            lay(service, "true", interpreter="/nowhere", finish=FINISH)
            with programs(service):
                return first(service, 1)
        compare(tmp_path, Runsv(), observe)

    def test_once(self, tmp_path):
        def observe(programs, service):
            lay(service, "echo run >> out", down=True, finish=FINISH)
            with programs(service):
                programs.tell("o", service)
                found = first(service, 2)
                time.sleep(1.5)
                return found + lines(service / "out")[2:]
        compare(tmp_path, Runsv(), observe)


class TestS6:
    @pytest.mark.parametrize("end", ENDS)
    def test_arguments(self, tmp_path, end):
        if "34" in end:
            pytest.skip("its libc and its sanitised number differ")

        def observe(programs, service):
            lay(service, f'echo "run $*" >> out; {end}', finish=FINISH, timeout_finish="5000")
            with programs(service):
                return first(service, 4)
        compare(tmp_path, S6(), observe)

    @pytest.mark.parametrize("text", ["INT", "SIGINT", "2", "2\n", "USR1\nTERM\n", "HUP", "KILL", "9"])
    def test_down_signal(self, tmp_path, text):
        def observe(programs, service):
            lay(service, "for s in INT HUP TERM USR1; do trap \"echo $s >> out; exit\" $s; done; echo run >> out; "
                "while :; do sleep 0.1; done", down_signal=text, finish=FINISH)
            with programs(service):
                first(service, 1)
                programs.tell("d", service)
                return first(service, 2)[1]
        compare(tmp_path, S6(), observe)

    @pytest.mark.parametrize("number", [3, 4, 7, 20])
    @pytest.mark.parametrize("says, ready", [("echo", True), ("printf half", False), ("printf 'a\\nb\\n'", True)])
    def test_notification_fd(self, tmp_path, number, says, ready):
        def observe(programs, service):
            lay(service, f"/bin/bash -c \"{says} >&{number}\"; echo run >> out; exec sleep 1000",
                notification_fd=f"{number}\n")
            with programs(service):
                first(service, 1)
                if ready:
                    wait_for(lambda: programs.is_ready(service), "readiness")
                time.sleep(0.3)
                return "ready" if programs.is_ready(service) else "not ready"
        compare(tmp_path, S6(), observe)

    def test_timeout_kill(self, tmp_path):
        def observe(programs, service):
            lay(service, "trap '' TERM; echo run >> out; while :; do sleep 0.1; done", timeout_kill="400",
                finish=FINISH)
            with programs(service):
                first(service, 1)
                before = time.monotonic()
                programs.tell("d", service)
                return first(service, 2), round(time.monotonic() - before - 0.1) == 0
        compare(tmp_path, S6(), observe)

    def test_without_timeout_kill(self, tmp_path):
        def observe(programs, service):
            lay(service, "trap '' TERM; echo run >> out; while :; do sleep 0.1; done", down_signal="TERM",
                finish=FINISH)
            with programs(service):
                first(service, 1)
                programs.tell("d", service)
                time.sleep(1.5)
                return lines(service / "out")
        compare(tmp_path, S6(), observe)

    @pytest.mark.parametrize("milliseconds", ["300", "0", ""])
    def test_timeout_finish(self, tmp_path, milliseconds):
        def observe(programs, service):
            lay(service, "echo run >> out", timeout_finish=milliseconds,
                finish="#!/bin/sh\necho finish >> out; sleep 2; echo slept >> out\n")
            with programs(service):
                return first(service, 3)
        compare(tmp_path, S6(), observe)

    @pytest.mark.parametrize("letters", ["", "d"])
    def test_125(self, tmp_path, letters):
        def observe(programs, service):
            lay(service, "echo run >> out; " + ("exec sleep 1000" if letters else "exit 1"), timeout_finish="5000",
                finish="#!/bin/sh\necho finish >> out; exit 125\n")
            with programs(service):
                first(service, 1)
                if letters:
                    programs.tell(letters, service)
                first(service, 2)
                time.sleep(1.5)
                found = lines(service / "out")[:]
                programs.tell("u", service)
                return found, first(service, 3)
        compare(tmp_path, S6(), observe)

    def test_it_leads_a_session(self, tmp_path):
        def observe(programs, service):
            lay(service, "test $(ps -o sid= -p $$) = $$ && echo session >> out; exec sleep 1000", notification_fd="3")
            with programs(service):
                return first(service, 1)
        compare(tmp_path, S6(), observe)

    def test_exit(self, tmp_path):
        def observe(programs, service):
            lay(service, "echo run >> out; exec sleep 1000", finish=FINISH, timeout_finish="5000")
            with programs(service):
                first(service, 1)
                programs.tell("xd" if programs.name == "s6" else "dx", service)
                return first(service, 2)
        compare(tmp_path, S6(), observe)
