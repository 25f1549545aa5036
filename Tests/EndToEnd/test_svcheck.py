"""svcheck: what is wrong in service directories, each kind of mistake with its place."""

import os
import pathlib
import random
import re
import socket
import subprocess
import time

import pytest

from apus import BIN, ROOT, run

IS_ROOT = os.geteuid() == 0
WORDS = """type needs wants after before contents ready ready-timeout restart success listen environment
    notify command never always 10s 5 in run db cache "a b" # \\ " \x1b[31m \xff \0 \r""".split(" ")


def write(path, text="", mode=0o644):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)


@pytest.fixture
def scan(tmp_path):
    """A scan directory in which nothing is wrong."""
    path = tmp_path / "service"
    path.mkdir(mode=0o755)
    return path


def lay(path, settings=None, script="#!/bin/sh\nexec sleep 1000\n", **files):
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o755)
    if script is not None:
        write(path / "run", script, 0o755)
    if settings is not None:
        write(path / "settings", settings)
    for name, text in files.items():
        write(path / name.replace("_", "-"), text)
    return path


def svcheck(*paths, cwd=None):
    """The lines of svcheck; it says nothing else, and its exit code agrees."""
    result = run("svcheck", *paths, cwd=cwd)
    assert result.stderr == b"", result
    lines = result.stdout.decode().splitlines()
    assert result.returncode == (1 if lines else 0), result
    return lines


def found(path):
    """What it finds in a scan directory, without the directory's name."""
    lines = svcheck(path)
    assert all(line.startswith(f"{path}/") for line in lines), lines
    return [line[len(f"{path}/"):] for line in lines]


class TestWhatIsWhole:
    def test_nothing_is_said(self, scan):
        lay(scan / "db", "ready unix /run/db.sock\nready-timeout 1m\n")
        lay(scan / "web", "needs db\nwants cache # if it can be\n")
        lay(scan / "cache", type="longrun\n", notification_fd="3\n")
        lay(scan / "all", "type bundle\ncontents web db\n", script=None)
        lay(scan / "web/log", script="#!/bin/sh\nexec multilog t ./main\n")
        write(scan / "README", "no service")
        (scan / ".svscan").mkdir()
        assert found(scan) == []

    def test_an_empty_scan_directory(self, scan):
        assert found(scan) == []

    def test_every_example_of_ours(self):
        for place in (ROOT / "examples", ROOT / "rootfs-skel/etc/service", ROOT / "rootfs-skel/service"):
            for script in place.glob("*/run"):
                assert [line for line in svcheck(script.parent) if "settings" in line] == []

    def test_the_programs_that_are_asked_for(self, scan):
        for name in ("finish", "start", "stop", "notify"):
            lay(scan / "web")
            write(scan / "web" / name, "#!/bin/sh\n", 0o755)
        write(scan / "web/control/t", "#!/bin/sh\n", 0o755)
        assert found(scan) == []


