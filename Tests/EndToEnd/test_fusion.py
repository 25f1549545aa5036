"""Chains of programs that are one binary: called in one process, with what an exec would have done.
The same programs as files of their own, which can only be exec'ed, are what they are held against."""

import os
import pathlib
import shutil
import subprocess

import pytest

from apus import BIN, background, environment, run, wait_for
from tracing import execs

STAGES = ["envdir", "envuidgid", "pgrphack", "seccomp", "setcaps", "setlock", "setuidgid", "softlimit"]

# All of a process that a chain may change, as the last program finds it.
STATE = r"""
import os, resource, signal
status = open('/proc/self/status').read().splitlines()
keep = ('Uid', 'Gid', 'Groups', 'Cap', 'NoNewPrivs', 'Seccomp', 'Sig', 'Shd', 'Umask', 'Name')
for line in status:
    if line.startswith(keep) and not line.startswith('SigQ'): print(line)
print(sorted(os.environb.items()))
print([(fd, os.get_inheritable(int(fd))) for fd in sorted(os.listdir('/proc/self/fd'))
       if os.path.exists('/proc/self/fd/' + fd)])
print(os.getcwd(), os.getsid(0) == os.getpid(), os.getpgrp() == os.getpid())
print([resource.getrlimit(getattr(resource, name)) for name in sorted(dir(resource))
       if name.startswith('RLIMIT_')])
print(open('/proc/self/comm').read(), open('/proc/self/cmdline', 'rb').read())
print(os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0))
try:
    open('/proc/self/mem', 'rb'); print('dumpable')
except OSError as error: print(error)
"""


@pytest.fixture(name="place")
def _place(tmp_path):
    """A directory that every user can reach, with variables, a lock and both kinds of programs."""
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents:
        if parent.stat().st_uid == os.getuid() and parent != pathlib.Path("/"):
            parent.chmod(parent.stat().st_mode | 0o011)
    (tmp_path / "linked").mkdir()
    (tmp_path / "apart").mkdir()
    binary = shutil.copy(BIN / "apus", tmp_path / "linked/apus")
    for name in STAGES + ["multilog"]:
        (tmp_path / "linked" / name).symlink_to("apus")
        shutil.copy(binary, tmp_path / "apart" / name)
    (tmp_path / "env").mkdir()
    (tmp_path / "env/A").write_text("one\n")
    (tmp_path / "env/HOME").write_text("")
    (tmp_path / "lock").touch()
    (tmp_path / "lock").chmod(0o666)
    (tmp_path / "some.policy").write_text("@denylist\n@swap: return EPERM\n")
    return tmp_path


def path_environment(directory, **extra):
    return environment(**extra) | {"PATH": f"{directory}:/usr/bin:/bin", "HOME": "/root"}


CHAINS = {
    "five stages": "softlimit -o 100 pgrphack setlock lock setuidgid nobody envdir env",
    "ids into the environment": "envuidgid man envdir env envuidgid nobody",
    "root to root": "setuidgid root softlimit -c 0",
    "user and then all else": "setuidgid nobody envdir env setlock lock softlimit -f 1000000 pgrphack",
    "capabilities in the middle": "envdir env setcaps --bounding chown,setuid softlimit -o 99",
    "ambient capabilities": "softlimit -o 99 setuidgid --ambient net_raw nobody envdir env",
    "a filter and then more": "pgrphack seccomp some.policy envdir env softlimit -o 50",
    "no new privileges": "setcaps --no-new-privs setuidgid nobody envdir env",
    "everything": "envuidgid man softlimit -o 90 -m 1000000000 pgrphack setlock lock "
                  "setcaps -n -b setuid,setgid,kill seccomp some.policy setuidgid nobody envdir env",
    "a user of capabilities to another": "setcaps --user nobody --caps setuid,setgid,kill setuidgid man envdir env",
    "a user to what it is": "setuidgid nobody setuidgid nobody envdir env",
    "a score after a change of user": "setuidgid nobody setcaps --oom-score-adj 500 envdir env",
    "the account's variables": "setuidgid --user-env nobody envdir env",
    "one twice": "softlimit -o 90 softlimit -o 80 envdir env envdir env setlock lock",
}


@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS)
def test_a_chain_does_what_its_execs_would(place, chain):
    results = []
    for directory in ("linked", "apart"):
        result = run(*chain.split(), "/usr/bin/python3", "-c", STATE, cwd=place,
                     env=path_environment(place / directory, USER="x"))
        assert result.returncode == 0, result.stderr
        results.append(result.stdout.replace(os.fsencode(place / directory), b"PROGRAMS"))
    assert results[0] == results[1]


def count(place, command, directory="linked", **extra):
    """How many execs a command takes, `true` at its end."""
    words = command.split()
    first = place / directory / words[0]
    number, status = execs(first, *words[1:], "true", cwd=place,
                           env=path_environment(place / directory, **extra))
    return number, os.waitstatus_to_exitcode(status)


@pytest.mark.parametrize("command, expected", [
    ("pgrphack", 2),
    ("softlimit -o 100 pgrphack setlock lock setuidgid nobody envdir env", 2),
    ("envuidgid man envdir env setuidgid root softlimit -c 0", 2),
    ("setcaps --no-new-privs envdir env", 2),
    # An exec computes capability sets anew.
    ("setcaps --bounding chown envdir env", 3),
    ("setuidgid --ambient net_raw nobody envdir env", 3),
    ("setuidgid --caps none nobody envdir env", 3),
    # /proc/self is root's until the exec after a change of user.
    ("setuidgid nobody setcaps --oom-score-adj 500 envdir env", 3),
    ("setuidgid nobody setuidgid nobody envdir env", 2),
    # A filter may have something to say about an exec.
    ("seccomp some.policy envdir env pgrphack", 3),
    # A tight limit on memory is for the next program to meet.
    ("softlimit -s 8000000 pgrphack", 3),
    ("softlimit -d 1000000000 pgrphack", 2),
], ids=str)
def test_how_many_execs_it_takes(place, command, expected):
    assert count(place, command) == (expected, 0)


