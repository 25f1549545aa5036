"""A container whose process 1 is apus: by podman where it works, else by namespaces and chroot, so
that the same tests run anywhere. The image is built from the Dockerfile; without an engine the same
root is assembled by Scripts/make-sshd-root."""

import contextlib
import ctypes
import functools
import itertools
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

from apus import ROOT, wait_for

PODMAN = ROOT / "Scripts/podman"
IN_NAMESPACES = ROOT / "Scripts/in-namespaces"
INIT = ["/usr/bin/apus", "init"]
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CAPABILITIES = {"SYS_MODULE": 16, "SYS_PTRACE": 19, "SYS_ADMIN": 21, "SYS_BOOT": 22, "BPF": 39}
_serial = itertools.count()


def bounding_set():
    """The capabilities this process may hand on, as a mask."""
    status = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(r"^CapBnd:\s*(\w+)", status, re.M)[1], 16)


class Container:
    """A running container. `pid` is its process 1, as seen from here."""

    def __init__(self, pid):
        self.pid = pid
        self.root = pathlib.Path(f"/proc/{pid}/root")

    def run(self, *command, **options):
        """Runs a command in the container to its end; text in, text out."""
        options.setdefault("timeout", 60)
        return subprocess.run(
            ["nsenter", f"--target={self.pid}", "--mount", "--uts", "--ipc", "--net", "--pid",
             "--root", "--wd", "env", "-i", f"PATH={PATH}", *map(str, command)],
            capture_output=True, text=True, errors="surrogateescape", **options)

    def path(self, name):
        """A file of the container as a path from here. Absolute links inside are not followed."""
        return self.root / name.lstrip("/")

    def write(self, name, text, mode=0o644):
        """Puts a file in place at once, never half of it, and makes its directory."""
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f".{path.name}.new")
        new.write_text(text)
        new.chmod(mode)
        new.rename(path)

    def service(self, name, script, log=None, **files):
        """Makes /services/NAME with the run file `script` and switches it on: a link in /service."""
        place = f"/services/{name}"
        if log is not None:
            self.write(f"{place}/log/run", f"#!/bin/sh\n{log}\n", 0o755)
        for file, text in files.items():
            self.write(f"{place}/{file}", text)
        self.write(f"{place}/run", f"#!/bin/sh\n{script}\n", 0o755)
        os.symlink(place, self.path(f"/service/{name}"))
        return f"/service/{name}"

    def status(self, service):
        """What svstat says of a service, without its name."""
        return self.run("svstat", service).stdout.removeprefix(f"{service}: ").rstrip("\n")

    def up(self, service):
        """The process of a service in the container's numbering, or None while it is not up."""
        found = re.match(r"up \(pid (\d+)\)", self.status(service))
        return int(found[1]) if found else None

    def wait_up(self, service, other_than=None, seconds=10):
        """Waits until a service is up, as another process than `other_than`; returns its process."""
        return wait_for(lambda: (pid := self.up(service)) and pid != other_than and pid,
                        f"{service} up", seconds)

    def processes(self):
        """Every process of the container, zombies too: its number there -> (name, state)."""
        found = {}
        for entry in self.path("/proc").glob("[0-9]*"):
            # Processes come and go while this looks.
            with contextlib.suppress(OSError):
                fields = self.process_status(entry.name)
                found[int(entry.name)] = (fields["Name"], fields["State"][0])
        return found

    def process_status(self, inside):
        """The fields of /proc/PID/status of a process given by its number in the container."""
        text = self.path(f"/proc/{inside}/status").read_text()
        return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)

    def connect(self, port, source=None):
        """A TCP connection to a port of the container, made inside of its network."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/self/ns/net") as own, open(f"/proc/{self.pid}/ns/net") as theirs:
            if libc.setns(theirs.fileno(), 0x40000000) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            try:
                made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            finally:
                if libc.setns(own.fileno(), 0x40000000) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
        made.settimeout(10)
        if source:
            made.bind((source, 0))
        made.connect(("127.0.0.1", port))
        return made

    def _over_ssh(self, program, key, source, *words, **options):
        return subprocess.run(
            ["nsenter", f"--target={self.pid}", "--net", program, "-F", "none", "-i", str(key),
             "-o", f"BindAddress={source}", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10",
             "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
             "-o", "LogLevel=ERROR", *words],
            capture_output=True, **{"timeout": 60, "text": True, **options})

    def ssh(self, key, *command, user="root", source="127.0.0.1", options=(), **run_options):
        """Runs a command over ssh, from the address `source`."""
        return self._over_ssh("ssh", key, source, *options, f"{user}@127.0.0.1", *command,
                              **run_options)

    def sftp(self, key, script):
        """Runs the commands of `script` by sftp, as root."""
        return self._over_ssh("sftp", key, "127.0.0.1", "-b", "-", "root@127.0.0.1", input=script)

    def log(self, directory="/var/log/sshd"):
        """All a multilog has written to a directory, oldest first, stamps included."""
        place = self.path(directory)
        files = sorted(place.glob("@*")) + [place / "current"]
        return "".join(file.read_text(errors="surrogateescape") for file in files if file.exists())


class PodmanContainer(Container):
    """A container that podman runs."""

    def __init__(self, name):
        self.name = name
        state = self.inspect()["State"]
        super().__init__(state["Pid"])

    def inspect(self):
        """What podman knows of it."""
        result = subprocess.run([PODMAN, "inspect", self.name], capture_output=True, check=True)
        return json.loads(result.stdout)[0]

    def output(self):
        """What process 1 and whoever shares its stdout and stderr wrote."""
        return subprocess.run([PODMAN, "logs", self.name], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=True).stdout

    def wait(self, seconds=30):
        """Waits for its end; returns the exit status."""
        result = subprocess.run([PODMAN, "wait", self.name], capture_output=True, text=True,
                                timeout=seconds, check=True)
        return int(result.stdout)

    def stop(self, limit=10):
        """Stops it as users do; returns the exit status and how many seconds it took."""
        start = time.monotonic()
        subprocess.run([PODMAN, "stop", "--time", str(limit), self.name], capture_output=True,
                       check=True)
        return self.wait(), time.monotonic() - start

    def remove(self):
        """Ends it if need be and forgets it."""
        subprocess.run([PODMAN, "rm", "--force", "--time", "0", "--volumes", "--ignore", self.name],
                       capture_output=True, check=True)


class Podman:
    """podman with an image."""

    name = "podman"

    def __init__(self, image):
        self.image = image

    def start(self, *command, environment=(), volumes=(), capabilities=(), seccomp=True,
              only=None, read_only=False, temporary=(), user=None, below=False, program=None, options=()):
        """Starts a container: `command` after the entry point, or the whole `program`. `volumes` are
        (path here, path there), `temporary` directories get a writable copy, `below` runs it as the
        child of another init. `capabilities` are given besides the engine's own, `only` in place of
        them, with no_new_privs. `options` are more words for podman."""
        name = f"apus-test-{os.getpid()}-{next(_serial)}"
        words = [PODMAN, "run", "--detach", "--name", name, "--network=none", "--no-healthcheck"]
        words += [f"--env={entry}" for entry in environment]
        words += [f"--volume={here}:{there}" for here, there in volumes]
        words += [f"--cap-add={one}" for one in capabilities
                  if bounding_set() >> CAPABILITIES[one] & 1]
        if only is not None:
            words += ["--cap-drop=ALL", "--security-opt=no-new-privileges"]
            words += [f"--cap-add={','.join(only)}"] * bool(only)
        words += [f"--tmpfs={directory}" for directory in temporary]
        words += ["--security-opt=seccomp=unconfined"] * (not seccomp)
        words += ["--read-only"] * read_only
        words += ["--init", f"--init-path={shutil.which('catatonit')}"] * below
        words += [f"--user={user}"] * bool(user)
        words += options
        words += [f"--entrypoint={json.dumps(program)}"] * bool(program)
        result = subprocess.run([*map(str, words), self.image, *command], capture_output=True,
                                text=True)
        if result.returncode != 0:
            raise RuntimeError(f"podman run: {result.stderr}")
        return PodmanContainer(name)

    def call(self, *command, **options):
        """Runs a container in the foreground to its end, with `command` after the entry point."""
        return subprocess.run([PODMAN, "run", "--rm", "--network=none", "--no-healthcheck",
                               self.image, *command], capture_output=True, text=True, timeout=60,
                              **options)


class NamespacesContainer(Container):
    """A container made by unshare(1) and chroot(8)."""

    def __init__(self, process, output):
        self.process, self.file = process, output
        children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
        # Process 1 sets the root up before it becomes what it is to be.
        pid = wait_for(lambda: (found := children.read_text().split()) and
                       b"container=" in pathlib.Path(f"/proc/{found[0]}/environ").read_bytes() and
                       int(found[0]), "process 1 in its root")
        super().__init__(pid)

    def output(self):
        """What process 1 and whoever shares its stdout and stderr wrote."""
        return pathlib.Path(self.file.name).read_text()

    def wait(self, seconds=30):
        """Waits for its end; returns the exit status."""
        return self.process.wait(seconds)

    def stop(self, limit=10):
        """Stops it as engines do; returns the exit status and how many seconds it took."""
        start = time.monotonic()
        os.kill(self.pid, signal.SIGTERM)
        try:
            status = self.wait(limit)
        except subprocess.TimeoutExpired:
            os.kill(self.pid, signal.SIGKILL)
            status = self.wait()
        return status, time.monotonic() - start

    def remove(self):
        """Ends it if need be and forgets it."""
        self.process.kill()
        self.process.wait()
        self.file.close()


class Namespaces:
    """unshare(1) and chroot(8) with a root directory."""

    name = "namespaces"

    def __init__(self, root, directory):
        self.image, self.directory = root, pathlib.Path(directory)

    def start(self, *command, environment=(), volumes=(), capabilities=(), seccomp=True,
              only=None, read_only=False, temporary=(), user=None, below=False, program=None, options=()):
        """As Podman.start; all capabilities are there, and no filter."""
        words = [IN_NAMESPACES]
        for flag, values in (("-e", environment), ("-t", temporary),
                             ("-b", [f"{here}:{there.removesuffix(':ro')}" for here, there in volumes])):
            for value in values:
                words += [flag, value]
        words += ["-r"] * read_only + (["-u", user] if user else [])
        prefix = []
        if below:
            words += ["-b", f"{shutil.which('catatonit')}:/run/outer-init"]
            prefix = ["/run/outer-init", "--"]
        output = open(self.directory / f"output-{next(_serial)}", "w")
        process = subprocess.Popen(
            [*map(str, words), self.image, *prefix, *(program or [*INIT, "--"]), *command],
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            start_new_session=True)
        return NamespacesContainer(process, output)

    def call(self, *command, **options):
        """Runs a container in the foreground to its end, with `command` after the entry point."""
        return subprocess.run([IN_NAMESPACES, self.image, *INIT, "--", *command],
                              capture_output=True, text=True, timeout=60, **options)


@functools.cache
def podman_works():
    """Whether podman can run anything here; else what it says."""
    if not shutil.which("podman"):
        return "podman is not installed"
    subprocess.run([ROOT / "Scripts/make-debian", ROOT / "build/debian"], check=True)
    result = subprocess.run([PODMAN, "run", "--rm", "--network=none", "--rootfs",
                             f"{ROOT}/build/debian:O", "true"], capture_output=True, text=True)
    return True if result.returncode == 0 else result.stderr.strip()


def podman(*arguments):
    """Runs podman to its end and returns what it prints; an error has its last words."""
    result = subprocess.run([PODMAN, *arguments], capture_output=True, text=True)
    if result.returncode != 0:
        raise RuntimeError(f"podman {arguments[0]}: {result.stdout[-4000:]}{result.stderr[-4000:]}")
    return result.stdout


BUILD = ["--network=host", "--pull=never", "--format=docker"]


def toolchain():
    """The directory of this machine's Swift toolchain."""
    information = json.loads(subprocess.check_output(["swift", "-print-target-info"]))
    return str(pathlib.Path(information["paths"]["runtimeResourcePath"]).parents[1])


