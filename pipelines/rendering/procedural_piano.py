"""Random keyboard instruments: from a seed to partials, decays and noises of every key.

Six kinds, each a range of physical and of measured figures rather than one instrument:
grand and upright (struck stiff strings), tine and reed (electric, through a pickup), plucked
(harpsichord-like) and clavinet-like. Draws are independent, so timbres between the kinds' typical
ones occur too.

Source: Young 1952 and Rigaud et al. 2013 (inharmonicity over the keyboard), Weinreich 1977
(two-stage decay of coupled strings), Fletcher and Rossing 1998, ch. 12 (strike position, decay).
"""

import dataclasses

import numpy as np

from style_transfer import strings
from style_transfer.piano_roll import LOWEST_PITCH, NUM_KEYS
from style_transfer.pipelines.rendering.rooms import smooth_curve

# Each kind's share of the draws.
KINDS = {
    "grand": 0.4, "upright": 0.24, "tine": 0.12, "reed": 0.1, "plucked": 0.08, "clavinet": 0.06,
}
MAX_PARTIALS = 128
AUDIBLE_DB = -75.0
NO_OCTAVE_DB = -99.0
_KEYS = np.arange(NUM_KEYS)
_MIDDLE = 39  # C4
_FORMANT_HZ = np.geomspace(30, 16_000, 128)


@dataclasses.dataclass(frozen=True)
class Shape:
    """The ranges that tell the kinds of instrument apart, drawn uniformly.

    Attributes:
        stiffness: Factor on a grand's inharmonicity; 0 is harmonic.
        tilt_db: Fall per octave of partials' numbers.
        cutoff_hz: Where the hammer's softness sets in, at C4 and mezzoforte.
        bright_octaves: How far the cutoff moves from the softest to the loudest note.
        dynamics_db: Level difference between the softest and the loudest note.
        sustain_secs: Time in which C4 falls by 60 dB, aftersound.
        damper_secs: Time in which the damper silences C4 by 60 dB.
        detune_cents: Spread of a key's unison strings.
        contact: Where the string is struck or plucked, as a share of its length.
        attack_ms: Rise of the sound.
        hammer_db: Noise of the stroke relative to the note.
    """

    stiffness: tuple
    tilt_db: tuple
    cutoff_hz: tuple
    bright_octaves: tuple
    dynamics_db: tuple
    sustain_secs: tuple
    damper_secs: tuple
    detune_cents: tuple
    contact: tuple
    attack_ms: tuple
    hammer_db: tuple


SHAPES = {
    "grand": Shape((0.5, 1.4), (1, 6), (500, 2200), (2, 4.5), (26, 46), (8, 20), (0.12, 0.5),
                   (0.05, 1.2), (1 / 9, 1 / 7), (0.5, 4), (-34, -14)),
    "upright": Shape((1.2, 3.0), (2, 7), (400, 1800), (1.5, 4), (24, 40), (5, 12), (0.15, 0.7),
                     (0.2, 5.0), (1 / 10, 1 / 7), (0.5, 4), (-28, -10)),
    "tine": Shape((0, 0), (0, 0), (900, 4000), (1, 3), (22, 38), (6, 16), (0.06, 0.3),
                  (0, 0.3), (0.5, 0.5), (0.5, 5), (-44, -22)),
    "reed": Shape((0, 0), (0, 0), (900, 4000), (1, 3), (20, 36), (3, 9), (0.05, 0.25),
                  (0, 0.3), (0.5, 0.5), (0.5, 5), (-44, -22)),
    "plucked": Shape((0.05, 0.4), (1, 4), (2000, 6000), (0, 0.6), (3, 10), (4, 12), (0.08, 0.4),
                     (0.05, 2.0), (0.08, 0.25), (0.2, 1), (-34, -16)),
    "clavinet": Shape((0.1, 0.8), (1, 4), (1500, 5000), (0.5, 2), (14, 28), (2, 6), (0.03, 0.15),
                      (0, 0.3), (0.04, 0.12), (0.2, 1.5), (-36, -18)),
}


@dataclasses.dataclass(frozen=True)
class Piano:
    """One instrument; per-key arrays are `[88]`, everything else is one number or a curve.

    `value` holds the draws of the kind's `Shape` by name.
    """

    kind: str
    seed: int
    value: dict
    f0_hz: np.ndarray
    inharmonicity: np.ndarray
    sustain_secs: np.ndarray
    damper_secs: np.ndarray
    key_db: np.ndarray
    formants_db: np.ndarray
    soundboard_hz: float
    loss_per_khz: float
    fast_ratio: float
    aftersound: float
    velocity_power: float
    first_undamped_key: int
    harmonic_db: tuple
    octave_db: float
    room: dict


