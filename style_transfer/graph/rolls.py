"""Rolls of keys inside a graph, for models that play them."""

import tensorflow as tf

from style_transfer import piano_roll
from style_transfer.graph import arrays
from style_transfer.graph import notes as notes_lib
from style_transfer.graph.batches import each, rows
from style_transfer.graph.checks import require


class Rolls:
    """What is played: rolls of serialized NoteSequences, and checks of those that are given.

    Args:
        model: Plays rolls of `roll_rate` frames per second at its `sample_rate`.
        max_secs: Longest piece.
        max_notes: Most notes of a piece.
    """

    def __init__(self, model, max_secs, max_notes):
        self.roll_rate, self.sample_rate = model.roll_rate, model.sample_rate
        self.max_secs, self.max_notes = max_secs, max_notes
        self._of_sequence = tf.function(self._read, autograph=False, input_signature=[
            tf.TensorSpec([], tf.string)])

    def of_sequence(self, data):
        """Roll `[frames, 176]` of a serialized NoteSequence, see `piano_roll.keys_roll`."""
        return self._of_sequence(data)

    def of_sequences(self, data):
        """Rolls `[batch, longest, 176]`, and how many frames of each count."""
        rolls = each(self._of_sequence, data, rows(piano_roll.KEYS_DEPTH))
        return rolls.to_tensor(), tf.cast(rolls.row_lengths(), tf.int32)

    def checked(self, rolls):
        """Rolls `[batch, frames, 176]` of a request, if they can be played."""
        most = int((self.max_secs + piano_roll.TAIL_SECS) * self.roll_rate)
        frames = tf.shape(rolls)[1]
        # NaN is on neither side.
        is_velocity = tf.reduce_all((rolls >= 0) & (rolls <= 1))
        with tf.control_dependencies([
                require((frames > 0) & (frames <= most), "roll has", frames, "frames; expected 1 "
                        f"to {most}, {self.roll_rate} for each second."),
                require(is_velocity, "roll must hold velocities between 0 and 1.")]):
            return tf.identity(rolls)

    def _read(self, data):
        table = notes_lib.within_limits(notes_lib.note_table(data), self.max_secs, self.max_notes)
        secs = tf.reduce_max(table.damped_secs) + piano_roll.TAIL_SECS
        samples = tf.cast(tf.round(secs * self.sample_rate), tf.int32)
        frames = -(-samples // (self.sample_rate // self.roll_rate))
        roll = piano_roll.roll(table, 0.0, frames, self.roll_rate, arrays)
        return roll[:, :piano_roll.KEYS_DEPTH]
