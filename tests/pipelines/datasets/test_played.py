"""Notes that are played as their examples are made."""

import json

import numpy as np
import pytest

from style_transfer import audio as audio_lib
from style_transfer.midi import tracks
from style_transfer.pipelines.datasets import create, played
from style_transfer.pipelines.inputs import streams
from style_transfer.pipelines.records import examples, tfrecords
from tests.pipelines.rendering.test_soundfont import _font

RATE = 16_000


def song(seed, begin_secs=3.0):
    """A melody (program 40), chords (program 0) and drums."""
    from note_seq.protobuf import music_pb2

    rng = np.random.default_rng(seed)
    sequence = music_pb2.NoteSequence(ticks_per_quarter=480)
    sequence.tempos.add(qpm=120)
    for instrument, program, is_drum, pitches in (
            (0, 40, False, (72,)), (1, 0, False, (48, 52)), (9, 0, True, (38,))):
        for step in range(6):
            for pitch in pitches:
                start = begin_secs + 0.5 * step
                sequence.notes.add(pitch=pitch + int(rng.integers(5)), velocity=90,
                                   start_time=start, end_time=start + 0.4, program=program,
                                   instrument=instrument, is_drum=is_drum)
    sequence.total_time = begin_secs + 3
    return sequence


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    path = tmp_path_factory.mktemp("songs") / "notes.tfrecord"
    with tfrecords.atomic_file(path) as file:
        for seed in range(6):
            file.write(tfrecords.frame(song(seed).SerializeToString()))
    return path


def test_parts_are_the_pitched_instruments():
    parts = tracks.parts(song(0))
    assert [{n.program for n in part.notes} for part in parts] == [{40}, {0}]
    assert [len(part.notes) for part in parts] == [6, 12]


def test_what_is_drawn_depends_on_seed_and_piece_alone(songs, tmp_path):
    font = _font(tmp_path / "f.sf2", [(0, i, f"P{i}") for i in range(128)] + [(128, 0, "Drums")])
    listed = [played.find_pairs(str(songs), played.job_of(
        (str(font),), RATE, seed=seed, any_program=True), 5).pairs for seed in (0, 0, 1)]
    assert listed[0] == listed[1] != listed[2]
    pairs = listed[0]
    assert len(pairs) == 30 and len({pair.id for pair in pairs}) == 30
    programs = [int(pair.timbre_id.split("_")[1]) for pair in pairs]
    assert max(programs) < 112 and len(set(programs)) > 15
    parts = [pair.part for pair in pairs if pair.piece_id == pairs[0].piece_id]
    assert {part % 2 for part in parts} == {0, 1}
    assert sorted(map(parts.count, set(parts))) == [1, 2, 2], "two instruments play one part"


def test_pianos_play_whole_pieces(songs):
    job = played.job_of(("procedural:2",), RATE)
    pairs = played.find_pairs(str(songs), job, 4).pairs
    assert len(pairs) == 12, "each piece on both, as there are no more"
    sequence, audio = pairs[0].read(RATE)
    assert len(sequence.notes) == 18 and audio.sample_rate == RATE


def test_a_part_is_played_from_its_first_note(songs):
    job = played.job_of(("procedural:2",), RATE, any_program=True, max_secs=2.0)
    pairs = played.find_pairs(str(songs), job, 2).pairs
    counts = set()
    for pair in pairs[:2] + pairs[6:8]:
        sequence, audio = pair.read(RATE)
        onsets = [note.start_time for note in sequence.notes]
        assert min(onsets) == pytest.approx(0.1, abs=0.01) and max(onsets) < 2.0
        assert audio.duration_secs < 8 and audio.rms_db > -60
        counts.add(len(sequence.notes))
    assert counts == {4, 8}, "the melody, and the chords"


@pytest.fixture(scope="module")
def description(songs, tmp_path_factory):
    root = tmp_path_factory.mktemp("played")
    return root / "examples", create.create_dataset(create.Settings(
        input=str(songs), output_dir=str(root / "examples"), config="ss_vq_vae", sample_rate=RATE,
        measures_tuning=False, any_instrument=True, soundfonts=("procedural:3",), eval_ratio=0.4,
        instruments_per_piece=2, max_secs=3.0, shards=3))


def test_a_data_set_is_made_of_notes_alone(description):
    folder, found = description
    assert (found["read"], found["written"], found["skipped"]) == (12, 12, 0)
    assert json.loads((folder / "dataset.json").read_text()) == json.loads(json.dumps(found))
    _, references = streams.load_references(str(folder), None, RATE)
    assert len(references) == 12
    samples = examples.read_audio(references[0], 0, references[0].num_samples)
    assert np.abs(samples).max() > 0.01 and len(examples.read_notes(references[0]))


def test_the_disk_that_is_used_is_told(description):
    folder, found = description
    told = sum(split["bytes"] for split in found["splits"].values())
    on_disk = sum(path.stat().st_size for path in folder.glob("*.tfrecord"))
    assert told == on_disk - 16 * found["written"], "but for the frames of the records"
    secs = sum(split["secs"] for split in found["splits"].values())
    assert told < 2 * RATE * secs, "less than as WAV"


def test_examples_sound_like_the_rendered_pair(songs):
    job = played.job_of(("procedural:1",), RATE)
    pair = played.find_pairs(str(songs), job, 1).pairs[0]
    first, again = (pair.read(RATE)[1] for _ in range(2))
    np.testing.assert_array_equal(first.samples, again.samples)
    assert isinstance(first, audio_lib.Audio)
