"""tcpserver against Debian's, with connections over the loopback: the whole environment of the program,
the log, what the client sees, and how it ends."""

import dataclasses
import pathlib
import re
import socket
import subprocess
import tempfile

import dns
import pytest
from apus import BIN, REFERENCE
from harness import Case, compare
from network import private_network
from sockets import talk, tcpserver

# Without connections: how it refuses to start.
REFUSALS = [
    Case("no-arguments", "tcpserver"),
    Case("host-only", "tcpserver", ["127.0.0.1"]),
    Case("no-program", "tcpserver", ["127.0.0.1", "0"]),
    Case("no-program-and-bad-port", "tcpserver", ["127.0.0.1", "no-such-service"]),
    Case("illegal-option", "tcpserver", ["-z", "127.0.0.1", "0", "cat"]),
    Case("illegal-option-in-cluster", "tcpserver", ["-vRz", "127.0.0.1", "0", "cat"]),
    Case("option-lacks-argument", "tcpserver", ["-c"]),
    Case("option-lacks-argument-in-cluster", "tcpserver", ["-vc"]),
    Case("long-option", "tcpserver", ["--help"]),
    Case("quiet-usage", "tcpserver", ["-q"]),
    Case("quiet-illegal-option", "tcpserver", ["-qz"]),
    Case("quiet-then-loud-usage", "tcpserver", ["-qQ"]),
    Case("bad-port", "tcpserver", ["127.0.0.1", "no-such-service", "cat"]),
    Case("quiet-bad-port", "tcpserver", ["-q", "127.0.0.1", "no-such-service", "cat"]),
    Case("port-with-tail", "tcpserver", ["127.0.0.1", "80x", "cat"]),
    Case("port-blank", "tcpserver", ["127.0.0.1", " 80", "cat"]),
    Case("port-negative", "tcpserver", ["--", "127.0.0.1", "-1", "cat"]),
    Case("port-not-utf8", "tcpserver", ["127.0.0.1", b"\xff\x80", "cat"]),
    Case("host-three-numbers", "tcpserver", ["127.0.1", "0", "cat"]),
    Case("host-one-number", "tcpserver", ["127", "0", "cat"]),
    Case("host-dots", "tcpserver", ["..", "0", "cat"]),
    Case("host-not-ours", "tcpserver", ["192.0.2.1", "0", "cat"]),
    Case("host-broadcast-like", "tcpserver", ["1.2.3.4", "0", "cat"]),
    Case("ipv6-host", "tcpserver", ["2001:db8::1", "0", "cat"],
         environment={"DNSCACHEIP": "127.0.0.1"}),
    Case("unknown-gid", "tcpserver", script="setuidgid nobody tcpserver -g 1 127.0.0.1 0 cat"),
    Case("unknown-uid", "tcpserver", script="setuidgid nobody tcpserver -u 1 127.0.0.1 0 cat"),
    Case("low-port-denied", "tcpserver", script="setuidgid nobody tcpserver 127.0.0.1 1 cat"),
]


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.name)
def test_refusal(case):
    compare(case)


@pytest.mark.parametrize("option", ["-Q", "-q"])
def test_address_in_use(option):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        compare(Case("in-use", "tcpserver", [option, "127.0.0.1", port, "cat"],
                     normalise=[(port.encode(), b"PORT")]))


@dataclasses.dataclass
class Served:
    """Connections to a tcpserver with the given options, made one after the other."""

    name: str
    options: list = dataclasses.field(default_factory=list)
    child: tuple = ("env", "-0")
    rules: bytes = None
    program: bytes = None  # an executable file of that name
    host: str = "127.0.0.1"
    environment: dict = dataclasses.field(default_factory=dict)
    send: bytes = b""
    sources: tuple = ("127.0.0.1",)
    limit: int = 40


FAST = ["-v", "-R", "-H", "-l0"]
ANY_USER = {"HOME": "/nonexistent"}

