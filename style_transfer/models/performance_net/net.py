"""`PerformanceNet`: a U-Net over a piano roll, and a texture network, to log-mel spectrograms."""

import itertools

import keras
from keras import layers, ops

from style_transfer import piano_roll
from style_transfer.layers.convnext import ConvNeXtBlock
from style_transfer.layers.style_encoder import StyleEncoder
from style_transfer.models.performance_net import layers as blocks
from style_transfer.signal import log_mel as log_mel_lib

STYLES = ("vector", "spectrogram")
ROLL_RATE = 250
ROLL_FRAMES = round(ROLL_RATE / log_mel_lib.FRAMES_PER_SECOND)  # in one of the spectrogram
FOLDED_ROLL = ROLL_FRAMES * piano_roll.KEYS_DEPTH


@keras.saving.register_keras_serializable(package="style_transfer")
class PerformanceNet(keras.Model):
    """Plays a roll on the piano of a clip: a log-mel spectrogram (see `signal.log_mel`).

    A contour network, a U-Net over time with pitches and bands as channels, draws the spectrogram;
    a texture network refines it in ever narrower bands. The roll is read by the encoder and again
    at every level of the decoder, at that level's rate.

    With `style="vector"` the clip is one vector, concatenated with what each level has of the
    roll, a constant separator token between them, and a dense layer fuses them. With
    `style="spectrogram"` (`pre_spec_unet`) the U-Net reads the clip's spectrogram, repeated or cut
    to the piece's length, and the roll comes in at the bottom and by the levels' skips alone.

    Args:
        channels: Of the U-Net's levels, each at half the rate of the one before.
        blocks_per_level: ConvNeXt blocks of a level, in encoder and decoder each.
        kernel_size: Their taps, odd.
        expansion: Channels within a block, multiples of the level's.
        normalization: Of the blocks: `layer` or `none`.
        style: `vector` or `spectrogram`.
        style_size: Length of the style vector.
        separator_size: Length of the separator token; 0 for none.
        texture_bands: Into how many bands each stage of the texture network divides the
            spectrogram; none for no texture network.
        texture_channels: Channels of a band.
        texture_blocks: Residual blocks of a stage.
        texture_style: Whether the texture network knows the style.

    Source: Wang and Yang, PerformanceNet, 2019, figures 2 and 4; conditioning as the project's
    seed meant it.
    """

    def __init__(self, channels=(160, 192, 224, 256), blocks_per_level=1, kernel_size=7,
                 expansion=2, normalization="layer", style="vector", style_size=64,
                 separator_size=4, texture_bands=(2, 4, 8), texture_channels=64,
                 texture_blocks=1, texture_style=True, **kwargs):
        super().__init__(**kwargs)
        if style not in STYLES:
            raise ValueError(f"style={style!r} is unknown; choose one of {', '.join(STYLES)}.")
        if any(log_mel_lib.NUM_BANDS % count for count in texture_bands):
            raise ValueError(f"texture_bands={texture_bands}: each must divide the "
                             f"{log_mel_lib.NUM_BANDS} bands of the spectrogram.")
        # Config
        self.channels, self.blocks_per_level = tuple(channels), blocks_per_level
        self.kernel_size, self.expansion = kernel_size, expansion
        self.normalization, self.style, self.style_size = normalization, style, style_size
        self.separator_size, self.texture_bands = separator_size, tuple(texture_bands)
        self.texture_channels, self.texture_blocks = texture_channels, texture_blocks
        self.texture_style = texture_style
        # Layers
        self.style_encoder = StyleEncoder(style_size, sample_rate=self.sample_rate,
                                          name="style_encoder")
        self.embedding = layers.Dense(self.channels[0], name="embedding")
        self.encoder = self._blocks("encoder")
        self.down = [layers.Conv1D(width, 2, strides=2, name=f"down_{i}")
                     for i, width in enumerate(self.channels[1:])]
        self.fusions = [blocks.Fusion(width, separator_size, name=f"fusion_{i}")
                        for i, width in enumerate(self.channels)]
        self.decoder = self._blocks("decoder")
        self.contour = layers.Dense(log_mel_lib.NUM_BANDS, name="contour")
        self.texture = [blocks.BandResidual(count, texture_channels, texture_blocks,
                                            name=f"texture_{i}")
                        for i, count in enumerate(self.texture_bands)]

    def _blocks(self, name):
        """Those of all levels in one list: Keras saves no lists of lists."""
        return [ConvNeXtBlock(width, self.expansion * width, self.kernel_size,
                              normalization=self.normalization, name=f"{name}_{level}_{i}")
                for level, width in enumerate(self.channels)
                for i in range(self.blocks_per_level)]

    def _level(self, stack, level):
        return stack[level * self.blocks_per_level:(level + 1) * self.blocks_per_level]

    @property
    def sample_rate(self):
        """Hz."""
        return log_mel_lib.SAMPLE_RATE

    @property
    def roll_rate(self):
        """Frames of the roll per second."""
        return ROLL_RATE

    @property
    def grain(self):
        """Frames of the roll that one frame of the lowest level covers."""
        return ROLL_FRAMES * 2 ** (len(self.channels) - 1)

    @property
    def reach(self):
        """Frames of the roll around a frame of the lowest level that it depends on, at most."""
        taps = self.blocks_per_level * (self.kernel_size // 2)
        # Each level's blocks are passed twice, but the lowest's once for encoder and decoder each.
        frames = sum(2 * taps * 2**i for i in range(len(self.channels)))
        texture = sum(self.texture_blocks for _ in self.texture_bands)
        return ROLL_FRAMES * (frames + texture) + self.grain

    def build(self, input_shape=None):
        """Builds every layer; lengths do not matter."""
        del input_shape
        if self.built:
            return
        first, last = self.channels[0], self.channels[-1]
        style = self.style_size if self.style == "vector" else 0
        if style:
            self.style_encoder.build((None, None))
        read = log_mel_lib.NUM_BANDS if self.style == "spectrogram" else FOLDED_ROLL
        self.embedding.build((None, None, read))
        for i, width in enumerate(self.channels):
            below = last if i == len(self.channels) - 1 else width + self.channels[i + 1]
            self.fusions[i].build((None, None, below + FOLDED_ROLL), (None, style))
            for block in (*self._level(self.encoder, i), *self._level(self.decoder, i)):
                block.build((None, None, width))
            if i:
                self.down[i - 1].build((None, None, self.channels[i - 1]))
        self.contour.build((None, None, first))
        told = first + (self.style_size if style and self.texture_style else 0)
        for stage in self.texture:
            stage.build([(None, None, log_mel_lib.NUM_BANDS), (None, None, told)])
        self.built = True

    def call(self, x):
        """Draws a spectrogram.

        Args:
            x: Dict of `roll` `[batch, roll frames, 176]` as `piano_roll.keys_roll` gives it with
                `decays`, a multiple of `grain`; and of the clip: `style_audio`
                `[batch, samples]`, or what `encode_style` made of it, `style`.

        Returns:
            `[batch, roll frames / 4, 160]`.
        """
        style = x["style"] if "style" in x else self.encode_style(x["style_audio"])
        roll = x["roll"]
        shape = (-1, roll.shape[1] // ROLL_FRAMES, FOLDED_ROLL)
        roll = ops.reshape(roll, shape)
        rolls = list(itertools.accumulate(self.down, lambda above, _: _halved(above), initial=roll))
        if self.style == "vector":
            hidden = self._decode(self._encode(roll), rolls, style)
            told = style if self.texture_style else None
        else:
            clip = log_mel_lib.scaled(_as_long_as(style, roll.shape[1]))
            hidden, told = self._decode(self._encode(clip), rolls, None), None
        drawn = self.contour(hidden)
        if told is not None:
            hidden = ops.concatenate([hidden, _at_all_times(told, hidden)], axis=-1)
        for stage in self.texture:
            drawn = stage([drawn, hidden])
        return log_mel_lib.unscaled(drawn)

    def encode_style(self, audio):
        """What the model reads of clips `[batch, samples]`.

        Returns:
            Vectors `[batch, style_size]`, or spectrograms `[batch, frames, 160]`.
        """
        if self.style == "vector":
            return self.style_encoder(audio)
        return log_mel_lib.of_audio(audio)

    def _encode(self, values):
        """Each level's features, from the highest rate to the lowest."""
        x, found = self.embedding(values), []
        for i in range(len(self.channels)):
            if i:
                x = self.down[i - 1](x)
            for block in self._level(self.encoder, i):
                x = block(x)
            found.append(x)
        return found

    def _decode(self, features, rolls, style):
        x = None
        for i in reversed(range(len(self.channels))):
            content = [features[i], rolls[i]]
            if x is not None:
                content.append(ops.repeat(x, 2, axis=1))
            x = self.fusions[i](ops.concatenate(content, axis=-1), style)
            for block in self._level(self.decoder, i):
                x = block(x)
        return x

    def get_config(self):
        """Constructor arguments."""
        names = ("channels", "blocks_per_level", "kernel_size", "expansion", "normalization",
                 "style", "style_size", "separator_size", "texture_bands", "texture_channels",
                 "texture_blocks", "texture_style")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _halved(roll):
    """The roll at half the rate: each value the larger of two, so that no onset is lost."""
    return ops.maximum(roll[:, ::2], roll[:, 1::2])


def _at_all_times(vector, like):
    return ops.repeat(vector[:, None], like.shape[1], axis=1)


def _as_long_as(frames, count):
    """Frames over and over again until there are `count`."""
    times = -(-count // frames.shape[1])
    return ops.concatenate([frames] * times, axis=1)[:, :count]