def build_options():
    """How podman builds the project's Dockerfile with this machine's images and toolchain."""
    return [*BUILD, "--build-arg=BASE=localhost/apus-base", "--build-arg=BUILDER=localhost/apus-builder",
            f"--volume={toolchain()}:{toolchain()}:ro"]


def make_base():
    """Makes an image of this machine's own release, unless there is one."""
    base = "localhost/apus-base"
    if subprocess.run([PODMAN, "image", "exists", base]).returncode != 0:
        with subprocess.Popen(["tar", "-C", ROOT / "build/debian", "-c", "."],
                              stdout=subprocess.PIPE) as tar:
            subprocess.run([PODMAN, "import", "--quiet", "-", base], stdin=tar.stdout, check=True,
                           stdout=subprocess.DEVNULL)
    return base


def make_tools(directory):
    """Makes localhost/apus by the lines of the Dockerfile's target `apus`, with the binary that is built already in the
    place of its builder's."""
    subprocess.run([ROOT / "Scripts/make-root", directory / "root-directory"], check=True, stdout=subprocess.DEVNULL)
    text = (ROOT / "Dockerfile").read_text()
    target = re.search(r"^FROM scratch AS apus\n(?:(?!FROM ).*\n)*", text, re.M)[0]
    (directory / "Dockerfile").write_text(f"FROM scratch AS builder\nCOPY root-directory /root-directory\n{target}")
    podman("build", *BUILD, "--tag=localhost/apus", str(directory))


