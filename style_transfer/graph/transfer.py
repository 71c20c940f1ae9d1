"""Signatures of models that play a roll on the piano of a clip, as TensorFlow functions."""

import functools

import tensorflow as tf

from style_transfer import piano_roll
from style_transfer.graph import clips, wav
from style_transfer.graph.batches import each, named, same_batch
from style_transfer.graph.rolls import Rolls

STRING, INTEGERS = tf.TensorSpec([None], tf.string), tf.TensorSpec([None], tf.int32)
ROLLS = tf.TensorSpec([None, None, piano_roll.KEYS_DEPTH])


class RollTransfer(tf.Module):
    """What an exported model of rolls and clips can do; items of a batch are independent.

    Args:
        model: The built model; has a `sample_rate` and a `roll_rate`.
        render: Function of a roll `[frames, 176]` and a clip `[samples]` at the model's rate that
            gives audio `[samples]`.
        variables: Those of `render`.
        style_level_db: Level to which clips are brought, dB.
        max_secs: Longest piece that is played.
        max_notes: Most notes of a piece.
    """

    def __init__(self, model, render, variables, style_level_db, max_secs, max_notes):
        super().__init__()
        self.model, self.kept = model, [variable.value for variable in variables]
        self._rolls = Rolls(model, max_secs, max_notes)
        self._render = tf.function(render, autograph=False, input_signature=[
            tf.TensorSpec(ROLLS.shape[1:]), tf.TensorSpec([None])])
        self._clip = tf.function(functools.partial(
            clips.clip, to_rate=model.sample_rate, level_db=style_level_db),
            autograph=False, input_signature=[tf.TensorSpec([None]), tf.TensorSpec([], tf.int32)])

    def signatures(self):
        """Concrete functions by name, for `tf.saved_model.save`."""
        recordings = {"style_audio": tf.TensorSpec([None, None]), "style_samples": INTEGERS,
                      "sample_rate": INTEGERS}
        return named({
            "serving_default": (self.play, {"style_bytes": STRING, "content_bytes": STRING}),
            "transfer": (self.transfer, {**recordings, "roll": ROLLS})})

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
