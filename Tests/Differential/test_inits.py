"""tini, tini-static, dumb-init and catatonit beside Debian's: what a command line says and ends with, what the command
inherits, who gets which signal, whose orphans are whose, and what a terminal sees."""

import contextlib
import os
import pathlib
import pty
import re
import signal
import subprocess
import sys

import pytest

from apus import BIN, REFERENCE, background, wait_for
from differences import DIFFERENCES
from harness import Case, compare, ending_all, outcome

SUPPORT = pathlib.Path(__file__).resolve().parents[1] / "Support"
INITS = ["tini", "tini-static", "dumb-init", "catatonit"]
# A command line without its command.
VARIANTS = {
    "tini": ["tini", "--"],
    "tini -s": ["tini", "-s", "--"],
    "tini -g": ["tini", "-s", "-g", "--"],
    "tini-static": ["tini-static", "-s", "--"],
    "dumb-init": ["dumb-init"],
    "dumb-init -c": ["dumb-init", "-c"],
    "dumb-init -r": ["dumb-init", "-r", "15:3", "-r", "1:0", "-r", "20:10"],
    "catatonit": ["catatonit", "--"],
    "catatonit -g": ["catatonit", "-g", "--"],
}
PIDS = [(pattern, replacement) for pattern, replacement in [
    (rb"tini \(\d+\)", b"tini (N)"), (rb"catatonit:\d+", b"catatonit:N"), (rb"PID \d+", b"PID N"),
    (rb"pid '\d+'", b"pid 'N'"), (rb"pid: '\d+'", b"pid: 'N'"), (rb"pid=\d+", b"pid=N"),
    (rb"pid1 \(-?\d+\)", b"pid1 (N)"), (rb"child process \d+", b"child process N")]]


def case(name, *words, normalise=(), **more):
    """A case about the program that is the first word."""
    return Case(f"{words[0]}: {name}", words[0], list(words[1:]), normalise=[*PIDS, *normalise], **more)


def script(name, program, text, **more):
    return Case(f"{program}: {name}", program, script=text, normalise=PIDS, **more)


def identities(cases):
    return pytest.mark.parametrize("case", cases, ids=lambda one: one.name)


def each(name, *words, only=INITS, **more):
    """The same case for several programs, with the words that come after the program's."""
    return [case(name, program, *words, **more) for program in only]


# MARK: how the command ends

CODES = [0, 1, 2, 42, 100, 111, 126, 127, 128, 143, 254, 255]
DEATHS = [1, 2, 3, 6, 9, 11, 15, 31, 34, 64]


@identities([one for code in CODES
             for one in each(f"exit {code}", "--", "sh", "-c", f"exit {code}", only=INITS)])
def test_exit_codes(case):
    compare(case)


@identities([one for number in DEATHS
             for one in each(f"killed by {number}", "--", "sh", "-c", f"ulimit -c 0; kill -{number} $$",
                             only=["tini", "dumb-init", "catatonit"])])
def test_deaths(case):
    compare(case)


def status(place, program, command):
    """How an init of one of the two sets ends."""
    return subprocess.run([place / program, "--", "bash", "-c", command], capture_output=True).returncode


def death(number):
    """A command that ends by a signal. bash ignores QUIT, perl FPE."""
    kill = "exec perl -e 'kill 3, $$; sleep 1'" if number == 3 else f"kill -{number} $$"
    return f"ulimit -c 0; {kill}"


# All but those that stop a process. Four of them do nothing to one that does not ask for them, and it ends with 0.
SIGNALS = sorted(set(range(1, 65)) - {19, 20, 21, 22})


@pytest.mark.parametrize("program", ["tini", "dumb-init", "catatonit"])
def test_every_exit_code(program):
    for code in range(256):
        assert status(BIN, program, f"exit {code}") == status(REFERENCE, program, f"exit {code}"), code


