"""Distributions of one audio sample: mixtures of discretized logistics, and mu-law classes.

Audio lies in [-1, 1]. Its levels are evenly spaced with both ends included, and an end stands for
everything beyond it, so that the probabilities of all levels sum to 1.
"""

import math

from keras import ops

NUM_LEVELS = 65_536
# A logistic is never narrower than four 16-bit levels: digital silence would else be worth more
# and more nats as the scale goes to 0, and training would be about nothing else.
MIN_LOG_SCALE, MAX_LOG_SCALE = -9.0, 10.0
MU = 255
NUM_CLASSES = MU + 1
# Uniform numbers are kept this far from 0 and 1, where the logistic's quantile has no bound.
UNIFORM_MARGIN = 1e-6


def quantize(audio, num_levels=NUM_LEVELS):
    """Rounds to the nearest level, and clips: same shape, still in [-1, 1]."""
    steps = (num_levels - 1) / 2
    return ops.round((ops.clip(audio, -1.0, 1.0) + 1.0) * steps) / steps - 1.0


def split(parameters):
    """Parts of `[..., 3 * mixtures]`: logits, means and log scales, `[..., mixtures]` each."""
    logits, means, log_scales = ops.split(parameters, 3, axis=-1)
    return logits, means, ops.clip(log_scales, MIN_LOG_SCALE, MAX_LOG_SCALE)


def logistic_log_prob(audio, parameters, num_levels=NUM_LEVELS):
    """Log probability of each sample's level under a mixture of discretized logistics.

    The mass of a level is written `sigmoid(a) sigmoid(-b) (1 - exp(b - a))` for its upper and
    lower edge a and b, which is exact and neither cancels nor overflows.

    Args:
        audio: Shape `[...]`, in [-1, 1]; rounded to the nearest level.
        parameters: Shape `[..., 3 * mixtures]`: logits, means, log scales.
        num_levels: How many levels there are.

    Returns:
        Shape `[...]`, nats.

    Source: Salimans et al., PixelCNN++, 2017, eq. 2.
    """
    logits, means, log_scales = split(parameters)
    half = 1.0 / (num_levels - 1)
    audio = quantize(audio, num_levels)[..., None]
    inverse_scale = ops.exp(-log_scales)
    upper = (audio - means + half) * inverse_scale
    lower = (audio - means - half) * inverse_scale
    log_below = ops.where(audio > 1.0 - half, 0.0, ops.log_sigmoid(upper))
    log_above = ops.where(audio < -1.0 + half, 0.0, ops.log_sigmoid(-lower))
    is_end = ops.abs(audio) > 1.0 - half
    width = ops.log(-ops.expm1(-2.0 * half * inverse_scale))
    log_mass = log_below + log_above + ops.where(is_end, 0.0, width)
    return ops.logsumexp(ops.log_softmax(logits, axis=-1) + log_mass, axis=-1)


def around(parameters, centre):
    """Mixtures whose means are given as distances from a centre, in scales of each logistic.

    Args:
        parameters: Logits, distances, log scales, shape `[..., 3 * mixtures]`.
        centre: Shape `[...]`.

    Returns:
        Logits, means, log scales, of the same shape.
    """
    logits, distances, log_scales = split(parameters)
    means = centre[..., None] + distances * ops.exp(log_scales)
    return ops.concatenate([logits, means, log_scales], axis=-1)


def mu_law_compressed(audio):
    """Audio through the compression of mu-law, not rounded: `[...]`, in [-1, 1]."""
    return ops.sign(audio) * ops.log1p(MU * ops.abs(audio)) / math.log1p(MU)


def logistic_mean(parameters):
    """Mean of the mixture before rounding and clipping: `[..., 3 * mixtures]` to `[...]`."""
    logits, means, _ = split(parameters)
    return ops.sum(ops.softmax(logits, axis=-1) * means, axis=-1)