def test_programs_of_their_own_are_all_executed(place):
    assert count(place, "softlimit -o 100 pgrphack setlock lock envdir env", "apart") == (5, 0)


def test_called_by_a_relative_path(place):
    number, status = execs("linked/softlimit", "-o", "100", "linked/pgrphack", "true", cwd=place,
                           env=path_environment("linked"))
    assert (number, status) == (2, 0)


def test_called_as_apus(place):
    assert count(place, "apus softlimit -o 100 apus pgrphack apus envdir env") == (2, 0)


def test_a_set_user_id_bit_wants_its_exec(place):
    (place / "linked/apus").chmod(0o4755)
    assert count(place, "softlimit -o 100 pgrphack") == (3, 0)


def test_file_capabilities_want_their_exec(place):
    # cap_net_raw=p, as setcap(8) writes it: version 2, permitted and inheritable words.
    value = bytes.fromhex("00000002" "00200000" "00000000" "00000000" "00000000")
    os.setxattr(place / "linked/apus", "security.capability", value)
    assert count(place, "softlimit -o 100 pgrphack") == (3, 0)


def test_another_version_of_the_binary_is_executed(place):
    # Renamed over the one that waits for its lock, as an upgrade does.
    shutil.copy(place / "linked/apus", place / "linked/new")
    with background(place / "linked/setlock", place / "lock", "sleep", "60", cwd=place,
                    env=path_environment(place / "linked")) as holder:
        wait_for(lambda: run("setlock", "-n", place / "lock", "true").returncode, "the lock")
        with background(place / "linked/setlock", place / "lock", "pgrphack", "sleep", "60", cwd=place,
                        env=path_environment(place / "linked")) as waiting:
            comm = pathlib.Path(f"/proc/{waiting.pid}/comm")
            wait_for(lambda: comm.read_text() == "setlock\n", "setlock")
            (place / "linked/new").rename(place / "linked/apus")
            (place / "linked/pgrphack").unlink()
            (place / "linked/pgrphack").symlink_to("/bin/false")
            wait_for(lambda: "flock" in pathlib.Path(f"/proc/{waiting.pid}/wchan").read_text()
                     or pathlib.Path(f"/proc/{waiting.pid}/syscall").read_text().split()[0] == "73",
                     "the wait for the lock")
            holder.kill()
            assert waiting.wait(10) == 1


def test_another_program_of_that_name_is_executed(place):
    (place / "linked/pgrphack").unlink()
    (place / "linked/pgrphack").symlink_to("/bin/true")
    assert count(place, "softlimit -o 100 pgrphack no-such-program") == (2, 0)


def test_a_program_that_stays_is_seen_under_its_own_command_line(place):
    with background(place / "linked/softlimit", "-o", "100", "envdir", "env", "multilog", "-*",
                    cwd=place, env=path_environment(place / "linked"), stdin=subprocess.PIPE) as process:
        line = pathlib.Path(f"/proc/{process.pid}/cmdline")
        wait_for(lambda: line.read_bytes() == b"multilog\0-*\0", "multilog's command line")


def test_a_stage_that_waits_has_its_own_name(place):
    with background(place / "linked/setlock", "lock", "sleep", "60", cwd=place,
                    env=path_environment(place / "linked")):
        wait_for(lambda: run("setlock", "-n", place / "lock", "true").returncode, "the lock")
        with background(place / "linked/softlimit", "-o", "100", "setlock", "lock", "true", cwd=place,
                        env=path_environment(place / "linked")) as process:
            name = pathlib.Path(f"/proc/{process.pid}/comm")
            wait_for(lambda: name.read_text() == "setlock\n", "the name of the stage")


def test_the_user_may_not_be_allowed_to_execute_it(place):
    (place / "linked/apus").chmod(0o744)
    next_stage = place / "linked/pgrphack"
    result = run("setuidgid", "nobody", next_stage, "true", cwd=place,
                 env=path_environment(place / "linked"))
    assert (result.returncode, result.stderr) == (
        111, b"setuidgid: fatal: unable to run " + os.fsencode(next_stage) + b": access denied\n")


def test_on_a_mount_without_exec(place):
    # The chain starts on a mount with exec and goes on with the same file on one without.
    script = (f"mount --bind {place}/linked {place}/apart && "
              f"mount -o remount,bind,noexec {place}/apart && "
              f"exec {place}/linked/softlimit -o 100 {place}/apart/pgrphack true")
    result = run("unshare", "--mount", "sh", "-c", script)
    assert (result.returncode, result.stderr) == (
        111, b"softlimit: fatal: unable to run " + os.fsencode(place)
        + b"/apart/pgrphack: access denied\n")


def test_without_proc(place):
    script = (f"umount -l /proc; cd {place}; "
              "softlimit -o 77 pgrphack envdir env sh -c 'ulimit -n; echo $A; ls /proc'")
    result = run("unshare", "--mount", "sh", "-c", script, env=path_environment(place / "linked"))
    assert result.stdout == b"77\none\n", result.stderr
