"""How a service is stopped: the signal, the time, and whom both reach; with a control group and without one."""

import contextlib
import os
import pathlib
import signal
import time

import pytest

from apus import BIN, wait_for
from details import details
from services import is_gone, lay, lines, messages, pid_of, supervisor, svc, wait_down, wait_run, wait_up

# Leaves children behind: one in its group, one of a session of its own, and a daemon of a daemon.
FAMILY = """
trap '' USR2
echo $$ >> pids
sleep 1000 & echo $! >> members
setsid sleep 1000 & echo $! >> sessions
setsid sh -c 'setsid sh -c "echo \\$\\$ >> daemons; exec sleep 1000" & exit' &
while test "$(cat daemons 2>/dev/null | wc -l)" -lt "$(cat pids | wc -l)"; do sleep 0.02; done
touch complete
wait
"""
CGROUPS = [True, False]


@pytest.fixture
def service(tmp_path):
    return tmp_path / "service/s"


@contextlib.contextmanager
def supervise(service, group=True):
    """svscan, in a mount namespace without control groups if there is to be no group."""
    command = [BIN / "svscan", service.parent]
    if not group:
        if os.geteuid():
            pytest.skip("needs a mount namespace")
        command = ["unshare", "--mount", "sh", "-c",
                   'mount -t tmpfs none /sys/fs/cgroup && exec "$0" "$@"', *command]
    elif not control_groups():
        pytest.skip("needs control groups of version 2")
    with supervisor(*command) as process:
        try:
            yield process
        finally:
            for name in "pids", "members", "sessions", "daemons":
                for pid in lines(service / name):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(int(pid), signal.SIGKILL)


def control_groups():
    return [line.split()[1] for line in lines("/proc/mounts")
            if line.split()[2] == "cgroup2" and os.access(line.split()[1], os.W_OK)]


def family(service):
    """The processes of the last start, by what they are."""
    wait_for(lambda: (service / "complete").exists(), "the family")
    return {name: int(lines(service / name)[-1]) for name in ("pids", "members", "sessions", "daemons")}


class TestSignal:
    @pytest.mark.parametrize("name", ["INT", "SIGQUIT", "12", "HUP"])
    def test_it_can_be_chosen(self, service, name):
        lay(service, "for s in INT QUIT USR2 HUP TERM; do trap \"echo $s >> out; exit\" $s; done; echo up >> out; "
            "sleep 1000 & wait", settings=f"stop-signal {name}\n")
        with supervise(service):
            wait_for(lambda: lines(service / "out"), "the start")
            svc("-d", service)
            wait_down(service)
        assert lines(service / "out")[1] == {"SIGQUIT": "QUIT", "12": "USR2"}.get(name, name)

    def test_down_signal_of_s6(self, service):
        lay(service, "trap 'echo INT >> out; exit' INT; echo up >> out; while :; do sleep 0.1; done",
            down_signal="SIGINT\n")
        with supervise(service):
            wait_for(lambda: lines(service / "out"), "the start")
            svc("-d", service)
            wait_down(service)
        assert lines(service / "out")[1] == "INT"

    def test_the_stop_of_everything_uses_it(self, service):
        lay(service, "trap 'echo USR1 >> out; exit' USR1; echo up >> out; sleep 1000 & wait",
            settings="stop-signal USR1\n")
        with supervise(service) as process:
            wait_for(lambda: lines(service / "out"), "the start")
            process.send_signal(signal.SIGTERM)
            process.wait(5)
        assert lines(service / "out") == ["up", "USR1"]


class TestTime:
    @pytest.mark.parametrize("files", [{"settings": "stop-timeout 400ms\n"}, {"timeout_kill": "400"}])
    def test_kill_follows(self, service, files):
        lay(service, "trap '' TERM; echo up >> out; while :; do sleep 0.1; done", **files)
        with supervise(service) as process:
            wait_for(lambda: lines(service / "out"), "the start")
            before = time.monotonic()
            svc("-d", service)
            wait_down(service)
            assert 0.35 < time.monotonic() - before < 3
            assert "did not end in time, killing it" in "".join(messages(process))
            assert details(service).last_end == 9 and details(service).reason == "asked"

    def test_without_a_limit_nothing_is_killed(self, service):
        lay(service, "trap 'echo TERM >> out' TERM; echo up >> out; while :; do sleep 0.1; done")
        with supervise(service):
            wait_for(lambda: lines(service / "out"), "the start")
            wait_up(service)
            svc("-d", service)
            wait_for(lambda: details(service).state == "stopping", "stopping")
            time.sleep(1)
            assert pid_of(service) and details(service).terminated

    def test_term_alone_starts_no_clock(self, service):
        lay(service, "trap 'echo TERM >> out' TERM; echo up >> out; while :; do sleep 0.1; done",
            settings="stop-timeout 200ms\n")
        with supervise(service):
            wait_for(lambda: lines(service / "out"), "the start")
            pid = wait_up(service)
            svc("-t", service)
            time.sleep(0.8)
            assert wait_up(service) == pid

    def test_flag_timeout_killpg(self, service):
        lay(service, "trap '' TERM; (trap '' TERM; echo $BASHPID; exec sleep 1000) & echo $! > pids; "
            "while :; do sleep 0.1; done", timeout_kill="300", flag_timeout_killpg="")
        with supervise(service):
            child = int(wait_for(lambda: lines(service / "pids"), "the child")[0])
            svc("-d", service)
            wait_down(service)
            wait_for(lambda: is_gone(child), "the end of the group", 5)


