"""What svc, svstat and process 1 do to services, in a container."""

import os
import pathlib
import re
import time

import pytest

from apus import wait_for

# Says on stdout which signal came, and lives on; TERM ends it as it ends most programs.
LISTENER = """exec perl -e '
    $| = 1;
    for my $name (qw(HUP ALRM INT CONT)) { $SIG{$name} = sub { print "$name\\n" } }
    $SIG{TERM} = sub { print "TERM\\n"; exit 0 };
    print "ready $$\\n";
    sleep 1000 while 1;
'"""


@pytest.fixture(scope="module")
def container(start_for_module):
    """A container with nothing in /service but what the tests put there."""
    return start_for_module(program=["/bin/sh", "-c", "rm /service/sshd; exec apus init"])


@pytest.fixture
def listener(container, request):
    """A service that logs the signals it gets."""
    name = re.sub(r"\W+", "-", request.node.name)
    service = container.service(name, LISTENER, log="exec multilog t ./main")
    listener = Listener(container, service)
    listener.first = listener.wait_for_start()
    return listener


class Listener:
    def __init__(self, container, service):
        self.container, self.service = container, service
        self.directory = f"/services/{service.rsplit('/', 1)[1]}"

    def lines(self):
        return [line[26:] for line in
                self.container.log(f"{self.directory}/log/main").splitlines()]

    def wait_for_line(self, text, count=1):
        wait_for(lambda: self.lines().count(text) >= count, f"{text} in the log")

    def wait_for_start(self, number=1):
        started = lambda: [line for line in self.lines() if line.startswith("ready")]
        return int(wait_for(lambda: len(started()) >= number and started()[-1].split()[1],
                            "the service"))

    def svc(self, letters):
        result = self.container.run("svc", f"-{letters}", self.service)
        assert (result.returncode, result.stdout, result.stderr) == (0, "", "")

    def status(self):
        return self.container.status(self.service)

    def wait_for_status(self, pattern):
        return wait_for(lambda: re.fullmatch(pattern, self.status()), f"status {pattern}")

    def has_process(self):
        return self.first in self.container.processes()


class TestControl:
    def test_h_a_i_send_a_signal_and_change_nothing(self, listener):
        for letter, name in (("h", "HUP"), ("a", "ALRM"), ("i", "INT")):
            listener.svc(letter)
            listener.wait_for_line(name)
        assert re.fullmatch(rf"up \(pid {listener.first}\) \d+ seconds", listener.status())

    def test_d_ends_it_and_keeps_it_down(self, listener):
        listener.svc("d")
        listener.wait_for_line("TERM")
        listener.wait_for_status(r"down \d+ seconds, normally up")
        assert not listener.has_process()
        # Longer than a restart could take.
        listener.wait_for_status(r"down [2-9] seconds, normally up")

    def test_u_starts_it_again(self, listener):
        listener.svc("d")
        listener.wait_for_status(r"down \d+ seconds, normally up")
        listener.svc("u")
        second = listener.wait_for_start(2)
        assert second != listener.first
        listener.wait_for_status(rf"up \(pid {second}\) \d+ seconds")

    def test_t_ends_it_and_it_is_started_again(self, listener):
        listener.svc("t")
        listener.wait_for_line("TERM")
        second = listener.wait_for_start(2)
        assert second != listener.first and not listener.has_process()

    def test_k_kills_it_and_it_is_started_again(self, listener):
        listener.svc("k")
        assert listener.wait_for_start(2) != listener.first
        assert "TERM" not in listener.lines()

    def test_p_and_c_pause_and_continue(self, listener):
        listener.svc("p")
        listener.wait_for_status(rf"up \(pid {listener.first}\) \d+ seconds, paused")
        wait_for(lambda: listener.container.processes()[listener.first][1] == "T", "a stopped process")
        listener.svc("c")
        listener.wait_for_status(rf"up \(pid {listener.first}\) \d+ seconds")
        listener.wait_for_line("CONT")
        assert listener.container.processes()[listener.first][1] == "S"

    def test_a_paused_service_can_be_ended(self, listener):
        listener.svc("p")
        listener.wait_for_status(r".*, paused")
        listener.svc("d")
        listener.wait_for_status(r"down \d+ seconds, normally up")

    def test_o_lets_it_run_once(self, listener):
        listener.svc("o")
        listener.svc("t")
        listener.wait_for_status(r"down \d+ seconds, normally up")
        listener.svc("o")
        second = listener.wait_for_start(2)
        listener.container.run("kill", second)
        listener.wait_for_status(r"down [2-9] seconds, normally up")
        assert sum(line.startswith("ready") for line in listener.lines()) == 2

    def test_x_ends_the_supervision_once_it_is_down(self, listener):
        listener.container.path(listener.service).unlink()
        container = listener.container
        svok = ["svok", listener.directory]
        assert container.run(*svok).returncode == 0
        # x alone ends nothing that runs.
        assert container.run("svc", "-x", listener.directory).returncode == 0
        assert listener.has_process() and container.run(*svok).returncode == 0
        container.run("svc", "-d", listener.directory)
        wait_for(lambda: container.run(*svok).returncode == 100, "the end of supervision")
        assert container.status(listener.directory) == "supervise not running"

    def test_several_letters_at_once_are_done_in_order(self, listener):
        listener.svc("pcdu")
        second = listener.wait_for_start(2)
        listener.wait_for_status(rf"up \(pid {second}\) \d+ seconds")

    def test_the_log_of_a_service_is_controlled_alike(self, listener):
        log = f"{listener.service}/log"
        pid = listener.container.wait_up(log)
        listener.container.run("svc", "-t", log)
        listener.container.wait_up(log, other_than=pid)
        assert listener.has_process()


