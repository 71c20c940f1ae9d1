"""Conversion held to Magenta: golden records, and note_seq's reader on random and damaged files."""

import pathlib
import random
import struct

import pytest

from style_transfer.midi import events as midi_events
from style_transfer.midi import reader as midi_reader
from style_transfer.midi.limits import ConversionLimits, UnreadableFileError
from style_transfer.pipelines import note_sequences
from style_transfer.pipelines.records import tfrecords

note_seq = pytest.importorskip("note_seq")
FIXTURES = pathlib.Path(__file__).parent / "fixtures" / "magenta_conversion"
GENEROUS = ConversionLimits(max_ticks=10**10, max_qpm=1e12, max_duration_secs=1e15)
MAX_TICKS_TO_TABULATE = 1_000_000  # note_seq's reader takes over 24 bytes of memory for each


def sequences(path):
    return [note_seq.NoteSequence.FromString(record) for record in tfrecords.read_records(path)]


@pytest.mark.parametrize(("recursive", "golden"), [(False, "flat"), (True, "recursive")])
def test_records_equal_magentas(tmp_path, recursive, golden):
    output = tmp_path / "out.tfrecord"
    report = note_sequences.convert_directory(
        str(FIXTURES / "golden_midi"), str(output), recursive, num_workers=1
    )
    expected = {s.id: s for s in sequences(FIXTURES / f"converted_{golden}.tfrecord")}
    converted = {s.id: s for s in sequences(output)}
    abc = {name: s for name, s in converted.items() if name.startswith("/id/abc/")}
    assert {name: s for name, s in converted.items() if name not in abc} == expected
    assert [s.filename for s in abc.values()] == ["tunes.abc"] * 2  # Magenta fails on ABC
    assert set(report.skipped) == {"corrupt.mid", "truncated.mid", "zero_bytes.mid"}
    assert report.records == len(converted) == len(expected) + 2
    assert report.read == report.written + len(report.skipped)


def test_formats_choose_exactly_magentas_records(tmp_path):
    output = tmp_path / "out.tfrecord"
    note_sequences.convert_directory(
        str(FIXTURES / "golden_midi"),
        str(output),
        True,
        formats=("midi", "musicxml"),
        num_workers=1,
    )
    golden = {s.id: s for s in sequences(FIXTURES / "converted_recursive.tfrecord")}
    converted = sequences(output)
    assert len(converted) == len(golden)
    assert {s.id: s for s in converted} == golden


@pytest.mark.parametrize(
    ("tune", "identifier"),
    [
        (1, "/id/abc/golden_midi/a248bd0e3a04a6883cafc80956e42552b50b943c"),
        (2, "/id/abc/golden_midi/bc8a775434ed31c8d40fc643ee6ea9d24adbdf5c"),
    ],
)
def test_abc_tunes_equal_the_text_parsers(tune, identifier):
    records = note_sequences.convert_file("tunes.abc", str(FIXTURES / "golden_midi"))
    converted = note_seq.NoteSequence.FromString(records[tune - 1])
    assert converted.id == identifier
    assert (converted.filename, converted.collection_name) == ("tunes.abc", "golden_midi")
    for field in ("id", "filename", "collection_name"):
        converted.ClearField(field)
    expected = note_seq.NoteSequence()
    expected.ParseFromString((FIXTURES / f"abc_tune_{tune}.pb").read_bytes())
    assert converted == expected


def variable_int(value, num_padding=0):
    octets = [value & 127]
    while value := value >> 7:
        octets.append(value & 127 | 128)
    return bytes(reversed(octets + [128] * num_padding))


def random_channel_message(rng, keys, channels, programs):
    kind = rng.choice([0x90] * 10 + [0x80] * 6 + [0xB0] * 3 + [0xE0, 0xA0, 0xC0, 0xC0, 0xD0])
    status = kind | rng.choice(channels)
    if kind in (0xC0, 0xD0):
        return status, bytes([rng.choice(programs)])
    return status, bytes([rng.choice(keys), rng.choice([0, 0, 1, 64, 127])])


def random_meta(rng):
    lengths = {0x00: 2, 0x20: 1, 0x21: 1, 0x2F: 0, 0x51: 3, 0x08: 2}
    kind = rng.choice([0x03] * 4 + [0x51] * 4 + [0x58] * 2 + [0x59] * 2 + [1, 5, 0x7F, *lengths])
    payload = bytes(rng.randrange(256) for _ in range(lengths.get(kind, rng.randrange(5))))
    if kind == 0x58:
        payload = bytes([rng.randrange(1, 13), rng.choice([0, 1, 2, 3, 30]), 24, 8])
    elif kind == 0x59:
        payload = bytes([rng.randrange(-7, 8) & 255, rng.randrange(2)])
    return bytes([0xFF, kind]) + variable_int(len(payload), rng.choice([0, 0, 0, 3])) + payload


