"""Spectral functions: inverses, finite gradients, and what they refuse."""

import numpy as np
import pytest
import tensorflow as tf

from style_transfer.signal import spectral

NUM_SAMPLES = 4000


def tone(f0_hz=440.0, num_samples=NUM_SAMPLES, sample_rate=16000):
    time_secs = np.arange(num_samples) / sample_rate
    return (0.5 * np.sin(2 * np.pi * f0_hz * time_secs)).astype(np.float32)[None]


def impulse():
    audio = np.zeros((1, NUM_SAMPLES), np.float32)
    audio[0, 1234] = 1.0
    return audio


SIGNALS = {
    "silence": np.zeros((1, NUM_SAMPLES), np.float32),
    "DC": np.ones((1, NUM_SAMPLES), np.float32),
    "impulse": impulse(),
    "full-scale noise": np.random.default_rng(0).uniform(
        -1, 1, (1, NUM_SAMPLES)).astype(np.float32),
    "denormal": np.full((1, NUM_SAMPLES), 1e-39, np.float32),
    "nearly silent": 1e-20 * tone(),
    "tone": tone(),
}
FUNCTIONS = {
    "mag": spectral.compute_mag,
    "logmag": lambda x: spectral.compute_logmag(x, 256),
    "mel": spectral.compute_mel,
    "logmel": spectral.compute_logmel,
    "mfcc": spectral.compute_mfcc,
    "loudness": spectral.compute_loudness,
    "power": spectral.compute_power,
    "rms": spectral.compute_rms_energy,
}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_values_and_gradients_are_finite_for_every_signal(function):
    audio = tf.constant(np.concatenate(list(SIGNALS.values())))
    with tf.GradientTape() as tape:
        tape.watch(audio)
        value = FUNCTIONS[function](audio)
    assert np.all(np.isfinite(value))
    assert np.all(np.isfinite(tape.gradient(value, audio)))


def test_gradient_of_the_magnitude_equals_finite_differences():
    audio = SIGNALS["full-scale noise"][:, :600]
    direction = np.random.default_rng(1).normal(size=audio.shape).astype(np.float32)

    def total(x):
        return np.sum(np.asarray(spectral.compute_mag(x, 256)), dtype=np.float64)

    with tf.GradientTape() as tape:
        x = tf.constant(audio)
        tape.watch(x)
        value = spectral.compute_mag(x, 256)
    slope = float(tf.reduce_sum(tape.gradient(value, x) * direction))
    step = 1e-3
    difference = (total(audio + step * direction) - total(audio - step * direction)) / (2 * step)
    assert slope == pytest.approx(difference, rel=1e-3)


@pytest.mark.parametrize("hop_size", [256, 64, 100, 300])
@pytest.mark.parametrize("pad_end", [True, False])
def test_frames_are_the_slices_of_the_audio(hop_size, pad_end):
    audio = SIGNALS["full-scale noise"][:, :1001]
    frames = np.asarray(spectral.frame(audio, 256, hop_size, pad_end))
    padded = np.pad(audio[0], (0, 256))
    count = -(-1001 // hop_size) if pad_end else 1 + (1001 - 256) // hop_size
    expected = [padded[i * hop_size : i * hop_size + 256] for i in range(count)]
    np.testing.assert_array_equal(frames[0], expected)


@pytest.mark.parametrize("hop_size", [256, 64, 100])
def test_overlap_add_is_the_transpose_of_frame(hop_size):
    rng = np.random.default_rng(2)
    frames = rng.normal(size=(2, 7, 256)).astype(np.float32)
    added = np.asarray(spectral.overlap_add(frames, hop_size))
    audio = rng.normal(size=added.shape).astype(np.float32)
    cut = np.asarray(spectral.frame(audio, 256, hop_size))
    assert cut.shape == frames.shape
    assert np.sum(cut * frames) == pytest.approx(np.sum(added * audio), rel=1e-4)


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("overlap", [0.5, 0.75])
def test_istft_inverts_stft(center, overlap):
    audio = SIGNALS["full-scale noise"]
    spectrum = spectral.stft(audio, 512, overlap, center=center)
    rebuilt = np.asarray(spectral.istft(spectrum, 512, overlap, NUM_SAMPLES, center))
    # The first samples of uncentred frames lie under a window that starts at zero.
    inner = slice(0, NUM_SAMPLES - 512) if center else slice(32, NUM_SAMPLES - 512)
    np.testing.assert_allclose(rebuilt[:, inner], audio[:, inner], atol=2e-5)
    assert rebuilt.shape == audio.shape


def test_centred_magnitude_equals_librosa():
    import librosa

    audio = SIGNALS["full-scale noise"]
    expected = np.abs(librosa.stft(audio[0], n_fft=512, hop_length=128)).T
    actual = spectral.compute_mag(audio, 512, center=True)
    np.testing.assert_allclose(actual[0], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("center", [True, False])
def test_griffin_lim_finds_audio_with_the_given_magnitudes(center):
    audio = tone(440.0, 8000) + tone(1234.5, 8000)
    magnitude = spectral.compute_mag(audio, 512, center=center)
    rebuilt = spectral.griffin_lim(magnitude, 8000, iterations=60, center=center)
    assert rebuilt.shape == (1, 8000)

    def error(candidate):
        difference = np.asarray(spectral.compute_mag(candidate, 512, center=center)) - magnitude
        return np.linalg.norm(difference) / np.linalg.norm(magnitude)

    first_guess = spectral.griffin_lim(magnitude, 8000, iterations=0, center=center)
    assert error(rebuilt) < 0.1 < error(first_guess)


def test_griffin_lim_is_repeatable_and_differs_between_seeds():
    magnitude = spectral.compute_mag(tone(), 256)
    first, again, other = (
        np.asarray(spectral.griffin_lim(magnitude, iterations=2, seed=seed)) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert np.max(np.abs(first - other)) > 1e-3


def test_loudness_does_not_depend_on_a_batch_axis():
    audio = tone()
    single = spectral.compute_loudness(audio[0])
    assert single.shape == (63,)
    np.testing.assert_allclose(single, spectral.compute_loudness(audio)[0], atol=1e-4)


def test_ten_times_the_amplitude_is_twenty_db_more():
    quiet = spectral.compute_power(0.01 * tone())
    np.testing.assert_allclose(spectral.compute_power(0.1 * tone()) - quiet, 20.0, atol=1e-3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: spectral.pad_frames(tone(), 512, 64, "reflect"), "expected one of valid"),
        (lambda: spectral.pad_frames(tone(), 64, 512), "must not exceed the frame"),
        (lambda: spectral.stft(tone(), 8192, pad_end=False), "Give longer audio"),
        (lambda: spectral.stft(tone(), 512, overlap=1.0), "overlap in"),
        (lambda: spectral.compute_mag(tf.keras.Input((None,), dtype="float32")), "one length"),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_reason(call, message):
    with pytest.raises(ValueError, match=message):
        call()
