import numpy as np

from style_transfer.layers.style_encoder import StyleEncoder
from tests import model_case


def test_style_encoder(tmp_path):
    clips = np.random.default_rng(0).normal(0, 0.1, (2, 24_000)).astype(np.float32)
    model_case.check_layer(
        StyleEncoder, {"size": 4, "channels": (2, 3), "num_mels": 16}, (clips,), (2, 4),
        {"size": 5, "channels": [3], "sample_rate": 16_000, "num_mels": 24}, tmp_path)
