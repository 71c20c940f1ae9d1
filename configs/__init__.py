"""Configurations: one file per model family, and a registry of their names.

Importing this package imports neither Keras nor TensorFlow; a configuration's functions do.
"""

import dataclasses
import importlib
from collections.abc import Callable
from typing import Any, Protocol

from style_transfer.configs.hparams import Hparams, from_dict, parse_hparams

__all__ = ["Config", "Hparams", "Metrics", "Probe", "from_dict", "get", "names",
           "parse_hparams"]

_PLACES = {
    "cat-drums_2bar_small": "style_transfer.configs.music_vae:CAT_DRUMS_2BAR_SMALL",
    "cat-mel_2bar_big": "style_transfer.configs.music_vae:CAT_MEL_2BAR_BIG",
    "cat-mel_2bar_small": "style_transfer.configs.music_vae:CAT_MEL_2BAR_SMALL",
    "drum_kit": "style_transfer.configs.drums_rnn:DRUM_KIT",
    "flat-mel_16bar": "style_transfer.configs.music_vae:FLAT_MEL_16BAR",
    "hierdec-mel_16bar": "style_transfer.configs.music_vae:HIERDEC_MEL_16BAR",
    "hierdec-trio_16bar": "style_transfer.configs.music_vae:HIERDEC_TRIO_16BAR",
    "midi2wave": "style_transfer.configs.wavenet:MIDI2WAVE",
    "midi2wave_autoencoder": "style_transfer.configs.wavenet:AUTOENCODER",
    "midi2wave_small": "style_transfer.configs.wavenet:SMALL",
    "one_drum": "style_transfer.configs.drums_rnn:ONE_DRUM",
    "onsets_frames": "style_transfer.configs.onsets_frames:CONFIG",
    "onsets_frames_small": "style_transfer.configs.onsets_frames:SMALL",
    "piano_ddsp": "style_transfer.configs.piano_ddsp:CONFIG",
    "wavenet_spectral": "style_transfer.configs.wavenet:SPECTRAL",
}


class Probe(Protocol):
    """What an evaluation asks of a model beyond its scores; made anew for each evaluation."""

    def update(self, x: Any, y: Any) -> None:
        """Takes a batch of inputs and targets as the data set gives them."""

    def result(self) -> dict[str, float]:
        """Scores over all batches by name."""

    def write(self, writer: Any, step: int) -> None:
        """Shows examples of the first batch in TensorBoard, by a `summaries.SummaryWriter`."""


class Metrics(Protocol):
    """Scores that are not means over clips; made anew for each evaluation."""

    def update(self, target: Any, prediction: Any) -> None:
        """Takes a batch: targets and the model's outputs, NumPy arrays or dicts of them."""

    def result(self) -> dict[str, float]:
        """Scores over all batches by name."""


@dataclasses.dataclass(frozen=True)
class Config:
    """All it takes to train a model.

    Attributes:
        name: Name in the registry.
        description: One sentence for lists of configurations.
        hparams: The defaults, a frozen dataclass that derives from `Hparams`.
        build_model: From hparams to a `keras.Model`.
        build_loss: From hparams to a `keras.losses.Loss`. If it has a method
            `terms(y_true, y_pred)` with a dict of values per clip, evaluations report them.
        build_optimizer: From hparams to a `keras.optimizers.Optimizer`.
        build_dataset: `(examples_path, hparams, split, *, seed, skip_batches=0,
            input_context=None)` to batches `(x, y)`, a `tf.data.Dataset` or an iterable of NumPy
            arrays. The split `train` never ends and begins after `skip_batches`; `eval` ends, and
            gives the same each time. `input_context` is a `tf.distribute.InputContext` of several
            workers: take this worker's share, in batches for one replica.
        summaries: What TensorBoard shows of fixed examples: `"audio"`, `"spectrogram"`, `"rolls"`
            (labels over what a transcription model says), `"classes"` (the same of a model of
            NoteSequences).
        measures_tuning: Whether example records need the tuning measured of each recording.
        segment_secs: Shortest and longest part of a performance that is a record, cut where it is
            silent; None for whole performances.
        build_metrics: From hparams to a `Metrics`, for what evaluations report beyond the loss.
        build_probe: From hparams, model and loss to a `Probe`, for what needs the model itself.
        build_embeddings: `(examples_path, hparams, model)` to a list of `projector.Embedding`, for
            TensorBoard's projector, of the evaluation split.
        family: What the commands need to know of it before anything is loaded: `audio` or
            `wavenet` for models that are trained on recordings, `drums_rnn` or `music_vae` for
            those of NoteSequences.
    """

    name: str
    description: str
    hparams: Any
    build_model: Callable
    build_loss: Callable
    build_optimizer: Callable
    build_dataset: Callable
    summaries: tuple[str, ...] = ()
    measures_tuning: bool = False
    segment_secs: tuple[int, int] | None = None
    build_metrics: Callable | None = None
    build_probe: Callable | None = None
    build_embeddings: Callable | None = None
    family: str = "audio"

    @property
    def sample_rate(self) -> int:
        """Rate of the examples, Hz."""
        return self.hparams.sample_rate


def names() -> list[str]:
    """Names of all configurations."""
    return sorted(_PLACES)


def get(name: str) -> Config:
    """Finds a configuration.

    Args:
        name: A name of the registry, or `package.module:ATTRIBUTE` for one of your own.

    Raises:
        ValueError: There is none of this name.
    """
    if ":" in name:
        return _imported(name)
    if name not in _PLACES:
        raise ValueError(f"There is no config {name!r}. Choose one of: {', '.join(names())}; or "
                         "give your own as package.module:ATTRIBUTE.")
    module, _, attribute = _PLACES[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def _imported(name):
    module, _, attribute = name.partition(":")
    try:
        config = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"The config {name!r} cannot be imported: {error}.") from error
    if not isinstance(config, Config):
        raise ValueError(f"{name!r} is a {type(config).__name__}, expected a configs.Config.")
    return config
