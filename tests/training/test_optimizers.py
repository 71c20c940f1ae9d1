import keras
import numpy as np
import pytest

from style_transfer import training
from style_transfer.models.music_vae.schedule import DecayToMinimum
from tests import model_case
from tests.training.tiny_runs import assert_same


def test_average_follows_its_formula():
    optimizer = training.build_optimizer(0.1, schedule="constant", ema_momentum=0.9)
    variable = keras.Variable(np.ones(2, np.float32))
    optimizer.build([variable])
    expected = np.zeros(2)
    for step in range(15):
        optimizer.apply([keras.ops.convert_to_tensor([1.0, -2.0])], [variable])
        momentum = min(step / (step + 10), 0.9)
        expected = momentum * expected + (1 - momentum) * keras.ops.convert_to_numpy(variable)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(optimizer.averages[0]), expected,
                               rtol=1e-5)


@pytest.mark.parametrize("steps", [1, 3])
def test_guarded_adam_equals_adam_on_finite_gradients(steps):
    rng = np.random.default_rng(0)
    variables = [[keras.Variable(np.ones((3, 2), np.float32)), keras.Variable(np.ones(2, "f4"))]
                 for _ in range(2)]
    clip = {"global_clipnorm": 1.0}
    optimizers = [
        training.GuardedAdam(0.1, **clip, accumulate_steps=steps),
        keras.optimizers.Adam(0.1, **clip,
                              gradient_accumulation_steps=steps if steps > 1 else None)]
    for _ in range(6):
        gradients = [rng.normal(size=v.shape).astype(np.float32) for v in variables[0]]
        for optimizer, own in zip(optimizers, variables, strict=True):
            optimizer.apply([keras.ops.convert_to_tensor(g) for g in gradients], own)
    for a, b in zip(*variables, strict=True):
        # A mean of several batches is rounded otherwise than Keras rounds it.
        np.testing.assert_allclose(keras.ops.convert_to_numpy(a), keras.ops.convert_to_numpy(b),
                                   rtol=0 if steps == 1 else 1e-6)


def test_the_scale_of_a_loss_changes_no_update_and_is_found():
    rng = np.random.default_rng(0)
    plain, scaled = (training.GuardedAdam(0.1, scales_loss=scales) for scales in (False, True))
    variables = [keras.Variable(np.ones(3, np.float32)) for _ in range(2)]
    gradients = rng.normal(size=(4, 3)).astype(np.float32)
    scale = 1.0
    for i, gradient in enumerate(gradients):
        plain.apply([keras.ops.convert_to_tensor(gradient)], [variables[0]])
        if i == 2:  # too large for the type: half the scale, but no step that counts as skipped
            scaled.apply([keras.ops.convert_to_tensor(np.full(3, np.inf, np.float32))],
                         [variables[1]])
            scaled._iterations.assign_sub(1)
        if i:
            scale = float(keras.ops.convert_to_numpy(
                scaled.scale_loss(keras.ops.convert_to_tensor(1.0))))
            assert scale == 2.0 ** (15 if i < 2 else 14)
        else:
            scaled.build([variables[1]])
            scale = 2.0 ** 15
        scaled.apply([keras.ops.convert_to_tensor(scale * gradient)], [variables[1]])
    np.testing.assert_allclose(*map(keras.ops.convert_to_numpy, variables), rtol=1e-6)
    assert int(keras.ops.convert_to_numpy(scaled.skipped_steps)) == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_gradients_that_are_not_finite_change_neither_weights_nor_moments(bad):
    optimizer = training.build_optimizer(0.1, clip_norm=1.0, ema_momentum=0.5)
    variables = [keras.Variable(np.ones(2, np.float32)), keras.Variable(np.ones(3, np.float32))]

    def step(value):
        optimizer.apply([keras.ops.convert_to_tensor([1.0, value]), keras.ops.ones(3)], variables)

    def snapshot():
        kept = [*variables, *optimizer._momentums, *optimizer._velocities]
        return [keras.ops.convert_to_numpy(v) for v in kept]

    step(bad)
    assert_same(snapshot()[:2], [np.ones(2), np.ones(3)])
    assert_same([keras.ops.convert_to_numpy(a) for a in optimizer.averages],
                [np.ones(2), np.ones(3)])
    step(2.0)
    before = snapshot()
    step(bad)
    step(bad)
    assert_same(before, snapshot())
    assert [int(keras.ops.convert_to_numpy(v)) for v in (
        optimizer.skipped_steps, optimizer.consecutive_skips, optimizer.iterations)] == [3, 2, 4]
    step(2.0)
    assert int(keras.ops.convert_to_numpy(optimizer.consecutive_skips)) == 0


