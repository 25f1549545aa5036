"""who@, date@, finger@, http@, tcpcat, mconnect and mconnect-io beside Debian's scripts: what the server
is sent, what the user is shown, how they end."""

import contextlib
import random
import shutil
import socket
import subprocess
import time

import pytest

import dns
from apus import BIN, run
from harness import Case, compare
from network import private_network, read_all, reset, tcp_server

RANDOM = random.Random(79)
ODD = bytes(range(256)) + b"\r\r\n\xff\r"
PAGES = {
    "plain": b"HTTP/1.0 200 OK\r\nType: x\r\n\r\nbody\r\n",
    "unix": b"HTTP/1.0 200 OK\nType: x\n\nbody\n",
    "empty-body": b"HTTP/1.0 200 OK\r\n\r\n",
    "no-body": b"HTTP/1.0 200 OK\r\n",
    "nothing": b"",
    "blank-lines": b"H\r\n\r\none\r\n\r\n\r\ntwo\r\n\r\n",
    "no-last-line-feed": b"H\r\n\r\none\r\ntwo",
    "starts-empty": b"\r\nbody\r\n",
    "cr-in-header": b"H\r\r\n\r\nbody\r\n",
    "cr-only-line": b"H\r\n\r\r\nnot yet\r\n\r\nbody\r\n",
    "cr-at-end": b"H\r\n\r\none\r",
    "binary": b"H\r\n\r\n" + bytes(range(1, 256)) * 3,
    "long-line": b"H\r\n\r\n" + b"x" * 300_000 + b"\r\n" + b"y" * 70_000,
    "random": b"H\r\n\r\n" + bytes(RANDOM.choice(b"ab\r\n") for _ in range(50_000)),
}


def finger(connection):
    """Sends back what it was asked, visibly, and a piece of text that is not fit for terminals."""
    question = connection.makefile("rb").readline()
    connection.sendall(b"asked: " + repr(question).encode() + b"\r\n" + ODD)


def web(connection):
    request = b""
    while not request.endswith(b"\r\n\r\n"):
        piece = connection.recv(4096)
        if not piece:
            return
        request += piece
    path = request.split(b" ")[1].decode("latin-1").lstrip("/")
    connection.sendall(PAGES.get(path, b"H\r\n\r\n" + repr(request).encode() + b"\r\n"))


def mail(connection):
    """Greets, says what it is told until QUIT, then goes."""
    connection.sendall(b"220 mail\r\n")
    for line in connection.makefile("rb"):
        connection.sendall(b"250 " + repr(line).encode() + b"\r\n")
        if line.lower().startswith(b"quit"):
            return


def slowly(connection):
    for piece in (b"one\r", b"\ntwo", b"\r\nthree\r"):
        connection.sendall(piece)
        time.sleep(0.1)


def cut_off(connection):
    connection.sendall(b"all there is\r\n")
    time.sleep(0.2)
    reset(connection)


def reset_when_asked(connection):
    connection.recv(4096)
    reset(connection)


@pytest.fixture(scope="module", autouse=True)
def network():
    zone = {("here.example", "A"): ["127.0.0.1"]}
    servers = {
        11: lambda connection: connection.sendall(b"root  tty1\r\njoe   \x1b[2Jtty2\r\n" + ODD),
        13: lambda connection: connection.sendall(b"Sat Nov 21 11:00:00 2026\r\n"),
        17: lambda connection: connection.sendall(ODD),
        19: lambda connection: connection.sendall(ODD * 3000),
        25: mail,
        79: finger,
        80: web,
        7100: slowly,
        7101: cut_off,
        7102: reset_when_asked,
        7103: lambda connection: None,
        7104: lambda connection: connection.sendall(repr(read_all(connection)).encode()),
        587: mail,
    }
    with private_network(hosts=""), contextlib.ExitStack() as stack:
        stack.enter_context(dns.Server(zone).running())
        for port, serve in servers.items():
            stack.enter_context(tcp_server(port, serve))
        yield


def shell(name, program, script, **options):
    return Case(name, program, script=script, **options)


