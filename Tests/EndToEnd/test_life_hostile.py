"""Definition files that are garbage, no files at all or too large, and a world that goes away: nobody else is hurt."""

import os
import pathlib
import random
import shutil
import signal
import time

import pytest

from apus import BIN, run, wait_for
from details import details
from services import (children, is_gone, lay, lines, messages, pid_of, supervised, supervisor, svc, svstat, wait_down,
                      wait_run, wait_up, write)

FILES = ["settings", "finish", "notification-fd", "timeout-finish", "timeout-kill", "down-signal", "reload-signal",
         "type", "dependencies", "contents", "up", "timeout-up", "start", "stop", "notify", "control",
         "dependencies.d", "contents.d", "flag-timeout-killpg", "max-death-tally", "lock-fd", "producer-for"]
KINDS = ["fifo", "directory", "socket", "huge", "link to nowhere", "link to itself", "link to /dev/zero",
         "unreadable", "garbage", "empty"]


@pytest.fixture
def service(tmp_path):
    return tmp_path / "service/s"


def supervise(service):
    return supervisor(BIN / "svscan", service.parent)


def put(path, kind):
    """Makes something odd of that name."""
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    elif kind == "socket":
        os.mknod(path, 0o140644)
    elif kind.startswith("link"):
        path.symlink_to({"link to nowhere": "nowhere", "link to itself": path.name}.get(kind, "/dev/zero"))
    else:
        path.write_bytes({"huge": b"needs x\n" * 1_000_000, "garbage": random.Random(7).randbytes(5000)}.get(kind, b""))
        if kind == "unreadable":
            path.chmod(0)


@pytest.mark.parametrize("kind", KINDS)
def test_odd_files_hang_nobody(tmp_path, kind):
    """One service for each name. Whatever becomes of it, the others go on, and it stops."""
    scan = tmp_path / "service"
    for name in FILES:
        lay(scan / f"with-{name}", "echo $$ >> pids; exec sleep 1000")
        put(scan / f"with-{name}" / name, kind)
    other = lay(scan / "other")
    with supervisor(BIN / "svscan", scan) as process:
        pid = wait_up(other)
        for name in FILES:
            wait_for(lambda: supervised(scan / f"with-{name}"), name)
        svc("-t", other)
        wait_up(other, pid)
        said = messages(process)
        assert len(said) < 300, said[:20]
        assert all(ord(letter) >= 32 for line in said for letter in line)
        for name in FILES:
            svc("-d", scan / f"with-{name}")
        process.send_signal(signal.SIGTERM)
        process.wait(15)


class TestSettings:
    @pytest.mark.parametrize("seed", range(8))
    def test_garbage_costs_its_lines_only(self, service, seed):
        dice = random.Random(seed)
        words = [b"needs", b"ready", b"tcp", b"listen", b"restart", b"never", b"\"", b"\\", b"#", b"9" * 30, b"-1",
                 b"\xff\x00", b"watchdog", b"1h", b"stop-signal", b"64", b"..", b"/", b"\r", b"command",
                 b"notification-fd", b"3"]
        text = b"\n".join(b" ".join(dice.choices(words, k=dice.randint(0, 6))) for _ in range(200))
        lay(service, settings=text)
        other = lay(service.parent / "other")
        with supervise(service) as process:
            pid = wait_up(other)
            wait_for(lambda: supervised(service), "the service")
            svc("-t", other)
            wait_up(other, pid)
            said = messages(process)
            assert said and all("s/settings:" in line or " s" in line for line in said), said
            process.send_signal(signal.SIGTERM)
            process.wait(15)

    def test_a_mistake_is_said_with_file_and_line(self, service):
        lay(service, settings="# comment\nneeds\nstop-timout 3s\nrestart never\n")
        with supervise(service) as process:
            pid = wait_run(service)
            said = messages(process)
            assert [line for line in said if "s/settings:2:" in line], said
            assert [line for line in said if "s/settings:3:" in line and "stop-timeout" in line], said
            os.kill(pid, signal.SIGKILL)
            # The line that is right counts.
            wait_for(lambda: details(service).state == "failed", "failed")

    def test_a_change_counts_at_the_next_start(self, service):
        lay(service, "trap 'echo TERM >> out; exit' TERM; trap 'echo INT >> out; exit' INT; echo up >> out; "
            "while :; do sleep 0.1; done")
        with supervise(service):
            wait_for(lambda: lines(service / "out") == ["up"], "the start")
            pid = wait_up(service)
            write(service / "settings", "stop-signal INT\n")
            svc("-t", service)
            wait_up(service, pid)
            wait_for(lambda: lines(service / "out") == ["up", "TERM", "up"], "the next start")
            svc("-d", service)
            wait_for(lambda: lines(service / "out")[3:] == ["INT"], "the new signal")

    def test_a_change_counts_at_hup(self, service):
        lay(service, "trap 'echo TERM >> out; exit' TERM; trap 'echo INT >> out; exit' INT; echo up >> out; "
            "while :; do sleep 0.1; done")
        with supervise(service) as process:
            wait_for(lambda: lines(service / "out") == ["up"], "the start")
            write(service / "settings", "stop-signal INT\n")
            process.send_signal(signal.SIGHUP)
            time.sleep(0.5)
            svc("-d", service)
            wait_for(lambda: lines(service / "out")[1:] == ["INT"], "the new signal", 5)

    def test_a_mistake_is_said_once(self, service):
        lay(service, "echo run >> out", settings="nonsense\nrestart-delay 50ms\n")
        with supervise(service) as process:
            wait_for(lambda: len(lines(service / "out")) >= 10, "starts")
            assert len([line for line in messages(process) if "nonsense" in line]) == 1

    def test_settings_that_change_all_the_time(self, service):
        lay(service, "echo run >> out", settings="restart-delay 20ms\n")
        other = lay(service.parent / "other")
        with supervise(service) as process:
            for number in range(100):
                write(service / "settings", f"restart-delay 20ms\nstop-timeout {number + 1}s\nneeds other\n"
                      if number % 2 else "restart-delay 20ms\n")
                time.sleep(0.02)
            count = len(lines(service / "out"))
            wait_for(lambda: len(lines(service / "out")) > count + 5, "more starts")
            assert pid_of(other) and process.poll() is None


