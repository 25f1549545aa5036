"""What a machine does at boot, by the files that say so."""

import re
import subprocess

from machines import IMAGE, machine

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
    "/etc/modules-load.d/test.conf": "dummy numdummies=2\nno-such-module\n",
    "/etc/modprobe.d/test.conf": "options dummy numdummies=3\nblacklist ata_piix\n",
    "/etc/apus/boot.d/10-first": "#!/bin/sh\necho first >> /run/order\n",
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


def written(directory):
    """Commands of debugfs(8) that put the files onto a disk."""
    for number, (path, text) in enumerate(FILES.items()):
        source = directory / f"file{number}"
        source.write_text(text)
        yield f"rm {path}"
        yield f"mkdir {path.rpartition('/')[0]}"
        yield f"write {source} {path}"
        yield f"set_inode_field {path} mode 0100755"


def volume(path, *options):
    with open(path, "wb") as file:
        file.truncate(16 << 20)
    subprocess.run([*options, path], check=True, capture_output=True)
    return path


def test_files_that_say_what_to_do(tmp_path):
    data = volume(tmp_path / "data.img", "mke2fs", "-q", "-t", "ext4", "-L", "data")
    subprocess.run(["debugfs", "-w", "-R", "mkdir inner", data], check=True, capture_output=True)
    swap = volume(tmp_path / "swap.img", "mkswap")
    disks = ["-drive", f"if=virtio,file={data},format=raw", "-drive", f"if=virtio,file={swap},format=raw"]
    # Errors are noted in the root file system, so it is checked before it is written to, and fsck wants a restart.
    with machine(tmp_path, "hostname=swift", network="", options=disks, restarts=True,
                 change=[*written(tmp_path), "set_super_value state 3"]) as vm:
        vm.wait_login()
        text = vm.ssh("""
            findmnt -n -o SOURCE,OPTIONS /srv/data; findmnt -n -o OPTIONS /srv/bound; cat /proc/swaps
            cat /proc/sys/net/ipv4/ip_forward; ls /sys/class/net; cat /run/order /etc/resolv.conf
            ip -brief address show eth0; cat /sys/class/net/eth0/mtu; ls -d /sys/module/ata_piix
            dumpe2fs -h /dev/nvme0n1 2> /dev/null | grep state; echo data > /srv/data/file
            poweroff
        """)
        vm.wait_exit()
        vm.assert_clean()
    assert "/dev/vda rw,nosuid,noatime\n" in text
    assert "\nro,noatime\n" in text
    assert re.search(r"^/dev/vdb\s+partition.*\s7$", text, re.M)
    assert "\n1\n" in text and "dummy2" in text and "\nfirst\nsecond\nnameserver 10.0.2.3\n" in text
    assert "10.0.2.15/24" in text and "fec0::15/64" in text and "\n1400\n" in text
    assert "/sys/module/ata_piix" not in text
    assert "Filesystem state:         clean" in text
    for line in ["/etc/fstab: line 7 is none of fstab(5)", "/etc/fstab: line 4: LABEL=none is not there",
                 "/etc/modules-load.d/test.conf: there is no module no-such-module",
                 "/etc/apus/boot.d/20-second ended with 3",
                 "/etc/network/interfaces: line 12: hwaddress is not understood"]:
        assert f"init: warning: {line}" in vm.text, vm.text
    head = subprocess.run(["dumpe2fs", "-h", data], capture_output=True, text=True, check=True).stdout
    assert "needs_recovery" not in head
    assert subprocess.run(["debugfs", "-R", "cat file", data], capture_output=True,
                          check=True).stdout == b"data\n"


def test_a_root_that_is_not_there(tmp_path):
    """From an initial root in memory to the one that the command line names, or to a shell that says why not."""
    with machine(tmp_path, "root=LABEL=none", options=["-initrd", IMAGE / "initramfs"], memory=1024) as vm:
        vm.wait_text("no root file system: there is no LABEL=none; here is a shell")
        vm.monitor("sendkey ctrl-alt-delete")
        vm.wait_exit()


def test_an_initial_root_in_memory(tmp_path):
    with machine(tmp_path, "root=LABEL=apus", "ro", options=["-initrd", IMAGE / "initramfs"], memory=1024) as vm:
        vm.wait_login()
        assert vm.ssh("findmnt -n -o SOURCE,FSTYPE /; echo kept > /root/kept 2>&1; mount -o remount,rw /"
                      " && echo kept > /root/kept; poweroff").startswith("/dev/nvme0n1 ext4\n")
        vm.wait_exit()
        vm.assert_clean()
        assert vm.debugfs("cat /root/kept") == b"kept\n"
