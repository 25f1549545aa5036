"""svls: the list of services, and how they are confined, under our supervision and Debian's."""

import os
import re

import pytest

from apus import BIN, REFERENCE, background, run, wait_for
from services import lay, supervisor, svc, svstat, wait_up

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
        for words in (["-x"], ["a", "b"], ["--confine"]):
            result = run("svls", *words)
            assert result.returncode in (100, 111) and result.stderr.startswith(b"svls: ")
        assert run("svls", "a", "b").stderr == b"svls: usage: svls [ -c ] [ directory ]\n"
