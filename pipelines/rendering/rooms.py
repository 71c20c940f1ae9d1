"""Smooth random filters and rooms, shared by procedural pianos and by augmentation."""

import numpy as np

LOWEST_HZ = 40.0
FILTER_TAPS = 1024
_OVERSAMPLING = 8


def room_impulse(rng, sample_rate, rt60_secs, wet_db, brightness_hz):
    """A random room: the direct sound, then exponentially decaying, darkening noise.

    Args:
        rng: `numpy.random.Generator`.
        sample_rate: Samples per second.
        rt60_secs: Time in which the reverberation falls by 60 dB.
        wet_db: Energy of the reverberation relative to the direct sound.
        brightness_hz: Frequency above which the room absorbs twice as fast.

    Returns:
        float32 `[num_samples]`, its first sample 1.
    """
    from scipy.signal import butter, sosfilt

    length = max(int(rt60_secs * sample_rate), 16)
    time = np.arange(length) / sample_rate
    noise = rng.standard_normal(length) * np.exp(-6.91 * time / rt60_secs)
    low = sosfilt(butter(1, brightness_hz, fs=sample_rate, output="sos"), noise)
    tail = low + (noise - low) * np.exp(-6.91 * time / rt60_secs)
    delay = int(rng.uniform(0.001, 0.02) * sample_rate)
    tail[:delay] = 0
    # Reverberation grows for a few milliseconds as reflections become dense.
    tail[delay:] *= 1 - np.exp(-(time[: length - delay]) / 0.004)
    tail *= 10 ** (wet_db / 20) / np.sqrt(np.sum(tail ** 2) + 1e-12)
    tail[0] = 1.0
    return tail.astype(np.float32)


def smooth_curve(rng, freqs_hz, spread_db, limit_db, octaves_per_bump=1.0):
    """A random smooth curve over log frequency, in dB.

    Args:
        rng: `numpy.random.Generator`.
        freqs_hz: Where to evaluate, any shape.
        spread_db: Standard deviation of its control points.
        limit_db: No value lies beyond plus or minus this.
        octaves_per_bump: Distance of control points.

    Returns:
        Array like `freqs_hz`.
    """
    from scipy.interpolate import PchipInterpolator

    knots = np.arange(np.log2(LOWEST_HZ) - 1, 15, octaves_per_bump)
    values = np.clip(rng.normal(0, spread_db, len(knots)), -limit_db, limit_db)
    place = np.clip(np.log2(np.maximum(freqs_hz, 1.0)), knots[0], knots[-1])
    return PchipInterpolator(knots, values)(place)


def minimum_phase(gains_db, num_taps=FILTER_TAPS):
    """A causal filter with these gains, without pre-ringing.

    Args:
        gains_db: Gains at equally spaced frequencies from 0 to half the rate, `[num_bins]`.
        num_taps: Length of the result.

    Returns:
        float32 `[num_taps]`.

    Source: Oppenheim and Schafer, 1989, 12.3 (homomorphic minimum phase).
    """
    size = _OVERSAMPLING * num_taps
    bins = np.linspace(0, len(gains_db) - 1, size // 2 + 1)
    log_gain = np.interp(bins, np.arange(len(gains_db)), gains_db) * np.log(10) / 20
    cepstrum = np.fft.irfft(log_gain, size)
    cepstrum[1:size // 2] *= 2
    cepstrum[size // 2 + 1:] = 0
    return np.fft.irfft(np.exp(np.fft.rfft(cepstrum)), size)[:num_taps].astype(np.float32)


def convolve(samples, impulse, keep_tail=False):
    """`samples` filtered by `impulse`, of the same length unless the tail is kept."""
    from scipy.signal import oaconvolve

    if not len(samples):
        return samples
    out = oaconvolve(samples, impulse).astype(np.float32)
    return out if keep_tail else out[: len(samples)]
