"""What comes before what: needs, wants, after, before, one-shots, bundles, s6-rc's trees, and the stop in reverse."""

import os
import signal
import time

import pytest

from apus import BIN, environment, run, wait_for
from details import details
from services import lay, lines, messages, supervised, supervisor, svc, wait_down, wait_up

ONE_SHOT = {"type": "oneshot\n"}


READY = "ready notification-fd 3\n"


def note(name):
    """A run script that writes down its start, and its end by TERM; it says that it is ready where that is wanted."""
    return f"trap 'echo stop {name} >> ../../events; exit' TERM; echo start {name} >> ../../events; " \
           "(echo >&3) 2> /dev/null; exec 3>&-; sleep 1000 & while :; do wait; done"


def action(word, name, rest="true"):
    return f"#!/bin/sh\n{rest}; echo {word} {name} >> ../../events\n"


def events(scan):
    return lines(scan.parent / "events")


def svscan(scan):
    return supervisor(BIN / "svscan", scan)


def state(scan, name):
    return details(scan / name).state if supervised(scan / name) else None


def wait_state(scan, name, wanted):
    wait_for(lambda: state(scan, name) == wanted, f"{name} {wanted}")


class TestStart:
    @pytest.mark.parametrize("relation", ["needs", "wants", "after"])
    def test_it_waits_until_the_other_is_ready(self, scan, relation):
        lay(scan / "web", note("web"), settings=f"{relation} db\n")
        lay(scan / "db", "echo start db >> ../../events; while ! test -e go; do sleep 0.05; done; "
            "echo ready db >> ../../events; echo >&3; exec sleep 1000", notification_fd="3")
        with svscan(scan):
            wait_for(lambda: events(scan) == ["start db"], "the first")
            wait_state(scan, "web", "blocked")
            time.sleep(0.3)
            assert events(scan) == ["start db"]
            (scan / "db/go").touch()
            wait_for(lambda: events(scan) == ["start db", "ready db", "start web"], "the second")

    def test_before_is_after_the_other_way_round(self, scan):
        lay(scan / "zeta", "sleep 0.3; echo start zeta >> ../../events; echo >&3; exec sleep 1000",
            settings="before alpha\nready notification-fd 3\n")
        lay(scan / "alpha", note("alpha"))
        with svscan(scan):
            wait_for(lambda: events(scan) == ["start zeta", "start alpha"], "both")

    def test_after_and_before_bring_nothing_up(self, scan):
        lay(scan / "web", note("web"), settings="after db\nbefore cache\n")
        for name in "db", "cache":
            lay(scan / name, note(name), down=True)
        with svscan(scan):
            wait_for(lambda: events(scan) == ["start web"], "web alone")
            time.sleep(0.3)
            assert events(scan) == ["start web"]

    def test_wants_does_without_what_fails(self, scan):
        lay(scan / "web", note("web"), settings="wants cache\n")
        lay(scan / "cache", "exit 1", settings="restart never\n")
        with svscan(scan):
            wait_for(lambda: events(scan) == ["start web"], "web")
            wait_state(scan, "cache", "failed")

    def test_needs_waits_for_what_has_failed_and_goes_on_when_it_is_mended(self, scan):
        lay(scan / "web", note("web"), settings="needs db\n")
        lay(scan / "db", "exit 1", settings="restart never\nready notification-fd 3\n")
        lay(scan / "other", note("other"))
        with svscan(scan):
            wait_state(scan, "db", "failed")
            wait_state(scan, "web", "blocked")
            wait_for(lambda: events(scan) == ["start other"], "the unrelated one")
            lay(scan / "db", "echo start db >> ../../events; echo >&3; exec sleep 1000")
            svc("-u", scan / "db")
            wait_for(lambda: events(scan)[1:] == ["start db", "start web"], "both")

    def test_up_brings_up_what_is_needed(self, scan):
        lay(scan / "web", note("web"), down=True, settings="needs db\nwants cache\n")
        for name, settings in ("db", "needs disk\n"), ("cache", ""), ("disk", ""):
            lay(scan / name, note(name), down=True, settings=settings + READY)
        with svscan(scan):
            for name in "web", "db", "cache", "disk":
                wait_state(scan, name, "down")
            svc("-u", scan / "web")
            wait_for(lambda: len(events(scan)) == 4, "all")
        order = events(scan)
        assert order[-1] == "start web" and order.index("start disk") < order.index("start db")

    def test_one_that_is_unknown_is_said_with_its_line(self, scan):
        lay(scan / "web", note("web"), settings="# of web\nneeds nowhere\n")
        lay(scan / "other", note("other"))
        with svscan(scan) as process:
            wait_for(lambda: events(scan) == ["start other"], "the unrelated one")
            wait_state(scan, "web", "blocked")
            said = messages(process)
        assert [line for line in said if "web/settings:2: " in line and "nowhere" in line], said
        assert details(scan / "web").reason == "dependency"

    def test_a_cycle_is_said_and_keeps_nobody_else(self, scan):
        for name, other in ("a", "b"), ("b", "c"), ("c", "a"):
            lay(scan / name, note(name), settings=f"needs {other}\n")
        lay(scan / "other", note("other"))
        with svscan(scan) as process:
            wait_for(lambda: events(scan) == ["start other"], "the unrelated one")
            wait_state(scan, "a", "blocked")
            time.sleep(0.3)
            said = messages(process)
            assert events(scan) == ["start other"]
            assert [line for line in said if "/settings:1: " in line], said
            process.send_signal(signal.SIGTERM)
            process.wait(5)

    def test_a_missing_one_that_comes_later(self, scan):
        lay(scan / "web", note("web"), settings="needs db\n")
        with svscan(scan):
            wait_state(scan, "web", "blocked")
            lay(scan / "db", note("db"), settings=READY)
            wait_for(lambda: events(scan) == ["start db", "start web"], "both")

    def test_a_hundred_ten_deep(self, scan):
        for number in range(100):
            needs = f"needs s{number - 10}\n" if number >= 10 else ""
            lay(scan / f"s{number}", f"echo {number} >> ../../events; echo >&3; exec sleep 1000",
                settings=needs + "ready notification-fd 3\n")
        with svscan(scan):
            wait_for(lambda: len(events(scan)) == 100, "all", 60)
        place = {int(name): index for index, name in enumerate(events(scan))}
        assert all(place[number] > place[number - 10] for number in range(10, 100))


