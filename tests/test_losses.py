"""Losses equal the evaluation's metrics, have finite gradients and survive saving."""

import keras
import librosa
import numpy as np
import pytest
import tensorflow as tf

from style_transfer import losses
from tests import model_case

SAMPLE_RATE = 24000
NUM_SAMPLES = 6000
RNG = np.random.default_rng(0)


def decaying_tone(f0_hz, gain=0.3, num_samples=NUM_SAMPLES):
    time_secs = np.arange(num_samples) / SAMPLE_RATE
    partials = sum(np.sin(2 * np.pi * k * f0_hz * time_secs) / k for k in range(1, 8))
    return (gain * partials * np.exp(-4 * time_secs)).astype(np.float32)


TARGET = np.stack([decaying_tone(220.0), decaying_tone(311.0, 0.01)])
VALUE = np.stack([decaying_tone(222.0, 0.2), decaying_tone(330.0, 0.02)])
VALUE = (VALUE + RNG.normal(0, 1e-3, VALUE.shape)).astype(np.float32)
IMPULSE = np.zeros_like(TARGET)
IMPULSE[:, 3000] = 1.0
SIGNALS = {
    "silence": np.zeros_like(TARGET),
    "DC": np.ones_like(TARGET),
    "impulse": IMPULSE,
    "full-scale noise": RNG.uniform(-1, 1, TARGET.shape).astype(np.float32),
    "nearly silent": 1e-20 * TARGET,
    "the target": TARGET,
}
ALL_TERMS = {"delta_time_weight": 1.0, "delta_freq_weight": 1.0, "cumsum_freq_weight": 0.1,
             "logmag_weight": 1.0, "loudness_weight": 0.1}
LOSSES = {
    "spectral": lambda: losses.MultiScaleSpectralLoss(**ALL_TERMS),
    "spectral L2": lambda: losses.MultiScaleSpectralLoss(loss_type="L2", **ALL_TERMS),
    "spectral cosine": lambda: losses.MultiScaleSpectralLoss(loss_type="COSINE"),
    "spectral with floor": lambda: losses.MultiScaleSpectralLoss(
        logmag_weight=1.0, floor_db=60.0, center=True),
    "logmel": lambda: losses.LogMelLoss(SAMPLE_RATE),
    "piano": lambda: losses.PianoLoss(SAMPLE_RATE),
    "piano, levelled": lambda: losses.PianoLoss(SAMPLE_RATE, reference_rms_db=-25.0),
}


