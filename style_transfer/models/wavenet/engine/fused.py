"""One step of a WaveNet with all its layers as compiled code, over and over.

What a layer needs of the past is kept in rings, so that a step costs one product with each matrix
instead of a pass over the receptive field (Paine et al., Fast Wavenet, 2016).
"""

import math
import typing

import numpy as np

from style_transfer.models.wavenet import mixtures
from style_transfer.models.wavenet.engine.gates import gate
from style_transfer.models.wavenet.engine.tiles import add_product
from style_transfer.models.wavenet.engine.vectors import compiled

_MIN_LOG_SCALE = mixtures.MIN_LOG_SCALE
_MAX_LOG_SCALE = mixtures.MAX_LOG_SCALE
_MIN_VARIANCE = math.exp(2 * _MIN_LOG_SCALE)
_MARGIN = mixtures.UNIFORM_MARGIN
_STEPS = (mixtures.NUM_LEVELS - 1) / 2
_MU = mixtures.MU
_FAST = {"contract", "nsz", "arcp"}


@compiled()
def _fill(rows, values, stride, count):
    for r in range(count):
        for j in range(stride):
            rows[r * stride + j] = values[j]


@compiled()
def _relu(values):
    for j in range(values.size):
        values[j] = max(values[j], np.float32(0))


@compiled(error_model="numpy")
def _choose(logits, at, count, uniform, temperature, shares):
    """Index of a class, as `mixtures.choose` chooses it; `shares` is for its own use."""
    best = 0
    for k in range(1, count):
        if logits[at + k] > logits[at + best]:
            best = k
    if temperature == 0:
        return best
    total = 0.0
    for k in range(count):
        shares[k] = math.exp((logits[at + k] - logits[at + best]) / temperature)
        total += shares[k]
    cumulative = 0.0
    for k in range(count - 1):
        cumulative += shares[k]
        if cumulative > uniform * total:
            return k
    return count - 1


@compiled(error_model="numpy")
def draw_mixture(logits, at, count, first, second, temperature, shares):
    """A sample as `mixtures.logistic_sample` draws it."""
    k = _choose(logits, at, count, first, temperature, shares)
    log_scale = min(max(logits[at + 2 * count + k], _MIN_LOG_SCALE), _MAX_LOG_SCALE)
    u = _MARGIN + (1.0 - 2.0 * _MARGIN) * second
    noise = math.log(u) - math.log1p(-u)
    scale = math.sqrt(max(math.exp(2 * log_scale) - _MIN_VARIANCE, 0.0))
    value = logits[at + count + k] + temperature * scale * noise
    value = min(max(value, -1.0), 1.0)
    return np.rint((value + 1.0) * _STEPS) / _STEPS - 1.0


@compiled(error_model="numpy")
def draw_mu_law(logits, at, first, temperature, shares):
    """A sample as `mixtures.mu_law_sample` draws it."""
    companded = _choose(logits, at, _MU + 1, first, temperature, shares) * (2.0 / _MU) - 1.0
    return np.sign(companded) * math.expm1(abs(companded) * math.log1p(_MU)) / _MU


@compiled(error_model="numpy")
def to_input(sample, is_mixture):
    """A sample as `WaveNet.to_input` gives it to the net."""
    if is_mixture:
        return np.float32(sample)
    companded = _compressed(sample)
    return np.float32(math.floor((companded + 1.0) * 0.5 * _MU + 0.5) * (2.0 / _MU) - 1.0)


@compiled(error_model="numpy")
def _compressed(sample):
    """As `mixtures.mu_law_compressed`."""
    return np.sign(sample) * math.log1p(_MU * abs(sample)) / math.log1p(_MU)


@compiled(fastmath={"contract", "reassoc"})
def _predict(coefficients, history, count):
    """The linear predictor's next sample."""
    total = np.float32(0)
    for k in range(count):
        total += coefficients[k] * history[k]
    return total


