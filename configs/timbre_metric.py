"""`timbre_metric`: how differently two clips sound, whatever they play; evaluations use it."""

import dataclasses

from style_transfer.configs import Config, built
from style_transfer.configs import hparams as hparams_lib
from style_transfer.pipelines.example_kinds import Pairs


@dataclasses.dataclass(frozen=True)
class TimbreHparams(hparams_lib.Hparams):
    """Hparams of `timbre_metric`.

    Attributes:
        sample_rate: Hz, of the examples; the metric is of this rate.
        clip_secs: Length of a clip.
        width: See `style_transfer.models.timbre_metric.net.TimbreNet`.
        margin: See `style_transfer.models.timbre_metric.net.TripletLoss`.
    """

    batch_size: int = 16
    learning_rate: float = 1e-3
    decay_steps: int = 1_000
    sample_rate: int = 16_000
    clip_secs: float = 8.0
    width: int = 64
    margin: float = 0.1


def build_dataset(examples_path: str, hparams: TimbreHparams, split: str, *, seed: int,
                  skip_batches: int = 0, input_context=None):
    """Batches, see `style_transfer.pipelines.inputs.timbre.make_dataset`."""
    from style_transfer.pipelines.inputs import timbre

    return timbre.make_dataset(
        examples_path, split, clip_secs=hparams.clip_secs, batch_size=hparams.batch_size,
        seed=seed, repeat=split == "train", skip_batches=skip_batches, input_context=input_context)


CONFIG = Config(
    name="timbre_metric",
    description="How differently two clips sound, whatever they play: the measure of evaluations.",
    hparams=TimbreHparams(),
    build_model=built("style_transfer.models.timbre_metric.net:TimbreNet"),
    build_loss=built("style_transfer.models.timbre_metric.net:TripletLoss"),
    build_optimizer=hparams_lib.build_optimizer,
    build_dataset=build_dataset,
    examples=Pairs(),
    weights="timbre_metric",
)
