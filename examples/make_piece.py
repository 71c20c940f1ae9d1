"""Writes the examples: a piece to play, and a clip of the piano to play it on.

  python examples/make_piece.py                # the two MIDI files
  python examples/make_piece.py FluidR3_GM.sf2 # and the clip's audio, through FluidSynth

Everything here is written out note by note, so that the examples may be redistributed: Schumann's
"Träumerei" is in the public domain, the study is our own, and FluidR3 is under the MIT licence.
"""

import pathlib
import subprocess
import sys
import tempfile

import mido

FOLDER = pathlib.Path(__file__).resolve().parent
TICKS_PER_BEAT = 480
SUSTAIN = 64
SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
ACCIDENTALS = {"": 0, "#": 1, "b": -1}
ELECTRIC_GRAND = 2
CLIP_SAMPLE_RATE = 24_000
CLIP_SECS = 10.0

# Träumerei (Kinderszenen, Op. 15 No. 7): the first phrase, and the last one with its cadence.
# Every voice begins with the upbeat; `pitches/beats`, notes of a chord joined by `+`, `-` is a
# rest, bars end with `|`, and `~` ties to the same pitches in what follows.
TRAEUMEREI = {
    "melody": """
        C4/1 |
        F4/2.5 E4/.5 F4/.5 A4/.5 |
        C5/.5 F5/.5 F5/2 E5/.5 D5/.5 |
        C5/.5 F5/.5 G4/.5 A4/.5 Bb4/.5 D5/.5 F4/.5 E4+G4/.5 |
        F4+A4/.5 C5/.5 E4+G4/2 C4/1 |
        F4/2.5 E4/.5 F4/.5 A4/.5 |
        C5/.5 A5/.5 A5/1.5 G5/.5 F5/.5 D5/.5 |
        C5/.5 F5/.5 G4/.5 A4/.5 Bb4/.5 D5/.5 G4/.5 F#4+A4/.5 |
        G4+Bb4/.5 D5/.5 D4/.5 C4+E4/.5~ C4+F4/2 |""",
    "alto": """
        -/1 |
        -/1 F3+C4/3 |
        -/1 F4/3~ |
        F4/1 E4/2 C4/1~ |
        C4/1 C4/2 -/1 |
        -/1 F3+C4/3 |
        -/1 F4+G4+D5/3~ |
        F4/1 E4/2 D4/1~ |
        D4/1 Bb3/1 A3/2 |""",
    "tenor": """
        -/1 |
        -/1 C3+A3/3~ |
        C3+A3/1 D4/2 C4/.5 Bb3/.5 |
        A3/1 Bb3/.5 A3/.5 G3/1 F3/.5 G3/.5 |
        A3/1 G3/2 -/1 |
        -/1 C3+A3/3~ |
        C3+A3/1 B3/3 |
        A3+C4/1 Bb3/.5 A3/.5 G3/1 G3/.5 A3/.5 |
        G3+Bb3/1 C3+G3/1~ C3/2 |""",
    "bass": """
        -/1 |
        F2/4~ |
        F2/1 Bb2+F3/3 |
        C3/1 C3/2 A2/.5 C3/.5 |
        F3/1 C3/.5 D3/.5 C3/.5 Bb2/.5 G2/.5 A2/.5 |
        F2/4~ |
        F2/1 G2+B2/3 |
        C3/1 C3/2 Bb2/.5 D3/.5 |
        -/1 C3/.5 C2/.5 F2/2 |""",
}
VOICE_VELOCITIES = {"melody": 62, "alto": 40, "tenor": 44, "bass": 48}
# (bar, beat) where the left hand cannot reach its chord, and rolls it.
TRAEUMEREI_ROLLS = {(2, 1.0), (6, 1.0)}
ROLL_BEATS = 0.11
HIGHEST_ROLLED_PITCH = 62
# Beats (the upbeat is beat 0) where the pedal is lifted and pressed again, and the speed reached.
TRAEUMEREI_PEDALS = (1, 5, 6, 7.5, 8, 9, 10, 11, 12, 13, 14, 17, 21, 22, 25, 26, 27, 28, 29,
                     30, 31)
TRAEUMEREI_TEMPO = ((0, 58), (1, 66), (4, 72), (6, 62), (8, 70), (12, 68), (14, 62), (16, 56),
                    (17, 66), (20, 72), (21.5, 66), (22, 42), (23, 48), (23.5, 60), (25, 64),
                    (28, 56), (29, 50), (30, 44), (31, 36))
# (beat, factor on velocity): the phrase swells towards its highest note.
TRAEUMEREI_DYNAMICS = ((0, 0.85), (3, 0.9), (6, 1.22), (8, 1.0), (12, 0.85), (16, 0.8),
                       (19, 0.95), (22, 1.3), (24, 1.0), (28, 0.85), (31, 0.68))

