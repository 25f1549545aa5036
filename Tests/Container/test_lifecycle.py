"""A container's start and end: stop, exit status, and the surroundings it has to do with."""

import json
import os
import re
import signal
import subprocess

import pytest

import containers
from apus import ROOT, wait_for

SSHD, LOG = "/service/sshd", "/service/sshd/log"


def program(services, command="apus init"):
    """An entry point that lays out `services`, name -> (run script, the log's or None), alone."""
    lines = ["rm -f /service/sshd"]
    for name, (run, log) in services.items():
        for place, script in ((f"/services/{name}", run), (f"/services/{name}/log", log)):
            if script is not None:
                lines += [f"mkdir -p {place}", f"cat > {place}/run <<'END'", "#!/bin/sh", script,
                          "END", f"chmod 755 {place}/run"]
        lines.append(f"ln -s /services/{name} /service/{name}")
    return ["/bin/sh", "-c", "\n".join([*lines, f"exec {command}"])]


@pytest.fixture
def logs(tmp_path):
    """A directory of this machine for a container's log, which outlives the container."""
    directory = tmp_path / "logs"
    directory.mkdir()
    return directory


def written(directory):
    """All a multilog wrote there, without the stamps."""
    files = sorted(directory.glob("@*")) + [directory / "current"]
    return [line[26:] for file in files for line in file.read_text().splitlines()]


def names(container):
    return [name for name, _ in container.processes().values()]


class TestStop:
    def test_sshd_with_an_open_session_stops_at_once_with_a_complete_log(self, start, key, logs):
        container = start(volumes=[(f"{key}.pub", "/root/.ssh/authorized_keys"),
                                   (logs, "/var/log/sshd")])
        wait_for(lambda: container.ssh(key, "true").returncode == 0, "a login", 30)
        session = subprocess.Popen(
            ["nsenter", f"--target={container.pid}", "--net", "ssh", "-F", "none", "-i", key,
             "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
             "root@127.0.0.1", "sleep 1000"], stderr=subprocess.DEVNULL)
        wait_for(lambda: "sleep" in names(container), "the session")
        status, seconds = container.stop()
        session.wait(10)
        assert status == 0 and seconds < 3
        lines = written(logs)
        assert sum(line.startswith("Accepted publickey") for line in lines) == 2
        # multilog has seen the end of its input: what it closed in order is executable.
        assert (logs / "current").stat().st_mode & 0o777 == 0o744

    def test_the_last_words_of_a_service_are_in_its_log(self, start, logs):
        container = start(volumes=[(logs, "/logs")], program=program({"talker": (
            """exec perl -e '
                $SIG{TERM} = sub { print "number $_\n" for 1..5000; print "the end\n"; exit 0 };
                $| = 1; print "ready\n"; sleep 1000 while 1'""",
            "exec multilog t s16000000 /logs/talker")}))
        wait_for(lambda: (logs / "talker/current").exists() and written(logs / "talker"), "ready")
        status, seconds = container.stop()
        assert status == 0 and seconds < 3
        complete = written(logs / "talker") == (
            ["ready"] + [f"number {n}" for n in range(1, 5001)] + ["the end"])
        assert complete
        assert (logs / "talker/current").stat().st_mode & 0o777 == 0o744

    def test_what_ignores_term_is_killed_within_the_time_given(self, start):
        container = start(program=program({"stubborn": (
            "trap '' TERM; while :; do sleep 1; done", None)}, "apus init -t 2"))
        wait_for(lambda: "sleep" in names(container), "its trap")
        status, seconds = container.stop()
        # Most of the two seconds are the service's, whose end by force the status tells.
        assert status == 137 and 0.9 < seconds < 3

    def test_a_detached_process_is_told_too(self, start, logs):
        container = start(volumes=[(logs, "/logs")], program=program({}))
        wait_for(lambda: "apus" in names(container), "apus")
        container.run("sh", "-c", """setsid perl -e '
            $SIG{TERM} = sub { open F, ">", "/logs/told"; exit 0 };
            open F, ">", "/logs/ready"; sleep 1000 while 1' > /dev/null 2>&1 < /dev/null &""")
        wait_for(lambda: (logs / "ready").exists(), "the detached process")
        status, seconds = container.stop()
        assert status == 0 and seconds < 3
        assert (logs / "told").exists()

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, 37])
    def test_signals_that_stop(self, start, number):
        container = start()
        container.wait_up(SSHD)
        os.kill(container.pid, number)
        assert container.wait() == 0


