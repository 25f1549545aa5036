"""svscanctl -u: a supervisor becomes the binary that has its name by now, and nothing is restarted."""

import os
import shutil
import subprocess

import pytest

from apus import BIN, run, wait_for
from faults import table, trap
from services import lay, pid_of, supervisor, svc, wait_down, wait_up


@pytest.fixture
def scene(tmp_path):
    """A supervisor that runs a binary of its own; yields it, that binary and a service."""
    binary = tmp_path / "bin/svscan"
    binary.parent.mkdir()
    shutil.copy((BIN / "apus").resolve(), binary)
    scan = tmp_path / "scan"
    scan.mkdir()
    path = lay(scan / "a", log="exec cat")
    with supervisor(binary, scan) as process:
        wait_up(path)
        wait_up(path / "log")
        yield process, binary, path


def replace(binary, content):
    """Puts another binary in its place: ours again, or a C program."""
    new = binary.with_name("new")
    if content is None:
        shutil.copy((BIN / "apus").resolve(), new)
    else:
        subprocess.run(["gcc", "-x", "c", "-", "-o", new], input=content.encode(), check=True)
    new.rename(binary)


def said(process, words):
    text = b""

    def found():
        nonlocal text
        text += process.stderr.read() or b""
        return words in text
    wait_for(found, words.decode())


def test_another_binary_goes_on(scene):
    process, binary, path = scene
    pids = pid_of(path), pid_of(path / "log")
    before = os.stat(f"/proc/{process.pid}/exe").st_ino
    replace(binary, None)
    assert run("svscanctl", "-u", path.parent).returncode == 0
    wait_for(lambda: os.stat(f"/proc/{process.pid}/exe").st_ino not in (before, None), "the other binary")
    said(process, b"svscan: info: became another binary, processes of services still running: 2\n")
    now = os.stat(f"/proc/{process.pid}/exe").st_ino
    assert now == binary.stat().st_ino
    assert (pid_of(path), pid_of(path / "log")) == pids
    # A fault does not lead back.
    trap(process.pid)
    assert os.stat(f"/proc/{process.pid}/exe").st_ino == now
    assert (pid_of(path), pid_of(path / "log")) == pids
    svc("-d", path)
    wait_down(path)


@pytest.mark.parametrize("content, reason", [
    ('#include <stdio.h>\nint main(void) { return puts("apus table 999.1") < 0; }',
     b"it cannot read the state of this one"),
    ('#include <stdio.h>\nint main(void) { for (;;) puts("y"); }', b"it cannot read the state of this one"),
    ("int main(void) { return 0; }", b"it cannot read the state of this one"),
    ("#include <unistd.h>\nint main(void) { for (;;) pause(); }", b"it did not answer in time"),
])
def test_a_binary_that_does_not_fit_is_refused(scene, content, reason):
    process, binary, path = scene
    pid = pid_of(path)
    before = os.stat(f"/proc/{process.pid}/exe").st_ino
    replace(binary, content)
    assert run("svscanctl", "-u", path.parent).returncode == 0
    said(process, b"unable to become " + os.fsencode(binary) + b": " + reason)
    assert os.stat(f"/proc/{process.pid}/exe").st_ino == before
    assert pid_of(path) == pid
    assert table(process.pid)[0] == 0
