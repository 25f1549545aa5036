"""Runs our program and Debian's with the same arguments, environment, files and input, and compares
output, messages, exit status and the files that result."""

import dataclasses
import os
import pathlib
import re
import stat
import subprocess
import tempfile

from apus import BIN, REFERENCE

# A deliberate difference: case name -> why. The case must differ, so that a stale entry is noticed.
DIFFERENCES = {}


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


def outcome(case, programs):
    """What `case` does with the programs of the directory `programs`."""
    with tempfile.TemporaryDirectory(prefix="differential-") as temporary:
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
        result = subprocess.run(
            command, input=case.input, capture_output=True, cwd=work, env=environment, timeout=60,
            executable=None if case.script else str(links / case.program))
        hide = [(re.escape(os.fsencode(temporary)), b"TEMPORARY"), *case.normalise]
        return {
            "status": result.returncode,
            "stdout": _normal(result.stdout, hide),
            "stderr": _normal(result.stderr, hide),
            "files": _collect(work, hide),
        }


def compare(case):
    """Fails when ours and Debian's differ, or when a listed difference is gone."""
    ours, theirs = outcome(case, BIN), outcome(case, REFERENCE)
    reason = DIFFERENCES.get(case.name)
    if reason is None:
        assert ours == theirs
    else:
        assert ours != theirs, f"no longer differs: {reason}"
