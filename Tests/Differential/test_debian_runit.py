"""invoke-run and finish-exec against Debian's, and utmpset against runit's, each with files of its own in the places
that they look at."""

import os
import pathlib
import re
import stat
import struct
import subprocess

import pytest

from apus import BIN, REFERENCE

RUNIT = pathlib.Path("/lib/runit")
RUN = """#!/usr/bin/env /lib/runit/invoke-run
set -e
echo "run $# $NAME"
env | grep -E '^(COLOUR|SIZE|SHAPE|PLAIN)=' | sort
exit 7
"""
SV = """#!/bin/sh
[ "$1" = d ] || [ "$1" = down ] || exit 9
echo "$1 ${2##*/}" | sed 's/down/d/' >> "$RECORD"
"""
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts")


def look(ours, tmp_path, program, words, files, service="web"):
    """The exit code, the lines that the run file prints, and what sv is asked."""
    place = tmp_path / ("ours" if ours else "theirs")
    for path, text in {"sv/run": RUN, "bin/sv": SV, **files}.items():
        path = place / path.replace("sv/", f"sv/{service}/", 1) if path.startswith("sv/") else place / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    script = "set -e;"
    mounts = {"default": "/etc/default", "init.d": "/etc/init.d", "meta": "/usr/share/runit/meta",
              "flags": "/etc/runit"}
    for name, target in mounts.items():
        (place / name).mkdir(parents=True, exist_ok=True)
        script += f"mkdir -p {target}; mount --bind {place / name} {target};"
    (place / "sbin").mkdir(exist_ok=True)
    if not (place / "sbin/policy-rc.d").exists():
        # A whiteout: this machine may have one.
        os.mknod(place / "sbin/policy-rc.d", stat.S_IFCHR, 0)
    script += f"mount -t overlay none -o lowerdir={place}/sbin:/usr/sbin /usr/sbin;"
    script += f'mkdir -p /etc/sv; mount --bind {place}/sv /etc/sv; cd /etc/sv/{service}; exec "$@"'
    program = BIN / program if ours else RUNIT / program
    result = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", program, *words], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env={"PATH": f"{place}/bin:{BIN if ours else REFERENCE}:/usr/sbin:/usr/bin:/sbin:/bin", "RECORD": f"{place}/record"})
    record = place / "record"
    lines = [line for line in result.stdout.splitlines() if not re.match("invoke-run: |action denied", line)]
    return result.returncode, lines, record.read_text() if record.exists() else ""


OLD = "#!/bin/sh\necho \"$@\" >> $RECORD\nexit {}\n"
CASES = {
    "nothing": {},
    "settings": {"default/web": "COLOUR=blue\nSIZE=\"$COLOUR$NONE 2\"\n"},
    "settings of all": {"default/runit": "COLOUR=red\nSHAPE=round\n", "default/web": "COLOUR=blue\n"},
    "environment": {"sv/env/COLOUR": "green\n", "default/web": "COLOUR=blue\nPLAIN=1\n"},
    "settings that fail": {"default/web": "COLOUR=blue\nfalse\n"},
    "installed": {"sv/.meta/installed": "", "meta/web/installed": ""},
    "removed": {"sv/.meta/installed": ""},
    "program": {"sv/.meta/bin": "/bin/sh\n"},
    "old script": {"init.d/web": OLD.format(0)},
    "old script that fails": {"init.d/web": OLD.format(3)},
    "not to be replaced": {"init.d/web": OLD.format(0), "sv/.meta/noreplace": ""},
    "not to be replaced by the package": {"init.d/web": OLD.format(0), "meta/web/noreplace": ""},
    "policy": {"sbin/policy-rc.d": OLD.format(0)},
    "policy of 104": {"sbin/policy-rc.d": OLD.format(104)},
    "denied": {"sbin/policy-rc.d": OLD.format(101)},
    "not to be replaced, and down": {"init.d/web": OLD.format(1), "sv/.meta/noreplace": ""},
}


@pytest.mark.parametrize("name", CASES)
def test_invoke_run(tmp_path, name):
    theirs, ours = (look(ours, tmp_path, "invoke-run", ["/etc/sv/web/run"], CASES[name]) for ours in (False, True))
    assert ours == theirs
    assert ours != (7, [], "")


def test_a_program_that_is_missing_is_not_started(tmp_path):
    files = {"sv/.meta/bin": "/nowhere/program\n"}
    assert look(True, tmp_path, "invoke-run", ["/etc/sv/web/run"], files) == (0, [], "d web\n")


@pytest.mark.parametrize("code", [-1, 0, 1, 100, 111, 161, 162, 170, 255])
@pytest.mark.parametrize("flags", [{}, {"flags/verbose": "", "flags/debug": ""}], ids=["", "verbose"])
def test_finish_exec(tmp_path, code, flags):
    theirs, ours = (look(ours, tmp_path, "finish-exec", [str(code), "0"], flags) for ours in (False, True))
    assert ours == theirs
    assert (ours[2] != "") == (code in (161, 162, 170))


def record(kind, line, user, host=b""):
    return struct.pack("<hxxi32s4s32s256shhiii4i20x", kind, 77, line, line[-1:], user, host, 3, 4, 5, 1000, 7, 1, 2, 3, 4)


TABLE = (record(2, b"~", b"reboot") + record(7, b"tty5", b"bob", b"far.example") + record(6, b"tty6", b"LOGIN")
         + record(8, b"tty7", b"") + record(7, b"tty55", b"ann") + record(7, b"pts/0", b"eve"))
TABLES = {"whole": TABLE, "empty": b"", "cut": TABLE[:1000], "garbage": bytes(range(256)) * 9, "none": None}


def without_time(data):
    return [data[at:at + 340] + data[at + 348:at + 384] for at in range(0, len(data), 384)]


@pytest.mark.parametrize("history", ["wtmp", "no wtmp"])
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("words", ["tty5", "-w tty5", "tty6", "-w tty7", "tty55", "pts/0", "nothing", "", "-w", "-x", "-x tty5",
                                   "tty5 tty6", "-ww tty5", "-w -- tty5", "~"])
def test_utmpset(tmp_path, words, table, history):
    found = []
    for program in pathlib.Path("/usr/sbin/utmpset"), BIN / "utmpset":
        place = tmp_path / str(len(found))
        place.mkdir()
        if TABLES[table] is not None:
            (place / "utmp").write_bytes(TABLES[table])
        if history == "wtmp":
            (place / "wtmp").write_bytes(b"")
        script = f'mount --bind {place} /run; mount --bind {place} /var/log; "$@"; echo $?; chmod -R a+r {place}'
        result = subprocess.run(["unshare", "--mount", "sh", "-c", script, "sh", program, *words.split()],
                                capture_output=True, text=True)
        found.append((result.stdout, result.stderr.replace("/var/run/", "/run/").replace("/usr/sbin/", ""),
                      {path.name: without_time(path.read_bytes()) for path in sorted(place.iterdir()) if path.is_file()}))
    assert found[1] == found[0]
