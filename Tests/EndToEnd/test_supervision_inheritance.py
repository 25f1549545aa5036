"""What services, loggers and the main command are given: standard input, dispositions of signals, and a
log pipe that they may open anew as another user."""

import ctypes
import os
import platform
import pty
import signal
import subprocess
import termios

import pytest

from apus import BIN, ROOT, environment, pid_namespace, run, wait_for
from services import lay, lines, supervisor, svc, wait_run

RT_SIGACTION = {"x86_64": 13, "aarch64": 134, "riscv64": 134}[platform.machine()]
INIT = BIN / "init"
SVSCAN = BIN / "svscan"

# A service that would eat what the main command is to read.
GREEDY = ("readlink /proc/self/fd/0 > input; "
          "while read line; do echo \"$line\" >> eaten; done; echo end >> eaten; exec sleep 1000")


class TestStandardInput:
    @pytest.fixture
    def scan(self, scan):
        lay(scan / "greedy", GREEDY)
        lay(scan / "logged", GREEDY, log="exec cat >> out")
        return scan

    def ended(self, scan):
        """The services have come to the end of their input, at once."""
        for name in ("greedy", "logged"):
            wait_for(lambda: lines(scan / name / "eaten") == ["end"], "end of file")
            assert lines(scan / name / "input") == ["/dev/null"]

    @pytest.mark.parametrize("first", [True, False], ids=["process 1", "subreaper"])
    def test_the_main_command_keeps_a_pipe(self, scan, first):
        """All forty lines are its own."""
        text = b"".join(b"line %d\n" % number for number in range(40))
        prefix = ["unshare", "--pid", "--mount", "--fork", "--mount-proc"] if first else []
        with subprocess.Popen([*prefix, INIT, "-s", scan, "--", "cat"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, env=environment()) as process:
            try:
                self.ended(scan)
                for line in text.splitlines(True):
                    process.stdin.write(line)
                    process.stdin.flush()
                assert process.communicate(timeout=30)[0] == text
                assert process.returncode == 0
            finally:
                process.kill()
        assert lines(scan / "greedy/eaten") == lines(scan / "logged/eaten") == ["end"]

    def test_the_main_command_keeps_the_terminal(self, scan):
        leader, follower = pty.openpty()
        attributes = termios.tcgetattr(follower)
        attributes[3] &= ~termios.ECHO
        termios.tcsetattr(follower, termios.TCSANOW, attributes)
        with subprocess.Popen(["setsid", "--ctty", "--wait", INIT, "-s", scan, "--", "sh", "-c",
                               "echo ready; head -n 40"], stdin=follower, stdout=follower,
                              stderr=subprocess.DEVNULL, env=environment()) as process:
            try:
                os.close(follower)
                text = b""
                while b"ready" not in text:
                    text += os.read(leader, 4096)
                self.ended(scan)
                for number in range(40):
                    os.write(leader, b"line %d\n" % number)
                while b"line 39\r\n" not in text:
                    text += os.read(leader, 4096)
                assert text.replace(b"\r", b"").splitlines()[1:] == [
                    b"line %d" % number for number in range(40)]
                assert process.wait(20) == 0
            finally:
                process.kill()
                os.close(leader)
        assert lines(scan / "greedy/eaten") == ["end"]

    def test_without_dev_it_is_empty_too(self, scan):
        script = 'mount -t tmpfs none /dev && exec "$0" "$@"'
        with pid_namespace("sh", "-c", script, INIT, "-s", scan, "--", "sh", "-c", "read x; exit 3",
                           stdin=subprocess.PIPE, stderr=subprocess.PIPE) as (process, _):
            for name in ("greedy", "logged"):
                wait_for(lambda: lines(scan / name / "eaten") == ["end"] or process.poll(), "end of file")
            assert process.poll() is None
            process.stdin.write(b"x\n")
            process.stdin.flush()
            assert process.wait(20) == 3

    def test_svscans_services_read_what_it_would(self, scan):
        """As daemontools' do. A shell reads byte by byte, so both may have parts of the line."""
        def eaten():
            return lines(scan / "greedy/eaten") + lines(scan / "logged/eaten")

        with supervisor(SVSCAN, scan, stdin=subprocess.PIPE) as process:
            process.stdin.write(b"for_whom\n")
            process.stdin.close()
            wait_for(lambda: eaten().count("end") == 2, "end of file")
        assert sorted("".join(line for line in eaten() if line != "end")) == sorted("for_whom")


def ignore_all():
    """Also 32 and 33, which C libraries keep for themselves: whoever starts a supervisor may have."""
    ignore = (ctypes.c_ulong * 4)(signal.SIG_IGN)
    for number in set(range(1, 65)) - {signal.SIGKILL, signal.SIGSTOP}:
        assert ctypes.CDLL(None).syscall(RT_SIGACTION, number, ignore, None, 8) == 0


def signals(path):
    """The bits of blocked and ignored signals that a process wrote there."""
    fields = dict(line.split(":\t") for line in wait_for(lambda: lines(path), "the signals"))
    return {name: int(bits, 16) for name, bits in fields.items()}


class TestSignals:
    def report(self, path):
        """A shell hands down to grep what it was itself started with."""
        script = ("grep -E '^Sig(Blk|Ign)' /proc/self/status > signals.new; mv signals.new signals; "
                  "exec sleep 1000")
        return lay(path, script, log=script)

    @pytest.mark.parametrize("program", ["svscan", "supervise", "init", "init as process 1"])
    def test_of_services_are_neither_ignored_nor_blocked(self, scan, program):
        path = self.report(scan / "a")
        command = {"svscan": [SVSCAN, scan], "supervise": [BIN / "supervise", path],
                   "init": [INIT, "-s", scan],
                   "init as process 1": ["unshare", "--pid", "--fork", "--kill-child", INIT, "-s", scan],
                   }[program]
        with supervisor(*command, preexec_fn=ignore_all):
            places = [path] if program == "supervise" else [path, path / "log"]
            for place in places:
                assert signals(place / "signals") == {"SigBlk": 0, "SigIgn": 0}

    @pytest.mark.parametrize("prefix", [[], ["unshare", "--pid", "--fork"]], ids=["subreaper", "process 1"])
    def test_of_the_main_command_too(self, prefix):
        result = run(*prefix, INIT, "-s", "/nonexistent", "--", "grep", "-E", "^Sig(Blk|Ign)",
                     "/proc/self/status", preexec_fn=ignore_all)
        assert [int(line.split()[1], 16) for line in result.stdout.splitlines()] == [0, 0]

    def test_under_svscanboot(self, scan, path_directory):
        path = self.report(scan / "a")
        with supervisor(*path_directory, "svscanboot", scan, preexec_fn=ignore_all):
            for place in (path, path / "log"):
                assert signals(place / "signals") == {"SigBlk": 0, "SigIgn": 0}

    def test_a_service_under_svscanboot_ends_by_a_broken_pipe(self, scan, path_directory):
        path = lay(scan / "a", "(yes; echo $? > status) | head -n 1 > /dev/null; exec sleep 1000")
        with supervisor(*path_directory, "svscanboot", scan):
            assert wait_for(lambda: lines(path / "status"), "the end of yes") == [
                str(128 + signal.SIGPIPE)]

    def test_the_example_for_systemd_leaves_sigpipe_alone(self):
        """systemd ignores SIGPIPE in what it starts unless it is told not to."""
        units = [path for path in (ROOT / "examples/systemd").rglob("*") if path.suffix == ".service"]
        assert units
        for unit in units:
            assert "\nIgnoreSIGPIPE=no\n" in unit.read_text(), unit


@pytest.mark.skipif(os.geteuid() != 0, reason="needs other users")
class TestLogPipe:
    @pytest.mark.parametrize("user", ["nobody", "www-data"])
    @pytest.mark.parametrize("program", ["svscan", "init"])
    def test_another_user_opens_it_anew(self, scan, user, program):
        """As nginx and php-fpm do in containers, whose logs are links to /dev/stdout and /dev/stderr."""
        path = lay(scan / "a", "exec 2>&1\nexec setuidgid " + user + " sh -c '"
                   "echo direct; echo out > /dev/stdout; echo error > /dev/stderr;"
                   "echo again >> /dev/fd/1; echo appended >> /proc/self/fd/2; exec sleep 1000'",
                   log="exec cat >> out")
        command = [SVSCAN, scan] if program == "svscan" else [INIT, "-s", scan]
        with supervisor(*command):
            wait_for(lambda: lines(path / "log/out") == [
                "direct", "out", "error", "again", "appended"], "the lines")

    def test_nobody_else_can_read_what_is_logged(self, scan):
        path = lay(scan / "a", "exec setuidgid nobody sh -c 'cat < /dev/stdout > /dev/null "
                   "|| echo denied; exec sleep 1000' 2> /dev/null", log="exec cat >> out")
        with supervisor(SVSCAN, scan):
            wait_for(lambda: lines(path / "log/out") == ["denied"], "the line")


class TestClosed:
    """Started with standard descriptors closed, by a careless caller."""

    @pytest.mark.parametrize("program", ["svscan", "supervise", "init"])
    @pytest.mark.parametrize("closed", [[0], [1], [2], [0, 1, 2]], ids=str)
    def test_nothing_else_takes_their_place(self, scan, program, closed):
        path = lay(scan / "a", "echo line; echo line >&2; exec sleep 1000", log="exec cat > out")
        command = {"svscan": [SVSCAN, scan], "supervise": [BIN / "supervise", path],
                   "init": [INIT, "-s", scan]}[program]
        redirections = " ".join(f"{number}>&-" for number in closed)
        with supervisor("sh", "-c", f'exec "$0" "$@" {redirections}', *command) as process:
            pid = wait_run(path)
            for number in closed:
                for owner in (process.pid, pid):
                    place = os.readlink(f"/proc/{owner}/fd/{number}")
                    assert place == "/dev/null" or place.startswith("pipe:"), (number, place)
            # The loader of its program may still have a library open.
            wait_for(lambda: sorted(os.listdir(f"/proc/{pid}/fd")) == ["0", "1", "2"],
                     "no other descriptor")
            svc("-d", path)
            wait_for(lambda: "down" in run("svstat", path).stdout.decode(), "the end")


@pytest.mark.parametrize("count", [300, 1500, 20000])
@pytest.mark.parametrize("program", ["svscan", "supervise", "init"])
def test_an_environment_of_many_variables(scan, count, program):
    """As an orchestrator makes it, seven for each of its services."""
    path = lay(scan / "a", "env | grep -c ^VARIABLE > count; exec sleep 1000")
    command = {"svscan": [SVSCAN, scan], "supervise": [BIN / "supervise", path],
               "init": [INIT, "-s", scan, "--", "sh", "-c",
                        "env | grep -c ^VARIABLE > command; exec sleep 1000"],
               }[program]
    variables = {f"VARIABLE{number}": "x" * 20 for number in range(count)}
    with supervisor(*command, env=environment(**variables), cwd=scan):
        wait_for(lambda: lines(path / "count") == [str(count)], "the count", 10)
        if program == "init":
            wait_for(lambda: lines(scan / "command") == [str(count)], "the command's count")
