"""tcpserver as the release binary, with real connections over the loopback."""

import concurrent.futures
import contextlib
import itertools
import os
import pathlib
import re
import resource
import signal
import socket
import struct
import subprocess
import threading
import time

import dns
import pytest
from apus import BIN, environment, run, wait_for
from network import private_network
from sockets import FAST, compile_rules, connect, cpu_seconds, read_all, talk, tcpserver, variables

def status_field(pid, name):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return re.search(rf"^{name}:\s*(.*)$", text, re.M).group(1)


# --- addresses ----------------------------------------------------------------------------------


@pytest.mark.parametrize("host, to, remote, protocol", [
    ("::1", "::1", b"::1", b"TCP6"),
    ("[::1]", "::1", b"::1", b"TCP6"),
    ("::", "::1", b"::1", b"TCP6"),
    ("::", "127.0.0.1", b"127.0.0.1", b"TCP"),
    ("::ffff:127.0.0.1", "127.0.0.1", b"127.0.0.1", b"TCP"),
    ("localhost", "127.0.0.1", b"127.0.0.1", b"TCP"),
])
def test_address_families(host, to, remote, protocol):
    with tcpserver(*FAST, host=host, child=("env", "-0")) as server:
        text, port = talk(server.port, host=to)
        found = variables(text)
        assert found[b"PROTO"] == protocol
        assert found[b"TCPREMOTEIP"] == found[b"TCPLOCALIP"] == remote
        assert found[b"TCPREMOTEPORT"] == b"%d" % port
        log = server.wait_for_log(rb"end \d+ status 0")
        shown = b"[%s]" % remote if b":" in remote else remote
        assert b" 0:%s:%d :%s::%d\n" % (shown, server.port, shown, port) in log
        assert re.search(rb"pid \d+ from %s\n" % remote, log)


def test_ipv6_rules(tmp_path):
    compile_rules(tmp_path, b"[::1]:deny\n[::]/0:allow\n127.0.0.0/30:allow,A=\"x\"\n:deny\n")
    with tcpserver(*FAST, "-x", "rules.cdb", host="::", child=("env", "-0"),
                   cwd=tmp_path) as server:
        assert talk(server.port, host="::1")[0] == b""
        server.wait_for_log(rb"deny \d+ 0:\[::1\]")
        assert variables(talk(server.port, host="127.0.0.1", source="127.0.0.3")[0])[b"A"] == b"x"
        assert talk(server.port, host="127.0.0.1", source="127.0.0.4")[0] == b""


# --- limits -------------------------------------------------------------------------------------


def test_next_connection_waits_while_the_limit_is_open():
    with tcpserver(*FAST, "-c", "2", child=("sh", "-c", "echo up; exec cat")) as server:
        with connect(server.port) as first, connect(server.port) as second:
            assert first.recv(3) == second.recv(3) == b"up\n"
            third = connect(server.port)
            third.settimeout(0.3)
            with pytest.raises(TimeoutError):
                third.recv(1)
            assert b"status: 3/2" not in server.log
            first.shutdown(socket.SHUT_WR)
            third.settimeout(10)
            assert third.recv(3) == b"up\n"
            third.close()
        server.wait_for_log(rb"status: 0/2\n", 2)


def test_log_lines_come_before_what_the_program_says():
    with tcpserver(*FAST, child=("sh", "-c", "echo first word $$ >&2")) as server:
        for _ in range(20):
            talk(server.port)
        log = server.wait_for_log(rb"end \d+ status 0\n", 20)
    pids = re.findall(rb"pid (\d+) from", log)
    assert len(pids) == 20
    for pid in pids:
        words = [rb"pid %s from" % pid, rb"ok %s " % pid, rb"first word %s\n" % pid,
                 rb"end %s status" % pid]
        places = [match.start() for word in words for match in re.finditer(word, log)]
        assert len(places) == 4 and places == sorted(places), log.decode()


@pytest.mark.parametrize("limit", [1, 5, 40])
def test_numbers_of_programs_in_a_flood(limit):
    """Everybody is served, the programs that ended are reaped meanwhile, and each status line differs
    from the one before by one, up after a connection, down after an end."""
    with tcpserver(*FAST, "-c", str(limit), child=("echo", "in")) as server:
        def flood(_):
            return [talk(server.port)[0] for _ in range(50)]

        with concurrent.futures.ThreadPoolExecutor(8) as clients:
            assert sum(clients.map(flood, range(8)), []) == [b"in\n"] * 400
        server.wait_for_log(rb"end", 400)
        log = server.wait_for_log(rb"status: 0/%d\n\Z" % limit)
    counts = [int(count) for count in re.findall(rb"status: (\d+)/%d\n" % limit, log)]
    assert len(counts) == 801 and counts[-1] == 0 and max(counts) <= limit
    assert all(abs(after - before) == 1 for before, after in zip(counts, counts[1:]))


