"""A service directory of a Debian package, as it comes, under Apus alone: docs/from-runit.md."""

import re

from apus import ROOT, wait_for

TEXT = (ROOT / "docs/from-runit.md").read_text()


def test_debians_ssh_runs_unedited(start):
    container = start()
    # What the package runit, or its helper, makes on a whole Debian; and the port of the image's own sshd is taken.
    made = container.run("sh", "-ec", "useradd --system --no-create-home _runit-log; mkdir -p /var/log/runit/ssh")
    assert made.returncode == 0, made
    container.write("/etc/default/ssh", "SSHD_OPTS='-p 2222'\n")
    before = container.run("cat", "/etc/sv/ssh/run", "/etc/sv/ssh/finish", "/etc/sv/ssh/log/run").stdout
    assert "/lib/runit/invoke-run" in before
    block = re.search(r"^## Debian's services\n.*?^```sh\n(.*?)^```$", TEXT, re.M | re.S)[1]
    laid = container.run("sh", "-ec", block)
    assert laid.returncode == 0, laid
    container.wait_up("/service/ssh")
    container.wait_up("/service/ssh/log")
    wait_for(lambda: "Server listening on 0.0.0.0 port 2222" in container.run(
        "cat", "/var/log/runit/ssh/current").stdout, "sshd's line in its log")
    # Its finish keeps it down when the configuration is wrong, or somebody does not want it.
    container.write("/etc/ssh/sshd_not_to_be_run", "")
    assert container.run("sv", "restart", "ssh").returncode in (0, 1)
    wait_for(lambda: container.status("/service/ssh").startswith("down "), "the service to stay down")
    assert container.run("sv", "status", "ssh").stdout.startswith("down: ssh: ")
    assert container.run("cat", "/etc/sv/ssh/run", "/etc/sv/ssh/finish", "/etc/sv/ssh/log/run").stdout == before
