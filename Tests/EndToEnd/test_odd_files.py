"""Odd things in the place of what programs read: nothing hangs, and what is said names the file and the cause."""

import contextlib
import os
import random
import re
import signal

import pytest

from apus import BIN, environment, run, wait_for
from odd import make_other
from services import lay, lines, messages, pid_of, supervised, supervisor, svc, wait_up

KINDS = ["empty", "large", "zeros", "garbage", "directory", "FIFO", "socket", "link to nowhere", "link to itself",
         "link to /dev/zero"]


def put(path, kind):
    """Makes something odd of that name, in place of what is there."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    if make_other(kind, path):
        return
    if kind.startswith("link"):
        path.symlink_to({"link to nowhere": "nowhere", "link to itself": path.name}.get(kind, "/dev/zero"))
    else:
        path.write_bytes({"large": b"x" * 1_000_000, "zeros": bytes(1000),
                          "garbage": random.Random(3).randbytes(5000)}.get(kind, b""))


def is_clean(text):
    """Whether a terminal can show it."""
    return all(byte >= 32 or byte == 10 for byte in text)


@pytest.mark.parametrize("kind", KINDS)
class TestEnvironmentDirectory:
    @pytest.mark.parametrize("program", [["envdir"], ["chpst", "-e"]])
    def test_an_entry(self, tmp_path, program, kind):
        """It is a value, or the message names it."""
        (tmp_path / "env").mkdir()
        (tmp_path / "env/GOOD").write_text("yes\n")
        put(tmp_path / "env/ODD", kind)
        result = run(*program, tmp_path / "env", "sh", "-c", "test $GOOD = yes && echo ${#ODD}", timeout=10)
        if result.returncode:
            # What is too long, only the kernel knows, as with the originals.
            words = b"argument list too long" if kind in ("large", "link to /dev/zero") else b"ODD: "
            assert result.returncode == 111 and words in result.stderr and is_clean(result.stderr), result
        else:
            assert int(result.stdout) <= 1_000_000 and not result.stderr

    @pytest.mark.parametrize("program", [["envdir"], ["chpst", "-e"]])
    def test_the_directory_itself(self, tmp_path, program, kind):
        if kind == "directory":
            pytest.skip("it is one")
        put(tmp_path / "env", kind)
        result = run(*program, tmp_path / "env", "echo", timeout=10)
        assert result.returncode == 111 and b"/env: " in result.stderr and result.stdout == b"", result


@pytest.mark.parametrize("kind", KINDS)
def test_the_configuration_of_svlogd(tmp_path, kind):
    """Lines are kept all the same."""
    log = tmp_path / "log"
    log.mkdir()
    put(log / "config", kind)
    result = run("svlogd", log, input=b"one\ntwo\n", timeout=20)
    assert result.returncode == 0 and is_clean(result.stderr), result
    assert (log / "current").read_text() == "one\ntwo\n"
    if result.stderr:
        assert b"config" in result.stderr, result
        assert len(result.stderr.splitlines()) < 50


@pytest.mark.parametrize("file", ["lock", "control", "binary", ""])
@pytest.mark.parametrize("kind", KINDS)
def test_what_svscanctl_meets_the_supervisor_by(scan, file, kind):
    """Services run, HUP and TERM work, and svscanctl says what is wrong."""
    path = lay(scan / "a")
    (scan / ".svscan").mkdir()
    odd = scan / ".svscan" / file
    if file:
        put(odd, kind)
    else:
        odd.rmdir()
        put(odd, kind)
    with supervisor(BIN / "svscan", scan) as process:
        pid = wait_up(path)
        result = run("svscanctl", "-h", scan, timeout=20)
        assert result.returncode in (0, 111) and is_clean(result.stderr)
        if result.returncode:
            assert result.stderr.startswith(b"svscanctl: fatal: unable to control %b: " % bytes(scan)), result
        result = run("svscanctl", "-u", BIN / "apus", scan, timeout=20)
        assert result.returncode in (0, 111) and is_clean(result.stderr)
        process.send_signal(signal.SIGHUP)
        wait_up(lay(scan / "b"))
        assert pid_of(path) == pid
        process.terminate()
        assert process.wait(20) == 0


@pytest.mark.parametrize("file", ["status", "ok", "control", "lock", ""])
@pytest.mark.parametrize("kind", KINDS)
def test_what_clients_read(tmp_path, file, kind):
    """In a directory that nobody supervises."""
    path = lay(tmp_path / "a")
    (path / "supervise").mkdir()
    if not file:
        (path / "supervise").rmdir()
    put(path / "supervise" / file, kind)
    with contextlib.ExitStack() as stack:
        if file == "status":
            # Somebody seems to be there.
            for name in ("ok", "control"):
                os.mkfifo(path / "supervise" / name)
                stack.callback(os.close, os.open(path / "supervise" / name, os.O_RDWR | os.O_NONBLOCK))
        for command in (["svstat"], ["svok"], ["svc", "-d"], ["svc", "--wait=1", "-d"], ["svls"], ["sv", "status"],
                        ["sv", "-w", "1", "check"], ["svwait", "-t", "1", "up"], ["svcheck"]):
            result = run(*command, path, timeout=30)
            assert 0 <= result.returncode < 128 and is_clean(result.stdout + result.stderr), (command, result)


@pytest.mark.parametrize("content", [b"", b"\0" * 65536, b"x" * 3, random.Random(5).randbytes(65536), b"+L=l" * 10000],
                         ids=["empty", "zeros", "exit", "garbage", "turns"])
def test_the_control_of_a_service(scan, content):
    """Whatever comes, another service is commanded as ever."""
    path, other = lay(scan / "a"), lay(scan / "b")
    with supervisor(BIN / "svscan", scan) as process:
        wait_up(path)
        pid = wait_up(other)
        control = os.open(path / "supervise/control", os.O_WRONLY)
        os.write(control, content)
        os.close(control)
        svc("-t", other)
        wait_up(other, pid)
        process.terminate()
        assert process.wait(20) == 0


FILES = {"settings": "restart never\n", "notification-fd": "3\n", "timeout-kill": "100\n", "down-signal": "INT\n",
         "type": "longrun\n", "dependencies": "", "timeout-finish": "5000\n"}


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
@pytest.mark.parametrize("file", [*FILES, "dependencies.d", "run", "log", "log/run", "env"])
def test_what_the_supervisors_user_may_not_read(scan, file):
    """The message names file and cause, others run, and all of it stops."""
    for parent in list(scan.parents)[:-2]:
        parent.chmod(parent.stat().st_mode | 0o011)
    path, other = lay(scan / "a", "exec sleep 1000", log="exec cat > /dev/null"), lay(scan / "b")
    if file in FILES:
        (path / file).write_text(FILES[file])
    elif file in ("dependencies.d", "env"):
        (path / file).mkdir()
    if file.startswith("dependencies"):
        # Else it is nobody's business.
        (path / "type").write_text("longrun\n")
    if file == "env":
        (path / "env/A").write_text("1")
        (path / "env/A").chmod(0)
        lay(path, "exec envdir ./env sleep 1000")
    for place in (scan, path, path / "log", other):
        os.chown(place, 65534, 65534)
    os.chown(path / file, 0, 0)
    (path / file).chmod(0)
    user = {"user": 65534, "group": 65534, "extra_groups": []}
    with supervisor(BIN / "svscan", scan, **user) as process:
        said = []
        pid = wait_up(other)
        wait_for(lambda: said.extend(messages(process)) or [
            line for line in said if re.search(f"/{file}[:/]", line) and line.endswith("access denied")], "a message")
        svc("-t", other)
        wait_up(other, pid)
        assert all(is_clean(os.fsencode(line)) for line in said)
        process.terminate()
        assert process.wait(20) == 0
    result = run("svcheck", path, **user)
    if file != "env":
        assert result.returncode == 1 and os.fsencode(file.split("/")[-1]) in result.stdout + result.stderr, result