CASES = [
    Case("who@", "who@"),
    Case("who@ with a host", "who@", ["127.0.0.1"]),
    Case("who@ with a name", "who@", ["here.example"]),
    Case("who@ with an empty host", "who@", [""]),
    Case("who@ with too many words", "who@", ["0", "13", "x"]),
    Case("who@ takes no options", "who@", ["--help.example"]),
    Case("who@ with a bad address", "who@", ["127.1"]),
    Case("who@ where nobody listens", "who@", ["127.0.0.9"]),
    Case("who@ of nobody", "who@", ["nobody.example"]),
    shell("who@ into a closed pipe", "who@", "who@ | true; echo done"),
    Case("date@", "date@"),
    Case("date@ with a host", "date@", ["0"]),
    Case("date@ where nobody listens", "date@", ["127.0.0.9", "11"]),

    Case("finger@", "finger@"),
    Case("finger@ with a host", "finger@", ["0"]),
    Case("finger@ with a user", "finger@", ["0", "joe"]),
    Case("finger@ with blanks", "finger@", ["0", " joe  user "]),
    Case("finger@ with odd bytes", "finger@", ["0", b"\xff\x01%s"]),
    Case("finger@ with two lines", "finger@", ["0", "a\nb"]),
    Case("finger@ with a CR", "finger@", ["0", "a\rb"]),
    Case("finger@ with too many words", "finger@", ["0", "joe", "jim"]),
    Case("finger@ where nobody listens", "finger@", ["127.0.0.9", "joe"]),
    Case("finger@ reads nothing", "finger@", ["0", "joe"], input=b"jim\n"),

    Case("http@", "http@"),
    Case("http@ with a host", "http@", ["here.example"]),
    Case("http@ with a path", "http@", ["0", "a/b?c=d&e"]),
    Case("http@ with a port by name", "http@", ["0", "x", "http"]),
    Case("http@ with an empty path", "http@", ["127.0.0.1", ""]),
    Case("http@ with a blank and odd bytes", "http@", ["0", b"a b\xe9"]),
    Case("http@ with too many words", "http@", ["0", "x", "80", "y"]),
    Case("http@ where nobody listens", "http@", ["0", "x", "81"]),
    Case("http@ with a port that is none", "http@", ["0", "x", "80x"]),
    Case("http@ from a server that hangs up", "http@", ["0", "", "7103"]),
    Case("http@ from a server that resets", "http@", ["0", "", "7102"]),
    *(Case(f"http@ of {page}", "http@", ["0", page]) for page in PAGES),

    Case("tcpcat", "tcpcat"),
    Case("tcpcat with a port", "tcpcat", ["0", "13"]),
    Case("tcpcat with a port by name", "tcpcat", ["127.0.0.1", "daytime"]),
    Case("tcpcat of much", "tcpcat", ["0", "19"]),
    Case("tcpcat where nobody listens", "tcpcat", ["0", "18"]),
    Case("tcpcat with a port that is none", "tcpcat", ["0", "17x"]),
    Case("tcpcat with an empty host and port", "tcpcat", ["", ""]),
    Case("tcpcat of a bad address", "tcpcat", ["1.2.3"]),
    Case("tcpcat reads nothing", "tcpcat", input=b"in"),
    shell("tcpcat into a closed pipe", "tcpcat", "(tcpcat 0 19; echo $? >&2) | head -c 1"),

    Case("mconnect", "mconnect", input=b"helo me\nQUIT\n"),
    Case("mconnect with a host and port", "mconnect", ["0", "587"], input=b"quit\n"),
    Case("mconnect with CR LF", "mconnect", ["0"], input=b"a\r\nquit\r\n"),
    Case("mconnect with odd bytes", "mconnect", ["0"], input=b"\0\xff\r\r\n\n" + b"x" * 5000 + b"\nquit\n"),
    Case("mconnect without a last line feed", "mconnect", ["0", "7101"], input=b"quit"),
    Case("mconnect where nobody listens", "mconnect", ["0", "26"], input=b"quit\n"),
    Case("mconnect with a port that is none", "mconnect", ["0", "smtpx"], input=b"quit\n"),
    Case("mconnect with too many words", "mconnect", ["0", "25", "x"], input=b"quit\n"),
    Case("mconnect with a server that only talks", "mconnect", ["0", "19"]),
    Case("mconnect with a server that hangs up", "mconnect", ["0", "7103"]),
    shell("mconnect goes on after its input", "mconnect",
          "(echo first; sleep 0.3; echo quit) | mconnect 0 25"),
    shell("mconnect shows an answer before the next line", "mconnect",
          "(echo first; sleep 0.3; echo >&2 then; echo quit) | mconnect 0 25 | cat"),

    Case("mconnect-io with nothing open", "mconnect-io"),
    shell("mconnect-io with files", "mconnect-io", "mconnect-io 6< in 7> out < /dev/null; echo $?; cat out",
          files={"in": b"a\nb\r\n"}),
    shell("mconnect-io from a server to output", "mconnect-io", "mconnect-io 6< in 7> /dev/null < /dev/null",
          files={"in": ODD * 1000}),
    shell("mconnect-io under tcpclient", "mconnect-io",
          "(echo first; echo quit) | tcpclient -RHl0 0 25 mconnect-io x y"),
    shell("mconnect-io without output", "mconnect-io",
          "echo quit | tcpclient -RHl0 0 25 mconnect-io > /dev/full; echo $?"),
    shell("mconnect-io passes on before the end", "mconnect-io",
          "mkfifo server; (sleep 0.5; echo from server) > server & (echo to; sleep 0.2; echo server) | "
          "mconnect-io 6< server 7> out; wait; cat out"),
]