class TestLoss:
    def test_the_supervisor_is_killed(self, service):
        lay(service, settings="ready notification-fd 3\nstop-timeout 3s\n", finish="#!/bin/sh\necho finish >> out\n")
        with supervise(service) as process:
            pid = wait_run(service)
            process.kill()
            process.wait()
            assert "supervise not running" in svstat(service)
            with supervise(service):
                wait_for(lambda: pid_of(service) == pid, "its adoption")
                svc("-d", service)
                wait_down(service)
                assert is_gone(pid)
                wait_for(lambda: lines(service / "out").count("finish") == 1, "finish")

    def test_everything_it_starts_is_killed_all_the_time(self, service):
        names = [f"s{number}" for number in range(6)]
        for number, name in enumerate(names):
            lay(service.parent / name, "echo run >> out; exec sleep 1000", finish="#!/bin/sh\nexec sleep 1000\n",
                start="#!/bin/sh\nexec sleep 0.05\n", stop="#!/bin/sh\nexec sleep 1000\n",
                settings="restart-delay 20ms\n" + (f"needs s{number - 1}\n" if number % 2 else ""))
        dice = random.Random(3)
        with supervise(service) as process:
            end = time.monotonic() + 5
            while time.monotonic() < end:
                for pid in children(process.pid):
                    if dice.random() < 0.5:
                        try:
                            os.kill(pid, signal.SIGKILL)
                        except ProcessLookupError:
                            pass
                time.sleep(0.01)
            assert process.poll() is None
            for pid in children(process.pid):
                os.kill(pid, signal.SIGKILL)
            # A `start` that was killed has failed for good.
            for name in names:
                wait_for(lambda: details(service.parent / name).state != "starting", name)

    def test_a_full_disk(self, tmp_path):
        if os.geteuid():
            pytest.skip("needs a mount namespace")
        scan = tmp_path / "service"
        scan.mkdir()
        script = f"""
mount -t tmpfs -o size=200k none {scan} || exit 99
mkdir {scan}/s
printf '#!/bin/sh\\nexec sleep 1000\\n' > {scan}/s/run; chmod 755 {scan}/s/run
printf 'ready command true\\nrestart-delay 50ms\\n' > {scan}/s/settings
{BIN}/svscan {scan} 2> {tmp_path}/said & svscan=$!
n=0; while ! {BIN}/svstat {scan}/s | grep -q ': up' && [ $n -lt 100 ]; do sleep 0.1; n=$((n+1)); done
cat /dev/zero > {scan}/fill 2>/dev/null
for n in 1 2 3 4 5; do {BIN}/svc -t {scan}/s; sleep 0.2; done
pgrep -P $svscan -x sleep > {tmp_path}/alive
rm {scan}/fill
{BIN}/svc -t {scan}/s
sleep 1
{BIN}/svstat {scan}/s > {tmp_path}/stat
pgrep -P $svscan -x sleep > {tmp_path}/pid
kill $svscan; wait $svscan
"""
        assert run("unshare", "--mount", "sh", "-c", script).returncode != 99
        assert lines(tmp_path / "alive"), pathlib.Path(tmp_path / "said").read_text()
        assert f"up (pid {lines(tmp_path / 'pid')[0]})" in lines(tmp_path / "stat")[0]
        assert len(lines(tmp_path / "said")) < 5, lines(tmp_path / "said")

    def test_a_directory_that_is_removed_under_a_service(self, service, tmp_path):
        lay(service, settings="ready command true\nenvironment env\nneeds other\nrestart-delay 50ms\n",
            **{"env/A": "1"}, finish="#!/bin/sh\nexit 0\n")
        other = lay(service.parent / "other")
        with supervise(service) as process:
            pid = wait_run(service)
            service.rename(tmp_path / "gone")
            # The supervisor may write its status just now, which is why one attempt need not do.
            wait_for(lambda: shutil.rmtree(tmp_path / "gone", ignore_errors=True) or not (tmp_path / "gone").exists(),
                     "the directory's end")
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda: is_gone(pid), "the end")
            time.sleep(1.5)
            assert pid_of(other) and process.poll() is None and len(messages(process)) < 12

    def test_descriptors_do_not_pile_up(self, service):
        lay(service, "echo >&3; echo run >> out", settings="ready notification-fd 3\nrestart-delay 10ms\n",
            finish="#!/bin/sh\nexit 0\n")
        with supervise(service) as process:
            wait_for(lambda: len(lines(service / "out")) >= 5, "starts")
            svc("-d", service)
            wait_down(service)
            before = len(os.listdir(f"/proc/{process.pid}/fd"))
            svc("-u", service)
            wait_for(lambda: len(lines(service / "out")) >= 60, "more starts")
            svc("-d", service)
            wait_down(service)
            assert len(os.listdir(f"/proc/{process.pid}/fd")) <= before
