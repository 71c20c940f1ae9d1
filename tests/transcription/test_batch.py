import numpy as np
import pytest

from style_transfer import audio as audio_lib
from style_transfer import piano_roll
from style_transfer.audio import Audio
from style_transfer.transcription import Thresholds, batch, transcriber
from tests.transcription import tone_transcriber


@pytest.fixture(autouse=True)
def tone_model(monkeypatch):
    model = tone_transcriber.make()
    monkeypatch.setattr(transcriber, "load", lambda weights=None: model)


@pytest.fixture
def recordings(tmp_path):
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    audio_lib.save(folder / "a.wav", Audio(tone_transcriber.tones([69, 76]), 16_000))
    audio_lib.save(folder / "deep" / "a.flac", Audio(tone_transcriber.tones([60]), 16_000))
    (folder / "bad.wav").write_bytes(b"RIFF nothing")
    return folder


def run(recordings, folder, **options):
    """Runs a batch; its summary and lines."""
    lines = []
    summary = batch.run(batch.Options(audio=(str(recordings),), output_dir=str(folder), **options),
                        lambda line, again=False: lines.append(line))
    return summary, lines


def test_a_folder_becomes_midi_and_a_bad_file_is_named(recordings, tmp_path):
    summary, lines = run(recordings, tmp_path / "out")
    assert str(summary) == "3 read, 2 written, 1 skipped"
    assert any("bad.wav" in line and "skipped" in line for line in lines)
    pitches = {path.name: [n.pitch for n in piano_roll.load_midi(path).notes]
               for path in (tmp_path / "out").glob("*.mid")}
    assert pitches == {"a.mid": [69, 76], "a-2.mid": [60]}


def test_every_format_is_written(recordings, tmp_path):
    import matplotlib.image

    run(recordings / "a.wav", tmp_path / "out", formats=batch.FORMATS)
    out = tmp_path / "out"
    names = sorted(p.name for p in out.glob("[!.]*"))
    assert names == ["a.csv", "a.mid", "a.notesequence", "a.png"]
    rows = (out / "a.csv").read_text().splitlines()
    assert rows[0] == batch.CSV_HEADER and len(rows) == 3
    assert rows[1].split(",")[3] == "69"
    sequence = piano_roll.load_midi(out / "a.notesequence")
    assert [note.pitch for note in sequence.notes] == [69, 76]
    assert np.ptp(matplotlib.image.imread(out / "a.png")) > 0.5


def test_existing_outputs_are_kept_unless_told_otherwise(recordings, tmp_path):
    out = tmp_path / "out"
    run(recordings / "a.wav", out)
    summary, _ = run(recordings / "a.wav", out)
    assert summary.kept == 1 and sorted(p.name for p in out.glob("[!.]*")) == ["a.mid"]
    run(recordings / "a.wav", out, thresholds=Thresholds(onset=0.9))
    assert sorted(p.name for p in out.glob("[!.]*")) == ["a-2.mid", "a.mid"]
    summary, _ = run(recordings / "a.wav", out, overwrite=True)
    assert summary.written == 1 and len(list(out.glob("[!.]*"))) == 2


def test_what_a_user_wrote_down_is_not_replaced_by_what_is_heard(recordings, tmp_path):
    out = tmp_path / "in"
    (out / "a.mid").write_bytes(b"mine")
    run(recordings / "a.wav", out, formats=("midi", "csv"))
    assert (out / "a.mid").read_bytes() == b"mine"
    assert sorted(p.name for p in out.glob("a-2.*")) == ["a-2.csv", "a-2.mid"]


def test_unknown_formats_and_missing_folders_are_errors(tmp_path):
    with pytest.raises(ValueError, match="xml"):
        batch.Options(audio=(), output_dir="out", formats=("xml",))
    with pytest.raises(FileNotFoundError, match="nowhere"):
        run(tmp_path / "nowhere", tmp_path)
