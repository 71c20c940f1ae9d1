"""The events of a Standard MIDI File as arrays, found at about 0.1 microseconds a byte.

Where one event ends and the next begins depends on all before it, but for the common two-byte
messages the *distance* does not: it is looked up for every byte at once, and the walk from event
to event is a chain of list look-ups. Everything rarer (meta and system events, program changes,
a track's first event) is read one by one, in `_EventFinder._step`.

There are two ways to read. As Magenta reads, what is an error and what is not follows its reader,
including that meta events of unknown type lose their delta time. As it is played, everything that
the standard lets a player pass over is passed over (chunks of other kinds, empty tracks, meta
events that say the impossible), and of a file that is cut short everything before the cut is read.

Source: Standard MIDI Files 1.0; as Magenta reads, held to mido 1.3 (`midifiles.py`, `meta.py`) in
tests/parity/test_magenta_conversion.py.
"""

import dataclasses
import math
import struct

import numpy as np

from style_transfer.midi.limits import UnreadableFileError

NOTE_OFF, NOTE_ON, CONTROL_CHANGE, PROGRAM_CHANGE, PITCH_BEND = 0x80, 0x90, 0xB0, 0xC0, 0xE0
TRACK_NAME, PORT, END_OF_TRACK = 0x03, 0x21, 0x2F
SET_TEMPO, TIME_SIGNATURE, KEY_SIGNATURE = 0x51, 0x58, 0x59

_META = 0xFF
_SEQUENCE_NUMBER, _SMPTE_OFFSET = 0x00, 0x54
_SYSEX = (0xF0, 0xF7)
_SYSTEM_DATA_BYTES = {
    0xF1: 1, 0xF2: 2, 0xF3: 1, 0xF6: 0, 0xF8: 0, 0xFA: 0, 0xFB: 0, 0xFC: 0, 0xFE: 0,
}  # fmt: skip
_META_LEAST_BYTES = {
    0x00: 0, 0x01: 0, 0x02: 0, 0x03: 0, 0x04: 0, 0x05: 0, 0x06: 0, 0x07: 0, 0x09: 0, 0x20: 1,
    0x21: 0, 0x2F: 0, 0x51: 3, 0x54: 5, 0x58: 4, 0x59: 2, 0x7F: 0,
}  # fmt: skip
_KEPT_META = {TRACK_NAME, PORT, SET_TEMPO, TIME_SIGNATURE, KEY_SIGNATURE}
_MAX_MESSAGE_BYTES = 1_000_000
_MAX_TICK = 10**10
_MAX_DELTA_BYTES = 4
_MAX_FAULTS = 3
_WINDOW_BYTES = 1 << 16
_PADDING = bytes(8)  # so that looking a few bytes ahead never leaves the array

_STEP = np.full(256, -(1 << 20), np.int32)  # from the status byte to the next event
_STEP[:0x80] = 2  # running status: both bytes are data
_STEP[0x80:0xC0] = 3
_STEP[0xE0:0xF0] = 3


@dataclasses.dataclass(frozen=True)
class MidiEvents:
    """Every event of a file in file order, and the meta events that matter.

    Attributes:
        resolution: Ticks per quarter note as the header has it (negative for SMPTE time).
        tick: Absolute tick, int64, shape `[events]`.
        track: Track number, int64, shape `[events]`.
        status: Status byte with running status resolved, uint8, shape `[events]`.
        data1: First data byte (key, controller, program), uint8, shape `[events]`.
        data2: Second data byte (velocity, value), uint8, shape `[events]`.
        metas: `(event index, track, type, payload)` of names, ports, tempos and signatures.
        num_tracks: How many tracks, empty ones included.
        faults: What is missing of a file that is played as far as it can be read.
    """

    resolution: int
    tick: np.ndarray
    track: np.ndarray
    status: np.ndarray
    data1: np.ndarray
    data2: np.ndarray
    metas: list[tuple[int, int, int, bytes]]
    num_tracks: int
    faults: tuple[str, ...] = ()


class _CutShortError(Exception):
    """The file ends within an event."""


