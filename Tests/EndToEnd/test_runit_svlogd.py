"""svlogd where the original cannot be compared with: datagrams, a full disk, crashes, signals at the wrong time."""

import contextlib
import os
import re
import signal
import socket
import subprocess

import pytest

from apus import background, environment, run, wait_for
from services import lines

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts small file systems")


# With a size of 1050, a file ends when it has 950 bytes: 150 short lines fill one.
ONE = ("-l", "100")


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "main"
    path.mkdir()
    return path


def old(path):
    return sorted(name for name in os.listdir(path) if name.startswith("@"))


@contextlib.contextmanager
def logging(*words, **options):
    with background("svlogd", *words, stdin=subprocess.PIPE, stderr=subprocess.PIPE, **options) as process:
        os.set_blocking(process.stderr.fileno(), False)
        yield process


def say(process, *texts):
    for text in texts:
        process.stdin.write(f"{text}\n".encode())
    process.stdin.flush()


@pytest.fixture
def listener():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.bind(("127.0.0.1", 0))
        found.settimeout(30)
        yield found


@pytest.mark.parametrize("letter", ["u", "U"])
def test_lines_are_sent(log, listener, letter):
    (log / "config").write_text(f"{letter}127.0.0.1:{listener.getsockname()[1]}\npweb: \n-*secret*\n")
    with logging("-tt", log) as process:
        say(process, "one", "a secret", "x" * 2000)
        first, second = listener.recv(5000), listener.recv(5000)
        process.stdin.close()
        assert process.wait(10) == 0
    stamp = rb"\d{4}-\d\d-\d\d_\d\d:\d\d:\d\d\.\d{5} web: "
    assert re.fullmatch(stamp + rb"one\n", first)
    assert re.fullmatch(stamp + b"x" * 1000 + rb"\.\.\.\n", second)
    written = lines(log / "current")
    assert len(written) == (2 if letter == "u" else 0)


def test_a_line_that_cannot_be_sent_is_in_the_log(log):
    (log / "config").write_text("U127.0.0.1:9\n")
    size = 70000
    result = run("svlogd", "-l", size, "-b", size + 1, log, input=b"x" * size + b"\n")
    assert (result.returncode, result.stderr) == (0, b"")
    assert (log / "current").read_bytes() == (
        b"warning: failure sending through udp: " + b"x" * size + b"...\n")


