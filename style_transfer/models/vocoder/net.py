"""`Vocoder`: ConvNeXt at the frame rate, and an inverse Fourier transform."""

import functools
import math

import keras
import numpy as np
from keras import layers, ops

from style_transfer.layers.convnext import ConvNeXtBlock
from style_transfer.signal import log_mel as log_mel_lib
from style_transfer.signal import mel as mel_lib
from style_transfer.signal import spectral

FRAME_SAMPLES = 1024
NUM_BINS = FRAME_SAMPLES // 2 + 1
OVERLAP = 1 - log_mel_lib.HOP_SAMPLES / FRAME_SAMPLES
OVERLAP_FRAMES = 2  # on both sides of a frame that share its samples
CONTROLS = ("sine_log_amplitude", "noise_log_amplitude", "deviation_bins")
LOBE_BINS = 3  # on both sides of a sine's that its main lobe touches
NOISE_FRAMES = 512
CHUNK_FRAMES = 512
_FITTED_BINS, _FITTED_AMPLITUDE, _FITTED_BANDS, _RIDGE = 0.9, 0.05, 2, 0.05
_EDGE_SAMPLES = (FRAME_SAMPLES - log_mel_lib.HOP_SAMPLES) // 2
_MAX_LOG, _SILENT_LOG = 8.0, -30.0
_MAX_DEVIATION_BINS = 0.998  # a lobe's formula divides zero by zero at whole bins
_OWN_BINS = 0.6  # a bin has a sine where one is nearer than that, else its neighbours have it
_OFFSETS = (0.0, -2.0)  # of the log amplitudes, before training


