"""Service directories that are filled while the supervisor looks: nothing is started before it is all
there, and what comes later is found."""

import contextlib
import os
import pathlib
import signal
import subprocess
import time

import pytest

from apus import BIN, environment, run, wait_for
from services import (boot_time, lay, lines, messages, pid_of, started, supervised, supervisor, svc,
                      svstat, wait_down, wait_up)

SVSCAN = BIN / "svscan"


@contextlib.contextmanager
def scanning(scan, **options):
    """svscan that has looked at its directory for the first time: what is there then is taken as it is."""
    lay(scan / "first", "exec sleep 1000 > /dev/null")
    with supervisor(SVSCAN, scan, **options) as process:
        wait_up(scan / "first")
        yield process


@pytest.fixture
def template(tmp_path):
    """A service with a logger that notes what it writes, to be copied."""
    return lay(tmp_path / "template", "echo started; exec sleep 1000", log="exec cat >> out")


def is_logged(path):
    return lines(path / "log/out") == ["started"]


class TestCopies:
    """Twenty each, since only some of the moments of a copy would do harm."""

    @pytest.mark.parametrize("command", [
        'cp -a "$template" "$scan/$name"',
        'mkdir "$scan/$name" && tar cf - -C "$template" . | tar xf - -C "$scan/$name"',
        'mkdir "$scan/$name" && tar cf - -C "$template" --sort=name . | tar xf - -C "$scan/$name"',
        'cp -a "$template" "$scan/.$name" && mv "$scan/.$name" "$scan/$name"',
        'cp -a "$template" "$scan/../$name" && ln -s "../$name" "$scan/$name"',
    ], ids=["cp -a", "tar", "tar in order", "rename", "link"])
    def test_every_service_is_started_with_its_logger(self, scan, template, command):
        with scanning(scan) as process:
            for number in range(20):
                subprocess.run(["sh", "-c", command], check=True, env=environment(
                    template=str(template), scan=str(scan), name=f"s{number}"))
            for number in range(20):
                wait_for(lambda: is_logged(scan / f"s{number}"), "the logger's line")
            assert messages(process) == []

    @pytest.mark.parametrize("command", [
        'cp -a "$template" "$scan/$name"',
        'mkdir "$scan/$name" && tar cf - -C "$template" . | tar xf - -C "$scan/$name"',
    ], ids=["cp -a", "tar"])
    def test_one_that_is_to_be_down_is_not_started(self, scan, template, command):
        for place in (template, template / "log"):
            (place / "run").write_text("#!/bin/sh\necho >> starts\nexec sleep 1000\n")
            (place / "down").touch()
        with scanning(scan) as process:
            for number in range(20):
                subprocess.run(["sh", "-c", command], check=True, env=environment(
                    template=str(template), scan=str(scan), name=f"s{number}"))
            for number in range(20):
                for path in (scan / f"s{number}", scan / f"s{number}/log"):
                    wait_down(path)
                    assert lines(path / "starts") == []
            assert messages(process) == []


