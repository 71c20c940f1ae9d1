"""Drums RNN: `one_drum` and `drum_kit`, with Magenta's hparams."""

import dataclasses

from style_transfer.configs import Config, built, lazy
from style_transfer.configs import hparams as hparams_lib
from style_transfer.pipelines.example_kinds import DRUM_TRACK_FILES, NoteSequences
from style_transfer.symbolic.layouts import DrumLayout


@dataclasses.dataclass(frozen=True)
class DrumsRnnHparams(hparams_lib.Hparams):
    """Hparams of Drums RNN, by Magenta's names and with its values.

    Attributes:
        max_steps: Steps of a training example; of longer tracks a part is taken.
        steps_per_quarter: Of the tracks, in 4/4.
        exchange_drums: See `style_transfer.pipelines.inputs.symbolic.drums_rnn_batches`.
        input_size: From here on to `dropout_keep_prob`, see
            `style_transfer.models.drums_rnn.net.DrumsRnn`.
    """

    batch_size: int = 128
    learning_rate: float = 1e-3
    schedule: str = "constant"
    clip_norm: float = 3.0
    max_steps: int = 512
    steps_per_quarter: int = 4
    exchange_drums: float = 0.0
    input_size: int = 518
    num_classes: int = 512
    rnn_layer_sizes: tuple[int, ...] = (256, 256, 256)
    attn_length: int = 32
    dropout_keep_prob: float = 0.5


def build_dataset(examples_path: str, hparams: DrumsRnnHparams, split: str, *, seed: int,
                  skip_batches: int = 0, input_context=None):
    """Batches, see `style_transfer.pipelines.inputs.symbolic.drums_rnn_batches`."""
    from style_transfer.pipelines.inputs import symbolic as inputs

    return inputs.drums_rnn_batches(
        examples_path, hparams.input_size, split, batch_size=hparams.batch_size, seed=seed,
        max_steps=hparams.max_steps, steps_per_bar=4 * hparams.steps_per_quarter,
        exchange_drums=hparams.exchange_drums, skip_batches=skip_batches,
        input_context=input_context)


def build_metrics(hparams: DrumsRnnHparams):
    """Scores of steps, and beside repetition of the bar before."""
    from style_transfer.symbolic.metrics import NextClassMetrics

    return NextClassMetrics(4 * hparams.steps_per_quarter)


def _config(name, description, layout, **hparams):
    def generator():
        from style_transfer.models.drums_rnn.options import DrumsGenerator

        return DrumsGenerator(name, layout)

    return Config(
        name=name, description=description, weights=name,
        hparams=DrumsRnnHparams(steps_per_quarter=layout.steps_per_quarter,
                                num_classes=layout.num_classes, **hparams),
        build_model=built("style_transfer.models.drums_rnn.net:DrumsRnn"),
        examples=NoteSequences(
            "style_transfer.pipelines.symbolic.conversion:drum_tracks", layout,
            **DRUM_TRACK_FILES),
        build_loss=built("style_transfer.symbolic.loss:NextClassLoss"),
        build_optimizer=hparams_lib.build_optimizer, build_dataset=build_dataset,
        build_example_writer=lambda hparams: lazy("style_transfer.symbolic.rolls:write_drums")(),
        build_metrics=build_metrics, generator=generator,
        serving=lazy("style_transfer.models.drums_rnn.serve:DrumsServing"),
        importer=lazy("style_transfer.models.drums_rnn.magenta:entries"))


DRUM_KIT = _config("drum_kit", "What drums come next: nine drums, three layers, the first with "
                   "attention.", DrumLayout())
ONE_DRUM = _config("one_drum", "Whether a drum comes next: one drum, two layers.",
                   DrumLayout(single=True, steps_per_quarter=2), clip_norm=5.0, input_size=2,
                   rnn_layer_sizes=(128, 128), attn_length=0)
