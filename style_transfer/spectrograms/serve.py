"""The signatures of exported models of spectrograms, as TensorFlow functions."""

import tensorflow as tf

from style_transfer import piano_roll
from style_transfer.graph import arrays, clips, wav
from style_transfer.graph import notes as notes_lib
from style_transfer.graph.batches import each, named, same_batch
from style_transfer.graph.checks import require
from style_transfer.graph.vocoding import Vocoding
from style_transfer.signal import log_mel
from style_transfer.spectrograms import making, vocoding
from style_transfer.spectrograms.options import TEMPERATURE

MAX_SECS = 300.0
WINDOW_FRAMES = 256  # a content is made up to whole ones
MAX_NOTES = 30_000
STRING = tf.TensorSpec([None], tf.string)


class SpectrogramServing(tf.Module):
    """What an exported model of spectrograms can do; items of a batch are independent.

    Noise is that of seed 0, of the temperature `TEMPERATURE`.

    Args:
        model: See `style_transfer.spectrograms`.
        max_content_secs: Longest content; None for `MAX_SECS`.
        max_notes: Most notes of a piece.

    Raises:
        ValueError: The package has no vocoder.
    """

    def __init__(self, model, max_content_secs=None, max_notes=MAX_NOTES):
        super().__init__()
        vocoder = vocoding.vocoder()
        if vocoder is None:
            raise ValueError(f"The package has no weights {vocoding.VOCODER!r}, which exported "
                             "models of spectrograms are heard with.")
        self.model, self.max_secs, self.max_notes = model, max_content_secs or MAX_SECS, max_notes
        self.kept = [variable.value for variable in (*model.variables, *vocoder.variables)]
        width = log_mel.HOP_SAMPLES if model.hears else piano_roll.KEYS_DEPTH
        self._vocode = Vocoding(vocoder)
        self._render = tf.function(self._rendered, autograph=False, input_signature=[
            tf.TensorSpec([None, width]),
            tf.TensorSpec([making.STYLE_SECS * log_mel.SAMPLE_RATE])])
        self._read = tf.function(self._heard if model.hears else self._roll, autograph=False,
                                 input_signature=[tf.TensorSpec([], tf.string)])
        self._style = tf.function(self._clip, autograph=False, input_signature=[
            tf.TensorSpec([], tf.string)])

    def signatures(self):
        """Concrete functions by name, for `tf.saved_model.save`."""
        play, content = (self.change, "audio_bytes") if self.model.hears else (
            self.play, "content_bytes")
        return named({"serving_default": (play, {"style_bytes": STRING, content: STRING})})

    def change(self, style_bytes, audio_bytes):
        """WAV files of clips and of what is to sound like them -> WAV files."""
        return self._each(style_bytes, audio_bytes)

    def play(self, style_bytes, content_bytes):
        """WAV files of clips, and serialized NoteSequences -> WAV files."""
        return self._each(style_bytes, content_bytes)

    def _each(self, styles, contents):
        same_batch(styles, contents)

        def one(item):
            style, content = item
            audio = self._render(self._read(content), self._style(style))
            return wav.encode(audio, log_mel.SAMPLE_RATE)

        return {"audio_bytes": each(one, (styles, contents), tf.TensorSpec([], tf.string))}

    def _clip(self, data):
        samples, rate = wav.decode(data)
        samples = wav.resample(clips.checked(samples, rate), rate, log_mel.SAMPLE_RATE)
        return making.heard_of_style(samples, arrays)

    def _heard(self, data):
        samples, rate = wav.decode(data, "audio_bytes")
        secs = tf.cast(tf.size(samples), tf.float32) / tf.cast(rate, tf.float32)
        with tf.control_dependencies([
                require(secs <= self.max_secs, "The recording lasts", secs, "s; at most "
                        f"{self.max_secs:g} s are played.")]):
            samples = wav.resample(samples, rate, log_mel.SAMPLE_RATE)
        return making.frames_of_audio(making.at_level(samples, arrays), arrays)

    def _roll(self, data):
        table = notes_lib.within_limits(notes_lib.note_table(data), self.max_secs, self.max_notes)
        secs = tf.reduce_max(table.damped_secs) + piano_roll.TAIL_SECS
        samples = tf.cast(secs * log_mel.SAMPLE_RATE, tf.int32)
        return making.roll(table, log_mel.num_frames(samples), arrays)

    def _rendered(self, content, clip):
        """Audio of what the model is told, as a clip sounds; windows as in `making.make`."""
        count, margin = tf.shape(content)[0], making.margin_of(self.model)
        size = WINDOW_FRAMES + 2 * margin
        style = self.model.encode_style(clip[None])
        behind = -count % WINDOW_FRAMES + margin
        parts = [tf.pad(values, [[margin, behind], [0, 0]])
                 for values in (content, making.noise(count, 0, arrays))]

        def made(first):
            window = [tf.ensure_shape(values[first:first + size], [size, values.shape[1]])[None]
                      for values in parts]
            found = self.model.spectrogram(window[0], style, window[1], TEMPERATURE)
            return found[0, margin:margin + WINDOW_FRAMES]

        mel = each(made, tf.range(0, count, WINDOW_FRAMES),
                   tf.TensorSpec([WINDOW_FRAMES, log_mel.NUM_BANDS]))
        return self._vocode(tf.reshape(mel, (-1, log_mel.NUM_BANDS))[:count])
