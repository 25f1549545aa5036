"""sv against runit's: lines, exit codes and what is written into the control FIFO, with status files of every
kind, and with runit's runsv."""

import struct

import pytest

from harness import Case, compare

LATER = 4_611_686_018_427_387_914 + 4_000_000_000
EARLIER = 4_611_686_018_427_387_914 + 1_000_000_000
AGES = [(rb"\b[0-9]+s\b", b"SECONDS")]
PIDS = [(rb"pid [0-9]+", b"pid NUMBER"), (rb"\b[0-9]+s\b", b"SECONDS")]


def status(pid=77, paused=0, want="u", term=0, state=None, at=LATER):
    """A status file of runsv."""
    state = (1 if pid else 0) if state is None else state
    return struct.pack(">QI", at, 0) + struct.pack("<I", pid) + bytes(
        [paused, ord(want) if want else 0, term, state])


UP, DOWN = status(), status(0, want="d")


def sv(name, *arguments, environment=None, **options):
    return Case(f"sv: {name}", "sv", list(arguments),
                environment={"SVDIR": ".", "SVWAIT": "0", **(environment or {})}, **options)


def with_services(name, command, services, environment=None, normalise=AGES, **options):
    """The shell commands `command` where `services` maps names to status files, each with its FIFOs in use; the
    file `got` has what was written into all of them."""
    files, script = {}, ""
    for number, (service, content) in enumerate(services.items()):
        files[f"{service}/supervise/status"] = content
        script += (f"mkfifo {service}/supervise/control {service}/supervise/ok;"
                   f"exec {3 + 2 * number}<>{service}/supervise/control {4 + 2 * number}<>{service}/supervise/ok;")
    script += f"{command}; echo $?;"
    for number, service in enumerate(services):
        script += (f"exec {9 - number}<{service}/supervise/control {3 + 2 * number}>&-;"
                   f"cat <&{9 - number} >>got;") if len(services) == 1 else ""
    files.update(options.pop("files", {}))
    return Case(f"sv: {name}", "sv", files=files, script=script, normalise=normalise,
                environment={"SVDIR": ".", "SVWAIT": "0", **(environment or {})}, **options)


def line(name, content, **options):
    return with_services(f"status {name}", "sv status d", {"d": content}, **options)


USAGE = [
    sv("no argument"), sv("a command and no service", "status"), sv("an unknown command", "zap", "d"),
    sv("an unknown option", "-z", "up", "d"), sv("-w without seconds", "-w"), sv("-V", "-V"),
    sv("restart misspelt", "restar", "d"), sv("force and nothing", "force", "d"),
    sv("force-zap", "force-zap", "d"), sv("empty command", "", "d"), sv("a long option", "--up", "d"),
    sv("two dashes end the options", "--", "status", "nowhere"),
    sv("no such service", "status", "nowhere"), sv("several missing services", "up", "a", "b", "c"),
    sv("more missing services than exit codes", "up", *(["a"] * 120)),
    sv("a service that is a file", "up", "f", files={"f": b""}), sv("empty service", "up", ""),
    sv("a service of odd bytes", "up", b"\xff\n"),
    sv("never supervised", "status", "d", files={"d/run": b""}),
    sv("never supervised, up", "up", "d", files={"d/run": b""}),
    sv("never supervised, exit", "exit", "d", files={"d/run": b""}),
    sv("supervise is a file", "up", "d", files={"d/supervise": b""}),
    sv("ok is a file", "up", "d", files={"d/supervise/ok": b""}),
    sv("ok is a directory", "up", "d", files={"d/supervise/ok": None}),
    sv("SVDIR is missing", "up", "d", environment={"SVDIR": "no"}, files={"d/run": b""}),
    sv("SVDIR does not matter for a path", "status", "./d", "d/", environment={"SVDIR": "no"},
       files={"d/run": b""}),
    Case("sv: no supervisor", "sv", files={"d/supervise/status": UP}, environment={"SVDIR": "."}, script=(
        "mkfifo d/supervise/ok d/supervise/control; for c in status up down exit start shutdown check "
        "force-shutdown X; do sv $c d; echo $?; done")),
    Case("sv: no status", "sv", files={"d/supervise": None}, environment={"SVDIR": "."}, script=(
        "mkfifo d/supervise/ok; exec 9<>d/supervise/ok; sv status d; sv up d; sv -w 0 up d; echo $?")),
    with_services("status is too short", "sv status d; sv up d", {"d": UP[:17]}),
    with_services("status is empty", "sv status d", {"d": b""}),
    with_services("status is longer", "sv status d; sv up d", {"d": UP + b"more"}),
    Case("sv: control has no reader", "sv", files={"d/supervise/status": UP}, environment={"SVDIR": "."},
         script="mkfifo d/supervise/ok d/supervise/control; exec 9<>d/supervise/ok; sv down d; sv exit d; echo $?"),
    Case("sv: control is missing", "sv", files={"d/supervise/status": UP}, environment={"SVDIR": "."},
         script="mkfifo d/supervise/ok; exec 9<>d/supervise/ok; sv down d; echo $?"),
]

