import dataclasses
import os

import numpy as np
import pytest

import style_transfer
from style_transfer import audio as audio_lib
from style_transfer import content as content_lib
from style_transfer import piano_roll, weights
from style_transfer.audio import Audio
from style_transfer.models.piano_ddsp import estimate, one_shot
from style_transfer.models.piano_ddsp.piano import Piano
from tests import pianos
from tests.transcription import tone_transcriber

RATE = 24_000


@pytest.fixture(scope="module")
def model():
    return pianos.tiny_model()


@pytest.fixture(scope="module")
def clip(model):
    return pianos.clip(model)


@pytest.fixture()
def piece(tmp_path):
    path = tmp_path / "piece.mid"
    sequence = piano_roll.to_sequence(pianos.random_notes(12, 2, seed=5))
    piano_roll.save_midi(path, sequence)
    return path


def test_package_is_callable_as_the_readme_says(model, clip, piece):
    result = style_transfer.transfer(str(piece), clip, model=model, adapt_steps=0)
    assert result.sample_rate == 24_000 and result.duration_secs > 2


def test_output_has_a_comfortable_loudness_unless_told_otherwise(model, clip, piece):
    quiet = audio_lib.at_loudness(clip, -41.0)
    for loudness, expected in ((None, audio_lib.COMFORTABLE_DB), (-31, -31),
                               ("clip", audio_lib.sounding_rms_db(quiet))):
        made = one_shot.transfer(piece, quiet, model=model, adapt_steps=0, loudness=loudness)
        assert audio_lib.sounding_rms_db(made) == pytest.approx(expected, abs=0.2)
    for wrong in ("loud", 3, float("nan")):
        with pytest.raises(ValueError, match="between -120 and 0 dB full scale, or clip"):
            one_shot.transfer(piece, quiet, model=model, adapt_steps=0, loudness=wrong)


def test_silence_round_a_clip_changes_nothing(model, clip):
    samples = np.pad(clip.samples, 60 * clip.sample_rate)
    padded = one_shot.estimate_piano(audio_lib.Audio(samples, clip.sample_rate), model=model,
                                     adapt_steps=0)
    plain = one_shot.estimate_piano(clip, model=model, adapt_steps=0)
    assert padded.loudness_db == pytest.approx(plain.loudness_db, abs=0.3)
    np.testing.assert_allclose(1200 * np.log2(padded.f0_hz / plain.f0_hz), 0, atol=1.0)
    similar = np.dot(padded.style, plain.style) / (
        np.linalg.norm(padded.style) * np.linalg.norm(plain.style))
    assert similar > 0.98


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
def test_other_sample_rates_give_the_same_music(model, clip, piece, rate):
    result = one_shot.transfer(piece, clip, model=model, adapt_steps=0, sample_rate=rate)
    base = audio_lib.resample(one_shot.transfer(piece, clip, model=model, adapt_steps=0), rate)
    assert result.sample_rate == rate
    length = min(len(result.samples), len(base.samples))
    left, right = result.samples[:length], base.samples[:length]
    assert np.corrcoef(left, right)[0, 1] > 0.99


@pytest.mark.parametrize("rate", [4_000, 96_000])
def test_sample_rates_out_of_range_are_refused(model, clip, piece, rate):
    with pytest.raises(ValueError, match="8000 to 48000"):
        one_shot.transfer(piece, clip, model=model, adapt_steps=0, sample_rate=rate)


def test_saved_piano_plays_the_same(model, clip, piece, tmp_path):
    piano = one_shot.estimate_piano(clip, model=model, adapt_steps=0, name="old upright")
    path = tmp_path / "upright.piano"
    piano.save(path)
    again = Piano.load(path)
    assert again.name == "old upright" and again.loudness_db == pytest.approx(
        audio_lib.sounding_rms_db(clip), abs=0.1)
    direct = one_shot.transfer(piece, piano, model=model)
    np.testing.assert_allclose(one_shot.transfer(piece, str(path), model=model).samples,
                               direct.samples, atol=1e-5)


def test_adapted_piano_is_small(model, clip, tmp_path):
    rng = np.random.default_rng(0)
    corrections = {"by_key": rng.normal(size=(22, 600)), "by_velocity": rng.normal(size=600),
                   "room": rng.normal(size=32)}
    path = tmp_path / "adapted.piano"
    pianos.piano(corrections=corrections).save(path)
    assert os.path.getsize(path) < 200_000


def test_piano_of_other_weights_is_refused(model, piece):
    with pytest.raises(ValueError, match="estimated with the weights 'old'"):
        one_shot.transfer(piece, pianos.piano(weights="old"), model=model)


def test_adaptation_with_the_clips_notes_changes_the_piano(model, clip):
    plain = one_shot.estimate_piano(clip, model=model, adapt_steps=0)
    notes = piano_roll.to_sequence(pianos.random_notes(30, 4))
    fitted = one_shot.estimate_piano(clip, style_midi=notes, adapt_steps=2, model=model)
    assert plain.corrections is None and fitted.corrections is not None
    assert np.abs(plain.style - fitted.style).max() > 1e-3


