"""What follows the end of a service: finish in each dialect, encore's start and stop."""

import os
import signal
import time

import pytest

from apus import BIN, run, wait_for
from details import details
from services import is_gone, lay, lines, messages, supervised, supervisor, svc, wait_down, wait_run

NOTE = '#!/bin/sh\necho "finish $*" >> out\n'
DEATHS = [("exit 0", "0 0", "0 0"), ("exit 1", "1 0", "1 0"), ("exit 100", "100 0", "100 0"),
          ("exit 125", "125 0", "125 0"), ("exit 255", "255 0", "255 0"), ("kill -TERM $$", "-1 15", "256 15"),
          ("kill -KILL $$", "-1 9", "256 9"), ("kill -USR1 $$", "-1 10", "256 10")]


@pytest.fixture
def service(tmp_path):
    return tmp_path / "service/s"


def supervise(service):
    return supervisor(BIN / "svscan", service.parent)


def out(service):
    return lines(service / "out")


class TestArguments:
    @pytest.mark.parametrize("end, runit, _", DEATHS, ids=[death[0] for death in DEATHS])
    def test_runit(self, service, end, runit, _):
        lay(service, f'echo "run $*" >> out; {end}', finish=NOTE)
        with supervise(service):
            wait_for(lambda: len(out(service)) >= 4, "the second finish")
        assert out(service)[:4] == ["run ", f"finish {runit}"] * 2

    @pytest.mark.parametrize("end, _, s6", DEATHS, ids=[death[0] for death in DEATHS])
    def test_s6(self, service, end, _, s6):
        lay(service, f'echo "run $*" >> out; echo $$ >> pids; {end}', finish=NOTE, timeout_finish="1000")
        with supervise(service):
            wait_for(lambda: len(out(service)) >= 4, "the second finish")
        groups = lines(service / "pids")
        assert out(service)[:4] == ["run s", f"finish {s6} s {groups[0]}", "run s", f"finish {s6} s {groups[1]}"]

    def test_settings_choose_the_dialect(self, service):
        lay(service, "exit 3", finish=NOTE, settings="finish-arguments s6\n")
        with supervise(service):
            wait_for(lambda: out(service), "finish")
        assert out(service)[0].startswith("finish 3 0 s ")

    @pytest.mark.parametrize("script", [None, "exit 0"], ids=["missing", "no interpreter"])
    def test_run_that_cannot_be_executed(self, service, script):
        lay(service, script or "exit 0", interpreter="/nowhere" if script else "/bin/sh", finish=NOTE)
        if script is None:
            with supervise(service):
                wait_for(lambda: out(service), "finish")
                (service / "run").unlink()
                wait_for(lambda: "finish 111 0" in out(service), "the end of what never ran")
            return
        with supervise(service) as process:
            wait_for(lambda: out(service), "finish")
            assert out(service)[0] == "finish 111 0"
            assert any("unable to start" in line for line in messages(process))

    def test_a_core_dump_in_runits_way(self, service):
        lay(service, "ulimit -c 0; kill -SEGV $$", finish=NOTE)
        with supervise(service):
            wait_for(lambda: out(service), "finish")
        assert out(service)[0] == "finish -1 11"


