"""init as any user on any root: where state goes that cannot be in the service directory, and that all tools find it
there; what else an engine may take away."""

import contextlib
import os
import pathlib
import re
import signal
import subprocess

import pytest

from apus import BIN, environment, run, wait_for
from services import children, lay

USER = ["setpriv", "--reuid=1234", "--regid=0", "--clear-groups"]
STRANGER = ["setpriv", "--reuid=4321", "--regid=4321", "--clear-groups"]


class Root:
    """A mount and pid namespace with /mnt as the service directory, and a /run and /tmp of its own. `first` is its
    process 1, as seen from here."""

    def __init__(self, first):
        self.first = first

    def run(self, *command, user=(), **variables):
        """Runs a command in it; text in, text out."""
        inside = ["nsenter", f"--target={self.first}", "--mount", "--pid", "--wd=/", *user, *map(str, command)]
        return subprocess.run(inside, capture_output=True, text=True, timeout=60, env=environment(**variables))

    def tool(self, name, *words, **options):
        return self.run(BIN / name, *words, **options)

    def wait_up(self, name, **options):
        def found():
            match = re.match(r"\S+: up \(pid (\d+)\)", self.tool("svstat", f"/mnt/{name}", **options).stdout)
            return match and int(match[1])
        return wait_for(found, f"{name} up")

    def path(self, name):
        return pathlib.Path(f"/proc/{self.first}/root", name.lstrip("/"))

    def messages(self):
        return self.path("/said/stderr").read_text().splitlines()

    @property
    def state(self):
        """The name that stands for the service directory of `web`."""
        found = self.path("/mnt/web").stat()
        return f"{found.st_dev}-{found.st_ino}"


@contextlib.contextmanager
def root(scan, *command, setup="", read_only=False, user=(), run_mode="755", variables=(), redirection=""):
    """`command`, or init on /mnt, as process 1. `setup` is shell that root runs before it."""
    said = scan.parent / "said"
    said.mkdir(exist_ok=True)
    os.chmod(scan.parent, 0o755)
    words = [str(word) for word in command or (BIN / "init", "-s", "/mnt", "-t", "4")]
    script = f"""set -e
        mount --make-rprivate /
        mount --bind {scan} /mnt
        {"mount -o remount,bind,ro /mnt" if read_only else ""}
        mkdir -p /said; mount --bind {said} /said
        mount -t tmpfs -o mode={run_mode} run /run
        mount -t tmpfs -o mode=1777 tmp /tmp
        mount -t tmpfs -o mode=1777 shm /dev/shm
        {setup}
        cd /
        exec env {" ".join(variables)} {" ".join(user)} "$@" {redirection or "2> /said/stderr"}"""
    process = subprocess.Popen(
        ["unshare", "--pid", "--mount", "--fork", "--mount-proc", "--kill-child", "--", "sh", "-c", script, "sh",
         *words],
        env=environment(), stdin=subprocess.DEVNULL)
    first = None
    try:
        def ready():
            assert process.poll() is None, (said / "stderr").read_text()
            for pid in children(process.pid):
                with contextlib.suppress(OSError):
                    if os.readlink(f"/proc/{pid}/exe").endswith("/apus"):
                        return pid
        first = wait_for(ready, "process 1")
        found = Root(first)
        found.process = process
        yield found
    finally:
        # A change of the user has made it forget to end with its parent.
        if process.poll() is None and first:
            os.kill(first, signal.SIGKILL)
        process.kill()
        process.wait()


def stop(found, number=signal.SIGTERM):
    os.kill(found.first, number)
    return found.process.wait(15)


@pytest.fixture
def scan(tmp_path):
    """A service directory of root's with a service and its logger."""
    directory = tmp_path / "scan"
    directory.mkdir()
    lay(directory / "web", "exec sleep 1000", log="exec cat > /dev/null")
    return directory


