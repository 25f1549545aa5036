"""A hundred thousand orphans in an engine's container while fifty services restart: none is left."""

import os

from orphans import Orphans, compiled

ORPHANS = int(os.environ.get("APUS_TEST_ORPHANS", "100000"))


def test_none_is_left(start, tmp_path):
    orphans = Orphans(tmp_path, ORPHANS)
    compiled(tmp_path)
    container = start("/load/maker", str(ORPHANS), "/load/done", volumes=[(tmp_path, "/load")],
                      program=["apus", "init", "-s", "/load/scan", "--"])
    print(orphans.run(container.pid))
    os.kill(container.pid, 15)
    assert container.wait() == 143