# --- signals and the end ------------------------------------------------------------------------


@pytest.mark.parametrize("options", [FAST, ("-v", "-R", "-H"), ("-v", "-H", "-l0", "-t1")],
                         ids=["at-once", "by-copy", "by-copy-ident"])
def test_term_ends_it_and_leaves_the_programs(options):
    with tcpserver(*options, child=("sh", "-c", "echo up; exec cat")) as server:
        with connect(server.port) as connection:
            assert connection.recv(3) == b"up\n"
            assert server.stop() == 0
            connection.sendall(b"still here\n")
            assert connection.recv(100) == b"still here\n"
        with pytest.raises(ConnectionRefusedError):
            connect(server.port)


def test_term_ends_it_even_when_the_log_is_stuck():
    """A logger that does not read must not keep the server from being stopped."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, b"x" * 4096)
    os.set_blocking(writer, True)
    process = subprocess.Popen([BIN / "tcpserver", "-v", "-RHl0", "127.0.0.1", "0", "true"],
                               stderr=writer, env=environment())
    os.close(writer)
    stack = pathlib.Path(f"/proc/{process.pid}/wchan")
    wait_for(lambda: "pipe" in stack.read_text(), "the write to block")
    process.terminate()
    assert process.wait(10) == 0
    os.close(reader)


@pytest.mark.parametrize("options", [FAST, ("-v", "-R", "-H")], ids=["at-once", "by-copy"])
def test_program_gets_signals_and_descriptors_as_tcpserver_had_them(options):
    block = ("/usr/bin/python3", "-c",
             "import os, signal, sys; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1]);"
             "signal.signal(signal.SIGPIPE, signal.SIG_DFL); os.execvp(sys.argv[1], sys.argv[1:])")
    child = ("grep", "-E", "Sig(Blk|Ign|Cgt)", "/proc/self/status")
    with tcpserver(*options, child=child, before=block) as server:
        assert talk(server.port)[0] == run(*block, *child).stdout
    with tcpserver(*options, child=("ls", "/proc/self/fd")) as server:
        # The last one is what ls itself opens.
        assert talk(server.port)[0].split() == [b"0", b"1", b"2", b"3"]


def test_closed_standard_descriptors():
    """Neither the listening socket nor a connection becomes standard error by accident."""
    with tcpserver("-RHl0", child=("sh", "-c", "echo oops >&2; echo fine"),
                   before=("sh", "-c", 'exec "$@" 0<&- 2>&-', "sh")) as server:
        assert talk(server.port)[0] == b"fine\n"


def test_sigchld_ignored_by_the_parent():
    ignore = ("/usr/bin/python3", "-c",
              "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN);"
              "os.execvp(sys.argv[1], sys.argv[1:])")
    with tcpserver(*FAST, "-c1", child=("sh", "-c", "exit 7"), before=ignore) as server:
        talk(server.port)
        talk(server.port)
        server.wait_for_log(rb"end \d+ status 1792\n", 2)


# --- trouble ------------------------------------------------------------------------------------


def test_rules_apply_to_the_next_connection(tmp_path):
    compile_rules(tmp_path, b":allow\n")
    with tcpserver(*FAST, "-x", "rules.cdb", child=("echo", "in"), cwd=tmp_path) as server:
        for text, seen in [(b":deny\n", b""), (b"127.:allow\n", b"in\n"), (b"127.:deny\n", b"")]:
            compile_rules(tmp_path, text)
            assert talk(server.port)[0] == seen


@pytest.mark.parametrize("options", [FAST, ("-v", "-R", "-H")], ids=["at-once", "by-copy"])
def test_damaged_rules_let_nobody_in(tmp_path, options):
    compile_rules(tmp_path, b"127.0.0.9:deny\n:allow\n")
    rules = tmp_path / "rules.cdb"
    whole = rules.read_bytes()
    damaged = [b"", b"x" * 100, bytes(len(whole)), whole[:-1], whole[:2048], whole[:2060],
               whole[:2047], b"\xff" * len(whole), whole.replace(b"127.0.0.9", b"127.0.0.8"),
               whole + b"x"]
    with tcpserver(*options, "-x", "rules.cdb", child=("echo", "in"), cwd=tmp_path) as server:
        for text in damaged:
            rules.write_bytes(text)
            # Whomever it is about: all of a file is looked at before it is used.
            assert talk(server.port, source="127.0.0.9")[0] == b""
        log = server.wait_for_log(rb"end \d+ status 28416\n", len(damaged))
        assert len(re.findall(rb"dropping connection, unable to read rules.cdb: protocol error\n",
                              log)) == len(damaged)
        rules.write_bytes(whole)
        assert talk(server.port)[0] == b"in\n"
        rules.unlink()
        assert talk(server.port)[0] == b""
        server.wait_for_log(rb"unable to read rules.cdb: file does not exist\n")


def inject(*faults):
    """A prefix that makes system calls of the server fail: `CALL:error=E:when=N`."""
    return ("strace", "-qq", "-o", "/dev/null", "-e", "signal=none",
            *(word for fault in faults for word in ("-e", "inject=" + fault)))


@pytest.mark.parametrize("errno, text", [
    ("EMFILE", b"process cannot open more files"), ("ENFILE", b"system cannot open more files"),
    ("ENOBUFS", b"out of buffer space"), ("ENOMEM", b"out of memory"),
    ("ENETDOWN", b"network down"), ("EPERM", b"permission denied"),
])
def test_accept_fails_for_a_while(errno, text):
    """Said once, tried again without spinning, and the connection that waited is served."""
    with tcpserver(*FAST, child=("echo", "in"),
                   before=inject(f"accept4:error={errno}:when=1..4")) as server:
        assert talk(server.port)[0] == b"in\n"
        warning = b"tcpserver: warning: unable to accept: %s\n" % text
        assert server.log.count(b"warning") == server.log.count(warning) == 1


@pytest.mark.parametrize("errno, text", [
    ("ECONNABORTED", b"connection aborted"), ("EPROTO", b"protocol error")])
def test_connection_is_gone_when_it_is_accepted(errno, text):
    """Each one is said, and the next is served."""
    with tcpserver(*FAST, child=("echo", "in"),
                   before=inject(f"accept4:error={errno}:when=1..4")) as server:
        assert talk(server.port)[0] == b"in\n"
        warning = b"tcpserver: warning: dropping connection, unable to accept: %s\n" % text
        assert server.log.count(b"warning") == server.log.count(warning) == 4


def test_accept_is_interrupted():
    with tcpserver(*FAST, child=("echo", "in"),
                   before=inject("accept4:error=EINTR:when=1..4")) as server:
        assert talk(server.port)[0] == b"in\n"
        assert b"warning" not in server.log


def test_accept_fails_for_good():
    with tcpserver(*FAST, child=("echo", "in"),
                   before=inject("accept4:error=EBADF:when=2+")) as server:
        with contextlib.suppress(ConnectionError):
            talk(server.port)
        assert server.process.wait(10) == 111
        server.wait_for_log(rb"fatal: unable to accept: file descriptor not open\n")


def test_no_descriptor_left():
    """With nothing allowed it neither ends nor spins, and goes on when it may."""
    with tcpserver(*FAST, child=("echo", "in")) as server:
        assert talk(server.port)[0] == b"in\n"
        used = len(os.listdir(f"/proc/{server.process.pid}/fd"))
        _, hard = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (0, hard))
        with connect(server.port) as waiting:
            server.wait_for_log(rb"warning: unable to accept: process cannot open more files\n")
            before = cpu_seconds(server.process.pid)
            time.sleep(1)
            assert cpu_seconds(server.process.pid) - before < 0.2
            assert server.log.count(b"unable to accept") == 1
            resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (1024, hard))
            assert read_all(waiting) == b"in\n"
        assert len(os.listdir(f"/proc/{server.process.pid}/fd")) == used


@pytest.mark.parametrize("options, call", [(FAST, "clone"), (("-v", "-R", "-H"), "fork")],
                         ids=["at-once", "by-copy"])
def test_fork_fails(options, call):
    with tcpserver(*options, child=("echo", "in"),
                   before=inject(f"{call}:error=EAGAIN:when=2..3")) as server:
        for number, seen in enumerate([b"in\n", b"", b"", b"in\n"]):
            assert talk(server.port)[0] == seen
            server.wait_for_log(rb"status: 0/40\n", number + 2)
        assert server.log.count(
            b"tcpserver: status: 1/40\ntcpserver: warning: dropping connection, "
            b"unable to fork: temporary failure\ntcpserver: status: 0/40\n") == 2


def test_user_may_have_no_process():
    with tcpserver(*FAST, "-u", "54321", child=("echo", "in"),
                   before=("prlimit", "--nproc=1:1")) as server:
        assert talk(server.port)[0] == b""
        server.wait_for_log(rb"unable to fork: temporary failure\n")
        assert server.stop() == 0


def own_memory(pid):
    """In KiB, without what is mapped from files, whose pages come in whenever they are needed."""
    return int(status_field(pid, "RssAnon").split()[0])


def test_ten_thousand_resets():
    """Connections that are reset at once are each accounted for, and leave nothing behind."""
    with tcpserver(*FAST, "-c", "100", "-b", "1000", child=("true",)) as server:
        made = itertools.count(1)

        def batch(count):
            for _ in range(count):
                # A backlog that is full loses connections, which are then nobody's to account for.
                number = next(made)
                if number % 50 == 0:
                    wait_for(lambda: server.log.count(b" end ") > number - 500, "the server to keep up", 120)
                connection = connect(server.port)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.close()
        batch(500)
        size = own_memory(server.process.pid)
        threads = [threading.Thread(target=batch, args=(2375,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wait_for(lambda: server.log.count(b" end ") == 10000, "the end of 10000", 180)
        # Sixteen children at a time may use memory of their parent's, here perhaps for the first time.
        assert own_memory(server.process.pid) <= size + 16 * 16
        assert len(os.listdir(f"/proc/{server.process.pid}/fd")) <= 4
        assert talk(server.port)[0] == b""


def test_identity():
    with tcpserver(*FAST, "-u", "4321", "-g", "8765", child=("id",)) as server:
        text = talk(server.port)[0]
        assert text == b"uid=4321 gid=8765 groups=8765\n"
        assert status_field(server.process.pid, "Uid").split() == ["4321"] * 4
    env = environment(UID="1111", GID="2222")
    with tcpserver(*FAST, "-U", child=("id",), env=env) as server:
        assert talk(server.port)[0] == b"uid=1111 gid=2222 groups=2222\n"
    with tcpserver(*FAST, "-U", "-u", "7", child=("id", "-u"), env=env) as server:
        assert talk(server.port)[0] == b"7\n"


# --- look-ups -----------------------------------------------------------------------------------


def test_names_of_the_loopback():
    """127.0.0.1 is localhost by /etc/hosts; the name is checked backwards when paranoid."""
    for options in (("-v", "-R"), ("-v", "-R", "-p")):
        with tcpserver(*options, child=("env", "-0")) as server:
            found = variables(talk(server.port)[0])
            assert found[b"TCPREMOTEHOST"] == found[b"TCPLOCALHOST"] == b"localhost"
            assert re.search(rb"ok \d+ localhost:127.0.0.1:\d+ localhost:127.0.0.1::\d+\n",
                             server.log)


def test_slow_name_server_holds_up_its_own_client_only():
    asked = threading.Event()

    def silence(server, query, is_tcp):
        asked.set()

    zone = {("2.0.0.127.in-addr.arpa", "PTR"): silence,
            ("3.0.0.127.in-addr.arpa", "PTR"): ["Quick.Example"]}
    with private_network(hosts="\n", timeout=60), dns.Server(zone).running():
        with tcpserver("-v", "-R", "-l0", child=("env", "-0")) as server:
            with connect(server.port, source="127.0.0.2") as slow:
                assert asked.wait(10)
                for _ in range(10):
                    found = variables(talk(server.port, source="127.0.0.3")[0])
                    assert found[b"TCPREMOTEHOST"] == b"quick.example"
                assert server.log.count(b" ok ") == 10
                slow.close()


class IdentServer:
    """Answers on port 113 of a loopback address of its own."""

    def __init__(self, address, answer):
        self.questions = []
        self._answer = answer
        self._socket = socket.create_server((address, 113))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, self.peer = self._socket.accept()
                with connection:
                    self.questions.append(connection.recv(100))
                    if self._answer is None:
                        connection.recv(1)
                    else:
                        connection.sendall(self._answer)

    def close(self):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


@pytest.mark.parametrize("number, answer, info", [
    (1, b"1 , 2 : USERID : UNIX :joe\r\n", b"joe"),
    (2, b"1,2:USERID:UNIX:a b\tc:d\r\n", b"abc:d"),
    (3, b"1,2:ERROR:NO-USER\r\n", b""),
    (4, b"\n", b""),
    (5, b"1,2:USERID:UNIX:unfinished", None),
    (6, b"", None),
    (7, b"1,2:USERID:UNIX:" + b"x" * 300 + b"\r\n", b"x" * 257),
])
def test_ident(number, answer, info):
    address = f"127.0.113.{number}"
    ident = IdentServer(address, answer)
    try:
        with tcpserver("-v", "-H", "-l0", host="127.0.112.1", child=("env", "-0")) as server:
            text, port = talk(server.port, host="127.0.112.1", source=address)
            assert variables(text).get(b"TCPREMOTEINFO") == info
            assert ident.questions == [b"%d , %d\r\n" % (port, server.port)]
            assert ident.peer[0] == "127.0.112.1"
    finally:
        ident.close()


def test_ident_takes_its_time_only():
    """One that never answers costs the timeout, in its own connection and in no other."""
    ident = IdentServer("127.0.113.99", None)
    try:
        with tcpserver("-v", "-H", "-l0", "-t", "4", child=("echo", "in")) as server:
            start = time.monotonic()
            with connect(server.port, source="127.0.113.99") as slow:
                assert talk(server.port)[0] == b"in\n"
                assert server.log.count(b" ok ") == 1
                # The default would be longer than this connection waits.
                assert read_all(slow) == b"in\n"
            assert time.monotonic() - start > 3.9
    finally:
        ident.close()


def test_ident_rules(tmp_path):
    compile_rules(tmp_path, b"joe@127.0.113.50:deny\n:allow\n")
    ident = IdentServer("127.0.113.50", b"1,2:USERID:UNIX:joe\r\n")
    try:
        with tcpserver("-v", "-H", "-l0", "-x", "rules.cdb", child=("echo", "in"),
                       cwd=tmp_path) as server:
            assert talk(server.port, source="127.0.113.50")[0] == b""
            assert re.search(rb"deny \d+ 0:127.0.0.1:\d+ :127.0.113.50:joe:\d+\n", server.log)
            assert talk(server.port, source="127.0.113.51")[0] == b"in\n"
    finally:
        ident.close()


# --- the limits patch ---------------------------------------------------------------------------


def held(server, count, source):
    connections = [connect(server.port, source=source) for _ in range(count)]
    for connection in connections:
        assert connection.recv(3) == b"up\n"
    return connections


HOLD = ("sh", "-c", "echo up; exec cat")


def at_once(action):
    """What `action` returns, not held for a second: not, at least, in one of several tries."""
    for _ in range(5):
        start = time.monotonic()
        result = action()
        if time.monotonic() - start < 0.9:
            return result
    raise AssertionError("held for a second each time")


def test_connections_per_address(tmp_path):
    compile_rules(tmp_path, b"127.0.9.:allow,MAXCONNIP=\"2\"\n:allow\n")
    with tcpserver(*FAST, "-x", "rules.cdb", child=HOLD, cwd=tmp_path) as server:
        first = held(server, 2, "127.0.9.1")
        start = time.monotonic()
        assert talk(server.port, source="127.0.9.1")[0] == b""
        assert time.monotonic() - start > 0.9
        assert re.search(rb"deny \d+ 0:127.0.0.1:\d+ :127.0.9.1::\d+ MAXCONNIP:2\n", server.log)
        other = held(server, 1, "127.0.9.2") + held(server, 3, "127.0.8.1")
        server.wait_for_log(rb"end \d+ status 25600\n")
        first.pop().close()
        server.wait_for_log(rb"end \d+ status 0\n")
        first += held(server, 1, "127.0.9.1")
        for connection in first + other:
            connection.close()


def test_connections_per_network_and_messages():
    env = environment(MAXCONNC="2", DIEMSG="go away", DIEMSG_MAXCONNC="network full")
    with tcpserver(*FAST, child=HOLD, env=env) as server:
        open_ones = held(server, 1, "127.0.9.1") + held(server, 1, "127.0.9.2")
        assert talk(server.port, source="127.0.9.3")[0] == b"network full\r\n"
        server.wait_for_log(rb"deny \d+ .* MAXCONNC:2\n")
        open_ones += held(server, 2, "127.0.8.1")
        for connection in open_ones:
            connection.close()


def test_message_for_a_denied_address(tmp_path):
    compile_rules(tmp_path, b"127.0.9.1:deny,DIEMSG=\"451 not you\"\n:deny\n")
    with tcpserver(*FAST, "-x", "rules.cdb", child=HOLD, cwd=tmp_path) as server:
        assert talk(server.port, source="127.0.9.1")[0] == b"451 not you\r\n"
        assert at_once(lambda: talk(server.port, source="127.0.9.2")[0]) == b""
        server.wait_for_log(rb"end \d+ status 25600\n", 2)


@pytest.mark.parametrize("options", [FAST, ("-v", "-R", "-H")], ids=["at-once", "by-copy"])
def test_rate(tmp_path, options):
    """A burst is let in, then the client is told at once, and others are not concerned."""
    compile_rules(tmp_path, b"127.0.9.:allow,MAXRATE=\"3/3600/24\",DIEMSG_MAXRATE=\"later\"\n:allow\n")
    with tcpserver(*options, "-x", "rules.cdb", child=("echo", "in"), cwd=tmp_path) as server:
        for number in range(3):
            assert talk(server.port, source=f"127.0.9.{number + 1}")[0] == b"in\n"
        for number in range(3):
            assert at_once(lambda: talk(server.port, source=f"127.0.9.{number + 1}")[0]) == b"later\r\n"
        server.wait_for_log(rb"deny \d+ .*:127.0.9.1::\d+ MAXRATE:3/3600\n")
        for _ in range(5):
            assert talk(server.port)[0] == b"in\n"


def test_connections_per_prefix():
    env = environment(MAXCONN4="2/16,1/32", MAXCONN6="0")
    with tcpserver(*FAST, host="::", child=HOLD, env=env) as server:
        first = held(server, 1, "127.0.9.1")
        assert talk(server.port, source="127.0.9.1")[0] == b""
        server.wait_for_log(rb"end \d+ status 25600\n")
        first += held(server, 1, "127.0.8.1")
        assert talk(server.port, source="127.0.7.1")[0] == b""
        first += held(server, 1, "127.1.7.1")
        assert talk(server.port, host="::1")[0] == b""
        log = server.wait_for_log(rb"deny", 3)
        assert re.findall(rb"MAXCONN\S+", log) == [b"MAXCONN4:1/32", b"MAXCONN4:2/16",
                                                   b"MAXCONN6:0/128"]
        for connection in first:
            connection.close()


def loaded():
    """A prefix by which sysinfo(2) tells of a load of two and a half, whatever the machine does."""
    poked = struct.pack("=QQ", 1, int(2.5 * 65536)).hex()
    return ("strace", "-f", *inject(f"sysinfo:poke_exit=@arg1={poked}")[1:])


@pytest.mark.parametrize("options", [FAST, ("-v", "-R", "-H")], ids=["at-once", "by-copy"])
def test_load(options):
    for limit, seen in [("249", b""), ("250", b"in\n"), ("0", b"in\n")]:
        with tcpserver(*options, child=("echo", "in"), env=environment(MAXLOAD=limit),
                       before=loaded()) as server:
            assert talk(server.port)[0] == seen
            denials = re.findall(rb"deny \d+ .* (\S+)\n", server.log)
            assert denials == ([] if seen else [b"MAXLOAD:250"])


@pytest.mark.parametrize("variable, low, high", [
    ("MAXLOAD", "249", "250"), ("MAXCONNIP", "0", "9"), ("MAXCONNC", "0", "9"),
    ("MAXCONN4", "0/8", "9/8"), ("MAXCONN6", "0/64", "9/64"), ("MAXRATE", "0", "9/1"),
])
def test_each_limit_by_rule_and_by_environment(tmp_path, variable, low, high):
    """The rule's word counts where there are both, and its message is given."""
    message = f"DIEMSG_{variable}"
    compile_rules(tmp_path, f"""
127.0.9.1:allow,{variable}="{low}",{message}="by rule"
127.0.9.2:allow,{variable}="{high}"
[2001:db8::1]:allow,{variable}="{low}",{message}="by rule"
[2001:db8::2]:allow,{variable}="{high}"
:allow
""".encode())
    prefix, other = ("2001:db8::", "2001:db8::3") if variable == "MAXCONN6" else ("127.0.9.", "127.0.9.3")
    for value, answers in [(low, [b"by rule\r\n", b"in\n", b"by environment\r\n"]),
                           (high, [b"by rule\r\n", b"in\n", b"in\n"])]:
        env = environment(**{variable: value, message: "by environment"})
        with tcpserver(*FAST, "-x", "rules.cdb", "--proxy", "127.0.0.1", child=("echo", "in"),
                       env=env, cwd=tmp_path, before=loaded() if variable == "MAXLOAD" else ()) as server:
            for source, answer in zip([prefix + "1", prefix + "2", other], answers):
                family = "TCP6" if ":" in source else "TCP4"
                header = f"PROXY {family} {source} {source} 1 2\r\n".encode()
                assert talk(server.port, header)[0] == answer, (variable, value, source)
            server.wait_for_log(rb" %s:" % variable.encode(), 3 - answers.count(b"in\n"))


