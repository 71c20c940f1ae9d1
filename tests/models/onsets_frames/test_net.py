import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from style_transfer import weights
from style_transfer.models.onsets_frames import net
from style_transfer.models.onsets_frames.magenta_loss import OnsetsFramesLoss
from style_transfer.models.onsets_frames.net import OnsetsFrames
from tests import model_case

TINY = {"num_filters": (2, 2, 3), "fc_size": 5, "onset_lstm_units": 2, "offset_lstm_units": 2,
        "combined_lstm_units": 2, "spec_n_bins": 24}
SECOND = 16000


def tiny(**arguments):
    keras.utils.set_random_seed(0)
    model = OnsetsFrames(**{**TINY, **arguments})
    model.build(None)
    return model


def noise(samples=SECOND, batch=2):
    return np.random.default_rng(0).normal(0, 0.1, (batch, samples)).astype(np.float32)


@pytest.mark.parametrize("samples", [300, 1024, 1500, 8192, 8191])
def test_frames_are_one_more_than_whole_hops(samples):
    model = tiny()
    outputs = model(noise(samples))
    assert set(outputs) == {"onset", "offset", "frame", "velocity"}
    assert {tuple(v.shape) for v in outputs.values()} == {(2, 1 + samples // 512, 88)}
    assert model.frames_per_second == 31.25 and model.hop_length == 512


def test_a_click_is_strongest_in_the_frame_at_its_sample():
    audio = np.zeros((1, SECOND), np.float32)
    audio[0, 20 * 512] = 1.0
    spectrogram = np.asarray(tiny().spectrogram(audio))[0]
    assert spectrogram.mean(axis=1).argmax() == 20


def test_a_part_of_a_recording_has_the_spectrogram_it_has_in_the_whole():
    model, audio = tiny(), noise(SECOND)
    audio[:, :8192] *= 1e-5  # more than 80 dB under the rest
    whole = np.asarray(model.spectrogram(audio))
    loudest = whole.max(axis=(1, 2), keepdims=True)
    part = np.asarray(model.spectrogram(audio[:, :8192], loudest_db=loudest))
    np.testing.assert_allclose(part[:, :14], whole[:, :14], atol=1e-3)
    assert np.abs(np.asarray(model.spectrogram(audio[:, :8192]))[:, :14] - whole[:, :14]).max() > 1


@pytest.mark.parametrize("arguments", [
    {"activation_loss": True, "stop_activation_gradient": True, "share_conv_features": True,
     "velocity_lstm_units": 3, "acoustic_rnn_stack_size": 2, "combined_rnn_stack_size": 2},
    {"combined_lstm_units": 0, "pool_sizes": (2, 1, 3), "dropout_keep_amts": (0.5, 0.5, 0.5)}])
def test_saved_weights_with_config_give_the_same_outputs(tmp_path, arguments):
    model = tiny(**arguments)
    weights.write_config(tmp_path, model, "tiny")
    model.save_weights(tmp_path / weights.WEIGHTS_FILE)
    loaded = weights.load(tmp_path)
    assert loaded.get_config() == model.get_config()
    audio = noise(1024)
    for name, value in model(audio).items():
        np.testing.assert_array_equal(value, loaded(audio)[name])


def test_a_keras_file_gives_the_same_outputs(tmp_path):
    model, audio = tiny(), noise(1024)
    expected = model(audio)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(expected["frame"], loaded(audio)["frame"])


def labels(frames):
    rng = np.random.default_rng(1)
    y = {name: (rng.uniform(size=(2, frames, 88)) < 0.05).astype(np.float32)
         for name in ("onset", "offset", "frame")}
    return {**y, "velocity": rng.uniform(size=(2, frames, 88)).astype(np.float32) * y["onset"]}


def gradients(model, which):
    audio = noise(1024)
    with tf.GradientTape() as tape:
        term = ops.mean(OnsetsFramesLoss().terms(labels(3), model(audio, training=True))[which])
    found = tape.gradient(term, model.trainable_variables)
    return {v.path: g for v, g in zip(model.trainable_variables, found, strict=True)}


@pytest.mark.parametrize(("stopped", "reached"), [((), {"onsets", "offsets", "frame"}),
                                                  (("onset",), {"offsets", "frame"}),
                                                  (("onset", "offset"), {"frame"}),
                                                  (("activation",), {"onsets", "offsets"})])
def test_the_frames_loss_reaches_exactly_the_stacks_whose_gradient_is_not_stopped(stopped, reached):
    model = tiny(activation_loss=True, **{f"stop_{name}_gradient": name in stopped
                                          for name in ("onset", "offset", "activation")})
    found = gradients(model, "frame")
    kernels = {name: getattr(model, name).fc_end.kernel.path
               for name in ("onsets", "offsets", "velocity", "frame")}
    assert {name for name, path in kernels.items() if found[path] is not None} == reached


def test_a_few_steps_of_training_lower_the_loss():
    model, loss = tiny(dropout_keep_amts=(1.0, 1.0, 1.0)), OnsetsFramesLoss()
    audio, y, optimizer = noise(1024), labels(3), keras.optimizers.Adam(0.01)
    losses = []
    for _ in range(6):
        with tf.GradientTape() as tape:
            value = loss(y, model(audio, training=True))
        losses.append(float(value))
        optimizer.apply(tape.gradient(value, model.trainable_variables), model.trainable_variables)
    assert losses[-1] < 0.9 * losses[0]


def test_dropout_is_for_training_only():
    model, audio = tiny(dropout_keep_amts=(0.5, 0.5, 0.5)), noise(1024)
    once, again = (np.asarray(model(audio)["onset"]) for _ in range(2))
    np.testing.assert_array_equal(once, again)
    assert np.abs(np.asarray(model(audio, training=True)["onset"]) - once).max() > 1e-3


def test_with_use_lengths_the_amount_of_padding_changes_nothing():
    spectrogram = np.random.default_rng(2).normal(size=(1, 12, 24)).astype(np.float32)
    for use_lengths in (True, False):
        model = tiny(use_lengths=use_lengths)
        little, much = (model.heads(np.pad(spectrogram, ((0, 0), (0, size), (0, 0))),
                                    lengths=np.array([12])) for size in (5, 20))
        difference = np.abs(little["frame"][:, :12] - much["frame"][:, :12]).max()
        assert difference == 0 if use_lengths else difference > 1e-7


@pytest.mark.parametrize(("arguments", "message"), [
    ({"stop_activation_gradient": True}, "set activation_loss too"),
    ({"pool_sizes": (1, 2)}, r"differ in length.*pool_sizes=\[1, 2\]")])
def test_contradictory_hparams_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        tiny(**arguments)


def test_every_layer_keeps_its_arguments_and_trains(tmp_path):
    x = np.random.default_rng(0).normal(size=(2, 5, 16, 1)).astype(np.float32)
    model_case.check_layer(
        net.ConvBlock, {"filters": 3}, (x,), (2, 5, 16, 3),
        {"filters": 4, "kernel_size": (3, 5), "pool_size": 2, "dropout_keep_amt": 0.5}, tmp_path)
    sizes = {"temporal_sizes": (3, 3), "freq_sizes": (3, 3), "num_filters": (2, 3),
             "pool_sizes": (1, 2), "dropout_keep_amts": (1.0, 0.8), "fc_size": 8}
    changes = {"temporal_sizes": [1, 3], "freq_sizes": (5, 3), "num_filters": (3, 2),
               "pool_sizes": (2, 1), "dropout_keep_amts": (0.5, 0.5), "fc_size": 7,
               "fc_dropout_keep_amt": 0.9, "lstm_units": 4, "rnn_stack_size": 2}
    model_case.check_layer(net.AcousticStack, sizes, (x,), (2, 5, 8), changes, tmp_path)


def test_the_model_keeps_its_arguments_and_trains(tmp_path):
    changes = {
        "sample_rate": 8000, "spec_hop_length": 256, "spec_n_bins": 20, "spec_fmin": 50.0,
        "spec_mel_htk": False, "onset_lstm_units": 3, "offset_lstm_units": 3,
        "velocity_lstm_units": 3, "frame_lstm_units": 3, "combined_lstm_units": 3,
        "acoustic_rnn_stack_size": 2, "combined_rnn_stack_size": 2, "activation_loss": True,
        "stop_activation_gradient": {"stop_activation_gradient": True, "activation_loss": True},
        "stop_onset_gradient": False, "stop_offset_gradient": False, "share_conv_features": True,
        "use_lengths": True, "temporal_sizes": (1, 3), "freq_sizes": (5, 3), "num_filters": (3, 2),
        "pool_sizes": (2, 1), "dropout_keep_amts": (0.5, 0.5), "fc_size": 7,
        "fc_dropout_keep_amt": 0.9}
    arguments = {
        "spec_n_bins": 16, "onset_lstm_units": 4, "offset_lstm_units": 4, "combined_lstm_units": 4,
        "temporal_sizes": (3, 3), "freq_sizes": (3, 3), "num_filters": (2, 3),
        "pool_sizes": (1, 2), "dropout_keep_amts": (1.0, 0.8), "fc_size": 8}
    audio = np.random.default_rng(0).normal(0, 0.1, (2, 4096)).astype(np.float32)
    names = ("frame", "offset", "onset", "velocity")
    model_case.check_model(net.OnsetsFrames, arguments, audio, {n: (2, 9, 88) for n in names},
                           changes, tmp_path)


def test_the_loss_keeps_its_arguments():
    rng = np.random.default_rng(0)
    names = ("onset", "offset", "frame", "velocity")
    labels = {name: (rng.uniform(size=(2, 4, 88)) < 0.3).astype(np.float32) for name in names}
    labels["frame_weight"] = rng.uniform(1, 2, (2, 4, 88)).astype(np.float32)
    model_case.check_loss(
        OnsetsFramesLoss, {}, labels,
        {name: rng.normal(size=(2, 4, 88)).astype(np.float32) for name in names},
        {"velocity_loss_weight": 2.0, "weight_frame_and_activation_loss": True})
