"""rblsmtpd beside Debian's, with a DNS server of the tests' own: who is let in, what the others are told."""

import subprocess
import time

import pytest

import dns
from apus import BIN, environment, run
from harness import Case, compare
from network import private_network

PID = (rb"pid \d+", b"pid PID")
CLIENT = {"TCPREMOTEIP": "192.0.2.1"}


def truncated(server, query, is_tcp):
    return server.message(query, ["over TCP"] if is_tcp else [], truncated=not is_tcp)


def truncated_with_data(server, query, is_tcp):
    return server.message(query, ["over TCP"] if is_tcp else ["over UDP"], truncated=not is_tcp)


def forged(server, query, is_tcp):
    """An answer that somebody sent who did not see the query."""
    return bytes([query[0] ^ 1]) + server.message(query, ["forged"])[1:]


def big(server, query, is_tcp):
    return server.message(query, [["z" * 250] * 200] if is_tcp else [], truncated=not is_tcp)


LISTS = {
    ("text", "TXT"): ["Listed - see http://x/"],
    ("second", "TXT"): ["second list"],
    ("strings", "TXT"): [["one ", "two "], "three"],
    ("odd", "TXT"): ["a\x01b\xe9c\r\nd\t~\x7f"],
    ("empty", "TXT"): [""],
    ("none", "TXT"): [],
    ("long", "TXT"): [["x" * 150, "y" * 150]],
    ("cut", "TXT"): [b"\x20abc"],
    ("other", "TXT"): [("192.0.2.1", "A", "127.0.0.2")],
    ("alias", "TXT"): [("1.2.0.192.alias", "CNAME", "z.z"), ("z.z", "TXT", "by alias")],
    ("foreign", "TXT"): [("q.q", "TXT", "somebody else's")],
    ("truncated", "TXT"): truncated,
    ("partly", "TXT"): truncated_with_data,
    ("big", "TXT"): big,
    ("broken", "TXT"): dns.SERVFAIL,
    ("broken", "A"): dns.SERVFAIL,
    ("good", "A"): ["127.0.0.2"],
    ("good", "TXT"): [],
    ("short", "A"): [b"\x01\x02\x03"],
    ("text", "A"): [],
    ("Capitals.Example", "TXT"): ["found"],
}
OTHERS = {
    ("text", "TXT"): ["no address"],
    ("2.1.text", "TXT"): ["two numbers"],
    ("1.text", "TXT"): ["one number"],
}


@pytest.fixture(scope="module", autouse=True)
def name_server():
    zone = {(f"1.2.0.192.{name}", kind): answer for (name, kind), answer in LISTS.items()}
    with private_network(hosts=""), dns.Server(zone | OTHERS).running() as server:
        yield server


def reject(name, *options, variables=CLIENT, **rest):
    """The refusal at once, or the server's word."""
    return Case(name, "rblsmtpd", ["-t0", *options, "echo", "let in"], environment=variables,
                normalise=[PID], **rest)


def talk(name, text, *options, **rest):
    return Case(name, "rblsmtpd", [*options, "-r", "text", "echo", "let in"], input=text,
                environment=CLIENT, normalise=[PID], **rest)


def preset(name, value, *options):
    return reject(name, *options, variables={**CLIENT, "RBLSMTPD": value})


