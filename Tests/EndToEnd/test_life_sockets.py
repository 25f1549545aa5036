"""What a service is given: sockets that outlive it, descriptors that it left, and variables."""

import os
import signal
import socket
import threading
import time

import pytest

from apus import BIN, environment, wait_for
from details import details
from services import lay, lines, messages, pid_of, supervised, supervisor, svc, wait_down, wait_up, write
from sockets import free_port

SERVER = """exec /usr/bin/python3 -c '
import os, signal, socket
assert os.environ["LISTEN_PID"] == str(os.getpid()), os.environ["LISTEN_PID"]
count = int(os.environ["LISTEN_FDS"])
open("given", "a").write(" ".join([str(count), os.environ["LISTEN_FDNAMES"]]) + chr(10))
server = socket.socket(fileno=3)
over = []
signal.signal(signal.SIGTERM, lambda *_: over.append(1))
server.settimeout(0.05)
while not over:
    try: connection, _ = server.accept()
    except OSError: continue
    connection.sendall(b"hello")
    connection.close()
'"""


@pytest.fixture
def service(tmp_path):
    return tmp_path / "service/s"


def supervise(service):
    return supervisor(BIN / "svscan", service.parent)


def process_time(pid):
    """Seconds of processor time."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ask(port):
    with socket.create_connection(("127.0.0.1", port), 20) as connection:
        return connection.recv(100)


# It ends when nobody has connected for a moment.
IDLER = SERVER.replace("except OSError: continue", "except OSError: over.append(1); continue")


class TestStartOnConnection:
    """A service with start-on-connection is started by the first that connects or sends."""

    @pytest.fixture
    def port(self, service):
        port = free_port()
        lay(service, SERVER, settings=f"listen tcp 127.0.0.1:{port}\nstart-on-connection\nrestart-delay 10ms\n")
        return port

    def awaiting(self, service):
        """Whether nobody has connected to it yet."""
        if not supervised(service):
            return False
        seen = details(service)
        return (seen.state, seen.reason) == ("blocked", "connection")

    def test_the_first_client_starts_it_and_is_served(self, service, port):
        with supervise(service) as process:
            wait_for(lambda: self.awaiting(service), "the listener")
            time.sleep(0.3)
            assert not lines(service / "given")
            assert [ask(port) for _ in range(3)] == [b"hello"] * 3
            wait_up(service)
            assert lines(service / "given") == ["1 unknown"]
            assert not messages(process)

    def test_by_supervise_alone(self, service, port):
        with supervisor(BIN / "supervise", service):
            wait_for(lambda: self.awaiting(service), "the listener")
            assert ask(port) == b"hello"

    def test_after_each_end_it_waits_again(self, service, port):
        lay(service, IDLER)
        with supervise(service) as process:
            for count in range(1, 6):
                wait_for(lambda: self.awaiting(service), "the listener")
                assert ask(port) == b"hello"
                wait_for(lambda: len(lines(service / "given")) == count, "the server")
            wait_for(lambda: self.awaiting(service), "the listener")
            assert not messages(process)

    def test_a_connection_that_is_not_taken_starts_it_again(self, service, port):
        lay(service, "echo >> tries; test $(wc -l < tries) -lt 4 && exit 1; " + SERVER)
        with supervise(service):
            wait_for(lambda: self.awaiting(service), "the listener")
            assert ask(port) == b"hello"
            assert len(lines(service / "tries")) == 4

    def test_a_crash_costs_no_client_and_wakes_nobody_for_nothing(self, service, port):
        with supervise(service):
            wait_for(lambda: self.awaiting(service), "the listener")
            assert ask(port) == b"hello"
            pid = wait_up(service)
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda: self.awaiting(service), "the listener")
            assert ask(port) == b"hello"
            wait_up(service, pid)

    def test_down_closes_and_up_listens_again(self, service, port):
        with supervise(service):
            wait_for(lambda: self.awaiting(service), "the listener")
            for _ in range(3):
                svc("-d", service)
                wait_for(lambda: details(service).state == "down", "the end")
                with pytest.raises(ConnectionRefusedError):
                    socket.create_connection(("127.0.0.1", port), 2).close()
                svc("-u", service)
                wait_for(lambda: self.awaiting(service), "the listener")
            assert ask(port) == b"hello"

    def test_those_that_need_it_do_not_wait_for_a_client(self, service, port):
        lay(service.parent / "web", f"echo > started; exec 3<> /dev/tcp/127.0.0.1/{port}; cat <&3 > said",
            interpreter="/bin/bash", settings=f"needs {service.name}\nrestart never\n")
        with supervise(service):
            wait_for(lambda: lines(service.parent / "web/said") == ["hello"] or
                     (service.parent / "web/said").exists() and (service.parent / "web/said").read_text() == "hello",
                     "the answer")

    def test_it_waits_for_what_it_needs_itself(self, service, port):
        lay(service, SERVER, settings=f"listen tcp 127.0.0.1:{port}\nstart-on-connection\nneeds db\n")
        lay(service.parent / "db", "while ! test -e go; do sleep 0.05; done; echo >&3; exec sleep 1000",
            settings="ready notification-fd 3\n")
        with supervise(service):
            wait_for(lambda: supervised(service) and details(service).state == "blocked", "the wait")
            assert details(service).reason != "connection"
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), 2).close()
            (service.parent / "db/go").touch()
            wait_for(lambda: self.awaiting(service), "the listener")
            assert ask(port) == b"hello"

    def test_datagrams_and_paths(self, service):
        place = service.parent.parent
        lay(service, "echo > started; exec sleep 1000",
            settings=f"listen unix {place}/stream\nlisten unix-datagram {place}/datagram\nstart-on-connection\n")
        with supervise(service):
            wait_for(lambda: self.awaiting(service), "the listener")
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
                client.sendto(b"x", str(place / "datagram"))
            wait_for(lambda: (service / "started").exists(), "the start")

    def test_a_port_in_use_is_said_and_tried_again(self, service, port):
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(("127.0.0.1", port))
            taken.listen()
            with supervise(service) as process:
                said = wait_for(lambda: messages(process), "the complaint")
                assert str(port) in said[0] and "address already used" in said[0] and len(said) == 1, said
                taken.close()
                wait_for(lambda: self.awaiting(service), "the listener")
                assert ask(port) == b"hello"

    def test_the_stop_does_not_wait_for_a_client(self, service, port):
        with supervise(service) as process:
            wait_for(lambda: self.awaiting(service), "the listener")
            process.terminate()
            assert process.wait(10) == 0

    def test_a_server_that_ignores_its_connections_wakes_nobody(self, service, port):
        lay(service, "exec sleep 1000")
        with supervise(service) as process:
            wait_for(lambda: self.awaiting(service), "the listener")
            with socket.create_connection(("127.0.0.1", port)):
                wait_up(service)
                before = process_time(process.pid)
                time.sleep(0.5)
                assert process_time(process.pid) - before < 0.1


class TestListening:
    def test_fifty_restarts_refuse_nobody(self, service):
        port = free_port()
        lay(service, SERVER, settings=f"listen tcp 127.0.0.1:{port}\nrestart-delay 10ms\n")
        answers, failures, over = [], [], threading.Event()

        def client():
            while not over.is_set():
                try:
                    answers.append(ask(port))
                except OSError as error:
                    failures.append(error)
        with supervise(service) as process:
            wait_for(lambda: lines(service / "given"), "the server")
            thread = threading.Thread(target=client)
            thread.start()
            try:
                for count in range(2, 52):
                    svc("-t", service)
                    wait_for(lambda: len(lines(service / "given")) >= count, "the next server")
            finally:
                over.set()
                thread.join(30)
            assert not failures and len(answers) > 50 and set(answers) == {b"hello"}
            assert not messages(process)

    def test_kinds_and_names(self, service):
        port = free_port()
        place = service.parent.parent
        lay(service, "env > env; ls -l /proc/self/fd > fds; exec sleep 1000", settings=f"""
