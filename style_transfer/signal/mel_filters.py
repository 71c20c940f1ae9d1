"""Mel filters as librosa has them, without the half second and 65 MB of importing it."""

import numpy as np

_LINEAR_BELOW_HZ, _HZ_PER_MEL = 1000.0, 200.0 / 3
_NEPERS_PER_MEL = np.log(6.4) / 27


def matrix(sample_rate, fft_size, num_bands, low_hz=0.0, htk=False):
    """Triangles of area 1, equally wide in mel, from a frequency up to half the sample rate.

    Args:
        sample_rate: Hz.
        fft_size: Samples of the spectra they are for.
        num_bands: How many.
        low_hz: Where the first one begins.
        htk: O'Shaughnessy's mel scale, as HTK has it, rather than Slaney's.

    Returns:
        float32 `[fft_size // 2 + 1, num_bands]`.

    Source: held to librosa 0.11 `filters.mel`.
    """
    to_mel, to_hz = (_htk_mel, _htk_hz) if htk else (_slaney_mel, _slaney_hz)
    corners = to_hz(np.linspace(to_mel(low_hz), to_mel(sample_rate / 2), num_bands + 2))
    bins = np.fft.rfftfreq(fft_size, 1 / sample_rate)[:, None]
    low, centre, high = corners[:-2], corners[1:-1], corners[2:]
    triangles = np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre))
    return (np.maximum(triangles, 0) * (2 / (high - low))).astype(np.float32)


def _htk_mel(hz):
    return 2595 * np.log10(1 + hz / 700)


def _htk_hz(mel):
    return 700 * (10 ** (mel / 2595) - 1)


def _slaney_mel(hz):
    knee = _LINEAR_BELOW_HZ / _HZ_PER_MEL
    above = knee + np.log(np.maximum(hz, _LINEAR_BELOW_HZ) / _LINEAR_BELOW_HZ) / _NEPERS_PER_MEL
    return np.where(hz < _LINEAR_BELOW_HZ, hz / _HZ_PER_MEL, above)


def _slaney_hz(mel):
    knee = _LINEAR_BELOW_HZ / _HZ_PER_MEL
    above = _LINEAR_BELOW_HZ * np.exp(_NEPERS_PER_MEL * np.maximum(mel - knee, 0))
    return np.where(mel < knee, mel * _HZ_PER_MEL, above)
