"""Data sets of classes: what they hold, and that training goes through all of it."""

import json
import pathlib
import types

import numpy as np
import pytest

pytestmark = pytest.mark.filterwarnings("ignore")  # of magenta and what it imports
note_seq = pytest.importorskip("note_seq")
pytest.importorskip("magenta")
pytest.importorskip("apache_beam")

from style_transfer import configs  # noqa: E402
from style_transfer.midi.reader import note_sequence  # noqa: E402
from style_transfer.pipelines import note_sequences  # noqa: E402
from style_transfer.pipelines.inputs import symbolic as inputs  # noqa: E402
from style_transfer.pipelines.records import tfrecords  # noqa: E402
from style_transfer.pipelines.symbolic import conversion, create  # noqa: E402
from style_transfer.symbolic import encodings, reasons  # noqa: E402

EXAMPLES = {name: configs.get(name).examples for name in configs.names()}
LAYOUT = EXAMPLES["cat-mel_2bar_small"].layout
MIDI_CASES = pathlib.Path(__file__).parents[2] / "midi" / "cases"


def piece(name, bars=9, meter=4, is_drum=False, program=0, seed=0):
    sequence = note_seq.NoteSequence(id=name, ticks_per_quarter=220)
    sequence.tempos.add(qpm=120)
    sequence.time_signatures.add(numerator=meter, denominator=4)
    rng = np.random.default_rng(seed)
    for beat in range(meter * bars):
        sequence.notes.add(pitch=int(rng.choice([36, 38, 42] if is_drum else range(60, 72))),
                           velocity=80, start_time=beat / 2, end_time=beat / 2 + 0.3,
                           is_drum=is_drum, instrument=9 if is_drum else 0, program=program)
    sequence.total_time = meter * bars / 2
    return sequence


def settings(tmp_path, config, pieces, changes=()):
    path = tmp_path / "notesequences.tfrecord"
    path.write_bytes(b"".join(tfrecords.frame(p.SerializeToString()) for p in pieces))
    return create.Settings(**{"input": str(path), "eval_ratio": 0.3,
                              "output_dir": str(tmp_path / "examples"), "config": config,
                              "examples": EXAMPLES[config], **dict(changes)})


def silent(line):
    del line


def test_melodies_become_a_data_set_and_what_gives_none_is_counted_by_reason(tmp_path):
    pieces = [piece(f"melody {i}", seed=i) for i in range(8)]
    pieces += [piece("drums", is_drum=True), piece("waltz", meter=3), piece("waltz 2", meter=3),
               note_seq.NoteSequence(id="nothing")]
    lines = []
    found = create.create_dataset(settings(tmp_path, "cat-mel_2bar_small", pieces), lines.append)
    assert (found["read"], found["written"], found["skipped"]) == (12, 8, 4)
    assert found["skipped_because"] == {"meter other than 4/4": 2, "no melody": 1, "no notes": 1}
    assert "skipped, meter other than 4/4: 2" in lines
    assert json.loads((tmp_path / "examples" / "dataset.json").read_text()) == json.loads(
        json.dumps(found))
    labels = np.concatenate([np.concatenate([
        y["outputs"].argmax(-1) for _, y in inputs.music_vae_batches(
            tmp_path / "examples", LAYOUT, split, batch_size=100, seed=0)])
        for split in ("eval",)])
    expected = {one.tobytes() for p in pieces[:8]
                for one in encodings.to_labels(p, LAYOUT)}
    assert {one.astype(np.int16).tobytes() for one in labels} < expected
    assert found["records"]["train"] + found["records"]["eval"] == len(expected)


def test_drums_become_magentas_two_files(tmp_path):
    pieces = [piece(f"drums {i}", is_drum=True, seed=i) for i in range(8)]
    found = create.create_dataset(settings(tmp_path, "drum_kit", pieces), silent)
    assert sorted(p.name for p in (tmp_path / "examples").iterdir()) == [
        "dataset.json", "eval_drum_tracks.tfrecord", "training_drum_tracks.tfrecord"]
    assert found["records"]["train"] + found["records"]["eval"] == 8
    assert found["statistics"]["RandomPartition_training_drum_tracks_count"] == \
        found["records"]["train"]
    batches = inputs.drums_rnn_batches(tmp_path / "examples", 518, "eval", batch_size=2, seed=0,
                                       max_steps=64)
    for x, y in batches:
        assert x["inputs"].shape[1:] == (64, 518) and y["labels"].shape[1:] == (64,)
        following = x["inputs"][:, 1:, :512].argmax(-1)
        for row, length in enumerate(y["lengths"]):  # a label is the class of the step after it
            np.testing.assert_array_equal(following[row, :length - 1],
                                          y["labels"][row, :length - 1])
    with pytest.raises(ValueError, match="expected 2 features"):
        inputs.drums_rnn_batches(tmp_path / "examples", 2, "eval", batch_size=2, seed=0)


