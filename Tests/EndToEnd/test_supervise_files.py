"""What svc, svok, svstat, svls and supervisors do with a `supervise` that somebody else made, and with
names that would forge a line."""

import os
import signal
import subprocess
import time

import pytest

from apus import BIN, background, run, wait_for
from services import lay, supervisor, svc, wait_up

NOBODY = 65534
AS_NOBODY = ["setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="owners are root's to give")


def give(path):
    """Makes `path`, a link itself, nobody's."""
    os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


@pytest.fixture
def public(tmp_path):
    """A directory that every user can reach."""
    for path in [tmp_path, *tmp_path.parents]:
        if path.stat().st_uid == os.geteuid() and not path.stat().st_mode & 0o001:
            path.chmod(0o755)
    return tmp_path


def test_svc_gives_up_a_full_fifo(tmp_path):
    (tmp_path / "supervise").mkdir()
    os.mkfifo(tmp_path / "supervise/control")
    fifo = os.open(tmp_path / "supervise/control", os.O_RDWR | os.O_NONBLOCK)
    try:
        while True:
            os.write(fifo, b"u" * 4096)
    except BlockingIOError:
        pass
    start = time.monotonic()
    done = run("svc", "-u", tmp_path, timeout=20)
    assert (done.returncode, done.stderr) == (
        0, b"svc: warning: error writing commands to %s: timed out\n" % os.fsencode(tmp_path))
    assert 4 < time.monotonic() - start < 15
    os.close(fifo)


@root_only
def test_svc_writes_into_no_file_that_a_user_links_to(public):
    victim = public / "victim"
    victim.write_bytes(b"unharmed")
    path = public / "s"
    (path / "supervise").mkdir(parents=True)
    (path / "supervise/control").symlink_to(victim)
    for file in (path, path / "supervise", path / "supervise/control"):
        give(file)
    done = run("svc", "-dx", path)
    assert done.stderr == (
        b"svc: warning: unable to control %s: is a symbolic link\n" % os.fsencode(path))
    assert victim.read_bytes() == b"unharmed"


@root_only
def test_a_supervisor_overwrites_nothing_of_root(public):
    """`supervise` belongs to the user, who put links to a file of root's there."""
    victim = public / "victim"
    victim.write_bytes(b"unharmed")
    path = lay(public / "s")
    (path / "supervise").mkdir()
    for name in ("status", "status.new"):
        (path / "supervise" / name).symlink_to(victim)
        give(path / "supervise" / name)
    give(path / "supervise")
    with supervisor(BIN / "supervise", path):
        pid = wait_up(path)
        os.kill(pid, signal.SIGKILL)
        wait_up(path, other_than=pid)
        assert victim.read_bytes() == b"unharmed"
    for name in ("lock", "control", "ok"):
        (path / "supervise" / name).unlink()
        (path / "supervise" / name).symlink_to(victim)
        with background(BIN / "supervise", path, stderr=subprocess.PIPE) as process:
            assert process.wait(10) == 111
            assert b"/supervise/" + os.fsencode(name) in process.stderr.read()
            process.stderr.close()
        (path / "supervise" / name).unlink()
    assert victim.read_bytes() == b"unharmed"


@root_only
def test_a_supervisor_goes_through_no_link_of_a_user_to_a_place_of_root(public):
    path = lay(public / "s")
    (public / "place").mkdir()
    (path / "supervise").symlink_to("../place")
    give(path / "supervise")
    with background(BIN / "supervise", path, stderr=subprocess.PIPE) as process:
        assert process.wait(10) == 111
        assert process.stderr.read().endswith(b": link made by another user\n")
        process.stderr.close()
    assert list((public / "place").iterdir()) == []
    done = run("svc", "-u", path)
    assert done.stderr.endswith(b": link made by another user\n")


@root_only
@pytest.mark.parametrize("is_his_link", [False, True], ids=["root's link", "his own link"])
def test_a_link_to_a_place_made_for_it(public, is_his_link):
    path = lay(public / "s")
    place = public / "place"
    place.mkdir()
    (path / "supervise").symlink_to(place)
    if is_his_link:
        give(place)
        give(path / "supervise")
    with supervisor(BIN / "supervise", path):
        wait_up(path)
        assert (place / "status").stat().st_uid == 0


@root_only
def test_a_link_to_where_nothing_is(public):
    """Debian's services: supervise leads to a place in /run, which is empty after each boot."""
    path = lay(public / "s")
    (path / "supervise").symlink_to(public / "run/runit/supervise/s")
    with supervisor(BIN / "supervise", path):
        wait_up(path)
    assert [oct((public / place).stat().st_mode & 0o777) for place in (
        "run", "run/runit", "run/runit/supervise", "run/runit/supervise/s")] == ["0o755"] * 3 + ["0o700"]
    his = lay(public / "t")
    (his / "supervise").symlink_to(public / "his/deep/place")
    give(his / "supervise")
    with supervisor(BIN / "supervise", his) as process:
        assert process.wait(10) == 111
        assert process.stderr.read().endswith(b": link made by another user\n")
    assert not (public / "his").exists()


@root_only
def test_a_user_who_was_given_the_fifos_may_use_svc(public):
    path = lay(public / "s")
    with supervisor(BIN / "supervise", path):
        pid = wait_up(path)
        (path / "supervise").chmod(0o755)
        for name in ("control", "ok"):
            give(path / "supervise" / name)
        done = run(*AS_NOBODY, BIN / "svc", "-t", path)
        assert (done.returncode, done.stderr) == (0, b"")
        wait_up(path, other_than=pid)
        assert b": up (pid " in run(*AS_NOBODY, BIN / "svstat", path).stdout


NAME = "a\nforged: up (pid 1) 5 seconds\x1b[2J"
SHOWN = b"a\\nforged: up (pid 1) 5 seconds\\x1b[2J"


def test_a_name_forges_no_line(tmp_path):
    scan = tmp_path / "scan"
    path = lay(scan / NAME)
    broken = scan / (NAME + "broken")
    broken.mkdir()
    with background(BIN / "svscan", scan, stderr=subprocess.PIPE) as process:
        # The name has the words of a service that is up in it.
        wait_for(lambda: run("svstat", NAME, cwd=scan).stdout.startswith(SHOWN + b": up (pid "),
                 "the service")
        for command in (["svls", scan], ["svls", "-c", scan]):
            lines = run(*command).stdout.splitlines()
            assert any(line.startswith(SHOWN) for line in lines)
            assert not any(line.startswith(b"forged") for line in lines)
        assert run("svc", "-u", "nothing" + NAME, cwd=scan).stderr == (
            b"svc: warning: unable to chdir to nothing" + SHOWN + b": file does not exist\n")
        line = process.stderr.readline()
        assert line == b"svscan: warning: unable to start " + SHOWN + b"broken/run: file does not exist\n"
        svc("-dx", path)
        process.terminate()
        process.wait(20)
        process.stderr.close()
