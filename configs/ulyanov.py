"""`ulyanov`: a recording's sound, by optimization; nothing is trained."""

import dataclasses

from style_transfer.configs import Config, Hparams, built, lazy


@dataclasses.dataclass(frozen=True)
class UlyanovHparams(Hparams):
    """Hparams of `ulyanov`.

    Attributes:
        num_filters: From here on, see `style_transfer.models.ulyanov.net.RandomFeatures`.
    """

    num_filters: int = 1024
    kernel_size: int = 11
    sample_rate: int = 24_000


RANDOM = Config(
    name="ulyanov",
    description="Any recording with the sound of others, by optimization on random filters.",
    hparams=UlyanovHparams(),
    build_model=built("style_transfer.models.ulyanov.net:RandomFeatures"),
    generator=lazy("style_transfer.models.ulyanov.options:RANDOM"),
)
ENCODER = Config(
    name="ulyanov_encoder",
    description="The same on features of a trained style encoder, by default `piano_ddsp`'s.",
    generator=lazy("style_transfer.models.ulyanov.options:ENCODER"),
    weights="piano_ddsp",
)
