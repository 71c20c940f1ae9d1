"""Velocities of drums as in songs, by drum and place: symbolic models do not predict them."""

import functools

STEPS_PER_QUARTER, STEPS_PER_BAR = 4, 16
# Mean velocity of note-seq's nine kinds of drums in each sixteenth of a bar, over the drums of 57
# songs (those drum_kit is trained on), each brought to a mean of 80; where a kind stands
# fewer than 100 times in a place, its mean over all places.
VELOCITIES = tuple(tuple(map(int, row.split())) for row in (
    "99 98 95 98 101 98 93 94 98 68 97 98 100 98 103 98",
    "85 62 83 83 89 53 85 85 92 58 81 78 90 72 79 81",
    "76 64 70 66 80 62 72 62 76 64 71 66 80 63 72 62",
    "74 72 79 72 71 72 74 63 71 72 74 72 69 72 75 72",
    "77 75 50 59 75 75 82 75 69 75 63 75 90 75 80 75",
    "91 81 78 83 74 81 82 81 74 81 85 88 77 81 86 81",
    "88 89 89 89 104 77 91 89 84 89 89 89 104 89 89 89",
    "82 81 81 81 81 81 81 81 83 81 81 81 81 81 81 81",
    "77 73 72 63 72 73 72 79 76 73 72 55 73 73 71 77",
))


def apply(sequence):
    """Gives the drums of a NoteSequence in 4/4 from its beginning their usual velocities."""
    steps_per_sec = STEPS_PER_QUARTER * sequence.tempos[0].qpm / 60 if sequence.tempos else 0
    kinds = _kinds()
    for note in sequence.notes:
        if note.is_drum and note.pitch in kinds and steps_per_sec:
            step = round(note.start_time * steps_per_sec) % STEPS_PER_BAR
            note.velocity = VELOCITIES[kinds[note.pitch]][step]


@functools.cache
def _kinds():
    from note_seq import drums_encoder_decoder

    return {pitch: kind for kind, pitches in enumerate(
        drums_encoder_decoder.DEFAULT_DRUM_TYPE_PITCHES) for pitch in pitches}
