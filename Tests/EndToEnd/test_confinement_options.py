"""What the options that all confining programs share do to a program: everything is read back from the
kernel, for root, for another user, in a user namespace and under a restricted bounding set."""

import json
import os
import pathlib
import shutil

import pytest

from apus import BIN, environment, landlock_version, run
from network import private_network

KILL, SETGID, SETUID, SETPCAP, BIND, RAW = (1 << bit for bit in (5, 6, 7, 8, 10, 13))
CAPS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
NOBODY = 65534
# The state of this very process, as the kernel and libc tell it.
PROBE = """
import ctypes, json, os, resource
libc = ctypes.CDLL(None, use_errno=True)
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
state = {name: int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
state |= {name: int(status[name]) for name in ("NoNewPrivs", "Seccomp")}
state |= {name: [int(word) for word in status[name].split()] for name in ("Uid", "Gid", "Groups")}
state["Groups"] = sorted(set(state["Groups"]))
state["securebits"] = libc.prctl(27, 0, 0, 0, 0)
state["nice"] = os.getpriority(os.PRIO_PROCESS, 0)
state["oom"] = int(open("/proc/self/oom_score_adj").read())
state["umask"] = os.umask(0)
state["limits"] = {line[:26].strip(): line[26:].split()[:2] for line in open("/proc/self/limits")}
print(json.dumps(state))
"""


def probe(*chain, **options):
    result = run(*chain, "python3", "-c", PROBE, **options)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


BEFORE = probe()
pytestmark = pytest.mark.skipif(
    BEFORE["CapEff"] & (KILL | SETGID | SETUID | SETPCAP | BIND) == 0, reason="has nothing to give up")
ALL = BEFORE["CapEff"]
may_raise = pytest.mark.skipif(not ALL & 1 << 24, reason="needs CAP_SYS_RESOURCE")
# The programs that take the options, with what else they want.
PROGRAMS = {"setcaps": (["setcaps"], []), "softlimit": (["softlimit"], []),
            "envuidgid": (["envuidgid"], ["root"]), "seccomp": (["seccomp"], ["~@swap"])}


def same(caps=None, **changes):
    """The state before with some changed; `caps` is what a user without root's power holds."""
    if caps is not None:
        changes = {**dict.fromkeys(("CapInh", "CapPrm", "CapEff", "CapAmb"), caps), **changes}
    return {**BEFORE, **changes}


def ids(user, group, groups):
    return {"Uid": [user] * 4, "Gid": [group] * 4, "Groups": sorted(groups)}


class TestIdentity:
    @pytest.mark.parametrize("options, expected", [
        ("--user nobody", ids(NOBODY, NOBODY, [NOBODY])),
        ("--user 4321:8765", ids(4321, 8765, [8765])),
        ("--user nobody:mail", ids(NOBODY, 8, [8])),
        ("--user nobody --group 77", ids(NOBODY, 77, [77])),
        ("--group 77 --user nobody", ids(NOBODY, 77, [77])),
        ("--user nobody --groups none", ids(NOBODY, NOBODY, [])),
        ("--user nobody --groups mail,7,12345", ids(NOBODY, NOBODY, [7, 8, 12345])),
        ("--user nobody --groups database", ids(NOBODY, NOBODY, [NOBODY])),
    ])
    def test_user_and_groups(self, options, expected):
        assert probe("setcaps", *options.split()) == same(caps=0, **expected)

    def test_group_alone_takes_the_other_groups_away(self):
        assert probe("setcaps", "--group", "77") == same(**ids(os.getuid(), 77, [77]))

    def test_groups_alone_leave_user_and_group(self):
        assert probe("setcaps", "--groups", "7,9") == same(Groups=[7, 9])
        assert probe("setcaps", "--groups", "none") == same(Groups=[])

    def test_groups_of_the_database(self, tmp_path):
        """In a mount namespace, so that the database can be another."""
        (tmp_path / "group").write_text("www:x:33:\nlog:x:500:other,www\nmail:x:501:www\nnot:x:502:other\n")
        (tmp_path / "passwd").write_text("www:x:33:33::/:/bin/sh\n")
        script = f"mount --bind {tmp_path}/group /etc/group && " \
                 f"mount --bind {tmp_path}/passwd /etc/passwd && exec \"$@\""
        chain = ["unshare", "--mount", "sh", "-c", script, "sh"]
        assert probe(*chain, "setcaps", "--user", "www", "--groups", "database") == same(
            caps=0, **ids(33, 33, [33, 500, 501]))
        assert probe(*chain, "setcaps", "--user", "www:mail", "--groups", "database") == same(
            caps=0, **ids(33, 501, [500, 501]))
        assert probe(*chain, "setuidgid", "--groups", "database", "www") == same(
            caps=0, **ids(33, 33, [33, 500, 501]))

    def test_setuidgid_takes_them_beside_its_account(self):
        assert probe("setuidgid", "--group", "77", "nobody") == same(caps=0, **ids(NOBODY, 77, [77]))
        assert probe("setuidgid", "--groups", "none", "nobody") == same(
            caps=0, **ids(NOBODY, NOBODY, []))

    def test_envuidgid_sets_variables_of_one_and_becomes_another(self):
        result = run("envuidgid", "--user", "nobody", "root", "sh", "-c", "echo $UID $GID; id -u")
        assert result.stdout == b"0 0\n65534\n"

    @pytest.mark.parametrize("chain, code, message", [
        ("setcaps --user no-such-user", 111, "unknown account no-such-user"),
        ("setcaps --user nobody:no-such-group", 111, "unknown group no-such-group"),
        ("setcaps --group no-such-group", 111, "unknown group no-such-group"),
        ("setcaps --groups root,no-such-group", 111, "unknown group no-such-group"),
        ("setcaps --user 4321", 100, "a user by number needs a group: --user UID:GROUP"),
        ("setcaps --user 4321:1 --groups database", 100, "--groups database needs a user by name"),
        ("setuidgid --user root nobody", 100, "an account and --user"),
        ("setcaps --user 4294967295:1", 100, "bad user 4294967295"),
        ("setcaps --user 4294967296:1", 100, "bad user 4294967296"),
        ("setcaps --user -1:1", 100, "bad user -1"),
        ("setcaps --user 12x:1", 100, "bad user 12x"),
        ("setcaps --user 12:1x", 100, "bad group 1x"),
        ("setcaps --group 4294967296", 100, "bad group 4294967296"),
        ("setcaps --groups 7,-1", 100, "bad group -1"),
        ("setuidgid --group -1 nobody", 100, "bad group -1"),
        ("setuidgid --group 4294967295 nobody", 100, "bad group 4294967295"),
        ("setuidgid 4294967296", 111, "unknown account 4294967296"),
        ("setuidgid nobody setcaps --user root", 111, "unable to setgid: permission denied"),
        ("setcaps --user nobody --groups 7 setcaps --groups none", 111, "unable to setgid: permission denied"),
        ("setcaps --user nobody --groups 7 setcaps --groups 7,8", 111, "unable to setgid: permission denied"),
    ])
    def test_what_cannot_be_had(self, chain, code, message):
        result = run(*chain.split(), "echo", "ran")
        name = [word for word in chain.split() if word in ("setcaps", "setuidgid")][-1]
        assert (result.returncode, result.stdout, result.stderr.decode()) == (
            code, b"", f"{name}: fatal: {message}\n")

    def test_an_account_may_have_a_name_that_begins_with_a_digit(self, tmp_path):
        (tmp_path / "passwd").write_text("3com:x:33:34::/:/bin/sh\n")
        result = run("unshare", "--mount", "sh", "-c", f"mount --bind {tmp_path}/passwd /etc/passwd && "
                     "exec setcaps --user 3com sh -c 'id -u; id -g'")
        assert result.stdout == b"33\n34\n"


