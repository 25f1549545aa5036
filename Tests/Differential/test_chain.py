"""The programs that change something and become another: setuidgid envuidgid envdir softlimit setlock
fghack pgrphack, against Debian's."""

import pytest

from chains import LIMITS, PYTHON, SHOW, sh, show
from harness import Case, compare

PID = (rb"\b[0-9]+\b", b"NUMBER")


def running(program, before, **files):
    """How `program`, given the arguments `before`, finds and runs a child: one list for each."""
    odd = [b"", b" ", b"\xff\xfe", b"a\nb", b"--", b"-x", b"*"]
    before_text = " ".join(before)
    return [
        Case(f"{program}: no argument at all", program, files=files),
        Case(f"{program}: no child", program, before, files=files),
        Case(f"{program}: a child that does not exist", program, [*before, "no-such-program"],
             files=files),
        Case(f"{program}: odd arguments reach the child", program,
             [*before, PYTHON, "-c", SHOW, *odd], environment={"ODD": b"\xff=\n"}, files=files),
        sh(f"{program}: the child's exit code", program, f"{program} {before_text} sh -c 'exit 99'",
           files=files),
        sh(f"{program}: the child's death", program, f"{program} {before_text} sh -c 'kill -KILL $$'",
           files=files),
    ]


FINDING = [
    Case("exec: a path that does not exist", "pgrphack", ["./no/such"]),
    Case("exec: the empty name", "pgrphack", [""]),
    Case("exec: a directory by its path", "pgrphack", ["./d"], files={"d": None}),
    Case("exec: a directory found in PATH", "pgrphack", ["d"], files={"d": None},
         environment={"PATH": "."}),
    Case("exec: a file without execute permission", "pgrphack", ["./f"], files={"f": (b"", 0o644)}),
    Case("exec: the empty file", "pgrphack", ["./f"], files={"f": (b"", 0o755)}),
    Case("exec: a script without an interpreter line", "pgrphack", ["./f"],
         files={"f": (b"echo hello\n", 0o755)}),
    Case("exec: a script without an interpreter line stops the search", "pgrphack", ["f"],
         files={"a/f": (b"echo hello\n", 0o755), "b/f": (b"#!/bin/sh\necho b\n", 0o755)},
         environment={"PATH": "a:b"}),
    Case("exec: what cannot be executed is passed over", "pgrphack", ["f"],
         files={"a/f": (b"", 0o644), "b/f": (b"#!/bin/sh\necho b\n", 0o755)},
         environment={"PATH": "a:b"}),
    Case("exec: what could not be executed is what is reported", "pgrphack", ["f"],
         files={"a/f": (b"", 0o644), "b": None}, environment={"PATH": "a:b"}),
    Case("exec: a file in place of a directory of PATH stops the search", "pgrphack", ["f"],
         files={"a": b"", "b/f": (b"#!/bin/sh\necho b\n", 0o755)}, environment={"PATH": "a:b"}),
    Case("exec: an empty element of PATH is the current directory", "pgrphack", ["f"],
         files={"f": (b"#!/bin/sh\necho here\n", 0o755)}, environment={"PATH": "/nowhere:"}),
    Case("exec: an empty PATH is the current directory", "pgrphack", ["f"],
         files={"f": (b"#!/bin/sh\necho here\n", 0o755)}, environment={"PATH": ""}),
    sh("exec: without PATH it is /bin:/usr/bin", "pgrphack",
       'unset PATH; exec "$P" sh -c "echo found"', environment={"P": "../bin/pgrphack"}),
    Case("exec: a link that goes round", "pgrphack", ["./f"],
         files={}),
    Case("exec: a name that is too long", "pgrphack", ["x" * 300]),
    Case("exec: a path that is too long", "pgrphack", ["/" + "x/" * 3000]),
    Case("exec: a name of odd bytes", "pgrphack", [b"\xff\xfe \n"]),
    Case("exec: argument zero is the name as written", "pgrphack", ["f"],
         files={"a/f": (b"#!/bin/sh\necho $0\n", 0o755)}, environment={"PATH": "a"}),
    sh("exec: an argument longer than the kernel takes", "pgrphack",
       "a=$(head -c 200000 /dev/zero | tr '\\0' x); pgrphack true \"$a\" 2>&1 || echo $?"),
]

