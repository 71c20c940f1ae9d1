"""Measuring a piano: tuning, inharmonicity, noise and bandwidth from a clip of it.

Only numpy and scipy. What is measured here need not be learned, and pitch cannot be learned
through a spectral loss.
"""

import dataclasses

import numpy as np

from style_transfer import audio as audio_lib
from style_transfer.measure import activity as activity_lib
from style_transfer.measure import peaks as peaks_lib
from style_transfer.measure import tuning_fit as tuning_fit_lib
from style_transfer.measure.clip import (
    check_style_clip,
    measure_bandwidth,
    measure_noise_floor,
    noise_band_edges_hz,
)
from style_transfer.piano_roll import NUM_KEYS

__all__ = ["Tuning", "check_style_clip", "measure_bandwidth", "measure_noise_floor",
           "measure_tuning", "noise_band_edges_hz", "reference_tuning"]

ANALYSIS_RATE = 24_000
# How far from 440 Hz the whole piano may be tuned, with the notes known and guessed.
KNOWN_CENTS, GUESSED_CENTS = 120.0, 55.0


@dataclasses.dataclass(frozen=True)
class Tuning:
    """Pitch and stiffness of each key; partial k is at `k * f0 * sqrt(1 + B k^2)`.

    Attributes:
        f0_hz: float32 `[88]`, Hz. The first partial is `sqrt(1 + B)` above it.
        inharmonicity: float32 `[88]`, B, dimensionless, near 0 for strings without stiffness.
        confidence: float32 `[88]` in [0, 1]: exp(-s / 5) of a key whose pitch is known to s
            cents; about 0.8 for a key well heard, 0 when nothing was.
    """

    f0_hz: np.ndarray
    inharmonicity: np.ndarray
    confidence: np.ndarray


def reference_tuning():
    """A4 at 440 Hz, equal temperament, inharmonicity of a typical grand, confidence 0."""
    return _tuning(tuning_fit_lib.Curves(np.zeros(NUM_KEYS), np.ones(NUM_KEYS),
                                      np.full(NUM_KEYS, np.inf)))


def measure_tuning(audio, notes=None):
    """Fundamental and inharmonicity of all 88 keys of the piano that plays.

    Struck keys are measured from the peaks of their partials; the others follow a smooth curve
    through those, and a sampled piano's deviations are shared by neighbours.

    Args:
        audio: An `Audio`; anything above 24 kHz is resampled first.
        notes: `NoteTable` of what is played, in the recording's time. None guesses which keys
            sound, which is enough for the piano's overall tuning and stiffness.

    Returns:
        A `Tuning`; `reference_tuning()` where nothing is heard.
    """
    audio = _at_analysis_rate(audio)
    peaks = [peaks_lib.find_peaks(audio.samples, audio.sample_rate, secs)
             for secs in peaks_lib.WINDOW_SECS]
    if notes is None:
        pairs = activity_lib.pairs_from_peaks(peaks)
    else:
        pairs = [tuning_fit_lib.pairs_from_notes(notes, layer) for layer in peaks]
    curves = tuning_fit_lib.fit(list(zip(peaks, pairs, strict=True)),
                                GUESSED_CENTS if notes is None else KNOWN_CENTS)
    return _tuning(curves)


def _at_analysis_rate(audio):
    return audio_lib.resample(audio, min(audio.sample_rate, ANALYSIS_RATE))


def _tuning(curves):
    confidence = np.where(curves.cents_std < 60, np.exp(-curves.cents_std / 5), 0)
    return Tuning(*(column.astype(np.float32)
                    for column in (curves.f0_hz, curves.inharmonicity, confidence)))
