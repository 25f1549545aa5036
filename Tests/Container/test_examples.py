"""The examples: each image is built as its README says, on this machine's own release, and does what it is for."""

import itertools
import json
import os
import re
import subprocess
import threading
import time

import pytest

import containers
from apus import BIN, ROOT, wait_for

EXAMPLES = ROOT / "examples"
IMAGES = {name: f"localhost/apus-example-{name}" for name in ("web-ssh-cron", "postgres", "kubernetes", "scratch")}
# What the Deployment has volumes for, which everybody may write to.
VOLUMES = {"/run", "/tmp"}


@pytest.fixture(scope="module", name="images")
def _images(tmp_path_factory):
    """Builds an image when it is asked for."""
    works = containers.podman_works()
    if works is not True:
        pytest.skip(f"the examples are for an engine: {works}")
    containers.make_base()
    containers.make_tools(tmp_path_factory.mktemp("tools"))
    made = set()

    def build(name):
        if name not in made:
            containers.podman("build", *containers.BUILD, "--build-arg=BASE=localhost/apus-base",
                              f"--tag={IMAGES[name]}", str(EXAMPLES / name))
            made.add(name)
        return containers.Podman(IMAGES[name])
    return build


@pytest.fixture(name="start")
def _start(images):
    started = []

    def start(name, *arguments, **options):
        container = images(name).start(*arguments, **options)
        started.append(container)
        return container
    yield start
    for container in started:
        container.remove()


def get(container, path, port):
    """The body of a page, nothing while there is no server."""
    try:
        with container.connect(port) as connection:
            connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            answer = b""
            while block := connection.recv(65536):
                answer += block
    except OSError:
        return b""
    return answer.partition(b"\r\n\r\n")[2]


def ready(container, *services):
    """Whether the image's own check, or the example's probe, says that they are ready."""
    return container.run("svwait", "-t", "1", "ready", *services).returncode == 0


def healthcheck(name):
    """The words of an image's own check."""
    return re.search(r"^HEALTHCHECK CMD (.*)$", (EXAMPLES / name / "Dockerfile").read_text(), re.M)[1]


class TestImage:
    """The Dockerfile's target `apus`, on a scratch image."""

    def test_it_has_the_programs_their_pages_and_nothing_else(self, images, tmp_path):
        images("scratch")
        name = f"apus-test-image-{os.getpid()}"
        containers.podman("create", "--name", name, "localhost/apus")
        try:
            with subprocess.Popen([containers.PODMAN, "export", name], stdout=subprocess.PIPE) as export:
                subprocess.run(["tar", "-C", tmp_path, "-x"], stdin=export.stdout, check=True)
        finally:
            containers.podman("rm", name)
        programs = subprocess.run([tmp_path / "usr/bin/apus", "--list"], capture_output=True, text=True,
                                  check=True).stdout.split()
        assert sorted(os.listdir(tmp_path / "usr/bin")) == sorted([*programs, "apus"])
        pages = {path.name for path in (tmp_path / "usr/share/man").glob("man*/*")}
        assert pages == {path.name for path in (ROOT / "man").iterdir()}
        assert (tmp_path / "usr/share/doc/apus/LICENSE").exists()
        assert {path.name for path in (tmp_path / "usr").iterdir()} == {"bin", "share"}

    def test_it_installs_itself_where_an_image_wants_it(self, images):
        images("scratch")
        result = subprocess.run([containers.PODMAN, "run", "--rm", "--network=none", "--entrypoint",
                                 '["/usr/bin/apus"]', "localhost/apus", "--install", "/opt/bin"], capture_output=True,
                                text=True)
        assert (result.returncode, result.stderr) == (0, "")


class TestScratch:
    def test_it_serves_and_tells(self, start):
        container = start("scratch")
        wait_for(lambda: ready_by_binary(container), "the server", 20)
        assert get(container, "/", 8080) == b"Hello from scratch.\n"
        wait_for(lambda: re.search(r"^web: .*response:200$", container.output(), re.M), "the line of the request")
        statuses = [container.process_status(pid) for pid, (name, _) in container.processes().items() if name == "httpd"]
        assert statuses and all(status["Uid"].split()[0] == "65532" and int(status["CapBnd"], 16) >= 0
                                and int(status["CapEff"], 16) == 0 and status["NoNewPrivs"] == "1"
                                for status in statuses)
        status, seconds = container.stop()
        assert status == 0 and seconds < 5


def ready_by_binary(container):
    """There is no env(1) in the image that `Container.run` goes by."""
    result = subprocess.run([containers.PODMAN, "exec", container.name, *json.loads(healthcheck("scratch"))],
                            capture_output=True)
    return result.returncode == 0


