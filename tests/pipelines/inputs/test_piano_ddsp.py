import http.server
import pathlib
import threading
import types

import numpy as np
import pytest

from style_transfer import audio as audio_lib
from style_transfer import piano_roll
from style_transfer.pipelines.inputs import crops as crops_lib
from style_transfer.pipelines.inputs import piano_ddsp as inputs
from style_transfer.pipelines.inputs import streams
from style_transfer.pipelines.inputs.augmentation import Augmentation, PianoChange
from style_transfer.pipelines.records import examples, wire
from tests.pipelines import tiny_pairs

RATE = tiny_pairs.RATE
SIZES = {"sample_rate": RATE, "crop_secs": 1.0, "style_secs": 2.0, "max_notes": 8}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two pianos that play three pieces, and one that plays a single long piece with pedal."""
    root = tmp_path_factory.mktemp("records")
    records = [tiny_pairs.example(f"{timbre}/p{i}", 8.0, seed=i, timbre=timbre, piece=f"p{i}",
                                  split="eval" if i == 3 else "train")
               for timbre in "ab" for i in range(4)]
    tiny_pairs.write_records(root / "train-00000-of-00002.tfrecord", records)
    notes = _pedalled(30.0)
    tiny_pairs.write_records(root / "train-00001-of-00002.tfrecord", [tiny_pairs.example(
        "c/long", 30.0, notes=notes, timbre="c", piece="long")])
    return str(root)


def _pedalled(secs):
    """Notes, many of which the sustain pedal holds for up to two seconds."""
    notes = tiny_pairs.table(secs, seed=7)
    rng = np.random.default_rng(7)
    held = np.minimum(notes.release_secs + rng.uniform(0, 2, len(notes)), secs - 0.1)
    sequence = piano_roll.to_sequence(notes)
    for note, end in zip(sequence.notes, held, strict=True):
        note.end_time = end
    return piano_roll.note_table(sequence)


def _crops(folder, split="train", timbres=(), **changes):
    settings = crops_lib.CropSettings(**{**SIZES, **changes})
    return inputs.load_crops(folder, split, settings, timbres)


def _batches(folder, count, **options):
    dataset = inputs.make_dataset(folder, **{"batch_size": 2, **SIZES, **options})
    return [tuple({k: v.numpy() for k, v in part.items()} if isinstance(part, dict)
                  else part.numpy() for part in batch) for batch in dataset.take(count)]


def test_batches_have_the_shapes_and_types_of_the_contract(folder):
    [(x, y)] = _batches(folder, 1)
    shapes = {"style_audio": (2, 2 * RATE), "note_key": (2, 8), "note_velocity": (2, 8),
              "note_onset_secs": (2, 8), "note_damped_secs": (2, 8), "roll": (2, 50, 179),
              "f0_hz": (2, 88), "inharmonicity": (2, 88)}
    assert {name: value.shape for name, value in x.items()} == shapes
    assert y.shape == (2, RATE) and y.dtype == np.float32
    assert {name: value.dtype for name, value in x.items()} == {
        name: np.dtype(np.int32 if name == "note_key" else np.float32) for name in shapes}
    np.testing.assert_allclose(x["f0_hz"][0, 48], 440.0, rtol=1e-4)
    np.testing.assert_allclose(x["inharmonicity"][0, -1], 1e-2, rtol=1e-4)


@pytest.mark.parametrize("augment", [None, Augmentation(tuning_cents=50)])
def test_style_and_target_share_the_piano_and_no_note(folder, augment):
    crops = _crops(folder, augmentation=augment)
    seen = set()
    for place in range(len(crops.eligible)):
        for epoch in range(40):
            rng = np.random.default_rng([place, epoch])
            speed = 1.0 if augment is None else float(rng.uniform(0.97, 1.03))
            windows = crops.choose(crops.eligible[place], rng, speed)
            if windows is None:
                continue
            target, style = (crops.references[w.reference] for w in windows)
            assert target.timbre_id == style.timbre_id
            assert len(windows[0].notes) and len(windows[1].notes)
            seen.add(target.id)
            if target.timbre_id != "c":
                assert target.piece_id != style.piece_id
                continue
            assert target.id == style.id
            assert not set(windows[0].notes) & set(windows[1].notes)
            table = examples.read_notes(target).select(windows[0].notes)
            begin, end = windows[1].start_secs, windows[1].start_secs + windows[1].secs
            assert (end < table.onset_secs.min()) or (begin > table.damped_secs.max())
            assert 0 <= begin and end <= target.duration_secs + 1e-9
    assert seen == {reference.id for reference in crops.references}


def test_debug_tells_where_target_and_style_come_from(folder):
    for x, _, origin in _batches(folder, 12, debug=True, timbres=["c"], batch_size=1):
        assert origin["target_id"] == origin["style_id"] == [b"c/long"]
        target, style = origin["target_note_secs"][0], origin["style_secs"][0]
        assert style[1] < target[0] or style[0] > target[1]
        assert x["style_audio"].any()


def test_another_piano_never_lends_its_sound(tmp_path):
    """Each piano's audio is one constant, so any sample of another would be seen."""
    records = []
    for level, timbre in ((0.1, "a"), (0.2, "b"), (0.4, "c")):
        audio = audio_lib.Audio(np.full(8 * RATE, level, np.float32), RATE)
        records += [tiny_pairs.example(f"{timbre}{i}", 8.0, i, audio, timbre=timbre)
                    for i in range(2)]
    tiny_pairs.write_records(tmp_path / "x.tfrecord", records)
    crops = _crops(str(tmp_path))
    for place in range(6):
        x, y, origin = crops.make(place, 0)
        assert origin["style_timbre_id"] == origin["target_timbre_id"]
        assert origin["style_id"] != origin["target_id"]
        for samples in (x["style_audio"], y):  # -25 dBFS, whatever the recording's level
            np.testing.assert_allclose(samples, 10 ** (-25 / 20), rtol=1e-2)


