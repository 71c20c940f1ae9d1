"""Invertible layers over sequences: each also gives the logarithm of its Jacobian's determinant.

Source: Kingma and Dhariwal, Glow: Generative flow with invertible 1x1 convolutions, 2018, table 1,
with time in place of the picture's plane.
"""

import keras
import numpy as np
from keras import layers, ops

from style_transfer import replicas

CONVOLUTIONS = ("lu", "plain")
MAX_LOG_SCALE = 1.0
PACE = 0.1  # of matrices that mix channels: one step of Adam moves all entries, the wider the more
_SMALLEST_STD = 1e-3


def squeeze(x, factor=2):
    """Neighbouring steps side by side: `[batch, steps, width]` to fewer steps that are wider."""
    return ops.reshape(x, (-1, x.shape[1] // factor, x.shape[2] * factor))


def unsqueeze(x, factor=2):
    """The inverse of `squeeze`."""
    return ops.reshape(x, (-1, x.shape[1] * factor, x.shape[2] // factor))


@keras.saving.register_keras_serializable(package="style_transfer")
class ActNorm(layers.Layer):
    """Channels scaled and shifted; the first batch of a training leaves them at 0 and 1.

    What that batch says is kept beside what is learned, which begins at no change.
    """

    def build(self, input_shape):
        """Makes the weights."""
        shape = (input_shape[-1],)
        self.shift = self.add_weight(shape, "zeros", name="shift")
        self.log_scale = self.add_weight(shape, "zeros", name="log_scale")
        self.mean = self.add_weight(shape, "zeros", trainable=False, name="mean",
                                    aggregation="mean")
        self.log_std = self.add_weight(shape, "zeros", trainable=False, name="log_std",
                                       aggregation="mean")
        self.is_set = self.add_weight((1,), "zeros", trainable=False, name="is_set",
                                      aggregation="mean")

    def call(self, x, training=False):
        """Normalized `[batch, steps, width]`, and the log-determinant, one value for each clip."""
        mean, log_std = self._first(x) if training else (self.mean, self.log_std)
        log_scale = self.log_scale - log_std
        y = (x - mean) * ops.exp(log_scale) + self.shift
        return y, ops.broadcast_to(x.shape[1] * ops.sum(log_scale), (ops.shape(x)[0],))

    def _first(self, x):
        """The first batch's mean and spread, taken from `x` if it is that."""
        mean, variance = replicas.moments(x, (0, 1))
        std = ops.maximum(ops.sqrt(variance), _SMALLEST_STD)
        is_set = self.is_set > 0
        mean = ops.where(is_set, self.mean, ops.stop_gradient(mean))
        log_std = ops.where(is_set, self.log_std, ops.stop_gradient(ops.log(std)))
        self.mean.assign(mean)
        self.log_std.assign(log_std)
        self.is_set.assign(ops.ones_like(self.is_set))
        return mean, log_std

    def inverse(self, y):
        """What `call` takes to `y`."""
        return (y - self.shift) * ops.exp(self.log_std - self.log_scale) + self.mean


@keras.saving.register_keras_serializable(package="style_transfer")
class InvertibleConvolution(layers.Layer):
    """Channels mixed by a matrix that begins as a rotation.

    Args:
        convolution: `lu`, a product of triangular matrices and a fixed permutation whose
            determinant costs nothing; or `plain`, any matrix.
        seed: Of the rotation.
    """

    def __init__(self, convolution="lu", seed=0, **kwargs):
        super().__init__(**kwargs)
        if convolution not in CONVOLUTIONS:
            raise ValueError(f"convolution={convolution!r} is unknown; choose one of "
                             f"{', '.join(CONVOLUTIONS)}.")
        self.convolution, self.seed = convolution, seed

    def build(self, input_shape):
        """Makes the weights."""
        width = input_shape[-1]
        rotation = np.linalg.qr(np.random.default_rng(self.seed).normal(size=(width, width)))[0]
        if self.convolution == "plain":
            self.kernel = self._weight("kernel", rotation / PACE)
            return
        import scipy.linalg

        order, lower, upper = scipy.linalg.lu(rotation, p_indices=True)
        diagonal = np.diag(upper)
        self.order = self._weight("order", order, trainable=False)
        self.signs = self._weight("signs", np.sign(diagonal), trainable=False)
        self.log_diagonal = self._weight("log_diagonal", np.log(np.abs(diagonal)))
        # Both triangles in one matrix, whose diagonal is not used.
        self.triangles = self._weight(
            "triangles", (np.tril(lower, -1) + np.triu(upper, 1)) / PACE)

    def _weight(self, name, value, trainable=True):
        value = value.astype("float32")
        return self.add_weight(value.shape, lambda shape, dtype=None: ops.convert_to_tensor(value),
                               trainable=trainable, name=name)

    def matrix(self):
        """What vectors of channels are multiplied with, `[width, width]`."""
        if self.convolution == "plain":
            return PACE * self.kernel
        below, above = self._factors()
        return ops.matmul(ops.take(below, ops.cast(self.order, "int32"), axis=0), above)

    def _factors(self):
        triangles = PACE * self.triangles
        below = ops.tril(triangles, -1) + ops.eye(triangles.shape[0])
        return below, ops.triu(triangles, 1) + ops.diag(
            self.signs * ops.exp(self.log_diagonal))

    def call(self, x):
        """Mixed `[batch, steps, width]`, and the log-determinant, one value for each clip."""
        if self.convolution == "plain":
            log_det = ops.slogdet(self.matrix())[1]
        else:
            log_det = ops.sum(self.log_diagonal)
        return ops.matmul(x, self.matrix()), ops.broadcast_to(x.shape[1] * log_det,
                                                              (ops.shape(x)[0],))

    def inverse(self, y):
        """What `call` takes to `y`."""
        if self.convolution == "plain":
            return ops.matmul(y, ops.inv(self.matrix()))
        # Triangle by triangle, which is more exact than the inverse of their product.
        below, above = map(ops.transpose, self._factors())
        columns = ops.transpose(ops.reshape(y, (-1, y.shape[-1])))
        columns = ops.solve_triangular(above, columns, lower=True)
        columns = ops.solve_triangular(below, columns, lower=False)
        found = ops.take(columns, ops.cast(self.order, "int32"), axis=0)
        return ops.reshape(ops.transpose(found), ops.shape(y))

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "convolution": self.convolution, "seed": self.seed}


@keras.saving.register_keras_serializable(package="style_transfer")
class AffineCoupling(layers.Layer):
    """Half the channels scaled and shifted as the other half, the content and the style say.

    Args:
        width: Channels of the net that says it.
        num_layers: Its gated convolutions, of kernel size 3, each twice as far apart.

    Source: Dinh, Sohl-Dickstein and Bengio, Density estimation using Real NVP, 2017; gated tanh
    units told of more, van den Oord et al., Conditional image generation with PixelCNN decoders,
    2016, eq. 4; over time as in Prenger, Valle and Catanzaro, WaveGlow, 2019.
    """

    def __init__(self, width=128, num_layers=2, **kwargs):
        super().__init__(**kwargs)
        self.width, self.num_layers = width, num_layers

    @property
    def reach(self):
        """Steps before and behind one that it depends on."""
        return 2 ** self.num_layers - 1

    def build(self, x_shape, content_shape, style_shape):
        """Makes the weights."""
        half = x_shape[-1] // 2
        self.first = self._built(layers.Dense(self.width, name="first"), half)
        self.convolutions = [
            self._built(layers.Conv1D(2 * self.width, 3, padding="same", dilation_rate=2 ** i,
                                      name=f"convolution_{i}"), self.width)
            for i in range(self.num_layers)]
        self.contents = [self._built(layers.Dense(2 * self.width, name=f"content_{i}"),
                                     content_shape[-1]) for i in range(self.num_layers)]
        self.styles = [self._built(layers.Dense(2 * self.width, name=f"style_{i}"),
                                   style_shape[-1]) for i in range(self.num_layers)]
        self.mixing = [self._built(layers.Dense(self.width, name=f"mixing_{i}"), self.width)
                       for i in range(self.num_layers)]
        # Zeros, so that nothing is changed at first.
        self.last = self._built(layers.Dense(2 * (x_shape[-1] - half), name="last",
                                             kernel_initializer="zeros"), self.width)

    def _built(self, layer, width):
        layer.build((None, None, width))
        return layer

    def call(self, x, content, style):
        """Changes the second half.

        Args:
            x: `[batch, steps, width]`.
            content: `[batch, steps, content width]`.
            style: `[batch, style width]`.

        Returns:
            The same shape as `x`, and the log-determinant `[batch]`.
        """
        kept, changed = self._halves(x)
        log_scale, shift = self._said(kept, content, style)
        changed = changed * ops.exp(log_scale) + shift
        return ops.concatenate([kept, changed], axis=-1), ops.sum(log_scale, axis=(1, 2))

    def inverse(self, y, content, style):
        """What `call` takes to `y`."""
        kept, changed = self._halves(y)
        log_scale, shift = self._said(kept, content, style)
        return ops.concatenate([kept, (changed - shift) * ops.exp(-log_scale)], axis=-1)

    def _halves(self, x):
        half = x.shape[-1] // 2
        return x[..., :half], x[..., half:]

    def _said(self, kept, content, style):
        h = self.first(kept)
        for convolution, of_content, of_style, mix in zip(
                self.convolutions, self.contents, self.styles, self.mixing, strict=True):
            told = convolution(h) + of_content(content) + of_style(style)[:, None]
            signal, gate = ops.split(told, 2, axis=-1)
            h = h + mix(ops.tanh(signal) * ops.sigmoid(gate))
        log_scale, shift = ops.split(self.last(h), 2, axis=-1)
        return MAX_LOG_SCALE * ops.tanh(log_scale / MAX_LOG_SCALE), shift

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "width": self.width, "num_layers": self.num_layers}
