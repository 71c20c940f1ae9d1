"""Stand-in pianos and pieces for the evaluation tests."""

import numpy as np

from style_transfer import piano_roll
from style_transfer.audio import Audio
from style_transfer.evaluation import pairs
from tests.evaluation import evaluation_signals as signals

RATE = 16_000
CONTENT_SECS, STYLE_SECS = 3.0, 2.0


def piece(first_pitch, num_notes=30, step_secs=0.25):
    """A `NoteSequence` that walks up and down the keyboard."""
    rng = np.random.default_rng(first_pitch)
    onsets = 0.2 + step_secs * np.arange(num_notes)
    keys = first_pitch - piano_roll.LOWEST_PITCH + rng.integers(0, 12, num_notes)
    ends = onsets + 0.9 * step_secs
    table = piano_roll.NoteTable(keys.astype(np.int32),
                                 rng.uniform(0.3, 0.9, num_notes).astype(np.float32), onsets, ends,
                                 ends)
    return piano_roll.to_sequence(table)


def pieces():
    """Three pieces by name."""
    return {"a/one": piece(60), "a/two": piece(55), "b/three": piece(67)}


class Piano:
    """Renders like `style_transfer.pipelines.rendering.Renderer`, and counts how often."""

    def __init__(self, tilt):
        self.timbre_id, self.tilt, self.calls = f"tilt_{tilt:g}".replace(".", "_"), tilt, 0
        self.pitches = frozenset(range(21, 109))

    def render(self, note_sequence, sample_rate):
        """Decaying tones with this piano's spectral tilt."""
        self.calls += 1
        table = piano_roll.note_table(note_sequence)
        rows = zip(table.onset_secs, table.key + piano_roll.LOWEST_PITCH, table.velocity,
                   table.damped_secs, strict=True)
        samples = signals.tones(tuple(rows), table.end_secs + 0.3, sample_rate, tilt=self.tilt)
        return Audio(samples, sample_rate)


def prepared(folder, tilts=(1.0, 2.0), max_contents=2):
    """Pairs of `max_contents` pieces on pianos of these tilts."""
    tasks = pairs.choose_tasks(pieces(), CONTENT_SECS, STYLE_SECS, max_contents, seed=1)
    return [pair for piano in map(Piano, tilts) for pair, _ in pairs.prepare(
        tasks, piano.render, piano.timbre_id, folder, RATE, CONTENT_SECS, STYLE_SECS)]