class TestOneShots:
    def lay_tree(self, scan):
        lay(scan / "mount", None, up=action("up", "mount", "sleep 0.2"), down=action("down", "mount"), **ONE_SHOT)
        lay(scan / "db", note("db"), settings="needs mount\n" + READY)
        lay(scan / "migrate", None, up=action("up", "migrate"), down=action("down", "migrate"),
            dependencies="db\n", **ONE_SHOT)
        lay(scan / "web", note("web"), settings="needs migrate\n")

    def test_up_and_down_in_reverse(self, scan):
        self.lay_tree(scan)
        with svscan(scan) as process:
            wait_for(lambda: len(events(scan)) == 4, "all")
            assert events(scan) == ["up mount", "start db", "up migrate", "start web"]
            wait_state(scan, "migrate", "done")
            process.send_signal(signal.SIGTERM)
            process.wait(15)
            assert events(scan)[4:] == ["stop web", "down migrate", "stop db", "down mount"]
            assert not messages(process)

    def test_down_command_undoes_it_and_up_does_it_again(self, scan):
        lay(scan / "once", None, up=action("up", "once"), down=action("down", "once"), **ONE_SHOT)
        with svscan(scan):
            wait_state(scan, "once", "done")
            svc("-d", scan / "once")
            wait_for(lambda: events(scan) == ["up once", "down once"], "down")
            wait_state(scan, "once", "down")
            svc("-d", scan / "once")
            svc("-u", scan / "once")
            wait_for(lambda: events(scan) == ["up once", "down once", "up once"], "up")

    def test_one_that_fails_blocks_and_is_not_undone(self, scan):
        lay(scan / "bad", None, up="#!/bin/sh\nexit 3\n", down=action("down", "bad"), **ONE_SHOT)
        lay(scan / "web", note("web"), settings="needs bad\n")
        with svscan(scan) as process:
            wait_state(scan, "bad", "failed")
            time.sleep(1.2)
            assert details(scan / "bad").starts == 1 and events(scan) == []
            assert "bad has failed" in "".join(messages(process))
            process.send_signal(signal.SIGTERM)
            process.wait(5)
        assert events(scan) == []

    def test_it_may_be_tried_again(self, scan):
        lay(scan / "late", None, up=action("up", "late", "test -e go || { touch go; exit 1; }"),
            settings="restart on-failure\n", **ONE_SHOT)
        with svscan(scan):
            wait_state(scan, "late", "done")
            assert details(scan / "late").starts == 2

    def test_time_limits(self, scan):
        lay(scan / "slow", None, up="#!/bin/sh\nexec sleep 1000\n", timeout_up="300", **ONE_SHOT)
        lay(scan / "stuck", None, up="#!/bin/sh\ntrue\n", down="#!/bin/sh\nexec sleep 1000\n", timeout_down="300",
            **ONE_SHOT)
        with svscan(scan):
            wait_state(scan, "slow", "failed")
            wait_state(scan, "stuck", "done")
            svc("-d", scan / "stuck")
            wait_state(scan, "stuck", "down")

    def test_a_command_line_of_s6_rc(self, scan):
        lay(scan / "line", None, up='sh -c "echo up \\"a b\\" >> ../../events" # comment\n', **ONE_SHOT)
        with svscan(scan):
            wait_for(lambda: events(scan) == ["up a b"], "the command")