# What is in the directory `web`, and what is said of it.
MISTAKES = {
    "unknown setting": (dict(settings="# web\nneed db\n"),
                        ['web/settings:2: unknown setting "need", did you mean "needs"?']),
    "unknown service": (dict(settings="\nneeds other nobody\n"), ["web/settings:2: unknown service nobody"]),
    "wanted, not there": (dict(settings="wants nobody"), ["web/settings:1: unknown service nobody"]),
    "after somebody who is not there": (dict(settings="after nobody\nbefore nobody"), []),
    "unknown after its end": (dict(settings="on-failure run nobody\n"), ["web/settings:1: unknown service nobody"]),
    "needs itself": (dict(settings="needs other\nneeds web"), ["web/settings:2: web needs itself"]),
    "bad time": (dict(settings="stop-timeout 10"),
                 ['web/settings:1: "10" is no time: a number up to a year and ms, s, m or h, like 500ms or 10s']),
    "said twice": (dict(settings="restart always\n\nrestart never\n"),
                   ['web/settings:3: "restart" is set in line 1 already']),
    "CR LF": (dict(settings="needs other\r\n"), ["web/settings:1: the line ends in CR LF"]),
    "NUL": (dict(settings="needs ot\0her"), ["web/settings:1: there is a NUL byte in the line"]),
    "escapes": (dict(settings="\x1b[31mx"), [r'web/settings:1: unknown setting "\x1b[31mx"']),
    "a bundle that restarts": (dict(settings="type bundle\ncontents other\nrestart never", script=None),
                               ['web/settings:3: "restart" says nothing of a bundle']),
    "no such environment": (dict(settings="\nenvironment env"),
                            ["web/settings:2: unable to open env: file does not exist"]),
    "too long": (dict(settings="#" * 65537), ["web/settings: longer than 65536 bytes"]),
    "s6 number": (dict(timeout_finish="5s\n"), ['web/timeout-finish:1: "5s" is no number from 0 to 4294967295']),
    "s6 signal": (dict(down_signal="SIGTREM\n"), ['web/down-signal:1: "SIGTREM" is no signal']),
    "s6-rc type": (dict(type="service\n"), ['web/type:1: "service" is not one of longrun, oneshot, bundle']),
    "s6-rc without type": (dict(dependencies="other\n"),
                           ["web/dependencies: no effect without a file type, as in s6-rc"]),
    "s6-rc dependency": (dict(type="longrun\n", dependencies="# none\nnobody\n"),
                         ["web/dependencies:2: unknown service nobody"]),
    "s6-rc dependency, as a file": ({"type": "longrun\n", "dependencies.d/nobody": ""},
                                    ["web/dependencies.d/nobody: unknown service nobody"]),
    "s6-rc content": ({"type": "bundle\n", "contents": "nobody\n", "script": None},
                      ["web/contents:1: unknown service nobody"]),
    "s6-rc pipeline": (dict(type="longrun\n", producer_for="other\n"),
                       ["web/producer-for:1: no effect: other is no consumer for it"]),
    "s6-rc pipeline without a reader": (dict(type="longrun\n", producer_for="nobody\n"),
                                        ["web/producer-for:1: unknown service nobody"]),
    "s6-rc pipeline without a writer": (dict(type="longrun\n", consumer_for="# both\nother\nnobody\n"),
                                        ["web/consumer-for:2: no effect: other is no producer for it",
                                         "web/consumer-for:3: unknown service nobody"]),
    "one-shot that is no program": (dict(settings="type oneshot\n", up="/etc/setup\n", script=None),
                                    ["web/up: not executable"]),
    "undoing that is no program": (dict(settings="type oneshot\n", down="rm -f x\n"),
                                   ["web/down: not executable, so that nothing is undone"]),
    "no run": (dict(script=None, settings=""), ["web/run: file does not exist"]),
    "no interpreter": (dict(script="#!/bin/nosuch -x\n"), ["web/run: its interpreter /bin/nosuch: file does not exist"]),
    "interpreter that is none": (dict(script="#!/etc/passwd\n"), ["web/run: its interpreter /etc/passwd: access denied"]),
    "run in CR LF": (dict(script="#!/bin/sh\r\n"), ["web/run: its first line ends in CR LF: file does not exist"]),
    "no #! line": (dict(script="exec sleep 1000\n"), ["web/run: neither a program nor a script with a #! line"]),
    "empty": (dict(script=""), ["web/run: neither a program nor a script with a #! line"]),
    "finish": (dict(finish="#!/bin/sh\n"), ["web/finish: not executable"]),
    "log is a file": (dict(log="x"), ["web/log: not a directory"]),
    "log without run": ({"log/config": "x"}, ["web/log/run: file does not exist"]),
    "mistake in log": ({"log/settings": "restrat never", "log/run": "#!/bin/sh\n"},
                       ['web/log/settings:1: unknown setting "restrat", did you mean "restart"?',
                        "web/log/run: not executable"]),
    "control": ({"control/t": "#!/bin/sh\n", "control/README": ""}, ["web/control/t: not executable"]),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_each_kind_of_mistake(scan, name):
    files, lines = MISTAKES[name]
    lay(scan / "other")
    lay(scan / "web", **files)
    assert found(scan) == lines
    # The same of the service alone, whose neighbours are looked for.
    assert svcheck(scan / "web") == [f"{scan}/{line}" for line in lines]
    assert svcheck(f"{scan}/web/") == [f"{scan}/{line}" for line in lines]
    assert svcheck("web", cwd=scan) == lines
    assert svcheck(".", cwd=scan / "web") == [f"./{line[4:]}" for line in lines]


class TestFiles:
    def test_command_lines_of_s6_rc(self, scan):
        lay(scan / "web", type="oneshot\n", up="/etc/setup\n", down="rm -f x\n", script=None)
        assert found(scan) == []

    def test_run_that_is_not_executable(self, scan):
        (lay(scan / "web") / "run").chmod(0o644)
        assert found(scan) == ["web/run: not executable"]

    def test_a_program_without_its_loader(self, scan):
        program = pathlib.Path("/bin/true").read_bytes()
        loader = re.search(rb"/lib\d*/ld-linux[\w-]*\.so\.\d", program)[0]
        missing = loader[:-1] + b"9"
        lay(scan / "web", script=program.replace(loader, missing))
        lay(scan / "whole", script=program)
        assert found(scan) == [f"web/run: its loader {missing.decode()}: file does not exist"]

    def test_run_that_is_no_file(self, scan):
        lay(scan / "web", script=None)
        os.mkfifo(scan / "web/run", 0o755)
        lay(scan / "mail", script=None)
        (scan / "mail/run").mkdir()
        assert found(scan) == ["mail/run: file does not exist", "web/run: not a regular file"]

    def test_nothing_is_waited_for(self, scan):
        """FIFOs, sockets, devices and endless files where settings are to be."""
        names = ["settings", "type", "notification-fd", "timeout-kill"]
        lay(scan / "web")
        os.mkfifo(scan / "web/settings")
        (scan / "web/type").symlink_to("/dev/zero")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(scan / "web/notification-fd"))
        (scan / "web/timeout-kill").symlink_to("/dev/tty")
        lines = found(scan)
        assert len(lines) == len(names), lines
        for name in names:
            assert any(line.startswith(f"web/{name}: ") for line in lines), lines

    def test_links_that_lead_nowhere_and_in_circles(self, scan):
        (scan / "gone").symlink_to("nowhere")
        (scan / "self").symlink_to("self")
        lay(scan / "web")
        (scan / "web/log").symlink_to("log")
        assert found(scan) == ["gone: file does not exist", "self: symbolic link loop",
                               "web/log: symbolic link loop"]

    def test_one_service_under_two_names(self, scan, tmp_path):
        lay(tmp_path / "sv/web")
        for name in ("a", "b"):
            (scan / name).symlink_to(tmp_path / "sv/web")
        assert found(scan) == ["b: the same directory as a"]

    def test_a_newline_in_a_name(self, scan):
        lay(scan / "a\nb")
        assert found(scan) == [r"a\nb: a newline is in the name, so that no setting can name it"]

    def test_supervise(self, scan, tmp_path):
        for name in ("made", "later", "gone", "file", "shared", "too"):
            lay(scan / name)
        (scan / "made/supervise").mkdir()
        (scan / "later/supervise").symlink_to(tmp_path / "made-at-boot")
        (scan / "gone/supervise").symlink_to(tmp_path / "no/such")
        write(scan / "file/supervise")
        (tmp_path / "state").mkdir()
        for name in ("shared", "too"):
            (scan / name / "supervise").symlink_to(tmp_path / "state")
        assert found(scan) == [
            "file/supervise: not a directory",
            f"gone/supervise: leads to {tmp_path}/no/such, whose directory does not exist",
            f"too/supervise: the same directory as that of {scan}/shared"]

    @pytest.mark.skipif(not IS_ROOT, reason="needs other users")
    def test_links_of_other_users(self, scan, tmp_path):
        lay(scan / "web")
        for name, target in (("supervise", "/run"), ("settings", "/etc/shadow")):
            (scan / "web" / name).symlink_to(target)
            os.chown(scan / "web" / name, 4711, 4711, follow_symlinks=False)
        assert found(scan) == ["web/settings: link made by another user",
                               "web/supervise: link made by another user"]

    def test_who_may_write(self, scan):
        lay(scan / "web", settings="")
        (scan / "web").chmod(0o777)
        (scan / "web/run").chmod(0o757)
        (scan / "web/settings").chmod(0o666)
        assert sorted(found(scan)) == [
            "web/run: everybody may write to it", "web/settings: everybody may write to it",
            "web: everybody may write to it"]
        scan.chmod(0o1777)
        assert svcheck(scan)[0] == f"{scan}: everybody may write to it"

    @pytest.mark.skipif(not IS_ROOT, reason="needs other users")
    def test_whose_they_are(self, scan):
        lay(scan / "web", settings="")
        os.chown(scan / "web/run", 4711, 4711)
        os.chown(scan / "web/settings", 0, 4711)
        (scan / "web/settings").chmod(0o664)
        assert sorted(found(scan)) == ["web/run: belongs to user 4711, who may change it",
                                       "web/settings: group 4711 may write to it"]


