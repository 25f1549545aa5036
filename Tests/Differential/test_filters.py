"""addcr, delcr, fixcrio and argv0 beside Debian's: every byte, every exit code, every message."""

import os
import random
import socket
import subprocess
import time

import pytest

from apus import background, run, wait_for
from harness import Case, compare

ODD = bytes(range(256)) * 2
RANDOM = random.Random(88)
LINE_ENDS = bytes(RANDOM.choice(b"a\r\n\r\n") for _ in range(100_000))
LONG_LINE = b"x" * 1_000_000

INPUTS = {
    "nothing": b"",
    "one line feed": b"\n",
    "one CR": b"\r",
    "CR LF": b"\r\n",
    "LF CR": b"\n\r",
    "two CRs and LF": b"\r\r\n",
    "three CRs and LF": b"\r\r\r\n",
    "a line": b"hello\n",
    "a line with CR LF": b"hello\r\n",
    "no line feed at the end": b"hello",
    "CR at the end": b"hello\r",
    "two CRs at the end": b"hello\r\r",
    "CR inside a line": b"a\rb\n",
    "empty lines": b"\n\n\r\n\n",
    "every byte": ODD,
    "NUL bytes around line ends": b"\0\n\0\r\n\0\r\0\n",
    "high bytes around line ends": b"\xff\n\xfe\r\n\x8d\x8a",
    "a line of a million bytes": LONG_LINE + b"\r\n",
    "CR at the end of a block of 8192": b"x" * 8191 + b"\r\n" + b"y" * 8190 + b"\r\n",
    "CR at the end of a block of 65536": b"x" * 65535 + b"\r\n" + b"y" * 65534 + b"\r\nz\r",
    "CR at the end of a block of 256": b"x" * 255 + b"\r\n" + b"y" * 254 + b"\r\n" + b"z" * 253 + b"\r",
    "LF at the end of a block of 256": b"x" * 255 + b"\n" + b"\n" * 256 + b"\r" * 256 + b"\n",
    "random line ends": LINE_ENDS,
}


@pytest.mark.parametrize("program", ["addcr", "delcr", "fixcrio"])
@pytest.mark.parametrize("name", INPUTS)
def test_bytes(program, name):
    arguments = ["cat"] if program == "fixcrio" else []
    compare(Case(name, program, arguments, input=INPUTS[name]))


