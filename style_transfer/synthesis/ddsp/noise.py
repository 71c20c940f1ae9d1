"""Filtered noise: the part of a sound that has no pitch."""

import keras
from keras import ops

from style_transfer import replicas
from style_transfer.synthesis.ddsp import core, filters


@keras.saving.register_keras_serializable(package="style_transfer")
class FilteredNoise(keras.layers.Layer):
    """White noise through a time-varying filter driven by a network's outputs.

    Args:
        num_samples: Length of the audio.
        window_size: Length of the filters' window, see `filters.frequency_impulse_response`.
        scale_controls: Whether magnitudes arrive as raw network outputs, to go through
            `core.exp_sigmoid`.
        initial_bias: Added to raw outputs, so that an untrained network is nearly silent.
        seed: Seed of the noise.
        **kwargs: Those of `keras.layers.Layer`.

    Source: Engel et al., "DDSP", 2020, sec. 3.4; held to ddsp 3.7 `synths.FilteredNoise`.
    """

    def __init__(self, num_samples: int = 64000, window_size: int = 257,
                 scale_controls: bool = True, initial_bias: float = -5.0, seed: int = 0, **kwargs):
        super().__init__(**kwargs)
        self.num_samples = num_samples
        self.window_size = window_size
        self.scale_controls = scale_controls
        self.initial_bias = initial_bias
        self.seed = seed
        self._generator = keras.random.SeedGenerator(seed)

    def get_controls(self, magnitudes):
        """Filter gains from network outputs.

        Args:
            magnitudes: Shape `[batch, frames, bands]`.

        Returns:
            A dict with linear `magnitudes` of the same shape.
        """
        if self.scale_controls:
            magnitudes = core.exp_sigmoid(magnitudes + self.initial_bias)
        return {"magnitudes": magnitudes}

    def get_signal(self, magnitudes, noise=None):
        """Audio from filter gains.

        Args:
            magnitudes: Linear gains `[batch, frames, bands]`.
            noise: What is filtered, `[batch, num_samples]`; None draws uniform noise in [-1, 1].

        Returns:
            Audio `[batch, num_samples]`.
        """
        if noise is None:
            shape = (ops.shape(magnitudes)[0], self.num_samples)
            noise = replicas.uniform(shape, -1.0, 1.0, seed=self._generator)
            noise = ops.reshape(noise, (-1, self.num_samples))
        return filters.frequency_filter(noise, magnitudes, self.window_size)

    def call(self, magnitudes):
        """Audio `[batch, num_samples]` from network outputs."""
        return self.get_signal(**self.get_controls(magnitudes))

    def compute_output_shape(self, magnitudes_shape):
        """Shape of the audio."""
        return (magnitudes_shape[0], self.num_samples)

    def get_config(self):
        """Arguments of the constructor."""
        names = ("num_samples", "window_size", "scale_controls", "initial_bias", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
