"""What every renderer offers, and small things they share."""

import os
import re
from typing import Protocol, runtime_checkable

import numpy as np

from style_transfer.audio import Audio
from style_transfer.piano_roll import LOWEST_PITCH, NUM_KEYS, NoteTable

PEAK = 0.98
PIANO_PITCHES = frozenset(range(LOWEST_PITCH, LOWEST_PITCH + NUM_KEYS))


@runtime_checkable
class Renderer(Protocol):
    """One piano: the same notes always give the same audio.

    Attributes:
        timbre_id: Name of the piano, fit for a folder's name.
        pitches: MIDI pitches that it can play; others are silent.
        licence: What the piano's maker says about its use, may be empty.
    """

    timbre_id: str
    pitches: frozenset
    licence: str

    def render(self, note_sequence, sample_rate: int) -> Audio:
        """Plays a NoteSequence.

        Args:
            note_sequence: `NoteSequence` with pedals as control changes 64, 66 and 67; drums and
                pitches off the keyboard are left out.
            sample_rate: Samples per second of the result.

        Returns:
            Mono `Audio` from time 0 until the last note has died away, lowered as a whole where
            it would clip.
        """
        ...

    def forget(self) -> None:
        """Frees what was cached; the next rendering makes it again."""
        ...


def slug(*parts):
    """A name for files from any texts: `Splendid Grand Piano` -> `splendid_grand_piano`."""
    text = "_".join(os.fspath(part) for part in parts)
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") or "piano"


def unclipped(samples, sample_rate):
    """`Audio` of the samples, scaled down as a whole where they would clip."""
    peak = float(np.max(np.abs(samples))) if len(samples) else 0.0
    if peak > PEAK:
        samples = samples * np.float32(PEAK / peak)
    return Audio(samples, sample_rate)


def string_damped_secs(table: NoteTable):
    """When the damper falls on each note's string, whether or not it is struck again meanwhile.

    `NoteTable.damped_secs` ends a note where its key is struck again. A sampler needs to know what
    happens to the earlier sound: with the damper up (key down or a pedal holding) it goes on until
    the damper falls for the later note.

    Args:
        table: Notes sorted by onset.

    Returns:
        float64 `[num_notes]`.
    """
    ends = table.damped_secs.copy()
    following = np.full(NUM_KEYS, -1)
    for i in range(len(table) - 1, -1, -1):
        later = following[table.key[i]]
        following[table.key[i]] = i
        if later < 0 or table.damped_secs[i] < table.onset_secs[later]:
            continue
        onset = table.onset_secs[later]
        if table.release_secs[i] > onset or np.any(table.pedals.at([onset])[0, :2] >= 0.5):
            ends[i] = ends[later]
    return ends
