"""The manual pages: each program has one, installed with it, and its examples work as they stand. Only
the paths are this test's, and the servers, clients and daemons of others are replaced by stand-ins."""

import os
import pathlib
import re
import shutil
import struct
import tempfile

import pytest

from apus import BIN, ROOT, environment, run

# The pages whose examples run here.
PAGES = """
addcr.1 apus.8 argv0.1 chpst.8 date@.1 delcr.1 envdir.8 envuidgid.8 fghack.8 finger@.1 fixcrio.1 http@.1 mconnect-io.1
mconnect.1 multilog.8 pgrphack.8 rblsmtpd.1 readproctitle.8 runsv.8 runsvdir.8 recordio.1 setlock.8 setuidgid.8 softlimit.8
supervise.8 sv.8 svc.8 svcheck.8 svlogd.8 svok.8 svscan.8 svscanboot.8 svstat.8 svwait.8 tai64n.8 tai64nlocal.8 tcpcat.1 tcpclient.1
cd.8 chain.8 mkdirs.8 redirect.8 svoutput.8
catatonit.1 dumb-init.1 tini.1 invoke-run.8 utmpset.8 tcprules.1 tcprulescheck.1 tcpserver.1 who@.1 with-contenv.8
""".split()
USERS = ["log", "dns", "dnslog", "www"]
STAND_INS = ["qmail-smtpd", "httpd", "tinydns", "old-daemon", "sshd", "cron", "backup", "make", "who", "less",
             "program-that-signals-its-group"]
PORTS = [7, 25, 79, 8080]
# What examples take for given, in the directory that they run in.
FILES = {
    # Somebody on tty5, as utmp(5) has it.
    "records/utmp": struct.pack("<hxxi32s4s32s300x8x", 7, 77, b"tty5", b"5", b"joe"),
    "etc/tcp.ssh": b":allow\n", "dos.txt": b"a\r\n", "file": b"x", "web/index.html": b"x",
    "var/log/sshd/current": b"@400000003b9aca0a00000000 x\n",
    "var/service/sshd/run": b"#!/bin/sh\nexec sleep 1000\n",
    "var/service/sshd/log/run": b"#!/bin/sh\nexec cat\n",
}
# With network, processes, users and a scanner of its own.
SETTING = """
set -e
ip link set lo up
mount --make-rprivate /
mount --bind etc/passwd /etc/passwd
mount --bind etc/group /etc/group
for directory in /run /var/log; do mount --bind records $directory; done
for port in {ports}; do tcpserver -RHl0 127.0.0.1 $port cat & done
for port in {ports}; do until tcpclient -qRHl0 localhost $port true; do sleep 0.1; done; done
svscan service &
until svok service/sshd && svok service/sshd/log; do sleep 0.1; done
code=0; timeout 3 sh example < /dev/null || code=$?
# It writes on when the program that it watches has ended; the end of process 1 would be its own.
for turn in $(seq 100); do pgrep -x recordio > /dev/null || break; sleep 0.05; done
exit $code
"""


def examples(page):
    """The examples of a page, without the escapes of mdoc."""
    text = (ROOT / "man" / page).read_text()
    section = re.search(r"^\.Sh EXAMPLES\n(.*?)^\.Sh", text, re.M | re.S)
    assert section, f"{page} has no examples"
    found = re.findall(r"^\.Dl (.*?\n)|^\.Bd -literal[^\n]*\n(.*?)^\.Ed$", section[1], re.M | re.S)
    return [(line or block).replace("\\e", "\\").replace("\\ ", " ") for line, block in found]


def commands(text):
    """What is to be typed, and what is shown for it; a file that is shown is one that is there."""
    if re.match(r"\S+:(allow|deny)", text):
        return f"tcprules etc/cdb etc/tmp <<'END'\n{text}END\n", ""
    if text.startswith(("SV:", "[Unit]", "COPY")):
        # Lines for other processes 1 and of a Dockerfile, which tests of their own are about.
        return "", ""
    if not text.startswith("$ "):
        return text, ""
    typed, shown = "", ""
    for command, output in re.findall(r"^\$ (.*\n)((?:(?!\$ ).*\n)*)", text, re.M):
        if command.startswith("cat "):
            typed += f"cat > {command[4:-1]} <<'END'\n{output}END\n"
        else:
            typed, shown = typed + command, shown + output
    return typed, shown


