"""svlogd against runit's: the same lines make the same files, cut at the same places, with the same permissions."""

import pytest

from harness import TAI64N, Case, compare

DATE = (rb"[0-9]{4}-[0-9]{2}-[0-9]{2}([_T])[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{5}", rb"DATE\1TIME")
STAMPS = [TAI64N, DATE]
LINES = b"".join(b"line %d\n" % number for number in range(300))
SOME = b"".join(LINES.splitlines(True)[:170])
LONG = b"x" * 3000 + b"\n"


def svlogd(name, *arguments, config=None, input=b"one\ntwo\n", files=None, normalise=STAMPS, **options):
    """A run over `input` with one directory `d`, which has this config."""
    content = {"d": None, **(files or {})}
    if config is not None:
        content["d/config"] = config
    return Case(f"svlogd: {name}", "svlogd", list(arguments) or ["d"], input=input, files=content,
                normalise=normalise, **options)


def script(name, text, config=None, files=None, **options):
    content = {"d": None, **(files or {})}
    if config is not None:
        content["d/config"] = config
    return Case(f"svlogd: {name}", "svlogd", script=text, files=content, normalise=STAMPS, **options)


USAGE = [
    Case("svlogd: no argument", "svlogd"),
    svlogd("an unknown option", "-z", "d"), svlogd("-r of two bytes", "-r", "ab", "d"),
    svlogd("-r of none", "-r", "", "d"), svlogd("-r without a value", "-r"),
    svlogd("options and no directory", "-ttt", "-v"), svlogd("a buffer as long as a line", "-b", "1000", "d"),
    svlogd("a line as long as the buffer", "-l", "1024", "d"), svlogd("-V", "-V"),
    svlogd("-l is no number", "-l", "x", "d"), svlogd("-l is 0", "-l", "0", "d"),
    svlogd("-b is no number", "-b", "x", "d"),
    svlogd("a long option", "--", "d"),
    svlogd("a directory that is missing", "no"), svlogd("a directory that is a file", "f", files={"f": b""}),
    svlogd("one of two directories is missing", "no", "d"), svlogd("both are missing", "no", "none"),
    svlogd("a directory of odd bytes", b"\xff\n"),
    script("a directory that is locked", "touch d/lock; chmod 600 d/lock; setlock -n d/lock svlogd d </dev/null;"
           "echo $?"),
]

WRITING = [
    svlogd("no lines", input=b""), svlogd("two lines"), svlogd("many lines", input=LINES),
    svlogd("empty lines", input=b"\n\n\n"), svlogd("odd bytes", input=bytes(range(256)) * 3 + b"\n"),
    svlogd("NULs", input=b"a\0b\n\0\n"), svlogd("a long line", input=LONG + b"short\n"),
    svlogd("a long line without an end", input=LONG[:-1]),
    svlogd("a line as long as the limit", input=b"y" * 1000 + b"\nz\n"),
    svlogd("a line one longer than the limit", input=b"y" * 1001 + b"\nz\n"),
    svlogd("a line without an end", input=b"one\ntwo"),
    svlogd("two directories", "d", "e", files={"e": None}, input=LINES),
    svlogd("the same directory twice", "d", "d"),
    svlogd("-t", "-t", "d"), svlogd("-tt", "-tt", "d"), svlogd("-ttt", "-ttt", "d"),
    svlogd("-tttt", "-tttt", "d"), svlogd("-t -t", "-t", "-t", "d"),
    svlogd("-t and empty lines", "-t", "d", input=b"\n\n"),
    svlogd("-t and a long line", "-t", "d", input=LONG + b"short\n"),
    svlogd("-r", "-r", "?", "d", input=bytes(range(256)) + b"\n"),
    svlogd("-r a tab", "-r", ".", "d", input=b"a\tb\x7f\xe9\n"),
    svlogd("-R", "-R", "aeiou", "d", input=b"hello world\n"),
    svlogd("-r and -R", "-r", "#", "-R", "lo", "d", input=b"hello\tworld\n"),
    svlogd("-R and -r", "-R", "lo", "-r", "#", "d", input=b"hello\tworld\n"),
    svlogd("-R empty", "-R", "", "d", input=b"a\tb\n"),
    svlogd("-r in a long line", "-r", "?", "-l", "5", "d", input=b"a\tb\tc\td\te\n"),
    svlogd("-l", "-l", "4", "d", input=b"abcdefgh\nabcd\nabc\n", config=b"-abcd\n"),
    svlogd("-l and -b", "-l", "10", "-b", "11", "d", input=LINES, config=b"s200\nn50\n"),
    svlogd("a large buffer", "-b", "100000", "d", input=LINES, config=b"s1500\n"),
]

