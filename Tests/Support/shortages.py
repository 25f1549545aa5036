"""Too little of something: control groups with limits, a small file system, another time of day."""

import contextlib
import itertools
import os
import pathlib

import pytest

from apus import wait_for
from services import lines

_serial = itertools.count()


def _place(controller):
    """Where groups below this process's own can be made, and whether that is version 2 of cgroups(7)."""
    for line in lines("/proc/self/cgroup"):
        _, names, path = line.split(":", 2)
        if controller in names.split(","):
            for root in (f"/sys/fs/cgroup/{controller}", f"/sys/fs/cgroup/{names}"):
                if os.path.isdir(root + path):
                    return pathlib.Path(root + path), False
        if not names and controller in " ".join(lines(f"/sys/fs/cgroup{path}/cgroup.subtree_control")).split():
            return pathlib.Path(f"/sys/fs/cgroup{path}"), True
    return None, False


class Group:
    """A control group with a limit that can be changed."""

    FILES = {("memory", False): "memory.limit_in_bytes", ("memory", True): "memory.max",
             ("pids", False): "pids.max", ("pids", True): "pids.max"}

    def __init__(self, controller):
        place, is_second = _place(controller)
        self.path = place and place / f"apus-test-{os.getpid()}-{next(_serial)}"
        self.file = self.FILES[controller, is_second]
        try:
            self.path.mkdir()
        except (AttributeError, OSError):
            pytest.skip(f"no control group for {controller} to be had")

    def limit(self, value):
        (self.path / self.file).write_text(f"{value}\n")

    def used(self):
        """How many processes there are."""
        return len(lines(self.path / "cgroup.procs"))

    def enter(self):
        """The words in front of a command that is to run in it."""
        return ["sh", "-c", f'echo $$ > {self.path}/cgroup.procs; exec "$0" "$@"']


@contextlib.contextmanager
def group(controller):
    made = Group(controller)
    try:
        yield made
    finally:
        wait_for(lambda: not lines(made.path / "cgroup.procs"), "an empty group")
        made.path.rmdir()
