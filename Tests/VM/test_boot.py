"""What a machine does at boot: by the files that say so, on other hardware, and with next to nothing."""

import re
import subprocess

from apus import ROOT
from machines import IMAGE, machine, volume, written

FILES = {
    "/etc/fstab": """
# A volume by its label, one that is not there, a bind, and swap.
LABEL=data /srv/data ext4 noatime,nosuid 0 2
LABEL=none /srv/none ext4 nofail 0 2
/srv/data/inner /srv/bound none bind,ro 0 0
/dev/vdb none swap sw,pri=7 0 0
nonsense
""",
    "/etc/sysctl.d/10-test.conf": "net.ipv4.ip_forward = 1\n-net.no.such.setting = 1\n",
    # A list overrides modprobe.d, which the kernel's command line overrides as well.
    "/etc/modules-load.d/test.conf": "dummy numdummies=2\nno-such-module\nloop\nzram\nvsock_loopback\n",
    "/etc/modprobe.d/test.conf": "options dummy numdummies=3\noptions loop max_loop=2\noptions zram num_devices=3\n"
                                 "blacklist ata_piix\n",
    "/etc/apus/boot.d/10-first": "#!/bin/sh\necho first >> /run/order\n",
    # Whoever runs the machine, at its port 5 of vsock(7).
    "/etc/apus/boot.d/15-host": """#!/usr/bin/perl
socket(S, 40, 1, 0) && bind(S, pack("SSLLx4", 40, 0, 5, 0xffffffff)) && listen(S, 5) or die "socket: $!";
exit if fork;
accept(C, S) or die;
open(F, ">", "/run/told");
print F readline(C), readpipe("svstat /service/sshd");
""",
    "/etc/apus/boot.d/20-second": "#!/bin/sh\necho second >> /run/order\nexit 3\n",
    "/etc/network/interfaces": """
auto lo eth0
iface lo inet loopback
iface eth0 inet static
    address 10.0.2.15
    netmask 255.255.255.0
    gateway 10.0.2.2
    mtu 1400
    dns-nameservers 10.0.2.3
iface eth0 inet6 static
    address fec0::15/64
    hwaddress 02:00:00:00:00:01
""",
}


def test_files_that_say_what_to_do(tmp_path):
    data = volume(tmp_path / "data.img", "mke2fs", "-q", "-t", "ext4", "-L", "data")
    subprocess.run(["debugfs", "-w", "-R", "mkdir inner", data], check=True, capture_output=True)
    swap = volume(tmp_path / "swap.img", "mkswap")
    disks = ["-drive", f"if=virtio,file={data},format=raw", "-drive", f"if=virtio,file={swap},format=raw"]
    # Errors are noted in the root file system, so it is checked before it is written to, and fsck wants a restart.
    with machine(tmp_path, "hostname=swift", "zram.num_devices=2", "apus.notify=vsock:1:5", "apus.trace", network="",
                 options=disks, restarts=True,
                 change=[*written(tmp_path, FILES), "set_super_value state 3"]) as vm:
        vm.wait_login()
        text = vm.ssh_last("""
            findmnt -n -o SOURCE,OPTIONS /srv/data; findmnt -n -o OPTIONS /srv/bound; cat /proc/swaps
            cat /proc/sys/net/ipv4/ip_forward; ls /sys/class/net /sys/class/block; until test -s /run/told; do sleep 0.1; done
            cat /run/told; cat /run/order /etc/resolv.conf
            ip -brief address show eth0; cat /sys/class/net/eth0/mtu; ls -d /sys/module/ata_piix
            dumpe2fs -h /dev/nvme0n1 2> /dev/null | grep state; echo data > /srv/data/file
            poweroff
        """)
        vm.wait_exit()
        vm.assert_clean()
    assert "/dev/vda rw,nosuid,noatime\n" in text
    assert "\nro,noatime\n" in text
    assert re.search(r"^/dev/vdb\s+partition.*\s7$", text, re.M)
    assert "\n1\n" in text and "\nfirst\nsecond\nnameserver 10.0.2.3\n" in text
    assert "dummy1\n" in text and "dummy2\n" not in text
    assert "loop1\n" in text and "loop2\n" not in text
    assert "zram1\n" in text and "zram2\n" not in text
    assert "\nREADY=1\n/service/sshd: up (pid " in text
    assert "10.0.2.15/24" in text and "fec0::15/64" in text and "\n1400\n" in text
    assert "/sys/module/ata_piix" not in text
    assert "Filesystem state:         clean" in text
    for line in ["/etc/fstab: line 7 is none of fstab(5)", "/etc/fstab: line 4: LABEL=none is not there",
                 "/etc/modules-load.d/test.conf: there is no module no-such-module",
                 "/etc/apus/boot.d/20-second ended with 3",
                 "/etc/network/interfaces: line 12: hwaddress is not understood"]:
        assert f"init: warning: {line}" in vm.text, vm.text
    for step in ["modules", "network", "everything before the services", "no process is left"]:
        assert re.search(rf"^init: info: \d+ ms: {step}$", vm.text, re.M), vm.text
    head = subprocess.run(["dumpe2fs", "-h", data], capture_output=True, text=True, check=True).stdout
    assert "needs_recovery" not in head
    assert subprocess.run(["debugfs", "-R", "cat file", data], capture_output=True,
                          check=True).stdout == b"data\n"


