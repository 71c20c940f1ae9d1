"""Which keys sound when, guessed from spectral peaks alone.

No transcriber: it is wrong about octaves and weak notes, which share most of their partials with
what really sounds, so it serves for measuring a piano's tuning and for nothing else.
"""

import numpy as np

from style_transfer.measure import tuning_fit as tuning_fit_lib
from style_transfer.piano_roll import NUM_KEYS

BINS_PER_SEMITONE = 4
LOWEST_HZ = 26.0
NUM_BINS = 12 * BINS_PER_SEMITONE * 8 + 24
SEARCH_CENTS = np.arange(-50.0, 50.0, 10.0)
SEARCH_FRAMES = 60
TEMPLATE_PARTIALS = 16
ACTIVE_BELOW_FRAME_DB, ACTIVE_BELOW_CLIP_DB = 22.0, 40.0


def pairs_from_peaks(layers):
    """Sounding keys of each frame, explained as a mixture of piano-like spectra.

    Args:
        layers: List of `Peaks`, of which the middle one is explained and lends its answer to
            the others.

    Returns:
        List of `Pairs`, one for each layer.
    """
    peaks = layers[len(layers) // 2]
    spectra = _log_spectra(peaks)
    loud = np.argsort(-spectra.sum(axis=0))[:SEARCH_FRAMES * 3:3]
    errors = [_explain(spectra[:, loud], _templates(cents), 15)[1] for cents in SEARCH_CENTS]
    cents = SEARCH_CENTS[int(np.argmin(np.array(errors) + 1e-4 * np.abs(SEARCH_CENTS)))]
    gains, _ = _explain(spectra, _templates(cents), 40)
    level = 20 * np.log10(gains + 1e-9)
    active = ((level > level.max(axis=0, keepdims=True) - ACTIVE_BELOW_FRAME_DB)
              & (level > level.max() - ACTIVE_BELOW_CLIP_DB) & (gains > 0))
    return [_lend(peaks.times, other.times, active, level) for other in layers]


def _lend(times, other_times, active, level):
    if not len(times):
        empty = np.zeros(0)
        return tuning_fit_lib.Pairs(empty.astype(int), empty.astype(int), empty, empty,
                                 empty.astype(int))
    nearest = np.clip(np.searchsorted(times, other_times), 0, len(times) - 1)
    frame, key = np.nonzero(active.T[nearest])
    relative = (level - level.max(axis=0, keepdims=True))[key, nearest[frame]]
    return tuning_fit_lib.Pairs(frame, key, np.full(len(key), 0.7), relative, np.arange(len(key)))


def _log_spectra(peaks):
    """Amplitudes of the peaks on a logarithmic frequency axis, `[NUM_BINS, num_frames]`."""
    position = 12 * BINS_PER_SEMITONE * np.log2(peaks.freq_hz / LOWEST_HZ)
    amplitude = 10 ** (peaks.level_db / 20)
    return _scatter(position, peaks.frame, amplitude, len(peaks.times))


def _scatter(position, column, amplitude, num_columns):
    out = np.zeros((NUM_BINS, num_columns))
    lower = np.floor(position).astype(int)
    share = position - lower
    for index, part in ((lower, 1 - share), (lower + 1, share)):
        keep = (index >= 0) & (index < NUM_BINS)
        np.add.at(out, (index[keep], column[keep]), (amplitude * part)[keep])
    return out


def _templates(cents):
    """Spectra of the 88 keys of a typical grand tuned `cents` off, `[NUM_BINS, 88]`."""
    curves = tuning_fit_lib.Curves(np.full(NUM_KEYS, cents), np.ones(NUM_KEYS),
                                   np.ones(NUM_KEYS))
    key = np.repeat(np.arange(NUM_KEYS), TEMPLATE_PARTIALS)
    partial = np.tile(np.arange(1, TEMPLATE_PARTIALS + 1), NUM_KEYS)
    freq = curves.partial_hz(key, partial)
    amplitude = 10 ** (-(6 * np.log2(partial) + 5 * freq / 1000) / 20)
    position = 12 * BINS_PER_SEMITONE * np.log2(freq / LOWEST_HZ)
    out = _scatter(position, key, amplitude, NUM_KEYS)
    return out / (out.sum(axis=0) + 1e-9)


def _explain(spectra, templates, iterations):
    """Non-negative gains of the templates, and how badly they explain the spectra.

    Multiplicative updates for the Kullback-Leibler divergence (Lee and Seung, 2001), on square
    roots of amplitudes so that loud frames and partials do not decide alone.
    """
    target = np.sqrt(spectra)
    shapes = np.sqrt(templates)
    shapes = shapes / (shapes.sum(axis=0) + 1e-9)
    gains = np.tile(target.sum(axis=0) / NUM_KEYS, (NUM_KEYS, 1))
    for _ in range(iterations):
        gains = gains * (shapes.T @ (target / (shapes @ gains + 1e-9)))
    model = shapes @ gains + 1e-9
    divergence = np.sum(target * np.log((target + 1e-9) / model) - target + model)
    return gains**2, divergence / (target.sum() + 1e-9)
