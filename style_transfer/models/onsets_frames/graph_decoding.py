"""Probabilities -> notes and pedal inside a graph: `transcription`'s two decoders, by arrays."""

import typing

import tensorflow as tf

from style_transfer.graph import notes as notes_lib
from style_transfer.piano_roll import LOWEST_PITCH
from style_transfer.transcription import decoding

MAGENTA_VELOCITY_SCALE, MAGENTA_VELOCITY_BIAS = 80.0, 10.0


class Heard(typing.NamedTuple):
    """What was heard; times float64, seconds, velocities 1 to 127.

    `pedal_secs` has the times at which the sustain pedal goes down and up in turn.
    """

    pitch: tf.Tensor
    velocity: tf.Tensor
    onset_secs: tf.Tensor
    release_secs: tf.Tensor
    pedal_secs: tf.Tensor
    total_secs: tf.Tensor


def decode(outputs, frames_per_second, limits):
    """`transcription.decoding.decode`.

    Args:
        outputs: As `hearing.Listener` gives them.
        frames_per_second: Rate of the frames, Hz.
        limits: `thresholds.Thresholds`.

    Returns:
        A `Heard`.
    """
    num_frames = tf.shape(outputs["onset"], tf.int64)[0]
    row = num_frames + 1  # of a key: its frames and the end, in which nothing sounds
    key, frame, onset = _peaks(outputs["onset"], limits.onset)
    last = tf.cast(num_frames, tf.float64)
    same_key = tf.concat([key[1:] == key[:-1], tf.fill((tf.size(key[:1]),), False)], axis=0)
    following = tf.where(same_key, tf.concat([onset[1:], onset[:1]], axis=0), last)
    start = key * row + tf.minimum(frame + 2, num_frames)
    stop = tf.minimum(_first_below(outputs["frame"], limits.frame, start, row), following)
    end_key, end_frame, end = _peaks(outputs["offset"], limits.offset)
    place = tf.searchsorted(end_key * row + end_frame, key * row + frame + 2)
    end_key, end = tf.concat([end_key, [-1]], axis=0), tf.concat([end, [0.0]], axis=0)
    stop = tf.where(tf.gather(end_key, place) == key, tf.minimum(stop, tf.gather(end, place)), stop)
    least = limits.min_note_secs * frames_per_second
    released = _first_below(outputs["key"], limits.key, start, row)
    release = tf.minimum(tf.maximum(released, onset + least), stop)
    downs, ups = _pedal_spans(outputs["pedal"][:, 0], limits.pedal)
    span = tf.searchsorted(tf.cast(downs, tf.float64), release, side="right") - 1
    up = tf.gather(tf.concat([ups, [0]], axis=0), tf.maximum(span, 0))
    release = tf.where((span >= 0) & (release < tf.cast(up, tf.float64)), release, stop)
    velocity = tf.gather_nd(outputs["velocity"], tf.stack([frame, key], axis=1))
    velocity = tf.clip_by_value(tf.round(tf.cast(velocity, tf.float64) * 127), 1, 127)
    kept = tf.where(stop - onset >= least)[:, 0]
    key, velocity, onset, release = (tf.gather(v, kept) for v in (key, velocity, onset, release))
    order = notes_lib.sorted_by(onset, key)
    key, velocity, onset, release = (tf.gather(v, order) for v in (key, velocity, onset, release))
    pedal = tf.reshape(tf.stack([downs, ups], axis=1), (-1,))
    secs = release / frames_per_second
    total = tf.cond(tf.size(key) > 0, lambda: tf.reduce_max(secs),
                    lambda: last / frames_per_second)
    return Heard(tf.cast(key, tf.int32) + LOWEST_PITCH, tf.cast(velocity, tf.int32),
                 onset / frames_per_second, secs,
                 tf.cast(pedal, tf.float64) / frames_per_second, total)


