"""A hundred services that write, restart and are commanded, and a supervisor that meets faults meanwhile. It only needs
to see the scan directory and, by a process id of this namespace, the supervisor: a container's is as good as any."""

import dataclasses
import mmap
import os
import pathlib
import random
import statistics
import struct
import time

from apus import static_program, wait_for
from faults import FAULTS, resident, table_file, zombies
from services import children, descriptor_count, lay, lines, pid_of, svc, svstat, wait_up

# Writes its process id and numbers, one line in twenty milliseconds. What it has done stands in a file of its own, which
# outlives any end: lines written, HUPs met, whether it ended by itself, the times of its first and its last line.
# counter DIRECTORY [MILLISECONDS OF LIFE]
COUNTER = r"""
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static volatile struct { uint64_t lines, hangups, ended, first, last; } *told;
static void hang_up(int number) { (void)number; told->hangups++; }
static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000ull + time.tv_nsec;
}

int main(int argc, char **argv)
{
    char line[64], name[64];
    struct timespec pause = {0, 20000000};
    uint64_t life = argc > 2 ? atoll(argv[2]) * 1000000ull : UINT64_MAX;
    snprintf(name, sizeof name, "%s/%d", argv[1], getpid());
    int file = open(name, O_RDWR | O_CREAT | O_EXCL, 0644);
    if (file < 0 || ftruncate(file, sizeof *told) < 0)
        return 111;
    told = mmap(0, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    struct sigaction action = {.sa_handler = hang_up, .sa_flags = SA_RESTART};
    sigaction(SIGHUP, &action, 0);
    told->first = told->last = now();
    while (now() - told->first < life) {
        int length = snprintf(line, sizeof line, "%d %llu\n", getpid(), (unsigned long long)told->lines);
        if (write(1, line, length) != length)
            return 1;
        told->lines++;
        told->last = now();
        nanosleep(&pause, 0);
    }
    told->ended = 1;
    return 7;
}
"""
LOG = "exec multilog n500 s999999 ./main"
HEAD = struct.Struct("<5Q")


def compiled(directory):
    """The counter as a static program, which needs nothing of a container."""
    return static_program(pathlib.Path(directory) / "counter", COUNTER)


@dataclasses.dataclass
class Report:
    """What came of it."""
    faults: int = 0
    commands: int = 0
    starts: int = 0
    lines: int = 0
    times: list = dataclasses.field(default_factory=list)
    memory: tuple = (0, 0)

    def __str__(self):
        times = sorted(self.times)
        return (f"{self.faults} faults, {self.commands} commands, {self.starts} starts, {self.lines} lines; from a fault to "
                f"going on {statistics.median(times):.1f} ms, 95 % below {times[len(times) * 95 // 100]:.1f} ms; "
                f"memory {self.memory[0]} to {self.memory[1]} KiB")


