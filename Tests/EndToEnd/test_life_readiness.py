"""When a service is ready: a line on a descriptor, a command, a connection, and what follows when it is late."""

import os
import signal
import socket
import time

import pytest

from apus import BIN, wait_for
from details import details
from sockets import free_port
from services import is_gone, lay, lines, messages, process_state, supervised, supervisor, svc, wait_run, wait_up

LATE = "is not ready in time"


@pytest.fixture
def service(tmp_path):
    return tmp_path / "service/s"


def supervise(service):
    return supervisor(BIN / "svscan", service.parent)


def wait_ready(service):
    wait_for(lambda: supervised(service) and details(service).ready, "readiness")
    assert details(service).state == "up"


def python(text):
    """A run script of Python."""
    return f"exec /usr/bin/python3 -c '{text}'"


class TestDescriptor:
    @pytest.mark.parametrize("number", [3, 4, 9, 10, 15, 20])
    def test_any_number(self, service, number):
        lay(service, python(f"""
import os, time
os.write({number}, b"ready\\n")
os.close({number})
found = sorted(os.listdir("/proc/self/fd"))
open("open", "w").write(" ".join(found))
time.sleep(1000)"""), notification_fd=f"{number}\n")
        with supervise(service):
            wait_ready(service)
            wait_for(lambda: lines(service / "open"), "the list")
        # The fourth is the list's own.
        assert lines(service / "open")[0].split() == ["0", "1", "2", "3"]

    def test_a_line_in_pieces(self, service):
        lay(service, python("""
import os, time
for piece in b"re", b"ad", b"y":
    os.write(5, piece)
    time.sleep(0.2)
open("pieces", "w").close()
while not os.path.exists("go"): time.sleep(0.01)
os.write(5, b"\\n")
time.sleep(1000)"""), settings="ready notification-fd 5\n")
        with supervise(service):
            wait_for(lambda: (service / "pieces").exists(), "the pieces")
            assert details(service).state == "starting" and not details(service).ready
            (service / "go").touch()
            wait_ready(service)

    def test_closed_without_a_line(self, service):
        lay(service, "printf ready >&3; exec 3>&-; exec sleep 1000", settings="ready notification-fd 3\n")
        with supervise(service):
            wait_run(service)
            time.sleep(0.3)
            assert details(service).state == "starting" and not details(service).ready

    def test_a_megabyte_without_a_line(self, service):
        lay(service, "head -c 1000000 /dev/zero >&3; touch written; sleep 1; echo >&3; exec sleep 1000",
            settings="ready notification-fd 3\n")
        with supervise(service):
            wait_for(lambda: (service / "written").exists(), "the end of the flood")
            assert not details(service).ready
            wait_ready(service)

    def test_garbage_with_a_line(self, service):
        lay(service, r"printf '\377\0\n\0READY' >&3; exec sleep 1000", settings="ready notification-fd 3\n")
        with supervise(service):
            wait_ready(service)

    def test_a_child_may_hold_it_open(self, service):
        lay(service, "sleep 1000 & echo >&3; exec sleep 1000", notification_fd="3")
        with supervise(service):
            wait_ready(service)

    def test_each_start_has_its_own(self, service):
        lay(service, 'test -e once || { touch once; (sleep 1; echo >&3) & exec sleep 1000; }; exec sleep 1000',
            notification_fd="3")
        with supervise(service):
            pid = wait_run(service)
            os.kill(pid, signal.SIGKILL)
            wait_up(service, pid)
            time.sleep(1.5)
            assert not details(service).ready

    def test_it_says_so_no_more_once_it_is_down(self, service):
        lay(service, "echo >&3; exec sleep 1000", notification_fd="3")
        with supervise(service):
            wait_ready(service)
            svc("-d", service)
            wait_for(lambda: details(service).state == "down", "down")
            assert not details(service).ready

    @pytest.mark.parametrize("number", [64, 100, 65535])
    def test_a_large_number_works_or_is_said(self, service, number):
        lay(service, python(f'import os, time; os.write({number}, b"\\n"); time.sleep(1000)'),
            notification_fd=f"{number}\n")
        with supervise(service) as process:
            wait_for(lambda: supervised(service), "supervision")
            said = []

            def settled():
                said.extend(messages(process))
                return said or details(service).ready
            wait_for(settled, "readiness or a complaint", 5)

    def test_the_number_of_a_socket_is_refused(self, service):
        port = free_port()
        lay(service, "exec sleep 1000", settings=f"listen tcp 127.0.0.1:{port}\nready notification-fd 3\n")
        with supervise(service) as process:
            wait_for(lambda: "notification-fd" in "".join(messages(process)), "a complaint", 5)