def logistic_sample(parameters, uniforms, temperature=1.0, num_levels=NUM_LEVELS):
    """Draws samples from mixtures of discretized logistics.

    Args:
        parameters: Shape `[..., 3 * mixtures]`.
        uniforms: Shape `[..., 2]`, in [0, 1): the first chooses the logistic, the second the
            value. The same numbers give the same samples.
        temperature: Logits are divided by it, scales multiplied; 0 gives the likeliest logistic's
            mean.
        num_levels: How many levels there are.

    Returns:
        Levels in [-1, 1], shape `[...]`.
    """
    logits, means, log_scales = split(parameters)
    chosen = choose(logits, uniforms[..., 0], temperature)
    mean = ops.sum(chosen * means, axis=-1)
    scale = temperature * drawn_scale(ops.sum(chosen * log_scales, axis=-1))
    u = UNIFORM_MARGIN + (1.0 - 2.0 * UNIFORM_MARGIN) * uniforms[..., 1]
    return quantize(mean + scale * (ops.log(u) - ops.log1p(-u)), num_levels)


def drawn_scale(log_scales):
    """Scales that samples are drawn with: what is left of them without the width of the narrowest.

    No logistic may be as narrow as what it describes where audio is certain, as silence is. Drawn
    as they are, the narrowest would make noise there that the net has never heard.
    """
    return ops.sqrt(ops.maximum(ops.exp(2 * log_scales) - math.exp(2 * MIN_LOG_SCALE), 0.0))


def choose(logits, uniforms, temperature=1.0):
    """Draws classes by the inverse of their cumulative probabilities.

    Args:
        logits: Shape `[..., classes]`.
        uniforms: Shape `[...]`, in [0, 1).
        temperature: Of the classes, a number or a tensor `[...]`; 0 takes the likeliest.

    Returns:
        One-hot, shape `[..., classes]`.
    """
    num_classes = logits.shape[-1]
    if ops.is_tensor(temperature):
        is_cold = temperature[..., None] == 0.0
        drawn = _draw(logits / ops.where(is_cold, 1.0, temperature[..., None]), uniforms)
        return ops.where(is_cold, choose(logits, uniforms, 0.0), drawn)
    if not temperature:
        return ops.one_hot(ops.argmax(logits, axis=-1), num_classes)
    return _draw(logits / temperature, uniforms)


def _draw(logits, uniforms):
    cumulative = ops.cumsum(ops.softmax(logits, axis=-1), axis=-1)
    # The last cumulative probability need not be 1 to the last bit.
    is_past = ops.cast(cumulative[..., :-1] <= uniforms[..., None], "int32")
    return ops.one_hot(ops.sum(is_past, axis=-1), logits.shape[-1])


def mu_law_encode(audio):
    """Mu-law class, 0 to 255, of audio in [-1, 1]: int32 of the same shape.

    Source: ITU-T G.711's continuous law with mu = 255, as WaveNet (van den Oord et al., 2016) has
    it.
    """
    audio = ops.clip(audio, -1.0, 1.0)
    companded = mu_law_compressed(audio)
    return ops.cast(ops.floor((companded + 1.0) * 0.5 * MU + 0.5), "int32")


def mu_law_companded(classes):
    """Classes as numbers evenly spaced in [-1, 1], what the net reads: float32."""
    return ops.cast(classes, "float32") * (2.0 / MU) - 1.0


def mu_law_decode(classes):
    """Audio in [-1, 1] of classes 0 to 255."""
    companded = mu_law_companded(classes)
    return ops.sign(companded) * ops.expm1(ops.abs(companded) * math.log1p(MU)) / MU


def mu_law_log_prob(audio, logits):
    """Log probability of each sample's class, nats: `[...]` of logits `[..., 256]`."""
    return -ops.sparse_categorical_crossentropy(mu_law_encode(audio), logits, from_logits=True)


def mu_law_sample(logits, uniforms, temperature=1.0):
    """Draws audio from logits `[..., 256]`; of `uniforms` `[..., 2]` only the first counts."""
    return mu_law_decode(ops.argmax(choose(logits, uniforms[..., 0], temperature), axis=-1))


def mu_law_mean(logits):
    """Mean of the classes' audio, `[..., 256]` to `[...]`."""
    return ops.sum(ops.softmax(logits, axis=-1) * mu_law_decode(ops.arange(NUM_CLASSES)), axis=-1)
