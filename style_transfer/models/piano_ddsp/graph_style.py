"""A recording -> what is known of its piano, inside a graph: `estimate.estimate_piano`."""

import tensorflow as tf

from style_transfer.graph import wav
from style_transfer.graph.checks import require
from style_transfer.measure.clip import MIN_CLIP_SECS, SILENCE_PEAK_DB
from style_transfer.models.piano_ddsp import estimate
from style_transfer.models.piano_ddsp import graph_player as player
from style_transfer.models.piano_ddsp import graph_tuning as tuning
from style_transfer.models.piano_ddsp import net as piano_ddsp

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
    loudness_db = player.rms_db(samples)
    samples = _excerpt(wav.resample(samples, rate, model.sample_rate), model.sample_rate)
    f0_hz, inharmonicity = tuning.measure_tuning(samples, model.sample_rate)
    vector = model.encode_style(player.at_loudness(samples, estimate.TRAINING_RMS_DB)[None])[0]
    return {"style": vector, "f0_hz": f0_hz, "inharmonicity": inharmonicity,
            "loudness_db": tf.cast(loudness_db, tf.float32), **no_corrections(model)}


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
    return player.at_loudness(resampled, level_db)


def no_corrections(model):
    """The corrections of a piano that was not adapted."""
    return {"by_key": tf.zeros((piano_ddsp.NUM_ANCHORS, model.num_outputs)),
            "by_velocity": tf.zeros((model.num_outputs,)),
            "room": tf.zeros((2 * piano_ddsp.NUM_ROOM_BANDS,))}


def _excerpt(samples, rate):
    """The loudest `estimate.MAX_STYLE_SECS` of a clip that is longer."""
    size, window = int(estimate.MAX_STYLE_SECS * rate), int(estimate.MAX_STYLE_SECS)

    def cut():
        seconds = tf.reshape(tf.pad(tf.square(samples), [[0, -tf.size(samples) % rate]]),
                             (-1, rate))
        total = tf.pad(tf.cumsum(tf.reduce_sum(seconds, axis=1)), [[1, 0]])
        start = tf.argmax(total[window:] - total[:-window], output_type=tf.int32) * rate
        return samples[start:start + size]

    return tf.cond(tf.size(samples) > size, cut, lambda: samples)
