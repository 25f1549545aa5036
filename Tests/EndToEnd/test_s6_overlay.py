"""An image of s6-overlay's kind with init alone: one-shots, services, their order, cont-init.d, services.d, the
environment, and the end."""

import contextlib
import os
import re
import shutil
import signal
import subprocess

import pytest

from apus import BIN, ROOT, environment, pid_namespace, wait_for
from faults import trap
from services import children, lay, lines, messages, supervisor, write

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not os.path.exists("/proc/self/ns/pid"),
                                reason="needs namespaces")

CONTENV = "#!/run/command/with-contenv sh\n"
# In the namespace: a small /etc, the tree in it, and a /run of its own.
SETUP = """
mount --bind "$PLACE/etc" /etc && mount -t tmpfs tmpfs /run && mkdir /run/command &&
ln -s "$BINARY" /run/command/with-contenv && ln -s "$BINARY" /run/command/svc && cd / && exec "$INIT" "$@"
"""


class Image:
    def __init__(self, place):
        self.place = place
        self.order = place / "order"
        etc = place / "etc"
        etc.mkdir()
        for name in ("passwd", "group", "nsswitch.conf", "ld.so.cache", "alternatives"):
            if os.path.isdir(f"/etc/{name}"):
                shutil.copytree(f"/etc/{name}", etc / name, symlinks=True)
            elif os.path.exists(f"/etc/{name}"):
                shutil.copy(f"/etc/{name}", etc / name)
        self.etc = etc

    def put(self, path, content="", executable=None):
        write(self.etc / path, content)
        if executable is not None:
            (self.etc / path).chmod(0o755 if executable else 0o644)

    def define(self, name, needs=(), bundle="user", **files):
        """A source directory of s6-rc."""
        directory = f"s6-overlay/s6-rc.d/{name}"
        for file, content in files.items():
            self.put(f"{directory}/{file.replace('_', '-')}", content, file not in ("up", "down"))
        for need in needs:
            self.put(f"{directory}/dependencies.d/{need}")
        if bundle:
            self.put(f"s6-overlay/s6-rc.d/{bundle}/type", "bundle\n")
            self.put(f"s6-overlay/s6-rc.d/{bundle}/contents.d/{name}")

    def oneshot(self, name, script, needs=(), **files):
        """In the way of linuxserver.io: `up` is the path of `run`."""
        self.define(name, needs, type="oneshot\n", up=f"/etc/s6-overlay/s6-rc.d/{name}/run\n",
                    run=f"{CONTENV}{script}\n", **files)

    def longrun(self, name, script, needs=(), **files):
        self.define(name, needs, type="longrun\n", run=f"{CONTENV}{script}\n", **files)

    @contextlib.contextmanager
    def run(self, *command, **variables):
        words = environment(PLACE=self.place, INIT=BIN / "init", BINARY=(BIN / "apus").resolve(), ORDER=self.order,
                            **variables)
        with open(self.place / "errors", "wb") as errors, \
                pid_namespace("sh", "-c", SETUP, "sh", *command, env=words, stderr=errors) as (process, pid):
            yield process, pid

    def errors(self):
        return (self.place / "errors").read_text()

    def steps(self):
        return lines(self.order)

    def wait(self, step):
        wait_for(lambda: step in self.steps(), step)

    def stop(self, process, pid):
        os.kill(pid, signal.SIGTERM)
        return process.wait(20)


@pytest.fixture
def image(tmp_path):
    return Image(tmp_path)


def note(word, then=""):
    return f'echo {word} >> "$ORDER"; {then}'


STAY = "exec sleep 1000"


