"""multilog under load, killed, out of disk space, stalled, and together with Debian's."""

import array
import contextlib
import fcntl
import os
import pathlib
import random
import re
import signal
import subprocess
import termios
import threading
import time

import pytest

from apus import BIN, REFERENCE, background, environment, run, wait_for

MULTILOG = BIN / "multilog"
PROGRAMS = pytest.mark.parametrize("program", [MULTILOG, REFERENCE / "multilog"],
                                   ids=["ours", "Debian's"])


class Logger:
    """A running multilog and the writing end of its input; `root` is where it sees its files."""

    def __init__(self, process, writer, pid=None):
        self.process = process
        self.writer = writer
        self.pid = pid or process.pid

    def write(self, data):
        """Writes all of `data`, waiting while the pipe is full."""
        view = memoryview(data)
        while view:
            view = view[os.write(self.writer, view):]

    def unread(self):
        """How many bytes are in the pipe."""
        count = array.array("i", [0])
        fcntl.ioctl(self.writer, termios.FIONREAD, count)
        return count[0]

    def wait_until_read(self):
        wait_for(lambda: self.unread() == 0, "an empty pipe")

    def end(self):
        """Closes the input; returns the exit code."""
        if self.writer is not None:
            os.close(self.writer)
            self.writer = None
        return self.process.wait(30)

    def status(self, field, pid=None):
        """A field of /proc/PID/status in KB."""
        text = pathlib.Path(f"/proc/{pid or self.pid}/status").read_text()
        return int(re.search(rf"^{field}:\s+(\d+)", text, re.M).group(1))

    def children(self):
        return [int(pid) for pid in pathlib.Path(
            f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]


@contextlib.contextmanager
def logger(*arguments, cwd, program=MULTILOG, pipe=None, stderr=subprocess.PIPE):
    """multilog that reads a pipe; the pipe may be one that another logger read before."""
    reader, writer = pipe or os.pipe()
    try:
        with background(program, *arguments, cwd=cwd, stdin=reader, stderr=stderr) as process:
            one = Logger(process, writer)
            yield one
            if process.stderr:
                process.stderr.close()
            writer = one.writer
    finally:
        if not pipe:
            os.close(reader)
            if writer is not None:
                os.close(writer)


def stop(process, number=signal.SIGTERM):
    """Ends a logger; returns its exit code. The original misses a signal that comes just before it
    reads, so it is sent until it is heeded."""
    wait_for(lambda: process.send_signal(number) or process.poll() is not None, "the end")
    return process.returncode


def files(directory):
    """The log files, oldest first."""
    directory = pathlib.Path(directory)
    names = sorted(name for name in os.listdir(directory) if name.startswith("@"))
    # What a crash left counts too, in the order in which it was written.
    names += [name for name in ("processed", "previous", "current")
              if (directory / name).exists()]
    return [directory / name for name in names]


def text(directory):
    """Everything logged, oldest first. A file archived just now is looked for again."""
    while True:
        try:
            return b"".join(path.read_bytes() for path in files(directory))
        except FileNotFoundError:
            continue


def numbered(first, last, padding=b""):
    return b"".join(b"line %d%s end\n" % (n, padding) for n in range(first, last))


def numbers(data, pattern=rb"^(?:@[0-9a-f]{24} )?line (\d+)x* end$"):
    return [int(n) for n in re.findall(pattern, data, re.M)]


class TestSignals:
    @PROGRAMS
    def test_term_within_a_line_waits_for_its_end_and_takes_no_more(self, tmp_path, program):
        with logger("./d", cwd=tmp_path, program=program) as log:
            log.write(b"first\nbegin")
            log.wait_until_read()
            log.process.send_signal(signal.SIGTERM)
            log.write(b"ning")
            log.wait_until_read()
            assert log.process.poll() is None
            log.write(b" and end\nnot mine\n")
            assert log.process.wait(10) == 0
            assert text(tmp_path / "d") == b"first\nbeginning and end\n"
            assert log.unread() == len(b"not mine\n")
        assert (tmp_path / "d/current").stat().st_mode & 0o777 == 0o744

    @PROGRAMS
    def test_what_term_leaves_goes_to_the_next_logger(self, tmp_path, program):
        pipe = os.pipe()
        for part in (b"a\nb", b"c\nd", b"e\n"):
            with logger("./d", cwd=tmp_path, program=program, pipe=pipe) as log:
                log.write(part)
                log.wait_until_read()
                if not part.endswith(b"\n"):
                    log.process.send_signal(signal.SIGTERM)
                    log.write(b"|\n")
                assert stop(log.process) == 0
        for end in pipe:
            os.close(end)
        assert text(tmp_path / "d") == b"a\nb|\nc\nd|\ne\n"

    def test_term_under_load_loses_nothing(self, tmp_path):
        pipe = os.pipe()
        data = numbered(0, 200_000)
        feeder = threading.Thread(target=feed, args=(pipe[1], data, True), daemon=True)
        feeder.start()
        generator = random.Random(1)
        code = 0
        while feeder.is_alive():
            with logger("t", "s20000", "n100000", "./d", cwd=tmp_path, pipe=pipe) as log:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    log.process.wait(generator.uniform(0.01, 0.05))
                log.process.send_signal(signal.SIGTERM)
                code |= log.process.wait(10)
        feeder.join()
        with logger("t", "s20000", "n100000", "./d", cwd=tmp_path, pipe=pipe) as log:
            code |= log.process.wait(10)
        os.close(pipe[0])
        assert code == 0
        assert numbers(text(tmp_path / "d")) == list(range(200_000))

    def test_alarm_rotates_under_load_and_loses_nothing(self, tmp_path):
        with logger("s16777215", "n100000", "./d", cwd=tmp_path) as log:
            wait_for((tmp_path / "d/current").exists, "the log")
            for part in range(50):
                log.write(numbered(part * 100, part * 100 + 100))
                log.process.send_signal(signal.SIGALRM)
                if part % 5 == 0:
                    log.wait_until_read()
            assert log.end() == 0
        assert len(files(tmp_path / "d")) > 2
        assert numbers(text(tmp_path / "d")) == list(range(5000))

    def test_term_during_a_pause_is_not_lost(self, tmp_path):
        fail_once = "!cat; [ -e again ] || { touch again; exit 1; }"
        with logger(fail_once, "./d", cwd=tmp_path) as log:
            log.write(b"x\n")
            wait_for(lambda: text(tmp_path / "d"), "the line")
            log.process.send_signal(signal.SIGALRM)
            assert log.process.stderr.readline() == (
                b"multilog: warning: processor failed in ./d, pausing\n")
            log.process.send_signal(signal.SIGTERM)
            assert log.process.wait(10) == 0
        assert text(tmp_path / "d") == b"x\n"


def feed(writer, data, close=False):
    """Writes `data` to a pipe, at the pace of its reader."""
    view = memoryview(data)
    while view:
        view = view[os.write(writer, view[:65536]):]
    if close:
        os.close(writer)


class TestKill:
    @pytest.mark.parametrize("script", [[], ["!cat; cat <&4 >&5"]], ids=["plain", "processor"])
    def test_nothing_that_was_written_is_lost(self, tmp_path, script):
        """Killed at random moments under load, again and again. What was in the files then is
        there in the end, each line once and in order; only what had not been written is missing."""
        pipe = os.pipe()
        total = 400_000
        feeder = threading.Thread(target=feed, args=(pipe[1], numbered(0, total), True), daemon=True)
        feeder.start()
        generator = random.Random(7)
        command = ["s8192", "n100000", *script, "./d"]
        kills = 0
        written = set()
        while feeder.is_alive() and kills < 60:
            with logger(*command, cwd=tmp_path, pipe=pipe, stderr=None) as log:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    log.process.wait(generator.uniform(0.002, 0.04))
                log.process.kill()
                log.process.wait()
            kills += 1
            if kills % 4 == 0:
                written |= set(numbers(text(tmp_path / "d")))
        with logger(*command, cwd=tmp_path, pipe=pipe, stderr=None) as log:
            assert log.process.wait(30) == 0
        feeder.join()
        os.close(pipe[0])
        found = numbers(text(tmp_path / "d"))
        assert found == sorted(set(found))
        assert written <= set(found)
        # At most two blocks are between the pipe and the file.
        assert total - len(found) <= kills * (2 * 65536 // 8)
        assert sorted(os.listdir(tmp_path / "d"))[-3:] == ["current", "lock", "state"]

    def test_lines_seen_in_the_file_outlive_the_logger(self, tmp_path):
        for number in range(20):
            with logger("t", "./d", cwd=tmp_path) as log:
                log.write(b"line %d end\n" % number)
                wait_for(lambda: number in numbers(text(tmp_path / "d")), "the line")
                log.process.kill()
                log.process.wait()
        assert run(MULTILOG, "n100", "./d", cwd=tmp_path, input=b"").returncode == 0
        assert numbers(text(tmp_path / "d"))[-9:] == list(range(11, 20))


class TestTogether:
    @pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL], ids=["ended", "killed"])
    def test_each_goes_on_with_what_the_other_began(self, tmp_path, end):
        script = ["s4096", "n1000", "!cat; cat <&4 >&5; echo x >&5", "./d"]
        for turn in range(6):
            program = (MULTILOG, REFERENCE / "multilog")[turn % 2]
            with logger(*script, cwd=tmp_path, program=program) as log:
                log.write(numbered(turn * 1000, turn * 1000 + 1000))
                wait_for(lambda: numbers(text(tmp_path / "d"))[-1:] == [turn * 1000 + 999],
                         "the lines")
                stop(log.process, end)
        assert run(MULTILOG, *script, cwd=tmp_path, input=b"").returncode == 0
        assert numbers(text(tmp_path / "d")) == list(range(6000))
        assert not (tmp_path / "d/previous").exists()

    @pytest.mark.parametrize("first,second", [(MULTILOG, REFERENCE / "multilog"),
                                              (REFERENCE / "multilog", MULTILOG)],
                             ids=["ours first", "Debian's first"])
    def test_the_directory_has_one_logger_at_a_time(self, tmp_path, first, second):
        with logger("./d", cwd=tmp_path, program=first) as log:
            wait_for((tmp_path / "d/current").exists, "the log")
            late = run(second, "./d", cwd=tmp_path, input=b"x\n")
            assert late.returncode == 111
            assert late.stderr == (
                b"multilog: fatal: unable to lock directory ./d: temporary failure\n")
            log.process.kill()
            log.process.wait()
            assert run(second, "./d", cwd=tmp_path, input=b"x\n").returncode == 0
        assert text(tmp_path / "d") == b"x\n"