@compiled(error_model="numpy")
def _centre(logits, at, count, centre):
    """Puts a mixture around a prediction, as `mixtures.around` does."""
    for k in range(at, at + count):
        log_scale = min(max(logits[k + 2 * count], _MIN_LOG_SCALE), _MAX_LOG_SCALE)
        logits[k + count] = centre + logits[k + count] * math.exp(log_scale)
        logits[k + 2 * count] = log_scale


@compiled(fastmath=_FAST)
def _upsample(frames, taps, biases, frame, n, conditions):
    """Conditions of all layers at sample `n` of a frame, as `run` describes them."""
    batch, _, channels = frames.shape
    for b in range(batch):
        before, same, after = frames[b, frame], frames[b, frame + 1], frames[b, frame + 2]
        result = conditions[b * channels:(b + 1) * channels]
        if taps.shape[2] == 1:
            first, second, third = taps[0, n, 0], taps[1, n, 0], taps[2, n, 0]
            for c in range(channels):
                result[c] = (biases[c] + before[c] * first + same[c] * second + after[c] * third)
        else:
            first_taps, second_taps, third_taps = taps[0, n], taps[1, n], taps[2, n]
            for c in range(channels):
                result[c] = (biases[c] + before[c] * first_taps[c] + same[c] * second_taps[c]
                             + after[c] * third_taps[c])


class Past(typing.NamedTuple):
    """What is known of the samples before; the arrays are changed.

    Attributes:
        rings: float32, flat: for each layer its last `(taps - 1) * dilation` inputs
            `[steps, batch, residual]`.
        previous: Last sample of each item, as the net reads it, `[batch]`.
        history: Past of the linear predictor, the oldest first, `[batch, predictor_taps +
            samples]`, of which the first `predictor_taps` hold something; filled.
        errors: Last error of its predictions, `[batch]`.
        position: Samples made before.
    """

    rings: np.ndarray
    previous: np.ndarray
    history: np.ndarray
    errors: np.ndarray
    position: int


class Conditions(typing.NamedTuple):
    """What the samples depend on beside their past.

    Attributes:
        frames: Conditions of frames, one more at both ends, `[batch, frames + 2, channels]`.
        excitation: Projected, `[samples, batch, residual + skip]`, or no samples for none.
        coefficients: Of the linear predictor, those of the oldest sample first, `[frames, batch,
            predictor_taps]`.
    """

    frames: np.ndarray
    excitation: np.ndarray
    coefficients: np.ndarray


class Draws(typing.NamedTuple):
    """How samples are drawn from their distributions, and which are not.

    Attributes:
        forced: Samples that take the place of drawn ones in the net's past, `[batch, samples]`.
        num_given: So many of these samples are given back too; the others are drawn.
        uniforms: `[samples, batch, 2]`.
        temperatures: In each frame, see `mixtures`; float64 `[batch, frames]`.
        is_mixture: Else mu-law classes.
        num_mixtures: Logistics of a mixture.
    """

    forced: np.ndarray
    num_given: int
    uniforms: np.ndarray
    temperatures: np.ndarray
    is_mixture: bool
    num_mixtures: int


