"""Options that give a program namespaces and mounts of its own, each by what the program can no longer do."""

import os
import socket
import subprocess

import pytest

from apus import background, run, wait_for

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
CHAINS = pytest.mark.parametrize("program", [["setcaps"], ["softlimit"], ["setcaps", "--user", "nobody"]],
                                 ids=lambda words: " ".join(words))


def confined(*words, script, cwd="/", **options):
    """What a shell says under the options."""
    return run(*words, "sh", "-c", script, cwd=cwd, **options)


@pytest.fixture(name="place")
def _place(tmp_path):
    """Outside of /tmp, which may get hidden, and open to every user."""
    path = f"/var/lib/apus-test-{os.getpid()}-{abs(hash(tmp_path))}"
    os.makedirs(f"{path}/inner/deep")
    for name in ("file", "inner/file"):
        with open(f"{path}/{name}", "w") as file:
            file.write("content\n")
        os.chmod(f"{path}/{name}", 0o666)
    for name in ("", "inner", "inner/deep"):
        os.chmod(f"{path}/{name}", 0o777)
    yield path
    subprocess.run(["rm", "-rf", path], check=True)


class TestMounts:
    @CHAINS
    def test_own_temporary_files(self, program, place):
        name = f"own-{os.getpid()}"
        result = confined(*program, "--own-tmp", script=f"ls -A /tmp /var/tmp; echo x > /tmp/{name} && cat /tmp/{name}"
                          " && stat -c '%a' /tmp /var/tmp")
        assert result.stdout.decode() == "/tmp:\n\n/var/tmp:\nx\n1777\n1777\n", result
        assert not os.path.exists(f"/tmp/{name}")

    @CHAINS
    def test_what_is_read_only(self, program, place):
        result = confined(*program, "--read-only", f"{place}/inner", script=f"cat {place}/inner/file; echo x > {place}/file;"
                          f" echo x > {place}/inner/file; touch {place}/inner/deep/new; cd {place}/inner && rm file")
        assert result.stdout == b"content\n"
        assert result.stderr.count(b"Read-only file system") == 3
        assert open(f"{place}/file").read() == "x\n" and open(f"{place}/inner/file").read() == "content\n"

    def test_a_file_is_read_only_too(self, place):
        result = confined("setcaps", "--read-only", f"{place}/file", script=f"echo x > {place}/file; rm {place}/file")
        assert b"Read-only file system" in result.stderr and b"busy" in result.stderr.lower()

    def test_all_but_some(self, place):
        result = confined("setcaps", "--read-only", "/", "--read-write", f"{place}/inner,-/nowhere",
                          script=f"echo x > {place}/inner/file; echo x > {place}/file; touch /etc/new; echo x > /dev/null")
        assert open(f"{place}/inner/file").read() == "x\n" and open(f"{place}/file").read() == "content\n"
        assert result.stderr.count(b"Read-only file system") == 2 and not os.path.exists("/etc/new")

    @pytest.mark.parametrize("root", ["//", "/.", "/../", "/proc/self/root", "/etc/.."])
    def test_the_root_by_another_name(self, place, root):
        result = confined("setcaps", "--read-only", root, script=f"echo x > {place}/file")
        assert open(f"{place}/file").read() == "content\n", result
        assert b"Read-only file system" in result.stderr or b"another option" in result.stderr

    @pytest.mark.parametrize("root", ["/", "//", "/.", "/proc/self/root"])
    def test_the_root_cannot_be_hidden(self, root):
        result = run("setcaps", "--inaccessible", root, "true")
        assert (result.returncode, result.stderr.decode()) == (
            100, f"setcaps: fatal: unable to make {root} inaccessible: it is the root directory\n")

    @pytest.mark.parametrize("outer", ["", "/,"])
    def test_the_inner_path_has_the_last_word(self, place, outer):
        result = confined("setcaps", "--read-write", place, "--read-only", f"{outer}{place}/inner",
                          script=f"echo x > {place}/file; echo x > {place}/inner/file; touch /etc/new")
        assert open(f"{place}/file").read() == "x\n" and open(f"{place}/inner/file").read() == "content\n"
        if not outer:
            os.unlink("/etc/new")
        assert result.stderr.count(b"Read-only file system") == (2 if outer else 1)

    @pytest.mark.parametrize("words", [
        ["--read-only", "{0}/inner", "--read-write", "{0}/inner"],
        ["--read-only", "{0}/link", "--read-write", "{0}/inner/deep"],
        ["--read-only", "/dev", "--own-dev"],
    ], ids=str)
    def test_options_that_contradict_each_other(self, place, words):
        os.symlink(f"{place}/inner/deep/far", f"{place}/link")
        os.makedirs(f"{place}/inner/deep/far")
        words = [word.format(place) for word in words]
        result = run("setcaps", *words, "true", cwd="/")
        assert (result.returncode, result.stderr.decode()) == (
            100, f"setcaps: fatal: unable to make {words[1]} read-only: another option makes it writable\n")

    def test_the_current_directory_is_no_way_around(self, place):
        result = confined("setcaps", "--read-only", place, script="touch new; echo x > file; pwd", cwd=f"{place}/inner")
        assert result.stdout.decode() == f"{place}/inner\n"
        assert result.stderr.count(b"Read-only file system") == 2
        result = confined("setcaps", "--inaccessible", place, script="ls", cwd=f"{place}/inner")
        assert result.returncode == 111
        assert result.stderr.decode() == f"setcaps: fatal: unable to stay in {place}/inner: file does not exist\n"

    @CHAINS
    def test_what_is_inaccessible(self, program, place):
        result = confined(*program, "--inaccessible", f"{place}/inner,{place}/file", "--inaccessible", "-/nowhere",
                          script=f"ls -A {place}/inner/*; cat {place}/file; echo x > {place}/file; touch {place}/inner/new;"
                          f" rm -f {place}/file; rmdir {place}/inner")
        assert result.stdout == b"" and result.returncode != 0
        assert os.path.exists(f"{place}/inner/file") and open(f"{place}/file").read() == "content\n"
        assert result.stderr.count(b"\n") >= 5

    @CHAINS
    def test_own_devices(self, program):
        result = confined(*program, "--own-dev", script="cd /dev; ls -A | tr '\\n' ' '; echo; echo x > null; head -c 2 zero | wc -c;"
                          " head -c 3 urandom | wc -c; echo out > stdout; touch /dev/new; echo x > /dev/shm/x; cat shm/x;"
                          " test -c ptmx || echo no ptmx; (echo x > full) 2>&- || echo none")
        lines = result.stdout.decode().splitlines()
        assert set(lines[0].split()) <= set("fd full null ptmx pts random shm stderr stdin stdout tty urandom zero".split())
        # A user's own standard output is whoever made it's: here root's.
        out = [] if "--user" in program else ["out"]
        assert lines[1:] == ["2", "3", *out, "x", "none"], (lines, result.stderr)

    def test_a_terminal_can_be_had(self):
        text = "import os, pty; m, s = pty.openpty(); os.write(s, b'x'); print(os.read(m, 1), os.ttyname(s))"
        assert run("setcaps", "--own-dev", "python3", "-c", text).stdout == b"b'x' /dev/pts/0\n"

    def test_nothing_of_it_is_seen_outside(self, place):
        before = open("/proc/self/mountinfo").read()
        result = confined("setcaps", "--own-tmp", "--own-dev", "--read-only", place, "--inaccessible", f"{place}/inner",
                          script="cat /proc/self/mountinfo")
        assert place in result.stdout.decode()
        assert open("/proc/self/mountinfo").read() == before


