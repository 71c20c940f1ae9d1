import dataclasses

import numpy as np
import pytest

from style_transfer import piano_roll
from style_transfer.audio import Audio
from style_transfer.pipelines.inputs import segment_pairs
from style_transfer.pipelines.inputs.segment_pairs import SegmentPairs, SegmentSettings
from style_transfer.pipelines.records import examples, tfrecords
from style_transfer.signal.log_mel import HOP_SAMPLES, LEVEL_DB, SAMPLE_RATE
from tests.pipelines import tiny_pairs

SETTINGS = SegmentSettings(crop_secs=0.5, style_secs=0.75, seed=3)
SECS = 4.0


def write(path, recordings):
    notes = tiny_pairs.table(SECS)
    with tfrecords.atomic_file(path) as file:
        for i, samples in enumerate(recordings):
            file.write(tfrecords.frame(examples.make_example(
                Audio(samples, SAMPLE_RATE), piano_roll.to_sequence(notes), id=str(i),
                timbre_id=str(i), piece_id=str(i), split="train")))
    return list(examples.read_references(str(path)))


@pytest.fixture(scope="module")
def ramps(tmp_path_factory):
    """Recordings whose samples tell where they are: noise around a level that grows."""
    rng = np.random.default_rng(0)
    count = round(SECS * SAMPLE_RATE)
    clip = (np.linspace(0.1, 0.3, count) * np.sign(rng.normal(size=count))).astype(np.float32)
    return write(tmp_path_factory.mktemp("ramps") / "a.tfrecord", [clip, clip[:16_000]])



def test_both_parts_are_of_one_recording_and_do_not_overlap(ramps):
    pairs = SegmentPairs(ramps, SETTINGS)
    assert pairs.eligible == [0], "the other is too short"
    gain = 10 ** ((LEVEL_DB - ramps[0].rms_db) / 20)
    order = set()
    for epoch in range(20):
        x, y = pairs.make(0, epoch)
        np.testing.assert_array_equal(x["content_audio"], y)
        spans = []
        for part, count in ((y, 8192 - 8192 % (8 * HOP_SAMPLES)), (x["style_audio"], 12_032)):
            assert part.shape == (count,)
            levels = np.abs(part / gain)
            spans.append((levels[:99].mean(), levels[-99:].mean()))
        (a, b), (c, d) = spans
        assert b <= c + 1e-3 or d <= a + 1e-3, "one lies before the other"
        order.add(b <= c + 1e-3)
    assert order == {True, False}


def test_the_same_arguments_give_the_same_example_and_others_another(ramps):
    pairs = SegmentPairs(ramps, dataclasses.replace(SETTINGS, change=segment_pairs.CONTENT_CHANGE))
    one, again, other = pairs.make(0, 1), pairs.make(0, 1), pairs.make(0, 2)
    np.testing.assert_array_equal(one[0]["content_audio"], again[0]["content_audio"])
    assert np.abs(one[1] - other[1]).max() > 0.01
    assert np.abs(one[0]["content_audio"] - one[1]).max() > 1e-3, "what is heard is changed"


