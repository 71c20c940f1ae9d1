"""Fitting fundamental and inharmonicity of every key to spectral peaks.

Pitches are kept as cents above 440 Hz equal temperament, inharmonicity as a multiple of a typical
grand's, so that "nothing known" is (0, 1) on every key.
"""

import dataclasses
import typing

import numpy as np
from scipy.special import erf

from style_transfer import strings
from style_transfer.arrays import counted, fold
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


class Curves(typing.NamedTuple):
    """Estimates of all keys: cents above equal temperament, stiffness, and cents' deviation."""

    cents: typing.Any
    stiffness: typing.Any
    cents_std: typing.Any

    @property
    def f0_hz(self):
        """Fundamentals, `[88]`."""
        return strings.equal_temperament_hz() * 2 ** (self.cents / 1200)

    @property
    def inharmonicity(self):
        """Stiffness B, `[88]`."""
        return typical_inharmonicity() * self.stiffness

    def partials_hz(self, num_partials=MAX_PARTIALS, xp=np):
        """Frequencies of the partials of all keys, `[88, num_partials]`."""
        return strings.partial_hz(self.f0_hz[:, None], self.inharmonicity[:, None],
                                  np.arange(1, num_partials + 1.0), xp.sqrt)


def pairs_from_notes(notes, peaks, min_coverage=0.35):
    """Frames in which each note of a `NoteTable` sounds, damped notes' tails excluded."""
    sigma = peaks.sigma_secs
    start = np.asarray(notes.onset_secs) + 0.02
    end = np.asarray(notes.damped_secs)
    first = np.searchsorted(peaks.times, start - sigma)
    count = np.maximum(np.searchsorted(peaks.times, end + sigma) - first, 0)
    note, since = counted(count)
    frame = first[note] + since
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


def fit(layers, max_cents, xp=np):
    """Fits all keys to the peaks of a recording.

    Args:
        layers: List of `(Peaks, Pairs)`, one for each resolution, the one of most frames last.
        max_cents: How far from 440 Hz the whole piano may be tuned.
        xp: See `arrays`.

    Returns:
        `Curves`; without any evidence the typical grand.
    """
    curves = _uniform(*_coarse(*layers[-1], max_cents, xp), xp)
    kernels = [keyboard_lib.kernels(terms, xp)
               for terms in (keyboard_lib.PITCH_TERMS, keyboard_lib.STIFFNESS_TERMS)]

    def refined(curves, stage):
        found = [observe(peaks, pairs, curves, stage[0], stage[1], xp) for peaks, pairs in layers]
        found = {name: xp.concatenate([f[name] for f in found])
                 for name in ("key", "partial", "cents", "weight", "level_db")}
        outlier = xp.maximum(stage[1] / 4, 3.0)
        partials = _summarise(found, outlier, xp)
        return _smooth(curves, *_fit_keys(partials, curves, outlier, xp), *kernels, xp)

    return fold(refined, curves, np.array(STAGES), xp)


def _uniform(cents, stiffness, xp=np):
    """`Curves` of a whole keyboard that is alike, as far as one knows."""
    ones = np.ones(NUM_KEYS)
    return Curves(cents * ones, stiffness * ones, xp.asarray(60.0 * ones))


def _coarse(peaks, pairs, max_cents, xp):
    """Offset and stiffness of the whole keyboard whose combs meet most peaks."""
    count = xp.size(pairs.key)
    wanted = xp.minimum(count, COARSE_PAIRS)
    chosen = xp.arange(wanted) * count // xp.maximum(wanted, 1)
    some = Pairs(*(xp.take(getattr(pairs, field.name), chosen)
                   for field in dataclasses.fields(Pairs)))
    trials = np.array([(cents, stiffness) for stiffness in COARSE_STIFFNESS
                       for cents in COARSE_CENTS if abs(cents) <= max_cents])

    def score(trial):
        cents, stiffness = trial[0], trial[1]
        found = observe(peaks, some, _uniform(cents, stiffness, xp), 6, 25.0, xp)
        # With little evidence, 440 Hz and a typical grand are more likely than a chance hit.
        prior = xp.exp(-0.5 * (cents / PRIOR_CENTS) ** 2) - 0.01 * xp.abs(xp.log(stiffness))
        return prior * xp.sum(found["weight"] * (1 - (found["cents"] / 25) ** 2))

    scores = xp.apply_along_axis(score, 1, trials)
    best = xp.where(xp.max(scores) > 0, xp.take(trials, xp.argmax(scores), axis=0), [0.0, 1.0])
    return best[0], best[1]


