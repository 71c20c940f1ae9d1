"""A differentiable piano: damped partials, unison beating, hammer noise and a room.

A struck note is a sum of exponentially damped partials. Their envelopes are slow, so they are
evaluated only at *nodes*, one each `hop` samples; between nodes the amplitude runs linearly while
the carrier runs at its own frequency. That turns additive synthesis into one matrix product of
node states `[nodes, oscillators]` with short windowed sinusoids `[oscillators, 2 * hop]`, which is
some hundred times cheaper than evaluating every oscillator at every sample, and exact for the
frequencies. All functions are pure `keras.ops`; rates are in Hz or 1/s, so controls do not depend
on the sample rate.
"""

import functools
import math

import numpy as np
from keras import ops

from style_transfer import strings
from style_transfer.signal import mel

NOISE_TIME_CONSTANTS_SECS = (0.004, 0.012, 0.035, 0.1, 0.3, 1.0)
"""Decay times that hammer and damper noise is mixed from."""

_PHASE_SPLIT = 4096.0


def partial_frequencies(f0_hz, inharmonicity, num_partials):
    """`strings.partial_hz` of the lowest partials.

    Args:
        f0_hz: Fundamental without stiffness, any shape `[...]`, Hz.
        inharmonicity: Stiffness coefficient B, same shape, dimensionless.
        num_partials: How many partials, the fundamental included.

    Returns:
        Frequencies in Hz, shape `[..., num_partials]`.
    """
    order = ops.arange(1, num_partials + 1, dtype="float32")
    return strings.partial_hz(f0_hz[..., None], inharmonicity[..., None], order, ops.sqrt)


def band_positions(frequency_hz, num_bands, low_hz, high_hz):
    """Places of frequencies on a mel-spaced grid: 0 is `low_hz`, `num_bands - 1` `high_hz`."""
    low, high = mel.from_hz(low_hz), mel.from_hz(high_hz)
    position = (mel.from_hz(frequency_hz, ops.log1p) - low) / (high - low)
    return ops.clip(position, 0.0, 1.0) * (num_bands - 1)


def band_weights(frequency_hz, num_bands, low_hz, high_hz):
    """Weights that interpolate linearly from mel-spaced bands to frequencies.

    Returns:
        Shape `[..., num_bands]`, rows sum to 1.
    """
    position = band_positions(frequency_hz, num_bands, low_hz, high_hz)
    return ops.relu(1.0 - ops.abs(position[..., None] - ops.arange(num_bands, dtype="float32")))


def partial_envelopes(node_secs, onset_secs, damped_secs, amplitude, decay, aftersound_decay,
                      aftersound, beat_hz, attack_secs, damping):
    """Complex envelopes of damped partials at node times.

    The prompt sound decays fast, the aftersound slowly and at a slightly other frequency, as the
    coupled strings of one key do (Weinreich, 1977): two-stage decay and beating in one.

    Args:
        node_secs: Node times `[nodes]`.
        onset_secs: `[batch, oscillators]`; an oscillator is silent before.
        damped_secs: `[batch, oscillators]`, when the damper falls.
        amplitude: `[batch, oscillators]`, linear, at the onset.
        decay: Prompt sound's decay, `[batch, oscillators]`, nepers/s.
        aftersound_decay: Aftersound's decay, `[batch, oscillators]`, nepers/s.
        aftersound: Share of the aftersound in the amplitude, `[batch, oscillators]`, 0 to 1.
        beat_hz: Aftersound's frequency minus the prompt sound's, `[batch, oscillators]`.
        attack_secs: Time constant of the onset, `[batch, oscillators]`.
        damping: Additional decay after `damped_secs`, `[batch, oscillators]`, nepers/s.

    Returns:
        Real and imaginary part, each `[batch, nodes, oscillators]`.
    """
    return _with_lean_gradient()(*(ops.convert_to_tensor(value) for value in (
        node_secs, onset_secs, damped_secs, amplitude, decay, aftersound_decay, aftersound,
        beat_hz, attack_secs, damping)))


@functools.lru_cache(maxsize=1)
def _with_lean_gradient():
    return ops.custom_gradient(_envelopes)


