"""Audio with the content of one clip and the style of others, found by optimization."""

import dataclasses

import keras
import numpy as np
from keras import ops

from style_transfer import audio as audio_lib
from style_transfer.audio import Audio
from style_transfer.models.ulyanov import spectrogram
from style_transfer.training.gradients import value_and_gradient

WINDOW_SECS = 20.0  # that are optimized together: memory does not grow with the piece
FADE_SECS = 0.5
MINIMUM_SECS = 0.5
SILENT_DB = -60.0  # below the piece: such a window stays as it is
ADAM_RATE = 0.05
LBFGS_MEMORY = 10
_TINY = 1e-8


@dataclasses.dataclass(frozen=True)
class Settings:
    """How audio is found.

    Attributes:
        num_iterations: Of the optimizer, for each window.
        style_weight: Weight of the style's loss; the content's has 1.
        optimizer: `lbfgs` or `adam`.
    """

    num_iterations: int = 30
    style_weight: float = 10.0
    optimizer: str = "lbfgs"


def transfer(net, content, styles, weights=None, settings=None, progress=None):
    """Content in the style of clips; lengths need not match.

    Args:
        net: `RandomFeatures` or `EncoderFeatures`.
        content: An `Audio`.
        styles: Several `Audio`.
        weights: How much each clip counts, positive; None for all the same.
        settings: `Settings`.
        progress: Called with (iteration, iterations, loss), over all windows.

    Returns:
        An `Audio` as long as the content at the net's rate, as loud as the first clip.

    Raises:
        ValueError: A clip is silent or too short, or there is not a weight for each.
    """
    settings = settings or Settings()
    weights = _checked_weights(styles, weights)
    clips = [_checked(style, net.sample_rate, "The style clip") for style in styles]
    content = _checked(content, net.sample_rate, "The content")
    grams = _mixed([_grams(net, spectrogram.scaled(clip.samples, _rms(clip))) for clip in clips],
                   weights)
    samples = spectrogram.scaled(content.samples, _rms(content))
    windows = _windows(len(samples), net.sample_rate)
    out = np.zeros_like(samples)
    loss = value_and_gradient(_loss(net, settings.style_weight))
    for index, (start, end) in enumerate(windows):
        def tell(iteration, value, done=index * settings.num_iterations):
            if progress is not None:
                progress(done + iteration, len(windows) * settings.num_iterations, value)

        found = _found(net, samples[start:end], grams, loss, settings, tell)
        fade = min(round(FADE_SECS * net.sample_rate), end - start)
        if index:
            ramp = np.linspace(0, 1, fade, endpoint=False, dtype=np.float32)
            out[start:start + fade] *= 1 - ramp
            found[:fade] *= ramp
        out[start:end] += found
    return audio_lib.at_loudness(Audio(out, net.sample_rate), clips[0].rms_db)


def losses(net, found, content, grams):
    """How far a spectrogram is from content and style, both relative to what is asked.

    Args:
        net: As for `transfer`.
        found: Log power, `[1, frames, bins]`.
        content: The content's features, a list.
        grams: The style's Gram matrices, a list.

    Returns:
        Two scalars: squared differences of features, and of Gram matrices, each divided by the
        square of what is asked and averaged over the lists.
    """
    features, textures = net.features(found)
    far = [_relative(ours, theirs) for ours, theirs in zip(features, content, strict=True)]
    odd = [_relative(gram(ours), theirs) for ours, theirs in zip(textures, grams, strict=True)]
    return sum(far) / len(far), sum(odd) / len(odd)


def gram(features):
    """Mean products `[channels, channels]` of features `[frames, channels]`, of any length."""
    return ops.matmul(ops.transpose(features), features) / ops.cast(
        ops.shape(features)[0], "float32")


def _relative(ours, theirs):
    return ops.sum(ops.square(ours - theirs)) / (ops.sum(ops.square(theirs)) + _TINY)


def _loss(net, style_weight):
    def loss(found, content, grams):
        far, odd = losses(net, found, content, grams)
        return far + style_weight * odd

    return loss


def _found(net, samples, grams, loss, settings, progress):
    """A window's samples after the optimization; those of a silent one as they are."""
    if spectrogram.level_db(samples) < SILENT_DB:
        return samples.copy()
    start = ops.convert_to_numpy(spectrogram.log_power(spectrogram.transform(samples)))
    content = net.features(start)[0]
    minimize = {"lbfgs": _by_lbfgs, "adam": _by_adam}[settings.optimizer]
    found = minimize(lambda x: loss(x, content, grams), start, settings.num_iterations, progress)
    return spectrogram.audio(found, samples)


def _by_lbfgs(loss, start, num_iterations, progress):
    from scipy import optimize

    done = 0

    def flat(values):
        value, gradient = loss(values.reshape(start.shape))
        return value, gradient.ravel().astype(np.float64)

    def callback(intermediate_result):
        nonlocal done
        done += 1
        progress(done, float(intermediate_result.fun))

    found = optimize.minimize(
        flat, start.ravel().astype(np.float64), jac=True, method="L-BFGS-B", callback=callback,
        options={"maxiter": num_iterations, "maxcor": LBFGS_MEMORY, "ftol": 0.0, "gtol": 0.0})
    return np.maximum(found.x, 0).reshape(start.shape).astype(np.float32)


def _by_adam(loss, start, num_iterations, progress):
    values = keras.Variable(start)
    optimizer = keras.optimizers.Adam(ADAM_RATE)
    for iteration in range(num_iterations):
        value, gradient = loss(ops.convert_to_numpy(values))
        optimizer.apply([ops.convert_to_tensor(gradient)], [values])
        values.assign(ops.maximum(values, 0.0))
        progress(iteration + 1, value)
    return ops.convert_to_numpy(values)


def _grams(net, samples):
    _, textures = net.features(spectrogram.log_power(spectrogram.transform(samples)))
    return [gram(features) for features in textures]


def _mixed(grams, weights):
    """Weighted means of several clips' Gram matrices."""
    return [sum(weight * one for weight, one in zip(weights, layer, strict=True))
            for layer in zip(*grams, strict=True)]


def _windows(num_samples, rate):
    """Where windows begin and end; neighbours share what is faded."""
    size, fade = round(WINDOW_SECS * rate), round(FADE_SECS * rate)
    step = size - fade
    # The last one takes what would be too short for one of its own.
    starts = range(0, max(1, num_samples - fade - round(MINIMUM_SECS * rate)), step)
    return [(start, num_samples if start == starts[-1] else start + size) for start in starts]


def _rms(audio):
    return float(np.sqrt(np.mean(np.square(audio.samples, dtype=np.float64))))


def _checked(clip, rate, name):
    clip = audio_lib.resample(clip, rate)
    if clip.duration_secs < MINIMUM_SECS:
        raise ValueError(f"{name} lasts {clip.duration_secs:.2f} s; at least {MINIMUM_SECS:g} s "
                         "are needed, some seconds are better.")
    if clip.rms_db <= audio_lib.LOUDNESS_FLOOR_DB:
        raise ValueError(f"{name} is silent.")
    return clip


def _checked_weights(styles, weights):
    weights = np.ones(len(styles)) if not weights else np.asarray(weights, np.float64)
    if len(weights) != len(styles) or np.any(weights < 0) or not 0 < weights.sum() < np.inf:
        raise ValueError(f"There are {len(weights)} weights, {weights.tolist()}, for {len(styles)} "
                         "style clips: give one positive number for each.")
    return (weights / weights.sum()).astype(np.float32)
