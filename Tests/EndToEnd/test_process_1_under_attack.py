"""Process 1 on a bad day: floods, hung file systems, too many of everything, failing calls. Services and
svc go on working, and it costs no more than it should."""

import contextlib
import fcntl
import os
import pathlib
import signal
import subprocess
import time

import pytest

from apus import BIN, pid_namespace, run, wait_for
from services import (children, descriptor_count, is_gone, lay, lines, messages, pid_of, process_state,
                      supervised, supervisor, svc, svstat, wait_down, wait_run, wait_up)

INIT = BIN / "init"
SVSCAN = BIN / "svscan"


def cpu_time(pid):
    """Seconds of processor time that a process has used itself."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def share(pid, seconds=3):
    """The share of a processor that a process uses in the next seconds."""
    before, start = cpu_time(pid), time.monotonic()
    time.sleep(seconds)
    return (cpu_time(pid) - before) / (time.monotonic() - start)


def works(path, seconds=10):
    """svc and a restart of the service take no longer than that."""
    pid = wait_up(path)
    svc("-t", path)
    wait_for(lambda: pid_of(path) not in (None, pid), f"a restart of {path}", seconds)


def flood(pid, numbers, seconds):
    """Queues signals as fast as can be, from a process of its own, as many as the kernel takes."""
    return subprocess.Popen(["/usr/bin/python3", "-c", f"""
import ctypes, time
libc = ctypes.CDLL(None)
end = time.monotonic() + {seconds}
while time.monotonic() < end:
    for number in {list(numbers)}:
        libc.sigqueue({pid}, number, None)
"""])


# The kernel counts queued signals by user: without a limit of its own, such an init would take from all other
# processes of root what timers and queued signals need.
MODEST = ["prlimit", "--sigpending=20000"]


class TestSignals:
    @pytest.mark.parametrize("command", [[], ["--", "sleep", "1000"], ["--", "sh", "-c",
                             "trap '' 44 60 64; while :; do sleep 1; done"]],
                             ids=["no command", "one that dies of them", "one that ignores them"])
    def test_a_flood_of_queued_real_time_signals(self, scan, command):
        path = lay(scan / "a")
        with supervisor(*MODEST, INIT, "-s", scan, *command) as process:
            wait_run(path)
            attackers = [flood(process.pid, [44, 60, 64], 6) for _ in range(2)]
            try:
                if "sleep" in command:
                    # The signals are the command's, whose end is the end.
                    assert process.wait(10) == 128 + 44
                    return
                time.sleep(1)
                for _ in range(3):
                    works(path)
                process.terminate()
                assert process.wait(10) in (0, 128 + signal.SIGKILL, 128 + signal.SIGTERM)
            finally:
                for attacker in attackers:
                    attacker.kill()
                    attacker.wait()

    def test_term_is_seen_among_all_that_the_kernel_queues(self, scan):
        """All that its limit lets wait, while process 1 cannot take any."""
        path = lay(scan / "a")
        with supervisor(*MODEST, INIT, "-s", scan) as process:
            wait_run(path)
            process.send_signal(signal.SIGSTOP)
            attacker = flood(process.pid, [44], 2)
            attacker.wait()
            process.terminate()
            process.send_signal(signal.SIGCONT)
            assert process.wait(5) == 0

    def test_deaths_by_the_thousand(self, scan):
        """Orphans that end as fast as they can be made."""
        path = lay(scan / "a")
        with supervisor(INIT, "-s", scan, "--", "sh", "-c",
                        "while :; do (true & true &); done") as process:
            for _ in range(3):
                works(path)
            zombies = [pid for pid in children(process.pid) if process_state(pid) == "Z"]
            assert len(zombies) < 300


@contextlib.contextmanager
def leased(path):
    """Whoever opens the file waits, as on a file system that does not answer: up to lease-break-time, which
    is 45 s. Nothing but a lease's holder is needed, here this process."""
    descriptor = os.open(path, os.O_RDWR)
    previous = signal.signal(signal.SIGIO, signal.SIG_IGN)
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        yield
    finally:
        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        os.close(descriptor)
        signal.signal(signal.SIGIO, previous)


def hung(scan, count):
    """Services whose `run` is one file; exec of it waits while that is leased."""
    first = lay(scan / "hung0", "echo > up; exec sleep 1000")
    for number in range(1, count):
        path = scan / f".hung{number}"
        path.mkdir()
        os.link(first / "run", path / "run")
        path.rename(scan / f"hung{number}")
    return first / "run"


