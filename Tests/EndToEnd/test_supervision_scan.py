"""svscan: finding services, broken ones among them, their removal, and the orderly stop."""

import contextlib
import itertools
import os
import pathlib
import shutil
import signal
import time

import pytest

from apus import BIN, REFERENCE, run, wait_for
from services import (boot_time, children, descriptor_count, is_gone, lay, lines, messages, troubles, pid_of,
                      started, supervised, supervisor, svc, svstat, wait_down, wait_up)

SVSCAN = BIN / "svscan"


class TestFinding:
    @pytest.mark.parametrize("name", ["plain", "with space", "-u", "new\nline", "\udcff\udcfe"])
    def test_names(self, scan, name):
        lay(scan / name, "exec sleep 1000")
        with supervisor(SVSCAN, scan) as process:
            assert wait_up(scan / name)
            assert messages(process) == []

    @pytest.mark.parametrize("arguments, directory", [
        ([], "service"), (["."], "service"), (["service/"], ""), (["./service//"], "")])
    def test_the_directory_is_an_argument(self, scan, arguments, directory):
        lay(scan / "a")
        with supervisor(SVSCAN, *arguments, cwd=scan.parent / directory):
            assert wait_up(scan / "a")

    def test_a_link_made_later_is_found_at_once(self, scan, tmp_path):
        took = []
        with supervisor(SVSCAN, scan):
            lay(scan / "first")
            wait_up(scan / "first")
            for number in range(8):
                path = lay(tmp_path / f"s{number}")
                start = boot_time()
                (scan / path.name).symlink_to(path)
                took.append(started(wait_up(path)) - start)
        # The machine may be busy; the supervisor is not.
        assert min(took) < 0.02, took

    def test_a_directory_made_step_by_step_is_found(self, scan):
        with supervisor(SVSCAN, scan):
            (scan / "a").mkdir()
            wait_for(lambda: supervised(scan / "a"), "supervision")
            lay(scan / "a")
            assert wait_up(scan / "a")

    def test_hidden_names_and_files_are_none(self, scan):
        lay(scan / ".hidden")
        (scan / "file").write_text("")
        (scan / "link").symlink_to("file")
        lay(scan / "a")
        with supervisor(SVSCAN, scan) as process:
            wait_up(scan / "a")
            assert messages(process) == []
            assert not (scan / ".hidden/supervise").exists()

    def test_a_hidden_directory_is_found_when_it_is_renamed(self, scan):
        lay(scan / ".hidden")
        with supervisor(SVSCAN, scan):
            lay(scan / "a")
            wait_up(scan / "a")
            (scan / ".hidden").rename(scan / "shown")
            assert wait_up(scan / "shown")

    def test_two_names_are_one_service(self, scan):
        lay(scan / "a")
        (scan / "b").symlink_to("a")
        with supervisor(SVSCAN, scan) as process:
            pid = wait_up(scan / "a")
            os.kill(process.pid, signal.SIGHUP)
            assert wait_up(scan / "b") == pid
            assert len(children(process.pid)) == 1
            assert messages(process) == []

    def test_a_renamed_link_is_the_same_service(self, scan, tmp_path):
        path = lay(tmp_path / "a")
        (scan / "a").symlink_to(path)
        with supervisor(SVSCAN, scan) as process:
            pid = wait_up(path)
            (scan / "a").rename(scan / "b")
            lay(scan / "c")
            wait_up(scan / "c")
            assert pid_of(path) == pid
            assert len(children(process.pid)) == 2

    def test_hangup_looks_at_once(self, scan, tmp_path):
        """What a link names may be replaced without the scan directory changing. The old service ends
        first."""
        path = lay(tmp_path / "a")
        (scan / "a").symlink_to(path)
        with supervisor(SVSCAN, scan) as process:
            old = wait_up(path)
            path.rename(tmp_path / "old")
            lay(path)
            process.send_signal(signal.SIGHUP)
            assert wait_up(path) != old
            assert not supervised(tmp_path / "old")
            assert children(process.pid) == [pid_of(path)]
            assert messages(process) == [
                f"svscan: warning: a is another directory now, ending the old service (pid {old}) "
                "before starting the new"]

    def test_hangup_does_not_wait_for_services_that_were_told_to_end(self, scan):
        path = lay(scan / "a")
        with supervisor(SVSCAN, scan) as process:
            pid = wait_up(path)
            svc("-dx", path)
            wait_for(lambda: not supervised(path), "the end")
            start = time.monotonic()
            process.send_signal(signal.SIGHUP)
            assert wait_up(path, pid)
            assert time.monotonic() - start < 2

    def test_an_unreadable_scan_directory_is_told_once(self, scan):
        lay(scan / "a")
        with supervisor(SVSCAN, scan) as process:
            pid = wait_up(scan / "a")
            # Its own descriptors are all in use: the one thing that keeps root from reading.
            run("prlimit", f"--pid={process.pid}", "--nofile=4:")
            process.send_signal(signal.SIGHUP)
            told = []
            wait_for(lambda: told.extend(messages(process)) or told, "the warning")
            for _ in range(2):
                process.send_signal(signal.SIGHUP)
                time.sleep(0.1)
            assert told + messages(process) == [
                "svscan: warning: unable to read directory: process cannot open more files"]
            run("prlimit", f"--pid={process.pid}", "--nofile=64:")
            lay(scan / "b")
            wait_up(scan / "b")
            assert pid_of(scan / "a") == pid

    def test_a_reader_of_errors_that_does_not_read_holds_up_nothing(self, scan):
        """Standard error is a full pipe: complaints are lost, and nothing waits."""
        for number in range(3):
            (scan / f"broken{number}").mkdir()
        path = lay(scan / "a")
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writer, bytes(4096))
        os.set_blocking(writer, True)
        with supervisor(SVSCAN, scan, preexec_fn=lambda: os.dup2(writer, 2)) as process:
            wait_up(path)
            (scan / "another").mkdir()
            svc("-d", path)
            wait_down(path)
            process.terminate()
            assert process.wait(10) == 0
        os.close(reader)
        os.close(writer)

    def test_without_inotify_it_looks_every_five_seconds(self, scan):
        # A descriptor limit of the user is the one thing about inotify that can run out here.
        lay(scan / "a")
        script = "unshare --user --map-root-user sh -c '" \
                 "echo 0 > /proc/sys/user/max_inotify_instances && exec \"$0\" \"$@\"' "
        if run("sh", "-c", script + "true").returncode:
            pytest.skip("no user namespaces here")
        with supervisor("sh", "-c", f'exec {script} "$0" "$@"', SVSCAN, scan) as process:
            wait_up(scan / "a")
            assert messages(process) == [
                f"svscan: warning: unable to watch {scan}, looking every 5 seconds: "
                "process cannot open more files"]
            lay(scan / "b")
            start = time.monotonic()
            wait_up(scan / "b")
            assert time.monotonic() - start < 7


