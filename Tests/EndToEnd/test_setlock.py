"""setlock -o, which keeps the lock to itself."""

import os
import signal
import subprocess

import pytest

from apus import BIN, background, run, wait_for

SETLOCK = BIN / "setlock"


def is_free(path):
    return run(SETLOCK, "-n", path, "true").returncode == 0


def test_the_program_does_not_have_the_lock(tmp_path):
    """What it leaves behind does not keep it, which it does without the option."""
    for option, is_left in (("-o", True), ("-N", False)):
        lock = tmp_path / f"lock{option}"
        pid = run(SETLOCK, option, lock, "sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $!").stdout
        assert is_free(lock) == is_left
        os.kill(int(pid), signal.SIGKILL)


def test_it_is_held_while_the_program_runs(tmp_path):
    lock = tmp_path / "lock"
    with background(SETLOCK, "-o", lock, "sh", "-c", "echo up; read line; exit 7", cwd=tmp_path,
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"up\n"
        assert not is_free(lock)
        process.stdin.close()
        assert process.wait(10) == 7
    assert is_free(lock)


@pytest.mark.parametrize("name", ["ALRM", "HUP", "INT", "QUIT", "TERM", "USR1", "USR2"])
def test_signals_are_passed_on(tmp_path, name):
    script = f"trap 'exit 9' {name}; echo up; while :; do sleep 0.01; done"
    with background(SETLOCK, "-o", "lock", "sh", "-c", script, cwd=tmp_path,
                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"up\n"
        process.send_signal(getattr(signal, f"SIG{name}"))
        assert process.wait(10) == 9


def test_a_signal_that_ends_the_program_is_in_the_exit_status(tmp_path):
    assert run(SETLOCK, "-o", "lock", "sh", "-c", "kill -KILL $$", cwd=tmp_path).returncode == 137


def test_the_program_has_the_signals_of_its_caller(tmp_path):
    """Nothing is blocked or ignored in it that was not before."""
    def states(*command):
        text = run(*command, "grep", "Sig[BIC]", "/proc/self/status", cwd=tmp_path).stdout
        return text

    assert states(SETLOCK, "-o", "lock") == states("env")


def test_what_cannot_be_run(tmp_path):
    failed = run(SETLOCK, "-o", "lock", "./nothing", cwd=tmp_path)
    assert failed.returncode == 111
    assert failed.stderr == b"setlock: fatal: unable to run ./nothing: file does not exist\n"
    assert is_free(tmp_path / "lock")