def broken(detail: str) -> UnreadableFileError:
    """The error for bytes that are no MIDI file."""
    return UnreadableFileError("not a readable MIDI file", detail)


def read_events(data: bytes, as_played: bool = False) -> MidiEvents:
    """Finds and decodes the events of a MIDI file.

    Args:
        data: The file's bytes.
        as_played: Whether to read all that a player can; otherwise what Magenta's reader refuses
            is refused, but for RIFF-MIDI.

    Raises:
        UnreadableFileError: `data` is not a complete, valid MIDI file with at least one track,
            each with at least one event; `as_played`, it has no events.
    """
    data = _unwrapped(data)
    if as_played:
        return _read_leniently(data)
    num_tracks, resolution, position = _read_header(data)
    finder = _EventFinder(data)
    counts = []
    for track in range(num_tracks):
        name, size = _chunk_header(data, position)
        if name != b"MTrk":
            raise broken(f"no track header at byte {position}")
        position += 8
        if position + size > len(data):
            raise broken(f"track {track} is cut short")
        counts.append(finder.find(position, position + size, track))
        position += size
        if not counts[-1]:
            raise broken(f"track {track} is empty")
    return _decode(finder, np.array(counts), resolution)


def _read_leniently(data):
    """All tracks, however many the header promises, each as far as it goes."""
    promised, resolution, position = _read_header(data)
    finder = _EventFinder(data, lenient=True)
    counts, faults = [], []

    def note(fault):
        if len(faults) < _MAX_FAULTS:
            faults.append(fault)

    while position + 8 <= len(data):
        name, size = _chunk_header(data, position)
        position += 8
        if name == b"MTrk":
            track, left = len(counts), len(data) - position
            counts.append(finder.find(position, position + min(size, left), track))
            if size > left:
                note(f"track {track} should have {size} bytes, but the file ends after {left} of "
                     "them")
            elif finder.cut_short:
                note(f"the last event of track {track} reaches beyond the track")
            if finder.at_end and data[finder.end : finder.end + 4] == b"MTrk":
                size = finder.end - position  # whatever length the track was said to have
        position += size
    if len(counts) < promised:
        note(f"it has {len(counts)} of the {promised} tracks that its header promises")
    if not sum(counts):
        raise broken("; ".join(faults) or "it has no events")
    return _decode(finder, np.array(counts), resolution, tuple(faults))


def _unwrapped(data):
    """The MIDI file within a RIFF-MIDI file; anything else as it is."""
    if data[:4] != b"RIFF" or data[8:12] != b"RMID":
        return data
    position = 12
    while position + 8 <= len(data):
        name, size = struct.unpack_from("<4sL", data, position)
        position += 8
        if name == b"data":
            return data[position : position + size]
        position += size + size % 2
    raise broken("it is RIFF-MIDI without a data chunk")


def _has_two_data_bytes(status):
    return (status < 0xC0) | ((status >= 0xE0) & (status < 0xF0))


def _chunk_header(data, position):
    if not data:
        raise broken("it is empty")
    if len(data) < position + 8:
        raise broken("it ends where a chunk should begin")
    return struct.unpack_from(">4sL", data, position)


def _read_header(data):
    name, size = _chunk_header(data, 0)
    if name != b"MThd":
        raise broken("it does not begin with MThd")
    if size < 6 or len(data) < 14:
        raise broken("its header is cut short")
    _, num_tracks, resolution = struct.unpack_from(">hhh", data, 8)
    if num_tracks <= 0:
        raise broken("it has no tracks")
    return num_tracks, resolution, 8 + size