class TestStatus:
    def test_down_file(self, container):
        service = container.service("down-at-first", "exec sleep 1000", down="")
        wait_for(lambda: re.fullmatch(r"down \d+ seconds", container.status(service)), "down")
        container.run("svc", "-u", service)
        pid = container.wait_up(service)
        assert re.fullmatch(rf"up \(pid {pid}\) \d+ seconds, normally down", container.status(service))

    def test_want_up_while_it_waits_for_the_second_start(self, container):
        service = container.service("short", "sleep 0.2")
        wait_for(lambda: re.fullmatch(r"down \d+ seconds, normally up, want up",
                                      container.status(service)), "want up")

    def test_want_down_while_it_takes_its_time(self, container):
        service = container.service(
            "slow-to-end", "exec perl -e '$SIG{TERM} = sub {}; sleep 1000 while 1'")
        pid = container.wait_up(service)
        wait_for(lambda: "SigCgt" in container.process_status(pid) and
                 int(container.process_status(pid)["SigCgt"], 16) >> 14 & 1, "the handler")
        container.run("svc", "-d", service)
        wait_for(lambda: re.fullmatch(rf"up \(pid {pid}\) \d+ seconds, want down",
                                      container.status(service)), "want down")
        container.run("svc", "-k", service)
        wait_for(lambda: container.status(service).startswith("down"), "down")

    def test_what_is_no_service(self, container):
        container.path("/services/never").mkdir(parents=True)
        assert container.status("/services/never") == (
            "unable to open supervise/ok: file does not exist")
        assert container.status("/services/nowhere") == "unable to chdir: file does not exist"


class TestRestart:
    def test_a_service_that_fails_at_once_starts_once_a_second(self, container):
        service = container.service("failing", "date +%s.%N; exit 1", log="exec multilog t ./main")
        directory = "/services/failing/log/main"
        starts = wait_for(lambda: len(found := container.log(directory).splitlines()) > 3 and
                          [float(line.split()[1]) for line in found], "four starts")
        gaps = [later - earlier for earlier, later in zip(starts, starts[1:])]
        assert all(0.9 < gap < 1.5 for gap in gaps), gaps
        container.run("svc", "-d", service)

    def test_no_line_is_lost_while_both_sides_restart(self, container):
        """A writer that numbers its lines over restarts, and a logger told to end, both again and
        again."""
        service = container.service(
            "counter", """exec perl -e '
                $SIG{TERM} = sub { $end = 1 };
                open N, "+<", "number" or open N, "+>", "number"; $n = <N> + 0;
                while (!$end) { $_ = sprintf "%d\\n", $n + 1; syswrite(STDOUT, $_) == length or die;
                    $n++; select undef, undef, undef, 0.0005 }
                seek N, 0, 0; print N $n; close N'""", log="exec multilog t n1000 ./main")
        number = container.path("/services/counter/number")
        for turn in range(4):
            for end in (service, f"{service}/log"):
                pid = container.wait_up(end)
                wait_for(lambda: re.search(r"\) [1-9]", container.status(end)), "a second of life")
                container.run("svc", "-t", end)
                container.wait_up(end, other_than=pid)
        container.run("svc", "-d", service)
        wait_for(lambda: container.status(service).startswith("down"), "down")
        last = int(number.read_text())
        lines = lambda: [int(line.split()[1]) for line in
                         container.log("/services/counter/log/main").splitlines()]
        wait_for(lambda: lines()[-1] == last, "the last line")
        assert lines() == list(range(1, last + 1))
        assert last > 1000


class TestOrphans:
    def test_a_thousand_orphaned_grandchildren_leave_no_zombie(self, container):
        def orphans():
            return [state for name, state in container.processes().values() if name == "orphan"]
        result = container.run("perl", "-e", """
            for (1..1000) {
                my $child = fork // die; next if $child;
                # The grandchild outlives its parent and holds nobody's pipe.
                fork // die and exit 0;
                close STDOUT; close STDERR; $0 = "orphan"; sleep 4; exit 3;
            }
            1 while wait > 0""")
        assert result.returncode == 0, result.stderr
        assert len(orphans()) > 100
        wait_for(lambda: orphans() == [], "the end of all of them", 20)
        assert "Z" not in [state for _, state in container.processes().values()]

    def test_orphans_are_reaped_while_a_service_is_paused(self, container):
        service = container.service("paused", "exec sleep 1000")
        container.wait_up(service)
        container.run("svc", "-p", service)
        container.run("sh", "-c", "for i in 1 2 3; do (exec sleep 0.2 > /dev/null 2>&1 &); done")
        wait_for(lambda: "Z" not in [state for _, state in container.processes().values()],
                 "no zombie")
        container.run("svc", "-c", service)