CASES = [
    Case("addcr ignores its arguments", "addcr", ["-x", "--", "file"], input=b"a\n"),
    Case("delcr ignores its arguments", "delcr", ["-x", "--", "file"], input=b"a\r\n"),
    Case("addcr without input", "addcr", script="addcr <&-; echo $?"),
    Case("delcr without input", "delcr", script="delcr <&-; echo $?"),
    Case("addcr reading a directory", "addcr", script="addcr < .; echo $?"),
    Case("delcr reading a directory", "delcr", script="delcr < .; echo $?"),
    Case("addcr on a full disk", "addcr", script="echo a | addcr > /dev/full; echo $?"),
    Case("delcr on a full disk", "delcr", script="echo a | delcr > /dev/full; echo $?"),
    Case("addcr without output", "addcr", script="echo a | addcr >&-; echo $?"),
    Case("addcr passes a piece on at once", "addcr",
         script="(printf 'a\\nb'; sleep 0.3; echo >&2 then; printf '\\n') | addcr | od -c"),
    Case("delcr holds a CR back and nothing else", "delcr",
         script="(printf 'ab\\r'; sleep 0.4; printf '\\ncd\\r'; sleep 0.4; printf 'e\\r') | delcr | od -c"),
    Case("addcr and delcr undo each other", "addcr",
         script="printf 'a\\n\\nb\\rc\\n' | addcr | delcr | od -c"),
    Case("addcr ends with its reader", "addcr",
         script="(yes | addcr; echo $? >&2) | head -c 3 | od -c", normalise=[(rb"\A(141|111)\n", b"")]),

    Case("argv0 without arguments", "argv0"),
    Case("argv0 with one argument", "argv0", ["sh"]),
    Case("argv0 takes no options", "argv0", ["-v"]),
    Case("argv0 sets the name", "argv0", ["/bin/sh", "other name", "-c", "echo $0"]),
    Case("argv0 looks in PATH", "argv0", ["sh", "-odd", "-c", "echo \"$0\" \"$@\"", "a", "b c"]),
    Case("argv0 with an empty name", "argv0", ["sh", "", "-c", "echo x"]),
    Case("argv0 with odd bytes", "argv0", ["sh", "sh", "-c", b"printf '%s' \"$0\" | od -c", b"\xff\x80\n"]),
    Case("argv0 cannot find it", "argv0", ["no-such-program", "x"]),
    Case("argv0 cannot find the path", "argv0", ["./no/such", "x"]),
    Case("argv0 cannot run a directory", "argv0", ["/", "x"]),
    Case("argv0 cannot run a file without x", "argv0", ["./plain", "x"], files={"plain": (b"", 0o644)}),
    Case("argv0 runs no text", "argv0", ["./text", "x"], files={"text": (b"echo hi\n", 0o755)}),
    Case("argv0 keeps the exit code", "argv0", ["sh", "sh", "-c", "exit 42"]),
    Case("argv0 keeps the environment", "argv0", ["env", "env", "-u", "PATH"],
         environment={"ODD": "a b", "EMPTY": ""}, normalise=[(rb"PWD=.*\n", b"")]),
    Case("argv0 of argv0", "argv0", ["argv0", "argv0", "sh", "deep", "-c", "echo $0"]),

    Case("fixcrio without a program", "fixcrio"),
    Case("fixcrio takes no options", "fixcrio", ["-x"]),
    Case("fixcrio cannot find the program", "fixcrio", ["no-such-program"]),
    Case("fixcrio cannot run the program", "fixcrio", ["./plain"], files={"plain": (b"", 0o644)}),
    Case("fixcrio changes what goes in", "fixcrio", ["od", "-c"], input=b"a\nb\r\nc\r\r\n\n"),
    Case("fixcrio changes what comes out", "fixcrio", ["printf", "a\\nb\\r\\nc"]),
    Case("fixcrio changes both, each once", "fixcrio", ["cat"], input=b"a\nb\r\n"),
    Case("fixcrio keeps the exit code", "fixcrio", ["sh", "-c", "cat; exit 7"], input=b"a\n"),
    Case("fixcrio leaves standard error alone", "fixcrio", ["sh", "-c", "echo a >&2"]),
    Case("fixcrio keeps the process id", "fixcrio",
         script="sh -c 'echo $$; exec fixcrio sh -c \"echo \\$\\$\"' | tr -d '\\r' | uniq | wc -l"),
    Case("fixcrio is waited for by whoever reads", "fixcrio",
         script="fixcrio sh -c 'echo a; exec >&-; sleep 0.2' | od -c"),
    Case("fixcrio sees CR and LF in two reads", "fixcrio",
         script="(printf 'a\\r'; sleep 0.4; printf '\\nb'; sleep 0.4; printf '\\n') | fixcrio cat | od -c"),
    Case("fixcrio without input", "fixcrio", script="fixcrio cat <&-; echo $?"),
    Case("fixcrio ends a program whose reader is gone", "fixcrio",
         script="(fixcrio yes; echo $? >&2) | head -c 4 | od -c"),
    Case("fixcrio ignores no signal for the program", "fixcrio",
         ["sh", "-c", "grep -E 'Sig(Blk|Ign)' /proc/self/status"]),
    Case("fixcrio leaves no descriptors to the program", "fixcrio",
         ["sh", "-c", "ls /proc/self/fd"]),
    Case("fixcrio in fixcrio", "fixcrio", ["fixcrio", "cat"], input=b"a\nb\r\n\rc\n"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case):
    compare(case)


def test_fixcrio_goes_on_after_the_program_closed_its_input():
    """Debian's ends then, and the program's later output is lost; ours loses nothing."""
    result = run("fixcrio", "sh", "-c", "exec <&-; sleep 0.3; echo late", input=b"x\n" * 100_000)
    assert (result.stdout, result.returncode) == (b"late\r\n", 0)


@pytest.mark.parametrize("kind", ["sockets", "pipes"])
def test_fixcrio_passes_input_while_nobody_takes_the_output(kind, tmp_path):
    """However full one direction is, the other goes on."""
    if kind == "sockets":
        ours, theirs = socket.socketpair()
        with ours:
            ends = {"stdin": theirs, "stdout": theirs}
            with background("fixcrio", "sh", "-c", "yes & cat > copy", cwd=tmp_path, **ends):
                theirs.close()
                ours.sendall(b"line\n" * 200_000)
                copy = tmp_path / "copy"
                wait_for(lambda: copy.exists() and copy.stat().st_size == 1_200_000, "the whole input")
                assert ours.recv(6) == b"y\r\ny\r\n"
    else:
        ends = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with background("fixcrio", "sh", "-c", "yes & cat > copy", cwd=tmp_path, **ends) as process:
            with process.stdin, process.stdout:
                process.stdin.write(b"line\n" * 200_000)
                process.stdin.flush()
                copy = tmp_path / "copy"
                wait_for(lambda: copy.exists() and copy.stat().st_size > 1_100_000, "the whole input")
                assert process.stdout.read(6) == b"y\r\ny\r\n"


def test_fixcrio_with_non_blocking_descriptors():
    """Whoever has set O_NONBLOCK on what we share: nothing is lost, and nothing spins."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with os.fdopen(reader, "rb") as output:
        with background("fixcrio", "sh", "-c", "seq 1 100000", stdin=subprocess.DEVNULL, stdout=writer):
            os.close(writer)
            time.sleep(0.2)
            lines = output.read()
    assert lines == b"".join(b"%d\r\n" % number for number in range(1, 100_001))
