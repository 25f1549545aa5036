"""svls: the list of services, and how they are confined, under our supervision and Debian's."""

import json
import os
import re
import time

import pytest

from apus import BIN, REFERENCE, background, environment, run, wait_for
from services import lay, supervisor, svc, svstat, wait_up
from statuses import REASONS, STATES, Supervised

MAY_CONFINE = os.geteuid() == 0
CONFINED = ("exec setcaps --user nobody --caps net_bind_service --no-new-privs --limit nofile=100:200 "
            "--seccomp ~@mount sleep 1000")


def svls(*words):
    result = run("svls", *words)
    assert (result.returncode, result.stderr) == (0, b""), result
    return result.stdout.decode()


def rows(scan):
    lines = [line.split() for line in svls(scan).splitlines()]
    assert lines[0] == ["service", "state", "pid", "seconds"]
    return {line[0]: line[1:] for line in lines[1:]}


def blocks(scan):
    """name -> (its first line without the name, label -> value) of svls -c."""
    found = {}
    for line in svls("-c", scan).splitlines():
        if line.startswith("    "):
            found[name][1][line[4:18].strip()] = line[18:]
        else:
            name, rest = line.split(": ", 1)
            found[name] = (rest, {})
    return found


@pytest.fixture(params=[BIN, REFERENCE], ids=["ours", "Debian's"])
def scan(request, tmp_path):
    """A scan directory under svscan with a plain service, one with a logger, one that is down, and one
    that is confined."""
    path = tmp_path / "scan"
    lay(path / "plain")
    lay(path / "logged", log="exec cat")
    lay(path / "down", down=True)
    if MAY_CONFINE:
        lay(path / "confined", CONFINED)
    (path / ".hidden").mkdir()
    (path / "file").write_text("no directory")
    with supervisor(request.param / "svscan", path):
        for name in ("plain", "logged", "logged/log"):
            wait_up(path / name)
        wait_for(lambda: svstat(path / "down").startswith("down "), "the one that is down")
        if MAY_CONFINE:
            wait_for(lambda: blocks(path)["confined"][0].endswith(f"(sleep, pid {wait_up(path / 'confined')})"),
                     "the end of the chain")
        yield path


class TestList:
    def test_services_with_state_and_process(self, scan):
        wait_for(lambda: int(rows(scan)["plain"][2]) >= 1, "a second of life")
        found = rows(scan)
        assert list(found) == sorted(found, key=os.fsencode)
        assert set(found) == {"plain", "logged", "logged/log", "down"} | ({"confined"} if MAY_CONFINE else set())
        assert found["down"][:2] == ["down", "-"]
        for name in ("plain", "logged", "logged/log"):
            assert found[name][0] == "up"
            assert int(found[name][1]) == wait_up(scan / name)
            assert int(found[name][2]) <= int(re.search(r"(\d+) seconds", svstat(scan / name))[1])

    def test_columns_are_aligned(self, scan):
        lines = svls(scan).splitlines()
        assert len({len(line) for line in lines}) == 1
        starts = {re.match(r"\S+ +", line).end() for line in lines}
        assert len(starts) == 1

    def test_paused(self, scan):
        svc("-p", scan / "plain")
        wait_for(lambda: rows(scan)["plain"][0] == "paused", "the pause")
        svc("-c", scan / "plain")
        wait_for(lambda: rows(scan)["plain"][0] == "up", "the end of the pause")


