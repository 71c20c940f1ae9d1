"""Onsets and Frames equals Magenta's: outputs, loss terms, gradients, one step of training."""

import inspect
import json
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from style_transfer import checkpoints, configs
from style_transfer.models.onsets_frames import magenta_loss
from style_transfer.models.onsets_frames import net as onsets_frames
from style_transfer.transcription import magenta_decoding

note_seq = pytest.importorskip("note_seq")
FIXTURE = pathlib.Path(__file__).parent / "fixtures" / "onsets_frames"
GOLDEN = dict(np.load(FIXTURE / "io.npz"))
SPEC = json.loads((FIXTURE / "spec.json").read_text())
ACCEPTED = inspect.signature(onsets_frames.OnsetsFrames).parameters
HPARAMS = {name: value for name, value in SPEC["hparams"].items() if name in ACCEPTED}
ARRAYS = checkpoints.read(FIXTURE)
ENTROPIES = ("onset", "offset", "frame")
# Rounding decides on which side of a ReLU or in which half of a pool some values fall: inputs
# changed by 1e-6 move the first of these norms by up to 2.7e-3, in float64 too, and the others are
# up to 2.8e-3 off on one kind of processor, at any version of ours. All others hold 1e-3.
ILL_CONDITIONED = {"velocity/conv0/BatchNorm/beta": 4e-3, "frame/conv0/weights": 4e-3,
                   "frame/conv0/BatchNorm/beta": 4e-3}


def make_model(**hparams):
    model = onsets_frames.OnsetsFrames(**{**HPARAMS, **hparams})
    model.build(None)
    checkpoints.load(model, ARRAYS, configs.get("onsets_frames").importer())
    return model


@pytest.fixture(scope="module")
def model():
    return make_model()


@pytest.fixture(scope="module")
def outputs(model):
    raw = model.heads(GOLDEN["spec"][None])
    return {name: np.asarray(value if name == "velocity" else ops.sigmoid(value))
            for name, value in raw.items()}


def golden_named(prefix):
    return {name.partition("|")[2]: value for name, value in GOLDEN.items()
            if name.startswith(f"{prefix}|")}


# --- Inference --------------------------------------------------------------------------------


def test_spectrogram_equals_magentas(model):
    audio = GOLDEN["wav_int16"][None].astype(np.float32) / 32767
    np.testing.assert_allclose(model.spectrogram(audio)[0], GOLDEN["spec"], atol=1e-2)


@pytest.mark.parametrize(("ours", "magentas"), [
    ("onset", "onset_probs"), ("offset", "offset_probs"), ("frame", "frame_probs"),
    ("velocity", "velocity_values")])
def test_outputs_equal_magentas(outputs, ours, magentas):
    np.testing.assert_allclose(outputs[ours], GOLDEN[magentas], atol=2e-5)


def test_activations_equal_magentas():
    logits = make_model(activation_loss=True).heads(GOLDEN["spec"][None])["activation"]
    np.testing.assert_allclose(ops.sigmoid(logits), GOLDEN["activation_probs"], atol=2e-5)


@pytest.mark.parametrize("name", ["onsets", "offsets", "velocity", "frame"])
def test_each_stack_equals_magentas_inside(model, name):
    stack = getattr(model, name)
    first = stack.convs[0](GOLDEN["spec"][None, :, :, None])[:, :4]
    np.testing.assert_allclose(first, GOLDEN[f"debug_{name}_conv0_relu"], atol=2e-5, rtol=1e-5)
    np.testing.assert_allclose(stack.features(GOLDEN["spec"][None, :, :, None]),
                               GOLDEN[f"debug_{name}_fc_end"], atol=5e-5, rtol=1e-5)


def test_pooling_equals_magentas(model):
    x = GOLDEN["spec"][None, :, :, None]
    for conv in model.onsets.convs:
        x = conv(x)
    np.testing.assert_allclose(x, GOLDEN["debug_onsets_pool2"], atol=5e-5, rtol=1e-5)


def test_from_samples_to_notes_equals_magentas_sequence(model):
    audio = GOLDEN["wav_int16"][None].astype(np.float32) / 32767
    raw = model(audio)
    probabilities = {name: np.asarray(raw["velocity"] if name == "velocity"
                                      else ops.sigmoid(raw[name]))[0] for name in raw}
    decoded = magenta_decoding.decode(probabilities, model.frames_per_second)
    expected = note_seq.NoteSequence.FromString((FIXTURE / "sequence_prediction.pb").read_bytes())
    assert len(decoded.notes) == SPEC["predicted_notes"]
    assert decoded == expected


