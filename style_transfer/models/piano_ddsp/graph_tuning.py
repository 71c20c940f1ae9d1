"""Tuning and stiffness of a piano from a clip of it, inside a graph: `analysis.measure_tuning`.

Only the case without notes. Where the library keeps lists of what it found, arrays over all
88 keys and their partials with a mask are kept here.
"""

import math

import numpy as np
import tensorflow as tf

from style_transfer import strings
from style_transfer.measure import keyboard as keyboard_lib
from style_transfer.measure import peaks as peaks_lib
from style_transfer.measure import tuning_fit as tuning_fit_lib
from style_transfer.models.piano_ddsp import graph_peaks
from style_transfer.piano_roll import NUM_KEYS

MAX_CENTS = 55.0
COVERAGE = 0.7
_KEYS, _COLUMNS = NUM_KEYS, tuning_fit_lib.MAX_PARTIALS + 1
_TEMPERAMENT = strings.equal_temperament_hz()
_TYPICAL = tuning_fit_lib.typical_inharmonicity()
_PARTIALS = np.arange(_COLUMNS, dtype=np.float64)[None]


def measure_tuning(samples, sample_rate):
    """Fundamental and inharmonicity of all 88 keys, float32 `[88]` each.

    Args:
        samples: float32 `[num_samples]`.
        sample_rate: Hz, at most 24000.

    Returns:
        As `analysis.measure_tuning(audio, None)`, up to about a hundredth of a cent where both
        start from the same rough tuning; the library draws other random pairs to find it.
    """
    layers = [graph_peaks.find_peaks(samples, sample_rate, secs)
              for secs in peaks_lib.WINDOW_SECS]
    pairs = graph_peaks.pairs_from_peaks(layers)
    heard = tf.add_n([tf.size(p.key) for p in pairs]) > 0
    nothing = tf.zeros(_KEYS, tf.float64), tf.ones(_KEYS, tf.float64)
    cents, stiffness = tf.cond(heard, lambda: _fit(layers, pairs), lambda: nothing)
    f0 = _TEMPERAMENT * tf.pow(tf.constant(2.0, tf.float64), cents / 1200)
    return tf.cast(f0, tf.float32), tf.cast(_TYPICAL * stiffness, tf.float32)


def _fit(layers, pairs):
    offset, stiffness = _coarse(layers, pairs)
    partials, tolerances = (tf.constant(column, dtype) for column, dtype in
                            zip(zip(*tuning_fit_lib.STAGES, strict=True), (tf.int32, tf.float64),
                                strict=True))

    def refine(stage, cents, stiffness):
        tolerance = tolerances[stage]
        found = [_observe(layer, some, cents, stiffness, partials[stage], tolerance)
                 for layer, some in zip(layers, pairs, strict=True)]
        found = {name: tf.concat([f[name] for f in found], axis=0) for name in found[0]}
        outlier = tf.maximum(tolerance / 4, 3.0)
        summary = _summarise(found, outlier)
        return stage + 1, *_smooth(cents, stiffness,
                                   *_fit_keys(summary, cents, stiffness, outlier))

    start = (tf.constant(0), tf.fill([_KEYS], offset), tf.fill([_KEYS], stiffness))
    return tf.while_loop(lambda stage, *_: stage < len(tuning_fit_lib.STAGES), refine, start)[1:]


