"""Spectral functions equal DDSP's numbers (fixtures/ddsp, made with ddsp 3.7.0)."""

import json
import pathlib

import numpy as np
import pytest

from style_transfer.signal import spectral

FIXTURE = pathlib.Path(__file__).parent / "fixtures" / "ddsp"
GOLDEN = dict(np.load(FIXTURE / "io.npz"))
RESULTS = json.loads((FIXTURE / "spec.json").read_text())["results"]
LOGMEL_229 = RESULTS["logmel_229_kwargs"]
PREFIXES = ("mag_", "logmag_", "mel", "logmel", "mfcc", "loudness_", "power_", "rms_",
            "safe_log", "amplitude_to_db")

RATIO = {"rtol": 1e-5, "atol": 1e-6}
# float32 transforms round relative to the spectrum's peak, also in bins that are nearly empty.
PEAK = {"rtol": 1e-5, "atol_of_peak": 1e-7}
# TensorFlow computes mel filters in float32, which puts them 1e-5 off their exact values.
MEL = {"rtol": 2e-5}
LOG = {"rtol": 0, "atol": 3e-3}
DB = {"rtol": 0, "atol": 1e-3}

CASES = {
    "mag_2048": (lambda x: spectral.compute_mag(x, 2048), PEAK),
    "mag_512": (lambda x: spectral.compute_mag(x, 512), PEAK),
    "mag_64": (lambda x: spectral.compute_mag(x, 64), PEAK),
    "mag_1024_nopad_ov5": (lambda x: spectral.compute_mag(x, 1024, 0.5, False), PEAK),
    "logmag_1024": (lambda x: spectral.compute_logmag(x, 1024), LOG),
    "mel": (spectral.compute_mel, MEL),
    "logmel": (spectral.compute_logmel, LOG),
    "logmel_229": (lambda x: spectral.compute_logmel(x, **LOGMEL_229), LOG),
    "mfcc": (spectral.compute_mfcc, {"rtol": 1e-5, "atol": 1e-4}),
    "loudness_default": (spectral.compute_loudness, DB),
    "loudness_np": (spectral.compute_loudness, DB),
    "loudness_tf_default": (spectral.compute_loudness, DB),
    "loudness_rate50_nfft1024": (
        lambda x: spectral.compute_loudness(x, frame_rate=50, n_fft=1024), DB),
    "loudness_valid": (lambda x: spectral.compute_loudness(x, padding="valid"), DB),
    "loudness_same": (lambda x: spectral.compute_loudness(x, padding="same"), DB),
    "power_default": (spectral.compute_power, RATIO),
    "rms_default": (spectral.compute_rms_energy, RATIO),
}
POINTWISE = {
    "safe_log": (spectral.safe_log, RATIO),
    "amplitude_to_db": (lambda x: spectral.amplitude_to_db(np.abs(x) + 1e-9), RATIO),
}


def assert_close(actual, expected, rtol=0.0, atol=0.0, atol_of_peak=0.0):
    atol += atol_of_peak * np.max(np.abs(expected))
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=atol)


@pytest.mark.parametrize("name", CASES)
def test_spectral_function_equals_ddsp(name):
    function, tolerance = CASES[name]
    actual = np.asarray(function(GOLDEN["audio_target"]))
    assert actual.shape == GOLDEN[name].shape
    assert_close(actual, GOLDEN[name], **tolerance)


@pytest.mark.parametrize("name", POINTWISE)
def test_pointwise_function_equals_ddsp(name):
    function, tolerance = POINTWISE[name]
    assert_close(function(GOLDEN["exp_sigmoid_x"]), GOLDEN[name], **tolerance)


def test_every_spectral_array_of_the_fixture_is_compared():
    names = {name for name in GOLDEN if name.startswith(PREFIXES)}
    assert names == {*CASES, *POINTWISE}
