"""tcprules and tcprulescheck against Debian's: the same text makes the same file, byte for byte, and
the same look-up gives the same words."""

import os
import subprocess
import tempfile

import pytest
from apus import BIN, REFERENCE
from harness import Case, compare

# Text of rules: each line of reasoning once. All are compiled and the files compared.
TEXTS = {
    "empty": b"",
    "only-newlines": b"\n\n\n",
    "comment": b"# 1.2.3.4:deny\n:allow\n",
    "comment-not-at-start": b" #:allow\n",
    "allow": b"1.2.3.4:allow\n",
    "deny": b"1.2.3.4:deny\n",
    "no-last-newline": b"1.2.3.4:deny",
    "no-colon": b"1.2.3.4 deny\n5.6.7.8:deny\n",
    "default": b":deny\n",
    "prefixes": b"1.2.3.:allow\n1.2.:deny\n1.:allow\n",
    "duplicate": b"1.2.3.4:allow,A=\"first\"\n1.2.3.4:deny\n",
    "trailing-blanks": b"1.2.3.4:deny \t \t\n",
    "trailing-cr": b"1.2.3.4:deny\r\n",
    "trailing-vertical-tab": b"1.2.3.4:deny\v\n",
    "blank-before-deny": b"1.2.3.4: deny\n",
    "blank-before-address": b" 1.2.3.4:deny\n",
    "upper-case": b"1.2.3.4:DENY\n",
    "deny-and-more": b"1.2.3.4:denyx\n",
    "allow-colon": b"1.2.3.4:allow:\n",
    "nothing-after-colon": b"1.2.3.4:\n",
    "two-colons": b"1.2.3.4::allow\n",
    "allowed": b"1.2.3.4:allowed\n",
    "variable": b"1.2.3.4:allow,RELAYCLIENT=\"\"\n",
    "variables": b"1.2.3.4:allow,A=\"1\",B=/2/,C=x3x,D==4=\n",
    "variable-after-deny": b"1.2.3.4:deny,A=\"x\"\n",
    "variable-no-quote": b"1.2.3.4:allow,A=\n",
    "variable-one-quote": b"1.2.3.4:allow,A=\"\n",
    "variable-unclosed": b"1.2.3.4:allow,A=\"abc\n",
    "variable-no-equals": b"1.2.3.4:allow,A\n",
    "variable-no-name": b"1.2.3.4:allow,=\"x\"\n",
    "variable-blank": b"1.2.3.4:allow, A=\"x\"\n",
    "variable-blank-after": b"1.2.3.4:allow,A=\"x\" ,B=\"y\"\n",
    "variable-comma-only": b"1.2.3.4:allow,\n",
    "variable-comma-in-value": b"1.2.3.4:allow,A=\"x,y:z\"\n",
    "variable-comma-in-name": b"1.2.3.4:allow,A,B=\"x\"\n",
    "variable-quote-inside": b"1.2.3.4:allow,A='it\"s'\n",
    "variable-quote-is-letter": b"1.2.3.4:allow,A=aba\n",
    "variable-quote-is-comma": b"1.2.3.4:allow,A=,b,,C=\"d\"\n",
    "variable-quote-is-nul": b"1.2.3.4:allow,A=\0b\0\n",
    "variable-same-twice": b"1.2.3.4:allow,A=\"1\",A=\"2\"\n",
    "variable-not-utf8": b"1.2.3.4:allow,A=\"\xff\xfe\x80\"\n",
    "variable-quote-is-high": b"1.2.3.4:allow,A=\xffb\xff\n",
    "variable-trailing-blank-in-quotes": b"1.2.3.4:allow,A=\"b \t",
    "address-not-utf8": b"\xff\xfe:deny\n",
    "address-nul": b"1.2\0.3:deny\n",
    "address-control": b"\x01\x02\x7f:deny\n",
    "address-blank": b"   :deny\n",
    "range": b"1.2.3.37-53:deny\n",
    "range-start": b"1-3.2.:deny\n",
    "range-middle": b"1.2-4.3.:deny\n",
    "range-prefix": b"127.0-5.:allow\n",
    "range-one": b"1.2.3.7-7:deny\n",
    "range-backwards": b"1.2.3.9-7:deny\n",
    "range-over-255": b"1.2.3.250-999:deny\n",
    "range-all-over-255": b"1.2.3.300-400:deny\n",
    "range-full": b"10.0-255.:deny\n",
    "range-leading-zeros": b"1.2.3.007-010:deny\n",
    "range-no-bottom": b"1.2.3.-3:deny\n",
    "range-no-top": b"1.2.3.0-:deny\n",
    "range-only-dash": b"-:deny\n",
    "range-two-dashes": b"1.2-3.4-5:deny\n",
    "range-two-dashes-in-one": b"1.2.3-4-5:deny\n",
    "range-letters": b"1.2.3.a-b:deny\n",
    "range-half-number": b"1.2.3.4x-5:deny\n",
    "range-wraps": b"1.2.3.18446744073709551617-2:deny\n",
    "range-with-variables": b"1.2.3.1-3:allow,A=\"x\"\n",
    "range-and-host": b"=a-b.example:deny\n",
    "range-and-user": b"joe@1.2.3.4-5:deny\n",
    "host": b"=mail.example.org:allow\n",
    "host-suffix": b"=.example.org:allow\n=:deny\n",
    "host-upper": b"=Mail.EXAMPLE.org:deny\n",
    "user": b"joe@127.0.0.1:deny\njoe@=host.example:allow\n",
    "user-colon-in-name": b"a:b@1.2.3.4:deny\n",
    "dash-first-wins": b"1.2.3.1-9:allow\n1.2.3.5:deny\n",
    "bad-after-good": b"1.2.3.4:deny\nbad:line\n5.6.7.8:deny\n",
    "bad-not-utf8": b"1.2.3.4:\xff\xfe \n",
    "bad-last-without-newline": b"1.2.3.4:nonsense",
    "long-address": b"a" * 5000 + b":deny\n",
    "long-value": b"1.2.3.4:allow,A=\"" + b"v" * 9000 + b"\"\n",
    "many": b"".join(b"10.%d.%d.:%s\n" % (i // 256, i % 256, b"deny" if i % 3 else b"allow")
                     for i in range(3000)),
    "all-tables": b"".join(b"%d:deny\n" % i for i in range(2000)),
    "slash-no-address": b"1.2.3/24:deny\n",
    "slash-letters": b"net/24:deny\n",
    "bracket-no-address": b"[1.2.3.4:deny\n",
    "bracket-no-close": b"[::1:deny\n",
    "cidr": b"10.0.0.64/26:deny\n",
    "cidr-length-33": b"10.0.0.0/33:deny\n",
    "ipv6": b"[::1]:deny\n",
    "ipv6-prefix": b"[2001:db8::]/32:deny\n",
    "ipv6-bad-length": b"[2001:db8::]/129:deny\n",
}


@pytest.mark.parametrize("name", TEXTS)
def test_compiling(name):
    compare(Case(name, "tcprules", ["rules.cdb", "rules.tmp"], input=TEXTS[name]))


COMMANDS = [
    Case("no-arguments", "tcprules"),
    Case("one-argument", "tcprules", ["rules.cdb"]),
    Case("three-arguments", "tcprules", ["a", "b", "c"], input=b":deny\n"),
    Case("option-like", "tcprules", ["-x", "-y"], input=b":deny\n"),
    Case("argument-not-utf8", "tcprules", [b"\xff.cdb", b"\xfe.tmp"], input=b":deny\n"),
    Case("no-directory", "tcprules", ["a", "none/b"], input=b":deny\n"),
    Case("temporary-is-directory", "tcprules", ["a", "b"], input=b":deny\n", files={"b": None}),
    Case("target-is-directory", "tcprules", ["a", "b"], input=b":deny\n", files={"a": None}),
    Case("target-directory-missing", "tcprules", ["none/a", "b"], input=b":deny\n"),
    Case("replaces", "tcprules", ["a", "b"], input=b":deny\n",
         files={"a": b"old", "b": b"older and longer" * 300}),
    Case("bad-line-keeps-old", "tcprules", ["a", "b"], input=b"x:y\n", files={"a": b"old"}),
    Case("closed-input", "tcprules", script="exec tcprules a b <&-"),
    Case("input-is-directory", "tcprules", script="exec tcprules a b < ."),
    Case("umask-077", "tcprules", script="umask 077; echo :deny | tcprules a b"),
    Case("umask-0", "tcprules", script="umask 0; echo :deny | tcprules a b"),
    Case("check-no-arguments", "tcprulescheck"),
    Case("check-missing", "tcprulescheck", ["none"]),
    Case("check-directory", "tcprulescheck", ["."]),
    Case("check-two-arguments", "tcprulescheck", ["none", "b"]),
    Case("check-fifo", "tcprulescheck",
         script="mkfifo f; timeout 1 tcprulescheck f; echo $?; rm f"),
]


@pytest.mark.parametrize("case", COMMANDS, ids=lambda case: case.name)
def test_command(case):
    compare(case)


RULES = b"""joe@1.2.3.4:deny,RULE="user at address"
joe@=a.b.c:allow,RULE="user at host"
1.2.3.4:allow,RULE="address",SECOND=/two/
=a.b.c:deny,RULE="host"
1.2.3.:allow,RULE="three"
1.2.:deny
1.:allow,RULE="one"
=.b.c:allow,RULE="suffix"
=.c:deny
=:allow,RULE="any host"
:deny,RULE="default"
"""

# address, host, info: one for every step of the order in which keys are tried.
LOOKUPS = {
    "nothing-set": {},
    "user-at-address": {"TCPREMOTEIP": "1.2.3.4", "TCPREMOTEINFO": "joe", "TCPREMOTEHOST": "a.b.c"},
    "user-at-host": {"TCPREMOTEIP": "1.2.3.5", "TCPREMOTEINFO": "joe", "TCPREMOTEHOST": "a.b.c"},
    "other-user": {"TCPREMOTEIP": "1.2.3.4", "TCPREMOTEINFO": "jim", "TCPREMOTEHOST": "a.b.c"},
    "empty-user": {"TCPREMOTEIP": "1.2.3.4", "TCPREMOTEINFO": ""},
    "address": {"TCPREMOTEIP": "1.2.3.4"},
    "host-before-prefix": {"TCPREMOTEIP": "1.2.3.9", "TCPREMOTEHOST": "a.b.c"},
    "prefix-three": {"TCPREMOTEIP": "1.2.3.9"},
    "prefix-two": {"TCPREMOTEIP": "1.2.9.9"},
    "prefix-one": {"TCPREMOTEIP": "1.9.9.9"},
    "prefix-before-suffix": {"TCPREMOTEIP": "1.9.9.9", "TCPREMOTEHOST": "x.b.c"},
    "suffix-long": {"TCPREMOTEIP": "9.9.9.9", "TCPREMOTEHOST": "x.b.c"},
    "suffix-short": {"TCPREMOTEIP": "9.9.9.9", "TCPREMOTEHOST": "x.y.c"},
    "suffix-leading-dot": {"TCPREMOTEIP": "9.9.9.9", "TCPREMOTEHOST": ".b.c"},
    "any-host": {"TCPREMOTEIP": "9.9.9.9", "TCPREMOTEHOST": "x.y.z"},
    "empty-host": {"TCPREMOTEIP": "9.9.9.9", "TCPREMOTEHOST": ""},
    "host-case": {"TCPREMOTEIP": "9.9.9.9", "TCPREMOTEHOST": "A.B.C"},
    "default": {"TCPREMOTEIP": "9.9.9.9"},
    "empty-address": {"TCPREMOTEIP": ""},
    "not-an-address": {"TCPREMOTEIP": "1.2.3.nonsense"},
    "address-without-dots": {"TCPREMOTEIP": "1"},
    "address-ends-in-dot": {"TCPREMOTEIP": "1.2.3."},
}


def _compiled(text):
    """The file Debian's tcprules makes of `text`, with which both programs are asked."""
    with tempfile.TemporaryDirectory(prefix="differential-") as directory:
        subprocess.run([REFERENCE / "tcprules", "a", "b"], input=text, cwd=directory, check=True)
        with open(os.path.join(directory, "a"), "rb") as file:
            return file.read()


@pytest.mark.parametrize("name", LOOKUPS)
def test_lookup(name):
    compare(Case(f"lookup-{name}", "tcprulescheck", ["rules.cdb"], environment=LOOKUPS[name],
                 files={"rules.cdb": _compiled(RULES)}))


def test_lookup_without_rules():
    compare(Case("lookup-none", "tcprulescheck", ["rules.cdb"],
                 files={"rules.cdb": _compiled(b"")}))


def test_lookup_among_many():
    """Keys that share a table and its slots are told apart."""
    for address in ("10.0.7.1", "10.11.183.9", "10.12.0.1"):
        compare(Case(f"lookup-many-{address}", "tcprulescheck", ["rules.cdb"],
                     environment={"TCPREMOTEIP": address},
                     files={"rules.cdb": _compiled(TEXTS["many"])}))


def _damaged():
    whole = _compiled(b"1.2.3.4:allow,A=\"x\"\n:deny\n")
    return {
        "empty-file": b"",
        "short-header": whole[:1000],
        "header-only": whole[:2048],
        "truncated-records": whole[:2060],
        "truncated-tables": whole[:-8],
        "text": b"1.2.3.4:allow\n" * 400,
        "zeroed-header": bytes(2048) + whole[2048:],
        "item-unknown": whole.replace(b"+A=x\0", b"?A=x\0"),
        "item-unended": whole.replace(b"+A=x\0", b"+A=xy"),
        "variable": whole.replace(b"+A=x\0", b"+Amx\0"),
    }


@pytest.mark.parametrize("name", _damaged())
def test_damaged(name):
    compare(Case(f"corrupt-{name}", "tcprulescheck", ["rules.cdb"],
                 environment={"TCPREMOTEIP": "1.2.3.4"}, files={"rules.cdb": _damaged()[name]}))


def test_debian_reads_ours(tmp_path):
    """Prefixes in slash notation work in Debian's programs, which know nothing of them."""
    text = b"10.0.0.64/26:deny\n10.0.0.0/8:allow,A=\"x\"\n:deny\n"
    subprocess.run([BIN / "tcprules", "a", "b"], input=text, cwd=tmp_path, check=True)

    def check(address):
        result = subprocess.run(
            [REFERENCE / "tcprulescheck", "a"], capture_output=True, cwd=tmp_path,
            env={"TCPREMOTEIP": address})
        return result.stdout.splitlines()

    assert check("10.0.0.63") == [
        b"rule 10.:", b"set environment variable A=x", b"allow connection"]
    assert check("10.0.0.64") == [b"rule 10.0.0.64:", b"deny connection"]
    assert check("10.0.0.127") == [b"rule 10.0.0.127:", b"deny connection"]
    assert check("10.0.0.128")[0] == b"rule 10.:"
    assert check("11.0.0.1")[0] == b"rule :"


# --- the temporary file -------------------------------------------------------------------------


def compiled(directory, *options, text=b":deny\n"):
    return subprocess.run([BIN / "tcprules", *options, "rules.cdb", "rules.tmp"], input=text,
                          capture_output=True, cwd=directory)


@pytest.mark.parametrize("kind", ["symbolic", "dangling", "hard", "left over"])
def test_no_link_is_followed(tmp_path, kind):
    """Somebody else may have made rules.tmp: what it leads to stays as it is."""
    target = tmp_path / "precious"
    target.write_bytes(b"precious")
    temporary = tmp_path / "rules.tmp"
    if kind == "symbolic":
        temporary.symlink_to(target)
    elif kind == "dangling":
        temporary.symlink_to(tmp_path / "not-there")
    elif kind == "hard":
        temporary.hardlink_to(target)
    else:
        temporary.write_bytes(b"x" * 10000)
    assert compiled(tmp_path).returncode == 0
    assert target.read_bytes() == b"precious"
    assert not (tmp_path / "not-there").exists()
    rules = tmp_path / "rules.cdb"
    assert not rules.is_symlink() and rules.stat().st_nlink == 1
    assert not temporary.exists() and not temporary.is_symlink()
    assert rules.stat().st_mode & 0o777 == 0o644


def test_a_value_with_a_nul(tmp_path):
    """Read again it would be another rule: the original compiles this one to a denial."""
    result = compiled(tmp_path, text=b"1.2.3.4:allow,A=\"a\0D\"\n")
    assert result.returncode == 100 and b"unable to parse this line: 1.2.3.4:allow,A=" in result.stderr


def test_a_temporary_name_that_cannot_be_had(tmp_path):
    (tmp_path / "rules.tmp").mkdir()
    result = compiled(tmp_path)
    assert result.returncode == 111
    assert result.stderr == b"tcprules: fatal: unable to create rules.tmp: is a directory\n"


def test_rules_are_on_disk_before_they_have_their_name(tmp_path):
    """A crash leaves the old rules or the new ones: write, fsync, rename, in this order."""
    trace = tmp_path / "trace"
    subprocess.run(["strace", "-qq", "-o", trace, "-e", "trace=openat,write,fsync,rename,renameat",
                    BIN / "tcprules", "rules.cdb", "rules.tmp"], input=b"1.2.3.4:deny\n" * 5000,
                   cwd=tmp_path, check=True)
    calls = [line.split("(")[0] for line in trace.read_text().splitlines() if "ENOENT" not in line]
    calls = calls[calls.index("openat"):]
    assert calls[-2] == "fsync" and calls[-1].startswith("rename")
    assert set(calls[1:-2]) == {"write"}
    opened = trace.read_text().split("rename")[0]
    assert "O_EXCL" in opened and "O_NOFOLLOW" in opened


@pytest.mark.parametrize("call", ["write", "fsync"])
def test_a_full_disk(tmp_path, call):
    (tmp_path / "rules.cdb").write_bytes(b"old")
    result = subprocess.run(["strace", "-qq", "-o", "/dev/null", "-e", f"inject={call}:error=ENOSPC",
                             "-P", tmp_path / "rules.tmp", BIN / "tcprules", "rules.cdb", "rules.tmp"],
                            input=b":deny\n", capture_output=True, cwd=tmp_path)
    assert (result.returncode, result.stderr) == (
        111, b"tcprules: fatal: unable to write to rules.tmp: out of disk space\n")
    assert (tmp_path / "rules.cdb").read_bytes() == b"old"


def test_warnings(tmp_path):
    text = b"10:deny\n10.:deny\n10.:allow\n*:deny\n1.2.3.4-1.2.3.9:deny\n:allow"
    result = compiled(tmp_path, "-w", text=text)
    assert result.returncode == 0
    assert result.stderr == b"".join(
        b"tcprules: warning: no client can match all of this line: %s\n" % line
        for line in (b"10:deny", b"10.:allow", b"*:deny", b"1.2.3.4-1.2.3.9:deny"))
    warned = (tmp_path / "rules.cdb").read_bytes()
    result = compiled(tmp_path, text=text)
    assert (result.returncode, result.stderr) == (0, b"")
    assert (tmp_path / "rules.cdb").read_bytes() == warned


def test_a_million_lines_take_what_the_original_takes(tmp_path):
    """Where Debian's finds enough memory, so does ours; and it takes no more than twice the time."""
    text = tmp_path / "rules"
    with open(text, "wb") as file:
        for number in range(1_000_000):
            file.write(b"10.%d.%d.%d:deny\n" % (number >> 16, number >> 8 & 255, number & 255))
    limit = 24 << 20
    used = {}
    for tools, name in (REFERENCE, "theirs.cdb"), (BIN, "ours.cdb"):
        times = []
        for _ in range(3):
            with open(text, "rb") as rules:
                process = subprocess.Popen(["prlimit", f"--data={limit}:{limit}", tools / "tcprules", name,
                                            "rules.tmp"], stdin=rules, cwd=tmp_path)
                _, status, usage = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(status)
            assert process.returncode == 0, tools
            times.append(usage.ru_utime)
        used[tools] = min(times)
    assert subprocess.run(["cmp", "theirs.cdb", "ours.cdb"], cwd=tmp_path).returncode == 0
    assert used[BIN] < 2 * used[REFERENCE] + 0.25, used
