"""Instruments that were never built: bowed, blown, plucked and struck sounds, each from one seed.

What a model of timbres learns of a hundred sampled programs are these hundred; of these there is no
end. Every figure is drawn by itself, so most are like no instrument that one knows, and all have
what tells instruments apart: a spectrum with formants, how it changes with time, key and velocity,
attack and release, beating, vibrato and breath.
"""

import dataclasses

import numpy as np

from style_transfer import strings
from style_transfer.audio import Audio
from style_transfer.piano_roll import LOWEST_PITCH, note_table
from style_transfer.pipelines.rendering.base import PIANO_PITCHES, unclipped
from style_transfer.pipelines.rendering.rooms import convolve, room_impulse, smooth_curve

MAX_PARTIALS = 28
HIGHEST_SHARE = 0.47  # of the sample rate, above which there are no partials
NODE_SAMPLES = 64  # envelopes are straight between nodes
FADE_SECS = 0.002  # least attack and release
LONGEST_RELEASE_SECS = 4.0
LEVEL = 0.2  # of a note of full velocity
MIDDLE_HZ = 261.6
# Partials of bars, bells and membranes, relative to the lowest.
STRUCK_RATIOS = ((1.0, 2.76, 5.40, 8.93, 13.34), (1.0, 3.0, 6.0, 10.0, 15.0),
                 (1.0, 3.98, 10.6, 17.9), (0.5, 1.0, 1.2, 1.5, 2.0, 2.67, 3.0, 4.0))
FOOTAGES = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)  # of an organ's stops
FORMANT_HZ = np.geomspace(40, 16_000, 96)  # where the body's gains stand
KINDS = {"sustained": 0.45, "plucked": 0.3, "stops": 0.1, "struck": 0.15}


@dataclasses.dataclass(frozen=True)
class Instrument:
    """One instrument; times in seconds, levels in dB, rates in 1/s.

    Attributes:
        kind: One of `KINDS`.
        ratios: Frequencies of the partials over the fundamental, `[partials]`.
        levels_db: Levels of the partials at full velocity and the middle of the keyboard.
        stiffness: How far high partials of strings are too sharp.
        formants_db: Over `FORMANT_HZ`, what the body adds.
        key_tilt_db: How much faster partials fall for each octave that the key is higher.
        soft_tilt_db: How much faster for a note of no velocity, for each octave of partials.
        dynamics_db: Between no velocity and full velocity.
        attack_secs: Of the first partial.
        attack_octaves: How much longer each octave of partials takes.
        decay: At which the first partial dies away while the key is held.
        decay_power: How much faster higher partials and keys die away, as a power.
        sustain: Share of the level that does not die away.
        release_secs: Time constant after the key is let go.
        vibrato: Depth in cents, rate in Hz, time until it is there, tremolo's depth as a part of 1.
        voices_cents: Detuning of the voices that play each note.
        noise_db: Level of breath while the note is held, and of the stroke.
        noise_hz: Centre and width in octaves of the noise.
        stroke_secs: How fast the stroke's noise dies away.
        room: See `rooms.room_impulse`.
        seed: Of what differs from note to note.
    """

    kind: str
    ratios: np.ndarray
    levels_db: np.ndarray
    stiffness: float
    formants_db: np.ndarray
    key_tilt_db: float
    soft_tilt_db: float
    dynamics_db: float
    attack_secs: float
    attack_octaves: float
    decay: float
    decay_power: float
    sustain: float
    release_secs: float
    vibrato: tuple
    voices_cents: np.ndarray
    noise_db: tuple
    noise_hz: tuple
    stroke_secs: float
    room: dict
    seed: int