@pytest.mark.parametrize("program", ["tini", "dumb-init", "catatonit"])
def test_every_death(program):
    for number in SIGNALS:
        command = death(number)
        assert status(BIN, program, command) == status(REFERENCE, program, command), number


@pytest.mark.parametrize("number", SIGNALS)
def test_init_tells_a_death_as_tini_does(number):
    command = death(number)
    own = subprocess.run([BIN / "init", "-s", "/nonexistent", "--", "bash", "-c", command], capture_output=True)
    assert own.returncode == status(REFERENCE, "tini", command)


def test_init_tells_every_exit_code_as_tini_does():
    for code in range(256):
        own = subprocess.run([BIN / "init", "-s", "/nonexistent", "--", "sh", "-c", f"exit {code}"],
                             capture_output=True)
        assert own.returncode == status(REFERENCE, "tini", f"exit {code}"), code


def status_of_process_1(program, words, command):
    """How a pid namespace ends that has this init as its process 1."""
    return subprocess.run(["unshare", "--pid", "--fork", "--kill-child", program, *words, "--", "bash", "-c", command],
                          capture_output=True).returncode


@pytest.mark.parametrize("ours, theirs", [("init", "tini"), ("tini", "tini"), ("dumb-init", "dumb-init"),
                                          ("catatonit", "catatonit")])
def test_every_end_as_process_1(ours, theirs):
    """All exit codes, and all signals but those that stop a process."""
    words = ["-s", "/nonexistent"] if ours == "init" else []
    ends = [f"exit {code}" for code in range(256)]
    ends += [death(number) for number in SIGNALS]
    for command in ends:
        expected = status_of_process_1(REFERENCE / theirs, [], command)
        assert status_of_process_1(BIN / ours, words, command) == expected, command


@identities([
    case(f"-e {values} with {code}", "tini", *[word for value in values.split(",") for word in ("-e", value)], "--",
         "sh", "-c", f"exit {code}")
    for values, code in [("143", 143), ("143", 0), ("143", 142), ("0", 0), ("255", 255), ("1,2,3", 2), ("1,2,3", 4),
                         (" 7", 7), ("+7", 7), ("007", 7), ("-0", 0), ("127", 127)]
] + [
    case("-e 143 and TERM", "tini", "-e", "143", "--", "sh", "-c", "kill -TERM $$"),
    case("-e 127 and no program", "tini", "-e", "127", "--", "no-such-program"),
    case("-e nothing", "tini", "-e", "", "--", "sh", "-c", "exit 3"),
])
def test_remapped_codes(case):
    compare(case)


# MARK: programs that cannot be run

FILES = {
    "text": b"#!/bin/sh\nexit 0\n", "noexec": (b"#!/bin/sh\n", 0o644), "directory": None,
    "script": (b"echo \"script $0 $*\"; exit 5\n", 0o755), "bad": (b"#!/no/such/shell\n", 0o755),
    "empty": (b"", 0o755), "zero": (b"\0\1\2\3", 0o755), "bin/tool": (b"#!/bin/sh\necho tool; exit 4\n", 0o755),
    "closed/tool": (b"#!/bin/sh\n", 0o644), "closed/other": (b"#!/bin/sh\n", 0o644),
}


@identities(
    [one for word in ["no-such-program", "./no-such-program", "/no/such/program", "./noexec", "./directory", "./bad",
                      "./text/x", "x" * 300, "./script", "./empty", "/etc/passwd", ""]
     for one in each(f"run {word[:20]}", "--", word, "a", "b", files=FILES, only=["tini", "dumb-init", "catatonit"])]
    + [one for path in ["", "bin", "closed:bin", "closed", "text:bin", "/nowhere:bin", ".:bin"] for one in each(
        f"PATH={path}", "--", "tool", files=FILES, environment={"PATH": path}, only=["tini", "dumb-init", "catatonit"])]
    + [script("PATH is unset", program, f"program=$(command -v {program}); unset PATH; exec $program -- sh -c 'exit 6'")
       for program in ["tini", "dumb-init", "catatonit"]])
