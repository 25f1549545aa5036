"""The binary under its own name: `apus --install`, `--list`, `--help` and `--version`, and the version that programs
print."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

from apus import BIN, ROOT, pid_namespace, run

PROGRAMS = subprocess.check_output([BIN / "apus", "--list"], text=True).split()


def install(*words, binary=BIN / "apus"):
    return run(binary, "--install", *words)


def state(directory):
    """All names of a directory, with inode, permissions, time and target."""
    found = {}
    for path in directory.iterdir():
        status = path.lstat()
        found[path.name] = (status.st_ino, oct(status.st_mode), status.st_mtime_ns,
                            os.readlink(path) if path.is_symlink() else None)
    return found


def is_complete(directory):
    return (sorted(os.listdir(directory)) == sorted([*PROGRAMS, "apus"])
            and all(os.readlink(directory / name) == "apus" for name in PROGRAMS)
            and (directory / "apus").read_bytes() == (BIN / "apus").read_bytes())


@pytest.fixture(name="other")
def _other(tmp_path):
    """A binary that is another version: one with a byte more."""
    path = tmp_path / "other"
    path.write_bytes((BIN / "apus").read_bytes() + b"\0")
    path.chmod(0o755)
    return path


def test_installs_the_binary_and_a_link_for_each_program(tmp_path):
    # The parents are made too, and the umask does not matter.
    result = run("sh", "-c", f"umask 077; exec {BIN}/apus --install {tmp_path}/usr/bin")
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")
    assert is_complete(tmp_path / "usr/bin")
    assert (tmp_path / "usr/bin/apus").stat().st_mode & 0o777 == 0o755
    assert run(tmp_path / "usr/bin/svok").returncode == 100


def test_a_second_time_changes_nothing(tmp_path):
    install(tmp_path)
    before = state(tmp_path)
    assert install(tmp_path).returncode == 0
    # Nor does the installed binary.
    assert install(tmp_path, binary=tmp_path / "apus").returncode == 0
    assert state(tmp_path) == before


def test_adds_the_links_to_a_binary_that_was_copied(tmp_path):
    shutil.copy(BIN / "apus", tmp_path / "apus")
    before = (tmp_path / "apus").stat()
    assert install(tmp_path, binary=tmp_path / "apus").returncode == 0
    assert is_complete(tmp_path)
    assert (tmp_path / "apus").stat().st_ino == before.st_ino


def test_a_relative_directory_and_one_with_a_slash(tmp_path):
    assert run(BIN / "apus", "--install", "a/b/", cwd=tmp_path).returncode == 0
    assert is_complete(tmp_path / "a/b")


def test_replaces_another_version(tmp_path, other):
    directory = tmp_path / "bin"
    assert install(directory, binary=other).returncode == 0
    assert (directory / "apus").read_bytes() == other.read_bytes()
    assert install(directory).returncode == 0
    assert is_complete(directory)


def test_keeps_other_ways_of_linking(tmp_path):
    shutil.copy(BIN / "apus", tmp_path / "apus")
    (tmp_path / "svc").symlink_to(tmp_path / "apus")
    (tmp_path / "svok").hardlink_to(tmp_path / "apus")
    assert install(tmp_path, binary=tmp_path / "apus").returncode == 0
    assert os.readlink(tmp_path / "svc") == str(tmp_path / "apus")
    # A hard link would be the old version after the next upgrade.
    assert os.readlink(tmp_path / "svok") == "apus"


@pytest.mark.parametrize("kind", ["file", "script", "link", "dangling"])
def test_refuses_to_replace_what_is_not_apus(tmp_path, kind):
    taken = tmp_path / "svc"
    if kind == "file":
        taken.write_text("mine")
    elif kind == "script":
        taken.write_text("#!/bin/sh\n")
        taken.chmod(0o755)
    else:
        taken.symlink_to("/bin/true" if kind == "link" else "/nonexistent")
    before = state(tmp_path)
    result = install(tmp_path)
    assert result.returncode == 111
    assert result.stderr.decode() == (
        f"apus: warning: {taken} is something else\n"
        f"apus: fatal: nothing installed in {tmp_path}: names are taken; --force replaces them\n")
    assert state(tmp_path) == before
    for words in (("--force", tmp_path), (tmp_path,)):
        assert install(*words).returncode == 0
        assert is_complete(tmp_path)


def test_every_name_that_is_taken_is_reported(tmp_path):
    for name in ("svc", "tcpserver"):
        (tmp_path / name).touch()
    (tmp_path / "apus").symlink_to("/bin/true")
    lines = install(tmp_path).stderr.decode().splitlines()
    assert sorted(lines[:-1]) == [f"apus: warning: {tmp_path}/{name} is something else"
                                  for name in ("apus", "svc", "tcpserver")]
    assert run(BIN / "apus", "--force", "--install", tmp_path).returncode == 0
    assert is_complete(tmp_path)
    assert pathlib.Path("/bin/true").stat().st_size != (BIN / "apus").stat().st_size


def test_a_directory_is_never_replaced(tmp_path):
    (tmp_path / "svc").mkdir()
    (tmp_path / "svc/file").touch()
    result = install("--force", tmp_path)
    assert result.returncode == 111
    assert result.stderr == f"apus: fatal: unable to create {tmp_path}/svc: is a directory\n".encode()
    assert (tmp_path / "svc/file").exists()


def test_what_an_installation_left_that_was_broken_off(tmp_path):
    target = tmp_path / "target"
    target.write_text("mine")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/.apus.new").symlink_to(target)
    assert install(tmp_path / "bin").returncode == 0
    assert is_complete(tmp_path / "bin")
    assert target.read_text() == "mine"


@pytest.mark.parametrize("words", [[], ["--force"], ["a", "b"], [""], ["--force", "--force", "a"]])
def test_wrong_usage(tmp_path, words):
    result = run(BIN / "apus", "--install", *words, cwd=tmp_path)
    assert result.returncode == 100
    assert result.stderr.startswith(b"apus: usage: ")
    assert not list(tmp_path.iterdir())


def test_a_directory_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    result = install(tmp_path / "file/bin")
    assert result.returncode == 111
    assert b"not a directory" in result.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs namespaces")
def test_as_process_1_as_in_a_step_of_an_images_build(tmp_path):
    with pid_namespace(BIN / "apus", "--install", tmp_path / "bin") as (process, _):
        assert process.wait(30) == 0
    assert is_complete(tmp_path / "bin")


def long_options():
    """The programs whose pages describe a long option."""
    for name in PROGRAMS:
        page, = ROOT.glob(f"man/{name}.[0-9]")
        text = page.read_text()
        options = re.search(r"^\.Sh SYNOPSIS\n.*?^\.Sh (EXAMPLES|EXIT STATUS)", text, re.M | re.S)[0]
        if re.search(r"^\.(It|Op) (.* )?Fl -[a-z]|confinement-options 7", options, re.M):
            yield name


def test_the_version_is_the_changelogs():
    newest = re.search(r"^## \[([0-9.]+)\] - \d{4}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text(), re.M)[1]
    assert run(BIN / "apus", "--version").stdout.decode() == f"apus {newest}\n"
    names = sorted(long_options())
    assert len(names) >= 10
    for name in names:
        for command in ([BIN / name], [BIN / "apus", name]):
            result = run(*command, "--version")
            if name in ("catatonit", "dumb-init", "tini", "tini-static", "docker-init"):
                # Engines look for what the originals say, wherever they say it.
                assert re.search(rf"^(tini|dumb-init) .*\bapus {newest}\)?$", (result.stdout + result.stderr).decode())
                continue
            assert (result.returncode, result.stdout.decode()) == (0, f"{name} (apus) {newest}\n")


def test_a_program_without_long_options_has_no_version():
    # envdir takes it for a directory, as the original does.
    assert b"unable to" in run("envdir", "--version", "true").stderr


def test_list_and_help():
    names = run(BIN / "apus", "--list").stdout.decode().split()
    assert names == sorted(names) and len(set(names)) == len(names)
    shown = run(BIN / "apus", "--help")
    assert shown.returncode == 0
    for name in names:
        assert re.search(rf"^{re.escape(name)} +\S", shown.stdout.decode(), re.M)
    # Without arguments it shows the same, as a mistake.
    bare = run(BIN / "apus")
    assert (bare.returncode, bare.stdout) == (100, shown.stdout)


def test_a_program_that_there_is_not():
    result = run(BIN / "apus", "svstart", "x")
    assert (result.returncode, result.stdout) == (100, b"")
    assert result.stderr == b"apus: fatal: there is no program svstart in this binary; --list lists them\n"
    assert run(BIN / "apus", "--lists").stderr.startswith(b"apus: usage: ")
