"""What end-to-end tests share: the release binary, waiting for a state, processes that are cleaned up."""

import contextlib
import ctypes
import os
import pathlib
import signal
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("APUS_BIN", ROOT / "build/bin"))
REFERENCE = pathlib.Path("/usr/bin")


def environment(**extra):
    """A small fixed environment in which programs are found in our directory first."""
    return {"PATH": f"{BIN}:/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C", **extra}


def run(*command, **options):
    """Runs a program to its end, at most 60 s; output as bytes."""
    options.setdefault("env", environment())
    options.setdefault("timeout", 60)
    return subprocess.run([str(word) if not isinstance(word, bytes) else word for word in command],
                          capture_output=True, **options)


def landlock_version():
    """What the kernel offers of landlock(7); negative for nothing."""
    return ctypes.CDLL(None, use_errno=True).syscall(444, None, 0, 1)


def static_program(path, source):
    """Compiles C into a program that needs nothing of a container; returns its path."""
    path = pathlib.Path(path)
    subprocess.run(["gcc", "-x", "c", "-", "-O1", "-static", "-o", path], input=source.encode(), check=True)
    return path


def wait_for(condition, what="the expected state", seconds=30):
    """Waits until `condition()` is true and returns its value; fails with `what` at the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come within {seconds} s")
        time.sleep(0.01)


@contextlib.contextmanager
def background(*command, stop=signal.SIGTERM, **options):
    """A process that runs during the block and is ended, with its process group, after it."""
    options.setdefault("env", environment())
    process = subprocess.Popen([str(word) for word in command], start_new_session=True, **options)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(stop)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextlib.contextmanager
def pid_namespace(*command, **options):
    """`command` as PID 1 of a pid namespace of its own with its own /proc; the namespace, and so
    every process in it, ends with the block. Yields (Popen of unshare, pid of PID 1 outside)."""
    options.setdefault("env", environment())
    process = subprocess.Popen(
        ["unshare", "--pid", "--mount", "--fork", "--mount-proc", "--kill-child", "--"]
        + [str(word) for word in command], **options)
    children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
    try:
        first = wait_for(lambda: process.poll() is not None or children.read_text().split(),
                         "PID 1 of the namespace")
        yield process, (int(first[0]) if first is not True else None)
    finally:
        process.kill()
        process.wait()