def test_programs(case):
    compare(case)


# MARK: command lines

NOTHING = (rb"(?s).*", b"")
HELP = [(rb"(?s)(Usage: [^\n]*\n).*", rb"\1")]


@identities(
    [case(f"help {words}", "tini", *words.split(), normalise=HELP)
     for words in ["-h", "-vh", "-s -h", "-h -z", "sh -h", "", "--", "-z", "-s", "-vvv", "-e", "-p", "-sz true", "--foo",
                   "--version true", "-e 256 true", "-e -1 true", "-e x true", "-e 1x true", "-p TERM true",
                   "-p SIGNONE true", "-p sigterm true", "-p 15 true", "-p SIGRTMIN true", "-p SIGSTKFLT true",
                   "-p SIGPWR true", "-p SIG true", "-pSIGTERM true", "-p SIGTERM -- true", "-sgv true",
                   "true -s -- -g", "sh -c true -v", "-e 0 -e 255 true"]]
    + [case(f"words {words}", "dumb-init", *words.split(), normalise=[(rb"(?s)^(dumb-init v1.2.5\nUsage[^\n]*).*", rb"\1")])
       for words in ["-h", "--help", "--hel", "-vh", "", "--", "-c", "-z", "--foo", "--foo=bar", "--ver", "--v", "--verb -c true",
                     "--single true", "--single-child=x true", "--help=x", "-r", "--rewrite", "-r 1 true",
                     "-r 1:2:3 true", "-r 1:2x true", "-r 0:1 true", "-r 32:1 true", "-r 1:32 true", "-r 31:31 true",
                     "-r 1:-1 true", "-r x:1 true", "-r 1:x true", "-r +1:+2 true", "-r99999999999:1 true",
                     "--rewrite=1:0 true", "--rewrite 1:0 true", "--rew=15:2 true", "-cr 15:2 true", "-r15:2 true",
                     "true -z", "-- true -z", "sh -c true"]]
    + [case(f"words {words}", "catatonit", *words.split())
       for words in ["", "--", "-g", "-z", "--foo", "--help", "--vers=x", "true -g", "sh -c true", "-g -- true",
                     "-- true -z", "true -z", "-gz"]]
    + [case("-h", "catatonit", "-h", normalise=[(rb"(?s)\n.*", b"")]),
       case("POSIXLY_CORRECT", "tini", "sh", "-c", "exit 3", environment={"POSIXLY_CORRECT": ""}),
       case("POSIXLY_CORRECT", "catatonit", "sh", "-c", "exit 3", environment={"POSIXLY_CORRECT": ""}),
       case("CATATONIT_LOG", "catatonit", "true", environment={"CATATONIT_LOG": ""}),
       case("CATATONIT_LOG and a wrong option", "catatonit", "-z", environment={"CATATONIT_LOG": "x"})])
def test_command_lines(case):
    compare(case)


@pytest.mark.parametrize("program, word", [("tini", "--version"), ("tini-static", "--version"), ("dumb-init", "-V"),
                                           ("dumb-init", "--version"), ("catatonit", "-V"), ("catatonit", "--version")])
def test_the_version_begins_as_the_originals(program, word):
    theirs, ours = (subprocess.run([place / program, word], capture_output=True, check=True) for place in (REFERENCE, BIN))
    for old, new in (theirs.stdout, ours.stdout), (theirs.stderr, ours.stderr):
        assert new.startswith(old.rstrip(b"\n")) and (old == new == b"" or b"apus" in new)


# MARK: what is said

