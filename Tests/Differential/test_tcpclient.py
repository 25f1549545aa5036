"""tcpclient beside Debian's, in a network of its own: what it connects to, what it tells the program,
what it says and how it ends."""

import contextlib
import time

import pytest

import dns
from apus import BIN, REFERENCE, environment, run
from harness import Case, compare
from network import private_network, read_all, reset, stuck_server, tcp_server

LOCAL_PORT = (rb"TCPLOCALPORT=\d{4,5}", b"TCPLOCALPORT=PORT")
# The variables of the program in one order, less those of the shell around it.
SHOW = "env | grep -v -e ^PWD= -e ^_= -e ^SHLVL= -e ^OLDPWD= | LC_ALL=C sort"

ZONE = {
    ("one.example", "A"): ["127.0.0.1"],
    ("two.example", "A"): ["127.0.0.1", "127.0.0.3"],
    ("alias.example", "A"): [("alias.example", "CNAME", "one.example"),
                             ("one.example", "A", "127.0.0.1")],
    ("mail.example", "TXT"): ["no address"],
    ("broken.example", "A"): dns.SERVFAIL,
    ("broken.example", "AAAA"): dns.SERVFAIL,
    ("1.0.0.127.in-addr.arpa", "PTR"): ["one.example"],
    ("3.0.0.127.in-addr.arpa", "PTR"): ["three.example"],
    ("both.example", "A"): ["127.0.0.5"],
    ("both.example", "AAAA"): ["::1"],
    ("six.example", "AAAA"): ["::1"],
}

# What the ident server answers, by the port of the connection asked about.
IDENT = {
    "7000": b"7000 , 1 : USERID : UNIX : joe\r\n",
    "7011": b"7011 , 1 : USERID : UNIX :\r\n",
    "7012": b"7012 , 1 : ERROR : NO-USER\r\n",
    "7013": b"x:y:z: a\tb c : d\xff\x01\r\n",
    "7014": b"7014 , 1 : USERID : UNIX : " + b"u" * 400 + b"\r\n",
    "7015": b"7015 , 1 : USERID : UNIX : unfinished",
    "7016": b"no colons\r\n",
    "7017": b"",
    "7018": b"7018,1:USERID:UNIX:bare line feed\n",
    "7019": b"7019 , 1 : USERID : OTHER : a:b:c\r\nmore\r\n",
}


def ident(connection):
    question = connection.recv(100)
    port = question.split(b" ")[0].decode()
    if port == "7020":
        time.sleep(5)
    if port == "7021":
        for byte in b"7021,1:USERID:UNIX:slowly\r\n":
            connection.sendall(bytes([byte]))
            time.sleep(0.01)
    assert question == port.encode() + b" , " + question.split(b" ")[2].strip() + b"\r\n"
    connection.sendall(IDENT.get(port, b""))


def reset_when_asked(connection):
    connection.recv(1)
    reset(connection)


@pytest.fixture(scope="module", autouse=True)
def network():
    with private_network(hosts=""), contextlib.ExitStack() as stack:
        stack.enter_context(dns.Server(ZONE).running())
        stack.enter_context(tcp_server(113, ident))
        for port in [7000, *range(7011, 7022)]:
            stack.enter_context(tcp_server(port, lambda connection: connection.sendall(b"hello\r\n")))
        stack.enter_context(tcp_server(7001, lambda connection: connection.sendall(read_all(connection))))
        stack.enter_context(tcp_server(7002, reset_when_asked))
        stack.enter_context(tcp_server(22, lambda connection: connection.sendall(b"SSH\n")))
        stack.enter_context(tcp_server(7003, lambda connection: connection.sendall(b"three\n"),
                                       address="127.0.0.3"))
        stack.enter_context(tcp_server(7006, lambda connection: connection.sendall(b"six\n"),
                                       address="::1"))
        for address in ("127.0.0.1", "127.0.0.2", "127.0.0.4"):
            stack.enter_context(stuck_server(7004, address))
        yield


def client(name, arguments, program=SHOW, normalise=(), **options):
    """tcpclient with `arguments` and a shell script as its program."""
    return Case(name, "tcpclient", [*arguments, "sh", "-c", program],
                normalise=[LOCAL_PORT, *normalise], **options)


