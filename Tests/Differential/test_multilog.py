"""multilog against Debian's: scripts, files, where archives are cut, recovery, processors, signals."""

import pytest

from harness import TAI64N, Case, compare

ODD = b"a\0b\n\0\n\xff\xfe\x80\n\r\n\ttab \n\x1b[0m\n\n"
NUMBERS = b"".join(b"%d\n" % number for number in range(5000))
# 4,000 lines of 0 to 99 bytes, every one different.
LINES = b"".join(b"%d %s\n" % (n, b"x" * (n * n % 95)) for n in range(4000))


def log(name, *script, **options):
    """A case that runs multilog with the given script; stamps and archives' names are hidden."""
    options.setdefault("input", b"one\ntwo\nthree\n")
    return Case(name, "multilog", list(script), normalise=[TAI64N], **options)


def sh(name, script, **options):
    """A case that is a shell script."""
    return Case(name, "multilog", script=script, normalise=[TAI64N], **options)


def pausing(name, script, **options):
    """A case in which multilog says what is wrong and pauses; two seconds of it are enough."""
    return sh(name, f"timeout -s KILL 2 {script} < input; echo $?", **options)


LINE_CASES = [
    log("lines: no action"),
    log("lines: no input", "t", "./d", input=b""),
    log("lines: odd bytes", "./d", input=ODD),
    log("lines: odd bytes with stamps", "t", "./d", input=ODD),
    log("lines: no newline at the end", "./d", input=b"a\nb"),
    log("lines: no newline at the end, stamped", "t", "./d", input=b"a\nb"),
    log("lines: one newline", "t", "./d", input=b"\n"),
    log("lines: one NUL", "./d", input=b"\0"),
    log("lines: 999 bytes", "./d", input=b"x" * 999 + b"\ny\n"),
    log("lines: 1000 bytes", "./d", input=b"x" * 1000 + b"\ny\n"),
    log("lines: 1001 bytes", "./d", input=b"x" * 1001 + b"\ny\n"),
    log("lines: 1000 bytes and no newline", "./d", input=b"x" * 1000),
    log("lines: 1023 bytes and no newline", "./d", input=b"x" * 1023),
    log("lines: 100 KB", "t", "s16777215", "./d", input=b"a\n" + b"x" * 100_000 + b"\nb\n"),
    log("lines: 100 KB of NUL and no newline", "s16777215", "./d", input=bytes(100_000)),
    log("lines: a line longer than a file", "s4096", "./d", input=b"x" * 10_000 + b"\nb\n"),
    log("lines: ten thousand empty ones", "./d", input=b"\n" * 10_000),
    log("lines: many blocks", "./d", input=LINES),
    log("lines: many blocks, stamped", "t", "s16777215", "./d", input=LINES),
]

PATTERN_INPUT = (b"\n*\n**\na\nab\nabc\nb\none two one two\none\nABC\na*c\n[a]\na?c\na\\c\n\xff\xfe\n"
                 b"a b\n b\nfatal: x\nwarning: y\nx fatal: z\n")


def pattern(name, *script):
    return log(f"pattern: {name}", *script, "./d", input=PATTERN_INPUT)


