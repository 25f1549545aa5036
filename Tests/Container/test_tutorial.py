"""Every command of docs/sshd-in-a-container.md, in order, as a reader would type it; and the examples.
Only the ways to the image and to the port are this test's: the image is built already, and the
container has no network but its own."""

import os
import pathlib
import re
import subprocess

import pytest

import containers
from apus import ROOT, wait_for

TUTORIAL = ROOT / "docs/sshd-in-a-container.md"
# A fresh directory in PATH has this as podman: the image is there, and ports are not published.
PODMAN = """#!/bin/bash
PATH=${{PATH#*:}}
case $1 in
build) exec {podman} tag {image} localhost/apus-sshd-tutorial ;;
run)
    shift
    words=(run --network=none --no-healthcheck)
    while [ $# -gt 0 ]; do
        case $1 in
        -p) shift ;;
        apus-sshd) words+=(localhost/apus-sshd-tutorial) ;;
        *) words+=("$1") ;;
        esac
        shift
    done
    exec {podman} "${{words[@]}}" ;;
*) exec {podman} "$@" ;;
esac
"""
SSH = """#!/bin/sh
# ssh -p 2222 USER@localhost COMMAND, from inside the container's network.
[ "$1 $2" = "-p 2222" ] || exit 100
PATH=${{PATH#*:}}
shift 2
pid=$({podman} inspect --format '{{{{.State.Pid}}}}' box)
exec nsenter --target "$pid" --net ssh -F none -i ~/.ssh/id_ed25519 -o BatchMode=yes \\
    -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR "$@"
"""


def blocks():
    """The tutorial's commands, each with the output it shows."""
    commands = []
    for block in re.findall(r"^```console\n(.*?)^```$", TUTORIAL.read_text(), re.M | re.S):
        for line in block.splitlines():
            if line.startswith("$ "):
                commands.append((line[2:], []))
            elif line.startswith("> "):
                commands[-1] = (f"{commands[-1][0]}\n{line[2:]}", [])
            else:
                commands[-1][1].append(line)
    return commands


@pytest.fixture
def home(engine, key, tmp_path):
    """A reader's home: a key, and podman and ssh as above."""
    if engine.name != "podman":
        pytest.skip("the tutorial is about an engine")
    (tmp_path / ".ssh").mkdir(mode=0o700)
    for suffix in ("", ".pub"):
        path = tmp_path / f".ssh/id_ed25519{suffix}"
        path.write_text(pathlib.Path(f"{key}{suffix}").read_text())
        path.chmod(0o600)
    (tmp_path / "bin").mkdir()
    for name, text in (("podman", PODMAN), ("ssh", SSH)):
        path = tmp_path / "bin" / name
        path.write_text(text.format(podman=containers.PODMAN, image=engine.image))
        path.chmod(0o755)
    yield tmp_path
    subprocess.run([containers.PODMAN, "rm", "--force", "--time", "0", "--ignore", "box", "small",
                    "safe"], capture_output=True)
    subprocess.run([containers.PODMAN, "volume", "rm", "--force", "keys", "log"],
                   capture_output=True)


def looks_like(shown, printed):
    """Whether output is what the tutorial shows, numbers of processes and seconds aside."""
    pattern = re.sub(r"\\\(pid\\ \d+\\\)\\ \d+|down\\ \d+",
                     lambda found: re.sub(r"\d+", lambda _: r"\d+", found[0]), re.escape(shown))
    return re.fullmatch(pattern, printed) is not None


def listens(container, port):
    """Whether something in `container` listens at `port`."""
    tables = subprocess.run([containers.PODMAN, "exec", container, "cat", "/proc/net/tcp",
                             "/proc/net/tcp6"], capture_output=True, text=True).stdout
    return re.search(rf":{port:04X} \S+ 0A ", tables) is not None


def test_every_command_works(home):
    commands = blocks()
    assert len(commands) > 20
    environment = {**os.environ, "HOME": str(home), "PATH": f"{home}/bin:{os.environ['PATH']}"}
    for command, shown in commands:
        if "./run" in command:
            # Nor does a reader type faster than the service comes up again.
            wait_for(lambda: listens("box", 22), "the server")
        def run():
            return subprocess.run(["sh", "-c", command], cwd=ROOT, env=environment, text=True,
                                  capture_output=True, timeout=60)
        result = run()
        if command.startswith("ssh ") and result.returncode == 255:
            # A reader is slower than a container that still makes its keys.
            result = wait_for(lambda: (again := run()).returncode != 255 and again, command, 20)
        assert result.returncode == 0, f"{command}: {result.stdout}{result.stderr}"
        if shown:
            expected = "".join(f"{line}\n" for line in shown)
            assert looks_like(expected, result.stdout), f"{command}: {result.stdout}"
        if " safe " in command:
            read = [containers.PODMAN, "exec", "safe"]
            wait_for(lambda: subprocess.run([*read, "svstat", "/service/sshd"], capture_output=True)
                     .stdout.count(b"up (pid"), "the read-only container")
            wait_for(lambda: b"tcpserver: status: 0/40" in subprocess.run(
                [*read, "cat", "/var/log/sshd/current"], capture_output=True).stdout, "its log", 20)


def test_the_capabilities_of_the_compose_file_are_those_of_the_tutorial():
    compose = (ROOT / "examples/compose.yaml").read_text()
    added = re.search(r"cap_add:\n(.*?)\n    \w", compose, re.S)[1]
    wanted = re.search(r"--cap-drop ALL --cap-add (\S+)", TUTORIAL.read_text())[1]
    assert sorted(re.findall(r"- (\w+)", added)) == sorted(wanted.split(","))


def test_a_login_needs_no_other_capability(engine, key, start):
    """sshd, tcpserver and the logger with what the examples leave them, and no new privileges."""
    if engine.name != "podman":
        pytest.skip("without an engine nothing is dropped")
    wanted = re.search(r"--cap-drop ALL --cap-add (\S+)", TUTORIAL.read_text())[1].split(",")
    container = start(volumes=[(f"{key}.pub", "/root/.ssh/authorized_keys")], only=wanted)
    wait_for(lambda: container.ssh(key, "true").returncode == 0, "a login", 20)
    assert container.ssh(key, "tty", options=["-tt"]).stdout.startswith("/dev/pts/")
    wait_for(lambda: "Accepted publickey for root" in container.log(), "the log")


def test_the_example_of_an_entry_point(engine):
    if engine.name != "podman":
        pytest.skip("the example is about an engine")
    base = ["--network=none", "--pull=never", "--format=docker"]
    containers.podman("tag", engine.image, "localhost/apus")
    containers.podman("build", *base, "--build-arg=BASE=localhost/apus-base",
                      "--tag=localhost/apus-example", str(ROOT / "examples/entrypoint"))
    result = subprocess.run([containers.PODMAN, "run", "--rm", "--network=none",
                             "localhost/apus-example", "sh", "-c", "cat /proc/1/comm; exit 5"],
                            capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (5, "apus\n")
