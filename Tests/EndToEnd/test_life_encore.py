"""What only daemontools-encore has: a logger that is a file, and SUPERVISEDIR."""

import os
import re
import signal

import pytest

from apus import BIN, environment, run, wait_for
from details import details
from services import lay, lines, messages, supervised, supervisor, svc, wait_down, wait_up, write

LOGGER = "#!/bin/sh\nexec cat >> seen\n"


def svscan(scan, **variables):
    return supervisor(BIN / "svscan", scan, env=environment(**variables))


def lay_with_log(path, script="exec sleep 1000", logger=LOGGER, **files):
    """A service whose logger is a file."""
    service = lay(path, script, **files)
    write(service / "log", logger)
    return service


def status_lines(service):
    return run(BIN / "svstat", service).stdout.decode().splitlines()


def logger_pid(service):
    """The process of the logger, once svstat has a line for it that says that it is up."""
    def pid():
        found = [re.match(r".* log: up \(pid (\d+)\)", line) for line in status_lines(service)[1:]]
        return found and found[0] and int(found[0][1])
    return wait_for(pid, "the logger")


@pytest.fixture
def service(scan):
    return lay_with_log(scan / "s", "echo hello; exec sleep 1000")


class TestLogger:
    def test_it_reads_what_the_service_writes(self, scan, service):
        with svscan(scan) as process:
            wait_for(lambda: lines(service / "seen") == ["hello"], "the line")
            assert os.readlink(f"/proc/{logger_pid(service)}/cwd") == str(service)
            assert not messages(process)
        assert (service / "supervise/log/status").exists()

    def test_svstat_has_a_line_for_it(self, scan, service):
        with svscan(scan):
            pid = logger_pid(service)
            first, second = status_lines(service)
            assert re.fullmatch(rf"{service}: up \(pid \d+\) \d+ seconds", first)
            assert re.fullmatch(rf"{service} log: up \(pid {pid}\) \d+ seconds", second)

    def test_a_restart_of_either_loses_nothing(self, scan):
        # The logger ends by itself again and again; it takes no more from the pipe than it writes.
        service = lay_with_log(scan / "s", "seq 300; exec sleep 1000",
                               "#!/bin/sh\nexec dd bs=1 count=500 of=seen oflag=append conv=notrunc status=none\n")
        (service / "seen").touch()
        expected = [str(number) for number in range(1, 301)]
        with svscan(scan):
            wait_for(lambda: lines(service / "seen") == expected, "all lines")
            os.kill(wait_up(service), signal.SIGKILL)
            wait_for(lambda: lines(service / "seen") == 2 * expected, "all lines again")

    def test_commands_reach_it(self, scan, service):
        with svscan(scan):
            pid, before = logger_pid(service), wait_up(service)
            svc("-Lt", service)
            wait_for(lambda: logger_pid(service) != pid, "another logger")
            svc("-Ld", service)
            wait_for(lambda: ", normally up" in status_lines(service)[1], "no logger")
            svc("-Lu", service)
            logger_pid(service)
            assert wait_up(service) == before
        assert run(BIN / "svc", "-Ld", "--wait", service).returncode == 100

    def test_down_keeps_both_down(self, scan):
        service = lay_with_log(scan / "s", down=True)
        with svscan(scan):
            wait_for(lambda: len(status_lines(service)) == 2, "both")
            assert [re.sub(r"\d+ seconds", "0 seconds", line) for line in status_lines(service)] == [
                f"{service}: down 0 seconds", f"{service} log: down 0 seconds"]

    def test_it_reads_all_in_a_stop(self, scan):
        service = lay_with_log(scan / "s", "trap 'seq 2000; exit' TERM; sleep 1000 & wait")
        with svscan(scan) as process:
            wait_up(service)
            logger_pid(service)
            process.terminate()
            assert process.wait(20) == 0
        assert lines(service / "seen") == [str(number) for number in range(1, 2001)]

    def test_settings_are_for_the_service_alone(self, scan):
        service = lay_with_log(
            scan / "s", "echo x >&3; exec sleep 1000", settings="ready notification-fd 3\n",
            finish="#!/bin/sh\necho finish >> out\n")
        with svscan(scan):
            pid = logger_pid(service)
            wait_for(lambda: details(service).ready, "readiness")
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda: logger_pid(service) != pid, "another logger")
            assert not lines(service / "out")

    def test_one_that_comes_later_is_found(self, scan):
        service = lay(scan / "s", "echo hello; exec sleep 1000")
        with svscan(scan):
            before = wait_up(service)
            write(service / "log", LOGGER)
            svc("-t", service)
            wait_up(service, before)
            wait_for(lambda: lines(service / "seen") == ["hello"], "the line")

    def test_it_becomes_a_directory(self, scan, service):
        with svscan(scan) as process:
            wait_for(lambda: lines(service / "seen") == ["hello"], "the line")
            (service / "log").unlink()
            lay(service / "log", "exec cat >> seen")
            process.send_signal(signal.SIGHUP)
            wait_for(lambda: supervised(service / "log"), "the new logger", 15)
            os.kill(wait_up(service), signal.SIGKILL)
            wait_for(lambda: lines(service / "log/seen") == ["hello"], "the line")

    def test_svcheck_looks_at_it(self, scan, service):
        assert run(BIN / "svcheck", scan).returncode == 0
        write(service / "log", "#!/nonexistent\n")
        result = run(BIN / "svcheck", scan)
        assert result.returncode == 1 and b"s/log" in result.stdout + result.stderr


class TestSUPERVISEDIR:
    def test_another_name(self, scan, service):
        with svscan(scan, SUPERVISEDIR=".state"):
            wait_for(lambda: lines(service / "seen") == ["hello"], "the line")
            variables = dict(environment(), SUPERVISEDIR=".state")
            assert b": up" in run(BIN / "svstat", service, env=variables).stdout
            assert run(BIN / "svok", service, env=variables).returncode == 0
            assert run(BIN / "svc", "--wait", "-d", service, env=variables).returncode == 0
            assert run(BIN / "svok", service).returncode == 100
        assert (service / ".state/status").exists() and (service / ".state/log/status").exists()
        assert not (service / "supervise").exists()

    def test_a_directory_for_all(self, scan, service, tmp_path):
        place = tmp_path / "state"
        place.mkdir()
        with svscan(scan, SUPERVISEDIR=str(place)):
            variables = dict(environment(), SUPERVISEDIR=str(place))
            wait_for(lambda: run(BIN / "svok", service, env=variables).returncode == 0, "supervision")
            assert b": up" in run(BIN / "svstat", service, env=variables).stdout
            assert b"up" in run(BIN / "svls", service, env=variables).stdout
            assert run(BIN / "svwait", "up", service, env=variables).returncode == 0
        assert (place / str(service)[1:].replace("/", ":") / "status").exists()
        assert not (service / "supervise").exists()