class TestTrees:
    def test_a_bundle(self, scan):
        for name in "a", "b":
            lay(scan / name, note(name), down=True, settings=READY)
        lay(scan / "all", None, type="bundle\n", contents="a\nb\n")
        lay(scan / "web", note("web"), settings="needs all\n")
        with svscan(scan):
            wait_for(lambda: len(events(scan)) == 3, "all")
            assert events(scan)[2] == "start web"
            assert run("svc", "-d", scan / "all").stderr == b"".join(
                b"svc: warning: %s: still needed by web\n" % name for name in (b"a", b"b"))
            for name in "a", "b":
                wait_down(scan / name)
            svc("-u", scan / "all")
            for name in "a", "b":
                wait_up(scan / name)

    def test_a_source_tree_of_s6_rc(self, scan):
        lay(scan / "base", None, type="oneshot\n", up="echo up base\n")
        for name, needed in ("db", "base"), ("web", "db"):
            lay(scan / name, note(name), type="longrun\n", notification_fd="3", **{f"dependencies.d/{needed}": ""})
        lay(scan / "default", None, type="bundle\n", **{"contents.d/web": ""})
        with svscan(scan) as process:
            wait_for(lambda: events(scan) == ["start db", "start web"], "both")
            wait_state(scan, "default", "done")
            assert not messages(process)


class TestStop:
    def test_in_reverse(self, scan):
        names = [f"s{number}" for number in range(8)]
        for number, name in enumerate(names):
            lay(scan / name, note(name), settings=READY + (f"needs s{number - 1}\n" if number else ""))
        with svscan(scan) as process:
            wait_for(lambda: len(events(scan)) == 8, "all")
            process.send_signal(signal.SIGTERM)
            process.wait(15)
        assert events(scan)[8:] == [f"stop {name}" for name in reversed(names)]

    def test_one_that_does_not_end_does_not_hold_up_the_others_for_ever(self, scan):
        lay(scan / "db", note("db"), settings=READY)
        lay(scan / "web", "trap '' TERM; echo start web >> ../../events; while :; do sleep 0.1; done",
            settings="needs db\nstop-timeout 500ms\n")
        with svscan(scan) as process:
            wait_for(lambda: len(events(scan)) == 2, "both")
            process.send_signal(signal.SIGTERM)
            process.wait(8)
        assert events(scan)[2:] == ["stop db"]

    def test_a_thousand_in_a_row_end_in_time(self, scan):
        """One after the other, which leaves each the eight thousandth part of the stop."""
        for number in range(1000):
            lay(scan / f"s{number}", settings=f"needs s{number - 1}\n" if number else "restart always\n")
        with svscan(scan) as process:
            wait_up(scan / "s999")
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
            assert not messages(process)

    def test_a_cycle_that_came_later(self, scan):
        for name in "a", "b":
            lay(scan / name, note(name))
        with svscan(scan) as process:
            wait_for(lambda: len(events(scan)) == 2, "both")
            for name, other in ("a", "b"), ("b", "a"):
                lay(scan / name, note(name), settings=f"needs {other}\n")
            process.send_signal(signal.SIGHUP)
            wait_for(lambda: messages(process), "the complaint", 5)
            process.send_signal(signal.SIGTERM)
            process.wait(5)
        assert sorted(events(scan)[2:]) == ["stop a", "stop b"]