def observe(peaks, pairs, curves, num_partials, tolerance_cents, xp=np):
    """Peaks that are partials of sounding keys, weighted by how sure and how alone they are.

    Returns:
        Dict of `key`, `partial`, `cents` (peak above prediction), `weight` (1/cents^2, times
        doubt) and `note` (an identity of key, frame) arrays.
    """
    partials_hz = curves.partials_hz(xp=xp)
    count = xp.maximum(xp.sum(partials_hz < HIGHEST_PARTIAL_HZ, axis=1), 1)
    count = xp.minimum(count, xp.asarray(num_partials, int))
    row, above = counted(xp.take(count, pairs.key), xp)
    freq = xp.take(partials_hz, xp.take(pairs.key, row) * MAX_PARTIALS + above)
    order = xp.argsort(xp.asarray(xp.take(pairs.frame, row), float) * 1e6 + freq)
    row, above, freq = (xp.take(column, order) for column in (row, above, freq))
    key, frame, partial = xp.take(pairs.key, row), xp.take(pairs.frame, row), above + 1
    level = (xp.take(pairs.level_db, row) - 8 * xp.take(np.log2(np.arange(1, MAX_PARTIALS + 1)),
                                                        above) - 5 * freq / 1000)
    alone = _alone(frame, key, freq, level, peaks.bin_hz, xp)
    hit = xp.flatnonzero(alone > 0.1)
    peak = peaks.nearest(xp.take(frame, hit), xp.take(freq, hit), xp)
    hit, peak = hit[peak >= 0], peak[peak >= 0]
    cents = CENTS * xp.log(xp.take(peaks.freq_hz, peak) / xp.take(freq, hit))
    good = xp.abs(cents) < tolerance_cents
    hit, peak, cents = hit[good], peak[good], cents[good]
    row, key, frame, partial, freq, alone = (
        xp.take(column, hit) for column in (row, key, frame, partial, freq, alone))
    snr, level = xp.take(peaks.snr_db, peak), xp.take(peaks.level_db, peak)
    blur = CENTS * peaks.bin_hz / freq * (0.02 + 0.7 * 10 ** (-snr / 20))
    weight = (alone * xp.take(pairs.coverage, row)) ** 2 / (1.0 + blur**2)
    return {"key": key, "partial": partial, "cents": cents, "weight": weight, "level_db": level,
            "snr_db": snr, "alone": alone, "frame": frame, "note": xp.take(pairs.note, row)}


def _alone(frame, key, freq, level_db, bin_hz, xp, reach_bins=3.0):
    """1 where no other key's partial is near, falling with the power of those that are.

    Rows are sorted by frame, then by frequency.
    """
    rival = xp.zeros_like(freq)
    for step in (1, 2):
        # What is rolled in from the other end is in another frame, or below.
        gap = (xp.roll(freq, -step, 0) - freq) / (reach_bins * bin_hz)
        near = ((xp.roll(frame, -step, 0) == frame) & (xp.roll(key, -step, 0) != key)
                & (gap >= 0) & (gap < 1))
        closeness = xp.where(near, 1 - gap**4, 0.0)
        stronger = 10 ** ((xp.roll(level_db, -step, 0) - level_db) / 10)
        rival = rival + closeness * stronger + xp.roll(closeness / stronger, step, 0)
    return 1 / (1 + rival)