def test_a_whole_tree(image):
    image.put("cont-init.d/20-second", f'{CONTENV}{note("second $COLOUR")}\n')
    image.put("cont-init.d/10-first", f'#!/bin/sh\n{note("first")}\n'
              "echo green > /run/s6/container_environment/COLOUR\n")
    image.put("cont-init.d/README", "no program\n", executable=False)
    image.put("cont-finish.d/10-bye", f'#!/bin/sh\n{note("bye")}\n')
    image.oneshot("init-adduser", note("adduser"), ["base"])
    image.oneshot("init-config", note("config"), ["init-adduser"])
    image.define("init-services", ["init-config"], type="oneshot\n", up="# nothing to do\n")
    image.longrun("svc-web", note("web $COLOUR $PWD", "echo >&3; " + STAY), ["init-services"], notification_fd="3\n",
                  finish=f'#!/bin/sh\n{note("web-finish $1 $2")}\n')
    image.longrun("svc-app", note("app", STAY), ["svc-web"])
    image.define("unused", bundle=None, type="longrun\n", run=f"#!/bin/sh\n{note('unused')}\n")
    image.put("services.d/old/run", f'#!/bin/sh\n{note("old", STAY)}\n')
    image.put("services.d/old/finish", f'#!/bin/sh\n{note("old-finish $1 $2")}\n')
    with image.run("sh", "-c", note("command", STAY)) as (process, pid):
        # What tells nobody when it is ready is up when it has a process.
        wait_for(lambda: len(image.steps()) == 8, "eight steps")
        assert image.steps()[:5] == ["first", "second green", "adduser", "config", "web green /run/service/svc-web"]
        assert sorted(image.steps()[5:]) == ["app", "command", "old"]
        assert (process, pid) and image.stop(process, pid) == 128 + signal.SIGTERM
    end = image.steps()[8:]
    assert end[-1] == "bye" and sorted(end) == ["bye", "old-finish 256 15", "web-finish 256 15"]
    assert "cont-init: info: running /etc/cont-init.d/10-first" in image.errors()
    assert "README is not executable" in image.errors()
    # The image itself is as it was.
    assert not list(image.etc.rglob("supervise"))


def test_attributes_are_fixed_first(image):
    tree = image.place / "tree"
    write(tree / "deep/er/file", "x")
    write(tree / "plain", "x")
    write(tree / ".hidden", "x")
    (tree / "deep/link").symlink_to("/etc/passwd")
    other = image.place / "other"
    write(other / "inside", "x")
    image.put("fix-attrs.d/10-tree", f"# who may read what\n{tree} true nobody 0640 0750\n"
              f"{image.place}/oth?? false nosuch,12:34 0600 0711\n\n{image.place}/gone true root 0600 0700\n")
    image.put("cont-init.d/x", f"#!/bin/sh\nstat -c '%n %U:%G %a' {tree} {tree}/deep/er {tree}/deep/er/file {tree}/plain "
              f"{tree}/.hidden {other} {other}/inside >> \"$ORDER\"; stat -c %a /etc/passwd >> \"$ORDER\"\n")
    before = oct((image.etc / "passwd").stat().st_mode)[-3:]
    with image.run("true") as (process, _):
        assert process.wait(20) == 0
    found = [line.removeprefix(str(image.place)) for line in image.steps()]
    assert found == ["/tree nobody:nogroup 750", "/tree/deep/er nobody:nogroup 750",
                     "/tree/deep/er/file nobody:nogroup 640", "/tree/plain nobody:nogroup 640",
                     *found[4:7], before]
    assert found[4].startswith("/tree/.hidden root:root") and found[6].startswith("/other/inside root:root")
    assert found[5].split()[0] == "/other" and found[5].endswith(" 711") and (other.stat().st_uid, other.stat().st_gid) == (12, 34)
    assert "fix-attrs: info: applying /etc/fix-attrs.d/10-tree" in image.errors()


def test_attributes_that_cannot_be_fixed(image):
    image.put("fix-attrs.d/x", f"{image.place}/gone true root 0600 0700\n")
    image.put("cont-init.d/x", f"#!/bin/sh\n{note('made')}\n")
    with image.run("sh", "-c", note("command")) as (process, _):
        assert process.wait(20) == 0
    assert image.steps() == ["made", "command"]
    with image.run("sh", "-c", note("never"), S6_BEHAVIOUR_IF_STAGE2_FAILS="2") as (process, _):
        assert process.wait(20) == 1
    assert image.steps() == ["made", "command"]


