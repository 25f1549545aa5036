"""Who gets in: whose rights a tcpserver has, and that no client keeps the others out."""

import concurrent.futures
import contextlib
import os
import pathlib
import pwd
import re
import socket
import struct
import subprocess
import time

import dns
import pytest
from apus import BIN, environment, run, wait_for
from network import private_network, tcp_server
from sockets import FAST, compile_rules, connect, read_all, talk, tcpserver, variables

HOLD = ("sh", "-c", "echo up; exec cat")


# --- user and group -----------------------------------------------------------------------------


def ids(*options, env=None):
    with tcpserver(*FAST, *options, child=("id",), env=env) as server:
        return re.sub(rb"\([^)]*\)", b"", talk(server.port)[0])


def test_a_user_brings_its_group():
    nobody = pwd.getpwnam("nobody")
    expected = b"uid=%d gid=%d groups=%d\n" % (nobody.pw_uid, nobody.pw_gid, nobody.pw_gid)
    assert ids("-u", "nobody") == ids("-u", str(nobody.pw_uid)) == expected
    assert ids("-U", env=environment(UID=str(nobody.pw_uid))) == expected
    # One without an account.
    assert ids("-u", "54321") == b"uid=54321 gid=54321 groups=54321\n"
    assert ids("-u", "54321", "-g", "daemon") == b"uid=54321 gid=1 groups=1\n"
    assert ids("-g", "7") == b"uid=0 gid=7 groups=7\n"


@pytest.mark.parametrize("options, text", [
    (["-u", "4294967296"], b"no user 4294967296"), (["-u", "4294967295"], b"no user 4294967295"),
    (["-u", "no-such-user"], b"no user no-such-user"), (["-u", "7x"], b"no user 7x"),
    (["-u", ""], b"no user "), (["-u", "-1"], b"no user -1"), (["-u", " 7"], b"no user  7"),
    (["-g", "4294967297"], b"no group 4294967297"), (["-g", "no-such-group"], b"no group no-such-group"),
    (["-U"], b"-U: UID is not set"),
])
def test_a_user_that_is_none(options, text):
    result = run(BIN / "tcpserver", *options, "127.0.0.1", "0", "true")
    assert (result.returncode, result.stderr) == (100, b"tcpserver: fatal: %s\n" % text)


@pytest.mark.parametrize("variables_, text", [
    ({"UID": "x", "GID": "1"}, b"no user x"), ({"UID": "1", "GID": "99999999999"}, b"no group 99999999999"),
    ({"UID": "", "GID": "1"}, b"no user "), ({"GID": "1"}, b"-U: UID is not set"),
])
def test_an_environment_that_names_nobody(variables_, text):
    result = run(BIN / "tcpserver", "-U", "127.0.0.1", "0", "true", env=environment(**variables_))
    assert (result.returncode, result.stderr) == (100, b"tcpserver: fatal: %s\n" % text)


def test_who_one_is_already():
    """No change needs no right."""
    user = ("setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", "--")
    with tcpserver(*FAST, "-u", "54321", child=("id", "-u"), before=user) as server:
        assert talk(server.port)[0] == b"54321\n"
    result = run(*user, BIN / "tcpserver", "-u", "54322", "127.0.0.1", "0", "true")
    assert (result.returncode, result.stderr) == (
        111, b"tcpserver: fatal: unable to set gid: permission denied\n")


# --- one client and the others ------------------------------------------------------------------


@contextlib.contextmanager
def silent_ident(address):
    """An ident server that accepts and never answers."""
    with tcp_server(113, lambda connection: connection.recv(1000) and connection.recv(1000), address):
        yield


def served_at_once(server, source="127.0.0.1", text=b"in\n", seconds=2):
    start = time.monotonic()
    assert talk(server.port, source=source)[0] == text
    assert time.monotonic() - start < seconds


@pytest.mark.parametrize("where, source", [("environment", "127.0.113.201"), ("rule", "127.0.113.203")])
def test_limits_apply_before_look_ups(tmp_path, where, source):
    """An address whose ident server is silent gets what one address may have, not all there is."""
    compile_rules(tmp_path, b"127.0.113.:allow,MAXCONNIP=\"2\"\n:allow\n" if where == "rule" else b":allow\n")
    env = environment(**({"MAXCONNIP": "2"} if where == "environment" else {}))
    with silent_ident(source):
        with tcpserver("-v", "-H", "-l0", "-c", "4", "-x", "rules.cdb", child=("echo", "in"), env=env,
                       cwd=tmp_path) as server, contextlib.ExitStack() as stack:
            for _ in range(8):
                stack.enter_context(connect(server.port, source=source))
            server.wait_for_log(rb"deny \d+ .* MAXCONNIP:2\n", 6)
            served_at_once(server)