def test_jobs_of_an_array_make_together_what_one_run_makes(tmp_path):
    pieces = [piece(f"drums {i}", is_drum=True, seed=i) for i in range(7)]
    whole = create.create_dataset(settings(tmp_path, "drum_kit", pieces), silent)
    parts = [create.create_dataset(settings(tmp_path, "drum_kit", pieces, {
        "shard": f"{number}/3"}), silent) for number in (1, 2, 3)]
    assert [sum(part["records"][split] for part in parts) for split in ("train", "eval")] == [
        whole["records"][split] for split in ("train", "eval")]
    assert [part["read"] for part in parts] == [3, 2, 2]
    for name in EXAMPLES["drum_kit"].files.values():
        found = [record for path in tmp_path.glob(f"examples-0000?-of-00003/{name}")
                 for record in tfrecords.read_records(str(path))]
        assert sorted(found) == list(tfrecords.read_records(str(tmp_path / "examples" / name)))
        assert found
    with pytest.raises(ValueError, match="too few pieces for 9 parts: none is left for part 9"):
        create.create_dataset(settings(tmp_path, "drum_kit", pieces, {"shard": "9/9"}), silent)


def test_drums_in_other_meters_are_left_out_and_counted(tmp_path):
    """Magenta's pipeline takes them, in bars of another length."""
    turning = piece("turning", is_drum=True)
    waltz = piece("waltz part", meter=3, is_drum=True)
    turning.time_signatures.add(numerator=3, denominator=4, time=turning.total_time)
    for note in waltz.notes:
        turning.notes.add(pitch=note.pitch, velocity=80, is_drum=True, instrument=9,
                          start_time=turning.total_time + note.start_time,
                          end_time=turning.total_time + note.end_time)
    turning.total_time += waltz.total_time
    records, statistics = conversion.make_converter(EXAMPLES["drum_kit"], 0.0)(turning)
    convert = conversion.make_converter(EXAMPLES["drum_kit"], 0.0)
    only_four, _ = convert(piece("turning", is_drum=True))
    assert records == only_four
    assert len(records["train"]) == 1
    assert statistics[conversion.OTHER_METER] == 1
    pieces = [turning, piece("waltz", meter=3, is_drum=True)]
    found = create.create_dataset(settings(tmp_path, "drum_kit", pieces, {"eval_ratio": 0.0}),
                                  silent)
    assert (found["written"], found["skipped_because"]) == (1, {"meter other than 4/4": 1})
    assert found["statistics"][conversion.OTHER_METER] == 2
    with pytest.raises(ValueError, match="on \\(meter other than 4/4: 1\\)"):
        create.create_dataset(settings(tmp_path, "drum_kit", pieces[1:], {
            "output_dir": str(tmp_path / "none")}), silent)


def test_exchanged_drums_stay_the_same_rhythm_and_follow_each_other(tmp_path):
    pieces = [piece(f"drums {i}", is_drum=True, seed=i) for i in range(8)]
    create.create_dataset(settings(tmp_path, "drum_kit", pieces), silent)

    def first(exchange_drums):
        return next(iter(inputs.drums_rnn_batches(
            tmp_path / "examples", 518, "train", batch_size=4, seed=0, max_steps=512,
            exchange_drums=exchange_drums)))

    (x, y), (changed_x, changed_y) = first(0.0), first(1.0)
    drums, changed = (np.unpackbits(labels.astype(">u2").view(np.uint8).reshape(*labels.shape, 2),
                                    axis=-1)
                      for labels in (y["labels"], changed_y["labels"]))
    np.testing.assert_array_equal(drums.sum(-1), changed.sum(-1))
    # Each drum's steps are another's now, none are mixed.
    for row in range(4):
        assert sorted(map(bytes, drums[row].T)) == sorted(map(bytes, changed[row].T))
    assert (y["labels"] != changed_y["labels"]).any()
    for row, length in enumerate(changed_y["lengths"]):
        np.testing.assert_array_equal(changed_x["inputs"][row, 1:length, :512].argmax(-1),
                                      changed_y["labels"][row, :length - 1])
    np.testing.assert_array_equal(x["inputs"][..., 512:], changed_x["inputs"][..., 512:])


