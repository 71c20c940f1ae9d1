"""Exported, models of spectrograms make what they make in Python."""

import io

import numpy as np
import pytest
import soundfile

from style_transfer import audio as audio_lib
from style_transfer import piano_roll
from style_transfer.models.vocoder.net import Vocoder
from style_transfer.signal import log_mel
from style_transfer.spectrograms import generate, vocoding
from tests.spectrograms.test_making import NOTES, SECS, clip

END_FRAMES = log_mel.polish_reach(log_mel.POLISH_ROUNDS) + 4
tf = pytest.importorskip("tensorflow")


def wav(audio):
    buffer = io.BytesIO()
    soundfile.write(buffer, audio.samples, audio.sample_rate, "FLOAT", format="WAV")
    return buffer.getvalue()


@pytest.fixture(autouse=True)
def vocoder(monkeypatch):
    model = Vocoder(width=4, num_blocks=1)
    model.build(None)
    monkeypatch.setattr(vocoding, "vocoder", lambda: model)


@pytest.mark.parametrize(("name", "key", "content"), [
    ("hearing", "audio_bytes", clip()), ("reading", "content_bytes", NOTES)])
def test_an_exported_model_makes_the_same(name, key, content, request, tmp_path):
    from style_transfer.serving import export
    from style_transfer.spectrograms.serve import TEMPERATURE, SpectrogramServing

    model, style = request.getfixturevalue(name), clip(3, 3.0)
    path = export.export(model, tmp_path / "m", SpectrogramServing, max_content_secs=2 * SECS)
    served = tf.saved_model.load(str(path)).signatures["serving_default"]
    given = wav(content) if key == "audio_bytes" else piano_roll.to_sequence(
        content).SerializeToString()
    found = served(**{"style_bytes": tf.constant([wav(style)] * 2), key: tf.constant([given] * 2)})
    found = [audio_lib.load(data).samples for data in found["audio_bytes"].numpy()]
    expected = generate.played(model, content, style, sample_rate=16_000, temperature=TEMPERATURE)
    np.testing.assert_array_equal(found[0], found[1])
    # A vocoder that goes on in silence ends otherwise, in its last frames.
    end = -END_FRAMES * log_mel.HOP_SAMPLES
    np.testing.assert_allclose(found[0][:end], np.clip(expected.samples, -1, 1)[:end], atol=5e-3)
    if key == "audio_bytes":
        with pytest.raises(tf.errors.InvalidArgumentError, match="lasts .* s; at most 12 s"):
            served(style_bytes=tf.constant([wav(style)]),
                   audio_bytes=tf.constant([wav(clip(0, 13.0))]))


def test_without_a_vocoder_there_is_an_error(hearing, monkeypatch):
    from style_transfer.spectrograms.serve import SpectrogramServing

    monkeypatch.setattr(vocoding, "vocoder", lambda: None)
    with pytest.raises(ValueError, match="has no weights 'vocoder'"):
        SpectrogramServing(hearing)
