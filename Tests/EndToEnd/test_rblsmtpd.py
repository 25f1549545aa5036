"""rblsmtpd as people run it: under tcpserver, with lists from a name server, and a mail client."""

import contextlib
import re
import socket
import time

import pytest

import dns
from apus import environment, run
from network import private_network
from sockets import connect, read_all, talk, tcpserver

# A mail server that says who its client is and takes everything.
SMTPD = ("sh", "-c", r"printf '220 mail for %s\r\n' $TCPREMOTEIP; exec cat")
MAIL = b"HELO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nQUIT\r\n"


def entry(client, base):
    return ".".join(reversed(client.split("."))) + "." + base


ZONE = {
    (entry("127.0.0.2", "bad.example"), "TXT"): ["Listed, see http://bad.example/"],
    (entry("127.0.0.3", "worse.example"), "TXT"): [["two ", "strings\r\n"]],
    (entry("127.0.0.4", "bad.example"), "TXT"): ["Listed too"],
    (entry("127.0.0.4", "good.example"), "A"): ["127.0.0.2"],
    (entry("127.0.0.5", "addresses.example"), "A"): ["127.0.0.9"],
    (entry("127.0.0.6", "bad.example"), "TXT"): dns.SERVFAIL,
    (entry("127.0.0.7", "bad.example"), "TXT"): lambda *_: None,
    (entry("127.0.0.7", "good.example"), "A"): lambda *_: None,
}


@pytest.fixture(scope="module", autouse=True)
def name_server():
    with private_network(hosts="\n"), dns.Server(ZONE).running() as server:
        yield server


@contextlib.contextmanager
def mail_server(*options, rules=None, directory=None):
    """A tcpserver whose program is rblsmtpd with `options` in front of a mail server."""
    access = ()
    if rules is not None:
        result = run("tcprules", "rules.cdb", "rules.tmp", input=rules, cwd=directory)
        assert (result.returncode, result.stderr) == (0, b"")
        access = ("-x", "rules.cdb")
    with tcpserver("-v", "-R", "-H", "-l0", *access, child=("rblsmtpd", *options, *SMTPD),
                   cwd=directory) as server:
        yield server


def refused(server, client, line):
    """Whether the client is told `line` for its mail, and the log says so under the same process."""
    text, _ = talk(server.port, MAIL, source=client)
    assert text.split(b"\r\n") == [
        b"220 rblsmtpd.local", b"250 rblsmtpd.local", b"250 rblsmtpd.local", line, line,
        b"221 rblsmtpd.local", b""]
    address = re.escape(client.encode())
    server.wait_for_log(rb"ok (\d+) 0:127.0.0.1:\d+ :%s::\d+\n(.*\n)*rblsmtpd: %s pid \1: %s\n"
                        rb"(.*\n)*tcpserver: end \1 status 0\n" % (address, address, re.escape(line)))
    return True


def let_in(server, client):
    """Whether the mail server has the client, and every byte that it sends."""
    text, _ = talk(server.port, MAIL, source=client)
    assert text == b"220 mail for %s\r\n" % client.encode() + MAIL
    return True


def test_listed_and_not_listed():
    with mail_server("-r", "bad.example") as server:
        assert refused(server, "127.0.0.2", b"451 Listed, see http://bad.example/")
        assert let_in(server, "127.0.0.1")
        assert server.log.count(b"rblsmtpd:") == 1


def test_bouncing():
    with mail_server("-b", "-r", "bad.example") as server:
        assert refused(server, "127.0.0.2", b"553 Listed, see http://bad.example/")
        assert let_in(server, "127.0.0.3")


def test_several_lists(name_server):
    """Asked in the order in which they are given, until one knows the client."""
    with mail_server("-a", "good.example", "-r", "bad.example", "-b", "-r", "worse.example", "-r",
                     "addresses.example:%IP% is out") as server:
        assert refused(server, "127.0.0.2", b"451 Listed, see http://bad.example/")
        assert refused(server, "127.0.0.3", b"553 two strings??")
        assert let_in(server, "127.0.0.4")
        assert refused(server, "127.0.0.5", b"553 127.0.0.5 is out")
        assert let_in(server, "127.0.0.1")
    asked = [(name, kind) for name, kind, _ in name_server.queries if name.startswith("2.0.0.127.")]
    # A list that says something is asked whether it means it.
    assert asked[-3:] == [("2.0.0.127.good.example", "A"), ("2.0.0.127.bad.example", "TXT"),
                          ("2.0.0.127.bad.example", "A")]