class TestNamespaces:
    @CHAINS
    def test_an_own_network(self, program):
        result = confined(*program, "--own", "net", script="ls /sys/class/net >/dev/null; cat /proc/net/dev | tail -n +3 | cut -d: -f1")
        assert result.stdout.split() == [b"lo"]
        # Loopback is up, and is not that of the others.
        text = ("import socket; s = socket.create_server(('127.0.0.1', 0)); c = socket.create_connection(s.getsockname());"
                "print('up')")
        assert run("setcaps", "--own", "net", "python3", "-c", text).stdout == b"up\n"

    def test_an_own_name_and_communication(self):
        queue = subprocess.run(["ipcmk", "-Q"], capture_output=True, text=True, check=True).stdout.split()[-1]
        try:
            assert "0x" in run("ipcs", "-q").stdout.decode()
            result = confined("setcaps", "--own", "ipc,uts", script="ipcs -q; hostname own && hostname")
            assert "0x" not in result.stdout.decode() and result.stdout.endswith(b"own\n")
        finally:
            subprocess.run(["ipcrm", "-q", queue], check=True)
        assert run("hostname").stdout != b"own\n"

    def test_own_users_make_the_rest_possible_for_everybody(self, place):
        """Nobody needs privilege for them; what the user may do is only about the namespace."""
        result = run("setuidgid", "nobody", "setcaps", "--own", "user,net", "--own-tmp", "--own-dev", "--read-only", place,
                     "--inaccessible", f"{place}/inner", "sh", "-c",
                     f"id -u; ls -A /tmp; echo x > {place}/file; ls {place}/inner/file; echo x > /dev/null; cat /proc/net/dev | wc -l",
                     cwd="/")
        assert result.stdout == b"65534\n3\n", result
        assert b"Read-only file system" in result.stderr and b"inner/file" in result.stderr

    def test_who_may_not(self):
        for words in (["--own-tmp"], ["--own", "net"], ["--read-only", "/usr"], ["--inaccessible", "/etc"], ["--own-dev"]):
            result = run("setuidgid", "nobody", "setcaps", *words, "true")
            assert (result.returncode, result.stderr) == (
                111, b"setcaps: fatal: unable to make namespaces, which needs CAP_SYS_ADMIN or --own user: permission denied\n")

    def test_where_there_can_be_no_users(self):
        """In a user namespace that allows no further one."""
        result = run("unshare", "--user", "--map-root-user", "sh", "-c",
                     "echo 0 > /proc/sys/user/max_user_namespaces; exec setcaps --own user true")
        assert result.returncode == 111
        assert b"as /proc/sys/user/max_user_namespaces allows none" in result.stderr