@pytest.fixture
def small(log):
    """The log directory on a file system of its own, of 64 KiB."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", log], check=True)
    yield log
    subprocess.run(["umount", "-l", log], check=True)


def test_a_full_disk_costs_old_files(small):
    (small / "config").write_text("s8192\nn100\nN2\n")
    data = b"".join(b"%09d\n" % number for number in range(20000))
    result = run("svlogd", small, input=data)
    assert result.returncode == 0
    assert b"svlogd: warning: out of disk space, delete: " in result.stderr
    kept = b"".join((small / name).read_bytes() for name in [*old(small), "current"])
    assert len(kept) > 24000 and data.endswith(kept)


def test_a_full_disk_makes_it_pause_and_lose_nothing(small):
    (small / "config").write_text("s0\n")
    (small / "ballast").write_bytes(bytes(40000))
    data = b"".join(b"%09d\n" % number for number in range(5000))
    with logging(small) as process:
        feeder = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=process.stdin)
        feeder.stdin.write(data)
        feeder.stdin.close()
        process.stdin.close()
        wait_for(lambda: (process.stderr.read() or b"").startswith(
            f"svlogd: pausing: unable to write to current: {small}: ".encode()), "the pause")
        (small / "ballast").unlink()
        assert process.wait(20) == 0
        assert feeder.wait(10) == 0
    assert (small / "current").read_bytes() == data


def test_a_kill_at_any_time_leaves_every_line(log):
    """What has been written is in one file or another, in order, however often it is killed."""
    (log / "config").write_text("s1500\nn1000\n")
    reader, writer = os.pipe()
    os.set_inheritable(reader, True)
    total = 0
    for round in range(12):
        with background("svlogd", "-t", log, stdin=reader) as process:
            for _ in range(40):
                os.write(writer, b"line %d\n" % total)
                total += 1
            wait_for(lambda last=total - 1: any(f"line {last}" in line for name in [*old(log), "current"]
                     for line in lines(log / name)[-1:]) or None, "the last line")
            process.kill()
            process.wait()
    os.close(writer)
    os.close(reader)
    found = [line.split()[2] for name in [*old(log), "current"] for line in lines(log / name)]
    assert found == [str(number) for number in range(total)]


def test_names_stay_in_order_when_the_clock_goes_back(log):
    (log / "config").write_text("s1100\nn100\n")
    (log / ("@40000000ffffffff00000000" + ".s")).write_text("of the future\n")
    assert run("svlogd", log, input=b"".join(b"%d\n" % n for n in range(1000))).returncode == 0
    assert old(log)[0] == "@40000000ffffffff00000000.s"
    assert len(old(log)) > 1


def test_a_processor_does_not_hold_up_lines(log):
    (log / "config").write_text("s1050\n!until test -e go; do sleep 0.05; done; cat\n")
    with logging(*ONE, log) as process:
        say(process, *(f"line {number}" for number in range(150)))
        say(process, "last")
        wait_for(lambda: "last" in lines(log / "current"), "the line")
        assert [name[-2:] for name in old(log)].count(".u") == 1
        (log / "go").touch()
        wait_for(lambda: [name[-2:] for name in old(log)] == [".s"], "the processed file")
        process.stdin.close()
        assert process.wait(10) == 0


def test_a_processor_that_fails_is_not_started_without_end(log):
    (log / "config").write_text("s1050\n!echo x >>starts; test $(wc -l <starts) -gt 2 && cat\n")
    with logging(*ONE, log) as process:
        say(process, *(f"line {number}" for number in range(150)))
        process.stdin.close()
        assert process.wait(20) == 0
        assert process.stderr.read() == f"svlogd: warning: processor failed, restart: {log}\n".encode() * 2
    assert len(lines(log / "starts")) == 3
    assert [name[-2:] for name in old(log)] == [".s"]


def test_hangup_keeps_a_processor_at_work(log):
    (log / "config").write_text("s1050\n!until test -e go; do sleep 0.05; done; cat\n")
    with logging("-v", *ONE, log) as process:
        say(process, *(f"line {number}" for number in range(150)))
        wait_for(lambda: any(name.endswith(".t") for name in old(log)), "the processor")
        process.send_signal(signal.SIGHUP)
        said = b""

        def has_said():
            nonlocal said
            said += process.stderr.read() or b""
            return said.count(b"append: ") + said.count(b"new: ") == 2
        wait_for(has_said, "the log opened again")
        (log / "go").touch()
        wait_for(lambda: [name[-2:] for name in old(log)] == [".s"], "the processed file")


def test_a_processor_does_not_keep_it_from_ending(log):
    (log / "config").write_text("s1050\n!sleep 1000\n")
    with logging(*ONE, log) as process:
        say(process, *(f"line {number}" for number in range(150)))
        wait_for(lambda: any(name.endswith(".t") for name in old(log)), "the processor")
        process.terminate()
        assert process.wait(30) == 0
        assert b"processor takes too long" in process.stderr.read()


def test_no_link_is_followed(log, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (log / "current").symlink_to(secret)
    result = run("svlogd", log, input=b"line\n")
    assert result.returncode == 111
    assert result.stderr.startswith(f"svlogd: warning: unable to open current: {log}: ".encode())
    assert secret.read_text() == "secret"


def test_a_removed_current_is_made_anew(log):
    with logging(log) as process:
        say(process, "one")
        wait_for(lambda: lines(log / "current") == ["one"], "the line")
        (log / "current").unlink()
        say(process, "two")
        wait_for(lambda: lines(log / "current") == ["two"], "the next line")


def test_everything_is_replaced(log):
    assert run("svlogd", "-r", "?", "-R", "b", "-l", "4", log, input=b"ab\x1bcd\x1b]b\n").returncode == 0
    assert (log / "current").read_bytes() == b"a??cd?]?\n"


def test_logs_of_megabytes(log):
    """Far more than one block, with lines of every length."""
    (log / "config").write_text("s200k\nn0\n")
    data = b"".join(b"%d " % n + b"x" * (n * n % 2500) + b"\n" for n in range(4000))
    assert run("svlogd", "-b", "4096", log, input=data).returncode == 0
    assert b"".join((log / name).read_bytes() for name in [*old(log), "current"]) == data
    assert all((log / name).stat().st_size <= 200 * 1024 for name in old(log))


def test_environment_of_processors(log):
    (log / "config").write_text("s1050\n!cat >/dev/null; echo $A; trap\n")
    assert run("svlogd", log, env=environment(A="b"), input=b"x" * 1100 + b"\n").returncode == 0
    assert (log / old(log)[0]).read_text() == "b\n"