class TestFinish:
    def test_one_that_cannot_be_executed_is_named_once(self, service):
        lay(service, "echo run >> out; exit 1")
        (service / "finish").write_text("#!/bin/sh\n")
        with supervise(service) as process:
            wait_for(lambda: out(service).count("run") >= 4, "some starts")
            said = [line for line in messages(process) if "unable to start" in line]
            assert [line.partition(": warning: ")[2] for line in said] == ["unable to start s/finish: access denied"], said

    def test_it_is_killed_at_its_limit(self, service):
        lay(service, "echo run >> out", finish="#!/bin/sh\necho $$ >> out; exec sleep 1000\n",
            settings="finish-timeout 300ms\n")
        with supervise(service) as process:
            wait_for(lambda: out(service).count("run") >= 2, "the next start")
            assert is_gone(out(service)[1])
            assert any("did not end in time, killing it" in line for line in messages(process))

    def test_one_that_ignores_every_signal_is_killed_too(self, service):
        lay(service, "echo run >> out", timeout_finish="300",
            finish="#!/bin/sh\ntrap '' TERM INT HUP; echo $$ >> out; sleep 1000; sleep 99\n")
        with supervise(service):
            wait_for(lambda: out(service).count("run") >= 2, "the next start")

    def test_s6_limits_it_to_five_seconds(self, service):
        lay(service, "date +%s.%N >> out", finish="#!/bin/sh\nexec sleep 1000\n", down_signal="INT")
        with supervise(service):
            wait_for(lambda: len(out(service)) >= 2, "the next start")
        first, second = map(float, out(service)[:2])
        assert 4.9 <= second - first < 7

    def test_without_a_limit_it_may_take_long(self, service):
        lay(service, "echo run >> out", finish="#!/bin/sh\necho $$ >> out; exec sleep 1000\n")
        with supervise(service):
            wait_for(lambda: len(out(service)) == 2, "finish")
            wait_for(lambda: details(service).state == "finishing", "the state")
            time.sleep(1.5)
            assert out(service).count("run") == 1 and not is_gone(out(service)[1])
            assert details(service).runit == 2

    @pytest.mark.parametrize("dialect, state", [("s6", "failed"), ("runit", "failed")])
    def test_125_is_for_good(self, service, dialect, state):
        lay(service, "echo run >> out; exit 1", finish="#!/bin/sh\nexit 125\n",
            settings=f"finish-arguments {dialect}\n")
        with supervise(service) as process:
            wait_for(lambda: details(service).state == state if supervised(service) else None, state)
            assert details(service).reason == "permanent"
            assert any("s has failed" in line for line in messages(process))
            time.sleep(1.5)
            assert out(service) == ["run"]
            svc("-u", service)
            wait_for(lambda: out(service) == ["run", "run"], "another try")

    def test_125_after_down_is_no_failure(self, service):
        lay(service, finish="#!/bin/sh\necho finish >> out; exit 125\n", timeout_finish="0")
        with supervise(service):
            wait_run(service)
            svc("-d", service)
            wait_for(lambda: out(service) == ["finish"], "finish")
            wait_for(lambda: details(service).state == "down", "down")
            assert details(service).reason == "asked"

    @pytest.mark.parametrize("command", ["-d", "-dx"])
    def test_it_follows_down_and_exit(self, service, command):
        lay(service, finish=NOTE)
        with supervisor(BIN / "supervise", service) as process:
            wait_run(service)
            svc(command, service)
            wait_for(lambda: out(service), "finish")
            if "x" in command:
                assert process.wait(10) == 0
            else:
                wait_down(service)
        assert out(service) == ["finish -1 15"]

    def test_exit_waits_for_it(self, service):
        lay(service, finish="#!/bin/sh\nsleep 1; echo finish >> out\n")
        with supervisor(BIN / "supervise", service) as process:
            pid = wait_run(service)
            svc("-x", service)
            os.kill(pid, signal.SIGKILL)
            assert process.wait(10) == 0
        assert out(service) == ["finish"]

    def test_its_own_death_is_not_followed_by_another(self, service):
        lay(service, "echo run >> out; exec sleep 1000", finish="#!/bin/sh\necho $$ >> out; exec sleep 1000\n")
        with supervise(service):
            os.kill(wait_run(service), signal.SIGTERM)
            wait_for(lambda: len(out(service)) == 2, "finish")
            os.kill(int(out(service)[1]), signal.SIGKILL)
            wait_for(lambda: len(out(service)) == 3, "the next start")
        assert out(service)[2] == "run"

    def test_it_speaks_to_the_logger(self, service):
        lay(service, "exec sleep 1000", log="exec cat >> ../logged", finish="#!/bin/sh\necho goodbye $*\n")
        with supervise(service):
            wait_run(service)
            svc("-d", service)
            wait_for(lambda: lines(service / "logged") == ["goodbye -1 15"], "the line")

    def test_a_signal_reaches_it(self, service):
        lay(service, "exit 0", finish="#!/bin/sh\ntrap 'echo TERM >> out; exit' TERM; echo up >> out; "
            "while :; do sleep 0.1; done\n")
        with supervise(service):
            wait_for(lambda: out(service), "finish")
            svc("-t", service)
            wait_for(lambda: "TERM" in out(service), "the signal")

    @pytest.mark.parametrize("content", ["", "exit 0\n"], ids=["empty", "not executable"])
    def test_one_that_is_no_program_costs_nothing(self, service, content):
        lay(service, "echo run >> out", finish=content)
        with supervise(service):
            wait_for(lambda: len(out(service)) >= 2, "the next start")

    def test_up_during_finish_after_down(self, service):
        lay(service, "echo run >> out; exec sleep 1000", finish="#!/bin/sh\nsleep 1; echo finish >> out\n")
        with supervise(service):
            wait_run(service)
            svc("-d", service)
            wait_for(lambda: details(service).state == "finishing", "finish")
            svc("-u", service)
            wait_for(lambda: out(service) == ["run", "finish", "run"], "the next start")


