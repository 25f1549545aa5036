"""Pipelines of s6-rc's definitions in a plain scan directory: producer-for, consumer-for, pipeline-name."""

import os
import signal

import pytest

from apus import BIN, run, wait_for
from details import details
from services import lay, lines, messages, supervised, supervisor, svc, wait_down, wait_up

# Writes what it reads to a file and to its stdout.
FILTER = """exec /usr/bin/python3 -uc '
import sys
for line in iter(sys.stdin.readline, ""):
    open("seen", "a").write(line)
    print(sys.argv[1] + line, end="", flush=True)
' %s"""
# Writes numbered lines as long as there is a file `go`, each once, over restarts too.
WRITER = """exec /usr/bin/python3 -uc '
import os, time
while True:
    number = len(open("written").readlines()) if os.path.exists("written") else 0
    if number < 400 and os.path.exists("go"):
        os.write(1, f"%s{number}\\n".encode())
        open("written", "a").write("x\\n")
    else: time.sleep(0.01)
'"""


def member(directory, script, down=False, **files):
    return lay(directory, script, down=down, type="longrun\n", **{name: text + "\n" for name, text in files.items()})


def svscan(scan):
    return supervisor(BIN / "svscan", scan)


def test_three_in_a_row(scan):
    first = member(scan / "first", WRITER % "a", producer_for="second")
    second = member(scan / "second", FILTER % "b", consumer_for="first", producer_for="third")
    third = member(scan / "third", FILTER % "c > /dev/null", consumer_for="second", pipeline_name="all")
    (first / "go").touch()
    with svscan(scan) as process:
        wait_for(lambda: len(lines(third / "seen")) == 400, "what the last one reads", 30)
        assert lines(second / "seen") == [f"a{number}" for number in range(400)]
        assert lines(third / "seen") == [f"ba{number}" for number in range(400)]
        assert not messages(process)


def test_restarts_lose_nothing(scan):
    writer = member(scan / "writer", WRITER % "", producer_for="reader")
    reader = member(scan / "reader", "cat >> seen", consumer_for="writer")
    with svscan(scan):
        wait_up(writer)
        for _ in range(3):
            # It says who still needs it.
            assert run(BIN / "svc", "-d", reader).returncode == 0
            wait_down(reader)
            (writer / "go").touch()
            wait_for(lambda: lines(writer / "written"), "lines in the pipe")
            # The writer goes on as it was, whoever reads.
            pid = wait_up(writer)
            svc("-u", reader)
            wait_up(reader)
            assert wait_up(writer) == pid
            os.kill(pid, signal.SIGKILL)
            wait_up(writer, pid)
        wait_for(lambda: len(lines(writer / "written")) == 400, "all lines", 30)
        wait_for(lambda: len(set(lines(reader / "seen"))) == 400, "all of them read")
    # A writer that was killed between the two may have written one twice.
    assert sorted(set(map(int, lines(reader / "seen")))) == list(range(400))


def test_two_writers(scan):
    for name in "one", "two":
        member(scan / name, f"echo {name}; exec sleep 1000", producer_for="reader")
    reader = member(scan / "reader", "cat >> seen", consumer_for="one\ntwo")
    with svscan(scan):
        wait_for(lambda: sorted(lines(reader / "seen")) == ["one", "two"], "both")


def test_the_reader_is_there_first_and_ends_last(scan):
    note = "trap 'echo stop {0} >> ../../events; exit' TERM; echo start {0} >> ../../events; echo >&3; " \
           "exec 3>&-; sleep 1000 & wait"
    ready = {"notification_fd": "3"}
    member(scan / "a", note.format("a"), producer_for="b", **ready)
    member(scan / "b", note.format("b"), consumer_for="a", producer_for="c", **ready)
    member(scan / "c", note.format("c"), consumer_for="b", pipeline_name="all", **ready)
    lay(scan / "user", note.format("user"), settings="needs all\nready notification-fd 3\n")
    with svscan(scan) as process:
        wait_for(lambda: len(lines(scan.parent / "events")) == 4, "four starts")
        process.terminate()
        assert process.wait(20) == 0
    assert lines(scan.parent / "events") == [
        "start c", "start b", "start a", "start user", "stop user", "stop a", "stop b", "stop c"]


def test_to_need_the_name_is_to_need_all(scan):
    member(scan / "a", "exec sleep 1000", producer_for="b", down=True)
    member(scan / "b", "exec sleep 1000", consumer_for="a", pipeline_name="all", down=True)
    user = lay(scan / "user", "exec sleep 1000", settings="needs all\n", down=True)
    with svscan(scan):
        wait_for(lambda: supervised(user), "supervision")
        svc("-u", user)
        for name in "a", "b", "user":
            wait_up(scan / name)


@pytest.mark.parametrize("both", [False, True])
def test_a_pipe_is_made_only_where_both_agree(scan, both):
    writer = member(scan / "writer", "exec 5>&1; readlink /proc/self/fd/5 > mine; exec sleep 1000",
                    producer_for="reader")
    reader = member(scan / "reader", "exec sleep 1000", **({"consumer_for": "writer"} if both else {}))
    with svscan(scan) as process:
        wait_up(reader)
        where = wait_for(lambda: lines(writer / "mine"), "where it writes")[0]
        ends = {os.readlink(f"/proc/{details(reader).pid}/fd/0"), os.readlink(f"/proc/{process.pid}/fd/1")}
        assert where in ends
        assert where.startswith("pipe:") == both
        if not both:
            wait_for(lambda: any("producer-for" in line for line in messages(process)), "the warning")


def test_its_own_logger_goes_before(scan):
    writer = member(scan / "writer", "echo hello; exec sleep 1000", producer_for="reader")
    lay(writer / "log", "cat >> seen")
    reader = member(scan / "reader", "cat >> seen", consumer_for="writer")
    with svscan(scan):
        wait_for(lambda: lines(writer / "log/seen") == ["hello"], "the logger")
        assert not lines(reader / "seen")
