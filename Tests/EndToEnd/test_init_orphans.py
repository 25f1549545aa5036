"""Orphans by the thousand while services come and go: none is left, and no service loses its place."""

import os
import pathlib

from apus import BIN, pid_namespace, wait_for
from services import children, lay, process_state

# 100000 are reaped as well, in ten times the time.
ORPHANS = int(os.environ.get("APUS_TEST_ORPHANS", "10000"))
SERVICES = 50
# Each child leaves a grandchild behind, which ends after it.
MAKER = """
for my $n (1 .. shift) {
    my $child = fork // redo;
    if ($child) { waitpid $child, 0; next }
    pipe my $reader, my $writer;
    my $grandchild = fork;
    if (!defined $grandchild) { exit 1 }
    exit 0 if $grandchild;
    close $writer; read $reader, my $byte, 1; exit 0;
}
open my $done, ">", shift; close $done; sleep 1000 while 1;
"""


def test_none_is_left(tmp_path):
    scan = tmp_path / "scan"
    scan.mkdir()
    for number in range(SERVICES):
        lay(scan / f"s{number}", "echo start >> starts; exec sleep 0.1")
    lay(scan / "steady")
    done = tmp_path / "done"
    with pid_namespace(BIN / "init", "-s", scan, "--", "perl", "-e", MAKER, ORPHANS, done) as (process, first):
        wait_for(done.exists, "all orphans", 60 + ORPHANS / 100)
        assert process.poll() is None

        def settled():
            states = [process_state(pid) for pid in children(first)]
            return "Z" not in states and None not in states and len(states) <= SERVICES + 2
        wait_for(settled, "the last orphan reaped")
        starts = [len(pathlib.Path(scan / f"s{number}/starts").read_text().splitlines()) for number in range(SERVICES)]
        assert min(starts) >= 2, starts
        # They still do.
        wait_for(lambda: all(
            len((scan / f"s{number}/starts").read_text().splitlines()) > starts[number] for number in range(SERVICES)),
            "further restarts")
        os.kill(first, 15)
        assert process.wait(15) == 143
