"""What follows the end of a service for itself, for others and for everything; and what people are told of it."""

import os
import pathlib
import signal
import time

import pytest

from apus import BIN, pid_namespace, wait_for
from details import details
from services import lay, lines, messages, supervised, supervisor, svc, wait_down, wait_run, wait_up

STAMP = "cut -d' ' -f1 /proc/uptime >> out; "


@pytest.fixture
def service(tmp_path):
    return tmp_path / "service/s"


def supervise(service):
    return supervisor(BIN / "svscan", service.parent)


def wait_state(service, state):
    wait_for(lambda: supervised(service) and details(service).state == state, state)


def gaps(service):
    times = [float(line) for line in lines(service / "out")]
    return [after - before for before, after in zip(times, times[1:])]


class TestPolicy:
    # What it is after the end: up again, down, or failed.
    @pytest.mark.parametrize("policy, end, again", [
        ("always", "exit 0", True), ("always", "exit 1", True),
        ("on-failure", "exit 0", False), ("on-failure", "exit 1", True), ("on-failure", "kill -9 $$", True),
        ("never", "exit 0", False), ("never", "exit 1", False), ("never", "kill -9 $$", False)])
    def test_which_ends_are_followed_by_a_start(self, service, policy, end, again):
        lay(service, f"echo run >> out; {end}", settings=f"restart {policy}\nrestart-delay 100ms\n")
        with supervise(service):
            if again:
                wait_for(lambda: len(lines(service / "out")) >= 3, "restarts")
            else:
                wait_state(service, "down" if end == "exit 0" else "failed")
                time.sleep(0.5)
                assert lines(service / "out") == ["run"]
                assert details(service).reason == "ended"

    @pytest.mark.parametrize("setting, end", [
        ("success 3 4", "exit 3"), ("success USR1", "kill -USR1 $$"), ("success SIGUSR1 9", "exit 9")])
    def test_success(self, service, setting, end):
        lay(service, f"echo run >> out; {end}", settings=f"restart on-failure\n{setting}\n")
        with supervise(service) as process:
            wait_state(service, "down")
            assert not messages(process)

    @pytest.mark.parametrize("setting, end, state", [
        ("final 78", "exit 78", "failed"), ("final KILL", "kill -9 $$", "failed"), ("final 0", "exit 0", "down"),
        ("final 7\nsuccess 7", "exit 7", "down")])
    def test_final(self, service, setting, end, state):
        lay(service, f"echo run >> out; {end}", settings=setting + "\n")
        with supervise(service):
            wait_state(service, state)
            time.sleep(1.2)
            assert lines(service / "out") == ["run"]

    @pytest.mark.parametrize("policy", ["on-failure", "never"])
    @pytest.mark.parametrize("commands", [["-d", "-u"], ["-du"]])
    def test_up_after_down_starts_it_again(self, service, policy, commands):
        lay(service, "trap 'sleep 0.3; exit 0' TERM; echo run >> out; sleep 1000 & wait",
            settings=f"restart {policy}\n")
        with supervise(service):
            wait_for(lambda: lines(service / "out") == ["run"], "the start")
            for command in commands:
                svc(command, service)
            wait_for(lambda: lines(service / "out") == ["run", "run"], "the second start", 5)

    def test_the_limit(self, service):
        lay(service, "echo run >> out; exit 1", settings="restart-delay 50ms\nrestart-limit 4 in 1m\n")
        with supervise(service) as process:
            wait_state(service, "failed")
            assert details(service).reason == "tooManyRestarts" and len(lines(service / "out")) == 5
            assert [line for line in messages(process) if "s has failed, too many restarts" in line]
            svc("-u", service)
            wait_for(lambda: len(lines(service / "out")) == 10, "as many again")

    def test_restarts_that_are_rare_are_not_limited(self, service):
        lay(service, "echo run >> out; exit 1", settings="restart-delay 200ms\nrestart-limit 4 in 400ms\n")
        with supervise(service):
            wait_for(lambda: len(lines(service / "out")) >= 10, "many starts")


