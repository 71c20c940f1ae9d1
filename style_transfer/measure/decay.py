"""How fast partials fade where notes ring undisturbed."""

import dataclasses

import numpy as np

from style_transfer.measure import peaks as peaks_lib
from style_transfer.measure import tuning_fit as tuning_fit_lib

KEY_EDGES = np.arange(0, 89, 11)
BAND_EDGES_HZ = np.array([0.0, 125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0])
WINDOW_SECS = 0.17
ATTACK_SECS, RELEASE_SECS, LONGEST_SECS = 0.1, 0.05, 1.5
MIN_FRAMES, MIN_SPAN_SECS = 5, 0.2
MIN_ALONE, MIN_SNR_DB, MATCH_CENTS = 0.85, 12.0, 20.0
MAX_STRAY_DB = 4.0


@dataclasses.dataclass(frozen=True)
class Decay:
    """Early decay of partials by key region and frequency band.

    Attributes:
        db_per_sec: float32 `[8, 7]`, median loss of level in dB/s, positive when a partial
            fades; NaN where nothing was measured. Regions are 11 keys wide.
        count: int32 `[8, 7]`, how many partials of notes each median is taken over.
        key_edges: `[9]`, first key of each region.
        band_edges_hz: `[8]`, lower edges of the bands and the upper edge of the last.
    """

    db_per_sec: np.ndarray
    count: np.ndarray
    key_edges: np.ndarray
    band_edges_hz: np.ndarray


def measure_decay(samples, sample_rate, notes, cents, stiffness):
    """Straight lines through the levels of the partials of each note.

    Args:
        samples: float, `[num_samples]`.
        sample_rate: Hz.
        notes: `NoteTable`.
        cents: Tuning of the keys against equal temperament, `[88]`.
        stiffness: Inharmonicity as a multiple of the typical one, `[88]`.

    Returns:
        A `Decay` of the first 1.5 s of the notes; what follows is the slower after-sound.
    """
    shape = len(KEY_EDGES) - 1, len(BAND_EDGES_HZ) - 1
    peaks = peaks_lib.find_peaks(samples, sample_rate, WINDOW_SECS)
    pairs = tuning_fit_lib.pairs_from_notes(notes, peaks)
    curves = tuning_fit_lib.Curves(cents, stiffness, np.zeros(tuning_fit_lib.NUM_KEYS))
    found = tuning_fit_lib.observe(peaks, pairs, curves, tuning_fit_lib.MAX_PARTIALS, MATCH_CENTS)
    time = peaks.times[found["frame"]]
    age = time - notes.onset_secs[found["note"]]
    left = notes.damped_secs[found["note"]] - time
    clean = ((found["alone"] > MIN_ALONE) & (found["snr_db"] > MIN_SNR_DB) & (age > ATTACK_SECS)
             & (age < LONGEST_SECS) & (left > RELEASE_SECS))
    track, first, member = np.unique(
        (found["note"] * (tuning_fit_lib.MAX_PARTIALS + 1) + found["partial"])[clean],
        return_index=True, return_inverse=True)
    rate, good = _lines(member, len(track), time[clean], found["level_db"][clean])
    key, partial = found["key"][clean][first], found["partial"][clean][first]
    region = np.searchsorted(KEY_EDGES, key, side="right") - 1
    freq = curves.partials_hz()[key, partial - 1]
    band = np.clip(np.searchsorted(BAND_EDGES_HZ, freq, side="right") - 1, 0, shape[1] - 1)
    rates, count = np.full(shape, np.nan, np.float32), np.zeros(shape, np.int32)
    for cell in np.ndindex(shape):
        here = good & (region == cell[0]) & (band == cell[1])
        count[cell] = here.sum()
        if count[cell]:
            rates[cell] = np.median(rate[here])
    return Decay(rates, count, KEY_EDGES, BAND_EDGES_HZ)


def _lines(member, num_tracks, time, level_db):
    """Loss in dB/s of each track, and which tracks are long and straight enough to count."""
    count = np.maximum(np.bincount(member, minlength=num_tracks), 1)
    t = time - (np.bincount(member, time, num_tracks) / count)[member]
    v = level_db - (np.bincount(member, level_db, num_tracks) / count)[member]
    spread = np.bincount(member, t * t, num_tracks)
    slope = np.bincount(member, t * v, num_tracks) / np.maximum(spread, 1e-12)
    stray = np.sqrt(np.bincount(member, (v - slope[member] * t) ** 2, num_tracks) / count)
    span = np.sqrt(12 * spread / count)
    return -slope, (count >= MIN_FRAMES) & (span >= MIN_SPAN_SECS) & (stray < MAX_STRAY_DB)
