"""What a `PerformanceNet` is asked, and its generator."""

import dataclasses
import os

from style_transfer import files
from style_transfer import options as options_lib
from style_transfer.models import base
from style_transfer.options import REQUIRED, option


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(options_lib.ContentOptions):
    """What pieces are played with."""

    style: str = option(REQUIRED, "Recording of the piano: 8 s or more of it playing anything.")


class PerformanceGenerator(base.Generator):
    """Plays pieces on the piano of a clip."""

    options = Options

    def check(self, options):
        """The clip must be there, and results must have a folder."""
        if not os.path.isfile(options.style):
            raise FileNotFoundError(f"There is no recording {options.style!r}.")
        files.check_folder(options.output_dir)

    def check_model(self, model):
        """Only a model of the class will do."""
        base.check_class(model, "PerformanceNet")

    def generate(self, load, options, report):
        """See `generate.generate`."""
        from style_transfer.models.performance_net import generate

        return generate.generate(load(), options, report)

    def transfer(self, model, content, style, *, sample_rate, **options):
        """See `base.Generator.transfer`."""
        from style_transfer.models.performance_net import generate

        del options
        return generate.played(model, content, style, sample_rate)


GENERATOR = PerformanceGenerator()
