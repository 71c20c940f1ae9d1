"""MIDI files to NoteSequences, an order faster than note_seq's reader.

`note_seq.midi_io` reads a file with mido into one object an event, with pretty_midi into one object
a note, and from there into a protocol buffer; pretty_midi also tabulates the time of every tick.
Here events stay arrays from the file's bytes to the serialized message, so that memory goes with
events and never with ticks.

There are two ways to read a file. *As Magenta reads it* the message equals that of note_seq:
which note-off ends which note, which instrument gets which control change, every rounding of a
time, and which files are refused. *As it is played* it says what a synthesizer would sound
(`as_played.assemble`): tempos and signatures count in every track, the tracks are the `part` of
notes, and a file that is cut short is read as far as it goes.

Source: pretty_midi 0.2.11 (`PrettyMIDI.__init__`) and note_seq 0.0.5 (`midi_io.py`), to which
tests/parity/test_magenta_conversion.py holds it on golden, generated and damaged files.
"""

import bisect
import dataclasses
import warnings
from collections.abc import Callable

import numpy as np

from style_transfer.midi import as_magenta, as_played, proto_wire
from style_transfer.midi import events as midi_events
from style_transfer.midi.limits import ConversionLimits
from style_transfer.midi.notes import Controls, Notes

_MICROSECONDS_PER_MINUTE = 6e7
_DEFAULT_QPM = 120.0
_MAX_POWER_OF_TWO = 30  # denominators are 32 bit numbers
_ENCODING_MIDI, _PARSER_PRETTY_MIDI = 3, 2  # enums of NoteSequence.SourceInfo
_MAJOR, _MINOR = 0, 1  # NoteSequence.KeySignature.Mode


@dataclasses.dataclass(frozen=True)
class TempoMap:
    """Piecewise linear map from ticks to seconds.

    Attributes:
        resolution: Ticks per quarter note.
        tick: Where each tempo begins, int64, shape `[tempos]`.
        secs: The same in seconds, float64, shape `[tempos]`.
        secs_per_tick: float64, shape `[tempos]`.
    """

    resolution: int
    tick: np.ndarray
    secs: np.ndarray
    secs_per_tick: np.ndarray

    @classmethod
    def from_events(cls, events: midi_events.MidiEvents, played: bool = False) -> "TempoMap":
        """The tempos of the first track, or of all; one that repeats the last is ignored."""
        resolution = events.resolution
        if not resolution:
            raise midi_events.broken("it has zero ticks per quarter note")
        ticks, scales = [0], [60.0 / (_DEFAULT_QPM * resolution)]
        for tick, payload in _metas(events, midi_events.SET_TEMPO, played):
            microseconds = int.from_bytes(payload[:3], "big")
            if played and (len(payload) < 3 or not microseconds):
                continue
            if not microseconds:
                raise midi_events.broken("it has an infinite tempo")
            scale = 60.0 / ((_MICROSECONDS_PER_MINUTE / microseconds) * resolution)
            if tick == ticks[-1] and (played or not tick):
                scales[-1] = scale
            elif scale != scales[-1]:
                ticks.append(tick)
                scales.append(scale)
        secs = [0.0]
        for i in range(len(ticks) - 1):
            secs.append(secs[i] + scales[i] * (ticks[i + 1] - ticks[i]))
        return cls(resolution, np.array(ticks), np.array(secs), np.array(scales))

    def seconds(self, tick):
        """Time of ticks, float64, same shape."""
        if len(self.tick) == 1:
            return self.secs[0] + self.secs_per_tick[0] * tick
        i = np.searchsorted(self.tick, tick, side="right") - 1
        return self.secs[i] + self.secs_per_tick[i] * (tick - self.tick[i])

    @property
    def qpm(self):
        """Tempos in quarter notes per minute, shape `[tempos]`."""
        return 60.0 / (self.secs_per_tick * self.resolution)