def test_nothing_is_made_where_there_is_no_tree(image):
    with image.run("sh", "-c", "ls -A /run") as (process, _):
        assert process.wait(20) == 0


def test_a_pipeline_is_a_logger(image):
    image.longrun("svc-db", "echo from db; " + STAY, producer_for="svc-db-log\n")
    image.define("svc-db-log", bundle=None, type="longrun\n", consumer_for="svc-db\n", pipeline_name="db-pipeline\n",
                 run='#!/bin/sh\nexec cat >> "$ORDER"\n')
    image.put("s6-overlay/s6-rc.d/user/contents.d/db-pipeline")
    (image.etc / "s6-overlay/s6-rc.d/user/contents.d/svc-db").unlink()
    with image.run() as _:
        image.wait("from db")
    assert "unknown service" not in image.errors() and "pipe" not in image.errors()


def test_user_bundles_of_newer_versions_and_user2(image):
    image.define("first", bundle=None, type="oneshot\n", up="true\n")
    image.define("a", bundle=None, type="oneshot\n", up="/etc/note a\n")
    image.put("note", f'#!/bin/sh\n{note("$1")}\n')
    image.put("s6-overlay/user-bundles.d/user/contents.d/a")
    image.define("z", ["legacy-services"], bundle="user2", type="oneshot\n", up="/etc/note z\n")
    image.put("services.d/old/run", f'#!/bin/sh\n{note("old", STAY)}\n')
    with image.run():
        image.wait("z")
        wait_for(lambda: len(image.steps()) == 3, "three steps")
        assert image.steps()[0] == "a" and sorted(image.steps()) == ["a", "old", "z"]


def test_execline(image):
    """A command line is run as it is; blocks need execlineb."""
    image.put("note", f'#!/bin/sh\n{note("$1")}\n')
    image.define("line", type="oneshot\n", up='#!/command/execlineb -P\n/etc/note "two words"\n')
    image.define("block", type="oneshot\n", up="foreground { /etc/note inside }\n/etc/note after\n",
                 down="/etc/note undone\n")
    has_execline = shutil.which("execlineb") is not None
    with image.run() as (process, pid):
        image.wait("two words")
        if has_execline:
            image.wait("after")
            assert "inside" in image.steps()
        else:
            wait_for(lambda: "there is no execlineb" in image.errors(), "the line")
        image.stop(process, pid)
    assert ("undone" in image.steps()) == has_execline


def test_execline_that_is_not_there(tmp_path):
    path = lay(tmp_path / "service/block", type="oneshot\n", up="foreground { true }\ntrue\n", script=None)
    said = []
    with supervisor(BIN / "svscan", path.parent, env=environment(PATH="/nowhere")) as process:
        wait_for(lambda: said.extend(messages(process)) or [line for line in said if line.startswith(
            "svscan: warning: unable to run block/up: it is a script of execline, and there is no execlineb")], "it")


@pytest.mark.parametrize("behaviour, code", [("0", 3), ("2", 9)])
def test_when_preparing_fails(image, behaviour, code):
    image.put("cont-init.d/10-bad", "#!/bin/sh\nexit 9\n")
    image.put("cont-init.d/20-next", f'#!/bin/sh\n{note("next")}\n')
    with image.run("sh", "-c", "exit 3", S6_BEHAVIOUR_IF_STAGE2_FAILS=behaviour) as (process, _):
        assert process.wait(20) == code
    assert image.steps() == (["next"] if behaviour == "0" else [])


def test_the_command_waits_no_longer_than_it_is_told(image):
    image.longrun("svc-slow", STAY, notification_fd="3\n")
    with image.run("sh", "-c", note("command"), S6_CMD_WAIT_FOR_SERVICES_MAXTIME="700") as (process, _):
        assert process.wait(20) == 0
    assert image.steps() == ["command"]


def test_a_failed_need_keeps_the_command_from_waiting(image):
    image.oneshot("bad", "exit 1")
    image.longrun("svc-web", note("web", STAY), ["bad"])
    with image.run("sh", "-c", note("command")) as (process, _):
        assert process.wait(20) == 0
    assert image.steps() == ["command"]


