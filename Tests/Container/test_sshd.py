"""sshd under tcpserver and multilog, as rootfs-skel sets it up, over real logins."""

import platform
import re
import socket
import subprocess
import threading
import time

import pytest

from apus import wait_for

SSHD, LOG = "/service/sshd", "/service/sshd/log"
# What the container is given, so that it is apus that takes it away.
POWERS = ["SYS_ADMIN", "SYS_MODULE", "SYS_PTRACE", "SYS_BOOT", "BPF"]
# chown, kill, setgid, setuid, net_bind_service, sys_chroot, audit_write
SSHD_CAPABILITIES = sum(1 << bit for bit in (0, 5, 6, 7, 10, 18, 29))


@pytest.fixture(scope="module")
def sshd(start_for_module, key):
    container = start_for_module(
        environment=["CONLIMIT=3"], capabilities=POWERS, seccomp=False,
        volumes=[(f"{key}.pub", "/root/.ssh/authorized_keys")])
    wait_for(lambda: "tcpserver: status: 0/3" in container.log(), "tcpserver", 30)
    # The tests connect more often from their one address than the rules as shipped allow.
    container.write("/etc/tcp.ssh", ":allow\n")
    assert container.run("make", "-C", "/etc/tcp").returncode == 0
    return container


@pytest.fixture
def rules(sshd):
    """Changes the access rules as the how-tos do, and puts them back."""
    before = sshd.path("/etc/tcp.ssh").read_text()

    def change(text):
        sshd.write("/etc/tcp.ssh", text)
        result = sshd.run("make", "-C", "/etc/tcp")
        assert result.returncode == 0, result.stderr

    yield change
    # make goes by the time of the change: never the same as the one before.
    change(before)


def messages(container):
    """The log's lines without their stamps; every line has one."""
    lines = container.log().splitlines()
    for line in lines:
        assert re.match(r"@[0-9a-f]{24} ", line), line
    return [line[26:] for line in lines]


def processes_in(lines, word):
    """The processes that tcpserver's lines of one kind are about."""
    return sorted(line.split()[2] for line in lines if line.startswith(f"tcpserver: {word} "))


def quiet(container):
    """Waits until no connection is open and none is still written about; returns how many lines the
    log has."""
    def still():
        before = container.log()
        time.sleep(0.3)
        return container.log() == before
    wait_for(lambda: "sshd" not in (name for name, _ in container.processes().values()), "quiet")
    wait_for(still, "the last line")
    return len(messages(container))


def lines_of(container, connections, since):
    """Waits until the log tells of the end of as many connections, and returns its lines."""
    wait_for(lambda: len(processes_in(messages(container)[since:], "end")) == connections and
             messages(container)[-1].startswith("tcpserver: status: "), "the end of the connections")
    return messages(container)[since:]


