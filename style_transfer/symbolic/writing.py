"""Sequences of symbolic models as MIDI files: what is asked, and the files."""

import dataclasses
import os
import pathlib

from style_transfer import files, piano_roll
from style_transfer import options as options_lib
from style_transfer.options import option
from style_transfer.symbolic import accents


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(options_lib.Options):
    """What every symbolic model is asked."""

    hparams: str = option("", options_lib.MAGENTA_HPARAMS)
    num_outputs: int = option(10, "How many MIDI files are written, the ends of an interpolation "
                              "included.", low=1, group="Music")
    qpm: float = option(120.0, "Tempo, quarters per minute.")


def check(options, *paths):
    """Raises what can be said without the model.

    Args:
        options: An `Options`.
        *paths: Files that are read, or None.

    Raises:
        FileNotFoundError: One of them is missing.
        ValueError: An option is wrong.
    """
    if options.num_outputs < 1:
        raise ValueError(f"num_outputs is {options.num_outputs}, expected at least 1.")
    if options.qpm <= 0:
        raise ValueError(f"qpm={options.qpm} must be more than 0.")
    for path in filter(None, paths):
        if not os.path.isfile(path):
            raise FileNotFoundError(f"There is no file {path!r}.")


def paths(options, stem, count):
    """Numbered MIDI files in the output folder.

    Raises:
        ValueError: One of them exists and is not to be overwritten.
    """
    folder = pathlib.Path(options.output_dir)
    digits = len(str(count))
    found = [folder / f"{stem}-{index + 1:0{digits}d}.mid" for index in range(count)]
    existing = [str(path) for path in found if path.exists()]
    if existing and not options.overwrite:
        raise ValueError(f"{existing[0]} exists: choose another output_dir, or overwrite.")
    return found


def write(path, sequence):
    """Writes a NoteSequence as a MIDI file, whole or not at all, and makes its folder.

    Its drums are struck as usual in their places, see `accents`.
    """
    accents.apply(sequence)
    path.parent.mkdir(parents=True, exist_ok=True)
    piano_roll.save_midi(path, sequence)


def summary(written):
    """The `files.Summary` of files that were all written, whose names it remembers."""
    return files.Summary(read=len(written), written=len(written), paths=list(written))