class TestWebSshCron:
    @pytest.mark.parametrize("below", [False, True], ids=["process 1", "below another init"])
    def test_all_three_write_with_their_names(self, start, key, below):
        container = start("web-ssh-cron", volumes=[(f"{key}.pub", "/root/.ssh/authorized_keys")], below=below)
        words = healthcheck("web-ssh-cron").split()
        wait_for(lambda: container.run(*words).returncode == 0, "the services", 30)
        assert b"Welcome to nginx" in get(container, "/", 80)
        wait_for(lambda: container.ssh(key, "echo", "in").stdout == "in\n", "a login")
        wait_for(lambda: re.search(r'^nginx: 127\.0\.0\.1 .*"GET / HTTP/1\.0" 200', container.output(), re.M),
                 "nginx's line")
        wait_for(lambda: re.search(r"^sshd: Accepted publickey for root", container.output(), re.M), "sshd's line")
        if not below:
            # cron looks once a minute.
            wait_for(lambda: re.search(r"^cron: hello$", container.output(), re.M), "cron's line", 90)
        status, seconds = container.stop()
        assert status == 0 and seconds < 6
        named = re.compile(r"(nginx|sshd|cron): ")
        assert [line for line in container.output().splitlines() if not named.match(line)] == []


class TestPostgres:
    def test_a_client_is_waited_for(self, start):
        container = start("postgres")
        wait_for(lambda: container.run(*healthcheck("postgres").split()).returncode == 0, "the database", 60)

        def query(text):
            return container.run("setuidgid", "postgres", "psql", "-qAtc", text)
        assert query("create table t (a int); insert into t values (7); select a from t").stdout == "7\n"
        results = []
        client = threading.Thread(target=lambda: results.append(query("select pg_sleep(12), 42")))
        client.start()
        wait_for(lambda: "pg_sleep" in query("select query from pg_stat_activity where pid <> pg_backend_pid()").stdout,
                 "the client")
        # Longer than the ten seconds of an engine.
        status, seconds = container.stop(70)
        client.join()
        assert results[0].stdout == "|42\n"
        assert status == 0 and 10 < seconds < 30
        assert "database system is shut down" in container.output()


class TestKubernetes:
    """What a kubelet does, by the settings of the Deployment."""

    @pytest.fixture(name="settings")
    def _settings(self):
        yaml = pytest.importorskip("yaml")
        deployment = yaml.safe_load((EXAMPLES / "kubernetes/deployment.yaml").read_text())
        return deployment["spec"]["template"]["spec"]

    @pytest.mark.parametrize("user", [None, "1000720000:0"], ids=["the image's user", "a user of OpenShift"])
    def test_it_is_ready_and_stops(self, start, settings, user, tmp_path):
        one = settings["containers"][0]
        assert {mount["mountPath"] for mount in one["volumeMounts"]} == VOLUMES
        assert one["securityContext"]["readOnlyRootFilesystem"] and one["securityContext"]["capabilities"]["drop"] == ["ALL"]
        volumes = [(tmp_path / path[1:], path) for path in VOLUMES]
        for here, _ in volumes:
            here.mkdir()
            here.chmod(0o777)
        container = start("kubernetes", read_only=True, volumes=volumes, only=[], user=user)
        for probe in ("startupProbe", "livenessProbe"):
            wait_for(lambda probe=probe: container.run(*one[probe]["exec"]["command"]).returncode == 0, probe, 30)
        page = one["readinessProbe"]["httpGet"]
        assert get(container, page["path"], page["port"]) == b"ok\n"
        assert b"Welcome to nginx" in get(container, "/", page["port"])
        wait_for(lambda: '"GET / HTTP/1.0' in container.output(), "the line of the request")
        # A request that is under way may end.
        with container.connect(8080) as connection:
            connection.sendall(b"GET /healthz HTTP/1.0\r\n")
            time.sleep(0.2)
            stopping = threading.Thread(target=container.stop, args=[settings["terminationGracePeriodSeconds"]])
            stopping.start()
            time.sleep(1)
            connection.sendall(b"\r\n")
            assert connection.recv(65536).endswith(b"ok\n")
        stopping.join()
        assert container.wait() == 0
        entries = [json.loads(line) for line in container.output().splitlines()]
        assert {entry["service"] for entry in entries} <= {"web", "init"}
        assert any('"GET / HTTP/1.0"' in entry["line"].replace("\\\"", '"') for entry in entries)


def test_service_directories_are_in_order():
    for place in itertools.chain(EXAMPLES.glob("*/services"), EXAMPLES.glob("*/root/service")):
        result = subprocess.run([BIN / "svcheck", place], capture_output=True, text=True)
        # The interpreter is in the image.
        told = [line for line in (result.stdout + result.stderr).splitlines() if "its interpreter /usr/bin/chain" not in line]
        assert told == []
        for run in place.glob("*/run"):
            if run.read_text().startswith("#!/usr/bin/chain\n"):
                result = subprocess.run([BIN / "chain", "-n", run], capture_output=True, text=True)
                assert (result.returncode, result.stderr) == (0, "")
