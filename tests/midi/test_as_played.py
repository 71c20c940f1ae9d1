"""Files as they are played; right values were cross-checked with FluidSynth, symusic and mido."""

import math
import pathlib
import resource
import struct
import warnings

import numpy as np
import pytest
from note_seq.protobuf import music_pb2

from style_transfer import piano_roll
from style_transfer.midi import load, reader
from style_transfer.midi.limits import ConversionLimits, UnreadableFileError

CASES = pathlib.Path(__file__).parent / "cases"


def midi_file(*tracks, resolution=480):
    header = struct.pack(">4sLhhh", b"MThd", 6, 1, len(tracks), resolution)
    return header + b"".join(struct.pack(">4sL", b"MTrk", len(t)) + t for t in tracks)


def played(name_or_bytes):
    """A file's NoteSequence; nothing of it may be missing."""
    source = CASES / name_or_bytes if isinstance(name_or_bytes, str) else name_or_bytes
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        return piano_roll.load_midi(source)


def sounding(name_or_bytes):
    """Onset, end of sound, pitch and velocity of every string struck."""
    table = piano_roll.note_table(played(name_or_bytes))
    return [(on, off, key + piano_roll.LOWEST_PITCH, round(velocity * 127)) for on, off, key,
            velocity in zip(table.onset_secs.tolist(), table.damped_secs.tolist(),
                            table.key.tolist(), table.velocity.tolist(), strict=True)]


SCALE = [(0.5 * i, 0.5 * (i + 1), pitch, 80)
         for i, pitch in enumerate((60, 62, 64, 65, 67, 69, 71, 72))]


@pytest.mark.parametrize(("name", "expected"), [
    ("pedal_own_track.mid", [(0, 3, 48, 70), (0.5, 3, 64, 90)]),
    ("pedal_two_channels.mid", [(0, 0.5, 40, 80), (0, 4, 60, 80), (4, 4.5, 41, 80)]),
    ("pedal_same_tick.mid", [(0, 1, 60, 80), (1.5, 2, 64, 80), (4, 4.5, 65, 80)]),
    ("tempo_track1.mid", [(2 * on, 2 * off, *rest) for on, off, *rest in SCALE]),
    ("meta08_delta.mid", [(0, 0.5, 60, 80), (2.5, 3, 62, 80)]),
    ("unknown_meta_delta.mid", [(0, 1, 60, 80), (1, 1.5, 62, 80)]),
    ("overlap_two_channels.mid", [(0, 0.25, 60, 80), (0.25, 2, 60, 90), (2.5, 3, 64, 80)]),
    ("unison_equal_vel.mid", [(0, 2, 60, 80), (2.5, 3, 64, 80)]),
    ("zero_len_pedal.mid", [(0, 2, 60, 80), (2, 2.5, 72, 80)]),
    ("off_in_other_track.mid", [(0, 0.5, 60, 80), (2, 2.5, 62, 80)]),
    ("all_sound_off.mid", [(0, 0.5, 60, 80), (2, 2.5, 64, 80)]),
    ("reset_controllers.mid", [(0, 1, 60, 80), (2, 2.5, 64, 80)]),
    ("riff.rmi", SCALE),
    ("alien_chunk.mid", SCALE),
    ("empty_track.mid", SCALE),
    ("ks_bad.mid", SCALE),
])
def test_a_case_sounds_as_it_should(name, expected):
    assert sounding(name) == expected


def test_meter_counts_in_every_track():
    for name in ("ts_only_track1.mid", "waltz_ts_track1.mid"):
        assert [(m.time, m.numerator, m.denominator)
                for m in played(name).time_signatures] == [(0, 3, 4)]


def test_strikes_without_length_are_notes():
    notes = played("drums_zero_len.mid").notes
    assert len(notes) == 96 and all(n.is_drum and n.start_time == n.end_time for n in notes)


@pytest.mark.parametrize(("name", "count", "message"), [
    ("truncated.mid", 6, "track 0 should have 76 bytes, but the file ends after 51 of them"),
    ("len_too_long.mid", 8, "track 0 should have 81 bytes, but the file ends after 76 of them"),
    ("ntrks_more.mid", 8, "it has 1 of the 3 tracks that its header promises"),
])
def test_what_there_is_of_a_file_is_played_and_what_is_missing_is_said(name, count, message):
    with pytest.warns(UserWarning, match=f"{name} is cut short, and played.*: {message}"):
        assert len(piano_roll.load_midi(CASES / name).notes) == count
    with pytest.raises(ValueError, match=message):
        load.load(CASES / name, warn=load.refuse)