CASES = [
    Case("no arguments", "tcpclient"),
    Case("a host alone", "tcpclient", ["0"]),
    Case("host and port alone", "tcpclient", ["0", "7000"]),
    Case("host and unknown port alone", "tcpclient", ["0", "no-such-service"]),
    Case("options alone", "tcpclient", ["-RHl0"]),
    Case("an unknown option", "tcpclient", ["-z", "0", "7000", "true"]),
    Case("an unknown option in a cluster", "tcpclient", ["-vRz", "0", "7000", "true"]),
    Case("an option without its value", "tcpclient", ["-t"]),
    Case("a local address that is none", "tcpclient", ["-i", "localhost", "0", "7000", "true"]),
    Case("a local address cut short", "tcpclient", ["-i", "127.0.0", "0", "7000", "true"]),
    Case("quiet about too few arguments", "tcpclient", ["-q", "0"]),
    Case("not quiet about an unknown option", "tcpclient", ["-qz"]),
    Case("quiet options end at the host", "tcpclient", ["0", "7000", "echo", "-q"]),

    client("the whole environment", ["-RHl0", "127.0.0.1", "7000"]),
    client("an empty host is this one", ["-RHl0", "", "7000"]),
    client("host 0 is this one", ["-RHl0", "0", "7000"]),
    client("verbose", ["-vRHl0", "0", "7000"], "true"),
    client("the last of -v, -q and -Q counts", ["-vqQRHl0", "0", "1"], "true"),
    client("every variable is replaced or removed", ["-RHl", "", "0", "7000"],
           environment={name: "old" for name in (
               "PROTO", "TCPLOCALIP", "TCPLOCALPORT", "TCPLOCALHOST", "TCPREMOTEIP", "TCPREMOTEPORT",
               "TCPREMOTEHOST", "TCPREMOTEINFO", "TCPOTHER")}),
    client("names from the DNS", ["-R", "127.0.0.1", "7000"]),
    client("names of two addresses", ["-R", "-i", "127.0.0.1", "127.0.0.3", "7003"]),
    client("a host without a name has an empty one", ["-R", "-i", "127.0.0.9", "0", "7000"]),
    client("a local name with odd bytes", ["-RH", "-l", b"a b\xff:%", "0", "7000"]),
    client("long clusters and separate values", ["-R", "-H", "-l", "0", "-t", "1", "-T", "5", "0", "7000"]),
    client("double hyphen", ["-RHl0", "--", "0", "7000"]),

    client("a port by name", ["-RHl0", "0", "ssh"], "cat <&6"),
    client("a port above 65535 wraps", ["-RHl0", "0", "72536"], "cat <&6"),
    Case("an unknown port", "tcpclient", ["-RHl0", "0", "no-such-service", "true"]),
    Case("a port with letters", "tcpclient", ["-RHl0", "0", "7000x", "true"]),
    Case("an empty port is 0", "tcpclient", ["-RHl0", "0", "", "true"]),
    Case("a quiet unknown port", "tcpclient", ["-qRHl0", "0", "no-such-service", "true"]),

    client("brackets and leading zeros", ["-RHl0", "[127.000.000.001]", "7000"]),
    client("numbers wrap at 256", ["-RHl0", "383.256.0.257", "7000"]),
    client("several addresses in one word", ["-vRHl0", "127.0.0.9.127.0.0.1", "7000"]),
    client("what is left of four numbers counts not", ["-vRHl0", "127.0.0.1.127.0", "7000"]),
    Case("too few numbers", "tcpclient", ["-RHl0", "127.1", "7000", "true"]),
    Case("several addresses, none answers", "tcpclient", ["-RHl0", "127.0.0.8.127.0.0.9", "7000", "true"]),
    client("a name", ["-RHl0", "one.example", "7000"]),
    client("an alias", ["-RHl0", "alias.example", "7000"]),
    client("a name in capitals with a dot", ["-RHl0", "ONE.example.", "7000"]),
    client("a name with two addresses, one of them right", ["-RHl0", "two.example", "7003"],
           normalise=[(rb"tcpclient: unable to connect to 127.0.0.1 port 7003: connection refused\n", b"")]),
    Case("a name that is not there", "tcpclient", ["-RHl0", "nobody.example", "7000", "true"]),
    Case("a name without an address", "tcpclient", ["-RHl0", "mail.example", "7000", "true"]),

    Case("refused", "tcpclient", ["-RHl0", "127.0.0.1", "1", "true"]),
    Case("refused quietly", "tcpclient", ["-qRHl0", "127.0.0.1", "1", "true"]),
    Case("refused verbosely", "tcpclient", ["-vRHl0", "127.0.0.1", "1", "true"]),
    Case("unreachable", "tcpclient", ["-RHl0", "192.0.2.1", "1", "true"]),
    Case("a broadcast address", "tcpclient", ["-RHl0", "255.255.255.255", "1", "true"]),

    client("from another address", ["-RHl0", "-i", "127.0.0.77", "0", "7000"]),
    client("from an address with something after it", ["-RHl0", "-i", "127.0.0.77/8", "0", "7000"]),
    client("from a port", ["-RHl0", "-p", "999", "0", "7000"]),
    Case("from an address of somebody else", "tcpclient", ["-i", "192.0.2.7", "0", "7000", "true"]),
    Case("from a port that is taken", "tcpclient", ["-i", "127.0.0.1", "-p", "7000", "0", "7001", "true"]),

    client("descriptors 6 and 7", ["-RHl0", "0", "7001"],
           "printf 'a\\nb' >&7; exec 6<&6 7>&-; echo sent; ls /proc/$$/fd | grep -c '^[67]$'"),
    client("6 and 7 are one socket", ["-RHl0", "0", "7001"],
           "test $(readlink /proc/$$/fd/6) = $(readlink /proc/$$/fd/7) && echo same"),
    client("0, 1 and 2 are left alone", ["-RHl0", "0", "7000"], "cat; cat <&6; echo end >&2", input=b"in\n"),
    client("6 and 7 were open", ["-RHl0", "0", "7000"], script="echo lost > f; tcpclient -RHl0 0 7000 "
           "sh -c 'cat <&6; echo x >&7' 6< f 7> g"),
    client("standard descriptors were closed", [], script="tcpclient -RHl0 0 7000 sh -c 'cat <&6 >&2' <&- >&-"),
    client("reset by the server", ["-RHl0", "0", "7002"], "echo >&7; cat <&6 2>/dev/null || true; echo end"),
    client("signals are the default ones", ["-RHl0", "0", "7000"],
           "grep -E 'Sig(Blk|Ign)' /proc/self/status"),
    client("the exit code is the program's", ["-RHl0", "0", "7000"], "exit 77"),
    client("-D and -d", ["-DdDRHl0", "0", "7000"], "cat <&6"),

    Case("no such program", "tcpclient", ["-RHl0", "0", "7000", "no-such-program"]),
    Case("no such program, quietly", "tcpclient", ["-qRHl0", "0", "7000", "no-such-program"]),
    Case("no such program, verbosely", "tcpclient", ["-vRHl0", "0", "7000", "./a/b"]),
    Case("a program that may not run", "tcpclient", ["-RHl0", "0", "7000", "./plain"],
         files={"plain": (b"", 0o644)}),
    Case("a directory for a program", "tcpclient", ["-RHl0", "0", "7000", "/"]),
    Case("a text for a program", "tcpclient", ["-RHl0", "0", "7000", "./text"],
         files={"text": (b"echo hi\n", 0o755)}),

    client("ident", ["-Hl0", "0", "7000"]),
    client("ident asked by -r after -R", ["-RrHl0", "0", "7000"]),
    client("ident that says nothing", ["-Hl0", "0", "7011"]),
    client("ident without a user", ["-Hl0", "0", "7012"]),
    client("ident with blanks and odd bytes", ["-Hl0", "0", "7013"]),
    client("ident that is too long", ["-Hl0", "0", "7014"]),
    client("ident that is cut off", ["-Hl0", "0", "7015"]),
    client("ident without colons", ["-Hl0", "0", "7016"]),
    client("ident that hangs up", ["-Hl0", "0", "7017"]),
    client("ident with a bare line feed", ["-Hl0", "0", "7018"]),
    client("ident with more colons and lines", ["-Hl0", "0", "7019"]),
    client("ident that is too slow", ["-Hl0", "-t1", "0", "7020"]),
    client("ident byte by byte", ["-Hl0", "0", "7021"]),
    client("ident where nobody listens", ["-Hl0", "127.0.0.3", "7003"]),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case):
    compare(case)


