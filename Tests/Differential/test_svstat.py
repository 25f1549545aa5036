"""svstat's words against Debian's, for status files of every kind."""

import time

import pytest

from harness import Case, compare

EPOCH = 2**62 + 10
# The clock may turn between the two programs: nothing here is near a change of the hundreds.
SECONDS = [(rb"(\d+)\d\d seconds", rb"\1xx seconds")]


def stamp(age):
    return (EPOCH + int(time.time()) // 100 * 100 - age).to_bytes(8, "big")


def record(age=650, pid=0, paused=0, want=b"u", raw=None):
    seconds = stamp(age) if raw is None else raw
    return seconds + b"\0\0\0\1" + pid.to_bytes(4, "little") + bytes([paused]) + want


def supervised(name, status, down=False, more=(), command="svstat d", **options):
    """svstat d, where d looks supervised and has the given status file, or none."""
    files = {"d/supervise": None, "d/supervise/status": status, **dict(more)}
    if status is ...:
        del files["d/supervise/status"]
    if down:
        files["d/down"] = b""
    return Case(name, "svstat", files=files, normalise=SECONDS, **options,
                script=f"mkfifo d/supervise/ok; exec 9<>d/supervise/ok; {command}")


STATES = [
    supervised(f"pid {pid}, paused {paused}, want {want}, {'down' if down else 'no down'}",
               record(pid=pid, paused=paused, want=want, raw=bytes(8)), down)
    for pid in (0, 1234567) for paused in (0, 1)
    for want in (b"u", b"d", b"\0") for down in (False, True)
]

CASES = [
    Case("no arguments", "svstat"),
    Case("no such directory", "svstat", ["nowhere"]),
    Case("empty name", "svstat", [""]),
    Case("odd bytes in a name", "svstat", [b"a\nb\xff"]),
    Case("options are directories", "svstat", ["-u", "--"]),
    Case("directory is a file", "svstat", ["f"], files={"f": b""}),
    Case("never supervised", "svstat", ["d"], files={"d": None}),
    Case("supervise is a file", "svstat", ["d"], files={"d/supervise": b""}),
    Case("down is a cyclic link", "svstat", files={"d": None},
         script="ln -s down d/down; svstat d"),
    Case("ok is a directory", "svstat", ["d"], files={"d/supervise/ok": None}),
    Case("no supervisor", "svstat", files={"d/supervise/status": record()},
         script="mkfifo d/supervise/ok; svstat d"),
    Case("ok is a file: taken for a supervisor", "svstat", ["d"],
         files={"d/supervise/ok": b"", "d/supervise/status": record(raw=bytes(8))}),
    supervised("no status", ...),
    supervised("svstat: status is a directory", None),
    supervised("several, and back each time", record(raw=bytes(8)), more={"e": None},
               command="svstat d nowhere ./e d/../e"),
    *(supervised(f"status of {count} bytes", record(pid=5)[:count]) for count in (0, 1, 12, 17)),
    supervised("status of 20 bytes, as daemontools-encore writes it", record() + b"\3\0"),
    supervised("status of 35 bytes", record() + bytes(17)),
    supervised("down for a while", record(age=311700)),
    supervised("up for a while", record(age=311700, pid=2542)),
    supervised("in the future", record(age=-1000, pid=7)),
    supervised("label of the epoch", record(raw=EPOCH.to_bytes(8, "big"))),
    supervised("label of zero", record(raw=bytes(8))),
    supervised("label of all ones", record(raw=b"\xff" * 8)),
    supervised("largest label below now's exponent", record(raw=(2**62 - 1).to_bytes(8, "big"))),
    supervised("pid beyond 31 bits", record(pid=2**32 - 2)),
    supervised("want of another letter", record(pid=3, want=b"x")),
    supervised("paused is any byte but zero", record(pid=3, paused=255)),
    *STATES,
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_svstat(case):
    compare(case)