def _envelopes(node_secs, onset_secs, damped_secs, amplitude, decay, aftersound_decay, aftersound,
               beat_hz, attack_secs, damping):
    """`partial_envelopes`, and its gradient: by hand it holds a third of what a tape would."""
    across = (slice(None), None)  # [batch, oscillators] beside nodes
    since_onset = node_secs[None, :, None] - onset_secs[across]
    time, late = ops.relu(since_onset), ops.relu(node_secs[None, :, None] - damped_secs[across])
    released = late * damping[across]
    rise = -ops.expm1(-time / attack_secs[across])
    prompt = ops.exp(-decay[across] * time - released)
    after = ops.exp(-aftersound_decay[across] * time - released)
    angle = (2 * math.pi) * beat_hz[across] * time
    cosine, sine = ops.cos(angle), ops.sin(angle)
    first, second = amplitude * (1.0 - aftersound), amplitude * aftersound
    swinging = second[across] * (rise * after)
    real = first[across] * (rise * prompt) + swinging * cosine
    imaginary = swinging * sine

    def gradient(*upstream):
        by_real, by_imaginary = upstream if len(upstream) == 2 else upstream[0]
        by_prompt = prompt * by_real
        by_after = after * (by_real * cosine + by_imaginary * sine)
        by_angle = second[across] * rise * after * (by_imaginary * cosine - by_real * sine)
        by_rise = first[across] * by_prompt + second[across] * by_after
        rising = (1.0 - rise) * by_rise
        by_prompt, by_after = rise * by_prompt, rise * by_after
        prompt_sum, after_sum = ops.sum(by_prompt, axis=1), ops.sum(by_after, axis=1)
        by_level = rise * by_rise
        by_time = (rising / attack_secs[across] + (2 * math.pi) * beat_hz[across] * by_angle
                   - (decay * first)[across] * by_prompt
                   - (aftersound_decay * second)[across] * by_after)
        by_time = ops.where(time > 0, by_time, 0.0)
        by_late = ops.where(late > 0, -damping[across] * by_level, 0.0)
        return (ops.sum(by_time + by_late, axis=(0, 2)), -ops.sum(by_time, axis=1),
                -ops.sum(by_late, axis=1),
                (1.0 - aftersound) * prompt_sum + aftersound * after_sum,
                -first * ops.sum(time * by_prompt, axis=1),
                -second * ops.sum(time * by_after, axis=1),
                amplitude * (after_sum - prompt_sum),
                (2 * math.pi) * ops.sum(time * by_angle, axis=1),
                -ops.sum(time * rising, axis=1) / ops.square(attack_secs),
                -ops.sum(late * by_level, axis=1))

    return (real, imaginary), gradient


def oscillator_sum(frequency_hz, real, imaginary, initial_phase, hop, sample_rate):
    """Sum of sinusoids with complex envelopes given at nodes.

    Args:
        frequency_hz: `[batch, oscillators]`.
        real: Envelope at nodes, real part, `[batch, nodes, oscillators]`.
        imaginary: Imaginary part, same shape.
        initial_phase: Phase at node 0, `[batch, oscillators]`, radians.
        hop: Samples between nodes.
        sample_rate: Hz.

    Returns:
        Audio `[batch, (nodes - 1) * hop]`.
    """
    nodes = ops.shape(real)[1]
    phase = node_phases(frequency_hz * (hop / sample_rate), nodes) + initial_phase[:, None, :]
    cosine, sine = ops.cos(phase), ops.sin(phase)
    state_real = real * cosine - imaginary * sine
    state_imaginary = real * sine + imaginary * cosine
    offsets = ops.arange(-hop, hop, dtype="float32")
    window = 1.0 - ops.abs(offsets) / hop
    angle = (2 * math.pi / sample_rate) * frequency_hz[:, :, None] * offsets
    frames = ops.matmul(state_real, ops.cos(angle) * window)
    frames = frames - ops.matmul(state_imaginary, ops.sin(angle) * window)
    blocks = frames[:, :-1, hop:] + frames[:, 1:, :hop]
    return ops.reshape(blocks, (ops.shape(blocks)[0], -1))


def node_phases(cycles_per_node, nodes):
    """Phases at nodes, accurate in float32 for long pieces and high partials.

    A phase is a large number of cycles of which only the fraction matters. The cycles per node are
    split into a part with few bits, whose multiples are exact, and a small rest.

    Args:
        cycles_per_node: `[batch, oscillators]`.
        nodes: How many nodes, at most 4096.

    Returns:
        Radians, `[batch, nodes, oscillators]`.
    """
    index = ops.cast(ops.arange(nodes), "float32")[None, :, None]
    cycles = ops.stop_gradient(cycles_per_node - ops.floor(cycles_per_node))[:, None, :]
    coarse = ops.floor(cycles * _PHASE_SPLIT) / _PHASE_SPLIT
    whole = coarse * index
    return (2 * math.pi) * (whole - ops.floor(whole) + (cycles - coarse) * index)


