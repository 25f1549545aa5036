"""svscanboot: a clean environment, the errors in a process title, an orderly stop; the systemd unit."""

import contextlib
import os
import pathlib
import re
import shutil

import pytest

from apus import BIN, ROOT, environment, pid_namespace, run, wait_for
from services import children, is_gone, lay, lines, supervisor, svc, svstat, wait_up

UNIT = (ROOT / "examples/systemd/svscan.service").read_text()
SYSTEMD = "/usr/lib/systemd/systemd"


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


def test_a_broken_pipe_ends_services_again(scan, path_directory):
    """Neither svc, which svscanboot is too, nor who starts it leaves SIGPIPE ignored."""
    lay(scan / "a", "grep SigIgn /proc/self/status > ignored; exec sleep 1000")
    ignoring = ["sh", "-c", 'trap "" PIPE; exec "$0" "$@"']
    with supervisor(*ignoring, *path_directory, "svscanboot", scan):
        wait_up(scan / "a")
        ignored, = wait_for(lambda: lines(scan / "a/ignored"), "the signals")
        assert int(ignored.split()[1], 16) >> 12 & 1 == 0


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
    unit.write_text(UNIT.replace("/usr/local/bin/svscanboot", str(BIN / "svscanboot")))
    result = run("systemd-analyze", "verify", "--man=no", unit)
    assert (result.returncode, result.stderr) == (0, b"")


@contextlib.contextmanager
def systemd(home):
    """A manager of its own in a namespace where our programs are in /usr/local/bin; yields what runs
    systemctl there."""
    script = (f"mount -t tmpfs none /run && mkdir -p /run/systemd/system /run/user && "
              f"mount --bind {BIN} /usr/local/bin && exec {SYSTEMD} --user --unit=basic.target")
    # Process 1 of the namespace is another: there it would be the system's manager.
    with pid_namespace("sh", "-c", f"({script}) & wait", env=environment(
            HOME=str(home), XDG_RUNTIME_DIR="/run/user")) as (process, first):
        def systemctl(*words):
            return run("nsenter", "-t", first, "--mount", "--pid", "systemctl", "--user", *words,
                       env=environment(XDG_RUNTIME_DIR="/run/user"))

        def is_running():
            return systemctl("is-system-running").stdout.strip() in (b"running", b"degraded")

        wait_for(lambda: process.poll() is not None or is_running(), "systemd")
        if process.poll() is not None:
            pytest.skip("systemd does not run in this place")
        yield systemctl


@pytest.mark.skipif(not os.path.exists(SYSTEMD) or os.geteuid() != 0,
                    reason="systemd is not installed, or may not have a namespace")
def test_the_unit_under_systemd(scan, tmp_path):
    """Enabled, started, killed, reloaded and stopped; services and logs as they should be each time."""
    home = tmp_path / "home"
    (home / ".config/systemd/user").mkdir(parents=True)
    (home / ".config/systemd/user/svscan.service").write_text(UNIT.replace("/service/", f"{scan}/"))
    service = lay(scan / "a", "exec 2>&1; trap 'echo told to end; kill $!; exit' TERM; echo up\n"
                              "sleep 1000 & wait", log="exec multilog ./main")
    log = service / "log/main/current"
    with systemd(home) as systemctl:
        assert systemctl("enable", "svscan").returncode == 0
        assert systemctl("start", "svscan").returncode == 0
        pid = wait_up(service)
        wait_for(lambda: lines(log) == ["up"], "the first line")
        assert re.search(r"Active: active \(running\)", systemctl("status", "svscan").stdout.decode())
        assert systemctl("kill", "--kill-who=main", "-s", "KILL", "svscan").returncode == 0
        wait_up(service, pid)
        wait_up(service / "log")
        wait_for(lambda: lines(log) == ["up"], "the first line of the second time")
        lay(scan / "b")
        assert systemctl("reload", "svscan").returncode == 0
        wait_up(scan / "b")
        assert systemctl("stop", "svscan").returncode == 0
        assert systemctl("is-active", "svscan").stdout == b"inactive\n"
        assert svstat(service) == svstat(service / "log") == "supervise not running"
        assert lines(log) == ["up", "told to end"]
        assert log.stat().st_mode & 0o777 == 0o744
