"""svwait and svc --wait: waiting until services are as they are to be."""

import contextlib
import os
import pathlib
import subprocess
import time

import pytest

from apus import BIN, REFERENCE, environment, run, wait_for
from services import lay, pid_of, process_state, supervised, supervisor, svc, svstat, wait_down, wait_up
from statuses import Supervised


def svwait(*words, **options):
    return run("svwait", *words, **options)


def outcome(result):
    return result.returncode, result.stderr.decode()


@contextlib.contextmanager
def waiting(program, *words, **variables):
    """A program that waits; the block changes what it waits for, and its end is awaited."""
    process = subprocess.Popen([str(BIN / program), *map(str, words)], stderr=subprocess.PIPE,
                               env=environment(**variables))
    try:
        wait_for(lambda: is_told(process.pid), "the wait")
        yield process
        process.wait(30)
    finally:
        process.kill()
        process.wait()


def is_told(pid):
    """Whether a process has asked to be told of changes, and sleeps."""
    with contextlib.suppress(OSError):
        links = [os.readlink(entry.path) for entry in os.scandir(f"/proc/{pid}/fd")]
        return "anon_inode:inotify" in links and process_state(pid) == "S"
    return False


@pytest.fixture
def service(tmp_path):
    with Supervised(tmp_path / "web") as found:
        yield found


class TestConditions:
    @pytest.mark.parametrize("state, conditions", [
        (None, "down finished"), ("down", "down finished"), ("blocked", "down finished"),
        ("waiting", "down finished"), ("starting", "up"), ("up", "up ready"), ("stopping", "up"),
        ("finishing", "down"), ("done", "up ready"), ("failed", "down finished")])
    def test_what_is_so_already(self, service, state, conditions):
        service.set(state)
        for condition in ("up", "ready", "down", "finished"):
            letter = {"up": "-u", "ready": "-U", "down": "-d", "finished": "-D"}[condition]
            for words in ([condition], [letter]):
                result = svwait("-t", "1ms", *words, service.path)
                if condition in conditions.split():
                    assert outcome(result) == (0, ""), condition
                elif state == "failed":
                    assert outcome(result) == (1, f"svwait: warning: {service.path}: failed\n"), condition
                else:
                    assert outcome(result) == (99, f"svwait: warning: timed out waiting for {service.path}\n")

    def test_another_supervisor_does_not_tell_of_readiness(self, service):
        service.set(pid=4711)
        assert outcome(svwait("ready", service.path)) == (0, "")
        service.set(pid=4711, paused=True)
        assert svwait("-t", "1ms", "ready", service.path).returncode == 99
        assert svwait("up", service.path).returncode == 0

    def test_the_reason_for_a_failure(self, service):
        service.set("failed", reason="tooManyRestarts")
        assert outcome(svwait("ready", service.path)) == (
            1, f"svwait: warning: {service.path}: failed: too many restarts\n")


