"""What was heard -> serialized NoteSequences, inside a graph."""

import tensorflow as tf

from style_transfer.graph import notes as notes_lib
from style_transfer.transcription import decoding


def serialized(heard, ticks_per_quarter=decoding.TICKS_PER_QUARTER, **fields):
    """A NoteSequence with the notes and the sustain pedal of a `decoding.Heard`.

    Args:
        heard: The `Heard`.
        ticks_per_quarter: Of the sequence.
        **fields: More of its fields, `[1, repeats]`.

    Returns:
        Scalar string.
    """
    notes = _messages("Note", pitch=heard.pitch, velocity=heard.velocity,
                      start_time=heard.onset_secs, end_time=heard.release_secs)
    count = tf.size(heard.pedal_secs)
    controls = _messages(
        "ControlChange", time=heard.pedal_secs,
        control_number=tf.fill((count,), decoding.SUSTAIN_CONTROL),
        control_value=tf.where(tf.range(count) % 2 == 0, 127, 0))
    tempo = _messages("Tempo", qpm=tf.constant([120.0], tf.float64))
    one = tf.fill((1,), tf.constant(ticks_per_quarter))
    return _encode(None, ticks_per_quarter=one[None], total_time=heard.total_secs[None, None],
                   tempos=tempo[None], notes=notes[None], control_changes=controls[None],
                   **fields)[0]


def _messages(kind, **columns):
    """One serialized message for each row of columns."""
    return _encode(kind, **{name: value[:, None] for name, value in columns.items()})


def _encode(kind, **fields):
    names = sorted(fields)
    values = [fields[name] for name in names]
    sizes = tf.stack([tf.fill(tf.shape(value)[:1], tf.shape(value)[1]) for value in values], axis=1)
    message = f"{notes_lib.MESSAGE}.{kind}" if kind else notes_lib.MESSAGE
    return tf.io.encode_proto(sizes, values, names, message,
                              descriptor_source=notes_lib.descriptors())