def test_the_rule_of_an_address_applies_before_look_ups(tmp_path):
    compile_rules(tmp_path, b"127.0.113.:deny\n:allow\n")
    with silent_ident("127.0.113.202"):
        with tcpserver("-v", "-H", "-l0", "-x", "rules.cdb", child=("echo", "in"), cwd=tmp_path) as server:
            served_at_once(server, "127.0.113.202", b"")
            # A rule for a user may say otherwise.
            compile_rules(tmp_path, b"joe@127.0.113.202:allow\n127.0.113.:deny\n:allow\n")
            with connect(server.port, source="127.0.113.202"):
                server.wait_for_log(rb"status: 1/40\n")
                served_at_once(server)
                assert server.log.count(b"deny") == 1


def test_a_name_still_decides_what_the_address_does_not(tmp_path):
    compile_rules(tmp_path, b"=friend.example:allow\n=foe.example:deny\n127.0.9.:deny\n:allow\n")
    zone = {("1.9.0.127.in-addr.arpa", "PTR"): ["friend.example"],
            ("2.9.0.127.in-addr.arpa", "PTR"): ["other.example"],
            ("3.8.0.127.in-addr.arpa", "PTR"): ["foe.example"]}
    with private_network(hosts="\n"), dns.Server(zone).running():
        with tcpserver("-v", "-R", "-l0", "-x", "rules.cdb", child=("echo", "in"), cwd=tmp_path) as server:
            assert [talk(server.port, source=source)[0] for source in (
                "127.0.9.1", "127.0.9.2", "127.0.8.3", "127.0.8.4")] == [b"in\n", b"", b"", b"in\n"]


def test_a_client_that_is_held_takes_no_place():
    """Denied and told so at once: it waits for a second, nobody else does."""
    env = environment(MAXCONN4="0/32", DIEMSG="go away")
    with tcpserver(*FAST, "-c", "1", host="::", child=("echo", "in"), env=env) as server:
        with contextlib.ExitStack() as stack:
            held = [stack.enter_context(connect(server.port, "127.0.0.1")) for _ in range(5)]
            for connection in held:
                assert connection.recv(100) == b"go away\r\n"
            start = time.monotonic()
            assert talk(server.port, host="::1")[0] == b"in\n"
            assert time.monotonic() - start < 0.8
            for connection in held:
                assert connection.recv(1) == b""
            assert time.monotonic() - start > 0.5


def test_a_client_that_is_held_after_a_look_up_takes_no_place(tmp_path):
    compile_rules(tmp_path, b"=foe.example:deny,DIEMSG=\"go away\"\n:allow\n")
    zone = {("9.0.0.127.in-addr.arpa", "PTR"): ["foe.example"]}
    with private_network(hosts="\n"), dns.Server(zone).running():
        with tcpserver("-v", "-R", "-l0", "-c", "1", "-x", "rules.cdb", child=("echo", "in"),
                       cwd=tmp_path) as server:
            for _ in range(3):
                with connect(server.port, source="127.0.0.9") as held:
                    assert held.recv(100) == b"go away\r\n"
                    served_at_once(server, seconds=0.8)
                    assert held.recv(1) == b""
            server.wait_for_log(rb"end \d+ status 25600\n", 3)
            server.wait_for_log(rb"status: 0/1\n\Z")


def test_a_hundred_clients_are_held_and_no_more():
    env = environment(MAXCONNIP="0")
    with tcpserver("-RHl0", "-b", "400", child=("true",), env=env) as server, contextlib.ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(connect(server.port))
        wait_for(lambda: len(os.listdir(f"/proc/{server.process.pid}/fd")) > 50, "clients to be held")
        assert len(os.listdir(f"/proc/{server.process.pid}/fd")) <= 105
        wait_for(lambda: len(os.listdir(f"/proc/{server.process.pid}/fd")) <= 5, "them to be let go", 5)


@pytest.mark.parametrize("kind", ["ident", "name"])
def test_a_copy_whose_client_is_gone_ends(kind):
    options = {"ident": ("-v", "-H", "-l0"), "name": ("-v", "-R", "-l0")}[kind]
    with private_network(hosts="\n", timeout=60), contextlib.ExitStack() as stack:
        stack.enter_context(dns.Server({("204.113.0.127.in-addr.arpa", "PTR"):
                                        lambda server, query, is_tcp: None}).running())
        stack.enter_context(silent_ident("127.0.113.204"))
        server = stack.enter_context(tcpserver(*options, "-c", "1", child=("echo", "in")))
        gone = connect(server.port, source="127.0.113.204")
        server.wait_for_log(rb"pid \d+ from")
        # Data, and an end of it, are no reason to go.
        gone.sendall(b"hello\n")
        gone.shutdown(socket.SHUT_WR)
        time.sleep(0.2)
        assert b" end " not in server.log
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        gone.close()
        server.wait_for_log(rb"end \d+ status 28416\n")