class TestDependencies:
    def test_cycles(self, scan):
        lay(scan / "web", "needs db\n")
        lay(scan / "db", "# the store\n\nneeds web\n")
        lay(scan / "one", "before two")
        lay(scan / "two", "before one")
        lay(scan / "x", "type bundle\ncontents x\n", script=None)
        lay(scan / "user", "needs web x")
        assert found(scan) == [
            "db/settings:3: db and web need one another", "one/settings:1: one and two wait for one another",
            "x/settings:2: x contains itself"]

    def test_neighbours_of_neighbours(self, scan):
        """A service by itself is checked with all that it leads to, and told of its own faults alone."""
        lay(scan / "a", "needs b")
        lay(scan / "b", "needs c nobody")
        lay(scan / "c", "needs a\nneed x")
        assert svcheck(scan / "a") == [f"{scan}/a/settings:1: a, b and c need one another"]
        assert svcheck(scan / "b") == [f"{scan}/b/settings:1: unknown service nobody"]

    def test_a_directory_without_a_service_is_none(self, scan):
        lay(scan / "web", "needs files")
        (scan / "files").mkdir()
        assert svcheck(scan / "web") == [f"{scan}/web/settings:1: unknown service files"]

    def test_a_thousand_services_ten_deep(self, scan):
        for number in range(1000):
            needs = f"needs {' '.join(f's{number - 100 + other}' for other in range(3))}" if number >= 100 else ""
            lay(scan / f"s{number}", needs)
        start = time.monotonic()
        assert found(scan) == []
        assert time.monotonic() - start < 20
        write(scan / "s0/settings", "needs s999")
        lines = found(scan)
        assert len(lines) == 1
        assert re.fullmatch(r"s0/settings:1: s0(, s\d+){7} and \d+ others need one another", lines[0])


