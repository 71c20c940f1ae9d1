"""Why a piece has no sequences for a symbolic model."""

import collections

from style_transfer.symbolic import layouts


def why_nothing(sequence, layout):
    """Why a piece gives no record.

    Args:
        sequence: A NoteSequence, not quantized.
        layout: A `Layout` or `DrumLayout`.

    Returns:
        A few words, the same for pieces with the same fault.
    """
    from note_seq import sequences_lib

    tracks = layout.tracks
    if not sequence.notes:
        return "no notes"
    for track in tracks:
        pitches = [note.pitch for note in sequence.notes if _belongs(note, track, layout)]
        if not pitches:
            return f"no {track}"
        if track != "drums" and (max(pitches) < layouts.LOWEST_PITCH
                                 or min(pitches) > layouts.HIGHEST_PITCH):
            return (f"no {track} within the range of pitches {layouts.LOWEST_PITCH} to "
                    f"{layouts.HIGHEST_PITCH}")
    faults = collections.Counter(map(
        _fault, sequences_lib.split_note_sequence_on_time_changes(sequence)))
    if None not in faults:
        return faults.most_common(1)[0][0]
    return f"no {' and '.join(tracks)} long enough between changes of tempo and meter"


def _belongs(note, track, layout):
    if track == "drums":
        return note.is_drum
    # The converters of melodies of 16 bars take all instruments.
    programs = {"melody": range(128 if layout.tracks == ("melody",) and layout.bars > 2 else 32),
                "bass": range(32, 40)}
    return not note.is_drum and note.program in programs[track]


def is_in_four(part):
    """Whether a NoteSequence without changes of meter has bars of 4/4, or as long as those."""
    return all(meter.numerator == meter.denominator for meter in part.time_signatures)


def _fault(part):
    import note_seq

    try:
        quantized = note_seq.quantize_note_sequence(part, layouts.STEPS_PER_QUARTER)
        if note_seq.steps_per_bar_in_quantized_sequence(quantized) != layouts.STEPS_PER_BAR:
            return "meter other than 4/4"
    except note_seq.BadTimeSignatureError:
        return "meter that cannot be quantized"
    except note_seq.MultipleTempoError:
        return "changes of tempo"
    except (note_seq.NegativeTimeError, note_seq.QuantizationStatusError) as error:
        return f"cannot be quantized ({type(error).__name__})"
    return None