def check_tools(found, **options):
    """Every tool finds the service, wherever its state is, and its commands reach it."""
    pid = found.wait_up("web", **options)
    assert found.wait_up("web/log", **options)
    assert found.tool("svok", "/mnt/web", **options).returncode == 0
    assert re.search(r"(?m)^web +up ", found.tool("svls", "/mnt", **options).stdout)
    assert found.tool("svls", "--check", "/mnt/web", **options).returncode == 0
    assert found.tool("svwait", "up", "/mnt/web", **options).returncode == 0
    assert f"run: /mnt/web: (pid {pid})" in found.tool("sv", "status", "/mnt/web", **options).stdout
    assert found.tool("svc", "--wait", "-d", "/mnt/web", **options).returncode == 0
    assert "/mnt/web: down" in found.tool("svstat", "/mnt/web", **options).stdout
    assert found.tool("sv", "up", "/mnt/web", **options).returncode == 0
    assert found.wait_up("web", **options) != pid
    checked = found.tool("svcheck", "/mnt", **options)
    assert "supervise" not in checked.stdout, checked
    assert found.tool("svscanctl", "-h", "/mnt", **options).returncode == 0
    # The stop reaches whoever is in there.
    assert found.tool("svscanctl", "-t", "/mnt", **options).returncode in (0, -signal.SIGTERM)
    assert found.process.wait(15) == 0


class TestWhereStateGoes:
    def test_a_read_only_directory_s_is_in_run(self, scan):
        with root(scan, read_only=True) as found:
            found.wait_up("web")
            place = found.path(f"/run/apus/{found.state}/supervise")
            assert place.stat().st_mode & 0o777 == 0o700
            assert sorted(os.listdir(place)) == ["control", "lock", "ok", "status"]
            assert not (scan / "web/supervise").exists()
            # As any shell finds it.
            name = found.run("sh", "-c", "stat -Lc %d-%i /mnt/web").stdout.strip()
            assert name == found.state
            assert found.messages() == []
            check_tools(found)

    def test_a_stranger_is_told_that_it_is_not_for_everybody(self, scan):
        with root(scan, read_only=True) as found:
            found.wait_up("web")
            for words, code in [("svstat /mnt/web", 0), ("svok /mnt/web", 111), ("svc -d /mnt/web", 0)]:
                result = found.run(BIN / words.split()[0], *words.split()[1:], user=STRANGER)
                assert (result.returncode, "denied" in result.stdout + result.stderr) == (code, True), result
            found.wait_up("web")

    def test_a_foreign_directory_s_is_in_tmp(self, scan):
        with root(scan, user=USER) as found:
            found.wait_up("web", user=USER)
            base = found.path("/tmp/apus-1234").stat()
            assert (base.st_uid, base.st_mode & 0o777) == (1234, 0o755)
            # root, whom an engine lets in, finds what the user of process 1 made.
            found.wait_up("web")
            assert found.messages() == []
            check_tools(found, user=USER)

    def test_a_foreign_directory_s_is_in_run_where_all_may_write_there(self, scan):
        with root(scan, user=USER, run_mode="1777") as found:
            found.wait_up("web", user=USER)
            assert found.path(f"/run/apus/{found.state}/supervise/ok").is_fifo()
            check_tools(found)

    def test_the_directory_of_the_session_comes_before_tmp(self, scan):
        variables = ["XDG_RUNTIME_DIR=/run/session"]
        setup = "mkdir -m 700 /run/session; chown 1234 /run/session"
        with root(scan, user=USER, setup=setup, variables=variables) as found:
            found.wait_up("web", user=USER, XDG_RUNTIME_DIR="/run/session")
            assert found.path(f"/run/session/apus/{found.state}/supervise/ok").is_fifo()
            check_tools(found, user=USER, XDG_RUNTIME_DIR="/run/session")

    def test_the_last_place_is_that_for_shared_memory(self, scan):
        """Which engines leave when they make all else read-only."""
        setup = "mount -o remount,ro /run; mount -o remount,ro /tmp"
        with root(scan, user=USER, setup=setup) as found:
            found.wait_up("web", user=USER)
            assert found.path(f"/dev/shm/apus-1234/{found.state}/supervise/ok").is_fifo()
            found.wait_up("web")
            assert found.messages() == []
            check_tools(found, user=USER)

    def test_the_place_may_be_chosen(self, scan):
        variables = ["SVSTATE=/run/mine"]
        with root(scan, read_only=True, variables=variables) as found:
            found.wait_up("web", SVSTATE="/run/mine")
            assert not found.path("/run/apus").exists()
            assert found.path(f"/run/mine/{found.state}/supervise/ok").is_fifo()
            check_tools(found, SVSTATE="/run/mine")

    def test_what_root_left_in_the_directory_is_no_obstacle(self, scan):
        """As in an image in whose build the services ran."""
        place = scan / "web/supervise"
        place.mkdir(mode=0o700)
        (place / "lock").touch(0o600)
        os.mkfifo(place / "ok", 0o600)
        with root(scan, user=USER) as found:
            found.wait_up("web", user=USER)
            check_tools(found, user=USER)

    def test_a_directory_that_can_hold_it_holds_it(self, scan):
        with root(scan) as found:
            found.wait_up("web")
            assert (scan / "web/supervise/ok").is_fifo()
            assert not found.path("/run/apus").exists() and not list(found.path("/tmp").iterdir())

    def test_there_is_one_supervisor(self, scan):
        with root(scan, read_only=True) as found:
            found.wait_up("web")
            second = found.tool("supervise", "/mnt/web")
            assert second.returncode == 111
            assert second.stderr.startswith("supervise: fatal: unable to acquire /mnt/web/supervise/lock: ")

    def test_with_no_place_at_all_services_run_and_it_is_said_once(self, scan):
        lay(scan / "other", "exec sleep 1000")
        setup = "mount -o remount,ro /run; mount -o remount,ro /tmp; mount -o remount,ro /dev/shm"
        with root(scan, read_only=True, setup=setup) as found:
            wait_for(lambda: len(children(found.first)) == 3, "all services")
            said = found.messages()
            assert len(said) == 1 and re.fullmatch(
                r"init: warning: running \S+ and others without supervise/control and supervise/status: unable to "
                r"write to its directory, /run/apus, /tmp/apus-0, /dev/shm/apus-0", said[0]), said
            assert found.tool("svok", "/mnt/web").returncode == 100
            assert stop(found) == 0