class TestLogin:
    def test_a_key_login_runs_a_command(self, sshd, key):
        result = sshd.ssh(key, "echo $USER $SSH_CLIENT")
        assert (result.returncode, result.stderr) == (0, "")
        assert re.fullmatch(r"root 127\.0\.0\.1 \d+ 22\n", result.stdout)

    @pytest.mark.parametrize("code", [1, 42, 254])
    def test_the_command_s_status_is_returned(self, sshd, key, code):
        assert sshd.ssh(key, f"exit {code}").returncode == code

    def test_bytes_pass_unchanged_both_ways(self, sshd, key):
        everything = bytes(range(256)) * 2000
        unchanged = sshd.ssh(key, "cat", input=everything, text=False).stdout == everything
        assert unchanged

    def test_a_terminal_is_given(self, sshd, key):
        result = sshd.ssh(key, "tty; stty size > /dev/null && echo terminal", options=["-tt"])
        assert re.match(r"/dev/pts/\d+\nterminal\n", result.stdout), result

    def test_an_ordinary_user_logs_in(self, sshd, key):
        sshd.run("useradd", "--create-home", "--password", "*", "--shell", "/bin/sh", "guest")
        sshd.run("sh", "-c", "mkdir -m 700 ~guest/.ssh && cat > ~guest/.ssh/authorized_keys && "
                 "chown -R guest: ~guest/.ssh", input=open(f"{key}.pub").read())
        assert sshd.ssh(key, "id -un; id -Gn", user="guest").stdout == "guest\nguest\n"

    def test_a_wrong_key_is_refused(self, sshd, tmp_path):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"],
                       check=True)
        result = sshd.ssh(tmp_path / "other", "true")
        assert result.returncode == 255 and "Permission denied" in result.stderr

    def test_files_go_both_ways_by_sftp(self, sshd, key, tmp_path):
        (tmp_path / "here").write_bytes(bytes(range(256)) * 1000)
        script = (f"mkdir files\nput -p {tmp_path}/here files/there\nrename files/there files/other\n"
                  f"chmod 600 files/other\nls -l files\nget files/other {tmp_path}/back\n"
                  "rm files/other\nrmdir files\n")
        result = sshd.sftp(key, script)
        assert result.returncode == 0, result.stderr
        assert (tmp_path / "back").read_bytes() == (tmp_path / "here").read_bytes()

    def test_ports_are_forwarded_both_ways(self, sshd, key):
        result = sshd.ssh(key, options=["-W", "127.0.0.1:22"], input="", timeout=20)
        assert result.stdout.startswith("SSH-2.0-")
        peek = "bash -c 'exec 3<> /dev/tcp/127.0.0.1/4222 && head -c 8 <&3'"
        result = sshd.ssh(key, peek, options=["-R", "127.0.0.1:4222:127.0.0.1:22"])
        assert result.stdout == "SSH-2.0-", result.stderr

    def test_sshd_is_a_child_of_tcpserver(self, sshd, key):
        tcpserver = sshd.wait_up(SSHD)
        assert sshd.process_status(tcpserver)["Name"] == "tcpserver"
        listener = sshd.ssh(key, "sed -n 's/^PPid:\t//p' /proc/$PPID/status").stdout
        assert int(listener) == tcpserver


class TestLogOfConnections:
    def test_one_connection_leaves_the_lines_of_ucspi_tcp(self, sshd, key):
        before = quiet(sshd)
        sshd.ssh(key, "true")
        lines = lines_of(sshd, 1, before)
        pid = re.fullmatch(r"tcpserver: pid (\d+) from 127\.0\.0\.1", lines[1])[1]
        assert lines[0] == "tcpserver: status: 1/3"
        assert re.fullmatch(rf"tcpserver: ok {pid} 0:127\.0\.0\.1:22 :127\.0\.0\.1::\d+", lines[2])
        assert any(re.match("Accepted publickey for root from 127.0.0.1 port", line) for line in lines)
        assert re.fullmatch(rf"tcpserver: end {pid} status \d+", lines[-2])
        assert lines[-1] == "tcpserver: status: 0/3"

    def test_tai64nlocal_prints_it_in_local_time(self, sshd):
        result = sshd.run("sh", "-c", "tai64nlocal < /var/log/sshd/current")
        now = sshd.run("date", "+%Y-%m-%d").stdout.strip()
        assert re.match(rf"{now} \d\d:\d\d:\d\d\.\d{{9}} \S", result.stdout.splitlines()[-1])


