import numpy as np
import pytest
import soxr

import style_transfer
from style_transfer import piano_roll, weights
from style_transfer.audio import Audio
from style_transfer.transcription import Thresholds, decoding, transcriber
from tests import pianos
from tests.transcription import tone_transcriber

PITCHES = [69, 76, 81]


@pytest.fixture(scope="module")
def model():
    return tone_transcriber.make()


def test_tones_become_notes_of_their_pitch_and_time(model):
    sequence = style_transfer.transcribe(Audio(tone_transcriber.tones(PITCHES), 16_000), model)
    assert [note.pitch for note in sequence.notes] == PITCHES
    starts = [note.start_time for note in sequence.notes]
    assert starts == pytest.approx([0.2, 0.6, 1.0], abs=0.08)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100])
def test_any_sample_rate_gives_the_same_notes(model, rate):
    sequence = transcriber.transcribe(Audio(tone_transcriber.tones(PITCHES, rate=rate), rate),
                                      model)
    assert [note.pitch for note in sequence.notes] == PITCHES


def test_the_level_of_a_recording_does_not_matter(model):
    samples = tone_transcriber.tones(PITCHES)
    loud, soft = (transcriber.transcribe(Audio(samples * gain, 16_000), model)
                  for gain in (1.0, 0.01))
    assert [n.pitch for n in loud.notes] == [n.pitch for n in soft.notes] == PITCHES
    assert [n.start_time for n in loud.notes] == pytest.approx([n.start_time for n in soft.notes],
                                                               abs=1e-3)


@pytest.mark.parametrize("cents", [-45, -20, 20, 45])
def test_a_recording_out_of_tune_has_the_notes_and_times_of_one_in_tune(model, cents):
    samples = tone_transcriber.tones(PITCHES)
    in_tune = transcriber.transcribe(Audio(samples, 16_000), model)
    speed = 2 ** (cents / 1200)
    audio = Audio(soxr.resample(samples, 16_000 * speed, 16_000), 16_000)
    heard = transcriber.transcribe_fully(audio, model)
    assert [note.pitch for note in heard.sequence.notes] == PITCHES
    assert heard.frames_per_second == pytest.approx(model.frames_per_second * speed, rel=3e-3)
    for side in ("start_time", "end_time"):
        times, wanted = ([getattr(note, side) for note in sequence.notes]
                         for sequence in (heard.sequence, in_tune))
        assert np.array(times) * speed == pytest.approx(wanted, abs=0.01)


def test_velocities_are_those_of_the_notes_and_have_a_scale():
    rng = np.random.default_rng(0)
    frames = np.zeros((200, 88), np.float16)
    outputs = {"onset": frames.copy(), "offset": frames, "frame": frames + 1, "key": frames + 1,
               "pedal": frames[:, :1], "velocity": rng.random((200, 88)).astype(np.float16),
               "velocity_scale": rng.random((200, 88)).astype(np.float16)}
    for frame, key in ((20, 40), (20, 30), (60, 40), (97, 87)):
        outputs["onset"][frame - 1:frame + 2, key] = 0.3, 0.9, 0.5
    heard = transcriber.Transcription(decoding.decode(outputs, 49.0), outputs, 49.0)
    table, found = piano_roll.note_table(heard.sequence), heard.velocities()
    assert sorted(table.key) == [30, 40, 40, 87]
    assert found.mean == pytest.approx(table.velocity, abs=0.5 / 127 + 1e-3)
    places = {(round(onset * 49), key) for onset, key in zip(table.onset_secs, table.key,
                                                             strict=True)}
    assert places == {(20, 30), (20, 40), (60, 40), (97, 87)}
    for std, onset, key in zip(found.std, table.onset_secs, table.key, strict=True):
        scale = float(outputs["velocity_scale"][round(onset * 49), key])
        assert std == pytest.approx(transcriber.OVERCONFIDENCE * scale, rel=1e-3)
    del outputs["velocity_scale"]
    assert np.all(heard.velocities().std == transcriber.UNKNOWN_STD)


def test_thresholds_are_used(model):
    audio = Audio(tone_transcriber.tones(PITCHES), 16_000)
    with pytest.warns(UserWarning, match="No piano notes"):
        assert not transcriber.transcribe(audio, model, Thresholds(onset=1.1)).notes
    with pytest.warns(UserWarning, match="No piano notes"):
        assert not transcriber.transcribe(audio, model, Thresholds(min_note_secs=0.7)).notes


def test_silence_is_warned_of_and_has_no_notes(model):
    with pytest.warns(UserWarning, match="silent"):
        assert not transcriber.transcribe(Audio(np.zeros(16_000), 16_000), model).notes


def test_what_cannot_be_a_recording_is_refused(model):
    with pytest.raises(ValueError, match=r"lasts 0\.050 s"):
        transcriber.transcribe(Audio(np.ones(800), 16_000), model)
    with pytest.raises(ValueError, match="3 of the recording's 16000 samples"):
        transcriber.transcribe(Audio(np.r_[np.ones(15_997), [np.nan] * 3], 16_000), model)
    with pytest.raises(FileNotFoundError):
        transcriber.transcribe("nowhere.wav", model)


def test_a_pause_does_not_make_the_recording_louder(model):
    samples = tone_transcriber.tones(PITCHES)
    with_pause = np.r_[samples, np.zeros(3 * len(samples), np.float32)]
    assert transcriber.loudest_level(with_pause) == pytest.approx(
        transcriber.loudest_level(samples), abs=0.5)


def test_weights_of_another_kind_are_refused(tmp_path):
    weights.save(pianos.tiny_model(), tmp_path, "tiny")
    with pytest.raises(ValueError, match="does not transcribe"):
        transcriber.load(tmp_path)


def test_relative_velocities_are_moved_alike_to_what_is_likely_of_music():
    model = tone_transcriber.make()
    recording = Audio(tone_transcriber.tones([69, 76, 81]), 16_000)
    model.velocities_are_relative = False
    as_heard = transcriber.transcribe_fully(recording, model)
    model.velocities_are_relative = True
    moved = transcriber.transcribe_fully(recording, model)
    before, after = (np.array([note.velocity for note in found.sequence.notes])
                     for found in (as_heard, moved))
    share = 1 / (1 + (decoding.VELOCITY_SHIFT_STD / decoding.MUSIC_VELOCITY_STD) ** 2)
    likely = 127 * decoding.MUSIC_VELOCITY + share * (
        before.mean() - 127 * decoding.MUSIC_VELOCITY)
    assert after.mean() == pytest.approx(likely, abs=1) and abs(before.mean() - likely) > 3
    assert np.ptp(after - before) <= 1
    table = piano_roll.note_table(moved.sequence)
    assert moved.velocities().mean == pytest.approx(table.velocity, abs=1 / 127)
