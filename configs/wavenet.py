"""WaveNets: `midi2wave`, two kinds of it, and `wavenet_spectral`, which makes all samples at once.

What keeps the MIDI heard is set by hparams: `input_noise`, `input_dropout`, `scheduled_sampling`,
`auxiliary`, `excitation_partials`, `predictor_taps`, and the receptive field by `num_layers` and
`dilation_cycle`.
"""

import dataclasses

from style_transfer.configs import Config, built, lazy
from style_transfer.configs import hparams as hparams_lib
from style_transfer.pipelines.example_kinds import Pairs


@dataclasses.dataclass(frozen=True)
class CropHparams(hparams_lib.Hparams):
    """Hparams of all WaveNets' data.

    Attributes:
        crop_secs: Length of a training example.
        crops_per_example: Crops taken of each performance in a pass.
        eval_crops: Crops taken of each performance in an evaluation.
        style_secs: Length of the clip that tells of the piano, if one does.
        listen_clips: Clips that an evaluation makes, transcribes and scores; 0 for none.
        sample_rate: Hz.
        roll_rate: Frames of the roll per second.
    """

    learning_rate: float = 1e-3
    clip_norm: float = 1.0
    crop_secs: float = 1.0
    crops_per_example: int = 1
    eval_crops: int = 4
    style_secs: float = 8.0
    listen_clips: int = 8
    sample_rate: int = 16_000
    roll_rate: int = 250


@dataclasses.dataclass(frozen=True)
class WaveNetHparams(CropHparams):
    """Hparams of `midi2wave`; the decoder's sizes are the original's.

    Attributes:
        piano: What the model is told of the piano: `none`, `id` or `style`; see
            `style_transfer.pipelines.inputs.wavenet_crops.WaveNetSettings`.
        global_size: Length of the style vector, for `piano=style`.
        num_pianos: How many pianos there are, for `piano=id`.
        edge_share: See `WaveNetSettings`; of training examples only.
        num_layers: From here on to `auxiliary`, see `style_transfer.models.wavenet.net.WaveNet`.
        auxiliary_weight: From here on, see `style_transfer.models.wavenet.loss.WaveNetLoss`.
    """

    batch_size: int = 4
    warmup_steps: int = 500
    decay_steps: int = 500_000
    ema_momentum: float = 0.9999
    piano: str = "none"
    global_size: int = 64
    num_pianos: int = 0
    edge_share: float = 0.1
    num_layers: int = 22
    dilation_cycle: int = 12
    kernel_size: int = 2
    residual_channels: int = 32
    gate_channels: int | None = None
    skip_channels: int = 128
    hidden_channels: int = 256
    output: str = "mixture"
    num_mixtures: int = 10
    context_layers: int = 6
    context_cycle: int = 6
    context_channels: int = 88
    context_kernel_size: int = 3
    upsampling: str = "transposed"
    bottleneck: str | None = None
    bottleneck_codes: int = 8
    bottleneck_classes: int = 16
    bottleneck_hop: int = 4
    excitation_partials: int = 0
    predictor_taps: int = 0
    predictor_partials: int = 24
    input_noise: float = 0.0
    input_dropout: float = 0.0
    input_dropout_secs: float = 0.05
    scheduled_sampling: float = 0.0
    auxiliary: str = "none"
    auxiliary_weight: float = 1.0
    usage_weight: float = 0.1
    skip_samples: int = 0

    # The config files of midi2wave's PyTorch code; a cycle ends with the greatest dilation.
    FOREIGN = {
        "train_config": {
            "learning_rate": "learning_rate", "batch_size": "batch_size",
            "n_mixtures": "num_mixtures",
            "use_logistic_mixtures": ("output", lambda is_so: "mixture" if is_so else "mulaw"),
            "use_variational_autoencoder": ("bottleneck",
                                            lambda is_so: "argmax" if is_so else "none")},
        "data_config": {"segment_length": "crop_secs", "audio_hz": "sample_rate",
                        "midi_hz": "roll_rate"},
        "wavenet_config": {
            "n_layers": "num_layers", "max_dilation": ("dilation_cycle", int.bit_length),
            "n_residual_channels": "residual_channels", "n_skip_channels": "skip_channels",
            "n_skip_to_out_channels": "hidden_channels"},
        "cond_wavenet_config": {
            "n_layers": "context_layers", "max_dilation": ("context_cycle", int.bit_length),
            "n_residual_channels": "context_channels"},
    }


@dataclasses.dataclass(frozen=True)
class SpectralHparams(CropHparams):
    """Hparams of `wavenet_spectral`.

    Attributes:
        num_layers: From here on to `excitation_partials`, see
            `style_transfer.models.wavenet.spectral_wavenet.SpectralWaveNet`.
        floor_db: From here on, see `style_transfer.losses.PianoLoss`.
    """

    batch_size: int = 8
    warmup_steps: int = 200
    decay_steps: int = 50_000
    ema_momentum: float = 0.999
    crop_secs: float = 2.0
    num_layers: int = 20
    dilation_cycle: int = 10
    kernel_size: int = 3
    channels: int = 32
    hidden_channels: int = 64
    context_layers: int = 6
    context_cycle: int = 6
    context_channels: int = 64
    context_kernel_size: int = 3
    upsampling: str = "linear"
    style_size: int = 64
    excitation_partials: int = 16
    floor_db: float = 60.0
    soft_floor: bool = True
    mag_weight: float = 1.0
    logmag_weight: float = 1.0
    logmel_weight: float = 4.0


