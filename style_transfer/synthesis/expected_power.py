"""Power spectrograms that a played piano is expected to have, without playing it.

Partials of random phases add their powers: each gives its squared envelope, as the window sees it,
to the few bins under the window's main lobe; noise gives its density to all. No waveform is made,
nothing is random, and frequencies need no gradient. All functions are pure `keras.ops`.
"""

import math

import numpy as np
from keras import ops

from style_transfer.signal import spectral
from style_transfer.synthesis import modal

SPACING = spectral.MIN_HOP
"""Samples between nodes, of which the windows' hops are multiples."""

LOBE_BINS = (-2, -1, 0, 1, 2)
WINDOW_SIZES = (2048, 512)  # that training and fits hear through
MIN_POWER = 1e-10  # below the square root of powers, whose slope it limits


def magnitudes(frequency_hz, tone, noise, room, warmup_nodes, sample_rate, low_hz, high_hz,
               room_secs):
    """Magnitudes that partials and noise in a room are expected to have.

    Args:
        frequency_hz: Of the partials, `[batch, oscillators]`.
        tone: Their squared amplitudes at nodes, `[batch, nodes, oscillators]`.
        noise: As in `modal.filtered_noise`, `[batch, nodes, bands]`.
        room: Level and decay, see `in_room`.
        warmup_nodes: Nodes that are heard in the room only.
        sample_rate: Hz.
        low_hz: Centre of the first band.
        high_hz: Centre of the last band.
        room_secs: Length of the room's response.

    Returns:
        Dict of `WINDOW_SIZES` to `[batch, frames, size // 2 + 1]`.
    """
    nodes = tone.shape[1]
    tone, noise = ops.transpose(tone, (0, 2, 1)), ops.transpose(noise, (0, 2, 1))
    found = {}
    for size in WINDOW_SIZES:
        step, reach = spectral.sparse_hop(size) // SPACING, size // 2 // SPACING
        first = reach + warmup_nodes % step  # so that one window begins where the warm-up ends
        seen = ops.matmul(tone, window_weights(nodes, first, size))
        power = tone_powers(frequency_hz, seen, size, sample_rate)
        power = power + noise_powers(noise[..., first:nodes - reach:step], size, low_hz, high_hz,
                                     sample_rate)
        power = in_room(power, *room, step * SPACING, low_hz, high_hz, sample_rate, room_secs)
        power = power[..., warmup_nodes // step:]
        found[size] = ops.transpose(ops.sqrt(power + MIN_POWER), (0, 2, 1))
    return found


def window_weights(nodes, first, fft_size):
    """How Hann windows weigh squared envelopes at nodes.

    Args:
        nodes: How many nodes.
        first: Node at the centre of the first window.
        fft_size: Length of the windows in samples.

    Returns:
        NumPy `[nodes, frames]`, for all windows that the nodes span.
    """
    step = spectral.sparse_hop(fft_size) // SPACING
    centres = np.arange(first, nodes - fft_size // 2 // SPACING, step)
    offsets = (np.arange(nodes)[:, None] - centres) * SPACING / fft_size
    weights = np.where(np.abs(offsets) < 0.5, np.cos(np.pi * offsets) ** 4, 0.0)
    return (weights / weights.sum(axis=0)).astype(np.float32)


def tone_powers(frequency_hz, power, fft_size, sample_rate):
    """Partials -> expected `|X|^2` of a Hann window's DFT.

    Args:
        frequency_hz: `[batch, oscillators]`.
        power: Squared amplitudes, `[batch, oscillators, frames]`.
        fft_size: Length of the window in samples.
        sample_rate: Hz.

    Returns:
        `[batch, fft_size // 2 + 1, frames]`.
    """
    batch, frames = ops.shape(power)[0], power.shape[2]
    bins = fft_size // 2 + 1
    position = frequency_hz[..., None] * (fft_size / sample_rate)
    index = ops.round(position) + np.array(LOBE_BINS, np.float32)
    distance = position - index
    lobe = fft_size * (ops.sinc(distance) / 2
                       + (ops.sinc(distance - 1) + ops.sinc(distance + 1)) / 4)
    inside = ops.cast((index >= 0) & (index < bins), "float32")
    weight = ops.stop_gradient(inside * ops.square(lobe) / 4)
    first = ops.arange(batch, dtype="int32")[:, None, None] * bins
    place = ops.cast(ops.clip(index, 0, bins - 1), "int32") + first
    rows = ops.reshape(weight[..., None] * power[:, :, None], (-1, frames))
    summed = ops.segment_sum(rows, ops.reshape(place, (-1,)), num_segments=batch * bins)
    return ops.reshape(summed, (-1, bins, frames))


def noise_powers(band_power, fft_size, low_hz, high_hz, sample_rate):
    """Noise in mel-spaced bands -> expected `|X|^2` of a Hann window's DFT.

    Args:
        band_power: As in `modal.filtered_noise`, but `[batch, bands, frames]`.
        fft_size: Length of the window in samples.
        low_hz: Centre of the first band.
        high_hz: Centre of the last band.
        sample_rate: Hz.

    Returns:
        `[batch, fft_size // 2 + 1, frames]`.
    """
    weights = modal.bin_weights(fft_size, band_power.shape[1], low_hz, high_hz, sample_rate)
    density = ops.matmul(weights.T, band_power)
    return density * (3 * fft_size / 8)


def in_room(power, level, decay, spacing, low_hz, high_hz, sample_rate, room_secs):
    """Expected powers with those of a room's diffuse sound, see `modal.room_response`.

    Args:
        power: `[batch, bins, frames]`.
        level: `[batch, bands]`.
        decay: `[batch, bands]`, nepers/s.
        spacing: Samples between frames.
        low_hz: Centre of the room's first band.
        high_hz: Centre of its last band.
        sample_rate: Hz.
        room_secs: Length of the response.

    Returns:
        `[batch, bins, frames]`.
    """
    frames, bins = power.shape[2], power.shape[1]
    taps = min(frames, math.ceil(room_secs * sample_rate / spacing))
    late = (np.arange(taps, dtype=np.float32) + 0.25) * (spacing / sample_rate)
    # Neighbouring bands are made of one noise, so that they add as amplitudes.
    weights = modal.bin_weights(2 * (bins - 1), level.shape[-1], low_hz, high_hz, sample_rate)
    envelope = level[..., None] * ops.exp(-decay[..., None] * late)
    response = spacing * ops.square(ops.matmul(np.sqrt(weights).T, envelope))
    response = response * np.where(np.arange(taps) == 0, 0.5, 1.0).astype(np.float32)
    size = modal.fast_size(frames + taps - 1)
    real, imaginary = ops.rfft(power, fft_length=size)
    response_real, response_imaginary = ops.rfft(response, fft_length=size)
    product = (real * response_real - imaginary * response_imaginary,
               real * response_imaginary + imaginary * response_real)
    return power + ops.relu(ops.irfft(product, fft_length=size)[..., :frames])
