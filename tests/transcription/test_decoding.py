import numpy as np
import pytest

from style_transfer.transcription import decoding

FPS = 50.0
HEADS = ("onset", "offset", "frame", "key", "velocity")


def outputs(notes, pedals=(), frames=200):
    """Ideal outputs for notes `(key, onset, release, damped, velocity)` in seconds."""
    x = {name: np.zeros((frames, 88), np.float32) for name in HEADS}
    x["pedal"] = np.zeros((frames, 1), np.float32)
    index = np.arange(frames)
    for key, onset, release, damped, velocity in notes:
        for name, secs in (("onset", onset), ("offset", damped)):
            triangle = np.maximum(0, 1 - np.abs(index - secs * FPS) / 2)
            x[name][:, key] = np.maximum(x[name][:, key], triangle)
        x["velocity"][np.abs(index - onset * FPS) < 2, key] = velocity
        x["frame"][round(onset * FPS):round(damped * FPS), key] = 1
        x["key"][round(onset * FPS):round(release * FPS), key] = 1
    for start, stop in pedals:
        x["pedal"][round(start * FPS):round(stop * FPS)] = 1
    return x


def notes_of(sequence):
    return [(n.pitch, n.start_time, n.end_time, n.velocity) for n in sequence.notes]


def test_onsets_between_frames_come_back_to_the_millisecond():
    for onset in (0.5, 0.5037, 0.5099, 0.512, 0.5199):
        found = notes_of(decoding.decode(outputs([(39, onset, 1.0, 1.0, 0.5)]), FPS))
        assert len(found) == 1
        assert found[0][:3] == (60, pytest.approx(onset, abs=1e-3), pytest.approx(1.0, abs=1e-3))
        assert found[0][3] == 64


def test_a_repeated_note_ends_where_it_is_struck_again():
    x = outputs([(39, 0.5, 0.9, 0.9, 0.5), (39, 0.9, 1.4, 1.4, 0.7)])
    x["offset"][:] = 0
    found = notes_of(decoding.decode(x, FPS))
    assert [n[1:3] for n in found] == [(pytest.approx(0.5), pytest.approx(0.9)),
                                       (pytest.approx(0.9), pytest.approx(1.4))]


def test_under_the_pedal_a_note_ends_when_its_key_is_released():
    notes = [(39, 0.5, 0.8, 1.6, 0.5)]
    with_pedal = decoding.decode(outputs(notes, [(0.4, 1.6)]), FPS)
    assert notes_of(with_pedal)[0][2] == pytest.approx(0.8)
    controls = [(c.time, c.control_number, c.control_value) for c in with_pedal.control_changes]
    assert controls == [(pytest.approx(0.4), 64, 127), (pytest.approx(1.6), 64, 0)]
    without = decoding.decode(outputs(notes), FPS)
    assert notes_of(without)[0][2] == pytest.approx(1.6)
    assert not without.control_changes


def test_sustain_gives_back_what_sounded():
    from style_transfer.piano_roll import note_table

    sequence = decoding.decode(outputs([(39, 0.5, 0.8, 1.6, 0.5)], [(0.4, 1.6)]), FPS)
    assert note_table(sequence).damped_secs == pytest.approx([1.6])


def test_a_pedal_that_wavers_goes_down_once():
    trace = np.array([0, 0.2, 0.6, 0.45, 0.55, 0.42, 0.6, 0.1, 0.45, 0.0])
    first, after = decoding.pedal_spans(trace, 0.5)
    assert (first.tolist(), after.tolist()) == ([2], [7])


@pytest.mark.parametrize(("threshold", "count"), [(0.3, 2), (0.6, 1), (0.99, 0)])
def test_a_higher_onset_threshold_leaves_fewer_notes(threshold, count):
    x = outputs([(39, 0.5, 1.0, 1.0, 0.5), (50, 1.0, 1.5, 1.5, 0.5)])
    x["onset"][:, 39] *= 0.9
    x["onset"][:, 50] *= 0.5
    assert len(decoding.decode(x, FPS, onset_threshold=threshold).notes) == count


def test_other_thresholds_have_their_effects():
    x = outputs([(39, 0.5, 1.0, 2.0, 0.5)], [(0.5, 2.0)])
    x["frame"][60:, 39] = 0.4
    x["key"][40:, 39] *= 0.4
    x["offset"] *= 0.4
    x["pedal"] *= 0.7

    def end(**thresholds):
        return notes_of(decoding.decode(x, FPS, **thresholds))[0][2]

    assert end(pedal_threshold=0.9) == pytest.approx(1.2)
    assert end(pedal_threshold=0.9, frame_threshold=0.3) > 2
    assert end(pedal_threshold=0.9, frame_threshold=0.3, offset_threshold=0.3) == pytest.approx(2)
    assert end() == pytest.approx(0.8)
    assert end(key_threshold=0.3) == pytest.approx(1.0)
    assert not decoding.decode(x, FPS, min_note_secs=0.8).notes


def test_missing_or_misshapen_outputs_are_named():
    x = outputs([])
    with pytest.raises(ValueError, match="lack key, pedal"):
        decoding.decode({k: v for k, v in x.items() if k not in ("key", "pedal")}, FPS)
    with pytest.raises(ValueError, match="frame has the shape"):
        decoding.decode({**x, "frame": x["frame"][:-1]}, FPS)
    assert not decoding.decode(x, FPS).notes