class TestWhoIsBelieved:
    """What another user could have made is neither used nor read."""

    @pytest.mark.parametrize("trap", [
        "mkdir -m 777 /tmp/apus-1234",
        "mkdir -m 755 /tmp/apus-1234",
        "mkdir /tmp/theirs; ln -s theirs /tmp/apus-1234",
        "ln -s /mnt /tmp/apus-1234",
        "ln -s nowhere /tmp/apus-1234",
        "touch /tmp/apus-1234",
        "mkfifo /tmp/apus-1234",
    ])
    @pytest.mark.parametrize("place", ["/tmp", "/dev/shm"])
    def test_a_supervisor_uses_nothing_of_a_stranger_s(self, scan, trap, place):
        setup = " ".join([*STRANGER, "sh", "-c", f"'{trap.replace('/tmp', place)}'"])
        other = {"/tmp": "/dev/shm", "/dev/shm": "/tmp"}[place]
        with root(scan, user=USER, setup=f"{setup}; mount -o remount,ro {other}") as found:
            wait_for(lambda: len(children(found.first)) == 2, "service and logger")
            assert len(found.messages()) == 1
            assert not list(found.path(place).glob("apus-1234/[0-9]*"))
            assert not found.path(f"{place}/nowhere").exists()
            assert stop(found) == 0

    def test_its_own_that_others_may_write_to_is_not_used(self, scan):
        setup = "mkdir -m 777 /tmp/apus-1234; chown 1234 /tmp/apus-1234; mount -o remount,ro /dev/shm"
        with root(scan, user=USER, setup=setup) as found:
            wait_for(lambda: len(children(found.first)) == 2, "service and logger")
            assert len(found.messages()) == 1
            assert not list(found.path("/tmp/apus-1234").iterdir())

    def test_a_stranger_s_word_does_not_count(self, scan):
        """Somebody lays out a state that says the service is up, and reads what would be commands to it."""
        with root(scan) as found:
            pid = found.wait_up("web")
            state = f"/tmp/apus-4321/{found.state}/supervise"
            found.run("sh", "-c", f"mkdir -p {state}; cp -a /mnt/web/supervise/. {state}; chown -R 4321 /tmp/apus-4321")
            assert found.tool("svc", "--wait", "-dx", "/mnt/web/log", "/mnt/web").returncode in (0, 1, 111)
            wait_for(lambda: not found.path(f"/proc/{pid}").exists(), "the end of the service")
            # Read by nobody: the FIFO there still has no reader, and is not looked at.
            told = found.tool("svstat", "/mnt/web").stdout
            assert "up (pid" not in told or f"pid {pid})" not in told


