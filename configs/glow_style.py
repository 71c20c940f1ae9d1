"""`glow_style`: notes, or what a recording plays, in the timbre of a clip, by a flow."""

import dataclasses

from style_transfer.configs import Config, built, lazy, performance_net, ss_vq_vae
from style_transfer.configs import hparams as hparams_lib
from style_transfer.pipelines.example_kinds import Pairs


@dataclasses.dataclass(frozen=True)
class GlowStyleHparams(hparams_lib.Hparams):
    """Hparams of `glow_style`.

    Attributes:
        sample_rate: Hz, of the examples; log-mel spectrograms are made at this rate only.
        crop_secs: Length of the recording of an example.
        style_secs: Length of its style clip.
        crops_per_example: Examples taken of each recording in a pass.
        eval_crops: With `notes`: examples taken of each recording in an evaluation.
        augment: With `notes`, whether each example has an equalizer and a room of its own; with
            `codes`, whether what they are made of differs in timbre from what is to be made.
        content: From here on, see `style_transfer.models.glow_style.net.GlowStyle`.
    """

    batch_size: int = 16
    learning_rate: float = 5e-4
    warmup_steps: int = 500
    decay_steps: int = 20_000
    clip_norm: float = 1.0
    ema_momentum: float = 0.998
    sample_rate: int = 16_000
    crop_secs: float = 2.048
    style_secs: float = 3.072
    crops_per_example: int = 1
    eval_crops: int = 1
    augment: bool = True
    content: str = "notes"
    num_levels: int = 2
    num_steps: int = 4
    width: int = 128
    num_layers: int = 2
    convolution: str = "lu"
    content_width: int = 160
    content_blocks: int = 4
    code_width: int = 64
    num_codebooks: int = 2
    num_codes: int = 256
    commitment: float = 0.25
    style_size: int = 64
    style_width: int = 96


def build_dataset(examples_path: str, hparams: GlowStyleHparams, split: str, **others):
    """Batches whose inputs hold the recording, what tells its content, and a clip."""
    if hparams.content == "codes":
        dataset = ss_vq_vae.build_dataset(examples_path, hparams, split, **others)
        return dataset.map(lambda x, y: ({"audio": y, **x}, y))
    from style_transfer.models.wavenet import inputs
    from style_transfer.signal import log_mel

    grain = 2 ** hparams.num_levels
    frames = grain * max(1, round(hparams.crop_secs * log_mel.FRAMES_PER_SECOND / grain))
    dataset = performance_net.clip_batches(
        examples_path, dataclasses.replace(hparams, crop_secs=frames / log_mel.FRAMES_PER_SECOND),
        split, log_mel.FRAMES_PER_SECOND, **others)
    # Clips as loud as `spectrograms.making` makes them.
    gain = 10 ** ((log_mel.LEVEL_DB - inputs.STYLE_LEVEL_DB) / 20)
    kept = ("audio", "roll", "piece", "timbre")
    return dataset.map(lambda x, y: (
        {name: x[name] for name in kept if name in x} | {"style_audio": gain * x["style_audio"]},
        y["audio"]))


CONFIG = Config(
    name="glow_style",
    description="Notes, or what a recording plays, in the timbre of a clip, by a normalizing flow.",
    hparams=GlowStyleHparams(),
    build_model=built("style_transfer.models.glow_style.net:GlowStyle"),
    examples=Pairs(any_instrument=True),
    build_loss=lambda hparams: lazy("style_transfer.models.glow_style.loss:BitsPerDimension")()(),
    build_optimizer=hparams_lib.build_optimizer,
    build_dataset=build_dataset,
    build_probe=lambda hparams, model, loss: lazy(
        "style_transfer.models.glow_style.probe:SamplesProbe")()(model, loss),
    generator=lazy("style_transfer.models.glow_style.options:GENERATOR"),
    serving=lazy("style_transfer.spectrograms.serve:SpectrogramServing"),
    weights="glow_style",
)
