"""The signatures of exported transcription models, as TensorFlow functions."""


import tensorflow as tf

from style_transfer.graph import arrays, sequences, wav
from style_transfer.graph.batches import each, named, rows, same_batch
from style_transfer.models.onsets_frames import graph_hearing as hearing
from style_transfer.models.onsets_frames.graph_decoding import decode_as_magenta
from style_transfer.transcription.decoding import as_in_music, hear
from style_transfer.transcription.thresholds import Thresholds

MAX_RECORDING_SECS = 1200.0
MAGENTA_TICKS = 220
NOTE_COLUMNS = {"note_pitch": tf.int32, "note_velocity": tf.int32, "note_onset_secs": tf.float32,
                "note_release_secs": tf.float32}
PEDAL_COLUMNS = {"pedal_secs": tf.float32}


class TranscriberServing(tf.Module):
    """What an exported `HarmonicTranscriber` or `OnsetsFrames` can do.

    Rows of notes, pedals and frames are padded with zeros; `num_notes`, `num_pedals` and
    `num_frames` say how many are real.

    Args:
        model: The built model.
        max_content_secs: Longest recording that is heard.
        thresholds: `transcription.Thresholds`, constants of the graph; None for the defaults.
    """

    def __init__(self, model, max_content_secs=MAX_RECORDING_SECS, thresholds=None, **limits):
        del limits  # of notes in pieces
        super().__init__()
        self.model = model
        self.kept = [variable.value for variable in model.variables]
        self._is_full = hasattr(model, "pedal")
        self._limits = thresholds or Thresholds()
        self._listener = hearing.Listener(model, max_content_secs)
        self._hear = tf.function(self._heard, autograph=False, input_signature=[
            tf.TensorSpec([None]), tf.TensorSpec([], tf.int32)])

    def signatures(self):
        """Concrete functions by name, for `tf.saved_model.save`."""
        files = {"audio_bytes": tf.TensorSpec([None], tf.string)}
        counts = tf.TensorSpec([None], tf.int32)
        return named({
            "serving_default": (self.notes, files),
            "rolls": (self.rolls, files),
            "transcribe": (self.transcribe, {"audio": tf.TensorSpec([None, None]),
                                             "num_samples": counts, "sample_rate": counts}),
        })

    def notes(self, audio_bytes):
        """WAV files -> serialized NoteSequences and their notes as tables."""
        found = self._each(lambda data: self._hear(*wav.decode(data, "audio_bytes")), audio_bytes)
        return {name: value for name, value in found.items()
                if name not in (*self._listener.widths, "num_frames")}

    def rolls(self, audio_bytes):
        """WAV files -> probabilities of each frame too."""
        return self._each(lambda data: self._hear(*wav.decode(data, "audio_bytes")), audio_bytes)

    def transcribe(self, audio, num_samples, sample_rate):
        """Float audio -> the same as `rolls`; of each row the first `num_samples` count."""
        same_batch(audio, num_samples, sample_rate)

        def one(item):
            samples, count, rate = item
            return self._hear(wav.counted(samples, count, rate, "audio", "num_samples"), rate)

        return self._each(one, (audio, num_samples, sample_rate))

    def _heard(self, samples, rate):
        """All that is known of one recording, by output."""
        outputs = self._listener(samples, rate)
        rate, limits = self.model.frames_per_second, self._limits
        if self._is_full:
            heard = hear(outputs, rate, limits, arrays)
            if getattr(self.model, "velocities_are_relative", False):
                velocity, rolls = as_in_music(heard.velocity, outputs["velocity"], arrays)
                heard, outputs = heard._replace(velocity=velocity), {**outputs, "velocity": rolls}
            sequence = sequences.serialized(heard, source_info=tf.constant([[b""]]))
        else:
            heard = decode_as_magenta(outputs, rate, limits)
            sequence = sequences.serialized(heard, MAGENTA_TICKS)
        return {"sequence_bytes": sequence,
                "note_pitch": heard.pitch, "note_velocity": heard.velocity,
                "note_onset_secs": tf.cast(heard.onset_secs, tf.float32),
                "note_release_secs": tf.cast(heard.release_secs, tf.float32),
                "pedal_secs": tf.cast(heard.pedal_secs, tf.float32),
                **{name: tf.cast(value, tf.float32) for name, value in outputs.items()}}

    def _each(self, function, batch):
        specs = {name: rows(dtype=dtype)
                 for name, dtype in {**NOTE_COLUMNS, **PEDAL_COLUMNS}.items()}
        specs |= {name: rows(width) for name, width in self._listener.widths.items()}
        found = each(function, batch, {"sequence_bytes": tf.TensorSpec([], tf.string), **specs})
        counts = {"num_notes": "note_pitch", "num_pedals": "pedal_secs", "num_frames": "onset"}
        return {"sequence_bytes": found["sequence_bytes"],
                **{name: found[name].to_tensor() for name in specs},
                **{name: tf.cast(found[counted].row_lengths(), tf.int32)
                   for name, counted in counts.items()}}
