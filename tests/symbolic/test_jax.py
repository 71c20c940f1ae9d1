"""The symbolic models on JAX give what they give on TensorFlow, and learn."""

import importlib.util
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from tests.symbolic import one_step

pytestmark = [pytest.mark.slow, pytest.mark.skipif(
    importlib.util.find_spec("jax") is None or keras.backend.backend() == "jax",
    reason="compares JAX, which is not installed, with another backend")]


def test_numbers_and_training_on_jax_equal_those_on_this_backend(tmp_path):
    for name, model in one_step.models().items():
        for variable in model.trainable_variables:  # the initial ones leave z without effect
            variable.assign(keras.random.normal(variable.shape, stddev=0.5, seed=1))
        model.save_weights(tmp_path / f"{name}.weights.h5")
    done = subprocess.run(
        [sys.executable, "-m", "tests.symbolic.one_step", str(tmp_path), str(tmp_path / "jax.npz")],
        env={**os.environ, "KERAS_BACKEND": "jax"}, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    found, expected = dict(np.load(tmp_path / "jax.npz")), one_step.outcome(tmp_path)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        if name.startswith("losses"):  # what is drawn differs
            assert found[name][-1] < found[name][0], name
        else:
            np.testing.assert_allclose(found[name], value, atol=2e-4, err_msg=name)
