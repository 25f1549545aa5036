"""svscanctl: commands for whoever supervises a scan directory."""

import os

import pytest

from apus import environment, run


@pytest.fixture
def scan(tmp_path):
    (tmp_path / ".svscan").mkdir()
    os.mkfifo(tmp_path / ".svscan/control")
    return tmp_path


@pytest.fixture
def control(scan):
    descriptor = os.open(scan / ".svscan/control", os.O_RDWR | os.O_NONBLOCK)
    yield descriptor
    os.close(descriptor)


@pytest.mark.parametrize("words, sent", [(["-h"], b"h"), (["-t"], b"t"), (["-th"], b"th"), (["-hth"], b"ht")])
def test_letters(scan, control, words, sent):
    for options in ({"cwd": "/"}, {"cwd": scan, "relative": True}, {"environment": True}):
        operand = [] if "environment" in options else ["." if "relative" in options else scan]
        variables = {"SVDIR": str(scan)} if "environment" in options else {}
        result = run("svscanctl", *words, *operand, env=environment(**variables), cwd=options.get("cwd"))
        assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")
        assert os.read(control, 100) == sent


def test_no_letters(scan, control):
    assert run("svscanctl", scan).returncode == 0
    with pytest.raises(BlockingIOError):
        os.read(control, 100)


def test_nobody_supervises(scan, tmp_path):
    message = "svscanctl: fatal: unable to control {}: svscan not running\n"
    for path in (scan, tmp_path / "other"):
        path.mkdir(exist_ok=True)
        result = run("svscanctl", "-h", path)
        assert (result.returncode, result.stderr.decode()) == (111, message.format(path))


def test_mistakes(scan, tmp_path):
    result = run("svscanctl", "-h", tmp_path / "missing")
    assert (result.returncode, result.stderr.decode()) == (
        111, f"svscanctl: fatal: unable to control {tmp_path}/missing: file does not exist\n")
    (scan / ".svscan/control").unlink()
    (scan / ".svscan/control").write_text("")
    result = run("svscanctl", "-h", scan)
    assert (result.returncode, result.stderr.decode()) == (
        111, f"svscanctl: fatal: unable to control {scan}: not a FIFO\n")
    assert (scan / ".svscan/control").read_text() == ""
    for words in (["-x"], ["a", "b"]):
        assert run("svscanctl", *words).returncode == 100
