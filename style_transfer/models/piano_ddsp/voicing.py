"""Changing an estimated piano: its tuning, stiffness, ringing, brightness, hammers and room.

What a technician would do to the instrument is done to the numbers that describe it, so the result
is a piano like any other: it can be saved, loaded and played by everything that plays pianos.
"""

import dataclasses
import math

import numpy as np

from style_transfer.models.piano_ddsp.piano import Piano
from style_transfer.signal import mel
from style_transfer.strings import A4_KEY

BRIGHTNESS_PIVOT_HZ = 500.0
DETUNE_SEED = 88
_NEPERS_PER_DB = math.log(10) / 20


@dataclasses.dataclass(frozen=True)
class Control:
    """One thing that can be changed.

    Attributes:
        low: Least value.
        high: Greatest value.
        neutral: The value that changes nothing.
        unit: `cents`, `dB`, ..., or `x` for a factor.
        label: For people.
        help: What it does, for people.
    """

    low: float
    high: float
    neutral: float
    unit: str
    label: str
    help: str


CONTROLS = {
    "pitch_cents": Control(-100, 100, 0, "cents", "Pitch", "Tunes all keys higher or lower."),
    "stretch_cents": Control(-20, 20, 0, "cents", "Octave stretch",
                             "Makes each octave so much wider, from A4 outwards."),
    "detune_cents": Control(0, 40, 0, "cents", "Out of tune",
                            "Lets keys drift apart at random, as those of a neglected piano do."),
    "beating": Control(0.25, 8, 1, "x", "Unison beating",
                       "How far the strings of one key are apart; more is more honky-tonk."),
    "inharmonicity": Control(0, 6, 1, "x", "Stiffness",
                             "Inharmonicity B of all strings: 0 is ideal strings, more is "
                             "shorter and thicker ones."),
    "ringing": Control(0.25, 4, 1, "x", "Ringing time", "How long held notes ring."),
    "brightness_db": Control(-6, 6, 0, "dB", "Brightness",
                             "Tilts the strings' spectrum so much per octave, around 500 Hz."),
    "hammer_db": Control(-24, 12, 0, "dB", "Hammer noise", "The thump of hammers and keys."),
    "room_db": Control(-24, 12, 0, "dB", "Room level", "How loud the room answers."),
    "room_time": Control(0.5, 2, 1, "x", "Reverberation", "How long the room answers."),
}


@dataclasses.dataclass(frozen=True)
class Voicing:
    """Values of `CONTROLS`, by name; the defaults change nothing.

    Attributes:
        pitch_cents: Added to the pitch of all keys.
        stretch_cents: Cents added to each octave, from A4 outwards.
        detune_cents: Standard deviation of random offsets of the keys' pitches; always the same
            keys drift the same way.
        beating: Factor of the odds that unison detuning is of its largest, and so, where it is
            small against that, of the beating's rate.
        inharmonicity: Factor of B; the first partial stays where it is.
        ringing: Factor of the times in which partials fade.
        brightness_db: Tilt of the partials' amplitudes, dB per octave around 500 Hz.
        hammer_db: Level of hammer noise.
        room_db: Level of the diffuse sound of the room.
        room_time: Factor of the room's reverberation time; its response ends with
            `PianoDDSP.room_secs` in any case.
    """

    pitch_cents: float = 0.0
    stretch_cents: float = 0.0
    detune_cents: float = 0.0
    beating: float = 1.0
    inharmonicity: float = 1.0
    ringing: float = 1.0
    brightness_db: float = 0.0
    hammer_db: float = 0.0
    room_db: float = 0.0
    room_time: float = 1.0

    def __post_init__(self):
        for name, control in CONTROLS.items():
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or isinstance(value, bool):
                raise ValueError(f"{name} must be a number, got {value!r}.")
            if not control.low <= value <= control.high:
                raise ValueError(f"{name} must be {control.low:g} to {control.high:g} "
                                 f"{control.unit}, got {value:g}.")
            object.__setattr__(self, name, float(value))

    @property
    def is_neutral(self):
        """Whether nothing is changed."""
        return self == Voicing()


def voiced(piano, model, voicing):
    """A piano as it is after some work on it.

    Args:
        piano: A `Piano`.
        model: The `PianoDDSP` that it was estimated with.
        voicing: A `Voicing`.

    Returns:
        A `Piano`; `piano` itself if the voicing is neutral. What is played on either is brought to
        the same loudness.
    """
    if voicing.is_neutral:
        return piano
    f0_hz, inharmonicity = _strings(piano, voicing)
    changes = _corrections(model, voicing)
    before = piano.corrections or {}
    corrections = {name: (np.asarray(before.get(name, 0.0)) + change).astype(np.float32)
                   for name, change in changes.items()}
    return dataclasses.replace(piano, f0_hz=f0_hz, inharmonicity=inharmonicity,
                               corrections=corrections)


def _strings(piano: Piano, voicing):
    """Fundamentals and stiffness of the keys, `[88]` each."""
    octaves = (np.arange(len(piano.f0_hz)) - A4_KEY) / 12
    drift = np.random.default_rng(DETUNE_SEED).standard_normal(len(octaves))
    cents = (voicing.pitch_cents + voicing.stretch_cents * octaves + voicing.detune_cents * drift)
    stiffness = np.asarray(piano.inharmonicity, np.float64)
    stiffer = stiffness * voicing.inharmonicity
    # What a tuner listens to is the first partial, sqrt(1 + B) above f0.
    f0_hz = piano.f0_hz * np.sqrt((1 + stiffness) / (1 + stiffer)) * 2 ** (cents / 1200)
    return f0_hz.astype(np.float32), stiffer.astype(np.float32)


def _corrections(model, voicing):
    """What is added to the raw outputs of the nets; see `PianoDDSP.note_controls`."""
    from style_transfer.models.piano_ddsp import net as piano_ddsp

    added = {name: np.zeros(size) for name, size in model.head_sizes.items()}
    # Of the logarithm of amplitudes and noise powers; decays are exp(x), the beating sigmoid(x).
    tilt_db = voicing.brightness_db * np.log2(
        band_centres_hz(model.num_bands) / BRIGHTNESS_PIVOT_HZ)
    added["amplitude_bands"] += tilt_db * _NEPERS_PER_DB / piano_ddsp.AMPLITUDE_NEPERS
    added["noise"] += voicing.hammer_db * 2 * _NEPERS_PER_DB / piano_ddsp.NOISE_NEPERS
    added["decay_bands"] -= math.log(voicing.ringing)
    added["beat"] += math.log(voicing.beating)
    room = np.zeros((2, piano_ddsp.NUM_ROOM_BANDS))
    room[0] = voicing.room_db * _NEPERS_PER_DB / piano_ddsp.ROOM_NEPERS
    room[1] = -math.log(voicing.room_time)
    row = np.concatenate([added[name] for name in model.head_sizes])
    return {"by_key": np.tile(row, (piano_ddsp.NUM_ANCHORS, 1)),  # anchors' weights sum to 1
            "by_velocity": np.zeros(model.num_outputs), "room": room.ravel()}


def band_centres_hz(num_bands):
    """Centres of the nets' mel-spaced bands, as `modal.band_weights` has them, `[num_bands]`."""
    from style_transfer.models.piano_ddsp import net as piano_ddsp

    return mel.spaced_hz(piano_ddsp.LOW_HZ, piano_ddsp.HIGH_HZ, num_bands)
