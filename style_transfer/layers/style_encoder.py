"""A clip of a piano as one vector."""

import math

import keras
from keras import layers, ops

from style_transfer.signal import mel as mel_lib

LOWEST_HZ = 27.5
FRAME_SAMPLES, HOP_SAMPLES = 2048, 512


@keras.saving.register_keras_serializable(package="style_transfer")
class StyleEncoder(layers.Layer):
    """Log-mel spectrogram -> CNN -> one vector, for clips of any length.

    Args:
        size: Length of the style vector.
        channels: Channels of the convolutions.
        sample_rate: Hz.
        num_mels: Mel bands.
    """

    level_db = -25.0  # RMS that clips are brought to

    def __init__(self, size=64, channels=(24, 48, 64), sample_rate=24_000, num_mels=128, **kwargs):
        super().__init__(**kwargs)
        self.size, self.channels = size, tuple(channels)
        self.sample_rate, self.num_mels = sample_rate, num_mels
        self.convolutions = [layers.Conv2D(c, 3, strides=2, padding="same", activation="gelu")
                             for c in self.channels]
        self.mixing = layers.Conv1D(4 * size, 3, padding="same", activation="gelu")
        self.hidden = layers.Dense(4 * size, activation="gelu")
        self.projection = layers.Dense(size)

    def build(self, input_shape):
        """Makes the mel matrix and builds the layers."""
        self.mel = mel_lib.matrix(self.sample_rate, 2048, self.num_mels, LOWEST_HZ, htk=True)
        shape = (None, None, self.num_mels, 1)
        for convolution in self.convolutions:
            convolution.build(shape)
            shape = convolution.compute_output_shape(shape)
        bands = -(-self.num_mels // 2 ** len(self.channels))
        self.mixing.build((None, None, bands * self.channels[-1]))
        self.hidden.build((None, 8 * self.size + 3 * self.num_mels))
        self.projection.build((None, 4 * self.size))
        super().build(input_shape)

    def log_mel(self, audio):
        """Log power of mel bands, about 0 to 1 over 80 dB: `[batch, frames, num_mels]`."""
        real, imaginary = ops.stft(audio, FRAME_SAMPLES, HOP_SAMPLES, FRAME_SAMPLES)
        return self.scaled_mel(ops.square(real) + ops.square(imaginary))

    def scaled_mel(self, power):
        """`log_mel` of a power spectrogram `[batch, frames, 1025]` (Hann window, hop 512)."""
        return ops.log(ops.matmul(power, self.mel) + 1e-5) / (math.log(10.0) * 4.0)

    def maps(self, mel):
        """What the convolutions make of `log_mel`, the last one of time alone.

        Args:
            mel: `[batch, frames, num_mels]`.

        Returns:
            List of `[batch, frames, bands, channels]`, each half of the one before in time and in
            bands, and `[batch, frames, 4 * size]`.
        """
        maps = [mel[..., None]]
        for convolution in self.convolutions:
            maps.append(convolution(maps[-1]))
        last = maps[-1]
        flat = ops.reshape(last, (ops.shape(last)[0], -1, last.shape[2] * last.shape[3]))
        return [*maps[1:], self.mixing(flat)]

    def call(self, audio):
        """Style vectors `[batch, size]` of clips `[batch, samples]`, made equally loud first."""
        rms = ops.sqrt(ops.mean(ops.square(audio), axis=-1, keepdims=True) + 1e-10)
        mel = self.log_mel(audio * (10 ** (self.level_db / 20) / rms))
        x = self.maps(mel)[-1]
        # The long-term spectrum and how it changes are given past the CNN: a match EQ for free.
        slope = ops.mean(ops.relu(mel[:, 1:] - mel[:, :-1]), axis=1)
        pooled = [ops.mean(x, axis=1), _spread(x), ops.mean(mel, axis=1), _spread(mel), slope]
        return self.projection(self.hidden(ops.concatenate(pooled, axis=-1)))

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "size": self.size, "channels": self.channels,
                "sample_rate": self.sample_rate, "num_mels": self.num_mels}


def _spread(x):
    """Standard deviation over time, with a finite slope where nothing changes."""
    return ops.sqrt(ops.var(x, axis=1) + 1e-6)
