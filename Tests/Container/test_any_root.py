"""Whatever an engine gives a container or takes from it: services run, and the tools find them."""

import os
import re

import pytest

from apus import wait_for

INIT = ["/usr/bin/apus", "init", "-t", "4"]


def tool(container, *words):
    return container.run(*words)


def check(container, controls=True):
    """The service is up; if `controls`, also after it was told to end and start again."""
    pid = container.wait_up("/service/web")
    assert tool(container, "svls", "--check", "web").returncode == 0
    if controls:
        assert tool(container, "svc", "--wait", "-d", "/service/web").returncode == 0
        assert tool(container, "svc", "-u", "/service/web").returncode == 0
        assert container.wait_up("/service/web", other_than=pid) != pid
    status, seconds = container.stop()
    assert status == 0 and seconds < 5


class TestUsersAndRoots:
    @pytest.mark.parametrize("user", [None, "1000:1000", "1234:0", "65534:65534"])
    @pytest.mark.parametrize("read_only", [False, True], ids=["writable", "read-only"])
    def test_any_user_on_any_root(self, start, services, user, read_only):
        check(start(program=INIT, volumes=[(services, "/service")], user=user, read_only=read_only))

    @pytest.mark.parametrize("user", [None, "1000:1000"])
    def test_without_capabilities_and_without_new_ones(self, start, services, user):
        check(start(program=INIT, volumes=[(services, "/service:ro")], user=user, only=[]))

    @pytest.mark.parametrize("user", [None, "1000:1000"])
    def test_below_another_init(self, start, services, user):
        check(start(program=INIT, volumes=[(services, "/service:ro")], user=user, below=True))


class TestEngine:
    """What only an engine knows how to take away."""

    def start(self, start, engine, services, *options, **more):
        if engine.name != "podman":
            pytest.skip("needs an engine")
        return start(program=INIT, volumes=[(services, "/service:ro")], options=options, **more)

    def test_nothing_that_can_be_written_to(self, start, engine, services):
        container = self.start(start, engine, services, "--read-only-tmpfs=false", "--ipc=none", read_only=True,
                               user="1000:1000")
        wait_for(lambda: [name for name, _ in container.processes().values()].count("sleep") == 1, "the service")
        assert container.output().count("without supervise/control and supervise/status") == 1
        assert container.stop()[0] == 0

    def test_nothing_but_what_is_for_shared_memory(self, start, engine, services):
        check(self.start(start, engine, services, "--read-only-tmpfs=false", read_only=True, user="1000:1000", only=[]))

    def test_no_right_to_execute_what_is_in_run_and_tmp(self, start, engine, services):
        check(self.start(start, engine, services, "--tmpfs=/run:noexec", "--tmpfs=/tmp:noexec", read_only=True))

    def test_the_pids_of_the_machine(self, start, engine, services):
        check(self.start(start, engine, services, "--pid=host"))

    def test_few_processes(self, start, engine, services):
        container = self.start(start, engine, services, "--pids-limit=3")
        container.wait_up("/service/web")
        assert container.stop()[0] == 0

    def test_little_memory(self, start, engine, services):
        check(self.start(start, engine, services, "--memory=8m"))


class TestStops:
    @pytest.mark.parametrize("number", [2, 15, 30, 37, 38, 39, 40])
    def test_every_signal_by_which_engines_stop(self, start, services, number):
        container = start(program=INIT, volumes=[(services, "/service")])
        container.wait_up("/service/web")
        os.kill(container.pid, number)
        assert container.wait() == 0

    def test_a_rewritten_one(self, start, services):
        container = start("perl", "-e", "$SIG{QUIT} = sub { exit 9 }; $0 = 'main'; sleep 1000 while 1",
                          program=[*INIT, "--"], volumes=[(services, "/service")], environment=["INIT_REWRITE=15:3"])
        wait_for(lambda: "main" in [name for name, _ in container.processes().values()], "the command")
        assert container.stop()[0] == 9

    def test_an_essential_service_s_status_and_last_word(self, start, services):
        (services / "web/run").write_text("#!/bin/sh\nexit 37\n")
        (services / "web/settings").write_text("essential\nrestart never\n")
        container = start(program=INIT, volumes=[(services, "/service")])
        assert container.wait() == 37
        assert re.search(r"exiting with status 37: the essential service web has ", container.output())


def test_health_from_outside(engine, start, services):
    container = start(program=INIT, volumes=[(services, "/service")])
    container.wait_up("/service/web")
    wait_for(lambda: tool(container, "svls", "--check=1", "web").returncode == 0, "a second of health")
    tool(container, "svc", "-d", "/service/web")
    wait_for(lambda: tool(container, "svls", "--check", "web").returncode == 1, "the end of health")