PATTERN_CASES = [
    pattern("everything deselected", "-*"),
    pattern("an empty one matches the empty line", "-"),
    pattern("a literal is anchored at both ends", "-a"),
    pattern("a star at the end", "-a*"),
    pattern("a star at the start goes to the first occurrence", "-*b"),
    pattern("a star does not look for a later occurrence", "-*two"),
    pattern("a star that skips nothing", "-*one*"),
    pattern("two stars look for a star", "-**"),
    pattern("a star before a literal star", "-a**c"),
    pattern("three stars", "-***"),
    pattern("upper case is not lower case", "-abc"),
    pattern("brackets are literal", "-[a]"),
    pattern("a question mark is literal", "-a?c"),
    pattern("a backslash is literal", "-a\\c"),
    pattern("bytes beyond ASCII", b"-\xff*"),
    pattern("a newline in it never matches", "-a\nb"),
    pattern("a space", "-* b"),
    pattern("longer than the line", "-abcd"),
    pattern("select what was deselected", "-*", "+a*"),
    pattern("deselect what was selected again", "-*", "+a*", "-ab*"),
    pattern("select changes nothing at the start", "+nothing"),
    pattern("what is selected is not looked at again", "-*", "+*b*", "+a*", "-*c"),
    pattern("two dashes", "--*"),
    pattern("the classic fatal filter", "-*", "+fatal: *"),
    log("pattern: sees 1000 bytes", "-*z", "./d",
        input=b"x" * 999 + b"z\n" + b"y" * 1000 + b"z\n" + b"x" * 998 + b"z\n"),
    log("pattern: ends where the window ends", "-" + "x" * 1000, "./d",
        input=b"x" * 1000 + b"\n" + b"x" * 1500 + b"\n" + b"x" * 999 + b"\n"),
    log("pattern: sees the stamp", "t", "-@* one", "./d"),
    log("pattern: the stamp is in the window", "t", "-@* *z", "./d",
        input=b"x" * 973 + b"z\n" + b"x" * 974 + b"z\n" + b"z\n"),
    log("pattern: does not see a stamp that is not asked for", "-@*", "./d",
        input=b"@400000003b9aca0a00000000 x\ny\n"),
]

STAMP_CASES = [
    log("stamp: t with a tail", "tail", "./d"),
    log("stamp: t after another action is ignored", "e", "t", "./d"),
    log("stamp: T is no action", "T", "./d"),
    log("stamp: a second t", "t", "t", "./d"),
    log("stamp: empty lines", "t", "./d", input=b"\n\n\n"),
    log("stamp: a long line is stamped once", "t", "./d", input=b"x" * 5000 + b"\n"),
]

SHOW_CASES = [
    log("show: short lines", "e"),
    log("show: 199, 200 and 201 bytes", "e",
        input=b"a" * 199 + b"\n" + b"b" * 200 + b"\n" + b"c" * 201 + b"\n"),
    log("show: a long line", "e", input=b"x" * 100_000 + b"\ny\n"),
    log("show: with a stamp", "t", "e", input=b"x" * 173 + b"\n" + b"y" * 174 + b"\n" + b"z" * 175),
    log("show: only what is selected then", "-*", "+t*", "e", "+*", "./d"),
    log("show: twice", "e", "e"),
    log("show: odd bytes", "e", input=ODD),
    log("show: no newline at the end", "e", input=b"x"),
    log("show: e with a tail", "extra"),
    sh("show: standard error closed", "printf 'a\\nb\\n' | multilog e ./d 2>&-; echo $?"),
    sh("show: standard error full", "printf 'a\\nb\\n' | multilog e ./d 2>/dev/full; echo $?"),
]

STATUS_CASES = [
    log("status: the last line", "=f"),
    log("status: a long line", "=f", input=b"x" * 3000 + b"\n"),
    log("status: 1000 bytes", "=f", input=b"x" * 1000 + b"\n"),
    log("status: a short line after a long one", "=f", input=b"x" * 3000 + b"\nshort\n"),
    log("status: with a stamp", "t", "=f"),
    log("status: an empty line", "=f", input=b"a\n\n"),
    log("status: no line", "=f", input=b""),
    log("status: nothing selected", "-*", "=f"),
    log("status: the last selected", "-three", "=f"),
    log("status: a longer file keeps its tail", "=f", files={"f": b"y" * 2000}),
    log("status: an existing file keeps its mode", "=f", files={"f": (b"", 0o640)}),
    log("status: two files", "-one", "=f", "-two", "=g", "-*", "=h"),
    log("status: one file twice", "=f", "-t*", "=f"),
    log("status: no name", "="),
    log("status: a directory", "=d", files={"d": None}),
    log("status: no such directory", "=none/f", "./d"),
    log("status: files come before directories", "./d/e", "=none/f"),
    log("status: odd name", b"=\xff\n x", input=b"line\n"),
    log("status: odd bytes", "=f", input=b"\0\xff\x80"),
    pausing("status: a full device", "multilog =/dev/full ./d", files={"input": b"a\nb\n"}),
    sh("status: a device that cannot seek",
       "mkfifo f; exec 3<>f; timeout -s KILL 2 multilog =f < input; echo $?",
       files={"input": b"a\n"}),
]