@dataclasses.dataclass(frozen=True)
class Partials:
    """Partials of one key, those that live longest first.

    Attributes:
        freqs_hz: `[partials]`.
        static_db: Level that does not depend on velocity.
        number: Partial number, the fundamental 1 (not whole for a tine's overtones).
        rate: Decay of the aftersound, 1/s.
        fast_rate: Decay of the first sound, 1/s.
        aftersound: Share of the aftersound in the amplitude.
        beat_hz: Frequency difference of the two.
        phase: Phases of the two, `[2, partials]`.
    """

    freqs_hz: np.ndarray
    static_db: np.ndarray
    number: np.ndarray
    rate: np.ndarray
    fast_rate: np.ndarray
    aftersound: np.ndarray
    beat_hz: np.ndarray
    phase: np.ndarray


def draw_piano(seed: int) -> Piano:
    """A random instrument; equal seeds give equal instruments.

    Args:
        seed: Non-negative integer.
    """
    rng = np.random.default_rng([2_301, seed])
    kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
    shape = SHAPES[kind]
    value = {field.name: float(rng.uniform(*getattr(shape, field.name)))
             for field in dataclasses.fields(shape)}
    inharmonicity = _inharmonicity(rng) * value["stiffness"]
    electric = kind in ("tine", "reed")
    slope, damper_slope = rng.uniform(0.35, 0.75), rng.uniform(0.2, 0.6)
    first_undamped = int(rng.integers(66, 74))
    octave_db = float(rng.uniform(-14, -3)) if rng.random() < 0.5 else NO_OCTAVE_DB
    octaves = (_KEYS - _MIDDLE) / 12
    return Piano(
        kind=kind, seed=seed, value=value, inharmonicity=inharmonicity,
        f0_hz=_tuning(rng, inharmonicity, electric),
        sustain_secs=np.clip(value["sustain_secs"] * 2 ** (-slope * octaves), 0.25, 40),
        damper_secs=np.clip(value["damper_secs"] * 2 ** (-damper_slope * octaves), 0.03, 2),
        key_db=rng.uniform(-1.5, 1.5) * octaves + _wander(rng, rng.uniform(0.2, 1.5)),
        formants_db=smooth_curve(rng, _FORMANT_HZ, rng.uniform(1, 5), 12, 0.7),
        soundboard_hz=rng.uniform(30, 70) if kind == "grand" else rng.uniform(40, 140),
        loss_per_khz=rng.uniform(0.1, 0.8), fast_ratio=rng.uniform(2, 6),
        aftersound=rng.uniform(0.1, 0.4), velocity_power=rng.uniform(0.5, 1.1),
        first_undamped_key=first_undamped if kind in ("grand", "upright") else NUM_KEYS,
        harmonic_db=_pickup(rng, kind),
        octave_db=octave_db if kind == "plucked" else NO_OCTAVE_DB,
        room=_room(rng, electric))


def _inharmonicity(rng):
    """Stiffness of 88 keys: wound strings fall, plain strings rise towards the treble."""
    pitch = _KEYS + LOWEST_PITCH
    bass = np.exp(rng.normal(-8.5e-2, 8e-3) * (pitch - 21) - 7.6 + rng.normal(0, 0.4))
    treble = np.exp(rng.normal(9.3e-2, 5e-3) * (pitch - 60) - 8.1 + rng.normal(0, 0.3))
    return bass + treble


def _tuning(rng, inharmonicity, electric):
    """Fundamentals in Hz: concert pitch, stretch as octaves on stiff strings ask, and wear."""
    away = (_KEYS - 48) / 40
    stretch = (0.1 if electric else 1.0) * rng.uniform(0.3, 1.4)
    curve = stretch * (26 * np.maximum(away, 0) ** 2.5 - 14 * np.minimum(away, 0) ** 2)
    worn = rng.uniform(3, 9) if rng.random() < 0.12 else rng.uniform(0.2, 2.5)
    cents = np.clip(rng.normal(0, 8), -25, 25) + curve + rng.normal(0, worn, NUM_KEYS)
    sounding = strings.equal_temperament_hz() * 2 ** (cents / 1200)
    return sounding / np.sqrt(1 + inharmonicity)


def _wander(rng, spread_db):
    return np.convolve(rng.normal(0, spread_db, NUM_KEYS + 4), np.ones(5) / 5, "valid") * 1.5