@identities(
    [case(f"{option} {name}={value}", "tini", *option.split(), "--", "true", environment={name: value} if name else {})
     for option in ["", "-v", "-vv", "-vvv", "-s -vvv", "-vvvvvv", "-w", "-g"]
     for name, value in [("", ""), ("TINI_VERBOSITY", "3")]]
    + [case(f"TINI_VERBOSITY={value}", "tini", "-s", "-v", "--", "true", environment={"TINI_VERBOSITY": value})
       for value in ["0", "1", "2", "4", "9", "", "x", "2x", " 2", "-1", "99999999999"]]
    + [case("TINI_SUBREAPER=", "tini", "true", environment={"TINI_SUBREAPER": ""}),
       case("TINI_SUBREAPER=0", "tini", "true", environment={"TINI_SUBREAPER": "0"}),
       case("-vv and a death", "tini", "-s", "-vv", "--", "sh", "-c", "kill -TERM $$"),
       case("-vv and a death by 40", "tini", "-s", "-vv", "--", "sh", "-c", "kill -40 $$"),
       script("-w", "tini", "tini -s -w -- sh -c '(true &); sleep 0.3'")]
    + [script(f"{options} {setting}", "dumb-init", f"{setting} dumb-init {options} sh -c '{command}' 2>&1 | sort")
       for options in ["", "-v", "-cv", "-v -r 15:9", "-v -r 15:0"]
       for setting in ["", "DUMB_INIT_DEBUG=1", "DUMB_INIT_DEBUG=1 DUMB_INIT_SETSID=0", "DUMB_INIT_DEBUG=0"]
       for command in ["exit 3"]]
    + [script("-v and a death", "dumb-init", "dumb-init -v sh -c 'kill -TERM $$' 2>&1 | sort"),
       case("debug", "catatonit", "true", environment={"CATATONIT_DEBUG": ""}, normalise=[(rb"(?m)^[^\n]*tty[^\n]*\n", b"")]),
       script("debug and orphans", "catatonit",
              "CATATONIT_DEBUG=1 catatonit sh -c '(true &); sleep 0.3; exit 4' 2>&1 | grep -v tty")])
def test_what_is_said(case):
    """Of the originals, parent and child write lines in pieces, which sometimes mix."""
    if case.name in DIFFERENCES.get(case.program, {}):
        return compare(case)
    ours = outcome(case, BIN)
    for _ in range(5):
        if (theirs := outcome(case, REFERENCE)) == ours:
            return None
    assert ours == theirs


# MARK: what the command inherits

LOOK = r"""
set -- $(cut -d' ' -f 5-8 /proc/$$/stat) $$ $PPID
[ $1 = $5 ] && echo own group || echo shared group
[ $2 = $5 ] && echo own session || echo shared session
echo terminal $3
[ $(cut -d' ' -f 5 /proc/$6/stat) = $(cut -d' ' -f 5 /proc/$$/stat) ] && echo group of the init
"""
MASKS = "grep -E '^Sig(Blk|Ign):' /proc/self/status"
LISTEN = '[ "$LISTEN_PID" = $$ ] && echo own; [ "$LISTEN_PID" = $PPID ] && echo parent; [ -z "$LISTEN_PID" ] && echo unset'


# Those of Tests/Support/differences.py.
DIFFERENT = ["catatonit: signals", "catatonit: HUP ignored", "catatonit: TTIN and TTOU ignored",
             "catatonit: the directory of the init", "catatonit -g: the directory of the init",
             "tini: no input", "tini: nothing"]
