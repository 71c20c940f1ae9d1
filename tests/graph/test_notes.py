"""Notes parsed inside a graph are those that the library parses."""

import numpy as np
import pytest
import tensorflow as tf
from note_seq.protobuf import music_pb2

from style_transfer import piano_roll
from style_transfer.graph import arrays, notes

COLUMNS = ("key", "velocity", "onset_secs", "release_secs", "damped_secs")


@pytest.fixture(scope="module")
def graph():
    """Serialized NoteSequence, number of frames -> table and roll."""
    @tf.function(autograph=False, input_signature=[tf.TensorSpec([], tf.string),
                                                   tf.TensorSpec([], tf.int32)])
    def both(data, num_frames):
        table = notes.note_table(data)
        return table, piano_roll.roll(table, 0.0, num_frames, xp=arrays)

    return both


def random_sequence(seed):
    """Notes, drums, notes off the keyboard, three pedals, times that coincide."""
    rng = np.random.default_rng(seed)
    made = music_pb2.NoteSequence()
    for _ in range(rng.integers(1, 60)):
        start = round(rng.uniform(0, 6), int(rng.integers(1, 4)))
        made.notes.add(pitch=int(rng.integers(55, 70) if rng.random() < 0.8 else
                                 rng.integers(0, 128)),
                       velocity=int(rng.integers(0, 128)), start_time=start,
                       end_time=start + round(rng.uniform(-0.1, 2), 2),
                       instrument=int(rng.integers(0, 3)),
                       is_drum=bool(rng.random() < 0.1))
    for _ in range(rng.integers(0, 40)):
        made.control_changes.add(time=round(rng.uniform(0, 7), 1),
                                 control_number=int(rng.choice([64, 66, 67, 1])),
                                 control_value=int(rng.choice([0, 63, 64, 127, 30])),
                                 instrument=int(rng.integers(0, 4)),
                                 is_drum=bool(rng.random() < 0.1))
    made.notes.add(pitch=60, velocity=1, start_time=0.5, end_time=0.6)
    return made


def check(graph, sequence, num_frames=350):
    expected = piano_roll.note_table(sequence)
    table, roll = graph(sequence.SerializeToString(), num_frames)
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(table, name), getattr(expected, name), name)
    for mine, theirs in zip(table.pedals, (expected.pedals.sustain, expected.pedals.sostenuto,
                                           expected.pedals.soft), strict=True):
        np.testing.assert_array_equal(mine[0], theirs[0])
        np.testing.assert_array_equal(mine[1], theirs[1])
    np.testing.assert_array_equal(roll, piano_roll.roll(expected, 0.0, num_frames))
    return expected


def test_tables_and_rolls_of_random_sequences_are_the_librarys(graph):
    damped_later = 0
    for seed in range(60):
        table = check(graph, random_sequence(seed))
        damped_later += int(np.sum(table.damped_secs > table.release_secs))
    assert damped_later > 100, "pedals must have held something, or nothing was tested"


def test_sostenuto_holds_only_the_keys_that_were_down(graph):
    made = music_pb2.NoteSequence()
    for pitch, start in ((60, 0.0), (62, 1.5)):
        made.notes.add(pitch=pitch, velocity=64, start_time=start, end_time=start + 0.8)
    made.control_changes.add(time=0.5, control_number=66, control_value=127)
    made.control_changes.add(time=4.0, control_number=66, control_value=0)
    assert check(graph, made).damped_secs.tolist() == [4.0, 2.3]


def test_pedal_that_never_comes_up_holds_to_the_last_event(graph):
    made = music_pb2.NoteSequence()
    made.notes.add(pitch=60, velocity=64, start_time=0.0, end_time=1.0)
    made.notes.add(pitch=64, velocity=64, start_time=2.0, end_time=3.0)
    made.control_changes.add(time=0.5, control_number=64, control_value=127)
    assert check(graph, made).damped_secs.tolist() == [3.0, 3.0]


def test_a_strike_without_length_at_the_beginning_is_in_the_roll(graph):
    made = music_pb2.NoteSequence(notes=[{"pitch": 60, "velocity": 64}])
    assert len(check(graph, made))
    roll = graph(made.SerializeToString(), 2)[1].numpy()
    assert roll[0, 39] == roll[0, 88 + 39] == np.float32(64 / 127) and not roll[1].any()


@pytest.mark.parametrize(("data", "message"), [
    (b"", "holds no notes"),
    (music_pb2.NoteSequence(notes=[{"pitch": 60, "velocity": 9, "is_drum": True}])
     .SerializeToString(), "holds no notes"),
    (b"MThd\x00\x00\x00\x06", "MIDI"),
    (b"\xff\xfe no proto", "DecodeProto"),
    (music_pb2.NoteSequence(notes=[{"pitch": 60, "velocity": 9, "start_time": float("nan")}])
     .SerializeToString(), "not finite"),
    (music_pb2.NoteSequence(notes=[{"pitch": 60, "velocity": 9, "start_time": -1, "end_time": 1}])
     .SerializeToString(), "negative"),
    (music_pb2.NoteSequence(notes=[{"pitch": 60, "velocity": 128, "end_time": 1}])
     .SerializeToString(), "velocity outside 0 to 127"),
    (music_pb2.NoteSequence(notes=[{"pitch": 60, "velocity": -5, "end_time": 1}])
     .SerializeToString(), "velocity outside 0 to 127"),
    (music_pb2.NoteSequence(notes=[{"pitch": 60, "velocity": 9, "end_time": 1}],
                            control_changes=[{"control_number": 64, "time": -1}])
     .SerializeToString(), "pedal movements whose times are negative"),
], ids=["empty", "only drums", "midi", "garbage", "nan time", "negative time", "velocity 128",
        "velocity -5", "negative pedal time"])
def test_what_is_no_piece_is_refused_with_its_reason(graph, data, message):
    with pytest.raises(tf.errors.OpError, match=message):
        graph(data, 10)
