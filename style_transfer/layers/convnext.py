"""ConvNeXt blocks over time."""

import keras
from keras import layers, ops

NORMALIZATIONS = ("layer", "none")


@keras.saving.register_keras_serializable(package="style_transfer")
class ConvNeXtBlock(layers.Layer):
    """Depthwise convolution over time, then a two-layer net at each step; added to the input.

    Args:
        width: Channels.
        hidden: Channels within the net.
        kernel_size: Taps of the convolution, odd.
        scale: Of what is added, at first.
        normalization: Between them: `layer` or `none`.

    Source: Liu et al., A ConvNet for the 2020s, 2022, figure 4; over time as in Siuzdak, Vocos,
    2023.
    """

    def __init__(self, width, hidden, kernel_size=7, scale=0.1, normalization="layer",
                 **kwargs):
        super().__init__(**kwargs)
        self.width, self.hidden, self.kernel_size = width, hidden, kernel_size
        self.scale, self.normalization = scale, normalization
        if normalization not in NORMALIZATIONS:
            raise ValueError(f"normalization={normalization!r} is unknown; choose one of "
                             f"{', '.join(NORMALIZATIONS)}.")
        self.normalize = (layers.LayerNormalization(epsilon=1e-6, name="normalize")
                          if normalization == "layer" else layers.Identity())
        self.expansion = layers.Dense(hidden, activation="gelu", name="expansion")
        self.projection = layers.Dense(width, name="projection")

    def build(self, input_shape=None):
        """Makes the weights; the input's length does not matter."""
        self.kernel = self.add_weight((self.kernel_size, self.width), "glorot_uniform",
                                      name="kernel")
        self.bias = self.add_weight((self.width,), "zeros", name="bias")
        self.gain = self.add_weight((self.width,), keras.initializers.Constant(self.scale),
                                    name="gain")
        shape = (None, None, self.width)
        self.normalize.build(shape)
        self.expansion.build(shape)
        self.projection.build((None, None, self.hidden))
        self.built = True

    def call(self, x):
        """Shape `[batch, steps, width]`, as the input."""
        reach, steps = self.kernel_size // 2, x.shape[1]
        padded = ops.pad(x, ((0, 0), (reach, reach), (0, 0)))
        mixed = sum(padded[:, tap:tap + steps] * self.kernel[tap]
                    for tap in range(self.kernel_size))
        added = self.projection(self.expansion(self.normalize(mixed + self.bias)))
        return x + self.gain * added

    def get_config(self):
        """Constructor arguments."""
        names = ("width", "hidden", "kernel_size", "scale", "normalization")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
