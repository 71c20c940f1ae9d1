"""Pairs without recordings: notes that are played when their example is made.

So a large collection of MIDI files gives examples on many instruments, and no folder of audio ever
lies between the notes and the records.
"""

import dataclasses
import functools
import os
import zlib

import numpy as np

from style_transfer.midi import tracks
from style_transfer.pipelines.datasets.readers import Listing
from style_transfer.pipelines.rendering import job as rendering
from style_transfer.pipelines.rendering import pieces

LAYOUT = "played"


@dataclasses.dataclass(frozen=True)
class PlayedPair:
    """What a `readers.Pair` is, of a piece that is played.

    Attributes:
        piece: The notes.
        job: Whose instruments play it.
        instrument: Which of `rendering.all_renderers(job)` it is.
        part: Which of the piece's pitched instruments is played, counted round and round; None
            plays all of them.
        id: From here on as in `readers.Pair`.
    """

    piece: pieces.Piece
    job: rendering.Job
    instrument: int
    part: int | None
    id: str
    timbre_id: str
    piece_id: str
    split: str | None = None

    def read(self, sample_rate: int):
        """Plays it.

        Args:
            sample_rate: Hz.

        Returns:
            The NoteSequence and the `Audio`, both from shortly before the first note on.

        Raises:
            FileNotFoundError: The piece is gone.
            ValueError: The piece is damaged, the instrument has none of its notes, or FluidSynth is
                missing or fails.
        """
        sequence = self.piece.load()
        if self.part is not None:
            parts = tracks.parts(sequence)
            if not parts:
                raise ValueError("it has no pitched instrument")
            sequence = parts[self.part % len(parts)]
        return rendering.played(_instruments(self.job)[self.instrument], sequence, sample_rate,
                                self.job.max_secs, from_first_note=True)


@functools.lru_cache(1)
def _instruments(job):
    """Made once in a worker."""
    return rendering.all_renderers(job)


def find_pairs(source: str, job: rendering.Job, per_piece: int) -> Listing:
    """What is to be played of each piece, and on what.

    Args:
        source: See `pieces.find_pieces`.
        job: What names the instruments; with `any_program` one part of a piece is played, the same
            by two of them, else all of it.
        per_piece: How many instruments are drawn for each piece; all of them if there are no more.

    Returns:
        A `readers.Listing`. What is drawn depends on the job's seed and the piece's name alone.

    Raises:
        FileNotFoundError: There is no such source or soundfont.
        ValueError: The source holds no pieces, or a soundfont none of the instruments.
    """
    names = [renderer.timbre_id for renderer in rendering.all_renderers(job)]
    pairs = []
    for piece in pieces.find_pieces(source):
        rng = np.random.default_rng([job.seed, zlib.crc32(piece.id.encode())])
        drawn = rng.permutation(len(names))[:per_piece].tolist()
        first = int(rng.integers(1 << 16))
        pairs += [PlayedPair(piece, job, instrument, first + i // 2 if job.any_program else None,
                             f"{names[instrument]}/{piece.id}", names[instrument], piece.id)
                  for i, instrument in enumerate(drawn)]
    pairs.sort(key=lambda pair: pair.id)
    return Listing(LAYOUT, pairs, [])


def job_of(soundfonts: tuple, sample_rate: int, **others) -> rendering.Job:
    """A `rendering.Job` that writes no files, for `find_pairs`.

    Args:
        soundfonts: See `specs.renderers_from`; `~` is the user's folder.
        sample_rate: Hz.
        **others: Fields of the job.
    """
    return rendering.Job(specs=tuple(map(os.path.expanduser, soundfonts)), output_dir="",
                         sample_rate=sample_rate, **others)
