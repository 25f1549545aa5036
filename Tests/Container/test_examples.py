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


    def test_the_engine_checks_it_without_a_shell(self, images):
        """podman runs the image's check when it is asked to; by itself it needs timers of systemd."""
        image, name = images("scratch").image, f"apus-test-health-{os.getpid()}"
        try:
            containers.podman("run", "--detach", "--name", name, "--network=none", "--health-interval=disable", image)

            def health():
                return subprocess.run([containers.PODMAN, "healthcheck", "run", name], capture_output=True).returncode
            wait_for(lambda: health() == 0, "health")
            containers.podman("exec", name, "/usr/bin/svc", "--wait", "-d", "/service/web")
            assert health() == 1
        finally:
            subprocess.run([containers.PODMAN, "rm", "--force", "--time", "0", name], capture_output=True)


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


    def test_podman_plays_it(self, images, settings, tmp_path):
        """The file itself, but for the port: the pod has a network of its own here."""
        yaml = pytest.importorskip("yaml")
        containers.podman("tag", images("kubernetes").image, settings["containers"][0]["image"])
        deployment = yaml.safe_load((EXAMPLES / "kubernetes/deployment.yaml").read_text())
        template = deployment["spec"]["template"]
        assert template["spec"]["containers"][0].pop("ports") == [{"containerPort": 8080}]
        mark = f"apus-test-{os.getpid()}"
        deployment["metadata"]["name"] = mark
        for volume in template["spec"]["volumes"]:
            volume["name"] = f"{mark}-{volume['name']}"
        for mount in template["spec"]["containers"][0]["volumeMounts"]:
            mount["name"] = f"{mark}-{mount['name']}"
        file = tmp_path / "deployment.yaml"
        file.write_text(yaml.safe_dump(deployment))
        try:
            containers.podman("play", "kube", "--network", "none", str(file))
            for volume in template["spec"]["volumes"]:
                # An emptyDir is for everybody; podman's is the image's directory.
                place = containers.podman("volume", "inspect", "--format={{.Mountpoint}}", volume["name"]).strip()
                os.chmod(place, 0o777)
            container = containers.PodmanContainer(f"{mark}-pod-0-web")
            for probe in ("startupProbe", "livenessProbe"):
                words = template["spec"]["containers"][0][probe]["exec"]["command"]
                wait_for(lambda words=words: container.run(*words).returncode == 0, probe, 30)
            assert get(container, "/healthz", 8080) == b"ok\n"
            status = container.process_status(1 if container.processes()[1][0] == "apus" else 2)
            assert status["Uid"].split()[0] == "10001" and int(status["CapBnd"], 16) == 0 and status["NoNewPrivs"] == "1"
            assert container.run("touch", "/new").returncode != 0
            assert container.stop(30)[0] == 0
        finally:
            subprocess.run([containers.PODMAN, "play", "kube", "--down", file], capture_output=True)
            subprocess.run([containers.PODMAN, "volume", "rm", "--force",
                            *[volume["name"] for volume in template["spec"]["volumes"]]], capture_output=True)


class TestCompose:
    """compose.yaml, word for word in podman's own options; a word that this does not know is a failure."""

    @staticmethod
    def words(settings, volumes, key):
        """podman's words for a service, without ports: the container has a network of its own."""
        def mounted(entry):
            source, place = entry.split(":", 1)
            return f"--volume={f'{key}.pub' if source.startswith('./') else f'{volumes}-{source}'}:{place}"
        known = {
            "environment": lambda value: [f"--env={name}={text}" for name, text in value.items()],
            "read_only": lambda value: ["--read-only", "--read-only-tmpfs=false"] * value,
            "tmpfs": lambda value: [f"--tmpfs={one}" for one in value],
            "volumes": lambda value: [mounted(one) for one in value],
            "cap_drop": lambda value: [f"--cap-drop={one}" for one in value],
            "cap_add": lambda value: [f"--cap-add={one}" for one in value],
            "security_opt": lambda value: [f"--security-opt={one.replace(':true', '')}" for one in value],
            "stop_grace_period": lambda value: [f"--stop-timeout={value.removesuffix('s')}"],
            "restart": lambda value: [f"--restart={value}"],
            **{name: lambda value: [] for name in ("build", "image", "ports")},
        }
        return [word for name, value in settings.items() for word in known[name](value)]

    def test_it_runs_and_keeps_its_keys(self, engine, key):
        if engine.name != "podman":
            pytest.skip("needs an engine")
        yaml = pytest.importorskip("yaml")
        compose = yaml.safe_load((EXAMPLES / "compose.yaml").read_text())
        assert set(compose) == {"services", "volumes"} and list(compose["services"]) == ["sshd"]
        settings = compose["services"]["sshd"]
        assert (EXAMPLES / settings["build"] / "Dockerfile").exists() and settings["ports"] == ["2222:22"]
        assert {one.split(":")[0] for one in settings["volumes"] if one[0] != "."} == set(compose["volumes"])
        name = f"apus-test-compose-{os.getpid()}"
        seen = []
        try:
            for _ in range(2):
                containers.podman("run", "--detach", "--name", name, "--network=none", "--no-healthcheck",
                                  *self.words(settings, name, key), engine.image)
                container = containers.PodmanContainer(name)
                wait_for(lambda: container.ssh(key, "true").returncode == 0, "a login", 30)
                seen.append(container.path("/etc/ssh/ssh_host_ed25519_key.pub").read_text())
                assert container.run("touch", "/etc/new").returncode != 0
                status, seconds = container.stop()
                assert status == 0 and seconds < 5
                containers.podman("rm", name)
        finally:
            subprocess.run([containers.PODMAN, "rm", "--force", "--time", "0", "--ignore", name], capture_output=True)
            subprocess.run([containers.PODMAN, "volume", "rm", "--force", *[f"{name}-{one}" for one in compose["volumes"]]],
                           capture_output=True)
        assert len(seen) == 2 and seen[0] == seen[1]


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
