"""svscanboot: a clean environment, the errors in a process title, an orderly stop; the systemd unit."""

import os
import pathlib
import shutil

import pytest

from apus import BIN, ROOT, environment, run, wait_for
from services import children, is_gone, lay, lines, supervisor, svc, svstat, wait_up


@pytest.fixture
def path_directory():
    """svscanboot looks for svscan and readproctitle in fixed directories: one of them gets ours, in a
    mount namespace. Returns the command that goes in front."""
    if os.geteuid() != 0:
        pytest.skip("needs a mount namespace")
    return ["unshare", "--mount", "sh", "-c", f'mount --bind {BIN} /usr/local/bin && exec "$0" "$@"']


def title(pid):
    return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")


def reader_of(pid):
    for child in children(pid):
        if title(child)[0] == b"readproctitle":
            return child
    return None


def test_it_starts_services_with_nothing_but_a_path(scan, path_directory):
    lay(scan / "a", "env > env; readlink /proc/self/fd/0 > input; exec sleep 1000")
    (scan / "broken").mkdir()
    with supervisor(*path_directory, "svscanboot", f"{scan}/",
                    env=environment(SECRET="x", HOME="/root")) as process:
        wait_up(scan / "a")
        assert title(process.pid) == [b"svscan", os.fsencode(f"{scan}/"), b""]
        wait_for(lambda: lines(scan / "a/input") == ["/dev/null"], "the input")
        names = sorted(line.split("=")[0] for line in lines(scan / "a/env"))
        # The shell adds PWD by itself.
        assert [name for name in names if name not in ("PWD", "_", "SHLVL", "OLDPWD")] == ["PATH"]
        reader = wait_for(lambda: reader_of(process.pid), "readproctitle")
        wait_for(lambda: b"unable to start broken/run: file does not exist\n" in title(reader)[3],
                 "the error in the title")
        words = title(reader)
        assert words[:3] == [b"readproctitle", b"service", b"errors:"] and len(words[3]) == 400
        process.terminate()
        assert process.wait(10) == 0
        wait_for(lambda: is_gone(reader), "the end of readproctitle")
        assert svstat(scan / "a") == "supervise not running"


def test_services_write_to_the_title_too(scan, path_directory):
    lay(scan / "a", "echo from a service; echo and its error >&2; exec sleep 1000")
    with supervisor(*path_directory, "svscanboot", scan) as process:
        reader = wait_for(lambda: reader_of(process.pid), "readproctitle")
        wait_for(lambda: title(reader)[3].endswith(b"..from a service\nand its error\n"),
                 "the lines")


def test_supervisors_left_behind_are_told_to_end(scan, path_directory):
    path = lay(scan / "a", "exec sleep 1000", log="exec sleep 1000")
    with supervisor(BIN / "supervise", path) as main, \
            supervisor(BIN / "supervise", path / "log") as log:
        old = wait_up(path)
        wait_up(path / "log")
        with supervisor(*path_directory, "svscanboot", scan):
            assert main.wait(10) == 0 and log.wait(10) == 0
            assert wait_up(path, old)


def test_without_readproctitle_it_still_starts(scan):
    if os.geteuid() != 0:
        pytest.skip("needs a mount namespace")
    lay(scan / "a")
    script = "mount -t tmpfs none /usr/local/bin && ln -s \"$1\" /usr/local/bin/svscan && " \
             "mount --bind /dev/null /usr/bin/readproctitle && exec \"$2\" \"$3\""
    with supervisor("unshare", "--mount", "sh", "-c", script, "sh", (BIN / "apus").resolve(),
                    BIN / "svscanboot", scan):
        wait_up(scan / "a")


def test_two_arguments_are_a_mistake():
    result = run("svscanboot", "a", "b")
    assert result.returncode == 100
    assert result.stderr == b"svscanboot: usage: svscanboot [ directory ]\n"


def test_closed_standard_descriptors_are_never_a_lock_or_fifo(scan):
    """A message must not go into a service's files because one of them is descriptor 2."""
    (scan / "broken").mkdir()
    lay(scan / "a")
    with supervisor("sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-', BIN / "svscan", scan) as process:
        wait_up(scan / "a")
        for number in range(3):
            assert os.readlink(f"/proc/{process.pid}/fd/{number}") == "/dev/null"
        for path in scan.rglob("supervise/lock"):
            assert path.read_bytes() == b""
        svc("-dx", scan / "a")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_accepts_the_unit(tmp_path):
    unit = tmp_path / "svscan.service"
    text = (ROOT / "examples/systemd/svscan.service").read_text()
    unit.write_text(text.replace("/usr/local/bin/svscanboot", str(BIN / "svscanboot")))
    result = run("systemd-analyze", "verify", "--man=no", unit)
    assert (result.returncode, result.stderr) == (0, b"")
