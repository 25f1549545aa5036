"""A supervisor's files without a supervisor: a test says what state a service is in."""

import contextlib
import os
import struct
import time

from services import lay

STATES = "down blocked waiting starting up stopping finishing done failed".split()
REASONS = ("none asked ended notReady tooManyRestarts permanent notExecutable watchdog outOfMemory "
           "dependency connection").split()


def label(seconds):
    """TAI64N of a Unix time."""
    whole = int(seconds)
    return struct.pack(">QI", 2**62 + 10 + whole, int((seconds - whole) * 1e9))


def record(state=None, pid=0, want="u", since=None, paused=False, reason="none", end=None, starts=1,
           ready_since=None, text=b""):
    """The content of a status file; without a state, that of daemontools."""
    since = time.time() if since is None else since
    content = label(since) + struct.pack("<I", pid) + bytes([paused]) + (want or "\0").encode()
    if state is None:
        return content
    ready = state in ("up", "done")
    runit = {"starting": 1, "up": 1, "stopping": 1, "finishing": 2}.get(state, 0)
    return content + bytes([
        0, runit, 1, STATES.index(state), ready | (end is not None) << 1, REASONS.index(reason),
    ]) + struct.pack("<iI", end or 0, starts) + (label(ready_since or since) if ready else bytes(12)) + bytes(
        [len(text)]) + text


class Supervised:
    """A service that seems to be supervised while the block lasts."""

    def __init__(self, path):
        self.path = lay(path)
        self.files = self.path / "supervise"
        self.files.mkdir()
        for name in ("ok", "control"):
            os.mkfifo(self.files / name)

    def __enter__(self):
        self.ok = os.open(self.files / "ok", os.O_RDONLY | os.O_NONBLOCK)
        self.control = os.open(self.files / "control", os.O_RDWR | os.O_NONBLOCK)
        return self

    def __exit__(self, *_):
        self.end()

    def set(self, *words, **options):
        """Replaces the status file as a supervisor does."""
        (self.files / "status.new").write_bytes(record(*words, **options))
        (self.files / "status.new").rename(self.files / "status")

    def commands(self):
        """The letters that have come."""
        with contextlib.suppress(BlockingIOError):
            return os.read(self.control, 100).decode()
        return ""

    def end(self):
        """Nobody supervises it any more."""
        for descriptor in (self.ok, self.control):
            with contextlib.suppress(OSError):
                os.close(descriptor)