@pytest.mark.parametrize("words, code, message", [
    (["--own", "time"], 100, "bad namespace time: ipc, net, pid, user or uts"),
    (["--own", ""], 100, "bad namespace : ipc, net, pid, user or uts"),
    (["--read-only", "usr"], 100, "bad path usr: it must begin with a slash"),
    (["--inaccessible", "/etc,"], 100, "bad path : it must begin with a slash"),
    (["--read-only", "/nowhere"], 111, "unable to make /nowhere read-only: file does not exist"),
    (["--inaccessible", "/nowhere"], 111, "unable to make /nowhere inaccessible: file does not exist"),
], ids=str)
def test_mistakes(words, code, message):
    result = run("setcaps", *words, "true", cwd="/")
    assert (result.returncode, result.stderr.decode()) == (code, f"setcaps: fatal: {message}\n")


def test_tcpserver_gives_them_to_its_programs(place):
    """It reads its own files, while a program of it reaches neither those nor the network."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with background("tcpserver", "-RHl0", "--child-own=net", f"--child-inaccessible={place}/inner", "127.0.0.1", port, "sh",
                    "-c", f"cat /proc/net/dev | wc -l; cat {place}/inner/file 2>&1; cat {place}/file"):
        result = wait_for(lambda: (found := run("tcpcat", "127.0.0.1", port)).stdout and found, "an answer")
    lines = result.stdout.decode().splitlines()
    assert lines[0] == "3" and "content" not in lines[1] and lines[-1] == "content"


class TestControlGroup:
    """What no group of version 2 can do here; what it does where it can is tested in a machine."""

    @pytest.fixture(name="group")
    def _group(self):
        """This test's own group, which is empty in the end."""
        mounts = [line.split() for line in open("/proc/self/mountinfo") if " - cgroup2 " in line]
        if not mounts:
            pytest.skip("no control groups of version 2")
        path = f"{mounts[-1][4]}/apus-test-{os.getpid()}"
        try:
            os.mkdir(path)
        except OSError as error:
            pytest.skip(str(error))
        yield path
        for name in [entry.name for entry in os.scandir(path) if entry.is_dir()]:
            os.rmdir(f"{path}/{name}")
        os.rmdir(path)

    def inside(self, group, *words):
        return run("sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', group, *words)

    def test_a_controller_that_is_not_there(self, group):
        if "pids" in open(f"{group}/cgroup.controllers").read().split():
            pytest.skip("it is there")
        result = self.inside(group, "setcaps", "--cgroup", "pids=9", "echo", "unreached")
        assert (result.returncode, result.stdout, result.stderr.decode()) == (
            111, b"", f"setcaps: fatal: unable to limit pids in {group}, which does not have that controller:"
            " file does not exist\n")
        # It has not left the group that it made.
        wait_for(lambda: not [entry for entry in os.scandir(group) if entry.is_dir()], "an empty group")

    def test_where_there_are_none(self):
        result = run("unshare", "--mount", "sh", "-c", "umount -l /sys/fs/cgroup; exec setcaps --cgroup pids=9 true")
        assert (result.returncode, result.stderr) == (
            111, b"setcaps: fatal: unable to find a control group of version 2: file does not exist\n")

    def test_where_they_are_read_only(self, group):
        top = os.path.dirname(group)
        result = run("unshare", "--mount", "sh", "-c", f"mount -o remount,bind,ro {top}; exec setcaps --cgroup pids=9 true")
        assert result.returncode == 111 and b"unable to make a control group in " in result.stderr
        assert result.stderr.endswith(b": read-only file system\n")

    @pytest.mark.parametrize("words, message", [
        ("pids", "bad limit pids"), ("pids=0", "bad limit pids=0"), ("disk=1", "unknown resource disk: cpu, memory or pids"),
        ("memory=1T", "bad limit memory=1T"), ("cpu=0.001", "bad limit cpu=0.001"), ("", "bad limit "),
    ])
    def test_mistakes(self, words, message):
        result = run("setcaps", "--cgroup", words, "true")
        assert (result.returncode, result.stderr.decode()) == (100, f"setcaps: fatal: {message}\n")