def draw_instrument(seed: int) -> Instrument:
    """A random instrument; equal seeds give equal instruments.

    Args:
        seed: Non-negative integer.
    """
    rng = np.random.default_rng([5_077, seed])

    def between(low, high):
        return float(rng.uniform(low, high))

    def about(low, high):
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
    dies = kind in ("plucked", "struck")
    number = np.arange(1, MAX_PARTIALS + 1, dtype=float)
    if kind == "struck":
        ratios = np.array(STRUCK_RATIOS[rng.integers(len(STRUCK_RATIOS))])
        levels = rng.normal(-4, 6, len(ratios)) - between(2, 9) * np.arange(len(ratios))
        levels[ratios == 1.0] = 0.0
    elif kind == "stops":
        ratios = np.array(FOOTAGES)
        levels = np.where(rng.random(len(ratios)) < 0.5, rng.uniform(-18, 0, len(ratios)), -60.0)
        levels[1] = 0.0
    else:
        ratios = number
        levels = -about(2, 16) * np.log2(number) + rng.normal(0, between(0, 5), MAX_PARTIALS)
        levels[1::2] -= rng.choice([0.0, between(0, 10), between(10, 30)])  # a closed pipe
        if kind == "plucked":
            place = between(0.05, 0.5)
            levels += 20 * np.log10(np.abs(np.sin(np.pi * number * place)) + 0.03)
        levels -= levels.max()
    return Instrument(
        kind=kind, ratios=ratios, levels_db=levels,
        stiffness=about(1e-5, 1e-3) if kind == "plucked" else 0.0,
        formants_db=smooth_curve(rng, FORMANT_HZ, between(1, 9), 24.0, about(0.4, 1.5)),
        key_tilt_db=between(0, 3), soft_tilt_db=between(0, 6), dynamics_db=between(6, 36),
        attack_secs=about(0.001, 0.012) if dies else about(0.003, 0.25),
        attack_octaves=between(0, 0.3), decay=about(0.5, 12) if dies else about(0.05, 4),
        decay_power=between(0, 1), sustain=0.0 if dies else between(0.3, 1.0),
        release_secs=about(0.02, 0.6) if dies else about(0.02, 0.25),
        vibrato=((0.0, 1.0, 1.0, 0.0) if dies or rng.random() < 0.5 else
                 (between(3, 35), between(4, 7), between(0.1, 0.7), between(0, 0.3))),
        voices_cents=rng.normal(0, between(2, 12), int(rng.choice([1, 2, 3], p=[0.6, 0.25, 0.15]))),
        noise_db=(-90.0 if dies else between(-60, -24), between(-50, -14)),
        noise_hz=(about(300, 6000), between(0.5, 3)), stroke_secs=about(0.003, 0.06),
        room={"rt60_secs": about(0.1, 2.0), "wet_db": between(-30, -4),
              "brightness_hz": about(1000, 8000)},
        seed=seed)


class InstrumentRenderer:
    """Plays an instrument that was never built.

    Args:
        seed: Which one.
        dry: Without its room.
    """

    licence = "procedural: no recording is used"
    pitches = PIANO_PITCHES

    def __init__(self, seed, dry=False):
        self.instrument, self.dry = draw_instrument(seed), dry
        self.timbre_id = (f"procedural_{self.instrument.kind}_instrument_{seed}"
                          + ("_dry" if dry else ""))

    def render(self, note_sequence, sample_rate: int) -> Audio:
        """Plays a NoteSequence; see `base.Renderer.render`."""
        table, instrument = note_table(note_sequence), self.instrument
        buffer = np.zeros(int((table.end_secs + LONGEST_RELEASE_SECS) * sample_rate) + 1,
                          np.float32)
        rng = np.random.default_rng([instrument.seed, 1])
        for key, velocity, onset, damped in zip(table.key, table.velocity, table.onset_secs,
                                                table.damped_secs, strict=True):
            note = played(instrument, int(key) + LOWEST_PITCH, float(velocity), damped - onset,
                          sample_rate, rng)
            part = buffer[round(onset * sample_rate):][:len(note)]
            part += note[:len(part)]
        if not self.dry:
            impulse = room_impulse(np.random.default_rng([instrument.seed, 2]), sample_rate,
                                   **instrument.room)
            buffer = convolve(buffer, impulse, keep_tail=True)
        return unclipped(buffer, sample_rate)

    def forget(self):
        """Nothing is kept."""


