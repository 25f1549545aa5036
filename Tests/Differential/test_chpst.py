"""chpst against runit's: what the program is given, what is said, and the exit code."""

import pytest

from chains import LIMITS, PYTHON, SHOW, sh, show
from harness import Case, compare

IDS = ["grep", "-E", "^(Uid|Gid|Groups|Cap)", "/proc/self/status"]


def chpst(name, *arguments, **options):
    return Case(f"chpst: {name}", "chpst", list(arguments), **options)


def script(name, text, **options):
    return sh(f"chpst: {name}", "chpst", text, **options)


def limits(name, *arguments):
    return chpst(name, *arguments, PYTHON, "-c", LIMITS)


def variables(name, *arguments, **options):
    return show("chpst", *arguments, name=f"chpst: {name}", **options)


PLAIN = [
    chpst("no argument at all"),
    chpst("no program", "-v"),
    chpst("a program that does not exist", "no-such-program"),
    chpst("a program by a path that does not exist", "./no/such"),
    chpst("a program without permission", "./f", files={"f": (b"", 0o644)}),
    chpst("odd arguments reach the program", PYTHON, "-c", SHOW, b"", b" ", b"\xff", b"--", b"-x"),
    script("the program's exit code", "chpst sh -c 'exit 99'"),
    script("the program's death", "chpst sh -c 'kill -KILL $$'"),
    chpst("an unknown option", "-z", "true"),
    chpst("an unknown option in a cluster", "-vz", "true"),
    chpst("a colon is no option", "-:", "true"),
    chpst("two dashes end the options", "--", "echo", "--", "-v"),
    chpst("a lone dash is the program", "-", "true"),
    chpst("options after the program are the program's", "echo", "-v", "-P"),
    chpst("options in one word", "-vP0", "true"),
    *(chpst(f"-{letter} without its value", f"-{letter}")
      for letter in ["u", "U", "b", "e", "/", "n", "l", "L", "m", "d", "o", "p", "f", "c", "t", "r"]),
    *(chpst(f"-{letter} and no program", f"-{letter}", "1") for letter in ["m", "o", "n", "l", "u"]),
    chpst("a long option", "--user", "true"),
    chpst("-V", "-V"),
]

USERS = [
    chpst("-u user", "-u", "nobody", *IDS),
    chpst("-u user whose group has another number", "-u", "man", *IDS),
    chpst("-u user:group", "-u", "nobody:daemon", *IDS),
    chpst("-u user:group:group", "-u", "nobody:daemon:adm:tty", *IDS),
    chpst("-u user:group twice the same", "-u", "nobody:adm:adm", "id", "-G"),
    chpst("-u :uid:gid", "-u", ":12:34", *IDS),
    chpst("-u :uid:gid:gid", "-u", ":12:34:56:78", *IDS),
    chpst("-u :uid:gid of root", "-u", ":0:0", *IDS),
    chpst("-u root", "-u", "root", *IDS),
    chpst("-u root:group", "-u", "root:adm", *IDS),
    chpst("-u attached", "-unobody", "id", "-u"),
    chpst("-u twice, the last counts", "-u", "man", "-u", "nobody", "id"),
    chpst("-u unknown user", "-u", "no-such-account", "true"),
    chpst("-u unknown group", "-u", "nobody:no-such-group", "true"),
    chpst("-u unknown second group", "-u", "nobody:adm:no-such-group", "true"),
    chpst("-u a number is no account", "-u", "65534", "true"),
    chpst("-u a number is no group", "-u", "nobody:65534", "true"),
    chpst("-u empty", "-u", "", "true"),
    chpst("-u only a colon", "-u", ":", "true"),
    chpst("-u a group missing at the end", "-u", "nobody:", "true"),
    chpst("-u :uid without a gid", "-u", ":12", "true"),
    chpst("-u :name", "-u", ":nobody:nogroup", "true"),
    chpst("-u :uid:name", "-u", ":12:adm", "true"),
    chpst("-u :uid:gid and more", "-u", ":12:34x", "true"),
    chpst("-u :uid:gid: is not the group of root", "-u", ":12:34:", "id"),
    chpst("-u :uid: is not the group of root", "-u", ":12:", "id"),
    chpst("-u ::gid is not root", "-u", "::5", "id"),
    chpst("-u a number that wraps is not root", "-u", ":18446744073709551616:5", "id"),
    chpst("-u a number beyond 32 bits is not root", "-u", ":4294967296:5", "id"),
    chpst("-u odd bytes", "-u", b"\xff\n", "true"),
    chpst("-u unknown before a program that does not exist", "-u", "no-such", "no-such-program"),
    script("-u by an ordinary user", "setuidgid nobody chpst -u man true; echo $?"),
    script("-u by an ordinary user to root", "setuidgid nobody chpst -u root true; echo $?"),
    variables("-U user", "-U", "nobody", environment={"UID": "x", "A": "b"}),
    variables("-U user:group", "-U", "nobody:adm"),
    variables("-U user:group:group", "-U", "nobody:adm:tty"),
    variables("-U :uid:gid", "-U", ":7:8"),
    chpst("-U unknown", "-U", "no-such-account", "true"),
    chpst("-U invalid", "-U", ":x", "true"),
    script("-U changes no ids", "chpst -U nobody id -u"),
    script("-u and -U", "chpst -u nobody -U man:adm sh -c 'id -u; id -g; echo $UID $GID'"),
    script("GID comes before UID", "env -i $(command -v chpst) -U nobody /usr/bin/env | tail -n 2"),
]

