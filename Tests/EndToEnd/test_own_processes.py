"""--own pid: a program alone with what it starts, which neither sees nor reaches other processes, and which ends as it
would without."""

import os
import pathlib
import pty
import select
import signal
import socket
import subprocess
import sys
import time

import pytest

from apus import background, environment, pid_namespace, run, wait_for

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
CHAINS = pytest.mark.parametrize("program", [["setcaps"], ["softlimit"], ["setuidgid", "--own", "ipc", "nobody", "setcaps",
                                 "--own", "user"]], ids=lambda words: words[0])
OWN = ("setcaps", "--own", "pid")
# What stops this process cannot be passed on; that a child has ended is not for the program.
PASSED = [number for number in range(1, 65) if number not in (
    signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, 32, 33)]
ENDING = [number for number in PASSED if number not in (signal.SIGCONT, signal.SIGURG, signal.SIGWINCH)]


def children(pid):
    """The processes that wait for `pid` to reap them."""
    return [int(word) for word in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def named(mark):
    """The processes with `mark` among their words."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                words = pathlib.Path(f"/proc/{entry}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if mark.encode() in words:
                found.append(int(entry))
    return found


@CHAINS
def test_no_other_process_is_seen_or_reached(program):
    result = run(*program, "--own", "pid", "sh", "-c", f"ps -e -o pid=,comm=; echo $$; kill -0 {os.getpid()}; kill -9 -1; "
                 "echo alone", cwd="/")
    lines = [line.split() for line in result.stdout.decode().splitlines()]
    assert [line[0] for line in lines[:2]] == ["1", "2"] and lines[1][1] == "sh" and lines[2][1] == "ps", result
    assert lines[3:] == [["2"], ["alone"]]
    assert b"No such process" in result.stderr


@pytest.mark.parametrize("code", [0, 1, 99, 100, 111, 126, 127, 128, 143, 255])
def test_its_exit_code_is_passed_on(code):
    assert run(*OWN, "sh", "-c", f"exit {code}").returncode == code


@pytest.mark.parametrize("number", [*ENDING, signal.SIGKILL])
def test_what_kills_it_is_passed_on(number):
    result = run(*OWN, sys.executable, "-c", f"import os, signal\nif {int(number)} != 9: signal.signal({int(number)}, signal.SIG_DFL)\n"
                 f"os.kill(os.getpid(), {int(number)})\nsignal.pause()")
    assert result.returncode == -number, result


def test_signals_reach_it():
    """Each but those that nobody can pass on; and each once."""
    text = ("import os, signal, sys\n"
            f"for n in {[int(n) for n in PASSED]}: signal.signal(n, lambda n, f: os.write(1, b'%d\\n' % n))\n"
            "os.write(1, b'ready\\n')\n"
            "while True: signal.pause()\n")
    with background(*OWN, sys.executable, "-c", text, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        for number in PASSED:
            process.send_signal(number)
            assert process.stdout.readline() == b"%d\n" % number
        process.send_signal(signal.SIGKILL)
        assert process.stdout.read() == b""


@pytest.mark.parametrize("words, number", [(["sh", "-c"], signal.SIGTERM), (["bash", "-c"], signal.SIGHUP)])
def test_a_program_without_handlers_ends_by_signals(words, number):
    """Unlike process 1 of a namespace, which would ignore them."""
    with background(*OWN, *words, "echo ready; while :; do sleep 600; done", stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        assert process.wait(10) == -number


@pytest.mark.parametrize("end", ["kill the one outside", "kill the program", "exit"])
def test_nothing_is_left(end):
    mark = f"{600 + os.getpid()}.{time.monotonic_ns()}"
    code = "exit" if end == "exit" else "wait"
    with background(*OWN, "sh", "-c", f"setsid sleep {mark} & setsid sleep {mark} & echo ready; read line; {code}",
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        wait_for(lambda: len(named(mark)) == 2, "what it started")
        if end == "exit":
            process.stdin.write(b"\n")
            process.stdin.flush()
        else:
            victim = children(process.pid)[-1] if end == "kill the program" else process.pid
            os.kill(victim, signal.SIGKILL)
        assert process.wait(10) == (0 if end == "exit" else -signal.SIGKILL)
        # Whoever waited for it finds nothing any more, at once; only where it could not say so itself it takes a moment.
        if end == "kill the one outside":
            wait_for(lambda: not named(mark), "the end of all in the namespace")
        assert named(mark) == []


def test_orphans_are_reaped():
    """Zombies are counted among all processes that the program sees."""
    result = run(*OWN, "sh", "-c", "for i in $(seq 300); do sh -c 'true & exit' & done; wait; sleep 0.2; "
                 "cat /proc/[0-9]*/stat 2>&- | awk '{ print $3 }' | grep -c Z")
    assert result.stdout == b"0\n", result


def test_its_descriptors_are_its_own():
    """Who reads its output learns that it has closed it."""
    with background(*OWN, "sh", "-c", "exec >&- 2>&-; sleep 600", stdout=subprocess.PIPE) as process:
        assert process.stdout.read() == b"" and process.poll() is None
        for pid in [process.pid, children(process.pid)[0]]:
            wait_for(lambda pid=pid: len(os.listdir(f"/proc/{pid}/fd")) == 1, "one descriptor")


def test_nobody_looks_into_process_1():
    """It holds privileges that the program may have given up."""
    result = run("setcaps", "--own", "pid", "--caps", "none", "sh", "-c", "kill -9 1; cat /proc/1/environ; cat /proc/1/fd/0")
    assert result.stdout == b"" and result.stderr.count(b"Permission denied") == 2, result


def test_variables_name_it():
    text = f"export LISTEN_PID=$$ WATCHDOG_PID=$$; exec {' '.join(OWN)} sh -c 'echo $$ $LISTEN_PID $WATCHDOG_PID'"
    assert run("sh", "-c", text).stdout == b"2 2 2\n"
    text = f"export LISTEN_PID=17; exec {' '.join(OWN)} sh -c 'echo $LISTEN_PID'"
    assert run("sh", "-c", text).stdout == b"17\n"


def test_what_hides_parts_of_proc_stays():
    text = ("mount -t tmpfs none /proc/irq && mount --bind /dev/null /proc/cmdline && exec "
            f"{' '.join(OWN)} sh -c 'ls -A /proc/irq; cat /proc/cmdline; cat /proc/2/comm'")
    assert run("unshare", "--mount", "sh", "-c", text).stdout == b"sh\n"
    text = ("mount -t tmpfs none /proc/irq && exec setuidgid nobody setcaps --own user,pid true")
    result = run("unshare", "--mount", "sh", "-c", text)
    assert (result.returncode, result.stderr) == (
        111, b"setcaps: fatal: unable to mount an own /proc, as parts of this one are hidden: permission denied\n")


def test_a_program_that_cannot_be_run():
    result = run(*OWN, "/nowhere/program")
    assert result.returncode == 111 and b"/nowhere/program" in result.stderr


def test_as_process_1_of_a_container():
    """Which no signal ends: the status says what would have."""
    with pid_namespace(*OWN, "sh", "-c", "kill -TERM $$") as (process, _):
        assert process.wait(10) == 128 + signal.SIGTERM


def test_within_another():
    assert run(*OWN, *OWN, "sh", "-c", "echo $$; exit 7").stdout == b"2\n"
    assert run(*OWN, *OWN, "sh", "-c", "exit 7").returncode == 7


def test_who_may_not():
    result = run("setuidgid", "nobody", *OWN, "true")
    assert (result.returncode, result.stderr) == (
        111, b"setcaps: fatal: unable to make namespaces, which needs CAP_SYS_ADMIN or --own user: permission denied\n")


def test_with_a_policy_that_listens(tmp_path):
    """The one that answers calls is outside, and its exit status is the program's."""
    (tmp_path / "p").write_text("@denylist\nsethostname: return EPERM\n")
    result = run("seccomp", "--log", "--own", "pid", tmp_path / "p", "sh", "-c", "echo $$; exit 3")
    assert (result.stdout, result.returncode) == (b"2\n", 3), result


@pytest.mark.parametrize("option", ["--own=pid", "--child-own=pid"])
def test_tcpserver(option):
    """For itself, its programs are with it there; for them, each has its own. Signals end both."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with background("tcpserver", "-RHl0", option, "127.0.0.1", port, "sh", "-c",
                    "echo $$; ls -d /proc/[0-9]* | wc -l") as server:
        answers = []
        for _ in range(2):
            result = wait_for(lambda: (found := run("tcpcat", "127.0.0.1", port)).stdout and found, "an answer")
            answers.append([int(word) for word in result.stdout.split()])
        if option == "--child-own=pid":
            assert all(pid == 2 and count <= 5 for pid, count in answers), answers
        else:
            assert all(pid > 2 and count <= 6 for pid, count in answers), answers
        server.send_signal(signal.SIGTERM)
        assert server.wait(10) == 0 if option == "--own=pid" else server.wait(10) in (0, -signal.SIGTERM)


class TestTerminal:
    """The keys of a terminal reach the program once, and stop both."""

    @staticmethod
    def read_until(terminal, text):
        seen = b""
        deadline = time.monotonic() + 20
        while text not in seen:
            assert time.monotonic() < deadline, seen
            if select.select([terminal], [], [], 0.1)[0]:
                seen += os.read(terminal, 4096)
        return seen

    def test_keys(self):
        pid, terminal = pty.fork()
        if pid == 0:
            os.execvpe(OWN[0], [*OWN, sys.executable, "-c",
                                "import os, signal\n"
                                "signal.signal(2, lambda n, f: os.write(1, b'got\\n'))\n"
                                "signal.signal(10, lambda n, f: os._exit(5))\n"
                                "os.write(1, b'ready\\n')\n"
                                "while True: signal.pause()\n"], environment())
        try:
            self.read_until(terminal, b"ready")
            os.write(terminal, b"\x03")
            self.read_until(terminal, b"got")
            os.kill(pid, signal.SIGUSR1)
            # Had it come twice, this would have come after.
            status = os.waitpid(pid, 0)[1]
            assert os.waitstatus_to_exitcode(status) == 5
            rest = b""
            while True:
                try:
                    piece = os.read(terminal, 4096)
                except OSError:
                    break
                if not piece:
                    break
                rest += piece
            assert b"got" not in rest
        finally:
            os.close(terminal)

    def test_job_control(self):
        """A shell stops it with Ctrl-Z, and goes on with it."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.execvpe("bash", ["bash", "--norc", "-i"], environment(PS1="$ "))
        try:
            os.write(terminal, (" ".join(OWN) + " sh -c 'echo rea''dy; read x; echo got $x'\n").encode())
            self.read_until(terminal, b"ready\r\n")
            os.write(terminal, b"\x1a")
            self.read_until(terminal, b"Stopped")
            os.write(terminal, b"fg\n")
            self.read_until(terminal, b"setcaps")
            os.write(terminal, b"line\n")
            self.read_until(terminal, b"got line")
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            os.close(terminal)