class TestAccessRules:
    def test_a_denied_address_is_denied_and_logged(self, sshd, key, rules):
        rules("127.0.0.2:deny\n:allow\n")
        refused = sshd.ssh(key, "true", source="127.0.0.2")
        assert refused.returncode == 255
        line = wait_for(lambda: re.search(
            r"tcpserver: deny (\d+) [^:]*:127\.0\.0\.1:22 :127\.0\.0\.2::\d+\n", sshd.log()),
            "the deny line")
        wait_for(lambda: f"tcpserver: end {line[1]} status 25600\n" in sshd.log(), "its end")
        assert f"tcpserver: ok {line[1]} " not in sshd.log()
        assert sshd.ssh(key, "echo in").stdout == "in\n"

    def test_a_denied_address_gets_no_byte(self, sshd, rules):
        rules("127.0.0.3:deny\n:allow\n")
        with sshd.connect(22, "127.0.0.3") as refused:
            assert refused.recv(100) == b""

    def test_the_next_connection_goes_by_the_new_rules(self, sshd, key, rules):
        rules(":deny\n")
        assert sshd.ssh(key, "true").returncode == 255
        rules("127.0.0.1:allow\n:deny\n")
        assert sshd.ssh(key, "true").returncode == 0

    def test_the_steps_of_the_other_how_to_do_the_same(self, sshd, key):
        before = sshd.path("/etc/tcp.ssh").read_text()
        compile_rules = ("tcprules /etc/tcp.ssh.cdb /etc/tcp.ssh.tmp < /etc/tcp.ssh && "
                         "chmod 644 /etc/tcp.ssh.cdb")
        try:
            sshd.write("/etc/tcp.ssh", "127.0.0.4:deny\n:allow\n")
            assert sshd.run("sh", "-c", compile_rules).returncode == 0
            assert sshd.ssh(key, "true", source="127.0.0.4").returncode == 255
            assert sshd.ssh(key, "true").returncode == 0
        finally:
            sshd.write("/etc/tcp.ssh", before)
            sshd.run("sh", "-c", compile_rules)

    def test_tcprulescheck_says_what_a_rule_does(self, sshd, rules):
        rules("127.0.0.5:deny\n127.:allow,MAXCONNIP=\"5\"\n:deny\n")
        result = sshd.run("env", "TCPREMOTEIP=127.0.0.9", "tcprulescheck", "/etc/tcp.ssh.cdb")
        assert result.stdout == ("rule 127.:\nset environment variable MAXCONNIP=5\n"
                                 "allow connection\n")


class TestLimit:
    def test_one_connection_too_many_waits_until_another_ends(self, sshd):
        before = quiet(sshd)
        held = []
        try:
            for _ in range(3):
                held.append(sshd.connect(22))
                assert held[-1].recv(8) == b"SSH-2.0-"
            wait_for(lambda: "tcpserver: status: 3/3" in messages(sshd)[before:],
                     "three connections")
            waiting = sshd.connect(22)
            held.append(waiting)
            waiting.settimeout(1.5)
            with pytest.raises(socket.timeout):
                waiting.recv(8)
            assert "tcpserver: status: 4/3" not in sshd.log()
            held.pop(0).close()
            waiting.settimeout(10)
            assert waiting.recv(8) == b"SSH-2.0-"
        finally:
            for connection in held:
                connection.close()
        lines_of(sshd, 4, before)


class TestRestart:
    def test_killed_tcpserver_comes_back_and_sessions_go_on(self, sshd, key):
        pid = sshd.wait_up(SSHD)
        session = threading.Thread(
            target=lambda: results.append(sshd.ssh(key, "sleep 2; echo still here").stdout))
        results = []
        session.start()
        wait_for(lambda: any(name == "sleep" for name, _ in sshd.processes().values()), "the session")
        wait_for(lambda: re.search(r"up \(pid \d+\) [1-9]", sshd.status(SSHD)), "a second of life")
        start = time.monotonic()
        sshd.run("kill", "-KILL", pid)
        # It lived for more than a second, so nothing need be waited for.
        sshd.wait_up(SSHD, other_than=pid, seconds=1)
        assert time.monotonic() - start < 1
        wait_for(lambda: sshd.ssh(key, "true").returncode == 0, "a login")
        session.join()
        assert results == ["still here\n"]

    @pytest.mark.parametrize("signal", ["KILL", "TERM"])
    def test_killed_multilog_comes_back_and_no_line_is_lost(self, sshd, key, signal):
        before = quiet(sshd)
        tcpserver = sshd.wait_up(SSHD)
        for _ in range(3):
            pid = sshd.wait_up(LOG)
            sshd.run("kill", f"-{signal}", pid)
            assert sshd.ssh(key, "true").returncode == 0
            sshd.wait_up(LOG, other_than=pid, seconds=3)
        lines = lines_of(sshd, 3, before)
        assert len(processes_in(lines, "pid")) == 3
        assert processes_in(lines, "pid") == processes_in(lines, "ok") == processes_in(lines, "end")
        assert sum(line.startswith("Accepted publickey") for line in lines) == 3
        assert sum(line.startswith("tcpserver: status: ") for line in lines) == 6
        assert sshd.up(SSHD) == tcpserver

    def test_a_new_cdb_is_made_where_the_rules_are_newer(self, sshd, key):
        before = sshd.path("/etc/tcp.ssh").read_text()
        try:
            sshd.write("/etc/tcp.ssh", "127.0.0.6:deny\n:allow\n")
            pid = sshd.wait_up(SSHD)
            sshd.run("svc", "-t", SSHD)
            sshd.wait_up(SSHD, other_than=pid)
            wait_for(lambda: sshd.ssh(key, "true").returncode == 0, "a login")
            assert sshd.ssh(key, "true", source="127.0.0.6").returncode == 255
        finally:
            sshd.write("/etc/tcp.ssh", before)
            sshd.run("make", "-C", "/etc/tcp")


