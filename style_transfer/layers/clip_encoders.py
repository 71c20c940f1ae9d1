"""What log-mel spectrograms of any instrument play, and how that instrument sounds."""

import keras
from keras import layers, ops

from style_transfer.layers.convnext import ConvNeXtBlock
from style_transfer.layers.vector_quantizer import VectorQuantizer
from style_transfer.signal import log_mel


@keras.saving.register_keras_serializable(package="style_transfer")
class ContentCodes(layers.Layer):
    """Log-mel spectrograms -> codes of what is played, at half or a quarter of the frame rate.

    What passes is so little that how it sounds must come from elsewhere.

    Args:
        width: Channels.
        num_blocks: ConvNeXt blocks.
        stride: Frames of a code.
        code_width: Length of the quantized vectors.
        num_codebooks: From here on see `VectorQuantizer`.
        num_codes: Likewise.
        commitment: Likewise.
        decay: Likewise.
    """

    def __init__(self, width=128, num_blocks=4, stride=2, code_width=64, num_codebooks=2,
                 num_codes=256, commitment=0.25, decay=0.99, **kwargs):
        super().__init__(**kwargs)
        self.width, self.num_blocks, self.stride = width, num_blocks, stride
        self.code_width, self.num_codebooks, self.num_codes = code_width, num_codebooks, num_codes
        self.commitment, self.decay = commitment, decay
        self.embedding = layers.Conv1D(width, 2 * stride, strides=stride, padding="same")
        self.blocks = [ConvNeXtBlock(width, 2 * width, name=f"block_{i}")
                       for i in range(num_blocks)]
        self.projection = layers.Dense(code_width, name="projection")
        # Vectors of one size: no entry is nearest to all that is soft.
        self.normalization = layers.LayerNormalization(center=False, scale=False)
        self.quantizer = VectorQuantizer(num_codebooks, num_codes, commitment, decay,
                                         name="quantizer")

    @property
    def reach(self):
        """Frames before and behind a code that it depends on, at most."""
        return self.stride * (1 + sum(block.kernel_size // 2 for block in self.blocks))

    def build(self, input_shape=None):
        """Makes the weights; the input's length does not matter."""
        self.embedding.build((None, None, log_mel.NUM_BANDS))
        for block in self.blocks:
            block.build((None, None, self.width))
        self.projection.build((None, None, self.width))
        for layer in (self.normalization, self.quantizer):
            layer.build((None, None, self.code_width))
        self.built = True

    def vectors(self, mel):
        """What is quantized, `[batch, frames / stride, code_width]`."""
        x = self.embedding(log_mel.scaled(mel))
        for block in self.blocks:
            x = block(x)
        return self.normalization(self.projection(x))

    def call(self, mel, training=False):
        """Codes as vectors.

        Args:
            mel: See `signal.log_mel`; as many frames as a multiple of `stride`.
            training: Whether the codebooks follow.

        Returns:
            `[batch, frames, code_width]`; `stride` frames are the same.
        """
        codes = self.quantizer(self.vectors(mel), training=training)
        return ops.repeat(codes, self.stride, axis=1)

    def get_config(self):
        """Constructor arguments."""
        names = ("width", "num_blocks", "stride", "code_width", "num_codebooks", "num_codes",
                 "commitment", "decay")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable(package="style_transfer")
class ClipStyle(layers.Layer):
    """Log-mel spectrograms of any length -> one vector, by convolutions and a GRU.

    The GRU's mean over time is taken, so that a clip's length does not matter much; the mean
    spectrum and its spread are given past it.

    Args:
        size: Length of the vector.
        width: Channels and units.
        stride: Frames that a step of the GRU covers.
    """

    def __init__(self, size=64, width=96, stride=4, **kwargs):
        super().__init__(**kwargs)
        self.size, self.width, self.stride = size, width, stride
        self.embedding = layers.Conv1D(width, 2 * stride, strides=stride, padding="same",
                                       activation="gelu")
        self.mixing = layers.Conv1D(width, 3, padding="same", activation="gelu")
        self.gru = layers.GRU(width, return_sequences=True)
        self.hidden = layers.Dense(2 * size, activation="gelu")
        self.projection = layers.Dense(size)

    def build(self, input_shape=None):
        """Makes the weights; the input's length does not matter."""
        self.embedding.build((None, None, log_mel.NUM_BANDS))
        for layer in (self.mixing, self.gru):
            layer.build((None, None, self.width))
        self.hidden.build((None, self.width + 2 * log_mel.NUM_BANDS))
        self.projection.build((None, 2 * self.size))
        self.built = True

    def call(self, mel):
        """Vectors `[batch, size]` of `mel` `[batch, frames, bands]`, see `signal.log_mel`."""
        values = log_mel.scaled(mel)
        heard = self.gru(self.mixing(self.embedding(values)))
        spread = ops.sqrt(ops.var(values, axis=1) + 1e-6)
        pooled = [ops.mean(heard, axis=1), ops.mean(values, axis=1), spread]
        return self.projection(self.hidden(ops.concatenate(pooled, axis=-1)))

    def get_config(self):
        """Constructor arguments."""
        names = ("size", "width", "stride")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