DIRECTORY_CASES = [
    log("directory: made with mode 0700", "./d"),
    sh("directory: absolute", "echo x | multilog \"$PWD/d\""),
    log("directory: existing, modes kept", "./d", files={"d": (None, 0o2755)}),
    log("directory: its parent is not made", "./d/e"),
    log("directory: relative without a dot is ignored", "d"),
    log("directory: the current one", "."),
    log("directory: a dot and more", ".d", "..d"),
    log("directory: trailing slash", "./d/"),
    log("directory: through the parent", "./d", "./d/../e"),
    log("directory: odd name", b"./\xff\n x"),
    log("directory: a file", "./d", files={"d": b""}),
    log("directory: twice", "./d", "./d"),
    log("directory: the first keeps what it had", "./a", "./b/c", files={"a/current": (b"x\n", 0o744)}),
    log("directory: several, each with its selection", "./a", "-t*", "./b", "-*", "./c", "+two", "./e"),
    log("directory: other words are ignored", "", "zzz", "N3", "S5", "0", "./d"),
    log("directory: a lone dash is a pattern", "-", "./d", input=b"\nx\n"),
    log("directory: the first of two dashes belongs to the pattern", "--", "./d", input=b"-\nx\n"),
    log("directory: a bad option", "--on-stall=often", "./d"),
    sh("directory: a dangling link", "ln -s none d; echo x | multilog ./d"),
    sh("directory: a link to itself", "ln -s d d; echo x | multilog ./d"),
    sh("directory: a link to a directory", "mkdir e; ln -s e d; echo x | multilog ./d"),
    sh("directory: not allowed",
       "mkdir -m 0 d; chmod 755 .; echo x | setpriv --reuid 65534 --clear-groups multilog ./d"),
    sh("directory: parent not writable",
       "chmod 755 .; echo x | setpriv --reuid 65534 --clear-groups multilog ./d"),
    sh("directory: not writable",
       "chmod 755 .; mkdir -m 755 d; echo x | setpriv --reuid 65534 --clear-groups multilog ./d"),
    sh("directory: locked", "mkdir d; flock d/lock sh -c 'echo x | multilog ./d; echo $?'"),
    sh("directory: free again after its logger", "for i in 1 2; do echo $i | multilog ./d; done"),
    log("directory: lock is a directory", "./d", files={"d/lock": None}),
    log("directory: the lock file is left as it is", "./d", files={"d/lock": (b"content", 0o666)}),
    log("directory: current is a directory", "./d", files={"d/current": None}),
    log("directory: state is a directory", "./d", files={"d/state": None}),
    log("directory: newstate is a directory", "./d", files={"d/newstate/x": b""}),
    sh("directory: current is a link to itself", "mkdir d; ln -s current d/current; multilog ./d < /dev/null"),
    sh("directory: current is a link to a file elsewhere",
       "mkdir d; touch e; chmod 744 e; ln -s ../e d/current; echo x | multilog ./d"),
    pausing("directory: processed is a directory", "multilog ./d",
            files={"d/processed": (None, 0o644), "input": b""}),
    pausing("directory: previous is a directory", "multilog ./d",
            files={"d/previous": (None, 0o644), "input": b""}),
    sh("directory: umask 077", "umask 077; multilog s4096 '!cat' ./d < input",
       files={"input": NUMBERS}),
    sh("directory: umask 0", "umask 0; multilog s4096 =f ./d < input", files={"input": NUMBERS}),
]

