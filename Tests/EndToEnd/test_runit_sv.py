"""sv with services that Apus supervises: what an administrator of runit types, and what he sees."""

import os
import re

import pytest

from apus import BIN, environment, run, wait_for
from services import is_gone, lay, lines, pid_of, supervised, supervisor, svc, wait_down, wait_run, wait_up


def sv(*words, scan, **extra):
    """The exit code and the line of sv, with process ids and seconds as N."""
    result = run("sv", *words, env=environment(SVDIR=scan, **extra))
    assert result.stderr == b"", result
    return result.returncode, re.sub(r"\b\d+(s?)\b", r"N\1", result.stdout.decode())


@pytest.fixture
def service(scan):
    """A service with a logger, up under svscan."""
    path = lay(scan / "web", log="exec cat >/dev/null")
    with supervisor("svscan", scan):
        wait_run(path)
        wait_run(path / "log")
        yield path


def test_status_names_the_service_and_its_logger(service, scan):
    expected = (0, "run: web: (pid N) Ns; run: log: (pid N) Ns\n")
    assert sv("status", "web", scan=scan) == expected
    assert sv("s", "web", scan=scan) == expected


def test_a_path_needs_no_directory(service):
    result = run("sv", "status", service, env=environment(SVDIR="/nowhere"))
    assert result.stdout.startswith(b"run: " + os.fsencode(service))


def test_stop_and_start_wait(service, scan):
    pid = pid_of(service)
    assert sv("stop", "web", scan=scan) == (0, "ok: down: web: Ns, normally up\n")
    assert is_gone(pid)
    assert sv("start", "web", scan=scan) == (0, "ok: run: web: (pid N) Ns\n")
    assert pid_of(service) not in (None, pid)


def test_up_and_down_do_not_wait(service, scan):
    assert sv("down", "web", scan=scan) == (0, "")
    wait_down(service)
    assert sv("up", "web", scan=scan) == (0, "")
    wait_up(service)


def test_restart(service, scan):
    pid = pid_of(service)
    assert sv("restart", "web", scan=scan) == (0, "ok: run: web: (pid N) Ns\n")
    assert pid_of(service) not in (None, pid)


def test_once_is_not_started_again(service, scan):
    sv("stop", "web", scan=scan)
    assert sv("-v", "once", "web", scan=scan) == (0, "ok: run: web: (pid N) Ns\n")
    pid = pid_of(service)
    assert sv("term", "web", scan=scan) == (0, "")
    wait_for(lambda: is_gone(pid), "the end of the service")
    wait_down(service)


def test_pause_and_cont(service, scan):
    assert sv("-v", "pause", "web", scan=scan) == (0, "ok: run: web: (pid N) Ns, paused\n")
    assert sv("-v", "cont", "web", scan=scan) == (0, "ok: run: web: (pid N) Ns\n")


def test_the_logger_is_a_service_too(service, scan):
    pid = pid_of(service / "log")
    assert sv("-v", "term", "web/log", scan=scan)[0] == 0
    wait_up(service / "log", other_than=pid)


def test_exit_stops_the_service_too(tmp_path):
    path = lay(tmp_path / "web")
    with supervisor("supervise", path) as process:
        wait_run(path)
        assert sv("shutdown", "web", scan=tmp_path) == (0, "ok: web: runsv not running\n")
        assert process.wait(10) == 0
        assert sv("status", "web", scan=tmp_path) == (1, "fail: web: runsv not running\n")


def test_force_stop_kills_what_does_not_stop(scan):
    path = lay(scan / "deaf", "trap '' TERM; echo >ready; while :; do sleep 0.05; done")
    with supervisor("svscan", scan):
        wait_for((path / "ready").exists, "the service")
        code, text = sv("-w", "1", "force-stop", "deaf", scan=scan)
        # It may have ended by the time when sv looks.
        assert code == 1 and text.startswith(("kill: run: deaf: (pid N) Ns, want down", "kill: down: deaf: Ns")), text
        wait_down(path)


def test_check_decides_when_a_service_is_up(service, scan):
    (service / "check").write_text("#!/bin/sh\ntest -e available || { echo asked >>log.check; exit 1; }\n")
    (service / "check").chmod(0o755)
    assert sv("-w", "0", "start", "web", scan=scan)[1].startswith("timeout: run: web")
    assert lines(service / "log.check")
    (service / "available").touch()
    assert sv("check", "web", scan=scan) == (0, "ok: run: web: (pid N) Ns\n")


def test_an_init_script_is_a_link_to_sv(service, scan, tmp_path):
    script = tmp_path / "web"
    script.symlink_to(BIN / "sv")
    words = environment(SVDIR=scan)
    assert run(script, "status", env=words).returncode == 0
    assert run(script, "stop", env=words).returncode == 0
    wait_down(service)
    assert run(script, "status", env=words).returncode == 3
    assert run(script, "start", env=words).returncode == 0
    assert run(script, "zap", env=words).returncode == 2
    other = tmp_path / "none"
    other.symlink_to(script)
    assert run(other, "start", env=words).returncode == 1


def test_status_of_daemontools_supervise(tmp_path):
    """Its status file has nothing of runit's."""
    path = lay(tmp_path / "web")
    with supervisor("/usr/bin/supervise", path):
        wait_for(lambda: supervised(path) and pid_of(path), "the service")
        assert sv("status", "web", scan=tmp_path) == (0, "run: web: (pid N) Ns\n")
        assert sv("stop", "web", scan=tmp_path) == (0, "ok: down: web: Ns, normally up\n")
        assert sv("shutdown", "web", scan=tmp_path) == (0, "ok: web: runsv not running\n")


def test_svc_and_svstat_see_what_sv_does(service, scan):
    sv("stop", "web", scan=scan)
    svc("-u", service)
    wait_up(service)
    assert sv("start", "web", scan=scan)[0] == 0