CONFIG = [
    svlogd("config is empty", config=b""), svlogd("config has comments and empty lines", config=b"#c\n\n\n# d\n"),
    svlogd("config has lines that mean nothing", config=b"zap\nQ\n 1\n"),
    svlogd("config without a last newline", config=b"#x\npP: "),
    svlogd("config is a directory", files={"d/config": None}),
    svlogd("prefix", config=b"pweb: \n"), svlogd("prefix and stamps", "-t", "d", config=b"pweb: \n"),
    svlogd("prefix twice", config=b"pa\npb\n"), svlogd("prefix of none", config=b"p\n"),
    *(svlogd(f"pattern {pattern.decode()}", config=b"-*\n+" + pattern + b"\n",
             input=b"one\ntwo\nfoo bar\naaab\nb\n\nfoo: x: y\n")
      for pattern in [b"one", b"o", b"*", b"*o", b"two*", b"*o*", b"*o bar", b"+ab", b"+a+b", b"f+o*", b"foo: *",
                      b"*: *: *", b"", b"**", b"+", b"*a*"]),
    svlogd("pattern +bx", config=b"-*\n+" + b"+bx\n", input=b"b\nbx\nbbx\nx\n"),
    svlogd("deselect", config=b"-one\n"), svlogd("deselect all, select one", config=b"-*\n+two\n"),
    svlogd("select alone", config=b"+two\n"), svlogd("select then deselect", config=b"+*\n-two\n"),
    svlogd("patterns do not see stamps", "-t", "d", config=b"-one\n"),
    svlogd("patterns do not see the prefix", config=b"px\n-one\n"),
    svlogd("patterns see replaced bytes", "-r", "?", "d", config=b"-a?b\n", input=b"a\tb\nc\n"),
    svlogd("a deselected long line", config=b"-x*\n", input=LONG + b"y\n" + LONG),
    svlogd("e", config=b"eone\n"), svlogd("e all", config=b"e*\n"), svlogd("e then E", config=b"e*\nEtwo\n"),
    svlogd("E alone", config=b"Etwo\n"), svlogd("e of what is deselected", config=b"-*\neone\n"),
    svlogd("e with a stamp and a prefix", "-tt", "d", config=b"e*\npweb: \n"),
    svlogd("e of a long line", config=b"e*\n", input=LONG + b"y" * 1000 + b"\n"),
    svlogd("e of a short limit", "-l", "3", "d", config=b"e*\n", input=b"ab\nabc\nabcd\n"),
    svlogd("two directories select each for itself", "d", "e", config=b"-one\n", files={"e/config": b"-two\n"}),
    *(svlogd(f"u {text.decode()}", config=b"u" + text + b"\n") for text in [
        b"x", b"1.2.3", b"127.0.0.1:0", b"127.0.0.1:x", b"127.0.0.1.", b""]),
    svlogd("u to a port that nobody listens on", config=b"u127.0.0.1:9\n"),
    svlogd("U to a port that nobody listens on", config=b"U127.0.0.1:9\n"),
    svlogd("u without a port", config=b"u127.0.0.1\n"),
]

ROTATION = [
    svlogd("size 1", config=b"n100\ns1\n", input=b"one\ntwo\n"),
    *(svlogd(f"size {size.decode()}", config=b"n100\ns" + size + b"\n", input=LINES)
      for size in [b"500", b"1000", b"1001", b"1500", b"2000", b"2500", b"0", b"1k", b"2k", b"1m", b"x", b""]),
    *(svlogd(f"size {size} and lines of {length}", config=b"n100\ns%d\n" % size,
             input=b"".join(b"%d" % (n % 10) * (n * length % 311) + b"\n" for n in range(60)))
      for size in [1100, 1700, 3000] for length in [1, 7, 50, 170]),
    svlogd("a size below a long line", config=b"s2000\nn50\n", input=LONG * 3),
    svlogd("a size and stamps", "-tt", "d", config=b"s1300\nn50\n", input=LINES),
    svlogd("a size and a prefix", config=b"s1300\nn50\npprefix \n", input=LINES),
    *(svlogd(f"count {count.decode()}", config=b"s1050\nn" + count + b"\n", input=LINES * 8)
      for count in [b"1", b"2", b"3", b"0", b"x"]),
    svlogd("the usual count", config=b"s1050\n", input=LINES * 8),
    svlogd("what is there counts", config=b"s1050\nn2\n", input=LINES, files={
        f"d/@{number:024x}.s": b"old\n" for number in range(5)}),
    svlogd("other names do not count", config=b"s1050\nn2\n", input=LINES, files={
        "d/@x.s": b"x", "d/@" + "0" * 24: b"y", "d/@" + "0" * 24 + ".sx": b"z"}),
    svlogd("what crashes left counts", config=b"s1050\nn2\n", input=LINES, files={
        f"d/@{number:024x}.u": b"old\n" for number in range(4)}),
    svlogd("leftovers of processors are removed", config=b"s1050\nn2\n", input=LINES, files={
        "d/@" + "0" * 24 + ".t": b"t"}),
    svlogd("a size reached before", config=b"s1050\n", input=LINES, files={"d/current": (b"o" * 1040 + b"\n", 0o744)}),
]