# A study of our own for the clip, in C sharp minor: single notes from the bass to the top, loud
# and soft, and chords, so that a listener - or a program - learns the piano.
STUDY = {
    "right": """
        -/1 G#4/.5 C#5/.5 E5/.5 G#5/.5 D#6/.5 C#6/.5 |
        A5/1 E5+C#5/1 -/.5 B4/.25 C#5/.25 D#5/.5 F#5/.5 |
        E5+G#4+B4/1 B5/.5 G#5/.5 D#5+F#4+A4/1 -/1 |
        C#6/.5 B5/.5 G#5/.5 E5/.5 D#5/.5 B#4/.5 C#5+E4+G#4/1 |""",
    "left": """
        C#2/.5 G#2/.5 E3/1 C#3/1 G#3/1 |
        F#2/1 A3/.5 C#4/.5 B1/.5 F#2/.5 A3/1 |
        E2/.5 B2/.5 G#3/1 B#1/.5 F#3/.5 D#4/.5 A3/.5 |
        A1/.5 E3/.5 C#4/.5 F#3/.5 G#1/1 C#2+C#3/1 |""",
}
STUDY_VELOCITIES = {"right": 74, "left": 66}
STUDY_PEDALS = (0, 4, 6, 8, 10, 12, 14)
STUDY_TEMPO = ((0, 104), (12, 104), (14, 92))
STUDY_DYNAMICS = ((0, 0.6), (3.5, 1.3), (6, 0.8), (8, 1.2), (11, 0.7), (12, 1.45), (14.5, 0.8),
                  (16, 0.8))


def midi_pitch(name):
    """MIDI pitch of a name such as `Bb3` (middle C is C4)."""
    letter, accidental, octave = name[0], name[1:-1], int(name[-1])
    return 12 * (octave + 1) + SEMITONES[letter] + ACCIDENTALS[accidental]


def notes_of_voice(text, beats_per_bar, upbeat_beats=0.0):
    """Notes of one voice.

    Args:
        text: The voice, written as above.
        beats_per_bar: What each bar must add up to.
        upbeat_beats: Length of the first bar, where that is an upbeat; bar 0 then.

    Returns:
        Rows `(bar, beat in the bar, onset, duration, pitch)`, times in beats from the beginning.

    Raises:
        ValueError: A bar is too long or too short.
    """
    rows, tied, onset = [], {}, 0.0
    first_bar = 0 if upbeat_beats else 1
    for bar, content in enumerate(text.strip().strip("|").split("|"), first_bar):
        expected = upbeat_beats if bar == 0 else beats_per_bar
        beat = 0.0
        for token in content.split():
            pitches, beats = token.rstrip("~").split("/")
            duration = float(beats)
            struck = {}
            for pitch in map(midi_pitch, pitches.split("+") if pitches != "-" else ()):
                row = tied.get(pitch) or [bar, beat, onset + beat, 0.0, pitch]
                if pitch not in tied:
                    rows.append(row)
                row[3] += duration
                struck[pitch] = row
            tied = struck if token.endswith("~") else {}
            beat += duration
        if beat != expected:
            raise ValueError(f"Bar {bar} lasts {beat} beats, expected {expected}: {content!r}")
        onset += expected
    return rows


def curve(points, beat):
    """The value at `beat` of straight lines through `points`, `(beat, value)` each."""
    for (left, low), (right, high) in zip(points, points[1:], strict=False):
        if beat <= right:
            return low + (high - low) * (max(beat, left) - left) / (right - left)
    return points[-1][1]


def performance(voices, velocities, dynamics, *, upbeat_beats=0.0, rolls=()):
    """All voices as they are played.

    Returns:
        Rows `(onset, end, pitch, velocity)`, in beats. Where two voices strike one key, the
        louder row stays and lasts as long as the longer.
    """
    played = {}
    for voice, text in voices.items():
        for bar, beat, onset, duration, pitch in notes_of_voice(text, 4.0, upbeat_beats):
            # A pianist leans on the beat a little.
            accent = 1.0 if beat in (0.0, 2.0) else 0.94
            velocity = round(velocities[voice] * curve(dynamics, onset) * accent)
            velocity = min(max(velocity, 1), 127)
            end = max(onset + duration, played.get((onset, pitch), (0.0, 0))[0])
            louder = max(velocity, played.get((onset, pitch), (0.0, 0))[1])
            played[onset, pitch] = end, louder, (
                (bar, beat) in rolls and pitch <= HIGHEST_ROLLED_PITCH)
    rows = []
    for (onset, pitch), (end, velocity, rolled) in played.items():
        lower = sum(1 for (other_onset, other), (*_, other_rolled) in played.items()
                    if rolled and other_rolled and other_onset == onset and other < pitch)
        rows.append((onset + lower * ROLL_BEATS, end, pitch, velocity))
    return _one_string_a_key(sorted(rows))