CASES = [
    Case("no arguments", "rblsmtpd"),
    Case("options alone", "rblsmtpd", ["-b", "-t", "5"]),
    Case("an unknown option", "rblsmtpd", ["-x", "true"]),
    Case("the option of the usage that is none", "rblsmtpd", ["-R", "true"]),
    Case("an option without its value", "rblsmtpd", ["-r"]),
    Case("the list is asked before a wrong option is seen", "rblsmtpd", ["-r", "text", "-x"],
         environment=CLIENT),
    Case("no such server", "rblsmtpd", ["no-such-program"], environment=CLIENT),
    Case("a server that may not run", "rblsmtpd", ["/"], environment=CLIENT),
    Case("the server's exit code", "rblsmtpd", ["-r", "none", "sh", "-c", "exit 9"], environment=CLIENT),
    Case("the server's environment", "rblsmtpd", ["-r", "none", "env"], environment=CLIENT,
         normalise=[(rb"PWD=.*\n", b"")]),
    Case("double hyphen", "rblsmtpd", ["--", "echo", "-t0"], environment=CLIENT),

    reject("no lists"),
    reject("listed", "-r", "text"),
    reject("listed with several strings", "-r", "strings"),
    reject("listed with odd bytes", "-r", "odd"),
    reject("listed with empty text", "-r", "empty"),
    reject("not listed", "-r", "none"),
    reject("not there", "-r", "nowhere"),
    reject("listed with too much text", "-r", "long"),
    reject("a string longer than its record", "-r", "cut"),
    reject("records of another type", "-r", "other"),
    reject("an alias", "-r", "alias"),
    reject("somebody else's record", "-r", "foreign"),
    reject("truncated", "-r", "truncated"),
    reject("truncated with some data", "-r", "partly"),
    reject("50 kilobytes of text", "-r", "big"),
    reject("a list in capitals", "-r", "cAPITALS.eXAMPLE"),
    reject("dots around the list", "-r", ".text."),
    reject("two dots in the list", "-r", "a..b"),
    reject("an empty list", "-r", ""),
    reject("a label too long", "-r", "x" * 64),
    reject("a label too long, failing closed", "-c", "-r", "x" * 64),
    reject("a name too long, failing closed", "-c", "-r", ".".join(["y" * 60] * 5)),
    reject("a list with odd bytes", "-r", b"\xff\x01"),

    reject("the first list counts", "-r", "none", "-r", "second", "-r", "text"),
    reject("bouncing", "-b", "-r", "text"),
    reject("bouncing asked for too late", "-r", "text", "-b"),
    reject("bouncing taken back", "-b", "-B", "-r", "text"),
    reject("bouncing for the second list", "-r", "none", "-b", "-r", "second"),
    reject("clusters", "-bct0", "-rtext"),
    reject("an exception", "-a", "good", "-r", "text"),
    reject("an exception that comes late", "-r", "text", "-a", "good"),
    reject("no exception", "-a", "nowhere", "-r", "text"),
    reject("no exception, there is only text", "-a", "text", "-r", "text"),
    reject("no exception, the record is too short", "-a", "short", "-r", "text"),
    reject("only an exception", "-a", "good"),
    reject("a failure, failing closed", "-b", "-c", "-r", "broken", "-r", "text"),
    reject("a failure, failing open", "-b", "-r", "broken", "-r", "text"),
    reject("a failing exception", "-a", "broken", "-r", "text"),
    reject("a failing exception, failing closed", "-b", "-c", "-a", "broken", "-r", "text"),

    reject("no address", "-r", "text", variables={}),
    reject("an empty address", "-r", "text", variables={"TCPREMOTEIP": ""}),
    reject("two numbers", "-r", "text", variables={"TCPREMOTEIP": "1.2"}),
    reject("dots in the address", "-r", "text", variables={"TCPREMOTEIP": "..1"}),
    reject("an odd address", "-r", "text", variables={"TCPREMOTEIP": "a b\xff"}),

    preset("$RBLSMTPD empty", ""),
    preset("$RBLSMTPD empty lets in who is listed", "", "-r", "text"),
    preset("$RBLSMTPD with text", "go away"),
    preset("$RBLSMTPD with a hyphen", "-go away"),
    preset("$RBLSMTPD is a hyphen", "-"),
    preset("$RBLSMTPD with odd bytes", "a\tb\x7f\xe9"),
    preset("$RBLSMTPD too long", "-" + "z" * 300),
    preset("$RBLSMTPD and -b", "text", "-b"),
    preset("$RBLSMTPD and an exception", "text", "-a", "good"),

    reject("$DNSCACHEIP", "-r", "text", variables={**CLIENT, "DNSCACHEIP": "127.0.0.1"}),
    reject("$DNSCACHEIP with one that does not listen", "-r", "text",
           variables={**CLIENT, "DNSCACHEIP": "127.0.0.9.127.0.0.1"}),
    reject("$DNSCACHEIP that is none", "-r", "text", variables={**CLIENT, "DNSCACHEIP": "x"}),

    talk("a conversation", b"HELO x\r\nehlo\nMAIL FROM:<a>\r\nRcpt TO:<b>\r\ndata\r\nrset\r\nNOOP x\r\n"
         b"\r\n\nquit\r\nnoop\r\n"),
    talk("no verbs", b"helox\r\n helo\r\nhel\nvrfy\nAUTH\n\0\nquit now\r\n"),
    talk("it ends without quit", b"noop\n"),
    talk("a line without end", b"quit"),
    talk("nothing said", b""),
    talk("two CRs", b"noop\r\r\nquit\n"),
    talk("a NUL", b"noop\0x\r\nquit\0\nquit\n"),
    talk("a line of a megabyte", b"x" * 1_000_000 + b"\nquit\n"),
    talk("a thousand lines at once", b"noop\r\nrcpt\r\n" * 500 + b"quit\r\n"),
    talk("bouncing in conversation", b"helo x\nmail\nrcpt\nquit\n", "-b"),
    talk("a timeout that is no number", b"quit\n", "-tx"),
    talk("a refusal that nobody reads", b"quit\n", script="echo quit | rblsmtpd -t0 -r text true >&-; echo $?"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case):
    compare(case)


def test_the_conversation_times_out():
    """Silently, and with 0, wherever the client stands."""
    outcomes = []
    for programs in (BIN, "/usr/bin"):
        started = time.monotonic()
        process = subprocess.Popen([f"{programs}/rblsmtpd", "-t1", "-r", "text", "true"],
                                   env=CLIENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL)
        process.stdin.write(b"helo x\r\nrcp")
        process.stdin.flush()
        output = process.stdout.read()
        outcomes.append((process.wait(10), output))
        # The default is 60.
        assert 1 <= time.monotonic() - started < 30
        process.stdin.close()
        process.stdout.close()
    assert outcomes[0] == outcomes[1] == (0, b"220 rblsmtpd.local\r\n250 rblsmtpd.local\r\n")


def test_a_silent_server_is_given_three_seconds():
    """Then the next one is asked, in both."""
    with dns.Server({("1.2.0.192.text", "TXT"): lambda *_: None}, address="127.0.0.2").running():
        started = time.monotonic()
        compare(reject("silence", "-r", "text",
                       variables={**CLIENT, "DNSCACHEIP": "127.0.0.2.127.0.0.1"}))
        # Another eleven seconds would be the next round.
        assert 6 <= time.monotonic() - started < 6 + 11


def test_a_forged_answer_is_passed_over():
    """One with another id counts as silence."""
    with dns.Server({("1.2.0.192.text", "TXT"): forged}, address="127.0.0.2").running():
        compare(reject("forgery", "-r", "text",
                       variables={**CLIENT, "DNSCACHEIP": "127.0.0.2.127.0.0.1"}))


def refusal(*options, client="192.0.2.1"):
    return run("rblsmtpd", "-t0", *options, "echo", "let in", env=environment(TCPREMOTEIP=client)).stdout


def test_lists_with_addresses():
    """Debian's does not have this patch."""
    assert refusal("-r", "good:%IP% is bad, %X%") == b"451 192.0.2.1 is bad, %X%\r\n"
    assert refusal("-b", "-r", "good:a:b") == b"553 a:b\r\n"
    assert refusal("-r", "nowhere:x", "-r", "good:") == b"let in\n"
    assert refusal("-r", "text:x") == b"let in\n"
    assert refusal("-c", "-r", "broken:x") == b"451 temporary RBL lookup error\r\n"
    assert refusal("-r", "broken:x", "-b", "-r", "good:y") == b"451 y\r\n"


def test_ipv6_clients(name_server):
    name = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.six"
    name_server.zone[(name, "TXT")] = ["listed"]
    assert refusal("-r", "six", client="2001:db8::1") == b"451 listed\r\n"
    assert refusal("-r", "six", client="2001:db8::2") == b"let in\n"


def test_failures_are_told_at_once():
    """Debian's waits 11 seconds before it gives up on a server that has answered that it cannot tell."""
    started = time.monotonic()
    assert refusal("-c", "-r", "broken") == b"451 temporary RBL lookup error\r\n"
    assert time.monotonic() - started < 11
