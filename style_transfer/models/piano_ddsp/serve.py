"""The signatures of an exported `piano_ddsp`, as TensorFlow functions."""

import functools

import tensorflow as tf

from style_transfer import audio as audio_lib
from style_transfer import piano_roll
from style_transfer.graph import arrays, wav
from style_transfer.graph import notes as notes_lib
from style_transfer.graph.batches import each, named, rows, same_batch
from style_transfer.graph.checks import require
from style_transfer.models.piano_ddsp import graph_player as player_lib
from style_transfer.models.piano_ddsp import graph_style as style_lib
from style_transfer.models.piano_ddsp.estimate import correction_shapes

MAX_CONTENT_SECS = 1200.0
MAX_NOTES = 30_000


class PianoServing(tf.Module):
    """What an exported `PianoDDSP` can do.

    Every signature takes a batch; items of a batch are independent of one another. Seeds are 0.

    Args:
        model: A built `PianoDDSP`.
        max_content_secs: Longest piece that is played.
        max_notes: Most notes of a piece.
    """

    def __init__(self, model, max_content_secs=MAX_CONTENT_SECS, max_notes=MAX_NOTES):
        super().__init__()
        self.model = model
        self.kept = [variable.value for variable in model.variables]
        self.max_content_secs, self.max_notes = max_content_secs, max_notes
        # Traced once and shared by the signatures.
        floats = tf.TensorSpec([None])
        double = tf.TensorSpec([None], tf.float64)
        table = notes_lib.Table(tf.TensorSpec([None], tf.int32), floats, double, double, double,
                                piano_roll.Pedals(*((double, floats),) * 3))
        self._encode = _shared(functools.partial(style_lib.encode, model), floats,
                               tf.TensorSpec([], tf.int32))
        self._player = _shared(player_lib.Player(model), self._piano_specs([]), table)

    def signatures(self):
        """Concrete functions by name, for `tf.saved_model.save`."""
        strings, floats = tf.TensorSpec([None], tf.string), tf.TensorSpec([None, None])
        integers, counts = (tf.TensorSpec([None] * rank, tf.int32) for rank in (2, 1))
        table = {"note_key": integers, "note_velocity": floats, "note_onset_secs": floats,
                 "note_damped_secs": floats, "pedal_control": integers, "pedal_value": floats,
                 "pedal_secs": floats}
        made = {
            "serving_default": (self.transfer_bytes, {"style_bytes": strings,
                                                      "content_bytes": strings}),
            "transfer": (self.transfer, {"style_audio": floats, "style_samples": counts,
                                         "sample_rate": counts, **table}),
            "encode_style": (self.encode_style, {"style_bytes": strings}),
            "play": (self.play, {"content_bytes": strings, **self._piano_specs([None])}),
        }
        return named(made)

    def transfer_bytes(self, style_bytes, content_bytes):
        """WAV files and serialized NoteSequences -> WAV files."""
        same_batch(style_bytes, content_bytes)

        def one(item):
            style, content = item
            table = self._checked(notes_lib.note_table(content))
            return self._wav(self._player(self._comfortable(*wav.decode(style)), table))

        return {"audio_bytes": each(one, (style_bytes, content_bytes),
                                    tf.TensorSpec([], tf.string))}

    def encode_style(self, style_bytes):
        """WAV files -> the piano parameters that `play` takes."""
        specs = self._piano_specs([])
        return each(lambda data: self._encode(*wav.decode(data)), style_bytes,
                     specs)

    def play(self, content_bytes, **piano):
        """Serialized NoteSequences and piano parameters -> WAV files."""
        same_batch(content_bytes, *piano.values())

        def one(item):
            content, piano = item
            finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(v)) for v in piano.values()])
            pitched = tf.reduce_all((piano["f0_hz"] > 1) & (piano["f0_hz"] < 20_000)
                                    & (piano["inharmonicity"] >= 0))
            with tf.control_dependencies([
                    require(finite, "The piano parameters hold NaN or infinite values."),
                    require(pitched, "The piano parameters make no piano: f0_hz must lie between "
                            "1 and 20000 Hz and inharmonicity must not be negative.")]):
                content = tf.identity(content)
            table = self._checked(notes_lib.note_table(content))
            return self._wav(self._player(piano, table))

        return {"audio_bytes": each(one, (content_bytes, piano), tf.TensorSpec([], tf.string))}

    def transfer(self, style_audio, style_samples, sample_rate, **table):
        """Float audio and note tables -> float audio, padded with zeros, and its lengths.

        Of each row of `style_audio` the first `style_samples` count. Notes of velocity 0, notes
        that repeat another and pedals of control 0 are padding. `note_damped_secs` is as in
        `piano_roll.NoteTable`: pedals are already applied to it.
        """
        same_batch(style_audio, style_samples, sample_rate, *table.values())

        def one(item):
            samples, count, rate, table = item
            samples = wav.counted(samples, count, rate, "style_audio", "style_samples")
            return self._player(self._comfortable(samples, rate), self._checked(_table(table)))

        audio = each(one, (style_audio, style_samples, sample_rate, table), rows())
        return {"audio": audio.to_tensor(), "num_samples": tf.cast(audio.row_lengths(), tf.int32)}

    def _comfortable(self, samples, rate):
        """The piano of a clip, played at the level that results have by default."""
        level = tf.constant(audio_lib.COMFORTABLE_DB, tf.float32)
        return {**self._encode(samples, rate), "loudness_db": level}

    def _piano_specs(self, batch):
        keys = piano_roll.NUM_KEYS
        shapes = {"style": [self.model.style_size], "f0_hz": [keys], "inharmonicity": [keys],
                  "loudness_db": [], **correction_shapes(self.model)}
        return {name: tf.TensorSpec([*batch, *shape]) for name, shape in shapes.items()}

    def _wav(self, audio):
        return wav.encode(audio, self.model.sample_rate)

    def _checked(self, table):
        return notes_lib.within_limits(table, self.max_content_secs, self.max_notes)


