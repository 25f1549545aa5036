"""What the tests of supervision share: service directories, and what svstat says of them."""

import contextlib
import os
import pathlib
import re
import signal
import subprocess
import time

from apus import BIN, REFERENCE, environment, run, wait_for

# Writes the name of each signal it gets into the file `got`; ends by TERM.
SIGNALS = """
for s in HUP INT QUIT ALRM USR1 USR2 WINCH; do trap "echo $s >> got" $s; done
trap 'echo TERM >> got; kill $p; exit' TERM
trap 'echo CONT >> got' CONT
sleep 1000 & p=$!
echo UP >> got
while :; do wait $p; done
"""


def lay(path, script="exec sleep 1000", log=None, down=False, interpreter="/bin/sh", **files):
    """Makes or changes a service directory; with `log`, its logger's too, and with other files: `timeout_kill` is
    timeout-kill, and what begins with #! is a program, as `down` may be. A new one appears whole, since a directory
    that svscan sees before its run is there is worth a warning."""
    path = pathlib.Path(path)
    place = path if path.is_dir() else path.with_name(f".{path.name}")
    place.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        write(place / name.replace("_", "-"), content)
    if down:
        write(place / "down", "" if down is True else down)
    if log is not None:
        lay(place / "log", log)
    if script is not None:
        write(place / "run", f"#!{interpreter}\n{script}\n")
    if place != path:
        place.rename(path)
    return path


def write(path, content):
    """Replaces a file of a service directory; a program is one that may be executed."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.new")
    new.write_bytes(content if isinstance(content, bytes) else content.encode())
    new.chmod(0o755 if new.read_bytes().startswith(b"#!") else 0o644)
    new.rename(path)


def svstat(path, tools=BIN):
    """The line of svstat without the name, of which ours shows odd bytes in the manner of C."""
    line = run(tools / "svstat", path).stdout
    escaped = "".join(chr(byte) if 32 <= byte < 127 else {10: "\\n"}.get(byte, f"\\x{byte:02x}")
                      for byte in os.fsencode(path))
    prefix = os.fsencode(path if tools == REFERENCE else escaped) + b": "
    assert line.startswith(prefix) and line.endswith(b"\n"), line
    return line[len(prefix):-1].decode()


def pid_of(path, tools=BIN):
    """The process of a service that is up, else None."""
    match = re.match(r"up \(pid (\d+)\) ", svstat(path, tools))
    return int(match[1]) if match else None


def wait_up(path, other_than=None, tools=BIN):
    """Waits until a service is up, with another process than the one given; returns it."""
    def found():
        pid = pid_of(path, tools)
        return pid if pid and pid != other_than else None
    return wait_for(found, f"{path} up")


def wait_run(path):
    """Waits until a service, up, has become the sleep or cat that its run script ends in."""
    def found():
        # Another program of the service may have come before, and be gone.
        pid = pid_of(path)
        with contextlib.suppress(FileNotFoundError):
            return pid if pid and os.readlink(f"/proc/{pid}/exe").endswith(("/sleep", "/cat")) else None
    return wait_for(found, f"the program of {path}")


def wait_down(path, tools=BIN):
    wait_for(lambda: svstat(path, tools).startswith("down "), f"{path} down")


def supervised(path):
    return run("svok", path).returncode == 0


def svc(options, *paths, tools=BIN):
    result = run(tools / "svc", options, *paths)
    assert (result.returncode, result.stderr) == (0, b""), result


def lines(path):
    """The complete lines of a file, none if it does not exist."""
    with contextlib.suppress(FileNotFoundError):
        return pathlib.Path(path).read_text().splitlines()
    return []


def process_state(pid):
    """The letter of ps, or None when it is gone."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return None


def started(pid):
    """When a process was started, by CLOCK_BOOTTIME in steps of a hundredth; nothing that the process
    itself has to wait for is in it."""
    status = pathlib.Path(f"/proc/{pid}/stat").read_text()
    return int(status.rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")


def boot_time():
    """The clock of `started`."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def descriptor_count(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def wait_idle(pid):
    """Waits until a process sleeps without being woken."""
    def sleeps():
        before = switches(pid)
        time.sleep(0.3)
        return switches(pid) == before
    wait_for(sleeps, "a quiet process")


def switches(pid):
    """How often a process has slept and been woken."""
    return [line for line in lines(f"/proc/{pid}/status") if line.startswith("voluntary_ctxt")]


def children(pid):
    """The children of a process."""
    return [int(child) for child in
            pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def descendants(pid):
    """The children of a process, theirs, and so on, each stopped before its own are counted, so that
    there is an end to them."""
    found = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for child in children(pid):
            os.kill(child, signal.SIGSTOP)
            found += [child, *descendants(child)]
    return found


def is_gone(pid):
    return process_state(pid) in (None, "Z")


def group_members(group):
    """The processes of a group that are no zombies."""
    members = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (state := process_state(entry)) not in (None, "Z"):
            with contextlib.suppress(ProcessLookupError):
                if os.getpgid(int(entry)) == group:
                    members.append(int(entry))
    return members


@contextlib.contextmanager
def supervisor(*command, **options):
    """svscan, supervise or init in a process group of its own, which is killed after: also what the
    supervisor left behind, and services in sessions of their own."""
    options.setdefault("env", environment())
    process = subprocess.Popen([str(word) for word in command], start_new_session=True,
                               stderr=subprocess.PIPE, **options)
    os.set_blocking(process.stderr.fileno(), False)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            # So that it starts and reaps nothing while it is killed with all that is below it.
            os.kill(process.pid, signal.SIGSTOP)
            for pid in descendants(process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        # A child that has not come to its exec yet holds what the supervisor held, the lock too.
        wait_for(lambda: not group_members(process.pid), "the end of the group")
        process.stderr.close()


def troubles(process):
    """The same without the ends of services, which tests bring about."""
    return [line for line in messages(process) if not re.search(r" (was ended by signal|ended with exit code) ", line)]


def messages(process):
    """What the supervisor has said since the last call."""
    text = process.stderr.read()
    return (text or b"").decode(errors="surrogateescape").splitlines()