class TestWaiting:
    def test_a_change_is_noticed_at_once(self, service):
        service.set("starting", pid=4711)
        with waiting("svwait", "ready", service.path) as process:
            service.set("up", pid=4711)
            start = time.monotonic()
        assert process.returncode == 0
        assert time.monotonic() - start < 5

    def test_it_sleeps_meanwhile(self, service):
        service.set("down")
        with waiting("svwait", "up", service.path) as process:
            path = pathlib.Path(f"/proc/{process.pid}/status")
            before = [line for line in path.read_text().splitlines() if "ctxt" in line]
            time.sleep(0.5)
            assert before == [line for line in path.read_text().splitlines() if "ctxt" in line]
            service.set("up", pid=4711)
        assert process.returncode == 0

    def test_a_failure_ends_the_wait(self, service):
        service.set("starting", pid=4711)
        with waiting("svwait", "ready", service.path) as process:
            service.set("failed", reason="notReady")
        assert process.returncode == 1
        assert process.stderr.read().endswith(b": failed: not ready in time\n")

    def test_the_end_of_the_supervisor_ends_the_wait(self, service):
        service.set("starting", pid=4711)
        with waiting("svwait", "ready", service.path) as process:
            service.end()
        assert process.returncode == 1
        assert process.stderr.read() == f"svwait: warning: {service.path}: not supervised any more\n".encode()

    def test_time(self, service):
        service.set("down")
        start = time.monotonic()
        assert svwait("-t", "300ms", "up", service.path).returncode == 99
        assert 0.3 <= time.monotonic() - start < 10

    def test_all_or_one(self, service, tmp_path):
        with Supervised(tmp_path / "db") as other:
            service.set("up", pid=4711)
            other.set("down")
            paths = (service.path, other.path)
            assert svwait("-o", "up", *paths).returncode == 0
            assert outcome(svwait("-t", "1ms", "up", *paths)) == (
                99, f"svwait: warning: timed out waiting for {other.path}\n")
            with waiting("svwait", "-a", "up", *paths) as process:
                other.set("up", pid=4712)
            assert process.returncode == 0
            other.set("failed")
            assert svwait("-o", "up", *paths).returncode == 0
            assert svwait("-oa", "up", *paths).returncode == 1
            service.set("failed")
            assert svwait("-o", "up", *paths).returncode == 1

    def test_not_supervised(self, service, tmp_path):
        service.set("up", pid=4711)
        idle = lay(tmp_path / "idle")
        message = f"svwait: warning: {idle}: not supervised\n"
        assert outcome(svwait("up", idle)) == (1, message)
        assert outcome(svwait("down", idle)) == (1, message)
        assert outcome(svwait("up", service.path, idle)) == (1, message)
        assert outcome(svwait("-o", "up", service.path, idle)) == (0, message)

    def test_without_inotify(self, service):
        """The limit on instances is a user's own."""
        if os.geteuid() != 0:
            pytest.skip("needs a user namespace of its own")
        service.set("starting", pid=4711)
        command = ("echo 0 > /proc/sys/user/max_inotify_instances || exit 77; exec svwait ready "
                   f"{service.path}")
        process = subprocess.Popen(["unshare", "--user", "--map-root-user", "sh", "-c", command],
                                   env=environment(), stderr=subprocess.PIPE)
        try:
            time.sleep(0.2)
            assert process.poll() is None, process.stderr.read()
            service.set("up", pid=4711)
            assert process.wait(30) == 0
        finally:
            process.kill()
            process.wait()

    def test_real_services(self, tmp_path):
        lay(tmp_path / "scan/web")
        lay(tmp_path / "scan/db", down=True)
        with supervisor(BIN / "svscan", tmp_path / "scan"):
            wait_for(lambda: supervised(tmp_path / "scan/db") and supervised(tmp_path / "scan/web"), "both")
            assert svwait("up", tmp_path / "scan/web").returncode == 0
            with waiting("svwait", "ready", "web", "db", SVDIR=str(tmp_path / "scan")) as process:
                svc("-u", tmp_path / "scan/db")
            assert process.returncode == 0
            with waiting("svwait", "finished", "db", SVDIR=str(tmp_path / "scan")) as process:
                svc("-d", tmp_path / "scan/db")
            assert process.returncode == 0


class TestMistakes:
    @pytest.mark.parametrize("words", [
        [], ["up"], ["web"], ["-t", "up", "web"], ["-x", "up", "web"], ["-t"], ["-u"], ["awake", "web"],
        ["-t", "", "up", "web"], ["-t", "-1", "up", "web"], ["-t", "1d", "up", "web"], ["-t", "1.5", "up", "web"],
        ["-t", "9999999999999", "up", "web"]])
    def test_usage(self, words):
        result = svwait(*words)
        assert result.returncode == 100
        assert result.stderr.startswith(b"svwait: ")

    def test_what_cannot_be_read(self, tmp_path):
        for path in (tmp_path / "missing", "missing", ""):
            assert outcome(svwait("up", path)) == (
                111, f"svwait: fatal: unable to read the status of {path}: file does not exist\n")
        (tmp_path / "file").touch()
        assert svwait("up", tmp_path / "file").returncode == 111

    def test_a_status_that_is_none(self, service):
        (service.files / "status").write_bytes(b"short")
        assert outcome(svwait("up", service.path)) == (
            111, "svwait: fatal: unable to read the status of a service: protocol error\n")


