"""Serialized NoteSequences -> note tables and rolls inside a graph, as `piano_roll` makes them."""

import functools
import typing

import tensorflow as tf

from style_transfer import piano_roll
from style_transfer.graph.checks import require

MESSAGE = "magenta.NoteSequence"
_NO_NOTES = ("content_bytes holds no notes for a piano. Expected a serialized NoteSequence with "
             "notes;")
CONTROLS = (piano_roll.SUSTAIN_CC, piano_roll.SOSTENUTO_CC, piano_roll.SOFT_CC)


class Table(typing.NamedTuple):
    """A `piano_roll.NoteTable` as tensors; `pedals` are (times_secs, values) three times."""

    key: tf.Tensor
    velocity: tf.Tensor
    onset_secs: tf.Tensor
    release_secs: tf.Tensor
    damped_secs: tf.Tensor
    pedals: tuple


@functools.lru_cache(maxsize=1)
def descriptors():
    """The descriptor set of NoteSequence, as ops on protos take it."""
    from google.protobuf import descriptor_pb2
    from note_seq.protobuf import music_pb2

    files = descriptor_pb2.FileDescriptorSet()
    music_pb2.DESCRIPTOR.CopyToProto(files.file.add())
    return b"bytes://" + files.SerializeToString()


def note_table(data):
    """The struck strings of a serialized NoteSequence: `piano_roll.note_table`.

    Args:
        data: Scalar string.

    Returns:
        A `Table`, times float64.

    Raises:
        InvalidArgumentError: It is a MIDI file, no NoteSequence, or without notes.
    """
    is_midi = tf.strings.regex_full_match(tf.strings.substr(data, 0, 4), "MThd|RIFF")
    with tf.control_dependencies([require(
            ~is_midi, "content_bytes is a MIDI or RIFF file; expected a serialized NoteSequence. "
            "style_transfer_client and style_transfer.piano_roll.load_midi convert MIDI.")]):
        notes, controls = _decode(data, MESSAGE, {"notes": tf.string,
                                                   "control_changes": tf.string})
    pitch, velocity, start, end, instrument, is_drum = (column[:, 0] for column in _decode(
        notes, f"{MESSAGE}.Note", {
            "pitch": tf.int32, "velocity": tf.int32, "start_time": tf.float64,
            "end_time": tf.float64, "instrument": tf.int32, "is_drum": tf.bool}))
    key = pitch - piano_roll.LOWEST_PITCH
    wanted = ~is_drum & (key >= 0) & (key < piano_roll.NUM_KEYS) & (velocity > 0)
    columns = (key, velocity, start, end, instrument)
    key, velocity, start, end, instrument = (tf.boolean_mask(v, wanted) for v in columns)
    with tf.control_dependencies([
            require(tf.size(key) > 0, _NO_NOTES, piano_roll.DRUM_CHANNEL_MESSAGE + "."),
            require(tf.reduce_all(tf.math.is_finite(start) & tf.math.is_finite(end)),
                    "content_bytes holds notes whose times are not finite numbers.")]):
        order = sorted_by(start, key, -velocity)
    columns = (key, velocity, start, end, instrument)
    key, velocity, onset, release, instrument = (tf.gather(v, order) for v in columns)
    damped, pedals = _held(onset, release, instrument, *_pedals(controls))
    release, damped = _last_of_key(release, key), _last_of_key(damped, key)
    first, last = first_of_each(onset, key), last_of_each(onset, key)
    key, velocity, onset = (tf.boolean_mask(v, first) for v in (key, velocity, onset))
    release, damped = tf.boolean_mask(release, last), tf.boolean_mask(damped, last)
    damped = _until_struck_again(damped, key, onset)
    return Table(key, tf.cast(tf.cast(velocity, tf.float64) / 127, tf.float32), onset,
                 tf.maximum(release, onset), tf.maximum(damped, onset), pedals)


def within_limits(table, max_secs, max_notes):
    """A table that is not too long.

    Args:
        table: A `Table`.
        max_secs: When the last damper falls at the latest.
        max_notes: How many notes at most.

    Raises:
        InvalidArgumentError: It is longer, or has more.
    """
    end, count = tf.reduce_max(table.damped_secs), tf.size(table.key)
    with tf.control_dependencies([
            require(end <= max_secs, "The piece lasts", end, "s; at most", f"{max_secs:g} s are "
                    "played. Cut it into parts."),
            require(count <= max_notes, "The piece has", count, "notes; at most",
                    f"{max_notes} are played. Cut it into parts.")]):
        return table._replace(key=tf.identity(table.key),
                              damped_secs=tf.identity(table.damped_secs))