class TestMemory:
    @pytest.mark.parametrize("script", [["t"], ["-*drop*", "t"], ["--on-stall=drop", "t"]],
                             ids=["plain", "patterns", "queue"])
    def test_long_lines_and_many_lines_take_none(self, tmp_path, script):
        with logger(*script, "s16777215", "n2", "./d", cwd=tmp_path) as log:
            line = b"x" * (1 << 20) + b"\n"
            for _ in range(10):
                log.write(line)
            log.wait_until_read()
            pids = [log.pid, *log.children()]
            before = [log.status("VmRSS", pid) for pid in pids]
            for _ in range(90):
                log.write(line)
            log.write(b"\n" * 1_000_000)
            log.wait_until_read()
            after = [log.status("VmHWM", pid) for pid in pids]
            # The queue may be touched here and there up to its whole size.
            for first, last in zip(before, after):
                assert last <= first + (600 if len(pids) == 1 else 1800)
                assert last < (1500 if len(pids) == 1 else 2500)
            assert log.end() == 0


class SmallDisk:
    """A logger whose directory `log` is in a file system of its own, of so many KB."""

    def __init__(self, log, path):
        self.log = log
        self.root = pathlib.Path(f"/proc/{log.pid}/root", *path.parts[1:])
        self.directory = self.root / "log"

    def fill(self):
        """Leaves no room."""
        with open(self.root / "filler", "ab", buffering=0) as filler:
            with contextlib.suppress(OSError):
                while filler.write(b"x" * 4096):
                    pass

    def make_room(self):
        (self.root / "filler").unlink()


