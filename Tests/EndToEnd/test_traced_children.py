"""Children that make their parent their tracer and stop: wait(2) reports them, but they have not ended."""

import pathlib
import socket
import time

import pytest

from apus import BIN, background, pid_namespace, run, wait_for
from services import lay
from sockets import FAST, connect, tcpserver

# Becomes its arguments, traced: the exec stops it, and so do two signals before that.
TRACED = ("/usr/bin/python3", "-c",
          "import ctypes, os, signal, sys; libc = ctypes.CDLL(None);"
          "[(libc.ptrace(0, 0, 0, 0), os.kill(os.getpid(), number))"
          " for number in (signal.SIGWINCH, signal.SIGURG)];"
          "libc.ptrace(0, 0, 0, 0); os.execvp(sys.argv[1], sys.argv[1:])")


def script(*command):
    words = " ".join("'" + word.replace("'", "'\\''") + "'" for word in command)
    return f"exec {words}"


def test_main_command_of_init():
    """It is not taken for ended, and its exit code is passed on."""
    code = run("unshare", "--pid", "--fork", "--mount-proc", BIN / "init", "-s", "/nonexistent", "--",
               *TRACED, "sh", "-c", "sleep 0.3; exit 7").returncode
    assert code == 7


@pytest.mark.parametrize("program", ["svscan", "supervise", "init"])
def test_service_is_not_started_twice(tmp_path, program):
    scan = tmp_path / "service"
    scan.mkdir()
    starts = tmp_path / "starts"
    service = lay(scan / "traced", script(
        "sh", "-c", f"echo $$ >>{starts}; exec \"$@\"", "sh", *TRACED, "sleep", "1000"))
    command = {"svscan": ["svscan", scan], "supervise": ["supervise", service],
               "init": ["init", "-s", scan]}[program]
    with background(BIN / command[0], *command[1:]):
        wait_for(starts.exists, "the start")
        pid = int(wait_for(lambda: starts.read_text().split(), "the process id")[0])
        wait_for(lambda: pathlib.Path(f"/proc/{pid}/comm").read_text() == "sleep\n", "the exec")
        status = lambda: pathlib.Path(f"/proc/{pid}/status").read_text()
        wait_for(lambda: "State:\tS" in status() and "TracerPid:\t0" in status(), "it to go on")
        # A second start would come a second after the first.
        time.sleep(1.5)
        assert starts.read_text().split() == [str(pid)]
        assert b"up (pid %d)" % pid in run("svstat", service).stdout
        assert run("svc", "-d", service).returncode == 0
        wait_for(lambda: b": down " in run("svstat", service).stdout, "the end")


def test_programs_of_tcpserver_count_once():
    with tcpserver(*FAST, "-c", "2", child=(*TRACED, "sh", "-c", "echo up; exec cat")) as server:
        with connect(server.port) as first, connect(server.port) as second:
            assert first.recv(3) == second.recv(3) == b"up\n"
            with connect(server.port) as third:
                third.settimeout(0.5)
                with pytest.raises(TimeoutError):
                    third.recv(1)
                assert b" end " not in server.log and b"status: 3/2" not in server.log
                first.shutdown(socket.SHUT_WR)
                third.settimeout(10)
                assert third.recv(3) == b"up\n"
        server.wait_for_log(rb" end \d+ status 0\n", 3)
