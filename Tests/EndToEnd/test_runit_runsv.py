"""runsv and runsvdir: what an administrator of runit sees of them."""

import contextlib
import os
import pathlib
import signal

import pytest

from apus import pid_namespace, run, wait_for
from services import (children, is_gone, lay, lines, pid_of, process_state, supervised, supervisor, svstat,
                      wait_down, wait_run, wait_up)

LOG = 'log: ' + '.' * 200


def title(pid):
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
    return b""


@pytest.fixture
def left():
    """Processes that are meant to be left behind, and are killed after the test with all below them."""
    pids = []
    yield pids
    for pid in pids:
        for one in [*children(pid), pid] if process_state(pid) else []:
            os.kill(one, signal.SIGKILL)


class TestRunsv:
    @pytest.mark.parametrize("words", [[], ["a", "b"]])
    def test_usage(self, words):
        result = run("runsv", *words)
        assert (result.returncode, result.stderr) == (1, b"usage: runsv dir\n\n")

    def test_no_such_directory(self, tmp_path):
        result = run("runsv", "no", cwd=tmp_path)
        assert (result.returncode, result.stderr) == (
            111, b"runsv no: fatal: unable to change to directory: file does not exist\n")

    def test_a_service_without_a_logger(self, tmp_path):
        path = lay(tmp_path / "web")
        with supervisor("runsv", path) as process:
            pid = wait_run(path)
            os.kill(pid, signal.SIGKILL)
            wait_up(path, other_than=pid)
            process.terminate()
            assert process.wait(10) == 0
        assert svstat(path) == "supervise not running"

    def test_pid_and_stat(self, tmp_path):
        path = lay(tmp_path / "web", log="exec cat > /dev/null")

        def told(place=path):
            return [(place / "supervise" / name).read_text() for name in ("pid", "stat")]
        with supervisor("runsv", path):
            pid = wait_run(path)
            assert told() == [f"{pid}\n", "run\n"]
            logger = wait_run(path / "log")
            assert told(path / "log") == [f"{logger}\n", "run\n"]
            run("sv", "pause", path)
            wait_for(lambda: told()[1] == "run, paused\n", "paused")
            run("sv", "down", path)
            wait_down(path)
            wait_for(lambda: told() == ["", "down\n"], "down")

    def test_supervise_has_no_pid_and_stat(self, tmp_path):
        path = lay(tmp_path / "web")
        with supervisor("supervise", path):
            wait_run(path)
            assert sorted(os.listdir(path / "supervise")) == ["control", "lock", "ok", "status"]

    def test_a_file_down_keeps_it_down(self, tmp_path):
        path = lay(tmp_path / "web", down=True)
        with supervisor("runsv", path):
            wait_for(lambda: supervised(path), "runsv")
            assert svstat(path).startswith("down ")

    def test_the_logger_reads_what_the_service_writes_to_the_end(self, tmp_path):
        path = lay(tmp_path / "web", log="exec cat >>out", script=(
            "trap 'echo bye; exit' TERM; echo hello; echo up >ready; while :; do sleep 0.05; done"))
        with supervisor("runsv", path) as process:
            wait_for((path / "ready").exists, "the service")
            wait_up(path / "log")
            assert run("sv", "exit", path).returncode == 0
            assert process.wait(10) == 0
        assert lines(path / "log/out") == ["hello", "bye"]
        assert svstat(path / "log") == "supervise not running"

    def test_a_logger_that_ends_is_started_again_and_nothing_is_lost(self, tmp_path):
        path = lay(tmp_path / "web", "while read line <in; do echo $line; done", log="exec head -n 1 >>out")
        os.mkfifo(path / "in")
        with supervisor("runsv", path):
            wait_up(path / "log")
            for number in range(3):
                (path / "in").write_text(f"{number}\n")
                wait_for(lambda expected=number + 1: len(lines(path / "log/out")) == expected, "the line")
        assert lines(path / "log/out") == ["0", "1", "2"]

    def test_log_that_is_no_directory(self, tmp_path):
        path = lay(tmp_path / "web")
        (path / "log").touch()
        with supervisor("runsv", path) as process:
            wait_run(path)
            assert process.stderr.read() == f"runsv {path}: warning: ./log: not a directory.\n".encode()

    def test_a_second_one_does_no_harm(self, tmp_path):
        path = lay(tmp_path / "web", log="exec cat >/dev/null")
        with supervisor("runsv", path):
            pids = wait_run(path), wait_run(path / "log")
            result = run("runsv", path)
            assert result.returncode == 111
            assert f"runsv {path}: fatal: unable to acquire {path}/supervise/lock".encode() in result.stderr
            assert (pid_of(path), pid_of(path / "log")) == pids

    def test_when_it_is_killed_the_next_one_takes_over(self, tmp_path, left):
        path = lay(tmp_path / "web", log="exec cat >/dev/null")
        with supervisor("runsv", path) as process:
            left += [wait_run(path), wait_run(path / "log")]
            process.kill()
            wait_for(lambda: not supervised(path) and not supervised(path / "log"), "the end of both supervisors")
            os.kill(left[0], signal.SIGKILL)
            with supervisor("runsv", path):
                wait_run(path)
                wait_run(path / "log")