def test_a_piece_stays_in_its_split_whatever_else_there_is(tmp_path):
    for config in ("drum_kit", "cat-drums_2bar_small"):
        convert = conversion.make_converter(EXAMPLES[config], 0.5)
        first = {name: [split for split, records in
                        convert(piece(name, is_drum=True))[0].items() if records]
                 for name in map(str, range(12))}
        assert {split for splits in first.values() for split in splits} == {"train", "eval"}
        assert all(len(splits) == 1 for splits in first.values())
        for name in reversed(first):
            again = convert(piece(name, is_drum=True))[0]
            assert [split for split, records in again.items() if records] == first[name]


@pytest.mark.parametrize("config", ["drum_kit", "cat-drums_2bar_small"])
def test_files_of_a_name_are_for_evaluation_whatever_the_ratio_says(config):
    convert = conversion.make_converter(EXAMPLES[config], 0.0, ("*Ravel*", "b.mid"))
    for name, split in (("asap/Ravel/x.mid", "eval"), ("b.mid", "eval"), ("a/b.mid", "train"),
                        ("ravel.mid", "train")):
        sequence = piece(name, is_drum=True)
        sequence.filename = name
        assert [s for s, records in convert(sequence)[0].items() if records] == [split]


def test_patterns_that_leave_nothing_to_a_split_are_an_error(tmp_path):
    pieces = [piece(f"drums {i}", is_drum=True, seed=i) for i in range(3)]
    for one in pieces:
        one.filename = "all/of/them.mid"
    changes = {"eval_pieces": ("*them*",)}
    with pytest.raises(ValueError, match="None of the 3 pieces gives anything to train on"):
        create.create_dataset(settings(tmp_path, "cat-drums_2bar_small", pieces, changes), silent)
    with pytest.raises(ValueError, match="None of the 3 pieces gives anything to eval on"):
        create.create_dataset(settings(tmp_path, "cat-drums_2bar_small", pieces, {
            "eval_pieces": ("*nobody*",), "eval_ratio": 0.0}), silent)


def test_pieces_that_cannot_be_quantized_have_their_reasons():
    changing, odd, free = piece("changing"), piece("odd"), piece("free")
    for beat in range(1, 36):
        changing.tempos.add(qpm=60 + beat, time=beat / 2)
    odd.time_signatures[0].denominator = 5
    del free.time_signatures[:]
    free.time_signatures.add(numerator=7, denominator=8)
    assert reasons.why_nothing(changing, EXAMPLES["cat-mel_2bar_small"].layout) == \
        "no melody long enough between changes of tempo and meter"
    assert reasons.why_nothing(odd, LAYOUT) == "meter that cannot be quantized"
    assert reasons.why_nothing(free, EXAMPLES["drum_kit"].layout) == "no drums"
    assert reasons.why_nothing(free, EXAMPLES["flat-mel_16bar"].layout) == "meter other than 4/4"
    violin = piece("violin", program=40)
    assert reasons.why_nothing(violin, EXAMPLES["cat-mel_2bar_small"].layout) == "no melody"
    assert reasons.why_nothing(violin, EXAMPLES["flat-mel_16bar"].layout) != "no melody"


def test_an_empty_result_is_an_error_that_lists_the_reasons(tmp_path):
    pieces = [piece("waltz", meter=3), piece("drums", is_drum=True)]
    with pytest.raises(ValueError, match="meter other than 4/4: 1; no melody: 1"):
        create.create_dataset(settings(tmp_path, "cat-mel_2bar_small", pieces), silent)
    assert [p.name for p in tmp_path.iterdir()] == ["notesequences.tfrecord"]


@pytest.mark.parametrize(("changes", "error"), [
    ({"eval_ratio": 1.0}, "less than 1"), ({"input": "nothing-*.tfrecord"}, "There is no file")])
def test_wrong_settings_are_refused(tmp_path, changes, error):
    with pytest.raises((ValueError, FileNotFoundError), match=error):
        create.create_dataset(settings(tmp_path, "drum_kit", [], changes), silent)


def batches(count=10, batch_size=4, **changes):
    def make(indices, rngs):
        return indices, np.array([rng.integers(1 << 40) for rng in rngs])

    return inputs.Batches(count, make, **{
        "batch_size": batch_size, "seed": 0, "is_training": True, **changes})


