"""Sequences of symbolic models as MIDI files: what is asked, and the files."""

import dataclasses
import os

from style_transfer import files, outputs, piano_roll
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


def write(options, stem, sequences, report, draw=None, reads=()):
    """Writes NoteSequences as numbered MIDI files, which appear together; see `outputs` for names.

    Their drums are struck as usual in their places, see `accents`.

    Args:
        options: An `Options`.
        stem: What the files' names begin with.
        sequences: The NoteSequences.
        report: Called with a line of text where they are there already and kept.
        draw: Called with a path, draws a picture of them all; None for no picture.
        reads: Files that were read, which are never replaced.

    Returns:
        The `files.Summary`, which remembers the files' names.
    """
    digits = len(str(len(sequences)))
    numbered = [f"-{index + 1:0{digits}d}.mid" for index in range(len(sequences))]
    place = outputs.Outputs(options.output_dir, options.overwrite, reads).place(
        stem, (*numbered, *[".png"] * (draw is not None)), outputs.recipe(options))
    count = len(place.suffixes)
    if place.is_kept:
        report(f"{place} is there already, kept (use --overwrite to make it again)")
        return files.Summary(read=count, kept=count, paths=place.paths)
    with place.published() as first:
        for path, sequence in zip(place.paths, sequences, strict=False):
            accents.apply(sequence)
            piano_roll.save_midi(first.with_name(path.name), sequence)
        if draw is not None:
            draw(first.with_name(place.paths[-1].name))
    return files.Summary(read=count, written=count, paths=place.paths)
