"""Mel scales and filters as librosa has them, without the half second and 65 MB of importing it."""

import functools
import math

import numpy as np

_LINEAR_BELOW_HZ, _HZ_PER_MEL = 1000.0, 200.0 / 3
_NEPERS_PER_MEL = np.log(6.4) / 27
_MELS_PER_NEPER = 2595.0 / math.log(10.0)


def from_hz(hz, log1p=np.log1p):
    """O'Shaughnessy's mel scale, as HTK has it; `log1p` is that of `keras.ops` for tensors."""
    return _MELS_PER_NEPER * log1p(hz / 700.0)


def to_hz(mel):
    """Inverse of `from_hz`, for NumPy."""
    return 700.0 * np.expm1(mel / _MELS_PER_NEPER)


def spaced_hz(low_hz, high_hz, count):
    """Frequencies from one to another that are equally far apart in mel, float64 `[count]`."""
    return to_hz(np.linspace(from_hz(low_hz), from_hz(high_hz), count))


@functools.cache
def matrix(sample_rate, fft_size, num_bands, low_hz=0.0, htk=False):
    """Triangles of area 1, equally wide in mel, from a frequency up to half the sample rate.

    Args:
        sample_rate: Hz.
        fft_size: Samples of the spectra they are for.
        num_bands: How many.
        low_hz: Where the first one begins.
        htk: O'Shaughnessy's mel scale, as HTK has it, rather than Slaney's.

    Returns:
        float32 `[fft_size // 2 + 1, num_bands]`, kept for the next caller: not to be written to.

    Source: held to librosa 0.11 `filters.mel`.
    """
    corners = (spaced_hz if htk else _slaney_spaced_hz)(low_hz, sample_rate / 2, num_bands + 2)
    bins = np.fft.rfftfreq(fft_size, 1 / sample_rate)[:, None]
    low, centre, high = corners[:-2], corners[1:-1], corners[2:]
    triangles = np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre))
    return (np.maximum(triangles, 0) * (2 / (high - low))).astype(np.float32)


def _slaney_spaced_hz(low_hz, high_hz, count):
    return _slaney_hz(np.linspace(_slaney_mel(low_hz), _slaney_mel(high_hz), count))


def _slaney_mel(hz):
    knee = _LINEAR_BELOW_HZ / _HZ_PER_MEL
    above = knee + np.log(np.maximum(hz, _LINEAR_BELOW_HZ) / _LINEAR_BELOW_HZ) / _NEPERS_PER_MEL
    return np.where(hz < _LINEAR_BELOW_HZ, hz / _HZ_PER_MEL, above)


def _slaney_hz(mel):
    knee = _LINEAR_BELOW_HZ / _HZ_PER_MEL
    above = _LINEAR_BELOW_HZ * np.exp(_NEPERS_PER_MEL * np.maximum(mel - knee, 0))
    return np.where(mel < knee, mel * _HZ_PER_MEL, above)
