"""Models of all families train in 16 bits, on accumulated batches and with XLA."""

import dataclasses

import keras
import numpy as np
import pytest

from style_transfer import configs, training
from style_transfer.layers import lstm
from style_transfer.training import precision
from tests.training import families
from tests.training.tiny_runs import needs_tensorflow, read_scores

# Learning rate at first, and the part of the first loss that is left at most after the steps.
FAMILIES = {"performance_net": (3e-3, 0.7)}
STEPS = 40


@pytest.mark.parametrize("name", ["bfloat16", "float16"])
@pytest.mark.parametrize("make", [
    lambda: keras.layers.Dense(6), lambda: keras.layers.Conv1D(6, 3),
    lambda: keras.layers.LSTM(6, return_sequences=True),
    lambda: keras.layers.Bidirectional(keras.layers.GRU(6)), lambda: lstm.Lstm(6)])
def test_products_are_rounded_and_all_else_is_float32(make, name):
    inputs = keras.Input((5, 4))
    model = keras.Model(inputs, make()(inputs))
    x = np.random.default_rng(0).normal(size=(2, 5, 4)).astype(np.float32)
    before = keras.tree.flatten(model(x))
    precision.lower(model, name)
    for a, b in zip(before, keras.tree.flatten(model(x)), strict=True):
        assert keras.backend.standardize_dtype(b.dtype) == "float32"
        difference = np.abs(keras.ops.convert_to_numpy(a) - keras.ops.convert_to_numpy(b)).max()
        assert 0 < difference < (3e-2 if name == "bfloat16" else 4e-3)
    assert {v.dtype for v in model.weights} == {"float32"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Examples of all families."""
    root = tmp_path_factory.mktemp("examples")
    families.write_examples(root)
    return root


def score(name, folder, run_dir, steps, options, **changes):
    hparams = dataclasses.replace(families.hparams_of(name), **changes)
    training.train(configs.get(name), hparams, training.TrainOptions(
        str(run_dir), families.examples_of(folder, name), steps, eval_interval=steps,
        checkpoint_interval=steps, log_interval=steps, **options), lambda line: None)
    return read_scores(run_dir)[-1]["loss"]


@needs_tensorflow
@pytest.mark.slow
@pytest.mark.parametrize("name", families.CASES)
def test_every_configuration_trains_and_is_evaluated_in_bfloat16(tmp_path, folder, name):
    assert np.isfinite(score(name, folder, tmp_path, 3, {"mixed_precision": "bfloat16"}))


def score_of_family(name, folder, run_dir, steps=STEPS, accumulate_steps=1, **options):
    """The loss of a family after so many updates, whose learning rate falls to 0."""
    changes = {"learning_rate": FAMILIES[name][0], "batch_size": 8 // accumulate_steps,
               "warmup_steps": 0, "schedule": "cosine", "decay_steps": STEPS * accumulate_steps}
    return score(name, folder, run_dir, steps * accumulate_steps,
                 {"accumulate_steps": accumulate_steps, **options}, **changes)


@pytest.fixture(scope="module", params=FAMILIES)
def plain(request, folder, tmp_path_factory):
    """A family, and its loss in float32."""
    root = tmp_path_factory.mktemp("plain")
    first = score_of_family(request.param, folder, root / "first", 1)
    last = score_of_family(request.param, folder, root / "last")
    assert last < FAMILIES[request.param][1] * first
    return request.param, last


@needs_tensorflow
@pytest.mark.slow
@pytest.mark.parametrize(("name", "accumulate_steps", "jit_compile"), [
    ("bfloat16", 1, None), ("float32", 2, None), ("float16", 1, True), ("bfloat16", 2, True)])
def test_a_family_reaches_the_loss_of_float32(plain, folder, tmp_path, name, accumulate_steps,
                                              jit_compile):
    family, expected = plain
    found = score_of_family(family, folder, tmp_path, accumulate_steps=accumulate_steps,
                            mixed_precision=name, jit_compile=jit_compile)
    print(f"{family} {name} accumulate_steps={accumulate_steps} jit_compile={jit_compile}: "
          f"{found:.4g}, float32 {expected:.4g}")
    assert found == pytest.approx(expected, rel=0.05)
