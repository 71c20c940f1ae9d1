"""Fitting fundamental and inharmonicity of every key to spectral peaks.

Pitches are kept as cents above 440 Hz equal temperament, inharmonicity as a multiple of a typical
grand's, so that "nothing known" is (0, 1) on every key.
"""

import dataclasses

import numpy as np
from scipy.special import erf

from style_transfer import strings
from style_transfer.measure import keyboard as keyboard_lib
from style_transfer.piano_roll import LOWEST_PITCH, NUM_KEYS

MAX_PARTIALS = 40
HIGHEST_PARTIAL_HZ = 8000.0
CENTS = 1200 / np.log(2)
# Each stage adds partials once the lower ones have told where to look for them.
STAGES = ((4, 40.0), (8, 30.0), (16, 20.0), (28, 15.0), (MAX_PARTIALS, 12.0))
COARSE_CENTS = np.arange(-120.0, 121.0, 5.0)
COARSE_STIFFNESS = (0.05, 0.5, 1.0, 2.0)
COARSE_PAIRS = 500
PRIOR_CENTS = 100.0
# Frames overlap: about this many make one independent observation.
FRAMES_PER_EVIDENCE = 3.0
PARTIAL_STRAY_CENTS = 1.0
MIN_STIFFNESS, MAX_STIFFNESS = 0.01, 12.0


def typical_inharmonicity():
    """Inharmonicity B of a typical grand, float64 `[88]`.

    The sum of a falling exponential (wound bass strings) and a rising one (plain strings).

    Source: Rigaud, David and Daudet, 2013, "A parametric model and estimation techniques for the
    inharmonicity and tuning of the piano", eq. 5 and its mean parameters.
    """
    pitch = np.arange(NUM_KEYS) + LOWEST_PITCH
    return np.exp(-0.0847 * pitch - 5.82) + np.exp(0.0926 * pitch - 13.64)


@dataclasses.dataclass
class Pairs:
    """Which key sounds in which frame, `[num_pairs]` each.

    Attributes:
        frame: Index of the frame.
        key: Sounding key.
        coverage: Share of the window in which the key sounds undamped, 0 to 1.
        level_db: Rough expected level of its fundamental, to judge who hides whom.
        note: Index of the note, or a number of its own for each pair where notes are unknown.
    """

    frame: np.ndarray
    key: np.ndarray
    coverage: np.ndarray
    level_db: np.ndarray
    note: np.ndarray


@dataclasses.dataclass
class Curves:
    """Estimates of all keys: cents above equal temperament, stiffness, and cents' deviation."""

    cents: np.ndarray
    stiffness: np.ndarray
    cents_std: np.ndarray

    def partial_hz(self, key, partial):
        """Frequencies of partials of keys."""
        f0 = strings.equal_temperament_hz()[key] * 2 ** (self.cents[key] / 1200)
        b = typical_inharmonicity()[key] * self.stiffness[key]
        return strings.partial_hz(f0, b, partial)


def pairs_from_notes(notes, peaks, min_coverage=0.35):
    """Frames in which each note of a `NoteTable` sounds, damped notes' tails excluded."""
    sigma = peaks.sigma_secs
    start = np.asarray(notes.onset_secs) + 0.02
    end = np.asarray(notes.damped_secs)
    first = np.searchsorted(peaks.times, start - sigma)
    count = np.maximum(np.searchsorted(peaks.times, end + sigma) - first, 0)
    note = np.repeat(np.arange(len(start)), count)
    frame = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + first[note]
    time = peaks.times[frame] if len(frame) else np.zeros(0)
    coverage = 0.5 * (erf((end[note] - time) / (sigma * np.sqrt(2)))
                      - erf((start[note] - time) / (sigma * np.sqrt(2))))
    coverage = np.maximum(coverage, 0)  # notes shorter than the 20 ms left out at their start
    key = np.asarray(notes.key)[note]
    age = np.maximum(time - start[note], 0)
    level = 40 * np.log10(np.asarray(notes.velocity)[note]) - (6 + 0.3 * key) * age
    level = level + 20 * np.log10(coverage + 1e-3)
    keep = (coverage > min_coverage) & (level > -60)
    return Pairs(frame[keep], key[keep], coverage[keep], level[keep], note[keep])


def fit(layers, max_cents=120.0):
    """Fits all keys to the peaks of a recording.

    Args:
        layers: List of `(Peaks, Pairs)`, one for each resolution.
        max_cents: How far from 440 Hz the whole piano may be tuned.

    Returns:
        `Curves`; without any evidence the typical grand.
    """
    curves = Curves(np.zeros(NUM_KEYS), np.ones(NUM_KEYS), np.full(NUM_KEYS, 60.0))
    if not any(len(pairs.key) for _, pairs in layers):
        return curves
    offset, stiffness = _coarse(layers, curves, max_cents)
    curves.cents[:], curves.stiffness[:] = offset, stiffness
    for num_partials, tolerance in STAGES:
        found = [observe(peaks, pairs, curves, num_partials, tolerance)
                 for peaks, pairs in layers]
        found = {name: np.concatenate([f[name] for f in found]) for name in found[0]}
        outlier = max(3.0, tolerance / 4)
        found = _summarise(found, outlier)
        curves = _smooth(curves, *_fit_keys(found, curves, outlier))
    return curves