@pytest.mark.parametrize(("name", "message"), [
    ("smpte_25x40.mid", r"times in SMPTE frames \(25 frames a second of 40 ticks"),
    ("running_sysex.mid", "byte 36 of the file, in track 0, is data without a status"),
    ("ticks_50M.mid", r"too long \(52084.3\d+, at most 43200"),
])
def test_what_cannot_be_played_is_refused_in_a_sentence(name, message):
    with pytest.raises(ValueError, match=f"{name} cannot be played: .*{message}"):
        piano_roll.load_midi(CASES / name)


@pytest.mark.parametrize("data", [b"MThd", b"MThd\x00\x00\x00\x06", midi_file(b"")[:16],
                                  midi_file(b""), b"RIFF\x04\x00\x00\x00RMID"])
def test_files_without_events_say_what_was_found(data):
    with pytest.raises(ValueError, match=r"cannot be played: not a readable MIDI file \(\w+ "):
        piano_roll.load_midi(data)


def test_memory_goes_with_notes_and_not_with_ticks():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sequence = reader.note_sequence((CASES / "ticks_50M.mid").read_bytes(),
                                    ConversionLimits(max_duration_secs=1e5), played=True)
    assert len(sequence.notes) == 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000, "kilobytes"


@pytest.mark.parametrize("limits", [
    {"max_notes": 7}, {"max_ticks": 3839}, {"max_duration_secs": 3.99}, {"max_qpm": 119},
    {"max_file_bytes": 90}])
def test_the_limits_hold_as_played_too(limits):
    (name, _), = limits.items()
    with pytest.raises(UnreadableFileError, match=name):
        reader.note_sequence((CASES / "ks_bad.mid").read_bytes(), ConversionLimits(**limits),
                             played=True)


def test_all_notes_off_leaves_notes_to_the_pedal_and_all_sound_off_does_not():
    def file(controller):
        return midi_file(b"\x00\xb0\x40\x7f\x00\x90\x3c\x50"
                         + b"\x83\x60\xb0" + bytes([controller]) + b"\x00"  # 0.5 s
                         + b"\x83\x60\x90\x40\x50\x83\x60\x80\x40\x00"  # 1.0 and 1.5 s
                         + b"\x83\x60\xb0\x40\x00")  # 2.0 s

    assert sounding(file(123)) == [(0, 2, 60, 80), (1, 2, 64, 80)]
    assert sounding(file(120)) == [(0, 0.5, 60, 80), (1, 2, 64, 80)], "the pedal stays down"


def test_controllers_set_after_a_reset_at_its_tick_count():
    data = midi_file(b"\x00\xb0\x79\x00\x00\x40\x7f\x00\x90\x3c\x50\x83\x60\x80\x3c\x00"
                     b"\x83\x60\xb0\x40\x00")
    assert sounding(data) == [(0, 1, 60, 80)]


def test_two_tracks_of_one_channel_end_their_own_notes():
    one = b"\x00\x90\x3c\x50\x8f\x00\x80\x3c\x00"  # 0 to 2.0 s
    other = b"\x81\x70\x90\x3c\x60\x81\x70\x80\x3c\x00"  # 0.25 to 0.5 s
    assert sounding(midi_file(one, other)) == [(0, 0.25, 60, 80), (0.25, 2, 60, 96)]


def test_ports_keep_channels_apart():
    def track(port, pedal):
        return (b"\x00\xff\x21\x01" + bytes([port]) + b"\x00\xb0\x40" + bytes([pedal])
                + b"\x00\x90" + bytes([60 + port, 80]) + b"\x83\x60\x80" + bytes([60 + port, 0])
                + b"\x83\x60\xb0\x40\x00")

    assert sounding(midi_file(track(0, 127), track(1, 0))) == [(0, 1, 60, 80), (0, 0.5, 61, 80)]


def test_a_program_counts_for_its_channel_whatever_the_track():
    data = midi_file(b"\x00\xc1\x20", b"\x00\x91\x3c\x50\x83\x60\x81\x3c\x00")
    assert [n.program for n in played(data).notes] == [32]


def test_notes_that_nothing_ends_last_as_long_as_the_file():
    data = midi_file(b"\x00\x90\x3c\x50\x83\x60\x40\x50\x83\x60\x80\x40\x00\x83\x60\xff\x2f\x00")
    assert sounding(data) == [(0, 1.5, 60, 80), (0.5, 1, 64, 80)]


def test_half_pedals_are_kept_as_numbers():
    data = midi_file(b"\x00\x90\x3c\x50" + b"".join(
        b"\x0a\xb0\x40" + bytes([value]) for value in range(0, 127, 9)) + b"\x00\x80\x3c\x00")
    assert [c.control_value for c in played(data).control_changes] == list(range(0, 127, 9))


