"""The signatures of an exported `PerformanceNet`, its vocoder included, as TensorFlow functions."""

import functools

import tensorflow as tf

from style_transfer import piano_roll
from style_transfer.graph import arrays, clips, wav
from style_transfer.graph import windows as windows_lib
from style_transfer.graph.batches import each, named, same_batch
from style_transfer.graph.rolls import Rolls
from style_transfer.graph.vocoding import Vocoding
from style_transfer.graph.windows import Windows
from style_transfer.models.performance_net import playing
from style_transfer.models.performance_net.net import ROLL_FRAMES
from style_transfer.signal import log_mel as log_mel_lib
from style_transfer.spectrograms import vocoding

MAX_SECS = 300.0
MAX_NOTES = 30_000
WINDOW_GRAINS = 16
STRING, INTEGERS = tf.TensorSpec([None], tf.string), tf.TensorSpec([None], tf.int32)


class PerformanceServing(tf.Module):
    """What an exported `PerformanceNet` can do; items of a batch are independent of one another.

    A piece that is shorter than a window, some seconds, is played as if silence followed it.

    Args:
        model: The built model.
        max_content_secs: Longest piece that is played; None for `MAX_SECS`.
        max_notes: Most notes of a piece.
    """

    def __init__(self, model, max_content_secs=None, max_notes=MAX_NOTES):
        super().__init__()
        self.model, vocoder = model, vocoding.vocoder()
        self.kept = [variable.value for variable in (*model.variables, *vocoder.variables)]
        self._rolls = Rolls(model, max_content_secs or MAX_SECS, max_notes)
        grain = model.grain
        margin = -(-model.reach // grain) * grain
        self._windows, self._vocode = Windows(WINDOW_GRAINS * grain, margin, grain), Vocoding(
            vocoder)
        self._render = tf.function(self._rendered, autograph=False, input_signature=[
            tf.TensorSpec([None, piano_roll.KEYS_DEPTH]), tf.TensorSpec([None])])
        self._clip = tf.function(functools.partial(
            clips.clip, to_rate=model.sample_rate, level_db=playing.STYLE_LEVEL_DB),
            autograph=False, input_signature=[tf.TensorSpec([None]), tf.TensorSpec([], tf.int32)])

    def signatures(self):
        """Concrete functions by name, for `tf.saved_model.save`."""
        recordings = {"style_audio": tf.TensorSpec([None, None]), "style_samples": INTEGERS,
                      "sample_rate": INTEGERS}
        rolls = {"roll": tf.TensorSpec([None, None, piano_roll.KEYS_DEPTH])}
        return named({
            "serving_default": (self.play, {"style_bytes": STRING, "content_bytes": STRING}),
            "transfer": (self.transfer, {**recordings, **rolls})})

    def play(self, style_bytes, content_bytes):
        """WAV files and serialized NoteSequences -> WAV files."""
        same_batch(style_bytes, content_bytes)

        def one(item):
            style, content = item
            clip = self._clip(*wav.decode(style))
            audio = self._render(self._rolls.of_sequence(content), clip)
            return wav.encode(audio, self.model.sample_rate)

        return {"audio_bytes": each(one, (style_bytes, content_bytes),
                                    tf.TensorSpec([], tf.string))}

    def transfer(self, style_audio, style_samples, sample_rate, roll):
        """Float audio and rolls -> float audio; of each row the first `style_samples` count."""
        same_batch(style_audio, style_samples, sample_rate, roll)
        roll = self._rolls.checked(roll)

        def one(item):
            samples, count, rate, roll = item
            samples = wav.counted(samples, count, rate, "style_audio", "style_samples")
            return self._render(roll, self._clip(samples, rate))

        return {"audio": each(one, (style_audio, style_samples, sample_rate, roll),
                              tf.TensorSpec([None]))}

    def _rendered(self, roll, clip):
        """Audio of a roll on the piano of a clip."""
        model, windows = self.model, self._windows
        frames = tf.shape(roll)[0]
        roll = piano_roll.decayed(roll, model.roll_rate, xp=arrays)
        played = windows.played(frames[None])
        roll = tf.pad(roll, [[0, played[0] - frames], [0, 0]])[None]
        style = model.encode_style(playing.heard(model, clip, arrays)[None])
        count = windows.frames // ROLL_FRAMES

        def draw(first):
            begin = windows.begin(first, played)
            told = playing.style_at(style, tf.cast(begin[0], tf.int64) // ROLL_FRAMES,
                                    windows.size // ROLL_FRAMES, arrays)
            drawn = model({"roll": windows_lib.cut(roll, begin, windows.size), "style": told})
            at = windows_lib.around(begin // ROLL_FRAMES, first // ROLL_FRAMES, count,
                                    played // ROLL_FRAMES)
            return tf.gather(drawn[0], at[0])

        drawn = each(draw, tf.range(0, frames, windows.frames),
                     tf.TensorSpec([count, log_mel_lib.NUM_BANDS]))
        drawn = tf.reshape(drawn, [-1, log_mel_lib.NUM_BANDS])
        audio = self._vocode(drawn[:-(-frames // ROLL_FRAMES)])
        return audio[:frames * (model.sample_rate // model.roll_rate)]
