"""The benchmarks fit the code that they measure."""

import importlib
import pathlib

import pytest
from absl import flags

from benchmarks import generation, pop909_melodies

NAMES = sorted(path.stem for path in pathlib.Path(generation.__file__).parent.glob("[a-z]*.py"))


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_is_imported_and_says_what_it_measures(name):
    assert importlib.import_module(f"benchmarks.{name}").__doc__
    # Those would be flags of every command of the same process.
    assert f"benchmarks.{name}" not in flags.FLAGS.flags_by_module_dict()


def test_what_is_put_under_the_clock_is_there():
    for _, owner, name in generation.watched():
        assert callable(getattr(owner, name)), name


def test_melodies_of_pop909_get_bars_of_four_and_a_grid(tmp_path):
    mido = pytest.importorskip("mido")
    midi = mido.MidiFile(ticks_per_beat=480)
    midi.tracks.append(mido.MidiTrack([mido.MetaMessage("time_signature", numerator=1)]))
    late = 490  # ticks before the first bar, on no sixteenth
    for name, begin, length, pitches in (("MELODY", late, 240, [60, 62, 64, 65]),
                                         ("BRIDGE", late, 480, [72] * 8),
                                         ("PIANO", late, 1920, [40, 43])):
        track = mido.MidiTrack([mido.MetaMessage("track_name", name=name)])
        for index, pitch in enumerate(pitches):
            track.append(mido.Message("note_on", note=pitch, time=0 if index else begin))
            track.append(mido.Message("note_off", note=pitch, time=length))
        midi.tracks.append(track)
    pop909_melodies.write(tmp_path / "a.mid", pop909_melodies.melody_of(midi))
    made = mido.MidiFile(tmp_path / "a.mid")
    notes = pop909_melodies.read_notes(made.tracks[0])
    # In the bar that the melody leaves empty its place is taken by the bridge.
    assert [tuple(note) for note in notes] == [
        (16, 18, 60), (18, 20, 62), (20, 22, 64), (22, 24, 65),
        (32, 36, 72), (36, 40, 72), (40, 44, 72), (44, 48, 72)]
    assert (made.tracks[0][0].numerator, made.ticks_per_beat) == (4, 4)