def fill_with_bytes(directory):
    directory.mkdir()
    with contextlib.suppress(OSError), open(directory / "full", "wb", 0) as file:
        while True:
            file.write(bytes(1024))


def fill_with_names(directory):
    directory.mkdir()
    with contextlib.suppress(OSError):
        for number in itertools.count():
            (directory / str(number)).touch()


class TestBroken:
    """Each broken service has its one line, and disturbs no other."""

    def break_everything(self, scan):
        """Returns the expected line of each, by name."""
        (scan / "norun").mkdir()
        lay(scan / "notexecutable")
        (scan / "notexecutable/run").chmod(0o644)
        (scan / "notaprogram").mkdir()
        (scan / "notaprogram/run").write_bytes(b"\x7fELF nonsense\n")
        (scan / "notaprogram/run").chmod(0o755)
        (scan / "dangling").symlink_to("nowhere")
        (scan / "cyclic").symlink_to("cyclic")
        for name in ["control", "ok", "lock"]:
            lay(scan / f"{name}file")
            (scan / f"{name}file/supervise").mkdir()
        (scan / "controlfile/supervise/control").write_text("x")
        (scan / "okfile/supervise/ok").write_text("x")
        (scan / "lockfile/supervise/lock").mkdir()
        lay(scan / "supervisefile")
        (scan / "supervisefile/supervise").write_text("x")
        lay(scan / "superviselink")
        (scan / "superviselink/supervise").symlink_to("supervise")
        lay(scan / "downlink")
        (scan / "downlink/down").symlink_to("down")
        lay(scan / "logfile")
        (scan / "logfile/log").write_text("x")
        lay(scan / "loglink")
        (scan / "loglink/log").symlink_to("log")
        return {
            "norun": "unable to start norun/run: file does not exist",
            "notexecutable": "unable to start notexecutable/run: access denied",
            "notaprogram": "unable to start notaprogram/run: exec format error",
            "dangling": "unable to stat dangling: file does not exist",
            "cyclic": "unable to stat cyclic: symbolic link loop",
            "controlfile": "unable to read controlfile/supervise/control: not a FIFO",
            "okfile": "unable to read okfile/supervise/ok: not a FIFO",
            "lockfile": "unable to acquire lockfile/supervise/lock: is a directory",
            "supervisefile": "unable to acquire supervisefile/supervise/lock: not a directory",
            "superviselink": "unable to acquire superviselink/supervise/lock: symbolic link loop",
            "downlink": "unable to stat downlink/down: symbolic link loop",
            "logfile": "unable to chdir to logfile/log: not a directory",
            "loglink": "unable to stat loglink/log: symbolic link loop",
        }

    def test_one_line_each_and_repaired_ones_come_up(self, scan):
        lay(scan / "good")
        expected = self.break_everything(scan)
        with supervisor(SVSCAN, scan) as process:
            pid = wait_up(scan / "good")
            told = []
            wait_for(lambda: told.extend(messages(process)) or len(told) >= len(expected),
                     "the lines")
            # Long enough for another look at what may have been repaired.
            time.sleep(5.5)
            told += messages(process)
            assert sorted(told) == sorted(f"svscan: warning: {text}" for text in expected.values())
            assert pid_of(scan / "good") == pid

            (scan / "controlfile/supervise/control").unlink()
            (scan / "okfile/supervise/ok").unlink()
            (scan / "lockfile/supervise/lock").rmdir()
            (scan / "supervisefile/supervise").unlink()
            (scan / "superviselink/supervise").unlink()
            (scan / "downlink/down").unlink()
            (scan / "loglink/log").unlink()
            (scan / "logfile/log").unlink()
            lay(scan / "logfile/log", "exec cat")
            # The first change in the scan directory itself, after which svscan looks at once.
            (scan / "cyclic").unlink()
            lay(scan / "nowhere")
            lay(scan / "norun")
            (scan / "notexecutable/run").chmod(0o755)
            for name in expected:
                if name not in ("cyclic", "notaprogram"):
                    wait_up(scan / name)
            wait_up(scan / "logfile/log")
            assert messages(process) == []

    def test_a_locked_service_waits_for_the_lock(self, scan):
        path = lay(scan / "a")
        lay(scan / "b")
        with supervisor(REFERENCE / "supervise", path) as other:
            first = wait_up(path)
            with supervisor(SVSCAN, scan) as process:
                wait_up(scan / "b")
                told = []
                wait_for(lambda: told.extend(messages(process)) or told, "the warning")
                assert told == [
                    "svscan: warning: unable to acquire a/supervise/lock: temporary failure"]
                svc("-dx", path)
                assert other.wait(10) == 0
                assert wait_up(path, first)

    @pytest.mark.parametrize("status", [b"", b"garbage", b"\xff" * 18, b"x" * 5000])
    def test_the_status_file_of_an_earlier_time_is_replaced(self, scan, status):
        path = lay(scan / "a")
        (path / "supervise").mkdir()
        (path / "supervise/status").write_bytes(status)
        with supervisor(SVSCAN, scan) as process:
            wait_up(path)
            assert (path / "supervise/status").stat().st_size == 45
            assert messages(process) == []

    @pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
    def test_unreadable_directories_of_another_user(self, scan, tmp_path):
        lay(scan / "good")
        lay(scan / "closed")
        # The directories above are pytest's, and closed to others.
        for path in [scan, *scan.parents]:
            if path.stat().st_uid == 0 and path != pathlib.Path("/tmp") and "/tmp/" in str(path):
                path.chmod(0o755)
        run("chown", "-R", "nobody", scan / "good")
        (scan / "closed").chmod(0o700)
        with supervisor(REFERENCE / "setuidgid", "nobody", SVSCAN, scan) as process:
            wait_up(scan / "good")
            told = []
            wait_for(lambda: told.extend(messages(process)) or told, "the warning")
            assert told == ["svscan: warning: unable to stat closed/log: access denied"]

    def test_a_read_only_file_system_is_no_reason_not_to_run(self, scan, tmp_path):
        lay(scan / "a", "exec sleep 1000", log="exec cat > /dev/null")
        script = f"mount -t tmpfs run /run && mount --bind {tmp_path} {tmp_path} && " \
                 f"mount -o remount,bind,ro {tmp_path} && exec \"$0\" \"$@\""
        with supervisor("unshare", "--mount", "sh", "-c", script, SVSCAN, scan) as process:
            wait_for(lambda: len(children(process.pid)) == 2, "service and logger")
            time.sleep(0.2)
            # Its state is elsewhere.
            assert messages(process) == []
            assert len(list(pathlib.Path(f"/proc/{process.pid}/root/run/apus").glob("*/supervise/status"))) == 2
            process.terminate()
            assert process.wait(10) == 0

    def test_the_status_is_true_on_a_full_disk(self, scan):
        """Whether there is no room for bytes or for names; and a new service waits for some."""
        script = f"mount -t tmpfs -o size=64k,nr_inodes=40 none {scan} && exec \"$0\" \"$@\""
        with supervisor("unshare", "--mount", "sh", "-c", script, SVSCAN, scan) as process:
            wait_for(lambda: os.readlink(f"/proc/{process.pid}/exe").endswith("apus"), "svscan")
            inside = pathlib.Path(f"/proc/{process.pid}/root{scan}")
            service = inside / "a"
            lay(service)
            pid = wait_up(service)
            for fill in (fill_with_bytes, fill_with_names):
                fill(inside / ".full")
                svc("-d", service)
                wait_down(service)
                svc("-u", service)
                pid = wait_up(service, pid)
                shutil.rmtree(inside / ".full")
            assert messages(process) == []
            lay(inside / ".c/c")
            fill_with_names(inside / ".full")
            (inside / ".c/c").rename(inside / "c")
            told = []
            wait_for(lambda: told.extend(messages(process)) or told, "the line")
            assert told == ["svscan: warning: unable to acquire c/supervise/lock: out of disk space"]
            shutil.rmtree(inside / ".full")
            wait_up(inside / "c")

    def test_no_descriptors_left_is_said_and_the_rest_runs(self, scan):
        for number in range(30):
            lay(scan / f"s{number}")
        with supervisor("sh", "-c", 'ulimit -n 64; exec "$0" "$@"', SVSCAN, scan) as process:
            told = []
            wait_for(lambda: told.extend(messages(process)) or
                     len(children(process.pid)) + len(told) == 30, "the lines")
            assert len(children(process.pid)) >= 8
            assert all(line.endswith(": running too many services: process cannot open more files")
                       for line in told), told
            # Those that run are still restarted.
            path = wait_for(lambda: next(filter(pid_of, scan.glob("[!.]*")), None), "the status of one that runs")
            pid = pid_of(path)
            os.kill(pid, signal.SIGKILL)
            wait_up(path, pid)

    def test_no_more_processes_is_said_once_and_passes(self, scan, tmp_path):
        """Under a process limit that is used up, services wait, and come up when it is not."""
        group = pathlib.Path("/sys/fs/cgroup/pids")
        limit = "pids.max"
        if not group.is_dir():
            group = pathlib.Path("/sys/fs/cgroup")
        mine = group / f"apus-test-{os.getpid()}"
        try:
            mine.mkdir()
            (mine / limit).write_text("2")
        except OSError:
            if mine.is_dir():
                mine.rmdir()
            pytest.skip("no pids cgroup to be had")
        for name in "abc":
            lay(scan / name)
        try:
            with supervisor("sh", "-c", f'echo $$ > {mine}/cgroup.procs; exec "$0" "$@"',
                            SVSCAN, scan) as process:
                told = []
                wait_for(lambda: told.extend(messages(process)) or len(told) >= 2, "the lines")
                time.sleep(1.5)
                told += messages(process)
                assert all("unable to fork for " in line and line.endswith("temporary failure")
                           for line in told)
                assert len(told) == 2, told
                (mine / limit).write_text("max")
                for name in "abc":
                    wait_up(scan / name)
        finally:
            wait_for(lambda: not lines(mine / "cgroup.procs"), "an empty group")
            mine.rmdir()


