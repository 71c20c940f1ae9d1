"""Basic Pitch hears plain notes; without it the reason is plain."""

import sys

import numpy as np
import pytest

from style_transfer.audio import Audio
from style_transfer.evaluation import metrics, transcriber
from tests.evaluation import evaluation_signals as signals

NOTES = ((0.3, 60, 0.8, 0.9), (1.0, 64, 0.8, 1.6), (1.7, 67, 0.9, 2.4))
installed = pytest.mark.skipif(not transcriber.available(),
                               reason=f"optional: {transcriber.INSTALL_HINT}")


@installed
def test_plain_notes_are_heard_at_their_onsets():
    audio = Audio(signals.tones(NOTES, 3.0, 24_000), 24_000)
    heard = transcriber.transcribe(audio)
    assert np.all(np.diff(heard[:, 0]) >= 0)
    true = [(onset, pitch) for onset, pitch, *_ in NOTES]
    assert metrics.onset_f1(heard, true)["recall"] == 1
    assert len(heard) <= 6


@installed
def test_silence_has_no_notes():
    assert transcriber.transcribe(Audio(np.zeros(24_000), 24_000)).shape == (0, 2)


@installed
def test_versions_are_told_and_tensorflow_is_left_as_it_was():
    before = sys.modules.get("tensorflow")
    transcriber.load.cache_clear()
    transcriber.load()
    assert sys.modules.get("tensorflow") is before
    assert transcriber.versions()["basic-pitch"] == "0.4.0"


def test_a_missing_extra_is_named_with_how_to_install_it(monkeypatch):
    monkeypatch.setattr(transcriber, "missing_modules", lambda: ["basic_pitch"])
    transcriber.load.cache_clear()
    with pytest.raises(ModuleNotFoundError, match="basic_pitch. Install it with: pip install"):
        transcriber.transcribe(Audio(np.zeros(24_000), 24_000))
    assert not transcriber.available()
    assert transcriber.versions() == {}
