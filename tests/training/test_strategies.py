import json
import os
import subprocess
import sys

import numpy as np
import pytest

from style_transfer.training import strategies
from tests.training.tiny_runs import (
    arrays,
    assert_same,
    needs_tensorflow,
    read_scores,
    repeatable,
    run,
)


def test_strategy_and_batch_size_are_checked():
    with pytest.raises(ValueError, match="'tpu' is unknown; choose one of default, mirrored"):
        strategies.make_placement("tpu")
    with pytest.raises(ValueError, match="batch_size=5 does not divide by the 2 devices"):
        strategies.check_batch_size(strategies.Placement(num_replicas=2), 5)


_TWO_DEVICES = """
import sys
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from tests.training import tiny_runs
tiny_runs.run(sys.argv[1], sys.argv[2], 8, tiny_runs.repeatable(), strategy="mirrored")
"""


_WORKER = """
import sys
import numpy as np
from tests.training import tiny_runs
model = tiny_runs.run(sys.argv[1], sys.argv[2], 8, tiny_runs.repeatable(),
                          strategy="multiworker")
np.savez(sys.argv[3], *tiny_runs.weights(model))
"""


def start(code, *arguments, **environment):
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], text=True,
                            stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": ".",
                                                         **environment})


def assert_ends_well(process):
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors[-3000:]


def assert_trained_alike(first, second):
    """Scores, skipped steps and all variables of two runs are the same."""
    a, b = arrays(first, 8), arrays(second, 8)
    assert a.keys() == b.keys()
    for name in a:
        if not name.startswith("random"):
            np.testing.assert_allclose(a[name], b[name], rtol=1e-4, atol=1e-6, err_msg=name)
    scores = [read_scores(run_dir)[-1] for run_dir in (first, second)]
    assert scores[0] == pytest.approx(scores[1], rel=1e-5)


@needs_tensorflow
@pytest.mark.slow
def test_two_mirrored_devices_train_as_one_does(tmp_path, examples):
    process = start(_TWO_DEVICES, tmp_path / "two", examples)
    run(tmp_path / "one", examples, 8, repeatable())
    assert_ends_well(process)
    assert_trained_alike(tmp_path / "one", tmp_path / "two")


@needs_tensorflow
@pytest.mark.slow
def test_two_workers_resume_and_train_as_one_device_does(tmp_path, examples, unused_ports):
    run(tmp_path / "one", examples, 8, repeatable())
    run(tmp_path / "two", examples, 4, repeatable())
    cluster = {"worker": [f"127.0.0.1:{port}" for port in unused_ports]}
    workers = [start(_WORKER, tmp_path / "two", examples, tmp_path / f"{index}.npz",
                     TF_CONFIG=json.dumps({"cluster": cluster,
                                           "task": {"type": "worker", "index": index}}))
               for index in range(2)]
    for worker in workers:
        assert_ends_well(worker)
    with np.load(tmp_path / "0.npz") as chief, np.load(tmp_path / "1.npz") as other:
        assert_same([chief[name] for name in chief.files], [other[name] for name in other.files])
    assert_trained_alike(tmp_path / "one", tmp_path / "two")