SETUIDGID = running("setuidgid", ["nobody"]) + [
    Case("setuidgid: an unknown account", "setuidgid", ["no-such-account", "true"]),
    Case("setuidgid: an unknown account of odd bytes", "setuidgid", [b"\xff\n", "true"]),
    Case("setuidgid: the empty account", "setuidgid", ["", "true"]),
    Case("setuidgid: a number is no account", "setuidgid", ["65534", "true"]),
    Case("setuidgid: an account name with a colon", "setuidgid", ["root:x:0", "true"]),
    Case("setuidgid: an account name of 5000 bytes", "setuidgid", ["x" * 5000, "true"]),
    Case("setuidgid: an option letter is an account", "setuidgid", ["-x", "true"]),
    Case("setuidgid: -- is an account", "setuidgid", ["--", "true"]),
    Case("setuidgid: - is an account", "setuidgid", ["-", "true"]),
    Case("setuidgid: an unknown long option", "setuidgid", ["--no-such", "true"]),
    Case("setuidgid: ids and groups", "setuidgid", ["nobody", "id"]),
    Case("setuidgid: an account whose group has another number", "setuidgid", ["man", "id"]),
    Case("setuidgid: root stays root but for its groups", "setuidgid",
         ["root", "grep", "-E", "^(Uid|Gid|Groups|Cap)", "/proc/self/status"]),
    Case("setuidgid: nothing is left of root", "setuidgid",
         ["nobody", "grep", "-E", "^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp|Sig)",
          "/proc/self/status"]),
    sh("setuidgid: not by an ordinary user", "setuidgid",
       "setuidgid nobody setuidgid nobody true; echo $?"),
    sh("setuidgid: not to root by an ordinary user", "setuidgid",
       "setuidgid nobody setuidgid root true; echo $?"),
    sh("setuidgid: the account is looked up before the child", "setuidgid",
       "setuidgid no-such-account no-such-program; echo $?"),
    show("setuidgid", "nobody", name="setuidgid: the environment stays as it is",
         environment={"USER": "root", "HOME": "/root", "UID": "7"}),
    sh("setuidgid: the new user must be able to reach the child", "setuidgid",
       "mkdir -m 700 d; cp /bin/true d/t; setuidgid nobody d/t; echo $?"),
    sh("setuidgid: umask and directory stay", "setuidgid",
       "umask 027; chmod 755 . ..; setuidgid nobody sh -c 'umask; basename $PWD'"),
    sh("setuidgid: open descriptors stay", "setuidgid",
       "exec 7</dev/null; setuidgid nobody sh -c 'ls -l /proc/self/fd/7 >/dev/null && echo open'"),
    sh("setuidgid: an ignored signal stays ignored", "setuidgid",
       "trap '' TERM HUP; setuidgid nobody grep Sig /proc/self/status"),
]

ENVUIDGID = running("envuidgid", ["nobody"]) + [
    Case("envuidgid: an unknown account", "envuidgid", ["no-such-account", "true"]),
    Case("envuidgid: -- is an account", "envuidgid", ["--", "true"]),
    show("envuidgid", "nobody", name="envuidgid: the two variables"),
    show("envuidgid", "man", name="envuidgid: uid and gid are not mixed up"),
    show("envuidgid", "nobody", name="envuidgid: old values go",
         environment={"UID": "old", "GID": "old", "UIDX": "stays", "XGID": "stays"}),
    Case("envuidgid: the process stays what it was", "envuidgid", ["nobody", "id"]),
]


def envdir_case(name, files, **options):
    """envdir with a directory `d` of these files; shows the environment that results."""
    directory = {b"d": None, **{b"d/" + key: value for key, value in files.items()}}
    return show("envdir", "d", name=f"envdir: {name}", files=directory, **options)


