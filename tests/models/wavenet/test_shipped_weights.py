import numpy as np
import pytest

from style_transfer import piano_roll, weights
from style_transfer.models.wavenet import evaluate
from style_transfer.models.wavenet.engine import generation
from tests.pipelines import tiny_pairs

SECS = 4.0


@pytest.fixture(scope="module")
def model():
    return weights.load("midi2wave_small")


@pytest.fixture(scope="module")
def played(model):
    """Two pieces and what the model makes of them with one seed; items draw alike when alone."""
    tables = [tiny_pairs.table(SECS, seed=seed, step_secs=0.4) for seed in (1, 2)]
    rolls = [piano_roll.keys_roll(table, 0, round(SECS * model.roll_rate), model.roll_rate)[None]
             for table in tables]
    return tables, np.concatenate([generation.generate(model, roll, seed=7) for roll in rolls])


def test_two_pieces_with_one_seed_sound_different(played):
    _, audio = played
    assert np.isfinite(audio).all() and np.abs(audio).max() <= 1
    assert 0.01 < np.std(audio) < 0.3
    assert abs(np.corrcoef(audio)[0, 1]) < 0.5


def test_the_notes_are_heard(model, played):
    tables, audio = played
    scores = evaluate.onset_scores(audio, tables, [0, 1], model.sample_rate)
    assert scores["onset_f1"] > 0.3 + scores["chance_onset_f1"]


def test_before_the_first_note_there_is_silence(model):
    rest, notes = 125, tiny_pairs.table(1.0, seed=1, step_secs=0.4)
    roll = piano_roll.keys_roll(notes, -rest, 250, model.roll_rate)[None]
    first = np.flatnonzero(roll[0].any(axis=1))[0] * model.hop
    for seed in range(2):
        audio = generation.generate(model, roll, seed=seed, lead_frames=model.lead_frames)[0]
        assert np.std(audio[:first]) < 10 ** (-78 / 20)  # what is constant is not heard
        assert abs(np.mean(audio[:first])) < 10 ** (-68 / 20)
        assert np.std(audio[first:]) > 10 ** (-40 / 20)


def test_a_note_has_its_pitch(model):
    for key in (27, 39, 46):
        roll = np.zeros((1, 250, 176), np.float32)
        roll[0, 10, key], roll[0, 10:, 88 + key] = 0.7, 0.7
        audio = generation.generate(model, roll, seed=1)[0, 2000:]
        energy = np.abs(np.fft.rfft(audio * np.hanning(len(audio)))) ** 2
        hz = np.arange(len(energy)) * model.sample_rate / len(audio)
        fundamental = 440 * 2 ** ((key - 48) / 12)
        off = np.abs(1200 * np.log2(np.maximum(hz, 1) / fundamental
                                    / np.maximum(1, np.round(hz / fundamental))))
        near = (off < 40) & (hz > 0.7 * fundamental)
        assert energy[near].sum() > 0.6 * energy.sum()
