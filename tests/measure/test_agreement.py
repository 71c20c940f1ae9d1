"""Notes that are given for a clip are compared with what is heard in it."""

import pathlib

import pytest

from style_transfer import audio as audio_lib
from style_transfer import piano_roll
from style_transfer.audio import Audio
from style_transfer.measure import agreement
from tests import pianos

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"
SECS = 8


@pytest.fixture(scope="module")
def clip():
    recording = audio_lib.load(EXAMPLES / "electric_grand.flac")
    return Audio(recording.samples[:SECS * recording.sample_rate], recording.sample_rate)


@pytest.fixture(scope="module")
def notes():
    return piano_roll.note_table(piano_roll.load_midi(EXAMPLES / "electric_grand.mid"))


def test_a_clips_own_notes_are_heard(clip, notes):
    found = agreement.measure_agreement(clip, notes)
    assert found.notes > 20 and found.share > 0.9
    assert agreement.check_notes(clip, notes) == []


def test_a_piano_in_baroque_pitch_has_its_notes(clip, notes):
    ratio = 2 ** (-101 / 1200)
    flat = audio_lib.resample(clip, round(clip.sample_rate / ratio))
    flat = Audio(flat.samples, clip.sample_rate)
    assert agreement.measure_agreement(flat, notes.at_tempo(ratio)).share > 0.9


@pytest.mark.parametrize("change", [
    lambda notes: notes.shift(0.5), lambda notes: notes.transpose(3),
    lambda notes: pianos.random_notes(80, SECS)], ids=["late", "transposed", "others"])
def test_foreign_notes_are_refused_with_figures(clip, notes, change):
    with pytest.raises(ValueError, match=r"Only \d+ of the \d+ notes given for the style clip are "
                                         r"heard in it \(\d+%; of a clip's own notes over 60% are"
                                         r"\): give the notes of this very clip, in its time, or"):
        agreement.check_notes(clip, change(notes))


def test_too_few_notes_to_be_sure_are_only_doubted(clip, notes):
    few = notes.shift(0.5).select(slice(0, 3))
    with_few, = agreement.check_notes(clip, few)
    assert "are they the notes of this clip, in its time?" in with_few


def test_no_notes_and_no_sound_are_no_fault_of_the_measure(clip, notes):
    assert agreement.check_notes(clip, notes.select(slice(0, 0))) == []
    silence = Audio(clip.samples[:24_000] * 0, clip.sample_rate)
    assert agreement.measure_agreement(silence, notes).heard == 0
