"""Performances are cut where Magenta cuts them, and its parts are what training sees."""

import json
import pathlib

import numpy as np
import pytest

from style_transfer.audio import Audio
from style_transfer.pipelines.datasets import segments

note_seq = pytest.importorskip("note_seq")
FIXTURE = pathlib.Path(__file__).parent / "fixtures" / "onsets_frames_labels"
GOLDEN = dict(np.load(FIXTURE / "io.npz"))
RESULTS = json.loads((FIXTURE / "spec.json").read_text())["results"]
RATE = 16_000


@pytest.fixture(scope="module")
def parts():
    sequence = note_seq.NoteSequence.FromString((FIXTURE / "seq_split.pb").read_bytes())
    audio = Audio(GOLDEN["split_wav_int16"] / np.float32(32767), RATE)
    return audio, list(segments.split_at_silence(audio, sequence, "golden", 2, 5))


def test_parts_equal_magentas(parts):
    _, found = parts
    expected = RESULTS["process_record_min2_max5"]
    assert len(found) == len(expected)
    for (audio, sequence), golden in zip(found, expected, strict=True):
        assert len(audio.samples) == golden["wav_frames"]
        assert len(sequence.notes) == golden["notes"]
        assert sequence.total_time == pytest.approx(golden["total_time"], abs=1e-9)
        first = sequence.notes[0]
        assert (first.pitch, first.start_time, first.end_time) == pytest.approx(
            golden["first_note"], abs=1e-9)
        assert sequence.subsequence_info.start_time_offset == golden["subsequence_start"]
        assert sequence.subsequence_info.end_time_offset == pytest.approx(
            golden["subsequence_end"], abs=1e-9)


def test_cuts_lie_where_magenta_finds_silence(parts):
    from magenta.models.onsets_frames_transcription import audio_label_data_utils

    sequence = note_seq.NoteSequence.FromString((FIXTURE / "seq_split.pb").read_bytes())
    samples = GOLDEN["split_wav_int16"] / np.float32(32767)
    for shortest, longest in ((2, 5), (1, 3)):
        points = audio_label_data_utils.find_split_points(sequence, samples, RATE, shortest,
                                                          longest)
        np.testing.assert_allclose(points, GOLDEN[f"split_points_{shortest}_{longest}"], atol=1e-9)
    starts = [part.subsequence_info.start_time_offset for _, part in parts[1]]
    assert set(starts) <= set(GOLDEN["split_points_2_5"])


def test_the_audio_of_a_part_is_that_of_its_time(parts):
    whole, found = parts
    loudest = np.abs(whole.samples).max()
    for audio, sequence in found:
        first = int(sequence.subsequence_info.start_time_offset * RATE)
        expected = whole.samples[first:first + len(audio.samples)] / loudest
        np.testing.assert_allclose(audio.samples, expected, atol=1e-3)


def test_cuts_between_samples_are_rounded_down_as_magentas():
    sequence = note_seq.NoteSequence.FromString((FIXTURE / "seq_split.pb").read_bytes())
    audio = Audio(GOLDEN["split_wav_int16"] / np.float32(32767), RATE)
    starts = np.arange(0, sequence.total_time, 0.7)
    first = (starts * RATE).astype(int)
    assert (first != np.rint(starts * RATE)).any()  # 2.1 s * 16 kHz is a little below 33600
    loudest = np.abs(audio.samples).max()
    found = list(segments.split_at_silence(audio, sequence, "golden", 0.7, 0.7))
    assert len(found) > 3
    for part, notes in found:
        begin = first[np.argmin(np.abs(starts - notes.subsequence_info.start_time_offset))]
        np.testing.assert_allclose(
            part.samples, audio.samples[begin:begin + len(part.samples)] / loudest, atol=1e-3)
