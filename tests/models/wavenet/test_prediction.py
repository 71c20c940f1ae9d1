import keras
import numpy as np
import pytest
import scipy.linalg
from keras import ops

from style_transfer.models.wavenet import prediction
from style_transfer.models.wavenet.prediction import HarmonicPredictor
from tests import model_case

RATE, ROLL_RATE, TAPS = 8000, 250, 64


@pytest.fixture(scope="module")
def predictor():
    layer = HarmonicPredictor(RATE, ROLL_RATE, TAPS, num_partials=12)
    layer.build((None, None, 4))
    return layer


def lags_of_sines(seed, signals=6, order=24):
    rng = np.random.default_rng(seed)
    hz, energy = rng.uniform(0.05, 1.5, (2, signals, 5, 1))
    lags = np.sum(energy * np.cos(hz * np.arange(order + 1)), axis=1)
    lags[:, 0] *= 1.001
    return lags / lags[:, :1]


def solved(lags):
    return scipy.linalg.solve_toeplitz(lags[:-1], lags[1:])


def playing(*keys, frames=20):
    roll = np.zeros((1, frames, 88), np.float32)
    roll[:, :, list(keys)] = 0.7
    return roll, np.zeros((1, frames, 4), np.float32)


def test_levinson_solves_the_yule_walker_equations():
    lags = lags_of_sines(0)
    found = ops.convert_to_numpy(prediction.levinson(ops.convert_to_tensor(lags, "float32")))
    assert np.allclose(found, [solved(item) for item in lags], atol=1e-3)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="gradients by tf.GradientTape")
def test_gradient_of_levinson_is_that_of_the_solution():
    import tensorflow as tf

    lags = lags_of_sines(1)
    above = np.random.default_rng(2).normal(size=(len(lags), lags.shape[1] - 1))
    given = tf.constant(lags, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(given)
        total = tf.reduce_sum(prediction.levinson(given) * above.astype(np.float32))
    found, step = tape.gradient(total, given).numpy(), 1e-7
    wanted = np.empty_like(lags)
    for lag in range(lags.shape[1]):
        moved = np.eye(lags.shape[1])[lag] * step
        wanted[:, lag] = [(solved(item + moved) - solved(item - moved)) @ up / (2 * step)
                          for item, up in zip(lags, above, strict=True)]
    assert np.allclose(found, wanted, atol=2e-3 * np.abs(wanted).max())


def test_a_tone_is_predicted_by_the_roll_that_holds_it_and_not_by_another(predictor):
    key, other = 40, 43
    hz = 440 * 2 ** ((key - 48) / 12)
    tone = sum(np.sin(2 * np.pi * hz * k * np.arange(20 * 32) / RATE) / k for k in (1, 2, 3))
    tone = 0.1 * tone[None].astype(np.float32)
    past = np.pad(tone, ((0, 0), (1, 0)))[:, :-1]
    errors = []
    for sounding, context in (playing(key), playing(other), playing()):
        predicted = np.asarray(predictor.predict(past, predictor(context, sounding)))
        errors.append(np.std((predicted - tone)[:, TAPS:]) / np.std(tone))
    assert errors[0] < 0.03
    assert errors[0] < 0.2 * errors[1] < errors[2]


def test_predictions_are_weighted_sums_of_the_past(predictor):
    rng = np.random.default_rng(0)
    past, weights = rng.normal(size=(2, 96)), rng.normal(size=(2, 3, TAPS))
    weights = weights.astype(np.float32)
    found = np.asarray(predictor.predict(past.astype(np.float32), ops.convert_to_tensor(weights)))
    padded = np.pad(past, ((0, 0), (TAPS - 1, 0)))
    for n in (0, 31, 32, 95):
        wanted = np.sum(padded[:, n:n + TAPS][:, ::-1] * weights[:, n // 32], axis=1)
        assert np.allclose(found[:, n], wanted, atol=1e-4)


def test_filters_are_stable_whatever_sounds(predictor):
    rng = np.random.default_rng(1)
    sounding = (rng.uniform(size=(1, 12, 88)) < 0.1) * rng.uniform(size=(1, 12, 88))
    context = 5 * rng.normal(size=(1, 12, 4))
    for layer in (predictor.energies, predictor.brightness, predictor.noise):
        layer.kernel.assign(rng.normal(size=layer.kernel.shape))
    weights = np.asarray(predictor(context.astype("f"), sounding.astype("f")))[0]
    for layer in (predictor.energies, predictor.brightness, predictor.noise):
        layer.kernel.assign(np.zeros(layer.kernel.shape))
    poles = [np.abs(np.roots(np.concatenate([[1.0], -row]))).max() for row in weights]
    assert max(poles) < 1.0005  # in float32


def test_notes_ring_on_for_a_moment(predictor):
    sounding, context = playing(30, frames=60)
    sounding[:, 20:] = 0
    weights = np.asarray(predictor(context, sounding))[0]
    assert np.allclose(weights[19], weights[20 + predictor.release - 1], atol=1e-5)
    assert not np.allclose(weights[19], weights[20 + predictor.release], atol=0.1)


def test_the_layer_keeps_its_arguments_and_trains(tmp_path):
    rng = np.random.default_rng(0)
    context, sounding = rng.normal(size=(2, 5, 4)), rng.uniform(0.1, 1, size=(2, 5, 88))
    model_case.check_layer(
        HarmonicPredictor, {"sample_rate": 2000, "roll_rate": 250, "num_taps": 4},
        (context.astype(np.float32), sounding.astype(np.float32)), (2, 5, 4),
        {"sample_rate": 4000, "roll_rate": 125, "num_taps": 3, "num_partials": 5}, tmp_path)
