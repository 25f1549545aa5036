"""Runs our program and Debian's with the same arguments, environment, files and input, and compares
output, messages, exit status and the files that result."""

import contextlib
import ctypes
import dataclasses
import os
import pathlib
import re
import signal
import stat
import subprocess
import tempfile

from apus import BIN, REFERENCE
from differences import DIFFERENCES

_libc = ctypes.CDLL(None)
_PR_SET_CHILD_SUBREAPER = 36


@dataclasses.dataclass
class Case:
    """One behaviour. `arguments` may be str or bytes. `files` maps a path to its content (bytes), to
    None for a directory, or to a (content, mode) pair. `script` runs instead of the program, as sh,
    with the program on PATH; use it for sequences. `normalise` is a list of (regex, replacement) for
    what may differ: stamps, process ids."""

    name: str
    program: str
    arguments: list = dataclasses.field(default_factory=list)
    input: bytes = b""
    environment: dict = dataclasses.field(default_factory=dict)
    files: dict = dataclasses.field(default_factory=dict)
    script: str = ""
    normalise: list = dataclasses.field(default_factory=list)


TAI64N = (rb"@[0-9a-f]{24}", b"@TAI64N")


def _lay(directory, files):
    for name, content in files.items():
        path = pathlib.Path(os.fsdecode(os.path.join(os.fsencode(directory), os.fsencode(name))))
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = None
        if isinstance(content, tuple):
            content, mode = content
        if content is None:
            path.mkdir(exist_ok=True)
        else:
            path.write_bytes(content)
        if mode is not None:
            path.chmod(mode)


def _collect(directory, normalise):
    """Every file under `directory`: name -> (type and permissions, content)."""
    found = []
    for base, directories, names in os.walk(os.fsencode(directory)):
        for name in directories + names:
            path = os.path.join(base, name)
            status = os.lstat(path)
            content = b""
            if stat.S_ISREG(status.st_mode):
                with open(path, "rb") as file:
                    content = file.read()
            relative = os.path.relpath(path, os.fsencode(directory))
            found.append((_normal(relative, normalise), stat.filemode(status.st_mode),
                          _normal(content, normalise)))
    return sorted(found)


def _normal(text, normalise):
    for pattern, replacement in normalise:
        text = re.sub(pattern, replacement, text)
    return text


def _children():
    """The children of this process."""
    found = set()
    for task in pathlib.Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.update(map(int, (task / "children").read_text().split()))
    return found


@contextlib.contextmanager
def ending_all():
    """Ends, after the block, every process that was started in it, in whatever session it is: orphans
    are adopted by this process, so that it finds them."""
    before = _children()
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        # Killed parents leave their children to us.
        while left := _children() - before:
            for pid in left:
                os.kill(pid, signal.SIGKILL)
            for pid in left:
                os.waitpid(pid, 0)
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def outcome(case, programs, limit=60):
    """What `case` does with the programs of the directory `programs`, within `limit` seconds."""
    with ending_all(), tempfile.TemporaryDirectory(prefix="differential-") as temporary:
        links = pathlib.Path(temporary, "bin")
        links.mkdir()
        # Argument zero and PATH are the same for both, so that messages are comparable.
        for name in sorted(os.listdir(BIN)):
            target = pathlib.Path(programs, name)
            if target.exists():
                (links / name).symlink_to(target)
        work = pathlib.Path(temporary, "work")
        work.mkdir()
        _lay(work, case.files)
        environment = {"PATH": f"{links}:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC",
                       **case.environment}
        command = (["/bin/sh", "-c", case.script] if case.script
                   else [case.program, *case.arguments])
        with subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                cwd=work, env=environment,
                executable=None if case.script else str(links / case.program)) as process:
            try:
                output, errors = process.communicate(case.input, limit)
            except subprocess.TimeoutExpired:
                process.kill()
                raise AssertionError(
                    f"{case.name}: not over after {limit} s with {programs}") from None
        hide = [(re.escape(os.fsencode(temporary)), b"TEMPORARY"), *case.normalise]
        return {
            "status": process.returncode,
            "stdout": _normal(output, hide),
            "stderr": _normal(errors, hide),
            "files": _collect(work, hide),
        }


def compare(case):
    """Fails when ours and Debian's differ, or when a listed difference is gone."""
    ours, theirs = outcome(case, BIN), outcome(case, REFERENCE)
    reason = DIFFERENCES.get(case.program, {}).get(case.name)
    if reason is None:
        assert ours == theirs
    else:
        assert ours != theirs, f"no longer differs: {reason}"
