"""Synthetic signals of the evaluation tests: exact formulas, no files."""

import numpy as np

RATE = 16_000


def tones(notes, secs, rate=RATE, tilt=1.0, decay=3.0):
    """Decaying harmonic tones, float32 `[secs * rate]`, peak 0.5.

    Args:
        notes: Rows of (onset seconds, MIDI pitch, velocity in (0, 1], end seconds).
        secs: Length.
        rate: Samples per second.
        tilt: Partial k has amplitude `k ** -tilt`.
        decay: Amplitudes fall as `exp(-decay * t)`.
    """
    t = np.arange(int(secs * rate)) / rate
    out = np.zeros_like(t)
    for onset, pitch, velocity, end in notes:
        f0 = 440 * 2 ** ((pitch - 69) / 12)
        since = np.maximum(t - onset, 0)
        envelope = velocity ** 2 * np.exp(-decay * since) * np.minimum(since / 0.004, 1)
        envelope = envelope * np.exp(-np.maximum(t - end, 0) / 0.03)
        for k in range(1, int(0.45 * rate / f0) + 1):
            out += envelope * k ** -tilt * np.sin(2 * np.pi * k * f0 * since)
    return (0.5 * out / max(np.abs(out).max(), 1e-9)).astype(np.float32)


def noise(num_samples, seed=0):
    """Uniform noise from a linear congruential generator, the same on every version of numpy."""
    state, out = np.uint64(seed * 2 + 1), np.empty(num_samples, np.float32)
    values = []
    x = int(state)
    for _ in range(num_samples):
        x = (x * 6364136223846793005 + 1442695040888963407) % 2 ** 64
        values.append((x >> 33) / 2 ** 30 - 1)
    out[:] = values
    return out


MELODY = ((0.1, 60, 0.8, 0.7), (0.5, 64, 0.5, 0.9), (0.9, 67, 0.9, 1.6), (1.3, 48, 0.7, 1.9))


def pairs():
    """Named (candidate, reference) pairs at 16 kHz that reach every branch of the measures."""
    true = tones(MELODY, 2.0)
    return {
        "brighter": (tones(MELODY, 2.0, tilt=0.6), true),
        "longer_and_louder": (3 * tones(MELODY, 2.5, decay=1.5), true),
        "shorter": (true[:20_000], true),
        "with_noise": (true + 0.003 * noise(len(true), 1), true),
        "other_notes": (tones(((0.2, 55, 0.6, 1.0), (1.1, 72, 0.9, 1.5)), 2.0), true),
        "noise_against_noise": (noise(24_000, 2), noise(24_000, 3)),
        "silence_then_tone": (np.concatenate([np.zeros(8000, np.float32), true]),
                              np.concatenate([np.zeros(8000, np.float32), true[::-1]])),
    }
