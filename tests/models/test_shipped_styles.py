"""The weights in the package play notes on the piano of a clip: figures, not shapes."""

import functools
import itertools

import numpy as np
import pytest

from style_transfer import audio as audio_lib
from style_transfer import configs, piano_roll, weights
from style_transfer.evaluation import metrics
from style_transfer.pipelines.rendering import renderers_from
from style_transfer.signal import log_mel
from style_transfer.transcription import metrics as note_metrics
from style_transfer.transcription.transcriber import transcribe
from tests import pianos

RATE = log_mel.SAMPLE_RATE
CONTENT_SECS, STYLE_SECS = 5.0, 8.0


NAMES = ("performance_net", "glow_style")


@pytest.fixture(scope="module", params=NAMES)
def play(request):
    """Plays notes as a clip sounds."""
    generator = configs.get(request.param).generator()
    return functools.partial(generator.transfer, weights.load(request.param), sample_rate=RATE)


def tune(seed):
    """A melody over chords."""
    rng, rows = np.random.default_rng(seed), []
    for i, at in enumerate(np.arange(0.2, CONTENT_SECS - 0.6, 0.35)):
        rows.append((int(rng.choice([39, 41, 43, 44, 46, 48, 51])), 0.6, at, at + 0.33))
        if i % 3 == 0:
            rows += [(key + 2 * int(rng.integers(2)), 0.45, at, at + 1.0) for key in (15, 22, 27)]
    return pianos.notes(*rows)


def played(piano, notes, secs):
    """Notes on a piano, cut to a length."""
    audio = piano.render(piano_roll.to_sequence(notes), RATE)
    return audio_lib.Audio(audio.samples[:round(secs * RATE)], RATE)


def transfers(play, specs, notes):
    """What is made of the notes in the style of each piano, and the notes on it: dicts by spec."""
    sequence, made, true = piano_roll.to_sequence(notes), {}, {}
    for spec in specs:
        (piano,) = renderers_from(spec)
        style = played(piano, pianos.random_notes(40, STYLE_SECS, seed=7), STYLE_SECS)
        made[spec] = play(sequence, style)
        true[spec] = played(piano, notes, CONTENT_SECS)
    return made, true


def distance(made, true):
    """Log-mel L1 in dB, whatever the levels."""
    true = metrics.Clip(true)
    return metrics.log_mel_l1(metrics.Clip(made, len(true.samples)), true, floor_db=60.0)


def nearness(made, true):
    """Mean distance to the piano that was asked for, and to the others."""
    found = {pair: distance(made[pair[0]], true[pair[1]])
             for pair in itertools.product(made, true)}
    return [np.mean([value for (one, other), value in found.items() if (one == other) == same])
            for same in (True, False)]


def scores(notes, audio):
    """Share of the notes that a transcriber hears at the right time, F1."""
    heard = piano_roll.note_table(transcribe(audio))
    return note_metrics.score_notes(notes, heard)["note_f1"]


def test_the_style_decides_the_sound_and_the_notes_stay(play):
    notes, other = tune(seed=0), tune(seed=1)
    made, true = transfers(play, ("procedural:seed=1001", "procedural:seed=1004"), notes)
    ours, others = nearness(made, true)
    assert ours < others - 1.0, (ours, others)
    for audio in made.values():
        assert scores(notes, audio) > max(0.5, 2 * scores(other, audio))


@pytest.mark.slow
def test_what_is_made_is_nearer_to_its_own_of_six_pianos(play):
    specs = [f"procedural:seed={seed}" for seed in range(1001, 1007)]
    ours, others = nearness(*transfers(play, specs, tune(seed=2)))
    assert ours < others - 1.0, (ours, others)
