"""Performances to render: MIDI files or the records of a NoteSequence TFRecord file."""

import dataclasses
import glob
import os
import re
import struct

import numpy as np

from style_transfer import files
from style_transfer.midi import load
from style_transfer.piano_roll import LOWEST_PITCH, NoteTable, Pedals, note_table

RECORD_SUFFIXES = (".tfrecord", ".tfrecords")
_HEADER_BYTES, _FOOTER_BYTES = 12, 4


@dataclasses.dataclass(frozen=True)
class Piece:
    """Where a performance is, so that thousands of them cost no memory until they are read.

    Attributes:
        id: Name of its outputs.
        path: File.
        offset: Where its record begins in a TFRecord file, -1 for a whole file.
        size: Bytes of the record.
    """

    id: str
    path: str
    offset: int = -1
    size: int = -1

    def load(self):
        """Its NoteSequence.

        Raises:
            FileNotFoundError: The file is gone.
            ValueError: It is damaged or asks for too much (see `style_transfer.midi.limits`).
        """
        return load.load(self.read(), warn=load.refuse)

    def read(self):
        """Its bytes."""
        with open(self.path, "rb") as handle:
            handle.seek(max(self.offset, 0))
            return handle.read(self.size)


def find_pieces(source: str | os.PathLike) -> list[Piece]:
    """Performances under `source`, sorted by path, each with an id of its own.

    Args:
        source: A folder (searched to any depth for MIDI files and serialized NoteSequences), a
            file, a TFRecord file of NoteSequences, or a glob pattern of these.

    Returns:
        A non-empty list of `Piece`.

    Raises:
        FileNotFoundError: Nothing matches.
        ValueError: What matches holds no performances.
    """
    source = os.path.expanduser(str(source))
    if os.path.isdir(source):
        root = source
        paths = [path for path in files.walk(source)
                 if path.lower().endswith(load.SUFFIXES) and os.path.isfile(path)]
    else:
        paths = [path for path in glob.glob(source, recursive=True) if os.path.isfile(path)]
        # A file whose name contains [ or * matches no pattern, not even its own name.
        paths = [source] if os.path.isfile(source) else paths
        root = os.path.commonpath([os.path.dirname(path) for path in paths]) if paths else ""
        if not paths:
            raise FileNotFoundError(f"--input={source!r} matches no file. Expected a folder of "
                                    "MIDI files, a file, a glob pattern, or a TFRecord file.")
    pieces = []
    for path in sorted(paths):
        name = _name(os.path.relpath(path, root or "."))
        if os.path.splitext(path)[1].lower() in RECORD_SUFFIXES:
            pieces += _records(path, name)
        else:
            pieces.append(Piece(name, path))
    if not pieces:
        raise ValueError(f"--input={source!r} holds no performances: expected "
                         f"{', '.join(load.SUFFIXES + RECORD_SUFFIXES)}.")
    return _with_unique_ids(pieces)


def _name(relative):
    stem = os.path.splitext(relative)[0].replace(os.sep, "_")
    return re.sub(r"[^\w.-]+", "_", stem).strip("._") or "piece"


def _records(path, name):
    """Pieces of a TFRecord file, found by the records' lengths alone."""
    pieces, size = [], os.path.getsize(path)
    with open(path, "rb") as handle:
        while header := handle.read(_HEADER_BYTES):
            length = struct.unpack("<Q", header[:8])[0] if len(header) == _HEADER_BYTES else size
            offset = handle.tell()
            if offset + length + _FOOTER_BYTES > size:
                raise ValueError(f"{path} is no TFRecord file, or is cut short at byte {offset}.")
            pieces.append(Piece(f"{name}_{len(pieces):06d}", path, offset, length))
            handle.seek(length + _FOOTER_BYTES, 1)
    return pieces


def _with_unique_ids(pieces):
    taken, out = set(), []
    for piece in pieces:
        name, number = piece.id, 1
        # Folders' names are compared without case, as some file systems do.
        while name.lower() in taken:
            number += 1
            name = f"{piece.id}_{number}"
        taken.add(name.lower())
        out.append(dataclasses.replace(piece, id=name))
    return out


def playable(notes, pitches: frozenset, max_secs: float) -> NoteTable:
    """The notes a renderer will sound, cut at a time.

    Args:
        notes: A NoteSequence or a `NoteTable`.
        pitches: MIDI pitches that the renderer can play.
        max_secs: Notes that begin later are left out, those that sound end here; 0 for no limit.

    Returns:
        A `NoteTable`.

    Raises:
        ValueError: No note is left.
    """
    table = notes if isinstance(notes, NoteTable) else note_table(notes)
    if not len(table):
        raise ValueError("it holds no notes of a piano")
    table = table.select(np.isin(table.key + LOWEST_PITCH, sorted(pitches)))
    if not len(table):
        raise ValueError("none of its notes are keys of this piano")
    if not max_secs:
        return table
    table = table.select(table.onset_secs < max_secs)
    if not len(table):
        raise ValueError(f"its first note begins after {max_secs:g} s")
    pedals = Pedals(*(_cut(curve, max_secs) for curve in table.pedals))
    return dataclasses.replace(
        table, release_secs=np.minimum(table.release_secs, max_secs),
        damped_secs=np.minimum(table.damped_secs, max_secs), pedals=pedals)


def _cut(curve, max_secs):
    """A pedal's curve that ends with the pedal up at `max_secs`."""
    times, values = curve
    early = times < max_secs
    if not len(times) or (early.all() and (not len(values) or values[-1] == 0)):
        return curve
    return (np.append(times[early], max_secs),
            np.append(values[early], 0).astype(np.float32))
