"""tcpserver confined, and its programs beyond it: what the kernel says of both, and what they meet."""

import os
import pathlib
import shutil
import subprocess

import pytest

from apus import BIN, environment, landlock_version, run
from network import private_network
from sockets import FAST, compile_rules, talk, tcpserver

BY_COPY = ("-v", "-R", "-H")
KILL, BIND, RAW = 1 << 5, 1 << 10, 1 << 13
FIELDS = ("Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs",
          "Seccomp", "Seccomp_filters")
STATUS = ("cat", "/proc/self/status")


def state(text):
    """What a status file of /proc says about privileges; sets of capabilities as numbers."""
    lines = dict(line.split(":\t") for line in text.splitlines() if ":\t" in line)
    return {name: int(lines[name], 16) if name.startswith("Cap") else lines[name].strip()
            for name in FIELDS}


def states(*options, env=None):
    """Of a tcpserver that has just told its port, and of its program."""
    with tcpserver(*options, child=STATUS, env=env) as server:
        own = state(pathlib.Path(f"/proc/{server.process.pid}/status").read_text())
        return own, state(talk(server.port)[0].decode())


BEFORE = state(run("cat", "/proc/self/status").stdout.decode())
needs_landlock = pytest.mark.skipif(landlock_version() < 5, reason="the kernel's Landlock restricts less")
pytestmark = pytest.mark.skipif(BEFORE["CapEff"] & (KILL | BIND | RAW) == 0,
                                reason="has no capabilities to take away")


# --- tcpserver itself ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [FAST, BY_COPY], ids=["at-once", "by-copy"])
def test_its_programs_inherit_what_confines_it(kind):
    own, child = states(*kind, "--no-new-privs", "--seccomp", "~@mount:EXDEV", "--caps",
                        "kill,net_raw")
    limited = {**BEFORE, "NoNewPrivs": "1", "Seccomp": "2", "Seccomp_filters": "1",
               "CapPrm": KILL | RAW, "CapEff": KILL | RAW, "CapBnd": KILL | RAW}
    assert own == limited
    assert child == limited


def test_bounding_limits_the_server_as_an_exec_would():
    own, child = states(*FAST, "--bounding", "kill")
    assert own == child == {**BEFORE, "CapBnd": KILL, "CapPrm": KILL, "CapEff": KILL}


def test_a_user_by_name_and_two_users():
    own, child = states(*FAST, "--user", "nobody:4321")
    assert (own["Uid"].split(), own["Gid"].split(), own["Groups"]) == (["65534"] * 4, ["4321"] * 4, "4321")
    assert (own["CapPrm"], own["CapEff"]) == (0, 0)
    for identity in (("-u", "1"), ("-g", "1"), ("-u", "1", "-g", "1")):
        result = run("tcpserver", *FAST, *identity, "--user", "nobody", "127.0.0.1", "0", "true")
        assert (result.returncode, result.stderr) == (100, b"tcpserver: fatal: -u or -g, and --user\n")


@pytest.mark.parametrize("option", ["--seccomp", "--child-seccomp"])
def test_a_call_that_is_denied(option):
    script = ("import ctypes; libc = ctypes.CDLL(None, use_errno=True); libc.swapoff(0);"
              "print(ctypes.get_errno())")
    with tcpserver(*FAST, option, "~@swap:EXDEV", child=("python3", "-c", script)) as server:
        assert talk(server.port)[0] == b"18\n"


@pytest.mark.parametrize("identity, groups", [
    (("-u", "4321", "-g", "8765"), "8765"), (("-u", "4321"), "4321"),
    (("-U",), "2222"), (("-U", "-u", "4321"), "2222"),
])
def test_a_user_keeps_a_capability(identity, groups):
    own, child = states(*FAST, *identity, "--caps", "net_bind_service",
                        env=environment(UID="4321", GID="2222"))
    wanted = {**BEFORE, "Uid": "\t".join(["4321"] * 4), "Gid": "\t".join([groups] * 4),
              "Groups": groups, "CapInh": BIND, "CapPrm": BIND, "CapEff": BIND, "CapAmb": BIND}
    assert own == child == wanted


def test_group_without_user():
    own, child = states(*FAST, "-g", "8765", "--no-new-privs")
    assert own == child == {**BEFORE, "NoNewPrivs": "1", "Gid": "\t".join(["8765"] * 4),
                            "Groups": "8765"}