def test_a_program_after_a_look_up_is_not_signalled():
    """What watched the connection before is off: neither data nor a reset kills the program by SIGIO."""
    script = "import signal, sys; print(signal.getsignal(signal.SIGIO) == signal.SIG_DFL, flush=True);" \
             "sys.stdin.read(); sys.exit(7)"
    with tcpserver("-v", "-R", child=("/usr/bin/python3", "-c", script)) as server:
        assert talk(server.port, b"data\n")[0] == b"True\n"
        server.wait_for_log(rb"end \d+ status 1792\n")


def test_names_are_escaped():
    """Who has an address has its name: it reaches programs and logs as ucspi-tcp writes it."""
    name = b"\x04a\n=b\x07Evil%25\x03x y\x07example\0"
    zone = {("5.0.0.127.in-addr.arpa", "PTR"): [name]}
    with private_network(hosts="\n"), dns.Server(zone).running():
        with tcpserver("-v", "-R", "-l0", child=("env", "-0")) as server:
            found = variables(talk(server.port, source="127.0.0.5")[0])
            assert found[b"TCPREMOTEHOST"] == rb"a\012\075b.evil\04525.x\040y.example"


# --- memory -------------------------------------------------------------------------------------


def flood(server, count=200):
    with concurrent.futures.ThreadPoolExecutor(20) as clients:
        return list(clients.map(lambda _: talk(server.port)[0], range(count)))


def test_under_the_limit_of_djbdns(tmp_path):
    """The run script of axfrdns limits the data segment to 300000 bytes."""
    compile_rules(tmp_path, b":allow,AXFR=\"\"\n")
    with tcpserver("-vDRHl0", "-x", "rules.cdb", child=("echo", "in"), cwd=tmp_path,
                   before=(BIN / "softlimit", "-d", "300000")) as server:
        assert set(flood(server)) == {b"in\n"}
    with tcpserver("-vDR", "-x", "rules.cdb", child=("echo", "in"), cwd=tmp_path,
                   before=(BIN / "softlimit", "-d", "300000")) as server:
        assert set(flood(server, 50)) == {b"in\n"}


NO_PORT = b"tcpserver: fatal: unable to figure out port number for 1x\n"


def limited(limit):
    return run("prlimit", f"--data={limit}:{limit}", BIN / "tcpserver", "-RHl0", "127.0.0.1", "1x", "true")


def test_what_has_no_memory_says_so():
    """Where the kernel lets it start at all, it fails by a message and 111 and not by a signal; and it needs
    no more than Debian's, for which 128 KiB are just enough."""
    seen = []
    for limit in range(16384, 131_073, 4096):
        result = limited(limit)
        if not seen and result.returncode < 0:
            continue
        assert result.returncode == 111, (limit, result)
        seen.append(result.stderr)
    assert seen[-1] == NO_PORT
    assert set(seen) <= {NO_PORT, b"tcpserver: fatal: out of memory\n"}


@pytest.mark.parametrize("kilobytes", [144, 160, 224])
def test_serving_with_little_memory(kilobytes):
    """It serves or it ends, and says which."""
    limit = ("prlimit", f"--data={kilobytes << 10}:{kilobytes << 10}")
    with tcpserver(*FAST, "-c", "20", child=(BIN / "argv0", "true", "x"), before=limit,
                   env=environment(MAXRATE="100000/1")) as server:
        with contextlib.suppress(ConnectionError):
            flood(server, 100)
        if server.process.poll() is None:
            server.wait_for_log(rb" end ", 100)
        else:
            assert server.process.returncode == 111
            assert b"tcpserver: fatal: out of memory\n" in server.log


# --- rules --------------------------------------------------------------------------------------


def test_a_look_up_costs_the_same_whatever_the_size(tmp_path):
    """A file of rules is verified once; after that a connection makes a few reads."""
    reads = {}
    for count in (1000, 100_000):
        text = "".join(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}:deny\n" for n in range(count))
        compile_rules(tmp_path, text.encode() + b"127.:allow\n:deny\n")
        trace = tmp_path / f"trace{count}"
        # The file is old enough to be trusted.
        time.sleep(0.1)
        with tcpserver(*FAST, "-x", "rules.cdb", child=("true",), cwd=tmp_path,
                       before=("strace", "-qq", "-o", trace, "-e", "trace=pread64,openat,accept4")) as server:
            for number in range(6):
                talk(server.port)
            server.wait_for_log(rb" end ", 6)
        later = trace.read_text().split("accept4(")
        later = [part for part in later if "pread64" in part or "rules.cdb" in part][1:]
        reads[count] = sum(part.count("pread64") for part in later)
        assert not any("rules.cdb" in part for part in later)
    assert reads[100_000] <= 6 * 30
    assert reads[100_000] <= reads[1000] + 6 * 12