ENVDIR = running("envdir", ["d"], d=None) + [
    Case("envdir: no such directory", "envdir", ["no-such", "true"]),
    Case("envdir: a file in place of the directory", "envdir", ["f", "true"], files={"f": b""}),
    Case("envdir: the empty name", "envdir", ["", "true"]),
    Case("envdir: an option letter is a directory", "envdir", ["-x", "true"]),
    Case("envdir: -- is a directory", "envdir", ["--", "true"]),
    envdir_case("an empty directory", {}, environment={"A": "1"}),
    envdir_case("a value", {b"A": b"one\n"}),
    envdir_case("a value without a newline", {b"A": b"one"}),
    envdir_case("only the first line counts", {b"A": b"one\ntwo\n"}),
    envdir_case("an empty file unsets", {b"A": b""}, environment={"A": "1", "AA": "2"}),
    envdir_case("an empty file unsets what is not set", {b"A": b""}),
    envdir_case("a newline alone sets the empty string", {b"A": b"\n"}),
    envdir_case("blanks alone set the empty string", {b"A": b" \t \t"}),
    envdir_case("an empty first line sets the empty string", {b"A": b"\nsecond\n"}),
    envdir_case("blanks at the end go", {b"A": b"one \t \n"}),
    envdir_case("blanks at the start and in the middle stay", {b"A": b" \tone two"}),
    envdir_case("other white space at the end stays", {b"A": b"one\r\n", b"B": b"one\v\f"}),
    envdir_case("NUL becomes newline", {b"A": b"one\0two\0\0\n"}),
    envdir_case("NUL at the end is no blank", {b"A": b"one\0 "}),
    envdir_case("a NUL alone", {b"A": b"\0"}),
    envdir_case("bytes that are not UTF-8", {b"A": b"\xff\xfe\x80", b"\xff": b"one"}),
    envdir_case("old values go", {b"A": b"new"}, environment={"A": "old", "AB": "stays"}),
    envdir_case("names that begin with a dot are passed over",
                {b".A": b"one", b"..B": b"two", b"C.": b"three"}),
    envdir_case("a name with an equals sign", {b"F=G": b"q"}, environment={"F": "old"}),
    envdir_case("an empty file with an equals sign in its name", {b"F=G": b""},
                environment={"F": "old"}),
    envdir_case("a name that begins with an equals sign", {b"=F": b"q"}),
    envdir_case("names with a space, a newline, a star", {b"A B": b"1", b"C\nD": b"2", b"*": b"3"}),
    envdir_case("lower case and digits", {b"path_x": b"1", b"1": b"2"}),
    envdir_case("a value of 100 KB", {b"A": b"x" * 100_000 + b"\n"}),
    envdir_case("a long first line and much after it", {b"A": b"x" * 5000 + b"\n" + b"y" * 300_000}),
    envdir_case("a value longer than the kernel takes", {b"A": b"x" * 140_000}),
    envdir_case("PATH is the old one for finding the child", {b"PATH": b"/nowhere"}),
    envdir_case("a subdirectory", {b"S": None}),
    sh("envdir: a fifo without a writer is an empty file", "envdir",
       "mkdir d; mkfifo d/A; A=1 envdir d env | grep A="),
    sh("envdir: a link to a file", "envdir", "mkdir d; echo one > x; ln -s ../x d/A; envdir d env | grep A="),
    sh("envdir: a dangling link", "envdir",
       "mkdir d; echo one > d/A; ln -s nowhere d/B; envdir d env | grep -E '^[AB]='; echo $?"),
    sh("envdir: a link that goes round", "envdir", "mkdir d; ln -s A d/A; envdir d true; echo $?"),
    sh("envdir: a file that may not be read", "envdir",
       "chmod 755 . ..; mkdir d; echo one > d/A; chmod 000 d/A; setuidgid nobody envdir d true; echo $?"),
    sh("envdir: a directory that may not be read", "envdir",
       "chmod 755 . ..; mkdir -m 711 d; setuidgid nobody envdir d true; echo $?"),
    sh("envdir: a directory that may not be entered", "envdir",
       "chmod 755 . ..; mkdir -m 644 d; setuidgid nobody envdir d true; echo $?"),
    sh("envdir: a starting directory that may not be read", "envdir",
       "chmod 755 . ..; mkdir d; chmod 711 .; setuidgid nobody envdir d true; echo $?"),
    sh("envdir: the child is in the starting directory", "envdir",
       "mkdir -p a/d; cd a; envdir d sh -c 'basename $PWD'"),
    sh("envdir: the child has no descriptor more", "envdir",
       "mkdir d; echo one > d/A; envdir d ls /proc/self/fd | wc -l"),
    sh("envdir: an absolute directory", "envdir", "mkdir d; echo one > d/A; envdir $PWD/d/ env | grep A="),
    sh("envdir: one after another", "envdir",
       "mkdir d e; echo one > d/A; echo two > e/A; : > e/C; C=1 envdir d envdir e env | grep -E '^[AC]='"),
    sh("envdir: the next stage looks in the new PATH", "envdir",
       "mkdir d a; printf '#!/bin/sh\\necho found\\n' > a/f; chmod 755 a/f; echo $PWD/a > d/PATH; "
       "envdir d pgrphack f; envdir d $(command -v pgrphack) f; envdir d f; echo $?"),
]

