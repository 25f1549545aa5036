"""Policies as files: compiled and explained; and calls of other architectures, really made."""

import json
import pathlib
import platform
import re
import signal
import sys

import pytest

from apus import BIN, run

PODMAN = pathlib.Path("/usr/share/containers/seccomp.json")
PROFILE = """{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
  {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errno": "EXDEV"},
  {"names": ["chroot"], "action": "SCMP_ACT_ERRNO", "includes": {"caps": ["CAP_SYS_CHROOT"]}},
  {"names": ["no_such_call"], "action": "SCMP_ACT_ERRNO"}]}"""


def compiled(tmp_path, text, *options):
    target = tmp_path / "some.bpf"
    result = run("seccomprules", *options, target, tmp_path / "some.tmp", input=text.encode())
    assert (result.returncode, result.stderr) == (0, b"")
    return target


def explained(*words, **options):
    """What each call gets, from the table."""
    result = run("seccomprules", "-n", *words, **options)
    assert result.returncode == 0, result.stderr
    rows = [re.split(r"\s{2,}", line.strip(), maxsplit=1)
            for line in result.stdout.decode().splitlines()]
    table = {}
    for name, rest in rows:
        table[name] = re.sub(r"^\d+\s+", "", rest)
    return table


class TestCompiledPolicies:
    @pytest.mark.parametrize("text, error", [
        ("@denylist\nmkdir: return EXDEV\nmkdirat: return EXDEV\n", "Invalid cross-device link"),
        (PROFILE, "Invalid cross-device link")], ids=["minijail", "JSON"])
    def test_decide_as_their_source(self, tmp_path, text, error):
        target = compiled(tmp_path, text)
        source = tmp_path / "source"
        source.write_text(text)
        for command in (["seccomp", "-x", target], ["seccomp", target], ["seccomp", source],
                        ["setcaps", "--seccomp", target]):
            result = run(*command, "mkdir", tmp_path / "new")
            assert result.returncode == 1 and error.encode() in result.stderr, result

    def test_can_be_made_where_filters_cannot_be_installed(self, tmp_path):
        result = run("seccomp", "~seccomp", "seccomprules", tmp_path / "some.bpf", tmp_path / "tmp",
                     "@system-service")
        assert (result.returncode, result.stderr) == (0, b"")

    def test_replace_the_old_one_at_once(self, tmp_path):
        target = compiled(tmp_path, "@denylist\n")
        before = target.read_bytes()
        result = run("seccomprules", target, tmp_path / "tmp", input=b"read: 1\nraed: 1\n")
        assert (result.returncode, result.stderr) == (
            100, b"seccomprules: fatal: standard input:2: unknown system call raed\n")
        assert target.read_bytes() == before
        compiled(tmp_path, "@denylist\nmount: return EPERM\n")
        assert target.read_bytes() != before
        assert not (tmp_path / "some.tmp").exists()

    def test_errors_that_may_pass(self, tmp_path):
        result = run("seccomprules", tmp_path / "a", tmp_path / "no/b", input=b"@denylist\n")
        assert result.returncode == 111 and b"unable to create" in result.stderr
        (tmp_path / "directory/in").mkdir(parents=True)
        result = run("seccomprules", tmp_path / "directory", tmp_path / "b", input=b"@denylist\n")
        assert result.returncode == 111 and b"unable to move" in result.stderr
        assert run("seccomprules", tmp_path / "a").returncode == 100

    @pytest.mark.parametrize("damage, message", [
        (lambda data: data[:-1], "damaged"), (lambda data: data[:24], "damaged"),
        (lambda data: data[:20], "not a compiled policy"),
        (lambda data: data + b"\0" * 8, "damaged"),
        (lambda data: data[:40] + bytes([data[40] ^ 1]) + data[41:], "damaged"),
        (lambda data: data[:16] + b"\xff" + data[17:], "damaged"),
        (lambda data: data[:12] + b"\x28\0\0\x40" + data[16:], "another architecture"),
        (lambda data: data[:8] + b"\0\1" + data[10:], "another version"),
    ])
    def test_damaged_ones_are_refused(self, tmp_path, damage, message):
        target = compiled(tmp_path, "@denylist\nmount: return EPERM\n")
        target.write_bytes(damage(target.read_bytes()))
        for command in (["seccomp", "-x", target], ["seccomp", target]):
            result = run(*command, "echo", "ran")
            assert (result.returncode, result.stdout) == (111, b""), result
            assert message.encode() in result.stderr

    def test_only_compiled_ones_are_taken_as_such(self, tmp_path):
        source = tmp_path / "source"
        source.write_text("@denylist\n")
        result = run("seccomp", "-x", source, "echo", "ran")
        assert (result.returncode, result.stdout) == (111, b"")

    def test_conditions_are_met_when_it_is_compiled(self, tmp_path):
        without = explained(compiled(tmp_path, PROFILE, "--caps", "none"))
        with_it = explained(compiled(tmp_path, PROFILE, "--caps", "sys_chroot"))
        assert (without["chroot"], with_it["chroot"]) == ("allow", "return EPERM")
        text = PROFILE.replace('"caps": ["CAP_SYS_CHROOT"]', '"minKernel": "6.5"')
        assert explained(compiled(tmp_path, text, "-k", "6.4"))["chroot"] == "allow"
        assert explained(compiled(tmp_path, text, "-k", "6.12"))["chroot"] == "return EPERM"


