"""What worker processes of Apache Beam say."""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]
# Stands for Beam's program, which logs before it has been told how much to say.
BEAM = '''
import logging, sys, types
beam = types.ModuleType("apache_beam.runners.worker")
beam.sdk_worker_main = types.SimpleNamespace(main=lambda argv: [
    logging.warning("no client libraries"), logging.getLogger().setLevel(logging.INFO),
    logging.info("Logging handler created."), logging.getLogger("apache_beam").info("theirs"),
    logging.getLogger("style_transfer.pipelines.any").info("%d of %d", 3, 4)])
for name in ("apache_beam", "apache_beam.runners", "apache_beam.runners.worker"):
    sys.modules[name] = beam
from style_transfer.pipelines import beam_worker
beam_worker.main()
'''


def test_a_worker_says_what_our_code_says_and_nothing_of_beams():
    done = subprocess.run([sys.executable, "-c", BEAM], cwd=ROOT, capture_output=True, text=True,
                          check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "3 of 4\n")
