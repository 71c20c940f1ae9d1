"""Drum tracks in a folder."""

import dataclasses

from style_transfer import piano_roll
from style_transfer.models.drums_rnn import sampling
from style_transfer.models.drums_rnn.options import check, parse_primer
from style_transfer.symbolic import writing


def generate(name, layout, load, options, report=print):
    """Writes drum tracks as MIDI files.

    Args:
        name: What the files are named after.
        layout: The tracks' `DrumLayout`.
        load: Called without arguments, gives the `DrumsRnn`.
        options: The `Options`.
        report: Called with each line.

    Returns:
        A `files.Summary`.

    Raises:
        FileNotFoundError: The primer is missing.
        ValueError: An option is wrong, or the primer has no drums.
    """
    check(options)
    primer = sampling.DEFAULT_PRIMER
    if options.primer_drums:
        primer = parse_primer(options.primer_drums)
    elif options.primer_midi:
        primer = sampling.primer_of(piano_roll.load_midi(options.primer_midi), layout)
    drum_options = sampling.DrumOptions(primer=primer, **{
        field.name: getattr(options, field.name)
        for field in dataclasses.fields(sampling.DrumOptions) if field.name != "primer"})
    drawn = list(sampling.generate(load(), layout, drum_options))
    summary = writing.write(options, f"{name}-sample", [sequence for sequence, _ in drawn], report,
                            reads=(options.primer_midi,))
    for path, (_, likelihood) in zip(summary.paths, drawn, strict=True):
        report(f"{path}: log-likelihood {likelihood:.1f}, "
               f"{likelihood / drum_options.num_steps:.3f} a step")
    return summary