def test_the_content_may_be_heard_from_another_instrument_that_plays_the_same_notes(tmp_path):
    clips = np.random.default_rng(0).normal(0, 0.1, (4, round(SECS * SAMPLE_RATE)))
    clips = clips.astype(np.float32)
    same, others = tiny_pairs.table(SECS), tiny_pairs.table(SECS).transpose(1)
    of = {"a": same, "b": same, "c": others, "d": same}
    pieces = {"a": "x", "b": "x", "c": "x", "d": "y"}
    with tfrecords.atomic_file(tmp_path / "a.tfrecord") as file:
        for (name, notes), samples in zip(of.items(), clips, strict=True):
            file.write(tfrecords.frame(examples.make_example(
                Audio(samples, SAMPLE_RATE), piano_roll.to_sequence(notes), id=name,
                timbre_id=name, piece_id=pieces[name], split="train")))
    references = list(examples.read_references(str(tmp_path / "a.tfrecord")))
    pairs = SegmentPairs(references, dataclasses.replace(SETTINGS, others_share=0.5))
    heard = []
    for epoch in range(30):
        x, y = pairs.make(0, epoch)
        own, begin = np.abs(x["content_audio"] - y).max() < 1e-6, None
        if not own:  # of the same time of the other recording
            gains = [10 ** ((LEVEL_DB - reference.rms_db) / 20) for reference in references[:2]]
            begin = int(np.argmin([np.abs(clips[0, b:b + 99] * gains[0] - y[:99]).max()
                                   for b in range(len(clips[0]) - len(y))]))
            np.testing.assert_allclose(
                x["content_audio"], clips[1, begin:begin + len(y)] * gains[1], atol=1e-3)
        heard.append(own)
    assert 5 < sum(heard) < 25
    changed = SegmentPairs(references, dataclasses.replace(
        SETTINGS, others_share=1.0, change=segment_pairs.CONTENT_CHANGE))
    for epoch in range(5):  # what is changed is what is heard
        x, y = changed.make(0, epoch)
        assert abs(np.corrcoef(x["content_audio"], y)[0, 1]) < 0.2
    for alone in (2, 3):  # other notes, another piece
        x, y = pairs.make(alone, 0)
        np.testing.assert_array_equal(x["content_audio"], y)


def test_the_style_is_of_another_piece_on_the_same_instrument_for_the_share_that_is_asked(tmp_path):
    # Constant recordings, so that a sign tells which of three each part is of.
    notes, count = piano_roll.to_sequence(tiny_pairs.table(SECS)), round(SECS * SAMPLE_RATE)
    kinds = {"one": ("organ", "fugue", 1.0), "two": ("organ", "canon", -1.0),
             "three": ("flute", "canon", 1.0)}
    with tfrecords.atomic_file(tmp_path / "a.tfrecord") as file:
        for name, (timbre, piece, sign) in kinds.items():
            file.write(tfrecords.frame(examples.make_example(
                Audio(np.full(count, 0.1 * sign, np.float32), SAMPLE_RATE), notes, id=name,
                timbre_id=timbre, piece_id=piece, split="train")))
    references = list(examples.read_references(str(tmp_path / "a.tfrecord")))
    pairs = SegmentPairs(references, dataclasses.replace(SETTINGS, style_share=0.5))
    signs = [np.sign(pairs.make(0, epoch)[0]["style_audio"].mean()) for epoch in range(40)]
    assert 10 < signs.count(-1.0) < 30
    assert all(pairs.make(0, epoch)[1].mean() > 0 for epoch in range(5)), "the target stays"
    assert all(pairs.make(2, epoch)[0]["style_audio"].mean() > 0 for epoch in range(9)), (
        "a flute plays one piece only")
    changed = SegmentPairs(references, dataclasses.replace(
        SETTINGS, style_share=1.0, change=segment_pairs.CONTENT_CHANGE))
    assert changed.make(0, 0)[0]["style_audio"].mean() < 0


def test_silent_parts_are_avoided(tmp_path):
    samples = np.zeros(round(SECS * SAMPLE_RATE), np.float32)
    samples[SAMPLE_RATE:] = np.random.default_rng(0).normal(0, 0.1, len(samples) - SAMPLE_RATE)
    pairs = SegmentPairs(write(tmp_path / "a.tfrecord", [samples]), SETTINGS)
    silent = sum(np.abs(part).max() == 0 for epoch in range(20)
                 for part in (pairs.make(0, epoch)[1], pairs.make(0, epoch)[0]["style_audio"]))
    assert silent == 0


def test_recordings_that_are_too_short_are_an_error(ramps):
    pytest.importorskip("tensorflow")
    with pytest.raises(ValueError, match="None of 2 recordings.*30.0 s. Lower crop_secs"):
        segment_pairs.make_dataset(
            ramps[0].path, "train", batch_size=2, repeat=True,
            settings=SegmentSettings(crop_secs=20.0, style_secs=10.0))
