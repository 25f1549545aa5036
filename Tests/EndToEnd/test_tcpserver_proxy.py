"""tcpserver behind proxies: the header of the PROXY protocol, whoever sends it and whenever it comes."""

import contextlib
import os
import re
import socket
import struct
import time

import pytest

from apus import BIN, environment, run
from sockets import FAST, compile_rules, connect, cpu_seconds, read_all, tcpserver, variables

V2 = b"\r\n\r\n\0\r\nQUIT\n"


def proxied(port, header, data=b"", pause_at=None, source="127.0.0.1"):
    with connect(port, source=source) as connection:
        if pause_at is not None:
            connection.sendall(header[:pause_at])
            time.sleep(0.05)
            header = header[pause_at:]
        # A server that did not like the first part may be gone by now.
        with contextlib.suppress(OSError):
            connection.sendall(header + data)
            connection.shutdown(socket.SHUT_WR)
        return read_all(connection)


def block(command, family, addresses):
    return V2 + bytes([0x20 | command, family]) + struct.pack(">H", len(addresses)) + addresses


FOUR = (socket.inet_aton("192.0.2.7") + socket.inet_aton("192.0.2.8")
        + struct.pack(">HH", 4711, 22))
SIX = (socket.inet_pton(socket.AF_INET6, "2001:db8::7")
       + socket.inet_pton(socket.AF_INET6, "2001:db8::8") + struct.pack(">HH", 4711, 22))


@pytest.mark.parametrize("options", [FAST, ("-v", "-R", "-H")], ids=["at-once", "by-copy"])
@pytest.mark.parametrize("header, client, server_end", [
    (b"PROXY TCP4 192.0.2.7 192.0.2.8 4711 22\r\n", b"192.0.2.7", b"192.0.2.8"),
    (b"PROXY TCP6 2001:db8::7 2001:db8::8 4711 22\r\n", b"2001:db8::7", b"2001:db8::8"),
    (block(1, 0x11, FOUR), b"192.0.2.7", b"192.0.2.8"),
    (block(1, 0x21, SIX + b"\x04\0\x01x"), b"2001:db8::7", b"2001:db8::8"),
], ids=["v1-ipv4", "v1-ipv6", "v2-ipv4", "v2-ipv6"])
def test_proxy_header(options, header, client, server_end):
    script = "env -0; cat"
    with tcpserver(*options, "--proxy", "10.0.0.0/8,127.0.0.1", child=("sh", "-c", script)) as server:
        for pause_at in (None, 1, 13, len(header) - 1):
            text = proxied(server.port, header, b"data", pause_at)
            assert text.endswith(b"\0data")
            found = variables(text[:-4])
            assert (found[b"TCPREMOTEIP"], found[b"TCPREMOTEPORT"]) == (client, b"4711")
            assert (found[b"TCPLOCALIP"], found[b"TCPLOCALPORT"]) == (server_end, b"22")
            assert found[b"TCPPROXYIP"] == b"127.0.0.1"
        shown = b"[%s]" % client if b":" in client else client
        log = server.wait_for_log(rb" ok ", 4)
        assert log.count(b":%s::4711\n" % shown) == 4
        assert len(re.findall(rb"pid \d+ from %s\n" % client, log)) == 4


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", block(0, 0, b""), block(1, 0x31, b"x" * 216)],
                         ids=["v1-unknown", "v2-local", "v2-unix"])
@pytest.mark.parametrize("pause_at", [None, 3])
def test_proxy_without_a_client(header, pause_at):
    with tcpserver(*FAST, "--proxy", "127.0.0.0/8", child=("sh", "-c", "env -0; cat"),
                   env=environment(TCPPROXYIP="192.0.2.1")) as server:
        text = proxied(server.port, header, b"data", pause_at)
        assert text.endswith(b"\0data")
        found = variables(text[:-4])
        assert found[b"TCPREMOTEIP"] == b"127.0.0.1" and b"TCPPROXYIP" not in found


def test_proxy_is_believed_only_where_trusted(tmp_path):
    compile_rules(tmp_path, b"192.0.2.7:allow\n127.0.0.9:allow\n:deny\n")
    header = b"PROXY TCP4 192.0.2.7 192.0.2.8 4711 22\r\n"
    with tcpserver(*FAST, "-x", "rules.cdb", "--proxy", "127.0.0.1", child=("cat",),
                   cwd=tmp_path) as server:
        assert proxied(server.port, header, b"x") == b"x"
        assert proxied(server.port, header, b"x", source="127.0.0.2") == b""
        assert proxied(server.port, header, b"x", source="127.0.0.9") == header + b"x"
        assert proxied(server.port, header.replace(b"2.7", b"2.6"), b"x") == b""


@pytest.mark.parametrize("text", [b"GET / HTTP/1.0\r\n\r\n", b"PROXY TCP4 1.2.3.4\r\n", b"PRO", b"",
                                  block(1, 0x11, FOUR)[:20], block(3, 0x11, FOUR)])
def test_proxy_header_missing(text):
    with tcpserver(*FAST, "--proxy", "127.0.0.1", child=("cat",)) as server:
        assert proxied(server.port, text) == b""
        server.wait_for_log(rb"status: 1/40\ntcpserver: warning: dropping connection, unable to read "
                            rb"PROXY header: protocol error\ntcpserver: status: 0/40\n")


