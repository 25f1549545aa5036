"""What users say with an engine's own words: a terminal, variables, logs, checks, and commands of other users."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import time

import pytest

import containers
from apus import wait_for

INIT = ["/usr/bin/apus", "init"]


@pytest.fixture(autouse=True)
def _only_with_an_engine(engine):
    if engine.name != "podman":
        pytest.skip("needs an engine")


def service(directory, name, script, settings=None):
    """A service beside the others."""
    place = directory / name
    place.mkdir()
    (place / "run").write_text(f"#!/bin/sh\n{script}\n")
    (place / "run").chmod(0o755)
    if settings:
        (place / "settings").write_text(settings)


def execute(container, *words, user=None):
    """What `podman exec` does."""
    return subprocess.run([containers.PODMAN, "exec", *(["--user", user] if user else []), container.name, *words],
                          capture_output=True, text=True, timeout=60)


class TestVariables:
    def test_the_service_directory(self, start, services):
        container = start(program=INIT, volumes=[(services, "/mnt:ro")], environment=["INIT_SERVICES=/mnt"])
        assert container.wait_up("/mnt/web")

    def test_the_time_for_a_stop(self, start, services):
        service(services, "stubborn", "trap '' TERM; echo on; while :; do sleep 1; done")
        container = start(program=INIT, volumes=[(services, "/service:ro")], environment=["INIT_STOP_TIMEOUT=2"])
        wait_for(lambda: "on" in container.output(), "its trap")
        status, seconds = container.stop()
        assert status == 137 and seconds < 4

    def test_waiting_and_what_is_said(self, start, services):
        service(services, "slow", "sleep 1; echo >&3; exec sleep 1000", "ready notification-fd 3\n")
        container = start("sh", "-c", "svls --check slow && echo found", program=[*INIT, "--"],
                          volumes=[(services, "/service:ro")], environment=["INIT_WAIT=yes", "INIT_VERBOSITY=2"])
        assert container.wait() == 0
        output = container.output()
        assert output.startswith("found\n") and "init: info: exiting with status 0: the command sh has ended" in output

    def test_a_rewritten_signal_and_a_signal_of_the_engine_s(self, start, services):
        container = start("perl", "-e", "$SIG{QUIT} = sub { exit 9 }; $0 = 'main'; sleep 1000 while 1",
                          program=[*INIT, "--"], volumes=[(services, "/service")], environment=["INIT_REWRITE=PWR:QUIT"],
                          options=["--stop-signal=30"])
        wait_for(lambda: "main" in [name for name, _ in container.processes().values()], "the command")
        assert container.stop()[0] == 9


class TestLastWord:
    def test_it_is_where_kubernetes_looks(self, start, services, tmp_path):
        place = tmp_path / "termination-log"
        place.write_text("")
        place.chmod(0o666)
        service(services, "main", "exit 37", "essential\nrestart never\n")
        container = start(program=INIT, volumes=[(services, "/service:ro"), (place, "/dev/termination-log")],
                          user="1000:1000")
        assert container.wait() == 37
        assert "exiting with status 37: the essential service main " in place.read_text()
        # There it is without what is for a log alone.
        assert place.read_text().removeprefix("init: ") in container.output()


class TestLogs:
    def test_names(self, start, services):
        service(services, "talker", "echo one; echo two >&2; exec sleep 1000")
        container = start(program=[*INIT, "-o", "names"], volumes=[(services, "/service:ro")])
        wait_for(lambda: {"talker: one", "talker: two"} <= set(container.output().splitlines()), "its lines")
        assert container.stop()[0] == 0

    def test_json(self, start, services):
        service(services, "talker", "echo 'say \"hi\"'; exec sleep 1000")
        container = start(program=[*INIT, "-o", "json"], volumes=[(services, "/service:ro")])
        entry = wait_for(lambda: next((one for one in map(json.loads, container.output().splitlines())
                                       if one["service"] == "talker"), None), "its line")
        assert entry["line"] == 'say "hi"' and re.match(r"\d{4}-\d\d-\d\dT", entry["time"])
        assert container.stop()[0] == 0

    def test_a_client_that_does_not_read_holds_up_nothing(self, engine, services):
        """`podman run` in the foreground, into a pipe that is full."""
        service(services, "talker", "n=0; while [ $n -lt 300 ]; do head -c 20000 /dev/zero | tr '\\0' x; echo; n=$((n+1)); done; "
                "touch /run/done; exec sleep 1000")
        name = f"apus-test-stalled-{os.getpid()}"
        command = [containers.PODMAN, "run", "--rm", "--name", name, "--network=none", "--no-healthcheck",
                   f"--volume={services}:/service:ro", "--log-driver=none", f"--entrypoint={json.dumps([*INIT, '-o', 'names'])}",
                   engine.image]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            try:
                wait_for(lambda: subprocess.run([containers.PODMAN, "exec", name, "test", "-e", "/run/done"],
                                                capture_output=True).returncode == 0, "all lines written", 60)
                result = subprocess.run([containers.PODMAN, "exec", name, "svls", "--check", "talker"], capture_output=True)
                assert result.returncode == 0, result
            finally:
                subprocess.run([containers.PODMAN, "rm", "--force", "--time", "0", name], capture_output=True)
                process.stdout.read()


class TestTools:
    """As another user than the one that the services run as."""

    @pytest.mark.parametrize("place", ["/service:ro", "/service"], ids=["state in /run", "state in the directory"])
    def test_a_stranger_is_told_that_it_may_not(self, start, services, place):
        """As with the originals, whose supervise/ is for its owner. Nobody is told that there is no service."""
        container = start(program=INIT, volumes=[(services, place)])
        container.wait_up("/service/web")
        for words, code in [("svstat /service/web", 0), ("svls --check web", 1), ("svls", 0), ("svok /service/web", 111),
                            ("svwait -t 1 up web", 111), ("svc -d /service/web", 0)]:
            result = execute(container, *words.split(), user="4321:4321")
            assert (result.returncode, "denied" in result.stdout + result.stderr) == (code, True), (words, result)
        assert container.up("/service/web")

    def test_a_user_controls_its_own(self, start, services):
        container = start(program=INIT, volumes=[(services, "/service:ro")], user="1000:1000", read_only=True)
        container.wait_up("/service/web")
        for words in ("svstat /service/web", "svls --check web", "svls", "svok /service/web", "svwait -t 1 up web",
                      "svc --wait -d /service/web", "svwait -t 1 down web"):
            result = execute(container, *words.split())
            assert (result.returncode, result.stderr) == (0, ""), (words, result)
        assert "down" in execute(container, "svstat", "/service/web").stdout

    def test_root_controls_what_a_user_runs(self, start, services):
        container = start(program=INIT, volumes=[(services, "/service:ro")], user="1000:1000")
        container.wait_up("/service/web")
        assert execute(container, "svc", "--wait", "-d", "/service/web", user="0:0").returncode == 0


class Terminal:
    """`podman run -it` on a terminal of its own."""

    def __init__(self, engine, services, *command):
        words = [str(containers.PODMAN), "run", "--rm", "--interactive", "--tty", "--network=none", "--no-healthcheck",
                 f"--volume={services}:/service:ro", f"--entrypoint={json.dumps([*INIT, '--'])}", engine.image, *command]
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.execv(words[0], words)

    def type(self, text):
        os.write(self.terminal, text.encode())

    def read_until(self, text, seconds=60):
        seen = b""
        deadline = time.monotonic() + seconds
        while text.encode() not in seen:
            assert time.monotonic() < deadline, seen
            if select.select([self.terminal], [], [], 0.1)[0]:
                try:
                    seen += os.read(self.terminal, 4096)
                except OSError:
                    raise AssertionError(seen) from None
        return seen.decode()

    def wait(self):
        """The exit status; what is still written is read."""
        def ended():
            if select.select([self.terminal], [], [], 0.05)[0]:
                try:
                    os.read(self.terminal, 4096)
                except OSError:
                    pass
            return os.waitpid(self.pid, os.WNOHANG)
        pid, status = wait_for(lambda: (found := ended())[0] and found, "the end", 30)
        self.pid = None
        return os.waitstatus_to_exitcode(status)

    def close(self):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.terminal)


class TestTerminal:
    def test_a_shell_has_job_control(self, engine, services):
        terminal = Terminal(engine, services, "bash", "--norc", "-i")
        try:
            terminal.type("PS1='pro''mpt '\n")
            assert "no job control" not in terminal.read_until("prompt ")
            terminal.type("sleep 1000\n")
            time.sleep(0.5)
            terminal.type("\x1a")
            terminal.read_until("Stopped")
            terminal.type("fg\n")
            terminal.read_until("sleep 1000")
            terminal.type("\x03")
            terminal.read_until("prompt ")
            terminal.type("svstat /service/web\n")
            terminal.read_until("up (pid ")
            terminal.type("exit 6\n")
            assert terminal.wait() == 6
        finally:
            terminal.close()
