"""runit's control directory: a program is asked before a signal is sent, and encore's notify is told of each process."""

import os
import signal
import time

import pytest

from apus import run, wait_for
from services import (SIGNALS, is_gone, lay, lines, pid_of, supervised, supervisor, svc, svstat, wait_down, wait_run,
                      wait_up, write)

LETTERS = {"h": "HUP", "a": "ALRM", "i": "INT", "q": "QUIT", "1": "USR1", "2": "USR2", "w": "WINCH"}


def note(letter, code=0, first=""):
    return f"#!/bin/sh\n{first}\necho {letter} >> asked\nexit {code}\n"


@pytest.fixture
def service(tmp_path):
    return tmp_path / "service/s"


def svscan(service):
    return supervisor("svscan", service.parent)


def asked(service):
    return lines(service / "asked")


def control(service, **letters):
    for letter, content in letters.items():
        write(service / "control" / letter.lstrip("_"), content)


class TestControl:
    @pytest.mark.parametrize("letter, name", LETTERS.items())
    def test_a_signal_is_sent_unless_the_program_exits_0(self, service, letter, name):
        lay(service, SIGNALS)
        control(service, **{f"_{letter}": note(letter)})
        with svscan(service):
            wait_for(lambda: lines(service / "got") == ["UP"], "the service")
            svc(f"-{letter}", service)
            wait_for(lambda: asked(service) == [letter], "the program")
            write(service / "control" / letter, note(letter, 1))
            svc(f"-{letter}", service)
            wait_for(lambda: name in lines(service / "got"), "the signal")
            assert lines(service / "got") == ["UP", name] and asked(service) == [letter] * 2

    def test_no_program_by_a_letter(self, service):
        lay(service, SIGNALS)
        control(service, _h=note("h"))
        (service / "control/a").write_text("no program")
        with svscan(service):
            wait_for(lambda: lines(service / "got") == ["UP"], "the service")
            svc("-ai", service)
            wait_for(lambda: sorted(lines(service / "got")[1:]) == ["ALRM", "INT"], "both signals")
        assert asked(service) == []

    def test_down_asks_t_and_then_d(self, service):
        lay(service)
        control(service, _t=note("t", 1), _d=note("d", 1), _x=note("x", 1))
        with svscan(service):
            wait_run(service)
            svc("-d", service)
            wait_down(service)
            wait_for(lambda: asked(service) == ["t", "d"], "both programs")

    def test_a_stop_of_its_own(self, service):
        """The program ends the service by other means than TERM, which never comes."""
        lay(service, "trap 'echo TERM >> got' TERM; trap 'echo USR1 >> got; exit' USR1\n"
            "echo $$ > pid; echo UP >> got; while :; do sleep 0.05; done")
        control(service, _t="#!/bin/sh\nkill -USR1 $(cat pid)\n")
        with svscan(service):
            wait_for(lambda: lines(service / "got"), "the service")
            wait_up(service)
            assert run("sv", "down", service).returncode == 0
            wait_down(service)
        assert lines(service / "got") == ["UP", "USR1"]

    def test_a_refused_term_is_none(self, service):
        lay(service)
        control(service, _t=note("t"))
        with svscan(service):
            pid = wait_run(service)
            svc("-t", service)
            wait_for(lambda: asked(service) == ["t"], "the program")
            wait_for(lambda: b"got TERM" not in run("sv", "status", service).stdout, "no TERM")
            assert pid_of(service) == pid

    def test_pause_and_continue(self, service):
        lay(service)
        control(service, _p=note("p"), _c=note("c"))
        with svscan(service):
            wait_run(service)
            svc("-pc", service)
            wait_for(lambda: asked(service) == ["p", "c"], "both programs")

    def test_u_comes_before_each_start(self, service):
        lay(service, "echo run >> asked; exec sleep 1000")
        control(service, _u=note("u", 1))
        with svscan(service):
            wait_run(service)
            svc("-t", service)
            wait_for(lambda: asked(service) == ["u", "run"] * 2, "the second start")
            svc("-d", service)
            wait_down(service)
            svc("-o", service)
            wait_for(lambda: asked(service) == ["u", "run"] * 3, "the third start")

    def test_down_while_u_runs(self, service):
        lay(service, "echo run >> asked; exec sleep 1000")
        control(service, _u="#!/bin/sh\necho u >> asked; exec sleep 1000\n")
        with svscan(service):
            wait_for(lambda: asked(service) == ["u"], "u")
            svc("-d", service)
            wait_down(service)
            assert asked(service) == ["u"]

    def test_the_stop_asks_and_has_a_limit(self, service):
        lay(service)
        control(service, _t=note("t", 1), _x=note("x", 1))
        with svscan(service) as process:
            pid = wait_run(service)
            process.terminate()
            assert process.wait(10) == 0
            wait_for(lambda: is_gone(pid), "the service")
        assert asked(service)[0] == "t"

    def test_a_program_that_hangs_is_killed_and_the_signal_sent(self, service):
        lay(service, settings="stop-timeout 700ms\n")
        control(service, _t="#!/bin/sh\necho $$ > asking; exec sleep 1000\n", _h=note("h", 1))
        with svscan(service):
            wait_run(service)
            svc("-t", service)
            wait_for(lambda: lines(service / "asking"), "the program")
            asking = int(lines(service / "asking")[0])
            before = pid_of(service)
            wait_for(lambda: is_gone(asking), "the end of the program")
            wait_up(service, other_than=before)

    def test_kill_is_not_asked_for_when_the_time_is_over(self, service):
        lay(service, "trap '' TERM; touch up; while :; do sleep 0.05; done", settings="stop-timeout 300ms\n")
        control(service, _t=note("t", 1), _k=note("k"))
        with svscan(service):
            wait_for((service / "up").exists, "the service")
            svc("-k", service)
            wait_for(lambda: asked(service) == ["k"], "the program")
            svc("-d", service)
            wait_down(service)
        assert asked(service) == ["k", "t"]

    def test_its_output_goes_to_the_logger(self, service):
        lay(service, log="exec cat >> ../logged")
        control(service, _h="#!/bin/sh\necho from control\n")
        with svscan(service):
            wait_run(service)
            svc("-h", service)
            wait_for(lambda: lines(service / "logged") == ["from control"], "the line")

    def test_a_service_that_ends_meanwhile(self, service):
        """Nobody else gets the signal that was meant for it."""
        lay(service, "echo $$ >> pids; exec sleep 1000")
        control(service, _h="#!/bin/sh\ntouch asking; while [ ! -e go ]; do sleep 0.05; done; exit 1\n")
        with svscan(service):
            first = wait_run(service)
            svc("-h", service)
            wait_for((service / "asking").exists, "the program")
            os.kill(first, signal.SIGKILL)
            second = wait_up(service, other_than=first)
            (service / "go").touch()
            time.sleep(0.3)
            assert pid_of(service) == second and svstat(service).startswith("up ")

    def test_a_logger_is_asked_nothing(self, service):
        lay(service, log="exec cat")
        write(service / "log/control/t", note("t"))
        with svscan(service):
            pid = wait_run(service / "log")
            svc("-t", service / "log")
            wait_up(service / "log", other_than=pid)
        assert lines(service / "log/asked") == []


