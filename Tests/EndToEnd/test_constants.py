"""The constants and system calls that policies name, compared with this machine's kernel headers."""

import pathlib
import platform
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Newer headers do not have them any more.
REMOVED = {"FS_ENCRYPTION_MODE_SPECK128_256_XTS", "FS_ENCRYPTION_MODE_SPECK128_256_CTS"}


def table():
    """What is in the table for this machine's architecture."""
    text = (ROOT / "Sources/Linux/Security/KernelConstants.swift").read_text()
    common, *others = re.split(r"^#(?:if|elseif) ", text, flags=re.M)
    machine = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
    own = [part for part in others if part.startswith(f"arch({machine})")]
    assert len(own) == 1, "the architecture has no constants of its own"
    words = re.findall(r"\b(\w+)=(-?\d+)\b", common + own[0])
    assert len(words) == len(dict(words)), "a name is there twice"
    return {name: int(value) % 2**64 for name, value in words}


def test_agree_with_the_headers():
    result = subprocess.run([sys.executable, ROOT / "Scripts/make-constants"], capture_output=True,
                            text=True, check=True)
    headers = dict(line.split("=") for line in result.stdout.splitlines())
    assert len(headers) > 3000
    known = table()
    assert {name for name in headers if name not in known} <= REMOVED
    assert {} == {name: (value, known[name]) for name, value in headers.items()
                  if name in known and int(value) != known[name]}
