"""What is asked of the models of classes, checked before anything slow is loaded."""

import ast
import dataclasses
import os

from style_transfer.symbolic import encodings

MODES = ("sample", "reconstruct", "interpolate", "attribute")
DRUMS_RNN = ("one_drum", "drum_kit")
_ONLY_OF = {"inputs": ("reconstruct", "interpolate", "attribute"),
            "attribute_with": ("attribute",), "attribute_without": ("attribute",)}


@dataclasses.dataclass(frozen=True)
class Options:
    """The command's flags.

    Attributes:
        output_dir: Where the results go.
        mode: One of `MODES`; of Drums RNN only `sample`.
        inputs: MIDI files: those to reconstruct, the two to interpolate between, or those that get
            the attribute.
        attribute_with: MIDI files that have the attribute.
        attribute_without: MIDI files that do not.
        attribute_amount: How much of it is added.
        num_outputs: How many sequences are drawn, or the steps of an interpolation.
        num_steps: See `drums.DrumOptions`.
        primer_drums: Python list of tuples of pitches, such as `[(36, 42), (), (42,)]`.
        primer_midi: MIDI file that the tracks begin with, in place of `primer_drums`.
        temperature: What logits are divided by; None for 1.0 of Drums RNN and 0.5 of MusicVAE, as
            Magenta has them.
        beam_size: See `drums.DrumOptions`; so the next two.
        branch_factor: Likewise.
        steps_per_iteration: Likewise.
        qpm: Tempo of what is written, quarters per minute.
        seed: Of what is drawn.
        overwrite: Whether files that exist are replaced.
        picture: Whether a PNG is written.
    """

    output_dir: str
    mode: str = "sample"
    inputs: tuple[str, ...] = ()
    attribute_with: tuple[str, ...] = ()
    attribute_without: tuple[str, ...] = ()
    attribute_amount: float = 1.0
    num_outputs: int = 10
    num_steps: int = 128
    primer_drums: str | None = None
    primer_midi: str | None = None
    temperature: float | None = None
    beam_size: int = 1
    branch_factor: int = 1
    steps_per_iteration: int = 1
    qpm: float = encodings.QPM
    seed: int = 0
    overwrite: bool = False
    picture: bool = True


def check(config_name, options):
    """Raises what can be said without the model.

    Args:
        config_name: One of `DRUMS_RNN` or a name in `encodings.LAYOUTS`.
        options: The `Options`.

    Raises:
        FileNotFoundError: An input is missing.
        ValueError: An option is wrong.
    """
    if config_name not in (*DRUMS_RNN, *encodings.LAYOUTS):
        raise ValueError(f"{config_name!r} writes no notes, expected one of "
                         f"{', '.join((*DRUMS_RNN, *encodings.LAYOUTS))}.")
    if options.num_outputs < 1:
        raise ValueError(f"num_outputs is {options.num_outputs}, expected at least 1.")
    if options.qpm <= 0:
        raise ValueError(f"qpm={options.qpm} must be more than 0.")
    if config_name in DRUMS_RNN:
        _check_drums(config_name, options)
    else:
        _check_latent(options)
    given = (*options.inputs, *options.attribute_with, *options.attribute_without)
    for path in filter(None, (*given, options.primer_midi)):
        if not os.path.isfile(path):
            raise FileNotFoundError(f"There is no file {path!r}.")


def _check_drums(config_name, options):
    if options.primer_drums and options.primer_midi:
        raise ValueError("Give primer_drums or primer_midi, not both.")
    if options.mode != "sample":
        raise ValueError(f"mode is {options.mode!r}, but {config_name} can only sample.")
    if options.primer_drums:
        parse_primer(options.primer_drums)


def _check_latent(options):
    mode = options.mode
    if mode not in MODES:
        raise ValueError(f"mode is {mode!r}, expected one of {', '.join(MODES)}.")
    if options.temperature is not None and options.temperature < 0:
        raise ValueError(f"temperature is {options.temperature}, expected at least 0.")
    for name, modes in _ONLY_OF.items():
        if getattr(options, name) and mode not in modes:
            raise ValueError(f"{name} are for {' and '.join(modes)}, not for mode={mode}.")
    if mode == "interpolate":
        if len(options.inputs) != 2:
            raise ValueError("An interpolation is between two MIDI files, got "
                             f"{len(options.inputs)}.")
        if options.num_outputs < 2:
            raise ValueError(f"num_outputs is {options.num_outputs}; an interpolation has at "
                             "least 2.")
    needed = [name for name, modes in _ONLY_OF.items() if mode in modes]
    missing = [name for name in needed if not getattr(options, name)]
    if missing:
        raise ValueError(f"MIDI files are missing: mode={mode} needs {' and '.join(missing)}.")


def parse_primer(text):
    """Sets of pitches from their spelling on the command line.

    Args:
        text: A Python list of tuples, such as `[(36, 42), (), (42,)]`.

    Returns:
        A tuple of tuples.

    Raises:
        ValueError: It is something else.
    """
    try:
        value = ast.literal_eval(text)
        primer = tuple(tuple(int(pitch) for pitch in step) for step in value)
    except (ValueError, SyntaxError, TypeError) as error:
        raise ValueError(f"{text!r} is no primer, expected a list of tuples of MIDI pitches such "
                         "as [(36, 42), (), (42,)].") from error
    if any(not 0 <= pitch <= 127 for step in primer for pitch in step):
        raise ValueError(f"{text!r} has pitches outside 0 to 127.")
    return primer
