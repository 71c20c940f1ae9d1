"""Bells: every sounding key rings as one sine, as loud as was learned."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from style_transfer import audio, content, piano_roll
from style_transfer.graph import arrays, notes, wav
from style_transfer.graph.batches import each, named

KEYS = 88
TAIL_SECS = 0.5


@keras.saving.register_keras_serializable(package="toybells")
class Bells(keras.Model):
    def __init__(self, sample_rate=8000, roll_rate=250, **kwargs):
        super().__init__(**kwargs)
        self.sample_rate, self.roll_rate = sample_rate, roll_rate
        quiet = keras.initializers.Constant(0.001)
        self.gain = self.add_weight(shape=(KEYS,), initializer=quiet, name="gain")

    def build(self, shape=None):
        self.built = True

    def call(self, inputs):
        sounding = inputs["roll"][..., KEYS:2 * KEYS] * self.gain
        envelope = ops.repeat(sounding, self.sample_rate // self.roll_rate, axis=1)
        secs = ops.cast(ops.arange(ops.shape(envelope)[1]), "float32") / self.sample_rate
        hz = 27.5 * 2.0 ** (np.arange(KEYS, dtype=np.float32) / 12)
        return ops.sum(envelope * ops.sin(2 * np.pi * hz * secs[:, None]), axis=-1)

    def play(self, piece):
        table = content.content_notes(piece)
        frames = int((table.end_secs + TAIL_SECS) * self.roll_rate)
        roll = piano_roll.roll(table, 0.0, frames, self.roll_rate)[None]
        return audio.Audio(np.asarray(self({"roll": roll}))[0], self.sample_rate)

    def get_config(self):
        return {"name": self.name, "sample_rate": self.sample_rate, "roll_rate": self.roll_rate}


class Serving(tf.Module):
    def __init__(self, model, **limits):
        super().__init__()
        self.model, self.kept = model, [variable.value for variable in model.variables]

    def signatures(self):
        specs = {"content_bytes": tf.TensorSpec([None], tf.string)}
        return named({"serving_default": (self.play, specs)})

    def play(self, content_bytes):
        def one(data):
            table = notes.note_table(data)
            secs = tf.reduce_max(table.damped_secs) + TAIL_SECS
            frames = tf.cast(secs * self.model.roll_rate, tf.int32)
            roll = piano_roll.roll(table, 0.0, frames, self.model.roll_rate, arrays)[None]
            return wav.encode(self.model({"roll": roll})[0], self.model.sample_rate)

        return {"audio_bytes": each(one, content_bytes, tf.TensorSpec([], tf.string))}
