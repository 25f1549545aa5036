"""What makes a machine go down, and what must not keep it from that."""

import pytest

from machines import machine

STUBBORN = """#!/bin/sh
trap '' TERM HUP
touch /run/stubborn
while :; do sleep 1000; done
"""


@pytest.fixture
def stubborn(tmp_path):
    """Commands of debugfs(8) that make a service which ignores TERM."""
    script = tmp_path / "run"
    script.write_text(STUBBORN)
    return ["mkdir /service/stubborn", f"write {script} /service/stubborn/run",
            "set_inode_field /service/stubborn/run mode 0100755"]


def test_ctrl_alt_del_and_a_service_that_ignores_it(tmp_path, stubborn):
    """The keys restart the machine in order, also when a service does not end."""
    with machine(tmp_path, "apus.stop-timeout=4", change=stubborn) as vm:
        vm.wait_login()
        vm.ssh("until test -e /run/stubborn; do sleep 0.1; done; echo now > /root/now")
        vm.monitor("sendkey ctrl-alt-delete")
        vm.wait_exit()
        assert "Restarting system" in vm.text
        assert "killing" in vm.text and "stubborn (pid " in vm.text
        vm.assert_clean()
        assert vm.debugfs("cat /root/now") == b"now\n"
        assert b".u" not in vm.debugfs("ls /var/log/sshd")


def test_power_button_with_nothing_to_run(tmp_path):
    """Without a service there is a shell and the reason for it, and the button works there too."""
    with machine(tmp_path, "apus.services=/none") as vm:
        vm.wait_text("unable to read /none: file does not exist; here is a shell")
        vm.open_shell()
        vm.type("echo it is $((40+2)); tty\n")
        vm.wait_text(r"it is 42\n/dev/ttyS0\n")
        vm.monitor("system_powerdown")
        vm.wait_exit()
        assert "Power down" in vm.text
        vm.assert_clean()


def test_single_user_and_the_power_button(tmp_path):
    """`single` asks for a shell before the services, which come when it ends."""
    with machine(tmp_path, "single") as vm:
        vm.wait_text("single user, as the kernel's command line says")
        vm.open_shell()
        vm.type("svstat /service/sshd; exit\n")
        vm.wait_text("unable to open supervise/ok: file does not exist")
        vm.wait_login()
        vm.monitor("system_powerdown")
        vm.wait_exit()
        assert "Power down" in vm.text
        vm.assert_clean()


def test_requests_of_sysvinit(tmp_path):
    """A record on /run/initctl asks for runlevel 6; one that is none, and another runlevel, change nothing."""
    with machine(tmp_path) as vm:
        vm.wait_login()
        assert vm.ssh(r"""
            record() {
                { printf '\151\031\011\003\001\000\000\000%s\000\000\000' "$1"; head -c 372 /dev/zero; } > /tmp/record
                cat /tmp/record > /run/initctl
            }
            echo nonsense > /run/initctl; record 3; svstat /service/sshd > /dev/null; echo still here; record 6
        """) == "still here\n"
        vm.wait_exit()
        assert "Restarting system" in vm.text and "/run/initctl: there is no runlevel 3" in vm.text
        vm.assert_clean()


def test_at_once(tmp_path, stubborn):
    """systemd's signal for a reboot now waits for no service, and loses nothing all the same."""
    with machine(tmp_path, change=stubborn) as vm:
        vm.wait_login()
        vm.ssh("until test -e /run/stubborn; do sleep 0.1; done; echo now > /root/now; kill -49 1")
        vm.wait_exit()
        assert "Restarting system" in vm.text
        vm.assert_clean()
        assert vm.debugfs("cat /root/now") == b"now\n"
