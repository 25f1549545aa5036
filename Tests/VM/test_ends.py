"""What makes a machine go down, and what must not keep it from that."""

import time

import pytest

from machines import IMAGE, machine, volume, written

STUBBORN = """#!/bin/sh
trap '' TERM HUP
touch /run/stubborn
while :; do sleep 1000; done
"""


@pytest.fixture
def stubborn(tmp_path):
    """Commands of debugfs(8) that make a service which ignores TERM."""
    return list(written(tmp_path, {"/service/stubborn/run": STUBBORN}))


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
        assert vm.ssh_last(r"""
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
        vm.ssh_last("until test -e /run/stubborn; do sleep 0.1; done; echo now > /root/now; kill -49 1")
        vm.wait_exit()
        assert "Restarting system" in vm.text
        vm.assert_clean()
        assert vm.debugfs("cat /root/now") == b"now\n"


def test_a_process_that_cannot_be_killed(tmp_path):
    """A process in the state D holds a file system, and not the machine; what else was written is there."""
    data = volume(tmp_path / "data.img", "mke2fs", "-q", "-t", "ext4")
    with machine(tmp_path, "apus.stop-timeout=4", options=["-drive", f"if=virtio,file={data},format=raw"]) as vm:
        vm.wait_login()
        assert vm.ssh_last("""
            mkdir /mnt/data; mount /dev/vda /mnt/data; fsfreeze -f /mnt/data
            setsid sh -c 'echo x > /mnt/data/file' < /dev/null > /dev/null 2>&1 & pid=$!
            until grep -qs '^State:.D' /proc/$pid/status; do sleep 0.1; done; echo stuck; echo now > /root/now; poweroff
        """) == "stuck\n"
        began = time.monotonic()
        vm.wait_exit()
        # The stop, a wait for what does not end, and the limit of what follows.
        assert time.monotonic() - began < 4 + 3 + 20 + 10
        assert "some processes do not end even when they are killed" in vm.text
        vm.assert_clean()
        assert vm.debugfs("cat /root/now") == b"now\n"


# The parent of a vfork(2) waits for its child in the state D, and takes no signal but KILL.
WAITING = """#!/usr/bin/perl
$SIG{TERM} = "IGNORE";
exit if syscall(58);
sleep 1000 while 1;
"""


def test_a_service_that_waits_for_its_vfork(tmp_path):
    """It ends by its second signal, and what it waited for after it."""
    with machine(tmp_path, "apus.stop-timeout=4", change=written(tmp_path, {"/service/waiting/run": WAITING})) as vm:
        vm.wait_login()
        assert vm.ssh_last("""
            until pid=$(svstat /service/waiting | sed -n 's/.*(pid \\([0-9]*\\)).*/\\1/p') && test -n "$pid" &&
                grep -qs '^State:.D' /proc/$pid/status; do sleep 0.1; done
            cat /proc/$pid/task/$pid/children | wc -w; echo now > /root/now; poweroff
        """) == "1\n"
        began = time.monotonic()
        vm.wait_exit()
        assert time.monotonic() - began < 4 + 10
        vm.assert_clean()
        assert vm.debugfs("cat /root/now") == b"now\n"


@pytest.mark.parametrize("command", ["reboot", "kill -40 1"])
def test_another_kernel(tmp_path, command):
    """kexec(8)'s kernel starts after an orderly stop, without the firmware."""
    load = """perl -e 'open(K, "<", "/root/vmlinuz") or die;
        $c = "console=ttyS0 panic=-1 quiet no_timer_check net.ifnames=0 root=/dev/nvme0n1 rootfstype=ext4 "
            . "hostname=second ip=10.0.2.15::10.0.2.2:255.255.255.0::eth0:off";
        syscall(320, fileno(K), -1, length($c) + 1, $c, 4) and die "kexec_file_load: $!"' && """
    with machine(tmp_path, change=[f"write {IMAGE / 'vmlinuz'} /root/vmlinuz"], restarts=True) as vm:
        vm.wait_login()
        vm.ssh_last(load + command)
        vm.wait_text("second login: ")
        assert vm.ssh_last("hostname; last -x | grep -c shutdown; poweroff") == "second\n1\n"
        vm.wait_exit()
        vm.assert_clean()


# A file system in user space as those of NTFS disks are, whose program answers no more: it waits for another disk,
# which is frozen, and so cannot be killed either.
HANGING = r"""
use strict; use warnings;
my ($device, $place, $frozen) = @ARGV;
mkdir $place;
sysopen(my $fuse, "/dev/fuse", 2) or die "/dev/fuse: $!";
my $options = "fd=" . fileno($fuse) . ",rootmode=40000,user_id=0,group_id=0,blksize=4096";
my ($type, $flags) = ("fuseblk", 0);
syscall(165, $device, $place, $type, $flags, $options) == 0 or die "mount: $!";
sysread($fuse, my $request, 1 << 20) or die "read: $!";
my ($length, $operation, $unique) = unpack("LLQ", $request);
die "operation $operation" unless $operation == 26;
my $answer = pack("LLLLSSLLSSL8", 7, 31, 65536, 0, 12, 9, 65536, 1, 0, 0, (0) x 8);
syswrite($fuse, pack("LlQ", 16 + length($answer), 0, $unique) . $answer) or die "write: $!";
print "mounted\n";
open(STDOUT, ">", "/dev/null"); open(STDERR, ">", "/dev/null");
open(my $file, ">", $frozen);
"""


def test_a_file_system_that_hangs(tmp_path):
    """What cannot be unmounted, and waits for ever, keeps nothing else from its disk, and ends with the machine."""
    disks = []
    for name in "data", "other":
        path = volume(tmp_path / f"{name}.img", "mke2fs", "-q", "-t", "ext4")
        disks += ["-drive", f"if=virtio,file={path},format=raw"]
    files = {"/root/hanging": HANGING, "/etc/modules": "fuse\n"}
    with machine(tmp_path, "apus.stop-timeout=4", options=disks, change=written(tmp_path, files)) as vm:
        vm.wait_login()
        assert vm.ssh_last("""
            mkdir /mnt/data; mount /dev/vda /mnt/data; fsfreeze -f /mnt/data
            setsid perl /root/hanging /dev/vdb /mnt/fuse /mnt/data/file < /dev/null > /run/said 2>&1 & pid=$!
            until test -s /run/said && grep -qs '^State:.D' /proc/$pid/status || ! test -d /proc/$pid; do sleep 0.1; done
            cat /run/said; echo now > /root/now; poweroff
        """) == "mounted\n"
        began = time.monotonic()
        vm.wait_exit()
        assert time.monotonic() - began < 4 + 3 + 20 + 15
        assert "the machine does not come down in time, and ends now" in vm.text
        assert "Power down" in vm.text
        vm.assert_clean()
        assert vm.debugfs("cat /root/now") == b"now\n"