SOFTLIMIT = running("softlimit", []) + [
    Case(f"softlimit: -{letter} {value or 'empty'}", "softlimit",
         [f"-{letter}", value, PYTHON, "-c", LIMITS])
    for letter, value in [
        ("a", "2000000000"), ("c", "12345"), ("d", "1000000000"), ("f", "4096"), ("l", "8192"),
        ("m", "1500000000"), ("o", "77"), ("p", "1234"), ("r", "999999"), ("s", "4000000"),
        ("t", "100"), ("c", "="), ("m", "="), ("c", ""), ("f", "0"), ("p", "99999999999999"),
        ("c", "18446744073709551615"), ("c", "18446744073709551616"), ("c", "18446744073709551621"),
        ("c", "007"),
    ]
] + [
    Case(f"softlimit: {value!r} is no number", "softlimit", ["-c", value, "true"])
    for value in ["-1", "+1", " 1", "1 ", "0x10", "1k", "==", "=1", "unlimited", b"\xff"]
] + [
    Case("softlimit: an unknown option", "softlimit", ["-z", "true"]),
    Case("softlimit: an unknown long option", "softlimit", ["--no-such", "true"]),
    Case("softlimit: an option without its value", "softlimit", ["-o"]),
    Case("softlimit: options and no child", "softlimit", ["-o", "50"]),
    Case("softlimit: the value attached", "softlimit", ["-o50", PYTHON, "-c", LIMITS]),
    Case("softlimit: several options", "softlimit",
         ["-c0", "-o", "50", "-f100000", PYTHON, "-c", LIMITS]),
    Case("softlimit: the last of one letter counts", "softlimit",
         ["-o", "50", "-o", "60", PYTHON, "-c", LIMITS]),
    Case("softlimit: down and up again", "softlimit", ["-o", "50", "-o", "=", PYTHON, "-c", LIMITS]),
    Case("softlimit: -m after -d", "softlimit",
         ["-d", "900000000", "-m", "1500000000", PYTHON, "-c", LIMITS]),
    Case("softlimit: -d after -m", "softlimit",
         ["-m", "1500000000", "-d", "900000000", PYTHON, "-c", LIMITS]),
    Case("softlimit: -- ends the options", "softlimit", ["-o", "50", "--", PYTHON, "-c", LIMITS]),
    Case("softlimit: a lone dash is a child", "softlimit", ["-o", "50", "-"]),
    Case("softlimit: options after the child are the child's", "softlimit",
         ["-o", "50", PYTHON, "-c", SHOW, "-o", "60"]),
    Case("softlimit: a wrong value after a right one", "softlimit", ["-o", "50", "-c", "x", "true"]),
    sh("softlimit: a hard limit is not exceeded", "softlimit",
       "ulimit -Hn 100; softlimit -o 200 sh -c 'ulimit -Sn; ulimit -Hn'"),
    sh("softlimit: = is the hard limit", "softlimit",
       "ulimit -Hn 100; ulimit -Sn 30; softlimit -o = sh -c 'ulimit -Sn'"),
    sh("softlimit: one inside the other may raise again", "softlimit",
       "softlimit -o 30 softlimit -o 40 sh -c 'ulimit -Sn'"),
    sh("softlimit: the limit holds", "softlimit",
       "softlimit -f 1000 sh -c 'trap \"\" XFSZ; head -c 5000 /dev/zero > f'; wc -c < f"),
    sh("softlimit: an exec that finds no room", "softlimit",
       "softlimit -a 0 true; echo $?; softlimit -s 0 true; echo $?", normalise=[(rb"Seg.*\n", b"")]),
]

