"""Calls that seccomp has announced: denied and named, or learned."""

import os
import pathlib
import re
import signal
import subprocess
import sys

import pytest

from apus import BIN, background, environment, run, wait_for


def learned(policy):
    """The calls that a policy names, without its comments and its first lines."""
    return [line.partition(":")[0] for line in policy.read_text().splitlines()
            if line[0] not in "#@"]


class TestLearning:
    SCRIPT = "echo one | cat; (ls / >/dev/null; exit 3); echo $?; mkdir \"$1\" && rmdir \"$1\""

    def test_a_run_under_what_was_learned_works(self, tmp_path):
        policy = tmp_path / "learned.policy"
        command = ["sh", "-c", self.SCRIPT, "sh", tmp_path / "directory"]
        first = run("seccomp", "--learn", policy, *command)
        assert (first.returncode, first.stdout, first.stderr) == (0, b"one\n3\n", b"")
        names = learned(policy)
        assert names[0] == "exit_group" and names[1:] == sorted(set(names[1:]))
        assert {"execve", "mkdir", "rmdir", "exit_group"} <= set(names) and "mount" not in names
        second = run("seccomp", policy, *command)
        assert (second.returncode, second.stdout, second.stderr) == (0, b"one\n3\n", b"")
        assert run("seccomp", policy, "python3", "-c", "").returncode != 0

    def test_what_no_run_did_fails_and_kills_nothing(self, tmp_path):
        policy = tmp_path / "learned.policy"
        script = "[ -z \"$1\" ] || mkdir \"$1\"; echo done"
        command = ["sh", "-c", script, "sh"]
        assert run("seccomp", "--learn", policy, *command, "").returncode == 0
        assert "\n@default return EPERM\nexit_group: 1\n" in policy.read_text()
        # Dash forks for mkdir, which no run did.
        result = run("seccomp", policy, *command, tmp_path / "new")
        assert result.returncode >= 0 and not (tmp_path / "new").exists()
        assert b"ermitted" in result.stderr or b"fork" in result.stderr, result

    def test_a_run_that_a_signal_ended_leaves_a_policy_that_works(self, tmp_path):
        policy = tmp_path / "learned.policy"
        assert run("seccomp", "--learn", policy, "sh", "-c", "kill -KILL $$").returncode == 137
        assert run("seccomp", policy, "sh", "-c", "exit 5").returncode == 5

    def test_more_runs_add_to_it(self, tmp_path):
        policy = tmp_path / "learned.policy"
        policy.write_text("# by hand\nmkdir: return EXDEV\nkill: arg1 == 0\n")
        assert run("seccomp", "--learn", policy, "true").returncode == 0
        text = policy.read_text()
        assert text.startswith("# by hand\nmkdir: return EXDEV\nkill: arg1 == 0\n")
        assert run("seccomp", "--learn", policy, "true").returncode == 0
        assert policy.read_text() == text
        assert run("seccomp", policy, "mkdir", tmp_path / "x").returncode != 0
        assert run("seccomp", "--learn", policy, "sh", "-c", "kill -TERM $$").returncode == 143
        assert policy.read_text().count("\nkill: 1\n") == 1
        assert run("seccomp", policy, "sh", "-c", "kill -TERM $$").returncode in (143, -signal.SIGTERM)

    def test_it_is_the_programs_exit_and_signal(self, tmp_path):
        policy = tmp_path / "learned.policy"
        assert run("seccomp", "--learn", policy, "sh", "-c", "exit 7").returncode == 7
        process = subprocess.Popen(
            [BIN / "seccomp", "--learn", policy, "sh", "-c", "echo; read line"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment())
        assert process.stdout.readline() == b"\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 128 + signal.SIGTERM
        process.stdin.close()
        process.stdout.close()
        assert "read" in learned(policy)

    def test_by_a_user(self, tmp_path):
        tmp_path.chmod(0o777)
        for parent in tmp_path.parents:
            if parent != pathlib.Path("/") and parent.stat().st_uid == os.getuid():
                parent.chmod(parent.stat().st_mode | 0o011)
        policy = tmp_path / "learned.policy"
        result = run("setuidgid", "nobody", "seccomp", "--learn", policy, "ls", "/")
        assert result.returncode == 0, result.stderr
        assert run("setuidgid", "nobody", "seccomp", policy, "ls", "/").returncode == 0

    def test_what_a_daemon_does_belongs_to_it(self, tmp_path):
        policy = tmp_path / "learned.policy"
        script = "(exec >/dev/null 2>&1; mkdir $1 && rmdir $1) & exit 4"
        assert run("seccomp", "--learn", policy, "sh", "-c", script, "sh", tmp_path / "x").returncode == 4
        assert {"mkdir", "rmdir"} <= set(learned(policy))

    def test_mistakes(self, tmp_path):
        policy = tmp_path / "learned.policy"
        policy.write_text("raed: 1\n")
        result = run("seccomp", "--learn", policy, "echo", "ran")
        assert (result.returncode, result.stdout) == (100, b"")
        assert run("seccomp", "--learn", policy, "~@mount").returncode == 100
        result = run("seccomp", "--learn", tmp_path / "new", "no-such-program")
        assert result.returncode == 111 and b"unable to run no-such-program" in result.stderr


class TestNamedCalls:
    DENIED = re.compile(r"seccomp: denied mkdir\(0x[0-9a-f]+, 0x1ff, .*\) of \w+ by mkdir "
                        r"\(pid \d+\): return EXDEV\n")

    def test_trap_names_and_denies(self, tmp_path):
        policy = tmp_path / "policy"
        policy.write_text("@denylist\nmkdir: return EXDEV\n")
        result = run("seccomp", "--trap", policy, "mkdir", tmp_path / "x")
        assert result.returncode == 1 and not (tmp_path / "x").exists()
        assert self.DENIED.search(result.stderr.decode()), result.stderr
        assert b"Invalid cross-device link" in result.stderr

    def test_log_names_and_permits(self, tmp_path):
        policy = tmp_path / "policy"
        policy.write_text("@denylist\nmkdir: kill\n")
        result = run("seccomp", "--log", policy, "sh", "-c", f"mkdir {tmp_path}/x; echo $?")
        assert (result.returncode, result.stdout) == (0, b"0\n")
        assert b"seccomp: would deny mkdir(" in result.stderr
        assert (tmp_path / "x").exists()

    @pytest.mark.parametrize("action, code", [("kill", 128 + signal.SIGKILL),
                                              ("trap", 128 + signal.SIGSYS)])
    def test_trap_ends_what_the_policy_ends(self, tmp_path, action, code):
        policy = tmp_path / "policy"
        policy.write_text(f"@denylist\nmkdir: {action}\n")
        result = run("seccomp", "--trap", policy, "mkdir", tmp_path / "x")
        assert result.returncode == code and not (tmp_path / "x").exists()
        assert b"seccomp: denied mkdir(" in result.stderr

    def test_a_program_cannot_hide_behind_its_name(self, tmp_path):
        policy = tmp_path / "policy"
        policy.write_text("@denylist\nmkdir: return EXDEV\n")
        script = "open('/proc/self/comm', 'wb').write(b'\\x1b[2J\\xff\\n'); import os; os.mkdir('x')"
        result = run("seccomp", "--log", policy, sys.executable, "-c", script, cwd=tmp_path)
        assert b" by ?[2J?? (pid " in result.stderr, result.stderr

    @pytest.mark.parametrize("mode", ["--log", "--trap"])
    def test_what_only_logs_is_made(self, tmp_path, mode):
        policy = tmp_path / "policy"
        policy.write_text("@denylist\nmkdir: log\n")
        result = run("seccomp", mode, policy, "mkdir", tmp_path / "x")
        assert result.returncode == 0 and (tmp_path / "x").exists()
        assert result.stderr.endswith(b": log\n")

    def test_no_call_goes_unannounced(self, tmp_path):
        """Not even the one that hands the listener over, once another program makes it."""
        policy = tmp_path / "policy"
        policy.write_text("@denylist\nsendmsg: return EXDEV\n")
        script = """import os, socket
for one in socket.socketpair():
    for number in range(3, 40):
        os.dup2(one.fileno(), number)
        try:
            socket.socket(fileno=os.dup(number)).sendmsg([b"x"])
            print("sent")
        except OSError as error:
            assert error.errno == 18, error
"""
        result = run("seccomp", "--trap", policy, sys.executable, "-c", script)
        assert (result.returncode, result.stdout) == (0, b"")

    def test_the_policy_may_be_compiled_or_of_any_format(self, tmp_path):
        text = """{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"],
            "action": "SCMP_ACT_ERRNO", "errno": "EXDEV"}]}"""
        (tmp_path / "policy").write_text(text)
        assert run("seccomprules", tmp_path / "bpf", tmp_path / "tmp", tmp_path / "policy").returncode == 0
        for words in (["policy"], ["-x", "bpf"], ["bpf"], ["~mkdir:EXDEV"]):
            result = run("seccomp", "--trap", *words, "mkdir", "x", cwd=tmp_path)
            assert result.returncode == 1 and self.DENIED.search(result.stderr.decode()), result


class TestListening:
    def policy(self, tmp_path, text="@denylist\nmkdir: return EXDEV\n"):
        (tmp_path / "policy").write_text(text)
        return tmp_path / "policy"

    def test_signals_go_to_the_program(self, tmp_path):
        script = ("for s in HUP ALRM USR1 USR2 TERM; do trap \"echo $s\" $s; done; echo up; "
                  "while :; do read line && exit 3; done")
        with background("seccomp", "--log", self.policy(tmp_path), "sh", "-c", script,
                        stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout.readline() == b"up\n"
            for name in ["HUP", "ALRM", "USR1", "USR2", "TERM"]:
                process.send_signal(getattr(signal, "SIG" + name))
                assert process.stdout.readline() == name.encode() + b"\n"
            process.stdin.write(b"end\n")
            process.stdin.close()
            assert process.wait(60) == 3

    def test_the_program_gets_the_signals_that_seccomp_was_started_with(self, tmp_path):
        def status(*command):
            script = "grep -E 'Sig(Blk|Ign)' /proc/self/status"
            return run(*command, "sh", "-c", script, preexec_fn=lambda: (
                signal.signal(signal.SIGCHLD, signal.SIG_IGN), signal.signal(signal.SIGUSR1, signal.SIG_IGN),
                signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})))
        plain = status()
        listened = status("seccomp", "--log", self.policy(tmp_path))
        assert (listened.returncode, listened.stdout) == (0, plain.stdout)

    def test_term_ends_the_wait_for_what_the_program_left(self, tmp_path):
        learned = tmp_path / "learned"
        with background("seccomp", "--learn", learned, "sh", "-c", "(echo left; exec sleep 1000) & exit 5",
                        stdout=subprocess.PIPE) as process:
            assert process.stdout.readline() == b"left\n"
            children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
            wait_for(lambda: not children.read_text(), "the program to be reaped")
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 5
        assert "execve: 1" in learned.read_text()

    def test_denied_calls_stay_denied_when_nobody_listens_any_more(self, tmp_path):
        script = "echo $$; read line; mkdir $0; echo $?"
        with background("seccomp", "--log", self.policy(tmp_path), "sh", "-c", script, tmp_path / "x",
                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            process.stdout.readline()
            process.kill()
            process.wait(60)
            process.stdin.write(b"go on\n")
            process.stdin.close()
            assert process.stdout.readline() == b"1\n"
            assert b"Function not implemented" in process.stderr.read()
        assert not (tmp_path / "x").exists()

    @pytest.mark.parametrize("outer, message", [
        (["seccomp", "--log", "~swapon"], b"device busy"),
        (["seccomp", "~seccomp"], b"permission denied"),
        (["seccomp", "no-listeners"], b"invalid argument")])
    def test_where_a_listener_is_refused_nothing_runs(self, tmp_path, outer, message):
        (tmp_path / "no-listeners").write_text("@denylist\nseccomp: arg1 & 8; return EINVAL\n")
        for mode in (["--log", "~mount"], ["--trap", "~mount"], ["--learn", "new"]):
            result = run(*outer, "seccomp", *mode, "echo", "ran", cwd=tmp_path)
            assert (result.returncode, result.stdout) == (111, b"")
            assert b"fatal: unable to have system calls announced: " + message in result.stderr
            assert not (tmp_path / "new").exists()

    @pytest.mark.parametrize("words", [
        ["--log", "--trap", "~mount", "true"], ["--log", "--learn", "x", "true"], ["--log", "~mount"],
        ["--learn", "x"], ["--seccomp", "~mount", "--learn", "x", "true"], ["-x"], []])
    def test_usage(self, tmp_path, words):
        result = run("seccomp", *words, cwd=tmp_path)
        assert result.returncode == 100 and not (tmp_path / "x").exists()

    def test_nothing_comes_between_the_filter_and_its_listener(self, tmp_path):
        """Whatever memory looks like by then: a call that takes more of it would wait for ever."""
        for number in range(1, 80):
            words = ["x" * 37 * number, *map(str, range(number))]
            assert run("seccomp", "--learn", tmp_path / "learned", "true", *words).returncode == 0
            (tmp_path / "learned").unlink()

    def test_with_other_confinement(self, tmp_path):
        tmp_path.chmod(0o777)
        result = run("seccomp", "--trap", "--user", "nobody", "--limit", "nofile=50:50",
                     self.policy(tmp_path), "sh", "-c", "id -un; ulimit -n; mkdir x")
        assert result.stdout == b"nobody\n50\n"
        assert b"denied mkdir(" in result.stderr