def test_memory_does_not_grow(tmp_path):
    """Whoever connects, and however often: rules, limits and the rate have what they need at first."""
    compile_rules(tmp_path, b"127.9.:deny\n:allow,A=\"b\"\n")
    env = environment(MAXRATE="1000/1", MAXCONNC="100")
    with tcpserver(*FAST, "-x", "rules.cdb", child=("true",), env=env, cwd=tmp_path) as server:
        def connections(count):
            def flood(start):
                for number in range(start, count, 8):
                    talk(server.port, source=f"127.{number % 12}.{number // 250 % 250}.{number % 250 + 1}")
            with concurrent.futures.ThreadPoolExecutor(8) as clients:
                list(clients.map(flood, range(8)))
            wait_for(lambda: server.log.endswith(b"status: 0/40\n"), "the last end")
            return int(status_field(server.process.pid, "VmRSS").split()[0])

        first = connections(500)
        assert connections(4000) <= first + 40


def test_banner_to_a_client_that_reads_late():
    """A banner that does not fit the socket is finished by the copy, and delays nobody else."""
    banner = "b" * 120_000
    with tcpserver(*FAST, "-B", banner, child=("echo", "in")) as server:
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", server.port))
        assert talk(server.port)[0] == banner.encode() + b"in\n"
        assert read_all(slow) == banner.encode() + b"in\n"
        slow.close()


