"""`performance_net` and `pre_spec_unet`: MIDI to log-mel spectrograms of a clip's piano."""

import dataclasses

from style_transfer.configs import Config, built, lazy
from style_transfer.configs import hparams as hparams_lib
from style_transfer.pipelines.example_kinds import Pairs


@dataclasses.dataclass(frozen=True)
class PerformanceNetHparams(hparams_lib.Hparams):
    """Hparams of `performance_net`.

    Attributes:
        crop_secs: Length of a training example.
        crops_per_example: Crops taken of each performance in a pass.
        eval_crops: Crops taken of each performance in an evaluation.
        style_secs: Length of the clip: the same piano, other notes.
        sample_rate: Hz; that of `signal.log_mel`.
        roll_rate: Frames of the roll per second.
        augment: Whether each training example has an equalizer and a room of its own.
        channels: From here on to `texture_style`, see
            `style_transfer.models.performance_net.net.PerformanceNet`.
        delta_weight: See `style_transfer.models.performance_net.loss.SpectrogramLoss`.
    """

    batch_size: int = 8
    learning_rate: float = 1e-3
    warmup_steps: int = 200
    decay_steps: int = 50_000
    clip_norm: float = 1.0
    ema_momentum: float = 0.999
    crop_secs: float = 4.096
    crops_per_example: int = 4
    eval_crops: int = 2
    style_secs: float = 8.0
    sample_rate: int = 16_000
    roll_rate: int = 250
    augment: bool = True
    channels: tuple[int, ...] = (160, 192, 224, 256)
    blocks_per_level: int = 1
    kernel_size: int = 7
    expansion: int = 2
    normalization: str = "layer"
    style: str = "vector"
    style_size: int = 64
    separator_size: int = 4
    texture_bands: tuple[int, ...] = (2, 4, 8)
    texture_channels: int = 64
    texture_blocks: int = 1
    texture_style: bool = True
    delta_weight: float = 0.5


def clip_batches(examples_path: str, hparams, split: str, roll_rate: float, *, seed: int,
                 skip_batches: int = 0, input_context=None):
    """Batches of recordings with their rolls, and of clips of other notes on the same piano."""
    from style_transfer.pipelines.inputs import wavenet as inputs
    from style_transfer.pipelines.inputs.augmentation import Augmentation
    from style_transfer.pipelines.inputs.wavenet_crops import WaveNetSettings

    is_training = split == "train"
    return inputs.make_dataset(
        examples_path, split, batch_size=hparams.batch_size,
        settings=WaveNetSettings(
            sample_rate=hparams.sample_rate, roll_rate=roll_rate,
            crop_secs=hparams.crop_secs, piano="clip", style_secs=hparams.style_secs, decays=True,
            with_pieces=not is_training, seed=seed,
            augmentation=Augmentation(tuning_cents=0) if is_training and hparams.augment else None),
        crops_per_example=hparams.crops_per_example if is_training else hparams.eval_crops,
        repeat=is_training, skip_batches=skip_batches, input_context=input_context)


def build_dataset(examples_path: str, hparams: PerformanceNetHparams, split: str, **others):
    """Batches of rolls and clips; spectrograms are made of the audio as it is read."""
    from style_transfer.signal import log_mel

    dataset = clip_batches(examples_path, hparams, split, hparams.roll_rate, **others)
    kept = ("roll", "style_audio", "piece", "timbre")
    return dataset.map(lambda x, y: ({name: x[name] for name in kept if name in x},
                                     log_mel.of_audio(y["audio"])))


def build_probe(hparams: PerformanceNetHparams, model, loss):
    """How much notes and clip are used."""
    from style_transfer.models.performance_net.probe import UsageProbe

    del hparams
    return UsageProbe(model, loss)


PERFORMANCE_NET = Config(
    name="performance_net",
    description="MIDI to spectrograms of a clip's piano, by a U-Net and a texture network.",
    hparams=PerformanceNetHparams(),
    build_model=built("style_transfer.models.performance_net.net:PerformanceNet"),
    build_loss=built("style_transfer.models.performance_net.loss:SpectrogramLoss"),
    build_optimizer=hparams_lib.build_optimizer,
    build_dataset=build_dataset,
    build_probe=build_probe,
    examples=Pairs(),
    generator=lazy("style_transfer.models.performance_net.options:GENERATOR"),
    serving=lazy("style_transfer.models.performance_net.serve:PerformanceServing"),
    weights="performance_net",
)
# About as many parameters as the PerformanceNet of 2019 (250 M): for machines with a large GPU.
ORIGINAL = dataclasses.replace(
    PERFORMANCE_NET,
    name="performance_net_original",
    description="performance_net as large as the original, some 250 M parameters.",
    hparams=dataclasses.replace(
        PERFORMANCE_NET.hparams, channels=(1024, 1536, 2048, 2560, 3072), texture_channels=256,
        texture_blocks=2),
    weights=None,
)
PRE_SPEC_UNET = dataclasses.replace(
    PERFORMANCE_NET,
    name="pre_spec_unet",
    description="A U-Net over the clip's spectrogram into which MIDI comes by skips.",
    hparams=dataclasses.replace(PERFORMANCE_NET.hparams, style="spectrogram",
                                texture_style=False),
    weights=None,
)
