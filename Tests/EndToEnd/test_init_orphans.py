"""Orphans by the thousand while services come and go: none is left, and no service loses its place."""

import os

from apus import BIN, pid_namespace
from orphans import Orphans, compiled

# Tests/Container has ten times as many.
ORPHANS = int(os.environ.get("APUS_TEST_ORPHANS", "10000"))


def test_none_is_left(tmp_path):
    orphans = Orphans(tmp_path, ORPHANS)
    maker = compiled(tmp_path)
    with pid_namespace(BIN / "init", "-s", orphans.scan, "--", maker, ORPHANS, orphans.done) as (process, first):
        print(orphans.run(first))
        os.kill(first, 15)
        assert process.wait(15) == 143