def _coarse(layers, pairs):
    """Offset and stiffness of the whole keyboard whose combs meet most peaks."""
    richest = tf.argmax(tf.stack([tf.size(p.key) for p in pairs]), output_type=tf.int32)
    layer, some = tf.switch_case(richest, [lambda both=both: both
                                           for both in zip(layers, pairs, strict=True)])
    count = tf.size(some.key)
    wanted = tf.minimum(count, tuning_fit_lib.COARSE_PAIRS)
    chosen = tf.cast(tf.range(wanted), tf.int64) * tf.cast(count, tf.int64)
    chosen = chosen // tf.cast(tf.maximum(wanted, 1), tf.int64)
    some = graph_peaks.Pairs(*(tf.gather(column, chosen) for column in some))
    cents = tuning_fit_lib.COARSE_CENTS[np.abs(tuning_fit_lib.COARSE_CENTS) <= MAX_CENTS]
    trials = np.array([(c, s) for s in tuning_fit_lib.COARSE_STIFFNESS for c in cents])

    def score(trial):
        found = _observe(layer, some, tf.fill([_KEYS], trial[0]), tf.fill([_KEYS], trial[1]),
                         tf.constant(6), tf.constant(25.0, tf.float64))
        value = tf.reduce_sum(found["weight"] * (1 - tf.square(found["cents"] / 25)))
        prior = tf.exp(-0.5 * tf.square(trial[0] / tuning_fit_lib.PRIOR_CENTS))
        return value * (prior - 0.01 * tf.abs(tf.math.log(trial[1])))

    scores = tf.map_fn(score, tf.constant(trials), parallel_iterations=1)
    best = tf.argmax(scores)
    found = tf.gather(tf.constant(trials), best)
    none = tf.constant([0.0, 1.0], tf.float64)
    found = tf.where(tf.gather(scores, best) > 0, found, none)
    return found[0], found[1]


def _observe(peaks, pairs, cents, stiffness, num_partials, tolerance_cents):
    """`tuning_fit_lib.observe`: peaks that are partials of sounding keys."""
    f0 = _TEMPERAMENT * tf.pow(tf.constant(2.0, tf.float64), cents / 1200)
    b = _TYPICAL * stiffness
    table = strings.partial_hz(f0[:, None], b[:, None], _PARTIALS, tf.sqrt)
    is_low = (table < tuning_fit_lib.HIGHEST_PARTIAL_HZ) & (_PARTIALS > 0)
    is_low &= tf.range(_COLUMNS)[None] <= num_partials
    count = tf.maximum(tf.reduce_sum(tf.cast(is_low, tf.int32), axis=1), 1)
    count = tf.gather(count, pairs.key)
    row = tf.repeat(tf.range(tf.size(count)), count)
    partial = tf.range(tf.size(row)) - tf.gather(tf.cumsum(count) - count, row) + 1
    key, frame = tf.gather(pairs.key, row), tf.gather(pairs.frame, row)
    freq = tf.gather_nd(table, tf.stack([key, partial], axis=1))
    level = (tf.gather(pairs.level_db, row) - 5 * freq / 1000
             - 8 / math.log(2) * tf.math.log(tf.cast(partial, tf.float64)))
    alone = _alone(frame, key, freq, level, peaks.bin_hz)
    nearest = peaks.nearest(frame, freq)
    hit = (nearest >= 0) & (alone > 0.1)
    key, partial, freq, alone, peak = (tf.boolean_mask(v, hit) for v in (
        key, partial, freq, alone, nearest))
    off = tuning_fit_lib.CENTS * tf.math.log(tf.gather(peaks.freq_hz, peak) / freq)
    good = tf.abs(off) < tolerance_cents
    key, partial, freq, alone, peak, off = (tf.boolean_mask(v, good) for v in (
        key, partial, freq, alone, peak, off))
    snr = tf.gather(peaks.snr_db, peak)
    blur = tuning_fit_lib.CENTS * peaks.bin_hz / freq * (0.02 + 0.7 * _power_of_ten(-snr / 20))
    weight = tf.square(alone * COVERAGE) / (1 + tf.square(blur))
    return {"group": key * _COLUMNS + partial, "cents": off, "weight": weight,
            "level_db": tf.gather(peaks.level_db, peak)}