listen tcp 127.0.0.1:{port} web
listen udp 127.0.0.1:{port}
listen unix {place}/stream admin
listen unix-datagram {place}/datagram
listen tcp [::1]:{port}
""")
        with supervise(service):
            wait_for(lambda: lines(service / "fds"), "the list")
            pid = wait_up(service)
            given = dict(line.split("=", 1) for line in lines(service / "env"))
            assert (given["LISTEN_PID"], given["LISTEN_FDS"]) == (str(pid), "5")
            assert given["LISTEN_FDNAMES"] == "web:unknown:admin:unknown:unknown"
            open_now = {line.split()[8] for line in lines(service / "fds")[1:] if "socket:" in line}
            assert open_now == {"3", "4", "5", "6", "7"}
            socket.create_connection(("::1", port)).close()
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(place / "stream"))

    def test_a_relative_path_is_refused(self, service):
        """Whose directory it is in, would depend on who reads it."""
        lay(service, settings="listen unix socket\n")
        with supervise(service) as process:
            wait_up(service)
            said = messages(process)
            assert len(said) == 1 and "settings:1: " in said[0] and "a path from /" in said[0]

    def test_finish_gets_none(self, service):
        lay(service, "exit 0", settings=f"listen tcp 127.0.0.1:{free_port()}\n",
            finish="#!/bin/sh\nenv > env; ls -l /proc/self/fd > fds\n")
        with supervise(service):
            wait_for(lambda: lines(service / "fds"), "finish")
            assert not [line for line in lines(service / "env") if line.startswith("LISTEN")]
            assert not [line for line in lines(service / "fds") if "socket:" in line]

    def test_a_port_in_use_is_said_and_tried_again(self, service):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            lay(service, SERVER, settings=f"listen tcp 127.0.0.1:{port}\n")
            with supervise(service) as process:
                said = wait_for(lambda: messages(process), "the complaint")
                assert str(port) in said[0] and "address already used" in said[0] and len(said) == 1, said
                taken.close()
                wait_for(lambda: lines(service / "given"), "the server")

    def test_nobody_listens_for_one_that_is_down(self, service):
        port = free_port()
        lay(service, SERVER, settings=f"listen tcp 127.0.0.1:{port}\n")
        with supervise(service):
            wait_for(lambda: lines(service / "given"), "the server")
            for _ in range(2):
                svc("-d", service)
                wait_down(service)
                with pytest.raises(ConnectionRefusedError):
                    socket.create_connection(("127.0.0.1", port), 2).close()
                svc("-u", service)
                wait_up(service)
                assert ask(port) == b"hello"

    @pytest.mark.parametrize("how", ["the line", "the file"])
    def test_a_socket_that_is_no_longer_wanted_is_closed(self, service, how):
        port = free_port()
        lay(service, settings=f"listen tcp 127.0.0.1:{port}\n")
        with supervise(service):
            pid = wait_up(service)
            socket.create_connection(("127.0.0.1", port)).close()
            if how == "the file":
                (service / "settings").unlink()
            else:
                write(service / "settings", "stop-timeout 1s\n")
            svc("-t", service)
            wait_up(service, pid)
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), 2).close()

    def test_what_the_supervisor_was_given_is_not_passed_on(self, service):
        lay(service, "env > env; exec sleep 1000", settings="stop-timeout 1s\n")
        lay(service.parent / "plain", "env > env; exec sleep 1000")
        given = {"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "x", "NOTIFY_SOCKET": "/nowhere"}
        with supervisor(BIN / "svscan", service.parent, env=environment(**given)):
            for name in "s", "plain":
                found = wait_for(lambda: lines(service.parent / name / "env"), "the variables")
                assert not [line for line in found if line.split("=")[0] in given], name


class TestStore:
    STORE = """exec /usr/bin/python3 -c '
