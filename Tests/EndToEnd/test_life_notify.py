"""What services say by sd_notify(3): readiness, status, the watchdog, descriptors to keep; and who is not heard."""

import os
import signal
import subprocess
import time

import pytest

from apus import BIN, pid_namespace, wait_for
from details import details
from services import boot_time, lay, lines, messages, supervised, supervisor, svc, wait_run, wait_up

# Sends what follows, as Python does, in one datagram each.
SEND = """exec /usr/bin/python3 -c '
import os, socket, time, array
address = os.environ["NOTIFY_SOCKET"].replace("@", "\\0", 1)
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
def send(text, *fds):
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    s.sendmsg([text.encode()], rights, 0, address)
def stay():
    while True: time.sleep(1000)
%s'"""


@pytest.fixture
def service(tmp_path):
    return tmp_path / "service/s"


def supervise(service):
    return supervisor(BIN / "svscan", service.parent)


def wait_ready(service):
    wait_for(lambda: supervised(service) and details(service).ready, "readiness")


def socket_of(service):
    """The address that a service has been given."""
    return wait_for(lambda: lines(service / "socket"), "the address")[0]


class TestWords:
    def test_systemd_notify_ready_and_status(self, service):
        lay(service, "systemd-notify --ready --status='serving 3 clients'; exec sleep 1000", settings="ready notify\n")
        with supervise(service):
            wait_ready(service)
            assert details(service).text == "serving 3 clients"

    def test_it_is_not_ready_before(self, service):
        lay(service, settings="ready notify\n")
        with supervise(service):
            wait_run(service)
            time.sleep(0.3)
            assert details(service).state == "starting"

    def test_stopping(self, service):
        lay(service, "systemd-notify --ready; systemd-notify STOPPING=1; exec sleep 1000", settings="ready notify\n")
        with supervise(service):
            wait_for(lambda: supervised(service) and details(service).state == "stopping", "stopping")
            assert not details(service).ready

    def test_forgiveness(self, service):
        """RESTART_RESET: its restarts up to now do not count."""
        lay(service, SEND % """
open("out", "a").write("run\\n"); send("READY=1")
if len(open("out").readlines()) == 4: send("RESTART_RESET=1")
time.sleep(0.2); os._exit(1)""", settings="ready notify\nrestart-delay 50ms\nrestart-limit 4 in 1h\n")
        with supervise(service):
            wait_for(lambda: supervised(service) and details(service).state == "failed", "the end", 20)
        # Four restarts are allowed, and three had been.
        assert len(lines(service / "out")) == 3 + 5

    def test_reloading(self, service):
        lay(service, SEND % """
send("READY=1"); time.sleep(0.2)
send("RELOADING=1\\nMONOTONIC_USEC=1")
while not os.path.exists("go"): time.sleep(0.01)
send("READY=1"); stay()""", settings="ready notify\n")
        with supervise(service):
            wait_for(lambda: supervised(service) and details(service).state == "starting" and
                     details(service).pid, "reloading")
            (service / "go").touch()
            wait_ready(service)

    @pytest.mark.parametrize("text", ["", "READY", "READY=0", "READY=1\\0READY=1\\0", "\\xff\\xfe=\\0", "=", "x" * 5000,
                                      "READY=1\\n" + "y" * 5000, "STATUS=" + "z" * 4000, "MAINPID=0", "MAINPID=1",
                                      "MAINPID=-1", "MAINPID=99999999999999999999"], ids=lambda text: text[:12])
    def test_what_makes_no_sense_is_ignored(self, service, text):
        lay(service, SEND % f'send("{text}")\nopen("sent", "w").close()\nstay()', settings="ready notify\n")
        with supervise(service) as process:
            wait_for(lambda: (service / "sent").exists(), "the message")
            time.sleep(0.2)
            assert process.poll() is None and not details(service).ready
            assert len(details(service).text) <= 200

    @pytest.mark.parametrize("key", ["WATCHDOG_USEC", "EXTEND_TIMEOUT_USEC", "MONOTONIC_USEC"])
    @pytest.mark.parametrize("value", ["0", "18446744073709551615", "9223372036854775807", "99999999999999999999999"])
    def test_odd_times_harm_nobody(self, service, key, value):
        lay(service, f"systemd-notify --ready {key}={value}; systemd-notify WATCHDOG=1; touch sent; exec sleep 1000",
            settings="ready notify\nready-timeout 5s\nstop-timeout 5s\n")
        with supervise(service) as process:
            wait_for(lambda: (service / "sent").exists(), "the message")
            pid = wait_run(service)
            time.sleep(0.3)
            assert process.poll() is None and wait_up(service) == pid and details(service).ready

    def test_status_is_shown_without_control_characters(self, service):
        lay(service, SEND % 'send("STATUS=a\\x1b[31m\\tb"); stay()', settings="ready notify\n")
        with supervise(service):
            text = wait_for(lambda: supervised(service) and details(service).text, "the text")
        assert all(byte >= " " for byte in text)

    def test_status_is_forgotten_at_the_end(self, service):
        lay(service, "systemd-notify --ready --status=here; exec sleep 1000", settings="ready notify\n")
        with supervise(service):
            wait_for(lambda: supervised(service) and details(service).text == "here", "the text")
            svc("-d", service)
            wait_for(lambda: details(service).state == "down", "down")
            assert details(service).text == ""

    def test_a_barrier_is_answered(self, service):
        lay(service, "systemd-notify --ready && touch answered; exec sleep 1000", settings="ready notify\n")
        with supervise(service):
            wait_for(lambda: (service / "answered").exists(), "the answer", 10)