CUT_CASES = [
    log("cut: by lines", "s4096", "n100", "./d", input=NUMBERS),
    log("cut: lines of 600 bytes", "s4096", "n100", "./d",
        input=b"".join(b"%600d\n" % n for n in range(100))),
    log("cut: lines of 1100 bytes", "s4096", "n100", "./d",
        input=b"".join(b"%1100d\n" % n for n in range(100))),
    log("cut: lines of 3000 bytes", "s4096", "n100", "./d",
        input=b"".join(b"%3000d\n" % n for n in range(30))),
    log("cut: no newline at all", "s4096", "n100", "./d", input=bytes(range(11, 256)) * 100),
    log("cut: just the size", "s4096", "./d", input=b"x" * 4095 + b"\n"),
    log("cut: one more than the size", "s4096", "./d", input=b"x" * 4096 + b"\n"),
    log("cut: the default size", "n100", "./d", input=LINES * 3),
    log("cut: an odd size", "s5001", "n100", "./d", input=LINES),
    log("cut: several sizes", "s4096", "n100", "./a", "s6000", "./b", "-*9*", "s8192", "./c",
        input=LINES),
    log("cut: size below the least", "s1", "n100", "./d", input=NUMBERS),
    log("cut: size without a number", "s", "n100", "./d", input=NUMBERS),
    log("cut: size with a tail", "s5000kb", "n100", "./d", input=NUMBERS),
    log("cut: size that wraps", "s18446744073709556616", "n100", "./d", input=NUMBERS),
    log("cut: size above the greatest", "s99999999999", "./d", input=NUMBERS),
    log("cut: size after the directory", "./d", "s4096", input=NUMBERS),
    log("cut: deselected lines do not count", "-1*", "s4096", "n100", "./d", input=NUMBERS),
    log("cut: goes on with a file near its end", "s4096", "./d",
        files={"d/current": (b"x" * 2090 + b"\n", 0o744)}),
    log("cut: goes on with a full file", "s4096", "./d",
        files={"d/current": (b"x" * 4096, 0o744)}),
    log("cut: goes on with a file too large", "s4096", "./d",
        files={"d/current": (b"x" * 9000, 0o744)}),
    log("cut: a file too large stays while nothing comes", "s4096", "./d", input=b"",
        files={"d/current": (b"x" * 9000, 0o744)}),
]

OLD = {f"d/@400000003b9aca0a0000000{n}": b"%d" % n for n in range(8)}

COUNT_CASES = [
    log("count: the default", "s4096", "./d", input=NUMBERS),
    log("count: two", "n2", "s4096", "./d", input=NUMBERS),
    log("count: below the least", "n1", "s4096", "./d", input=NUMBERS),
    log("count: without a number", "n", "s4096", "./d", input=NUMBERS),
    log("count: after the directory", "s4096", "./d", "n2", input=NUMBERS),
    log("count: different ones", "s4096", "n3", "./a", "n5", "./b", input=NUMBERS),
    Case("count: the lowest names go first", "multilog", ["n5", "./d"], input=b"new\n",
         files={**OLD, "d/current": b"crash\n"}, normalise=[(rb"@4000000[^3][0-9a-f]{16}", b"@NEW")]),
    Case("count: nothing goes when nothing comes", "multilog", ["n5", "./d"], input=b"new\n",
         files={**OLD, "d/current": (b"clean\n", 0o744)}),
    log("count: other names do not count", "n2", "./d",
        files={"d/@short": b"", "d/other": b"", "d/x@400000003b9aca0a00000001.s": b"",
               "d/current": b"crash\n"}),
    log("count: any tail counts", "n2", "./d",
        files={"d/@400000003b9aca0a00000001.gz.old": b"", "d/current": b"crash\n"}),
]


def found(name, *script, **files):
    """A case of what a start makes of the files it finds; `state` and `newstate` are always there."""
    return log(f"found: {name}", *script, "./d", files={
        "d/state": b"state", "d/newstate": b"newstate",
        **{f"d/{name}": content for name, content in files.items()}})


