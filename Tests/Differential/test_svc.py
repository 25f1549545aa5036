"""svc and svok against Debian's: what they print, return, and write into the control FIFO."""

import shlex

import pytest

from harness import Case, compare

# A service without a FIFO, for what gets as far as its directory at most.
SERVICE = {"d/run": b""}


def svc(name, *arguments, files=SERVICE, **options):
    return Case(f"svc: {name}", "svc", list(arguments), files=files, **options)


def sends(name, *arguments, command=None):
    """The same with a FIFO in `d` that somebody has open; the file `got` has what came."""
    command = command or shlex.join(["svc", *arguments])
    return Case(f"svc: {name}", "svc", files={"d/supervise": None, "d/run": b""}, script=(
        f"mkfifo d/supervise/control; exec 9<>d/supervise/control; {command}; code=$?;"
        "exec 8<d/supervise/control 9>&-; cat <&8 >got; exit $code"))


def svok(name, *arguments, **options):
    return Case(f"svok: {name}", "svok", list(arguments), **options)


CASES = [
    svc("no arguments"),
    sends("no options", "d"),
    svc("options and no directory", "-u"),
    *(sends(f"letter {letter}", f"-{letter}", "d") for letter in "udopchaitkx"),
    sends("letters in the order given", "-dx", "-u", "d"),
    sends("a letter twice is sent once", "-udu", "-d", "-dxu", "d"),
    sends("every letter", "-udopchaitkx", "d"),
    sends("letters of daemontools-encore and runit", "-q12w", "d"),
    svc("unknown letter", "-z", "d"),
    svc("unknown letter in a cluster", "-uz", "d"),
    sends("unknown letter after good ones", "-u", "-Z", "d"),
    svc("unknown letter beyond ASCII", b"-\xe9", "d"),
    svc("colon is no letter", "-:", "d"),
    svc("question mark is no letter", "-?", "d"),
    svc("long option", "--up", "d"),
    sends("two dashes end the options", "-u", "--", "d"),
    svc("after two dashes a dash is a directory", "--", "-u"),
    sends("a lone dash is a directory", "-u", "-", "d"),
    sends("options after a directory are directories", "-u", "d", "-d"),
    svc("no such directory", "-u", "nowhere"),
    svc("empty name", "-u", ""),
    svc("directory is a file", "-u", "d/run"),
    svc("directory is a cyclic link", script="ln -s d d; svc -u d", files={}),
    svc("name with newline and odd bytes", "-u", b"a\nb\xff\x01"),
    svc("name longer than names may be", "-u", "n" * 300),
    svc("never supervised", "-u", "e", files={"e": None}),
    svc("supervise is a file", "-u", "e", files={"e/supervise": b""}),
    svc("control is a directory", "-u", "e", files={"e/supervise/control": None}),
    svc("control is a cyclic link", files={"e/supervise": None},
        script="ln -s control e/supervise/control; svc -u e"),
    svc("control is a dangling link", files={"e/supervise": None},
        script="ln -s gone e/supervise/control; svc -u e"),
    svc("no supervisor", files={"e/supervise": None},
        script="mkfifo e/supervise/control; svc -u e; svc e"),
    svc("no supervisor and no letters", "e", files={"e/supervise": None}),
    sends("one of several fails", "-t", "nowhere", "d", "e", "./d/../d"),
    sends("absolute and relative directories", command='svc -h "$PWD/d" d "$PWD/nowhere" d/.'),
    svc("control is a file", "-u", "d", files={"d/supervise/control": b"x"}),
    svc("a full disk", files={"e/supervise": None},
        script="ln -s /dev/full e/supervise/control; svc -u e"),
    svc("a reader gets all at once", files={"e/supervise": None},
        script="cd e/supervise; mkfifo control; head -c 3 control > got & cd ../..;"
               "while ! svc -hup e 2>&1 | wc -c | grep -qx 0; do :; done; wait"),
    svok("no arguments"),
    svok("no such directory", "nowhere"),
    svok("empty name", ""),
    svok("name with odd bytes", b"\xfe\n"),
    svok("directory is a file", "f", files={"f": b""}),
    svok("never supervised", "d", files={"d": None}),
    svok("supervise is empty", "d", files={"d/supervise": None}),
    svok("supervise is a file", "d", files={"d/supervise": b""}),
    svok("ok is a file", "d", files={"d/supervise/ok": b"x"}),
    svok("ok is a directory", "d", files={"d/supervise/ok": None}),
    svok("ok is a cyclic link", files={"d/supervise": None},
         script="ln -s ok d/supervise/ok; svok d"),
    svok("no supervisor", files={"d/supervise": None}, script="mkfifo d/supervise/ok; svok d"),
    svok("a supervisor", files={"d/supervise": None},
         script="mkfifo d/supervise/ok; exec 9<>d/supervise/ok; svok d"),
    svok("further arguments are ignored", "d", "nowhere", files={"d": None}),
    svok("options are directories", "-u"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_svc(case):
    compare(case)
