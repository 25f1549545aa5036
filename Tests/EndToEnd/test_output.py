"""What services without a logger write to the container's output: svoutput, and init with -o."""

import collections
import json
import os
import pathlib
import pty
import re
import select
import signal
import subprocess
import threading
import time

import pytest

from apus import BIN, environment, pid_namespace, run, wait_for
from services import children, lay, lines, wait_up

INIT = BIN / "init"


def svoutput(content, *words, **options):
    return run(BIN / "svoutput", *words, input=content, **options)


class TestFilter:
    @pytest.mark.parametrize("content, expected", [
        (b"", b""), (b"a\n", b"web: a\n"), (b"a\n\nb", b"web: a\nweb: \nweb: b\n"), (b"\0\xff\r\n", b"web: \0\xff\r\n"),
        (b"x" * 65537 + b"\n", b"web: " + b"x" * 65536 + b"\nweb: x\n"),
    ], ids=["nothing", "a line", "some", "bytes", "a long one"])
    def test_a_name_stands_before_each_line(self, content, expected):
        result = svoutput(content, "web")
        assert (result.returncode, result.stdout, result.stderr) == (0, expected, b"")

    def test_json(self):
        before = time.time()
        result = svoutput(b'a "b"\\\xff\x01\n\nlast', "--json", "w\"eb")
        found = [json.loads(line) for line in result.stdout.splitlines()]
        assert [entry["line"] for entry in found] == ['a "b"\\\ufffd\x01', "", "last"]
        for entry in found:
            assert set(entry) == {"time", "service", "line"} and entry["service"] == 'w"eb'
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", entry["time"])
            stamp = subprocess.run(["date", "-d", entry["time"], "+%s"], capture_output=True, check=True).stdout
            assert int(before) <= int(stamp) <= time.time()

    def test_a_file_and_nothing(self, tmp_path):
        (tmp_path / "file").write_bytes(b"a\nb\n" * 100_000)
        with open(tmp_path / "file", "rb") as file:
            result = run(BIN / "svoutput", "web", stdin=file)
        assert result.stdout == b"web: a\nweb: b\n" * 100_000
        assert run(BIN / "svoutput", "web", stdin=subprocess.DEVNULL).stdout == b""

    def test_wrong_usage(self):
        assert svoutput(b"", "a", "b").returncode == 100
        assert svoutput(b"", "-x", "b").returncode == 100
        assert svoutput(b"").returncode == 111

    @pytest.mark.parametrize("variables, coloured", [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True)],
                             ids=str)
    def test_a_terminal_shows_names_in_colour(self, variables, coloured):
        ours, its = pty.openpty()
        with subprocess.Popen([BIN / "svoutput", "web"], stdin=subprocess.PIPE, stdout=its,
                              env=environment(**variables)) as process:
            os.close(its)
            process.communicate(b"a\nb\n", 30)
        text = os.read(ours, 4096)
        os.close(ours)
        if coloured:
            assert re.fullmatch(rb"(\x1b\[3[1-6]mweb:\x1b\[0m [ab]\r\n){2}", text)
        else:
            assert text == b"web: a\r\nweb: b\r\n"

    def test_a_disk_that_is_full_stops_nobody(self):
        """What was dropped is told when there is room; here there never is."""
        with open("/dev/full", "wb") as full:
            result = subprocess.run([BIN / "svoutput", "web"], input=b"line\n" * 1_000_000, stdout=full, timeout=60,
                                    check=False)
        assert result.returncode == 0


class Reader:
    """Reads a pipe in a thread, and keeps what it has read."""

    def __init__(self, descriptor):
        self.content = bytearray()
        self.thread = threading.Thread(target=self._read, args=[descriptor], daemon=True)
        self.thread.start()

    def _read(self, descriptor):
        while block := os.read(descriptor, 1 << 16):
            self.content += block

    @property
    def lines(self):
        return bytes(self.content).split(b"\n")[:-1]

    def all_lines(self):
        self.thread.join(30)
        assert not self.thread.is_alive()
        assert not self.content or self.content.endswith(b"\n")
        return self.lines


@pytest.fixture(name="container")
def _container(scan):
    """Starts init over the services in `scan`; its output and error are read."""
    def start(*words, scan=scan, **options):
        return pid_namespace(INIT, "-s", scan, *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             stdin=subprocess.DEVNULL, **options)
    return start


def relay(first):
    """The process of svoutput that init has started."""
    def found():
        for pid in children(first):
            if lines(f"/proc/{pid}/comm") == ["svoutput"]:
                return pid
        return None
    return wait_for(found, "svoutput")