FOUND_CASES = [
    found("nothing"),
    found("current, clean", current=(b"old\n", 0o744)),
    found("current, clean, executable for all", current=(b"old\n", 0o777)),
    found("current, clean, without a newline", current=(b"old", 0o744)),
    found("current, unclean", current=(b"old\n", 0o644)),
    found("current, executable for others only", current=(b"old\n", 0o655)),
    found("current, private", current=(b"old\n", 0o600)),
    found("current, empty and unclean", current=(b"", 0o644)),
    found("current, executable and not writable", current=(b"old\n", 0o500)),
    found("previous, safe", previous=(b"p\n", 0o744)),
    found("previous, unsafe", previous=(b"p\n", 0o644)),
    found("previous and current", previous=(b"p\n", 0o744), current=(b"c\n", 0o644)),
    found("previous and a clean current", previous=(b"p\n", 0o744), current=(b"c\n", 0o744)),
    found("processed, safe", processed=(b"d\n", 0o744)),
    found("processed, unsafe", processed=(b"d\n", 0o644)),
    found("processed, unsafe, and previous", processed=(b"d\n", 0o644), previous=(b"p\n", 0o744)),
    found("processed, safe, and previous", processed=(b"d\n", 0o744), previous=(b"p\n", 0o744)),
    found("everything, safe", processed=(b"d\n", 0o744), previous=(b"p\n", 0o744),
          current=(b"c\n", 0o644)),
    found("everything, unsafe", processed=(b"d\n", 0o644), previous=(b"p\n", 0o644),
          current=(b"c\n", 0o600)),
    sh("found: a current that is archived already",
       "mkdir d; echo old > d/@400000003b9aca0a00000001.u; ln d/@400000003b9aca0a00000001.u d/current; "
       "echo new | multilog ./d"),
    sh("found: a previous that is archived already",
       "mkdir d; echo old > d/@400000003b9aca0a00000001.s; ln d/@400000003b9aca0a00000001.s d/previous; "
       "echo new | multilog ./d"),
    sh("found: a current of three names",
       "mkdir d; echo old > d/a; ln d/a d/b; ln d/a d/current; echo new | multilog ./d"),
]

PROCESSOR_CASES = [
    log("processor: changes what is archived", "s4096", "n100", "!tr 0-9 a-j", "./d", input=NUMBERS),
    log("processor: hands its state on", "s4096", "n100",
        "!cat; { cat <&4; echo $(wc -l < previous); } >&5", "./d", input=NUMBERS),
    log("processor: writes nothing", "s4096", "!:", "./d", input=NUMBERS),
    log("processor: does not read", "s4096", "n100", "!echo x", "./d", input=NUMBERS),
    log("processor: an empty command", "s4096", "n100", "!", "./d", input=NUMBERS),
    log("processor: only for what follows", "s4096", "./a", "!sort -r", "./b", "!cat", "./c",
        input=NUMBERS),
    log("processor: where it runs", "s16000", "!pwd; ls", "./d", input=NUMBERS),
    log("processor: its arguments", "s16000", "!tr '\\0' ' ' < /proc/$$/cmdline; :", "./d",
        input=NUMBERS),
    log("processor: its descriptors", "s16000",
        "!for i in 0 1 3 4 5 6; do [ -e /proc/$$/fd/$i ] && readlink /proc/$$/fd/$i; done; :", "./d",
        input=NUMBERS),
    log("processor: its signals", "s16000", "!grep ^Sig /proc/$$/status | grep -v SigQ", "./d",
        input=NUMBERS),
    log("processor: its environment and umask", "s16000", "!echo $A; umask", "./d", input=NUMBERS,
        environment={"A": "value"}),
    log("processor: complains", "s16000", "!cat; echo complaint >&2", "./d", input=NUMBERS),
    log("processor: removes its newstate", "s16000", "!cat; rm newstate", "./d", input=NUMBERS),
    log("processor: leaves other files", "s16000", "!cat; echo x > extra", "./d", input=NUMBERS),
    log("processor: fails once", "s16000", "!cat; [ -e again ] || { touch again; exit 1; }", "./d",
        input=NUMBERS),
    log("processor: crashes once", "s16000", "!cat; [ -e again ] || { touch again; kill -9 $$; }",
        "./d", input=NUMBERS),
    pausing("processor: is not there", "multilog s16000 !/no/such/program ./d",
            files={"input": NUMBERS}),
    pausing("processor: has no state", "multilog s4096 !cat ./d",
            files={"input": NUMBERS, "d/current": (b"x" * 4096, 0o744)}),
    log("processor: not for a file that a crash left", "!tr a-z A-Z", "./d",
        files={"d/current": b"crash\n"}),
    log("processor: state is kept by a clean start", "s4096", "!cat; cat <&4 >&5", "./d",
        input=NUMBERS, files={"d/current": (b"old\n", 0o744), "d/state": b"kept"}),
    log("processor: state is lost by an unclean start", "s4096", "!cat; cat <&4 >&5", "./d",
        input=NUMBERS, files={"d/current": (b"old\n", 0o644), "d/state": b"kept"}),
]