def build_model(hparams: WaveNetHparams):
    """The model; it takes of the piano what `piano` says."""
    from style_transfer.models.wavenet.net import WaveNet

    return hparams_lib.build(
        WaveNet, hparams, global_size=hparams.global_size if hparams.piano == "style" else 0,
        num_pianos=hparams.num_pianos if hparams.piano == "id" else 0)


def build_dataset(examples_path: str, hparams: WaveNetHparams, split: str, *, seed: int,
                  skip_batches: int = 0, input_context=None):
    """Batches, see `style_transfer.pipelines.inputs.wavenet.make_dataset`.

    Raises:
        ValueError: `piano` is none of those the model can be told, `num_pianos` is missing, or
            `make_dataset` finds a fault.
    """
    if hparams.piano not in ("none", "id", "style"):
        raise ValueError(f"piano={hparams.piano!r} is unknown; choose none, id or style.")
    if hparams.piano == "id" and not hparams.num_pianos:
        raise ValueError("piano=id needs num_pianos, how many pianos the records are of.")
    return _dataset(examples_path, hparams, split, hparams.piano, seed, skip_batches,
                    input_context, num_pianos=hparams.num_pianos, style_size=hparams.global_size)


def build_probe(hparams: CropHparams, model, loss):
    """How much the MIDI is heard, and what TensorBoard shows."""
    from style_transfer.models.wavenet.conditioning import ConditioningProbe

    return ConditioningProbe(model, loss, hparams.listen_clips)


def build_spectral_dataset(examples_path: str, hparams: SpectralHparams, split: str, *, seed: int,
                           skip_batches: int = 0, input_context=None):
    """Batches with a clip of other notes on the same piano; the target is the audio alone."""
    dataset = _dataset(examples_path, hparams, split, "clip", seed, skip_batches, input_context,
                       decays=True)
    return dataset.map(lambda x, y: (
        {name: value for name, value in x.items() if name != "audio"}, y["audio"]))


def _dataset(examples_path, hparams, split, piano, seed, skip_batches, input_context,
             decays=False, **sizes):
    from style_transfer.pipelines.inputs import wavenet as wavenet_inputs
    from style_transfer.pipelines.inputs.wavenet_crops import WaveNetSettings

    is_training = split == "train"
    settings = WaveNetSettings(
        sample_rate=hparams.sample_rate, roll_rate=hparams.roll_rate, crop_secs=hparams.crop_secs,
        piano=piano, style_secs=hparams.style_secs, decays=decays, with_pieces=not is_training,
        seed=seed,
        edge_share=getattr(hparams, "edge_share", 0.0) if is_training else 0.0)
    return wavenet_inputs.make_dataset(
        examples_path, split, settings=settings, batch_size=hparams.batch_size,
        crops_per_example=hparams.crops_per_example if is_training else hparams.eval_crops,
        shuffle=True, repeat=is_training, skip_batches=skip_batches, input_context=input_context,
        **sizes)


MIDI2WAVE = Config(
    name="midi2wave",
    description="MIDI to piano audio, sample by sample: midi2wave's WaveNet.",
    hparams=WaveNetHparams(),
    build_model=build_model,
    build_loss=built("style_transfer.models.wavenet.loss:WaveNetLoss"),
    build_optimizer=hparams_lib.build_optimizer,
    build_dataset=build_dataset,
    build_probe=build_probe,
    examples=Pairs(),
    generator=lazy("style_transfer.models.wavenet.options:WAVENET"),
    serving=lazy("style_transfer.models.wavenet.serve:WaveNetServing"),
)
AUTOENCODER = dataclasses.replace(
    MIDI2WAVE,
    name="midi2wave_autoencoder",
    description="midi2wave whose MIDI goes through discrete codes, an argmax autoencoder.",
    hparams=dataclasses.replace(MIDI2WAVE.hparams, bottleneck="argmax"),
)
# Some 0.35 M parameters, a short memory, and a linear predictor whose resonances are the notes':
# what the past tells of pitch, it tells through the roll.
SMALL = dataclasses.replace(
    MIDI2WAVE,
    name="midi2wave_small",
    weights="midi2wave_small",
    description="A small WaveNet at 8 kHz that two CPU cores can train.",
    hparams=dataclasses.replace(
        MIDI2WAVE.hparams, batch_size=8, learning_rate=2e-3, warmup_steps=200, decay_steps=10_000,
        ema_momentum=0.999, sample_rate=8_000, num_layers=14, dilation_cycle=7,
        residual_channels=32, skip_channels=64, hidden_channels=96, num_mixtures=5,
        context_layers=5, context_cycle=5, context_channels=64, upsampling="linear",
        predictor_taps=256, skip_samples=512),
)
SPECTRAL = dataclasses.replace(
    MIDI2WAVE,
    name="wavenet_spectral",
    description="MIDI to piano audio at once: sines of the notes, shaped to sound like a clip.",
    hparams=SpectralHparams(),
    build_model=built("style_transfer.models.wavenet.spectral_wavenet:SpectralWaveNet"),
    build_loss=built("style_transfer.losses:PianoLoss"),
    build_dataset=build_spectral_dataset,
    build_example_writer=built("style_transfer.training.summaries:AudioExamples"),
    generator=lazy("style_transfer.models.wavenet.options:SPECTRAL"),
    serving=lazy("style_transfer.models.wavenet.serve:SpectralServing"),
)