SETLOCK = running("setlock", ["lock"]) + [
    Case("setlock: an unknown option", "setlock", ["-q", "lock", "true"]),
    Case("setlock: a long option", "setlock", ["--no", "lock", "true"]),
    Case("setlock: -- ends the options", "setlock", ["--", "-x", "true"]),
    Case("setlock: a lone dash is a file", "setlock", ["-", "true"]),
    Case("setlock: -x and no child is still wrong", "setlock", ["-x", "lock"]),
    sh("setlock: the file is made with 0600", "setlock", "umask 0; setlock lock stat -c %a lock"),
    sh("setlock: the umask applies", "setlock", "umask 0277; setlock lock stat -c %a lock"),
    sh("setlock: the file keeps its content", "setlock", "echo text > lock; setlock lock cat lock"),
    Case("setlock: no such directory", "setlock", ["no/such", "true"]),
    Case("setlock: a directory", "setlock", ["d", "true"], files={"d": None}),
    Case("setlock: the empty name", "setlock", ["", "true"]),
    Case("setlock: a name of odd bytes", "setlock", [b"\xff\n", "true"]),
    Case("setlock: -x says nothing of what cannot be opened", "setlock", ["-x", "no/such", "true"]),
    Case("setlock: -X after -x says it again", "setlock", ["-xX", "no/such", "true"]),
    sh("setlock: -n does not wait", "setlock", "setlock lock setlock -n lock echo both; echo $?"),
    sh("setlock: -nx says nothing", "setlock", "setlock lock setlock -nx lock echo both; echo $?"),
    sh("setlock: -n in a cluster after -N", "setlock", "setlock lock setlock -Nn lock true; echo $?"),
    sh("setlock: it waits for the lock", "setlock",
       "mkfifo p q; setlock lock sh -c 'echo > q; read x < p; echo first' & "
       "read x < q; setlock -N lock echo second & echo go > p; wait"),
    sh("setlock: flock(1) and setlock exclude each other", "setlock",
       "setlock lock flock -n lock echo both; echo $?; flock lock setlock -n lock echo both; echo $?"),
    sh("setlock: the lock ends with its last holder", "setlock",
       "mkfifo p; setlock lock sh -c 'sh -c \"read x < p\" & exit 0'; "
       "setlock -n lock echo early; echo go > p; wait; setlock lock echo late"),
    sh("setlock: the descriptor that the child has", "setlock",
       "setlock lock sh -c 'readlink /proc/self/fd/3 | sed s,.*/,,; grep flags /proc/self/fdinfo/3'"),
    sh("setlock: a child that does not exist, with -x", "setlock", "setlock -x lock no-such; echo $?"),
    sh("setlock: a fifo without a reader", "setlock", "mkfifo p; setlock p true; echo $?"),
]

FGHACK = running("fghack", []) + [
    sh("fghack: it waits for what the child leaves behind", "fghack",
       "mkfifo p; (sleep 0.1; echo > p) & "
       "fghack sh -c '(read x < p; echo background) & echo child; exit 3'; echo $?; wait"),
    sh("fghack: a child that dies of a signal", "fghack", "fghack sh -c 'kill -TERM $$'; echo $?"),
    sh("fghack: the descriptors of the child", "fghack", "fghack ls -v /proc/self/fd; echo $?"),
    sh("fghack: the descriptors are one pipe", "fghack",
       "fghack sh -c 'for f in 3 4 5 33; do readlink /proc/self/fd/$f; done' | sort | uniq -c",
       normalise=[PID]),
    sh("fghack: what is written into the pipe is dropped", "fghack",
       "fghack sh -c 'head -c 300000 /dev/zero >&4; echo done'; echo $?"),
    sh("fghack: few descriptors", "fghack", "ulimit -n 10; fghack sh -c 'echo child'; echo $?"),
    sh("fghack: too few descriptors", "fghack", "ulimit -n 4; fghack sh -c 'echo child'; echo $?"),
    sh("fghack: a child that closes them all", "fghack",
       "fghack " + PYTHON + " -c 'import os; os.closerange(3, 100); print(1, flush=True)'; echo $?"),
]