class TestDownWithDependents:
    """svc -d tells who needs the service, and takes them down first if it is asked to."""

    @pytest.fixture
    def tree(self, scan):
        lay(scan / "db", note("db"), settings=READY)
        lay(scan / "api", note("api"), settings=READY + "needs db\n")
        lay(scan / "web", note("web"), settings=READY + "needs api\n")
        lay(scan / "mail", note("mail"), settings=READY + "wants db\n")
        lay(scan / "cron", note("cron"))
        with svscan(scan):
            wait_for(lambda: len(events(scan)) == 5, "all")
            for name in "db", "api", "web", "mail", "cron":
                wait_up(scan / name)
            yield scan

    def test_they_are_named_and_go_on(self, tree):
        result = run("svc", "-d", tree / "db")
        assert result.stderr == b"svc: warning: db: still needed by api\n"
        wait_down(tree / "db")
        assert supervised(tree / "web") and wait_up(tree / "api")
        assert run("svc", "-d", tree / "web").stderr == b""
        wait_down(tree / "web")

    def test_what_is_down_is_not_named(self, tree):
        assert run("svc", "-d", "--wait", tree / "api", tree / "web").stderr == b""
        assert run("svc", "-d", tree / "db").stderr == b""

    def test_they_end_first_in_reverse(self, tree):
        started = len(events(tree))
        result = run("svc", "--dependents", "-d", "--wait", tree / "db")
        assert (result.returncode, result.stderr) == (0, b"")
        assert events(tree)[started:] == ["stop web", "stop api", "stop db"]
        for name in "mail", "cron":
            wait_up(tree / name)
        svc("-u", tree / "web")
        wait_for(lambda: events(tree)[-3:] == ["start db", "start api", "start web"], "all again")

    def test_by_name_in_a_bundle(self, tree):
        lay(tree / "stack", None, settings="type bundle\ncontents db cron\n")
        wait_for(lambda: supervised(tree / "stack"), "the bundle")
        started = len(events(tree))
        assert run("svc", "-d", "--dependents", "--wait=20", "stack", env=environment(SVDIR=str(tree))).returncode == 0
        assert events(tree)[started:started + 2] == ["stop web", "stop api"]
        wait_for(lambda: set(events(tree)[started + 2:]) == {"stop db", "stop cron"}, "the bundle's")

    def test_one_that_stays_keeps_what_it_needs(self, tree):
        lay(tree / "stubborn", "trap '' TERM; echo > deaf; exec sleep 1000", settings="needs db\nstop-timeout never\n")
        pid = wait_up(tree / "stubborn")
        wait_for(lambda: lines(tree / "stubborn/deaf"), "its deafness")
        result = run("svc", "-d", "--dependents", "--wait=300ms", tree / "db")
        assert result.returncode == 99
        assert f"timed out waiting for {tree}/stubborn".encode() in result.stderr
        wait_up(tree / "db")
        os.kill(pid, signal.SIGKILL)

    def test_only_with_down(self, tree):
        result = run("svc", "--dependents", "-t", tree / "db")
        assert (result.returncode, result.stderr) == (100, b"svc: fatal: --dependents goes with -d\n")
