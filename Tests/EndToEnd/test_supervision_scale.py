"""Many services, many deaths, many commands; and nothing to do at all."""

import time

from apus import BIN, wait_for
from services import (children, descriptor_count, lay, lines, messages, supervisor, svc, svstat,
                      switches, wait_down, wait_idle, wait_up)

SVSCAN = BIN / "svscan"


def private_memory(pid):
    """Kilobytes that are this process's own."""
    for line in lines(f"/proc/{pid}/smaps_rollup"):
        if line.startswith("Private_Dirty:"):
            return int(line.split()[1])


def lay_many(scan, count, script="exec sleep 1000", **options):
    return [lay(scan / f"s{number}", script, **options) for number in range(count)
            if not (scan / f"s{number}").exists()]


def test_an_idle_supervisor_never_wakes_up(scan):
    lay_many(scan, 10, log="exec cat")
    with supervisor(SVSCAN, scan) as process:
        wait_for(lambda: len(children(process.pid)) == 20, "the services")
        wait_idle(process.pid)
        before = switches(process.pid)
        time.sleep(3)
        assert switches(process.pid) == before
        # It was not asleep for good.
        svc("-d", scan / "s0")
        wait_down(scan / "s0")


def test_500_services_and_their_memory(scan):
    lay_many(scan, 1)
    with supervisor(SVSCAN, scan) as process:
        wait_for(lambda: len(children(process.pid)) == 1, "one service")
        one = private_memory(process.pid)
        lay_many(scan, 500)
        wait_for(lambda: len(children(process.pid)) == 500, "500 services", 30)
        wait_idle(process.pid)
        many = private_memory(process.pid)
        assert messages(process) == []
        # A fifth of it is the journal for the next image.
        assert (many - one) / 499 <= 1.25, f"{one} kB with one service, {many} kB with 500"
        start = time.monotonic()
        process.terminate()
        assert process.wait(20) == 0
        assert time.monotonic() - start < 10


def least_memory(pid):
    """What it has between two turns of the journal: the least of what is seen in two seconds."""
    def sample():
        time.sleep(0.05)
        return private_memory(pid)
    return min(sample() for _ in range(40))


def test_restarts_cost_no_memory(scan):
    """A hundred services that die at once, a hundred starts a second."""
    paths = lay_many(scan, 100, "echo >> starts")
    with supervisor(SVSCAN, scan) as process:
        def starts():
            return sum(len(lines(path / "starts")) for path in paths)
        wait_for(lambda: starts() > 400, "400 starts", 30)
        before = least_memory(process.pid)
        wait_for(lambda: starts() > 2400, "2400 starts", 60)
        # A few pages more or less are what the allocator does; 16 bytes a start would be eight.
        assert least_memory(process.pid) <= before + 20


def test_coming_and_going_costs_no_memory_and_no_descriptor(scan, tmp_path):
    path = lay(tmp_path / "s", log="exec cat > /dev/null")
    lay(scan / "other")
    with supervisor(SVSCAN, scan) as process:
        wait_up(scan / "other")
        wait_idle(process.pid)
        descriptors = descriptor_count(process.pid)

        def once():
            (scan / "s").symlink_to(path)
            wait_up(path)
            wait_up(path / "log")
            (scan / "s").unlink()
            svc("-dx", path, path / "log")
            wait_for(lambda: len(children(process.pid)) == 1, "its end")
        for _ in range(40):
            once()
        memory = private_memory(process.pid)
        for _ in range(60):
            once()
        wait_for(lambda: descriptor_count(process.pid) == descriptors, "no descriptor more")
        # The journal for the next image begins anew each few pages.
        assert private_memory(process.pid) <= memory + 20


def test_a_flood_of_commands_holds_up_no_other_service(scan):
    lay_many(scan, 3)
    with supervisor(SVSCAN, scan) as process:
        for path in scan.glob("[!.]*"):
            wait_up(path)
        control = scan / "s0/supervise/control"
        with supervisor("sh", "-c", f"exec yes u > {control}"):
            time.sleep(0.3)
            start = time.monotonic()
            svc("-d", scan / "s1")
            wait_down(scan / "s1")
            lay(scan / "new")
            wait_up(scan / "new")
            assert time.monotonic() - start < 2
        assert len(children(process.pid)) == 3


def test_what_services_leave_behind_is_no_trouble(scan):
    lay_many(scan, 20, "for i in 1 2 3 4 5 6 7 8 9 10; do sleep 1000 & done; exec sleep 1000")
    with supervisor(SVSCAN, scan) as process:
        for path in scan.glob("[!.]*"):
            wait_up(path)
        svc("-k", *scan.glob("[!.]*"))
        svc("-dx", *scan.glob("[!.]*"))
        wait_for(lambda: all("not running" in svstat(path) for path in scan.glob("[!.]*")), "the end")
        assert children(process.pid) == []
