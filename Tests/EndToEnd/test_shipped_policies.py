"""The policies in rootfs-skel: each program works as without, and no line is there that it does not need."""

import collections
import ctypes
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import socket
import subprocess

import pytest

import dns
from apus import BIN, ROOT, environment, landlock_version, run, wait_for
from network import private_network, tcp_server
from sockets import read_all, talk, tcpserver

POLICIES = ROOT / "rootfs-skel/etc/seccomp"
ARCHITECTURE = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
# Made on some machines, or by chance: an interrupted call, the time where it is no memory of the kernel's.
# mremap(2) is how the C library makes a large block larger.
SOMETIMES = {"restart_syscall", "clock_gettime", "rt_sigreturn", "getrandom", "mremap"}
STATUS = pathlib.Path("/proc/self/status").read_text()
MAY_CHANGE_USER = bool(int(re.search(r"^CapEff:\t(\w+)", STATUS, re.M)[1], 16) & 1 << 7)


def under(policy):
    return ["seccomp", POLICIES / f"{policy}.policy"]


def calls_in(policy):
    """The calls that a policy's own lines name on this architecture."""
    text = re.sub(r"#.*", "", (POLICIES / f"{policy}.policy").read_text())
    found = set()
    for line in text.splitlines():
        match = re.match(r"\{([^}]*)\}:|(\w+[^:@]*):", line)
        for name, architecture in re.findall(r"(\w+)(?:\[arch=(\w+)\])?", (match[1] or match[2]) if match else ""):
            if architecture in ("", ARCHITECTURE):
                found.add(name)
    return found


class Trace:
    """strace as a prefix of a command, which keeps its process id."""

    def __init__(self, directory):
        self.directory = directory
        self.runs = 0

    @property
    def prefix(self):
        self.runs += 1
        return ["strace", "-DDD", "-q", "-ff", "-e", "signal=kill", "-o", self.directory / f"trace{self.runs}"]

    def calls(self):
        """What the traced programs called, but not what programs called that these executed."""
        files = list(self.directory.glob("trace*"))
        made = collections.Counter()
        for path in files:
            wait_for(lambda: re.search(r"^\+\+\+ ", path.read_text(errors="replace"), re.M), f"the end of {path}")
            text = path.read_text(errors="replace")
            is_first = text.startswith("execve(")
            if is_first:
                made["execve"] += 1
                text = text.partition("\n")[2]
            for line in text.splitlines():
                if match := re.match(r"(\w+)\(", line):
                    made[match[1]] += 1
                if re.match(r"execve\(.*\) += 0$", line):
                    break
        assert made
        return set(made)


def compare(made, policy):
    allowed = calls_in(policy)
    assert made - allowed == set(), "calls that the policy does not allow"
    assert allowed - made - SOMETIMES == set(), "calls that the policy need not allow"


class MultilogScenario:
    """All that multilog does without a processor; returns what came of it."""

    def __init__(self, directory):
        self.directory = directory

    def start(self, prefix, *script):
        """Its messages go to a file, which no test waits for without an end."""
        with open(self.directory / "messages", "wb") as messages:
            return subprocess.Popen([str(word) for word in [*prefix, BIN / "multilog", *script]],
                                    cwd=self.directory, env=environment(), stdin=subprocess.PIPE,
                                    stderr=messages)

    def messages(self):
        return (self.directory / "messages").read_bytes()

    def feed(self, prefix, data, *script):
        process = self.start(prefix, *script)
        process.communicate(data, timeout=60)
        return process.returncode, self.messages()

    def run(self, prefix):
        """`prefix()` is what to put in front of a command."""
        lines = b"".join(b"line %d\n" % number for number in range(3000))
        found = [
            # Patterns, a status file, stderr, rotation and removal; and one directory that cannot be.
            self.feed(prefix(), lines, "n2", "s4096", "-line 9*", "./a", "=a-status", "-*", "+*99", "e"),
            self.feed(prefix(), b"x" * 2_000_000 + b"\n", "s16777215", "./b"),
            self.feed(prefix(), b"", "/proc/none"),
        ]
        # What a crash leaves is put in order.
        (self.directory / "a/current").chmod(0o644)
        (self.directory / "a/processed").write_text("half")
        found.append(self.feed(prefix(), b"more\n", "t", "n9", "./a"))
        found.append(self.signals(prefix()))
        found.append({path.parent.name: path.stat().st_mode for path in sorted(self.directory.glob("[abc]/current"))})
        found.append([len(list((self.directory / name).iterdir())) for name in "abc"])
        return found

    def signals(self, prefix):
        """A signal for the next file, and a signal to end."""
        process = self.start(prefix, "./c")
        current = self.directory / "c/current"
        process.stdin.write(b"one\n")
        process.stdin.flush()
        wait_for(lambda: current.exists() and current.read_text() == "one\n", "the line")
        process.send_signal(signal.SIGALRM)
        wait_for(lambda: list((self.directory / "c").glob("@*.s")) and current.read_text() == "", "the next file")
        process.send_signal(signal.SIGTERM)
        code = process.wait(30)
        process.stdin.close()
        return code, self.messages()


