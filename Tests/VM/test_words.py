"""What single words of the kernel's command line make of a machine."""

import re

from apus import ROOT
from machines import machine, written

SERVICE = """#!/bin/sh
echo "plain is here"
exec sleep 100000
"""

# What a service of a container sees: whether something was mounted, and the machine's end by process 1's.
PROBE = """#!/bin/sh
echo "probe: $container, $(ls /proc /sys /run | wc -l) lines"
kill -TERM 1
exec sleep 100000
"""


def test_emergency(tmp_path):
    """A shell before anything else; the machine comes up when it ends."""
    with machine(tmp_path, "emergency") as vm:
        vm.wait_text("emergency, as the kernel's command line says; here is a shell")
        vm.open_shell()
        vm.type("echo root $(findmnt -n -o OPTIONS / | cut -c 1-3) links $(ls /sys/class/net) uid $(id -u)\n")
        vm.wait_text(r"root ro, links lo uid 0\n")
        vm.type("exit\n")
        vm.wait_login()
        assert vm.ssh_last("findmnt -n -o OPTIONS / | cut -c 1-3; poweroff") == "rw,\n"
        vm.wait_exit()
        vm.assert_clean()


def test_power_off_from_the_emergency_shell(tmp_path):
    """Before process 1 has looked at any service, it does what it is told."""
    with machine(tmp_path, "emergency") as vm:
        vm.open_shell()
        vm.type("poweroff\n")
        vm.wait_exit()
        assert "Power down" in vm.text
        vm.assert_clean()


def test_a_root_that_stays_read_only(tmp_path):
    """Services are controlled and write their logs, in memory; nothing of it is on the disk."""
    files = {"/service/plain/run": SERVICE, "/service/plain/log/run": "#!/bin/sh\nexec multilog t ./main\n"}
    with machine(tmp_path, "ro", change=written(tmp_path, files)) as vm:
        vm.wait_text("init: info: the root file system is read-only: what is written below /var and /service is kept in")
        vm.wait_login()
        text = vm.ssh_last("""
            exec 2>&1
            svwait -t 60 ready /service/* || echo not ready
            findmnt -n -o OPTIONS / | cut -c 1-3; touch /root/file; stat -c '%U %a' /var/log/sshd /var/service
            until svstat /service/sshd/log | grep -E 'up .* [3-9] seconds|up .* [0-9]{2,} seconds'; do sleep 0.2; done
            grep -c 'tcpserver: ok' /var/log/sshd/current
            until grep -q 'plain is here' /service/plain/log/main/current; do sleep 0.1; done
            svc -d /service/plain; svwait -t 60 down /service/plain && echo plain is down
            mkdir /service/new; printf '#!/bin/sh\nexec sleep 100000\n' > /service/new/.run; chmod +x /service/new/.run
            mv /service/new/.run /service/new/run; until svok /service/new; do sleep 0.1; done; echo new is there
            poweroff
        """)
        vm.wait_exit()
        vm.assert_clean()
        assert vm.debugfs("ls /var/log/sshd").strip() in (b"", b"/var/log/sshd: File not found by ext2_lookup")
        assert b"new" not in vm.debugfs("ls /service") and b"supervise" not in vm.debugfs("ls /service/plain")
    assert "not ready" not in text, text
    assert text.startswith("ro,\ntouch: cannot touch '/root/file': Read-only file system\nlog 750\nroot 755\n"), text
    assert re.search(r"^/service/sshd/log: up \(pid \d+\) \d+ seconds", text, re.M), text
    assert text.endswith("\nplain is down\nnew is there\n"), text


def test_container(tmp_path):
    """`container=` makes a container of a machine: nothing is mounted, and process 1 ends by exiting."""
    change = [*written(tmp_path, {"/service/probe/run": PROBE}), "rm /service/sshd"]
    with machine(tmp_path, "rw", "container=test", network="", change=change) as vm:
        vm.process.wait(180)
        vm.reader.join(10)
        listing = re.search(r"probe: test, (\d+) lines", vm.text)
        # Three names with a blank line between them, and what is on the disk itself below /run.
        assert listing and int(listing[1]) < 12, vm.text[-3000:]
        assert "Attempted to kill init! exitcode=0x00000000" in vm.text, vm.text[-3000:]


def test_a_confined_session(tmp_path):
    """sshd as a container has it: its sessions may ask process 1, and end nothing by themselves."""
    source = ROOT / "rootfs-skel"
    paths = ["var/service/sshd/run", "etc/sshd.writable", "etc/tcp.ssh.limit",
             *(f"etc/seccomp/{path.name}" for path in (source / "etc/seccomp").iterdir())]
    files = {f"/{path}": (source / path).read_bytes() for path in paths}
    with machine(tmp_path, change=written(tmp_path, files)) as vm:
        vm.wait_login()
        text = vm.ssh_last("""
            exec 2>&1
            for command in "reboot -f" "poweroff -f -n" "mount -o remount,ro /" "umount /tmp" "svc -d /service/getty-ttyS0"; do
                $command
            done
            echo now > /root/now; reboot
        """)
        vm.wait_exit()
        assert "Restarting system" in vm.text
        vm.assert_clean()
        assert vm.debugfs("cat /root/now") == b"now\n"
    assert text.startswith("reboot: fatal: unable to end the machine: permission denied\n"
                           "poweroff: fatal: unable to end the machine: permission denied\n"), text
    assert "mount: /: permission denied" in text and "umount: /tmp: must be superuser" in text, text
    # svc(8) ends with 0, as daemontools's.
    assert "svc: warning: unable to control /service/getty-ttyS0: access denied\n" in text, text
