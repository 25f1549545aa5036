"""The main command of init beside the services: when it is started, its variables, the last word."""

import signal

import pytest

from apus import BIN, background, environment, run, wait_for
from services import lay

INIT = BIN / "init"


@pytest.fixture
def scan(tmp_path):
    directory = tmp_path / "scan"
    directory.mkdir()
    return directory


def ready_service(scan, after=0.7):
    """A service that tells when it is ready, by a descriptor, some time after its start."""
    return lay(scan / "slow", f"sleep {after}; touch ready; echo >&3; exec sleep 1000",
               settings="ready notification-fd 3\n")


class TestWaiting:
    @pytest.mark.parametrize("words, variables", [
        (["-w", "yes"], {}), (["--wait"], {}), (["--wait=60"], {}), ([], {"INIT_WAIT": "yes"}),
        ([], {"INIT_WAIT": "60"}), (["--wait"], {"INIT_WAIT": "no"})])
    def test_the_command_finds_services_ready(self, scan, words, variables):
        service = ready_service(scan)
        result = run(INIT, "-s", scan, *words, "--", "sh", "-c", f"test -e {service}/ready",
                     env=environment(**variables))
        assert result.returncode == 0, result

    @pytest.mark.parametrize("words, variables", [
        ([], {}), (["-w", "no"], {"INIT_WAIT": "yes"}), (["-w", "0"], {}), ([], {"INIT_WAIT": ""})])
    def test_or_does_not_wait(self, scan, words, variables):
        service = ready_service(scan, after=20)
        result = run(INIT, "-s", scan, *words, "--", "sh", "-c", f"test ! -e {service}/ready",
                     env=environment(**variables))
        assert result.returncode == 0, result

    def test_it_waits_no_longer_than_it_is_to(self, scan):
        service = ready_service(scan, after=30)
        result = run(INIT, "-s", scan, "-w", "1", "--", "sh", "-c", f"test ! -e {service}/ready; echo started")
        assert (result.returncode, result.stdout) == (0, b"started\n")
        assert b"slow" in result.stderr and b"not ready" in result.stderr, result

    def test_what_has_failed_for_good_is_not_waited_for(self, scan):
        lay(scan / "bad", "exit 1", settings="restart never\n")
        assert run(INIT, "-s", scan, "--wait", "--", "true").returncode == 0

    def test_a_stop_before_it_was_started_is_a_stop(self, scan):
        ready_service(scan, after=60)
        with background(INIT, "-s", scan, "--wait", "--", "touch", scan / "ran") as process:
            wait_for((scan / "slow/supervise/ok").exists)
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 143
            assert not (scan / "ran").exists()


class TestExitStatus:
    def test_every_code_of_the_command_is_init_s(self):
        for code in range(256):
            assert run(INIT, "-s", "/nonexistent", "--", "sh", "-c", f"exit {code}").returncode == code

    @pytest.mark.parametrize("number", sorted(set(range(1, 65)) - {17, 18, 19, 20, 21, 22, 23, 28, 32, 33}))
    def test_every_signal_that_ends_the_command_is_told(self, number):
        # bash ignores QUIT, perl FPE.
        kill = "exec perl -e 'kill 3, $$; sleep 1'" if number == 3 else f"kill -{number} $$"
        result = run(INIT, "-s", "/nonexistent", "--", "bash", "-c", f"ulimit -c 0; {kill}")
        assert result.returncode == 128 + number

    def test_an_essential_service_s_is_the_container_s(self, scan):
        lay(scan / "web", "sleep 0.2; exit 37", settings="essential\nrestart never\n")
        lay(scan / "other")
        result = run(INIT, "-s", scan, "--", "sleep", "1000")
        assert result.returncode == 37
        assert b"init: warning: exiting with status 37: the essential service web has " in result.stderr

    def test_one_that_was_killed(self, scan):
        lay(scan / "web", "kill -9 $$", settings="essential\nrestart never\n")
        assert run(INIT, "-s", scan).returncode == 137