class TestRemoval:
    def test_the_classic_way(self, scan, tmp_path):
        path = lay(tmp_path / "a", "exec sleep 1000", log="exec cat > /dev/null")
        (scan / "a").symlink_to(path)
        with supervisor(SVSCAN, scan) as process:
            wait_up(path)
            wait_up(path / "log")
            before = descriptor_count(process.pid)
            (scan / "a").unlink()
            result = run("sh", "-c", "svc -dx . log", cwd=path)
            assert result.stderr == b""
            wait_for(lambda: not supervised(path) and not supervised(path / "log"), "the end")
            assert children(process.pid) == []
            # Five descriptors each and the pipe.
            wait_for(lambda: descriptor_count(process.pid) == before - 12, "twelve descriptors less")
            # Nothing is left of it: linked again, it is supervised again.
            (scan / "a").symlink_to(path)
            assert wait_up(path) and wait_up(path / "log")

    def test_without_svc_it_goes_on(self, scan, tmp_path):
        path = lay(tmp_path / "a")
        (scan / "a").symlink_to(path)
        with supervisor(SVSCAN, scan) as process:
            pid = wait_up(path)
            (scan / "a").unlink()
            process.send_signal(signal.SIGHUP)
            os.kill(pid, signal.SIGKILL)
            assert wait_up(path, pid)
            svc("-dx", path)
            wait_for(lambda: not supervised(path), "the end")

    def test_a_service_still_there_is_supervised_anew(self, scan):
        path = lay(scan / "a")
        with supervisor(SVSCAN, scan):
            pid = wait_up(path)
            svc("-dx", path)
            wait_for(lambda: not supervised(path), "the end")
            start = time.monotonic()
            assert wait_up(path, pid)
            assert 3 < time.monotonic() - start < 7

    def test_a_deleted_directory_does_no_harm(self, scan, tmp_path):
        path = lay(scan / "a")
        lay(scan / "b")
        with supervisor(SVSCAN, scan) as process:
            pid = wait_up(path)
            wait_up(scan / "b")
            shutil.rmtree(path)
            os.kill(pid, signal.SIGKILL)
            told = []
            wait_for(lambda: told.extend(troubles(process)) or len(told) >= 2, "the lines")
            assert told[0].startswith("svscan: warning: unable to open a/supervise/status.new: ")
            lay(scan / "c")
            wait_up(scan / "c")
            assert process.poll() is None


