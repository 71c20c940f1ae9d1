import time

import numpy as np
import pytest

from style_transfer import piano_roll
from style_transfer.transcription import labels

RATE = 50.0


def table(rows, sustain=((), ())):
    """Notes of `(key, velocity, onset, release, damped)`."""
    key, velocity, onset, release, damped = (np.array(c, np.float64) for c in
                                             zip(*rows, strict=True))
    empty = (np.zeros(0), np.zeros(0, np.float32))
    pedals = piano_roll.Pedals(tuple(np.array(c, np.float64) for c in sustain), empty, empty)
    return piano_roll.NoteTable(key.astype(np.int32), velocity.astype(np.float32), onset, release,
                                damped, pedals)


def random_table(secs=60.0, count=900, seed=0):
    rng = np.random.default_rng(seed)
    onset = np.sort(rng.uniform(0, secs, count))
    release = onset + rng.uniform(0.05, 1, count)
    times = np.arange(0.511, secs, 1.3)  # between frames
    return table(list(zip(rng.integers(0, 88, count), rng.uniform(0.1, 1, count), onset, release,
                          release + rng.uniform(0, 1, count), strict=True)),
                 (times, np.arange(len(times)) % 2))


def test_onset_and_offset_are_triangles_around_their_exact_times():
    found = labels.smooth_labels(table([(40, 0.5, 0.21, 0.5, 0.8)]), 0.0, 60, RATE)
    np.testing.assert_allclose(found["onset"][8:14, 40], [0, 0.25, 0.75, 0.75, 0.25, 0], atol=1e-6)
    np.testing.assert_allclose(found["offset"][37:44, 40], [0, 0, 0.5, 1, 0.5, 0, 0], atol=1e-6)
    for name in ("onset", "offset"):
        assert np.count_nonzero(found[name].sum(axis=0)) == 1


def test_frames_last_until_damped_and_keys_until_released():
    found = labels.smooth_labels(table([(3, 0.5, 0.2, 0.5, 0.8)]), 0.0, 60, RATE)
    np.testing.assert_array_equal(np.flatnonzero(found["frame"][:, 3]), np.arange(10, 40))
    np.testing.assert_array_equal(np.flatnonzero(found["key"][:, 3]), np.arange(10, 25))


def test_velocity_stands_where_the_onset_does():
    found = labels.smooth_labels(table([(3, 0.5, 0.21, 0.5, 0.8)]), 0.0, 60, RATE)
    np.testing.assert_array_equal(found["velocity"] > 0, found["onset"] > 0)
    assert set(np.unique(found["velocity"])) == {0.0, 0.5}


def test_where_two_onsets_of_a_key_meet_the_nearer_one_decides():
    """At 0.20 and 0.26 s, three frames apart: each has its own side."""
    found = labels.smooth_labels(table([(3, 0.25, 0.2, 0.25, 0.26), (3, 0.75, 0.26, 0.5, 0.5)]),
                                 0.0, 40, RATE)
    np.testing.assert_allclose(found["onset"][9:15, 3], [0.5, 1, 0.5, 0.5, 1, 0.5], atol=1e-6)
    np.testing.assert_allclose(found["velocity"][[9, 10, 13, 14], 3], [0.25, 0.25, 0.75, 0.75])


def test_pedal_is_down_from_half_way():
    found = labels.smooth_labels(
        table([(3, 0.5, 0.2, 0.5, 0.8)], ([0.1, 0.3, 0.5], [0.4, 0.6, 0.0])), 0.0, 40, RATE)
    np.testing.assert_array_equal(np.flatnonzero(found["pedal"][:, 0]), np.arange(15, 25))


def test_a_window_says_what_the_whole_says_there():
    notes = random_table()
    whole = labels.smooth_labels(notes, 0.0, 3000, RATE)
    for first in (0, 777, 2600):
        part = labels.smooth_labels(notes, first / RATE, 501, RATE)
        for name, values in part.items():
            expected = whole[name][first:first + 501]
            np.testing.assert_allclose(values[:len(expected)], expected, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("rate", [31.25, 50.0, 100.0])
def test_labels_of_any_rate_have_their_onsets_at_the_same_time(rate):
    notes = random_table(10.0, 30)
    found = labels.smooth_labels(notes, 0.0, int(12 * rate), rate)
    frames = notes.onset_secs * rate
    nearest = np.rint(frames).astype(int)
    assert (found["onset"][nearest, notes.key] >= 0.74).all()
    assert found["frame"].shape == (int(12 * rate), 88)


def test_silence_has_labels_too():
    found = labels.smooth_labels(random_table(5.0, 20), 100.0, 50, RATE)
    assert not any(found[name].any() for name in labels.SMOOTH_ROLLS)


def test_ten_seconds_take_about_a_millisecond():
    notes, secs = random_table(120.0, 2000), []
    for start in range(30):
        begin = time.process_time()
        labels.smooth_labels(notes, float(start), 501, RATE)
        secs.append(time.process_time() - begin)
    assert min(secs) < 2e-3  # 0.45 ms on an idle core


def sequence():
    """Random notes, and a pedal that holds some of them."""
    out = piano_roll.to_sequence(random_table(20.0, 120))
    out.total_time = max(note.end_time for note in out.notes)
    return labels.sustained(out)


def test_magentas_labels_of_a_window_are_those_of_the_whole_there():
    notes, rate = sequence(), 31.25
    whole = labels.magenta_labels(notes, 0.0, int(notes.total_time * rate + 1), rate)
    assert whole["onset"].sum() > 100
    for first in (128, 320):  # times that binary numbers hold exactly
        part = labels.magenta_labels(notes, first / rate, 160, rate)
        for name, values in part.items():
            np.testing.assert_array_equal(values, whole[name][first:first + 160], name)


def test_magentas_labels_are_0_from_the_end_of_the_sequence_on_and_weigh_its_silence():
    out = piano_roll.to_sequence(table([(20, 0.5, 1.0, 2.0, 2.0)]))
    out.total_time, rate = 6.0, 31.25
    last = int(6.0 * rate + 1)
    whole = labels.magenta_labels(out, 0.0, 256, rate)["frame_weight"]
    np.testing.assert_array_equal(np.flatnonzero(whole[:, 0]), np.arange(last))
    part = labels.magenta_labels(out, 96 / rate, 160, rate)["frame_weight"]
    np.testing.assert_array_equal(part, whole[96:])


def test_a_note_from_before_the_window_sounds_but_has_no_onset():
    out = piano_roll.to_sequence(table([(20, 0.5, 1.0, 6.0, 6.0), (30, 0.5, 4.0, 9.0, 9.0)]))
    part = labels.magenta_labels(out, 3.0, 64, 31.25)  # to 5.05 s
    assert part["frame"][:, 20].all() and not part["onset"][:, 20].any()
    assert part["onset"][:, 30].sum() > 0 and not part["offset"].any()


def test_magentas_velocities_are_fractions_of_the_loudest():
    out = piano_roll.to_sequence(table([(20, 60 / 127, 1.0, 2.0, 2.0)]))
    part = labels.magenta_labels(out, 0.0, 64, 31.25, max_velocity=120)
    np.testing.assert_allclose(part["velocity"][part["onset"] > 0], 0.5)
