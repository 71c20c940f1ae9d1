"""Units, scaling and resampling of synthesis controls in `keras.ops`."""

import math

import numpy as np
from keras import ops

MIDI_A4 = 69.0
HZ_A4 = 440.0
RESAMPLE_METHODS = ("nearest", "linear", "cubic", "window")

_KEYS_CUBIC = -0.75
_CUBIC_STEPS = 1024


# Units and scaling ---------------------------------------------------------------------------
def exp_sigmoid(x, exponent: float = 10.0, max_value: float = 2.0, threshold: float = 1e-7):
    """Maps a network's output to a positive amplitude: `max * sigmoid(x)^log(exponent) + min`.

    Args:
        x: Any shape.
        exponent: Far below zero, the result changes by this factor when `x` changes by 1.
        max_value: Limit for large `x`.
        threshold: Limit for very negative `x`; keeps logarithms finite.

    Returns:
        Same shape, in [threshold, max_value + threshold].

    Source: Engel et al., "DDSP", 2020, eq. 5; held to ddsp 3.7 `core.exp_sigmoid`.
    """
    # The exponent inside keeps the gradient finite where the sigmoid itself underflows.
    return max_value * ops.exp(math.log(exponent) * ops.log_sigmoid(x)) + threshold


def midi_to_hz(pitch):
    """Frequency in Hz of a MIDI pitch, which need not be a whole number; A4 = 440 Hz."""
    return HZ_A4 * ops.power(2.0, (ops.convert_to_tensor(pitch, "float32") - MIDI_A4) / 12.0)


def hz_to_midi(frequency_hz):
    """MIDI pitch of a frequency in Hz; 0 for frequencies that are not positive."""
    frequency_hz = ops.convert_to_tensor(frequency_hz, "float32")
    audible = ops.greater(frequency_hz, 0.0)
    ratio = ops.where(audible, frequency_hz, HZ_A4) / HZ_A4
    return ops.where(audible, 12.0 / math.log(2.0) * ops.log(ratio) + MIDI_A4, 0.0)


def safe_divide(numerator, denominator, epsilon: float = 1e-7):
    """Quotient in which a denominator of zero counts as `epsilon`."""
    return numerator / ops.where(ops.equal(denominator, 0.0), epsilon, denominator)


# Resampling ----------------------------------------------------------------------------------
def resample(inputs, num_timesteps: int, method: str = "linear", add_endpoint: bool = True):
    """Interpolates frame-wise controls along time.

    Args:
        inputs: Shape `[frames]`, `[batch, frames]` or `[batch, frames, ...]`.
        num_timesteps: Length of the result.
        method: `nearest`, `linear`, `cubic`, or `window` (overlapping Hann windows: smooth
            envelopes without overshoot, only to a multiple of the frames).
        add_endpoint: Whether the last frame is held for one more frame, so that each frame
            takes `num_timesteps / frames`; otherwise the last frame is the very last step.

    Returns:
        Same shape with `frames` replaced by `num_timesteps`.

    Raises:
        ValueError: The method is unknown, or `window` is asked for a length it cannot make.

    Source: held to ddsp 3.7 `core.resample`.
    """
    if method not in RESAMPLE_METHODS:
        raise ValueError(
            f"method is {method!r}, expected one of {', '.join(RESAMPLE_METHODS)}."
        )
    inputs = ops.convert_to_tensor(inputs, "float32")
    if len(inputs.shape) == 1:
        return resample(inputs[None], num_timesteps, method, add_endpoint)[0]
    index, weight = _taps(inputs.shape[1], num_timesteps, method, add_endpoint)
    trailing = tuple(inputs.shape[2:])
    outputs = _blend(ops.reshape(inputs, (-1, inputs.shape[1], math.prod(trailing))),
                     index, weight)
    return ops.reshape(outputs, (-1, num_timesteps, *trailing))


def _taps(num_frames, num_timesteps, method, add_endpoint):
    """Which frames each step is made of, `[taps, steps]`, and their weights."""
    if method == "window":
        _check_window(num_frames, num_timesteps, add_endpoint)
    if add_endpoint:
        position = np.arange(num_timesteps) * num_frames / num_timesteps
    else:
        position = np.arange(num_timesteps) * (num_frames - 1) / max(1, num_timesteps - 1)
    if method == "window" and not add_endpoint:
        position = np.arange(num_timesteps) * (num_frames - 1) / num_timesteps
    # A position that is a whole number must not fall short of it by rounding.
    frame = np.floor(position + 1e-9).astype(int)
    fraction = np.maximum(0.0, position - frame)
    if method == "nearest":
        nearest = frame if add_endpoint else np.floor(position + 0.5 + 1e-9).astype(int)
        offsets, weight = [0], np.ones((1, num_timesteps))
        frame = nearest
    elif method == "cubic":
        offsets, weight = [-1, 0, 1, 2], _cubic_weights(fraction)
    else:
        if method == "window":
            fraction = 0.5 - 0.5 * np.cos(np.pi * fraction)
        offsets, weight = [0, 1], np.stack([1 - fraction, fraction])
    index = np.clip(frame + np.asarray(offsets)[:, None], 0, num_frames - 1)
    return index, weight.astype(np.float32)


def _check_window(num_frames, num_timesteps, add_endpoint):
    intervals = num_frames if add_endpoint else num_frames - 1
    if intervals < 1 or num_timesteps % intervals or num_timesteps <= intervals:
        raise ValueError(
            f"Resampling with windows cannot make {num_timesteps} steps of {num_frames} frames "
            f"(add_endpoint={add_endpoint}): the steps must be a multiple of {intervals}, and "
            "more. Choose such a length or another method."
        )


def _cubic_weights(fraction):
    """Keys' cubic kernel at a precision of 1/1024, as TensorFlow's image resizing has it."""
    a = _KEYS_CUBIC
    fraction = np.rint(fraction * _CUBIC_STEPS) / _CUBIC_STEPS

    def near(x):
        return ((a + 2) * x - (a + 3)) * x * x + 1

    def far(x):
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a

    return np.stack([far(fraction + 1), near(fraction), near(1 - fraction), far(2 - fraction)])


def _blend(inputs, index, weight):
    """Weighted sum of frames; steps that share their frames share one copy of them."""
    num_frames, num_timesteps = inputs.shape[1], index.shape[1]
    share = num_timesteps // num_frames if num_timesteps % num_frames == 0 else 1
    if not np.array_equal(index, np.repeat(index[:, ::share], share, axis=1)):
        share = 1
    outputs = 0.0
    for frames, gain in zip(index[:, ::share], weight, strict=True):
        chosen = ops.take(inputs, frames, axis=1)[:, :, None, :]
        outputs += chosen * gain.reshape(-1, share, 1)
    return ops.reshape(outputs, (-1, num_timesteps, inputs.shape[2]))