def test_no_descriptors_at_start():
    result = run("sh", "-c", "ulimit -n 3; exec tcpserver 127.0.0.1 0 cat")
    assert (result.returncode, result.stderr) == (
        111, b"tcpserver: fatal: unable to create socket: process cannot open more files\n")


# --- beyond ucspi-tcp ---------------------------------------------------------------------------


@pytest.mark.parametrize("options", [FAST, ("-v", "-R", "-H")], ids=["at-once", "by-copy"])
def test_drain(options):
    """TERM closes the port; the server ends when its programs have."""
    with tcpserver(*options, "--drain", child=HOLD) as server:
        first, second = held(server, 2, "127.0.0.1")
        server.process.terminate()
        server.wait_for_log(rb"status: 2/40\n")
        wait_for(lambda: refused(server.port), "the port to be closed")
        assert server.process.poll() is None
        first.close()
        server.wait_for_log(rb"status: 1/40\n", 2)
        second.sendall(b"still here")
        assert second.recv(100) == b"still here"
        second.close()
        assert server.process.wait(10) == 0
        server.wait_for_log(rb"status: 0/40\n", 2)


def refused(port):
    try:
        connect(port).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        # It was still waiting to be accepted when the port was closed.
        pass
    return False


def test_drain_ends_at_once_without_programs():
    with tcpserver(*FAST, "--drain", "-c1", child=("cat",)) as server:
        assert server.stop() == 0


