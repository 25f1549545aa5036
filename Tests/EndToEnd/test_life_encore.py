"""What only daemontools-encore has: a logger that is a file, and SUPERVISEDIR."""

import os
import re
import signal

import pytest

from apus import BIN, environment, run, wait_for
from details import details
from services import group_members, lay, lines, messages, supervised, supervisor, svc, wait_down, wait_up, write

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
            assert re.fullmatch(rf"{service}: up \(pid \d+\) \d+ seconds, running", first)
            assert re.fullmatch(rf"{service} log: up \(pid {pid}\) \d+ seconds, running", second)
            assert run(BIN / "svstat", "-l", service).stdout.decode().splitlines() == [first]
            assert run(BIN / "svstat", "-L", service).stdout.decode().splitlines() == [second]

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
                f"{service}: down 0 seconds, stopped", f"{service} log: down 0 seconds, stopped"]

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


class TestLetters:
    """What encore's svc writes into supervise/control, and ours takes as options."""

    # A child that is in the group of its parent, and writes down what both get.
    GROUP = """
trap 'echo parent >> got' HUP
(trap 'echo child >> got' HUP; echo up >> got; while :; do sleep 0.05; done) &
while :; do wait; done
"""

    @pytest.fixture
    def group(self, scan):
        return lay(scan / "s", "exec pgrphack sh ./group", group=self.GROUP)

    @pytest.mark.parametrize("options, letters, expected", [
        ("-+h", "l+h", {"parent", "child"}), ("-h", "lh", {"parent"}), ("-+=h", "+=h", {"parent"}),
        ("-+lh", "+lh", {"parent"})])
    def test_a_signal_for_the_group(self, scan, group, options, letters, expected):
        with svscan(scan):
            wait_for(lambda: "up" in lines(group / "got"), "the child")
            for send in (lambda: svc(options, group), lambda: (group / "supervise/control").write_text(letters)):
                (group / "got").write_text("")
                send()
                wait_for(lambda: expected <= set(lines(group / "got")), "the signal")
                # What was sent after it has come, so that nothing more is to come of the first.
                svc("-+h", group)
                wait_for(lambda: lines(group / "got").count("parent") >= 2, "the second signal")
                wait_for(lambda: lines(group / "got").count("child") >= len(expected), "the second signal")
                assert lines(group / "got").count("child") <= len(expected)

    def test_down_for_the_group(self, scan, group):
        with svscan(scan):
            wait_for(lambda: "up" in lines(group / "got"), "the child")
            pid = wait_up(group)
            svc("-+d", group)
            wait_for(lambda: not group_members(pid), "the end of the group")
            wait_down(group)

    @pytest.mark.parametrize("is_file", [True, False])
    def test_letters_for_the_logger(self, scan, is_file):
        service = lay_with_log(scan / "s") if is_file else lay(scan / "s", log="exec cat >> seen")

        def logger():
            return logger_pid(service) if is_file else wait_up(service / "log")
        with svscan(scan):
            before, pid = wait_up(service), logger()
            for send in (lambda: svc("-Lt", service),
                         lambda: (service / "supervise/control").write_text("lLt")):
                send()
                wait_for(lambda: logger() != pid, "another logger")
                pid = logger()
                assert wait_up(service) == before
            # Each gets what follows its letter.
            svc("-tLk", service)
            after = wait_up(service, before)
            wait_for(lambda: logger() != pid, "another logger")
            pid = logger()
            (service / "supervise/control").write_text("Ltlt")
            wait_up(service, after)
            wait_for(lambda: logger() != pid, "another logger")

    def test_without_a_logger(self, scan):
        service = lay(scan / "s")
        with svscan(scan) as process:
            pid = wait_up(service)
            (service / "supervise/control").write_text("Ldxk")
            result = run("svc", "-Lt", service)
            assert result.stderr == b"svc: warning: unable to control %b: file does not exist\n" % bytes(service)
            svc("-c", service)
            assert wait_up(service) == pid and not messages(process)
            assert run("svstat", "-L", service).stdout == b"%b: no log service\n" % (bytes(service) + b" log")


class TestWords:
    """svstat's words in a directory that has a file of encore's."""

    def words(self, service):
        return run("svstat", "-l", service).stdout.decode().partition(" seconds")[2].strip()

    def test_of_a_service(self, scan):
        service = lay(scan / "s", "exec sleep 1000", start="#!/bin/sh\nwhile ! test -e go; do sleep 0.01; done\n",
                      stop="#!/bin/sh\nwhile ! test -e gone; do sleep 0.01; done\n")
        with svscan(scan):
            wait_for(lambda: self.words(service) == ", starting", "start")
            (service / "go").touch()
            wait_for(lambda: self.words(service) == ", running", "run")
            svc("-o", service)
            wait_for(lambda: self.words(service) == ", once, running", "its only run")
            svc("-u", service)
            svc("-d", service)
            wait_for(lambda: self.words(service) == ", want down, stopping", "stop")
            (service / "gone").touch()
            wait_for(lambda: self.words(service) == ", normally up, stopped", "the end")

    def test_of_one_that_fails_and_one_without_run(self, scan):
        failed = lay(scan / "a", start="#!/bin/sh\nexit 1\n")
        started = lay(scan / "b", None, start="#!/bin/sh\nexit 0\n")
        with svscan(scan):
            wait_for(lambda: self.words(failed).endswith(", failed"), "failure")
            wait_for(lambda: self.words(started).endswith(", started"), "a start without a run")

    def test_of_none_elsewhere(self, scan):
        service = lay(scan / "s")
        with svscan(scan):
            wait_up(service)
            assert self.words(service) == ""
