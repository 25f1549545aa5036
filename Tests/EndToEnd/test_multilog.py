"""multilog under load, killed, out of disk space, stalled, and together with Debian's."""

import array
import contextlib
import fcntl
import os
import pathlib
import random
import re
import shutil
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
            before = [log.status("RssAnon", pid) for pid in pids]
            for _ in range(90):
                log.write(line)
            log.write(b"\n" * 1_000_000)
            log.wait_until_read()
            after = [log.status("RssAnon", pid) for pid in pids]
            # The queue may be touched here and there up to its whole size.
            for first, last in zip(before, after):
                assert last <= first + (600 if len(pids) == 1 else 1800)
                assert last < (900 if len(pids) == 1 else 1900)
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


def ends(log, number=signal.SIGTERM, seconds=20):
    """Tells a logger to end and returns its exit code and what it said."""
    log.process.send_signal(number)
    code = log.process.wait(seconds)
    return code, log.process.stderr.read()


class TestGone:
    """Files and directories that somebody took away, or put in the way."""

    def test_current(self, tmp_path):
        with logger("./d", cwd=tmp_path) as log:
            log.write(b"gone\n")
            wait_for(lambda: text(tmp_path / "d") == b"gone\n", "the line")
            (tmp_path / "d/current").unlink()
            log.write(b"kept\n")
            wait_for(lambda: text(tmp_path / "d") == b"kept\n", "the next line")
            log.process.send_signal(signal.SIGALRM)
            wait_for(lambda: len(files(tmp_path / "d")) == 2, "the archive")
            assert ends(log) == (
                0, b"multilog: warning: ./d/current was removed, starting a new one\n")
        assert text(tmp_path / "d") == b"kept\n"

    def test_current_just_before_a_rotation(self, tmp_path):
        with logger("./d", cwd=tmp_path) as log:
            log.write(b"gone\n")
            wait_for(lambda: text(tmp_path / "d") == b"gone\n", "the line")
            (tmp_path / "d/current").unlink()
            log.process.send_signal(signal.SIGALRM)
            wait_for((tmp_path / "d/current").exists, "a new file")
            log.write(b"kept\n")
            wait_for(lambda: text(tmp_path / "d") == b"kept\n", "the next line")
            assert ends(log) == (0, b"")

    def test_the_directory(self, tmp_path):
        with logger("./d", cwd=tmp_path) as log:
            wait_for((tmp_path / "d/current").exists, "the log")
            shutil.rmtree(tmp_path / "d")
            log.write(b"kept\n")
            wait_for(lambda: (tmp_path / "d/current").exists() and text(tmp_path / "d") == b"kept\n",
                     "the line")
            assert run(MULTILOG, "./d", cwd=tmp_path, input=b"x\n").returncode == 111
            code, told = ends(log)
            assert code == 0
            assert b"directory ./d was removed, making it anew" in told

    def test_what_is_above_it(self, tmp_path):
        """The lines wait, and TERM ends the wait."""
        (tmp_path / "a").mkdir()
        with logger("./a/d", cwd=tmp_path) as log:
            wait_for((tmp_path / "a/d/current").exists, "the log")
            shutil.rmtree(tmp_path / "a")
            log.write(b"lost\n")
            log.wait_until_read()
            code, told = ends(log)
            assert code == 111
            assert told.endswith(
                b"multilog: warning: 5 bytes are lost that could not be written to ./a/d\n")

    def test_a_directory_named_like_an_archive(self, tmp_path):
        (tmp_path / "d/@4000000000000000000000000").mkdir(parents=True)
        with logger("n2", "s4096", "./d", cwd=tmp_path) as log:
            log.write(numbered(0, 2000))
            assert log.end() == 0
            assert log.process.stderr.read() == b""
        assert (tmp_path / "d/@4000000000000000000000000").is_dir()
        assert len(list((tmp_path / "d").glob("@*.s"))) == 1

    def test_links_are_not_needed(self, tmp_path):
        trace = tmp_path / "trace"
        strace = ["strace", "-f", "-e", "trace=link,linkat", "-e", "inject=link,linkat:error=EPERM",
                  "-o", trace, MULTILOG]
        done = run(*strace, "s4096", "n100", "./d", cwd=tmp_path, input=numbered(0, 2000))
        assert (done.returncode, done.stderr) == (0, b"")
        assert numbers(text(tmp_path / "d")) == list(range(2000))

    def test_a_clock_set_back(self, tmp_path):
        """The archives of a time to come stay the older ones, and nothing new is thrown away."""
        (tmp_path / "d").mkdir()
        (tmp_path / "d/@500000000000000000000000.s").write_bytes(b"old\n")
        done = run(MULTILOG, "s4096", "n1000", "./d", cwd=tmp_path, input=numbered(0, 5000))
        assert done.returncode == 0
        assert text(tmp_path / "d").startswith(b"old\n")
        assert numbers(text(tmp_path / "d")) == list(range(5000))
        done = run(MULTILOG, "s4096", "n4", "./d", cwd=tmp_path, input=numbered(5000, 9000))
        assert numbers(text(tmp_path / "d"))[-1] == 8999
        assert numbers(text(tmp_path / "d"))[0] > 8000

    def test_links_in_a_directory_of_another_user(self, tmp_path):
        """Whoever owns the directory gets root to write to nothing else."""
        victim = tmp_path / "victim"
        victim.write_bytes(b"unharmed")
        victim.chmod(0o600)
        log = tmp_path / "d"
        log.mkdir()
        for name in ("previous", "processed", "state", "newstate"):
            (log / name).symlink_to(victim)
        for path in (log, *log.iterdir()):
            os.chown(path, 65534, 65534, follow_symlinks=False)
        done = run(MULTILOG, "s4096", "!cat; cat <&4 >&5", "./d", cwd=tmp_path,
                   input=numbered(0, 1000))
        assert (done.returncode, done.stderr) == (0, b"")
        assert (victim.read_bytes(), victim.stat().st_mode & 0o777) == (b"unharmed", 0o600)
        (log / "current").unlink()
        (log / "current").symlink_to(victim)
        refused = run(MULTILOG, "./d", cwd=tmp_path, input=b"x\n")
        assert (refused.returncode, refused.stderr) == (
            111, b"multilog: fatal: unable to append to ./d/current: is a symbolic link\n")
        assert (victim.read_bytes(), victim.stat().st_mode & 0o777) == (b"unharmed", 0o600)
        shutil.rmtree(log)
        (tmp_path / "own").mkdir()
        log.symlink_to("own")
        os.chown(log, 65534, 65534, follow_symlinks=False)
        refused = run(MULTILOG, "./d", cwd=tmp_path, input=b"x\n")
        assert refused.returncode == 111
        assert refused.stderr == (
            b"multilog: fatal: unable to open directory ./d: link made by another user\n")
        os.chown(log, 0, 0, follow_symlinks=False)
        assert run(MULTILOG, "./d", cwd=tmp_path, input=b"x\n").returncode == 0
        assert text(tmp_path / "own") == b"x\n"


