"""Tuning and stiffness of a piano from a clip of it, inside a graph: `analysis.measure_tuning`."""

import tensorflow as tf

from style_transfer.graph import arrays
from style_transfer.graph.shared import traced_once
from style_transfer.measure import activity, analysis, peaks, tuning_fit


@traced_once(tf.TensorSpec([None]))
def measure_tuning(samples, sample_rate):
    """Fundamental and inharmonicity of all 88 keys, float32 `[88]` each.

    Args:
        samples: float32 `[num_samples]`.
        sample_rate: Hz, at most 24000.

    Returns:
        As `analysis.measure_tuning(audio, None)`.
    """
    layers = [_find_peaks(samples, sample_rate, secs) for secs in peaks.WINDOW_SECS]
    pairs = activity.pairs_from_peaks(layers, arrays)
    curves = tuning_fit.fit(list(zip(layers, pairs, strict=True)), analysis.GUESSED_CENTS, arrays)
    return tf.cast(curves.f0_hz, tf.float32), tf.cast(curves.inharmonicity, tf.float32)


def _find_peaks(samples, sample_rate, window_secs):
    """`peaks.find_peaks`, with the spectra of all frames at once in memory."""
    scale = peaks.window(sample_rate, window_secs)
    size, count = len(scale), tf.size(samples)
    hop = tf.maximum(size // peaks.HOPS_PER_WINDOW, -(-count // peaks.MAX_FRAMES))
    padded = tf.pad(samples, [[size // 2, size // 2 + size]])
    starts = tf.range(0, tf.maximum(count, 1), hop)

    def level(start):
        block = tf.cast(padded[start:start + size] * scale, tf.float64)
        power = tf.square(tf.abs(tf.signal.rfft(tf.ensure_shape(block, [size]))))
        return 10 * arrays.log10(power + 1e-20)

    levels = tf.map_fn(level, starts, parallel_iterations=1,
                       fn_output_signature=tf.TensorSpec([size // 2 + 1], tf.float64))
    bin_hz = sample_rate / size
    times = (tf.cast(starts, tf.float64) - 0.5) / sample_rate
    return peaks.Peaks(times, window_secs / peaks.WINDOW_SIGMAS, bin_hz,
                       *peaks.pick(levels, bin_hz, arrays))