class TestVariables:
    def test_the_service_directory(self, scan):
        lay(scan / "a", f"touch {scan}/ran; exec sleep 1000")
        with background(INIT, env=environment(INIT_SERVICES=str(scan))):
            wait_for((scan / "ran").exists)

    def test_an_option_comes_first(self, scan):
        lay(scan / "a", f"touch {scan}/ran; exec sleep 1000")
        with background(INIT, "-s", scan, env=environment(INIT_SERVICES="/nonexistent")):
            wait_for((scan / "ran").exists)

    @pytest.mark.parametrize("name, value", [
        ("INIT_WAIT", "maybe"), ("INIT_REWRITE", "15"), ("INIT_VERBOSITY", "9"), ("INIT_STOP_TIMEOUT", "long")])
    def test_one_that_means_nothing_is_said(self, name, value):
        result = run(INIT, "-s", "/nonexistent", "--", "true", env=environment(**{name: value}))
        assert result.returncode == 0
        assert result.stderr.decode().startswith(f"init: warning: ignoring {name}={value}: it must be ")

    def test_verbosity(self, scan):
        def said(level, *command):
            return run(INIT, "-s", scan, "-v", level, "--", *command).stderr
        assert said(0, "sh", "-c", "exit 3") == b""
        assert said(1, "sh", "-c", "exit 3") == b""
        assert said(2, "sh", "-c", "exit 3") == b"init: info: exiting with status 3: the command sh has ended\n"
        assert said(2, "true") == b"init: info: exiting with status 0: the command true has ended\n"
        # What nobody asks a process for is worth a line, as when it has used too much memory.
        killed = b"init: warning: exiting with status 137: the command sh has ended\n"
        assert said(1, "sh", "-c", "kill -9 $$") == killed
        assert said(0, "sh", "-c", "kill -9 $$") == b""
        # What is fatal is said at any level.
        assert b"init: fatal: unable to run no-such-program" in said(0, "no-such-program")


class TestTerminationLog:
    """With a /dev of its own in which there is what Kubernetes lays out."""

    def run(self, tmp_path, *command, setup="touch dev/termination-log"):
        place = tmp_path / "dev"
        place.mkdir()
        script = f"""set -e
            cd {tmp_path}
            mount --make-rprivate /
            {setup}
            cp -a /dev/null /dev/tty dev
            mount --bind dev /dev
            exec "$@" """
        result = run("unshare", "--mount", "sh", "-c", script, "sh", *command)
        return result, place / "termination-log"

    def test_the_reason_of_a_failure_is_there(self, tmp_path, scan):
        lay(scan / "web", "exit 9", settings="essential\nrestart never\n")
        result, log = self.run(tmp_path, INIT, "-s", scan)
        assert result.returncode == 9
        assert log.read_text().startswith("init: exiting with status 9: the essential service web has ")

    def test_nothing_is_there_after_a_success(self, tmp_path):
        result, log = self.run(tmp_path, INIT, "-s", "/nonexistent", "--", "true")
        assert result.returncode == 0 and log.read_text() == ""

    def test_what_the_command_said_of_itself_stays(self, tmp_path):
        result, log = self.run(tmp_path, INIT, "-s", "/nonexistent", "--", "sh", "-c",
                               "echo mine > /dev/termination-log; exit 4")
        assert result.returncode == 4 and log.read_text() == "mine\n"

    @pytest.mark.parametrize("setup", [
        "touch victim; ln -s ../victim dev/termination-log", "mkfifo dev/termination-log", "mkdir dev/termination-log"])
    def test_nothing_but_a_file_is_written_to(self, tmp_path, setup):
        result, log = self.run(tmp_path, INIT, "-s", "/nonexistent", "--", "sh", "-c", "exit 4", setup=setup)
        assert result.returncode == 4
        assert b"unable to write /dev/termination-log" in result.stderr
        if (tmp_path / "victim").exists():
            assert (tmp_path / "victim").read_bytes() == b""

    def test_none_is_made(self, tmp_path):
        result, log = self.run(tmp_path, INIT, "-s", "/nonexistent", "--", "sh", "-c", "exit 4", setup="")
        assert result.returncode == 4 and not log.exists()
