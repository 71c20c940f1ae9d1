"""Configurations: one file per model family, found by itself; each says what it can do.

Importing this package imports neither Keras nor TensorFlow; a configuration's functions do.
"""

import dataclasses
import functools
import importlib
import pkgutil
from collections.abc import Callable
from typing import Any, Protocol

from style_transfer.configs.hparams import Hparams, built, from_dict, lazy, parse_hparams

__all__ = ["Config", "Hparams", "Metrics", "Probe", "built", "from_dict", "get", "having", "lazy",
           "names", "of_weights", "parse_hparams"]

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


# What a command needs of a configuration -> the fields that make it, and how it is said.
_CAPABILITIES = {
    "examples": (("examples",), "has no examples to make"),
    "training": (("build_model", "build_loss", "build_optimizer", "build_dataset"),
                 "is not trained"),
    "generator": (("generator",), "generates nothing"),
    "serving": (("serving",), "has no serving signatures"),
    "instrument": (("instrument",), "makes no instruments for samplers"),
    "importer": (("importer",), "has no checkpoints of another program to import"),
}


@dataclasses.dataclass(frozen=True)
class Config:
    """What a model can do, and what it takes; what is None it cannot.

    Everything that needs Keras is a function and imports it when it is called.

    Attributes:
        name: Name in the registry.
        description: One sentence for lists of configurations.
        hparams: The defaults, a frozen dataclass that derives from `Hparams`.
        build_model: From hparams to a `keras.Model`.
        examples: What `style_transfer_create_dataset` makes its examples of: a
            `pipelines.example_kinds.Pairs` or `NoteSequences`.
        build_loss: Training. From hparams to a `keras.losses.Loss`. If it has a method
            `terms(y_true, y_pred)` with a dict of values per clip, evaluations report them.
        build_optimizer: Training. From hparams to a `keras.optimizers.Optimizer`.
        build_dataset: Training. `(examples_path, hparams, split, *, seed, skip_batches=0,
            input_context=None)` to batches `(x, y)`, a `tf.data.Dataset` or an iterable of NumPy
            arrays. The split `train` never ends and begins after `skip_batches`; `eval` ends, and
            gives the same each time. `input_context` is a `tf.distribute.InputContext` of a
            strategy: give this worker's part of every batch, in batches for one replica, as
            `pipelines.inputs.shares.Share` says, so that all workers together train on the
            batches of one.
        prepare: Training. Called with hparams, the model and batches of the split `train` before
            the first step of a new run, to begin better than at random.
        build_example_writer: Probes. From hparams to `(writer, step, tag, target, prediction)`,
            which shows an example of an evaluation in TensorBoard by a `summaries.SummaryWriter`.
        build_metrics: Probes. From hparams to a `Metrics`, for what evaluations report beyond the
            loss.
        build_probe: Probes. From hparams, model and loss to a `Probe`, for what needs the model
            itself.
        build_embeddings: Probes. `(examples_path, hparams, model)` to a list of
            `projector.Embedding`, for TensorBoard's projector, of the evaluation split.
        generator: `()` to a `style_transfer.models.base.Generator`; imports no Keras, so that
            `style_transfer_generate --help` is instant.
        serving: `()` to a class whose instances `(model, **limits)` have `kept`, the variables
            that are exported, and `signatures()`, TensorFlow functions by name.
        instrument: `()` to `save(model, piano, folder, *, progress)`, which writes the `.piano`
            file of a piano as an SFZ instrument into a new folder and gives the map's path.
        importer: `()` to `entries(model, arrays)`, see `style_transfer.checkpoints`.
        weights: Name of its weights in the package.
    """

    name: str
    description: str
    hparams: Any = None
    build_model: Callable | None = None
    examples: Any = None
    build_loss: Callable | None = None
    build_optimizer: Callable | None = None
    build_dataset: Callable | None = None
    prepare: Callable | None = None
    build_example_writer: Callable | None = None
    build_metrics: Callable | None = None
    build_probe: Callable | None = None
    build_embeddings: Callable | None = None
    generator: Callable | None = None
    serving: Callable | None = None
    instrument: Callable | None = None
    importer: Callable | None = None
    weights: str | None = None

    @property
    def sample_rate(self) -> int:
        """Rate of the examples, Hz."""
        return self.hparams.sample_rate

    @property
    def package(self) -> str:
        """Top-level package that it comes from."""
        return type(self.hparams).__module__.partition(".")[0]

    def can(self, capability: str) -> bool:
        """Whether the configuration has a capability.

        Args:
            capability: `examples`, `training`, `generator`, `serving`, `instrument` or `importer`.
        """
        fields, _ = _CAPABILITIES[capability]
        return all(getattr(self, name) is not None for name in fields)

    def require(self, capability: str) -> "Config":
        """Gives itself, if it has a capability.

        Raises:
            ValueError: It has not; the message lists the configurations that have.
        """
        if not self.can(capability):
            raise ValueError(f"The config {self.name!r} {_CAPABILITIES[capability][1]}; choose "
                             f"one of {', '.join(having(capability))}.")
        return self


@functools.cache
def _registry():
    """Every `Config` of the modules of this package, by name."""
    found = {}
    for module in pkgutil.iter_modules(__path__):
        attributes = vars(importlib.import_module(f"{__name__}.{module.name}")).values()
        found |= {value.name: value for value in attributes if isinstance(value, Config)}
    return dict(sorted(found.items()))


def names() -> list[str]:
    """Names of all configurations."""
    return list(_registry())


def having(capability: str) -> list[str]:
    """Names of the configurations with a capability, see `Config.can`."""
    return [name for name, config in _registry().items() if config.can(capability)]


def get(name: str) -> Config:
    """Finds a configuration.

    Args:
        name: A name of the registry, or `package.module:ATTRIBUTE` for one of your own.

    Raises:
        ValueError: There is none of this name.
    """
    if ":" in name:
        return _imported(name)
    if name not in _registry():
        raise ValueError(f"There is no config {name!r}. Choose one of: {', '.join(names())}; or "
                         "give your own as package.module:ATTRIBUTE.")
    return _registry()[name]


def of_weights(name_or_path: str | None) -> Config:
    """The configuration that weights were trained for.

    Args:
        name_or_path: See `style_transfer.weights.load`.

    Raises:
        FileNotFoundError: There are no such weights.
        ValueError: They do not say of which configuration they are, or it is none of the
            registry's: give it by name.
    """
    from style_transfer import weights

    name = weights.config_name(name_or_path)
    if name not in _registry():
        raise ValueError(f"The weights {str(name_or_path)!r} are of the config {name!r}, which is "
                         "none of the package's: give it with --config=package.module:ATTRIBUTE.")
    return _registry()[name]


def _imported(name):
    module, _, attribute = name.partition(":")
    try:
        config = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"The config {name!r} cannot be imported: {error}.") from error
    if not isinstance(config, Config):
        raise ValueError(f"{name!r} is a {type(config).__name__}, expected a configs.Config.")
    return config
