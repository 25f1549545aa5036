"""init as process 1 of a pid namespace, and under another process id."""

import contextlib
import os
import pathlib
import pty
import signal
import subprocess
import time

import pytest

from apus import BIN, background, environment, pid_namespace, run, wait_for
from services import lay, switches, wait_idle

INIT = BIN / "init"


def service(directory, name, script, log=None):
    """A service directory with the given run script, and its log's."""
    return lay(pathlib.Path(directory, name), script, log)


def is_up(path):
    return b": up (pid " in run("svstat", path).stdout


def status_fields(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def stop(process, first, number=signal.SIGTERM, seconds=15):
    """Signals process 1; returns its exit code, as unshare passes it on, and how long it took."""
    start = time.monotonic()
    os.kill(first, number)
    code = process.wait(seconds)
    return code, time.monotonic() - start


@pytest.mark.parametrize("as_first", [True, False], ids=["process 1", "subreaper"])
class TestMainCommand:
    def status(self, as_first, *command, **options):
        prefix = ["unshare", "--pid", "--mount", "--fork", "--mount-proc"] if as_first else []
        return run(*prefix, INIT, "-s", "/nonexistent", "--", *command, **options)

    @pytest.mark.parametrize("code", [0, 1, 42, 255])
    def test_exit_code_is_passed_on(self, as_first, code):
        assert self.status(as_first, "sh", "-c", f"exit {code}").returncode == code

    @pytest.mark.parametrize("number", [2, 9, 15])
    def test_death_by_signal_is_128_and_the_signal(self, as_first, number):
        assert self.status(as_first, "sh", "-c", f"kill -{number} $$").returncode == 128 + number

    def test_not_found_is_127_and_not_executable_126(self, as_first):
        missing = self.status(as_first, "no-such-command")
        assert missing.returncode == 127
        assert b"init: fatal: unable to run no-such-command: file does not exist\n" in missing.stderr
        assert self.status(as_first, "/etc/passwd").returncode == 126

    def test_output_and_input_are_its_own(self, as_first):
        assert self.status(as_first, "cat", input=b"a\xff\0b").stdout == b"a\xff\0b"

    def test_it_starts_with_no_signal_blocked_or_ignored(self, as_first):
        result = self.status(as_first, "grep", "-E", "^Sig(Blk|Ign):", "/proc/self/status")
        assert result.stdout.count(b"\n") == 2
        for line in result.stdout.splitlines():
            # What this process was itself started with is handed down; init adds nothing.
            name, bits = line.decode().split(":\t")
            assert int(bits, 16) & ~int(status_fields("self")[name], 16) == 0, line

    def test_orphans_are_stopped_when_it_ends(self, as_first, tmp_path):
        marker = tmp_path / "orphan"
        start = time.monotonic()
        script = (f"(trap 'echo term > {marker}; exit' TERM; echo > {marker}.up;"
                  "while :; do sleep 0.05; done) &"
                  f"while [ ! -e {marker}.up ]; do sleep 0.01; done; exit 3")
        assert self.status(as_first, "sh", "-c", script).returncode == 3
        assert marker.read_text() == "term\n"
        assert time.monotonic() - start < 3


def test_a_thousand_orphans_leave_no_zombie(tmp_path):
    """Grandchildren whose parents have gone end under init, all at once."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    script = (f"i=0; while [ $i -lt 1000 ]; do (read x < {gate} &) ; i=$((i+1)); done;"
              f"touch {tmp_path}/started; exec sleep 1000")
    with pid_namespace(INIT, "-s", "/nonexistent", "--", "sh", "-c", script) as (process, first):
        wait_for((tmp_path / "started").exists, "a thousand orphans", 30)
        children = pathlib.Path(f"/proc/{first}/task/{first}/children")
        assert len(children.read_text().split()) == 1001
        with open(gate, "w"):
            pass  # every reader's open returns, and finds end of file
        wait_for(lambda: len(children.read_text().split()) == 1, "all orphans reaped", 30)
        assert stop(process, first)[0] == 128 + 15


class TestSignals:
    @pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2, signal.SIGQUIT,
                                        signal.SIGWINCH, signal.SIGALRM, signal.SIGHUP,
                                        signal.SIGRTMIN + 10])
    def test_forwarded_to_the_main_command(self, number, tmp_path):
        script = (f"trap 'touch {tmp_path}/got' {int(number)}; touch {tmp_path}/up;"
                  "while :; do sleep 0.05; done")
        with pid_namespace(INIT, "-s", "/nonexistent", "--", "bash", "-c", script) as (process, first):
            wait_for((tmp_path / "up").exists)
            os.kill(first, number)
            wait_for((tmp_path / "got").exists, "the forwarded signal")
            assert process.poll() is None

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGPWR, 37, 38])
    def test_stop_signals_end_it_with_zero(self, number, tmp_path):
        path = service(tmp_path, "a", "exec sleep 1000")
        with pid_namespace(INIT, "-s", tmp_path) as (process, first):
            wait_for(lambda: is_up(path))
            code, took = stop(process, first, number)
        assert code == 0
        assert took < 3

    def test_main_command_gets_term_and_its_status_counts(self, tmp_path):
        script = f"trap 'exit 5' TERM; touch {tmp_path}/up; while :; do sleep 0.05; done"
        with pid_namespace(INIT, "-s", "/nonexistent", "--", "sh", "-c", script) as (process, first):
            wait_for((tmp_path / "up").exists)
            assert stop(process, first)[0] == 5

    def test_hangup_looks_at_once(self, tmp_path):
        """A link whose target appears is no change in the directory: only the slow scan, 5 s
        after the last, or HUP finds it."""
        scanned = tmp_path / "service"
        scanned.mkdir()
        (scanned / "a").symlink_to(tmp_path / "a")
        with pid_namespace(INIT, "-s", scanned, stderr=subprocess.PIPE) as (process, first):
            assert b"unable to stat a: file does not exist" in process.stderr.readline()
            path = service(tmp_path, "a", "exec sleep 1000")
            os.kill(first, signal.SIGHUP)
            wait_for(lambda: is_up(path), "the service behind the link", 2)
            assert stop(process, first)[0] == 0


class TestStop:
    def test_log_is_complete(self, tmp_path):
        """What a service says while it stops is in its log when init has ended."""
        path = service(
            tmp_path, "a",
            "exec 2>&1\n"
            "trap 'i=0; while [ $i -lt 2000 ]; do echo last $i; i=$((i+1)); done; exit' TERM\n"
            "echo first; while :; do sleep 0.05; done",
            f"exec {BIN}/multilog n5 s1000000 ./main")
        current = path / "log/main/current"
        with pid_namespace(INIT, "-s", tmp_path) as (process, first):
            wait_for(lambda: current.exists() and b"first\n" in current.read_bytes())
            code, took = stop(process, first)
        assert code == 0 and took < 3
        assert current.read_text().splitlines() == ["first"] + [f"last {i}" for i in range(2000)]
        assert current.stat().st_mode & 0o777 == 0o744

    def test_a_child_that_outlives_its_service_is_logged_and_stopped(self, tmp_path):
        """As an sshd session outlives its tcpserver: it holds the log pipe, and gets TERM too."""
        path = service(
            tmp_path, "a",
            "exec 2>&1\n(trap 'echo child got term; exit' TERM; echo child up;"
            "while :; do sleep 0.05; done) &\nexec sleep 1000",
            f"exec {BIN}/multilog ./main")
        current = path / "log/main/current"
        with pid_namespace(INIT, "-s", tmp_path) as (process, first):
            wait_for(lambda: current.exists() and b"child up\n" in current.read_bytes())
            code, took = stop(process, first)
        assert code == 0 and took < 3
        assert current.read_bytes().endswith(b"child got term\n")

    def test_what_ignores_term_is_killed_within_the_limit(self, tmp_path):
        path = service(tmp_path, "a", "trap '' TERM\necho > ignoring; while :; do sleep 0.05; done")
        with pid_namespace(INIT, "-s", tmp_path, "-t", 2, stderr=subprocess.PIPE) as (process, first):
            wait_for((path / "ignoring").exists)
            code, took = stop(process, first)
            told = process.stderr.read()
            assert b"init: warning: still up after 1.5 seconds, killing: a (pid " in told
        assert code == 128 + signal.SIGKILL
        assert 1.4 < took < 2.6

    def test_a_second_term_kills_at_once(self, tmp_path):
        path = service(tmp_path, "a", "trap '' TERM\necho > ignoring; while :; do sleep 0.05; done")
        with pid_namespace(INIT, "-s", tmp_path) as (process, first):
            wait_for((path / "ignoring").exists)
            os.kill(first, signal.SIGTERM)
            wait_for(lambda: b"want down" in run("svstat", path).stdout)
            assert process.poll() is None
            code, took = stop(process, first)
        assert code == 128 + signal.SIGKILL and took < 1

    def test_a_paused_service_is_continued_so_that_it_can_end(self, tmp_path):
        path = service(tmp_path, "a", "exec sleep 1000")
        with pid_namespace(INIT, "-s", tmp_path) as (process, first):
            wait_for(lambda: is_up(path))
            run("svc", "-p", path)
            wait_for(lambda: b"paused" in run("svstat", path).stdout)
            code, took = stop(process, first)
        assert code == 0 and took < 3


class TestAnyProcessID:
    def test_supervises_as_a_subreaper(self, tmp_path):
        path = service(tmp_path, "a", "(sleep 0.2 &) ; exec sleep 1000")
        with background(INIT, "-s", tmp_path) as process:
            wait_for(lambda: is_up(path))
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0

    def test_works_as_an_unprivileged_user(self, tmp_path):
        path = service(tmp_path, "a", "exec sleep 1000")
        for owned in (tmp_path, path):
            os.chown(owned, 65534, 65534)
        for parent in list(tmp_path.parents)[:-2]:
            parent.chmod(parent.stat().st_mode | 0o011)
        with background("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                        INIT, "-s", tmp_path) as process:
            wait_for(lambda: is_up(path))
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0

    @pytest.mark.parametrize("words", [["-z"], ["-t", "x"], ["-t", ""], ["-t"], ["--nonesuch"]])
    def test_says_what_is_wrong_with_its_arguments(self, words):
        result = run(INIT, *words)
        assert result.returncode == 100
        assert b"init: usage: init [ -s directory ]" in result.stderr

    def test_a_missing_directory_is_said_and_does_not_end_it(self, tmp_path):
        with background(INIT, "-s", tmp_path / "none", stderr=subprocess.PIPE) as process:
            line = process.stderr.readline()
            assert b"unable to supervise" in line and b"file does not exist" in line
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 111


def test_idle_means_no_wake_ups(tmp_path):
    """With services up and nothing happening, process 1 sleeps in the kernel."""
    paths = [service(tmp_path, name, "exec sleep 1000") for name in "abc"]
    with background(INIT, "-s", tmp_path) as process:
        wait_for(lambda: all(is_up(path) for path in paths))
        wait_idle(process.pid)
        before = switches(process.pid)
        time.sleep(3)
        assert switches(process.pid) == before


def test_the_command_is_in_the_foreground_of_the_terminal():
    """So Ctrl-C reaches it, and it alone."""
    leader, follower = pty.openpty()
    with background("setsid", "--ctty", "--wait", INIT, "-s", "/nonexistent", "--", "sh", "-c",
                    "trap 'echo caught; exit 9' INT; echo ready; while :; do sleep 0.05; done",
                    stdin=follower, stdout=follower, stderr=follower) as process:
        os.close(follower)
        text = b""
        while b"ready" not in text:
            text += os.read(leader, 4096)
        os.write(leader, b"\x03")
        assert process.wait(10) == 9
        with contextlib.suppress(OSError):
            text += os.read(leader, 4096)
        assert b"caught" in text
    os.close(leader)


def test_the_binary_alone_is_init_for_process_1():
    result = run("unshare", "--pid", "--fork", BIN / "apus", "-s", "/nonexistent", "--",
                 "sh", "-c", "exit 6")
    assert result.returncode == 6


def test_the_environment_is_the_containers():
    result = run(INIT, "-s", "/nonexistent", "--", "sh", "-c", 'echo "$A"', env=environment(A="x y"))
    assert result.stdout == b"x y\n"
