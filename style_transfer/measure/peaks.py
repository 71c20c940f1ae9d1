"""Spectral peaks of a recording at three resolutions, for measuring pitches.

A Gaussian window makes a parabola through three log magnitudes exact for a stationary or
exponentially decaying sinusoid, so no zero padding and no bias table is needed.
"""

import dataclasses

import numpy as np

WINDOW_SECS = (0.68, 0.34, 0.17)
WINDOW_SIGMAS = 6.5
HOPS_PER_WINDOW = 4
MAX_FRAMES = 1500
LOWEST_HZ, HIGHEST_HZ = 24.0, 9000.0
PEAK_ABOVE_FLOOR_DB = 9.0
PEAK_BELOW_LOUDEST_DB = 75.0


@dataclasses.dataclass(frozen=True)
class Peaks:
    """Peaks of all frames at one resolution, sorted by frame, then frequency.

    Attributes:
        times: Centre of each frame, seconds, `[num_frames]`.
        sigma_secs: Standard deviation of the Gaussian window.
        bin_hz: Spacing of the bins; two sinusoids are told apart at about three of these.
        frame: int, `[num_peaks]`.
        freq_hz: `[num_peaks]`.
        level_db: `[num_peaks]`, relative to full scale.
        snr_db: Level above the local floor of the frame, `[num_peaks]`.
    """

    times: np.ndarray
    sigma_secs: float
    bin_hz: float
    frame: np.ndarray
    freq_hz: np.ndarray
    level_db: np.ndarray
    snr_db: np.ndarray

    def nearest(self, frame, freq_hz, xp=np):
        """Index of the peak of `frame` nearest to `freq_hz`, -1 in frames without peaks."""
        # Behind the last peak there is always one more, of no frame.
        frames, freqs = (xp.concatenate([column, xp.asarray([-1], column.dtype)])
                         for column in (self.frame, self.freq_hz))
        right = xp.searchsorted(self._on_a_line(self.frame, self.freq_hz, xp),
                                self._on_a_line(frame, freq_hz, xp))
        left = xp.maximum(right - 1, 0)
        below, above = (
            xp.where(xp.take(frames, i) == frame, xp.abs(xp.take(freqs, i) - freq_hz), np.inf)
            for i in (left, right))
        best = xp.where(below <= above, left, right)
        return xp.where(xp.minimum(below, above) < np.inf, best, -1)

    @staticmethod
    def _on_a_line(frame, freq_hz, xp):
        return xp.asarray(frame, float) * (2 * HIGHEST_HZ) + freq_hz


def find_peaks(samples, sample_rate, window_secs):
    """Peaks of every frame of a recording.

    Args:
        samples: float, `[num_samples]`; shorter than a window is padded.
        sample_rate: Hz.
        window_secs: Length of the window.

    Returns:
        `Peaks`. Long recordings get a larger hop, so that there are at most 1500 frames.
    """
    scale = window(sample_rate, window_secs)
    size = len(scale)
    hop = max(size // HOPS_PER_WINDOW, -(-len(samples) // MAX_FRAMES))
    padded = np.pad(np.asarray(samples, np.float32), (size // 2, size // 2 + size))
    starts = np.arange(0, max(len(samples), 1), hop)
    columns = [[], [], [], []]
    for first in range(0, len(starts), 64):
        rows = starts[first:first + 64, None] + np.arange(size)
        power = np.abs(np.fft.rfft(padded[rows] * scale)) ** 2
        found = pick(10 * np.log10(power + 1e-20), sample_rate / size)
        for column, values in zip(columns, found, strict=True):
            column.append(values)
        columns[0][-1] = columns[0][-1] + first
    return Peaks((starts - 0.5) / sample_rate, window_secs / WINDOW_SIGMAS, sample_rate / size,
                 *(np.concatenate(column) for column in columns))


def window(sample_rate, window_secs):
    """A Gaussian window in which a sinusoid of full scale has 0 dB, float32 `[size]`."""
    import scipy.fft

    size = int(window_secs * sample_rate)
    size = scipy.fft.next_fast_len(size + size % 2, real=True)
    offsets = np.arange(size) - (size - 1) / 2
    gaussian = np.exp(-0.5 * (offsets / (size / WINDOW_SIGMAS)) ** 2)
    return (gaussian / (gaussian.sum() / 2)).astype(np.float32)


def pick(level_db, bin_hz, xp=np):
    """Frame, frequency, level and height above the floor of the local maxima.

    Args:
        level_db: Spectra, float64 `[num_frames, bins]`.
        bin_hz: Spacing of the bins.
        xp: See `arrays`.

    Returns:
        Columns as `Peaks` has them, `[num_peaks]`.
    """
    floor = _local_floor(level_db, xp)
    low = max(1, int(LOWEST_HZ / bin_hz))
    high = min(level_db.shape[1] - 1, int(HIGHEST_HZ / bin_hz))
    middle, floor = level_db[:, low:high], floor[:, low:high]
    before, after = level_db[:, low - 1:high - 1], level_db[:, low + 1:high + 1]
    loudest = xp.max(level_db, axis=1, keepdims=True)
    is_peak = ((middle >= before) & (middle > after) & (middle > loudest - PEAK_BELOW_LOUDEST_DB)
               & (middle > floor + PEAK_ABOVE_FLOOR_DB) & (middle > -130.0))
    frame, index = xp.nonzero(is_peak)
    a, b, c, floor = before[is_peak], middle[is_peak], after[is_peak], floor[is_peak]
    shift = 0.5 * (a - c) / xp.minimum(a - 2 * b + c, -1e-9)
    level = b - 0.25 * (a - c) * shift
    return frame, (xp.asarray(index + low, float) + shift) * bin_hz, level, level - floor


def _local_floor(level_db, xp, bands_per_octave=4):
    """A floor in dB that follows the spectrum: the lower third of each band, interpolated."""
    num_bins = level_db.shape[1]
    num_edges = max(3, int(np.log2(num_bins / 8) * bands_per_octave))
    edges = np.unique(np.geomspace(8, num_bins, num_edges).astype(int))
    edges = np.concatenate([[0], edges])
    centres = 0.5 * (edges[:-1] + edges[1:])
    values = xp.stack([xp.percentile(level_db[:, a:b], 33, axis=1)
                       for a, b in zip(edges[:-1], edges[1:], strict=True)], axis=1)
    position = np.clip(np.interp(np.arange(num_bins), centres, np.arange(len(centres))),
                       0, len(centres) - 1)
    lower = np.minimum(position.astype(int), len(centres) - 2)
    share = (position - lower)[None]
    return (xp.take(values, lower, axis=1) * (1 - share)
            + xp.take(values, lower + 1, axis=1) * share)