def build_image():
    """Builds the project's Dockerfile on images made from this machine's own release and toolchain,
    since no registry need be reachable. Returns the image's name."""
    base, builder, image = "localhost/apus-base", "localhost/apus-builder", "localhost/apus-sshd"
    if os.environ.get("APUS_TEST_IMAGE"):
        return os.environ["APUS_TEST_IMAGE"]
    make_base()
    podman("build", *BUILD, f"--tag={builder}", f"--build-arg=BASE={base}",
           f"--build-arg=TOOLCHAIN={toolchain()}", "--file=Tests/Container/builder.Dockerfile",
           str(ROOT / "Tests/Container"))
    podman("build", *build_options(), f"--tag={image}", str(ROOT))
    # Layers of yesterday's builds; those of today make the next build fast.
    podman("image", "prune", "--force", "--filter=until=24h")
    return image


def engine(directory):
    """The engine to test with; `APUS_TEST_ENGINE` names another than the best that works."""
    wanted = os.environ.get("APUS_TEST_ENGINE")
    if wanted == "podman" or (wanted is None and podman_works() is True):
        return Podman(build_image())
    root = ROOT / "build/sshd"
    subprocess.run([ROOT / "Scripts/make-sshd-root", root], check=True, stdout=subprocess.DEVNULL)
    return Namespaces(str(root), directory)
