"""Flags made of options dataclasses, see `style_transfer.options`, and what is done with them."""

import os
import sys
import textwrap
import types
import typing

from absl import flags

from style_transfer import options as options_lib

# Flags defined here are listed by --help as those of the calling command.
flags.disclaim_key_flags()


def define(options, flag_values=flags.FLAGS):
    """Defines the flags of an options dataclass.

    Args:
        options: The dataclass.
        flag_values: Where to.
    """
    hints = _hints(options)
    for name, field in options_lib.fields_of(options).items():
        about = field.metadata
        default = None if options_lib.is_required(field) else field.default
        text = about["help"] + (" Required." if options_lib.is_required(field) else "")
        _define(hints[name], name, default, text, about, flag_values)
        for alias in about["aliases"]:
            flags.DEFINE_alias(alias, name, flag_values=flag_values)


def _define(kind, name, default, text, about, flag_values):
    shared = {"flag_values": flag_values}
    bounds = {"lower_bound": about["low"], "upper_bound": about["high"]}
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        kind = next(a for a in typing.get_args(kind) if a is not type(None))
    if about["choices"]:
        flags.DEFINE_enum(name, default, list(about["choices"]), text, **shared)
    elif kind is bool:
        flags.DEFINE_bool(name, default, text, **shared)
    elif kind is int:
        flags.DEFINE_integer(name, default, text, **bounds, **shared)
    elif kind is float:
        flags.DEFINE_float(name, default, text, **bounds, **shared)
    elif typing.get_origin(kind) is tuple:
        flags.DEFINE_multi_string(name, list(default or ()), f"{text} May be repeated, or "
                                  "separated by commas.", **shared)
    else:
        flags.DEFINE_string(name, default, text, **shared)


def _hints(options):
    found = {}
    for field in options_lib.fields_of(options).values():
        found[field.metadata.get("flag") or field.name] = field.type
    return found


def parsed(options, flag_values=flags.FLAGS):
    """An options dataclass from the values of its flags.

    Raises:
        ValueError: A required flag is missing, or `options` finds a fault.
    """
    values = {}
    for name, field in options_lib.fields_of(options).items():
        value = flag_values[name].value
        if isinstance(value, list):
            value = tuple(part for text in value for part in split_files(text))
        if options_lib.is_required(field) and not value:
            raise ValueError(f"--{name} is required; see --help.")
        values[name] = value
    return options_lib.from_flags(options, values)


def split_files(text):
    """Names separated by commas; a file whose own name has commas is one."""
    if not text or os.path.exists(text):
        return [text] if text else []
    return [part for part in text.split(",") if part]


def described(options, leaving_out=()):
    """The flags of an options dataclass as `--help` shows them, without those of another."""
    lines = []
    fields = sorted(options_lib.fields_of(options).items(),
                    key=lambda item: not options_lib.is_required(item[1]))
    for name, field in fields:
        if name in leaving_out:
            continue
        text = field.metadata["help"]
        if options_lib.is_required(field):
            text += " (required)"
        elif field.default is not None and field.default != ():
            text += f" (default: {field.default!r})"
        switch = "[no]" if isinstance(field.default, bool) else ""
        lines += [f"  --{switch}{name}: {', '.join(field.metadata['choices'] or ())}".rstrip(": "),
                  *textwrap.wrap(text, 92, initial_indent="    ", subsequent_indent="    ")]
    return "\n".join(lines)


def refuse(names, where, flag_values=flags.FLAGS):
    """Raises a `ValueError` if a flag was given that does not apply.

    Args:
        names: Flags that do not apply.
        where: What they do not apply to, such as `--config=drum_kit`.
        flag_values: The flags.
    """
    given = [f"--{name}" for name in names if flag_values[name].present]
    if given:
        raise ValueError(f"{', '.join(given)} cannot be used with {where} (--help says what is "
                         "for what).")


def values(names, flag_values=flags.FLAGS):
    """Values of flags by their names."""
    return {name: flag_values[name].value for name in names}


def report(line, again=False):
    """Prints a line; on a terminal, progress (`again`) overwrites itself."""
    if again and not sys.stdout.isatty():
        return
    print(f"\r\033[K{line}" if again else line, end="" if again else "\n", flush=True)


def finish(summary, took_secs=None):
    """Prints how a batch went; raises ValueError if nothing came of it."""
    took = "" if took_secs is None else f" ({took_secs:.1f} s)"
    print(f"{summary}{took}")
    if not summary.written and not summary.kept:
        raise ValueError("Nothing was written.")
