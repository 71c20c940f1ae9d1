"""`GlowStyle`: log-mel spectrograms as what noise becomes, told of content and style."""

import math

import keras
from keras import layers, ops

from style_transfer import piano_roll, replicas
from style_transfer.layers.clip_encoders import ClipStyle, ContentCodes
from style_transfer.layers.convnext import ConvNeXtBlock
from style_transfer.models.glow_style.flow import (
    ActNorm,
    AffineCoupling,
    InvertibleConvolution,
    squeeze,
    unsqueeze,
)
from style_transfer.signal import log_mel
from style_transfer.spectrograms import making
from style_transfer.spectrograms.options import TEMPERATURE

CONTENTS = ("notes", "codes")
SQUEEZE = 2
CHANNELS = SQUEEZE * log_mel.NUM_BANDS  # at every level
STEP_DB = 2.0  # what bits per dimension count: log-mel spectrograms rounded to this
_STEP = STEP_DB * math.log(10) / 20 / log_mel.SPREAD  # of scaled values
_LOG_2_PI = math.log(2 * math.pi)
_MAX_LOG_STD = 3.0


@keras.saving.register_keras_serializable(package="style_transfer")
class GlowStyle(keras.Model):
    """Glow over time for log-mel spectrograms, conditional on what is played and how it sounds.

    Each level puts two neighbouring steps side by side and runs its flow steps; half the channels
    then leave and the others go on to the next. What leaves is normally distributed; its mean and
    spread are told by content and style.

    Args:
        content: `notes`, a piano roll at the frame rate whose notes die away, or `codes`, what a
            recording plays through the content encoder of `ss_vq_vae`, trained along.
        num_levels: Levels.
        num_steps: Flow steps of a level.
        width: Channels of the couplings' nets.
        num_layers: Their gated convolutions.
        convolution: `lu` or `plain`, see `flow.InvertibleConvolution`.
        content_width: Channels of what is told of the content.
        content_blocks: ConvNeXt blocks that it is made with.
        code_width: Of `codes`; from here on to `commitment` see `clip_encoders.ContentCodes`.
        num_codebooks: Likewise.
        num_codes: Likewise.
        commitment: Likewise.
        style_size: Length of the style vector.
        style_width: Channels of the style encoder and units of its GRU.
        seed: Of the rotations the flow begins with, and of the noise within a quantization step.

    Source: Kingma and Dhariwal, Glow, 2018; a prior that is told of the content, as in Kim et al.,
    Glow-TTS, 2020.
    """

    def __init__(self, content="notes", num_levels=2, num_steps=4, width=128, num_layers=2,
                 convolution="lu", content_width=160, content_blocks=4, code_width=64,
                 num_codebooks=2, num_codes=256, commitment=0.25, style_size=64, style_width=96,
                 seed=0, **kwargs):
        super().__init__(**kwargs)
        if content not in CONTENTS:
            raise ValueError(f"content={content!r} is unknown; choose one of "
                             f"{', '.join(CONTENTS)}.")
        self.hears = content == "codes"
        # Config
        self.content, self.num_levels, self.num_steps = content, num_levels, num_steps
        self.width, self.num_layers, self.convolution = width, num_layers, convolution
        self.content_width, self.content_blocks = content_width, content_blocks
        self.code_width, self.num_codebooks, self.num_codes = code_width, num_codebooks, num_codes
        self.commitment, self.style_size, self.style_width = commitment, style_size, style_width
        self.seed = seed
        # Layers
        if content == "codes":
            self.content_encoder = ContentCodes(
                content_width, content_blocks, code_width=code_width, num_codebooks=num_codebooks,
                num_codes=num_codes, commitment=commitment, name="content_encoder")
        self.embedding = layers.Dense(content_width, name="embedding")
        self.blocks = [ConvNeXtBlock(content_width, 2 * content_width, name=f"content_{i}")
                       for i in range(content_blocks)]
        self.tellings = [layers.Dense(content_width, name=f"telling_{level}")
                         for level in range(num_levels)]
        self.style_encoder = ClipStyle(style_size, style_width, name="style_encoder")
        steps = range(num_levels * num_steps)
        self.norms = [ActNorm(name=f"norm_{i}") for i in steps]
        self.mixings = [InvertibleConvolution(convolution, seed + i, name=f"mixing_{i}")
                        for i in steps]
        self.couplings = [AffineCoupling(width, num_layers, name=f"coupling_{i}") for i in steps]
        self.middles = [layers.Dense(2 * content_width, activation="gelu", name=f"middle_{level}")
                        for level in range(num_levels)]
        self.priors = [layers.Dense(2 * self._leaving(level), name=f"prior_{level}",
                                    kernel_initializer="zeros") for level in range(num_levels)]
        self.random = keras.random.SeedGenerator(seed)

    def _steps(self, level):
        """Norm, mixing and coupling of each flow step of a level."""
        own = slice(level * self.num_steps, (level + 1) * self.num_steps)
        return list(zip(self.norms[own], self.mixings[own], self.couplings[own], strict=True))

    def _leaving(self, level):
        """Channels that leave at a level: half, which squeezing makes up for, and all at last."""
        return CHANNELS if level == self.num_levels - 1 else CHANNELS // SQUEEZE

    @property
    def sample_rate(self):
        """Hz."""
        return log_mel.SAMPLE_RATE

    @property
    def grain(self):
        """Clips have as many frames as a multiple of this."""
        return SQUEEZE ** self.num_levels

    @property
    def reach(self):
        """Frames before and behind a frame that it depends on, at most; whole grains."""
        told = sum(block.kernel_size // 2 for block in self.blocks)
        if self.hears:
            told += self.content_encoder.reach
        coupling = 2 ** self.num_layers - 1
        flow = sum(coupling * self.num_steps * SQUEEZE ** (level + 1)
                   for level in range(self.num_levels))
        return -(-(told + flow + self.grain) // self.grain) * self.grain

    def build(self, input_shape=None):
        """Builds every layer; the inputs' lengths do not matter."""
        del input_shape
        if self.built:
            return
        if self.hears:
            self.content_encoder.build()
        self.embedding.build((None, None, self.code_width if self.hears
                              else piano_roll.KEYS_DEPTH))
        for block in self.blocks:
            block.build((None, None, self.content_width))
        self.style_encoder.build()
        for level in range(self.num_levels):
            self.tellings[level].build((None, None, SQUEEZE ** (level + 1) * self.content_width))
            shape = (None, None, CHANNELS)
            for norm, mixing, coupling in self._steps(level):
                norm.build(shape)
                mixing.build(shape)
                coupling.build(shape, (None, None, self.content_width), (None, self.style_size))
            self.middles[level].build((None, None, self.content_width + self.style_size))
            self.priors[level].build((None, None, 2 * self.content_width))
        self.built = True

    def call(self, inputs, training=False):
        """How many bits a dimension of a recording's spectrogram takes.

        Args:
            inputs: A dict of `audio` `[batch, samples]`, the recording; `style_audio`
                `[batch, style samples]`; and `roll` `[batch, frames, 176]`, its notes, or
                `content_audio` `[batch, samples]`, where the content is `codes`.
            training: Whether codebooks and normalizations follow, and noise is new.

        Returns:
            Bits for each dimension of the spectrogram rounded to `STEP_DB`, `[batch]`.
        """
        values = log_mel.scaled(log_mel.of_audio(inputs["audio"]))
        shape = ops.shape(values)
        if training:
            noise = replicas.uniform(shape, -0.5, 0.5, seed=self.random)
        else:
            noise = keras.random.uniform(shape, -0.5, 0.5, seed=self.seed)
        content, style = self.conditions(inputs, training)
        latents, log_det = self.forward(values + noise * _STEP, content, style, training)
        log_likelihood = log_det + sum(
            self._log_density(level, latent, content, style)
            for level, latent in enumerate(latents))
        dimensions = values.shape[1] * log_mel.NUM_BANDS
        return -(log_likelihood / dimensions + math.log(_STEP)) / math.log(2)

    def conditions(self, inputs, training=False):
        """What is told of content, `[batch, frames, content_width]`, and style."""
        told = inputs["content_audio"] if self.hears else inputs["roll"]
        return self.encode_content(told, training), self.encode_style(inputs["style_audio"])

    def encode_content(self, told, training=False):
        """What couplings and priors are told, of audio `[batch, samples]` or a roll."""
        if self.hears:
            told = self.content_encoder(log_mel.of_audio(told), training=training)
        x = self.embedding(told)
        for block in self.blocks:
            x = block(x)
        return x

    def encode_style(self, style_audio):
        """Style vectors `[batch, style_size]` of clips `[batch, samples]`."""
        return self.style_encoder(log_mel.of_audio(style_audio))

    def forward(self, x, content, style, training=False):
        """Spectrograms to latents.

        Args:
            x: Scaled spectrograms, `[batch, frames, bands]`.
            content: From `conditions`; so `style`.
            style: Likewise.
            training: Whether normalizations take their first batch.

        Returns:
            What leaves at each level, a list of `[batch, steps, channels]`, and the logarithm of
            the Jacobian's determinant, `[batch]`.
        """
        latents, total = [], 0.0
        for level in range(self.num_levels):
            x, told = squeeze(x, SQUEEZE), self._told(level, content)
            for norm, mixing, coupling in self._steps(level):
                x, log_det = norm(x, training=training)
                total += log_det
                x, log_det = mixing(x)
                total += log_det
                x, log_det = coupling(x, told, style)
                total += log_det
            leaving = self._leaving(level)
            latents.append(x[..., :leaving])
            x = x[..., leaving:]
        return latents, total

    def inverse(self, latents, content, style):
        """The spectrograms that `forward` takes to these latents."""
        x = None
        for level in reversed(range(self.num_levels)):
            told = self._told(level, content)
            x = latents[level] if x is None else ops.concatenate([latents[level], x], axis=-1)
            for norm, mixing, coupling in reversed(self._steps(level)):
                x = norm.inverse(mixing.inverse(coupling.inverse(x, told, style)))
            x = unsqueeze(x, SQUEEZE)
        return x

    def spectrogram(self, content, style, noise, temperature=TEMPERATURE):
        """Samples log-mel spectrograms; see `style_transfer.spectrograms`.

        Args:
            content: Audio or a roll, `[batch, frames, features]`.
            style: From `encode_style`.
            noise: Standard normal, `[batch, frames, bands]`.
            temperature: What it is scaled with; 0 gives the middle of the distribution.

        Returns:
            `[batch, frames, bands]`, see `signal.log_mel`.
        """
        if self.hears:
            content = making.audio_of_frames(content)
        content = self.encode_content(content)
        latents, rest = [], noise
        for level in range(self.num_levels):
            rest, leaving = squeeze(rest, SQUEEZE), self._leaving(level)
            mean, log_std = self._prior(level, content, style)
            latents.append(mean + temperature * ops.exp(log_std) * rest[..., :leaving])
            rest = rest[..., leaving:]
        found = log_mel.unscaled(self.inverse(latents, content, style))
        return ops.maximum(found, log_mel.SILENCE)

    def _told(self, level, content):
        """The content at the rate of a level."""
        return self.tellings[level](squeeze(content, SQUEEZE ** (level + 1)))

    def _prior(self, level, content, style):
        told = self._told(level, content)
        style = ops.repeat(style[:, None], told.shape[1], axis=1)
        middle = self.middles[level](ops.concatenate([told, style], axis=-1))
        mean, log_std = ops.split(self.priors[level](middle), 2, axis=-1)
        return mean, _MAX_LOG_STD * ops.tanh(log_std / _MAX_LOG_STD)

    def _log_density(self, level, latent, content, style):
        mean, log_std = self._prior(level, content, style)
        deviations = ops.square((latent - mean) * ops.exp(-log_std))
        return -ops.sum(0.5 * (deviations + _LOG_2_PI) + log_std, axis=(1, 2))

    def get_config(self):
        """Constructor arguments."""
        names = ("content", "num_levels", "num_steps", "width", "num_layers", "convolution",
                 "content_width", "content_blocks", "code_width", "num_codebooks", "num_codes",
                 "commitment", "style_size", "style_width", "seed")
        return {"name": self.name, **{name: getattr(self, name) for name in names}}