# Something to hand on: three capabilities of a user who is not root.
USER_WITH_POWER = ["setcaps", "--user", "nobody", "--caps", "setuid,setgid,kill"]


class TestChangeOfUser:
    """Who changes the user hands no capability on, and changing nothing needs none."""

    @pytest.mark.parametrize("change", [
        ["setuidgid", "man"], ["setcaps", "--user", "4321:8765"], ["softlimit", "--user", "man"],
        ["setuidgid", "nobody"], ["setcaps", "--user", "nobody", "--no-new-privs"],
        ["seccomp", "--user", "man", "~@swap"],
    ], ids=" ".join)
    def test_capabilities_of_a_user_stay_behind(self, change):
        state = probe(*USER_WITH_POWER, *change)
        assert [state[name] for name in ("CapPrm", "CapEff", "CapAmb")] == [0, 0, 0]

    @pytest.mark.parametrize("option", ["--caps", "--ambient"])
    def test_unless_they_are_asked_for(self, option):
        state = probe(*USER_WITH_POWER, "setuidgid", option, "kill", "man")
        assert [state[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")][1:] == [KILL] * 3

    def test_a_group_alone_is_no_other_user(self):
        state = probe(*USER_WITH_POWER, "setcaps", "--group", "77")
        assert state["CapPrm"] == KILL | SETUID | SETGID

    def test_root_made_of_a_user_has_its_bounding_set_and_nothing_ambient(self):
        state = probe(*USER_WITH_POWER, "setuidgid", "root")
        assert (state["CapPrm"], state["CapAmb"]) == (BEFORE["CapBnd"], 0)

    def test_nor_with_the_bit_that_keeps_them_through_a_change(self):
        state = probe("setcaps", "--ambient", "kill", "setcaps", "--securebits", "no_setuid_fixup",
                      "setuidgid", "nobody")
        assert [state[name] for name in ("CapPrm", "CapEff", "CapAmb")] == [0, 0, 0]

    @pytest.mark.parametrize("chain", [
        "setuidgid nobody", "setcaps --user nobody", "setcaps --user 65534:65534", "setcaps --group 65534",
        "setcaps --groups 65534", "setcaps --groups none", "setuidgid --groups none nobody",
        "setuidgid nobody setuidgid nobody", "envuidgid --user nobody nobody", "setuidgid --groups database nobody",
    ])
    def test_what_one_is_already_needs_no_privilege(self, chain):
        assert probe("setuidgid", "nobody", *chain.split())["Uid"] == [NOBODY] * 4
        # As an engine's --user has it: no supplementary group at all.
        assert probe("setuidgid", "--groups", "none", "nobody", *chain.split())["Uid"] == [NOBODY] * 4

    def test_groups_of_the_engine_are_not_lost_in_silence(self):
        engine = ["setcaps", "--user", "nobody", "--groups", "7,9,65534"]
        result = run(*engine, "setuidgid", "nobody", "echo", "ran")
        assert (result.returncode, result.stdout, result.stderr) == (
            111, b"", b"setuidgid: fatal: unable to setgid: permission denied\n")
        state = probe(*engine, "setuidgid", "--groups", "keep", "nobody")
        assert (state["Groups"], state["Uid"][0]) == ([7, 9, NOBODY], NOBODY)

    def test_groups_are_kept_through_a_change_of_user(self):
        state = probe("setcaps", "--groups", "7,9", "setuidgid", "--groups", "keep", "nobody")
        assert (state["Groups"], state["Uid"][0], state["Gid"][0]) == ([7, 9], NOBODY, NOBODY)

    def test_the_environment_of_the_account(self, tmp_path):
        (tmp_path / "passwd").write_text("www:x:33:33::/srv/www:/bin/false\nroot:x:0:0::/root:\n")
        variables = "sh", "-c", "echo $HOME $USER $LOGNAME $SHELL $KEPT"
        for chain, expected in [
                ("setuidgid --user-env www", b"/srv/www www www /bin/false yes\n"),
                ("setcaps --user www --user-env", b"/srv/www www www /bin/false yes\n"),
                ("softlimit --user-env --user 33:33", b"/srv/www www www /bin/false yes\n"),
                ("seccomp --user-env --user www ~@swap", b"/srv/www www www /bin/false yes\n"),
                ("seccomp --log --user-env --user www ~@swap", b"/srv/www www www /bin/false yes\n"),
                # The account's own variables, as envuidgid's are; whom it becomes comes first.
                ("envuidgid --user-env www", b"/srv/www www www /bin/false yes\n"),
                ("envuidgid --user-env --user root www", b"/root root root /bin/sh yes\n"),
                ("setuidgid www", b"/old old old yes\n")]:
            script = f"mount --bind {tmp_path}/passwd /etc/passwd && exec env -u SHELL {chain} \"$@\""
            result = run("unshare", "--mount", "sh", "-c", script, "sh", *variables,
                         env=environment(HOME="/old", USER="old", LOGNAME="old", KEPT="yes"))
            assert (result.stdout, result.stderr) == (expected, b""), chain

    def test_without_a_user_there_is_no_environment_of_one(self):
        result = run("setcaps", "--user-env", "echo", "ran")
        assert (result.returncode, result.stdout, result.stderr) == (
            100, b"", b"setcaps: fatal: --user-env needs a user\n")

    @pytest.mark.parametrize("program", ["setcaps", "softlimit", "envuidgid", "seccomp"])
    def test_the_out_of_memory_score_after_a_change_of_user(self, program):
        """In one process, where /proc/self is still root's, as with execs of their own."""
        before, after = PROGRAMS[program]
        state = probe("setuidgid", "nobody", *before, "--oom-score-adj", "555", *after)
        assert (state["oom"], state["Uid"][0]) == (555, NOBODY)
        assert probe("setcaps", "--group", "7", *before, "--oom-score-adj", "555", *after)["oom"] == 555


class TestNearestLimits:
    def nofile(self, *chain):
        return probe(*chain)["limits"]["Max open files"]

    def test_what_can_be_had_is_had(self):
        assert self.nofile("setcaps", "--limit-nearest", "nofile=100:200") == ["100", "200"]

    def test_without_privilege_it_is_the_hard_limit(self):
        user = ["setcaps", "--limit", "nofile=100:200", "--user", "nobody", "setcaps"]
        assert self.nofile(*user, "--limit-nearest", "nofile=1000:2000") == ["200", "200"]
        assert self.nofile(*user, "--limit-nearest", "nofile=150:2000") == ["150", "200"]
        assert self.nofile(*user, "--limit-nearest", "nofile=1000:") == ["200", "200"]
        assert self.nofile(*user, "--limit-nearest", "nofile=:2000") == ["100", "200"]
        assert run(*user, "--limit", "nofile=1000:2000", "true").returncode == 111

    @may_raise
    def test_nor_has_root_more_open_files_than_the_system_allows(self):
        most = pathlib.Path("/proc/sys/fs/nr_open").read_text().strip()
        assert self.nofile("setcaps", "--limit", "nofile=100:200", "setcaps", "--limit-nearest",
                           "nofile=unlimited") == [most, most]


class TestLimits:
    NAMES = {"cpu": "Max cpu time", "fsize": "Max file size", "data": "Max data size",
             "stack": "Max stack size", "core": "Max core file size", "rss": "Max resident set",
             "nproc": "Max processes", "nofile": "Max open files", "memlock": "Max locked memory",
             "as": "Max address space", "locks": "Max file locks",
             "sigpending": "Max pending signals", "msgqueue": "Max msgqueue size",
             "nice": "Max nice priority", "rtprio": "Max realtime priority",
             "rttime": "Max realtime timeout"}

    def expect(self, name, soft, hard):
        return same(limits={**BEFORE["limits"], self.NAMES[name]: [soft, hard]})

    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize("program", PROGRAMS)
    def test_every_resource_in_every_program(self, name, program):
        low, high = ("900000000", "1000000000") if name in ("data", "stack", "as") else ("900", "1000")
        hard = BEFORE["limits"][self.NAMES[name]][1]
        if hard != "unlimited" and int(hard) < int(high):
            low = high = hard
        before, after = PROGRAMS[program]
        state = probe(*before, "--limit", f"{name}={low}:{high}", *after)
        assert state["limits"] == self.expect(name, low, high)["limits"]

    @pytest.mark.parametrize("values, soft, hard", [
        ("100", "100", "100"), ("100:", "100", None), (":500", "min", "500"), ("0:0", "0", "0"),
        ("100:500", "100", "500"),
    ])
    def test_values(self, values, soft, hard):
        now = BEFORE["limits"]["Max pending signals"]
        if now[1] != "unlimited" and int(now[1]) < 500:
            pytest.skip("lower than that already")
        state = probe("setcaps", "--limit", f"sigpending={values}")
        if soft == "min":
            soft = now[0] if now[0] != "unlimited" and int(now[0]) < 500 else "500"
        assert state == self.expect("sigpending", soft, hard or now[1])

    def test_unlimited(self):
        if BEFORE["limits"]["Max core file size"][1] != "unlimited":
            pytest.skip("has a limit already")
        assert probe("setcaps", "--limit", "core=5:", "setcaps", "--limit", "core=unlimited:") == (
            self.expect("core", "unlimited", "unlimited"))

    def test_several_and_the_last_counts(self):
        state = probe("setcaps", "--limit", "nofile=200", "--limit", "core=0", "--limit", "nofile=100:")
        assert state["limits"]["Max open files"] == ["100", "200"]
        assert state["limits"]["Max core file size"] == ["0", "0"]

    @may_raise
    def test_a_hard_limit_is_raised_by_root_before_it_becomes_another_user(self):
        state = probe("setcaps", "--limit", "as=2000000000", "--limit", "core=1", "setcaps", "--limit",
                      "as=3000000000", "--limit", "core=2", "--user", "nobody")
        assert state["limits"]["Max address space"] == ["3000000000"] * 2
        assert state["limits"]["Max core file size"] == ["2", "2"]

    def test_a_tight_limit_on_memory_comes_after_all_else(self):
        result = run("setcaps", "--limit", "as=5000000", "--user", "nobody", "--caps", "none",
                     "--seccomp", "~@swap", f"{BIN}/svok", "/nonexistent")
        assert result.stderr.startswith(b"svok: ")

    @pytest.mark.parametrize("chain, code, message", [
        ("setcaps --limit core=5 setuidgid --limit core=4 nobody", 0, ""),
        ("setcaps --limit core=5 setuidgid nobody setcaps --limit core=6", 111,
         "setcaps: fatal: setrlimit failed: permission denied\n"),
        ("setcaps --limit core=5 setcaps --limit core=6:", 111,
         "setcaps: fatal: setrlimit failed: invalid argument\n"),
        ("setcaps --limit cores=5", 100, "setcaps: fatal: unknown resource cores\n"),
        ("setcaps --limit core=5:4", 100, "setcaps: fatal: bad limit core=5:4\n"),
        ("setcaps --limit core", 100, "setcaps: fatal: bad limit core\n"),
    ])
    def test_what_cannot_be_had(self, chain, code, message):
        result = run(*chain.split(), "true")
        assert (result.returncode, result.stderr.decode()) == (code, message)


class TestPlaceInTheSystem:
    @pytest.mark.parametrize("options, expected", [
        ("--umask 077", {"umask": 0o077}), ("--umask 0", {"umask": 0}), ("--umask 0777", {"umask": 0o777}),
        ("--nice 7", {"nice": 7}), ("--nice -5", {"nice": -5}), ("--nice 19", {"nice": 19}),
        ("--nice 0", {"nice": 0}),
        ("--oom-score-adj 300", {"oom": 300}), ("--oom-score-adj 1000", {"oom": 1000}),
        pytest.param("--oom-score-adj -1000", {"oom": -1000}, marks=may_raise),
    ])
    def test_is_set(self, options, expected):
        assert probe("setcaps", *options.split()) == same(**expected)

    def test_before_the_user_is_changed(self):
        state = probe("setuidgid", "--nice", "-3", "--oom-score-adj", "5", "--umask", "027", "nobody")
        assert (state["nice"], state["oom"], state["umask"], state["Uid"][0]) == (-3, 5, 0o027, NOBODY)

    @pytest.mark.parametrize("name, value, message", [
        ("--nice", "5", b"unable to set the nice value: access denied"),
        ("--oom-score-adj", "-1000", b"unable to set the out-of-memory score: access denied"),
    ])
    def test_a_user_may_not_go_below_what_is(self, name, value, message):
        result = run("setuidgid", name, "6", "nobody", "setcaps", name, value, "echo", "ran")
        assert (result.returncode, result.stdout) == (111, b"")
        assert result.stderr == b"setcaps: fatal: " + message + b"\n"


class TestSecurebits:
    @pytest.mark.parametrize("options, bits", [
        ("--noroot", 3), ("--securebits noroot", 1), ("--securebits noroot,noroot_locked", 3),
        ("--securebits no_setuid_fixup", 4), ("--securebits no_setuid_fixup_locked", 8),
        ("--securebits keep_caps_locked", 32), ("--securebits no_cap_ambient_raise", 64),
        ("--noroot --securebits no_cap_ambient_raise,no_cap_ambient_raise_locked", 0xc3),
    ])
    def test_bits(self, options, bits):
        expected = same(securebits=bits)
        if bits & 1:
            expected |= dict.fromkeys(("CapPrm", "CapEff", "CapAmb"), 0)
        assert probe("setcaps", *options.split()) == expected

    def test_root_without_power_that_keeps_one_capability(self):
        assert probe("setcaps", "--noroot", "--caps", "net_bind_service") == same(
            caps=BIND, securebits=3)

    def test_and_another_user_with_all_at_once(self):
        bits = "noroot,noroot_locked,no_setuid_fixup,no_setuid_fixup_locked,no_cap_ambient_raise," \
               "no_cap_ambient_raise_locked,keep_caps_locked"
        state = probe("setcaps", "--securebits", bits, "--caps", "net_bind_service", "--user", "nobody")
        assert state == same(caps=BIND, securebits=0xef, **ids(NOBODY, NOBODY, [NOBODY]))

    def test_the_bits_are_added_to_those_there_are(self):
        assert probe("setcaps", "--securebits", "no_setuid_fixup", "setcaps", "--securebits",
                     "noroot_locked")["securebits"] == 6

    def test_capabilities_do_not_outlive_a_change_of_user_without_fixup(self):
        chain = ["setcaps", "--securebits", "no_setuid_fixup"]
        state = probe(*chain, "setuidgid", "nobody")
        assert state == same(caps=0, securebits=4, **ids(NOBODY, NOBODY, [NOBODY]))

    def test_root_s_set_user_id_programs_gain_nothing(self):
        state = probe("setcaps", "--noroot", "--caps", "setuid,setgid", "setcaps", "--user", "nobody")
        assert (state["CapPrm"], state["CapEff"]) == (0, 0)

    @pytest.mark.parametrize("chain, code, message", [
        ("setcaps --securebits root", 100, "unknown securebit root"),
        ("setcaps --securebits keep_caps", 100, "unknown securebit keep_caps"),
        ("setuidgid nobody setcaps --noroot", 111, "unable to set securebits: permission denied"),
        ("setcaps --securebits noroot_locked setcaps --noroot", 111,
         "unable to set securebits: permission denied"),
    ])
    def test_what_cannot_be_had(self, chain, code, message):
        result = run(*chain.split(), "echo", "ran")
        assert (result.returncode, result.stdout, result.stderr.decode()) == (
            code, b"", f"setcaps: fatal: {message}\n")


class TestOneOption:
    """A capability of a user who is not root: one option, whoever asks."""

    @pytest.mark.parametrize("chain", [
        "setuidgid --caps net_bind_service nobody", "setcaps --user nobody --caps net_bind_service",
        "setcaps --user nobody --ambient net_bind_service", "softlimit --user nobody --caps net_bind_service",
        "setcaps --caps net_bind_service --user nobody --no-new-privs",
        "setcaps --bounding net_bind_service,setuid,setgid setcaps --user nobody --caps net_bind_service",
        "setcaps --bounding net_bind_service --user nobody --caps net_bind_service",
        "setcaps --noroot --user nobody --caps net_bind_service",
        "setcaps --user nobody --caps net_bind_service --seccomp ~@mount --landlock ro=/,exec=/,rw=/dev",
        "setcaps --user nobody --caps net_bind_service setcaps --caps net_bind_service softlimit -c 0",
    ])
    def test_it_is_permitted_effective_and_ambient(self, chain):
        state = probe(*chain.split())
        assert {state[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {BIND}
        assert state["Uid"] == [NOBODY] * 4

    @pytest.mark.parametrize("bounding", ["all", "net_bind_service,setuid,setgid,setpcap", "all,-sys_admin"])
    @pytest.mark.parametrize("user", ["", "--user nobody", "--user root", "--user 4321:8765 --groups none"])
    @pytest.mark.parametrize("caps", [None, "none", "net_bind_service"])
    @pytest.mark.parametrize("more", ["", "--no-new-privs", "--seccomp ~@mount", "--noroot",
                                      "--landlock exec=/,rw=/", "--umask 022 --nice 3 --limit core=0"])
    def test_every_combination(self, bounding, user, caps, more):
        """Against a model of the kernel's rules: what a program of root's or another's holds in the end."""
        options = user.split() + (["--caps", caps] if caps else []) + more.split()
        state = probe("setcaps", "--bounding", bounding, "setcaps", *options)
        limit = {"all": ALL, "all,-sys_admin": ALL & ~(1 << 21)}.get(bounding,
                                                                  BIND | SETUID | SETGID | SETPCAP)
        limit &= BEFORE["CapBnd"]
        asked = {None: None, "none": 0, "net_bind_service": BIND}[caps]
        is_root = user in ("", "--user root")
        has_power = is_root and more != "--noroot"
        if has_power:
            held = limit if asked is None else asked
            expected = {"CapInh": 0, "CapAmb": 0, "CapBnd": held if asked is not None else limit}
        else:
            held = asked or 0
            expected = {"CapInh": held, "CapAmb": held, "CapBnd": limit}
        expected |= {"CapPrm": held, "CapEff": held}
        assert {name: state[name] for name in CAPS} == expected
        assert state["Seccomp"] == (2 if "--seccomp" in more else 0)
        assert state["securebits"] == (3 if more == "--noroot" else 0)
        uid = {"--user nobody": NOBODY, "--user 4321:8765 --groups none": 4321}.get(user, 0)
        assert state["Uid"] == [uid] * 4
        # no_new_privs is there when asked for, and when the kernel wants it for the filter.
        wanted = "--seccomp" in more or "--landlock" in more
        has_admin = limit >> 21 & 1 and is_root and (asked is None)
        assert state["NoNewPrivs"] == int(more == "--no-new-privs" or (wanted and not has_admin))


class TestInheritable:
    def test_root_holds_it_whatever_the_bounding_set_was(self):
        assert probe("setcaps", "--inheritable", "net_raw,kill") == same(CapInh=RAW | KILL)
        assert probe("setcaps", "-i", "net_raw", "setcaps", "--inheritable", "none") == same()
        limited = KILL | BIND
        assert probe("setcaps", "--bounding", "kill,net_bind_service", "--inheritable", "kill") == same(
            CapInh=KILL, CapPrm=limited, CapEff=limited, CapBnd=limited)

    @pytest.mark.parametrize("change", ["", "--user nobody"])
    def test_caps_replaces_it(self, change):
        before = ["setcaps", "--inheritable", "net_raw,kill", "setcaps", *change.split()]
        assert probe(*before, "--caps", "none")["CapInh"] == 0
        assert probe(*before, "--caps", "kill")["CapInh"] == (KILL if change else 0)
        assert probe(*before, "--caps", "kill", "--inheritable", "kill")["CapInh"] == KILL

    def test_a_user_gets_it_by_a_file_that_says_so(self, tmp_path):
        """Of what the file lets inherit, the program has what is inheritable, and no more."""
        for parent in [tmp_path, *tmp_path.parents]:
            if parent != pathlib.Path("/") and parent.stat().st_uid == os.getuid():
                parent.chmod(parent.stat().st_mode | 0o011)
        program = tmp_path / "grep"
        shutil.copy("/usr/bin/grep", program)
        # struct vfs_cap_data of linux/capability.h, second revision, effective.
        words = [0x02000001, 0, RAW | KILL, 0, 0]
        try:
            os.setxattr(program, "security.capability", b"".join(word.to_bytes(4, "little") for word in words))
        except OSError as error:
            pytest.skip(f"the file system has no capabilities: {error}")
        show = [program, "CapEff", "/proc/self/status"]
        result = run("setcaps", "--user", "nobody", "--inheritable", "net_raw,net_bind_service", *show)
        assert result.stdout == b"CapEff:\t%016x\n" % RAW
        assert run("setcaps", "--user", "nobody", *show).stdout == b"CapEff:\t%016x\n" % 0
        result = run("setcaps", "--user", "nobody", "--inheritable", "net_raw", "--no-new-privs", *show)
        assert result.stdout == b"CapEff:\t%016x\n" % 0

    @pytest.mark.parametrize("options, code, message", [
        ("--bounding kill --inheritable net_raw", 100,
         "--inheritable has what other options take away: cap_net_raw"),
        ("--ambient kill --inheritable net_raw", 100, "--ambient has what other options take away: cap_kill"),
    ])
    def test_what_cannot_be_had(self, options, code, message):
        result = run("setcaps", *options.split(), "echo", "ran")
        assert (result.returncode, result.stdout, result.stderr.decode()) == (
            code, b"", f"setcaps: fatal: {message}\n")


@pytest.mark.parametrize("options", [
    "--user nobody:mail --groups 7,9", "--group 77", "--groups none", "--caps kill,net_raw", "--bounding kill,setuid",
    "--inheritable kill", "--ambient kill --user nobody", "--securebits no_setuid_fixup", "--noroot --caps kill",
    "--no-new-privs", "--landlock exec=/,rw=/", "--limit nofile=100:200 --limit core=0:",
    "--umask 027 --nice 3 --oom-score-adj 7",
])
@pytest.mark.parametrize("program", ["softlimit", "envuidgid", "seccomp"])
def test_an_option_means_the_same_in_every_program(program, options):
    before, after = PROGRAMS[program]
    # What setcaps says for the operand that the program takes besides.
    equal = {"seccomp": ["--seccomp", *after]}.get(program, [])
    assert probe(*before, *options.split(), *after) == probe("setcaps", *options.split(), *equal)


class TestUserNamespace:
    CHAIN = ["setuidgid", "nobody", "unshare", "--user", "--map-root-user"]

    def test_root_of_a_namespace_may_do_as_root(self):
        state = probe(*self.CHAIN, "setcaps", "--bounding", "kill", "--noroot", "--no-new-privs",
                      "--seccomp", "~@mount", "--landlock", "exec=/,rw=/", "--nice", "3")
        assert (state["CapBnd"], state["CapEff"], state["securebits"], state["NoNewPrivs"],
                state["Seccomp"], state["nice"]) == (KILL, 0, 3, 1, 2, 3)

    def test_and_keeps_capabilities_as_an_ordinary_user_would(self):
        state = probe(*self.CHAIN, "setcaps", "--noroot", "--caps", "net_bind_service")
        assert (state["CapPrm"], state["CapAmb"]) == (BIND, BIND)
        assert state["CapBnd"] == probe(*self.CHAIN)["CapBnd"]

    def test_groups_that_the_namespace_denies_are_an_error(self):
        chain = ["setcaps", "--user", "nobody", "--groups", "7", *self.CHAIN[2:]]
        result = run(*chain, "setcaps", "--groups", "none", "echo", "ran")
        assert (result.returncode, result.stdout, result.stderr) == (
            111, b"", b"setcaps: fatal: unable to setgid: permission denied\n")

    def test_users_that_the_namespace_does_not_have_are_an_error(self):
        result = run("unshare", "--user", "--map-root-user", "setcaps", "--user", "5:5", "echo", "ran")
        assert result.returncode == 111 and b"ran" not in result.stdout


class TestRootDirectory:
    @pytest.fixture
    def root(self, tmp_path):
        """A root directory that has the binary alone, and what it sees there under a name of ours."""
        (tmp_path / "bin").mkdir()
        for name in ("apus", "svok", "setcaps", "envdir", "tcprules", "argv0"):
            shutil.copy(BIN / "apus", tmp_path / "bin" / name)
        (tmp_path / "here").write_text(":allow\n")
        return tmp_path

    def test_the_program_is_looked_up_and_runs_in_it(self, root):
        result = run("setcaps", "--chroot", root, "/bin/tcprules", "/cdb", "/tmp-cdb", input=b":allow\n")
        assert (result.returncode, result.stderr) == (0, b"")
        assert (root / "cdb").exists()

    def test_even_where_it_is_a_stage_of_this_binary(self, root):
        """That of the root directory is run, whatever this process could call by itself."""
        (root / "bin/setcaps").write_text("no program")
        result = run("setcaps", "--chroot", root, "setcaps", "-b", "none", "/bin/svok", "/")
        assert result.returncode == 111
        assert result.stderr.startswith(b"setcaps: fatal: unable to run setcaps: ")

    def test_the_current_directory_is_the_new_root(self, root):
        result = run("setcaps", "--chroot", root, "bin/tcprules", "cdb", "other", input=b":allow\n")
        assert (result.returncode, (root / "cdb").exists()) == (0, True)

    def test_with_everything_else(self, root):
        """Landlock's rules are of the new root; user, capabilities and filter come after."""
        (root / "data").mkdir()
        (root / "data").chmod(0o777)
        for parent in [root, *root.parents]:
            if parent != pathlib.Path("/") and parent.stat().st_uid == os.getuid():
                parent.chmod(parent.stat().st_mode | 0o011)
        chain = ["setcaps", "--chroot", root, "--user", "nobody", "--caps", "none", "--nice", "5",
                 "--oom-score-adj", "10", "--umask", "0", "--seccomp", "~@mount", "--landlock",
                 "exec=/bin,rw=/data"]
        result = run(*chain, "/bin/tcprules", "/data/cdb", "/data/tmp", input=b":allow\n")
        assert (result.returncode, result.stderr) == (0, b"")
        assert (root / "data/cdb").stat().st_uid == NOBODY
        result = run(*chain, "/bin/tcprules", "/cdb", "/data/tmp", input=b":allow\n")
        assert result.returncode == 111

    @pytest.mark.parametrize("chain, message", [
        ("setcaps --chroot /nonexistent", "to /nonexistent: file does not exist"),
        ("setcaps --chroot /etc/passwd", "to /etc/passwd: not a directory"),
        ("setuidgid nobody setcaps --chroot /tmp", "to /tmp: permission denied"),
    ])
    def test_what_cannot_be_had(self, chain, message):
        result = run(*chain.split(), "echo", "ran")
        assert (result.returncode, result.stdout, result.stderr.decode()) == (
            111, b"", f"setcaps: fatal: unable to change the root directory {message}\n")


# Tries each thing in each directory and prints the errors.
ATTEMPTS = """
import errno, json, os, sys
def execute(path):
    pid = os.fork()
    if pid == 0:
        os.dup2(2, 1)
        try: os.execv(path, [path, "-x"])
        except OSError as error: os._exit(error.errno)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code != 100: raise OSError(code, path)
tries = {
    "read": lambda at: open(at + "/file").close(), "list": lambda at: os.listdir(at),
    "write": lambda at: open(at + "/file", "r+").close(), "truncate": lambda at: os.truncate(at + "/file", 0),
    "create": lambda at: open(at + "/new", "x").close(), "remove": lambda at: os.remove(at + "/old"),
    "mkdir": lambda at: os.mkdir(at + "/newdir"), "rmdir": lambda at: os.rmdir(at + "/olddir"),
    "symlink": lambda at: os.symlink("x", at + "/link"), "fifo": lambda at: os.mkfifo(at + "/fifo"),
    "rename": lambda at: os.rename(at + "/olddir2/file", at + "/file2"),
    "device": lambda at: os.mknod(at + "/null", 0o20666, os.makedev(1, 3)),
    "execute": lambda at: execute(at + "/program"),
}
def attempt(what, at):
    try: what(at)
    except OSError as error: return errno.errorcode[error.errno]
    return "ok"
print(json.dumps({at: {name: attempt(what, at) for name, what in tries.items()} for at in sys.argv[1:]}))
"""
CHANGES = {"write", "truncate", "create", "remove", "mkdir", "rmdir", "symlink", "fifo", "rename"}
LOOKS = {"read", "list"}


def lay(directory):
    directory.mkdir()
    for name in ("file", "old"):
        (directory / name).write_text("text")
    for name in ("olddir", "olddir2"):
        (directory / name).mkdir()
    (directory / "olddir2/file").write_text("text")
    # Static, so that nothing but itself is read for it; without an argument that it knows it exits 100.
    shutil.copy(BIN / "apus", directory / "program")


@pytest.mark.skipif(landlock_version() < 5, reason="the kernel's Landlock restricts less")
class TestLandlock:
    def allowed(self, tmp_path, *words, before=("setcaps",)):
        """What may be done in three directories under rules that name them A, B and C."""
        for name in "ABC":
            lay(tmp_path / name)
        rules = [word.replace("DIR", str(tmp_path)) for word in words]
        result = run(*before, *rules, "--landlock", "exec=/usr,exec=/lib,exec=/lib64,ro=/etc",
                     "python3", "-c", ATTEMPTS, *(tmp_path / name for name in "ABC"))
        assert result.returncode == 0, result.stderr
        found = json.loads(result.stdout)
        answers = {}
        for name in "ABC":
            codes = found[str(tmp_path / name)]
            assert set(codes.values()) <= {"ok", "EACCES", "EXDEV"}, codes
            answers[name] = {what for what, code in codes.items() if code == "ok"}
        return answers

    def test_reading_writing_executing(self, tmp_path):
        allowed = self.allowed(tmp_path, "--landlock", "ro=DIR/A,rw=DIR/B", "--landlock", "exec=DIR/C")
        assert allowed == {"A": LOOKS, "B": LOOKS | CHANGES, "C": LOOKS | {"execute"}}

    def test_rights_add_up_and_what_is_not_named_is_denied(self, tmp_path):
        allowed = self.allowed(tmp_path, "--landlock", "rw=DIR/A,exec=DIR/A,ro=DIR/B/file,rw=DIR/C/old")
        assert allowed == {"A": LOOKS | CHANGES | {"execute"}, "B": {"read"}, "C": set()}

    def test_a_file_alone(self, tmp_path):
        allowed = self.allowed(tmp_path, "--landlock", "rw=DIR/A/file", "--landlock",
                               "exec=DIR/B/program")
        assert allowed == {"A": {"read", "write", "truncate"}, "B": {"execute"}, "C": set()}

    def test_a_lower_version_by_request_is_that_version(self, tmp_path):
        allowed = self.allowed(tmp_path, "--landlock", "abi=2,ro=DIR/A,rw=DIR/B")
        # The second has no right of its own for truncation.
        assert allowed == {"A": LOOKS | {"truncate"}, "B": LOOKS | CHANGES, "C": {"truncate"}}

    def test_any_version_is_the_whole_where_there_is_one(self, tmp_path):
        allowed = self.allowed(tmp_path, "--landlock", "abi=any,ro=DIR/A")
        assert allowed == {"A": LOOKS, "B": set(), "C": set()}

    def test_domains_of_a_chain_add_up(self, tmp_path):
        allowed = self.allowed(tmp_path, "--landlock", "ro=DIR/B", before=(
            "setcaps", "--landlock", f"exec=/,rw={tmp_path}/A", "setcaps"))
        assert allowed == {"A": set(), "B": LOOKS, "C": set()}

    def test_another_user(self, tmp_path):
        """The rules' files are opened before, also in a place that the user cannot see."""
        inner = tmp_path / "closed"
        inner.mkdir(mode=0o700)
        (inner / "file").write_text("text")
        result = run("setcaps", "--user", "nobody", "--landlock", f"exec=/usr,exec=/lib,exec=/lib64,ro={inner}",
                     "cat", "/etc/passwd")
        assert (result.returncode, result.stdout) == (1, b"")
        state = run("setcaps", "--user", "nobody", "--landlock", "exec=/,rw=/dev", "cat",
                    "/proc/self/status").stdout
        assert b"NoNewPrivs:\t1\n" in state

    def test_ports(self):
        script = ("import socket, json\n"
                  "def attempt(what, port):\n"
                  "    with socket.socket() as s:\n"
                  "        try: getattr(s, what)(('127.0.0.1', port))\n"
                  "        except OSError as error: return error.errno\n"
                  "    return 0\n"
                  "print([attempt(what, port) for what in ('bind', 'connect') for port in (7, 8)])")
        for rules, expected in [("bind=7", [0, 13, 111, 111]), ("connect=8", [0, 0, 13, 111]),
                                ("bind=none,connect=none", [13, 13, 13, 13]),
                                ("bind=7,connect=7,bind=8", [0, 0, 111, 13]), ("ro=/", [0, 0, 111, 111])]:
            with private_network():
                result = run("setcaps", "--landlock", f"exec=/,{rules}", "python3", "-c", script)
            assert json.loads(result.stdout) == expected, (rules, result)

    @pytest.mark.skipif(landlock_version() < 6, reason="the kernel's Landlock has no scopes")
    def test_scopes(self):
        signal_parent = ["python3", "-c", "import os; os.kill(os.getppid(), 0)"]
        abstract = ("import socket, subprocess, sys; s = socket.socket(socket.AF_UNIX); "
                    f"s.bind('\\0apus-{os.getpid()}'); s.listen(); "
                    "print(subprocess.run(sys.argv[1:]).returncode)")
        client = ["python3", "-c",
                  f"import socket; socket.socket(socket.AF_UNIX).connect('\\0apus-{os.getpid()}')"]
        for rules, may_signal, may_connect in [("ro=/", 0, 0), ("scope=signal", 1, 0),
                                               ("scope=abstract", 0, 1),
                                               ("scope=abstract,scope=signal", 1, 1)]:
            chain = ["setcaps", "--landlock", f"exec=/,{rules}"]
            assert run(*chain, *signal_parent).returncode == may_signal
            assert run("python3", "-c", abstract, *chain, *client).stdout == b"%d\n" % may_connect

    def test_no_program_runs_that_may_not(self):
        for chain in (["setcaps"], ["softlimit"], ["setuidgid", "nobody", "setcaps"]):
            result = run(*chain, "--landlock", "ro=/", "setcaps", "true")
            assert result.returncode == 111
            assert result.stderr.endswith(b": fatal: unable to run setcaps: access denied\n")

    @pytest.mark.parametrize("rules, code, message", [
        ("ro=/nonexistent", 111, "unable to allow /nonexistent by Landlock: file does not exist"),
        ("ro", 100, "bad Landlock rule ro"), ("ro=/,", 100, "bad Landlock rule "),
        ("rx=/", 100, "bad Landlock rule rx=/"), ("abi=9", 100, "bad Landlock rule abi=9"),
    ])
    def test_mistakes(self, rules, code, message):
        result = run("setcaps", "--landlock", rules, "echo", "ran")
        assert (result.returncode, result.stdout, result.stderr.decode()) == (
            code, b"", f"setcaps: fatal: {message}\n")


class TestWithoutLandlock:
    """A kernel that has none: told by a filter that there is no such call."""

    CHAIN = ["seccomp", "~landlock_create_ruleset:ENOSYS", "setcaps"]

    def test_is_an_error(self):
        result = run(*self.CHAIN, "--landlock", "ro=/", "echo", "ran")
        assert (result.returncode, result.stdout, result.stderr) == (
            111, b"", b"setcaps: fatal: Landlock ABI 5 is needed, this kernel offers 0\n")

    def test_unless_any_will_do(self):
        result = run(*self.CHAIN, "--landlock", "abi=any,ro=/nonexistent", "echo", "ran")
        assert (result.returncode, result.stdout) == (0, b"ran\n")

    def test_another_refusal_is_an_error_all_the_same(self):
        result = run("seccomp", "~landlock_create_ruleset:EPERM", "setcaps", "--landlock", "abi=any,ro=/",
                     "echo", "ran")
        assert (result.returncode, result.stdout, result.stderr) == (
            111, b"", b"setcaps: fatal: unable to use Landlock: permission denied\n")
