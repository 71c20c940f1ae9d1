"""Which instruments of a song are played."""

from style_transfer.midi.limits import UnreadableFileError

ALL, PIANO = "all", "piano"
_PIANO_PROGRAMS = range(8)
_MAX_NAMED = 20


def parse(text):
    """The value of a flag: `all`, `piano`, or numbers of tracks such as `1,3`.

    Returns:
        `ALL`, `PIANO` or a tuple of int.

    Raises:
        ValueError: It is neither.
    """
    words = [word.strip() for word in str(text).split(",")]
    if words in ([ALL], [PIANO]):
        return words[0]
    if not all(word.isascii() and word.isdigit() for word in words):
        raise ValueError(f"tracks must be {ALL}, {PIANO} or numbers such as 1,3, got {text!r}.")
    return tuple(int(word) for word in words)


def select(sequence, tracks=ALL):
    """A NoteSequence of some of the instruments of one.

    Args:
        sequence: A NoteSequence.
        tracks: `ALL` instruments; those of a `PIANO` (General MIDI's programs 1 to 8); or a list of
            numbers: of tracks, of which a MIDI file's first is 0 and mostly has no notes; of
            channels, 1 to 16, if the file has one track; of a score's parts, from 1. For what is
            not read from a file, numbers of instruments.

    Raises:
        UnreadableFileError: Nothing is left of its notes; the message lists what there is.
        ValueError: `tracks` is none of these.
    """
    if isinstance(tracks, str):
        tracks = parse(tracks)
    if tracks == ALL:
        return sequence
    number = _number_of(sequence)
    if tracks == PIANO:
        kept = {n.instrument for n in sequence.notes
                if not n.is_drum and n.program in _PIANO_PROGRAMS}
    else:
        kept = {n.instrument for n in sequence.notes if number(n) in set(tracks)}
    if sequence.notes and not kept:
        wanted = "of a piano" if tracks == PIANO else f"with the number {_listed(tracks)}"
        raise UnreadableFileError(
            f"it has no instrument {wanted}", "it has " + "; ".join(
                _described(sequence, instrument) for instrument in _instruments(sequence)))
    return _only(sequence, kept)


def parts(sequence):
    """A NoteSequence of each pitched instrument, in the order of their numbers."""
    return [_only(sequence, {instrument})
            for instrument in sorted({n.instrument for n in sequence.notes if not n.is_drum})]


def _only(sequence, instruments):
    chosen = type(sequence)()
    chosen.CopyFrom(sequence)
    for field in ("notes", "control_changes", "pitch_bends"):
        chosen.ClearField(field)
        getattr(chosen, field).extend(
            item for item in getattr(sequence, field) if item.instrument in instruments)
    return chosen


def pitched(sequence):
    """Names of the instruments that a piano takes over, one for each part and program."""
    return [_described(sequence, instrument) for instrument in _instruments(sequence)
            if not instrument[2]]


def _number_of(sequence):
    """What a note's track is called."""
    numbered = any(n.part for n in sequence.notes)
    return lambda note: note.part if numbered else note.instrument


def _instruments(sequence):
    number = _number_of(sequence)
    return sorted({(number(n), n.program, n.is_drum, n.instrument) for n in sequence.notes})


def _described(sequence, instrument):
    number, program, is_drum, index = instrument
    name = next((info.name for info in sequence.instrument_infos if info.instrument == index), "")
    what = "drums" if is_drum else f"program {program + 1}"
    return f"{number}: {name.strip()} ({what})" if name.strip() else f"{number}: {what}"


def _listed(numbers):
    return " or ".join(str(number) for number in numbers)
