"""What setcaps, seccomp and their options do to a program, as the kernel tells and as the program
meets it."""

import ctypes
import os
import pathlib
import signal

import pytest

from apus import run

libseccomp = ctypes.CDLL("libseccomp.so.2")
NO_SUCH_CALL = 38


def sets(*command, **options):
    """The state of a program at the end of a chain, from /proc/self/status; hexadecimal as numbers."""
    result = run(*command, "cat", "/proc/self/status", **options)
    assert result.returncode == 0, result.stderr
    fields = dict(line.split(b":\t") for line in result.stdout.splitlines() if b":\t" in line)
    return {key.decode(): int(value, 16 if key.startswith(b"Cap") else 10)
            for key, value in fields.items() if key.startswith((b"Cap", b"NoNew", b"Seccomp"))}


def bits(*numbers):
    return sum(1 << number for number in numbers)


CHOWN, KILL, SETGID, SETUID, BIND, RAW = 0, 5, 6, 7, 10, 13
BEFORE = sets("env")
pytestmark = pytest.mark.skipif(BEFORE["CapEff"] & bits(CHOWN, KILL, 8, BIND, RAW) == 0,
                                reason="has no capabilities to take away")


class TestCapabilities:
    def test_bounding_is_what_limits_root(self):
        state = sets("setcaps", "--bounding", "chown,net_bind_service")
        assert state == {**BEFORE, "CapPrm": bits(CHOWN, BIND), "CapEff": bits(CHOWN, BIND),
                         "CapBnd": bits(CHOWN, BIND)}

    def test_all_but_some(self):
        state = sets("setcaps", "-b", "all,-sys_admin,-cap_net_raw")
        assert state["CapBnd"] == state["CapPrm"] == BEFORE["CapBnd"] & ~bits(21, RAW)
        assert sets("setcaps", "-b", "-sys_admin,-net_raw") == state

    def test_nothing_at_all(self):
        state = sets("setcaps", "-b", "none")
        assert {state[key] for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
        assert state["NoNewPrivs"] == 0

    def test_every_capability_the_kernel_has_is_dropped(self):
        last = int(pathlib.Path("/proc/sys/kernel/cap_last_cap").read_text())
        state = sets("setcaps", "-b", "net_raw")
        assert [number for number in range(last + 1) if state["CapBnd"] >> number & 1] == [RAW]

    def test_what_root_holds(self):
        state = sets("setcaps", "--caps", "kill,net_raw")
        assert state["CapPrm"] == state["CapEff"] == state["CapBnd"] == bits(KILL, RAW)

    @pytest.mark.parametrize("option", ["--ambient", "--caps"])
    def test_a_user_keeps_one(self, option):
        state = sets("setuidgid", option, "net_bind_service", "nobody")
        assert state == {**BEFORE, "CapInh": bits(BIND), "CapPrm": bits(BIND), "CapEff": bits(BIND),
                         "CapAmb": bits(BIND)}

    def test_and_can_use_it(self):
        script = "import socket; socket.socket().bind(('127.0.0.1', 1))"
        # In a namespace of its own, where no sysctl has made low ports common property.
        chain = ["unshare", "--net", "sh", "-c", "sysctl -qw net.ipv4.ip_unprivileged_port_start=1024 "
                 "&& ip link set lo up && exec \"$@\"", "sh", "setuidgid"]
        assert run(*chain, "nobody", "python3", "-c", script).returncode == 1
        assert run(*chain, "--caps", "net_bind_service", "nobody", "python3", "-c",
                   script).returncode == 0

    def test_a_user_keeps_none_without_being_asked(self):
        state = sets("setuidgid", "nobody")
        assert state == {**BEFORE, "CapInh": 0, "CapPrm": 0, "CapEff": 0, "CapAmb": 0}

    def test_bounding_and_ambient_of_a_user(self):
        state = sets("setuidgid", "--bounding", "net_raw,kill", "--ambient", "net_raw", "nobody")
        assert (state["CapBnd"], state["CapPrm"], state["CapAmb"]) == (
            bits(RAW, KILL), bits(RAW), bits(RAW))

    def test_inheritable(self):
        state = sets("setcaps", "-i", "kill,net_raw")
        assert state == {**BEFORE, "CapInh": bits(KILL, RAW)}

    def test_bounding_limits_what_was_inheritable_before(self):
        state = sets("setcaps", "-i", "kill,net_raw", "setcaps", "-b", "kill")
        assert (state["CapInh"], state["CapPrm"], state["CapBnd"]) == (
            bits(KILL), bits(KILL), bits(KILL))

    def test_the_ambient_set_goes_with_its_capabilities(self):
        state = sets("setcaps", "-a", "kill,net_raw", "setcaps", "-b", "kill")
        assert (state["CapAmb"], state["CapInh"]) == (bits(KILL), bits(KILL))

    def test_a_user_may_give_up_what_it_has(self):
        state = sets("setuidgid", "--ambient", "net_raw,kill", "nobody", "setcaps", "--ambient",
                     "-kill")
        assert (state["CapPrm"], state["CapAmb"]) == (bits(RAW), bits(RAW))

    @pytest.mark.parametrize("chain, code, message", [
        ("setcaps -b chwon", 100, "setcaps: fatal: unknown capability chwon"),
        ("setcaps -b net_raw -a kill", 100,
         "setcaps: fatal: --ambient has what other options take away: cap_kill"),
        ("setcaps -b net_raw setcaps -p kill", 111,
         "setcaps: fatal: not held by this process: cap_kill"),
        ("setuidgid nobody setcaps -b net_raw", 111,
         "setcaps: fatal: unable to drop cap_chown from the bounding set: permission denied"),
        ("setuidgid nobody setcaps -a net_raw", 111,
         "setcaps: fatal: not held by this process: cap_net_raw"),
        ("setcaps -b all,-setpcap setcaps -b none", 111,
         "setcaps: fatal: unable to drop cap_chown from the bounding set: permission denied"),
        ("setcaps -b all,-setuid setuidgid nobody", 111,
         "setuidgid: fatal: unable to setuid: permission denied"),
        ("setcaps -b all,-setgid setuidgid nobody", 111,
         "setuidgid: fatal: unable to setgid: permission denied"),
        ("setuidgid --caps kill --ambient net_raw nobody", 100,
         "setuidgid: fatal: --caps and --ambient differ, and the user is not root"),
    ])
    def test_what_cannot_be_had_is_an_error_and_no_program_runs(self, chain, code, message):
        result = run(*chain.split(), "sh", "-c", "echo ran")
        assert (result.returncode, result.stdout, result.stderr.decode()) == (
            code, b"", message + "\n")

    def test_usage(self):
        result = run("setcaps", "-b", "none")
        assert result.returncode == 100
        assert result.stderr.startswith(b"setcaps: usage: setcaps [ -n ]")
        result = run("setcaps", "--no-such", "true")
        assert (result.returncode, result.stderr.splitlines()[0]) == (
            100, b"setcaps: illegal option -- --no-such")


class TestNoNewPrivileges:
    @pytest.mark.parametrize("chain", ["setcaps -n", "seccomp -n ~@swap", "softlimit --no-new-privs",
                                       "setuidgid --no-new-privs nobody", "setcaps --no-new-privs"])
    def test_is_set(self, chain):
        assert sets(*chain.split())["NoNewPrivs"] == 1

    def test_a_set_user_id_bit_has_no_effect(self, tmp_path):
        tmp_path.chmod(0o755)
        program = tmp_path / "id"
        program.write_bytes(pathlib.Path("/usr/bin/id").read_bytes())
        program.chmod(0o4755)
        nobody = run("setuidgid", "nobody", "sh", "-c", "echo").returncode
        assert nobody == 0
        script = f"cd {tmp_path} && ./id -u"
        for parent in tmp_path.parents:
            if parent != pathlib.Path("/") and parent.stat().st_uid == os.getuid():
                parent.chmod(parent.stat().st_mode | 0o011)
        assert run("setuidgid", "nobody", "sh", "-c", script).stdout == b"0\n"
        assert run("setuidgid", "--no-new-privs", "nobody", "sh", "-c",
                   script).stdout == b"65534\n"


def call(name_or_number, *arguments):
    """A script for python that makes a system call and prints its errno."""
    number = name_or_number
    if isinstance(name_or_number, str):
        number = libseccomp.seccomp_syscall_resolve_name(name_or_number.encode())
    words = ", ".join(f"ctypes.c_long({argument})" for argument in (number, *arguments))
    return ("import ctypes; libc = ctypes.CDLL(None, use_errno=True); ctypes.set_errno(0); "
            f"libc.syscall({words}); print(ctypes.get_errno())")


def errno_of(chain, *arguments):
    result = run(*chain, "python3", "-c", call(*arguments))
    assert result.returncode == 0, result
    return int(result.stdout)


def seccomp_policy(tmp_path, text):
    path = tmp_path / "some.policy"
    path.write_text(text)
    return path


class TestFilters:
    def test_mode_and_privileges(self, tmp_path):
        policy = seccomp_policy(tmp_path, "@denylist\n@mount: return EPERM\n")
        assert sets("seccomp", policy) == {**BEFORE, "Seccomp": 2, "Seccomp_filters": 1}
        # The kernel wants one of the two.
        without = sets("setcaps", "-b", "all,-sys_admin", "seccomp", policy)
        assert (without["Seccomp"], without["NoNewPrivs"]) == (2, 1)
        together = sets("setcaps", "-b", "all,-sys_admin", "--seccomp", policy)
        assert (together["Seccomp"], together["NoNewPrivs"]) == (2, 0)
        user = sets("setuidgid", "--seccomp", policy, "nobody")
        assert (user["Seccomp"], user["NoNewPrivs"]) == (2, 1)

    def test_what_is_denied_and_what_is_not(self, tmp_path):
        policy = seccomp_policy(tmp_path, "@denylist\nmount: return EPERM\nchroot: return EXDEV\n"
                                "unshare: arg0 & CLONE_NEWUSER; return EACCES\n")
        chain = ["seccomp", policy]
        assert errno_of(chain, "mount", 0, 0, 0, 0, 0) == 1
        assert errno_of(chain, "chroot", 0) == 18
        assert errno_of(chain, "umount2", 0, 0) == 14
        assert errno_of(chain, "unshare", 0x10000000) == 13
        assert errno_of(chain, "unshare", 0x04000000) == 0

    def test_a_list_of_what_is_allowed(self, tmp_path):
        policy = seccomp_policy(tmp_path, "@default return EDOM\n@system-service: 1\nkill: return EXDEV\n")
        chain = ["seccomp", policy]
        assert errno_of(chain, "mount", 0, 0, 0, 0, 0) == 33
        assert errno_of(chain, "kill", 0, 0) == 18
        assert errno_of(chain, "getpid") == 0

    def test_unless_told_otherwise_what_is_not_listed_ends_the_process(self, tmp_path):
        policy = seccomp_policy(tmp_path, "@system-service: 1\n")
        result = run("seccomp", policy, "python3", "-c", call("mount", 0, 0, 0, 0, 0))
        assert result.returncode == -signal.SIGSYS

    def test_newer_calls_do_not_exist(self, tmp_path):
        policy = seccomp_policy(tmp_path, "@denylist\nmount: return EPERM\n")
        assert errno_of(["seccomp", policy], 470) == NO_SUCH_CALL
        assert errno_of(["seccomp", policy], 100000) == NO_SUCH_CALL

    @pytest.mark.skipif(os.uname().machine != "x86_64", reason="calls of x86-64's other interfaces")
    def test_other_interfaces_are_refused(self, tmp_path):
        policy = seccomp_policy(tmp_path, "@denylist\nmount: return EPERM\n")
        # getpid as x32, and by the interrupt that i386 uses.
        x32 = call(0x40000000 + 39)
        i386 = ("import ctypes, mmap; page = mmap.mmap(-1, 4096, prot=7); "
                "page.write(bytes.fromhex('b814000000cd80c3')); "
                "print(ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof("
                "ctypes.c_char.from_buffer(page)))() > 0)")
        for script in (x32, i386):
            assert run("python3", "-c", script).returncode == 0
            assert run("seccomp", policy, "python3", "-c", script).returncode == -signal.SIGSYS

    def test_a_list_in_place_of_a_file(self):
        assert errno_of(["seccomp", "~@mount"], "mount", 0, 0, 0, 0, 0) == 1
        assert errno_of(["seccomp", "@system-service ~kill:EXDEV"], "kill", 0, 0) == 18
        assert errno_of(["softlimit", "--seccomp", "~@swap:13"], "swapoff", 0) == 13

    def test_every_program_takes_a_filter(self, tmp_path):
        policy = seccomp_policy(tmp_path, "@denylist\nmount: return EXDEV\n")
        for chain in (["setuidgid", "--seccomp", policy, "root"],
                      ["envuidgid", "--seccomp", policy, "root"],
                      ["softlimit", "--seccomp", policy, "-c", "0"],
                      ["setcaps", "--seccomp", policy]):
            assert errno_of(chain, "mount", 0, 0, 0, 0, 0) == 18

    def test_filters_add_up(self):
        chain = ["seccomp", "~@mount:5", "seccomp", "~@swap:6"]
        assert errno_of(chain, "mount", 0, 0, 0, 0, 0) == 5
        assert errno_of(chain, "swapoff", 0) == 6
        assert sets(*chain)["Seccomp_filters"] == 2

    def test_a_filter_that_forbids_its_own_exec(self):
        result = run("seccomp", "~execve:EACCES", "true")
        assert (result.returncode, result.stderr) == (
            111, b"seccomp: fatal: unable to run true: access denied\n")

    @pytest.mark.parametrize("text, code, message", [
        ("read: 1\nraed: 1\n", 100, "{}:2: unknown system call raed"),
        ("@denylist\n@mont: return EPERM\n", 100, "{}:2: unknown group @mont"),
        ("read: 1 # ok\nwrite: retrun EPERM\n", 100, "{}:2: unknown action retrun"),
        ("@include ./missing\n", 111, "unable to read {directory}/./missing: file does not exist"),
        ("@include {name}\n", 100, "{}:1: @include goes too deep"),
    ])
    def test_mistakes_are_named_and_no_program_runs(self, tmp_path, text, code, message):
        path = tmp_path / "some.policy"
        path.write_text(text.replace("{name}", str(path)))
        result = run("seccomp", path, "sh", "-c", "echo ran")
        message = message.replace("{directory}", str(tmp_path)).replace("{}", str(path))
        assert (result.returncode, result.stdout, result.stderr.decode()) == (
            code, b"", f"seccomp: fatal: {message}\n")

    def test_includes_start_where_the_policy_is(self, tmp_path):
        (tmp_path / "parts").mkdir()
        (tmp_path / "parts/mount.policy").write_text("mount: return EXDEV\n@include ./swap.policy\n")
        (tmp_path / "parts/swap.policy").write_text("swapoff: return EDOM\n")
        policy = seccomp_policy(tmp_path, "@denylist\n@include ./parts/mount.policy\n")
        assert errno_of(["seccomp", policy], "mount", 0, 0, 0, 0, 0) == 18
        assert errno_of(["seccomp", policy], "swapoff", 0) == 33

    def test_usage_and_unreadable_files(self, tmp_path):
        assert run("seccomp").returncode == 100
        assert run("seccomp", "~@mount").returncode == 100
        result = run("seccomp", tmp_path, "true")
        assert (result.returncode, result.stderr) == (
            111, b"seccomp: fatal: unable to read " + os.fsencode(tmp_path) + b": is a directory\n")