def test_a_capability_that_is_kept_can_be_used():
    """A low port is bound before the user changes; the program binds another by what is left to it."""
    script = "import socket; s = socket.socket(); s.bind(('127.0.0.1', 2)); print('bound')"
    with private_network():
        subprocess.run(["sysctl", "-qw", "net.ipv4.ip_unprivileged_port_start=1024"], check=True)
        for options, seen in (((), b""), (("--caps", "net_bind_service"), b"bound\n")):
            with tcpserver(*FAST, "-u", "4321", "-g", "4321", *options, port=1,
                           child=("python3", "-c", script)) as server:
                assert server.port == 1
                assert talk(server.port)[0] == seen


def test_rules_are_read_and_connections_looked_up_under_confinement(tmp_path):
    """New rules count although the server may no longer do what root may."""
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents:
        if parent != pathlib.Path("/") and parent.stat().st_uid == os.getuid():
            parent.chmod(parent.stat().st_mode | 0o011)
    compile_rules(tmp_path, b":allow\n")
    options = ("-x", "rules.cdb", "-D", "-u", "4321", "-g", "4321", "--caps", "none",
               "--no-new-privs", "--seccomp", "~@mount @swap @module @reboot @clock",
               "--child-seccomp", "~@swap")
    for kind in (FAST, BY_COPY, ("-v", "-t1")):
        with tcpserver(*kind, *options, child=("echo", "in"), cwd=tmp_path) as server:
            for text, seen in [(b":deny\n", b""), (b"127.:allow\n", b"in\n"), (b"127.:deny\n", b"")]:
                compile_rules(tmp_path, text)
                assert talk(server.port)[0] == seen
            (tmp_path / "rules.cdb").chmod(0)
            assert talk(server.port)[0] == b""
            server.wait_for_log(rb"unable to read rules.cdb: access denied\n")
        compile_rules(tmp_path, b":allow\n")


@needs_landlock
def test_rules_that_it_may_not_read_let_nobody_in(tmp_path):
    for name in ("open", "closed"):
        (tmp_path / name).mkdir()
        compile_rules(tmp_path / name, b":allow\n")
    with tcpserver(*FAST, "-x", tmp_path / "open/rules.cdb", "--landlock",
                   f"exec=/,ro={tmp_path}/open", child=("echo", "in")) as server:
        assert talk(server.port)[0] == b"in\n"
        compile_rules(tmp_path / "open", b":deny\n")
        assert talk(server.port)[0] == b""
        server.wait_for_log(rb"deny")
    with tcpserver(*FAST, "-x", tmp_path / "closed/rules.cdb", "--landlock",
                   f"exec=/usr,exec=/lib,exec=/lib64,ro={tmp_path}/open", child=("echo", "in")) as server:
        assert talk(server.port)[0] == b""
        server.wait_for_log(rb"closed/rules.cdb: access denied\n")


# --- its programs only --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [FAST, BY_COPY], ids=["at-once", "by-copy"])
def test_programs_are_confined_and_the_server_is_not(kind):
    own, child = states(*kind, "--child-bounding", "kill", "--child-no-new-privs",
                        "--child-seccomp", "~@mount")
    assert own == BEFORE
    assert child == {**BEFORE, "CapBnd": KILL, "CapPrm": KILL, "CapEff": KILL, "NoNewPrivs": "1",
                     "Seccomp": "2", "Seccomp_filters": "1"}


def test_both_add_up():
    own, child = states(*FAST, "-u", "4321", "-g", "4321", "--caps", "kill,net_raw", "--seccomp",
                        "~@mount", "--child-ambient", "kill", "--child-seccomp", "~@swap")
    assert (own["CapEff"], own["CapAmb"], own["Seccomp_filters"]) == (KILL | RAW, KILL | RAW, "1")
    assert (child["CapEff"], child["CapAmb"], child["Seccomp_filters"]) == (KILL, KILL, "2")


def test_a_root_directory_for_each_program(tmp_path):
    """The rules are read outside, and the program is looked for inside."""
    (tmp_path / "root").mkdir()
    shutil.copy(BIN / "apus", tmp_path / "root/delcr")
    compile_rules(tmp_path, b"127.0.0.2:deny\n:allow\n")
    with tcpserver(*FAST, "-x", "rules.cdb", "--child-chroot", "root", "--child-user", "4321:4321",
                   child=("/delcr",), cwd=tmp_path) as server:
        for _ in range(2):
            assert talk(server.port, b"a\r\nb")[0] == b"a\nb"
        assert talk(server.port, source="127.0.0.2")[0] == b""
        server.wait_for_log(rb"deny")