FOUND = [
    svlogd("found: a clean current", files={"d/current": (b"old\n", 0o744)}),
    svlogd("found: a current of a crash", files={"d/current": (b"old\n", 0o644)}),
    svlogd("found: an empty current", files={"d/current": (b"", 0o644)}),
    svlogd("found: an empty clean current", files={"d/current": (b"", 0o744)}),
    svlogd("found: a current of multilog", files={"d/current": (b"@4000000000000000000000000 x\n", 0o744)}),
    svlogd("found: a state", files={"d/state": b"s", "d/newstate": b"n"}),
    svlogd("found: a lock", files={"d/lock": (b"", 0o600)}),
    svlogd("found: too many after a crash", config=b"n2\n", files={
        "d/current": (b"c", 0o644), **{f"d/@{number:024x}.s": b"old\n" for number in range(4)}}),
]

VERBOSE = [
    svlogd("-v", "-v", "d"), svlogd("-v and a config", "-v", "d", config=b"s1050\nn1\n", input=LINES),
    svlogd("-v and a clean current", "-v", "d", files={"d/current": (b"old\n", 0o744)}),
    svlogd("-v and a crash", "-v", "d", files={"d/current": (b"old\n", 0o644)}),
    svlogd("-v and a missing directory", "-v", "d", "no"),
]


def processing(name, command, input=LINES, config=b"s1050\nn50\n", **options):
    return svlogd(f"processor: {name}", *options.pop("arguments", ["d"]), config=config + b"!" + command + b"\n",
                  input=input, **options)


PROCESSORS = [
    processing("copies", b"cat"), processing("removes all", b"cat >/dev/null"),
    processing("changes", b"tr a-z A-Z"), processing("counts", b"wc -c"),
    processing("remembers", b"cat <&4; echo seen >&5; cat"),
    processing("remembers more and more", b"cat <&4; (cat <&4; echo more) >&5; cat >/dev/null"),
    processing("has standard error", b"echo hello >&2; cat", input=SOME),
    processing("is slow", b"sleep 0.3; cat"),
    processing("is run in the directory", b"ls >/dev/null; basename $PWD; cat >/dev/null"),
    processing("is nothing", b""),
    processing("fails once", b"if test -e failed; then cat; else touch failed; exit 1; fi", input=SOME),
    processing("reads nothing", b"echo nothing"),
    processing("and count", b"cat", config=b"s1050\nn3\n", input=LINES * 4),
]

SIGNALS = [
    script("TERM ends it", "mkfifo p; svlogd d <p & exec 9>p; echo one >&9; until grep -qs one d/current; do :; done;"
           "kill -TERM $!; wait $!; echo $?; rm p"),
    script("TERM within a line", "mkfifo p; svlogd d <p & exec 9>p; printf 'one\\ntw' >&9;"
           "until grep -qs one d/current; do :; done; kill -TERM $!; sleep 0.3; printf 'o\\nthree\\n' >&9; wait $!;"
           "echo $?; rm p"),
    script("ALRM rotates", "mkfifo p; svlogd d <p & exec 9>p; echo one >&9; until grep -qs one d/current; do :; done;"
           "kill -ALRM $!; until ls d/@* >/dev/null 2>&1; do :; done; echo two >&9; exec 9>&-; wait $!; echo $?; rm p"),
    script("ALRM does not rotate what is empty", "mkfifo p; svlogd d <p & exec 9>p;"
           "until test -e d/current; do :; done; kill -ALRM $!; sleep 0.2; exec 9>&-; wait $!; rm p; ls d"),
    script("HUP reads config again", "mkfifo p; svlogd d <p & exec 9>p; echo one >&9;"
           "until grep -qs one d/current; do :; done; echo 'pnew ' >d/config; kill -HUP $!; sleep 0.3; echo two >&9;"
           "exec 9>&-; wait $!; echo $?; rm p; cat d/current"),
    script("HUP and a directory that is new", "mkfifo p; svlogd d e <p & exec 9>p; echo one >&9;"
           "until grep -qs one d/current; do :; done; mkdir e; kill -HUP $!; until test -e e/current; do :; done;"
           "sleep 0.2; echo two >&9; exec 9>&-; wait $!; rm p"),
    script("HUP and no directory any more", "mkfifo p; svlogd d <p & exec 9>p; echo one >&9;"
           "until grep -qs one d/current; do :; done; mv d e; kill -HUP $!; wait $!; echo $?; rm p"),
    script("age", "mkfifo p; svlogd d <p & exec 9>p; echo one >&9; until ls d/@* >/dev/null 2>&1; do sleep 0.05; done;"
           "echo two >&9; exec 9>&-; wait $!; rm p", config=b"t1\n"),
]

CASES = USAGE + WRITING + CONFIG + ROTATION + FOUND + VERBOSE + PROCESSORS + SIGNALS


def test_names_are_distinct():
    names = [case.name for case in CASES]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_as_the_original(case):
    compare(case)
