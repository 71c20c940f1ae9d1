"""Which keys sound when, guessed from spectral peaks alone.

No transcriber: it is wrong about octaves and weak notes, which share most of their partials with
what really sounds, so it serves for measuring a piano's tuning and for nothing else.
"""

import numpy as np

from style_transfer.arrays import fold
from style_transfer.measure import tuning_fit as tuning_fit_lib
from style_transfer.piano_roll import NUM_KEYS

BINS_PER_SEMITONE = 4
LOWEST_HZ = 26.0
NUM_BINS = 12 * BINS_PER_SEMITONE * 8 + 24
SEARCH_CENTS = np.arange(-50.0, 50.0, 10.0)
SEARCH_FRAMES = 60
TEMPLATE_PARTIALS = 16
ACTIVE_BELOW_FRAME_DB, ACTIVE_BELOW_CLIP_DB = 22.0, 40.0


def pairs_from_peaks(layers, xp=np):
    """Sounding keys of each frame, explained as a mixture of piano-like spectra.

    Args:
        layers: List of `Peaks`, of which the middle one is explained and lends its answer to
            the others.
        xp: See `arrays`.

    Returns:
        List of `Pairs`, one for each layer.
    """
    peaks = layers[len(layers) // 2]
    spectra = _scatter(peaks.freq_hz, peaks.frame, 10 ** (peaks.level_db / 20),
                       xp.size(peaks.times), xp)
    loud = xp.argsort(-xp.sum(spectra, axis=0), kind="stable")[:SEARCH_FRAMES * 3:3]
    templates = xp.asarray(np.stack([_templates(cents) for cents in SEARCH_CENTS]))
    _, errors = _explain(xp.take(spectra, loud, axis=1), templates, 15, xp)
    best = xp.argmax(-errors - 1e-4 * np.abs(SEARCH_CENTS))
    gains, _ = _explain(spectra, xp.take(templates, best, axis=0), 40, xp)
    level = 20 * xp.log10(gains + 1e-9)
    relative = level - xp.max(level, axis=0, keepdims=True)
    active = ((relative > -ACTIVE_BELOW_FRAME_DB) & (gains > 0)
              & (level > xp.max(level) - ACTIVE_BELOW_CLIP_DB))
    return [_lend(peaks.times, other.times, active, relative, xp) for other in layers]


def _lend(times, other_times, active, relative, xp):
    nearest = xp.minimum(xp.searchsorted(times, other_times), xp.size(times) - 1)
    active, relative = (xp.take(xp.swapaxes(v, -1, -2), nearest, axis=0)
                        for v in (active, relative))
    frame, key = xp.nonzero(active)
    level = relative[active]
    return tuning_fit_lib.Pairs(frame, key, 0.7 + xp.zeros_like(level), level,
                                xp.arange(xp.size(key)))


def _scatter(freq_hz, column, amplitude, num_columns, xp=np):
    """Amplitudes on a logarithmic frequency axis, `[NUM_BINS, num_columns]`."""
    position = 12 * BINS_PER_SEMITONE * xp.log2(freq_hz / LOWEST_HZ)
    lower = xp.floor(position)
    share = position - lower
    index = xp.asarray(xp.concatenate([lower, lower + 1]), int)
    inside = (index >= 0) & (index < NUM_BINS)
    cell = index * num_columns + xp.concatenate([column, column])
    parts = xp.concatenate([amplitude * (1 - share), amplitude * share])
    return xp.reshape(xp.bincount(cell[inside], parts[inside], NUM_BINS * num_columns),
                      (NUM_BINS, num_columns))


def _templates(cents):
    """Spectra of the 88 keys of a typical grand tuned `cents` off, `[NUM_BINS, 88]`."""
    ones = np.ones(NUM_KEYS)
    curves = tuning_fit_lib.Curves(cents * ones, ones, ones)
    key = np.repeat(np.arange(NUM_KEYS), TEMPLATE_PARTIALS)
    partial = np.tile(np.arange(1, TEMPLATE_PARTIALS + 1), NUM_KEYS)
    freq = curves.partials_hz(TEMPLATE_PARTIALS).ravel()
    amplitude = 10 ** (-(6 * np.log2(partial) + 5 * freq / 1000) / 20)
    out = _scatter(freq, key, amplitude, NUM_KEYS)
    return out / (out.sum(axis=0) + 1e-9)


def _explain(spectra, templates, iterations, xp):
    """Non-negative gains of the templates, and how badly they explain the spectra.

    Multiplicative updates for the Kullback-Leibler divergence (Lee and Seung, 2001), on square
    roots of amplitudes so that loud frames and partials do not decide alone.
    """
    target, shapes = xp.sqrt(spectra), xp.sqrt(templates)
    shapes = shapes / (xp.sum(shapes, axis=-2, keepdims=True) + 1e-9)
    turned = xp.swapaxes(shapes, -1, -2)
    gains = xp.sum(target, axis=0) / NUM_KEYS * np.ones((NUM_KEYS, 1))
    gains = gains + xp.zeros_like(xp.matmul(turned, target))  # of each template's own
    gains = fold(lambda gains, _: gains * xp.matmul(
        turned, target / (xp.matmul(shapes, gains) + 1e-9)), gains, np.arange(iterations), xp)
    model = xp.matmul(shapes, gains) + 1e-9
    divergence = xp.sum(target * xp.log((target + 1e-9) / model) - target + model, axis=(-2, -1))
    return xp.square(gains), divergence / (xp.sum(target) + 1e-9)
