"""Tiny models of spectrograms, with weights that are not those they begin with."""

import numpy as np
import pytest

from style_transfer.models.glow_style.net import GlowStyle
from style_transfer.models.ss_vq_vae.net import SSVQVAE


@pytest.fixture(scope="module")
def hearing():
    model = SSVQVAE(width=8, encoder_blocks=1, decoder_blocks=1, code_width=4, num_codes=6,
                    style_size=4, style_width=4)
    model.build(None)
    return model


@pytest.fixture(scope="module")
def reading():
    model = GlowStyle(num_steps=1, width=4, num_layers=1, content_width=4, content_blocks=1,
                      style_size=4, style_width=4)
    model.build(None)
    for i, weight in enumerate(model.trainable_variables):
        weight.assign(np.asarray(weight) + np.random.default_rng(i).normal(0, 0.01, weight.shape))
    return model
