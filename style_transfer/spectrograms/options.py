"""What models of spectrograms are asked, and their generator."""

import dataclasses
import os

from style_transfer import audio as audio_lib
from style_transfer import files
from style_transfer import options as options_lib
from style_transfer.models import base
from style_transfer.options import REQUIRED, option

TEMPERATURE = 0.35  # of models that sample; higher ones have noise that hides notes


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(options_lib.ContentOptions):
    """What a batch of contents is played with."""

    style: str = option(REQUIRED, "How it is to sound: a recording (WAV, MP3, M4A ...), 2 s or "
                        "more.", group="Sound")
    sample_rate: int = option(16_000, "Of the audio written, 8000 to 48000 Hz. Above 16000 nothing "
                              "is added.", group="Audio")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SamplingOptions(Options):
    """What is asked of models that sample."""

    temperature: float = option(TEMPERATURE, "How far samples lie from the middle of what is "
                                "likely; 0 gives the middle.", low=0.0)


class SpectrogramGenerator(base.Generator):
    """Plays contents as a clip sounds.

    Args:
        model_class: Name of the class of its models.
        options: The dataclass of its options.
    """

    def __init__(self, model_class, options=Options):
        self.model_class, self.options = model_class, options

    def check(self, options):
        """Raises what can be said before Keras is imported."""
        audio_lib.check_sample_rate(options.sample_rate)
        files.check_folder(options.output_dir)
        if not os.path.isfile(options.style):
            raise FileNotFoundError(f"There is no style file {options.style!r}.")

    def check_model(self, model):
        """Only a model of the family will do."""
        base.check_class(model, self.model_class)

    def generate(self, load, options, report):
        """See `generate.generate`."""
        from style_transfer.spectrograms import generate

        return generate.generate(load, options, report)

    def transfer(self, model, content, style, *, sample_rate, seed=0, **options):
        """See `generate.played`."""
        from style_transfer.spectrograms import generate

        given = {name: options[name] for name in ("temperature",) if name in options}
        return generate.played(model, content, style, seed=seed, sample_rate=sample_rate, **given)
