"""What can be done with latent vectors, as MIDI files and a picture in a folder."""

import functools

import numpy as np

from style_transfer import piano_roll
from style_transfer.models.music_vae import latent
from style_transfer.models.music_vae.options import check
from style_transfer.symbolic import encodings, pictures, reasons, writing


def generate(name, layout, load, options, report=print):
    """Writes what the options ask for.

    Args:
        name: What the files are named after.
        layout: The sequences' `Layout`.
        load: Called without arguments, gives the `MusicVae`.
        options: The `Options`.
        report: Called with each line.

    Returns:
        A `files.Summary`.

    Raises:
        FileNotFoundError: An input is missing.
        ValueError: An option is wrong, or an input has nothing to read.
    """
    check(options)
    model = load()
    how = {"temperature": options.temperature, "seed": options.seed}
    originals = None
    if options.mode == "sample":
        drawn = latent.sample(model, layout, options.num_outputs, **how)
    elif options.mode == "reconstruct":
        originals = _first(_read_all(options.input_midi, layout, report), options, report)
        drawn = latent.reconstruct(model, layout, originals, **how)
    elif options.mode == "interpolate":
        ends = [_most_notes(_read_all([path], layout, report), layout)
                for path in options.input_midi]
        drawn = latent.interpolate(model, layout, *ends, options.num_outputs, **how)
    else:
        vector = latent.attribute_vector(
            model, layout, _read_all(options.attribute_with, layout, report),
            _read_all(options.attribute_without, layout, report))
        originals = _first(_read_all(options.input_midi, layout, report), options, report)
        drawn = latent.with_attribute(model, layout, originals, vector, options.attribute_amount,
                                      **how)
    draw = None
    if options.picture:
        rows, titles = [drawn], [options.mode]
        if originals is not None:
            rows, titles = [originals, drawn], ["original", options.mode]
        draw = functools.partial(pictures.save_rolls, rows=rows, layout=layout, titles=titles)
    sequences = [encodings.to_sequence(labels, layout, options.qpm) for labels in drawn]
    return writing.write(
        options, f"{name}-{options.mode}", sequences, report, draw,
        (*options.input_midi, *options.attribute_with, *options.attribute_without))


def _read_all(paths, layout, report):
    """Sequences of files, in their order; those that have none are named."""
    found, missing = [], []
    for path in paths:
        sequence = piano_roll.load_midi(path)
        labels = encodings.to_labels(sequence, layout)
        if not len(labels):
            missing.append(f"{path}: {reasons.why_nothing(sequence, layout)}")
        found.append(labels)
    result = np.concatenate(found)
    if not len(result):
        raise ValueError(f"There is nothing for this model in the MIDI given: "
                         f"{'; '.join(missing)}.")
    for line in missing:
        report(f"skipped {line}")
    return result


def _most_notes(sequences, layout):
    """The sequence in which most begins."""
    begins = [np.where(np.array(layout.tracks) == "drums", one > 0,
                       one >= encodings.FIRST_NOTE_ON).sum() for one in sequences]
    return sequences[int(np.argmax(begins))]


def _first(sequences, options, report):
    """As many as are wanted."""
    if len(sequences) > options.num_outputs:
        report(f"the first {options.num_outputs} of {len(sequences)} sequences are taken (more "
               "with --num_outputs)")
    return sequences[:options.num_outputs]
