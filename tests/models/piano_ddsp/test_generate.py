import dataclasses
import zipfile

import numpy as np
import pytest
import scipy.signal

from style_transfer import audio as audio_lib
from style_transfer import content as content_lib
from style_transfer import piano_roll
from style_transfer.audio import Audio
from style_transfer.measure import high_band, stereo
from style_transfer.models.piano_ddsp import estimate, one_shot, playing
from style_transfer.models.piano_ddsp import generate as batch
from style_transfer.models.piano_ddsp.options import Options
from style_transfer.models.piano_ddsp.piano import Piano
from style_transfer.transcription import transcriber
from tests import pianos
from tests.transcription import tone_transcriber


@pytest.fixture(scope="module")
def model():
    return pianos.tiny_model()


@pytest.fixture()
def files(tmp_path, model):
    """Two pieces, a broken one and a style clip."""
    folder = tmp_path / "pieces"
    folder.mkdir()
    for i in range(2):
        sequence = piano_roll.to_sequence(pianos.random_notes(8, 1, seed=i))
        piano_roll.save_midi(folder / f"piece{i}.mid", sequence)
    (folder / "broken.mid").write_bytes(b"MThd but no more")
    style = tmp_path / "style.wav"
    audio_lib.save(style, pianos.clip(model, loudness_db=-25.0))
    return folder, style


def generated(content, output_dir, style, report=lambda line, again=False: None, **options):
    """Plays content with the tiny model."""
    options = Options(content=(str(content),), output_dir=str(output_dir), style=str(style),
                      **{"adapt_steps": 0, **options})
    return batch.generate(options, pianos.tiny_model, report)


def run(files, tmp_path, **options):
    """A batch into `out`; gives the summary and the lines reported."""
    folder, style = files
    lines = []
    summary = generated(folder, tmp_path / "out", style,
                        lambda line, again=False: lines.append(line), **options)
    return summary, lines


def test_batch_writes_audio_midi_and_pictures_and_names_what_it_skips(files, tmp_path):
    summary, lines = run(files, tmp_path)
    assert (summary.read, summary.written, summary.skipped) == (3, 2, 1)
    assert any("skipped" in line and "broken.mid" in line for line in lines)
    names = sorted(path.name for path in (tmp_path / "out").glob("[!.]*"))
    assert names == [f"piece{i}.{end}" for i in range(2) for end in ("mid", "png", "wav")]
    assert any("real-time factor" in line for line in lines)


def test_recordings_among_the_contents_are_transcribed_and_kept_as_midi(files, tmp_path,
                                                                        monkeypatch):
    heard = tone_transcriber.make()
    monkeypatch.setattr(transcriber, "load", lambda weights=None: heard)
    recording = Audio(tone_transcriber.tones([69, 76, 81]), 16_000)
    audio_lib.save(files[0] / "piece0.flac", recording)
    summary, lines = run(files, tmp_path, picture=False)
    assert (summary.read, summary.written, summary.skipped) == (4, 3, 1)
    assert any("transcribed" in line and "3 notes" in line for line in lines)
    names = sorted(path.name for path in (tmp_path / "out").glob("piece0*"))
    assert names == ["piece0-2.mid", "piece0-2.wav", "piece0.mid", "piece0.wav"]
    midis = [piano_roll.load_midi(tmp_path / "out" / name) for name in names if "mid" in name]
    assert sorted(len(midi.notes) for midi in midis) == [3, 8]


def test_file_equals_what_the_api_gives(files, tmp_path, model):
    run(files, tmp_path, picture=False, sample_rate=16_000)
    written = audio_lib.load(tmp_path / "out" / "piece0.wav")
    direct = one_shot.transfer(files[0] / "piece0.mid", files[1], model=model, adapt_steps=0,
                               sample_rate=16_000)
    pianos.assert_same_sound(written.samples, direct.samples)


def test_written_midi_holds_the_notes_that_were_played(files, tmp_path):
    run(files, tmp_path, picture=False)
    given, written = (content_lib.content_notes(folder / "piece0.mid")
                      for folder in (files[0], tmp_path / "out"))
    np.testing.assert_array_equal(given.key, written.key)
    np.testing.assert_allclose(given.onset_secs, written.onset_secs, atol=2e-3)
    np.testing.assert_allclose(given.damped_secs, written.damped_secs, atol=2e-3)


