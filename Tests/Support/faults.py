"""Faults of a supervisor: having it meet one, and seeing that it got over it."""

import contextlib
import os
import pathlib
import re
import signal
import subprocess

from apus import BIN, pid_namespace, wait_for
from services import children, process_state

FAULTS = [signal.SIGSEGV, signal.SIGILL, signal.SIGBUS, signal.SIGFPE, signal.SIGTRAP, signal.SIGABRT, signal.SIGSYS]

# Writes its process id and numbers without end.
COUNTER = "i=0; while :; do echo $$ $i; i=$((i+1)); sleep 0.02; done"


def table_file(pid):
    """The file in memory that a supervisor leaves to the next image of itself; None if it has none."""
    for entry in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/{pid}/fd/{entry}").startswith("/memfd:apus"):
                return f"/proc/{pid}/fd/{entry}"
    return None


def table(pid):
    """How many faults a supervisor has met, and how many of them it has got over, by its table."""
    with contextlib.suppress(OSError, TypeError), open(table_file(pid), "rb") as content:
        head = content.read(80)
        return int.from_bytes(head[56:60], "little"), int.from_bytes(head[76:80], "little")
    return 0, 0


def wait_over(pid, faults=0):
    """Waits until a supervisor has got over all faults, and at least so many; returns how many there were."""
    def over():
        met, overcome = table(pid)
        return met if met == overcome >= faults else None
    return wait_for(over, "the next image") if faults else over()


def settle(pid):
    """Waits until a supervisor has got over its last fault: before that, it would ignore a signal."""
    def settled():
        met, overcome = table(pid)
        return met == overcome
    wait_for(settled, "the end of the last fault")


def trap(pid, number=signal.SIGSEGV):
    """Has a supervisor meet a fault, and waits until the next image of it has gone on."""
    settle(pid)
    before = table(pid)[0]
    os.kill(pid, number)
    wait_over(pid, before + 1)


def said(process, words):
    """Waits for words of a supervisor whose standard error does not block, and returns all that it said."""
    text = b""

    def found():
        nonlocal text
        text += process.stderr.read() or b""
        return words in text
    wait_for(found, words.decode())
    return text


def resident(pid):
    """Kilobytes of anonymous and of shared memory."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return sum(int(re.search(rf"{name}:\s+(\d+)", text)[1]) for name in ["RssAnon", "RssShmem"])


def zombies(pid):
    return [child for child in children(pid) if process_state(child) == "Z"]


@contextlib.contextmanager
def init(*arguments, **options):
    """init as process 1 of a namespace; yields the process of unshare and its own id outside."""
    options.setdefault("stderr", subprocess.PIPE)
    with pid_namespace(BIN / "init", *arguments, **options) as (process, first):
        if process.stderr is not None:
            os.set_blocking(process.stderr.fileno(), False)
        yield process, first