# The metrics' definitions, in numpy and librosa, for one clip.
def magnitudes(audio, size):
    return np.abs(librosa.stft(audio, n_fft=size, hop_length=size // 4))


def metric_spectral(value, target, floor_db):
    total = 0.0
    for size in (2048, 1024, 512, 256, 128, 64):
        a, b = magnitudes(value, size), magnitudes(target, size)
        floor = b.max() * 10 ** (-floor_db / 20)
        total += np.mean(np.abs(a - b))
        total += np.mean(np.abs(np.log(np.maximum(a, floor)) - np.log(np.maximum(b, floor))))
    return total


def metric_logmel(value, target, floor_db):
    total = 0.0
    for size, bands in ((512, 64), (1024, 80), (2048, 128)):
        matrix = librosa.filters.mel(sr=SAMPLE_RATE, n_fft=size, n_mels=bands)
        a, b = matrix @ magnitudes(value, size), matrix @ magnitudes(target, size)
        floor = b.max() * 10 ** (-floor_db / 20)
        total += np.mean(np.abs(20 * np.log10(np.maximum(a, floor) / np.maximum(b, floor))))
    return total / 3


def per_clip(metric, **kwargs):
    return [metric(v, t, **kwargs) for v, t in zip(VALUE, TARGET, strict=True)]


@pytest.mark.parametrize("floor_db", [60.0, 40.0])
def test_floored_spectral_loss_equals_the_metric_clip_by_clip(floor_db):
    loss = losses.MultiScaleSpectralLoss(logmag_weight=1.0, floor_db=floor_db, center=True,
                                         reduction="none")
    expected = per_clip(metric_spectral, floor_db=floor_db)
    np.testing.assert_allclose(loss(TARGET, VALUE), expected, rtol=1e-4)


@pytest.mark.parametrize("floor_db", [60.0, 80.0])
def test_logmel_loss_equals_the_metric_clip_by_clip(floor_db):
    loss = losses.LogMelLoss(SAMPLE_RATE, floor_db=floor_db, reduction="none")
    expected = per_clip(metric_logmel, floor_db=floor_db)
    np.testing.assert_allclose(loss(TARGET, VALUE), expected, rtol=1e-4)


def test_piano_loss_is_the_weighted_sum_of_both_metrics():
    loss = losses.PianoLoss(SAMPLE_RATE, logmel_weight=0.7)
    expected = np.mean(per_clip(metric_spectral, floor_db=60.0))
    expected += 0.7 * np.mean(per_clip(metric_logmel, floor_db=60.0)) * np.log(10) / 20
    assert float(loss(TARGET, VALUE)) == pytest.approx(expected, rel=1e-4)
    terms = loss.terms(tf.constant(TARGET), tf.constant(VALUE))
    np.testing.assert_allclose(terms["spectral"], per_clip(metric_spectral, floor_db=60.0), 1e-4)
    np.testing.assert_allclose(terms["logmel_db"], per_clip(metric_logmel, floor_db=60.0), 1e-4)


def test_what_lies_below_the_floor_does_not_count():
    loss = losses.MultiScaleSpectralLoss(mag_weight=0.0, logmag_weight=1.0, floor_db=40.0)
    hiss = RNG.normal(0, 1e-6, TARGET.shape).astype(np.float32)
    loud = np.stack([TARGET[0], TARGET[0]])
    assert float(loss(loud, loud + hiss)) < 1e-3
    assert float(losses.MultiScaleSpectralLoss(mag_weight=0.0, logmag_weight=1.0)(
        loud, loud + hiss)) > 0.1


def test_soft_floor_lets_silence_learn_to_sound():
    def slope(soft_floor):
        loss = losses.PianoLoss(SAMPLE_RATE, mag_weight=0.0, soft_floor=soft_floor)
        value = tf.Variable(1e-6 * TARGET)
        with tf.GradientTape() as tape:
            distance = loss(TARGET, value)
        return float(tf.reduce_max(tf.abs(tape.gradient(distance, value))))

    assert slope(False) == 0 < slope(True)


def test_inaudible_noise_does_not_count_where_the_target_is_silent():
    silence = np.zeros_like(TARGET)
    hiss = RNG.uniform(-1e-6, 1e-6, TARGET.shape).astype(np.float32)
    loss = losses.PianoLoss(SAMPLE_RATE)
    assert float(loss(silence, hiss)) < 1e-2 < 1.0 < float(loss(silence, TARGET))


def test_floor_follows_each_clip_and_not_the_batch():
    loss = losses.PianoLoss(SAMPLE_RATE, reduction="none")
    together = np.asarray(loss(TARGET, VALUE))
    alone = [float(loss(TARGET[i : i + 1], VALUE[i : i + 1])[0]) for i in (0, 1)]
    np.testing.assert_allclose(together, alone, rtol=1e-5)


@pytest.mark.parametrize("gain", [0.1, 3.0])
def test_log_terms_do_not_depend_on_a_common_gain(gain):
    for loss in (losses.LogMelLoss(SAMPLE_RATE), losses.PianoLoss(SAMPLE_RATE, mag_weight=0.0)):
        expected = float(loss(TARGET, VALUE))
        assert float(loss(gain * TARGET, gain * VALUE)) == pytest.approx(expected, rel=1e-3)


def test_levelled_piano_loss_ignores_a_common_gain_but_not_a_difference():
    loss = losses.PianoLoss(SAMPLE_RATE, reference_rms_db=-25.0)
    expected = float(loss(TARGET, VALUE))
    assert float(loss(0.3 * TARGET, 0.3 * VALUE)) == pytest.approx(expected, rel=1e-3)
    assert float(loss(TARGET, 0.3 * TARGET)) > 0.5


@pytest.mark.parametrize("name", LOSSES)
def test_loss_of_equal_clips_is_zero_and_grows_with_the_difference(name):
    loss = LOSSES[name]()
    near = float(loss(TARGET, TARGET + 0.03 * (VALUE - TARGET)))
    assert abs(float(loss(TARGET, TARGET))) < 1e-5
    assert 0 < near < float(loss(TARGET, VALUE))


@pytest.mark.parametrize("name", LOSSES)
def test_loss_and_gradient_are_finite_for_every_signal(name):
    loss = LOSSES[name]()
    loss.reduction = "none"
    targets = ("silence", "the target", "DC")
    pairs = [(signal, target) for target in targets for signal in SIGNALS]
    audio = tf.constant(np.concatenate([SIGNALS[signal] for signal, _ in pairs]))
    with tf.GradientTape() as tape:
        tape.watch(audio)
        value = loss(np.concatenate([SIGNALS[target] for _, target in pairs]), audio)
    assert value.shape == (2 * len(pairs),)
    for found in (value, tape.gradient(value, audio)):
        is_finite = np.isfinite(found).reshape(len(pairs), -1).all(axis=1)
        assert is_finite.all(), [pair for pair, good in zip(pairs, is_finite, strict=True)
                                 if not good]


@pytest.mark.parametrize("name", ["piano", "logmel", "spectral with floor"])
def test_descending_the_gradient_lowers_the_loss(name):
    loss, audio = LOSSES[name](), tf.Variable(VALUE)
    optimizer = keras.optimizers.Adam(1e-3)
    before = float(loss(TARGET, VALUE))
    for _ in range(10):
        with tf.GradientTape() as tape:
            value = loss(TARGET, audio)
        optimizer.apply_gradients([(tape.gradient(value, audio), audio)])
    assert float(loss(TARGET, audio)) < 0.97 * before


def test_sample_weights_pick_clips():
    loss = losses.PianoLoss(SAMPLE_RATE)
    only_first = float(loss(TARGET, VALUE, sample_weight=np.array([1.0, 0.0])))
    assert only_first == pytest.approx(float(loss(TARGET[:1], VALUE[:1])) / 2, rel=1e-5)


def test_every_loss_keeps_its_arguments():
    # Soft enough for the difference between the two kinds of floor to show.
    model_case.check_loss(
        losses.MultiScaleSpectralLoss, {"fft_sizes": (512, 128), "logmag_weight": 1.0,
                                        "floor_db": 40.0, "loudness_weight": 0.1},
        TARGET, VALUE,
        {"fft_sizes": (256,), "loss_type": "L2", "mag_weight": 0.5, "delta_time_weight": 1.0,
         "delta_freq_weight": 1.0, "cumsum_freq_weight": 1.0, "logmag_weight": 0.5,
         "loudness_weight": 0.2, "floor_db": 20.0, "soft_floor": True, "center": True,
         "sample_rate": 8000})
    model_case.check_loss(
        losses.LogMelLoss, {"scales": ((512, 20),)}, TARGET, VALUE,
        {"sample_rate": 8000, "scales": ((256, 10), (512, 20)), "floor_db": 20.0,
         "soft_floor": True})
    model_case.check_loss(
        losses.PianoLoss, {"fft_sizes": (512,), "mel_scales": ((512, 20),)}, TARGET, VALUE,
        {"sample_rate": 8000, "fft_sizes": (256,), "mel_scales": ((256, 10),), "floor_db": 20.0,
         "soft_floor": True, "mag_weight": 0.5, "logmag_weight": 0.5, "logmel_weight": 0.5,
         "reference_rms_db": -25.0})


def test_model_trains_with_the_loss_and_is_saved_with_it(tmp_path):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((NUM_SAMPLES,))
    outputs = keras.layers.Reshape((NUM_SAMPLES,))(
        keras.layers.Conv1D(1, 5, padding="same")(keras.layers.Reshape((NUM_SAMPLES, 1))(inputs))
    )
    model = keras.Model(inputs, outputs)
    loss = losses.PianoLoss(SAMPLE_RATE, fft_sizes=(512, 64), mel_scales=((512, 64),))
    model.compile(keras.optimizers.Adam(0.03), loss, jit_compile=False)
    model.optimizer.build(model.trainable_variables)  # or the step's graph is made twice
    history = model.fit(VALUE, TARGET, epochs=12, verbose=0).history["loss"]
    assert history[-1] < 0.9 * history[0]
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.loss.get_config() == model.loss.get_config()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: losses.MultiScaleSpectralLoss(loss_type="L3"), "expected one of L1"),
        (lambda: losses.MultiScaleSpectralLoss(floor_db=-60.0), "above 0"),
        (lambda: losses.LogMelLoss(floor_db=0.0), "above 0"),
    ],
)
def test_wrong_argument_is_refused_with_a_reason(call, message):
    with pytest.raises(ValueError, match=message):
        call()
