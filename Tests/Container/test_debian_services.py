"""Service directories of Debian's packages as they come, under Apus where runit is not installed: docs/from-runit.md."""

import re
import subprocess

import pytest

import containers
from apus import ROOT, wait_for

TEXT = (ROOT / "docs/from-runit.md").read_text()
LINKS = re.search(r"^## Debian's services\n.*?^```sh\n(.*?)^```$", TEXT, re.M | re.S)[1].replace("/etc/sv/ssh", "$1")

# Each service that comes up in a container without a network: what is left to whoever installs its package, and what
# its log has then.
SERVICES = {
    "bcron-sched": ("", "bcron-sched: Starting"),
    "bcron-update": ("", "bcron-update: +/etc/crontab"),
    "git-daemon": ("mkdir -p /var/lib/git", "Ready to rumble"),
    "mini-httpd": ("mkdir -p /var/www/html; echo 127.0.0.1 localhost > /etc/hosts", "mini_httpd"),
    "socklog-inet": ("", "listening on 0.0.0.0:514"),
    "socklog-unix": ("", "listening on /dev/log"),
    "ssh": ("ssh-keygen -A; echo \"SSHD_OPTS='-p 2222'\" > /etc/default/ssh",
            "Server listening on 0.0.0.0 port 2222"),
    "tor": ("", "Opened Control listener connection (ready)"),
}


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    """Namespaces with the packages installed; no image is needed."""
    root = ROOT / "build/services-root"
    subprocess.run([ROOT / "Scripts/make-services-root", root], check=True, stdout=subprocess.DEVNULL)
    return containers.Namespaces(str(root), tmp_path_factory.mktemp("debian"))


@pytest.fixture
def start(engine):
    started = []

    def function(*program):
        started.append(engine.start(program=["/bin/sh", "-c", "mkdir -p /service; exec \"$@\"", "sh", *program]))
        return started[-1]
    yield function
    for container in started:
        container.remove()


def files(container, name):
    return container.run("find", f"/etc/sv/{name}/", "-type", "f", "-exec", "sha256sum", "{}", "+").stdout


def logs(container):
    return container.run("sh", "-c", "find /var/log -name current -exec cat {} +").stdout


def switch_on(container, name, preparation):
    made = container.run("sh", "-ec", preparation)
    assert made.returncode == 0, made
    laid = container.run("sh", "-ec", LINKS, "sh", f"/etc/sv/{name}")
    assert laid.returncode == 0, laid


@pytest.mark.parametrize("program", [["init"], ["runsvdir", "-P", "/service"]], ids=["init", "runsvdir"])
@pytest.mark.parametrize("name", SERVICES)
def test_it_comes_up_unedited(start, name, program):
    container = start(*program)
    preparation, line = SERVICES[name]
    switch_on(container, name, preparation)
    before = files(container, name)
    service = f"/service/{name}"
    pid = container.wait_up(service, seconds=30)
    container.wait_up(f"{service}/log")
    wait_for(lambda: line in logs(container), "its line in the log", 30)
    # It is no restart after the other.
    wait_for(lambda: re.match(r"up .* [3-9] seconds$", container.status(service)), "three seconds of it", 30)
    assert container.up(service) == pid
    assert container.run("sv", "status", service).stdout.startswith(f"run: {service}: (pid ")
    assert files(container, name) == before


def test_one_that_must_not_be_started_yet_stays_down(start):
    container = start("init")
    switch_on(container, "opendnssec-signer", "")
    wait_for(lambda: "Not starting OpenDNSSEC Signer" in logs(container), "the reason", 30)
    wait_for(lambda: container.status("/service/opendnssec-signer").startswith("down "), "the end")


def test_ssh_stays_down_where_somebody_does_not_want_it(start):
    container = start("init")
    switch_on(container, "ssh", SERVICES["ssh"][0])
    container.wait_up("/service/ssh", seconds=30)
    wait_for(lambda: SERVICES["ssh"][1] in logs(container), "sshd", 30)
    container.write("/etc/ssh/sshd_not_to_be_run", "")
    assert container.run("sv", "restart", "ssh").returncode in (0, 1)
    wait_for(lambda: container.status("/service/ssh").startswith("down "), "the service to stay down")
    assert container.run("sv", "status", "ssh").stdout.startswith("down: ssh: ")


def test_the_policy_of_an_image_is_heeded(start):
    container = start("init")
    container.write("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)
    switch_on(container, "ssh", SERVICES["ssh"][0])
    wait_for(lambda: "denied by policy-rc.d" in logs(container), "the reason", 30)
    wait_for(lambda: container.status("/service/ssh").startswith("down "), "the service to stay down")
