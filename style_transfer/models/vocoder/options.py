"""What a vocoder is asked, and its generator."""

import dataclasses

from style_transfer import files
from style_transfer import options as options_lib
from style_transfer.models import base
from style_transfer.options import REQUIRED, option


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(options_lib.BatchOptions):
    """What a vocoder can be asked."""

    recordings: tuple[str, ...] = option(
        REQUIRED, "Recordings, folders or globs of them: each is made again from its log-mel "
        "spectrogram, which tells what a vocoder loses.", counts=False)


class VocoderGenerator(base.Generator):
    """Makes recordings again."""

    options = Options

    def check(self, options):
        """Results must have a folder."""
        files.check_folder(options.output_dir)

    def check_model(self, model):
        """Only a vocoder will do."""
        base.check_class(model, "Vocoder")

    def generate(self, load, options, report):
        """See `generate.generate`."""
        from style_transfer.models.vocoder import generate

        return generate.generate(load, options, report)


GENERATOR = VocoderGenerator()