class TestDelay:
    def test_it_grows(self, service):
        lay(service, STAMP + "exit 1", settings="restart-delay 100ms 2s\n")
        with supervise(service):
            wait_for(lambda: len(lines(service / "out")) >= 8, "starts", 40)
        found = gaps(service)[:7]
        wanted = [0.1, 0.2, 0.4, 0.8, 1.6, 2, 2]
        assert all(want - 0.03 <= gap <= want * 1.2 + 2 for gap, want in zip(found, wanted)), found

    def test_a_success_makes_it_short_again(self, service):
        lay(service, STAMP + "n=$(wc -l < out); test $n -eq 5 && exit 0; exit 1",
            settings="restart-delay 100ms 5s\n")
        with supervise(service):
            wait_for(lambda: len(lines(service / "out")) >= 7, "starts", 40)
        found = gaps(service)
        assert found[3] >= 0.77 and found[4] < 0.6, found

    def test_by_itself_it_is_a_second(self, service):
        lay(service, STAMP + "exit 1")
        with supervise(service):
            wait_for(lambda: len(lines(service / "out")) >= 4, "starts")
        # However busy the machine is, it is never sooner.
        found = gaps(service)[:3]
        assert all(gap >= 0.97 for gap in found) and min(found) <= 1.5, found

    def test_a_service_that_waits_takes_commands(self, service):
        lay(service, "echo run >> out; exit 1", settings="restart-delay 1h\n")
        with supervise(service):
            wait_state(service, "waiting")
            svc("-d", service)
            wait_state(service, "down")
            svc("-x", service)


class TestMessages:
    def test_powers_of_two(self, service):
        lay(service, "echo run >> out; exit 3", settings="restart-delay 50ms\n")
        with supervise(service) as process:
            wait_for(lambda: len(lines(service / "out")) >= 20, "starts")
            said = [line for line in messages(process) if "exit code 3" in line]
        assert [line.split(" times")[0].split(", ")[-1] for line in said[1:]] == ["2", "4", "8", "16"], said
        assert "times" not in said[0]

    @pytest.mark.parametrize("command", ["-t", "-k", "-i"])
    def test_what_somebody_asked_for_is_not_told(self, service, command):
        lay(service, settings="restart-delay 100ms\n")
        with supervise(service) as process:
            pid = wait_run(service)
            svc(command, service)
            wait_up(service, pid)
            assert not messages(process)

    def test_down_is_not_told(self, service):
        lay(service)
        with supervise(service) as process:
            wait_run(service)
            svc("-d", service)
            wait_down(service)
            assert not messages(process)

    def test_a_signal_from_elsewhere_is_told(self, service):
        lay(service)
        with supervise(service) as process:
            os.kill(wait_run(service), signal.SIGKILL)
            wait_for(lambda: "s was ended by signal 9" in "".join(messages(process)), "the line")


class TestOthers:
    def lay_hook(self, service):
        return lay(service.parent / "hook", "echo hook >> out", down=True)

    def test_run_on_failure(self, service):
        hook = self.lay_hook(service)
        lay(service, "sleep 0.3; exit 1", settings="restart never\non-failure run hook\non-end run other\n")
        with supervise(service):
            wait_for(lambda: lines(hook / "out") == ["hook"], "the hook")
            time.sleep(1.2)
            assert lines(hook / "out") == ["hook"]

    def test_run_on_end(self, service):
        hook = self.lay_hook(service)
        lay(service, "sleep 0.3; exit 0", settings="restart never\non-end run hook\n")
        with supervise(service):
            wait_for(lambda: lines(hook / "out") == ["hook"], "the hook")

    @pytest.mark.parametrize("command", ["-t", "-d"])
    def test_a_stop_that_was_asked_for_is_no_failure(self, service, command):
        hook = self.lay_hook(service)
        lay(service, settings="on-failure run hook\n")
        with supervise(service):
            pid = wait_run(service)
            wait_for(lambda: supervised(hook), "the hook")
            svc(command, service)
            wait_up(service, pid) if command == "-t" else wait_down(service)
            time.sleep(0.3)
            assert lines(hook / "out") == []

    def test_restart_dependents(self, service):
        lay(service, 'echo run >> out; sleep 0.2; echo >&3; exec sleep 1000',
            settings="ready notification-fd 3\non-failure restart-dependents\n")
        for policy in "always", "on-failure":
            lay(service.parent / policy, "trap 'echo stop >> out; exit' TERM; echo run >> out; sleep 1000 & wait",
                settings=f"needs s\nrestart {policy}\n")
        with supervise(service):
            dependents = [service.parent / "always", service.parent / "on-failure"]
            pid = wait_up(service)
            for dependent in dependents:
                wait_for(lambda: lines(dependent / "out") == ["run"], "the start")
            os.kill(pid, signal.SIGKILL)
            for dependent in dependents:
                wait_for(lambda: lines(dependent / "out") == ["run", "stop", "run"], f"{dependent} again", 10)


