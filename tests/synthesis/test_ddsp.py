"""Synthesis building blocks: layers, gradients, errors, and what DDSP's numbers do not show."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from style_transfer.synthesis.ddsp import core, effects, filters, harmonic, noise
from tests import model_case

RNG = np.random.default_rng(0)


def test_tone_has_its_frequency_and_amplitude():
    ones = np.ones((1, 10, 1), np.float32)
    audio = harmonic.harmonic_synthesis(440 * ones, 0.5 * ones, num_samples=16000)
    spectrum = np.abs(np.fft.rfft(np.asarray(audio)[0]))
    assert np.argmax(spectrum) == 440
    assert np.max(spectrum) / 8000 == pytest.approx(0.5, rel=1e-2)


def test_angular_phase_drifts_a_hundred_times_less_than_a_plain_sum():
    num_samples = 200_000
    omega = np.full((1, num_samples, 1), 0.30001, np.float32)
    exact = np.float64(omega[0, 0, 0]) * np.arange(1, num_samples + 1)
    angular, plain = (
        np.asarray(phase)[0, :, 0] - exact
        for phase in (harmonic.angular_cumsum(omega), keras.ops.cumsum(omega, axis=1))
    )
    drift = np.max(np.abs(np.angle(np.exp(1j * angular))))
    assert drift < 0.01 * np.max(np.abs(plain))


def test_oscillator_bank_in_chunks_equals_the_whole():
    f0_hz = np.linspace(200, 300, 4000, dtype=np.float32)[None, :, None]
    amplitude = RNG.uniform(0, 0.1, (1, 4000, 5)).astype(np.float32)
    whole, _ = harmonic.harmonic_oscillator_bank(f0_hz, amplitude)
    phase, chunks = None, []
    for start in range(0, 4000, 1500):
        piece = slice(start, start + 1500)
        audio, phase = harmonic.harmonic_oscillator_bank(
            f0_hz[:, piece], amplitude[:, piece], phase)
        chunks.append(np.asarray(audio))
    np.testing.assert_allclose(np.concatenate(chunks, axis=1), whole, atol=2e-3)


def test_harmonics_above_nyquist_are_silent():
    ones = np.ones((1, 4, 1), np.float32)
    controls = harmonic.Harmonic(400, 16000).get_controls(ones, np.ones((1, 4, 3), "float32"),
                                                          3000 * ones)
    np.testing.assert_allclose(controls["harmonic_distribution"][0, 0], [0.5, 0.5, 0], atol=1e-6)


def test_fft_convolution_equals_direct_convolution():
    audio, response = RNG.normal(size=(2, 300)), RNG.normal(size=(2, 70))
    actual = filters.fft_convolve(audio, response, "valid", delay_compensation=0)
    expected = [np.convolve(a, b) for a, b in zip(audio, response, strict=True)]
    np.testing.assert_allclose(actual, expected, atol=1e-4)


def test_one_impulse_response_serves_the_whole_batch():
    audio, response = RNG.normal(size=(3, 300)), RNG.normal(size=(1, 70))
    np.testing.assert_allclose(filters.fft_convolve(audio, response),
                               filters.fft_convolve(audio, np.repeat(response, 3, 0)), atol=1e-5)


def test_low_pass_and_high_pass_add_up_to_the_delayed_input():
    cutoff = np.full((1, 4, 1), 0.25, np.float32)
    low = filters.sinc_impulse_response(cutoff, 64)
    high = filters.sinc_impulse_response(cutoff, 64, high_pass=True)
    np.testing.assert_allclose(low + high, np.eye(1, 65, 32) * np.ones((1, 4, 1)), atol=1e-6)


def test_frequency_filter_keeps_what_lies_in_its_band():
    time_secs = np.arange(8000) / 16000
    low, high = (np.sin(2 * np.pi * hz * time_secs)[None] for hz in (500, 6000))
    gains = np.r_[np.ones(16), np.zeros(17)].astype(np.float32)[None, None]
    kept, removed = (np.std(filters.frequency_filter(x, gains)) for x in (low, high))
    assert kept == pytest.approx(np.sqrt(0.5), rel=0.02)
    assert removed < 0.01


LAYERS = {
    "harmonic": (lambda: harmonic.Harmonic(400, 16000, amp_resample_method="linear"),
                 [(2, 4, 1), (2, 4, 3), (2, 4, 1)]),
    "noise": (lambda: noise.FilteredNoise(400, window_size=0, seed=7), [(2, 4, 9)]),
    "given room": (lambda: effects.Reverb(add_dry=False), [(2, 400), (2, 50)]),
    "learned room": (lambda: effects.Reverb(True, 50), [(2, 400)]),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layer_round_trips_and_runs_in_a_functional_model(name, tmp_path):
    make, shapes = LAYERS[name]
    layer = make()
    inputs = [keras.Input(shape[1:]) for shape in shapes]
    model = keras.Model(inputs, layer(*inputs))
    values = [RNG.normal(size=shape).astype(np.float32) for shape in shapes]
    audio = np.asarray(model(values))
    assert audio.shape == (2, 400) and np.std(audio) > 0
    model.save(tmp_path / "model.keras")
    again = np.asarray(keras.saving.load_model(tmp_path / "model.keras")(values))
    if name != "noise":
        np.testing.assert_allclose(again, audio, atol=1e-5)
    assert again.shape == audio.shape


def test_noise_depends_on_the_seed_only():
    gains = np.full((1, 4, 9), 5.0, np.float32)
    first, again, other = (
        np.asarray(noise.FilteredNoise(400, seed=seed)(gains)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.max(np.abs(first - other)) > 1e-3


def gradient_is_finite(function, *inputs):
    inputs = [tf.constant(x, tf.float32) for x in inputs]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        value = function(*inputs)
    gradients = tape.gradient(value, inputs, unconnected_gradients="zero")
    return all(np.all(np.isfinite(g)) for g in [value, *gradients])


@pytest.mark.parametrize("level", [-1e4, -100.0, 0.0, 100.0, 1e4])
def test_gradients_are_finite_for_extreme_network_outputs(level):
    raw = np.full((1, 4, 3), level)
    assert gradient_is_finite(core.exp_sigmoid, raw)
    assert gradient_is_finite(harmonic.Harmonic(400), raw[..., :1], raw, np.full((1, 4, 1), 300))
    assert gradient_is_finite(noise.FilteredNoise(400), np.full((1, 4, 9), level))


def test_gradients_are_finite_where_nothing_sounds():
    zeros = np.zeros((1, 4, 3))
    assert gradient_is_finite(harmonic.normalize_harmonics, zeros)
    assert gradient_is_finite(core.hz_to_midi, zeros)
    assert gradient_is_finite(filters.sinc_impulse_response, np.zeros((1, 4, 1)))
    assert gradient_is_finite(filters.fft_convolve, np.zeros((1, 40)), np.zeros((1, 4, 5)))


@pytest.mark.parametrize("method", core.RESAMPLE_METHODS)
def test_resampling_keeps_a_constant(method):
    for add_endpoint, frames in ((True, 5), (False, 6)):
        constant = np.full((2, frames, 3), 0.7, np.float32)
        result = core.resample(constant, 35, method, add_endpoint)
        np.testing.assert_allclose(result, np.full((2, 35, 3), 0.7), rtol=1e-6)


@pytest.mark.parametrize("method", core.RESAMPLE_METHODS)
def test_gradient_of_resampling_is_its_transpose(method):
    frames = RNG.normal(size=(2, 5, 3)).astype(np.float32)
    steps = RNG.normal(size=(2, 40, 3)).astype(np.float32)
    with tf.GradientTape() as tape:
        x = tf.constant(frames)
        tape.watch(x)
        value = core.resample(x, 40, method)
        total = tf.reduce_sum(value * steps)
    assert float(tf.reduce_sum(tape.gradient(total, x) * frames)) == pytest.approx(
        float(np.sum(np.asarray(value) * steps)), rel=1e-4)


def test_reverb_replaces_the_first_tap_by_the_dry_sound():
    audio = RNG.normal(size=(1, 100)).astype(np.float32)
    response = np.zeros((1, 20), np.float32)
    response[0, [0, 10]] = 5.0, 0.5
    expected = audio.copy()
    expected[0, 10:] += 0.5 * audio[0, :-10]
    np.testing.assert_allclose(effects.Reverb()(audio, response), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: core.resample(np.ones((1, 4, 1)), 10, "sinc"), "expected one of nearest"),
        (lambda: core.resample(np.ones((1, 4, 1)), 10, "window"), "multiple of 4"),
        (lambda: core.resample(np.ones((1, 4, 1)), 2, "window"), "multiple of 4"),
        (lambda: filters.fft_convolve(np.ones((1, 9)), np.ones((1, 3)), "full"), "'same' or"),
        (lambda: filters.fft_convolve(np.ones((3, 9)), np.ones((2, 3))), "one for each clip"),
        (lambda: filters.fft_convolve(np.ones((1, 9)), np.ones((1, 7, 3))), "equal stretches"),
        (lambda: effects.Reverb().get_controls(np.ones((1, 9))), "no impulse response"),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_reason(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def controls(*shapes):
    return tuple(RNG.normal(size=shape).astype(np.float32) for shape in shapes)


def test_every_layer_keeps_its_arguments(tmp_path):
    model_case.check_layer(
        harmonic.Harmonic, {"num_samples": 400}, controls((2, 4, 1), (2, 4, 3), (2, 4, 1)),
        (2, 400),
        {"num_samples": 800, "sample_rate": 8000, "scale_controls": False,
         "normalize_below_nyquist": False, "amp_resample_method": "linear",
         "use_angular_cumsum": True}, tmp_path)
    model_case.check_layer(
        effects.Reverb, {"learn_impulse_response": True, "reverb_length": 50}, controls((2, 400)),
        (2, 400), {"learn_impulse_response": False, "reverb_length": 60, "add_dry": False},
        tmp_path)
    model_case.check_config(
        noise.FilteredNoise, {"num_samples": 400}, {
            "num_samples": 800, "window_size": 0, "scale_controls": False, "initial_bias": -4.0,
            "seed": 7})
