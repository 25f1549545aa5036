"""tai64n against Debian's."""

import pytest

from harness import TAI64N, Case, compare

ODD = b"a\0b\n\0\n\xff\xfe\x80\n\r\n\ttab \n\n"


def stamped(name, input, *arguments):
    return Case(f"tai64n: {name}", "tai64n", list(arguments), input=input, normalise=[TAI64N])


def sh(name, script):
    return Case(f"tai64n: {name}", "tai64n", script=script, normalise=[TAI64N])


CASES = [
    stamped("lines", b"one\ntwo\n"),
    stamped("no input", b""),
    stamped("empty lines", b"\n\n\n"),
    stamped("no newline at the end", b"one\ntwo"),
    stamped("one byte", b"x"),
    stamped("odd bytes", ODD),
    stamped("100 KB lines", (b"x" * 100_000 + b"\n") * 3),
    stamped("many lines", b"".join(b"%d\n" % number for number in range(50_000))),
    stamped("stamped lines get another stamp", b"@400000003b9aca0a00000000 x\n"),
    stamped("arguments are ignored", b"x\n", "-x", "--help", "y"),
    sh("standard input closed", "tai64n <&-; echo $?"),
    sh("standard input a directory", "tai64n < /; echo $?"),
    sh("standard output closed", "echo x | tai64n >&-; echo $?"),
    sh("standard output full", "echo x | tai64n > /dev/full; echo $?"),
    sh("nobody reads", "(yes | tai64n; echo $? >&2) | head -n 2"),
    sh("a line comes out before the next is read",
       "mkfifo f g; tai64n < f > g & exec 3>f 4<g; "
       "echo one >&3; read a b <&4; echo $b; echo two >&3; read a b <&4; echo $b; "
       "printf part >&3; dd bs=1 count=30 <&4 2>/dev/null; exec 3>&-; wait"),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_as_the_original(case):
    compare(case)