INHERITED = (
    [script(f"{name}: session and group", line[0], f"{' '.join(line)} sh -c '{LOOK}'")
     for name, line in VARIANTS.items()]
    + [script(f"{name}: {what}", line[0], f"{before}{' '.join(line)} {MASKS}")
       for name, line in VARIANTS.items() if name != "catatonit -g"
       for what, before in [("signals", ""), ("HUP ignored", "trap '' HUP; "),
                            ("TTIN and TTOU ignored", "trap '' TTIN TTOU; "), ("CHLD ignored", "trap '' CHLD; ")]
       if not (what == "CHLD ignored" and line[0] != "dumb-init")]
    + [script(f"{name}: directory", line[0], f"{' '.join(line)} sh -c 'readlink /proc/self/cwd'") for name, line in
       VARIANTS.items()]
    + [script(f"{name}: the directory of the init", line[0],
              f"cd /tmp && {' '.join(line)} sh -c 'sleep 0.2; readlink /proc/$PPID/cwd'")
       for name, line in VARIANTS.items()]
    + [script(f"{name}: descriptors", line[0], f"exec 7<{os.devnull}; {' '.join(line)} ls /proc/self/fd")
       for name, line in VARIANTS.items()]
    + [script(f"{name}: descriptor 7 of the init", line[0], f"exec 7<{os.devnull}; {' '.join(line)} sh -c "
              "'sleep 0.2; [ -e /proc/$PPID/fd/7 ] && echo open || echo closed'") for name, line in VARIANTS.items()]
    + [script(f"{name}: {what}", line[0], f"LISTEN_PID={value} exec {' '.join(line)} sh -c '{LISTEN}'")
       for name, line in VARIANTS.items() for what, value in [("sockets", "$$"), ("sockets of others", "1")]]
    + [script(f"{name}: {what}", line[0], f"{' '.join(line)} sh -c 'exit 7' {closed}")
       for name, line in VARIANTS.items() if name in ("tini", "dumb-init", "catatonit")
       for what, closed in [("no input", "<&-"), ("no output", ">&-"), ("no errors", "2>&-"), ("nothing", "<&- >&- 2>&-")]])


@identities(INHERITED)
def test_inheritance(case):
    compare(case)


def test_the_differences_are_cases():
    assert {name.partition(": ")[2] for name in (case.name for case in INHERITED)} >= set(DIFFERENT)


# MARK: orphans

ADOPTED = ("sh -c 'sleep 1 & echo $! > pid'; read pid < pid; kill -0 $pid; "
           "[ $(cut -d' ' -f4 /proc/$pid/stat) = $PPID ] && echo the init || echo another; rm pid")


@identities(
    [script(f"{name}: who adopts", line[0], f"{' '.join(line)} sh adopted", files={"adopted": ADOPTED.encode()})
     for name, line in VARIANTS.items()]
    + [script("TINI_SUBREAPER: who adopts", "tini", "TINI_SUBREAPER= tini sh adopted", files={"adopted": ADOPTED.encode()})]
    + [script(f"{name}: {what}", line[0],
              f"unshare --pid --fork --mount-proc --kill-child {' '.join(line)} sh -c '{command}'")
       for name, line in VARIANTS.items()
       for what, command in [
           ("no zombie", "for i in 1 2 3 4 5 6 7 8; do (sleep 0.1 &); done; sleep 0.4; grep -l Z /proc/[0-9]*/stat | wc -l"),
           ("process 1 ends with the command", "sleep 30 & exit 9"),
           ("process 1 and a death", "kill -9 $$"),
           ("process 1 and no program", "exec no-such-program")]])
def test_orphans(case):
    compare(case)


# MARK: signals

FENCE = {signal.SIGUSR2: signal.SIGUSR1}