class TestTheProgram:
    def test_several_directories(self, scan, tmp_path):
        lay(scan / "a", "x")
        lay(tmp_path / "b", "y")
        assert svcheck(scan, tmp_path / "b") == [
            f'{scan}/a/settings:1: unknown setting "x"', f'{tmp_path}/b/settings:1: unknown setting "y"']

    def test_what_cannot_be_looked_at(self, scan, tmp_path):
        lay(scan / "a", "x")
        write(tmp_path / "file")
        result = run("svcheck", tmp_path / "nowhere", scan, tmp_path / "file")
        assert result.returncode == 111
        assert result.stdout.decode() == f'{scan}/a/settings:1: unknown setting "x"\n'
        assert result.stderr.decode().splitlines() == [
            f"svcheck: fatal: unable to check {tmp_path}/nowhere: file does not exist",
            f"svcheck: fatal: unable to check {tmp_path}/file: not a directory"]

    def test_usage(self):
        result = run("svcheck", "-x")
        assert result.returncode == 100
        assert result.stderr.decode().splitlines()[-1] == "svcheck: usage: svcheck [ directory ... ]"
        assert run("svcheck", "--version").stdout.startswith(b"svcheck (apus) ")

    def test_output_that_cannot_be_written(self, scan):
        lay(scan / "a", "x")
        with open("/dev/full", "wb") as full:
            result = subprocess.run([BIN / "svcheck", scan], stdout=full, stderr=subprocess.PIPE)
        assert (result.returncode, result.stderr) == (111, b"svcheck: fatal: unable to write output: out of disk space\n")

    @pytest.mark.skipif(not IS_ROOT, reason="needs a namespace")
    def test_the_default(self, tmp_path):
        lay(tmp_path / "scan/web", "x")
        script = f"mkdir -p /service; mount --bind {tmp_path}/scan /service && exec svcheck"
        existed = pathlib.Path("/service").exists()
        result = run("unshare", "--mount", "sh", "-c", script)
        if not existed:
            os.rmdir("/service")
        assert result.stdout == b'/service/web/settings:1: unknown setting "x"\n'

    def test_garbage(self, scan):
        """Whatever stands in the files, there is an end, and each line is fit for a terminal."""
        draw = random.Random(4711)
        for number in range(60):
            path = lay(scan / f"s{number}")
            for name in draw.sample(["settings", "type", "dependencies", "contents", "down-signal", "timeout-up",
                                     "notification-fd", "up", "down", "producer-for", "finish"], 4):
                words = [draw.choice(WORDS) for _ in range(draw.randrange(40))]
                write(path / name, " ".join(word + draw.choice(["", "\n"]) for word in words).encode("latin-1"))
        lines = found(scan)
        assert lines
        for line in lines:
            assert re.match(r"s\d+/[\w.-]+(:\d+)?: ", line), line
            assert line.isprintable(), line


