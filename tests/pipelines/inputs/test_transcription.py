import json
import time

import numpy as np
import pytest

from style_transfer import audio as audio_lib
from style_transfer.pipelines.datasets import create
from style_transfer.pipelines.inputs import streams
from style_transfer.pipelines.inputs import transcription as transcription_inputs
from style_transfer.pipelines.inputs.transcription_crops import (
    RecordingChange,
    TranscriptionCrops,
    TranscriptionSettings,
)
from style_transfer.pipelines.records import examples
from style_transfer.transcription import labels, transcriber
from tests.pipelines import tiny_pairs

RATE = tiny_pairs.RATE
SIZES = {"sample_rate": RATE, "hop_length": RATE // 50, "crop_secs": 2.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Six performances for training and two for evaluation, one of them shorter than a crop."""
    root = tmp_path_factory.mktemp("records")
    tiny_pairs.write_records(root / "a.tfrecord", [
        tiny_pairs.example(f"p{i}", 1.5 if i == 5 else 8.0, seed=i,
                           split="eval" if i >= 6 else "train") for i in range(8)])
    return str(root)


def crops(folder, split="train", **changes):
    _, references = streams.load_references(folder, split, RATE)
    return TranscriptionCrops(references, TranscriptionSettings(**{**SIZES, **changes}))


def batches(folder, count, split="train", settings=None, **options):
    settings = TranscriptionSettings(**{**SIZES, **(settings or {})})
    dataset = transcription_inputs.make_dataset(folder, split, settings=settings,
                                                **{"batch_size": 2, **options})
    return [(x.numpy(), {name: value.numpy() for name, value in y.items()})
            for x, y in dataset.take(count)]


@pytest.mark.parametrize(("kind", "names"), [
    ("smooth", {"onset", "offset", "frame", "velocity", "key"}),
    ("magenta", {"onset", "offset", "frame", "velocity", "frame_weight"})])
def test_batches_have_the_shapes_of_the_contract(folder, kind, names):
    [(x, y)] = batches(folder, 1, settings={"labels": kind, "with_notes": True})
    assert x.shape == (2, 2 * RATE) and x.dtype == np.float32
    wide = {name for name, value in y.items() if value.shape == (2, 101, 88)}
    assert wide == names
    assert y["mask"].shape == (2, 101, 1) and y["notes"].shape == (2, 1024, 5)
    assert (kind == "smooth") == ("pedal" in y)
    assert all(value.dtype == np.float32 for value in y.values())


def test_audio_and_labels_of_a_crop_are_of_the_same_time(tmp_path):
    """The recording is a ramp, so that a sample's value tells its time."""
    secs, notes = 20.0, tiny_pairs.table(20.0)
    ramp = np.linspace(0.1, 0.9, int(secs * RATE), dtype=np.float32)
    tiny_pairs.write_records(tmp_path / "x.tfrecord", [tiny_pairs.example(
        "x", secs, audio=audio_lib.Audio(ramp, RATE), notes=notes)])
    maker = crops(str(tmp_path), with_notes=True)
    kept = examples.read_notes(maker.references[0])
    for epoch in range(10):
        x, y = maker.make(0, epoch)
        start = (x[0] - 0.1) / 0.8 * secs
        struck = y["notes"][y["notes"][:, 1] > 0]
        inside = (kept.onset_secs >= start + 0.01) & (kept.onset_secs < start + 1.99)
        assert abs(len(struck) - inside.sum()) <= 1
        for key, _, onset, *_ in struck:
            assert np.abs(kept.onset_secs[kept.key == key] - start - onset).min() < 2e-3
        expected = labels.smooth_labels(kept, start, 101, 50.0)
        np.testing.assert_allclose(y["onset"], expected["onset"], atol=0.1)


def test_recordings_are_brought_to_one_level_as_a_whole(folder):
    plain, levelled = crops(folder), crops(folder, level_db=-20.0)
    for place, reference in enumerate(plain.references):
        whole = examples.read_audio(reference, 0, reference.num_samples)
        gain = 10 ** ((-20 - transcriber.loudest_level(whole)) / 20)
        for epoch in range(2):
            (before, _), (after, _) = (maker.make(place, epoch) for maker in (plain, levelled))
            np.testing.assert_allclose(after, before * gain, rtol=1e-4, atol=1e-6)


def test_same_seed_same_batches_and_another_seed_others(folder):
    settings = {"change": RecordingChange(), "seed": 5}
    first = batches(folder, 4, settings=settings)
    again = batches(folder, 4, settings=settings, num_parallel_calls=3)
    other = batches(folder, 4, settings={**settings, "seed": 6})
    for (x, y), (x2, y2) in zip(first, again, strict=True):
        np.testing.assert_array_equal(x, x2)
        for name in y:
            np.testing.assert_array_equal(y[name], y2[name])
    assert all((a[0] != b[0]).any() for a, b in zip(first, other, strict=True))


def test_skipped_batches_continue_where_a_run_stopped(folder):
    whole, rest = batches(folder, 5), batches(folder, 2, skip_batches=3)
    for (x, _), (x2, _) in zip(whole[3:], rest, strict=True):
        np.testing.assert_array_equal(x, x2)


def test_evaluation_ends_and_gives_the_same_each_time(folder):
    passes = [np.concatenate([x for x, _ in batches(folder, -1, "eval", repeat=False,
                                                    shuffle=False, batch_size=3)])
              for _ in range(2)]
    assert len(passes[0]) == 2
    np.testing.assert_array_equal(*passes)


def test_workers_share_the_performances_without_overlap(folder):
    import tensorflow as tf

    seen = []
    for worker in range(2):
        context = tf.distribute.InputContext(2, worker, 2)
        drawn = batches(folder, -1, repeat=False, input_context=context)
        assert drawn[0][0].shape[0] == 1  # of a global batch of 2 on 2 replicas
        seen.append({x.tobytes() for x, _ in drawn})
    assert len(seen[0]) == len(seen[1]) == 3 and not seen[0] & seen[1]


def test_a_short_recording_is_filled_with_silence_that_does_not_count(folder):
    maker = crops(folder)
    short = next(i for i, r in enumerate(maker.references) if r.duration_secs < 2)
    x, y = maker.make(short, 0)
    assert not x[int(1.5 * RATE):].any()
    np.testing.assert_array_equal(np.flatnonzero(y["mask"][:, 0]), np.arange(76))
    others = [maker.make(i, 0)[1]["mask"].all() for i in range(6) if i != short]
    assert all(others)


def test_changes_keep_length_and_can_be_switched_off():
    rng = np.random.default_rng(0)
    samples = rng.standard_normal(9973).astype(np.float32)
    off = RecordingChange(gain_db=(0, 0), eq_probability=0, noise_probability=0)
    np.testing.assert_array_equal(off.apply(samples, RATE, rng), samples)
    gain = RecordingChange(gain_db=(6, 6), eq_probability=0, noise_probability=0)
    np.testing.assert_allclose(gain.apply(samples, RATE, rng), samples * 10 ** 0.3, rtol=1e-5)
    noisy = RecordingChange((0, 0), eq_probability=0, noise_probability=1, noise_db=(-40, -40))
    added = noisy.apply(samples, RATE, rng) - samples
    assert 20 * np.log10(added.std()) == pytest.approx(-40, abs=0.5)
    changed = RecordingChange(eq_probability=1).apply(samples, RATE, rng)
    assert changed.shape == samples.shape and changed.dtype == np.float32
    gain_db = 20 * np.log10(np.abs(np.fft.rfft(changed)) / np.abs(np.fft.rfft(samples)))
    assert np.abs(np.diff(gain_db[50:-50])).max() < 3 < np.ptp(gain_db)


def test_faults_are_errors_that_say_what_to_do(folder):
    with pytest.raises(ValueError, match="8000 Hz .* expects 16000 Hz"):
        transcription_inputs.make_dataset(folder, settings=TranscriptionSettings())
    with pytest.raises(ValueError, match="no examples of the split 'test'"):
        batches(folder, 1, "test")
    with pytest.raises(ValueError, match="crop_secs must be positive"):
        batches(folder, 1, settings={"crop_secs": 0.0})
    with pytest.raises(ValueError, match="labels='sharp' is unknown"):
        crops(folder, labels="sharp")


def test_crops_are_made_faster_than_training_needs_them(tmp_path):
    """The limit is 150 s of audio per second of a core; about 2,000 are usual."""
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 60 * 16_000).astype(np.float32)
    tiny_pairs.write_records(tmp_path / "x.tfrecord", [tiny_pairs.example(
        "x", 60.0, audio=audio_lib.Audio(noise, 16_000))])
    _, references = streams.load_references(str(tmp_path), "train", 16_000)
    maker = TranscriptionCrops(references, TranscriptionSettings(change=RecordingChange()))
    maker.make(0, 0)
    begin = time.process_time()
    for epoch in range(1, 11):
        maker.make(0, epoch)
    assert 100 / (time.process_time() - begin) > 150


