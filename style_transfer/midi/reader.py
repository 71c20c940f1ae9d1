"""MIDI files to NoteSequences: the same messages as note_seq's reader, an order faster.

`note_seq.midi_io` reads a file with mido into one object an event, with pretty_midi into one object
a note, and from there into a protocol buffer; pretty_midi also tabulates the time of every tick.
Here events stay arrays from the file's bytes to the serialized message. Which note-off ends which
note, which instrument gets which control change and every rounding of a time are the same, and so
are the files that are refused.

Source: pretty_midi 0.2.11 (`PrettyMIDI.__init__`) and note_seq 0.0.5 (`midi_io.py`), to which
tests/parity/test_magenta_conversion.py holds it on golden, generated and damaged files.
"""

import bisect
import dataclasses

import numpy as np

from style_transfer.midi import events as midi_events
from style_transfer.midi import proto_wire
from style_transfer.midi.limits import ConversionLimits
from style_transfer.midi.notes import Controls, Notes, ProgramMap, assign_controls, pair_notes

_MICROSECONDS_PER_MINUTE = 6e7
_DEFAULT_QPM = 120.0
_MAX_INT32 = 2**31 - 1
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
    def from_events(cls, events: midi_events.MidiEvents) -> "TempoMap":
        """The tempos of the first track; one that repeats the last is ignored."""
        resolution = events.resolution
        if not resolution:
            raise midi_events.broken("it has zero ticks per quarter note")
        ticks, scales = [0], [60.0 / (_DEFAULT_QPM * resolution)]
        for index, track, kind, payload in events.metas:
            if kind != midi_events.SET_TEMPO or track:
                continue
            microseconds = int.from_bytes(payload[:3], "big")
            if not microseconds:
                raise midi_events.broken("it has an infinite tempo")
            scale = 60.0 / ((_MICROSECONDS_PER_MINUTE / microseconds) * resolution)
            tick = int(events.tick[index])
            if tick == 0:
                ticks, scales = [0], [scale]
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


def note_sequence(data: bytes, limits: ConversionLimits | None = None):
    """Reads a MIDI file into a `NoteSequence`, as `note_seq.midi_to_note_sequence` does.

    Args:
        data: The file's bytes.
        limits: What it may ask for.

    Raises:
        UnreadableFileError: It is damaged or exceeds a limit.
    """
    from note_seq.protobuf import music_pb2

    return music_pb2.NoteSequence.FromString(serialized_note_sequence(data, limits))


def serialized_note_sequence(data: bytes, limits: ConversionLimits | None = None) -> bytes:
    """Reads a MIDI file into a serialized `NoteSequence` without id, filename and collection.

    Those three are the message's first fields, so they can be put in front of the result.

    Args:
        data: The file's bytes.
        limits: What it may ask for.

    Raises:
        UnreadableFileError: It is damaged or exceeds a limit.
    """
    limits = limits or ConversionLimits()
    limits.check("file too large", len(data), "max_file_bytes")
    events = midi_events.read_events(data)
    limits.check("too many ticks", int(events.tick.max()), "max_ticks")
    tempos = TempoMap.from_events(events)
    limits.check("tempo too fast", float(np.abs(tempos.qpm).max()), "max_qpm")
    time_signatures, key_signatures = _signatures(events, tempos)

    programs = ProgramMap(events)
    notes = pair_notes(events, programs)
    limits.check("too many notes", len(notes.pitch), "max_notes")
    if len(notes.pitch) and events.resolution < 0:
        raise midi_events.broken("its notes end before they start (SMPTE time)")
    bends, changes = assign_controls(events, programs, notes, limits)
    start_secs, end_secs = tempos.seconds(notes.on_tick), tempos.seconds(notes.off_tick)
    bend_secs, change_secs = tempos.seconds(bends.tick), tempos.seconds(changes.tick)
    latest = [c.max() for c in (end_secs, bend_secs, change_secs, tempos.secs) if len(c)]
    latest += [times.max() for times in (time_signatures[1], key_signatures[1]) if len(times)]
    limits.check("too long", float(max(latest)), "max_duration_secs")

    source = proto_wire.int_field(2, _ENCODING_MIDI) + proto_wire.int_field(3, _PARSER_PRETTY_MIDI)
    return b"".join(
        (
            proto_wire.int_field(4, events.resolution),
            proto_wire.message_fields(5, time_signatures),
            proto_wire.message_fields(6, key_signatures),
            proto_wire.message_fields(7, {1: tempos.secs, 2: tempos.qpm}),
            _encode_notes(notes, start_secs, end_secs),
            proto_wire.double_field(9, end_secs.max() if len(end_secs) else 0.0),
            _encode_bends(bends, bend_secs),
            _encode_changes(changes, change_secs),
            proto_wire.bytes_field(13, source),
            _encode_instrument_infos(events, notes),
        )
    )


def _signatures(events, tempos):
    """Columns of the time and of the key signatures; only the first track's count."""
    times, keys = [], []
    for index, track, kind, payload in events.metas:
        if track:
            continue
        if kind == midi_events.TIME_SIGNATURE:
            times.append((index, payload[0], 1 << payload[1]))
        elif kind == midi_events.KEY_SIGNATURE:
            keys.append((index, *reversed(divmod(midi_events.key_number(payload), 12))))
    for _, numerator, denominator in times:
        if not numerator or denominator > _MAX_INT32:
            raise midi_events.broken(f"it has a time signature of {numerator}/{denominator}")
    columns = [np.array(rows, np.int64).reshape(-1, 3).T for rows in (times, keys)]
    secs = [tempos.seconds(events.tick[index]) for index, _, _ in columns]
    if any((s < 0).any() for s in secs):
        raise midi_events.broken("it has a signature at a negative time")
    return tuple({1: s, 2: a, 3: b} for s, (_, a, b) in zip(secs, columns, strict=True))


def _encode_notes(notes: Notes, start_secs, end_secs):
    return proto_wire.message_fields(
        8,
        {
            1: notes.pitch,
            2: notes.velocity,
            3: start_secs,
            4: end_secs,
            7: notes.instrument,
            8: notes.instruments.program[notes.instrument],
            9: notes.instruments.is_drum[notes.instrument],
        },
    )


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
