import json

import numpy as np
import pytest

from style_transfer import audio as audio_lib
from style_transfer import piano_roll
from style_transfer.models.wavenet import inputs
from style_transfer.piano_roll import NoteTable
from style_transfer.pipelines.datasets import create
from style_transfer.pipelines.inputs import wavenet as wavenet_inputs
from style_transfer.pipelines.inputs.wavenet_crops import WaveNetSettings
from style_transfer.pipelines.records import examples
from tests.pipelines import tiny_pairs

RATE = tiny_pairs.RATE
HOP = RATE // 250
SIZES = {"sample_rate": RATE, "crop_secs": 0.5}


def click_table(samples, key=40, rate=RATE):
    """Short notes that begin at exactly these samples."""
    onset = np.asarray(samples) / rate
    return NoteTable(np.full(len(onset), key, np.int32) + np.arange(len(onset), dtype=np.int32) % 9,
                     np.full(len(onset), 80 / 127, np.float32), onset, onset + 0.02, onset + 0.02)


@pytest.fixture(scope="module")
def clicks(tmp_path_factory):
    """Recordings whose only sounds are single samples, where the notes begin; random places."""
    root = tmp_path_factory.mktemp("clicks")
    rng = np.random.default_rng(0)
    records = []
    for i in range(3):
        places = np.sort(rng.choice(np.arange(HOP, 6 * RATE - 200, 40), 60, replace=False))
        places += rng.integers(0, 40, 60)
        samples = np.zeros(6 * RATE, np.float32)
        samples[places] = 0.5
        records.append(tiny_pairs.example(
            f"c{i}", audio=audio_lib.Audio(samples, RATE), notes=click_table(places),
            split="eval" if i == 2 else "train"))
    tiny_pairs.write_records(root / "a.tfrecord", records)
    return str(root)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two pianos with two pieces each for training, one for evaluation, and a lonely piano."""
    root = tmp_path_factory.mktemp("records")
    records = [tiny_pairs.example(f"{timbre}{i}", 6.0, seed=i, timbre=timbre, piece=f"p{i}",
                                  split="eval" if i == 2 else "train")
               for timbre in "ba" for i in range(3)]
    records.append(tiny_pairs.example("c0", 12.0, seed=9, timbre="c", piece="p9"))
    tiny_pairs.write_records(root / "a.tfrecord", records)
    return str(root)


def test_edges_are_taken_as_often_as_asked_for(folder):
    never, often = (crops_of(folder, edge_share=share) for share in (0.0, 0.6))
    last = round((6.0 - SIZES["crop_secs"]) * RATE)
    starts, heard = {crops: [] for crops in (never, often)}, 0
    for crops, found in starts.items():
        for epoch in range(60):
            x, y = crops.make(0, epoch)
            found.append(int(x["start_sample"]))
            assert not x["audio"][max(0, 6 * RATE - found[-1]):].any()
            before = max(0, -found[-1])
            assert not x["audio"][:before].any() and not x["roll"][:before // HOP, :88].any()
            heard += before > 0 and x["audio"][before:].any()
            assert x["audio"].shape == y["audio"].shape == (SIZES["crop_secs"] * RATE,)
    assert max(starts[never]) <= last and min(starts[never]) >= 0
    assert 8 < sum(start < 0 for start in starts[often]) < 30
    assert min(starts[often]) >= -SIZES["crop_secs"] * RATE / 2 and heard > 4
    assert 8 < sum(start >= last for start in starts[often]) < 30
    assert max(starts[often]) > last and all(start % HOP == 0 for start in starts[often])


def crops_of(folder, split="train", **changes):
    return wavenet_inputs.load_crops(folder, split, WaveNetSettings(**{**SIZES, **changes}))


def batches(folder, count, split="train", settings=None, **options):
    dataset = wavenet_inputs.make_dataset(
        folder, split, settings=WaveNetSettings(**{**SIZES, **(settings or {})}),
        **{"batch_size": 2, **options})
    return [tuple({name: value.numpy() for name, value in part.items()} for part in batch)
            for batch in dataset.take(count)]


def test_a_frame_holds_exactly_the_samples_of_its_clicks_wherever_the_crop_begins(clicks):
    crops = crops_of(clicks)
    starts, seen = set(), 0
    for place in range(2):
        for epoch in range(40):
            x, _ = crops.make(place, epoch)
            heard = np.flatnonzero(x["audio"])
            frames, _ = np.nonzero(x["roll"][:, :88])
            assert sorted(heard // HOP) == sorted(frames)
            starts.add(int(x["start_sample"]))
            seen += len(heard)
    assert len(starts) > 30 and all(start % HOP == 0 for start in starts)
    assert seen > 100


def test_the_roll_of_a_crop_is_that_of_the_whole_performance(folder):
    crops = crops_of(folder)
    for epoch in range(5):
        x, y = crops.make(0, epoch)
        table = crops_table(crops, 0)
        whole = piano_roll.keys_roll(table, 0, 6 * 250, 250)
        first = int(x["start_sample"]) // HOP
        np.testing.assert_array_equal(x["roll"], whole[first:first + len(x["roll"])])
        np.testing.assert_array_equal(y["audio"], x["audio"])
        np.testing.assert_array_equal(y["roll"], x["roll"])


def crops_table(crops, place):
    from style_transfer.pipelines.records import examples

    return examples.read_notes(crops.references[crops.eligible[place]])


def test_what_sounds_dies_away_alike_in_crops_and_in_whole_pieces(folder):
    still, crops = crops_of(folder), crops_of(folder, decays=True)
    table = examples.read_notes(crops.references[0])
    whole = piano_roll.decayed(piano_roll.keys_roll(table, 0, 6 * 250, 250), 250)
    np.testing.assert_allclose(piano_roll.keys_roll(table, 0, 6 * 250, 250, decays=True), whole,
                               rtol=1e-6)
    fell = 0
    for epoch in range(8):
        (x, _), (plain, _) = crops.make(0, epoch), still.make(0, epoch)
        first = int(x["start_sample"]) // HOP
        np.testing.assert_allclose(x["roll"], whole[first:first + len(x["roll"])], rtol=1e-5)
        np.testing.assert_array_equal(x["roll"][:, :88], plain["roll"][:, :88])
        np.testing.assert_array_equal(x["roll"] > 0, plain["roll"] > 0)
        fell += (x["roll"] < 0.9 * plain["roll"]).sum()
    assert fell > 100
    key = 39
    struck = np.zeros((1000, 176), np.float32)
    struck[100, key], struck[100:, 88 + key] = 0.5, 0.5
    at = 100 + round(piano_roll.decay_secs()[key] * 250)
    np.testing.assert_allclose(piano_roll.decayed(struck, 250)[at, 88 + key], 0.5 / np.e, rtol=5e-3)


def test_notes_struck_before_the_crop_are_in_the_sounding_half_only(tmp_path):
    notes = NoteTable(np.array([30], np.int32), np.array([0.5], np.float32), np.array([0.1]),
                      np.array([0.2]), np.array([5.5]))  # held by the pedal
    sequence_end = NoteTable(notes.key, notes.velocity, notes.onset_secs, notes.damped_secs,
                             notes.damped_secs)
    tiny_pairs.write_records(tmp_path / "a.tfrecord", [
        tiny_pairs.example("x", 6.0, notes=sequence_end)])
    crops = crops_of(str(tmp_path), crop_secs=1.0)
    late = [x for x, _ in (crops.make(0, epoch) for epoch in range(20))
            if 0.2 * RATE < x["start_sample"] < 4 * RATE]
    assert len(late) > 5
    for x in late:
        assert not x["roll"][:, :88].any()
        assert (x["roll"][:, 88 + 30] > 0).all() and np.count_nonzero(x["roll"][0]) == 1


def test_recordings_are_resampled_and_stay_aligned(tmp_path):
    """24 kHz stereo clicks at times that MIDI can say become 8 kHz mono clicks in their frames."""
    source, onset = tmp_path / "in" / "piano", np.arange(1, 11) * 0.5
    samples = np.zeros(6 * 24_000, np.float32)
    samples[np.round(onset * 24_000).astype(int)] = 0.9
    source.mkdir(parents=True)
    tiny_pairs.write_midi(source / "a.mid", click_table(onset * RATE))
    import soundfile

    soundfile.write(source / "a.wav", np.stack([samples, samples], axis=1), 24_000)
    create.create_dataset(create.Settings(
        input=str(tmp_path / "in"), output_dir=str(tmp_path / "out"), config="midi2wave_small",
        sample_rate=RATE, measures_tuning=False, eval_ratio=0.0, shards=1))
    assert json.loads((tmp_path / "out" / "dataset.json").read_text())["sample_rate"] == RATE
    crops = crops_of(str(tmp_path / "out"), crop_secs=2.0)
    for epoch in range(5):
        x, _ = crops.make(0, epoch)
        frames = np.unique(np.nonzero(x["roll"][:, :88])[0])
        assert 3 <= len(frames) <= 4
        for frame in frames:  # the click is the first sample of its frame
            around = np.abs(x["audio"][max(0, frame * HOP - 100):frame * HOP + 100])
            assert np.argmax(around) == min(frame * HOP, 100)


def test_batches_have_the_shapes_and_types_of_the_contract(folder):
    [(x, y)] = batches(folder, 1, settings={"with_pieces": True, "piano": "id"})
    assert {name: (value.shape, value.dtype.name) for name, value in x.items()} == {
        "audio": ((2, 4000), "float32"), "roll": ((2, 125, 176), "float32"),
        "start_sample": ((2,), "int32"), "piano_id": ((2,), "int32"), "piece": ((2,), "int32")}
    assert {name: value.shape for name, value in y.items()} == {
        "audio": (2, 4000), "roll": (2, 125, 176)}


def test_a_run_goes_on_with_the_batches_it_would_have_had(folder):
    whole = batches(folder, 6)
    for (x, _), (again, _) in zip(whole[4:], batches(folder, 2, skip_batches=4), strict=True):
        for name, value in x.items():
            np.testing.assert_array_equal(value, again[name])


def test_evaluation_is_the_same_each_time_and_mixes_pieces(tmp_path):
    tiny_pairs.write_records(tmp_path / "a.tfrecord", [
        tiny_pairs.example(f"p{i}", 4.0, seed=i, split="eval") for i in range(4)])
    options = {"split": "eval", "repeat": False, "crops_per_example": 4, "batch_size": 8,
               "settings": {"with_pieces": True}}
    first, second = batches(str(tmp_path), 9, **options), batches(str(tmp_path), 9, **options)
    assert sum(len(x["piece"]) for x, _ in first) == 16
    for (x, _), (again, _) in zip(first, second, strict=True):
        np.testing.assert_array_equal(x["audio"], again["audio"])
        assert len(set(x["piece"])) > 1


def test_all_pianos_are_equally_loud(tmp_path):
    records = [tiny_pairs.example(f"{timbre}{i}", 4.0, i, audio_lib.Audio(
        np.full(4 * RATE, level, np.float32), RATE), timbre=timbre)
        for level, timbre in ((0.01, "a"), (0.3, "b")) for i in range(2)]
    tiny_pairs.write_records(tmp_path / "a.tfrecord", records)
    crops = crops_of(str(tmp_path))
    for place in range(4):
        np.testing.assert_allclose(crops.make(place, 0)[0]["audio"],
                                   10 ** (inputs.LEVEL_DB / 20), rtol=1e-2)


def test_numbers_of_pianos_do_not_depend_on_the_split(folder):
    for split in ("train", "eval"):
        crops = crops_of(folder, split, piano="id")
        for place in range(len(crops.eligible)):
            name = crops.references[place].timbre_id
            assert crops.make(place, 0)[0]["piano_id"] == "abc".index(name)
    with pytest.raises(ValueError, match="of 3 pianos, but num_pianos is 2"):
        batches(folder, 1, settings={"piano": "id"}, num_pianos=2)


def test_style_clips_are_of_the_same_piano_and_other_notes(folder):
    crops = crops_of(folder, piano="clip", style_secs=3.0)
    for place in range(len(crops.eligible)):
        for epoch in range(4):
            x, _ = crops.make(place, epoch)
            assert x["style_audio"].shape == (3 * RATE,)
            np.testing.assert_allclose(np.sqrt(np.mean(x["style_audio"] ** 2)),
                                       10 ** (inputs.STYLE_LEVEL_DB / 20), rtol=1e-3)


def test_style_vectors_are_made_once_for_each_performance(folder, monkeypatch):
    calls = []

    def vectors(clips, sample_rate):
        calls.append(len(clips))
        return np.stack([np.full(4, np.abs(clip).mean(), np.float32) for clip in clips])

    monkeypatch.setattr(inputs, "style_vectors", vectors)
    settings = {"piano": "style", "style_secs": 3.0, "seed": 123}
    crops = crops_of(folder, **settings)
    assert calls == [5]
    again = crops_of(folder, **settings)
    assert calls == [5]
    lonely = [i for i in crops.eligible if crops.references[i].timbre_id == "c"]
    for index in crops.eligible:
        place = crops.eligible.index(index)
        style = crops._styles[index][1]
        used = crops.references[style.reference]
        assert used.timbre_id == crops.references[index].timbre_id
        for epoch in range(10):
            x, _ = crops.make(place, epoch)
            np.testing.assert_array_equal(x["style"], again.make(place, 1)[0]["style"])
            if index not in lonely:
                assert used.piece_id != crops.references[index].piece_id
                continue
            begin = x["start_sample"] / RATE
            assert begin >= style.start_secs + style.secs or begin + 0.5 <= style.start_secs
    with pytest.raises(ValueError, match="global_size is 64, but the style vectors have 4"):
        batches(folder, 1, settings=settings, style_size=64)


def test_wrong_settings_and_records_are_errors(folder):
    with pytest.raises(ValueError, match="multiple of roll_rate=300"):
        WaveNetSettings(sample_rate=8000, roll_rate=300)
    with pytest.raises(ValueError, match="piano='x' is unknown"):
        WaveNetSettings(piano="x")
    with pytest.raises(ValueError, match="8000 Hz .* expects 16000 Hz"):
        crops_of(folder, sample_rate=16_000)
    with pytest.raises(ValueError, match="no examples of the split 'test'"):
        crops_of(folder, "test")


def test_the_notes_of_a_roll_are_those_it_was_made_of():
    table = piano_roll.note_table(piano_roll.to_sequence(tiny_pairs.table(4.0, step_secs=0.1)))
    found = inputs.table_of_roll(piano_roll.keys_roll(table, 0, 1000, 250), 250)
    order, expected = np.lexsort((found.key, found.onset_secs)), np.lexsort(
        (table.key, piano_roll.frame_of(table.onset_secs, 250)))
    np.testing.assert_array_equal(found.key[order], table.key[expected])
    for name in ("onset_secs", "damped_secs"):
        np.testing.assert_allclose(getattr(found, name)[order], getattr(table, name)[expected],
                                   atol=1 / 250 + 1e-6)
    np.testing.assert_allclose(found.velocity[order], table.velocity[expected])