# The terminal-proof ones show bytes as `cat -v` does; how they do it is tested byte by byte.
SLOW = [
    Case("pieces", "mconnect-io", script="tcpclient -RHl0 0 7100 sh -c 'delcr <&6' | od -c"),
    Case("tcpcat of pieces", "tcpcat", ["0", "7100"]),
    Case("http@ of pieces", "http@", ["0", "", "7100"]),
]


@pytest.mark.parametrize("case", CASES + SLOW, ids=lambda case: case.name)
def test_case(case):
    compare(case)


@pytest.mark.parametrize("program, code", [("who@", 1), ("finger@", 1), ("tcpcat", 1), ("http@", 2)])
def test_a_full_disk_is_told_with_the_original_exit_code(program, code):
    """cat and awk of the originals say it in their own words."""
    with open("/dev/full", "wb") as full:
        result = subprocess.run([BIN / program, "0"], stdout=full, stderr=subprocess.PIPE, timeout=20)
    assert result.returncode == code
    assert result.stderr == f"{program}: fatal: unable to write output: out of disk space\n".encode()


def test_a_connection_that_breaks_off():
    """What came before is shown; only tcpcat, as cat would, calls it a failure."""
    result = run("tcpcat", "0", "7101")
    assert (result.returncode, result.stdout) == (1, b"all there is\r\n")
    assert result.stderr == b"tcpcat: fatal: unable to read input: connection reset\n"


def test_backslashes_are_sent_as_they_are():
    """The shell's echo of the originals may take them for something else."""
    for user in (rb"a\nb\\c", b"-n"):
        assert b"asked: " + repr(user + b"\r\n").encode() in run("finger@", "0", user).stdout
    assert repr(rb"GET /a\tb HTTP/1.0")[2:-1].encode() in run("http@", "0", rb"a\tb").stdout


def test_ipv6():
    with tcp_server(13, lambda connection: connection.sendall(b"six\r\n"), address="::1"):
        assert run("date@", "::1").stdout == b"six\n"


def test_they_need_nothing_else(tmp_path):
    """In a root with the binary alone, without a shell, cat or awk."""
    shutil.copy(BIN / "apus", tmp_path / "apus")
    for arguments, output in [
            (["date@", "0"], b"Sat Nov 21 11:00:00 2026\n"), (["http@", "0", "plain"], b"body\n"),
            (["tcpcat", "0", "13"], b"Sat Nov 21 11:00:00 2026\r\n")]:
        result = subprocess.run(["/usr/sbin/chroot", tmp_path, "/apus", *arguments], env={}, timeout=20,
                                capture_output=True)
        assert (result.returncode, result.stdout, result.stderr) == (0, output, b"")
    result = subprocess.run(["/usr/sbin/chroot", tmp_path, "/apus", "mconnect", "0"], env={}, timeout=20,
                            capture_output=True, input=b"quit\n")
    assert (result.returncode, result.stdout) == (0, b"220 mail\r\n250 b'quit\\r\\n'\r\n")


def test_mconnect_reads_on_when_the_server_stops_reading():
    """What a server said before it hung up is shown, whatever the user still types."""
    def serve(connection):
        connection.recv(100)
        connection.shutdown(socket.SHUT_RD)
        time.sleep(0.3)
        connection.sendall(b"421 late\r\n")

    with tcp_server(7200, serve):
        process = subprocess.Popen([BIN / "mconnect", "0", "7200"], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE)
        process.stdin.write(b"hello\n" * 10_000)
        output, _ = process.communicate(timeout=20)
    assert (process.returncode, output) == (0, b"421 late\r\n")
