"""Resampling, oscillators, filters and effects equal DDSP's numbers."""

import importlib.util
import pathlib

import numpy as np
import pytest

from style_transfer.synthesis.ddsp import core, effects, filters, harmonic, noise
from style_transfer.synthesis.ddsp import reference as ddsp_reference

FIXTURE = pathlib.Path(__file__).parent / "fixtures" / "ddsp"
GOLDEN = dict(np.load(FIXTURE / "io.npz"))
INPUTS = {
    "audio", "audio_target", "f0_hz", "amplitudes", "harmonic_distribution", "harmonic_shifts",
    "harmonic_raw_amps", "harmonic_raw_dist", "harmonic_f0", "noise_magnitudes_raw",
    "noise_signal", "ir", "ir_time_varying", "sinc_cutoff", "exp_sigmoid_x", "resample_in",
    "resample_in_2d",
}
TESTED_ELSEWHERE = ("loss", "mag_", "logmag_", "mel", "logmel", "mfcc", "power_", "rms_",
                    "safe_log", "amplitude_to_db")
# Phase is a float32 cumulative sum.
PHASE = {"rtol": 0, "atol": 5e-3}
ANGULAR = {"rtol": 0, "atol": 1e-3}
CONVOLUTION = {"rtol": 0, "atol": 1e-4}
RATIO = {"rtol": 1e-5, "atol": 1e-6}

f0, amps, dist, shifts = (GOLDEN[name] for name in
                          ("f0_hz", "amplitudes", "harmonic_distribution", "harmonic_shifts"))
frequency, envelope = GOLDEN["osc_freq_env"], GOLDEN["osc_amp_env"]
white, gains = GOLDEN["noise_signal"], GOLDEN["noise_magnitudes"]
room, rooms, x = GOLDEN["ir"], GOLDEN["ir_time_varying"], GOLDEN["exp_sigmoid_x"]
# DDSP converts a numpy cutoff to a share of half the sample rate in place, and the fixture was
# saved after that call.
sinc_cutoff_hz = GOLDEN["sinc_cutoff"] * 8000


def synthesize(**kwargs):
    return harmonic.harmonic_synthesis(
        f0, amps, harmonic_distribution=dist, num_samples=8000, sample_rate=16000, **kwargs)


def harmonic_controls():
    names = ("harmonic_raw_amps", "harmonic_raw_dist", "harmonic_f0")
    return harmonic.Harmonic(8000, 16000).get_controls(*(GOLDEN[name] for name in names))


def harmonic_signal():
    names = ("harmonic_raw_amps", "harmonic_raw_dist", "harmonic_f0")
    return harmonic.Harmonic(8000, 16000)(*(GOLDEN[name] for name in names))


def impulse_response(window_size):
    return filters.frequency_impulse_response(gains, window_size)[:, :6]


def resample(num_timesteps, method, add_endpoint=True, inputs="resample_in"):
    return core.resample(GOLDEN[inputs], num_timesteps, method, add_endpoint)


