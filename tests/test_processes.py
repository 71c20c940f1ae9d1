"""No worker outlives a parent that was killed."""

import os
import subprocess
import sys
import time

import pytest

from style_transfer import processes

POOL = """
from style_transfer import processes
with processes.pool(2) as pool:
    for _ in range(6):  # more than there are workers: what is in the queue is not begun
        pool.submit(eval, SLEEP)
    pool.submit(eval, "0").result()
"""
ISOLATED = """
from style_transfer.pipelines import isolated_workers
list(isolated_workers.run(eval, [SLEEP] * 4, num_workers=2))
"""
SLEEP = "print(__import__('os').getpid(), flush=True) or __import__('time').sleep(600)"


def is_alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{process}/stat") as file:  # whoever is to be told of its end may be slow
        return file.read().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
@pytest.mark.parametrize("starts", [POOL, ISOLATED], ids=["pool", "isolated workers"])
def test_workers_end_with_a_parent_that_is_killed(starts):
    parent = subprocess.Popen([sys.executable, "-c", f"SLEEP = {SLEEP!r}\n{starts}"],
                              stdout=subprocess.PIPE, text=True)
    with parent:
        workers = {int(parent.stdout.readline()) for _ in range(2)}
        parent.kill()
    assert len(workers) == 2
    assert parent.pid not in workers
    until = time.monotonic() + 10
    while any(map(is_alive, workers)) and time.monotonic() < until:
        time.sleep(0.02)
    assert not [worker for worker in workers if is_alive(worker)]


def test_a_process_that_nothing_started_is_told_so():
    with pytest.raises(ValueError, match="expected one that multiprocessing has started"):
        processes.end_with_parent()
