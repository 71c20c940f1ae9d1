"""Style clips inside a graph."""

import tensorflow as tf

from style_transfer import audio as audio_lib
from style_transfer.graph import arrays, wav
from style_transfer.graph.checks import require
from style_transfer.measure.clip import MIN_CLIP_SECS, SILENCE_PEAK_DB

MAX_CLIP_SECS = 600


def checked(samples, rate):
    """A style clip that one can hear something in.

    Args:
        samples: float32 `[num_samples]`.
        rate: Scalar int32 tensor, Hz.

    Raises:
        InvalidArgumentError: The clip is too short, too long, or silent.
    """
    count, peak = tf.size(samples), tf.reduce_max(tf.abs(samples))
    with tf.control_dependencies([
            require(tf.cast(count, tf.float32) >= MIN_CLIP_SECS * tf.cast(rate, tf.float32),
                    "The style clip has", count, "samples at", rate, "Hz; at least 2 s are "
                    "needed, 10 s are good."),
            require(count // rate <= MAX_CLIP_SECS, "The style clip is longer than "
                    f"{MAX_CLIP_SECS} s. Cut it; 10 to 60 s are good."),
            require(peak >= 10 ** (SILENCE_PEAK_DB / 20), "The style clip is silent. Was the right "
                    "input recorded?")]):
        return tf.identity(samples)


def clip(samples, rate, to_rate, level_db):
    """A style clip at a rate and a level.

    Args:
        samples: float32 `[num_samples]`, finite.
        rate: Scalar int32 tensor, Hz.
        to_rate: Hz, an int.
        level_db: RMS, dB full scale.

    Returns:
        float32 `[num_samples]`.

    Raises:
        InvalidArgumentError: As `checked`.
    """
    resampled = wav.resample(checked(samples, rate), rate, to_rate)
    return audio_lib.at_level(resampled, level_db, arrays)
