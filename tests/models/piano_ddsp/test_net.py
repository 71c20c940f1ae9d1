import pathlib

import keras
import numpy as np
import pytest
from keras import ops

from style_transfer import piano_roll
from style_transfer.models.piano_ddsp import net as piano_ddsp
from tests import model_case

TINY = {"style_size": 8, "width": 16, "num_layers": 2, "context_filters": 8, "dilations": (1, 2),
        "num_partials": 64, "num_oscillators": 128, "warmup_secs": 0.1, "room_secs": 0.1}
NOTES, FRAMES = 6, 25


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    model = piano_ddsp.PianoDDSP(**TINY)
    model.build(None)
    return model


def batch(size=2, seed=0):
    """Random notes and clips."""
    rng = np.random.default_rng(seed)
    equal = 440 * 2 ** ((np.arange(88) - 48) / 12)
    onset = rng.uniform(-0.2, 0.4, (size, NOTES)).astype(np.float32)
    return {
        "style_audio": rng.standard_normal((size, 24_000)).astype(np.float32),
        "note_key": rng.integers(10, 70, (size, NOTES)).astype(np.int32),
        "note_velocity": rng.uniform(0.2, 1, (size, NOTES)).astype(np.float32),
        "note_onset_secs": onset, "note_damped_secs": onset + 0.3,
        "roll": rng.uniform(0, 1, (size, FRAMES, piano_roll.ROLL_DEPTH)).astype(np.float32),
        "f0_hz": np.tile(equal, (size, 1)).astype(np.float32),
        "inharmonicity": np.full((size, 88), 3e-4, np.float32)}


def test_audio_has_the_crops_length_without_the_warmup(model):
    assert model(batch()).shape == (2, FRAMES * 480 - 2400)


def test_training_lowers_the_loss():
    from style_transfer.losses import PianoLoss
    from style_transfer.training.trainer import FittedModel

    model = piano_ddsp.PianoDDSP(**TINY)
    model.build(None)
    learner = FittedModel(model, PianoLoss())
    inputs = batch()
    time = np.arange(FRAMES * 480 - 2400) / 24_000
    target = np.stack([0.1 * np.sin(2 * np.pi * 300 * time)] * 2).astype(np.float32)
    learner.compile(keras.optimizers.Adam(3e-3), jit_compile=False)
    learner.optimizer.build(learner.trainable_variables)  # or the step's graph is made twice
    losses = [float(np.ravel(learner.train_on_batch(inputs, target))[0]) for _ in range(10)]
    assert np.mean(losses[-3:]) < 0.9 * losses[0], losses


@pytest.mark.parametrize("training", [False, True])
def test_every_weight_has_a_gradient(model, training):
    import tensorflow as tf

    with tf.GradientTape() as tape:
        sounds = model(batch(), training=training)
        loss = sum(ops.mean(ops.abs(sound)) for sound in tf.nest.flatten(sounds))
    gradients = tape.gradient(loss, model.trainable_variables)
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        assert gradient is not None and np.all(np.isfinite(gradient)), variable.path


def test_config_round_trip(model):
    clone = piano_ddsp.PianoDDSP.from_config(model.get_config())
    clone.build(None)
    assert [v.shape for v in clone.weights] == [v.shape for v in model.weights]
    assert clone.get_config() == model.get_config()


def test_saved_weights_give_the_same_piano(model, tmp_path):
    from style_transfer import weights

    weights.save(model, tmp_path, "tiny", steps=1)
    loaded = weights.load(tmp_path)
    style = batch()["style_audio"]
    np.testing.assert_allclose(loaded.encode_style(style), model.encode_style(style), atol=0.02)
    assert loaded.weights_name == "tiny"


def test_weights_of_another_size_are_refused(model, tmp_path):
    import json

    from style_transfer import weights

    weights.save(model, tmp_path, "tiny")
    config = json.loads((tmp_path / weights.CONFIG_FILE).read_text())
    config["model"]["config"]["width"] = 24
    (tmp_path / weights.CONFIG_FILE).write_text(json.dumps(config))
    with pytest.raises(ValueError, match="do not fit"):
        weights.load(tmp_path)


def test_unknown_weights_are_an_error_that_lists_those_there_are():
    from style_transfer import weights

    with pytest.raises(FileNotFoundError, match="Expected one of"):
        weights.load("no_such_weights")


@pytest.mark.parametrize("seconds", [2, 11])
def test_style_vector_has_one_size_for_clips_of_any_length(model, seconds):
    clip = np.random.default_rng(0).standard_normal((1, seconds * 24_000)).astype(np.float32)
    assert model.encode_style(clip).shape == (1, TINY["style_size"])


def test_style_vector_does_not_depend_on_the_clips_level(model):
    clip = 0.1 * np.random.default_rng(0).standard_normal((1, 24_000)).astype(np.float32)
    np.testing.assert_allclose(model.encode_style(clip), model.encode_style(0.2 * clip), atol=1e-3)