def random_system_message(rng):
    if rng.random() < 0.3:
        status = rng.choice([0xF1, 0xF2, 0xF3, 0xF6, 0xF8, 0xFE])
        return bytes([status]) + bytes({0xF1: 1, 0xF2: 2, 0xF3: 1}.get(status, 0))
    payload = bytes(rng.randrange(128) for _ in range(rng.randrange(4)))
    payload = rng.choice([b"", b"\xf0"]) + payload + rng.choice([b"", b"\xf7"])
    return bytes([rng.choice([0xF0, 0xF7])]) + variable_int(len(payload)) + payload


def random_track(rng):
    """Few keys, channels and ticks, so that notes overlap, repeat and end when they begin."""
    keys = [rng.randrange(128) for _ in range(rng.choice([1, 2, 5]))]
    channels = [9] + [rng.randrange(16) for _ in range(rng.choice([1, 2, 3]))]
    programs = [rng.randrange(128) for _ in range(2)]
    track, running = bytearray(), None
    for _ in range(rng.randrange(1, rng.choice([5, 60, 200]))):
        delta = rng.choice([0, 0, 0, 1, 5, rng.randrange(500)])
        track += variable_int(delta, rng.choice([0] * 20 + [1, 4]))
        kind = rng.random()
        if kind < 0.85:
            status, payload = random_channel_message(rng, keys, channels, programs)
            explicit = status != running or rng.random() < 0.2
            track += bytes([status] * explicit) + payload
            running = status
        elif kind < 0.98:
            track += random_meta(rng)  # leaves running status as it is
        else:
            track += random_system_message(rng)
            running = None
    return bytes(track)


def random_midi(rng):
    tracks = [random_track(rng) for _ in range(rng.choice([1, 1, 2, 3]))]
    resolution = rng.choice(
        [1, 96, 220, 480, 480, rng.randrange(1, 1 << 15), -rng.randrange(1, 99)]
    )
    header = struct.pack(">4sLhhh", b"MThd", 6, rng.choice([0, 1, 2]), len(tracks), resolution)
    return header + b"".join(struct.pack(">4sL", b"MTrk", len(t)) + t for t in tracks)


def damaged(rng, data):
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 2])):
        place, kind = rng.randrange(len(data)), rng.random()
        if kind < 0.7:
            data[place] = rng.choice([rng.randrange(256), 0, 255, 128, data[place] ^ 1])
        elif kind < 0.85:
            del data[place]
        else:
            data.insert(place, rng.randrange(256))
    return bytes(data)


def is_comparable(data):
    """Whether note_seq's reader can be trusted with these ticks."""
    try:
        return midi_events.read_events(data).tick.max() <= MAX_TICKS_TO_TABULATE
    except UnreadableFileError as error:
        return error.reason != "too many ticks"


def read_both(data):
    """Serialized NoteSequences by note_seq's reader and by ours; None where one refuses."""
    try:
        ours = midi_reader.serialized_note_sequence(data, GENEROUS)
    except UnreadableFileError:
        ours = None
    try:
        return note_seq.midi_to_note_sequence(data).SerializeToString(), ours
    except note_seq.MIDIConversionError:
        return None, ours


@pytest.mark.filterwarnings("ignore:Tempo, Key or Time signature:RuntimeWarning")
@pytest.mark.parametrize("seed", range(40))
def test_random_files_give_the_bytes_of_note_seqs_reader(seed):
    rng = random.Random(seed)
    num_read = 0
    for _ in range(10):
        theirs, ours = read_both(random_midi(rng))
        assert ours == theirs
        num_read += theirs is not None
    assert num_read  # the comparison is not of refusals alone


@pytest.mark.filterwarnings("ignore:Tempo, Key or Time signature:RuntimeWarning")
@pytest.mark.parametrize("seed", range(200))
def test_damaged_files_are_read_or_refused_as_by_note_seqs_reader(seed):
    rng = random.Random(seed)
    data = damaged(rng, random_midi(rng))
    while not is_comparable(data):
        data = damaged(rng, data)
    theirs, ours = read_both(data)
    assert ours == theirs


@pytest.mark.parametrize(
    "name", ["lead_and_drums.mid", "tempo_changes.mid", "nested/waltz_then_four.MID", "empty.mid"]
)
def test_message_equals_note_seqs_for_ordinary_files(name):
    data = (FIXTURES / "golden_midi" / name).read_bytes()
    assert midi_reader.note_sequence(data) == note_seq.midi_to_note_sequence(data)
