"""Orphans by the thousand while services come and go. It only needs to see the scan directory and, by a process id of
this namespace, process 1: a container's is as good as any."""

import dataclasses
import pathlib
import time

from apus import static_program, wait_for
from faults import resident, zombies
from services import children, descriptor_count, lay, lines

# A main command. Each child leaves a grandchild behind, which ends after it. What it has done stands in a file.
# maker COUNT FILE
MAKER = r"""
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t born(void)
{
    for (;;) {
        pid_t pid = fork();
        if (pid >= 0)
            return pid;
        usleep(1000);
    }
}

int main(int argc, char **argv)
{
    long count = argc == 3 ? atol(argv[1]) : 0;
    for (long i = 0; i < count; i++) {
        int ends[2];
        char byte;
        if (pipe(ends) < 0)
            return 1;
        pid_t child = born();
        if (child == 0) {
            if (born() > 0)
                _exit(0);
            close(ends[1]);
            _exit(read(ends[0], &byte, 1) == 0 ? 3 : 4);
        }
        close(ends[0]);
        if (waitpid(child, NULL, 0) != child)
            return 1;
        close(ends[1]);
    }
    FILE *file = fopen(argv[2], "w");
    if (!file || fprintf(file, "%ld\n", count) < 0 || fclose(file))
        return 1;
    for (;;)
        pause();
}
"""


def compiled(directory):
    """The maker as a static program, which needs nothing of a container."""
    return static_program(pathlib.Path(directory) / "maker", MAKER)


@dataclasses.dataclass
class Report:
    """What came of it."""
    orphans: int
    seconds: float
    restarts: int
    memory: tuple

    def __str__(self):
        return (f"{self.orphans} orphans in {self.seconds:.1f} s, {self.restarts} restarts meanwhile; "
                f"memory {self.memory[0]} to {self.memory[1]} KiB, no zombie left")


class Orphans:
    """A scan directory of services that end after a tenth of a second, and one that stays, in a place that has the maker
    as well."""

    def __init__(self, place, count, services=50):
        self.count, self.services = count, services
        self.scan, self.done = pathlib.Path(place) / "scan", pathlib.Path(place) / "done"
        self.scan.mkdir()
        for number in range(services):
            lay(self.scan / f"s{number}", "echo start >> starts; exec sleep 0.1")
        lay(self.scan / "steady", "echo start >> starts; exec sleep 100000")

    def starts(self):
        """How often each of the services was started that end."""
        return [len(lines(self.scan / f"s{number}/starts")) for number in range(self.services)]

    def run(self, first):
        """Sees process `first` through: it has just been started, with the maker as its main command."""
        began = time.monotonic()
        wait_for(lambda: lines(self.scan / "steady/starts"), "the service that stays")
        memory, descriptors = resident(first), descriptor_count(first)
        wait_for(self.done.exists, "all orphans", 60 + self.count / 100)
        # Nobody but services and the main command is its child.
        wait_for(lambda: not zombies(first) and len(children(first)) <= self.services + 2, "the last orphan reaped")
        seconds, starts = time.monotonic() - began, self.starts()
        assert lines(self.done) == [str(self.count)]
        assert min(starts) >= 2, starts
        wait_for(lambda: all(now > before for now, before in zip(self.starts(), starts)), "further restarts")
        assert len(lines(self.scan / "steady/starts")) == 1
        report = Report(self.count, seconds, sum(starts), (memory, resident(first)))
        assert report.memory[1] <= memory + 128, report
        assert descriptor_count(first) <= descriptors + self.services, report
        return report