def test_padding_notes_are_silent(model):
    inputs = batch(1)
    key, outputs = inputs["note_key"], np.zeros((1, NOTES, model.num_outputs), np.float32)
    controls = model.note_controls(outputs, key, np.zeros((1, NOTES), np.float32),
                                   inputs["f0_hz"], inputs["inharmonicity"])
    for name in ("amplitude", "noise", "damper_noise"):
        assert np.all(ops.convert_to_numpy(controls[name]) == 0), name


def test_partials_beyond_the_highest_band_are_silent(model):
    inputs = batch(1)
    outputs = np.zeros((1, NOTES, model.num_outputs), np.float32)
    controls = model.note_controls(outputs, inputs["note_key"], inputs["note_velocity"],
                                   inputs["f0_hz"], inputs["inharmonicity"])
    controls = {name: ops.convert_to_numpy(value) for name, value in controls.items()}
    beyond = controls["frequency_hz"] >= piano_ddsp.HIGH_HZ
    assert beyond.any() and np.all(controls["amplitude"][beyond] == 0)


def test_decoded_frames_do_not_depend_on_later_notes(model):
    inputs = batch(1)
    style = model.encode_style(inputs["style_audio"])
    before, _ = model.decode_frames(inputs["roll"], style)
    changed = inputs["roll"].copy()
    changed[:, 15:] = 0
    after, _ = model.decode_frames(changed, style)
    np.testing.assert_allclose(before[:, :15], after[:, :15], atol=1e-5)
    assert np.abs(before[:, 15:] - after[:, 15:]).max() > 1e-3


def test_decoded_frames_look_back_no_further_than_the_receptive_field(model):
    rng = np.random.default_rng(0)
    frames = model.receptive_field_frames + 5
    roll = rng.uniform(0, 1, (1, frames, piano_roll.ROLL_DEPTH)).astype(np.float32)
    style = np.zeros((1, TINY["style_size"]), np.float32)
    whole, _ = model.decode_frames(roll, style)
    part, _ = model.decode_frames(roll[:, 4:], style)
    np.testing.assert_allclose(whole[:, -1], part[:, -1], atol=1e-5)


def test_quietest_oscillators_are_left_out(model):
    rng = np.random.default_rng(0)
    shape = (1, 3, 64)
    names = ("decay", "aftersound_decay", "aftersound", "beat_hz", "damping", "frequency_hz")
    controls = {name: np.ones(shape, np.float32) for name in names}
    controls["amplitude"] = rng.uniform(0, 1, shape).astype(np.float32)
    controls["attack_secs"] = np.ones((1, 3), np.float32)
    zeros = np.zeros((1, 3), np.float32)
    picked = model._loudest(controls, zeros, zeros + 9, np.array([0.0, 1.0], np.float32), 20)
    expected = np.sort(controls["amplitude"].ravel())[-20:]
    np.testing.assert_allclose(np.sort(ops.convert_to_numpy(picked["amplitude"]).ravel()), expected)


def test_correction_spreads_to_neighbouring_keys_and_fades(model):
    corrections = {"by_key": np.zeros((piano_ddsp.NUM_ANCHORS, 4), np.float32),
                   "by_velocity": np.zeros(4, np.float32)}
    corrections["by_key"][10, 2] = 1.0
    keys = np.arange(88)[None]
    change = ops.convert_to_numpy(piano_ddsp.correct(corrections, keys, np.ones((1, 88), "f")))[0]
    assert np.all(change[:, [0, 1, 3]] == 0)
    peak = int(np.argmax(change[:, 2]))
    assert abs(peak - 10 * 87 / 21) <= 1
    assert change[peak + 4, 2] > 0.1 * change[peak, 2] and change[peak + 20, 2] < 1e-4


def test_the_model_keeps_its_arguments_and_trains(tmp_path):
    changes = {"sample_rate": 16_000, "hop": 96, "style_size": 6, "width": 12, "num_layers": 1,
               "context_filters": 6, "dilations": [1], "num_partials": 32, "num_bands": 20,
               "num_oscillators": 64, "room_secs": 0.2, "warmup_secs": 0.2, "seed": 1}
    model_case.check_model(piano_ddsp.PianoDDSP, {**TINY, "seed": 0}, batch(),
                           (2, FRAMES * 480 - 2400), changes, tmp_path)


def test_controls_are_what_they_were_when_the_weights_were_trained():
    golden = np.load(pathlib.Path(__file__).parent / "note_controls.npz")
    model = piano_ddsp.PianoDDSP(num_partials=6, num_bands=5)
    controls = model.note_controls(*(golden[name] for name in (
        "outputs", "key", "velocity", "f0_hz", "inharmonicity")))
    for name, found in controls.items():
        np.testing.assert_allclose(found, golden[f"controls.{name}"], rtol=1e-5, err_msg=name)
    assert len(controls) == 10
