"""Notes and controls of a file as arrays, and what both ways to assemble them share."""

import collections
import dataclasses

import numpy as np

from style_transfer.midi.events import PITCH_BEND, MidiEvents
from style_transfer.midi.limits import ConversionLimits

DRUM_CHANNEL = 9
NUM_PROGRAMS = 128


@dataclasses.dataclass(frozen=True)
class Instruments:
    """One for every program on a channel of a track that has a note, shape `[instruments]`.

    Attributes:
        key: `voice * 128 + program`, where voice is `track * 16 + channel`.
        created: Index of the event that ended its first note.
    """

    key: np.ndarray
    created: np.ndarray

    @property
    def voice(self):
        """`track * 16 + channel`."""
        return self.key // NUM_PROGRAMS

    @property
    def program(self):
        """MIDI program, 0-127."""
        return self.key % NUM_PROGRAMS

    @property
    def track(self):
        """Track number."""
        return self.key // (16 * NUM_PROGRAMS)

    @property
    def is_drum(self):
        """Whether it is on the drum channel."""
        return self.voice % 16 == DRUM_CHANNEL


@dataclasses.dataclass(frozen=True)
class Notes:
    """Notes sorted by instrument, then by when they end, shape `[notes]` each."""

    instruments: Instruments
    instrument: np.ndarray
    pitch: np.ndarray
    velocity: np.ndarray
    on_tick: np.ndarray
    off_tick: np.ndarray


@dataclasses.dataclass(frozen=True)
class Controls:
    """Control changes or pitch bends sorted by instrument, shape `[controls]` each."""

    instrument: np.ndarray
    program: np.ndarray
    is_drum: np.ndarray
    tick: np.ndarray
    data1: np.ndarray
    data2: np.ndarray


def pair(index, is_on, key, tick, no_length=False):
    """Event indices of note-ons and of the note-offs that end them, in no order.

    A note-off (or a note-on of velocity 0) ends all sounding notes of its key that began at an
    earlier tick. Those that began at the same tick sound on if an earlier one was ended.

    Args:
        index: Events that are note-ons or note-offs, in the order of the file.
        is_on: Whether each is a note-on, bool, same shape.
        key: What a note-off must have in common with its note-ons, int64, same shape.
        tick: Ticks of all events.
        no_length: What becomes of a note that is ended at the tick of its beginning: it is a note
            of no length, or vanishes, as for Magenta's reader.
    """
    order = np.argsort(key, kind="stable")
    index, is_on, key = index[order], is_on[order], key[order]
    place = np.where(is_on, len(index), np.arange(len(index)))
    next_off = np.minimum.accumulate(place[::-1])[::-1]
    on = np.flatnonzero(is_on & (next_off < len(index)))
    off = next_off[on]
    same_key = key[on] == key[off]
    on, off = on[same_key], off[same_key]
    at_once = tick[index[on]] == tick[index[off]]
    if not at_once.any():
        return index[on], index[off]
    # A note-off at the tick of its note-on: what it does depends on the notes before.
    difficult = np.zeros(len(index), bool)
    difficult[on[at_once]] = True
    difficult = np.isin(key, key[difficult])
    easy = ~difficult[on]
    rest_on, rest_off = _pair_one_by_one(
        index[difficult], is_on[difficult], key[difficult], tick, no_length
    )
    return np.concatenate((index[on[easy]], rest_on)), np.concatenate((index[off[easy]], rest_off))


def _pair_one_by_one(index, is_on, key, tick, no_length):
    sounding = collections.defaultdict(list)
    pairs = []
    for i, on, k, t in zip(
        index.tolist(), is_on.tolist(), key.tolist(), tick[index].tolist(), strict=True
    ):
        if on:
            sounding[k].append((i, t))
        elif k in sounding:
            ended = [(note, i) for note, began in sounding[k] if began != t]
            if no_length and not ended:
                ended = [(note, i) for note, _ in sounding.pop(k)]
                pairs.extend(ended)
                continue
            began_now = [(note, began) for note, began in sounding[k] if began == t]
            pairs.extend(ended)
            if ended and began_now:
                sounding[k] = began_now
            else:
                del sounding[k]
    return np.array(pairs, np.int64).reshape(-1, 2).T


def controls_of(
    events: MidiEvents,
    instruments: Instruments,
    index: np.ndarray,
    lists: np.ndarray,
    of_instrument: np.ndarray,
    limits: ConversionLimits,
) -> tuple[Controls, Controls]:
    """Gives each instrument the pitch bends and control changes of one list.

    Args:
        events: The file's.
        instruments: The `Instruments`.
        index: Events that are pitch bends or control changes, shape `[controls]`.
        lists: Number of the list that each belongs to, same shape.
        of_instrument: Number of the list of each instrument.
        limits: A list that many instruments have counts as often.

    Returns:
        The pitch bends and the control changes.
    """
    order = np.argsort(lists, kind="stable")
    lists, index = lists[order], index[order]
    begin = np.searchsorted(lists, of_instrument)
    length = np.searchsorted(lists, of_instrument, side="right") - begin
    limits.check("too many controls", int(length.sum()), "max_controls")

    number = np.repeat(np.arange(len(begin)), length)
    before = np.cumsum(length) - length
    place = np.arange(len(number)) + np.repeat(begin - before, length)
    index = index[place]
    is_bend = (events.status[index] & 0xF0) == PITCH_BEND
    program, is_drum = instruments.program[number], instruments.is_drum[number]

    def select(mask):
        chosen = index[mask]
        return Controls(
            number[mask],
            program[mask],
            is_drum[mask],
            events.tick[chosen],
            events.data1[chosen],
            events.data2[chosen],
        )

    return select(is_bend), select(~is_bend)
