"""Generation with the models of classes: MIDI files and pictures in a folder.

run.generate("drum_kit", model, run.Options(output_dir="out", primer_drums="[(36,), ()]"))
options = run.Options(output_dir="out", mode="interpolate", inputs=("a.mid", "b.mid"))
run.generate("cat-mel_2bar_small", model, options)
"""

import dataclasses
import os
import pathlib

from style_transfer import piano_roll
from style_transfer.symbolic import encodings, reasons
from style_transfer.symbolic import options as options_lib
from style_transfer.symbolic.options import DRUMS_RNN, Options

__all__ = ["Options", "generate", "load"]


def load(config_name, checkpoint=None):
    """The model of a configuration with trained weights.

    Args:
        config_name: `one_drum`, `drum_kit` or a name in `encodings.LAYOUTS`.
        checkpoint: See `weights.load`; None for the package's weights of that name.

    Raises:
        FileNotFoundError: There are no such weights.
        ValueError: They are of another model.
    """
    from style_transfer import weights

    if checkpoint is None and config_name not in weights.names():
        raise FileNotFoundError(
            f"The package has no weights of {config_name}: train a model (style_transfer_train "
            f"--config={config_name}) or import one (style_transfer_import_checkpoint), and give "
            "its run_dir with --checkpoint.")
    model = weights.load(checkpoint or config_name)
    if config_name in DRUMS_RNN:
        encoder = encodings.drums_rnn_encoder(config_name)
        expected = {"input_size": encoder.input_size, "num_classes": encoder.num_classes}
    else:
        layout = encodings.LAYOUTS[config_name]
        expected = {"max_seq_len": layout.steps, "input_depth": layout.input_depth,
                    "output_depths": layout.depths}
    found = {name: getattr(model, name, None) for name in expected}
    if found != expected:
        raise ValueError(f"{checkpoint} is not of {config_name}: it is a {type(model).__name__} "
                         f"with {found}, expected {expected}.")
    return model


def generate(config_name, model, options, report=print):
    """Writes what the options ask for.

    Args:
        config_name: `one_drum`, `drum_kit` or a name in `encodings.LAYOUTS`.
        model: The configuration's model.
        options: The `Options`.
        report: Called with each line.

    Returns:
        Paths of the files written.

    Raises:
        FileNotFoundError: An input is missing.
        ValueError: An option is wrong, an input has nothing to read, or an output exists.
    """
    options_lib.check(config_name, options)
    if config_name in DRUMS_RNN:
        return _generate_drums(config_name, model, options, report)
    return _generate_latent(config_name, model, options, report)


def _generate_drums(config_name, model, options, report):
    from style_transfer.models.drums_rnn import sampling as drums

    primer = drums.DEFAULT_PRIMER
    if options.primer_drums:
        primer = options_lib.parse_primer(options.primer_drums)
    elif options.primer_midi:
        primer = drums.primer_of(piano_roll.load_midi(options.primer_midi), config_name)
    shared = {field.name: getattr(options, field.name) for field in
              dataclasses.fields(drums.DrumOptions) if field.name not in ("primer", "temperature")}
    drum_options = drums.DrumOptions(
        primer=primer,
        temperature=1.0 if options.temperature is None else options.temperature, **shared)
    paths = _midi_paths(options, config_name, drum_options.num_outputs)
    for path, (sequence, likelihood) in zip(
            paths, drums.generate(model, config_name, drum_options), strict=True):
        _write_midi(path, sequence)
        report(f"{path}: log-likelihood {likelihood:.1f}, "
               f"{likelihood / drum_options.num_steps:.3f} a step")
    return paths


def _generate_latent(config_name, model, options, report):
    from style_transfer.models.music_vae import latent
    from style_transfer.symbolic import pictures

    layout = encodings.LAYOUTS[config_name]
    how = {"temperature": 0.5 if options.temperature is None else options.temperature,
           "seed": options.seed}
    originals = None
    if options.mode == "sample":
        drawn = latent.sample(model, layout, options.num_outputs, **how)
    elif options.mode == "reconstruct":
        originals = _first(_read_all(options.inputs, config_name, report), options, report)
        drawn = latent.reconstruct(model, layout, originals, **how)
    elif options.mode == "interpolate":
        ends = [_most_notes(_read_all([path], config_name, report), layout)
                for path in options.inputs]
        drawn = latent.interpolate(model, layout, *ends, options.num_outputs, **how)
    else:
        vector = latent.attribute_vector(
            model, layout, _read_all(options.attribute_with, config_name, report),
            _read_all(options.attribute_without, config_name, report))
        originals = _first(_read_all(options.inputs, config_name, report), options, report)
        drawn = latent.with_attribute(model, layout, originals, vector, options.attribute_amount,
                                      **how)
    paths = _midi_paths(options, config_name, len(drawn))
    for path, labels in zip(paths, drawn, strict=True):
        _write_midi(path, encodings.to_sequence(labels, layout, options.qpm))
    if options.picture:
        path = pathlib.Path(options.output_dir) / f"{config_name}-{options.mode}.png"
        rows, titles = [drawn], [options.mode]
        if originals is not None:
            rows, titles = [originals, drawn], ["original", options.mode]
        pictures.save_rolls(path, rows, layout, titles)
        paths = [*paths, path]
    return paths


def _read_all(paths, config_name, report):
    """Sequences of files, in their order; those that have none are named."""
    import numpy as np

    found, missing = [], []
    for path in paths:
        sequence = piano_roll.load_midi(path)
        labels = encodings.to_labels(sequence, config_name)
        if not len(labels):
            missing.append(f"{path}: {reasons.why_nothing(sequence, config_name)}")
        found.append(labels)
    result = np.concatenate(found)
    if not len(result):
        raise ValueError(f"There is nothing for {config_name} in the MIDI given: "
                         f"{'; '.join(missing)}.")
    for line in missing:
        report(f"skipped {line}")
    return result


def _most_notes(sequences, layout):
    """The sequence in which most begins."""
    import numpy as np

    begins = [np.where(np.array(layout.tracks) == "drums", one > 0,
                       one >= encodings.FIRST_NOTE_ON).sum() for one in sequences]
    return sequences[int(np.argmax(begins))]


def _first(sequences, options, report):
    """As many as are wanted."""
    if len(sequences) > options.num_outputs:
        report(f"the first {options.num_outputs} of {len(sequences)} sequences are taken (more "
               "with --num_outputs)")
    return sequences[:options.num_outputs]


def _midi_paths(options, config_name, count):
    folder = pathlib.Path(options.output_dir)
    digits = len(str(count))
    paths = [folder / f"{config_name}-{options.mode}-{index + 1:0{digits}d}.mid"
             for index in range(count)]
    existing = [str(path) for path in paths if path.exists()]
    if existing and not options.overwrite:
        raise ValueError(f"{existing[0]} exists: choose another output_dir, or overwrite.")
    return paths


def _write_midi(path, sequence):
    import note_seq

    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        note_seq.note_sequence_to_pretty_midi(sequence).write(str(partial))
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
