"""The benchmarks fit the code that they measure."""

import importlib
import pathlib

import numpy as np
import pytest
from absl import flags

from benchmarks import drum_velocities, generation, pop909_melodies

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


def made_up_song(index, kind_levels, accents):
    """Two hundred hits whose kinds are louder or softer than in other songs."""
    rng = np.random.default_rng(index)
    kinds, steps = rng.integers(3, size=200), rng.integers(16, size=200)
    levels = np.array(kind_levels) + rng.normal(0, 8, 3)
    velocities = 80 + levels[kinds] + np.array(accents)[steps % 4] + rng.normal(0, 2, 200)
    return drum_velocities.Song(f"{index}.mid", kinds, steps, velocities)


def test_drum_velocities_finds_levels_and_accents_whatever_the_mix_of_a_song():
    songs = [made_up_song(index, (12, 2, -14), (9, -7, 3, -5)) for index in range(60)]
    np.testing.assert_allclose(drum_velocities.fit_accents(songs), (9, -7, 3, -5), atol=0.5)
    levels = drum_velocities.fit_levels(songs, (9, -7, 3, -5))[:3, 0]
    np.testing.assert_allclose(levels - levels.mean(), (12, 2, -14), atol=4)
    mean, kind, _, both = (drum_velocities.held_out(songs, fit).mean(axis=0)
                           for fit in drum_velocities.WAYS.values())
    assert both[0] < kind[0] < mean[0] and both[1] > kind[1] > mean[1] == 0


def test_drum_velocities_reads_places_through_changes_of_tempo_and_meter():
    note_seq = pytest.importorskip("note_seq")
    sequence = note_seq.NoteSequence(filename="a.mid")
    sequence.tempos.add(time=0, qpm=60)
    sequence.tempos.add(time=2, qpm=120)  # from the third quarter on
    for time, numerator in ((0, 4), (3, 2), (4, 4)):  # 2/4 for two quarters
        sequence.time_signatures.add(time=time, numerator=numerator, denominator=4)
    for start, pitch, velocity in ((0, 36, 90), (0, 35, 100), (1.25, 38, 70), (2.5, 42, 60),
                                   (3.5, 36, 50), (4.125, 42, 40), (4.0, 60, 30)):
        sequence.notes.add(start_time=start, pitch=pitch, velocity=velocity, is_drum=pitch != 60)
    song = drum_velocities.drums_of(sequence)
    found = list(zip(song.kinds, song.steps, song.velocities, strict=True))
    assert found == [(0, 0, 100), (1, 5, 70), (2, 12, 60), (2, 1, 40)], (
        "the louder of two in one place; nothing of the bar in 2/4")