LINES = [
    line("up", UP), line("down", DOWN), line("down, want up", status(0)),
    line("up, want down", status(want="d")), line("paused", status(paused=1)),
    line("paused byte without a process", status(0, paused=1)), line("got TERM", status(term=1)),
    line("got TERM without a process", status(0, term=1)), line("everything", status(9, 1, "d", 1)),
    line("finish", status(9, state=2)), line("finish without a process", status(0, state=2)),
    line("run without a process", status(0, state=1)), line("down with a process", status(9, state=0)),
    line("wanted nothing", status(want=None)), line("an odd wish", status(want="x")),
    line("an old stamp", status(at=EARLIER)), line("a great process id", status(2**31 - 1)),
    line("up, normally down", UP, files={"d/down": b""}),
    line("down, normally down", DOWN, files={"d/down": b""}),
    line("down is a directory", UP, files={"d/down": None}),
    line("down, want up, normally down", status(0), files={"d/down": b""}),
    with_services("status of a logger", "sv status d", {"d": UP, "d/log": status(78, want="d")}),
    with_services("status of a logger that is down", "sv status d", {"d": DOWN, "d/log": DOWN}),
    with_services("status a logger that is not supervised", "sv status d", {"d": UP}, files={"d/log/run": b""}),
    line("log is a file", UP, files={"d/log": b""}),
    with_services("status of two", "sv status a b; sv s a b", {"a": UP, "b": DOWN}),
    with_services("status of the logger itself", "sv status d/log", {"d/log": UP}),
    with_services("status of services by path", "sv status ./d d/ $PWD/d d/../d", {"d": UP},
                  normalise=[*AGES, (rb"/[^ ]*/work/", b"/WORK/")]),
    with_services("status and words after it", "sv stat d; sv statusquo d; sv s d", {"d": UP}),
    with_services("-v status", "sv -v status d; sv -w 5 status d", {"d": UP}),
]

WORDS = ["up", "down", "once", "pause", "cont", "hup", "alarm", "interrupt", "quit", "1", "2", "term",
         "kill", "exit", "x", "u", "d", "o", "p", "c", "h", "a", "i", "q", "t", "k", "e", "uptown"]
SENDING = [
    *(with_services(f"{word} on one that is up", f"sv {word} d", {"d": UP}) for word in WORDS),
    *(with_services(f"{word} on one that is down", f"sv {word} d", {"d": DOWN})
      for word in ["up", "down", "once", "term", "kill", "exit"]),
    with_services("down on one that is going down", "sv down d", {"d": status(want="d", term=1)}),
    with_services("down on one that is wanted down", "sv down d", {"d": status(want="d")}),
    with_services("several commands", "sv up d && sv d d && sv kill d", {"d": UP}),
    with_services("a service several times", "sv down d d ./d", {"d": UP}),
    with_services("one of several fails", "sv down nowhere d", {"d": UP}),
]