class TestConfinement:
    def test_what_is_not_confined(self, scan):
        found = blocks(scan)
        pid = wait_up(scan / "plain")
        status = dict(line.split(":\t", 1) for line in open(f"/proc/{pid}/status").read().splitlines()
                      if ":\t" in line)
        first, facts = found["plain"]
        assert re.fullmatch(rf"(exposed|weak), \d+ of 100 \(sleep, pid {pid}\)", first)
        assert list(facts) == ["points", "user", "group", "groups", "permitted", "effective", "inheritable",
                               "ambient", "bounding", "no_new_privs", "seccomp", "limits", "namespaces"]
        points = [int(word) for word in re.findall(r" (\d+)(?:,|$)", facts["points"])]
        assert sum(points) == int(first.split()[1])
        assert facts["no_new_privs"] == ("yes" if status["NoNewPrivs"] == "1" else "no")
        assert facts["seccomp"] == "none"
        assert facts["limits"] == facts["namespaces"] == "the same"
        assert found["down"] == ("down", {})

    @pytest.mark.skipif(not MAY_CONFINE, reason="may not confine")
    def test_what_is(self, scan):
        first, facts = blocks(scan)["confined"]
        assert first.startswith("tight, 10 of 100 ")
        assert facts["points"] == "other capabilities 10"
        assert (facts["user"], facts["group"], facts["groups"]) == ("nobody", "nogroup", "nogroup")
        for name in ("permitted", "effective", "inheritable", "ambient"):
            assert facts[name] == "net_bind_service"
        assert (facts["no_new_privs"], facts["seccomp"]) == ("yes", "filter, 1")
        assert facts["limits"] == "nofile=100:200"

    @pytest.mark.skipif(not MAY_CONFINE, reason="may not confine")
    def test_lists_can_be_given_back_to_the_options(self, scan):
        bounding = blocks(scan)["confined"][1]["bounding"]
        result = run("setcaps", "--bounding", bounding, "grep", "CapBnd", "/proc/self/status")
        assert result.stdout == run("grep", "CapBnd", "/proc/self/status").stdout


    @pytest.mark.skipif(not MAY_CONFINE, reason="may not confine")
    def test_a_program_with_processes_of_its_own(self, tmp_path):
        """It is the program that is of interest, and not what waits for it outside."""
        lay(tmp_path / "alone", "exec setcaps --own pid,ipc --user nobody --no-new-privs sleep 1000")
        with supervisor("svscan", tmp_path):
            pid = wait_up(tmp_path / "alone")
            first, facts = wait_for(lambda: (found := blocks(tmp_path)["alone"])[0].count("(sleep, ") and found, "the program")
            assert f"pid {pid})" not in first and facts["user"] == "nobody" and facts["no_new_privs"] == "yes"
            assert facts["namespaces"] == "ipc, mnt, pid, pid_for_children"


class TestOthers:
    @pytest.mark.skipif(not MAY_CONFINE, reason="may not make namespaces")
    def test_namespaces_and_ids_that_differ(self, tmp_path):
        lay(tmp_path / "apart", "exec unshare --uts --ipc setpriv --ruid 4321 --euid 0 --keep-groups sleep 1000")
        with supervisor(BIN / "svscan", tmp_path):
            wait_for(lambda: blocks(tmp_path).get("apart", ("",))[0].find("(sleep, ") > 0, "the program")
            facts = blocks(tmp_path)["apart"][1]
            assert facts["namespaces"] == "ipc, uts"
            assert facts["user"] == "4321, root, root, root"

    @pytest.mark.skipif(not MAY_CONFINE, reason="may not become another")
    def test_namespaces_that_may_not_be_seen(self, tmp_path):
        tmp_path.chmod(0o755)
        lay(tmp_path / "plain")
        for parent in tmp_path.parents:
            if str(parent) != "/" and parent.stat().st_uid == os.getuid():
                parent.chmod(parent.stat().st_mode | 0o011)
        with supervisor(BIN / "svscan", tmp_path):
            wait_up(tmp_path / "plain")
            result = run("setuidgid", "nobody", "svls", "-c", tmp_path)
            # supervise/ok is for root alone, as ever.
            assert (result.returncode, result.stdout) == (0, b"plain: access denied\n")

    def test_not_supervised(self, tmp_path):
        lay(tmp_path / "idle")
        assert rows(tmp_path) == {"idle": ["unsupervised", "-", "-"]}
        assert blocks(tmp_path) == {"idle": ("unsupervised", {})}

    def test_a_process_that_is_gone(self, tmp_path):
        """What the status says was true when it was written."""
        with background("sleep", "1000") as process:
            pid = process.pid
        service = lay(tmp_path / "s")
        (service / "supervise").mkdir()
        os.mkfifo(service / "supervise/ok")
        (service / "supervise/status").write_bytes(
            bytes.fromhex("4000000060000000 00000000") + pid.to_bytes(4, "little") + b"\0u")
        reader = os.open(service / "supervise/ok", os.O_RDONLY | os.O_NONBLOCK)
        try:
            result = run("svls", "--confinement", tmp_path)
        finally:
            os.close(reader)
        assert result.returncode == 111
        assert result.stdout == f"s: unable to read /proc/{pid}: file does not exist\n".encode()

    def test_a_status_that_is_none(self, tmp_path):
        service = lay(tmp_path / "s")
        (service / "supervise").mkdir()
        os.mkfifo(service / "supervise/ok")
        (service / "supervise/status").write_bytes(b"short")
        reader = os.open(service / "supervise/ok", os.O_RDONLY | os.O_NONBLOCK)
        try:
            assert svls(tmp_path).splitlines()[1].split() == ["s", "bad", "status", "-", "-"]
        finally:
            os.close(reader)

    def test_mistakes(self, tmp_path):
        result = run("svls", tmp_path / "missing")
        assert (result.returncode, result.stdout) == (111, b"")
        assert result.stderr.decode() == (
            f"svls: fatal: unable to read directory {tmp_path}/missing: file does not exist\n")
        for words in (["-x"], ["--json", "-c"], ["--check=soon"], ["--unknown"]):
            result = run("svls", *words, tmp_path)
            assert (result.returncode, result.stdout) == (100, b"") and result.stderr.startswith(b"svls: ")
        assert run("svls", "--check=soon").stderr == (
            b"svls: usage: svls [ -c | --json | --check[=seconds] ] [ directory | service ... ]\n")


