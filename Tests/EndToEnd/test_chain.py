"""chain and the programs that it makes useful: redirect, mkdirs, cd."""

import os
import pathlib
import random
import shutil
import stat
import subprocess

import pytest

from apus import BIN, environment, pid_namespace, run, wait_for
from tracing import execs

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def chain(place, text, *arguments, **variables):
    """Runs a file for chain."""
    (place / "run").write_bytes(text if isinstance(text, bytes) else text.encode())
    return run(BIN / "chain", "./run", *arguments, cwd=place, env=environment(**variables))


# MARK: chain

def test_a_file_is_a_command(tmp_path):
    result = chain(tmp_path, "#!/usr/bin/chain\nenv # clean\n -i\n A='b c' \\\n  B=\"${X}\"\nenv\n", X=" $(x)  y ")
    assert (result.returncode, result.stdout, result.stderr) == (0, b"A=b c\nB= $(x)  y \n", b"")


def test_arguments_have_numbers(tmp_path):
    result = chain(tmp_path, "echo ${0} ${2}${1} ${10}", *"abcdefghij")
    assert result.stdout == b"./run ba j\n"
    assert chain(tmp_path, "echo ${1}").stderr == b"chain: fatal: ./run:1: there is no argument ${1}\n"


@pytest.mark.parametrize("text, code, message", [
    ("echo\n\n'a", 100, "./run:3: a quote is not closed"),
    ("echo\n${NOWHERE}", 100, "./run:2: ${NOWHERE} is not set"),
    ("# nothing", 100, "./run: there is no command in it"),
    ("no-such-program", 111, "unable to run no-such-program: file does not exist"),
    (b"echo \0", 100, "./run:1: there is a NUL byte in the line"),
    ("x" * 70000, 111, "unable to read ./run: file too big"),
], ids=str)
def test_mistakes_name_file_and_line(tmp_path, text, code, message):
    result = chain(tmp_path, text)
    assert (result.returncode, result.stdout) == (code, b"")
    assert result.stderr.decode() == f"chain: fatal: {message}\n"


