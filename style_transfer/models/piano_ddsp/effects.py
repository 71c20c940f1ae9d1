"""What pedals do to a piano besides damping it, as far as a clip lets hear: found by playing it."""

import dataclasses

import numpy as np

from style_transfer import losses, piano_roll
from style_transfer.models.piano_ddsp import playing
from style_transfer.synthesis import dampers

COUPLINGS = (0.0, 0.1, 0.2, 0.4, 0.8)
SOFT_PEDAL_DB = (0.0, 1.0, 2.0, 4.0, 6.0, 9.0)
MIN_GAIN = 0.005  # share of the distance to the clip by which a value must be the better one
MAX_SECS = 20.0  # of the clip that are played
MIN_SOFT_NOTES = 8  # with the soft pedal, and as many without, before they are compared


def measured(model, piano, clip, notes, seed=0):
    """The piano with those effects with which it sounds most like its clip.

    What the clip does not tell stays as it is.

    Args:
        model: A `PianoDDSP`.
        piano: The `Piano` estimated from the clip.
        clip: `Audio` at the model's rate and the level that the model was trained at.
        notes: Its `NoteTable`, as it was played: what is heard of pedals will not do.
        seed: Seed of what is played.
    """
    samples = clip.samples[:int(MAX_SECS * clip.sample_rate)]
    notes = notes.select(notes.onset_secs < MAX_SECS)
    distance = losses.LogMelLoss(model.sample_rate)
    distances = {}

    def away(**effects):
        key = dataclasses.replace(piano, **effects)
        key = key.half_pedal, key.coupling, key.soft_pedal_db
        if key not in distances:
            made = _played(model, dataclasses.replace(piano, **effects), notes, len(samples), seed)
            distances[key] = float(distance(samples[None], made[None]))
        return distances[key]

    for name, values in _told_by(notes).items():
        here = values.index(getattr(piano, name))
        # From what it is, one step after the other, as long as the clip comes nearer.
        for step in (1, -1):
            while (0 <= here + step < len(values)
                   and away(**{name: values[here + step]})
                   < (1 - MIN_GAIN) * away(**{name: values[here]})):
                here += step
        if values[here] != getattr(piano, name):
            piano = dataclasses.replace(piano, **{name: values[here]})
    return piano


def _told_by(notes):
    """Values to try of what a clip of these notes can tell, by name."""
    found = {}
    if dampers.clock(notes) is not None:
        found["half_pedal"] = (False, True)
    if np.any(notes.pedals.sustain[1] >= piano_roll.PEDAL_DOWN / 127):
        found["coupling"] = COUPLINGS
    soft = notes.pedals.at(notes.onset_secs)[:, piano_roll.SOFT] >= 0.5
    if min(np.sum(soft), np.sum(~soft)) >= MIN_SOFT_NOTES:
        found["soft_pedal_db"] = SOFT_PEDAL_DB
    return found


def _played(model, piano, notes, num_samples, seed):
    """So many samples of what the piano makes of the clip's notes."""
    made, count = [], 0
    for chunk in playing.play(model, piano, notes, seed):
        made.append(chunk)
        count += len(chunk)
        if count >= num_samples:
            break
    made = np.concatenate(made)[:num_samples]
    return np.pad(made, (0, num_samples - len(made)))