# name -> (number on x86_64, number on aarch64, arguments that do no harm where it is allowed)
FORBIDDEN = {
    "mount": (165, 40, "0, 0, 0, 0, 0"),
    "umount2": (166, 39, "0, 0"),
    "pivot_root": (155, 41, "0, 0"),
    "open_tree": (428, 428, "-1, 0, 0"),
    "move_mount": (429, 429, "-1, 0, -1, 0, -1"),
    "fsopen": (430, 430, "0, 0"),
    "mount_setattr": (442, 442, "-1, 0, -1, 0, 0"),
    "open_by_handle_at": (304, 265, "-1, 0, 0"),
    "init_module": (175, 105, "0, 0, 0"),
    "finit_module": (313, 273, "-1, 0, 0"),
    "delete_module": (176, 106, "0, 0"),
    "kexec_load": (246, 104, "0, 0, 0, -1"),
    "kexec_file_load": (320, 294, "-1, -1, 0, 0, -1"),
    "bpf": (321, 280, "-1, 0, 0"),
    "perf_event_open": (298, 241, "0, 0, 0, 0, 0"),
    "userfaultfd": (323, 282, "-1"),
    "io_uring_setup": (425, 425, "0, 0"),
    "ptrace": (101, 117, "-1, 0, 0, 0"),
    "process_vm_readv": (310, 270, "0, 0, 0, 0, 0, -1"),
    "process_vm_writev": (311, 271, "0, 0, 0, 0, 0, -1"),
    "setns": (308, 268, "-1, 0"),
    "unshare": (272, 97, "0x10000000"),
    # A child, where it is made, ends at once.
    "clone": (56, 220, "0x10000011, 0, 0, 0, 0"),
    "clone3": (435, 435, "0, 0"),
}
PROBE = ("$result = syscall(%d, %s); exit 0 if $result == 0 and %d; "
         "print $result < 0 ? $! + 0 : 0;")


def probe(name):
    intel, arm, arguments = FORBIDDEN[name]
    number = intel if platform.machine() == "x86_64" else arm
    return PROBE % (number, arguments, name == "clone")


