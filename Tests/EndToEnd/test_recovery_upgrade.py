"""svscanctl -u: a supervisor becomes the binary that has its name by now, and nothing is restarted."""

import os
import shutil
import subprocess

import pytest

from apus import BIN, background, run, wait_for
from faults import table, trap
from load import Load, compiled
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
    return text


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
    ('#include <stdio.h>\nint main(void) { return puts("apus 0.1") < 0; }', b"it is not Apus, or cannot take over"),
    ('#include <stdio.h>\nint main(void) { for (;;) puts("y"); }', b"it is not Apus, or cannot take over"),
    ("int main(void) { return 0; }", b"it is not Apus, or cannot take over"),
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


@pytest.mark.parametrize("content, reason", [
    (b"\x7fELF and no more", b"exec format error"), (b"", b"exec format error"), (None, b"access denied")])
def test_what_cannot_be_run_is_refused(scene, content, reason):
    process, binary, path = scene
    pid, before = pid_of(path), os.stat(f"/proc/{process.pid}/exe").st_ino
    new = binary.with_name("new")
    new.write_bytes((BIN / "apus").read_bytes() if content is None else content)
    new.chmod(0o644 if content is None else 0o755)
    new.rename(binary)
    assert run("svscanctl", "-u", path.parent).returncode == 0
    said(process, b"svscan: warning: unable to try the new binary: "
         + reason)
    assert os.stat(f"/proc/{process.pid}/exe").st_ino == before and pid_of(path) == pid


# As a version with another table would: it says so, and does not understand what it finds.
OTHER = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv) {
    if (argc > 1 && !strcmp(argv[1], "--table-version")) return puts("apus table 999.1") < 0;
    unsigned version = 999;
    if (pwrite(atoi(getenv("APUS_TABLE")), &version, sizeof version, 8) != sizeof version) return 1;
    execv("%s", argv);
    return 111;
}
"""


def test_another_table_is_followed_by_taking_over(scene):
    process, binary, path = scene
    pids = pid_of(path), pid_of(path / "log")
    other = binary.with_name("other")
    shutil.copy((BIN / "apus").resolve(), other)
    replace(binary, OTHER % other)
    assert run("svscanctl", "-u", path.parent).returncode == 0
    # From then on nothing of the image before answers svok, and another fault is met by this one.
    text = said(process, b"lost the state in another binary")
    assert b"the new binary cannot read the state of this one: it takes over running services by their status files" in text
    assert os.readlink(f"/proc/{process.pid}/exe") == str(other)
    wait_for(lambda: run("svok", path).returncode == 0 and run("svok", path / "log").returncode == 0)
    wait_for(lambda: (pid_of(path), pid_of(path / "log")) == pids, "the processes that there were")
    trap(process.pid)
    assert (pid_of(path), pid_of(path / "log")) == pids
    svc("-t", path)
    wait_up(path, other_than=pids[0])
    svc("-d", path)
    wait_down(path)


def test_forward_and_back_under_load(tmp_path):
    """Between two versions, while services write, restart and are commanded."""
    content = (BIN / "apus").resolve().read_bytes()
    version = run("apus", "--version").stdout.split()[-1]
    other = version[:-1] + bytes([version[-1] ^ 1])
    assert content.count(version + b"\0") == 1
    binaries = [content, content.replace(version + b"\0", other + b"\0")]
    binary = tmp_path / "bin/svscan"
    binary.parent.mkdir()
    binary.write_bytes(content)
    binary.chmod(0o755)
    load = Load(tmp_path, compiled(tmp_path), count=30)
    with open(tmp_path / "errors", "wb") as errors, background(binary, load.scan, stderr=errors) as process:
        load.begin(process.pid)
        for number in range(1, 21):
            before = os.stat(f"/proc/{process.pid}/exe").st_ino
            new = binary.with_name("new")
            new.write_bytes(binaries[number % 2])
            new.chmod(0o755)
            new.rename(binary)
            for _ in range(5):
                load.command()
            assert run("svscanctl", "-u", load.scan).returncode == 0
            for _ in range(5):
                load.command()
            wait_for(lambda: os.stat(f"/proc/{process.pid}/exe").st_ino != before, "the other binary")
            said = subprocess.run(["apus", "--version"], executable=f"/proc/{process.pid}/exe", capture_output=True)
            assert said.stdout.split()[-1] == (version, other)[number % 2]
        load.end(process.pid)
        process.terminate()
        assert process.wait(30) == 0
    load.check()
    assert (tmp_path / "errors").read_text().count("became another binary") == 20