def noise_powers(node_secs, onset_secs, weights):
    """Power of noise bursts in bands: each note mixes a few fixed decay times.

    Args:
        node_secs: Node times `[nodes]`.
        onset_secs: `[batch, notes]`.
        weights: Power at the onset, `[batch, notes, bands, len(NOISE_TIME_CONSTANTS_SECS)]`.

    Returns:
        `[batch, nodes, bands]`.
    """
    time = (node_secs[None, :, None] - onset_secs[:, None, :])[..., None]
    rates = -2.0 / np.array(NOISE_TIME_CONSTANTS_SECS, np.float32)
    fading = ops.cast(time > 0.0, "float32") * ops.exp(rates * ops.relu(time))
    batch, nodes, notes = ops.shape(fading)[:3]
    fading = ops.reshape(fading, (batch, nodes, notes * len(rates)))
    weights = ops.transpose(weights, (0, 1, 3, 2))
    return ops.matmul(fading, ops.reshape(weights, (batch, notes * len(rates), -1)))


def filtered_noise(noise, band_power, low_hz, high_hz, sample_rate):
    """White noise shaped in time and frequency by powers given in mel-spaced bands.

    Args:
        noise: White noise of variance 1, `[batch, nodes, 2 * hop]`, one frame for each node.
        band_power: Power spectral density at each node, `[batch, nodes, bands]`, as the variance
            of white noise with that density over the whole band to Nyquist.
        low_hz: Centre of the first band.
        high_hz: Centre of the last band.
        sample_rate: Hz.

    Returns:
        Audio `[batch, (nodes - 1) * hop]`.
    """
    size = noise.shape[-1]
    hop = size // 2
    bands = band_power.shape[-1]
    weights = bin_weights(size, bands, low_hz, high_hz, sample_rate)
    magnitude = ops.sqrt(ops.matmul(band_power, weights) + 1e-14)
    real, imaginary = ops.rfft(noise)
    frames = ops.irfft((real * magnitude, imaginary * magnitude), fft_length=size)
    # Neighbouring frames are independent, so squared windows must sum to 1.
    frames = frames * np.sin(np.pi * (np.arange(size) + 0.5) / size).astype(np.float32)
    blocks = frames[:, :-1, hop:] + frames[:, 1:, :hop]
    return ops.reshape(blocks, (ops.shape(blocks)[0], -1))


def room_response(level, decay, noise, sample_rate):
    """Impulse response of a room: the direct sound and band-wise decaying noise.

    Args:
        level: Amplitude of the diffuse sound at time 0, `[batch, bands]`.
        decay: Its decay, `[batch, bands]`, nepers/s.
        noise: Band-limited noise of variance 1 from `room_noise`, `[bands, samples]`.
        sample_rate: Hz.

    Returns:
        `[batch, samples]`, the first sample is 1.
    """
    time = np.arange(noise.shape[-1], dtype=np.float32) / sample_rate
    envelope = level[..., None] * ops.exp(-decay[..., None] * time)
    diffuse = ops.sum(envelope * noise, axis=1)
    direct = (np.arange(noise.shape[-1]) == 0).astype(np.float32)
    return diffuse * (1 - direct) + direct


@functools.lru_cache(maxsize=4)
def room_noise(num_bands, num_samples, low_hz, high_hz, sample_rate, seed=0):
    """Fixed noise in mel-spaced bands for `room_response`, numpy float32 `[bands, samples]`."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(num_samples))
    weights = bin_weights(num_samples, num_bands, low_hz, high_hz, sample_rate)
    return np.fft.irfft(spectrum * np.sqrt(weights), num_samples).astype(np.float32)


def convolve(audio, response):
    """Causal convolution by FFT, cut to the length of `audio`.

    Args:
        audio: `[batch, samples]`.
        response: `[batch, taps]`.

    Returns:
        `[batch, samples]`.
    """
    samples = audio.shape[-1]
    size = fast_size(samples + response.shape[-1] - 1)
    real, imaginary = ops.rfft(audio, fft_length=size)
    response_real, response_imaginary = ops.rfft(response, fft_length=size)
    product = (real * response_real - imaginary * response_imaginary,
               real * response_imaginary + imaginary * response_real)
    return ops.irfft(product, fft_length=size)[:, :samples]


def fast_size(minimum):
    """The smallest 2^a 3^b 5^c that is at least `minimum` and even."""
    best = 1 << (minimum - 1).bit_length()
    for three in (1, 3, 9):
        for five in (1, 5, 25):
            odd = three * five
            power = max(1, math.ceil(math.log2(max(minimum / odd, 1))))
            if odd << power < best:
                best = odd << power
    return best


@functools.lru_cache(maxsize=16)
def bin_weights(fft_size, num_bands, low_hz, high_hz, sample_rate):
    """Interpolation from bands to FFT bins, numpy float32 `[bands, fft_size // 2 + 1]`."""
    bins_hz = np.arange(fft_size // 2 + 1) * sample_rate / fft_size
    low, high = mel.from_hz(low_hz), mel.from_hz(high_hz)
    position = (mel.from_hz(bins_hz) - low) / (high - low)
    position = np.clip(position, 0, 1) * (num_bands - 1)
    return np.maximum(0, 1 - np.abs(position - np.arange(num_bands)[:, None])).astype(np.float32)
