"""What somebody who may write to service directories, or chance, can do to their supervisor: one broken
service is one line, and nothing else suffers."""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import time

import pytest

from apus import BIN, environment, run, wait_for
from odd import make_other
from services import (children, descriptor_count, is_gone, lay, lines, messages, pid_of, troubles, supervised, supervisor, svc,
                      svstat, wait_run, wait_up)

SVSCAN = BIN / "svscan"
INIT = BIN / "init"


def make(kind, path):
    """Something else where a file is expected."""
    path.parent.mkdir(exist_ok=True)
    if make_other(kind, path):
        return
    if kind == "device":
        os.mknod(path, 0o20600, os.makedev(1, 8))
    elif kind == "endless link":
        path.symlink_to("/dev/zero")
    elif kind == "loop":
        path.symlink_to(path.name)
    elif kind == "link elsewhere":
        path.symlink_to(path.parent.parent / "elsewhere")
    else:
        path.write_bytes(bytes(range(256)) * 300)


KINDS = ["directory", "FIFO", "socket", "device", "endless link", "loop", "link elsewhere", "garbage"]


@pytest.mark.skipif(os.geteuid() != 0, reason="makes devices")
@pytest.mark.parametrize("file", [
    "run", "down", "log", "log/run", "log/down", "supervise", "supervise/lock", "supervise/control",
    "supervise/ok", "supervise/status", "supervise/status.new"])
def test_anything_in_the_place_of_any_file(scan, file):
    good = lay(scan / "good", log="exec cat > /dev/null")
    for number, kind in enumerate(KINDS):
        path = lay(scan / f".s{number}", log=None if file == "log" else "exec cat > /dev/null")
        if file in ("run", "log/run"):
            (path / file).unlink()
        make(kind, path / file)
        path.rename(scan / f"s{number}")
    with supervisor(SVSCAN, scan, stdin=subprocess.DEVNULL) as process:
        pid = wait_run(good)
        time.sleep(1)
        svc("-t", good)
        wait_up(good, pid)
        told = messages(process)
        assert len(told) <= 2 * len(KINDS) + 2, told
        # A link that root made to a place that is made at every boot is what an administrator wants.
        assert not (scan / "elsewhere").exists() or file == "supervise"
        assert descriptor_count(process.pid) < 150
        process.terminate()
        assert process.wait(20) == 0


def test_a_thousand_services_with_loggers(scan):
    """All up, each once; killed all at once they all come back; stopped they all end."""
    for number in range(500):
        lay(scan / f"s{number}", "exec sleep 1000", log="exec cat > /dev/null")
    with supervisor(INIT, "-s", scan, "-t", 60) as process:
        wait_for(lambda: len(children(process.pid)) == 1000, "a thousand processes", 60)
        first = set(children(process.pid))
        for pid in first:
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: len(set(children(process.pid)) - first) == 1000, "a thousand others", 60)
        assert troubles(process) == []
        process.terminate()
        assert process.wait(60) == 0


def test_links_that_come_and_go_while_svc_is_used(scan, tmp_path):
    """The steps of a removal and an installation, in all orders and at any moment: in the end what is
    linked runs once, what is not does not, and nothing is held."""
    paths = [lay(tmp_path / f"s{number}", "exec sleep 1000", log="exec cat > /dev/null")
             for number in range(4)]
    script = """
import os, random, subprocess, sys, time
random.seed(int(sys.argv[1])); scan, path = sys.argv[2:]
link = scan + '/' + os.path.basename(path)
end = time.monotonic() + 6
while time.monotonic() < end:
    step = random.randrange(5)
    try:
        if step == 0: os.symlink(path, link)
        elif step == 1: os.unlink(link)
        else: subprocess.run(['svc', ['-dx', '-u', '-t'][step - 2], path, path + '/log'],
                             stderr=subprocess.DEVNULL)
    except OSError: pass
    time.sleep(random.random() * 0.05)
"""
    with supervisor(INIT, "-s", scan) as process:
        wait_up(lay(scan / "good"))
        before = descriptor_count(process.pid)
        actors = [subprocess.Popen(["/usr/bin/python3", "-c", script, str(number), scan, path],
                                   env=environment()) for number, path in enumerate(paths)]
        for actor in actors:
            assert actor.wait(60) == 0
        for path in paths[:2]:
            with contextlib.suppress(FileExistsError):
                (scan / path.name).symlink_to(path)
        for path in paths[2:]:
            with contextlib.suppress(FileNotFoundError):
                (scan / path.name).unlink()
        process.send_signal(signal.SIGHUP)
        for path in paths[:2]:
            wait_for(lambda: supervised(path) and supervised(path / "log"), "supervision")
            svc("-u", path, path / "log")
            wait_up(path), wait_up(path / "log")
        for path in paths[2:]:
            def ended():
                run("svc", "-dx", path, path / "log")
                return not supervised(path) and not supervised(path / "log")
            wait_for(ended, "the end")
        wait_for(lambda: len(children(process.pid)) == 5, "two pairs and one service")
        wait_for(lambda: descriptor_count(process.pid) == before + 24, "their descriptors alone", 10)