PGRPHACK = running("pgrphack", []) + [
    sh("pgrphack: a session and group of its own", "pgrphack",
       "pgrphack " + PYTHON + " -c 'import os; "
       "print(os.getsid(0) == os.getpid(), os.getpgrp() == os.getpid())'"),
    sh("pgrphack: one that leads a group already", "pgrphack",
       "setsid -w pgrphack " + PYTHON + " -c 'import os; print(os.getsid(0) == os.getpid())'"),
    Case("pgrphack: an option letter is a child", "pgrphack", ["-x"]),
]

CHAINS = [
    sh("chain: five programs", "setuidgid",
       "chmod 755 . ..; mkdir d; echo one > d/A; touch lock; chown nobody lock; "
       "envuidgid nobody softlimit -o 50 pgrphack setuidgid nobody envdir d setlock lock "
       "sh -c 'id; ulimit -n; echo $A $UID $GID; ls /proc/self/fd'"),
    sh("chain: an error in the middle names its program", "setuidgid",
       "softlimit -o 50 envdir no-such setuidgid nobody true; echo $?"),
    sh("chain: a usage error in the middle", "setuidgid",
       "softlimit -o 50 setlock -q lock true; echo $?; pgrphack envdir d; echo $?"),
    sh("chain: the last child missing is reported by the last program", "setuidgid",
       "softlimit -o 50 pgrphack no-such-program; echo $?"),
    sh("chain: a program by its path", "setuidgid",
       "p=$(command -v softlimit); pgrphack $p -o 50 $p -c 0 sh -c 'ulimit -n; ulimit -c'"),
    sh("chain: a program that is not where PATH says", "setuidgid",
       "PATH=/nowhere $(command -v pgrphack) softlimit -o 50 true; echo $?"),
    sh("chain: a file without permission hides none behind it", "setuidgid",
       "mkdir a; touch a/softlimit; PATH=a:$PATH pgrphack softlimit -o 50 sh -c 'ulimit -n'"),
    sh("chain: another program of that name comes first", "setuidgid",
       "mkdir a; printf '#!/bin/sh\\necho mine \"$@\"\\n' > a/softlimit; chmod 755 a/softlimit; "
       "PATH=a:$PATH pgrphack softlimit -o 50 sh -c 'ulimit -n'"),
    sh("chain: the user may not execute the next program", "setuidgid",
       "mkdir -m 700 a; p=$(command -v pgrphack); cp $p a/pgrphack; ln $p a/p2 2>/dev/null; "
       "setuidgid nobody a/pgrphack true; echo $?; rm -r a"),
    sh("chain: the name that ps shows", "setuidgid",
       "softlimit -o 50 pgrphack sh -c 'cat /proc/$$/comm'; "
       "mkfifo p; setlock lock sh -c 'read x < p' & "
       "until ! setlock -n lock true 2>/dev/null; do :; done; pgrphack setlock lock true & "
       "for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.02; done; cat /proc/$!/comm; echo go > p; wait"),
    sh("chain: an argument longer than the kernel takes is the first program's error", "setuidgid",
       "mkdir d; head -c 140000 /dev/zero | tr '\\0' x > d/A; envdir d pgrphack true; echo $?"),
]

CASES = (FINDING + SETUIDGID + ENVUIDGID + ENVDIR + SOFTLIMIT + SETLOCK + FGHACK + PGRPHACK + CHAINS)


def test_names_are_distinct():
    names = [case.name for case in CASES]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_as_the_original(case):
    compare(case)
