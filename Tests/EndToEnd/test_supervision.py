"""One service: what svc's letters do and svstat says, by ours and Debian's, each with the other."""

import contextlib
import os
import re
import signal
import time

import pytest

from apus import BIN, REFERENCE, run, wait_for
from services import (SIGNALS, boot_time, children, is_gone, lay, lines, messages, pid_of, process_state,
                      started, supervised, supervisor, svc, svstat, wait_down, wait_up)

OURS = (BIN, BIN)
PAIRS = pytest.mark.parametrize(
    "supervise, tools", [OURS, (BIN, REFERENCE), (REFERENCE, BIN)],
    ids=["ours", "our supervise, their tools", "their supervise, our tools"])


@pytest.fixture
def service(tmp_path):
    return lay(tmp_path / "s", SIGNALS)


def got(path):
    return lines(path / "got")


@PAIRS
class TestCommands:
    @pytest.mark.parametrize("letter, name", [
        ("h", "HUP"), ("a", "ALRM"), ("i", "INT"), ("c", "CONT")])
    def test_signals(self, service, supervise, tools, letter, name):
        with supervisor(supervise / "supervise", service):
            wait_for(lambda: got(service) == ["UP"], "the service")
            pid = wait_up(service, tools=tools)
            svc(f"-{letter}", service, tools=tools)
            wait_for(lambda: got(service) == ["UP", name], name)
            assert pid_of(service, tools) == pid

    @pytest.mark.parametrize("letter, ends", [("t", ["TERM"]), ("k", [])])
    def test_term_and_kill_restart_it(self, service, supervise, tools, letter, ends):
        with supervisor(supervise / "supervise", service):
            wait_for(lambda: got(service) == ["UP"], "the service")
            pid = wait_up(service, tools=tools)
            svc(f"-{letter}", service, tools=tools)
            assert wait_up(service, pid, tools)
            wait_for(lambda: got(service) == ["UP", *ends, "UP"], "the second start")

    def test_down_and_up(self, service, supervise, tools):
        with supervisor(supervise / "supervise", service):
            wait_for(lambda: got(service) == ["UP"], "the service")
            svc("-d", service, tools=tools)
            wait_down(service, tools)
            assert svstat(service, tools).endswith(" seconds, normally up")
            assert got(service)[:2] == ["UP", "TERM"]
            svc("-u", service, tools=tools)
            wait_up(service, tools=tools)
            assert svstat(service, tools).endswith(" seconds")

    def test_once(self, service, supervise, tools):
        (service / "down").touch()
        with supervisor(supervise / "supervise", service):
            wait_down(service, tools)
            svc("-o", service, tools=tools)
            pid = wait_up(service, tools=tools)
            assert svstat(service, tools).endswith(" seconds, normally down")
            wait_for(lambda: got(service) == ["UP"], "the service")
            os.kill(pid, signal.SIGKILL)
            wait_down(service, tools)
            time.sleep(1.3)
            assert pid_of(service, tools) is None
            assert got(service) == ["UP"]

    def test_once_while_up(self, service, supervise, tools):
        with supervisor(supervise / "supervise", service):
            pid = wait_up(service, tools=tools)
            wait_for(lambda: got(service) == ["UP"], "the service")
            svc("-o", service, tools=tools)
            time.sleep(0.2)
            assert pid_of(service, tools) == pid
            svc("-k", service, tools=tools)
            wait_down(service, tools)
            time.sleep(1.3)
            assert got(service) == ["UP"]

    def test_pause_and_continue(self, service, supervise, tools):
        with supervisor(supervise / "supervise", service):
            pid = wait_up(service, tools=tools)
            svc("-p", service, tools=tools)
            wait_for(lambda: process_state(pid) == "T", "the stop")
            wait_for(lambda: svstat(service, tools).endswith(" seconds, paused"), "paused")
            svc("-c", service, tools=tools)
            wait_for(lambda: process_state(pid) == "S", "the continuation")
            wait_for(lambda: svstat(service, tools).endswith(" seconds"), "no longer paused")

    def test_down_ends_a_paused_service(self, service, supervise, tools):
        with supervisor(supervise / "supervise", service):
            wait_for(lambda: got(service) == ["UP"], "the service")
            svc("-pd", service, tools=tools)
            wait_down(service, tools)
            assert "paused" not in svstat(service, tools)

    def test_exit_waits_for_the_service(self, service, supervise, tools):
        with supervisor(supervise / "supervise", service) as process:
            wait_for(lambda: got(service) == ["UP"], "the service")
            svc("-x", service, tools=tools)
            time.sleep(0.2)
            assert process.poll() is None and pid_of(service, tools)
            svc("-t", service, tools=tools)
            assert process.wait(10) == 0
            assert got(service)[:2] == ["UP", "TERM"] and got(service).count("UP") == 1
            assert svstat(service, tools) == "supervise not running"
            assert run(tools / "svok", service).returncode == 100

    def test_exit_when_down(self, service, supervise, tools):
        (service / "down").touch()
        with supervisor(supervise / "supervise", service) as process:
            wait_down(service, tools)
            assert run(tools / "svok", service).returncode == 0
            svc("-x", service, tools=tools)
            assert process.wait(10) == 0

    def test_unknown_letters_do_nothing(self, service, supervise, tools):
        with supervisor(supervise / "supervise", service):
            wait_for(lambda: got(service) == ["UP"], "the service")
            pid = wait_up(service, tools=tools)
            (service / "supervise/control").write_bytes(bytes(range(128, 256)) * 30 + b"\0 zZ\n")
            svc("-h", service, tools=tools)
            wait_for(lambda: "HUP" in got(service), "HUP")
            assert pid_of(service, tools) == pid


