"""Notes as sound, for methods that change recordings: a plain piano, made of damped partials.

What it sounds like is to be changed anyway; it is here so that notes can be content without a
soundfont or a net.
"""

import numpy as np

from style_transfer import audio as audio_lib
from style_transfer import strings

PARTIALS = 16
TAIL_SECS = 1.0
_INHARMONICITY = 4e-4
_LONGEST_SECS = 8.0
_TILT = 1.3  # amplitudes fall with this power of the partial's number
_SUSTAIN_SECS = 4.0, 0.3  # to 1/e, the fundamental of the lowest and of the highest key
_ATTACK_SECS, _DAMPER_SECS = 0.003, 0.06
_AMPLITUDE = 0.15


def play(table, sample_rate):
    """Notes played.

    Args:
        table: A `NoteTable`.
        sample_rate: Hz.

    Returns:
        An `Audio` from time 0 to a second behind the last damper's fall.
    """
    samples = np.zeros(int((table.end_secs + TAIL_SECS) * sample_rate) + 1, np.float32)
    firsts = _samples(table.onset_secs, sample_rate)
    helds = np.maximum(1, _samples(table.damped_secs - table.onset_secs, sample_rate))
    counts = np.minimum(helds + round(5 * _DAMPER_SECS * sample_rate), len(samples) - firsts)
    strings_of = {key: _string(key, counts[table.key == key].max(), sample_rate)
                  for key in np.unique(table.key).tolist()}
    for key, velocity, first, held, count in zip(table.key, table.velocity, firsts, helds, counts,
                                                 strict=True):
        note = strings_of[int(key)][:count].copy()
        behind = np.arange(max(0, len(note) - held), dtype=np.float32)
        note[held:] *= np.exp(-behind / (_DAMPER_SECS * sample_rate))
        samples[first:first + len(note)] += velocity ** 2 * note
    return audio_lib.Audio(samples, sample_rate)


def _samples(secs, sample_rate):
    return np.round(secs * sample_rate).astype(int)


def _string(key, count, sample_rate):
    """A key struck and held, float32, `count` samples or `_LONGEST_SECS` of it."""
    secs = np.arange(min(count, round(_LONGEST_SECS * sample_rate))) / sample_rate
    order = np.arange(1, PARTIALS + 1)
    f0_hz = strings.equal_temperament_hz()[key]
    low, high = _SUSTAIN_SECS
    sustain_secs = low * (high / low) ** (key / (strings.NUM_KEYS - 1))
    decay = (-secs / sustain_secs).astype(np.float32)
    wave = np.zeros(len(secs), np.float32)
    for k, hz in zip(order, strings.partial_hz(f0_hz, _INHARMONICITY, order), strict=True):
        if hz < sample_rate / 2:
            # Turns are counted in float64; of what is left float32 takes the sine in a fifth.
            turn = (hz * secs % 1.0).astype(np.float32)
            wave += np.float32(k ** -_TILT) * np.exp(np.float32(np.sqrt(k)) * decay) * np.sin(
                np.float32(2 * np.pi) * turn)
    return (_AMPLITUDE * wave * (1 - np.exp(-secs / _ATTACK_SECS))).astype(np.float32)
