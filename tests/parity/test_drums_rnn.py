"""Drums RNN equals Magenta's: encodings, logits, states, loss, gradients."""

import functools
import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from style_transfer import checkpoints, configs
from style_transfer.models.drums_rnn.net import DrumsRnn
from style_transfer.symbolic.loss import NextClassLoss

FIXTURE = pathlib.Path(__file__).parent / "fixtures" / "drums_rnn"
GOLDEN = dict(np.load(FIXTURE / "io.npz"))
RESULTS = json.loads((FIXTURE / "spec.json").read_text())["results"]
VARIANTS = ("attn32", "noattn")
TRACKS = ("track0", "track1")

each_variant = pytest.mark.parametrize("variant", VARIANTS)
each_track = pytest.mark.parametrize("track", TRACKS)


@functools.cache
def arrays(variant):
    return checkpoints.read(FIXTURE / variant)


@functools.cache
def loaded_model(variant):
    hparams = RESULTS[f"{variant}_hparams"]
    model = DrumsRnn(rnn_layer_sizes=hparams["rnn_layer_sizes"],
                     attn_length=hparams["attn_length"],
                     dropout_keep_prob=hparams["dropout_keep_prob"])
    model.build(None)
    checkpoints.load(model, arrays(variant), configs.get("drum_kit").importer())
    return model


@functools.cache
def run(variant, track):
    return loaded_model(variant).run(GOLDEN[f"{track}_inputs"][None])


@each_track
@each_variant
def test_logits_equal_magentas(variant, track):
    logits = run(variant, track)[0][0]
    np.testing.assert_allclose(logits, GOLDEN[f"{variant}_{track}_logits"], atol=2e-5)
    np.testing.assert_allclose(ops.softmax(logits / 1.5),
                               GOLDEN[f"{variant}_{track}_softmax_t1.5"], atol=2e-5)


def magentas_order(state):
    """Memory before output in each layer; what is attended to in one vector, without its keys."""
    found = []
    for output, memory, *attention in state:
        found += [memory, output, *attention[:1], *attention[2:]]
    return [np.reshape(value, (1, -1)) for value in found]


@each_track
@each_variant
def test_final_states_equal_magentas(variant, track):
    found = magentas_order(run(variant, track)[1])
    assert len(found) == len(RESULTS[f"{variant}_state_tensors"])
    for index, value in enumerate(found):
        np.testing.assert_allclose(value, GOLDEN[f"{variant}_{track}_final_state_{index}"],
                                   atol=2e-5)


@each_variant
def test_single_steps_equal_the_whole(variant):
    model, inputs = loaded_model(variant), GOLDEN["track0_inputs"][None, :40]
    expected, expected_state = model.run(inputs)
    state = model.initial_state(1)
    for index in range(inputs.shape[1]):
        logits, state = model.step(ops.convert_to_tensor(inputs[:, index]), state)
        np.testing.assert_allclose(logits, expected[:, index], atol=2e-5)
    for ours, whole in zip(magentas_order(state), magentas_order(expected_state), strict=True):
        np.testing.assert_allclose(ours, whole, atol=2e-5)


@each_variant
def test_a_run_in_two_parts_equals_one_run(variant):
    model, inputs = loaded_model(variant), GOLDEN["track0_inputs"][None]
    first, state = model.run(inputs[:, :50])
    second, _ = model.run(inputs[:, 50:], state)
    np.testing.assert_allclose(ops.concatenate([first, second], axis=1),
                               run(variant, "track0")[0], atol=2e-5)


@functools.cache
def trained(variant):
    """Loss and gradients of the padded batch of both tracks."""
    model = loaded_model(variant)
    lengths = np.array([len(GOLDEN[f"{track}_labels"]) for track in TRACKS])
    inputs = np.zeros((2, max(lengths), 518), np.float32)
    labels = np.zeros((2, max(lengths)), np.int64)
    for index, track in enumerate(TRACKS):
        inputs[index, :lengths[index]] = GOLDEN[f"{track}_inputs"]
        labels[index, :lengths[index]] = GOLDEN[f"{track}_labels"]
    y = {"labels": labels, "lengths": lengths}
    with tf.GradientTape() as tape:
        logits = model({"inputs": inputs}, training=True)
        loss = ops.mean(NextClassLoss().call(y, logits))
    found = tape.gradient(loss, model.trainable_variables)
    gradients = {id(v): np.asarray(tf.convert_to_tensor(g))
                 for v, g in zip(model.trainable_variables, found, strict=True)}
    return float(loss), NextClassLoss().terms(y, logits), gradients


