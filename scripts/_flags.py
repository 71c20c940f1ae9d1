"""Flags: one vocabulary in all commands, made of options dataclasses or by absl, and their help."""

import difflib
import glob
import os
import re
import sys
import textwrap
import time
import types
import typing
import weakref

from absl import flags

from style_transfer import options as options_lib

# Flags defined here are listed by --help as those of the calling command.
flags.disclaim_key_flags()

# Other names of a flag, understood by every command that has it and no other flag of that name:
# Magenta's, TensorFlow Serving's and those of earlier versions.
ALIASES = {
    "content": ("contents",),
    "eval_batches": ("eval_num_batches", "eval_num_steps"),
    "examples_path": ("sequence_example_file",),
    "format": ("formats",),
    "grpc_port": ("port",),
    "input": ("audio", "content"),
    "input_dir": ("input",),
    "input_midi": ("input_midi_1", "input_midi_2"),
    "keep_checkpoints": ("num_checkpoints", "checkpoints_to_keep", "keep_checkpoint_max"),
    "length_secs": ("seconds",),
    "log_interval": ("summary_frequency",),
    "model_version": ("version",),
    "num_training_steps": ("num_steps",),
    "output_dir": ("output_directory",),
    "primer_secs": ("primer_seconds",),
    "rest_port": ("rest_api_port",),
    "run_dir": ("model_dir",),
    "save_piano": ("save_parameters",),
    "shards": ("num_shards",),
    "style": ("parameters",),
    "weights": ("checkpoint", "checkpoint_file", "run_dir", "model_dir", "checkpoint_path",
                "bundle_file", "warm_start_from"),
}
PROGRESS_SECS = 10.0  # between lines of progress where there is no terminal
# Of each `flags.FlagValues`: how many flags there were when a group began, with its title; and the
# names of the flags that are required.
_GROUPS: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
_REQUIRED: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def group(title, flag_values=flags.FLAGS):
    """Lists the flags that are defined next under a title of their own in `--help`."""
    _GROUPS.setdefault(flag_values, []).append((len(flag_values), title))


def require(*names, flag_values=flags.FLAGS):
    """Makes flags required, see `check_required`."""
    _REQUIRED.setdefault(flag_values, []).extend(names)


def check_required(flag_values=flags.FLAGS):
    """Raises ValueError, which names them, unless all required flags have been given."""
    missing = [f"--{name}" for name in _REQUIRED.get(flag_values, ())
               if flag_values[name].value in (None, "", [])]
    if missing:
        raise ValueError(f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} required; "
                         "see --help.")


def own(module_name):
    """Names of the flags that a command's module defines, in order."""
    return [flag.name for flag in flags.FLAGS.get_key_flags_for_module(module_name)]


def define_aliases(names, flag_values=flags.FLAGS):
    """Defines the other names, see `ALIASES`, of flags."""
    for name in names:
        for alias in ALIASES.get(name, ()):
            if alias not in flag_values:
                flags.DEFINE_alias(alias, name, flag_values=flag_values)


def suggestion(name, flag_values, names):
    """What to say of an unknown flag.

    Args:
        name: Its name.
        flag_values: The command's flags.
        names: Those of them that are its own.
    """
    known = {other: other for other in names}
    known |= {alias: n for n in names for alias in ALIASES.get(n, ()) if alias in flag_values}
    near = difflib.get_close_matches(name, known, 1)
    return f"unknown flag --{name}" + (f"; did you mean --{known[near[0]]}?" if near else "")


def define(options, flag_values=flags.FLAGS):
    """Defines the flags of an options dataclass.

    Args:
        options: The dataclass.
        flag_values: Where to.
    """
    for name, field in options_lib.fields_of(options).items():
        about = field.metadata
        if about["group"]:
            group(about["group"], flag_values)
        default = None if options_lib.is_required(field) else field.default
        _define(field.type, name, default, about["help"], about, flag_values)
        if options_lib.is_required(field):
            require(name, flag_values=flag_values)


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
        define_list(name, list(default or ()), text, **shared)
    else:
        flags.DEFINE_string(name, default, text, **shared)


