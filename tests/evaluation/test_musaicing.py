"""The sampler plays the right pitches at the right times with the right notes of the clip."""

import numpy as np
import pytest

from style_transfer.audio import Audio
from style_transfer.evaluation import musaicing
from style_transfer.piano_roll import LOWEST_PITCH, NoteTable
from tests.evaluation import evaluation_signals as signals

RATE = 24_000
STYLE_NOTES = ((0.2, 60, 0.8, 0.9), (1.2, 72, 0.4, 1.9))


def table(notes):
    onset, pitch, velocity, end = (np.array(column, np.float64) for column in zip(*notes,
                                                                                strict=True))
    return NoteTable((pitch - LOWEST_PITCH).astype(np.int32), velocity.astype(np.float32), onset,
                     end, end)


@pytest.fixture(scope="module")
def style():
    return Audio(signals.tones(STYLE_NOTES, 2.2, RATE, decay=1.0), RATE)


def test_each_note_is_played_by_the_nearest_in_pitch():
    content = table(((0.0, 59, 0.8, 0.4), (0.5, 73, 0.4, 0.9)))
    chosen = musaicing.choices(content, table(STYLE_NOTES), 2.2)
    assert [(c.source, c.semitones) for c in chosen] == [(0, -1), (1, 1)]


def test_gain_follows_the_square_of_velocity():
    content = table(((0.0, 60, 0.4, 0.4), (0.5, 60, 0.8, 0.9)))
    gains = [c.gain for c in musaicing.choices(content, table(STYLE_NOTES), 2.2)]
    assert gains == pytest.approx([0.25, 1.0])


def test_a_note_struck_in_a_chord_is_avoided():
    clip = table(((0.2, 60, 0.8, 0.9), (0.21, 64, 0.8, 0.9), (0.22, 67, 0.8, 0.9),
                  (1.2, 61, 0.8, 1.9)))
    chosen = musaicing.choices(table(((0.0, 60, 0.8, 0.4),)), clip, 2.2)
    assert chosen[0].source == 3


def test_notes_sound_at_their_onset_and_pitch_and_stop_when_damped(style):
    content = table(((0.5, 62, 0.8, 0.9), (1.5, 74, 0.4, 1.8)))
    audio = musaicing.musaic(content, style, table(STYLE_NOTES), 3 * RATE, RATE)
    assert len(audio.samples) == 3 * RATE
    level = np.abs(audio.samples)
    peak = level.max()
    assert level[:int(0.49 * RATE)].max() < 1e-3 * peak
    assert level[int(0.5 * RATE):int(0.52 * RATE)].max() > 0.3 * peak
    assert level[int(1.2 * RATE):int(1.48 * RATE)].max() < 1e-3 * peak
    assert level[int(2.2 * RATE):].max() < 1e-3 * peak
    for onset, pitch in ((0.5, 62), (1.5, 74)):
        start = int((onset + 0.02) * RATE)
        spectrum = np.abs(np.fft.rfft(audio.samples[start:start + RATE // 4], 4 * RATE))
        fundamental_hz = 440 * 2 ** ((pitch - 69) / 12)
        near = slice(int(4 * 0.8 * fundamental_hz), int(4 * 1.5 * fundamental_hz))
        found_hz = (near.start + spectrum[near].argmax()) / 4
        assert 1200 * abs(np.log2(found_hz / fundamental_hz)) < 15


def test_notes_that_began_before_the_excerpt_and_end_after_it_are_cut(style):
    content = table(((-0.2, 60, 0.8, 0.3), (0.9, 60, 0.8, 5.0)))
    audio = musaicing.musaic(content, style, table(STYLE_NOTES), RATE, RATE)
    assert len(audio.samples) == RATE
    assert np.abs(audio.samples[:100]).max() > 0.01
    assert np.abs(audio.samples[-100:]).max() > 0.01


def test_another_rate_changes_only_the_number_of_samples(style):
    content = table(((0.1, 62, 0.8, 0.5),))
    high = musaicing.musaic(content, style, table(STYLE_NOTES), RATE, RATE)
    low = musaicing.musaic(content, style, table(STYLE_NOTES), RATE // 2, RATE // 2)
    levels = [np.sqrt(np.mean(audio.samples ** 2)) for audio in (high, low)]
    assert levels[0] == pytest.approx(levels[1], rel=0.05)


def test_a_list_without_notes_in_the_clip_is_an_error(style):
    with pytest.raises(ValueError, match="nothing to cut"):
        musaicing.musaic(table(((0.1, 62, 0.8, 0.5),)), style, table(((7.0, 60, 0.8, 8.0),)),
                         RATE, RATE)