def _coarse(layers, curves, max_cents):
    """Offset and stiffness of the whole keyboard whose combs meet most peaks."""
    peaks, pairs = max(layers, key=lambda layer: len(layer[1].key))
    rng = np.random.default_rng(0)
    chosen = np.arange(len(pairs.key))
    if len(chosen) > COARSE_PAIRS:
        chosen = np.sort(rng.choice(chosen, COARSE_PAIRS, replace=False))
    some = Pairs(*(getattr(pairs, f.name)[chosen] for f in dataclasses.fields(Pairs)))
    best = (0.0, 0.0, 1.0)
    for stiffness in COARSE_STIFFNESS:
        for cents in COARSE_CENTS[np.abs(COARSE_CENTS) <= max_cents]:
            trial = Curves(curves.cents + cents, np.full(NUM_KEYS, stiffness), curves.cents_std)
            found = observe(peaks, some, trial, 6, 25.0)
            score = np.sum(found["weight"] * (1 - (found["cents"] / 25) ** 2))
            # With little evidence, 440 Hz and a typical grand are more likely than a chance hit.
            score *= np.exp(-0.5 * (cents / PRIOR_CENTS) ** 2) - 0.01 * abs(np.log(stiffness))
            if score > best[0]:
                best = (score, cents, stiffness)
    return best[1:]


def observe(peaks, pairs, curves, num_partials, tolerance_cents):
    """Peaks that are partials of sounding keys, weighted by how sure and how alone they are.

    Returns:
        Dict of `key`, `partial`, `cents` (peak above prediction), `weight` (1/cents^2, times
        doubt) and `note` (an identity of key, frame) arrays.
    """
    key, partial, row = _partials_of(pairs, curves, num_partials)
    frame = pairs.frame[row]
    freq = curves.partial_hz(key, partial)
    level = pairs.level_db[row] - 8 * np.log2(partial) - 5 * freq / 1000
    alone = _alone(frame, key, freq, level, peaks.bin_hz)
    nearest = peaks.nearest(frame, freq)
    hit = np.flatnonzero((nearest >= 0) & (alone > 0.1))
    peak = nearest[hit]
    cents = CENTS * np.log(peaks.freq_hz[peak] / freq[hit]) if len(hit) else np.zeros(0)
    good = np.abs(cents) < tolerance_cents
    hit, peak, cents = hit[good], peak[good], cents[good]
    bin_cents = CENTS * peaks.bin_hz / freq[hit]
    blur = bin_cents * (0.02 + 0.7 * 10 ** (-peaks.snr_db[peak] / 20))
    weight = alone[hit] ** 2 * pairs.coverage[row[hit]] ** 2 / (1.0 + blur**2)
    return {"key": key[hit], "partial": partial[hit], "cents": cents, "weight": weight,
            "level_db": peaks.level_db[peak], "snr_db": peaks.snr_db[peak], "alone": alone[hit],
            "frame": frame[hit], "note": pairs.note[row[hit]]}


def _partials_of(pairs, curves, num_partials):
    grid = np.arange(1, num_partials + 1)
    keys = np.arange(NUM_KEYS)
    freq = curves.partial_hz(keys[:, None], grid[None])
    count = np.maximum((freq < HIGHEST_PARTIAL_HZ).sum(axis=1), 1)[pairs.key]
    row = np.repeat(np.arange(len(count)), count)
    partial = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + 1
    return pairs.key[row], partial, row


def _alone(frame, key, freq, level_db, bin_hz, reach_bins=3.0):
    """1 where no other key's partial is near, falling with the power of those that are."""
    order = np.lexsort((freq, frame))
    frame, key, freq, level_db = frame[order], key[order], freq[order], level_db[order]
    rival = np.zeros(len(order))
    for step in (1, 2):
        a, b = slice(None, -step), slice(step, None)
        gap = (freq[b] - freq[a]) / (reach_bins * bin_hz)
        near = (frame[a] == frame[b]) & (key[a] != key[b]) & (gap < 1)
        closeness = np.where(near, 1 - np.minimum(gap, 1) ** 4, 0)
        rival[a] += closeness * 10 ** ((level_db[b] - level_db[a]) / 10)
        rival[b] += closeness * 10 ** ((level_db[a] - level_db[b]) / 10)
    out = np.empty(len(order))
    out[order] = 1 / (1 + rival)
    return out


