import numpy as np
import pytest

from style_transfer import audio as audio_lib
from style_transfer import piano_roll
from style_transfer.signal import log_mel
from style_transfer.spectrograms import generate, making, vocoding

SECS = 6.0


def clip(seed=0, secs=SECS, rate=log_mel.SAMPLE_RATE):
    hum = np.sin(2 * np.pi * 220 * np.arange(round(secs * rate)) / rate)
    noise = np.random.default_rng(seed).normal(0, 0.02, len(hum))
    return audio_lib.Audio(0.2 * hum + noise, rate)


NOTES = piano_roll.NoteTable(np.array([40, 44], np.int32), np.array([0.5, 0.9], np.float32),
                             np.array([0.1, 2.0]), np.array([1.0, 4.9]), np.array([1.0, 4.9]))


@pytest.mark.parametrize("name", ["hearing", "reading"])
def test_windows_do_not_change_the_spectrogram(name, request, monkeypatch):
    model = request.getfixturevalue(name)
    content = generate.features(model, clip() if model.hears else NOTES)
    style = making.heard_of_style(clip(1).samples)
    whole = making.make(model, content, style)
    assert whole.shape == (len(content), log_mel.NUM_BANDS)
    for frames in (64, 500):
        monkeypatch.setattr(making, "WINDOW_FRAMES", frames)
        np.testing.assert_allclose(making.make(model, content, style), whole, atol=1e-3)


def test_what_is_made_is_what_the_model_says_of_all_at_once(hearing, reading):
    for model in (hearing, reading):
        content = generate.features(model, clip(0, 5.9) if model.hears else NOTES)
        style, margin = making.heard_of_style(clip(1).samples), making.margin_of(model)
        behind = -len(content) % model.grain + margin
        told = [np.pad(x, ((margin, behind), (0, 0)))[None]
                for x in (content, making.noise(len(content), 3))]
        whole = model.spectrogram(told[0], model.encode_style(style[None]), told[1], 0.5)
        made = making.make(model, content, style, temperature=0.5, seed=3)
        np.testing.assert_allclose(made, np.asarray(whole)[0, margin:-behind], atol=1e-4)


def test_content_of_either_kind_is_played_and_has_its_length(hearing):
    for content, secs in ((clip(), SECS), (NOTES, 5.9)):
        made = generate.played(hearing, content, clip(1, 3.0), sample_rate=8000)
        assert made.sample_rate == 8000 and made.duration_secs == pytest.approx(secs, abs=0.03)


def test_the_level_of_content_and_clip_does_not_matter(hearing):
    quiet = audio_lib.Audio(clip().samples * 0.05, log_mel.SAMPLE_RATE)
    made = [making.make(hearing, generate.features(hearing, one), generate.style_clip(two))
            for one, two in ((clip(), clip(1)), (quiet, quiet), (clip(), clip()))]
    np.testing.assert_allclose(made[1], made[2], atol=1e-2)
    assert np.abs(made[0] - made[2]).max() > 1e-4


def test_short_and_silent_clips_are_errors():
    with pytest.raises(ValueError, match="lasts 0.50 s; at least 2 s"):
        generate.style_clip(clip(0, 0.5))
    with pytest.raises(ValueError, match="is silent"):
        generate.style_clip(audio_lib.Audio(np.zeros(48_000), 16_000))


def test_what_is_heard_of_a_style_has_one_length():
    short, long = clip(0, 3.0).samples, clip(0, 20.0).samples
    long[:8 * log_mel.SAMPLE_RATE] *= 0.1
    heard = making.heard_of_style(short)
    count = making.STYLE_SECS * log_mel.SAMPLE_RATE
    assert len(heard) == count
    np.testing.assert_allclose(heard[len(short):len(short) + 100], heard[:100])
    loud = making.at_level(long)[8 * log_mel.SAMPLE_RATE:]
    np.testing.assert_allclose(making.heard_of_style(long).std(), loud.std(), rtol=0.01)


def test_a_spectrogram_is_heard_as_it_was(monkeypatch):
    monkeypatch.setattr(vocoding, "vocoder", lambda: None)
    mel = np.asarray(log_mel.of_audio(clip(0, 1.024).samples[None]))[0]
    heard = vocoding.audio_of(mel)
    assert len(heard.samples) == len(mel) * log_mel.HOP_SAMPLES
    again = np.asarray(log_mel.of_audio(heard.samples[None]))[0]
    assert np.abs(again - mel)[4:-4].mean() < 0.6
