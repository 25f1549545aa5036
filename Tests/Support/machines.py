"""Virtual machines in which apus is process 1: one image for all tests, a disk of its own for each machine."""

import contextlib
import fcntl
import os
import pathlib
import re
import socket
import subprocess
import threading

from apus import ROOT, wait_for

IMAGE = ROOT / "build/vm-test"
KEY = IMAGE / "key"
# An emulated machine on a busy host is slow at times; a test waits for a state, not for a time.
PATIENCE = 180


def image():
    """Makes the image that all tests share, once in a run whose workers are several."""
    IMAGE.mkdir(parents=True, exist_ok=True)
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    stamp = IMAGE / "run"
    with open(IMAGE / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != run:
            stamp.unlink(missing_ok=True)
            make_image()
            stamp.write_text(run)


def make_image():
    IMAGE.mkdir(parents=True, exist_ok=True)
    if not KEY.exists():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", KEY], check=True)
    extra = IMAGE / "extra/etc/ssh"
    if not extra.exists():
        # Host keys made beforehand, for which an emulated machine needs seconds.
        extra.mkdir(parents=True)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f",
                        extra / "ssh_host_ed25519_key"], check=True)
    subprocess.run([ROOT / "Scripts/make-vm", "-s", "700", "-k", f"{KEY}.pub", "-c", IMAGE / "extra", "-p", "udhcpc",
                    "-i", IMAGE], check=True, stdout=subprocess.DEVNULL)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Machine:
    """A machine that runs; its console is `text`."""

    def __init__(self, disk, *words, restarts=False, options=(), memory=512, micro=False,
                 console="console=ttyS0", network="ip=10.0.2.15::10.0.2.2:255.255.255.0::eth0:off"):
        self.disk = pathlib.Path(disk)
        self.port = free_port()
        self.monitor_path = self.disk.with_suffix(".monitor")
        self.text = ""
        # A machine without ACPI and PCI finds no device that would need a driver.
        boots = ["-M", "microvm,acpi=off,pit=on,rtc=on"] if micro else [
            "-drive", f"if=none,id=d0,file={disk},format=raw", "-device", "nvme,serial=1,drive=d0",
            "-netdev", f"user,id=n0,hostfwd=tcp:127.0.0.1:{self.port}-:22",
            "-device", "virtio-net-pci,netdev=n0"]
        root = "" if micro else f"root=/dev/nvme0n1 rootfstype=ext4 {network}"
        # The kernel looks whether the timer ticks, for which an emulated one may be too slow.
        line = " ".join([f"{console} panic=-1 quiet no_timer_check net.ifnames=0", root, *words])
        self.process = subprocess.Popen(
            ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-smp", "1", "-m", str(memory),
             "-display", "none", "-nodefaults", "-serial", "stdio",
             "-monitor", f"unix:{self.monitor_path},server=on,wait=off", "-kernel", IMAGE / "vmlinuz",
             "-append", line, *([] if restarts else ["-no-reboot"]), *boots, *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        while block := self.process.stdout.read1(4096):
            self.text += block.decode(errors="replace").replace("\r", "")

    def wait_text(self, pattern, times=1):
        """Waits until the console has shown the pattern so many times."""
        with contextlib.suppress(AssertionError):
            wait_for(lambda: len(re.findall(pattern, self.text)) >= times
                     or self.process.poll() is not None, f"{pattern!r} on the console", PATIENCE)
        assert len(re.findall(pattern, self.text)) >= times, self.text[-3000:]

    def wait_login(self, times=1):
        self.wait_text(" login: ", times)

    def type(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def monitor(self, command):
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.connect(str(self.monitor_path))
            # A prompt before the command, and one when it is done.
            for line in f"{command}\n", "":
                answer = b""
                while b"(qemu) " not in answer:
                    answer += monitor.recv(4096)
                monitor.sendall(line.encode())

    def open_shell(self):
        """Takes the shell that the console offers."""
        self.wait_text(r"Press Enter for maintenance\n.*: ")
        self.type("\n")
        self.wait_text(r"# $")

    def ssh_command(self, *words):
        return ["ssh", "-i", KEY, "-p", str(self.port), "-o", "BatchMode=yes", "-o", "LogLevel=ERROR",
                "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                "-o", "ConnectTimeout=30", "-o", "ServerAliveInterval=10", "root@127.0.0.1", *words]

    def ssh(self, command, status=0):
        """Runs a shell command in the machine, which must end with the status given; its output."""
        return self._ssh(command, [status])

    def ssh_last(self, command):
        """The same for a command that takes the machine down, which may end the connection before its status is told."""
        return self._ssh(command, [0, 255])

    def _ssh(self, command, statuses):
        def attempt():
            result = subprocess.run(self.ssh_command(f"echo reached; {command}"), capture_output=True,
                                    timeout=PATIENCE, text=True, stdin=subprocess.DEVNULL)
            # Only what was not reached is tried again.
            return result if result.stdout.startswith("reached\n") or self.process.poll() is not None else None
        result = wait_for(attempt, "a login over ssh", PATIENCE)
        assert result.returncode in statuses, (command, result, self.text[-3000:])
        return result.stdout.removeprefix("reached\n")

    def wait_exit(self):
        """Waits until the machine has ended by itself."""
        self.process.wait(PATIENCE)
        self.reader.join(10)
        assert self.process.returncode == 0, self.text[-3000:]
        assert "panic" not in self.text, self.text[-3000:]

    # What is on the disk, once the machine has ended.

    def debugfs(self, command):
        return subprocess.run(["debugfs", "-R", command, self.disk], capture_output=True, check=True).stdout

    def assert_clean(self):
        """Whether the file system was taken down: nothing is left in its journal."""
        head = subprocess.run(["dumpe2fs", "-h", self.disk], capture_output=True, text=True, check=True).stdout
        assert re.search(r"^Filesystem state: +clean$", head, re.M), head
        assert "needs_recovery" not in head, head


def written(directory, files):
    """Commands of debugfs(8) that put files onto a disk: texts by their paths, as programs."""
    for number, (path, text) in enumerate(files.items()):
        source = directory / f"file{number}"
        source.write_bytes(text if isinstance(text, bytes) else text.encode())
        yield f"rm {path}"
        parents = path.split("/")[1:-1]
        yield from (f"mkdir /{'/'.join(parents[:count])}" for count in range(1, len(parents) + 1))
        yield f"write {source} {path}"
        yield f"set_inode_field {path} mode 0100755"


def volume(path, *options):
    """A small disk, made by the command `options`."""
    with open(path, "wb") as file:
        file.truncate(16 << 20)
    subprocess.run([*options, path], check=True, capture_output=True)
    return path


@contextlib.contextmanager
def machine(directory, *words, change=(), **options):
    """A machine with a disk of its own, on which `change`, commands of debugfs(8), were made before."""
    disk = pathlib.Path(directory) / "disk.img"
    if not disk.exists():
        subprocess.run(["cp", "--sparse=always", IMAGE / "disk.img", disk], check=True)
    if change:
        script = disk.with_suffix(".changes")
        script.write_text("\n".join(change))
        subprocess.run(["debugfs", "-w", "-f", script, disk], capture_output=True, check=True)
    running = Machine(disk, *words, **options)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait()