@contextlib.contextmanager
def small_disk(path, size, *arguments):
    path.mkdir()
    script = f'mount -t tmpfs -o size={size}k none "$0" && cd "$0" && touch mounted && exec "$@"'
    command = ["--mount", "--", "sh", "-c", script, path, MULTILOG, *arguments, "./log"]
    with logger(*command, cwd=path, program="unshare") as log:
        disk = SmallDisk(log, path)
        wait_for((disk.directory / "current").exists, "the log")
        yield disk


class TestFullDisk:
    MESSAGE = b"multilog: warning: unable to write to ./log/current, pausing: out of disk space\n"

    def test_it_says_so_waits_and_goes_on(self, tmp_path):
        with small_disk(tmp_path / "disk", 256, "s100000", "n10") as disk:
            log = disk.log
            log.write(numbered(0, 100))
            log.wait_until_read()
            disk.fill()
            feeder = threading.Thread(
                target=feed, args=(log.writer, numbered(100, 10_000)), daemon=True)
            feeder.start()
            assert log.process.stderr.readline() == self.MESSAGE
            # The pipe is not read, so whoever writes waits.
            assert feeder.is_alive()
            disk.make_room()
            feeder.join(20)
            log.wait_until_read()
            wait_for(lambda: numbers(text(disk.directory)) == list(range(10_000)), "every line")
            assert log.end() == 0

    def test_term_while_there_is_no_room_is_obeyed_when_there_is(self, tmp_path):
        with small_disk(tmp_path / "disk", 64) as disk:
            log = disk.log
            disk.fill()
            log.write(numbered(0, 3000))
            assert log.process.stderr.readline() == self.MESSAGE
            log.process.send_signal(signal.SIGTERM)
            disk.make_room()
            kept = os.open(disk.directory / "current", os.O_RDONLY)
            assert log.process.wait(20) == 0
            size = os.fstat(kept).st_size
            assert numbers(os.pread(kept, size, 0)) == list(range(3000))
            os.close(kept)


