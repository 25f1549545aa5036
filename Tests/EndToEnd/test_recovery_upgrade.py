"""svscanctl -u: a supervisor becomes the binary that has its name by now, or another one, and nothing is restarted."""

import os
import pathlib
import shutil
import subprocess

import pytest

from apus import BIN, background, environment, run, wait_for
from faults import init, said, table, trap
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


def runs(process, binary):
    return os.stat(f"/proc/{process.pid}/exe").st_ino == binary.stat().st_ino


class TestAnotherPath:
    """svscanctl -u BINARY."""

    @pytest.fixture
    def other(self, scene, tmp_path):
        """The same binary at another path."""
        place = tmp_path / "another place"
        place.mkdir()
        return pathlib.Path(shutil.copy((BIN / "apus").resolve(), place / "apus-2"))

    def test_there_and_back(self, scene, other):
        process, binary, path = scene
        pids = pid_of(path), pid_of(path / "log")
        for target in (other, binary, other):
            assert run("svscanctl", "-u", target, path.parent).returncode == 0
            said(process, b"svscan: info: became another binary, processes of services still running: 2\n")
            assert runs(process, target)
            assert pathlib.Path(f"/proc/{process.pid}/comm").read_text() == "svscan\n"
            assert (pid_of(path), pid_of(path / "log")) == pids
            # A fault does not lead back.
            trap(process.pid)
            assert runs(process, target)
            assert (pid_of(path), pid_of(path / "log")) == pids
            assert not (path.parent / ".svscan/binary").exists()
        svc("-t", path)
        wait_up(path, other_than=pids[0])
        # Now this is its own name.
        old = os.stat(f"/proc/{process.pid}/exe").st_ino
        replace(other, None)
        assert run("svscanctl", "-u", path.parent).returncode == 0
        said(process, b"became another binary")
        assert runs(process, other) and other.stat().st_ino != old
        process.terminate()
        assert process.wait(20) == 0

    def test_a_relative_path_and_the_directory_of_the_environment(self, scene, other):
        process, _, path = scene
        result = run("svscanctl", "-u", f"../{other.parent.name}/./apus-2", cwd=other.parent,
                     env=environment(SVDIR=str(path.parent)))
        assert (result.returncode, result.stderr) == (0, b"")
        said(process, b"became another binary")
        assert runs(process, other)

    def test_init_is_told_in_the_same_way(self, scan, tmp_path):
        other = pathlib.Path(shutil.copy((BIN / "apus").resolve(), tmp_path / "apus-2"))
        path = lay(scan / "a")
        with init("-s", scan) as (process, first):
            pid = wait_up(path)
            assert run("svscanctl", "-u", other, scan).returncode == 0
            wait_for(lambda: os.stat(f"/proc/{first}/exe").st_ino == other.stat().st_ino, "the other binary")
            trap(first)
            assert os.stat(f"/proc/{first}/exe").st_ino == other.stat().st_ino
            assert pid_of(path) == pid

    def test_another_table_is_followed_by_taking_over(self, scene, other):
        process, _, path = scene
        pids = pid_of(path), pid_of(path / "log")
        third = other.with_name("third")
        replace(third, OTHER % other)
        assert run("svscanctl", "-u", third, path.parent).returncode == 0
        said(process, b"the new binary cannot read the state of this one")
        wait_for(lambda: runs(process, other), "the other binary")
        wait_for(lambda: run("svok", path).returncode == 0 and run("svok", path / "log").returncode == 0)
        assert (pid_of(path), pid_of(path / "log")) == pids

    @pytest.mark.parametrize("content, reason", [
        ('#include <stdio.h>\nint main(void) { return puts("apus table x.1") < 0; }', b"it is not Apus, or cannot take over"),
        ("#include <unistd.h>\nint main(void) { for (;;) pause(); }", b"it did not answer in time"),
    ])
    def test_what_answers_wrongly_is_refused(self, scene, other, content, reason):
        process, binary, path = scene
        pid = pid_of(path)
        replace(other, content)
        assert run("svscanctl", "-u", other, path.parent).returncode == 0
        said(process, b"svscan: warning: unable to become " + os.fsencode(other) + b": " + reason)
        assert runs(process, binary) and pid_of(path) == pid

    def test_a_second_one_waits_for_the_first(self, scene, other):
        process, binary, path = scene
        slow = other.with_name("slow")
        replace(slow, "#include <unistd.h>\nint main(void) { for (;;) pause(); }")
        assert run("svscanctl", "-u", slow, path.parent).returncode == 0
        wait_for(lambda: not (path.parent / ".svscan/binary").exists(), "the first")
        assert run("svscanctl", "-u", other, path.parent).returncode == 0
        said(process, b"svscan: warning: unable to try %b: %b is being tried" % (bytes(other), bytes(slow)))
        said(process, b"it did not answer in time")
        assert runs(process, binary)

    @pytest.mark.parametrize("change, reason", [
        (lambda binary: binary.chmod(0o775), b"another user could have written it"),
        (lambda binary: binary.chmod(0o757), b"another user could have written it"),
        (lambda binary: os.chown(binary, 65534, 0), b"another user could have written it"),
        (lambda binary: binary.chmod(0o644), b"access denied"),
        (lambda binary: binary.write_bytes(b"\x7fELF and no more"), b"exec format error"),
        (lambda binary: binary.write_bytes(b""), b"exec format error"),
    ])
    @pytest.mark.skipif(os.geteuid() != 0, reason="gives files away")
    def test_what_is_not_to_be_trusted_or_run_is_refused(self, scene, other, change, reason):
        process, binary, path = scene
        pid = pid_of(path)
        change(other)
        assert run("svscanctl", "-u", other, path.parent).returncode == 0
        said(process, b"svscan: warning: unable to try " + os.fsencode(other) + b": " + reason)
        assert runs(process, binary) and pid_of(path) == pid

    @pytest.mark.skipif(os.geteuid() != 0, reason="gives files away")
    def test_a_link_of_another_user_is_not_followed(self, scene, other):
        process, binary, path = scene
        link = other.with_name("link")
        link.symlink_to(other)
        os.chown(link, 65534, 65534, follow_symlinks=False)
        assert run("svscanctl", "-u", link, path.parent).returncode == 0
        said(process, b"unable to try " + os.fsencode(link) + b": link made by another user")
        assert runs(process, binary)
        os.chown(link, 0, 0, follow_symlinks=False)
        assert run("svscanctl", "-u", link, path.parent).returncode == 0
        said(process, b"became another binary")
        assert runs(process, other)

    @pytest.mark.parametrize("content, change, reason", [
        (None, None, b"file does not exist"),
        ("", None, b"invalid argument"),
        ("{binary}\0", None, b"invalid argument"),
        ("apus-2", None, b"invalid argument"),
        ("/" * 5000, None, b"file too big"),
        ("{binary}", lambda file: os.chown(file, 65534, 0), b"another user could have written it"),
        ("{binary}", lambda file: file.chmod(0o666), b"another user could have written it"),
        ("{binary}", lambda file: os.link(file, file.with_name("second")), b"another user could have written it"),
        ("{binary}", lambda file: (file.rename(file.with_name("real")), file.symlink_to("real")),
         b"is a symbolic link"),
        ("{binary}", lambda file: (file.unlink(), os.mkfifo(file)), b"not a regular file"),
        ("{binary}", lambda file: (file.unlink(), file.mkdir()), b"not a regular file"),
    ])
    @pytest.mark.skipif(os.geteuid() != 0, reason="gives files away")
    def test_only_what_svscanctl_could_have_written_is_believed(self, scene, other, content, change, reason):
        process, binary, path = scene
        file = path.parent / ".svscan/binary"
        if content is not None:
            file.write_text(content.format(binary=other))
        if change:
            change(file)
        (path.parent / ".svscan/control").write_text("U")
        said(process, b"svscan: warning: unable to read " + os.fsencode(file) + b": " + reason)
        assert runs(process, binary)

    def test_a_name_counts_once(self, scene, other):
        """Also when it is left by a svscanctl that did not come to send its letter."""
        process, binary, path = scene
        before = os.stat(f"/proc/{process.pid}/exe").st_ino
        (path.parent / ".svscan/binary").write_text(str(other))
        replace(binary, None)
        assert run("svscanctl", "-u", path.parent).returncode == 0
        said(process, b"became another binary")
        assert runs(process, binary) and binary.stat().st_ino != before

    def test_what_svscanctl_refuses_itself(self, scene, other, tmp_path):
        _, _, path = scene
        for operand, reason in [(tmp_path / "missing", "file does not exist"), (tmp_path, "not a regular file")]:
            result = run("svscanctl", "-u", operand, path.parent)
            assert (result.returncode, result.stderr.decode()) == (
                111, f"svscanctl: fatal: unable to find {operand}: {reason}\n")
        assert run("svscanctl", "-h", other, path.parent).returncode == 100
        assert run("svscanctl", "-u", other, path.parent, path.parent).returncode == 100
        assert run("svscanctl", "-U", path.parent).returncode == 100
        assert not (path.parent / ".svscan/binary").exists()

    @pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
    def test_of_a_user_by_root_and_of_root_by_a_user(self, scan, other):
        """Root may name a binary to a user's supervisor, whatever its umask; the user who owns the directory may not to
        root's."""
        for parent in list(scan.parents)[:-2]:
            parent.chmod(parent.stat().st_mode | 0o011)
        os.chown(scan, 65534, 65534)
        user = {"user": 65534, "group": 65534, "extra_groups": []}
        with supervisor(BIN / "svscan", scan, **user) as process:
            wait_for(lambda: (scan / ".svscan/control").exists(), "its control")
            assert run("svscanctl", "-u", other, scan, umask=0o077).returncode == 0
            said(process, b"became another binary")
        with supervisor(BIN / "svscan", scan) as process:
            wait_for(lambda: run("svscanctl", scan).returncode == 0, "svscan")
            result = run("svscanctl", "-u", other, scan, **user)
            assert result.returncode == 0, result
            said(process, b"unable to read " + bytes(scan) + b"/.svscan/binary: another user could have written it")
