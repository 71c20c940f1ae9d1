"""Strings that nobody struck ring with what is played, where their dampers are up.

A string that is free to move follows a partial which is near one of its own, and goes on at its own
frequency and decay. Of a damped oscillator that another one drives that is known in closed form, so
each answer is one more oscillator, and nothing but the notes need be known to make it.
"""

import dataclasses

import numpy as np

from style_transfer import piano_roll
from style_transfer.arrays import counted

MAX_COUPLING = 1.0
ALWAYS_SECS = 1e6  # before and after which nothing is played
FIRST_UNDAMPED = 69  # keys from F#6 on have no dampers, more or less
WEAKEST = 10 ** (-30 / 20)  # answer, in amplitudes of what drives it, that is played
MAX_BEAT_HZ = 8.0  # from a partial to a string that answers it
SLOWEST_SECS = 4.0  # in which an answer swells
_STAGES = ("decay", "aftersound_decay")


@dataclasses.dataclass(frozen=True)
class Openings:
    """When the dampers of which keys are up, by key and then by time.

    Attributes:
        key: int `[openings]`.
        start: Seconds, `[openings]`.
        end: Likewise.
    """

    key: np.ndarray
    start: np.ndarray
    end: np.ndarray

    @classmethod
    def of(cls, table):
        """Those of a `NoteTable`: of keys that are held, of all while the pedal is down."""
        times, positions = table.pedals.sustain
        down = np.concatenate([[False], positions >= piano_roll.PEDAL_DOWN / 127, [False]])
        end = max([table.end_secs, *times])
        moves = np.concatenate([times, [end]])[down[1:] != down[:-1]]
        spans = moves.reshape(-1, 2)
        always = np.array([[-ALWAYS_SECS, ALWAYS_SECS]])
        found = []
        for key in range(piano_roll.NUM_KEYS):
            own = table.key == key
            held = np.stack([table.onset_secs[own], table.damped_secs[own]], axis=-1)
            merged = _merged(always if key >= FIRST_UNDAMPED else np.concatenate([spans, held]))
            found.append(np.column_stack([np.full(len(merged), key), merged]))
        key, start, end = np.concatenate(found).T
        return cls(key.astype(int), start, end)

    def during(self, key, first, last):
        """Openings of keys between two times: indices of those who ask, and of the openings.

        Args:
            key: int `[n]`.
            first: Seconds, `[n]`.
            last: Likewise.
        """
        begin = self._rank(self.end, key, first, "right")
        count = np.maximum(self._rank(self.start, key, last, "left") - begin, 0)
        row, since = counted(count)
        return row, begin[row] + since

    def _rank(self, times, key, secs, side):
        """Where a key's time lies among all openings'."""
        span = 4 * ALWAYS_SECS
        return np.searchsorted(self.key * span + times, key * span + secs, side)


def _merged(spans):
    """Spans of time `[n, 2]` without overlaps."""
    spans = spans[np.argsort(spans[:, 0], kind="stable")]
    reached = np.maximum.accumulate(spans[:, 1])
    is_new = np.concatenate([[True], spans[1:, 0] > reached[:-1]])[:len(spans)]
    starts = np.flatnonzero(is_new)
    return np.column_stack([spans[starts, 0], np.maximum.reduceat(spans[:, 1], starts)
                            if len(spans) else spans[:, 1]])


@dataclasses.dataclass(frozen=True)
class Strings:
    """Partials of all keys' strings, by frequency; all `[strings]`.

    Attributes:
        frequency_hz: Ascending.
        key: Of each.
        partial: Likewise, from 0.
        decay: Nepers/s, of the aftersound: a string that is driven has none to share it with.
        prompt_decay: Nepers/s: how fast it gives to the bridge.
        damping: Nepers/s.
    """

    frequency_hz: np.ndarray
    key: np.ndarray
    partial: np.ndarray
    decay: np.ndarray
    prompt_decay: np.ndarray
    damping: np.ndarray

    @classmethod
    def of(cls, controls, high_hz):
        """Those below `high_hz`, of the 88 keys' `note_controls`, arrays `[88, partials]`."""
        hz = controls["frequency_hz"]
        key, partial = np.nonzero(hz < high_hz)
        order = np.argsort(hz[key, partial], kind="stable")
        at = key[order], partial[order]
        return cls(hz[at], *at, controls["aftersound_decay"][at], controls["decay"][at],
                   controls["damping"][at])


def answers(struck, strings, openings, coupling, inaudible):
    """What free strings add to struck ones.

    Args:
        struck: Dict of arrays `[oscillators]`: `key`, `frequency_hz`, `amplitude`, `decay`,
            `aftersound`, `aftersound_decay`, `onset`, and `until`, the time when it is damped.
        strings: `Strings`.
        openings: `Openings`.
        coupling: Between strings of two keys, 0 to `MAX_COUPLING`, in parts of what a string gives
            to the bridge.
        inaudible: Amplitude under which nothing is played.

    Returns:
        Dict of arrays `[answers]`: as `fast_modal.OscillatorBank` takes oscillators, but for phases
        and bins, with `key` and `partial`.

    Source: Weinreich, "Coupled piano strings", 1977: strings meet at the bridge, through which they
    lose their energy, too.
    """
    low, high = (np.searchsorted(strings.frequency_hz, struck["frequency_hz"] + beat)
                 for beat in (-MAX_BEAT_HZ, MAX_BEAT_HZ))
    loud = struck["amplitude"] * WEAKEST > inaudible
    row, since = counted(np.where(loud, high - low, 0))
    string = low[row] + since
    other = strings.key[string] != struck["key"][row]
    row, string = row[other], string[other]
    beat = 2 * np.pi * (strings.frequency_hz[string] - struck["frequency_hz"][row])
    rate = coupling * strings.prompt_decay[string]
    share = struck["aftersound"][row]
    swelling = [1 / np.maximum(np.hypot(struck[decay][row] - strings.decay[string], beat),
                               1 / SLOWEST_SECS) for decay in _STAGES]
    gains = [rate * part * secs for part, secs in zip((1 - share, share), swelling, strict=True)]
    heard = sum(gains) > WEAKEST
    row, string = row[heard], string[heard]
    gains, swelling = ([value[heard] for value in values] for values in (gains, swelling))
    pair, opening = openings.during(strings.key[string], struck["onset"][row],
                                    struck["until"][row])
    row, string = row[pair], string[pair]
    onset = np.maximum(struck["onset"][row], openings.start[opening])
    waited = onset - struck["onset"][row]
    left = [gain[pair] * np.exp(-struck[decay][row] * waited)
            for gain, decay in zip(gains, _STAGES, strict=True)]
    amplitude = struck["amplitude"][row] * sum(left)
    heard = (amplitude > inaudible) & (sum(left) > WEAKEST)
    attack = (sum(gain * secs[pair] for gain, secs in zip(left, swelling, strict=True))
              / np.maximum(sum(left), 1e-12))
    decay = strings.decay[string]
    zeros = np.zeros(len(row), np.float32)
    found = {"frequency_hz": strings.frequency_hz[string], "amplitude": amplitude, "decay": decay,
             "aftersound": zeros, "aftersound_decay": decay, "beat_hz": zeros,
             "damping": strings.damping[string], "attack_secs": attack,
             "key": strings.key[string], "partial": strings.partial[string]}
    found = {name: value[heard] if value.dtype == int else value[heard].astype(np.float32)
             for name, value in found.items()}
    return found | {"onset": onset[heard], "damped": openings.end[opening][heard]}