@compiled(error_model="numpy")
def run(weights, past, conditions, draws, audio, logits):
    """Makes samples.

    Args:
        weights: `packing.Packed`.
        past: `Past`.
        conditions: `Conditions`.
        draws: `Draws`.
        audio: `[batch, samples]`, filled.
        logits: `[batch, samples, outputs]` to be filled, or no samples.

    Returns:
        Samples made in all.
    """
    rings, previous, history, errors, position = past
    frames, excitation, coefficients = conditions
    forced, num_given, uniforms, temperatures, is_mixture, num_mixtures = draws
    residual, gates, skip = weights.num_residual, weights.num_gates, weights.num_skip
    hidden, outputs, taps = weights.num_hidden, weights.num_outputs, weights.taps
    dilations, kernels = weights.dilations, weights.kernels
    batch, num_samples = audio.shape
    num_layers, hop = dilations.size, weights.filter.shape[1]
    width = num_layers * 2 * gates
    x = np.empty(batch * residual, np.float32)
    z = np.empty(batch * width, np.float32)
    activations = np.empty(batch * num_layers * gates, np.float32)
    skips = np.empty(batch * skip, np.float32)
    hiddens = np.empty(batch * hidden, np.float32)
    heads, shares = np.empty(batch * outputs, np.float32), np.empty(outputs)
    order = weights.predictor_taps
    predictions = np.zeros(batch, np.float32)
    for n in range(num_samples):
        frame = n // hop
        for b in range(batch):
            first = previous[b]
            if order:
                predictions[b] = _predict(coefficients[frame, b], history[b, n:], order)
                first = np.float32(_compressed(first))
            for j in range(residual):
                x[b * residual + j] = weights.input_bias[j] + first * weights.input_kernel[j]
            if order:
                second = np.float32(_compressed(predictions[b]))
                third = np.float32(_compressed(errors[b]))
                for j in range(residual):
                    x[b * residual + j] += (second * weights.input_kernel[residual + j]
                                            + third * weights.input_kernel[2 * residual + j])
            if excitation.shape[0]:
                for j in range(residual):
                    x[b * residual + j] += excitation[n, b, j]
        _upsample(frames, weights.filter, weights.biases, frame, n % hop, z)
        ring_at = 0
        for i in range(num_layers):
            z_at, length = i * 2 * gates, (taps - 1) * dilations[i]
            for tap in range(taps - 1):
                slot = (position + n + tap * dilations[i]) % length
                add_product(z, z_at, width, rings, (ring_at + slot) * batch * residual, residual,
                            kernels, (i * taps + tap) * residual * 2 * gates, batch, residual,
                            2 * gates)
            add_product(z, z_at, width, x, 0, residual, kernels,
                        (i * taps + taps - 1) * residual * 2 * gates, batch, residual, 2 * gates)
            oldest = (ring_at + (position + n) % length) * batch * residual if taps > 1 else 0
            if taps > 1:
                for j in range(batch * residual):
                    rings[oldest + j] = x[j]
            ring_at += length
            for b in range(batch):
                gate(z, b * width + z_at, activations, (b * num_layers + i) * gates, gates)
            if i < num_layers - 1:
                for b in range(batch):
                    for j in range(residual):
                        x[b * residual + j] += weights.residual_biases[i * residual + j]
                add_product(x, 0, residual, activations, i * gates, num_layers * gates,
                            weights.residual_kernels, i * gates * residual, batch, gates,
                            residual)
        _fill(skips, weights.skip_bias, skip, batch)
        if excitation.shape[0]:
            for b in range(batch):
                for j in range(skip):
                    skips[b * skip + j] += excitation[n, b, residual + j]
        add_product(skips, 0, skip, activations, 0, num_layers * gates, weights.skip_kernel, 0,
                    batch, num_layers * gates, skip)
        _relu(skips)
        _fill(hiddens, weights.hidden_bias, hidden, batch)
        add_product(hiddens, 0, hidden, skips, 0, skip, weights.hidden_kernel, 0, batch, skip,
                    hidden)
        _relu(hiddens)
        _fill(heads, weights.head_bias, outputs, batch)
        add_product(heads, 0, outputs, hiddens, 0, hidden, weights.head_kernel, 0, batch, hidden,
                    outputs)
        for b in range(batch):
            if order:
                _centre(heads, b * outputs, num_mixtures, predictions[b])
            if n < num_given:
                sample = np.float64(forced[b, n])
            elif is_mixture:
                sample = draw_mixture(heads, b * outputs, num_mixtures, uniforms[n, b, 0],
                                      uniforms[n, b, 1], temperatures[b, frame], shares)
            else:
                sample = draw_mu_law(heads, b * outputs, uniforms[n, b, 0],
                                     temperatures[b, frame], shares)
            audio[b, n] = sample
            past = np.float64(forced[b, n]) if n < forced.shape[1] else sample
            previous[b] = to_input(past, is_mixture)
            if order:
                history[b, order + n] = previous[b]
                errors[b] = previous[b] - predictions[b]
            if logits.shape[1]:
                for j in range(outputs):
                    logits[b, n, j] = heads[b * outputs + j]
    return position + num_samples
