"""The triplet network of the SS-VQ-VAE paper's timbre metric, and its loss."""

import math

import keras
from keras import layers, ops

from style_transfer import replicas
from style_transfer.layers import whole_batch

NUM_COEFFICIENTS = 12  # MFCC 2 to 13
POOLS = (4, 4, 4, 2)  # length of each block's filters and pools


@keras.saving.register_keras_serializable(package="style_transfer")
class TimbreNet(keras.Model):
    """MFCC of clips to vectors whose cosine tells how alike the clips sound.

    Args:
        width: Channels.

    Attributes:
        min_frames: What a clip must have.

    Source: Cífka et al., Self-supervised VQ-VAE for one-shot music style transfer, 2021, section
    4.2, and the ISMIR 2020 tutorial on metric learning, whose layers these are.
    """

    min_frames = math.prod(POOLS)

    def __init__(self, width=64, **kwargs):
        super().__init__(**kwargs)
        self.width = width
        self.convolutions = [layers.Conv1D(width, length, padding="same",
                                           kernel_initializer="he_uniform") for length in POOLS]
        self.normalizations = [whole_batch.BatchNormalization() for _ in POOLS]
        self.pools = [layers.MaxPooling1D(length) for length in POOLS]
        self.average = layers.GlobalAveragePooling1D()

    def build(self, input_shape=None):
        """Builds all layers; the clips' length does not matter."""
        if self.built:
            return
        channels = NUM_COEFFICIENTS
        for convolution, normalization in zip(self.convolutions, self.normalizations, strict=True):
            convolution.build((None, None, channels))
            normalization.build((None, None, self.width))
            channels = self.width
        self.built = True

    def embed(self, mfcc, training=False):
        """Vectors `[batch, width]` of `[batch, frames, 12]`, `min_frames` or more."""
        x = mfcc
        for convolution, normalization, pool in zip(self.convolutions, self.normalizations,
                                                    self.pools, strict=True):
            x = pool(ops.relu(normalization(convolution(x), training=training)))
        return self.average(x)

    def call(self, mfcc, training=False):
        """Vectors `[batch, 2, width]` of two clips each, `[batch, 2, frames, 12]`."""
        _, clips, frames, coefficients = mfcc.shape
        found = self.embed(ops.reshape(mfcc, (-1, frames, coefficients)), training=training)
        return ops.reshape(found, (-1, clips, self.width))

    def get_config(self):
        """Constructor arguments."""
        return {"name": self.name, "width": self.width}


@keras.saving.register_keras_serializable(package="style_transfer")
class TripletLoss(keras.losses.Loss):
    """Hinge of cosines: a clip is nearer to its own kind than to every other of the batch.

    Args:
        margin: By how much.
        name: Name of the loss.
        **kwargs: `reduction` and `dtype` of `keras.losses.Loss`.
    """

    def __init__(self, margin: float = 0.1, name: str = "triplet_loss", **kwargs):
        super().__init__(name=name, **kwargs)
        self.margin = margin

    def call(self, y_true, y_pred):
        """Loss of each example, `[batch]`.

        Args:
            y_true: Number of each example's timbre, `[batch]`; negatives are those of others.
            y_pred: Vectors of two clips of it, `[batch, 2, width]`.
        """
        return self.terms(y_true, y_pred)["hinge"]

    def terms(self, y_true, y_pred):
        """`hinge`, and `accuracy`: the share of negatives that are farther, `[batch]` each."""
        found = ops.normalize(y_pred, axis=-1)
        cosines = ops.matmul(found[:, 0], ops.transpose(replicas.whole(found[:, 1])))
        timbre = ops.reshape(y_true, (-1,))
        other = ops.cast(timbre[:, None] != replicas.whole(timbre)[None], cosines.dtype)
        beyond = cosines - ops.sum(found[:, 0] * found[:, 1], axis=-1, keepdims=True)
        count = ops.maximum(ops.sum(other, axis=1), 1.0)
        return {"hinge": ops.sum(other * ops.relu(beyond + self.margin), axis=1) / count,
                "accuracy": ops.sum(other * ops.cast(beyond < 0, other.dtype), axis=1) / count}

    def get_config(self):
        """Arguments of the constructor."""
        return {**super().get_config(), "margin": self.margin}
