import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from style_transfer import configs
from style_transfer.graph.vocoding import Vocoding
from style_transfer.models.vocoder import net
from style_transfer.models.vocoder.net import Vocoder
from style_transfer.signal import log_mel
from tests import model_case

FRAMES = 100
TINY = {"width": 8, "num_blocks": 2, "kernel_size": 3, "expansion": 2}


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    model = Vocoder(**TINY)
    model.build(None)
    return model


@pytest.fixture(scope="module")
def music():
    rng = np.random.default_rng(0)
    time = np.arange(FRAMES * 256) / log_mel.SAMPLE_RATE
    audio = sum(0.1 * np.sin(2 * np.pi * hz * time) for hz in (220, 554, 1318))
    return np.asarray(log_mel.of_audio((audio + rng.normal(0, 0.01, len(time)))[None].astype("f")))


@pytest.mark.parametrize("hz", [123.4, 441.3, 2000.0, 3333.3])
def test_a_sine_has_its_frequency_and_amplitude_without_beats(model, hz):
    bins, frames = hz / log_mel.SAMPLE_RATE * 1024, 60
    controls = {name: np.full((1, frames, net.NUM_BINS), -30.0, "f") for name in net.CONTROLS}
    place = round(bins)
    controls["deviation_bins"] = np.zeros((1, frames, net.NUM_BINS), "f")
    controls["deviation_bins"][..., place] = bins - place
    controls["sine_log_amplitude"][..., place] = np.log(1024 / 4 * 0.2)
    signal = np.asarray(model.get_signal(model.with_silence(model.with_phases(
        {name: ops.convert_to_tensor(value) for name, value in controls.items()}))))[0]
    middle = signal[2048:-2048]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle)), 1 << 18))
    assert spectrum.argmax() * log_mel.SAMPLE_RATE / (1 << 18) == pytest.approx(hz, abs=0.1)
    powers = np.square(middle).reshape(-1, 512).mean(axis=1)
    assert np.sqrt(2 * powers) == pytest.approx(np.full(len(powers), 0.2), rel=0.12)


def test_chunks_of_any_size_give_what_the_whole_gives(model, music):
    whole = np.asarray(model(music))[0]
    assert whole.shape == (FRAMES * 256,) and np.abs(whole).max() > 0.01
    for chunk in (3, 40, 200):
        np.testing.assert_allclose(model.play(music[0], chunk, rounds=0), whole, atol=2e-4)
    polished = np.asarray(log_mel.polished(whole[None], music))[0]
    np.testing.assert_allclose(model.play(music[0], 40), polished, atol=1e-3)


def test_polished_audio_is_nearer_to_its_spectrogram(model, music):
    errors = [np.abs(np.asarray(log_mel.of_audio(model.play(music[0], rounds=rounds)[None])) -
                     music).mean() for rounds in (0, 1, 4)]
    assert errors[0] > 1.2 * errors[1] > 1.2 * errors[2]


def test_the_graph_plays_what_the_library_plays(model, music):
    for rounds, end in ((0, 4), (1, log_mel.polish_reach(1) + 4)):
        play = tf.function(Vocoding(model, window_frames=8, rounds=rounds), autograph=False,
                           input_signature=[tf.TensorSpec([None, 160])])
        for frames in (FRAMES, 61):
            made = play(music[0, :frames]).numpy()
            assert made.shape == (frames * 256,)
            np.testing.assert_allclose(made[:-end * 256], model.play(
                music[0, :frames], rounds=rounds)[:-end * 256], atol=1e-3)


@pytest.mark.parametrize("hz", [123.4, 441.3, 2000.0])
def test_bands_tell_how_far_a_sine_is_from_the_bins_around_it(model, hz):
    time = np.arange(30 * 256) / log_mel.SAMPLE_RATE
    for amplitude in (0.02, 0.2):
        tone = (amplitude * np.sin(2 * np.pi * hz * time))[None].astype("f")
        controls = model.get_controls(log_mel.of_audio(tone))
        nearest = round(hz / 15.625)
        deviation = np.asarray(controls["deviation_bins"])[0, 15, nearest]
        assert deviation == pytest.approx(hz / 15.625 - nearest, abs=0.12)


def test_the_last_layer_is_fitted_to_magnitudes_and_noise_lies_below_them(music):
    keras.utils.set_random_seed(0)
    model = Vocoder(**TINY)
    model.build(None)
    audio = np.random.default_rng(1).normal(0, 0.1, (2, FRAMES * 256)).astype("f")
    audio[1, ::2] *= 0.1
    mel = log_mel.of_audio(audio)
    wanted = np.log(np.asarray(net.magnitudes(audio)))

    def missed():
        controls = model.get_controls(mel)
        heard = np.asarray(controls["sine_log_amplitude"]) > -20
        off = np.asarray(controls["noise_log_amplitude"]) + 2 - wanted
        return np.abs(off)[heard].mean(), controls

    before, _ = missed()
    configs.get("vocoder").prepare(
        dataclasses.replace(configs.get("vocoder").hparams, fitted_batches=1), model,
        iter([(mel, audio), ("there is", "no second")]))
    after, controls = missed()
    assert after < 0.5 < before - 0.2
    sine, noise = (np.asarray(controls[name]) for name in net.CONTROLS[:2])
    np.testing.assert_allclose((sine - noise)[sine > -20], 2, atol=1e-4)


def test_noise_is_the_same_again_and_new_in_training(model, music):
    assert np.array_equal(model(music), model(music))
    assert not np.allclose(model(music, training=True), model(music), atol=1e-4)


def test_the_model_keeps_its_arguments_and_trains(tmp_path, music):
    changes = {"width": 6, "num_blocks": 1, "kernel_size": 5, "expansion": 3, "seed": 1}
    model_case.check_model(Vocoder, TINY, music[:, :12], (1, 12 * 256), changes, tmp_path)
