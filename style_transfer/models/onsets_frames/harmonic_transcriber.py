"""A small Onsets and Frames whose weights are shared by all keys.

A piano tone looks the same on every key when frequency is measured from its own fundamental. So
each key gets the spectrum around its own partials as channels, and one small net, convolved over
keys and time, reads it: heads and conditioning are those of Onsets and Frames, the convolutions
over keys need a fraction of its weights and of the training.
"""

import functools
import math

import keras
import numpy as np
from keras import layers, ops

from style_transfer.layers import whole_batch
from style_transfer.piano_roll import LOWEST_PITCH, NUM_KEYS
from style_transfer.signal import spectral

A4_PITCH, A4_HZ = 69, 440.0
# Distance in semitones of what a key looks at: an octave below, its partials 1 to 12.
HARMONIC_SEMITONES = (-12, 0, 12, 19, 24, 28, 31, 34, 36, 38, 40, 42, 43)
# Distance of the keys whose partials coincide most often.
RELATED_KEYS = (-24, -19, -12, -7, -5, 5, 7, 12, 19, 24)
LOG_FLOOR = 1e-4
LOG_CENTRE, LOG_SCALE = -4.0, 2.5
RARE_LOGIT = -3.0
VELOCITY_TAPS = 5  # frames around an onset that tell its velocity
VELOCITY_CONTEXT = 57  # frames within which notes are compared
FEWEST_ONSETS = 1e-2  # on average over frames, where less than that is heard
SCALE_FLOOR = 0.02  # least standard deviation of a velocity: 2.5 MIDI steps
FIRST_SCALE_LOGIT = -2.2  # standard deviations begin around 0.12


@functools.cache
def log_frequency_matrix(fft_size: int, sample_rate: int, bins_per_semitone: int):
    """Triangular filters spaced by pitch, each at least as wide as a bin of the transform.

    Args:
        fft_size: Samples of a frame.
        sample_rate: Hz.
        bins_per_semitone: Filters of a semitone; the middle ones (of an odd number) lie on the
            keys of a piano tuned to A4 = 440 Hz.

    Returns:
        float32 `[fft_size // 2 + 1, semitones * bins_per_semitone]`, from half a semitone under A0
        up to the Nyquist frequency; columns sum to 1.
    """
    highest = A4_PITCH + 12 * math.log2(sample_rate / 2 / A4_HZ)
    num_semitones = int(highest - LOWEST_PITCH + 0.5)
    index = np.arange(num_semitones * bins_per_semitone)
    pitch = LOWEST_PITCH - 0.5 + (index + 0.5) / bins_per_semitone
    centre_hz = A4_HZ * 2.0 ** ((pitch - A4_PITCH) / 12)
    bin_hz = sample_rate / fft_size
    half_width_hz = np.maximum(centre_hz * (2 ** (1 / (12 * bins_per_semitone)) - 1), bin_hz)
    fft_hz = np.arange(fft_size // 2 + 1) * bin_hz
    matrix = np.maximum(0.0, 1 - np.abs(fft_hz[:, None] - centre_hz) / half_width_hz)
    return (matrix / matrix.sum(axis=0)).astype(np.float32)


def shifted_keys(x, semitones: int, num_keys: int):
    """What lies `semitones` above each of the lowest `num_keys` places; zero off the end.

    Args:
        x: Shape `[batch, frames, places, channels]`.
        semitones: Distance, negative for below.
        num_keys: Places of the result.

    Returns:
        Shape `[batch, frames, num_keys, channels]`.
    """
    below, places = max(0, -semitones), x.shape[2]
    first = max(0, semitones)
    last = min(places, semitones + num_keys)
    above = num_keys - below - max(0, last - first)
    return ops.pad(x[:, :, first:last], [[0, 0], [0, 0], [below, above], [0, 0]])


@keras.saving.register_keras_serializable(package="style_transfer")
class HarmonicBlock(layers.Layer):
    """Residual block: a convolution over time and keys, or over related keys, then a mix.

    Args:
        width: Channels.
        dilation: Frames between the taps in time.
        related: Channels gathered from each related key, 0 for a block without them.
        causal: Whether no frame looks at later ones.
    """

    def __init__(self, width, dilation=1, related=0, causal=False, **kwargs):
        super().__init__(**kwargs)
        self.width, self.dilation, self.related = width, dilation, related
        self.causal = causal
        self.conv = layers.Conv2D(width, (3, 1), dilation_rate=(dilation, 1),
                                  padding="valid" if causal else "same", use_bias=False)
        self.norm = whole_batch.BatchNormalization()
        self.mix = layers.Conv2D(width, (1, 3), padding="same")
        self.narrow = layers.Dense(related) if related else None
        self.spread = layers.Dense(width) if related else None

    def build(self, input_shape):
        """Builds the parts."""
        self.conv.build(input_shape)
        shape = (*input_shape[:-1], self.width)
        self.norm.build(shape)
        self.mix.build(shape)
        if self.related:
            self.narrow.build(shape)
            self.spread.build((*shape[:-1], self.related * len(RELATED_KEYS)))

    def call(self, x, training=False):
        """Same shape as `x`: `[batch, frames, keys, width]`."""
        past = [[0, 0], [2 * self.dilation, 0], [0, 0], [0, 0]]
        hidden = self.norm.of_convolution(self.conv, ops.pad(x, past) if self.causal else x,
                                          training=training)
        x = x + self.mix(ops.relu(hidden))
        if not self.related:
            return x
        narrow = ops.relu(self.narrow(x))
        keys = [shifted_keys(narrow, s, NUM_KEYS) for s in RELATED_KEYS]
        return x + self.spread(ops.concatenate(keys, axis=-1))

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "width": self.width, "dilation": self.dilation,
                "related": self.related, "causal": self.causal}