def settings_of_tables(text):
    """The lines of settings in the right columns of a document's tables."""
    names = re.findall(r"^\.It Ic ([\w-]+)", (ROOT / "man/servicedir.5").read_text(), re.M)
    for row in re.findall(r"^\| (?!you had|---)(.*) \|$", text, re.M):
        for code in re.findall(r"`([^`]+)`", row.rpartition(" | ")[2]):
            if code.split()[0] in names:
                yield row, code


class TestDocuments:
    """Every example of settings is one that nothing is wrong with."""

    def check(self, scan, settings):
        """A service with these settings, and all that they name."""
        for name in ("db", "cache", "web", "alarm", "prepare"):
            lay(scan / name)
        (lay(scan / "x", settings) / "env").mkdir()
        write(scan / "x/data/check", "#!/bin/sh\n", 0o755)
        assert found(scan) == []

    @pytest.mark.parametrize("name", ["from-s6.md", "from-supervisord.md"])
    def test_tables(self, tmp_path, name):
        rows = {}
        for row, code in settings_of_tables((ROOT / "docs" / name).read_text()):
            rows.setdefault(row, []).append(code)
        assert len(rows) >= 15
        for number, (row, codes) in enumerate(rows.items()):
            # What goes with nothing by itself.
            if "ready-timeout" in row or "type bundle" in row:
                codes = ["\n".join(codes)]
            for place, code in enumerate(codes):
                code = {"up-timeout 10s": "type oneshot\n", "down-timeout 10s": "type oneshot\n"}.get(code, "") + code
                scan = tmp_path / f"{number}-{place}"
                scan.mkdir(mode=0o755)
                self.check(scan, code)

    @pytest.mark.parametrize("name", ["docs/from-s6.md", "docs/from-supervisord.md", "man/servicedir.5"])
    def test_files(self, tmp_path, name):
        text = (ROOT / name).read_text()
        examples = re.findall(r"^```settings\n(.*?)^```", text, re.M | re.S) + re.findall(
            r"^(# settings of .*?)^\.Ed", text, re.M | re.S)
        assert examples
        for number, example in enumerate(examples):
            scan = tmp_path / str(number)
            scan.mkdir(mode=0o755)
            self.check(scan, example)

    def test_the_manual_has_every_setting(self):
        page = (ROOT / "man/servicedir.5").read_text()
        source = (ROOT / "Sources/Services/SettingName.swift").read_text()
        words = re.search(r'WordList\(\s+"""(.*?)"""', source, re.S)[1].replace("\\", "").split()
        assert set(re.findall(r"^\.It Ic ([\w-]+)", page, re.M)) == set(words)

    def test_the_manual_has_every_file(self):
        page = (ROOT / "man/servicedir.5").read_text()
        source = (ROOT / "Sources/ServiceFiles/Definitions/DefinitionFile.swift").read_text()
        words = re.search(r'WordList\(\s+"""(.*?)"""', source, re.S)[1].replace("\\", "").split()
        named = {name for line in re.findall(r"^\.It Pa (.*)", page, re.M) for name in line.split(" , ")}
        assert set(words) - {"settings"} == named - {"log", "supervise", "check"}