class TestTermAlwaysEnds:
    def test_without_room(self, tmp_path):
        with small_disk(tmp_path / "disk", 64) as disk:
            disk.fill()
            disk.log.write(numbered(0, 3000))
            assert disk.log.process.stderr.readline() == TestFullDisk.MESSAGE
            code, told = ends(disk.log)
            assert code == 111
            assert re.search(rb"multilog: warning: \d+ bytes are lost that could not be written to "
                             rb"./log\n$", told)

    def test_other_directories_are_finished(self, tmp_path):
        with small_disk(tmp_path / "disk", 64, tmp_path / "good") as disk:
            disk.fill()
            disk.log.write(numbered(0, 3000))
            assert disk.log.process.stderr.readline() == TestFullDisk.MESSAGE
            assert ends(disk.log)[0] == 111
        assert numbers(text(tmp_path / "good")) == list(range(3000))
        assert (tmp_path / "good/current").stat().st_mode & 0o777 == 0o744

    @pytest.mark.parametrize("options", [[], ["--on-stall=drop"]], ids=["wait", "drop"])
    def test_a_line_that_nobody_ends(self, tmp_path, options):
        with logger(*options, "./d", cwd=tmp_path) as log:
            log.write(b"whole\nhalf")
            log.wait_until_read()
            assert ends(log) == (0, b"")
        assert text(tmp_path / "d") == b"whole\nhalf\n"

    def test_a_processor_that_fails(self, tmp_path):
        with logger("s4096", "!exit 1", "./d", cwd=tmp_path) as log:
            log.write(numbered(0, 1000))
            assert log.process.stderr.readline() == (
                b"multilog: warning: processor failed in ./d, pausing\n")
            assert ends(log)[0] == 111
        left = text(tmp_path / "d")
        assert numbers(left) == list(range(len(numbers(left))))
        assert run(MULTILOG, "./d", cwd=tmp_path, input=b"").returncode == 0
        assert text(tmp_path / "d") == left

    def test_a_processor_that_hangs(self, tmp_path):
        with logger("s4096", "!exec sleep 1000", "./d", cwd=tmp_path) as log:
            log.write(numbered(0, 1000))
            sleeper, = wait_for(log.children, "the processor")
            code, told = ends(log, seconds=40)
            assert code == 111
            assert b"multilog: warning: processor takes too long in ./d, giving up\n" in told
            wait_for(lambda: not os.path.exists(f"/proc/{sleeper}"), "its end")