class TestEnding:
    REFUSED = b"fatal: the policy has exit_group fail, and no program could end under it\n"

    @pytest.mark.parametrize("command", [
        ["seccomp", "~exit_group"], ["seccomp", "@basic-io ~exit_group:ENOSYS"],
        ["setcaps", "--seccomp", "~exit_group exit"],
        ["tcpserver", "--child-seccomp", "~exit_group", "127.0.0.1", "0"]])
    def test_a_policy_under_which_nothing_ends_is_refused(self, command):
        result = run(*command, "true")
        assert (result.returncode, result.stdout) == (100, b"")
        assert result.stderr.endswith(self.REFUSED), result.stderr

    def test_in_every_format(self, tmp_path):
        for text in ("@default return EPERM\nread: 1\n",
                     '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["exit_group"], '
                     '"action": "SCMP_ACT_ERRNO"}]}'):
            (tmp_path / "policy").write_text(text)
            for command in (["seccomp", tmp_path / "policy", "true"],
                            ["seccomprules", tmp_path / "a", tmp_path / "b", tmp_path / "policy"]):
                result = run(*command)
                assert result.returncode == 100 and result.stderr.endswith(self.REFUSED)

    @pytest.mark.parametrize("command", [["svok", "/nonexistent"], ["apus"], ["setcaps", "/no/such"]])
    def test_programs_end_even_where_a_filter_forbids_it(self, command):
        """A filter of others, since ours are refused: the C libraries' exit would try for ever."""
        result = run(sys.executable, "-c", WITHOUT_EXIT, BIN / command[0], *command[1:], timeout=20)
        assert -result.returncode in (signal.SIGILL, signal.SIGTRAP, signal.SIGSEGV), result


# Makes exit_group and exit fail with EPERM and executes a program.
WITHOUT_EXIT = """
import ctypes, os, platform, struct, sys
numbers = {"x86_64": (231, 60), "aarch64": (94, 93), "riscv64": (94, 93)}[platform.machine()]
code = [(0x20, 0, 0, 0), (0x15, 1, 0, numbers[0]), (0x15, 0, 1, numbers[1]), (6, 0, 0, 0x50001),
        (6, 0, 0, 0x7fff0000)]
program = b"".join(struct.pack("HBBI", *one) for one in code)
buffer = ctypes.create_string_buffer(program)
header = struct.pack("HxxxxxxP", len(code), ctypes.addressof(buffer))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.create_string_buffer(header), 0, 0) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""


class TestPoliciesOfOthers:
    def test_an_old_profile_lets_newer_programs_fall_back(self, tmp_path):
        """Calls newer than the profile do not exist, though it looks at clone's flags."""
        known = run("seccomprules", "-n", "@known").stdout.decode().splitlines()
        names = [line.split()[0] for line in known if re.search(r"\s\d+\s+allow$", line)]
        numbers = {line.split()[0]: int(line.split()[1]) for line in known if line.split()[1].isdigit()}
        rules = [{"name": name, "action": "SCMP_ACT_ALLOW", "args": []} for name in names
                 if numbers[name] <= numbers["getrandom"] and name != "clone"]
        rules.append({"name": "clone", "action": "SCMP_ACT_ALLOW", "args": [
            {"index": 0, "value": 2080505856, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]})
        profile = tmp_path / "old.json"
        profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules}))
        result = run("seccomp", profile, "sh", "-c", "ls -l / >/dev/null && echo ran | cat")
        assert (result.returncode, result.stdout) == (0, b"ran\n"), result
        assert explained(profile)["clone3"] == "return ENOSYS"

    def test_minijails_constants_and_repeated_lines(self, tmp_path):
        policy = tmp_path / "policy"
        policy.write_text("@include ./common.policy\nread: 1\ngetrandom: arg2 in ~GRND_RANDOM\n"
                          "madvise: arg2 == MADV_DONTNEED || arg2 == MADV_GUARD_INSTALL\n")
        (tmp_path / "common.policy").write_text("read: 1\nioctl: arg1 == TCGETS2 || arg1 == FIONBIO\n")
        table = explained(policy)
        assert table["read"] == "allow"
        assert table["madvise"] == "arg2 == 4 || arg2 == 0x66: allow; else kill-process"


