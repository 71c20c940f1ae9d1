"""Sequences of classes and notes made of them equal those of Magenta's converters."""

import json
import pathlib

import numpy as np
import pytest

from style_transfer import configs
from style_transfer.symbolic import encodings

note_seq = pytest.importorskip("note_seq")
pytest.importorskip("magenta")
pytestmark = pytest.mark.filterwarnings("ignore")  # of magenta and what it imports

FIXTURES = pathlib.Path(__file__).parent / "fixtures"
NAMES = ("flat_2bar", "flat_16bar", "hierdec")
each_model = pytest.mark.parametrize("name", NAMES)


def golden(name):
    folder = FIXTURES / f"music_vae_{name}"
    config = json.loads((folder / "spec.json").read_text())["config"]
    return folder, np.load(folder / "io.npz"), config, configs.get(config).examples.layout


def read(path):
    return note_seq.NoteSequence.FromString(path.read_bytes())


@each_model
def test_sequences_of_a_melody_equal_magentas(name):
    folder, io, config, layout = golden(name)
    melodies = sorted(folder.glob("melody_*.pb"))
    for index, path in enumerate(melodies):
        expected = io[f"converter_{index}_inputs"]
        labels = encodings.to_labels(read(path), layout)
        np.testing.assert_array_equal(encodings.one_hot(labels, layout), expected)
        np.testing.assert_array_equal(encodings.encoder_inputs(labels, layout), expected)
    assert any(len(io[f"converter_{index}_inputs"]) for index in range(len(melodies)))


@each_model
def test_notes_of_a_decoded_sequence_equal_magentas(name):
    folder, io, _, layout = golden(name)
    for index, one_hot in enumerate(io["greedy_samples"]):
        labels = encodings.classes(one_hot, layout)
        assert encodings.to_sequence(labels, layout) == read(folder / f"greedy_{index}.pb")


def band(bars=18):
    """Melody, bass and drums in 4/4, with some variety."""
    sequence = note_seq.NoteSequence(ticks_per_quarter=220)
    sequence.tempos.add(qpm=120)
    sequence.time_signatures.add(numerator=4, denominator=4)
    rng = np.random.default_rng(0)
    for beat in range(4 * bars):
        for instrument, program, low in ((0, 0, 60), (1, 33, 36)):
            sequence.notes.add(pitch=low + int(rng.integers(12)), velocity=80,
                               start_time=beat / 2, end_time=beat / 2 + 0.4,
                               instrument=instrument, program=program)
        for pitch in rng.choice([36, 38, 42, 46, 50], 2, replace=False):
            sequence.notes.add(pitch=int(pitch), velocity=80, start_time=beat / 2,
                               end_time=beat / 2 + 0.1, instrument=9, is_drum=True)
    sequence.total_time = 2 * bars
    return sequence


@pytest.mark.parametrize("config", ["cat-drums_2bar_small", "hierdec-trio_16bar"])
def test_drums_and_trios_are_what_magentas_converters_make_of_them(config):
    layout = configs.get(config).examples.layout
    converter = encodings.converter(layout)
    tensors = converter.to_tensors(band())
    inputs, outputs = np.array(tensors.inputs), np.array(tensors.outputs)
    labels = encodings.classes(outputs, layout)
    assert len(labels) > 1
    np.testing.assert_array_equal(encodings.one_hot(labels, layout), outputs)
    np.testing.assert_array_equal(encodings.encoder_inputs(labels, layout), inputs)
    assert encodings.to_sequence(labels[0], layout) == converter.from_tensors(outputs[:1])[0]
    found = encodings.to_labels(band(), layout)
    assert {one.tobytes() for one in found} == {one.astype(np.int16).tobytes() for one in labels}


@pytest.mark.parametrize("semitones", [-5, 3])
def test_moved_classes_are_those_of_moved_notes(semitones):
    layout, moved = configs.get("hierdec-trio_16bar").examples.layout, band()
    for note in moved.notes:
        note.pitch += 0 if note.is_drum else semitones
    labels = encodings.to_labels(band(), layout)
    expected = encodings.to_labels(moved, layout)
    found = encodings.transpose(labels, np.full(len(labels), semitones), layout)
    assert {one.tobytes() for one in found} == {one.tobytes() for one in expected}


def test_what_would_leave_the_keyboard_is_not_moved():
    layout = configs.get("cat-mel_2bar_small").examples.layout
    labels = np.zeros((2, 32, 1), np.int16)
    labels[0, 0], labels[1, 0] = encodings.MELODY_DEPTH - 1, 40
    found = encodings.transpose(labels, np.array([1, 1]), layout)
    assert found[0, 0] == labels[0, 0] and found[1, 0] == 41
    assert not found[:, 1:].any()