class TestMainProcess:
    @pytest.mark.parametrize("program", ["init", "svscan", "supervise"])
    def test_a_daemon_hands_over_to_its_heir(self, service, program):
        """The heir becomes a child of process 1, or of a supervisor that asks for it."""
        if program == "init" and os.geteuid() != 0:
            pytest.skip("needs a pid namespace")
        lay(service, """echo run >> out
sh -c 'echo $$ > heir; exec sleep 1000' & while ! test -s heir; do sleep 0.02; done
systemd-notify --ready MAINPID=$(cat heir); touch told""", settings="ready notify\n")
        with pid_namespace(BIN / "init", "-s", service.parent) if program == "init" else \
                supervisor(BIN / program, service if program == "supervise" else service.parent):
            wait_for(lambda: (service / "told").exists(), "the message")
            heir = int(lines(service / "heir")[0])
            wait_for(lambda: details(service).pid == heir, "the heir")
            time.sleep(1.2)
            assert details(service).pid == heir and lines(service / "out") == ["run"] and details(service).ready
            svc("-k", service)
            wait_for(lambda: lines(service / "out") == ["run", "run"], "a restart after the end of the heir")

    def test_one_that_its_parent_reaps_is_not_lost(self, service):
        """Nobody but its parent can wait for it, so that the process that was started is still the main one."""
        lay(service, "echo run >> out; sleep 0.5 & systemd-notify --ready MAINPID=$!; wait; touch over; "
            "exec sleep 1000", settings="ready notify\n")
        with supervise(service):
            wait_for(lambda: (service / "over").exists(), "the end of the child")
            pid = wait_run(service)
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda: lines(service / "out") == ["run", "run"], "a restart")

    def test_a_stranger_is_no_main_process(self, service):
        with subprocess.Popen(["sleep", "1000"]) as stranger:
            lay(service, f"systemd-notify --ready MAINPID={stranger.pid}; exec sleep 1000", settings="ready notify\n")
            with supervise(service):
                wait_ready(service)
                pid = wait_run(service)
                assert pid != stranger.pid
                svc("-k", service)
                wait_up(service, pid)
            assert stranger.poll() is None
            stranger.kill()