def note_sequence(data: bytes, limits: ConversionLimits | None = None, *, played: bool = False,
                  warn: Callable[[str], None] = warnings.warn):
    """Reads a MIDI file into a `NoteSequence`; see `serialized_note_sequence`."""
    from note_seq.protobuf import music_pb2

    return music_pb2.NoteSequence.FromString(
        serialized_note_sequence(data, limits, played=played, warn=warn))


def serialized_note_sequence(
    data: bytes, limits: ConversionLimits | None = None, *, played: bool = False,
    warn: Callable[[str], None] = warnings.warn
) -> bytes:
    """Reads a MIDI file into a serialized `NoteSequence` without id, filename and collection.

    Those three are the message's first fields, so they can be put in front of the result.

    Args:
        data: The file's bytes.
        limits: What it may ask for.
        played: Whether to read it as it is played; otherwise as `note_seq.midi_to_note_sequence`
            does.
        warn: Called with what is missing of a file that is cut short and `played` all the same.

    Raises:
        UnreadableFileError: It is damaged or exceeds a limit.
    """
    limits = limits or ConversionLimits()
    limits.check("file too large", len(data), "max_file_bytes")
    events = midi_events.read_events(data, played)
    limits.check("too many ticks", int(events.tick.max()), "max_ticks")
    tempos = TempoMap.from_events(events, played)
    limits.check("tempo too fast", float(np.abs(tempos.qpm).max()), "max_qpm")
    time_signatures, key_signatures = _signatures(events, tempos, played)
    assemble = as_played.assemble if played else as_magenta.assemble
    notes, bends, changes = assemble(events, limits)
    start_secs, end_secs = tempos.seconds(notes.on_tick), tempos.seconds(notes.off_tick)
    bend_secs, change_secs = tempos.seconds(bends.tick), tempos.seconds(changes.tick)
    latest = [c.max() for c in (end_secs, bend_secs, change_secs, tempos.secs) if len(c)]
    latest += [times.max() for times in (time_signatures[1], key_signatures[1]) if len(times)]
    limits.check("too long", float(max(latest)), "max_duration_secs")
    if events.faults:
        warn("; ".join(events.faults))

    source = proto_wire.int_field(2, _ENCODING_MIDI) + proto_wire.int_field(
        3, 0 if played else _PARSER_PRETTY_MIDI)
    part, total_secs = None, end_secs.max() if len(end_secs) else 0.0
    if played and len(end_secs):  # a strike without length at the end is within the piece
        total_secs = max(total_secs, float(tempos.seconds(notes.on_tick.max() + 1)))
    if played:  # of a file with one track, its channels are the parts
        voice = notes.instruments.voice
        part = (voice % 16 + 1 if events.num_tracks == 1 else voice // 16)[notes.instrument]
    return b"".join(
        (
            proto_wire.int_field(4, events.resolution),
            proto_wire.message_fields(5, time_signatures),
            proto_wire.message_fields(6, key_signatures),
            proto_wire.message_fields(7, {1: tempos.secs, 2: tempos.qpm}),
            _encode_notes(notes, start_secs, end_secs, part),
            proto_wire.double_field(9, total_secs),
            _encode_bends(bends, bend_secs),
            _encode_changes(changes, change_secs),
            proto_wire.bytes_field(13, source),
            _encode_instrument_infos(events, notes),
        )
    )


def keeps_time_elsewhere(data: bytes) -> bool:
    """Whether tempo or meter events outside a MIDI file's first track change its time.

    Magenta's reader passes them over.

    Args:
        data: Bytes of a file that it reads.

    Raises:
        UnreadableFileError: It would not.
    """
    size = int.from_bytes(data[18:22], "big")  # of the first track
    marks = (b"\xff\x51\x03", b"\xff\x58\x04")
    if data[:4] == b"MThd" and all(data.find(mark, 22 + size) < 0 for mark in marks):
        return False
    events = midi_events.read_events(data)
    first = dataclasses.replace(events, metas=[meta for meta in events.metas if not meta[1]])
    return _time(first) != _time(events)


def _time(events):
    tempos = TempoMap.from_events(events, played=True)
    meters = _read_signatures(events, midi_events.TIME_SIGNATURE, _meter, played=True)
    return tempos.tick.tolist(), tempos.secs_per_tick.tolist(), meters


def _metas(events, kind, played):
    """`(tick, payload)` of the meta events of a kind: the first track's, or all in their turn."""
    found = [(int(events.tick[index]), payload) for index, track, k, payload in events.metas
             if k == kind and (played or not track)]
    return sorted(found, key=lambda meta: meta[0]) if played else found


def _signatures(events, tempos, played):
    """Columns of the time and of the key signatures."""
    times = _read_signatures(events, midi_events.TIME_SIGNATURE, _meter, played)
    keys = _read_signatures(events, midi_events.KEY_SIGNATURE, _key, played)
    columns = [np.array(rows, np.int64).reshape(-1, 3).T for rows in (times, keys)]
    secs = [tempos.seconds(tick) for tick, _, _ in columns]
    if any((s < 0).any() for s in secs):
        raise midi_events.broken("it has a signature at a negative time")
    return tuple({1: s, 2: a, 3: b} for s, (_, a, b) in zip(secs, columns, strict=True))


def _read_signatures(events, kind, read, played):
    """Rows of tick and two numbers.

    As played, those that say the impossible or repeat the last are passed over, and of several at
    one tick the last counts.
    """
    rows = []
    for tick, payload in _metas(events, kind, played):
        try:
            row = (tick, *read(payload))
        except (midi_events.UnreadableFileError, IndexError):
            if not played:
                raise
            continue
        if played and rows and rows[-1][0] == tick:
            rows.pop()
        if not played or not rows or rows[-1][1:] != row[1:]:
            rows.append(row)
    return rows


def _meter(payload):
    numerator, power = payload[0], payload[1]
    if not numerator or power > _MAX_POWER_OF_TWO:
        raise midi_events.broken(f"it has a time signature of {numerator}/2**{power}")
    return numerator, 1 << power


def _key(payload):
    mode, key = divmod(midi_events.key_number(payload), 12)
    return key, mode


def _encode_notes(notes: Notes, start_secs, end_secs, part):
    columns = {
        1: notes.pitch,
        2: notes.velocity,
        3: start_secs,
        4: end_secs,
        7: notes.instrument,
        8: notes.instruments.program[notes.instrument],
        9: notes.instruments.is_drum[notes.instrument],
    }
    if part is not None:
        columns[10] = part
    return proto_wire.message_fields(8, columns)


def _encode_bends(bends: Controls, secs):
    bend = (bends.data1.astype(np.int64) | bends.data2.astype(np.int64) << 7) - 8192
    return proto_wire.message_fields(
        10, {1: secs, 2: bend, 3: bends.instrument, 4: bends.program, 5: bends.is_drum}
    )


def _encode_changes(changes: Controls, secs):
    return proto_wire.message_fields(
        11,
        {
            1: secs,
            2: changes.data1,
            3: changes.data2,
            4: changes.instrument,
            5: changes.program,
            6: changes.is_drum,
        },
    )


def _encode_instrument_infos(events, notes):
    """Names of instruments: the track's last name before the instrument's first note ended."""
    names = {}
    for index, track, kind, payload in events.metas:
        if kind == midi_events.TRACK_NAME:
            names.setdefault(track, []).append((index, payload.decode("latin1")))
    encoded = []
    instruments = notes.instruments
    for i, (track, created) in enumerate(
        zip(instruments.track.tolist(), instruments.created.tolist(), strict=True)
    ):
        track_names = names.get(track, ())
        before = bisect.bisect_left(track_names, created, key=lambda name: name[0])
        name = track_names[before - 1][1] if before else ""
        if name:
            info = proto_wire.int_field(1, i) + proto_wire.string_field(2, name)
            encoded.append(proto_wire.bytes_field(23, info))
    return b"".join(encoded)
