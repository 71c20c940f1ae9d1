"""As it is played: what sounds of a file when every event counts wherever it stands.

A channel is one instrument of a synthesizer, whichever tracks its events are in, and tracks are
played together. So programs, controllers and what ends notes count for the channel; the tracks only
say which notes belong together.

Source: Standard MIDI Files 1.0 and MIDI 1.0; tests/midi/ has a case for each rule, and
benchmarks/midi_second_opinion.py compares a folder of files with another reader.
"""

import dataclasses

import numpy as np

from style_transfer.midi.events import (
    CONTROL_CHANGE,
    NOTE_OFF,
    NOTE_ON,
    PITCH_BEND,
    PORT,
    PROGRAM_CHANGE,
    MidiEvents,
)
from style_transfer.midi.limits import ConversionLimits, UnreadableFileError
from style_transfer.midi.notes import NUM_PROGRAMS, Controls, Instruments, Notes, controls_of, pair

_ALL_SOUND_OFF, _RESET_CONTROLLERS, _ALL_NOTES_OFF = 120, 121, 123
_SUSTAIN, _SOSTENUTO, _SOFT = 64, 66, 67
_DAMPER_PEDALS = (_SUSTAIN, _SOSTENUTO)
_PEDALS = (*_DAMPER_PEDALS, _SOFT)


def assemble(events: MidiEvents, limits: ConversionLimits) -> tuple[Notes, Controls, Controls]:
    """The notes, pitch bends and control changes of a file as a synthesizer hears them.

    * A note-off ends the notes of its key that its own track began on the channel, all that began
      at an earlier tick or, if there is none, at its own; if there is none at all, it ends those
      that other tracks began on the channel.
    * All notes off (controllers 123 to 127) and all sound off (120) end the notes of the channel;
      what nothing ends lasts as long as the file.
    * A program counts for the channel from its change on, and a note keeps what it began with.
    * Each instrument (a program on a channel of a track) has all controls of its channel. Resetting
      controllers (121) lifts the pedals. All sound off lifts those that hold strings, for a tick.

    Raises:
        UnreadableFileError: Its times are in SMPTE frames, or it exceeds a limit.
    """
    if events.resolution < 0:
        frames, ticks = 256 - (events.resolution >> 8 & 0xFF), events.resolution & 0xFF
        raise UnreadableFileError(
            "times in SMPTE frames",
            f"{frames} frames a second of {ticks} ticks; expected ticks per quarter note")
    player = _Player(_with_lifted_pedals(events))
    return player.notes(limits)


class _Player:
    """A file's events with the channel that each is on and its turn among all of them."""

    def __init__(self, events):
        self._events, self._turn = events
        self._kind = self._events.status & 0xF0
        self._channel = _channels(self._events)

    def notes(self, limits):
        events, kind = self._events, self._kind
        index = np.flatnonzero((kind == NOTE_ON) | (kind == NOTE_OFF))
        is_on = (kind[index] == NOTE_ON) & (events.data2[index] > 0)
        on, end = self._ended(index, is_on)
        limits.check("too many notes", len(on), "max_notes")
        voice = events.track[on] * 16 + (events.status[on] & 0x0F)
        keys, first, number = np.unique(
            voice * NUM_PROGRAMS + self._latest(PROGRAM_CHANGE, on), return_index=True,
            return_inverse=True)
        instruments = Instruments(keys, np.full(len(keys), len(events.tick)))
        order = np.lexsort((events.data1[on], events.tick[on], number))
        of_instrument = self._channel[on[first]]
        on, end, number = on[order], end[order], number[order]
        notes = Notes(instruments, number, events.data1[on], events.data2[on], events.tick[on], end)

        index = np.flatnonzero((kind == CONTROL_CHANGE) | (kind == PITCH_BEND))
        index = index[np.argsort(self._turn[index])]
        return notes, *controls_of(
            events, instruments, index, self._channel[index], of_instrument, limits)

    def _ended(self, index, is_on):
        """Note-ons and the ticks at which their notes end."""
        tick = self._events.tick
        track_voice = self._events.track[index] * 16 + (self._events.status[index] & 0x0F)
        pitch = self._events.data1[index].astype(np.int64)
        paired, off = pair(index, is_on, track_voice * 128 + pitch, tick, no_length=True)
        end = np.full(len(tick), tick.max())
        end[paired] = tick[off]
        on = index[is_on]
        channel = self._channel[index]
        if len(np.unique(track_voice)) > len(np.unique(channel)):
            # Note-offs that end nothing in their own track end what other tracks began.
            order = np.argsort(track_voice * 128 + pitch, kind="stable")
            same = np.diff((track_voice * 128 + pitch)[order], prepend=-1) == 0
            idle = ~is_on[order] & ~(same & np.roll(is_on[order], 1))
            free = order[idle]
            span = tick.max() + 1
            ends = _first_after(
                (channel * 128 + pitch)[free] * span + tick[index[free]],
                (channel * 128 + pitch)[is_on] * span + tick[on], span)
            end[on] = np.minimum(end[on], ends)
        silence = np.flatnonzero(
            (self._kind == CONTROL_CHANGE) & ((self._events.data1 == _ALL_SOUND_OFF)
                                              | (self._events.data1 >= _ALL_NOTES_OFF)))
        if len(silence):
            size = len(tick)
            turns = _first_after(self._channel[silence] * size + self._turn[silence],
                                 self._channel[on] * size + self._turn[on], size)
            ticks = np.append(tick[np.argsort(self._turn)], tick.max())
            end[on] = np.minimum(end[on], ticks[np.minimum(turns, size)])
        return on, end[on]

    def _latest(self, kind, index):
        """First data byte of the last event of a kind on the channels of events; 0 before any."""
        mask = self._kind == kind
        return _latest(np.flatnonzero(mask), index, self._channel, self._turn, self._events.data1)


