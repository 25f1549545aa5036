"""A container whose insides are killed, filled, garbled, moved, paused and restarted: process 1 goes on, and stops in
order."""

import os
import random

import pytest

import containers
from apus import wait_for

INIT = ["/usr/bin/apus", "init", "-t", "4"]
FILES = ["settings", "down", "finish", "log", "notification-fd", "timeout-finish", "timeout-kill", "down-signal", "type",
         "dependencies", "contents", "start", "stop", "notify", "control", "lock-fd", "flag-timeout-killpg"]
STATE = ["status", "status.new", "lock", "ok", "control", "pid", "stat", "state", "state.new", "death_tally"]


@pytest.fixture(autouse=True)
def _only_with_an_engine(engine):
    if engine.name != "podman":
        pytest.skip("needs an engine")


def run_file(path, script="exec sleep 1000"):
    path.mkdir(parents=True, exist_ok=True)
    (path / "run").write_text(f"#!/bin/sh\n{script}\n")
    (path / "run").chmod(0o755)


def ends_well(container):
    status, seconds = container.stop()
    assert status == 0 and seconds < 6, container.output()


def test_all_but_process_1_is_killed(start, services):
    run_file(services / "logged", "while :; do echo line; sleep 0.1; done")
    run_file(services / "logged/log", "exec multilog t ./main")
    container = start(program=INIT, volumes=[(services, "/service")])
    names = ["/service/web", "/service/logged", "/service/logged/log"]
    for _ in range(5):
        before = [container.wait_up(name) for name in names]
        # That spares the one who asks for it, and process 1.
        container.run("sh", "-c", "kill -9 -1")
        for name, pid in zip(names, before):
            container.wait_up(name, other_than=pid)
    ends_well(container)


def test_a_full_disk(start, services):
    """In the service directory, where state and logs are."""
    run_file(services / "logged", "while :; do echo line; sleep 0.1; done")
    run_file(services / "logged/log", "exec multilog t ./main")
    container = start(program=["/bin/sh", "-c", 'cp -a /mnt/. /service && exec "$0" "$@"', *INIT],
                      volumes=[(services, "/mnt:ro")], options=["--tmpfs=/service:size=300k"])
    names = ["/service/web", "/service/logged", "/service/logged/log"]
    for name in names:
        container.wait_up(name)
    assert container.run("dd", "if=/dev/zero", "of=/service/.fill").returncode == 1
    assert container.run("svc", "--wait", "-d", "/service/web").returncode == 0
    assert container.status("/service/web").startswith("down ")
    before = [container.up(name) for name in names]
    container.run("sh", "-c", "kill -9 -1")
    for name, pid in list(zip(names, before))[1:]:
        container.wait_up(name, other_than=pid)
    container.path("/service/.fill").unlink()
    container.run("svc", "-u", "/service/web")
    container.wait_up("/service/web")
    size = len(container.log("/service/logged/log/main"))
    wait_for(lambda: len(container.log("/service/logged/log/main")) > size, "more lines")
    ends_well(container)


@pytest.mark.parametrize("seed", range(3))
def test_garbage_in_every_file(start, services, seed):
    dice = random.Random(seed)
    for number in range(4):
        run_file(services / f"s{number}", "exec sleep 1000")
    container = start(program=INIT, volumes=[(services, "/service")])
    pid = container.wait_up("/service/web")
    for number in range(4):
        container.wait_up(f"/service/s{number}")
        for name in [*FILES, *(f"supervise/{file}" for file in STATE)]:
            path = services / f"s{number}" / name
            if dice.random() < 0.5:
                path.unlink(missing_ok=True)
                path.write_bytes(dice.randbytes(dice.choice([0, 1, 18, 20, 4000])))
                path.chmod(dice.choice([0o644, 0o755]))
    for _ in range(3):
        for number in range(4):
            container.run("svc", dice.choice(["-t", "-d", "-u", "-o", "-x"]), f"/service/s{number}")
        os.kill(container.pid, 1)
        assert container.run("svls").returncode == 0
    container.run("sh", "-c", "kill -9 -1")
    container.wait_up("/service/web", other_than=pid)
    # What garbage asked for may have been a service that is not stopped by TERM, and so killed.
    status, seconds = container.stop()
    assert status in (0, 137) and seconds < 6
    assert all(ord(letter) >= 32 or letter == "\n" for letter in container.output())


def test_directories_that_move(start, services):
    container = start(program=["/bin/sh", "-c", 'cp -a /mnt/. /service && rm -f /service/sshd && exec "$0" "$@"', *INIT],
                      volumes=[(services, "/mnt:ro")], options=["--tmpfs=/all:mode=755"])
    container.wait_up("/service/web")
    # The service directory itself, to another file system and back.
    container.run("sh", "-c", "mv /service /all/gone && mkdir -p /service/new && cp /mnt/web/run /service/new/run")
    container.wait_up("/service/new")
    container.run("sh", "-c", "rm -rf /service && mkdir /service && mv /all/gone/web /service/again")
    container.wait_up("/service/again")
    # A file, and a link to itself, in its place.
    container.run("sh", "-c", "rm -rf /service && : > /service && rm /service && ln -s /service /service")
    container.run("sh", "-c", "rm /service && mkdir -p /service/last && cp /mnt/web/run /service/last/run")
    container.wait_up("/service/last")
    ends_well(container)


def test_pauses_and_restarts(start, services):
    container = start(program=INIT, volumes=[(services, "/service")])
    for _ in range(2):
        pid = container.wait_up("/service/web")
        containers.podman("pause", container.name)
        containers.podman("kill", "--signal=HUP", container.name)
        containers.podman("unpause", container.name)
        assert container.run("svls", "--check", "web").returncode == 0 and container.up("/service/web") == pid
        containers.podman("restart", "--time=5", container.name)
        container = containers.PodmanContainer(container.name)
    container.wait_up("/service/web")
    ends_well(container)
