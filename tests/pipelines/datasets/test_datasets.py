import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from style_transfer import audio as audio_lib
from style_transfer.pipelines import files
from style_transfer.pipelines.datasets import create, find_pairs, split_pairs
from style_transfer.pipelines.datasets.readers import Pair
from style_transfer.pipelines.datasets.splits import piece_position
from style_transfer.pipelines.records import examples, tfrecords, wire
from tests.pipelines import tiny_pairs

ROOT = pathlib.Path(__file__).parents[3]
MAESTRO_ROWS = [
    {"canonical_composer": "A. Scriabin", "canonical_title": "Sonata  No. 5", "split": "train",
     "year": 2006, "midi_filename": "2006/a.midi", "audio_filename": "2006/a.wav",
     "duration": 3.0},
    {"canonical_composer": "A. Scriabin", "canonical_title": "Sonata No. 5", "split": "train",
     "year": 2008, "midi_filename": "2008/b.midi", "audio_filename": "2008/b.wav",
     "duration": 3.0},
    {"canonical_composer": "C. Debussy", "canonical_title": "Images, book 1", "split":
     "validation", "year": 2006, "midi_filename": "2006/c.midi", "audio_filename": "2006/c.wav",
     "duration": 3.0},
    {"canonical_composer": "F. Liszt", "canonical_title": "Etude", "split": "test", "year": 2006,
     "midi_filename": "2006/d.midi", "audio_filename": "2006/d.wav", "duration": 3.0},
]


def _touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def _maestro_table(root, form):
    columns = list(MAESTRO_ROWS[0])
    if form == "csv":
        lines = [",".join(columns)] + [
            ",".join(f'"{row[c]}"' for c in columns) for row in MAESTRO_ROWS]
        (root / "maestro-v3.0.0.csv").write_text("\n".join(lines) + "\n")
    elif form == "rows":
        (root / "maestro-v1.0.0.json").write_text(json.dumps(MAESTRO_ROWS))
    else:
        (root / "maestro-v3.0.0.json").write_text(json.dumps(
            {c: {str(i): row[c] for i, row in enumerate(MAESTRO_ROWS)} for c in columns}))


@pytest.mark.parametrize("form", ["csv", "rows", "columns"])
def test_maestro_is_read_from_csv_and_both_forms_of_json(tmp_path, form):
    _touch(tmp_path, *(row[key] for row in MAESTRO_ROWS[:3]
                       for key in ("midi_filename", "audio_filename")))
    _maestro_table(tmp_path, form)
    listing = find_pairs(str(tmp_path))
    assert listing.layout == "maestro"
    assert [(p.id, p.timbre_id, p.split) for p in listing.pairs] == [
        ("2006/a", "maestro_2006", "train"), ("2006/c", "maestro_2006", "eval"),
        ("2008/b", "maestro_2008", "train")]
    by_id = {pair.id: pair for pair in listing.pairs}
    assert by_id["2006/a"].piece_id == by_id["2008/b"].piece_id == "a. scriabin | sonata no. 5"
    assert os.path.samefile(by_id["2006/a"].audio_path, tmp_path / "2006/a.wav")
    [(name, reason)] = listing.problems
    assert name == "2006/d.wav" and "2006/d.wav, which is not there" in reason


def test_smd_groups_takes_of_a_piece_and_prefers_uncompressed_audio(tmp_path):
    takes = ["Bach_BWV849-01_001_20090916-SMD", "Bach_BWV849-01_003_20100101-SMD",
             "Chopin_Op010-03_007_20100611-SMD"]
    for take in takes:
        _touch(tmp_path, f"midi/{take}.mid", f"mp3/{take}.mp3")
    _touch(tmp_path, f"wav_44100_stereo/{takes[0]}.wav")
    listing = find_pairs(str(tmp_path))
    assert listing.layout == "smd" and not listing.problems
    assert [pair.piece_id for pair in listing.pairs] == [
        "Bach_BWV849-01", "Bach_BWV849-01", "Chopin_Op010-03"]
    assert {pair.timbre_id for pair in listing.pairs} == {"smd"}
    assert [pair.audio_path.rsplit(".")[-1] for pair in listing.pairs] == ["wav", "mp3", "mp3"]