def test_a_file_that_is_not_there(tmp_path):
    result = run(BIN / "chain", "nowhere", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (
        111, b"chain: fatal: unable to read nowhere: file does not exist\n")
    assert run(BIN / "chain").returncode == 100
    assert run(BIN / "chain", "-x", "run").returncode == 100


def test_it_only_reads(tmp_path):
    (tmp_path / "good").write_text("touch made ${NOWHERE}")
    (tmp_path / "bad").write_text("touch made\n>x")
    assert run(BIN / "chain", "-n", "good", cwd=tmp_path).returncode == 0
    result = run(BIN / "chain", "-n", "bad", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (
        100, b"chain: fatal: bad:2: > redirects nothing here: use redirect, or quote it\n")
    assert not (tmp_path / "made").exists()


def script(path, text):
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("first", ["chain", "apus chain"])
def test_the_kernel_starts_it(tmp_path, first):
    """With the interpreter's one argument, and those of the caller."""
    file = script(tmp_path / "run", f"#!{BIN.resolve()}/{first}\necho ${{0}} ${{1}}\n")
    result = run(file, "x y")
    assert result.stdout.decode() == f"{file} x y\n"


def test_the_interpreter_has_an_option(tmp_path):
    file = script(tmp_path / "run", f"#!{BIN.resolve()}/chain -n\ntouch made\n")
    assert run(file, cwd=tmp_path).returncode == 0
    assert not (tmp_path / "made").exists()


def test_its_programs_are_one_process(tmp_path):
    """One exec for the file, one for its interpreter, which the kernel makes of the same, one for the end."""
    binary = shutil.copy(BIN / "apus", tmp_path / "apus")
    for name in ("chain", "redirect", "mkdirs", "cd", "softlimit", "setuidgid"):
        (tmp_path / name).symlink_to(binary)
    file = script(tmp_path / "run", f"#!{tmp_path}/chain\nredirect -d 2=1\nmkdirs a\ncd a\nsoftlimit -o 50\ntrue\n")
    number, status = execs(file, cwd=tmp_path, env=environment() | {"PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert (number, os.waitstatus_to_exitcode(status)) == (2, 0)


def test_a_shell_reads_it_alike(tmp_path):
    """Whatever chain takes, sh takes for the same words, if lines are joined and values are quoted."""
    show = script(tmp_path / "show", "#!/usr/bin/python3\nimport sys\n"
                  "sys.stdout.buffer.write(b'\\0'.join(map(__import__('os').fsencode, sys.argv[1:])))\n")
    pieces = ["a", "b=c", " ", "\t", "''", "'x y'", "'\\'", "'\"'", "\"it's\"", "\"\\\"\"", "\"\\\\\"", "\"\\$\"",
              "\"\\n\"", "\\'", "\\\"", "\\\\", "\\ ", "\\\n", "\"\\\n\"", "'\n'", "\"\n\"", "\\#", "#", "{}", "]",
              "!", "%", "~", "\"${V}\"", "\"x${V}y\"", "\\$", "*", "<", "$", "`", "\"`\"", ";", "é", "\\é", "\\*"]
    chance = random.Random(1)
    taken = 0
    for _ in range(400):
        text = "./show " + "".join(chance.choice(pieces) for _ in range(chance.randrange(1, 9)))
        variables = {"V": " *  \\ '\"${V}"}
        found = chain(tmp_path, text, **variables)
        if found.returncode:
            assert found.returncode == 100
            continue
        taken += 1
        expected = run("/bin/sh", "-c", text, cwd=tmp_path, env=environment(**variables))
        assert found.stdout == expected.stdout, text
    assert taken > 100 and show.exists()


@pytest.mark.parametrize("first", ["{bin}/chain", "{bin}/chain -n", "{bin}/apus chain", "/usr/bin/env chain", "/bin/sh"])
def test_svcheck_reads_it(tmp_path, first):
    (tmp_path / "scan/web").mkdir(parents=True)
    script(tmp_path / "scan/web/run", f"#!{first.format(bin=BIN.resolve())}\n\nhttpd > log\n")
    result = run(BIN / "svcheck", tmp_path / "scan")
    told = [] if "sh" in first else [f"{tmp_path}/scan/web/run:3: > redirects nothing here: use redirect, or quote it"]
    assert (result.stdout + result.stderr).decode().splitlines() == told


@ROOT_ONLY
def test_a_service_without_any_shell(tmp_path):
    """In a root directory that has the binary and nothing else, all of a service's files are chain's."""
    root = tmp_path / "root"
    (root / "usr/bin").mkdir(parents=True)
    for name in ("proc", "dev", "tmp", "etc"):
        (root / name).mkdir()
    shutil.copy(BIN / "apus", root / "usr/bin/apus")
    for name in BIN.iterdir():
        if name.name != "apus":
            (root / "usr/bin" / name.name).symlink_to("apus")
    (root / "etc/passwd").write_text("www:x:4711:4711::/:/none\n")
    (root / "etc/group").write_text("www:x:4711:\n")
    service = root / "service/web"
    (service / "env").mkdir(parents=True)
    (service / "env/PORT").write_text("8080\n")
    script(service / "run", "#!/usr/bin/chain\n# A server.\nredirect -d 2=1 -w /tmp/out\nmkdirs -o www -m 0700 /run/web\n"
           "envdir ./env\nsetuidgid www\ncd /run/web\n'./../../service/web/serve'\n")
    script(service / "serve", "#!/usr/bin/apus chain\nmultilog +\"port ${PORT}\" ./log\n")
    script(service / "finish", "#!/usr/bin/chain\nredirect -a /tmp/finished mkdirs /tmp/end-${1}-${2}\n")
    with pid_namespace("chroot", root, "/usr/bin/init", "-t", "5", stderr=subprocess.PIPE) as (process, first):
        # It has nothing to read, so it ends.
        wait_for(lambda: (root / "run/web/log/current").exists() and (root / "tmp/end-0-0").is_dir(), "the service")
        web = root / "run/web"
        assert (stat.S_IMODE(web.stat().st_mode), web.stat().st_uid) == (0o700, 4711)
        os.kill(first, 15)
        assert process.wait(20) == 0
    assert process.stderr.read() == b""
    assert (root / "tmp/finished").exists()


# MARK: redirect

def redirect(place, *words, **options):
    return run(BIN / "redirect", *words, cwd=place, **options)


def test_redirect_opens_as_a_shell_does(tmp_path):
    (tmp_path / "in").write_text("from a file\n")
    assert redirect(tmp_path, "-r", "in", "cat").stdout == b"from a file\n"
    assert redirect(tmp_path, "-w", "out", "echo", "one").stdout == b""
    assert redirect(tmp_path, "-a", "out", "echo", "two").stdout == b""
    assert (tmp_path / "out").read_text() == "one\ntwo\n"
    redirect(tmp_path, "-w", "out", "true")
    assert (tmp_path / "out").read_text() == ""
    assert redirect(tmp_path, "-x", "new", "true").returncode == 0
    result = redirect(tmp_path, "-x", "new", "true")
    assert (result.returncode, result.stderr) == (
        111, b"redirect: fatal: unable to create new as descriptor 1: file already exists\n")


def test_redirect_does_it_in_order(tmp_path):
    text = "import os, sys; os.write(1, b'1'); os.write(2, b'2'); os.write(7, b'7')"
    result = redirect(tmp_path, "-d", "7=2", "-d", "2=1", "-w", "1=out", "python3", "-c", text)
    assert (result.stdout, result.stderr) == (b"2", b"7")
    assert (tmp_path / "out").read_bytes() == b"1"


def test_redirect_opens_what_was_closed(tmp_path):
    """The number that the kernel gives may be the one that is wanted, and is then kept over the exec."""
    result = redirect(tmp_path, "-c", "0", "-c", "9", "-u", "0=file", "-c", "1", "-w", "out", "sh", "-c",
                      "cat; echo x; echo y >&0; echo z >&9")
    assert (tmp_path / "out").read_text() == "x\n"
    assert (tmp_path / "file").read_text() == "y\n"
    assert result.returncode == 2 or b"9" in result.stderr


def test_redirect_leaves_no_descriptor(tmp_path):
    assert redirect(tmp_path, "-r", "/dev/null", "-a", "5=out", "sh", "-c", "ls /proc/self/fd").stdout.split() == [
        b"0", b"1", b"2", b"3", b"5"]


@pytest.mark.parametrize("words", [[], ["-d", "2=1"], ["-d", "2", "true"], ["-d", "2=x", "true"], ["-c", "x", "true"],
                                   ["-c", "-1", "true"], ["-z", "true"], ["-r"]], ids=str)
def test_redirect_wants_to_be_used_well(tmp_path, words):
    result = redirect(tmp_path, *words)
    assert result.returncode == 100 and b"usage" in result.stderr


def test_redirect_says_what_fails(tmp_path):
    for words, message in [
            (["-r", "nowhere"], "unable to read nowhere as descriptor 0: file does not exist"),
            (["-w", "3=/"], "unable to write / as descriptor 3: is a directory"),
            (["-d", "2=77"], "unable to make descriptor 2 a copy of 77: file descriptor not open"),
            (["-r", "5000000=/dev/null"],
             "unable to read /dev/null as descriptor 5000000: file descriptor not open")]:
        result = redirect(tmp_path, *words, "true")
        assert (result.returncode, result.stderr.decode()) == (111, f"redirect: fatal: {message}\n")


def test_redirect_takes_names_with_equals_signs(tmp_path):
    redirect(tmp_path, "-w", "a=b", "echo", "x")
    redirect(tmp_path, "-w", "./3=b", "echo", "y")
    redirect(tmp_path, "-w", "1=3=c", "echo", "z")
    assert [(tmp_path / name).read_text() for name in ("a=b", "3=b", "3=c")] == ["x\n", "y\n", "z\n"]


# MARK: mkdirs and cd

def test_mkdirs_makes_all(tmp_path):
    result = run(BIN / "mkdirs", "a//b/../b/c/", "echo", "done", cwd=tmp_path, umask=0o027)
    assert (result.returncode, result.stdout, result.stderr) == (0, b"done\n", b"")
    assert stat.S_IMODE((tmp_path / "a/b").stat().st_mode) == 0o750
    assert stat.S_IMODE((tmp_path / "a/b/c").stat().st_mode) == 0o750
    # Again, and with a mode of its own.
    assert run(BIN / "mkdirs", "-m", "1777", "a/b/c", cwd=tmp_path, umask=0o077).returncode == 0
    assert stat.S_IMODE((tmp_path / "a/b/c").stat().st_mode) == 0o1777
    assert stat.S_IMODE((tmp_path / "a/b").stat().st_mode) == 0o750


@ROOT_ONLY
@pytest.mark.parametrize("owner, ids", [("nobody", (65534, 65534)), ("nobody:daemon", (65534, 1)), ("4711", (4711, 0)),
                                        ("4711:4712", (4711, 4712))])
def test_mkdirs_gives_it_to_somebody(tmp_path, owner, ids):
    assert run(BIN / "mkdirs", "-o", owner, "-m", "2770", "a/b", cwd=tmp_path).returncode == 0
    status = (tmp_path / "a/b").stat()
    assert ((status.st_uid, status.st_gid), stat.S_IMODE(status.st_mode)) == (ids, 0o2770)
    assert (tmp_path / "a").stat().st_uid == 0


@ROOT_ONLY
def test_mkdirs_follows_no_link_of_another(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "secret").mkdir(mode=0o700)
    (tmp_path / "home/link").symlink_to(tmp_path / "secret")
    os.lchown(tmp_path / "home/link", 4711, 4711)
    for path in ("home/link", "home/link/under"):
        result = run(BIN / "mkdirs", "-o", "4711", "-m", "0777", path, cwd=tmp_path)
        assert result.returncode == 111
        assert result.stderr.startswith(b"mkdirs: fatal: unable to create directory home/link")
    status = (tmp_path / "secret").stat()
    assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (0, 0o700)
    # One of root is followed, as /var/run is.
    (tmp_path / "ours").symlink_to("elsewhere")
    assert run(BIN / "mkdirs", "ours/x", cwd=tmp_path).returncode == 0
    assert (tmp_path / "elsewhere/x").is_dir()


@pytest.mark.parametrize("words, code, message", [
    (["-m", "0999", "a"], 100, "bad mode 0999: octal digits, as in 0750"),
    (["-m", "10000", "a"], 100, "bad mode 10000: octal digits, as in 0750"),
    (["-m", "", "a"], 100, "bad mode : octal digits, as in 0750"),
    (["-o", "no-such-user", "a"], 111, "unknown account no-such-user"),
    (["file/a"], 111, "unable to create directory file: not a directory"),
    (["file"], 111, "unable to create directory file: not a directory"),
], ids=str)
def test_mkdirs_says_what_is_wrong(tmp_path, words, code, message):
    (tmp_path / "file").touch()
    result = run(BIN / "mkdirs", *words, cwd=tmp_path)
    assert (result.returncode, result.stderr.decode()) == (code, f"mkdirs: fatal: {message}\n")
    assert run(BIN / "mkdirs", cwd=tmp_path).returncode == 100


def test_cd(tmp_path):
    (tmp_path / "a").mkdir()
    assert run(BIN / "cd", "a", "pwd", cwd=tmp_path).stdout.decode() == f"{pathlib.Path(tmp_path, 'a')}\n"
    result = run(BIN / "cd", "nowhere", "pwd", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (
        111, b"cd: fatal: unable to switch to nowhere: file does not exist\n")
    assert run(BIN / "cd", "a", cwd=tmp_path).returncode == 100