class TestExplanations:
    def test_of_a_file(self, tmp_path):
        table = explained(input=b"read: 1\nsocket: arg0 == AF_UNIX || arg0 == 17 && arg1 & 8; return EACCES\n"
                                b"kill: {arg1 == 0, arg1 < 20; return EPERM}\n")
        assert table["read"] == "allow" and table["write"] == "kill-process"
        assert table["socket"] == (
            "arg0 == 1 || arg0 == 0x11 && arg1 & 8: allow; else return EACCES")
        assert table["kill"] == "arg1 == 0: allow; arg1 < 0x14: return EPERM; else kill-process"
        assert table["newer calls"] == "return ENOSYS"
        assert table["other architectures"] == "kill-process"

    def test_of_a_list_a_profile_and_what_was_compiled(self, tmp_path):
        assert explained("~@mount")["umount2"] == "return EPERM"
        assert explained(input=PROFILE.encode())["no_such_call"] == "not known, passed over"
        target = compiled(tmp_path, "@denylist\nsocket: arg0 == 1; return EACCES\n")
        assert set(explained(target)["socket"].split(" or ")) == {"allow", "return EACCES"}
        assert explained(target)["read"] == "allow"

    @pytest.mark.skipif(not PODMAN.exists(), reason="podman's profile is not installed")
    def test_of_podmans_profile(self):
        table = explained(PODMAN)
        assert table["read"] == "allow" and table["kexec_load"] == "return EPERM"
        assert table["personality"].startswith("arg0 == 0: allow; arg0 == 8: allow; ")
        assert table["other architectures"] == "kill-process"

    def test_of_other_architectures(self):
        table = explained(input=b"""{"defaultAction": "SCMP_ACT_ALLOW",
            "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_AARCH64"]}""")
        assert table["calls of x86"] == "as those of the same name"


# getpid in machine code: as a call of i386, as one of x32.
CALLS = {"i386": b"\x53\xb8\x14\0\0\0\xcd\x80\x5b\xc3", "x32": b"\xb8\x27\0\0\x40\x0f\x05\xc3"}
CALLER = """
import ctypes, mmap, os, sys
page = mmap.mmap(-1, 4096, prot=7)
page.write(bytes.fromhex(sys.argv[1]))
call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
result = call()
print("own pid" if str(result) == os.readlink("/proc/self") else result)
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="other architectures' calls are x86-64's")
class TestOtherArchitectures:
    def call(self, kind, *command):
        return run(*command, sys.executable, "-c", CALLER, CALLS[kind].hex())

    @pytest.mark.parametrize("kind", CALLS)
    @pytest.mark.parametrize("policy", [
        "@denylist\n", "@default log\n", '{"defaultAction": "SCMP_ACT_ALLOW"}',
        '{"defaultAction": "SCMP_ACT_LOG", "architectures": ["SCMP_ARCH_X86_64"]}'])
    def test_end_the_process_though_all_is_allowed(self, tmp_path, kind, policy):
        (tmp_path / "policy").write_text(policy)
        target = compiled(tmp_path, policy)
        for command in (["seccomp", tmp_path / "policy"], ["seccomp", "-x", target]):
            result = self.call(kind, *command)
            assert (result.returncode, result.stdout) == (-signal.SIGSYS, b""), result

    @pytest.mark.parametrize("kind", CALLS)
    def test_of_a_list_too(self, kind):
        assert self.call(kind, "seccomp", "~@mount").returncode == -signal.SIGSYS

    @pytest.mark.parametrize("kind, name", [("i386", "SCMP_ARCH_X86"), ("x32", "SCMP_ARCH_X32")])
    def test_go_by_the_profile_that_names_them(self, tmp_path, kind, name):
        unconfined = self.call(kind)
        architectures = f'"architectures": ["SCMP_ARCH_X86_64", "{name}"]'
        policy = tmp_path / "policy"
        policy.write_text('{"defaultAction": "SCMP_ACT_ALLOW", %s}' % architectures)
        allowed = self.call(kind, "seccomp", policy)
        assert (allowed.returncode, allowed.stdout) == (unconfined.returncode, unconfined.stdout)
        policy.write_text(
            '{"defaultAction": "SCMP_ACT_ALLOW", %s, "syscalls": [{"name": "getpid", "errnoRet": 22, '
            '"action": "SCMP_ACT_ERRNO"}]}' % architectures)
        assert self.call(kind, "seccomp", policy).stdout == b"-22\n"

    def test_are_named(self, tmp_path):
        (tmp_path / "policy").write_text("@denylist\n")
        result = self.call("i386", "seccomp", "--log", tmp_path / "policy")
        assert (result.returncode, result.stdout) == (0, b"own pid\n"), result
        assert re.search(rb"would deny getpid\(.*\) of x86 by python3", result.stderr), result
        result = self.call("i386", "seccomp", "--learn", tmp_path / "learned")
        assert result.stdout == b"own pid\n"
        assert b"warning: calls of other architectures cannot be learned" in result.stderr