def take(found, count):
    return [batch for batch, _ in zip(found, range(count), strict=False)]


def test_an_epoch_is_the_whole_data_set_and_the_next_has_another_order():
    seen = np.concatenate([indices for indices, _ in take(batches(), 10)])
    epochs = seen.reshape(4, 10)
    for epoch in epochs:
        assert sorted(epoch) == list(range(10))
    assert len({tuple(epoch) for epoch in epochs}) == 4


def test_a_resumed_training_goes_on_where_it_was():
    whole = take(batches(), 9)
    resumed = take(batches(skip_batches=5), 4)
    for (indices, drawn), (expected, expected_drawn) in zip(resumed, whole[5:], strict=True):
        np.testing.assert_array_equal(indices, expected)
        np.testing.assert_array_equal(drawn, expected_drawn)


@pytest.mark.parametrize(("workers", "replicas"), [(1, 2), (2, 2), (2, 4), (4, 4)])
def test_workers_together_see_what_one_would_and_draw_alike(workers, replicas):
    """Also after a resume, and where a worker has several devices."""
    alone = take(batches(batch_size=8, skip_batches=3), 5)
    each = replicas // workers
    shared = [take(batches(batch_size=8, skip_batches=3, input_context=types.SimpleNamespace(
        num_input_pipelines=workers, input_pipeline_id=worker, num_replicas_in_sync=replicas)),
                   5 * each) for worker in range(workers)]
    for step, (indices, drawn) in enumerate(alone):
        parts = [part for worker in shared for part in worker[step * each:(step + 1) * each]]
        assert {len(part[0]) for part in parts} == {8 // replicas}
        np.testing.assert_array_equal(np.concatenate([part[0] for part in parts]), indices)
        np.testing.assert_array_equal(np.concatenate([part[1] for part in parts]), drawn)


def test_a_batch_that_does_not_divide_among_workers_is_an_error():
    context = types.SimpleNamespace(num_input_pipelines=2, input_pipeline_id=0,
                                    num_replicas_in_sync=2)
    with pytest.raises(ValueError, match="batch_size=5 does not divide evenly by the 2 devices"):
        batches(batch_size=5, input_context=context)


def test_an_evaluation_sees_each_example_once_and_the_same_each_time():
    found = batches(is_training=False)
    once, again = list(found), list(found)
    assert [len(indices) for indices, _ in once] == [4, 4, 2]
    for (_, drawn), (_, same) in zip(once, again, strict=True):
        np.testing.assert_array_equal(drawn, same)


def test_a_waltz_is_left_out_wherever_its_meter_stands(tmp_path):
    """The same drums with 3/4 in track 1, in track 0, and without a meter."""
    waltz = (MIDI_CASES / "waltz_ts_track1.mid").read_bytes()
    meter = b"\x00\xff\x58\x04\x03\x02\x18\x08"
    folder = tmp_path / "music"
    folder.mkdir()
    in_track_1 = waltz.index(meter)
    without = waltz[:in_track_1] + waltz[in_track_1 + len(meter):]
    size = without.index(b"MTrk", without.index(b"MTrk") + 1) + 4
    length = int.from_bytes(without[size:size + 4], "big") - len(meter)
    without = without[:size] + length.to_bytes(4, "big") + without[size + 4:]
    track_0 = without.index(b"MTrk") + 4
    length = int.from_bytes(without[track_0:track_0 + 4], "big") + len(meter)
    in_track_0 = (without[:track_0] + length.to_bytes(4, "big") + meter + without[track_0 + 4:])
    for name, data in {"a": waltz, "b": in_track_0, "c": without, "d": without}.items():
        (folder / f"{name}.mid").write_bytes(data)
    records = tmp_path / "music.tfrecord"
    note_sequences.convert_directory(str(folder), str(records), num_workers=1)
    found = create.create_dataset(create.Settings(
        "drum_kit", EXAMPLES["drum_kit"], f"{records}*", str(tmp_path / "out"), eval_ratio=0,
        eval_pieces=("c.mid",)), silent)
    assert (found["read"], found["skipped_because"]) == (4, {"meter other than 4/4": 2})


def test_a_melody_below_the_keyboard_is_left_out_for_its_range():
    sequence = note_sequence((MIDI_CASES / "melody_below_the_keyboard.mid").read_bytes())
    for config_name in ("cat-mel_2bar_small", "hierdec-mel_16bar"):
        assert reasons.why_nothing(sequence, EXAMPLES[config_name].layout) == (
            "no melody within the range of pitches 21 to 108")