def traced(tmp_path, *script, lines):
    """What multilog asks of the kernel about files, in order: (call, file, mode or new name)."""
    trace = tmp_path / "trace"
    done = run("strace", "-y", "-e", "trace=write,fsync,fchmod,rename,renameat", "-o", trace,
               MULTILOG, *script, "./d", cwd=tmp_path, input=lines)
    assert done.returncode == 0
    found = []
    for line in trace.read_text().splitlines():
        if one := re.match(r"(write|fsync)\(\d+<[^>]*/d/([^>]+)>", line):
            found.append((*one.groups(), ""))
        elif one := re.match(r"fchmod\(\d+<[^>]*/d/([^>]+)>, (\d+)", line):
            found.append(("fchmod", *one.groups()))
        elif one := re.match(r'renameat\(\d+<[^>]*>, "([^"]+)", \d+<[^>]*>, "([^"]+)"', line):
            found.append(("rename", *one.groups()))
    return found


class TestOrder:
    """Nothing is marked as safely on disk that is not, whatever the moment of a crash."""

    def check(self, found, file, marked=True):
        """What becomes of each file of this name, until it has another."""
        count = 0
        unsafe = synchronized = mode = None
        for call, name, detail in found:
            if name != file:
                continue
            if call == "write":
                unsafe, synchronized, mode = True, False, None
            elif call == "fsync":
                unsafe, synchronized = False, True
            elif call == "fchmod":
                assert detail != "0744" or synchronized, "marked before it is on disk"
                mode = detail
            else:
                assert synchronized and not unsafe, "renamed before it is on disk"
                assert mode == "0744" or not marked, "renamed before it is marked"
                synchronized = mode = None
                count += 1
        return count

    def test_of_archives(self, tmp_path):
        found = traced(tmp_path, "s4096", "n100", lines=numbered(0, 2000))
        assert self.check(found, "current") == len(list((tmp_path / "d").glob("@*.s"))) > 3
        assert ("rename", "previous") not in [event[:2] for event in found]
        assert found[-2:] == [("fsync", "current", ""), ("fchmod", "current", "0744")]

    def test_of_what_a_processor_makes(self, tmp_path):
        found = traced(tmp_path, "s4096", "n100", "!cat; cat <&4 >&5; echo x >&5",
                       lines=numbered(0, 2000))
        archives = len(list((tmp_path / "d").glob("@*.s")))
        assert self.check(found, "current") == archives > 3
        assert self.check(found, "processed") == archives
        assert self.check(found, "newstate", marked=False) == archives


