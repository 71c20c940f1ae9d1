import numpy as np
import pytest

from style_transfer.models.ss_vq_vae.loss import ReconstructionLoss
from style_transfer.models.ss_vq_vae.net import SSVQVAE
from style_transfer.signal import log_mel
from tests import model_case

SMALL = {"width": 8, "encoder_blocks": 1, "decoder_blocks": 1, "code_width": 4, "num_codes": 6,
         "style_size": 5, "style_width": 6}
FRAMES = 12


def audio(samples, seed):
    return np.random.default_rng(seed).normal(0, 0.1, (2, samples)).astype(np.float32)


def inputs(frames=FRAMES):
    return {"content_audio": audio(frames * log_mel.HOP_SAMPLES, 0), "style_audio": audio(4096, 1)}


def test_ss_vq_vae(tmp_path):
    model_case.check_model(
        SSVQVAE, SMALL, inputs(), (2, FRAMES, log_mel.NUM_BANDS),
        {"width": 6, "encoder_blocks": 2, "decoder_blocks": 2, "stride": 4, "code_width": 6,
         "num_codebooks": 1, "num_codes": 7, "commitment": 0.5, "decay": 0.9, "style_size": 4,
         "style_width": 8}, tmp_path)


def test_reconstruction_loss():
    made = np.asarray(log_mel.of_audio(audio(2048, 3)))
    model_case.check_loss(ReconstructionLoss, {}, audio(2048, 2), made, {"squared_weight": 0.1})
    loss = ReconstructionLoss()
    assert np.asarray(loss.call(audio(2048, 3), made)).max() < 1e-6
    one_db_off = made + np.log(10) / 20
    np.testing.assert_allclose(loss.terms(audio(2048, 3), one_db_off)["log_mel_db"], 1, rtol=1e-4)


def test_the_style_acts_and_nothing_else_of_it():
    model = SSVQVAE(**SMALL)
    model.build(None)
    x = inputs()
    made = np.asarray(model(x))
    assert np.abs(np.asarray(model({**x, "style_audio": audio(4096, 5)})) - made).max() > 1e-3
    np.testing.assert_allclose(
        model.spectrogram(x["content_audio"].reshape(2, FRAMES, -1),
                          model.encode_style(x["style_audio"])), made, atol=1e-5)


@pytest.mark.parametrize("blocks", [1, 3])
def test_frames_depend_on_no_more_than_their_reach(blocks):
    model = SSVQVAE(**{**SMALL, "decoder_blocks": blocks, "encoder_blocks": blocks})
    model.build(None)
    place = 80
    one = np.random.default_rng(0).normal(size=(1, 160, log_mel.NUM_BANDS)).astype(np.float32)
    other = one.copy()
    other[:, place + 1 + model.reach:] += 1
    style = np.ones((1, 5), np.float32)
    vectors = [model.content_encoder.vectors(x) for x in (one, other)]
    made = [np.asarray(model.decode(np.repeat(np.asarray(v), 2, axis=1), style)) for v in vectors]
    np.testing.assert_allclose(made[0][:, :place + 1], made[1][:, :place + 1], atol=1e-5)
    assert np.abs(made[0] - made[1]).max() > 1e-3