def _alone(frame, key, freq, level_db, bin_hz, reach_bins=3.0):
    """1 where no other key's partial is near, falling with the power of those that are."""
    order = tf.argsort(tf.cast(frame, tf.float64) * 1e6 + freq, stable=True)
    frame, key, freq, level_db = (tf.gather(v, order) for v in (frame, key, freq, level_db))
    rival = tf.zeros_like(freq)
    for step in (1, 2):
        def shifted(value, step=step):
            return value[:-step], value[step:]

        (frame_a, frame_b), (key_a, key_b) = shifted(frame), shifted(key)
        (freq_a, freq_b), (level_a, level_b) = shifted(freq), shifted(level_db)
        gap = (freq_b - freq_a) / (reach_bins * bin_hz)
        near = (frame_a == frame_b) & (key_a != key_b) & (gap < 1)
        closeness = tf.where(near, 1 - tf.minimum(gap, 1.0) ** 4, tf.zeros_like(gap))
        ahead = closeness * _power_of_ten((level_b - level_a) / 10)
        behind = closeness * _power_of_ten((level_a - level_b) / 10)
        room = tf.minimum(step, tf.size(freq))
        rival += tf.pad(ahead, [[0, room]]) + tf.pad(behind, [[room, 0]])
    return tf.gather(1 / (1 + rival), tf.argsort(order))


def _summarise(found, outlier_cents):
    """`tuning_fit_lib._summarise` as `[88, 41]` arrays, with a mask of what was found."""
    order = tf.argsort(tf.cast(found["group"], tf.float64) * 1e4 + found["cents"], stable=True)
    group, cents, weight, level = (tf.gather(found[name], order) for name in
                                   ("group", "cents", "weight", "level_db"))

    def summed(values):
        return tf.math.unsorted_segment_sum(values, group, _KEYS * _COLUMNS)

    all_weight = summed(weight)
    # Groups lie one after the other, so what was summed before one is that of all earlier groups.
    before = tf.gather(tf.cumsum(all_weight, exclusive=True), group)
    is_above = tf.cumsum(weight) - before >= 0.5 * tf.gather(all_weight, group)
    middle = tf.math.unsorted_segment_min(tf.boolean_mask(cents, is_above),
                                          tf.boolean_mask(group, is_above), _KEYS * _COLUMNS)
    mass = scatter = all_weight
    for _ in range(4):
        doubt = 1 / (1 + tf.square((cents - tf.gather(middle, group)) / outlier_cents))
        mass = summed(weight * doubt) + 1e-12
        middle = summed(weight * doubt * cents) / mass
    scatter = summed(weight * doubt * tf.square(cents - tf.gather(middle, group))) / mass
    heard = all_weight > 0
    safe = tf.where(heard, all_weight, tf.ones_like(all_weight))
    loud = 10 / math.log(10) * tf.math.log(summed(weight * _power_of_ten(level / 10)) / safe)
    variance = (1 + scatter) * tuning_fit_lib.FRAMES_PER_EVIDENCE / mass
    std = tf.sqrt(variance + tuning_fit_lib.PARTIAL_STRAY_CENTS**2)
    shape = (_KEYS, _COLUMNS)
    return {"heard": tf.reshape(heard, shape), "cents": tf.reshape(middle, shape),
            "std": tf.reshape(std, shape),
            "level_db": tf.reshape(tf.where(heard, loud, -300 * tf.ones_like(loud)), shape)}


