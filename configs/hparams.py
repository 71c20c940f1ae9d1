"""Hyperparameters: typed defaults, and their spelling on the command line."""

import dataclasses
import importlib
import inspect
import json
import types
import typing
from collections.abc import Callable
from typing import ClassVar


@dataclasses.dataclass(frozen=True)
class Hparams:
    """What every configuration can set; each adds its own.

    Attributes:
        batch_size: Examples per step, over all devices.
        learning_rate: Highest learning rate.
        schedule: `constant`, `cosine`, `exponential` or `staircase`.
        warmup_steps: Steps in which the learning rate rises linearly.
        decay_steps: Steps from the highest rate down to `final_fraction` of it.
        final_fraction: See `decay_steps`.
        clip_norm: Largest global norm of the gradients; 0 for any.
        ema_momentum: Momentum of the weights' moving average; 0 for none.

    `FOREIGN` says where another program's JSON config has them: by section and field the name of
    the hparam, or that and a function of the field's value.
    """

    FOREIGN: ClassVar[dict[str, dict]] = {}

    batch_size: int = 8
    learning_rate: float = 1e-3
    schedule: str = "cosine"
    warmup_steps: int = 0
    decay_steps: int = 100_000
    final_fraction: float = 0.05
    clip_norm: float = 0.0
    ema_momentum: float = 0.0


def build_optimizer(hparams: Hparams):
    """The optimizer that `hparams` describe; see `style_transfer.training.build_optimizer`."""
    from style_transfer import training

    return build(training.build_optimizer, hparams)


def lazy(place: str) -> Callable:
    """A function without arguments that imports and gives what stands at `module:attribute`."""
    def get():
        module, _, attribute = place.partition(":")
        return getattr(importlib.import_module(module), attribute)

    return get


def built(place: str, **others) -> Callable:
    """A function from hparams to what `build` makes of the class at `module:attribute`."""
    return lambda hparams: build(lazy(place)(), hparams, **others)


def build(make: Callable, hparams: Hparams, **others):
    """Calls `make`, a class or a function, with the hparams that it has arguments for.

    Args:
        make: What is called.
        hparams: The hparams.
        **others: Further arguments, in place of hparams of the same name.
    """
    wanted = inspect.signature(make).parameters
    return make(**{name: getattr(hparams, name) for name in wanted if hasattr(hparams, name)}
                | others)


def parse_hparams(text: str, defaults):
    """Reads hparams as they are given on the command line.

    Args:
        text: `name=value` pairs separated by commas, such as `a=1,b=[2,3],c=cosine`. Lists are in
            brackets; text may be quoted; `none` is the empty value of an optional one. Instead of
            a pair, the name of a JSON config that `FOREIGN` of the defaults knows fields of.
        defaults: A frozen dataclass instance; its field types are the values' types.

    Returns:
        A copy of `defaults` with the values given.

    Raises:
        ValueError: A name is unknown or given twice, or a value has another type; or a JSON config
            cannot be read, or has no field that is known.
    """
    values, from_files = {}, {}
    for item in _split(text):
        name, equals, value = item.partition("=")
        name = name.strip()
        if not equals and item.endswith(".json"):
            from_files |= _foreign(item, defaults.FOREIGN)
            continue
        if not equals:
            raise ValueError(f"{item!r} is no hparam, expected name=value.")
        if name in values:
            raise ValueError(f"The hparam {name!r} is given twice.")
        values[name] = value.strip()
    values = from_files | values
    kinds = _kinds(defaults, values)
    return dataclasses.replace(
        defaults, **{name: _parse(name, value, kinds[name]) for name, value in values.items()})


def from_dict(values: dict, defaults):
    """Hparams as they were recorded in JSON.

    Args:
        values: Plain values by name.
        defaults: As for `parse_hparams`; also the values of names that are not recorded.

    Raises:
        ValueError: A name is unknown.
    """
    _kinds(defaults, values)
    tuples = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
    return dataclasses.replace(defaults, **tuples)


def _foreign(path, sections):
    """Hparams, as text, of the fields of a JSON config that have a counterpart."""
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
        fields = [(known[field], value) for section, known in sections.items()
                  for field, value in content.get(section, {}).items() if field in known]
    except (OSError, ValueError, AttributeError) as error:
        raise ValueError(f"{path} is no JSON config: {error}") from error
    if not fields:
        raise ValueError(f"{path} has no field that this configuration knows; sections known: "
                         f"{', '.join(sections) or 'none'}.")
    named = [(name, value) if isinstance(name, str) else (name[0], name[1](value))
             for name, value in fields]
    return {name: str(value) for name, value in named}


def _kinds(defaults, given):
    kinds = typing.get_type_hints(type(defaults))
    unknown = [name for name in given if name not in kinds]
    if unknown:
        raise ValueError(f"There is no hparam {', '.join(map(repr, unknown))}. "
                         f"Choose from: {', '.join(kinds)}.")
    return kinds


def _split(text):
    """Pieces between commas that are outside brackets and quotes."""
    pieces, start, depth, quote = [], 0, 0, None
    for place, character in enumerate(text):
        if quote:
            quote = None if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "[(":
            depth += 1
        elif character in "])":
            depth -= 1
        elif character == "," and depth == 0:
            pieces.append(text[start:place])
            start = place + 1
        if depth < 0:
            break
    if depth or quote:
        raise ValueError(f"Brackets or quotes in {text!r} do not match.")
    return [piece.strip() for piece in [*pieces, text[start:]] if piece.strip()]


def _parse(name, value, kind):
    try:
        return _convert(value, kind)
    except ValueError as error:
        raise ValueError(f"The hparam {name}={value} is not valid: expected "
                         f"{_describe(kind)}.") from error


def _convert(value, kind):
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        if value.lower() == "none":
            return None
        return _convert(value, next(a for a in arguments if a is not type(None)))
    if typing.get_origin(kind) is tuple:
        if not (value[:1] in ("[", "(") and value[-1:] in ("]", ")")):
            raise ValueError(value)
        return tuple(_convert(item, arguments[0]) for item in _split(value[1:-1]))
    return {bool: _bool, int: _int, str: _text}.get(kind, kind)(value)


def _bool(value):
    if value.lower() not in ("true", "1", "false", "0"):
        raise ValueError(value)
    return value.lower() in ("true", "1")


def _int(value):
    """Takes `1e5` too."""
    if value.lstrip("+-").isdigit():
        return int(value)
    number = float(value)
    if not number.is_integer():
        raise ValueError(value)
    return int(number)


def _text(value):
    is_quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    return value[1:-1] if is_quoted else value


def _describe(kind):
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return " or ".join(_describe(a) for a in arguments)
    if typing.get_origin(kind) is tuple:
        return f"a list of {_describe(arguments[0])} in brackets"
    return {bool: "true or false", int: "an integer", float: "a number", str: "text",
            type(None): "none"}.get(kind, kind.__name__)