@pytest.fixture
def service(tmp_path):
    with Supervised(tmp_path / "scan/web") as found:
        yield found


def names(scan, *words):
    """svls with names in a scan directory: its exit code, and the rows below the headings."""
    result = run("svls", *words, env=environment(SVDIR=str(scan)), cwd="/")
    assert result.stderr == b""
    return result.returncode, [line.split() for line in result.stdout.decode().splitlines()[1:]]


class TestNames:
    @pytest.mark.parametrize("state, code", [
        ("down", 3), ("blocked", 3), ("waiting", 3), ("starting", 3), ("up", 0), ("stopping", 3),
        ("finishing", 3), ("done", 0), ("failed", 1)])
    def test_the_exit_status_tells_the_state(self, service, state, code):
        service.set(state, pid=4711 if state in ("starting", "up", "stopping") else 0)
        found, lines = names(service.path.parent, "web")
        assert (found, lines[0][:2]) == (code, ["web", state])
        assert names(service.path.parent, service.path)[0] == code

    def test_another_supervisor_tells_less(self, service):
        service.set(pid=4711)
        assert names(service.path.parent, "web")[0] == 0
        service.set(pid=4711, paused=True)
        assert (code := names(service.path.parent, "web"))[0] == 3 and code[1][0][1] == "paused"
        service.set()
        assert names(service.path.parent, "web")[0] == 3

    def test_the_worst_counts(self, service, tmp_path):
        scan = service.path.parent
        lay(scan / "idle")
        with Supervised(scan / "db") as other, Supervised(scan / "bad") as bad:
            service.set("up", pid=4711)
            other.set("starting", pid=4712)
            bad.set("failed")
            assert names(scan, "web", "db")[0] == 3
            code, lines = names(scan, "db", "bad", "web")
            assert code == 1 and [line[0] for line in lines] == ["db", "bad", "web"]
            assert names(scan, "bad", "idle", "web")[0] == 4
            assert names(scan, "web", "missing")[0] == 4
            # Of a scan directory that is no matter.
            assert names(scan)[0] == 0
            assert names(scan, scan)[0] == 0

    def test_one_word_is_a_scan_directory_or_a_service(self, service, tmp_path):
        service.set("up", pid=4711)
        scan = service.path.parent
        assert names(tmp_path / "nowhere", scan)[1][0][0] == "web"
        result = run("svls", "web", cwd=scan)
        assert (result.returncode, result.stdout.split()[4]) == (0, b"web")
        assert names(scan, "nothing") == (4, [["nothing", "unsupervised", "-", "-"]])
        result = run("svls", "./nothing", cwd=scan)
        assert (result.returncode, result.stderr) == (
            111, b"svls: fatal: unable to read directory ./nothing: file does not exist\n")