def _table(columns):
    """A `notes.Table` of float columns, in the order that `piano_roll.note_table` gives."""
    key, velocity = columns["note_key"], columns["note_velocity"]
    real = (velocity > 0) & (key >= 0) & (key < piano_roll.NUM_KEYS)
    onset, damped = (tf.cast(columns[f"note_{name}_secs"], tf.float64)
                     for name in ("onset", "damped"))
    times = tf.cast(columns["pedal_secs"], tf.float64)
    finite = [tf.reduce_all(tf.math.is_finite(value)) for value in (
        velocity, onset, damped, times, columns["pedal_value"])]
    with tf.control_dependencies([
            require(tf.reduce_any(real), "The note table holds no notes: expected note_key of 0 to "
                    "87 and note_velocity above 0 to 1."),
            require(tf.reduce_max(velocity) <= 1, "note_velocity must lie between 0 and 1."),
            require(tf.reduce_all(finite), "The note table holds NaN or infinite values.")]):
        rows = piano_roll.by_onset(key, velocity, onset, arrays)
    key, velocity, onset, damped = (tf.gather(v, rows) for v in (key, velocity, onset, damped))
    first = piano_roll.is_first(key, onset, arrays)
    key, velocity, onset, damped = (v[first] for v in (key, velocity, onset, tf.maximum(damped,
                                                                                       onset)))
    pedals = []
    for control in piano_roll.PEDAL_CCS:
        mine = columns["pedal_control"] == control
        time, value = times[mine], columns["pedal_value"][mine]
        order = arrays.argsort(time)
        pedals.append((tf.gather(time, order), tf.gather(value, order)))
    return notes_lib.Table(key, velocity, onset, damped, damped, piano_roll.Pedals(*pedals))


def _shared(function, *specs):
    return tf.function(function, input_signature=specs, autograph=False)