def with_own_paths(text, place):
    return re.sub(r"(?<![\w.])/(etc|run|var|tmp|service|usr/sbin|usr/local)\b", rf"{place}/\1", text)


def with_patience(text):
    """Whoever types is slower than a server that starts."""
    text = re.sub(r"^(tcpserver .* 0 (\d+) .*)&$",
                  r"\1& until tcpclient -qRHl0 localhost \2 true; do sleep 0.1; done", text, flags=re.M)
    return re.sub(r"^(supervise (\S+)) &$", r"\1 & until svok \2; do sleep 0.1; done", text,
                  flags=re.M)


@pytest.fixture
def place():
    """What examples run in: a directory that other users may pass through, which pytest's are not."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="manual-"))
    for name, content in FILES.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
        (path / name).chmod(0o755)
    for name in ("service", "run", "tmp", "usr/sbin", "smtp"):
        (path / name).mkdir(parents=True)
    (path / "service/sshd").symlink_to(path / "var/service/sshd")
    for name in STAND_INS:
        (path / "usr/sbin" / name).write_text("#!/bin/sh\nexit 0\n")
        (path / "usr/sbin" / name).chmod(0o755)
    for name, ids in (("passwd", "x:4711:4711::/:/bin/sh"), ("group", "x:4711:")):
        (path / "etc" / name).write_text(pathlib.Path("/etc", name).read_text() + "".join(
            f"{user}:{ids}\n" for user in USERS))
    path.chmod(0o777)
    for name in ("var/log/sshd", "var/log/sshd/current"):
        os.chown(path / name, 4711, 4711)
    assert run("tcprules", "rules.cdb", "tmp/rules", cwd=path,
               input=b"joe@127.0.0.1:deny\n").returncode == 0
    assert run("tcprules", "etc/tcp.ssh.cdb", "tmp/rules", cwd=path, input=b":allow\n").returncode == 0
    yield path
    shutil.rmtree(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs namespaces")
@pytest.mark.parametrize("page", PAGES)
def test_examples_work(place, page):
    for text in examples(page):
        typed, shown = commands(text)
        if not typed:
            continue
        (place / "example").write_text(with_patience(with_own_paths(typed, place)))
        ports = [] if "tcpserver" in typed else PORTS
        (place / "setting").write_text(SETTING.format(ports=" ".join(map(str, ports))))
        result = run("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc",
                     "sh", "setting", cwd=place, env=environment(
                         SVDIR=place / "service",
                         PATH=f"{BIN}:{place}/usr/sbin:/usr/bin:/bin:/usr/sbin:/sbin"))
        assert result.returncode in (0, 124), (text, result)
        if shown:
            said = re.sub(r"^\d+ ", "5135 ", (result.stdout + result.stderr).decode(), flags=re.M)
            assert sorted(said.splitlines()) == sorted(shown.splitlines())
        else:
            assert not re.search(rb"usage|illegal|fatal|warning|not found|unable", result.stderr), \
                (text, result)


def test_install(tmp_path):
    """Every program and its page are where a user looks for them."""
    result = run("make", "-o", "build", "install", f"DESTDIR={tmp_path}", "PREFIX=/usr", cwd=ROOT)
    assert result.returncode == 0, result.stderr
    programs = sorted(path.name for path in BIN.iterdir())
    assert sorted(os.listdir(tmp_path / "usr/bin")) == programs
    for name in programs:
        assert (tmp_path / "usr/bin" / name).resolve() == tmp_path / "usr/bin/apus"
        page, = (tmp_path / "usr/share/man").glob(f"man[18]/{name}.[18]")
        assert page.stat().st_mode & 0o777 == 0o644
        text = run("mandoc", page).stdout
        assert re.search(rb"^N\x08NA\x08AM\x08ME\x08E", text, re.M), page
    # The licences of what is linked in come with it.
    documents = tmp_path / "usr/share/doc/apus"
    assert sorted(path.name for path in documents.iterdir()) == ["LGPL-2.1", "LICENSE", "NOTICE"]


def test_install_replaces_no_other_programs(tmp_path):
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/svc").write_text("of another package")
    words = ("make", "-o", "build", "install", f"DESTDIR={tmp_path}", "PREFIX=/usr")
    assert run(*words, cwd=ROOT).returncode != 0
    assert (tmp_path / "usr/bin/svc").read_text() == "of another package"
    assert run(*words, "ARGS=--force", cwd=ROOT).returncode == 0
    assert os.readlink(tmp_path / "usr/bin/svc") == "apus"
