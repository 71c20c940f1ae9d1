"""Strategies, accumulation, mixed precision and XLA together reach the scores of plain float32."""

import dataclasses

import numpy as np
import pytest

from style_transfer import training
from style_transfer.training import checkpoints, strategies
from tests.training.tiny_runs import CONFIG, HPARAMS, needs_tensorflow, read_scores, run

pytestmark = needs_tensorflow
STEPS = 60
# Without dropout: halves of a batch are not accumulated with the masks of the whole.
LONG = dataclasses.replace(HPARAMS, dropout=0.0, clip_norm=1.0, schedule="constant")


def score(run_dir, examples, hparams=LONG, steps=STEPS, **options):
    run(run_dir, examples, steps, hparams, eval_interval=steps, checkpoint_interval=steps,
        log_interval=steps, **options)
    return read_scores(run_dir)[-1]["loss"]


@pytest.fixture(scope="module")
def plain(tmp_path_factory, examples):
    """The loss in float32, by how many batches make an update."""
    root = tmp_path_factory.mktemp("plain")
    found = {count: score(root / str(count), examples, steps=STEPS * count,
                          accumulate_steps=count) for count in (1, 2)}
    assert max(found.values()) < 0.5 * score(root / "begin", examples, steps=1)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("strategy", [False, True])
@pytest.mark.parametrize(("precision", "jit_compile", "accumulate_steps"), [
    ("bfloat16", None, 1), ("float16", True, 2), ("float32", True, 1), ("float16", None, 1),
    ("bfloat16", True, 2)])
def test_the_score_is_that_of_float32(tmp_path, examples, plain, monkeypatch, strategy, precision,
                                      jit_compile, accumulate_steps):
    import tensorflow as tf

    if strategy:
        placement = strategies.Placement(tf.distribute.OneDeviceStrategy("cpu:0"))
        monkeypatch.setattr(strategies, "make_placement", lambda name: placement)
    found = score(tmp_path, examples, mixed_precision=precision, jit_compile=jit_compile,
                  accumulate_steps=accumulate_steps, steps=STEPS * accumulate_steps)
    assert found == pytest.approx(plain[accumulate_steps], rel=0.05)
    _, state = checkpoints.latest(tmp_path)
    model = CONFIG.build_model(LONG)
    assert model.dtype_policy.name == "float32"  # the precision was the training's alone
    assert state.step == STEPS * accumulate_steps


def test_two_batches_accumulated_are_one_of_both(tmp_path, examples):
    """Up to the order of rounding, with the learning rate of the first of the two."""
    flat = dataclasses.replace(LONG, schedule="constant", warmup_steps=0)
    first = run(tmp_path / "a", examples, 4, flat, eval_interval=0, accumulate_steps=2)
    from tests import tiny_config

    def both(hparams, seed, index):
        parts = [batch(dataclasses.replace(hparams, batch_size=4), seed, 2 * index + i)
                 for i in range(2)]
        x = {name: np.concatenate([part[0][name] for part in parts]) for name in parts[0][0]}
        return x, np.concatenate([part[1] for part in parts])

    batch = tiny_config.batch
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny_config, "batch", both)
        second = run(tmp_path / "b", examples, 2, dataclasses.replace(flat, batch_size=8),
                     eval_interval=0)
    for a, b in zip(first.weights, second.weights, strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), atol=2e-5, err_msg=a.path)


def test_options_that_need_the_guarded_optimizer_say_so(tmp_path, examples):
    with pytest.raises(ValueError, match="need a GuardedAdam, but tiny trains with SGD"):
        run(tmp_path, examples, 2, dataclasses.replace(HPARAMS, optimizer="sgd"),
            accumulate_steps=2)
    with pytest.raises(ValueError, match="mixed_precision is 'float8', expected one of float32"):
        training.TrainOptions("r", "e", 1, mixed_precision="float8")
