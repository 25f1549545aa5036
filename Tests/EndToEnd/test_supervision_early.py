"""A stop that is asked for while the supervisor starts: it comes before anything was done, or is orderly."""

import os
import pathlib
import shutil
import signal
import time

import pytest

from apus import BIN, pid_namespace, wait_for
from services import lay, messages, supervisor, svstat

COMMANDS = pytest.mark.parametrize("command", [
    ["svscan", "scan"], ["supervise", "scan/a"], ["init", "-s", "scan"]], ids=lambda words: words[0])


@pytest.fixture
def service(tmp_path):
    return lay(tmp_path / "scan/a", "echo >> started; exec sleep 1000")


def starting(command, service, **options):
    return supervisor(BIN / command[0], *command[1:], cwd=service.parent.parent, **options)


@COMMANDS
def test_term_at_once_many_times(service, command):
    orderly = 0
    for number in range(60):
        with starting(command, service) as process:
            time.sleep(number * 0.00005)
            if number == 59:
                wait_for((service / "supervise").exists, "a supervisor at work")
            process.terminate()
            code = process.wait(20)
            assert messages(process) == []
            orderly += code == 0
            if code == 0:
                if (service / "supervise").exists():
                    assert svstat(service) == "supervise not running"
                    shutil.rmtree(service / "supervise")
            else:
                # Death comes before anything was done: no lock or FIFO made, no service started.
                assert code == -signal.SIGTERM
                assert not (service / "supervise").exists()
    assert orderly > 0


@COMMANDS
def test_a_signal_that_waits_from_before_its_start(service, command):
    def prepare():
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        os.kill(os.getpid(), signal.SIGTERM)
    for _ in range(5):
        with starting(command, service, preexec_fn=prepare) as process:
            assert process.wait(20) == 0
            assert messages(process) == []
    assert svstat(service) == "supervise not running"


def test_process_1_loses_none_once_it_holds_them_back(service):
    """Before, nothing can be done: the kernel itself drops what would end process 1."""
    def holds_back():
        # What starts it has blocked signals too, for a while.
        if not os.readlink(f"/proc/{first}/exe").endswith("/apus"):
            return False
        status = pathlib.Path(f"/proc/{first}/status").read_text()
        return int(status.partition("SigBlk:\t")[2].split()[0], 16) >> signal.SIGTERM - 1 & 1
    for _ in range(10):
        with pid_namespace(BIN / "init", "-s", service.parent) as (process, first):
            wait_for(holds_back, "blocked signals")
            os.kill(first, signal.SIGTERM)
            assert process.wait(20) == 0