def parsed(options, flag_values=flags.FLAGS):
    """An options dataclass from the values of its flags.

    Raises:
        ValueError: `options` finds a fault.
    """
    values = {}
    for name in options_lib.flag_names(options):
        value = flag_values[name].value
        values[name] = tuple(value) if isinstance(value, list) else value
    return options_lib.from_flags(options, values)


class _ListFlag(flags.MultiFlag):
    """Values by repetition and by commas alike: all of them add up."""

    def _parse(self, arguments):
        given = arguments if isinstance(arguments, list) else [arguments]
        return [part for text in super()._parse(given) for part in split_files(text)]


def define_list(name, default, text, flag_values=flags.FLAGS):
    """A flag for several values, repeated or separated by commas; a list, None if not given.

    Args:
        name: Its name.
        default: A list, or None.
        text: What `--help` says of it.
        flag_values: Where to.
    """
    return flags.DEFINE_flag(_ListFlag(
        flags.ArgumentParser(), flags.ArgumentSerializer(), name, default,
        f"{text} May be repeated, or separated by commas."), flag_values)


def split_files(text):
    """Names separated by commas; a file, folder or glob whose own name has commas is one."""
    parts, found = text.split(","), []
    while parts:
        count = next((count for count in range(len(parts), 1, -1)
                      if _names_something(",".join(parts[:count]))), 1)
        found.append(",".join(parts[:count]))
        parts = parts[count:]
    return [part for part in found if part]


def _names_something(text):
    return os.path.exists(text) or (glob.has_magic(text) and bool(glob.glob(text)))


def described(names, flag_values=flags.FLAGS):
    """Flags as `--help` shows them: by groups, and in each those that are required first.

    Args:
        names: Their names, in the order in which they were defined.
        flag_values: The flags.
    """
    required, groups = _REQUIRED.get(flag_values, ()), _GROUPS.get(flag_values, ())
    places = {name: place for place, name in enumerate(flag_values)}
    sections = {}
    for name in names:
        title = next((title for first, title in reversed(groups) if places[name] >= first), "")
        sections.setdefault(title, []).append(name)
    texts = []
    for title, members in sorted(sections.items(),
                                 key=lambda item: not set(required).intersection(item[1])):
        members.sort(key=lambda name: name not in required)
        texts.append("\n".join([*([f"{title}:"] if title else []),
                                *(_described(flag_values[n], n in required) for n in members)]))
    return "\n\n".join(texts)


def _described(flag, required):
    # absl adds to what was said where it was defined.
    text = " ".join(flag.help.split()).partition("; repeat this option")[0]
    text = re.sub(r"^<[^>]*\|[^>]*>: ", "", text)
    if required:
        text += " (required)"
    elif flag.default not in (None, "", []):
        text += f" (default: {flag.default_as_str.strip(chr(39))})"
    choices = getattr(flag.parser, "enum_values", None) or ()
    head = f"  --{'[no]' if flag.boolean else ''}{flag.name}"
    return "\n".join([head + (f"=<{'|'.join(choices)}>" if choices else ""), *textwrap.wrap(
        text, 92, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False)])


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


class _Report:
    """Prints lines; progress overwrites itself, or is a line now and then without a terminal."""

    def __init__(self):
        self._last = time.monotonic()

    def __call__(self, line, again=False):
        is_terminal = sys.stdout.isatty()
        if again and not is_terminal:
            if time.monotonic() - self._last < PROGRESS_SECS:
                return
        self._last = time.monotonic()
        overwritten = again and is_terminal
        print(f"\r\033[K{line}" if is_terminal else line, end="" if overwritten else "\n",
              flush=True)


report = _Report()


def finish(summary, took_secs=None):
    """Prints how a batch went; raises ValueError if there was work and nothing came of it."""
    took = "" if took_secs is None else f" ({took_secs:.1f} s)"
    report(f"{summary}{took}")
    if summary.read and not summary.written and not summary.kept:
        raise ValueError("Nothing was written.")
