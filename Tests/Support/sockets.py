"""What tests of network programs share: a tcpserver that runs for a while, and clients of it."""

import contextlib
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile

from apus import BIN, environment, run, wait_for

# A tcpserver that says everything and looks nothing up.
FAST = ("-v", "-R", "-H", "-l0")


class Server:
    """A running tcpserver: its port, its log, and how to end it."""

    def __init__(self, process, port, log):
        self.process = process
        self.port = port
        self._log = log

    @property
    def log(self):
        return self._log.read_bytes()

    def wait_for_log(self, pattern, count=1):
        """Waits until the log has `count` matches of `pattern` (bytes); returns the log."""
        wait_for(lambda: len(re.findall(pattern, self.log)) >= count,
                 f"{count} of {pattern!r} in the log")
        return self.log

    def stop(self, number=signal.SIGTERM):
        """Ends it; returns its exit status."""
        self.process.send_signal(number)
        return self.process.wait(10)


@contextlib.contextmanager
def tcpserver(*arguments, programs=BIN, host="127.0.0.1", port="0", child=("cat",), env=None,
              cwd=None, before=(), **options):
    """`tcpserver -1 ARGUMENTS HOST PORT CHILD` during the block; `before` is a prefix of the command.
    The log goes to a file, so that it never blocks."""
    with tempfile.TemporaryDirectory(prefix="tcpserver-") as directory:
        log = pathlib.Path(directory, "log")
        with open(log, "ab") as file:
            process = subprocess.Popen(
                [*before, pathlib.Path(programs, "tcpserver"), "-1", *arguments, host, str(port), *child],
                stdout=subprocess.PIPE, stderr=file, stdin=subprocess.DEVNULL,
                env=environment() if env is None else env, cwd=cwd, start_new_session=True,
                **options)
        try:
            line = process.stdout.readline()
            assert line.endswith(b"\n"), log.read_bytes()
            # It keeps nothing open that somebody who reads the port would wait for.
            assert process.stdout.read() == b""
            yield Server(process, int(line), log)
        finally:
            process.stdout.close()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def connect(port, host="127.0.0.1", source=None):
    """A connection, with ten seconds for everything on it."""
    return socket.create_connection(
        (host, port), 10, source_address=(source, 0) if source else None)


def read_all(connection):
    """What comes until the end of file; a reset ends it too."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while chunk := connection.recv(65536):
            received += chunk
    return received


def talk(port, send=b"", host="127.0.0.1", source=None):
    """Sends, says that this was all, and returns (what came back, the port it came from here)."""
    with connect(port, host, source) as connection:
        with contextlib.suppress(ConnectionError, OSError):
            connection.sendall(send)
            connection.shutdown(socket.SHUT_WR)
        return read_all(connection), connection.getsockname()[1]


def compile_rules(directory, text, name="rules.cdb"):
    """Makes a cdb of the text of access rules."""
    result = run(BIN / "tcprules", name, name + ".tmp", input=text, cwd=directory)
    assert (result.returncode, result.stderr) == (0, b"")


def variables(text):
    """The environment, as `env -0` prints it."""
    return dict(entry.split(b"=", 1) for entry in text.split(b"\0") if entry)


def cpu_seconds(pid):
    """The time a process has used so far."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def free_port():
    """A port of the loopback address that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