# Starts multilog on a FIFO that this shell keeps open, and ends it by closing that.
FIFO = ("mkfifo f; multilog {script} ./d < f & pid=$!; exec 3>f; "
        "until find d/current -perm 644 2>/dev/null | grep -q .; do :; done; ")
SEEN = "until grep -q {0} d/current; do :; done; "
TAKEN = "until grep -q '^ShdPnd:.*0000000000000000' /proc/$pid/status; do :; done; "
# The original loses a signal that comes just before its read(2): signals are sent to one that sleeps.
ASLEEP = "until grep -q '^State:.S' /proc/$pid/status; do :; done; "
END = "exec 3>&-; wait $pid; echo $?"


def signals(name, actions, script=""):
    return sh(f"signal: {name}", FIFO.format(script=script) + actions + END)


SIGNAL_CASES = [
    signals("ALRM starts a new file", "echo one >&3; " + SEEN.format("one") + ASLEEP + "kill -ALRM $pid; "
            "until ls d/@*.s >/dev/null 2>&1; do :; done; echo two >&3; "),
    signals("ALRM runs the processor", "echo one >&3; " + SEEN.format("one") + ASLEEP + "kill -ALRM $pid; "
            "until ls d/@*.s >/dev/null 2>&1; do :; done; echo two >&3; ", "'!tr a-z A-Z'"),
    signals("ALRM leaves an empty file alone", ASLEEP + "kill -ALRM $pid; " + TAKEN + ASLEEP
            + "echo two >&3; "),
    signals("TERM between lines", "echo one >&3; " + SEEN.format("one") + ASLEEP
            + "kill -TERM $pid; "),
    signals("TERM before any line", ASLEEP + "kill -TERM $pid; "),
    signals("HUP kills", "exec 2>&-; kill -HUP $pid; "),
    signals("KILL leaves the file unsafe", "echo one >&3; " + SEEN.format("one")
            + "exec 2>&-; kill -KILL $pid; "),
    signals("each line is written when it comes", "for i in 1 2 3; do echo l$i >&3; "
            "until grep -q l$i d/current; do :; done; done; "),
]

INPUT_CASES = [
    sh("stdin: closed", "multilog ./d <&-; echo $?"),
    sh("stdin: a directory", "multilog ./d < /; echo $?"),
    sh("stdin: a file", "multilog t s16777215 ./d < input", files={"input": LINES}),
    sh("stdin: not blocking",
       "/usr/bin/python3 -c 'import os, subprocess, time\n"
       "r, w = os.pipe(); os.set_blocking(r, False)\n"
       "p = subprocess.Popen([\"multilog\", \"./d\"], stdin=r)\n"
       "while not os.path.exists(\"d/current\"): pass\n"
       "time.sleep(0.3); os.write(w, b\"late\\n\"); os.close(w); os.close(r); p.wait()'"),
    sh("stdout: closed", "echo x | multilog ./d >&-; echo $?"),
]

CONTINUED_CASES = [
    sh(f"continued: {name}", f"multilog s4096 n50 ./d < input; {between}; multilog s4096 n50 ./d < input",
       files={"input": NUMBERS})
    for name, between in [("cleanly", ":"), ("after a crash", "chmod 644 d/current"),
                          ("after a crash in a rotation", "mv d/current d/previous")]
]

CASES = (LINE_CASES + PATTERN_CASES + STAMP_CASES + SHOW_CASES + STATUS_CASES + DIRECTORY_CASES
         + CUT_CASES + COUNT_CASES + FOUND_CASES + PROCESSOR_CASES + SIGNAL_CASES + INPUT_CASES
         + CONTINUED_CASES)


def test_names_are_distinct():
    names = [case.name for case in CASES]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_as_the_original(case):
    compare(case)