class TestConfinement:
    def test_sshd_and_its_sessions_have_few_capabilities(self, sshd, key):
        for who in ("self", "$PPID"):
            text = sshd.ssh(key, f"cat /proc/{who}/status").stdout
            status = dict(line.split(":\t", 1) for line in text.splitlines())
            assert int(status["CapBnd"], 16) == SSHD_CAPABILITIES
            assert int(status["CapEff"], 16) & ~SSHD_CAPABILITIES == 0
            assert int(status["CapAmb"], 16) == 0
            assert status["Seccomp"] == "2"

    def test_tcpserver_is_confined_itself(self, sshd):
        status = sshd.process_status(sshd.wait_up(SSHD))
        assert int(status["CapBnd"], 16) == SSHD_CAPABILITIES
        assert status["Seccomp"] == "2"

    def test_set_user_id_programs_work_where_the_filter_needs_no_more(self, sshd, key):
        """The filter is there before CAP_SYS_ADMIN is gone, if the container has it; else with
        no_new_privs, and then nobody becomes another."""
        sshd.run("sh", "-c", "id -u guest || useradd --create-home --password '*' --shell /bin/sh guest; "
                 "mkdir -pm 700 ~guest/.ssh; cat > ~guest/.ssh/authorized_keys; chown -R guest: ~guest/.ssh; "
                 "install -m 4755 /usr/bin/id /usr/local/bin/id-of-root", input=open(f"{key}.pub").read())
        has_administration = int(sshd.process_status(1)["CapBnd"], 16) >> 21 & 1
        result = sshd.ssh(key, "id-of-root -u; grep NoNewPrivs /proc/self/status", user="guest")
        user = sshd.run("id", "-u", "guest").stdout
        assert result.stdout == ("0\nNoNewPrivs:\t0\n" if has_administration else f"{user}NoNewPrivs:\t1\n")

    def test_svls_shows_it(self, sshd):
        sshd.wait_up(SSHD)
        lines = [line.split() for line in sshd.run("svls").stdout.splitlines()]
        assert [line[:2] for line in lines] == [["service", "state"], ["sshd", "up"], ["sshd/log", "up"]]
        result = sshd.run("svls", "--confinement")
        assert (result.returncode, result.stderr) == (0, "")
        blocks = {}
        for line in result.stdout.splitlines():
            if line.startswith("    "):
                blocks[name][line[4:18].strip()] = line[18:]
            else:
                name, judgement = line.split(": ", 1)
                blocks[name] = {"judgement": judgement}
        server, log = blocks["sshd"], blocks["sshd/log"]
        assert re.fullmatch(rf"tight, 0 of 100 \(multilog, pid {sshd.up(LOG)}\)", log["judgement"])
        assert (log["user"], log["group"], log["groups"]) == ("log", "log", "log")
        assert {log[name] for name in ("permitted", "effective", "inheritable", "ambient", "bounding")} == {"none"}
        assert log["no_new_privs"] == "yes" and log["seccomp"].startswith("filter, ")
        judgement = "medium, 35" if server["no_new_privs"] == "yes" else "weak, 45"
        assert server["judgement"] == f"{judgement} of 100 (tcpserver, pid {sshd.up(SSHD)})"
        assert server["bounding"] == "chown,kill,setgid,setuid,net_bind_service,sys_chroot,audit_write"
        assert server["user"] == "root" and server["seccomp"].startswith("filter, ")
        assert "data=268435456:" in server["limits"] and "data=" not in log["limits"]
        assert log["namespaces"] == server["namespaces"] == "the same"

    def test_ordinary_programs_do_in_a_session_what_they_do_outside(self, sshd, key):
        script = ("cd $(mktemp -d) && echo text > file && tar cf - file | gzip | zcat | tar xOf - && ln file link && "
                  "mkfifo fifo && (cat fifo & echo piped > fifo; wait) && nice -n 5 nice && timeout 5 true && "
                  "find . -name link && flock file echo locked && setsid -w echo session && taskset 1 nproc && "
                  "chmod 4755 file && stat -c %a file && dd if=file bs=2 count=2 status=none && "
                  "perl -MSocket -e 'socketpair my $a, my $b, AF_UNIX, SOCK_STREAM, 0 or die; print getpwnam(q(log)) ? 1 : 0' && "
                  "chown log file && stat -c %U file && dpkg-query -W -f '${Status}' make && sleep 0.1")
        result = sshd.ssh(key, script)
        outside = sshd.run("sh", "-c", script)
        assert outside.returncode == 0, outside.stderr
        assert (result.returncode, result.stdout) == (0, outside.stdout), result.stderr

    def test_process_1_is_not(self, sshd):
        status = sshd.process_status(1)
        assert int(status["CapBnd"], 16) & ~SSHD_CAPABILITIES

    def test_limits_of_softlimit_hold(self, sshd):
        limits = sshd.path(f"/proc/{sshd.wait_up(SSHD)}/limits").read_text()
        for limit in (r"core file size +0 ", r"data size +268435456 ", r"open files +1024 "):
            assert re.search(limit, limits), limits

    def test_the_log_is_written_by_a_user_without_power(self, sshd):
        pid = sshd.wait_up(LOG)
        status = sshd.process_status(pid)
        user = sshd.run("id", "-u", "log").stdout.strip()
        group = sshd.run("id", "-g", "log").stdout.strip()
        assert status["Name"] == "multilog"
        assert status["Uid"].split() == [user] * 4
        assert status["Gid"].split() == [group] * 4
        assert status["Groups"].split() == [group]
        for field in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(status[field], 16) == 0, field
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")

    def test_the_log_is_not_for_everybody(self, sshd):
        result = sshd.run("stat", "-c", "%U %a", "/var/log/sshd")
        assert result.stdout == "log 750\n"

    @pytest.mark.parametrize("name", FORBIDDEN)
    def test_forbidden(self, sshd, key, name):
        expected = "38" if name == "clone3" else "1"
        assert sshd.ssh(key, f"perl -e '{probe(name)}'").stdout == expected
        # The proof that it is the filter: without it something else comes out.
        assert sshd.run("perl", "-e", probe(name)).stdout != expected

    def test_a_new_user_namespace_cannot_be_made(self, sshd, key):
        result = sshd.ssh(key, "unshare --user true")
        assert result.returncode == 1 and "Operation not permitted" in result.stderr

    def test_ordinary_threads_and_children_can_be_made(self, sshd, key):
        result = sshd.ssh(key, "perl -e 'for (1..20) { fork or exit 0 } 1 while wait > 0; print 1' "
                          "&& xargs -P 4 -n 1 echo", input="1 2 3 4\n")
        assert sorted(result.stdout) == sorted("11\n2\n3\n4\n")


