"""The Landlock rules of the manual and the documents run dynamic programs; rules restrict their own kind."""

import re
import socket
import sys

import pytest

from apus import ROOT, landlock_version, run

EXAMPLES = [ROOT / "man/confinement-options.7", ROOT / "docs/confinement.md"]
pytestmark = pytest.mark.skipif(landlock_version() < 5, reason="the kernel's Landlock restricts less")


def rules(path, pages):
    """The web server's rules for files, with a directory of ours for its pages."""
    found = re.findall(r"--landlock abi=2,(exec=/usr,\S+)", path.read_text())
    assert len(found) == 1
    return found[0].replace("/srv/www", str(pages))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
@pytest.mark.parametrize("version", ["", "abi=2,"])
def test_examples_run_a_dynamic_program(tmp_path, example, version):
    (tmp_path / "page").write_text("hello")
    # Both are dynamic, and are in every Debian.
    program = ["/usr/sbin/chroot", "--version"]
    result = run("setcaps", "--landlock", version + rules(example, tmp_path), *program)
    assert result.returncode == 0 and b"chroot" in result.stdout, result
    result = run("setcaps", "--landlock", version + rules(example, tmp_path), "cat",
                 tmp_path / "page", "/etc/passwd", "/proc/version")
    assert result.stdout.startswith(b"hello") and b"/proc/version" in result.stderr, result


def test_rules_for_ports_restrict_no_files(tmp_path):
    listener = socket.create_server(("127.0.0.1", 0))
    script = """import socket, sys
open(sys.argv[1], "w").write("written")
try:
    socket.create_connection(("127.0.0.1", int(sys.argv[2])))
except PermissionError:
    print("denied")
"""
    with listener:
        port = listener.getsockname()[1]
        for rule, expected in (("connect=none", b"denied\n"), (f"connect={port}", b""),
                               ("bind=none", b"")):
            result = run("setcaps", "--landlock", rule, sys.executable, "-c", script,
                         tmp_path / "file", str(port))
            assert (result.returncode, result.stdout) == (0, expected), result
            assert (tmp_path / "file").read_text() == "written"


def test_a_version_alone_is_a_mistake():
    result = run("setcaps", "--landlock", "abi=1", "true")
    assert result.returncode == 100
    assert b"Landlock has no rule for files, ports or scopes" in result.stderr
