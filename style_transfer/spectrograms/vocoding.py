"""Log-mel spectrograms as sound."""

import functools

from style_transfer.audio import Audio
from style_transfer.signal import log_mel

VOCODER = "vocoder"


@functools.cache
def vocoder():
    """The package's vocoder, loaded once; None if the package has none."""
    from style_transfer import weights

    return weights.load(VOCODER) if VOCODER in weights.names() else None


def audio_of(mel):
    """An `Audio` of a log-mel spectrogram `[frames, bands]`.

    Without a vocoder in the package it is made by Griffin and Lim's algorithm.
    """
    from keras import ops

    model = vocoder()
    if model is not None:
        return Audio(model.play(mel), log_mel.SAMPLE_RATE)
    magnitude = log_mel.to_magnitude(ops.convert_to_tensor(mel)[None])
    samples = ops.convert_to_numpy(log_mel.griffin_lim(magnitude))[0]
    return Audio(samples.clip(-1, 1), log_mel.SAMPLE_RATE)