def _summarise(found, outlier_cents):
    """One robust deviation for each (key, partial), whatever the number of frames.

    A real string's partials stray from the formula by about a cent, and frames overlap: a
    thousand frames of one partial are still one partial.

    Returns:
        Dict of `key`, `partial`, `cents`, `std` (cents) and `level_db` arrays.
    """
    group = found["key"] * (MAX_PARTIALS + 1) + found["partial"]
    order = np.lexsort((found["cents"], group))
    cents, weight, level = (found[name][order] for name in ("cents", "weight", "level_db"))
    names, start, member = np.unique(group[order], return_index=True, return_inverse=True)
    count = len(names)
    total = np.cumsum(weight)
    before = (total[start] - weight[start])[member]
    all_weight = np.bincount(member, weight, count)
    above_half = np.flatnonzero(total - before >= 0.5 * all_weight[member])
    middle = np.full(count, np.inf)
    np.minimum.at(middle, member[above_half], cents[above_half])
    for _ in range(4):
        doubt = 1 / (1 + ((cents - middle[member]) / outlier_cents) ** 2)
        mass = np.bincount(member, weight * doubt, count) + 1e-12
        middle = np.bincount(member, weight * doubt * cents, count) / mass
    scatter = np.bincount(member, weight * doubt * (cents - middle[member]) ** 2, count) / mass
    loud = 10 * np.log10(np.bincount(member, weight * 10 ** (level / 10), count) / all_weight)
    std = np.sqrt((1 + scatter) * FRAMES_PER_EVIDENCE / mass + PARTIAL_STRAY_CENTS**2)
    return {"key": names // (MAX_PARTIALS + 1), "partial": names % (MAX_PARTIALS + 1),
            "cents": middle, "std": std, "level_db": loud}


def _fit_keys(found, curves, outlier_cents, iterations=10):
    """Robust (cents, stiffness) of each key by itself, with its uncertainty.

    Minimises a Cauchy loss of the partials' deviations, loud partials counting more, with
    `curves` as a weak prior.
    """
    key, partial = found["key"], found["partial"]
    loudest = np.full(NUM_KEYS, -300.0)
    np.maximum.at(loudest, key, found["level_db"])
    share = np.maximum(10 ** ((found["level_db"] - loudest[key]) / 40), 0.05)
    weight = share / found["std"] ** 2
    b = typical_inharmonicity()[key]
    slope = 0.5 * CENTS * b * partial**2 / (1 + b * curves.stiffness[key] * partial**2)
    prior = 1 / 12.0**2, 1 / (0.5 * curves.stiffness + 0.1) ** 2
    step = np.zeros((2, NUM_KEYS))
    for _ in range(iterations):
        rest = found["cents"] - step[0, key] - slope * step[1, key]
        w = weight / (1 + (rest / outlier_cents) ** 2)
        s00, s01, s11, t0, t1, misfit = (np.bincount(key, w * v, NUM_KEYS) for v in (
            np.ones(len(w)), slope, slope**2, found["cents"], slope * found["cents"], rest**2))
        p00, p11 = s00 + prior[0], s11 + prior[1]
        det = p00 * p11 - s01**2
        step = np.stack([(p11 * t0 - s01 * t1) / det, (p00 * t1 - s01 * t0) / det])
    # Deviations beyond what `std` expects say that the formula or the matching is off.
    strain = np.sqrt(np.maximum(1, misfit / np.maximum(np.bincount(key, w * found["std"] ** 2,
                                                                   NUM_KEYS), 1e-9)))
    heard = np.bincount(key, minlength=NUM_KEYS) > 0
    return (heard, curves.cents + step[0], strain * np.sqrt(p11 / det),
            curves.stiffness + step[1], strain * np.sqrt(p00 / det))


def _smooth(curves, heard, cents, cents_std, stiffness, stiff_std):
    """All keys from those heard: Gaussian-process regression over the keyboard.

    A tuner's curve is smooth; a sampled piano adds a deviation that neighbouring keys of one
    sample share, as large as the data say.
    """
    keys = np.flatnonzero(heard)
    if not len(keys):
        return curves
    smooth, std = keyboard_lib.regress(keys, cents[keys], cents_std[keys], keyboard_lib.PITCH_TERMS)
    log_stiff = np.log(curves.stiffness)
    for _ in range(6):
        # Gauss-Newton for stiffness = exp(log_stiff), so that noise around 0 is not one-sided.
        now = np.exp(log_stiff[keys])
        target = log_stiff[keys] + np.clip((stiffness[keys] - now) / now, -1.0, 1.0)
        log_stiff, _ = keyboard_lib.regress(keys, target, stiff_std[keys] / now + 0.05,
                                         keyboard_lib.STIFFNESS_TERMS)
        log_stiff = np.clip(log_stiff, np.log(MIN_STIFFNESS), np.log(MAX_STIFFNESS))
    return Curves(smooth, np.exp(log_stiff), std)