def _first_after(places, queries, span):
    """The rest, modulo `span`, of the first of `places` that is greater than each query.

    It is a very large number where that is of another `span`.
    """
    places = np.append(np.sort(places), np.iinfo(np.int64).max)
    found = places[np.searchsorted(places, queries, side="right")]
    return np.where(found // span == queries // span, found % span, np.iinfo(np.int64).max)


def _latest(changes, index, channel, turn, value):
    """The value of the last of `changes` before each event on its channel, 0 if there is none."""
    place = channel[changes] * len(turn) + turn[changes]
    order = np.argsort(place)
    changes, place = changes[order], place[order]
    last = np.searchsorted(place, channel[index] * len(turn) + turn[index]) - 1
    if not len(changes):
        return np.zeros(len(index), np.int64)
    change = changes[np.maximum(last, 0)]
    known = (last >= 0) & (channel[change] == channel[index])
    return np.where(known, value[change], 0).astype(np.int64)


def _channels(events):
    """`port * 16 + channel` of every event; a port is a track's."""
    port = np.zeros(events.num_tracks, np.int64)
    for _, track, kind, payload in events.metas:
        if kind == PORT and payload:
            port[track] = payload[0]
    return port[events.track] * 16 + (events.status & 0x0F)


def _with_lifted_pedals(events):
    """The events with control changes for what resets do to pedals, and the turn of each."""
    place = np.arange(len(events.tick))
    is_control = (events.status & 0xF0) == CONTROL_CHANGE
    reset = np.flatnonzero(is_control & (events.data1 == _RESET_CONTROLLERS))
    silence = np.flatnonzero(is_control & (events.data1 == _ALL_SOUND_OFF))
    if not len(reset) + len(silence):
        return events, _turns(events.tick, place)
    channel, turn = _channels(events), _turns(events.tick, place)
    rows = [(reset, 0, number, np.zeros(len(reset), np.int64)) for number in _PEDALS]
    for number in _DAMPER_PEDALS:
        moves = np.flatnonzero(is_control & (events.data1 == number))
        value = _latest(moves, silence, channel, turn, events.data2)
        held, value = silence[value > 0], value[value > 0]
        rows += [(held, 0, number, np.zeros_like(value)), (held, 1, number, value)]
    cause = np.concatenate([row[0] for row in rows])
    added = dataclasses.replace(
        events,
        tick=np.append(events.tick, np.concatenate([events.tick[c] + d for c, d, _, _ in rows])),
        track=np.append(events.track, events.track[cause]),
        status=np.append(events.status, events.status[cause]),
        data1=np.append(events.data1, np.concatenate(
            [np.full(len(c), number, np.uint8) for c, _, number, _ in rows])),
        data2=np.append(events.data2, np.concatenate([row[3] for row in rows]).astype(np.uint8)))
    return added, _turns(added.tick, np.append(place, cause))


def _turns(tick, place):
    """The turn of each event: by tick, then by its place in the file."""
    turn = np.empty(len(tick), np.int64)
    turn[np.lexsort((place, tick))] = np.arange(len(tick))
    return turn
