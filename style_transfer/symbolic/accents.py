"""Velocities of drums as in songs, by drum and place: symbolic models do not predict them.

Both are of the drums of 112 songs (`python -m benchmarks.drum_velocities`). What else is played
does not tell velocities any better there, neither to a net nor to boosted trees.
"""

import functools

STEPS_PER_QUARTER = 4
# MIDI velocities of note-seq's nine kinds of drums, where the mean of a song's drums is 80.
KINDS = (91, 86, 71, 69, 80, 84, 82, 69, 72)
ACCENTS = (7, -5, 2, -3)  # what the four sixteenths of a beat add


def apply(sequence):
    """Gives the drums of a NoteSequence of one tempo, in quarters, their usual velocities."""
    steps_per_sec = STEPS_PER_QUARTER * sequence.tempos[0].qpm / 60 if sequence.tempos else 0
    known = kinds()
    for note in sequence.notes:
        if note.is_drum and note.pitch in known and steps_per_sec:
            step = round(note.start_time * steps_per_sec) % STEPS_PER_QUARTER
            note.velocity = KINDS[known[note.pitch]] + ACCENTS[step]


@functools.cache
def kinds():
    """Kind of drum, 0 to 8, by MIDI pitch."""
    from note_seq import drums_encoder_decoder

    return {pitch: kind for kind, pitches in enumerate(
        drums_encoder_decoder.DEFAULT_DRUM_TYPE_PITCHES) for pitch in pitches}