def test_finish_ends_the_container_with_its_code(image):
    image.longrun("svc-main", "exit 7", finish="""#!/bin/sh
echo "$1" > /run/s6-linux-init-container-results/exitcode
/run/s6/basedir/bin/halt
""")
    with image.run() as (process, _):
        assert process.wait(20) == 7


def test_a_fault_of_init_changes_nothing(image):
    """What is prepared once is not prepared again, nothing is restarted, and the end is as it would have been."""
    image.put("cont-init.d/x", f"#!/bin/sh\n{note('made')}\n")
    image.put("cont-finish.d/x", f"#!/bin/sh\n{note('bye')}\n")
    image.longrun("svc-main", note("main $WORD", STAY), ["base"], finish="""#!/bin/sh
echo finish >> "$ORDER"; echo 7 > /run/s6-linux-init-container-results/exitcode
""")
    with image.run("sh", "-c", note("command", STAY), S6_STAGE2_HOOK='echo hook >> "$ORDER"', WORD="kept") as (process, pid):
        steps = ["command", "hook", "made", "main kept"]
        wait_for(lambda: sorted(image.steps()) == sorted(steps), "four steps")
        before = sorted(children(pid))
        for number in signal.SIGSEGV, signal.SIGILL, signal.SIGSEGV:
            trap(pid, number)
        assert sorted(children(pid)) == before and sorted(image.steps()) == sorted(steps)
        # The service is the older one.
        os.kill(before[0], signal.SIGKILL)
        wait_for(lambda: image.steps().count("main kept") == 2, "another start")
        assert image.stop(process, pid) == 7
    assert image.errors().count("recovered from") == 3 and image.steps()[-1] == "bye", image.errors()


def test_the_hook_comes_first(image):
    image.longrun("svc-web", note("web", STAY))
    with image.run(S6_STAGE2_HOOK="mkdir /etc/cont-init.d; printf '#!/bin/sh\\necho made >> $ORDER\\n' "
                   "> /etc/cont-init.d/x; chmod +x /etc/cont-init.d/x"):
        image.wait("made")


def test_variables_without_effect_are_named(image):
    image.put("cont-init.d/x", "#!/bin/sh\n")
    with image.run("true", S6_LOGGING="1", S6_KILL_GRACETIME="0", S6_VERBOSITY="1") as (process, _):
        assert process.wait(20) == 0
    assert "init: warning: no effect: S6_LOGGING\n" in image.errors()


class TestWithContenv:
    def show(self, image, **variables):
        image.put("cont-init.d/x", "#!/bin/sh\nprintf 'two\\nlines\\n' > /run/s6/container_environment/MADE\n"
                  ": > /run/s6/container_environment/EMPTY\nrm /run/s6/container_environment/GONE\n")
        script = 'LATER=1 GONE=1 /run/command/with-contenv env > "$ORDER"'
        with image.run("sh", "-c", script, GONE="1", EMPTY="x", **variables) as (process, _):
            assert process.wait(20) == 0
        return image.order.read_text()

    def test_the_directory_is_the_environment(self, image):
        text = self.show(image)
        assert "MADE=two\nlines\n" in text and f"ORDER={image.order}\n" in text
        assert not re.search("^(LATER|GONE|EMPTY)=", text, re.M)

    def test_keeping_it(self, image):
        text = self.show(image, S6_KEEP_ENV="1")
        assert "MADE=" not in text and "LATER=1\n" in text

    def test_usage_and_no_directory(self):
        result = subprocess.run([BIN / "with-contenv"], capture_output=True)
        assert (result.returncode, result.stderr) == (100, b"with-contenv: usage: with-contenv child\n")
        if not os.path.exists("/run/s6/container_environment"):
            result = subprocess.run([BIN / "with-contenv", "/bin/sh", "-c", "echo $A"], env={"A": "b"},
                                    capture_output=True)
            assert result.stdout == b"b\n"
