"""The two ways of docs/tls.md, with its files as they stand; only paths are this test's."""

import contextlib
import os
import re
import socket
import ssl

import pytest

from apus import ROOT, environment, run, wait_for
from network import private_network
from services import supervisor
from sockets import compile_rules

TEXT = (ROOT / "docs/tls.md").read_text()
PROGRAM = "#!/bin/sh\nread line\necho \"$TCPREMOTEIP says $line\"\n"


def part(name, number=0):
    """The file called `name` in the text."""
    found = re.findall(rf"^`{re.escape(name)}`[^\n]*\n\n```\w+\n(.*?)^```$", TEXT, re.M | re.S)
    return found[number]


@pytest.fixture
def place(tmp_path):
    """A scan directory, a certificate, rules that know two addresses, and the program."""
    result = run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                 "-nodes", "-subj", "/CN=localhost", "-keyout", tmp_path / "key",
                 "-out", tmp_path / "cert")
    assert result.returncode == 0, result.stderr
    (tmp_path / "web.pem").write_text(
        (tmp_path / "key").read_text() + (tmp_path / "cert").read_text())
    (tmp_path / "web.pem").chmod(0o600)
    compile_rules(tmp_path, b"127.0.0.3:deny\n:allow\n", "tcp.web.cdb")
    (tmp_path / "web").write_text(PROGRAM)
    (tmp_path / "web").chmod(0o755)
    return tmp_path


def lay(place, service, text):
    """A service directory with the program in it."""
    directory = place / "scan" / service
    directory.mkdir(parents=True)
    (directory / "run").write_text(here(place, text))
    (directory / "run").chmod(0o755)
    (directory / "web").symlink_to(place / "web")


def here(place, text):
    for path in ("/etc/stunnel/", "/etc/ssl/private/", "/usr/local/bin/", "/etc/"):
        text = text.replace(path, f"{place}/")
    return text


def ask(place, source):
    """What the program answers to a client that comes from `source`, by TLS."""
    context = ssl.create_default_context(cafile=place / "cert")
    with contextlib.suppress(OSError), \
            socket.create_connection(("127.0.0.1", 443), 10, (source, 0)) as plain, \
            context.wrap_socket(plain, server_hostname="localhost") as secure:
        secure.sendall(b"hello\n")
        return secure.recv(100)
    return b""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a network of its own")
@pytest.mark.parametrize("files", [
    {"web.conf": "/etc/stunnel/web.conf", "tls": "/var/service/tls/run",
     "web": "/var/service/web/run"},
    {"one.conf": "/etc/stunnel/one.conf", "web": "/var/service/web/run"},
], ids=["before", "behind"])
def test_client_is_known_through_tls(place, files):
    for name, path in files.items():
        text = part(path, -1 if "one.conf" in files else 0)
        if name.endswith(".conf"):
            (place / name).write_text(here(place, text))
        else:
            lay(place, name, text)
    with private_network(), supervisor("svscan", place / "scan", env=environment()):
        wait_for(lambda: ask(place, "127.0.0.2") == b"127.0.0.2 says hello\n", "an answer")
        assert ask(place, "127.0.0.3") == b""
