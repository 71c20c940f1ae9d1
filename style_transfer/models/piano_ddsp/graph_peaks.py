"""Spectral peaks and the keys that explain them, inside a graph: `_peaks` and `_activity`."""

import math
import typing

import numpy as np
import tensorflow as tf

from style_transfer.measure import activity as activity_lib
from style_transfer.measure import peaks as peaks_lib
from style_transfer.piano_roll import NUM_KEYS

_DECIBELS = 10 / math.log(10)


class Peaks(typing.NamedTuple):
    """`peaks_lib.Peaks` as tensors, float64."""

    times: tf.Tensor
    bin_hz: tf.Tensor
    frame: tf.Tensor
    freq_hz: tf.Tensor
    level_db: tf.Tensor
    snr_db: tf.Tensor

    def nearest(self, frame, freq_hz):
        """Index of the peak of `frame` nearest to `freq_hz`, -1 in frames without peaks."""
        stride = 2 * peaks_lib.HIGHEST_HZ
        # One more that is near to nothing stands for "no peaks at all".
        grid = tf.concat([tf.cast(self.frame, tf.float64) * stride + self.freq_hz, [1e15]], 0)
        frames = tf.concat([self.frame, [-1]], 0)
        freqs = tf.concat([self.freq_hz, [0.0]], 0)
        right = tf.searchsorted(grid, tf.cast(frame, tf.float64) * stride + freq_hz)
        right = tf.minimum(right, tf.size(grid) - 1)
        left = tf.maximum(right - 1, 0)
        far = tf.constant(math.inf, tf.float64)
        distance = [tf.where(tf.gather(frames, i) == frame, tf.abs(tf.gather(freqs, i) - freq_hz),
                             far) for i in (left, right)]
        best = tf.where(distance[0] <= distance[1], left, right)
        return tf.where(tf.math.is_finite(tf.minimum(*distance)), best, -1)


class Pairs(typing.NamedTuple):
    """`tuning_fit_lib.Pairs` as tensors; the coverage is the same for all."""

    frame: tf.Tensor
    key: tf.Tensor
    level_db: tf.Tensor