class TestEssential:
    @pytest.mark.parametrize("end, code", [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137)])
    def test_it_ends_svscan(self, service, end, code):
        other = lay(service.parent / "other", "trap 'echo stop >> out; exit' TERM; echo up >> out; sleep 1000 & wait")
        lay(service, f"while ! test -e ../other/out; do sleep 0.05; done; {end}",
            settings="essential\nrestart never\n")
        with supervise(service) as process:
            assert process.wait(15) == code
        assert lines(other / "out") == ["up", "stop"]

    def test_it_ends_process_1(self, service):
        lay(service.parent / "other")
        lay(service, "sleep 0.5; exit 42", settings="essential\nrestart never\n")
        with pid_namespace(BIN / "init", "-s", service.parent) as (process, _):
            assert process.wait(20) == 42

    def test_too_many_restarts_end_it(self, service):
        lay(service, "exit 9", settings="essential\nrestart-delay 50ms\nrestart-limit 2 in 1m\n")
        with supervise(service) as process:
            assert process.wait(10) == 9

    def test_a_one_shot_that_fails(self, service):
        lay(service, None, type="oneshot\n", up="#!/bin/sh\nexit 5\n", settings="essential\n")
        with supervise(service) as process:
            assert process.wait(10) == 5

    def test_a_one_shot_that_succeeds_ends_nothing(self, service):
        lay(service, None, type="oneshot\n", up="#!/bin/sh\nexit 0\n", settings="essential\n")
        with supervise(service) as process:
            wait_state(service, "done")
            time.sleep(0.5)
            assert process.poll() is None

    def test_down_is_not_over(self, service):
        lay(service, settings="essential\n")
        with supervise(service) as process:
            wait_run(service)
            svc("-d", service)
            wait_down(service)
            time.sleep(0.5)
            assert process.poll() is None

    def test_one_never_ready_fails_with_1_at_least(self, service):
        lay(service, "trap 'exit 0' TERM; sleep 1000 & wait",
            settings="essential\nready notification-fd 3\nready-timeout 300ms\n")
        with supervise(service) as process:
            assert process.wait(10) not in (0, None)


MEMORY = pathlib.Path("/sys/fs/cgroup/memory")


@pytest.mark.skipif(not os.access(MEMORY / "cgroup.procs", os.W_OK), reason="no memory controller of version 1")
def test_the_kernel_kills_it_for_lack_of_memory(service):
    """In a group with little memory; what is seen of it is the count for the whole machine."""
    place = MEMORY / f"apus-test-{os.getpid()}"
    place.mkdir()
    try:
        (place / "memory.limit_in_bytes").write_text("30000000")
        lay(service, f"echo $$ > {place}/cgroup.procs; exec python3 -c 'x = bytearray(200_000_000)'",
            settings="restart never\n")
        with supervise(service) as process:
            wait_state(service, "failed")
            text = wait_for(lambda: messages(process), "what is said")[0]
            assert "was killed by the kernel, for lack of memory" in text and "out of memory" in text
    finally:
        wait_for(lambda: not lines(place / "cgroup.procs"), "an empty group")
        place.rmdir()


def test_another_kill_is_no_lack_of_memory(service):
    lay(service, settings="restart never\n")
    with supervise(service) as process:
        os.kill(wait_run(service), signal.SIGKILL)
        text = wait_for(lambda: messages(process), "what is said")[0]
        assert "was ended by signal 9" in text and "memory" not in text
