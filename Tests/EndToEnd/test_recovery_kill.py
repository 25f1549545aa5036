"""A supervisor that was killed outright is followed by one that takes over what still runs."""

import contextlib
import os
import signal

from apus import background, run, wait_for
from faults import COUNTER, init, table, wait_over
from services import boot_time, is_gone, lay, lines, pid_of, started, supervisor, svc, svstat, wait_down, wait_up


def kill_outright(process):
    """Kills a supervisor, and only that."""
    process.send_signal(signal.SIGKILL)
    process.wait()


def damage(pid):
    """Changes a byte in both areas of the table of a supervisor."""
    for entry in os.listdir(f"/proc/{pid}/fd"):
        if os.readlink(f"/proc/{pid}/fd/{entry}").startswith("/memfd:apus"):
            with open(f"/proc/{pid}/fd/{entry}", "r+b") as content:
                for area in (65536, 65536 + (32 * 2**20 - 65536) // 2):
                    content.seek(area + 30)
                    content.write(b"\xa5")


def test_service_and_logger_are_taken_over(tmp_path):
    path = lay(tmp_path / "a", COUNTER, log="exec cat >> out")
    with supervisor("svscan", tmp_path) as first:
        pid, logger = wait_up(path), wait_up(path / "log")
        wait_for(lambda: len(lines(path / "log/out")) > 5, "lines")
        kill_outright(first)
        with supervisor("svscan", tmp_path) as second:
            wait_for(lambda: "up (pid" in svstat(path) and run("svok", path).returncode == 0)
            wait_for(lambda: run("svok", path / "log").returncode == 0)
            assert (pid_of(path), pid_of(path / "log")) == (pid, logger)
            count = len(lines(path / "log/out"))
            wait_for(lambda: len(lines(path / "log/out")) > count + 5, "more lines")
            # Its end is noticed, and the next one writes to the logger that there is.
            svc("-t", path)
            now = wait_up(path, other_than=pid)
            wait_for(lambda: any(line.startswith(f"{now} ") for line in lines(path / "log/out")), "its lines")
            assert pid_of(path / "log") == logger
            # A new logger reads what the one before did not.
            os.kill(logger, signal.SIGKILL)
            wait_up(path / "log", other_than=logger)
            assert pid_of(path) == now
            second.send_signal(signal.SIGTERM)
            assert second.wait(15) == 0
    numbers = {}
    for line in lines(path / "log/out"):
        word, number = line.split()
        assert int(number) == numbers.get(word, -1) + 1, line
        numbers[word] = int(number)
    assert list(numbers) == [str(pid), str(now)]


def test_the_time_up_is_kept(tmp_path):
    path = lay(tmp_path / "a")
    with supervisor("supervise", path) as first:
        pid = wait_up(path)
        wait_for(lambda: " 1 seconds" in svstat(path) or " 2 seconds" in svstat(path), "a second")
        kill_outright(first)
        with supervisor("supervise", path):
            wait_for(lambda: run("svok", path).returncode == 0)
            assert pid_of(path) == pid
            assert " 0 seconds" not in svstat(path)
            svc("-d", path)
            wait_down(path)
            assert is_gone(pid)


def test_another_process_is_not_taken_for_it(tmp_path):
    """A process that has the id by now is left alone."""
    path = lay(tmp_path / "a")
    with background("sleep", "1000") as other, supervisor("svscan", tmp_path) as first:
        stranger = other.pid
        wait_for(lambda: boot_time() - started(stranger) > 2, "some time")
        old = wait_up(path)
        svc("-t", path)
        pid = wait_up(path, other_than=old)
        kill_outright(first)
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: is_gone(pid))
        status = bytearray((path / "supervise/status").read_bytes())
        status[12:16] = stranger.to_bytes(4, "little")
        (path / "supervise/status").write_bytes(status)
        with supervisor("svscan", tmp_path):
            assert wait_up(path, other_than=stranger) != stranger
            assert other.poll() is None


def test_a_damaged_table(tmp_path):
    """What is left is of no use; the services are taken over all the same."""
    paths = [lay(tmp_path / name, COUNTER, log="exec cat >> out") for name in "ab"]
    with init("-s", tmp_path) as (process, first):
        pids = [(wait_up(path), wait_up(path / "log")) for path in paths]
        damage(first)
        os.kill(first, signal.SIGILL)
        text = b""
        def said():
            nonlocal text
            text += process.stderr.read() or b""
            return b"taking over what runs by its status files" in text
        wait_for(said, "word of it")
        wait_for(lambda: [run("svok", path).returncode for path in paths] == [0, 0])
        wait_for(lambda: [(pid_of(path), pid_of(path / "log")) for path in paths] == pids, "the same processes")
        counts = [len(lines(path / "log/out")) for path in paths]
        wait_for(lambda: all(len(lines(path / "log/out")) > count + 5 for path, count in zip(paths, counts)), "lines")
        # And the next fault is survived in the usual way.
        wait_over(first)
        met = table(first)[0]
        os.kill(first, signal.SIGILL)
        wait_over(first, met + 1)
        assert [(pid_of(path), pid_of(path / "log")) for path in paths] == pids
        os.kill(first, signal.SIGTERM)
        assert process.wait(15) == 0


def test_there_is_never_a_second_copy(tmp_path):
    path = lay(tmp_path / "a", "echo $$ >> started; exec sleep 1000")
    with contextlib.ExitStack() as stack:
        pid = None
        for _ in range(8):
            process = stack.enter_context(supervisor("svscan", tmp_path))
            wait_for(lambda: run("svok", path).returncode == 0 and pid_of(path))
            pid = pid or pid_of(path)
            assert pid_of(path) == pid
            kill_outright(process)
    assert len(lines(path / "started")) == 1


def test_a_damaged_table_and_the_main_command(tmp_path):
    """The main command has no status file; it is not started twice either."""
    script = f"echo $$ >> {tmp_path}/started; while [ ! -e {tmp_path}/go ]; do sleep 0.01; done; exit 42"
    with init("-s", "/nonexistent", "--", "sh", "-c", script) as (process, first):
        wait_for(lambda: lines(tmp_path / "started"))
        damage(first)
        os.kill(first, signal.SIGSEGV)
        wait_over(first, 0)
        wait_for(lambda: b"taking over" in (process.stderr.read() or b""), "word of it")
        (tmp_path / "go").touch()
        assert process.wait(15) == 42
        assert len(lines(tmp_path / "started")) == 1