def test_the_later_of_two_tempos_and_meters_at_one_tick_counts():
    slow, fast = b"\x00\xff\x51\x03\x0f\x42\x40", b"\x00\xff\x51\x03\x03\xd0\x90"
    meters = b"\x00\xff\x58\x04\x03\x02\x18\x08", b"\x00\xff\x58\x04\x06\x03\x18\x08"
    note = b"\x00\x90\x3c\x50\x83\x60\x80\x3c\x00"
    sequence = played(midi_file(slow + meters[0], fast + meters[1] + note))
    assert [t.qpm for t in sequence.tempos] == [240]
    assert [(m.numerator, m.denominator) for m in sequence.time_signatures] == [(6, 8)]


def test_rolls_and_tables_of_random_files_keep_every_strike():
    """A strike is a note-on, whatever else is in the file."""
    rng = np.random.default_rng(0)
    for _ in range(100):
        tracks, strikes = [], set()
        for number in range(rng.integers(1, 4)):
            tick, track = 0, b""
            for _ in range(rng.integers(1, 40)):
                delta, pitch = int(rng.choice([0, 0, 60])), int(rng.integers(60, 63))
                velocity = int(rng.choice([0, 0, 50, 90]))
                tick += delta
                track += bytes([delta, 0x90 | number % 2, pitch, velocity])
                if velocity:
                    strikes.add((tick, pitch))
            tracks.append(track)
        table = piano_roll.note_table(played(midi_file(*tracks)))
        found = {(round(on * 960), key + 21) for on, key in
                 zip(table.onset_secs, table.key, strict=True)}
        assert found == strikes
        roll = piano_roll.roll(table, 0.0, 400, frames_per_second=100)
        assert np.count_nonzero(roll[:, :88].any(axis=0)) == len({pitch for _, pitch in strikes})


def song():
    """A piano, a bass, drums, and another piano program, in tracks 1 to 4."""
    def track(channel, program, name, pitch):
        return (b"\x00\xff\x03" + bytes([len(name)]) + name + bytes([0, 0xC0 | channel, program])
                + bytes([0, 0x90 | channel, pitch, 80, 60, 0x80 | channel, pitch, 0]))

    return midi_file(b"\x00\xff\x2f\x00", track(0, 0, b"Piano", 60), track(1, 33, b"Bass", 40),
                     track(9, 0, b"Drums", 36), track(2, 4, b"", 70))


@pytest.mark.parametrize(("tracks", "pitches"), [
    ("all", [60, 40, 36, 70]), ("piano", [60, 70]), ("1,4", [60, 70]), ((2,), [40])])
def test_tracks_are_chosen(tracks, pitches):
    assert [n.pitch for n in piano_roll.load_midi(song(), tracks).notes] == pitches


def test_channels_are_the_tracks_of_a_file_with_one():
    data = midi_file(b"\x00\x90\x3c\x50\x00\x92\x40\x50\x60\x80\x3c\x00\x00\x82\x40\x00")
    assert [n.pitch for n in piano_roll.load_midi(data, "3").notes] == [64]


def test_tracks_that_are_not_there_are_answered_with_those_that_are():
    with pytest.raises(ValueError, match=r"no instrument with the number 7 \(it has "
                                         r"1: Piano \(program 1\); 2: Bass \(program 34\); "
                                         r"3: Drums \(drums\); 4: program 5\)"):
        piano_roll.load_midi(song(), "7")
    with pytest.raises(ValueError, match="tracks must be all, piano or numbers"):
        piano_roll.load_midi(song(), "violin")


def test_what_holds_no_notes_is_refused_by_its_type():
    with pytest.raises(TypeError, match="got ndarray"):
        load.load(np.zeros(3))


@pytest.mark.parametrize(("note", "message"), [
    ({"start_time": -1.375, "end_time": 1}, r"no number of seconds from 0 \(-1.375\)"),
    ({"start_time": math.nan, "end_time": 1}, r"no number of seconds from 0 \(nan\)"),
    ({"end_time": math.inf}, r"no number of seconds from 0 \(inf\)"),
    ({"end_time": 1e9}, "too long"),
    ({"end_time": 1, "velocity": 1 << 30}, "velocity outside 0 to 127"),
])
def test_a_sequence_of_numbers_that_no_performance_has_is_refused(note, message):
    sequence = music_pb2.NoteSequence(notes=[{"pitch": 60, "velocity": 9, **note}])
    for source in (sequence, sequence.SerializeToString()):
        with pytest.raises(ValueError, match=f"cannot be played: .*{message}"):
            load.load(source)


def test_the_last_strike_without_length_is_within_the_piece():
    sequence = played("drums_zero_len.mid")
    assert sequence.total_time > max(n.start_time for n in sequence.notes)
