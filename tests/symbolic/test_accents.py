import note_seq
import pytest

from style_transfer import piano_roll
from style_transfer.symbolic import accents, writing

KICK, SNARE, CLAP, HIHAT = 36, 38, 39, 42


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
    assert kick == [98, 86, 93, 88] * 8
    assert snare == clap == [93, 81, 88, 83] * 8, "a clap is a kind of snare"
    assert {n.velocity for n in notes if not n.is_drum} == {80}


def test_a_rock_pattern_is_about_as_loud_as_a_song_and_accents_its_beats():
    sequence = note_seq.NoteSequence()
    sequence.tempos.add(qpm=120)
    for step in range(0, 16, 2):
        for pitch in (HIHAT, *((KICK,) if step in (0, 8) else (SNARE,) if step in (4, 12) else ())):
            sequence.notes.add(pitch=pitch, start_time=step / 8, is_drum=True)
    accents.apply(sequence)
    by_drum = {pitch: [note.velocity for note in sequence.notes if note.pitch == pitch]
               for pitch in (KICK, SNARE, HIHAT)}
    mean = sum(note.velocity for note in sequence.notes) / len(sequence.notes)
    assert 76 < mean < 84
    assert min(by_drum[KICK]) > min(by_drum[SNARE]) > max(by_drum[HIHAT])
    assert by_drum[HIHAT] == [78, 73] * 4
