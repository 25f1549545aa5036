"""Every block of README.md, in order, as a reader would type it. `docker` is podman here, with images made on this
machine; `make test` is what runs this, and its targets are only looked up."""

import os
import pathlib
import re
import subprocess

import pytest

import containers
from apus import ROOT, wait_for

README = ROOT / "README.md"
# In front of PATH: podman in the place of docker, without registries and published ports. `top` prints what
# Docker's does, which is ps -ef of the container's processes.
DOCKER = """#!/bin/sh
case $1 in
build) shift; exec {podman} build {options} "$@" ;;
run) shift; exec {podman} run --network=none "$@" ;;
top) exec ps -f -p "$({podman} top "$2" hpid | sed 1d | paste -s -d ,)" ;;
*) exec {podman} "$@" ;;
esac
"""


def blocks():
    """(language, text) of each fenced block, in order."""
    return re.findall(r"^```(\S*)\n(.*?)^```$", README.read_text(), re.M | re.S)


def commands(text):
    """The commands of a console block, each with the output shown."""
    found = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return found


def without_figures(lines):
    """Lines with their numbers, times and widths of columns made equal."""
    return [re.sub(r"\d+", "N", re.sub(r"\d+:\d+(:\d+)?", "T", " ".join(line.split()))) for line in lines]


@pytest.fixture
def shell(engine, tmp_path):
    """Runs a line as a reader does, in the directory given."""
    if engine.name != "podman":
        pytest.skip("the README is about an engine")
    containers.podman("tag", "localhost/apus-base", "docker.io/library/debian:bookworm-slim")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/docker").write_text(DOCKER.format(
        podman=containers.PODMAN, options=" ".join(containers.build_options())))
    (tmp_path / "bin/docker").chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}

    def run(line, directory):
        return subprocess.run(["sh", "-c", line], cwd=directory, env=environment, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600)
    yield run
    subprocess.run([containers.PODMAN, "rm", "--force", "--time", "0", "--ignore", "box"], capture_output=True)


def test_blocks_are_of_kinds_that_are_tested():
    """The settings are in Tests/EndToEnd/test_documents.py, which runs svcheck on them."""
    assert [language for language, _ in blocks()] == ["console", "dockerfile", "console", "sh", "sh", "settings", "sh"]


def test_the_first_thirty_seconds(shell, tmp_path):
    (_, build), (_, dockerfile), (_, session) = blocks()[:3]
    place = tmp_path / "image"
    place.mkdir()
    (place / "Dockerfile").write_text(dockerfile)
    for text, directory in ((build, ROOT), (session, place)):
        for command, shown in commands(text):
            result = shell(command, directory)
            assert result.returncode == 0, (command, result.stdout)
            if shown:
                # A reader is slower than a service that starts.
                wait_for(lambda: without_figures(shell(command, directory).stdout.splitlines())
                         == without_figures(shown), f"{command}: {result.stdout}", 10)
    state = containers.podman("inspect", "--format", "{{.State.ExitCode}} {{.State.Status}}", "box")
    assert state == "0 exited\n"


def test_the_targets_for_developers():
    _, text = blocks()[3]
    targets = re.findall(r"^make (\S+)", text, re.M)
    assert targets == ["demo", "test", "machine"]
    for target in targets:
        subprocess.run(["make", "-n", target], cwd=ROOT, check=True, capture_output=True)


def test_the_targets_for_machines():
    """Tests/VM makes and boots them."""
    _, text = blocks()[6]
    for line in text.splitlines():
        subprocess.run(["sh", "-c", line.replace("make", "make -n", 1)], cwd=ROOT, check=True, capture_output=True)


def test_managing_services(start):
    container = start()
    container.write("/var/service/web/log/run", "#!/bin/sh\nexec multilog t /var/log/web\n", 0o755)
    container.write("/var/service/web/run", "#!/bin/sh\necho started\nexec sleep 1000\n", 0o755)
    container.path("/var/log").mkdir(exist_ok=True)
    _, text = blocks()[4]
    for line in text.splitlines():
        command, _, shown = line.partition("#")
        result = container.run("sh", "-c", command)
        assert result.returncode == 0, (command, result)
        if command.startswith("ln "):
            container.wait_up("/service/web")
            container.wait_up("/service/web/log")
            wait_for(lambda: "started" in container.log("/var/log/web"), "the log")
        if shown.strip().startswith("/service"):
            assert without_figures([shown.strip()])[0] == without_figures(result.stdout.splitlines())[0]
        if command.startswith("tai64nlocal"):
            assert re.search(r"^\d{4}-\d\d-\d\d [\d:.]+ started$", result.stdout, re.M)
    wait_for(lambda: container.run("svok", "/var/service/web").returncode == 100, "the end of the service")
