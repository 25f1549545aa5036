"""Files that are replaced as a whole: through a temporary one, that follows no link."""

import os
import re

import pytest

from apus import BIN, run

RULES = b"10.:allow\n:deny\n"


def seccomprules(target, temporary):
    return ["seccomprules", target, temporary], b"@denylist\nmount: return EPERM\n"


def tcprules(target, temporary):
    return ["tcprules", target, temporary], RULES


def publish(program, target, temporary, *before):
    command, text = program(target, temporary)
    return run(*before, BIN / command[0], *command[1:], input=text)


def learn(target, *before):
    return run(*before, BIN / "seccomp", "--learn", target, "true")


@pytest.fixture
def victim(tmp_path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    return victim


@pytest.mark.parametrize("program", [seccomprules, tcprules])
class TestThroughATemporaryFile:
    def test_a_link_is_not_followed(self, tmp_path, program, victim):
        target, temporary = tmp_path / "target", tmp_path / "temporary"
        for make in (os.symlink, os.link):
            make(victim, temporary)
            assert publish(program, target, temporary).returncode == 0
            assert victim.read_bytes() == b"precious" and not temporary.exists()
            assert not target.is_symlink() and target.stat().st_nlink == 1

    def test_what_an_interrupted_run_left_is_replaced(self, tmp_path, program):
        target, temporary = tmp_path / "target", tmp_path / "temporary"
        temporary.write_bytes(b"left" * 1000)
        assert publish(program, target, temporary).returncode == 0
        assert not temporary.exists() and b"left" not in target.read_bytes()

    @pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
    def test_what_is_no_file_stays(self, tmp_path, program, make):
        target, temporary = tmp_path / "target", tmp_path / "temporary"
        make(temporary)
        result = publish(program, target, temporary)
        assert (result.returncode, result.stdout) == (111, b"")
        assert b"unable to create" in result.stderr
        assert temporary.exists() and not target.exists()

    def test_it_is_on_disk_before_it_has_its_name(self, tmp_path, program):
        trace, target, temporary = tmp_path / "trace", tmp_path / "target", tmp_path / "temporary"
        result = publish(program, target, temporary, "strace", "-o", trace, "-e",
                         "trace=open,openat,write,fsync,rename,renameat,close")
        assert result.returncode == 0, result.stderr
        self.check_order(trace.read_text(), "temporary")

    @staticmethod
    def check_order(trace, name):
        opened = re.search(rf'open(?:at)?\(.*{name}", (\S+), .*\) = (\d+)\n', trace)
        assert {"O_EXCL", "O_NOFOLLOW", "O_CREAT"} <= set(opened[1].split("|"))
        rest = trace[opened.end():]
        calls = [call for call, number in re.findall(r"^(\w+)\((\d+|.*)", rest, re.M)
                 if call.startswith("rename") or number.split(",")[0].rstrip(")") .split(")")[0] == opened[2]]
        assert re.fullmatch(r"(write )+fsync close rename(at)? ", " ".join(calls) + " "), calls


class TestLearning:
    def test_a_link_is_not_followed(self, tmp_path, victim):
        policy = tmp_path / "learned"
        (tmp_path / "learned.new").symlink_to(victim)
        assert learn(policy).returncode == 0
        assert victim.read_bytes() == b"precious" and not (tmp_path / "learned.new").exists()
        assert policy.read_text().startswith("# Learned")

    def test_it_is_on_disk_before_it_has_its_name(self, tmp_path):
        trace = tmp_path / "trace"
        result = learn(tmp_path / "learned", "strace", "-o", trace, "-e",
                       "trace=open,openat,write,fsync,rename,renameat,close")
        assert result.returncode == 0, result.stderr
        TestThroughATemporaryFile.check_order(trace.read_text(), "learned.new")
