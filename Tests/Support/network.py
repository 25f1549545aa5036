"""A network of the test's own: nothing in it but loopback, every port free, names as the test says."""

import contextlib
import ctypes
import os
import pathlib
import socket
import struct
import subprocess
import tempfile
import threading

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_FS, CLONE_NEWNS, CLONE_NEWNET = 0x00000200, 0x00020000, 0x40000000


def _check(result):
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


@contextlib.contextmanager
def private_network(hosts="127.0.0.1 localhost\n", name_server="127.0.0.1", timeout=5):
    """During the block, this thread and what it starts have a network and an /etc of their own. libc
    waits `timeout` seconds for the name server."""
    thread = pathlib.Path("/proc/thread-self/ns")
    with contextlib.ExitStack() as stack:
        outside = [os.open(thread / kind, os.O_RDONLY) for kind in ("net", "mnt")]
        for descriptor in outside:
            stack.callback(os.close, descriptor)
        temporary = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        directory = os.getcwd()
        _check(LIBC.unshare(CLONE_NEWNET | CLONE_NEWNS))
        try:
            (temporary / "hosts").write_text(hosts)
            (temporary / "resolv.conf").write_text(f"nameserver {name_server}\noptions timeout:{timeout}\n")
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            subprocess.run(["mount", "--make-rprivate", "/"], check=True)
            for name in ("hosts", "resolv.conf"):
                subprocess.run(["mount", "--bind", temporary / name, f"/etc/{name}"], check=True)
            yield
        finally:
            # Threads started in the block share their directory with this one, which setns forbids.
            _check(LIBC.unshare(CLONE_FS))
            for descriptor, kind in zip(outside, (CLONE_NEWNET, CLONE_NEWNS)):
                _check(LIBC.setns(descriptor, kind))
            os.chdir(directory)


@contextlib.contextmanager
def tcp_server(port, serve, address="127.0.0.1", backlog=16):
    """Calls `serve(connection)` for every connection, each in a thread, and closes it afterwards."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen(backlog)

    def handle(connection):
        with connection, contextlib.suppress(OSError):
            serve(connection)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=handle, args=[connection], daemon=True).start()

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield
    finally:
        # Wakes the thread that waits in accept, which close alone does not.
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        acceptor.join(5)


@contextlib.contextmanager
def stuck_server(port, address="127.0.0.1"):
    """A port where connections get no answer: its backlog is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex((address, port))
        yield


def read_all(connection):
    """What the other side sends, to its end."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


def reset(connection):
    """Ends a connection with RST instead of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
