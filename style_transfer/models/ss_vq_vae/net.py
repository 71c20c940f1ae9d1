"""`SSVQVAE`: codes of what is played and a vector of how it sounds -> a log-mel spectrogram."""

import keras
from keras import layers, ops

from style_transfer.layers.clip_encoders import ClipStyle, ContentCodes
from style_transfer.layers.convnext import ConvNeXtBlock
from style_transfer.signal import log_mel
from style_transfer.spectrograms import making


@keras.saving.register_keras_serializable(package="style_transfer")
class SSVQVAE(keras.Model):
    """Self-supervised VQ-VAE for one-shot timbre transfer.

    Trained to make a recording again from itself, through few codes, and from another part of it,
    in one vector; no notes, no names of instruments. The style scales and shifts the channels of
    every block of the decoder.

    Args:
        width: Channels of encoder and decoder.
        encoder_blocks: ConvNeXt blocks before the codes.
        decoder_blocks: ConvNeXt blocks behind them.
        stride: Frames of a code.
        code_width: Length of the quantized vectors.
        num_codebooks: See `layers.vector_quantizer.VectorQuantizer`.
        num_codes: Likewise.
        commitment: Likewise.
        decay: Likewise.
        style_size: Length of the style vector.
        style_width: Channels of the style encoder and units of its GRU.

    Source: Cífka, Ozerov, Şimşekli and Richard, Self-supervised VQ-VAE for one-shot music style
    transfer, 2021. Otherwise than there, spectra are log-mel, codebooks are moving averages, the
    GRU is in the style encoder only, and the style acts on every block.
    """

    def __init__(self, width=128, encoder_blocks=4, decoder_blocks=6, stride=2, code_width=64,
                 num_codebooks=2, num_codes=256, commitment=0.25, decay=0.99, style_size=64,
                 style_width=96, **kwargs):
        super().__init__(**kwargs)
        self.hears = True
        # Config
        self.width, self.encoder_blocks, self.decoder_blocks = width, encoder_blocks, decoder_blocks
        self.stride, self.code_width, self.num_codebooks = stride, code_width, num_codebooks
        self.num_codes, self.commitment, self.decay = num_codes, commitment, decay
        self.style_size, self.style_width = style_size, style_width
        # Layers
        self.content_encoder = ContentCodes(width, encoder_blocks, stride, code_width,
                                            num_codebooks, num_codes, commitment, decay,
                                            name="content_encoder")
        self.style_encoder = ClipStyle(style_size, style_width, name="style_encoder")
        self.embedding = layers.Dense(width, name="embedding")
        self.styling = [layers.Dense(2 * width, name=f"styling_{i}")
                        for i in range(decoder_blocks)]
        self.blocks = [ConvNeXtBlock(width, 2 * width, name=f"block_{i}")
                       for i in range(decoder_blocks)]
        self.normalization = layers.LayerNormalization(name="normalization")
        self.head = layers.Dense(log_mel.NUM_BANDS, name="head")

    @property
    def grain(self):
        """Clips have as many frames as a multiple of this."""
        return self.stride

    @property
    def sample_rate(self):
        """Hz."""
        return log_mel.SAMPLE_RATE

    @property
    def reach(self):
        """Frames before and behind a frame that it depends on, at most; whole codes."""
        decoder = sum(block.kernel_size // 2 for block in self.blocks)
        reach = self.content_encoder.reach + decoder
        return -(-reach // self.stride) * self.stride

    def build(self, input_shape=None):
        """Builds every layer; the inputs' lengths do not matter."""
        del input_shape
        if self.built:
            return
        self.content_encoder.build()
        self.style_encoder.build()
        self.embedding.build((None, None, self.code_width))
        for styling in self.styling:
            styling.build((None, self.style_size))
        for layer in (*self.blocks, self.normalization, self.head):
            layer.build((None, None, self.width))
        self.built = True

    def call(self, inputs, training=False):
        """Plays what one recording plays as another sounds.

        Args:
            inputs: A dict of `content_audio` `[batch, samples]`, whole frames and codes of it, and
                `style_audio` `[batch, style samples]`, both at 16 kHz.
            training: Whether the codebooks follow.

        Returns:
            The log-mel spectrogram `[batch, frames, bands]`, see `signal.log_mel`.
        """
        codes = self.content_encoder(log_mel.of_audio(inputs["content_audio"]), training=training)
        return self.decode(codes, self.encode_style(inputs["style_audio"]))

    def spectrogram(self, content, style, noise=None, temperature=1.0):
        """See `style_transfer.spectrograms`; nothing is sampled."""
        del noise, temperature
        mel = log_mel.of_audio(making.audio_of_frames(content))
        return self.decode(self.content_encoder(mel), style)

    def encode_style(self, style_audio):
        """Style vectors `[batch, style_size]` of clips `[batch, samples]`."""
        return self.style_encoder(log_mel.of_audio(style_audio))

    def decode(self, codes, style):
        """Log-mel spectrograms.

        Args:
            codes: As vectors, `[batch, frames, code_width]`.
            style: `[batch, style_size]`.

        Returns:
            `[batch, frames, bands]`.
        """
        x = self.embedding(codes)
        for styling, block in zip(self.styling, self.blocks, strict=True):
            scale, shift = ops.split(styling(style)[:, None], 2, axis=-1)
            x = block(x * (1 + scale) + shift)
        return log_mel.unscaled(self.head(self.normalization(x)))

    def get_config(self):
        """Constructor arguments."""
        names = ("width", "encoder_blocks", "decoder_blocks", "stride", "code_width",
                 "num_codebooks", "num_codes", "commitment", "decay", "style_size", "style_width")
        return {"name": self.name, **{name: getattr(self, name) for name in names}}
