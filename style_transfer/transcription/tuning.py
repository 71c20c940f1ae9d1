"""How far a recording is from concert pitch, so that a transcription model hears it in tune."""

import numpy as np
import scipy.fft

FFT_SECS = 0.512
MAX_FRAMES = 160
PEAKS_PER_FRAME = 12
LOWEST_HZ, HIGHEST_HZ = 110.0, 1_400.0
DEPTH_DB = 40.0  # peaks further under the loudest of their frame are left out
A4_HZ = 440.0
CENTS_PER_SEMITONE = 100.0
LEAST_AGREEMENT = 0.25  # of the peaks, 0 for none and 1 for all at one distance from the keys
LEAST_CENTS = 10.0  # which models do not mind


def speed_into_tune(samples, sample_rate):
    """How much faster a recording must be played to be at concert pitch.

    Args:
        samples: Mono audio, `[samples]`.
        sample_rate: Hz.

    Returns:
        A factor from 0.97 to 1.03; exactly 1 where the recording is within `LEAST_CENTS` of concert
        pitch, or its pitch is not clear.
    """
    cents, agreement = deviation_cents(samples, sample_rate)
    if agreement < LEAST_AGREEMENT or abs(cents) < LEAST_CENTS:
        return 1.0
    return 2 ** (-cents / 1200)


def deviation_cents(samples, sample_rate):
    """Where between the keys of a piano at 440 Hz the loudest partials lie.

    Args:
        samples: Mono audio, `[samples]`.
        sample_rate: Hz.

    Returns:
        `(cents, agreement)`: the circular mean of the peaks' distances from the nearest keys, from
        -50 to 50, and how far they agree, in [0, 1]. `(0, 0)` where nothing is heard.
    """
    size = 1 << round(np.log2(FFT_SECS * sample_rate))
    if len(samples) < size:
        samples = np.pad(samples, (0, size - len(samples)))
    starts = np.linspace(0, len(samples) - size, min(MAX_FRAMES, 1 + len(samples) // (size // 2)))
    frames = np.stack([samples[start:start + size] for start in starts.astype(int)])
    low, high = (int(hertz * size / sample_rate) for hertz in (LOWEST_HZ, HIGHEST_HZ))
    spectrum = scipy.fft.rfft(frames * np.hanning(size).astype(np.float32))[:, low - 1:high + 2]
    level_db = 20 * np.log10(np.abs(spectrum) + 1e-9)
    before, here, after = level_db[:, :-2], level_db[:, 1:-1], level_db[:, 2:]
    loud = here > here.max(axis=1, keepdims=True) - DEPTH_DB
    is_peak = loud & (here >= before) & (here > after) & (here > level_db.max() - 2 * DEPTH_DB)
    ranked = np.where(is_peak, here, -np.inf)
    least = np.partition(ranked, -PEAKS_PER_FRAME, axis=1)[:, -PEAKS_PER_FRAME, None]
    frame, index = np.nonzero(is_peak & (ranked >= least))
    if not len(frame):
        return 0.0, 0.0
    left, middle, right = (part[frame, index] for part in (before, here, after))
    # A parabola through the logarithms finds the top of a windowed sine between the bins.
    place = index + low + 0.5 * (left - right) / np.minimum(left - 2 * middle + right, -1e-9)
    turns = 12 * np.log2(place * sample_rate / size / A4_HZ)
    weight = 10 ** (middle / 40)
    mean = np.sum(weight * np.exp(2j * np.pi * turns)) / np.sum(weight)
    cents = CENTS_PER_SEMITONE * np.angle(mean) / (2 * np.pi)
    return float(cents), float(np.abs(mean))
