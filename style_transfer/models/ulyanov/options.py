"""What a transfer by optimization is asked, and its generators."""

import dataclasses
import os

from style_transfer import files
from style_transfer import options as options_lib
from style_transfer.models import base
from style_transfer.options import REQUIRED, option

OPTIMIZERS = ("lbfgs", "adam")


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncoderOptions(options_lib.ContentOptions):
    """What audio is found with, whatever its features."""

    style: tuple[str, ...] = option(
        REQUIRED, "Recordings whose sound is wanted, of any lengths; several are mixed.")
    style_mix: tuple[str, ...] = option(
        (), "How much each of them counts, such as 2,1; by default all the same.")
    num_iterations: int = option(30, "Iterations of the optimizer, for 20 s at a time.", low=1)
    style_weight: float = option(10.0, "Weight of the style, against 1 of the content.", low=0.0)
    optimizer: str = option("lbfgs", "What optimizes.", choices=OPTIMIZERS)
    sample_rate: int = option(24_000, "Of the audio written, 8000 to 48000 Hz. Above 24000 nothing "
                              "is added.")

    @property
    def weights_of_styles(self):
        """`style_mix` as numbers."""
        return tuple(map(float, self.style_mix))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(EncoderOptions):
    """The same with random filters."""

    num_filters: int = option(1024, "Random filters; their authors take 4096.", low=1)


class EncoderGenerator(base.Generator):
    """Finds audio whose features are a trained style encoder's."""

    options = EncoderOptions

    def check(self, options):
        """Recordings are there, weights are numbers."""
        from style_transfer import audio

        audio.check_sample_rate(options.sample_rate)
        files.check_folder(options.output_dir)
        for path in options.style:
            if not os.path.isfile(path):
                raise FileNotFoundError(f"There is no style clip {path!r}.")
        try:
            given = options.weights_of_styles
        except ValueError as error:
            raise ValueError(f"--style_mix is {options.style_mix}, expected numbers.") from error
        if given and len(given) != len(options.style):
            raise ValueError(f"--style_mix has {len(given)} numbers for {len(options.style)} "
                             "style clips: give one for each.")

    def check_model(self, model):
        """Only a model with a style encoder will do."""
        if not hasattr(model, "style_encoder"):
            raise ValueError(f"it is a {type(model).__name__}, which has no style_encoder.")

    def net(self, model, options):
        """The features of a model from `load`."""
        from style_transfer.models.ulyanov.net import EncoderFeatures

        del options
        return EncoderFeatures(model)

    def generate(self, load, options, report):
        """See `generate.generate`."""
        from style_transfer.models.ulyanov import generate

        return generate.generate(lambda: self.net(load(), options), options, report)

    def transfer(self, model, content, style, *, sample_rate, seed=0, **options):
        """The content, played if it is notes, as it sounds in the clip."""
        from style_transfer.models.ulyanov import generate

        del options
        asked = self.options(content=(), style=(), output_dir="", sample_rate=sample_rate,
                             seed=seed)
        return generate.transferred(self.net(model, asked), content, [style], asked)


class RandomGenerator(EncoderGenerator):
    """Finds audio whose features are random filters'."""

    options = Options

    def check_model(self, model):
        """Only random filters will do."""
        base.check_class(model, "RandomFeatures")

    def net(self, model, options):
        """Random filters, as many as are asked for, of the seed."""
        if (model.num_filters, model.seed) == (options.num_filters, options.seed):
            return model
        return type(model).from_config({**model.get_config(), "num_filters": options.num_filters,
                                        "seed": options.seed})


RANDOM, ENCODER = RandomGenerator(), EncoderGenerator()
