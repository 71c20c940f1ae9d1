"""What MusicVAE is asked, checked before anything slow is loaded, and its generator."""

import dataclasses

from style_transfer.models import base
from style_transfer.options import option
from style_transfer.symbolic import writing
from style_transfer.symbolic.layouts import Layout

MODES = ("sample", "reconstruct", "interpolate", "attribute")
_ONLY_OF = {"input_midi": ("reconstruct", "interpolate", "attribute"),
            "attribute_with": ("attribute",), "attribute_without": ("attribute",)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(writing.Options):
    """What is done with latent vectors."""

    mode: str = option("sample", "Sample from the prior; reconstruct each of --input_midi; "
                       "interpolate between two of them; or add an attribute to each.",
                       choices=MODES)
    input_midi: tuple[str, ...] = option((), "MIDI files to reconstruct, to interpolate between or "
                                         "that get the attribute.")
    attribute_with: tuple[str, ...] = option((), "MIDI files that have the attribute.")
    attribute_without: tuple[str, ...] = option((), "MIDI files that do not have the attribute.")
    attribute_amount: float = option(1.0, "How much of the attribute is added.")
    temperature: float = option(0.5, "More is less predictable; 0 takes the likeliest.", low=0.0)
    picture: bool = option(True, "Write a PNG of the piano rolls.", counts=False)


@dataclasses.dataclass(frozen=True)
class MusicVaeGenerator(base.Generator):
    """Writes melodies, drum patterns and trios.

    Attributes:
        name: What the files are named after.
        layout: The sequences' `Layout`.
    """

    name: str
    layout: Layout
    options = Options

    def check(self, options):
        """See `check`."""
        check(options)

    def check_model(self, model):
        """Only a `MusicVae` of the layout will do."""
        base.check_class(model, "MusicVae")
        base.check_attributes(
            model, max_seq_len=self.layout.steps, input_depth=self.layout.input_depth,
            output_depths=self.layout.depths)

    def generate(self, load, options, report):
        """See `generate.generate`."""
        from style_transfer.models.music_vae import generate

        return generate.generate(self.name, self.layout, load, options, report)


def check(options):
    """Raises what can be said without the model.

    Args:
        options: The `Options`.

    Raises:
        FileNotFoundError: An input is missing.
        ValueError: An option is wrong.
    """
    mode = options.mode
    if mode not in MODES:
        raise ValueError(f"mode is {mode!r}, expected one of {', '.join(MODES)}.")
    if options.temperature < 0:
        raise ValueError(f"temperature is {options.temperature}, expected at least 0.")
    for name, modes in _ONLY_OF.items():
        if getattr(options, name) and mode not in modes:
            raise ValueError(f"{name} are for {' and '.join(modes)}, not for mode={mode}.")
    if mode == "interpolate":
        if len(options.input_midi) != 2:
            raise ValueError("An interpolation is between two MIDI files, got "
                             f"{len(options.input_midi)}.")
        if options.num_outputs < 2:
            raise ValueError(f"num_outputs is {options.num_outputs}; an interpolation has at "
                             "least 2.")
    needed = [name for name, modes in _ONLY_OF.items() if mode in modes]
    missing = [name for name in needed if not getattr(options, name)]
    if missing:
        raise ValueError(f"MIDI files are missing: mode={mode} needs {' and '.join(missing)}.")
    writing.check(options, *options.input_midi, *options.attribute_with,
                  *options.attribute_without)