SERVED = [
    Served("environment", FAST),
    Served("no-log", ["-Q", "-R", "-H", "-l0"]),
    Served("errors-only-by-default", ["-R", "-H", "-l0"]),
    Served("silent", ["-q", "-R", "-H", "-l0"]),
    Served("last-verbosity-wins", ["-v", "-q", "-v", "-RHl0"]),
    Served("cluster", ["-vRHl0"]),
    Served("three-connections", FAST, sources=("127.0.0.1", "127.0.0.2", "127.0.0.3")),
    Served("listen-on-all", FAST, host="0"),
    Served("listen-on-empty", FAST, host=""),
    Served("listen-on-other", FAST, host="127.0.0.5", sources=("127.0.0.9",)),
    Served("host-brackets", FAST, host="[127.0.0.1]"),
    Served("host-leading-zeros", FAST, host="127.000.000.001"),
    Served("host-six-numbers", FAST, host="127.0.0.1.5.6"),
    Served("host-wraps", FAST, host="383.256.0.1"),
    Served("all-by-wildcard-address", FAST, host="0", sources=("127.0.0.7",)),
    Served("local-name", ["-vRH", "-l", "mail.example.org"]),
    Served("local-name-empty", ["-vRH", "-l", ""]),
    Served("local-name-odd", ["-vRH", "-l", "a%b:c d\x01"]),
    Served("local-name-not-utf8", ["-vRH", "-l", b"\xff\xfe"]),
    Served("local-name-99", ["-vRH", "-l", "x" * 99]),
    Served("local-name-100", ["-vRH", "-l", "x" * 100]),
    Served("local-name-101", ["-vRH", "-l", "x" * 101]),
    Served("limit-1", FAST + ["-c", "1"], sources=("127.0.0.1",) * 3, limit=1),
    Served("limit-with-tail", FAST + ["-c7x"], limit=7),
    Served("limit-hexadecimal", FAST + ["-c", "9,5"], limit=9),
    Served("backlog", FAST + ["-b", "1"]),
    Served("nagle-off", FAST + ["-D"]),
    Served("nagle-on", FAST + ["-D", "-d"]),
    Served("ip-options", FAST + ["-o"]),
    Served("ip-options-killed", FAST + ["-O"]),
    Served("paranoid-without-look-up", FAST + ["-p"]),
    Served("paranoid-off", FAST + ["-P"]),
    Served("timeout", FAST + ["-t", "1"]),
    Served("banner", FAST + ["-B", "220 hello\r\n"]),
    Served("banner-empty", FAST + ["-B", ""]),
    Served("banner-not-utf8", FAST + ["-B", b"\xff\r\n"]),
    Served("banner-long", FAST + ["-B", "b" * 100000]),
    Served("banner-denied", FAST + ["-B", "hello\n"], rules=b":deny\n"),
    Served("echo", FAST, child=("cat",), send=bytes(range(256)) * 40),
    Served("exit-code", FAST, child=("sh", "-c", "exit 3")),
    Served("exit-by-signal", FAST, child=("sh", "-c", "kill -TERM $$")),
    Served("exit-by-kill", FAST, child=("sh", "-c", "kill -KILL $$")),
    Served("writes-to-stderr", FAST, child=("sh", "-c", "echo child >&2; echo $0", "name")),
    Served("argument-odd", FAST, child=("printf", "%s|", "", "a b", b"\xff", "*")),
    Served("no-program", FAST, child=("no-such-program",)),
    Served("no-program-silent", ["-q", "-RHl0"], child=("no-such-program",)),
    Served("no-program-with-slash", FAST, child=("./no/such",)),
    Served("program-not-executable", FAST, child=("/etc/passwd",)),
    Served("program-is-directory", FAST, child=("/etc",)),
    Served("program-of-no-known-format", FAST, child=("./program",), program=b"\0\1\2"),
    Served("program-empty", FAST, child=("./program",), program=b""),
    Served("program-without-its-interpreter", FAST, child=("./program",), program=b"#!/no/such\n"),
    Served("program-whose-interpreter-is-no-program", FAST, child=("./program",),
           program=b"#!/etc/passwd\n", sources=("127.0.0.1", "127.0.0.2")),
    Served("program-empty-name", FAST, child=("",)),
    Served("ident-refused", ["-v", "-r", "-t", "2", "-H", "-l0"]),
    Served("signals", FAST, child=("grep", "Sig[^Q]", "/proc/self/status")),
    Served("descriptors", FAST, child=("sh", "-c", "cd /proc/self/fd; echo *")),
    Served("inherited-same-names", FAST, environment={
        "TCPREMOTEHOST": "old", "TCPREMOTEINFO": "old", "A": "before", "PROTO": "X", "Z": "z"}),
    Served("inherited-remove-last", FAST, environment={"A": "1", "TCPREMOTEHOST": "old"}),
    Served("inherited-odd", FAST, environment={"A": "a=b\n", "E": "", "U": b"\xff"}),
    Served("limits-variables-inherited-by-child", FAST, environment={"DIEMSG": "go away"}),

    Served("allow", FAST + ["-x", "rules.cdb"], rules=b":allow\n"),
    Served("deny", FAST + ["-x", "rules.cdb"], rules=b":deny\n"),
    Served("deny-without-log", ["-RHl0", "-x", "rules.cdb"], rules=b":deny\n"),
    Served("deny-by-address", FAST + ["-x", "rules.cdb"],
           rules=b"127.0.0.2:deny\n:allow\n", sources=("127.0.0.1", "127.0.0.2", "127.0.0.3")),
    Served("deny-by-prefix", FAST + ["-x", "rules.cdb"],
           rules=b"127.0.1.:deny\n127.:allow\n:deny\n", sources=("127.0.1.1", "127.0.2.1")),
    Served("rule-variables", FAST + ["-x", "rules.cdb"],
           rules=b":allow,A=\"1\",B=/\xff two/,EMPTY=\"\"\n"),
    Served("rule-replaces-inherited", FAST + ["-x", "rules.cdb"], rules=b":allow,A=\"new\"\n",
           environment={"A": "old", "B": "b"}),
    Served("rule-replaces-connection", FAST + ["-x", "rules.cdb"],
           rules=b":allow,TCPREMOTEIP=\"6.6.6.6\",PROTO=\"X\",TCPREMOTEHOST=\"h\"\n"),
    Served("rule-variable-twice", FAST + ["-x", "rules.cdb"], rules=b":allow,A=\"1\",A=\"2\"\n"),
    Served("rule-sets-path", FAST + ["-x", "rules.cdb"], rules=b":allow,PATH=\"/nowhere\"\n"),
    Served("deny-with-variables", FAST + ["-x", "rules.cdb"], rules=b":deny,A=\"1\"\n"),
    Served("host-rule-needs-host", FAST + ["-x", "rules.cdb"], rules=b"=:deny\n=localhost:deny\n"),
    Served("user-rule-needs-user", FAST + ["-x", "rules.cdb"], rules=b"@127.0.0.1:deny\n"),
    Served("no-rules-file", FAST + ["-x", "missing.cdb"]),
    Served("no-rules-file-allowed", FAST + ["-X", "-x", "missing.cdb"]),
    Served("no-rules-directory-allowed", FAST + ["-X", "-x", "missing/rules.cdb"]),
    Served("rules-in-file-allowed", FAST + ["-X", "-x", "rules.cdb/x"], rules=b":allow\n"),
    Served("no-rules-file-silent", ["-q", "-RHl0", "-x", "missing.cdb"]),
    Served("allow-without-x", FAST + ["-X"]),
]


