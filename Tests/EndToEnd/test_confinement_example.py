"""The example of the manual and of docs/confinement.md, run as it stands with a web server that is an
ordinary dynamic program of Debian's."""

import pathlib
import re

import pytest

from apus import BIN, ROOT, landlock_version, run

POLICIES = ROOT / "rootfs-skel/etc/seccomp"
# What the web server does: python reads it from its standard input.
SERVER = """
import ctypes, os, resource, socket
def refused(what, *arguments):
    try: what(*arguments)
    except PermissionError: return True
assert os.getuid() == 33 and os.getgroups() == [33] and os.umask(0) == 0o027
assert resource.getrlimit(resource.RLIMIT_NOFILE) == (1024, 4096)
with socket.socket() as server:
    server.bind(("127.0.0.1", 80))
assert open("/srv/www/index.html").read() == "page"
for path in "/srv/other", "/var/lib/dpkg/status", "/proc/self/status":
    assert refused(open, path), path
for path in "/srv/www/new", "/tmp/new", "/usr/new":
    assert refused(open, path, "w"), path
ctypes.CDLL("libz.so.1")
assert refused(os.execv, "/srv/www/program", ["program"])
open("/dev/null", "w").write("x")
print(PORTS, flush=True)
os.execv("/usr/bin/id", ["id", "-u"])
"""
PORTS_ARE_FREE = "not refused(lambda: socket.socket().bind(('127.0.0.1', 81)))"
# A file system with the page and the server in it, in namespaces of its own.
SETTING = """
set -e
ip link set lo up
mount --make-rprivate /
mount -t tmpfs -o mode=755 srv /srv
mkdir /srv/www
printf page > /srv/www/index.html
echo x > /srv/other
cp /bin/true /srv/www/program
chmod 755 /srv/www/program
mount -t tmpfs -o mode=755 programs /usr/local/sbin
cp /usr/bin/python3 /usr/local/sbin/httpd
mount --bind {directory}/passwd /etc/passwd
cd /srv
exec sh {directory}/example < {directory}/server
"""


def of_manual():
    page = (ROOT / "man/confinement-options.7").read_text()
    block = re.search(r"^\.Bd -literal -offset indent\n(exec setcaps --user www .*?)^\.Ed", page, re.M | re.S)
    return block[1].replace("\\e\n", "\\\n")


def of_documentation():
    text = (ROOT / "docs/confinement.md").read_text()
    return re.search(r"```sh\n(exec setcaps --user www [^`]*?--landlock[^`]*?)```", text, re.S)[1]


def test_it_is_the_same_in_both_places():
    assert of_manual() == of_documentation()


@pytest.mark.skipif(landlock_version() < 2, reason="the kernel's Landlock restricts less")
@pytest.mark.parametrize("more, ports_are_free", [("", True), ("--landlock bind=80,connect=none", False)])
def test_a_dynamic_program_runs(tmp_path, more, ports_are_free):
    if more and landlock_version() < 4:
        pytest.skip("the kernel's Landlock knows no ports")
    example = of_manual().replace("/etc/seccomp", str(POLICIES))
    example = example.replace("    httpd\n", f"    {more} httpd\n")
    (tmp_path / "example").write_text(example)
    (tmp_path / "server").write_text(SERVER.replace("PORTS", PORTS_ARE_FREE))
    (tmp_path / "passwd").write_text("www:x:33:33::/srv/www:/bin/sh\nroot:x:0:0::/root:/bin/sh\n")
    for parent in tmp_path.parents:
        if parent != pathlib.Path("/") and parent.stat().st_mode & 0o011 != 0o011:
            parent.chmod(parent.stat().st_mode | 0o011)
    (tmp_path / "setting").write_text(SETTING.format(directory=tmp_path))
    result = run("unshare", "--mount", "--net", "sh", tmp_path / "setting",
                 env={"PATH": f"{BIN}:/usr/local/sbin:/usr/bin:/bin:/usr/sbin:/sbin", "PYTHONHOME": "/usr"})
    # To bind port 81 the capability is enough, and Landlock, where it knows of ports, is what refuses it.
    assert (result.returncode, result.stdout.decode()) == (0, f"{ports_are_free}\n33\n"), result.stderr