def roll(table, num_frames, frames_per_second=piano_roll.FRAMES_PER_SECOND):
    """`piano_roll.roll` from time 0 on.

    Args:
        table: A `Table`.
        num_frames: Scalar int32 tensor.
        frames_per_second: Frame rate.

    Returns:
        float32 `[num_frames, 179]`.
    """
    end_secs = tf.cast(num_frames, tf.float64) / frames_per_second
    inside = (table.onset_secs < end_secs) & ((table.damped_secs > 0) | (table.onset_secs >= 0))
    key, velocity, onset, damped = (tf.boolean_mask(v, inside) for v in (
        table.key, table.velocity, table.onset_secs, table.damped_secs))
    first = tf.cast(piano_roll.frame_of(onset, frames_per_second), tf.int32)
    # Later than the last frame by any amount is the same, and fits into an int32.
    last = piano_roll.frame_after(tf.minimum(damped, end_secs + 1), frames_per_second)
    last = tf.maximum(tf.cast(last, tf.int32), tf.maximum(first + 1, 1))
    begin, stop = tf.maximum(first, 0), tf.minimum(last, num_frames)
    struck = (first >= 0) & (first < num_frames)
    cells = num_frames * piano_roll.NUM_KEYS
    onsets = tf.math.unsorted_segment_max(
        tf.boolean_mask(velocity, struck),
        tf.boolean_mask(first * piano_roll.NUM_KEYS + key, struck), cells)
    # The later of two notes of a key wins the frame that both touch.
    count = tf.maximum(stop - begin, 0)
    note = tf.repeat(tf.range(tf.size(key)), count)
    frame = tf.range(tf.size(note)) - tf.gather(tf.cumsum(count) - count - begin, note)
    winner = tf.math.unsorted_segment_max(
        note, frame * piano_roll.NUM_KEYS + tf.gather(key, note), cells)
    velocity = tf.concat([velocity, [0.0]], axis=0)
    sounding = tf.gather(velocity, tf.where(winner < 0, tf.size(key), winner))
    shape = (num_frames, piano_roll.NUM_KEYS)
    times = (tf.cast(tf.range(num_frames), tf.float64) + 0.5) / frames_per_second
    pedals = tf.stack([step(curve, times) for curve in table.pedals], axis=-1)
    return tf.concat([tf.reshape(tf.maximum(onsets, 0), shape), tf.reshape(sounding, shape),
                      pedals], axis=-1)


def _decode(data, message, fields):
    """Fields of messages, `[..., repeats]` each, at least one column."""
    names = sorted(fields)  # decode_proto wants no order, but one is easier to read
    values = tf.io.decode_proto(data, message, names, [fields[n] for n in names],
                                descriptor_source=descriptors()).values
    found = dict(zip(names, values, strict=True))
    if not len(data.shape):
        return [found[name] for name in fields]
    missing = {name: tf.maximum(1 - tf.shape(value)[1], 0) for name, value in found.items()}
    return [tf.concat([found[name], tf.zeros((tf.shape(data)[0], missing[name]), fields[name])],
                      axis=1) for name in fields]


def _pedals(controls):
    """Rows of the sustain, sostenuto and soft pedal: instruments, times_secs, values 0 to 127.

    They are in the order of instruments and times; of several at one time the last counts.
    """
    time, number, value, instrument, is_drum = (column[:, 0] for column in _decode(
        controls, f"{MESSAGE}.ControlChange", {
            "time": tf.float64, "control_number": tf.int32, "control_value": tf.int32,
            "instrument": tf.int32, "is_drum": tf.bool}))
    with tf.control_dependencies([require(
            tf.reduce_all(tf.math.is_finite(time)),
            "content_bytes holds pedal movements whose times are not finite numbers.")]):
        rows = []
        for control in CONTROLS:
            mine = ~is_drum & (number == control)
            columns = [tf.boolean_mask(column, mine) for column in (instrument, time, value)]
            order = sorted_by(*columns[:2])
            columns = [tf.gather(column, order) for column in columns]
            last = last_of_each(*columns[:2])
            rows.append([tf.boolean_mask(column, last) for column in columns])
    return rows