class TestMultilog:
    def test_it_is_as_without(self, tmp_path):
        results = []
        for name, prefix in (("free", []), ("confined", under("multilog"))):
            (tmp_path / name).mkdir()
            results.append(MultilogScenario(tmp_path / name).run(lambda: prefix))
        assert results[0] == results[1]
        assert results[0][0][0] == 0

    def test_and_calls_nothing_else(self, tmp_path):
        trace = Trace(tmp_path)
        MultilogScenario(tmp_path).run(lambda: trace.prefix)
        compare(trace.calls(), "multilog")

    @pytest.mark.skipif(landlock_version() < 5 or not MAY_CHANGE_USER, reason="Landlock here restricts less")
    def test_with_everything_that_the_manual_takes_from_it(self, tmp_path):
        for parent in [tmp_path, *tmp_path.parents]:
            if parent != pathlib.Path("/") and parent.stat().st_uid == os.getuid():
                parent.chmod(parent.stat().st_mode | 0o011)
        for name in ("own", "other"):
            (tmp_path / name).mkdir()
            shutil.chown(tmp_path / name, "nobody")
        chain = ["setuidgid", "--bounding", "none", "--no-new-privs", "--seccomp", POLICIES / "multilog.policy",
                 "--landlock", f"exec={BIN}/apus,rw={tmp_path}/own", "nobody", "multilog"]
        assert run(*chain, tmp_path / "own", input=b"line\n").returncode == 0
        assert (tmp_path / "own/current").read_bytes() == b"line\n"
        result = run(*chain, tmp_path / "other", input=b"line\n")
        assert (result.returncode, result.stderr.decode()) == (
            111, f"multilog: fatal: unable to open directory {tmp_path}/other: access denied\n")

    def test_its_processors_have_their_own(self, tmp_path):
        (tmp_path / "d").mkdir()
        script = ["--on-stall=drop", "t", "n5", "s4096",
                  "!gzip -9 | cat; awk 1 < /dev/null; xz -T2 < /dev/null > /dev/null", "./d"]
        lines = b"".join(b"line %d\n" % number for number in range(2000))
        result = run(*under("multilog-processors"), "multilog", *script, input=lines, cwd=tmp_path)
        assert (result.returncode, result.stderr) == (0, b"")
        archived = list((tmp_path / "d").glob("@*.s"))
        assert len(archived) == 4 and all(path.read_bytes()[:2] == b"\x1f\x8b" for path in archived)


ZONE = {("1.0.0.127.in-addr.arpa", "PTR"): ["host.example"], ("host.example", "A"): ["127.0.0.1"]}
# Looks nothing up.
FAST = ("-R", "-H", "-l0")
# What a server asks for before it confines its programs, and what becomes of it.
CHILD = ("--child-user", "4321:8765", "--child-groups", "none", "--child-caps", "net_bind_service",
         "--child-bounding", "net_bind_service", "--child-securebits", "noroot", "--child-no-new-privs",
         "--child-limit", "core=0", "--child-nice", "5", "--child-umask", "027",
         "--child-oom-score-adj", "500", "--child-seccomp", "~@swap @mount")


