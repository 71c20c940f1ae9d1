"""Runs a transcription model over audio of any length, in windows that do not show."""

import math

import numpy as np

from style_transfer.layers.compiling import kept
from style_transfer.transcription.options import WINDOW_SECS

UNIT_SECS = 2.5  # windows are multiples of it, or the longest
STORED = np.float16  # an hour of all outputs in 160 MB
PROBABILITIES = ("onset", "offset", "frame", "key", "pedal")


def probabilities(model, samples, window_secs=WINDOW_SECS, progress=None, gain=1.0):
    """What the model says of each frame, as if it heard the whole recording at once.

    Windows overlap by the model's context on either side, where its outputs are dropped, and the
    recording is taken to be surrounded by silence. All windows have one shape, the shortest of a
    few that needs no more of them, so the model is compiled once, and of other recordings seldom.

    Args:
        model: A transcription model: `sample_rate`, `hop_length`, `context_secs`, `spectrogram`.
        samples: Mono audio at the model's rate, float32 `[samples]`.
        window_secs: Length of a window, seconds, at most; decides memory and speed, not the result.
        progress: Called with seconds done and seconds in all after each window.
        gain: What the samples are multiplied by.

    Returns:
        A dict of float16 `[1 + samples // hop_length, 88]` (`pedal`: `[.., 1]`): probabilities, and
        `velocity` as the model gives it.

    Raises:
        ValueError: The window is no longer than the context it has to drop.
    """
    rate, hop = model.sample_rate, model.hop_length
    num_frames = 1 + len(samples) // hop
    context, window, step = _shortest(model, num_frames, window_secs)
    compiled = _compiled(model)
    outputs = {}
    for first in range(0, num_frames, step):
        count = min(step, num_frames - first)
        piece = np.float32(gain) * _cut(samples, (first - context) * hop, (window - 1) * hop)
        for name, values in compiled(piece[None]).items():
            values = np.asarray(values)[0, context:context + count]
            if name not in outputs:
                outputs[name] = np.empty((num_frames, *values.shape[1:]), STORED)
            outputs[name][first:first + count] = (
                _sigmoid(values) if name in PROBABILITIES else values)
        if progress is not None:
            progress(min((first + count) * hop / rate, len(samples) / rate), len(samples) / rate)
    return outputs


def sizes(model, window_secs=WINDOW_SECS):
    """Frames of the context, of a window, and from one window to the next.

    Raises:
        ValueError: The window is no longer than the context it has to drop.
    """
    rate, hop = model.sample_rate, model.hop_length
    context = math.ceil(model.context_secs * rate / hop)
    window = round(window_secs * rate / hop) + 1
    step = window - 2 * context
    if step < 1:
        raise ValueError(f"Windows of {window_secs:g} s are too short for a model that hears "
                         f"{model.context_secs:.2f} s around each frame: give more than "
                         f"{2 * context * hop / rate:.2f} s.")
    return context, window, step


def _shortest(model, num_frames, window_secs):
    """`sizes` of windows that are no longer than so many of a recording need be."""
    context, window, step = sizes(model, window_secs)
    needed = math.ceil(num_frames / math.ceil(num_frames / step)) + 2 * context
    unit = round(UNIT_SECS * model.sample_rate / model.hop_length)
    window = min(window, math.ceil((needed - 1) / unit) * unit + 1)
    return context, window, window - 2 * context


@kept(2)
def _compiled(model):
    """The model as a function, compiled for each length of window."""
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(lambda audio: model(audio, training=False))
    if keras.backend.backend() == "jax":
        import jax

        forward = jax.jit(lambda weights, audio: model.stateless_call(*weights, audio)[0])
        return lambda audio: forward(
            ([v.value for v in model.trainable_variables],
             [v.value for v in model.non_trainable_variables]), audio)
    return model


def _cut(samples, start, length):
    """`length` samples from `start`, which may be negative; silence where there are none."""
    before = max(0, -start)
    piece = samples[max(0, start):max(0, start + length)]
    return np.pad(piece, (before, length - before - len(piece))).astype(np.float32, copy=False)


def _sigmoid(logits):
    from scipy.special import expit

    return expit(logits)