ENVIRONMENT = [
    variables("-e sets and unsets", "-e", "d", environment={"OLD": "x", "GONE": "y"},
              files={"d/OLD": b"new\n", "d/GONE": b"", "d/EMPTY": b"\n", "d/BLANKS": b" a \t \nmore",
                     "d/NULS": b"a\0b\n", "d/.HIDDEN": b"x", "d/NONL": b"x"}),
    variables("-e and -U", "-e", "d", "-U", "nobody", files={"d/UID": b"9", "d/A": b"1"}),
    chpst("-e no such directory", "-e", "d", "true"),
    chpst("-e a file", "-e", "d", "true", files={"d": b""}),
    variables("-e a directory in it", "-e", "d", files={"d/sub/x": b"1", "d/A": b"1"}),
    variables("-ve a directory in it", "-v", "-e", "d", files={"d/sub/x": b"1", "d/A": b"1"}),
    script("-e an unreadable file", "mkdir -m 755 d; echo x > d/A; chmod 0 d/A; chmod 755 .; "
           "setuidgid nobody chpst -e d true; echo $?"),
    script("-e a dangling link", "mkdir d; ln -s no d/A; chpst -e d true; echo $?"),
    script("-e the program is looked for in the caller's PATH",
           "mkdir d; echo /nowhere > d/PATH; chpst -e d /usr/bin/env | grep ^PATH; "
           "chpst -e d true; echo $?"),
    script("-e the directory stays", "mkdir d; chpst -e d basename $PWD"),
    variables("-e a name with an equals sign", "-e", "d", files={"d/A=B": b"c"}),
]

PLACES = [
    script("-b", "chpst -b foo sh -c 'echo $0; cat /proc/$$/cmdline | tr \\\\0 , | cut -c 1-3'"),
    script("-b empty", "chpst -b '' sh -c 'cat /proc/$$/cmdline | tr \\\\0 , | cut -c 1-3'"),
    chpst("-b a program that does not exist", "-b", "foo", "no-such-program"),
    chpst("-/ no such directory", "-/", "no", "true"),
    chpst("-/ a file", "-/", "f", "true", files={"f": b""}),
    chpst("-/ the program is looked for inside", "-/", "d", "true", files={"d": None}),
    script("-/ changes the root", "mkdir -p d/bin; cp /bin/busybox d/bin/sh 2>/dev/null || exit 0; "
           "chpst -/ d sh -c 'echo /*; pwd'; rm d/bin/sh"),
    script("-/ names are looked up inside", "mkdir -p d/etc d/bin; echo u:x:77:88:::>d/etc/passwd; "
           "echo g:x:99:>d/etc/group; cp /bin/busybox d/bin/busybox 2>/dev/null || exit 0; "
           "chpst -/ d -U u:g busybox env | grep ID; rm -r d/bin"),
    script("-/ by an ordinary user", "mkdir d; chmod 755 . d; setuidgid nobody chpst -/ d true; echo $?"),
    script("-n adds", "nice -n 3 chpst -n 4 nice"),
    script("-n with a plus", "chpst -n +4 nice"),
    script("-n with a minus", "nice -n 3 chpst -n -2 nice"),
    script("-n beyond the range", "chpst -n 100 nice; chpst -n -100 nice"),
    script("-n nothing", "chpst -n '' nice; chpst -n 0 nice; chpst -n + nice"),
    script("-n twice, the last counts", "chpst -n 4 -n 2 nice"),
    chpst("-n a word", "-n", "x", "true"),
    chpst("-n a number and more", "-n", "5x", "true"),
    chpst("-n two minus signs", "-n", "--5", "true"),
    script("-n by an ordinary user", "setuidgid nobody chpst -n 1 nice; "
           "setuidgid nobody chpst -n -1 nice; echo $?"),
    script("-P starts a session", "chpst -P sh -c 'test $(ps -o sid= -p $$) -eq $$ && echo leader'"),
    script("-P by a leader", "setsid chpst -P sh -c 'test $(ps -o sid= -p $$) -eq $$ && echo leader'"),
    script("without -P there is none",
           "chpst sh -c 'test $(ps -o sid= -p $$) -ne $$ && echo follower'"),
]

