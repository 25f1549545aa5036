"""Process 1 of an engine's container meets faults at random moments while a hundred services are busy."""

import os
import signal

from load import Load, compiled

FAULTS = int(os.environ.get("APUS_TEST_FAULTS", "100"))


def test_many_faults_under_load(start, tmp_path):
    load = Load(tmp_path, compiled(tmp_path), inside="/load/counter")
    container = start(volumes=[(tmp_path, "/load")], program=["apus", "init", "-s", "/load/scan"])
    load.run(container.pid, FAULTS)
    os.kill(container.pid, signal.SIGTERM)
    assert container.wait() == 0
    load.check()
    print(load.report)
