"""Spectrograms as they are optimized, and audio of them."""

import numpy as np
from keras import ops

from style_transfer.signal import spectral

FRAME_SAMPLES, OVERLAP = 2048, 0.75
HOP_SAMPLES = round(FRAME_SAMPLES * (1 - OVERLAP))
NUM_BINS = FRAME_SAMPLES // 2 + 1
_WINDOW_POWER = float(np.sum(np.square(spectral.hann_window(FRAME_SAMPLES), dtype=np.float64)))
GRIFFIN_LIM_ITERATIONS = 32
DEPTH_DB = 50.0  # below a clip's mean power: what is weaker hardly counts
MAX_LOG_POWER = 40.0


def unit_power_at(rms_db):
    """What power 1 of `scaled` clips is if their RMS is this, dB full scale."""
    return _WINDOW_POWER * 10 ** ((rms_db - DEPTH_DB) / 10)


def scaled(samples, rms):
    """Samples of a clip of this RMS, scaled so that its bins' mean power is `DEPTH_DB`."""
    gain = 10 ** (DEPTH_DB / 20) / (rms * np.sqrt(_WINDOW_POWER))
    return np.asarray(samples * gain, np.float32)


def level_db(samples):
    """Level of a part of a `scaled` clip relative to the whole, dB."""
    return 10 * np.log10(np.mean(np.square(samples)) * _WINDOW_POWER + 1e-20) - DEPTH_DB


def transform(samples):
    """Real and imaginary part, each `[1, frames, bins]`, of `[samples]`."""
    return spectral.stft(samples[None], FRAME_SAMPLES, OVERLAP, center=True)


def log_power(transformed):
    """``log(1 + power)``, `[1, frames, bins]`, of what `transform` gives of scaled samples.

    Source: Cífka, ss-vq-vae's implementation of Ulyanov and Lebedev's method, with a `DEPTH_DB` of
    0: what lies below the mean power, most of a timbre, then changes nothing.
    """
    real, imaginary = transformed
    return ops.log1p(ops.square(real) + ops.square(imaginary))


def audio(found, samples):
    """Samples with a spectrogram, whose phases are those of other samples at first.

    Args:
        found: Log power, `[1, frames, bins]`.
        samples: `[samples]`, where phases begin.

    Returns:
        float32, as many.
    """
    magnitude = ops.sqrt(ops.expm1(ops.clip(found, 0.0, MAX_LOG_POWER)))
    made = spectral.griffin_lim(
        magnitude, len(samples), GRIFFIN_LIM_ITERATIONS, overlap=OVERLAP, center=True,
        start=samples[None, :(found.shape[1] - 1) * HOP_SAMPLES])
    return ops.convert_to_numpy(made)[0]
