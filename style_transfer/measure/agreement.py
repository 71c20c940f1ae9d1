"""Whether notes are those of a clip: how many of them are heard to begin where they should."""

import dataclasses

import numpy as np

from style_transfer import audio as audio_lib
from style_transfer.measure import peaks as peaks_lib
from style_transfer.measure import tuning_fit
from style_transfer.piano_roll import NUM_KEYS

ANALYSIS_RATE = 16_000
WINDOW_SECS = 0.17
NUM_PARTIALS, HIGHEST_HZ = 6, 5000.0
TUNINGS_CENTS = np.arange(-120.0, 121.0, 20.0)
NEAR_CENTS, NEAR_BINS = 25.0, 0.6
# Around an onset: where a partial must be weaker, and where stronger.
BEFORE_SECS, AFTER_SECS = (-0.22, -0.07), (0.0, 0.18)
MIN_RISE_DB, FLOOR_DB = 4.0, -65.0
MIN_PARTIALS_SHARE = 0.5
FOREIGN_SHARE, DOUBTFUL_SHARE = 0.45, 0.5
# What is heard at least of a clip's own notes, and how unlikely it must be to hear so few of them.
OWN_SHARE, CHANCE = 0.6, 5e-3


@dataclasses.dataclass(frozen=True)
class Agreement:
    """How many notes are heard.

    Attributes:
        heard: Notes at whose onset at least half of their lowest partials rise.
        notes: Notes struck within the clip.
    """

    heard: int
    notes: int

    @property
    def share(self):
        """Of the notes that are heard, 0 to 1; 1 where there are none."""
        return self.heard / self.notes if self.notes else 1.0

    @property
    def is_foreign(self):
        """Whether the notes cannot be the clip's: too few are heard, and no few are there."""
        import scipy.stats

        return bool(self.share < FOREIGN_SHARE
                    and scipy.stats.binom.cdf(self.heard, self.notes, OWN_SHARE) < CHANCE)


def measure_agreement(audio, notes):
    """How many notes are heard in a clip, in the tuning in which most are.

    Args:
        audio: An `Audio`.
        notes: `NoteTable` in its time.

    Returns:
        An `Agreement`.
    """
    audio = audio_lib.resample(audio, min(audio.sample_rate, ANALYSIS_RATE))
    ends_secs = audio.duration_secs - AFTER_SECS[1]
    notes = notes.select((notes.onset_secs >= 0) & (notes.onset_secs < ends_secs))
    peaks = peaks_lib.find_peaks(audio.samples, audio.sample_rate, WINDOW_SECS)
    if not len(notes) or not len(peaks.frame):
        return Agreement(0, len(notes))
    frames = [_frames(peaks.times, notes.onset_secs, span) for span in (BEFORE_SECS, AFTER_SECS)]
    return Agreement(max(_heard(peaks, notes.key, frames, cents) for cents in TUNINGS_CENTS),
                     len(notes))


def check_notes(audio, notes):
    """Whether notes are those of a style clip.

    Args:
        audio: An `Audio`.
        notes: `NoteTable` in its time.

    Returns:
        List of warnings, one sentence each; empty where they are.

    Raises:
        ValueError: They are another clip's, or of another time.
    """
    found = measure_agreement(audio, notes)
    # Measured: own notes 63 to 100%, 34% of chords' at worst in 10 dB of noise; others' 0 to 40%.
    about = (f"{found.heard} of the {found.notes} notes given for the style clip are heard in it "
             f"({found.share:.0%}; of a clip's own notes over {OWN_SHARE:.0%} are)")
    if found.is_foreign:
        raise ValueError(f"Only {about}: give the notes of this very clip, in its time, or leave "
                         "them out.")
    if found.share < DOUBTFUL_SHARE:
        return [f"Only {about}: are they the notes of this clip, in its time?"]
    return []


def _heard(peaks, key, frames, cents):
    """Number of notes that are heard in a piano tuned `cents` off."""
    ones = np.ones(NUM_KEYS)
    freq = tuning_fit.Curves(cents * ones, ones, ones).partials_hz(NUM_PARTIALS)[key]
    before, after = (_loudest(peaks, freq, rows) for rows in frames)
    audible = freq < HIGHEST_HZ
    rises = (after - before > MIN_RISE_DB) & audible
    return int(np.sum(rises.sum(axis=1) >= MIN_PARTIALS_SHARE * audible.sum(axis=1)))


def _frames(times, onset_secs, span):
    """Frames whose centres lie in a span around each onset, `[num_notes, frames]`."""
    hop = times[1] - times[0] if len(times) > 1 else 1.0
    first = np.ceil((onset_secs + span[0] - times[0]) / hop).astype(int)
    return first[:, None] + np.arange(int(np.ceil((span[1] - span[0]) / hop)))


def _loudest(peaks, freq_hz, frames):
    """Level of the loudest peak near each partial in a note's frames, `[num_notes, partials]`."""
    floor = peaks.level_db.max() + FLOOR_DB
    shape = (*freq_hz.shape, frames.shape[1])
    wanted = np.broadcast_to(freq_hz[:, :, None], shape)
    found = peaks.nearest(np.broadcast_to(frames[:, None], shape), wanted)
    reach = np.maximum(wanted * (2 ** (NEAR_CENTS / 1200) - 1), NEAR_BINS * peaks.bin_hz)
    near = (found >= 0) & (np.abs(peaks.freq_hz[found] - wanted) < reach)
    return np.where(near, np.maximum(peaks.level_db[found], floor), floor).max(axis=-1)
