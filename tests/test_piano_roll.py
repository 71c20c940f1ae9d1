import numpy as np
from note_seq.protobuf import music_pb2

from style_transfer import piano_roll


def table(*notes, controls=()):
    """The `NoteTable` of (pitch, velocity, start, end) rows and (time, number, value) controls."""
    sequence = music_pb2.NoteSequence()
    for pitch, velocity, start, end in notes:
        sequence.notes.add(pitch=pitch, velocity=velocity, start_time=start, end_time=end)
    for time, number, value in controls:
        sequence.control_changes.add(time=time, control_number=number, control_value=value)
    return piano_roll.note_table(sequence)


def test_notes_are_sorted_by_onset_then_key():
    made = table((60, 64, 1, 2), (72, 64, 0, 1), (50, 64, 1, 2))
    assert list(made.key) == [51, 29, 39] and list(made.onset_secs) == [0, 1, 1]


def test_of_notes_with_one_key_and_onset_the_loudest_stays():
    made = table((60, 20, 0, 9), (60, 100, 0, 1), (60, 50, 0, 2), (61, 30, 0, 1))
    np.testing.assert_allclose(made.velocity * 127, [100, 30], rtol=1e-6)
    assert list(made.release_secs) == [9, 1], "the last release ends the key"


def test_drums_silent_notes_and_notes_off_the_keyboard_are_left_out():
    sequence = music_pb2.NoteSequence()
    sequence.notes.add(pitch=60, velocity=80, start_time=0, end_time=1, is_drum=True)
    for pitch, velocity in ((20, 80), (109, 80), (60, 0)):
        sequence.notes.add(pitch=pitch, velocity=velocity, start_time=0, end_time=1)
    assert len(piano_roll.note_table(sequence)) == 0
    assert len(table((21, 1, 0, 1), (108, 127, 0, 1))) == 2


def test_key_struck_again_damps_its_earlier_note_and_sounds_until_the_last_release():
    made = table((60, 64, 0, 3), (60, 64, 1, 2), (61, 64, 0, 3), (61, 64, 4, 5))
    assert list(made.key) == [39, 40, 39, 40]
    assert list(made.damped_secs) == [1, 3, 3, 5] and list(made.release_secs) == [3, 3, 2, 5]


def test_pedals_hold_the_notes_of_their_own_instrument():
    sequence = music_pb2.NoteSequence()
    for pitch, instrument in ((60, 0), (40, 1), (41, 2)):
        sequence.notes.add(pitch=pitch, velocity=80, start_time=0, end_time=0.5,
                           instrument=instrument)
    for time, value, instrument in ((0, 127, 0), (4, 0, 0), (0, 90, 1), (0.25, 0, 1), (1, 30, 1)):
        sequence.control_changes.add(time=time, control_number=64, control_value=value,
                                     instrument=instrument)
    made = piano_roll.note_table(sequence)
    assert dict(zip(made.key + 21, made.damped_secs, strict=True)) == {60: 4.0, 40: 0.5, 41: 0.5}
    times, values = made.pedals.sustain
    assert list(times) == [0, 0.25, 1, 4]
    np.testing.assert_allclose(values * 127, [127, 127, 127, 30], rtol=1e-6)


def test_of_two_pedal_movements_at_one_time_the_later_counts():
    down_and_up = ((0, 64, 127), (1, 64, 127), (1, 64, 0))
    made = table((60, 64, 0, 0.5), (62, 64, 1.5, 2), controls=down_and_up)
    assert list(made.damped_secs) == [1, 2] and list(made.pedals.sustain[1]) == [1, 0]
    made = table((60, 64, 0, 0.5), (62, 64, 1.5, 2), controls=(*down_and_up, (1, 64, 127)))
    assert list(made.damped_secs) == [2, 2]


def test_sustain_holds_what_is_released_while_it_is_down():
    made = table((60, 64, 0, 1), (62, 64, 0, 3),
                 controls=((0.5, piano_roll.SUSTAIN_CC, 127), (2, piano_roll.SUSTAIN_CC, 0)))
    assert list(made.damped_secs) == [2, 3]


def test_sostenuto_holds_only_the_keys_that_are_down_when_it_goes_down():
    made = table((60, 64, 0, 1), (62, 64, 0.7, 1),
                 controls=((0.5, piano_roll.SOSTENUTO_CC, 127), (2, piano_roll.SOSTENUTO_CC, 0)))
    assert list(made.damped_secs) == [2, 1]


def test_empty_sequence_gives_an_empty_table():
    made = table()
    assert len(made) == 0 and made.end_secs == 0.0 and made.key.dtype == np.int32


def test_strikes_without_length_survive_a_midi_file(tmp_path):
    rows = [(60, 64, 0.1 * i, 0.1 * i) for i in range(20)] + [(61, 64, 0.5, 0.5), (62, 64, 0, 4)]
    made = table(*rows, controls=((0, 64, 127), (3, 64, 0)))
    piano_roll.save_midi(tmp_path / "a.mid", piano_roll.to_sequence(made))
    again = piano_roll.note_table(piano_roll.load_midi(tmp_path / "a.mid"))
    np.testing.assert_array_equal(again.key, made.key)
    np.testing.assert_allclose(again.onset_secs, made.onset_secs, atol=2e-3)
    np.testing.assert_allclose(again.release_secs, made.release_secs, atol=3e-3)
    np.testing.assert_allclose(again.damped_secs, made.damped_secs, atol=3e-3)


def test_a_time_on_the_edge_of_two_frames_begins_a_frame_however_it_was_rounded():
    for rate in (piano_roll.FRAMES_PER_SECOND, 62.5, 16_000 / 512):
        for kind, count in ((np.float64, 500_000), (np.float32, 1000)):
            frames = np.arange(count)
            begin = (frames / rate).astype(kind)
            np.testing.assert_array_equal(piano_roll.frame_of(begin, rate), frames)
            np.testing.assert_array_equal(piano_roll.frame_after(begin, rate), frames)
            np.testing.assert_array_equal(piano_roll.frame_of(begin + kind(0.4 / rate), rate),
                                          frames)
            np.testing.assert_array_equal(piano_roll.frame_after(begin + kind(0.4 / rate), rate),
                                          frames + 1)
    assert piano_roll.frame_of(-0.001) == -1 and piano_roll.frame_after(-0.001) == 0


def test_frames_of_tensors_are_those_of_arrays():
    from keras import ops

    secs = np.float32([-0.01, 0, 0.019, 0.02, 0.29, 1.1399999])
    np.testing.assert_array_equal(ops.convert_to_numpy(piano_roll.frame_of(ops.array(secs))),
                                  piano_roll.frame_of(secs))
    np.testing.assert_array_equal(ops.convert_to_numpy(piano_roll.frame_after(ops.array(secs))),
                                  piano_roll.frame_after(secs))
