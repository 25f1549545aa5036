"""Service directories as djbdns's own programs make them run unedited, with every program of theirs ours:
svscan, multilog, setuidgid, envuidgid, envdir, softlimit."""

import os
import pathlib
import re
import shutil
import socket
import struct
import tempfile

import pytest

from apus import BIN, run, wait_for
from services import lines, messages, supervisor, svc, svstat, wait_up

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become other users")


@pytest.fixture
def place():
    """A directory that other users may pass through, which pytest's are not."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="djbdns-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def address():
    """A loopback address of this test's own."""
    return f"127.53.{os.getpid() >> 8 & 255}.{os.getpid() & 255 | 1}"


def ask(address, name):
    """The answer's bytes to a question for the address of `name`."""
    question = b"".join(bytes([len(label)]) + label for label in name.split(b".")) + b"\0"
    packet = struct.pack(">HHHHHH", 4660, 256, 1, 0, 0, 0) + question + struct.pack(">HH", 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.3)
        client.connect((address, 53))
        try:
            client.send(packet)
            return client.recv(512)
        except OSError:
            return b""


def configure(program, user, path, address):
    result = run(f"/usr/sbin/{program}-conf", user, user, path, address)
    assert (result.returncode, result.stderr) == (0, b"")
    return path


def user_of(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^Uid:\t(\d+)", status, re.M)[1])


def user_id(name):
    return int(run("id", "-u", name).stdout)


def test_tinydns(place, address):
    path = configure("tinydns", "tinydns", place / "tinydns", address)
    (path / "root/data").write_text(
        ".test:192.0.2.53:ns:60\n+example.test:192.0.2.1:60\n")
    assert run("/usr/sbin/tinydns-data", cwd=path / "root").returncode == 0
    scan = place / "service"
    scan.mkdir()
    with supervisor(BIN / "svscan", scan) as process:
        (scan / "tinydns").symlink_to(path)
        pid = wait_up(path)
        logger = wait_up(path / "log")
        answer = wait_for(lambda: ask(address, b"example.test"), "an answer")
        assert bytes([0, 4, 192, 0, 2, 1]) in answer
        assert user_of(pid) == user_of(logger) == user_id("tinydns")
        wait_for(lambda: any(re.fullmatch(r"@[0-9a-f]{24} .* 0001 example\.test", line)
                             for line in lines(path / "log/main/current")), "the log line")
        svc("-t", path)
        wait_up(path, pid)
        assert wait_for(lambda: ask(address, b"example.test"), "an answer")
        (scan / "tinydns").unlink()
        svc("-dx", path, path / "log")
        wait_for(lambda: svstat(path / "log") == "supervise not running", "the end")
        assert messages(process) == []


def test_dnscache(place, address):
    path = configure("dnscache", "dnscache", place / "dnscache", address)
    scan = place / "service"
    scan.mkdir()
    (scan / "dnscache").symlink_to(path)
    with supervisor(BIN / "svscan", scan):
        pid = wait_up(path)
        # It knows this name by itself.
        answer = wait_for(lambda: ask(address, b"localhost"), "an answer")
        assert answer.endswith(bytes([0, 4, 127, 0, 0, 1]))
        assert user_of(pid) == user_id("dnscache")
        limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
        assert re.search(r"^Max open files +250 ", limits, re.M)
        data = (path / "env/DATALIMIT").read_text().strip()
        assert re.search(rf"^Max data size +{data} ", limits, re.M)
        wait_for(lambda: any("starting" in line for line in lines(path / "log/main/current")),
                 "the log line")