def test_data_sets_are_made_without_tuning_and_cut_at_silence(tmp_path):
    for i in range(4):
        tiny_pairs.write_pair(tmp_path / "in" / f"p{i}", 7.0, seed=i, rate=16_000)
    settings = create.Settings(str(tmp_path / "in"), str(tmp_path / "out"), "onsets_frames", 16_000,
                               measures_tuning=False, segment_secs=(2, 4), eval_ratio=0.25)
    description = create.create_dataset(settings)
    references = [r for path in streams.example_files(str(tmp_path / "out"))
                  for r in examples.read_references(path)]
    assert len(references) == sum(s["records"] for s in description["splits"].values()) >= 8
    assert description["written"] == 4
    for reference in references:
        assert 2 <= reference.duration_secs <= 4.01 and reference.f0_hz is None
        notes = examples.read_notes(reference)
        assert len(notes) and notes.onset_secs.max() <= 4
        # Velocities are measured against the loudest of the whole performance.
        assert reference.velocity_range[1] >= round(notes.velocity.max() * 127)
    assert json.loads((tmp_path / "out" / "dataset.json").read_text())["flags"]["segment_secs"]


def test_segment_lengths_out_of_order_are_an_error(tmp_path):
    settings = create.Settings(str(tmp_path), str(tmp_path / "out"), "onsets_frames", 16_000,
                               segment_secs=(20, 5))
    with pytest.raises(ValueError, match="such as 5,20; got 20,5"):
        create.check_settings(settings)


@pytest.mark.parametrize(("given", "config", "expected"), [
    (None, "onsets_frames", (5, 20)), (None, "onsets_frames_small", None),
    (["0"], "onsets_frames", None), (["2", "9"], "onsets_frames_small", (2, 9))])
def test_segment_lengths_come_from_the_flag_or_else_the_config(given, config, expected):
    from style_transfer import configs

    default = configs.get(config).examples.segment_secs
    assert create.segment_secs(given, default) == expected
    with pytest.raises(ValueError, match="in whole seconds"):
        create.segment_secs(["2.5", "9"], default)
