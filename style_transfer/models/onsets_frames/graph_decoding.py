"""Probabilities -> notes inside a graph, as Magenta's models are decoded."""

import numpy as np
import tensorflow as tf

from style_transfer.graph import arrays as xp
from style_transfer.piano_roll import LOWEST_PITCH, NUM_KEYS
from style_transfer.transcription.decoding import Heard

VELOCITY_SCALE, VELOCITY_BIAS = 80.0, 10.0


def decode_as_magenta(outputs, frames_per_second, limits):
    """`transcription.magenta_decoding.decode` with thresholds, which note-seq does in NumPy.

    Args:
        outputs: Probabilities `onset` and `frame`, and `velocity`, float16 `[frames, 88]`.
        frames_per_second: Rate of the frames, Hz.
        limits: `thresholds.Thresholds`, of which `onset`, `frame` and `min_note_secs` count.

    Returns:
        A `Heard`, in the order in which Magenta adds notes.
    """
    onsets = outputs["onset"] > limits.onset
    sounding = (outputs["frame"] > limits.frame) | onsets
    begins = onsets & ~xp.pad(onsets[:-1], ((1, 0), (0, 0)))
    row = tf.shape(onsets, tf.int64)[0] + 1  # of a key: its frames and the end
    key, frame = xp.nonzero(tf.transpose(begins))
    ends = xp.pad(~sounding | begins, ((0, 1), (0, 0)), constant_values=True)
    ends = xp.flatnonzero(tf.reshape(tf.transpose(ends), (-1,)))
    stop = xp.take(ends, xp.searchsorted(ends, key * row + frame + 1)) - key * row
    onset, release, total = (xp.asarray(value, float) * (1.0 / frames_per_second)
                             for value in (frame, stop, row))
    velocity = xp.asarray(xp.take(outputs["velocity"], frame * NUM_KEYS + key), float)
    velocity = xp.clip(velocity, 0.0, 1.0) * VELOCITY_SCALE + VELOCITY_BIAS
    kept = xp.flatnonzero((release - onset) * 1000 >= 1000 * limits.min_note_secs)
    kept = xp.take(kept, xp.lexsort((xp.take(key, kept), xp.take(release, kept))))
    pitch, velocity = (xp.asarray(xp.take(value, kept), np.int32)
                       for value in (key + LOWEST_PITCH, velocity))
    return Heard(pitch, velocity, xp.take(onset, kept), xp.take(release, kept),
                 xp.asarray(np.zeros(0)), total)