def test_audio_and_notes_of_a_crop_are_of_the_same_time(tmp_path):
    """The recording is a ramp, so that a sample's value tells its time."""
    secs, notes = 20.0, tiny_pairs.table(20.0)
    ramp = np.linspace(0.1, 0.9, int(secs * RATE), dtype=np.float32)
    tiny_pairs.write_records(tmp_path / "x.tfrecord", [tiny_pairs.example(
        "x", secs, audio=audio_lib.Audio(ramp, RATE), notes=notes)])
    crops = _crops(str(tmp_path))
    gain = 10 ** ((-25 - crops_lib.timbre_levels_db(crops.references)["a"]) / 20)
    for epoch in range(20):
        x, y, origin = crops.make(0, epoch)
        start = origin["target_secs"][0]
        assert abs((y[0] / gain - 0.1) / 0.8 * secs - start) < 2e-3
        kept = examples.read_notes(crops.references[0])
        sounding = (kept.onset_secs < start + 1) & (kept.damped_secs > start)
        count = int(sounding.sum())
        np.testing.assert_array_equal(x["note_key"][:count], kept.key[sounding])
        np.testing.assert_allclose(x["note_onset_secs"][:count],
                                   kept.onset_secs[sounding] - start, atol=1e-5)
        np.testing.assert_allclose(x["note_damped_secs"][:count],
                                   kept.damped_secs[sounding] - start, atol=1e-5)
        np.testing.assert_allclose(x["note_velocity"][:count], kept.velocity[sounding])
        assert not x["note_velocity"][count:].any()
        np.testing.assert_array_equal(x["roll"], piano_roll.roll(kept, start, 50))


def test_the_notes_struck_longest_ago_are_dropped_beyond_the_array(folder):
    crops = _crops(folder, timbres=["c"], max_notes=3)
    more = 0
    for epoch in range(20):
        x, _, origin = crops.make(0, epoch)
        kept = examples.read_notes(crops.references[0])
        start, end = origin["target_secs"]
        sounding = np.flatnonzero((kept.onset_secs < end) & (kept.damped_secs > start))
        more += len(sounding) > 3
        last = sounding[-3:]
        np.testing.assert_array_equal(x["note_key"][:len(last)], kept.key[last])
    assert more > 10


def test_style_is_normalised_and_the_target_scaled_by_one_gain_per_piano(folder):
    crops = _crops(folder)
    gains = {}
    for place in range(len(crops.eligible)):
        for epoch in range(3):
            x, y, origin = crops.make(place, epoch)
            rms = np.sqrt(np.mean(x["style_audio"] ** 2))
            assert abs(20 * np.log10(rms) + 25) < 0.01
            reference = crops.references[crops.eligible[place]]
            raw = examples.read_audio(reference, round(origin["target_secs"][0] * RATE), RATE)
            loud = np.abs(raw) > 0.01
            gains.setdefault(reference.timbre_id, []).append(np.median(y[loud] / raw[loud]))
    for values in gains.values():
        np.testing.assert_allclose(values, values[0], rtol=1e-3)


