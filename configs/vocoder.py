"""`vocoder`: log-mel spectrograms, as all spectrogram models make them, to audio."""

import dataclasses
import itertools

from style_transfer.configs import Config, built, lazy
from style_transfer.configs import hparams as hparams_lib
from style_transfer.pipelines.example_kinds import Pairs

PARTS = ("all", "blocks", "head")


@dataclasses.dataclass(frozen=True)
class VocoderHparams(hparams_lib.Hparams):
    """Hparams of `vocoder`.

    Attributes:
        crop_secs: Length of a training example.
        crops_per_example: Crops taken of each performance in a pass.
        eval_crops: Crops taken of each performance in an evaluation.
        sample_rate: Hz; that of `signal.log_mel`.
        fitted_batches: From how many batches a new run fits the last layer by least squares before
            its first step, see `style_transfer.models.vocoder.fitting`; 0 leaves it as it is.
        trained_part: What gradient steps move, one of `PARTS`: `all`, only the `blocks` below the
            last layer, or only that `head`.
        width: From here on to `expansion`, see `style_transfer.models.vocoder.net.Vocoder`.
        fft_sizes: From here on, see `style_transfer.losses.PianoLoss`.
    """

    batch_size: int = 8
    learning_rate: float = 1e-3
    warmup_steps: int = 200
    decay_steps: int = 20_000
    clip_norm: float = 1.0
    ema_momentum: float = 0.999
    crop_secs: float = 1.024
    crops_per_example: int = 8
    eval_crops: int = 1
    sample_rate: int = 16_000
    fitted_batches: int = 0
    trained_part: str = "all"
    width: int = 160
    num_blocks: int = 4
    kernel_size: int = 7
    expansion: int = 3
    fft_sizes: tuple[int, ...] = (2048, 1024, 512, 256, 128)
    floor_db: float = 60.0
    soft_floor: bool = True
    mag_weight: float = 1.0
    logmag_weight: float = 1.0
    logmel_weight: float = 4.0


def build_model(hparams: VocoderHparams):
    """A `Vocoder` of which one part stands still, if that is asked for."""
    from style_transfer.models.vocoder.net import Vocoder

    if hparams.trained_part not in PARTS:
        raise ValueError(f"trained_part={hparams.trained_part!r} is unknown; choose one of "
                         f"{', '.join(PARTS)}.")
    model = hparams_lib.build(Vocoder, hparams)
    for layer in model.layers:
        part = "head" if layer is model.head else "blocks"
        layer.trainable = hparams.trained_part in ("all", part)
    return model


def build_dataset(examples_path: str, hparams: VocoderHparams, split: str, *, seed: int,
                  skip_batches: int = 0, input_context=None):
    """Batches of log-mel spectrograms, made as they are read, and their audio."""
    from style_transfer.pipelines.inputs import wavenet as inputs
    from style_transfer.pipelines.inputs.wavenet_crops import WaveNetSettings
    from style_transfer.signal import log_mel

    is_training = split == "train"
    dataset = inputs.make_dataset(
        examples_path, split, batch_size=hparams.batch_size,
        settings=WaveNetSettings(sample_rate=hparams.sample_rate, crop_secs=hparams.crop_secs,
                                 seed=seed),
        crops_per_example=hparams.crops_per_example if is_training else hparams.eval_crops,
        repeat=is_training, skip_batches=skip_batches, input_context=input_context)
    return dataset.map(lambda x, y: (log_mel.of_audio(y["audio"]), y["audio"]))


def prepare(hparams: VocoderHparams, model, batches):
    """Fits the last layer, if that is asked for."""
    from style_transfer.models.vocoder import fitting

    if hparams.fitted_batches:
        fitting.fit_head(model, itertools.islice(batches, hparams.fitted_batches))


VOCODER = Config(
    name="vocoder",
    description="Log-mel spectrograms to audio: sines and noise, by an inverse Fourier transform.",
    hparams=VocoderHparams(),
    build_model=build_model,
    build_loss=built("style_transfer.losses:PianoLoss"),
    build_optimizer=hparams_lib.build_optimizer,
    build_dataset=build_dataset,
    prepare=prepare,
    examples=Pairs(),
    build_example_writer=built("style_transfer.training.summaries:AudioExamples"),
    generator=lazy("style_transfer.models.vocoder.options:GENERATOR"),
    serving=lazy("style_transfer.models.vocoder.serve:VocoderServing"),
    weights="vocoder",
)
