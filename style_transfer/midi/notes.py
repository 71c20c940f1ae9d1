"""Which note-off ends which note, and which instrument plays it, for a whole file at once.

Source: pretty_midi 0.2.11, `PrettyMIDI._load_instruments`, whose rules are stated at each function.
"""

import collections
import dataclasses

import numpy as np

from style_transfer.midi.events import (
    CONTROL_CHANGE,
    NOTE_OFF,
    NOTE_ON,
    PITCH_BEND,
    PROGRAM_CHANGE,
    MidiEvents,
)
from style_transfer.midi.limits import ConversionLimits

_DRUM_CHANNEL = 9
_NUM_PROGRAMS = 128


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
        return self.key // _NUM_PROGRAMS

    @property
    def program(self):
        """MIDI program, 0-127."""
        return self.key % _NUM_PROGRAMS

    @property
    def track(self):
        """Track number."""
        return self.key // (16 * _NUM_PROGRAMS)

    @property
    def is_drum(self):
        """Whether it is on the drum channel."""
        return self.voice % 16 == _DRUM_CHANNEL


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


class ProgramMap:
    """The program that each channel of each track has at an event; 0 before any change."""

    def __init__(self, events: MidiEvents):
        self._events = events
        self._num_events = len(events.tick)
        changes = np.flatnonzero((events.status & 0xF0) == PROGRAM_CHANGE)
        place = self.voice(changes) * self._num_events + changes
        order = np.argsort(place, kind="stable")
        self._place, self._changes = place[order], changes[order]

    def voice(self, index: np.ndarray) -> np.ndarray:
        """`track * 16 + channel` of events."""
        return self._events.track[index] * 16 + (self._events.status[index] & 0x0F)

    def instrument_keys(self, index: np.ndarray) -> np.ndarray:
        """`voice * 128 + program` of events."""
        voice = self.voice(index)
        if not len(self._changes):
            return voice * _NUM_PROGRAMS
        last = np.searchsorted(self._place, voice * self._num_events + index) - 1
        last_change = self._changes[np.maximum(last, 0)]
        known = (last >= 0) & (self.voice(last_change) == voice)
        return voice * _NUM_PROGRAMS + np.where(known, self._events.data1[last_change], 0)


def pair_notes(events: MidiEvents, programs: ProgramMap) -> Notes:
    """Pairs note-ons with note-offs and gives them instruments.

    A note-off (or a note-on of velocity 0) ends all sounding notes of its key that began at an
    earlier tick. Those that began at the same tick sound on if an earlier one was ended, and vanish
    otherwise. Notes that nothing ends are dropped. An instrument is made when its first note ends;
    its program is the one of that moment.
    """
    kind = events.status & 0xF0
    index = np.flatnonzero((kind == NOTE_ON) | (kind == NOTE_OFF))
    is_on = (kind[index] == NOTE_ON) & (events.data2[index] > 0)
    on, off = _pair(index, is_on, programs.voice(index) * 128 + events.data1[index], events.tick)
    order = np.lexsort((on, off))
    on, off = on[order], off[order]

    keys, first, number = np.unique(
        programs.instrument_keys(off), return_index=True, return_inverse=True
    )
    by_creation = np.argsort(first)
    rank = np.empty_like(by_creation)
    rank[by_creation] = np.arange(len(by_creation))
    instruments = Instruments(keys[by_creation], off[first[by_creation]])
    number = rank[number]
    if len(keys) > 1:
        order = np.argsort(number, kind="stable")
        number, on, off = number[order], on[order], off[order]
    return Notes(
        instruments, number, events.data1[on], events.data2[on], events.tick[on], events.tick[off]
    )


def _pair(index, is_on, key, tick):
    """Event indices of note-ons and their note-offs, in no order."""
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
    rest_on, rest_off = _pair_one_by_one(index[difficult], is_on[difficult], key[difficult], tick)
    return np.concatenate((index[on[easy]], rest_on)), np.concatenate((index[off[easy]], rest_off))


def _pair_one_by_one(index, is_on, key, tick):
    sounding = collections.defaultdict(list)
    pairs = []
    for i, on, k, t in zip(
        index.tolist(), is_on.tolist(), key.tolist(), tick[index].tolist(), strict=True
    ):
        if on:
            sounding[k].append((i, t))
        elif k in sounding:
            ended = [(note, i) for note, began in sounding[k] if began != t]
            began_now = [(note, began) for note, began in sounding[k] if began == t]
            pairs.extend(ended)
            if ended and began_now:
                sounding[k] = began_now
            else:
                del sounding[k]
    return np.array(pairs, np.int64).reshape(-1, 2).T


def assign_controls(
    events: MidiEvents, programs: ProgramMap, notes: Notes, limits: ConversionLimits
) -> tuple[Controls, Controls]:
    """Gives pitch bends and control changes to instruments.

    One that comes before its instrument (same program, channel and track) exists waits for it: all
    such of a channel and track are held in one list, which every instrument made there later takes
    as *its own* list. So two programs on one channel share, and repeat, their controls.

    Returns:
        The pitch bends and the control changes.
    """
    kind = events.status & 0xF0
    index = np.flatnonzero((kind == CONTROL_CHANGE) | (kind == PITCH_BEND))
    instruments = notes.instruments
    lists, of_instrument = _control_lists(index, programs, instruments)
    is_bend = kind[index] == PITCH_BEND
    order = np.argsort(lists, kind="stable")
    lists, index, is_bend = lists[order], index[order], is_bend[order]
    begin = np.searchsorted(lists, of_instrument)
    length = np.searchsorted(lists, of_instrument, side="right") - begin
    limits.check("too many controls", int(length.sum()), "max_controls")

    number = np.repeat(np.arange(len(begin)), length)
    before = np.cumsum(length) - length
    place = np.arange(len(number)) + np.repeat(begin - before, length)
    index, is_bend = index[place], is_bend[place]
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


def _control_lists(index, programs, instruments):
    """Number of the list that each control goes to, and of the list that each instrument has.

    The instruments' own lists come first, then those of controls that wait.
    """
    num_instruments = len(instruments.key)
    if not num_instruments:
        return np.zeros_like(index), np.zeros(0, np.int64)
    by_key = np.argsort(instruments.key)
    place, exists = _look_up(programs.instrument_keys(index), instruments.key[by_key])
    instrument = by_key[place]
    exists &= instruments.created[instrument] < index

    voice = programs.voice(index)
    waiting_voices, first = np.unique(voice[~exists], return_index=True)
    of_instrument = np.arange(num_instruments)
    if not len(waiting_voices):
        return of_instrument[instrument], of_instrument
    waiting_since = index[~exists][first]
    place, takes_over = _look_up(instruments.voice, waiting_voices)
    takes_over &= waiting_since[place] < instruments.created
    of_instrument = np.where(takes_over, num_instruments + place, of_instrument)
    waiting_list = num_instruments + np.searchsorted(waiting_voices, voice)
    return np.where(exists, of_instrument[instrument], waiting_list), of_instrument


def _look_up(values, ascending):
    """Where each value is in a non-empty ascending array, and whether it is there at all."""
    place = np.minimum(np.searchsorted(ascending, values), len(ascending) - 1)
    return place, ascending[place] == values