DHCP = "#!/bin/sh\nexec udhcpc -f -i eth0 2>&1\n"


def test_an_address_by_a_service(tmp_path):
    """An interface with `dhcp` comes up, and the client is a service."""
    files = {"/etc/network/interfaces": "auto eth0\niface eth0 inet dhcp\n", "/service/dhcp/run": DHCP}
    with machine(tmp_path, network="", change=written(tmp_path, files)) as vm:
        vm.wait_login()
        text = vm.ssh_last("ip -brief address show eth0; ip route show default; cat /etc/resolv.conf; poweroff")
        vm.wait_exit()
        vm.assert_clean()
    assert "10.0.2.15/24" in text and "default via 10.0.2.2 dev eth0" in text and "nameserver 10.0.2.3" in text, text


def test_a_root_that_cannot_be_repaired(tmp_path):
    """The reason and a shell, with the root file system as it was."""
    files = {"/usr/sbin/fsck": "#!/bin/sh\nexit 4\n"}
    with machine(tmp_path, change=[*written(tmp_path, files), "set_super_value state 3"]) as vm:
        vm.wait_text("fsck of /dev/nvme0n1 for / ended with 4; here is a shell")
        vm.open_shell()
        vm.type("echo root $(findmnt -n -o OPTIONS / | cut -c 1-3)\n")
        vm.wait_text(r"root ro,\n")
        vm.type("exit\n")
        # With which people may still look at it from elsewhere.
        assert vm.ssh_last("findmnt -n -o OPTIONS / | cut -c 1-3; poweroff") == "ro,\n"
        vm.wait_exit()


def test_a_root_that_is_not_there(tmp_path):
    """From an initial root in memory to the one that the command line names, or to a shell that says why not."""
    with machine(tmp_path, "root=LABEL=none", options=["-initrd", IMAGE / "initramfs"], memory=1024) as vm:
        vm.wait_text("no root file system: there is no LABEL=none; here is a shell")
        vm.monitor("sendkey ctrl-alt-delete")
        vm.wait_exit()


def test_an_initial_root_in_memory(tmp_path):
    with machine(tmp_path, "root=LABEL=apus", "ro", options=["-initrd", IMAGE / "initramfs"], memory=1024) as vm:
        vm.wait_login()
        assert vm.ssh_last("findmnt -n -o SOURCE,FSTYPE /; echo kept > /root/kept 2>&1; mount -o remount,rw /"
                           " && echo kept > /root/kept; poweroff").startswith("/dev/nvme0n1 ext4\n")
        vm.wait_exit()
        vm.assert_clean()
        assert vm.debugfs("cat /root/kept") == b"kept\n"


