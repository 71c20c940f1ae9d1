import note_seq
import pytest

from style_transfer import piano_roll
from style_transfer.symbolic import accents, writing

KICK, SNARE, CLAP = 36, 38, 39


@pytest.mark.parametrize("qpm", [90.0, 120.0, 187.0])
def test_drums_are_struck_as_in_songs_and_melodies_are_left_alone(tmp_path, qpm):
    sequence = note_seq.NoteSequence(ticks_per_quarter=220)
    sequence.tempos.add(qpm=qpm)
    for step in range(32):
        start = step * 15 / qpm
        for pitch in (KICK, SNARE, CLAP):
            sequence.notes.add(pitch=pitch, velocity=80, start_time=start,
                               end_time=start + 7 / qpm, is_drum=True, instrument=9)
        sequence.notes.add(pitch=60, velocity=80, start_time=start, end_time=start + 7 / qpm)
    writing.write(writing.Options(output_dir=str(tmp_path)), "drums", [sequence], print)
    notes = sorted(piano_roll.load_midi(tmp_path / "drums-1.mid").notes, key=lambda n: n.start_time)
    kick, snare, clap = ([n.velocity for n in notes if n.is_drum and n.pitch == pitch]
                         for pitch in (KICK, SNARE, CLAP))
    assert kick == list(accents.VELOCITIES[0]) * 2
    assert snare == clap == list(accents.VELOCITIES[1]) * 2, "a clap is a kind of snare"
    assert {n.velocity for n in notes if not n.is_drum} == {80}
