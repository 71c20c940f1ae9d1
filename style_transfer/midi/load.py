"""Notes from whatever holds them: MIDI, scores and NoteSequences, as they are played."""

import math
import os
import re
import warnings

from style_transfer.midi import reader
from style_transfer.midi import tracks as tracks_lib
from style_transfer.midi.limits import ConversionLimits, UnreadableFileError

MIDI_SUFFIXES = (".mid", ".midi", ".kar", ".rmi")
SEQUENCE_SUFFIXES = (".pb", ".notesequence")
SCORE_SUFFIXES = (".musicxml", ".mxl", ".xml", ".abc")
SUFFIXES = (*MIDI_SUFFIXES, *SEQUENCE_SUFFIXES, *SCORE_SUFFIXES)
_INSTEAD = "Export it again from the program that made it, or give another file."
_ABC = re.compile(rb"(^|\n)X:[ \t]*\d+")
_MAX_BYTES_BEFORE_A_TUNE = 10_000


def is_midi(data):
    """Whether bytes begin as a MIDI file does, RIFF-MIDI included."""
    return data[:4] == b"MThd" or (data[:4] == b"RIFF" and data[8:12] == b"RMID")


def refuse(message):
    """A `warn` for `load` where all of a file is wanted, or nothing."""
    raise ValueError(message)


def is_notes(data):
    """Whether bytes begin as MIDI or a score does."""
    return is_midi(data) or _is_musicxml(data) or _is_abc(data)


def is_taken(source):
    """Whether `load` takes something of this type."""
    return isinstance(source, (str, os.PathLike, bytes, bytearray, memoryview)) or (
        type(source).__name__ in ("NoteSequence", "PrettyMIDI"))


def load(source, tracks=tracks_lib.ALL, limits=None, warn=None):
    """A NoteSequence from a file or what else holds notes.

    What a file is, its bytes say and not its name.

    Args:
        source: A path or the bytes of a MIDI file, of a score (MusicXML or ABC, of which the first
            tune counts) or of a serialized NoteSequence; a NoteSequence; or a PrettyMIDI.
        tracks: Which instruments; see `tracks.select`.
        limits: What a file may ask for; None for `ConversionLimits()`.
        warn: Called with a sentence on a file that can be read in part only; None warns, and
            `refuse` raises it.

    Raises:
        FileNotFoundError: There is no such file.
        TypeError: `source` is none of these.
        ValueError: It cannot be read, exceeds a limit, or has none of the instruments.
    """
    from note_seq.protobuf import music_pb2

    limits = limits or ConversionLimits()
    warn = warn or (lambda message: warnings.warn(message, stacklevel=4))
    name = "the given bytes"
    if isinstance(source, (str, os.PathLike)):
        name = os.fspath(source)
        source = _read(name, limits)
    if isinstance(source, (bytes, bytearray, memoryview)):
        source = _parsed(bytes(source), name, limits, warn)
    elif type(source).__name__ == "PrettyMIDI":
        from note_seq import midi_io

        source = midi_io.midi_to_note_sequence(source)
    if not isinstance(source, music_pb2.NoteSequence):
        raise TypeError("Notes are taken from a path, the bytes of a MIDI file, a NoteSequence or "
                        f"a PrettyMIDI, got {type(source).__name__}.")
    try:
        _check_values(source, limits)
        return tracks_lib.select(source, tracks)
    except UnreadableFileError as error:
        raise ValueError(f"{name} cannot be played: {error}.") from error


def _check_values(sequence, limits):
    """Raises UnreadableFileError for numbers that no performance has: anyone may have made it."""
    limits.check("too many notes", len(sequence.notes), "max_notes")
    limits.check("too many controls", len(sequence.control_changes), "max_controls")
    times = [secs for note in sequence.notes for secs in (note.start_time, note.end_time)]
    times += [change.time for change in sequence.control_changes]
    for secs in times:
        if not 0 <= secs < math.inf:
            raise UnreadableFileError("notes or pedals have a time that is no number of seconds "
                                      "from 0", f"{secs:g}")
    limits.check("too long", max(times, default=0.0), "max_duration_secs")
    for note in sequence.notes:
        if not 0 <= note.velocity <= 127:
            raise UnreadableFileError("a note has a velocity outside 0 to 127",
                                      f"{note.velocity}")


def _read(path, limits):
    if not os.path.isfile(path):
        raise FileNotFoundError(f"There is no MIDI file {path!r}.")
    with open(path, "rb") as handle:
        return handle.read(limits.max_file_bytes + 1)


def _is_musicxml(data):
    if data[:4] == b"PK\x03\x04":
        return b"META-INF/container.xml" in data
    return data[:_MAX_BYTES_BEFORE_A_TUNE].removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<"


def _is_abc(data):
    return _ABC.search(data[:_MAX_BYTES_BEFORE_A_TUNE]) is not None


def _score(data, limits):
    """The NoteSequence of a score, None for what is none."""
    if _is_musicxml(data):
        from style_transfer.midi.scores import musicxml

        return musicxml.read(data, limits)
    if not _is_abc(data):
        return None
    from style_transfer.midi.scores import abc_notation

    tunes = abc_notation.read(data, limits)
    return tunes[min(tunes)]


def _parsed(data, name, limits, warn):
    from google.protobuf.message import DecodeError
    from note_seq.protobuf import music_pb2

    try:
        limits.check("file too large", len(data), "max_file_bytes")
        if is_midi(data):
            return reader.note_sequence(
                data, limits, played=True,
                warn=lambda faults: warn(f"{name} is cut short, and played as far as it can be "
                                         f"read: {faults}."))
        if (score := _score(data, limits)) is not None:
            return score
    except UnreadableFileError as error:
        raise ValueError(f"{name} cannot be played: {error}. {_INSTEAD}") from error
    try:
        sequence = music_pb2.NoteSequence.FromString(data)
    except DecodeError as error:
        raise ValueError(f"{name} is neither a MIDI file, a score nor a serialized NoteSequence. "
                         f"{_INSTEAD}") from error
    if not sequence.notes:
        raise ValueError(f"{name} holds no notes: it is no MIDI file and no NoteSequence that "
                         f"has notes. {_INSTEAD}")
    return sequence