def _one_string_a_key(rows):
    """A key is let go before it is struck again."""
    repeat_beats = 0.04
    out = []
    for i, (onset, end, pitch, velocity) in enumerate(rows):
        following = [other[0] for other in rows[i + 1:] if other[2] == pitch]
        if following and following[0] < end + repeat_beats:
            end = following[0] - repeat_beats
        out.append((onset, end, pitch, velocity))
    return out


def midi_file(rows, pedals, tempo, *, program=0):
    """A MIDI file of type 1: tempo changes in one track, notes and sustain pedal in the other."""
    end = max(row[1] for row in rows)
    events = [(onset, 2, mido.Message("note_on", note=pitch, velocity=velocity))
              for onset, _, pitch, velocity in rows]
    events += [(stop, 0, mido.Message("note_off", note=pitch, velocity=64))
               for _, stop, pitch, _ in rows]
    # The pedal goes up with the new harmony, and down once its keys are struck.
    down_beats = 0.12
    for beat in pedals:
        events.append((beat, 1, mido.Message("control_change", control=SUSTAIN, value=0)))
        events.append((beat + down_beats, 1,
                       mido.Message("control_change", control=SUSTAIN, value=127)))
    events.append((end + 0.5, 1, mido.Message("control_change", control=SUSTAIN, value=0)))
    tempo_events = [(beat, 0, mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(qpm)))
                    for beat, qpm in tempo_steps(tempo, end)]
    signature = mido.MetaMessage("time_signature", numerator=4, denominator=4)
    start = [(0.0, 0, mido.Message("program_change", program=program))]
    file = mido.MidiFile(type=1, ticks_per_beat=TICKS_PER_BEAT)
    file.tracks += [_track([(0.0, 0, signature)] + tempo_events), _track(start + events)]
    return file


def tempo_steps(tempo, end_beat):
    """The tempo curve as a step every half beat, `(beat, quarters per minute)`."""
    return [(beat / 2, curve(tempo, beat / 2)) for beat in range(int(2 * end_beat) + 1)]


def _track(events):
    track, now = mido.MidiTrack(), 0
    for beat, _, message in sorted(events, key=lambda event: event[:2]):
        tick = round(beat * TICKS_PER_BEAT)
        track.append(message.copy(time=tick - now))
        now = tick
    track.append(mido.MetaMessage("end_of_track", time=0))
    return track


def traeumerei():
    """The piece, as a `mido.MidiFile`."""
    rows = performance(TRAEUMEREI, VOICE_VELOCITIES, TRAEUMEREI_DYNAMICS, upbeat_beats=1.0,
                       rolls=TRAEUMEREI_ROLLS)
    return midi_file(rows, TRAEUMEREI_PEDALS, TRAEUMEREI_TEMPO)


def study():
    """The clip's notes, as a `mido.MidiFile`."""
    rows = performance(STUDY, STUDY_VELOCITIES, STUDY_DYNAMICS)
    return midi_file(rows, STUDY_PEDALS, STUDY_TEMPO, program=ELECTRIC_GRAND)


def render_clip(midi_path, soundfont, flac_path):
    """The study on FluidR3's electric grand, mono, cut to `CLIP_SECS` with a fade."""
    import numpy as np
    import soundfile

    with tempfile.TemporaryDirectory() as folder:
        wav = pathlib.Path(folder) / "clip.wav"
        subprocess.run(["fluidsynth", "-ni", "-F", str(wav), "-r", str(CLIP_SAMPLE_RATE), "-T",
                        "wav", "-g", "0.7", "-R", "0", "-C", "0", str(soundfont), str(midi_path)],
                       check=True, capture_output=True)
        samples = soundfile.read(wav, always_2d=True)[0].mean(axis=1)
    samples = samples[:int(CLIP_SECS * CLIP_SAMPLE_RATE)]
    fade = CLIP_SAMPLE_RATE // 10
    samples[-fade:] *= np.linspace(1, 0, fade)
    samples *= 0.7 / np.abs(samples).max()
    soundfile.write(flac_path, samples, CLIP_SAMPLE_RATE, subtype="PCM_16")


def main(argv):
    """Writes the examples into this folder."""
    traeumerei().save(FOLDER / "traeumerei.mid")
    study().save(FOLDER / "electric_grand.mid")
    if len(argv) > 1:
        render_clip(FOLDER / "electric_grand.mid", argv[1], FOLDER / "electric_grand.flac")


if __name__ == "__main__":
    main(sys.argv)
