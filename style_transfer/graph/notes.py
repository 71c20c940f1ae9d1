"""Serialized NoteSequences -> note tables inside a graph, as `piano_roll` makes them."""

import functools
import typing

import tensorflow as tf

from style_transfer import piano_roll
from style_transfer.graph import arrays
from style_transfer.graph.checks import require
from style_transfer.graph.shared import traced_once

MESSAGE = "magenta.NoteSequence"
MAX_PEDAL_VALUES = 1 << 24
_NO_NOTES = ("content_bytes holds no notes for a piano. Expected a serialized NoteSequence with "
             "notes;")


class Table(typing.NamedTuple):
    """The columns of a `piano_roll.NoteTable` as tensors."""

    key: tf.Tensor
    velocity: tf.Tensor
    onset_secs: tf.Tensor
    release_secs: tf.Tensor
    damped_secs: tf.Tensor
    pedals: piano_roll.Pedals


@functools.lru_cache(maxsize=1)
def descriptors():
    """The descriptor set of NoteSequence, as ops on protos take it."""
    from google.protobuf import descriptor_pb2
    from note_seq.protobuf import music_pb2

    files = descriptor_pb2.FileDescriptorSet()
    music_pb2.DESCRIPTOR.CopyToProto(files.file.add())
    return b"bytes://" + files.SerializeToString()


@traced_once(tf.TensorSpec([], tf.string))
def note_table(data):
    """The struck strings of a serialized NoteSequence: `piano_roll.note_table`.

    Args:
        data: Scalar string.

    Returns:
        A `Table`, times float64.

    Raises:
        InvalidArgumentError: It is a MIDI file, no NoteSequence, without notes, or its numbers are
            none of a performance.
    """
    is_midi = tf.strings.regex_full_match(tf.strings.substr(data, 0, 4), "MThd|RIFF")
    with tf.control_dependencies([require(
            ~is_midi, "content_bytes is a MIDI or RIFF file; expected a serialized NoteSequence. "
            "style_transfer_client and style_transfer.piano_roll.load_midi convert MIDI.")]):
        notes, controls = _decode(data, MESSAGE, {"notes": tf.string,
                                                   "control_changes": tf.string})
    pitch, velocity, start, end, instrument = _columns(notes, "Note", {
        "pitch": tf.int32, "velocity": tf.int32, "start_time": tf.float64,
        "end_time": tf.float64, "instrument": tf.int32})
    number, time, value, player = _columns(controls, "ControlChange", {
        "control_number": tf.int32, "time": tf.float64, "control_value": tf.int32,
        "instrument": tf.int32})
    curves = tf.size(tf.unique(player).y, tf.int64) * tf.size(time, tf.int64)
    with tf.control_dependencies([
            require(_is_finite(start + end) & tf.reduce_all(start >= 0),
                    "content_bytes holds notes whose times are negative or not finite numbers."),
            require(_is_finite(time) & tf.reduce_all(time >= 0), "content_bytes holds pedal "
                    "movements whose times are negative or not finite numbers."),
            require(tf.reduce_all((velocity >= 0) & (velocity <= 127)),
                    "content_bytes holds notes with a velocity outside 0 to 127."),
            require(curves <= MAX_PEDAL_VALUES, "content_bytes holds the pedals of too many "
                    "instruments. Leave out those that are no piano's.")]):
        key = pitch - piano_roll.LOWEST_PITCH
    velocity, value = (tf.cast(column, tf.float64) / 127 for column in (velocity, value))
    table = Table(*piano_roll.struck((key, velocity, start, end, instrument),
                                     (number, time, value, player), arrays))
    with tf.control_dependencies([require(
            tf.size(table.key) > 0, _NO_NOTES, piano_roll.DRUM_CHANNEL_MESSAGE + ".")]):
        return table._replace(key=tf.identity(table.key))


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


def _decode(data, message, fields):
    names = sorted(fields)  # decode_proto wants no order, but one is easier to read
    values = tf.io.decode_proto(data, message, names, [fields[n] for n in names],
                                descriptor_source=descriptors()).values
    found = dict(zip(names, values, strict=True))
    return [found[name] for name in fields]


def _columns(messages, kind, fields):
    """Fields of messages, those of drums left out; 0 where a field is not set."""
    columns = _decode(messages, f"{MESSAGE}.{kind}", {**fields, "is_drum": tf.bool})
    # A field that no message sets has no column.
    *columns, is_drum = (tf.pad(column, [[0, 0], [0, 1]])[:, 0] for column in columns)
    return [column[~is_drum] for column in columns]


def _is_finite(secs):
    return tf.reduce_all(tf.math.is_finite(secs))
