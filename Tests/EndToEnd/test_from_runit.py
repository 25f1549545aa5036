"""docs/from-runit.md: what stands left and right in its tables does the same."""

import os
import re
import shlex
import struct

import pytest

from apus import ROOT, environment, run, wait_for
from services import lay, supervisor, wait_run

TEXT = (ROOT / "docs/from-runit.md").read_text()
# A server that tells how it was started.
SERVER = """#!/usr/bin/python3
import os, resource
name = open("/proc/self/comm").read()
print(os.getresuid(), os.getresgid(), sorted(os.getgroups()), os.nice(0), os.getsid(0) == os.getpid())
print(sorted(e for e in os.environ.items() if e[0] not in ("_", "PWD", "OLDPWD", "LC_CTYPE")))
print([resource.getrlimit(getattr(resource, n)) for n in sorted(dir(resource)) if n.startswith("RLIMIT_")])
print(os.path.exists("/proc/self/fd/0"), os.system("flock -n lock true") if os.path.exists("lock") else "")
"""


def rows(section):
    """The cells of a section's table, each as its pieces of code."""
    table = re.search(rf"^## {section}\n(.*?)(?=^## )", TEXT, re.M | re.S)[1]
    found = [[re.findall(r"`([^`]+)`", cell) for cell in line.strip("| \n").split(" | ")]
             for line in table.splitlines() if line.startswith("| `")]
    assert found, section
    return found


def name(row):
    return row[0][0]


@pytest.mark.parametrize("row", rows("Control"), ids=name)
def test_the_same_letters_are_sent(tmp_path, row):
    """By sv and svc, to a supervisor of daemontools' kind."""
    sent = []
    for (command,) in row:
        supervise = tmp_path / "service/web/supervise"
        supervise.mkdir(parents=True, exist_ok=True)
        (supervise / "status").write_bytes(struct.pack(">QI", 2**62, 0) + struct.pack("<I", 77) + b"\0\0")
        for fifo in ("ok", "control"):
            if not (supervise / fifo).exists():
                os.mkfifo(supervise / fifo)
        ends = [os.open(supervise / fifo, os.O_RDWR | os.O_NONBLOCK) for fifo in ("ok", "control")]
        result = run(*shlex.split(command.replace("/service", f"{tmp_path}/service")),
                     env=environment(SVDIR=tmp_path / "service"))
        assert (result.returncode, result.stdout, result.stderr) == (0, b"", b""), command
        sent.append(os.read(ends[1], 100))
        for end in ends:
            os.close(end)
    assert sent[0] and sent[0] == sent[1]


@pytest.mark.skipif(os.geteuid() != 0, reason="changes users")
@pytest.mark.parametrize("row", rows("Run files"), ids=name)
def test_the_server_is_started_the_same(tmp_path, row):
    # Other users are to reach it.
    for directory in (tmp_path, *tmp_path.parents[:3]):
        if directory.stat().st_uid == os.geteuid():
            directory.chmod(directory.stat().st_mode | 0o055)
    (tmp_path / "env").mkdir()
    (tmp_path / "env/COLOUR").write_text("blue\n")
    (tmp_path / "httpd").write_text(SERVER)
    (tmp_path / "httpd").chmod(0o755)
    path = f"{tmp_path}:{environment()['PATH']}"
    told = []
    for (command,) in row:
        result = run("sh", "-c", f"exec {command}", cwd=tmp_path, env=environment(PATH=path))
        assert result.returncode == 0, result
        told.append((result.stdout, result.stderr))
    assert told[0][0] and told[0] == told[1]


@pytest.mark.parametrize("row", rows("Loggers"), ids=lambda row: "; ".join(row[0]))
def test_the_same_lines_are_logged(tmp_path, row):
    (logger, *config), (other,) = row
    settings = [setting for setting in config if setting != "main/config"]
    data = b"".join(b"line %d\ndebug: %d\n%d is fatal\n" % (n, n, n) for n in range(40))
    logs = []
    for place, command in (("a", logger), ("b", other)):
        main = tmp_path / place / "main"
        main.mkdir(parents=True)
        if place == "a":
            (main / "config").write_text("".join(f"{setting}\n" for setting in settings))
        result = run("sh", "-c", f"exec {command}", cwd=main.parent, input=data)
        assert result.returncode == 0, result
        current = (main / "current").read_bytes()
        logs.append((re.sub(rb"^@[0-9a-f]{24}", b"@", current, flags=re.M), result.stderr))
    assert logs[0][0] and logs[0] == logs[1]


def test_a_machine_of_runit(scan):
    """The programs of the first table run."""
    machine = rows("The machine")
    assert [row[0][0].split()[0] for row in machine] == ["runsvdir", "runsvdir", "runsv"]
    path = lay(scan / "web", log="exec cat >/dev/null")
    for program, words in (("runsvdir", ["-P", scan]), ("svscan", [scan]), ("runsv", [path]), ("supervise", [path])):
        with supervisor(program, *words):
            wait_run(path)
            assert run("sv", "shutdown", path).stdout
        wait_for(lambda: run("svok", path).returncode != 0, "the end of the supervisor")