class TestMainCommand:
    @pytest.mark.parametrize("code", [0, 1, 7, 255])
    def test_its_exit_status_is_the_container_s(self, engine, code):
        assert engine.call("sh", "-c", f"exit {code}").returncode == code

    def test_death_by_a_signal_is_128_and_the_signal(self, engine):
        assert engine.call("sh", "-c", "kill -KILL $$").returncode == 137

    def test_a_command_that_is_not_there(self, engine):
        result = engine.call("/nonexistent")
        assert result.returncode == 127
        assert "init: fatal: unable to run /nonexistent: file does not exist\n" in result.stderr

    def test_services_run_beside_it_and_its_output_is_the_container_s(self, engine):
        result = engine.call("sh", "-c", "until svok /service/sshd; do sleep 0.1; done; echo up")
        assert (result.returncode, result.stdout) == (0, "up\n")

    def test_stop_reaches_it(self, start):
        container = start("perl", "-e", "$SIG{TERM} = sub { exit 9 }; $0 = 'main'; "
                          "sleep 1000 while 1")
        wait_for(lambda: "main" in names(container), "the command")
        status, seconds = container.stop()
        assert status == 9 and seconds < 3


class TestSurroundings:
    def test_below_another_init(self, start, key):
        """As with `docker run --init`, with shared process namespaces, or where a platform has a
        process 1 of its own."""
        container = start(below=True, volumes=[(f"{key}.pub", "/root/.ssh/authorized_keys")])
        wait_for(lambda: container.ssh(key, "true").returncode == 0, "a login", 30)
        apus = next(pid for pid, (name, _) in container.processes().items() if name == "apus")
        assert apus != 1
        # An orphan comes to apus, not to process 1.
        container.service("parent", "(exec sleep 1001 &)\nexec sleep 1000")
        container.wait_up("/service/parent")

        def orphan():
            for pid, (name, _) in container.processes().items():
                if name == "sleep" and b"1001" in container.path(f"/proc/{pid}/cmdline").read_bytes():
                    return pid
            return None

        pid = wait_for(orphan, "the orphan")
        wait_for(lambda: container.process_status(pid)["PPid"] == str(apus), "its adoption")
        status, seconds = container.stop()
        assert status == 0 and seconds < 3

    def test_as_an_ordinary_user(self, start):
        """Any user, any directory it may write to, no capability at all."""
        container = start(user="1234:1234", program=["/bin/sh", "-c", """
            mkdir -p /tmp/service/hello
            printf '#!/bin/sh\\nid -u > id; exec sleep 1000\\n' > /tmp/service/hello/run
            chmod 755 /tmp/service/hello/run
            exec apus init --services /tmp/service"""])
        container.wait_up("/tmp/service/hello")
        identity = container.path("/tmp/service/hello/id")
        wait_for(lambda: identity.exists() and identity.read_text() == "1234\n", "the service")
        assert container.output() == ""
        status, seconds = container.stop()
        assert status == 0 and seconds < 3

    def test_with_a_read_only_root(self, start, key):
        container = start(read_only=True, temporary=["/etc/ssh", "/var/log/sshd"],
                          volumes=[(f"{key}.pub", "/root/.ssh/authorized_keys")])
        wait_for(lambda: container.ssh(key, "true").returncode == 0, "a login", 30)
        assert container.run("touch", "/etc/written").returncode != 0
        assert container.run("svc", "-c", SSHD, LOG).stderr == ""
        assert re.fullmatch(rf"{SSHD}: up \(pid \d+\) \d+ seconds\n"
                            rf"{LOG}: up \(pid \d+\) \d+ seconds\n",
                            container.run("svstat", SSHD, LOG).stdout)
        status, seconds = container.stop()
        assert status == 0 and seconds < 3

    def test_the_environment_of_the_container_reaches_services(self, start):
        container = start(environment=["GREETING=hello"])
        pid = container.wait_up(SSHD)
        assert b"GREETING=hello\0" in container.path(f"/proc/{pid}/environ").read_bytes()

    def test_services_get_no_descriptor_of_process_1(self, start):
        container = start(program=program({"plain": ("exec sleep 1000", "exec sleep 1001")}))
        for service in ("/service/plain", "/service/plain/log"):
            pid = container.wait_up(service)
            wait_for(lambda: container.process_status(pid)["Name"] == "sleep", "sleep")
            found = sorted(int(entry.name) for entry in container.path(f"/proc/{pid}/fd").iterdir())
            assert found == [0, 1, 2]