class TestNotify:
    NOTIFY = '#!/bin/sh\necho "$*" >> told\n'

    def test_run(self, service):
        lay(service, "exec sleep 1000", notify=self.NOTIFY)
        with svscan(service):
            first = wait_run(service)
            os.kill(first, signal.SIGUSR1)
            second = wait_up(service, other_than=first)
            # They run side by side.
            wait_for(lambda: sorted(lines(service / "told")) == sorted([
                f"run start {first} 0", f"run killed {first} {signal.SIGUSR1}", f"run start {second} 0"]), "three")

    def test_start_run_stop(self, service):
        lay(service, "exit 3", start="#!/bin/sh\nexit 0\n", stop="#!/bin/sh\nexit 4\n", notify=self.NOTIFY,
            settings="restart never\n")
        with svscan(service):
            wait_for(lambda: len(lines(service / "told")) == 6, "six lines")
            told = sorted(line.split() for line in lines(service / "told"))
            assert [(name, event, code) for name, event, _, code in told] == [
                ("run", "exit", "3"), ("run", "start", "0"), ("start", "exit", "0"), ("start", "start", "0"),
                ("stop", "exit", "4"), ("stop", "start", "0")]
            assert all(told[i][2] == told[i + 1][2] for i in (0, 2, 4))

    def test_nobody_waits_for_it(self, service):
        lay(service, "echo run >> out; exec sleep 1000", notify="#!/bin/sh\nexec sleep 1000\n")
        with svscan(service):
            pid = wait_run(service)
            svc("-t", service)
            wait_up(service, other_than=pid)
            assert supervised(service)