class TestHungExec:
    @pytest.mark.parametrize("program", ["svscan", "init"])
    def test_others_and_svc_work_meanwhile(self, scan, program):
        good = lay(scan / "good", log="exec cat > /dev/null")
        file = hung(scan, 1)
        command = [SVSCAN, scan] if program == "svscan" else [INIT, "-s", scan]
        with leased(file), supervisor(*command) as process:
            wait_run(good), wait_run(good / "log")
            assert svstat(scan / "hung0").startswith("up ")
            for _ in range(2):
                works(good)
            wait_up(lay(scan / "new"))
            assert not (scan / "hung0/up").exists()
            assert share(process.pid, 2) < 0.1
            svc("-d", scan / "hung0")
            wait_down(scan / "hung0")
            svc("-u", scan / "hung0")
            assert messages(process) == []
            process.terminate()
            assert process.wait(10) == 0

    def test_a_hundred_hung_ones_keep_nobody_from_being_started(self, scan):
        """As when a file server with all of the services but one is away."""
        good = lay(scan / "good")
        file = hung(scan, 100)
        with leased(file), supervisor(SVSCAN, scan) as process:
            wait_run(good)
            for number in range(100):
                wait_up(scan / f"hung{number}")
            for _ in range(3):
                works(good)
            wait_run(lay(scan / "new"))
            assert share(process.pid, 3) < 0.2

    def test_they_come_up_when_it_is_over(self, scan):
        good = lay(scan / "good")
        file = hung(scan, 50)
        with contextlib.ExitStack() as stack:
            with leased(file):
                process = stack.enter_context(supervisor(SVSCAN, scan))
                wait_run(good)
                works(good)
            for number in range(50):
                wait_for((scan / f"hung{number}/up").exists, "the service")
            wait_for(lambda: len(children(process.pid)) == 51, "all of them")


class TestScanning:
    def test_ten_thousand_dangling_links_cost_next_to_nothing(self, scan):
        for number in range(10000):
            (scan / f"d{number}").symlink_to("nowhere")
        good = lay(scan / "good")
        with supervisor(SVSCAN, scan, stdout=subprocess.DEVNULL) as process:
            wait_up(good)
            # The first look, and ten thousand lines, are over.
            wait_for(lambda: not messages(process), "silence")
            assert share(process.pid, 12) < 0.05
            works(good)
            start = time.monotonic()
            wait_up(lay(scan / "new"))
            assert time.monotonic() - start < 5

    def test_ten_thousand_links_to_files(self, scan, tmp_path):
        (tmp_path / "file").touch()
        for number in range(10000):
            (scan / f"d{number}").symlink_to(tmp_path / "file")
        good = lay(scan / "good")
        with supervisor(SVSCAN, scan) as process:
            wait_up(good)
            time.sleep(1)
            assert share(process.pid, 11) < 0.05

    @pytest.mark.parametrize("what", ["touch", "make and remove", "rename"])
    def test_changes_in_a_loop_cost_a_bounded_share(self, scan, what):
        """With 200 services there, so that each look costs something."""
        for number in range(200):
            lay(scan / f"s{number}", down=True)
        good = lay(scan / "good")
        body = {"touch": "os.utime('s1')",
                "make and remove": "os.mkdir('.x'); os.rmdir('.x'); os.mkdir('x'); os.rmdir('x')",
                "rename": "os.rename('s1', 's1x'); os.rename('s1x', 's1')"}[what]
        with supervisor(SVSCAN, scan) as process, subprocess.Popen(
                ["/usr/bin/python3", "-c", f"import os\nwhile True:\n  {body}"], cwd=scan) as attacker:
            try:
                wait_up(good)
                time.sleep(0.5)
                assert share(process.pid, 5) < 0.2
                works(good)
                wait_run(lay(scan / "new"))
            finally:
                attacker.kill()

    @pytest.mark.parametrize("filled", [True, False], ids=["with run", "empty"])
    def test_five_thousand_directories_past_the_limit_of_descriptors(self, scan, filled):
        """They cannot all be held open. Those that are go on, the rest is said, and it costs little."""
        good = lay(scan / "a", log="exec cat > /dev/null")
        with supervisor("sh", "-c", 'ulimit -n 200; exec "$0" "$@"', SVSCAN, scan) as process:
            wait_run(good)
            for number in range(5000):
                path = scan / f".s{number}"
                path.mkdir()
                if filled:
                    os.symlink(good / "run", path / "run")
                    (path / "down").touch()
                path.rename(scan / f"s{number}")
            # What was said is not read all at once, and lines are lost then.
            time.sleep(8)
            messages(process)
            assert share(process.pid, 10) < 0.5
            works(good)
            assert descriptor_count(process.pid) < 200