def _normal(log, pids, ports):
    """Process ids become P1, P2 … in the order in which they appear; ports their names."""
    def name(match):
        pid = match.group(2)
        if pid not in pids:
            pids.append(pid)
        return match.group(1) + b"P%d" % (pids.index(pid) + 1)

    log = re.sub(rb"((?:pid|ok|deny|end) )(\d+)", name, log)
    for port, text in ports:
        log = re.sub(rb"(?<=[:=])%d\b" % port, text, log)
    return log


def _serve(case, programs):
    with tempfile.TemporaryDirectory(prefix="differential-") as directory:
        if case.rules is not None:
            subprocess.run([REFERENCE / "tcprules", "rules.cdb", "rules.tmp"], input=case.rules,
                           cwd=directory, check=True)
        if case.program is not None:
            path = pathlib.Path(directory, "program")
            path.write_bytes(case.program)
            path.chmod(0o755)
        env = {"PATH": "/usr/bin:/bin", **case.environment}
        with tcpserver(*case.options, programs=programs, host=case.host, child=case.child, env=env,
                       cwd=directory) as server:
            received = []
            # Clients with different addresses may have the same port.
            ports = [(server.port, b"PORT")]
            address = "127.0.0.5" if case.host == "127.0.0.5" else "127.0.0.1"
            for number, source in enumerate(case.sources):
                text, port = talk(server.port, case.send, address, source)
                ports.append((port, b"CLIENT"))
                received.append(_normal(text, [], [ports[0], ports[-1]]))
                if case.options[0].startswith("-v"):
                    server.wait_for_log(rb"status: 0/%d\n" % case.limit, number + 2)
            log = server.log
            status = server.stop()
        return {"received": received, "log": _normal(log, [], ports), "status": status}


