"""supervise and svscan against Debian's: messages, files, modes, what a service is given."""

import pytest

from harness import Case, compare

# A status file is stamp, process id, paused, want, of which only the last two are the same each time, and here more.
STATUS = (rb"(?s)^@\0\0\0.{12}([\0\1])([ud\0])(?:.{27}.*)?$", rb"STATUS \1\2")
# The original repeats at every try what is said here once.
REPEATED = (rb"(supervise: fatal: .*\n)\1+", rb"\1")
# Waits until svstat says what is given of the directory d, and not why it cannot say anything.
REACH = "reach() { n=0; while ! svstat d | grep -v supervise | grep -q \"$1\" && [ $n -lt 300 ]; do " \
        "sleep 0.1; n=$((n+1)); done; }; await() { while ! [ -e d/done ]; do sleep 0.1; done; }; "
NORMALISE = [STATUS, REPEATED]
SLEEP = (b"#!/bin/sh\nexec sleep 30\n", 0o755)


def supervise(name, script="", *arguments, run=SLEEP, files=None, **options):
    """A case whose script runs while `supervise d` does, and has to make it end."""
    everything = {"d/run": run} if run else {"d": None}
    everything.update(files or {})
    if script:
        script = REACH + "supervise d & " + script + " wait"
    return Case(f"supervise: {name}", "supervise", list(arguments), files=everything,
                script=script, normalise=NORMALISE, **options)


def scripted(name, script, files=None):
    return Case(f"supervise: {name}", "supervise", script=script, files=files or {"d/run": SLEEP},
                normalise=NORMALISE)


END = "svc -dx d;"

CASES = [
    supervise("no arguments"),
    supervise("two arguments", "", "d", "d"),
    supervise("no such directory", "", "nowhere"),
    supervise("empty name", "", ""),
    supervise("odd bytes in the name", "", b"a\xff\nb"),
    supervise("directory is a file", "", "d/run"),
    supervise("dash is a directory", "", "-x"),
    supervise("supervise is a file", "", "d", files={"d/supervise": b""}),
    supervise("lock is a directory", "", "d", files={"d/supervise/lock": None}),
    scripted("lock is held", "mkdir d/supervise; flock d/supervise/lock supervise d"),
    supervise("control is a directory", "", "d", files={"d/supervise/control": None}),
    scripted("down is a cyclic link", "ln -s down d/down; supervise d"),
    supervise("files and modes while it is up", "reach 'd: up'; ls -l d/supervise | cut -c1-10;" + END),
    supervise("files after the end", "reach 'd: up';" + END),
    supervise("files of a service that starts down", "reach 'd: down'; ls d/supervise;" + END,
              files={"d/down": b""}),
    scripted("umask applies to the status file", REACH + "umask 077; supervise d & reach 'd: up';"
             "svc -dx d; wait; ls -l d/supervise | cut -c1-10"),
    scripted("supervise is a link", REACH + "mkdir s; ln -s ../s d/supervise; supervise d & "
             "reach 'd: up'; svc -dx d; wait; ls s"),
    scripted("supervise is a dangling link", REACH + "ln -s \"$PWD/s\" d/supervise; supervise d & "
             "reach 'd: up'; svc -dx d; wait; ls -ld s | cut -c1-10"),
    supervise("what a service is given", "reach 'd: up'; await; cat d/out;" + END,
              run=(b'#!/bin/sh\n(id -u; pwd | sed "s,.*/,,"; echo "$0 $#"; env | sort;'
                   b"readlink /proc/self/fd/0; grep SigBlk /proc/self/status) > out\n"
                   b"touch done; exec sleep 30\n", 0o755)),
    supervise("standard output and error", "reach 'd: up'; await;" + END,
              run=(b"#!/bin/sh\necho out; echo err >&2\ntouch done; exec sleep 30\n", 0o755)),
    supervise("no run", "reach seconds;" + END, run=None),
    supervise("run cannot be executed", "reach seconds;" + END, run=(SLEEP[0], 0o644)),
    supervise("run is a directory", "reach seconds;" + END, run=None, files={"d/run": None}),
    supervise("run is for no interpreter", "reach seconds;" + END,
              run=(b"exec sleep 30\n", 0o755)),
    supervise("run names an interpreter that is not there", "reach seconds;" + END,
              run=(b"#!/nowhere/sh\n", 0o755)),
    supervise("status after -p", "reach 'd: up'; svc -p d; reach paused; svstat d | cut -d, -f2-;"
              "svc -c d; reach 'seconds$'; svstat d | cut -d, -f2- | cut -d' ' -f1;" + END),
    supervise("status after -o", "reach 'd: down'; svc -o d; reach 'd: up'; svc -x d; svc -t d;",
              files={"d/down": b""}),
    supervise("status after -u of a service that starts down",
              "reach 'd: down'; svc -u d; reach 'd: up'; svstat d | cut -d, -f2-;" + END,
              files={"d/down": b""}),
    supervise("status after -d", "reach 'd: up'; svc -d d; reach 'd: down'; svstat d | cut -d, -f2-;" + END),
    supervise("a kill that x follows", "reach 'd: up'; svc -x d; svc -k d;"),
    supervise("x of a service that is down", "reach 'd: down'; svc -x d;", files={"d/down": b""}),
    supervise("unknown letters are ignored", "reach 'd: up'; printf zZ9 > d/supervise/control;" + END),
    supervise("garbage in the control FIFO",
              "reach 'd: up'; head -c 3000 /dev/zero > d/supervise/control;" + END),
    supervise("a status file of an earlier time", "reach 'd: up';" + END,
              files={"d/supervise/status": b"garbage", "d/supervise/status.new": b"more"}),
    Case("svscan: no such directory", "svscan", ["nowhere"]),
    Case("svscan: directory is a file", "svscan", ["f"], files={"f": b""}),
    Case("svscan: empty name", "svscan", [""]),
    Case("svscan: odd bytes in the name", "svscan", [b"\xff\n"]),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_supervise(case):
    compare(case)