def test_drain_is_noticed_under_load():
    stop = threading.Event()
    with tcpserver(*FAST, "--drain", "-c", "100", child=("true",)) as server:
        def load():
            while not stop.is_set():
                with contextlib.suppress(OSError):
                    talk(server.port)
        threads = [threading.Thread(target=load) for _ in range(8)]
        for thread in threads:
            thread.start()
        try:
            server.wait_for_log(rb"end", 100)
            assert server.stop() == 0
        finally:
            stop.set()
            for thread in threads:
                thread.join()


def test_programs_of_a_draining_server_can_be_told_to_end():
    with tcpserver(*FAST, "--drain", child=("sh", "-c", "echo $$; exec sleep 60")) as server:
        with connect(server.port) as connection:
            pid = int(connection.recv(20))
            os.kill(pid, signal.SIGTERM)
            assert read_all(connection) == b""
        server.wait_for_log(rb"end %d status 15\n" % pid)


def test_reuse_port():
    with tcpserver(*FAST, "--reuse-port", child=("echo", "one")) as first:
        with tcpserver(*FAST, "--reuse-port", port=first.port, child=("echo", "two")) as second:
            assert second.port == first.port
            wait_for(lambda: {talk(first.port)[0] for _ in range(20)} == {b"one\n", b"two\n"},
                     "both to be asked")
        assert {talk(first.port)[0] for _ in range(5)} == {b"one\n"}
        result = run(BIN / "tcpserver", "127.0.0.1", first.port, "true")
        assert result.stderr == b"tcpserver: fatal: unable to bind: address already used\n"


