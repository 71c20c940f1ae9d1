"""The multi-scale spectral loss and its gradient equal DDSP's."""

import importlib.util
import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from style_transfer import losses
from style_transfer.synthesis.ddsp import reference as ddsp_reference

FIXTURE = pathlib.Path(__file__).parent / "fixtures" / "ddsp"
GOLDEN = dict(np.load(FIXTURE / "io.npz"))
CONFIGS = json.loads((FIXTURE / "spec.json").read_text())["results"]["spectral_loss_configs"]
GRADIENT_TOLERANCE = 5e-3


def loss_and_gradient(config):
    audio = tf.constant(GOLDEN["audio"])
    with tf.GradientTape() as tape:
        tape.watch(audio)
        loss = losses.MultiScaleSpectralLoss(**config)(GOLDEN["audio_target"], audio)
    return float(loss), tape.gradient(loss, audio).numpy()


@pytest.mark.parametrize("name", CONFIGS)
def test_loss_and_gradient_equal_ddsp(name):
    loss, gradient = loss_and_gradient(CONFIGS[name])
    expected = GOLDEN[f"lossgrad_{name}"]
    tolerance = 1e-4 if name == "loudness" else 1e-5
    assert loss == pytest.approx(float(GOLDEN[f"loss_{name}"]), rel=tolerance)
    error = np.linalg.norm(gradient - expected) / np.linalg.norm(expected)
    assert error < GRADIENT_TOLERANCE


def test_every_loss_array_of_the_fixture_is_compared():
    names = {name for name in GOLDEN if name.startswith(("loss_", "lossgrad_"))}
    assert names == {f"{kind}_{name}" for kind in ("loss", "lossgrad") for name in CONFIGS}


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ddsp") is None, reason="ddsp is not installed")
@pytest.mark.parametrize(
    "config", [{"logmag_weight": 1.0}, {"mag_weight": 0.0, "delta_freq_weight": 2.0}]
)
def test_loss_equals_the_installed_ddsp_on_fresh_audio(config):
    rng = np.random.default_rng(3)
    target, audio = rng.normal(0, 0.1, (2, 3, 9001)).astype(np.float32)
    expected = ddsp_reference.spectral_loss(target, audio, **config)
    assert float(losses.MultiScaleSpectralLoss(**config)(target, audio)) == pytest.approx(
        expected, rel=1e-5
    )