class _EventFinder:
    """Walks through tracks and collects where their events begin."""

    def __init__(self, data, lenient=False):
        self.data = data
        self.lenient = lenient
        self.at_end, self.cut_short, self.end = False, False, 0  # of the last track
        self.array = np.frombuffer(data + _PADDING, np.uint8)
        self.metas = []
        self.deltas = {}  # event index -> delta time, where it is not what the bytes say
        self._blocks = []
        self._found = []  # events of the current window, relative to its begin
        self._num_before = 0
        self._begin = self._end = 0
        self._next = []

    @property
    def num_events(self):
        return self._num_before + len(self._found)

    def positions(self):
        """Byte at which the delta time of every event begins, shape `[events]`."""
        self._flush()
        return np.concatenate(self._blocks) if self._blocks else np.zeros(0, np.int64)

    def find(self, begin, end, track):
        """Collects the events from byte `begin` to `end`, and gives their number.

        Read strictly, these must be whole events. Otherwise an event that is cut short ends the
        track, with `cut_short`, and an end-of-track event ends it, with `at_end`, at byte `end`.
        """
        position, running, before = begin, None, self.num_events
        self.at_end = self.cut_short = False
        while position < end:
            if position >= self._end or position < self._begin:
                self._open_window(position)
            if running is not None and _has_two_data_bytes(running):
                leapt = self._leap(position, end)
                if leapt != position:
                    position = leapt
                    continue
            try:
                position, running = self._step(position, running, track)
            except IndexError:
                if not self.lenient:
                    raise broken(f"track {track} is cut short") from None
                self.cut_short = True
                break
            if self.at_end:
                break
        if position > end:
            if not self.lenient:
                raise broken(f"the last event of track {track} reaches beyond the track")
            self.cut_short = True
            self._found.pop()
        if self.cut_short:
            self.deltas.pop(self.num_events, None)
            while self.metas and self.metas[-1][0] >= self.num_events:
                self.metas.pop()
        self.end = position
        return self.num_events - before

    def _flush(self):
        if self._found:
            self._blocks.append(np.array(self._found, np.int64) + self._begin)
            self._num_before += len(self._found)
            self._found = []

    def _open_window(self, position):
        """Looks up, for every byte of a window, where the next event is if one begins there."""
        self._flush()
        self._begin = position
        self._end = min(position + _WINDOW_BYTES, len(self.data))
        window = self.array[position : self._end + len(_PADDING)]
        size = self._end - position
        long1 = window >= 0x80
        long2 = long1[:-1] & long1[1:]
        long3 = long2[:-1] & long1[2:]
        status = np.arange(1, size + 1, dtype=np.int32)
        status += long1[:size]
        status += long2[:size]
        status += long3[:size]
        after = status + _STEP[window[status]]
        after[long3[:size] & long1[3 : size + 3]] = -1
        self._next = after.tolist()

    def _leap(self, position, end):
        """Follows two-byte messages until another event, the window's end or the track's."""
        place = position - self._begin
        stop = min(end, self._end) - self._begin
        following, append = self._next, self._found.append
        while place < stop:
            after = following[place]
            if after < 0:
                break
            append(place)
            place = after
        return place + self._begin

    def _step(self, position, running, track):
        """Reads any one event; gives the next position and the running status."""
        data, begin = self.data, position
        delta, position = self._variable_int(position)
        if position - begin > _MAX_DELTA_BYTES:
            if delta > _MAX_TICK:
                delta = _MAX_TICK + 1
            begin = position - 1  # decoded as if the delta time were its last byte alone
            self.deltas[self.num_events] = delta
        status = data[position]
        explicit = status >= 0x80
        if not explicit:
            if running is None:
                raise broken(f"byte {position} of the file, in track {track}, is data without a "
                             "status: there is no running status there")
            status = running
        else:
            position += 1
            if status != _META:
                running = None if self.lenient and status in _SYSEX else status
        if status == _META:
            position = self._meta(position, track)
        elif status in _SYSEX:
            # A data byte in running status is swallowed: so does the reference.
            position = self._sysex(position + (not explicit))
        else:
            position = self._short(position, status, explicit)
        self._found.append(begin - self._begin)
        return position, running

    def _variable_int(self, position):
        value = 0
        while True:
            byte = self.data[position]
            position += 1
            value = (value << 7) | (byte & 0x7F)
            if byte < 0x80:
                return value, position
            if value > 1 << 64:
                value = 1 << 64  # only "too large" matters from here on

    def _payload(self, position):
        length, position = self._variable_int(position)
        if length > _MAX_MESSAGE_BYTES:
            raise broken(f"it has a message of {length} bytes")
        if position + length > len(self.data):
            raise IndexError
        return self.data[position : position + length], position + length

    def _meta(self, position, track):
        kind = self.data[position]
        payload, position = self._payload(position + 1)
        if self.lenient:
            self.at_end = kind == END_OF_TRACK
        elif kind in _META_LEAST_BYTES:
            _check_meta(kind, payload)
        else:
            self.deltas[self.num_events] = 0
        if kind in _KEPT_META:
            self.metas.append((self.num_events, track, kind, payload))
        return position

    def _sysex(self, position):
        payload, position = self._payload(position)
        if not self.lenient and not payload.removeprefix(b"\xf0").removesuffix(b"\xf7").isascii():
            raise broken("a system exclusive message has data bytes over 127")
        return position

    def _short(self, position, status, explicit):
        if status < 0xF0:
            size = 1 if 0xC0 <= status < 0xE0 else 2
        elif status in _SYSTEM_DATA_BYTES:
            size = _SYSTEM_DATA_BYTES[status]
        else:
            raise broken(f"undefined status byte {status:#04x}")
        if not size and not explicit:
            raise broken("running status after a message without data")
        if position + size > len(self.data):
            raise IndexError
        if not self.data[position : position + size].isascii():
            raise broken("a data byte is over 127")
        return position + size