class TestImage:
    @pytest.fixture(scope="class")
    def configuration(self, engine):
        if engine.name != "podman":
            pytest.skip("there is no image without an engine")
        text = subprocess.check_output([containers.PODMAN, "image", "inspect", engine.image])
        image = json.loads(text)[0]
        return {"Healthcheck": image.get("Healthcheck"), **image["Config"]}

    def test_what_it_says_about_itself(self, configuration):
        assert configuration["Entrypoint"] == ["/usr/bin/apus", "init", "--"]
        assert configuration["ExposedPorts"] == {"22/tcp": {}}
        assert configuration["StopSignal"] in ("15", "SIGTERM")
        assert configuration["Healthcheck"]["Test"][0] == "CMD-SHELL"

    def test_its_health_is_checked(self, configuration, start):
        container = start()
        check = configuration["Healthcheck"]["Test"][1]

        def healthy():
            return container.run("sh", "-c", check).returncode == 0

        wait_for(healthy, "health", 20)
        container.run("svc", "-d", LOG)
        wait_for(lambda: not healthy(), "ill health")

    def test_there_is_no_host_key_in_it(self, engine):
        result = engine.call("sh", "-c", "rm -f /service/sshd; ls /etc/ssh")
        # Those of the container itself may be there already.
        assert "ssh_config" in result.stdout

    def test_each_container_has_keys_of_its_own(self, start):
        keys = set()
        for _ in range(2):
            path = start().path("/etc/ssh/ssh_host_ed25519_key.pub")
            keys.add(wait_for(lambda: path.exists() and path.read_text(), "a host key", 20))
        assert len(keys) == 2


class TestDemo:
    @pytest.mark.parametrize("how", ["podman", "namespaces"])
    def test_it_does_all_it_says_and_leaves_nothing(self, how):
        if how == "podman" and containers.podman_works() is not True:
            pytest.skip("podman does not work here")
        process = subprocess.run([ROOT / "Scripts/demo", "--once", "--engine", how],
                                 capture_output=True, text=True, timeout=300)
        everything = process.stdout + process.stderr
        assert process.returncode == 0, everything
        for text in (f"process 1 is apus, by {how}", "This is root from ", "process 1 is apus.",
                     "Seccomp:\t2", "No new user namespace", "/service/sshd: up (pid ",
                     "/service/sshd/log: up (pid ", "Accepted publickey for root", "exit status 0"):
            assert text in process.stdout, everything
        assert re.search(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{9} tcpserver: ok ", process.stdout,
                         re.M)
        assert subprocess.run(["pgrep", "-f", "apus-demo-"], capture_output=True).stdout == b""