def _held(onset, release, instrument, *rows):
    """Where each note's own pedals let it be damped, and the curves of all on one piano."""
    final = tf.reduce_max(tf.concat([[0.0], release, rows[0][1], rows[1][1]], axis=0))
    instruments = tf.unique(tf.concat([row[0] for row in rows], axis=0)).y
    times = [tf.unique(tf.sort(row[1])).y for row in rows]

    def hold(i, damped, *levels):
        own = [(tf.boolean_mask(time, number == instruments[i]),
                tf.boolean_mask(value, number == instruments[i])) for number, time, value in rows]
        held = _held_until(_sostenuto(release, onset, own[1], final), own[0], final)
        curves = [(t, tf.cast(tf.cast(v, tf.float64) / 127, tf.float32)) for t, v in own]
        return (i + 1, tf.where(instrument == instruments[i], held, damped),
                *(tf.maximum(level, step(curve, time))
                  for level, curve, time in zip(levels, curves, times, strict=True)))

    start = [tf.zeros_like(time, tf.float32) for time in times]
    _, damped, *levels = tf.while_loop(lambda i, *_: i < tf.size(instruments), hold,
                                       (0, release, *start))
    return damped, tuple(zip(times, levels, strict=True))


def sorted_by(*columns):
    """Indices that order rows by the first column, then the second, and so on."""
    order = tf.argsort(columns[-1], stable=True)
    for column in columns[-2::-1]:
        order = tf.gather(order, tf.argsort(tf.gather(column, order), stable=True))
    return order


def first_of_each(onset, key):
    """Mask of the first of neighbouring rows with the same onset and key."""
    new = (onset[1:] != onset[:-1]) | (key[1:] != key[:-1])
    return tf.concat([[True], new], axis=0)[:tf.size(onset)]


def last_of_each(onset, key):
    """Mask of the last of neighbouring rows with the same two numbers."""
    return tf.reverse(first_of_each(tf.reverse(onset, [0]), tf.reverse(key, [0])), [0])


def step(curve, times_secs):
    """Positions of a pedal at times, float32, as `Pedals.at` gives them."""
    times, values = curve
    padded = tf.concat([[0.0], values], axis=0)
    return tf.gather(padded, tf.searchsorted(times, times_secs, side="right"))


def _switches(curve):
    """Times at which a pedal goes down and up again, with a pair (inf, inf) at the end."""
    times, values = curve
    down = values >= piano_roll.PEDAL_DOWN
    before = tf.concat([[False], down[:-1]], axis=0)[:tf.size(down)]
    downs, ups = tf.boolean_mask(times, down & ~before), tf.boolean_mask(times, before & ~down)
    never = tf.constant([float("inf")], tf.float64)
    open_end = tf.repeat(never, tf.size(downs) - tf.size(ups))
    return tf.concat([downs, never], axis=0), tf.concat([ups, open_end, never], axis=0)


def _held_until(ends, curve, final):
    downs, ups = _switches(curve)
    span = tf.searchsorted(downs, ends, side="right") - 1
    up = tf.gather(ups, tf.maximum(span, 0))
    return tf.where((span >= 0) & (ends < up), tf.minimum(up, final), ends)


def _sostenuto(ends, onsets, curve, final):
    """Of the times it goes down while a key is held, the last one holds longest."""
    downs, ups = _switches(curve)
    span = tf.searchsorted(downs, ends, side="left") - 1
    at = tf.maximum(span, 0)
    caught = (span >= 0) & (tf.gather(downs, at) >= onsets)
    return tf.where(caught, tf.maximum(ends, tf.minimum(tf.gather(ups, at), final)), ends)


def _last_of_key(times, keys):
    """The latest of each note's time and those of the earlier notes of its key.

    After n turns each has seen the 2^n - 1 notes before it.
    """
    order = tf.argsort(keys, stable=True)
    size, key = tf.size(keys), tf.gather(keys, order)

    def look_back(distance, latest):
        before = tf.maximum(tf.range(size) - distance, 0)
        same = tf.gather(key, before) == key
        return 2 * distance, tf.where(same, tf.maximum(latest, tf.gather(latest, before)), latest)

    _, latest = tf.while_loop(lambda distance, _: distance < size, look_back,
                              (1, tf.gather(times, order)))
    return tf.gather(latest, tf.argsort(order))


def _until_struck_again(ends, keys, onsets):
    order = tf.argsort(keys, stable=True)
    key, onset = tf.gather(keys, order), tf.gather(onsets, order)
    never = tf.fill(tf.shape(onset[1:]), tf.constant(float("inf"), tf.float64))
    following = tf.where(key[1:] == key[:-1], onset[1:], never)
    following = tf.concat([following, [float("inf")]], axis=0)
    return tf.minimum(ends, tf.gather(following, tf.argsort(order)))