class TestProbes:
    def test_command(self, service):
        lay(service, settings="ready command test -e ready\n")
        with supervise(service):
            wait_run(service)
            time.sleep(0.3)
            assert details(service).state == "starting"
            (service / "ready").touch()
            wait_ready(service)

    def test_a_program(self, service):
        lay(service, settings="ready command ./check\n", check="#!/bin/sh\npwd > where; exec test -e ready\n")
        with supervise(service):
            wait_for(lambda: lines(service / "where"), "the check")
            assert lines(service / "where") == [str(service)] and not details(service).ready
            (service / "ready").touch()
            wait_ready(service)

    @pytest.mark.parametrize("command", ["exit 1; exit 1", "kill -9 $$; exit 0", "./nowhere"])
    def test_a_command_that_fails(self, service, command):
        lay(service, settings=f"ready command {command}\n")
        with supervise(service):
            wait_run(service)
            time.sleep(1)
            assert not details(service).ready

    def test_a_command_ends_with_the_service(self, service):
        lay(service, settings="ready command echo $$ > pid; sleep 1000; true\n")
        with supervise(service):
            wait_for(lambda: lines(service / "pid"), "the command")
            shell = int(lines(service / "pid")[0])
            child = wait_for(lambda: [int(word) for word in
                                      open(f"/proc/{shell}/task/{shell}/children").read().split()], "its child")[0]
            svc("-d", service)
            wait_for(lambda: is_gone(shell), "the end of the command")
            wait_for(lambda: is_gone(child), "the end of its child", 5)

    @pytest.mark.parametrize("kind", ["tcp", "unix"])
    def test_connection(self, service, kind):
        port = free_port()
        address = f"127.0.0.1:{port}" if kind == "tcp" else str(service / "socket")
        lay(service, settings=f"ready {kind} {address}\n")
        with supervise(service):
            wait_run(service)
            time.sleep(0.3)
            assert not details(service).ready
            family = socket.AF_INET if kind == "tcp" else socket.AF_UNIX
            with socket.socket(family) as server:
                server.bind(("127.0.0.1", port) if kind == "tcp" else address)
                server.listen()
                wait_ready(service)

    def test_a_relative_path_is_one_in_the_service_directory(self, service):
        lay(service, python("""
import socket, time
server = socket.socket(socket.AF_UNIX)
server.bind("socket")
server.listen()
time.sleep(1000)"""), settings="ready unix socket\n")
        with supervise(service):
            wait_ready(service)

    def test_a_full_backlog_is_not_ready_for_ever(self, service):
        with socket.socket() as server, socket.socket() as client:
            server.bind(("127.0.0.1", 0))
            server.listen(0)
            client.connect(server.getsockname())
            lay(service, settings=f"ready tcp 127.0.0.1:{server.getsockname()[1]}\nready-timeout 500ms\n")
            with supervise(service) as process:
                wait_for(lambda: supervised(service) and details(service).state in ("up", "failed"), "an outcome")
                assert process.poll() is None


class TestLate:
    def settings(self, consequence):
        return f"ready notification-fd 3\nready-timeout 500ms\nready-failure {consequence}\n"

    def test_fail(self, service):
        lay(service, "echo run >> out; exec sleep 1000", settings=self.settings("fail"))
        with supervise(service) as process:
            pid = wait_up(service)
            wait_for(lambda: details(service).state == "failed", "failed")
            assert is_gone(pid) and details(service).reason == "notReady"
            time.sleep(1.2)
            said = messages(process)
            assert [line for line in said if LATE in line] and [line for line in said if "has failed" in line]
            assert lines(service / "out") == ["run"]

    def test_restart(self, service):
        lay(service, "echo run >> out; exec sleep 1000", settings=self.settings("restart"))
        with supervise(service):
            wait_for(lambda: len(lines(service / "out")) >= 3, "restarts")

    def test_proceed(self, service):
        lay(service, settings=self.settings("proceed"))
        with supervise(service) as process:
            pid = wait_up(service)
            wait_ready(service)
            assert LATE in "".join(messages(process)) and wait_up(service) == pid

    def test_one_that_is_ready_in_time_is_left_alone(self, service):
        lay(service, "echo >&3; exec sleep 1000", settings=self.settings("fail"))
        with supervise(service) as process:
            wait_ready(service)
            time.sleep(0.8)
            assert details(service).state == "up" and not messages(process)

    def test_down_in_the_meantime_is_no_failure(self, service):
        lay(service, "trap 'sleep 1; exit' TERM; sleep 1000 & wait", settings=self.settings("fail"))
        with supervise(service) as process:
            wait_up(service)
            svc("-d", service)
            wait_for(lambda: details(service).state == "down", "down")
            assert details(service).reason == "asked" and not messages(process)

    def test_one_that_ignores_term_is_killed(self, service):
        lay(service, "trap '' TERM; while :; do sleep 0.1; done",
            settings=self.settings("fail") + "stop-timeout 300ms\n")
        with supervise(service):
            wait_for(lambda: supervised(service) and details(service).state == "failed", "failed")

    def test_paused_services_are_late_too(self, service):
        lay(service, settings=self.settings("fail"))
        with supervise(service):
            svc("-p", service) if supervised(service) else None
            pid = wait_up(service)
            svc("-p", service)
            wait_for(lambda: process_state(pid) in ("T", None), "the pause")
            wait_for(lambda: details(service).state == "failed", "failed")
