"""What Drums RNN is asked, checked before anything slow is loaded, and its generator."""

import ast
import dataclasses

from style_transfer.models import base
from style_transfer.options import option
from style_transfer.symbolic import writing
from style_transfer.symbolic.layouts import DrumLayout


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(writing.Options):
    """How drums are written, by Magenta's names."""

    num_steps: int = option(128, "Steps of a track, primer included; a bar of drum_kit has 16.",
                            low=1)
    primer_drums: str | None = option(
        None, "What tracks begin with: pitches of each step as a Python list of tuples; [(36,)] by "
        "default.")
    primer_midi: str | None = option(None, "MIDI file that tracks begin with.")
    temperature: float = option(1.0, "More is less predictable.", low=0.0)
    beam_size: int = option(1, "Beginnings pursued for each track.", low=1)
    branch_factor: int = option(1, "Continuations tried for each beginning.", low=1)
    steps_per_iteration: int = option(1, "Steps between choosing the likeliest beginnings.", low=1)


@dataclasses.dataclass(frozen=True)
class DrumsGenerator(base.Generator):
    """Writes drum tracks.

    Attributes:
        name: What the files are named after.
        layout: The tracks' `DrumLayout`.
    """

    name: str
    layout: DrumLayout
    options = Options

    def check(self, options):
        """See `check`."""
        check(options)

    def check_model(self, model):
        """Only a `DrumsRnn` of the layout will do."""
        base.check_class(model, "DrumsRnn")
        base.check_attributes(model, num_classes=self.layout.num_classes)

    def generate(self, load, options, report):
        """See `generate.generate`."""
        from style_transfer.models.drums_rnn import generate

        return generate.generate(self.name, self.layout, load, options, report)


def check(options):
    """Raises what can be said without the model.

    Args:
        options: The `Options`.

    Raises:
        FileNotFoundError: The primer is missing.
        ValueError: An option is wrong.
    """
    if options.primer_drums and options.primer_midi:
        raise ValueError("Give primer_drums or primer_midi, not both.")
    if options.primer_drums:
        parse_primer(options.primer_drums)
    writing.check(options, options.primer_midi)


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
