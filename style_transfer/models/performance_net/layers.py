"""Blocks of PerformanceNet: fusion of content and style, residuals in bands."""

import functools

import keras
from keras import layers, ops

from style_transfer.layers.products import ProductLayer

_TAPS = 3


@keras.saving.register_keras_serializable(package="style_transfer")
class Fusion(layers.Layer):
    """Content and style side by side, a constant token between them, through a dense layer.

    Args:
        width: Channels of its output.
        separator_size: Length of the token, of ones; 0 for none.

    Source: the project's seed ("concatenate, with a constant token always to use as a separator,
    followed by a dense network to learn feature combinations").
    """

    def __init__(self, width, separator_size=4, **kwargs):
        super().__init__(**kwargs)
        self.width, self.separator_size = width, separator_size
        self.hidden = layers.Dense(width, activation="gelu", name="hidden")
        self.projection = layers.Dense(width, name="projection")

    def build(self, content_shape, style_shape=None):
        """Makes the weights for so many channels of both."""
        if self.built:
            return
        channels = content_shape[-1] + (0 if style_shape is None else style_shape[-1])
        self.hidden.build((None, None, channels + self.separator_size))
        self.projection.build((None, None, self.width))
        self.built = True

    def call(self, content, style=None):
        """Fuses.

        Args:
            content: `[batch, frames, channels]`.
            style: `[batch, style_size]`, or None for none.

        Returns:
            `[batch, frames, width]`.
        """
        parts = [content]
        if self.separator_size:
            parts.append(ops.ones_like(content[..., :self.separator_size]))
        if style is not None:
            parts.append(ops.repeat(style[:, None], content.shape[1], axis=1))
        return self.projection(self.hidden(ops.concatenate(parts, axis=-1)))

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "width": self.width,
                "separator_size": self.separator_size}


@keras.saving.register_keras_serializable(package="style_transfer")
class BandResidual(layers.Layer):
    """Refines a spectrogram in bands, each with weights of its own.

    Args:
        num_bands: Into how many it is divided; divides the spectrogram's.
        channels: Of each band.
        num_blocks: Residual blocks, each of two convolutions over time.

    Source: Wang and Yang, PerformanceNet, 2019, figure 4: multi-band residual blocks.
    """

    def __init__(self, num_bands, channels, num_blocks=1, **kwargs):
        super().__init__(**kwargs)
        self.num_bands, self.channels, self.num_blocks = num_bands, channels, num_blocks
        self.told = layers.Dense(num_bands * channels, name="told")
        self.inner = [_BandDense(channels, name=f"inner_{i}") for i in range(num_blocks)]
        self.outer = None

    def build(self, input_shape):
        """Makes the weights, for spectrograms and what is known beside them."""
        if self.built:
            return
        (*_, bands), (*_, known) = input_shape
        each = bands // self.num_bands
        self.outer = [_BandDense(each, scale=0.1, name=f"outer_{i}")
                      for i in range(self.num_blocks)]
        self.told.build((None, None, known))
        for inner, outer in zip(self.inner, self.outer, strict=True):
            inner.build((None, None, self.num_bands, _TAPS * each))
            outer.build((None, None, self.num_bands, self.channels))
        self.built = True

    def call(self, inputs):
        """The spectrogram, refined.

        Args:
            inputs: Spectrogram `[batch, frames, bands]`, and what is known of each frame
                `[batch, frames, features]`.

        Returns:
            `[batch, frames, bands]`.
        """
        drawn, known = inputs
        frames = drawn.shape[1]
        split = ops.reshape(drawn, (-1, frames, self.num_bands, drawn.shape[2] // self.num_bands))
        told = ops.reshape(self.told(known), (-1, frames, self.num_bands, self.channels))
        for inner, outer in zip(self.inner, self.outer, strict=True):
            split = split + outer(ops.gelu(inner(_with_neighbours(split)) + told))
        return ops.reshape(split, (-1, frames, drawn.shape[2]))

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "num_bands": self.num_bands, "channels": self.channels,
                "num_blocks": self.num_blocks}


class _BandDense(ProductLayer):
    """A dense layer of each band: `[batch, frames, bands, in]` to `[batch, frames, bands, out]`."""

    def __init__(self, size, scale=1.0, **kwargs):
        super().__init__(**kwargs)
        self.size, self.scale = size, scale

    def build(self, input_shape):
        *_, bands, features = input_shape
        start = keras.initializers.RandomNormal(stddev=self.scale / features**0.5)
        self.kernel = self.add_weight((bands, features, self.size), start, name="kernel")
        self.bias = self.add_weight((bands, self.size), "zeros", name="bias")
        self.built = True

    def call(self, x):
        product = functools.partial(ops.einsum, "btnc,ncd->btnd")
        return self.multiply(x, self.kernel, product) + self.bias


def _with_neighbours(values):
    """Each frame beside the one before and the one behind it."""
    padded = ops.pad(values, ((0, 0), (1, 1), (0, 0), (0, 0)))
    frames = values.shape[1]
    return ops.concatenate([padded[:, tap:tap + frames] for tap in range(_TAPS)], axis=-1)
