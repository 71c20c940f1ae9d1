"""Exported symbolic models give what the library gives."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from style_transfer import configs
from style_transfer.configs import from_dict
from style_transfer.models.drums_rnn import sampling as drums
from style_transfer.models.drums_rnn.serve import DrumsServing
from style_transfer.models.music_vae import latent
from style_transfer.models.music_vae.serve import MusicVaeServing
from style_transfer.serving import export
from style_transfer.symbolic import encodings

SMALL_VAE = {"enc_rnn_size": [12], "dec_rnn_size": [10], "z_size": 6}


def seeds(*numbers):
    return tf.constant(numbers, tf.int32)


def tiny(name, **hparams):
    keras.utils.set_random_seed(1)
    config = configs.get(name)
    model = config.build_model(from_dict(hparams, config.hparams))
    model.build(None)
    for variable in model.trainable_variables:  # so that what is written depends on what is read
        if len(variable.shape) > 1:
            variable.assign(np.random.default_rng(0).normal(0, 0.5, variable.shape))
    model.weights_name = "tiny"
    return model


@pytest.mark.parametrize("name", [
    "cat-mel_2bar_small", *(pytest.param(name, marks=pytest.mark.slow) for name in (
        "cat-drums_2bar_small", "hierdec-trio_16bar"))])
def test_music_vae_encodes_and_writes_as_the_library_does(tmp_path, name):
    layout, model = configs.get(name).examples.layout, tiny(name, **SMALL_VAE)
    path = export.export(model, tmp_path / "vae", MusicVaeServing)
    served = tf.saved_model.load(str(path)).signatures
    rng = np.random.default_rng(0)
    labels = np.stack([rng.integers(0, depth, (3, layout.steps)) for depth in layout.depths], -1)
    found = served["encode"](labels=tf.constant(labels, tf.int32))
    mu, sigma = model.encode(encodings.encoder_inputs(labels, layout))
    np.testing.assert_allclose(found["mu"], mu, atol=1e-5)
    np.testing.assert_allclose(found["sigma"], sigma, atol=1e-5)
    z = rng.normal(0, 1, (2, 6)).astype(np.float32)
    greedy = served["serving_default"](z=tf.constant(z), temperature=tf.zeros(2), seed=seeds(1, 2))
    np.testing.assert_array_equal(greedy["labels"], latent.decode(model, layout, z, temperature=0))
    one, same, other = (served["sample"](temperature=tf.fill((2,), 1.0), seed=seeds(*numbers))
                        for numbers in ((4, 5), (4, 5), (5, 6)))
    np.testing.assert_array_equal(one["labels"], same["labels"])
    np.testing.assert_array_equal(one["labels"][1], other["labels"][0])  # items are independent
    assert np.any(one["labels"][0] != other["labels"][0])
    assert np.any(greedy["labels"] != served["serving_default"](
        z=tf.constant(z), temperature=tf.fill((2,), 1.0), seed=seeds(1, 2))["labels"])
    with pytest.raises(tf.errors.InvalidArgumentError, match="must be classes from 0"):
        served["encode"](labels=tf.constant(labels + 600, tf.int32))


@pytest.mark.parametrize("name", ["one_drum", "drum_kit"])
def test_drums_go_on_from_a_primer_as_likely_as_the_library_says(tmp_path, name):
    attention = 4 if name == "drum_kit" else 0
    model = tiny(name, rnn_layer_sizes=[12, 8], attn_length=attention)
    layout = configs.get(name).examples.layout
    encoder = encodings.drums_rnn_encoder(layout)
    path = export.export(model, tmp_path / "drums", DrumsServing)
    served = tf.saved_model.load(str(path)).signatures
    inputs = {"primer": tf.constant([[1, 0, 1], [0, 1, 0]]), "primer_steps": seeds(3, 2),
              "num_steps": seeds(20, 12), "temperature": tf.constant([1.0, 0.5]),
              "seed": seeds(1, 2)}
    found = {key: value.numpy() for key, value in served["serving_default"](**inputs).items()}
    assert found["labels"][0, :3].tolist() == [1, 0, 1]
    assert found["labels"][1, :2].tolist() == [0, 1]
    assert (found["labels"][1, 12:] == -1).all() and (found["labels"][1, :12] >= 0).all()
    for row, (steps, temperature) in enumerate(((20, 1.0), (12, 0.5))):
        events = []
        for label in found["labels"][row, :steps]:
            events.append(encoder.class_index_to_event(int(label), events))
        expected = drums.log_likelihood(model, layout, events, temperature).sum()
        assert found["log_likelihood"][row] == pytest.approx(expected, abs=1e-3)
    changed = served["serving_default"](**{**inputs, "seed": seeds(7, 2)})["labels"].numpy()
    assert (changed[1] == found["labels"][1]).all() and (changed[0] != found["labels"][0]).any()
    with pytest.raises(tf.errors.InvalidArgumentError, match="primer must hold classes"):
        served["serving_default"](**{**inputs, "primer": tf.constant([[600, 0, 0]] * 2)})
    with pytest.raises(tf.errors.InvalidArgumentError, match="num_steps must be more"):
        served["serving_default"](**{**inputs, "num_steps": seeds(3, 3)})