def test_folder_pairs_by_name_and_names_what_has_no_partner(tmp_path):
    _touch(tmp_path, "upright/x.wav", "upright/x.mid", "grand/x.mp3", "grand/x.midi",
           "grand/alone.wav", "upright/silent.mid", "notes.txt", ".hidden/y.wav", ".hidden/y.mid")
    listing = find_pairs(str(tmp_path))
    assert listing.layout == "folder"
    assert [(p.id, p.timbre_id, p.piece_id) for p in listing.pairs] == [
        ("grand/x", "grand", "x"), ("upright/x", "upright", "x")]
    assert dict(listing.problems) == {
        "grand/alone.wav": "there is no MIDI file of this name",
        "upright/silent.mid": "there is no audio file of this name"}
    pairs = find_pairs(str(tmp_path), timbre_id="mine", piece_pattern="^([^/]*)").pairs
    assert [(p.timbre_id, p.piece_id) for p in pairs] == [("mine", "grand"), ("mine", "upright")]


def test_rendered_pairs_take_piano_and_piece_from_the_manifest(tmp_path):
    rows = [{"timbre_id": t, "piece_id": "p1", "audio": f"{t}/p1.flac", "midi": f"{t}/p1.mid"}
            for t in ("sf_0", "proc_7")]
    _touch(tmp_path, "sf_0/p1.flac", "sf_0/p1.mid", "proc_7/p1.flac")
    (tmp_path / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    listing = find_pairs(str(tmp_path))
    assert listing.layout == "rendered"
    assert [(p.id, p.timbre_id, p.piece_id) for p in listing.pairs] == [("sf_0/p1", "sf_0", "p1")]
    assert listing.problems == [
        ("proc_7/p1.flac", "manifest.jsonl names proc_7/p1.mid, which is not there")]


@pytest.mark.parametrize("layout, said", [("maestro", "no CSV or JSON"), ("nonsense", "Unknown")])
def test_layout_that_is_not_there_is_an_error(tmp_path, layout, said):
    _touch(tmp_path, "x.wav", "x.mid")
    with pytest.raises(ValueError, match=said):
        find_pairs(str(tmp_path), layout)


def _pairs(num_pieces, num_timbres, split=None):
    return [Pair("", "", f"t{t}/p{p}", f"t{t}", f"p{p}", split)
            for p in range(num_pieces) for t in range(num_timbres)]


@pytest.mark.parametrize("ratio", [0.1, 0.3, 0.7])
def test_no_piece_is_on_both_sides_and_the_share_is_about_right(ratio):
    pairs = _pairs(400, 3)
    random.Random(0).shuffle(pairs)
    plan = split_pairs(pairs, ratio)
    sides = {side: {p.piece_id for p in plan.pairs if p.split == side} for side in
             ("train", "eval")}
    assert not sides["train"] & sides["eval"]
    assert len(plan.pairs) == len(pairs)
    assert abs(len(sides["eval"]) / 400 - ratio) < 0.08


def test_more_pieces_move_none_of_the_others():
    before = {p.id: p.split for p in split_pairs(_pairs(60, 2), 0.3).pairs}
    after = {p.id: p.split for p in split_pairs(_pairs(90, 2), 0.3).pairs}
    assert before.items() <= after.items()


def test_own_split_is_used_unless_asked_otherwise():
    pairs = _pairs(30, 1, "train") + [Pair("", "", "v", "t0", "v", "eval")]
    assert split_pairs(pairs, 0.5).count("eval") == 1
    assert split_pairs(pairs, 0.5, "piece").count("eval") > 5
    with pytest.raises(ValueError, match="--split=piece"):
        split_pairs(_pairs(3, 1), 0.5, "own")


def test_split_by_piece_and_piano_shares_neither():
    plan = split_pairs(_pairs(60, 4), 0.3, eval_timbres=("t[23]",))
    for side, timbres in (("train", {"t0", "t1"}), ("eval", {"t2", "t3"})):
        assert {p.timbre_id for p in plan.pairs if p.split == side} == timbres
    train, held_out = ({p.piece_id for p in plan.pairs if p.split == s} for s in
                       ("train", "eval"))
    assert train and held_out and not train & held_out
    assert len(plan.pairs) + len(plan.left_out) == 240
    by_piano = split_pairs(_pairs(5, 4), 0.0, eval_timbres=("t3",))
    assert by_piano.count("eval") == 5 and not by_piano.left_out
    with pytest.raises(ValueError, match="matches no piano. There are: t0, t1"):
        split_pairs(_pairs(5, 2), 0.1, eval_timbres=("x*",))


def test_where_the_ratio_takes_no_piece_the_first_one_is_for_evaluation():
    first = min((f"p{i}" for i in range(4)), key=piece_position)
    plan = split_pairs(_pairs(4, 2), piece_position(first) / 2)
    assert {pair.piece_id for pair in plan.pairs if pair.split == "eval"} == {first}
    with pytest.raises(ValueError, match="only one piece"):
        split_pairs(_pairs(1, 2), 0.0001)


def _settings(tmp_path, **changes):
    return create.Settings(**{
        "input": str(tmp_path / "in"), "output_dir": str(tmp_path / "out"),
        "config": "piano_ddsp", "sample_rate": tiny_pairs.RATE, "eval_ratio": 0.5, "shards": 3,
        **changes})


@pytest.fixture
def pairs(tmp_path):
    """Two pianos, four pieces; `p0` to `p3` have both sides at a ratio of a half."""
    for piano in ("a", "b"):
        for i in range(4):
            (tmp_path / "in" / piano).mkdir(parents=True, exist_ok=True)
            tiny_pairs.write_pair(tmp_path / "in" / piano / f"p{i}", seed=i)
    return tmp_path


def _references(folder):
    return {r.id: r for path in sorted(pathlib.Path(folder).glob("*.tfrecord"))
            for r in examples.read_references(str(path))}


def test_records_hold_the_pair_and_bad_pairs_are_named(pairs, capsys):
    folder = pairs / "in"
    (folder / "a" / "broken.mid").write_bytes(b"MThd nonsense")
    audio_lib.save(folder / "a" / "broken.wav", audio_lib.Audio(np.ones(8000), 8000))
    tiny_pairs.write_midi(folder / "b" / "other.mid", tiny_pairs.table(60.0))
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, 16000)
    audio_lib.save(folder / "b" / "other.wav", audio_lib.Audio(noise, 8000))
    (folder / "b" / "alone.mid").write_bytes(b"")
    description = create.create_dataset(_settings(pairs))
    assert [description[name] for name in ("read", "written", "skipped")] == [11, 8, 3]
    printed = capsys.readouterr().out
    assert "skipped a/broken: " in printed and "skipped b/alone.mid: " in printed
    assert "skipped b/other: the audio ends at 2.0 s but the last note begins at 59" in printed
    assert json.loads((pairs / "out" / "dataset.json").read_text()) == json.loads(
        json.dumps(description))
    assert set(description["bad_pairs"]) == {"a/broken", "b/other", "b/alone.mid"}
    assert not [name for name in os.listdir(pairs) if name.endswith(".partial")]

    references = _references(pairs / "out")
    assert set(references) == {f"{piano}/p{i}" for piano in "ab" for i in range(4)}
    pieces = {side: {r.piece_id for r in references.values() if r.split == side}
              for side in ("train", "eval")}
    assert pieces["train"] and pieces["eval"] and not pieces["train"] & pieces["eval"]
    reference, notes = references["b/p2"], tiny_pairs.table(3.0, 2)
    assert reference.timbre_id == "b" and reference.sample_rate == tiny_pairs.RATE
    kept = examples.read_notes(reference)
    np.testing.assert_array_equal(kept.key, notes.key)
    np.testing.assert_allclose(kept.onset_secs, notes.onset_secs, atol=0.002)
    expected = tiny_pairs.sound(notes, 3.0).samples
    np.testing.assert_allclose(examples.read_audio(reference, 0, 24000), expected, atol=1e-4)
    heard = np.unique(notes.key)
    cents = 1200 * np.log2(reference.f0_hz[heard] / (440 * 2 ** ((heard - 48) / 12)))
    assert np.median(np.abs(cents)) < 10