class TestEncore:
    def test_start_run_stop(self, service):
        lay(service, "echo run >> out; exec sleep 1000", start="#!/bin/sh\necho start >> out\n",
            stop="#!/bin/sh\necho stop >> out\n")
        with supervise(service):
            wait_for(lambda: out(service) == ["start", "run"], "run")
            svc("-t", service)
            wait_for(lambda: out(service) == ["start", "run", "run"], "a restart without start")
            svc("-d", service)
            wait_for(lambda: out(service) == ["start", "run", "run", "stop"], "stop")
            wait_for(lambda: details(service).state == "down", "down")
            svc("-u", service)
            wait_for(lambda: out(service)[4:] == ["start", "run"], "start again")

    def test_start_without_run(self, service):
        lay(service, None, start="#!/bin/sh\necho start >> out\n", stop="#!/bin/sh\necho stop >> out\n")
        with supervise(service):
            wait_for(lambda: supervised(service) and details(service).state == "done", "started")
            svc("-d", service)
            wait_for(lambda: out(service) == ["start", "stop"], "stop")

    @pytest.mark.parametrize("end", ["exit 1", "exit 100", "kill -KILL $$"])
    def test_a_failed_start_is_for_good(self, service, end):
        lay(service, "echo run >> out", start=f"#!/bin/sh\n{end}\n")
        with supervise(service):
            wait_for(lambda: supervised(service) and details(service).state == "failed", "failed")
        assert out(service) == []

    def test_100_of_run_is_for_good_and_is_undone(self, service):
        lay(service, "echo run >> out; exit 100", start="#!/bin/sh\necho start >> out\n",
            stop="#!/bin/sh\necho stop >> out\n")
        with supervise(service):
            wait_for(lambda: out(service) == ["start", "run", "stop"], "stop")
            wait_for(lambda: details(service).state == "failed", "failed")
            time.sleep(1.2)
            assert out(service) == ["start", "run", "stop"]

    def test_100_is_nothing_special_elsewhere(self, service):
        lay(service, "echo run >> out; exit 100")
        with supervise(service):
            wait_for(lambda: len(out(service)) >= 2, "the next start")

    def test_down_then_up_while_start_runs(self, service):
        lay(service, "echo run >> out; exec sleep 1000",
            start="#!/bin/sh\ntrap 'sleep 0.5; exit 1' TERM; echo start >> out; sleep 1000 & wait\n")
        with supervise(service):
            wait_for(lambda: out(service), "start")
            svc("-d", service)
            time.sleep(0.1)
            svc("-u", service)
            wait_for(lambda: out(service).count("start") == 2, "another start", 5)

    def test_everything_ends_with_stop_at_the_stop(self, service):
        lay(service, "touch up; exec sleep 1000", start="#!/bin/sh\ntrue\n",
            stop="#!/bin/sh\nsleep 0.5; echo stop >> out\n")
        with supervise(service) as process:
            wait_for(lambda: (service / "up").exists(), "the start")
            process.send_signal(signal.SIGTERM)
            process.wait(10)
        assert out(service) == ["stop"]
        assert run("svok", service).returncode == 100
