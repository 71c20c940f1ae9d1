"""MusicVAE equals Magenta's: latents, logits, losses, gradients, decoding, converters."""

import functools
import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from style_transfer import checkpoints, configs
from style_transfer.models.music_vae import net as music_vae
from style_transfer.symbolic.loss import MusicVaeLoss

FIXTURES = pathlib.Path(__file__).parent / "fixtures"
NAMES = ("flat_2bar", "flat_16bar", "hierdec")
MODEL_HPARAMS = ("max_seq_len", "z_size", "enc_rnn_size", "dec_rnn_size", "max_beta", "beta_rate",
                 "sampling_schedule", "sampling_rate")


@functools.cache
def golden(name):
    folder = FIXTURES / f"music_vae_{name}"
    return dict(np.load(folder / "io.npz")), json.loads((folder / "spec.json").read_text())


@functools.cache
def arrays(name):
    return checkpoints.read(FIXTURES / f"music_vae_{name}")


@functools.cache
def loaded_model(name):
    spec = golden(name)[1]
    hparams = {key: spec["hparams"][key] for key in MODEL_HPARAMS}
    model = music_vae.MusicVae(level_lengths=(16, 16) if name == "hierdec" else None, **hparams)
    model.build(None)
    checkpoints.load(model, arrays(name), configs.get(spec["config"]).importer())
    return model


@functools.cache
def losses(name):
    """Terms of the golden loss for the golden z, its total and the gradients of all variables."""
    io, spec = golden(name)
    model = loaded_model(name)
    loss = MusicVaeLoss(free_bits=spec["hparams"]["free_bits"])
    y = {"outputs": io["x"], "lengths": io["lengths"]}

    @tf.function  # step by step, LSTMs take ten times as long
    def compute():
        with tf.GradientTape() as tape:
            mu, sigma = model.encode(io["x"], io["lengths"])
            weight = music_vae.kl_weight(model.step, model.max_beta, model.beta_rate)
            outputs = {"logits": model.decode(ops.convert_to_tensor(io["z"]), io["x"]), "mu": mu,
                       "sigma": sigma, "kl_weight": ops.broadcast_to(weight, (len(io["z"]),))}
            total = ops.mean(loss.call(y, outputs))
        return outputs, total, tape.gradient(total, model.trainable_variables)

    outputs, total, found = compute()
    gradients = {id(v): 0.0 if g is None else np.asarray(tf.convert_to_tensor(g))
                 for v, g in zip(model.trainable_variables, found, strict=True)}
    return outputs, loss.terms(y, outputs), total, gradients


each_model = pytest.mark.parametrize("name", NAMES)


@each_model
def test_latents_equal_magentas(name):
    io, _ = golden(name)
    outputs, *_ = losses(name)
    np.testing.assert_allclose(outputs["mu"], io["mu"], atol=2e-5)
    np.testing.assert_allclose(outputs["sigma"], io["sigma"], atol=2e-5)


@each_model
def test_logits_equal_magentas(name):
    np.testing.assert_allclose(losses(name)[0]["logits"], golden(name)[0]["decoder_logits"],
                               atol=2e-5)


@each_model
def test_losses_equal_magentas(name):
    io, _ = golden(name)
    outputs, terms, total, _ = losses(name)
    for ours, magentas in (("r_loss", "r_loss"), ("kl_loss", "kl_cost")):
        np.testing.assert_allclose(terms[ours], io[magentas], rtol=1e-5)
    np.testing.assert_allclose(terms["kl_bits"], io["kl_div"] / np.log(2), rtol=1e-5)
    np.testing.assert_allclose(outputs["kl_weight"], io["kl_beta"], rtol=1e-5)
    assert float(total) == pytest.approx(float(io["loss"]), rel=1e-5)


@each_model
def test_gradient_norms_of_all_variables_equal_magentas(name):
    io, spec = golden(name)
    *_, gradients = losses(name)
    grouped = {}
    for entry in configs.get(spec["config"]).importer()(loaded_model(name), arrays(name)):
        grouped.setdefault(entry.names, []).append(entry.variable)
    norms = {key.partition("|")[2]: value for key, value in io.items()
             if key.startswith("gradnorm|")}
    assert set(norms) == set(grouped) - {"global_step"}
    for key, norm in norms.items():
        ours = np.sqrt(sum(np.sum(np.square(gradients[id(v)])) for v in grouped[key]))
        assert ours == pytest.approx(float(norm), rel=1e-3), key


@each_model
def test_free_running_decode_equals_magentas(name):
    io, _ = golden(name)
    drawn, logits = loaded_model(name).sample(io["z"], temperature=0, return_logits=True)
    top = np.sort(io["greedy_logits"], axis=-1)
    first_close = [int(np.argmax(gap)) if gap.any() else len(gap)
                   for gap in top[..., -1] - top[..., -2] < 2e-4]
    assert min(first_close) > 30
    for index, stop in enumerate(first_close):
        np.testing.assert_array_equal(drawn[index, :stop], io["greedy_samples"][index, :stop])
        np.testing.assert_allclose(logits[index, :stop], io["greedy_logits"][index, :stop],
                                   atol=5e-5)


@each_model
def test_a_loaded_checkpoint_goes_on_at_its_step(name):
    assert int(loaded_model(name).step) == int(arrays(name)["global_step"]) == 1234


def test_the_golden_models_use_what_the_others_do_not():
    """Several layers, padding, free bits, annealing: each is in at least one fixture."""
    assert any((golden(n)[0]["lengths"] < golden(n)[0]["x"].shape[1]).any() for n in NAMES)
    assert any(golden(n)[1]["hparams"]["free_bits"] for n in NAMES)
    assert any(0 < golden(n)[0]["kl_beta"] < golden(n)[1]["hparams"]["max_beta"] for n in NAMES)
