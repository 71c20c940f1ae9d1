"""`piano_ddsp`: plays notes on the piano of a clip, through a differentiable piano."""

import dataclasses

from style_transfer.configs import Config, built, lazy
from style_transfer.configs import hparams as hparams_lib
from style_transfer.pipelines.example_kinds import Pairs


@dataclasses.dataclass(frozen=True)
class PianoDDSPHparams(hparams_lib.Hparams):
    """Hparams of `piano_ddsp`.

    Attributes:
        sample_rate: Hz, of examples and model.
        crop_secs: Length of a training crop, the model's warm-up included.
        style_secs: Length of the style clip.
        max_notes: Notes of a crop.
        crops_per_example: Crops taken of each performance in a pass.
        augment: Whether pianos and rooms are varied.
        hop: From here on to `warmup_secs`, see `style_transfer.models.piano_ddsp.net.PianoDDSP`.
        floor_db: From here on, see `style_transfer.losses.PianoLoss`.
    """

    batch_size: int = 8
    learning_rate: float = 1e-3
    warmup_steps: int = 200
    decay_steps: int = 50_000
    clip_norm: float = 1.0
    ema_momentum: float = 0.999
    sample_rate: int = 24_000
    crop_secs: float = 3.0
    style_secs: float = 8.0
    max_notes: int = 96
    crops_per_example: int = 1
    augment: bool = True
    hop: int = 128
    style_size: int = 64
    width: int = 320
    num_layers: int = 3
    context_filters: int = 48
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16)
    num_partials: int = 160
    num_bands: int = 36
    num_oscillators: int = 2304
    room_secs: float = 0.7
    warmup_secs: float = 0.5
    floor_db: float = 60.0
    soft_floor: bool = True
    mag_weight: float = 1.0
    logmag_weight: float = 1.0
    logmel_weight: float = 4.0


MAX_EMBEDDINGS = 256


def build_dataset(examples_path: str, hparams: PianoDDSPHparams, split: str, *, seed: int,
                  skip_batches: int = 0, input_context=None):
    """Batches, see `pipelines.inputs.piano_ddsp.make_dataset`; targets lack the warm-up.

    Raises:
        ValueError: The crops are no longer than the warm-up, or `make_dataset` finds a fault.
    """
    from style_transfer.pipelines.inputs import piano_ddsp as inputs

    if hparams.crop_secs <= hparams.warmup_secs:
        raise ValueError(f"crop_secs={hparams.crop_secs} must be longer than "
                         f"warmup_secs={hparams.warmup_secs}.")
    is_training = split == "train"
    dataset = inputs.make_dataset(
        examples_path, split, batch_size=hparams.batch_size, sample_rate=hparams.sample_rate,
        crop_secs=hparams.crop_secs, style_secs=hparams.style_secs, max_notes=hparams.max_notes,
        crops_per_example=hparams.crops_per_example if is_training else 1,
        augment=hparams.augment and is_training, shuffle=is_training, repeat=is_training,
        seed=seed, skip_batches=skip_batches, input_context=input_context)
    warmup_samples = int(hparams.warmup_secs * hparams.sample_rate)
    return dataset.map(lambda x, y: (x, y[:, warmup_samples:]))


def build_embeddings(examples_path: str, hparams: PianoDDSPHparams, model):
    """Style vectors of evaluation clips, with their pianos and spectrograms."""
    import itertools

    import numpy as np

    from style_transfer.pipelines.inputs import piano_ddsp as inputs
    from style_transfer.training import projector, summaries

    dataset = inputs.make_dataset(
        examples_path, "eval", batch_size=hparams.batch_size, sample_rate=hparams.sample_rate,
        crop_secs=hparams.crop_secs, style_secs=hparams.style_secs, max_notes=hparams.max_notes,
        shuffle=False, repeat=False, debug=True)
    vectors, sprites, labels = [], [], {"piano": [], "piece": [], "recording": []}
    for x, _, origin in itertools.islice(dataset, -(-MAX_EMBEDDINGS // hparams.batch_size)):
        clips = np.asarray(x["style_audio"])
        vectors.append(np.asarray(model.encode_style(clips)))
        sprites += [summaries.thumbnail(summaries.make_audio(clip, hparams.sample_rate))
                    for clip in clips]
        for name, key in (("piano", "timbre_id"), ("piece", "piece_id"), ("recording", "id")):
            labels[name] += [text.decode() for text in np.asarray(origin[f"style_{key}"])]
    return [projector.Embedding("pianos", np.concatenate(vectors), labels, np.stack(sprites))]


CONFIG = Config(
    name="piano_ddsp",
    description="MIDI played on the piano of a style clip by a differentiable piano.",
    hparams=PianoDDSPHparams(),
    build_model=built("style_transfer.models.piano_ddsp.net:PianoDDSP"),
    build_loss=built("style_transfer.losses:PianoLoss"),
    build_optimizer=hparams_lib.build_optimizer,
    build_dataset=build_dataset,
    examples=Pairs(measures_tuning=True),
    build_example_writer=built("style_transfer.training.summaries:AudioExamples"),
    build_embeddings=build_embeddings,
    generator=lazy("style_transfer.models.piano_ddsp.options:GENERATOR"),
    serving=lazy("style_transfer.models.piano_ddsp.serve:PianoServing"),
    instrument=lazy("style_transfer.models.piano_ddsp.instrument:save"),
    weights="piano_ddsp",
)
