"""readproctitle against Debian's: what it leaves in its process title, and its exit codes."""

import pytest

from harness import Case, compare


def title(name, command, *arguments):
    """What the process title is once `command` has been read. The shell waits for the reader to have
    read all: it is asleep and the pipe is empty."""
    words = " ".join(arguments)
    return Case(name, "readproctitle", script=f"""
        mkfifo in
        readproctitle {words} < in & pid=$!
        exec 9> in
        {command} >&9
        n=0
        while [ $n -lt 10 ]; do
            sleep 0.02
            case $(cat /proc/$pid/wchan; cut -d' ' -f3 /proc/$pid/stat) in *S) n=$((n+1)) ;; esac
        done
        tr '\\000' '\\n' < /proc/$pid/cmdline
        exec 9>&-
        wait $pid; echo $?""")


DOTS = "." * 60

CASES = [
    Case("no arguments", "readproctitle"),
    Case("last word too short", "readproctitle", ["service", "abcd"]),
    Case("last word empty", "readproctitle", ["service", ""]),
    Case("the shortest last word", "readproctitle", ["abcde"]),
    Case("empty input", "readproctitle", ["service", "errors:", DOTS]),
    Case("input is a directory", "readproctitle", script=f"readproctitle {DOTS} < .; echo $?"),
    Case("input is closed", "readproctitle", script=f"readproctitle {DOTS} <&-; echo $?"),
    title("nothing read", "true", "service errors:", DOTS),
    title("a line", "echo hello", "service errors:", DOTS),
    title("two lines", "printf 'one\\ntwo\\n'", "service errors:", DOTS),
    title("more than there is room for", "seq 1 100", "service errors:", DOTS),
    title("exactly as much", "head -c 57 /dev/zero | tr '\\000' x", "service", DOTS),
    title("one more", "head -c 58 /dev/zero | tr '\\000' x", "service", DOTS),
    title("far more", "head -c 100000 /dev/zero | tr '\\000' x", "service", DOTS),
    title("NUL bytes are dropped", "printf 'a\\000b\\000\\000c'", "service", DOTS),
    title("odd bytes", "printf '\\001\\377\\033'", "service", DOTS),
    title("only one word", "echo hello", DOTS),
    title("the last word is overwritten whatever it is", "echo hi", "service abcdefghijk"),
    title("five bytes", "echo hi", "abcde"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_readproctitle(case):
    compare(case)
