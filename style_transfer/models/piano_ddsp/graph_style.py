"""A recording -> what is known of its piano, inside a graph: `estimate.estimate_piano`."""

import tensorflow as tf

from style_transfer import audio as audio_lib
from style_transfer.graph import arrays, wav
from style_transfer.graph.checks import require
from style_transfer.measure.clip import MIN_CLIP_SECS, SILENCE_PEAK_DB
from style_transfer.models.piano_ddsp import estimate
from style_transfer.models.piano_ddsp.graph_tuning import measure_tuning

MAX_CLIP_SECS = 600


def encode(model, samples, rate):
    """Parameters of the piano of a recording, not adapted.

    Args:
        model: A built `PianoDDSP` at 24 kHz.
        samples: float32 `[num_samples]`, finite.
        rate: Scalar int32 tensor, Hz.

    Returns:
        Dict as `player.Player` takes it.

    Raises:
        InvalidArgumentError: The clip is too short, too long, or silent.
    """
    samples = checked(samples, rate)
    loudness_db = audio_lib.level_db(samples, arrays)
    samples = wav.resample(samples, rate, model.sample_rate)
    start = audio_lib.loudest_start(samples, model.sample_rate, estimate.MAX_STYLE_SECS, arrays)
    samples = samples[start:start + estimate.MAX_STYLE_SECS * model.sample_rate]
    f0_hz, inharmonicity = measure_tuning(samples, model.sample_rate)
    samples = audio_lib.at_level(samples, estimate.TRAINING_RMS_DB, arrays)
    return {"style": model.encode_style(samples[None])[0], "f0_hz": f0_hz,
            "inharmonicity": inharmonicity, "loudness_db": tf.cast(loudness_db, tf.float32),
            **no_corrections(model)}


def checked(samples, rate):
    """A style clip that one can hear something in; `encode` says what is refused."""
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
    """A style clip at a rate and a level, as `wavenet.run` reads it.

    Args:
        samples: float32 `[num_samples]`, finite.
        rate: Scalar int32 tensor, Hz.
        to_rate: Hz, an int.
        level_db: RMS, dB full scale.

    Returns:
        float32 `[num_samples]`.

    Raises:
        InvalidArgumentError: As `encode`.
    """
    resampled = wav.resample(checked(samples, rate), rate, to_rate)
    return audio_lib.at_level(resampled, level_db, arrays)


def no_corrections(model):
    """The corrections of a piano that was not adapted."""
    return {name: tf.zeros(shape) for name, shape in estimate.correction_shapes(model).items()}
