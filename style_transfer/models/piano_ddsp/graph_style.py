"""A recording -> what is known of its piano, inside a graph: `estimate.estimate_piano`."""

import tensorflow as tf

from style_transfer import audio as audio_lib
from style_transfer.graph import arrays, clips, wav
from style_transfer.models.piano_ddsp import estimate
from style_transfer.models.piano_ddsp.graph_tuning import measure_tuning


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
    samples = clips.checked(samples, rate)
    samples = wav.resample(samples, rate, model.sample_rate)
    loudness_db = audio_lib.sounding_level_db(samples, model.sample_rate, arrays)
    begin, end = audio_lib.sounding_part(samples, model.sample_rate, arrays)
    samples = samples[begin:end]
    start = audio_lib.loudest_start(samples, model.sample_rate, estimate.MAX_STYLE_SECS, arrays)
    samples = samples[start:start + estimate.MAX_STYLE_SECS * model.sample_rate]
    f0_hz, inharmonicity = measure_tuning(samples, model.sample_rate)
    samples = audio_lib.at_level(samples, estimate.TRAINING_RMS_DB, arrays)
    return {"style": model.encode_style(samples[None])[0], "f0_hz": f0_hz,
            "inharmonicity": inharmonicity, "loudness_db": tf.cast(loudness_db, tf.float32),
            **{name: tf.zeros(shape)
               for name, shape in estimate.correction_shapes(model).items()}}