# Arguments before the port, and how many seconds the attempt takes in all.
TIMEOUTS = {
    "one address gets both at once": (["-T1+1", "127.0.0.1"], 2),
    "one address, one time": (["-T1", "127.0.0.1"], 1),
    "one address, only the second": (["-T0+1", "127.0.0.1"], 1),
    "two addresses, each twice": (["-T1+1", "127.0.0.1.127.0.0.2"], 4),
    "two addresses, no second try": (["-T1", "127.0.0.1.127.0.0.2"], 2),
    "refused ones are not tried again": (["-T1+1", "127.0.0.9.127.0.0.1.127.0.0.9"], 2),
    "no time at all": (["-T0", "127.0.0.1"], 0),
    "something else than a plus": (["-T1x9", "127.0.0.1"], 1),
    "a plus with nothing after it": (["-T1+", "127.0.0.1.127.0.0.2"], 2),
}


@pytest.mark.parametrize("name", TIMEOUTS)
def test_timeout(name):
    arguments, seconds = TIMEOUTS[name]

    def took():
        started = time.monotonic()
        compare(Case(name, "tcpclient", ["-RHl0", *arguments, "7004", "true"]))
        elapsed = time.monotonic() - started
        # Both ran, one after the other.
        assert 2 * seconds <= elapsed
        return elapsed

    # A busy machine may take longer now and then, but not every time.
    assert any(took() < 2 * seconds + 1.5 for _ in range(4))


