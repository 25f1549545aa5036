"""Reads the whole of supervise/status: daemontools' part, runit's, and ours, as StatusDetails.swift has it."""

import dataclasses
import pathlib
import struct

STATES = ["down", "blocked", "waiting", "starting", "up", "stopping", "finishing", "done", "failed"]
REASONS = ["none", "asked", "ended", "notReady", "tooManyRestarts", "permanent", "notExecutable", "watchdog",
           "outOfMemory", "dependency", "connection"]


@dataclasses.dataclass(frozen=True)
class Details:
    """One content of the file."""

    pid: int
    paused: bool
    want: str
    terminated: bool
    runit: int
    state: str
    reason: str
    ready: bool
    last_end: int | None
    starts: int
    text: str


def details(service):
    """What the status file of a service says now; a service has one once it is supervised."""
    data = (pathlib.Path(service) / "supervise/status").read_bytes()
    version, state, flags, reason = data[20:24]
    assert version == 1 and len(data) == 45 + data[44], data
    last_end, starts = struct.unpack("<iI", data[24:32])
    return Details(
        pid=struct.unpack("<I", data[12:16])[0], paused=data[16] != 0, want=chr(data[17]),
        terminated=data[18] != 0, runit=data[19], state=STATES[state], reason=REASONS[reason],
        ready=flags & 1 != 0, last_end=last_end if flags & 2 else None, starts=starts,
        text=data[45:].decode())
