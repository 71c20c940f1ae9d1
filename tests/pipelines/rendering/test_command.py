"""`render_performances` from the command line, and the files it leaves."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from style_transfer import audio as audio_lib
from style_transfer.piano_roll import load_midi, note_table
from style_transfer.pipelines.records.tfrecords import frame
from style_transfer.pipelines.rendering import job as job_lib
from style_transfer.pipelines.rendering.midi_out import midi_bytes
from style_transfer.pipelines.rendering.pieces import find_pieces, playable
from tests.pipelines.rendering.cases import rms, sequence

ROOT = pathlib.Path(__file__).resolve().parents[3]


def _command(*flags):
    return subprocess.run([sys.executable,
                           "-m", "style_transfer.scripts.render_performances", *map(str, flags)],
                          cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture
def music(tmp_path):
    """A folder of two good performances, one cut short and one without notes."""
    folder = tmp_path / "music"
    (folder / "deep er").mkdir(parents=True)
    first = sequence([(60, 40, 0.0, 0.5), (64, 90, 0.5, 1.0), (60, 70, 1.0, 4.0)],
                     [(64, 0.2, 127), (64, 0.9, 0)])
    (folder / "one.mid").write_bytes(midi_bytes(note_table(first)))
    (folder / "deep er" / "two.mid").write_bytes(
        midi_bytes(note_table(sequence([(50, 100, 0.0, 0.4)]))))
    (folder / "bad.mid").write_bytes((folder / "one.mid").read_bytes()[:60])
    (folder / "empty.mid").write_bytes(midi_bytes(note_table(sequence([]))))
    return folder


def test_the_command_renders_what_it_can_names_the_rest_and_keeps_what_is_there(music, tmp_path):
    out = tmp_path / "out"
    flags = (f"--input={music}", "--soundfonts=procedural:2", f"--output_dir={out}",
             "--max_secs=2", "--sample_rate=16000", "--augment=1", "--num_workers=2")
    done = _command(*flags, "--licence=ours")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "4 read, 8 written, 2 skipped"
    assert done.stderr.count("skipped bad on") == done.stderr.count("skipped empty on") == 1
    assert not list(out.rglob("*.part")) and not list(out.rglob("*.incomplete"))
    rows = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    assert len(rows) == 8 and len({row["timbre_id"] for row in rows}) == 4
    for row in rows:
        audio, notes = out / row["audio"], note_table(load_midi(out / row["midi"]))
        assert audio == out / row["timbre_id"] / f"{row['piece_id']}.flac"
        assert soundfile.info(audio).samplerate == row["sample_rate"] == 16_000
        assert soundfile.info(audio).duration == pytest.approx(row["duration_secs"], abs=1e-3)
        assert len(notes) == row["num_notes"] and notes.end_secs <= 2.001
        expected = [40, 90] if row["piece_id"] == "one" else [100, 100]
        assert row["velocity_range"] == expected and row["licence"] == "ours"
    _check_that_only_what_is_gone_is_rendered_again(music, out, rows)


def _check_that_only_what_is_gone_is_rendered_again(music, out, rows):
    gone, kept = out / rows[0]["audio"], out / rows[1]["audio"]
    before, stamp = gone.read_bytes(), kept.stat().st_mtime_ns
    gone.unlink()
    (out / "manifest.jsonl").unlink()
    job = job_lib.Job(("procedural:2",), str(out), 16_000, max_secs=2, augment=1, licence="ours")
    report = job_lib.run_job(job, find_pieces(music))
    assert report.summary().startswith("4 read, 1 written, 2 skipped (7 existing kept")
    assert gone.read_bytes() == before and kept.stat().st_mtime_ns == stamp
    again = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    assert again == rows


@pytest.mark.parametrize("flags, message", [
    (["--soundfonts=procedural:1", "--input=nowhere/*.mid"], "matches no file"),
    (["--soundfonts=gone.sf2", "--input={music}"], "gone.sf2"),
    (["--soundfonts=procedural:1", "--input={music}/bad.mid"], "Nothing could be rendered"),
    (["--soundfonts=,", "--input={music}"], "--soundfonts is required"),
])
def test_mistakes_end_with_an_error_and_write_nothing(music, tmp_path, flags, message):
    out = tmp_path / "out"
    done = _command(*(flag.format(music=music) for flag in flags), f"--output_dir={out}",
                    "--num_workers=1")
    assert done.returncode == 1
    assert message in done.stderr and "Traceback" not in done.stderr
    assert not list(out.rglob("*.flac")) and not (out / "manifest.jsonl").exists()


def _run(tmp_path, source, **changes):
    job = job_lib.Job(specs=("procedural:1",), output_dir=str(tmp_path / "out"), **changes)
    return job_lib.run_job(job, find_pieces(source))


def test_overwriting_another_sample_rate_must_be_asked_for(music, tmp_path):
    assert _run(tmp_path, music / "one.mid", sample_rate=16_000).num_written == 1
    report = _run(tmp_path, music / "one.mid", sample_rate=24_000)
    assert report.num_written == 0 and "--overwrite" in report.skipped["one"]
    assert _run(tmp_path, music / "one.mid", sample_rate=24_000, overwrite=True).num_written == 1


def test_a_disc_error_in_one_pair_does_not_lose_the_others(music, tmp_path, monkeypatch):
    save = audio_lib.save

    def failing(path, audio):
        if path.stem == "one":
            raise OSError("disc full")
        save(path, audio)

    monkeypatch.setattr(audio_lib, "save", failing)
    report = _run(tmp_path, music)
    assert report.num_written == 1 and report.skipped["one"] == "disc full"


def test_records_of_note_sequences_are_performances_too(tmp_path):
    records = [sequence([(60 + i, 80, 0.0, 0.3)]).SerializeToString() for i in range(3)]
    path = tmp_path / "music.tfrecord"
    path.write_bytes(b"".join(frame(record) for record in records))
    pieces = find_pieces(path)
    assert [piece.id for piece in pieces] == [f"music_{i:06d}" for i in range(3)]
    assert [piece.load().notes[0].pitch for piece in pieces] == [60, 61, 62]
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ValueError, match="cut short"):
        find_pieces(path)


def test_pieces_of_one_name_keep_apart(tmp_path):
    for name in ("a/b.mid", "a_b.mid", "A_B.MIDI", "odd [1].mid"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(midi_bytes(note_table(sequence([(60, 80, 0, 1)]))))
    ids = [piece.id for piece in find_pieces(tmp_path)]
    assert len({name.lower() for name in ids}) == 4
    assert [piece.id for piece in find_pieces(tmp_path / "odd [1].mid")] == ["odd_1"]
    assert len(find_pieces(str(tmp_path / "**" / "*.mid"))) == 3


def test_playable_leaves_out_foreign_keys_and_cuts_pedals():
    notes = sequence([(30, 80, 0, 1), (60, 80, 0.5, 0.8), (62, 80, 5, 6)],
                     [(64, 0.1, 127), (64, 9.0, 0)])
    table = playable(notes, frozenset(range(40, 80)), 3.0)
    assert table.key.tolist() == [60 - 21]
    assert table.damped_secs.tolist() == [3.0]
    assert table.pedals.sustain[0].tolist() == [0.1, 3.0]
    with pytest.raises(ValueError, match="none of its notes"):
        playable(notes, frozenset({90}), 0)


def test_audio_follows_the_notes_it_is_written_with(music, tmp_path):
    _run(tmp_path, music / "one.mid")
    [flac] = (tmp_path / "out").rglob("one.flac")
    audio = audio_lib.load(flac)
    assert rms(audio, 0.0, 0.4) > 1e-3
    assert audio.duration_secs >= 4.0
    assert np.max(np.abs(audio.samples)) <= 0.981


def test_a_damaged_manifest_is_named(tmp_path):
    (tmp_path / job_lib.MANIFEST).write_text("{nonsense\n")
    with pytest.raises(ValueError, match="Remove it"):
        job_lib.read_manifest(tmp_path)


def test_a_missing_fluidsynth_stops_the_job_before_it_begins(music, tmp_path, monkeypatch):
    font = tmp_path / "a.sf2"
    font.write_bytes(b"RIFF\x56\0\0\0sfbkphdr\x4c\0\0\0" + b"Grand".ljust(38, b"\0")
                     + b"EOP".ljust(38, b"\0"))
    monkeypatch.setenv("PATH", str(tmp_path))
    job = job_lib.Job(specs=(str(font),), output_dir=str(tmp_path / "out"))
    with pytest.raises(ValueError, match="apt install fluidsynth"):
        job_lib.run_job(job, find_pieces(music))


@pytest.mark.parametrize("scheme", ["memory", "file"])
def test_recordings_may_go_to_a_url(music, tmp_path, scheme):
    fsspec = pytest.importorskip("fsspec")
    from style_transfer.job_arrays import Shard

    url = f"{scheme}://{tmp_path}/bucket/rendered"
    store, root = fsspec.core.url_to_fs(url)
    pieces = [piece for piece in find_pieces(str(music)) if piece.id not in ("bad", "empty")]
    job = job_lib.Job(("procedural:seed=1",), url, 8000, max_secs=0.5)
    for number in (1, 2):
        report = job_lib.run_job(job, pieces, shard=Shard(number, 2))
        assert report.num_written == report.num_read == 1
    found = [path[len(root):].lstrip("/") for path in store.find(root)]
    names = [name for name in found if not name.rpartition("/")[2].startswith(".")]
    assert sorted(names) == sorted(
        [f"manifest-0000{number}-of-00002.jsonl" for number in (1, 2)]
        + [f"procedural_upright_1/{piece.id}.{kind}"
           for piece in pieces for kind in ("flac", "mid")])
    assert not [name for name in found if name.endswith((".lock", ".part"))]
    before = {name: store.cat_file(f"{root}/{name}") for name in names}
    assert job_lib.run_job(job, pieces[:1], shard=Shard(1, 1)).num_kept == 1
    assert {name: store.cat_file(f"{root}/{name}") for name in names} == before


def test_two_renders_into_one_folder_lose_no_rows_and_shards_have_manifests_of_their_own(
        music, tmp_path):
    from style_transfer.job_arrays import Shard

    out = tmp_path / "out"
    pieces = [piece for piece in find_pieces(str(music)) if piece.id not in ("bad", "empty")]
    job = job_lib.Job(("procedural:seed=1",), str(out), 8000, max_secs=0.5)
    found = []

    def meanwhile(result):
        """The second begins and ends while the first is rendering."""
        if not found:
            found.append(None)
            job_lib.run_job(job, pieces[1:])

    job_lib.run_job(job, pieces[:1], on_result=meanwhile)
    assert len(job_lib.read_manifest(out)) == len(pieces) == 2
    out = tmp_path / "shards"
    (out / "x").mkdir(parents=True)
    leftover = out / ".0123456789ab.part"
    leftover.mkdir()
    for number in (1, 2):
        report = job_lib.run_job(
            job_lib.Job(("procedural:seed=1",), str(out), 8000, max_secs=0.5), pieces,
            shard=Shard(number, 2))
        assert report.num_read == report.num_written == 1
    assert not leftover.exists()
    manifests = sorted(path.name for path in out.glob("manifest*"))
    assert manifests == ["manifest-00001-of-00002.jsonl", "manifest-00002-of-00002.jsonl"]
    from style_transfer.pipelines.datasets import find_pairs

    listing = find_pairs(str(out))
    assert listing.layout == "rendered" and not listing.problems
    assert sorted(pair.piece_id for pair in listing.pairs) == sorted(p.id for p in pieces)