@each_variant
def test_loss_equals_magentas(variant):
    loss, terms, _ = trained(variant)
    expected = RESULTS[f"{variant}_train_graph"]
    assert loss == pytest.approx(expected["loss"], rel=1e-5)
    for name in ("accuracy", "event_accuracy", "no_event_accuracy"):
        assert float(ops.mean(terms[name])) == pytest.approx(expected[name], abs=1e-6)


@each_variant
def test_gradient_norms_of_all_variables_equal_magentas(variant):
    *_, gradients = trained(variant)
    grouped = {}
    for entry in configs.get("drum_kit").importer()(loaded_model(variant), arrays(variant)):
        grouped.setdefault(entry.names, []).append(entry.variable)
    norms = {key.partition("|")[2]: value for key, value in GOLDEN.items()
             if key.startswith(f"{variant}_gradnorm|")}
    assert set(norms) == set(grouped)
    for key, norm in norms.items():
        ours = np.sqrt(sum(np.sum(np.square(gradients[id(v)])) for v in grouped[key]))
        assert ours == pytest.approx(float(norm), rel=1e-3), key


def test_a_checkpoint_of_a_training_run_is_read_without_its_slots():
    assert any(name.endswith("/Adam_1") for name in arrays("noattn"))


def test_encodings_of_tracks_equal_magentas():
    pytest.importorskip("note_seq")
    from style_transfer.symbolic import encodings

    encoder = encodings.drums_rnn_encoder(configs.get("drum_kit").examples.layout)
    for track in TRACKS:
        events = [frozenset(np.flatnonzero(step).tolist())
                  for step in GOLDEN[f"{track}_events_multihot128"]]
        inputs, labels = encoder.encode(events)
        np.testing.assert_array_equal(inputs, GOLDEN[f"{track}_inputs"])
        np.testing.assert_array_equal(labels, GOLDEN[f"{track}_labels"])


@each_variant
def test_log_likelihood_equals_magentas_cross_entropy(variant):
    pytest.importorskip("note_seq")
    from style_transfer.models.drums_rnn import sampling as drums

    for track in TRACKS:
        events = [np.flatnonzero(step).tolist()
                  for step in GOLDEN[f"{track}_events_multihot128"]]
        found = drums.log_likelihood(loaded_model(variant), configs.get("drum_kit").examples.layout,
                                     events)
        assert -found.mean() == pytest.approx(RESULTS[f"{variant}_{track}_mean_xent"], rel=1e-5)


def test_the_data_set_pipeline_gives_magentas_examples():
    music_pb2 = pytest.importorskip("note_seq.protobuf.music_pb2")
    pytest.importorskip("magenta")
    from style_transfer.pipelines.symbolic import conversion

    convert = conversion.drum_tracks(configs.get("drum_kit").examples.layout, 0.0, any_meter=True)
    found = []
    for index in range(3):
        sequence = music_pb2.NoteSequence.FromString(
            (FIXTURE / f"pipeline_input_{index}.pb").read_bytes())
        records, statistics = convert(sequence)
        assert not records["eval"] and statistics["RandomPartition_training_drum_tracks_count"] == 1
        found += [tf.train.SequenceExample.FromString(record) for record in records["train"]]
    assert len(found) == len(RESULTS["pipeline_example_lengths"])
    for index, example in enumerate(found):
        features = example.feature_lists.feature_list
        labels = [feature.int64_list.value[0] for feature in features["labels"].feature]
        np.testing.assert_array_equal(labels, GOLDEN[f"pipeline_ex{index}_labels"])
        assert len(features["inputs"].feature) == len(labels)
