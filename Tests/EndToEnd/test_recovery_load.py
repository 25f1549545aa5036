"""Process 1 meets faults at random moments while a hundred services write, restart and are commanded."""

import os
import signal

from faults import init
from load import Load, compiled

# The reliability that is promised was measured with a thousand.
FAULTS = int(os.environ.get("APUS_TEST_FAULTS", "150"))
SEED = int(os.environ.get("APUS_TEST_SEED", "4711"))


def test_many_faults_under_load(tmp_path):
    load = Load(tmp_path, compiled(tmp_path), seed=SEED)
    # Its lines go to a file: a pipe that nobody reads would be full before the end.
    with open(tmp_path / "errors", "wb") as errors, init("-s", load.scan, stderr=errors) as (process, first):
        load.run(first, FAULTS)
        os.kill(first, signal.SIGTERM)
        assert process.wait(30) == 0
    load.check()
    # One that comes before the last is told of counts, too.
    assert 0 < (tmp_path / "errors").read_text().count("recovered from signal") <= load.report.faults
    print(load.report)