class Running:
    """An init with a command that records its signals."""

    def __init__(self, place, line, fence, *apart, prefix=()):
        words = [str(place / line[0]), *line[1:], sys.executable, "-I", "-S", str(SUPPORT / "recorder.py"), str(fence), *apart]
        self.fence = fence
        self.popen = subprocess.Popen([*prefix, *words], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL, start_new_session=True)
        assert self.popen.stdout.readline() == b"ready\n"
        self.pid = self.children(self.popen.pid)[0] if prefix else self.popen.pid
        self.child = self.children(self.pid)[0]

    @staticmethod
    def children(pid):
        return wait_for(lambda: list(map(int, pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split())))

    @staticmethod
    def fields(pid):
        return dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())

    def state(self, pid):
        """T for one that stands still, Z for a dead one, else a dot."""
        state = self.fields(pid)["State"][0]
        return state if state in "TZ" else "."

    def is_quiet(self, pid):
        """It sleeps or stands still, and has not yet to stop."""
        fields = self.fields(pid)
        return fields["State"][0] in "STZ" and not int(fields["ShdPnd"], 16) >> (signal.SIGSTOP - 1) & 1

    def is_settled(self, number):
        """The init has taken the signal, and sleeps or stands still, or is dead."""
        for _ in range(2):
            fields = self.fields(self.pid)
            if fields["State"][0] == "Z":
                return True
            pending = int(fields["ShdPnd"], 16) | int(fields["SigPnd"], 16)
            if (pending >> (number - 1) & 1 and fields["State"][0] != "T") or fields["State"][0] not in "ST":
                return False
        return True

    def send(self, number):
        """Sends it and says what has become of both."""
        os.kill(self.pid, number)
        wait_for(lambda: self.is_settled(number), f"signal {number} taken")
        states = self.state(self.pid)
        if states == "Z":
            return states
        wait_for(lambda: self.is_quiet(self.child) and self.is_quiet(self.child), "the command's answer")
        states += self.state(self.child)
        while "T" in self.state(self.pid) + self.state(self.child):
            os.kill(self.pid, signal.SIGCONT)
            wait_for(lambda: self.is_settled(signal.SIGCONT), "going on")
            wait_for(lambda: self.is_quiet(self.child), "the command going on")
        return states

    def told(self):
        os.kill(self.pid, self.fence)
        return self.popen.stdout.readline()

    def end(self):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.child, signal.SIGKILL)
        return self.popen.wait(30)


def after(place, line, number, *apart):
    fence = FENCE.get(number, signal.SIGUSR2)
    with ending_all():
        running = Running(place, line, fence, *apart)
        with running.popen.stdout:
            states = running.send(number)
            # A dead one forwards nothing; a killed one leaves nothing to compare.
            told = running.told() if states != "Z" else b""
            return states, told, running.end()


@pytest.mark.parametrize("number", range(1, 65))
@pytest.mark.parametrize("name", ["tini -s", "dumb-init", "dumb-init -c", "dumb-init -r", "catatonit"])
def test_each_signal(name, number):
    line = VARIANTS[name]
    assert after(BIN, line, number) == after(REFERENCE, line, number)


@pytest.mark.parametrize("apart", ["group", "session"])
@pytest.mark.parametrize("name", VARIANTS)
def test_who_gets_it(name, apart):
    line = VARIANTS[name]
    for number in signal.SIGTERM, signal.SIGHUP, signal.SIGWINCH:
        assert after(BIN, line, number, apart) == after(REFERENCE, line, number, apart)


@pytest.mark.parametrize("value", ["", "0", "1"])
def test_the_group_by_environment(value, monkeypatch):
    monkeypatch.setenv("TINI_KILL_PROCESS_GROUP", value)
    monkeypatch.setenv("DUMB_INIT_SETSID", value)
    for line in ["tini", "-s", "--"], ["dumb-init"]:
        assert after(BIN, line, 15, "group") == after(REFERENCE, line, 15, "group")


@pytest.mark.parametrize("name", VARIANTS)
def test_every_signal_to_process_1(name):
    def observe(place):
        with ending_all():
            running = Running(place, VARIANTS[name], signal.SIGUSR2,
                              prefix=["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"])
            found = []
            with running.popen.stdout:
                for number in range(1, 65):
                    if number not in (9, 12, 19):
                        found.append((number, running.send(number), running.told()))
                return found, running.end()
    assert observe(BIN) == observe(REFERENCE)