CASES = {
    "harmonic_synthesis_window": (lambda: synthesize(), PHASE),
    "harmonic_synthesis_linear": (lambda: synthesize(amp_resample_method="linear"), PHASE),
    "harmonic_synthesis_shifts_angular": (
        lambda: synthesize(harmonic_shifts=shifts, use_angular_cumsum=True), ANGULAR),
    "osc_freq_env": (
        lambda: core.resample(harmonic.harmonic_frequencies(f0, 12), 2000), RATIO),
    "osc_amp_env": (lambda: core.resample(amps * dist, 2000), RATIO),
    "oscillator_bank": (lambda: harmonic.oscillator_bank(frequency, envelope, 16000), PHASE),
    "oscillator_bank_nosum": (
        lambda: harmonic.oscillator_bank(frequency[:, :400], envelope[:, :400], 16000,
                                         sum_sinusoids=False), PHASE),
    "oscillator_bank_angular": (
        lambda: harmonic.oscillator_bank(frequency, envelope, 16000, use_angular_cumsum=True),
        ANGULAR),
    "normalize_harmonics": (lambda: harmonic.normalize_harmonics(dist, f0 * 4, 16000), RATIO),
    "harmonic_ctl_amplitudes": (lambda: harmonic_controls()["amplitudes"], RATIO),
    "harmonic_ctl_distribution": (
        lambda: harmonic_controls()["harmonic_distribution"], RATIO),
    "harmonic_signal": (harmonic_signal, PHASE),
    "noise_magnitudes": (
        lambda: noise.FilteredNoise().get_controls(GOLDEN["noise_magnitudes_raw"])["magnitudes"],
        RATIO),
    "frequency_filter_ws257": (
        lambda: noise.FilteredNoise(8000).get_signal(gains, noise=white), CONVOLUTION),
    "frequency_filter_ws0": (lambda: filters.frequency_filter(white, gains, 0), CONVOLUTION),
    "frequency_filter_ws64": (lambda: filters.frequency_filter(white, gains, 64), CONVOLUTION),
    "frequency_filter_valid": (
        lambda: filters.frequency_filter(white, gains, 257, padding="valid"), CONVOLUTION),
    "freq_ir_ws257": (lambda: impulse_response(257), RATIO),
    "freq_ir_ws0": (lambda: impulse_response(0), RATIO),
    "freq_ir_ws64": (lambda: impulse_response(64), RATIO),
    "fft_convolve_same": (lambda: filters.fft_convolve(white, room), CONVOLUTION),
    "fft_convolve_delay0_same": (
        lambda: filters.fft_convolve(white, room, delay_compensation=0), CONVOLUTION),
    "fft_convolve_valid": (lambda: filters.fft_convolve(white, room, "valid"), CONVOLUTION),
    "fft_convolve_delay0_valid": (
        lambda: filters.fft_convolve(white, room, "valid", delay_compensation=0), CONVOLUTION),
    "fft_convolve_tv_same": (lambda: filters.fft_convolve(white, rooms), CONVOLUTION),
    "fft_convolve_tv_delay10": (
        lambda: filters.fft_convolve(white, rooms, delay_compensation=10), CONVOLUTION),
    "sinc_filter_hz": (
        lambda: filters.sinc_filter(white, sinc_cutoff_hz, 512, 16000), CONVOLUTION),
    "reverb": (lambda: effects.Reverb().get_signal(white, room), CONVOLUTION),
    "reverb_call": (lambda: effects.Reverb()(white, room), CONVOLUTION),
    "exp_sigmoid_default": (lambda: core.exp_sigmoid(x), RATIO),
    "exp_sigmoid_5_1_1e-3": (lambda: core.exp_sigmoid(x, 5, 1, 1e-3), RATIO),
    "midi_to_hz": (lambda: core.midi_to_hz(np.arange(128)), RATIO),
    "hz_to_midi_of_f0": (lambda: core.hz_to_midi(f0), RATIO),
    "resample_nearest_50_ep1": (lambda: resample(50, "nearest"), RATIO),
    "resample_nearest_50_ep0": (lambda: resample(50, "nearest", False), RATIO),
    "resample_linear_50_ep1": (lambda: resample(50, "linear"), RATIO),
    "resample_linear_50_ep0": (lambda: resample(50, "linear", False), RATIO),
    "resample_cubic_50_ep1": (lambda: resample(50, "cubic"), RATIO),
    "resample_cubic_50_ep0": (lambda: resample(50, "cubic", False), RATIO),
    "resample_window_50_ep1": (lambda: resample(50, "window"), RATIO),
    "resample_window_50_ep0": (lambda: resample(45, "window", False), RATIO),
    "resample_linear_73": (lambda: resample(73, "linear"), RATIO),
    "resample_nearest_73": (lambda: resample(73, "nearest"), RATIO),
    "resample_down_linear_4": (lambda: resample(4, "linear"), RATIO),
    "resample_2d_window_70": (
        lambda: resample(70, "window", inputs="resample_in_2d"), RATIO),
}


@pytest.mark.parametrize("name", CASES)
def test_synthesis_function_equals_ddsp(name):
    function, tolerance = CASES[name]
    actual = np.asarray(function())
    assert actual.shape == GOLDEN[name].shape
    np.testing.assert_allclose(actual, GOLDEN[name], **tolerance)


def test_every_synthesis_array_of_the_fixture_is_compared():
    names = {n for n in GOLDEN if n not in INPUTS and not n.startswith(TESTED_ELSEWHERE)}
    assert {n for n in names if not n.startswith("loudness_")} == set(CASES)


LIVE = {
    "impulse response cut to its window": (
        lambda c: c.frequency_impulse_response(gains, 33),
        lambda: filters.frequency_impulse_response(gains, 33)),
    "impulse response with an even window": (
        lambda c: c.frequency_impulse_response(gains, 40),
        lambda: filters.frequency_impulse_response(gains, 40)),
    "high-pass with a relative cutoff": (
        lambda c: c.sinc_filter(white, np.full((2, 25, 1), 0.3, np.float32), 101, None, "valid",
                                True),
        lambda: filters.sinc_filter(white, np.full((2, 25, 1), 0.3, np.float32), 101,
                                    padding="valid", high_pass=True)),
    "harmonic oscillator bank that goes on": (
        lambda c: c.harmonic_oscillator_bank(
            frequency[..., :1], envelope, np.ones((2, 1, 1), np.float32))[0],
        lambda: harmonic.harmonic_oscillator_bank(
            frequency[..., :1], envelope, np.ones((2, 1, 1), np.float32))[0]),
    "cubic resampling of a vector": (
        lambda c: c.resample(x, 1000, "cubic"), lambda: core.resample(x, 1000, "cubic")),
    "linear resampling of four axes": (
        lambda c: c.resample(np.reshape(x[:96], (2, 4, 3, 4)), 10, "linear", False),
        lambda: core.resample(np.reshape(x[:96], (2, 4, 3, 4)), 10, "linear", False)),
}


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ddsp") is None, reason="ddsp is not installed")
@pytest.mark.parametrize("name", LIVE)
def test_case_outside_the_fixture_equals_the_installed_ddsp(name):
    theirs, ours = LIVE[name]
    expected = np.asarray(theirs(ddsp_reference.load().core))
    actual = np.asarray(ours())
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=0, atol=2e-4)