class TestStall:
    """--on-stall=drop: whoever writes lines is never kept waiting for long."""

    def check(self, data, total):
        """Every line is there, or in a report that stands where it is missing."""
        expected = dropped = 0
        for line in data.splitlines():
            report = re.search(rb"multilog: warning: log does not keep up, dropped (\d+) lines",
                               line)
            if report:
                expected += int(report.group(1))
                dropped += int(report.group(1))
            else:
                assert numbers(line) == [expected]
                expected += 1
        assert expected == total
        return dropped

    @contextlib.contextmanager
    def without_room(self, tmp_path):
        """A logger whose writer waits for room and has lines to write; after the block it must end."""
        with small_disk(tmp_path / "disk", 256, "--on-stall=drop", "s100000") as disk:
            writer, = disk.log.children()
            disk.fill()
            disk.log.write(numbered(0, 20_000))
            disk.log.wait_until_read()
            yield disk.log
            wait_for(lambda: not os.path.exists(f"/proc/{writer}"), "the end of the writer")

    def test_a_stopped_writer_stops_nobody(self, tmp_path):
        with logger("--on-stall=drop", "t", "s16777215", "./d", cwd=tmp_path) as log:
            log.write(numbered(0, 100))
            wait_for(lambda: len(numbers(text(tmp_path / "d"))) == 100, "the first lines")
            writer, = log.children()
            os.kill(writer, signal.SIGSTOP)
            start = time.monotonic()
            log.write(numbered(100, 200_000))
            log.wait_until_read()
            assert time.monotonic() - start < 5
            assert log.status("VmRSS") < 2200
            os.kill(writer, signal.SIGCONT)
            log.write(numbered(200_000, 200_100))
            assert log.end() == 0
            dropped = self.check(text(tmp_path / "d"), 200_100)
            told = re.findall(rb"dropped (\d+) lines, \d+ bytes\n", log.process.stderr.read())
            assert sum(map(int, told)) == dropped > 100_000

    def test_a_full_disk_stops_nobody(self, tmp_path):
        with small_disk(tmp_path / "disk", 2048, "--on-stall=drop", "--queue=300000", "s1000000",
                        "n2") as disk:
            log = disk.log
            disk.fill()
            start = time.monotonic()
            log.write(numbered(0, 50_000))
            log.wait_until_read()
            assert time.monotonic() - start < 5
            disk.make_room()
            wait_for(lambda: 49_999 in numbers(text(disk.directory)), "the last line")
            assert self.check(text(disk.directory), 50_000) > 0
            assert log.end() == 0

    def test_term_while_there_is_no_room_is_obeyed_in_seconds(self, tmp_path):
        """The next logger can read on, and has the directory: the writer is gone too."""
        with self.without_room(tmp_path) as log:
            log.process.send_signal(signal.SIGTERM)
            assert log.process.wait(20) == 111
            told = log.process.stderr.read()
            assert re.search(rb"multilog: warning: log does not keep up, dropped \d+ lines", told)
            assert told.endswith(b"multilog: fatal: unable to hand lines to the writer: timed out\n")

    def test_term_while_the_writer_is_slow_loses_nothing(self, tmp_path):
        with logger("--on-stall=drop", "./d", cwd=tmp_path) as log:
            writer, = wait_for(log.children, "the writer")
            os.kill(writer, signal.SIGSTOP)
            log.write(numbered(0, 10_000))
            log.wait_until_read()
            log.process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            os.kill(writer, signal.SIGCONT)
            assert log.process.wait(20) == 0
        assert numbers(text(tmp_path / "d"))[-1] == 9_999

    def test_a_writer_does_not_outlive_its_relay_for_long(self, tmp_path):
        """Else it would hold the lock for as long as there is no room."""
        with self.without_room(tmp_path) as log:
            log.process.kill()
            log.process.wait()

    def test_a_log_that_keeps_up_loses_nothing_however_fast_lines_come(self, tmp_path):
        with logger("--on-stall=drop", "s16777215", "n100", "./d", cwd=tmp_path) as log:
            log.write(numbered(0, 1_000_000))
            assert log.end() == 0
            assert log.process.stderr.read() == b""
        assert numbers(text(tmp_path / "d")) == list(range(1_000_000))

    def test_signals(self, tmp_path):
        with logger("--on-stall=drop", "./d", cwd=tmp_path) as log:
            log.write(b"one\n")
            wait_for(lambda: text(tmp_path / "d"), "the line")
            log.process.send_signal(signal.SIGALRM)
            wait_for(lambda: len(files(tmp_path / "d")) == 2, "the archive")
            log.write(b"two\nthr")
            log.wait_until_read()
            log.process.send_signal(signal.SIGTERM)
            log.write(b"ee\nnot mine\n")
            assert log.process.wait(10) == 0
            assert log.unread() == len(b"not mine\n")
        assert text(tmp_path / "d") == b"one\ntwo\nthree\n"
        assert (tmp_path / "d/current").stat().st_mode & 0o777 == 0o744

    def test_it_ends_with_its_writer(self, tmp_path):
        with logger("--on-stall=drop", "./d", cwd=tmp_path) as log:
            wait_for(log.children, "the writer")
            os.kill(log.children()[0], signal.SIGKILL)
            assert log.process.wait(10) == 111
            assert log.process.stderr.read() == (
                b"multilog: fatal: unable to hand lines to the writer: broken pipe\n")

    def test_it_starts_like_the_other(self, tmp_path):
        (tmp_path / "file").touch()
        failed = run(MULTILOG, "--on-stall=drop", "./file", cwd=tmp_path, input=b"x\n")
        assert failed.returncode == 111
        assert failed.stderr == (
            b"multilog: fatal: unable to open directory ./file: not a directory\n")

    @pytest.mark.parametrize("word", ["--on-stall=", "--on-stall=dropp", "--queue=", "--queue=1k",
                                      "--queue=99999999999999"])
    def test_a_bad_option_is_refused(self, tmp_path, word):
        refused = run(MULTILOG, word, "./d", cwd=tmp_path, input=b"x\n")
        assert refused.returncode == 100
        assert refused.stderr.startswith(b"multilog: usage: multilog [ --on-stall=")
        assert not (tmp_path / "d").exists()


def test_an_empty_pipe_that_does_not_block_is_not_its_end(tmp_path):
    pipe = os.pipe()
    os.set_blocking(pipe[0], False)
    with logger("./d", cwd=tmp_path, pipe=pipe) as log:
        wait_for((tmp_path / "d/current").exists, "the log")
        log.write(b"late\n")
        assert log.end() == 0
    os.close(pipe[0])
    assert text(tmp_path / "d") == b"late\n"


def test_waiting_takes_no_processor_time(tmp_path):
    with logger("t", "./d", cwd=tmp_path) as log:
        log.write(b"x\n")
        wait_for(lambda: text(tmp_path / "d"), "the line")
        wait_for(lambda: "\nState:\tS" in pathlib.Path(f"/proc/{log.pid}/status").read_text(),
                 "sleep")
        before = pathlib.Path(f"/proc/{log.pid}/status").read_text()
        time.sleep(0.5)
        after = pathlib.Path(f"/proc/{log.pid}/status").read_text()
        switches = [re.findall(r"ctxt_switches:\s+(\d+)", status) for status in (before, after)]
        assert switches[0] == switches[1]