LEAST = ["setpriv", "--reuid=1234", "--regid=1234", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all",
         "--no-new-privs"]


class TestWhatAnEngineTakesAway:
    def test_all_capabilities_and_new_privileges(self, scan):
        with root(scan, user=LEAST, read_only=True) as found:
            found.wait_up("web", user=LEAST)
            status = found.path(f"/proc/{found.first}/status")
            assert "NoNewPrivs:\t1" in pathlib.Path(f"/proc/{found.first}/status").read_text(), status
            check_tools(found, user=LEAST)

    def test_the_right_to_execute_in_run_and_tmp(self, scan):
        setup = "mount -o remount,noexec /run; mount -o remount,noexec /tmp"
        with root(scan, read_only=True, setup=setup) as found:
            check_tools(found)

    @pytest.mark.parametrize("error", ["ENOSYS", "EPERM"])
    @pytest.mark.parametrize("call", [
        "close_range", "execveat", "fstatfs", "getpgid", "getrandom", "inotify_init1", "memfd_create", "prctl",
        "prlimit64", "unshare"])
    def test_a_system_call(self, scan, call, error):
        """As an old kernel, an old engine or a strict filter does."""
        (scan.parent / "said").mkdir()
        (scan.parent / "said/policy").write_text(f"@denylist\n{call}: return {error}\n")
        with root(scan, BIN / "seccomp", "/said/policy", BIN / "init", "-s", "/mnt", "-t", "4") as found:
            pid = found.wait_up("web")
            os.kill(found.first, signal.SIGSEGV)
            assert found.wait_up("web") == pid
            assert all(re.match("init: warning: (went on|recovered|unable to (watch|prepare))", line)
                       for line in found.messages()), found.messages()
            check_tools(found)

    def test_proc(self, scan):
        with root(scan, read_only=True, setup="umount /proc") as found:
            # nsenter wants one of its own.
            prefix = ["nsenter", f"--target={found.first}", "--mount", "--pid", "--wd=/"]
            wait_for(lambda: run(*prefix, BIN / "svok", "/mnt/web").returncode == 0, "supervision")
            assert b"up (pid" in wait_for(
                lambda: (told := run(*prefix, BIN / "svstat", "/mnt/web").stdout) and b"up" in told and told, "web up")
            assert stop(found) == 0

    @pytest.mark.parametrize("redirection", [
        "0<&- 1>&- 2>&-", "0<&- 2> /said/stderr", "1>&- 2> /said/stderr", "2>&-",
        "0< /dev/full 1> /dev/full 2> /dev/full"])
    def test_standard_descriptors(self, scan, redirection):
        with root(scan, redirection=redirection) as found:
            found.wait_up("web")
            # A service never gets a descriptor of the supervisor's own in the place of one that was closed.
            service = found.tool("svstat", "/mnt/web").stdout
            assert "up (pid" in service
            assert stop(found) == 0

    def test_somebody_who_reads_its_output(self, scan):
        """Service and init write to a pipe that is full; init goes on."""
        lay(scan / "loud", "while echo 0123456789; do :; done >&2")
        setup = "mkfifo /run/full; exec 7<> /run/full"
        with root(scan, setup=setup, redirection="7>&- 1> /run/full 2>&1 3< /run/full") as found:
            found.wait_up("loud")
            found.wait_up("web")
            assert found.tool("svc", "--wait", "-d", "/mnt/web").returncode == 0
            assert stop(found) in (0, 137)

    def test_room_for_processes(self, scan):
        """Where there is not even room for the services, init goes on, and starts them when there is."""
        user = ["setpriv", "--reuid=2345", "--regid=2345", "--clear-groups", "--no-new-privs"]
        with root(scan, user=[*user, "prlimit", "--nproc=1:100"], read_only=True) as found:
            wait_for(lambda: any("unable to fork" in line for line in found.messages()), "a refusal")
            assert found.run("prlimit", "--pid=1", "--nproc=100:100", user=user).returncode == 0
            found.wait_up("web", user=user)
            assert stop(found) == 0