class TestLittleMemory:
    @pytest.mark.parametrize("program,limit,script", [
        ("multilog", 300_000, ["t", "-*drop*", "s4096", "n100", "./d"]),
        # The original cannot archive a file with so little.
        ("multilog", 150_000, ["t", "-*drop*", "s16777215", "./d"]),
        ("tai64n", 150_000, []), ("tai64nlocal", 150_000, []),
    ])
    def test_it_runs_where_the_original_runs(self, tmp_path, program, limit, script):
        for binary in (REFERENCE / program, BIN / program):
            shutil.rmtree(tmp_path / "d", ignore_errors=True)
            done = run("softlimit", "-d", str(limit), binary, *script, cwd=tmp_path,
                       input=numbered(0, 5000))
            assert (done.returncode, done.stderr) == (0, b""), binary
            output = text(tmp_path / "d") if program == "multilog" else done.stdout
            assert numbers(output) == list(range(5000))

    @pytest.mark.parametrize("options", [[], ["--on-stall=drop"]], ids=["wait", "drop"])
    def test_what_cannot_be_allocated_is_said(self, tmp_path, options):
        """Whatever the limit, it works or says so."""
        failures = 0
        for limit in range(100_000, 1_500_000, 40_000):
            done = run("softlimit", "-d", str(limit), MULTILOG, *options, "t", "./d", cwd=tmp_path,
                       input=b"x\n")
            if done.returncode != 0:
                assert done.returncode == 111, limit
                assert done.stderr.endswith(b": out of memory\n")
                failures += 1
        assert failures > 0 or not options


class TestManyArchives:
    def test_a_rotation_does_not_take_memory_for_each(self, tmp_path):
        (tmp_path / "d").mkdir()
        for number in range(20_000):
            (tmp_path / f"d/@40000000{number:016x}.s").touch()
        with logger("n1000000", "./d", cwd=tmp_path) as log:
            log.write(b"x\n")
            current = tmp_path / "d/current"
            wait_for(lambda: current.exists() and current.read_bytes(), "the line")
            before = log.status("VmHWM")
            log.process.send_signal(signal.SIGALRM)
            wait_for(lambda: len(os.listdir(tmp_path / "d")) == 20_004, "the rotation")
            assert log.status("VmHWM") <= before + 200
            assert log.end() == 0
        done = run(MULTILOG, "n10", "./d", cwd=tmp_path, input=b"")
        assert done.returncode == 0
        with logger("n10", "./d", cwd=tmp_path) as log:
            log.write(b"y\n")
            wait_for(lambda: current.exists() and current.read_bytes(), "the line")
            log.process.send_signal(signal.SIGALRM)
            wait_for(lambda: len(files(tmp_path / "d")) == 10, "as many files as are allowed")
            assert log.end() == 0


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
            assert log.status("RssAnon") < 1500
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


class TestOutput:
    """The action that Debian's has not."""

    def test_selected_lines_go_to_standard_output_too(self, tmp_path):
        content = b"one\ntwo\n" + b"x" * 3000 + b"\nthree\nend"
        result = run(MULTILOG, "-two", "1", "-three", "./main", input=content, cwd=tmp_path)
        whole = b"one\n" + b"x" * 3000 + b"\n"
        assert (result.returncode, result.stdout, result.stderr) == (0, whole + b"three\nend\n", b"")
        assert (tmp_path / "main/current").read_bytes() == whole + b"end\n"

    def test_with_labels_and_much_of_it(self, tmp_path):
        result = run(MULTILOG, "t", "1", "n5", "./main", input=b"line\n" * 300_000, cwd=tmp_path)
        found = result.stdout.splitlines()
        assert len(found) == 300_000 and all(re.fullmatch(rb"@[0-9a-f]{24} line", line) for line in found)
        # Nothing ends there, whatever the size of files.
        assert len(list((tmp_path / "main").glob("@*.s"))) == 4

    def test_a_pipe_that_does_not_wait(self, tmp_path):
        """Somebody else may have set it so; what has no room is waited for."""
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        with subprocess.Popen([MULTILOG, "1"], stdin=subprocess.PIPE, stdout=writer, env=environment(),
                              cwd=tmp_path) as process:
            os.close(writer)
            feeder = threading.Thread(target=process.communicate, args=[b"line\n" * 100_000])
            feeder.start()
            content = b""
            while block := os.read(reader, 65536):
                content += block
            feeder.join()
        os.close(reader)
        assert content == b"line\n" * 100_000