def test_existing_outputs_are_kept_unless_told_otherwise(files, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "piece0.wav").write_bytes(b"mine")
    summary, _ = run(files, tmp_path, picture=False)
    assert (summary.kept, summary.written) == (0, 2)
    assert (out / "piece0.wav").read_bytes() == b"mine"
    names = sorted(path.name for path in out.glob("*.wav"))
    assert names == ["piece0-style.wav", "piece0.wav", "piece1.wav"]
    summary, _ = run(files, tmp_path, picture=False)
    assert (summary.kept, summary.written) == (2, 0)
    summary, _ = run(files, tmp_path, picture=False, overwrite=True, loudness=-30.0)
    assert (summary.kept, summary.written) == (0, 2)
    assert (out / "piece0.wav").read_bytes() != b"mine"


def test_a_piano_that_is_there_is_not_replaced_which_shows_before_any_work(files, tmp_path):
    path = tmp_path / "grand.piano"
    path.write_bytes(b"mine")
    asked = {"content": (str(files[0]),), "style": str(files[1]), "save_piano": str(path),
             "output_dir": str(tmp_path / "out")}
    with pytest.raises(FileExistsError, match="holds something else"):
        batch.check(Options(**asked))
    batch.check(Options(**asked, overwrite=True))


def test_loudness_that_would_clip_is_lowered_and_said(files, tmp_path):
    _, lines = run(files, tmp_path, picture=False, loudness=0.0)
    assert any("would clip" in line for line in lines)
    assert np.abs(audio_lib.load(tmp_path / "out" / "piece0.wav").samples).max() <= 1


def test_flac_is_written(files, tmp_path):
    run(files, tmp_path, picture=False, format="flac")
    assert audio_lib.load(tmp_path / "out" / "piece0.flac").duration_secs > 1


def test_piano_is_saved_and_used_again(files, tmp_path):
    path = tmp_path / "steinway.piano"
    run(files, tmp_path, picture=False, save_piano=str(path))
    first = audio_lib.load(tmp_path / "out" / "piece0.wav").samples
    summary, _ = run((files[0], path), tmp_path, overwrite=True)
    assert summary.written == 2
    np.testing.assert_allclose(audio_lib.load(tmp_path / "out" / "piece0.wav").samples, first,
                               atol=1e-4)


def stereo_style(files):
    """The style clip with its second half's channels apart, as a file of two channels."""
    mono = audio_lib.load(files[1])
    side = 0.3 * np.roll(mono.samples, 40)
    path = files[1].with_name("stereo.wav")
    audio_lib.save(path, Audio(np.stack([mono.samples + side, mono.samples - side], axis=1),
                               mono.sample_rate))
    return path


def test_results_have_the_channels_of_the_clip_or_as_many_as_asked(files, tmp_path):
    for name, style, asked, expected in (
            ("as_mono", files[1], None, 1), ("as_stereo", stereo_style(files), None, 2),
            ("to_mono", stereo_style(files), 1, 1), ("to_stereo", files[1], 2, 2)):
        generated(files[0] / "piece0.mid", tmp_path / name, style, channels=asked, picture=False)
        found = audio_lib.load(tmp_path / name / "piece0.wav", stereo=True)
        assert found.channels == expected, name
    for one, two in (("as_mono", "to_stereo"), ("to_mono", "as_stereo")):
        mono, stereo = (audio_lib.load(tmp_path / name / "piece0.wav", stereo=True).samples
                        for name in (one, two))
        np.testing.assert_allclose(stereo.mean(axis=1), mono, atol=2e-6)
        assert np.std(stereo[:, 0] - stereo[:, 1]) > 0.05 * np.std(mono)


def test_a_loud_stereo_result_does_not_clip_in_either_channel(files, tmp_path):
    generated(files[0] / "piece0.mid", tmp_path / "out", files[1], channels=2, picture=False,
              loudness="-1")
    found = audio_lib.load(tmp_path / "out" / "piece0.wav", stereo=True).samples
    assert 0.99 < np.max(np.abs(found)) <= 1.0
    assert np.max(np.abs(found), axis=0).min() > 0.2


def test_a_saved_piano_keeps_its_image_and_band_and_older_files_have_none(tmp_path):
    image = stereo.default_image()
    bands = np.linspace(-20, 0, high_band.NUM_BANDS).astype(np.float32)
    full = pianos.piano(image=image, high_band_db=bands)
    full.save(tmp_path / "full.piano")
    found = Piano.load(tmp_path / "full.piano")
    assert found.channels == 2 and found.sample_rate == 44_100
    np.testing.assert_array_equal(found.high_band_db, bands)
    for name in stereo.SHAPES:
        np.testing.assert_array_equal(getattr(found.image, name), getattr(image, name))
    pianos.piano().save(tmp_path / "old.piano")  # the same bytes as before there were images
    with zipfile.ZipFile(tmp_path / "old.piano") as archive:
        assert not [name for name in archive.namelist() if "image" in name or "band" in name]
    old = Piano.load(tmp_path / "old.piano")
    assert old.image is None and old.channels == 1 and old.sample_rate == 24_000
    wrong = dataclasses.replace(image, width=image.width - 1)
    dataclasses.replace(full, image=wrong).save(tmp_path / "wrong.piano")
    with pytest.raises(ValueError, match="numbers that no piano has"):
        Piano.load(tmp_path / "wrong.piano")


