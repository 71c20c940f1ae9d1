"""A recording -> what a transcription model says of each frame, inside a graph.

In windows, as `transcription.windows`, so the same numbers.
"""

import functools

import keras
import tensorflow as tf

from style_transfer.graph import arrays, wav
from style_transfer.graph.batches import each
from style_transfer.graph.checks import require
from style_transfer.transcription import transcriber, windows

WINDOW_SECS = 20.0  # whole ones are heard, however short the recording


class Listener:
    """`transcription.windows.probabilities` of recordings of any rate and level.

    Args:
        model: A built `HarmonicTranscriber` or `OnsetsFrames`.
        max_secs: Longest recording.
        window_secs: Length of the windows, seconds.
    """

    def __init__(self, model, max_secs, window_secs=WINDOW_SECS):
        self.model, self.max_secs = model, max_secs
        self._context, self._window, self._step = windows.sizes(model, window_secs)

    def __call__(self, samples, rate):
        """Probabilities of each frame.

        Args:
            samples: float32 `[num_samples]`, finite.
            rate: Scalar int32 tensor, Hz.

        Returns:
            Dict of float16 `[frames, 88]` (`pedal`: `[frames, 1]`), as `windows.probabilities`.

        Raises:
            InvalidArgumentError: The recording is too short or too long.
        """
        count, least = tf.size(samples), transcriber.SHORTEST_SECS
        secs = tf.cast(count, tf.float64) / tf.cast(rate, tf.float64)
        with tf.control_dependencies([
                require(secs >= least, "The recording lasts", secs, "s; expected at least",
                        f"{least:g} s."),
                require(secs <= self.max_secs, "The recording lasts", secs, "s; at most",
                        f"{self.max_secs:g} s are heard. Cut it into parts.")]):
            samples = tf.identity(samples)
        samples = wav.resample(samples, rate, self.model.sample_rate)
        hop, step = self.model.hop_length, self._step
        num_frames = 1 + tf.size(samples) // hop
        firsts = tf.range(0, num_frames, step)
        before = self._context * hop
        # Silence around the recording, so that every window lies inside.
        level_db = transcriber.loudest_level(samples, arrays)
        gain = tf.where(level_db > transcriber.SILENCE_DB,
                        10 ** ((transcriber.LEVEL_DB - level_db) / 20), 1.0)
        padded = tf.pad(tf.cast(gain, tf.float32) * samples,
                        [[before, self._window * hop + step * hop]])

        def heard(first):
            piece = tf.reshape(padded[first * hop:(first + self._window - 1) * hop],
                               (1, (self._window - 1) * hop))
            outputs = self.model(piece, training=False)
            return {name: tf.cast(self._probability(name, value), tf.float16)
                    for name, value in outputs.items()}

        found = each(heard, firsts, {name: tf.TensorSpec([step, width], tf.float16)
                                     for name, width in self.widths.items()})
        return {name: tf.reshape(value, (-1, self.widths[name]))[:num_frames]
                for name, value in found.items()}

    @functools.cached_property
    def widths(self):
        """Columns of each output, by name."""
        samples = keras.KerasTensor([1, (self._window - 1) * self.model.hop_length])
        outputs = self.model(samples, training=False)
        return {name: value.shape[-1] for name, value in outputs.items()}

    def _probability(self, name, value):
        value = value[0, self._context:self._context + self._step]
        return tf.sigmoid(value) if name in windows.PROBABILITIES else value