def test_defer_accept_and_fast_open():
    with tcpserver(*FAST, "--defer-accept", "5", "--fast-open", "10", child=("cat",)) as server:
        with connect(server.port) as silent, connect(server.port) as speaking:
            speaking.sendall(b"hello")
            assert speaking.recv(10) == b"hello"
            assert server.log.count(b" ok ") == 1
            silent.sendall(b"here")
            assert silent.recv(10) == b"here"
        with socket.socket() as fast:
            fast.sendto(b"at once", 0x20000000, ("127.0.0.1", server.port))  # MSG_FASTOPEN
            fast.settimeout(10)
            assert fast.recv(10) == b"at once"


# UNIX domain


def talk_unix(path, send=b""):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(path))
        with contextlib.suppress(BrokenPipeError):
            connection.sendall(send)
            connection.shutdown(socket.SHUT_WR)
        return read_all(connection)


def test_unix_socket(tmp_path):
    path = tmp_path / "socket"
    env = environment(TCPREMOTEIP="6.6.6.6", TCPREMOTEHOST="forged")
    with tcpserver(*FAST, host=str(path), child=("sh", "-c", "env -0; cat"), env=env) as server:
        text = talk_unix(path, b"data")
        assert text.endswith(b"\0data")
        found = variables(text[:-4])
        assert found[b"PROTO"] == b"UNIX"
        assert found[b"UNIXLOCALPATH"] == os.fsencode(path)
        assert found[b"UNIXREMOTEPID"] == b"%d" % os.getpid()
        assert found[b"UNIXREMOTEEUID"] == b"%d" % os.geteuid()
        assert found[b"UNIXREMOTEEGID"] == b"%d" % os.getegid()
        assert not [name for name in found if name.startswith(b"TCP")]
        log = server.wait_for_log(rb"end")
        assert re.search(rb"pid (\d+) from unix\ntcpserver: ok \1 0:%s:0 :unix:%d:%d\n" % (
            re.escape(os.fsencode(path)), os.geteuid(), os.getpid()), log)


