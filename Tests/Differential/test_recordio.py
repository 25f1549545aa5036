"""recordio beside Debian's: what passes, what is shown of it, how it ends."""

import random
import re

import pytest

from apus import run
from harness import Case, compare

PID = (rb"(?m)^[0-9]+ ([<>]) ", rb"PID \1 ")
RANDOM = random.Random(113)


INPUTS = {
    "nothing": b"",
    "a line": b"hello\n",
    "no line feed": b"hello",
    "an empty line": b"\n",
    "empty lines": b"\n\n\n",
    "CR LF": b"a\r\nb\r\n",
    "odd bytes": bytes(range(256)),
    "a piece of 255 bytes": b"x" * 255,
    "a piece of 256 bytes": b"x" * 256,
    "a line of 256 bytes": b"x" * 255 + b"\n",
    "a line of 257 bytes": b"x" * 256 + b"\n",
    "a line of 1000 bytes": b"x" * 999 + b"\n",
    "lines across pieces": (b"y" * 99 + b"\n") * 40,
    "4096 line feeds": b"\n" * 4096,
    "random lines": bytes(RANDOM.choice(b"abc\n\r\0\xff") for _ in range(4000)),
    "words of the log itself": b"77 < x+\n77 > [EOF]\n",
}


@pytest.mark.parametrize("name", INPUTS)
def test_input(name):
    """The program reads from the recorder alone; nothing comes out."""
    compare(Case(name, "recordio", ["sh", "-c", "cat > copy"], input=INPUTS[name], normalise=[PID]))


@pytest.mark.parametrize("name", INPUTS)
def test_output(name):
    """The two directions are independent, so only this one's lines are looked at."""
    compare(Case(name, "recordio", files={"data": INPUTS[name]}, normalise=[PID],
                 script="recordio cat data < /dev/null 2>&1 > copy | grep -a '>'; cmp data copy"))


CASES = [
    Case("without a program", "recordio"),
    Case("takes no options", "recordio", script="recordio -x 2>&1 </dev/null | sort", normalise=[PID]),
    Case("cannot find the program", "recordio", script="recordio no-such-program 2>&1 </dev/null | sort",
         normalise=[PID]),
    Case("keeps the exit code", "recordio", ["sh", "-c", "exit 9"], script="", normalise=[
        PID, (rb"(?s)(PID < \[EOF\]\n)?PID > \[EOF\]\n(PID < \[EOF\]\n)?", b"END\n")]),
    Case("shows the program's process id", "recordio",
         script="recordio sh -c 'echo $$ > pid' 2>&1 </dev/null | cut -d' ' -f1 | sort -u > shown; "
                "cmp pid shown && rm pid shown"),
    Case("leaves standard error to the program too", "recordio",
         script="recordio sh -c 'echo problem >&2' 2>&1 </dev/null | grep -c problem"),
    Case("closes the program's input at its end", "recordio",
         script="printf 'a\\nb\\n' | recordio wc -l 2>/dev/null"),
    Case("shows pieces as they come", "recordio",
         script="(printf ab; sleep 0.4; printf 'c\\nd'; sleep 0.4; printf '\\n') | recordio sh -c 'cat > copy'",
         normalise=[PID]),
    Case("shows pieces as they go", "recordio",
         script="recordio sh -c 'printf ab; sleep 0.4; printf \"c\\nd\"; sleep 0.2; echo' 2>&1 >/dev/null "
                "</dev/null | grep '>'", normalise=[PID]),
    Case("ends a program whose reader is gone", "recordio",
         script="(recordio yes 2>/dev/null; echo $? >&2) | head -c 4 | od -c"),
    Case("goes on when nobody takes the record", "recordio",
         script="echo a | recordio cat 2>&- | cat"),
    Case("goes on when the record finds no room", "recordio",
         script="echo a | recordio cat 2>/dev/full | cat"),
    Case("gives the program default signals", "recordio",
         script="recordio grep -E 'Sig(Blk|Ign)' /proc/self/status 2>/dev/null </dev/null"),
    Case("around fixcrio", "recordio", ["fixcrio", "sh", "-c", "cat > copy"], input=b"a\nb\r\n",
         normalise=[PID]),
    Case("a megabyte arrives whole", "recordio",
         script="head -c 1000000 /dev/zero | tr '\\0' 'a' | recordio cat 2>/dev/null | cksum"),
    Case("the record is whole", "recordio",
         script="seq 1 20000 | recordio sh -c 'cat > copy' 2>&1 | sed 's/^[0-9]* < //; s/ $//' | "
                "tr -d '\\n' | sed 's/+//g; s/\\[EOF\\]//' | tr -d '0-9'"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case):
    compare(case)


def test_the_record_holds_every_byte():
    """Put together again, the record is the data: no piece is lost or shown twice."""
    data = bytes(RANDOM.choice(b"abcdefgh\n") for _ in range(300_000))
    result = run("recordio", "sh", "-c", "cat > /dev/null", input=data)
    lines = re.findall(rb"\d+ < ([^\n]*)([ +])\n", result.stderr)
    assert b"".join(text + (b"\n" if end == b" " else b"") for text, end in lines) == data
    assert max(len(text) for text, _ in lines) <= 256
