"""The log-mel spectrogram that spectrogram models make and vocoders read, in `keras.ops`."""

import math

from keras import ops

from style_transfer.signal import mel as mel_lib
from style_transfer.signal import spectral

SAMPLE_RATE = 16_000
WINDOW_SAMPLES, HOP_SAMPLES = 2048, 256
FRAMES_PER_SECOND = SAMPLE_RATE / HOP_SAMPLES
NUM_BANDS, LOWEST_HZ = 160, 27.5
FLOOR = 1e-3  # added to magnitudes before the logarithm
SILENCE = math.log(FLOOR)
CENTRE, SPREAD = -3.0, 3.0  # of the log magnitudes of music, about
POLISH_ROUNDS, POLISH_UPDATES, POLISH_MOMENTUM = 4, 10, 0.9
LEVEL_DB = -20.0  # RMS of the sounding parts of recordings, dB full scale
_EDGE_SAMPLES = (WINDOW_SAMPLES - HOP_SAMPLES) // 2
_SMALL = 1e-12


def matrix():
    """Mel filters `[WINDOW_SAMPLES // 2 + 1, NUM_BANDS]`; see `mel.matrix`."""
    return mel_lib.matrix(SAMPLE_RATE, WINDOW_SAMPLES, NUM_BANDS, LOWEST_HZ, htk=True)


def num_frames(num_samples):
    """Frames that cover so many samples."""
    return -(-num_samples // HOP_SAMPLES)


def of_audio(audio):
    """Log magnitudes of mel bands.

    Frame `i` is centred on the middle of samples `i * HOP_SAMPLES` to `(i + 1) * HOP_SAMPLES`, so
    that it belongs to four frames of a 250 Hz piano roll.

    Args:
        audio: At `SAMPLE_RATE`, `[batch, samples]`; zeros fill up the last hop.

    Returns:
        `[batch, frames, NUM_BANDS]`, at least `SILENCE`.
    """
    return of_magnitude(linear(audio))


def linear(audio):
    """Magnitudes `[batch, frames, WINDOW_SAMPLES // 2 + 1]` of the frames of `of_audio`."""
    missing = -audio.shape[1] % HOP_SAMPLES
    audio = ops.pad(audio, [[0, 0], [_EDGE_SAMPLES, _EDGE_SAMPLES + missing]])
    return spectral.compute_mag(audio, WINDOW_SAMPLES, 1 - HOP_SAMPLES / WINDOW_SAMPLES,
                                pad_end=False)


def of_magnitude(magnitude):
    """Log-mel of linear magnitudes as `linear` gives them."""
    return ops.log(ops.matmul(magnitude, matrix()) + FLOOR)


def to_magnitude(log_mel, iterations=100, start=None):
    """Linear magnitudes, none negative, whose mel bands are nearest to those given.

    Args:
        log_mel: `[batch, frames, NUM_BANDS]`.
        iterations: Multiplicative updates.
        start: Magnitudes from which they begin; None for those of the bands.

    Returns:
        `[batch, frames, WINDOW_SAMPLES // 2 + 1]`.

    Source: Lee and Seung, Algorithms for non-negative matrix factorization, 2001, eq. 4.
    """
    mel, filters = ops.maximum(ops.exp(log_mel) - FLOOR, 0.0), ops.convert_to_tensor(matrix())
    to_bins = ops.transpose(filters)
    wanted = ops.matmul(mel, to_bins)
    magnitude = wanted if start is None else start + _SMALL
    for _ in range(iterations):
        # By way of the bands, which are a sixth as many as the bins.
        found = ops.matmul(ops.matmul(magnitude, filters), to_bins)
        magnitude = magnitude * wanted / (found + _SMALL)
    return magnitude


def griffin_lim(magnitude, iterations=32, momentum=0.99, seed=0, start=None):
    """Audio `[batch, frames * HOP_SAMPLES]` of `linear` magnitudes; see `spectral.griffin_lim`."""
    if start is not None:
        start = ops.pad(start, [[0, 0], [_EDGE_SAMPLES, _EDGE_SAMPLES]])
    audio = spectral.griffin_lim(magnitude, None, iterations, momentum,
                                 1 - HOP_SAMPLES / WINDOW_SAMPLES, seed=seed, start=start)
    return audio[:, _EDGE_SAMPLES:-_EDGE_SAMPLES]


def polish_reach(rounds):
    """Frames around one that `polished` audio of it depends on."""
    return (rounds + 2) * (WINDOW_SAMPLES // HOP_SAMPLES)


def polished(audio, log_mel, rounds=POLISH_ROUNDS):
    """Audio brought nearer to a spectrogram that it nearly has.

    Its magnitudes are moved until their bands are the spectrogram's, and some rounds of Griffin
    and Lim's algorithm, begun with its phases, look for audio that has them.

    Args:
        audio: `[batch, frames * HOP_SAMPLES]`, such as a vocoder's.
        log_mel: `[batch, frames, NUM_BANDS]`.
        rounds: Of the algorithm; 0 gives the audio back.

    Returns:
        As `audio`.
    """
    if not rounds:
        return audio
    magnitude = to_magnitude(log_mel, POLISH_UPDATES, linear(audio))
    return griffin_lim(magnitude, rounds - 1, POLISH_MOMENTUM, start=audio)


def scaled(log_mel):
    """About 0 in the mean and 1 in spread, for nets."""
    return (log_mel - CENTRE) / SPREAD


def unscaled(values):
    """The inverse of `scaled`."""
    return values * SPREAD + CENTRE