import array, os, socket, time
def send(text, *fds):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.sendmsg([text.encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else [], 0,
              os.environ["NOTIFY_SOCKET"].replace("@", chr(0), 1))
given = int(os.environ.get("LISTEN_FDS", "0"))
open("given", "a").write(str(given) + " " + os.environ.get("LISTEN_FDNAMES", "-") + chr(10))
%s
'"""

    def test_they_come_back_after_a_restart(self, service):
        lay(service, self.STORE % """
if given:
    assert os.environ["LISTEN_PID"] == str(os.getpid())
    os.lseek(3, 0, 0)
    open("content", "w").write(os.read(3, 100).decode())
else:
    fd = os.open("file", os.O_RDWR | os.O_CREAT); os.write(fd, b"kept")
    send("FDSTORE=1\\nFDNAME=state", fd)
time.sleep(1000)""", settings="fd-store 4\n")
        with supervise(service):
            wait_for(lambda: lines(service / "given"), "the first")
            pid = wait_up(service)
            time.sleep(0.3)
            svc("-t", service)
            wait_up(service, pid)
            wait_for(lambda: lines(service / "content") == ["kept"], "the content")
        assert lines(service / "given") == ["0 -", "1 state"]

    def test_what_is_left_in_the_last_moment_is_kept(self, service):
        lay(service, self.STORE % """
if not given:
    for number in range(70): send("STATUS=" + str(number))
    send("FDSTORE=1", os.open("run", os.O_RDONLY))
    os._exit(1)
time.sleep(1000)""", settings="fd-store 4\n")
        with supervise(service):
            wait_for(lambda: len(lines(service / "given")) >= 2, "the second start")
        assert lines(service / "given")[:2] == ["0 -", "1 stored"]

    def test_the_limit_and_removal(self, service):
        lay(service, self.STORE % """
if not given:
    for name in "a", "b", "c", "d", "e":
        send("FDSTORE=1\\nFDNAME=" + name, os.open("run", os.O_RDONLY))
    send("FDSTOREREMOVE=1\\nFDNAME=b")
time.sleep(1000)""", settings="fd-store 3\n")
        with supervise(service):
            wait_for(lambda: lines(service / "given"), "the first")
            pid = wait_up(service)
            time.sleep(0.3)
            svc("-t", service)
            wait_up(service, pid)
            wait_for(lambda: len(lines(service / "given")) == 2, "the second")
        assert lines(service / "given")[1] == "2 a:c"

    def test_nothing_is_kept_without_leave(self, service):
        lay(service, self.STORE % 'send("READY=1\\nFDSTORE=1", os.open("run", os.O_RDONLY)); time.sleep(1000)',
            settings="ready notify\n")
        with supervise(service) as process:
            wait_for(lambda: supervised(service) and details(service).ready, "readiness")
            before = len(os.listdir(f"/proc/{process.pid}/fd"))
            pid = wait_up(service)
            svc("-t", service)
            wait_up(service, pid)
            wait_for(lambda: lines(service / "given") == ["0 -", "0 -"], "the second")
            assert len(os.listdir(f"/proc/{process.pid}/fd")) <= before

    def test_what_has_lost_its_other_end_is_not_kept(self, service):
        lay(service, self.STORE % """
if not given:
    for name in "polled", "kept": globals()[name] = os.pipe()
    send("FDSTORE=1\\nFDNAME=polled", polled[0])
    send("FDSTORE=1\\nFDNAME=kept\\nFDPOLL=0", kept[0])
    send("FDSTORE=1\\nFDNAME=file", os.open("run", os.O_RDONLY))
    os.write(kept[1], b"rest"); os._exit(1)
open("content", "w").write(os.read(3, 100).decode())
time.sleep(1000)""", settings="fd-store 4\n")
        with supervise(service):
            wait_for(lambda: lines(service / "content") == ["rest"], "the second start")
        assert lines(service / "given") == ["0 -", "2 kept:file"]

    def test_the_useless_make_room(self, service):
        lay(service, self.STORE % """
if not given:
    for number in range(50):
        pipe = os.pipe(); os.close(pipe[1]); send("FDSTORE=1\\nFDNAME=x", pipe[0]); os.close(pipe[0])
    send("FDSTORE=1\\nFDNAME=last", os.open("run", os.O_RDONLY)); os._exit(1)
time.sleep(1000)""", settings="fd-store 3\n")
        with supervise(service):
            wait_for(lambda: len(lines(service / "given")) == 2, "the second start")
        assert lines(service / "given") == ["0 -", "1 last"]

    @pytest.mark.parametrize("count", [32, 60, 200, 1100])
    def test_many_do_not_keep_it_from_starting(self, service, count):
        lay(service, self.STORE % f"""
if given == 30:
    fd = os.open("run", os.O_RDONLY)
    for number in range({count}): send("FDSTORE=1", fd)
    r, w = os.pipe(); send("BARRIER=1", w); os.close(w); os.read(r, 1)
    open("sent", "w").close()
time.sleep(1000)""", settings="fd-store 1024\n" + "".join(
            f"listen unix {service.parent.parent}/{number}\n" for number in range(30)))
        with supervise(service):
            wait_for(lambda: lines(service / "given"), "the first")
            pid = wait_up(service)
            wait_for(lambda: (service / "sent").exists(), "the last to be taken", 30)
            svc("-t", service)
            wait_up(service, pid)
            wait_for(lambda: len(lines(service / "given")) == 2, "the second", 5)
        assert int(lines(service / "given")[1].split()[0]) == 30 + min(count, 1024)


class TestEnvironment:
    def lay(self, service, **variables):
        lay(service, "env > env; exec sleep 1000", settings="environment env.d\n",
            **{f"env.d/{name}": value for name, value in variables.items()})

    def test_as_envdir(self, service):
        self.lay(service, HELLO="world\nmore\n", EMPTY="", BLANK="x \t\n", PATH="/only:/bin:/usr/bin")
        with supervise(service):
            found = wait_for(lambda: lines(service / "env"), "the variables")
        assert {"HELLO=world", "BLANK=x", "PATH=/only:/bin:/usr/bin"} <= set(found)
        assert not [line for line in found if line.startswith("EMPTY")]

    def test_a_change_counts_at_the_next_start(self, service):
        self.lay(service, A="1")
        with supervise(service):
            wait_for(lambda: "A=1" in lines(service / "env"), "the first")
            pid = wait_up(service)
            write(service / "env.d/A", "2")
            svc("-t", service)
            wait_up(service, pid)
            wait_for(lambda: "A=2" in lines(service / "env"), "the second")

    def test_one_that_is_missing_is_said(self, service):
        lay(service, settings="environment nowhere\n")
        with supervise(service) as process:
            said = wait_for(lambda: messages(process), "the complaint")
            assert "nowhere" in said[0], said
            (service / "nowhere").mkdir()
            wait_up(service)

    @pytest.mark.parametrize("kind", ["fifo", "directory", "huge", "link to /dev/zero", "dangling"])
    def test_odd_files_hang_nobody(self, service, kind):
        self.lay(service, A="1")
        odd = service / "env.d/ODD"
        if kind == "fifo":
            os.mkfifo(odd)
        elif kind == "directory":
            odd.mkdir()
        elif kind == "huge":
            odd.write_bytes(b"x" * 1_000_000)
        else:
            odd.symlink_to("/dev/zero" if "zero" in kind else "nowhere")
        other = lay(service.parent / "other")
        with supervise(service) as process:
            pid = wait_up(other)
            wait_for(lambda: messages(process) or pid_of(service), "a start or a complaint")
            svc("-d", other)
            wait_down(other)
            assert pid and process.poll() is None