def ours(*arguments, **options):
    return run("tcpclient", *arguments, "sh", "-c", SHOW, env={"PATH": environment()["PATH"]}, **options)


def variables(result):
    return dict(line.split("=", 1) for line in result.stdout.decode().splitlines())


@pytest.mark.parametrize("host", ["::1", "[::1]", "0:0:0:0:0:0:0:1", "six.example"])
def test_ipv6(host):
    result = ours("-vRHl0", host, "7006")
    assert result.stderr == b"tcpclient: connected to ::1 port 7006\n"
    seen = variables(result)
    assert seen["PROTO"] == "TCP6"
    assert (seen["TCPREMOTEIP"], seen["TCPREMOTEPORT"], seen["TCPLOCALIP"]) == ("::1", "7006", "::1")


def test_a_name_with_both_kinds_of_address_falls_back_to_ipv6():
    result = ours("-vRHl0", "both.example", "7006")
    assert result.stderr == (b"tcpclient: unable to connect to 127.0.0.5 port 7006: connection refused\n"
                             b"tcpclient: connected to ::1 port 7006\n")


def test_the_local_address_chooses_the_kind():
    assert variables(ours("-RHl0", "-i", "::1", "both.example", "7006"))["PROTO"] == "TCP6"
    result = ours("-RHl0", "-i", "::1", "one.example", "7000")
    assert (result.returncode, result.stderr) == (
        111, b"tcpclient: fatal: no IP address for one.example\n")
    assert ours("-i", "::x", "0", "7000").returncode == 100


def test_a_name_server_that_fails():
    result = ours("-RHl0", "broken.example", "7000")
    assert result.returncode == 111
    assert result.stderr.startswith(
        b"tcpclient: fatal: temporarily unable to figure out IP address for broken.example: ")


LABEL = "x" * 64 + ".example"


def test_a_label_that_no_query_can_have():
    """As the original says it."""
    text = b"tcpclient: fatal: temporarily unable to figure out IP address for %s: protocol error\n"
    for tools in (BIN, REFERENCE):
        result = run(tools / "tcpclient", "-RHl0", LABEL, "7000", "true")
        assert (result.returncode, result.stderr) == (111, text % LABEL.encode()), tools


def silence(server, query, is_tcp):
    return None


@pytest.mark.parametrize("answer", [dns.SERVFAIL, dns.NXDOMAIN, dns.REFUSED, silence],
                         ids=["SERVFAIL", "NXDOMAIN", "REFUSED", "silence"])
def test_a_broken_answer_about_ipv6_does_ipv4_no_harm(answer):
    """It is not even waited for: IPv6 is asked about when no IPv4 address could be connected to."""
    zone = {("good.example", "A"): ["127.0.0.1"], ("good.example", "AAAA"): answer}
    with private_network(hosts="\n", timeout=60), dns.Server(zone).running() as names:
        with tcp_server(7000, lambda connection: None):
            result = ours("-vRHl0", "good.example", "7000")
            assert result.stderr == b"tcpclient: connected to 127.0.0.1 port 7000\n"
            assert {kind for _, kind, _ in names.queries} == {"A"}


@pytest.mark.parametrize("answer", [dns.SERVFAIL, dns.NXDOMAIN, dns.REFUSED, silence],
                         ids=["SERVFAIL", "NXDOMAIN", "REFUSED", "silence"])
def test_a_broken_answer_about_ipv4_does_ipv6_no_harm(answer):
    zone = {("six.example", "A"): answer, ("six.example", "AAAA"): ["::1"]}
    with private_network(hosts="\n", timeout=1), dns.Server(zone).running():
        with tcp_server(7006, lambda connection: None, "::1"):
            result = ours("-vRHl0", "six.example", "7006")
            assert result.stderr == b"tcpclient: connected to ::1 port 7006\n"


def test_the_hosts_file_counts():
    with private_network(hosts="127.0.0.1 only-here\n"):
        with tcp_server(7000, lambda connection: None):
            assert variables(ours("-R", "only-here", "7000"))["TCPREMOTEHOST"] == "only-here"


def test_the_program_is_found_in_the_callers_path():
    result = run("tcpclient", "-RHl0", "0", "7000", "env",
                 env={"PATH": environment()["PATH"], "TCPREMOTEINFO": "x"})
    assert b"TCPREMOTEINFO" not in result.stdout and result.returncode == 0