class TestRunsvdir:
    @pytest.mark.parametrize("words", [[], ["-P"], ["--"]])
    def test_usage(self, words):
        result = run("runsvdir", *words)
        assert (result.returncode, result.stderr) == (1, b"usage: runsvdir [-P] dir\n\n")

    def test_services_and_loggers_run(self, scan):
        path = lay(scan / "web", log="exec cat >out")
        with supervisor("runsvdir", scan):
            wait_run(path)
            wait_run(path / "log")
            later = lay(scan / "later")
            wait_run(later)

    def test_term_leaves_services_that_stay_supervised(self, scan, left):
        path = lay(scan / "web", log="exec cat >/dev/null")
        with supervisor("runsvdir", scan) as process:
            pid = wait_run(path)
            left += children(process.pid)
            process.terminate()
            assert process.wait(10) == 0
            assert pid_of(path) == pid
            assert run("sv", "restart", path).returncode == 0
            assert pid_of(path) not in (None, pid)
            os.kill(left[0], signal.SIGTERM)
            wait_for(lambda: not supervised(path), "the end of the supervisor")

    def test_hup_stops_all(self, scan):
        path = lay(scan / "web", log="exec cat >/dev/null")
        with supervisor("runsvdir", scan) as process:
            pid = wait_run(path)
            process.send_signal(signal.SIGHUP)
            assert process.wait(10) == 111
            wait_for(lambda: is_gone(pid) and not supervised(path), "the end of all")

    def test_sessions(self, scan):
        path = lay(scan / "web")
        with supervisor("runsvdir", "-P", scan) as process:
            pid = wait_run(path)
            assert os.getsid(pid) == pid
            process.send_signal(signal.SIGHUP)
            wait_for(lambda: is_gone(pid), "the end of the service")

    def test_without_p_there_is_one_session(self, scan):
        path = lay(scan / "web")
        with supervisor("runsvdir", scan) as process:
            assert os.getsid(wait_run(path)) == os.getsid(process.pid)

    def test_errors_scroll_in_the_title(self, scan):
        path = lay(scan / "web")
        (path / "run").chmod(0o644)
        with supervisor("runsvdir", "-P", scan, LOG) as process:
            wait_for(lambda: b"unable to start web/run: access denied" in title(process.pid), "the error")
            shown = title(process.pid)
            assert shown.startswith(f"runsvdir -P {scan} log: ".encode())
            assert len(shown.rstrip()) <= len(f"runsvdir -P {scan} {LOG}")
            assert process.stderr.read() is None

    def test_a_log_that_is_too_short(self, scan):
        path = lay(scan / "web")
        with supervisor("runsvdir", scan, "log:") as process:
            wait_run(path)
            text = process.stderr.read().decode()
            assert text == "".join(f"runsvdir {scan}: warning: {line}\n" for line in [
                "log must have at least seven characters.", "log service disabled."])

    def test_process_1_stops_in_order(self, scan):
        path = lay(scan / "web", "trap 'echo bye >end; exit' TERM; echo >ready; while :; do sleep 0.05; done")
        with pid_namespace("runsvdir", "-P", scan) as (process, first):
            wait_for((path / "ready").exists, "the service")
            os.kill(first, signal.SIGTERM)
            assert process.wait(20) == 0
        assert lines(path / "end") == ["bye"]

    def test_runsvdir_of_an_image_shows_errors_as_process_1(self, scan):
        path = lay(scan / "web")
        (path / "run").chmod(0o644)
        with pid_namespace("runsvdir", scan, LOG) as (_, first):
            wait_for(lambda: any(b"web/run: access denied" in title(child) for child in children(first)), "the error")


def test_service_directories_of_runit_run(scan, tmp_path):
    """One as Debian's packages ship them, with chpst and svlogd."""
    main = tmp_path / "log"
    main.mkdir()
    path = lay(scan / "web", "exec 2>&1\nexec chpst -o 50 sh -c 'echo $0 $(ulimit -n); exec sleep 1000'",
               log=f"exec chpst -P svlogd -tt {main}")
    with supervisor("runsvdir", "-P", scan):
        wait_run(path)
        wait_for(lambda: lines(main / "current"), "the line")
        assert lines(main / "current")[0].endswith(" sh 50")
