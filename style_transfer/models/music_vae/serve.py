"""The signatures of an exported `MusicVae`, as TensorFlow functions.

Sequences are classes of steps, as `symbolic.encodings` makes notes of them.
"""

import keras
import tensorflow as tf

from style_transfer.graph.batches import each, named, same_batch
from style_transfer.graph.checks import require, require_temperature
from style_transfer.symbolic.layouts import NUM_DRUMS


class _GivenSeed(keras.random.SeedGenerator):
    """The seed of a request, where Keras takes numbers and generators only."""

    def __init__(self, seed):
        self._given = seed

    def next(self, ordered=True):
        """The seed."""
        del ordered
        return self._given


class MusicVaeServing(tf.Module):
    """What an exported `MusicVae` can do; items of a batch are independent of one another.

    Args:
        model: The built model.
    """

    def __init__(self, model, **limits):
        del limits  # of pieces and recordings
        super().__init__()
        self.model = model
        self.kept = [variable.value for variable in model.variables]
        self._is_roll_input = model.input_depth == NUM_DRUMS + 1

    def signatures(self):
        """Concrete functions by name, for `tf.saved_model.save`."""
        tracks = len(self.model.output_depths)
        labels = tf.TensorSpec([None, self.model.max_seq_len, tracks], tf.int32)
        z = tf.TensorSpec([None, self.model.z_size])
        how = {"temperature": tf.TensorSpec([None]), "seed": tf.TensorSpec([None], tf.int32)}
        return named({"serving_default": (self.decode, {"z": z, **how}),
                      "encode": (self.encode, {"labels": labels}),
                      "sample": (self.sample, how)})

    def encode(self, labels):
        """Classes -> means and standard deviations of the latent vectors."""
        depths = tf.constant(self.model.output_depths)
        require(tf.reduce_all((labels >= 0) & (labels < depths)),
                "labels must be classes from 0 to", f"{list(self.model.output_depths)} less one.")
        mu, sigma = self.model.encode(self._inputs(labels))
        return {"mu": mu, "sigma": sigma}

    def decode(self, z, temperature, seed):
        """Latent vectors -> classes, drawn at a temperature; 0 for the likeliest."""
        same_batch(z, temperature, seed)
        require(tf.reduce_all(tf.math.is_finite(z)), "z holds NaN or infinite values.")
        require_temperature(temperature)

        def one(item):
            z, temperature, seed = item
            drawn = self.model.sample(z[None], temperature=temperature,
                                      seed=_GivenSeed(tf.stack([seed, 1])))[0]
            parts = tf.split(drawn, list(self.model.output_depths), axis=-1)
            return tf.stack([tf.argmax(part, axis=-1, output_type=tf.int32) for part in parts],
                            axis=-1)

        return {"labels": each(one, (z, temperature, seed), tf.TensorSpec(
            [self.model.max_seq_len, len(self.model.output_depths)], tf.int32))}

    def sample(self, temperature, seed):
        """Classes of latent vectors that are drawn too, and those vectors."""
        z = each(lambda number: tf.random.stateless_normal([self.model.z_size],
                                                           tf.stack([number, 0])),
                 seed, tf.TensorSpec([self.model.z_size]))
        return {"z": z, **self.decode(z, temperature, seed)}

    def _inputs(self, labels):
        """`encodings.encoder_inputs`."""
        if self._is_roll_input:
            drums = tf.bitwise.right_shift(labels, tf.range(NUM_DRUMS)) % 2
            return tf.concat([drums, tf.cast(labels == 0, tf.int32)], axis=-1)
        return tf.concat([tf.one_hot(labels[..., track], depth) for track, depth in
                          enumerate(self.model.output_depths)], axis=-1)