def test_same_seed_same_batches_and_another_seed_others(folder):
    first = _batches(folder, 4, seed=5, augment=True)
    again = _batches(folder, 4, seed=5, augment=True, num_parallel_calls=3)
    other = _batches(folder, 4, seed=6, augment=True)
    for (x, y), (x2, y2) in zip(first, again, strict=True):
        np.testing.assert_array_equal(y, y2)
        for name in x:
            np.testing.assert_array_equal(x[name], x2[name])
    assert all((a[1] != b[1]).any() for a, b in zip(first, other, strict=True))


def test_every_epoch_visits_all_in_another_order_with_other_crops(folder):
    drawn = _batches(folder, 21, batch_size=1, debug=True)
    epochs = [drawn[7 * i:7 * i + 7] for i in range(3)]
    orders = [tuple(batch[2]["target_id"][0] for batch in epoch) for epoch in epochs]
    assert all(len(set(order)) == 7 for order in orders) and len(set(orders)) == 3
    starts = [{batch[2]["target_id"][0]: batch[2]["target_secs"][0, 0] for batch in epoch}
              for epoch in epochs]
    assert all(starts[0][name] != starts[1][name] for name in starts[0])


def test_skipped_batches_continue_where_a_run_stopped(folder):
    whole = _batches(folder, 6)
    rest = _batches(folder, 2, skip_batches=4)
    for (_, y), (_, y2) in zip(whole[4:], rest, strict=True):
        np.testing.assert_array_equal(y, y2)


def test_one_pass_ends_and_takes_the_asked_crops_in_order(folder):
    drawn = _batches(folder, -1, split="eval", repeat=False, shuffle=False, debug=True,
                     batch_size=3, crops_per_example=2)
    ids = [name for batch in drawn for name in batch[2]["target_id"]]
    assert ids == [b"a/p3", b"a/p3", b"b/p3", b"b/p3"]