def decode_as_magenta(outputs, frames_per_second, limits):
    """`transcription.magenta_decoding.decode` with thresholds; arguments as for `decode`."""
    num_frames = tf.shape(outputs["onset"], tf.int64)[0]
    onsets = outputs["onset"] > tf.constant(limits.onset, tf.float16)
    sounding = (outputs["frame"] > tf.constant(limits.frame, tf.float16)) | onsets
    begins = onsets & ~tf.pad(onsets[:-1], [[1, 0], [0, 0]])
    row = num_frames + 1
    place = tf.where(tf.transpose(begins))
    key, frame = place[:, 0], place[:, 1]
    ends = tf.transpose(tf.pad(~sounding | begins, [[0, 1], [0, 0]], constant_values=True))
    ends = tf.where(tf.reshape(ends, (-1,)))[:, 0]
    stop = tf.gather(ends, tf.searchsorted(ends, key * row + frame + 1)) - key * row
    secs_per_frame = tf.constant(1.0 / frames_per_second, tf.float64)
    onset, release = (tf.cast(v, tf.float64) * secs_per_frame for v in (frame, stop))
    velocity = tf.cast(tf.gather_nd(outputs["velocity"], tf.stack([frame, key], axis=1)),
                       tf.float64)
    velocity = (tf.clip_by_value(velocity, 0.0, 1.0) * MAGENTA_VELOCITY_SCALE
                + MAGENTA_VELOCITY_BIAS)
    kept = tf.where((release - onset) * 1000 >= 1000 * limits.min_note_secs)[:, 0]
    key, velocity, onset, release = (tf.gather(v, kept) for v in (key, velocity, onset, release))
    order = notes_lib.sorted_by(release, key)  # in which Magenta adds them
    key, velocity, onset, release = (tf.gather(v, order) for v in (key, velocity, onset, release))
    return Heard(tf.cast(key, tf.int32) + LOWEST_PITCH, tf.cast(velocity, tf.int32), onset,
                 release, tf.zeros((0,), tf.float64),
                 tf.cast(row, tf.float64) * secs_per_frame)


def _peaks(probabilities, threshold):
    """Keys, frames and places between frames of `decoding.peaks`, by key, then by frame."""
    padded = tf.pad(tf.transpose(tf.cast(probabilities, tf.float64)), [[0, 0], [1, 1]])
    before, here, after = padded[:, :-2], padded[:, 1:-1], padded[:, 2:]
    place = tf.where((here >= threshold) & (here >= before) & (here > after))
    before, here, after = (tf.gather_nd(v, place) for v in (before, here, after))
    height = tf.maximum(here - tf.minimum(before, after), 1e-9)
    shift = tf.clip_by_value(0.5 * (after - before) / height, -0.5, 0.5)
    return place[:, 0], place[:, 1], tf.cast(place[:, 1], tf.float64) + shift


def _first_below(probabilities, threshold, start, row):
    """First frame, from `start` (an index into rows of keys) on, that is under a threshold."""
    below = tf.transpose(tf.pad(probabilities < tf.constant(threshold, tf.float16),
                                [[0, 1], [0, 0]], constant_values=True))
    found = tf.where(tf.reshape(below, (-1,)))[:, 0]
    return tf.cast(tf.gather(found, tf.searchsorted(found, start)) % row, tf.float64)


def _pedal_spans(probabilities, threshold):
    """First frames, and frames after the last, of `decoding.pedal_spans`."""
    low = probabilities >= tf.constant(threshold - decoding.PEDAL_HYSTERESIS, tf.float16)
    change = tf.concat([low, [False]], axis=0) != tf.concat([[False], low], axis=0)
    edges = tf.reshape(tf.where(change)[:, 0], (-1, 2))
    sure = tf.cast(probabilities, tf.float64) >= threshold
    seen = tf.pad(tf.cumsum(tf.cast(sure, tf.int32)), [[1, 0]])
    is_down = tf.gather(seen, edges[:, 1]) > tf.gather(seen, edges[:, 0])
    edges = tf.boolean_mask(edges, is_down)
    return edges[:, 0], edges[:, 1]