@pytest.mark.parametrize("program", ["svscan", "init"])
def test_a_killed_supervisors_successor(scan, program):
    """What the killed one left goes on, under the next."""
    path = lay(scan / "a", "echo $$ >> starts; exec sleep 1000", log="exec cat > /dev/null")
    command = [SVSCAN, scan] if program == "svscan" else [INIT, "-s", scan]
    left = []
    try:
        with contextlib.ExitStack() as killed:
            for _ in range(3):
                process = killed.enter_context(supervisor(*command))
                pid, logger = wait_run(path), wait_up(path / "log")
                left = left or [pid, logger]
                assert [pid, logger] == left and lines(path / "starts") == [str(pid)]
                process.kill()
                process.wait()
                assert svstat(path) == "supervise not running"
            process = killed.enter_context(supervisor(*command))
            wait_for(lambda: pid_of(path) == left[0], "its adoption")
            process.terminate()
            assert process.wait(20) == 0
            assert all(is_gone(pid) for pid in left)
    finally:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


BARE = """
mount -t tmpfs none /dev && umount -l /proc &&
exec setpriv --reuid=65534 --regid=65534 --clear-groups "$0" "$@"
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="makes mounts")
@pytest.mark.parametrize("program", ["svscan", "init"])
def test_without_proc_and_dev_and_privilege(scan, program):
    path = lay(scan / "a", "echo line; exec sleep 1000", log="exec cat >> out")
    for place in (scan, path, path / "log"):
        os.chown(place, 65534, 65534)
    for parent in list(scan.parents)[:-2]:
        parent.chmod(parent.stat().st_mode | 0o011)
    command = [SVSCAN, scan] if program == "svscan" else [INIT, "-s", scan]
    with supervisor("unshare", "--mount", "sh", "-c", BARE, *command) as process:
        wait_for(lambda: lines(path / "log/out") == ["line"], "the line")
        pid = wait_up(path)
        svc("-t", path)
        wait_up(path, pid)
        process.terminate()
        assert process.wait(20) == 0


def test_a_full_disk_from_the_start(scan):
    """Nothing can be made in it: said once each, and started as soon as there is room."""
    script = f"mount -t tmpfs -o size=200k,nr_inodes=60 none {scan} && exec \"$0\" \"$@\""
    with supervisor("unshare", "--mount", "sh", "-c", script, INIT, "-s", scan) as process:
        wait_for(lambda: os.readlink(f"/proc/{process.pid}/exe").endswith("apus"), "init")
        inside = pathlib.Path(f"/proc/{process.pid}/root{scan}")
        for name in "abc":
            lay(inside / f".{name}/x", log="exec cat")
        (inside / ".full").mkdir()
        with contextlib.suppress(OSError):
            for number in range(100):
                (inside / f".full/{number}").touch()
        for name in "abc":
            (inside / f".{name}/x").rename(inside / name)
        told = []
        wait_for(lambda: told.extend(messages(process)) or len(told) >= 6, "a line for each")
        time.sleep(6)
        told += messages(process)
        assert len(told) == 6 and all("out of disk space" in line for line in told), told
        shutil.rmtree(inside / ".full")
        for name in "abc":
            wait_up(inside / name), wait_up(inside / name / "log")


def test_services_that_multiply_within_a_limit(scan):
    """Their forks fail and their orphans come to init; others and the stop do not suffer."""
    good = lay(scan / "good")
    lay(scan / "bomb", "ulimit -u 200 2> /dev/null\nexec setuidgid nobody ./bomb")
    (scan / "bomb/bomb").write_text("#!/bin/sh\nwhile :; do (sleep 0.2 &); done 2> /dev/null\n")
    (scan / "bomb/bomb").chmod(0o755)
    with supervisor(INIT, "-s", scan, "-t", 4) as process:
        wait_up(scan / "bomb")
        pid = wait_run(good)
        for _ in range(2):
            svc("-t", good)
            pid = wait_up(good, pid)
        process.terminate()
        assert process.wait(10) in (0, 137)