class TestDescriptors:
    def pipes(self, pid):
        """How many pipes it has, standard error aside."""
        found = {os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")}
        return sum(place.startswith("pipe:") for place in found - {os.readlink(f"/proc/{pid}/fd/2")})

    def test_entries_that_cannot_be_started_keep_no_pipe(self, scan):
        """Past the reserve of descriptors, and with directories that cannot be supervised."""
        for number in range(60):
            lay(scan / f"s{number}", log="exec cat > /dev/null")
        with supervisor("sh", "-c", 'ulimit -n 128; exec "$0" "$@"', SVSCAN, scan,
                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
            told = []
            wait_for(lambda: told.extend(messages(process)) or
                     any("cannot open more files" in line for line in told), "the line")
            time.sleep(1)
            up = [number for number in range(60) if supervised(scan / f"s{number}")
                  or supervised(scan / f"s{number}/log")]
            assert len(up) >= 5
            assert self.pipes(process.pid) <= len(up)
            assert descriptor_count(process.pid) <= 128 - 16

    def test_broken_entries_keep_none(self, scan):
        for number in range(20):
            path = lay(scan / f"s{number}", log="exec cat > /dev/null")
            for place in (path, path / "log"):
                (place / "supervise").write_text("in the way")
        good = lay(scan / "good")
        with supervisor(SVSCAN, scan, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
            wait_run(good)
            told = []
            wait_for(lambda: told.extend(messages(process)) or len(told) == 40, "the lines")
            assert self.pipes(process.pid) == 0

    @pytest.mark.parametrize("program", ["svscan", "init"])
    def test_sixty_four_are_enough_for_a_few(self, scan, program):
        paths = [lay(scan / f"s{number}", log="exec cat > /dev/null") for number in range(3)]
        command = [SVSCAN, scan] if program == "svscan" else [INIT, "-s", scan]
        with supervisor("sh", "-c", 'ulimit -n 64; exec "$0" "$@"', *command) as process:
            for path in paths:
                wait_run(path), wait_run(path / "log")
                works(path)
            assert messages(process) == []
            process.terminate()
            assert process.wait(10) == 0

    def test_sixteen_are_said_to_be_too_few(self, scan):
        lay(scan / "a")
        with supervisor("sh", "-c", 'ulimit -n 16; exec "$0" "$@"', INIT, "-s", scan) as process:
            told = []
            wait_for(lambda: told.extend(messages(process)) or told or process.poll() is not None, "a word")
            process.terminate()
            assert process.wait(10) in (0, 111)


class TestStandardError:
    def test_full_while_another_writer_writes(self, scan):
        """Between the look whether there is room and the write another may take it: the write itself must
        not wait. Here others write all the time, and whoever reads takes a byte now and then."""
        good = lay(scan / "good")
        for number in range(5):
            lay(scan / f"broken{number}", "kill -9 $$", interpreter="/nonexistent/interpreter")
        reader, writer = os.pipe()
        fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)
        writers = [subprocess.Popen(["sh", "-c", "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx >&2; done"],
                                    stderr=writer) for _ in range(2)]
        try:
            with supervisor(INIT, "-s", scan, preexec_fn=lambda: os.dup2(writer, 2)) as process:
                wait_up(good)
                end = time.monotonic() + 6
                number = 0
                while time.monotonic() < end:
                    os.read(reader, 100)
                    number += 1
                    (scan / f"link{number}").symlink_to("nowhere")
                    if number % 20 == 0:
                        works(good)
                process.terminate()
                assert process.wait(10) == 0
        finally:
            for process in writers:
                process.kill()
                process.wait()
            os.close(reader)
            os.close(writer)


class TestLoopFailure:
    """A filter of system calls makes waiting impossible from the first time on."""

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_it_reaps_on_and_term_ends_all(self, scan, number):
        path = lay(scan / "a", "(sleep 0.2 &); (sleep 0.3 &); trap 'echo TERM > got; exit' TERM; "
                   "touch up; while :; do sleep 0.05; done")
        with pid_namespace(BIN / "seccomp", "~epoll_wait epoll_pwait epoll_pwait2", INIT, "-s", scan,
                           stderr=subprocess.PIPE) as (process, first):
            line = process.stderr.readline()
            assert line.startswith(b"init: warning: unable to epoll_") and \
                b"only reaping from here on" in line, line
            wait_for((path / "up").exists, "the service")
            wait_for(lambda: not [pid for pid in children(first) if process_state(pid) == "Z"],
                     "no zombie")
            wait_for(lambda: len(children(first)) == 1, "the orphans' end")
            os.kill(first, number)
            assert process.wait(10) == 111
            assert b"init: warning: ending all processes\n" in process.stderr.read()
            assert lines(path / "got") == ["TERM"]

    def test_as_a_subreaper_it_ends_too(self, scan):
        path = lay(scan / "a")
        with supervisor(BIN / "seccomp", "~epoll_wait epoll_pwait epoll_pwait2", INIT, "-s", scan) as process:
            pid = wait_up(path)
            process.terminate()
            assert process.wait(10) == 111
            assert is_gone(pid)

    def test_an_engines_stop_signal_ends_it(self, scan):
        with pid_namespace(BIN / "seccomp", "~epoll_wait epoll_pwait epoll_pwait2", INIT, "-s", scan,
                           stderr=subprocess.PIPE) as (process, first):
            assert b"only reaping" in process.stderr.readline()
            os.kill(first, 37)
            assert process.wait(10) == 111


class TestNames:
    NAMES = ["new\nsvscan: fatal: forged", "\x1b[31mred\x1b[0m", "\udcff\udcfe", "tab\there", "bell\a",
             "x" * 255]

    @pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
    def test_forge_no_line(self, scan, name):
        """One line for each trouble, with nothing in it that a terminal obeys."""
        (scan / name).mkdir()
        with supervisor(SVSCAN, scan) as process:
            text = b""
            def said():
                nonlocal text
                text += process.stderr.read() or b""
                return text.endswith(b"\n")
            wait_for(said, "the line")
            assert text.count(b"\n") == 1, text
            assert text.startswith(b"svscan: warning: unable to start ")
            assert not any(byte < 32 and byte != 9 or byte == 127 for byte in text[:-1]), text

    def test_in_the_list_of_who_did_not_stop(self, scan):
        path = lay(scan / "a\nb\x1b[1m", "trap '' TERM\ntouch ready\nwhile :; do sleep 0.05; done")
        with supervisor(INIT, "-s", scan, "-t", 3) as process:
            wait_for((path / "ready").exists, "the service")
            process.terminate()
            assert process.wait(10) == 137
            text = process.stderr.read()
            assert text.count(b"\n") == 1 and b"\x1b" not in text, text


class TestWordsOfAStart:
    def told(self, scan, count=1):
        with supervisor(SVSCAN, scan) as process:
            told = []
            wait_for(lambda: told.extend(messages(process)) or len(told) >= count, "the line")
            return told

    def test_line_ends_of_another_system(self, scan):
        lay(scan / "a")
        (scan / "a/run").write_bytes(b"#!/bin/sh\r\nexec sleep 1000\r\n")
        line, = self.told(scan)
        assert line.startswith("svscan: warning: unable to start a/run: ")
        assert line.endswith(": its first line ends in CR LF: file does not exist"), line

    def test_a_missing_interpreter(self, scan):
        lay(scan / "a", interpreter="/usr/bin/no-such-shell")
        line, = self.told(scan)
        assert line.startswith("svscan: warning: unable to start a/run: ")
        assert "/usr/bin/no-such-shell" in line, line

    def test_a_missing_loader(self, scan):
        """A program for another libc."""
        binary = bytearray(pathlib.Path("/bin/true").read_bytes())
        place = binary.index(b"/lib64/ld-linux-x86-64.so.2")
        binary[place:place + 27] = b"/lib/ld-musl-missing.so.1\0\0"
        lay(scan / "a")
        (scan / "a/run").write_bytes(binary)
        line, = self.told(scan)
        assert "/lib/ld-musl-missing.so.1" in line, line

    @pytest.mark.skipif(os.geteuid() != 0, reason="needs capabilities")
    def test_capabilities_of_a_file_outside_the_bounding_set(self, scan):
        lay(scan / "a")
        (scan / "a/run").write_bytes(pathlib.Path("/bin/sleep").read_bytes())
        if run("setcap", "cap_net_admin+ep", scan / "a/run").returncode:
            pytest.skip("no capabilities of files here")
        with supervisor("setpriv", "--bounding-set=-net_admin", SVSCAN, scan) as process:
            told = []
            wait_for(lambda: told.extend(messages(process)) or told, "the line")
        assert told[0].startswith("svscan: warning: unable to start a/run: ")
        assert "bounding set" in told[0], told

    def test_a_supervise_and_a_main_command_say_it_too(self, scan):
        path = lay(scan / "a", interpreter="/usr/bin/no-such-shell")
        with supervisor(BIN / "supervise", path) as process:
            told = []
            wait_for(lambda: told.extend(messages(process)) or told, "the line")
        assert told[0].startswith("supervise: fatal: unable to start ") and "no-such-shell" in told[0]
        result = run(INIT, "-s", "/nonexistent", "--", path / "run")
        assert result.returncode in (126, 127)
        assert b"/usr/bin/no-such-shell" in result.stderr