@needs_landlock
@pytest.mark.parametrize("option, seen", [("--landlock", b""), ("--child-landlock", b"in\n")])
def test_files_that_a_program_may_not_read(tmp_path, option, seen):
    (tmp_path / "file").write_text("in\n")
    compile_rules(tmp_path, b":allow\n")
    usual = "exec=/usr,exec=/lib,exec=/lib64,exec=/bin"
    script = f"cat {tmp_path}/file 2>&-; echo $?"
    with tcpserver(*FAST, "-x", "rules.cdb", option, f"{usual},ro={tmp_path}/rules.cdb",
                   child=("sh", "-c", script), cwd=tmp_path) as server:
        assert talk(server.port)[0] == b"1\n"
    with tcpserver(*FAST, "-x", "rules.cdb", option, f"{usual},ro={tmp_path}/file",
                   child=("sh", "-c", script), cwd=tmp_path) as server:
        # The server itself needs its rules, and only without the prefix is kept from them.
        assert talk(server.port)[0] == (seen and seen + b"0\n")


def test_limits_and_place_of_each_program():
    with tcpserver(*FAST, "--child-limit", "nofile=63:64", "--child-umask", "027", "--child-nice", "5",
                   child=("sh", "-c", "ulimit -n; ulimit -Hn; umask; nice")) as server:
        assert talk(server.port)[0].split() == [b"63", b"64", b"0027", b"5"]
        assert os.getpriority(os.PRIO_PROCESS, server.process.pid) == os.getpriority(os.PRIO_PROCESS, 0)


def test_the_policy_is_read_once(tmp_path):
    policy = tmp_path / "some.policy"
    policy.write_text("@denylist\nswapoff: return EXDEV\n")
    with tcpserver(*FAST, "--child-seccomp", policy, child=STATUS) as server:
        policy.unlink()
        for _ in range(3):
            assert state(talk(server.port)[0].decode())["Seccomp_filters"] == "1"


def test_denied_clients_need_no_confinement(tmp_path):
    """The one asked for would fail, and is not tried."""
    compile_rules(tmp_path, b":deny\n")
    with tcpserver(*FAST, "-x", "rules.cdb", "--child-bounding", "none", child=("echo", "in"),
                   cwd=tmp_path, before=("setcaps", "-b", "kill")) as server:
        assert talk(server.port)[0] == b""
        log = server.wait_for_log(rb"deny (\d+) .*\ntcpserver: end \1 status 25600\n")
        assert b"warning" not in log


# --- what fails ---------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["--", "--child-"])
@pytest.mark.parametrize("words, code, message", [
    (("caps", "chwon"), 100, b"unknown capability chwon"),
    (("seccomp", "~raed"), 100, b"policy: unknown system call raed"),
    (("seccomp", "/no/such.policy"), 111,
     b"unable to read /no/such.policy: file does not exist"),
])
def test_mistakes_are_found_before_it_listens(prefix, words, code, message):
    result = run(BIN / "tcpserver", "-1", prefix + words[0], words[1], "127.0.0.1", "0", "true")
    assert (result.returncode, result.stdout, result.stderr) == (
        code, b"", b"tcpserver: fatal: " + message + b"\n")


@pytest.mark.parametrize("before, options, message", [
    (("setuidgid", "nobody"), ("--bounding", "none"),
     b"unable to drop cap_chown from the bounding set: permission denied"),
    (("setcaps", "-p", "kill"), ("-u", "1", "--no-new-privs"), b"unable to setgid: permission denied"),
    (("setcaps", "-b", "kill,setuid,setgid"), ("-u", "1", "--caps", "net_raw"),
     b"not held by this process: cap_net_raw"),
])
def test_a_server_that_cannot_be_confined_serves_nobody(before, options, message):
    result = run(*before, BIN / "tcpserver", "-1", *options, "127.0.0.1", "0", "true")
    assert (result.returncode, result.stdout) == (111, b"")
    assert result.stderr.startswith(b"tcpserver: fatal: " + message)
    assert result.stderr.count(b"\n") == 1


@pytest.mark.parametrize("kind", [FAST, BY_COPY], ids=["at-once", "by-copy"])
@pytest.mark.parametrize("options, message", [
    (("-u", "4321", "--child-bounding", "none"),
     rb"unable to drop cap_chown from the bounding set: permission denied"),
    (("--child-seccomp", "~execve:EACCES"), rb"unable to run echo: access denied"),
])
def test_a_program_that_cannot_be_confined_is_not_run(kind, options, message):
    with tcpserver(*kind, *options, child=("echo", "in")) as server:
        assert talk(server.port)[0] == b""
        server.wait_for_log(
            rb"ok (\d+) .*\ntcpserver: warning: dropping connection, " + message
            + rb"\ntcpserver: end \1 status 28416\n")
    with tcpserver("-q", *kind[1:], *options, child=("echo", "in")) as server:
        assert talk(server.port)[0] == b""
        assert server.log == b""