class Load:
    """The services in a scan directory that does not exist yet: two fifths only write, a fifth ends by itself now and
    then and has a finish, the rest is commanded."""

    def __init__(self, place, counter, count=100, seed=4711, inside=None):
        """`inside` is what the programs of the services are called where they run, if not as here."""
        self.chance = random.Random(seed)
        self.scan = pathlib.Path(place) / "scan"
        self.paths = [self.scan / f"s{number}" for number in range(count)]
        self.quiet = self.paths[:count * 2 // 5]
        self.brief = self.paths[count * 2 // 5:count * 3 // 5]
        self.commanded = self.paths[count * 3 // 5:]
        self.scan.mkdir()
        program = inside or counter
        for path in self.paths:
            life, files = "", {}
            if path in self.brief:
                life = f" {self.chance.randrange(300, 1500)}"
                files["finish"] = "#!/bin/sh\necho $1 $2 >> finished\n"
            lay(path, f"exec {program} told{life}", log=LOG, **files)
            (path / "told").mkdir()
        self.starts = {path: 1 for path in self.paths}
        self.hangups = dict.fromkeys(self.commanded, 0)
        # What a command must come to, for each service that was given one.
        self.awaited = {}
        self.report = Report()

    def told(self, path):
        """What each process of a service has told, by the time of its start."""
        found = {}
        for file in (path / "told").iterdir():
            content = file.read_bytes()
            # One that has just been started may not have come further.
            if len(content) == HEAD.size and HEAD.unpack(content)[3]:
                found[int(file.name)] = HEAD.unpack(content)
        return dict(sorted(found.items(), key=lambda item: item[1][3]))

    def command(self):
        """Gives one of the services a command, if the one before has had its effect."""
        path = self.chance.choice(self.commanded)
        if path in self.awaited and not self.awaited[path]():
            return
        pid = pid_of(path)
        what = self.chance.choice("thhhdo" if pid else "u")
        self.report.commands += 1
        if what == "t":
            self.starts[path] += 1
            self.awaited[path] = lambda: pid_of(path) not in (None, pid) and self.has(path, self.starts[path])
        elif what == "h":
            self.hangups[path] += 1
            self.awaited[path] = lambda: sum(head[1] for head in self.told(path).values()) >= self.hangups[path]
        elif what == "d":
            self.awaited[path] = lambda: svstat(path).startswith("down ")
        elif what == "u":
            self.starts[path] += 1
            self.awaited[path] = lambda: pid_of(path) and self.has(path, self.starts[path])
        else:
            # It is up already, and goes on.
            what = "u"
        svc(f"-{what}", path)

    def has(self, path, count):
        """Whether that many processes of a service have come to their first line."""
        return len(self.told(path)) == count

    def begin(self, first):
        """Waits until all are up."""
        self.pids = {path: wait_up(path) for path in self.paths}
        self.loggers = {path: wait_up(path / "log") for path in self.paths}
        for path in self.quiet + self.commanded:
            wait_for(lambda: self.has(path, 1), f"a line of {path}")

    def run(self, first, faults):
        """Has process `first` meet so many faults at random moments."""
        self.begin(first)
        with open(table_file(first), "rb") as file, mmap.mmap(file.fileno(), 4096, access=mmap.ACCESS_READ) as table:
            def met():
                return int.from_bytes(table[56:60], "little")

            def overcome():
                return int.from_bytes(table[76:80], "little")

            self._fault(first, met, overcome)
            count, before = descriptor_count(first), resident(first)
            while met() < faults:
                for _ in range(self.chance.randrange(3)):
                    self.command()
                # Often while it still does what it was told.
                time.sleep(self.chance.random() * self.chance.choice([0, 0.0005, 0.01]))
                self._fault(first, met, overcome, heels=self.chance.random() < 0.1)
            self.report.faults = met()
        self.end(first)
        wait_for(lambda: descriptor_count(first) == count, "the descriptors that there were")
        self.report.memory = before, resident(first)
        assert self.report.memory[1] < before + 256

    def end(self, first):
        """Sees that all commands have had their effect, and that the processes are those that they should be."""
        for path, condition in self.awaited.items():
            wait_for(condition, f"the effect of the last command of {path}")
        assert {path: pid_of(path) for path in self.quiet} == {path: self.pids[path] for path in self.quiet}
        assert {path: pid_of(path / "log") for path in self.paths} == self.loggers
        wait_for(lambda: not zombies(first), "no zombie")
        # Nobody but services and loggers, and perhaps a finish, is its child.
        assert len(children(first)) <= 2 * len(self.paths)

    def _fault(self, first, met, overcome, heels=False):
        """One fault, and with `heels` another signal right behind it, which may be ignored."""
        # So may one that is sent before the last fault is overcome.
        wait_for(lambda: overcome() == met(), "the end of the last fault")
        before = met()
        start = time.perf_counter()
        os.kill(first, self.chance.choice(FAULTS))
        if heels:
            time.sleep(self.chance.random() * 0.005)
            os.kill(first, self.chance.choice(FAULTS))
        while met() == before or overcome() < met():
            assert time.perf_counter() - start < 30, "it did not go on"
        # Between the two it may have gone on for a while.
        if not heels:
            self.report.times.append((time.perf_counter() - start) * 1000)

    def check(self):
        """After all has ended: each process ran for the reason that it had, and each line is there once."""
        for path in self.paths:
            told = self.told(path)
            self.report.starts += len(told)
            heads = list(told.values())
            for earlier, later in zip(heads, heads[1:]):
                assert earlier[4] <= later[3], f"two of {path} at a time"
            if path in self.brief:
                # The last one was ended with all the rest.
                assert all(head[2] for head in heads[:-1]), f"{path} was restarted"
                finished = lines(path / "finished")
                assert finished[:len(heads) - 1] == ["7 0"] * (len(heads) - 1), path
                assert finished.count("7 0") <= sum(head[2] for head in heads), f"finish of {path} ran twice"
            else:
                assert len(told) == self.starts[path], path
            if path in self.commanded:
                # One that was being sent at the very time of a fault may be sent twice.
                extra = sum(head[1] for head in heads) - self.hangups[path]
                assert 0 <= extra <= 5, path
            self._check_log(path, told)

    def _check_log(self, path, told):
        text = b"".join(file.read_bytes() for file in sorted((path / "log/main").glob("@*")))
        text += (path / "log/main/current").read_bytes()
        numbers = {}
        for line in text.decode().splitlines():
            pid, number = map(int, line.split())
            assert numbers.get(pid, -1) + 1 == number, (path, line)
            numbers[pid] = number
        assert numbers.keys() == told.keys(), path
        for pid, last in numbers.items():
            # It may have been ended after its last line was written and before it had counted it.
            assert last + 1 - told[pid][0] in (0, 1), (path, pid)
        self.report.lines += sum(last + 1 for last in numbers.values())