def played(instrument, pitch, velocity, held_secs, sample_rate, rng):
    """One note, float32 `[samples]`.

    Args:
        instrument: An `Instrument`.
        pitch: MIDI pitch.
        velocity: 0 to 1.
        held_secs: Until the key is let go.
        sample_rate: Hz.
        rng: Phases and noise are drawn from it.
    """
    f0_hz = strings.equal_temperament_hz()[pitch - LOWEST_PITCH]
    ratios, amplitude = _partials(instrument, f0_hz, velocity, HIGHEST_SHARE * sample_rate)
    secs = max(held_secs, FADE_SECS) + min(7 * instrument.release_secs, LONGEST_RELEASE_SECS)
    nodes = int(secs * sample_rate / NODE_SAMPLES) + 2
    envelope, noise_envelope = _envelopes(instrument, ratios, amplitude, pitch, held_secs,
                                          np.arange(nodes) * (NODE_SAMPLES / sample_rate))
    time = np.arange((nodes - 1) * NODE_SAMPLES) / sample_rate
    loudness = _between_nodes(envelope)
    samples = np.zeros(len(time), np.float32)
    depth, rate, delay, tremolo = instrument.vibrato
    swing = np.minimum(time / delay, 1) * np.sin(2 * np.pi * rate * time + rng.uniform(0, 6))
    for cents in instrument.voices_cents:
        bent = 2 ** ((cents + depth * swing) / 1200) if depth else 2 ** (cents / 1200)
        turns = np.cumsum(np.broadcast_to(f0_hz * bent / sample_rate, time.shape))
        phase = np.outer(ratios, turns) + rng.random(len(ratios))[:, None]
        phase = (2 * np.pi * (phase - np.floor(phase))).astype(np.float32)
        samples += np.einsum("pt,pt->t", loudness, np.cos(phase))
    samples *= (1 + tremolo * swing).astype(np.float32) / len(instrument.voices_cents) ** 0.5
    level = float(np.sqrt(np.sum(amplitude ** 2)))
    noise = _between_nodes(noise_envelope[None])[0] * _noise(instrument, len(time), sample_rate,
                                                             rng)
    return samples + np.float32(level) * noise


def _partials(instrument, f0_hz, velocity, highest_hz):
    """Frequencies over the fundamental, and amplitudes."""
    number = np.arange(1, len(instrument.ratios) + 1)
    ratios = strings.partial_hz(instrument.ratios / number, instrument.stiffness, number)
    octaves = np.log2(np.maximum(ratios, 1.0))
    hz = ratios * f0_hz
    tilt = (instrument.key_tilt_db * np.log2(f0_hz / MIDDLE_HZ)
            + instrument.soft_tilt_db * (1 - velocity))
    level_db = (instrument.levels_db - tilt * octaves - instrument.dynamics_db * (1 - velocity)
                + np.interp(np.log(hz), np.log(FORMANT_HZ), instrument.formants_db))
    heard = (hz < highest_hz) & (level_db > level_db.max() - 70)
    heard[0] |= not heard.any()
    return ratios[heard], LEVEL * 10 ** (level_db[heard] / 20)


def _envelopes(instrument, ratios, amplitude, pitch, held_secs, secs):
    """Amplitudes of partials and of noise at nodes: `[partials, nodes]`, `[nodes]`."""
    attack = np.maximum(instrument.attack_secs * np.maximum(ratios, 1.0)
                        ** instrument.attack_octaves, FADE_SECS)[:, None]
    faster = np.maximum(ratios, 1.0) ** instrument.decay_power * 2 ** (
        instrument.decay_power * (pitch - 60) / 24)
    fall = np.exp(-instrument.decay * faster[:, None] * secs)
    body = 1 - np.exp(-3 * secs / attack)
    body *= instrument.sustain + (1 - instrument.sustain) * fall
    release = np.exp(-np.maximum(secs - held_secs, 0) / instrument.release_secs)
    release *= np.linspace(1, 0, len(secs)) ** 0.1  # ends in silence
    breath_db, stroke_db = instrument.noise_db
    noise = (10 ** (breath_db / 20) * (1 - np.exp(-3 * secs / attack[0])) * release
             + 10 ** (stroke_db / 20) * np.exp(-secs / instrument.stroke_secs))
    noise[-1] = 0.0
    return amplitude[:, None] * body * release, noise


def _between_nodes(values):
    """`[rows, nodes]` -> float32 `[rows, (nodes - 1) * NODE_SAMPLES]`, straight between nodes."""
    ramp = np.arange(NODE_SAMPLES, dtype=np.float32) / NODE_SAMPLES
    values = values.astype(np.float32)
    steps = np.diff(values)[..., None] * ramp + values[:, :-1, None]
    return steps.reshape(len(values), -1)


def _noise(instrument, count, sample_rate, rng):
    """Noise of unit level about `noise_hz`."""
    from scipy.signal import butter, sosfilt

    centre, octaves = instrument.noise_hz
    low, high = centre * 2 ** (-octaves / 2), centre * 2 ** (octaves / 2)
    band = butter(1, [low, min(high, HIGHEST_SHARE * sample_rate)], "band", fs=sample_rate,
                  output="sos")
    noise = sosfilt(band, rng.standard_normal(count).astype(np.float32))
    return (noise / (np.sqrt(np.mean(np.square(noise))) + 1e-9)).astype(np.float32)