def test_audio_is_resampled_and_mixed_to_mono(tmp_path):
    import soundfile

    (tmp_path / "in").mkdir()
    notes = tiny_pairs.table(3.0)
    tiny_pairs.write_midi(tmp_path / "in" / "x.mid", notes)
    wave = tiny_pairs.sound(notes, 3.0, 16000).samples
    soundfile.write(tmp_path / "in" / "x.ogg", np.stack([wave, wave], 1), 16000)
    create.create_dataset(_settings(tmp_path, eval_ratio=0.0))
    [reference] = _references(tmp_path / "out").values()
    assert (reference.sample_rate, reference.num_samples) == (8000, 24000)
    got = examples.read_audio(reference, 0, 24000)
    expected = audio_lib.resample(audio_lib.Audio(wave, 16000), 8000).samples
    assert np.corrcoef(got, expected)[0, 1] > 0.99


def test_nothing_is_written_when_a_split_has_only_bad_pairs(pairs):
    plan = split_pairs(find_pairs(str(pairs / "in")).pairs, 0.5)
    for pair in plan.pairs:
        if pair.split == "eval":
            pathlib.Path(pair.audio_path).write_bytes(b"no audio")
    with pytest.raises(ValueError, match="of the eval split are bad"):
        create.create_dataset(_settings(pairs))
    assert os.listdir(pairs) == ["in"]