# --- Training ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained():
    """Model, loss terms and gradients of the golden batch; then one step of Adam."""
    model, loss = make_model(), magenta_loss.OnsetsFramesLoss()
    frames = np.arange(GOLDEN["train_spec"].shape[1])
    y = {"onset": GOLDEN["train_onsets"], "offset": GOLDEN["train_offsets"],
         "frame": GOLDEN["train_labels"], "velocity": GOLDEN["train_velocities"],
         "mask": (frames < GOLDEN["train_length"][:, None]).astype(np.float32)}
    with tf.GradientTape() as tape:
        outputs = model.heads(tf.constant(GOLDEN["train_spec"][..., 0]), training=True)
        total = loss(y, outputs)
    terms = {name: float(ops.mean(value)) for name, value in loss.terms(y, outputs).items()}
    gradients = tape.gradient(total, model.trainable_variables)
    keras.optimizers.Adam(SPEC["hparams"]["learning_rate"], epsilon=1e-8,
                          global_clipnorm=SPEC["hparams"]["clip_norm"]
                          ).apply_gradients(zip(gradients, model.trainable_variables, strict=True))
    by_variable = {id(v): np.asarray(g)
                   for v, g in zip(model.trainable_variables, gradients, strict=True)}
    return model, float(total), terms, by_variable


def entries_by_name(model):
    grouped = {}
    for entry in configs.get("onsets_frames").importer()(model, ARRAYS):
        grouped.setdefault(entry.names, []).append(entry)
    return grouped


def test_loss_terms_equal_magentas(trained):
    _, total, terms, _ = trained
    assert list(terms) == ["onset", "offset", "velocity", "frame"]
    np.testing.assert_allclose(list(terms.values()), GOLDEN["train_loss_terms"], rtol=1e-5)
    assert total == pytest.approx(float(GOLDEN["train_total_loss"]), rel=1e-5)


def test_gradient_norms_of_all_variables_equal_magentas(trained):
    model, _, _, gradients = trained
    expected, entries = golden_named("train_gradnorm"), entries_by_name(model)
    assert len(expected) == len([n for n in entries if "/moving_" not in n])
    for name, norm in expected.items():
        ours = np.sqrt(sum(np.sum(gradients[id(entry.variable)] ** 2) for entry in entries[name]))
        assert ours == pytest.approx(float(norm), rel=ILL_CONDITIONED.get(name, 1e-3)), name


def test_whole_gradients_equal_magentas(trained):
    model, _, _, gradients = trained
    expected, entries = golden_named("train_grad"), entries_by_name(model)
    assert len(expected) == 4
    for name, gradient in expected.items():
        ours = gradients[id(entries[name][0].variable)]
        assert np.linalg.norm(ours - gradient) < 1e-3 * np.linalg.norm(gradient), name


def test_one_step_of_training_changes_variables_as_magentas(trained):
    expected, entries = golden_named("after_one_train_step"), entries_by_name(trained[0])
    assert len(expected) == 3
    for name, value in expected.items():
        ours = np.asarray(entries[name][0].variable)
        assert np.abs(ours - value).max() < 1e-4 * np.abs(value).max(), name
        assert np.abs(ours - ARRAYS[name]).max() > 1e-4 * np.abs(value).max(), name


@pytest.mark.parametrize("shape", [(2, 6), (2, 6, 1)])
@pytest.mark.parametrize("output", ENTROPIES)
def test_the_loss_does_not_see_padding(output, shape):
    loss = magenta_loss.OnsetsFramesLoss()
    y = {name: np.ones((2, 6, 88), np.float32) for name in ENTROPIES}
    y["velocity"] = np.zeros((2, 6, 88), np.float32)
    y["mask"] = np.array([[1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1]], np.float32)
    z = {name: np.zeros((2, 6, 88), np.float32) for name in y if name != "mask"}
    valid = y["mask"][..., None]
    y["mask"] = y["mask"].reshape(shape)
    changed = {**z, output: np.where(valid == 0, 5.0, z[output])}
    assert float(loss(y, z)) == pytest.approx(float(loss(y, changed)), rel=1e-6)
    seen = {**z, output: np.where(valid == 1, 5.0, z[output])}
    assert float(loss(y, z)) != pytest.approx(float(loss(y, seen)), rel=1e-2)


def test_activations_and_weights_enter_the_loss_where_there_are_any():
    y = {name: np.ones((1, 3, 88), np.float32) for name in (*ENTROPIES, "velocity")}
    y["frame_weight"] = np.full((1, 3, 88), 5, np.float32)
    z = {name: np.zeros((1, 3, 88), np.float32) for name in (*ENTROPIES, "velocity", "activation")}
    plain = magenta_loss.OnsetsFramesLoss().terms(y, z)
    weighted = magenta_loss.OnsetsFramesLoss(weight_frame_and_activation_loss=True).terms(y, z)
    for name in ("frame", "activation"):
        assert float(weighted[name][0]) == pytest.approx(5 * np.log(2), rel=1e-5)
        assert float(plain[name][0]) == pytest.approx(np.log(2), rel=1e-5)
    del z["activation"]
    assert "activation" not in magenta_loss.OnsetsFramesLoss().terms(y, z)


def test_velocities_weigh_as_much_as_asked_for():
    y = {name: np.ones((1, 3, 88), np.float32) for name in (*ENTROPIES, "velocity")}
    z = {name: np.zeros((1, 3, 88), np.float32) for name in y}
    plain, double = (float(magenta_loss.OnsetsFramesLoss(velocity_loss_weight=w)(y, z))
                     for w in (1.0, 2.0))
    assert double - plain == pytest.approx(88, rel=1e-4)