@keras.saving.register_keras_serializable(package="style_transfer")
class VelocityHead(layers.Layer):
    """How hard a key was struck, and how far off that may be.

    Levels and brightness are read from the spectrum itself beside the trunk's channels. Keys share
    all weights but an offset of their own (a bass string is bright, a treble string dull, at any
    velocity). A note is compared to those struck within half a second of it.

    Args:
        width: Channels.
        causal: Whether no frame looks at later ones.
    """

    def __init__(self, width, causal=False, **kwargs):
        super().__init__(**kwargs)
        self.width, self.causal = width, causal
        self.levels = layers.Dense(width // 2, activation="relu", name="levels")
        self.around = layers.Conv2D(width, (VELOCITY_TAPS, 1), name="around")
        self.context = layers.Dense(width, name="context")
        self.mix = layers.Dense(width, activation="relu", name="mix")
        self.estimate = layers.Dense(2, name="estimate")

    def build(self, harmonics_shape, x_shape):
        """Builds the parts."""
        shape = (*x_shape[:-1], self.width)
        self.levels.build(harmonics_shape)
        self.around.build((*x_shape[:-1], x_shape[-1] + self.width // 2))
        self.context.build((*x_shape[:-2], x_shape[-1]))
        self.mix.build(shape)
        self.estimate.build(shape)
        self.by_key = self.add_weight(shape=(NUM_KEYS, self.width), initializer="zeros",
                                      name="by_key")

    def call(self, harmonics, x, onset):
        """Reads velocities.

        Args:
            harmonics: Spectra around each key's partials, `[batch, frames, 88, channels]`.
            x: The trunk's channels, `[batch, frames, 88, width]`.
            onset: Probabilities of onsets, `[batch, frames, 88]`.

        Returns:
            Mean and standard deviation, each `[batch, frames, 88]`, as parts of 127.
        """
        hidden = ops.concatenate([x, self.levels(harmonics)], axis=-1)
        hidden = self.around(ops.pad(hidden, [[0, 0], self._reach(VELOCITY_TAPS), [0, 0], [0, 0]]))
        near = self.context(self.neighbours(x, onset))[:, :, None]
        found = self.estimate(self.mix(ops.relu(hidden + near + self.by_key)))
        scale = SCALE_FLOOR + ops.softplus(found[..., 1] + FIRST_SCALE_LOGIT)
        return ops.sigmoid(found[..., 0]), scale

    def neighbours(self, x, onset):
        """Mean of the trunk's channels over the onsets around each frame, `[.., frames, width]`."""
        sums = ops.einsum("btk,btkc->btc", onset, x)
        both = ops.concatenate([sums, ops.sum(onset, axis=-1, keepdims=True)], axis=-1)
        both = ops.average_pool(ops.pad(both, [[0, 0], self._reach(VELOCITY_CONTEXT), [0, 0]]),
                                VELOCITY_CONTEXT, strides=1, padding="valid")
        return both[..., :-1] / (both[..., -1:] + FEWEST_ONSETS)

    def _reach(self, frames):
        """Padding in time of something that reads `frames`."""
        return [frames - 1, 0] if self.causal else [frames // 2, frames // 2]

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "width": self.width, "causal": self.causal}


@keras.saving.register_keras_serializable(package="style_transfer")
class HarmonicTranscriber(keras.Model):
    """Audio to onsets, offsets, sounding and held keys, velocities and sustain pedal.

    Args:
        sample_rate: Hz of the audio.
        hop_length: Samples between frames.
        fft_sizes: Frame of the fine and of the fast spectrum, samples.
        bins_per_semitone: Filters a semitone of the fine and of the fast spectrum.
        width: Channels of each key.
        dilations: Of the trunk's blocks, frames.
        frame_dilations: Of the blocks that read onsets and offsets too.
        related: Channels gathered from each related key.
        related_every: Which blocks of the trunk gather them: every so many.
        causal: Whether outputs know no audio that is later than half a frame of the spectrum.
        velocity_width: Channels of the head that reads velocities.
    """

    def __init__(self, sample_rate=16_000, hop_length=320, fft_sizes=(4096, 1024),
                 bins_per_semitone=(3, 1), width=40, dilations=(1, 2, 4, 1, 8),
                 frame_dilations=(4, 16, 8), related=6, related_every=2, causal=False,
                 velocity_width=32, **kwargs):
        super().__init__(**kwargs)
        self.sample_rate, self.hop_length = sample_rate, hop_length
        self.fft_sizes, self.bins_per_semitone = tuple(fft_sizes), tuple(bins_per_semitone)
        self.width, self.related, self.related_every = width, related, related_every
        self.dilations, self.frame_dilations = tuple(dilations), tuple(frame_dilations)
        self.causal, self.velocity_width = causal, velocity_width
        # Most cells are silent: begin where training would spend its first steps getting to.
        rare = keras.initializers.Constant(RARE_LOGIT)
        self.stem = layers.Dense(width, name="stem")
        self.trunk = [HarmonicBlock(width, d, related if i % related_every == related_every - 1
                                    else 0, causal, name=f"trunk_{i}")
                      for i, d in enumerate(self.dilations)]
        self.attack = layers.Dense(2, bias_initializer=rare, name="attack")
        self.velocity = VelocityHead(velocity_width, causal, name="velocity")
        self.join = layers.Dense(width, name="join")
        self.sustain = [HarmonicBlock(width, d, related if i == 0 else 0, causal,
                                      name=f"sustain_{i}")
                        for i, d in enumerate(self.frame_dilations)]
        self.hold = layers.Dense(2, bias_initializer=rare, name="hold")
        self.pedal_block = layers.Conv1D(width, 9, padding="causal" if causal else "same",
                                         name="pedal_block")
        self.pedal = layers.Dense(1, name="pedal")

    expects_concert_pitch = True  # recordings are brought to A4 = 440 Hz before it hears them
    velocities_are_relative = True  # it hears recordings at one level, however hard they are played

    def build(self, input_shape=None):
        """Builds every layer; the length of the audio does not matter."""
        del input_shape
        if self.built:
            return
        channels = len(HARMONIC_SEMITONES) * sum(self.bins_per_semitone)
        keys = (None, None, NUM_KEYS)
        self.stem.build((*keys, channels))
        for layer in (*self.trunk, self.attack, *self.sustain, self.hold):
            layer.build((*keys, self.width))
        self.velocity.build((*keys, channels), (*keys, self.width))
        self.join.build((*keys, self.width + 2))
        self.pedal_block.build((None, None, 2 * self.width))
        self.pedal.build((None, None, self.width))
        self.built = True

    @property
    def frames_per_second(self) -> float:
        """Rate of the outputs, Hz."""
        return self.sample_rate / self.hop_length

    @property
    def context_secs(self) -> float:
        """How far from a frame audio can change its outputs, seconds."""
        frames = sum(self.dilations) + max(sum(self.frame_dilations) + 4, VELOCITY_CONTEXT // 2)
        frames *= 1 + self.causal
        return frames / self.frames_per_second + max(self.fft_sizes) / 2 / self.sample_rate

    def spectrogram(self, audio):
        """Logarithmic spectra over pitch, the fine and the fast one.

        Args:
            audio: Shape `[batch, samples]`.

        Returns:
            Shape `[batch, 1 + samples // hop_length, semitones, channels]`, around 0.
        """
        parts = []
        num_frames = 1 + audio.shape[1] // self.hop_length
        for fft_size, per_semitone in zip(self.fft_sizes, self.bins_per_semitone, strict=True):
            frames = spectral.frame(spectral.pad_frames(audio, fft_size, self.hop_length),
                                    fft_size, self.hop_length)[:, :num_frames]
            window = spectral.hann_window(fft_size)
            real, imag = ops.rfft(frames * window * (2 / window.sum()))
            matrix = log_frequency_matrix(fft_size, self.sample_rate, per_semitone)
            bands = ops.matmul(spectral.magnitude(real, imag), matrix)
            parts.append(ops.reshape(bands, (-1, num_frames, matrix.shape[1] // per_semitone,
                                             per_semitone)))
        bands = ops.concatenate(parts, axis=-1)
        return (ops.log(bands + LOG_FLOOR) - LOG_CENTRE) / LOG_SCALE

    def heads(self, spectrogram, training=False):
        """Outputs from `spectrogram`'s result; see `call`."""
        harmonics = ops.concatenate(
            [shifted_keys(spectrogram, s, NUM_KEYS) for s in HARMONIC_SEMITONES], axis=-1)
        x = ops.relu(self.stem(harmonics))
        for block in self.trunk:
            x = block(x, training=training)
        x = ops.relu(x)
        attack = self.attack(x)
        hints = ops.stop_gradient(ops.sigmoid(attack))
        y = ops.relu(self.join(ops.concatenate([x, hints], axis=-1)))
        for block in self.sustain:
            y = block(y, training=training)
        y = ops.relu(y)
        hold = self.hold(y)
        pooled = ops.concatenate([ops.mean(y, axis=2), ops.max(y, axis=2)], axis=-1)
        velocity, velocity_scale = self.velocity(harmonics, x, hints[..., 0])
        return {"onset": attack[..., 0], "offset": attack[..., 1],
                "velocity": velocity, "velocity_scale": velocity_scale,
                "frame": hold[..., 0], "key": hold[..., 1],
                "pedal": self.pedal(ops.relu(self.pedal_block(pooled)))}

    def call(self, audio, training=False):
        """Transcribes.

        Args:
            audio: Shape `[batch, samples]`.
            training: Whether batch statistics are used and gathered.

        Returns:
            A dict of `onset`, `offset`, `frame` (string sounding), `key` (key held): logits
            `[batch, frames, 88]`; `velocity` `[batch, frames, 88]` in [0, 1] and
            `velocity_scale`, its standard deviation; `pedal`: logits `[batch, frames, 1]`.
            Frame `t` is around sample `t * hop_length`.
        """
        return self.heads(self.spectrogram(audio), training=training)

    def get_config(self):
        """Constructor arguments."""
        names = ("sample_rate", "hop_length", "fft_sizes", "bins_per_semitone", "width",
                 "dilations", "frame_dilations", "related", "related_every", "causal",
                 "velocity_width")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