@pytest.mark.parametrize(("workers", "replicas"), [(1, 2), (2, 2), (2, 4)])
def test_workers_together_make_the_batches_of_one(folder, workers, replicas):
    """Also after a resume, and where a worker has several devices."""
    import tensorflow as tf

    alone = _batches(folder, 3, batch_size=4, skip_batches=2)
    each = replicas // workers
    shared = [_batches(folder, 3 * each, batch_size=4, skip_batches=2,
                       input_context=tf.distribute.InputContext(workers, worker, replicas))
              for worker in range(workers)]
    for step, (x, y) in enumerate(alone):
        parts = [part for worker in shared for part in worker[step * each:(step + 1) * each]]
        assert {len(part[1]) for part in parts} == {4 // replicas}
        np.testing.assert_array_equal(np.concatenate([part[1] for part in parts]), y)
        np.testing.assert_array_equal(
            np.concatenate([part[0]["style_audio"] for part in parts]), x["style_audio"])


def test_workers_share_one_pass_without_overlap(folder):
    import tensorflow as tf

    shares = []
    for worker in range(2):
        context = tf.distribute.InputContext(2, worker, 2)
        drawn = _batches(folder, -1, batch_size=2, repeat=False, debug=True,
                         input_context=context)
        assert drawn[0][1].shape[0] == 1  # of a global batch of 2 on 2 replicas
        shares.append([name for batch in drawn for name in batch[2]["target_id"]])
    assert sorted(map(len, shares)) == [3, 4]
    assert not set(shares[0]) & set(shares[1]) and len({*shares[0], *shares[1]}) == 7


def test_keras_trains_from_it_under_a_strategy(folder):
    import keras
    import tensorflow as tf

    with tf.distribute.MirroredStrategy(["cpu:0"]).scope():
        style = keras.Input((2 * RATE,), name="style_audio")
        model = keras.Model({"style_audio": style}, keras.layers.Dense(RATE)(style[:, :8]))
        model.compile("sgd", "mse", jit_compile=False)
    dataset = inputs.make_dataset(folder, batch_size=2, **SIZES).map(
        lambda x, y: ({"style_audio": x["style_audio"]}, y))
    history = model.fit(dataset, steps_per_epoch=3, epochs=1, verbose=0)
    assert np.isfinite(history.history["loss"][0])


def test_faults_are_errors_that_say_what_to_do(folder, tmp_path):
    with pytest.raises(ValueError, match="No files match"):
        inputs.make_dataset(str(tmp_path / "*.tfrecord"))
    with pytest.raises(ValueError, match="8000 Hz .* expects 24000 Hz"):
        inputs.make_dataset(folder)
    with pytest.raises(ValueError, match="no examples of the split 'test'.*only eval, train"):
        inputs.make_dataset(folder, "test", **SIZES)
    with pytest.raises(ValueError, match="batch_size must be positive"):
        inputs.make_dataset(folder, batch_size=0, **SIZES)
    with pytest.raises(ValueError, match="None of 1 performances"):
        inputs.make_dataset(folder, "train", timbres=["c"], **{**SIZES, "crop_secs": 29.0})
    bare = tiny_pairs.example("x", 8.0, tuning=None)
    tiny_pairs.write_records(tmp_path / "bare" / "x.tfrecord", [bare])
    with pytest.raises(ValueError, match="have no tuning.*--config=piano_ddsp"):
        inputs.make_dataset(str(tmp_path / "bare"), **SIZES)
    (tmp_path / "empty.tfrecord").write_bytes(b"")
    with pytest.raises(ValueError, match="hold no examples"):
        inputs.make_dataset(str(tmp_path), **SIZES)


def test_only_what_a_crop_needs_is_read(tmp_path, monkeypatch):
    secs = 120.0
    rng = np.random.default_rng(0)
    audio = audio_lib.Audio(rng.uniform(-0.5, 0.5, int(secs * RATE)).astype(np.float32), RATE)
    path = tmp_path / "x.tfrecord"
    tiny_pairs.write_records(path, [tiny_pairs.example("x", secs, audio=audio)])
    counted = []

    class Counting:
        def __init__(self, path):
            self._file = open(path, "rb")

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self._file.close()

        def seek(self, *place):
            return self._file.seek(*place)

        def tell(self):
            return self._file.tell()

        def read(self, size):
            data = self._file.read(size)
            counted.append(len(data))
            return data

    monkeypatch.setattr(examples, "open_file", Counting)
    [reference] = examples.read_references(str(path))
    assert sum(counted) < 40_000 < path.stat().st_size / 40
    counted.clear()
    part = examples.read_audio(reference, 70 * RATE, 3 * RATE)
    np.testing.assert_allclose(part, audio.samples[70 * RATE:73 * RATE], atol=1e-4)
    assert sum(counted) < path.stat().st_size / 5


class _RangeHandler(http.server.BaseHTTPRequestHandler):
    """Serves parts of one file, as object stores do."""

    path_served = None

    def do_HEAD(self):
        self.send_response(200)
        self.send_header("Content-Length", str(self.path_served.stat().st_size))
        self.end_headers()

    def do_GET(self):
        data = self.path_served.read_bytes()
        first, last = 0, len(data) - 1
        if "Range" in self.headers:
            first, last = map(int, self.headers["Range"].removeprefix("bytes=").split("-"))
        self.send_response(206 if "Range" in self.headers else 200)
        part = data[first:last + 1]
        self.send_header("Content-Length", str(len(part)))
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
        self.end_headers()
        self.wfile.write(part)

    def log_message(self, *_):
        pass


@pytest.mark.parametrize("reader", ["what is there", "fsspec"])
def test_records_are_read_over_the_network(folder, reader, monkeypatch):
    if reader == "fsspec":  # as where tensorflow-io does not load
        pytest.importorskip("aiohttp")
        monkeypatch.setattr(examples.remote_files(), "get_registered_schemes", lambda: ["", "ram"])
    local = streams.example_files(folder)[0]
    handler = type("Handler", (_RangeHandler,), {"path_served": pathlib.Path(local)})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/train.tfrecord"
        remote = list(examples.read_references(url))
        here = list(examples.read_references(local))
        assert [r.id for r in remote] == [r.id for r in here] and len(here) == 8
        np.testing.assert_array_equal(examples.read_audio(remote[2], 100, 5000),
                                      examples.read_audio(here[2], 100, 5000))
        [(_, y)] = _batches(url, 1)
        assert np.abs(y).max() > 0.01
        server.shutdown()


def test_audio_outside_the_recording_is_silent(folder):
    reference = next(examples.read_references(streams.example_files(folder)[0]))
    whole = examples.read_audio(reference, 0, 8 * RATE)
    part = examples.read_audio(reference, -100, 8 * RATE + 300)
    np.testing.assert_array_equal(part[100:-200], whole)
    assert not part[:100].any() and not part[-200:].any()
    assert not examples.read_audio(reference, 9 * RATE, 50).any()


def test_noise_and_level_change_the_style_clip_alone(folder):
    augmentation = Augmentation(eq_db=0, room_probability=0, tuning_cents=0, gain_db=6.0,
                                noise_db=(-20.0, -20.0))
    plain, changed = _crops(folder), _crops(folder, augmentation=augmentation)
    rng = np.random.default_rng(0)
    windows = plain.choose(0, rng)
    x, y, _ = plain._render(*windows, PianoChange(), np.random.default_rng(1))
    x2, y2, _ = changed._render(*windows, PianoChange(), np.random.default_rng(1))
    np.testing.assert_array_equal(y, y2)
    gain = float(x2["style_audio"] @ x["style_audio"] / (x["style_audio"] @ x["style_audio"]))
    assert 0.05 < abs(20 * np.log10(gain)) <= 6.1
    noise = x2["style_audio"] - gain * x["style_audio"]
    ratio = 20 * np.log10(np.std(noise) / (gain * np.std(x["style_audio"])))
    assert abs(ratio + 20) < 0.5


def test_examples_are_those_of_tensorflow():
    import tensorflow as tf

    data = tiny_pairs.example("x", 3.0)
    features = tf.train.Example.FromString(data).features.feature
    assert features["id"].bytes_list.value == [b"x"]
    assert features["sample_rate"].int64_list.value == [RATE]
    assert len(features["f0_hz"].float_list.value) == 88
    low, high = features["velocity_range"].int64_list.value
    velocities = np.round(tiny_pairs.table(3.0).velocity * 127)
    assert (low, high) == (velocities.min(), velocities.max())
    assert features["audio"].bytes_list.value[0][:4] == b"fLaC"

    wanted = {"a": [-1, 0, 1 << 40], "b": [0.5, -2.0]}
    official = tf.train.Example()
    official.features.feature["a"].int64_list.value.extend(wanted["a"])
    official.features.feature["b"].float_list.value.extend(wanted["b"])
    official.features.feature["c"].bytes_list.value.append(b"z" * 9000)
    data = official.SerializeToString()
    read_at = wire.windowed(lambda offset, size: data[offset:offset + size])
    found = wire.locate_features(read_at, 0, len(data))
    for name, values in wanted.items():
        assert wire.read_numbers(read_at, found[name]).tolist() == values
    start, end = wire.bytes_span(read_at, found["c"])
    assert data[start:end] == b"z" * 9000
    ours = wire.encode_example({"a": np.array(wanted["a"]), "b": np.array(wanted["b"]),
                                "c": b"z" * 9000})
    assert tf.train.Example.FromString(ours) == official


def test_sounding_level_leaves_out_pauses():
    tone = 0.1 * np.sin(np.arange(4 * RATE) * 0.3)
    both = np.concatenate([tone, np.zeros(12 * RATE)]).astype(np.float32)
    for samples in (tone.astype(np.float32), both):
        level = audio_lib.sounding_rms_db(audio_lib.Audio(samples, RATE))
        assert abs(level - 20 * np.log10(0.1 / np.sqrt(2))) < 0.1


def test_tuning_is_measured_on_a_minute_of_a_long_performance(monkeypatch):
    from style_transfer.measure import analysis

    seen = []
    monkeypatch.setattr(analysis, "measure_tuning", lambda audio, notes: seen.append(
        (audio.duration_secs, len(notes), float(notes.onset_secs.min()))) or
        types.SimpleNamespace())
    sparse, dense = tiny_pairs.table(200.0, step_secs=2.0), tiny_pairs.table(60.0).shift(100.0)
    onsets = np.sort(np.concatenate([sparse.onset_secs, dense.onset_secs]))
    zeros = np.zeros(len(onsets))
    notes = piano_roll.NoteTable(zeros.astype(np.int32), zeros.astype(np.float32) + 0.5, onsets,
                                 onsets + 0.1, onsets + 0.1)
    examples.measure_tuning(audio_lib.Audio(np.ones(200 * RATE), RATE), notes)
    [(secs, count, first)] = seen
    assert secs == examples.TUNING_SECS and count > 230 and abs(first) < 0.01