def test_empty_input_is_an_error(tmp_path):
    _touch(tmp_path, "in/readme.txt")
    with pytest.raises(ValueError, match="holds no pair of audio and MIDI"):
        create.create_dataset(_settings(tmp_path))
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        create.create_dataset(_settings(tmp_path, input=str(tmp_path / "nowhere")))


def test_existing_output_is_kept_unless_told_and_only_data_sets_are_replaced(pairs):
    create.create_dataset(_settings(pairs, eval_ratio=0.0))
    before = (pairs / "out" / "dataset.json").read_bytes()
    with pytest.raises(ValueError, match="--overwrite"):
        create.create_dataset(_settings(pairs))
    assert (pairs / "out" / "dataset.json").read_bytes() == before
    (pairs / "out" / "stale.tfrecord").write_bytes(b"")
    create.create_dataset(_settings(pairs, overwrite=True))
    names = os.listdir(pairs / "out")
    assert "stale.tfrecord" not in names
    assert any(name.startswith("eval-") for name in names)
    _touch(pairs, "mine/thesis.txt")
    with pytest.raises(ValueError, match="no data set"):
        create.create_dataset(_settings(pairs, output_dir=str(pairs / "mine"), overwrite=True))
    assert os.listdir(pairs / "mine") == ["thesis.txt"]


def _command(folder, *flags):
    return [sys.executable, "-W", "ignore",
            "-m", "style_transfer.scripts.style_transfer_create_dataset",
            "--config=piano_ddsp", f"--input={folder / 'in'}", f"--output_dir={folder / 'out'}",
            "--sample_rate=8000", "--eval_ratio=0.5", *flags]


def _wait_for_a_file(folder, process, secs=400):
    """Returns when the first of the records is complete, in the middle of the work."""
    deadline = time.monotonic() + secs
    while not list(folder.glob(".out.*.partial/train-*.tfrecord")):
        assert process.poll() is None, "the command ended before it was killed"
        assert time.monotonic() < deadline, f"no file after {secs} s"
        time.sleep(0.01)


