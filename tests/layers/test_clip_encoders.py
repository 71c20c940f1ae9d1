import numpy as np

from style_transfer.layers.clip_encoders import ClipStyle, ContentCodes
from style_transfer.signal import log_mel
from tests import model_case


def mel(frames, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(-3, 2, (2, frames, log_mel.NUM_BANDS)).astype(np.float32)


def test_content_codes(tmp_path):
    small = {"width": 8, "num_blocks": 1, "code_width": 4, "num_codebooks": 2, "num_codes": 5}
    model_case.check_layer(
        ContentCodes, small, (mel(8),), (2, 8, 4),
        {"width": 6, "num_blocks": 2, "stride": 4, "code_width": 6, "num_codebooks": 1,
         "num_codes": 7, "commitment": 0.5, "decay": 0.9}, tmp_path)


def test_codes_depend_on_no_more_than_their_reach():
    layer = ContentCodes(width=8, num_blocks=2, code_width=4)
    layer.build()
    one, other = mel(160), mel(160)
    place, reach = 80, layer.reach
    other[:, place + layer.stride + reach:] += 1
    other[:, :place - reach] -= 1
    vectors = [np.asarray(layer.vectors(x)) for x in (one, other)]
    code = place // layer.stride
    np.testing.assert_allclose(vectors[0][:, code], vectors[1][:, code], atol=1e-5)
    assert np.abs(vectors[0] - vectors[1]).max() > 0.1


def test_clip_style(tmp_path):
    model_case.check_layer(ClipStyle, {"size": 4, "width": 6}, (mel(16),), (2, 4),
                           {"size": 5, "width": 8, "stride": 2}, tmp_path)


def test_a_clip_played_twice_has_nearly_the_same_style():
    layer = ClipStyle(size=8, width=16)
    clip = mel(64)
    one, twice, other = (np.asarray(layer(x)) for x in (
        clip, np.concatenate([clip, clip], axis=1), mel(64, 1) + 1))
    assert np.abs(one - twice).max() < 0.25 * np.abs(one - other).max()