class TestReach:
    def test_process(self, service):
        lay(service, FAMILY)
        with supervise(service):
            found = family(service)
            svc("-d", service)
            wait_down(service)
            time.sleep(0.2)
            assert [name for name, pid in found.items() if not is_gone(pid)] == ["members", "sessions", "daemons"]

    def test_group(self, service):
        lay(service, FAMILY, settings="stop-reach group\n")
        with supervise(service):
            found = family(service)
            svc("-d", service)
            wait_down(service)
            wait_for(lambda: is_gone(found["members"]), "the end of the group")
            assert not is_gone(found["sessions"]) and not is_gone(found["daemons"])

    @pytest.mark.parametrize("group", CGROUPS, ids=["control group", "none"])
    @pytest.mark.parametrize("command", ["-d", "-t", "-k"])
    def test_everything(self, service, group, command):
        lay(service, FAMILY, settings="stop-reach everything\n")
        with supervise(service, group):
            found = family(service)
            svc(command, service)
            # Without a control group, who has left session and group is out of sight once its parent is gone.
            names = found if group else ["pids", "members"]
            for name in names:
                wait_for(lambda: is_gone(found[name]), f"the end of {name}", 5)

    @pytest.mark.parametrize("reach", ["group", "everything"])
    def test_no_second_server_beside_the_children_of_the_first(self, service, reach):
        # Each looks for those that are there already, but for zombies that nobody has reaped yet.
        lay(service, "touch pids; for pid in $(cat pids); do ps -o stat= -p $pid | grep -qv ^Z && echo $pid >> beside; "
            "done; sleep 1000 & echo $! >> pids; wait", settings=f"stop-reach {reach}\nrestart-delay 10ms\n")
        with supervise(service):
            pid = None
            for count in range(1, 8):
                pid = wait_up(service, pid)
                wait_for(lambda: len(lines(service / "pids")) == count, "its child")
                svc("-t", service)
            wait_for(lambda: len(lines(service / "pids")) == 8, "the last")
            assert lines(service / "beside") == []

    @pytest.mark.parametrize("group", CGROUPS, ids=["control group", "none"])
    def test_a_crash_leaves_nothing_either(self, service, group):
        lay(service, FAMILY, settings="stop-reach everything\n")
        with supervise(service, group):
            found = family(service)
            os.kill(found["pids"], signal.SIGKILL)
            for name in found if group else ["members"]:
                wait_for(lambda: is_gone(found[name]), f"the end of {name}", 5)
            wait_up(service, found["pids"])

    def test_a_control_group_goes_with_its_service(self, service):
        lay(service, settings="stop-reach everything\n")
        with supervise(service) as process:
            pid = wait_run(service)
            own = next(line for line in lines(f"/proc/{pid}/cgroup") if line.startswith("0::"))[3:]
            place = pathlib.Path(control_groups()[0] + own)
            assert place.name == f"service-s-{process.pid}" and place.exists()
            process.send_signal(signal.SIGTERM)
            process.wait(5)
            assert not place.exists()

    def test_finish_survives_the_end_of_the_rest(self, service):
        lay(service, FAMILY, settings="stop-reach everything\n", finish="#!/bin/sh\nsleep 0.3; echo finish >> out\n")
        with supervise(service):
            family(service)
            svc("-d", service)
            wait_for(lambda: lines(service / "out") == ["finish"], "finish")

    def test_two_scan_directories_with_the_same_names_keep_apart(self, tmp_path, service):
        other = lay(tmp_path / "other/s", settings="stop-reach everything\n")
        lay(service, settings="stop-reach everything\n")
        with supervise(service), supervisor(BIN / "svscan", other.parent):
            pid, second = wait_run(service), wait_run(other)
            svc("-d", service)
            wait_down(service)
            time.sleep(0.3)
            assert is_gone(pid) and pid_of(other) == second


class TestWhatIsLeft:
    """With init each service has a process group of its own, so that it is seen who is left in it."""

    def test_it_is_told(self, tmp_path):
        service = lay(tmp_path / "service/s", "sleep 1000 & echo $! > left; sleep 1000")
        with supervisor(BIN / "init", "-s", service.parent) as process:
            pid = wait_up(service)
            left = int(wait_for(lambda: lines(service / "left"), "its child")[0])
            svc("-d", service)
            line = wait_for(lambda: [line for line in messages(process) if "s has ended" in line], "the warning")[0]
            assert "but not what it started: " in line and f"sleep (pid {left})" in line
            assert not is_gone(left) and is_gone(pid)

    @pytest.mark.parametrize("script", ["exec sleep 1000", "trap 'kill $!; wait; exit' TERM; sleep 1000 & wait"])
    def test_nothing_left_is_nothing_told(self, tmp_path, script):
        service = lay(tmp_path / "service/s", script)
        with supervisor(BIN / "init", "-s", service.parent) as process:
            wait_up(service)
            svc("-d", service)
            wait_down(service)
            # What was to be said is said before the next command is obeyed.
            svc("-u", service)
            wait_up(service)
            assert not messages(process)
