"""What a program says that cannot become another: the true reason, also where the kernel's error number
is about another file than the one that was named."""

import os
import shutil
import subprocess

import pytest

from apus import BIN, run

MISSING = "file does not exist"


@pytest.fixture
def script(tmp_path):
    def write(text):
        path = tmp_path / "run"
        path.write_bytes(text)
        path.chmod(0o755)
        return path
    return write


def said(*chain):
    result = run(*chain)
    assert (result.returncode, result.stdout) == (111, b"")
    return result.stderr.decode()


@pytest.mark.parametrize("text, reason", [
    (b"#!/bin/sh\r\necho ran\r\n", f"its first line ends in CR LF: {MISSING}"),
    (b"#!/nonexistent/python3\n", f"its interpreter /nonexistent/python3: {MISSING}"),
    (b"#! /nonexistent/env sh\n", f"its interpreter /nonexistent/env: {MISSING}"),
    (b"#!/etc/passwd\n", "its interpreter /etc/passwd: access denied"),
    (b"#!/nonexistent/\x1b]0;x\n", f"its interpreter /nonexistent/?]0;x: {MISSING}"),
])
def test_scripts(script, text, reason):
    path = script(text)
    assert said("setcaps", path) == f"setcaps: fatal: unable to run {path}: {reason}\n"
    # The last program of a chain is who says it.
    assert said("softlimit", "-c", "0", "envdir", path.parent, path) == (
        f"envdir: fatal: unable to run {path}: {reason}\n")


def test_a_program_whose_loader_is_not_there(tmp_path):
    path = tmp_path / "program"
    binary = shutil.copy("/usr/bin/env", path)
    loader = subprocess.run(["readelf", "-p", ".interp", "/usr/bin/env"], capture_output=True,
                            text=True, check=True).stdout.split()[-1].encode()
    changed = path.read_bytes().replace(loader + b"\0", loader[:-1] + b"X\0")
    (tmp_path / "program").write_bytes(changed)
    os.chmod(binary, 0o755)
    name = (loader[:-1] + b"X").decode()
    assert said("setcaps", path) == f"setcaps: fatal: unable to run {path}: its loader {name}: {MISSING}\n"


def test_in_the_search_path(script):
    path = script(b"#!/bin/sh\r\n")
    result = run("setcaps", "run", env={"PATH": f"{BIN}:/nonexistent:{path.parent}:/usr/bin"})
    assert result.stderr.decode() == (
        f"setcaps: fatal: unable to run run: its first line ends in CR LF: {MISSING}\n")


def test_what_is_missing_itself_is_said_to_be(tmp_path):
    assert said("setcaps", tmp_path / "none") == (
        f"setcaps: fatal: unable to run {tmp_path}/none: {MISSING}\n")


def test_a_file_that_is_not_readable_keeps_its_reason(script):
    path = script(b"#!/nonexistent/sh\n")
    path.chmod(0o711)
    for parent in path.parents:
        if parent.stat().st_uid == os.getuid() and parent != parent.parent:
            parent.chmod(parent.stat().st_mode | 0o011)
    assert said("setuidgid", "nobody", path) == f"setuidgid: fatal: unable to run {path}: {MISSING}\n"


def test_file_capabilities_that_nobody_may_hold(tmp_path):
    path = tmp_path / "program"
    shutil.copy("/bin/true", path)
    # cap_net_raw=ep, as setcap(8) writes it.
    try:
        os.setxattr(path, "security.capability", bytes.fromhex("01000002" "00200000" + "00000000" * 3))
    except OSError as error:
        pytest.skip(f"the file system has no capabilities: {error}")
    assert run("setcaps", "--bounding", "net_raw,kill", path).returncode == 0
    assert said("setcaps", "--bounding", "kill", path) == (
        f"setcaps: fatal: unable to run {path}: its file capabilities are outside the bounding set: "
        "permission denied\n")
    # Neither is a reason for the other: what may be executed and cannot for want of a permission.
    assert said("seccomp", "~execve:EPERM", "/bin/true") == (
        "seccomp: fatal: unable to run /bin/true: permission denied\n")