def test_killed_run_leaves_nothing_under_the_final_name_and_the_next_goes_on(tmp_path):
    for i in range(12):
        for piano in "abc":
            (tmp_path / "in" / piano).mkdir(parents=True, exist_ok=True)
            tiny_pairs.write_pair(tmp_path / "in" / piano / f"p{i}", secs=8.0, seed=i)
    process = subprocess.Popen(_command(tmp_path, "--num_workers=1", "--shards=36"), cwd=ROOT,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for_a_file(tmp_path, process)
    finally:
        process.kill()
        process.wait()
    assert not (tmp_path / "out").exists()
    assert len(list(tmp_path.glob(".out.*.partial"))) == 1
    for path in (tmp_path / "in").glob("[bc]/*"):
        path.unlink()
    create.create_dataset(_settings(tmp_path))
    assert sorted(os.listdir(tmp_path)) == ["in", "out"]
    assert len(_references(tmp_path / "out")) == 12


@pytest.mark.slow
def test_command_with_two_processes_writes_what_one_does(pairs):
    done = subprocess.run(_command(pairs, "--num_workers=2", "--shards=3"), cwd=ROOT, text=True,
                          capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "8 read, 8 written, 0 skipped"
    said = [line for line in done.stderr.splitlines()
            if not re.match(r"[\w.-]+: \d+ of \d+, ", line)]
    assert not said, "nothing of Beam, TensorFlow or pydub, only progress"
    create.create_dataset(_settings(pairs, output_dir=str(pairs / "one")))
    for path in (pairs / "one").glob("*.tfrecord"):
        assert path.read_bytes() == (pairs / "out" / path.name).read_bytes()
    again = subprocess.run(_command(pairs), cwd=ROOT, text=True, capture_output=True, timeout=300)
    assert again.returncode == 1 and again.stderr.startswith("error: ")
    assert len(again.stderr.splitlines()) == 1



@pytest.mark.slow
def test_death_of_a_worker_process_is_an_error_and_not_a_wait_for_ever(tmp_path):
    psutil = pytest.importorskip("psutil")
    (tmp_path / "in").mkdir()
    for i in range(60):
        tiny_pairs.write_pair(tmp_path / "in" / f"p{i}", secs=12.0, seed=i)
    process = subprocess.Popen(
        _command(tmp_path, "--num_workers=2", "--shards=60"), cwd=ROOT, text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        # As in a shell's background job, which an interrupt does not wake.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    _wait_for_a_file(tmp_path, process)
    workers = [child for child in psutil.Process(process.pid).children(recursive=True)
               if "python" in child.name()]
    assert len(workers) == 2
    workers[0].kill()
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert errors.splitlines()[-1].startswith("error: A worker process ended before")
    assert not (tmp_path / "out").exists()


@pytest.fixture
def object_store(tmp_path):
    """A Beam file system `tiny://` without folders, whose files lie under `tmp_path`."""
    from apache_beam.io.filesystem import FileMetadata
    from apache_beam.io.localfilesystem import LocalFileSystem

    root = str(tmp_path)

    class TinyFileSystem(LocalFileSystem):
        @classmethod
        def scheme(cls):
            return "tiny"

        def _local(self, path):
            return path.replace("tiny:/", root, 1)

        def join(self, base, *parts):
            return "/".join([base.rstrip("/"), *parts])

        def split(self, path):
            return tuple(path.rsplit("/", 1))

        def has_dirs(self):
            return False

        def mkdirs(self, path):
            os.makedirs(self._local(path), exist_ok=True)

        def exists(self, path):
            return os.path.isfile(self._local(path))

        def create(self, path, mime_type="", compression_type="auto"):
            os.makedirs(os.path.dirname(self._local(path)), exist_ok=True)
            return super().create(self._local(path), mime_type, compression_type)

        def open(self, path, mime_type="", compression_type="auto"):
            return super().open(self._local(path), mime_type, compression_type)

        def _list(self, prefix):
            for path in pathlib.Path(root).rglob("*"):
                url = f"tiny:/{str(path)[len(root):]}"
                if path.is_file() and url.startswith(prefix):
                    yield FileMetadata(url, path.stat().st_size)

        def rename(self, sources, targets):
            for target in targets:
                os.makedirs(os.path.dirname(self._local(target)), exist_ok=True)
            super().rename([self._local(path) for path in sources],
                           [self._local(path) for path in targets])

        def delete(self, paths):
            for path in paths:
                local = self._local(path)
                if not path.endswith("*") and os.path.exists(local):
                    super().delete([local])

    return TinyFileSystem


def test_input_and_output_may_be_urls(pairs, object_store):
    description = create.create_dataset(_settings(
        pairs, input="tiny://in", output_dir="tiny://store/out"))
    assert description["written"] == 8
    assert len(_references(pairs / "store" / "out")) == 8
    left = [path for path in (pairs / "store").rglob("*") if path.is_file()]
    assert {path.parent.name for path in left} == {"out"}
    with pytest.raises(ValueError, match="--overwrite"):
        create.create_dataset(_settings(pairs, input="tiny://in", output_dir="tiny://store/out"))


def test_truncated_records_are_an_error_that_names_the_file(tmp_path):
    path = tmp_path / "train-0.tfrecord"
    tiny_pairs.write_records(path, [tiny_pairs.example("x"), tiny_pairs.example("y")])
    assert [r.id for r in examples.read_references(str(path))] == ["x", "y"]
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ValueError, match=r"train-0.tfrecord is no complete file"):
        list(examples.read_references(str(path)))


def test_records_pass_the_checksums_of_the_reader(tmp_path):
    path = tmp_path / "x.tfrecord"
    record = tiny_pairs.example("x")
    tiny_pairs.write_records(path, [record])
    assert list(tfrecords.read_records(path)) == [record]


@pytest.mark.parametrize("value", [{"a": 1}, [[1.0]], None])
def test_values_an_example_cannot_hold_are_refused(value):
    with pytest.raises(TypeError, match="Feature 'x'"):
        wire.encode_example({"x": value})


def test_listing_leaves_out_hidden_files(tmp_path):
    _touch(tmp_path, "a/b.wav", ".c.wav", ".d/e.wav")
    assert files.list_files(str(tmp_path)) == ["a/b.wav"]


def test_what_an_earlier_run_finished_is_kept_unless_its_files_changed(pairs, monkeypatch):
    from style_transfer.pipelines.datasets import job

    plan = split_pairs(find_pairs(str(pairs / "in")).pairs, 0.5)
    shards, recipe = job.plan_shards(plan.pairs, 4), job.Recipe(8000, measures_tuning=False)
    made, make = [], job.make_records

    def counted(pair, recipe):
        made.append(pair.id)
        return make(pair, recipe)

    monkeypatch.setattr(job, "make_records", counted)
    folder = pairs / "partial"
    work = job.WriteShard(str(folder), recipe)
    rows = [row for shard in shards[:2] for row in work.process(shard)]
    assert len(made) == len(rows) > 0
    stamps = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert [row for shard in shards[:2] for row in work.process(shard)] == rows
    assert len(made) == len(rows)
    assert stamps == {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    changed = shards[0].pairs[0]
    tiny_pairs.write_midi(changed.midi_path, tiny_pairs.table(3.0, seed=99))
    list(work.process(shards[0]))
    assert made[len(rows):] == [pair.id for pair in shards[0].pairs]
    list(job.WriteShard(str(folder), job.Recipe(8000, False, (1, 2))).process(shards[1]))
    assert made[-1] == shards[1].pairs[-1].id, "another recipe is other work"


def test_a_run_takes_over_what_a_stopped_one_left_and_not_what_a_running_one_has(tmp_path):
    for name, process in (("old", 2**30), ("newer", 2**30), ("running", os.getpid())):
        _touch(tmp_path, f".out.{process}.{name}.partial/{name}")
        os.utime(tmp_path / f".out.{process}.{name}.partial", (len(name), len(name)))
    with pytest.raises(KeyboardInterrupt), create.partial_folder(str(tmp_path / "out")) as partial:
        assert os.listdir(partial) == ["newer"]
        raise KeyboardInterrupt
    assert sorted(name.split(".")[-2] for name in os.listdir(tmp_path)) == sorted(
        ["running", partial.split(".")[-2]])


def test_shards_of_a_job_array_are_together_what_one_run_makes(pairs):
    whole = dict(measures_tuning=False, shards=4)
    create.create_dataset(_settings(pairs, **whole))
    for number in (1, 2):
        description = create.create_dataset(_settings(pairs, **whole, shard=f"{number}/2"))
        assert description["read"] < 8
    expected = {path.name: path.read_bytes() for path in (pairs / "out").glob("*.tfrecord")}
    found = {path.name: path.read_bytes() for path in pairs.glob("out-0000?-of-00002/*.tfrecord")}
    assert found == expected and len(found) == 4