def test_unix_socket_rules_and_limits(tmp_path):
    path = tmp_path / "socket"
    rule = f"{os.geteuid()}@unix:allow,MAXCONNIP=\"1\"\nunix:deny\n".encode()
    compile_rules(tmp_path, rule)
    with tcpserver("-v", "-x", "rules.cdb", host=str(path), child=HOLD, cwd=tmp_path) as server:
        with socket.socket(socket.AF_UNIX) as first:
            first.connect(str(path))
            assert first.recv(3) == b"up\n"
            assert talk_unix(path) == b""
            server.wait_for_log(rb"deny \d+ .* MAXCONNIP:1\n")
        compile_rules(tmp_path, b"unix:deny\n:allow\n")
        assert talk_unix(path) == b""


def test_unix_socket_left_over(tmp_path):
    """A socket that nobody listens on is replaced; one in use, or another file, is not."""
    path = tmp_path / "socket"
    with tcpserver(*FAST, host=str(path), child=("echo", "one")) as server:
        result = run(BIN / "tcpserver", path, "0", "true")
        assert (result.returncode, result.stderr) == (
            111, b"tcpserver: fatal: unable to bind: address already used\n")
        # The other one asked by connecting.
        server.wait_for_log(rb"end")
        server.stop(signal.SIGKILL)
    assert path.is_socket()
    with tcpserver(*FAST, host=str(path), child=("echo", "two")):
        assert talk_unix(path) == b"two\n"
    path.unlink()
    path.write_text("a file")
    assert run(BIN / "tcpserver", path, "0", "true").returncode == 111
    assert path.read_text() == "a file"
    long = run(BIN / "tcpserver", "/tmp/" + "x" * 200, "0", "true")
    assert long.stderr == b"tcpserver: fatal: unable to bind: invalid argument\n"