def _check_meta(kind, payload):
    size = len(payload)
    if size < _META_LEAST_BYTES[kind] or (kind == _SEQUENCE_NUMBER and size == 1):
        raise broken(f"meta event {kind:#04x} has only {size} bytes")
    if kind == KEY_SIGNATURE:
        key_number(payload)
    elif kind == TIME_SIGNATURE and math.log(1 << payload[1], 2) != payload[1]:
        raise broken(f"it has a time signature over 2**{payload[1]}")  # as rounding has it
    elif kind == _SMPTE_OFFSET:
        rate_and_hour, minute, second, _, subframe = payload[:5]
        if rate_and_hour >= 0x80 or max(minute, second) > 59 or subframe > 99:
            raise broken("it has an impossible SMPTE offset")


def key_number(payload: bytes) -> int:
    """Key of a key signature event: 0-11 for C to B major, 12-23 for C to B minor."""
    sharps, minor = (payload[0] ^ 0x80) - 0x80, payload[1]
    if abs(sharps) > 7 or minor > 1:
        raise broken(f"there is no key with {sharps} sharps and mode {minor}")
    return (7 * sharps + 9 * minor) % 12 + 12 * minor


def _decode(finder, events_per_track, resolution, faults=()):
    position = finder.positions()
    array = finder.array
    delta, place = _decode_deltas(array, position)
    for index, value in finder.deltas.items():
        delta[index] = value
    status = array[place]
    explicit = status >= 0x80
    sets_running = explicit & (status != _META)
    index = np.arange(len(status))
    source = np.maximum.accumulate(np.where(sets_running, index, 0))
    status = np.where(status == _META, status, status[source])
    place += explicit
    data1, data2 = array[place], array[place + 1]
    if np.any(_has_two_data_bytes(status) & ((data1 | data2) >= 0x80)):
        raise broken("a data byte is over 127")

    tick = np.cumsum(delta)
    filled = events_per_track[events_per_track > 0]
    first = np.cumsum(filled) - filled
    tick -= np.repeat(tick[first] - delta[first], filled)
    if tick.max() + 1 > _MAX_TICK:
        raise UnreadableFileError("too many ticks", f"{tick.max()}, at most {_MAX_TICK}")
    track = np.repeat(np.arange(len(events_per_track)), events_per_track)
    return MidiEvents(resolution, tick, track, status, data1, data2, finder.metas,
                      len(events_per_track), faults)


def _decode_deltas(array, position):
    """Delta times of up to four bytes, and the byte after each."""
    byte = array[position]
    delta = (byte & 0x7F).astype(np.int64)
    place = position + 1
    longer = np.flatnonzero(byte >= 0x80)
    while len(longer):
        byte = array[place[longer]]
        delta[longer] = (delta[longer] << 7) | (byte & 0x7F)
        place[longer] += 1
        longer = longer[byte >= 0x80]
    return delta, place