def test_a_clip_of_a_high_rate_tells_what_is_above_the_nets_and_a_low_pass_tells_nothing(model):
    table = pianos.random_notes(30, 4)
    true = pianos.piano(high_band_db=np.full(high_band.NUM_BANDS, 6.0, np.float32))
    samples = np.concatenate(list(playing.play(model, true, table, seed=7,
                                               sample_rate=44_100)))
    taps = scipy.signal.firwin(801, 16_000, fs=44_100, window=("kaiser", 12))
    cut = scipy.signal.oaconvolve(samples, taps, mode="same")
    for clip, highest_hz in ((samples, 20_000), (cut, 16_000)):
        clip = Audio(clip[:4 * 44_100], 44_100)
        at_24k = audio_lib.resample(clip, 24_000)
        wide = dataclasses.replace(clip, samples=clip.samples * np.float32(
            10 ** ((estimate.TRAINING_RMS_DB - at_24k.rms_db) / 20)))
        at_24k = audio_lib.resample(wide, 24_000)
        gain = 10 ** ((at_24k.rms_db - clip.rms_db) / 20)
        found = estimate._widened(model, pianos.piano(), wide, table, at_24k, 0).high_band_db
        centre = high_band.LOW_HZ + high_band.BAND_HZ * (np.arange(high_band.NUM_BANDS) + 0.5)
        expected = 6 + 20 * np.log10(gain)
        heard = centre < highest_hz - 600
        assert np.median(found[heard]) == pytest.approx(expected, abs=1.5)
        assert np.all(found[centre > highest_hz + 400] == high_band.NOTHING_DB)
    low = audio_lib.resample(Audio(samples, 44_100), 22_050)
    assert not len(estimate._widened(model, pianos.piano(), low, table, low, 0).high_band_db)


def test_contents_of_one_name_do_not_overwrite_each_other(files, tmp_path):
    other = files[0] / "sub"
    other.mkdir()
    (other / "piece0.mid").write_bytes((files[0] / "piece0.mid").read_bytes())
    summary, _ = run(files, tmp_path, picture=False)
    assert summary.written == 3
    assert (tmp_path / "out" / "piece0-2.wav").exists()


def test_a_recording_is_not_replaced_by_what_is_made_of_it(files, tmp_path, monkeypatch):
    heard = tone_transcriber.make()
    monkeypatch.setattr(transcriber, "load", lambda weights=None: heard)
    recording = tmp_path / "recording.wav"
    audio_lib.save(recording, Audio(tone_transcriber.tones([69]), 16_000))
    before = recording.read_bytes()
    assert generated(recording, tmp_path, files[1], picture=False, overwrite=True).written == 1
    assert recording.read_bytes() == before
    assert all((tmp_path / f"recording-style.{end}").exists() for end in ("wav", "mid"))


def test_results_do_not_become_content(files, tmp_path):
    folder, style = files
    with pytest.raises(ValueError, match="give another one"):
        generated(folder, folder, style)
    assert [generated(folder, folder / "out", style, picture=False).read
            for _ in range(2)] == [3, 3]


def test_missing_weights_of_the_transcriber_are_an_error_and_no_skipped_recording(files, tmp_path):
    audio_lib.save(files[0] / "recording.wav", Audio(tone_transcriber.tones([69]), 16_000))
    with pytest.raises(FileNotFoundError, match="no such weights|no weights"):
        run(files, tmp_path, transcriber=str(tmp_path / "nowhere"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("contents", ["nothing.mid", "no*.mid"])
def test_missing_content_is_an_error(contents, tmp_path, files):
    with pytest.raises(FileNotFoundError, match="There is nothing at"):
        generated(tmp_path / contents, tmp_path / "out", files[1])


def test_missing_style_is_an_error_before_any_work(tmp_path, files):
    with pytest.raises(FileNotFoundError, match="There is no style"):
        generated(files[0], tmp_path / "out", tmp_path / "no.wav")
    assert not (tmp_path / "out").exists()


def test_failure_leaves_nothing_half_written(files, tmp_path, monkeypatch):
    def broken(*args):
        yield np.zeros(100, np.float32)
        raise ValueError("no more")

    monkeypatch.setattr(playing, "played", broken)
    summary, _ = run(files, tmp_path)
    assert summary.written == 0
    assert list((tmp_path / "out").iterdir()) == []