WAITING = [
    *(with_services(f"{word} has come to pass", f"sv {word} d", {"d": content}) for word, content in [
        ("start", UP), ("stop", DOWN), ("restart", UP), ("try-restart", UP), ("reload", UP),
        ("force-stop", DOWN), ("force-reload", UP), ("force-restart", UP), ("check", UP), ("check", DOWN),
        ("D", DOWN), ("T", UP)] if not (word == "check" and content is DOWN)),
    with_services("check of one that is down", "sv check d", {"d": DOWN}),
    *(with_services(f"{word} comes too late", f"sv {word} d", {"d": content}) for word, content in [
        ("start", status(0)), ("stop", UP), ("restart", status(at=EARLIER)),
        ("try-restart", status(at=EARLIER)), ("shutdown", UP), ("force-stop", UP),
        ("force-shutdown", UP), ("force-reload", status(at=EARLIER)), ("X", UP), ("E", UP), ("D", UP)]),
    with_services("check waits for one that is wanted up", "sv check d", {"d": status(0)}),
    with_services("check waits for one that is wanted down", "sv check d", {"d": status(want="d")}),
    with_services("reload is always done", "sv reload d", {"d": DOWN}),
    with_services("start waits for run, not finish", "sv start d", {"d": status(9, state=2)}),
    with_services("stop waits for finish", "sv stop d", {"d": status(0, want="d", state=2)}),
    with_services("restart waits while it has got TERM", "sv restart d", {"d": status(term=1)}),
    with_services("restart of one that is wanted down", "sv restart d", {"d": DOWN}),
    with_services("try-restart of one that is wanted down", "sv try-restart d", {"d": DOWN}),
    *(with_services(f"-w 0 {word}", f"sv -w 0 {word} d; sv -w 0 {word} e", {"d": UP, "e": DOWN})
      for word in ["up", "down", "term", "cont", "pause", "once", "exit", "hup", "kill"]),
    with_services("-v with SVWAIT", "sv -v down d", {"d": UP}),
    with_services("-w wins over SVWAIT", "sv -w 0 down d", {"d": UP}, environment={"SVWAIT": "1000"}),
    with_services("SVWAIT is no number", "sv -v down d", {"d": UP}, environment={"SVWAIT": "x"}),
    with_services("-w no number", "sv -w x down d", {"d": UP}),
    with_services("-v pause", "sv -v pause d; sv -v cont d", {"d": status(paused=1)}),
    with_services("-v once on one that is wanted up", "sv -v once d", {"d": UP}),
    with_services("-v once on one that ran", "sv -v once d", {"d": DOWN}),
    with_services("two, one comes too late", "sv stop a b", {"a": UP, "b": DOWN}),
]


def check(name, script, content=UP, command="sv start d", mode=0o755):
    return with_services(name, command, {"d": content},
                         files={"d/check": (f"#!/bin/sh\n{script}\n".encode(), mode)})


CHECKS = [
    check("check says yes", "exit 0"), check("check says no", "exit 1"),
    check("check is asked in its directory", "test -e check"),
    check("check has no output", "test -e /proc/$$/fd/1 && exit 1; exit 0"),
    check("check has errors shown", "echo $# >&2"), check("check is called by its path", "echo $0 >&2"),
    check("check is not executable", "exit 1", mode=0o644),
    check("check is killed", "kill -KILL $$"), check("check is not asked when it is down", "echo asked >&2", status(0)),
    check("check is asked by check", "echo asked >&2", command="sv check d"),
    check("check is not asked by check of one that is wanted down", "echo asked >&2", DOWN, "sv check d"),
    check("check is asked by restart", "exit 1", command="sv restart d"),
    check("check is not asked by stop", "echo asked >&2", DOWN, "sv stop d"),
    check("check is not asked by up", "echo asked >&2", command="sv up d"),
    check("check is asked by -v up", "exit 0", command="sv -v up d"),
    check("check is not asked by reload", "echo asked >&2", command="sv reload d"),
    check("check gets the environment", 'test "$A" = b', command="A=b sv start d"),
    with_services("check is a directory", "sv start d", {"d": UP}, files={"d/check": None}),
]