class TestWalkthrough:
    def test_modes(self, sshd):
        result = sshd.run("stat", "-c", "%a %n", "/var/service/sshd", "/var/service/sshd/log",
                          "/var/service/sshd/run", "/var/service/sshd/log/run",
                          "/etc/tcp.ssh.cdb")
        assert [line.split()[0] for line in result.stdout.splitlines()] == [
            "1755", "755", "755", "755", "644"]

    def test_both_are_up_for_more_than_a_second_and_rising(self, sshd):
        def ages():
            text = sshd.run("svstat", SSHD, LOG).stdout
            found = re.fullmatch(rf"{SSHD}: up \(pid \d+\) (\d+) seconds\n"
                                 rf"{LOG}: up \(pid \d+\) (\d+) seconds\n", text)
            return found and [int(age) for age in found.groups()]
        first = wait_for(lambda: (found := ages()) and min(found) > 1 and found, "two seconds of life")
        wait_for(lambda: all(now > then for now, then in zip(ages(), first)), "rising")

    def test_host_keys_stay_the_same_over_a_restart(self, sshd, key):
        before = sshd.run("ssh-keygen", "-lf", "/etc/ssh/ssh_host_ed25519_key.pub").stdout
        pid = sshd.wait_up(SSHD)
        sshd.run("svc", "-t", SSHD)
        sshd.wait_up(SSHD, other_than=pid)
        wait_for(lambda: sshd.ssh(key, "true").returncode == 0, "a login")
        assert sshd.run("ssh-keygen", "-lf", "/etc/ssh/ssh_host_ed25519_key.pub").stdout == before
        assert before.startswith("256 SHA256:")

    def test_run_by_hand_says_what_is_wrong(self, sshd):
        result = sshd.run("sh", "-c", "cd /service/sshd && ./run")
        assert result.returncode == 111
        assert result.stdout.endswith("tcpserver: fatal: unable to bind: address already used\n")

    def test_taking_it_away(self, start, key):
        container = start(volumes=[(f"{key}.pub", "/root/.ssh/authorized_keys")])
        wait_for(lambda: "tcpserver: status: 0/40" in container.log(), "tcpserver", 30)
        result = container.run("sh", "-c", "cd /var/service/sshd && rm /service/sshd && svc -dx . log")
        assert (result.returncode, result.stderr) == (0, "")
        wait_for(lambda: [name for name, _ in container.processes().values()] == ["apus"],
                 "nothing but process 1")
        assert container.run("svstat", "/var/service/sshd").stdout == (
            "/var/service/sshd: supervise not running\n")