class TestWatchdog:
    def test_silence_is_answered_with_abort(self, service):
        lay(service, "trap 'echo ABRT >> out; exit 1' ABRT; systemd-notify --ready; sleep 1000 & wait",
            settings="ready notify\nwatchdog 700ms\n")
        with supervise(service) as process:
            wait_for(lambda: lines(service / "out"), "the signal")
            wait_for(lambda: "no sign of life" in "".join(messages(process)), "the message")

    def test_pings_keep_it_alive(self, service):
        lay(service, SEND % """
assert os.environ["WATCHDOG_USEC"] == "1000000"
assert os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
send("READY=1")
while True:
    send("WATCHDOG=1"); time.sleep(0.2)""", settings="ready notify\nwatchdog 1s\n")
        with supervise(service):
            wait_ready(service)
            pid = wait_up(service)
            time.sleep(2.5)
            assert wait_up(service) == pid

    def test_pings_keep_one_alive_that_is_stopping(self, service):
        lay(service, SEND % """
send("READY=1"); send("STOPPING=1")
for _ in range(15):
    send("WATCHDOG=1"); time.sleep(0.2)
open("over", "w").close(); stay()""", settings="ready notify\nwatchdog 1s\n")
        with supervise(service):
            wait_for(lambda: (service / "over").exists(), "an end in peace", 6)

    def test_one_that_ignores_abort_is_killed(self, service):
        lay(service, "trap '' ABRT TERM; echo $$ >> out; while :; do sleep 0.1; done",
            settings="ready notify\nwatchdog 500ms\nstop-timeout 500ms\n")
        with supervise(service):
            wait_for(lambda: len(lines(service / "out")) >= 2, "a restart")

    def test_trigger(self, service):
        lay(service, "echo run >> out; systemd-notify --ready; systemd-notify WATCHDOG=trigger; exec sleep 1000",
            settings="ready notify\nwatchdog 1h\n")
        with supervise(service):
            wait_for(lambda: len(lines(service / "out")) >= 2, "a restart")


class TestTime:
    def test_more_time_to_start(self, service):
        lay(service, SEND % """
for _ in range(10):
    send("EXTEND_TIMEOUT_USEC=500000"); time.sleep(0.1)
send("READY=1"); stay()""", settings="ready notify\nready-timeout 400ms\n")
        with supervise(service):
            wait_ready(service)
            assert details(service).starts == 1

    def test_more_time_to_stop(self, service):
        lay(service, SEND % """
import signal
def stop(*_):
    for _ in range(10):
        send("EXTEND_TIMEOUT_USEC=500000"); time.sleep(0.1)
    open("stopped", "w").close(); os._exit(0)
signal.signal(signal.SIGTERM, stop); send("READY=1"); stay()""", settings="ready notify\nstop-timeout 400ms\n")
        with supervise(service):
            wait_ready(service)
            svc("-d", service)
            wait_for(lambda: details(service).state == "down", "down")
        assert (service / "stopped").exists()

    def test_it_must_be_repeated(self, service):
        lay(service, SEND % 'send("EXTEND_TIMEOUT_USEC=700000"); stay()',
            settings="ready notify\nready-timeout 300ms\n")
        with supervise(service):
            wait_for(lambda: supervised(service) and details(service).state == "failed", "failed")


class TestStrangers:
    def send(self, address, text, user=None):
        script = ("import socket, sys; socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)"
                  ".sendto(sys.argv[2].encode(), sys.argv[1].replace('@', '\\0', 1))")
        subprocess.run(["/usr/bin/python3", "-c", script, address, text], user=user, check=True)

    @pytest.mark.parametrize("user", [None, 65534])
    def test_they_are_not_heard(self, service, user):
        if user and os.geteuid():
            pytest.skip("needs root")
        lay(service, 'echo "$NOTIFY_SOCKET" > socket; exec sleep 1000', settings="ready notify\nfd-store 3\n")
        with supervise(service):
            wait_run(service)
            for text in "READY=1", "STATUS=mine", "STOPPING=1", "WATCHDOG=trigger":
                self.send(socket_of(service), text, user)
            time.sleep(0.3)
            found = details(service)
            assert (found.state, found.text, found.starts) == ("starting", "", 1)

    def test_a_flood_is_bounded(self, service):
        lay(service, SEND % """
open("socket", "w").write(os.environ["NOTIFY_SOCKET"])
for number in range(100000): send(f"STATUS={number}")
send("READY=1"); stay()""", settings="ready notify\n")
        other = lay(service.parent / "other", "exec sleep 1000")
        with supervise(service) as process:
            wait_run(other)
            socket_of(service)
            memory = resident(process.pid)
            for _ in range(5):
                before = boot_time()
                pid = wait_up(other)
                svc("-d", other)
                wait_for(lambda: details(other).state == "down", "an answer beside the flood")
                assert boot_time() - before < 2
                svc("-u", other)
                wait_up(other, pid)
            wait_for(lambda: details(service).ready, "the end of the flood", 60)
            assert details(service).text == "99999"
            assert resident(process.pid) < memory + 4000


def resident(pid):
    """KiB of memory."""
    return next(int(line.split()[1]) for line in lines(f"/proc/{pid}/status") if line.startswith("VmRSS"))