def as_script(name, command, services, **options):
    """Called by the name of the service."""
    return with_services(name, f"mkdir init; ln -s $(command -v sv) init/d; init/d {command}",
                         services, **options)


SCRIPTS = [
    *(as_script(f"init script: {word or 'nothing'}", word, {"d": UP}) for word in [
        "", "status", "start", "stop", "restart", "reload", "check", "up", "statusquo", "zap", "-w 0 stop",
        "-z", "force-stop", "term"]),
    *(as_script(f"init script: {word} of one that is down", word, {"d": DOWN}) for word in ["status", "stop", "start"]),
    as_script("init script: status and a logger that is down", "status", {"d": UP, "d/log": DOWN}),
    as_script("init script: words after the command are nothing", "status e f", {"d": UP}),
    as_script("init script: no status file",
              "status; rm d/supervise/status; init/d status; echo $?; init/d start", {"d": UP}),
    as_script("init script: not supervised", "status; exec 4<&-; init/d status; echo $?; init/d start; echo $?; "
              "init/d shutdown", {"d": UP}),
    as_script("init script: no service", "status; rm -r d; init/d status; echo $?; init/d start", {"d": UP}),
]


def supervised(name, commands, run="exec sleep 1000", files=None, log=None):
    """With a service under runit's runsv, whichever sv it is."""
    content = {"d/run": (f"#!/bin/sh\n{run}\n".encode(), 0o755), **(files or {})}
    if log:
        content["d/log/run"] = (f"#!/bin/sh\n{log}\n".encode(), 0o755)
    return Case(f"sv: runsv: {name}", "sv", files=content, environment={"SVDIR": "."}, normalise=PIDS, script=(
        "/usr/bin/runsv d & until test -p d/supervise/ok && sv start d >/dev/null; do sleep 0.05; done;"
        f"{commands}; sv force-shutdown d >/dev/null 2>&1; wait; rm -r d"))


# The original takes a service that was started in this second for one that has been started again.
NEXT_SECOND = "now=$(date +%s); until test $(date +%s) -gt $now; do sleep 0.05; done; "
RUNSV = [
    supervised("stop and start", "sv stop d; echo $?; sv status d; sv start d; echo $?; sv status d"),
    supervised("restart", NEXT_SECOND + "sv restart d; echo $?; sv status d"),
    supervised("once", "sv -v down d; sv once d; until sv status d | grep ^run; do sleep 0.05; done; sv -v down d"),
    supervised("pause and cont", "sv -v pause d; sv status d; sv -v cont d; sv status d"),
    supervised("signals",
               "sv -v hup d; sv -v usr d; sv 1 d; until grep -qs USR1 d/got; do sleep 0.05; done; cat d/got",
               "trap 'echo HUP >>got' HUP; trap 'echo USR1 >>got' USR1; while :; do sleep 0.05; done"),
    supervised("exit", "sv -v exit d; echo $?; sv status d; echo $?; sv exit d; echo $?"),
    supervised("a logger", "sv status d; sv -v down d/log; sv status d; sv -v up d/log", log="exec cat >/dev/null"),
    supervised("shutdown with a logger", "sv shutdown d; echo $?", log="exec cat >/dev/null"),
    supervised("force-stop of one that ignores TERM", "sv -w 1 force-stop d; echo $?; sv -w 5 stop d",
               "trap '' TERM; echo >ready; while :; do sleep 0.05; done"),
]

CASES = USAGE + LINES + SENDING + WAITING + CHECKS + SCRIPTS + RUNSV


def test_names_are_distinct():
    names = [case.name for case in CASES]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_as_the_original(case):
    compare(case)