def test_a_bad_batch_adds_nothing_to_accumulated_gradients():
    def trained(optimizer, values):
        variable = keras.Variable(np.ones(2, np.float32))
        optimizer.build([variable])
        for value in values:
            optimizer.apply([keras.ops.convert_to_tensor([1.0, value])], [variable])
        return optimizer, keras.ops.convert_to_numpy(variable)

    def guarded():
        return training.GuardedAdam(0.1, epsilon=1e-8, accumulate_steps=2)

    nan = float("nan")
    # The mean of (1, 2) and nothing; Adam's step depends on the ratio of gradients only later on.
    _, expected = trained(keras.optimizers.Adam(0.1, epsilon=1e-8), [1.0])
    for values in ([2.0, nan], [nan, 2.0]):
        optimizer, found = trained(guarded(), values)
        np.testing.assert_allclose(found, expected, rtol=1e-5)
        assert int(keras.ops.convert_to_numpy(optimizer.skipped_steps)) == 1
    _, kept = trained(guarded(), [2.0, 2.0])
    optimizer, found = trained(guarded(), [2.0, 2.0, nan, nan])
    np.testing.assert_array_equal(found, kept)
    assert int(keras.ops.convert_to_numpy(optimizer.consecutive_skips)) == 2


def test_decaying_weights_is_refused():
    with pytest.raises(ValueError, match="weight_decay=0.01"):
        training.GuardedAdam(weight_decay=0.01).build([keras.Variable(np.ones(2, np.float32))])


@pytest.mark.parametrize(("kind", "expected"), [
    ("constant", {0: 0.25, 3: 1.0, 4: 1.0, 14: 1.0, 50: 1.0}),
    ("cosine", {0: 0.25, 3: 1.0, 4: 1.0, 9: 0.55, 14: 0.1, 50: 0.1}),
    ("exponential", {0: 0.25, 3: 1.0, 4: 1.0, 9: 0.1**0.5, 14: 0.1, 24: 0.01}),
    ("staircase", {0: 0.25, 3: 1.0, 4: 1.0, 13: 1.0, 14: 0.1, 23: 0.1, 24: 0.01}),
])
def test_learning_rate_warms_up_and_decays(kind, expected):
    schedule = training.WarmupDecay(2.0, warmup_steps=4, decay_steps=10, final_fraction=0.1,
                                    kind=kind)
    copy = training.WarmupDecay.from_config(schedule.get_config())
    for step, fraction in expected.items():
        for each in (schedule, copy):
            assert float(each(step)) == pytest.approx(2.0 * fraction, rel=1e-5)


@pytest.mark.parametrize("arguments", [
    {"peak": 0.0}, {"peak": 1.0, "decay_steps": 0}, {"peak": 1.0, "kind": "linear"},
    {"peak": 1.0, "kind": "exponential", "final_fraction": 0.0},
    {"peak": 1.0, "kind": "staircase", "final_fraction": 0.0}])
def test_impossible_schedules_are_errors(arguments):
    with pytest.raises(ValueError, match="schedule|decay"):
        training.WarmupDecay(**arguments)


def test_schedules_and_optimizer_keep_their_arguments():
    model_case.check_config(training.GuardedAdam, {"learning_rate": 0.5},
                            {"learning_rate": 0.25, "accumulate_steps": 3, "scales_loss": True})
    model_case.check_config(
        training.WarmupDecay, {"peak": 1.0},
        {"peak": 2.0, "warmup_steps": 3, "decay_steps": 50, "final_fraction": 0.1,
         "kind": "constant"})
    model_case.check_config(
        DecayToMinimum, {"initial": 1.0, "minimum": 0.1, "decay_rate": 0.9},
        {"initial": 2.0, "minimum": 0.2, "decay_rate": 0.8})
