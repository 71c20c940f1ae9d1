"""Spectrograms, mel, MFCC, loudness and phase recovery in `keras.ops`, finite for silence."""

import functools
import math

import numpy as np
from keras import ops

from style_transfer.signal import mel as mel_lib

DB_RANGE = 80.0
SAFE_LOG_EPSILON = 1e-5
# Values below count as zero in logarithms: the slope 1 / x of smaller ones overflows float32.
LOG_THRESHOLD = 1e-20
# Below this the square root turns into a straight line, so that its slope stays finite.
MIN_POWER = 1e-24
MIN_HOP = 256
PADDINGS = ("valid", "same", "center")


# Frames ------------------------------------------------------------------------------------
def frame(audio, frame_size: int, hop_size: int, pad_end: bool = False):
    """Cuts audio into overlapping frames.

    Shifted views of hop-sized blocks are joined, rather than gathered: forward and backward
    pass are plain copies, where the gradient of a gather is a slow scatter.

    Args:
        audio: Shape `[batch, samples]`.
        frame_size: Samples in a frame.
        hop_size: Samples between the starts of two frames.
        pad_end: Whether zeros follow the audio, so that a frame starts at every hop within it.

    Returns:
        Shape `[batch, frames, frame_size]`.

    Raises:
        ValueError: The audio is shorter than one frame and `pad_end` is False.
    """
    num_samples = _num_samples(audio)
    num_frames = _num_frames(num_samples, frame_size, hop_size, pad_end)
    shifts = -(-frame_size // hop_size)
    num_blocks = num_frames + shifts - 1
    length = num_blocks * hop_size
    if length > num_samples:
        audio = ops.pad(audio, [[0, 0], [0, length - num_samples]])
    blocks = ops.reshape(audio[:, :length], [-1, num_blocks, hop_size])
    joined = ops.concatenate([blocks[:, i : i + num_frames] for i in range(shifts)], axis=-1)
    return joined if shifts * hop_size == frame_size else joined[..., :frame_size]


def _num_frames(num_samples, frame_size, hop_size, pad_end):
    if pad_end:
        return max(1, -(-num_samples // hop_size))
    if num_samples < frame_size:
        raise ValueError(
            f"The audio has {num_samples} samples, a frame {frame_size}. Give longer audio, "
            "a smaller frame, or pad the end."
        )
    return 1 + (num_samples - frame_size) // hop_size


def overlap_add(frames, hop_size: int):
    """Adds frames up at a distance of `hop_size`: the transpose of `frame`.

    Args:
        frames: Shape `[batch, frames, frame_size]`.
        hop_size: Samples between the starts of two frames.

    Returns:
        Shape `[batch, (frames - 1) * hop_size + frame_size]`.
    """
    num_frames, frame_size = frames.shape[1], frames.shape[2]
    shifts = -(-frame_size // hop_size)
    frames = ops.pad(frames, [[0, 0], [0, 0], [0, shifts * hop_size - frame_size]])
    blocks = ops.reshape(frames, [-1, num_frames, shifts, hop_size])
    audio = 0.0
    for i in range(shifts):
        audio += ops.pad(blocks[:, :, i], [[0, 0], [i, shifts - 1 - i], [0, 0]])
    audio = ops.reshape(audio, [-1, (num_frames + shifts - 1) * hop_size])
    return audio[:, : (num_frames - 1) * hop_size + frame_size]


def pad_frames(audio, frame_size: int, hop_size: int, padding: str = "center"):
    """Pads audio with zeros before it is framed.

    Args:
        audio: Shape `[batch, samples]`.
        frame_size: Samples in a frame.
        hop_size: Samples between frames.
        padding: `center` puts the middle of frame `i` on sample `i * hop_size` and gives
            `samples / hop_size + 1` frames, `same` pads the end to `samples / hop_size` frames,
            `valid` leaves the audio as it is.

    Returns:
        The padded audio.

    Raises:
        ValueError: The padding is unknown, or the hop is longer than a frame.
    """
    if padding not in PADDINGS:
        raise ValueError(f"padding is {padding!r}, expected one of {', '.join(PADDINGS)}.")
    if padding == "valid":
        return audio
    if hop_size > frame_size:
        raise ValueError(
            f"The hop ({hop_size}) must not exceed the frame ({frame_size}): samples would be "
            "left out. Raise frame_size or the frame rate."
        )
    if padding == "center":
        return ops.pad(audio, [[0, 0], [frame_size // 2, frame_size // 2]])
    num_samples = _num_samples(audio)
    num_frames = -(-num_samples // hop_size)
    end = (num_frames - 1) * hop_size + frame_size - num_samples
    return ops.pad(audio, [[0, 0], [0, max(0, end)]])


# Fourier transforms --------------------------------------------------------------------------
@functools.cache
def hann_window(size: int):
    """Hann window, numpy float32 `[size]`: periodic if even, symmetric if odd, as TensorFlow's."""
    period = size if size % 2 == 0 else max(1, size - 1)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / period)
    return window.astype(np.float32)


def stft(audio, frame_size: int = 2048, overlap: float = 0.75, pad_end: bool = True,
         center: bool = False):
    """Short-time Fourier transform with a Hann window.

    Args:
        audio: Shape `[batch, samples]` or `[batch, samples, 1]`.
        frame_size: Window length in samples; the transform is as long as the next power of two.
        overlap: Part of a frame that the next one shares, in [0, 1).
        pad_end: Whether zeros follow the audio, so that a frame starts at every hop within it.
        center: Whether frames are centred on their time, with zeros on both sides as librosa
            does; `pad_end` is then not used.

    Returns:
        Real and imaginary part, each `[batch, frames, fft_size // 2 + 1]`.

    Source: held to ddsp 3.7 `spectral_ops.stft` (`center=False`), librosa's (`center=True`).
    """
    audio = _mono(audio)
    hop_size = _hop_size(frame_size, overlap)
    if center:
        audio = pad_frames(audio, frame_size, hop_size, "center")
    frames = frame(audio, frame_size, hop_size, pad_end and not center)
    fft_size = 2 ** math.ceil(math.log2(frame_size))
    return ops.rfft(frames * hann_window(frame_size), fft_length=fft_size)


def istft(spectrum, frame_size: int = 2048, overlap: float = 0.75, num_samples: int | None = None,
          center: bool = False):
    """Audio whose short-time Fourier transform is nearest to the given one.

    Overlap-add of windowed inverse transforms, divided by the summed squared window.

    Args:
        spectrum: Real and imaginary part, each `[batch, frames, fft_size // 2 + 1]`.
        frame_size: Window length in samples.
        overlap: As given to `stft`.
        num_samples: Length to cut or pad to; None keeps all that the frames cover.
        center: As given to `stft`.

    Returns:
        Shape `[batch, num_samples]`.

    Source: Griffin and Lim, 1984, eq. 6.
    """
    hop_size = _hop_size(frame_size, overlap)
    window = hann_window(frame_size)
    frames = ops.irfft(spectrum)[..., :frame_size] * window
    audio = overlap_add(frames, hop_size)
    audio = audio / _window_energy(frame_size, hop_size, frames.shape[1])
    start = frame_size // 2 if center else 0
    if num_samples is None:
        return audio[:, start : audio.shape[1] - start]
    missing = start + num_samples - audio.shape[1]
    if missing > 0:
        audio = ops.pad(audio, [[0, 0], [0, missing]])
    return audio[:, start : start + num_samples]


def _window_energy(frame_size, hop_size, num_frames):
    energy = np.zeros((num_frames - 1) * hop_size + frame_size, np.float32)
    for i in range(num_frames):
        energy[i * hop_size : i * hop_size + frame_size] += hann_window(frame_size) ** 2
    # The very first samples lie under a window that is almost zero: dividing by it would blow
    # rounding errors up to clicks.
    return np.maximum(energy, 1e-3)


def griffin_lim(magnitude, num_samples: int | None = None, iterations: int = 32,
                momentum: float = 0.99, overlap: float = 0.75, center: bool = False, seed: int = 0,
                start=None):
    """Audio with a given magnitude spectrogram, its phase found by alternating projections.

    Args:
        magnitude: Linear magnitudes, `[batch, frames, frame_size // 2 + 1]`, from
            `compute_mag` with the same `overlap` and `center`.
        num_samples: Length of the audio; None keeps all that the frames cover.
        iterations: Rounds of inverse and forward transform.
        momentum: Acceleration; 0 is the original algorithm.
        overlap: As given to `compute_mag`.
        center: As given to `compute_mag`.
        seed: Seed of the random first phase.
        start: Audio of which the first phase is taken instead, as long as all frames cover.

    Returns:
        Shape `[batch, num_samples]`.

    Source: Griffin and Lim, 1984; Perraudin, Balazs and Søndergaard, 2013 (acceleration).
    """
    frame_size = 2 * (magnitude.shape[-1] - 1)
    hop_size = _hop_size(frame_size, overlap)
    num_frames = magnitude.shape[1]
    covered = (num_frames - 1) * hop_size + (0 if center else frame_size)
    if start is None:
        phase = np.random.default_rng(seed).uniform(-np.pi, np.pi, magnitude.shape[1:])
        direction = ops.cos(phase.astype(np.float32)), ops.sin(phase.astype(np.float32))
    else:
        direction = _unit(stft(start, frame_size, overlap, pad_end=False, center=center))
    previous = 0.0, 0.0
    for _ in range(iterations):
        estimate = tuple(magnitude * part for part in direction)
        audio = istft(estimate, frame_size, overlap, covered, center)
        rebuilt = stft(audio, frame_size, overlap, pad_end=False, center=center)
        ahead = [
            new + momentum * (new - old) for new, old in zip(rebuilt, previous, strict=True)
        ]
        direction, previous = _unit(ahead), rebuilt
    estimate = tuple(magnitude * part for part in direction)
    return istft(estimate, frame_size, overlap, num_samples, center)


def _unit(spectrum):
    """Real and imaginary parts of magnitude 1."""
    norm = ops.sqrt(ops.square(spectrum[0]) + ops.square(spectrum[1]) + MIN_POWER)
    return tuple(part / norm for part in spectrum)


# Spectrograms ----------------------------------------------------------------------------------
def magnitude(real, imag):
    """Absolute value of a complex spectrum, with zero gradient (not NaN) at zero."""
    power = ops.square(real) + ops.square(imag)
    return power * ops.rsqrt(ops.maximum(power, MIN_POWER))


def compute_mag(audio, size: int = 2048, overlap: float = 0.75, pad_end: bool = True,
                center: bool = False):
    """Linear magnitude spectrogram `[batch, frames, size // 2 + 1]`; arguments as in `stft`.

    Source: held to ddsp 3.7 `spectral_ops.compute_mag`.
    """
    return magnitude(*stft(audio, size, overlap, pad_end, center))


def sparse_hop(size: int) -> int:
    """Samples between the frames of `sparse_mag`: a quarter of a window, and `MIN_HOP` at least."""
    return max(size // 4, MIN_HOP)


def sparse_mag(audio, size: int):
    """Linear magnitudes `[batch, frames, size // 2 + 1]` of whole windows, `sparse_hop` apart."""
    return compute_mag(audio, size, overlap=1 - sparse_hop(size) / size, pad_end=False)


def compute_logmag(audio, size: int = 2048, overlap: float = 0.75, pad_end: bool = True):
    """Natural logarithm of the magnitude spectrogram; zeros count as `SAFE_LOG_EPSILON`."""
    return safe_log(compute_mag(audio, size, overlap, pad_end))


def compute_mel(audio, lo_hz: float = 0.0, hi_hz: float = 8000.0, bins: int = 64,
                fft_size: int = 2048, overlap: float = 0.75, pad_end: bool = True,
                sample_rate: int = 16000):
    """Mel spectrogram of magnitudes, HTK scale, triangles of height 1.

    Args:
        audio: Shape `[batch, samples]`.
        lo_hz: Lower edge of the lowest band.
        hi_hz: Upper edge of the highest band.
        bins: Number of bands.
        fft_size: Window length in samples.
        overlap: Part of a frame that the next one shares.
        pad_end: As in `stft`.
        sample_rate: Samples per second.

    Returns:
        Shape `[batch, frames, bins]`.

    Source: held to ddsp 3.7 `spectral_ops.compute_mel`.
    """
    mag = compute_mag(audio, fft_size, overlap, pad_end)
    return ops.matmul(mag, htk_mel_matrix(bins, mag.shape[-1], sample_rate, lo_hz, hi_hz))


def compute_logmel(audio, lo_hz: float = 80.0, hi_hz: float = 7600.0, bins: int = 64,
                   fft_size: int = 2048, overlap: float = 0.75, pad_end: bool = True,
                   sample_rate: int = 16000):
    """Natural logarithm of `compute_mel`; arguments as there."""
    mel = compute_mel(audio, lo_hz, hi_hz, bins, fft_size, overlap, pad_end, sample_rate)
    return safe_log(mel)


def compute_mfcc(audio, lo_hz: float = 20.0, hi_hz: float = 8000.0, fft_size: int = 1024,
                 mel_bins: int = 128, mfcc_bins: int = 13, overlap: float = 0.75,
                 pad_end: bool = True, sample_rate: int = 16000):
    """Mel-frequency cepstral coefficients `[batch, frames, mfcc_bins]`.

    Args as in `compute_mel`, with `mel_bins` bands of which the cosine transform (type II,
    scaled by `1 / sqrt(2 * mel_bins)`) keeps the first `mfcc_bins` coefficients.

    Source: held to ddsp 3.7 `spectral_ops.compute_mfcc`.
    """
    logmel = compute_logmel(
        audio, lo_hz, hi_hz, mel_bins, fft_size, overlap, pad_end, sample_rate
    )
    return ops.matmul(logmel, _cosine_matrix(mel_bins, mfcc_bins))


@functools.cache
def _cosine_matrix(num_bands, num_coefficients):
    angle = np.pi / num_bands * np.outer(np.arange(num_bands) + 0.5, np.arange(num_coefficients))
    return (2 * np.cos(angle) / np.sqrt(2 * num_bands)).astype(np.float32)


@functools.cache
def htk_mel_matrix(num_bands: int, num_bins: int, sample_rate: int, lo_hz: float, hi_hz: float):
    """Triangles of height 1 on the HTK mel scale, the zero-frequency bin left out.

    Returns:
        numpy float32 `[num_bins, num_bands]`.

    Source: held to `tf.signal.linear_to_mel_weight_matrix`.
    """
    bins = mel_lib.from_hz(np.linspace(0, sample_rate / 2, num_bins)[1:])[:, None]
    edges = np.linspace(mel_lib.from_hz(lo_hz), mel_lib.from_hz(hi_hz), num_bands + 2)
    low, peak, high = edges[:-2], edges[1:-1], edges[2:]
    slopes = np.minimum((bins - low) / (peak - low), (high - bins) / (high - peak))
    return np.pad(np.maximum(0, slopes), [[1, 0], [0, 0]]).astype(np.float32)


# Levels ------------------------------------------------------------------------------------------
def compute_loudness(audio, sample_rate: int = 16000, frame_rate: int = 250, n_fft: int = 512,
                     range_db: float = DB_RANGE, ref_db: float = 0.0, padding: str = "center"):
    """A-weighted power in dB, averaged over frequency.

    Args:
        audio: Shape `[batch, samples]` or `[samples]`.
        sample_rate: Samples per second.
        frame_rate: Loudness values per second.
        n_fft: Window length in samples.
        range_db: The result is never below `-range_db`.
        ref_db: Level that counts as 0 dB.
        padding: As in `pad_frames`.

    Returns:
        dB, shape `[batch, frames]` or `[frames]`.

    Source: held to ddsp 3.7 `spectral_ops.compute_loudness`.
    """
    audio, single = _with_batch(audio)
    hop_size = sample_rate // frame_rate
    audio = pad_frames(audio, n_fft, hop_size, padding)
    frames = frame(audio, n_fft, hop_size) * hann_window(n_fft)
    real, imag = ops.rfft(frames, fft_length=2 ** math.ceil(math.log2(n_fft)))
    power = (ops.square(real) + ops.square(imag)) * _a_weighting(sample_rate, n_fft)
    loudness_db = power_to_db(ops.mean(power, axis=-1), ref_db, range_db)
    return loudness_db[0] if single else loudness_db


@functools.cache
def _a_weighting(sample_rate, n_fft):
    import librosa

    hz = librosa.fft_frequencies(sr=sample_rate, n_fft=n_fft)
    with np.errstate(divide="ignore"):  # 0 Hz has weight minus infinity, clipped to -80 dB
        weight_db = librosa.A_weighting(hz)
    return (10 ** (weight_db / 10)).astype(np.float32)


def compute_rms_energy(audio, sample_rate: int = 16000, frame_rate: int = 250,
                       frame_size: int = 512, padding: str = "center"):
    """Root mean square of each frame, `[batch, frames]` or `[frames]`.

    Source: held to ddsp 3.7 `spectral_ops.compute_rms_energy`.
    """
    audio, single = _with_batch(audio)
    hop_size = sample_rate // frame_rate
    frames = frame(pad_frames(audio, frame_size, hop_size, padding), frame_size, hop_size)
    power = ops.mean(ops.square(frames), axis=-1)
    rms = power * ops.rsqrt(ops.maximum(power, MIN_POWER))
    return rms[0] if single else rms


def compute_power(audio, sample_rate: int = 16000, frame_rate: int = 250, frame_size: int = 512,
                  ref_db: float = 0.0, range_db: float = DB_RANGE, padding: str = "center"):
    """Power of each frame in dB, never below `-range_db`; arguments as in `compute_loudness`.

    Source: held to ddsp 3.7 `spectral_ops.compute_power`.
    """
    rms = compute_rms_energy(audio, sample_rate, frame_rate, frame_size, padding)
    return amplitude_to_db(rms, ref_db, range_db)


def amplitude_to_db(amplitude, ref_db: float = 0.0, range_db: float = DB_RANGE):
    """Linear amplitude to dB, never below `-range_db`."""
    return power_to_db(ops.square(amplitude), ref_db, range_db)


def power_to_db(power, ref_db: float = 0.0, range_db: float = DB_RANGE):
    """Power to dB, never below `-range_db`."""
    power = ops.maximum(power, 10 ** (-range_db / 10))
    return ops.maximum(10 / math.log(10) * ops.log(power) - ref_db, -range_db)


def safe_log(x, epsilon: float = SAFE_LOG_EPSILON):
    """Natural logarithm in which values that are not positive count as `epsilon`.

    Source: held to ddsp 3.7 `core.safe_log` (which replaces, and does not add).
    """
    return ops.log(ops.where(ops.less_equal(x, LOG_THRESHOLD), epsilon, x))


# Shapes ------------------------------------------------------------------------------------------
def _hop_size(frame_size, overlap):
    hop_size = int(round(frame_size * (1.0 - overlap)))
    if not 0 < hop_size:
        raise ValueError(
            f"An overlap of {overlap} leaves no hop between frames of {frame_size} samples. "
            "Give an overlap in [0, 1)."
        )
    return hop_size


def _mono(audio):
    audio = ops.convert_to_tensor(audio)
    return ops.squeeze(audio, axis=-1) if len(audio.shape) == 3 else audio


def _with_batch(audio):
    audio = ops.convert_to_tensor(audio)
    single = len(audio.shape) == 1
    return (audio[None] if single else audio), single


def _num_samples(audio):
    num_samples = audio.shape[-1]
    if num_samples is None:
        raise ValueError(
            "The audio's number of samples must be known when the graph is built; the shape "
            f"is {tuple(audio.shape)}. Crop all clips to one length."
        )
    return num_samples
