import keras
import numpy as np
import pytest

from style_transfer import losses
from style_transfer.models.wavenet.spectral_wavenet import SpectralWaveNet
from tests import model_case

TINY = {"sample_rate": 4000, "num_layers": 3, "dilation_cycle": 3, "channels": 6,
        "hidden_channels": 8, "context_layers": 1, "context_channels": 8, "style_size": 4,
        "excitation_partials": 3}


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    model = SpectralWaveNet(**TINY)
    model.build(None)
    return model


def inputs(key=48, frames=64):
    roll = np.zeros((1, frames, 176), np.float32)
    roll[:, 4, key] = roll[:, 4:, 88 + key] = 0.8
    style = np.random.default_rng(1).normal(0, 0.1, (1, 4000)).astype(np.float32)
    return {"roll": roll, "style_audio": style}


def test_audio_is_as_long_as_the_roll_or_as_the_audio_asked_for(model):
    x = inputs()
    assert model(x).shape == (1, 64 * 16)
    assert model({**x, "audio": np.zeros((1, 1000), np.float32)}).shape == (1, 1000)


def test_roll_and_style_are_heard_and_the_noise_is_the_same_again(model):
    x = inputs()
    audio = np.asarray(model(x))
    assert np.array_equal(model(x), audio)
    assert not np.allclose(model(x, training=True), audio, atol=1e-5)
    assert not np.allclose(model(inputs(key=50)), audio, atol=1e-4)
    assert not np.allclose(model({**x, "style_audio": x["style_audio"][:, ::-1] ** 2}), audio,
                           atol=1e-5)


@pytest.mark.slow
def test_training_with_the_spectral_loss_finds_the_pitch():
    import tensorflow as tf

    keras.utils.set_random_seed(0)
    model, x = SpectralWaveNet(**TINY), inputs()
    model.build(None)
    time = np.arange(1024)[None] / 4000
    target = np.where(time < 64 / 4000, 0, 0.3 * np.sin(2 * np.pi * 440 * time)).astype("f")
    loss = losses.MultiScaleSpectralLoss((256, 128), logmag_weight=0.1, floor_db=60.0)
    optimizer, values = keras.optimizers.Adam(1e-2), []
    optimizer.build(model.trainable_variables)

    @tf.function(autograph=False)
    def step():
        with tf.GradientTape() as tape:
            value = loss(target, model(x, training=True))
        optimizer.apply(tape.gradient(value, model.trainable_variables),
                        model.trainable_variables)
        return value

    values = [float(step()) for _ in range(40)]
    assert np.isfinite(values).all() and values[-1] < 0.5 * values[0]
    spectrum = np.abs(np.fft.rfft(np.asarray(model(x))[0, 100:]))
    hz = np.fft.rfftfreq(924, 1 / 4000)[spectrum.argmax()]
    assert hz == pytest.approx(440, abs=6)


def test_saving_keeps_the_outputs_and_weights_load_without_an_example(model, tmp_path):
    from style_transfer import weights

    x, before = inputs(), np.asarray(model(inputs()))
    model.save(tmp_path / "model.keras")
    restored = keras.saving.load_model(tmp_path / "model.keras")
    assert restored.get_config() == model.get_config()
    assert np.allclose(restored(x), before, atol=1e-6)
    weights.save(model, tmp_path, "tiny")
    assert np.allclose(weights.load(tmp_path)(x), before, atol=1e-2)


def test_the_model_keeps_its_arguments_and_trains(tmp_path):
    x = {name: value for name, value in inputs().items() if name != "audio"}
    frames = x["roll"].shape[1]
    changes = {"sample_rate": 8000, "roll_rate": 125, "num_layers": 2, "dilation_cycle": 1,
               "kernel_size": 5, "channels": 5, "hidden_channels": 7, "context_layers": 2,
               "context_cycle": 1, "context_channels": 5, "context_kernel_size": 5,
               "upsampling": "repeat", "style_size": 3, "excitation_partials": 1, "seed": 1}
    model_case.check_model(SpectralWaveNet, TINY, x, (1, frames * 16), changes,
                           tmp_path)