# Sockets passed in

PASS = """
import os, socket, sys
kind, count, name = sys.argv[1:4]
if kind == "tcp":
    passed = socket.create_server(("127.0.0.1", 0))
elif kind == "unix":
    passed = socket.socket(socket.AF_UNIX)
    passed.bind(name)
    passed.listen()
else:
    passed = open("/dev/null")
os.dup2(passed.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=count, LISTEN_FDNAMES="x", LISTEN_PIDFDID="1")
os.execv(sys.argv[4], sys.argv[4:])
"""


def passing(kind, name="", count=1):
    return ("/usr/bin/python3", "-c", PASS, kind, str(count), str(name))


def test_listen_fds(tmp_path):
    with tcpserver(*FAST, host="ignored.invalid", child=("env", "-0"),
                   before=passing("tcp")) as server:
        found = variables(talk(server.port)[0])
        assert found[b"TCPLOCALIP"] == b"127.0.0.1"
        assert found[b"TCPLOCALPORT"] == b"%d" % server.port
        assert not [name for name in found if name.startswith(b"LISTEN_")]
    path = tmp_path / "socket"
    with tcpserver(*FAST, child=("env", "-0"), before=passing("unix", path)):
        assert variables(talk_unix(path))[b"UNIXLOCALPATH"] == os.fsencode(path)
    with tcpserver(*FAST, child=("ls", "/proc/self/fd"), before=passing("tcp")) as server:
        assert talk(server.port)[0].split() == [b"0", b"1", b"2", b"3"]


def test_listen_fds_that_are_not_ours():
    with tcpserver(*FAST, child=("env", "-0"),
                   env=environment(LISTEN_PID="1", LISTEN_FDS="1")) as server:
        assert b"LISTEN_PID" not in variables(talk(server.port)[0])


@pytest.mark.parametrize("kind, count, text", [
    ("tcp", 2, b"unable to serve 2 sockets passed in"),
    ("file", 1, b"descriptor 3, passed in, is no listening socket"),
])
def test_listen_fds_unusable(kind, count, text):
    result = run(*passing(kind, count=count), BIN / "tcpserver", "127.0.0.1", "0", "true")
    assert (result.returncode, result.stderr) == (111, b"tcpserver: fatal: %s\n" % text)
