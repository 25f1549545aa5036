"""tai64nlocal against Debian's."""

import pytest

from harness import Case, compare

EPOCH = 4611686018427387914


def label(seconds, nanoseconds=0):
    """The label of a Unix time."""
    return b"@%016x%08x" % (EPOCH + seconds, nanoseconds)


def local(name, input, *arguments, zone="UTC"):
    return Case(f"tai64nlocal: {name}", "tai64nlocal", list(arguments), input=input,
                environment={"TZ": zone})


def zone(name, seconds):
    """Times in a zone, each a second before and after something happens there."""
    return local(f"zone {name or '(empty)'}", b"".join(
        label(second + step) + b"\n" for second in seconds for step in (-1, 0)), zone=name)


# The ends of winter and of summer in 2021, in Europe and in the United States.
CHANGES = [1616893200, 1635642000, 1615705200, 1636264800]

CASES = [
    local("a line", label(1000000000, 123456789) + b" hello\n"),
    local("no input", b""),
    local("empty lines", b"\n\n"),
    local("lines without a label", b"one\n two\n\n"),
    local("the epoch", label(0) + b"\n"),
    local("before the epoch", label(-1, 999999999) + b" x\n"),
    local("nanoseconds have nine digits", label(0, 1) + b"\n" + label(0, 999999999) + b"\n"),
    local("nanoseconds beyond a second", label(0, 4294967295) + b" x\n"),
    local("nothing after the label", label(0) + b"\n" + label(1) + b"\n"),
    local("any byte ends the label", label(0) + b"x\n" + label(0) + b"-\n" + label(0) + b"\0\n"
          + label(0) + b"\xff\n" + label(0) + b"@\n" + label(0) + b"A\n" + label(0) + b"g\n"
          + label(0) + b":\n" + label(0) + b"`\n" + label(0) + b"/\n"),
    local("only the first label of a line", label(0) + b" " + label(1) + b"\n"),
    local("a label within a line", b"x " + label(0) + b"\n"),
    local("a space before the label", b" " + label(0) + b"\n"),
    local("25 digits: the first falls out", b"@5" + label(0)[1:] + b" x\n"),
    local("100 digits: the last 24 count", b"@" + b"f" * 76 + label(7)[1:] + b" x\n"),
    local("year 1", label(-62135596800) + b"\n"),
    local("year 0", label(-62135596801) + b"\n"),
    local("a year before the first", label(-62198755200) + b"\n"),
    local("year 999", label(-30610224001) + b"\n"),
    local("year 9999 and 10000", label(253402300799) + b"\n" + label(253402300800) + b"\n"),
    local("year 300000", label(9404979724800) + b"\n"),
    local("beyond 32 bits", label(2**31) + b"\n" + label(2**32) + b"\n" + label(-2**31 - 1) + b"\n"),
    local("the last day of a leap year", label(951782400) + b"\n" + label(978220800) + b"\n"),
    zone("Europe/Berlin", CHANGES),
    zone("America/New_York", CHANGES),
    zone("Asia/Kathmandu", CHANGES),
    zone("Australia/Lord_Howe", CHANGES + [1617462000, 1633188600]),
    zone(":Europe/London", CHANGES),
    zone("EST5EDT", CHANGES),
    zone("CET-1CEST,M3.5.0,M10.5.0/3", CHANGES),
    zone("<+0330>-3:30", CHANGES),
    zone("No/Such_Zone", CHANGES),
    zone("", CHANGES),
    zone("Europe/Berlin\n", CHANGES),
    local("a zone beyond 2037", label(4102444800) + b"\n" + label(4118083200) + b"\n",
          zone="Europe/Berlin"),
    local("a zone a hundred years ago", label(-2000000000) + b"\n" + label(-3000000000) + b"\n",
          zone="Europe/Amsterdam"),
    local("odd bytes", b"a\0b\n\xff\xfe\n" + label(0) + b" \0\xff\n\r\n"),
    local("100 KB lines", label(0) + b" " + b"x" * 100_000 + b"\n" + b"y" * 100_000 + b"\n"),
    local("many lines", b"".join(label(n, n) + b" %d\n" % n for n in range(0, 10**9, 33333))),
    local("no newline at the end", label(0) + b" x\n" + label(1) + b" y"),
    local("a line without a label, no newline at the end", b"xyz"),
    local("arguments are ignored", label(0) + b"\n", "-x", "--help", "y"),
    local("a lone at sign", b"a\n@\nb\n"),
    local("an at sign and words", b"@home sweet home\n"),
    local("upper-case digits", label(1000000000).upper() + b" x\n"),
    local("a TAI64 label without nanoseconds", label(1000000000)[:17] + b" x\n"),
    local("23 digits", label(1000000000)[:24] + b" x\n"),
    local("the greatest label", b"@" + b"f" * 24 + b" x\n"),
    local("the input ends within a label", b"x\n" + label(0)),
    Case("tai64nlocal: standard input closed", "tai64nlocal", script="tai64nlocal <&-; echo $?"),
    Case("tai64nlocal: standard input a directory", "tai64nlocal",
         script="tai64nlocal < /; echo $?"),
    Case("tai64nlocal: standard output closed", "tai64nlocal",
         script="echo x | tai64nlocal >&-; echo $?"),
    Case("tai64nlocal: standard output full", "tai64nlocal",
         script="echo x | tai64nlocal >/dev/full; echo $?"),
    Case("tai64nlocal: the zone of the machine", "tai64nlocal",
         script="unset TZ; echo @400000003b9aca0a00000000 x | tai64nlocal"),
    Case("tai64nlocal: what tai64n stamps", "tai64nlocal", normalise=[(rb"[0-9]", b"N")],
         script="printf 'a\\n\\nb' | tai64n | tai64nlocal"),
    Case("tai64nlocal: a line comes out before the next is read", "tai64nlocal",
         script="mkfifo f g; tai64nlocal < f > g & exec 3>f 4<g; "
                "echo @400000003b9aca0a00000000 x >&3; read a <&4; echo $a; "
                "echo two >&3; read a <&4; echo $a; exec 3>&-; wait"),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_as_the_original(case):
    compare(case)