@keras.saving.register_keras_serializable(package="style_transfer")
class Vocoder(keras.Model):
    """Makes audio of log-mel spectrograms (see `signal.log_mel`).

    A spectrum of each frame is the sum of two: sines near their bins, and noise; the net says how
    loud they are. Vocos predicts phases too, but a net that is the same at all times gives every
    frame of a held note the same phase: all pitches would be multiples of the frame rate. Here
    phases go on from frame to frame, by frequencies that the mel bands around a bin tell (see
    `to_deviation`).

    Args:
        width: Channels between blocks.
        num_blocks: How many ConvNeXt blocks.
        kernel_size: Their taps, odd.
        expansion: Channels within a block, multiples of `width`.
        seed: Of the noise.

    Source: Siuzdak, Vocos: Closing the gap between time-domain and Fourier-based neural vocoders,
    2023; sines in spectra as in Rodet and Depalle, Spectral envelopes and inverse FFT synthesis,
    1992.
    """

    def __init__(self, width=160, num_blocks=4, kernel_size=7, expansion=3, seed=0, **kwargs):
        super().__init__(**kwargs)
        # Config
        self.width, self.num_blocks, self.kernel_size = width, num_blocks, kernel_size
        self.expansion, self.seed = expansion, seed
        # Layers
        self.embedding = layers.Conv1D(width, kernel_size, padding="same", name="embedding")
        self.first_normalization = layers.LayerNormalization(epsilon=1e-6, name="first")
        self.blocks = [ConvNeXtBlock(width, expansion * width, kernel_size, 1 / num_blocks,
                                     name=f"block_{i}") for i in range(num_blocks)]
        self.last_normalization = layers.LayerNormalization(epsilon=1e-6, name="last")
        self.head = layers.Dense(len(_OFFSETS) * NUM_BINS, name="head",
                                 kernel_initializer=keras.initializers.VarianceScaling(0.01))
        self.random = keras.random.SeedGenerator(seed + 1)

    controls, num_bins, overlap_frames = CONTROLS, NUM_BINS, OVERLAP_FRAMES

    @property
    def sample_rate(self):
        """Hz."""
        return log_mel_lib.SAMPLE_RATE

    @property
    def reach(self):
        """Frames before and after a frame that its controls depend on."""
        return (self.num_blocks + 1) * (self.kernel_size // 2)

    def build(self, input_shape=None):
        """Builds every layer; the input's length does not matter."""
        del input_shape
        if self.built:
            return
        bands = log_mel_lib.NUM_BANDS
        self.embedding.build((None, None, bands))
        for layer in (self.first_normalization, *self.blocks, self.last_normalization):
            layer.build((None, None, self.width))
        self.head.build((None, None, self.width + bands))
        self.to_bins, self.bin_gain = _interpolation()
        self.to_deviation = to_deviation()
        rng = np.random.default_rng(self.seed)
        self.noise = rng.normal(0, math.sqrt(0.5), (NOISE_FRAMES, 2 * NUM_BINS)).astype("f")
        self.first_phase = rng.uniform(size=NUM_BINS).astype("f")
        self.built = True

    def call(self, log_mel, training=False):
        """Audio `[batch, frames * 256]` of `[batch, frames, 160]`; noise is new in training."""
        controls = self.get_controls(log_mel)
        first = keras.random.randint((), 0, NOISE_FRAMES, seed=self.random) if training else 0
        return self.get_signal(self.with_silence(self.with_phases(controls)), first)

    def play(self, log_mel, chunk_frames=CHUNK_FRAMES, rounds=log_mel_lib.POLISH_ROUNDS):
        """Audio of a spectrogram of any length, in little memory.

        Args:
            log_mel: `[frames, NUM_BANDS]`.
            chunk_frames: How many frames' audio is made at once, more than `OVERLAP_FRAMES`.
            rounds: Of `log_mel.polished`; with 0 it is what `call` gives.

        Returns:
            NumPy, `[frames * HOP_SAMPLES]`.
        """
        log_mel = np.asarray(log_mel)
        audio = self._played(log_mel, chunk_frames)
        hop, total, margin = log_mel_lib.HOP_SAMPLES, len(log_mel), log_mel_lib.polish_reach(rounds)
        parts = []
        for first in range(0, total, chunk_frames) if rounds else ():
            last = min(first + chunk_frames, total)
            begin, end = max(0, first - margin), min(total, last + margin)
            part = log_mel_lib.polished(audio[None, begin * hop:end * hop],
                                        log_mel[None, begin:end], rounds)
            parts.append(np.asarray(part)[0, (first - begin) * hop:(last - begin) * hop])
        return np.concatenate(parts) if rounds else audio

    def _played(self, log_mel, chunk_frames):
        """What `call` gives, chunk by chunk."""
        total, before, parts = len(log_mel), None, []
        for first in range(0, total, chunk_frames):
            last = min(first + chunk_frames, total)
            start, stop = max(0, first - OVERLAP_FRAMES), min(total, last + OVERLAP_FRAMES)
            begin, end = max(0, start - self.reach), min(total, stop + self.reach)
            controls = self.get_controls(ops.convert_to_tensor(log_mel[begin:end])[None])
            controls = self.with_phases(
                {name: value[:, start - begin:stop - begin] for name, value in controls.items()},
                before)
            if last < total:  # the next chunk begins with the last frames of this one
                before = controls["phase_cycles"][:, last - OVERLAP_FRAMES - 1 - start]
            controls = self.with_silence(controls, OVERLAP_FRAMES - (first - start),
                                         OVERLAP_FRAMES - (stop - last))
            parts.append(np.asarray(self.get_signal(controls, first))[0])
        return np.concatenate(parts)

    def get_controls(self, log_mel):
        """What the net says.

        Args:
            log_mel: `[batch, frames, NUM_BANDS]`.

        Returns:
            A dict by the names `CONTROLS` of `[batch, frames, NUM_BINS]`: natural logarithms of
            amplitudes, and how far sines are from their bins, in bins.
        """
        found, level = self.head(self.told(log_mel)), self.level(log_mel)
        sine, noise = (ops.minimum(value + level + offset, _MAX_LOG) for value, offset in zip(
            ops.split(found, len(_OFFSETS), axis=-1), _OFFSETS, strict=True))
        deviation = ops.matmul(log_mel, self.to_deviation)
        sine = ops.where(ops.abs(deviation) < _OWN_BINS, sine, _SILENT_LOG)
        deviation = ops.clip(deviation, -_MAX_DEVIATION_BINS, _MAX_DEVIATION_BINS)
        return dict(zip(CONTROLS, (sine, noise, deviation), strict=True))

    def told(self, log_mel):
        """What the last layer is told, `[batch, frames, width + NUM_BANDS]`."""
        values = log_mel_lib.scaled(log_mel)
        x = self.first_normalization(self.embedding(values))
        for block in self.blocks:
            x = block(x)
        return ops.concatenate([self.last_normalization(x), values], axis=-1)

    def level(self, log_mel):
        """Log amplitudes `[batch, frames, NUM_BINS]` that the bands alone give the bins."""
        return ops.matmul(log_mel, self.to_bins) + self.bin_gain

    def with_phases(self, controls, before=None):
        """Controls with how far sines have turned away from their bins' frequencies.

        Args:
            controls: From `get_controls`.
            before: The same in the frame before, `[batch, NUM_BINS]`; None at the beginning.

        Returns:
            The controls and `phase_cycles`, `[batch, frames, NUM_BINS]`.
        """
        turned = ops.cumsum(controls["deviation_bins"] * (1 - OVERLAP), axis=1)
        start = self.first_phase if before is None else before[:, None]
        return {**controls, "phase_cycles": turned + start}

    @staticmethod
    def with_silence(controls, before=OVERLAP_FRAMES, behind=OVERLAP_FRAMES):
        """Controls with so many silent frames before and behind them."""
        padding = ((0, 0), (before, behind), (0, 0))
        return {name: ops.pad(value, padding, constant_values=_SILENT_LOG
                              if name.endswith("log_amplitude") else 0.0)
                for name, value in controls.items()}

    def get_signal(self, controls, first_frame=0):
        """Audio of controls.

        Args:
            controls: From `with_phases`, with `OVERLAP_FRAMES` more on both sides than are played.
            first_frame: Place in the piece of the first frame that is played, which its noise
                depends on.

        Returns:
            `[batch, frames * HOP_SAMPLES]`.
        """
        num_frames = controls["phase_cycles"].shape[1]
        frame = first_frame - OVERLAP_FRAMES + ops.arange(num_frames)
        noise = ops.take(self.noise, frame % NOISE_FRAMES, axis=0)
        noise = ops.split(noise, 2, axis=-1)
        loudness = ops.exp(controls["noise_log_amplitude"])
        # Bin k turns k / 4 times from frame to frame.
        turns = (frame[:, None] * np.arange(NUM_BINS)) % round(1 / (1 - OVERLAP))
        cycles = controls["phase_cycles"] + ops.cast(turns, "float32") * (1 - OVERLAP)
        sines = _lobes(ops.exp(controls["sine_log_amplitude"]), controls["deviation_bins"], cycles)
        centred = np.where(np.arange(NUM_BINS) % 2, -1, 1).astype("f")
        spectrum = [centred * (sine + loudness * part)
                    for sine, part in zip(sines, noise, strict=True)]
        audio = spectral.istft(spectrum, FRAME_SAMPLES, OVERLAP)
        edge = OVERLAP_FRAMES * log_mel_lib.HOP_SAMPLES + _EDGE_SAMPLES
        return audio[:, edge:-edge]

    def get_config(self):
        """Constructor arguments."""
        names = ("width", "num_blocks", "kernel_size", "expansion", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def magnitudes(audio):
    """Magnitudes `[batch, frames, NUM_BINS]` of audio `[batch, samples]` in a vocoder's frames."""
    missing = -audio.shape[1] % log_mel_lib.HOP_SAMPLES
    audio = ops.pad(audio, [[0, 0], [_EDGE_SAMPLES, _EDGE_SAMPLES + missing]])
    return spectral.compute_mag(audio, FRAME_SAMPLES, OVERLAP, pad_end=False)


def _lobes(amplitude, deviation_bins, cycles):
    """Spectra of windowed sines, real and imaginary part `[batch, frames, NUM_BINS]`.

    The Hann window's main lobe at `x` bins from a sine is `sin(pi x) / (pi x (1 - x^2))`.
    """
    deviation = ops.where(ops.abs(deviation_bins) < 1e-3, 1e-3, deviation_bins)
    height = amplitude * ops.sin(math.pi * deviation) / math.pi
    turned = ops.cos(2 * math.pi * cycles) * height, ops.sin(2 * math.pi * cycles) * height
    real = imaginary = 0.0
    for bins in range(-LOBE_BINS, LOBE_BINS + 1):
        x = bins - deviation
        lobe = (1 if bins % 2 else -1) / (x * (1 - ops.square(x)))
        moved = [_moved(part * lobe, bins) for part in turned]
        real, imaginary = real + moved[0], imaginary + moved[1]
    return real, imaginary


def _moved(values, bins):
    """Each bin's value `bins` higher; what leaves the spectrum is lost."""
    if bins < 0:
        return ops.pad(values[..., -bins:], ((0, 0), (0, 0), (0, -bins)))
    return ops.pad(values[..., :NUM_BINS - bins], ((0, 0), (0, 0), (bins, 0)))


def _interpolation():
    """How log-mel bands become log amplitudes of bins: a matrix, and what is added.

    A sine of amplitude A gives a band `WINDOW_SAMPLES / 2 * A` times its triangle's height, and a
    bin of a frame `FRAME_SAMPLES / 4 * A`.
    """
    edges = mel_lib.spaced_hz(log_mel_lib.LOWEST_HZ, log_mel_lib.SAMPLE_RATE / 2,
                              log_mel_lib.NUM_BANDS + 2)
    bins_hz = np.linspace(0, log_mel_lib.SAMPLE_RATE / 2, NUM_BINS)
    place = np.interp(mel_lib.from_hz(bins_hz), mel_lib.from_hz(edges[1:-1]),
                      np.arange(log_mel_lib.NUM_BANDS))
    matrix = np.maximum(0, 1 - np.abs(place - np.arange(log_mel_lib.NUM_BANDS)[:, None]))
    height = 2 / (edges[2:] - edges[:-2])
    gain = np.log(FRAME_SAMPLES / 4 / (log_mel_lib.WINDOW_SAMPLES / 2 * height)) @ matrix
    return matrix.astype("f"), gain.astype("f")


@functools.cache
def to_deviation():
    """How far a lone sine is from a bin, as linear functions of the log-mel bands around the bin.

    A window's lobe is nearly a Gaussian, of whose logarithm the slope tells how far its middle is.
    Ridge regression on sines within `_FITTED_BINS` of each bin; no function hears the level.

    Returns:
        float32 `[NUM_BANDS, NUM_BINS]`, bins; not to be written to.
    """
    size, rate = log_mel_lib.WINDOW_SAMPLES, log_mel_lib.SAMPLE_RATE
    filters = log_mel_lib.matrix()
    time = np.arange(size) / rate
    deviations = np.linspace(-_FITTED_BINS, _FITTED_BINS, 7)
    bins_hz = np.linspace(0, rate / 2, NUM_BINS)
    bands_hz = mel_lib.spaced_hz(log_mel_lib.LOWEST_HZ, rate / 2, log_mel_lib.NUM_BANDS + 2)[1:-1]
    found = np.zeros((log_mel_lib.NUM_BANDS, NUM_BINS), np.float32)
    for place in range(2, NUM_BINS - 2):
        hz = bins_hz[place] + deviations[:, None] * bins_hz[1]
        waves = _FITTED_AMPLITUDE * np.sin(2 * math.pi * hz * time) * spectral.hann_window(size)
        levels = np.log(np.abs(np.fft.rfft(waves)) @ filters + log_mel_lib.FLOOR)
        nearest = int(np.abs(bands_hz - bins_hz[place]).argmin())
        around = np.arange(max(0, nearest - _FITTED_BANDS),
                           min(log_mel_lib.NUM_BANDS, nearest + _FITTED_BANDS + 1))
        seen = levels[:, around] - levels[:, around].mean(axis=1, keepdims=True)
        penalty = _RIDGE * len(seen) * np.eye(len(around))
        weights = np.linalg.solve(seen.T @ seen + penalty, seen.T @ deviations)
        found[around, place] = weights - weights.mean()
    return found