def _pickup(rng, kind):
    """Fall per harmonic at the softest note, gain of it with velocity, even harmonics, in dB."""
    if kind == "tine":
        return rng.uniform(14, 24), rng.uniform(5, 11), rng.uniform(-8, 6)
    return rng.uniform(4.5, 9), rng.uniform(2, 4), rng.uniform(-8, 4)


def _room(rng, electric):
    wet = rng.uniform(-40, -18) if electric or rng.random() < 0.3 else rng.uniform(-24, -5)
    return {"rt60_secs": float(np.exp(rng.uniform(np.log(0.1), np.log(1.5)))), "wet_db": float(wet),
            "brightness_hz": float(rng.uniform(800, 6000))}


def partials(piano: Piano, key: int, sample_rate: int) -> Partials:
    """The `Partials` of a key, those below 0.45 of the sample rate."""
    rng = np.random.default_rng([piano.seed, key])
    number, extra_db, extra_rate = _numbers(piano, rng)
    freqs = strings.partial_hz(piano.f0_hz[key], piano.inharmonicity[key], number)
    level = extra_db + rng.normal(0, 2.5 if piano.value["stiffness"] else 0.8, len(number))
    level = level + piano.key_db[key] + _body_db(piano, freqs)
    slow = 6.91 / piano.sustain_secs[key] * (1 + piano.loss_per_khz * freqs / 1000) + extra_rate
    fast = slow * piano.fast_ratio * np.exp(rng.normal(0, 0.25, len(number)))
    share = np.clip(piano.aftersound * np.exp(rng.normal(0, 0.5, len(number))), 0.02, 0.9)
    cents = rng.normal(0, piano.value["detune_cents"], len(number))
    phase = rng.uniform(0, 2 * np.pi, (2, len(number)))
    usable = np.flatnonzero(freqs < 0.45 * sample_rate)
    order = usable[np.argsort(slow[usable], kind="stable")]
    beat = freqs * (2 ** (cents / 1200) - 1)
    columns = (freqs, level, number, slow, fast, share, beat, phase)
    return Partials(*(column[..., order] for column in columns))


def _numbers(piano, rng):
    """Partial numbers, their static level in dB, and a decay of their own in 1/s."""
    number = np.arange(1, MAX_PARTIALS + 1, dtype=np.float64)
    zeros = np.zeros(MAX_PARTIALS)
    if piano.kind in ("tine", "reed"):
        even_db = np.where(number % 2 == 0, piano.harmonic_db[2], 0.0)
        if piano.kind == "reed":
            return number, even_db, zeros
        # Overtones of a clamped bar, short-lived: the bell in a tine's attack.
        bars = np.array([6.27, 17.55]) * np.exp(rng.normal(0, 0.02, 2))
        return (np.append(number, bars), np.append(even_db, rng.uniform(-40, -18, 2)),
                np.append(zeros, rng.uniform(10, 40, 2)))
    contact = piano.value["contact"] * np.exp(rng.normal(0, 0.03))
    comb_db = 20 * np.log10(np.maximum(np.abs(np.sin(np.pi * number * contact)), 0.04))
    level = comb_db - piano.value["tilt_db"] * np.log2(number)
    if piano.octave_db > NO_OCTAVE_DB:
        return (np.append(number, 2.002 * number[::2]),
                np.append(level, level[::2] + piano.octave_db), np.zeros(len(number) * 3 // 2))
    return number, level, zeros


def _body_db(piano, freqs_hz):
    below = np.log2(piano.soundboard_hz / np.maximum(freqs_hz, 1))
    formants = np.interp(np.log(freqs_hz), np.log(_FORMANT_HZ), piano.formants_db)
    return formants - 10 * np.log2(1 + 2 ** (1.5 * below))


def velocity_db(piano: Piano, key: int, part: Partials, velocity: float) -> np.ndarray:
    """Level of each partial in dB for a velocity in [0, 1], static level included."""
    value = piano.value
    level = value["dynamics_db"] * (velocity ** piano.velocity_power - 1)
    cutoff = value["cutoff_hz"] * 2 ** (0.4 * (key - _MIDDLE) / 12
                                        + value["bright_octaves"] * (velocity - 0.6))
    soft = -12 * np.log2(1 + part.freqs_hz / cutoff)
    if piano.kind in ("tine", "reed"):
        fall, gain, _ = piano.harmonic_db
        soft = soft - (part.number - 1) * np.maximum(fall - gain * velocity, 1.5)
    # The cutoff must shape the sound, not the loudness: the fundamental is the reference.
    return part.static_db + level + soft - np.max(soft, initial=-200)