@pytest.mark.parametrize("content, message", [
    ("recording.wav", "There is no audio file"), ("missing.mid", "There is no MIDI file"),
    (b"MThd broken", "its header is cut short"), (b"", "holds no notes"),
    (b"\xff\xfe junk", "neither")])
def test_content_that_cannot_be_played_is_named(content, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        content_lib.content_notes(content)


def test_a_recording_as_content_is_transcribed(model):
    heard = tone_transcriber.make()
    recording = Audio(tone_transcriber.tones([69, 76]), 16_000)
    table = content_lib.content_notes(recording, transcriber=heard)
    assert (table.key + 21).tolist() == [69, 76]
    played = one_shot.transfer(recording, pianos.piano(weights="tiny"), model=model,
                               transcriber=heard)
    assert played.rms_db > -40 and played.duration_secs > 1.0
    with pytest.raises(ValueError, match="No piano notes were heard in the content"):
        content_lib.content_notes(Audio(np.zeros(16_000), 16_000), transcriber=heard)


def test_a_style_clip_without_midi_is_fitted_with_the_notes_heard_in_it(model):
    heard = tone_transcriber.make()
    clip = Audio(tone_transcriber.tones([69, 76, 81, 72, 60], 0.7, decay=3), 16_000)
    fitted = one_shot.estimate_piano(clip, model=model, adapt_steps=2, transcriber=heard)
    assert fitted.corrections is not None
    few = Audio(tone_transcriber.tones([69, 76], 1.5, decay=2), 16_000)
    with pytest.warns(UserWarning, match="Only 2 notes"):
        unfitted = one_shot.estimate_piano(few, model=model, transcriber=heard)
    assert unfitted.corrections is None


def test_content_of_drums_only_is_refused():
    from note_seq.protobuf import music_pb2

    sequence = music_pb2.NoteSequence()
    sequence.notes.add(pitch=36, velocity=90, start_time=0, end_time=1, is_drum=True)
    with pytest.raises(ValueError, match="drum"):
        content_lib.content_notes(sequence)


@pytest.mark.parametrize("samples, message", [
    (np.zeros(5 * RATE), "silent|silence"), (np.ones(RATE) * 0.1, "short|2")])
def test_style_that_holds_no_piano_is_an_error(model, samples, message):
    with pytest.raises(ValueError, match=message):
        one_shot.estimate_piano(Audio(samples.astype(np.float32), RATE), model=model)


def test_adapting_without_notes_is_an_error(model, clip):
    with pytest.raises(ValueError, match="style_midi"):
        one_shot.estimate_piano(clip, adapt_steps=5, model=model, transcribe_style=False)


def test_style_midi_of_another_time_is_an_error(model, clip):
    late = piano_roll.to_sequence(pianos.random_notes(5, 1).shift(100.0))
    with pytest.raises(ValueError, match="start at the same time"):
        one_shot.estimate_piano(clip, style_midi=late, model=model)


def test_foreign_notes_of_the_clip_are_refused_before_a_model_is_loaded(clip, piece, monkeypatch):
    monkeypatch.setattr(one_shot, "load", lambda: pytest.fail("a model was loaded"))
    monkeypatch.setattr(weights, "load", lambda: pytest.fail("a model was loaded"))
    foreign = pianos.random_notes(60, 4, seed=9)
    for call in (lambda: one_shot.transfer(piece, clip, style_midi=foreign),
                 lambda: one_shot.estimate_piano(clip, style_midi=foreign)):
        with pytest.raises(ValueError, match="give the notes of this very clip"):
            call()


def test_long_clip_is_cut_where_it_is_loudest_and_notes_follow():
    rng = np.random.default_rng(0)
    samples = rng.standard_normal(200 * 1000).astype(np.float32) * 0.01
    samples[120_000:170_000] *= 50
    table = pianos.notes((40, 0.5, 10.0, 11.0), (41, 0.5, 150.0, 151.0))
    clip, notes = estimate.excerpt(Audio(samples, 1000), table)
    assert clip.duration_secs == estimate.MAX_STYLE_SECS
    assert len(notes) == 1 and notes.key[0] == 41
    assert 0 <= notes.onset_secs[0] < 60


@pytest.mark.parametrize("damage", ["not a zip", "no json", "wrong keys"])
def test_damaged_piano_is_an_error(tmp_path, damage):
    path = tmp_path / "x.piano"
    if damage == "not a zip":
        path.write_bytes(b"junk")
    elif damage == "no json":
        import zipfile

        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("other", "")
    else:
        short = np.ones(5, np.float32)
        dataclasses.replace(pianos.piano(), f0_hz=short).save(path)
    with pytest.raises(ValueError, match="not a piano|holds"):
        Piano.load(path)