def serve_ident(connection):
    connection.recv(100)
    connection.sendall(b"1,2:USERID:UNIX:joe\r\n")


def tcpserver_scenario(directory, prefix, echo):
    """All that tcpserver does; `echo` is a program that says what it is told. Returns what clients got."""
    rules = b"127.0.0.9:deny\n:allow,MAXLOAD=\"99999\"\n"
    assert run("tcprules", "rules.cdb", "tmp", input=rules, cwd=directory).returncode == 0
    found = []

    def serve(*options, host="127.0.0.1", stop=signal.SIGTERM):
        with tcpserver("-v", *options, host=host, child=echo, before=prefix(), cwd=directory) as server:
            if host.startswith("/"):
                with socket.socket(socket.AF_UNIX) as connection:
                    connection.settimeout(10)
                    connection.connect(host)
                    connection.sendall(b"unix\n")
                    connection.shutdown(socket.SHUT_WR)
                    found.append(read_all(connection))
            else:
                found.append(talk(server.port, b"text\n", host=host)[0])
                if host == "127.0.0.1":
                    found.append(talk(server.port, b"text\n", source="127.0.0.9")[0])
            server.wait_for_log(rb"end \d+ status")
            found.append(server.stop(stop))

    with private_network(hosts="\n"), dns.Server(ZONE).running(), tcp_server(113, serve_ident):
        serve("-p", "-t5")
        serve(*FAST, "-x", "rules.cdb", "-B", "hello\n", "-D", "-o")
        serve(*FAST, host="::1")
        for stop in (signal.SIGKILL, signal.SIGTERM):
            serve(*FAST, host=str(directory / "socket"), stop=stop)
        if MAY_CHANGE_USER:
            serve(*FAST, "-u", "4321", "--caps", "net_bind_service", "--child-caps", "none")
            serve(*FAST, *CHILD)
            serve(*FAST, "--child-chroot", "/", "--child-landlock", "abi=any,exec=/,rw=/")
    return found


class TestTcpserver:
    # Of this binary, so that it needs little.
    ECHO = [BIN / "argv0", BIN / "tai64nlocal", "tai64nlocal"]

    def test_it_is_as_without(self, tmp_path):
        results = [tcpserver_scenario(tmp_path, lambda: prefix, self.ECHO)
                   for prefix in ([], under("tcpserver"), under("network-service"), under("sshd"))]
        assert all(result == results[0] for result in results[1:])
        assert results[0][:2] == [b"text\n", b"text\n"] and results[0][-1] == 0

    @pytest.mark.skipif(not MAY_CHANGE_USER, reason="cannot do all that tcpserver does")
    def test_and_calls_nothing_else(self, tmp_path):
        trace = Trace(tmp_path)
        tcpserver_scenario(tmp_path, lambda: trace.prefix, self.ECHO)
        compare(trace.calls(), "tcpserver")


# Called as call(number, arguments), 64 bits each; prints the error's name.
CALL = """
import ctypes, errno, json, sys
libc = ctypes.CDLL(None, use_errno=True)
for number, *arguments in json.load(sys.stdin):
    ctypes.set_errno(0)
    libc.syscall(ctypes.c_long(number), *(ctypes.c_ulong(value) for value in arguments))
    print(errno.errorcode.get(ctypes.get_errno(), "ok"))
"""
_resolve = ctypes.CDLL("libseccomp.so.2").seccomp_syscall_resolve_name
# Arguments that are wrong whatever the call: were it made, it would fail in another way.
WRONG = [2**64 - 1] * 6
SYSTEM = ("mount umount2 pivot_root move_mount open_tree fsopen fspick fsconfig fsmount mount_setattr swapon "
          "swapoff quotactl acct init_module finit_module delete_module kexec_load kexec_file_load reboot bpf "
          "perf_event_open userfaultfd io_uring_setup io_uring_enter iopl ioperm syslog ptrace "
          "process_vm_readv process_vm_writev process_madvise kcmp keyctl add_key request_key sethostname "
          "setdomainname settimeofday clock_settime clock_adjtime adjtimex unshare setns open_by_handle_at "
          "name_to_handle_at fanotify_init pidfd_getfd move_pages migrate_pages mbind vhangup modify_ldt").split()