@pytest.mark.parametrize("supervise", [BIN, REFERENCE], ids=["ours", "theirs"])
def test_the_status_says_paused_before_the_process_stops(tmp_path, service, supervise):
    trace = tmp_path / "trace"
    with supervisor("strace", "-qq", "-o", trace, "-e", "trace=kill,rename,renameat",
                    supervise / "supervise", service) as process:
        wait_for(lambda: got(service) == ["UP"], "the service")
        pid = wait_up(service)
        svc("-p", service)
        wait_for(lambda: process_state(pid) == "T", "the stop")
        svc("-c", service)
        wait_for(lambda: got(service) == ["UP", "CONT"], "the continuation")
        svc("-d", service)
        wait_down(service)
        svc("-x", service)
        assert process.wait(10) == 0
    events = [re.search(r"SIG(?!CHLD)\w+|status.new", line) for line in lines(trace)
              if line.startswith(("kill", "rename"))]
    # What is left in a group is asked for by a signal that is none.
    events = [event[0] for event in events if event]
    first = events.index("SIGSTOP") - 1
    assert events[first:first + 8] == [
        "status.new", "SIGSTOP", "status.new", "SIGCONT", "SIGTERM", "SIGCONT", "status.new",
        "status.new"]


class TestOurs:
    @pytest.mark.parametrize("letter, name", [
        ("q", "QUIT"), ("1", "USR1"), ("2", "USR2"), ("w", "WINCH")])
    def test_letters_that_daemontools_has_not(self, service, letter, name):
        with supervisor(BIN / "supervise", service):
            wait_for(lambda: got(service) == ["UP"], "the service")
            svc(f"-{letter}", service)
            wait_for(lambda: got(service) == ["UP", name], name)

    def test_both_svstats_say_the_same(self, tmp_path):
        paths = []
        for name in ["up", "normally-down", "paused", "down", "want-down", "never"]:
            paths.append(lay(tmp_path / name, "trap '' TERM; touch ready; sleep 1000 & wait; wait",
                             down=name == "normally-down"))
        missing = tmp_path / "missing"
        missing.mkdir()
        paths.append(missing)
        with supervisor(BIN / "svscan", tmp_path):
            for path in paths[:-1]:
                wait_for(lambda: supervised(path) if path == paths[1] else (path / "ready").exists(),
                         "the services")
            svc("-o", paths[1])
            svc("-p", paths[2])
            svc("-dk", paths[3])
            svc("-d", paths[4])
            wait_for(lambda: [svstat(path).partition(" seconds")[2] for path in paths] == [
                "", ", normally down", ", paused", ", normally up", ", want down", "",
                ", normally up, want up"], "each state")
            assert svstat(missing).startswith("down ")

            def both():
                return [run(where / "svstat", *paths).stdout for where in (BIN, REFERENCE)]
            # The seconds may turn between the two.
            wait_for(lambda: len(set(both())) == 1, "the same words")

    def test_a_service_that_dies_early_starts_once_a_second(self, tmp_path):
        path = lay(tmp_path / "s", "read stat < /proc/$$/stat; echo $stat >> starts; exit 1")
        with supervisor(BIN / "supervise", path):
            wait_for(lambda: len(lines(path / "starts")) >= 5, "five starts")
        # As the kernel has it: the children may be slow to do anything.
        starts = [int(line.split()[21]) / os.sysconf("SC_CLK_TCK") for line in lines(path / "starts")]
        gaps = [later - earlier for earlier, later in zip(starts, starts[1:])]
        assert all(gap > 0.98 for gap in gaps) and min(gaps) < 1.2, gaps

    def test_a_service_that_lived_longer_starts_at_once(self, tmp_path):
        path = lay(tmp_path / "s")
        with supervisor(BIN / "supervise", path):
            pid = wait_up(path)
            wait_for(lambda: boot_time() - started(pid) > 2, "two seconds")
            start = boot_time()
            os.kill(pid, signal.SIGKILL)
            assert started(wait_up(path, pid)) - start < 0.5

    def test_commands_are_taken_within_the_second(self, tmp_path):
        path = lay(tmp_path / "s")
        with supervisor(BIN / "supervise", path):
            pid = wait_up(path)
            svc("-d", path)
            wait_for(lambda: is_gone(pid), "the end", seconds=0.8)

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_term_ends_service_and_supervisor(self, service, number):
        with supervisor(BIN / "supervise", service) as process:
            wait_for(lambda: got(service) == ["UP"], "the service")
            pid = pid_of(service)
            process.send_signal(number)
            assert process.wait(10) == 0
            assert is_gone(pid)
            assert got(service)[:2] == ["UP", "TERM"]

    @pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGPIPE, signal.SIGUSR1, signal.SIGALRM])
    def test_other_signals_do_no_harm(self, service, number):
        with supervisor(BIN / "supervise", service) as process:
            wait_for(lambda: got(service) == ["UP"], "the service")
            pid = wait_up(service)
            process.send_signal(number)
            svc("-h", service)
            wait_for(lambda: "HUP" in got(service), "HUP")
            assert process.poll() is None and pid_of(service) == pid

    def test_works_when_started_with_child_signals_ignored_and_blocked(self, tmp_path):
        path = lay(tmp_path / "s")

        def prepare():
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))
        with supervisor(BIN / "supervise", path, preexec_fn=prepare):
            pid = wait_up(path)
            os.kill(pid, signal.SIGKILL)
            wait_up(path, pid)
            status = dict(line.split(":\t", 1) for line in lines(f"/proc/{pid_of(path)}/status"))
            assert int(status["SigBlk"], 16) == 0

    def test_two_supervisors_do_not_share_a_service(self, service):
        for first, second in [(BIN, REFERENCE), (REFERENCE, BIN), (BIN, BIN)]:
            with supervisor(first / "supervise", service):
                wait_up(service)
                result = run(second / "supervise", service)
                assert result.returncode == 111
                assert result.stderr == (b"supervise: fatal: unable to acquire "
                                         + os.fsencode(service)
                                         + b"/supervise/lock: temporary failure\n")

    def test_a_killed_supervisor_leaves_nothing_in_the_way_of_the_next(self, service):
        with supervisor(BIN / "supervise", service) as first:
            wait_for(lambda: got(service) == ["UP"], "the service")
            pid = wait_up(service)
            first.kill()
            first.wait()
            assert svstat(service) == "supervise not running"
            with supervisor(BIN / "supervise", service) as second:
                wait_for(lambda: pid_of(service) == pid, "its adoption")
                svc("-h", service)
                wait_for(lambda: got(service) == ["UP", "HUP"], "HUP")
                svc("-t", service)
                assert wait_up(service, pid)
                wait_for(lambda: got(service).count("UP") == 2, "the second service")
                assert messages(second) == []

    def test_the_directory_may_be_renamed(self, service):
        moved = service.with_name("moved")
        with supervisor(BIN / "supervise", service):
            wait_for(lambda: got(service) == ["UP"], "the service")
            pid = wait_up(service)
            service.rename(moved)
            svc("-t", moved)
            wait_up(moved, pid)
            wait_for(lambda: got(moved).count("UP") == 2, "a start in the new place")

    def test_a_trouble_is_told_once_and_again_when_it_changes(self, tmp_path):
        path = tmp_path / "s"
        path.mkdir()
        with supervisor(BIN / "supervise", path) as process:
            prefix = f"supervise: fatal: unable to start {path}/run: "
            seen = set()

            def stamps():
                """The time of each change of state."""
                with contextlib.suppress(FileNotFoundError):
                    seen.add((path / "supervise/status").read_bytes()[:12])
                return seen

            wait_for(lambda: len(stamps()) > 2, "two more tries")
            assert messages(process) == [prefix + "file does not exist"]
            (path / "run").write_text("#!/bin/sh\n")
            told = []
            wait_for(lambda: told.extend(messages(process)) or told, "another trouble")
            assert told == [prefix + "access denied"]
            lay(path)
            wait_up(path)
            assert messages(process) == []

    def test_a_status_file_that_cannot_be_written_is_told_once(self, service):
        with supervisor(BIN / "supervise", service) as process:
            wait_up(service)
            (service / "supervise/status.new").mkdir()
            for _ in range(3):
                old, = children(process.pid)
                svc("-k", service)
                wait_for(lambda: children(process.pid) not in ([old], []), "another child")
            assert messages(process) == [
                f"supervise: warning: unable to open {service}/supervise/status.new: is a directory"]
            (service / "supervise/status.new").rmdir()
            svc("-p", service)
            assert "paused" in wait_for(
                lambda: svstat(service) if "paused" in svstat(service) else "", "a status")