class TestStop:
    def test_term_stops_services_then_loggers_and_keeps_every_line(self, scan):
        paths = [lay(scan / f"s{number}", "trap 'echo last; exit' TERM; echo first\n"
                     "sleep 1000 & while :; do wait; done", log="exec cat >> out")
                 for number in range(5)]
        with supervisor(SVSCAN, scan) as process:
            for path in paths:
                wait_for(lambda: lines(path / "log/out") == ["first"], "the first line")
            # The background jobs of the shells have the pipe open for writing, too.
            start = time.monotonic()
            process.terminate()
            for path in paths:
                wait_for(lambda: lines(path / "log/out") == ["first", "last"], "the last line")
                wait_for(lambda: not supervised(path), "the end of supervision")
            assert process.wait(15) == 0
            assert 4 < time.monotonic() - start < 8, "waits for end of file, but not for ever"
            for path in paths:
                assert svstat(path) == "supervise not running"

    def test_it_ends_at_once_when_nothing_is_left(self, scan):
        for number in range(20):
            lay(scan / f"s{number}", "exec sleep 1000", log="exec cat")
        lay(scan / "down", down=True)
        lay(scan / "broken/log", "exec cat")
        with supervisor(SVSCAN, scan) as process:
            for path in scan.glob("[!.]*"):
                wait_for(lambda: supervised(path), "supervision")
            wait_up(scan / "s19/log")
            pids = children(process.pid)
            start = time.monotonic()
            process.terminate()
            assert process.wait(10) == 0
            assert time.monotonic() - start < 2
            assert all(is_gone(pid) for pid in pids)

    def test_a_service_is_not_started_again(self, scan):
        path = lay(scan / "a", "echo start >> starts; trap '' TERM; sleep 1.5")
        with supervisor(SVSCAN, scan) as process:
            wait_for(lambda: lines(path / "starts"), "the start")
            process.terminate()
            assert process.wait(10) == 0
            assert lines(path / "starts") == ["start"]

    def test_a_second_signal_kills(self, scan):
        path = lay(scan / "a", "trap '' TERM INT; touch ready; while :; do sleep 1; done")
        with supervisor(SVSCAN, scan) as process:
            pid = wait_up(path)
            wait_for((path / "ready").exists, "the service")
            process.terminate()
            time.sleep(0.3)
            assert process.poll() is None
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 128 + signal.SIGKILL
            assert is_gone(pid)

    def test_a_logger_that_is_down_for_a_moment_still_gets_the_last_lines(self, scan):
        """It is killed just before the stop; its restart has to wait for its second."""
        path = lay(scan / "a", "trap 'seq 1000; exit' TERM; touch ready; sleep 1000 > /dev/null & wait",
                   log="exec cat >> out")

        def is_down_when_killed():
            # One that has lived for a second is started anew at once, and the next is not.
            if logger := pid_of(path / "log"):
                os.kill(logger, signal.SIGKILL)
            return logger is None
        with supervisor(SVSCAN, scan) as process:
            wait_up(path / "log")
            wait_for((path / "ready").exists, "the service")
            wait_for(is_down_when_killed, "a logger that waits")
            process.terminate()
            assert process.wait(10) == 0
            assert lines(path / "log/out") == [str(number) for number in range(1, 1001)]

    def test_quit_leaves_the_services(self, scan):
        path = lay(scan / "a")
        with supervisor(SVSCAN, scan) as process:
            pid = wait_up(path)
            process.send_signal(signal.SIGQUIT)
            assert process.wait(10) == -signal.SIGQUIT
            assert not is_gone(pid)
            assert svstat(path) == "supervise not running"