class TestBrokenDirectories:
    """Each gives one clear line and disturbs no other."""

    @pytest.fixture(scope="class")
    def broken(self, start_for_module):
        container = start_for_module(program=["/bin/sh", "-c", """
            rm /service/sshd
            mkdir -p /services/good /services/without-run /services/not-executable \\
                /services/no-fifo/supervise /services/bad-interpreter /services/log-is-a-file
            printf '#!/bin/sh\\nexec sleep 1000\\n' > /services/good/run
            for one in not-executable no-fifo log-is-a-file; do
                cp /services/good/run /services/$one/run
            done
            chmod 755 /services/good/run /services/no-fifo/run /services/log-is-a-file/run
            chmod 644 /services/not-executable/run
            : > /services/no-fifo/supervise/control
            printf '#!/nonexistent\\n' > /services/bad-interpreter/run
            chmod 755 /services/bad-interpreter/run
            : > /services/log-is-a-file/log
            ln -s /services/* /service/
            ln -s /services/missing /service/dangling
            ln -s circle /service/circle
            exec apus init"""])
        container.wait_up("/service/good")
        # Several times the second after which a start is tried again.
        wait_for(lambda: re.search(r"\) [4-9] seconds", container.status("/service/good")), "4 s")
        return container

    @pytest.mark.parametrize("name, text", [
        ("without-run", "file does not exist"),
        ("not-executable", "access denied"),
        ("bad-interpreter", "file does not exist"),
        ("no-fifo", "supervise/control"),
        ("dangling", "file does not exist"),
        ("circle", "symbolic link loop"),
        ("log-is-a-file", "not a directory"),
    ])
    def test_one_clear_line(self, broken, name, text):
        lines = [line for line in broken.output().splitlines() if name in line]
        assert len(lines) == 1, broken.output()
        assert re.match(r"init: (warning|fatal): ", lines[0]) and text in lines[0]

    def test_no_other_line(self, broken):
        assert len(broken.output().splitlines()) == 7, broken.output()

    def test_the_good_one_runs_undisturbed(self, broken):
        assert re.fullmatch(r"up \(pid \d+\) \d+ seconds", broken.status("/service/good"))
        assert sum(name == "sleep" for name, _ in broken.processes().values()) >= 1

    def test_the_broken_ones_run_as_soon_as_they_are_mended(self, broken):
        broken.path("/services/not-executable/run").chmod(0o755)
        broken.wait_up("/service/not-executable")
        broken.write("/services/without-run/run", "#!/bin/sh\nexec sleep 1000\n", 0o755)
        broken.wait_up("/service/without-run")
        broken.write("/services/missing/run", "#!/bin/sh\nexec sleep 1000\n", 0o755)
        broken.run("sh", "-c", "kill -HUP 1")
        broken.wait_up("/service/dangling")


class TestScan:
    def test_a_new_link_is_started_at_once(self, container):
        container.write("/services/prompt/run", "#!/bin/sh\ncat /proc/uptime > started\n"
                        "exec sleep 1000\n", 0o755)
        start = time.monotonic()
        os.symlink("/services/prompt", container.path("/service/prompt"))
        wait_for(lambda: container.path("/services/prompt/started").exists(), "the start", 2)
        # daemontools looks every five seconds; a busy machine is no excuse for half a one.
        assert time.monotonic() - start < 0.5

    def test_a_directory_moved_into_place_is_started(self, container):
        container.write("/services/.new/run", "#!/bin/sh\nexec sleep 1000\n", 0o755)
        container.path("/services/.new").rename(container.path("/service/moved"))
        container.wait_up("/service/moved")

    def test_a_name_with_odd_bytes(self, container):
        name = "odd \udcff'name"
        container.write(f"/services/{name}/run", "#!/bin/sh\nexec sleep 1000\n", 0o755)
        os.symlink(f"/services/{name}", container.path(f"/service/{name}"))
        # svstat shows odd bytes in the manner of C.
        wait_for(lambda: container.run("svstat", f"/service/{name}").stdout.startswith(
            "/service/odd \\xff'name: up (pid "), "the service")

    def test_a_second_name_for_a_service_starts_no_second_copy(self, container):
        service = container.service("twice", "echo >> starts; exec sleep 1000")
        container.wait_up(service)
        os.symlink("/services/twice", container.path("/service/twice-again"))
        other = container.service("later", "exec sleep 1000")
        container.wait_up(other)
        assert pathlib.Path(container.path("/services/twice/starts")).read_text() == "\n"
