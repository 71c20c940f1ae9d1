"""Plays procedural pianos: unlimited timbres, each from one seed, by additive synthesis."""

import numpy as np

from style_transfer.audio import Audio
from style_transfer.piano_roll import NUM_KEYS, note_table
from style_transfer.pipelines.rendering import oscillators
from style_transfer.pipelines.rendering.base import PIANO_PITCHES, unclipped
from style_transfer.pipelines.rendering.procedural_piano import (
    AUDIBLE_DB,
    draw_piano,
    partials,
    velocity_db,
)
from style_transfer.pipelines.rendering.rooms import convolve, room_impulse

LEVEL_DB = -26.0
HIGHEST_RELEASE_SECS = 12.0
RESTRIKE_SECS = 0.08
SOFT_PEDAL_VELOCITY = 0.8
RELEASE_NOISE = 0.15  # of the hammer's noise, for a note of full velocity
_REFERENCE_KEYS = (15, 27, 39, 51, 63)
_REFERENCE_VELOCITY = 0.7
_NOISE_SECS = 0.12
_LOG_60_DB = 6.91


class ProceduralRenderer:
    """A piano that was never built.

    Args:
        seed: Which one.
        timbre_id: Name of the piano, by default of kind and seed.
        dry: Without its room.
    """

    licence = "procedural: no recording is used"
    pitches = PIANO_PITCHES

    def __init__(self, seed, timbre_id=None, dry=False):
        self.piano, self.dry = draw_piano(seed), dry
        name = f"procedural_{self.piano.kind}_{seed}" + ("_dry" if dry else "")
        self.timbre_id = timbre_id or name
        self._keys = {}
        self._gains = {}

    def render(self, note_sequence, sample_rate: int) -> Audio:
        """Plays a NoteSequence; see `base.Renderer.render`."""
        table = note_table(note_sequence)
        soft = table.pedals.at(table.onset_secs)[:, 2] >= 0.5
        velocity = np.where(soft, SOFT_PEDAL_VELOCITY, 1.0) * table.velocity
        damper = np.array([self._damper_secs(table, i) for i in range(len(table))])
        length = int(np.ceil((table.end_secs + HIGHEST_RELEASE_SECS) * sample_rate))
        buffer = np.zeros(length if len(table) else 0, np.float32)
        gain = self._gain(sample_rate)
        for i in range(len(table)):
            self._play(buffer, int(table.key[i]), float(velocity[i]), float(table.onset_secs[i]),
                       float(table.damped_secs[i]), float(damper[i]), gain, sample_rate)
        if self.dry:
            return unclipped(_ended(buffer, table.end_secs, sample_rate), sample_rate)
        impulse = room_impulse(np.random.default_rng([7, self.piano.seed]), sample_rate,
                               **self.piano.room)
        wet = convolve(buffer, impulse, keep_tail=True)
        return unclipped(_ended(wet, table.end_secs, sample_rate), sample_rate)

    def forget(self):
        """Frees the carriers of the keys played so far."""
        self._keys = {}

    def _damper_secs(self, table, i):
        """Time in which a note is silenced by 60 dB once its table row ends."""
        later = np.flatnonzero(table.key[i + 1:i + 400] == table.key[i])
        if len(later) and table.onset_secs[i + 1 + later[0]] <= table.damped_secs[i]:
            return RESTRIKE_SECS
        if table.key[i] >= self.piano.first_undamped_key:
            return np.inf
        return self.piano.damper_secs[table.key[i]]

    def _key(self, key, sample_rate):
        if (key, sample_rate) not in self._keys:
            part = partials(self.piano, key, sample_rate)
            rng = np.random.default_rng([self.piano.seed, key, 1])
            self._keys[key, sample_rate] = (part, oscillators.Bank(part.freqs_hz, sample_rate),
                                            self._noise(rng, key, sample_rate))
        return self._keys[key, sample_rate]

    def _noise(self, rng, key, sample_rate):
        """Hammer and release noise of a key at unit energy per second, `[2, num_samples]`."""
        from scipy.signal import butter, sosfilt

        time = np.arange(int(_NOISE_SECS * sample_rate)) / sample_rate
        centre = np.clip(self.piano.value["cutoff_hz"] * rng.uniform(0.5, 1.5), 200, 5000)
        band = butter(1, [0.3 * centre, min(3 * centre, 0.45 * sample_rate)], "band",
                      fs=sample_rate, output="sos")
        noise = sosfilt(band, rng.standard_normal((2, len(time))))
        thump = np.sin(2 * np.pi * rng.uniform(60, 220) * (1 + key / NUM_KEYS) * time)
        noise = noise * np.exp(-time / rng.uniform(0.004, 0.02))
        noise /= np.sqrt(np.mean(noise ** 2, axis=1, keepdims=True)) + 1e-9
        knock = thump * np.exp(-time / rng.uniform(0.01, 0.03))
        noise += 1.5 * knock / (np.sqrt(np.mean(knock ** 2)) + 1e-9)
        # The burst must end in silence, not in a step.
        return (noise * np.minimum(1, (time[-1] - time) / 0.02)).astype(np.float32)

    def _gain(self, sample_rate):
        """Fixed gain: loud single notes reach `LEVEL_DB` over their first half second."""
        if sample_rate not in self._gains:
            power = []
            for key in _REFERENCE_KEYS:
                buffer = np.zeros(sample_rate // 2, np.float32)
                self._play(buffer, key, _REFERENCE_VELOCITY, 0.0, 1.0, 1.0, 1.0, sample_rate)
                power.append(np.mean(buffer ** 2))
            self._gains[sample_rate] = 10 ** (LEVEL_DB / 20) / np.sqrt(np.mean(power) + 1e-20)
        return self._gains[sample_rate]

    def _play(self, buffer, key, velocity, onset, damped, damper_secs, gain, sample_rate):
        part, bank, noise = self._key(key, sample_rate)
        level_db = velocity_db(self.piano, key, part, velocity)
        amplitude = gain * 10 ** (level_db / 20)
        start = round(onset * sample_rate)
        threshold = np.max(amplitude, initial=1e-9) * 10 ** (AUDIBLE_DB / 20)
        extra = np.full(len(amplitude), _LOG_60_DB / damper_secs) * (
            1 + np.minimum(part.freqs_hz / 2000, 3))
        alive = _alive_blocks(part, amplitude, threshold, damped - onset, extra, sample_rate)
        length = int(alive.max(initial=0)) * oscillators.BLOCK
        note = np.zeros(max(0, min(len(buffer) - start, length)), np.float32)
        stages = [(amplitude * (1 - part.aftersound) * np.exp(1j * part.phase[0]), part.fast_rate,
                   0.0 * part.beat_hz),
                  (amplitude * part.aftersound * np.exp(1j * part.phase[1]), part.rate,
                   part.beat_hz)]
        damper_block = (damped - onset) * sample_rate / oscillators.BLOCK
        bank.add(note, 0, stages, alive, (damper_block, extra))
        self._attack(note, sample_rate)
        buffer[start:start + len(note)] += note
        level = np.sqrt(np.sum(amplitude ** 2) / 2) * 10 ** (self.piano.value["hammer_db"] / 20)
        _add(buffer, noise[0] * np.float32(level), start)
        if np.isfinite(damper_secs) and damper_secs != RESTRIKE_SECS:
            # A damper falls as hard after a soft note as after a loud one.
            steady = level / max(velocity, 0.05) * RELEASE_NOISE
            _add(buffer, noise[1] * np.float32(steady), round(damped * sample_rate))

    def _attack(self, note, sample_rate):
        rise = max(2, int(self.piano.value["attack_ms"] / 1000 * sample_rate))
        ramp = note[:rise]
        ramp *= np.sin(np.pi / 2 * np.arange(len(ramp)) / rise).astype(np.float32) ** 2


def _alive_blocks(part, amplitude, threshold, held_secs, extra, sample_rate):
    """Blocks until each partial is inaudible, its damper included."""
    room = np.log(np.maximum(amplitude / threshold, 1e-9))
    free = np.maximum((room + np.log(part.aftersound)) / part.rate, room / part.fast_rate)
    after = np.maximum(room - part.rate * held_secs, 0) / (part.rate + extra)
    secs = np.where(free < held_secs, free, np.minimum(free, held_secs + after))
    return np.ceil(np.maximum(secs, 0) * sample_rate / oscillators.BLOCK).astype(np.int64)


def _add(buffer, samples, start):
    part = buffer[start:start + len(samples)]
    part += samples[: len(part)]


def _ended(samples, end_secs, sample_rate):
    """Without the silence (under -80 dB of the peak) after the last damper."""
    loud = np.flatnonzero(np.abs(samples) > 1e-4 * np.max(np.abs(samples), initial=1e-6))
    last = loud[-1] + 1 if len(loud) else 0
    return samples[: max(last, min(len(samples), int(end_secs * sample_rate)))]