def _fit_keys(found, cents, stiffness, outlier_cents, iterations=10):
    """`tuning_fit_lib._fit_keys`: robust (cents, stiffness) of each key by itself."""
    heard = tf.cast(found["heard"], tf.float64)
    loudest = tf.reduce_max(found["level_db"], axis=1, keepdims=True)
    share = tf.maximum(_power_of_ten((found["level_db"] - loudest) / 40), 0.05)
    weight = heard * share / tf.square(found["std"])
    b = _TYPICAL[:, None]
    slope = 0.5 * tuning_fit_lib.CENTS * b * _PARTIALS**2 / (
        1 + b * stiffness[:, None] * _PARTIALS**2)
    prior = 1 / 12.0**2, 1 / tf.square(0.5 * stiffness + 0.1)
    step = [tf.zeros(_KEYS, tf.float64)] * 2
    for _ in range(iterations):
        rest = found["cents"] - step[0][:, None] - slope * step[1][:, None]
        w = weight / (1 + tf.square(rest / outlier_cents))
        s00, s01, s11, t0, t1, misfit = (tf.reduce_sum(w * v, axis=1) for v in (
            tf.ones_like(w), slope, slope**2, found["cents"], slope * found["cents"], rest**2))
        p00, p11 = s00 + prior[0], s11 + prior[1]
        det = p00 * p11 - s01**2
        step = [(p11 * t0 - s01 * t1) / det, (p00 * t1 - s01 * t0) / det]
    expected = tf.maximum(tf.reduce_sum(w * tf.square(found["std"]), axis=1), 1e-9)
    strain = tf.sqrt(tf.maximum(misfit / expected, 1.0))
    return (tf.reduce_any(found["heard"], axis=1), cents + step[0],
            strain * tf.sqrt(p11 / det), stiffness + step[1], strain * tf.sqrt(p00 / det))


def _smooth(cents, stiffness, heard, key_cents, cents_std, key_stiffness, stiff_std):
    """`tuning_fit_lib._smooth`: all keys from those heard."""
    smooth = _regress(heard, key_cents, cents_std, keyboard_lib.PITCH_TERMS)
    log_stiff = tf.math.log(stiffness)
    for _ in range(6):
        now = tf.exp(log_stiff)
        target = log_stiff + tf.clip_by_value((key_stiffness - now) / now, -1.0, 1.0)
        log_stiff = _regress(heard, target, stiff_std / now + 0.05, keyboard_lib.STIFFNESS_TERMS)
        log_stiff = tf.clip_by_value(log_stiff, math.log(tuning_fit_lib.MIN_STIFFNESS),
                                     math.log(tuning_fit_lib.MAX_STIFFNESS))
    any_heard = tf.reduce_any(heard)
    return tf.where(any_heard, smooth, cents), tf.where(any_heard, tf.exp(log_stiff), stiffness)


def _regress(heard, values, std, terms, rounds=3):
    """`keyboard_lib.regress`: the posterior mean. Keys not heard are rows of the unit matrix."""
    mask = tf.cast(heard, tf.float64)
    values, noise = values * mask, tf.where(heard, tf.square(std), tf.ones_like(std))
    smooth = keyboard_lib._kernel(terms)
    rough = keyboard_lib._kernel(((1.0, keyboard_lib.ROUGH_KEYS),))
    kernels = tf.constant(np.stack([smooth + (terms[-1][0] * size) ** 2 * rough
                                    for size in keyboard_lib.ROUGH_STDS]))
    both = mask[:, None] * mask[None]
    covariance = kernels * both + tf.linalg.diag(noise)
    _, log_det = tf.linalg.slogdet(covariance)
    columns = tf.tile(values[None, :, None], [len(keyboard_lib.ROUGH_STDS), 1, 1])
    fitted = tf.linalg.solve(covariance, columns)[..., 0]
    likelihood = -0.5 * (tf.reduce_sum(fitted * values, axis=1) + log_det)
    kernel = tf.gather(kernels, tf.argmax(likelihood))
    for _ in range(rounds):
        inverse = tf.linalg.inv(kernel * both + tf.linalg.diag(noise))
        spread = 1 / tf.linalg.diag_part(inverse)
        left_out = tf.linalg.matvec(inverse, values) * spread
        raised = tf.square(left_out) / spread / keyboard_lib.OUTLIER_STDS**2
        noise *= tf.where(heard, tf.maximum(raised, 1.0), tf.ones_like(raised))
    inverse = tf.linalg.inv(kernel * both + tf.linalg.diag(noise))
    return tf.linalg.matvec(kernel, mask * tf.linalg.matvec(inverse, values))


def _power_of_ten(x):
    return tf.pow(tf.constant(10.0, tf.float64), x)