@pytest.mark.parametrize("number", range(1, 32))
def test_pause(number):
    """catatonit -P: a process 1 that only reaps, until TERM or INT."""
    def observe(place):
        with background(place / "catatonit", "-P", stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            status = pathlib.Path(f"/proc/{process.pid}/status")
            wait_for(lambda: "State:\tS" in status.read_text())
            process.send_signal(number)
            if number in (19, 20, 21, 22):
                process.send_signal(signal.SIGCONT)
            process.send_signal(signal.SIGTERM)
            return process.wait(30)
    assert observe(BIN) == observe(REFERENCE)


@pytest.mark.parametrize("options", [["-p", "SIGTERM"], ["-p", "SIGKILL"], ["-p", "SIGUSR1"], []])
def test_the_signal_at_the_parents_end(options, tmp_path):
    """The parent, a shell, ends; the command tells what it got, or dies with tini."""
    def observe(place):
        output = tmp_path / place.parent.name
        text = ("for s in TERM USR1; do trap \"echo $s >> %s; exit\" $s; done; echo up >> %s;"
                " i=0; while [ $i -lt 40 ]; do sleep 0.05; i=$((i+1)); done" % (output, output))
        with ending_all():
            subprocess.run(["sh", "-c", f'"$@" & while [ ! -s {output} ]; do sleep 0.01; done', "sh",
                            place / "tini", "-s", *options, "--", "sh", "-c", text], check=True)
            if options and options[1] != "SIGKILL":
                wait_for(lambda: output.read_text().count("\n") > 1)
        return output.read_text()
    assert observe(BIN) == observe(REFERENCE)


def test_the_rest_of_the_group_gets_term_from_dumb_init(tmp_path):
    def observe(place, *options):
        output = tmp_path / f"{place.parent.name}{len(options)}"
        text = (f"(trap 'echo term > {output}; exit' TERM; echo > {output}.up; i=0; while [ $i -lt 20 ]; do sleep 0.05;"
                f" i=$((i+1)); done; echo none > {output}) & while [ ! -e {output}.up ]; do sleep 0.01; done; exit 3")
        with ending_all():
            code = subprocess.run([place / "dumb-init", *options, "sh", "-c", text], stderr=subprocess.DEVNULL).returncode
            wait_for(lambda: output.exists() and output.read_text())
        return code, output.read_text()
    for options in [], ["-c"], ["-r", "15:0"], ["-r", "15:1"]:
        assert observe(BIN, *options) == observe(REFERENCE, *options)


# MARK: terminals

def on_terminal(place, line, typed, command):
    """What a terminal shows of the init as the leader of its session, and how it ends."""
    leader, follower = pty.openpty()
    try:
        with ending_all():
            process = subprocess.Popen(
                ["setsid", "--ctty", "--wait", place / line[0], *line[1:], "bash", "-c", command],
                stdin=follower, stdout=follower, stderr=subprocess.DEVNULL, start_new_session=True)
            os.close(follower)
            text = b""
            while b"ready" not in text:
                text += os.read(leader, 4096)
            os.write(leader, typed)
            code = process.wait(10)
            with contextlib.suppress(OSError):
                while more := os.read(leader, 4096):
                    text += more
            # A shell may be told twice before it ends.
            lines = re.sub(rb"\^[A-Z\\]", b"", text).splitlines()
            return list(dict.fromkeys(lines)), code
    finally:
        os.close(leader)


PLACE = ("set -- $(cut -d' ' -f 5-8 /proc/$$/stat); echo $(($1 == $$)) $(($2 == $$)) $(($4 == $1)) $(($3 != 0));"
         "[ -e /dev/tty ] && : < /dev/tty && echo has a terminal;")


@pytest.mark.parametrize("typed, name_of_signal", [(b"\x03", "INT"), (b"\x1c", "QUIT"), (b"x\n", "none")])
@pytest.mark.parametrize("name", VARIANTS)
def test_a_terminal(name, typed, name_of_signal):
    command = (f"{PLACE} for s in INT QUIT HUP CONT; do trap \"echo got $s; exit 9\" $s; done; echo ready;"
               "read -r line; echo read $line; exit 8")
    line = VARIANTS[name]

    def outcome(place):
        for _ in range(3):
            # A shell that gets a signal just before it reads learns of it only after that, and dumb-init sometimes takes
            # no notice of a key that comes soon after its start.
            with contextlib.suppress(subprocess.TimeoutExpired):
                return on_terminal(place, line, typed, command)
        raise AssertionError(f"{place} ends in no run of three")
    assert outcome(BIN) == outcome(REFERENCE)
