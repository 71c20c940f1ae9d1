"""What is to be played: notes of MIDI, of NoteSequences, and of recordings that are transcribed."""

import os
import pathlib
import warnings

from style_transfer import piano_roll, recordings
from style_transfer.audio import Audio, is_pair
from style_transfer.midi import tracks as tracks_lib
from style_transfer.midi.load import SUFFIXES, is_taken

__all__ = ["SUFFIXES", "content_notes", "content_sequence", "heard_notes", "is_recording"]
MAX_NAMES = 16


def is_recording(content):
    """Whether content is audio rather than notes: samples, or a path with such an ending."""
    return isinstance(content, Audio) or is_pair(content) or (
        isinstance(content, (str, os.PathLike))
        and pathlib.Path(content).suffix.lower() in recordings.SUFFIXES)


def content_notes(content, *, tracks="all", transcriber=None, thresholds=None, progress=None,
                  say=None):
    """The `NoteTable` of a piece.

    Args:
        content: See `style_transfer.transfer`.
        tracks: See `style_transfer.transfer`.
        transcriber: See `style_transfer.transfer`.
        thresholds: `transcription.Thresholds` for recordings; None for the defaults.
        progress: Called with (what, done, total) seconds while a recording is transcribed.
        say: Called with a sentence on a file that is cut short, and with one on several instruments
            that are put on the piano and their number; None warns of the first.

    Raises:
        FileNotFoundError: There is no such file.
        TypeError: It is nothing that is taken.
        ValueError: It cannot be read, or there is nothing to play in it.
    """
    if not (is_recording(content) or isinstance(content, piano_roll.NoteTable)
            or is_taken(content)):
        raise TypeError("The piece is taken as a path, the bytes of a MIDI file, a NoteSequence, a "
                        "PrettyMIDI, a NoteTable, an Audio or a pair of samples and their rate, "
                        f"got {type(content).__name__}.")
    name = str(content) if isinstance(content, (str, os.PathLike)) else "the content"
    if is_recording(content):
        table = heard_notes(content, transcriber, thresholds, progress)
        if not len(table):
            raise ValueError(f"No piano notes were heard in {name}. Lower the onset threshold, or "
                             "give its notes as MIDI.")
    else:
        table = given_notes(content, tracks, say)
    if not len(table):
        raise ValueError(f"{name} holds no notes for a piano ({piano_roll.DRUM_CHANNEL_MESSAGE}).")
    return table


def given_notes(content, tracks="all", say=None):
    """The `NoteTable` of a piece that is no recording; arguments as for `content_notes`."""
    if isinstance(content, piano_roll.NoteTable):
        return content
    return piano_roll.note_table(content_sequence(content, tracks, say))


def content_sequence(content, tracks="all", say=None):
    """The NoteSequence of a piece that is no recording; arguments as for `content_notes`."""
    name = str(content) if isinstance(content, (str, os.PathLike)) else "the content"
    sequence = piano_roll.load_midi(content, tracks, say)
    names = tracks_lib.pitched(sequence)
    if say is not None and len(names) > 1:
        say(f"{name}: {len(names)} instruments are put on the piano (--tracks chooses): "
            f"{'; '.join(names[:MAX_NAMES])}{'; …' * (len(names) > MAX_NAMES)}", len(names))
    return sequence


def heard_notes(recording, transcriber, thresholds=None, progress=None):
    """The `NoteTable` of a recording; arguments as for `content_notes`."""
    from style_transfer import transcription

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the callers say it in better words
        sequence = transcription.transcribe(
            recording, transcriber, thresholds,
            progress=progress and (lambda done, total: progress("transcribing", done, total)))
    return piano_roll.note_table(sequence)