TIOCSTI, TIOCLINUX, TIOCGWINSZ = 0x5412, 0x541C, 0x5413
NEW_USER, NEW_NET, SIGCHLD = 0x10000000, 0x40000000, 17


@pytest.mark.parametrize("policy", ["network-service", "sshd"])
class TestServices:
    def errors(self, policy, *calls):
        """Of system calls (name or number, argument…) that a program under the policy makes."""
        calls = [(_resolve(name.encode()) if isinstance(name, str) else name, *arguments)
                 for name, *arguments in calls]
        result = run(*under(policy), "python3", "-c", CALL, input=json.dumps(calls).encode())
        assert result.returncode == 0, result.stderr
        return result.stdout.decode().split()

    def test_the_system_is_out_of_reach(self, policy):
        names = [name for name in SYSTEM if _resolve(name.encode()) >= 0]
        answers = dict(zip(names, self.errors(policy, *((name, *WRONG) for name in names))))
        assert set(answers.values()) == {"EPERM"}, answers

    def test_namespaces_and_clone3(self, policy):
        assert self.errors(policy, ("clone", NEW_USER | SIGCHLD, 0, 0, 0, 0), ("clone", NEW_NET, 0, 0, 0, 0),
                           ("clone3", 0, 0), ("unshare", 0)) == ["EPERM", "EPERM", "ENOSYS", "EPERM"]

    def test_calls_of_the_future_do_not_exist(self, policy):
        assert self.errors(policy, (900, 0), (1100, 0)) == ["ENOSYS"] * 2

    def test_sockets_of_other_kinds_do_not_exist(self, policy):
        families = {"packet": socket.AF_PACKET, "alg": socket.AF_ALG, "vsock": socket.AF_VSOCK, "can": socket.AF_CAN}
        answers = self.errors(policy, *(("socket", family, 3, 0) for family in families.values()),
                              ("socket", socket.AF_NETLINK, 3, 15), ("socket", 2**32 + socket.AF_INET, 1, 0))
        assert answers == ["EAFNOSUPPORT"] * 6
        assert self.errors(policy, ("socket", socket.AF_INET6, 1, 0), ("socket", socket.AF_UNIX, 2, 0),
                           ("socket", socket.AF_NETLINK, 3, 0)) == ["ok"] * 3
        assert self.errors(policy, ("socket", socket.AF_NETLINK, 3, 9)) == [
            "ok" if policy == "sshd" else "EAFNOSUPPORT"]

    def test_nobody_types_for_another(self, policy):
        forbidden = [request | high for request in (TIOCSTI, TIOCLINUX) for high in (0, 1 << 32, 0xffffffff << 32)]
        assert self.errors(policy, *(("ioctl", 2**64 - 1, request, 0) for request in forbidden)) == ["EPERM"] * 6
        assert self.errors(policy, ("ioctl", 2**64 - 1, TIOCGWINSZ, 0),
                           ("ioctl", 2**64 - 1, 0xffffffff80045430, 0)) == ["EBADF"] * 2

    def test_execution_domains(self, policy):
        assert self.errors(policy, ("personality", 0x40000), ("personality", 2**32)) == ["EPERM"] * 2
        assert self.errors(policy, ("personality", 0xffffffff)) == ["ok" if policy == "sshd" else "EPERM"]

    def test_processes_and_threads_can_be_made(self, policy):
        script = ("import subprocess, threading; thread = threading.Thread(target=print, args=['thread']);"
                  "thread.start(); thread.join(); subprocess.run(['echo', 'process'])")
        result = run(*under(policy), "python3", "-u", "-c", script)
        assert result.stdout == b"thread\nprocess\n", result.stderr
