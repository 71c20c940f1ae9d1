"""Time-varying FIR filters: design from magnitudes or a cutoff, and convolution by FFT."""

import functools
import math

import numpy as np
from keras import ops

from style_transfer.signal import spectral


def fft_convolve(audio, impulse_response, padding: str = "same", delay_compensation: int = -1):
    """Convolves audio with one impulse response, or with another one for each stretch of it.

    The audio is cut into as many equal stretches as there are impulse responses, each is
    convolved by FFT, and the results are added up where they overlap.

    Args:
        audio: Shape `[batch, samples]`.
        impulse_response: Shape `[batch, taps]` or `[batch, frames, taps]`; a batch of 1 serves
            all clips.
        padding: `same` keeps the audio's length, `valid` adds the tail (`samples + taps - 1`).
        delay_compensation: Samples cut off the start; -1 takes the delay of the linear-phase
            filters made here.

    Returns:
        Filtered audio.

    Raises:
        ValueError: The padding is unknown, batch sizes differ, or the audio cannot be cut into
            that many equal stretches.

    Source: held to ddsp 3.7 `core.fft_convolve`.
    """
    audio = ops.convert_to_tensor(audio, "float32")
    impulse_response = ops.convert_to_tensor(impulse_response, "float32")
    if len(impulse_response.shape) == 2:
        impulse_response = impulse_response[:, None, :]
    _check_convolution(audio, impulse_response, padding)
    num_samples, (num_frames, num_taps) = audio.shape[1], impulse_response.shape[1:]
    hop_size = -(-num_samples // num_frames)
    fft_size = 2 ** math.ceil(math.log2(num_taps + hop_size - 1))
    stretches = ops.reshape(
        ops.pad(audio, [[0, 0], [0, num_frames * hop_size - num_samples]]),
        (-1, num_frames, hop_size),
    )
    product = _multiply(ops.rfft(stretches, fft_length=fft_size),
                        ops.rfft(impulse_response, fft_length=fft_size))
    filtered = spectral.overlap_add(ops.irfft(product, fft_length=fft_size), hop_size)
    start = (num_taps - 1) // 2 - 1 if delay_compensation < 0 else delay_compensation
    start = max(0, start)
    length = num_samples if padding == "same" else num_samples + num_taps - 1
    missing = max(0, start + length - filtered.shape[1])
    return ops.pad(filtered, [[0, 0], [0, missing]])[:, start : start + length]


def _check_convolution(audio, impulse_response, padding):
    if padding not in ("same", "valid"):
        raise ValueError(f"padding is {padding!r}, expected 'same' or 'valid'.")
    batch, ir_batch = audio.shape[0], impulse_response.shape[0]
    if None not in (batch, ir_batch) and ir_batch not in (1, batch):
        raise ValueError(
            f"There are {batch} clips and {ir_batch} impulse responses. Give one for each clip, "
            "or a single one."
        )
    num_samples, num_frames = audio.shape[1], impulse_response.shape[1]
    if -(-num_samples // -(-num_samples // num_frames)) != num_frames:
        raise ValueError(
            f"{num_samples} samples cannot be cut into {num_frames} equal stretches. Give audio "
            "whose length is a multiple of the number of impulse responses."
        )


def _multiply(a, b):
    return a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]


def frequency_impulse_response(magnitudes, window_size: int = 0):
    """Linear-phase FIR filters from magnitude responses, by frequency sampling.

    Args:
        magnitudes: Gain from 0 Hz to half the sample rate, `[..., bands]`, linear.
        window_size: Length of the Hann window put on the response; 0, or anything above
            `2 * (bands - 1)`, takes that.

    Returns:
        Causal impulse responses `[..., taps]`.

    Source: held to ddsp 3.7 `core.frequency_impulse_response`.
    """
    size = 2 * (magnitudes.shape[-1] - 1)
    response = ops.irfft((magnitudes, ops.zeros_like(magnitudes)), fft_length=size)
    window, order = _impulse_window(size, window_size)
    return ops.take(response * window, order, axis=-1)


@functools.cache
def _impulse_window(size, window_size):
    """Zero-phase window `[size]`, and the order of samples that makes the result causal."""
    if not 0 < window_size < size:
        window = np.fft.fftshift(spectral.hann_window(size))
        return window, np.fft.fftshift(np.arange(size))
    window, half = spectral.hann_window(window_size), (window_size + 1) // 2
    window = np.concatenate([window[half:], np.zeros(size - window_size, np.float32),
                             window[:half]])
    return window, np.r_[size - half + 2 : size, 0 : half + 1]


def frequency_filter(audio, magnitudes, window_size: int = 0, padding: str = "same"):
    """Filters audio with time-varying magnitude responses.

    Args:
        audio: Shape `[batch, samples]`.
        magnitudes: Shape `[batch, frames, bands]` or `[batch, bands]`, see
            `frequency_impulse_response`.
        window_size: As there.
        padding: As in `fft_convolve`.

    Returns:
        Filtered audio.

    Source: held to ddsp 3.7 `core.frequency_filter`.
    """
    return fft_convolve(audio, frequency_impulse_response(magnitudes, window_size), padding)


def sinc_impulse_response(cutoff, window_size: int = 512, sample_rate: int | None = None,
                          high_pass: bool = False):
    """Windowed-sinc filters of unit gain.

    Args:
        cutoff: Shape `[batch, frames, 1]`, in Hz if `sample_rate` is given, else as a share of
            half the sample rate.
        window_size: Length of the Hamming window; one is added if it is even.
        sample_rate: Samples per second, or None.
        high_pass: Whether frequencies below the cutoff are removed, instead of those above.

    Returns:
        Impulse responses `[batch, frames, 2 * (window_size // 2) + 1]`.

    Source: held to ddsp 3.7 `core.sinc_impulse_response`.
    """
    if sample_rate is not None:
        cutoff = cutoff * 2.0 / sample_rate
    half = window_size // 2
    offset = np.arange(-half, half + 1, dtype=np.float32)
    response = _sinc(cutoff * offset) * np.hamming(2 * half + 1).astype(np.float32)
    response = response / ops.abs(ops.sum(response, axis=-1, keepdims=True))
    return np.eye(1, 2 * half + 1, half, dtype=np.float32) - response if high_pass else response


def _sinc(x):
    angle = math.pi * ops.where(ops.less(ops.abs(x), 1e-20), 1e-20, x)
    return ops.sin(angle) / angle


def sinc_filter(audio, cutoff, window_size: int = 512, sample_rate: int | None = None,
                padding: str = "same", high_pass: bool = False):
    """Filters audio with a time-varying cutoff; arguments as in the functions above.

    Source: held to ddsp 3.7 `core.sinc_filter`.
    """
    response = sinc_impulse_response(cutoff, window_size, sample_rate, high_pass)
    return fft_convolve(audio, response, padding)
