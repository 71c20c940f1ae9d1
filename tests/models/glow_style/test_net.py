import math

import numpy as np
import pytest
from keras import ops

from style_transfer import piano_roll
from style_transfer.models.glow_style import net
from style_transfer.models.glow_style.loss import BitsPerDimension
from style_transfer.models.glow_style.net import GlowStyle
from style_transfer.signal import log_mel
from tests import model_case

SMALL = {"num_steps": 1, "width": 4, "num_layers": 1, "content_width": 4, "content_blocks": 1,
         "code_width": 4, "num_codes": 5, "style_size": 3, "style_width": 4}
FRAMES = 8


def normal(*shape, seed=0, scale=1.0):
    return np.random.default_rng(seed).normal(0, scale, shape).astype(np.float32)


def inputs(content="notes"):
    audio = normal(2, FRAMES * log_mel.HOP_SAMPLES, scale=0.1)
    told = ({"roll": np.abs(normal(2, FRAMES, piano_roll.KEYS_DEPTH))} if content == "notes"
            else {"content_audio": audio})
    return {"audio": audio, "style_audio": normal(2, 4096, seed=1, scale=0.1), **told}


def shaken(**arguments):
    """A model whose weights are not those it begins with, where nothing is told anything."""
    model = GlowStyle(**{**SMALL, **arguments})
    model.build(None)
    for i, weight in enumerate(model.trainable_variables):
        weight.assign(np.asarray(weight) + normal(*weight.shape, seed=i, scale=0.01))
    return model


@pytest.mark.parametrize("content", net.CONTENTS)
def test_glow_style(content, tmp_path):
    other = {"notes": "codes", "codes": "notes"}[content]
    model_case.check_model(
        GlowStyle, {**SMALL, "content": content}, inputs(content), (2,),
        {"content": other, "num_levels": 1, "num_steps": 2, "width": 6, "num_layers": 2,
         "convolution": "plain", "content_width": 6, "content_blocks": 2, "code_width": 6,
         "num_codebooks": 1, "num_codes": 7, "commitment": 0.5, "style_size": 4, "style_width": 6,
         "seed": 1}, tmp_path)


@pytest.mark.parametrize("arguments", [{}, {"num_levels": 1}, {"convolution": "plain"},
                                       {"num_steps": 3, "num_layers": 2}])
def test_latents_give_back_the_spectrogram(arguments):
    model, x = shaken(**arguments), normal(2, FRAMES, log_mel.NUM_BANDS)
    content, style = model.conditions(inputs())
    latents, _ = model.forward(x, content, style)
    assert sum(np.asarray(latent).size for latent in latents) == x.size
    np.testing.assert_allclose(model.inverse(latents, content, style), x, atol=1e-3)


def test_the_log_determinant_is_that_of_the_jacobian(monkeypatch):
    tf = pytest.importorskip("tensorflow")
    monkeypatch.setattr(log_mel, "NUM_BANDS", 6)
    monkeypatch.setattr(net, "CHANNELS", 12)
    model = GlowStyle(**SMALL)
    content, style = normal(1, 4, 4), normal(1, 3, seed=1)
    model.tellings[0].build((None, None, 8))
    x = tf.constant(normal(1, 4, 6, seed=2))
    model.forward(x, content, style)
    for i, weight in enumerate(model.trainable_variables):
        weight.assign(np.asarray(weight) + normal(*weight.shape, seed=i, scale=0.3))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        latents, log_det = model.forward(x, content, style)
        y = tf.concat([tf.reshape(latent, (1, -1)) for latent in latents], axis=-1)
    jacobian = tape.batch_jacobian(y, x, experimental_use_pfor=False).numpy().reshape(24, 24)
    expected = np.linalg.slogdet(jacobian.astype(np.float64))[1]
    assert abs(expected) > 0.5
    np.testing.assert_allclose(log_det[0], expected, rtol=1e-3)


def test_bits_are_those_of_a_normal_distribution_where_the_flow_does_nothing():
    model = GlowStyle(**SMALL)
    model.build(None)
    x = inputs()
    values = np.asarray(log_mel.scaled(log_mel.of_audio(x["audio"])))
    step = net.STEP_DB * math.log(10) / 20 / log_mel.SPREAD
    bits = (0.5 * np.mean(values ** 2, axis=(1, 2)) + 0.5 * math.log(2 * math.pi)
            - math.log(step)) / math.log(2)
    np.testing.assert_allclose(model(x), bits, rtol=5e-3)


def test_content_style_and_temperature_change_samples():
    model, x = shaken(), inputs()
    noise = normal(2, FRAMES, log_mel.NUM_BANDS, seed=7)
    style = model.encode_style(x["style_audio"])

    def sampled(roll=x["roll"], style=style, noise=noise, temperature=0.7):
        return np.asarray(model.spectrogram(roll, style, noise, temperature))

    made = sampled()
    assert made.shape == (2, FRAMES, log_mel.NUM_BANDS) and made.min() >= log_mel.SILENCE - 1e-4
    for other in (sampled(roll=0 * x["roll"]), sampled(style=style + 1), sampled(temperature=0.3)):
        assert np.abs(other - made).max() > 1e-3
    still = sampled(temperature=0.0)
    np.testing.assert_array_equal(sampled(noise=noise[::-1], temperature=0.0), still)


def test_frames_depend_on_no_more_than_their_reach():
    model = shaken(num_layers=2, num_steps=2)
    frames = 2 * model.reach + 64
    roll, style = np.abs(normal(1, frames, piano_roll.KEYS_DEPTH)), normal(1, 3)
    noise = normal(1, frames, log_mel.NUM_BANDS)
    place = 32
    other = roll.copy()
    other[:, place + model.reach:] += 1
    made = [np.asarray(model.spectrogram(x, style, noise)) for x in (roll, other)]
    np.testing.assert_allclose(made[0][:, :place], made[1][:, :place], atol=1e-4)
    assert np.abs(made[0] - made[1]).max() > 1e-3


def test_bits_per_dimension():
    np.testing.assert_array_equal(BitsPerDimension().call(None, ops.ones(3)), np.ones(3))


def test_an_unknown_content_is_an_error():
    with pytest.raises(ValueError, match="'midi' is unknown; choose one of notes, codes"):
        GlowStyle(content="midi")