def find_peaks(samples, sample_rate, window_secs):
    """`peaks_lib.find_peaks` of float32 `[num_samples]`."""
    size = peaks_lib._fast_size(int(window_secs * sample_rate))
    count = tf.size(samples)
    hop = tf.maximum(size // peaks_lib.HOPS_PER_WINDOW, -(-count // peaks_lib.MAX_FRAMES))
    offsets = np.arange(size) - (size - 1) / 2
    window = np.exp(-0.5 * (offsets / (size / peaks_lib.WINDOW_SIGMAS)) ** 2)
    scale = (window / (window.sum() / 2)).astype(np.float32)
    padded = tf.pad(samples, [[size // 2, size // 2 + size]])
    starts = tf.range(0, tf.maximum(count, 1), hop)

    def level(start):
        block = tf.cast(padded[start:start + size] * scale, tf.float64)
        power = tf.square(tf.abs(tf.signal.rfft(tf.ensure_shape(block, [size]))))
        return _DECIBELS * tf.math.log(power + 1e-20)

    levels = tf.map_fn(level, starts, parallel_iterations=1,
                       fn_output_signature=tf.TensorSpec([size // 2 + 1], tf.float64))
    bin_hz = sample_rate / size
    times = (tf.cast(starts, tf.float64) - 0.5) / sample_rate
    return Peaks(times, tf.constant(bin_hz, tf.float64), *_pick(levels, bin_hz))


def _pick(level_db, bin_hz):
    bins = level_db.shape[1]
    floor = _local_floor(level_db)
    low = max(1, int(peaks_lib.LOWEST_HZ / bin_hz))
    high = min(bins - 1, int(peaks_lib.HIGHEST_HZ / bin_hz))
    middle, floor = level_db[:, low:high], floor[:, low:high]
    before, after = level_db[:, low - 1:high - 1], level_db[:, low + 1:high + 1]
    loudest = tf.reduce_max(level_db, axis=1, keepdims=True)
    index = tf.where((middle >= before) & (middle > after)
                     & (middle > loudest - peaks_lib.PEAK_BELOW_LOUDEST_DB)
                     & (middle > floor + peaks_lib.PEAK_ABOVE_FLOOR_DB) & (middle > -130.0))
    a, b, c, floor = (tf.gather_nd(v, index) for v in (before, middle, after, floor))
    shift = 0.5 * (a - c) / tf.minimum(a - 2 * b + c, -1e-9)
    level = b - 0.25 * (a - c) * shift
    position = tf.cast(index[:, 1] + low, tf.float64) + shift
    return tf.cast(index[:, 0], tf.int32), position * bin_hz, level, level - floor


def _local_floor(level_db, bands_per_octave=4):
    num_bins = level_db.shape[1]
    num_edges = max(3, int(np.log2(num_bins / 8) * bands_per_octave))
    edges = np.unique(np.geomspace(8, num_bins, num_edges).astype(int))
    edges = np.concatenate([[0], edges])
    centres = 0.5 * (edges[:-1] + edges[1:])
    values = tf.stack([_percentile(level_db[:, a:b], 0.33)
                       for a, b in zip(edges[:-1], edges[1:], strict=True)], axis=1)
    position = np.clip(np.interp(np.arange(num_bins), centres, np.arange(len(centres))),
                       0, len(centres) - 1)
    lower = np.minimum(position.astype(int), len(centres) - 2)
    share = (position - lower)[None]
    return (tf.gather(values, lower, axis=1) * (1 - share)
            + tf.gather(values, lower + 1, axis=1) * share)


def _percentile(values, share):
    """A percentile along the last axis, whose length is known, by linear interpolation."""
    place = share * (values.shape[1] - 1)
    lower = int(place)
    count = min(lower + 2, values.shape[1])
    smallest = -tf.math.top_k(-values, count).values
    return smallest[:, lower] * (1 - (place - lower)) + smallest[:, count - 1] * (place - lower)


def pairs_from_peaks(layers):
    """`activity_lib.pairs_from_peaks` of a list of `Peaks`."""
    peaks = layers[len(layers) // 2]
    spectra = _log_spectra(peaks)
    loudness = tf.reduce_sum(spectra, axis=0)
    step = 3
    loud = tf.argsort(loudness, direction="DESCENDING", stable=True)
    loud = loud[:activity_lib.SEARCH_FRAMES * step:step]
    searched = tf.gather(spectra, loud, axis=1)
    templates = tf.constant(np.stack([activity_lib._templates(cents)
                                      for cents in activity_lib.SEARCH_CENTS]))
    errors = tf.map_fn(lambda shapes: _explain(searched, shapes, 15)[1], templates,
                       parallel_iterations=1)
    best = tf.argmin(errors + 1e-4 * np.abs(activity_lib.SEARCH_CENTS))
    gains, _ = _explain(spectra, templates[best], 40)
    level = 2 * _DECIBELS * tf.math.log(gains + 1e-9)
    loudest = tf.reduce_max(level, axis=0, keepdims=True)
    active = ((level > loudest - activity_lib.ACTIVE_BELOW_FRAME_DB)
              & (level > tf.reduce_max(level) - activity_lib.ACTIVE_BELOW_CLIP_DB) & (gains > 0))
    relative = tf.transpose(level - loudest)
    return [_lend(peaks.times, other.times, tf.transpose(active), relative) for other in layers]


def _lend(times, other_times, active, relative):
    nearest = tf.minimum(tf.searchsorted(times, other_times), tf.size(times) - 1)
    index = tf.where(tf.gather(active, nearest))
    level = tf.gather_nd(tf.gather(relative, nearest), index)
    return Pairs(tf.cast(index[:, 0], tf.int32), tf.cast(index[:, 1], tf.int32), level)


def _log_spectra(peaks):
    position = (12 * activity_lib.BINS_PER_SEMITONE / math.log(2)) * tf.math.log(
        peaks.freq_hz / activity_lib.LOWEST_HZ)
    amplitude = tf.pow(tf.constant(10.0, tf.float64), peaks.level_db / 20)
    lower = tf.floor(position)
    share = position - lower
    out = 0.0
    for step, part in ((0, 1 - share), (1, share)):
        index = tf.cast(lower, tf.int32) + step
        keep = (index >= 0) & (index < activity_lib.NUM_BINS)
        cells = tf.boolean_mask(tf.stack([index, peaks.frame], axis=1), keep)
        out += tf.scatter_nd(cells, tf.boolean_mask(amplitude * part, keep),
                             tf.stack([activity_lib.NUM_BINS, tf.size(peaks.times)]))
    return out


def _explain(spectra, templates, iterations):
    """`activity_lib._explain`: gains of the templates and the divergence that is left."""
    target = tf.sqrt(spectra)
    shapes = tf.sqrt(templates)
    shapes = shapes / (tf.reduce_sum(shapes, axis=0) + 1e-9)
    keys = NUM_KEYS
    gains = tf.tile((tf.reduce_sum(target, axis=0) / keys)[None], [keys, 1])

    def update(i, gains):
        missing = target / (tf.matmul(shapes, gains) + 1e-9)
        return i + 1, gains * tf.matmul(shapes, missing, transpose_a=True)

    _, gains = tf.while_loop(lambda i, _: i < iterations, update, (0, gains))
    model = tf.matmul(shapes, gains) + 1e-9
    divergence = tf.reduce_sum(target * tf.math.log((target + 1e-9) / model) - target + model)
    return tf.square(gains), divergence / (tf.reduce_sum(target) + 1e-9)