@pytest.mark.parametrize("tools", [BIN, REFERENCE], ids=["ours", "Debian's"])
class TestSvc:
    """Under our supervision and daemontools'."""

    @pytest.fixture
    def scan(self, tools, tmp_path):
        lay(tmp_path / "scan/web", log="exec cat")
        lay(tmp_path / "scan/db", down=True)
        with supervisor(tools / "svscan", tmp_path / "scan"):
            wait_up(tmp_path / "scan/web")
            wait_up(tmp_path / "scan/web/log")
            wait_for(lambda: supervised(tmp_path / "scan/db"), "the one that is down")
            yield tmp_path / "scan"

    def svc(self, scan, *words):
        return run("svc", *words, env=environment(SVDIR=str(scan)), cwd="/")

    def test_names_are_looked_for_in_the_scan_directory(self, scan):
        pid = wait_up(scan / "web/log")
        assert outcome(self.svc(scan, "-d", "web")) == (0, "")
        wait_down(scan / "web")
        assert outcome(self.svc(scan, "-t", "web/log")) == (0, "")
        wait_up(scan / "web/log", other_than=pid)

    def test_a_directory_comes_first(self, scan, tmp_path):
        (tmp_path / "web").mkdir()
        result = run("svc", "-d", "web", env=environment(SVDIR=str(scan)), cwd=tmp_path)
        assert outcome(result) == (0, "svc: warning: unable to control web: file does not exist\n")
        for name in ("./web", "/web", "web/", "", "nothing"):
            result = run("svc", "-d", name, env=environment(SVDIR=str(scan)), cwd="/")
            assert outcome(result) == (0, f"svc: warning: unable to chdir to {name}: file does not exist\n")
        assert pid_of(scan / "web")

    def test_down_and_up(self, scan):
        assert outcome(self.svc(scan, "--wait", "-d", "web")) == (0, "")
        assert svstat(scan / "web").startswith("down ")
        assert outcome(self.svc(scan, "--wait=20", "-u", "web", "db")) == (0, "")
        assert pid_of(scan / "web") and pid_of(scan / "db")
        # It is so already.
        assert outcome(self.svc(scan, "--wait", "-u", "web")) == (0, "")

    def test_restart(self, scan):
        for options in ("-t", "-k", "-du"):
            before = wait_up(scan / "web")
            assert outcome(self.svc(scan, "--wait=20s", options, "web")) == (0, "")
            assert pid_of(scan / "web") not in (None, before)

    def test_once(self, scan):
        assert outcome(self.svc(scan, "--wait", "-o", "db")) == (0, "")
        assert outcome(self.svc(scan, "--wait", "-t", "db")) == (0, "")
        assert svstat(scan / "db").startswith("down ")

    def test_pause_and_signals(self, scan):
        assert outcome(self.svc(scan, "--wait", "-p", "web")) == (0, "")
        assert ", paused" in svstat(scan / "web")
        assert outcome(self.svc(scan, "--wait", "-c", "web")) == (0, "")
        assert ", paused" not in svstat(scan / "web")
        assert outcome(self.svc(scan, "--wait", "-w", "web")) == (0, "")

    def test_exit(self, scan):
        (scan / "db").rename(scan / ".db")
        assert outcome(self.svc(scan, "--wait", "-dx", scan / ".db")) == (0, "")
        assert not supervised(scan / ".db")


class TestSvcFailures:
    def test_time(self, service):
        service.set("up", pid=4711)
        result = run("svc", "--wait=1ms", "-d", service.path)
        assert outcome(result) == (99, f"svc: warning: timed out waiting for {service.path}\n")
        assert service.commands() == "d"

    def test_failure(self, service):
        service.set("failed", reason="permanent")
        with waiting("svc", "--wait", "-u", service.path) as process:
            # What was so before says nothing.
            service.set("starting", pid=4711)
            service.set("failed", reason="permanent", starts=2)
        assert process.returncode == 1
        assert process.stderr.read() == f"svc: warning: {service.path}: failed\n".encode()

    def test_the_supervisor_ends(self, service):
        service.set("up", pid=4711)
        with waiting("svc", "--wait", "-d", service.path) as process:
            service.end()
        assert process.returncode == 1

    def test_one_that_cannot_be_reached(self, service, tmp_path):
        service.set("up", pid=4711)
        idle = lay(tmp_path / "idle")
        result = run("svc", "--wait", "-u", idle, service.path)
        assert outcome(result) == (111, f"svc: warning: unable to control {idle}: file does not exist\n")
        # Without the option it is as it ever was.
        assert run("svc", "-u", idle).returncode == 0

    def test_usage(self):
        result = run("svc", "--wait=soon", "-u", "web")
        assert outcome(result) == (
            100, "svc: fatal: soon is no time: a number of seconds, or one with ms, s, m or h\n")
        assert run("svc", "--what", "-u", "web").returncode == 100