@pytest.mark.parametrize("case", SERVED, ids=lambda case: case.name)
def test_served(case):
    assert _serve(case, BIN) == _serve(case, REFERENCE)


def test_a_name_of_rules_that_is_not_printable():
    """The original writes it as it is."""
    case = Served("rules-name-not-utf8", FAST + ["-x", b"\xff.cdb"])
    ours, theirs = _serve(case, BIN), _serve(case, REFERENCE)
    assert b"unable to read \\xff.cdb: " in ours["log"]
    theirs["log"] = theirs["log"].replace(b"\xff", b"\\xff")
    assert ours == theirs


# With a DNS of our own: what is looked up, and what is made of the answers.

def reverse(address):
    return ".".join(reversed(address.split("."))) + ".in-addr.arpa"


ZONE = {
    (reverse("127.0.0.1"), "PTR"): ["server.example"],
    ("server.example", "A"): ["127.0.0.1"],
    (reverse("127.0.0.2"), "PTR"): ["good.example"],
    ("good.example", "A"): ["127.0.0.9", "127.0.0.2"],
    (reverse("127.0.0.3"), "PTR"): ["forged.example"],
    ("forged.example", "A"): ["127.0.0.9"],
    (reverse("127.0.0.4"), "PTR"): ["gone.example"],
    (reverse("127.0.0.5"), "PTR"): [
        (reverse("127.0.0.5"), "CNAME", "5.delegated.example"),
        ("5.delegated.example", "PTR", "aliased.example")],
    ("aliased.example", "A"): ["127.0.0.5"],
    (reverse("127.0.0.7"), "PTR"): ["Mixed.Case.EXAMPLE"],
    ("mixed.case.example", "A"): ["127.0.0.7"],
    (reverse("127.0.0.8"), "PTR"): dns.REFUSED,
    (reverse("127.0.0.10"), "PTR"): ["a-b.0-1.example"],
    ("a-b.0-1.example", "A"): ["127.0.0.10"],
    (reverse("127.0.0.11"), "PTR"): [],
}
CLIENTS = tuple(f"127.0.0.{number}" for number in (1, 2, 3, 4, 5, 7, 10, 11, 12))

LOOKED_UP = [
    Served("names", ["-v", "-R"], sources=CLIENTS),
    Served("names-believed", ["-v", "-R", "-p", "-P"], sources=CLIENTS),
    Served("names-checked", ["-v", "-R", "-p"], sources=CLIENTS),
    Served("local-name-only", ["-v", "-R", "-H"], sources=CLIENTS[:2]),
    Served("remote-name-only", ["-v", "-R", "-l0"], sources=CLIENTS[:3]),
    Served("names-of-each-local-address", ["-v", "-R"], host="0", sources=CLIENTS[:2]),
    Served("names-at-other-address", ["-v", "-R"], host="127.0.0.5", sources=CLIENTS[:2]),
    Served("names-without-log", ["-R"], sources=CLIENTS[:3]),
    Served("host-by-name", ["-v", "-R", "-H", "-l0"], host="server.example"),
    Served("host-rules", ["-v", "-R", "-x", "rules.cdb"], sources=CLIENTS,
           rules=b"=good.example:allow,A=\"good\"\n=.example:allow,A=\"example\"\n=:deny\n"
                 b":allow,A=\"none\"\n"),
    Served("host-rules-checked", ["-v", "-R", "-p", "-x", "rules.cdb"], sources=CLIENTS,
           rules=b"=forged.example:allow\n=.EXAMPLE:allow,A=\"upper\"\n=.case.example:deny\n"
                 b"127.0.0.:allow,A=\"address\"\n:deny\n"),
    Served("host-rule-sets-name", ["-v", "-R", "-x", "rules.cdb"], sources=CLIENTS[:2],
           rules=b"=good.example:allow,TCPREMOTEHOST=\"other\"\n"),
    Served("names-and-banner", ["-v", "-R", "-B", "hello\n"], sources=CLIENTS[:2]),
    Served("names-and-no-program", ["-v", "-R"], child=("no-such",), sources=CLIENTS[:2]),
    Served("names-and-no-rules", ["-v", "-R", "-x", "missing.cdb"], sources=CLIENTS[:2]),
]


@pytest.mark.parametrize("case", LOOKED_UP, ids=lambda case: case.name)
def test_looked_up(case):
    with private_network(hosts="\n"), dns.Server(ZONE).running():
        ours, theirs = _serve(case, BIN), _serve(case, REFERENCE)
    assert ours == theirs