GARBAGE = {
    "/etc/fstab": b"\x00\xff\xfe\n" + b"x" * 100000 + b"\nproc\nnowhere /srv/garbage nonsense\n\n\x1b[31m \x80\n",
    "/etc/sysctl.d/10-garbage.conf": b"\xff=\x00\n= = =\n../../etc/passwd = 1\nkernel.hostname\n" + b"." * 70000 + b"=1\n",
    "/etc/modules": b"\xff\x00\n../../../etc/passwd\n-r loop\n" + b"m" * 200 + b"\n",
    "/etc/modprobe.d/garbage.conf": b"options\noptions \xff\nblacklist\n\x00\x00\n",
    "/etc/network/interfaces": b"iface\nauto\n\xff\xff\niface eth0 inet static\n address 999.1.1.1/99\n gateway x\n"
                               b"source /etc/network/interfaces\nmapping eth0\n" + b"z" * 200 + b"\n",
    "/etc/hostname": b"\x00\xff not-a-name\n",
    "/etc/apus/boot.d/10-garbage": b"\x00\x01\x02",
}


def test_garbage(tmp_path):
    """What makes no sense is said, and the machine comes up without it, after a shell where a file system is missing."""
    change = [*written(tmp_path, GARBAGE), "rm /var/lib/apus/random-seed", "mkdir /var/lib/apus",
              "mkdir /var/lib/apus/random-seed", "mkdir /etc/sysctl.d/20-directory.conf"]
    with machine(tmp_path, network="", change=change) as vm:
        vm.wait_text("/etc/fstab: line 4: unable to mount /srv/garbage: .*; here is a shell")
        vm.open_shell()
        vm.type("ip link set eth0 up; ip address add 10.0.2.15/24 dev eth0; exit\n")
        vm.wait_login()
        assert "none" in vm.ssh_last("echo none > /root/none; cat /root/none; poweroff")
        vm.wait_exit()
        vm.assert_clean()
        for line in ["/etc/fstab: line 1 is none of fstab(5)", "/etc/fstab: line 3 is none of fstab(5)",
                     "/etc/sysctl.d/10-garbage.conf: line 3 sets nothing", "/etc/modules: there is no module",
                     "/etc/network/interfaces: line 5: ", "unable to read /etc/sysctl.d/20-directory.conf",
                     "/etc/apus/boot.d/10-garbage"]:
            assert line in vm.text, vm.text
        # What is long and senseless is not shown in full.
        assert max(len(line) for line in vm.text.splitlines() if line.startswith("init: ")) < 400


def test_a_machine_without_buses(tmp_path):
    """Only memory and a serial line, as on the smallest monitors, which end with a machine that restarts."""
    with machine(tmp_path, "single", "reboot=t", "apus.poweroff=reboot", memory=1024, micro=True,
                 options=["-initrd", IMAGE / "initramfs"]) as vm:
        vm.open_shell()
        vm.type("setsid sh -c 'svwait -t 60 ready /service/sshd; echo here it is > /dev/console; poweroff' & exit\n")
        vm.wait_exit()
        assert "here it is\n" in vm.text and "Restarting system" in vm.text


def test_nothing_else_there(tmp_path):
    """One file is a machine, if one without a purpose; it says so, and restarts when it is asked to."""
    tree = tmp_path / "tree"
    (tree / "usr/bin").mkdir(parents=True)
    subprocess.run(["cp", "-L", ROOT / "build/bin/apus", tree / "usr/bin/apus"], check=True)
    volume(tmp_path / "disk.img", "mke2fs", "-q", "-t", "ext4", "-d", tree)
    with machine(tmp_path, "init=/usr/bin/apus", network="") as vm:
        vm.wait_text("unable to read /service: file does not exist; here is a shell")
        vm.wait_text("there is no shell")
        vm.monitor("sendkey ctrl-alt-delete")
        vm.wait_exit()
        assert "Restarting system" in vm.text
        vm.assert_clean()