class TestCheck:
    def check(self, scan, *words):
        result = run("svls", *words, env=environment(SVDIR=str(scan)), cwd="/")
        assert result.stdout == b""
        return result.returncode, result.stderr.decode()

    def test_ready_or_not(self, service):
        scan = service.path.parent
        service.set("up", pid=4711)
        assert self.check(scan, "--check", "web") == (0, "")
        for state in STATES:
            service.set(state, pid=4711)
            if state not in ("up", "done"):
                assert self.check(scan, "--check", "web") == (1, f"svls: web: {state}\n")
        service.set("failed", reason="outOfMemory")
        assert self.check(scan, "--check", "web") == (1, "svls: web: failed, out of memory\n")
        service.set(pid=4711)
        assert self.check(scan, "--check", "web") == (0, "")

    def test_for_some_time(self, service):
        scan = service.path.parent
        now = time.time()
        service.set("up", pid=4711, since=now - 100, ready_since=now - 30)
        assert self.check(scan, "--check=29", "web") == (0, "")
        assert self.check(scan, "--check=28s", "web") == (0, "")
        assert self.check(scan, "--check=1m", "web") == (1, "svls: web: ready for less than 60 seconds\n")
        service.set(pid=4711, since=now - 100)
        assert self.check(scan, "--check=1m", "web") == (0, "")
        # A clock that was set back.
        service.set("up", pid=4711, since=now + 1000)
        assert self.check(scan, "--check", "web") == (0, "")
        assert self.check(scan, "--check=1", "web")[0] == 1

    def test_all_that_are_wanted_up(self, service):
        scan = service.path.parent
        with Supervised(scan / "db") as other:
            service.set("up", pid=4711)
            other.set("down", want="d")
            assert self.check(scan, "--check") == (0, "")
            other.set("waiting", want="u")
            assert self.check(scan, "--check") == (1, "svls: db: waiting\n")
            other.end()
            assert self.check(scan, "--check") == (1, "svls: db: unsupervised\n")
        assert self.check(scan, "--check", "missing") == (1, "svls: missing: unsupervised\n")

    def test_with_a_real_supervisor(self, tmp_path):
        lay(tmp_path / "web")
        with supervisor(BIN / "svscan", tmp_path):
            wait_up(tmp_path / "web")
            assert self.check(tmp_path, "--check", "web") == (0, "")
            svc("-d", tmp_path / "web")
            wait_for(lambda: self.check(tmp_path, "--check", "web") == (1, "svls: web: down, asked\n"), "the end")


class TestJSON:
    KEYS = ["name", "state", "pid", "since", "want", "ready", "readySince", "lastExit", "starts", "reason", "text",
            "error"]

    def read(self, *words):
        result = run("svls", "--json", *words)
        assert result.stderr == b""
        found = json.loads(result.stdout.decode())
        assert all(list(one) == self.KEYS for one in found)
        return found

    def test_all_that_is_known(self, service):
        service.set("up", pid=4711, since=1_800_000_000.25, ready_since=1_800_000_001.5, end=3 << 8, starts=7,
                    text='3 clients, "busy"\\\n'.encode() + b"\xff")
        assert self.read(service.path) == [{
            "name": str(service.path), "state": "up", "pid": 4711, "since": "2027-01-15T08:00:00.250000000Z",
            "want": "up", "ready": True, "readySince": "2027-01-15T08:00:01.500000000Z",
            "lastExit": {"code": 3, "signal": None}, "starts": 7, "reason": None,
            "text": '3 clients, "busy"\\\\n\\xff', "error": None}]
        service.set("failed", since=951_782_400, want="d", end=9, reason="tooManyRestarts")
        assert self.read(service.path) == [{
            "name": str(service.path), "state": "failed", "pid": None, "since": "2000-02-29T00:00:00.000000000Z",
            "want": "down", "ready": False, "readySince": None, "lastExit": {"code": None, "signal": 9},
            "starts": 1, "reason": "too many restarts", "text": None, "error": None}]

    def test_what_another_supervisor_tells(self, service):
        service.set(pid=4711, since=0, want="")
        assert self.read(service.path) == [{
            "name": str(service.path), "state": "up", "pid": 4711, "since": "1970-01-01T00:00:00.000000000Z",
            "want": "once", "ready": True, "readySince": "1970-01-01T00:00:00.000000000Z", "lastExit": None,
            "starts": None, "reason": None, "text": None, "error": None}]

    def test_every_state_and_reason(self, service):
        for state in STATES:
            service.set(state, pid=1 if state == "up" else 0)
            assert self.read(service.path)[0]["state"] == state
        for reason in REASONS:
            service.set("failed", reason=reason)
            word = self.read(service.path)[0]["reason"]
            assert (word is None) == (reason == "none")

    def test_a_scan_directory(self, service):
        scan = service.path.parent
        service.set("up", pid=4711)
        lay(scan / "idle")
        (scan / "x\ny").mkdir()
        (scan / "x\ny/supervise").touch()
        found = self.read(scan)
        assert [(one["name"], one["state"], one["error"]) for one in found] == [
            ("idle", "unsupervised", None), ("web", "up", None), ("x\\ny", "unknown", "not a directory")]
        assert self.read(scan / "idle")[0]["since"] is None

    def test_nothing(self, tmp_path):
        assert self.read(tmp_path) == []
