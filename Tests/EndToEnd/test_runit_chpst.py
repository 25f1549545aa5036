"""chpst where it goes further than runit's, or is more careful."""

import os

import pytest

from apus import BIN, environment, run

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="changes users")


def chpst(*words, **options):
    return run("chpst", *words, **options)


def test_a_directory(tmp_path):
    """-C of runit 2.2."""
    result = chpst("-C", tmp_path, "pwd")
    assert (result.returncode, result.stdout.decode()) == (0, f"{tmp_path}\n")
    result = chpst("-C", "no", "pwd", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (
        111, b"chpst: fatal: unable to change directory: no: file does not exist\n")


def test_a_directory_below_a_new_root(tmp_path):
    (tmp_path / "inside").mkdir()
    result = chpst("-/", tmp_path, "-C", "/inside", "no-such-program")
    assert result.stderr == b"chpst: fatal: unable to run: no-such-program: file does not exist\n"
    result = chpst("-/", tmp_path, "-C", tmp_path, "true")
    assert result.stderr == f"chpst: fatal: unable to change directory: {tmp_path}: file does not exist\n".encode()


def test_to_become_what_one_is_needs_no_privilege():
    result = run("setuidgid", "nobody", "chpst", "-u", "nobody", "id", "-u")
    assert (result.returncode, result.stdout) == (0, b"65534\n")


@pytest.mark.parametrize("ids", [":12:", "::5", ":-1:5", ":4294967295:5", ":4294967296:5", ":1 :5", ":0x1:5", ":1"])
def test_what_is_no_id_is_an_error(ids):
    for option in ("-u", "-U"):
        result = chpst(option, ids, "id")
        assert (result.returncode, result.stdout) == (111, b"")
        assert result.stderr == f"chpst: fatal: invalid uid/gids: {ids[1:]}\n".encode()


def test_no_capability_is_left():
    result = chpst("-u", "nobody:adm", "grep", "-E", "^Cap(Inh|Prm|Eff|Amb)", "/proc/self/status")
    assert [line.split()[1] for line in result.stdout.splitlines()] == [b"0" * 16] * 4


def test_a_tight_limit_on_memory_does_not_hinder_chpst_itself():
    assert chpst("-m", "3000000", BIN / "svok", "/").returncode in (100, 111)


def test_a_missing_interpreter_is_named(tmp_path):
    program = tmp_path / "p"
    program.write_text("#!/no/such/shell\n")
    program.chmod(0o755)
    result = chpst(program)
    assert result.stderr == (f"chpst: fatal: unable to run: {program}: its interpreter /no/such/shell: "
                             "file does not exist\n").encode()


def test_a_chain_is_called_without_an_exec():
    trace = run("strace", "-f", "-e", "trace=execve", BIN / "chpst", "-o", "50", "chpst", "-P", "/usr/bin/true",
                env=environment())
    assert trace.stderr.count(b"execve(") == 2, trace.stderr
