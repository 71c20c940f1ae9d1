"""Any number of workers and devices trains the same model, whatever the configuration, to 1e-5."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from style_transfer import configs
from tests.training import families
from tests.training.tiny_runs import needs_tensorflow

pytestmark = [needs_tensorflow, pytest.mark.slow]


def test_every_configuration_that_trains_has_a_case_or_is_covered_by_one():
    assert set(configs.having("training")) == families.CASES.keys() | families.COVERED.keys()
    assert set(families.COVERED.values()) <= families.CASES.keys()


@pytest.fixture(scope="module")
def trained(tmp_path_factory, unused_ports):
    """Folders with the weights of all configurations by how they were trained."""
    root = tmp_path_factory.mktemp("families")
    families.write_examples(root / "examples")
    cluster = {"worker": [f"127.0.0.1:{port}" for port in unused_ports]}
    kinds = {"one": {}, "mirrored": {}}
    kinds |= {f"worker_{index}": {"TF_CONFIG": json.dumps(
        {"cluster": cluster, "task": {"type": "worker", "index": index}})} for index in range(2)}

    def start(name):
        kind = "multiworker" if name.startswith("worker") else name
        return subprocess.Popen(
            [sys.executable, "-m", "tests.training.families", kind, str(root / "examples"),
             str(root / name)],
            text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            env={**os.environ, **kinds[name], "TF_NUM_INTRAOP_THREADS": "1"})

    for names in (("one", "mirrored"), ("worker_0", "worker_1")):
        for process in list(map(start, names)):
            _, errors = process.communicate()
            assert process.returncode == 0, errors[-3000:]
    return root


@pytest.mark.parametrize("name", families.CASES)
@pytest.mark.parametrize("other", ["mirrored", "worker_0", "worker_1"])
def test_weights_are_those_of_one_process(trained, name, other):
    with np.load(trained / "one" / f"{name}.npz") as one, \
            np.load(trained / other / f"{name}.npz") as found:
        assert one.files == found.files
        for key in one.files:
            np.testing.assert_allclose(found[key], one[key], rtol=2e-5, atol=1e-5, err_msg=key)
