"""As Magenta reads: which instrument plays which note, for a whole file at once.

Source: pretty_midi 0.2.11, `PrettyMIDI._load_instruments`, whose rules are stated at each function.
"""

import numpy as np

from style_transfer.midi.events import (
    CONTROL_CHANGE,
    NOTE_OFF,
    NOTE_ON,
    PITCH_BEND,
    PROGRAM_CHANGE,
    MidiEvents,
    broken,
)
from style_transfer.midi.limits import ConversionLimits
from style_transfer.midi.notes import NUM_PROGRAMS, Controls, Instruments, Notes, controls_of, pair


def assemble(events: MidiEvents, limits: ConversionLimits) -> tuple[Notes, Controls, Controls]:
    """The notes, pitch bends and control changes that `note_seq.midi_io` makes of a file."""
    programs = ProgramMap(events)
    notes = pair_notes(events, programs)
    limits.check("too many notes", len(notes.pitch), "max_notes")
    if len(notes.pitch) and events.resolution < 0:
        raise broken("its notes end before they start (SMPTE time)")
    return notes, *assign_controls(events, programs, notes, limits)


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
            return voice * NUM_PROGRAMS
        last = np.searchsorted(self._place, voice * self._num_events + index) - 1
        last_change = self._changes[np.maximum(last, 0)]
        known = (last >= 0) & (self.voice(last_change) == voice)
        return voice * NUM_PROGRAMS + np.where(known, self._events.data1[last_change], 0)


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
    on, off = pair(index, is_on, programs.voice(index) * 128 + events.data1[index], events.tick)
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
    return controls_of(events, instruments, index, lists, of_instrument, limits)


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
