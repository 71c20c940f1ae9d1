"""`ss_vq_vae`: what one recording plays, in the timbre of another; `ss_vq_vae_small`, ours."""

import dataclasses

from style_transfer.configs import Config, built, lazy
from style_transfer.configs import hparams as hparams_lib
from style_transfer.pipelines.example_kinds import Pairs


@dataclasses.dataclass(frozen=True)
class SSVQVAEHparams(hparams_lib.Hparams):
    """Hparams of `ss_vq_vae`.

    Attributes:
        sample_rate: Hz, of the examples; log-mel spectrograms are made at this rate only.
        crop_secs: Length of the content of an example.
        style_secs: Length of its style clip.
        crops_per_example: Examples taken of each recording in a pass.
        augment: Whether what is heard of the content differs in timbre from what is to be made.
        others_share: Share of examples whose content is heard from another instrument's recording
            of the same notes, where the data have one: rendered data do. 0 is self-supervision.
        style_share: Share of examples whose style clip is of another piece on the same instrument,
            so that the style says nothing of the notes. 0 is self-supervision.
        width: From here on to `style_width`, see `style_transfer.models.ss_vq_vae.net.SSVQVAE`.
        squared_weight: See `style_transfer.models.ss_vq_vae.loss.ReconstructionLoss`.
    """

    batch_size: int = 16
    learning_rate: float = 1e-3
    warmup_steps: int = 100
    decay_steps: int = 20_000
    clip_norm: float = 1.0
    ema_momentum: float = 0.998
    sample_rate: int = 16_000
    crop_secs: float = 2.048
    style_secs: float = 3.072
    crops_per_example: int = 1
    augment: bool = True
    others_share: float = 0.0
    style_share: float = 0.0
    width: int = 512
    encoder_blocks: int = 4
    decoder_blocks: int = 8
    stride: int = 2
    code_width: int = 128
    num_codebooks: int = 1
    num_codes: int = 2048
    commitment: float = 0.5
    decay: float = 0.99
    style_size: int = 256
    style_width: int = 384
    squared_weight: float = 0.5


def build_dataset(examples_path: str, hparams, split: str, *, seed: int, skip_batches: int = 0,
                  input_context=None):
    """Batches, see `pipelines.inputs.segment_pairs.make_dataset`."""
    from style_transfer.pipelines.inputs import segment_pairs

    is_training = split == "train"
    settings = segment_pairs.SegmentSettings(
        hparams.crop_secs, hparams.style_secs, seed=seed,
        others_share=hparams.others_share if is_training else 0.0,
        style_share=hparams.style_share if is_training else 0.0,
        change=segment_pairs.CONTENT_CHANGE if hparams.augment and is_training else None)
    return segment_pairs.make_dataset(
        examples_path, split, settings=settings, batch_size=hparams.batch_size,
        repeat=is_training, skip_batches=skip_batches, input_context=input_context,
        crops_per_example=hparams.crops_per_example if is_training else 1)


def _config(name, description, weights=None, **hparams):
    return Config(
        name=name, description=description, hparams=SSVQVAEHparams(**hparams), weights=weights,
        build_model=built("style_transfer.models.ss_vq_vae.net:SSVQVAE"),
        examples=Pairs(any_instrument=True),
        build_loss=built("style_transfer.models.ss_vq_vae.loss:ReconstructionLoss"),
        build_optimizer=hparams_lib.build_optimizer, build_dataset=build_dataset,
        build_probe=lambda hparams, model, loss: lazy(
            "style_transfer.models.ss_vq_vae.probe:CodesProbe")()(model, loss),
        generator=lazy("style_transfer.models.ss_vq_vae.options:GENERATOR"),
        serving=lazy("style_transfer.spectrograms.serve:SpectrogramServing"))


CONFIG = _config("ss_vq_vae", "What a recording plays, in the timbre of another one, of any "
                 "instrument: one codebook, 8 million parameters.")
SMALL = _config("ss_vq_vae_small", "The same for one CPU core: two codebooks, 1 million "
                "parameters.", weights="ss_vq_vae_small", width=128, decoder_blocks=6,
                code_width=64, num_codebooks=2, num_codes=256, commitment=0.25, style_size=64,
                style_width=96, decay_steps=5_000)