def test_rules_changed_in_place_are_looked_at_again(tmp_path):
    compile_rules(tmp_path, b":allow\n", "allow.cdb")
    compile_rules(tmp_path, b":deny\n", "deny.cdb")
    rules = tmp_path / "rules.cdb"
    with tcpserver(*FAST, "-x", "rules.cdb", child=("echo", "in"), cwd=tmp_path) as server:
        for number in range(20):
            name, text = (("allow", b"in\n"), ("deny", b""))[number % 2]
            rules.write_bytes((tmp_path / f"{name}.cdb").read_bytes())
            if number % 3 == 0:
                time.sleep(0.1)
            assert talk(server.port)[0] == text
            assert talk(server.port)[0] == text


# --- sockets ------------------------------------------------------------------------------------


def test_permissions_of_a_unix_socket(tmp_path):
    path = tmp_path / "socket"
    for options, mode in [(["--umask", "077"], 0o700), (["--socket-mode", "0622"], 0o622),
                          (["--socket-mode", "777", "--umask", "027"], 0o777)]:
        with tcpserver(*FAST, *options, host=str(path), child=("sh", "-c", "umask")):
            assert path.stat().st_mode & 0o7777 == mode
    with tcpserver(*FAST, "--socket-owner", "nobody:daemon", "--socket-mode", "600", "-u", "nobody",
                   host=str(path), child=("true",)):
        found = path.stat()
        assert (found.st_uid, found.st_gid) == (pwd.getpwnam("nobody").pw_uid, 1)
        assert found.st_mode & 0o7777 == 0o600
    for options in (["--socket-mode", "8"], ["--socket-mode", "1777"], ["--socket-owner", "no-such-user"],
                    ["--keep-alive", "x"], ["--keep-alive", "99999"]):
        assert run(BIN / "tcpserver", *options, path, "0", "true").returncode == 100


def test_proxy_over_a_unix_socket(tmp_path):
    path = tmp_path / "socket"
    compile_rules(tmp_path, b"192.0.2.7:allow\nunix:allow,LOCAL=\"1\"\n:deny\n")
    with tcpserver(*FAST, "-x", "rules.cdb", "--proxy", "unix,10.0.0.0/8", host=str(path),
                   child=("sh", "-c", "env -0; cat"), cwd=tmp_path) as server:
        def proxied(header):
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(10)
                connection.connect(str(path))
                with contextlib.suppress(BrokenPipeError):
                    connection.sendall(header + b"data")
                    connection.shutdown(socket.SHUT_WR)
                return read_all(connection)

        text = proxied(b"PROXY TCP4 192.0.2.7 192.0.2.8 4711 22\r\n")
        assert text.endswith(b"\0data")
        found = variables(text[:-4])
        assert found[b"PROTO"] == b"TCP" and found[b"TCPREMOTEIP"] == b"192.0.2.7"
        assert found[b"TCPLOCALPORT"] == b"22"
        assert not [name for name in found if name.startswith(b"UNIX") or name == b"TCPPROXYIP"]
        server.wait_for_log(rb"ok \d+ 0:192.0.2.8:22 :192.0.2.7::4711\n")
        assert proxied(b"PROXY TCP4 192.0.2.9 192.0.2.8 4711 22\r\n") == b""
        found = variables(proxied(b"PROXY UNKNOWN\r\n")[:-4])
        assert found[b"PROTO"] == b"UNIX" and found[b"LOCAL"] == b"1"
        assert proxied(b"hello\n") == b""
        server.wait_for_log(rb"unable to read PROXY header: protocol error\n")


def test_keep_alive():
    script = ("import socket; s = socket.socket(fileno=0); o = s.getsockopt;"
              "print(o(socket.SOL_SOCKET, socket.SO_KEEPALIVE), o(6, socket.TCP_KEEPIDLE))")
    with tcpserver(*FAST, "--keep-alive", "45", child=("/usr/bin/python3", "-c", script)) as server:
        assert talk(server.port)[0] == b"1 45\n"
    with tcpserver(*FAST, child=("/usr/bin/python3", "-c", script)) as server:
        assert talk(server.port)[0].startswith(b"0 ")