LOCKS = [
    script("-l makes and holds a lock", "chpst -l f sh -c 'chpst -L f true; echo $?; ls -l f | cut -c 1-10'"),
    script("-L holds a lock", "chpst -L f sh -c 'chpst -L f true; echo $?'"),
    script("-l waits", "mkfifo p; chpst -l f sh -c 'read x <p; echo first' & "
           "until ! chpst -L f true 2>/dev/null; do :; done; (chpst -l f echo second) & echo go >p; wait"),
    script("-L is the same lock as setlock's", "setlock f chpst -L f true; echo $?"),
    script("-l keeps the content", "echo content >f; chpst -l f cat f"),
    chpst("-l in a directory that does not exist", "-l", "no/f", "true"),
    chpst("-l a directory", "-l", "d", "true", files={"d": None}),
    chpst("-L in a directory that does not exist", "-L", "no/f", "true"),
    chpst("-l twice", "-l", "a", "-l", "b", "true"),
    chpst("-l and -L", "-l", "a", "-L", "b", "true"),
    script("-l is opened by the new user", "chmod 755 .; mkdir -m 777 d; chpst -u nobody -l d/f true; "
           "stat -c %U d/f; mkdir -m 755 e; chpst -u nobody -l e/f true; echo $?"),
]

LIMIT_CASES = [
    limits("no limits"),
    *(limits(f"-{letter}", f"-{letter}", value) for letter, value in [
        ("m", "1000000000"), ("d", "900000000"), ("o", "50"), ("p", "1000"), ("f", "123456"),
        ("c", "0"), ("t", "77"), ("r", "5000000")]),
    limits("-m then -d", "-m", "2000000000", "-d", "1000000000"),
    limits("-d then -m", "-d", "1000000000", "-m", "2000000000"),
    limits("more than the hard limit", "-o", "99999999"),
    limits("the greatest number", "-f", "18446744073709551615"),
    limits("several", "-o", "60", "-c", "5", "-f", "100000", "-t", "100"),
    limits("with a user", "-u", "nobody", "-o", "60", "-p", "300"),
    limits("twice, the last counts", "-o", "60", "-o", "70"),
    *(chpst(f"-{letter} a number and more", f"-{letter}", "5x", "true") for letter in "mdopfctr"),
    chpst("-o negative", "-o", "-5", "true"),
    chpst("-o a word", "-o", "=", "true"),
    script("-c nothing is zero", "chpst -c '' sh -c 'ulimit -c'"),
    script("a soft limit leaves the hard one", "chpst -o 60 sh -c 'ulimit -Hn; ulimit -n'; "
           "sh -c 'ulimit -Hn'"),
    script("limits do not hinder the lock", "chpst -o 3 -l f true; echo $?"),
]

CLOSING = [
    *(chpst(f"-{which}", f"-{which}", PYTHON, "-c", "import os; os.system('ls /proc/$$/fd >f 2>&1')")
      for which in ["0", "01"]),
    script("-0 closes stdin", "chpst -0 sh -c 'test -e /proc/$$/fd/0 || echo closed'"),
    script("-1 closes stdout", "chpst -1 sh -c 'test -e /proc/$$/fd/1 || echo closed >&2'"),
    script("-2 closes stderr", "chpst -2 sh -c 'test -e /proc/$$/fd/2 || echo closed'"),
    script("-012 closes all", "chpst -012 sh -c 'for n in 0 1 2; do test -e /proc/$$/fd/$n || "
           "echo closed $n; done >f'; cat f"),
    script("-0 twice", "chpst -0 -0 true; echo $?"),
    script("-0 of one that is closed", "chpst -0 true <&-; echo $?"),
    script("-1 of one that is closed", "chpst -1 true >&-; echo $? >&2"),
    script("-2 hides that the program cannot be run", "chpst -2 no-such-program; echo $?"),
]

CHAINS = [
    script("a chain of chpst", "chpst -o 60 chpst -c 0 chpst -n 2 sh -c 'ulimit -n; ulimit -c; nice'"),
    script("with daemontools' programs", "mkdir d; echo v >d/A; "
           "chpst -e d softlimit -o 70 chpst -u nobody envuidgid man sh -c 'echo $A $UID; id -u; ulimit -n'"),
    script("an error in the middle", "chpst -o 60 chpst -e no-such true; echo $?"),
    script("a usage error in the middle", "chpst -o 60 chpst -z true; echo $?"),
    script("a user changed twice", "chpst -u man chpst -u nobody id; echo $?"),
]

CASES = PLAIN + USERS + ENVIRONMENT + PLACES + LOCKS + LIMIT_CASES + CLOSING + CHAINS


def test_names_are_distinct():
    names = [case.name for case in CASES]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_as_the_original(case):
    compare(case)