def _summarise(found, outlier_cents, xp):
    """One robust deviation for each (key, partial), whatever the number of frames.

    A real string's partials stray from the formula by about a cent, and frames overlap: a
    thousand frames of one partial are still one partial.

    Returns:
        Dict of `heard` (bool), `cents`, `std` (cents) and `level_db`, `[88, MAX_PARTIALS]` each.
    """
    size = NUM_KEYS * MAX_PARTIALS
    group = found["key"] * MAX_PARTIALS + found["partial"] - 1
    order = xp.argsort(xp.asarray(group, float) * 1e4 + found["cents"])
    group, cents, weight, level = (xp.take(column, order) for column in (
        group, found["cents"], found["weight"], found["level_db"]))

    def per_group(values):
        return xp.bincount(group, values, size)

    total = per_group(weight)
    heard = total > 0
    half = xp.searchsorted(xp.cumsum(weight), xp.cumsum(total) - 0.5 * total)
    middle = xp.take(xp.concatenate([cents, xp.asarray([0.0])]), half)
    mass = total
    for _ in range(4):
        doubt = weight / (1 + ((cents - xp.take(middle, group)) / outlier_cents) ** 2)
        mass = per_group(doubt) + 1e-12
        middle = per_group(doubt * cents) / mass
    scatter = per_group(doubt * (cents - xp.take(middle, group)) ** 2) / mass
    loud = per_group(weight * 10 ** (level / 10)) / xp.where(heard, total, 1.0)
    loud = xp.where(heard, 10 * xp.log10(xp.maximum(loud, 1e-30)), -300.0)
    std = xp.sqrt((1 + scatter) * FRAMES_PER_EVIDENCE / mass + PARTIAL_STRAY_CENTS**2)
    return {name: xp.reshape(values, (NUM_KEYS, MAX_PARTIALS)) for name, values in (
        ("heard", heard), ("cents", middle), ("std", std), ("level_db", loud))}


def _fit_keys(found, curves, outlier_cents, xp, iterations=10):
    """Robust (cents, stiffness) of each key by itself, with its uncertainty.

    Minimises a Cauchy loss of the partials' deviations, loud partials counting more, with
    `curves` as a weak prior.
    """
    loudest = xp.max(found["level_db"], axis=1, keepdims=True)
    share = xp.maximum(10 ** ((found["level_db"] - loudest) / 40), 0.05)
    weight = xp.where(found["heard"], share / found["std"] ** 2, 0.0)
    partial = np.arange(1, MAX_PARTIALS + 1.0)
    b = typical_inharmonicity()[:, None]
    slope = 0.5 * CENTS * b * partial**2 / (1 + b * curves.stiffness[:, None] * partial**2)
    prior = 1 / 12.0**2, 1 / (0.5 * curves.stiffness + 0.1) ** 2
    cents, stiffness = (xp.zeros_like(curves.cents) for _ in range(2))
    for _ in range(iterations):
        rest = found["cents"] - cents[:, None] - slope * stiffness[:, None]
        w = weight / (1 + (rest / outlier_cents) ** 2)
        s00, s01, s11, t0, t1, misfit, expected = (xp.sum(w * v, axis=1) for v in (
            1.0, slope, slope**2, found["cents"], slope * found["cents"], rest**2,
            found["std"] ** 2))
        p00, p11 = s00 + prior[0], s11 + prior[1]
        det = p00 * p11 - s01**2
        cents, stiffness = (p11 * t0 - s01 * t1) / det, (p00 * t1 - s01 * t0) / det
    # Deviations beyond what `std` expects say that the formula or the matching is off.
    strain = xp.sqrt(xp.maximum(misfit / xp.maximum(expected, 1e-9), 1.0))
    return (xp.any(found["heard"], axis=1), curves.cents + cents, strain * xp.sqrt(p11 / det),
            curves.stiffness + stiffness, strain * xp.sqrt(p00 / det))


def _smooth(curves, heard, cents, cents_std, stiffness, stiff_std, pitch_kernels,
            stiffness_kernels, xp):
    """All keys from those heard: Gaussian-process regression over the keyboard.

    A tuner's curve is smooth; a sampled piano adds a deviation that neighbouring keys of one
    sample share, as large as the data say.
    """
    smooth, std = keyboard_lib.regress(heard, cents, cents_std, pitch_kernels, xp=xp)

    def nearer(log_stiff, _):
        # Gauss-Newton for stiffness = exp(log_stiff), so that noise around 0 is not one-sided.
        now = xp.exp(log_stiff)
        target = log_stiff + xp.clip((stiffness - now) / now, -1.0, 1.0)
        log_stiff, _ = keyboard_lib.regress(heard, target, stiff_std / now + 0.05,
                                            stiffness_kernels, xp=xp)
        return xp.clip(log_stiff, np.log(MIN_STIFFNESS), np.log(MAX_STIFFNESS))

    log_stiff = fold(nearer, xp.log(curves.stiffness), np.arange(6), xp)
    known = xp.any(heard)
    return Curves(*(xp.where(known, new, old) for new, old in (
        (smooth, curves.cents), (xp.exp(log_stiff), curves.stiffness), (std, curves.cents_std))))