def end(process, first, seconds=20):
    os.kill(first, signal.SIGTERM)
    return process.wait(seconds)


class TestNames:
    def test_lines_have_the_name_of_their_service(self, scan, container):
        lay(scan / "web", "echo out; echo err >&2; printf 'no end'; exec sleep 1000")
        lay(scan / "db", "echo out; exec sleep 1000")
        with container("-o", "names") as (process, first):
            output, error = Reader(process.stdout.fileno()), Reader(process.stderr.fileno())
            wait_for(lambda: len(output.lines) == 2 and len(error.lines) == 1, "the lines")
            assert end(process, first) == 0
        # What nobody ended is shown in the end.
        assert sorted(output.all_lines()) == [b"db: out", b"web: no end", b"web: out"]
        assert error.all_lines() == [b"web: err"]

    def test_who_has_a_logger_only_complains_here(self, scan, container):
        lay(scan / "web", "echo out; echo err >&2; exec sleep 1000",
            log="echo logged; echo complaint >&2; exec multilog ./main")
        with container("--output=names") as (process, first):
            output, error = Reader(process.stdout.fileno()), Reader(process.stderr.fileno())
            wait_for(lambda: len(error.lines) == 2, "the complaints")
            wait_for(lambda: lines(scan / "web/log/main/current") == ["out"], "the log")
            assert end(process, first) == 0
        assert sorted(error.all_lines()) == [b"web/log: complaint", b"web: err"]
        assert output.all_lines() == [b"web/log: logged"]

    def test_the_command_writes_as_it_is(self, scan, container):
        lay(scan / "web", "echo out; exec sleep 1000")
        with container("-o", "names", "--", "sh", "-c", "echo plain; sleep 1") as (process, _):
            output = Reader(process.stdout.fileno())
            assert process.wait(20) == 0
        assert sorted(output.all_lines()) == [b"plain", b"web: out"]

    @pytest.mark.parametrize("words, variable, expected", [
        ([], "names", b"web: out"), ([], "plain", b"out"), (["-o", "plain"], "names", b"out"), ([], None, b"out")],
        ids=str)
    def test_the_environment_says_it_too(self, scan, container, words, variable, expected):
        lay(scan / "web", "echo out; exec sleep 1000")
        variables = {"INIT_OUTPUT": variable} if variable else {}
        with container(*words, env=environment(**variables)) as (process, first):
            output = Reader(process.stdout.fileno())
            wait_for(lambda: output.lines, "the line")
            assert end(process, first) == 0
        assert output.all_lines() == [expected]

    def test_what_it_does_not_know(self, scan, container):
        assert run(INIT, "-o", "xml", "--", "true").returncode == 100
        lay(scan / "web", "echo out; exec sleep 1000")
        with container(env=environment(INIT_OUTPUT="xml")) as (process, first):
            output = Reader(process.stdout.fileno())
            wait_for(lambda: output.lines, "the line")
            assert end(process, first) == 0
        assert output.all_lines() == [b"out"]
        assert process.stderr.read() == (
            b"init: warning: ignoring INIT_OUTPUT=xml: it must be plain, names or json\n")

    def test_one_terminal_keeps_the_order(self, scan):
        lay(scan / "web", "for i in 1 2 3 4 5 6 7 8; do echo $i; echo $i >&2; done; exec sleep 1000")
        ours, its = pty.openpty()
        with pid_namespace(INIT, "-s", scan, "-o", "names", stdin=its, stdout=its, stderr=its,
                           env=environment(NO_COLOR="1")) as (process, first):
            os.close(its)
            text = b""
            while text.count(b"\n") < 16:
                assert select.select([ours], [], [], 30)[0]
                text += os.read(ours, 4096)
            assert end(process, first) == 0
        os.close(ours)
        assert text == b"".join(b"web: %d\r\n" % (i // 2 + 1) for i in range(16))

    def test_another_user_can_open_the_output_anew(self, scan, container):
        """As nginx does with the link /dev/stdout that its image has for a log file."""
        lay(scan / "web", "exec setuidgid nobody sh -c 'echo out >/dev/stdout; echo err >/dev/stderr; exec sleep 1000'")
        with container("-o", "names") as (process, first):
            output, error = Reader(process.stdout.fileno()), Reader(process.stderr.fileno())
            wait_for(lambda: output.lines and error.lines, "the lines")
            assert end(process, first) == 0
        assert (output.all_lines(), error.all_lines()) == ([b"web: out"], [b"web: err"])

    def test_services_get_no_descriptor_more(self, scan, container):
        lay(scan / "web", "ls /proc/self/fd | tr '\\n' ' '; echo; exec sleep 1000")
        with container("-o", "names") as (process, first):
            output = Reader(process.stdout.fileno())
            wait_for(lambda: output.lines, "the line")
            assert end(process, first) == 0
        # 3 is the directory that ls reads.
        assert output.all_lines() == [b"web: 0 1 2 3 "]


class TestJSON:
    def test_every_line_is_an_object(self, scan, container):
        lay(scan / "web", "printf 'a\\tb\\377\\n'; echo err >&2; exec sleep 1000")
        lay(scan / "bad", script=None, settings="nonsense\n", run="#!/nowhere\n")
        with container("-o", "json") as (process, first):
            output, error = Reader(process.stdout.fileno()), Reader(process.stderr.fileno())
            wait_for(lambda: output.lines and len(error.lines) >= 3, "the lines")
            assert end(process, first) == 0
        found = [json.loads(line) for line in output.all_lines()]
        assert [(entry["service"], entry["line"]) for entry in found] == [("web", "a\tb\ufffd")]
        found = [json.loads(line) for line in error.all_lines()]
        told = {(entry["service"], entry["line"]) for entry in found}
        assert ("web", "err") in told
        assert any(service == "init" and "bad/settings:1:" in line for service, line in told)
        assert any(service == "init" and line.startswith("init: warning: unable to run bad") or "unable to start bad"
                   in line for service, line in told), told


class TestWholeLines:
    def test_lines_are_not_split_by_others(self, scan, container):
        for letter in "abc":
            lay(scan / letter, f"exec /usr/bin/python3 -c \"for i in range(300): print('{letter}' * (i * 37), flush=True)\n"
                "import time; time.sleep(1000)\"")
        with container("-o", "names") as (process, first):
            output = Reader(process.stdout.fileno())
            wait_for(lambda: len(output.lines) == 900, "the lines")
            assert end(process, first) == 0
        found = collections.defaultdict(list)
        for line in output.all_lines():
            name, _, text = line.decode().partition(": ")
            found[name].append(text)
        for letter in "abc":
            assert found[letter] == [letter * (i * 37) for i in range(300)]

    def test_the_last_lines_come_before_the_end(self, scan, container):
        lay(scan / "web", "trap 'seq 20000; echo bye; exit' TERM; echo up; while :; do sleep 0.05; done")
        with container("-o", "names") as (process, first):
            output = Reader(process.stdout.fileno())
            wait_for(lambda: output.lines, "the service")
            start = time.monotonic()
            assert end(process, first) == 0
            assert time.monotonic() - start < 3
        assert output.all_lines() == [b"web: up"] + [b"web: %d" % i for i in range(1, 20001)] + [b"web: bye"]

    def test_lines_of_what_a_service_leaves_behind(self, scan, container):
        """Which has the service's pipe still, and is told to end only after the services."""
        lay(scan / "web", "(trap 'sleep 0.2; echo late; exit' TERM; echo up; while :; do sleep 0.05; done) &\nexec sleep 1000")
        with container("-o", "names") as (process, first):
            output = Reader(process.stdout.fileno())
            wait_for(lambda: output.lines, "the service")
            assert end(process, first) == 0
        assert output.all_lines() == [b"web: up", b"web: late"]

    def test_many_services(self, scan, container):
        """More pipes than the socket takes at once."""
        for number in range(400):
            lay(scan / f"s{number}", "echo here; exec sleep 1000")
        with container("-o", "names") as (process, first):
            output = Reader(process.stdout.fileno())
            wait_for(lambda: len(output.lines) == 400, "the lines", 60)
            assert end(process, first, 40) == 0
        assert set(output.all_lines()) == {b"s%d: here" % number for number in range(400)}


def writer(count, size=100):
    """Numbered lines, and a note when all are written."""
    return (f"exec /usr/bin/python3 -c \"import sys, time\nfor i in range({count}): print('%08d' % i, 'x' * {size})\n"
            "sys.stdout.flush()\nopen('done', 'w').close()\ntime.sleep(1000)\"")


class TestStalls:
    def test_a_reader_that_stops_holds_up_nobody(self, scan, container):
        """Ten times what all queues take. What is missing is counted where it is missing."""
        lay(scan / "web", writer(100_000))
        with container("-o", "names") as (process, first):
            wait_for(lambda: (scan / "web/done").exists(), "the last line", 60)
            output = Reader(process.stdout.fileno())
            wait_for(lambda: output.lines and output.lines[-1].startswith(b"web: 00099999"), "the last line")
            assert end(process, first) == 0
        found = output.all_lines()
        notes = [(index, line) for index, line in enumerate(found) if line.startswith(b"svoutput: ")]
        numbers = [int(line[5:13]) for line in found if line.startswith(b"web: ")]
        assert len(numbers) + len(notes) == len(found)
        assert all(re.fullmatch(rb"web: \d{8} x{100}", line) for line in found if line.startswith(b"web: "))
        dropped = 0
        for index, note in notes:
            match = re.fullmatch(rb"svoutput: output does not keep up, dropped (\d+) lines, (\d+) bytes", note)
            assert match and int(match[2]) == int(match[1]) * 115
            assert int(found[index + 1][5:13]) - int(found[index - 1][5:13]) - 1 == int(match[1])
            dropped += int(match[1])
        assert dropped > 50_000 and dropped + len(numbers) == 100_000
        assert numbers == sorted(numbers)

    def test_a_reader_that_is_slow_gets_everything(self, scan, container):
        lay(scan / "web", writer(20_000))
        with container("-o", "names") as (process, first):
            content = b""
            while content.count(b"\n") < 20_000:
                time.sleep(0.002)
                content += os.read(process.stdout.fileno(), 8192)
            assert end(process, first) == 0
        assert content == b"".join(b"web: %08d %s\n" % (i, b"x" * 100) for i in range(20_000))

    def test_a_stop_does_not_wait_for_who_does_not_read(self, scan, container):
        lay(scan / "web", writer(100_000))
        with container("-o", "names") as (process, first):
            wait_for(lambda: (scan / "web/done").exists(), "the last line", 60)
            start = time.monotonic()
            assert end(process, first) == 0
            assert time.monotonic() - start < 4

    def test_a_reader_that_is_gone(self, scan, container):
        lay(scan / "web", writer(100_000))
        with container("-o", "names") as (process, first):
            process.stdout.close()
            wait_for(lambda: (scan / "web/done").exists(), "the last line", 60)
            assert end(process, first) == 0


class TestRestart:
    def test_no_line_is_lost_when_it_is_killed(self, scan, container):
        lay(scan / "web", "i=0; while :; do echo $i; i=$((i + 1)); sleep 0.01; done")
        with container("-o", "names") as (process, first):
            output, error = Reader(process.stdout.fileno()), Reader(process.stderr.fileno())
            for _ in range(3):
                seen = len(output.lines)
                wait_for(lambda seen=seen: len(output.lines) > seen + 20, "some lines")
                os.kill(relay(first), signal.SIGKILL)
            seen = len(output.lines)
            wait_for(lambda: len(output.lines) > seen + 120, "more lines")
            assert end(process, first) == 0
        found = output.all_lines()
        assert found == [b"web: %d" % i for i in range(len(found))]
        assert error.all_lines() == [b"init: warning: svoutput has ended, starting it again"] * 3

    def test_it_does_not_end_by_signals_of_others(self, scan, container):
        lay(scan / "web", "while :; do echo x; sleep 0.05; done")
        with container("-o", "names") as (process, first):
            output, error = Reader(process.stdout.fileno()), Reader(process.stderr.fileno())
            wait_for(lambda: output.lines, "a line")
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                os.kill(relay(first), number)
            seen = len(output.lines)
            wait_for(lambda: len(output.lines) > seen + 5, "more lines")
            assert end(process, first) == 0
        assert error.all_lines() == []

    def test_a_service_that_is_removed_leaves_no_pipe(self, scan, container):
        lay(scan / "keeper", "exec sleep 1000")
        with container("-o", "names") as (process, first):
            Reader(process.stderr.fileno())
            output = Reader(process.stdout.fileno())
            wait_up(scan / "keeper")
            open_now = len(os.listdir(f"/proc/{first}/fd"))
            for number in range(3):
                path = lay(scan / "guest", f"echo {number}; exec sleep 1000")
                wait_for(lambda number=number: output.lines.count(b"guest: %d" % number) == 1, "the guest")
                path.rename(scan / ".gone")
                run("svc", "-dx", scan / ".gone")
                wait_for(lambda: run("svok", scan / ".gone").returncode == 100, "the guest's end")
                subprocess.run(["rm", "-r", scan / ".gone"], check=True)
                wait_for(lambda: len(os.listdir(f"/proc/{first}/fd")) == open_now, "the pipes' end")
            assert end(process, first) == 0