def test_proxy_network_that_is_none():
    result = run(BIN / "tcpserver", "--proxy", "10.0.0.0/33", "127.0.0.1", "0", "true")
    assert (result.returncode, result.stderr) == (100, b"tcpserver: fatal: bad network 10.0.0.0/33\n")


# --- headers that come late ---------------------------------------------------------------------


def version1(client):
    return b"PROXY TCP4 %s 192.0.2.8 4711 22\r\n" % client


@contextlib.contextmanager
def connections(server, *headers):
    """Connections, all of them accepted before the first header is sent."""
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(connect(server.port)) for _ in headers]
        server.wait_for_log(rb"status: %d/" % len(headers))
        for connection, header in zip(opened, headers):
            connection.sendall(header)
        yield opened


HOLD = ("sh", "-c", "echo up; exec cat")


@pytest.mark.parametrize("options", [FAST, ("-v", "-R", "-H")], ids=["at-once", "by-copy"])
@pytest.mark.parametrize("variable, value", [("MAXCONNIP", "2"), ("MAXRATE", "2/3600")])
def test_limits_go_by_the_client_and_not_by_the_proxy(options, variable, value):
    env = environment(**{variable: value})
    headers = [version1(b"192.0.2.7")] * 3 + [version1(b"192.0.2.9")]
    with tcpserver(*options, "--proxy", "127.0.0.1", child=HOLD, env=env) as server:
        with connections(server, *headers) as opened:
            answers = [connection.recv(3) for connection in opened]
            assert sorted(answers[:3]) == [b"", b"up\n", b"up\n"] and answers[3] == b"up\n"
            server.wait_for_log(rb"deny \d+ .*:192.0.2.7::4711 %s:" % variable.encode())


@pytest.mark.parametrize("header", [version1(b"192.0.2.7"), block(1, 0x11, FOUR)], ids=["v1", "v2"])
def test_a_header_byte_by_byte(header):
    """Each byte wakes the server once, and the program reads what it is sent byte by byte."""
    with tcpserver(*FAST, "--proxy", "127.0.0.1", child=HOLD) as server:
        with connect(server.port) as connection:
            for byte in header:
                connection.sendall(bytes([byte]))
                time.sleep(0.001)
            assert connection.recv(3) == b"up\n"
            connection.sendall(b"x")
            assert connection.recv(1) == b"x"
        server.wait_for_log(rb":192.0.2.7::4711\n")


def test_silent_proxies_hold_up_nobody_and_count():
    with tcpserver(*FAST, "-c", "3", "--proxy", "127.0.0.1", child=HOLD) as server:
        with connect(server.port) as first, connect(server.port) as second:
            second.sendall(b"PROXY TCP4 192.0.2")
            server.wait_for_log(rb"status: 2/3")
            with connect(server.port, source="127.0.0.2") as other:
                assert other.recv(3) == b"up\n"
                fourth = connect(server.port, source="127.0.0.2")
                fourth.settimeout(0.3)
                with pytest.raises(TimeoutError):
                    fourth.recv(1)
                first.sendall(b"GET / HTTP/1.0\r\n")
                assert read_all(first) == b""
                fourth.settimeout(10)
                assert fourth.recv(3) == b"up\n"
                fourth.close()
            second.sendall(version1(b"192.0.2.7")[18:])
            assert second.recv(3) == b"up\n"
        server.wait_for_log(rb"status: 0/3\n", 2)


def test_a_header_that_never_comes_costs_no_time_and_ten_seconds():
    with tcpserver(*FAST, "--proxy", "127.0.0.1", child=HOLD) as server:
        with connect(server.port) as silent, connect(server.port) as started:
            silent.settimeout(30)
            started.settimeout(30)
            started.sendall(b"PROXY ")
            start = time.monotonic()
            assert read_all(silent) == read_all(started) == b""
            assert 9 < time.monotonic() - start
            assert cpu_seconds(server.process.pid) < 0.2
        server.wait_for_log(rb"unable to read PROXY header: timed out\n", 2)


def test_proxies_that_break_off_leave_nothing():
    with tcpserver(*FAST, "-b400", "-c1000", "--proxy", "127.0.0.1", child=HOLD) as server:
        before = os.listdir(f"/proc/{server.process.pid}/fd")
        for number in range(300):
            with connect(server.port) as connection:
                # The connection is reset and not closed.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.sendall(b"PROXY TCP4"[:number % 3])
        server.wait_for_log(rb"dropping connection, unable to read PROXY header", 300)
        server.wait_for_log(rb"status: 0/1000\n\Z")
        assert os.listdir(f"/proc/{server.process.pid}/fd") == before


def test_draining_waits_for_the_header():
    with tcpserver(*FAST, "--drain", "--proxy", "127.0.0.1", child=HOLD) as server:
        with connect(server.port) as connection:
            server.wait_for_log(rb"status: 1/40")
            server.process.terminate()
            connection.sendall(version1(b"192.0.2.7"))
            assert connection.recv(3) == b"up\n"
            assert server.process.poll() is None
        assert server.process.wait(10) == 0