def test_a_list_that_refuses_to_answer(name_server):
    """127.255.255.0/24 is no listing, nor is what somebody else than the list answers."""
    name_server.zone[(entry("127.0.0.10", "bad.example"), "TXT")] = ["Error: open resolver"]
    name_server.zone[(entry("127.0.0.10", "bad.example"), "A")] = ["127.255.255.254"]
    name_server.zone[(entry("127.0.0.10", "addresses.example"), "A")] = ["192.0.2.1"]
    with mail_server("-b", "-r", "bad.example", "-r", "addresses.example:listed") as server:
        assert let_in(server, "127.0.0.10")
    with mail_server("-c", "-r", "bad.example") as server:
        assert refused(server, "127.0.0.10", b"451 temporary RBL lookup error")


def test_a_rule_decides_before_the_lists(tmp_path, name_server):
    rules = (b"127.0.0.2:allow,RBLSMTPD=\"\"\n127.0.0.8:allow,RBLSMTPD=\"not now\"\n"
             b"127.0.0.9:allow,RBLSMTPD=\"-not ever\"\n127.0.0.10:deny\n:allow\n")
    with mail_server("-r", "bad.example", rules=rules, directory=tmp_path) as server:
        asked = len(name_server.queries)
        assert let_in(server, "127.0.0.2")
        assert refused(server, "127.0.0.8", b"451 not now")
        assert refused(server, "127.0.0.9", b"553 not ever")
        assert talk(server.port, MAIL, source="127.0.0.10")[0] == b""
        assert len(name_server.queries) == asked
        assert refused(server, "127.0.0.4", b"451 Listed too")


def test_a_list_that_cannot_be_asked():
    with mail_server("-r", "bad.example") as server:
        assert let_in(server, "127.0.0.6")
    with mail_server("-b", "-c", "-r", "bad.example") as server:
        assert refused(server, "127.0.0.6", b"451 temporary RBL lookup error")


def test_silence_of_the_name_server():
    """It is given 3, 11 and 45 seconds; who waits for that keeps nobody else waiting."""
    with mail_server("-r", "bad.example") as opened, \
            mail_server("-c", "-r", "bad.example") as closed:
        start = time.monotonic()
        with connect(opened.port, source="127.0.0.7") as first, \
                connect(closed.port, source="127.0.0.7") as second:
            for waiting in (first, second):
                waiting.settimeout(120)
                waiting.sendall(MAIL)
                waiting.shutdown(socket.SHUT_WR)
            assert let_in(opened, "127.0.0.1")
            assert refused(closed, "127.0.0.2", b"451 Listed, see http://bad.example/")
            assert time.monotonic() - start < 30
            assert read_all(first) == b"220 mail for 127.0.0.7\r\n" + MAIL
            assert b"\r\n451 temporary RBL lookup error\r\n" in read_all(second)
            assert 58 < time.monotonic() - start


def test_a_client_that_says_nothing():
    with mail_server("-t1", "-r", "bad.example") as server:
        with connect(server.port, source="127.0.0.2") as client:
            assert read_all(client) == b"220 rblsmtpd.local\r\n"
        server.wait_for_log(rb"end \d+ status 0\n")


def test_a_client_that_breaks_off():
    with mail_server("-r", "bad.example") as server:
        with connect(server.port, source="127.0.0.2") as client:
            assert client.recv(100) == b"220 rblsmtpd.local\r\n"
            client.sendall(b"HELO x\r\n" * 1000)
        # Either it saw the end, or it was told by SIGPIPE that nobody listens.
        server.wait_for_log(rb"end \d+ status (0|13)\n")
        assert refused(server, "127.0.0.4", b"451 Listed too")
