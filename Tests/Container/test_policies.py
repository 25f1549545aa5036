"""A container engine's own profile: our filter decides as that of the engine's containers does."""

import ctypes
import itertools
import pathlib
import platform

import pytest

import filters
from apus import run

PROFILE = pathlib.Path("/usr/share/containers/seccomp.json")
X86_64, I386, ARM64 = 0xc000003e, 0x40000003, 0xc00000b7
# The first and the third argument: what the profile looks at of personality, clone and socket.
ARGUMENTS = [(first, 0) for first in (0, 8, 9, 16, 0x20000, 0x20008, 0x10000000, 0x7e020000, 0xffffffff,
                                      1 << 40)] + [(16, 9), (16, 10), (2, 9)]
KILL_PROCESS, KILL_THREAD = 0x80000000, 0


def capabilities(container):
    """The names of the container's bounding set."""
    mask = int(container.process_status(1)["CapBnd"], 16)
    libcap = ctypes.CDLL("libcap.so.2")
    libcap.cap_to_name.restype = ctypes.c_char_p
    return ",".join(libcap.cap_to_name(number).decode().removeprefix("cap_")
                    for number in range(mask.bit_length()) if mask >> number & 1)


@pytest.mark.parametrize("added", [(), ("SYS_PTRACE",)], ids=["default", "with SYS_PTRACE"])
def test_podmans_profile_decides_as_under_podman(start, engine, tmp_path, added):
    if engine.name != "podman":
        pytest.skip("the filter of podman's containers is what this compares with")
    container = start(capabilities=added)
    # The oldest is the engine's.
    theirs = filters.filters(container.pid)[-1]
    result = run("seccomprules", "--caps", capabilities(container), tmp_path / "ours",
                 tmp_path / "new", PROFILE)
    assert (result.returncode, result.stderr) == (0, b"")
    ours = filters.parsed((tmp_path / "ours").read_bytes()[24:])
    native = {"x86_64": X86_64, "aarch64": ARM64}[platform.machine()]
    numbers = [*range(520), *range(0x40000000, 0x40000240), 0x3fffffff, 0xffffffff]
    differences = []
    for architecture, number, (first, third) in itertools.product(
            {native, X86_64, I386, ARM64}, numbers, ARGUMENTS):
        call = (number, architecture, (first, 0, third, 0, 0, 0))
        ours_says, theirs_says = filters.answer(ours, *call), filters.answer(theirs, *call)
        # Engines end the thread that makes another architecture's call, we the process.
        if ours_says != theirs_says and (ours_says, theirs_says) != (KILL_PROCESS, KILL_THREAD):
            differences.append((call, hex(ours_says), hex(theirs_says)))
    assert not differences, differences[:20]