class TestSteps:
    """Filled step by step, with pauses that are shorter than a moment's quiet."""

    def write(self, path, text, steps=5):
        """A run file that grows, and may be executed before it is complete."""
        with open(path, "w") as file:
            os.fchmod(file.fileno(), 0o755)
            for number in range(steps):
                file.write(text[number * len(text) // steps:(number + 1) * len(text) // steps])
                file.flush()
                time.sleep(0.08)

    def test_slow_writes(self, scan):
        path = scan / "a"
        with scanning(scan) as process:
            path.mkdir()
            time.sleep(0.1)
            self.write(path / "run", "#!/bin/sh\n# " + "x" * 3000 + "\necho started\nexec sleep 1000\n")
            (path / "log").mkdir()
            time.sleep(0.1)
            self.write(path / "log/run", "#!/bin/sh\n# " + "x" * 3000 + "\nexec cat >> out\n")
            wait_for(lambda: is_logged(path), "the logger's line")
            assert messages(process) == []

    @pytest.mark.parametrize("late", ["down", "log"])
    def test_down_and_log_written_after_run(self, scan, late):
        path = scan / "a"
        with scanning(scan) as process:
            path.mkdir()
            self.write(path / "run", "#!/bin/sh\necho started\necho >> starts\nexec sleep 1000\n", 2)
            if late == "down":
                (path / "down").touch()
                wait_down(path)
                assert not lines(path / "starts")
            else:
                lay(path / "log", "exec cat >> out")
                wait_for(lambda: is_logged(path), "the logger's line")
            assert messages(process) == []

    def test_the_files_that_run_needs(self, scan):
        """envdir's directory, filled after run."""
        path = scan / "a"
        with scanning(scan) as process:
            path.mkdir()
            self.write(path / "run", "#!/bin/sh\nls env | wc -l > count\nexec sleep 1000\n", 2)
            (path / "env").mkdir()
            for number in range(12):
                (path / f"env/VARIABLE{number}").write_text("x\n")
                time.sleep(0.05)
            wait_up(path)
            wait_for(lambda: lines(path / "count"), "the count")
            assert lines(path / "count") == ["12"]
            assert messages(process) == []

    def test_one_that_never_becomes_quiet_is_taken_after_five_seconds(self, scan):
        path = scan / "a"
        with scanning(scan):
            path.mkdir()
            (path / "run").write_text("#!/bin/sh\nexec sleep 1000\n")
            (path / "run").chmod(0o755)
            start = boot_time()
            # A process of its own, so that nothing but a change every few milliseconds keeps it busy.
            with subprocess.Popen(["/usr/bin/python3", "-c", "import time\nwhile True:\n"
                                   "  open('busy', 'a').write('x'); time.sleep(0.005)"],
                                  cwd=path) as writer:
                try:
                    wait_for(lambda: supervised(path), "supervision")
                finally:
                    writer.kill()
            assert 4 < started(wait_up(path)) - start < 8

    def test_one_without_run_is_taken_after_five_seconds_and_tried_again(self, scan):
        path = scan / "a"
        with scanning(scan) as process:
            path.mkdir()
            start = boot_time()
            time.sleep(1)
            assert not supervised(path) and messages(process) == []
            wait_for(lambda: supervised(path), "supervision")
            assert 4 < boot_time() - start < 8
            told = []
            wait_for(lambda: told.extend(messages(process)) or told, "the line")
            assert told == ["svscan: warning: unable to start a/run: file does not exist"]
            lay(path)
            wait_up(path)


class TestComplete:
    @pytest.mark.parametrize("way", ["rename", "link", "exchanged link"])
    def test_what_comes_whole_starts_at_once(self, scan, tmp_path, way):
        took = []
        with scanning(scan):
            for number in range(6):
                path = lay(tmp_path / f"s{number}")
                place = scan / f"s{number}"
                if way == "exchanged link":
                    (scan / ".new").symlink_to(path)
                start = boot_time()
                if way == "rename":
                    path.rename(place)
                elif way == "link":
                    place.symlink_to(path)
                else:
                    (scan / ".new").rename(place)
                took.append(started(wait_up(place)) - start)
        # The machine may be busy; the supervisor is not.
        assert min(took) < 0.1, took

    def test_what_is_there_at_the_start_is_taken_as_it_is(self, scan):
        for number in range(3):
            lay(scan / f"s{number}", log="exec cat")
        took = []
        for _ in range(6):
            with supervisor(SVSCAN, scan) as process:
                took += [started(wait_up(scan / f"s{number}")) - started(process.pid)
                         for number in range(3)]
        # The machine may be busy; the supervisor is not.
        assert min(took) < 0.15, took


class TestLaterLogger:
    @pytest.fixture
    def service(self, scan):
        return lay(scan / "a", "echo started; exec sleep 1000")

    def test_hangup_finds_it(self, scan, service):
        """It runs from then on; what writes to it is the next process of the service."""
        with scanning(scan, stdout=subprocess.DEVNULL) as process:
            pid = wait_up(service)
            lay(service / "log", "exec cat >> out")
            process.send_signal(signal.SIGHUP)
            wait_up(service / "log")
            assert pid_of(service) == pid
            svc("-t", service)
            wait_up(service, pid)
            wait_for(lambda: is_logged(service), "the logger's line")
            assert messages(process) == []

    @pytest.mark.parametrize("way", ["-t", "-k", "-du"])
    def test_the_next_start_finds_it(self, scan, service, way):
        with scanning(scan, stdout=subprocess.DEVNULL) as process:
            pid = wait_up(service)
            lay(service / "log", "exec cat >> out")
            for letter in way[1:]:
                svc(f"-{letter}", service)
                if letter == "d":
                    wait_down(service)
            wait_up(service, pid)
            wait_for(lambda: is_logged(service), "the logger's line")
            assert messages(process) == []

    def test_one_that_is_to_be_down(self, scan, service):
        with scanning(scan, stdout=subprocess.DEVNULL) as process:
            pid = wait_up(service)
            lay(service / "log", "exec cat >> out", down=True)
            process.send_signal(signal.SIGHUP)
            wait_down(service / "log")
            svc("-t", service)
            wait_up(service, pid)
            svc("-u", service / "log")
            wait_for(lambda: is_logged(service), "the logger's line")

    def test_of_a_service_that_is_down(self, scan, service):
        with scanning(scan, stdout=subprocess.DEVNULL):
            wait_up(service)
            svc("-d", service)
            wait_down(service)
            lay(service / "log", "exec cat >> out")
            assert not supervised(service / "log")
            svc("-u", service)
            wait_for(lambda: is_logged(service), "the logger's line")
            assert svstat(service).startswith("up ")

    def test_one_that_is_being_copied_at_hangup(self, scan, service):
        """It is not started before it is all there."""
        with scanning(scan, stdout=subprocess.DEVNULL) as process:
            wait_up(service)
            (service / "log").mkdir()
            process.send_signal(signal.SIGHUP)
            time.sleep(0.1)
            lay(service / "log", "exec cat >> out")
            wait_up(service / "log")
            assert messages(process) == []


def test_a_directory_that_vanishes_while_it_is_filled(scan):
    """An upload that was broken off is forgotten without a word."""
    with scanning(scan) as process:
        for number in range(5):
            (scan / f"s{number}").mkdir()
            (scan / f"s{number}/run").touch()
        for number in range(5):
            (scan / f"s{number}/run").unlink()
            (scan / f"s{number}").rmdir()
        wait_up(lay(scan / "last"))
        assert messages(process) == []
        held = [os.readlink(f"/proc/{process.pid}/fd/{name}")
                for name in os.listdir(f"/proc/{process.pid}/fd")]
        assert not any(place.startswith(str(scan)) and "deleted" in place for place in held), held


def test_filling_under_init(tmp_path):
    scan = tmp_path / "service"
    scan.mkdir()
    template = lay(tmp_path / "template", "echo started; exec sleep 1000", log="exec cat >> out")
    with supervisor(BIN / "init", "-s", scan) as process:
        for number in range(10):
            run("cp", "-a", template, scan / f"s{number}")
        for number in range(10):
            wait_for(lambda: is_logged(pathlib.Path(scan / f"s{number}")), "the logger's line")
        assert messages(process) == []
