"""svc and svok against Debian's: what they print, return, and write into the control FIFO."""

import pytest

from harness import Case, compare

# A plain file in place of the FIFO keeps what svc writes.
CONTROL = {"d/supervise/control": b"..............................", "d/run": b""}


def svc(name, *arguments, files=CONTROL, **options):
    return Case(f"svc: {name}", "svc", list(arguments), files=files, **options)


def svok(name, *arguments, **options):
    return Case(f"svok: {name}", "svok", list(arguments), **options)


CASES = [
    svc("no arguments"),
    svc("no options", "d"),
    svc("options and no directory", "-u"),
    *(svc(f"letter {letter}", f"-{letter}", "d") for letter in "udopchaitkx"),
    svc("letters in the order given", "-dx", "-u", "d"),
    svc("a letter twice is sent once", "-udu", "-d", "-dxu", "d"),
    svc("every letter", "-udopchaitkx", "d"),
    svc("letters of daemontools-encore and runit", "-q12w", "d"),
    svc("unknown letter", "-z", "d"),
    svc("unknown letter in a cluster", "-uz", "d"),
    svc("unknown letter after good ones", "-u", "-Z", "d"),
    svc("unknown letter beyond ASCII", b"-\xe9", "d"),
    svc("colon is no letter", "-:", "d"),
    svc("question mark is no letter", "-?", "d"),
    svc("long option", "--up", "d"),
    svc("two dashes end the options", "-u", "--", "d"),
    svc("after two dashes a dash is a directory", "--", "-u"),
    svc("a lone dash is a directory", "-u", "-", "d"),
    svc("options after a directory are directories", "-u", "d", "-d"),
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
    svc("one of several fails", "-t", "nowhere", "d", "e", "./d/../d"),
    svc("absolute and relative directories", script='svc -h "$PWD/d" d "$PWD/nowhere" d/.'),
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
