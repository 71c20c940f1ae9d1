"""Keras's layers that see more than one example, of the batch of all replicas.

They have Keras's names, which files of weights hold.
"""

import keras
from keras import layers, ops

from style_transfer import replicas


@keras.saving.register_keras_serializable(package="style_transfer")
class BatchNormalization(layers.BatchNormalization):
    """Keras's; several devices take mean and variance over all of their examples.

    Keras's `synchronized` subtracts squares, which is less exact, and is for TensorFlow only.
    """

    def call(self, inputs, training=None, mask=None):
        """Normalizes the last axis; `mask` is not known."""
        if not training or not self.trainable or replicas.count() == 1:
            return super().call(inputs, training=training, mask=mask)
        axes = list(range(len(inputs.shape) - 1))
        mean, variance = replicas.moments(inputs, axes)
        for moving, now in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + now * (1.0 - self.momentum))
        offset, scale = (value if value is None else ops.cast(value, "float32")
                         for value in (self.beta, self.gamma))
        normal = ops.batch_normalization(ops.cast(inputs, "float32"), mean, variance, -1,
                                         offset=offset, scale=scale, epsilon=self.epsilon)
        return ops.cast(normal, self.compute_dtype)

    def of_convolution(self, convolution, x, training=False):
        """`self(convolution(x))`, in a single pass when not training.

        Args:
            convolution: A built layer that convolves, without bias and activation.
            x: What it is given.
            training: Whether the batch's statistics are used and gathered.
        """
        if training:
            return self(convolution(x), training=True)
        scale = ops.rsqrt(self.moving_variance + self.epsilon)
        if self.scale:
            scale = scale * self.gamma
        offset = (self.beta if self.center else 0.0) - self.moving_mean * scale
        found = convolution.convolution_op(x, ops.cast(convolution.kernel * scale, x.dtype))
        return found + ops.cast(offset, found.dtype)


@keras.saving.register_keras_serializable(package="style_transfer")
class Dropout(layers.Dropout):
    """Keras's; each of several devices drops what one would drop of its examples."""

    def call(self, inputs, training=False):
        """Drops values of `[batch, ...]`."""
        count = replicas.count()
        if not training or not self.rate or count == 1:
            return super().call(inputs, training=training)
        size, *rest = ops.shape(inputs)
        kept = super().call(ops.ones((size * count, *rest), inputs.dtype), training=True)
        return inputs * replicas.own(kept)
